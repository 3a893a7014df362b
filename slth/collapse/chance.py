"""Random pruning, exactly: how likely is it that no layer of the given sizes is empty?

Derived here: with each weight kept independently with probability 1/ρ, the layers are independent
and the probability is ∏(1 − (1 − 1/ρ)^n_l). With exactly k kept of all N it is the number of ways
to choose k with one in each layer, over the number of ways to choose k.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput

Floats = NDArray[np.float64]
DIRECT = 4096  # kept weights up to which the counts of all layers are convolved
SUMMED = 1000  # factors up to which a ratio of binomials is multiplied out


def no_layer_empty(sizes: Sequence[int], compression: float) -> float:
    """∏(1 − (1 − 1/ρ)^n_l): each weight kept with probability 1/ρ, on its own."""
    if not compression >= 1:
        raise BadInput("compression", compression, "a number from 1", "original over kept")
    if compression == 1:
        return 1.0
    gone = np.log1p(-1 / compression) * np.asarray(sizes, dtype=np.float64)
    return float(np.prod(-np.expm1(gone)))


def no_layer_empty_exactly(sizes: Sequence[int], kept: int) -> float:
    """The same with exactly `kept` weights, every set of so many equally likely.

    To about 1e-5: by convolution of the layers' counts up to 4096 kept weights (sums of positive
    terms), beyond by inclusion and exclusion over the layers, and where its terms would cancel too
    much (a dozen layers and more, all of them likely empty) by the product for independent weights.
    """
    total = sum(sizes)
    if not 0 <= kept <= total:
        raise BadInput("kept", kept, f"a whole number from 0 to {total}", "a count of weights")
    if kept < len(sizes):
        return 0.0
    return _convolved(sizes, kept) if kept <= DIRECT else _excluded(sizes, kept)


def critical_kept(sizes: Sequence[int], probability: float) -> int:
    """The fewest weights kept at random that leave no layer empty with at least this probability.

    The quantile of the count at which a network pruned weight by weight first loses a layer.
    """
    low, high = len(sizes) - 1, sum(sizes)
    while high - low > 1:
        kept = (low + high) // 2
        if no_layer_empty_exactly(sizes, kept) >= probability:
            high = kept
        else:
            low = kept
    return high


def _convolved(sizes: Sequence[int], kept: int) -> float:
    """P(all B_l ≥ 1 and ΣB_l = k) / P(ΣB_l = k) for independent B_l ~ Bin(n_l, k/N)."""
    from scipy.stats import binom

    share, counts = kept / sum(sizes), np.arange(kept + 1)
    held = np.ones(1)
    for size in sorted(sizes):
        law = binom.pmf(counts[: min(size, kept) + 1], size, share)
        law[0] = 0.0
        held = np.convolve(held, law)[: kept + 1]
    found = held[kept] if len(held) > kept else 0.0
    return float(found / binom.pmf(kept, sum(sizes), share))


def _excluded(sizes: Sequence[int], kept: int) -> float:
    """Σ over sets of layers of ± C(N − their sizes, k) / C(N, k); equal sizes counted together."""
    total = sum(sizes)
    terms: Counter[int] = Counter({0: 1})
    for size, times in Counter(sizes).items():
        if _gone(total, size, kept) < 1e-18:
            continue  # nothing of the sum's 1e-6
        longer: Counter[int] = Counter()
        for emptied, count in terms.items():
            for j in range(times + 1):
                longer[emptied + j * size] += count * (-1) ** j * comb(times, j)
        terms = longer
    parts = [count * _gone(total, emptied, kept) for emptied, count in terms.items()]
    if sum(map(abs, parts)) > 100:  # each is right to 1e-7
        return no_layer_empty(sizes, total / kept)
    found = sum(parts)
    return min(1.0, max(0.0, found))


def _gone(total: int, size: int, kept: int) -> float:
    """C(N − n, k) / C(N, k): the chance that n given weights all go."""
    if size + kept > total:
        return 0.0
    few, many = sorted((size, kept))
    if few <= SUMMED:
        steps = np.arange(few, dtype=np.float64)
        return float(np.exp(np.log1p(-many / (total - steps)).sum()))
    from scipy.special import gammaln

    return float(np.exp(
        gammaln(total - size + 1) + gammaln(total - kept + 1)
        - gammaln(total + 1) - gammaln(total - size - kept + 1)
    ))  # fmt: skip

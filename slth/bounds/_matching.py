"""Neurons enough to give every (input, half) its own: Hall's theorem, its failure counted.

Setting: h neurons, each with an in-weight from each of d inputs, all i.i.d. A neuron is *good* for
half + of an input with probability τ/2, for half − with probability τ/2, never for both, and
independently for every input and neuron. Each of the 2d slots (input, half) wants m neurons, a
neuron serves one slot.

By Hall's (1935) theorem they can be assigned if and only if every set S of slots has at least m |S|
neurons that are good for one of them. If S holds both halves of f inputs and one half of g, a
neuron is good for none of S with probability (1 − τ)^f (1 − τ/2)^g, which for |S| = r is at most

    q_r = (1 − τ)^max(0, r − d) (1 − τ/2)^min(r, 2d − r)

since 1 − τ <= (1 − τ/2)². Chernoff's bound for each S and the union over all of them give

    Pr(no assignment) <= Σ_{r=1}^{2d} C(2d, r) exp(−h D(x_r || 1 − q_r)),   x_r = (m r − 1)/h,

with D(x || p) = x ln(x/p) + (1 − x) ln((1 − x)/(1 − p)), and D = 0 where x >= p.

Where each input has one slot only (`halves` 1: its input is never negative), S holds one half of
r inputs, r <= d: q_r = (1 − τ/2)^r as above, and there are C(d, r) such sets.

More than 2·EXACT slots are summed in runs of r: a run a..b has at most b − a + 1 times its largest
C(2d, r), the q of a and the x of b.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from slth.bounds import Floats, check_delta
from slth.bounds.random_subset_sum import MARGIN
from slth.errors import BadInput

EXACT = 256  # sets of up to so many slots, and complements of such, are counted size by size
GROWTH = 1.03  # of the runs between
MOST = 1 << 52  # neurons
ROUNDING = 1e-14  # relative, of what is added up in an exponent: about forty roundings


def match_failure(inputs: int, neurons: int, each: int, chance: float, halves: int = 2) -> float:
    """The bound above on the probability that not every slot of `inputs` inputs gets `each`
    neurons, where a neuron is good for an input with probability `chance` = τ, rounded up.

    halves: slots an input, 2 or 1."""
    if inputs < 1 or neurons < 0 or each < 0:
        got = f"{inputs}, {neurons}, {each}"
        raise BadInput("inputs, neurons, each", got, ">= 1, >= 0, >= 0", "pass counts")
    if not 0 < chance < 1:
        raise BadInput("chance", chance, "a number in (0, 1)", "loosen the least in-weight")
    if each == 0:
        return 0.0
    if neurons < halves * inputs * each:
        return 1.0
    exponents = _exponents(inputs, neurons, each, chance, halves)
    total = float(np.exp(np.minimum(exponents, 0.0)).sum())
    return min(1.0, total * (1 + MARGIN))


def least_neurons(inputs: int, each: int, chance: float, delta: float) -> int:
    """About the least h with `match_failure` <= δ, and never less than that."""
    check_delta(delta)
    if each == 0:
        return 0
    low, high, step = 2 * inputs * each - 1, 2 * inputs * each, 1
    while match_failure(inputs, high, each, chance) > delta:
        if high > MOST:
            raise BadInput("chance", chance, f"one that {MOST} neurons do with", "raise it")
        low, high, step = high, high + step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        if match_failure(inputs, middle, each, chance) <= delta:
            high = middle
        else:
            low = middle
    return high


def _exponents(inputs: int, neurons: int, each: int, chance: float, halves: int = 2) -> Floats:
    """`[runs]`: the logarithm of what each run of sizes contributes, rounded up."""
    first, last, log_sets = _runs(halves * inputs)
    log_missed = np.maximum(0.0, first - inputs) * math.log1p(-chance)
    log_missed += np.minimum(first, 2 * inputs - first) * math.log1p(-chance / 2)
    bound: Floats = log_sets * (1 + ROUNDING) - _chernoff(neurons, each * last - 1, log_missed)
    return bound


def _chernoff(neurons: int, most: Floats, log_missed: Floats) -> Floats:
    """h D(most/h || 1 − missed), rounded down; 0 where that says nothing."""
    share = most / neurons
    rest = (neurons - most) / neurons
    with np.errstate(divide="ignore", invalid="ignore"):
        log_share = np.where(share > 0.5, np.log1p(-rest), np.log(share))
        ahead = np.where(most > 0, log_share - _log_one_minus(log_missed), -1.0)  # times 0
        behind = np.log(rest) - log_missed
        parts = np.abs(np.log(rest)) + np.abs(log_missed)
        slack = share * (np.abs(ahead) + 1) + rest * (parts + 1)
        divergence = share * ahead + rest * behind - ROUNDING * slack
    speaks = (most < neurons) & (ahead < 0)
    bound: Floats = np.where(speaks, np.maximum(0.0, neurons * divergence), 0.0)
    return bound


def _log_one_minus(log_missed: Floats) -> Floats:
    """ln(1 − e^x) for x < 0."""
    near = log_missed > -math.log(2)
    with np.errstate(divide="ignore"):
        value: Floats = np.where(near, np.log(-np.expm1(log_missed)), np.log1p(-np.exp(log_missed)))
    return value


@cache
def _runs(slots: int) -> tuple[Floats, Floats, Floats]:
    """Runs a..b of sizes r, 1..slots in all: `[runs]` a, b and the log of the number of sets."""
    from scipy.special import gammaln

    # the sizes up to half of all, and the others as the complements of 0 .. (slots − 1)/2
    low, high = _ends(slots // 2), _ends((slots + 1) // 2)
    first = np.concatenate([low[:-1] + 1, (slots - high[1:] + 1)[::-1]])
    last = np.concatenate([low[1:], (slots - high[:-1])[::-1]])
    largest = np.where(last <= slots // 2, last, first)  # of the run, the one nearest the middle
    log_choices = gammaln(slots + 1) - gammaln(largest + 1) - gammaln(slots - largest + 1)
    # gammaln's own cancellation: each term is about slots · ln(slots)
    slack = 8 * 2.0**-52 * gammaln(slots + 1)
    return first, last, np.maximum(0.0, log_choices) + np.log(last - first + 1) + slack


def _ends(most: int) -> Floats:
    """Where runs of 1 .. most end, 0 first."""
    ends = [0]
    while ends[-1] < most:
        ends.append(min(most, ends[-1] + max(1, int((GROWTH - 1) * (ends[-1] - EXACT)))))
    return np.array(ends, dtype=np.float64)

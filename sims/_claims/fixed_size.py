"""Claims about subset sums of exactly k values: when there is one, and what sparsity costs."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import Floats, at_least, at_most, mean_between, together
from sims._claims._shared import every, half_points, resampled_rates
from sims._claims.subset_sums import slope
from sims._protocol import Control
from slth.bounds.fixed_size import entropy
from slth.stats import clopper_pearson
from slth.stats.verdict import Verdict

TARGET = 0.3
MOST_LISTED = 20_000  # subsets that are added up one by one

# -- 22: the hit probability depends on one number -------------------------------------------------

CONFIGURATIONS = [
    (1, 64), (2, 16), (2, 32), (3, 12), (3, 24), (4, 12), (4, 20), (6, 12), (6, 18), (8, 16),
]  # fmt: skip
OFFSETS = [-4, -3, -2, -1, 0, 1, 2, 3, 4]  # bits
WITHIN = 2  # bits from 0 to where half of the trials hit
HIT_TRIALS = 400


def distances(n: int, k: int, trials: int, rng: np.random.Generator) -> Floats:
    """How near to the target a sum of exactly k of n uniform values comes, `[trials]`."""
    from math import comb

    from slth.subsetsum import Problem
    from slth.subsetsum.exactly_k import ExactlyK

    if comb(n, k) > MOST_LISTED:
        values = rng.uniform(-1, 1, (trials, n))
        return ExactlyK(k)(Problem(values, np.full(trials, TARGET))).error
    chosen = np.array(list(combinations(range(n), k)))
    step = max(1, 2_000_000 // chosen.size)
    found = []
    for first in range(0, trials, step):
        values = rng.uniform(-1, 1, (min(step, trials - first), n))
        found.append(np.abs(values[:, chosen].sum(axis=-1) - TARGET).min(axis=-1))
    return np.concatenate(found)


def sample_collapse(smoke: bool, rng: np.random.Generator) -> Data:
    trials = 60 if smoke else HIT_TRIALS
    configurations = CONFIGURATIONS[:4] if smoke else CONFIGURATIONS
    hits, naive = [], []
    for k, n in configurations:
        nearest = distances(n, k, trials, rng)
        for rows, bits in ((hits, n * entropy(k / n)), (naive, float(n))):
            # bits − log2(k/ε) = offset
            rows.append([int((nearest < k * 2.0 ** (t - bits)).sum()) for t in OFFSETS])
    return {"configurations": configurations, "hits": hits, "naive": naive, "trials": trials}


def judge_collapse(data: Data) -> tuple[Verdict, Control]:
    above, below = OFFSETS.index(WITHIN), OFFSETS.index(-WITHIN)

    def found(key: str) -> Verdict:
        parts = {}
        for (k, n), hits in zip(data["configurations"], data[key], strict=True):
            parts[f"k = {k}, n = {n}, above"] = at_least(hits[above], data["trials"], 0.5)
            parts[f"k = {k}, n = {n}, below"] = at_most(hits[below], data["trials"], 0.5)
        return together(parts)

    return found("hits"), Control("2^n subsets counted for those of size k", found("naive"))


def draw_collapse(ax: Any, data: Data) -> None:
    from slth import plot

    shown = [c for c in ([1, 64], [2, 32], [4, 20], [8, 16]) if c in data["configurations"]]
    for series, (k, n) in enumerate(shown):
        hits = np.array(data["hits"][data["configurations"].index([k, n])])
        low, high = clopper_pearson(hits, data["trials"])
        plot.band(ax, OFFSETS, low, hits / data["trials"], high, f"k={k}, n={n}", series=series)
    ax.axvspan(-WITHIN, WITHIN, color="0.93", zorder=0)
    ax.set(xlabel="n·H2(k/n) − log2(k/ε) [bit]", ylabel="hit probability [1]")
    plot.legend(ax, loc="upper left")


# -- 23: what sparsity costs -----------------------------------------------------------------------

BITS = [4, 5, 6, 7, 8, 9]  # log2(1/ε)
SIZES: dict[str, list[int]] = {
    "1": [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048],
    "2": [3, 4, 6, 8, 11, 16, 23, 32, 45, 64],
    "3": [4, 5, 6, 8, 10, 12, 15, 18, 22, 28],
    "4": [5, 6, 7, 8, 9, 10, 12, 14, 16, 18],
    "half": [2, 4, 6, 8, 10, 12, 14, 16],
}
PRICE_TRIALS = 3000  # for each n
PRICE_RESAMPLES = 1000  # for a standard error
SPARSEST = (0.9, 1.1)  # slope of log2 n in bits at k = 1: n of order 1/ε
DENSEST = (0.9, 1.3)  # slope of n in bits at k = n/2


def size_of(key: str, n: float) -> float:
    return n / 2 if key == "half" else float(key)


def predicted(key: str, bits: float) -> float:
    """The real n with n·H2(k/n) − log2(k) = bits, by bisection: the left side grows with n."""
    low, high = (0.01, 1e9) if key == "half" else (float(key), 1e9)
    for _ in range(200):
        middle = (low * high) ** 0.5
        k = size_of(key, middle)
        enough = middle * entropy(k / middle) - np.log2(k) >= bits
        low, high = (low, middle) if enough else (middle, high)
    return high


def sample_price(smoke: bool, rng: np.random.Generator) -> Data:
    trials = 100 if smoke else PRICE_TRIALS
    hits = {}
    for key, grid in SIZES.items():
        table = []
        for n in grid:
            nearest = distances(n, int(size_of(key, n)), trials, rng)
            table.append([int((nearest < 2.0**-b).sum()) for b in BITS])
        hits[key] = np.array(table).T
    return {"hits": hits, "trials": trials}


def needed(key: str, data: Data) -> tuple[Floats, Floats]:
    """n at which half of the trials hit, for each tolerance `[bits]`, and of resamples."""
    hits = np.array(data["hits"][key])
    rates = resampled_rates(hits, data["trials"], 23, PRICE_RESAMPLES)
    return half_points(SIZES[key], hits / data["trials"]), half_points(SIZES[key], rates)


def judge_price(data: Data) -> tuple[Verdict, Control]:
    found = {key: needed(key, data) for key in SIZES}

    def inside(x: Floats, draws: Floats, ends: tuple[float, float], what: str) -> Verdict:
        return mean_between(float(x), float(draws.std()), *ends, what)

    def price(key: str, formula: str) -> Verdict:
        """By how many bits the formula misses, in the mean over all tolerances."""

        def missed(n: Floats) -> Floats:
            k = 0.5 * n if formula == "half" else np.minimum(float(formula), n)
            p = np.clip(k / n, 1e-12, 1 - 1e-12)
            bits = n * (-p * np.log2(p) - (1 - p) * np.log2(1 - p)) - np.log2(k)
            return np.asarray((bits - BITS).mean(axis=-1))

        n, draws = found[key]
        return inside(missed(n), missed(draws), (-WITHIN, WITHIN), "bits beyond the formula")

    def regimes(sparse: str, dense: str) -> dict[str, Verdict]:
        (n, draws), (m, others) = found[sparse], found[dense]
        n, draws = np.log2(n), np.log2(draws)
        return {
            "sparsest": inside(slope(BITS, n), slope(BITS, draws), SPARSEST, "log2 n a bit"),
            "densest": inside(slope(BITS, m), slope(BITS, others), DENSEST, "n a bit"),
        }

    verdict = together({**{f"k = {k}": price(k, k) for k in SIZES}, **regimes("1", "half")})
    exchanged = {"formula": price("half", "1"), **regimes("half", "1")}
    return verdict, Control("the sparsest and the densest subsets exchanged", every(exchanged))


def draw_price(ax: Any, data: Data) -> None:
    from slth import plot

    for series, key in enumerate(("1", "2", "4", "half")):
        n, draws = needed(key, data)
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        mid = np.clip(n, low, high)
        label = f"k = {'n/2' if key == 'half' else key}"
        plot.band(ax, BITS, low, mid, high, label, series=series)
        name = "formula" if series == 0 else "_formula"
        line = [predicted(key, b) for b in BITS]
        (drawn,) = ax.plot(BITS, line, ":", color=plot.COLOURS[series], linewidth=0.8, label=name)
        drawn.set_gid(f"curve:{name}")
    plot.log_scale(ax, "y")
    ax.set(xlabel="log2(1/ε) [bit]", ylabel="values n [1]")
    plot.legend(ax, loc="upper left", ncols=2, columnspacing=1.0)


CLAIMS = (
    Claim(
        22,
        "subsets of one size",
        "Whether some k of n uniform values add up to z within ε depends on "
        "n·H2(k/n) − log2(k/ε) alone, up to a constant, and has probability about 1/2 where that "
        "is 0: Natale et al. (2024), theorem 2.",
        f"Any (k, n) of {CONFIGURATIONS} whose half-point lies outside ±{WITHIN} bits: hit "
        f"frequency at +{WITHIN} below 1/2 or at −{WITHIN} above it, z = {TARGET}, {HIT_TRIALS} "
        "trials each.",
        sample_collapse, judge_collapse, draw_collapse, 0.5,
    ),
    Claim(
        23,
        "price of sparsity",
        "Subsets of exactly k values need n with n·H2(k/n) about log2(k/ε): of order 1/ε at k = 1 "
        "(Malach et al., 2020) and log2(1/ε) at k = n/2 (Pensia et al., 2020), by Natale et al. "
        "(2024).",
        "Where n50, at which half of the trials hit, misses the formula by more than "
        f"{WITHIN} bits in the mean over ε = 2^-{BITS[0]} … 2^-{BITS[-1]} for any of k = 1, 2, 3, "
        f"4, n/2; slope of log2 n50 a bit at k = 1 outside {SPARSEST}, of n50 a bit at k = n/2 "
        f"outside {DENSEST}; {PRICE_TRIALS} trials for each n, normal intervals of n50.",
        sample_price, judge_price, draw_price, 1.5,
    ),
)  # fmt: skip

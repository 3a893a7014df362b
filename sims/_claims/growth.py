"""Claims about the proof device of random subset sum, its certificates, and products."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, get_args

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import (
    Floats,
    at_most,
    between,
    mean_between,
    packed,
    together,
    unpacked,
    weights,
)
from sims._claims.subset_sums import equal, n50, needed, slope
from sims._protocol import Control, exact
from slth.stats.verdict import Verdict

# -- 7: the growth recursion -----------------------------------------------------------------------

EPSILON = 0.01
STEPS = 16
RUNS = 3000
BINS = [0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99]
MARGIN = 0.03  # relative
ROUNDING = 1e-12


def united(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The union of closed intervals as disjoint ones, in order."""
    order = np.argsort(low)
    low, high = low[order], np.maximum.accumulate(high[order])
    first = np.concatenate([[True], low[1:] > high[:-1]])
    return low[first], high[np.concatenate([first[1:], [True]])]


def covered(values: Floats, epsilon: float) -> list[float]:
    """v_0, v_1, ...: the measure of {f_t = 1} in [−1/2, 1/2], exactly up to rounding."""
    low, high = np.array([-epsilon]), np.array([epsilon])
    measures = [2 * epsilon]
    for x in values:
        new_low, new_high = np.maximum(low + x, -0.5), np.minimum(high + x, 0.5)
        inside = new_low < new_high
        low, high = united(
            np.concatenate([low, new_low[inside]]), np.concatenate([high, new_high[inside]])
        )
        measures.append(float((high - low).sum()))
    return measures


def sample_recursion(smoke: bool, rng: np.random.Generator) -> Data:
    rows = rng.uniform(-1, 1, (200 if smoke else RUNS, STEPS))
    v = np.array([covered(row, EPSILON) for row in rows])
    before, after = v[:, :-1].ravel(), v[:, 1:].ravel()
    growth = after / before
    bins = []
    for low, high in pairwise(BINS):
        here = (before >= low) & (before < high)
        saturating = growth[here] / (1 + 0.5 * (1 - before[here]))
        unbounded = growth[here] / 1.5
        bins.append(
            {"low": low, "high": high, "steps": here.sum(), "v": before[here].mean(),
             "growth": growth[here].mean(),
             "ratio": saturating.mean(), "error": saturating.std(ddof=1) / np.sqrt(here.sum()),
             "plain": unbounded.mean(), "plain_error": unbounded.std(ddof=1) / np.sqrt(here.sum())}
        )  # fmt: skip
    beyond = (growth > 2 * (1 + ROUNDING)) | (growth < 1 - ROUNDING)
    return {"bins": bins, "beyond": beyond.sum(), "steps": growth.size, "most": growth.max()}


def judge_recursion(data: Data) -> tuple[Verdict, Control]:
    def found(mean: str, error: str) -> Verdict:
        parts = {"v ≤ v' ≤ 2v": exact("growth within [1, 2]", data["beyond"], data["steps"])}
        for b in data["bins"]:
            parts[f"v in [{b['low']:g}, {b['high']:g})"] = mean_between(
                b[mean], b[error], 1 - MARGIN, 1 + MARGIN, "mean growth over predicted"
            )
        return together(parts)

    return found("ratio", "error"), Control(
        "growth by 3/2 throughout, no overlap", found("plain", "plain_error")
    )


def draw_recursion(ax: Any, data: Data) -> None:
    from slth import plot

    v, mean = (np.array([b[key] for b in data["bins"]]) for key in ("v", "growth"))
    error = 1.96 * np.array([b["error"] for b in data["bins"]]) * mean
    plot.band(ax, v, mean - error, mean, mean + error, "measured", series=0)
    x = np.linspace(0, 1, 50)
    plot.curve(ax, x, 1 + 0.5 * (1 - x), "1 + (1 − v)/2", series=1)
    ax.set(xlabel="covered measure v [1]", ylabel="mean growth v'/v [1]")
    plot.legend(ax)


# -- 8: explicit certificates ----------------------------------------------------------------------

TOLERANCES = [0.25, 0.1, 0.03125, 0.01]
DELTA = 0.01
CERTIFIED_TRIALS = 1500
LOOKED_AT = (12, 16, 20, 24, 28)


def sample_certificates(smoke: bool, rng: np.random.Generator) -> Data:
    from slth.bounds.random_subset_sum import Method, n_rss
    from slth.coverage import profiles

    trials = 900 if smoke else CERTIFIED_TRIALS
    tolerances = TOLERANCES[:2] if smoke else TOLERANCES
    rows = rng.uniform(-1, 1, (trials, LOOKED_AT[-1]))
    first = np.full((trials, len(tolerances)), LOOKED_AT[-1] + 1)
    for looked in LOOKED_AT:
        open_ = np.flatnonzero((first > LOOKED_AT[-1]).any(axis=1))
        if open_.size:
            found = needed(profiles(rows[open_, :looked], threads=1), -np.log2(tolerances))
            first[open_] = np.where(found > looked, LOOKED_AT[-1] + 1, found)
    certified = {m: [n_rss(t, DELTA, m) for t in tolerances] for m in get_args(Method)}
    return {"tolerance": tolerances, "needed": first, "certified": certified, "trials": trials}


def judge_certificates(data: Data) -> tuple[Verdict, Control]:
    first = np.array(data["needed"])

    def found(claimed: dict[str, list[int]]) -> Verdict:
        return together(
            {
                f"{method}, tolerance {t:g}, n = {n}": at_most(
                    int((first[:, k] > n).sum()), len(first), DELTA
                )
                for method, counts in claimed.items()
                for k, (t, n) in enumerate(zip(data["tolerance"], counts, strict=True))
            }
        )

    few = {method: [n // 8 for n in counts] for method, counts in data["certified"].items()}
    return found(data["certified"]), Control("an eighth of the certified n", found(few))


def draw_certificates(ax: Any, data: Data) -> None:
    from slth import plot

    first = np.array(data["needed"])
    low, mid, high = np.quantile(first, [0.05, 0.5, 0.99], axis=0)
    plot.band(ax, data["tolerance"], low, mid, high, "needed, 5 … 99 %", series=0)
    for series, (method, n) in enumerate(data["certified"].items(), start=1):
        plot.curve(ax, data["tolerance"], n, f"certified, {method}", series=series, marked=True)
    plot.log_scale(ax, "x")
    ax.set(xlabel="tolerance [1]", ylabel="values n [1]", ylim=(0, 150))
    plot.legend(ax)


# -- 10: products of uniforms ----------------------------------------------------------------------

PRODUCT_BITS = list(range(2, 10))
PRODUCT_TRIALS, BATCH = 3000, 20
DRAWN = 48
USABLE = 20
FACTOR = (1.8, 2.2)
SAME_SLOPE = 0.15


def sample_products(smoke: bool, rng: np.random.Generator) -> Data:
    from slth.coverage import profiles

    trials = 100 if smoke else PRODUCT_TRIALS
    u, v = rng.uniform(-1, 1, (2, trials, DRAWN))
    # zeros add no sums: the usable products in order, and where among the draws each one stands
    places = np.argsort(u <= 0, axis=1, kind="stable")[:, :USABLE]
    rows = np.take_along_axis(np.maximum(u, 0) * v, places, axis=1)
    usable = needed(profiles(rows, threads=1), PRODUCT_BITS).astype(int)
    position = np.concatenate([places + 1, np.full((trials, 1), DRAWN + 1)], axis=1)
    uniform = needed(profiles(rng.uniform(-1, 1, (trials, 16)), threads=1), PRODUCT_BITS)
    drawn = np.take_along_axis(position, np.minimum(usable, USABLE + 1) - 1, axis=1)
    tables = {"usable": usable, "drawn": drawn, "uniform": uniform.astype(int)}
    return {key: packed(table) for key, table in tables.items()}


def batches(data: Data) -> dict[str, Floats]:
    """The least n of each trial, in batches that resample together: `[batches, trials, K]`."""
    tables = {key: unpacked(data[key]) for key in ("usable", "drawn", "uniform")}
    return {key: t.reshape(-1, BATCH, t.shape[1]) for key, t in tables.items()}


def judge_products(data: Data) -> tuple[Verdict, Control]:
    first = batches(data)
    size = len(first["uniform"])
    # the uniform trials are others than the products, so they are resampled apart
    seeds = {"usable": 5, "drawn": 5, "uniform": 6}
    n = {
        key: [n50(first[key], w) for w in (equal(size), weights(size, np.random.default_rng(seed)))]
        for key, seed in seeds.items()
    }
    factor = [(drawn / usable).mean(axis=-1) for drawn, usable in zip(
        n["drawn"], n["usable"], strict=True)]  # fmt: skip

    def steeper(key: str) -> Verdict:
        off = [slope(PRODUCT_BITS, a) - slope(PRODUCT_BITS, b)
               for a, b in zip(n[key], n["uniform"], strict=True)]  # fmt: skip
        return between(off[0][0], off[1], -SAME_SLOPE, SAME_SLOPE, "values a bit beyond uniform")

    parts = {
        "drawn over usable": between(factor[0][0], factor[1], *FACTOR, "mean factor"),
        "usable products": steeper("usable"),
    }
    return together(parts), Control("zeros counted as usable", steeper("drawn"))


def draw_products(ax: Any, data: Data) -> None:
    from slth import plot

    labels = {"drawn": "v·max(0, u), drawn", "usable": "of these, u > 0", "uniform": "uniform"}
    for series, (key, label) in enumerate(labels.items()):
        first = batches(data)[key]
        drawn = n50(first, weights(len(first), np.random.default_rng(5), 1000))
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        mid = np.clip(n50(first, equal(len(first)))[0], low, high)
        plot.band(ax, PRODUCT_BITS, low, mid, high, label, series=series)
    ax.set(xlabel="log2(1/ε) [bit]", ylabel="n50 [1]")
    plot.legend(ax)


CLAIMS = (
    Claim(
        7,
        "growth recursion",
        "The measure v of [−1/2, 1/2] within ε of a subset sum grows to v' with "
        "v ≤ v' ≤ 2v always and mean v(1 + (1 − v)/2) given the past, for every v (derived here; "
        "the device of da Cunha et al. (2022)).",
        f"ε = {EPSILON}, {RUNS} runs of {STEPS} values, v exact as a union of intervals: a "
        f"growth outside [1, 2], or a mean growth off by {MARGIN:.0%} in one of {len(BINS) - 1} "
        "bins of v.",
        sample_recursion, judge_recursion, draw_recursion, 1.0,
    ),
    Claim(
        8,
        "explicit certificates",
        "With n at least n(tolerance, δ) uniform values every z in [−1/2, 1/2] is within the "
        "tolerance of a subset sum with probability at least 1 − δ, for every method of the bound "
        "(derived here; the constant that Lueker (1998) leaves open).",
        f"More than δ = {DELTA} of {CERTIFIED_TRIALS} trials fail at the certified n, tolerance "
        f"{', '.join(map(str, TOLERANCES))}. A trial not covered by its first {LOOKED_AT[-1]} "
        "values counts as failed, which can only hurt the claim.",
        sample_certificates, judge_certificates, draw_certificates, 3.0,
    ),
    Claim(
        10,
        "price of products",
        "Of products v·max(0, u) about twice as many must be drawn as of usable ones (u > 0), and "
        "usable products need as many more a bit as plain uniform values, for every ε: the mixture "
        "argument of Pensia et al. (2020), Corollaries 1 and 2.",
        f"n50 at k = 2 … 9 bits, {PRODUCT_TRIALS} trials: mean factor outside {list(FACTOR)}, or "
        f"slopes that differ by more than {SAME_SLOPE} values a bit.",
        sample_products, judge_products, draw_products, 8.0,
    ),
)  # fmt: skip

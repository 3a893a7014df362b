"""The claim about quantised weights: from how many integers on a subset meets a target exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import RESAMPLES, Floats, between, together, weights
from sims._claims._shared import every
from sims._claims.subset_sums import equal, slope
from sims._protocol import Control
from slth.stats.verdict import Verdict

BITS = [6, 8, 10, 12, 14, 16]  # log2 M
SHARE = 0.3  # of M: the target
LIMIT = 30  # integers drawn; a trial that needs more is counted as needing one more
QUANTISED_TRIALS = 400
SLOPE = (0.9, 1.1)  # of n50 − ½·log2(n50) against log2 M
OFFSET = (-2.0, 2.0)  # of n50 − ½·log2(n50) − log2 M: the O(1)
SHARPER = 0.75  # relative width of the step at the largest M over that at the smallest
LEVELS = (0.2, 0.5, 0.8)


def first_solved(values: list[int], target: int) -> int:
    """The least n such that some subset of the first n integers adds up to the target exactly.

    Bit b of `sums` says whether b − shift is a subset sum.
    """
    sums, shift = 1, 0
    for n, v in enumerate(values, start=1):
        if v >= 0:
            sums |= sums << v
        else:
            sums |= sums << -v  # with and without v, once all is moved up by |v|
            shift -= v
        at = target + shift
        if at >= 0 and (sums >> at) & 1:
            return n
    return len(values) + 1


def sample_threshold(smoke: bool, rng: np.random.Generator) -> Data:
    trials = 40 if smoke else QUANTISED_TRIALS
    bits = BITS[:3] if smoke else BITS
    first: dict[str, list[list[int]]] = {"integers": [], "even": []}
    for m in bits:
        largest = 2**m
        target = round(SHARE * largest) | 1  # odd, out of reach of even integers
        rows = rng.integers(-largest, largest + 1, (trials, LIMIT))
        first["integers"].append([first_solved(row, target) for row in rows.tolist()])
        halves = rng.integers(-largest // 2, largest // 2 + 1, (10, LIMIT))
        first["even"].append([first_solved(row, target) for row in (2 * halves).tolist()])
    return {"bits": bits, **{key: np.array(table).T for key, table in first.items()}}


def quantiles(first: Floats, share: Floats, level: float) -> Floats:
    """The n at which the success frequency crosses the level, by a line between whole n: `[R, K]`
    from first `[trials, K]` and the trials' weights `[R, trials]`."""
    most = int(first.max())
    rates = np.stack([share @ (first <= n) for n in range(most + 1)], axis=-1)
    at = np.maximum((rates < level).sum(axis=-1), 1)
    low = np.take_along_axis(rates, at[..., None] - 1, -1)[..., 0]
    high = np.take_along_axis(rates, at[..., None], -1)[..., 0]
    return np.asarray(at - 1 + (level - low) / (high - low))


def summary(first: Floats, bits: list[int], share: Floats) -> dict[str, Floats]:
    """Slope and mean offset of n50 − ½·log2(n50), and how much narrower the step becomes."""
    low, n, high = (quantiles(first, share, level) for level in LEVELS)
    rest = n - 0.5 * np.log2(n)
    wide = (high - low) / n
    return {
        "slope": slope(bits, rest),
        "offset": (rest - bits).mean(axis=-1),
        "width": wide[:, -1] / wide[:, 0],
    }


def judge_threshold(data: Data) -> tuple[Verdict, Control]:
    claimed = {"slope": SLOPE, "offset": OFFSET, "width": (0.0, SHARPER)}

    def found(key: str) -> dict[str, Verdict]:
        first = np.array(data[key])
        share = weights(len(first), np.random.default_rng(31), RESAMPLES)
        one = summary(first, data["bits"], equal(len(first)))
        many = summary(first, data["bits"], share)
        return {k: between(one[k][0], many[k], *claimed[k], k) for k in claimed}

    broken = "even integers, an odd target"
    return together(found("integers")), Control(broken, every(found("even")))


def draw_threshold(ax: Any, data: Data) -> None:
    from slth import plot
    from slth.stats import clopper_pearson

    first = np.array(data["integers"])
    n = np.arange(1, LIMIT + 1)
    for series, column in enumerate((0, len(data["bits"]) // 2, len(data["bits"]) - 1)):
        hits = (first[:, column, None] <= n).sum(axis=0)
        low, high = clopper_pearson(hits, len(first))
        label = f"M = 2^{data['bits'][column]}"
        plot.band(ax, n, low, hits / len(first), high, label, series=series)
    ax.set(xlabel="integers n [1]", ylabel="share solved exactly [1]")
    plot.legend(ax, loc="lower right")


CLAIMS = (
    Claim(
        31,
        "quantised threshold",
        "A subset of n integers uniform in −M … M adds up to a target of order M exactly from "
        "about n = log2 M + ½·log2 n + O(1) on, and the step gets sharper: the phase transition "
        "of Borgs, Chayes and Pittel (2001), behind quantised tickets.",
        f"Over M = 2^{BITS[0]} … 2^{BITS[-1]}, target the odd number near {SHARE}·M: slope of "
        f"n50 − ½·log2(n50) a bit outside {SLOPE}, its mean excess over log2 M outside {OFFSET}, "
        f"or (n80 − n20)/n50 at the largest M above {SHARPER} of that at the smallest; "
        f"{QUANTISED_TRIALS} trials for each M, {RESAMPLES} resamples.",
        sample_threshold, judge_threshold, draw_threshold, 1.0,
    ),
)  # fmt: skip

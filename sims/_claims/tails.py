"""Claims about subset sums with high probability: its price a bit, and the failure's tail."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import RESAMPLES, Floats, at_least, between, together, weights
from sims._claims.subset_sums import needed, slope
from sims._protocol import Control
from slth.stats.verdict import Verdict

# -- 2: the price of high confidence ---------------------------------------------------------------

BITS = [3, 4, 5, 6, 7]
# called 3, …, 7 bits by the control: growth by more and more a step
BENT = [2.0, 2.5, 3.5, 5.0, 7.0]
CURVATURE = 0.15  # values a bit²
TRIALS, BATCHES = 19_200, 64
STAGES = (15, 20, 26)  # values looked at: few trials need the later ones


def first_hits(rng: np.random.Generator, trials: int, bits: list[float]) -> Floats:
    """The least n with tolerance at most 2^-bit, `[trials, bits]`; 27 where 26 do not do."""
    from slth.coverage import profiles

    rows = rng.uniform(-1, 1, (trials, STAGES[-1]))
    first = np.full((trials, len(bits)), STAGES[-1] + 1.0)
    for stage in STAGES:
        open_ = np.flatnonzero(first.max(axis=1) > STAGES[-1])
        found = needed(profiles(rows[open_, :stage], threads=1), bits)
        first[open_] = np.where(found > stage, STAGES[-1] + 1.0, found)
    return first


def counts(first: Floats, batches: int) -> Floats:
    """How many trials of each batch need n values: `[batches, bits, n]`, n = 0, 1, ..."""
    parts = first.reshape(batches, -1, first.shape[1])
    return np.stack([(parts == n).sum(axis=1) for n in range(STAGES[-1] + 2)], axis=-1)


def crossing(histogram: Floats, failure: Floats) -> Floats:
    """Where the failure frequency crosses `failure` `[K]`, ln failure taken as a line between whole
    n: `[R, K]` from counts `[R, K, n]`."""
    total = histogram.sum(axis=-1, keepdims=True)
    rates = np.maximum(1 - np.cumsum(histogram, axis=-1) / total, 0.25 / total)
    at = (rates > failure[:, None]).sum(axis=-1)
    high = np.log(np.take_along_axis(rates, at[..., None] - 1, -1)[..., 0])
    low = np.log(np.take_along_axis(rates, at[..., None], -1)[..., 0])
    return at - 1 + (high - np.log(failure)) / (high - low)


def curvature(n: Floats) -> Floats:
    """Least-squares quadratic coefficient of five equally spaced values `[..., 5]`."""
    return n @ np.array([2, -1, -2, -1, 2]) / 14


def sample_confidence(smoke: bool, rng: np.random.Generator) -> Data:
    trials, batches = (3200, 32) if smoke else (TRIALS, BATCHES)
    first = first_hits(rng, trials, [*BITS, *BENT])
    return {"bits": BITS, "bent": BENT, "counts": counts(first, batches)}


def confident(data: Data, part: slice, bits: list[float], resamples: int) -> tuple[Floats, Floats]:
    """n at which the success probability is 1 − 2^-bit: `[1, K]` and of resamples `[R, K]`."""
    table = np.array(data["counts"], dtype=np.float64)[:, part]
    failure = 2.0 ** -np.array(bits)
    share = weights(len(table), np.random.default_rng(2), resamples)
    drawn = np.tensordot(share, table, axes=1)
    return crossing(table.mean(axis=0)[None], failure), crossing(drawn, failure)


def judge_confidence(data: Data) -> tuple[Verdict, Control]:
    def found(part: slice, bits: list[float]) -> Verdict:
        n, drawn = confident(data, part, bits, RESAMPLES)
        return between(
            curvature(n)[0], curvature(drawn), -np.inf, CURVATURE,
            f"{slope(BITS, n)[0]:.3g} values a bit, curvature",
        )  # fmt: skip

    half = len(BITS)
    return found(slice(half), data["bits"]), Control(
        "tolerances that shrink faster and faster, called equal steps",
        found(slice(half, None), data["bent"]),
    )


def draw_confidence(ax: Any, data: Data) -> None:
    from slth import plot

    half = len(BITS)
    for series, (part, bits, label) in enumerate(
        ((slice(half), data["bits"], "measured"), (slice(half, None), data["bent"], "control"))
    ):
        n, drawn = confident(data, part, bits, 1000)
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        n = np.clip(n[0], low, high)
        plot.band(ax, BITS, low, n, high, label, series=series)
    ax.set(xlabel="log2(1/ε) [bit]", ylabel="n at success 1 − ε [1]")
    plot.legend(ax)


# -- 6: the failure's tail -------------------------------------------------------------------------

TOLERANCE = 0.1
TAIL = [8, 11, 14]  # decay from the first to the second against second to third
STEADY = 0.75
TAIL_TRIALS = 150_000
ONE_SIGNED = 0.05


def sample_tail(smoke: bool, rng: np.random.Generator) -> Data:
    from slth.coverage import profiles

    trials = 4000 if smoke else TAIL_TRIALS
    rows = rng.uniform(-1, 1, (trials, TAIL[-1]))
    first = needed(profiles(rows, threads=1), [-np.log2(TOLERANCE)])[:, 0]
    signed = rng.random(trials) < ONE_SIGNED
    stuck = np.where(signed, TAIL[-1] + 1, first)  # values of one sign reach no negative target
    ends = np.arange(TAIL[-1] + 3) - 0.5
    return {
        "needed": np.histogram(first, ends)[0],
        "stuck": np.histogram(stuck, ends)[0],
    }


def failures(histogram: Floats) -> Floats:
    """How often n values fail, n = 0, 1, …, 14: `[..., 15]`."""
    total = histogram.sum(axis=-1, keepdims=True)
    return (total - np.cumsum(histogram, axis=-1))[..., :-1]


def steadiness(failed: Floats) -> Floats:
    """The later rate of decay over the earlier one; 1 for an exponential."""
    logs = np.log(np.maximum(failed[..., TAIL], 0.5))
    return (logs[..., 1] - logs[..., 2]) / (logs[..., 0] - logs[..., 1])


def judge_tail(data: Data) -> tuple[Verdict, Control]:
    def steady(key: str) -> Verdict:
        table = np.array(data[key])
        total = int(table.sum())
        drawn = np.random.default_rng(3).multinomial(total, table / total, RESAMPLES)
        found = steadiness(failures(table))
        return between(float(found), steadiness(failures(drawn)), STEADY, np.inf, "late over early")

    table = np.array(data["needed"])
    failed = failures(table)
    floor = {
        f"failing (counted as success) at n = {n}": at_least(failed[n], table.sum(), 2.0 ** (1 - n))
        for n in (4, 6, *TAIL)
    }
    broken = f"{ONE_SIGNED:.0%} of the draws have one sign only"
    return together({"decay": steady("needed"), **floor}), Control(broken, steady("stuck"))


def draw_tail(ax: Any, data: Data) -> None:
    from slth import plot
    from slth.stats import clopper_pearson

    n = np.arange(3, TAIL[-1] + 1)
    for series, (key, label) in enumerate((("needed", "measured"), ("stuck", "control"))):
        table = np.array(data[key])
        failed, total = failures(table)[n], table.sum()
        low, high = clopper_pearson(failed, total)
        plot.band(ax, n, np.maximum(low, 0.1 / total), np.maximum(failed, 0.2) / total, high, label,
                  series=series)  # fmt: skip
    plot.curve(ax, n, 2.0 ** (1 - n), "least, 2^(1−n)", series=2)
    plot.log_scale(ax, "y")
    ax.set(xlabel="values n [1]", ylabel="failures [1]")
    plot.legend(ax)


CLAIMS = (
    Claim(
        2,
        "price of confidence",
        "Uniform values cover [−1/2, 1/2] within ε = 2^-k with probability 1 − ε at an n that is "
        "linear in k, for every k: n = O(log(1/ε)), Lueker (1998), Corollary 2 of Pensia et al. "
        "(2020).",
        f"The quadratic coefficient of n over k = 3 … 7 stays at most {CURVATURE} values a bit² "
        f"(the first reads about 2 values a bit); {TRIALS} trials of all 2^n sums.",
        sample_confidence, judge_confidence, draw_confidence, 2.0,
    ),
    Claim(
        6,
        "failure's tail",
        "At a fixed tolerance the chance that n uniform values leave some z in [−1/2, 1/2] "
        "uncovered falls exponentially in n, and never below 2^(1−n), the chance that all have one "
        "sign (derived here; da Cunha et al. (2022) for the exponential).",
        f"At tolerance {TOLERANCE}: the rate of decay over n = 11 … 14 is at least {STEADY} of "
        f"that over n = 8 … 11; failure at least 2^(1−n) at n = 4, 6, 8, 11, 14; "
        f"{TAIL_TRIALS} trials.",
        sample_tail, judge_tail, draw_tail, 6.0,
    ),
)  # fmt: skip

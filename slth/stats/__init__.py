"""Intervals, thresholds and the accounting of false alarms; the law fits of ``slth.stats.lawfit``.

Every interval here is exact or distribution-free, and every estimate that its sample is too small
for says so by an infinite end instead of guessing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.errors import BadInput
from slth.stats.curves import (
    LineFit,
    LocalSlope,
    fitting_range,
    line_fit,
    local_slope,
    synthetic,
)
from slth.stats.lawfit import (
    MARGIN,
    LackOfFit,
    LawFit,
    LawVerdict,
    Prediction,
    law_fit,
    law_verdict,
    need_fit,
)
from slth.stats.verdict import State, Verdict

__all__ = [
    "CONFIDENCE",
    "FALSE_ALARM",
    "MARGIN",
    "LackOfFit",
    "LawFit",
    "LawVerdict",
    "LineFit",
    "LocalSlope",
    "Prediction",
    "Quantile",
    "State",
    "Threshold",
    "Verdict",
    "clopper_pearson",
    "fitting_range",
    "frequency_verdict",
    "highest_level",
    "holm",
    "law_fit",
    "law_verdict",
    "line_fit",
    "local_slope",
    "need_fit",
    "quantile_with_interval",
    "settle",
    "synthetic",
    "threshold",
    "trials_needed",
]

CONFIDENCE = 0.95
"""Two-sided confidence of every interval unless the caller says otherwise."""

FALSE_ALARM = 0.01
"""Allowed probability of any false claim over all claims of one run (Holm 1979)."""


def _probability(name: str, value: float) -> float:
    if not 0.0 < value < 1.0:
        raise BadInput(name, value, "a number strictly between 0 and 1", "pass for example 0.95")
    return float(value)


def clopper_pearson(
    successes: ArrayLike, trials: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The exact interval of a success probability (Clopper & Pearson 1934).

    ``successes`` and ``trials`` broadcast to the shape of the two ends returned; no trials give
    [0, 1].  Each end alone errs with probability at most (1 - confidence)/2.  Raises ``BadInput``
    for negative counts or more successes than trials.
    """
    from scipy.special import betaincinv

    tail = (1.0 - _probability("confidence", confidence)) / 2.0
    k, n = np.broadcast_arrays(
        np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    )
    if not (np.all(k >= 0) and np.all(k <= n) and np.all(np.isfinite(n))):
        raise BadInput(
            "successes",
            f"{k.tolist()} of {n.tolist()}",
            "0 <= successes <= trials",
            "count the successes of the trials that ran",
        )
    # The parameters are clipped because np.where evaluates both branches.
    low = np.where(k > 0, betaincinv(np.maximum(k, 1.0), n - k + 1.0, tail), 0.0)
    high = np.where(k < n, betaincinv(k + 1.0, np.maximum(n - k, 1.0), 1.0 - tail), 1.0)
    return low, high


def highest_level(trials: int, confidence: float = CONFIDENCE) -> float:
    """The largest success probability that ``trials`` successes in a row can show."""
    return float(clopper_pearson(trials, trials, confidence)[0])


def trials_needed(level: float, confidence: float = CONFIDENCE) -> int:
    """The fewest trials whose success throughout shows a success probability of ``level``."""
    tail = (1.0 - _probability("confidence", confidence)) / 2.0
    trials = math.ceil(math.log(tail) / math.log(_probability("level", level)))
    # The quotient of two logarithms may land a hair on the wrong side of a whole number.
    while level**trials > tail:
        trials += 1
    while trials > 1 and level ** (trials - 1) <= tail:
        trials -= 1
    return trials


@dataclass(frozen=True)
class Threshold:
    """The smallest n of a grid whose success probability reaches ``level``, with its interval.

    An infinite ``n`` or ``high`` says that the grid or the number of trials ends too early to
    show it; ``monotone`` is False where the success counts fell somewhere along the grid.
    """

    n: float
    low: float
    high: float
    level: float
    confidence: float
    monotone: bool

    @property
    def decided(self) -> bool:
        """Whether the data bound the threshold from above."""
        return math.isfinite(self.high)


def threshold(
    n_grid: ArrayLike,
    successes: ArrayLike,
    trials: ArrayLike,
    level: float,
    confidence: float = CONFIDENCE,
) -> Threshold:
    """The n needed for success probability ``level``, from counts ``[K]`` on a grid ``[K]``.

    Sources are nested in n, so the success probability is nondecreasing, and with the same seeds
    at every n so are the counts.  Then ``low`` exceeds the true threshold only if the interval at
    that one n errs, and ``high`` falls short of it only if the interval at the grid point before
    it errs: the per-n Clopper–Pearson intervals need no correction for the length of the grid.
    Where counts fall all the same, ``n`` and ``high`` are taken past the last shortfall.
    """
    _probability("level", level)
    grid = np.asarray(n_grid, dtype=np.float64)
    k, t = np.broadcast_arrays(
        np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    )
    if grid.ndim != 1 or grid.size == 0 or k.shape not in ((), grid.shape):
        raise BadInput(
            "n_grid", f"shapes {grid.shape} and {k.shape}", "one count per n", "pass equal lengths"
        )
    if np.any(np.diff(grid) <= 0):
        raise BadInput("n_grid", grid.tolist(), "strictly increasing", "sort the grid")
    k, t = np.broadcast_to(k, grid.shape), np.broadcast_to(t, grid.shape)
    lower, upper = clopper_pearson(k, t, confidence)
    rate = np.divide(k, t, out=np.zeros_like(lower), where=t > 0)

    def from_there_on(reached: NDArray[np.bool_]) -> float:
        short = np.flatnonzero(~reached)
        start = int(short[-1]) + 1 if short.size else 0
        return float(grid[start]) if start < grid.size else math.inf

    possible = np.flatnonzero(upper >= level)
    low = float(grid[possible[0]]) if possible.size else math.inf
    monotone = bool(np.all(np.diff(rate) >= 0))
    return Threshold(
        from_there_on(rate >= level),
        low,
        from_there_on(lower >= level),
        level,
        confidence,
        monotone,
    )


@dataclass(frozen=True)
class Quantile:
    """A sample quantile in its distribution-free interval; an end is infinite where none exists."""

    value: float
    low: float
    high: float
    level: float
    confidence: float
    samples: int

    @property
    def decided(self) -> bool:
        """Whether the sample bounds the quantile from above."""
        return math.isfinite(self.high)


def quantile_with_interval(
    samples: ArrayLike, level: float, confidence: float = CONFIDENCE
) -> Quantile:
    """The ``level``-quantile of ``samples`` ``[S]`` between two order statistics.

    With n(ε) of every seed as samples, the (1-δ)-quantile is the n needed for success 1-δ.  The
    interval holds whatever the law, ties included: the j-th smallest lies below the quantile only
    if at least j of S draws do, and P(Bin(S, level) >= j) bounds that.  Where not even the largest
    sample will do, ``high`` is infinite.  A seed that never succeeds enters as infinity.
    """
    from scipy.special import bdtr

    _probability("level", level)
    tail = (1.0 - _probability("confidence", confidence)) / 2.0
    x = np.sort(np.asarray(samples, dtype=np.float64))
    if x.ndim != 1 or x.size == 0 or np.any(np.isnan(x)):
        raise BadInput(
            "samples", f"shape {x.shape}", "a list of numbers, without NaN", "pass one n per seed"
        )
    size = x.size
    below = bdtr(np.arange(size, dtype=np.float64), size, level)  # P(Bin <= j), j = 0 .. S-1
    upper = np.flatnonzero(1.0 - below <= tail)  # order statistic j+1 has P(Bin >= j+1) <= tail
    lower = np.flatnonzero(below <= tail)  # order statistic j+1 lies above with P(Bin <= j)
    estimate = x[max(math.ceil(round(level * size, 9)), 1) - 1]
    low = float(x[lower[-1]]) if lower.size else -math.inf
    high = float(x[upper[0]]) if upper.size else math.inf
    return Quantile(float(estimate), low, high, level, confidence, size)


def frequency_verdict(
    successes: int, trials: int, claimed: float, confidence: float = CONFIDENCE
) -> Verdict:
    """Whether a success probability of at least ``claimed`` is supported by a frequency.

    Supported when the Clopper–Pearson interval lies at or above ``claimed``, refuted when it lies
    below, undecided between.  ``p_value`` is the exact binomial tail of the state's opposite.
    """
    from scipy.special import bdtr, bdtrc

    _probability("claimed", claimed)
    low, high = (float(end) for end in clopper_pearson(successes, trials, confidence))
    evidence = {
        "successes": successes,
        "trials": trials,
        "claimed": claimed,
        "interval": [low, high],
    }
    shown = f"{successes} of {trials} succeeded, interval [{low:.3g}, {high:.3g}]"
    if low >= claimed:
        p = float(bdtrc(successes - 1, trials, claimed)) if successes else 1.0
        return Verdict(State.SUPPORTED, f"{shown}, claimed at least {claimed:g}", p, evidence)
    if high < claimed:
        p = float(bdtr(successes, trials, claimed))
        return Verdict(State.REFUTED, f"{shown}, claimed at least {claimed:g}", p, evidence)
    most = highest_level(trials, confidence) if trials else 0.0
    reason = f"{shown} holds the claimed {claimed:g}"
    if most < claimed:
        reason += f"; {trials} trials show no more than {most:.2f}"
    return Verdict(State.UNDECIDED, reason, None, evidence)


def holm(p_values: ArrayLike, alpha: float = FALSE_ALARM) -> NDArray[np.bool_]:
    """Which of ``p_values`` ``[m]`` are rejected at family-wise level ``alpha`` (Holm 1979)."""
    _probability("alpha", alpha)
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise BadInput("p_values", p.tolist(), "a list of numbers in [0, 1]", "pass probabilities")
    order = np.argsort(p, kind="stable")
    passed = p[order] <= alpha / np.arange(p.size, 0, -1)
    rejected = np.zeros(p.size, dtype=np.bool_)
    rejected[order] = np.logical_and.accumulate(passed)
    return rejected


def settle(verdicts: Mapping[str, Verdict], alpha: float = FALSE_ALARM) -> dict[str, Verdict]:
    """All claims of a run together, false alarms at most ``alpha`` over all of them (Holm).

    A supported or refuted verdict whose p-value does not survive becomes undecided and says why;
    exact checks and silent verdicts are no tests and stay as they are. A claim that was tested and
    came out undecided counts in the family with p = 1: leaving it out would be a choice made after
    seeing the data.
    """
    tested = {
        name: verdict.p_value
        for name, verdict in verdicts.items()
        if verdict.p_value is not None and verdict.state in (State.SUPPORTED, State.REFUTED)
    }
    idle = sum(verdict.state == State.UNDECIDED for verdict in verdicts.values())
    family = len(tested) + idle
    survived = holm([*tested.values(), *[1.0] * idle], alpha)[: len(tested)]
    kept = dict(zip(tested, survived, strict=True))

    def settled(name: str, verdict: Verdict) -> Verdict:
        if kept.get(name, True):
            return verdict
        reason = (
            f"{verdict.state} alone (p = {verdict.p_value:.2g}), not among {family} claims "
            f"at {alpha:g} together (Holm): {verdict.reason}"
        )
        return replace(verdict, state=State.UNDECIDED, reason=reason)

    return {name: settled(name, verdict) for name, verdict in verdicts.items()}

"""Verdicts at the level that one of 32 claims is allowed, and the resampling behind intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sims._claims import CONFIDENCE, LEVEL
from slth.stats import frequency_verdict
from slth.stats.verdict import State, Verdict

Floats = NDArray[np.float64]
RESAMPLES = 10_000  # enough to see a level of 0.01/32


def at_least(successes: int, trials: int, claimed: float) -> Verdict:
    """Whether a success probability of at least `claimed` is supported, by Clopper–Pearson."""
    return frequency_verdict(int(successes), int(trials), claimed, CONFIDENCE)


def at_most(failures: int, trials: int, claimed: float) -> Verdict:
    """Whether a failure probability of at most `claimed` is supported, by Clopper–Pearson."""
    found = frequency_verdict(int(trials - failures), int(trials), 1 - claimed, CONFIDENCE)
    low, high = (1 - end for end in reversed(found.evidence["interval"]))  # type: ignore[call-overload]
    reason = (
        f"{failures} of {trials} failed, interval [{low:.3g}, {high:.3g}], "
        f"claimed at most {claimed:g}"
    )
    evidence = {"failures": int(failures), "trials": int(trials), "claimed": claimed,
                "interval": [low, high]}  # fmt: skip
    return Verdict(found.state, reason, found.p_value, evidence)


def weights(seeds: int, rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """How often each seed is drawn in each resample, over the number of seeds: `[R, seeds]`."""
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds


def packed(table: ArrayLike) -> list[str]:
    """A table of whole numbers from 0 to 75, a string a column and a character an entry."""
    return ["".join(chr(48 + n) for n in column) for column in np.asarray(table).T.tolist()]


def unpacked(columns: list[str]) -> NDArray[np.int64]:
    """The table that `packed` packed."""
    return np.array([[ord(c) - 48 for c in column] for column in columns]).T


def between(estimate: float, resampled: ArrayLike, low: float, high: float, what: str) -> Verdict:
    """Whether a quantity lies in [low, high], from its values in resamples `[R]` of the seeds.

    Supported where the resamples beyond either end number at most LEVEL of all, refuted where so
    few lie on the near side of one end. The p-value counts the estimate itself as a resample.
    """
    draws = np.asarray(resampled, dtype=np.float64)
    total = len(draws) + 1
    beyond = {end: (1 + int(count)) / total for end, count in
              (("low", (draws < low).sum()), ("high", (draws > high).sum()))}  # fmt: skip
    inside = {"low": (1 + int((draws >= low).sum())) / total,
              "high": (1 + int((draws <= high).sum())) / total}  # fmt: skip
    ends = np.quantile(draws, [LEVEL, 1 - LEVEL])
    reason = f"{what} {estimate:.4g}, interval [{ends[0]:.4g}, {ends[1]:.4g}]"
    reason += f", claimed {_span(low, high)}"
    evidence = {"estimate": float(estimate), "interval": ends.tolist(), "claimed": _ends(low, high)}
    if low <= estimate <= high and max(beyond.values()) <= LEVEL:
        return Verdict(State.SUPPORTED, reason, max(beyond.values()), evidence)
    for end, out in (("low", estimate < low), ("high", estimate > high)):
        if out and inside[end] <= LEVEL:
            return Verdict(State.REFUTED, reason, inside[end], evidence)
    return Verdict(State.UNDECIDED, reason, None, evidence)


def mean_between(mean: float, error: float, low: float, high: float, what: str) -> Verdict:
    """Whether a mean with this standard error lies in [low, high], by the normal law."""
    from scipy.special import ndtr, ndtri

    reach = -float(ndtri(LEVEL)) * error
    reason = f"{what} {mean:.4g} ± {reach:.2g}, claimed {_span(low, high)}"
    evidence = {"mean": float(mean), "error": float(error), "claimed": _ends(low, high)}
    if low + reach <= mean <= high - reach:
        p_value = float(ndtr(-min(mean - low, high - mean) / error)) if error else 0.0
        return Verdict(State.SUPPORTED, reason, p_value, evidence)
    if mean < low - reach or mean > high + reach:
        p_value = float(ndtr(-max(low - mean, mean - high) / error)) if error else 0.0
        return Verdict(State.REFUTED, reason, p_value, evidence)
    return Verdict(State.UNDECIDED, reason, None, evidence)


def close(distance: float, draws: int, margin: float, what: str) -> Verdict:
    """Whether two distribution functions differ by at most `margin` anywhere.

    distance: sup |F_n − F| of `draws` independent draws. By the inequality of Dvoretzky, Kiefer and
    Wolfowitz (1956) with the constant of Massart (1990), the chance that it is off by t is at most
    2 exp(−2 n t²).
    """
    p = min(1.0, 2 * math.exp(-2 * draws * (margin - distance) ** 2))
    reason = f"{what}: sup |F_n − F| = {distance:.2g} over {draws} draws, margin {margin:g}"
    evidence = {"distance": float(distance), "draws": int(draws), "margin": margin}
    if p > LEVEL:
        return Verdict(State.UNDECIDED, reason, None, evidence)
    return Verdict(State.SUPPORTED if distance <= margin else State.REFUTED, reason, p, evidence)


def together(parts: Mapping[str, Verdict]) -> Verdict:
    """One verdict on a claim of several parts: all must hold; the least sure one gives the reason.

    Supported if every part is (its p-value the largest of theirs: each part had to pass alone);
    refuted if one part is (its p-value times the number of tested parts, Bonferroni).
    """
    tested = [v for v in parts.values() if v.p_value is not None]
    evidence = {name: {"state": str(v.state), **v.evidence} for name, v in parts.items()}
    bad = {name: v for name, v in parts.items() if v.state == State.REFUTED}
    open_ = {name: v for name, v in parts.items() if v.state != State.SUPPORTED}
    if any(v.p_value is None for v in bad.values()):
        exact = {name: v for name, v in bad.items() if v.p_value is None}
        return Verdict(State.REFUTED, _reason(exact, "are refuted"), None, evidence)
    if bad:
        surest = sorted(bad, key=lambda name: bad[name].p_value or 0.0)
        p = min(1.0, len(tested) * (bad[surest[0]].p_value or 0.0))
        if p <= LEVEL:
            why = _reason({name: bad[name] for name in surest}, "are refuted")
            return Verdict(State.REFUTED, why, p, evidence)
    if open_:
        return Verdict(State.UNDECIDED, _reason(open_, "are open"), None, evidence)
    weakest = sorted(parts, key=lambda name: -(parts[name].p_value or 0.0))
    p_value = parts[weakest[0]].p_value
    return Verdict(
        State.SUPPORTED, _reason({n: parts[n] for n in weakest}, "hold"), p_value, evidence
    )


def _reason(parts: Mapping[str, Verdict], end: str) -> str:
    first = next(iter(parts))
    others = f" ({len(parts) - 1} more parts {end})" if len(parts) > 1 else ""
    return f"{first}: {parts[first].reason}{others}"


def _span(low: float, high: float) -> str:
    if math.isinf(low):
        return f"at most {high:g}"
    return f"at least {low:g}" if math.isinf(high) else f"in [{low:g}, {high:g}]"


def _ends(low: float, high: float) -> list[float | None]:
    return [None if math.isinf(end) else float(end) for end in (low, high)]

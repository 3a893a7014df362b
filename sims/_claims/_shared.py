"""What several claims share: half-points of counted frequencies, laws told apart by three widths,
and controls of several parts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from sims._claims._judging import RESAMPLES, Floats, between, weights
from slth.stats.verdict import State, Verdict

STEEPER = 1.5  # decay from 2n to 4n over that from n to 2n: 1 for a power law, 2 for an exponential


def every(parts: Mapping[str, Verdict]) -> Verdict:
    """One verdict on a control of several parts: refuted only where every part is.

    A claim of several parts is refuted by one; a control that only one part catches would say
    nothing about the others.
    """
    slipped = {name: v for name, v in parts.items() if v.state != State.REFUTED}
    shown = slipped or dict(parts)
    first = next(iter(shown))
    others = f" ({len(shown) - 1} more parts)" if len(shown) > 1 else ""
    reason = f"{first}: {shown[first].reason}{others}"
    evidence = {name: {"state": str(v.state), **v.evidence} for name, v in parts.items()}
    if slipped:
        return Verdict(next(iter(slipped.values())).state, reason, None, evidence)
    p_value = max((v.p_value for v in parts.values() if v.p_value is not None), default=None)
    return Verdict(State.REFUTED, reason, p_value, evidence)


def mean_within(x: ArrayLike, low: float, high: float, what: str, parts: int = 1) -> Verdict:
    """Whether the mean over seeds of x `[seeds]` lies in [low, high], by resampling the seeds.

    parts: of the claim; the more there are, the smaller a p-value one of them must reach to refute.
    """
    values = np.asarray(x, dtype=np.float64)
    resamples = RESAMPLES * -(-parts // 3)
    share = weights(len(values), np.random.default_rng(1), resamples)
    return between(values.mean(), share @ values, low, high, what)


def steepening(errors: ArrayLike) -> Floats:
    """ln(e_2/e_3) − 1.5·ln(e_1/e_2) of errors `[seeds, 3]` at n, 2n, 4n: above 0 for an exponential
    and below for a power law, where the decay of ln e from 2n to 4n is 2 and 1 times that before.
    """
    logs = np.log(np.asarray(errors, dtype=np.float64))
    return np.asarray((logs[:, 1] - logs[:, 2]) - STEEPER * (logs[:, 0] - logs[:, 1]))


def spread(table: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The quartiles over seeds of a table `[seeds, K]`, to draw: low, mid, high."""
    low, mid, high = np.quantile(np.asarray(table, dtype=np.float64), [0.25, 0.5, 0.75], axis=0)
    return low, mid, high


def half_points(grid: ArrayLike, rates: ArrayLike) -> Floats:
    """Where rates `[..., K]` over an increasing grid `[K]` first reach 1/2, a line in ln(grid)
    between grid points; an end of the grid where they do not cross it: `[...]`."""
    x, y = np.log(np.asarray(grid, dtype=np.float64)), np.asarray(rates, dtype=np.float64)
    reached = y >= 0.5
    at = np.where(reached.any(axis=-1), reached.argmax(axis=-1), len(x) - 1)
    before = np.maximum(at - 1, 0)
    low = np.take_along_axis(y, before[..., None], -1)[..., 0]
    high = np.take_along_axis(y, at[..., None], -1)[..., 0]
    rise = high - low
    part = np.clip(np.divide(0.5 - low, rise, out=np.ones_like(rise), where=rise > 0), 0, 1)
    return np.asarray(np.exp(x[before] + part * (x[at] - x[before])))


def resampled_rates(
    hits: ArrayLike, trials: ArrayLike, seed: int, resamples: int = RESAMPLES
) -> Floats:
    """Frequencies `[R, ...]` of the resampled trials behind independent counts `[...]`."""
    counts, total = np.broadcast_arrays(np.asarray(hits), np.asarray(trials))
    rng = np.random.default_rng(seed)
    return np.asarray(rng.binomial(total, counts / total, (resamples, *counts.shape)) / total)

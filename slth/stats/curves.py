"""Curves without a law: the range to fit, local slopes, straight lines, and synthetic controls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.errors import BadInput
from slth.stats.resample import (
    RESAMPLES,
    Floats,
    band,
    increasing,
    interval,
    paired,
    resampled_means,
)

RANGE_START = 0.1
"""The fitting range starts where the median error is under this fraction of the target's norm."""

RANGE_END = 1e-12
"""It ends with the first n whose median error is under this: below, rounding is measured."""


def fitting_range(n: ArrayLike, errors: ArrayLike, norm: float) -> slice:
    """The stretch of ``n`` ``[K]`` to fit, from a pilot's errors ``[seeds, K]`` and sup||f||.

    From the first n whose median is under ``RANGE_START``·norm to the first under ``RANGE_END``,
    both included.  Fix it from a pilot, not from the data that are fitted.
    """
    grid = increasing("n", n, 1)
    median = np.median(paired("errors", errors, grid.size), axis=0)
    starts = np.flatnonzero(median < RANGE_START * norm)
    ends = np.flatnonzero(median < RANGE_END)
    start = int(starts[0]) if starts.size else grid.size
    return slice(start, int(ends[0]) + 1 if ends.size else grid.size)


@dataclass(frozen=True)
class LocalSlope:
    """-d ln e / d ln n between adjacent n, at their geometric mean, with a simultaneous band."""

    n: tuple[float, ...]
    slope: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def local_slope(
    n: ArrayLike,
    errors: ArrayLike,
    rng: np.random.Generator | int,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> LocalSlope:
    """The local power -Δ ln e/Δ ln n of errors ``[seeds, K]`` > 0 between adjacent ``n`` ``[K]``.

    A power law shows a constant, an exponential a line through the origin in n.
    """
    grid = increasing("n", n, 2)
    table = paired("errors", errors, grid.size)
    if np.any(table <= 0):
        raise BadInput(
            "errors", float(table.min()), "positive numbers", "end the range above rounding"
        )
    slopes = -np.diff(np.log(table), axis=1) / np.diff(np.log(grid))
    centre = slopes.mean(axis=0)
    stack = resampled_means(slopes, resamples, rng)
    low, high = band(stack, centre, slopes.shape[0], confidence)
    parts = (np.sqrt(grid[:-1] * grid[1:]), centre, low, high)
    return LocalSlope(*(tuple(map(float, part)) for part in parts))


@dataclass(frozen=True)
class LineFit:
    """A straight line through means over seeds; ``low``/``high`` bound the slope."""

    slope: float
    intercept: float
    low: float
    high: float
    seeds: int


def line_fit(
    x: ArrayLike,
    y_samples: ArrayLike,
    rng: np.random.Generator | int,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> LineFit:
    """Least-squares line of ``y_samples`` ``[seeds, K]`` on ``x`` ``[K]``, K >= 2 distinct.

    The same x for every seed makes the line of the means the mean of the seeds' lines, so the
    interval resamples the seeds' own slopes.  Fewer than two seeds give an infinite interval.
    """
    grid = np.asarray(x, dtype=np.float64)
    if grid.ndim != 1 or not np.all(np.isfinite(grid)) or np.unique(grid).size < 2:
        raise BadInput("x", grid.tolist(), "two or more distinct finite numbers", "measure more x")
    table = paired("y_samples", y_samples, grid.size)
    centred = grid - grid.mean()
    slopes = table @ centred / (centred @ centred)
    slope, seeds = float(slopes.mean()), table.shape[0]
    low, high = -math.inf, math.inf
    if seeds > 1:
        stack = resampled_means(slopes[:, None], resamples, rng)
        low, high = (float(end[0]) for end in interval(stack, seeds, confidence))
    return LineFit(slope, float(table.mean()) - slope * float(grid.mean()), low, high, seeds)


def synthetic(
    law: Literal["power", "exponential", "mixed"],
    n: ArrayLike,
    seeds: int,
    rng: np.random.Generator | int,
    rate: float | None = None,
    noise: float = 1.0,
    correlation: float = 0.8,
) -> NDArray[np.float64]:
    """Control errors ``[seeds, K]`` of a known law, with the noise that nested sources have.

    "power" is n^-rate (2 unless given), "exponential" e^(-rate·n) (0.95·ln 2, a gadget's measured
    rate), "mixed" the exponential up to the middle n and from there 1/n.  The error of a best
    subset among many is nearly exponentially distributed about its scale, so ln e is disturbed by
    ``noise``·ln Exp(1); along n a seed's disturbances are a first-order autoregression with
    ``correlation`` between neighbours (in normal scores).
    """
    from scipy.special import log_ndtr

    grid = increasing("n", n, 2)
    draw = np.random.default_rng(rng)
    steep = 0.95 * math.log(2.0) if rate is None else rate
    if law == "power":
        curve: Floats = -(2.0 if rate is None else rate) * np.log(grid)
    elif law == "exponential":
        curve = -steep * grid
    elif law == "mixed":
        elbow = grid[grid.size // 2]
        curve = -steep * np.minimum(grid, elbow) - np.log(np.maximum(grid / elbow, 1.0))
    else:
        raise BadInput("law", law, "power, exponential or mixed", "name one of the three")
    scores = draw.standard_normal((seeds, grid.size))
    fresh = math.sqrt(1.0 - correlation**2)
    for k in range(1, grid.size):
        scores[:, k] = correlation * scores[:, k - 1] + fresh * scores[:, k]
    errors: NDArray[np.float64] = np.exp(curve + noise * np.log(-log_ndtr(-scores)))
    return errors

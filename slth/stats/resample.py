"""Resampling of seeds: the seed is the unit, all n of one seed travel together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.errors import BadInput

Floats = NDArray[np.float64]

RESAMPLES = 2000
"""Resamples of the seeds behind every interval."""


def paired(name: str, values: ArrayLike, points: int) -> Floats:
    """``values`` as a float64 table ``[seeds, points]``; raises ``BadInput`` otherwise."""
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] != points:
        raise BadInput(
            name, f"shape {table.shape}", f"[seeds, {points}]", "give every seed a value at every n"
        )
    if not np.all(np.isfinite(table)):
        raise BadInput(
            name,
            f"{int(np.sum(~np.isfinite(table)))} entries not finite",
            "finite numbers",
            "drop the columns where a seed has no value",
        )
    return table


def increasing(name: str, values: ArrayLike, least: int) -> Floats:
    """``values`` as a strictly increasing, positive float64 vector of at least ``least``."""
    grid = np.asarray(values, dtype=np.float64)
    good = grid.ndim == 1 and grid.size >= least and bool(np.all(np.isfinite(grid)))
    if not good or grid[0] <= 0 or np.any(np.diff(grid) <= 0):
        raise BadInput(
            name,
            grid.tolist(),
            f"at least {least} positive, strictly increasing numbers",
            "sort the grid and measure more points",
        )
    return grid


def resampled_means(table: Floats, resamples: int, rng: np.random.Generator | int) -> Floats:
    """Column means ``[resamples, points]`` of a table ``[seeds, points]`` of resampled seeds."""
    seeds = table.shape[0]
    draw = np.random.default_rng(rng)
    counts = draw.multinomial(seeds, np.full(seeds, 1.0 / seeds), size=resamples)
    # Centring first keeps resamples of equal seeds equal to the mean to the last bit.
    mean = table.mean(axis=0)
    means: Floats = mean + (counts / seeds) @ (table - mean)
    return means


def tails(seeds: int, confidence: float) -> tuple[float, float]:
    """The two quantile levels of resamples that make an interval of ``confidence``.

    The plain percentile interval of a mean is too short by √((S-1)/S) and uses the normal instead
    of Student's t; Hesterberg (2015) widens the levels so that it matches the t interval.
    """
    from scipy.special import ndtr, stdtrit

    if seeds < 2:
        return 0.0, 1.0
    widened = np.sqrt(seeds / (seeds - 1)) * stdtrit(seeds - 1, (1.0 - confidence) / 2.0)
    low = float(ndtr(widened))
    return low, 1.0 - low


def interval(samples: Floats, seeds: int, confidence: float) -> tuple[Floats, Floats]:
    """Low and high ends over the first axis of resampled statistics."""
    low, high = np.quantile(samples, tails(seeds, confidence), axis=0)
    return low, high


def band(samples: Floats, centre: Floats, seeds: int, confidence: float) -> tuple[Floats, Floats]:
    """A simultaneous band over ``[points]`` from resampled curves ``[resamples, points]``.

    The pointwise interval is widened on both sides by one common factor until ``confidence`` of
    the resampled curves stay inside at every point; the sides keep their own lengths, because
    extrapolated curves are skewed.
    """
    low, high = interval(samples, seeds, confidence)
    tiny = np.finfo(np.float64).tiny
    below, above = np.maximum(centre - low, tiny), np.maximum(high - centre, tiny)
    off = samples - centre
    depth = np.maximum(off / above, -off / below).max(axis=1)
    factor = max(1.0, float(np.quantile(depth, confidence)))
    return centre - factor * below, centre + factor * above

"""The dynamic program behind `n_rss(..., method="dynamic")`, evaluated with rounding upward.

Of the covered measure v only two facts are used: given the past, the next value has mean
m(v) = v(1 + (1 − v)/2) and lies in [v, min(2v, 1)]. The largest failure probability that these two
allow is

    F_0(v) = 1 if v <= 1 − ε else 0,
    F_{t+1}(v) = (upper concave envelope of F_t on [v, min(2v, 1)]) at m(v),

because the largest mean of F_t over laws with a given mean and range is that envelope's value.
F_t is nonincreasing: for v < v' a law with v's mean and range that stays below a given one of v' is
G = G' + c(1 − G') with growth 1 + G and c = (v' − v)/(1 + v') for v' <= 1/2, and the same with the
uncovered measure 1 − v for v >= 1/2. Hence on a grid g_0 < g_1 < ... the step function with value
F_t(g_i) on [g_i, g_{i+1}) lies above F_t, and its envelope's corners are (g_{i+1}, F_t(g_i)).
(The envelope of grid values alone would err on the unsafe side.) The grid is geometric in v up to
1/2 and in 1 − v beyond, so a step of growth is never lost in one cell.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import njit

from slth.bounds import Floats
from slth.errors import BadInput

POINTS_PER_OCTAVE = 512
STEPS = 100_000


def coverage_grid(tolerance: float, points: int = POINTS_PER_OCTAVE) -> Floats:
    """From the tolerance 2ε up to 1 − ε, then the next float, where success begins."""
    start, last = np.nextafter(tolerance, 0.0), np.nextafter(1 - tolerance / 2, 1.0)
    below = _geometric(start, min(0.5, last), points)
    above = 1 - _geometric(1 - last, 0.5, points)[::-1] if last > 0.5 else np.empty(0)
    inner = np.concatenate([below, above])
    inner = np.unique(inner[(inner > start) & (inner < last)])
    return np.concatenate([[start], inner, [last, np.nextafter(last, 2.0)]])


def _geometric(low: float, high: float, points: int) -> Floats:
    if low >= high:
        return np.array([low])
    return np.geomspace(low, high, max(2, int(np.ceil(points * np.log2(high / low)) + 1)))


@njit(cache=True, nogil=True)
def envelope_step(grid, failure):  # type: ignore[no-untyped-def]
    """F_{t+1} on the grid `[m]` from F_t; a monotone-chain hull per point, left to right."""
    size = grid.size
    result = np.zeros(size)
    hull_x = np.empty(size + 2)
    hull_y = np.empty(size + 2)
    for j in range(size - 1):  # at the last point success is certain
        v = grid[j]
        high = min(2.0 * v, 1.0)
        # a mean rounded down is on the safe side, since the envelope falls
        mean = v * (1.0 + 0.5 * (1.0 - v)) * (1.0 - 1e-15)
        hull_x[0], hull_y[0] = v, failure[j]
        top = 0
        i = j
        while True:
            inside = i + 1 < size and grid[i + 1] <= high
            x = grid[i + 1] if inside else high
            y = failure[i]
            if x > hull_x[top]:
                while top > 0 and (hull_y[top] - hull_y[top - 1]) * (x - hull_x[top - 1]) <= (
                    y - hull_y[top - 1]
                ) * (hull_x[top] - hull_x[top - 1]):
                    top -= 1
                top += 1
                hull_x[top], hull_y[top] = x, y
            if not inside:
                break
            i += 1
        k = 1
        while k < top and hull_x[k] < mean:
            k += 1
        share = (mean - hull_x[k - 1]) / (hull_x[k] - hull_x[k - 1])
        share = min(max(share, 0.0), 1.0)
        value = hull_y[k - 1] * (1.0 - share) + hull_y[k] * share
        # Rounding in the chain costs a few ulps of F_t(v), and the value is at least F_t(v)/2.
        result[j] = min(1.0, value * (1.0 + 1e-13))
    return result


@cache
def least_steps(tolerance: float, delta: float, points: int = POINTS_PER_OCTAVE) -> int:
    """The least n with F_n(tolerance) <= δ; tolerance in (0, 1/2)."""
    if tolerance < 1e-6:
        raise BadInput(
            "tolerance", tolerance, ">= 1e-6 by dynamic programming", 'use method="phases"'
        )
    grid = coverage_grid(tolerance, points)
    failure = _start(grid)
    for step in range(STEPS):
        if failure[0] <= delta:
            return step
        failure = envelope_step(grid, failure)
    raise BadInput("delta", delta, f"reached within {STEPS} steps", 'use method="phases"')


def failure_bounds(tolerance: float, steps: int, points: int = POINTS_PER_OCTAVE) -> Floats:
    """F_0, ..., F_steps at the tolerance: `[steps + 1]` bounds on the failure probability."""
    grid = coverage_grid(tolerance, points)
    failure = _start(grid)
    result = [failure[0]]
    for _ in range(steps):
        failure = envelope_step(grid, failure)
        result.append(failure[0])
    return np.array(result)


def _start(grid: Floats) -> Floats:
    failure = np.ones(grid.size)
    failure[-1] = 0.0
    return failure

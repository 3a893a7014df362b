"""The one way to a Solution: whoever finds a mask only claims, and the mask is re-added exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.subsetsum import Floats, Problem, Solution, Status
from slth.threads import chunks, workers

MANY = 1 << 15  # rows of which a bound is looked up by several threads


def spread(total: int, work: Callable[[int, int], object], threads: int | None = None) -> None:
    """Call work(start, stop) over `[0, total)` on several threads; work must release the GIL."""
    count = min(workers() if threads is None else threads, total)
    if count <= 1:
        work(0, total)
        return
    # several pieces a thread, because rows differ in cost
    pieces = chunks(total, 8 * count)
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work, start, stop) for start, stop in pieces]:
            done.result()


def finish(
    problem: Problem,
    mask: NDArray[np.bool_],
    lower: Floats | None = None,
    used: NDArray[np.int64] | None = None,
    threads: int | None = None,
    admissible: NDArray[np.bool_] | None = None,
) -> Solution:
    """Error and status of masks `[N, n]`, for scalar and vector targets.

    lower: `[N]`, the finder's proof that no admissible subset has an error below it (-inf: none).
    Solved means error <= epsilon; without an epsilon it means that the error is as low as `lower`
    up to twice the float rounding of the sums (twice `rounding_bound`, zero on dyadic grids).
    None exists means lower > epsilon, where a target out of reach of all sums counts as well.
    admissible: `[N]`, False where the mask is not even of the kind asked for (exactly k kept); with
    lower = inf that says that there is no such subset at all, with or without an epsilon.
    """
    parts, epsilon = problem.coordinates(), problem.epsilon
    error = _largest(errors(values, mask, targets, threads) for values, targets in parts)
    floor = np.full(len(error), -np.inf) if lower is None else lower.copy()
    if epsilon is None:
        solved = np.zeros(len(error), np.bool_)
        rows = np.flatnonzero(np.isfinite(floor) & np.isfinite(error))
        with np.errstate(invalid="ignore"):
            slack = np.nan_to_num(2 * _largest(bounds(*part, rows) for part in parts))
        solved[rows] = error[rows] <= floor[rows] + slack
        none = np.isposinf(floor)
    else:
        solved = error <= epsilon
        rows = np.flatnonzero(~solved)
        if rows.size:
            reach = _largest(out_of_reach(*part, rows) for part in parts)
            floor[rows] = np.maximum(floor[rows], reach)
        none = floor > epsilon
    if admissible is not None:
        solved &= admissible
    status = np.full(len(error), Status.GAVE_UP, np.int8)
    status[none] = Status.NONE_EXISTS
    status[solved] = Status.SOLVED
    return Solution(mask, error, status, used)


def _largest(parts: Iterable[Floats]) -> Floats:
    """The largest of each row's coordinates, NaN where one is."""
    return reduce(np.maximum, parts)


def errors(
    values: Floats, mask: NDArray[np.bool_], targets: Floats, threads: int | None = None
) -> Floats:
    """`[N]`: the smallest float64 (or inf) that is at least |sum of kept values - target|."""
    from slth.subsetsum._kernels import residuals_up

    error = np.empty(len(targets))
    own = len(values) > 1

    def work(start: int, stop: int) -> None:
        part = values[start:stop] if own else values
        residuals_up(part, mask[start:stop], targets[start:stop], error[start:stop])

    spread(len(targets), work, threads)
    for row in np.flatnonzero(np.isnan(error)):  # a partial sum overflowed: rationals cannot
        error[row] = error_by_rationals(values[row if own else 0][mask[row]], targets[row])
    return error


def error_by_rationals(kept: Floats, target: float) -> float:
    """The same number, slowly and without overflow."""
    exact = abs(sum((Fraction(float(v)) for v in kept), -Fraction(float(target))))
    try:
        near = float(exact)
    except OverflowError:
        return math.inf
    return near if Fraction(near) >= exact else math.nextafter(near, math.inf)


def bounds(values: Floats, targets: Floats, rows: NDArray[np.intp]) -> Floats:
    """`rounding_bound` of the given rows; NaN where sums may overflow."""
    from slth.subsetsum._kernels import rounding_bounds

    bound = np.empty(len(rows))

    def work(start: int, stop: int) -> None:
        rounding_bounds(values, targets, rows[start:stop], bound[start:stop])

    spread(len(rows), work, None if len(rows) >= MANY else 1)
    return bound


def out_of_reach(values: Floats, targets: Floats, rows: NDArray[np.intp]) -> Floats:
    """A lower bound on every subset's error, positive where the target is beyond all sums."""
    v = values[rows] if len(values) > 1 else values
    with np.errstate(over="ignore", invalid="ignore"):
        most = np.where(v > 0, v, 0.0).sum(axis=1)
        least = np.where(v < 0, v, 0.0).sum(axis=1)
        size = most - least + np.abs(targets[rows])
        gap = np.maximum(targets[rows] - most, least - targets[rows])
        floor = gap - (v.shape[1] + 4) * 2.0**-52 * size
    return np.where(np.isfinite(floor), floor, -np.inf)


def refuse_more_than(most: int, values: Floats) -> None:
    """Raises BadInput where a row has more than `most` usable values."""
    count = int(np.count_nonzero(values, axis=1).max())
    if count > most:
        raise BadInput(
            "values",
            f"{count} usable values in a row",
            f"up to {most}",
            "use FirstHit, Greedy or BestSingle, or fewer values",
        )

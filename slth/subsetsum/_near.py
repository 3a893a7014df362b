"""The closest pair of two sets of points in up to four dimensions, in the max norm.

Its kernels call none of other files: see the note in `_kernels`.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slth.subsetsum import Floats

Places = NDArray[np.int64]
FINE = 1.0 + 2.0**-20  # a slab is that much wider than needed, so rounding skips none


@njit(cache=True, nogil=True)
def _into_slabs(slab, order, count, start, out):  # type: ignore[no-untyped-def]
    """out = order, stably sorted by slab; start[s] = where slab s begins, `[count + 1]`."""
    start[:] = 0
    for i in order:
        start[slab[i] + 1] += 1
    for s in range(count):
        start[s + 1] += start[s]
    fill = start[:count].copy()
    for i in order:
        out[fill[slab[i]]] = i
        fill[slab[i]] += 1


@njit(cache=True, nogil=True)
def _sweep(x, y, x_start, y_start, along, best, enough):  # type: ignore[no-untyped-def]
    """(distance, i, j) of the first closest pair nearer than `best`, or (best, -1, -1).

    Points `[d, m]` lie slab after slab, ascending in the coordinate `along` within each; only those
    of the same or neighbouring slabs are compared. Stops at a distance of `enough` or less.
    """
    slabs = x_start.size - 1
    found_i, found_j = -1, -1
    for s in range(slabs):
        for t in range(max(0, s - 1), min(slabs, s + 2)):
            first, stop = y_start[t], y_start[t + 1]
            for i in range(x_start[s], x_start[s + 1]):
                here = x[along, i]
                while first < stop and y[along, first] < here - best:
                    first += 1
                j = first
                while j < stop and y[along, j] <= here + best:
                    distance = 0.0
                    for k in range(x.shape[0]):
                        distance = max(distance, abs(x[k, i] - y[k, j]))
                        if distance >= best:
                            break
                    if distance < best:
                        best, found_i, found_j = distance, i, j
                        if best <= enough:
                            return best, found_i, found_j
                    j += 1
    return best, found_i, found_j


def distinct(points: Floats) -> tuple[Floats, Places]:
    """Points `[d, m]` without repetitions, as far as a hash tells, and their places."""
    points = points + 0.0  # one zero only
    key = np.zeros(points.shape[1], np.uint64)
    for bits in points.view(np.uint64):
        key ^= bits
        key ^= key >> np.uint64(32)  # the low bits of round numbers are all zero
        key *= np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    order = np.argsort(key, kind="stable")
    again = key[order[1:]] == key[order[:-1]]
    if not again.any() or (points[:, order[1:]] != points[:, order[:-1]])[:, again].any():
        return points, np.arange(len(key))
    places = np.sort(order[np.concatenate([[True], ~again])])
    return np.ascontiguousarray(points[:, places]), places


def closest_points(x: Floats, y: Floats, enough: float = 0.0) -> tuple[float, int, int]:
    """(distance, i, j): the least max_k |x[k, i] - y[k, j]|, or the first of at most `enough`.

    All pairs within a guess are compared; if there is none the guess is widened. Points `[d, m]`
    are laid into slabs as wide as the guess along the coordinate that spreads most, and sorted
    along the next, so of points in general position few pairs are compared.
    """
    some = _first_guess(x, y)
    if some[0] <= enough:
        return some
    spread = np.ptp(x, axis=1) + np.ptp(y, axis=1)
    order = np.argsort(spread, kind="stable")[::-1]
    across, along = (int(order[0]), int(order[1])) if len(order) > 1 else (-1, 0)
    guess = min(some[0], _expected(x, y, spread[spread > 0]))
    for tries in itertools.count():
        found = _within(x, y, across, along, guess, enough)
        if found[1] >= 0 or guess >= some[0]:
            break
        guess = some[0] if tries > 20 else min(some[0], 4.0 * guess)
    return found if found[1] >= 0 else some


def _first_guess(x: Floats, y: Floats) -> tuple[float, int, int]:
    """The closest of some pairs, an upper bound on the least distance."""
    i, j = (np.arange(0, p.shape[1], max(1, p.shape[1] // 64)) for p in (x, y))
    distances = np.abs(x[:, i, None] - y[:, None, j]).max(axis=0)
    at = int(distances.argmin())
    return float(distances.flat[at]), int(i[at // len(j)]), int(j[at % len(j)])


def _expected(x: Floats, y: Floats, spread: Floats) -> float:
    """About the distance within which one pair is expected of two clouds so far across.

    But at least the gap between the clouds, which no pair can beat.
    """
    gap = float(np.maximum(y.min(1) - x.max(1), x.min(1) - y.max(1)).max())
    if not spread.size:
        return max(gap, 0.0)
    pairs = math.log(x.shape[1]) + math.log(y.shape[1])
    return max(gap, math.exp(float(np.log(spread).mean()) - pairs / spread.size - 1.0))


def _within(
    x: Floats, y: Floats, across: int, along: int, best: float, enough: float
) -> tuple[float, int, int]:
    """The closest pair nearer than `best`, or (best, -1, -1)."""
    low, slabs, width = 0.0, 1, 1.0
    if across >= 0:
        low = float(min(x[across].min(), y[across].min()))
        most = (
            max(x.shape[1], y.shape[1]) // 8 + 1
        )  # a slab of fewer points costs more than it saves
        extent = float(max(x[across].max(), y[across].max())) - low
        width = max(best * FINE, extent / most, 1e-290)
        slabs = int(extent / width) + 1
    lists = []
    for points in (x, y):
        slab = np.zeros(points.shape[1], np.int64)
        if slabs > 1:
            slab = ((points[across] - low) / width).astype(np.int64)
        start, out = np.empty(slabs + 1, np.int64), np.empty(points.shape[1], np.int64)
        _into_slabs(slab, np.argsort(points[along], kind="stable"), slabs, start, out)
        lists.append((np.ascontiguousarray(points[:, out]), start, out))
    (a, a_start, a_place), (b, b_start, b_place) = lists
    distance, i, j = _sweep(a, b, a_start, b_start, along, best, enough)
    if i < 0:
        return best, -1, -1
    return float(distance), int(a_place[i]), int(b_place[j])

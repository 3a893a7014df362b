"""The kernels of first hit: two sorted lists that take in one value at a time."""

from __future__ import annotations

import numpy as np
from numba import njit

from slth.subsetsum._exact import PARTIALS, residual_up, rounding_bound
from slth.subsetsum._lists import closest, keep, merge, pack, shift, trace


@njit(cache=True, nogil=True)
def _search(values, target, epsilon, mask, packed, place, count, rest, bound, lists, partials):  # type: ignore[no-untyped-def]
    """Grow over one window, packed[:count], for subsets whose sum is near `rest`.

    Returns (position of the last value of a verified hit or -1, doubled distance that no subset of
    the window beats, rest afterwards). Sums are doubled, see `_lists`: with coefficients ±1 the
    subsets that hold values[p] match `wanted` with sums of the values before p.
    """
    a, spare_a, b, spare_b = lists[0], lists[1], lists[2], lists[3]
    a[0] = b[0] = 0.0
    a[1] = b[1] = np.inf
    na = nb = 1
    reach = 0.0
    wanted = 2.0 * rest
    nearest = abs(wanted)
    miss_p, miss_a, miss_b = -1, 0.0, 0.0
    for p in range(count):
        v = packed[p]
        wanted -= v
        distance = abs(wanted - v) - reach
        if distance <= 2.0 * epsilon + bound or distance < nearest:
            shift(a, na, wanted - v, spare_a)
            distance, i, j = closest(spare_a, na, b, nb)
            if distance <= 2.0 * epsilon + bound:
                keep(mask, place, 0, p, trace(packed, 0, p, a[i], spare_a))
                keep(mask, place, 1, p, trace(packed, 1, p, -b[j], spare_b))
                mask[place[p]] = True
                prefix = place[p] + 1
                if residual_up(values[:prefix], mask[:prefix], target, partials) <= epsilon:
                    return p, 0.0, 0.0
                for q in range(p + 1):
                    mask[place[q]] = False
            if distance < nearest:
                miss_p, miss_a, miss_b = p, a[i], -b[j]
        nearest = min(nearest, distance)
        reach += abs(v)
        if p + 1 == count:
            break
        if p & 1:
            merge(b, nb, v, spare_b)
            b, spare_b = spare_b, b
            nb *= 2
            b[nb] = np.inf
        else:
            merge(a, na, v, spare_a)
            a, spare_a = spare_a, a
            na *= 2
            a[na] = np.inf
    if miss_p >= 0:
        keep(mask, place, 0, miss_p, trace(packed, 0, miss_p, miss_a, spare_a))
        keep(mask, place, 1, miss_p, trace(packed, 1, miss_p, miss_b, spare_b))
        mask[place[miss_p]] = True
        for q in range(miss_p + 1):
            if mask[place[q]]:
                rest -= packed[q]
    return -1, nearest, rest


@njit(cache=True, nogil=True)
def _take_all(mask, packed, place, count, rest):  # type: ignore[no-untyped-def]
    """Keep every value of the window that has rest's sign; returns what is left."""
    left = rest
    for q in range(count):
        if (packed[q] > 0.0) == (rest > 0.0):
            mask[place[q]] = True
            left -= packed[q]
    return left


@njit(cache=True, nogil=True)
def _in_reach(packed, count, rest, epsilon, bound):  # type: ignore[no-untyped-def]
    side = 0.0
    for q in range(count):
        if (packed[q] > 0.0) == (rest > 0.0):
            side += abs(packed[q])
    return abs(rest) <= side + epsilon + bound


@njit(cache=True, nogil=True)
def first_hit_rows(values, targets, epsilon, window, capacity, mask, used, lower, start, stop):  # type: ignore[no-untyped-def]
    """Masks, used prefixes and lower bounds of rows start to stop; values `[1 or N, n]`."""
    n = values.shape[1]
    packed, place = np.empty(window), np.empty(window, np.int64)
    lists = np.empty((4, capacity))
    partials = np.empty(PARTIALS)
    for row in range(start, stop):
        own = values[row if len(values) > 1 else 0]
        target, tolerance = targets[row], epsilon[row]
        if abs(target) <= tolerance:
            used[row] = 0
            continue
        rest = target
        begin = 0
        while begin < n:
            first = begin == 0
            count, _, begin = pack(own, begin, window, packed, place)
            bound = rounding_bound(packed[:count], rest)
            if np.isnan(bound):
                break
            if not first and bound == 0.0:  # rest itself is rounded by now
                bound = abs(target) * 2.0**-50
            if not _in_reach(packed, count, rest, tolerance, bound):
                rest = _take_all(mask[row], packed, place, count, rest)
                continue
            hit, nearest, rest = _search(
                own,
                target,
                tolerance,
                mask[row],
                packed,
                place,
                count,
                rest,
                bound,
                lists,
                partials,
            )
            if hit >= 0:
                used[row] = place[hit] + 1
                break
            if first and begin == n:
                lower[row] = (nearest - bound) / 2.0

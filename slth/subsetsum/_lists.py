"""Sorted lists of all signed sums, and the closest pair between two of them.

With coefficients ±1 instead of 0/1 (a subset sum is half of values' total plus a signed sum) the
list of all sums is symmetric about zero, in float64 too, because negation is exact: merging builds
its lower half and mirrors it. Lists carry no masks; a value found is traced back by redoing the
additions in the same order. All loops choose by selects, not jumps: which of two sums is smaller
is a coin toss that no branch predictor wins.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SMALL = 96  # below this many steps, setting up interleaved walks costs more than it hides


@njit(cache=True, nogil=True)
def merge(sums, size, value, out):  # type: ignore[no-untyped-def]
    """out[:2 size] = sorted {s - value, s + value}; sums[:size] is sorted and symmetric."""
    a = abs(value)
    last = 2 * size - 1
    i = 0
    j = 0
    for k in range(size):  # i, j <= k < size: no list runs out in the lower half
        x = sums[i] - a
        y = sums[j] + a
        up = y < x
        s = y if up else x
        j += up
        i += not up
        out[k] = s
        out[last - k] = -s


@njit(cache=True, nogil=True)
def _closest_short(a, na, b, nb):  # type: ignore[no-untyped-def]
    best = np.inf
    best_i = 0
    best_k = 0
    i = 0
    for k in range(na + nb):
        x = a[i]
        y = b[k - i]
        r = abs(x - y)
        better = r < best
        best = r if better else best
        best_i = i if better else best_i
        best_k = k if better else best_k
        i += x <= y
    return best, best_i, best_k - best_i


@njit(cache=True, nogil=True)
def _cut(a, na, b, nb, diagonal):  # type: ignore[no-untyped-def]
    """How many of a's entries the merge of a and b takes among its first `diagonal` ones."""
    low = max(0, diagonal - nb)
    high = min(diagonal, na)
    while low < high:
        i = (low + high) >> 1
        if a[i] <= b[diagonal - 1 - i]:
            low = i + 1
        else:
            high = i
    return low


@njit(cache=True, nogil=True)
def closest(a, na, b, nb):  # type: ignore[no-untyped-def]
    """(|a[i] - b[j]|, i, j) for the first closest pair in merge order; a[na] = b[nb] = inf.

    The closest pair is met on the path that merges the lists, and rounding keeps that so because
    it is monotone. The path is walked in four pieces at once: each step waits for a load, and four
    such waits overlap.
    """
    steps = na + nb
    if steps < SMALL:
        return _closest_short(a, na, b, nb)
    quarter = steps >> 2
    i0 = 0
    i1 = _cut(a, na, b, nb, quarter)
    i2 = _cut(a, na, b, nb, 2 * quarter)
    i3 = _cut(a, na, b, nb, 3 * quarter)
    r0 = r1 = r2 = r3 = np.inf
    f0 = f1 = f2 = f3 = 0
    k0 = k1 = k2 = k3 = 0
    for k in range(
        quarter + 3
    ):  # the last piece is up to three steps longer; overlaps are harmless
        x = a[i0]
        y = b[k - i0]
        r = abs(x - y)
        better = r < r0
        r0 = r if better else r0
        f0 = i0 if better else f0
        k0 = k if better else k0
        i0 += x <= y
        x = a[i1]
        y = b[quarter + k - i1]
        r = abs(x - y)
        better = r < r1
        r1 = r if better else r1
        f1 = i1 if better else f1
        k1 = k if better else k1
        i1 += x <= y
        x = a[i2]
        y = b[2 * quarter + k - i2]
        r = abs(x - y)
        better = r < r2
        r2 = r if better else r2
        f2 = i2 if better else f2
        k2 = k if better else k2
        i2 += x <= y
        in_path = 3 * quarter + k < steps
        x = a[i3] if in_path else np.inf
        y = b[3 * quarter + k - i3] if in_path else -np.inf
        r = abs(x - y)
        better = r < r3
        r3 = r if better else r3
        f3 = i3 if better else f3
        k3 = k if better else k3
        i3 += x <= y
    best, best_i, best_j = r0, f0, k0 - f0
    if r1 < best:
        best, best_i, best_j = r1, f1, quarter + k1 - f1
    if r2 < best:
        best, best_i, best_j = r2, f2, 2 * quarter + k2 - f2
    if r3 < best:
        best, best_i, best_j = r3, f3, 3 * quarter + k3 - f3
    return best, best_i, best_j


@njit(cache=True, nogil=True)
def shift(sums, size, target, out):  # type: ignore[no-untyped-def]
    """out[:size] = sums - target, then inf: its entry nearest to b[j] pairs with the sum -b[j]."""
    for i in range(size):
        out[i] = sums[i] - target
    out[size] = np.inf


@njit(cache=True, nogil=True)
def pack(values, begin, limit, packed, place):  # type: ignore[no-untyped-def]
    """The first `limit` non-zero values from place `begin` on: (count, total, next place)."""
    count = 0
    total = 0.0
    at = begin
    while at < values.size and count < limit:
        if values[at] != 0.0:
            packed[count] = values[at]
            place[count] = at
            total += values[at]
            count += 1
        at += 1
    return count, total, at


@njit(cache=True, nogil=True)
def build(values, start, stop, list_, spare):  # type: ignore[no-untyped-def]
    """All signed sums of values[start:stop:2], sorted, then inf; returns (list, spare, size)."""
    list_[0] = 0.0
    size = 1
    for position in range(start, stop, 2):
        merge(list_, size, values[position], spare)
        list_, spare = spare, list_
        size *= 2
    list_[size] = np.inf
    return list_, spare, size


@njit(cache=True, nogil=True)
def keep(mask, place, start, stop, bits):  # type: ignore[no-untyped-def]
    """Set mask where place[start:stop:2] has its bit set."""
    for position in range(start, stop, 2):
        if bits & 1:
            mask[place[position]] = True
        bits >>= 1


@njit(cache=True, nogil=True)
def trace(values, start, stop, found, scratch):  # type: ignore[no-untyped-def]
    """The signs that make `found` out of values[start:stop:2], as bits (1 for plus); -1: none.

    Redoes the additions of `merge` in their order, so the very float is met again.
    """
    scratch[0] = 0.0
    size = 1
    for position in range(start, stop, 2):
        v = values[position]
        for i in range(size):
            s = scratch[i]
            scratch[size + i] = s + v
            scratch[i] = s - v
        size *= 2
    for i in range(size):
        if scratch[i] == found:
            return i
    return -1

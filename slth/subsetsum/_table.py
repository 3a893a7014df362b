"""Many targets, one set of values: the sums of most of the values lie sorted in one table.

A target asks it once for each sum of the few values that are left, by bucket and bisection. Sums
are signed and doubled as in `_kernels`; its kernels call none of other files: see the note there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slth.subsetsum import Floats

MOST = 22  # values of a table: 64 MiB, and as many again while it is built
BLOCK = 256  # lookups at a time: each step waits for a load, and these waits overlap


@njit(cache=True, nogil=True)
def _cut(sums, a, diagonal):  # type: ignore[no-untyped-def]
    """How many of the first `diagonal` merged entries are of the form sums[i] - a."""
    low, high = 0, diagonal
    while low < high:
        i = (low + high) >> 1
        if sums[i] - a <= sums[diagonal - 1 - i] + a:
            low = i + 1
        else:
            high = i
    return low


@njit(cache=True, nogil=True)
def _merge(sums, signs, size, value, bit, out, out_signs):  # type: ignore[no-untyped-def]
    """out[:2 size] = sorted {s - value, s + value}, each with its signs: bits, 1 for plus.

    The list is symmetric and its mirror image has all signs turned, so half of it is merged, in
    four pieces at once.
    """
    a = abs(value)
    minus = np.int32(0) if value > 0.0 else bit
    plus = bit - minus
    every = np.int32(2 * bit - 1)
    last = 2 * size - 1
    pieces = 4 if size >= 4 else 1
    quarter = size // pieces
    i0 = 0
    i1 = _cut(sums, a, quarter) if pieces == 4 else 0
    i2 = _cut(sums, a, 2 * quarter) if pieces == 4 else 0
    i3 = _cut(sums, a, 3 * quarter) if pieces == 4 else 0
    for k in range(quarter):
        i0 = _step(sums, signs, a, minus, plus, every, i0, k, last, out, out_signs)
        if pieces == 4:
            i1 = _step(sums, signs, a, minus, plus, every, i1, quarter + k, last, out, out_signs)
            i2 = _step(
                sums, signs, a, minus, plus, every, i2, 2 * quarter + k, last, out, out_signs
            )
            i3 = _step(
                sums, signs, a, minus, plus, every, i3, 3 * quarter + k, last, out, out_signs
            )


@njit(cache=True, nogil=True, inline="always")
def _step(sums, signs, a, minus, plus, every, i, k, last, out, out_signs):  # type: ignore[no-untyped-def]
    """Entry k and its mirror image; returns how many of the form sums[i] - a precede the next."""
    x = sums[i] - a
    y = sums[k - i] + a
    s = y if y < x else x
    bits = (signs[k - i] | plus) if y < x else (signs[i] | minus)
    out[k], out[last - k] = s, -s
    out_signs[k], out_signs[last - k] = bits, every ^ bits
    return i + (x <= y)


@njit(cache=True, nogil=True)
def _signed_sums(values):  # type: ignore[no-untyped-def]
    """All signed sums of at most 22 values, ascending, their signs as bits, and spare room.

    The sums stand after one free place and before as many as a bisection may ever run into: memory
    that is never written costs nothing.
    """
    size = 1 << values.size
    room, spare_room = np.empty(3 * size + 2), np.empty(3 * size + 2)
    sums, spare = room[1:], spare_room[1:]
    signs, spare_signs = np.empty(size + 1, np.int32), np.empty(size + 1, np.int32)
    sums[0], signs[0] = 0.0, 0
    for p in range(values.size):
        _merge(sums, signs, 1 << p, values[p], np.int32(1 << p), spare, spare_signs)
        sums, spare, room, spare_room = spare, sums, spare_room, room
        signs, spare_signs = spare_signs, signs
    return room, signs[:size], spare_signs


@njit(cache=True, nogil=True)
def _bucket(x, low, scale, top):  # type: ignore[no-untyped-def]
    y = (x - low) * scale
    y = y if y > 0.0 else 0.0
    return np.int64(y if y < top else top)


@njit(cache=True, nogil=True)
def _index(sums, low, scale, start):  # type: ignore[no-untyped-def]
    """start[q] = how many sums lie in buckets before q; returns the most that one holds."""
    start[:] = 0
    top = start.size - 2.0
    for s in sums:
        start[_bucket(s, low, scale, top) + 1] += 1
    most = 0
    for q in range(start.size - 1):
        most = max(most, start[q + 1])
        start[q + 1] += start[q]
    return most


class Table(NamedTuple):
    """Sums of the values from place `few` on, sorted, between -inf and infs; and of those before.

    start: `[buckets + 1]`, the first sum of each bucket; step: the first of the bisection's steps.
    """

    sums: Floats
    signs: NDArray[np.int32]
    few_sums: Floats
    few_signs: NDArray[np.int32]
    few: int
    start: NDArray[np.int32]
    low: float
    scale: float
    step: int

    @classmethod
    def of(cls, values: Floats, tabled: int) -> Table:
        """The table of the last `tabled` of the values `[n]`, none of them zero."""
        few, size = len(values) - tabled, 1 << tabled
        sums, signs, start = _signed_sums(values[few:])
        few_sums, few_signs, _ = _signed_sums(values[:few])
        low, width = float(sums[1]), float(sums[size] - sums[1])
        with np.errstate(over="ignore", divide="ignore"):
            scale = float(size / np.float64(width))
        scale = scale if np.isfinite(scale) else 0.0  # subnormal sums share one bucket
        step = 1 << (int(_index(sums[1 : size + 1], low, scale, start)).bit_length() - 1)
        sums[0], sums[size + 1 : size + 2 * step + 1] = -np.inf, np.inf
        few_sums = few_sums[1 : len(few_signs) + 1]
        return cls(sums, signs, few_sums, few_signs, few, start, low, scale, step)


@njit(cache=True, nogil=True)
def _ask(table, wanted, rows, at, x, place):  # type: ignore[no-untyped-def]
    """x = few_sums[at:] - wanted of each row, and place: the last sum in the table below x."""
    width = min(table.few_sums.size, BLOCK)
    top = table.start.size - 2.0
    for r in range(rows):
        for i in range(width):
            y = table.few_sums[at + i] - wanted[r]
            x[r * width + i] = y
            place[r * width + i] = table.start[_bucket(y, table.low, table.scale, top)]
    sums = table.sums
    step = table.step
    while step > 0:
        for i in range(rows * width):
            p = place[i]
            place[i] = p + (step if sums[p + step] < x[i] else 0)
        step >>= 1


@njit(cache=True, nogil=True)
def _two_least(sums, x, place, start, stop, best, second, best_place):  # type: ignore[no-untyped-def]
    """(least |x - sums|, second least, the least's place, its x or -1 if met before)."""
    best_at = -1
    for i in range(start, stop):
        below, above = x[i] - sums[place[i]], sums[place[i] + 1] - x[i]
        up = above < below
        near = above if up else below
        far = below if up else above
        better = near < best
        other = (far if far < best else best) if better else near
        second = other if other < second else second
        best_at = i if better else best_at
        best_place = place[i] + up if better else best_place
        best = near if better else best
    return best, second, best_place, best_at


@njit(cache=True, nogil=True)
def _as_half_lists(values, subset, wanted):  # type: ignore[no-untyped-def]
    """The doubled distance of a subset by the additions, and their order, of two half-lists."""
    even, odd = 0.0, 0.0
    for p in range(values.size):
        v = values[p] if subset >> p & 1 else -values[p]
        if p & 1:
            odd += v
        else:
            even += v
    return abs((even - wanted) + odd)


@njit(cache=True, nogil=True)
def table_rows(table, values, place, targets, bounds, mask, lower, sure, start, stop):  # type: ignore[no-untyped-def]
    """Optimum masks of rows start to stop, what no subset beats, and whether there is one optimum.

    values `[n]`: none zero, `place` where they stand in a row of the mask; bounds `[N]`: rounding
    bounds, NaN for rows to be left alone. A row is sure where every other subset is farther off
    beyond all rounding; of the others nothing is written.
    """
    total = 0.0
    for v in values:
        total += v
    width = min(table.few_sums.size, BLOCK)
    block = BLOCK // width
    x, asked = np.empty(BLOCK), np.empty(BLOCK, np.int64)
    wanted = np.empty(block)
    best, second = np.empty(block), np.empty(block)
    at, to = np.empty(block, np.int64), np.empty(block, np.int64)
    for first in range(start, stop, block):
        rows = min(block, stop - first)
        for r in range(rows):
            wanted[r] = 2.0 * targets[first + r] - total
            if np.isnan(bounds[first + r]):
                wanted[r] = 0.0
        best[:], second[:], at[:], to[:] = np.inf, np.inf, 0, 1
        for piece in range(0, table.few_sums.size, width):
            _ask(table, wanted, rows, piece, x, asked)
            for r in range(rows):
                best[r], second[r], to[r], i = _two_least(
                    table.sums, x, asked, r * width, (r + 1) * width, best[r], second[r], to[r]
                )
                if i >= 0:
                    at[r] = piece + i - r * width
        for r in range(rows):
            row = first + r
            y = table.few_sums[at[r]] - wanted[r]
            for p in (to[r] - 1, to[r] + 1):
                second[r] = min(second[r], abs(y - table.sums[p]))
            if not second[r] > best[r] + 4.0 * bounds[row]:
                continue
            sure[row] = True
            # the sum in the table is subtracted, so its signs are turned
            signs = np.int64(table.signs[to[r] - 1]) ^ (np.int64(table.signs.size) - 1)
            subset = np.int64(table.few_signs[at[r]]) | signs << table.few
            for p in range(values.size):
                mask[row, place[p]] = subset >> p & 1
            lower[row] = (_as_half_lists(values, subset, wanted[r]) - bounds[row]) / 2.0

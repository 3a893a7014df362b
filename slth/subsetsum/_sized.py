"""Half-sums by how many values they add: the ground of all questions about cardinality.

Its kernels call none of other files: see the note in `_kernels`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# A half is (sums, subsets, starts): class k, the sums of k values, is ascending and lies from
# starts[k] to starts[k + 1]; subsets says which values those are, as bits.


@njit(cache=True, nogil=True)
def _room(count):  # type: ignore[no-untyped-def]
    """Two halves' worth of memory for `count` values: one is read while the other is written."""
    size = 1 << count
    sums, bits = np.empty((2, size)), np.empty((2, size), np.int64)
    return sums, bits, np.empty((2, count + 2), np.int64)


@njit(cache=True, nogil=True)
def _half(values, room):  # type: ignore[no-untyped-def]
    """All subset sums of the values, by merging each class with the one below plus a value."""
    sums, more_sums = room[0][0], room[0][1]
    bits, more_bits = room[1][0], room[1][1]
    starts, more_starts = room[2][0], room[2][1]
    sums[0], bits[0] = 0.0, 0
    starts[0], starts[1] = 0, 1
    for count in range(values.size):
        v = values[count]
        at = 0
        for k in range(count + 2):
            more_starts[k] = at
            i, i_stop = (starts[k], starts[k + 1]) if k <= count else (0, 0)
            j, j_stop = (starts[k - 1], starts[k]) if k > 0 else (0, 0)
            while i < i_stop or j < j_stop:
                if j == j_stop or (i < i_stop and sums[i] <= sums[j] + v):
                    more_sums[at], more_bits[at] = sums[i], bits[i]
                    i += 1
                else:
                    more_sums[at], more_bits[at] = sums[j] + v, bits[j] | (1 << count)
                    j += 1
                at += 1
        more_starts[count + 2] = at
        sums, more_sums = more_sums, sums
        bits, more_bits = more_bits, bits
        starts, more_starts = more_starts, starts
    return sums, bits, starts


@njit(cache=True, nogil=True)
def _closest(a, b, target):  # type: ignore[no-untyped-def]
    """(|a[i] + b[j] - target|, i, j) at its least; a and b ascending. Rounding is monotone."""
    best, best_i, best_j = np.inf, -1, -1
    i, j = 0, b.size - 1
    while i < a.size and j >= 0:
        r = (a[i] + b[j]) - target
        if abs(r) < best:
            best, best_i, best_j = abs(r), i, j
        if r <= 0.0:
            i += 1
        else:
            j -= 1
    return best, best_i, best_j


@njit(cache=True, nogil=True)
def _nearest(left, right, left_count, right_count, target, k):  # type: ignore[no-untyped-def]
    """(float distance, subset as bits) of the k-subset nearest to target, 0 <= k <= count."""
    best, subset = np.inf, 0
    for i in range(max(0, k - right_count), min(k, left_count) + 1):
        a, b = left[2][i], right[2][k - i]
        found, at, to = _closest(
            left[0][a : left[2][i + 1]], right[0][b : right[2][k - i + 1]], target
        )
        if found < best:
            best, subset = found, left[1][a + at] | right[1][b + to] << left_count
    return best, subset


@njit(cache=True, nogil=True)
def _write(mask, usable, subset):  # type: ignore[no-untyped-def]
    for q in range(usable.size):
        mask[usable[q]] = subset >> q & 1


@njit(cache=True, nogil=True)
def sized_rows(  # type: ignore[no-untyped-def]
    values, targets, least, most, enough, half, mask, nearest, reached, rows, start, stop
):
    """For rows[start:stop]: try subsets of least[row] to `most` values until one is near enough.

    values `[1 or N, n]`, the other arrays `[N]`; nearest is lowered to the least float distance
    met, and mask is the subset that lowered it or the one that was near enough; reached is that
    one's number of values, or -1. half: values of the larger half of any row.
    """
    cut, count, built = 0, 0, -1
    usable = np.flatnonzero(values[0])
    left_room, right_room = _room(half), _room(half)
    left = right = _half(values[0][:0], left_room)
    for row in rows[start:stop]:
        at = row if len(values) > 1 else 0
        if at != built:
            usable = np.flatnonzero(values[at])
            own = values[at][usable]
            count = usable.size
            cut = count // 2
            left, right = _half(own[:cut], left_room), _half(own[cut:], right_room)
            built = at
        reached[row] = -1
        for k in range(least[row], min(most, count) + 1):
            distance, subset = _nearest(left, right, cut, count - cut, targets[row], k)
            hit = distance <= enough[row]
            if hit or distance < nearest[row]:
                _write(mask[row], usable, subset)
            nearest[row] = min(nearest[row], distance)
            if hit:
                reached[row] = k
                break

"""What is true of rows of integers, by counting: no float, no sorting, no halves.

Small integers: which sums s are there, and by how many values, as bits of a word at place s. Wide
integers, up to 53 bits: every subset's sum, one after the other. Neither shares a thought with the
solvers. A row's errors are integers, so "within epsilon" means at most E, epsilon rounded down.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Whole = NDArray[np.int64]
NONE = 2**62  # an error or a number of values where there is no such subset
SMALL = 2048  # sums of magnitude up to here are counted place by place
MOST_WIDE = 12  # values of a row whose subsets are listed


class Truth(NamedTuple):
    """Of each row, `[N]`.

    optimum: the least |sum - target|; of_size: the same over subsets of k values; fewest: how many
    values a subset within E has at least, nearest: the least error of such a one; prefix: how many
    leading values hold a subset within E, all of them where none does.
    """

    optimum: Whole
    of_size: Whole
    fewest: Whole
    nearest: Whole
    prefix: Whole


def truth(values: Whole, targets: Whole, within: Whole, k: int) -> Truth:
    """values `[1 or N, n]`, targets and within `[N]`; within -1: no epsilon, ask nothing of it."""
    found = Truth(*np.full((5, len(targets)), NONE))
    if np.abs(values).sum(axis=1).max() <= SMALL and values.shape[1] < 63:
        _small(values, targets, within, k, *found)
    else:
        _wide(values, targets, within, k, *found)
    return found


@njit(cache=True, nogil=True)
def _add(table, low, high, v, out):  # type: ignore[no-untyped-def]
    """out[s] = the numbers of values, as bits, by which s is a sum once v is one of them.

    Sums were from low to high; all other places of the table hold no bits.
    """
    for s in range(min(low, low + v), max(high, high + v) + 1):
        out[s] = table[s] | table[s - v] << np.uint64(1)


@njit(cache=True, nogil=True)
def _nearest(table, zero, low, high, target, bits):  # type: ignore[no-untyped-def]
    """The least |s - target| over sums s with one of the bits, or NONE."""
    at = zero + min(max(target, low - zero), high - zero)
    for distance in range(high - low + 1):
        for s in (at - distance, at + distance):
            if low <= s <= high and table[s] & bits:
                return abs(s - zero - target)
    return NONE


@njit(cache=True, nogil=True)
def _within(table, zero, low, high, target, reach):  # type: ignore[no-untyped-def]
    """All numbers of values by which a sum is within reach, as bits."""
    bits = np.uint64(0)
    for s in range(max(low, zero + target - reach), min(high, zero + target + reach) + 1):
        bits |= table[s]
    return bits


@njit(cache=True, nogil=True)
def _small(values, targets, within, k, optimum, of_size, fewest, nearest, prefix):  # type: ignore[no-untyped-def]
    table, spare = np.zeros((2, 4 * SMALL + 1), np.uint64)  # s - v is looked up, too
    zero, every = 2 * SMALL, ~np.uint64(0)
    low = high = zero
    for row in range(targets.size):
        own = values[row if len(values) > 1 else 0]
        target, reach = targets[row], within[row]
        if row == 0 or len(values) > 1 or reach >= 0:
            low = high = zero
            table[:], spare[:] = np.uint64(0), np.uint64(0)
            table[zero] = np.uint64(1)
            prefix[row] = own.size
            if reach >= 0 and _within(table, zero, low, high, target, reach):
                prefix[row] = 0
            for i in range(own.size):
                if own[i] == 0:
                    continue
                _add(table, low, high, own[i], spare)
                low, high = min(low, low + own[i]), max(high, high + own[i])
                table, spare = spare, table
                looking = reach >= 0 and prefix[row] == own.size
                if looking and _within(table, zero, low, high, target, reach):
                    prefix[row] = i + 1
        optimum[row] = _nearest(table, zero, low, high, target, every)
        of_size[row] = _nearest(table, zero, low, high, target, np.uint64(1) << np.uint64(k))
        bits = np.uint64(0)
        if reach >= 0:
            bits = _within(table, zero, low, high, target, reach)
        if bits:
            size = 0
            while not (bits >> np.uint64(size)) & np.uint64(1):
                size += 1
            fewest[row] = size
            only = np.uint64(1) << np.uint64(size)
            nearest[row] = _nearest(table, zero, low, high, target, only)


@njit(cache=True, nogil=True)
def _wide(values, targets, within, k, optimum, of_size, fewest, nearest, prefix):  # type: ignore[no-untyped-def]
    sums, sizes = np.zeros((2, 1 << values.shape[1]), np.int64)
    for row in range(targets.size):
        own = values[row if len(values) > 1 else 0]
        target, reach = targets[row], within[row]
        sums[0], sizes[0] = -target, 0
        count = 1
        prefix[row] = 0 if reach >= 0 and abs(target) <= reach else own.size
        for i in range(own.size):
            if own[i] == 0:
                continue
            hit = False
            for j in range(count):
                sums[count + j] = sums[j] + own[i]
                sizes[count + j] = sizes[j] + 1
                hit |= abs(sums[count + j]) <= reach
            count *= 2
            if hit and prefix[row] == own.size:
                prefix[row] = i + 1
        for j in range(count):
            error, size = abs(sums[j]), sizes[j]
            optimum[row] = min(optimum[row], error)
            if size == k:
                of_size[row] = min(of_size[row], error)
            if error <= reach and size < fewest[row]:
                fewest[row], nearest[row] = size, error
            elif error <= reach and size == fewest[row]:
                nearest[row] = min(nearest[row], error)


@njit(cache=True, nogil=True)
def vectors(values, targets, optimum):  # type: ignore[no-untyped-def]
    """optimum `[N]`: the least max |sum - target|; values `[N, n, d]`, targets `[N, d]`."""
    d = targets.shape[1]
    sums = np.zeros((1 << values.shape[1], d), np.int64)
    for row in range(len(targets)):
        sums[0] = -targets[row]
        count = 1
        for i in range(values.shape[1]):
            for j in range(count):
                for c in range(d):
                    sums[count + j, c] = sums[j, c] + values[row, i, c]
            count *= 2
        best = NONE
        for j in range(count):
            worst = 0
            for c in range(d):
                worst = max(worst, abs(sums[j, c]))
            best = min(best, worst)
        optimum[row] = best

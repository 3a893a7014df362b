"""How many values cover an interval, for many values: subset sums as bits on a grid.

Values are rounded to multiples of `step`, the reachable multiples are the set bits of one long word
list, and one more value is one shift and one OR. So the cost is the length of the range over the
step instead of 2^n, and draws that lie far out in the tail can be followed to their end.

Rounding moves a subset sum of n values by at most n·step/2, and the least tolerance no further;
`needed` adds that, so that its n may come out too large by this much tolerance but never too small.
Gaps below 128 steps count as 128 steps.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slth.errors import BadInput

Floats = NDArray[np.float64]
COARSE = 128  # gaps of adjacent words are not told apart: shorter ones count as this many steps
FINE = 4 * COARSE  # steps that the smallest tolerance must have
ONE = np.uint64(1)
BITS = np.uint64(64)


def needed(values: Floats, reach: float, etas: Floats, step: float) -> NDArray[np.int64]:
    """How many of each row's values `[N, n]` it takes until every z in [−reach, reach] is within η
    of a subset sum: `[N, len(etas)]`, −1 where n do not suffice; etas fall, and are < reach.

    Raises BadInput where the step is too coarse for the smallest η.
    """
    rows = np.ascontiguousarray(values, dtype=np.float64)
    if etas[-1] < FINE * step or (np.diff(etas) > 0).any() or not etas[0] < reach:
        allowed = f"falling, below reach, at least {FINE} steps"
        raise BadInput("etas", etas.tolist(), allowed, "choose a finer step")
    units = np.rint(rows / step).astype(np.int64)
    span = int(np.abs(units).sum(axis=1).max())
    side = round(reach / step)
    found = np.full((len(rows), etas.size), -1)
    _needed(units, side, np.asarray(etas, dtype=np.float64) / step, span // 64 + 8, found)
    return found


@njit(cache=True, nogil=True)
def _needed(units, side, etas, words, found):  # type: ignore[no-untyped-def]
    bits = np.zeros(words, dtype=np.uint64)
    for row in range(len(units)):
        origin = 128  # the bit of sum 0 minus the least sum; two empty words before
        for k in range(units.shape[1]):
            origin += max(-units[row, k], 0)
        bits[origin >> 6] = ONE << np.uint64(origin & 63)
        low = high = origin
        at = 0
        for k in range(units.shape[1]):
            value = units[row, k]
            if value > 0:
                _up(bits, low, high, value)
                high += value
            elif value < 0:
                _down(bits, low, high, -value)
                low += value
            tolerance = _tolerance(bits, low, high, origin - side, origin + side)
            tolerance += 0.5 * (k + 1)  # every value was rounded by half a step at most
            while at < etas.size and tolerance <= etas[at]:
                found[row, at] = k + 1
                at += 1
            if at == etas.size:
                break
        bits[low >> 6 : (high >> 6) + 1] = 0


@njit(cache=True, nogil=True)
def _up(bits, low, high, shift):  # type: ignore[no-untyped-def]
    """bits |= bits << shift, the set ones lying in [low, high]."""
    words, inner = shift >> 6, np.uint64(shift & 63)
    for w in range((high + shift) >> 6, ((low + shift) >> 6) - 1, -1):
        moved = bits[w - words] << inner
        if inner:
            moved |= bits[w - words - 1] >> (BITS - inner)
        bits[w] |= moved


@njit(cache=True, nogil=True)
def _down(bits, low, high, shift):  # type: ignore[no-untyped-def]
    """bits |= bits >> shift."""
    words, inner = shift >> 6, np.uint64(shift & 63)
    for w in range((low - shift) >> 6, ((high - shift) >> 6) + 1):
        moved = bits[w + words] >> inner
        if inner:
            moved |= bits[w + words + 1] << (BITS - inner)
        bits[w] |= moved


@njit(cache=True, nogil=True)
def _next(bits, at, high):  # type: ignore[no-untyped-def]
    """The first set bit from `at` on, or high + 1."""
    while at <= high:
        rest = bits[at >> 6] >> np.uint64(at & 63)
        if rest == 0:
            at = ((at >> 6) + 1) << 6
            continue
        while not rest & ONE:
            rest >>= ONE
            at += 1
        return at
    return high + 1


@njit(cache=True, nogil=True)
def _last(bits, at, low):  # type: ignore[no-untyped-def]
    """The last set bit up to `at`, or low − 1."""
    while at >= low:
        rest = bits[at >> 6] << np.uint64(63 - (at & 63))
        if rest == 0:
            at = ((at >> 6) << 6) - 1
            continue
        while not rest >> np.uint64(63):
            rest <<= ONE
            at -= 1
        return at
    return low - 1


@njit(cache=True, nogil=True)
def _tolerance(bits, low, high, start, stop):  # type: ignore[no-untyped-def]
    """The largest distance, in steps, of a point of [start, stop] to a set bit; all of them lie in
    [low, high], one of them in [start, stop]."""
    before = _last(bits, min(start - 1, high), low) if start > low else low - 1
    first = _next(bits, max(start, low), high)
    last = _last(bits, min(stop, high), low)
    after = _next(bits, max(stop + 1, low), high) if stop < high else high + 1
    worst = 0.5 * COARSE
    left = float(first - start)
    if before >= low:
        left = min(left, 0.5 * (first - before))
    right = float(stop - last)
    if after <= high:
        right = min(right, 0.5 * (after - last))
    worst = max(worst, max(left, right))
    end = last >> 6
    w = first >> 6
    while w < end:
        if bits[w + 1] != 0:
            w += 1
            continue
        here = _last(bits, (w << 6) + 63, low)
        there = _next(bits, (w + 1) << 6, high)
        worst = max(worst, 0.5 * (min(there, last) - here))
        w = there >> 6
    return worst

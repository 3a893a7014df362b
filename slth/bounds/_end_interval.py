"""The dynamic program of `_coverage` for any falling law and any interval, by curved lines.

Setting as there: J an interval of length Λ, C a measurable subset, W = J \\ C, v = |C|, w = Λ − v,
N(x) = |(C + x) ∩ W|. Let X have off 0 at least a symmetric density f that falls in |x|. Then, for
every convex falling h,

    E h(N(X)) <= h(0) − ∫_0^Λ f(x) (h(0) − h(T(x))) dx,   T(x) = min(x, v, w, Λ − x):       (1)

of all C an interval at an end of J gains least, not only in the mean (proof: `proofs/end_convex`).
With K(y) = ∫_0^y f the right-hand side is h(0) + ∫_0^M h'(y) (K(Λ − y) − K(y)) dy, M = min(v, w).

So G_{t+1}(v) may be (1) for any convex falling h above the corners of G_t. The candidates are those
of `_coverage`: straight lines; and from the last corner before success leftwards the smallest
convex function above the corners, its left end replaced by a line where that is better. Of each
piece of h the integral of K(Λ − y) − K(y) is rounded down; as (1) is at least h(0)/2, nothing
cancels, and the factor 1 + 1e-10 covers the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit

from slth.bounds import Floats
from slth.bounds._coverage import (
    EARLY,
    ENDS,
    EVERY,
    MARGIN,
    STARTS,
    TOLERATED,
    Program,
    _chord,
    _corners,
    _first_slope,
    _height,
    _push,
)

NARROW = 1 / 50  # of 1 − c; below, the density beyond c is left out
ABSOLUTE = 4e-14  # rounding of K, and of Φ up to 1: terms up to 1/(2·NARROW) cancel


@dataclass(frozen=True)
class Sharp:
    """f of u·v, u uniform on [c, 1] and v on [−1, 1]: ln(1/max(c, |x|))/(2 (1 − c)) up to 1.

    c = 1: ½, of uniform values. For c near 1, where the formulas cancel, f counts as zero beyond c,
    which is on the safe side.
    """

    least: float

    @property
    def numbers(self) -> tuple[float, float, float]:
        """c, f up to c, and the factor of ln(1/|x|) beyond."""
        if self.least == 1:
            return 1.0, 0.5, 0.0
        height = -math.log(self.least) / (2 * (1 - self.least))
        return self.least, height, 0.5 / (1 - self.least) if 1 - self.least >= NARROW else 0.0

    def mass(self, distance: Floats) -> Floats:
        """K at distances >= 0, `[distances]`."""
        return np.array([_mass(x, self.numbers) for x in distance.tolist()])

    def twice(self, distance: Floats) -> Floats:
        """∫_0^x K at distances >= 0, `[distances]`."""
        return np.array([_twice(x, self.numbers) for x in distance.tolist()])


class EndProgram(Program):
    """The program for one tolerance, half length of the targets' interval, and least c."""

    def __init__(
        self, tolerance: float, least: float = 1.0, half: float = 0.5, points: int | None = None
    ) -> None:
        super().__init__(tolerance, points, None, half)
        self.side = 2 * half
        self.law = Sharp(least).numbers
        self.choices[:, 1] = -1.0

    def step(self, failure: Floats) -> Floats:
        fresh = len(self._curve) < EARLY or len(self._curve) % EVERY == 0
        after: Floats = end_step(
            self.grid, failure, self.length, self.side, self.law, self.choices, fresh
        )
        return after


@lru_cache(maxsize=256)
def end_program(tolerance: float, least: float, half: float) -> EndProgram:
    """The program for this question, kept: further ones go on from where it stands."""
    return EndProgram(tolerance, least, half)


@njit(cache=True, nogil=True)
def _mass(x, law):  # type: ignore[no-untyped-def]
    """K(x)."""
    c, height, beyond = law
    value = height * min(x, c)
    if beyond > 0.0 and x > c:
        top = min(x, 1.0)
        value += beyond * ((top - top * math.log(top)) - (c - c * math.log(c)))
    return value


@njit(cache=True, nogil=True)
def _twice(x, law):  # type: ignore[no-untyped-def]
    """∫_0^x K."""
    c, height, beyond = law
    near = min(x, c)
    value = height * near * (near / 2.0 + (x - near))
    if beyond > 0.0 and x > c:
        top = min(x, 1.0)
        tail = top * top * (0.75 - 0.5 * math.log(top)) - c * c * (0.75 - 0.5 * math.log(c))
        tail -= (c - c * math.log(c)) * (top - c)
        tail += (1.0 - c + c * math.log(c)) * max(0.0, x - 1.0)
        value += beyond * tail
    return value


@njit(cache=True, nogil=True)
def _gain(a, b, length, side, law):  # type: ignore[no-untyped-def]
    """∫_a^b (K(Λ − y) − K(y)) dy for a <= b <= Λ/2, rounded down; lengths in units of `side`.

    The integrand falls: its value at b serves where the difference of the integrals is inexact.
    """
    low = (b - a) * (_mass((length - b) * side, law) - _mass(b * side, law) - ABSOLUTE)
    exact = _twice((length - a) * side, law) - _twice((length - b) * side, law)
    exact -= _twice(b * side, law) - _twice(a * side, law)
    return max(0.0, low, (exact - 4.0 * ABSOLUTE * (1.0 + length * side)) / side)


@njit(cache=True, nogil=True)
def end_step(grid, failure, length, side, law, choices, fresh):  # type: ignore[no-untyped-def]
    """G_{t+1} on the grid `[m]` from G_t; what (1) was used with is left in `choices` `[m, 4]`:
    which first slope, up to which corner a line replaces the left end of h (−1: a straight line
    over everything), and by what factor G fell. Nearly as good a choice is kept unless `fresh`."""
    size = grid.size
    result = np.zeros(size)
    work = np.empty((6, size + 2))
    hull = np.empty(size + 2, dtype=np.int64)
    for j in range(size - 1):
        xs, ys, count, last = _corners(grid, failure, j, length, work)
        gained = work[5]
        gained[0] = 0.0
        for k in range(1, count):
            gained[k] = gained[k - 1] + _gain(xs[k - 1], xs[k], length, side, law)
        if not fresh and choices[j, 1] >= 0 and choices[j, 3] > 0:
            start, end = int(choices[j, 2]), int(choices[j, 1])
            best = _curve(xs, ys, count, last, start, end, length, side, law, work)
            if best <= TOLERATED * choices[j, 3] * failure[j]:
                result[j] = min(failure[j], best * MARGIN)
                continue
        mean = gained[count - 1]
        best = _height(xs, ys, count, mean, _chord(xs, ys, count, mean, hull))
        choices[j, 1], choices[j, 2] = -1, -1
        start, end = _search(xs, ys, count, last, length, side, law, work, hull)
        value = _curve(xs, ys, count, last, start, end, length, side, law, work)
        if value < best:
            best = value
            choices[j, 1], choices[j, 2] = end, start
        result[j] = min(failure[j], best * MARGIN)  # one more value does no harm
        choices[j, 3] = best / failure[j] if failure[j] > 0.0 else 0.0
    for j in range(size - 2, -1, -1):  # it falls, whatever was found
        result[j] = max(result[j], result[j + 1])
    return result


@njit(cache=True, nogil=True)
def _convex(xs, ys, count, last, steepness, length, side, law, work):  # type: ignore[no-untyped-def]
    """The smallest convex function above the corners with this steepness at the last one.

    Fills its values at the corners, its steepness to the right of each, and what it loses to the
    right of each: its steepness times the integral of K(Λ − y) − K(y).
    """
    values, slopes, lost, gained = work[2], work[3], work[4], work[5]
    gap = xs[count - 1] - xs[last]
    values[last], slopes[last] = ys[last], steepness
    if ys[last] - steepness * gap >= 0.0:
        lost[last] = steepness * (gained[count - 1] - gained[last])
    else:  # continued by 0, which keeps it convex; rounded inwards
        end = xs[last] + ys[last] / steepness * (1.0 - 1e-15)
        lost[last] = steepness * _gain(xs[last], max(xs[last], end), length, side, law)
    for k in range(last - 1, -1, -1):
        width = xs[k + 1] - xs[k]
        line = values[k + 1] + slopes[k + 1] * width
        if ys[k] > line:
            values[k] = ys[k]
            slopes[k] = max(slopes[k + 1], (ys[k] - values[k + 1]) / width)
        else:
            values[k], slopes[k] = line, slopes[k + 1]
        lost[k] = lost[k + 1] + slopes[k] * (gained[k + 1] - gained[k])


@njit(cache=True, nogil=True)
def _search(xs, ys, count, last, length, side, law, work, hull):  # type: ignore[no-untyped-def]
    """Which first slope, and up to which corner a line replaces the left of h, for about the best
    value of (1)."""
    values, slopes, lost, gained = work[2], work[3], work[4], work[5]
    best, chosen = np.inf, (STARTS - 1, 0)
    stride = max(1, last // ENDS)
    for start in range(STARTS):
        steepness = _first_slope(xs, ys, count, last, start)
        if steepness < 0.0:
            continue
        _convex(xs, ys, count, last, steepness, length, side, law, work)
        value = values[0] - lost[0]
        if value < best:
            best, chosen = value, (start, 0)
        top, hull[0] = 0, 0
        for end in range(1, last + 1):
            if end % stride == 0 or end == last:
                low, high = 0, top  # along the hull the steepness towards `end` rises, then falls
                while high > low:
                    middle = (low + high) // 2
                    a, b = hull[middle], hull[middle + 1]
                    if (ys[a] - values[end]) * (xs[end] - xs[b]) < (ys[b] - values[end]) * (
                        xs[end] - xs[a]
                    ):
                        low = middle + 1
                    else:
                        high = middle
                line = (ys[hull[low]] - values[end]) / (xs[end] - xs[hull[low]])
                if line >= slopes[end]:
                    value = values[end] + line * (xs[end] - gained[end]) - lost[end]
                    if value < best:
                        best, chosen = value, (start, end)
            top = _push(xs, ys, hull, top, end)
    return chosen


@njit(cache=True, nogil=True)
def _curve(xs, ys, count, last, start, end, length, side, law, work):  # type: ignore[no-untyped-def]
    """(1) for the chosen h, each condition enforced anew."""
    values, slopes, lost, gained = work[2], work[3], work[4], work[5]
    end = min(end, last)  # a kept choice may be about other corners
    steepness = max(0.0, _first_slope(xs, ys, count, last, start))
    _convex(xs, ys, count, last, steepness, length, side, law, work)
    line = slopes[end]  # at least as steep as what follows, so the whole is convex
    for k in range(end):
        line = max(line, (ys[k] - values[end]) / (xs[end] - xs[k]))
    return values[end] + line * (xs[end] - gained[end]) - lost[end]

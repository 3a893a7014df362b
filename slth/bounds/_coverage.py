"""The dynamic program behind `n_rss(..., method="dynamic")`, certified by rounding upward.

Setting: tolerance τ = ε + b; the interval J = [−1/2 − b, 1/2 + b] of length Λ = 1 + 2b; C = [−ε, ε]
before the first value, and each value X, uniform on [−1, 1], adds (C + X) ∩ J, so that every z in C
is within ε of a subset sum; v = |C|, w = Λ − v, and v grows by N(X) = |(C + X) ∩ (J \\ C)|. If some
z in [−1/2, 1/2] is farther than τ from all subset sums, [z − b, z + b] is uncovered, so v <= Λ − 2b
= 1. (J reaches beyond the targets so that a gap at the end of their interval costs as much measure
as one inside.)

Let V_t(v) be the largest probability, over sets C with |C| >= v, of ending at or below 1 after t
more values. Riesz's rearrangement inequality (1930) compares the law of N(X) with that of
N*(X) = |(C* + X) ∩ W*| for centred intervals of lengths v and w: over all shifts both add up to
v w, and N* is the more spread one. Shifts beyond 1 are cut off; N* is 0 there, and N loses at most
2b²: of two points farther apart than 1, at either end of J, one is in C and the other not. So
E h(N(X)) <= E h(N*(X)) + s b² for every convex falling h of steepness at most s. N* is 0 with
probability 1 − Λ/2, M = min(v, w) with probability |v − w|/2, and else uniform on (0, M). Hence,
for every convex falling h that lies above V_t(v + ·) on [0, M],

    V_{t+1}(v) <= (1 − Λ/2) h(0) + (|v − w|/2) h(M) + ∫_0^M h + s b².                          (1)

The program keeps upper bounds G_t of V_t on a grid g_0 < g_1 < ...: V_t falls, so the step function
with value G_t(g_i) on [g_i, g_{i+1}) lies above it, and h must lie above the corners
(g_{i+1}, G_t(g_i)). Such h are searched for: straight lines; and, leftwards from the last corner
before success, the smallest convex function above the corners for one of a few first slopes, its
left end replaced by a straight line where that is better. The search is not trusted: whatever it
returns is made convex, raised above every corner and integrated anew. All terms of (1) are
positive, and a factor 1 + 1e-10 covers their rounding. With straight lines alone only mean and
range of v' enter: the program is then that of the growth recursion of da Cunha et al. (2022), 39
values instead of 36 at tolerance and δ 0.01.

Other laws and intervals. Let X have a symmetric density k(|x|) that falls with |x|, and J be
[−ρ − b, ρ + b], Λ = 2ρ + 2b. Of all C in J with |C| = v, an interval at an end of J has the fewest
pairs (z, y) in (J \\ C) × C at distance at most r, for every r; so, k being a mixture of uniform
densities, E N(X) >= Φ(Λ) − Φ(v) − Φ(w) for Φ'' = k, Φ(0) = Φ'(0) = 0. With this mean and the range
the program runs by straight lines in units of 2ρ. (For uniform X and ρ = 1/2 the mean is that of
above, vw/2 − b².) It is Riesz's inequality again: the pairs of J are those of C × C, at most as
many as in an interval, those of W × W alike, and twice those of W × C.

Proofs step by step: `rearrangement`, `coverage_program`, `end_interval` and `coverage_rounding` in
`proofs/`; `coverage_numbers` there checks whole runs in integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from threading import Lock

import numpy as np
from numba import njit

from slth.bounds import Floats
from slth.errors import BadInput

SHARE = 0.6  # of the tolerance for ε, the rest for b; n is flat in it from 0.5 to 0.7
FINEST, COARSEST = 128, 20  # grid points an octave; between them so that a run takes a second
LEAST = 1e-12  # smallest tolerance
PATIENCE = 2000  # steps that may leave G at the start as it is
STARTS = 3  # first slopes that are tried
EARLY, EVERY = 8, 3  # steps that search every choice anew: the first ones, then one in so many
TOLERATED = 1.002  # a choice that is this much worse than last time is searched for anew
ENDS = 32  # corners, about, up to which a line is tried on the left
WHERE = (0.25, 0.99)  # values of v for which curved h are tried: elsewhere they gain nothing
MARGIN = 1 + 1e-10

Law = Callable[[Floats], Floats]  # Φ, with Φ'' the density at a distance and Φ(0) = Φ'(0) = 0


class Program:
    """The program for one tolerance in [1e-12, 1/2), run as far as it was asked so far.

    points: of the grid per octave; by default fewer for a smaller tolerance, whose grid is longer.
    law: of the values, where they are not uniform or the targets not [−1/2, 1/2] but [−half, half];
    such programs use straight lines only.
    """

    def __init__(
        self, tolerance: float, points: int | None = None, law: Law | None = None, half: float = 0.5
    ) -> None:
        if not LEAST <= tolerance < half:
            allowed = f"a number in [{LEAST:g}, {half:g}) by dynamic programming"
            raise BadInput("tolerance", tolerance, allowed, 'use method="phases"')
        side = 2 * half  # the unit of length from here on
        if side != 1:  # the quotient rounded down
            tolerance = float(np.nextafter(tolerance / side, 0.0))
        epsilon = SHARE * tolerance
        # ε + b <= τ, with b on a lattice on which Λ = 1 + 2b is exact
        self.margin = math.floor((tolerance - epsilon) * 2.0**51) * 2.0**-51
        self.length = 1 + 2 * self.margin
        if points is None:
            octaves = -math.log2(2 * epsilon) - math.log2(2 * self.margin)
            points = min(FINEST, max(COARSEST, int(20_000 / octaves**2)))
        self.grid = coverage_grid(2 * epsilon, self.length, points)
        self._now = np.ones(self.grid.size)
        self._now[-1] = 0.0
        self._curve = [1.0]
        self.choices = np.zeros((self.grid.size, 4))
        self.gains = None if law is None else least_gains(self.grid, self.length, law, side)
        self._lock = Lock()  # threads share programs

    def curve(self, steps: int) -> Floats:
        """G_0, ..., G_steps at the start v = 2ε: `[steps + 1]` bounds on the failure probability
        of that many values."""
        with self._lock:
            while len(self._curve) <= steps:
                self._extend()
            return np.array(self._curve[: steps + 1])

    def least_steps(self, delta: float) -> int:
        """The least n with G_n <= δ; BadInput where the grid is too coarse to get there."""
        with self._lock:
            while self._curve[-1] > delta:
                self._extend()
            return next(n for n, failure in enumerate(self._curve) if failure <= delta)

    def _extend(self) -> None:
        past = self._curve[-PATIENCE:]
        if len(past) == PATIENCE and past[0] == past[-1]:
            least = f"more, where G stands still at {past[-1]:.3g}"
            raise BadInput("points", self.grid.size, least, 'more points, or method="phases"')
        after = self.step(self._now)
        self._now = after
        self._curve.append(float(after[0]))

    def step(self, failure: Floats) -> Floats:
        """G_{t+1} from G_t, both `[grid]`."""
        after: Floats
        if self.gains is not None:
            after = line_step(self.grid, failure, self.length, self.gains)
            return after
        fresh = len(self._curve) < EARLY or len(self._curve) % EVERY == 0
        after = _step(self.grid, failure, self.length, self.margin, self.choices, fresh)
        return after


@lru_cache(maxsize=256)
def program(tolerance: float, law: Law | None = None, half: float = 0.5) -> Program:
    """The program for this tolerance, kept: further questions go on from where it stands."""
    return Program(tolerance, None, law, half)


def least_gains(grid: Floats, length: float, law: Law, side: float) -> Floats:
    """Φ(Λ) − Φ(v) − Φ(Λ − v) at v = grid, in units of `side`: the least that E N(X) can be."""
    total = law(np.array(length * side))
    gains = total - law(grid * side) - law(np.maximum(length - grid, 0.0) * side)
    least: Floats = np.maximum(0.0, gains - 1e-14 * total) / side
    return least


def uniform(distance: Floats) -> Floats:
    """Φ of the uniform law on [−1, 1]."""
    near = np.minimum(distance, 1.0)
    twice: Floats = near**2 / 4 + (distance - near) / 2
    return twice


def product(distance: Floats) -> Floats:
    """Φ of u·v, u and v uniform on [−1, 1], whose density is ln(1/|z|)/2."""
    near = np.minimum(distance, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = np.where(near > 0, near**2 * np.log(near), 0.0)
    twice: Floats = (0.75 * near**2 - 0.5 * bend + (distance - near)) / 2
    return twice


def coverage_grid(start: float, length: float, points: int) -> Floats:
    """From `start`, or just below, to below 1, then the float after 1, where success begins.

    Geometric in v up to Λ/2 and in Λ − v beyond, with the same spacing where the two meet:
    neighbouring cells of very different size would spoil the slopes of h.
    """
    half, gap = length / 2, length - 1
    low = half * np.exp2(-np.arange(_cells(half / start, points), -1, -1) / points)
    low[0] = min(low[0], start)  # rounding may have put it above
    late = np.empty(0)
    if gap < half:
        cells = _cells(half / gap, points)
        late = length - half * np.exp2(-math.log2(half / gap) * np.arange(1, cells) / cells)
    inner = np.concatenate([low, late])
    return np.append(inner[inner < 1.0], np.nextafter(1.0, 2.0))


def _cells(ratio: float, points: int) -> int:
    return max(1, math.ceil(points * math.log2(ratio)))


def coverage_step(
    grid: Floats, failure: Floats, length: float, margin: float
) -> tuple[Floats, Floats]:
    """G_{t+1} on the grid `[m]` from G_t, every choice searched, and the choices `[m, 4]`."""
    choices = np.zeros((grid.size, 4))
    return _step(grid, failure, length, margin, choices, True), choices


@njit(cache=True, nogil=True)
def _step(grid, failure, length, margin, choices, fresh):  # type: ignore[no-untyped-def]
    """G_{t+1} on the grid `[m]` from G_t; with what (1) was used is left in `choices`.

    choices `[m, 4]`: first slope and number of the corner up to which a line replaces the left end
    of h, −1 for a straight line over everything; which first slope that was; and by what factor
    G fell. A choice that does nearly as well again is kept, unless all are wanted `fresh`.
    """
    size = grid.size
    result = np.zeros(size)
    work = np.empty((5, size + 2))
    hull = np.empty(size + 2, dtype=np.int64)
    for j in range(size - 1):  # at the last point success is certain
        xs, ys, count, last = _corners(grid, failure, j, length, work)
        law = (grid[j], length, margin)
        if not fresh and choices[j, 1] >= 0 and choices[j, 3] > 0:
            start, end = int(choices[j, 2]), int(choices[j, 1])
            best = _replaced(xs, ys, count, last, law, start, end, work)
            if best <= TOLERATED * choices[j, 3] * failure[j]:
                choices[j, 0] = _first_slope(xs, ys, count, last, start)
                result[j] = min(failure[j], best * MARGIN)
                continue
        slope = _chord(xs, ys, count, 0.5 * grid[j] * (length - grid[j]), hull)
        best = _line(xs, ys, count, law, slope)
        choices[j, 0], choices[j, 1], choices[j, 2] = slope, -1, -1
        if WHERE[0] <= grid[j] <= WHERE[1]:
            start, end = _search(xs, ys, count, last, law, work, hull)
            value = _replaced(xs, ys, count, last, law, start, end, work)
            if value < best:
                best = value
                slope = _first_slope(xs, ys, count, last, start)
                choices[j, 0], choices[j, 1], choices[j, 2] = slope, end, start
        result[j] = min(failure[j], best * MARGIN)  # one more value does no harm
        choices[j, 3] = best / failure[j] if failure[j] > 0.0 else 0.0
    for j in range(size - 2, -1, -1):  # it falls, whatever was found
        result[j] = max(result[j], result[j + 1])
    return result


@njit(cache=True, nogil=True)
def line_step(grid, failure, length, gains):  # type: ignore[no-untyped-def]
    """G_{t+1} on the grid `[m]` from G_t by straight lines alone: N has mean >= gains `[m]`."""
    size = grid.size
    result = np.zeros(size)
    work = np.empty((5, size + 2))
    hull = np.empty(size + 2, dtype=np.int64)
    for j in range(size - 1):
        xs, ys, count, _last = _corners(grid, failure, j, length, work)
        slope = _chord(xs, ys, count, gains[j], hull)
        height = _height(xs, ys, count, gains[j], slope)
        result[j] = min(failure[j], height * MARGIN)
    for j in range(size - 2, -1, -1):
        result[j] = max(result[j], result[j + 1])
    return result


@njit(cache=True, nogil=True)
def _corners(grid, failure, j, length, work):  # type: ignore[no-untyped-def]
    """Corners (y, height) of the step function on [0, M], seen from v = grid[j]: their number, and
    which is the last of positive height."""
    xs, ys = work[0], work[1]
    v = grid[j]
    reach = min(v, length - v)
    xs[0], ys[0] = 0.0, failure[j]
    count, i = 1, j
    while i + 1 < grid.size and grid[i + 1] - v < reach:
        xs[count], ys[count] = grid[i + 1] - v, failure[i]
        count += 1
        i += 1
    cell = xs[count - 1] - xs[count - 2] if count > 2 else 0.0
    if failure[i] > 0.0 and reach - xs[count - 1] < 0.5 * cell:
        xs[count - 1] = reach  # a corner moved right is on the safe side, a tiny cell is a trap
    else:
        xs[count], ys[count] = reach, failure[i]
        count += 1
    last = count - 1
    while last > 0 and ys[last] <= 0.0:
        last -= 1
    return xs, ys, count, last


@njit(cache=True, nogil=True)
def _chord(xs, ys, count, mean, hull):  # type: ignore[no-untyped-def]
    """Steepness at `mean` of the upper hull of the corners."""
    top = 0
    hull[0] = 0
    for k in range(1, count):
        top = _push(xs, ys, hull, top, k)
    k = 1
    while k < top and xs[hull[k]] < mean:
        k += 1
    a, b = hull[k - 1], hull[k]
    return max(0.0, (ys[a] - ys[b]) / (xs[b] - xs[a]))


@njit(cache=True, nogil=True)
def _push(xs, ys, hull, top, k):  # type: ignore[no-untyped-def]
    """Add corner k on the right of an upper hull."""
    while top > 0:
        a, b = hull[top - 1], hull[top]
        if (ys[b] - ys[a]) * (xs[k] - xs[a]) > (ys[k] - ys[a]) * (xs[b] - xs[a]):
            break
        top -= 1
    hull[top + 1] = k
    return top + 1


@njit(cache=True, nogil=True)
def _line(xs, ys, count, law, steepness):  # type: ignore[no-untyped-def]
    """(1) for a line of this steepness, as low as the corners allow; it needs only the mean."""
    v, length, margin = law
    mean = 0.5 * v * (length - v)
    return _height(xs, ys, count, mean, steepness) + steepness * margin * margin


@njit(cache=True, nogil=True)
def _height(xs, ys, count, mean, steepness):  # type: ignore[no-untyped-def]
    """Of the lowest line of this steepness above all corners, at the mean."""
    height = 0.0
    for k in range(count):
        rise = steepness * (xs[k] - mean)
        # three roundings, each at most 2^-53 of what it rounds
        height = max(height, ys[k] + rise + 1e-15 * (ys[k] + abs(rise)))
    return height


@njit(cache=True, nogil=True)
def _first_slope(xs, ys, count, last, start):  # type: ignore[no-untyped-def]
    """Candidates for the steepness of h at the last corner before success; −1 for none."""
    gap = xs[count - 1] - xs[last]
    if start >= STARTS - 2:
        if gap <= 0.0:
            return -1.0
        return ys[last] / gap * (1.0 if start == STARTS - 1 else 0.5)
    back = last - (1 << start)
    if back < 0:
        return -1.0
    return max(0.0, (ys[back] - ys[last]) / (xs[last] - xs[back]))


@njit(cache=True, nogil=True)
def _convex(xs, ys, count, last, v, length, steepness, work):  # type: ignore[no-untyped-def]
    """The smallest convex function above the corners with this steepness at the last one.

    Fills its values at the corners, its steepness to the right of each, and (|v − w|/2) h(M) plus
    its integral from each corner to M.
    """
    values, slopes, rest = work[2], work[3], work[4]
    gap = xs[count - 1] - xs[last]
    atom = 0.5 * abs(length - 2.0 * v)
    values[last], slopes[last] = ys[last], steepness
    end = ys[last] - steepness * gap
    if end >= 0.0:
        rest[last] = 0.5 * gap * (ys[last] + end) + atom * end
    else:  # continued by 0, which keeps it convex
        rest[last] = 0.5 * ys[last] * ys[last] / steepness
    for k in range(last - 1, -1, -1):
        width = xs[k + 1] - xs[k]
        line = values[k + 1] + slopes[k + 1] * width
        if ys[k] > line:
            values[k] = ys[k]
            slopes[k] = max(slopes[k + 1], (ys[k] - values[k + 1]) / width)
        else:
            values[k], slopes[k] = line, slopes[k + 1]
        rest[k] = rest[k + 1] + 0.5 * width * (values[k] + values[k + 1])


@njit(cache=True, nogil=True)
def _search(xs, ys, count, last, law, work, hull):  # type: ignore[no-untyped-def]
    """Which first slope, and up to which corner a line replaces the left of h, for about the best
    value of (1)."""
    v, length, margin = law
    values, slopes, rest = work[2], work[3], work[4]
    stay = 1.0 - 0.5 * length
    best, chosen = np.inf, (0, 0)
    stride = max(1, last // ENDS)
    for start in range(STARTS):
        steepness = _first_slope(xs, ys, count, last, start)
        if steepness < 0.0:
            continue
        _convex(xs, ys, count, last, v, length, steepness, work)
        value = stay * values[0] + rest[0] + slopes[0] * margin * margin
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
                    first = values[end] + line * xs[end]
                    value = stay * first + rest[end] + 0.5 * xs[end] * (first + values[end])
                    value += line * margin * margin
                    if value < best:
                        best, chosen = value, (start, end)
            top = _push(xs, ys, hull, top, end)
    return chosen


@njit(cache=True, nogil=True)
def _replaced(xs, ys, count, last, law, start, end, work):  # type: ignore[no-untyped-def]
    """(1) for the chosen h, each condition enforced anew."""
    v, length, margin = law
    end = min(end, last)  # a kept choice may be about other corners
    steepness = max(0.0, _first_slope(xs, ys, count, last, start))
    _convex(xs, ys, count, last, v, length, steepness, work)
    values, slopes, rest = work[2], work[3], work[4]
    line = slopes[end]  # at least as steep as what follows, so the whole is convex
    for k in range(end):
        line = max(line, (ys[k] - values[end]) / (xs[end] - xs[k]))
    first = values[end] + line * xs[end]
    value = (1.0 - 0.5 * length) * first + rest[end] + 0.5 * xs[end] * (first + values[end])
    return value + line * margin * margin

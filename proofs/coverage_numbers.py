"""Two explicit counts: 23 values at tolerance and δ 1/10 and 1/100, 36 at 1/100 and 1/100.

Theorem. Let X_1, ..., X_n be independent, uniform on [−1, 1]. With probability at least 99/100,
every z in [−½, ½] is within 1/10 of a subset sum if n = 23, and within 1/100 of one if n = 36.

Proof. A certificate in the sense of `proofs.coverage_program`: ε, b, a grid and values G_t on it,
t = 0, ..., n, which the library's program (`slth.bounds._coverage`) computes in floats. Floats are
rationals. For each t and each grid point the recursion is checked in integers: from the float G_t,
corners; from the program's first slope and left end, as hints, a function h that is convex, falling
and above every corner by construction, its steepness rounded up; from h the bound of the theorem,
rounded up; and that must be at most the float G_{t+1}. Then G_n(g_0) <= 1/100 is compared. ∎

What is checked. All of it, at every grid point where the program lowered G; and with that, that its
factor 1 + 1e-10 covers its rounding there.

What is not. The theorem of `proofs.coverage_program` and what that assumes. Nothing is assumed of
floats: a wrong G would be rejected here, and a wrong hint only makes the bound larger.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from itertools import pairwise
from typing import Any

from proofs import Step
from slth.bounds._coverage import MARGIN, Program

PLACES = 60  # bits after the point: of positions,
SLOPES = 80  # of steepness; heights and areas have as many as their products
HEIGHTS, AREAS = PLACES + SLOPES, 2 * PLACES + SLOPES
DELTA = Fraction(1, 100)
COUNTS = {Fraction(1, 10): 23, Fraction(1, 100): 36}  # values by tolerance


def steps() -> tuple[Step, ...]:
    return tuple(step(tolerance, values) for tolerance, values in COUNTS.items())


def step(tolerance: Fraction, values: int) -> Step:
    claim = partial(certificate, tolerance, values)
    return Step(
        f"∀ grid points, t < {values}: the float G_(t+1) is at least the exact bound from the "
        f"float G_t, and G_{values} <= 1/100 at the start, with ε + b <= {tolerance}",
        "exact",
        claim,
        {
            "X is uniform on [−2, 2]": partial(claim, spread=2),
            "shifts beyond 1 lose 4b²": partial(claim, lost=4),
            "the factor 1 + 1e-10 is left out": partial(claim, factor=MARGIN),
            "ε + b is above the tolerance": partial(claim, allowed=tolerance * Fraction(99, 100)),
        },
        {
            "one value fewer is enough": partial(certificate, tolerance, values - 1),
            "δ is 1/200": partial(claim, delta=DELTA / 2),
        },
    )


class Recorded(Program):
    """The library's program, with every step kept: G_t, G_{t+1} and the hints."""

    def __init__(self, tolerance: float) -> None:
        super().__init__(tolerance)
        self.history: list[tuple[Any, Any, Any]] = []

    def step(self, failure: Any) -> Any:
        after = super().step(failure)
        self.history.append((failure.copy(), after.copy(), self.choices.copy()))
        return after


@cache
def recorded(tolerance: Fraction) -> Recorded:
    run = Recorded(float(tolerance))
    run.curve(COUNTS[tolerance])
    return run


def certificate(
    tolerance: Fraction,
    values: int,
    delta: Fraction = DELTA,
    allowed: Fraction | None = None,
    factor: float = 1.0,
    **broken: int,
) -> Iterator[tuple[Any, Any]]:
    """Pairs lhs <= rhs that make it one, what is false in most mutants first."""
    run = recorded(tolerance)
    history = run.history[:values]
    grid = [exactly(g) for g in run.grid.tolist()]
    law = Law(exactly(run.length), exactly(run.margin), **broken)
    yield Fraction(float(history[-1][1][0])), delta
    epsilon, margin = Fraction(grid[0], 2 << PLACES), Fraction(law.margin, 1 << PLACES)
    yield epsilon + margin, tolerance if allowed is None else allowed
    yield law.length, (1 << PLACES) + 2 * law.margin
    yield from ((1, law.margin), ((1 << PLACES) + 1, grid[-1]))
    yield from ((a + 1, b) for a, b in pairwise(grid))
    before = [1.0] * (len(grid) - 1) + [0.0]
    for given, after, hints in history:
        yield int(before != given.tolist()), 0  # it goes on from the step before
        yield from ((Fraction(b), Fraction(a)) for a, b in pairwise(before))
        heights = [up(g, HEIGHTS) for g in before]
        for j, (old, new) in enumerate(zip(before, after.tolist(), strict=True)):
            if new < old:  # else nothing is claimed: one more value does no harm
                xs, ys = corners(grid, heights, j, law.length)
                slope, end = up(float(hints[j][0]), SLOPES), int(hints[j][1])
                yield law.bound(grid[j], xs, ys, slope, end), -up(-new / factor, AREAS + 1)
        before = after.tolist()


def up(x: float, bits: int) -> int:
    """2^bits x, rounded up."""
    numerator, denominator = x.as_integer_ratio()
    return -((-numerator << bits) // denominator)


def exactly(x: float) -> int:
    """2^PLACES x, for the floats of which that is an integer."""
    scaled = up(x, PLACES)
    if Fraction(scaled, 1 << PLACES) != Fraction(x):
        raise ValueError(f"{x!r} has more than {PLACES} places")
    return scaled


def corners(
    grid: Sequence[int], heights: Sequence[int], j: int, length: int
) -> tuple[list[int], list[int]]:
    """Where h has to be above G seen from grid[j], and how high: the first at 0, the last at M."""
    v = grid[j]
    reach = min(v, length - v)
    stop = bisect_left(grid, v + reach, j + 1)
    xs, ys = [0] + [g - v for g in grid[j + 1 : stop]], [heights[j], *heights[j : stop - 1]]
    tiny = len(xs) > 2 and 2 * (reach - xs[-1]) < xs[-1] - xs[-2]
    if tiny and heights[stop - 1] > 0:  # a corner may be moved right, to where the last would be
        xs[-1] = reach
    else:
        xs.append(reach)
        ys.append(heights[stop - 1])
    return xs, ys


@dataclass(frozen=True)
class Law:
    """The bound of one step, in integers. spread: X is uniform on [−spread, spread]; lost, in b²:
    the measure of the pairs of W × C that differ by more than 1."""

    length: int
    margin: int
    spread: int = 1
    lost: int = 2

    def bound(self, v: int, xs: list[int], ys: list[int], slope: int, end: int) -> int:
        """Twice the bound for an h that the hints `slope` and `end` suggest, with AREAS bits."""
        slope = max(0, slope)
        if end < 0:
            twice, first = self._line(v, xs, ys, slope)
        else:
            twice, first, slope = self._curve(v, xs, ys, slope, end)
        twice += self.lost * slope * self.margin**2
        if self.spread > 1:  # a value beyond 1 adds next to nothing
            twice = (twice + (self.spread - 1) * (first << PLACES + 1)) // self.spread
        return twice

    def _line(self, v: int, xs: list[int], ys: list[int], slope: int) -> tuple[int, int]:
        """Twice the height at the mean of the lowest line above the corners, and that at 0."""
        unit, mean = 2 << PLACES, v * (self.length - v)
        twice = max([unit * y + slope * (unit * x - mean) for x, y in zip(xs, ys, strict=True)])
        return twice, (twice + slope * mean) // unit

    def _curve(
        self, v: int, xs: list[int], ys: list[int], slope: int, end: int
    ) -> tuple[int, int, int]:
        """Twice the mean of h(N*), h(0) and the steepness of h at 0."""
        last = max(k for k, y in enumerate(ys) if y > 0)
        end, height, right = min(end, last), ys[last], xs[last]
        gap = xs[-1] - right
        at_reach = height - slope * gap
        if at_reach >= 0:
            twice = gap * (height + at_reach) + abs(self.length - 2 * v) * at_reach
        else:  # continued by 0
            twice = -(-height * height // slope)
        for k in range(last - 1, end - 1, -1):
            width = right - xs[k]
            if ys[k] > height + slope * width:
                slope = -((height - ys[k]) // width)
            after = height + slope * width
            twice += width * (height + after)
            height, right = after, xs[k]
        for k in range(end):
            if ys[k] > height + slope * (right - xs[k]):
                slope = -((height - ys[k]) // (right - xs[k]))
        first = height + slope * right
        twice += right * (first + height) + ((2 << PLACES) - self.length) * first
        return twice, first, slope

"""The certificate of the coverage program: what it computes, and that it notices what is wrong."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog

from proofs import coverage_numbers as numbers
from proofs import coverage_rounding as rounding
from proofs.checkers import CHECKERS
from slth.bounds import random_subset_sum as library
from slth.bounds._coverage import LEAST, Program

POINT, COUNT = Fraction(1, 10), 23
exact = CHECKERS["exact"]


def test_the_recorded_run_is_the_librarys() -> None:
    run = numbers.recorded(POINT)
    np.testing.assert_array_equal(run.curve(COUNT), Program(float(POINT)).curve(COUNT))
    for tolerance, values in numbers.COUNTS.items():
        assert library.n_rss(float(tolerance), float(numbers.DELTA)) == values


@pytest.mark.parametrize("step", [0, 5, 22])
def test_a_value_that_is_too_small_is_noticed(step, monkeypatch) -> None:
    """By one part in 10^9, at the place where the program gained least in that step."""
    run = numbers.recorded(POINT)
    history = list(run.history)
    given, after, hints = history[step]
    gained = np.flatnonzero(after < given)
    j = int(gained[np.argmax((after / np.maximum(given, 1e-300))[gained])])
    lowered = after.copy()
    lowered[j] *= 1 - 1e-9
    history[step] = given, lowered, hints
    if step + 1 < len(history):
        history[step + 1] = lowered, *history[step + 1][1:]
    monkeypatch.setattr(run, "history", history)
    assert exact(numbers.certificate(POINT, COUNT))


def test_a_step_left_out_is_noticed(monkeypatch) -> None:
    run = numbers.recorded(POINT)
    monkeypatch.setattr(run, "history", [*run.history[:3], *run.history[4:]])
    reason = exact(numbers.certificate(POINT, COUNT - 1, delta=Fraction(1)))
    assert reason is not None
    assert "1 > 0" in reason


def optimum(v, length, margin, xs, ys) -> float:
    """The least bound that any h with kinks at the corners gives: a linear program in the heights
    h_k and the first steepness."""
    count, atom = len(xs), abs(length - 2 * v) / 2
    cost = np.zeros(count + 1)
    cost[0] += 1 - length / 2
    cost[count - 1] += atom
    cost[count] = margin**2
    widths = np.diff(xs)
    cost[: count - 1] += widths / 2
    cost[1:count] += widths / 2
    slopes = np.zeros((count - 1, count + 1))  # steepness of each piece
    for k, width in enumerate(widths):
        slopes[k, k], slopes[k, k + 1] = 1 / width, -1 / width
    first = -slopes[:1].copy()  # the variable is at least the first steepness
    first[0, count] += 1
    conditions = np.vstack([slopes[:-1] - slopes[1:], slopes[-1:], first])
    bounds = [(y, None) for y in ys] + [(0, None)]
    found = linprog(cost, A_ub=-conditions, b_ub=np.zeros(len(conditions)), bounds=bounds)
    assert found.success
    return float(found.fun)


@pytest.mark.parametrize("seed", range(40))
def test_no_hint_gives_less_than_the_best_h(seed) -> None:
    """Any first slope and left end, sensible or not, against the optimum; some come near it."""
    rng = np.random.default_rng(seed)
    grid = np.unique(np.sort(rng.integers(1, 1000, 12))) / 1000
    heights = np.append(np.sort(rng.random(grid.size))[::-1], 0.0)
    grid = np.append(grid, 1.0 + 2**-20)
    margin = 0.03125
    length = 1 + 2 * margin
    places = [numbers.exactly(g) for g in grid.tolist()]
    law = numbers.Law(numbers.exactly(length), numbers.exactly(margin))
    tall = [numbers.up(float(g), numbers.HEIGHTS) for g in heights]
    for j in range(0, grid.size - 1, 3):
        xs, ys = numbers.corners(places, tall, j, law.length)
        slopes = [0.0, *rng.exponential(2, 30).tolist()]
        found = [
            law.bound(places[j], list(xs), list(ys), numbers.up(slope, numbers.SLOPES), end)
            for slope in slopes
            for end in range(-1, len(xs) + 2)
        ]
        least = optimum(grid[j], length, margin, *with_crossings(xs, ys, slopes))
        best = min(found) / 2 ** (numbers.AREAS + 1)
        assert least * (1 - 1e-9) <= best <= least * 1.25


def with_crossings(xs, ys, slopes) -> tuple[list[float], list[float]]:
    """The corners, and where h may reach 0 behind the last one that is positive."""
    corners = dict(zip((x / 2**numbers.PLACES for x in xs), ys, strict=True))
    start, height = [(x, y) for x, y in corners.items() if y > 0][-1]
    for slope in slopes:
        if slope > 0 and start + height / 2**numbers.HEIGHTS / slope < max(corners):
            corners.setdefault(start + height / 2**numbers.HEIGHTS / slope, 0)
    places = sorted(corners)
    return places, [corners[x] / 2**numbers.HEIGHTS for x in places]


def test_the_hypotheses_on_rounding_are_met() -> None:
    for tolerance in (*np.geomspace(LEAST, 0.49, 60), *np.linspace(0.01, 0.49, 25)):
        run = Program(float(tolerance))
        assert run.grid.size + 1 <= rounding.CORNERS
        assert Fraction(run.margin) <= rounding.LARGEST_B
        assert Fraction(run.margin) > 0
        assert Fraction(float(run.grid[0])) / 2 + Fraction(run.margin) <= Fraction(float(tolerance))
        assert Fraction(run.length) == 1 + 2 * Fraction(run.margin)


def test_the_means_of_the_extra_values() -> None:
    """κ and φ of `subset_sum_products`, with balls."""
    flint = pytest.importorskip("flint")
    for rate in (0.01, 0.7, 5.0, 300.0):
        x = flint.arb(rate)
        kappa = 0.5 + (1 - (-x).exp()) / (2 * x)
        assert abs(library._kept_uniform(rate) - float(kappa)) < 1e-14
        with flint.ctx.workprec(200):
            ein = flint.arb.const_euler() + x.log() - (-x).ei()
            for scale in (library.CUT, library.FULL):
                phi = 1 - flint.arb(scale) * (1 - ein / x)
                assert abs(library._kept_product(rate, scale) - float(phi)) < 2e-13

"""The coverage program for falling laws: its integrals, its steps against linear programs."""

from __future__ import annotations

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy.optimize import linprog

from slth.bounds._coverage import Program, _corners, uniform
from slth.bounds._end_interval import EndProgram, Sharp, _gain, end_step
from tests.subset_sums import failures, too_low


def density(x: mpmath.mpf, c: float) -> mpmath.mpf:
    if c == 1:
        return mpmath.mpf(0.5) if x < 1 else mpmath.mpf(0)
    return mpmath.log(1 / max(mpmath.mpf(c), x)) / (2 * (1 - mpmath.mpf(c))) if x < 1 else 0


def mass(y: mpmath.mpf, c: float) -> mpmath.mpf:
    """∫_0^y f: constant up to c, then by quadrature."""
    near = min(y, mpmath.mpf(c))
    value = near * density(near / 2, c)
    if c < min(y, 1):
        value += mpmath.quad(lambda x: density(x, c), [c, min(y, 1)], maxdegree=4)
    return value


@pytest.mark.parametrize("least", [0.02, 0.4, 0.95, 0.99, 1.0])
def test_gains_are_integrals_rounded_down(least):
    """∫_a^b ∫_y^{Λ−y} f dx dy by quadrature, for wide and for tiny cells."""
    rng = np.random.default_rng(1)
    for _ in range(6):
        half = float(rng.uniform(0.5, 1))
        length = 1 + float(rng.uniform(1e-4, 0.2))
        b = float(rng.uniform(0.05, 0.5)) * length
        for a in (0.3 * b, b * (1 - 1e-9)):
            found = _gain(a, b, length, 2 * half, Sharp(least).numbers)
            kinks = [m / (2 * half) for m in (least, 1.0)]
            kinks += [length - k for k in kinks]
            marks = [a, *sorted(k for k in kinks if a < k < b), b]
            exact = sum(
                mpmath.quad(
                    lambda y, length=length, half=half: (
                        mass((length - y) * 2 * half, least) - mass(y * 2 * half, least)
                    ),
                    piece,
                    maxdegree=5,
                )
                for piece in pairwise(marks)
            )
            assert found <= exact * (1 + mpmath.mpf(1e-7)) + 1e-15
            # near c = 1 the law is left short on purpose
            assert found >= (1 - (2e-2 if least > 0.98 and least < 1 else 1e-6)) * exact - 1e-12


def test_the_integrand_falls():
    x = np.linspace(0, 1.05, 300)
    for least in (0.02, 0.5, 0.97, 0.99, 1.0):
        mass = Sharp(least).mass
        assert (np.diff(mass(2.1 - x) - mass(x)) <= 1e-15).all()
        assert mass(np.array([5.0]))[0] <= 0.5 + 1e-12
        slope = np.diff(Sharp(least).twice(x)) / np.diff(x)
        assert ((mass(x[:-1]) - 1e-9 <= slope) & (slope <= mass(x[1:]) + 1e-9)).all()


def least_value(xs: np.ndarray, ys: np.ndarray, gained: np.ndarray) -> float:
    """(1) minimised over convex falling h >= 0 above the corners: a linear program."""
    count = len(xs)
    widths = np.diff(xs)
    # h_0, …, h_{count−1}; the steepness of a piece is (h_k − h_{k+1})/width
    cost = np.zeros(count)
    cost[0] = 1
    for k in range(count - 1):
        cost[k] -= gained[k] / widths[k]
        cost[k + 1] += gained[k] / widths[k]
    rows = []
    for k in range(count - 2):
        row = np.zeros(count)
        row[k : k + 3] = -1 / widths[k], 1 / widths[k] + 1 / widths[k + 1], -1 / widths[k + 1]
        rows.append(row)
    last = np.zeros(count)
    last[-2:] = -1, 1
    rows.append(last)
    found = linprog(cost, np.array(rows), np.zeros(len(rows)), bounds=[(y, None) for y in ys])
    assert found.status == 0
    return float(found.fun)


@pytest.mark.parametrize(("least", "half"), [(1.0, 0.5), (1.0, 1.0), (0.6, 0.9)])
def test_a_step_is_what_some_convex_function_gives(least, half):
    """Never below the best of them, and near it."""
    run = EndProgram(0.02, least, half, points=6)
    for steps in (1, 5, 15):
        run.curve(steps)
        before = run._now.copy()
        after = end_step(run.grid, before, run.length, run.side, run.law, run.choices.copy(), True)
        for j in range(0, run.grid.size - 1, 9):
            work = np.empty((6, run.grid.size + 2))
            xs, ys, count, _ = _corners(run.grid, before, j, run.length, work)
            xs, ys = xs[:count].copy(), ys[:count].copy()
            if (np.diff(xs) <= 0).any() or ys[0] < 1e-6:
                continue
            # kinks beyond the last corner may lie anywhere
            xs = np.concatenate([xs[:-1], np.linspace(xs[-2], xs[-1], 61)[1:]])
            ys = np.concatenate([ys[:-1], np.full(60, ys[-1])])
            gained = np.array([_gain(a, b, run.length, run.side, run.law) for a, b in pairwise(xs)])
            best = min(before[j], least_value(xs, ys, gained))
            best = max(best, float(after[j + 1]))  # it is made to fall
            assert after[j] >= best * (1 - 2e-5)
            assert after[j] <= best * 1.05


def test_it_is_the_program_for_uniform_values_and_short_intervals():
    """Riesz's inequality gives both; here without its loss at the ends."""
    for tolerance, delta in ((0.1, 0.01), (0.02, 1e-4)):
        ours, theirs = EndProgram(tolerance, points=24), Program(tolerance, points=24)
        assert ours.least_steps(delta) <= theirs.least_steps(delta)
        assert theirs.least_steps(delta) - ours.least_steps(delta) <= 1


def test_it_asks_for_less_than_straight_lines():
    for half in (0.7, 1.0):
        ours = EndProgram(0.01, 1.0, half, 24).least_steps(1e-4)
        assert ours < Program(0.01, 24, uniform, half).least_steps(1e-4)


@pytest.mark.parametrize("half", [0.5, 1.0])
def test_its_bounds_are_above_frequencies(half):
    """Of uniform values, at counts where a tenth and more fail; false alarm 1e-4 each."""
    rng, run = np.random.default_rng(2), EndProgram(0.1, 1.0, half, 24)
    curve = run.curve(30)
    for n in (8, 12, 16):
        missed = failures(rng, 300, n, 0.1, reach=half)
        assert not too_low(missed, 300, float(curve[n]))
    assert (np.diff(curve) <= 0).all()
    assert curve[30] < 0.02

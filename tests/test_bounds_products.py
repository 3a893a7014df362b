"""Values of a falling density: what they add at least, lines in the program, products that suffice.

Simulations use fixed seeds; each assertion's false-alarm rate stands beside it.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import mpmath
import numpy as np
import pytest

from slth.bounds import _coverage as coverage
from slth.bounds.random_subset_sum import (
    CUT,
    FULL,
    WIDEST,
    _extra_products,
    _kept_product,
    n_rss,
    n_rss_product,
    n_rss_reach,
)
from slth.coverage import least_tolerances
from tests.subset_sums import coarse, log_chernoff, too_low
from tests.test_bounds_coverage import corners

CELLS = 48


def density(law: coverage.Law, z: mpmath.mpf) -> mpmath.mpf:
    if not 0 < z <= 1:
        return mpmath.mpf(0)
    return mpmath.mpf(1) / 2 if law is coverage.uniform else -mpmath.log(z) / 2


def seen(law: coverage.Law, width: float) -> np.ndarray:
    """∫∫ of the density over two cells of this width, d cells apart: `[CELLS]`, from d = 1 on."""
    found = []
    for d in range(1, CELLS):
        cuts = sorted({-width, 0.0, width, min(width, max(-width, 1 - d * width))})
        integral = mpmath.quad(
            lambda t, d=d: (width - abs(t)) * density(law, d * width + t), cuts, maxdegree=8
        )
        found.append(float(integral))
    return np.array([0.0, *found])


class TestLeastGains:
    @pytest.mark.parametrize("law", [coverage.uniform, coverage.product])
    def test_the_second_integral_of_the_density(self, law):
        """To 1e-15 of it, or of the distance where that is more: gains lose 1e-14 of Φ(Λ)."""
        for x in (1e-9, 1e-3, 0.3, 1.0, 1.5, 4.0):
            with mpmath.workdps(40):
                end = mpmath.mpf(x)
                cuts = [0, min(end, 1)]
                exact = mpmath.quad(lambda t, end=end: (end - t) * density(law, t), cuts)
                error = abs(mpmath.mpf(float(law(np.array(x)))) - exact)
                assert error < 1e-15 * max(exact, end if end < 0.1 else 0)
        assert law(np.array(0.0)) == 0

    def test_uniform_values_as_by_rearrangement(self):
        """v w/2 − b² where the interval of targets has length 1."""
        b = 0.0625
        v = np.linspace(2 * b, 1, 30)
        gains = coverage.least_gains(v, 1 + 2 * b, coverage.uniform, 1.0)
        assert gains == pytest.approx(v * (1 + 2 * b - v) / 2 - b**2, rel=1e-12)

    @pytest.mark.parametrize(
        ("law", "side"),
        [(coverage.uniform, 1.0), (coverage.uniform, 3.0), (coverage.product, 1.3),
         (coverage.product, 2.0)],
    )  # fmt: skip
    def test_no_set_gains_less(self, law, side):
        """Unions of 48 cells, random, clustered, moved, frayed: exact means against the
        bound, which the intervals at an end attain; 5 % more is refuted, and not by them alone."""
        rng = np.random.default_rng(70)
        length = 1.25
        kernel = seen(law, length * side / CELLS)
        pairs = kernel[np.abs(np.subtract.outer(np.arange(CELLS), np.arange(CELLS)))]

        def gain(inside: np.ndarray) -> float:
            return float(inside @ pairs @ ~inside) / side

        others = 0
        for v in range(1, CELLS):
            claimed = float(
                coverage.least_gains(np.array([v * length / CELLS]), length, law, side)[0]
            )
            end = np.arange(CELLS) < v
            assert gain(end) == pytest.approx(claimed, rel=1e-9)
            assert gain(end[::-1]) == pytest.approx(claimed, rel=1e-9)
            assert gain(end) < 1.05 * claimed
            frayed = end.copy()
            frayed[v - 1 : v + 1] = False, True
            sets = [frayed, np.roll(end, 1), np.roll(end, CELLS // 3)]
            sets += [rng.permutation(end) for _ in range(20)]
            sets += [np.repeat(rng.random(12) < v / CELLS, 4) for _ in range(5)]
            for inside in sets:
                if inside.sum() == v:
                    assert gain(inside) >= claimed * (1 - 1e-9)
                    others += gain(inside) < 1.05 * claimed and not (inside == end).all()
        assert others > 2


class TestLines:
    @pytest.mark.parametrize("seed", range(6))
    def test_a_step_against_the_chords_in_fractions(self, seed):
        """The least line above the corners at the mean is the highest chord there: G_{t+1} is no
        less, and by no more than rounding."""
        rng = np.random.default_rng(seed)
        length = 1.25
        grid = coverage.coverage_grid(0.1, length, 5)
        heights = np.sort(rng.random(grid.size - 1) ** 4)[::-1]
        failure = np.append(heights, 0.0)
        gains = rng.uniform(0, 0.5, grid.size) * np.minimum(grid, length - grid)
        after = coverage.line_step(grid, failure, length, gains)
        least = Fraction(0)
        for j in range(grid.size - 2, -1, -1):
            v, mean = Fraction(grid[j]), Fraction(gains[j])
            points = corners(grid, failure, j, min(v, Fraction(length) - v))
            best = max((y for x, y in points if x == mean), default=Fraction(0))
            for (x0, y0), (x1, y1) in combinations(points, 2):
                if x0 <= mean <= x1:
                    best = max(best, y0 + (y1 - y0) * (mean - x0) / (x1 - x0))
            least = max(least, min(best, Fraction(failure[j])))
            assert least <= Fraction(after[j]) <= least * (1 + Fraction(1, 10**9))
        assert (after < failure).sum() > grid.size // 2

    def test_in_units_of_the_targets(self):
        """Tolerance, margin and grid of [−R, R], R = 1: half of what they are as lengths."""
        program = coverage.Program(0.2, 12, coverage.product, 1.0)
        epsilon = coverage.SHARE * 0.2
        assert program.length == 1 + 2 * program.margin
        assert 2 * (epsilon / 2 + program.margin) == pytest.approx(0.2)
        assert program.grid[0] <= epsilon * (1 + 1e-9)
        assert (np.diff(program.curve(40)) <= 0).all()


def sums(rng, kind: str, rows: int, n: int) -> np.ndarray:
    """Values `[rows, n]`; those of a gadget's half are 0 where a ReLU cuts them."""
    values = rng.uniform(-1, 1, (rows, n))
    if kind == "uniform":
        return values
    u = rng.uniform(-1, 1, (rows, n))
    return values * (u if kind == "full" else np.maximum(0, u))


def fails(values: np.ndarray, tolerance: float, reach: float) -> int:
    """How many rows fail, or more: of each only the 18 largest values are used."""
    most = -np.sort(-np.abs(values), axis=1)[:, 17:18] if values.shape[1] > 18 else 0.0
    kept = np.where(np.abs(values) >= most, values, 0.0)
    kept = np.take_along_axis(kept, np.argsort(-np.abs(kept), axis=1, kind="stable"), axis=1)
    return int((least_tolerances(kept[:, :18], -reach, reach, threads=1) > tolerance).sum())


class TestTheySuffice:
    @pytest.mark.parametrize("kind", ["cut", "full", "uniform"])
    def test_at_reach_one(self, kind):
        """200 draws at the theorem's n, false alarms below 1e-4; a sixth of it is refuted."""
        rng = np.random.default_rng(71)
        tolerance, delta = 0.1, 0.05
        with coarse(24):
            n = {
                "cut": lambda: n_rss_product(tolerance, delta),
                "full": lambda: n_rss_product(tolerance, delta, scale=FULL),
                "uniform": lambda: n_rss_reach(tolerance, 1.0, delta),
            }[kind]()
        assert not too_low(fails(sums(rng, kind, 200, n), tolerance, 1.0), 200, delta)
        assert too_low(fails(sums(rng, kind, 200, n // 6), tolerance, 1.0), 200, delta)

    @pytest.mark.parametrize("kind", ["full", "uniform"])
    def test_the_bound_on_failure_holds_at_every_n(self, kind):
        """Four tests, false alarms below 4e-4; the bound of 14 more values is refuted."""
        rng = np.random.default_rng(72)
        law = coverage.product if kind == "full" else coverage.uniform
        curve = coverage.Program(0.2, 24, law, 1.0).curve(40)
        for n in (4, 7, 10, 14):
            count = fails(sums(rng, kind, 400, n), 0.2, 1.0)
            assert not too_low(count, 400, curve[n])
            if n == 4:
                assert too_low(count, 400, curve[n + 25])

    @pytest.mark.parametrize(("scale", "kind"), [(CUT, "cut"), (FULL, "full")])
    def test_extra_products_bring_targets_in(self, scale, kind):
        """2000 draws, the ends of the reach walked in greedily; false alarms below 1e-4."""
        rng = np.random.default_rng(73)
        reach, delta = 2.0, 0.05

        def stray(m: int) -> int:
            values, far = sums(rng, kind, 2000, m), np.zeros(2000)
            for side in (1, -1):
                z = np.full(2000, reach)
                for x in side * values.T:
                    z = np.where((z > 1) & (x > 0), z - x, z)
                    assert (z >= 0).all()
                far = np.maximum(far, z)
            return int((far > 1).sum())

        m = _extra_products(reach, delta, scale)
        assert not too_low(stray(m), 2000, delta)
        assert too_low(stray(m // 3), 2000, delta)


class TestCounts:
    def test_the_example_table(self):
        """At tolerance and δ 0.01, for targets in [−1, 1], on the grid that users get."""
        assert n_rss_product(0.01, 0.01) == 147
        assert n_rss_product(0.01, 0.01, scale=FULL) == 72
        assert n_rss_reach(0.01, 1.0, 0.01) == 44
        curve = coverage.program(0.01, coverage.product, 1.0).curve(72)
        assert curve[72] <= 0.01 < curve[71]

    @pytest.mark.parametrize(
        ("tolerance", "delta", "reach"), [(0.1, 0.05, 1.0), (0.02, 1e-4, 0.2), (0.3, 0.1, 0.8)]
    )
    def test_cut_products_in_exact_rationals(self, tolerance, delta, reach):
        """Σ_k Pr[Bin(N, 1/2) = k] G_k: enough at N, and not at 0.98 N."""
        with coarse():
            n = n_rss_product(tolerance, delta, reach=reach)
            run = coverage.program(tolerance, coverage.product, max(0.5, reach))
            curve = [Fraction(g) for g in run.curve(n).tolist()]
            assert n_rss_product(tolerance, delta, reach=reach, scale=FULL) == next(
                k for k, g in enumerate(curve) if g <= delta * (1 - 1e-9)
            )

        def failure(n: int) -> Fraction:
            weights = (Fraction(math.comb(n, k), 2**n) for k in range(n + 1))
            return sum((w * g for w, g in zip(weights, curve, strict=False)), Fraction(0))

        assert failure(n) <= Fraction(delta)
        assert failure(int(0.98 * n) - 1) > Fraction(delta)  # the library cuts off the curve

    @pytest.mark.parametrize("scale", [CUT, FULL])
    def test_beyond_one_the_chance_is_shared(self, scale):
        with coarse():
            for reach, delta in ((1.5, 0.01), (4.0, 1e-4)):
                asked = [
                    n_rss_product(0.1, float((1 - s) * Fraction(delta)), scale=scale)
                    + _extra_products(reach, float(s * Fraction(delta)), scale)
                    for s in (Fraction(k, 100) for k in (50, 20, 10, 5, 2))
                ]
                assert n_rss_product(0.1, delta, reach=reach, scale=scale) == min(asked)

    @pytest.mark.parametrize(("reach", "delta"), [(1.1, 0.3), (2.0, 0.01), (9.0, 1e-6)])
    @pytest.mark.parametrize("scale", [CUT, FULL])
    def test_extra_products_in_thirty_digits(self, reach, delta, scale):
        def kept(rate):
            entire = mpmath.euler + mpmath.log(rate) + mpmath.e1(rate)
            return 1 - mpmath.mpf(scale) * (1 - entire / rate)

        with mpmath.workdps(30):
            m = _extra_products(reach, delta, scale)
            exponents = [log_chernoff(kept, reach - 1, k) for k in (m, m - 1)]
            assert 2 * mpmath.exp(exponents[0]) <= delta * (1 + 1e-3)
            assert 2 * mpmath.exp(exponents[1]) > delta

    def test_a_longer_interval_or_extra_values(self):
        """Whichever asks for less, up to the widest interval; what is served at 1 is at 3/4."""
        with coarse():
            for reach in (0.75, 1.0, WIDEST):
                run = coverage.program(0.1, coverage.uniform, reach)
                assert n_rss_reach(0.1, reach, 0.01) <= run.least_steps(0.01 * (1 - 1e-9))
            assert n_rss(0.1, 0.01) <= n_rss_reach(0.1, 0.75, 0.01) <= n_rss_reach(0.1, 1.0, 0.01)
            assert n_rss_reach(0.1, 1.0, 0.01) < n_rss_reach(0.1, 2.5, 0.01)

    @pytest.mark.parametrize("scale", [CUT, FULL])
    def test_what_products_bring(self, scale):
        """φ from draws; 4 standard errors, false alarms below 1e-4 a rate; 1 % is noticed."""
        rng = np.random.default_rng(6)
        z = np.maximum(0, sums(rng, "cut" if scale == CUT else "full", 1, 1_000_000)[0])
        for rate in (0.5, 5.0, 50.0):
            lost = -np.expm1(-rate * z)
            error = 4 * lost.std() / 1000
            claimed = 1 - _kept_product(rate, scale)
            assert abs(lost.mean() - claimed) < error < 0.01 * claimed

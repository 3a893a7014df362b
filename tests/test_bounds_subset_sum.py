"""How many random values are enough: formulas in rationals and fifty digits, and simulation.

Simulations use fixed seeds; each assertion's false-alarm rate stands beside it.
"""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy.stats import binom, binomtest

from slth.bounds import TargetClass, unit_class
from slth.bounds._coverage import Program, product, program
from slth.bounds.counting import sign
from slth.bounds.random_subset_sum import (
    CUT,
    DYNAMIC,
    FULL,
    MIXTURE,
    WIDEST,
    RandomSubsetSum,
    _kept_product,
    _kept_uniform,
    extra_values,
    min_trials,
    n_rss,
    n_rss_product,
    n_rss_reach,
)
from slth.errors import BadInput
from tests.subset_sums import coarse, failures, log_chernoff, too_low

TOLERANCES = (0.25, 0.1, 0.03125, 0.01, 0.001)


def kept_uniform(rate):
    return mpmath.mpf(1) / 2 + (1 - mpmath.exp(-rate)) / (2 * rate)


class TestCounts:
    def test_the_example_table(self):
        """At δ = 0.01 and the grid that users get; each is the first n whose bound is at most δ."""
        assert [n_rss(t, 0.01, "phases") for t in TOLERANCES] == [54, 67, 83, 98, 126]
        assert [n_rss(t, 0.01) for t in TOLERANCES] == [17, 23, 30, 36, 49]
        for tolerance, n in ((0.25, 17), (0.1, 23)):
            curve = program(tolerance).curve(n)
            assert curve[n] <= 0.01 < curve[n - 1]

    @pytest.mark.parametrize(("tolerance", "delta"), [(0.25, 0.2), (0.1, 0.01), (0.003, 1e-4)])
    def test_phases_in_fifty_digits(self, tolerance, delta):
        """The formula's minimum over the split and θ, by brute force in mpmath."""
        with mpmath.workdps(50):
            eps = mpmath.mpf(tolerance) / 2

            def one(share):
                if 4 * eps >= 1:
                    return 0
                return min(
                    mpmath.ceil(
                        (th * mpmath.log(1 / (4 * eps)) + mpmath.log(1 / (share * delta)))
                        / -mpmath.log(0.75 + mpmath.mpf(2) ** -th / 4)
                    )
                    for th in (mpmath.mpf(k) / 20 for k in range(1, 300))
                )

            def two(share):
                value = mpmath.log(1 / (2 * eps * share * delta)) / mpmath.log(mpmath.mpf(4) / 3)
                return max(0, mpmath.ceil(value))

            splits = [mpmath.mpf(i) / 50 for i in range(1, 50)]
            assert n_rss(tolerance, delta, "phases") == min(one(a) + two(1 - a) for a in splits)

    @pytest.mark.parametrize(
        ("p", "m", "delta"), [(0.25, 3, 0.01), (math.log(2) / 4, 40, 1e-5), (0.9, 1, 0.3)]
    )
    def test_min_trials_in_exact_rationals(self, p, m, delta):
        def tail(n):
            q = Fraction(p)
            return sum(math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(min(m, n + 1)))

        n = min_trials(p, m, delta)
        assert tail(n) <= Fraction(delta)
        assert tail(n - 1) > Fraction(delta)

    def test_small_tolerances_and_chances_leave_it_to_the_phases(self):
        tolerance, delta = DYNAMIC
        below, less = tolerance * (1 - 1e-9), delta * 0.9
        with coarse():
            assert n_rss(tolerance, 0.5) < n_rss(below, 0.5) == n_rss(below, 0.5, "phases")
            assert n_rss(0.1, delta) < n_rss(0.1, less) == n_rss(0.1, less, "phases")
            assert 0 < n_rss(1e-90, 1e-150) < 10**5
            assert n_rss_product(0.1, 1e-40) == n_rss_product(0.1, 1e-40, "phases")
            assert n_rss_reach(0.1, 2.0, 1e-40) == n_rss_reach(0.1, 2.0, 1e-40, "phases")
            assert n_rss_reach(0.1, 2.0, delta) >= n_rss(0.1, delta)
        with pytest.raises(BadInput, match="phases"):
            Program(below)

    def test_corners(self):
        with coarse():
            assert n_rss(0.5, 0.01) == n_rss(0.7, 0.01) == 0
            assert n_rss_reach(0.1, 0.5, 0.01) == n_rss(0.1, 0.01)
            assert n_rss_product(1.0, 0.1) == 0
            assert n_rss_reach(0.6, 2.0, 0.1) == extra_values(2.0, 0.5 * 0.1)
            wide = TargetClass((1, 1), False, (9.0,), (9.0,), 1.0)
            assert RandomSubsetSum().evaluate(wide, 0.1, 0.1) > RandomSubsetSum().evaluate(
                unit_class(1, 1), 0.1, 0.1
            )
            for tolerance, reach, delta in ((0.1, 2.0, 1.01), (math.nan, 2.0, 0.1), (0.1, -1, 0.1)):
                for law in (n_rss_reach, lambda t, r, d: n_rss_product(t, d, reach=r)):
                    with pytest.raises(BadInput):
                        law(tolerance, reach, delta)
            with pytest.raises(BadInput, match="law"):
                n_rss_product(0.1, 0.1, scale=0.1)
            with pytest.raises(BadInput, match="pick one"):
                n_rss(0.1, 0.1, "magic")

    def test_less_is_asked_for_less(self):
        """Counts fall, up to what the adaptive grid makes of it, as tolerance or δ grows."""
        with coarse():
            counts = np.array(
                [[n_rss(t, d) for d in (1e-9, 1e-3, 0.3)] for t in np.geomspace(1e-4, 0.4, 30)]
            )
        assert (np.diff(counts, axis=1) < 0).all()
        assert (np.diff(counts, axis=0) <= 1).all()
        assert (np.diff(counts[::5], axis=0) < 0).all()


class TestFailure:
    def test_one_step_of_growth(self):
        """E[v'|v] = v(1 + (1−v)/2) and v' <= 2v, the facts under `phases`.

        4 standard errors in each of 4 bins: false alarms below 3e-4."""
        rng = np.random.default_rng(5)
        z = np.linspace(-0.5, 0.5, 4001)
        step = z[1] - z[0]
        before, after = [], []
        for _ in range(400):
            f = np.abs(z) <= 0.05
            for _ in range(9):
                shift = round(rng.uniform(-1, 1) / step)
                moved = np.zeros_like(f)
                if abs(shift) < f.size:
                    moved[max(0, shift) : f.size + min(0, shift)] = f[
                        max(0, -shift) : f.size - max(0, shift)
                    ]
                g = f | moved
                before.append(f.mean())
                after.append(g.mean())
                f = g
        v, w = np.array(before), np.array(after)
        assert (w <= 2 * v + 1e-12).all()
        for low, high in ((0.05, 0.2), (0.2, 0.4), (0.4, 0.7), (0.7, 1.0)):
            inside = (v >= low) & (v < high)
            excess = (w - v * (1 + (1 - v) / 2))[inside]
            assert abs(excess.mean()) < 4 * excess.std() / math.sqrt(inside.sum()) + 2e-4

    @pytest.mark.parametrize("tolerance", [0.1, 0.3])
    def test_the_bound_on_failure_holds_at_every_n(self, tolerance):
        """Six tests each, false alarms below 6e-4; and a bound tightened too far is caught."""
        rng = np.random.default_rng(1)
        curve = Program(tolerance, 64).curve(30)
        counts = {n: failures(rng, 400, n, tolerance) for n in (3, 5, 7, 9, 11, 13)}
        for n, count in counts.items():
            assert not too_low(count, 400, curve[n])
        assert too_low(counts[7], 400, curve[17])  # claims 7 values do what 17 do
        assert too_low(counts[5], 400, curve[15])

    @pytest.mark.parametrize("method", ["phases", "dynamic"])
    def test_the_theorems_n_suffices(self, method):
        """Failures at the theorem's n are no more than δ; where signs alone fail, they are.

        False alarms below 2e-4 a case."""
        rng = np.random.default_rng(2)
        tolerance, delta = 0.25, 0.05
        n = n_rss(tolerance, delta, method)
        assert not too_low(failures(rng, 200, n, tolerance), 200, delta)
        assert too_low(failures(rng, 200, math.ceil(sign(delta)) - 1, tolerance), 200, delta)


class TestReach:
    @pytest.mark.parametrize("rate", [0.01, 0.3, 4.0, 1000.0])
    def test_kept_against_quadrature(self, rate):
        """E e^{−λ X⁺} from the density itself, to the rounding that the margin covers."""
        with mpmath.workdps(40):
            cuts = [0, min(1, 1 / mpmath.mpf(rate)), 1]
            mean = mpmath.mpf(1) / 2 + mpmath.quad(lambda x: mpmath.exp(-rate * x) / 2, cuts)
            assert abs(mpmath.log(_kept_uniform(rate) / mean)) < 1e-12
            lost = mpmath.quad(
                lambda y: -mpmath.expm1(-rate * y) * mpmath.log(1 / y) if y else 0, cuts
            )
            for scale in (CUT, FULL):
                found = mpmath.mpf(_kept_product(rate, scale))
                assert abs(mpmath.log(found / (1 - mpmath.mpf(scale) * lost))) < 1e-12

    def test_the_uniform_component_of_the_product(self):
        """ln(2)/4 of v·max(0,u) is uniform on [−1/2, 1/2]: every window there holds enough mass.

        50 windows, binomial at 1e-4 each: false alarms below 5e-3; the mass is least at ±1/2."""
        rng = np.random.default_rng(4)
        z = rng.uniform(-1, 1, 200_000) * np.maximum(0, rng.uniform(-1, 1, 200_000))
        counts = np.histogram(z[z != 0], np.linspace(-0.5, 0.5, 51))[0]

        def refuted(mixture: float) -> bool:
            tests = (binomtest(int(c), z.size, mixture, alternative="less") for c in counts / 1)
            return any(test.pvalue < 1e-4 for test in tests)

        assert not refuted(MIXTURE / 50)
        assert refuted(1.3 * MIXTURE / 50)  # and no more than that

    @pytest.mark.parametrize(("reach", "delta"), [(0.6, 0.3), (2.0, 0.01), (9.0, 1e-6)])
    def test_extra_values_in_thirty_digits(self, reach, delta):
        with mpmath.workdps(30):
            m = extra_values(reach, delta)
            exponents = [log_chernoff(kept_uniform, reach - 0.5, k) for k in (m, m - 1)]
            assert 2 * mpmath.exp(exponents[0]) <= delta * (1 + 1e-3)
            assert 2 * mpmath.exp(exponents[1]) > delta

    def test_extra_values_bring_targets_in(self):
        """2000 draws, the ends of the reach walked in greedily; false alarms below 2e-4.

        A third as many values are refuted."""
        rng = np.random.default_rng(7)
        reach, delta = 2.0, 0.05

        def stray(m: int) -> int:
            count = 0
            for values in rng.uniform(-1, 1, (2000, m)):
                ends = []
                for side in (1, -1):
                    z = side * reach
                    for x in values:
                        if abs(z) > 0.5 and x * z > 0:
                            z -= x
                            assert side * z >= -0.5
                    ends.append(abs(z))
                count += max(ends) > 0.5
            return count

        m = extra_values(reach, delta)
        assert not too_low(stray(m), 2000, delta)
        assert too_low(stray(m // 3), 2000, delta)

    def test_the_reach_shares_its_chance(self):
        """Beyond the widest interval that is tried as a whole."""
        with coarse():
            for reach, delta in ((WIDEST + 0.1, 0.01), (5.0, 1e-4)):
                shares = [Fraction(k, 100) for k in (50, 20, 10, 5, 2)]
                sums = [
                    n_rss(0.1, float((1 - s) * Fraction(delta)))
                    + extra_values(reach, float(s * Fraction(delta)))
                    for s in shares
                ]
                assert n_rss_reach(0.1, reach, delta) == min(sums)


class TestProducts:
    def test_they_suffice(self):
        """60 draws each, false alarms below 1e-4; a few values are too few."""
        rng = np.random.default_rng(3)
        with coarse(24):
            n = n_rss_product(0.25, 0.1)
            assert not too_low(failures(rng, 60, n, 0.25, "product", 1.0), 60, 0.1)
            assert too_low(failures(rng, 200, 5, 0.25, "product", 1.0), 200, 0.1)
            n = n_rss_reach(0.25, 2.0, 0.1)
            assert n > n_rss(0.25, 0.1)
            assert not too_low(failures(rng, 60, n, 0.25, "uniform", 2.0), 60, 0.1)
            assert too_low(failures(rng, 200, 6, 0.25, "uniform", 2.0), 200, 0.1)

    def test_the_curve_is_cut_off_on_the_safe_side(self):
        """At 300 δ the binomial mean of the whole curve is at most δ, up to rounding."""
        with coarse():
            curve = program(0.2, product, 0.5).curve(1000)
            for delta in np.geomspace(0.5, 1e-28, 300):
                n = n_rss_product(0.2, delta, reach=0.5)
                assert binom.pmf(np.arange(n + 1), n, 0.5) @ curve[: n + 1] <= delta * (1 + 1e-12)

    def test_doubling_turns_products_into_values(self):
        """`phases`: uniform products doubled reach twice as far within twice the tolerance."""
        usable = n_rss_reach(0.02, 2.0, 0.05, "phases")
        assert n_rss_product(0.01, 0.1, "phases") == min_trials(MIXTURE, usable, 0.05)
        served = n_rss(0.02, 0.025, "phases")  # and three values of at least 1/2 come from 2 to 1/2
        assert usable == served + min_trials(0.25, 3, 0.05 / 4)

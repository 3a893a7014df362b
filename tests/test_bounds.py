"""Every bound against independent evaluation: rationals, 50 digits, simulation, and planted errors.

Simulations use fixed seeds; each assertion's false-alarm rate stands beside it.
"""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy.stats import binomtest

from slth.bounds import TargetClass, unit_class
from slth.bounds._coverage import FINEST
from slth.bounds.counting import Counting, gadget, separated, separated_targets, sign
from slth.bounds.first_moment import FirstMoment, central_density, hit_bound, least_values
from slth.bounds.malach import Malach, hit_probability, pool_size, pool_size_product
from slth.bounds.pensia import Pensia, block_sizes, even_tolerances, parameters
from slth.bounds.random_subset_sum import n_rss_product, n_rss_reach
from slth.errors import BadInput
from tests.subset_sums import coarse, covers, failures, too_low

EXAMPLE = unit_class(4, 4, 4, 2)


@pytest.fixture(autouse=True, scope="module")
def coarse_programs():
    with coarse(least=1e-3):
        yield


class TestPensia:
    def test_the_example(self):
        sizes = Pensia(method="phases").evaluate(EXAMPLE, 0.1, 0.05)
        assert sizes.tolist() == [1337, 1337, 1305]
        assert parameters(EXAMPLE, [int(n) for n in sizes]) == 233_776
        with coarse(FINEST):
            assert Pensia().evaluate(EXAMPLE, 0.1, 0.05).tolist() == [205, 205, 200]

    def test_the_formula_step_by_step(self):
        dims, epsilon, delta = (3, 5, 2), 0.2, 0.1
        events = 2 * (15 + 10)
        wanted = [
            n_rss_product(epsilon / (4 * math.sqrt(a * b)), delta / events)
            for a, b in ((3, 5), (5, 2))
        ]
        assert Pensia().evaluate(unit_class(*dims), epsilon, delta).tolist() == wanted

    def test_the_tolerances_give_epsilon(self):
        """(1 + ε/2l)^l − 1 <= ε up to ε = 1, with room for the slack that norms are given."""
        for depth in (1, 2, 5, 40):
            target = unit_class(*[7] * (depth + 1))
            for epsilon in (1e-6, 0.1, 1.0, 3.0):
                taus = [7 * eta for eta in even_tolerances(target, epsilon)]
                error = math.expm1(sum(math.log1p(t) for t in taus)) * (1 + 1e-9) ** depth
                assert error <= 0.66 * min(epsilon, 1.0)

    def test_biases_add_a_block(self):
        plain = TargetClass((4, 4, 2), False, (1.0,) * 2, (1.0,) * 2, 1.0)
        biased = TargetClass((4, 4, 2), True, (1.0,) * 2, (1.0,) * 2, 1.0)
        etas = (0.01, 0.01)
        sizes = block_sizes(biased, etas, 0.05)
        assert sizes[0] == n_rss_product(0.01, 0.05 / (2 * (5 * 4 + 5 * 2)))
        assert parameters(biased, (1, 1)) == 2 * 5 * 9 + 2 * 5 * 7
        assert not Pensia().hypotheses(plain)
        assert "biases" in Pensia().hypotheses(biased)[0]
        wide = TargetClass((4, 4, 2), True, (1.0,) * 2, (3.0, 0.5), 1.0)
        reached = block_sizes(wide, etas, 0.05)
        assert reached[0] > sizes[0]
        assert reached[1] == sizes[1]
        with pytest.raises(BadInput, match="one a layer"):
            block_sizes(biased, (0.1,), 0.1)

    def test_hypotheses_are_named_one_by_one(self):
        target = TargetClass((2, 2, 2), True, (1.0, 1.2), (0.5, 0.9), 3.0)
        failed = Pensia().hypotheses(target)
        assert len(failed) == 3
        assert any("Layer 2" in sentence and "1.2" in sentence for sentence in failed)
        assert any("entry" in sentence for sentence in Malach().hypotheses(target))
        rounded = TargetClass((2, 2), False, (1 + 1e-12,), (0.5,), 1.0)
        assert not Pensia().hypotheses(rounded)

    def test_rates(self):
        rate = Pensia("asymptotic").evaluate(EXAMPLE, [1e-2, 1e-3], 0.5)
        assert rate[1] - rate[0] == pytest.approx(math.log(10))
        assert rate[0, 0] == pytest.approx(math.log(4 * 4 * 3 / 1e-2))
        polynomial = Malach("asymptotic").evaluate(EXAMPLE, [1e-2, 1e-3], 0.5)
        assert polynomial[1] / polynomial[0] == pytest.approx(
            100 * math.log2(48e3) / math.log2(4800)
        )


class TestMalach:
    def test_pools_in_fifty_digits(self):
        for eta, delta in ((0.5, 0.1), (1e-3, 1e-6), (1e-9, 0.5)):
            with mpmath.workdps(50):
                exact = 16 / mpmath.mpf(eta) ** 2 * mpmath.log(1 / mpmath.mpf(delta))
            assert exact <= pool_size(eta, delta) <= exact * (1 + 2e-9) + 1

    @pytest.mark.parametrize("weight", [0.0, 1e-3, 0.1, 0.5, 0.9, 1 - 1e-7, 1.0])
    @pytest.mark.parametrize("eta", [1e-10, 1e-5, 1e-2, 0.3, 1.5])
    def test_hit_probability_in_fifty_digits(self, weight, eta):
        """Against ∫ ln(1/|z|)/4 over the window, split at 0; never above it."""
        with mpmath.workdps(50):
            low, high = mpmath.mpf(weight) - eta, mpmath.mpf(weight) + eta

            def mass(t):
                t = mpmath.mpf(t)
                size = min(abs(t), 1)
                return mpmath.sign(t) * (size * (1 - mpmath.log(size)) if size else 0) / 4

            exact = mass(high) - mass(low)
        found = hit_probability(eta, weight)
        assert found <= exact
        # beside |w| = 1 only half of the window is counted, to be safe from cancellation
        assert found >= exact * (0.2 if weight == 1 - 1e-7 else 1 - 1e-4)

    def test_hit_probability_against_quadrature(self):
        import scipy.integrate

        for weight, eta in ((0.3, 0.1), (0.9, 0.3), (0.05, 0.2)):
            value = scipy.integrate.quad(
                lambda z: -math.log(abs(z)) / 4 if z else 0.0,
                weight - eta,
                min(1.0, weight + eta),
                points=[0.0] if eta > weight else None,
            )[0]
            assert hit_probability(eta, weight) == pytest.approx(value, rel=1e-5)

    def test_larger_weights_are_harder(self):
        for eta in (1e-4, 0.05, 0.7):
            chances = [hit_probability(eta, w) for w in np.linspace(0, 1, 101)]
            assert (np.diff(chances) <= 1e-15).all()

    @pytest.mark.parametrize("largest", [0.3, 0.5, 0.9])
    def test_product_matching_is_of_order_one_over_eta(self, largest):
        for eta in (1e-2, 1e-4, 1e-8):
            if eta < 1 - largest:
                count = pool_size_product(eta, 0.01, largest)
                assert count <= 2 + 4 / eta * math.log(100) / math.log(1 / largest)

    @pytest.mark.parametrize("weight", [0.0, 0.6, 1.0])
    def test_pools_suffice(self, weight):
        """2000 pools each; false alarms below 1e-4 a check. Half a pool is not enough."""
        rng = np.random.default_rng(7)
        eta, delta, trials = 0.5, 0.1, 2000
        K = int(pool_size(eta, delta))

        def misses(size, product):
            u, v = rng.uniform(-1, 1, (2, trials, size))
            if product:
                hit = (u > 0) & (np.abs(u * v - weight) <= eta / 4)
            else:
                hit = (u > 0) & (np.abs(u - weight) <= eta / 2) & (np.abs(v - 1) <= eta / 2)
            return trials - int(hit.any(axis=1).sum())

        assert not too_low(misses(K, False), trials, delta)
        if weight != 0.6:  # in mid range the interval is twice as long
            assert too_low(misses(K // 2, False), trials, delta)
        K = int(pool_size_product(eta / 4, delta, weight))
        assert not too_low(misses(K, True), trials, delta)
        assert too_low(misses(max(1, K // 2), True), trials, delta)

    def test_both_factors_right_is_enough(self):
        """|uv − w| <= η on the corners and a grid of the two windows, in exact rationals."""
        eta = Fraction(1, 4)
        steps = [Fraction(k, 8) for k in range(-8, 9)]
        for w in (Fraction(k, 8) for k in range(9)):
            for a in steps:
                for b in steps:
                    u, v = w + a * eta / 2, 1 + b * eta / 2
                    if 0 <= u <= 1 and v <= 1:
                        assert abs(u * v - w) <= eta

    def test_bounds_of_the_class(self):
        narrow = TargetClass((16, 16), False, (1.0,), (0.25,), 1.0)
        assert not Malach().hypotheses(narrow)
        assert Malach("product").evaluate(narrow, 0.01, 0.1) < Malach().evaluate(narrow, 0.01, 0.1)
        with pytest.raises(BadInput, match="largest"):
            pool_size_product(0.1, 0.1, 1.5)


class TestLowerBounds:
    def test_no_draw_beats_counting(self):
        rng = np.random.default_rng(11)
        for tolerance in (0.2, 0.05, 0.01):
            n = math.ceil(gadget(tolerance, 1.0)) - 1
            assert failures(rng, 50, n, tolerance) == 50
        best = (np.arange(3) * 0 + 2.0 ** -np.arange(1, 4)) * 2  # binary digits reach the bound
        assert covers(np.concatenate([best, -best]), 0.125)

    def test_signs_do_fail_that_often(self):
        """Failure at n is at least 2^(1−n): refuted at 1e-4 if simulation shows less."""
        rng = np.random.default_rng(12)
        for n in (3, 5):
            count = failures(rng, 3000, n, 0.4)
            assert binomtest(count, 3000, 2.0 ** (1 - n), alternative="less").pvalue > 1e-4
        assert sign(0.25) == 3.0

    def test_lower_is_below_upper(self):
        for eta in (0.1, 0.01, 1e-4):
            for delta in (0.3, 0.01):
                above = n_rss_reach(eta, 1.0, delta)
                assert Counting("gadget").evaluate(unit_class(1, 1), eta, delta) <= above
                assert FirstMoment().evaluate(unit_class(1, 1), eta, delta) <= above

    def test_theorem_two(self):
        assert separated(3, 5, 2.0**-11) == 150
        square = Counting().evaluate(unit_class(6, 6), 2.0**-11, 0.5)
        assert square == pytest.approx(6 * 6 * 10 - 1)

    def test_packing_numbers_are_that_large(self):
        """A greedy maximal 2ε-separated set of 2x1 and 1x2 matrices on a fine grid."""
        epsilon, step = 0.1, 0.02
        axis = np.arange(-1, 1 + step / 2, step)
        disc = np.array([(a, b) for a in axis for b in axis if a * a + b * b <= 1])
        kept = np.empty((0, 2))
        for point in disc:
            if not len(kept) or np.linalg.norm(kept - point, axis=1).min() > 2 * epsilon:
                kept = np.vstack([kept, point])
        # a grid misses at most step/sqrt(2), so it is maximal for a slightly larger distance
        assert math.log2(len(kept)) >= separated(2, 1, epsilon + step / math.sqrt(2) / 2)

    def test_hidden_layers_tell_their_weights_apart(self):
        """The metric inequalities behind each position, on random matrices."""
        rng = np.random.default_rng(13)

        def relu(a):
            return np.maximum(a, 0)

        for _ in range(300):
            W, V = rng.normal(size=(2, 3, 4))
            norm = np.linalg.norm(W - V, 2)
            x = np.linalg.svd(W - V)[2][0]
            first = max(np.linalg.norm(relu(W @ s) - relu(V @ s)) for s in (x, -x))
            assert first >= norm / 2 - 1e-12
            parts = [relu(x), relu(-x)]
            last = max(np.linalg.norm((W - V) @ p) / np.linalg.norm(p) for p in parts if p.any())
            assert last >= norm / math.sqrt(2) - 1e-12

    def test_first_and_last_layer(self):
        epsilon = 2.0**-12
        assert separated_targets((6, 3, 2), epsilon) == 6 * 2 * 10  # the first layer is wider
        assert separated_targets((5, 4, 3, 6), epsilon) == pytest.approx(3 * 6 * 10.5)  # the last
        assert separated_targets((2, 9, 9, 2), epsilon) == pytest.approx(2 * 2 * 10.5)
        for dims in np.random.default_rng(15).integers(1, 6, (200, 5)):
            inner = [min(dims[:i]) * min(dims[i:]) for i in range(2, 4)]
            assert max(inner) <= max(dims[0] * min(dims[1:]), dims[-1] * min(dims[:-1]))

    def test_norms_and_radius_scale_epsilon(self):
        base = Counting().evaluate(unit_class(3, 3, 3), 1e-3, 0.5)
        scaled = TargetClass((3, 3, 3), True, (2.0, 5.0), (1.0, 1.0), 4.0, 3.0)
        assert Counting().evaluate(scaled, 30e-3, 0.5) == pytest.approx(base)
        assert not Counting().hypotheses(scaled)
        unknown = TargetClass((3, 3), False, (1.0,), (1.0,), 1.0)
        assert Counting().evaluate(unknown, 1e-3, 0.5) == 0

    def test_the_diamond_source_obeys_it(self):
        """Pensia's explicit source has more weights than counting demands, as it must."""
        for epsilon in (0.3, 1e-2, 1e-6):
            sizes = [int(n) for n in Pensia().evaluate(EXAMPLE, epsilon, 0.5)]
            assert parameters(EXAMPLE, sizes) >= Counting().evaluate(EXAMPLE, epsilon, 0.5)

    def test_central_densities(self):
        """Against the exact values of 1, 2, 3, 4 uniforms and the Gaussian limit."""
        assert [central_density(k) for k in (1, 2, 3, 4)] == [
            Fraction(1, 2), Fraction(1, 2), Fraction(3, 8), Fraction(1, 3),
        ]  # fmt: skip
        assert float(central_density(60)) == pytest.approx(
            1 / math.sqrt(2 * math.pi * 20), rel=0.01
        )

    def test_one_target_is_met_no_more_often(self):
        """Three tests at 1e-4; a tenth of the bound is refuted."""
        rng = np.random.default_rng(14)
        trials, z, eta = 2000, 0.3, 0.02
        for n in (3, 5, 6):
            hits = 0
            for _ in range(trials):
                sums = np.zeros(1)
                for value in rng.uniform(-1, 1, n):
                    sums = np.concatenate([sums, sums + value])
                hits += bool((np.abs(sums - z) <= eta).any())
            assert not too_low(hits, trials, hit_bound(n, eta))
        assert too_low(hits, trials, hit_bound(6, eta) / 10)
        n = least_values(1e-6, 0.5)
        assert hit_bound(n, 1e-6) >= 0.5 > hit_bound(n - 1, 1e-6)

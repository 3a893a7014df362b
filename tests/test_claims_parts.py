"""What the claims are measured with, against independent oracles."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from sims._claims import _judging, depth, first_moment, growth, laws, orseau, subset_sums, tails


def all_sums(values) -> np.ndarray:
    bits = np.array(list(product((0, 1), repeat=len(values))))
    return bits @ np.asarray(values)


# -- what resampling and crossings compute ---------------------------------------------------------


def test_needed_is_the_first_n_within_tolerance() -> None:
    profiles = np.array([[0.5, 0.3, 0.25, 0.1], [0.5, 0.5, 0.5, 0.5]])
    assert subset_sums.needed(profiles, [1, 2, 3, 9]).tolist() == [[1, 3, 4, 5], [1, 5, 5, 5]]


def test_n50_is_where_half_have_succeeded() -> None:
    first = np.array([[2], [4], [4], [7]])
    # frequencies 0, 0, 1/4, 1/4, 3/4, ...: 1/2 lies halfway between 3 and 4
    assert subset_sums.n50(first, subset_sums.equal(4)).tolist() == [[3.5]]
    assert subset_sums.n50(first.reshape(2, 2, 1), subset_sums.equal(2)).tolist() == [[3.5]]
    assert subset_sums.n50(first, np.array([[1.0, 0, 0, 0]])).tolist() == [[1.5]]


def test_slopes_and_curvatures_of_known_lines() -> None:
    x = np.array([3.0, 4, 5, 6, 7])
    assert subset_sums.slope(x, 2 * x - 1) == pytest.approx(2)
    assert tails.curvature(2 * x - 1) == pytest.approx(0)
    assert tails.curvature(0.3 * x * x - 5 * x) == pytest.approx(0.3)


def test_crossings_lie_on_a_line_of_logarithms() -> None:
    # 1000 trials: failures 1000, 500, 250, 125 of them from n = 0 on
    histogram = np.array([[[0, 500, 250, 125, 125]]])
    assert tails.crossing(histogram, np.array([0.25]))[0, 0] == pytest.approx(2)
    assert tails.crossing(histogram, np.array([0.25 / math.sqrt(2)]))[0, 0] == pytest.approx(2.5)


def test_packing_is_undone() -> None:
    table = np.arange(76).reshape(19, 4)
    assert _judging.unpacked(_judging.packed(table)).tolist() == table.tolist()


def test_steadiness_of_an_exponential_is_one() -> None:
    assert tails.steadiness(2.0 ** -np.arange(15.0) * 1e9) == pytest.approx(1)
    assert tails.steadiness(2.0 ** -np.arange(15.0) * 1e9 + 1e5) < tails.STEADY


# -- fixed targets ---------------------------------------------------------------------------------


def test_first_hits_are_those_of_all_subsets() -> None:
    rows = np.random.default_rng(1).uniform(-1, 1, (20, 9))
    bits = [1, 3, 5]
    found = first_moment.first_hits(rows, 0.3, bits)
    for row, hits in zip(rows, found, strict=True):
        for bit, n in zip(bits, hits, strict=True):
            best = [np.abs(all_sums(row[:k]) - 0.3).min() if k else 0.3 for k in range(10)]
            reached = [k for k in range(10) if best[k] <= 2.0**-bit]
            assert n == (reached[0] if reached else 10)


def test_sums_of_uniforms_have_the_law_of_irwin_and_hall() -> None:
    assert first_moment.uniform_sum(1, Fraction(1, 2)) == Fraction(3, 4)
    assert first_moment.uniform_sum(2, Fraction(0)) == Fraction(1, 2)
    assert first_moment.uniform_sum(2, Fraction(1)) == Fraction(7, 8)
    assert first_moment.uniform_sum(3, Fraction(-3)) == 0
    assert first_moment.uniform_sum(3, Fraction(4)) == 1


def test_mean_hits_are_those_counted() -> None:
    """Within 5 standard errors: a false alarm of less than one in a million."""
    rng = np.random.default_rng(2)
    counted = first_moment.hits(rng.uniform(-1, 1, (4000, 8)), [(0.3, 0.05), (0.5, 0.1)])
    error = counted.std(axis=0) / math.sqrt(len(counted))
    for k, (z, e) in enumerate([(0.3, 0.05), (0.5, 0.1)]):
        assert abs(counted[:, k].mean() - first_moment.mean_hits(8, z, e)) < 5 * error[k]


def test_mean_hits_of_one_and_two_values() -> None:
    """One value: an interval of length 0.1, density 1/2; two: both, and their triangular sum."""
    assert first_moment.mean_hits(1, 0.3, 0.05) == pytest.approx(0.05)
    assert first_moment.mean_hits(2, 0.3, 0.05) == pytest.approx(0.1 + 0.1 * (2 - 0.3) / 4)


def test_hits_are_counted_one_by_one() -> None:
    rows = np.random.default_rng(3).uniform(-1, 1, (10, 7))
    found = first_moment.hits(rows, [(0.2, 0.1)])[:, 0]
    assert found.tolist() == [int((np.abs(all_sums(r) - 0.2) <= 0.1).sum()) for r in rows]


def test_half_a_hit_solves_its_formula() -> None:
    for bit, n in zip((3, 8), first_moment.half_a_hit([3, 8]), strict=True):
        assert first_moment.gauss(n, first_moment.TARGET, 2.0**-bit) == pytest.approx(0.5, rel=1e-2)


# -- the growth recursion --------------------------------------------------------------------------


def test_covered_measure_is_that_of_a_fine_grid() -> None:
    values, epsilon = np.random.default_rng(4).uniform(-1, 1, 8), 0.03
    z = (np.arange(200_001) / 200_000) - 0.5

    def indicator(point: np.ndarray, count: int) -> np.ndarray:
        inside = np.abs(point) <= 0.5
        if count == 0:
            return inside & (np.abs(point) <= epsilon)
        return inside & (
            indicator(point, count - 1) | indicator(point - values[count - 1], count - 1)
        )

    for count, measure in enumerate(growth.covered(values, epsilon)):
        assert measure == pytest.approx(indicator(z, count).mean(), abs=2e-3)


def test_unions_swallow_what_lies_inside() -> None:
    low, high = growth.united(
        np.array([0.5, 0.0, 0.1, 0.2, 0.9]), np.array([0.7, 0.4, 0.2, 0.3, 1])
    )
    assert (low.tolist(), high.tolist()) == ([0.0, 0.5, 0.9], [0.4, 0.7, 1.0])


# -- laws and categories ---------------------------------------------------------------------------


def test_the_products_distribution_is_the_integral_of_its_density() -> None:
    z = np.linspace(-1, 1, 20_001)[1:-1]
    z = z[np.abs(z) > 0.01]
    slope = (laws.product_cdf(z + 1e-6) - laws.product_cdf(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(slope, 0.5 * np.log(1 / np.abs(z)), atol=1e-4)
    assert laws.product_cdf(np.array([-1.0, 0.0, 1.0])).tolist() == [0.0, 0.5, 1.0]


def test_kolmogorovs_distance_is_scipys() -> None:
    from scipy.stats import kstest

    x = np.sort(np.random.default_rng(5).random(500) ** 1.1)
    assert laws.distance(x, x) == pytest.approx(kstest(x, "uniform").statistic)


def test_intervals_and_missing_ones() -> None:
    g = laws.GAMMA
    size = np.array([0.99, g**-0.5, g**-1.5, g**-2.999, g**-3.001, 1.01])
    assert laws.interval(size, 3).tolist() == [0, 0, 1, 2, 3, -1]
    assert laws.missed(np.array([[0, 1, 2], [0, 0, 2], [2, 1, 0], [3, 1, 0]]), 3) == 2
    assert laws.missed(np.array([[-1, 1, 0]]), 3) == 1
    assert laws.missed(np.array([[0, 1, 2, 3], [2, 1, 0, -1]]), 3) == 0


# -- greedy, layers, depth -------------------------------------------------------------------------


def worst_left(gamma: float, reach: float, terms: int) -> float:
    """The largest rest of greedy over all weights of the intervals, by following its supremum."""
    rest = reach
    for i in range(terms):
        low, high = gamma ** -(i + 1.0), gamma ** -float(i)
        rest = max(min(rest, high), rest - low)
    return rest / (reach * gamma**-terms)


@pytest.mark.parametrize("gamma", [1.3, 1.5, 1.6, 1.65, 1.7])
def test_greedy_never_leaves_more_than_the_worst_case(gamma: float) -> None:
    rng = np.random.default_rng(6)
    for reach in orseau.ranges(gamma):
        left = orseau.leftovers(gamma, reach, 4000, rng)
        worst = worst_left(gamma, reach, orseau.TERMS)
        assert left.min() >= 0
        assert left.max() <= worst * (1 + 1e-9)
        assert (worst > 1 + 1e-9) == (gamma > orseau.GOLDEN)


def test_first_of_each_category_by_hand() -> None:
    rng, k = np.random.default_rng(7), 3
    u, v = rng.uniform(-1, 1, 60), rng.uniform(-1, 1, (2, 60))
    found = orseau.first_of_category(u, v, k)
    for j, su, sz, c in product(range(2), (0, 1), (0, 1), range(k)):
        z = u * v[j]
        low, high = 0.5 * 1.5 ** -(c + 1), 0.5 * 1.5**-c
        fits = ((u > 0) == su) & ((z > 0) == sz) & (np.abs(z) > low) & (np.abs(z) <= high)
        assert found[j, su, sz, c] == (np.flatnonzero(fits)[0] if fits.any() else 60)


def test_a_layer_needs_what_it_takes_and_errs_less_than_its_tolerance() -> None:
    rng = np.random.default_rng(8)
    k = orseau.intervals(0.1)
    assert (k, orseau.drawn_neurons(k)) == (6, 402)
    need, worst = orseau.layer(k, 1600, False, rng)
    assert 36 <= need <= 1600
    assert 0 <= worst <= 0.1
    assert orseau.layer(k, 10, False, rng) == (11, math.inf)


def test_the_depth_lemma_in_its_scalar_case() -> None:
    """One weight, ReLU, input 1: the error is the weight error itself, and the lemma allows ε/e."""
    layers = [np.ones((2, 1, 1))]
    x = np.ones((2, 1, 3))
    most = depth.forward("relu", layers, x)[1]
    size = depth.tolerance("relu", 1, 1, most, 1.0)
    np.testing.assert_allclose(size, depth.EPSILON / math.e)
    found = depth.worst_error("relu", layers, x, size, 4, np.random.default_rng(9))
    np.testing.assert_allclose(found, size)


def test_the_lemmas_tolerance_by_hand() -> None:
    most = np.array([2.0])
    by_hand = depth.EPSILON / (math.e * 3 * 4**1.5 * 2.0 * 2.0**3)
    assert depth.tolerance("logistic", 3, 4, most, 2.0)[0] == pytest.approx(by_hand)
    assert depth.tolerance("logistic", 3, 4, most, 2.0, False)[0] == pytest.approx(64 * by_hand)
    assert depth.tolerance("relu", 3, 4, most / 1e9, 1.0)[0] == 1 / 12


def test_targets_have_the_norm_they_claim() -> None:
    for w in depth.targets(3, 4, 2.0, 6, np.random.default_rng(10)):
        np.testing.assert_allclose(np.linalg.norm(w, 2, axis=(1, 2)), 2.0)

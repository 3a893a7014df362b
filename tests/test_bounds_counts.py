"""Theorems that count masks, links or products: exact integers, rationals and binomial tails.

Simulations use fixed seeds; each assertion's false-alarm rate stands beside it.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from slth.bounds import TargetClass, unit_class
from slth.bounds.attention import Attention, n_rss_full_product
from slth.bounds.counting import Counting
from slth.bounds.fixed_size import FixedSize, kept, least_parameters
from slth.bounds.lueker import Lueker
from slth.bounds.maximal_compression import MaximalCompression
from slth.bounds.pensia import block_sizes, even_tolerances, link_events
from slth.bounds.random_sparse import RandomSparse, copies_needed
from slth.bounds.random_subset_sum import FULL, n_rss_product
from tests.subset_sums import coarse, too_low

EXAMPLE = unit_class(4, 4, 4, 2)


@pytest.fixture(autouse=True, scope="module")
def coarse_programs():
    with coarse(least=1e-3):
        yield


class TestFixedSize:
    @pytest.mark.parametrize("density", [0.5, 0.3, 0.02])
    @pytest.mark.parametrize(("d", "epsilon"), [(1, 0.05), (1, 1e-4), (2, 0.06), (3, 0.01)])
    def test_the_least_n_in_exact_integers(self, density, d, epsilon):
        def holds(n: int) -> bool:
            k = kept(n, density)
            # C(n, k) >= (sqrt(k)/2ε)^{d²}/2, squared
            right = Fraction(k, 1) / (2 * Fraction(epsilon)) ** 2
            return (2 * math.comb(n, k)) ** 2 >= right ** (d * d)

        found = int(FixedSize("lower", density).evaluate(unit_class(d, d), epsilon, 0.5))
        assert holds(found)
        assert not any(holds(n) for n in range(1, found))

    def test_it_implies_the_papers_rounded_form(self):
        for density, d, epsilon in product((0.5, 0.1), (1, 4, 9), (0.05, 1e-3, 1e-9)):
            n = float(FixedSize("lower", density).evaluate(unit_class(d, d), epsilon, 0.5))
            p = kept(int(n), density) / n
            entropy = -p * math.log2(p) - (1 - p) * math.log2(1 - p)
            assert n >= d * d / 2 * math.log2(p * n / epsilon) / entropy

    def test_masks_of_one_size_are_fewer_than_all(self):
        """2^n >= C(n, γn), so `packing` asks for no less than counting all masks; sparse tickets
        for about 1/H2(γ) times as much."""
        for epsilon in (0.1, 1e-3, 1e-9):
            all_masks = Counting().evaluate(EXAMPLE, epsilon, 0.1)
            half = FixedSize("packing").evaluate(EXAMPLE, epsilon, 0.1)
            assert all_masks <= half <= all_masks + 20
        sparse = FixedSize("packing", 0.1).evaluate(EXAMPLE, 1e-30, 0.1)
        dense = FixedSize("packing", 0.5).evaluate(EXAMPLE, 1e-30, 0.1)
        assert sparse / dense == pytest.approx(1 / 0.469, rel=0.02)

    def test_no_bits_need_no_parameters(self):
        assert least_parameters(0.5, -1.0) == 0
        assert least_parameters(0.5, 1.0) == 2
        # the doubles 0.3, 0.29 and 1/3 are below these fractions
        assert (kept(10, 0.3), kept(100, 0.29), kept(6, 1 / 3), kept(3, 0.1)) == (3, 29, 2, 1)
        assert FixedSize("packing").evaluate(unit_class(3, 3), 0.6, 0.1) == 0


class TestRandomSparse:
    @pytest.mark.parametrize("density", [0.9, 0.5, 0.05])
    @pytest.mark.parametrize(("dims", "delta"), [((3, 2), 0.1), ((4, 4, 4, 2), 0.01)])
    def test_copies_in_exact_rationals(self, density, dims, delta):
        links = [a * b for a, b in pairwise(dims)]

        def miss(m: int) -> Fraction:
            edges = m * sum(links[:-1]) + links[-1]
            return edges * (1 - Fraction(density)) ** m

        m = copies_needed(unit_class(*dims), density, delta)
        assert miss(m) <= Fraction(delta)
        assert m == 1 or miss(m - 1) > Fraction(delta)
        edges = sum(links)  # the target's own edges: too few to take a union over
        short = math.ceil(math.log(edges / delta) / -math.log1p(-density))
        assert m >= short if len(dims) == 2 else m > short

    def test_copies_suffice(self):
        """4000 sparse networks, false alarms below 1e-4 a check; two copies fewer fail."""
        rng = np.random.default_rng(35)
        target, density, delta = unit_class(2, 3, 2), 0.6, 0.2
        m = copies_needed(target, density, delta)

        def failures(m: int) -> int:
            count = 0
            for _ in range(4000):
                hidden = (rng.random((3, m, 2, m)) < density).any(axis=3).all()
                count += not (hidden and (rng.random((2, 3, m)) < density).any(axis=2).all())
            return count

        assert not too_low(failures(m), 4000, delta)
        assert too_low(failures(m - 2), 4000, delta)

    def test_the_sparsest_source(self):
        """p = 0.01: ten thousand neurons and some for each that is whole, down to any ε."""
        for epsilon in (1e-9, 1e-100):
            usable = np.array(block_sizes(EXAMPLE, even_tolerances(EXAMPLE, epsilon), 0.01 / 2))
            ratio = RandomSparse("diamond", 0.01).ask(EXAMPLE, epsilon, 0.01) / usable / 1e4
            assert (ratio > 1).all()
            assert (ratio < 1.2).all()

    def test_a_diamond_needs_both_links(self):
        etas = even_tolerances(EXAMPLE, 0.1)
        usable = block_sizes(EXAMPLE, etas, 0.05 / 2)
        dense = RandomSparse("diamond", 1.0).evaluate(EXAMPLE, 0.1, 0.05)
        assert dense.tolist() == list(usable)
        sparse = RandomSparse("diamond", 0.5).evaluate(EXAMPLE, 0.1, 0.05)
        each = 0.05 / (2 * link_events(EXAMPLE))
        for n, found in zip(usable, sparse, strict=True):
            assert binom.cdf(n - 1, found, 0.25) <= each < binom.cdf(n - 1, found - 1, 0.25)
        weights = RandomSparse("diamond", 0.5).size(EXAMPLE, 0.1, 0.05).weights
        assert weights == sum(
            n * a * (a + b) for n, (a, b) in zip(sparse, EXAMPLE.links, strict=True)
        )


class TestAttention:
    def test_products_of_two_uniforms(self):
        """ln(2)/2 of uv is uniform on [−1/2, 1/2]: the least of 50 windows holds that and no more.

        Binomial at 1e-4 a window: false alarms below 5e-3."""
        rng = np.random.default_rng(36)
        z = rng.uniform(-1, 1, 200_000) * rng.uniform(-1, 1, 200_000)
        counts = np.histogram(z, np.linspace(-0.5, 0.5, 51))[0]
        share = FULL * math.log(2) / 50

        def refuted(share: float) -> bool:
            tests = (binomtest(int(c), z.size, share, alternative="less") for c in counts)
            return any(test.pvalue < 1e-4 for test in tests)

        assert not refuted(share)
        assert refuted(1.15 * share)

    def test_products_suffice(self):
        """60 draws of the theorem's n', false alarms below 1e-4; six values are too few."""
        rng = np.random.default_rng(37)

        def failures(n: int, trials: int) -> int:
            count = 0
            for _ in range(trials):
                sums = np.zeros(1)
                for value in (rng.uniform(-1, 1, n) * rng.uniform(-1, 1, n))[:18]:
                    sums = np.concatenate([sums, sums + value])
                sums = np.sort(np.append(sums[np.abs(sums) <= 1.25], [-1.25, 1.25]))
                count += bool(np.diff(sums).max() > 0.5)
            return count

        n = n_rss_full_product(0.25, 0.1)
        assert not too_low(failures(n, 60), 60, 0.1)
        assert too_low(failures(6, 60), 60, 0.1)
        assert n < n_rss_product(0.25, 0.1)  # nothing is lost to a ReLU
        assert n_rss_full_product(1.0, 0.1) == 0
        assert n_rss_full_product(0.01, 0.1) == n_rss_product(0.01, 0.1, scale=FULL)

    def test_the_lemma_for_one_matrix(self):
        size = Attention("product").size(unit_class(3, 5), 0.1, 0.05)
        n = n_rss_full_product(0.1 / 15, 0.05 / 15)
        assert (size.samples, size.widths, size.weights) == ((n,), (3 * n,), 3 * n * 8)

    def test_rates(self):
        def ask(form: str, heads: int = 1, radius: float = 1.0, epsilon: float = 0.1) -> float:
            block = TargetClass((16, 9), False, (1.0,), (1.0,), radius, 0.0, None, heads)
            return float(Attention(form).ask(block, epsilon, 0.1))

        assert ask("keys") == pytest.approx(16 * math.log(8 * 4**3 * 64 / 0.1))  # α >= sqrt(16)
        assert ask("values") == pytest.approx(16 * math.log(2 * 4 * 16 * 3 / 0.1))
        wide = Attention("values").ask(unit_class(4, 9, heads=1), 0.1, 0.1)
        assert wide == pytest.approx(4 * math.log(2 * 3 * 4 * 3 / 0.1))  # α >= sqrt(9)
        for form, power in (("keys", 3), ("values", 1)):
            assert ask(form, heads=8) - ask(form) == pytest.approx(16 * math.log(8))
            assert ask(form, radius=40) - ask(form) == pytest.approx(16 * power * math.log(10))
            assert ask(form, epsilon=0.01) - ask(form) == pytest.approx(16 * math.log(10))


def test_maximal_compression_by_all_masks():
    """Of all masks of a 2-1-3 network that keep a weight in every layer, the smallest."""
    layers = (2, 3)
    kept_weights = [
        sum(mask) for mask in product((0, 1), repeat=5) if any(mask[:2]) and any(mask[2:])
    ]
    assert sum(layers) / min(kept_weights) == MaximalCompression().ask(unit_class(2, 1, 3), 1, 0.5)
    images = unit_class(2, 1, 3, kernels=(3, 1))
    assert MaximalCompression().ask(images, 1, 0.5) == (18 + 3) / 2


def test_lueker_pays_a_bit_for_a_bit():
    rate = Lueker().evaluate(EXAMPLE, [2.0**-3, 2.0**-9], 2.0**-6)
    assert rate.tolist() == [7, 10]

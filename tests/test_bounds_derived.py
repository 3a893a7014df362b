"""Theorems with a proof of our own: each step against an oracle, and against a planted excess.

Simulations use fixed seeds; each assertion's false-alarm rate stands beside it.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise, product

import mpmath
import numpy as np
import pytest
from scipy.signal import correlate2d
from scipy.stats import binom, binomtest

from slth.bounds import TargetClass, unit_class
from slth.bounds.attention import MIXTURE, Attention, n_rss_full_product
from slth.bounds.convolution import Convolution
from slth.bounds.counting import Counting
from slth.bounds.depth_plus_one import DepthPlusOne, copies, log_sums
from slth.bounds.fixed_size import FixedSize, kept, least_parameters
from slth.bounds.lueker import Lueker
from slth.bounds.maximal_compression import MaximalCompression
from slth.bounds.orseau import Orseau, log_weight_tolerance
from slth.bounds.pensia import Pensia, block_sizes, even_tolerances, link_events
from slth.bounds.random_sparse import RandomSparse, copies_needed
from slth.bounds.random_subset_sum import n_rss_product, n_rss_reach

EXAMPLE = unit_class(4, 4, 4, 2)


def too_low(failures: int, trials: int, claimed: float) -> bool:
    """Whether the data refute 'fails with probability <= claimed' at a false-alarm rate of 1e-4."""
    return binomtest(failures, trials, min(claimed, 1.0), alternative="greater").pvalue < 1e-4


def relu(a: np.ndarray) -> np.ndarray:
    return np.maximum(a, 0.0)


def network(weights: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    for W in weights[:-1]:
        x = relu(W @ x)
    return weights[-1] @ x


class TestOrseau:
    @pytest.mark.parametrize(
        ("tolerance", "digits", "count"), [(0.1, 6, 402), (0.01, 12, 871), (0.001, 18, 1364)]
    )
    def test_one_layer_of_three_by_three(self, tolerance, digits, count):
        """ε_w as named, δ = 0.05."""
        layer = unit_class(3, 3)
        epsilon = tolerance * math.e * 3**1.5 * (1 + 1e-12)
        assert math.exp(log_weight_tolerance(layer, np.array(epsilon))) == pytest.approx(tolerance)
        assert math.ceil(math.log(1 / tolerance, 1.5)) == digits
        assert Orseau().evaluate(layer, epsilon, 0.05).tolist() == [count]

    def test_the_example_beside_the_others(self):
        """Hidden neurons of the first layer at ε = 0.1, δ = 0.05."""
        assert Orseau().size(EXAMPLE, 0.1, 0.05).widths[0] == 5_648
        assert Orseau("remembered").size(EXAMPLE, 0.1, 0.05).widths[0] == 15_676
        a, b, c = (size := Orseau().size(EXAMPLE, 0.1, 0.05)).samples
        assert size.widths == (4 * a, 4, 4 * b, 4, 4 * c)
        assert size.weights == 4 * a * 8 + 4 * b * 8 + 4 * c * 6
        assert Pensia(method="phases").size(EXAMPLE, 0.1, 0.05).widths[0] == 10_696

    @pytest.mark.parametrize("k", [1, 5, 30])
    def test_every_category_of_products_is_likely_enough(self, k):
        """ln|uv| is triangular: exact masses of the k intervals, signs apart, are >= 1/(2k)."""
        with mpmath.workdps(30):
            gamma, alpha = mpmath.mpf("1.5"), mpmath.mpf(1) / 2
            a = mpmath.sqrt(alpha) * gamma ** (-3 * mpmath.mpf(k) / 4)
            low, span = 2 * mpmath.log(a), 2 * k * mpmath.log(gamma)

            def below(z):  # the triangular law's distribution function
                t = (mpmath.log(z) - low) / span
                return 2 * t * t if t < 0.5 else 1 - 2 * (1 - t) ** 2

            masses = [below(alpha / gamma**c) - below(alpha / gamma ** (c + 1)) for c in range(k)]
        assert min(masses) >= mpmath.mpf(1) / (2 * k)
        assert min(masses) <= 0.8 / k  # so twice as much may not be claimed

    def test_its_pool_decomposes_every_weight(self):
        """300 pools for four weights: at most δ fail; a fifth of the neurons is too few.

        Two checks at 1e-4 each."""
        delta, tolerance = 0.2, 0.05
        layer = unit_class(1, 4)
        epsilon = tolerance * math.e * 4**1.5
        count = int(Orseau().evaluate(layer, epsilon, delta)[0])
        rng = np.random.default_rng(31)
        assert not too_low(sum(pool_fails(rng, count, tolerance) for _ in range(300)), 300, delta)
        assert too_low(sum(pool_fails(rng, count // 5, tolerance) for _ in range(300)), 300, delta)

    def test_weight_errors_up_to_the_tolerance_stay_below_epsilon(self):
        """Networks with norms and radii of all sizes, halves that err apart, and one layer where
        the bound is nearly reached."""
        rng = np.random.default_rng(32)
        worst = 0.0
        for _ in range(200):
            dims = rng.integers(1, 5, rng.integers(2, 6))
            weights = [rng.normal(size=(b, a)) * rng.choice([0.2, 1, 3])
                       for a, b in pairwise(dims)]  # fmt: skip
            radius = rng.choice([0.1, 1, 10])
            class_ = TargetClass(
                tuple(int(d) for d in dims), False,
                tuple(float(np.linalg.norm(W, 2)) for W in weights),
                tuple(float(np.abs(W).max()) for W in weights), float(radius),
            )  # fmt: skip
            epsilon = float(rng.choice([0.01, 1, 100]))
            eta = math.exp(log_weight_tolerance(class_, np.array(epsilon)))
            errors = [eta * rng.choice([-1, 1], size=(2, *W.shape)) for W in weights]
            for _ in range(10):
                x = rng.normal(size=dims[0])
                x *= radius / np.linalg.norm(x)
                y = x
                for i, (W, (up, down)) in enumerate(zip(weights, errors, strict=True)):
                    z = W @ y + up @ relu(y) - down @ relu(-y)
                    y = relu(z) if i < len(weights) - 1 else z
                worst = max(worst, np.linalg.norm(y - network(weights, x)) / epsilon)
        assert 0.05 < worst <= 1


def pool_fails(rng: np.random.Generator, count: int, tolerance: float) -> bool:
    """Whether greedy decomposition misses one of four weights, in either half, in a pool."""
    k = math.ceil(math.log(1 / tolerance, 1.5))
    a = math.sqrt(0.5) * 1.5 ** (-3 * k / 4)
    u, v = a * 1.5 ** (k * rng.random((2, 4, count))) * rng.choice([-1, 1], (2, 4, count))
    u = np.broadcast_to(u[0], u.shape)  # in-weights are shared by the outputs
    for j, w in enumerate(rng.uniform(-1, 1, 4)):
        values = u[j] * v[j]
        for half in (1, -1):
            rest = abs(w)
            for c in range(k):
                low, high = 0.5 / 1.5 ** (c + 1), 0.5 / 1.5**c
                inside = (np.sign(u[j]) == half) & (np.sign(values) == np.sign(w))
                found = np.flatnonzero(inside & (low < np.abs(values)) & (np.abs(values) <= high))
                if found.size == 0:
                    return True
                if rest >= abs(values[found[0]]):
                    rest -= abs(values[found[0]])
            assert 0 <= rest <= tolerance
    return False


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


class TestDepthPlusOne:
    def test_one_layer_is_a_diamond(self):
        sizes, etas = copies(unit_class(3, 2), 0.1, 0.05)
        assert etas == [pytest.approx(0.1 / math.sqrt(2) / math.sqrt(3), rel=1e-14)]
        assert sizes == [n_rss_product(etas[0], 0.05 / 12)]

    @pytest.mark.parametrize("norms", [(1.0, 1.0, 1.0), (2.0, 0.5, 3.0)])
    def test_tolerances_copies_and_chances_add_up(self, norms):
        target = TargetClass((3, 5, 4, 2), False, norms, (1.0, 0.4, 2.5), 2.0)
        epsilon, delta = 0.3, 0.1
        (n, *rho), etas = copies(target, epsilon, delta)
        amplified = [1.0, 5 * rho[0], 4 * rho[1]]
        sums = np.exp(log_sums(target)).tolist()
        assert sums == pytest.approx(
            [2 * 3**0.5, 2 * 5**0.5 * norms[0], 2 * 4**0.5 * norms[0] * norms[1]]
        )
        error = 0.0  # E_i <= η_i B_{i−1} + A_i E_{i−1}
        for eta, total, gain in zip(etas, sums, amplified, strict=True):
            error = eta * total + gain * error
        assert error * math.sqrt(2) == pytest.approx(epsilon)
        events = [2 * 15 * rho[0], 20 * rho[1], 8]
        shares = [delta / 3 / e for e in events]
        assert math.fsum(e * s for e, s in zip(events, shares, strict=True)) == pytest.approx(delta)
        assert n == n_rss_product(etas[0], shares[0])
        assert rho == [n_rss_reach(etas[1], 1.0, shares[1]), n_rss_reach(etas[2], 2.5, shares[2])]

    def test_copies_that_err_differently_add_up_to_no_more(self):
        """Random networks of copies obey the recursion; with the target's norm in place of A_i,
        as if all copies erred alike, they do not."""
        rng = np.random.default_rng(33)
        claimed, naive = 0.0, 0.0
        for _ in range(100):
            depth, width, rho, eta = 4, 3, 6, 1e-3
            weights = [rng.normal(size=(width, width)) for _ in range(depth)]
            weights = [W / np.linalg.norm(W, 2) for W in weights]
            x = rng.normal(size=width)
            x /= np.linalg.norm(x)
            y = np.tile(x[:, None], rho)  # [neuron, copy]
            bound, alike, f = 0.0, 0.0, x
            for i, W in enumerate(weights):
                v = rng.uniform(-0.6, 0.6, (width, rho, width, rho))  # [j, copy, a, copy of a]
                error = eta * rng.choice([-1, 1], (width, rho, width))
                v += ((W[:, None] + error - v.sum(axis=3)) / rho)[..., None]
                assert np.abs(v).max() <= 1.05
                size = np.abs(v).max()
                total = np.abs(f).sum()
                gain = width * rho * size if i else 0.0
                bound = eta * total + gain * bound
                alike = eta * total + (np.abs(W).sum(axis=1).max() + width * eta) * alike
                y = np.einsum("jcak,ak->jc", v, y)
                f = W @ f
                if i < depth - 1:
                    y, f = relu(y), relu(f)
            off = np.abs(y - f[:, None]).max()
            claimed, naive = max(claimed, off / bound), max(naive, off / alike)
        assert claimed <= 1
        assert naive > 1

    def test_its_source_is_counted_layer_by_layer(self):
        target = unit_class(3, 5, 4, 2)
        size = DepthPlusOne().size(target, 0.3, 0.1)
        n, *rho = size.samples
        assert size.widths == (6 * n, 5 * rho[0], 4 * rho[1])
        assert size.weights == 18 * n + 30 * n * rho[0] + 20 * rho[0] * rho[1] + 8 * rho[1]


class TestConvolution:
    def test_the_formula_step_by_step(self):
        target = unit_class(3, 6, 16, kernels=(5, 3))
        events = 2 * (3 * 6 * 25 + 6 * 16 * 9)
        wanted = [
            n_rss_product(0.1 / (4 * 25 * 3), 0.01 / events),
            n_rss_product(0.1 / (4 * 9 * 6), 0.01 / events),
        ]
        size = Convolution().size(target, 0.1, 0.01)
        assert list(size.samples) == wanted
        assert size.widths == (6 * wanted[0], 6, 12 * wanted[1])
        assert size.weights == 6 * wanted[0] * (3 + 25 * 6) + 12 * wanted[1] * (6 + 9 * 16)
        assert Convolution().size(target, 7.0, 0.01) == Convolution().size(target, 1.0, 0.01)

    def test_taps_within_tolerance_stay_below_epsilon(self):
        """Halves that err apart by ±η; where all err upwards half of ε is reached, so 2.2 η is
        too much."""
        rng = np.random.default_rng(34)
        channels, epsilon = (2, 3, 1), 1.0
        worst = {1.0: 0.0, 2.2: 0.0}
        for trial in range(30):
            excess = 1.0 if trial < 20 else 2.2
            one = trial >= 20 or trial < 3  # a single layer, all pixels and errors up
            shapes = [(2, 1)] if one else list(pairwise(channels))
            f = g = np.ones((2, 6, 6)) if one else rng.uniform(-1, 1, (2, 6, 6))
            for i, (a, b) in enumerate(shapes):
                K = rng.normal(size=(b, a, 3, 3))
                K /= np.abs(K).sum()
                eta = excess * epsilon / (2 * len(shapes) * 9 * a)
                E = np.full((2, *K.shape), eta) if one else eta * rng.choice([-1, 1], (2, *K.shape))
                f = convolve(K, f)
                g = convolve(K, g) + convolve(E[0], relu(g)) - convolve(E[1], relu(-g))
                if i < len(shapes) - 1:
                    f, g = relu(f), relu(g)
            worst[excess] = max(worst[excess], np.abs(f - g).max() / epsilon)
        assert 0.49 < worst[1.0] <= 1
        assert worst[2.2] > 1


def convolve(K: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Kernels [out, in, k, k] on channels [in, h, w], padded by zeros."""
    return np.array([sum(correlate2d(x, t, "same") for x, t in zip(X, k, strict=True)) for k in K])


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
        share = MIXTURE / 50

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
        usable = n_rss_reach(0.02, 2.0, 0.05)  # doubled values for doubled targets
        chance = [binom.cdf(usable - 1, n_rss_full_product(0.01, 0.1) - k, MIXTURE) for k in (0, 1)]
        assert chance[0] <= 0.05 < chance[1]

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

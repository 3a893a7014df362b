"""Theorems with a proof of our own: each step against an oracle, and against a planted excess.

Simulations use fixed seeds; each assertion's false-alarm rate stands beside it.
"""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy.signal import correlate2d

from slth.bounds import TargetClass, unit_class
from slth.bounds.convolution import Convolution
from slth.bounds.depth_plus_one import DepthPlusOne, copies, log_sums
from slth.bounds.orseau import Orseau, log_weight_tolerance
from slth.bounds.pensia import Pensia
from slth.bounds.random_subset_sum import n_rss_product, n_rss_reach
from tests.subset_sums import coarse, too_low

EXAMPLE = unit_class(4, 4, 4, 2)


@pytest.fixture(autouse=True, scope="module")
def coarse_programs():
    with coarse(least=1e-3):
        yield


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

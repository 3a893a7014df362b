"""What the library evaluates is what is proved: formulas and hypotheses, held together by balls and
exact rationals."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from proofs import first_moment as proved_moment
from slth.bounds.counting import gadget, separated, separated_targets, sign
from slth.bounds.first_moment import central_density, hit_bound, subset_density
from slth.bounds.random_subset_sum import MIXTURE, n_rss

flint = pytest.importorskip("flint")


def real(x: float | Fraction | int):
    """The ball of exactly this number: a float is a rational."""
    x = Fraction(x)
    return flint.arb(flint.fmpq(x.numerator, x.denominator))


def test_the_mixture_weight():
    """Its own rounding is far below the margin that counts are rounded up with."""
    with flint.ctx.workprec(200):
        exact = real(2).log() / 4
        assert abs(real(MIXTURE) - exact) < real(Fraction(1, 10**16))
        assert not abs(real(math.nextafter(MIXTURE, 1)) - exact) < real(Fraction(1, 10**17))


def theorem_allows(n: int, tolerance: float, delta: float) -> bool:
    """Whether some split of n and δ and some θ meet the hypotheses of `random_subset_sum`."""
    eps, total = real(tolerance) / 2, real(delta)
    for i in range(1, 50):
        one, two = total * i / 50, total * (50 - i) / 50
        n_2 = next(k for k in range(n + 2) if (real(Fraction(3, 4)) ** k <= 2 * eps * two) or k > n)
        for k in range(1, 400):
            theta = real(Fraction(k, 40))
            q = real(Fraction(3, 4)) + real(2) ** -theta / 4
            if n_2 <= n and (4 * eps) ** -theta * q ** (n - n_2) <= one:
                return True
    return False


@pytest.mark.parametrize(("tolerance", "delta"), [(0.25, 0.2), (0.01, 0.01), (0.001, 1e-5)])
def test_the_counts_meet_the_theorems_hypotheses(tolerance, delta):
    n = n_rss(tolerance, delta, "phases")
    assert theorem_allows(n, tolerance, delta)
    assert not theorem_allows(n - 2, tolerance, delta)


def test_the_first_moment():
    for k in range(1, 40):
        assert central_density(k) == proved_moment.central(k)
    for n, eta in ((1, 0.25), (6, 0.01), (20, 1e-6)):
        proved = (
            2
            * Fraction(eta)
            * sum(math.comb(n, k) * proved_moment.central(k) for k in range(1, n + 1))
        )
        assert hit_bound(n, eta) == min(1.0, float(proved))
        assert subset_density(n) == proved / (2 * Fraction(eta))


def test_counting_and_signs():
    for eta, length in ((2**-9, 1.0), (0.01, 2.0), (0.3, 0.1)):
        n = math.ceil(float(gadget(eta, length)))
        assert 2**n * 2 * Fraction(eta) >= Fraction(length)
        assert n == 0 or 2 ** (n - 1) * 2 * Fraction(eta) < Fraction(length)
    for delta in (0.5, 0.01, 1e-9):
        n = math.ceil(sign(delta))
        assert Fraction(2, 2**n) <= Fraction(delta) < Fraction(2, 2 ** (n - 1))


def test_packing():
    """At ε a power of two the exponents are integers: (1/(2ε))^(mn) and the two-layer variants."""
    eps = 2.0**-5
    assert separated(3, 7, eps) == 4 * 3 * 7
    assert separated_targets((7, 3), eps) == 4 * 3 * 7
    for dims in ((7, 5, 3), (2, 9, 4, 6), (4, 9, 9)):
        s, r = min(dims[1:]), min(dims[:-1])
        wanted = max(3 * s * dims[0], 3.5 * dims[-1] * r)  # log2 of 1/(4ε), of 1/(2 sqrt(2) ε)
        assert separated_targets(dims, eps) == pytest.approx(wanted, rel=1e-12)

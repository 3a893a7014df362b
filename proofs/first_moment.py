"""The first-moment lower bound: what one fixed number needs.

Theorem. Let X_1, ..., X_n be independent, uniform on [−1, 1], η >= 0 and |z| > η. Some subset of
them sums to within η of z with probability at most

    2η Σ_{k=1}^n C(n, k) f_k(0),  f_k(0) = Σ_{j < k/2} (−1)^j C(k, j) (k−2j)^(k−1) / ((k−1)! 2^k),

where f_k is the density of X_1 + ... + X_k.

Proof. (1) The empty subset sums to 0, which is not within η of z. (2) So the probability is at most
the sum over the C(n, k) subsets of each size k >= 1 of ∫_{z−η}^{z+η} f_k, at most 2η sup f_k.
(3) f_k is symmetric and falls in |x|, so sup f_k = f_k(0): f_1 is ½ on [−1, 1], and
f_{k+1}(x) = ½ ∫_{x−1}^{x+1} f_k is symmetric with f_k, and for 0 <= x <= y

    f_{k+1}(y) − f_{k+1}(x) = ½ ∫_x^y (f_k(t + 1) − f_k(t − 1)) dt <= 0, for |t + 1| >= |t − 1|.

(4) With s⁺ = max(s, 0), f_k(x) = Σ_{j=0}^k (−1)^j C(k, j) ((x + k − 2j)⁺)^(k−1) / ((k−1)! 2^k)
(the power 0 of s⁺ being 1 for s > 0, else 0): integrating a term over [x − 1, x + 1] raises its
power and splits it into the shifts k + 1 − 2j and k + 1 − 2(j + 1), and
C(k, j) + C(k, j − 1) = C(k + 1, j). At x = 0 the terms with j >= k/2 vanish. ∎

What is checked. (1), the inequalities of (2) and (3), the integral of a power and Pascal's rule
for all reals and numbers; the formula of (4) up to k = 12 by integrating the piecewise polynomials
exactly; that f_k(0) is no less than f_k on a grid.

What is not. The theorems of measure and integration that are named as assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import comb, factorial
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size

LARGEST = 12


def steps() -> tuple[Step, ...]:
    return (
        Step("∀ |z| > η: |z − 0| > η, so the empty subset is not within η", "smt", empty),
        Step(
            "∀ events, densities f: Pr(∪ A) <= Σ Pr(A), and Pr(|X − z| <= η) = ∫_{z−η}^{z+η} f "
            "<= 2η sup f",
            "assumed",
        ),
        Step(
            "∀ independent X, Y ~ U[−1, 1]: the density of X + Y at x is ½ ∫_{x−1}^{x+1} f_X",
            "assumed",
        ),
        Step("∀ t >= 0: |t + 1| >= |t − 1|", "smt", farther),
        Step(
            "∀ h <= 0: ∫ h <= 0; ∫ f(−t) dt over [−b, −a] = ∫ f(t) dt over [a, b]",
            "assumed",
        ),
        Step(
            "∀ c, k: on s = x + c > 0 the derivative of s^k/k is s^(k−1)",
            "symbolic",
            lambda: power_rule(),
            altered={"the derivative of s^k": lambda: power_rule(divided=False)},
        ),
        Step(
            "∀ 1 <= j <= k: C(k, j) + C(k, j − 1) = C(k + 1, j)",
            "symbolic",
            lambda: pascal(),
            altered={"C(k + 1, j + 1)": lambda: pascal(shift=1)},
        ),
        Step(
            "∀ k <= 12: integrating the densities one by one gives the formula for f_k, and f_k(0)",
            "exact",
            lambda: formulas(),
            {"X ~ U[−2, 2]": lambda: formulas(width=2)},
            {"all signs are +": lambda: formulas(sign=1)},
        ),
        Step(
            "∀ k <= 12, x on a grid: f_k(x) <= f_k(0)",
            "exact",
            lambda: unimodal(),
            altered={"the peak is at ½": lambda: unimodal(peak=Fraction(1, 2))},
        ),
    )


def empty() -> Implication:
    import z3

    z, eta = z3.Reals("z eta")
    return Implication({"|z| > η": size(z) > eta}, size(z - 0) > eta)


def farther() -> Implication:
    import z3

    t = z3.Real("t")
    return Implication({"t >= 0": t >= 0}, size(t + 1) >= size(t - 1))


def power_rule(divided: bool = True) -> list[Any]:
    import sympy

    x, c, k = sympy.symbols("x c k", positive=True)
    primitive = (x + c) ** k / (k if divided else 1)
    return [sympy.diff(primitive, x) - (x + c) ** (k - 1)]


def pascal(shift: int = 0) -> list[Any]:
    """By C(k, j) = k!/(j! (k−j)!), all three over the common k!/(j! (k + 1 − j)!)."""
    import sympy

    k, j = sympy.symbols("k j", positive=True)

    def over_common(n: Any, i: Any) -> Any:
        common = sympy.gamma(k + 1) / (sympy.gamma(j + 1) * sympy.gamma(k - j + 2))
        ours = sympy.gamma(n + 1) / (sympy.gamma(i + 1) * sympy.gamma(n - i + 1))
        return sympy.gammasimp(ours / common)

    return [over_common(k, j) + over_common(k, j - 1) - over_common(k + 1, j + shift)]


def integrated(width: int = 1) -> Iterator[Mapping[int, Fraction]]:
    """f_1, f_2, ... as {shift s: coefficient of ((x + s)⁺)^(k−1)}, each integrated from the last.

    f_1 is 1/(2 width) on [−width, width]; the next is the mean of f_k over [x − width, x + width].
    """
    density = {width: Fraction(1, 2 * width), -width: -Fraction(1, 2 * width)}
    for k in range(1, LARGEST + 1):
        yield density
        following: dict[int, Fraction] = {}
        for shift, coefficient in density.items():
            share = coefficient / (2 * width * k)
            following[shift + width] = following.get(shift + width, Fraction(0)) + share
            following[shift - width] = following.get(shift - width, Fraction(0)) - share
        density = following


def value(density: Mapping[int, Fraction], k: int, x: Fraction) -> Fraction:
    return sum(
        (c * (x + s) ** (k - 1) for s, c in density.items() if x + s > 0),
        Fraction(0),
    )


def central(k: int, sign: int = -1) -> Fraction:
    """f_k(0) by the theorem's formula."""
    total = sum(sign**j * comb(k, j) * (k - 2 * j) ** (k - 1) for j in range(k + 1) if 2 * j < k)
    return Fraction(total, factorial(k - 1) * 2**k)


def formulas(width: int = 1, sign: int = -1) -> Iterator[tuple[Fraction, Fraction]]:
    for k, density in enumerate(integrated(width), start=1):
        for j in range(k + 1):
            claimed = Fraction(sign**j * comb(k, j), factorial(k - 1) * 2**k)
            found = density.get(k - 2 * j, Fraction(0))
            yield from ((found, claimed), (claimed, found))
        found, claimed = value(density, k, Fraction(0)), central(k, sign)
        yield from ((found, claimed), (claimed, found))


def unimodal(peak: Fraction = Fraction(0)) -> Iterator[tuple[Fraction, Fraction]]:
    for k, density in enumerate(integrated(), start=1):
        for x in (Fraction(i, 7) for i in range(-7 * k, 7 * k + 1)):
            yield value(density, k, x), value(density, k, peak)

"""1 + x <= e^x, and the forms in which the other proofs use it.

Theorem. For every real x: 1 + x <= e^x. Hence (1 + x)^n <= e^{nx} for x >= −1 and every natural n,
(1 − x) e^x <= 1, and e^{−x} <= 1 for x >= 0.

Proof. (1) Taylor's formula with its remainder, e^x − 1 − x = x² ∫_0^1 (1 − s) e^{xs} ds.
(2) The integrand is at least 0. (3) The power by induction over n, from (1 + x)^0 = e^0.
(4) Multiply 1 − x <= e^{−x} by e^x. (5) 1 <= 1 + x <= e^x = 1/e^{−x}. ∎

What is checked. Every step for all reals, the power for all n by induction; that no hypothesis can
be spared; the inequality itself at rationals, against the series' partial sums.

What is not. That e^y > 0, e^{y+z} = e^y e^z, and that the integral of what is >= 0 is >= 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import factorial
from typing import Any

from proofs import Step
from proofs.checkers import Implication


def steps() -> tuple[Step, ...]:
    return (
        Step("∀ y, z: e^y > 0 and e^{y+z} = e^y e^z; ∀ f >= 0: ∫ f >= 0", "assumed"),
        Step(
            "∀ x: e^x − 1 − x = x² ∫_0^1 (1 − s) e^{xs} ds",
            "symbolic",
            lambda: remainder(),
            altered={
                "the tangent has slope 1/2": lambda: remainder(slope=Fraction(1, 2)),
                "the kernel is 1": lambda: remainder(kernel=0),
            },
        ),
        Step("∀ x, s <= 1, E = e^{xs} > 0: x² (1 − s) E >= 0", "smt", integrand),
        Step(
            "∀ n, x >= −1: (1 + x)^n <= e^{nx} ∧ 1 + x <= e^x ⟹ (1 + x)^{n+1} <= e^{(n+1)x}",
            "smt",
            one_more_factor,
        ),
        Step("∀ x: 1 − x <= e^{−x} ∧ e^x e^{−x} = 1 ∧ e^x >= 0 ⟹ (1 − x) e^x <= 1", "smt", flipped),
        Step("∀ x >= 0: 1 + x <= e^x ∧ e^x e^{−x} = 1 ⟹ e^{−x} <= 1", "smt", at_most_one),
        Step(
            "∀ rationals x in [0, 4] in steps of 1/4: 1 + x <= Σ_{j<=9} x^j/j! (<= e^x)",
            "exact",
            lambda: partial_sums(),
            altered={"the tangent has slope 2": lambda: partial_sums(slope=2)},
        ),
    )


def remainder(slope: Fraction = Fraction(1), kernel: int = 1) -> list[Any]:
    import sympy

    x = sympy.symbols("x", real=True, nonzero=True)
    s = sympy.symbols("s", real=True)
    integral = sympy.integrate((1 - kernel * s) * sympy.exp(x * s), (s, 0, 1))
    at_zero = sympy.exp(0) - 1
    return [sympy.exp(x) - 1 - sympy.Rational(slope) * x - x**2 * integral, at_zero]


def integrand() -> Implication:
    import z3

    x, s, e = z3.Reals("x s E")
    return Implication({"s <= 1": s <= 1, "E > 0": e > 0}, x * x * (1 - s) * e >= 0)


def one_more_factor() -> Implication:
    import z3

    x, power, bound, e = z3.Reals("x (1+x)^n e^nx e^x")
    return Implication(
        {
            "(1 + x)^n <= e^{nx}": power <= bound,
            "1 + x <= e^x": 1 + x <= e,
            "x >= −1": x >= -1,
            "e^{nx} >= 0": bound >= 0,
        },
        power * (1 + x) <= bound * e,
    )


def flipped() -> Implication:
    import z3

    x, e, inverse = z3.Reals("x e^x e^-x")
    return Implication(
        {
            "1 − x <= e^{−x}": 1 - x <= inverse,
            "e^x e^{−x} = 1": e * inverse == 1,
            "e^x >= 0": e >= 0,
        },
        (1 - x) * e <= 1,
    )


def at_most_one() -> Implication:
    import z3

    x, e, inverse = z3.Reals("x e^x e^-x")
    return Implication(
        {"x >= 0": x >= 0, "1 + x <= e^x": 1 + x <= e, "e^x e^{−x} = 1": e * inverse == 1},
        inverse <= 1,
    )


def partial_sums(slope: int = 1) -> Iterator[tuple[Fraction, Fraction]]:
    for x in (Fraction(k, 4) for k in range(17)):
        yield 1 + slope * x, sum((x**j / factorial(j) for j in range(10)), Fraction(0))

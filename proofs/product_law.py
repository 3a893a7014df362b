"""The law of a product of two uniforms, and the uniform law inside it.

Theorem. Let u ~ U[0, 1] and v ~ U[−1, 1] be independent. Then u v has the density
f(z) = ½ ln(1/|z|) on 0 < |z| < 1, and its law is a mixture of U[−½, ½] with weight ln 2/2 and some
other law. If u, v ~ U[−1, 1] are independent, the law of v max(0, u) is a mixture of U[−½, ½] with
weight ln 2/4 and some other law. No larger weights are possible.

Proof. (1) By independence Pr(u v <= z) = ∫_0^1 Pr(v <= z/u) du, and Pr(v <= t) is (1 + t)/2 for
|t| <= 1, else 0 or 1. (2) For z > 0 the integrand is 1 for u < z and (1 + z/u)/2 after that; for
z < 0 it is 0 for u < |z| and (1 − |z|/u)/2 after that. So

    Pr(u v <= z) = (1 + z + z ln(1/z))/2 for z in (0, 1], (1 − |z| − |z| ln(1/|z|))/2 in [−1, 0).

(3) This runs from 0 to 1 without a jump, not even at 0, and its derivative is ½ ln(1/|z|). (4) The
density falls in |z|, hence is at least f(½) = ln 2/2 on 0 < |z| <= ½, where U[−½, ½] has density 1:
what is left over, (f − p 1_{|z| <= ½})/(1 − p) with p = ln 2/2, is a density. A weight above
p would leave a negative one near ½. (5) max(0, u) is 0 with probability ½ and uniform on [0, 1]
otherwise, so v max(0, u) has law ½ δ_0 + ½ (p U[−½, ½] + (1 − p) Q). ∎

What is checked. (2) to (5) for all z; the masses of two intervals a second time, by integrating
the density with balls; one frequency against simulation (tested, not proved).

What is not. The theorems of calculus and measure that are named as assumed. That a program's
generator draws uniforms: floats on a grid are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from proofs import Step
from proofs.checkers import Below, Frequency, Implication, Integral, ball

TRIALS = 100_000
ALARM = 1e-4


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ independent u, v with densities, z: Pr(u v <= z) = ∫ Pr(u v <= z | u) du (Tonelli)",
            "assumed",
        ),
        Step("∀ u > 0, z, t = z/u: t < −1, |t| <= 1, t > 1 as z < −u, |z| <= u, z > u", "smt", cut),
        Step(
            "∀ 0 < z <= 1: ∫_0^1 Pr(v <= z/u) du = (1 + z + z ln(1/z))/2, "
            "∫_0^1 Pr(v <= −z/u) du = (1 − z − z ln(1/z))/2",
            "symbolic",
            lambda: distribution(),
            {
                "u is uniform on [0, 2]": lambda: distribution(u_end=2),
                "v is uniform on [−2, 2]": lambda: distribution(v_end=2),
            },
        ),
        Step(
            "∀ 0 < |z| < 1: the derivative of Pr(u v <= z) is ½ ln(1/|z|)",
            "symbolic",
            lambda: density(),
            altered={"the density is ln(1/|z|)": lambda: density(factor=1)},
        ),
        Step(
            "∀ z -> ±1, ±0: Pr(u v <= z) tends to 1, 0 and, from both sides, to ½",
            "symbolic",
            lambda: limits(),
            altered={"half of the mass sits at 0": lambda: limits(atom=Fraction(1, 2))},
        ),
        Step(
            "∀ intervals of [1/100, ½], [½, 1]: ∫ ½ ln(1/z) dz over it is within 1e-25 of what the "
            "distribution function gives",
            "interval",
            lambda: masses(),
            altered={"the density is ln(1/|z|)": lambda: masses(factor=1)},
        ),
        Step(
            "∀ z > 0: the derivative of ½ ln(1/z) is −1/(2z), and its value at ½ is ln 2/2",
            "symbolic",
            lambda: decrease(),
            altered={"its value at ½ is ln 2": lambda: decrease(weight=1)},
        ),
        Step("∀ z > 0: −1/(2z) < 0", "smt", negative),
        Step(
            "∀ h with h' < 0 on an interval: h falls there (mean value theorem)",
            "assumed",
        ),
        Step(
            "∀ f >= p d of mass 1 each, p < 1: (f − p d)/(1 − p) >= 0, and its mass is 1",
            "smt",
            remainder,
        ),
        Step(
            "∀ balls around p = ln 2/2: 0.3465 < p < 0.3466, so p < 1",
            "interval",
            lambda: weights(),
            altered={"p is larger by 1e-4": lambda: weights(Fraction(1, 10_000))},
        ),
        Step(
            "∀ U, Q: ½ δ_0 + ½ (p U + (1 − p) Q) holds U with weight p/2 = ln 2/4",
            "symbolic",
            lambda: halved(),
            altered={"the zeros do not count": lambda: halved(share=1)},
        ),
        Step(
            "∀ draws of u, v ~ U[−1, 1]: 0 < |v max(0, u)| <= ½ with probability (1 + ln 2)/4",
            "statistical",
            lambda: simulated(cut_at_zero=True),
            {"u is not cut at 0": lambda: simulated(cut_at_zero=False)},
            {"the uniform part alone is claimed": lambda: simulated(True, half=0)},
        ),
    )


def cut() -> Implication:
    """Dividing by u > 0 keeps the order, so the integral splits at u = |z|."""
    import z3

    u, z, t = z3.Reals("u z t")
    return Implication(
        {"u > 0": u > 0},
        z3.And((t < -1) == (z < -u), (t <= 1) == (z <= u), (t > 1) == (z > u)),
        definitions=(t * u == z,),
    )


def distribution(u_end: int = 1, v_end: int = 1) -> list[Any]:
    import sympy

    z, u = sympy.symbols("z u", positive=True)

    def mean(of_u: Any, start: Any) -> Any:
        return sympy.integrate(of_u, (u, start, u_end)) / u_end

    meet = z / v_end  # beyond this u the quotient z/u lies inside the range of v
    right = mean(1, 0) - mean(1, meet) + mean((1 + z / (u * v_end)) / 2, meet)
    left = mean((1 - z / (u * v_end)) / 2, meet)
    return [right - right_half(z), left - left_half(z)]


def right_half(z: Any) -> Any:
    """Pr(u v <= z) for z > 0."""
    import sympy

    return (1 + z - z * sympy.log(z)) / 2


def left_half(z: Any) -> Any:
    """Pr(u v <= −z) for z > 0."""
    import sympy

    return (1 - z + z * sympy.log(z)) / 2


def density(factor: Any = Fraction(1, 2)) -> list[Any]:
    import sympy

    z = sympy.symbols("z", positive=True)
    claimed = -sympy.Rational(factor) * sympy.log(z)
    return [sympy.diff(right_half(z), z) - claimed, -sympy.diff(left_half(z), z) - claimed]


def limits(atom: Fraction = Fraction(0)) -> list[Any]:
    import sympy

    z = sympy.symbols("z", positive=True)
    above, below = (sympy.limit(half(z), z, 0, "+") for half in (right_half, left_half))
    ends = [right_half(sympy.Integer(1)) - 1, left_half(sympy.Integer(1))]
    return [*ends, above - below - sympy.Rational(atom), above + below - 1]


def masses(factor: Any = Fraction(1, 2)) -> Iterator[Any]:
    """The integral of the density lies within 1e-25 of the distribution function's difference."""
    for a, b in ((Fraction(1, 100), Fraction(1, 2)), (Fraction(1, 2), Fraction(1))):
        gained = distribution_ball(b) - distribution_ball(a)
        width = ball(Fraction(1, 10**25))
        yield Integral(
            lambda z, analytic: -z.log(analytic=analytic) * factor,
            a,
            b,
            low=gained - width,
            high=gained + width,
        )


def distribution_ball(z: Fraction) -> Any:
    """Pr(u v <= z) for z > 0, as a ball."""
    return (1 + ball(z) - ball(z) * ball(z).log()) / 2


def decrease(weight: Any = Fraction(1, 2)) -> list[Any]:
    import sympy

    z = sympy.symbols("z", positive=True)
    f = -sympy.log(z) / 2
    at_half = sympy.expand_log(f.subs(z, sympy.Rational(1, 2)), force=True)
    return [sympy.diff(f, z) + 1 / (2 * z), at_half - sympy.Rational(weight) * sympy.log(2)]


def negative() -> Implication:
    import z3

    z = z3.Real("z")
    return Implication({"z > 0": z > 0}, -1 / (2 * z) < 0)


def remainder() -> Implication:
    import z3

    f, p, d, mass_f, mass_d = z3.Reals("f p d F D")
    return Implication(
        {"f >= p d": f >= p * d, "p < 1": p < 1, "∫ f = 1": mass_f == 1, "∫ d = 1": mass_d == 1},
        z3.And((f - p * d) / (1 - p) >= 0, (mass_f - p * mass_d) / (1 - p) == 1),
    )


def weights(excess: Fraction = Fraction(0)) -> list[Any]:
    p = ball(2).log() / 2 + ball(excess)
    return [
        Below(Fraction(3465, 10_000), p, strict=True),
        Below(p, Fraction(3466, 10_000), strict=True),
    ]


def halved(share: Any = Fraction(1, 2)) -> list[Any]:
    import sympy

    p, zero, uniform, other = sympy.symbols("p zero U Q")
    law = (1 - sympy.Rational(share)) * zero + sympy.Rational(share) * (
        p * uniform + (1 - p) * other
    )
    weight = sympy.diff(law, uniform).subs(p, sympy.log(2) / 2)
    mass = law.subs({zero: 1, uniform: 1, other: 1})
    return [weight - sympy.log(2) / 4, mass - 1]


def simulated(cut_at_zero: bool, half: int = 1) -> Frequency:
    """(1 + ln 2)/4 is half of Pr(|u v| <= ½); without the 1, only U[−½, ½]'s own share."""
    import numpy as np

    u, v = np.random.default_rng(0).uniform(-1, 1, (2, TRIALS))
    sizes = np.abs(v * (np.maximum(0, u) if cut_at_zero else u))
    count = int(((sizes > 0) & (sizes <= 0.5)).sum())
    return Frequency(TRIALS, count, (half + float(np.log(2))) / 4, ALARM, "exactly")

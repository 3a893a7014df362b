"""What the coverage program computes in floats, a factor 1 + 1e-10 on top, is an upper bound.

Theorem. Let u = 2^−53, let every +, −, × and ÷ err by a factor in [1 − u, 1 + u], and let max and
comparisons be exact. Let b <= 1/5 and let a step of the program of `proofs.coverage_program` see at
most n = 20,000 corners. If it computes B, some h that the theorem there allows has a bound of at
most B (1 + 1e-10), even after two more roundings.

Proof. Call h(0) = F in floats; all heights are at most F. (1) A computed position is at least
1 − u of the true one: if h is above the computed corners, h((1 − u) ·) is above the true ones;
its integral is at most 1/(1 − u) times as large, and its value at M at most 3u F larger, since a
convex h >= 0 of steepness S at M has S M <= F. (2) Let the program reach height H' from height H at
distance d, with steepness S': H' differs from H + S' d by at most 5u H', in each of three cases.
Its S' never fall leftwards, so with them exactly a convex Q starts that differs from the computed
heights by at most 5u n F. A chord at the left end is short by at most 4u F, its end by 3u F. (3) So
h = Q + (5n + 8) u F, continued by 0 where the program does so, is allowed. The weights 1 − Λ/2,
|v − w|/2 and M of the bound add up to 1: it exceeds the bound of the computed heights by at most
2 (5n + 8) u F, and by 3u F for the height at M, where alone two numbers are subtracted. (4) What is
summed up is positive and passes through at most n + 20 roundings. (5) The bound of h is at least
(1 − Λ/2) F >= 3F/10. So B is at least (1 − u)^(n+21) (1 − (10/3) (10n + 22) u) times the bound.
(6) A straight line of steepness S is computed at v w/2, or another mean of at most M Λ/2, with an
error of at most 10u S M, and its bound is at least (1 − Λ/2) S M. ∎

What is checked. Each step for all reals, by one more corner; the accumulated factor in rationals.

What is not. That the machine's floats round so and neither overflow nor underflow (IEEE 754; the
numbers here are between 1e-40 and 1e20). The steps follow the program's lines by hand;
`proofs.coverage_numbers` checks its output.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size

UNIT = Fraction(1, 2**53)
CORNERS = 20_000
LARGEST_B = Fraction(1, 5)
MARGIN = 1 + Fraction(1, 10**10)


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ floats a, b: +, −, × and ÷ give the exact result times 1 + δ, |δ| <= u, in range",
            "assumed",
        ),
        Step(
            "∀ |δ|, |δ'|, |δ''| <= u: (1 + δ)(1 + δ')/(1 + δ'') is within 4u of 1, "
            "(1 + δ)(1 + δ') within 3u",
            "smt",
            factors,
        ),
        Step(
            "∀ x' >= (1 − u) x, falling h: h((1 − u) x) >= h(x'), which is above the corner",
            "smt",
            moved,
        ),
        Step(
            "∀ h = 1, y, y², M: ∫_0^M h((1 − u) y) dy = ∫_0^{(1−u)M} h/(1 − u)",
            "symbolic",
            lambda: stretched(),
            altered={"it is ∫_0^{(1−u)M} h": lambda: stretched(power=0)},
        ),
        Step(
            "∀ convex h >= 0 of steepness S at (1 − u) M, M' <= (1 + u) M: "
            "S (M' − (1 − u) M) <= 3u h(0)",
            "smt",
            at_the_end,
        ),
        Step(
            "∀ H, p = S d, a = S × d, H' = H + a, both rounded: |H' − (H + p)| <= 5u H'",
            "smt",
            on_the_line,
        ),
        Step(
            "∀ H <= y, q = S' d with S' the rounded chord to y: |y − (H + q)| <= 5u y",
            "smt",
            on_a_chord,
        ),
        Step(
            "∀ y above the rounded line, p = S d, S at least the rounded chord: "
            "|y − (H + p)| <= 5u y",
            "smt",
            between,
        ),
        Step(
            "∀ |Q − H| <= e, Q' = Q + p, |H' − (H + p)| <= 5u H', H' <= F: |Q' − H'| <= e + 5u F",
            "smt",
            one_more,
        ),
        Step(
            "∀ v, w, Λ = v + w: 1 − Λ/2 + |v − w|/2 + min(v, w) = 1",
            "symbolic",
            lambda: weights(),
            altered={"without the 0 they are 1": lambda: weights(share=0)},
        ),
        Step(
            "∀ y, p = S g, e = y − p rounded twice, p <= y (1 + 2u): |e − (y − p)| <= 3u y",
            "smt",
            subtracted,
        ),
        Step("∀ b <= 1/5, rest >= 0: F <= (10/3) ((1 − Λ/2) F + rest)", "smt", enough),
        Step(
            "∀ lines with h(M) >= 0, m = v w/2 <= M Λ/2: S M <= (10/3) h(m)",
            "smt",
            steep,
        ),
        Step(
            "∀ 0 <= x <= M, m <= M, m' within 3u m, r = S × (x − m') rounded twice: "
            "|r − S (x − m)| <= 9u S M",
            "smt",
            risen,
        ),
        Step(
            "∀ n <= 20,000: (1 + 1e-10)(1 − u)^(n+23) (1 − (10/3)(10n + 22) u) >= 1, "
            "and (1 + 1e-10)(1 − u)² (1 − (10/3) 10u) >= 1",
            "exact",
            lambda: accumulated(),
            {
                "floats have 24 bits": lambda: accumulated(unit=Fraction(1, 2**24)),
                "there are 10^6 corners": lambda: accumulated(corners=10**6),
                "b is near ½": lambda: accumulated(least=Fraction(1, 10)),
            },
            {"a factor 1 + 1e-11 is enough": lambda: accumulated(margin=1 + Fraction(1, 10**11))},
        ),
    )


def near(value: Any, wanted: Any, units: int, scale: Any) -> Any:
    """|value − wanted| <= units u scale."""
    return size(value - wanted) <= units * unit() * scale


def unit() -> Any:
    import z3

    return z3.Q(UNIT.numerator, UNIT.denominator)


def factors() -> Implication:
    import z3

    a, b, c, whole, u = z3.Reals("δ δ' δ'' f u")
    product = (1 + a) * (1 + b)
    return Implication(
        {
            "|δ| <= u": size(a) <= u,
            "|δ'| <= u": size(b) <= u,
            "|δ''| <= u": size(c) <= u,
            "u <= 1/10": u <= z3.RealVal("1/10"),
        },
        z3.And(size(whole - 1) <= 4 * u, size(product - 1) <= 3 * u),
        definitions=(whole * (1 + c) == product,),
    )


def moved() -> Implication:
    import z3

    x, computed, y = z3.Reals("x x' y")
    h = z3.Function("h", z3.RealSort(), z3.RealSort())
    shrunk = (1 - unit()) * x
    return Implication(
        {
            "x' >= (1 − u) x": computed >= shrunk,
            "h falls": z3.Implies(shrunk <= computed, h(computed) <= h(shrunk)),
            "the corner": y <= h(computed),
        },
        y <= h(shrunk),
    )


def stretched(power: int = 1) -> list[Any]:
    import sympy

    m, u, y = sympy.symbols("M u y", positive=True)
    rest = []
    for h in (sympy.Integer(1), y, y**2):
        ours = sympy.integrate(h.subs(y, (1 - u) * y), (y, 0, m))
        rest.append(ours - sympy.integrate(h, (y, 0, (1 - u) * m)) / (1 - u) ** power)
    return rest


def at_the_end() -> Implication:
    """p = S M, p' = S M'."""
    import z3

    p, computed, first = z3.Reals("p p' h(0)")
    u = unit()
    return Implication(
        {
            "convex": (1 - u) * p <= first,
            "M' <= (1 + u) M": computed <= (1 + u) * p,
            "S >= 0": p >= 0,
        },
        computed - (1 - u) * p <= 3 * u * first,
    )


def on_the_line() -> Implication:
    import z3

    h, p, a, after = z3.Reals("H p a H'")
    return Implication(
        {
            "H >= 0": h >= 0,
            "two roundings": near(a, p, 3, p),
            "one rounding": near(after, h + a, 1, h + a),
        },
        near(after, h + p, 5, after),
    )


def on_a_chord() -> Implication:
    import z3

    h, y, q = z3.Reals("H y q")
    return Implication(
        {"H >= 0": h >= 0, "three roundings": near(q, y - h, 4, y - h)},
        near(y, h + q, 5, y),
    )


def between() -> Implication:
    import z3

    h, y, p, a, line, chord = z3.Reals("H y p a l q")
    return Implication(
        {
            "H >= 0": h >= 0,
            "two roundings": near(a, p, 3, p),
            "one rounding": near(line, h + a, 1, h + a),
            "y is above": y >= line,
            "three roundings": near(chord, y - h, 4, size(y - h)),
            "S is steeper": p >= chord,
        },
        near(y, h + p, 5, y),
    )


def one_more() -> Implication:
    import z3

    q, h, p, after, error, first = z3.Reals("Q H p H' e F")
    return Implication(
        {
            "so far": size(q - h) <= error,
            "this corner": near(after, h + p, 5, after),
            "H' <= F": after <= first,
        },
        size(q + p - after) <= error + 5 * unit() * first,
    )


def weights(share: int = 1) -> list[Any]:
    """v = M, w = M + a or the other way round."""
    import sympy

    m, a = sympy.symbols("M a", positive=True)
    return [share * (1 - m - a / 2) + a / 2 + m - 1]


def subtracted() -> Implication:
    import z3

    y, p, a, end = z3.Reals("y p a e")
    return Implication(
        {
            "p <= y (1 + 2u)": p <= y * (1 + 2 * unit()),
            "S × g": near(a, p, 1, p),
            "y − a": near(end, y - a, 1, size(y - a)),
        },
        near(end, y - p, 3, y),
    )


def enough() -> Implication:
    import z3

    first, rest, b = z3.Reals("F rest b")
    bound = (1 - (1 + 2 * b) / 2) * first + rest
    return Implication(
        {
            "b <= 1/5": b <= z3.Q(LARGEST_B.numerator, LARGEST_B.denominator),
            "F >= 0": first >= 0,
            "rest >= 0": rest >= 0,
        },
        first <= z3.RealVal("10/3") * bound,
    )


def steep() -> Implication:
    """p = S M, q = S m."""
    import z3

    p, q, at_m, b = z3.Reals("p q h(M) b")
    return Implication(
        {
            "h(M) >= 0": at_m >= 0,
            "m <= M Λ/2": q <= p * (1 + 2 * b) / 2,
            "b <= 1/5": b <= z3.Q(LARGEST_B.numerator, LARGEST_B.denominator),
            "S >= 0": p >= 0,
        },
        p <= z3.RealVal("10/3") * (at_m + p - q),
    )


def risen() -> Implication:
    """Everything times S: x, m, m' and x − m' rounded, and the product."""
    import z3

    x, m, computed, apart, r, p = z3.Reals("x m m' a r p")
    return Implication(
        {
            "x >= 0": x >= 0,
            "x <= M": x <= p,
            "m <= M": m <= p,
            "m' near m": near(computed, m, 3, m),
            "x − m'": near(apart, x - computed, 1, size(x - computed)),
            "S × a": near(r, apart, 1, size(apart)),
        },
        near(r, x - m, 9, p),
    )


def accumulated(
    unit: Fraction = UNIT,
    corners: int = CORNERS,
    least: Fraction = Fraction(3, 10),
    margin: Fraction = MARGIN,
) -> Iterator[tuple[Fraction, Fraction]]:
    """Bernoulli's (1 − u)^k >= 1 − k u keeps the numbers short."""
    kept = 1 - (10 * corners + 22) * unit / least
    yield 1, margin * (1 - (corners + 23) * unit) * kept
    yield 1, margin * (1 - 2 * unit) * (1 - 10 * unit / least)

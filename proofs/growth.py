"""How fast the subset sums of uniform values fill an interval: one more value, mean and range.

Theorem. Let I = [−½, ½], X_1, X_2, ... independent, uniform on [−1, 1], ε <= ½. Let f_0 indicate
|z| <= ε on I, f_{t+1}(z) = max(f_t(z), f_t(z − X_{t+1})) on I, each 0 outside I, v_t = ∫_I f_t and
w_t = 1 − v_t. Where f_t(z) = 1, z is within ε of a subset sum of X_1, ..., X_t; and

    v_0 = 2ε,  E[v_{t+1} | X_1, ..., X_t] = v_t (1 + (1 − v_t)/2),  v_t <= v_{t+1} <= min(2 v_t, 1),
    E[w_{t+1} | X_1, ..., X_t] = w_t (1 + w_t)/2.

Proof. (1) By induction: if z − X is within ε of a sum s, z is within ε of X + s. (2) For z and y in
I, |z − y| <= 1: so [z − 1, z + 1], over which z − X is uniform, contains I, and
E f_t(z − X) = ½ ∫_I f_t = v_t/2. (3) max(a, b) = a + (1 − a) b for a, b in {0, 1}; so, integrating
over z, E v_{t+1} = v_t + ∫ (1 − f_t) v_t/2 = v_t + (1 − v_t) v_t/2. (4) a <= max(a, b) <= a + b,
and a shifted f_t has no more mass in I than f_t; v <= 1 since I has length 1. ∎

What is checked. (1), (2), the identities of (3) and (4) for all reals; the statement as a whole on
a lattice: I replaced by 5 points, X by 10 equally likely shifts of which every difference of two
points is one, and f_0 by any set of points.

What is not. That integrals over z and over X may be exchanged, and that they do not see a shift:
named as assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size

POINTS = 5


def steps() -> tuple[Step, ...]:
    return (
        Step("∀ z, x, s, ε: |(z − x) − s| <= ε ⟹ |z − (x + s)| <= ε", "smt", one_more_value),
        Step(
            "∀ 0 <= ε <= ½: f_0 indicates [−ε, ε], inside I, so v_0 = 2ε",
            "smt",
            start,
        ),
        Step("∀ z, y in I: z − 1 <= y <= z + 1", "smt", inclusion),
        Step(
            "∀ integrable f >= 0: E f(z − X) = ½ ∫_{z−1}^{z+1} f, ∫ E = E ∫, ∫ f(z − x) dz = ∫ f "
            "(change of variables, Tonelli, shift invariance)",
            "assumed",
        ),
        Step("∀ a, b in {0, 1}: max(a, b) = a + (1 − a) b", "smt", either),
        Step("∀ a, b >= 0: a <= max(a, b) <= a + b", "smt", between),
        Step(
            "∀ v, w = 1 − v: v + (1 − v) v/2 = v (1 + (1 − v)/2) = 1 − w (1 + w)/2",
            "symbolic",
            lambda: mean(),
            altered={"a shift finds all of f": lambda: mean(share=1)},
        ),
        Step(
            "∀ sets on the lattice: mean and range of the next one's size are those of the theorem",
            "exact",
            lambda: lattice(),
            {
                "X reaches half as far": lambda: lattice(reach=POINTS // 2),
                "X is not negative": lambda: lattice(low=0),
            },
            {"the next size is at most 3/2 of the last": lambda: lattice(most=Fraction(3, 2))},
        ),
    )


def one_more_value() -> Implication:
    import z3

    z, x, s, eps = z3.Reals("z x s eps")
    return Implication({"z − x is near s": size((z - x) - s) <= eps}, size(z - (x + s)) <= eps)


def start() -> Implication:
    import z3

    z, eps = z3.Reals("z eps")
    half = z3.RealVal("1/2")
    return Implication(
        {"|z| <= ε": size(z) <= eps, "ε <= ½": eps <= half},
        z3.And(-half <= z, z <= half, eps - (-eps) == 2 * eps),
    )


def inclusion() -> Implication:
    import z3

    z, y = z3.Reals("z y")
    half = z3.RealVal("1/2")
    return Implication(
        {
            "z >= −½": z >= -half,
            "z <= ½": z <= half,
            "y >= −½": y >= -half,
            "y <= ½": y <= half,
        },
        z3.And(z - 1 <= y, y <= z + 1),
    )


def either() -> Implication:
    import z3

    a, b = z3.Reals("a b")
    return Implication(
        {"a is 0 or 1": z3.Or(a == 0, a == 1), "b is 0 or 1": z3.Or(b == 0, b == 1)},
        larger(a, b) == a + (1 - a) * b,
    )


def between() -> Implication:
    import z3

    a, b = z3.Reals("a b")
    return Implication(
        {"a >= 0": a >= 0, "b >= 0": b >= 0},
        z3.And(a <= larger(a, b), larger(a, b) <= a + b),
    )


def larger(a: Any, b: Any) -> Any:
    """max(a, b)."""
    import z3

    return z3.If(a >= b, a, b)


def mean(share: Fraction | int = Fraction(1, 2)) -> list[Any]:
    import sympy

    v = sympy.symbols("v")
    w = 1 - v
    claimed = v * (1 + (1 - v) / 2)
    return [v + (1 - v) * v * sympy.Rational(share) - claimed, 1 - w * (1 + w) / 2 - claimed]


def lattice(
    reach: int = POINTS, low: int | None = None, most: Fraction = Fraction(2)
) -> Iterator[tuple[Fraction, Fraction]]:
    """Every set of points as a bit mask; X is uniform on 2 · reach shifts from `low` on."""
    first = -reach if low is None else low
    for points in range(2**POINTS):
        v = Fraction(points.bit_count(), POINTS)
        sizes = [
            Fraction((points | shifted(points, x)).bit_count(), POINTS)
            for x in range(first, first + 2 * reach)
        ]
        average = sum(sizes) / len(sizes)
        claimed = v * (1 + (1 - v) / 2)
        yield from ((average, claimed), (claimed, average))
        yield from ((v, min(sizes)), (max(sizes), min(most * v, Fraction(1))))


def shifted(points: int, x: int) -> int:
    """The set moved by x, without what leaves the interval."""
    moved = points << x if x >= 0 else points >> -x
    return moved & (2**POINTS - 1)

"""Of all sets in an interval one at its end grows least, for every convex measure of growth.

Theorem. Let J be an interval of length Λ, C a measurable subset, W = J \\ C, v = |C|, w = |W|,
N(x) = |(C + x) ∩ W|, T(x) = min(x, v, w, Λ − x) on [0, Λ] and 0 elsewhere. Then for all r, t > 0

    ∫_{−r}^r min(N(x), t) dx >= ∫_0^r min(T(x), t) dx.                                           (1)

Hence, if X has off 0 at least a symmetric density f that falls in |x|, with K(y) = ∫_0^y f, every
convex falling h has E h(N(X)) <= h(0) − ∫_0^Λ f(x) (h(0) − h(T(x))) dx, and that is
h(0) + ∫_0^M h'(y) (K(Λ − y) − K(y)) dy with M = min(v, w). T is N for the interval C at the left
end of J: nothing better can be said.

Proof. Let t <= M; beyond M both sides of (1) stay. (A) r >= Λ: by Riesz's inequality ∫_E N <=
∫_{E*} N* for all E, where N* belongs to centred intervals of lengths v and w; with E = {N > t}
and ∫ N = ∫ N* = v w, ∫ min(N, t) >= ∫ min(N*, t), and N*(x) = T(x + Λ/2). (B) t = M: then
min(N, t) = N, and (1) is the theorem of `proofs.end_interval` for f = 1 on [−r, r]. (C) r > Λ − t:
two points p < q of J with q − p > r are a pair of C × W or of W × C, not both, so beyond r there is
at most ∫_r^Λ (Λ − x) dx of ∫ N, which is what ∫ min(T, t) has there; subtract from (A). (D) r < t:
(1) for t = r says more. (E) t <= r <= Λ − t: the right-hand side is ∫_0^r min(x, t) dx. Look at
windows J' of J, with C' = C ∩ J', W' = W ∩ J': N' <= N. If one of length r + t has |C'| >= t and
|W'| >= t, (C) for J' gives it. If none has, |C'| < t for all of them, or |W'| < t for all, since
|C'| moves continuously; say |C'| < t. A window that grows from r + t to J has |C'| = t < v at some
length q > r + t; then |W'| = q − t > r and N' <= t, and (B) for J' gives it.

f is, up to a part beyond Λ, a mixture of f = 1 on [−r, r], and h(0) − h(y) one of the functions
min(y, t): multiply (1) and add up. On (0, M) T runs through y once up and once down. ∎

What is checked. Riesz's consequence and every case by itself, for all reals; (1) exactly for all
unions of 8 cells, at whole and half r and t; the mixture for h with two kinks; the last formula for
polynomial f, by which the rest follow; that it is at least h(0)/2.

What is not. Riesz's inequality, the intermediate value theorem and what else is named as assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size
from proofs.rearrangement import smaller

CELLS = 8
HALF = Fraction(1, 2)


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ E of finite measure: ∫_E N <= ∫_{E*} N*, and ∫ N = ∫ N* = v w (F. Riesz 1930)",
            "assumed",
        ),
        Step(
            "∀ t, e = |{N > t}|: a = ∫ of N over it, at most that of N* over an interval of length "
            "e, hence a − t e <= ∫ (N* − t)⁺: ∫ min(N, t) >= ∫ min(N*, t)",
            "smt",
            majorised,
        ),
        Step(
            "∀ 0 <= x <= Λ: min(x, Λ − x) = Λ/2 − |x − Λ/2|, so T is N*, moved by Λ/2",
            "smt",
            moved,
            altered={"it is Λ − |x − Λ/2|": lambda: moved(share=1)},
        ),
        Step(
            "∀ p < q: they are not both a pair of C × W and of W × C, as C and W are disjoint; "
            "the pairs in J with q − p > r have measure (Λ − r)²/2",
            "assumed",
        ),
        Step(
            "∀ r <= Λ: ∫_r^Λ (Λ − x) dx = (Λ − r)²/2",
            "symbolic",
            lambda: far(),
            altered={"it is (Λ − r)²": lambda: far(share=1)},
        ),
        Step(
            "∀ t <= M, Λ − t < r <= x <= Λ: min(T(x), t) = Λ − x",
            "smt",
            case_c,
        ),
        Step("∀ x <= r < t <= M: min(T(x), t) = min(T(x), r) = x", "smt", case_d),
        Step("∀ t <= M, 0 <= x <= r <= Λ − t: min(T(x), t) = min(x, t)", "smt", case_e),
        Step(
            "∀ a window of length q = r + t with |C'|, |W'| >= t: min(T'(x), t) = min(x, t) for "
            "0 <= x <= r, and q − x <= t beyond r",
            "smt",
            window,
        ),
        Step(
            "∀ a window of length q > r + t with |C'| = t, r >= t: |W'| > r, and T'(x) = min(x, t) "
            "for 0 <= x <= r",
            "smt",
            grown,
        ),
        Step(
            "∀ continuous |C'|, t <= r: if no window of length r + t has t <= |C'| <= r, all have "
            "less than t or all more than r; a growing one takes every value between",
            "assumed",
        ),
        Step(
            "∀ 0 < v, w, x in J, y in a window J' of J, y in W', y − x in C': y is in W, y − x in "
            "C, so N' <= N (monotony of measures)",
            "assumed",
        ),
        Step(
            "∀ unions C of 8 cells, r and t whole or half: ∫_{−r}^r min(N, t) >= ∫_0^r min(T, t)",
            "exact",
            lambda: cells(),
            {"X is not negative": lambda: cells(left=False)},
            {
                "T is min(x, v, w)": lambda: cells(closing=False),
                "min(N(x) + N(−x), t) is integrated": lambda: cells(together=True),
            },
        ),
        Step(
            "∀ slopes s_1 >= s_2 >= s_3 >= 0 of h(0) − h with kinks at a < b: h(0) − h(y) = "
            "(s_1 − s_2) min(y, a) + (s_2 − s_3) min(y, b) + s_3 y",
            "smt",
            mixture,
        ),
        Step(
            "∀ f = 1, x, x², t <= Λ/2: ∫_0^Λ f(x) min(x, t, Λ − x) dx = ∫_0^t (K(Λ − y) − K(y)) dy",
            "symbolic",
            lambda: turned(),
            altered={"it is ∫_0^t (K(Λ) − K(y)) dy": lambda: turned(back=0)},
        ),
        Step(
            "∀ f = 1, x, x², y: the derivatives of Φ(Λ) − Φ(Λ − y) − Φ(y), Φ' = K, and of "
            "K(Λ − y) − K(y) are K(Λ − y) − K(y) and −f(Λ − y) − f(y)",
            "symbolic",
            lambda: primitive(),
            altered={"Φ(y) is added": lambda: primitive(sign=-1)},
        ),
        Step(
            "∀ h >= 0 falling, K(Λ) <= ½: h(0) − ∫_0^Λ f (h(0) − h(T)) >= h(0)/2",
            "smt",
            half,
        ),
    )


def majorised() -> Implication:
    import z3

    total, over, star, e, t, excess = z3.Reals("∫N ∫_E ∫_E* e t excess")
    return Implication(
        {
            "Riesz for E": over <= star,
            "∫ (N* − t)⁺ is the largest": star - t * e <= excess,
        },
        total - (over - t * e) >= total - excess,
    )


def moved(share: int = 2) -> Implication:
    import z3

    x, length = z3.Reals("x Λ")
    return Implication({}, smaller(x, length - x) == length / share - size(x - length / 2))


def far(share: int = 2) -> list[Any]:
    import sympy

    x, r, length = sympy.symbols("x r Lambda", positive=True)
    found = sympy.integrate(length - x, (x, r, length))
    return [sympy.expand(found - (length - r) ** 2 / share)]


def ends(x: Any, v: Any, w: Any, length: Any) -> Any:
    """T(x) inside [0, Λ]."""
    return smaller(smaller(x, length - x), smaller(v, w))


def case_c() -> Implication:
    import z3

    x, v, w, r, t = z3.Reals("x v w r t")
    return Implication(
        {"t <= v": t <= v, "t <= w": t <= w, "r > Λ − t": r > v + w - t, "x >= r": x >= r},
        smaller(ends(x, v, w, v + w), t) == v + w - x,
    )


def case_d() -> Implication:
    import z3

    x, v, w, r, t = z3.Reals("x v w r t")
    return Implication(
        {"t <= v": t <= v, "t <= w": t <= w, "r < t": r < t, "x <= r": x <= r},
        z3.And(
            smaller(ends(x, v, w, v + w), t) == x,
            smaller(ends(x, v, w, v + w), r) == x,
        ),
    )


def case_e() -> Implication:
    import z3

    x, v, w, r, t = z3.Reals("x v w r t")
    return Implication(
        {"t <= v": t <= v, "t <= w": t <= w, "r <= Λ − t": r <= v + w - t, "x <= r": x <= r},
        smaller(ends(x, v, w, v + w), t) == smaller(x, t),
    )


def window() -> Implication:
    import z3

    x, v, w, r, t = z3.Reals("x v' w' r t")
    return Implication(
        {
            "|C'| >= t": v >= t,
            "|W'| >= t": w >= t,
            "length r + t": v + w == r + t,
        },
        z3.And(
            z3.Implies(x <= r, smaller(ends(x, v, w, v + w), t) == smaller(x, t)),
            z3.Implies(x >= r, v + w - x <= t),
        ),
    )


def grown() -> Implication:
    import z3

    x, w, r, t = z3.Reals("x w' r t")
    return Implication(
        {"longer than r + t": t + w > r + t, "x <= r": x <= r},
        z3.And(w > r, ends(x, t, w, t + w) == smaller(x, t)),
    )


def cells(
    left: bool = True, closing: bool = True, together: bool = False
) -> Iterator[tuple[Fraction, Fraction]]:
    for union in range(1, 2**CELLS - 1):
        inside = [bool(union >> k & 1) for k in range(CELLS)]
        v = sum(inside)
        right, back = [], []  # N at 0, 1, …, CELLS, to either side: linear between
        for x in range(CELLS + 1):
            pairs = [(inside[k], inside[k + x]) for k in range(CELLS - x)]
            right.append(pairs.count((True, False)))
            back.append(pairs.count((False, True)))
        shape = [min(x, v, CELLS - v, CELLS - x if closing else x) for x in range(CELLS + 1)]
        for t in (HALF, Fraction(1), 3 * HALF, Fraction(2), Fraction(3), Fraction(4)):
            grown_by = [cut_area(shape, t)]
            sides = [[a + b for a, b in zip(right, back, strict=True)]] if together else [right]
            sides += [back] if left and not together else []
            found = [cut_area(side, t) for side in sides]
            for k in range(1, 2 * CELLS + 1):
                yield grown_by[0][k], sum((area[k] for area in found), Fraction(0))


def cut_area(levels: list[int], t: Fraction) -> list[Fraction]:
    """∫_0^{k/2} min(level, t), k = 0, 1, …, for levels at 0, 1, … and linear between."""
    fine = [Fraction(levels[0])]
    for a, b in pairwise(levels):
        fine += [Fraction(a + b, 2), Fraction(b)]
    areas = [Fraction(0)]
    for a, b in pairwise(fine):
        low, high = min(a, b), max(a, b)
        area = (a + b) / 4
        if low >= t:
            area = t / 2
        elif high > t:  # above t is a triangle
            area -= (high - t) ** 2 / (high - low) / 4
        areas.append(areas[-1] + area)
    return areas


def mixture() -> Implication:
    import z3

    y, a, b, one, two, three = z3.Reals("y a b s_1 s_2 s_3")
    value = z3.If(
        y <= a,
        one * y,
        z3.If(y <= b, one * a + two * (y - a), one * a + two * (b - a) + three * (y - b)),
    )
    mixed = (one - two) * smaller(y, a) + (two - three) * smaller(y, b) + three * y
    return Implication({"a <= b": a <= b}, value == mixed)


def turned(back: int = 1) -> list[Any]:
    import sympy

    x, y, t, length = sympy.symbols("x y t Lambda", positive=True)
    rest = []
    for power in range(3):
        f = x**power
        mass = sympy.integrate(f, (x, 0, y))
        found = (
            sympy.integrate(f * x, (x, 0, t))
            + sympy.integrate(f * t, (x, t, length - t))
            + sympy.integrate(f * (length - x), (x, length - t, length))
        )
        claimed = sympy.integrate(mass.subs(y, length - back * y) - mass, (y, 0, t))
        rest.append(sympy.expand(found - claimed))
    return rest


def primitive(sign: int = 1) -> list[Any]:
    import sympy

    y, length, t = sympy.symbols("y Lambda t", positive=True)
    rest = []
    for power in range(3):
        mass = sympy.integrate(t**power, t)
        phi = sympy.integrate(mass, t)
        gained = mass.subs(t, length - y) - mass.subs(t, y)
        area = phi.subs(t, length) - phi.subs(t, length - y) - sign * phi.subs(t, y)
        rest.append(sympy.expand(sympy.diff(area, y) - gained))
        rest.append(sympy.expand(sympy.diff(gained, y) + (length - y) ** power + y**power))
    return rest


def half() -> Implication:
    import z3

    top, lost, mass = z3.Reals("h(0) lost K(Λ)")
    return Implication(
        {
            "h >= 0, so the integral is at most K(Λ) h(0)": lost <= mass * top,
            "K(Λ) <= ½": mass <= z3.RealVal("1/2"),
            "h(0) >= 0": top >= 0,
        },
        top - lost >= top / 2,
    )

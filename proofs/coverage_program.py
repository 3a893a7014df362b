"""The dynamic program for random subset sums: its values bound the chance of failing.

Theorem. Let ε, b > 0, ε + b < ½, Λ = 1 + 2b, J = [−½ − b, ½ + b] and X_1, ..., X_n independent,
uniform on [−1, 1]. Let g_0 < ... < g_m with g_0 <= 2ε and g_m > 1; G_0(g_i) = 1 for i < m, and
G_t(g_m) = 0. For i < m, v = g_i, w = Λ − v and M = min(v, w) let G_{t+1}(v) be at least G_t(v), or
at least

    (1 − Λ/2) h(0) + (|v − w|/2) h(M) + ∫_0^M h + s b²

for some h >= 0 on [0, M], convex, falling, piecewise linear, of steepness at most s, with
h >= G_t(g_k) on [0, M] ∩ [g_k − v, g_{k+1} − v) for all k < m. If G_t falls along the grid for each
t, then with probability at least 1 − G_n(g_0) every z in [−½, ½] is within ε + b of a subset sum of
X_1, ..., X_n.

Proof. Let C_0 = [−ε, ε], C_{t+1} = C_t ∪ ((C_t + X_{t+1}) ∩ J): points of C_t lie within ε of a
subset sum. (1) If z in [−½, ½] is farther than ε + b from all of them, [z − b, z + b] lies in J and
misses C_n, so |C_n| <= Λ − 2b = 1. (2) Let V_t(v) be the supremum, over measurable C in J with |C|
>= v, of the chance that |C_t| <= 1 when C_0 = C. It falls in v, is at most 1, V_0(v) = 0 for v > 1,
and V_{t+1} <= V_t as sets only grow. A larger C has larger C_t, so sets with |C| = v suffice; after
one more value |C_1| = v + N(X), N(X) = |(C + X) ∩ (J \\ C)|, hence V_{t+1}(v) <= sup E V_t(v +
N(X)). (3) If V_t <= G_t on the grid, then on [g_k, g_{k+1}) V_t <= V_t(g_k) <= G_t(g_k), and V_t =
0 from g_m on: h >= V_t(v + ·), and `proofs.rearrangement` bounds E h(N(X)). So V_{t+1} <= G_{t+1}
on the grid. (4) The chance of failing is at most V_n(2ε) <= V_n(g_0) <= G_n(g_0).

The h of the program. (5) As G_t falls and h does, the corners (g_{k+1} − v, G_t(g_k)), the first at
0 with G_t(v) and the last at M, suffice. (6) Leftwards from a corner, with a steepness S to its
right: at distance d left of height H, height max(y, H + S d) and steepness max(S, (y − H)/d) give
the smallest convex function above the corners y; a line no less steep than what follows it and than
every chord to a corner left of it may replace the left end; where a falling h meets 0 it may go on
as 0, with area y²/(2S) from height y on. (7) For a line, means are enough: the bound is its height
at v w/2 plus s b². ∎

What is checked. Each step for all reals; that V_t falls, by one boolean a point, and exactly on a
lattice of 6 points, with the recursion (2) there.

What is not. What is named as assumed. The rounding of the program is `proofs.coverage_rounding`;
two of its curves are certified, without trust in floats, in `proofs.coverage_numbers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size, top
from proofs.growth import larger, one_more_value
from proofs.rearrangement import smaller

POINTS = 6
VALUES = 4


def steps() -> tuple[Step, ...]:
    return (
        Step("∀ |z| <= ε < ½ + b: z in J, so C_0 has length 2ε", "smt", start),
        Step("∀ z, x, s, ε: |(z − x) − s| <= ε ⟹ |z − (x + s)| <= ε", "smt", one_more_value),
        Step(
            "∀ |z| <= ½, |y − z| <= b, |z − s| > ε + b: y in J and |y − s| > ε",
            "smt",
            uncovered,
        ),
        Step("∀ b, u >= 2b uncovered of Λ = 1 + 2b: at most 1 is covered", "smt", at_most_one),
        Step(
            "∀ z: c(z) ⟹ c'(z), c(z − x) ⟹ c'(z − x): what is covered next is covered next by more",
            "smt",
            monotone,
        ),
        Step(
            "∀ measurable C with |C| >= v: some measurable C' in C has |C'| = v; "
            "|C ∪ ((C + x) ∩ J)| = |C| + |(C + x) ∩ (J \\ C)|; means respect <=, and given X_1 "
            "the later values are as before",
            "assumed",
        ),
        Step(
            "∀ sets on 6 points, t <= 4: the chance that a point is left falls as the set grows; "
            "its largest value V_t over sets of v points obeys V_{t+1} <= sup E V_t(v + N) and "
            "V_{t+1} <= V_t",
            "exact",
            lambda: lattice(),
            {"a value moves the set and keeps none of it": lambda: lattice(keep=False)},
            {"the least chance obeys it": lambda: lattice(least=True)},
        ),
        Step(
            "∀ g_k <= x < g_{k+1}: V(x) <= V(g_k) <= G(g_k) <= h(g_{k+1}) <= h(x), "
            "for falling V and h",
            "smt",
            cell,
        ),
        Step(
            "∀ x >= g_k: V(x) <= V(g_k) <= G(g_k) <= h(M) <= h(x), the last corner moved to M",
            "smt",
            last_cell,
        ),
        Step(
            "∀ H' = max(y, H + S d), S' = max(S, (y − H)/d): S' >= S, H' = H + S' d, H' >= y, "
            "and a convex function through H, of steepness >= S on, is >= H' if it is >= y",
            "smt",
            one_more_corner,
        ),
        Step(
            "∀ λ >= S, λ >= (y − H)/d: the line H + λ d is above y, and convex with what follows",
            "smt",
            replaced,
        ),
        Step(
            "∀ x, y, S >= 0: (y − S x)⁺ falls, and lies below its chords",
            "smt",
            continued,
        ),
        Step(
            "∀ y, S, H, d: ∫_0^{y/S} (y − S x) dx = y²/(2S), "
            "∫_0^d (H + S x) dx = d (H + H + S d)/2",
            "symbolic",
            lambda: areas(),
            altered={"the triangle has area y²/S": lambda: areas(share=1)},
        ),
        Step(
            "∀ lines h, Λ = v + w, M = min(v, w): the bound is h(v w/2) + s b²",
            "symbolic",
            lambda: height(),
            altered={"it is h(M/2) + s b²": lambda: height(mean=1)},
        ),
        Step(
            "∀ V' <= V <= G, V' <= B, any R: V' <= max(min(G, B), R), so it may be raised to fall",
            "smt",
            stored,
        ),
    )


def start() -> Implication:
    import z3

    z, eps, b = z3.Reals("z eps b")
    end = z3.RealVal("1/2") + b
    return Implication(
        {"|z| <= ε": size(z) <= eps, "ε <= ½ + b": eps <= end},
        z3.And(-end <= z, z <= end, eps - (-eps) == 2 * eps),
    )


def uncovered() -> Implication:
    import z3

    z, y, s, eps, b = z3.Reals("z y s eps b")
    half = z3.RealVal("1/2")
    return Implication(
        {"|z| <= ½": size(z) <= half, "near z": size(y - z) <= b, "far": size(z - s) > eps + b},
        z3.And(size(y) <= half + b, size(y - s) > eps),
    )


def at_most_one() -> Implication:
    import z3

    v, missed, b = z3.Reals("v u b")
    return Implication({"u >= 2b": missed >= 2 * b, "disjoint": v + missed <= 1 + 2 * b}, v <= 1)


def monotone() -> Implication:
    import z3

    here, more, moved, more_moved = z3.Bools("c c' d d'")
    return Implication(
        {"c ⟹ c'": z3.Implies(here, more), "d ⟹ d'": z3.Implies(moved, more_moved)},
        z3.Implies(z3.Or(here, moved), z3.Or(more, more_moved)),
    )


@cache
def chances(covered: int, values: int, keep: bool) -> int:
    """In how many ways so many shifts, each from −5 to 5, leave a point of 6."""
    everything = 2**POINTS - 1
    if values == 0:
        return int(covered != everything)
    total = 0
    for x in range(1 - POINTS, POINTS):
        moved = (covered << x if x >= 0 else covered >> -x) & everything
        total += chances(covered | moved if keep else moved, values - 1, keep)
    return total


def lattice(keep: bool = True, least: bool = False) -> Iterator[tuple[Fraction, Fraction]]:
    everything, count = 2**POINTS - 1, 2 * POINTS - 1
    worst = min if least else max

    def chance(covered: int, t: int) -> Fraction:
        return Fraction(chances(covered, t, keep), count**t)

    def bound(v: int, t: int) -> Fraction:
        return worst(chance(c, t) for c in range(everything + 1) if c.bit_count() >= v)

    for t in range(VALUES + 1):
        v_t = [bound(v, t) for v in range(POINTS + 1)]
        for covered in range(everything + 1):
            for point in range(POINTS):
                yield chance(covered | 1 << point, t), chance(covered, t)
            gains = [
                ((covered << x if x >= 0 else covered >> -x) & everything & ~covered).bit_count()
                for x in range(1 - POINTS, POINTS)
            ]
            v = covered.bit_count()
            mean = sum((v_t[v + n] for n in gains), Fraction(0)) / count
            yield chance(covered, t + 1), mean
            yield chance(covered, t + 1), v_t[v]


def cell() -> Implication:
    import z3

    before, here, bound, at_end, h = z3.Reals("V(g_k) V(x) G(g_k) h(g_{k+1}) h(x)")
    return Implication(
        {
            "V falls": here <= before,
            "V <= G on the grid": before <= bound,
            "the corner": bound <= at_end,
            "h falls": at_end <= h,
        },
        here <= h,
    )


def last_cell() -> Implication:
    """The corner before it may be dropped too: G falls along the grid."""
    import z3

    here, bound, previous, at_m, h = z3.Reals("V(x) G(g_k) G(g_{k−1}) h(M) h(x)")
    return Implication(
        {
            "V <= G(g_k) on the cell": here <= bound,
            "G falls": bound <= previous,
            "the corner": previous <= at_m,
            "h falls": at_m <= h,
        },
        z3.And(here <= h, bound <= h),
    )


def one_more_corner() -> Implication:
    import z3

    y, height, steepness, d, other, slope = z3.Reals("y H S d f σ")
    after = larger(y, height + steepness * d)
    steeper = larger(steepness, (y - height) / d)
    convex = z3.And(other == height + slope * d, slope >= steepness, other >= y)
    return Implication(
        {"d > 0": d > 0},
        z3.And(
            steeper >= steepness,
            after == height + steeper * d,
            after >= y,
            z3.Implies(convex, other >= after),
        ),
    )


def replaced() -> Implication:
    import z3

    y, height, steepness, d, line = z3.Reals("y H S d λ")
    return Implication(
        {
            "d > 0": d > 0,
            "above the chord": line >= (y - height) / d,
            "no less steep": line >= steepness,
        },
        z3.And(height + line * d >= y, line >= steepness),
    )


def continued() -> Implication:
    """(·)⁺ of a line is the larger of two lines, so it lies below its chords."""
    import z3

    y, steepness, a, c, share = z3.Reals("y S a c t")

    def h(x: Any) -> Any:
        return top(y - steepness * x)

    return Implication(
        {"S >= 0": steepness >= 0, "t >= 0": share >= 0, "t <= 1": share <= 1, "a <= c": a <= c},
        z3.And(h(c) <= h(a), h((1 - share) * a + share * c) <= (1 - share) * h(a) + share * h(c)),
    )


def areas(share: Any = Fraction(1, 2)) -> list[Any]:
    import sympy

    y, s, h, d, x = sympy.symbols("y S H d x", positive=True)
    triangle = sympy.integrate(y - s * x, (x, 0, y / s)) - sympy.Rational(share) * y**2 / s
    return [triangle, sympy.integrate(h + s * x, (x, 0, d)) - d * (h + (h + s * d)) / 2]


def height(mean: Any = None) -> list[Any]:
    """v = M, w = M + a; the same with v and w exchanged."""
    import sympy

    m, a, h, s, y = sympy.symbols("M a h s y", positive=True)
    half, line = m + a / 2, h - s * y
    bound = (1 - half) * h + a / 2 * line.subs(y, m) + sympy.integrate(line, (y, 0, m))
    return [bound - line.subs(y, m * (m + a) / 2 if mean is None else m / 2)]


def stored() -> Implication:
    import z3

    after, before, g, b, raised = z3.Reals("V' V G B R")
    return Implication(
        {"V' <= V": after <= before, "V <= G": before <= g, "V' <= B": after <= b},
        after <= larger(smaller(g, b), raised),
    )

"""How unevenly one more value may add to a covered set: no more so than for centred intervals.

Theorem. Let 0 <= b < ½, J = [−½ − b, ½ + b], Λ = 1 + 2b, C a measurable subset of J, W = J \\ C,
v = |C|, w = Λ − v, M = min(v, w), X uniform on [−1, 1] and N(x) = |(C + x) ∩ W|. Let C* and W* be
the centred intervals of lengths v and w, and N*(x) = |(C* + x) ∩ W*|. For every convex falling
piecewise linear h on [0, M] of steepness at most s,

    E h(N(X)) <= E h(N*(X)) + s b² = (1 − Λ/2) h(0) + (|v − w|/2) h(M) + ∫_0^M h + s b².

Proof. (1) ∫ N(x) dx = |C| |W| = v w, over all real x. Shifts beyond 1 have the pairs (z, y) of
W × C with |z − y| > 1: they lie in two corners of J × J, triangles of area 2b², and not both (z, y)
and (y, z) are in W × C; so their measure is at most 2b², and E N(X) >= v w/2 − b². (2) Let k > 0
and E = {N > k}. By Riesz's inequality ∫_E N <= ∫_{E*} N*, so ∫ (N − k)⁺ = ∫_E (N − k) <=
∫_{E*} (N* − k) <= ∫ (N* − k)⁺. (3) N*(x) = min(v, w, Λ/2 − |x|)⁺, which is 0 beyond Λ/2 < 1: so
E N*(X) = v w/2, and E (N(X) − k)⁺ <= ½ ∫ (N − k)⁺ <= ½ ∫ (N* − k)⁺ = E (N*(X) − k)⁺. (4) h(y) =
h(0) − s_0 y + Σ c_k (y − k)⁺ with s_0 <= s and all c_k >= 0; take means. (5) N*(X) exceeds k in
[0, M) for |X| < Λ/2 − k: it is 0 with probability 1 − Λ/2, M with probability |v − w|/2, and has
density 1 between. ∎

What is checked. Each step for all reals, the sums over hinges by one more hinge; the theorem for a
line and for hinges, with all that is assumed, exactly for every set that is a union of 9 cells.

What is not. Riesz's inequality; the theorems of measure and integration that are named as assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size, top
from proofs.growth import larger

CELLS = 9


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ measurable C, W: ∫ N = |C| |W|, ½ ∫_{−1}^{1} N is half the measure of "
            "{(z, y) in W × C: |z − y| <= 1} (Tonelli); N <= min(|C|, |W|)",
            "assumed",
        ),
        Step("∀ z, y, C, W = J \\ C: not both (z, y) and (y, z) lie in W × C", "smt", one_order),
        Step(
            "∀ z, y in J with z − y > 1: −½ − b <= y <= −½ + b and y + 1 < z <= ½ + b",
            "smt",
            corner,
        ),
        Step(
            "∀ b > 0: that corner has area 2b²",
            "symbolic",
            lambda: triangle(),
            altered={"it has area b²": lambda: triangle(area=1)},
        ),
        Step("∀ sets: (z, y) -> (y, z) keeps the measure; disjoint ones add up", "assumed"),
        Step(
            "∀ D, its mirror image of the same measure, together at most 4b²: |D| <= 2b²; "
            "so E N >= v w/2 − b²",
            "smt",
            beyond,
        ),
        Step(
            "∀ measurable E, C, W of finite measure: ∫_E |(C + x) ∩ W| dx <= "
            "∫_{E*} |(C* + x) ∩ W*| dx (F. Riesz 1930, Sur une inégalité intégrale)",
            "assumed",
        ),
        Step(
            "∀ n, k, e in {0, 1}: e (n − k) <= (n − k)⁺, with equality where e says n > k",
            "smt",
            hinge,
        ),
        Step(
            "∀ sets and k: ∫ (N − k)⁺ = ∫_E N − k |E| <= ∫_{E*} N* − k |E*| <= ∫ (N* − k)⁺",
            "smt",
            compared,
        ),
        Step("∀ f <= g: ∫ f <= ∫ g; ∫ and E are linear", "assumed"),
        Step(
            "∀ v, w, x: [x − v/2, x + v/2] and [−w/2, w/2] meet in min(v, w, (v + w)/2 − |x|)⁺",
            "smt",
            lambda: overlap(),
            altered={"the corner is at Λ − |x|": lambda: overlap(corner=1)},
        ),
        Step(
            "∀ 0 <= k < min(v, w): that exceeds k for |x| < (v + w)/2 − k only",
            "smt",
            exceeds,
        ),
        Step("∀ b < ½, v + w = 1 + 2b: (v + w)/2 < 1, so all of N* is seen by X", "smt", inside),
        Step(
            "∀ M, a = |v − w|, 0 <= k <= M, h = 1, y, (y − k)⁺: ½ ∫_{−1}^{1} h(N*) = "
            "(1 − Λ/2) h(0) + (a/2) h(M) + ∫_0^M h",
            "symbolic",
            lambda: law(),
            {"X is uniform on [−2, 2]": lambda: law(end=2)},
            {"N* has no atom at M": lambda: law(atom=0)},
        ),
        Step(
            "∀ M, a, k: E (N* − k)⁺ = (a/2)(M − k) + (M − k)²/2, at k = 0 v w/2",
            "symbolic",
            lambda: hinges(),
            altered={"E N* = v w": lambda: hinges(factor=1)},
        ),
        Step(
            "∀ s >= s', k: a line of steepness s, (s − s')(y − k)⁺ added, has steepness s' from k "
            "on and is unchanged up to k; s − s' >= 0",
            "smt",
            one_more_kink,
        ),
        Step(
            "∀ h = h_0 − s_0 y + Σ c (y − k)⁺: E h(N) <= E h(N*) + s b², by one more hinge",
            "smt",
            one_more_hinge,
        ),
        Step(
            "∀ h_0, s_0 <= s, E N >= E N* − b²: h_0 − s_0 E N <= h_0 − s_0 E N* + s b²",
            "smt",
            line,
        ),
        Step(
            "∀ unions C of 9 cells, b = 1 cell, k: ∫ N over |x| <= 1 is at least v w − 2b², and "
            "∫ (N − k)⁺ over it at most |v − w| (M − k) + (M − k)²",
            "exact",
            lambda: cells(),
            {"C itself is not taken away": lambda: cells(left=1)},
            {
                "nothing is lost beyond 1": lambda: cells(lost=0),
                "N* has no atom at M": lambda: cells(flat=0),
            },
        ),
    )


def one_order() -> Implication:
    import z3

    z, y = z3.Bools("z_in_C y_in_C")
    first, swapped = z3.And(z3.Not(z), y), z3.And(z3.Not(y), z)
    return Implication({"(z, y) in W × C": first}, z3.Not(swapped))


def corner() -> Implication:
    import z3

    z, y, b = z3.Reals("z y b")
    end = z3.RealVal("1/2") + b
    return Implication(
        {"z <= ½ + b": z <= end, "y >= −½ − b": y >= -end, "z − y > 1": z - y > 1},
        z3.And(-end <= y, y <= b - z3.RealVal("1/2"), y + 1 < z, z <= end),
    )


def triangle(area: int = 2) -> list[Any]:
    import sympy

    b, y = sympy.symbols("b y", positive=True)
    half = sympy.Rational(1, 2)
    return [sympy.integrate(half + b - (y + 1), (y, -half - b, -half + b)) - area * b**2]


def beyond() -> Implication:
    import z3

    d, mirrored, b, mean, both = z3.Reals("D D' b mean vw")
    return Implication(
        {
            "two corners": d + mirrored <= 4 * b * b,
            "mirrored": d == mirrored,
            "the rest is seen": mean == (both - d) / 2,
        },
        z3.And(d <= 2 * b * b, mean >= both / 2 - b * b),
    )


def hinge() -> Implication:
    import z3

    n, k, e = z3.Reals("n k e")
    return Implication(
        {"e is 0 or 1": z3.Or(e == 0, e == 1)},
        z3.And(
            e * (n - k) <= top(n - k),
            z3.Implies((e == 1) == (n > k), e * (n - k) == top(n - k)),
        ),
    )


def compared() -> Implication:
    import z3

    a, b, over_e, over_star, k, e, star = z3.Reals("A B R R* k E E*")
    return Implication(
        {
            "E = {N > k}": a == over_e - k * e,
            "Riesz": over_e <= over_star,
            "|E*| = |E|": e == star,
            "E* is some set": over_star - k * star <= b,
        },
        a <= b,
    )


def cells(
    lost: int = 2, flat: int = 1, shifts: int = CELLS - 2, left: int = 0
) -> Iterator[tuple[Fraction, Fraction]]:
    """J is 9 cells of length 1 and C a union of cells, so b = 1 and X is uniform on [−7, 7]. N is
    linear between whole shifts; the law of N* is that of the theorem, times 14."""
    everything = 2**CELLS - 1
    for covered in range(everything + 1):
        v = covered.bit_count()
        uncovered = everything & ~covered if left == 0 else everything
        m, a = min(v, CELLS - v), abs(CELLS - 2 * v)
        sizes = [
            ((covered << x if x >= 0 else covered >> -x) & uncovered).bit_count()
            for x in range(-shifts, shifts + 1)
        ]
        yield Fraction(v * (CELLS - v) - lost), area(sizes, Fraction(0))
        for k in (Fraction(i, 3) for i in range(1, 3 * m)):
            yield area(sizes, k), flat * a * (m - k) + (m - k) ** 2


def area(sizes: Sequence[int], k: Fraction) -> Fraction:
    """∫ (N − k)⁺ of the polygon with these values at whole numbers."""
    total = Fraction(0)
    for p, q in pairwise(sizes):
        low, high = min(p, q), max(p, q)
        if low >= k:
            total += Fraction(p + q, 2) - k
        elif high > k:
            total += (high - k) ** 2 / (2 * (high - low))
    return total


def overlap(corner: Any = None) -> Implication:
    import z3

    v, w, x = z3.Reals("v w x")
    start, stop = larger(x - v / 2, -w / 2), smaller(x + v / 2, w / 2)
    share = z3.RealVal("1/2") if corner is None else corner
    return Implication({}, top(stop - start) == trapezoid(v, w, x, share))


def trapezoid(v: Any, w: Any, x: Any, share: Any) -> Any:
    """min(v, w, share (v + w) − |x|)⁺."""
    return top(smaller(smaller(v, w), share * (v + w) - size(x)))


def smaller(a: Any, b: Any) -> Any:
    """min(a, b)."""
    import z3

    return z3.If(a <= b, a, b)


def exceeds() -> Implication:
    import z3

    v, w, x, k = z3.Reals("v w x k")
    return Implication(
        {"k >= 0": k >= 0, "k < min(v, w)": k < smaller(v, w)},
        (trapezoid(v, w, x, z3.RealVal("1/2")) > k) == (size(x) < (v + w) / 2 - k),
    )


def inside() -> Implication:
    import z3

    v, w, b = z3.Reals("v w b")
    return Implication(
        {"b < ½": b < z3.RealVal("1/2"), "v + w = Λ": v + w == 1 + 2 * b}, (v + w) / 2 < 1
    )


def law(end: int = 1, atom: int = 1) -> list[Any]:
    """v = M, w = M + a, the other way round being the same; Λ/2 = M + a/2."""
    import sympy

    m, a, k, y, x = sympy.symbols("M a k y x", positive=True)
    half = m + a / 2
    gone, flat = 1 - half, atom * a / 2  # chances of 0 and of M

    def seen(plateau: Any, slope: Any, start: Any) -> Any:
        """∫ over [0, end], the plateau first, then `slope` down to where it stops at `start`."""
        falling = sympy.integrate(slope.subs(y, half - x), (x, a / 2, half - start))
        return (plateau * a / 2 + falling) / end

    one = seen(sympy.Integer(1), sympy.Integer(1), 0) + (end - half) / end - (gone + flat + m)
    linear = seen(m, y, 0) - (flat * m + sympy.integrate(y, (y, 0, m)))
    kink = seen(m - k, y - k, k) - (flat * (m - k) + sympy.integrate(y - k, (y, k, m)))
    return [one, linear, kink]


def hinges(factor: Any = None) -> list[Any]:
    import sympy

    m, a, k, y = sympy.symbols("M a k y", positive=True)
    share = sympy.Rational(1, 2) if factor is None else factor
    mean = a / 2 * (m - k) + sympy.integrate(y - k, (y, k, m))
    claimed = a / 2 * (m - k) + (m - k) ** 2 / 2
    return [mean - claimed, mean.subs(k, 0) - share * m * (m + a)]


def one_more_kink() -> Implication:
    import z3

    at_k, s, after, y, k = z3.Reals("h(k) s s' y k")
    added = at_k - s * (y - k) + (s - after) * top(y - k)
    return Implication(
        {"s >= s'": s >= after},
        z3.And(
            s - after >= 0,
            z3.Implies(y >= k, added == at_k - after * (y - k)),
            z3.Implies(y <= k, added == at_k - s * (y - k)),
        ),
    )


def one_more_hinge() -> Implication:
    import z3

    ours, best, slack, c, more, most = z3.Reals("E E* sb² c A B")
    return Implication(
        {"so far": ours <= best + slack, "c >= 0": c >= 0, "the hinge": more <= most},
        ours + c * more <= best + c * most + slack,
    )


def line() -> Implication:
    import z3

    h, first, s, ours, best, b = z3.Reals("h_0 s_0 s E E* b")
    return Implication(
        {"0 <= s_0": first >= 0, "s_0 <= s": first <= s, "means": ours >= best - b * b},
        h - first * ours <= h - first * best + s * b * b,
    )

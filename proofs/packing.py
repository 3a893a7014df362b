"""What no source can do without: masks tell separated targets apart.

Theorem. Let every target of a class be, with probability at least 1 − δ, within ε of some mask of a
source with N prunable weights, of any law; the distance is the sup over the unit ball. Then

    2^N >= (1 − δ) |P| for every P in the class whose members are more than 2ε apart.

(a) The maps x ↦ Wx, W of shape [m, n], ||W|| <= 1, hold a P with |P| >= (1/(2ε))^(mn).
(b) Networks with widths d_0, ..., d_l, l >= 2, and all norms at most 1 hold one with
|P| >= (1/(4ε))^(s d_0), s = min(d_1, ..., d_l), and (c) one with
|P| >= (1/(2 sqrt(2) ε))^(d_l r), r = min(d_0, ..., d_{l−1}).
(d) With norms up to a_i and a domain that holds the ball of radius R, put ε/(R a_1 ... a_l) for ε.

Proof. (1) A mask within ε of two members would bring them within 2ε. So the number of members met
is at most the number of masks, 2^N; its mean is at least |P| (1 − δ). (2) Take P in a unit ball K
of dimension D, members more than r apart, as large as possible: balls of radius r around P cover K,
so |P| r^D vol K >= vol K. (a) is r = 2ε: the sup of ||(W − W')x|| over the unit ball is ||W − W'||.
(b) Let the first layer be W, s of its rows not 0, and the others pass these s coordinates on: the
network is x ↦ σ(Wx). Because σ(t) − σ(−t) = t, ||(W − W')x|| is at most the distance at x plus the
one at −x, so ||W − W'|| > 4ε suffices. (c) Let the first layers pass r coordinates y >= 0 on, the
last be W. For A = W − W' and M the sup of ||Ay|| over y >= 0, ||y|| <= 1: x = x⁺ − (−x)⁺ gives
||Ax|| <= (||x⁺|| + ||(−x)⁺||) M <= sqrt(2) ||x|| M, so ||A|| > 2 sqrt(2) ε suffices. (d) σ(c t) =
c σ(t) for c >= 0, so factors a_i and a scale R of the input multiply output and distances. ∎

What is checked. (1) for all distances, and its count on all small tables of who meets whom; the
comparison of volumes; the inequalities of (b), (c), (d) for all reals; the exponents.

What is not. That a largest separated set exists, how volume scales, that norms are norms, and
linearity of the mean: named as assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import low, top


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ d(p, p') > 2ε, d(p, g) <= ε, d(p', g) <= ε: not d(p, p') <= d(p, g) + d(p', g)",
            "smt",
            one_member,
        ),
        Step(
            "∀ tables of <= 4 masks and <= 3 members, a mask meeting one member or none: "
            "no more members are met than there are masks",
            "exact",
            lambda: tables(),
            {"a mask may meet two members": lambda: tables(most=2)},
        ),
        Step("∀ members: E #{members met} = Σ Pr(member met) (linearity of the mean)", "assumed"),
        Step(
            "∀ |P|, δ, N: |P| (1 − δ) <= E ∧ E <= 2^N ⟹ 2^N >= (1 − δ) |P|",
            "smt",
            expected,
        ),
        Step(
            "∀ bounded sets of finite dimension, r > 0: a largest subset with members more than r "
            "apart exists, is finite, and balls of radius r around it cover the set",
            "assumed",
        ),
        Step(
            "∀ sets K of dimension D, r > 0: vol(rK) = r^D vol(K); a cover has at least its volume",
            "assumed",
        ),
        Step("∀ V, c = r^D > 0, V <= |P| c V: |P| >= 1/c", "smt", volumes),
        Step(
            "∀ m, n, ε: the volume ratio 1/r^D is (1/(2ε))^(mn) at r = 2ε, D = mn, its logarithm "
            "−m n ln(2ε); at r = 4ε, 2 sqrt(2) ε it is the same at 2ε, sqrt(2) ε",
            "symbolic",
            lambda: exponents(),
            altered={"D = m + n": lambda: exponents(product_of_sides=False)},
        ),
        Step(
            "∀ W: sup ||Wx|| over the unit ball is ||W||; ||x + y|| <= ||x|| + ||y||; rows of "
            "zeros and partial identities keep ||W|| <= 1 (definitions)",
            "assumed",
        ),
        Step(
            "∀ t: σ(t) − σ(−t) = t and σ(t)² + σ(−t)² = t²",
            "smt",
            lambda: split(),
            altered={"σ(t) + σ(−t) = t": lambda: split(sign=1)},
        ),
        Step("∀ t >= 0: σ(t) = t, so a partial identity behind a ReLU passes t on", "smt", passes),
        Step(
            "∀ D = ||(W − W')x|| <= a + b with distances a at x, b at −x: D > 4ε ⟹ "
            "a > 2ε or b > 2ε",
            "smt",
            either_side,
        ),
        Step(
            "∀ a, b, c >= 0 with a² + b² = c²: (a + b)² <= 2 c²",
            "smt",
            two_parts,
        ),
        Step(
            "∀ ||Ax|| <= (a + b) M, a + b <= q c, q = sqrt(2), c <= 1, ||Ax|| > 2 q ε: M > 2ε",
            "smt",
            positive_part,
        ),
        Step("∀ t, c >= 0: σ(c t) = c σ(t)", "smt", homogeneous),
        Step("∀ g = R a_1 ... a_l > 0, d' = g d: d' <= ε ⟺ d <= ε/g", "smt", rescaled),
    )


def one_member() -> Implication:
    import z3

    eps, apart, first, second = z3.Reals("eps d(p,p') d(p,g) d(p',g)")
    return Implication(
        {
            "separated": apart > 2 * eps,
            "the mask meets p": first <= eps,
            "the mask meets p'": second <= eps,
        },
        z3.Not(apart <= first + second),
    )


def tables(most: int = 1) -> Iterator[tuple[int, int]]:
    """Every way in which each mask meets at most `most` members."""
    for masks, members in product(range(1, 5), range(1, 4)):
        rows = [row for row in product((0, 1), repeat=members) if sum(row) <= most]
        for table in product(rows, repeat=masks):
            yield sum(map(any, zip(*table, strict=True))), masks


def expected() -> Implication:
    import z3

    size, delta, mean, masks = z3.Reals("|P| delta E 2^N")
    return Implication(
        {"each is met often": size * (1 - delta) <= mean, "at most one a mask": mean <= masks},
        masks >= (1 - delta) * size,
    )


def volumes() -> Implication:
    import z3

    volume, c, size = z3.Reals("V c |P|")
    return Implication(
        {"V > 0": volume > 0, "c > 0": c > 0, "the balls cover": volume <= size * c * volume},
        size >= 1 / c,
    )


def exponents(product_of_sides: bool = True) -> list[Any]:
    import sympy

    m, n, eps = sympy.symbols("m n epsilon", positive=True)
    dimension = m * n if product_of_sides else m + n

    def bits(e: Any) -> Any:
        return -m * n * sympy.log(2 * e)

    def ratio(r: Any) -> Any:
        return sympy.expand_log(sympy.log(r**-dimension), force=True)

    pairs = [(2 * eps, eps), (4 * eps, 2 * eps), (2 * sympy.sqrt(2) * eps, sympy.sqrt(2) * eps)]
    return [sympy.expand_log(ratio(r) - bits(e), force=True) for r, e in pairs]


def split(sign: int = -1) -> Implication:
    import z3

    t = z3.Real("t")
    return Implication(
        {},
        z3.And(
            top(t) + sign * top(-t) == t,
            top(t) * top(t) + top(-t) * top(-t) == t * t,
            top(-t) == -low(t),
        ),
    )


def passes() -> Implication:
    import z3

    t = z3.Real("t")
    return Implication({"t >= 0": t >= 0}, top(t) == t)


def either_side() -> Implication:
    import z3

    whole, a, b, eps = z3.Reals("D a b eps")
    return Implication(
        {"D <= a + b": whole <= a + b, "D > 4ε": whole > 4 * eps},
        z3.Or(a > 2 * eps, b > 2 * eps),
    )


def two_parts() -> Implication:
    import z3

    a, b, c = z3.Reals("a b c")
    return Implication({"a² + b² = c²": a * a + b * b == c * c}, (a + b) * (a + b) <= 2 * c * c)


def positive_part() -> Implication:
    import z3

    size, parts, most, q, c, eps = z3.Reals("||Ax|| a+b M q c eps")
    return Implication(
        {
            "||Ax|| <= (a + b) M": size <= parts * most,
            "a + b <= q c": parts <= q * c,
            "c <= 1": c <= 1,
            "q > 0": q > 0,
            "M >= 0": most >= 0,
            "||Ax|| > 2 q ε": size > 2 * q * eps,
        },
        most > 2 * eps,
    )


def homogeneous() -> Implication:
    import z3

    t, c = z3.Reals("t c")
    return Implication({"c >= 0": c >= 0}, top(c * t) == c * top(t))


def rescaled() -> Implication:
    import z3

    gain, before, after, eps = z3.Reals("g d d' eps")
    return Implication(
        {"g > 0": gain > 0, "d' = g d": after == gain * before},
        (after <= eps) == (before <= eps / gain),
    )

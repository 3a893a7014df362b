"""The hyperbolic law: every geometric interval alike, also for products of two weights.

Orseau, Hutter and Rivasplata (2020) draw weights by the density 1/w. Constants derived here.

Theorem. Let w have the density 1/(w H) on [a, b], 0 < a < b, H = ln(b/a).
(a) It is a law; (c/γ, c] ⊂ [a, b] has probability ln γ / H; and λ w is hyperbolic on [λ a, λ b].
With b = α, a = α γ^{−k} each J_i = (α γ^{−(i+1)}, α γ^{−i}], i < k, has probability 1/k.
(b) For independent u, v of this law, ln(uv) has the density (H − |y|)/H² at y = ln(uv) − ln(ab),
|y| <= H, which is at least 1/(2H) where |y| <= H/2.
(c) With b = √α γ^{k/4}, a = b γ^{−k} these are the J_i, and uv ∈ J_i has probability
(k − |m|)/k², m = k/2 − i − 1/2, or (k − 1/4)/k² for m = 0: at least 1/(2k), and for k >= 2 at
least (k + 1)/(2k²).
(d) With independent fair signs each of the 4k categories (sign of u, sign of uv, J_i) has a quarter
of that, so at least 1/(8k).

Proof. (a) ∫ dw/w = ln w. (b) ln w is uniform on an interval of length H, and two such intervals
overlap by H − |y| when shifted. (c) In units of ln γ, H is k and J_i is [m − 1/2, m + 1/2], inside
[−k/2, k/2]; the density (k − |t|)/k² integrates to the formula, and |m| <= (k − 1)/2. (d) The signs
of u and uv are independent of the sizes and of each other, for sign(uv) = sign(u) sign(v). ∎

What is checked. The integrals and logarithms as identities; the inequalities for all reals; all
intervals of every k <= 40 in exact rationals, with their sum, 3/4; the four sign cases.

What is not. Fubini; that a program draws this law: it tabulates the quantiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ 0 < a < b, c, γ > 1: ∫_a^b dw/(w H) = 1 and ∫_{c/γ}^c dw/(w H) = ln γ / H",
            "symbolic",
            lambda: masses(),
            altered={"the density is 1/(w² H)": lambda: masses(power=2)},
        ),
        Step(
            "∀ λ > 0: the density of λ w at λ x is 1/(λ x H), with H unchanged for [λ a, λ b]",
            "symbolic",
            lambda: scaled(),
            altered={"the density is 1/(w² H)": lambda: scaled(power=2)},
        ),
        Step(
            "∀ α, γ > 1, k, i: with b = α, a = α γ^{−k}, H = k ln γ, so ln γ / H = 1/k; "
            "J_{k−1} starts at a",
            "symbolic",
            lambda: tiling(),
            altered={"there are k − 1 intervals": lambda: tiling(fewer=1)},
        ),
        Step(
            "∀ x in [ln a, ln b]: the density of ln w at x is p(e^x) e^x = 1/H: uniform",
            "symbolic",
            lambda: uniform(),
            altered={"the density is 1/(w² H)": lambda: uniform(power=2)},
        ),
        Step("∀ independent X, Y: the density of X + Y is the convolution (Fubini)", "assumed"),
        Step(
            "∀ H, |y| <= H: [0, H] and [y, H + y] overlap by min(H, H + y) − max(0, y) = H − |y|",
            "smt",
            overlap,
        ),
        Step("∀ H > 0, |y| <= H/2: (H − |y|)/H² >= 1/(2H)", "smt", middle_half),
        Step(
            "∀ α, γ > 1, k, i: with b = √α γ^{k/4}, a = b γ^{−k}: H = k ln γ and J_i is centred at "
            "ln(ab) + m ln γ, m = k/2 − i − 1/2",
            "symbolic",
            lambda: centres(),
            altered={"b = √α γ^{k/2}": lambda: centres(exponent=2)},
        ),
        Step(
            "∀ k, m >= 1/2: ∫_{m−1/2}^{m+1/2} (k − t)/k² dt = (k − m)/k², its mirror image for "
            "m <= −1/2, and (k − 1/4)/k² for m = 0 with |t|",
            "symbolic",
            lambda: in_units_of_log_gamma(),
            altered={"m = 0 gives 1/k": lambda: in_units_of_log_gamma(middle=Fraction(0))},
        ),
        Step(
            "∀ k >= 0, 0 <= i <= k − 1: m = k/2 − i − 1/2 has |m| <= (k − 1)/2", "smt", inside_half
        ),
        Step("∀ k, |m| <= (k − 1)/2: (k − |m|)/k² >= (k + 1)/(2k²) >= 1/(2k)", "smt", least),
        Step(
            "∀ k >= 1: (k − 1/4)/k² >= 1/(2k), and from k >= 3/2 on also >= (k + 1)/(2k²)",
            "smt",
            middle_interval,
        ),
        Step(
            "∀ signs (1/4 each): (sign u, sign uv) takes each of its four values once",
            "exact",
            lambda: signs(),
            {"sign v is fixed": lambda: signs(second=(1,))},
        ),
        Step(
            "∀ k <= 40, i < k: P(uv ∈ J_i) >= 1/(2k), >= (k + 1)/(2k²) for k >= 2; their sum is "
            "3/4; a quarter each is >= 1/(8k)",
            "exact",
            lambda: intervals(),
            {"the intervals start one above": lambda: intervals(shift=1)},
            {"1/(2k) is 1/(2k) + 1/k²": lambda: intervals(more=1)},
        ),
    )


def variables() -> Any:
    """a > 0, h > 0 with b = a e^h, g = ln γ > 0: so that every logarithm is of a positive."""
    import sympy

    return sympy.symbols("a h g", positive=True)


def masses(power: int = 1) -> list[Any]:
    import sympy

    a, h, g = variables()
    w, c = sympy.symbols("w c", positive=True)
    density = 1 / (w**power * h)
    whole = sympy.integrate(density, (w, a, a * sympy.exp(h)))
    part = sympy.integrate(density, (w, c * sympy.exp(-g), c))
    return [sympy.expand_log(whole) - 1, sympy.expand_log(part) - g / h]


def scaled(power: int = 1) -> list[Any]:
    """p(x) / λ for the density at λ x, and ln(λb / λa) = ln(b / a)."""
    import sympy

    a, h, _ = variables()
    x, scale = sympy.symbols("x lambda", positive=True)
    density = 1 / (x**power * h)
    logs = sympy.log(scale * a * sympy.exp(h)) - sympy.log(scale * a)
    return [density / scale - density.subs(x, scale * x), sympy.expand_log(logs) - h]


def tiling(fewer: int = 0) -> list[Any]:
    import sympy

    alpha, g, k = sympy.symbols("alpha g k", positive=True)
    low = alpha * sympy.exp(-k * g)
    h = sympy.expand_log(sympy.log(alpha) - sympy.log(low))
    last = alpha * sympy.exp(-(k - fewer) * g)
    return [g / h - 1 / k, last - low]


def uniform(power: int = 1) -> list[Any]:
    import sympy

    _, h, _ = variables()
    x = sympy.symbols("x", real=True)
    return [sympy.exp(x) / (sympy.exp(x) ** power * h) - 1 / h]


def overlap() -> Implication:
    import z3

    h, y = z3.Reals("H y")
    top, bottom = z3.If(y >= 0, h, h + y), z3.If(y >= 0, y, 0)
    return Implication(
        {"|y| <= H": size(y) <= h}, z3.And(top - bottom == h - size(y), top >= bottom)
    )


def middle_half() -> Implication:
    import z3

    h, y = z3.Reals("H y")
    return Implication(
        {"H > 0": h > 0, "|y| <= H/2": size(y) <= h / 2}, (h - size(y)) / (h * h) >= 1 / (2 * h)
    )


def centres(exponent: int = 1) -> list[Any]:
    """Logarithms of a, b and of the ends of J_i."""
    import sympy

    alpha, g, k = sympy.symbols("alpha g k", positive=True)
    i = sympy.symbols("i", real=True)
    b = sympy.log(alpha) / 2 + exponent * k * g / 4
    a = b - k * g
    centre = sympy.log(alpha) - i * g - g / 2
    return [b - a - k * g, centre - (a + b) - (k / 2 - i - sympy.Rational(1, 2)) * g]


def in_units_of_log_gamma(middle: Fraction = Fraction(1, 4)) -> list[Any]:
    import sympy

    k = sympy.symbols("k", positive=True)
    t, m = sympy.symbols("t m", real=True)
    half = sympy.Rational(1, 2)
    right = sympy.integrate((k - t) / k**2, (t, m - half, m + half))
    left = sympy.integrate((k + t) / k**2, (t, m - half, m + half))
    centre = 2 * sympy.integrate((k - t) / k**2, (t, 0, half))
    return [
        right - (k - m) / k**2,
        left.subs(m, -m) - right,
        centre - (k - sympy.Rational(middle)) / k**2,
    ]


def inside_half() -> Implication:
    import z3

    k, i = z3.Reals("k i")
    return Implication(
        {"i >= 0": i >= 0, "i <= k − 1": i <= k - 1},
        size(k / 2 - i - 1 / z3.RealVal(2)) <= (k - 1) / 2,
    )


def least() -> Implication:
    import z3

    k, m = z3.Reals("k m")
    refined = (k + 1) / (2 * k * k)
    return Implication(
        {"|m| <= (k − 1)/2": size(m) <= (k - 1) / 2},
        z3.And((k - size(m)) / (k * k) >= refined, refined >= 1 / (2 * k)),
    )


def middle_interval() -> Implication:
    import z3

    k = z3.Real("k")
    chance = (k - z3.Q(1, 4)) / (k * k)
    refined = (k + 1) / (2 * k * k)
    return Implication(
        {"k >= 1": k >= 1},
        z3.And(chance >= 1 / (2 * k), z3.Implies(k >= z3.Q(3, 2), chance >= refined)),
    )


def signs(second: tuple[int, ...] = (-1, 1)) -> Iterator[tuple[int, int]]:
    seen = [(u, u * v) for u, v in product((-1, 1), second)]
    for category in product((-1, 1), repeat=2):
        yield 1, seen.count(category)


def chance(k: int, i: int) -> Fraction:
    """∫ (k − |t|)/k² over J_i in units of ln γ; the theorem's formula, and outside it too."""
    m = Fraction(k, 2) - i - Fraction(1, 2)
    return (k - (abs(m) or Fraction(1, 4))) / k**2


def intervals(shift: int = 0, more: int = 0) -> Iterator[tuple[Fraction, Fraction]]:
    for k in range(1, 41):
        chances = [chance(k, i - shift) for i in range(k)]
        for p in chances:
            yield Fraction(1, 2 * k) + Fraction(more, k**2), p
            yield Fraction(1, 8 * k), p / 4
            if k >= 2:
                yield Fraction(k + 1, 2 * k**2), p
        yield sum(chances, Fraction(0)), Fraction(3, 4)
        yield Fraction(3, 4), sum(chances, Fraction(0))

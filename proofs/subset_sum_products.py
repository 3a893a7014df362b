"""Random subset sums beyond [−½, ½], and of products that are cut at 0.

Theorem. Say that values serve R within η if every z in [−R, R] is within η of a subset sum of them.

(a) Let n values serve ½ within η with probability at least 1 − δ. With m further ones, independent
of them and uniform on [−1, 1], they serve R >= ½ within η with probability at least
1 − δ − 2 e^{λ (R − ½)} κ(λ)^m for every λ > 0, κ(λ) = ½ + (1 − e^{−λ})/(2λ).

(b) Let k products u v of uniform values fail to serve R within η with probability at most G_k. Then
N products v max(0, u) fail to do so with probability at most Σ_k Pr(Bin(N, ½) = k) G_k.

(c) Let n values serve 1 within η with probability at least 1 − δ. With m further ones, independent
of them and of density c ln(1/|z|) on 0 < |z| <= 1, they serve R >= 1 within η with probability at
least 1 − δ − 2 e^{λ (R − 1)} φ(λ)^m for every λ > 0,

    φ(λ) = 1 − c ∫_0^1 (1 − e^{−λy}) ln(1/y) dy = 1 − c (1 − Ein(λ)/λ),

Ein(x) = ∫_0^x (1 − e^{−t})/t dt.

Proof. (1) Let a = ½ in (a), 1 in (c). While z > a, subtract positive values of at most 2a one by
one: z stays above −a. If they add up to at least R − a, it ends in [−a, a]; if not, this has by
Chernoff's bound at most the probability e^{λ (R − a)} E e^{−λ S}, S their sum, a mean that is a
power by independence. The same for z < −a and the negative values: hence the 2. What is left is
within η of a subset sum of the other values. (2) A value of (a) counts X⁺: E e^{−λ X⁺} = κ(λ).
(3) max(0, u) is 0 with probability ½ and else uniform on [0, 1]: given the signs of the u, those
products that are not 0 are independent with the law of u v, which is symmetric; 0 adds nothing.
(4) In (c) what is not in (0, 1] counts as 0. Let F(y) = y − (1 − e^{−λy})/λ: (F(y) ln(1/y))' =
(1 − e^{−λy}) ln(1/y) − F(y)/y, and F(y) ln(1/y) is 0 at 0 and at 1; ∫_0^1 F(y)/y dy = 1 − Ein(λ)/λ.
∎

What is checked. Each step for all reals; the walk as a whole on a grid; the sum over k against an
enumeration of labels; φ a second time by integration with balls.

What is not. What is named as assumed; the library's minimisation over λ, for which any λ is valid.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import comb
from typing import Any

from proofs import Step
from proofs.checkers import Implication, Integral, ball
from proofs.checkers.engines import engine
from proofs.growth import one_more_value

HALF = Fraction(1, 2)


def steps() -> tuple[Step, ...]:
    return (
        Step("∀ z > a, 0 < x <= 2a: −a < z − x < z", "smt", lambda: subtract(1)),
        Step("∀ z < −a, −2a <= x < 0: z < z − x < a", "smt", lambda: subtract(-1)),
        Step("∀ z <= R, S >= R − a: z − S <= a, so the walk ends in [−a, a]", "smt", arrives),
        Step("∀ z, x, s, η: |(z − x) − s| <= η ⟹ |z − (x + s)| <= η", "smt", one_more_value),
        Step(
            "∀ z in [½, 2], x_1, x_2, x_3 in (0, 1] on a grid: if S >= z − ½, the walk ends in I",
            "exact",
            lambda: walks(),
            {
                "values up to 5/4 are used": lambda: walks(largest=Fraction(5, 4)),
                "S may be 1/8 less": lambda: walks(short=Fraction(1, 8)),
            },
        ),
        Step("∀ t: e^t >= 1 + t", "assumed"),
        Step("∀ λ > 0, S < r: e^{λ (r − S)} >= 1, so it is above the indicator", "smt", chernoff),
        Step("∀ independent Y_i: E e^{−λ Σ Y_i} = Π E e^{−λ Y_i}; f <= g ⟹ E f <= E g", "assumed"),
        Step(
            "∀ λ > 0, X ~ U[−1, 1]: E e^{−λ X⁺} = ½ + (1 − e^{−λ})/(2λ)",
            "symbolic",
            lambda: kept(),
            {"X ~ U[−2, 2]": lambda: kept(end=2), "X ~ U[0, 1]": lambda: kept(start=0)},
        ),
        Step(
            "∀ u ~ U[−1, 1] and v independent: given whether u > 0 for each, the u > 0 are "
            "independent and uniform on [0, 1]",
            "assumed",
        ),
        Step(
            "∀ N <= 8, p = 1/2, G_k = 1/(1 + k²): Σ_k Pr(Bin(N, p) = k) G_k is its mean by signs",
            "exact",
            lambda: labels(),
            {"u > 0 has probability 1/3": lambda: labels(chance=Fraction(1, 3))},
        ),
        Step(
            "∀ G_k <= G_K for k > K: Σ_{k <= K} w_k G_k + (1 − Σ_{k <= K} w_k) G_K >= Σ_k w_k G_k",
            "smt",
            cut_off,
        ),
        Step(
            "∀ densities g of part of the mass, the rest counting as 0: E e^{−λY} = "
            "(1 − ∫ g) + ∫ e^{−λy} g = 1 − ∫ (1 − e^{−λy}) g",
            "symbolic",
            lambda: part(),
            altered={"the rest does not count": lambda: part(rest=0)},
        ),
        Step(
            "∀ λ > 0, F = y − (1 − e^{−λy})/λ, l = ln(1/y): (F l)' = (1 − e^{−λy}) l − F/y; "
            "F l vanishes at 0 and 1; (y − Ein(λy)/λ)' = F/y; Ein' = (1 − e^{−x})/x, "
            "Ein = γ + ln + E_1",
            "symbolic",
            lambda: by_parts(),
            {"the density is ln(1/(2y))": lambda: by_parts(scale=2)},
        ),
        Step("∀ x -> 0: γ + ln x + E_1(x) -> 0, so it is Ein (DLMF 6.2.4)", "assumed"),
        Step(
            "∀ λ = ½, 3, 40: ∫_0^1 (1 − e^{−λy}) ln(1/y) dy is within 1e-9 of 1 − Ein(λ)/λ",
            "interval",
            lambda: integrals(),
            {"the density is ln(1/(2y))": lambda: integrals(scale=2)},
        ),
        Step("∀ events: Pr(A ∪ B) <= Pr(A) + Pr(B)", "assumed"),
    )


def subtract(sign: int) -> Implication:
    import z3

    z, x, a = z3.Reals("z x a")
    target, value = sign * z, sign * x
    return Implication(
        {"|z| > a": target > a, "x has the sign of z": value > 0, "|x| <= 2a": value <= 2 * a},
        z3.And(-a < target - value, target - value < target),
    )


def arrives() -> Implication:
    """A walk that does not stop before has used all of S."""
    import z3

    z, reach, total, a = z3.Reals("z R S a")
    return Implication({"z <= R": z <= reach, "S >= R − a": total >= reach - a}, z - total <= a)


def walks(
    largest: Fraction = Fraction(1), short: Fraction = Fraction(0)
) -> Iterator[tuple[Fraction, Fraction]]:
    values = [Fraction(k, 8) for k in range(1, int(8 * largest) + 1)]
    for given in product(values, repeat=3):
        for z in (Fraction(k, 16) for k in range(8, 33)):
            if sum(given) + short >= z - HALF:
                rest = z
                for x in given:
                    rest -= x if rest > HALF else 0
                yield abs(rest), HALF


def chernoff() -> Implication:
    import z3

    rate, total, needed, value = z3.Reals("λ S r e")
    gap = rate * (needed - total)
    return Implication(
        {"λ > 0": rate > 0, "S < r": total < needed, "e^t >= 1 + t": value >= 1 + gap}, value >= 1
    )


def kept(start: int = -1, end: int = 1) -> list[Any]:
    import sympy

    x, rate = sympy.symbols("x lambda", positive=True)
    mean = (-start + sympy.integrate(sympy.exp(-rate * x), (x, 0, end))) / (end - start)
    return [mean - sympy.Rational(1, 2) - (1 - sympy.exp(-rate)) / (2 * rate)]


def labels(chance: Fraction = HALF) -> Iterator[tuple[Fraction, Fraction]]:
    for trials in range(1, 9):
        failing = [Fraction(1, 1 + k * k) for k in range(trials + 1)]
        mixed = sum(
            (
                comb(trials, k) * HALF**k * (1 - HALF) ** (trials - k) * failing[k]
                for k in range(trials + 1)
            ),
            Fraction(0),
        )
        mean = sum(
            (
                chance ** sum(ones) * (1 - chance) ** (trials - sum(ones)) * failing[sum(ones)]
                for ones in product((0, 1), repeat=trials)
            ),
            Fraction(0),
        )
        yield from ((mixed, mean), (mean, mixed))


def cut_off() -> Implication:
    """Two k beyond K stand for all."""
    import z3

    first, more, further, last, at_more, at_further = z3.Reals("w w' w'' G_K G' G''")
    return Implication(
        {
            "weights": first + more + further == 1,
            "w' >= 0": more >= 0,
            "w'' >= 0": further >= 0,
            "G' <= G_K": at_more <= last,
            "G'' <= G_K": at_further <= last,
        },
        more * at_more + further * at_further <= (1 - first) * last,
    )


def part(rest: int = 1) -> list[Any]:
    import sympy

    mass, mean = sympy.symbols("m e")
    return [rest * (1 - mass) + mean - (1 - (mass - mean))]


def by_parts(scale: int = 1) -> list[Any]:
    import sympy

    y, rate, x = sympy.symbols("y lambda x", positive=True)
    log = -sympy.log(scale * y)
    falling = 1 - sympy.exp(-rate * y)
    f = y - falling / rate
    at_zero = sympy.limit((f * log).subs(rate, 1), y, 0, "+")  # λ only scales y
    at_end = (f * log).subs(y, 1)
    ein = sympy.EulerGamma + sympy.log(x) + sympy.expint(1, x)
    slope = sympy.diff(ein, x) - (1 - sympy.exp(-x)) / x
    inner = 1 - sympy.diff(ein, x).subs(x, rate * y)
    rest = [sympy.diff(f * log, y) - (falling * log - f / y), at_zero, at_end]
    return [*rest, slope.rewrite(sympy.exp), (inner - f / y).rewrite(sympy.exp)]


def integrals(scale: int = 1) -> Iterator[Integral]:
    """From 10^−8 on: what is left out is at most λ y ln(1/y) <= λ y (1/y)^½ there."""
    cut = Fraction(1, 10**8)
    width = ball(Fraction(1, 10**9))
    for rate in (HALF, Fraction(3), Fraction(40)):
        x = ball(rate)
        ein = engine("flint").arb.const_euler() + x.log() - (-x).ei()
        claimed = 1 - ein / x
        yield Integral(
            lambda y, analytic, rate=rate: (
                -(1 - (-(y * rate)).exp()) * (y * scale).log(analytic=analytic)
            ),
            cut,
            1,
            low=claimed - width,
            high=claimed,
        )

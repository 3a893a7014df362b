"""Random subset sums beyond [−½, ½] and of products: nearly nothing is spent on either.

Theorem. Say that values serve R within η if every z in [−R, R] is within η of a subset sum of them.

(a) Let n values serve ½ within η with probability at least 1 − δ. With m further ones, independent
of them and uniform on [−1, 1], they serve R >= ½ within η with probability at least
1 − δ − 2 e^{λ (R − ½)} κ(λ)^m for every λ > 0, κ(λ) = ½ + (1 − e^{−λ})/(2λ).

(b) Let k values uniform on [−1, 1] fail to serve ½ within 2η with probability at most G_k. Let a
law have the density c ln(1/|z|) on 0 < |z| <= ½, and p = c ln 2. Then N values of it serve R >= ¼
within η with probability at least 1 − Σ_k Pr(Bin(N, p) = k) G_k − 2 e^{λ (R − ¼)} φ(λ)^N for every
λ > 0,

    φ(λ) = 1 − c ∫_0^½ (1 − e^{−λy}) ln(1/(2y)) dy = 1 − c (½ − Ein(λ/2)/λ),

Ein(x) = ∫_0^x (1 − e^{−t})/t dt. For R <= ¼ the last term is not needed.

Proof. (1) Let a = ½ in (a), ¼ in (b). While z > a, subtract positive values of at most 2a one by
one: z stays above −a. If they add up to at least R − a, it ends in [−a, a]; if not, this has by
Chernoff's bound at most the probability e^{λ (R − a)} E e^{−λ S}, S their sum, a mean that is a
power by independence. The same for z < −a and the negative values: hence the 2. What is left is
within η of a subset sum of the other values. (2) A value of (a) counts X⁺: E e^{−λ X⁺} = κ(λ).
(3) On [−½, ½] the density of (b) is p + c ln(1/(2|z|)), p being the density of p U[−½, ½]: draw
each value by an independent label, uniform with probability p. Given the labels and the other
values, the uniform ones are independent, and doubled they are uniform on [−1, 1]: k of them serve
¼ within η as their doubles serve ½ within 2η. The other values in (0, ½] have density
c ln(1/(2y)), so each of the N brings on average e^{−λ·} = φ(λ), those not used counting as 0.
(4) Let F(y) = y − (1 − e^{−λy})/λ: (F(y) ln(1/(2y)))' = (1 − e^{−λy}) ln(1/(2y)) − F(y)/y, and
F(y) ln(1/(2y)) is 0 at 0 and at ½; ∫_0^½ F(y)/y dy = ½ − Ein(λ/2)/λ. ∎

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
from proofs.subset_sum_reach import scaled

HALF = Fraction(1, 2)
QUARTER = Fraction(1, 4)


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
            "∀ 0 < z <= ½: c ln(1/z) = p + c ln(1/(2z)), p = c ln 2; p on [−½, ½] has mass p",
            "symbolic",
            lambda: split(),
            altered={"c ln 4 is split off": lambda: split(part=4)},
        ),
        Step("∀ x >= 1: ln x >= 0, so ln(1/(2z)) >= 0 for z <= ½", "assumed"),
        Step(
            "∀ laws p U + (1 − p) Q: a value may be drawn by an independent label, U with "
            "probability p; given the labels and the values of Q, those of U are independent",
            "assumed",
        ),
        Step("∀ c > 0: |z/c − s| <= η/c ⟹ |z − c s| <= η, here c = ½", "smt", scaled),
        Step(
            "∀ N <= 8, p = 1/4, G_k = 1/(1 + k²): Σ_k Pr(Bin(N, p) = k) G_k is its mean by labels",
            "exact",
            lambda: labels(),
            {"labels are ones with probability 1/3": lambda: labels(chance=Fraction(1, 3))},
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
            "∀ λ > 0, F = y − (1 − e^{−λy})/λ, l = ln(1/(2y)): (F l)' = (1 − e^{−λy}) l − F/y; "
            "F l vanishes at 0 and ½; (y − Ein(λy)/λ)' = F/y; Ein' = (1 − e^{−x})/x, "
            "Ein = γ + ln + E_1",
            "symbolic",
            lambda: by_parts(),
            {"the density is ln(1/y)": lambda: by_parts(scale=1)},
        ),
        Step("∀ x -> 0: γ + ln x + E_1(x) -> 0, so it is Ein (DLMF 6.2.4)", "assumed"),
        Step(
            "∀ λ = ½, 3, 40: ∫_0^½ (1 − e^{−λy}) ln(1/(2y)) dy is within 1e-9 of ½ − Ein(λ/2)/λ",
            "interval",
            lambda: integrals(),
            {"the density is ln(1/y)": lambda: integrals(scale=1)},
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


def split(part: int = 2) -> list[Any]:
    import sympy

    c, z = sympy.symbols("c z", positive=True)
    half = sympy.Rational(1, 2)
    uniform = c * sympy.log(part)
    left = -c * sympy.log(z) - uniform + c * sympy.log(2 * z)
    return [
        sympy.expand_log(left, force=True),
        sympy.integrate(uniform, (z, -half, half)) - uniform,
    ]


def labels(chance: Fraction = QUARTER) -> Iterator[tuple[Fraction, Fraction]]:
    for trials in range(1, 9):
        failing = [Fraction(1, 1 + k * k) for k in range(trials + 1)]
        mixed = sum(
            (
                comb(trials, k) * QUARTER**k * (1 - QUARTER) ** (trials - k) * failing[k]
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


def by_parts(scale: int = 2) -> list[Any]:
    import sympy

    y, rate, x = sympy.symbols("y lambda x", positive=True)
    log = -sympy.log(scale * y)
    falling = 1 - sympy.exp(-rate * y)
    f = y - falling / rate
    at_zero = sympy.limit((f * log).subs(rate, 1), y, 0, "+")  # λ only scales y
    at_half = (f * log).subs(y, sympy.Rational(1, 2))
    ein = sympy.EulerGamma + sympy.log(x) + sympy.expint(1, x)
    slope = sympy.diff(ein, x) - (1 - sympy.exp(-x)) / x
    inner = 1 - sympy.diff(ein, x).subs(x, rate * y)
    rest = [sympy.diff(f * log, y) - (falling * log - f / y), at_zero, at_half]
    return [*rest, slope.rewrite(sympy.exp), (inner - f / y).rewrite(sympy.exp)]


def integrals(scale: int = 2) -> Iterator[Integral]:
    """From 10^−7 on: what is left out is at most λ y ln(1/(2y)) <= λ y (1/(2y))^½ there."""
    cut = Fraction(1, 10**7)
    width = ball(Fraction(1, 10**9))
    for rate in (HALF, Fraction(3), Fraction(40)):
        x = ball(rate / 2)
        ein = engine("flint").arb.const_euler() + x.log() - (-x).ei()
        claimed = ball(HALF) - ein / ball(rate)
        yield Integral(
            lambda y, analytic, rate=rate: (
                -(1 - (-(y * rate)).exp()) * (y * scale).log(analytic=analytic)
            ),
            cut,
            HALF,
            low=claimed - width,
            high=claimed,
        )

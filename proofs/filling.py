"""How many draws put a sample, or n of them, into each of several categories.

The lemma of Orseau, Hutter and Rivasplata (2020) on filling categories; constants derived here.

Theorem. Let 0 < δ <= 1.
(a) If each of k categories has probability at least 1/k, M >= k ln(k/δ) draws miss one with
probability at most k (1 − 1/k)^M <= k e^{−M/k} <= δ.
(b) If each of m >= 1 disjoint categories has probability at least 1/K, M >= 2K (n + ln(m/δ)) draws
leave one of them with fewer than n with probability at most δ.

Proof. (a) One category is missed by all draws with probability at most (1 − 1/k)^M <= e^{−M/k}
(`exponential`); add over k. (b) For n = 0 there is nothing to show. Let X be the number in one
category, p its probability, μ = M p >= 2(n + L), L = ln(m/δ), q = n/μ <= 1/2, t = 1 − q.
(1) With λ = ln(1/q) >= 0, the indicator of X <= n is at most e^{λ(n − X)}. (2) A draw contributes
1 − p + p q = 1 − p t to E e^{−λX}, so Pr(X <= n) <= e^{λn} (1 − p t)^M <= e^{λn − μt} (again
`exponential`). (3) The exponent is −μ (t + q ln q). (4) That bracket is at least t²/2, by Taylor's
formula with remainder in q: Chernoff's bound e^{−t²μ/2}. (5) t²μ/2 >= L by μ >= 2(n + L) and
(μ/2 − L)² >= 0. (6) So a category fails with probability at most e^{−L} = δ/m; add over m. ∎

What is checked. Every step for all reals; that no hypothesis can be spared; both statements as a
whole for small numbers, with the exact probabilities.

What is not. The union bound, and that expectation is monotone and multiplies over independent
draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import comb, factorial
from typing import Any

from proofs import Step
from proofs.checkers import Implication


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ events: Pr(∪ A_i) <= Σ Pr(A_i); ∀ X <= Y: E X <= E Y; ∀ independent: E XY = E X E Y",
            "assumed",
        ),
        Step(
            "∀ k, δ > 0, s: with M = k ln(k/δ) + s, k e^{−M/k} = δ e^{−s/k}",
            "symbolic",
            lambda: coupons(),
            altered={"M = k ln(1/δ) + s": lambda: coupons(union=False)},
        ),
        Step("∀ δ >= 0, E <= 1: δ E <= δ, so a surplus of draws does no harm", "smt", surplus),
        Step(
            "∀ λ >= 0, x, n, E = e^{λ(n − x)} >= max(0, 1 + λ(n − x)): 1[x <= n] <= E",
            "smt",
            indicator,
        ),
        Step(
            "∀ p, q: one draw has (1 − p) + p q = 1 − p (1 − q); ∀ M <= 6: the binomial law of M "
            "draws has its power M",
            "symbolic",
            lambda: generating(),
            altered={"a hit counts q²": lambda: generating(power=2)},
        ),
        Step(
            "∀ μ, q > 0: with n = q μ, λ = ln(1/q), t = 1 − q: λ n − μ t = −μ (t + q ln q)",
            "symbolic",
            lambda: exponent(),
            altered={"λ = ln(1/q)/2": lambda: exponent(tilt=2)},
        ),
        Step(
            "∀ q > 0: (1 − q) + q ln q − (1 − q)²/2 = ∫_q^1 (y − q)(1 − y)/y dy",
            "symbolic",
            lambda: taylor(),
            altered={"t² instead of t²/2": lambda: taylor(half=1)},
        ),
        Step("∀ 0 < q <= y <= 1: (y − q)(1 − y)/y >= 0", "smt", integrand),
        Step(
            "∀ n, L, μ > 0 with μ >= 2(n + L): (1 − n/μ)² μ/2 >= L",
            "smt",
            enough_on_average,
        ),
        Step("∀ p >= 1/K, M >= 2K c, K > 0, M >= 0: M p >= 2c, so μ >= 2(n + L)", "smt", mean),
        Step(
            "∀ m, δ > 0, s: with L = ln(m/δ), m e^{−(L + s)} = δ e^{−s}",
            "symbolic",
            lambda: union_of(),
            altered={"L = ln(1/δ)": lambda: union_of(union=False)},
        ),
        Step(
            "∀ k <= 5, M <= 20: the chance that M draws miss one of k equal categories is at most "
            "k (1 − 1/k)^M",
            "exact",
            lambda: missed(),
            altered={"the factor k is left out": lambda: missed(union=False)},
        ),
        Step(
            "∀ n <= 3, δ ∈ {1/2, 1/10}: of two categories of probability 1/3 each, M draws leave "
            "one with fewer than n with probability at most δ",
            "exact",
            lambda: filled(),
            {
                "M is divided by 4": lambda: filled(divided=4),
                "each has probability 1/15": lambda: filled(p=Fraction(1, 15)),
            },
        ),
    )


def coupons(union: bool = True) -> list[Any]:
    import sympy

    k, delta = sympy.symbols("k delta", positive=True)
    s = sympy.symbols("s", real=True)
    draws = k * sympy.log((k if union else 1) / delta) + s
    return [k * sympy.exp(sympy.expand(-draws / k)) - delta * sympy.exp(-s / k)]


def surplus() -> Implication:
    import z3

    delta, e = z3.Reals("delta E")
    return Implication({"δ >= 0": delta >= 0, "E <= 1": e <= 1}, delta * e <= delta)


def indicator() -> Implication:
    import z3

    x, n, rate, e = z3.Reals("x n lambda E")
    return Implication(
        {
            "λ >= 0": rate >= 0,
            "E >= 1 + λ(n − x)": e >= 1 + rate * (n - x),
            "E >= 0": e >= 0,
        },
        z3.If(x <= n, z3.RealVal(1), z3.RealVal(0)) <= e,
    )


def generating(power: int = 1) -> list[Any]:
    import sympy

    p, q = sympy.symbols("p q", positive=True)
    return [
        sum(
            comb(draws, j) * p**j * (1 - p) ** (draws - j) * q ** (power * j)
            for j in range(draws + 1)
        )
        - (1 - p * (1 - q)) ** draws
        for draws in range(1, 7)
    ]


def exponent(tilt: int = 1) -> list[Any]:
    import sympy

    mu, q = sympy.symbols("mu q", positive=True)
    t = 1 - q
    return [-sympy.log(q) / tilt * q * mu - mu * t + mu * (t + q * sympy.log(q))]


def taylor(half: int = 2) -> list[Any]:
    import sympy

    y, q = sympy.symbols("y q", positive=True)
    integral = sympy.integrate(sympy.expand((y - q) * (1 - y) / y), (y, q, 1))
    return [(1 - q) + q * sympy.log(q) - (1 - q) ** 2 / half - integral]


def integrand() -> Implication:
    import z3

    q, y = z3.Reals("q y")
    return Implication(
        {"q > 0": q > 0, "q <= y": q <= y, "y <= 1": y <= 1}, (y - q) * (1 - y) / y >= 0
    )


def enough_on_average() -> Implication:
    import z3

    mu, n, log = z3.Reals("mu n L")
    t = 1 - n / mu
    return Implication(
        {"μ > 0": mu > 0, "μ >= 2(n + L)": mu >= 2 * (n + log)},
        t * t * mu / 2 >= log,
    )


def mean() -> Implication:
    import z3

    p, k, draws, c = z3.Reals("p K M c")
    return Implication(
        {
            "p >= 1/K": p >= 1 / k,
            "M >= 2K c": draws >= 2 * k * c,
            "K > 0": k > 0,
            "M >= 0": draws >= 0,
        },
        draws * p >= 2 * c,
    )


def union_of(union: bool = True) -> list[Any]:
    import sympy

    m, delta = sympy.symbols("m delta", positive=True)
    s = sympy.symbols("s", real=True)
    log = sympy.log(m / delta if union else 1 / delta)
    return [m * sympy.exp(-log - s) - delta * sympy.exp(-s)]


def missed(union: bool = True) -> Iterator[tuple[Fraction, Fraction]]:
    """The exact chance by inclusion and exclusion."""
    for k in range(1, 6):
        for draws in range(1, 21):
            chance = sum(
                (-1) ** (j + 1) * comb(k, j) * Fraction(k - j, k) ** draws for j in range(1, k + 1)
            )
            yield chance, (k if union else 1) * Fraction(k - 1, k) ** draws


def filled(divided: int = 1, p: Fraction = Fraction(1, 3)) -> Iterator[tuple[Fraction, Fraction]]:
    """Two categories: the exact chance, by multinomials, that one gets fewer than n draws."""
    for n in (1, 2, 3):
        for delta in (Fraction(1, 2), Fraction(1, 10)):
            draws = draws_for(3, n, 2 / delta) // divided
            good = sum(
                multinomial(draws, a, b) * p ** (a + b) * (1 - 2 * p) ** (draws - a - b)
                for a in range(n, draws + 1)
                for b in range(n, draws - a + 1)
            )
            yield 1 - good, delta


def multinomial(draws: int, a: int, b: int) -> int:
    return comb(draws, a) * comb(draws - a, b)


def draws_for(k: int, n: int, ratio: Fraction) -> int:
    """The least M with M/(2K) − n >= ln(ratio), or one more: e^x is at least its partial sums."""
    draws = 2 * k * n
    while sum(Fraction(draws - 2 * k * n, 2 * k) ** j / factorial(j) for j in range(20)) < ratio:
        draws += 1
    return draws

"""Random subset sums beyond [−½, ½] and beyond uniform values.

Theorem. Say that values serve R within η if every z in [−R, R] is within η of a subset sum of them.

(a) Let R >= ½ and h = ⌈2R − 1⌉. If n values uniform on [−1, 1] serve ½ within η with probability at
least 1 − δ/2, and Pr(Bin(m, ¼) < h) <= δ/4, then n + m of them serve R within η with probability at
least 1 − δ.

(b) Let a law be a mixture of U[−c, c] with weight p and another law. If m values uniform on [−1, 1]
serve R/c within η/c with probability at least 1 − δ/2, and Pr(Bin(N, p) < m) <= δ/2, then N values
of that law serve R within η with probability at least 1 − δ.

Proof. (a) Of m extra values, with probability at least 1 − δ/4 each, h lie in [½, 1] and h in
[−1, −½]. Subtract the former from z > ½ one by one, stopping in I = [−½, ½]: each step keeps
z >= −½ and takes ½ off, and after h <= of them z <= R − h/2 <= ½. Likewise for z < −½. What is left
is within η of a subset sum of the other n. (b) Draw each value by an independent label, uniform
with probability p. Given the labels, the first m uniform ones divided by c are uniform on [−1, 1]
and serve R/c within η/c; times c, they serve R within η. The failures' chances add up. ∎

What is checked. Each step for all reals; the subtraction as a whole on a grid; the binomial tail
against an enumeration of labels.

What is not. What is named as assumed; the library's binomial tails, which the tests hold against
exact rationals.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import comb

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size
from proofs.growth import one_more_value

HALF = Fraction(1, 2)


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ ½ < z <= ½ + k/2, ½ <= x <= 1: −½ <= z − x <= ½ + (k − 1)/2",
            "smt",
            lambda: subtract(1),
        ),
        Step(
            "∀ −½ − k/2 <= z < −½, −1 <= x <= −½: −½ − (k − 1)/2 <= z − x <= ½",
            "smt",
            lambda: subtract(-1),
        ),
        Step("∀ R, h >= 2R − 1: R <= ½ + h/2", "smt", far_enough),
        Step("∀ z, x, s, η: |(z − x) − s| <= η ⟹ |z − (x + s)| <= η", "smt", one_more_value),
        Step(
            "∀ X ~ U[−1, 1]: [½, 1] and [−1, −½] have probability ¼ each",
            "exact",
            lambda: quarters(),
            {"X ~ U[−2, 2]": lambda: quarters(end=2)},
        ),
        Step(
            "∀ z, x_1, x_2, x_3 on grids of [−2, 2] and [½, 1]: subtracting one by one ends in I",
            "exact",
            lambda: walks(),
            {
                "there are h − 1 values": lambda: walks(count=2),
                "values down to ¼ are used": lambda: walks(least=Fraction(1, 4)),
                "R is larger": lambda: walks(reach=Fraction(9, 4)),
            },
        ),
        Step("∀ c > 0: |z/c − s| <= η/c ⟹ |z − c s| <= η", "smt", scaled),
        Step(
            "∀ laws p U + (1 − p) Q: a value may be drawn by an independent label, U with "
            "probability p; given the labels, the values labelled U are independent with law U",
            "assumed",
        ),
        Step(
            "∀ N <= 8, m <= N, p = 1/4: Pr(Bin(N, p) < m) counts the labels with fewer than m ones",
            "exact",
            lambda: labels(),
            {"labels are ones with probability 1/3": lambda: labels(chance=Fraction(1, 3))},
            {"m ones are too few": lambda: labels(excess=1)},
        ),
        Step("∀ events: Pr(A ∪ B) <= Pr(A) + Pr(B)", "assumed"),
        Step(
            "∀ δ, a, b, c: a <= δ/2 ∧ b, c <= δ/4 ⟹ a + b + c <= δ",
            "smt",
            shares,
        ),
    )


def subtract(sign: int) -> Implication:
    import z3

    z, x, k = z3.Reals("z x k")
    half = z3.RealVal("1/2")
    a, b = sign * z, sign * x
    return Implication(
        {
            "|z| > ½": a > half,
            "|z| <= ½ + k/2": a <= half + k / 2,
            "|x| >= ½": b >= half,
            "|x| <= 1": b <= 1,
        },
        z3.And(-half <= a - b, a - b <= half + (k - 1) / 2),
    )


def far_enough() -> Implication:
    import z3

    reach, h = z3.Reals("R h")
    return Implication({"h >= 2R − 1": h >= 2 * reach - 1}, reach <= z3.RealVal("1/2") + h / 2)


def quarters(end: int = 1) -> Iterator[tuple[Fraction, Fraction]]:
    share = min(1 - HALF, end - HALF) / (2 * end)
    yield from ((share, Fraction(1, 4)), (Fraction(1, 4), share))


def walks(
    count: int = 3, least: Fraction = HALF, reach: Fraction = Fraction(2)
) -> Iterator[tuple[Fraction, Fraction]]:
    """h = 3 at R = 2; both signs are the same by symmetry."""
    values = [Fraction(k, 8) for k in range(1, 9) if Fraction(k, 8) >= least]
    targets = [Fraction(k, 16) for k in range(int(16 * reach) + 1)]
    for given in product(values, repeat=count):
        for z in targets:
            rest = z
            for x in given:
                rest -= x if rest > HALF else 0
            yield abs(rest), HALF


def scaled() -> Implication:
    import z3

    z, s, c, eta = z3.Reals("z s c eta")
    return Implication({"c > 0": c > 0, "near": size(z / c - s) <= eta / c}, size(z - c * s) <= eta)


def labels(
    chance: Fraction = Fraction(1, 4), excess: int = 0
) -> Iterator[tuple[Fraction, Fraction]]:
    p = Fraction(1, 4)
    for trials in range(1, 9):
        for m in range(trials + 1):
            tail = sum(
                (comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(m)), Fraction(0)
            )
            counted = sum(
                (
                    chance ** sum(ones) * (1 - chance) ** (trials - sum(ones))
                    for ones in product((0, 1), repeat=trials)
                    if sum(ones) < m + excess
                ),
                Fraction(0),
            )
            yield from ((tail, counted), (counted, tail))


def shares() -> Implication:
    import z3

    delta, a, b, c = z3.Reals("delta a b c")
    return Implication(
        {"a <= δ/2": a <= delta / 2, "b <= δ/4": b <= delta / 4, "c <= δ/4": c <= delta / 4},
        a + b + c <= delta,
    )

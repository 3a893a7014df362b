"""What no gadget can do without: counting sums, and signs.

Theorem. (a) If every z of an interval of length T is within η of a subset sum of x_1, ..., x_n,
whatever these numbers are, then 2^n · 2η >= T. (b) Let X_1, ..., X_n, n >= 1, be independent and
symmetric and η < R. If with probability at least 1 − δ every z in [−R, R] is within η of a subset
sum, then 2^(1−n) <= δ.

Proof. (a) One more value at most doubles the number of sums, so there are at most 2^n. The z
within η of one of them form an interval of length 2η, and a union is no longer than its parts
together. (b) X_k has the law of s_k |X_k| with s_k an independent fair sign. With probability
2^(1−n) all signs are the same, say +: then all sums are >= 0 and none is within η < R of −R. ∎

What is checked. The induction, the comparison of lengths and the missed end for all reals; the
chance of equal signs by enumeration up to n = 10; (a) as a whole on a grid of values, the length
of the union measured exactly.

What is not. The facts about lengths and symmetric laws that are named as assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ sets of m <= 2^k sums: a further value adds at most m, so there are <= 2^(k+1)",
            "smt",
            doubled,
        ),
        Step(
            "∀ sets A_1, ..., A_m of reals: |∪ A_i| <= Σ |A_i|, and A ⊂ B ⟹ |A| <= |B|", "assumed"
        ),
        Step("∀ m <= N, η >= 0, T <= m · 2η: T <= N · 2η", "smt", lengths),
        Step(
            "∀ x_1, ..., x_n, n <= 4, on a grid, η: the numbers within η of a sum have length at "
            "most 2^n · 2η",
            "exact",
            lambda: unions(),
            altered={
                "one sum fewer counts": lambda: unions(fewer=1),
                "one side of a sum counts": lambda: unions(sides=1),
            },
        ),
        Step("∀ symmetric X: X has the law of s |X|, s an independent fair sign", "assumed"),
        Step(
            "∀ n <= 10: n fair signs are all equal with probability 2^(1−n)",
            "exact",
            lambda: equal_signs(),
            {"a sign is + with probability 1/3": lambda: equal_signs(Fraction(1, 3))},
            {"the probability is 2^(2−n)": lambda: equal_signs(excess=2)},
        ),
        Step("∀ sums s >= 0, x >= 0: s + x >= 0", "smt", still_positive),
        Step("∀ s >= 0, η < R: |−R − s| > η", "smt", missed),
        Step("∀ δ, p = 2^(1−n) with 1 − δ <= success, success + p <= 1: p <= δ", "smt", confident),
    )


def doubled() -> Implication:
    import z3

    m, after, power = z3.Reals("m m' P")
    return Implication({"m <= 2^k": m <= power, "m' <= m + m": after <= m + m}, after <= 2 * power)


def lengths() -> Implication:
    import z3

    total, m, most, eta = z3.Reals("T m N eta")
    return Implication(
        {"m <= N": m <= most, "η >= 0": eta >= 0, "T <= m · 2η": total <= m * 2 * eta},
        total <= most * 2 * eta,
    )


def unions(fewer: int = 0, sides: int = 2) -> Iterator[tuple[Fraction, Fraction]]:
    values = [Fraction(k, 8) for k in (-8, -3, 1, 2, 6)]
    for n in range(5):
        for xs in product(values, repeat=n):
            sums = {Fraction(0)}
            for x in xs:
                sums |= {s + x for s in sums}
            for eta in (Fraction(1, 32), Fraction(1, 3)):
                yield covered(sums, eta), (2**n - fewer) * sides * eta


def covered(sums: set[Fraction], eta: Fraction) -> Fraction:
    """The length of the union of [s − η, s + η]."""
    total, end = Fraction(0), min(sums) - eta
    for s in sorted(sums):
        total += s + eta - max(end, s - eta)
        end = s + eta
    return total


def equal_signs(
    plus: Fraction = Fraction(1, 2), excess: int = 1
) -> Iterator[tuple[Fraction, Fraction]]:
    for n in range(1, 11):
        chance = sum(
            plus ** sum(signs) * (1 - plus) ** (n - sum(signs))
            for signs in product((0, 1), repeat=n)
            if len(set(signs)) == 1
        )
        claimed = Fraction(2) ** (excess - n)
        yield from ((chance, claimed), (claimed, chance))


def still_positive() -> Implication:
    import z3

    s, x = z3.Reals("s x")
    return Implication({"s >= 0": s >= 0, "x >= 0": x >= 0}, s + x >= 0)


def missed() -> Implication:
    import z3

    s, eta, reach = z3.Reals("s eta R")
    return Implication({"s >= 0": s >= 0, "η < R": eta < reach}, size(-reach - s) > eta)


def confident() -> Implication:
    import z3

    p, delta, success = z3.Reals("p delta success")
    return Implication(
        {"success": 1 - delta <= success, "the miss is no success": success + p <= 1}, p <= delta
    )

"""The first-moment lower bound: even one fixed target needs log2(1/η) + log2(n)/2 − O(1) values.

The chance that some subset of n values, uniform on [−1, 1], meets a fixed z with |z| > η within η
is at most the expected number of such subsets. The empty one is not among them; the sum of k >= 1
values has a symmetric unimodal density, at most its central value f_k(0). So

    Pr[z is met] <= 2η Σ_{k=1}^n C(n, k) f_k(0),

and success with probability 1 − δ needs an n whose right side is at least 1 − δ. f_k(0) is the
central density of an Irwin–Hall sum, evaluated in exact integers. In contrast to counting, which
needs all z at once, this holds for each single z, and it gains the log2(n)/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import comb, factorial
from typing import ClassVar, final

import numpy as np

from slth.bounds import (
    Bound,
    Citation,
    Floats,
    Kind,
    Provenance,
    Size,
    Statement,
    TargetClass,
    check_delta,
    check_epsilon,
)


@cache
def central_density(count: int) -> Fraction:
    """f_k(0), the density at 0 of the sum of k >= 1 values uniform on [−1, 1], exactly."""
    total = sum(
        (-1) ** j * comb(count, j) * (count - 2 * j) ** (count - 1) for j in range((count + 1) // 2)
    )
    return Fraction(total, factorial(count - 1) * 2**count)


@cache
def subset_density(n: int) -> Fraction:
    """Σ_{k=1}^n C(n, k) f_k(0): expected non-empty subset sums per unit length at 0, exactly."""
    return sum((comb(n, k) * central_density(k) for k in range(1, n + 1)), Fraction(0))


def hit_bound(n: int, eta: float) -> float:
    """An upper bound on Pr[some subset of n values is within η of z], for any one |z| > η."""
    return min(1.0, float(2 * Fraction(eta) * subset_density(n)))


def least_values(eta: float, delta: float) -> int:
    """The least n whose `hit_bound` allows success with probability 1 − δ."""
    enough = (1 - Fraction(check_delta(delta))) / (2 * Fraction(float(check_epsilon(eta))))
    n = 0
    while subset_density(n) < enough:
        n += 1
    return n


@final
@dataclass(frozen=True)
class FirstMoment(Bound):
    """Uniform values that one fixed weight larger than the tolerance needs, at least."""

    citation: ClassVar[Citation] = Citation(
        "G. S. Lueker",
        1998,
        "Exponentially small bounds on the expected optimum of the partition and subset sum "
        "problems",
    )

    @property
    def statement(self) -> Statement:
        return Statement(
            Kind.EXPLICIT,
            Provenance.DERIVED,
            r"If $X_k\sim U[-1,1]$ are i.i.d. and, for one $z$ with $|z|>\eta$, some subset of $n$ "
            r"of them sums to within $\eta$ of $z$ with probability at least $1-\delta$, then "
            r"$2\eta\sum_{k=1}^n\binom{n}{k}f_k(0)\ge 1-\delta$.",
            r"\min\{n:\ 2\eta\sum_{k}\binom{n}{k}f_k(0)\geq 1-\delta\}",
            "values per weight, at least, for every layer's largest entry",
            "tolerance per weight",
            "The sum is evaluated in exact integers and n is raised until the inequality holds.",
        )

    def hypotheses(self, target: TargetClass) -> list[str]:
        return []  # about numbers alone

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        counts = [
            [least_values(eta, delta) if r > eta else 0 for r in target.max_entries]
            for eta in errors.flat
        ]
        return np.array(counts, dtype=np.float64).reshape(*errors.shape, target.depth)

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        return Size(samples=tuple(self.ask(target, epsilon, delta).tolist()), least=True)

"""Weights of few values: targets on a grid are subset sums *exactly*, from so many values on.

A submission of 2025 without names, read with its displayed formulas lost: random networks whose
weights have precision δ_in, of twice the target's depth and width O(d log(1/δ)) for
δ_in² <= δ² <= δ_t, hold every target whose weights have precision δ_t exactly. Its step is the
phase transition of Borgs, Chayes and Pittel (2001): n integers up to M have a given subset sum
about when κ = log2(M)/n < 1. Constants are not given.

The explicit version is derived here, for sources whose in-weights are ±1, so that a gadget's
products are its out-weights. Let X_1, …, X_n be independent and uniform on the multiples of ε in
[−2w, 2w] at least: the whole numbers k ε, |k| <= M, with M >= 2T, T = ⌊w/ε⌋.

Theorem. Let J = {−T, …, T}, and C_t ⊆ J the numbers z for which z ε is a sum of some of X_1 … X_t
whose partial sums (in this order) stay in J. Then |C_0| = 1, |C_t| <= |C_{t+1}| <= 2 |C_t|, and
E[|C_{t+1}| − |C_t| | C_t] = |C_t| (2T + 1 − |C_t|)/(2M + 1). Hence Pr(C_n ≠ J) <= G_n for the
dynamic program below, and so every multiple of ε in [−w, w] is a subset sum with probability
1 − G_n, all at once; any other weight is less than ε away from one.
Proof. C_{t+1} = C_t ∪ ((C_t + X_{t+1}/ε) ∩ J). A z in J \\ C_t is new iff z − X/ε lies in C_t; for
every y in C_t, |z − y| <= 2T <= M, so X/ε = z − y has probability 1/(2M + 1); these are disjoint
events. Add up over z. Let V_t(c) be the largest chance, over sets of at least c elements, that t
more values leave some of J out; a straight line above V_t on [c, min(2c, 2T + 1)] bounds its mean
after one more value by the line's height at the mean of |C|, which is V_{t+1}(c) <= that. ∎
The program is `line_step` of `_coverage` in units of 2T, with success where |C| > 2T. Above
T = 4096, and for δ < 1e-12, the same mean gives a formula (`phases`). With p = (2T + 1)/(2M + 1):
while |C| <= (2T + 1)/2, convexity of g^-s on [1, 2] gives E (|C_t|/|C_{t+1}|)^s <= q_s =
1 − (1 − 2^-s) p/2, so by Markov's inequality n_1 values with ((2T + 1)/2)^s q_s^n_1 <= δ/2 end
that; from there on the number left out falls by 1 − p/2 in the mean, and n_2 values with
(2T + 1)/2·(1 − p/2)^n_2 <= δ/2 leave none.

Of N neurons a half Bin(N, 1/2) have the half's sign of u; they are the same for all outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, lru_cache
from typing import ClassVar, Literal, final

import numpy as np

from slth.bounds import (
    Bound,
    Citation,
    ClosedForm,
    Floats,
    Kind,
    Provenance,
    Size,
    Statement,
    TargetClass,
    architecture_failures,
    check_delta,
)
from slth.bounds._coverage import coverage_grid, line_step
from slth.bounds.pensia import diamond_size
from slth.bounds.random_subset_sum import ceil_up, min_trials
from slth.errors import BadInput

POINTS = 32  # of the program's grid, per octave
LARGEST_PROGRAM, LEAST_DELTA = 4096, 1e-12
POWERS = tuple(2.0 ** (k / 4) for k in range(-8, 25))  # s that the formula tries


def multiples(largest: float, step: float) -> int:
    """T: how many multiples of the step lie in (0, largest]."""
    return int(Fraction(largest) / Fraction(step))


def least_values(reach: int, most: int, delta: float) -> int:
    """n: with probability >= 1 − δ every whole number from −T to T is a sum of some of n ones that
    are uniform on −M … M. T = reach, M = most >= 2T; raises BadInput otherwise."""
    if not (0 <= 2 * reach <= most and most >= 1):
        raise BadInput("most", most, f"at least {max(1, 2 * reach)}", "widen the law's range")
    delta = check_delta(delta)
    if reach == 0:
        return 0
    if reach <= LARGEST_PROGRAM and delta >= LEAST_DELTA:
        return _program(reach, most).least(delta)
    return _phases(reach, most, delta)


def neurons(reach: int, most: int, sums: float, blocks: float, delta: float) -> int:
    """N drawn a half: `sums` such problems, in `blocks` blocks whose usable neurons they share, all
    succeed with probability >= 1 − δ; half of δ pays for blocks with too few."""
    values = least_values(reach, most, delta / 2 / sums)
    return max(1, min_trials(0.5, values, delta / 2 / blocks))


class _Program:
    """G_0, G_1, … for whole numbers −T … T and values uniform on −M … M."""

    def __init__(self, reach: int, most: int) -> None:
        unit = 2.0 * reach  # |C| in these units: 1/unit at first, beyond 1 at the end
        self.length = 1 + 1 / unit
        self.grid = coverage_grid(1 / unit, self.length, POINTS)
        growth = self.grid * np.maximum(self.length - self.grid, 0.0) * unit / (2 * most + 1)
        self.gains = growth * (1 - 1e-12)
        self.now = np.ones(self.grid.size)
        self.now[-1] = 0.0
        self.curve = [1.0]

    def least(self, delta: float) -> int:
        while self.curve[-1] > delta:
            self.now = line_step(self.grid, self.now, self.length, self.gains)
            self.curve.append(float(self.now[0]))
        return next(n for n, failure in enumerate(self.curve) if failure <= delta)


@lru_cache(maxsize=64)
def _program(reach: int, most: int) -> _Program:
    return _Program(reach, most)


@cache
def _phases(reach: int, most: int, delta: float) -> int:
    """n_1 + n_2 of the formula."""
    p = (2 * reach + 1) / (2 * most + 1)
    half, margin = math.log(2 * reach + 1) - math.log(2), math.log(2 / delta)
    first = min((s * half + margin) / -math.log1p(-p / 2 * (1 - 2.0**-s)) for s in POWERS)
    second = (half + margin) / -math.log1p(-p / 2)
    return ceil_up(first) + ceil_up(second)


@final
@dataclass(frozen=True)
class Quantised(Bound):
    """Neurons per half block and layer, for targets on the grid of step ε; `asymptotic` gives the
    paper's rate without a constant."""

    form: Literal["explicit", "asymptotic"] = "explicit"

    citation: ClassVar[Citation] = Citation(
        "Anonymous", 2025, "Quantization vs Pruning: Insights from the SLTH"
    )

    @property
    def statement(self) -> Statement:
        if self.form == "asymptotic":
            return Statement(
                Kind.ASYMPTOTIC,
                Provenance.RESTATED,
                r"A random network of depth $2\ell$, width $O(d\log(1/\epsilon))$ and weights of "
                r"precision at most $\sqrt\epsilon$ holds, with high probability, every target of "
                r"width $d$ and depth $\ell$ with weights of precision $\epsilon$, exactly; so "
                r"every one up to $\epsilon$ a weight.",
                r"d\log(1/\epsilon)",
                "width of the source, up to a universal factor",
                "tolerance per weight",
            )
        return Statement(
            Kind.EXPLICIT,
            Provenance.DERIVED,
            r"Let all weights of $f$ be multiples of $\epsilon$, at most $w_i$ in layer $i$. If "
            r"$g$ has depth $2\ell$, hidden widths $2d_{i-1}n_i$, in-weights $\pm1$, out-weights "
            r"uniform on the multiples of $\epsilon$ in $[-2w_i,2w_i]$, then with probability at "
            r"least $1-\delta$ every such $f$ has a mask $S$ with $g_S=f$; so every $f$ one with "
            r"weights off by less than $\epsilon$.",
            r"n_{\mathrm{grid}}(w_i/\epsilon,\ \delta/\sum_k 2d_{k-1}d_k)",
            "neurons drawn per half block, a layer",
            "tolerance per weight",
            "A dynamic program over the number of multiples covered, by its mean growth alone; "
            "binomial tails are searched for the least number of neurons.",
        )

    @classmethod
    def variants(cls) -> tuple[Quantised, ...]:
        return cls(), cls("asymptotic")

    def hypotheses(self, target: TargetClass) -> list[str]:
        return architecture_failures(replace(target, biases=False))

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, 1.0

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        if self.form == "asymptotic":
            rate: Floats = max(target.dims) * np.log(1 / errors)
            return rate
        sizes = [grid_sizes(target, e, delta) for e in errors.flat]
        return np.array(sizes, dtype=np.float64).reshape(*errors.shape, target.depth)

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        if self.form == "asymptotic":
            return None
        return diamond_size(target, self.ask(target, epsilon, delta).tolist())

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        if self.form == "explicit":
            return None
        return ClosedForm("d*log(1/epsilon)", ({"d": max(target.dims), "epsilon": float(epsilon)},))


def grid_sizes(
    target: TargetClass, step: float, delta: float, most: int | None = None
) -> tuple[int, ...]:
    """n_i a layer, for out-weights uniform on −M … M times the step (by default M = 2T_i)."""
    sums = sum(2.0 * a * b for a, b in target.links)
    blocks = sum(2.0 * a for a, _ in target.links)
    each = (multiples(largest, step) for largest in target.max_entries)
    return tuple(
        neurons(reach, most if most is not None else max(1, 2 * reach), sums, blocks, delta)
        for reach in each
    )

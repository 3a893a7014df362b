"""Gadhikar et al. (2022): random masks are all we need to start sparse.

In an Erdős–Rényi network every edge exists independently with chance p, its density. The paper's
abstract: random masks leave room for any target if the network is wider by a factor
1/log(1/sparsity), sparsity = 1 − p; and sparse random networks hold strong tickets, too.

`copies`, explicit, derived here: existing edges may take any value. Give every input and every
hidden neuron m copies. A target edge into copy c of neuron j needs one edge from any of m copies of
its input, and none of them exists with chance (1 − p)^m. A hidden layer asks for m d_{i-1} d_i such
edges (each of the m copies is to be right), the last for d_{l-1} d_l. So

    (1 − p)^m (m Σ_{i<l} d_{i-1} d_i + d_{l-1} d_l) <= δ

suffices for the network to hold the target exactly, whatever ε.

`diamond`, explicit, derived here: strong tickets, existing edges random and uniform on [−1, 1]. The
construction of `pensia` uses a neuron of a half block for output j if both its links exist, of
chance p². Of N drawn, Bin(N, p²) are left, so N = min_trials(p², n_i(η_i, δ'), δ') with δ' =
δ/(2 Σ 2 d_{k-1} d_k): half of δ for links that lack, half for subset sums that fail.

`asymptotic`: the abstract's factor. It is said to be necessary for small depths as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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
    check_density,
    unit_class_failures,
)
from slth.bounds.pensia import block_sizes, diamond_size, even_tolerances, link_events
from slth.bounds.random_subset_sum import min_trials


def copies_needed(target: TargetClass, density: float, delta: float) -> int:
    """m: the inequality holds there, and not with one copy less."""
    *hidden, last = [a * b for a, b in target.links]
    miss = math.log1p(-density) if density < 1 else -math.inf

    def enough(m: int) -> bool:
        return m * miss + math.log(m * sum(hidden) + last) <= math.log(delta) - 1e-9

    low, high = 0, 1
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@final
@dataclass(frozen=True)
class RandomSparse(Bound):
    """Copies of each neuron, or neurons a half block, in a source of that density."""

    form: Literal["copies", "diamond", "asymptotic"] = "copies"
    density: float = 0.5

    citation: ClassVar[Citation] = Citation(
        "A. H. Gadhikar, S. Mukherjee, R. Burkholz",
        2022,
        "Why Random Pruning Is All We Need to Start Sparse",
        "2210.02412",
    )

    def __post_init__(self) -> None:
        check_density(self.density)
        if self.form == "asymptotic":
            check_density(self.density, 1 - 1e-12)

    @property
    def statement(self) -> Statement:
        text, formula, quantity = {
            "copies": (
                r"If every edge of a network with $m$ copies of each input and hidden neuron "
                r"exists independently with probability $p$, then with probability at least "
                r"$1-\delta$ its existing edges can be given values that make it equal to $f$.",
                r"\min\{m:\ (1-p)^m\sum_i c_id_{i-1}d_i\leq\delta\},\ c_{i<\ell}=m,\ c_\ell=1",
                "copies of each input and hidden neuron",
            ),
            "diamond": (
                r"Let $\|W_i\|\le 1$ for all $i\le\ell$. If $g$ has depth $2\ell$, hidden widths "
                r"$2d_{i-1}N_i$, and each of its weights is $U[-1,1]$ with probability $p$ and "
                r"else 0, then with probability at least $1-\delta$ every such $f$ has a mask $S$ "
                r"with $\sup_{\|x\|\le 1}\|f(x)-g_S(x)\|\le\epsilon$.",
                r"\min\{N:\ \Pr[\mathrm{Bin}(N,p^2)<n_i]\leq\delta'\}",
                "neurons drawn per half block, a layer",
            ),
            "asymptotic": (
                r"A randomly masked network that is wider than the target by a factor of order "
                r"$1/\log(1/(1-p))$, $1-p$ its sparsity, can approximate the target.",
                r"1/\log(1/(1-p))",
                "width relative to the target's, up to a universal factor",
            ),
        }[self.form]
        algorithm = {
            "copies": "The inequality is solved for m by bisection.",
            "diamond": "A random subset sum, then a binomial tail, is searched for the least N.",
            "asymptotic": "",
        }[self.form]
        rate = self.form == "asymptotic"
        return Statement(
            Kind.ASYMPTOTIC if rate else Kind.EXPLICIT,
            Provenance.ASYMPTOTIC_ONLY if rate else Provenance.DERIVED,
            text,
            formula,
            quantity,
            "error of the network over the unit ball" if self.form == "diamond" else "not used",
            algorithm,
        )

    @classmethod
    def variants(cls) -> tuple[RandomSparse, ...]:
        return cls(), cls("diamond"), cls("asymptotic")

    def hypotheses(self, target: TargetClass) -> list[str]:
        if self.form == "diamond":
            return unit_class_failures(target)
        return architecture_failures(replace(target, biases=False))  # a bias is one more input

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        if self.form == "asymptotic":
            return np.full(errors.shape, -1 / math.log1p(-self.density))
        if self.form == "copies":
            return np.full(errors.shape, float(copies_needed(target, self.density, delta)))
        each, chance = delta / (2 * link_events(target)), self.density**2
        counts = [
            [
                min_trials(chance, n, each)
                for n in block_sizes(target, even_tolerances(target, float(e)), delta / 2)
            ]
            for e in errors.flat
        ]
        return np.array(counts, dtype=np.float64).reshape(*errors.shape, target.depth)

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        if self.form == "asymptotic":
            return None
        values = self.ask(target, epsilon, delta)
        if self.form == "copies":
            m = float(values)
            return Size((m,) * target.depth, tuple(m * d for d in target.dims[1:-1]))
        dense = diamond_size(target, values.tolist())
        return replace(dense, weights=self.density * (dense.weights or 0.0))  # on average

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        if self.form != "asymptotic":
            return None
        return ClosedForm("1/log(1/(1 - p))", ({"p": self.density},))

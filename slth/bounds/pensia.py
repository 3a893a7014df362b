"""Pensia et al. (2020), theorem 1: a logarithmic factor of random neurons holds every target.

The source has two layers for each target layer d_{i-1} → d_i. Its hidden layer consists of a block
of 2n neurons for every input, half of them for positive and half for negative arguments, and each
of the d_i outputs solves two subset sums in each block. The paper's n is C log(d_{i-1} d_i l /
min(ε, δ)) with a universal C that it does not compute.

The explicit version, derived here: each of the Σ 2 d_{i-1} d_i subset sums succeeds, for all
weights in [−1, 1] at once, with probability 1 − δ/Σ 2 d_{i-1} d_i for n = n_rss_product (sharing
in-weights between outputs does no harm to a union bound). With ||W_i|| <= 1, ||x|| <= 1 and
per-weight error η_i = ε/(2 l sqrt(d_{i-1} d_i)) a layer is off by at most ε/(2l) relative to its
input, so the network by (1 + ε/(2l))^l − 1 <= e^(ε/2) − 1 <= ε for ε <= 1; a larger ε is served as
1 is. (The paper uses the smaller ε/(2 l d_{i-1} d_i).) A layer with biases has one more block,
whose input is constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    check_delta,
    check_epsilon,
    unit_class_failures,
)
from slth.bounds.random_subset_sum import Method, n_rss_product
from slth.errors import BadInput


def even_tolerances(target: TargetClass, epsilon: float) -> tuple[float, ...]:
    """η_i = ε/(2 l sqrt(d_{i-1} d_i)): enough for every target of the unit class."""
    share = min(float(check_epsilon(epsilon)), 1.0) / (2 * target.depth)
    return tuple(share / (a * b) ** 0.5 for a, b in target.links)


def link_events(target: TargetClass) -> int:
    """The subset sums or pools that must all succeed: two a link."""
    return sum(2 * a * b for a, b in target.links)


def block_sizes(
    target: TargetClass, etas: Sequence[float], delta: float, method: Method = "dynamic"
) -> tuple[int, ...]:
    """n_i, neurons drawn per half block: with probability >= 1 − δ every weight of every target
    whose entries (biases counted) are at most 1, or at most the class's largest, is met within η_i.
    Raises BadInput unless there is an η a layer."""
    if len(etas) != target.depth:
        raise BadInput("etas", len(etas), f"{target.depth}, one a layer", "pass one a layer")
    each = check_delta(delta) / link_events(target)
    reach = (max(1.0, entry) for entry in target.max_entries)
    return tuple(n_rss_product(e, each, method, r) for e, r in zip(etas, reach, strict=True))


def diamond_size(target: TargetClass, sizes: Sequence[float]) -> Size:
    """The source with n_i = sizes[i] neurons a half block: blocks of 2 n_i for every input, and
    between them the target's own layers."""
    links = zip(sizes, target.links, strict=True)
    widths = [w for n, (a, b) in links for w in (2.0 * n * a, float(b))]
    weights = sum(2.0 * n * a * (a + b) for n, (a, b) in zip(sizes, target.links, strict=True))
    return Size(tuple(float(n) for n in sizes), tuple(widths[:-1]), weights)


def parameters(target: TargetClass, sizes: Sequence[int]) -> int:
    """Prunable weights of the source: Σ 2 n_i d_{i-1} (d_{i-1} + d_i), constant inputs counted.

    A bias block's in-weights are the hidden layer's bias vector, drawn for every hidden neuron.
    """
    return sum(2 * n * a * (a + b) for n, (a, b) in zip(sizes, target.links, strict=True))


@final
@dataclass(frozen=True)
class Pensia(Bound):
    """Neurons per half block and layer; `asymptotic` gives the paper's rate without its C."""

    form: Literal["explicit", "asymptotic"] = "explicit"
    method: Method = "dynamic"

    citation: ClassVar[Citation] = Citation(
        "A. Pensia, S. Rajput, A. Nagle, H. Vishwakarma, D. Papailiopoulos",
        2020,
        "Optimal Lottery Tickets via SubsetSum: Logarithmic Over-Parameterization is Sufficient",
        "2006.07990",
    )

    @property
    def statement(self) -> Statement:
        explicit = self.form == "explicit"
        width = (
            r"2d_{i-1}n_i" if explicit else r"C d_{i-1}\log(d_{i-1}d_i\ell/\min\{\epsilon,\delta\})"
        )
        return Statement(
            Kind.EXPLICIT if explicit else Kind.ASYMPTOTIC,
            Provenance.DERIVED if explicit else Provenance.STATED,
            r"Let $\|W_i\|\le 1$ for all $i\le\ell$. If $g$ has depth $2\ell$, i.i.d. weights "
            rf"$U[-1,1]$ and hidden widths ${width}$, then with probability at least $1-\delta$ "
            r"every such $f$ has a mask $S$ with $\sup_{\|x\|\le 1}\|f(x)-g_S(x)\|\le\epsilon$.",
            r"n_{\mathrm{product}}(\eta_i,\ \delta/\sum_k 2d_{k-1}d_k)"
            if explicit
            else r"\log(d_{i-1}d_i\ell/\min\{\epsilon,\delta\})",
            "neurons drawn per half block, a layer"
            if explicit
            else "neurons per input and layer, up to a universal factor",
            "error of the network over the unit ball",
            "n_rss_product, a layer: see random_subset_sum; binomial tails are searched for the "
            "least number of neurons."
            if explicit
            else "",
        )

    @classmethod
    def variants(cls) -> tuple[Pensia, ...]:
        return cls(), cls("asymptotic")

    def hypotheses(self, target: TargetClass) -> list[str]:
        return unit_class_failures(target)

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        if self.form == "asymptotic":
            size = np.array([float(a * b) * target.depth for a, b in target.links])
            least: Floats = np.minimum(errors, delta)[..., None]
            rate: Floats = np.log(size) - np.log(least)
            return rate
        sizes = [
            block_sizes(target, even_tolerances(target, e), delta, self.method) for e in errors.flat
        ]
        return np.array(sizes, dtype=np.float64).reshape(*errors.shape, target.depth)

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        if self.form == "asymptotic":
            return None
        return diamond_size(target, self.ask(target, epsilon, delta).tolist())

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        if self.form == "explicit":
            return None
        shared = {"l": target.depth, "epsilon": float(epsilon), "delta": delta}
        return ClosedForm(
            "log(a*b*l/Min(epsilon, delta))",
            tuple({"a": a, "b": b, **shared} for a, b in target.links),
        )

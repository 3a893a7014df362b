"""Burkholz (2022): a random network with one layer more than the target, not twice as many.

The paper's idea: after a first layer that serves every input by univariate neurons, each neuron of
the target is built in several copies, so that the next layer's weights are subset sums of plain
random weights to these copies; no layer in between is needed.

`derived`, ours, for ReLU and no biases. Layer 1 of the target takes two layers of the source as in
`pensia`: n_1 neurons a half block. Let ρ_i be the copies of each neuron of target layer i, ρ_l = 1.
For i >= 2 copy c of neuron j has, for every input neuron a, ρ_{i-1} weights uniform on [−1, 1] to
the copies of a; if a subset of them sums to w_{ja} within η_i, then with inputs x + e_k, e_k copy
k's own error, neuron j's argument is off by at most

    η_i |x|_1 + Σ_a Σ_{k in S} |v_k| |e_k| <= η_i |x|_1 + A_i max|e|,   A_i = d_{i-1} ρ_{i-1}.

The copies' errors differ, so that A_i and not the norm of W_i amplifies them. Unrolled, an output
is off by at most Σ_i (Π_{k>i} A_k) η_i B_{i-1}, where B_i = sqrt(d_i) R ||W_1|| ... ||W_i||
bounds |f_i|_1 on a domain of radius R; so

    η_i = ε/(l sqrt(d_l) B_{i-1} Π_{k>i} A_k)

suffices for the Euclidean norm of d_l outputs. These products go from the last layer to the first:
η_l needs no A, ρ_{l-1} = n_rss_reach(η_l, r_l, δ_l) gives A_l, that η_{l-1}, and so on down to
n_1 = n_rss_product(η_1, δ_1), r_i the largest entry of layer i (at least 1). Layer i has
ρ_i d_{i-1} d_i subset sums (layer 1 twice as many), known by then; each gets an equal share of δ/l.
The bound serves all targets of the class at once. A_i counts every weight as 1 and every subset as
the whole, so it is generous.

`asymptotic`: the theorem's rate as remembered, without its constants: for display only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
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
)
from slth.bounds.random_subset_sum import n_rss_product, n_rss_reach

LEAST = math.log(1e-150)  # of a tolerance


def log_sums(target: TargetClass) -> list[float]:
    """ln B_0, ..., ln B_{l-1}: B_i bounds |f_i(x)|_1 over the domain, f_i the input of layer i + 1.

    In logs, since the product of many norms may overflow."""
    gains = [target.input_radius, *target.spectral_norms[:-1]]
    logs = np.cumsum([math.log(max(gain, 1e-300)) for gain in gains])
    return [float(g) + math.log(d) / 2 for d, g in zip(target.dims[:-1], logs, strict=True)]


def copies(target: TargetClass, epsilon: float, delta: float) -> tuple[list[float], list[float]]:
    """([n_1, ρ_1, ..., ρ_{l-1}], [η_1, ..., η_l]): neurons a half block of the first layer, and
    copies of each neuron of layers 1 to l − 1. NaN for all where an η is below 1e-150."""
    depth, dims, sums = target.depth, target.dims, log_sums(target)
    sizes: list[float] = []
    etas: list[float] = []
    rest, rho = math.log(epsilon) - math.log(depth) - math.log(dims[-1]) / 2, 1
    for i in range(depth, 0, -1):
        log_eta = min(rest - sums[i - 1], math.log(2))
        if log_eta < LEAST:
            return [math.nan] * depth, [math.nan] * depth
        eta = math.exp(log_eta)
        rho = _below(target, i, eta, rho, delta)
        if i > 1:
            rest -= math.log(dims[i - 1] * rho)
        sizes.append(rho)
        etas.append(eta)
    return sizes[::-1], etas[::-1]


def copies_at(target: TargetClass, etas: Sequence[float], delta: float) -> list[float]:
    """[n_1, ρ_1, ..., ρ_{l-1}] that meet these tolerances in every layer with probability 1 − δ."""
    sizes, rho = [], 1
    for i in range(target.depth, 0, -1):
        rho = _below(target, i, etas[i - 1], rho, delta)
        sizes.append(float(rho))
    return sizes[::-1]


def _below(target: TargetClass, i: int, eta: float, rho: int, delta: float) -> int:
    """Copies of each input of layer i, or n_1, where its own neurons have ρ copies."""
    events = rho * target.dims[i - 1] * target.dims[i] * (2 if i == 1 else 1)
    share = delta / (target.depth * events)
    reach = max(1.0, target.max_entries[i - 1])
    if i == 1:
        return n_rss_product(eta, share, reach=reach)
    return max(1, n_rss_reach(eta, reach, share))


def row_sums(target: TargetClass) -> list[list[float]]:
    """For each layer, bounds on the largest row sums of the hidden layers after it."""
    rows = [s * math.sqrt(d) for s, d in zip(target.spectral_norms, target.dims, strict=False)]
    return [rows[i + 1 : -1] for i in range(target.depth)]


@final
@dataclass(frozen=True)
class DepthPlusOne(Bound):
    """Neurons a half block in the first layer, then copies of every hidden neuron."""

    form: Literal["derived", "asymptotic"] = "derived"

    citation: ClassVar[Citation] = Citation(
        "R. Burkholz",
        2022,
        "Most Activation Functions Can Win the Lottery Without Excessive Depth",
        "2205.02321",
    )

    @property
    def statement(self) -> Statement:
        if self.form == "derived":
            return Statement(
                Kind.EXPLICIT,
                Provenance.DERIVED,
                r"If $g$ has depth $\ell+1$, i.i.d. weights $U[-1,1]$ and hidden widths "
                r"$2d_0n_1,\rho_1d_1,\dots,\rho_{\ell-1}d_{\ell-1}$, then with probability at "
                r"least $1-\delta$ every $f$ of the class has a mask $S$ with "
                r"$\sup_x\|f(x)-g_S(x)\|\le\epsilon$.",
                r"\rho_{i-1}=n(\epsilon/(\ell\sqrt{d_\ell}B_{i-1}\prod_{k>i}d_{k-1}\rho_{k-1}),"
                r"\ \delta/(\ell\rho_id_{i-1}d_i))",
                "neurons a half block for layer 1, then copies of each input of a layer",
                "error of the network over the domain",
                "From the last layer to the first, since each layer's tolerance depends on the "
                "copies in the layers after it; every count is that of a random subset sum.",
            )
        return Statement(
            Kind.ASYMPTOTIC,
            Provenance.REMEMBERED,
            r"If $g$ has depth $\ell+1$ and layer $i$ has at least "
            r"$Cd_i\log(1/\min\{\epsilon_{i+1},\delta/N\})$ neurons (terms in $\log\log$ left "
            r"out), $\epsilon_i=\epsilon/(d_\ell\ell(1+B_{i-1})(1+\epsilon/\ell)\prod_{i<k<\ell}"
            r"(\|W_k\|_\infty+\epsilon/\ell))$, then with probability at least $1-\delta$ the "
            r"target, of $N$ weights, has an $\epsilon$-approximation among $g$'s subnetworks.",
            r"\log(1/\min\{\epsilon_i,\delta/N\})",
            "source neurons per target neuron and layer, up to a universal factor",
            "error of the network over the domain",
        )

    @classmethod
    def variants(cls) -> tuple[DepthPlusOne, ...]:
        return cls(), cls("asymptotic")

    def hypotheses(self, target: TargetClass) -> list[str]:
        return architecture_failures(target)

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, math.inf if self.form == "derived" else 1.0

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        if self.form == "derived":
            counts = [copies(target, float(e), delta)[0] for e in errors.flat]
            return np.array(counts, dtype=np.float64).reshape(*errors.shape, target.depth)
        weights = sum(a * b for a, b in target.links)
        slack, rates = errors / target.depth, []
        for bound, rows in zip(log_sums(target), row_sums(target), strict=True):
            cost = math.log(target.dims[-1]) + np.logaddexp(0, bound) + np.log1p(slack)
            rate = cost - np.log(slack) + sum(np.log(row + slack) for row in rows)
            rates.append(np.maximum(rate, math.log(weights) - math.log(delta)))
        return np.stack(rates, axis=-1)

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        if self.form == "asymptotic":
            return None
        first, *rho = counts = self.ask(target, epsilon, delta).tolist()
        dims = [float(d) for d in target.dims]
        hidden = [2 * first * dims[0], *(r * d for r, d in zip(rho, dims[1:-1], strict=True))]
        widths = [dims[0], *hidden, dims[-1]]
        weights = sum(a * b for a, b in pairwise(widths))
        return Size(tuple(counts), tuple(hidden), weights)

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        if self.form == "derived":
            return None
        rows = row_sums(target)
        between = [math.prod(w + epsilon / target.depth for w in r) for r in rows]
        shared = {"epsilon": float(epsilon), "delta": delta, "l": target.depth}
        shared |= {"d": target.dims[-1], "N": sum(a * b for a, b in target.links)}
        return ClosedForm(
            "-log(Min(epsilon/(d*l*(1 + B)*(1 + epsilon/l)*P), delta/N))",
            tuple(
                {"B": math.exp(min(b, 700.0)), "P": p, **shared}
                for b, p in zip(log_sums(target), between, strict=True)
            ),
        )

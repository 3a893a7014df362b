"""Counting lower bounds: 2^N masks tell at most 2^N targets apart.

One gadget. The 2^n subset sums of n values cover measure at most 2^n · 2η, so meeting every z of an
interval of length T within η needs 2^n · 2η >= T: n >= log2(T/(2η)), whatever the values. If n
symmetric values are random, all have one sign with probability >= 2^(1−n), and then targets of the
other sign beyond η are missed; success with probability 1 − δ forces n >= log2(2/δ).

A whole source. Let N prunable weights, of any law, be such that every target h of a class is
within ε of some mask with probability >= 1 − δ (the mask may depend on h and the draw). Let P be a
subset of the class, its members pairwise more than 2ε apart in the sup metric, as large as
possible. A mask is within ε of at most one member, so |P|(1 − δ) <= E #{members met} <= 2^N:

    N >= log2|P| + log2(1 − δ).                                                            (1)

Pensia et al. (2020), theorem 2, takes the maps x ↦ Wx, W of shape [m, n], ||W|| <= 1, on the unit
ball, where the sup metric is the spectral norm. Balls of radius 2ε around P cover this unit ball of
dimension D = mn, so comparing volumes |P| >= (1/(2ε))^D and

    N >= m n log2(1/(2ε)) − 1 at δ = 1/2.

A target of depth l >= 2 with layers d_{i-1} → d_i, ||W_i|| <= 1: vary the first or the last layer
alone. The others are partial identities, which pass as many coordinates as the narrowest of them
has (non-negative ones, behind a ReLU), so that the targets are

 - x ↦ σ(Wx), W of shape [s, d_0], s = min(d_1, ..., d_l). Since σ(Wx) − σ(−Wx) = Wx, the distance
   at x or at −x is at least half of ||(W − W')x||: spectral norms 4ε apart suffice and
   |P| >= (1/(4ε))^(s d_0).
 - y ↦ Wy, W of shape [d_l, r], r = min(d_0, ..., d_{l-1}), for y >= 0 with ||y|| <= 1. Splitting
   x = x⁺ − x⁻ gives ||Ax|| <= (||x⁺|| + ||x⁻||) times the sup over such y, and ||x⁺|| + ||x⁻|| <=
   sqrt(2) ||x||: |P| >= (1/(2 sqrt(2) ε))^(d_l r).

(A layer between them, varied alone in this way, has min(d_0, ..., d_{i-1}) · min(d_i, ..., d_l)
free weights, never more than the larger of these two counts.)

The bound is the larger of these; that several layers may be varied at once is not proved here, so
it is not claimed. For norms up to a_i and a ball of radius R inside the domain, ReLU's homogeneity
replaces ε by ε/(R a_1 ... a_l); biases and larger domains only enlarge the class. Theorem 2 as
stated is the case l = 1, m = n, δ = 1/2 without constants; the rest is derived here.

The bound is about a source that can hold *all* targets of the class. It says nothing about a source
that is lucky with one of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, final

import numpy as np
from numpy.typing import ArrayLike

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
    check_epsilon,
)

MARGIN = 1e-9  # rounding must not lift a lower bound


def gadget(eta: ArrayLike, length: float) -> Floats:
    """log2(length/(2η)), at least 0: fewer values cannot meet an interval of that length."""
    etas = check_epsilon(eta)
    if length <= 0:
        return np.zeros(etas.shape)
    values: Floats = np.maximum(0.0, np.log2(length) - np.log2(2 * etas))
    return values


def sign(delta: float) -> float:
    """log2(2/δ): fewer symmetric values all have one sign more often than δ."""
    return 1 - math.log2(check_delta(delta))


def separated(rows: int, columns: int, epsilon: ArrayLike) -> Floats:
    """log2 of how many maps x ↦ Wx, W `[rows, columns]`, ||W|| <= 1, lie more than 2ε apart, at
    least: rows · columns · log2(1/(2ε))."""
    return -rows * columns * np.log2(2 * check_epsilon(epsilon))


def separated_targets(dims: tuple[int, ...], epsilon: ArrayLike) -> Floats:
    """The same for networks of these widths with all norms at most 1 on the unit ball."""
    epsilon = check_epsilon(epsilon)
    if len(dims) == 2:
        return separated(dims[1], dims[0], epsilon)
    first = separated(min(dims[1:]), dims[0], 2 * epsilon)
    last = separated(dims[-1], min(dims[:-1]), math.sqrt(2) * epsilon)
    best: Floats = np.maximum(first, last)
    return best


def packing(target: TargetClass, errors: Floats) -> Floats:
    """log2|P| for a class, at least 0: how many of its targets lie more than 2ε apart."""
    gains = [target.inner_radius, *target.spectral_norms]
    if min(gains) == 0:
        return np.zeros(errors.shape)
    # in logs, since the product of many norms may overflow; scaling beyond 1e-140 is not told
    shift = sum(math.log(g) for g in gains)
    scaled = np.exp(np.clip(np.log(errors) - shift, math.log(1e-140), 200.0))
    return np.maximum(0.0, separated_targets(target.dims, scaled))


@final
@dataclass(frozen=True)
class Counting(Bound):
    """What no source can do without: `network` counts its prunable weights, `gadget` the values
    of one weight."""

    level: Literal["network", "gadget"] = "network"

    citation: ClassVar[Citation] = Citation(
        "A. Pensia, S. Rajput, A. Nagle, H. Vishwakarma, D. Papailiopoulos",
        2020,
        "Optimal Lottery Tickets via SubsetSum: Logarithmic Over-Parameterization is Sufficient",
        "2006.07990",
    )

    @property
    def statement(self) -> Statement:
        if self.level == "gadget":
            return Statement(
                Kind.EXPLICIT,
                Provenance.DERIVED,
                r"If with probability at least $1-\delta$ every $z\in[-R,R]$ is within $\eta<R$ of "
                r"a subset sum of $n$ i.i.d. symmetric values, then "
                r"$n\ge\max\{\log_2(R/\eta),\log_2(2/\delta)\}$.",
                r"\max\{\log_2(R/\eta),\log_2(2/\delta)\}",
                "values per weight, at least, for every layer's largest entry",
                "tolerance per weight",
            )
        return Statement(
            Kind.EXPLICIT,
            Provenance.DERIVED,
            r"If every target with these widths and norms is, with probability at least "
            r"$1-\delta$, within $\epsilon$ of some mask of a source with $N$ prunable weights, "
            r"then $2^N\ge(1-\delta)|P|$ for every $2\epsilon$-separated set $P$ of such targets; "
            r"for $x\mapsto Wx$, $W\in\mathbb{R}^{m\times n}$, $N\ge mn\log_2(1/(2\epsilon))"
            r"+\log_2(1-\delta)$.",
            r"\log_2|P|+\log_2(1-\delta)",
            "prunable weights of the source, at least",
            "error of the network over the domain",
        )

    @classmethod
    def variants(cls) -> tuple[Counting, ...]:
        return cls(), cls("gadget")

    def hypotheses(self, target: TargetClass) -> list[str]:
        if self.level == "gadget":
            return []  # about numbers alone
        plain = replace(target, biases=False)  # biases enlarge the class, which does no harm
        failed = architecture_failures(plain)
        if target.inner_radius == 0:
            failed.append(
                "The domain is not known to hold a ball around 0, on which targets are told apart."
            )
        return failed

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        if self.level == "gadget":
            reach = np.array(target.max_entries)
            with np.errstate(divide="ignore"):
                count = np.log2(reach) - np.log2(errors)[..., None]
            needed = np.maximum(np.maximum(count, 0.0), sign(delta))
            return np.where(count > 0, needed, 0.0) * (1 - MARGIN)
        bits = packing(target, errors) + math.log2(1 - delta)
        return np.maximum(0.0, bits) * (1 - MARGIN)

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        values = self.ask(target, epsilon, delta)
        if self.level == "gadget":
            return Size(samples=tuple(values.tolist()), least=True)
        return Size(weights=float(values), least=True)

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        shared = {"epsilon": float(epsilon), "delta": delta, "mu": MARGIN}
        if self.level == "gadget":
            needed = "(1 - mu)*Max(log(M/epsilon, 2), log(2/delta, 2))"
            return ClosedForm(
                f"Piecewise(({needed}, M > epsilon), (0, True))",
                tuple({"M": entry, **shared} for entry in target.max_entries),
            )
        gain = math.prod([target.inner_radius, *target.spectral_norms])
        if gain == 0:
            return ClosedForm("0", ({},))
        dims = target.dims  # `first` and `last`: weights free in the first and in the last layer
        first = min(dims[1:]) * dims[0] if target.depth > 1 else 0
        shared |= {"g": gain, "last": dims[-1] * min(dims[:-1])}
        if first == 0:
            bits = "last*log(g/(2*epsilon), 2)"
        else:
            shared |= {"first": first}
            bits = "Max(first*log(g/(4*epsilon), 2), last*log(g/(2*sqrt(2)*epsilon), 2))"
        return ClosedForm(f"(1 - mu)*Max(0, {bits} + log(1 - delta, 2))", (shared,))

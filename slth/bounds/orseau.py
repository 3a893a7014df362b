"""Orseau et al. (2020): hyperbolic weights and a golden-ratio decomposition instead of luck.

The paper's abstract: a logarithmic factor, in all variables but depth, of random neurons per target
weight suffices, without Malach's restrictions on norms and inputs. Its two ideas: a weight is
written greedily in the base γ = 3/2 < φ by one random value from each of k geometric intervals, and
weights drawn from a log-uniform ("hyperbolic") law fall into each interval equally often.

`derived`, ours. Let Φ = max over layers of |inputs of a layer|_max, m the largest width, and

    ε_w = min{ε/(e l m^{3/2} Φ Π max(1, ||W_i||)), 1/(l m)},
    k = max(1, ⌈log_{3/2}(w_max/ε_w)⌉),  M_i = ⌈8k ln(4 k l d_{i-1} d_i/δ)⌉.

A block of M_i hidden neurons for every input, all weights drawn with random sign from the density
1/(w ln(b/a)) on [a, b], a = sqrt(w_max/2) γ^{−3k/4}, b = a γ^k. The product uv of a neuron's two
weights falls into each of the 4k categories (sign of u, sign of uv, interval
(α γ^{−c−1}, α γ^{−c}] with α = w_max/2) with probability >= 1/(8k), since ln|uv| is triangular and
these k intervals are the middle half of its range. So for fixed layer, input and output some
category stays empty with probability <= 4k (1 − 1/(8k))^{M_i} <= δ/(l d_{i-1} d_i). Where none
does, the greedy rule leaves 0 <= |w| − Σ <= w_max γ^{−k} <= ε_w in either half. Residuals are
ε_w-Lipschitz, a layer's at most ε_w m |y|_max sqrt(m) in norm; with ε_w m <= 1/l the errors of l
layers add up to at most l e m^{3/2} ε_w Φ Π max(1, ||W_i||) <= ε. It holds for all targets of the
class at once. Here Φ <= the domain's radius times the largest product of leading norms.

`remembered`: a form close to it, attributed to the paper from memory: for display only.
"""

from __future__ import annotations

import math
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
    architecture_failures,
    check_delta,
)

BASE = 1.5
MARGIN = 1e-12


def log_weight_tolerance(target: TargetClass, errors: Floats) -> Floats:
    """ln ε_w, in logs since the product of many norms may overflow."""
    depth, widest = target.depth, max(target.dims)
    gains = [math.log(max(g, 1e-300)) for g in target.spectral_norms]
    inputs = math.log(max(target.input_radius, 1e-300)) + max(sum(gains[:i]) for i in range(depth))
    cost = 1 + math.log(depth) + 1.5 * math.log(widest) + inputs + sum(max(0.0, g) for g in gains)
    limit: Floats = np.minimum(np.log(errors) - cost, -math.log(depth * widest))
    return limit


def interval_count(largest: float, tolerance: float) -> int:
    """k: the intervals by which greedy leaves at most `tolerance` of a weight up to `largest`."""
    digits = (math.log(max(largest, 1e-300)) - math.log(tolerance)) / math.log(BASE)
    return int(_intervals(np.array(digits)))


def block_sizes(target: TargetClass, k: int, delta: float) -> tuple[int, ...]:
    """M_i: with probability >= 1 − δ no category of k intervals lacks a neuron, in any layer, for
    any input and output, with either sign of u."""
    return tuple(int(m) for m in _neurons(target, np.array(float(k)), check_delta(delta)))


def _intervals(digits: Floats) -> Floats:
    count: Floats = np.maximum(1.0, np.ceil(digits * (1 + MARGIN)))
    return count


def _neurons(target: TargetClass, k: Floats, delta: float) -> Floats:
    a, b = (np.array(side, dtype=np.float64) for side in zip(*target.links, strict=True))
    k = k[..., None]
    count = 8 * k * (np.log(4 * k * target.depth * a * b) - math.log(delta))
    result: Floats = np.ceil(count * (1 + MARGIN))
    return result


@final
@dataclass(frozen=True)
class Orseau(Bound):
    """Hidden neurons per input and layer, all weights hyperbolic."""

    form: Literal["derived", "remembered"] = "derived"

    citation: ClassVar[Citation] = Citation(
        "L. Orseau, M. Hutter, O. Rivasplata",
        2020,
        "Logarithmic Pruning is All You Need",
        "2006.12156",
    )

    @property
    def statement(self) -> Statement:
        ours = self.form == "derived"
        return Statement(
            Kind.EXPLICIT,
            Provenance.DERIVED if ours else Provenance.REMEMBERED,
            r"Let $g$ have depth $2\ell$, hidden widths $d_{i-1}M_i$ and i.i.d. weights of the "
            r"signed density $1/(|w|\ln(b/a))$ on $[a,b]$. Then with probability at least "
            r"$1-\delta$ every $f$ with $|W_i|_{\max}\le w_{\max}$ has a mask $S$ with "
            r"$\sup_x\|f(x)-g_S(x)\|\le\epsilon$.",
            r"\lceil 8k\ln(4k\ell d_{i-1}d_i/\delta)\rceil,\ k=\lceil\log_{3/2}(w_{\max}/"
            r"\epsilon_w)\rceil"
            if ours
            else r"\lceil 16k(d_i+\ln(2\ell d_{i-1}k/\delta))\rceil,\ "
            r"k=\log_{3/2}(3w_{\max}/\epsilon_w)",
            "hidden neurons drawn per input, a layer",
            "error of the network over the domain",
        )

    @classmethod
    def variants(cls) -> tuple[Orseau, ...]:
        return cls(), cls("remembered")

    def hypotheses(self, target: TargetClass) -> list[str]:
        return architecture_failures(target)

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        digits = (self._log_largest(target) - log_weight_tolerance(target, errors)) / math.log(BASE)
        if self.form == "derived":
            return _neurons(target, _intervals(digits), delta)
        a, b = (np.array(side, dtype=np.float64) for side in zip(*target.links, strict=True))
        k = np.maximum(1.0, digits + math.log(3, BASE))[..., None]
        count = 16 * k * (b + np.log(2 * target.depth * a * k) - math.log(delta))
        result: Floats = np.ceil(count * (1 + MARGIN))
        return result

    def _log_largest(self, target: TargetClass) -> float:
        return math.log(max(*target.max_entries, 1e-300))

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        counts = self.ask(target, epsilon, delta).tolist()
        blocks = list(zip(counts, target.links, strict=True))
        widths = [w for m, (a, b) in blocks for w in (m * a, float(b))]
        return Size(
            samples=tuple(counts),
            widths=tuple(widths[:-1]),
            weights=sum(m * a * (a + b) for m, (a, b) in blocks),
            display=self.form == "remembered",
        )

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        norms = target.spectral_norms
        shared = {
            "epsilon": float(epsilon),
            "delta": delta,
            "l": target.depth,
            "m": max(target.dims),
            "Phi": max(
                1e-300,
                target.input_radius * max(math.prod(norms[:i]) for i in range(target.depth)),
            ),
            "P": math.prod(max(1.0, norm) for norm in norms),
            "w": max(*target.max_entries, 1e-300),
            "mu": MARGIN,
        }
        tolerance = "Min(epsilon/(E*l*m**Rational(3, 2)*Phi*P), 1/(l*m))"
        digits = f"log(w/({tolerance}))/log(Rational(3, 2))"
        if self.form == "derived":
            k = f"Max(1, ceiling((1 + mu)*{digits}))"
            count = f"8*{k}*log(4*{k}*l*a*b/delta)"
        else:
            k = f"Max(1, {digits} + log(3)/log(Rational(3, 2)))"
            count = f"16*{k}*(b + log(2*l*a*{k}/delta))"
        return ClosedForm(
            f"ceiling((1 + mu)*{count})", tuple({"a": a, "b": b, **shared} for a, b in target.links)
        )

"""Sreenivasan et al. (2022): nearly everything within random binary networks.

Any target of width d and depth l is approximated by pruning a random network with weights ±1 that
is wider and deeper by powers of log(d l/ε) only: depth Θ(l log(d l/ε)), width Θ(d log²(d l/ε)), as
a later paper restates it. Powers of two are had by chains of doubling gadgets, a weight's binary
digits by keeping or removing paths. Constants are not given.

The explicit version is derived here (`_binary_layout`): so many copies of every value that all the
links that any target's digits may ask for are found with probability 1 − δ. Of the layouts there,
"powers" follows the paper's idea, "sums" is narrower by the number of digits.
"""

from __future__ import annotations

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
    unit_class_failures,
)
from slth.bounds import _binary_layout as layout
from slth.bounds._binary_layout import Routing, Stage
from slth.bounds.pensia import even_tolerances


def layers(
    target: TargetClass, etas: Sequence[float], biases: Sequence[bool] | None = None
) -> tuple[list[Stage], tuple[int, ...]]:
    """The target's layers as the layout sees them, and the fraction bits F_i of each for per-weight
    tolerances 2^-(F_i + 1) <= η_i. biases: which layers have one (by default all or none do)."""
    bits = tuple(layout.fraction_bits(eta) for eta in etas)
    each = zip(target.max_entries, bits, strict=True)
    digits = tuple(layout.digits(largest, b) for largest, b in each)
    ones = (target.biases,) * target.depth if biases is None else tuple(biases)
    return layout.stages(target.dims, ones, digits), bits


@final
@dataclass(frozen=True)
class Binary(Bound):
    """The source's width or depth, up to a universal factor; or, explicitly, the copies that every
    value needs in the layout `routing`."""

    form: Literal["width", "depth", "copies"] = "width"
    routing: Routing = "powers"

    citation: ClassVar[Citation] = Citation(
        "K. Sreenivasan, S. Rajput, J. Sohn, D. Papailiopoulos",
        2022,
        "Finding (Nearly) Everything within Random Binary Networks",
        "2110.08996",
    )

    @property
    def statement(self) -> Statement:
        if self.form == "copies":
            powers = self.routing == "powers"
            width = r"O(d_{i-1}B_iR)" if powers else r"O((d_{i-1}+d_i)R)"
            return Statement(
                Kind.EXPLICIT,
                Provenance.DERIVED,
                r"Let $\|W_i\|\le 1$ for all $i\le\ell$ and $B_i$ be the binary digits of a weight "
                r"at precision $\epsilon/(2\ell\sqrt{d_{i-1}d_i})$. If $g$ has independent weights "
                rf"$\pm1$, depth $1+\sum_iB_i$, hidden widths ${width}$ in the layout "
                f'"{self.routing}" of $R$ copies, and a public factor a layer, then with '
                r"probability at least $1-\delta$ every such $f$ has a mask $S$ with "
                r"$\sup_{\|x\|\le 1}\|f(x)-g_S(x)\|\le\epsilon$.",
                r"\min\{R:\,2^{-R}(L_1+(R+1)L_2)\leq\delta\}",
                f'copies of every value, layout "{self.routing}"',
                "error of the network over the unit ball",
                "Links of one and of two copies are counted layer by layer; R is searched for.",
            )
        wide = self.form == "width"
        return Statement(
            Kind.ASYMPTOTIC,
            Provenance.RESTATED,
            r"A random network with weights $\pm1$, width $\Theta(d\log^2(d\ell/\epsilon))$ and "
            r"depth $\Theta(\ell\log(d\ell/\epsilon))$ holds, with high probability, an "
            r"$\epsilon$-approximation of a target of width $d$ and depth $\ell$ as a subnetwork.",
            r"d\log^2(d\ell/\epsilon)" if wide else r"\ell\log(d\ell/\epsilon)",
            f"{self.form} of the source, up to a universal factor",
            "error of the network over the unit ball",
        )

    @classmethod
    def variants(cls) -> tuple[Binary, ...]:
        return cls(), cls("depth"), cls("copies"), cls("copies", "sums")

    def hypotheses(self, target: TargetClass) -> list[str]:
        return unit_class_failures(target)

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, 1.0

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        if self.form == "copies":
            found = [self._copies(target, e, delta) for e in errors.flat]
            return np.array(found, dtype=np.float64).reshape(errors.shape)
        width, depth = max(target.dims), target.depth
        digits = np.log(width * depth) - np.log(errors)
        rate: Floats = width * digits**2 if self.form == "width" else depth * digits
        return rate

    def _copies(self, target: TargetClass, epsilon: float, delta: float) -> int:
        stages = layers(target, even_tolerances(target, epsilon))[0]
        return layout.least_copies(stages, delta, self.routing)

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        if self.form != "copies":
            return None
        copies = int(self.ask(target, epsilon, delta))
        stages = layers(target, even_tolerances(target, epsilon))[0]
        widths = [float(w) for w in layout.widths(stages, copies, self.routing)]
        weights = sum(a * b for a, b in pairwise(widths))
        return Size(None, tuple(widths[1:-1]), weights)

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        if self.form == "copies":
            return None
        whole = {"d": max(target.dims), "l": target.depth, "epsilon": float(epsilon)}
        formula = "d*log(d*l/epsilon)**2" if self.form == "width" else "l*log(d*l/epsilon)"
        return ClosedForm(formula, (whole,))

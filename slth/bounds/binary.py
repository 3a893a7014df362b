"""Sreenivasan et al. (2022): nearly everything within random binary networks.

Any target of width d and depth l is approximated by pruning a random network with weights ±1 that
is wider and deeper by powers of log(d l/ε) only: depth Θ(l log(d l/ε)), width Θ(d log²(d l/ε)), as
a later paper restates it. Powers of two are had by chains of doubling gadgets, a weight's binary
digits by keeping or removing paths. Constants are not given.
"""

from __future__ import annotations

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
    Statement,
    TargetClass,
    unit_class_failures,
)


@final
@dataclass(frozen=True)
class Binary(Bound):
    """The source's width or depth, up to a universal factor."""

    form: Literal["width", "depth"] = "width"

    citation: ClassVar[Citation] = Citation(
        "K. Sreenivasan, S. Rajput, J. Sohn, D. Papailiopoulos",
        2022,
        "Finding (Nearly) Everything within Random Binary Networks",
        "2110.08996",
    )

    @property
    def statement(self) -> Statement:
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
        return cls(), cls("depth")

    def hypotheses(self, target: TargetClass) -> list[str]:
        return unit_class_failures(target)

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, 1.0

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        width, depth = max(target.dims), target.depth
        digits = np.log(width * depth) - np.log(errors)
        rate: Floats = width * digits**2 if self.form == "width" else depth * digits
        return rate

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        whole = {"d": max(target.dims), "l": target.depth, "epsilon": float(epsilon)}
        formula = "d*log(d*l/epsilon)**2" if self.form == "width" else "l*log(d*l/epsilon)"
        return ClosedForm(formula, (whole,))

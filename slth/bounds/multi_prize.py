"""Diffenderfer and Kailkhura (2021): random networks hold accurate subnetworks with binary weights.

The subnetwork's weights are ± one common value; the width is O(l d^{3/2}/ε + l d log(l d/ε)) for
targets of width d and depth l, as a later paper restates it. Polynomial in 1/ε: compare `binary`,
whose source is deeper and only polylogarithmically wider. Constants are not given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

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
class MultiPrize(Bound):
    """The source's width, up to a universal factor."""

    citation: ClassVar[Citation] = Citation(
        "J. Diffenderfer, B. Kailkhura",
        2021,
        "Multi-Prize Lottery Ticket Hypothesis: Finding Accurate Binary Neural Networks by Pruning "
        "a Randomly Weighted Network",
        "2103.09377",
    )

    @property
    def statement(self) -> Statement:
        return Statement(
            Kind.ASYMPTOTIC,
            Provenance.RESTATED,
            r"A random network of width $O(\ell d^{3/2}/\epsilon+\ell d\log(\ell d/\epsilon))$ "
            r"holds, with high probability, a subnetwork with binary weights that is within "
            r"$\epsilon$ of a target of width $d$ and depth $\ell$.",
            r"\ell d^{3/2}/\epsilon+\ell d\log(\ell d/\epsilon)",
            "width of the source, up to a universal factor",
            "error of the network over the unit ball",
        )

    def hypotheses(self, target: TargetClass) -> list[str]:
        return unit_class_failures(target)

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, 1.0

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        width, depth = float(max(target.dims)), target.depth
        digits = np.log(depth * width) - np.log(errors)
        rate: Floats = depth * width * (np.sqrt(width) / errors + digits)
        return rate

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        whole = {"d": max(target.dims), "l": target.depth, "epsilon": float(epsilon)}
        return ClosedForm("l*d**Rational(3, 2)/epsilon + l*d*log(l*d/epsilon)", (whole,))

"""Ferbach et al. (2022): strong tickets in networks that respect a symmetry.

Layers are combinations of a basis B of equivariant maps between n_{i-1} and n_i features, and the
coefficients are pruned. From memory, and consistent with how Natale et al. (2024) extend it: a
factor C log(n_{i-1} n_i l max{|B|, ||B||}/min{ε, δ}) suffices, ||B|| the largest norm of a
combination with coefficients at most 1. C is not given. The trivial symmetry, with one map from
each feature to each, is max{|B|, ||B||} = 1 and gives back Pensia et al. (2020).
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
    entry_failures,
    unit_class_failures,
)
from slth.errors import BadInput


@final
@dataclass(frozen=True)
class Equivariant(Bound):
    """Copies of a feature per layer, up to a universal factor; basis: max{|B|, ||B||}."""

    basis: float = 1.0

    citation: ClassVar[Citation] = Citation(
        "D. Ferbach, C. Tsirigotis, G. Gidel, A. J. Bose",
        2022,
        "A General Framework For Proving The Equivariant Strong Lottery Ticket Hypothesis",
        "2206.04270",
    )

    def __post_init__(self) -> None:
        if not 1 <= self.basis < 1e100:
            raise BadInput("basis", self.basis, "a number in [1, 1e100)", "pass max{|B|, ||B||}")

    @property
    def statement(self) -> Statement:
        return Statement(
            Kind.ASYMPTOTIC,
            Provenance.REMEMBERED,
            r"If layer $i$ of the source has $\tilde n_i\ge Cn_i\log(n_in_{i+1}\ell\max\{|B|,\|B\|"
            r"\}/\min\{\epsilon,\delta\})$ features, then with probability at least $1-\delta$ "
            r"every equivariant target with coefficients in $[-1,1]$ and norms at most 1 is "
            r"$\epsilon$-approximated by a subnetwork.",
            r"\log(d_{i-1}d_i\ell\max\{|B|,\|B\|\}/\min\{\epsilon,\delta\})",
            "source features per feature and layer, up to a universal factor",
            "error of the network over the unit ball",
        )

    def hypotheses(self, target: TargetClass) -> list[str]:
        ones = (1.0,) * target.depth
        return [*unit_class_failures(target), *entry_failures(target, ones)]

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, 1.0

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        size = np.array([float(a * b) for a, b in target.links]) * target.depth * self.basis
        least = np.minimum(errors, delta)[..., None]
        rate: Floats = np.log(size) - np.log(least)
        return rate

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        point = {"epsilon": float(epsilon), "delta": delta, "l": target.depth, "B": self.basis}
        each = tuple({"a": a, "b": b, **point} for a, b in target.links)
        return ClosedForm("log(a*b*l*B/Min(epsilon, delta))", each)

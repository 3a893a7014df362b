"""Lueker (1998): logarithmically many random numbers have a subset sum near every target.

The tool of the field, as Pensia et al. (2020) and Natale et al. (2024) use it (there corollary 2.5;
corollary 3.3 extends it to laws that contain a uniform one): n >= C log(2/ε) values uniform on
[−1, 1] serve every z in [−1, 1] within ε with probability >= 1 − ε. C is universal and not
computed, so this is a rate. A confidence other than 1 − ε is had by taking min(ε, δ) for ε.
For a number, see `random_subset_sum`.
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
)


@final
@dataclass(frozen=True)
class Lueker(Bound):
    """Values per weight, up to a universal factor."""

    citation: ClassVar[Citation] = Citation(
        "G. S. Lueker",
        1998,
        "Exponentially small bounds on the expected optimum of the partition and subset sum "
        "problems",
    )

    @property
    def statement(self) -> Statement:
        return Statement(
            Kind.ASYMPTOTIC,
            Provenance.RESTATED,
            r"If $X_k\sim U[-1,1]$ are i.i.d. and $n\ge C\log(2/\epsilon)$, then with probability "
            r"at least $1-\epsilon$ every $z\in[-1,1]$ is within $\epsilon$ of a subset sum.",
            r"\log_2(2/\min\{\epsilon,\delta\})",
            "values per weight, up to a universal factor",
            "tolerance per weight",
        )

    def hypotheses(self, target: TargetClass) -> list[str]:
        return entry_failures(target, (1.0,) * target.depth)

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, 1.0

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        rate: Floats = 1 - np.log2(np.minimum(errors, delta))
        return rate

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        point = {"epsilon": float(epsilon), "delta": delta}
        return ClosedForm("log(2/Min(epsilon, delta), 2)", (point,))

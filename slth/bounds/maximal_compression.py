"""Tanaka et al. (2020): how far any network can be compressed without losing a layer.

Layer-collapse is the pruning of a whole layer. With N prunable weights in L layers each layer must
keep one, so the largest compression (original over kept) is N/L. The axiom of maximal critical
compression asks a pruning method to reach it, and their theorem 3 says that global masking by
positive scores with equal layer sums, recomputed after every single removal, does. The statement is
about counts alone: ε and δ play no part. Biases are not pruned, hence not counted.
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
)


def prunable(target: TargetClass) -> float:
    """N, the weights of a network of these widths and kernels."""
    shapes = zip(target.dims[:-1], target.dims[1:], target.taps, strict=True)
    return float(sum(a * b * taps for a, b, taps in shapes))


@final
@dataclass(frozen=True)
class MaximalCompression(Bound):
    """The largest compression that keeps every layer alive."""

    citation: ClassVar[Citation] = Citation(
        "H. Tanaka, D. Kunin, D. L. K. Yamins, S. Ganguli",
        2020,
        "Pruning neural networks without any data by iteratively conserving synaptic flow",
        "2006.05467",
    )

    @property
    def statement(self) -> Statement:
        return Statement(
            Kind.EXPLICIT,
            Provenance.STATED,
            r"A network with $N$ prunable weights in $L$ layers can be compressed by at most "
            r"$\rho_{\max}=N/L$ without layer-collapse.",
            r"N/L",
            "compression, at most, that leaves a weight in every layer",
            "not used",
        )

    def hypotheses(self, target: TargetClass) -> list[str]:
        if target.heads:
            return ["The theorem's networks are feed-forward; this is an attention block."]
        return []

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        return np.full(errors.shape, prunable(target) / target.depth)

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        return ClosedForm("N/L", ({"N": prunable(target), "L": target.depth},))

"""Synaptic flow at squared weights: Gebhart, Saxena and Schrater (2021), their SynFlow-L2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from slth.pruning._flowing import FlowSaliency


@final
@dataclass(frozen=True)
class SynFlowL2(FlowSaliency):
    """θ² ⊙ ∂R/∂θ² of R = 1ᵀ(Πθ²)1: a path counts by the square of its weights' product.

    Differentiating by θ instead of θ² doubles every score, which ranks them alike.
    """

    power: ClassVar[int] = 2

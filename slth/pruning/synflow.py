"""Synaptic flow: Tanaka, Kunin, Yamins and Ganguli (2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from slth.pruning._flowing import FlowSaliency


@final
@dataclass(frozen=True)
class SynFlow(FlowSaliency):
    """θ ⊙ ∂R/∂θ of R = 1ᵀ(Π|θ|)1: how much of the flow from inputs to outputs a weight carries."""

    power: ClassVar[int] = 1

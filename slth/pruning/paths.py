"""How many paths from inputs to outputs run through a weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from slth.pruning._flowing import FlowSaliency


@final
@dataclass(frozen=True)
class Paths(FlowSaliency):
    """Synaptic flow with every living weight set to one: the number of paths through it.

    Blind to the weights' sizes: most scores tie at first, and the tie is broken by order. BatchNorm
    and pooling still scale what passes them.
    """

    power: ClassVar[int] = 0

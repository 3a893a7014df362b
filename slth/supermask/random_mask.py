"""A random mask: the control that every search is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from slth.supermask import Layer, MaskSearch, Moment

if TYPE_CHECKING:
    from torch import Generator


@final
@dataclass(frozen=True)
class RandomMask(MaskSearch):
    """Every set of k weights of a layer is equally likely; nothing is learnt."""

    scaled: ClassVar[bool] = True
    moves: ClassVar[bool] = False

    def begin(self, layers: Sequence[Layer], draw: Generator) -> None:
        from slth.supermask import uniform

        for layer in layers:
            layer.scores.copy_(uniform(layer, draw))

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask._select import compute_with

        for layer, mask in zip(layers, self.masks(layers), strict=True):
            compute_with(layer, mask)

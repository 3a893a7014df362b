"""Edge-popup: Ramanujan, Wortsman, Kembhavi, Farhadi and Rastegari (2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from slth.supermask import Layer, MaskSearch, Moment

if TYPE_CHECKING:
    from torch import Tensor


@final
@dataclass(frozen=True)
class EdgePopup(MaskSearch):
    """Each layer keeps its k largest scores; gradients pass straight through the mask.

    s ← s − rate · ∂L/∂(w⊙mask) ⊙ w. The paper ranks s; its published code ranks |s| and multiplies
    the gradient by the sign of s, which is the default here too. SGD with momentum 0.9, weight
    decay 1e-4, rate 0.1 and cosine decay are the published CIFAR-10 settings.
    """

    absolute: bool = field(default=True, metadata={"help": "Rank |scores|, as published code."})

    scaled: ClassVar[bool] = True

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask._select import compute_with, compute_with_largest

        if self.absolute:
            for layer in layers:
                compute_with_largest(layer)
            return
        for layer, mask in zip(layers, self.masks(layers), strict=True):
            compute_with(layer, mask)

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        from slth.supermask._select import through_magnitude

        return through_magnitude(layer, gradient) if self.absolute else gradient.mul_(layer.weight)

    def worth(self, layer: Layer) -> Tensor:
        return layer.scores.abs() if self.absolute else layer.scores

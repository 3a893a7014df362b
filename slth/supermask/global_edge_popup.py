"""Edge-popup over the whole network: a baseline of Sreenivasan et al. (2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from slth.supermask import Layer, MaskSearch, Moment

if TYPE_CHECKING:
    from torch import Tensor


@final
@dataclass(frozen=True)
class GlobalEdgePopup(MaskSearch):
    """Edge-popup whose k largest |scores| are those of all layers together.

    Layers settle their own densities, and one may lose all its weights; the result names it. The
    published code of that baseline compares with a threshold; here exactly k stay, ties or not.
    """

    whole: ClassVar[bool] = True
    scaled: ClassVar[bool] = True

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask._select import compute_with

        for layer, mask in zip(layers, self.masks(layers), strict=True):
            compute_with(layer, mask)

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        from slth.supermask._select import through_magnitude

        return through_magnitude(layer, gradient)

    def worth(self, layer: Layer) -> Tensor:
        return layer.scores.abs()

"""A found mask, shuffled: does it matter which weights it keeps, or only how many where?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from slth.supermask import Layer, MaskSearch, Moment

if TYPE_CHECKING:
    from torch import Generator, Tensor


@final
@dataclass(frozen=True)
class ShuffledMask(MaskSearch):
    """Edge-popup over the whole network, then every layer's mask shuffled within the layer.

    A random mask at the layer densities that the search settled on: the sanity check of Su et al.
    (2020) and Frankle et al. (2021). What edge-popup finds here is what `global_edge_popup` finds
    with the same seed.
    """

    whole: ClassVar[bool] = True
    scaled: ClassVar[bool] = True

    def begin(self, layers: Sequence[Layer], draw: Generator) -> None:
        from slth.supermask import uniform

        super().begin(layers, draw)
        for layer in layers:
            layer.extra["order"] = uniform(layer, draw)

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask._select import compute_with

        for layer, mask in zip(layers, super().masks(layers), strict=True):
            compute_with(layer, mask)

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        from slth.supermask._select import through_magnitude

        return through_magnitude(layer, gradient)

    def worth(self, layer: Layer) -> Tensor:
        return layer.scores.abs()

    def masks(self, layers: Sequence[Layer]) -> list[Tensor]:
        from slth.mask import keep_top

        found = super().masks(layers)
        return [
            keep_top(layer.extra["order"], int(mask.sum()))
            for layer, mask in zip(layers, found, strict=True)
        ]

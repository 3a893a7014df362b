"""Multi-prize tickets by biprop: Diffenderfer and Kailkhura (2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from slth.supermask import Layer, MaskSearch, Moment

if TYPE_CHECKING:
    from torch import Tensor


@final
@dataclass(frozen=True)
class Biprop(MaskSearch):
    """Edge-popup over the weights' signs, with one positive factor a layer.

    A layer computes with v = α · sign(w) ⊙ mask, α = ‖w ⊙ mask‖₁ / ‖mask‖₁. Gradients pass straight
    through as in the published code, ∂L/∂|s| = |w| ⊙ ∂L/∂(α·mask), which is w ⊙ ∂L/∂v as for
    edge-popup; α counts as a constant.
    """

    signs: ClassVar[bool] = True

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask._select import compute_with

        for layer, mask in zip(layers, self.masks(layers), strict=True):
            compute_with(layer, mask, self.scale(layer, mask))

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        from slth.supermask._select import through_magnitude

        return through_magnitude(layer, gradient)

    def worth(self, layer: Layer) -> Tensor:
        return layer.scores.abs()

    def scale(self, layer: Layer, mask: Tensor) -> float:
        kept = mask.to(layer.weight.dtype)
        return float((layer.weight.abs() * kept).sum() / kept.sum())

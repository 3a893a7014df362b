"""Scaled edge-popup with random biases: Fischer, Gadhikar and Burkholz (2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from slth.supermask import Layer, MaskSearch, Moment

if TYPE_CHECKING:
    from torch import Generator, Tensor


@final
@dataclass(frozen=True)
class ScaledEdgePopup(MaskSearch):
    """Edge-popup that masks random biases with the weights and learns the network's scale.

    Each layer keeps its k largest |scores| of weights and bias together. The weights of every one
    of d layers carry the factor λ^(1/d), the bias of layer l λ^(l/d), so that a ReLU network's
    output is multiplied by λ. The published code fits λ to each epoch's last batch by twenty steps
    on the mean square; here it follows the search's own loss: ln λ falls by `scale_rate` times its
    gradient at every step. Draw the biases by Frozen(biases=…); without them this is edge-popup
    with a scale.
    """

    scale_rate: float = field(default=0.01, metadata={"help": "Learning rate of ln λ."})
    biases: ClassVar[bool] = True
    scaled: ClassVar[bool] = True

    def begin(self, layers: Sequence[Layer], draw: Generator) -> None:
        super().begin(layers, draw)
        for layer in layers:
            layer.extra["log_scale"] = layer.scores.new_zeros(())

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask._select import compute_with

        for layer, mask in zip(layers, self.masks(layers), strict=True):
            compute_with(layer, mask, self.scale(layer, mask))

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        from slth.supermask._select import through_magnitude

        layer.extra["pull"] = (gradient * layer.effective).sum()
        return through_magnitude(layer, gradient)

    def after(self, layers: Sequence[Layer], moment: Moment) -> None:
        import torch

        depth = 1 + max(layer.number for layer in layers)
        shares = [(layer.number + 1 if layer.is_bias else 1) / depth for layer in layers]
        pulls = [s * la.extra["pull"] for s, la in zip(shares, layers, strict=True)]
        step = self.scale_rate * torch.stack(pulls).sum()
        for share, layer in zip(shares, layers, strict=True):
            layer.extra["log_scale"] = layer.extra["log_scale"] - share * step

    def worth(self, layer: Layer) -> Tensor:
        return layer.scores.abs()

    def scale(self, layer: Layer, mask: Tensor) -> float:
        return float(layer.extra["log_scale"].exp())

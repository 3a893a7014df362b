"""Learned Bernoulli supermasks: Zhou, Lan, Liu and Yosinski (2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

from slth.supermask import Layer, MaskSearch, Moment

if TYPE_CHECKING:
    from torch import Generator, Tensor


@final
@dataclass(frozen=True)
class Bernoulli(MaskSearch):
    """Each weight is kept with probability p = σ(s), drawn anew at every step.

    The draw b counts as p in the backward pass. Dynamic weight rescaling multiplies a layer by
    N/Σb, its size over how many were drawn; the gradient goes through that factor too, as in the
    published code. Published: rate 100, momentum 0.9, p = ½ at the start, masks drawn at test time
    as well and no density asked for. Here p starts at the density and the final mask keeps the k
    most probable weights of each layer.
    """

    rate: float = field(default=100.0, metadata={"help": "Learning rate of the scores."})
    decay: float = field(default=0.0, metadata={"help": "Weight decay of the scores."})
    schedule: Literal["cosine", "constant"] = field(
        default="constant", metadata={"help": "Of the learning rate, over the epochs."}
    )
    probability: float | None = field(
        default=None, metadata={"help": "At the start; published 0.5. [default: the density]"}
    )
    rescale: bool = field(default=True, metadata={"help": "Dynamic weight rescaling."})

    def begin(self, layers: Sequence[Layer], draw: Generator) -> None:
        from slth.supermask._select import logit

        for layer in layers:
            layer.scores.fill_(logit(layer, self.probability))

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask import uniform
        from slth.supermask._select import compute_with

        for layer in layers:
            drawn = uniform(layer, moment.noise) < layer.scores.sigmoid()
            layer.extra["drawn"] = drawn
            compute_with(layer, drawn, self.scale(layer, drawn))

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        drawn, p = layer.extra["drawn"], layer.scores.sigmoid()
        gradient.mul_(layer.weight)
        if self.rescale and bool(drawn.any()):
            mean = gradient[drawn].mean()
            gradient.sub_(mean).mul_(self.scale(layer, drawn))
        return gradient.mul_(p).mul_(1 - p)

    def scale(self, layer: Layer, mask: Tensor) -> float:
        count = int(mask.sum())
        return layer.size / count if self.rescale and count else 1.0

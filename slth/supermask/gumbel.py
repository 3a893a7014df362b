"""Straight-through Gumbel masks: Jang, Gu and Poole (2017); Maddison, Mnih and Teh (2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, final

from slth.errors import BadInput
from slth.supermask import Layer, MaskSearch, Moment

if TYPE_CHECKING:
    from torch import Generator, Tensor


@final
@dataclass(frozen=True)
class Gumbel(MaskSearch):
    """Bernoulli masks through the binary concrete relaxation instead of the probability itself.

    With logistic noise ℓ a step keeps the weights with s + ℓ > 0, which has probability σ(s); the
    backward pass differentiates σ((s + ℓ)/τ) in its place. Temperature 2/3 is that of Louizos,
    Welling and Kingma (2018). No paper searches supermasks so: it stands beside Bernoulli as
    another estimator of the same gradient, its rate chosen here. Scores start at the density's
    logit; the final mask keeps the k largest of each layer.
    """

    rate: float = field(default=0.03, metadata={"help": "Learning rate of the scores."})
    decay: float = field(default=0.0, metadata={"help": "Weight decay of the scores."})
    optimizer: Literal["sgd", "adam"] = field(default="adam", metadata={"help": "Of the scores."})
    temperature: float = field(default=2 / 3, metadata={"help": "τ of the relaxation."})
    scaled: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise BadInput("temperature", self.temperature, "above 0", "raise it")

    def begin(self, layers: Sequence[Layer], draw: Generator) -> None:
        from slth.supermask._select import logit

        for layer in layers:
            layer.scores.fill_(logit(layer, None))

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask import uniform
        from slth.supermask._select import compute_with

        for layer in layers:
            noise = uniform(layer, moment.noise).clamp_(1e-7, 1 - 1e-7).logit_()
            layer.extra["noisy"] = noise.add_(layer.scores)
            compute_with(layer, layer.extra["noisy"] > 0)

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        soft = (layer.extra["noisy"] / self.temperature).sigmoid_()
        slope = (1 - soft).mul_(soft).div_(self.temperature)
        return gradient.mul_(layer.weight).mul_(slope)

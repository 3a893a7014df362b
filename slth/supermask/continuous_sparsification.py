"""Continuous sparsification: Savarese, Silva and Maire (2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from slth.errors import BadInput
from slth.supermask import Layer, MaskSearch, Moment

if TYPE_CHECKING:
    from torch import Generator, Tensor


@final
@dataclass(frozen=True)
class ContinuousSparsification(MaskSearch):
    """A soft mask σ(β·s) that hardens as β grows from 1 to `temperature`; no gradient is estimated.

    β = temperature^(e/(E−1)) in epoch e of E, with the penalty λ·Σ of the mask's entries. The
    published code divides the mask by σ(s₀), s₀ the scores' start, so that the network begins with
    its own weights; the paper's formula has no such factor (`--no-rescale`). Published: s₀ = 0,
    λ = 1e-8, Nesterov momentum, a rate of 0.1 that falls in two steps, here as a cosine. The paper
    keeps s > 0, however many that are; here the k largest of the whole network.
    """

    decay: float = field(default=0.0, metadata={"help": "Weight decay of the scores."})
    start: float = field(default=0.0, metadata={"help": "s₀, the scores at the start."})
    temperature: float = field(default=200.0, metadata={"help": "β at the end."})
    penalty: float = field(default=1e-8, metadata={"help": "λ of the penalty on the mask."})
    rescale: bool = field(default=True, metadata={"help": "Divide the mask by σ(s₀)."})
    whole: ClassVar[bool] = True
    nesterov: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.temperature >= 1 or not self.penalty >= 0:
            got = f"{self.temperature}, {self.penalty}"
            allowed = "temperature ≥ 1, penalty ≥ 0"
            raise BadInput("temperature, penalty", got, allowed, "change them")

    def begin(self, layers: Sequence[Layer], draw: Generator) -> None:
        for layer in layers:
            layer.scores.fill_(self.start)

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        for layer in layers:
            soft = (layer.scores * self.beta(moment)).sigmoid_()
            layer.effective.copy_(soft.mul_(layer.base).mul_(self._factor()))

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        beta = self.beta(moment)
        soft = (layer.scores * beta).sigmoid_()
        slope = (1 - soft).mul_(soft).mul_(beta * self._factor())
        return gradient.mul_(layer.weight).add_(self.penalty).mul_(slope)

    def scale(self, layer: Layer, mask: Tensor) -> float:
        return self._factor()

    def beta(self, moment: Moment) -> float:
        return float(self.temperature ** (moment.epoch / max(1, moment.epochs - 1)))

    def _factor(self) -> float:
        return 1 + math.exp(-self.start) if self.rescale else 1.0

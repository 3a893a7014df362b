"""Gem-Miner, of Rare Gems: Sreenivasan, Sohn, Yang, Grinde, Nagle et al. (2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from slth.errors import BadInput
from slth.supermask import Layer, MaskSearch, Moment

if TYPE_CHECKING:
    from torch import Generator, Tensor


@final
@dataclass(frozen=True)
class GemMiner(MaskSearch):
    """Scores in [0, 1] that are rounded to a mask, pulled down by a penalty, frozen bit by bit.

    A step computes with w ⊙ 1[s > ½] ⊙ alive and passes gradients straight through; the penalty is
    λ‖s‖², and scores are clipped to [0, 1]. Every `period` epochs the lowest scores of the whole
    network are frozen at zero, so that density^(r/R) of all weights is alive after round r of R.
    Published: λ = 1e-4, a period of 8 epochs of 150, SGD without decay. At the end the published
    code keeps what is alive and above ½; here exactly k, the highest scores that are alive.
    """

    decay: float = field(default=0.0, metadata={"help": "Weight decay of the scores."})
    penalty: float = field(default=1e-4, metadata={"help": "λ of the penalty λ‖s‖²."})
    period: int = field(default=8, metadata={"help": "Epochs between freezings."})
    whole: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.period < 1 or self.penalty < 0:
            got = f"{self.period}, {self.penalty}"
            raise BadInput("period, penalty", got, "period ≥ 1, penalty ≥ 0", "change them")

    def begin(self, layers: Sequence[Layer], draw: Generator) -> None:
        import torch

        from slth.supermask import uniform

        for layer in layers:
            layer.scores.copy_(uniform(layer, draw))
            layer.extra["alive"] = torch.ones_like(layer.scores, dtype=torch.bool)

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask._select import compute_with

        for layer in layers:
            layer.scores.clamp_(0, 1)
            compute_with(layer, self.rounded(layer))

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        gradient.mul_(layer.weight).mul_(layer.extra["alive"])
        return gradient.add_(layer.scores, alpha=2 * self.penalty)

    def close(self, layers: Sequence[Layer], moment: Moment) -> None:
        import torch

        from slth.mask import keep_top

        rounds = (moment.epochs - 1) // self.period
        done, left = divmod(moment.epoch, self.period)
        if left or not done or not rounds:
            return
        size, k = sum(layer.size for layer in layers), sum(layer.k for layer in layers)
        count = round(size * (k / size) ** (done / rounds))
        scores = torch.cat([layer.scores.clamp(0, 1).reshape(-1) for layer in layers])
        alive = torch.cat([layer.extra["alive"].reshape(-1) for layer in layers])
        kept = keep_top(scores, count, alive=alive)
        sizes = [layer.size for layer in layers]
        parts = torch.split(kept, sizes)
        for layer, part in zip(layers, parts, strict=True):
            layer.extra["alive"] = part.reshape(layer.weight.shape)

    def worth(self, layer: Layer) -> Tensor:
        return layer.scores.clamp(0, 1)

    def current(self, layers: Sequence[Layer], moment: Moment) -> list[Tensor]:
        return [self.rounded(layer) for layer in layers]

    @staticmethod
    def rounded(layer: Layer) -> Tensor:
        """What a step computes with."""
        return (layer.scores > 0.5) & layer.extra["alive"]

"""IteRand: Chijiwa, Yamaguchi, Ida, Umakoshi and Inoue (2021)."""

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
class IteRand(MaskSearch):
    """Edge-popup that draws a share of the pruned weights anew, from the same law, now and then.

    After every `every` steps, each weight outside the mask is drawn anew with probability `share`.
    Published: 300 steps and 0.1 on CIFAR-10. So the random network changes while it is searched:
    the model is left with the weights that the masks are for, and the result says of every weight
    which drawing it is of. A weight drawn anew keeps its score.
    """

    every: int = field(default=300, metadata={"help": "Steps between drawings."})
    share: float = field(default=0.1, metadata={"help": "Of the pruned weights, drawn anew."})
    scaled: ClassVar[bool] = True
    redraws: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 <= self.share <= 1:
            got = f"{self.every}, {self.share}"
            raise BadInput("every, share", got, "every ≥ 1, share in [0, 1]", "change them")

    def begin(self, layers: Sequence[Layer], draw: Generator) -> None:
        import torch

        super().begin(layers, draw)
        for layer in layers:
            layer.extra["generation"] = torch.zeros_like(layer.scores, dtype=torch.int32)

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask._select import compute_with_largest

        if moment.source is None:
            raise BadInput(
                "source", "a model's own weights", "a source whose law is known",
                "pass source=Frozen(seed), or a method that draws nothing anew",
            )  # fmt: skip
        for layer in layers:
            compute_with_largest(layer)

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        from slth.supermask._select import through_magnitude

        return through_magnitude(layer, gradient)

    def after(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask import uniform

        generation, left = divmod(moment.step + 1, self.every)
        if left or moment.source is None:
            return
        for layer, mask in zip(layers, self.masks(layers), strict=True):
            chosen = (uniform(layer, moment.noise) < self.share) & ~mask
            anew = moment.source.weight(layer.number, tuple(layer.weight.shape), generation)
            layer.weight[chosen] = anew.to(layer.weight)[chosen]
            layer.extra["generation"][chosen] = generation

    def worth(self, layer: Layer) -> Tensor:
        return layer.scores.abs()

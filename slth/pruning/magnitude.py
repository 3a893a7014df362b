"""The size of a weight, as after training, but at initialisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from slth.pruning import Context, Saliency

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.pruning import Masks


@final
@dataclass(frozen=True)
class Magnitude(Saliency):
    """|θ|."""

    exact: ClassVar[bool] = True

    def scores(self, model: nn.Module, masks: Masks, context: Context) -> dict[str, Tensor]:
        modules = dict(model.named_modules())
        return {name: modules[name].weight.detach().abs() for name in masks}

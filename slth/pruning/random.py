"""Independent standard normal scores: the control that every method is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from slth.pruning import Context, Saliency

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.pruning import Masks


@final
@dataclass(frozen=True)
class Random(Saliency):
    """Every set of so many weights is equally likely; `Context.seed` picks one."""

    exact: ClassVar[bool] = True

    def scores(self, model: nn.Module, masks: Masks, context: Context) -> dict[str, Tensor]:
        import torch

        draw = np.random.default_rng(context.seed)
        return {
            name: torch.from_numpy(draw.standard_normal(tuple(mask.shape))).to(mask.device)
            for name, mask in masks.items()
        }

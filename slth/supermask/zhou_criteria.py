"""Supermasks by a criterion on trained weights: Zhou, Lan, Liu and Yosinski (2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, final

from slth.supermask import Layer, MaskSearch, Moment

if TYPE_CHECKING:
    from torch import Generator, Tensor


@final
@dataclass(frozen=True)
class ZhouCriteria(MaskSearch):
    """Train the network from its random weights w to v, rank by a criterion, go back to w.

    The scores are the weights in training, so nothing of the source changes. large_final keeps the
    largest |v|, small_final the smallest; …_init the same of |w|; large_init_large_final those that
    are large in both, by ranks; magnitude_increase ranks |v| − |w|, movement |v − w|; …_same_sign
    and …_diff_sign put the weights whose sign did (not) change last. Ranked within layers and in
    one shot; the published protocol prunes in rounds and trains biases, which stay frozen here.
    Published: Adam at 0.0012 for the fully connected network.
    """

    rate: float = field(default=1.2e-3, metadata={"help": "Learning rate of the weights."})
    decay: float = field(default=0.0, metadata={"help": "Weight decay of the weights."})
    optimizer: Literal["sgd", "adam"] = field(default="adam", metadata={"help": "Of the weights."})
    schedule: Literal["cosine", "constant"] = field(
        default="constant", metadata={"help": "Of the learning rate, over the epochs."}
    )
    criterion: Literal[
        "large_final",
        "small_final",
        "large_init",
        "small_init",
        "large_init_large_final",
        "small_init_small_final",
        "magnitude_increase",
        "movement",
        "large_final_same_sign",
        "large_final_diff_sign",
        "magnitude_increase_same_sign",
        "movement_same_sign",
    ] = field(default="large_final_same_sign", metadata={"help": "What to keep."})

    def begin(self, layers: Sequence[Layer], draw: Generator) -> None:
        for layer in layers:
            layer.scores.copy_(layer.weight)

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        for layer in layers:
            layer.effective.copy_(layer.scores)

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        return gradient

    def worth(self, layer: Layer) -> Tensor:
        return rank_by(self.criterion, layer.weight, layer.scores)


def rank_by(criterion: str, init: Tensor, final: Tensor) -> Tensor:
    """What the criterion keeps the largest of, given the weights before and after training."""
    import torch

    from slth.mask import ranks

    before, after = init.abs(), final.abs()
    plain = criterion.removesuffix("_same_sign").removesuffix("_diff_sign")
    found = {
        "large_final": lambda: after,
        "small_final": lambda: -after,
        "large_init": lambda: before,
        "small_init": lambda: -before,
        "large_init_large_final": lambda: -torch.maximum(ranks(before), ranks(after)),
        "small_init_small_final": lambda: -torch.maximum(ranks(-before), ranks(-after)),
        "magnitude_increase": lambda: after - before,
        "movement": lambda: (final - init).abs(),
    }[plain]()
    if plain == criterion:
        return found
    wanted = (init.sign() == final.sign()) == criterion.endswith("_same_sign")
    return torch.where(wanted, found, -torch.inf)

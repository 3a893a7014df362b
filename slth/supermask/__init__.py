"""Which mask makes an untrained network compute what is wanted? One search a file.

`searches()` lists them by file name, `load(name)` imports one, and `search` runs it: the weights of
linear and convolutional layers stay as they were drawn, to the last bit, and gradient descent moves
scores, from which exactly as many weights as asked are kept.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from slth.supermask._found import Found as Found
from slth.supermask._found import load_found as load_found
from slth.supermask._found import uniform_examples as uniform_examples
from slth.supermask._frozen import Frozen as Frozen
from slth.supermask._frozen import Layer as Layer
from slth.supermask._objectives import Approximation as Approximation
from slth.supermask._objectives import Classification as Classification
from slth.supermask._objectives import Objective as Objective
from slth.supermask._search import Interrupted as Interrupted
from slth.supermask._search import Progress as Progress
from slth.supermask._search import search as search

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Moment:
    """Where a search stands: epoch of epochs, step of all the steps, each counted from 0.

    noise: the generator of what is drawn in this epoch, on the scores' device. source: what the
    weights were drawn from, None for a model's own.
    """

    epoch: int
    epochs: int
    step: int
    noise: torch.Generator
    source: Frozen | None = None


@dataclass(frozen=True)
class MaskSearch(ABC):
    """A way to move scores; subclasses are final frozen dataclasses with one method to write.

    Each step: `relax` writes the weights that the network computes with, the loss is differentiated
    by them, `gradient` turns that into a gradient of the scores, the optimiser moves these, `after`
    does the rest; `close` ends an epoch. At the end exactly k weights stay, those of the largest
    `worth`. Whatever a method needs to remember lies in the layers' `extra`.

    whole: rank all layers together instead of each by itself. signs: mask the weights' signs, not
    the weights. biases: mask the layers' biases too. redraws: pruned weights are drawn anew.
    scaled: published with weights scaled by √(1/density). moves: whether anything is learnt.
    nesterov: the form of momentum.
    """

    rate: float = field(default=0.1, metadata={"help": "Learning rate of the scores."})
    momentum: float = field(default=0.9, metadata={"help": "Of stochastic gradient descent."})
    decay: float = field(default=1e-4, metadata={"help": "Weight decay of the scores."})
    optimizer: Literal["sgd", "adam"] = field(default="sgd", metadata={"help": "Of the scores."})
    schedule: Literal["cosine", "constant"] = field(
        default="cosine", metadata={"help": "Of the learning rate, over the epochs."}
    )

    whole: ClassVar[bool] = False
    signs: ClassVar[bool] = False
    biases: ClassVar[bool] = False
    redraws: ClassVar[bool] = False
    scaled: ClassVar[bool] = False
    moves: ClassVar[bool] = True
    nesterov: ClassVar[bool] = False

    @abstractmethod
    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        """Write the weights of this step into every layer's `effective`, in place."""

    def begin(self, layers: Sequence[Layer], draw: torch.Generator) -> None:
        """Set the scores: uniform in ±1/√fan_in, Kaiming's with a = √5, as edge-popup's code does.

        A bias's fan-in is its layer's, its scores uniform in ±√(6/fan_in) (Fischer et al. 2021).
        """
        weights = [layer for layer in layers if not layer.is_bias]
        fans = {layer.number: math.prod(layer.weight.shape[1:]) for layer in weights}
        for layer in layers:
            bound = math.sqrt((6 if layer.is_bias else 1) / fans[layer.number])
            layer.scores.copy_(uniform(layer, draw).mul_(2).sub_(1).mul_(bound))

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        """The scores' gradient from the effective weights', which may be overwritten.

        Straight through by default: the mask counts as if it were the scores, so the gradient is
        multiplied by the weights (Bengio et al. 2013; Ramanujan et al. 2020).
        """
        return gradient.mul_(layer.weight)

    def after(self, layers: Sequence[Layer], moment: Moment) -> None:  # noqa: B027
        """What happens after the optimiser's step: nothing by default."""

    def close(self, layers: Sequence[Layer], moment: Moment) -> None:  # noqa: B027
        """What happens at the end of an epoch: nothing by default."""

    def worth(self, layer: Layer) -> Tensor:
        """What the final mask keeps the largest of: the scores by default."""
        return layer.scores

    def scale(self, layer: Layer, mask: Tensor) -> float:
        """The factor on all kept weights of a layer: 1 by default."""
        return 1.0

    def current(self, layers: Sequence[Layer], moment: Moment) -> list[Tensor]:
        """The masks as they stand, for the accuracy on the way: by default those of the end."""
        return self.masks(layers)

    def masks(self, layers: Sequence[Layer]) -> list[Tensor]:
        """The masks of the end: exactly k kept."""
        from slth.supermask._select import select

        return select([self.worth(layer) for layer in layers], layers, self.whole)


def uniform(layer: Layer, draw: torch.Generator) -> Tensor:
    """Uniform in [0, 1), of a layer's shape; drawn on the generator's device."""
    import torch

    shape = layer.scores.shape
    drawn = torch.rand(shape, generator=draw, device=draw.device, dtype=torch.float32)
    return drawn.to(layer.scores)


def searches() -> tuple[str, ...]:
    """The names of all mask searches, which are their file names."""
    from slth.plugins import names

    return names(__name__)


def load(name: str) -> type[MaskSearch]:
    """The mask search class that the file of that name defines (dashes count as underscores)."""
    from slth.plugins import load as load_plugin

    return load_plugin(__name__, name, MaskSearch)  # type: ignore[type-abstract]

"""Synaptic flow: Tanaka, Kunin, Yamins and Ganguli (2020)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from slth.pruning import Context, Saliency

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.pruning import Masks
    from slth.pruning._rounds import Rounds


@final
@dataclass(frozen=True)
class SynFlow(Saliency):
    """θ ⊙ ∂R/∂θ of R = 1ᵀ(Π|θ|)1: how much of the flow from inputs to outputs a weight carries.

    Scores come up to a common power of two, so that no depth overflows. Biases flow as published;
    without them (and BatchNorm's shifts) all layers of a chain carry the same flow.
    """

    one_shot: ClassVar[bool] = False
    biases: bool = field(default=True, metadata={"help": "Let biases flow too, as published."})
    double: bool = field(default=False, metadata={"help": "Score in float64 whatever the model."})

    def scores(self, model: nn.Module, masks: Masks, context: Context) -> dict[str, Tensor]:
        from slth.pruning import _flow

        return _flow.scores(model, masks, context, _flow.Options(1, self.biases, self.double))

    def rounds(self, model: nn.Module, masks: Masks, context: Context) -> Rounds:
        from slth.pruning import _flow, _rounds

        return _rounds.flow(model, masks, context, _flow.Options(1, self.biases, self.double))

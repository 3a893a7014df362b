"""What the saliencies that score by flow share; they differ in what they make of a weight."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from slth.pruning import Context, Saliency

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.pruning import Masks
    from slth.pruning._flow import Options
    from slth.pruning._rounds import Rounds


@dataclass(frozen=True)
class FlowSaliency(Saliency):
    """Scores |θ|^p · ∂R/∂|θ|^p of R = 1ᵀ(Π|θ|^p)1, up to a common power of two.

    So no depth overflows. Where biases flow, as published, they and BatchNorm's shifts add to it;
    without them all layers of a chain carry the same flow.
    """

    one_shot: ClassVar[bool] = False
    power: ClassVar[int]
    biases: bool = field(default=True, metadata={"help": "Let biases flow too, as published."})
    double: bool = field(default=False, metadata={"help": "Score in float64 whatever the model."})

    def scores(self, model: nn.Module, masks: Masks, context: Context) -> dict[str, Tensor]:
        from slth.pruning import _flow

        return _flow.scores(model, masks, context, self._options())

    def rounds(self, model: nn.Module, masks: Masks, context: Context) -> Rounds:
        from slth.pruning import _rounds

        return _rounds.flow(model, masks, context, self._options())

    def _options(self) -> Options:
        from slth.pruning._flow import Options

        return Options(self.power, self.biases, self.double)

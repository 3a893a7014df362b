"""SNIP: Lee, Ajanthan and Torr (2019)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from slth.pruning import Context, Saliency

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.pruning import Masks


@final
@dataclass(frozen=True)
class Snip(Saliency):
    """|θ ⊙ ∂L/∂θ|: how fast the loss changes as a weight is faded out.

    The cross entropy on one batch, in evaluation mode as in the benchmark of Tanaka et al. (2020).
    Unlike the paper's, scores are not divided by their sum, which ranks them alike.
    """

    data: ClassVar[bool] = True
    training: bool = field(
        default=False, metadata={"help": "Let BatchNorm normalise by the batch."}
    )

    def scores(self, model: nn.Module, masks: Masks, context: Context) -> dict[str, Tensor]:
        import torch

        from slth.pruning._loss import loss_at

        with torch.enable_grad():
            weights, loss = loss_at(model, masks, context, 1.0, self.training)
            grads = torch.autograd.grad(loss(), list(weights.values()), materialize_grads=True)
        pairs = zip(weights.items(), grads, strict=True)
        return {name: (weight.detach() * grad).abs() for (name, weight), grad in pairs}

"""GraSP: Wang, Zhang and Grosse (2020)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from slth.errors import BadInput
from slth.pruning import Context, Saliency

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.pruning import Masks


@final
@dataclass(frozen=True)
class Grasp(Saliency):
    """θ ⊙ Hg: what the squared norm of the gradient g loses without a weight, to first order.

    H is the loss's Hessian in the prunable weights, at logits divided by the temperature. The paper
    scores −θ ⊙ Hg and removes the largest; here the sign is turned and the largest are kept, as of
    every saliency. In evaluation mode, as in the benchmark of Tanaka et al. (2020).
    """

    data: ClassVar[bool] = True
    temperature: float = field(default=200.0, metadata={"help": "Logits are divided by it."})
    training: bool = field(
        default=False, metadata={"help": "Let BatchNorm normalise by the batch."}
    )

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise BadInput(
                "temperature", self.temperature, "a positive number", "the paper has 200"
            )

    def scores(self, model: nn.Module, masks: Masks, context: Context) -> dict[str, Tensor]:
        import torch

        from slth.pruning._loss import loss_at

        with torch.enable_grad():
            weights, loss = loss_at(model, masks, context, self.temperature, self.training)
            at = list(weights.values())
            gradient = torch.autograd.grad(loss(), at, create_graph=True, materialize_grads=True)
            along = sum((g * g.detach()).sum() for g in gradient)
            assert isinstance(along, torch.Tensor)
            if along.requires_grad:
                product = torch.autograd.grad(along, at, materialize_grads=True)
            else:
                product = tuple(torch.zeros_like(weight) for weight in at)
        pairs = zip(weights.items(), product, strict=True)
        return {name: weight.detach() * hg for (name, weight), hg in pairs}

"""Synaptic flow: Tanaka, Kunin, Yamins and Ganguli (2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from slth.pruning import Context, Saliency

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.pruning import Masks


@final
@dataclass(frozen=True)
class SynFlow(Saliency):
    """θ ⊙ ∂R/∂θ of R = 1ᵀ(Π|θ|)1: how much of the flow from inputs to outputs a weight carries."""

    one_shot: ClassVar[bool] = False

    def scores(self, model: nn.Module, masks: Masks, context: Context) -> dict[str, Tensor]:
        import torch

        from slth.pruning._layers import layers
        from slth.pruning._pass import mode, run

        tensors = {
            name: tensor.detach().abs().double() if tensor.is_floating_point() else tensor
            for name, tensor in [*model.named_parameters(), *model.named_buffers()]
        }
        leaves = {}
        for layer in layers(model, shortcuts=True):
            if layer.name in masks:
                weight = tensors[layer.parameter] * masks[layer.name]
                leaves[layer.name] = tensors[layer.parameter] = weight.requires_grad_()
        device = next(iter(leaves.values())).device
        ones = torch.ones((1, *context.shape), dtype=torch.float64, device=device)
        with mode(model, training=False), torch.enable_grad():
            flow = run(model, tensors, ones).sum()
            grads = torch.autograd.grad(flow, list(leaves.values()))
        return {n: (g * w.detach()).abs() for (n, w), g in zip(leaves.items(), grads, strict=True)}

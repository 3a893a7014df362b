"""Synaptic flow: how much of what runs from the inputs to the outputs passes through each weight.

R = 1ᵀ(Π|θ|^p)1 is the output's sum for an input of ones, at absolute weights to the power p, in
evaluation mode; a weight's score is |θ|^p · ∂R/∂|θ|^p (Tanaka et al. 2020 for p = 1). Scores come
up to a common power of two, which ranks them alike and lets float32 take any depth.

Rounding. All terms are non-negative, so each rounding changes a score by a factor within 1 ± u, and
a score is within 1 ± γ of the exact one, γ = M·u/(1 − M·u), where M counts the roundings on the
way: the terms of every sum passed, in whatever order they are added (Higham 2002, section 3.1; M is
derived in `_scaled`). This holds while no product falls below the smallest normal number; weights
whose flow is that far below the largest are ranked in float64. Where a maximum is taken of equal
numbers, the flow is that of the one that was taken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from slth.errors import BadInput
from slth.pruning._layers import Layer, layers
from slth.pruning._pass import mode, run
from slth.pruning._scaled import Scaled, _Tally

if TYPE_CHECKING:
    from slth.pruning import Context, Masks


@dataclass(frozen=True)
class Options:
    """power: p. biases: whether biases and BatchNorm's shifts flow too. double: float64 always."""

    power: int = 1
    biases: bool = True
    double: bool = False


def dtype_for(found: Sequence[Layer], double: bool) -> torch.dtype:
    """float64 where asked for or where a weight has it, else float32, half precision included."""
    wide = any(layer.module.weight.dtype == torch.float64 for layer in found)
    return torch.float64 if double or wide else torch.float32


def strengths(weight: Tensor, power: int, dtype: torch.dtype) -> Tensor:
    """|θ|^p in a memory of its own."""
    found = weight.detach().to(dtype, copy=True).contiguous()
    if power == 0:
        return found.fill_(1.0)
    found.abs_()
    return found if power == 1 else found.pow_(power)


def surroundings(
    model: nn.Module, leaves: Sequence[str], options: Options, dtype: torch.dtype
) -> dict[str, Tensor]:
    """All parameters and buffers but the `leaves`, as the pass wants them."""
    found = {}
    weights = {layer.parameter for layer in layers(model, shortcuts=True)}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if name in leaves or not tensor.is_floating_point():
            continue
        if name in weights:
            found[name] = strengths(tensor, options.power, dtype)
        elif not options.biases and name.rsplit(".", 1)[-1] in ("bias", "running_mean"):
            found[name] = torch.zeros_like(tensor, dtype=dtype)
        else:
            found[name] = tensor.detach().to(dtype).abs()
    return found


def gradients(
    model: nn.Module, around: Mapping[str, Tensor], leaves: Mapping[str, Tensor], context: Context
) -> tuple[list[Tensor], float]:
    """∂R/∂leaf of every leaf, up to a common power of two, and the bound γ (inf: none is known)."""
    first = next(iter(leaves.values()))
    tally = _Tally()
    x = torch.ones((1, *context.shape), dtype=first.dtype, device=first.device)
    for leaf in leaves.values():
        leaf.requires_grad_()
    with ExitStack() as stack:
        stack.enter_context(mode(model, training=False))
        stack.enter_context(torch.enable_grad())
        if first.device.type == "cuda":  # TF32 would round to 11 bits
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        out = run(model, {**around, **leaves}, Scaled.of(x, 0, tally))
        if isinstance(out, Scaled):
            flow, unknown = out.value, False
        else:
            flow, unknown = out, True
        total = flow.sum()
        found: Sequence[Tensor | None] = [None] * len(leaves)
        if total.requires_grad:
            found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    grads = [
        torch.zeros_like(leaf) if grad is None else grad.contiguous()
        for grad, leaf in zip(found, leaves.values(), strict=True)
    ]
    rounded = (tally.roundings + flow.numel() + len(leaves) + 4) * torch.finfo(first.dtype).eps / 2
    return grads, math.inf if unknown or rounded >= 0.5 else rounded / (1 - rounded)


def scores(model: nn.Module, masks: Masks, context: Context, options: Options) -> dict[str, Tensor]:
    """One pass: the scores of the layers in `masks`, up to a common power of two.

    Raises BadInput where the flow is not finite even so, which some activations bring about.
    """
    found = [layer for layer in layers(model, shortcuts=True) if layer.name in masks]
    double = options.double
    while True:
        dtype = dtype_for(found, double)
        leaves = {}
        for layer in found:
            held = strengths(layer.module.weight, options.power, dtype)
            leaves[layer.parameter] = held.mul_(masks[layer.name])
        around = surroundings(model, list(leaves), options, dtype)
        grads, _ = gradients(model, around, leaves, context)
        result = {
            layer.name: grad.mul_(held.detach()).abs_()
            for layer, grad, held in zip(found, grads, leaves.values(), strict=True)
        }
        if all(bool(score.isfinite().all()) for score in result.values()):
            return result
        if dtype == torch.float64:
            raise not_finite()
        double = True


def not_finite() -> BadInput:
    return BadInput(
        "model",
        "a flow that is not finite, even in float64",
        "layers that are linear or positively homogeneous, such as ReLU",
        "use another saliency, or scale the weights down",
    )

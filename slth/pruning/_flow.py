"""Synaptic flow: how much of what runs from the inputs to the outputs passes through each weight.

R = 1ᵀ(Π|θ|^p)1 is the output's sum for an input of ones, at absolute weights to the power p, in
evaluation mode; a weight's score is |θ|^p · ∂R/∂|θ|^p (Tanaka et al. 2020 for p = 1). Scores come
up to a common power of two, which ranks them alike and lets float32 take any depth.

Rounding. All terms are non-negative, so each rounding changes a score by a factor within 1 ± u, and
a score is within 1 ± γ of the exact one, γ = M·u/(1 − M·u), where M counts the roundings on the
way: the terms of every sum passed, in whatever order they are added (Higham 2002, section 3.1; M is
derived in `_scaled`). It holds while no product on the way to the output falls below 2^-126. So
float32 is left for float64 where a weight is under 2^-80, an activation under 2^-45 of the largest
beside it, or the threshold under 2^-60 of the flow, which no derivative lost below 2^-126 can reach
(a loss of 2^-149, times an activation and a weight of at most 2^20 each). Where a maximum is taken
of equal numbers, the flow is that of the one that was taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from slth.errors import BadInput
from slth.pruning._layers import Layer, layers
from slth.pruning._pass import mode, run
from slth.pruning._scaled import Scaled, _Tally

if TYPE_CHECKING:
    from slth.pruning import Context, Masks


ROOM = (2.0**-80, 2.0**20)  # of |θ|^p in float32, zeros apart


@dataclass(frozen=True)
class Options:
    """power: p. biases: whether biases and BatchNorm's shifts flow too. double: float64 always."""

    power: int = 1
    biases: bool = True
    double: bool = False


@dataclass(frozen=True)
class Rounding:
    """bound: γ, inf where none is known. fits: whether float32 had room for all values."""

    bound: float
    fits: bool


def dtype_for(found: Sequence[Layer], options: Options) -> torch.dtype:
    """float64 where asked for, where a weight has it, or where float32 has no room for its powers;
    else float32, half precision included."""
    weights = [layer.module.weight for layer in found]
    if options.double or any(weight.dtype == torch.float64 for weight in weights):
        return torch.float64
    least, largest = (limit ** (1 / max(options.power, 1)) for limit in ROOM)
    for weight in weights if options.power else []:
        sizes = weight.detach().abs()
        if bool(((sizes > 0) & ((sizes < least) | (sizes > largest))).any()):
            return torch.float64
    return torch.float32


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
    model: nn.Module,
    around: Mapping[str, Tensor],
    leaves: Mapping[str, Tensor],
    context: Context,
    take: Callable[[int, Tensor], None],
) -> Rounding:
    """Hand ∂R/∂leaf, flat and up to one power of two, to `take` as soon as it is known.

    take: gets the leaf's number and the derivative, which is freed on return, so that only one at a
    time needs memory; leaves without influence are left out.
    """
    first, tally = next(iter(leaves.values())), _Tally()
    x = torch.ones((1, *context.shape), dtype=first.dtype, device=first.device)
    with ExitStack() as stack:
        stack.enter_context(mode(model, training=False))
        stack.enter_context(torch.enable_grad())
        if first.device.type == "cuda":  # TF32 would round to 11 bits
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))

        def taken(i: int, leaf: Tensor) -> None:
            assert leaf.grad is not None
            grad, leaf.grad = leaf.grad, None
            take(i, grad.reshape(-1))

        for i, leaf in enumerate(leaves.values()):
            hook = leaf.requires_grad_().register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
                partial(taken, i)
            )
            stack.callback(hook.remove)
        out = run(model, {**around, **leaves}, Scaled.of(x, 0, tally))
        flow = out.value if isinstance(out, Scaled) else out
        if flow.requires_grad:
            torch.autograd.backward(flow.sum())
    roundings = tally.roundings if isinstance(out, Scaled) else math.inf
    rounded = (roundings + flow.numel() + len(leaves) + 4) * torch.finfo(first.dtype).eps / 2
    return Rounding(math.inf if rounded >= 0.5 else rounded / (1 - rounded), tally.fits)


def scores(model: nn.Module, masks: Masks, context: Context, options: Options) -> dict[str, Tensor]:
    """One pass: the scores of the layers in `masks`, up to a common power of two.

    Raises BadInput where the flow is not finite even in float64, as some activations make it.
    """
    found = [layer for layer in layers(model, shortcuts=True) if layer.name in masks]
    dtype = dtype_for(found, options)
    result, fits = _scores(model, found, masks, context, options, dtype)
    if dtype != torch.float64 and not (fits and _finite(result)):
        result, _ = _scores(model, found, masks, context, options, torch.float64)
    if not _finite(result):
        raise not_finite()
    return result


def _scores(
    model: nn.Module,
    found: Sequence[Layer],
    masks: Masks,
    context: Context,
    options: Options,
    dtype: torch.dtype,
) -> tuple[dict[str, Tensor], bool]:
    leaves = {}
    for layer in found:
        held = strengths(layer.module.weight, options.power, dtype)
        leaves[layer.parameter] = held.mul_(masks[layer.name])
    result = {layer.name: torch.zeros_like(layer.module.weight, dtype=dtype) for layer in found}
    weights = [leaf.reshape(-1) for leaf in leaves.values()]
    lines = [score.reshape(-1) for score in result.values()]

    def take(i: int, grad: Tensor) -> None:
        lines[i].copy_(grad.mul_(weights[i]).abs_())

    around = surroundings(model, list(leaves), options, dtype)
    return result, gradients(model, around, leaves, context, take).fits


def _finite(scores: Mapping[str, Tensor]) -> bool:
    return all(bool(score.isfinite().all()) for score in scores.values())


def not_finite() -> BadInput:
    return BadInput(
        "model",
        "a flow that is not finite, even in float64",
        "layers that are linear or positively homogeneous, such as ReLU",
        "use another saliency, or scale the weights down",
    )

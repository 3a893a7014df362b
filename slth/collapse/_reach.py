"""Reachability in a masked torch model, by a forward pass of zeros and ones, and shortest paths."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from slth.collapse._signal import Signal
from slth.errors import BadInput
from slth.pruning._pass import mode, run

if TYPE_CHECKING:
    from slth.pruning import Masks

_KNOWN = (nn.Linear, _ConvNd, _NormBase, nn.GroupNorm, nn.LayerNorm, nn.PReLU)


def reached(model: nn.Module, masks: Masks, shape: tuple[int, ...]) -> Tensor:
    """Which outputs some input reaches through kept weights, bool `[outputs]`."""
    for name, module in model.named_modules():
        if not isinstance(module, _KNOWN) and any(True for _ in module.parameters(recurse=False)):
            raise BadInput(
                f"module {name}",
                type(module).__name__,
                "linear and convolutional layers, normalisations, element-wise activations",
                "reachability is not defined here for others",
            )
    tensors = {name: t.float() for name, t in model.named_buffers() if t.is_floating_point()}
    tensors |= {name: _indicator(name, p, masks) for name, p in model.named_parameters()}
    device = next(iter(tensors.values())).device
    with torch.no_grad(), mode(model, training=False):
        out = run(model, tensors, Signal.of(torch.ones((1, *shape), device=device)))
    if not isinstance(out, Signal):  # made of constants alone
        return torch.zeros(out[0].numel(), dtype=torch.bool, device=device)
    return out.plain()[0].reshape(-1) > 0


def _indicator(name: str, parameter: Tensor, masks: Masks) -> Tensor:
    layer, _, kind = name.rpartition(".")
    if kind == "bias":
        return torch.zeros_like(parameter, dtype=torch.float32)
    there = parameter != 0
    if kind == "weight" and layer in masks:
        mask = masks[layer].to(there.device)
        if mask.shape != there.shape:
            raise BadInput(
                f"masks[{layer!r}]",
                f"shape {tuple(mask.shape)}",
                f"the weight's {tuple(there.shape)}",
                "give the masks of this model",
            )
        there &= mask
    return there.float()


class _Tracer(torch.fx.Tracer):
    """Looks into every module that has parts, torch's own too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(True for _ in m.children())


def fewest_on_a_path(model: nn.Module, pruned: Collection[str]) -> int:
    """The least number of layers in `pruned` that a path from input to output passes.

    A shortest path in the graph of the forward pass: a sum or a join is reached by its nearest
    part. One weight in each layer on it makes it a path of weights.
    """
    try:
        nodes = _Tracer().trace(model).nodes
    except Exception as error:
        raise BadInput(
            "model",
            f"a forward that cannot be traced: {type(error).__name__}: {error}",
            "one without control flow that depends on data (torch.fx)",
            "write its forward without it",
        ) from error
    cost: dict[Any, int] = {}
    for node in nodes:
        before = [cost[n] for n in node.all_input_nodes if n in cost]
        if node.op == "placeholder":
            cost[node] = 0
        elif before:  # what depends on no input carries nothing
            cost[node] = min(before) + (node.op == "call_module" and node.target in pruned)
        if node.op == "output":
            return cost[node]
    raise AssertionError("a traced graph ends in its output")

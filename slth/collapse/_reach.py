"""Reachability in a masked torch model, by a forward pass of zeros and ones, and shortest paths."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from slth.errors import BadInput
from slth.pruning._pass import mode, run

if TYPE_CHECKING:
    from slth.pruning import Masks

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)
_MIXING = (nn.Softmax, nn.Softmin, nn.Softmax2d, nn.LogSoftmax, nn.MultiheadAttention)


def reached(model: nn.Module, masks: Masks, shape: tuple[int, ...]) -> Tensor:
    """Which outputs some input reaches through kept weights, bool `[outputs]`."""
    tensors = {name: t.float() for name, t in model.named_buffers() if t.is_floating_point()}
    tensors |= {name: _indicator(name, p, masks) for name, p in model.named_parameters()}
    device = next(iter(tensors.values())).device
    with torch.no_grad(), mode(model, training=False), _passing(model):
        out = run(model, tensors, torch.ones((1, *shape), device=device))
    return out[0].reshape(-1) > 0


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


@contextlib.contextmanager
def _passing(model: nn.Module) -> Iterator[None]:
    """The model's modules passing indicators on, for as long as the block lasts."""
    handles = []
    try:
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear | _ConvNd):
                # sums of residual branches may count a unit twice
                handles.append(module.register_forward_pre_hook(_before_layer))
                handles.append(module.register_forward_hook(_after_layer))
            elif isinstance(module, _NORMS):
                handles.append(module.register_forward_hook(_after_norm))
            elif _passes_all(module):
                handles.append(module.register_forward_hook(lambda _, given, __: given[0]))
            elif isinstance(module, _MIXING) or any(True for _ in module.parameters(recurse=False)):
                raise BadInput(
                    f"module {name}",
                    type(module).__name__,
                    "linear and convolutional layers, normalisations, element-wise activations",
                    "reachability is not defined here for others",
                )
        yield
    finally:
        for handle in handles:
            handle.remove()


def _passes_all(module: nn.Module) -> bool:
    """Element-wise activations and dropout: positive or not, a signal goes on."""
    kind = type(module).__module__
    if kind == "torch.nn.modules.dropout":
        return True
    return kind == "torch.nn.modules.activation" and not isinstance(module, _MIXING)


def _before_layer(_: nn.Module, given: Any) -> Any:
    return (given[0] > 0).float(), *given[1:]


def _after_layer(_: nn.Module, __: Any, out: Tensor) -> Tensor:
    # whole numbers; half of one, since fast convolutions may leave 1e-6 where 0 belongs
    return (out > 0.5).float()


def _after_norm(module: nn.Module, given: Any, _: Tensor) -> Tensor:
    """The signal itself, but for channels that the norm multiplies by 0."""
    x: Tensor = given[0]
    scale = getattr(module, "weight", None)
    if not isinstance(scale, Tensor):
        return x
    if not isinstance(module, nn.LayerNorm):  # that one's scale has the trailing dimensions
        scale = scale.reshape(1, -1, *[1] * (x.dim() - 2))
    return x * scale


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

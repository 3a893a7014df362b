"""What flows through a network's weights: saliency, its sums at neurons, layers and cuts.

Tanaka et al. (2020), Theorems 1 and 2: where every operation is homogeneous of degree one and there
are no biases, the scores θ ∂R/∂θ into a neuron and out of it have one sum, and so do all cuts,
whatever the scalar R of the outputs. Derived here: weights shared by convolution count by their sum
over positions, pooling passes a channel's flow on whole, and where values are added, what an edge
without a weight carries (an identity shortcut) belongs to no weight but to every cut it crosses.

Rounding, derived here: outputs and scores are sums over paths of products, each rounded at most K
times, along one pattern of active neurons. So a sum of scores is off by at most γ_K = K u/(1 − K u)
times the sum of all paths' sizes, which is the same network's output with |θ| at |x|, weighted by
|∂R/∂y|.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from slth.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Flow:
    """θ ∂R/∂θ of one objective on one batch, layers in the order in which they ran.

    weights: by layer, of the weight's shape `[out, in, ...]`; biases: by layer that has one,
    `[out]`; shortcuts: what each `nn.Identity` carries, Σ v ∂R/∂v along that edge alone; inputs and
    outputs: <∂R/∂x, x> and <∂R/∂y, y>; repeated: layers that ran more than once, whose scores add
    up; rounding: the most that two sums which are equal in real numbers can differ here.
    """

    weights: Mapping[str, Tensor]
    biases: Mapping[str, Tensor]
    shortcuts: Mapping[str, float]
    inputs: float
    outputs: float
    repeated: frozenset[str]
    rounding: float


def saliency(model: nn.Module, objective: Callable[[Tensor], Tensor], x: Tensor) -> Flow:
    """The saliency of every Linear and Conv2d for R = objective(model(x)), x `[batch, ...]`.

    The model runs in the mode it is in and keeps its parameters and gradients. Raises BadInput
    where R is no scalar or nothing that was run has a weight.
    """
    import torch

    x = x.detach().clone().requires_grad_()
    with _recorded(model) as ran, torch.enable_grad():
        y = model(x)
        value = objective(y)
    if value.numel() != 1:
        raise BadInput("objective", tuple(value.shape), "one number", "sum over the batch")
    layers = {name: outs for name, outs in ran.items() if hasattr(outs[0][0], "weight")}
    if not layers:
        raise BadInput("model", "no Linear or Conv2d that ran", "at least one", "check its forward")
    held = {name: outs[0][0] for name, outs in layers.items()}
    biased = {name: layer.bias for name, layer in held.items() if layer.bias is not None}
    edges = [(name, out) for name, outs in ran.items() if name not in held for _, out in outs]
    wanted = [x, y, *(layer.weight for layer in held.values()), *biased.values()]
    wanted += [out for _, out in edges]
    slopes = [
        torch.zeros_like(v) if slope is None else slope
        for v, slope in zip(
            wanted, torch.autograd.grad(value, wanted, allow_unused=True), strict=True
        )
    ]
    scores = [(v * slope).detach() for v, slope in zip(wanted, slopes, strict=True)]
    shortcuts: dict[str, float] = {}
    for (name, _), carried in zip(edges, scores[2 + len(held) + len(biased) :], strict=True):
        shortcuts[name] = shortcuts.get(name, 0.0) + float(carried.sum())
    return Flow(
        dict(zip(held, scores[2:], strict=False)),
        dict(zip(biased, scores[2 + len(held) :], strict=False)),
        shortcuts,
        float(scores[0].sum()),
        float(scores[1].sum()),
        frozenset(name for name, outs in layers.items() if len(outs) > 1),
        _rounding(model, [pair for outs in layers.values() for pair in outs], x, slopes[1]),
    )


def layer_sums(found: Flow) -> dict[str, float]:
    """The sum of each layer's scores, without its biases': all equal in a bias-free chain."""
    return {name: float(scores.sum()) for name, scores in found.weights.items()}


def cut(found: Flow, edges: Iterable[str]) -> float:
    """The sum over layers and shortcuts by name, a set that every path crosses exactly once.

    Equal to `inputs` for each such set where there are no biases. Raises BadInput for other names.
    """
    sums = layer_sums(found) | dict(found.shortcuts)
    names = list(edges)
    for name in names:
        if name not in sums:
            raise BadInput("edges", name, ", ".join(sums), "name layers and nn.Identity modules")
    return sum(sums[name] for name in names)


def neuron_sums(found: Flow) -> dict[str, tuple[Tensor, Tensor]]:
    """Scores into and out of every hidden neuron or channel of a chain, by layer: two `[out]`.

    A bias counts as incoming; what follows a flattened convolution counts by channel. For networks
    where each layer's output goes through the next alone; raises BadInput where widths do not fit
    or a layer ran twice.
    """
    if found.repeated or found.shortcuts:
        got = ", ".join(sorted(found.repeated | set(found.shortcuts)))
        raise BadInput("found", got, "a chain of layers", "use cut() for other networks")
    sums = {}
    for (name, before), (after_name, after) in pairwise(found.weights.items()):
        into, out = before.flatten(1).sum(1), _by_input(after, len(before))
        if out is None:
            got = f"{name} of {len(before)}, then {after_name} {tuple(after.shape)}"
            raise BadInput("found", got, "a chain of layers", "use cut() for other networks")
        if name in found.biases:
            into = into + found.biases[name]
        sums[name] = (into, out)
    return sums


def imbalance(found: Flow) -> float:
    """The worst |in − out| of any hidden neuron of a chain; at most `rounding` if conserved."""
    pairs = neuron_sums(found).values()
    return max((float((into - out).abs().max()) for into, out in pairs), default=0.0)


def _by_input(scores: Tensor, units: int) -> Tensor | None:
    """Sums by input neuron `[units]`; a group's inputs are the outputs of the layer before it."""
    inputs = scores.shape[1]
    if units % inputs == 0 and scores.ndim == 4:
        groups = units // inputs
        return scores.reshape(groups, -1, inputs, scores[0, 0].numel()).sum((1, 3)).flatten()
    if inputs % units or scores.ndim != 2:
        return None
    return scores.sum(0).reshape(units, -1).sum(1)


@contextmanager
def _recorded(model: nn.Module) -> Iterator[dict[str, list[tuple[Any, Tensor]]]]:
    """While open, each run of a layer or an identity by its name: the module and its output."""
    from torch import nn

    ran: dict[str, list[tuple[Any, Tensor]]] = {}

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        def keep(module: nn.Module, _: Any, out: Tensor) -> Tensor:
            own = out.clone() if isinstance(module, nn.Identity) else out  # an edge of its own
            ran.setdefault(name, []).append((module, own))
            return own

        return keep

    kinds = (nn.Linear, nn.Conv2d, nn.Identity)
    handles = [
        module.register_forward_hook(hook(name))
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    ]
    try:
        yield ran
    finally:
        for handle in handles:
            handle.remove()


def _rounding(model: nn.Module, ran: list[tuple[Any, Tensor]], x: Tensor, slope: Tensor) -> float:
    """2 γ_K Σ|paths|: twice, because both of two sums are rounded.

    K counts, layer by layer, the terms of a sum forward and backward, those of a pooling window and
    a residual sum after it; then those of one weight's gradient and of the sum over a layer.
    """
    import torch

    size = deepcopy(model)
    with torch.no_grad():
        for parameter in size.parameters():
            parameter.abs_()
        paths = float((slope.abs() * size(x.abs())).sum())
    terms, last = 0, 0
    for layer, out in ran:
        positions = out[0, 0].numel()
        fan_in = layer.weight[0].numel()
        fan_out = layer.weight.numel() // layer.weight.shape[1]
        terms += fan_in + fan_out + 2 * positions + 8
        last = max(last, len(x) * positions + layer.weight.numel())
    small = (terms + last) * torch.finfo(x.dtype).eps / 2
    return 2 * small / (1 - small) * paths if small < 1 else float("inf")

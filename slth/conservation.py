"""What flows through a network's weights: saliency, its sums at neurons, layers and cuts.

Tanaka et al. (2020), Theorems 1 and 2: where every operation is homogeneous of degree one and there
are no biases, the scores θ ∂R/∂θ into a neuron and out of it have one sum, and so do all cuts,
whatever the scalar R of the outputs. Derived here: weights shared by convolution count by their sum
over positions, pooling passes a channel's flow on whole, and where values are added, what an edge
without a weight carries (an identity shortcut) belongs to no weight but to every cut it crosses.

Rounding, derived here: what comes in and what goes out of an operation are computed from the same
numbers, so they differ by its own rounding alone and not by that of the layers before. In one layer
of weights W with inputs a and slopes δ of its outputs that is at most γ_K = K u/(1 − K u) times
Σ |δ| |W| |a|, K the number of terms that are added one after another. Over a cut it adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
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
    up; rounding: the most that two sums here can differ which are equal in real numbers.
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
    held = {name: runs[0].module for name, runs in ran.items() if runs[0].weighted}
    if not held:
        raise BadInput("model", "no Linear or Conv2d that ran", "at least one", "check its forward")
    biased = {name: layer.bias for name, layer in held.items() if layer.bias is not None}
    runs = [run for several in ran.values() for run in several]
    wanted = [x, y, *(layer.weight for layer in held.values()), *biased.values()]
    wanted += [run.output for run in runs]
    slopes = [
        torch.zeros_like(v) if slope is None else slope
        for v, slope in zip(
            wanted, torch.autograd.grad(value, wanted, allow_unused=True), strict=True
        )
    ]
    scores = [(v * slope).detach() for v, slope in zip(wanted, slopes, strict=True)]
    own = len(wanted) - len(runs)
    shortcuts: dict[str, float] = {}
    for run, carried in zip(runs, scores[own:], strict=True):
        if not run.weighted:
            shortcuts[run.name] = shortcuts.get(run.name, 0.0) + float(carried.sum())
    return Flow(
        dict(zip(held, scores[2:], strict=False)),
        dict(zip(biased, scores[2 + len(held) :], strict=False)),
        shortcuts,
        float(scores[0].sum()),
        float(scores[1].sum()),
        frozenset(name for name in held if len(ran[name]) > 1),
        _rounding(runs, slopes[own:]),
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


def neuron_sums(
    scores: Mapping[str, Tensor], biases: Mapping[str, Tensor] | None = None
) -> dict[str, tuple[Tensor, Tensor]]:
    """Scores into and out of every hidden neuron or channel of a chain, by layer: two `[out]`.

    scores: of any kind, by layer in the order in which they run, each layer's output going through
    the next alone. A bias counts as incoming; what follows a flattened convolution counts by
    channel. Raises BadInput where widths do not fit.
    """
    sums = {}
    for (name, before), (after_name, after) in pairwise(scores.items()):
        into, out = before.flatten(1).sum(1), _by_input(after, len(before))
        if out is None:
            got = f"{name} of {len(before)}, then {after_name} {tuple(after.shape)}"
            raise BadInput("scores", got, "a chain of layers", "use cut() for other networks")
        if biases and name in biases:
            into = into + biases[name]
        sums[name] = (into, out)
    return sums


def imbalance(found: Flow) -> float:
    """The worst |in − out| of any hidden neuron of a chain, at most `rounding` where conserved.

    Raises BadInput where something else than a chain shows: a shortcut, or a layer that ran twice.
    """
    if found.repeated or found.shortcuts:
        got = ", ".join(sorted(found.repeated | set(found.shortcuts)))
        raise BadInput("found", got, "a chain of layers", "use cut() for other networks")
    pairs = neuron_sums(found.weights, found.biases).values()
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


@dataclass(frozen=True, eq=False)
class _Run:
    name: str
    module: Any
    input: Tensor
    output: Tensor

    @property
    def weighted(self) -> bool:
        return hasattr(self.module, "weight")


@contextmanager
def _recorded(model: nn.Module) -> Iterator[dict[str, list[_Run]]]:
    """While open, each run of a layer or an identity by its name."""
    from torch import nn

    ran: dict[str, list[_Run]] = {}

    def hook(name: str) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        def keep(module: nn.Module, given: Any, out: Tensor) -> Tensor:
            own = out.clone() if isinstance(module, nn.Identity) else out  # an edge of its own
            ran.setdefault(name, []).append(_Run(name, module, given[0].detach(), own))
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


def _rounding(runs: list[_Run], slopes: list[Tensor]) -> float:
    """2 γ_K Σ |δ| |W| |a| over all layers, twice because both sums are rounded.

    K counts the terms of a layer's sums forward and backward, of one weight's gradient, of the sum
    of the scores, and of a pooling window and a few sums beside it.
    """
    import torch
    from torch.func import functional_call

    terms, size = 0, 0.0
    with torch.no_grad():
        for run, slope in zip(runs, slopes, strict=True):
            if not run.weighted:
                size += float((slope * run.output).abs().sum())
                continue
            held = {name: p.abs() for name, p in run.module.named_parameters()}
            through = functional_call(run.module, held, (run.input.abs(),))
            size += float((slope.abs() * through).sum())
            weight = run.module.weight
            positions, weights = run.output[0, 0].numel(), weight.numel()
            fans = weights // len(weight) + weights // weight.shape[1]
            terms = max(terms, fans + weights + (2 + len(slope)) * positions + 8)
    small = terms * torch.finfo(slopes[0].dtype).eps / 2
    return 2 * small / (1 - small) * size if small < 1 else float("inf")

"""Training a module, or what a mask leaves of it: float32, on any device; pruned weights stay 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Recipe:
    """Adam with a cosine schedule on the cross entropy; rate: of its first step."""

    epochs: int
    batch: int = 100
    rate: float = 2e-3


def train(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    x: Tensor,
    labels: Tensor,
    recipe: Recipe,
    seed: int,
) -> None:
    """Train `model` in place on x `[n, ...]` with labels `[n]`; the seed fixes the batches.

    masks: layer → bool of its weight's shape, True = kept. Biases are trained and never pruned, so
    behind an empty layer the network still learns its classes' shares.
    """
    import torch
    from torch.nn.functional import cross_entropy

    draw = torch.Generator().manual_seed(seed)
    pruned = [(_weight(model, name), ~mask) for name, mask in masks.items()]

    def zero() -> None:
        with torch.no_grad():
            for weight, gone in pruned:
                weight[gone] = 0

    zero()
    model.train()
    steps = recipe.epochs * (len(x) // recipe.batch)
    parameters = list(model.parameters())
    step = adam(parameters)
    count = 0
    for _ in range(recipe.epochs):
        order = torch.randperm(len(x), generator=draw).to(x.device)
        for rows in torch.split(order[: len(x) // recipe.batch * recipe.batch], recipe.batch):
            slopes = torch.autograd.grad(cross_entropy(model(x[rows]), labels[rows]), parameters)
            step(slopes, recipe.rate * (1 + math.cos(math.pi * count / steps)) / 2)
            zero()
            count += 1
    model.eval()


def _weight(model: nn.Module, name: str) -> Tensor:
    weight: Tensor = model.get_submodule(name).weight  # type: ignore[assignment]
    return weight


def adam(parameters: Sequence[Tensor]) -> Callable[[Sequence[Tensor], float], None]:
    """Kingma and Ba's (2015) step in place, by slopes and rate, with torch's own constants.

    torch.optim's is the same to the last bit, but importing it costs four seconds a process.
    """
    import torch

    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    count = 0

    def step(slopes: Sequence[Tensor], rate: float) -> None:
        nonlocal count
        count += 1
        with torch.no_grad():
            for p, g, m, v in zip(parameters, slopes, first, second, strict=True):
                m.lerp_(g, 1 - 0.9)
                v.mul_(0.999).addcmul_(g, g, value=1 - 0.999)
                root = (v.sqrt() / (1 - 0.999**count) ** 0.5).add_(1e-8)
                p.addcdiv_(m, root, value=-rate / (1 - 0.9**count))

    return step


def accuracy(model: nn.Module, x: Tensor, labels: Tensor) -> float:
    """Fraction of rows whose largest output is the label's."""
    import torch

    with torch.no_grad():
        return float((model(x).argmax(1) == labels).double().mean())

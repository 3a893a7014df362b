"""Training what a mask leaves, in one place: float32 on any device, pruned weights stay 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Adam with a cosine schedule on the cross entropy; rate: of its first step."""

    epochs: int
    batch: int = 100
    rate: float = 2e-3


def train(
    model: Any, masks: Mapping[str, Any], x: Any, labels: Any, recipe: Recipe, seed: int
) -> None:
    """Train `model` in place on x `[n, ...]` with labels `[n]`; the seed fixes the batches.

    masks: layer → bool of its weight's shape, True = kept. Biases are trained and never pruned, so
    behind an empty layer the network still learns its classes' shares.
    """
    import torch
    from torch.nn.functional import cross_entropy

    draw = torch.Generator().manual_seed(seed)
    pruned = [(model.get_submodule(name).weight, ~mask) for name, mask in masks.items()]

    def zero() -> None:
        with torch.no_grad():
            for weight, gone in pruned:
                weight[gone] = 0

    zero()
    model.train()
    steps = recipe.epochs * (len(x) // recipe.batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(x), generator=draw).to(x.device)
        for rows in order[: len(x) // recipe.batch * recipe.batch].split(recipe.batch):
            optimizer.zero_grad()
            torch.autograd.backward(cross_entropy(model(x[rows]), labels[rows]))
            optimizer.step()
            zero()
            schedule.step()
    model.eval()


def accuracy(model: Any, x: Any, labels: Any) -> float:
    """Fraction of rows whose largest output is the label's."""
    import torch

    with torch.no_grad():
        return float((model(x).argmax(1) == labels).double().mean())

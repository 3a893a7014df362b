"""The two networks of Pensia et al. (2020), experiment 2: a redundant structure, a wide network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Units(nn.Conv2d):
    """r units an input, each multiplied with that input alone: `[batch, n]` → `[batch, n·r]`.

    A 1 × 1 convolution with a group for each input, written as the product that it is: torch's own
    grouped convolution takes seven times as long. Its weight is `[n·r, 1, 1, 1]`, of fan-in 1.
    """

    def __init__(self, inputs: int, r: int) -> None:
        super().__init__(inputs, inputs * r, 1, groups=inputs, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return (input[:, :, None] * self.weight.view(input.shape[1], -1)).flatten(1)


def redundant(inputs: int, hidden: int, r: int, relu: bool, outputs: int = 10) -> nn.Sequential:
    """Two layers, each of r units an input, a ReLU after them or none, and a dense matrix."""
    parts: list[nn.Module] = []
    for fan_in, fan_out in ((inputs, hidden), (hidden, outputs)):
        parts += [nn.ReLU()] if parts else []
        parts += [Units(fan_in, r), *([nn.ReLU()] if relu else [])]
        parts += [nn.Linear(fan_in * r, fan_out, bias=False)]
    return nn.Sequential(*parts)


def wide(inputs: int, hidden: int, outputs: int = 10) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, outputs, bias=False)
    )


def wide_hidden(inputs: int, hidden: int, r: int, outputs: int = 10) -> int:
    """The width at which a network of two layers has the redundant one's number of parameters."""
    parameters = r * (inputs + outputs) * hidden + r * (inputs + hidden)
    return round(parameters / (inputs + outputs))


def draw(model: nn.Module, seed: int, r: int) -> None:
    """Normal weights: units of variance 2, dense matrices of 2 over inputs before redundancy."""
    from slth.supermask import Frozen

    Frozen(seed, "normal").draw(model)
    units = [module for module in model.modules() if isinstance(module, Units)]
    with torch.no_grad():
        for module in model.modules():
            if units and isinstance(module, nn.Linear):
                module.weight.mul_(r**0.5)  # drawn for r times as many inputs


def connected(model: nn.Module, masks: Any) -> float:
    """Of all pairs of an input and a hidden neuron, the fraction that some kept weights join."""
    first, *rest = masks.values()
    if not any(isinstance(module, Units) for module in model.modules()):
        return float(first.double().mean())
    dense = rest[0]
    inputs = next(m.in_channels for m in model.modules() if isinstance(m, Units))
    both = dense.reshape(len(dense), inputs, -1) & first.reshape(inputs, -1)
    return float(both.any(2).double().mean())

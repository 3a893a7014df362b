"""Many masked perceptrons of one shape trained at once: what one after another gives, sooner."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sims._masked import adam
from slth.target import Target

Loss = Callable[[Tensor, Tensor], Tensor]  # outputs [K, n, d], what is wanted → [K]


@dataclass(frozen=True)
class Recipe:
    """Adam with a cosine schedule; steps: in all, of batches drawn without return by epochs."""

    steps: int
    batch: int
    rate: float


class Stack:
    """K networks with the weights of one, each under masks of its own; float32, on the CPU.

    masks: K times one bool array `[out, in]` a layer. Biases are trained and never pruned.
    """

    def __init__(self, network: Target, masks: Sequence[Sequence[Any]]) -> None:
        def repeated(array: Any) -> Tensor:
            one = torch.from_numpy(np.float32(array))
            return one.expand(len(masks), *one.shape).clone()

        self.masks = [
            torch.from_numpy(np.stack(layer)).float() for layer in zip(*masks, strict=True)
        ]
        self.weights = [
            repeated(w) * mask for w, mask in zip(network.weights, self.masks, strict=True)
        ]
        self.biases = [repeated(b)[:, None] for b in network.biases]

    def __call__(self, x: Tensor) -> Tensor:
        """`[n, d_0]` → `[K, n, d_l]`."""
        y = x.expand(len(self.masks[0]), *x.shape)
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            y = torch.baddbmm(b, y.relu() if i else y, w.transpose(1, 2))
        return y

    def train(self, loss: Loss, x: Tensor, wanted: Tensor, recipe: Recipe, seed: int) -> None:
        """Train in place on x `[n, d_0]`; the seed fixes the batches, the same for all."""
        draw = torch.Generator().manual_seed(seed)
        parameters = [*self.weights, *self.biases]
        for parameter in parameters:
            parameter.requires_grad_()
        step, rows = adam(parameters), _batches(len(x), recipe.batch, draw)
        for t in range(recipe.steps):
            some = next(rows)
            slopes = list(torch.autograd.grad(loss(self(x[some]), wanted[some]).sum(), parameters))
            for slope, mask in zip(slopes, self.masks, strict=False):
                slope.mul_(mask)  # a pruned weight's moments stay 0, and so does the weight
            step(slopes, recipe.rate * (1 + math.cos(math.pi * t / recipe.steps)) / 2)
        for parameter in parameters:
            parameter.requires_grad_(False)

    def network(self, k: int) -> Target:
        """The k-th of them as it stands."""
        return Target(
            tuple(w[k].numpy().copy() for w in self.weights),
            tuple(b[k, 0].numpy().copy() for b in self.biases),
        )


def _batches(n: int, batch: int, draw: torch.Generator) -> Any:
    while True:
        yield from torch.randperm(n, generator=draw)[: n // batch * batch].split(batch)

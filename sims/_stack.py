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
        dense = [*self.weights, *self.biases]
        for tensor in dense:
            tensor.requires_grad_()
        # most weights are pruned: Adam sees only those that are kept
        kept = [mask.reshape(-1).nonzero()[:, 0] for mask in self.masks]
        flat = [w.detach().view(-1) for w in self.weights]
        living = [w[places] for w, places in zip(flat, kept, strict=True)]
        step = adam([*living, *(b.detach() for b in self.biases)])
        rows = _batches(len(x), recipe.batch, draw)
        for t in range(recipe.steps):
            some = next(rows)
            slopes = torch.autograd.grad(loss(self(x[some]), wanted[some]).sum(), dense)
            own = [g.reshape(-1)[places] for g, places in zip(slopes, kept, strict=False)]
            rate = recipe.rate * (1 + math.cos(math.pi * t / recipe.steps)) / 2
            step([*own, *slopes[len(own) :]], rate)
            for w, values, places in zip(flat, living, kept, strict=True):
                w[places] = values
        for tensor in dense:
            tensor.requires_grad_(False)

    def network(self, k: int) -> Target:
        """The k-th of them as it stands."""
        return Target(
            tuple(w[k].numpy().copy() for w in self.weights),
            tuple(b[k, 0].numpy().copy() for b in self.biases),
        )


def _batches(n: int, batch: int, draw: torch.Generator) -> Any:
    while True:
        yield from torch.randperm(n, generator=draw)[: n // batch * batch].split(batch)

"""Plain training of small ReLU networks, with or without keeping them inside the theorems' class.

The class is the hypothesis of Malach et al. (2020), Theorem 2.1, and implies those of Pensia et al.
(2020), Theorem 1: every matrix has spectral norm at most 1 and entries at most 1/√n_in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.target import Target

if TYPE_CHECKING:
    from torch import Generator, Tensor

SLACK = 1e-4  # far above float32's rounding, far below anything a figure shows


@dataclass(frozen=True)
class Recipe:
    """Adam with a cosine schedule on the cross entropy of temperature * logits.

    project_every: steps between projections onto the theorems' class (and once more at the end),
    None for ordinary training. The temperature makes up for the small logits of that class.
    """

    bias: bool
    project_every: int | None = None
    temperature: float = 1.0
    epochs: int = 60
    batch: int = 64
    rate: float = 1e-2


def train_mlp(
    x: NDArray[np.float64],
    labels: NDArray[np.int64],
    dims: Sequence[int],
    recipe: Recipe,
    seed: int,
) -> Target:
    """Train on x `[n, dims[0]]` with labels `[n]` in 0..dims[-1]-1.

    In float64; the weights returned are the float32 numbers nearest to them. The seed fixes every
    draw, and on one machine every bit.
    """
    import torch

    draw = torch.Generator().manual_seed(seed)
    weights, biases = _initial(dims, recipe.bias, draw)
    with _one_thread():
        _descend(weights, biases, torch.from_numpy(x), torch.from_numpy(labels), recipe, draw)
    return Target(
        tuple(w.detach().float().numpy() for w in weights),
        tuple(b.detach().float().numpy() for b in biases) or (None,) * len(weights),
    )


def accuracy(
    network: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    x: NDArray[np.float64],
    labels: NDArray[np.int64],
) -> float:
    """Fraction of rows whose largest output is the label's; a tie goes to the lower class."""
    return float(np.mean(np.argmax(network(x), axis=1) == labels))


def rescaled(target: Target) -> Target:
    """The same bias-free network with every matrix divided into the theorems' class.

    ReLU is homogeneous, so the outputs shrink by one positive factor and no decision changes; the
    divisors are powers of two, so nothing is rounded. Raises BadInput when there are biases.
    """
    if any(bias is not None for bias in target.biases):
        raise BadInput("target", "biases", "no biases", "train with Recipe(bias=False)")
    divisors = [
        max(float(np.linalg.norm(w, 2)), float(np.abs(w).max()) * math.sqrt(w.shape[1]))
        for w in target.weights
    ]
    exponents = [max(0, math.ceil(math.log2(d * (1 + SLACK)))) if d else 0 for d in divisors]
    weights = [np.ldexp(w, -e) for w, e in zip(target.weights, exponents, strict=True)]
    return Target(tuple(weights), target.biases)


def _descend(
    weights: list[Tensor],
    biases: list[Tensor],
    x: Tensor,
    labels: Tensor,
    recipe: Recipe,
    draw: Generator,
) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    per_epoch = len(x) // recipe.batch
    steps = recipe.epochs * per_epoch
    every = recipe.project_every or steps + 1
    optimizer = torch.optim.Adam([*weights, *biases], lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    step = 0
    for _ in range(recipe.epochs):
        order = torch.randperm(len(x), generator=draw)
        for rows in order[: per_epoch * recipe.batch].reshape(per_epoch, recipe.batch):
            optimizer.zero_grad()
            logits = _forward(x[rows], weights, biases)
            loss = cross_entropy(recipe.temperature * logits, labels[rows])
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            step += 1
            if step % every == 0:
                _project(weights)
    if recipe.project_every is not None:
        _project(weights)


def _initial(dims: Sequence[int], bias: bool, draw: Generator) -> tuple[list[Tensor], list[Tensor]]:
    """Uniform in ±1/√n_in: torch.nn.Linear's own choice and the class's bound on entries."""
    import torch

    def uniform(*shape: int, fan_in: int) -> Tensor:
        unit = torch.rand(shape, generator=draw, dtype=torch.float64)
        return ((2 * unit - 1) / math.sqrt(fan_in)).requires_grad_()

    pairs = list(zip(dims[1:], dims[:-1], strict=True))
    weights = [uniform(out, fan_in, fan_in=fan_in) for out, fan_in in pairs]
    return weights, [uniform(out, fan_in=fan_in) for out, fan_in in pairs if bias]


def _forward(y: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    for i, weight in enumerate(weights):
        y = (y.relu() if i else y) @ weight.T
        y = y + biases[i] if biases else y
    return y


def _project(weights: list[Tensor]) -> None:
    """Clip singular values, then entries; scale last, since clipping entries may raise the norm."""
    import torch

    with torch.no_grad():
        for weight in weights:
            left, values, right = torch.linalg.svd(weight, full_matrices=False)
            inside = (left * values.clamp(max=1 - SLACK)) @ right
            limit = (1 - SLACK) / math.sqrt(weight.shape[1])
            inside.clamp_(-limit, limit)
            norm = torch.linalg.matrix_norm(inside, 2)
            weight.copy_(inside * ((1 - SLACK) / norm).clamp(max=1))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads slow matrices this small, on a busy machine a hundredfold, and reorder sums."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

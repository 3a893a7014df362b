"""Networks with a handmade ticket in them, their data and errors, for `sims.planted`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from slth.nets.handmade import Handmade, handmade
from slth.nets.planted import Planted, plant
from slth.target import Target, from_module

DEPTH, WIDTH = 5, 100
SAMPLES, FLIPPED, NOISE = 10_000, 0.01, 0.1  # a tenth held out; labels redealt; standard deviation
SHARPNESS = 10.0  # root mean square that the circle's logits are brought to


class Scaled(nn.Module):
    """Outputs times the positive number that brings their root mean square to `size`."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.size = size

    def forward(self, y: Tensor) -> Tensor:
        return scaled(y, self.size)


def scaled(y: Tensor, size: float) -> Tensor:
    """Over the last two dimensions, examples and outputs."""
    return y * (size / (y.square().mean((-2, -1), keepdim=True) + 1e-30).sqrt())


@dataclass(frozen=True, eq=False)
class Problem:
    """A task, a network in which its handmade ticket is hidden, and data; test labels are exact.

    before: the network before planting. model: the planted one.
    """

    made: Handmade
    before: Target
    hidden: Planted
    model: nn.Sequential
    x: Tensor
    wanted: Tensor
    test: tuple[Tensor, Tensor]

    @property
    def classes(self) -> bool:
        return self.made.name == "circle"

    @property
    def size(self) -> float:
        return SHARPNESS if self.classes else float(self.test[1].square().mean().sqrt())

    def loss(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        """Of scaled outputs `[K, n, d]`, one a network."""
        y = scaled(outputs, self.size)
        if not self.classes:
            return (y - wanted).square().sum(2).mean(1)
        labels = wanted.expand(len(y), -1).reshape(-1)
        return cross_entropy(y.flatten(0, 1), labels, reduction="none").reshape(len(y), -1).mean(1)

    def errors(self, outputs: Tensor, as_is: bool = False) -> list[float]:
        """Of test outputs `[K, n, d]`: share of wrong classes, or of squares left unexplained.

        The latter is min over c >= 0 of mean |c y − f|² / mean |f|²: right up to a positive factor;
        as_is: with c = 1.
        """
        y, wanted = outputs.double(), self.test[1]
        if self.classes:
            return [float(e) for e in (y.argmax(2) != wanted).double().mean(1)]
        total = wanted.double().square().mean()
        if as_is:
            return [float(e) for e in (y - wanted).square().mean((1, 2)) / total]
        product = (y * wanted).mean((1, 2)).clamp(min=0)
        left = product.square() / (y.square().mean((1, 2)) + 1e-300)
        return [float(e) for e in 1 - left / total]


def problem(name: str, seed: int, depth: int = DEPTH, samples: int = SAMPLES) -> Problem:
    """Everything about a task that a seed fixes."""
    from slth.nets.architectures import build
    from slth.supermask import Frozen

    made = handmade(name, depth)
    inputs, outputs = made.target.dims[0], made.target.dims[-1]
    dims = (inputs, *(WIDTH,) * (depth - 1), outputs)
    model = build("mlp:" + ",".join(map(str, dims)))
    Frozen(seed, "normal", biases=1.0).draw(model)
    before = from_module(model)
    hidden = plant(made.target, before)
    put(model, hidden.network)
    rng = np.random.default_rng([seed, 1])
    x = rng.uniform(-1, 1, (samples, inputs)).astype(np.float32)
    exact = made.truth(x)
    if name == "circle":
        other = rng.integers(outputs, size=samples)
        given = np.where(rng.random(samples) < FLIPPED, other, exact)
    else:
        given = np.float32(exact + NOISE * rng.normal(size=exact.shape))
        exact = np.float32(exact)
    held = samples // 10
    xs, some, right = (torch.from_numpy(np.array(a)) for a in (x, given, exact))
    return Problem(made, before, hidden, model, xs[held:], some[held:], (xs[:held], right[:held]))


def put(model: nn.Module, network: Any) -> None:
    """Give a perceptron these weights and biases."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for module, w, b in zip(linear, network.weights, network.biases, strict=True):
            module.weight.copy_(torch.from_numpy(w.copy()))
            module.bias.copy_(torch.from_numpy(b.copy()))


def dealt(hidden: Planted, rng: np.random.Generator) -> list[Any]:
    """A random mask that keeps as many weights of every layer as were planted there."""
    return [rng.permutation(m.reshape(-1)).reshape(m.shape) for m in hidden.masks]


def permuted(hidden: Planted, rng: np.random.Generator) -> Target:
    """The network with the planted values of each layer in another order."""
    weights = []
    for w, mask in zip(hidden.network.weights, hidden.masks, strict=True):
        other = w.copy()
        other[mask] = rng.permutation(w[mask])
        weights.append(other)
    return Target(tuple(weights), hidden.network.biases)


def is_exact(given: Problem) -> bool:
    """Whether what the planted mask keeps is the handmade network, scaled, and nothing else."""
    hidden, wanted = given.hidden, given.made.target
    found = hidden.recovered()
    pairs = zip(found.weights + found.biases, wanted.weights + wanted.biases, strict=True)
    same = all(np.array_equal(a, b) for a, b in pairs)
    counts = zip(hidden.masks, wanted.weights, strict=True)
    alone = all(int(mask.sum()) == np.count_nonzero(w) for mask, w in counts)
    x = given.test[0].double().numpy()
    y, exact = hidden.kept()(x) / hidden.scale, wanted(x)
    return same and alone and bool(np.abs(y - exact).max() <= 1e-12 * np.abs(exact).max())


def overlap(masks: Sequence[Any], hidden: Planted) -> Mapping[str, int]:
    """kept: by a mask; hit: planted ones among them; fewest: kept in a layer."""
    hit = sum(int((a & b).sum()) for a, b in zip(masks, hidden.masks, strict=True))
    kept = [int(a.sum()) for a in masks]
    return {"kept": sum(kept), "hit": hit, "fewest": min(kept)}

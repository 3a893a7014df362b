"""Small networks and data for the tests of mask searches, and an independent NumPy network."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from slth.supermask import Classification, Frozen, Layer, MaskSearch, load
from slth.supermask._run import Plan, _Run
from slth.supermask._search import step

Floats = NDArray[np.float64]
DIMS = (6, 9, 5, 3)
EVERY = (
    "bernoulli", "biprop", "continuous-sparsification", "edge-popup", "gem-miner",
    "global-edge-popup", "gumbel", "iterand", "random-mask", "scaled-edge-popup",
    "shuffled-mask", "zhou-criteria",
)  # fmt: skip


def mlp(dims: tuple[int, ...] = DIMS, bias: bool = True, dtype: Any = torch.float32) -> nn.Module:
    """A perceptron whose weights nobody has drawn yet."""
    layers: list[nn.Module] = []
    for a, b in pairwise(dims):
        with torch.device("meta"):
            linear = nn.Linear(a, b, bias, dtype=dtype)
        layers += [linear.to_empty(device="cpu"), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return model


class Convolutional(nn.Module):
    """Two convolutions, one with BatchNorm after it, dropout and a linear layer; 1 × 6 × 6 in."""

    def __init__(self) -> None:
        super().__init__()
        with torch.device("meta"):
            self.first = nn.Conv2d(1, 4, 3, padding=1)
            self.second = nn.Conv2d(4, 6, 3, stride=2, bias=False)
            self.last = nn.Linear(24, 3)
        self.to_empty(device="cpu")
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.5)
        for parameter in self.parameters():
            nn.init.ones_(parameter) if parameter is self.norm.weight else nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.second(self.first(x).relu())).relu()
        return self.last(self.drop(x.flatten(1)))


def data(shape: tuple[int, ...] = (6,), n: int = 60, classes: int = 3) -> Classification:
    """Points around as many centres as classes: something that can be learnt."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(classes, *shape))
    labels = np.arange(n) % classes
    x = centres[labels] + 0.5 * rng.normal(size=(n, *shape))
    return Classification.of(x, labels, np.arange(n) % 4 == 0)


def make(name: str, **settings: Any) -> MaskSearch:
    return load(name)(**settings)


def drive(
    method: MaskSearch,
    steps: int,
    density: float = 0.5,
    see: Callable[[int, list[Layer]], None] = lambda i, layers: None,
    epochs: int = 1,
    biases: float | None = None,
) -> tuple[_Run, Floats, NDArray[np.int64]]:
    """So many steps of one epoch on one batch in float64; `see` gets the layers after each relax.

    Returns the run and the batch, for a reference that does the same by itself.
    """
    examples = data()
    model = mlp(dtype=torch.float64)
    plan = Plan(
        model, method, examples, density, epochs, 64, 3, Frozen(5, "normal", 1.0, biases), "float32"
    )
    run = _Run.of(plan)
    x, y = run.examples
    moment = run.moment()
    with run.prepared(1):
        for i in range(steps):
            kept = method.relax

            def relax(layers: Any, now: Any, i: int = i, kept: Any = kept) -> None:
                kept(layers, now)
                see(i, layers)

            object.__setattr__(method, "relax", relax)
            step(run, moment, x, y)
            object.__delattr__(method, "relax")
            moment = type(moment)(moment.epoch, moment.epochs, i + 1, moment.noise, moment.source)
    return run, x.double().numpy(), y.numpy()


def gradients(
    weights: list[Floats], biases: list[Floats], x: Floats, y: NDArray[np.int64]
) -> tuple[float, list[Floats], list[Floats]]:
    """Cross entropy of a ReLU network and its gradient by weights and biases, by hand."""
    inputs, out = [x], x
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        out = out @ w.T + b
        if i < len(weights) - 1:
            out = np.maximum(out, 0)
            inputs.append(out)
    shifted = out - out.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(y))
    loss = -logs[rows, y].mean()
    back = np.exp(logs)
    back[rows, y] -= 1
    back /= len(y)
    by_weight, by_bias = [], []
    for i in reversed(range(len(weights))):
        by_weight.append(back.T @ inputs[i])
        by_bias.append(back.sum(0))
        if i:
            back = (back @ weights[i]) * (inputs[i] > 0)
    return float(loss), by_weight[::-1], by_bias[::-1]


def top(values: Floats, k: int) -> NDArray[np.bool_]:
    """The k largest, the lower index first among equals: by a stable sort, as nobody else does."""
    kept = np.zeros(values.size, bool)
    kept[np.argsort(-values.ravel(), kind="stable")[:k]] = True
    return kept.reshape(values.shape)

"""What training does to the layers' squared norms, and what pruning by magnitude makes of it.

Networks are bias-free perceptrons on scikit-learn's digits, in float64, by plain matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from slth.mask import count_for, keep_top

DIMS = (64, 128, 16, 128, 10)
ROWS = 256  # of the digits, for full-batch descent
TIME = 8.0  # rate × steps, the same for every rate
MOMENTUM, DECAY = 0.9, 1 / 16
ADAM = 0.05  # its steps are of the rate's size, whatever the slopes'
INITS = ("kaiming_normal", "xavier_normal")
RULES = ("descent", "momentum", "weight decay", "tanh", "adam")
EPOCHS, BATCH, RATE = 20, 50, 0.1
ROUND = 0.8  # what a round of iterative pruning keeps


@cache
def digits(device: str = "cpu") -> tuple[Any, Any, Any, Any]:
    """Training and test images and labels as tensors."""
    import torch

    from slth.data import images

    x, labels = images.digits()
    test = images.held_out(labels)
    parts = (x[~test], labels[~test], x[test], labels[test])
    return tuple(torch.from_numpy(part).to(device) for part in parts)


def initial(init: str, seed: int, device: str = "cpu") -> list[Any]:
    from slth.nets.architectures import build

    model = build("mlp:" + ",".join(map(str, DIMS)), seed=seed, init=init)
    return [m.weight.detach().double().to(device) for m in model if hasattr(m, "weight")]


def forward(x: Any, weights: Sequence[Any], tanh: bool = False) -> Any:
    for i, w in enumerate(weights):
        x = ((x.tanh() if tanh else x.relu()) if i else x) @ w.T
    return x


def gradients(x: Any, labels: Any, weights: Sequence[Any], tanh: bool = False) -> list[Any]:
    import torch
    from torch.nn.functional import cross_entropy

    leaves = [w.detach().requires_grad_() for w in weights]
    return list(torch.autograd.grad(cross_entropy(forward(x, leaves, tanh), labels), leaves))


def squares(weights: Sequence[Any]) -> Any:
    return np.array([float((w**2).sum()) for w in weights])


def apart(values: Any) -> float:
    """How far the layers differ."""
    return float(np.ptp(values))


# -- how far the norms drift apart ----------------------------------------------------------------


def drift(rule: str, rate: float, seed: int, device: str = "cpu") -> dict[str, float]:
    """Full-batch training for a fixed time: what the layers' Σ w² do.

    drift: how far their changes differ; off: how far D' = (1 − ηλ)² D + η² G is from true in one
    step, over the largest Σ w²; ratio: the range of Σ w² at the end over that at the start.
    """
    x, labels = (part[:ROWS] for part in digits(device)[:2])
    weights = initial("kaiming_normal", seed, device)
    decay = DECAY if rule == "weight decay" else 0.0
    start, worst = squares(weights), 0.0
    moves = stepped(rule, rate)
    for _ in range(round(TIME / rate)):
        slopes = gradients(x, labels, weights, rule == "tanh")
        before = squares(weights)
        weights = [w - m for w, m in zip(weights, moves(weights, slopes), strict=True)]
        after = squares(weights)
        derived = (1 - rate * decay) ** 2 * before + rate**2 * squares(slopes)
        worst = max(worst, apart(after - derived) / float(before.max()))
    end = squares(weights)
    return {"drift": apart(end - start), "off": worst, "ratio": apart(end) / apart(start)}


def stepped(rule: str, rate: float) -> Any:
    """What a step takes from the weights, by their values and slopes."""
    decay = DECAY if rule == "weight decay" else 0.0
    first: list[Any] = [0.0] * (len(DIMS) - 1)
    second, count = list(first), 0

    def moves(weights: list[Any], slopes: list[Any]) -> list[Any]:
        nonlocal count
        count += 1
        for i, g in enumerate(slopes):
            keep = {"momentum": MOMENTUM, "adam": 0.9}.get(rule, 0.0)
            first[i] = keep * first[i] + (1 - keep) * g  # as far in the same time as without
            second[i] = 0.999 * second[i] + 0.001 * g**2
        if rule == "adam":
            scale = ADAM * rate * (1 - 0.999**count) ** 0.5 / (1 - 0.9**count)
            return [scale * m / (v.sqrt() + 1e-12) for m, v in zip(first, second, strict=True)]
        return [rate * (v + decay * w) for v, w in zip(first, weights, strict=True)]

    return moves


# -- what magnitudes are worth before and after ----------------------------------------------------


def train(
    weights: Sequence[Any], masks: Sequence[Any], seed: int, epochs: int, tanh: bool = False
) -> list[Any]:
    """Stochastic gradient descent on what the masks leave, at a constant rate."""
    import torch

    x, labels = digits(str(weights[0].device))[:2]
    draw = torch.Generator().manual_seed(seed)
    held = [w * m for w, m in zip(weights, masks, strict=True)]
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=draw).to(x.device)
        for rows in order.split(BATCH):
            slopes = gradients(x[rows], labels[rows], held, tanh)
            held = [w - RATE * g * m for w, g, m in zip(held, slopes, masks, strict=True)]
    return held


def ones(weights: Sequence[Any]) -> list[Any]:
    import torch

    return [torch.ones_like(w, dtype=torch.bool) for w in weights]


def keep(weights: Sequence[Any], alive: Sequence[Any], count: int) -> list[Any]:
    """The masks of the largest magnitudes among the living."""
    import torch

    line = torch.cat([w.abs().reshape(-1) for w in weights])
    kept = keep_top(line, count, alive=torch.cat([m.reshape(-1) for m in alive]))
    parts = torch.split(kept, [w.numel() for w in weights])
    return [part.reshape(w.shape) for part, w in zip(parts, weights, strict=True)]


def at_once(weights: Sequence[Any]) -> float:
    """The largest compression by magnitude that leaves every layer a weight, over N/L."""
    lightest = min(float(w.abs().max()) for w in weights)
    return len(weights) / sum(int((w.abs() >= lightest).sum()) for w in weights)


def iterated(weights: Sequence[Any], seed: int, epochs: int, kept: float) -> float:
    """The same of training, pruning and rewinding to the start, round by round (Frankle and Carbin
    2019); kept: what a round keeps."""
    total, layers = sum(w.numel() for w in weights), len(weights)
    masks, left, share = ones(weights), total, 1.0
    while left > layers:
        share *= kept
        count = max(layers, count_for(share, total))
        masks = keep(train(weights, masks, seed, epochs), masks, count)
        if min(int(m.sum()) for m in masks) == 0:
            break
        left = count
    return layers / left


def trained(init: str, seed: int, smoke: bool, device: str = "cpu") -> dict[str, Any]:
    """Layers' sizes, Σ w² and mean |w| before and after training; how far magnitudes carry."""
    import torch

    weights = initial(init, seed, device)
    epochs, kept = (1, 0.5) if smoke else (EPOCHS, ROUND)
    after = train(weights, ones(weights), seed, epochs)
    other = train(weights, ones(weights), seed, epochs, tanh=True)
    x, labels = digits(device)[2:]
    with torch.no_grad():
        right = float((forward(x, after).argmax(1) == labels).double().mean())
    return {
        "sizes": [w.numel() for w in weights],
        "squares": [squares(weights).tolist(), squares(after).tolist()],
        "squares_tanh": squares(other).tolist(),
        "magnitudes": [[float(w.abs().mean()) for w in ws] for ws in (weights, after)],
        "accuracy": right,
        "once": at_once(weights),
        "once_after": at_once(after),
        "iterated": iterated(weights, seed, epochs, kept),
        "untrained": iterated(weights, seed, 0, kept),
    }


def slope(sizes: Sequence[float], means: Sequence[float]) -> float:
    """Least squares of ln(mean score) against ln(1/size)."""
    return float(np.polyfit(-np.log(sizes), np.log(means), 1)[0])


def mean_squares(row: dict[str, Any]) -> list[float]:
    """Slopes of mean w² against 1/size, before and after training."""
    return [slope(row["sizes"], np.array(total) / row["sizes"]) for total in row["squares"]]

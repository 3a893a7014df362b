"""A step of edge-popup beside a step of dense training of the same network, and a whole search."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from sims._bench import SEED, Row, timed

BATCH, DENSITY = 128, 0.5
LIMIT = 1.4  # times a dense step
UNIT = "step"


def supermask() -> Iterator[Row]:
    from slth.nets.architectures import build

    dims = "784-300-300-10"
    yield from steps(f"a step on {dims}, batch {BATCH}", perceptron, (784,), pairs=200)
    name = "two convolutions, two linear layers"
    yield from steps(f"a step on {name}, batch {BATCH}", convolutional, (1, 28, 28), pairs=15)
    accuracy: list[float] = []

    def whole() -> None:
        from slth.data import images
        from slth.supermask import Classification, Frozen, load, search

        x, labels = images.mnist5k()
        found = search(
            build(f"mlp:{dims.replace('-', ',')}"), load("edge-popup")(),
            Classification.of(x, labels, images.held_out(labels)),
            density=DENSITY, epochs=20, source=Frozen(SEED, density=DENSITY),
        )  # fmt: skip
        accuracy.append(found.measures["accuracy"])

    group = f"edge-popup, 20 epochs of {dims} on 4,000 digits of MNIST"
    row = timed(group, "slth.supermask", "search", whole, repeats=3, goal=10.0)
    yield Row(**{**vars(row), "note": f"accuracy {accuracy[0]:.3f} on the other 1,000"})


def perceptron() -> Any:
    from slth.nets.architectures import build

    return build("mlp:784,300,300,10")


def convolutional() -> Any:
    """32 and 64 filters of 3 by 3, then 128 neurons: torch's own example for MNIST."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def steps(group: str, make: Callable[[], Any], shape: tuple[int, ...], pairs: int) -> Iterator[Row]:
    """Dense, edge-popup, and edge-popup with the full sort of the published layers, in turn."""
    import torch

    from slth.supermask import Classification, Frozen, load
    from slth.supermask._run import Plan, _Run
    from slth.supermask._search import step

    draw = torch.Generator().manual_seed(SEED)
    x = torch.randn((BATCH, *shape), generator=draw)
    y = torch.randint(0, 10, (BATCH,), generator=draw)
    goal = Classification(x, y, (x[:1], y[:1]))
    dense, sorted_, source = make().train(), make().train(), Frozen(SEED, density=DENSITY)
    source.draw(dense)
    source.draw(sorted_)
    run = _Run.of(
        Plan(make(), load("edge-popup")(), goal, DENSITY, 1, BATCH, SEED, source, "float32")
    )
    moment = run.moment()
    with run.prepared(torch.get_num_threads()):
        run.plan.model.train()
        work = {
            "dense training, SGD with momentum": descent(dense, dense.parameters(), x, y),
            "edge-popup": lambda: step(run, moment, x, y),
            "edge-popup, masks by a full sort": by_sorting(sorted_, x, y),
        }
        yield from in_turn(group, work, pairs)


def in_turn(group: str, work: dict[str, Callable[[], object]], pairs: int) -> Iterator[Row]:
    """Each in turn, so that a busy machine slows all alike; edge-popup may take LIMIT times the
    first."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for i in range(pairs + 3):
        for name, once in work.items():
            start = time.perf_counter()
            once()
            if i >= 3:
                seconds[name].append(time.perf_counter() - start)
    first = next(iter(work))
    base, least = statistics.median(seconds[first]), min(seconds[first])
    for name, found in seconds.items():
        span = (min(found), max(found))
        goal = LIMIT * base if name == "edge-popup" else None
        note = "" if name == first else f"least over least {span[0] / least:.2f}"
        yield Row(group, name, UNIT, statistics.median(found), span, pairs, goal, note)


def descent(model: Any, parameters: Any, x: Any, y: Any) -> Callable[[], object]:
    import torch

    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-4)

    def once() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return once


def by_sorting(model: Any, x: Any, y: Any) -> Callable[[], object]:
    """Edge-popup as layers that sort all their scores at every step (Ramanujan et al. 2020)."""
    import torch
    from torch.nn.utils import parametrize

    class Sorted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, scores: Any) -> Any:
            order = scores.reshape(-1).argsort()
            mask = torch.ones_like(order, dtype=scores.dtype)
            mask[order[: round((1 - DENSITY) * order.numel())]] = 0
            return mask.reshape(scores.shape)

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return gradient

    class Masked(torch.nn.Module):
        def __init__(self, weight: Any) -> None:
            super().__init__()
            fan = weight[0].numel()
            draw = torch.Generator().manual_seed(SEED)
            start = (2 * torch.rand(weight.shape, generator=draw) - 1) / fan**0.5
            self.scores = torch.nn.Parameter(start)

        def forward(self, weight: Any) -> Any:
            return weight * Sorted.apply(self.scores.abs())

    for parameter in model.parameters():
        parameter.requires_grad_(False)
    scores = []
    for module in list(model.modules()):
        if hasattr(module, "weight"):
            layer = Masked(module.weight)
            parametrize.register_parametrization(module, "weight", layer)
            scores.append(layer.scores)
    return descent(model, scores, x, y)

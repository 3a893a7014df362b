"""Synaptic flow on VGG-16, and the same loop as it is usually written, in float64."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from sims._bench import SEED, Row, in_fresh_process, timed

STEPS, COMPRESSION, SHAPE, CLASSES = 100, 1e4, (3, 32, 32), 100
PLAIN_STEPS = 3  # of the loop that is only compared with, scaled up to STEPS
UNIT = "network"


def pruning() -> Iterator[Row]:
    from slth.nets.architectures import build
    from slth.pruning import Context, load, prune

    model = build("vgg16", SHAPE, CLASSES, SEED)
    flow = load("synflow")()

    def ours() -> None:
        prune(model, flow, COMPRESSION, context=Context(SHAPE), steps=STEPS)

    size = prune(model, load("random")(), 1, context=Context(SHAPE)).size
    group = f"synaptic flow on VGG-16, {size} weights, {STEPS} steps to {COMPRESSION:g}"
    row = timed(group, "slth.pruning, float32", UNIT, ours, repeats=5, goal=15.0)
    _, peak, note = in_fresh_process(MEMORY)
    note = (
        f"peak is what the run adds to the model, {peak / (4 * size):.2f} times its weights; {note}"
    )
    yield replace(row, note=note, peak=peak, peak_goal=16.0 * size)
    wide = load("synflow")(double=True)
    yield timed(
        group, "slth.pruning, float64", UNIT,
        lambda: prune(model, wide, COMPRESSION, context=Context(SHAPE), steps=STEPS), repeats=3,
    )  # fmt: skip
    start = time.perf_counter()
    plain(model, PLAIN_STEPS)
    seconds = (time.perf_counter() - start) * STEPS / PLAIN_STEPS
    name = "dense masks and kthvalue in torch, float64"
    note = f"{PLAIN_STEPS} steps, times {STEPS / PLAIN_STEPS:.3g}"
    yield Row(group, name, UNIT, seconds, (seconds, seconds), 1, note=note)


def plain(model, steps: int) -> None:  # type: ignore[no-untyped-def]
    """The algorithm of Tanaka et al. (2020) in the order in which it is written down."""
    import copy

    import torch

    from slth.pruning._layers import layers

    model = copy.deepcopy(model).double().eval()
    for parameter in model.parameters():
        parameter.data.abs_()
    weights = [layer.module.weight for layer in layers(model)]
    dense = [weight.detach().clone() for weight in weights]
    masks = [torch.ones_like(weight) for weight in weights]
    ones = torch.ones(1, *SHAPE, dtype=torch.float64)
    for t in range(1, steps + 1):
        for weight, whole, mask in zip(weights, dense, masks, strict=True):
            weight.data = whole * mask
        grads = torch.autograd.grad(model(ones).sum(), weights)
        scores = [(g * w).detach().abs() for g, w in zip(grads, weights, strict=True)]
        line = torch.cat([score.reshape(-1) for score in scores])
        pruned = int((1 - COMPRESSION ** (-t / STEPS)) * line.numel())
        threshold = torch.kthvalue(line, pruned).values
        masks = [(score > threshold).double() for score in scores]


MEMORY = f"""
import resource
from slth.nets.architectures import build
from slth.pruning import Context, load, prune
model = build("vgg16", {SHAPE}, {CLASSES}, {SEED})
small, flow = build("lenet5"), load("synflow")()
prune(small, flow, 100, context=Context((1, 28, 28)))
with open("/proc/self/statm") as pages:
    before = resource.getpagesize() * int(pages.read().split()[1])
found = prune(model, flow, {COMPRESSION}, context=Context({SHAPE}), steps={STEPS})
print(0, peak() - before, f"kept {{found.kept}}, undecided at most {{found.unresolved}}", sep="|")
"""

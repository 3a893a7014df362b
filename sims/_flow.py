"""What flows through the untrained architectures: gaps of its conservation, and the inverse law."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from sims._descent import slope

if TYPE_CHECKING:
    from slth.conservation import Flow

ARCHITECTURES = {
    "mlp:784,300,100,10": (20, 784),
    "lenet5": (10, 1, 28, 28),
    "vgg16": (2, 3, 32, 32),
    "resnet20": (4, 3, 32, 32),
}
"""And the shapes of the batches."""
BROKEN = {
    "tanh": "tanh for ReLU",
    "biases": "normal biases, after normalisation too",
    "batch": "normalisation by batch statistics",
}
METHODS = ("random", "magnitude", "snip", "grasp", "synflow")
LAW = ("mlp:784,300,100,10", "vgg19")
PUBLISHED = {
    "what": "Tanaka et al. (2020), recomputed from their data: VGG-19/ImageNet at initialisation",
    "slope": {"random": 0.001, "magnitude": 0.201, "snip": 0.556, "grasp": 1.022, "synflow": 1.0},
    "correlation": {"random": 0.0, "magnitude": 0.743, "snip": 0.529, "grasp": 0.99989,
                    "synflow": 1.0},
    "training": {"xavier_normal": [0.431, 0.588], "kaiming_normal": [0.560, 0.598]},
}  # fmt: skip


# -- conservation ----------------------------------------------------------------------------------


def exact_cuts(found: Flow) -> Iterator[list[str]]:
    """Each layer outside of blocks; of a block, each layer of the branch with the shortcut."""
    names = [*found.weights, *found.shortcuts]
    for name in found.weights:
        block = name.split(".")[0]
        if ".branch." in name:
            yield [name, *(edge for edge in names if edge.startswith(f"{block}.shortcut"))]
        elif ".shortcut" not in name:
            yield [name]


def conserved(
    architecture: str, broken: str | None, seed: int, device: str = "cpu"
) -> dict[str, float]:
    """The worst gap of a cut or a neuron over Σ |score| of a layer, and the bound on rounding."""
    import torch
    from torch.nn.functional import cross_entropy

    from slth.conservation import cut, neuron_sums, saliency
    from slth.nets.architectures import build

    model = build(architecture, seed=seed).double()
    draw = torch.Generator().manual_seed(seed)
    if broken:
        spoil(model, broken, draw)
    x = torch.randn(ARCHITECTURES[architecture], generator=draw, dtype=torch.float64)
    labels = torch.randint(10, (len(x),), generator=draw)
    wanted = torch.randn((len(x), 10), generator=draw, dtype=torch.float64)
    model, x, labels, wanted = (part.to(device) for part in (model, x, labels, wanted))
    gap, bound = 0.0, 0.0
    for objective in (lambda y: cross_entropy(y, labels), lambda y: (y * wanted).sum()):
        found = saliency(model, objective, x)
        size = max(float(s.abs().sum()) for s in found.weights.values())
        off = [abs(cut(found, edges) - found.inputs) for edges in exact_cuts(found)]
        if not found.shortcuts:
            pairs = neuron_sums(found.weights, found.biases).values()
            off += [float((into - out).abs().max()) for into, out in pairs]
        gap, bound = max(gap, max(off) / size), max(bound, found.rounding / size)
    return {"gap": gap, "bound": bound}


def spoil(model: Any, how: str, draw: Any) -> None:
    import torch
    from torch import nn

    for module in list(model.modules()):
        if how == "tanh":
            for name, part in list(module.named_children()):
                if isinstance(part, nn.ReLU):
                    setattr(module, name, nn.Tanh())
        elif how == "biases" and getattr(module, "bias", None) is not None:
            with torch.no_grad():
                module.bias.normal_(generator=draw)
    model.train(how == "batch")


# -- the inverse law -------------------------------------------------------------------------------


def layers_of(architecture: str, method: str, seed: int, device: str = "cpu") -> dict[str, Any]:
    """Sizes and mean scores of layers, their slope, and how sums in and out correlate."""
    import torch

    from slth.conservation import neuron_sums
    from slth.data.batches import batch
    from slth.nets.architectures import build, input_shape
    from slth.pruning import Context, load
    from slth.pruning._layers import all_kept, layers

    model = build(architecture, seed=seed).to(device)
    saliency = load(method)(double=True) if method == "synflow" else load(method)()
    shape = input_shape(architecture)
    data, per_class = ("mnist5k", 10) if shape == (784,) else ("gaussian", 2)
    context = Context(shape, batch(data, shape, 10, per_class, seed), seed)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # it would round to 11 bits
        found = saliency.scores(model, all_kept(layers(model)), context)
    scores = {name: s.detach().double() for name, s in found.items()}
    if method == "random":  # normal scores have no mean to speak of
        scores = {name: s.abs() for name, s in scores.items()}
    sizes = [s.numel() for s in scores.values()]
    means = [abs(float(s.mean())) for s in scores.values()]
    sums = neuron_sums(scores).values()
    into, out = (torch.cat(parts).cpu().numpy() for parts in zip(*sums, strict=True))
    return {
        "sizes": sizes,
        "means": (np.array(means) / float(sum(s.abs().sum() for s in scores.values()))).tolist(),
        "slope": slope(sizes, means),
        "correlation": float(np.corrcoef(into, out)[0, 1]),
    }


# -- rows ------------------------------------------------------------------------------------------


def of(rows: list[dict[str, Any]], part: str, what: str | None = None) -> list[dict[str, Any]]:
    return [r for r in rows if r["part"] == part and what in (None, r["what"])]


def method_rows(rows: list[dict[str, Any]], name: str, method: str) -> list[dict[str, Any]]:
    return [r for r in of(rows, "inverse law", name) if r["how"] == method]

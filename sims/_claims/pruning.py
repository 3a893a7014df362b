"""Claims about saliency: what a layer's scores add up to, and when pruning empties a layer."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import Floats
from sims._claims._shared import every
from sims._protocol import Control, exact
from slth.stats.verdict import Verdict

ROUNDING = 1e-9  # of the sum of all |scores|: float64 leaves about 1e-15

# -- 26: conservation over neurons and layers ------------------------------------------------------

NETWORKS = 100
ACTIVATIONS = ("relu", "leaky_relu", "identity")
BATCH = 6


def outcomes(shape: tuple[int, int], rng: np.random.Generator) -> dict[str, Callable[[Any], Any]]:
    """Scalars R of the outputs y `[batch, out]`: the theorem allows any."""
    import torch
    from torch.nn import functional

    wanted = torch.from_numpy(rng.normal(size=shape))
    labels = torch.from_numpy(rng.integers(shape[1], size=shape[0]))
    return {
        "sum": lambda y: y.sum(),
        "linear": lambda y: (y * wanted).sum(),
        "squares": lambda y: ((y - wanted) ** 2).sum(),
        "cross entropy": lambda y: functional.cross_entropy(y, labels),
        "sine": lambda y: torch.sin(y).sum(),
    }


def imbalance(
    dims: tuple[int, ...], activation: str, bias: bool, rng: np.random.Generator
) -> tuple[float, float]:
    """The worst |in − out| of a hidden neuron and of two layers' sums, over Σ |score| of a layer,
    for every R."""
    import torch

    from slth.conservation import saliency

    weights = [rng.normal(size=(b, a)) for a, b in pairwise(dims)]
    scale = 0.5 if bias else 0.0
    model = perceptron(weights, activation, [scale * rng.normal(size=b) for b in dims[1:]])
    x = torch.from_numpy(rng.normal(size=(BATCH, dims[0])))
    neurons, layers = 0.0, 0.0
    for r in outcomes((BATCH, dims[-1]), rng).values():
        found = saliency(model, r, x)
        score = [s.numpy() for s in found.weights.values()]
        extra = [s.numpy() for s in found.biases.values()]
        size = max(float(np.abs(s).sum()) for s in score)
        if size == 0:  # all neurons dead for every input
            continue
        for s, e, after in zip(score, extra, score[1:], strict=False):
            neurons = max(neurons, float(np.abs(s.sum(1) + e - after.sum(0)).max()) / size)
        sums = [float(s.sum()) for s in score]
        layers = max(layers, (max(sums) - min(sums)) / size)
    return neurons, layers


def perceptron(
    weights: list[Floats], activation: str = "relu", biases: list[Floats] | None = None
) -> Any:
    """These weights as a torch module, in float64."""
    import torch
    from torch import nn

    act = {
        "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(0.2),
        "identity": nn.Identity,
        "tanh": nn.Tanh,
    }[activation]
    parts: list[Any] = []
    for i, w in enumerate(weights):
        layer = nn.Linear(*w.shape[::-1], bias=biases is not None, dtype=torch.float64)
        layer.weight = nn.Parameter(torch.from_numpy(w))
        if biases is not None:
            layer.bias = nn.Parameter(torch.from_numpy(biases[i]))
        parts += [layer, act()]
    return nn.Sequential(*parts[:-1])


def sample_conservation(smoke: bool, rng: np.random.Generator) -> Data:
    import torch

    torch.set_num_threads(1)
    found: dict[str, list[tuple[float, float]]] = {"claim": [], "tanh": [], "biases": []}
    for _ in range(10 if smoke else NETWORKS):
        dims = tuple(rng.integers(2, 20, rng.integers(3, 7)).tolist())
        homogeneous = ACTIVATIONS[int(rng.integers(len(ACTIVATIONS)))]
        found["claim"].append(imbalance(dims, homogeneous, False, rng))
        found["tanh"].append(imbalance(dims, "tanh", False, rng))
        found["biases"].append(imbalance(dims, "relu", True, rng))
    return {name: np.array(rows).T for name, rows in found.items()}


def judge_conservation(data: Data) -> tuple[Verdict, Control]:
    def found(*rows: tuple[str, int]) -> Verdict:
        off = np.concatenate([data[name][which] for name, which in rows])
        what = "equal sums of neurons and layers"
        return exact(what, int((off > ROUNDING).sum()), len(off))

    broken = {
        "tanh, neurons": found(("tanh", 0)),
        "tanh, layers": found(("tanh", 1)),
        "biases, layers": found(("biases", 1)),
    }
    return (
        # biases count as what comes into a neuron
        found(("claim", 0), ("claim", 1), ("biases", 0)),
        Control("tanh, which is not homogeneous; layers with biases", every(broken)),
    )


def draw_conservation(ax: Any, data: Data) -> None:
    from slth import plot

    rows = {"claim, neurons": data["claim"][0], "claim, layers": data["claim"][1],
            "biases, layers": data["biases"][1], "tanh, neurons": data["tanh"][0]}  # fmt: skip
    for series, (label, off) in enumerate(rows.items()):
        rank = np.arange(1, len(off) + 1) / len(off)
        plot.curve(ax, np.sort(np.maximum(off, 1e-17)), rank, label, series=series)
    plot.log_scale(ax, "x")
    ax.set(xlabel="imbalance over Σ|score| [1]", ylabel="share of networks [1]", xlim=(1e-17, 9))
    plot.legend(ax, loc="center")


# -- 27: no layer dies before its time -------------------------------------------------------------

PRUNED = 100
RULES = ("single shot", "magnitude", "random", "SNIP")


def synflow(weights: list[Floats]) -> list[Floats]:
    """The library's synaptic flow of each weight, up to one power of two."""
    import torch

    from slth.pruning import Context
    from slth.pruning.synflow import SynFlow

    masks = {str(2 * i): torch.ones(w.shape, dtype=torch.bool) for i, w in enumerate(weights)}
    found = SynFlow().scores(perceptron(weights), masks, Context((weights[0].shape[1],)))
    return [found[name].numpy() for name in masks]


def snip(weights: list[Floats], rng: np.random.Generator) -> list[Floats]:
    """|∂L/∂w · w| of the squared loss to random labels, by backpropagation."""
    x = [rng.normal(size=(32, weights[0].shape[1]))]
    for w in weights:
        x.append(np.maximum(x[-1], 0.0 if len(x) > 1 else -np.inf) @ w.T)
    error = x[-1] - rng.normal(size=x[-1].shape)
    scores = []
    for i in range(len(weights) - 1, -1, -1):
        given = np.maximum(x[i], 0.0) if i else x[0]
        scores.insert(0, np.abs(error.T @ given * weights[i]))
        error = (error @ weights[i]) * (x[i] > 0)
    return scores


def one_at_a_time(weights: list[Floats]) -> int:
    """Weights left when SynFlow, rescored after each removal, first empties a layer."""
    from slth.pruning import Context, prune
    from slth.pruning.synflow import SynFlow

    model, context = perceptron(weights), Context((weights[0].shape[1],))
    total, low = sum(w.size for w in weights), len(weights) - 1

    def emptied(left: int) -> bool:
        found = prune(model, SynFlow(), total / left, context=context, schedule="each")
        return bool(found.empty)

    if not emptied(len(weights)):
        return low
    # each removal goes on from the one before: once empty, always empty
    return low + bisect.bisect_left(range(low + 1, total), True, key=lambda n: not emptied(n))


def at_once(scores: list[Floats]) -> int:
    """Weights left when removal in the order of these scores first empties a layer."""
    import torch

    from slth.collapse.critical import Nested

    nested = Nested.of({str(i): torch.from_numpy(s) for i, s in enumerate(scores)})
    # the layer whose best weight ranks last dies when all from there on are gone
    return max(int(place.min()) for place in nested.places.values())


def sample_collapse(smoke: bool, rng: np.random.Generator) -> Data:
    rows = []
    for _ in range(8 if smoke else PRUNED):
        dims = tuple(rng.integers(2, 17, rng.integers(3, 7)).tolist())
        weights = [rng.normal(size=(b, a)) * (2 / a) ** 0.5 for a, b in pairwise(dims)]
        layers, total = len(weights), sum(w.size for w in weights)
        left = [
            one_at_a_time(weights),
            at_once(synflow(weights)),
            at_once([np.abs(w) for w in weights]),
            at_once([rng.normal(size=w.shape) for w in weights]),
            at_once(snip(weights, rng)),
        ]
        rows.append([layers, total, *left])
    return {"rows": rows}


def judge_collapse(data: Data) -> tuple[Verdict, Control]:
    layers, _, *left = np.array(data["rows"]).T

    def found(counts: Any) -> Verdict:
        # a layer may be empty only once fewer weights than layers are left
        bad = int((counts >= layers).sum())
        return exact("every layer alive down to one weight a layer", bad, len(layers))

    rivals = {rule: found(counts) for rule, counts in zip(RULES, left[1:], strict=True)}
    return found(left[0]), Control("scores computed once, by four rules", every(rivals))


def draw_collapse(ax: Any, data: Data) -> None:
    from slth import plot

    layers, _, *left = np.array(data["rows"], dtype=np.float64).T
    for series, (name, counts) in enumerate(zip(("one at a time", *RULES), left, strict=True)):
        # the last compression with every layer alive, of the most there is
        reached = np.sort(layers / (counts + 1))
        rank = np.arange(1, len(reached) + 1) / len(reached)
        plot.curve(ax, reached, rank, name, series=series)
    plot.log_scale(ax, "x")
    ax.set(xlabel="critical compression over N/L [1]", ylabel="share of networks [1]")
    plot.legend(ax, loc="upper left")


# -- 28: the inverse law ---------------------------------------------------------------------------

CONVOLUTIONS = 40


def layer_means(rng: np.random.Generator, inputs: int, channels: list[int]) -> list[list[float]]:
    """Sizes, mean synaptic flow and mean |weight| of the layers of a convolutional network."""
    import torch
    from torch import nn

    from slth.conservation import saliency

    shapes = [(b, a, 3, 3) for a, b in pairwise([inputs, *channels])]
    weights = [rng.normal(size=s) * (2 / np.prod(s[1:])) ** 0.5 for s in shapes]
    weights.append(rng.normal(size=(10, channels[-1] * 4)) / channels[-1] ** 0.5)
    parts: list[Any] = []
    for b, a, *_ in shapes:
        parts += [nn.Conv2d(a, b, 3, padding=1, bias=False, dtype=torch.float64), nn.ReLU()]
    parts += [nn.AvgPool2d(4), nn.Flatten()]
    model = nn.Sequential(*parts, nn.Linear(4 * channels[-1], 10, bias=False, dtype=torch.float64))
    with torch.no_grad():
        for parameter, w in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(np.abs(w)))
    found = saliency(model, lambda y: y.sum(), torch.ones(1, inputs, 8, 8, dtype=torch.float64))
    scores = [s.numpy() for s in found.weights.values()]
    return [
        [float(s.size) for s in scores],
        [float(s.mean() / found.outputs) for s in scores],
        [float(p.detach().mean()) for p in model.parameters()],
    ]


def sample_inverse(smoke: bool, rng: np.random.Generator) -> Data:
    import torch

    torch.set_num_threads(1)
    rows = []
    for _ in range(4 if smoke else CONVOLUTIONS):
        channels = np.round(2.0 ** rng.uniform(1, 6, rng.integers(2, 6))).astype(int).tolist()
        rows.append(layer_means(rng, 3, channels))
    return {"rows": rows}


def judge_inverse(data: Data) -> tuple[Verdict, Control]:
    def found(which: int) -> Verdict:
        bad = 0
        for row in data["rows"]:
            totals = np.array(row[0]) * np.array(row[which])
            bad += bool(totals.max() / totals.min() > 1 + ROUNDING)
        return exact("mean score × layer size the same in all layers", bad, len(data["rows"]))

    return found(1), Control("magnitudes for scores", found(2))


def draw_inverse(ax: Any, data: Data) -> None:
    from slth import plot

    sizes = np.concatenate([row[0] for row in data["rows"]])
    order = np.argsort(sizes)
    x = np.array([sizes.min(), sizes.max()])
    for series, (which, label) in enumerate(((1, "synaptic flow"), (2, "magnitude"))):
        means = np.concatenate([row[which] for row in data["rows"]])[order]
        looks = plot.style(series) | {"linestyle": "None", "markersize": 2.5}
        (line,) = ax.plot(sizes[order], means, label=label, **looks)
        line.set_gid(f"curve:{label}")
    plot.curve(ax, x, 1 / x, "1/size", series=2)
    plot.log_scale(ax)
    ax.set(xlabel="weights in the layer [1]", ylabel="mean score [1]")
    plot.legend(ax, loc="lower left")


CLAIMS = (
    Claim(
        26,
        "saliency is conserved",
        "In a network without biases whose activation is homogeneous, the scores (∂R/∂θ)·θ into a "
        "hidden neuron and out of it have one sum (also with biases, as incoming), and all layers "
        "have one sum, whatever the scalar R of the outputs: Tanaka et al. (2020), theorems 1, 2.",
        f"Any difference beyond {ROUNDING:g} of the layer's Σ|score|: {NETWORKS} random networks "
        f"of 2 to 5 layers, {', '.join(ACTIVATIONS)}, five R each, batches of {BATCH}.",
        sample_conservation, judge_conservation, draw_conservation, 1.0,
    ),
    Claim(
        27,
        "no early layer-collapse",
        "Global pruning of one weight at a time by synaptic flow, scored anew each time, leaves "
        "every layer a weight until there are as many weights as layers: Tanaka et al. (2020), "
        "theorem 3. (Its hypotheses suffice; they are not necessary.)",
        f"Any layer empty while as many weights as layers are left: {PRUNED} random networks of 2 "
        "to 5 layers, 4 to 1280 weights, every removal.",
        sample_collapse, judge_collapse, draw_collapse, 27.0,
    ),
    Claim(
        28,
        "inverse law",
        "The mean synaptic score of a layer times its size is the same in all layers: Tanaka et "
        "al. (2020).",
        f"Any two layers of {CONVOLUTIONS} random convolutional networks that differ by more than "
        f"a factor 1 + {ROUNDING:g}.",
        sample_inverse, judge_inverse, draw_inverse, 1.0,
    ),
)  # fmt: skip

"""Theorem 3 of Tanaka et al. (2020) whole, and with one hypothesis taken away at a time.

Small perceptrons are pruned by the lowest of all scores, with a count of where the first layer
comes out empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from slth.mask import count_for, keep_top

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.pruning import Context, Masks

Score = Callable[["nn.Module", "Masks", "Context"], Mapping[str, "Tensor"]]
BATCH = 4
WHOLE, LOCAL, ZEROS, CUT = "as stated", "local masking", "zero scores, T > 0", "zero scores, T = 0"


@dataclass(frozen=True)
class Rule:
    """What is taken away; how it scores; how many weights go before it scores anew, None: all."""

    broken: str
    score: str = "flow"
    at_a_time: int | None = 1
    prepare: str | None = None


RULES = {
    WHOLE: Rule("nothing"),
    ZEROS: Rule("scores may be 0, some flow is left", prepare="zeros"),
    CUT: Rule("all scores are 0 from the start", prepare="cut"),
    "single shot": Rule("scores are those of the start", at_a_time=None),
    "2 at a time": Rule("several weights are removed before scores are taken anew", at_a_time=2),
    "8 at a time": Rule("several weights are removed before scores are taken anew", at_a_time=8),
    "absolute values": Rule("|θ ∂R/∂θ|, as SNIP has it: positive, not conserved", "absolute"),
    "magnitude": Rule("positive scores, not conserved", "magnitude"),
    "either sign": Rule("θ ∂R/∂θ of a random R: conserved, not positive", "signed"),
    "all negative": Rule("minus the synaptic flow: conserved, not positive", "negative"),
    "biases": Rule("biases in the scoring pass: layers' sums differ", prepare="biases"),
    LOCAL: Rule("each layer is pruned alike"),
}  # fmt: skip

UNPUNISHED = ("2 at a time", "either sign")  # without these two a collapse is possible, but rare


def network(seed: int, widest: int) -> tuple[Any, tuple[int, ...]]:
    """A perceptron of 2 to 5 layers of random widths, in float64, and its widths."""
    from slth.nets.architectures import build

    rng = np.random.default_rng([seed, 3])
    dims = tuple(rng.integers(2, widest + 1, rng.integers(3, 7)).tolist())
    return build("mlp:" + ",".join(map(str, dims)), seed=seed).double(), dims


def reached(name: str, seed: int, widest: int, device: str = "cpu") -> dict[str, Any]:
    """The last compression with a weight in every layer, over the maximal one, N/L."""
    rule = RULES[name]
    model, dims = network(seed, widest)
    sizes = [a * b for a, b in pairwise(dims)]
    found = {"weights": sum(sizes), "layers": len(sizes)}
    if name == LOCAL:
        # every layer keeps its own share: the smallest is empty once that rounds to 0
        left = next(
            k for k in range(min(sizes), 0, -1) if count_for(k / sum(sizes), min(sizes)) == 0
        )
        return {**found, "reached": min(1.0, len(sizes) / (left + 1))}
    if rule.prepare:
        prepare(model, rule.prepare, np.random.default_rng([seed, 4]))
    rng = np.random.default_rng([seed, 5])
    left = last_alive(model.to(device), scoring(rule.score, dims, rng), dims, rule.at_a_time)
    return {**found, "reached": len(sizes) / left}


def prepare(model: Any, how: str, rng: np.random.Generator) -> None:
    """zeros: a third of the weights are 0. cut: half of the first hidden neurons get nothing and
    the other half go nowhere. biases: normal ones."""
    import torch

    layers = [m for m in model if hasattr(m, "weight")]
    with torch.no_grad():
        for layer in layers:
            if how == "zeros":
                layer.weight[torch.from_numpy(rng.random(layer.weight.shape) < 1 / 3)] = 0
            elif how == "biases":
                layer.bias.copy_(torch.from_numpy(rng.normal(size=len(layer.bias))))
        if how == "cut":
            half = len(layers[0].weight) // 2
            layers[0].weight[:half] = 0
            layers[1].weight[:, half:] = 0


def scoring(kind: str, dims: tuple[int, ...], rng: np.random.Generator) -> Score:
    """The scores by layer of a masked model."""
    from slth.pruning.magnitude import Magnitude
    from slth.pruning.synflow import SynFlow

    if kind == "negative":
        return lambda *given: {name: -s for name, s in SynFlow().scores(*given).items()}
    plain = {"flow": SynFlow, "magnitude": Magnitude}
    return plain[kind]().scores if kind in plain else of_outputs(dims, kind == "signed", rng)


def of_outputs(dims: tuple[int, ...], signed: bool, rng: np.random.Generator) -> Score:
    """θ ∂R/∂θ of R = Σ c y, c random, on a few random inputs; by NumPy, torch being slow here."""
    import torch

    x, c = rng.normal(size=(BATCH, dims[0])), rng.normal(size=(BATCH, dims[-1]))

    def score(model: Any, masks: Any, context: Any) -> dict[str, Tensor]:
        held = {n: model.get_submodule(n).weight.detach() * m for n, m in masks.items()}
        weights = [w.cpu().numpy() for w in held.values()]
        values = [x]
        for i, w in enumerate(weights):
            values.append((np.maximum(values[-1], 0.0) if i else x) @ w.T)
        slope, found = c, []
        for i in reversed(range(len(weights))):
            given = np.maximum(values[i], 0.0) if i else x
            found.insert(0, slope.T @ given * weights[i])
            slope = (slope @ weights[i]) * (values[i] > 0)
        signs = (torch.from_numpy(s if signed else np.abs(s)) for s in found)
        return {n: s.to(w.device) for (n, w), s in zip(held.items(), signs, strict=True)}

    return score


def last_alive(model: Any, score: Score, dims: tuple[int, ...], at_a_time: int | None) -> int:
    """Weights left when for the last time every layer had one, down to one a layer."""
    import torch

    from slth.pruning import Context

    context = Context((dims[0],))
    layers = {name: m.weight for name, m in model.named_modules() if hasattr(m, "weight")}
    masks = {name: torch.ones_like(w, dtype=torch.bool) for name, w in layers.items()}
    sizes = [w.numel() for w in layers.values()]
    alive, left = torch.cat([mask.reshape(-1) for mask in masks.values()]), sum(sizes)
    layer = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(alive.device)
    scores = None
    while left > len(sizes):
        if scores is None or at_a_time is not None:
            found = score(model, masks, context)
            scores = torch.cat([found[name].reshape(-1) for name in masks])
        for _ in range(at_a_time or 1):
            alive = keep_top(scores, left - 1, alive=alive)
            if torch.bincount(layer[alive], minlength=len(sizes)).min() == 0:
                return left
            left -= 1
            if left == len(sizes):
                break
        parts = torch.split(alive, sizes)
        masks = {n: p.reshape(w.shape) for (n, w), p in zip(layers.items(), parts, strict=True)}
    return left

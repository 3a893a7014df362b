"""The masks that `sims.planted` looks for tickets with: at once, in rounds, and by search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from sims._planted import Problem, Scaled, put
from sims._stack import Recipe, Stack
from slth.mask import count_for, keep_top
from slth.pruning import Context
from slth.supermask import Approximation, Classification, Layer, MaskSearch, Moment

SCORED = 256  # examples that SNIP and GraSP look at
ANNEALED, RAW = "annealed", "edge-popup, as is"


class Judged(nn.Module):
    """The network with its loss as a cross entropy, which is what SNIP and GraSP score by.

    A squared error q is the cross entropy of logits (0, ln(e^q − 1)) for class 0: wanted values
    come in behind the inputs.
    """

    def __init__(self, given: Problem, network: nn.Module) -> None:
        super().__init__()
        self.network, self.scale = network, Scaled(given.size)
        self.inputs = None if given.classes else given.x.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        y = self.scale(self.network(x[:, : self.inputs]))
        if self.inputs is None:
            return y
        q = (y - x[:, self.inputs :]).square().sum(1) + 1e-12
        return torch.stack([torch.zeros_like(q), q + torch.log(-torch.expm1(-q))], dim=1)


def context(given: Problem, seed: int) -> Context:
    x, wanted = given.x[:SCORED], given.wanted[:SCORED]
    if not given.classes:
        x, wanted = torch.cat([x, wanted], dim=1), torch.zeros(SCORED, dtype=torch.int64)
    return Context(tuple(x.shape[1:]), (x, wanted), seed)


def saliency(name: str, given: Problem) -> Any:
    from slth.pruning import load

    kind = load(name)
    return kind(temperature=1.0) if name == "grasp" and not given.classes else kind()


def scored(name: str, given: Problem, network: nn.Module, masks: list[Any], seed: int) -> list[Any]:
    """Scores of a saliency at a network under masks, a tensor a layer."""
    plain = name == "synflow"
    model = network if plain else Judged(given, network)
    names = layer_names(model)
    told = Context((given.x.shape[1],)) if plain else context(given, seed)
    living = {n: torch.from_numpy(np.array(m)) for n, m in zip(names, masks, strict=True)}
    found = saliency(name, given).scores(model, living, told)
    return [found[n] for n in names]


def layer_names(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]


def at_once(name: str, given: Problem, density: float, seed: int) -> list[Any]:
    """Pruned before training as the method was published: synaptic flow in 100 steps."""
    from slth.pruning import prune

    model = given.model if name == "synflow" else Judged(given, given.model)
    told = Context((given.x.shape[1],)) if name == "synflow" else context(given, seed)
    found = prune(model, saliency(name, given), 1 / density, context=told).masks
    return [mask.numpy() for mask in found.values()]


def in_rounds(
    plan: Sequence[tuple[str, float]], given: Problem, rounds: int, recipe: Recipe, seed: int
) -> list[list[Any]]:
    """Train, score what was trained, keep density^(r/rounds) of all weights, rewind; again.

    By magnitude this is Frankle and Carbin's (2019) iterative magnitude pruning.
    """
    size = sum(mask.size for mask in given.hidden.masks)
    masks = [[np.ones_like(m) for m in given.hidden.masks] for _ in plan]
    for r in range(1, rounds + 1):
        stack = Stack(given.hidden.network, masks)
        stack.train(given.loss, given.x, given.wanted, recipe, seed + r)
        for k, (name, density) in enumerate(plan):
            put(given.model, stack.network(k))
            scores = scored(name, given, given.model, masks[k], seed + r)
            line = torch.cat([s.reshape(-1) for s in scores])
            alive = np.concatenate([m.reshape(-1) for m in masks[k]])
            kept = keep_top(line, count_for(density ** (r / rounds), size), alive=alive).numpy()
            ends = np.cumsum([m.size for m in masks[k]])[:-1]
            parts = zip(np.split(kept, ends), masks[k], strict=True)
            masks[k] = [part.reshape(m.shape) for part, m in parts]
    put(given.model, given.hidden.network)
    return masks


# -- masks by search -------------------------------------------------------------------------------


@final
@dataclass(frozen=True)
class Annealed(MaskSearch):
    """Edge-popup that keeps all weights at first, density^(t/until) of them at step t.

    From step `until` on it is edge-popup at the density asked for, in each layer.
    """

    until: int = 1

    def relax(self, layers: Sequence[Layer], moment: Moment) -> None:
        from slth.supermask._select import compute_with

        part = min(1.0, moment.step / self.until)
        for layer in layers:
            k = round(layer.size * (layer.k / layer.size) ** part)
            compute_with(layer, keep_top(layer.scores.abs(), k))

    def gradient(self, layer: Layer, gradient: Tensor, moment: Moment) -> Tensor:
        from slth.supermask._select import through_magnitude

        return through_magnitude(layer, gradient)

    def worth(self, layer: Layer) -> Tensor:
        return layer.scores.abs()


def searched(
    name: str, given: Problem, density: float, epochs: int, batch: int, seed: int
) -> list[Any]:
    """The mask of a search over the frozen weights; RAW is by the outputs as they are."""
    from slth.supermask import load, search

    steps = epochs * -(-len(given.x) // batch)
    kind = {RAW: "edge_popup"}.get(name, name)
    method = Annealed(until=steps // 2) if name == ANNEALED else load(kind)()
    scale = () if name == RAW else (Scaled(given.size),)
    data = (given.x, given.wanted, given.test)
    objective = Classification(*data) if given.classes else Approximation(*data)
    found = search(
        nn.Sequential(given.model, *scale), method, objective,
        density=density, epochs=epochs, batch=batch, seed=seed,
    )  # fmt: skip
    return [mask.numpy() for mask in found.masks.values()]

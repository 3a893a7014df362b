"""From scores to masks and from masks to the weights that the network computes with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from slth.mask import keep_top

if TYPE_CHECKING:
    from torch import Tensor

    from slth.supermask._frozen import Layer


def select(worths: Sequence[Tensor], layers: Sequence[Layer], whole: bool) -> list[Tensor]:
    """Masks that keep exactly as many weights as the layers' k say, those of the largest worth.

    whole: rank all layers together, the sum of the k. Otherwise each layer, with its bias where
    that is searched, keeps its own. Weights that `extra["alive"]` says are gone come last.
    """
    import torch

    groups: dict[int, list[int]] = {}
    for i, layer in enumerate(layers):
        groups.setdefault(0 if whole else layer.number, []).append(i)
    found: list[Tensor] = [worths[0]] * len(layers)
    for group in groups.values():
        if len(group) == 1:
            (i,) = group
            found[i] = keep_top(worths[i], layers[i].k, alive=layers[i].extra.get("alive"))
            continue
        line = torch.cat([worths[i].reshape(-1) for i in group])
        alive = None
        if all("alive" in layers[i].extra for i in group):
            alive = torch.cat([layers[i].extra["alive"].reshape(-1) for i in group])
        kept = keep_top(line, sum(layers[i].k for i in group), alive=alive)
        parts = torch.split(kept, [layers[i].size for i in group])
        for i, part in zip(group, parts, strict=True):
            found[i] = part.reshape(layers[i].weight.shape)
    return found


def compute_with(layer: Layer, mask: Tensor, scale: float = 1.0) -> None:
    """Let the network compute with scale · base ⊙ mask; what is not kept is exactly zero."""
    import torch

    if layer.base.device.type == "cpu":
        # NumPy multiplies floats by booleans in half the time that torch takes
        out = layer.effective.detach().numpy()
        np.multiply(layer.base.numpy(), mask.numpy(), out=out)
    else:
        torch.mul(layer.base, mask, out=layer.effective)
    if scale != 1.0:
        layer.effective.mul_(scale)


def through_magnitude(layer: Layer, gradient: Tensor) -> Tensor:
    """The scores' gradient where a mask ranks |scores|: straight through the mask, not the bars."""
    from slth.supermask._descent import flat, fused

    if not fused(layer):
        return gradient.mul_(layer.weight).mul_(layer.scores.sign())
    from slth.supermask import _kernels

    gradient = gradient.contiguous()
    _kernels.through_magnitude(flat(gradient), flat(layer.weight), flat(layer.scores))
    return gradient


def logit(layer: Layer, probability: float | None) -> float:
    """The score whose sigmoid is `probability`, by default the layer's own density, held inside
    [0.01, 0.99] so that it can still move."""
    import math

    p = layer.k / layer.size if probability is None else probability
    p = min(max(p, 0.01), 0.99)
    return math.log(p / (1 - p))

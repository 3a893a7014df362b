"""From scores to masks and from masks to the weights that the network computes with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from slth.mask import keep_top

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from slth.supermask._frozen import Layer

WARM_FROM = 1 << 14  # weights from which a k-th largest is sought where the last one was


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


def compute_with_largest(layer: Layer) -> None:
    """Compute with the k largest |scores| of one layer: `keep_top`'s mask, found faster.

    From step to step the k-th largest hardly moves, so it is sought in a narrow band around the
    last one; counts tell whether it lies there. Where it does not, or is tied, `keep_top` decides.
    """
    from slth.supermask._descent import flat, fused

    warm = fused(layer) and layer.size >= WARM_FROM
    if warm and "band" in layer.extra:
        from slth.supermask import _kernels

        threshold = _kth_in_band(layer, flat(layer.scores))
        if threshold is not None:
            base, out = flat(layer.base), layer.effective.detach().view(-1).numpy()
            if _kernels.keep_from(flat(layer.scores), threshold, base, out) == layer.k:
                return
    sizes = layer.scores.abs()
    mask = keep_top(sizes, layer.k)
    compute_with(layer, mask)
    if warm:
        near = float(sizes[mask].min())
        width = float(layer.extra["band"][1]) if "band" in layer.extra else near / 1000
        layer.extra["band"] = layer.scores.new_tensor([near, width])


def _kth_in_band(layer: Layer, scores: NDArray[Any]) -> Any:
    """The k-th largest |score|, or None where the band does not hold it; moves the band."""
    from slth.supermask import _kernels

    band = layer.extra["band"].numpy()
    low, high = band[0] - band[1], band[0] + band[1]
    above_low, above_high, none = _kernels.count_beyond(scores, low, high)
    inside, place = above_low - above_high, above_low - layer.k
    if none:
        return None
    if not above_high < layer.k <= above_low or inside > layer.size // 64:
        band[1] *= 4 if inside <= layer.size // 64 else 0.125
        return None
    sizes = np.empty(inside, scores.dtype)
    _kernels.gather_between(scores, low, high, sizes)
    sizes.partition(place)
    moved, band[0] = abs(sizes[place] - band[0]), sizes[place]
    fill = 0.5 if inside > layer.size // 1024 else 2 if inside < 16 else 1
    band[1] = max(4 * moved, fill * band[1])
    return sizes[place]


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

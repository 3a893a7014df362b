"""Labelled images of any shape for methods that score by a loss: noise, or digits resized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slth.data import images
from slth.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

DATA: dict[str, Callable[[], images.Images] | None] = {
    "gaussian": None,
    "digits": images.digits,
    "mnist5k": images.mnist5k,
}


def batch(
    data: str, shape: Sequence[int], classes: int, per_class: int, seed: int
) -> tuple[Tensor, Tensor]:
    """`per_class` inputs of each class: x float32 `[B, *shape]` and labels `[B]`, classes in turn.

    gaussian: independent standard normal numbers, so labels mean nothing. digits, mnist5k: drawn
    without repetition, resized bilinearly, the same in every channel, of mean 0 and variance 1
    over the batch; they have ten labels however many classes the model knows. Raises BadInput on
    other names, on shapes that are no images, and on more images than the data have.
    """
    import torch

    if data not in DATA:
        raise BadInput("data", data, ", ".join(DATA), "choose one")
    if per_class < 1:
        raise BadInput("per_class", per_class, "1 or more", "pass the images of a class")
    rng, read = np.random.default_rng(seed), DATA[data]
    if read is None:
        labels = torch.arange(classes).repeat(per_class)
        noise = rng.standard_normal((len(labels), *shape), dtype=np.float32)
        return torch.from_numpy(noise), labels
    pixels, named = read()
    side = round(pixels.shape[1] ** 0.5)
    chosen = _chosen(named, min(classes, 10), per_class, rng)
    x = torch.from_numpy(pixels[chosen]).float().reshape(-1, 1, side, side)
    if len(shape) == 3:
        x = torch.nn.functional.interpolate(x, tuple(shape[1:]), mode="bilinear")
        x = x.expand(-1, shape[0], -1, -1)
    elif tuple(shape) == (side * side,):
        x = x.reshape(len(x), -1)
    else:
        allowed = f"(channels, height, width) or ({side * side},)"
        raise BadInput("shape", tuple(shape), allowed, "use gaussian data")
    return ((x - x.mean()) / x.std()).contiguous(), torch.from_numpy(named[chosen])


def _chosen(
    labels: NDArray[np.int64], classes: int, per_class: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    rows = []
    for label in range(classes):
        known = np.flatnonzero(labels == label)
        if len(known) < per_class:
            raise BadInput("per_class", per_class, f"up to {len(known)}", "ask for fewer images")
        rows.append(rng.choice(known, per_class, replace=False))
    return np.stack(rows, axis=1).reshape(-1)

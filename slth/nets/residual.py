"""Residual architectures of He et al. (2016) for small images: a 3 by 3 stem that keeps the size.

Where a block changes width or stride, a 1 by 1 convolution with BatchNorm under the attribute
`shortcut` stands in for the identity (their option B).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Plan:
    """Widths and blocks of the stages, each of which halves height and width but the first."""

    stem: int
    widths: Sequence[int]
    blocks: Sequence[int]
    bottleneck: bool = False


PLANS = {
    "resnet8": Plan(8, (8, 16, 32), (1, 1, 1)),  # for tickets of a network that trains in seconds
    "resnet18": Plan(64, (64, 128, 256, 512), (2, 2, 2, 2)),
    "resnet20": Plan(16, (16, 32, 64), (3, 3, 3)),
    "resnet50": Plan(64, (64, 128, 256, 512), (3, 4, 6, 3), bottleneck=True),
    # every width doubled (Zagoruyko and Komodakis 2016, k = 2)
    "wide_resnet18": Plan(128, (128, 256, 512, 1024), (2, 2, 2, 2)),
}


class Residual(nn.Module):
    """ReLU of branch(x) + shortcut(x)."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.branch(x) + self.shortcut(x))
        return out


def resnet(name: str, channels: int, classes: int) -> nn.Sequential:
    """The stem, the stages of blocks, global pooling and one linear layer."""
    plan = PLANS[name]
    layers: list[nn.Module] = [*convolution(channels, plan.stem, 3), nn.ReLU()]
    inputs = plan.stem
    for stage, (width, blocks) in enumerate(zip(plan.widths, plan.blocks, strict=True)):
        for place in range(blocks):
            stride = 2 if stage and not place else 1
            block, inputs = _block(inputs, width, stride, plan.bottleneck)
            layers.append(block)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
    """A convolution that keeps height and width but for the stride, and its BatchNorm."""
    conv = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


def _block(inputs: int, width: int, stride: int, bottleneck: bool) -> tuple[Residual, int]:
    if bottleneck:
        outputs = 4 * width
        branch = [
            *convolution(inputs, width, 1), nn.ReLU(),
            *convolution(width, width, 3, stride), nn.ReLU(),
            *convolution(width, outputs, 1),
        ]  # fmt: skip
    else:
        outputs = width
        branch = [
            *convolution(inputs, width, 3, stride), nn.ReLU(), *convolution(width, width, 3)
        ]  # fmt: skip
    same = stride == 1 and inputs == outputs
    shortcut = nn.Identity() if same else nn.Sequential(*convolution(inputs, outputs, 1, stride))
    return Residual(nn.Sequential(*branch), shortcut), outputs

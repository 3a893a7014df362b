"""The untrained architectures that pruning at initialisation is judged on, by name and seed.

Plain torch modules for images `[batch, channels, height, width]` of sides from 32 up, CIFAR's
(3, 32, 32) and Tiny-ImageNet's (3, 64, 64) among them: all end in global pooling and one linear
head, so their weights do not depend on the size. LeNet-5 and perceptrons are made for one size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from slth.errors import BadInput

if TYPE_CHECKING:
    import torch
    from torch import nn

CIFAR, TINY_IMAGENET = (3, 32, 32), (3, 64, 64)
NAMES = (
    "mlp:DIMS", "lenet5", "vgg11", "vgg16", "vgg19",
    "resnet18", "resnet20", "resnet50", "wide_resnet18",
)  # fmt: skip
INITS = ("kaiming_normal", "kaiming_normal_out", "kaiming_uniform", "xavier_normal",
         "xavier_uniform", "torch")  # fmt: skip

_SHAPE_REMEDY = "(3, 32, 32) for CIFAR, (3, 64, 64) for Tiny-ImageNet"


def build(
    spec: str,
    shape: Sequence[int] | None = None,
    classes: int | None = None,
    seed: int = 0,
    init: str = "kaiming_normal",
) -> nn.Module:
    """The network `spec` on the CPU in float32 and evaluation mode, its weights fixed by the seed.

    shape: of one input, without the batch; by default what `input_shape(spec)` says. classes:
    outputs, 10 by default; a perceptron's are the last of its DIMS. init: the law of every
    linear and convolutional weight, of variance 2 / fan_in (kaiming_normal, kaiming_uniform; He et
    al. 2015), 2 / fan_out (kaiming_normal_out), 2 / (fan_in + fan_out) (xavier_…; Glorot and Bengio
    2010), or uniform within 1/√fan_in (torch). Biases are 0, BatchNorm is the identity map. No
    global generator is read or moved. Raises BadInput for what there is not.
    """
    import torch

    if init not in INITS:
        raise BadInput("init", init, ", ".join(INITS), "choose one")
    size = tuple(input_shape(spec) if shape is None else shape)
    with torch.device("meta"):  # there torch's own initialisation draws nothing
        network = _maker(spec, size, classes)()
    network = network.to_empty(device="cpu")
    initialise(network, seed, init)
    return network.eval()


def input_shape(spec: str) -> tuple[int, ...]:
    """The shape of one input that `spec` was made for: `(dims[0],)` or CIFAR's (3, 32, 32)."""
    dims = _dims(spec)
    if dims is not None:
        return (dims[0],)
    return (1, 28, 28) if _canonical(spec) == "lenet5" else CIFAR


def initialise(network: nn.Module, seed: int, init: str = "kaiming_normal") -> None:
    """Draw every linear and convolutional weight anew, in the modules' order, as `build` does.

    Raises BadInput for a module with weights of another kind.
    """
    import torch
    from torch import nn

    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                weight = torch.empty(module.weight.shape)
                module.weight.copy_(_drawn(weight, init, draw))
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
            elif next(module.parameters(recurse=False), None) is not None:
                allowed = "Linear, Conv2d and BatchNorm2d"
                raise BadInput(name, type(module).__name__, allowed, "initialise it yourself")


def _drawn(weight: torch.Tensor, init: str, draw: torch.Generator) -> torch.Tensor:
    taps = math.prod(weight.shape[2:])
    fan_in, fan_out = weight.shape[1] * taps, weight.shape[0] * taps
    if init == "torch":
        bound = fan_in**-0.5
        return weight.uniform_(-bound, bound, generator=draw)
    fans = {"kaiming_normal_out": fan_out, "xavier_normal": (fan_in + fan_out),
            "xavier_uniform": (fan_in + fan_out)}  # fmt: skip
    std = math.sqrt(2 / fans.get(init, fan_in))
    if init.endswith("uniform"):
        return weight.uniform_(-std * math.sqrt(3), std * math.sqrt(3), generator=draw)
    return weight.normal_(0, std, generator=draw)


def _maker(spec: str, shape: tuple[int, ...], classes: int | None) -> Callable[[], nn.Module]:
    """The function that makes the module, once everything about it has been checked."""
    if any(side < 1 for side in shape):
        raise BadInput("shape", shape, "positive sizes", _SHAPE_REMEDY)
    dims = _dims(spec)
    if dims is not None:
        if math.prod(shape) != dims[0]:
            got = f"{shape} for {spec}"
            raise BadInput("shape", got, f"{dims[0]} numbers in all", "change shape or DIMS")
        if classes not in (None, dims[-1]):
            raise BadInput("classes", classes, f"{dims[-1]}, as in {spec}", "leave it out")
    elif classes is not None and classes < 1:
        raise BadInput("classes", classes, "1 or more", "pass the number of outputs")
    from slth.nets import feedforward, residual

    if dims is not None:
        return lambda: feedforward.mlp(dims)
    name, outputs = _canonical(spec), 10 if classes is None else classes
    least = 16 if name == "lenet5" else 32
    if len(shape) != 3 or min(shape[1:]) < least:
        allowed = f"(channels, height, width), sides of at least {least}"
        raise BadInput("shape", shape, allowed, _SHAPE_REMEDY)
    if name == "lenet5":
        return lambda: feedforward.lenet5(shape, outputs)
    if name in feedforward.VGG:
        return lambda: feedforward.vgg(name, shape[0], outputs)
    return lambda: residual.resnet(name, shape[0], outputs)


def _canonical(spec: str) -> str:
    """The name as it stands in NAMES; dashes count as underscores, and `wide_resnet` is short."""
    name = spec.replace("-", "_").lower()
    name = {"wide_resnet": "wide_resnet18"}.get(name, name)
    if name not in NAMES:
        raise BadInput("architecture", spec, ", ".join(NAMES), "choose one, such as vgg16")
    return name


def _dims(spec: str) -> tuple[int, ...] | None:
    """The widths in `mlp:784,300,10`; None for any other name."""
    kind, colon, given = spec.partition(":")
    if kind.lower() != "mlp" and not colon:
        _canonical(spec)
        return None
    try:
        dims = tuple(int(part) for part in given.split(","))
    except ValueError:
        dims = ()
    if kind.lower() != "mlp" or len(dims) < 2 or min(dims) < 1:
        allowed = "mlp: and at least two positive widths, inputs first, or " + ", ".join(NAMES[1:])
        raise BadInput("architecture", spec, allowed, "write mlp:784,300,100,10")
    return dims

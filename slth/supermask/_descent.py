"""Gradient descent on scores: momentum and Adam as torch.optim has them.

Written out because making a torch optimiser imports torch's compiler, which takes seconds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from slth.supermask import Layer, MaskSearch

DECAYS, TINY = (0.9, 0.999), 1e-8  # Kingma and Ba (2015)


def descend(method: MaskSearch, layer: Layer, gradient: Tensor, rate: float, step: int) -> None:
    """Move a layer's scores by one step, counted from 0; overwrites the gradient."""
    if method.optimizer == "sgd" and fused(layer):
        from slth.supermask import _kernels

        kind = layer.scores.numpy().dtype.type
        numbers = (kind(rate), kind(method.momentum), kind(method.decay))
        arrays = (flat(layer.scores), flat(_kept(layer, "velocity")), flat(gradient))
        _kernels.momentum(*arrays, *numbers, method.nesterov)
        return
    if method.decay:
        gradient.add_(layer.scores, alpha=method.decay)
    if method.optimizer == "adam":
        _adam(layer, gradient, rate, step + 1)
        return
    if method.momentum:
        velocity = _kept(layer, "velocity").mul_(method.momentum).add_(gradient)
        if method.nesterov:
            gradient.add_(velocity, alpha=method.momentum)
        else:
            gradient = velocity
    layer.scores.sub_(gradient, alpha=rate)


def fused(layer: Layer) -> bool:
    """Whether the CPU's kernels take the layer's tensors."""
    import torch

    scores = layer.scores
    return scores.device.type == "cpu" and scores.dtype in (torch.float32, torch.float64)


def flat(tensor: Tensor) -> NDArray[Any]:
    """The entries in C order: the memory itself where it lies so, otherwise a copy."""
    return tensor.reshape(-1).numpy()


def _adam(layer: Layer, gradient: Tensor, rate: float, t: int) -> None:
    first = _kept(layer, "first").lerp_(gradient, 1 - DECAYS[0])
    second = _kept(layer, "second").mul_(DECAYS[1])
    second.addcmul_(gradient, gradient, value=1 - DECAYS[1])
    root = second.sqrt().div_(math.sqrt(1 - DECAYS[1] ** t)).add_(TINY)
    layer.scores.addcdiv_(first, root, value=-rate / (1 - DECAYS[0] ** t))


def _kept(layer: Layer, name: str) -> Tensor:
    """A tensor that stays with the layer, zero at first."""
    if name not in layer.extra:
        layer.extra[name] = layer.scores.new_zeros(layer.scores.shape)
    return layer.extra[name]

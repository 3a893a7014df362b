"""What a ticket of gadgets computes, as matrices: a slope for y ≥ 0 and one for y < 0 a weight."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.network import Network, affine, constant, folded
from slth.wiring import Affine, Wiring

if TYPE_CHECKING:
    from torch import Tensor

    from slth.target import Target

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Effective:
    """g: layer i maps y to P_i max(y, 0) + Q_i min(y, 0) + b_i, with ReLU between layers.

    A gadget keeps hidden neurons with in-weight u and out-weight v; those with u > 0 act on y ≥ 0
    and add uv to P, those with u < 0 act on y < 0 and add uv to Q. The two halves err differently,
    so P ≠ Q in general; from the second layer on y ≥ 0 and only P matters.

    positive, negative: `[d_i, d_{i-1}]` a layer; bias: `[d_i]`.
    slack: `[d_i, d_{i-1} + 1]`, a bound on |stored entry − real entry| (last column: the bias);
    zero wherever the sum of products was exact in float64.
    wiring: of anything but a stack of fully connected layers; then d_i counts outputs times taps.
    """

    positive: tuple[Floats, ...]
    negative: tuple[Floats, ...]
    bias: tuple[Floats, ...]
    slack: tuple[Floats, ...]
    wiring: Wiring | None = None

    @property
    def dims(self) -> tuple[int, ...]:
        return (self.positive[0].shape[1], *(p.shape[0] for p in self.positive))

    def __call__(self, x: ArrayLike) -> Floats:
        """`[batch, d_0]` → `[batch, d_l]`, images flattened."""
        y = np.asarray(x, dtype=np.float64)
        if self.wiring is not None:
            import torch

            with torch.no_grad():
                found = self.values(torch.from_numpy(y.reshape(len(y), *self.wiring.shape)))[-1]
            flat: Floats = found.flatten(1).numpy()
            return flat
        for i, (p, q, b) in enumerate(zip(self.positive, self.negative, self.bias, strict=True)):
            if i:
                y = np.maximum(y, 0.0) @ p.T + b
            else:
                y = np.maximum(y, 0.0) @ p.T + np.minimum(y, 0.0) @ q.T + b
        return y

    def values(self, x: Tensor) -> list[Tensor]:
        """Every value in torch where there is a wiring, of `[batch, *shape]` float64."""
        assert self.wiring is not None
        return self.wiring.run(x, self._apply)

    def _apply(self, step: Affine, y: Tensor) -> Tensor:
        positive, negative, bias = self._tensors[step.layer]
        assert self.wiring is not None
        found = affine(step, y.clamp(min=0), positive, None) + constant(step, y, bias)
        if self.wiring.signed(step.of):
            found = found + affine(step, y.clamp(max=0), negative, None)
        return found

    @cached_property
    def _tensors(self) -> tuple[tuple[Tensor, Tensor, Tensor], ...]:
        """Slopes of every layer in the target's shapes, and its bias, a tap an entry."""
        import torch

        assert self.wiring is not None
        layers = zip(self.wiring.affine, self.positive, self.negative, self.bias, strict=True)
        return tuple(
            (
                torch.from_numpy(np.array(folded(step, p))),
                torch.from_numpy(np.array(folded(step, q))),
                torch.from_numpy(np.array(b)),
            )
            for step, p, q, b in layers
        )


def weight_errors(
    effective: Effective, target: Target | Network, halves: Literal["both", "needed"] = "both"
) -> list[Floats]:
    """For each layer, `[d_i, d_{i-1} (+ 1 with a bias)]`: how far a weight is missed, rounded up.

    The worse of the two halves; with "needed", the negative half counts only in layers that may see
    a negative input, such as the first. Exact where slack is zero.
    """
    layers = zip(
        effective.positive, effective.negative, effective.bias, effective.slack, strict=True
    )
    return [
        layer_errors(layer, target.augmented(i), target.signed[i] or halves == "both")
        for i, layer in enumerate(layers)
    ]


def layer_errors(
    layer: tuple[Floats, Floats, Floats, Floats], wanted: Floats, both: bool
) -> Floats:
    """`weight_errors` of one layer, given its slopes for y ≥ 0 and y < 0, its bias and slack.

    wanted: `[d_i, d_{i-1}]`, or with the bias as one column more.
    """
    positive, negative, offset, slack = layer
    weights, bias = wanted[:, : positive.shape[1]], wanted[:, positive.shape[1] :]
    worst = _distance(positive, weights, slack[:, :-1])
    if both:
        worst = np.maximum(worst, _distance(negative, weights, slack[:, :-1]))
    if bias.size:
        worst = np.column_stack([worst, _distance(offset, bias[:, 0], slack[:, -1])])
    return worst


def _distance(a: Floats, b: Floats, slack: Floats) -> Floats:
    """The smallest float64 ≥ |a − b|; with slack, a float64 ≥ |a − b| + slack."""
    difference = a - b
    part = difference - a
    lost = (a - (difference - part)) - (b + part)  # difference + lost = a − b exactly (TwoSum)
    size = np.abs(difference)
    size = np.where(lost * np.sign(difference) > 0, np.nextafter(size, np.inf), size)
    return np.where(slack > 0, np.nextafter(size + slack, np.inf), size)

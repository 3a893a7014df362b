"""What a ticket of gadgets computes, as matrices: a slope for y ≥ 0 and one for y < 0 a weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
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
    """

    positive: tuple[Floats, ...]
    negative: tuple[Floats, ...]
    bias: tuple[Floats, ...]
    slack: tuple[Floats, ...]

    @property
    def dims(self) -> tuple[int, ...]:
        return (self.positive[0].shape[1], *(p.shape[0] for p in self.positive))

    def __call__(self, x: ArrayLike) -> Floats:
        """`[batch, d_0]` → `[batch, d_l]`."""
        y = np.asarray(x, dtype=np.float64)
        for i, (p, q, b) in enumerate(zip(self.positive, self.negative, self.bias, strict=True)):
            if i:
                y = np.maximum(y, 0.0) @ p.T + b
            else:
                y = np.maximum(y, 0.0) @ p.T + np.minimum(y, 0.0) @ q.T + b
        return y


def weight_errors(
    effective: Effective, target: Target, halves: Literal["both", "needed"] = "both"
) -> list[Floats]:
    """For each layer, `[d_i, d_{i-1} (+ 1 with a bias)]`: how far a weight is missed, rounded up.

    The worse of the two halves; with "needed", the negative half counts in the first layer only,
    since later layers never see a negative input. Exact where slack is zero.
    """
    layers = zip(
        effective.positive, effective.negative, effective.bias, effective.slack, strict=True
    )
    return [
        layer_errors(layer, w, b, i == 0 or halves == "both")
        for i, (layer, w, b) in enumerate(zip(layers, target.weights, target.biases, strict=True))
    ]


def layer_errors(
    layer: tuple[Floats, Floats, Floats, Floats], weights: Floats, bias: Floats | None, both: bool
) -> Floats:
    """`weight_errors` of one layer, given its slopes for y ≥ 0 and y < 0, its bias and slack."""
    positive, negative, offset, slack = layer
    worst = _distance(positive, weights, slack[:, :-1])
    if both:
        worst = np.maximum(worst, _distance(negative, weights, slack[:, :-1]))
    if bias is not None:
        worst = np.column_stack([worst, _distance(offset, bias, slack[:, -1])])
    return worst


def _distance(a: Floats, b: Floats, slack: Floats) -> Floats:
    """The smallest float64 ≥ |a − b|; with slack, a float64 ≥ |a − b| + slack."""
    difference = a - b
    part = difference - a
    lost = (a - (difference - part)) - (b + part)  # difference + lost = a − b exactly (TwoSum)
    size = np.abs(difference)
    size = np.where(lost * np.sign(difference) > 0, np.nextafter(size, np.inf), size)
    return np.where(slack > 0, np.nextafter(size + slack, np.inf), size)

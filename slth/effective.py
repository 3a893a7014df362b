"""What a ticket of gadgets computes, as matrices: one slope for y ≥ 0 and one for y < 0 a weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

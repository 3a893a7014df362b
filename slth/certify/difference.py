"""The difference g - f of two networks, written in difference matrices so that nothing cancels.

Layer i of f maps y to W y + b, layer i of g maps y to P max(y, 0) + Q min(y, 0) + c. With
D = P - W, N = Q - W, d = c - b the recursion q_i = W δ_{i-1} + D ŷ⁺ + N ŷ⁻ + d for the difference
before the ReLU holds exactly, and an error of 1e-12 is carried with as many digits as one of 1e-2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from slth.certify.rounding import up_array
from slth.effective import Effective
from slth.errors import BadInput
from slth.target import Target

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer's weight W `[out, in]`, bias b `[out]`, and what g adds to them.

    positive, negative `[out, in]` and bias_error `[out]` are D, N, d rounded to float64; `doubt`
    `[out, in + 1]` bounds |true difference - stored one|, bias last (zero when both are exact).
    """

    weight: Array
    bias: Array
    positive: Array
    negative: Array
    bias_error: Array
    doubt: Array

    @cached_property
    def one_sided(self) -> bool:
        """Whether both halves err alike, so that the layer of g is affine too."""
        return bool((self.positive == self.negative).all())

    @cached_property
    def exact(self) -> bool:
        return not self.doubt.any()


@dataclass(frozen=True, eq=False)
class Difference:
    """The layers of f and g - f; made by `difference`."""

    layers: tuple[Layer, ...]

    @property
    def dims(self) -> tuple[int, ...]:
        return (self.layers[0].weight.shape[1], *(layer.weight.shape[0] for layer in self.layers))

    @cached_property
    def zero(self) -> bool:
        """Whether g is f, weight by weight (the halves that no input reaches do not count)."""
        return all(
            not layer.positive.any()
            and not (layer.negative.any() and i == 0)
            and not layer.bias_error.any()
            and layer.exact
            for i, layer in enumerate(self.layers)
        )


def difference(target: Target, effective: Effective) -> Difference:
    """Check that both networks have one shape and finite numbers, and subtract them layer by layer.

    Raises BadInput naming the first part that is NaN, infinite or of another shape.
    """
    if len(effective.positive) != target.depth:
        got = f"{len(effective.positive)} layers"
        raise BadInput("effective", got, f"{target.depth} layers, as the target", "match the depth")
    layers = []
    for i, weight in enumerate(target.weights):
        shape = weight.shape
        bias = target.biases[i]
        bias = np.zeros(shape[0]) if bias is None else bias
        _check(f"target.weights[{i}]", weight, shape)
        _check(f"target.biases[{i}]", bias, shape[:1])
        _check(f"effective.positive[{i}]", effective.positive[i], shape)
        _check(f"effective.negative[{i}]", effective.negative[i], shape)
        _check(f"effective.bias[{i}]", effective.bias[i], shape[:1])
        slack = effective.slack[i]
        _check(f"effective.slack[{i}]", slack, (shape[0], shape[1] + 1))
        if (slack < 0).any():
            raise BadInput(f"effective.slack[{i}]", slack.min(), ">= 0", "pass absolute bounds")
        positive, positive_rest = _subtract(effective.positive[i], weight)
        if i == 0:
            negative, negative_rest = _subtract(effective.negative[i], weight)
        else:  # After a ReLU no input is negative: the other half is never used.
            negative, negative_rest = positive, positive_rest
        bias_error, bias_rest = _subtract(effective.bias[i], bias)
        rest = np.column_stack([np.maximum(positive_rest, negative_rest), bias_rest])
        doubt = np.where((rest > 0) | (slack > 0), up_array(slack + rest, 1), 0.0)
        layers.append(Layer(weight, bias, positive, negative, bias_error, doubt))
    return Difference(tuple(layers))


def _subtract(a: Array, b: Array) -> tuple[Array, Array]:
    """fl(a - b) and the exact size of its rounding error (Knuth's two-sum)."""
    total = a - b
    back = total - a
    return total, np.abs((a - (total - back)) - (b + back))


def _check(name: str, array: Array, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise BadInput(name, f"shape {array.shape}", f"shape {shape}", "match the target's dims")
    if not np.isfinite(array).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise BadInput(name, f"{array[at]} at {at}", "finite numbers", "repair the weights")

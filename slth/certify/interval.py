"""Elementwise interval propagation of a network and of the *difference* to another one.

Tracked per neuron: ranges of f's pre-activation z, of g's ẑ and of ẑ - z, and after the ReLU of h,
ĥ and δ = ĥ - h. On a ball the first layer's ranges are those of Cauchy-Schwarz, which are exact; on
a box they are exact too, since an affine or two-sided map separates over coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slth.certify.difference import Difference
from slth.certify.rounding import frobenius_upper, product_range, sum_range, up_array
from slth.domain import Ball, Domain
from slth.target import Target

Array = NDArray[np.float64]
Range = tuple[Array, Array]


@dataclass(frozen=True, eq=False)
class Ranges:
    """Ranges (low, high), each `[d_i]`, behind one layer: pre-activations of f and g and their
    difference; then the same after the ReLU."""

    z: Range
    z_hat: Range
    q: Range

    @property
    def h(self) -> Range:
        return np.maximum(self.z[0], 0.0), np.maximum(self.z[1], 0.0)

    @property
    def h_hat(self) -> Range:
        return np.maximum(self.z_hat[0], 0.0), np.maximum(self.z_hat[1], 0.0)

    @property
    def delta(self) -> Range:
        """δ = s q with s in [0, 1], -h <= δ <= ĥ; δ = q where both are active, 0 where neither."""
        low = np.maximum(np.minimum(self.q[0], 0.0), -self.h[1])
        high = np.minimum(np.maximum(self.q[1], 0.0), self.h_hat[1])
        active = (self.z[0] >= 0) & (self.z_hat[0] >= 0)
        return np.where(active, self.q[0], low), np.where(active, self.q[1], high)


def layer_ranges(diff: Difference, domain: Domain) -> list[Ranges]:
    """Ranges behind every layer of f and g; the last entry's `q` encloses g(x) - f(x)."""
    first = diff.layers[0]
    z = first_range(first.weight, first.weight, first.bias, domain)
    q = first_range(first.positive, first.negative, first.bias_error, domain)
    found = [_ranges(z, q)]
    for layer in diff.layers[1:]:
        last = found[-1]
        z = sum_range(product_range(layer.weight, *last.h), (layer.bias, layer.bias))
        q = sum_range(
            product_range(layer.weight, *last.delta),
            product_range(layer.positive, *last.h_hat),
            (layer.bias_error, layer.bias_error),
        )
        found.append(_ranges(z, q))
    return found


def interval_bound(ranges: list[Ranges]) -> float:
    """Upper bound on ||g - f|| from the ranges of its coordinates."""
    low, high = ranges[-1].q
    return frobenius_upper(np.maximum(np.abs(low), np.abs(high)))


def target_ranges(target: Target, domain: Domain) -> list[Range]:
    """Ranges of the target's pre-activations, layer by layer."""
    found: list[Range] = []
    for weight, bias in zip(target.weights, target.biases, strict=True):
        bias = np.zeros(len(weight)) if bias is None else bias
        if not found:
            found.append(first_range(weight, weight, bias, domain))
            continue
        low, high = (np.maximum(side, 0.0) for side in found[-1])
        found.append(sum_range(product_range(weight, low, high), (bias, bias)))
    return found


def first_range(positive: Array, negative: Array, bias: Array, domain: Domain) -> Range:
    """Exact ranges, rounded outward, of positive x⁺ + negative x⁻ + bias over the domain."""
    if isinstance(domain, Ball):
        # Coordinate a contributes at most slope * |x_a|, and (|x_a|) ranges over a ball's orthant.
        rise = np.maximum(np.maximum(positive, -negative), 0.0)
        fall = np.maximum(np.maximum(-positive, negative), 0.0)
        high, low = _row_norms(rise) * domain.radius, -_row_norms(fall) * domain.radius
        high, low = np.nextafter(high, np.inf), np.nextafter(low, -np.inf)
    else:
        at_low = np.where(domain.low >= 0, positive, negative) * domain.low
        at_high = np.where(domain.high >= 0, positive, negative) * domain.high
        high, low = np.maximum(at_low, at_high), np.minimum(at_low, at_high)
        kink = (domain.low < 0) & (domain.high > 0)
        high, low = (
            np.where(kink, np.maximum(high, 0), high),
            np.where(kink, np.minimum(low, 0), low),
        )
        size = np.maximum(np.abs(low), np.abs(high)).sum(axis=1)
        error = up_array((positive.shape[1] + 2) * 2.0**-52 * size, positive.shape[1])
        high, low = high.sum(axis=1) + error, low.sum(axis=1) - error
    return sum_range((low, high), (bias, bias))


def _row_norms(matrix: Array) -> Array:
    """Upper bounds on the Euclidean norms of the rows; each row is scaled, so none underflows."""
    peak = np.abs(matrix).max(axis=1, keepdims=True)
    scale = np.where(peak > 0, 2.0 ** np.clip(np.frexp(peak)[1], -1000, 1000), 1.0)
    norms = up_array(scale[:, 0] * np.linalg.norm(matrix / scale, axis=1), matrix.shape[1] + 4)
    return np.where(peak[:, 0] > 0, norms, 0.0)


def _ranges(z: Range, q: Range) -> Ranges:
    return Ranges(z, sum_range(z, q), q)


def hidden_norms(ranges: list[Ranges]) -> list[tuple[float, float, float]]:
    """Bounds on ||h_i||, ||ĥ_i|| and ||δ_i|| behind every hidden layer."""
    return [
        (
            frobenius_upper(r.h[1]),
            frobenius_upper(r.h_hat[1]),
            frobenius_upper(np.maximum(np.abs(r.delta[0]), np.abs(r.delta[1]))),
        )
        for r in ranges[:-1]
    ]

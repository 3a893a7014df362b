"""Affine bounds on what a network computes, by backward substitution (CROWN), many boxes at once.

A ReLU whose input lies in [l, u] with l < 0 < u is at most s z + t, s = u/(u − l), t = −s l, and
at least z or 0, whichever is nearer; elsewhere it is affine. Walking back from a layer's rows, each
activation is replaced by the one of the two that the sign of its coefficient asks for, until
affine functions of the input are left: below and above the layer on the whole region (Zhang, Weng,
Chen, Hsieh and Daniel 2018). Coefficients are numbers chosen in float64; what a rounded sum of them
differs by from what is meant is at most a multiple of an ulp of Σ|Λ|·|z|, which is added outward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slth.certify.joint import Layers
from slth.certify.rounding import SMALLEST, ULP, up_array
from slth.domain import Ball, Box, Domain

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Affine:
    """slope·x + offset for each of `rows` and every region: `[c, rows, d]`, `[c, rows]`."""

    slope: Array
    offset: Array


@dataclass(frozen=True, eq=False)
class Boxes:
    """Regions: boxes low ≤ x ≤ high, each `[c, d]`."""

    low: Array
    high: Array

    def highest(self, f: Affine) -> Array:
        """An upper bound on every row over its region, `[c, rows]`."""
        rise, fall = np.maximum(f.slope, 0.0), np.minimum(f.slope, 0.0)
        value = _apply(rise, self.high) + _apply(fall, self.low) + f.offset
        size = _apply(rise - fall, np.maximum(np.abs(self.low), np.abs(self.high)))
        return np.asarray(value + 8 * (f.slope.shape[-1] + 4) * ULP * (size + np.abs(f.offset)))


@dataclass(frozen=True, eq=False)
class Centred:
    """One region: the ball around zero."""

    radius: float

    def highest(self, f: Affine) -> Array:
        size = np.linalg.norm(f.slope, axis=-1) * self.radius
        slack = 8 * (f.slope.shape[-1] + 4) * ULP * (size + np.abs(f.offset))
        return np.asarray(size + f.offset + slack)


Region = Boxes | Centred


def region_of(domain: Domain) -> Region:
    if isinstance(domain, Box):
        return Boxes(domain.low[None], domain.high[None])
    return Centred(domain.radius)


def reach(domain: Domain) -> Array:
    """Upper bounds on the sizes of the inputs, `[d]`."""
    if isinstance(domain, Ball):
        return np.full(domain.dimension, domain.radius)
    return np.maximum(np.abs(domain.low), np.abs(domain.high))


@dataclass(frozen=True, eq=False)
class Stack:
    """Layers, and Σ|weight|·|input| + |bias| of every neuron `[out]` over all inputs in reach:
    what the rounding of a coefficient is multiplied by."""

    layers: Layers
    sizes: tuple[Array, ...]

    @staticmethod
    def of(layers: Layers, reach: Array) -> Stack:
        sizes = []
        for weight, bias in layers:
            reach = up_array(np.abs(weight) @ reach + np.abs(bias), weight.shape[1] + 2)
            sizes.append(reach)
        return Stack(layers, tuple(sizes))

    @property
    def work(self) -> int:
        """Multiplications that the bounds of one region take, roughly."""
        inside = [w.size for w, _ in self.layers]
        return sum(4 * len(w) * sum(inside[:i]) for i, (w, _) in enumerate(self.layers) if i)


@dataclass(frozen=True, eq=False)
class _Relu:
    """h ≤ slope·z + shift and h ≥ lower·z, `[c, n]` each."""

    slope: Array
    shift: Array
    lower: Array


def affine_bounds(network: Stack, region: Region) -> tuple[Affine, Affine, list[Array]]:
    """Affine functions below and above the network's outputs on every region, and upper bounds on
    the activations of each hidden layer, `[c, n]`."""
    relus: list[_Relu] = []
    active: list[Array] = []
    for i, (weight, bias) in enumerate(network.layers):
        above = _above(network, relus, weight, bias)
        below = negated(_above(network, relus, -weight, -bias))
        if i == len(network.layers) - 1:
            break
        high = np.minimum(region.highest(above), network.sizes[i])
        low = np.maximum(-region.highest(negated(below)), -network.sizes[i])
        relus.append(_relaxed(low, high))
        active.append(np.maximum(high, 0.0))
    return below, above, active


def _relaxed(low: Array, high: Array) -> _Relu:
    on, off = low >= 0, high <= 0
    between = ~(on | off)
    slope = np.where(on, 1.0, 0.0)
    np.divide(high, high - low, out=slope, where=between)
    # any slope will do, as long as the line is above both ends of the ReLU's graph
    ends = np.maximum(-slope * low, high * (1 - slope))
    shift = np.where(between, ends * (1 + 4 * ULP) + SMALLEST, 0.0)
    lower = np.where(on | (between & (high > -low)), 1.0, 0.0)
    return _Relu(slope, shift, lower)


def _above(network: Stack, relus: Sequence[_Relu], rows: Array, offset: Array) -> Affine:
    """An affine function of the input above rows·h + offset, h the last activations of `relus`
    and rows those of the layer that follows, or their negatives."""
    slope, shift = rows[None], offset[None]
    size, most = network.sizes[len(relus)][None], rows.shape[1]
    for i in reversed(range(len(relus))):
        (weight, bias), relu = network.layers[i], relus[i]
        up, down = np.maximum(slope, 0.0), np.minimum(slope, 0.0)
        shift = shift + _apply(up, relu.shift)  # at most |up·slope|·size as well
        slope = up * relu.slope[:, None, :] + down * relu.lower[:, None, :]
        size = size + np.abs(slope) @ network.sizes[i]
        shift = shift + slope @ bias
        slope = _times(slope, weight)
        most = max(most, *weight.shape)
    return Affine(slope, shift + (16 * (most + 8 * len(relus) + 16) * ULP * size + SMALLEST))


def negated(f: Affine) -> Affine:
    return Affine(-f.slope, -f.offset)


def _apply(rows: Array, x: Array) -> Array:
    """rows `[c, r, n]` times x `[c, n]`: `[c, r]`."""
    return np.asarray(np.matmul(rows, x[..., None])[..., 0])


def _times(rows: Array, matrix: Array) -> Array:
    """rows `[c, r, n]` times matrix `[n, m]`, as one product."""
    flat = rows.reshape(-1, rows.shape[-1]) @ matrix
    return flat.reshape(*rows.shape[:-1], matrix.shape[1])

"""Two networks of any depths as one whose output is their difference, bit for bit.

A neuron whose pre-activation is never positive, or which nothing reads, computes nothing: without
them a searched mask of a wide source is a small network. The shallower of the two is deepened by
layers that copy activations, which ReLU leaves alone since they are not negative.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slth.effective import Effective
from slth.errors import BadInput
from slth.target import Target

Array = NDArray[np.float64]
Layers = list[tuple[Array, Array]]  # weight [out, in] and bias [out] of each layer


def trimmed(target: Target) -> Target:
    """The same function without the hidden neurons that are never positive or never read.

    A layer of which nothing would be left keeps its first neuron.
    """
    layers = layers_of(target)
    again = True
    while again:
        again = False
        for i in range(len(layers) - 1):
            (weight, bias), (following, offset) = layers[i], layers[i + 1]
            active = (bias > 0) | ((weight > 0) if i else (weight != 0)).any(axis=1)
            live = active & (following != 0).any(axis=0)
            live[0] |= not live.any()  # a neuron that computes nothing: the layer cannot be empty
            if not live.all():
                layers[i] = weight[live], bias[live]
                layers[i + 1] = following[:, live], offset
                again = True
    return _target(layers)


def layers_of(target: Target) -> Layers:
    """Weights and biases, zero where there is none."""
    pairs = zip(target.weights, target.biases, strict=True)
    return [(w, np.zeros(len(w)) if b is None else b) for w, b in pairs]


def joint(f: Target, g: Target) -> tuple[Target, Effective]:
    """A network z that is zero and one h of its shape with h(x) = f(x) − g(x) exactly.

    So that whatever bounds ‖h − z‖ bounds ‖f − g‖. Raises BadInput where the inputs or the outputs
    of f and g are not as many.
    """
    if f.dims[0] != g.dims[0] or f.dims[-1] != g.dims[-1]:
        got = f"{g.dims[0]} inputs and {g.dims[-1]} outputs"
        allowed = f"{f.dims[0]} and {f.dims[-1]}, as the other network"
        raise BadInput("network", got, allowed, "match the two")
    depth = max(f.depth, g.depth)
    ours, theirs = (_deepened(layers_of(network), depth) for network in (f, g))
    weights, biases = [], []
    for i, ((a, b), (c, d)) in enumerate(zip(ours[:-1], theirs[:-1], strict=True)):
        weights.append(_diagonal(a, c) if i else np.vstack([a, c]))
        biases.append(np.concatenate([b, d]))
    (a, b), (c, d) = ours[-1], theirs[-1]
    weights.append(np.hstack([a, -c]) if depth > 1 else a - c)
    biases.append(b - d)
    slack = [np.zeros((w.shape[0], w.shape[1] + 1)) for w in weights]
    slack[-1][:, -1] = _lost(b, d)
    if depth == 1:
        slack[-1][:, :-1] = _lost(a, c)
    zero = Target(tuple(np.zeros_like(w) for w in weights), (None,) * depth)
    whole = tuple(weights)
    return zero, Effective(whole, whole, tuple(biases), tuple(slack))


def _lost(a: Array, b: Array) -> Array:
    """What a − b loses to rounding, entry by entry: an ulp, or zero where it is exact."""
    total = a - b
    back = total - a
    rest = (a - (total - back)) - (b + back)  # Knuth's two-sum
    return np.where(rest != 0, np.spacing(np.abs(total)), 0.0)


def _deepened(layers: Layers, depth: int) -> Layers:
    """The same function with so many layers."""
    layers = list(layers)
    if len(layers) == 1 and depth > 1:
        (weight, bias) = layers[0]
        one = np.eye(weight.shape[1])
        # x = relu(x) − relu(−x)
        layers = [
            (np.vstack([one, -one]), np.zeros(2 * len(one))),
            (np.hstack([weight, -weight]), bias),
        ]
    while len(layers) < depth:
        width = layers[-1][0].shape[1]
        layers.insert(-1, (np.eye(width), np.zeros(width)))
    return layers


def _diagonal(a: Array, b: Array) -> Array:
    out = np.zeros((a.shape[0] + b.shape[0], a.shape[1] + b.shape[1]))
    out[: a.shape[0], : a.shape[1]] = a
    out[a.shape[0] :, a.shape[1] :] = b
    return out


def _target(layers: Layers) -> Target:
    return Target(tuple(w for w, _ in layers), tuple(b if b.any() else None for _, b in layers))

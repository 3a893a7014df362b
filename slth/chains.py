"""Targets that are chains of fully connected layers with one activation, and that activation near
zero.

Every activation φ here is, on either side of zero, a line up to a remainder r: for *all* z

    φ(z) = value + slope·z + r,  |r| ≤ coefficient·|z|^power,  slope = up (z ≥ 0) or down (z < 0).

ReLU and leaky ReLU have no remainder. For t = tanh z, tanh″(0) = 0 and |tanh‴ z| = |(6 t² − 2)
(1 − t²)| ≤ 2, so |r| ≤ 2|z|³/6 (Taylor). The sigmoid is 1/2 + tanh(z/2)/2, so |r| ≤ |z|³/48.
Softplus has second derivative σ(1 − σ) ≤ 1/4, so |r| ≤ z²/8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.network import Network
from slth.target import Target
from slth.wiring import Activation, Affine, Flatten

Floats = NDArray[np.float64]
RELU = Activation(0, "relu")
SUPPORTED = "fully connected layers one after another, the same activation between any two"


@dataclass(frozen=True)
class FirstOrder:
    """The line on either side of zero, and the remainder."""

    value: float
    up: float
    down: float
    power: int = 1
    coefficient: float = 0.0

    @property
    def bent(self) -> bool:
        """Whether the two sides differ: then neurons with u > 0 and u < 0 are told apart."""
        return self.up != self.down

    @property
    def gain(self) -> float:
        """Slope for x ≥ 0, and for x < 0, of φ(x) − φ(−x) where `bent`, else of φ."""
        return self.up + self.down if self.bent else self.up

    @property
    def smooth(self) -> bool:
        return self.coefficient > 0


def first_order(activation: Activation) -> FirstOrder:
    """The activation near zero, as at the head of this file."""
    return {
        "relu": FirstOrder(0.0, 1.0, 0.0),
        "leaky_relu": FirstOrder(0.0, 1.0, activation.slope),
        "tanh": FirstOrder(0.0, 1.0, 1.0, 3, 1 / 3),
        "sigmoid": FirstOrder(0.5, 0.25, 0.25, 3, 1 / 48),
        "softplus": FirstOrder(math.log(2), 0.5, 0.5, 2, 1 / 8),
    }[activation.kind]


def evaluate(activation: Activation, z: Floats) -> Floats:
    """φ(z), entry by entry; but for ReLU as torch has it."""
    if activation.kind == "relu":
        return np.maximum(z, 0.0)
    import torch

    found: Floats = activation(torch.from_numpy(np.ascontiguousarray(z))).numpy()
    return found


def as_chain(target: Target | Network) -> tuple[Network, Activation]:
    """The target with its wiring, and its activation (ReLU where it has a single layer).

    Raises BadInput unless it is a chain of fully connected layers with one activation.
    """
    given: object = target
    if not isinstance(given, Target | Network):
        remedy = "slth.from_module(model) reads a torch model"
        raise BadInput("target", type(given).__name__, "a slth.Target or Network", remedy)
    network = target if isinstance(target, Network) else _wired(target)
    kinds, layers, after = set(), 0, False
    for place, step in enumerate(network.wiring.steps):
        flat = isinstance(step, Flatten) and not layers
        plain = isinstance(step, Affine) and step.kernel is None and step.layer == layers
        between = isinstance(step, Activation) and after
        if step.of != place or not (flat or (plain and not after) or between):
            raise _unsupported(f"{type(step).__name__} as step {place}")
        if isinstance(step, Activation):
            kinds.add((step.kind, step.slope if step.kind == "leaky_relu" else 0.0))
        layers, after = layers + plain, plain
    if not after:
        raise _unsupported("an activation after the last layer")
    if len(kinds) > 1:
        raise _unsupported(f"several activations: {', '.join(sorted(k for k, _ in kinds))}")
    kind, slope = kinds.pop() if kinds else ("relu", 0.0)
    return network, Activation(0, kind, slope)


def plain(network: Network) -> Target:
    """The same weights with ReLU between layers: for norms, which know of no activation."""
    return Target(network.weights, network.biases)


def _wired(target: Target) -> Network:
    return Network(target.wiring, target.weights, target.biases)


def _unsupported(got: str) -> BadInput:
    return BadInput("target", got, SUPPORTED, "use the construction pensia, which takes any wiring")

"""What enters each layer of a chain over a domain: ranges, neuron by neuron, and norms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slth.certify.enclosure import enclose
from slth.certify.rounding import frobenius_upper, spectral_upper, up
from slth.chains import first_order
from slth.domain import Ball, Domain
from slth.network import Network
from slth.wiring import LIPSCHITZ, Activation, Affine

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What enters a layer of the target, y: ends of its ranges, a bound on ‖y‖, and the upper ends
    of the arguments whose activations y are (None: of the network's input)."""

    low: Floats
    high: Floats
    norm: float
    arguments: Floats | None

    @property
    def size(self) -> Floats:
        """Bounds |y_a|."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    @property
    def total(self) -> float:
        """Bounds Σ|y_a|."""
        by_norm = up(float(np.sqrt(self.size.size)) * self.norm, 3)
        return min(up(float(self.size.sum()), self.size.size), by_norm)


def layer_inputs(target: Network, domain: Domain) -> list[Inputs]:
    """What enters each of a chain's layers over the domain."""
    found: list[Inputs] = []
    norm = domain.radius if isinstance(domain, Ball) else np.inf
    arguments: Floats | None = None
    for step, given in zip(target.wiring.steps, enclose(target, None, domain), strict=False):
        low, high = (part.flatten().numpy() for part in (given.low, given.high))
        if isinstance(step, Affine):
            norm = min(norm, frobenius_upper(np.maximum(np.abs(low), np.abs(high))))
            found.append(Inputs(low, high, norm, arguments))
            bias = target.biases[step.layer]
            offset = 0.0 if bias is None else frobenius_upper(bias)
            norm = up(spectral_upper(target.weights[step.layer]) * norm + offset, 3)
        elif isinstance(step, Activation):  # ‖φ(z)‖ ≤ λ‖z‖ + |φ(0)| √width
            value = first_order(step).value * float(np.sqrt(low.size))
            norm, arguments = up(LIPSCHITZ[step.kind] * norm + value, 5), high
    return found

"""The stack that holds a chain one layer deeper: its widths, factors and where copies stand.

Source layer 0 has, for every input in turn, a block of univariate neurons, then constants; hidden
layer i ≥ 1 has ρ_i copies of each neuron of the target's layer i, neuron by neuron, then as many
constants where a later layer has a bias.
"""

from __future__ import annotations

import math

import numpy as np

from slth.chains import first_order
from slth.domain import Ball, Domain
from slth.errors import BadInput
from slth.laws import Law
from slth.layered import LayeredSource
from slth.network import Network
from slth.wiring import Activation

WIDEST = 1 << 12  # copies of a neuron, and univariate neurons of an input
SMALL = {3: -4, 2: -8}  # log2 of |u x| at most, where the remainder has this power
DIGITS = 16  # more constants where the next layer's weights are large: as many values as bits


def counts(n: int | tuple[int, ...], network: Network) -> tuple[int, ...]:
    """(n_1, ρ_1, …, ρ_{l−1}); BadInput where these are not such numbers."""
    each = n if isinstance(n, tuple) else (n,) * network.depth
    if len(each) != network.depth:
        allowed = f"one number, or {network.depth}: an input's, then the hidden layers'"
        raise BadInput("n", each, allowed, "match the target's layers")
    if not all(type(k) is int and 1 <= k <= WIDEST for k in each):
        raise BadInput("n", each, f"whole numbers in 1 … {WIDEST}", "choose another")
    return each


def stack(
    network: Network,
    activation: Activation,
    each: tuple[int, ...],
    factors: tuple[float, float],
    seed: int,
    law: Law,
) -> LayeredSource:
    """The source for these counts, and public factors of layers 0 and 1."""
    dims = (network.inputs, *(b for _, b in network.links))
    biased, layers = network.biased, network.depth + 1
    constants = ones(activation, each[0], network)
    hidden = [
        rho * (d + any(biased[i:]))
        for i, (rho, d) in enumerate(zip(each[1:], dims[1:-1], strict=True), start=1)
    ]
    return LayeredSource(
        (dims[0], block(activation, each[0]) * dims[0] + constants, *hidden, dims[-1]),
        seed,
        law,
        bias=(constants > 0, *(False,) * (layers - 1)),
        scales=(*factors, *(1.0,) * (layers - 2)),
        dims=dims,
        ends=tuple(range(1, layers)),
        copies=(*each[1:], 1),
        apart=True,
        activation=activation.kind,
        slope=activation.slope,
    )


def counted(source: object, network: Network, activation: Activation) -> tuple[int, ...] | None:
    """The counts that a source was made with; None where it was not made here."""
    if not isinstance(source, LayeredSource) or source.layers != network.depth + 1:
        return None
    for n in range(min(WIDEST, source.widths[1]), 0, -1):
        if block(activation, n) * network.inputs + ones(activation, n, network) == source.widths[1]:
            return (n, *source.copies[:-1])
    return None


def block(activation: Activation, n: int) -> int:
    """Univariate neurons of an input: n of either sign on average, or n in all."""
    return 2 * n if first_order(activation).bent else n


def ones(activation: Activation, n: int, network: Network) -> int:
    """Constants of layer 0: for n usable values of a bias, and where φ(0) ≠ 0 for reaching
    φ(0) Σ v, which over d inputs with at most n/4 kept values each is of the size √(d n)."""
    line = first_order(activation)
    if not any(network.biased) and not line.value:
        return 0
    more = math.ceil(5 * math.sqrt(network.inputs * n)) if line.value else 0
    return 2 * n + more + (DIGITS if line.smooth else 0)


def factors(activation: Activation, first: float | None, domain: Domain) -> tuple[float, float]:
    """Of layers 0 and 1. Smooth: arguments near zero, and what takes that and φ′(0) back."""
    line = first_order(activation)
    if not line.smooth:
        return first or 1.0, 1.0
    if isinstance(domain, Ball):
        reach = domain.radius
    else:
        reach = float(max(np.abs(domain.low).max(), np.abs(domain.high).max()))
    mantissa, size = math.frexp(reach)
    low = first or 2.0 ** (SMALL[line.power] - size + (mantissa == 0.5))
    return low, 1 / (low * line.gain)

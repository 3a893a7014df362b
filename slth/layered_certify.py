"""Certificates of stacks whose copies differ: a bound from above, an attacked input from below.

The attack climbs ‖g − f‖ from random starts (`slth.certify.ascent`); what it says is not trusted.
At the point it names both networks are run with a bound on their own rounding, g as the stack that
it is, neuron by neuron, and only what is left of the difference counts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slth.certify import Certificate, ascent
from slth.certify.bounds import FINALISTS, _inside
from slth.certify.enclosure import FUNCTIONS, TINY
from slth.certify.rounding import ULP, up_array
from slth.certify.running import _evaluated, _target_layers
from slth.chains import as_chain, evaluate, first_order
from slth.domain import Domain
from slth.errors import BadInput
from slth.layered_copies import Copies
from slth.layered_distance import distances, upper_bound
from slth.layered_ticket import LayeredTicket
from slth.network import Network
from slth.wiring import LIPSCHITZ, Activation, Affine, Flatten, Wiring

if TYPE_CHECKING:
    from torch import Tensor

    from slth.target import Target

Array = NDArray[np.float64]
LARGE = 1 << 24  # weights of a first layer that the attack takes neuron by neuron


def certify_copies(
    target: Target | Network,
    ticket: LayeredTicket,
    domain: Domain,
    *,
    seed: int = 0,
    restarts: int = 64,
    steps: int = 150,
) -> Certificate:
    """lower ≤ sup ‖g − f‖ ≤ upper over the domain, g being the ticket's stack.

    Raises BadInput on another dimension, and on a mask that makes no copies of the target.
    """
    from threadpoolctl import threadpool_limits

    network, _ = as_chain(target)
    if domain.dimension != network.inputs:
        allowed = f"{network.inputs}, the target's input width"
        raise BadInput("domain", f"dimension {domain.dimension}", allowed, "match the dimensions")
    copies = ticket.apart
    with threadpool_limits(1, user_api="blas"):
        upper = upper_bound(distances(copies, network, domain))
        points = ascent.attack(
            network.values, _Values(copies, network.wiring), network.wiring, domain,
            seed=seed, restarts=restarts, steps=steps,
        )  # fmt: skip
        inside = [_inside(point, domain) for point in points[:FINALISTS]]
        values = [proved(network, ticket, point) for point in inside]
    best = int(np.argmax(values))
    witness = tuple(float(v) for v in inside[best])
    return Certificate(domain, max(0.0, values[best]), upper, witness, {"copies": upper})


def proved(target: Network, ticket: LayeredTicket, x: Array) -> float:
    """At most ‖g(x) − f(x)‖ at a point `[d_0]`, every rounding counted."""
    import torch

    point = torch.from_numpy(np.array(x, dtype=np.float64)).reshape(1, *target.wiring.shape)
    with torch.no_grad():
        wanted, doubt = _evaluated(target.wiring, _target_layers(target), point)
    found, own = run(ticket, x)
    distance = np.abs(found - wanted) * (1 - 2 * ULP) - (doubt + own) * (1 + 4 * ULP)
    norm = float(np.linalg.norm(np.maximum(distance, 0.0)))
    return max(0.0, norm * (1 - (found.size + 8) * ULP))


def run(ticket: LayeredTicket, x: Array) -> tuple[Array, Array]:
    """The stack's outputs at x `[d_0]`, kept weight by kept weight, and a bound on how far they are
    off (running error analysis, Higham 2002)."""
    activation = ticket.source.activated
    y, doubt = np.array(x, dtype=np.float64), np.zeros(x.size)
    for t, (weights, bias, _) in enumerate(ticket.matrices):
        if t:
            doubt = LIPSCHITZ[activation.kind] * doubt
            y = evaluate(activation, y)
            if activation.kind != "relu":
                doubt = doubt + FUNCTIONS * np.abs(y) + TINY
        terms = int(np.diff(weights.indptr).max(initial=0)) + 4
        size = abs(weights) @ np.abs(y) + np.abs(bias)
        doubt = up_array(abs(weights) @ up_array(doubt, 4) + terms * ULP * size, terms)
        y = weights @ y + bias
    return y, doubt


class _Values:
    """The stack in torch, differentiable, value by value of the target's wiring."""

    def __init__(self, copies: Copies, wiring: Wiring) -> None:
        import torch

        self.copies, self.wiring = copies, wiring
        self.offsets = [torch.from_numpy(value) for value, _ in copies.offsets]
        self.links = [torch.from_numpy(links.toarray()) for links in copies.links[1:]]
        # neuron by neuron where the lines are not all, unless that is too much for a mere search
        smooth, first = first_order(copies.activation).smooth, copies.links[0]
        self.whole = smooth and math.prod(first.shape) <= LARGE
        if self.whole:
            self.u, self.reads = torch.from_numpy(copies.u), torch.from_numpy(copies.reads)
            self.first = torch.from_numpy(first.toarray())
        else:
            self.slopes = [torch.from_numpy(part) for part in copies.slopes[:2]]

    def __call__(self, x: Tensor) -> list[Tensor]:
        found, y = [x], x
        for step in self.wiring.steps:
            if isinstance(step, Flatten):
                y = y.flatten(1)
            elif isinstance(step, Activation):
                y = step(y)
            elif isinstance(step, Affine):
                y = self._layer(step.layer, y)
            found.append(y)
        return found

    def _layer(self, i: int, y: Tensor) -> Tensor:
        if i:
            return y @ self.links[i - 1].T + self.offsets[i]
        if not self.whole:
            up, down = self.slopes
            return y.clamp(min=0) @ up.T + y.clamp(max=0) @ down.T + self.offsets[0]
        line = first_order(self.copies.activation)
        each = self.copies.activation(y[:, self.reads] * self.u) - line.value
        return each @ self.first.T + self.offsets[0]

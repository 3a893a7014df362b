"""What errors of single weights do to a network of any wiring, in one number a value.

With E the distance of a layer's input, in the largest coordinate, from the target's, its output is
off by at most (gain + η·fan)·E + η·sum: gain is the largest row sum of |W| over taps and inputs,
sum the largest Σ|y| that a row sees over the domain, fan how many numbers that are, and η the
per-weight error. Activations multiply E by their Lipschitz constant, additions add. The same
pixel by pixel, for errors that are known, is `enclosure`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from slth.certify.enclosure import enclose, outward
from slth.certify.rounding import up
from slth.domain import Ball, Domain
from slth.errors import BadInput
from slth.network import Network, affine
from slth.wiring import LIPSCHITZ, Activation, Add, Affine, Wiring


@dataclass(frozen=True, eq=False)
class Coordinates:
    """gains, sums, fans: of each layer; a bias counts in `sums` by its taps."""

    wiring: Wiring
    gains: tuple[float, ...]
    sums: tuple[float, ...]
    fans: tuple[int, ...]

    def error_bound(self, etas: tuple[float, ...] | list[float]) -> float:
        """On the Euclidean norm of the output's difference, for per-weight errors of each layer."""
        if len(etas) != len(self.gains) or not all(0 <= eta < np.inf for eta in etas):
            allowed = f"{len(self.gains)} finite numbers >= 0, one a layer"
            raise BadInput("etas", list(etas), allowed, "pass one tolerance a layer")
        return self._bound(list(etas))

    def tolerances(self, epsilon: float) -> tuple[float, ...]:
        """Per-weight tolerances of which each layer adds about the same to a bound of ε."""
        if not (np.isfinite(epsilon) and epsilon > 0):
            raise BadInput("epsilon", epsilon, "a finite number > 0", "choose a tolerance")
        shares = [1 / max(self._alone(i), 1e-300) for i in range(len(self.gains))]
        low, high = 0.0, epsilon
        while self._bound([high * s for s in shares]) <= epsilon:
            low, high = high, 2 * high
        for _ in range(60):
            middle = (low + high) / 2
            if self._bound([middle * s for s in shares]) <= epsilon:
                low = middle
            else:
                high = middle
        found = tuple(low * share for share in shares)
        if not (min(found) > 0 and self.error_bound(found) <= epsilon):
            allowed = "a tolerance float64 can split"
            raise BadInput("epsilon", epsilon, allowed, "rescale the target")
        return found

    def _alone(self, layer: int) -> float:
        """What a unit of η in this layer alone adds, to first order."""
        own = [float(i == layer) * s for i, s in enumerate(self.sums)]
        return self._walk(list(self.gains), own)

    def _bound(self, etas: list[float]) -> float:
        layers = zip(self.gains, etas, self.fans, self.sums, strict=True)
        gains = [up(g + eta * fan, 3) for g, eta, fan, _ in layers]
        return self._walk(gains, [eta * s for eta, s in zip(etas, self.sums, strict=True)])

    def _walk(self, gains: list[float], own: list[float]) -> float:
        found = [0.0]
        for step in self.wiring.steps:
            given = found[step.of]
            if isinstance(step, Affine):
                given = gains[step.layer] * given + own[step.layer]
            elif isinstance(step, Activation):
                given = LIPSCHITZ[step.kind] * given
            elif isinstance(step, Add):
                given = given + found[step.other]
            found.append(up(given, 5) if given else 0.0)
        return up(found[-1] * float(np.sqrt(self.wiring.outputs)), 3) if found[-1] else 0.0


def coordinates(target: Network, domain: Domain) -> Coordinates:
    """The rule for a target over a domain, from its own norms and ranges."""
    if domain.dimension != target.inputs:
        allowed = f"{target.inputs}, the target's input width"
        raise BadInput("domain", f"dimension {domain.dimension}", allowed, "match the dimensions")
    enclosures = enclose(target, None, domain)
    gains, sums, fans = [], [], []
    for step, weight, bias in zip(target.wiring.affine, target.weights, target.biases, strict=True):
        terms, one = step.inputs * step.taps, 0 if bias is None else step.taps
        size = enclosures[step.of].size
        ones = torch.ones(1, step.inputs, *(step.kernel or ()), dtype=torch.float64)
        narrow = replace(step, outputs=1)
        total = float(outward(affine(narrow, size, ones, None), terms).max())
        if isinstance(domain, Ball) and step.of == 0:  # |x|₁ ≤ √d ‖x‖
            total = min(total, up(domain.radius * float(np.sqrt(terms)), 4))
        rows = np.abs(weight).reshape(len(weight), -1).sum(axis=1)
        gains.append(up(float(rows.max()), terms))
        sums.append(up(total + one, 1))
        fans.append(terms)
    return Coordinates(target.wiring, tuple(gains), tuple(sums), tuple(fans))

"""What errors of single weights do to a network of any wiring, in one number a value.

With E the distance of a layer's input, in the largest coordinate, from the target's, its output is
off by at most (gain + η·fan)·E + η·sum: gain is the largest row sum of |W| over taps and inputs,
sum the largest Σ|y| that a row sees over the domain, fan how many numbers that are, and η the
per-weight error. Beside it goes the same in Euclidean norms, and each sharpens the other.
Activations multiply E by their Lipschitz constant, additions add. The same pixel by pixel, for
errors that are known, is `enclosure`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from slth.certify.enclosure import (
    Enclosure,
    enclose,
    operator_norm,
    outward,
    overlap,
    parts_of,
    per_token,
    pooled_norm,
)
from slth.certify.rounding import frobenius_upper, up
from slth.domain import Ball, Domain
from slth.errors import BadInput
from slth.network import Network, affine
from slth.wiring import LIPSCHITZ, Activation, Add, Affine, Attend, Normalise, Pool, Wiring

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Coordinates:
    """gains, sums, fans: of each layer; a bias counts in `sums` by its taps. norms, spreads,
    widths: the same in Euclidean norms, where η moves a layer's norm by η·width at most. heads: of
    each attention's heads, bounds on ‖(x, 1)‖, ‖k‖ and ‖v‖ of a token, and the channels of k."""

    wiring: Wiring
    gains: tuple[float, ...]
    sums: tuple[float, ...]
    fans: tuple[float, ...]
    norms: tuple[float, ...]
    spreads: tuple[float, ...]
    widths: tuple[float, ...]
    heads: tuple[tuple[tuple[float, float, float, int], ...], ...] = ()

    def error_bound(self, etas: tuple[float, ...] | list[float]) -> float:
        """On the Euclidean norm of the output's difference, for per-weight errors of each layer."""
        if len(etas) != len(self.gains) or not all(0 <= eta < np.inf for eta in etas):
            allowed = f"{len(self.gains)} finite numbers >= 0, one a layer"
            raise BadInput("etas", list(etas), allowed, "pass one tolerance a layer")
        return self._bound(etas, etas)

    def tolerances(self, epsilon: float) -> tuple[float, ...]:
        """Per-weight tolerances of which each layer adds about the same to a bound of ε."""
        if not (np.isfinite(epsilon) and epsilon > 0):
            raise BadInput("epsilon", epsilon, "a finite number > 0", "choose a tolerance")
        layers = range(len(self.gains))
        none = [0.0] * len(layers)
        alone = (self._bound(none, [float(i == layer) for i in layers]) for layer in layers)
        shares = [1 / max(bound, 1e-300) for bound in alone]
        low, high = 0.0, epsilon
        while self._even(high, shares) <= epsilon:
            low, high = high, 2 * high
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self._even(middle, shares) <= epsilon else (low, middle)
        found = tuple(low * share for share in shares)
        if not (min(found) > 0 and self.error_bound(found) <= epsilon):
            allowed = "a tolerance float64 can split"
            raise BadInput("epsilon", epsilon, allowed, "rescale the target")
        return found

    def _even(self, size: float, shares: list[float]) -> float:
        etas = [size * share for share in shares]
        return self._bound(etas, etas)

    def _bound(self, moved: Sequence[float], fresh: Sequence[float]) -> float:
        """Where weights that are off by `moved` amplify and weights off by `fresh` add."""
        heads = iter(self.heads)
        found = [(0.0, 0.0)]  # distance of the largest coordinate, and in Euclidean norm
        for step, shape in zip(self.wiring.steps, self.wiring.shapes[1:], strict=True):
            most, far = found[step.of]
            if isinstance(step, Affine):
                i = step.layer
                most = (self.gains[i] + moved[i] * self.fans[i]) * most + fresh[i] * self.sums[i]
                norm = self.norms[i] + moved[i] * self.widths[i]
                norm *= 2**0.5 if self.wiring.signed(step.of) else 1.0
                far = norm * far + fresh[i] * self.spreads[i]
            elif isinstance(step, Activation):
                most, far = (LIPSCHITZ[step.kind] * e for e in (most, far))
            elif isinstance(step, Add):
                most, far = (a + b for a, b in zip((most, far), found[step.other], strict=True))
            elif isinstance(step, Pool):
                far *= pooled_norm(step)
            elif isinstance(step, Attend):
                most = self._attended(step, found, next(heads))
                far = most * math.prod(shape[1:]) ** 0.5
            elif isinstance(step, Normalise):
                rate = up(step.epsilon**-0.5, 3)
                most, far = min(far, most * shape[0] ** 0.5) * rate, far * rate
            most, far = (up(e, 9) if e else 0.0 for e in (most, far))
            far = min(far, up(most * math.prod(shape) ** 0.5, 3)) if most else 0.0
            found.append((min(most, far), far))
        return found[-1][1]

    def _attended(
        self,
        step: Attend,
        found: list[tuple[float, float]],
        heads: tuple[tuple[float, float, float, int], ...],
    ) -> float:
        """How far a token's output may be, in Euclidean norm: see `enclosure`."""
        most, far = found[step.of]
        shapes, total = self.wiring.shapes, 0.0
        off = min(far, up(most * shapes[step.of][0] ** 0.5, 3))
        parts = zip(step.keys, step.values, heads, strict=True)
        for key, value, (asks, reach, size, channels) in parts:
            key_off = min(found[key][1], up(found[key][0] * channels**0.5, 3))
            value_off = min(found[value][1], up(found[value][0] * shapes[value][0] ** 0.5, 3))
            moved = min(2.0, off * (reach + key_off) + asks * key_off)
            total += moved * size + value_off
        return up(total, 8 * len(heads))


def _head(given: Enclosure, key: Enclosure, value: Enclosure) -> tuple[float, float, float, int]:
    one = float(key.low.shape[1] > given.low.shape[1])
    asks = up(float(np.hypot(per_token(given.size), one)), 3)
    return asks, per_token(key.size), per_token(value.size), int(key.low.shape[1])


def coordinates(target: Network, domain: Domain) -> Coordinates:
    """The rule for a target over a domain, from its own norms and ranges."""
    if domain.dimension != target.inputs:
        allowed = f"{target.inputs}, the target's input width"
        raise BadInput("domain", f"dimension {domain.dimension}", allowed, "match the dimensions")
    enclosures = enclose(target, None, domain)
    rows = [_layer(target, step, enclosures[step.of].size, domain) for step in target.wiring.affine]
    heads = tuple(
        tuple(
            _head(enclosures[step.of], enclosures[k], enclosures[v])
            for k, v in zip(step.keys, step.values, strict=True)
        )
        for step in target.wiring.steps
        if isinstance(step, Attend)
    )
    return replace(Coordinates(target.wiring, *zip(*rows, strict=True)), heads=heads)


def _layer(target: Network, step: Affine, size: Tensor, domain: Domain) -> tuple[float, ...]:
    """gain, sum, fan, norm, spread and width of one layer."""
    matrix, _ = parts_of(target, step)
    terms, one = step.inputs * step.taps, step.taps if target.biased[step.layer] else 0
    ones = torch.ones(1, step.inputs, *(step.kernel or ()), dtype=torch.float64)
    totals = outward(affine(replace(step, outputs=1), size, ones, None) + one, terms + 1)
    if isinstance(domain, Ball) and step.of == 0 and step.kernel is None:  # |x|₁ ≤ √d ‖x‖
        totals = totals.clamp(max=up(domain.radius * float(np.sqrt(terms)) + one, 4))
    rows = np.abs(target.weights[step.layer]).reshape(step.outputs, -1).sum(axis=1)
    spread = frobenius_upper(totals.flatten().numpy()) * step.outputs**0.5
    windows = 1 if step.kernel is None else overlap(step)
    return (
        up(float(rows.max()), terms),
        float(totals.max()),
        float(terms),
        operator_norm(step, matrix),
        up(spread, 3),
        up(float(windows * step.outputs * terms) ** 0.5, 3),
    )

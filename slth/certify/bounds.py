"""Both sides of a certificate, from the parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slth.certify import proved_error
from slth.certify.attack import attack
from slth.certify.difference import Difference, difference
from slth.certify.interval import interval_bound, layer_ranges
from slth.certify.norm import doubt_bound, norm_propagation
from slth.certify.propagate import radius_of
from slth.certify.quadratic import quadratic_bound
from slth.certify.rounding import up
from slth.domain import Ball, Domain
from slth.effective import Effective
from slth.errors import BadInput
from slth.network import Network
from slth.target import Target

Array = NDArray[np.float64]

# How many of the attack's best points are evaluated exactly.
FINALISTS = 3
# Squares of anything below this many bits stay finite.
LARGEST_BITS = 400


@dataclass(frozen=True, eq=False)
class Upper:
    """Upper bounds by name, what they were computed from, and points worth attacking from."""

    difference: Difference | None
    parts: dict[str, float]
    doubt: float
    starts: Array


def upper_bounds(
    target: Target, effective: Effective, domain: Domain, effort: float = 1.0
) -> Upper:
    """Every upper bound on sup ||g - f||; all exactly 0 where g is f weight by weight."""
    diff = difference(target, effective)
    _check_range(diff, domain)
    none = np.zeros((0, target.dims[0]))
    if diff.zero:
        return Upper(diff, {"interval": 0.0, "norm": 0.0}, 0.0, none)
    ranges = layer_ranges(diff, domain)
    norms = norm_propagation(diff, domain, ranges)
    doubt = doubt_bound(diff, norms)
    raw = {"interval": interval_bound(ranges), "norm": norms.error[-1]}
    starts = none
    found = quadratic_bound(diff, domain, norms, effort=effort) if effort > 0 else None
    if found is not None:
        raw["quadratic"], starts = found.bound, found.starts
    parts = {
        name: up(bound + doubt, 1) if doubt else bound
        for name, bound in raw.items()
        if np.isfinite(bound)
    }
    return Upper(diff, parts, doubt, starts)


def _check_range(diff: Difference, domain: Domain) -> None:
    """Refuse networks whose bounds could overflow on the way."""
    bits = float(np.log2(1 + radius_of(domain)))
    for layer in diff.layers:
        parts = (layer.weight, layer.positive, layer.negative, layer.bias, layer.bias_error)
        peak = max(float(np.abs(part).max()) for part in parts)
        bits += float(np.log2(1 + peak) + np.log2(8 * layer.weight.size))
    if bits > LARGEST_BITS:
        allowed = f"products of layer sizes and the domain's radius below 2^{LARGEST_BITS}"
        raise BadInput("target", f"about 2^{bits:.0f}", allowed, "rescale weights or domain")


def lower_bound(
    target: Target | Network,
    effective: Effective,
    domain: Domain,
    upper: Upper,
    *,
    seed: int,
    restarts: int,
    steps: int,
) -> tuple[float, Array]:
    """A proved lower bound and the point that proves it."""
    if upper.difference is None:
        from slth.certify import ascent

        assert isinstance(target, Network)
        points = ascent.attack(
            target.values, effective.values, target.wiring, domain,
            seed=seed, restarts=restarts, steps=steps,
        )  # fmt: skip
    else:
        points = attack(
            upper.difference, domain, seed=seed, restarts=restarts, steps=steps, starts=upper.starts
        )
    # The ascent ranks points in float64, which near a kink is less sure than the exact error.
    inside = [_inside(point, domain) for point in points[:FINALISTS]]
    values = [proved_error(target, effective, point, upper) for point in inside]
    best = int(np.argmax(values))
    return max(0.0, values[best]), inside[best]


def _inside(point: Array, domain: Domain) -> Array:
    """The point, or if the rounding of a projection left it outside, one nearby that is inside."""
    if domain.contains(point):
        return point
    near = point * (1 - 2.0**-40) if isinstance(domain, Ball) else domain.project(point)
    # the centre of a ball, a corner or face of a box: inside whatever the point was
    return near if domain.contains(near) else domain.project(np.zeros(domain.dimension))

"""A certificate for any two fully connected ReLU networks: how far is a searched mask off?

A searched mask keeps whatever it likes, so what it computes is no `Effective` of gadgets, and its
layers are not the target's. Upper bounds on sup ‖f − g‖ over the domain, the least of them counts:

- interval, norm: those of `slth.certify.certify`, of the joint network f − g against zero (nothing
  can be subtracted layer by layer here, so they are far looser than for gadgets);
- linear: affine bounds on f and g by backward substitution;
- cells: branch and bound with such bounds, for up to six inputs, usually within five per cent;
- quadratic: where there are more inputs, of the joint network, tightened by the linear bounds.

Below: the attack of `slth.certify`, its best points evaluated in exact arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slth.certify import Certificate, bounds
from slth.certify.cells import INPUTS, cells_bound
from slth.certify.difference import Difference
from slth.certify.interval import layer_ranges
from slth.certify.joint import joint, layers_of, trimmed
from slth.certify.norm import Norms, norm_propagation
from slth.certify.propagate import radius_of
from slth.certify.quadratic import quadratic_bound
from slth.certify.rational import Scaled, root_down, target_output
from slth.certify.relaxed import Affine, Stack, affine_bounds, negated, reach, region_of
from slth.certify.rounding import frobenius_upper, spectral_upper, up
from slth.domain import Ball, Box, Domain
from slth.effective import Effective
from slth.errors import BadInput
from slth.target import Target

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pair:
    """f and g without their idle neurons, and f − g as one network beside zero (`joint`)."""

    f: Target
    g: Target
    zero: Target
    whole: Effective
    domain: Domain

    @staticmethod
    def of(f: Target, g: Target, domain: Domain) -> Pair:
        """Raises BadInput where inputs, outputs or the domain's dimension do not agree."""
        if not isinstance(domain, Box | Ball):
            raise BadInput("domain", type(domain).__name__, "a Box or a Ball", "import slth.domain")
        if domain.dimension != f.dims[0]:
            allowed = f"{f.dims[0]}, the networks' input width"
            got = f"dimension {domain.dimension}"
            raise BadInput("domain", got, allowed, "match the dimensions")
        f, g = trimmed(f), trimmed(g)
        return Pair(f, g, *joint(f, g), domain)

    @property
    def few_inputs(self) -> bool:
        """Whether cells pay."""
        return self.domain.dimension <= INPUTS

    def error_at(self, x: Array) -> float:
        """The largest float64 that is at most ‖f(x) − g(x)‖."""
        one, other = target_output(self.f, x), target_output(self.g, x)
        gap = one + Scaled(-other.integers, other.exponent)
        return root_down(sum(int(v) ** 2 for v in gap.integers), 2 * gap.exponent)


def certify_networks(
    f: Target,
    g: Target,
    domain: Domain,
    *,
    seed: int = 0,
    restarts: int = 64,
    steps: int = 150,
    effort: float = 1.0,
) -> Certificate:
    """Bound sup ‖f − g‖₂ over the domain from both sides, whatever the two networks' shapes.

    Lower: `restarts` ascents of `steps` steps from points drawn with `seed`. `effort` scales the
    work on cells and on the quadratic bound; less is as sound but looser, 0 leaves them out.
    Raises BadInput on inputs, outputs or dimensions that do not agree and options out of range.
    """
    from threadpoolctl import threadpool_limits

    for name, value, least in (("restarts", restarts, 1), ("steps", steps, 0), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise BadInput(name, value, f"an integer >= {least}", f"choose another {name}")
    pair = Pair.of(f, g, domain)
    with threadpool_limits(1, user_api="blas"):
        found = upper_bounds(pair, effort=effort)
        _, witness = bounds.lower_bound(
            pair.zero, pair.whole, domain, found, seed=seed, restarts=restarts, steps=steps
        )
        lower, parts = pair.error_at(witness), dict(found.parts)
        if (refined := refined_bound(pair, lower, effort)) is not None:
            parts["cells"] = refined
    return Certificate(domain, lower, min(parts.values()), tuple(witness.tolist()), parts)


def upper_bounds(pair: Pair, effort: float = 1.0) -> bounds.Upper:
    """Every upper bound but that of cells, and what the lower bound needs."""
    if not 0 <= effort <= 100:
        raise BadInput("effort", effort, "a number in [0, 100]", "1 is the default")
    found = bounds.upper_bounds(pair.zero, pair.whole, pair.domain, 0)
    if found.difference is None or found.difference.zero:
        return found
    below, above, caps = _affine(pair)
    linear = up(_largest(below, above, pair.domain) + found.doubt, 1)
    parts, starts = {**found.parts, "linear": linear}, found.starts
    if effort > 0 and not pair.few_inputs:
        norms = _norms(found.difference, pair.domain, caps, min(parts.values()))
        quadratic = quadratic_bound(found.difference, pair.domain, norms, effort=effort)
        if quadratic is not None and np.isfinite(quadratic.bound):
            starts = quadratic.starts
            parts["quadratic"] = up(quadratic.bound + found.doubt, 1)
    return replace(found, parts=parts, starts=starts)


def refined_bound(pair: Pair, lower: float, effort: float = 1.0) -> float | None:
    """The bound of cells (None for more inputs than it is made for); lower: where it may stop."""
    if not pair.few_inputs or effort == 0:
        return None
    return cells_bound(layers_of(pair.f), layers_of(pair.g), pair.domain, lower, effort)


def _affine(pair: Pair) -> tuple[Affine, Affine, list[float]]:
    """f − g between two affine functions over the whole domain, and bounds on ‖h‖ behind every
    hidden layer of the joint network."""
    region, far = region_of(pair.domain), reach(pair.domain)
    (below_f, above_f, ours), (below_g, above_g, theirs) = (
        affine_bounds(Stack.of(layers_of(network), far), region) for network in (pair.f, pair.g)
    )
    norms = [[frobenius_upper(h[0]) for h in hidden] for hidden in (ours, theirs)]
    # the shallower one is deepened by copies of its last activations, or of its inputs
    norms = [side or [radius_of(pair.domain)] for side in norms]
    caps = []
    for i in range(len(pair.whole.positive) - 1):
        one, other = (side[min(i, len(side) - 1)] for side in norms)
        caps.append(up(float(np.hypot(one, other)), 4))
    return _minus(below_f, above_g), _minus(above_f, below_g), caps


def _minus(a: Affine, b: Affine) -> Affine:
    """a − b; what that rounds is far below what either already allows for."""
    return Affine(a.slope - b.slope, a.offset - b.offset)


def _largest(below: Affine, above: Affine, domain: Domain) -> float:
    """A bound on the norm of what lies between two affine functions over the domain."""
    region = region_of(domain)
    high, low = region.highest(above)[0], -region.highest(negated(below))[0]
    by_rows = frobenius_upper(np.maximum(np.abs(high), np.abs(low)))
    if isinstance(domain, Box):
        return by_rows
    middle = Affine((above.slope + below.slope) / 2, (above.offset + below.offset) / 2)
    over, under = (
        region.highest(side)[0] for side in (_minus(above, middle), _minus(middle, below))
    )
    off = np.maximum(np.maximum(over, under), 0.0)
    whole = spectral_upper(middle.slope[0]) * domain.radius + frobenius_upper(middle.offset[0])
    return min(by_rows, up(whole + frobenius_upper(off), 4))


def _norms(diff: Difference, domain: Domain, caps: list[float], error: float) -> Norms:
    """What norm propagation says of the joint network, or its affine bounds where they say more.

    It stands beside zero, so that its activations and their differences are the same.
    """
    found = norm_propagation(diff, domain, layer_ranges(diff, domain))
    errors = [min(e, c) for e, c in zip(found.error[1:-1], caps, strict=True)]
    sizes = [min(s, c) for s, c in zip(found.size_hat[1:-1], caps, strict=True)]
    return Norms(
        (found.error[0], *errors, min(found.error[-1], error)),
        found.size,
        (found.size_hat[0], *sizes, found.size_hat[-1]),
    )

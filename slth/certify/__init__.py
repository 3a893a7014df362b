"""Certificates: lower <= sup over a domain of ||g(x) - f(x)||_2 <= upper, both proved.

f is a `Target` or a `Network`, g the `Effective` network of a ticket, both as the real functions
that their float64 weights define. Upper bounds are rounded outward, the attack's value inward.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slth.domain import Ball, Box, Domain, from_json
from slth.errors import BadInput

if TYPE_CHECKING:
    from slth.certify.bounds import Upper
    from slth.certify.coordinates import Coordinates
    from slth.certify.propagate import Propagation
    from slth.effective import Effective
    from slth.network import Network
    from slth.target import Target
    from slth.ticket import Ticket

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Claim:
    """A construction's own bound on sup ||g - f||_2, and the domain it is made for."""

    bound: float
    domain: Domain

    def __post_init__(self) -> None:
        if not (np.isfinite(self.bound) and self.bound >= 0):
            raise BadInput("claim", self.bound, "a finite bound >= 0", "pass the proved bound")


@dataclass(frozen=True)
class Certificate:
    """lower <= sup ||g - f||_2 <= upper over `domain`; the error at `witness` is at least lower.

    parts: every upper bound by name (a claim enters only if made for the same domain); `refuted`
    names those below the lower bound, which are false and do not count in `upper`.
    """

    domain: Domain
    lower: float
    upper: float
    witness: tuple[float, ...]
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """upper / lower: 1 when tight, infinite when the attack found nothing."""
        if self.lower > 0:
            return self.upper / self.lower
        return 1.0 if self.upper == 0 else float("inf")

    @property
    def refuted(self) -> tuple[str, ...]:
        return tuple(name for name, bound in self.parts.items() if bound < self.lower)

    def to_json(self) -> dict[str, Any]:
        return {
            "domain": self.domain.to_json(),
            "lower": self.lower,
            "upper": self.upper,
            "witness": list(self.witness),
            "parts": dict(self.parts),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Certificate:
        """The certificate that `to_json` wrote."""
        try:
            return Certificate(
                from_json(data["domain"]),
                float(data["lower"]),
                float(data["upper"]),
                tuple(float(v) for v in data["witness"]),
                {str(k): float(v) for k, v in data["parts"].items()},
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(
                "certificate", repr(error), "a certificate's JSON", "rewrite it"
            ) from error


def rule_for(target: Target | Network, domain: Domain) -> Propagation | Coordinates:
    """What makes an error of the network out of errors of its weights, and tolerances out of ε."""
    from slth.target import Target

    if isinstance(target, Target):
        from slth.certify.propagate import propagation

        return propagation(target, domain)
    from slth.certify.coordinates import coordinates

    return coordinates(target, domain)


def upper_bounds(
    target: Target | Network, effective: Effective, domain: Domain, effort: float = 1.0
) -> Upper:
    """Every upper bound on sup ||g - f|| by name, and what the lower bound needs."""
    from slth.certify import bounds
    from slth.target import Target

    if isinstance(target, Target):
        return bounds.upper_bounds(target, effective, domain, effort)
    from slth.certify.enclosure import enclose, upper_bound

    bound = upper_bound(enclose(target, effective, domain))
    return bounds.Upper(None, {"coordinates": bound}, 0.0, np.zeros((0, target.inputs)))


def proved_error(target: Target | Network, effective: Effective, x: Array, found: Upper) -> float:
    """At most ||g(x) - f(x)||, every rounding counted."""
    from slth.target import Target

    if isinstance(target, Target):
        from slth.certify.rational import error_at

        value = error_at(target, effective, x) - found.doubt
        return float(np.nextafter(value, -np.inf)) if found.doubt else value
    from slth.certify.running import proved

    return proved(target, effective, x)


def certify(
    target: Target | Network,
    effective: Effective | Ticket,
    domain: Domain,
    *,
    claim: Claim | None = None,
    seed: int = 0,
    restarts: int = 64,
    steps: int = 150,
    effort: float = 1.0,
) -> Certificate:
    """Bound sup ||g - f||_2 over the domain from both sides.

    Upper: the least of interval propagation of the difference, norm propagation, the quadratic
    bound and a claim for the same domain; of a `Network`, of its coordinates and the claim. Lower:
    `restarts` ascents of `steps` steps from points drawn with `seed`, the best evaluated exactly.
    `effort` scales the steps of the quadratic bound, where most of the time goes: less is as sound
    but looser, and 0 leaves it out. Raises BadInput on NaN, on dimensions that do not agree, and on
    restarts, steps, seed or effort out of range.
    """
    from threadpoolctl import threadpool_limits

    from slth.certify.bounds import lower_bound

    for name, value, least in (("restarts", restarts, 1), ("steps", steps, 0), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise BadInput(name, value, f"an integer >= {least}", f"choose another {name}")
    given: Any = effective
    merged: Effective = getattr(given, "effective", given)  # a ticket stands for what it computes
    if not 0 <= effort <= 100:
        raise BadInput("effort", effort, "a number in [0, 100]", "1 is the default")
    if not isinstance(domain, Box | Ball):
        raise BadInput("domain", type(domain).__name__, "a Box or a Ball", "import slth.domain")
    if domain.dimension != target.inputs:
        allowed = f"{target.inputs}, the target's input width"
        raise BadInput("domain", f"dimension {domain.dimension}", allowed, "match the dimensions")
    # Matrices of a few hundred rows: threads of the linear algebra cost more than they give, and
    # on busy cores a hundred times more.
    with threadpool_limits(1, user_api="blas"):
        found = upper_bounds(target, merged, domain, effort)
        lower, witness = lower_bound(
            target, merged, domain, found, seed=seed, restarts=restarts, steps=steps
        )
    parts = dict(found.parts)
    if claim is not None and claim.domain == domain:
        parts["claim"] = float(claim.bound)
    # The sound parts are never below lower; a false claim may be, and then it must not count.
    upper = min(bound for name, bound in parts.items() if name != "claim" or bound >= lower)
    return Certificate(domain, lower, upper, tuple(float(v) for v in witness), parts)


__all__ = ["Certificate", "Claim", "certify", "proved_error", "rule_for", "upper_bounds"]

"""Re-check a ticket from nothing but its seed, its mask and the target.

This module shares no code with anything that finds a ticket. Every kept weight is drawn anew, every
subset sum is recomputed in exact arithmetic (weights are float32 numbers, so a product of two is a
float64, and `math.fsum` rounds a sum of float64 correctly, hence its sign is exact), the network's
bounds are derived again, and the input that a certificate names is evaluated exactly.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth.domain import from_json
from slth.errors import BadInput
from slth.source import Role
from slth.target import Target
from slth.ticket import Claim, Ticket

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Check:
    """One statement of the ticket, whether it is true, and what was found."""

    statement: str
    true: bool
    found: str


@dataclass(frozen=True)
class Report:
    """All checks of one ticket: `ok` if every claim is true, `false` those that are not.

    met: whether the ticket claims to be what was asked for; a true claim may be a modest one.
    """

    checks: tuple[Check, ...]
    met: bool

    @property
    def ok(self) -> bool:
        return all(check.true for check in self.checks)

    @property
    def false(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.true)

    def to_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "met": self.met, "checks": [vars(check) for check in self.checks]}


def verify(ticket: Ticket, target: Target) -> Report:
    """Check everything that the ticket claims about this target; `.ok` says whether all is true."""
    checks = list(_identity(ticket, target))
    if all(check.true for check in checks):
        worst, unmet = _gadgets(ticket, target)
        checks += _claims(ticket, target, worst, unmet)
        if ticket.certificate is not None:
            checks += _certificate(ticket, target, worst)
    return Report(tuple(checks), ticket.claim.met)


def _identity(ticket: Ticket, target: Target) -> Iterator[Check]:
    claim, source = ticket.claim, ticket.source
    yield Check(
        "the claim is about this target",
        claim.target == target.fingerprint,
        f"sha256 {target.fingerprint[:16]}… against {str(claim.target)[:16]}…",
    )
    fits = source.dims == target.dims and source.bias == tuple(b is not None for b in target.biases)
    yield Check("the source has the target's architecture", fits, f"dims {source.dims}")
    wrong = _unreadable(claim, target)
    yield Check("the claim can be read and speaks of every layer", not wrong, wrong or "it does")


def _unreadable(claim: Claim, target: Target) -> str:
    """What in the claim is not of its kind: a file may hold anything. Empty where all is well."""
    layers = [v for v in (claim.achieved, claim.tolerances) if v is not None]
    if claim.achieved is None or any(len(v) != target.depth for v in layers):
        return f"numbers of other than {target.depth} layers"
    counts: tuple[Any, ...] = (claim.unmet, claim.kept_in, claim.kept_out)
    wrong: list[Any] = [v for v in counts if type(v) is not int]
    wrong += [v for v in (*claim.achieved, claim.error_bound) if type(v) not in (int, float)]
    positive = (claim.epsilon, claim.delta, *(claim.tolerances or ()))
    wrong += [v for v in positive if v is not None and not _positive(v)]
    wrong += [claim.delta] if claim.delta is not None and not wrong and claim.delta >= 1 else []
    if wrong:
        return f"{wrong[0]!r} for a number"
    if claim.halves not in ("both", "needed"):
        return f"halves {claim.halves!r}"
    if type(claim.failed) is not tuple:
        return f"failed hypotheses {claim.failed!r}"
    try:
        dimension = from_json(dict(claim.domain)).dimension
    except (TypeError, ValueError, OverflowError) as error:
        return f"domain: {error}"
    return "" if dimension == target.dims[0] else f"a domain of dimension {dimension}"


def _positive(value: Any) -> bool:
    return type(value) in (int, float) and sys.float_info.min < value < sys.float_info.max


def _gadgets(ticket: Ticket, target: Target) -> tuple[list[float], list[int]]:
    """For each layer the largest exact error of a gadget, rounded up, and how many miss the
    claimed tolerance."""
    worst, unmet = [], []
    for layer in range(ticket.source.pairs):
        claim = ticket.claim
        eta = math.inf if claim.tolerances is None else claim.tolerances[layer]
        outputs = ticket.source.dims[layer + 1]
        weights = target.augmented(layer)
        both = layer == 0 or claim.halves == "both"
        errors = np.zeros(weights.shape)
        missed = np.zeros(weights.shape, dtype=bool)
        for sign in (1, -1) if both else (1,):
            for gadget, products in _products(ticket, layer, sign):
                j, a = gadget % outputs, gadget // outputs
                if sign < 0 and a >= target.dims[layer]:
                    continue  # input "one" is never negative
                w = float(weights[j, a])
                residual = math.fsum([*products, -w])
                above = math.fsum([*products, -w, -residual]) * (1 if residual > 0 else -1) > 0
                size = abs(residual)
                errors[j, a] = max(errors[j, a], math.nextafter(size, math.inf) if above else size)
                if math.isfinite(eta):
                    side = 1 if residual > 0 else -1
                    over = math.fsum([*(side * p for p in products), -side * w, -eta]) > 0
                    missed[j, a] |= over
        worst.append(float(errors.max()))
        unmet.append(int(missed.sum()))
    return worst, unmet


def _products(ticket: Ticket, layer: int, sign: int) -> Iterator[tuple[int, list[float]]]:
    """Every gadget of the layer with its kept products uv whose in-weight u has this sign.

    A neuron with u > 0 answers to y ≥ 0 and one with u < 0 to y < 0, whichever half keeps it.
    """
    source, outputs = ticket.source, ticket.source.dims[layer + 1]
    gadgets, values = [], []
    for half, kept in enumerate(ticket.kept[layer]):
        gadget = kept.gadgets
        block = gadget // outputs
        one = block == source.dims[layer]
        u = np.empty(gadget.size)
        for role, part, output in ((Role.IN, ~one, block[~one]), (Role.BIAS, one, 0)):
            u[part] = source.entries(layer, role, half, block[part], output, kept.indices[part])
        v = source.entries(layer, Role.OUT, half, block, gadget % outputs, kept.indices)
        if not ((np.float32(u) == u).all() and (np.float32(v) == v).all()):
            raise BadInput("law", source.law, "weights that float32 holds exactly", "fix the law")
        keep = sign * u > 0
        gadgets.append(gadget[keep])
        values.append(u[keep] * v[keep])
    gadget = np.concatenate(gadgets)
    order = np.argsort(gadget, kind="stable")
    flat = np.concatenate(values)[order].tolist()
    ends = np.searchsorted(gadget[order], np.arange(source.blocks(layer) * outputs + 1)).tolist()
    for g, (first, last) in enumerate(pairwise(ends)):
        yield g, flat[first:last]


def _claims(
    ticket: Ticket, target: Target, worst: list[float], unmet: list[int]
) -> Iterator[Check]:
    from slth.certify.propagate import propagation

    claim = ticket.claim
    for layer, (found, claimed) in enumerate(zip(worst, claim.achieved, strict=True)):
        yield Check(
            f"layer {layer}: no weight is missed by more than {claimed!r}",
            found <= claimed,
            f"worst exact error {found!r}",
        )
    rule = propagation(target, from_json(dict(claim.domain)))
    if claim.epsilon is not None:
        total = rule.error_bound(claim.tolerances) if claim.tolerances is not None else math.inf
        close = total <= claim.epsilon * (1 + 1e-9)
        yield Check(f"the tolerances serve epsilon = {claim.epsilon}", close, f"{total!r}")
    yield Check(
        f"at most {claim.unmet} gadgets miss their tolerance",
        sum(unmet) <= claim.unmet,
        f"{sum(unmet)}",
    )
    yield _hypotheses(ticket, target)
    bound = rule.error_bound(worst)
    yield Check(
        f"error at most {claim.error_bound!r} by propagation",
        bound <= claim.error_bound * (1 + 1e-9),
        f"{bound!r}",
    )
    for name, claimed, found in (
        ("in", claim.kept_in, ticket.kept_in),
        ("out", claim.kept_out, ticket.kept_out),
    ):
        yield Check(f"{claimed} {name}-weights are kept", claimed == found, f"{found}")


def _hypotheses(ticket: Ticket, target: Target) -> Check:
    """Whether the claim names every hypothesis of its theorem that target and laws fail."""
    from slth.bounds import facts, law_failures, load

    claim = ticket.claim
    if claim.theorem is None:
        return Check("no theorem is cited", bool(claim.failed), "no hypotheses to check")
    statement = f"of its theorem's hypotheses on target and laws only {len(claim.failed)} fail"
    try:
        bound = load(claim.theorem)()
    except (BadInput, AttributeError, TypeError):
        return Check(statement, False, f"no theorem {claim.theorem!r}")
    failed = bound.hypotheses(facts(target, from_json(dict(claim.domain))))
    hidden = [f for f in failed + law_failures(ticket.source) if f not in claim.failed]
    return Check(statement, not hidden, hidden[0] if hidden else "no other")


def _certificate(ticket: Ticket, target: Target, worst: list[float]) -> Iterator[Check]:
    """The stored certificate: its upper bound derived again, its witness evaluated exactly.

    seed, restarts and steps say how the witness was found; whoever doubts it need not repeat that.
    """
    from slth.certify.bounds import upper_bounds
    from slth.certify.propagate import propagation
    from slth.certify.rational import error_at

    try:
        stored = dict(ticket.certificate or {})
        upper, lower = float(stored["upper"]), float(stored["lower"])
        domain = from_json(stored["domain"])
        witness = np.array(stored["witness"], dtype=np.float64)
        parts = {str(k): float(v) for k, v in dict(stored["parts"]).items()}
        if domain.dimension != target.dims[0] or witness.shape != target.dims[:1]:
            raise ValueError(f"not about inputs of dimension {target.dims[0]}")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        yield Check("the certificate can be read", False, f"{type(error).__name__}: {error}")
        return
    found = upper_bounds(target, ticket.effective, domain)
    bounds = {**found.parts, "propagation": propagation(target, domain).error_bound(worst)}
    name = min(bounds, key=lambda key: bounds[key])
    # An optimiser finds its multipliers, so another machine's bound may differ in late digits.
    yield Check(
        f"error at most {upper!r} by certificate",
        bounds[name] <= upper * (1 + 1e-6),
        f"{bounds[name]!r} ({name})",
    )
    claim = ticket.claim
    above = [upper, *parts.values()]
    if domain.to_json() == dict(claim.domain):
        above.append(claim.error_bound)
    low = min(above)
    yield Check(
        "no bound lies below the attack, and the least of the certificate is its upper",
        lower <= low and upper == min(parts.values(), default=upper),
        f"attack {lower!r}, least bound {low!r}",
    )
    inside = domain.contains(witness)
    reached = error_at(target, ticket.effective, witness) - found.doubt if inside else 0.0
    if found.doubt:
        reached = math.nextafter(reached, -math.inf)
    yield Check(
        f"an input with error {lower!r} exists",
        lower <= max(0.0, reached),
        f"{reached!r} at the witness" if inside else "the witness lies outside the domain",
    )

"""Re-check a layered ticket from nothing but its seed, its mask and the target.

Shares no code with anything that finds a ticket. Every kept weight is drawn anew; the network that
the stack computes is derived again, exactly (`slth.layered_effective`), and compared with the stack
itself, run neuron by neuron in exact integers, ReLU and all, at points of the claim's domain; then
the largest errors of a weight, the bounds and the certificate are derived again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth.certify.rational import Scaled, effective_output, scaled
from slth.domain import Ball, Domain, from_json
from slth.effective import Effective, weight_errors
from slth.errors import BadInput
from slth.layered_ticket import LayeredTicket
from slth.network import Network
from slth.target import Target
from slth.verify import Check, Report, _certificate, _unreadable

Floats = NDArray[np.float64]
PROBES = 8  # points at which the stack is run


def verify_layered(ticket: LayeredTicket, target: Target | Network) -> Report:
    """Check everything that the ticket claims about this target; `.ok` says whether all is true."""
    checks = list(_identity(ticket, target))
    if all(check.true for check in checks) and ticket.source.apart:
        from slth.layered_copies_verify import checks as of_copies

        probes = _probes(from_json(dict(ticket.claim.domain)))
        checks += of_copies(ticket, target, probes)
    elif all(check.true for check in checks):
        assert isinstance(target, Target)  # what _identity checked
        effective, check = _derived(ticket)
        checks.append(check)
        if effective is not None:
            domain = from_json(dict(ticket.claim.domain))
            checks.append(_runs_as(ticket, effective, domain))
            worst = [e.max() for e in weight_errors(effective, target, ticket.claim.halves)]
            checks += _claims(ticket, target, [float(e) for e in worst])
            if ticket.certificate is not None:
                checks += _certificate(ticket, target, [float(e) for e in worst])  # type: ignore[arg-type]
    return Report(tuple(checks), ticket.claim.met)


def _identity(ticket: LayeredTicket, target: Target | Network) -> Iterator[Check]:
    claim, source = ticket.claim, ticket.source
    yield Check(
        "the claim is about this target",
        claim.target == target.fingerprint,
        f"sha256 {target.fingerprint[:16]}… against {str(claim.target)[:16]}…",
    )
    fits = source.links == target.links and (source.apart or isinstance(target, Target))
    yield Check("the source's ends are the target's layers", fits, f"dims {source.dims}")
    wrong = _unreadable(claim, target)
    yield Check("the claim can be read and speaks of every layer", not wrong, wrong or "it does")


def _derived(ticket: LayeredTicket) -> tuple[Effective | None, Check]:
    """What the stack computes, and whether it computes a network of the target's shape."""
    statement = "the stack computes a network of the target's shape"
    try:
        effective = ticket.effective
    except BadInput as error:
        return None, Check(statement, False, f"{error.name}: {error.got}")
    exact = not any(part.any() for part in effective.slack)
    return effective, Check(statement, True, "exactly" if exact else "up to rounding")


def _runs_as(ticket: LayeredTicket, effective: Effective, domain: Domain) -> Check:
    """Whether the stack's own outputs are the derived network's, in exact integers."""
    far = 0.0
    for x in _probes(domain):
        ran, said = _output(ticket, x), effective_output(effective, x)
        gap = ran + Scaled(-said.integers, said.exponent)
        room = _room(effective, x)
        excess = [abs(int(v)) * 2.0**gap.exponent - room for v in gap.integers]
        far = max(far, *excess)
    statement = f"run neuron by neuron at {PROBES} points, the stack computes it"
    return Check(statement, far <= 0, f"{max(0.0, far)!r} apart")


def _probes(domain: Domain) -> list[Floats]:
    """Points of the domain with short binary digits, scattered: neurons should be on at some."""
    d = domain.dimension
    number = np.arange(PROBES)[:, None]
    steps = ((11 * np.arange(1, d + 1) * (2 * number + 1) + 7 * number) % 31 - 15) / 16
    if isinstance(domain, Ball):
        size = domain.radius * 2.0 ** -math.ceil(math.log2(d) / 2 + 1e-9)
        return list(size * steps)
    middle, half = domain.low / 2 + domain.high / 2, domain.high / 2 - domain.low / 2
    return [domain.project(middle + half * step) for step in steps]


def _output(ticket: LayeredTicket, x: Floats) -> Scaled:
    """The pruned stack at x `[d_0]`, exactly: every kept edge of every layer, in integers."""
    source, y = ticket.source, scaled(x)
    for t, (kept, bias) in enumerate(zip(ticket.kept, ticket.kept_bias, strict=True)):
        y = y.clipped(1) if t else y
        weights = scaled(source.entries(t, kept.gadgets, kept.indices))
        terms = weights.integers * y.integers[kept.indices]
        total = np.zeros(source.widths[t + 1], dtype=object)
        np.add.at(total, kept.gadgets, terms)
        out = Scaled(total, weights.exponent + y.exponent)
        if bias.size:
            vector = np.zeros(source.widths[t + 1])
            vector[bias] = source.bias_entries(t, bias)
            out = out + scaled(vector)
        y = out
    return y


def _room(effective: Effective, x: Floats) -> float:
    """How far rounding may have put the derived network's outputs; 0 where it is exact."""
    if not any(part.any() for part in effective.slack):
        return 0.0
    size, error = np.abs(x), np.zeros(x.size)
    layers = zip(
        effective.positive, effective.negative, effective.bias, effective.slack, strict=True
    )
    for p, q, b, slack in layers:
        weight = np.maximum(np.abs(p), np.abs(q)) + slack[:, :-1]
        error = weight @ error + slack[:, :-1] @ size + slack[:, -1]
        size = weight @ size + np.abs(b)
    return float(error.max() * (1 + 1e-9))


def _claims(ticket: LayeredTicket, target: Target, worst: list[float]) -> Iterator[Check]:
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
    unmet = _unmet(ticket, target)
    yield Check(
        f"at most {claim.unmet} weights miss their tolerance", unmet <= claim.unmet, f"{unmet}"
    )
    yield _hypotheses(ticket, target)
    bound = rule.error_bound(worst)
    yield Check(
        f"error at most {claim.error_bound!r} by propagation",
        bound <= claim.error_bound * (1 + 1e-9),
        f"{bound!r}",
    )
    for name, claimed_size, found_size in (
        ("even", claim.kept_in, ticket.kept_in),
        ("odd", claim.kept_out, ticket.kept_out),
    ):
        statement = f"{claimed_size} weights of {name} layers are kept"
        yield Check(statement, claimed_size == found_size, f"{found_size}")


def _unmet(ticket: LayeredTicket, target: Target) -> int:
    claim = ticket.claim
    if claim.tolerances is None:
        return 0
    errors = weight_errors(ticket.effective, target, claim.halves)
    return sum(int((e > eta).sum()) for e, eta in zip(errors, claim.tolerances, strict=True))


def _hypotheses(ticket: LayeredTicket, target: Target) -> Check:
    """Whether the claim names every hypothesis of its theorem that the target fails."""
    from slth.bounds import facts, load

    claim = ticket.claim
    if claim.theorem is None:
        return Check("no theorem is cited", bool(claim.failed), "no hypotheses to check")
    statement = f"of its theorem's hypotheses on the target only {len(claim.failed)} fail"
    try:
        bound: Any = load(claim.theorem)()
    except (BadInput, AttributeError, TypeError):
        return Check(statement, False, f"no theorem {claim.theorem!r}")
    failed = bound.hypotheses(facts(target, from_json(dict(claim.domain))))
    hidden = [f for f in failed if f not in claim.failed]
    return Check(statement, not hidden, hidden[0] if hidden else "no other")

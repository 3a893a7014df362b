"""Re-check a ticket whose copies are kept apart, from its seed, its mask and the target.

Every kept weight is drawn anew and the copies are derived from them (`slth.layered_copies`): the
largest error of a weight, the bounds and the certificate follow again. The derivation is tried on
the stack itself, run neuron by neuron with a bound on its rounding at points of the claim's domain:
its outputs must be the derived ones, and no farther from the target than claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth.bounds import facts
from slth.certify.rounding import ULP
from slth.chains import as_chain, evaluate, first_order, plain
from slth.domain import Domain, from_json
from slth.errors import BadInput
from slth.layered_certify import proved, run
from slth.layered_claims import failures, measured, served
from slth.layered_distance import distances, upper_bound
from slth.layered_ticket import LayeredTicket
from slth.network import Network
from slth.ticket import Claim
from slth.verify import Check
from slth.wiring import LIPSCHITZ

Floats = NDArray[np.float64]
CLOSE = 1 + 1e-6  # norms come from routines whose late digits differ between machines


def checks(ticket: LayeredTicket, target: Any, probes: list[Floats]) -> Iterator[Check]:
    """Everything that the ticket claims of this target; its identity has been checked."""
    try:
        network, activation = as_chain(target)
        _ = ticket.apart
    except BadInput as error:
        yield Check("the stack computes copies of the target", False, f"{error.name}: {error.got}")
        return
    same = ticket.source.activated == activation
    yield Check("the source has the target's activation", same, ticket.source.activation)
    domain = from_json(dict(ticket.claim.domain))
    found = measured(ticket, network)
    apart = max(_disagreement(ticket, x) for x in probes)
    statement = f"run neuron by neuron at {len(probes)} points, the stack computes them"
    yield Check(statement, apart <= 0, f"{max(0.0, apart)!r} apart")
    far = max(proved(network, ticket, x) for x in probes)
    statement = "and it stays within its bound there"
    yield Check(statement, far <= found.error_bound, f"{far!r} of {found.error_bound!r}")
    yield from _claims(ticket, found, network, domain)
    if ticket.certificate is not None:
        yield from _certificate(ticket, found, network)


def _disagreement(ticket: LayeredTicket, x: Floats) -> float:
    """By how much the stack's outputs at x differ from the derived copies', beyond what rounding
    and remainders allow; at most 0 where the derivation is right."""
    copies, (ran, doubt) = ticket.apart, run(ticket, x)
    p, q, slack = copies.slopes
    up, down, size = np.maximum(x, 0), np.minimum(x, 0), np.abs(x)
    lip, z = LIPSCHITZ[copies.activation.kind], p @ up + q @ down
    room = slack @ size + x.size * ULP * (np.maximum(np.abs(p), np.abs(q)) @ size)
    if copies.remainder is not None:
        room = room + copies.remainder @ size ** first_order(copies.activation).power
    for links, (value, loose) in zip((None, *copies.links[1:]), copies.offsets, strict=True):
        if links is not None:
            y = evaluate(copies.activation, z)
            terms = int(np.diff(links.indptr).max(initial=0)) + 8
            room = abs(links) @ (lip * room + terms * ULP * np.abs(y))
            z = links @ y
        z, room = z + value, room + loose + 4 * ULP * (np.abs(z) + np.abs(value))
    return float((np.abs(ran - z) - doubt - room * (1 + 1e-9)).max())


def _claims(
    ticket: LayeredTicket, found: Claim, target: Network, domain: Domain
) -> Iterator[Check]:
    claim = ticket.claim
    for layer, (worst, claimed) in enumerate(zip(found.achieved, claim.achieved, strict=True)):
        yield Check(
            f"layer {layer}: no weight of any copy is missed by more than {claimed!r}",
            worst <= claimed * (1 + 1e-9),
            f"worst error {worst!r}",
        )
    if claim.epsilon is not None:
        total = np.inf
        if claim.tolerances is not None:
            total = served(ticket.apart, target, domain, claim.tolerances)
        close = total <= claim.epsilon * (1 + 1e-9)
        yield Check(f"the tolerances serve epsilon = {claim.epsilon}", close, f"{total!r}")
    fewer = found.unmet <= claim.unmet
    yield Check(f"at most {claim.unmet} weights miss their tolerance", fewer, f"{found.unmet}")
    named = claim.theorem == "depth_plus_one"
    hidden = [f for f in failures(facts(plain(target), domain), ticket.source) if named]
    hidden = [f for f in hidden if f not in claim.failed]
    statement = f"of its theorem's hypotheses only {len(claim.failed)} fail"
    held = not hidden and (named or bool(claim.failed))
    yield Check(statement, held, hidden[0] if hidden else "no other")
    yield Check(
        f"error at most {claim.error_bound!r}",
        found.error_bound <= claim.error_bound * CLOSE,
        f"{found.error_bound!r}",
    )
    for name, said, kept in (
        ("even", claim.kept_in, found.kept_in),
        ("odd", claim.kept_out, found.kept_out),
    ):
        yield Check(f"{said} weights of {name} layers are kept", said == kept, f"{kept}")


def _certificate(ticket: LayeredTicket, found: Claim, target: Network) -> Iterator[Check]:
    """The stored certificate: its upper bound derived again, its witness run again."""
    try:
        stored = dict(ticket.certificate or {})
        upper, lower = float(stored["upper"]), float(stored["lower"])
        region = from_json(stored["domain"])
        witness = np.array(stored["witness"], dtype=np.float64)
        parts = {str(k): float(v) for k, v in dict(stored["parts"]).items()}
        if region.dimension != target.inputs or witness.shape != (target.inputs,):
            raise ValueError(f"not about inputs of dimension {target.inputs}")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        yield Check("the certificate can be read", False, f"{type(error).__name__}: {error}")
        return
    bound = found.error_bound
    if region.to_json() != dict(found.domain):
        bound = upper_bound(distances(ticket.apart, target, region))
    yield Check(f"error at most {upper!r} by certificate", bound <= upper * CLOSE, f"{bound!r}")
    least = min(parts.values(), default=upper)
    yield Check(
        "no bound lies below the attack, and the least of the certificate is its upper",
        lower <= least == upper,
        f"attack {lower!r}, least bound {least!r}",
    )
    inside = region.contains(witness)
    reached = proved(target, ticket, witness) if inside else 0.0
    yield Check(
        f"an input with error {lower!r} exists",
        lower <= reached * (1 + 1e-9),
        f"{reached!r} at the witness" if inside else "the witness lies outside the domain",
    )

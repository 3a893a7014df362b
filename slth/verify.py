"""Re-check a ticket from nothing but its seed, its mask and the target.

This module shares no code with anything that finds a ticket. Every kept weight is drawn anew, and
every subset sum is recomputed: weights are float32 numbers, so a product of two is a float64; a sum
of them in float64 comes with a bound on its rounding, and wherever that leaves open which error is
a layer's largest, or whether a tolerance is missed, `math.fsum` settles it (it rounds a sum of
float64 correctly, hence its sign is exact). The network's bounds are derived again, and the input
that a certificate names is evaluated exactly. The mask is read a few blocks at a time; a
certificate, which is about the network as a whole, needs the merged weights of all layers besides.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slth.assigned_source import AssignedSource
from slth.domain import from_json
from slth.errors import BadInput
from slth.kept import Run
from slth.network import Network
from slth.source import Role, Source
from slth.target import Target
from slth.target import wanted as wanted_weights
from slth.threads import in_order
from slth.ticket import Claim, Ticket

if TYPE_CHECKING:
    from slth.layered_ticket import LayeredTicket

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


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
        checks = [{**vars(check), "true": bool(check.true)} for check in self.checks]
        return {"ok": self.ok, "met": bool(self.met), "checks": checks}


def verify(ticket: Ticket | LayeredTicket, target: Target | Network) -> Report:
    """Check everything that the ticket claims about this target; `.ok` says whether all is true."""
    if not isinstance(ticket, Ticket):
        from slth.layered_verify import verify_layered

        return verify_layered(ticket, target)
    checks = list(_identity(ticket, target))
    if isinstance(ticket.source, AssignedSource):
        checks += _places(ticket.source)
    if all(check.true for check in checks):
        worst, unmet = _gadgets(ticket, target)
        checks.append(_frozen(ticket))
        checks += _claims(ticket, target, worst, unmet)
        if ticket.certificate is not None:
            checks += _certificate(ticket, target, worst)
    return Report(tuple(checks), ticket.claim.met)


def _identity(ticket: Ticket, target: Target | Network) -> Iterator[Check]:
    claim, source = ticket.claim, ticket.source
    yield Check(
        "the claim is about this target",
        claim.target == target.fingerprint,
        f"sha256 {target.fingerprint[:16]}… against {str(claim.target)[:16]}…",
    )
    wiring = source.wiring is None or source.wiring == target.wiring
    plain = source.wiring is not None or isinstance(target, Target)
    fits = source.links == target.links and wiring and plain
    fits = fits and all(
        has or not needs for has, needs in zip(source.bias, target.biased, strict=True)
    )
    yield Check("the source has the target's architecture", fits, f"dims {source.dims}")
    wrong = _unreadable(claim, target)
    yield Check("the claim can be read and speaks of every layer", not wrong, wrong or "it does")


def _places(source: AssignedSource) -> Iterator[Check]:
    """Whether it is a mask at all: a hidden neuron that served two slots would be two neurons.

    The places are a finder's work, so this looks at nothing else. An in-weight of the wrong sign
    would be no lie: `_products` goes by the sign itself.
    """
    for layer, places in enumerate(source.places):
        served = np.sort(places[places >= 0])
        twice = int((served[1:] == served[:-1]).sum())
        beyond = int((served >= source.plain.hidden(layer)).sum())
        yield Check(
            f"layer {layer}: no hidden neuron serves two inputs or halves",
            not twice and not beyond,
            f"{twice} twice, {beyond} outside the layer" if twice or beyond else "none does",
        )


def _unreadable(claim: Claim, target: Target | Network) -> str:
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
    return "" if dimension == target.inputs else f"a domain of dimension {dimension}"


def _positive(value: Any) -> bool:
    return type(value) in (int, float) and sys.float_info.min < value < sys.float_info.max


def _gadgets(ticket: Ticket, target: Target | Network) -> tuple[list[float], list[int]]:
    """For each layer the largest exact error of a gadget, rounded up, and how many miss the
    claimed tolerance."""
    source, claim = ticket.source, ticket.claim

    def of(at: tuple[int, Run]) -> tuple[int, float, int]:
        i, run = at
        eta = math.inf if claim.tolerances is None else claim.tolerances[i]
        return i, *_run(source, i, run, target, eta, signed[i] or claim.halves == "both")

    signed = target.signed

    worst, unmet = [0.0] * source.pairs, [0] * source.pairs
    everything = ((layer, run) for layer in range(source.pairs) for run in ticket.runs(layer))
    for i, largest, missed in in_order(of, everything):
        worst[i] = max(worst[i], largest)
        unmet[i] += missed
    return worst, unmet


def _run(
    source: Source, layer: int, run: Run, target: Target | Network, eta: float, both: bool
) -> tuple[float, int]:
    """The largest exact error of the run's gadgets, rounded up, and how many miss eta."""
    width = source.inputs(layer)
    weights = wanted_weights(target, layer, source.bias[layer], run.first, run.last)
    wanted = weights.T.ravel()
    blocks = run.first + np.arange(wanted.size) // source.outputs(layer)
    largest, missed = 0.0, np.zeros(wanted.size, dtype=bool)
    for sign in (1, -1) if both and not source.linear[layer] else (1,):
        gadget, products = _products(source, layer, run, sign)
        # input "one" is never negative
        counted = blocks < width if sign < 0 else np.ones(wanted.size, dtype=bool)
        low, high = _between(gadget, products, wanted)
        missed |= counted & (low > eta)
        unsure = counted & (low <= eta) & (high > eta)
        top = counted & (high > largest) & (high >= low[counted].max(initial=0.0))
        for g, terms in _single(gadget, products, np.flatnonzero(unsure | top)):
            error, side = _exact(terms, float(wanted[g]))
            largest = max(largest, error)
            missed[g] |= math.fsum([*(side * p for p in terms), -side * wanted[g], -eta]) > 0
    return largest, int(missed.sum())


def _frozen(ticket: Ticket) -> Check:
    """Weights that do not exist are not kept, and locked ones are, where their neuron is."""
    source, absent, dropped = ticket.source, 0, 0
    statement = "the mask keeps what is locked and nothing that does not exist"
    if source.present == 1 and source.locked == 0:
        return Check(statement, True, "every weight exists, none is locked")
    for layer in range(source.pairs):
        outputs = source.outputs(layer)
        for run in ticket.runs(layer):
            for half, kept in enumerate(run.halves):
                gadget = kept.gadgets
                block, output = run.first + gadget // outputs, gadget % outputs
                v = source.entries(layer, Role.OUT, half, block, output, kept.indices)
                absent += int((v == 0).sum())
                neuron = block * source.n[layer] + kept.indices
                used, count = np.unique(
                    neuron[source.is_locked(layer, half, block, output, kept.indices)],
                    return_counts=True,
                )
                alive = np.unique(neuron)
                every = source.is_locked(
                    layer, half, alive[:, None] // source.n[layer], np.arange(outputs),
                    alive[:, None] % source.n[layer],
                ).reshape(alive.size, outputs).sum(axis=1)  # fmt: skip
                have = np.zeros(alive.size, dtype=np.int64)
                have[np.searchsorted(alive, used)] = count
                dropped += int((every - have).sum())
    return Check(statement, not (absent or dropped), f"{absent} absent kept, {dropped} locked not")


def _between(gadget: Indices, products: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """Bounds on |Σ products − wanted| of every gadget, `[gadgets]` each.

    A float64 sum of k numbers, in any order, is off by at most (k − 1)·2^−53/(1 − k·2^−53) times
    the sum of their sizes; twice that and three terms more pay for the rounding of the bounds.
    """
    size = wanted.size
    found = np.abs(np.bincount(gadget, weights=products, minlength=size) - wanted)
    sizes = np.bincount(gadget, weights=np.abs(products), minlength=size) + np.abs(wanted)
    doubt = (np.bincount(gadget, minlength=size) + 4) * 2.0**-52 * sizes
    return found - doubt, found + doubt


def _exact(terms: list[float], wanted: float) -> tuple[float, int]:
    """|Σ terms − wanted| rounded up, and the sign of Σ terms − wanted."""
    residual = math.fsum([*terms, -wanted])
    side = 1 if residual > 0 else -1
    above = math.fsum([*terms, -wanted, -residual]) * side > 0
    return math.nextafter(abs(residual), math.inf) if above else abs(residual), side


def _single(gadget: Indices, products: Floats, asked: Indices) -> Iterator[tuple[int, list[float]]]:
    """The gadgets asked for, ascending, each with its products."""
    chosen = np.isin(gadget, asked)
    gadget, products = gadget[chosen], products[chosen]
    order = np.argsort(gadget, kind="stable")
    ends = np.searchsorted(gadget[order], [asked, asked + 1]).T.tolist()
    flat = products[order].tolist()
    for g, (first, last) in zip(asked.tolist(), ends, strict=True):
        yield g, flat[first:last]


def _products(source: Source, layer: int, run: Run, sign: int) -> tuple[Indices, Floats]:
    """The kept products uv of a run whose in-weight u has this sign, and the gadget of each.

    A neuron with u > 0 answers to y ≥ 0 and one with u < 0 to y < 0, whichever half keeps it.
    """
    outputs = source.outputs(layer)
    gadgets, values = [], []
    for half, kept in enumerate(run.halves):
        gadget = kept.gadgets
        block = run.first + gadget // outputs
        one = block == source.inputs(layer)
        u = np.empty(gadget.size)
        for role, part, output in ((Role.IN, ~one, block[~one]), (Role.BIAS, one, 0)):
            u[part] = source.entries(layer, role, half, block[part], output, kept.indices[part])
        v = source.entries(layer, Role.OUT, half, block, gadget % outputs, kept.indices)
        if not ((np.float32(u) == u).all() and (np.float32(v) == v).all()):
            raise BadInput("law", source.law, "weights that float32 holds exactly", "fix the law")
        keep = sign * u > 0 if not source.linear[layer] else np.ones(u.size, dtype=bool)
        gadgets.append(gadget[keep])
        values.append(u[keep] * v[keep])
    return np.concatenate(gadgets), np.concatenate(values)


def _claims(
    ticket: Ticket, target: Target | Network, worst: list[float], unmet: list[int]
) -> Iterator[Check]:
    from slth.certify import rule_for

    claim = ticket.claim
    for layer, (found, claimed) in enumerate(zip(worst, claim.achieved, strict=True)):
        yield Check(
            f"layer {layer}: no weight is missed by more than {claimed!r}",
            found <= claimed,
            f"worst exact error {found!r}",
        )
    rule = rule_for(target, from_json(dict(claim.domain)))
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


def _hypotheses(ticket: Ticket, target: Target | Network) -> Check:
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


def _certificate(ticket: Ticket, target: Target | Network, worst: list[float]) -> Iterator[Check]:
    """The stored certificate: its upper bound derived again, its witness evaluated exactly.

    seed, restarts and steps say how the witness was found; whoever doubts it need not repeat that.
    """
    from slth.certify import proved_error, rule_for, upper_bounds

    try:
        stored = dict(ticket.certificate or {})
        upper, lower = float(stored["upper"]), float(stored["lower"])
        domain = from_json(stored["domain"])
        witness = np.array(stored["witness"], dtype=np.float64)
        parts = {str(k): float(v) for k, v in dict(stored["parts"]).items()}
        if domain.dimension != target.inputs or witness.shape != (target.inputs,):
            raise ValueError(f"not about inputs of dimension {target.inputs}")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        yield Check("the certificate can be read", False, f"{type(error).__name__}: {error}")
        return
    found = upper_bounds(target, ticket.effective, domain)
    bounds = {**found.parts, "propagation": rule_for(target, domain).error_bound(worst)}
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
    reached = proved_error(target, ticket.effective, witness, found) if inside else 0.0
    yield Check(
        f"an input with error {lower!r} exists",
        lower <= max(0.0, reached),
        f"{reached!r} at the witness" if inside else "the witness lies outside the domain",
    )

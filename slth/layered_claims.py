"""What a ticket whose copies are kept apart says of itself, from its mask alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slth.bounds import TargetClass
from slth.bounds.depth_plus_one import DepthPlusOne
from slth.certify.rounding import up
from slth.chain_inputs import layer_inputs
from slth.chains import as_chain, first_order
from slth.domain import Domain, from_json
from slth.laws import Uniform
from slth.layered import LayeredSource
from slth.layered_copies import Copies
from slth.layered_distance import distances, loads, upper_bound, weight_errors
from slth.network import Network
from slth.ticket import Claim
from slth.wiring import Activation

if TYPE_CHECKING:
    from slth.layered_ticket import LayeredTicket
    from slth.target import Target


def measured(ticket: LayeredTicket, target: Target | Network) -> Claim:
    """The claim with the numbers of the mask: the largest error of a weight of any copy in each
    layer, how many miss their tolerance, the bound on the network's error, and what is kept."""
    network, _ = as_chain(target)
    claim = ticket.claim
    errors = weight_errors(ticket.apart, network)
    etas = claim.tolerances or (float("inf"),) * len(errors)
    return replace(
        claim,
        achieved=tuple(float(e.max(initial=0.0)) for e in errors),
        error_bound=upper_bound(distances(ticket.apart, network, from_json(dict(claim.domain)))),
        unmet=sum(int((e > eta).sum()) for e, eta in zip(errors, etas, strict=True)),
        kept_in=ticket.kept_in,
        kept_out=ticket.kept_out,
    )


def served(copies: Copies, target: Network, domain: Domain, etas: tuple[float, ...]) -> float:
    """What errors of at most η a weight can make of the network's error, remainders left out:
    Σ_i load_i η_i (Σ|y| + 1), with a one where the layer has a bias."""
    total = 0.0
    layers = zip(loads(copies), etas, layer_inputs(target, domain), strict=True)
    for i, (load, eta, entering) in enumerate(layers):
        every = entering.total + ones_in(target, copies.activation, i)
        total = up(total + load * eta * every, 4)
    return total


def ones_in(target: Network, activation: Activation, i: int) -> int:
    """1 where layer i has a subset sum for a bias, or for taking off φ(0) Σ v; else 0."""
    return int(target.biased[i] or (i == 0 and first_order(activation).value != 0))


def failures(constants: TargetClass, source: LayeredSource) -> list[str]:
    """The hypotheses of the theorem that target and source fail."""
    failed = DepthPlusOne().hypotheses(constants)
    if source.activation != "relu":
        failed.append(f"The theorem's activation is ReLU; this target has {source.activation}.")
    if source.law != Uniform():
        got = source.law.to_json()
        failed.append(f"The theorem's weights are U[-1, 1]; the source's are {got}.")
    scaled = {s for s in source.scales if s != 1}
    if scaled:
        times = ", ".join(f"{s:g}" for s in sorted(scaled))
        failed.append(
            f"The theorem's weights are U[-1, 1]; layers of this source are times {times}."
        )
    return failed

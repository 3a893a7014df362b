"""What every gadget construction promises, and random targets to hold it to."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from slth.certify import certify
from slth.construct._gadgets import GadgetConstruction
from slth.domain import Ball
from slth.source import Source
from slth.target import Target
from slth.ticket import Ticket
from slth.verify import verify


def random_target(seed: int, dims: tuple[int, ...] = (3, 4, 2), bias: bool = True) -> Target:
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-1, 1, (b, a)) / np.sqrt(a) for a, b in pairwise(dims)]
    biases = [rng.uniform(-0.5, 0.5, b) if bias else None for b in dims[1:]]
    return Target(tuple(weights), tuple(biases))


def mirrored(target: Target) -> Target:
    """Another target of the same class: every weight negated."""
    biases = tuple(None if b is None else -b for b in target.biases)
    return Target(tuple(-w for w in target.weights), biases)


def check_met(make: GadgetConstruction, target: Target, source: Source) -> Ticket:
    """A ticket as asked for: every gadget, drawn anew, within its tolerance on both halves; the
    file's own check; lower ≤ upper ≤ claim ≤ ε."""
    ticket = make.build(target, source)
    claim = ticket.claim
    assert claim.met
    assert claim.tolerances is not None
    for layer, eta in enumerate(claim.tolerances):
        for half, sums in enumerate(slopes(ticket, layer)):
            wanted = target.augmented(layer)
            if half:  # input "one" is never negative
                wanted, sums = target.weights[layer], sums[:, : target.dims[layer]]
            assert np.abs(sums - wanted).max() <= min(eta, claim.achieved[layer]) + 1e-13
    assert verify(ticket, target).ok
    found = certify(target, ticket, Ball(1.0, target.dims[0]), restarts=8, steps=40, effort=0.2)
    assert 0 < found.lower <= found.upper
    assert found.lower <= claim.error_bound
    if make.epsilon is not None:
        assert claim.error_bound <= make.epsilon
    return ticket


def slopes(ticket: Ticket, layer: int) -> list[np.ndarray]:
    """For y ≥ 0 and for y < 0 what the kept weights add up to, `[outputs, blocks]`, from the whole
    dense matrices and masks of the source."""
    source = ticket.source
    into, out, bias = source.in_matrix(layer), source.out_matrix(layer), source.bias_vector(layer)
    in_mask, bias_mask, out_mask = ticket._masks(layer)
    first = into * in_mask
    if bias is not None:
        first = np.column_stack([first, bias * bias_mask])
    second = out * out_mask
    return [second @ np.maximum(first, 0), second @ np.minimum(first, 0)]


def check_reproducible(make: GadgetConstruction, target: Target, n: int) -> None:
    """The same seed, the same ticket; another seed, another."""

    def indices(seed: int) -> list[list[int]]:
        ticket = make.build(target, make.source_for(target, seed, n))
        return [k.indices.tolist() for pair in ticket.kept for k in pair]

    assert indices(1) == indices(1)
    assert indices(1) != indices(2)


def check_blind(make: GadgetConstruction, target: Target, n: int | None = None) -> None:
    """The source knows the class, not the weights (rule 2): one for every target of the class."""
    assert make.source_for(target, 5, n) == make.source_for(mirrored(target), 5, n)
    assert make.source_for(target, 5, n) != make.source_for(target, 6, n)


def check_narrow(make: GadgetConstruction, target: Target, n: int) -> None:
    """Too narrow a source is a result: the claim says by how much, and what it says is true."""
    ticket = make.build(target, make.source_for(target, 1, n))
    assert ticket.claim.unmet > 0
    assert not ticket.claim.met
    assert verify(ticket, target).ok


def check_on_inputs(ticket: Ticket, target: Target, x: np.ndarray) -> float:
    """The largest error on inputs `[batch, d]` of the domain, which the claim bounds."""
    gap = np.linalg.norm(ticket(x) - target(x), axis=1).max()
    assert 0 < gap <= ticket.claim.error_bound
    return float(gap)


def needed(meets: Callable[[int], bool], most: int) -> int:
    """The least n that meets, by bisection: sources are nested, and what n holds n + 1 does."""
    low, high = 0, most
    assert meets(most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if meets(middle) else (middle, high)
    return high

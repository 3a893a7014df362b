"""Structured tickets: one set of neurons a block and half for all outputs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from torch import nn

from slth.construct.fixed_size import FixedSize
from slth.construct.orseau import Orseau
from slth.construct.pensia import Pensia
from slth.construct.structured import Structured
from slth.errors import BadInput
from slth.network import Network
from slth.subsetsum import Problem
from slth.subsetsum.exhaustive import Exhaustive
from slth.target import Target
from slth.ticket import Ticket
from slth.verify import verify
from slth.wiring import Activation, Affine, Flatten, Wiring
from tests import gadget_contract as contract
from tests.gadget_contract import random_target


def check_structured(ticket: Ticket) -> None:
    """All outputs of a block keep the same neurons, so none of those kept is pruned further."""
    source = ticket.source
    for layer, pair in enumerate(ticket.kept):
        outputs = source.outputs(layer)
        for kept in pair:
            for block in range(source.blocks(layer)):
                ends = kept.indptr[block * outputs : (block + 1) * outputs + 1]
                sets = {tuple(kept.indices[a:b]) for a, b in pairwise(ends)}
                assert len(sets) == 1
    neurons = [sum(half[0].size for half in used) for used in ticket.used]
    assert ticket.kept_in == sum(neurons)
    assert ticket.kept_out == sum(
        size * source.outputs(layer) for layer, size in enumerate(neurons)
    )


@pytest.mark.parametrize("dims", [(3, 1), (3, 2), (2, 3, 2), (2, 4, 1)], ids=str)
def test_every_gadget_is_within_its_tolerance_and_the_mask_is_structured(dims) -> None:  # type: ignore[no-untyped-def]
    target = random_target(0, dims)
    make = Structured(tolerance=0.05, limit=34)
    contract.check_blind(make, target, 100)
    ticket = contract.check_met(make, target, make.source_for(target, 3, 100))
    check_structured(ticket)
    x = np.random.default_rng(0).normal(size=(2000, dims[0]))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    contract.check_on_inputs(ticket, target, x)
    even = [m for m in ticket.compact() if isinstance(m, nn.Linear)][1::2]
    assert all((layer.weight != 0).all() for layer in even)  # as dense as it is small
    loose = Pensia(tolerance=0.05).build(target, ticket.source).compact()
    even = [m for m in loose if isinstance(m, nn.Linear)][1::2]
    assert all((layer.weight != 0).all() for layer in even) == (dims == (3, 1))


def test_it_is_the_best_set_of_all() -> None:
    target = random_target(1, (2, 3), bias=False)
    make = Structured(limit=12)
    source = make.source_for(target, 5, 40)
    ticket = make.build(target, source)
    check_structured(ticket)
    for half in (0, 1):
        u, v = source.in_weights(0, half), source.out_weights(0, half)
        for a in range(2):
            right = np.flatnonzero((u[a] > 0) == (half == 0))[:12]
            vectors = (u[a] * v[a])[:, right].T
            best = Exhaustive()(Problem(vectors[None], target.weights[0][:, a][None]))
            kept = ticket.kept[0][half]
            found = kept.indices[kept.indptr[3 * a] : kept.indptr[3 * a + 1]]
            assert found.tolist() == right[best.mask[0]].tolist()


def test_a_zero_weight_does_not_free_a_neuron_but_a_zero_column_does() -> None:
    target = Target((np.array([[0.0, 0.0], [0.4, 0.0]]),), (None,))
    make = Structured(tolerance=0.02, limit=34)
    ticket = contract.check_met(make, target, make.source_for(target, 1, 100))
    check_structured(ticket)
    for kept in ticket.kept[0]:
        assert (kept.counts > 0).tolist() == [True, True, False, False]


def test_more_outputs_than_four_are_answered_as_well_as_can_be() -> None:
    target = random_target(2, (2, 6), bias=False)
    make = Structured(tolerance=0.01)
    ticket = make.build(target, make.source_for(target, 1, 60))
    check_structured(ticket)
    assert ticket.claim.unmet > 0
    assert verify(ticket, target).ok
    empty = np.abs(target.weights[0]).max()
    assert ticket.claim.achieved[0] < empty  # better than nothing


def test_of_a_convolution_whole_filters_stay_or_go() -> None:
    """And the constructions of sizes and intervals serve one as well: a gadget a tap."""
    rng = np.random.default_rng(8)
    kernel = rng.uniform(-0.3, 0.3, (1, 2, 2, 2))
    steps = (Affine(0, 0, 2, 1, (2, 2)), Activation(1, "relu"), Flatten(2), Affine(3, 1, 4, 2))
    wiring = Wiring((2, 3, 3), steps)
    target = Network(wiring, (kernel, rng.uniform(-0.3, 0.3, (2, 4))), (None, None))
    ticket = Structured(tolerance=0.1, limit=34)
    found = ticket.build(target, ticket.source_for(target, 1, 90))
    check_structured(found)  # four taps of the filter keep the same neurons
    assert found.claim.met
    assert verify(found, target).ok
    for make, n in ((FixedSize(tolerance=0.05), 60), (Orseau(tolerance=0.05), 600)):
        other = make.build(target, make.source_for(target, 1, n))
        assert other.claim.met
        assert verify(other, target).ok


def test_it_is_reproducible_and_too_narrow_a_source_is_a_result() -> None:
    target = random_target(3)
    contract.check_reproducible(Structured(tolerance=0.1), target, 60)
    contract.check_narrow(Structured(tolerance=0.02), target, 12)
    assert Structured().build(target, Structured().source_for(target, 1, 20)).claim.failed == (
        "No theorem is cited for this construction.",
    )


def test_what_is_needed_grows_with_the_number_of_outputs() -> None:
    """Usable neurons until half of 24 columns are met, over d log2(1/η): what d = 1 measures
    predicts d = 2 and 3, and another η, within a factor of two."""
    rng = np.random.default_rng(6)
    ratio = {}
    for d, eta in ((1, 0.05), (2, 0.05), (3, 0.1), (1, 0.005)):
        target = Target((rng.uniform(-0.5, 0.5, (d, 24)),), (None,))
        source = Structured().source_for(target, 1, 200)
        for limit in range(2, 41, 2):
            ticket = Structured(tolerance=eta, limit=limit).build(target, source)
            gap = np.abs(ticket.effective.positive[0] - target.weights[0]).max(axis=0)
            if (gap <= eta).sum() >= 12:
                break
        ratio[d, eta] = limit / (d * np.log2(1 / eta))
    assert all(ratio[1, 0.05] / 2 < r < 2 * ratio[1, 0.05] for r in ratio.values())


@pytest.mark.parametrize("limit", [0, 41])
def test_bad_requests_are_refused(limit: int) -> None:
    with pytest.raises(BadInput, match="remedy: "):
        Structured(limit=limit)
    with pytest.raises(BadInput, match="give n"):
        Structured(epsilon=0.1, delta=0.1).source_for(random_target(0), 0)

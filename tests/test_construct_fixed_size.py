"""Tickets of one density: exactly k in every gadget, and the search by size behind them."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from slth.bounds.fixed_size import entropy
from slth.construct._by_size import Plan, nearest_of_size, plan
from slth.construct.fixed_size import FixedSize
from slth.construct.malach import Malach
from slth.errors import BadInput
from slth.nets import digits
from slth.source import Source
from slth.subsetsum import Problem
from slth.subsetsum.exactly_k import ExactlyK
from slth.target import Target
from slth.ticket import Ticket
from slth.verify import verify
from tests import gadget_contract as contract
from tests.gadget_contract import random_target

# -- subsets by size -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 7, 11])
def test_the_nearest_of_a_size_is_that_of_all_of_them(n: int) -> None:
    """Dyadic values, whose sums are exact, against every subset of the size."""
    rng = np.random.default_rng(n)
    values = rng.integers(1, 1 << 20, (6, n)) / 2.0**20 * rng.choice([-1, 1], (6, n))
    targets = rng.integers(-(1 << 20), 1 << 20, 6) / 2.0**20
    for k in range(1, n + 1):
        mask, distance = nearest_of_size(values, targets, k, 1 << 16, -1.0)
        assert (mask.sum(axis=1) == k).all()
        for row in range(6):
            best = min(abs(sum(c) - targets[row]) for c in combinations(values[row], k))
            assert distance[row] == best == abs(values[row][mask[row]].sum() - targets[row])


def test_a_solver_that_shares_no_code_agrees() -> None:
    rng = np.random.default_rng(3)
    values, targets = rng.uniform(-1, 1, (8, 26)), rng.uniform(-1, 1, 8)
    for k in (2, 5, 13, 20):
        mask, distance = nearest_of_size(values, targets, k, 1 << 16, -1.0)
        known = ExactlyK(k)(Problem(values, targets))
        np.testing.assert_allclose(distance, known.error, atol=1e-14)
        assert (mask == known.mask).all()


def test_where_the_budget_is_short_the_size_is_kept_and_the_window_is_best() -> None:
    rng = np.random.default_rng(4)
    values, targets = rng.uniform(-1, 1, (5, 300)), rng.uniform(-1, 1, 5)
    for k in (1, 2, 3, 6, 40, 150, 298, 300):
        mask, distance = nearest_of_size(values, targets, k, 1 << 9, -1.0)
        assert (mask.sum(axis=1) == k).all()
        np.testing.assert_allclose(
            np.abs((values * mask).sum(axis=1) - targets), distance, atol=1e-11
        )
        if 3 < k < 290:
            assert np.median(distance) < 1e-3
    found = nearest_of_size(values, targets, 150, 1 << 9, 0.01)[1]
    assert (found <= 0.01).all()  # enough is enough, and is found


def test_the_plan_is_the_best_within_the_budget() -> None:
    """Against every window and number inside, counted anew."""

    def sums(window: int, inside: int) -> int:
        right = window - window // 2
        sizes = range(max(0, inside - window // 2), min(inside, right) + 1)
        return sum(math.comb(right, size) for size in sizes)

    for values, k, budget in ((30, 10, 64), (30, 25, 64), (50, 3, 1 << 12), (12, 6, 1 << 16)):
        every = [
            (math.comb(window, inside), -window, window, inside)
            for window in range(values + 1)
            for inside in range(k + 1)
            if inside <= window and k - inside <= values - window and sums(window, inside) <= budget
        ]
        assert plan(values, k, budget).inside == max(every)[3]
        assert math.comb(*vars(plan(values, k, budget)).values()) == max(every)[0]
    assert plan(12, 6, 1 << 16) == Plan(12, 6)


# -- tickets ---------------------------------------------------------------------------------------


def check_sizes(make: FixedSize, ticket: Ticket) -> None:
    """Every gadget keeps exactly as many as its block's usable neurons say."""
    source = ticket.source
    for layer, pair in enumerate(ticket.kept):
        for half, kept in enumerate(pair):
            u = source.in_weights(layer, half)
            usable = ((u > 0) if half == 0 else (u < 0)).sum(axis=1)
            counts = kept.counts.reshape(source.blocks(layer), -1)
            for block in range(source.blocks(layer) - (half and source.bias[layer])):
                assert set(counts[block]) == {make.size(int(usable[block]))}


def test_the_size_is_the_density_of_the_usable_neurons_rounded_and_at_least_one() -> None:
    sizes = [FixedSize(density=0.25).size(m) for m in (0, 1, 2, 5, 6, 40, 41, 42)]
    assert sizes == [0, 1, 1, 1, 2, 10, 10, 11]
    assert [FixedSize(density=0.5).size(m) for m in (1, 7, 8)] == [1, 4, 4]


CASES = [(0.5, 48), (0.25, 60), (0.1, 100), (0.02, 400)]


@pytest.mark.parametrize(("density", "n"), CASES)
def test_every_gadget_keeps_exactly_k_and_is_within_its_tolerance(density, n) -> None:  # type: ignore[no-untyped-def]
    target = random_target(0)
    make = FixedSize(epsilon=0.1, density=density)
    contract.check_blind(make, target, n)
    ticket = contract.check_met(make, target, make.source_for(target, 3, n))
    check_sizes(make, ticket)
    x = np.random.default_rng(0).normal(size=(2000, 3))
    contract.check_on_inputs(ticket, target, x / np.linalg.norm(x, axis=1, keepdims=True))
    assert ticket.claim.theorem == "fixed_size"
    assert [f for f in ticket.claim.failed if "constant that is not known" in f]


def test_without_a_tolerance_it_is_the_best_of_the_size() -> None:
    target = random_target(1, (2, 2))
    make = FixedSize(density=0.3)
    source = make.source_for(target, 2, 30)
    ticket = make.build(target, source)
    check_sizes(make, ticket)
    for half in (0, 1):
        u, v = source.in_weights(0, half), source.out_weights(0, half)
        for a, j in np.ndindex(2, 2):
            values = np.where((u[a] > 0) == (half == 0), u[a] * v[a, j], 0.0)
            k = make.size(int(np.count_nonzero(values)))
            known = ExactlyK(k)(Problem(values[None], target.weights[0][j, a : a + 1]))
            kept = ticket.kept[0][half]
            g = 2 * a + j
            found = kept.indices[kept.indptr[g] : kept.indptr[g + 1]]
            assert abs(values[found].sum() - target.weights[0][j, a]) <= known.error[0] + 1e-14


def test_one_value_is_malachs_gadget_by_the_product() -> None:
    target = random_target(2)
    make, malach = FixedSize(density=1e-6), Malach(match="product")
    source = make.source_for(target, 1, 800)
    a, b = make.build(target, source), malach.build(target, source)
    for x, y in zip(a.kept, b.kept, strict=True):
        for i, j in zip(x, y, strict=True):
            # but for weights nearer to zero than to any product, for which Malach keeps none
            assert (np.isin(np.flatnonzero(j.counts), np.flatnonzero(i.counts))).all()
            assert i.indices[j.counts[i.gadgets] > 0].tolist() == j.indices.tolist()


def test_zero_weights_keep_as_many_as_all_others() -> None:
    target = Target((np.array([[0.0, 0.3]]),), (None,))
    make = FixedSize(tolerance=0.01)
    ticket = contract.check_met(make, target, make.source_for(target, 1, 60))
    check_sizes(make, ticket)


def test_it_is_reproducible_and_too_narrow_a_source_is_a_result() -> None:
    target = random_target(3)
    contract.check_reproducible(FixedSize(epsilon=0.1), target, 60)
    contract.check_reproducible(FixedSize(), target, 40)
    contract.check_narrow(FixedSize(epsilon=0.1), target, 14)
    one = Target((np.array([[0.7]]),), (None,))
    make = FixedSize(tolerance=0.1)
    idle = next(
        s
        for s in (Source((1, 1), 2, False, seed) for seed in range(100))
        if (s.in_weights(0, 0) < 0).all()
    )
    ticket = make.build(one, idle)  # half 0 has no usable neuron at all
    assert ticket.kept[0][0].counts.tolist() == [0]
    assert not ticket.claim.met
    assert verify(ticket, one).ok


@pytest.mark.parametrize("load", [digits.load, digits.load_untouched])
def test_trained_targets(load) -> None:  # type: ignore[no-untyped-def]
    target = load()
    epsilon = 0.05 * float(np.prod([np.linalg.norm(w, 2) for w in target.weights]))
    make = FixedSize(epsilon=epsilon, density=0.2)
    ticket = make.build(target, make.source_for(target, 1, 100))
    assert ticket.claim.met
    assert verify(ticket, target).ok
    check_sizes(make, ticket)
    assert contract.check_on_inputs(ticket, target, digits.inputs()[0]) <= epsilon


def test_what_is_needed_follows_the_entropy() -> None:
    """Half of 24 single weights met, at m = n/2 usable neurons: m H2(γ) − log2(γ m/η) is the same
    number for all densities and tolerances, so its mean predicts m within a factor of two."""
    rng = np.random.default_rng(5)
    target = Target((rng.uniform(-1, 1, (1, 24)),), (None,))
    found = []
    for density in (0.5, 0.1, 0.02):
        for tolerance in (0.02, 0.002):
            make = FixedSize(tolerance=tolerance, density=density)
            for n in np.unique(np.geomspace(4, 3000, 36).astype(int)).tolist():
                unmet = make.build(target, make.source_for(target, 1, n)).claim.unmet
                if unmet <= 12:
                    break
            found.append((density, tolerance, n / 2))
    bits = [m * entropy(g) - math.log2(max(1.0, g * m) / eta) for g, eta, m in found]
    for g, eta, m in found:
        grid = np.geomspace(2, 3000, 2000)
        have = grid * entropy(g) - np.log2(np.maximum(1.0, g * grid) / eta)
        predicted = grid[np.searchsorted(have, np.mean(bits))]
        assert m / 2 < predicted < 2 * m
    narrow, wide = found[0][2], found[4][2]  # of the densest and the sparsest at one tolerance
    assert wide > 3 * narrow


@pytest.mark.parametrize(
    "make",
    [
        lambda t: FixedSize(density=0.0),
        lambda t: FixedSize(density=0.6),
        lambda t: FixedSize(density=float("nan")),
        lambda t: FixedSize(budget=1),
        lambda t: FixedSize(epsilon=0.1, delta=0.1),
        lambda t: FixedSize(epsilon=0.1).source_for(t, 0),
        lambda t: FixedSize().build(t, FixedSize().source_for(t, 0, 1 << 17)),
    ],
)
def test_bad_requests_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match="remedy: "):
        make(random_target(0))

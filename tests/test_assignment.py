"""Assignments of neurons to inputs: valid, as many as can be, by which neurons are good alone."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from slth.assignment import Assignment, Good, assign, good_slots
from slth.errors import BadInput


def is_good(u: np.ndarray, neuron: int, slot: int, least: float) -> bool:
    value = u[neuron, slot // 2]
    return bool(value >= least if slot % 2 == 0 else value <= -least)


def most(u: np.ndarray, each: int, least: float) -> int:
    """How many neurons can be assigned: SciPy's matching, every slot taken `each` times."""
    neurons, slots = len(u), 2 * u.shape[1]
    edges = np.zeros((neurons, slots * each))
    for k, s in product(range(neurons), range(slots)):
        edges[k, s * each : (s + 1) * each] = is_good(u, k, s, least)
    if not edges.size:
        return 0
    return int((maximum_bipartite_matching(csr_matrix(edges), perm_type="column") >= 0).sum())


def check(found: Assignment, u: np.ndarray, each: int, least: float) -> None:
    """Every neuron that serves a slot is good for it, and the slots are short of what they say."""
    served = np.flatnonzero(found.slot >= 0)
    assert all(is_good(u, k, found.slot[k], least) for k in served)
    counts = np.bincount(found.slot[served], minlength=2 * u.shape[1])
    np.testing.assert_array_equal(counts + found.missing, each)
    assert (found.missing >= 0).all()
    assert found.complete == (not found.missing.any())


def test_as_many_as_scipy_finds():
    """2000 random cases, from hopeless to plenty."""
    rng, complete = np.random.default_rng(1), 0
    for _ in range(2000):
        d, h, each = int(rng.integers(1, 5)), int(rng.integers(0, 16)), int(rng.integers(0, 4))
        least, u = float(rng.uniform(0.1, 1)), rng.uniform(-1, 1, (h, d))
        found = assign(good_slots(d, [u], least), each)
        check(found, u, each, least)
        assert (found.slot >= 0).sum() == most(u, each, least)
        complete += found.complete
    assert 200 < complete < 1800


def test_neurons_change_their_slots_where_that_helps():
    """Neuron 0 takes the lowest slot, which neuron 1 alone needs; and a chain of such."""
    u = np.array([[1.0, 1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(assign(good_slots(2, [u], 0.5), 1).slot, [2, 0])
    n = 50
    chain = np.zeros((n, n))
    for k in range(n - 1):
        chain[k, [k, k + 1]] = 1  # each takes slot k until the last asks for slot 0
    chain[-1, 0] = 1
    found = assign(good_slots(n, [chain], 0.5), 1)
    np.testing.assert_array_equal(found.slot, [2 * (k + 1) for k in range(n - 1)] + [0])
    assert found.missing.sum() == n  # the negative halves


def test_slots_are_filled_evenly_before_any_is_full():
    """Every neuron is good for all positive halves: each goes to the one that lacks most."""
    found = assign(good_slots(3, [np.ones((7, 3))], 0.5), 4)
    np.testing.assert_array_equal(found.slot, [0, 2, 4, 0, 2, 4, 0])
    np.testing.assert_array_equal(found.missing, [1, 4, 2, 4, 2, 4])


def test_rows_may_come_in_any_pieces():
    rng = np.random.default_rng(2)
    u = rng.uniform(-1, 1, (300, 6))
    whole = good_slots(6, [u], 0.7)
    for cut in (1, 7, 300):
        pieces = good_slots(6, (u[i : i + cut] for i in range(0, 300, cut)), 0.7)
        np.testing.assert_array_equal(pieces.indptr, whole.indptr)
        np.testing.assert_array_equal(pieces.slots, whole.slots)
        np.testing.assert_array_equal(assign(pieces, 20).slot, assign(whole, 20).slot)
    transposed = np.asfortranarray(u)
    np.testing.assert_array_equal(good_slots(6, [transposed], 0.7).slots, whole.slots)
    for k in range(300):
        slots = whole.slots[whole.indptr[k] : whole.indptr[k + 1]]
        assert slots.tolist() == [s for s in range(12) if is_good(u, k, s, 0.7)]


def test_sizes_beyond_the_least_are_not_looked_at():
    """The theorem needs it: any good sizes, and any bad ones, give the same assignment."""
    rng = np.random.default_rng(3)
    u = rng.uniform(-1, 1, (200, 5))
    first = assign(good_slots(5, [u], 0.6), 18).slot
    for _ in range(20):
        size = np.where(
            np.abs(u) >= 0.6, rng.uniform(0.6, 1, u.shape), rng.uniform(0, 0.6, u.shape)
        )
        np.testing.assert_array_equal(
            assign(good_slots(5, [np.copysign(size, u)], 0.6), 18).slot, first
        )


def test_the_least_itself_is_good_and_less_is_not():
    u = np.array([[0.5, -0.5], [np.nextafter(0.5, 0), -np.nextafter(0.5, 0)]])
    good = good_slots(2, [u], 0.5)
    np.testing.assert_array_equal(good.indptr, [0, 2, 2])
    np.testing.assert_array_equal(good.slots, [0, 3])


def test_a_layer_of_a_real_network():
    """784 inputs, 20 neurons a slot and not one to spare: memory for the good ones alone."""
    rng = np.random.default_rng(4)
    h = 2 * 784 * 20

    def rows():
        for start in range(0, h, 2048):
            yield rng.uniform(-1, 1, (min(2048, h - start), 784))

    good = good_slots(784, rows(), 0.97)
    assert isinstance(good, Good)
    assert good.neurons == h
    assert good.slots.size == pytest.approx(0.03 * 784 * h, rel=0.01)
    found = assign(good, 20)
    assert found.complete
    assert (np.bincount(found.slot, minlength=1568) == 20).all()


def test_nothing_to_assign():
    empty = assign(good_slots(3, [], 0.5), 2)
    assert empty.slot.size == 0
    assert empty.missing.tolist() == [2] * 6
    assert assign(good_slots(1, [np.ones((2, 1))], 0.5), 0).slot.tolist() == [-1, -1]


def test_bad_input():
    for least in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(BadInput, match="least"):
            good_slots(2, [], least)
    for rows in (np.ones(3), np.ones((3, 3))):
        with pytest.raises(BadInput, match="rows"):
            good_slots(2, [rows], 0.5)
    with pytest.raises(BadInput, match="each"):
        assign(good_slots(1, [], 0.5), -1)

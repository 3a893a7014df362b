"""Subset sums of values that may move: against every subset, and against those that may not."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slth.errors import BadInput
from slth.perturbed_sums import nearest_moved
from slth.subsetsum import Problem
from slth.subsetsum.exhaustive import Exhaustive


def best(row: np.ndarray, target: float, p: float) -> float:
    """What is left at least, by the definition: every subset, each value moved at will."""
    return min(
        max(0.0, abs(sum(c) - target) - k * p)
        for k in range(row.size + 1)
        for c in combinations(row.tolist(), k)
    )


@given(st.integers(0, 10**6), st.sampled_from([0.0, 2.0**-9, 2.0**-6, 0.125, 1.0]))
def test_it_is_the_best_of_all_subsets_and_moves(seed: int, p: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(-1024, 1025, (3, 7)) / 1024
    targets = rng.integers(-1500, 1501, 3) / 1024
    found = nearest_moved(values, targets, p)
    assert (np.abs(found.shift) <= p).all()
    assert not found.mask[values == 0].any()
    for row in range(3):
        moved = [Fraction(v + found.shift[row]) for v in values[row][found.mask[row]]]
        exact = abs(sum(moved, -Fraction(targets[row])))
        assert Fraction(found.error[row]) >= exact
        assert found.error[row] == pytest.approx(best(values[row], targets[row], p), abs=1e-14)


def test_nothing_moves_at_zero() -> None:
    rng = np.random.default_rng(1)
    values, targets = rng.uniform(-1, 1, (6, 9)), rng.uniform(-1, 1, 6)
    found, known = nearest_moved(values, targets, 0.0), Exhaustive()(Problem(values, targets))
    assert (found.shift == 0).all()
    np.testing.assert_array_equal(found.error, known.error)


def test_the_further_values_may_move_the_nearer_they_come() -> None:
    rng = np.random.default_rng(2)
    values, targets = rng.uniform(-1, 1, 8), rng.uniform(-1, 1, 50)
    errors = [nearest_moved(values, targets, p).error for p in (0, 1e-3, 1e-2, 0.1)]
    for a, b in pairwise(errors):
        assert (b <= a + 1e-15).all()
    assert errors[0].max() > 1e-3
    assert errors[3].max() < 1e-14


def test_enough_is_the_first_size_that_does() -> None:
    values, targets = np.array([0.3, 0.31, -0.2, 0.0]), np.array([0.35, 0.01, 5.0])
    found = nearest_moved(values, targets, 0.05, enough=0.02)
    assert found.mask.sum(axis=1).tolist() == [1, 0, 2]
    assert found.error[2] == pytest.approx(5 - 0.61 - 0.1)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: nearest_moved([0.5], [0.5], -1.0),
        lambda: nearest_moved([0.5], [0.5], float("nan")),
        lambda: nearest_moved([0.5], [[0.5]], 0.1),
        lambda: nearest_moved(np.ones(33), [3.0], 0.1),
        lambda: nearest_moved([np.nan], [0.5], 0.1),
    ],
)
def test_bad_requests_are_refused(bad) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match="remedy: "):
        bad()

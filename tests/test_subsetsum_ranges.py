"""Schroeppel and Shamir's solver: ranges of sums against all sums, and what they add up to."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slth.errors import BadInput
from slth.subsetsum import Problem, Status, _ranges
from slth.subsetsum.exhaustive import Exhaustive
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle
from slth.subsetsum.schroeppel_shamir import SchroeppelShamir
from tests.subsetsum_contract import check_solution, check_solver

QUICK = settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of a few sums, so that small rows take the ways of large ones."""
    monkeypatch.setattr(_ranges, "LEAST", 3)
    monkeypatch.setattr(_ranges, "RUN", 1)
    monkeypatch.setattr(_ranges, "SAMPLE", 2)


def _sums(rng: np.random.Generator, digits: int, shift: float = 0.0) -> _ranges.Sums:
    p, q = (np.sort(np.round(rng.normal(0, 1, rng.integers(1, 30)), digits)) for _ in range(2))
    return _ranges.Sums(p + shift, q)


def _all(sums: _ranges.Sums) -> np.ndarray:
    return np.sort((sums.p[:, None] + sums.q).ravel())


@pytest.mark.parametrize("seed", range(20))
def test_a_part_holds_what_lies_between(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums = _sums(rng, 1 + seed % 3)
    every = _all(sums)
    for low, high in np.sort(rng.choice(every, (20, 2)), axis=1):
        part = _ranges._Part(sums, low, high)
        inside = every[(every >= low) & (every < high)]
        below = every[every < low]
        ascending, count = part.ascending()
        np.testing.assert_array_equal(ascending[1:-1], inside)
        assert ascending[-1] == np.inf
        assert count == 1 + len(inside) == 1 + part.count
        assert part.before == ascending[0] == (below[-1] if below.size else -np.inf)
        assert part.first == every[every >= low][0]
        if inside.size:
            assert 4 * (inside <= part.middle()).sum() >= len(inside)
            assert 4 * (inside >= part.middle()).sum() >= len(inside)
            i, j = sums.where(inside[-1])
            assert sums.p[i] + sums.q[j] == inside[-1]


@pytest.mark.parametrize("shift", [0.0, 2.5, 50.0, -50.0])
@pytest.mark.usefixtures("narrow")
def test_ranges_hold_the_closest_pair(shift: float) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x, y = _sums(rng, 1 + seed % 5), _sums(rng, 1 + seed % 5, shift)
        parts = _ranges.ranges(x, y)
        ends = sorted(parts)
        assert all(a[1] == b[0] for a, b in pairwise(ends))
        assert ends[-1][1] == np.inf
        found = [_ranges.nearest(x, y, part) for part in parts]
        expected = np.abs(_all(x)[:, None] - _all(y)).min()
        distance, a, b = min(found)
        assert distance == expected == abs(a - b)
        assert a in _all(x)
        assert b in _all(y)


@pytest.mark.usefixtures("narrow")
def test_the_contract_holds_with_narrow_ranges() -> None:
    assert check_solver(SchroeppelShamir(threads=1)) >= 15


grid = st.integers(-1024, 1024).map(lambda k: k / 1024)
nasty = st.one_of(
    st.floats(-1, 1),
    st.sampled_from([0.1, 0.2, 0.3, 1.0, 1 + 2.0**-52, 5e-324, 2.0**-1022, 1e300, -1e-300]),
    st.floats(allow_nan=False, allow_infinity=False),
)


@QUICK
@given(
    st.lists(grid, min_size=1, max_size=13),
    st.lists(st.integers(-4096, 4096).map(lambda k: k / 1024), min_size=1, max_size=3),
    st.one_of(st.none(), st.integers(1, 300).map(lambda k: k / 1024)),
)
@pytest.mark.usefixtures("narrow")
def test_optimal_on_grids(row: list[float], targets: list[float], epsilon: float | None) -> None:
    problem = Problem(row, targets, epsilon)
    ours, oracle = SchroeppelShamir(threads=1)(problem), Exhaustive()(problem)
    np.testing.assert_array_equal(ours.status, oracle.status)
    if epsilon is None:
        np.testing.assert_array_equal(ours.error, oracle.error)


@QUICK
@given(
    st.lists(nasty, min_size=1, max_size=8),
    nasty,
    st.one_of(st.none(), st.sampled_from([5e-324, 2.0**-53, 0.1, 1e300])),
)
@pytest.mark.usefixtures("narrow")
def test_no_false_claim(row: list[float], target: float, epsilon: float | None) -> None:
    problem = Problem(row, [target], epsilon)
    check_solution(problem, SchroeppelShamir(threads=1)(problem))


@pytest.mark.parametrize("n", [21, 34, 36])
def test_as_good_as_meet_in_the_middle(n: int) -> None:
    rng = np.random.default_rng(n)
    problem = Problem(rng.uniform(-1, 1, (3, n)), rng.uniform(-1, 1, 3))
    ours, theirs = SchroeppelShamir()(problem), MeetInTheMiddle()(problem)
    np.testing.assert_allclose(ours.error, theirs.error, rtol=0, atol=n * 2e-15)
    assert (ours.status == Status.SOLVED).all()


def test_threads_change_nothing() -> None:
    rng = np.random.default_rng(4)
    for rows in (1, 5):
        values, targets = rng.uniform(-1, 1, (rows, 36)), rng.uniform(-1, 1, rows)
        for epsilon in (None, 1e-9):
            problem = Problem(values, targets, epsilon)
            one, three = (SchroeppelShamir(threads=k)(problem) for k in (1, 3))
            np.testing.assert_array_equal(one.mask, three.mask)
            np.testing.assert_array_equal(one.status, three.status)


def test_a_planted_subset_of_46_values_is_found_in_little_memory() -> None:
    """The lists of meet in the middle would take 256 MiB; a thread here holds less than one."""
    rng = np.random.default_rng(46)
    row = rng.integers(1, 2**45, 46) / 2.0**45
    target = row[rng.random(46) < 0.5].sum()
    tracemalloc.start()
    solution = SchroeppelShamir(threads=1)(Problem(row, [target], 2.0**-60))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert solution.error[0] == 0
    assert solution.status[0] == Status.SOLVED
    assert peak < 8 * 2**20


def test_60_values_far_from_hard() -> None:
    """Equal values, targets out of reach, and a tolerance that many subsets meet."""
    equal = SchroeppelShamir()(Problem(np.full(60, 0.1), [3.0, 1e9]))
    assert (equal.status == Status.SOLVED).all()
    assert equal.mask.sum(axis=1).tolist() == [30, 60]
    row = np.random.default_rng(60).uniform(-1, 1, 60)
    near = SchroeppelShamir()(Problem(row, [0.3, 99.0], 1e-9))
    assert near.status.tolist() == [Status.SOLVED, Status.NONE_EXISTS]
    with pytest.raises(BadInput, match="up to 60"):
        SchroeppelShamir()(Problem(np.ones(61), [1.0]))

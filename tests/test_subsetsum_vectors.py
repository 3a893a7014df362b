"""Vector targets: the max norm by rationals, every subset, and the closest pair of point sets."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from slth.errors import BadInput
from slth.subsetsum import Problem, Solution, Solver, Status
from slth.subsetsum._near import closest_points, distinct
from slth.subsetsum.exhaustive import Exhaustive
from slth.subsetsum.vector_meet_in_the_middle import VectorMeetInTheMiddle
from tests.subsetsum_contract import check_solver, rationals, rounded_up, same

QUICK = settings(max_examples=100, derandomize=True, deadline=None)
SOLVERS: tuple[Solver, ...] = (Exhaustive(), VectorMeetInTheMiddle(threads=1))


def exact_error(row: np.ndarray, kept: np.ndarray, target: np.ndarray) -> Fraction:
    return max(rationals(row[:, k], kept, target[k]) for k in range(len(target)))


def best_of_all(row: np.ndarray, target: np.ndarray) -> Fraction:
    masks = (np.arange(2 ** len(row))[:, None] >> np.arange(len(row))) & 1 == 1
    return min(exact_error(row, kept, target) for kept in masks)


def check(problem: Problem, solution: Solution) -> None:
    """Every claim about vectors of few values, by enumeration in rationals."""
    rows, width = problem.shape
    values = np.broadcast_to(problem.values, (rows, width, problem.targets.shape[1]))
    epsilon = None if problem.epsilon is None else np.broadcast_to(problem.epsilon, rows)
    for r in range(rows):
        kept, target = solution.mask[r], problem.targets[r]
        assert not (kept & (values[r] == 0).all(axis=1)).any(), "padding is never kept"
        exact = exact_error(values[r], kept, target)
        assert solution.error[r] == rounded_up(exact)
        status = Status(solution.status[r])
        if epsilon is not None:
            meets = exact <= Fraction(float(epsilon[r]))
            assert (status == Status.SOLVED) == meets
            if status == Status.NONE_EXISTS:
                assert best_of_all(values[r], target) > Fraction(float(epsilon[r]))
        elif status == Status.SOLVED:
            terms = [*np.abs(values[r]).ravel(), *np.abs(target)]
            size = sum(Fraction(float(v)) for v in terms)
            slack = (8 * width + 32) * size * Fraction(2) ** -53
            assert exact - best_of_all(values[r], target) <= slack


grid = st.integers(-512, 512).map(lambda k: k / 512)
nasty = st.one_of(
    grid,
    st.floats(-1, 1),
    st.sampled_from([0.0, 0.1, 0.3, 1.0, 1 + 2.0**-52, 5e-324, 2.0**-1022, 1e300, -1e-300]),
    st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def instances(draw: st.DrawFn, entry: st.SearchStrategy[float], most: int) -> Problem:
    n, d = draw(st.integers(1, most)), draw(st.integers(1, 4))
    rows = draw(st.integers(1, 2))
    own = draw(st.booleans())
    shape = (rows, n, d) if own else (n, d)
    size = int(np.prod(shape))
    values = np.reshape(draw(st.lists(entry, min_size=size, max_size=size)), shape)
    targets = draw(st.lists(entry, min_size=rows * d, max_size=rows * d))
    epsilon = draw(st.one_of(st.none(), st.sampled_from([5e-324, 1e-16, 0.05, 0.25, 1.0, 1e300])))
    return Problem(values, np.reshape(targets, (rows, d)), epsilon)


@QUICK
@given(instances(grid, 10))
def test_optimal_on_grids(problem: Problem) -> None:
    oracle, ours = (solver(problem) for solver in SOLVERS)
    np.testing.assert_array_equal(ours.status, oracle.status)
    assert Status.GAVE_UP not in oracle.status
    if problem.epsilon is None:
        np.testing.assert_array_equal(ours.error, oracle.error)


@settings(QUICK, max_examples=200)
@given(instances(nasty, 5))
def test_no_false_claim(problem: Problem) -> None:
    for solver in SOLVERS:
        check(problem, solver(problem))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_rows_that_have_broken_solvers(d: int) -> None:
    rng = np.random.default_rng(d)
    cases = {
        "one value": (rng.normal(size=(1, d)), rng.normal(size=(3, d))),
        "odd n": (rng.normal(size=(2, 7, d)), rng.normal(size=(2, d))),
        "all equal": (np.full((8, d), 0.1), np.full((2, d), 0.3)),
        "on a line": (rng.normal(size=(8, 1)) * np.ones(d), rng.normal(size=(2, d))),
        "a coordinate of zeros": (rng.normal(size=(8, d)) * (np.arange(d) > 0), np.ones((1, d))),
        "far": (rng.normal(size=(6, d)), np.outer([1e300, -50.0, 1e-300], np.ones(d))),
        "padding": (rng.normal(size=(8, d)) * (np.arange(8) % 2)[:, None], np.ones((1, d))),
        "only padding": (np.zeros((3, d)), np.outer([0.0, 1.0], np.ones(d))),
        "scales": (rng.normal(size=(7, d)) * 10.0 ** (-100 * np.arange(d)), np.ones((1, d))),
        "subnormal": (rng.integers(-9, 9, (7, d)) * 5e-324, np.full((1, d), 5e-323)),
        "near overflow": (np.array([[1.7e308], [-1.6e308], [1.0]]) * np.ones(d), np.ones((1, d))),
    }
    for values, targets in cases.values():
        for epsilon in (None, 1e-12, 0.5):
            problem = Problem(values, targets, epsilon)
            for solver in SOLVERS:
                check(problem, solver(problem))


def test_scalar_targets_are_vectors_of_one_coordinate() -> None:
    assert check_solver(VectorMeetInTheMiddle(threads=1)) >= 15
    rng = np.random.default_rng(1)
    values, targets = rng.normal(size=(6, 12)), rng.normal(size=6)
    for solver in SOLVERS:
        for epsilon in (None, 1e-3):
            vectors = Problem(values[:, :, None], targets[:, None], epsilon)
            same(solver(vectors), solver(Problem(values, targets, epsilon)))


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_closest_points_against_a_tree(d: int) -> None:
    for seed in range(12):
        rng = np.random.default_rng([d, seed])
        digits = 1 + seed % 8
        x, y = (np.round(rng.normal(size=(d, m)), digits) for m in rng.integers(1, 1500, 2))
        y = y + (seed % 3) * 2.0
        distance, i, j = closest_points(x, y)
        expected = cKDTree(x.T).query(y.T, p=np.inf)[0].min()
        assert distance == expected == np.abs(x[:, i] - y[:, j]).max()
        enough = closest_points(x, y, 0.3)[0]
        assert enough == expected or enough <= 0.3


def test_distinct_points_keep_their_places() -> None:
    rng = np.random.default_rng(3)
    points = rng.integers(-1, 2, (3, 200)) * 1.0
    points[points == 0] *= rng.choice([-1.0, 1.0], (points == 0).sum())
    found, places = distinct(points)
    np.testing.assert_array_equal(found, points[:, places])
    assert found.shape[1] == len(np.unique(points + 0.0, axis=1).T)


def test_forty_equal_vectors_cost_no_more_than_their_distinct_sums() -> None:
    """All pairs would be 2^40."""
    values = np.tile([1.0, 0.001], (40, 1))
    solution = VectorMeetInTheMiddle()(Problem(values, [[10.0, 0.3]]))
    assert solution.status[0] == Status.SOLVED
    assert solution.mask.sum() == 10
    assert solution.error[0] == pytest.approx(0.29)


def test_a_planted_subset_of_36_vectors_is_found() -> None:
    rng = np.random.default_rng(36)
    values = rng.integers(-(2**30), 2**30, (36, 3)) / 2.0**30
    target = values[rng.random(36) < 0.5].sum(axis=0)
    solution = VectorMeetInTheMiddle()(Problem(values, [target], 2.0**-40))
    assert solution.error[0] == 0


def test_threads_change_nothing() -> None:
    rng = np.random.default_rng(4)
    problem = Problem(rng.normal(size=(40, 12, 2)), rng.normal(size=(40, 2)), 0.05)
    same(VectorMeetInTheMiddle(threads=1)(problem), VectorMeetInTheMiddle(threads=3)(problem))


@pytest.mark.parametrize(
    ("n", "d", "name"), [(41, 2, "values"), (4, 5, "targets")], ids=["values", "coordinates"]
)
def test_too_much_is_refused(n: int, d: int, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        VectorMeetInTheMiddle()(Problem(np.ones((n, d)), np.ones((2, d))))
    assert caught.value.name == name

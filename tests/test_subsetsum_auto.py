"""Auto: what it may choose, that it answers as the chosen one, and that its model is near."""

from __future__ import annotations

import time
from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slth.errors import BadInput
from slth.subsetsum import Problem, Status
from slth.subsetsum._costs import COSTS, Size, measure
from slth.subsetsum.auto import MOST, Auto
from slth.subsetsum.exhaustive import Exhaustive
from slth.subsetsum.first_hit import FirstHit
from slth.subsetsum.schroeppel_shamir import SchroeppelShamir
from tests.subsetsum_contract import check_solution, same

EXACT = {"exhaustive", "meet_in_the_middle", "schroeppel_shamir", "vector_meet_in_the_middle"}
QUICK = settings(max_examples=100, derandomize=True, deadline=None)


def problems() -> list[Problem]:
    rng = np.random.default_rng(11)
    found = []
    for n in (1, 5, 12, 21, 30, 37, 40, 44, 45, 60):
        for shared in (False, True):
            for epsilon in (None, 1e-6, 0.01):
                values = rng.uniform(-1, 1, (n,) if shared else (7, n))
                found.append(Problem(values, rng.uniform(-0.2, 0.2, 7), epsilon))
    for n, d in ((3, 2), (12, 4), (18, 5), (40, 3)):
        for epsilon in (None, 0.1):
            found.append(Problem(rng.normal(size=(3, n, d)), rng.normal(size=(3, d)), epsilon))
    return found


def test_exactness_is_never_given_away() -> None:
    for problem in problems():
        for choice in Auto().choices(problem):
            allowed = EXACT if problem.epsilon is None else EXACT | {"first_hit"}
            assert choice.name in allowed
            usable = problem.shape[1]
            if choice.name == "first_hit" and usable > 44:
                assert isinstance(choice.rest, SchroeppelShamir)
            elif isinstance(choice.solver, FirstHit):
                assert choice.solver.window >= usable, "else it would not decide the row"
            else:
                assert choice.rest is None


def test_choices_are_sorted_and_the_first_is_taken() -> None:
    for problem in problems():
        choices = Auto(threads=1).choices(problem)
        assert Auto(threads=1).choice(problem) == choices[0]
        assert all(a.seconds <= b.seconds for a, b in pairwise(choices))
        assert all(choice.seconds > 0 for choice in choices)


def test_it_says_what_it_chose_only_on_request(capsys) -> None:  # type: ignore[no-untyped-def]
    problem = Problem([0.3, 0.5, -0.2], [0.1, 0.8])
    same(Auto()(problem), Auto(explain=True)(problem))
    out, said = capsys.readouterr()
    choices = Auto().choices(problem)
    assert out == ""
    assert said.startswith(f"auto takes {choices[0].name}; predicted: {choices[0].name} ")
    assert said.count("\n") == 1
    assert all(choice.name in said for choice in choices)


def test_it_answers_as_what_it_chose() -> None:
    for problem in problems():
        choice = Auto().choice(problem)
        if choice.seconds < 0.01 and choice.rest is None:
            same(Auto()(problem), choice.solver(problem))


grid = st.integers(-1024, 1024).map(lambda k: k / 1024)


@QUICK
@given(
    st.lists(grid, min_size=1, max_size=12),
    st.lists(grid, min_size=1, max_size=3),
    st.one_of(st.none(), st.integers(1, 100).map(lambda k: k / 1024)),
)
def test_it_decides_all_rows_on_grids(
    row: list[float], targets: list[float], epsilon: float | None
) -> None:
    problem = Problem(row, targets, epsilon)
    ours, oracle = Auto()(problem), Exhaustive()(problem)
    np.testing.assert_array_equal(ours.status, oracle.status)
    if epsilon is None:
        np.testing.assert_array_equal(ours.error, oracle.error)


def test_rows_beyond_one_window_are_decided_too() -> None:
    """48 values on a grid: first hit alone gives up where no subset is within its 36 values."""
    rng = np.random.default_rng(12)
    row = np.concatenate([rng.integers(1, 100, 40) * 2.0, rng.integers(1, 100, 8) * 2.0]) / 1024
    targets = np.array([501.0, 500.0, 503.0, 1e6]) / 1024
    problem = Problem(row, targets, 0.5 / 1024)
    assert Auto().choice(problem).name == "first_hit"
    assert Status.GAVE_UP in FirstHit()(problem).status
    solution = Auto()(problem)
    check_solution(problem, solution, oracle=0)
    expected = [Status.NONE_EXISTS, Status.SOLVED, Status.NONE_EXISTS, Status.NONE_EXISTS]
    assert solution.status.tolist() == expected
    own = Problem(np.tile(row, (4, 1)), targets, np.full(4, 0.5 / 1024))
    same(Auto()(own), solution)


def test_what_nobody_decides_is_refused_or_left_to_first_hit() -> None:
    rng = np.random.default_rng(13)
    values, targets = rng.uniform(-1, 1, (3, 80)), rng.uniform(-1, 1, 3)
    with pytest.raises(BadInput, match="any number with epsilon"):
        Auto()(Problem(values, targets))
    assert [c.name for c in Auto().choices(Problem(values, targets, 0.01))] == ["first_hit"]
    for n, d in ((41, 2), (21, 5)):
        with pytest.raises(BadInput, match="vectors up to 4 coordinates"):
            Auto()(Problem(np.ones((n, d)), np.ones((2, d))))


def test_limits_are_those_of_the_solvers() -> None:
    for name, most in MOST.items():
        assert most == import_module(f"slth.subsetsum.{name}").MOST


def test_loose_tolerances_go_to_first_hit_and_optima_to_lists() -> None:
    rng = np.random.default_rng(14)
    values, targets = rng.uniform(-1, 1, (1000, 21)), rng.uniform(-0.2, 0.2, 1000)
    assert Auto().choice(Problem(values, targets, 0.01)).name == "first_hit"
    assert Auto().choice(Problem(values, targets)).name == "meet_in_the_middle"
    assert Auto().choice(Problem(np.ones(52), targets[:1])).name == "schroeppel_shamir"
    more = Auto(threads=1).choice(Problem(values, targets)).seconds
    shared = Auto(threads=1).choice(Problem(values[0], targets)).seconds
    assert shared < more
    assert Auto(threads=2).choice(Problem(values, targets)).seconds < more


def test_padding_costs_nothing_and_overflow_breaks_nothing() -> None:
    values = np.zeros((4, 90))
    values[:, ::9] = 0.3
    assert Size.of(Problem(values, np.ones(4))).usable == 10
    padded = Auto().choice(Problem(values, np.ones(4))).seconds
    assert padded == Auto().choice(Problem(values[:, ::9], np.ones(4))).seconds
    for epsilon in (None, 5e-324, 1e300):
        for row in ([1.7e308, -1.6e308], [5e-324], [0.0, 0.0]):
            problem = Problem(row, [1.0], epsilon)
            check_solution(problem, Auto()(problem))


def test_predictions_are_within_a_factor_of_ten_of_this_machine() -> None:
    """CPU seconds, so a busy machine matters little; constants are those of another machine."""
    rng = np.random.default_rng(16)
    for n, rows, epsilon in ((16, 4000, None), (21, 2000, None), (40, 20000, 0.01)):
        problem = Problem(rng.uniform(-1, 1, (rows, n)), rng.uniform(-0.2, 0.2, rows), epsilon)
        choice = Auto(threads=1).choice(problem)
        choice.solver(problem)
        taken = []
        for _ in range(3):
            start = time.process_time()
            choice.solver(problem)
            taken.append(time.process_time() - start)
        assert choice.seconds / 10 < min(taken) < choice.seconds * 10


def test_measuring_gives_a_cost_for_every_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    from slth.subsetsum import _costs

    monkeypatch.setattr(_costs, "ROWS", (20, 2))
    found = measure(np.random.default_rng(17))
    assert found.keys() == COSTS.keys()
    assert {*COSTS} >= {*MOST}
    assert all(cost.row >= 0 for cost in found.values())

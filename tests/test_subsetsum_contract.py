"""Every solver that the folder holds passes the contract; solvers with planted faults do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from slth.errors import BadInput
from slth.subsetsum import Problem, Solution, load, solvers
from slth.subsetsum.exhaustive import Exhaustive
from tests.subsetsum_contract import check_solver, everything


@pytest.mark.parametrize("name", solvers())
def test_every_solver_keeps_the_contract(name: str) -> None:
    solver = load(name)()
    k = getattr(solver, "k", None)
    answered = check_solver(solver, everything if k is None else lambda size: size == k)
    assert answered >= 15


VECTORS = {"auto", "exhaustive", "vector_meet_in_the_middle"}


@pytest.mark.parametrize("name", sorted({*solvers()} - VECTORS))
def test_every_other_solver_refuses_vector_targets(name: str) -> None:
    with pytest.raises(BadInput, match="scalar targets only"):
        load(name)()(Problem(np.ones((4, 2)), np.ones((3, 2)), 0.1))


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_solvers_of_vectors_take_them(name: str) -> None:
    solution = load(name)()(Problem(np.ones((4, 2)), np.ones((3, 2)), 0.1))
    assert solution.mask.sum(axis=1).tolist() == [1, 1, 1]


def _faulty(change: Callable[[Problem, Solution], Solution]) -> Callable[[Problem], Solution]:
    return lambda problem: change(problem, Exhaustive()(problem))


def _flip(problem: Problem, s: Solution) -> Solution:
    mask = s.mask.copy()
    mask[:, -1] ^= True
    return replace(s, mask=mask)


FAULTS: dict[str, Any] = {
    "a wrong mask bit": _flip,
    "float error": lambda p, s: replace(
        s, error=np.abs((np.broadcast_to(p.values, s.mask.shape) * s.mask).sum(1) - p.targets)
    ),
    "error too small": lambda p, s: replace(s, error=np.nextafter(s.error, 0)),
    "error too large": lambda p, s: replace(s, error=np.nextafter(s.error, np.inf)),
    "gives up as none": lambda p, s: replace(
        s, status=np.where(s.status == 0, 1, s.status).astype(np.int8)
    ),
    "always solved": lambda p, s: replace(s, status=np.zeros_like(s.status)),
    "keeps padding": lambda p, s: replace(
        s, mask=s.mask | (np.broadcast_to(p.values, s.mask.shape) == 0)
    ),
    "mask of bytes": lambda p, s: replace(s, mask=s.mask.astype(np.int8)),
    "rows by rank": lambda p, s: replace(s, used=np.arange(len(s.error))),
}


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_contract_catches(fault: str) -> None:
    with pytest.raises(AssertionError):
        check_solver(_faulty(FAULTS[fault]))


def test_a_claimed_optimum_must_be_one() -> None:
    def second_best(problem: Problem) -> Solution:
        solution = Exhaustive()(problem)
        if problem.epsilon is not None:
            return solution
        empty = np.zeros_like(solution.mask)
        values = np.zeros(problem.shape)
        error = Exhaustive()(Problem(values, problem.targets)).error
        return replace(solution, mask=empty, error=error)

    with pytest.raises(AssertionError):
        check_solver(second_best)

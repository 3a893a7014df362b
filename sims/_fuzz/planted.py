"""Solvers with one fault each: the fuzz must refute every one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from slth.subsetsum import Problem, Solution, Solver, Status

Wrong = Callable[[Solver, Problem], Solution]


def _forgets_the_last(solver: Solver, problem: Problem) -> Solution:
    """All but the last value, claimed to be all."""
    values = problem.values.copy()
    values[..., -1] = 0.0
    return solver(Problem(values, problem.targets, problem.epsilon))


def _strict(solver: Solver, problem: Problem) -> Solution:
    """An error of exactly epsilon held not to meet it."""
    found = solver(problem)
    border = found.error == problem.epsilon
    return replace(found, status=np.where(border, Status.NONE_EXISTS, found.status).astype(np.int8))


def _float_errors(solver: Solver, problem: Problem) -> Solution:
    """Errors added up in floats, from the last value to the first."""
    found = solver(problem)
    with np.errstate(over="ignore", invalid="ignore"):
        kept = np.where(found.mask, problem.values, 0.0)[:, ::-1]
        error = np.abs(np.cumsum(kept, axis=1)[:, -1] - problem.targets)
    return replace(found, error=error)


def _none_for_gave_up(solver: Solver, problem: Problem) -> Solution:
    """A search by singles that calls what it did not find non-existent."""
    found = solver(problem)
    status = np.where(found.status == Status.GAVE_UP, Status.NONE_EXISTS, found.status)
    return replace(found, status=status.astype(np.int8))


def _gives_up(solver: Solver, problem: Problem) -> Solution:
    """One row in a hundred given up."""
    found = solver(problem)
    status = found.status.copy()
    status[::100] = Status.GAVE_UP
    return replace(found, status=status)


def _keeps_padding(solver: Solver, problem: Problem) -> Solution:
    found = solver(problem)
    return replace(
        found, mask=found.mask | (np.broadcast_to(problem.values, found.mask.shape) == 0)
    )


def _one_more(solver: Solver, problem: Problem) -> Solution:
    """A prefix longer than needed."""
    found = solver(problem)
    assert found.used is not None
    return replace(found, used=np.minimum(found.used + 1, problem.shape[1]))


def _lenient(solver: Solver, problem: Problem) -> Solution:
    """An error a hundredth beyond epsilon held to meet it."""
    found = solver(problem)
    assert problem.epsilon is not None
    with np.errstate(over="ignore"):
        near = found.error <= 1.01 * problem.epsilon
    return replace(found, status=np.where(near, Status.SOLVED, found.status).astype(np.int8))


def _any_size(solver: Solver, problem: Problem) -> Solution:
    """The optimum over all subsets, whatever was asked of their size."""
    from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle

    return MeetInTheMiddle(threads=1)(problem)


# name: (claim that must be refuted, solver it is made of, what it does wrong)
PLANTED: dict[str, tuple[str, str, Wrong]] = {
    "the last value is forgotten": ("optimum", "meet_in_the_middle", _forgets_the_last),
    "epsilon itself does not count": ("none", "first_hit", _strict),
    "errors in floats": ("error", "meet_in_the_middle", _float_errors),
    "not found is called non-existent": ("none", "greedy", _none_for_gave_up),
    "one row in a hundred is given up": ("decided", "schroeppel_shamir", _gives_up),
    "zeros are kept": ("padding", "exhaustive", _keeps_padding),
    "a prefix one too long": ("prefix", "first_hit", _one_more),
    "near instead of sparse": ("fewest", "minimum_cardinality", _any_size),
    "any number instead of k": ("size", "exactly_k", _any_size),
    "within epsilon though it is not": ("solved", "first_hit", _lenient),
}

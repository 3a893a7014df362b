"""What every subset-sum solver promises, checked by rationals that share no code with it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from slth.errors import BadInput
from slth.subsetsum import Problem, Solution, Status

Solve = Callable[[Problem], Solution]
Admissible = Callable[[int], bool]


def everything(_: int) -> bool:
    """Any number of kept values is admissible (for `exactly k` it is not)."""
    return True


def rationals(row: np.ndarray, kept: np.ndarray, target: float) -> Fraction:
    return abs(sum((Fraction(float(v)) for v in row[kept]), -Fraction(float(target))))


def rounded_up(exact: Fraction) -> float:
    """The least float64 that is at least `exact`."""
    try:
        near = float(exact)
    except OverflowError:
        return math.inf
    return near if Fraction(near) >= exact else math.nextafter(near, math.inf)


def best_of_all(row: np.ndarray, target: float, admissible: Admissible) -> Fraction | None:
    """The least exact error over all admissible subsets of the row's usable values."""
    sums = [(-Fraction(float(target)), 0)]
    for v in row[row != 0]:
        sums += [(s + Fraction(float(v)), k + 1) for s, k in sums]
    return min((abs(s) for s, k in sums if admissible(k)), default=None)


def check_solution(
    problem: Problem, solution: Solution, admissible: Admissible = everything, oracle: int = 10
) -> None:
    """Every claim of `solution`; absence and optima are refuted by enumeration up to `oracle`."""
    rows, width = problem.shape
    assert solution.mask.shape == (rows, width)
    assert solution.mask.dtype == np.bool_
    assert solution.error.shape == solution.status.shape == (rows,)
    assert solution.error.dtype == np.float64
    assert solution.status.dtype == np.int8
    values = np.broadcast_to(problem.values, (rows, width))
    epsilon = problem.epsilon
    for r in range(rows):
        row, target, kept = values[r], float(problem.targets[r]), solution.mask[r]
        assert not (kept & (row == 0)).any(), "padding is never kept"
        exact = rationals(row, kept, target)
        assert solution.error[r] == rounded_up(exact)
        status = Status(solution.status[r])
        right_kind = admissible(int(kept.sum()))
        small = np.count_nonzero(row) <= oracle
        if epsilon is None:
            if status == Status.SOLVED and small:
                best = best_of_all(row, target, admissible)
                assert best is not None
                size = sum(abs(Fraction(float(v))) for v in row) + abs(Fraction(target))
                assert right_kind
                assert exact - best <= (8 * width + 32) * size * Fraction(2) ** -53
        else:
            tolerance = Fraction(float(np.broadcast_to(epsilon, rows)[r]))
            meets = exact <= tolerance and right_kind
            assert (status == Status.SOLVED) == meets, "solved is what the mask shows"
            if status == Status.NONE_EXISTS and small:
                best = best_of_all(row, target, admissible)
                assert best is None or best > tolerance, "a subset does exist"


def same(a: Solution, b: Solution, order: np.ndarray | slice = slice(None)) -> None:
    """Rows of a equal the rows `order` of b."""
    np.testing.assert_array_equal(a.mask, b.mask[order])
    np.testing.assert_array_equal(a.error, b.error[order])
    np.testing.assert_array_equal(a.status, b.status[order])
    assert (a.used is None) == (b.used is None)
    if a.used is not None and b.used is not None:
        np.testing.assert_array_equal(a.used, b.used[order])


def cases() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Named rows (values `[N, n]`, targets `[N]`) that have broken solvers, ours or others'."""
    rng = np.random.default_rng(20)
    tiny, ulp = 5e-324, 2.0**-52

    def many(row: list[float], targets: list[float]) -> tuple[np.ndarray, np.ndarray]:
        return np.tile(row, (len(targets), 1)), np.array(targets)

    yield "one value", *many([0.7], [0.7, 0.0, 0.35, -1.0, 0.7 + ulp])
    yield "odd n", rng.uniform(-1, 1, (4, 7)), rng.uniform(-1, 1, 4)
    yield "even n", rng.uniform(-1, 1, (4, 8)), rng.uniform(-1, 1, 4)
    yield "all equal", *many([0.1] * 9, [0.3, 0.9, 0.05, -0.1])
    yield "duplicates", *many([0.5, 0.5, -0.25, -0.25, 0.1, 0.1], [0.35, 0.75, -0.5])
    yield "target zero", rng.uniform(-1, 1, (3, 6)), np.zeros(3)
    yield "far targets", rng.uniform(-1, 1, (4, 6)), np.array([50.0, -50.0, 1e300, -1e300])
    yield "padding", *many([0.0, 0.3, 0.0, -0.2, 0.0], [0.1, 0.3, 0.0])
    yield "only padding", *many([0.0, -0.0, 0.0], [0.0, 1.0, 1e-3])
    yield "ties", *many([1.0, -1.0, 2.0, -2.0], [0.5, -0.5, 1.5, 0.0])
    yield "not dyadic", *many([0.1, 0.2, 0.3, -0.4, 0.7], [0.3, 0.6, 0.30000000000000004, 0.9])
    yield "cancellation", *many([1e16, 1.0, -1e16, 3.0, 0.5], [1.0, 0.5, 4.0, 3.5])
    yield "huge ratios", *many([1e300, 1e-300, -1e300, 1e-10, 1.0], [1e-300, 1.0, 1e300, 0.3])
    yield "subnormals", *many([tiny, 3 * tiny, -2 * tiny, 2.0**-1022], [4 * tiny, tiny, 0.0])
    yield "near overflow", *many([1.7e308, 1.6e308, -1.7e308], [1.6e308, 1e300, -1e308])
    yield "last digits", *many([1.0, ulp, ulp / 2, -ulp, 1 - ulp], [1 + ulp / 2, 1.0, 2 - ulp])
    wide = np.zeros((2, 40))
    wide[:, ::5] = rng.uniform(-1, 1, (2, 8))
    yield "mostly padding", wide, rng.uniform(-1, 1, 2)


EPSILONS = (None, 0.01, 0.3, 1e-15, 2.0**-10)


def check_solver(solve: Solve, admissible: Admissible = everything) -> int:
    """Runs the whole contract; returns how many problems were solved rather than refused.

    A solver may refuse a problem (BadInput naming epsilon, or values), but then consistently.
    """
    answered = 0
    for (_, values, targets), epsilon in itertools.product(cases(), EPSILONS):
        problem = Problem(values, targets, epsilon)
        try:
            solution = solve(problem)
        except BadInput as refusal:
            if refusal.name not in ("epsilon", "values"):
                raise
            continue
        answered += 1
        check_solution(problem, solution, admissible)
        check_rows_alone(solve, problem, solution)
    rng = np.random.default_rng(21)
    check_shared(solve, Problem(rng.uniform(-1, 1, 9), rng.uniform(-1, 1, 6), 0.01))
    return answered


def check_rows_alone(solve: Solve, problem: Problem, solution: Solution) -> None:
    """A row's answer depends neither on the other rows nor on their order."""
    rows = problem.shape[0]
    order = np.random.default_rng(22).permutation(rows)
    shuffled = Problem(problem.values[order], problem.targets[order], problem.epsilon)
    same(solve(shuffled), solution, order)
    for r in range(rows):
        alone = Problem(problem.values[r : r + 1], problem.targets[r : r + 1], problem.epsilon)
        same(solve(alone), solution, slice(r, r + 1))


def check_shared(solve: Solve, problem: Problem) -> None:
    """Values `[n]` mean the same as their copies `[N, n]`."""
    copies = np.tile(problem.values, (problem.shape[0], 1))
    same(solve(problem), solve(Problem(copies, problem.targets, problem.epsilon)))

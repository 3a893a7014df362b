"""Subset sums of values that may each be moved a little, by at most p.

Xiong, Liao and Kyrillidis (2023, "ε-perturbation") let every random weight move by up to ε before
the strong ticket is sought, and find that less over-parameterisation is needed. At the level of one
subset sum a chosen value x stands for the interval [x − p, x + p], so k of them reach every target
within k·p of their sum: S solves the problem within η if |Σ_S − z| ≤ η + |S| p. Nothing is gained
by moving them unequally. Of the subsets of one size the nearest is the best, so the optimum is
found size by size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.errors import BadInput
from slth.subsetsum import Problem
from slth.subsetsum.exactly_k import ExactlyK

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moved:
    """One answer a row.

    mask: `[N, n]`, which values are kept; shift: `[N]`, what is added to each of those, at most p
    in size; error: `[N]`, |Σ (kept + shift) − target|, rounded up.
    """

    mask: NDArray[np.bool_]
    shift: Floats
    error: Floats


def nearest_moved(
    values: ArrayLike, targets: ArrayLike, p: float, enough: float | None = None
) -> Moved:
    """The subset, and the shift of its values, that come nearest to each target.

    values `[n]` or `[N, n]`, at most 32 usable (zeros are padding); targets `[N]`; p ≥ 0. Sizes are
    tried from 0 on, and of equally near ones the smallest is taken; with `enough`, the first size
    with an error of at most that. Raises BadInput as `Problem` and `ExactlyK` do.
    """
    if not 0 <= p < np.inf:
        raise BadInput("p", p, "a finite number ≥ 0", "pass how far a value may move")
    problem = Problem(values, targets)
    rows, width = problem.shape
    given = np.broadcast_to(problem.values, (rows, width))
    mask = np.zeros((rows, width), dtype=np.bool_)
    shift, error = np.zeros(rows), np.abs(problem.targets)
    todo = np.arange(rows)
    for k in range(1, int(np.count_nonzero(given, axis=1).max()) + 1):
        todo = todo[error[todo] > (0.0 if enough is None else enough)]
        todo = todo[np.count_nonzero(given[todo], axis=1) >= k]
        if not todo.size:
            break
        found = ExactlyK(k)(Problem(given[todo], problem.targets[todo]))
        moves = _shifts(given[todo], found.mask, problem.targets[todo], k, p)
        left = _errors(given[todo], found.mask, moves, problem.targets[todo])
        better = left < error[todo]
        at = todo[better]
        mask[at], shift[at], error[at] = found.mask[better], moves[better], left[better]
    return Moved(mask, shift, error)


def _shifts(values: Floats, mask: NDArray[np.bool_], targets: Floats, k: int, p: float) -> Floats:
    """The equal moves of k kept values, each at most p, that bring their sum nearest."""
    missing = targets - np.where(mask, values, 0.0).sum(axis=1)
    moves: Floats = np.clip(missing / k, -p, p)
    return moves


def _errors(values: Floats, mask: NDArray[np.bool_], shifts: Floats, targets: Floats) -> Floats:
    """|Σ (kept + shift) − target| of the moved values as float64 holds them, rounded up."""
    from slth.subsetsum._account import errors

    return errors(np.where(mask, values + shifts[:, None], 0.0), mask, targets)

"""The sparsest subset within epsilon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from slth.subsetsum import Problem, Solution, Solver
from slth.subsetsum._account import bounds, errors, finish, refuse_more_than

MOST = 32


@final
@dataclass(frozen=True)
class MinimumCardinality(Solver):
    """Fewest kept values with an error within epsilon: meet in the middle, one cardinality a time.

    Up to 32 usable values, about n 2^(n/2) steps a row and 3 MiB at n = 32. Of the smallest
    cardinality that meets epsilon (up to the rounding of half-sums) the nearest subset is returned.
    Raises BadInput above 32 usable values and without an epsilon.
    """

    def __call__(self, problem: Problem) -> Solution:
        from slth.subsetsum._sized import Sized

        values, targets, epsilon = problem.rows(needs_epsilon=True)
        assert epsilon is not None
        refuse_more_than(MOST, values)
        bound = bounds(values, targets, np.arange(len(targets)))
        mask = np.zeros(problem.shape, np.bool_)
        lower = np.full(len(targets), -np.inf)
        sized = None
        for row in np.flatnonzero(~np.isnan(bound)):
            own = values[row if len(values) > 1 else 0]
            usable = np.flatnonzero(own)
            if sized is None or len(values) > 1:
                sized = Sized(own[usable])
            nearest = np.inf
            for k in range(len(usable) + 1):
                distance, kept = sized.nearest(targets[row], k)
                if distance < nearest or distance <= epsilon[row] + bound[row]:
                    mask[row, usable] = kept
                if distance <= epsilon[row] + bound[row]:
                    error = errors(own[None], mask[row : row + 1], targets[row : row + 1])
                    if error[0] <= epsilon[row]:
                        break
                nearest = min(nearest, distance)
            lower[row] = nearest - bound[row]
        return finish(problem, mask, lower)

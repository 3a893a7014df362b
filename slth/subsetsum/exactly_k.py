"""Exactly k kept: the random fixed-size subset sum problem of Natale et al. (2024)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from slth.errors import BadInput
from slth.subsetsum import Problem, Solution, Solver
from slth.subsetsum._account import bounds, finish, refuse_more_than

MOST = 32


@final
@dataclass(frozen=True)
class ExactlyK(Solver):
    """The nearest of the subsets that keep exactly k usable values, by meet in the middle.

    Up to 32 usable values, about k 2^(n/2) steps a row and 3 MiB at n = 32. Where fewer than k
    values are usable, none exists, whatever the (empty) mask's error. Rows whose values add up
    beyond 2^999 are given up. Raises BadInput above 32 usable values and for k < 0.
    """

    k: int = field(default=3, metadata={"help": "how many values to keep"})

    def __call__(self, problem: Problem) -> Solution:
        from slth.subsetsum._sized import Sized

        values, targets, _ = problem.rows()
        if self.k < 0:
            raise BadInput("k", self.k, "0 or more", "count the values to keep")
        refuse_more_than(MOST, values)
        bound = bounds(values, targets, np.arange(len(targets)))
        mask = np.zeros(problem.shape, np.bool_)
        lower = np.full(len(targets), -np.inf)
        sized = None
        for row in np.flatnonzero(~np.isnan(bound)):
            own = values[row if len(values) > 1 else 0]
            usable = np.flatnonzero(own)
            if len(usable) < self.k:
                lower[row] = np.inf
                continue
            if sized is None or len(values) > 1:
                sized = Sized(own[usable])
            distance, mask[row, usable] = sized.nearest(targets[row], self.k)
            lower[row] = distance - bound[row]
        return finish(problem, mask, lower, admissible=mask.sum(axis=1) == self.k)

"""The one value nearest to the target: what matching by a single product can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from slth.subsetsum import Problem, Solution, Solver
from slth.subsetsum._account import finish


@final
@dataclass(frozen=True)
class BestSingle(Solver):
    """Keep the value nearest to the target (the first of equals), or none if zero is nearer.

    Any number of values. It says solved or gave up, never that none exists unless the target is out
    of reach of all sums; without an epsilon it cannot prove an optimum and always gives up.
    """

    def __call__(self, problem: Problem) -> Solution:
        values, targets, _ = problem.rows()
        with np.errstate(over="ignore"):
            distance = np.abs(values - targets[:, None])
        nearest = distance.argmin(axis=1)
        rows = np.arange(len(targets))
        mask = np.zeros(problem.shape, np.bool_)
        # padding is as far as zero is, so the strict comparison never keeps it
        mask[rows, nearest] = distance[rows, nearest] < np.abs(targets)
        return finish(problem, mask)

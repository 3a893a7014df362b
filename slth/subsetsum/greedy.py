"""Largest first: keep every value that brings the sum nearer to the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from slth.subsetsum import Problem, Solution, Solver
from slth.subsetsum._account import finish


@final
@dataclass(frozen=True)
class Greedy(Solver):
    """One pass in order of falling magnitude (stable), keeping what reduces the distance.

    Any number of values, O(n log n) a row. It says solved or gave up, never that none exists unless
    the target is out of reach of all sums; without an epsilon it always gives up.
    """

    def __call__(self, problem: Problem) -> Solution:
        values, targets, _ = problem.rows()
        order = np.argsort(-np.abs(values), axis=1, kind="stable")
        falling = np.take_along_axis(values, order, axis=1)
        rest = targets.copy()
        taken = np.zeros(problem.shape, np.bool_)
        with np.errstate(over="ignore"):
            for step in range(taken.shape[1]):
                after = rest - falling[:, step]
                taken[:, step] = np.abs(after) < np.abs(rest)
                rest = np.where(taken[:, step], after, rest)
        mask = np.zeros_like(taken)
        np.put_along_axis(mask, np.broadcast_to(order, mask.shape), taken, axis=1)
        return finish(problem, mask)

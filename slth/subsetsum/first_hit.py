"""Is there a subset within epsilon? Grow the list of values and stop at the first hit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from slth.errors import BadInput
from slth.subsetsum import Problem, Solution, Solver
from slth.subsetsum._account import finish, spread

MOST = 44


@final
@dataclass(frozen=True)
class FirstHit(Solver):
    """A subset within epsilon from as few leading values as possible; works with any number.

    A few values usually suffice, so the cost is that of the smallest sufficient prefix: about
    1/sqrt(epsilon) steps, not 2^(n/2). Up to 11 values all their sums are listed, which needs no
    sort and no jump; beyond, two sorted lists take in a value at a time. The search is complete
    over the first `window` usable values: a hit there uses the smallest prefix that holds any
    solution (up to the rounding of half-sums), and stays the same when values are appended.
    `Solution.used` is that prefix.
    Further on, what is left of the target is carried to a fresh window: all values of its sign
    where it is out of the window's reach, else the nearest miss is kept and its rest is searched.

    window: 1 to 44 usable values; a thread holds four lists of 2^(window/2) float64 (8 MiB at 36).
    threads: None for all cores. Rows are given up where sums pass 2^999. None exists is claimed
    only within one window, or for targets out of reach. Raises BadInput without an epsilon.
    """

    window: int = field(default=36, metadata={"help": "usable values searched at a time, 1 to 44"})
    threads: int | None = field(default=None, metadata={"help": "at most so many; all cores"})

    def __call__(self, problem: Problem) -> Solution:
        from slth.subsetsum._kernels import first_hit_rows

        values, targets, epsilon = problem.rows(needs_epsilon=True)
        if not 1 <= self.window <= MOST:
            raise BadInput("window", self.window, f"1 to {MOST}", "36 is a good choice")
        mask = np.zeros(problem.shape, np.bool_)
        lower = np.full(len(targets), -np.inf)
        used = np.full(len(targets), mask.shape[1], np.int64)
        capacity = 2 ** (min(self.window, mask.shape[1]) // 2) + 1

        def work(start: int, stop: int) -> None:
            first_hit_rows(
                values, targets, epsilon, self.window, capacity, mask, used, lower, start, stop
            )

        spread(len(targets), work, self.threads)
        return finish(problem, mask, lower, used, self.threads)

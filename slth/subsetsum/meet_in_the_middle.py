"""Horowitz and Sahni (1974): the optimum from the sorted sums of either half, by one walk."""

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
class MeetInTheMiddle(Solver):
    """The best of all 2^n subsets of n usable values, in O(2^(n/2)) time and memory a row.

    Up to 44 usable values; a thread holds four lists of 2^ceil(n/2) float64: 32 KiB at n = 20,
    128 MiB at n = 44. Changed from the paper: half-sums stay sorted by merging instead of by a sort
    (n fewer comparisons a sum), and masks are traced from the best pair afterwards.

    limit: use only the first so many usable values of each row (rows with more can then be solved
    but no optimum or absence is claimed for them). threads: None for all cores.
    Without an epsilon `SOLVED` means optimal up to the rounding of the half-sums. Rows whose values
    add up beyond 2^999 are given up. Raises BadInput above 44 usable values.
    """

    limit: int | None = field(
        default=None, metadata={"help": "use only so many usable values a row, at most 44"}
    )
    threads: int | None = field(default=None, metadata={"help": "at most so many; all cores"})

    def __call__(self, problem: Problem) -> Solution:
        from slth.subsetsum._kernels import optimum_rows

        values, targets, _ = problem.rows()
        if self.limit is not None and not 0 <= self.limit <= MOST:
            raise BadInput("limit", self.limit, f"0 to {MOST}, or None", "choose a smaller prefix")
        limit = MOST if self.limit is None else self.limit
        most = int(np.count_nonzero(values, axis=1).max())
        if self.limit is None and most > MOST:
            raise BadInput(
                "values",
                f"{most} usable values in a row",
                f"up to {MOST}",
                "use SchroeppelShamir up to 60, FirstHit, Greedy or BestSingle, or set limit",
            )
        mask = np.zeros(problem.shape, np.bool_)
        lower = np.full(len(targets), -np.inf)
        capacity = 2 ** ((min(limit, most) + 1) // 2) + 1

        def work(start: int, stop: int) -> None:
            optimum_rows(values, targets, limit, capacity, mask, lower, start, stop)

        spread(len(targets), work, self.threads)
        return finish(problem, mask, lower, threads=self.threads)

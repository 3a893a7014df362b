"""The sparsest subset within epsilon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from slth.subsetsum import Problem, Solution, Solver
from slth.subsetsum._account import bounds, errors, finish, refuse_more_than, spread

MOST = 32


@final
@dataclass(frozen=True)
class MinimumCardinality(Solver):
    """Fewest kept values with an error within epsilon: meet in the middle, one cardinality a time.

    Up to 32 usable values, about n 2^(n/2) steps a row and 3 MiB at n = 32. Of the smallest
    cardinality that meets epsilon (up to the rounding of half-sums) the nearest subset is returned.
    threads: None for all cores; answers do not depend on it. Raises BadInput above 32 usable values
    and without an epsilon.
    """

    threads: int | None = field(default=None, metadata={"help": "at most so many; all cores"})

    def __call__(self, problem: Problem) -> Solution:
        from slth.subsetsum._sized import sized_rows

        values, targets, epsilon = problem.rows(needs_epsilon=True)
        assert epsilon is not None
        refuse_more_than(MOST, values)
        bound = bounds(values, targets, np.arange(len(targets)))
        mask = np.zeros(problem.shape, np.bool_)
        nearest = np.full(len(targets), np.inf)
        least, reached = np.zeros((2, len(targets)), np.int64)
        enough = epsilon + bound
        half = (int(np.count_nonzero(values, axis=1).max()) + 1) // 2
        rows = np.flatnonzero(~np.isnan(bound))
        while rows.size:  # again only where a subset near enough in floats is not so exactly

            def work(start: int, stop: int, rows: NDArray[np.intp] = rows) -> None:
                sized_rows(
                    values, targets, least, MOST, enough, half, mask, nearest, reached, rows,
                    start, stop,
                )  # fmt: skip

            spread(len(rows), work, self.threads)
            rows = rows[reached[rows] >= 0]
            own = values[rows] if len(values) > 1 else values
            exact = errors(own, mask[rows], targets[rows], self.threads)
            rows = rows[exact > epsilon[rows]]
            least[rows] = reached[rows] + 1
        lower = np.where(np.isnan(bound), -np.inf, nearest - np.nan_to_num(bound))
        return finish(problem, mask, lower, threads=self.threads)

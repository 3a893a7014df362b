"""Exactly k kept: the random fixed-size subset sum problem of Natale et al. (2024)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from slth.errors import BadInput
from slth.subsetsum import Problem, Solution, Solver
from slth.subsetsum._account import bounds, finish, refuse_more_than, spread

MOST = 32


@final
@dataclass(frozen=True)
class ExactlyK(Solver):
    """The nearest of the subsets that keep exactly k usable values, by meet in the middle.

    Up to 32 usable values, about k 2^(n/2) steps a row and 3 MiB at n = 32. Where fewer than k
    values are usable, none exists, whatever the (empty) mask's error. Rows whose values add up
    beyond 2^999 are given up. threads: None for all cores; answers do not depend on it. Raises
    BadInput above 32 usable values and for k < 0.
    """

    k: int = field(default=3, metadata={"help": "how many values to keep"})
    threads: int | None = field(default=None, metadata={"help": "at most so many; all cores"})

    def __call__(self, problem: Problem) -> Solution:
        from slth.subsetsum._sized import sized_rows

        values, targets, _ = problem.rows()
        if self.k < 0:
            raise BadInput("k", self.k, "0 or more", "count the values to keep")
        refuse_more_than(MOST, values)
        bound = bounds(values, targets, np.arange(len(targets)))
        usable = np.broadcast_to(np.count_nonzero(values, axis=1), targets.shape)
        rows = np.flatnonzero(~np.isnan(bound) & (usable >= self.k))
        mask = np.zeros(problem.shape, np.bool_)
        nearest = np.full(len(targets), np.inf)
        least, reached = np.full((2, len(targets)), self.k)
        never = np.full(len(targets), -1.0)
        half = (int(usable.max()) + 1) // 2

        def work(start: int, stop: int) -> None:
            sized_rows(
                values, targets, least, self.k, never, half, mask, nearest, reached, rows,
                start, stop,
            )  # fmt: skip

        spread(len(rows), work, self.threads)
        lower = np.where(np.isnan(bound), -np.inf, nearest - np.nan_to_num(bound))
        admissible = mask.sum(axis=1) == self.k
        return finish(problem, mask, lower, threads=self.threads, admissible=admissible)

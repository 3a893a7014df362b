"""Horowitz and Sahni (1974): the optimum from the sorted sums of either half, by one walk.

Where many targets share their values, the halves are unequal and the larger one is a table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.subsetsum import Floats, Problem, Solution, Solver
from slth.subsetsum._account import bounds, finish, spread
from slth.threads import workers

MOST, TABLED = 44, 22


@final
@dataclass(frozen=True)
class MeetInTheMiddle(Solver):
    """The best of all 2^n subsets of n usable values, in O(2^(n/2)) time and memory a row.

    Up to 44 usable values; a thread holds four lists of 2^ceil(n/2) float64: 32 KiB at n = 20,
    128 MiB at n = 44. Changed from the paper: half-sums stay sorted by merging instead of by a sort
    (n fewer comparisons a sum), and masks are traced from the best pair afterwards.

    Values `[n]` that rows share are cut unevenly: with k of them in a sorted table, which is built
    once, a target asks it 2^(n-k) times. The measured costs choose k, or two half-lists for few
    targets. The answers are the same to the last bit: a row in which another subset comes as near
    as the best, up to rounding, is left to the half-lists, whose walk meets one of them first.

    limit: use only the first so many usable values of each row (rows with more can then be solved
    but no optimum or absence is claimed for them). threads: None for all cores.
    Without an epsilon `SOLVED` means optimal up to the rounding of the half-sums. Rows whose values
    add up beyond 2^999 are given up. tabled: k, or 0 for half-lists. Raises BadInput above 44
    usable values.
    """

    limit: int | None = field(
        default=None, metadata={"help": "use only so many usable values a row, at most 44"}
    )
    threads: int | None = field(default=None, metadata={"help": "at most so many; all cores"})
    tabled: int | None = field(
        default=None, metadata={"help": "values in a table if rows share them, 0: none; by cost"}
    )

    def __call__(self, problem: Problem) -> Solution:
        values, targets, _ = problem.rows()
        if self.limit is not None and not 0 <= self.limit <= MOST:
            raise BadInput("limit", self.limit, f"0 to {MOST}, or None", "choose a smaller prefix")
        if self.tabled is not None and not 0 <= self.tabled <= TABLED:
            raise BadInput(
                "tabled", self.tabled, f"0 to {TABLED}, or None", "leave it to the costs"
            )
        limit = MOST if self.limit is None else self.limit
        most = int(np.count_nonzero(values, axis=1).max())
        if self.limit is None and most > MOST:
            raise BadInput(
                "values",
                f"{most} usable values in a row",
                f"up to {MOST}",
                "use SchroeppelShamir up to 60, FirstHit, Greedy or BestSingle, or set limit",
            )
        count = min(limit, most)
        mask = np.zeros(problem.shape, np.bool_)
        lower = np.full(len(targets), -np.inf)
        rows = np.arange(len(targets))
        tabled = self._tabled(count, len(targets)) if problem.shared else 0
        if tabled:
            rows = _by_table(problem, count, tabled, mask, lower, self.threads)
        if rows.size:
            _by_half_lists(problem, limit, count, rows, mask, lower, self.threads)
        return finish(problem, mask, lower, threads=self.threads)

    def _tabled(self, count: int, rows: int) -> int:
        """How many of a row's values go into a table; 0 for none."""
        from slth.subsetsum._costs import tabled_values

        if self.tabled == 0 or count == 0:
            return 0
        if self.tabled is not None:
            return min(count, max(self.tabled, count - TABLED))
        cores = max(1, workers() if self.threads is None else self.threads)
        return tabled_values(count, rows, cores)


def _by_half_lists(
    problem: Problem,
    limit: int,
    count: int,
    rows: NDArray[np.intp],
    mask: NDArray[np.bool_],
    lower: Floats,
    threads: int | None,
) -> None:
    """Writes the masks of those rows, and what no subset of theirs can beat."""
    from slth.subsetsum._kernels import optimum_rows

    values, targets, _ = problem.rows()
    capacity = 2 ** ((count + 1) // 2) + 1
    all_of_them = len(rows) == len(targets)  # others only where rows share their values
    masks, floors = (mask, lower) if all_of_them else (mask[rows], lower[rows])
    aims = targets if all_of_them else targets[rows]

    def work(start: int, stop: int) -> None:
        optimum_rows(values, aims, limit, capacity, masks, floors, start, stop)

    spread(len(rows), work, threads)
    if not all_of_them:
        mask[rows], lower[rows] = masks, floors


def _by_table(
    problem: Problem,
    count: int,
    tabled: int,
    mask: NDArray[np.bool_],
    lower: Floats,
    threads: int | None,
) -> NDArray[np.intp]:
    """Writes what a table of the shared values' sums decides; returns the rows that it does not."""
    from slth.subsetsum._table import Table, table_rows

    values, targets, _ = problem.rows()
    place = np.flatnonzero(values[0])
    whole = len(place) == count
    place = place[:count]
    own, rows = values[0, place], np.arange(len(targets))
    bound = bounds(values, targets, rows)
    sure = np.zeros(len(rows), np.bool_)
    if np.isnan(bound).all():  # where even one value's sums may overflow
        return rows
    table = Table.of(own, tabled)

    def work(start: int, stop: int) -> None:
        table_rows(table, own, place, targets, bound, mask, lower, sure, start, stop)

    spread(len(rows), work, threads)
    if not whole:
        lower[:] = -np.inf
    return np.flatnonzero(~sure)

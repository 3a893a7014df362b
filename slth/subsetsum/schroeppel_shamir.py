"""Schroeppel and Shamir (1981): the optimum in a quarter's memory, streamed in sorted ranges."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from slth.subsetsum import Floats, Problem, Solution, Solver
from slth.subsetsum._account import bounds, errors, finish, refuse_more_than, spread
from slth.threads import workers

if TYPE_CHECKING:
    from slth.subsetsum._ranges import Found

MOST = 60


@final
@dataclass(frozen=True)
class SchroeppelShamir(Solver):
    """The best of all 2^n subsets of up to 60 usable values, in O(2^(n/4)) memory a thread.

    Each half's sums are sums of two quarters' sums, so those between any two numbers can be listed
    without the others. Changed from the paper: no heaps; the line is cut into ranges with some ten
    thousand sums of either half, which are listed, sorted and compared in a cache, O(n 2^(n/2))
    steps in all. A range's answer depends on nothing else, so threads share a single row.

    Without an epsilon `SOLVED` means optimal up to the rounding of the half-sums. With one, the
    first range found to hold a subset within epsilon ends the search: the nearest subset may be
    another. CPU seconds a row on one core of a server: 0.014 at n = 40, 0.06 at 44, 0.25 at 48, 1.0
    at 52, 4.6 at 56; MeetInTheMiddle is quicker below about 36 values, where its lists fit a cache.
    threads: None for all cores; answers do not depend on it. Rows whose values add up beyond 2^999
    are given up. Raises BadInput above 60 usable values.
    """

    threads: int | None = field(default=None, metadata={"help": "at most so many; all cores"})

    def __call__(self, problem: Problem) -> Solution:
        values, targets, epsilon = problem.rows()
        refuse_more_than(MOST, values)
        bound = bounds(values, targets, np.arange(len(targets)))
        mask = np.zeros(problem.shape, np.bool_)
        lower = np.full(len(targets), -np.inf)
        threads = workers() if self.threads is None else self.threads
        inside = max(1, threads // len(targets))

        def work(start: int, stop: int) -> None:
            for row in range(start, stop):
                if not np.isnan(bound[row]):
                    own = values[row if len(values) > 1 else 0]
                    tolerance = None if epsilon is None else float(epsilon[row])
                    halves = _Halves(own, float(targets[row]))
                    mask[row], lower[row] = halves.solve(tolerance, float(bound[row]), inside)

        spread(len(targets), work, self.threads)
        return finish(problem, mask, lower, threads=self.threads)


class _Halves:
    """One row as two lists of sums: x of half the values, y = target - the sums of the others."""

    def __init__(self, own: Floats, target: float) -> None:
        from slth.subsetsum._ranges import Sums

        usable = np.flatnonzero(own)
        self.own, self.target = own, target
        self.places = [usable[k::4] for k in range(4)]
        quarters = [_subset_sums(own[place]) for place in self.places]
        self.subsets = [subsets for _, subsets in quarters]
        # reversed, because y falls where the sums rise
        self.x = Sums(quarters[0][0], quarters[2][0])
        self.y = Sums(target - quarters[1][0][::-1], -quarters[3][0][::-1])
        self.subsets[1], self.subsets[3] = self.subsets[1][::-1], self.subsets[3][::-1]

    def mask(self, found: Found) -> NDArray[np.bool_]:
        """The subset behind a pair of sums."""
        at = (*self.x.where(found[1]), *self.y.where(found[2]))
        mask = np.zeros(len(self.own), np.bool_)
        for quarter, i in zip((0, 2, 1, 3), at, strict=True):
            place = self.places[quarter]
            mask[place] = (self.subsets[quarter][i] >> np.arange(len(place))) & 1
        return mask

    def meets(self, found: Found, epsilon: float, bound: float) -> bool:
        """Whether the subset's exact error is within epsilon."""
        if found[0] > epsilon + bound:
            return False
        error = errors(self.own[None], self.mask(found)[None], np.array([self.target]), 1)
        return bool(error[0] <= epsilon)

    def solve(
        self, epsilon: float | None, bound: float, threads: int
    ) -> tuple[NDArray[np.bool_], float]:
        """A mask, and the error that no subset beats: -inf where a hit ended the search."""
        from slth.subsetsum._ranges import nearest, ranges

        best = (np.inf, 0.0, 0.0)
        todo = ranges(self.x, self.y)
        with closing(_in_order(partial(nearest, self.x, self.y), todo, threads)) as stream:
            for found in stream:
                if epsilon is not None and self.meets(found, epsilon, bound):
                    return self.mask(found), -np.inf
                if found[0] < best[0]:
                    best = found
        return self.mask(best), best[0] - bound


def _subset_sums(values: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Every subset's sum, ascending, and which subset it is, as bits."""
    sums = np.zeros(1)
    for v in values:
        sums = np.concatenate([sums, sums + v])
    order = np.argsort(sums, kind="stable")
    return sums[order], order


def _in_order(
    work: Callable[[tuple[float, float]], Found],
    items: Iterable[tuple[float, float]],
    threads: int,
) -> Generator[Found]:
    """work(item) of each, in order, a few items ahead on other threads; closing it stops early."""
    if threads <= 1:
        yield from map(work, items)
        return
    rest = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Found]] = deque(
            pool.submit(work, item) for item in islice(rest, 2 * threads)
        )
        try:
            while ahead:
                yield ahead.popleft().result()
                ahead.extend(pool.submit(work, item) for item in islice(rest, 1))
        finally:
            for waiting in ahead:
                waiting.cancel()

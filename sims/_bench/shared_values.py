"""Many targets, one set of values: a table of sums against two half-lists a target."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sims._bench import SEED, Row, timed
from slth.subsetsum import Problem
from slth.subsetsum._costs import tabled_values
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle

MOST = 2e8  # half-sums walked a repeat: of many long rows half-lists are given fewer


def shared_values() -> Iterator[Row]:
    rng = np.random.default_rng(SEED + 2)
    for n in (16, 20, 24):
        row = rng.uniform(-1, 1, n)
        for count in (10, 1000, 100_000):
            group = f"exact optimum, n = {n}, values shared by {count:,} targets, 1 thread"
            problem = Problem(row, rng.uniform(-0.5, 0.5, count))
            few = Problem(row, problem.targets[: int(MOST / 2 ** (n / 2))])
            yield _row(group, "two half-lists a target", few, 0)
            k = tabled_values(n, count, 1)
            if k:
                yield _row(group, f"a table of 2^{k} sums, as the costs choose", problem, None)


def _row(group: str, name: str, problem: Problem, tabled: int | None) -> Row:
    solver = MeetInTheMiddle(threads=1, tabled=tabled)
    units = problem.shape[0]
    return timed(group, name, "target", lambda: solver(problem), units=units, repeats=5)

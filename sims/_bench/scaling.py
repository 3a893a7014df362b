"""Cost of an exact optimum on one core against n, and memory at the largest n."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from sims._bench import SEED, Row, in_fresh_process, timed
from slth.subsetsum import Problem, Solver
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle
from slth.subsetsum.schroeppel_shamir import SchroeppelShamir

OWN, SHARED, RANGES = "MeetInTheMiddle", "MeetInTheMiddle, 1000 share", "SchroeppelShamir"
GROUP = "exact optimum against n, own values, 1 thread"
LENGTHS = tuple(range(12, 45))
LISTS = 4  # float64 lists of 2^ceil(n/2) sums that MeetInTheMiddle holds


def scaling(lengths: Sequence[int] = LENGTHS, seconds: float = 0.1) -> Iterator[Row]:
    """Repeats of about so many seconds each."""
    rng = np.random.default_rng(SEED + 3)
    for n in lengths:
        yield _own(rng, OWN, MeetInTheMiddle(threads=1), n, 1e-6 + 6e-9 * 2 ** (n / 2), seconds)
    for n in (n for n in lengths if n % 4 == 0):
        step = 6e-5 + 1.5e-8 * 2 ** (n / 2)
        yield _own(rng, RANGES, SchroeppelShamir(threads=1), n, step, seconds)
    for n in (n for n in lengths if n % 4 == 0 and n <= 32):
        problem = Problem(rng.uniform(-1, 1, n), rng.uniform(-0.5, 0.5, 1000))
        solver = MeetInTheMiddle(threads=1)
        yield timed(
            GROUP, SHARED, "weight", lambda s=solver, p=problem: s(p), units=1000,
            repeats=3 if n > 28 else 5, n=n,
        )  # fmt: skip
    if lengths[-1] == LENGTHS[-1]:
        yield memory("MeetInTheMiddle", "meet_in_the_middle", 44)
        yield memory("SchroeppelShamir", "schroeppel_shamir", 44)


def _own(
    rng: np.random.Generator, name: str, solver: Solver, n: int, cost: float, seconds: float
) -> Row:
    rows = max(1, min(4000, int(seconds / cost)))
    problem = Problem(rng.uniform(-1, 1, (rows, n)), rng.uniform(-0.5, 0.5, rows))
    return timed(
        GROUP, name, "weight", lambda: solver(problem), units=rows,
        repeats=7 if n < 40 else 3, n=n,
    )  # fmt: skip


def memory(name: str, module: str, n: int) -> Row:
    """What a fresh process that solves one row of n values holds at most."""
    seconds, peak, note = in_fresh_process(PEAK.format(module=module, name=name, n=n))
    return Row(
        f"memory of a worker, one optimum, n = {n}", name, "weight", seconds,
        (seconds, seconds), 1, note=note, peak=peak, peak_goal=1e9,
    )  # fmt: skip


PEAK = """
import time
import numpy as np
from slth.subsetsum import Problem
from slth.subsetsum.{module} import {name}
rng = np.random.default_rng(44)
values = rng.uniform(-1, 1, (1, {n}))
solver = {name}(threads=1)
solver(Problem(values[:, :8], [0.1]))
before = peak()
start = time.perf_counter()
solver(Problem(values, [0.1]))
seconds = time.perf_counter() - start
print(seconds, peak(), f"{{before / 2**20:.0f}} MiB of it before the row", sep="|")
"""


def exponents(rows: Sequence[Row], name: str) -> list[tuple[int, float]]:
    """(n, d log2 cost / dn) of a series: doublings per value, over four values around n."""
    cost = {row.n: row.seconds for row in rows if row.group == GROUP and row.name == name}
    found = []
    for n in sorted(n for n in cost if n is not None):
        low, high = cost.get(n - 2), cost.get(n + 2)
        if low and high:
            found.append((n, math.log2(high / low) / 4))
    return found


def leaves(caches: dict[str, int]) -> dict[str, int]:
    """For each cache the first n whose lists do not fit it."""
    return {
        level: next((n for n in LENGTHS if LISTS * 8 * 2 ** ((n + 1) // 2) > size), LENGTHS[-1] + 1)
        for level, size in caches.items()
    }

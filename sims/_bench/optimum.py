"""Exact optima, every weight its own values, beside the limit and beside every peer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numba import njit

from sims._bench import SEED, Row, plural, timed
from sims._bench._peers import OPTIMA, optima, peer_row
from slth.subsetsum import Floats, Problem
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle

COUNT = 4000


def optimum() -> Iterator[Row]:
    rng = np.random.default_rng(SEED)
    values, targets = rng.uniform(-1, 1, (COUNT, 21)), rng.uniform(-0.5, 0.5, COUNT)
    group = "exact optimum, n = 21, own values"
    yield from _ours(group, Problem(values, targets), 12e-6)
    for peer in OPTIMA:
        yield peer_row(group, peer, "weight", values, targets, optima(values, targets))
    group = "exact optimum, n = 20, own values"
    yield timed(
        group, "its two half-lists written once, unsorted, in L1", "weight",
        half_lists(values[0, :20]), units=WRITES,
        note="2 × 1024 float64 by doubling: no solver that lists them can be quicker",
    )  # fmt: skip
    yield from _ours(group, Problem(values[:, :20], targets), 8e-6)


def _ours(group: str, problem: Problem, goal: float) -> Iterator[Row]:
    for threads in (1, 2):
        solver = MeetInTheMiddle(threads=threads)
        yield timed(
            group, f"MeetInTheMiddle, {plural(threads)}", "weight", lambda s=solver: s(problem),
            units=COUNT, goal=goal if threads == 1 else None,
        )  # fmt: skip


WRITES = 20_000


def half_lists(values: Floats) -> Callable[[], object]:
    """Writes the sums of either half of the values WRITES times over, in the same memory."""
    room = np.empty((2, 1 << (len(values) + 1) // 2))

    def work() -> float:
        return float(_write(values, room, WRITES))

    return work


@njit(cache=True, nogil=True)
def _write(values, room, times):  # type: ignore[no-untyped-def]
    checked = 0.0
    for t in range(times):
        for half in range(2):
            sums = room[half]
            sums[0] = 1e-9 * t  # another list each time, or the compiler writes it once
            size = 1
            for p in range(half, values.size, 2):
                v = values[p]
                for i in range(size):
                    sums[size + i] = sums[i] + v
                size *= 2
            checked += sums[t % size]
    return checked

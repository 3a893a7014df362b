"""The other exact solvers, and the one that chooses between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sims._bench import SEED, Row, timed
from slth.subsetsum import Problem, Solver
from slth.subsetsum.auto import Auto
from slth.subsetsum.exactly_k import ExactlyK
from slth.subsetsum.minimum_cardinality import MinimumCardinality
from slth.subsetsum.schroeppel_shamir import SchroeppelShamir
from slth.subsetsum.vector_meet_in_the_middle import VectorMeetInTheMiddle

ROWS = 5000  # a call's own time, and a table's, are then less than a tenth of it


def other_solvers() -> Iterator[Row]:
    rng = np.random.default_rng(SEED + 4)

    def row(name: str, solver: Solver, problem: Problem, repeats: int = 5) -> Row:
        rows = problem.shape[0]
        return timed(
            "other solvers, 1 thread", name, "weight", lambda: solver(problem), units=rows,
            repeats=repeats,
        )  # fmt: skip

    values, targets = rng.uniform(-1, 1, (ROWS, 21)), rng.uniform(-0.2, 0.2, ROWS)
    sparse = Problem(values, targets, 0.01)
    yield row("MinimumCardinality, n = 21, epsilon = 0.01", MinimumCardinality(threads=1), sparse)
    yield row("ExactlyK, n = 21, k = 7", ExactlyK(7, threads=1), Problem(values, targets))
    for n, rows, repeats in ((40, 2, 5), (48, 1, 3), (52, 1, 3)):
        long = Problem(rng.uniform(-1, 1, (rows, n)), rng.uniform(-0.2, 0.2, rows))
        yield row(f"SchroeppelShamir, n = {n}", SchroeppelShamir(threads=1), long, repeats)
    for d in (2, 3, 4):
        vectors = Problem(rng.uniform(-1, 1, (10, 20, d)), rng.uniform(-0.2, 0.2, (10, d)))
        solver = VectorMeetInTheMiddle(threads=1)
        yield row(f"VectorMeetInTheMiddle, n = 20, {d} coordinates", solver, vectors)
    yield row("Auto, n = 21, epsilon = 0.01", Auto(threads=1), sparse)
    yield row("Auto, n = 21, the optimum", Auto(threads=1), Problem(values, targets))

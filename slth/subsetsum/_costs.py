"""What each solver costs on one core: two measured constants a solver, and how its steps grow."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np

from slth.subsetsum import Problem, Solver, load


class Cost(NamedTuple):
    """CPU seconds: of a row, and of each of its `Size.steps`."""

    row: float
    step: float


# CPU seconds on one core of a server of 2025, values uniform on [-1, 1]. Measure your own with
#   python -c "import numpy as np; from slth.subsetsum._costs import measure
#   print(measure(np.random.default_rng(0)))"
COSTS = {
    "exhaustive": Cost(row=1.7e-05, step=4.2e-09),
    "first_hit": Cost(row=2.1e-07, step=1.5e-08),
    "meet_in_the_middle": Cost(row=9.3e-07, step=6.3e-09),
    "meet_in_the_middle, shared": Cost(row=4.3e-07, step=3.2e-09),
    "meet_in_the_middle, table": Cost(row=1.6e-07, step=5.4e-09),
    "schroeppel_shamir": Cost(row=6.4e-05, step=1.5e-08),
    "vector_meet_in_the_middle": Cost(row=1.2e-04, step=1.2e-07),
}


ROWS = (2000, 40)  # measured: of short rows and of long ones
TABLED = 12  # measured: values in the table

# A table of 2^k sums that targets share: what an entry costs, in lookups, and its start.
ENTRY, START = 1.2, 2e-5
LARGEST = 22  # values of a table


def table_seconds(usable: int, tabled: int, rows: int, cores: int) -> float:
    """Predicted for rows that share their values, `tabled` of them in one core's table."""
    row, step = COSTS["meet_in_the_middle, table"]
    asking = rows * (row + step * 2.0 ** (usable - tabled)) / min(cores, rows)
    return START + step * ENTRY * 2.0**tabled + asking


def best_table(usable: int, rows: int, cores: int) -> int:
    """Values in the cheapest table: as many entries as lookups, all rows' together, and no more."""
    entries_and_lookups = usable + math.log2(rows / (ENTRY * min(cores, rows)))
    return max(1, usable - LARGEST, min(usable, LARGEST, round(entries_and_lookups / 2)))


def tabled_values(usable: int, rows: int, cores: int) -> int:
    """Values in the table with which so many rows cost least; 0 where two half-lists cost less."""
    row, step = COSTS["meet_in_the_middle, shared"]
    lists = rows * (row + step * 2.0 ** (usable / 2)) / min(cores, rows)
    tabled = best_table(usable, rows, cores)
    return tabled if table_seconds(usable, tabled, rows, cores) < lists else 0


class Size(NamedTuple):
    """What the model looks at in a problem."""

    rows: int
    usable: int  # in the fullest row
    halves: float  # 2^(usable / 2), the mean over rows
    subsets: float  # 2^usable likewise
    d: int
    shared: bool
    prefix: float | None  # about so many values hold a subset within epsilon; None: no epsilon

    @classmethod
    def of(cls, problem: Problem) -> Size:
        parts = problem.coordinates()
        nonzero = np.any([values != 0 for values, _ in parts], axis=0)
        usable = np.count_nonzero(nonzero, axis=1)
        return cls(
            rows=problem.shape[0],
            usable=int(usable.max()),
            halves=float(np.exp2(np.minimum(usable, 200) / 2).mean()),
            subsets=float(np.exp2(np.minimum(usable, 200)).mean()),
            d=len(parts),
            shared=problem.shared,
            prefix=None if problem.epsilon is None else _prefix(problem),
        )

    def steps(self, name: str) -> float:
        """Steps a row, in units that `COSTS` prices."""
        if name == "exhaustive":
            return self.subsets * self.d
        if name == "table":
            return 2.0 ** (self.usable - TABLED) + ENTRY * 2.0**TABLED / self.rows
        if name == "vector_meet_in_the_middle":
            return self.halves * self.d
        if self.prefix is None or name == "meet_in_the_middle":
            return self.halves
        if name == "first_hit":
            return min(self.halves, math.exp2(self.prefix / 2))
        # a search by ranges ends with the first hit, but takes one range at least
        least = min(1.0, 2.0**15 / self.halves)
        return self.halves * max(least, 1.0 / (1.0 + math.exp2(self.usable - self.prefix)))

    def seconds(self, name: str, cores: int) -> float:
        """Predicted for the whole problem by the solver of that name on so many cores."""
        cost = COSTS[f"{name}, shared" if self.shared and f"{name}, shared" in COSTS else name]
        if name == "exhaustive":
            cores = 1
        elif name != "schroeppel_shamir":  # which shares a single row between cores
            cores = min(cores, self.rows)
        seconds = self.rows * (cost.row + cost.step * self.steps(name)) / cores
        if name == "meet_in_the_middle" and self.shared:
            tabled = best_table(self.usable, self.rows, cores)
            return min(seconds, table_seconds(self.usable, tabled, self.rows, cores))
        return seconds


def _prefix(problem: Problem) -> float:
    """The k at which 2^k sums, spread as normal ones, hold one within epsilon of a near target."""
    values = problem.coordinates()[0][0][:1000]
    largest = float(np.abs(values).max())
    if largest == 0.0:
        return 1.0
    spread = math.sqrt(float(((values[values != 0] / largest) ** 2).mean()))
    epsilon = float(np.median(np.asarray(problem.epsilon)))
    k = max(1.0, math.log2(largest) + math.log2(spread) - math.log2(epsilon))
    return min(200.0, max(1.0, k + math.log2(k) / 2 + math.log2(math.sqrt(math.tau) / 4)))


def measure(rng: np.random.Generator) -> dict[str, Cost]:
    """COSTS of this machine, each from short and long rows drawn from rng; about ten seconds."""
    one: Any = {"threads": 1}
    loose_and_tight = (1e-2, 1e-7)
    costs = {
        "exhaustive": _fit(load("exhaustive")(), "exhaustive", (4, 14), rng),
        "first_hit": _fit(
            load("first_hit")(**one), "first_hit", (40, 40), rng, epsilon=loose_and_tight
        ),
    }
    for name in ("meet_in_the_middle", "schroeppel_shamir", "vector_meet_in_the_middle"):
        d = 2 if name.startswith("vector") else None
        short = 16 if name == "schroeppel_shamir" else 10
        costs[name] = _fit(load(name)(**one), name, (short, 32), rng, d=d)
    shared: Any = load("meet_in_the_middle")
    costs["meet_in_the_middle, shared"] = _fit(
        shared(**one, tabled=0), "meet_in_the_middle", (10, 32), rng, shared=True
    )
    costs["meet_in_the_middle, table"] = _fit(
        shared(**one, tabled=TABLED), "table", (TABLED, TABLED + 10), rng, shared=True
    )
    return costs


def _fit(
    solver: Solver,
    name: str,
    lengths: tuple[int, int],
    rng: np.random.Generator,
    *,
    shared: bool = False,
    d: int | None = None,
    epsilon: tuple[float, float] | None = None,
) -> Cost:
    """The cost at which both the short and the long problem take the time they took."""
    tail = () if d is None else (d,)
    points = []
    for k, n in enumerate(lengths):
        rows = ROWS[k] if epsilon is None else 2 * ROWS[0]
        shape: Any = (n, *tail) if shared else (rows, n, *tail)
        values, targets = rng.uniform(-1, 1, shape), rng.uniform(-0.2, 0.2, (rows, *tail))
        problem = Problem(values, targets, None if epsilon is None else epsilon[k])
        taken = []
        for _ in range(4):  # the first of which may compile
            start = time.process_time()
            solver(problem)
            taken.append(time.process_time() - start)
        points.append((Size.of(problem).steps(name), min(taken) / rows))
    (few, short), (many, long) = points
    step = (long - short) / (many - few)
    return Cost(row=float(f"{max(0.0, short - step * few):.2g}"), step=float(f"{step:.2g}"))

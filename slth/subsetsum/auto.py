"""The quickest solver that decides every row, by a small measured model of what each costs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.subsetsum import Problem, Solution, Solver, Status, load
from slth.threads import workers

# Usable values that each takes; of vectors only the first two.
MOST = {
    "exhaustive": 20,
    "vector_meet_in_the_middle": 40,
    "first_hit": 44,
    "meet_in_the_middle": 44,
    "schroeppel_shamir": 60,
}


class Choice(NamedTuple):
    """A solver by file name, and what the model predicts for the whole problem.

    rest: who takes the rows that the solver gives up, or None.
    """

    name: str
    seconds: float
    solver: Solver
    rest: Solver | None = None


@final
@dataclass(frozen=True)
class Auto(Solver):
    """Chooses by n, N, epsilon, d and whether values are shared, and answers as the chosen one.

    Only what decides every row is considered, never a heuristic: without an epsilon a solver that
    proves the optimum, with one a solver that finds a subset or proves that none exists. First hit
    does so up to 44 usable values; up to 60 the rows that it gives up go to SchroeppelShamir, and
    beyond it is the only one left. Seconds are predicted from costs measured on random values.
    `choice(problem)` says which and how long, `choices(problem)` all that could do it; with
    `explain` a line on stderr says both.

    Which of several subsets that do is returned depends on the choice, so on N and the cores too.

    threads: None for all cores. Raises BadInput above 60 usable values without an epsilon, and for
    vectors of more than 4 coordinates or 40 usable values.
    """

    threads: int | None = field(default=None, metadata={"help": "at most so many; all cores"})
    explain: bool = field(
        default=False, metadata={"help": "say on stderr what each solver would cost"}
    )

    def __call__(self, problem: Problem) -> Solution:
        choices = self.choices(problem)
        choice = choices[0]
        if self.explain:
            costs = ", ".join(f"{c.name} {c.seconds:.2g} s" for c in choices)
            sys.stderr.write(f"auto takes {choice.name}; predicted: {costs}\n")
        solution = choice.solver(problem)
        open_ = np.flatnonzero(solution.status == Status.GAVE_UP)
        if choice.rest is None or not open_.size:
            return solution
        return _merged(problem, solution, open_, choice.rest)

    def choice(self, problem: Problem) -> Choice:
        """The quickest solver for this problem and its predicted seconds."""
        return self.choices(problem)[0]

    def choices(self, problem: Problem) -> list[Choice]:
        """All solvers that decide every row of this problem, the quickest first."""
        from slth.subsetsum._costs import Size

        size = Size.of(problem)
        cores = max(1, workers() if self.threads is None else self.threads)
        found = [
            Choice(name, size.seconds(name, cores), self._load(name, **options), rest)
            for name, options, rest in self._able(size.usable, size.d, problem.epsilon is not None)
        ]
        if not found:
            raise BadInput(
                "values",
                f"{size.usable} usable values in a row, {size.d} coordinates",
                "up to 60; vectors up to 4 coordinates and 40; any number with epsilon",
                "use fewer values, or Greedy or BestSingle",
            )
        return sorted(found, key=lambda choice: choice.seconds)

    def _able(
        self, usable: int, d: int, epsilon: bool
    ) -> Iterator[tuple[str, dict[str, Any], Solver | None]]:
        """(name, options, who takes the rest) of all that decide every such row."""
        names = list(MOST)[:2] if d > 1 else [name for name in MOST if "vector" not in name]
        for name in names:
            if name == "vector_meet_in_the_middle" and d > 4:
                continue
            if name == "first_hit":
                if epsilon and usable <= MOST[name]:
                    yield name, {"window": max(1, usable)}, None
                elif epsilon:
                    ranges = usable <= MOST["schroeppel_shamir"]
                    yield name, {}, self._load("schroeppel_shamir") if ranges else None
            elif usable <= MOST[name]:
                yield name, {}, None

    def _load(self, name: str, **options: Any) -> Solver:
        if name != "exhaustive":
            options["threads"] = self.threads
        return load(name)(**options)


def _merged(problem: Problem, solution: Solution, rows: NDArray[np.intp], rest: Solver) -> Solution:
    """The solution with those rows answered by `rest`, which says nothing of used prefixes."""
    values = problem.values if problem.shared else problem.values[rows]
    epsilon = np.broadcast_to(np.asarray(problem.epsilon), problem.targets.shape)[rows]
    again = rest(Problem(values, problem.targets[rows], epsilon))
    mask, error, status = solution.mask.copy(), solution.error.copy(), solution.status.copy()
    mask[rows], error[rows], status[rows] = again.mask, again.error, again.status
    return replace(solution, mask=mask, error=error, status=status)

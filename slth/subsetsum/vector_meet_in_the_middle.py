"""Meet in the middle for vectors: the closest pair of two sets of points."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.subsetsum import Floats, Problem, Solution, Solver
from slth.subsetsum._account import bounds, finish, spread

MOST, DIMENSIONS = 40, 4


@final
@dataclass(frozen=True)
class VectorMeetInTheMiddle(Solver):
    """The best of all 2^n subsets of up to 40 usable vectors of up to 4 coordinates, in max norm.

    The sums of one half of the values are points, target minus the sums of the other half are
    points, and a subset's error is their distance. Points are laid into slabs and sorted, so that
    about 2^(n/2) pairs are compared where sums spread as random ones do; values on a line can cost
    2^n. The Euclidean error is at most sqrt(d) times the error in max norm; it is not minimised.

    Without an epsilon `SOLVED` means optimal up to the rounding of the half-sums. With one, the
    first pair found within it ends the search. Scalar targets count as vectors of one coordinate.
    A thread holds about 2^(n/2 + 7) bytes (128 MiB at n = 40). threads: None for all cores. Rows
    whose values add up beyond 2^999 in a coordinate are given up. Raises BadInput above 40 usable
    values or 4 coordinates.
    """

    threads: int | None = field(default=None, metadata={"help": "at most so many; all cores"})

    def __call__(self, problem: Problem) -> Solution:
        parts = problem.coordinates()
        if len(parts) > DIMENSIONS:
            raise BadInput(
                "targets",
                f"{len(parts)} coordinates",
                f"1 to {DIMENSIONS}",
                "use Exhaustive up to 20 values, or solve groups of coordinates",
            )
        values = np.stack([v for v, _ in parts], axis=1)
        targets = np.stack([t for _, t in parts], axis=1)
        usable = (values != 0).any(axis=1)
        most = int(np.count_nonzero(usable, axis=1).max())
        if most > MOST:
            raise BadInput(
                "values", f"{most} usable in a row", f"up to {MOST}", "use fewer values a row"
            )
        rows = np.arange(len(targets))
        bound = np.max([bounds(*part, rows) for part in parts], axis=0)
        epsilon = np.broadcast_to(
            -np.inf if problem.epsilon is None else problem.epsilon, rows.shape
        )
        mask = np.zeros(problem.shape, np.bool_)
        lower = np.full(len(targets), -np.inf)

        def work(start: int, stop: int) -> None:
            for row in range(start, stop):
                if np.isnan(bound[row]):
                    continue
                at = row if len(values) > 1 else 0
                places = np.flatnonzero(usable[at])
                enough = float(epsilon[row] - bound[row])
                kept, distance = _solve(values[at][:, places], targets[row], enough)
                mask[row, places] = kept
                lower[row] = -np.inf if 0 < distance <= enough else distance - bound[row]

        spread(len(targets), work, self.threads)
        return finish(problem, mask, lower, threads=self.threads)


def _solve(values: Floats, target: Floats, enough: float) -> tuple[NDArray[np.bool_], float]:
    """(mask `[n]`, its distance): the nearest of all subsets, or one of at most `enough`."""
    from slth.subsetsum._near import closest_points, distinct

    n = values.shape[1]
    cut = n // 2
    x, x_places = distinct(_points(values[:, :cut]))
    y, y_places = distinct(_points(values[:, cut:]))
    distance, i, j = closest_points(x, target[:, None] - y, max(enough, 0.0))
    bits = int(x_places[i]) | int(y_places[j]) << cut
    return ((bits >> np.arange(n)) & 1).astype(np.bool_), distance


def _points(values: Floats) -> Floats:
    """All subset sums of the vectors `[d, n]`, as points `[d, 2^n]` in binary counting order."""
    sums = np.zeros((len(values), 1))
    for k in range(values.shape[1]):
        sums = np.concatenate([sums, sums + values[:, k : k + 1]], axis=1)
    return sums

"""Every subset, in integer arithmetic: the oracle that the quick solvers are held to."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.subsetsum import Floats, Problem, Solution, Solver
from slth.subsetsum._account import finish

MOST = 20


@final
@dataclass(frozen=True)
class Exhaustive(Solver):
    """The exact optimum, whatever the floats: all 2^n sums as integers over a common denominator.

    Up to 20 usable values (a second a row where the integers pass 64 bits), scalars or vectors, the
    latter in the max norm. Among equal errors the first subset in binary counting order wins.
    Raises BadInput above 20 usable values.
    """

    def __call__(self, problem: Problem) -> Solution:
        parts = problem.coordinates()
        usable = np.any([values != 0 for values, _ in parts], axis=0)
        most = int(np.count_nonzero(usable, axis=1).max())
        if most > MOST:
            raise BadInput(
                "values",
                f"{most} usable values in a row",
                f"up to {MOST}",
                "use MeetInTheMiddle, or FirstHit beyond 44",
            )
        mask = np.zeros(problem.shape, np.bool_)
        for row in range(len(mask)):
            at = row if len(usable) > 1 else 0
            places = np.flatnonzero(usable[at])
            best = _best([(v[at, places], float(t[row])) for v, t in parts])
            mask[row, places] = (best >> np.arange(len(places))) & 1
        solution = finish(problem, mask)
        return finish(problem, mask, lower=solution.error)


def _best(parts: list[tuple[Floats, float]]) -> int:
    """The subset, as bits, whose exact sum is nearest to the target in its worst coordinate."""
    ratios = [[Fraction(float(v)) for v in (*values, target)] for values, target in parts]
    scale = max(r.denominator for part in ratios for r in part)  # all are powers of two
    error: NDArray[Any] | None = None
    for part in ratios:
        whole = [r.numerator * (scale // r.denominator) for r in part]
        dtype: Any = np.int64 if 2 * sum(map(abs, whole)) < 2**62 else object
        sums: NDArray[Any] = np.array([-whole[-1]], dtype)
        for w in whole[:-1]:
            sums = np.concatenate([sums, sums + w])
        error = np.abs(sums) if error is None else np.maximum(error, np.abs(sums))
    return int(np.argmin(error))  # type: ignore[arg-type]

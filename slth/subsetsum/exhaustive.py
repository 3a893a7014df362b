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

    Up to 20 usable values (a second a row where the integers pass 64 bits). Among equal errors the
    first subset in binary counting order wins. Raises BadInput above 20 usable values.
    """

    def __call__(self, problem: Problem) -> Solution:
        values, targets, _ = problem.rows()
        most = int(np.count_nonzero(values, axis=1).max())
        if most > MOST:
            raise BadInput(
                "values",
                f"{most} usable values in a row",
                f"up to {MOST}",
                "use MeetInTheMiddle, or FirstHit beyond 44",
            )
        mask = np.zeros(problem.shape, np.bool_)
        for row, target in enumerate(targets):
            own = values[row if len(values) > 1 else 0]
            usable = np.flatnonzero(own)
            best = _best(own[usable], float(target))
            mask[row, usable] = (best >> np.arange(len(usable))) & 1
        solution = finish(problem, mask)
        return finish(problem, mask, lower=solution.error)


def _best(values: Floats, target: float) -> int:
    """The subset, as bits, whose exact sum is nearest to target."""
    ratios = [Fraction(float(v)) for v in (*values, target)]
    scale = max(r.denominator for r in ratios)  # all are powers of two
    whole = [r.numerator * (scale // r.denominator) for r in ratios]
    dtype: Any = np.int64 if 2 * sum(map(abs, whole)) < 2**62 else object
    sums: NDArray[Any] = np.array([-whole[-1]], dtype)
    for w in whole[:-1]:
        sums = np.concatenate([sums, sums + w])
    return int(np.argmin(np.abs(sums)))

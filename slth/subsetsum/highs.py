"""The problem as a mixed-integer program for HiGHS: another implementation to check against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.subsetsum import Floats, Problem, Solution, Solver
from slth.subsetsum._account import finish

HOLD = 4e-6  # integrality and rows hold to 1e-6 each, and it drops coefficients under 1e-9


@final
@dataclass(frozen=True)
class Highs(Solver):
    """Branch and bound through `scipy.optimize.milp`: slow, for cross-checks up to 24 values.

    HiGHS works to tolerances: an epsilon below 8e-6 of a row's sum of |values| + |target| is
    refused. None exists then rests on HiGHS finding no subset within epsilon plus that tolerance.
    Without an epsilon it minimises the error but cannot prove the last digits, so it gives up with
    its best mask. nodes: branch-and-bound nodes a row. Raises BadInput above 24 usable values.
    """

    nodes: int = field(default=200_000, metadata={"help": "branch-and-bound nodes a row"})

    def __call__(self, problem: Problem) -> Solution:
        values, targets, epsilon = problem.rows()
        most = int(np.count_nonzero(values, axis=1).max())
        if most > 24:
            raise BadInput("values", f"{most} usable in a row", "up to 24", "use MeetInTheMiddle")
        with np.errstate(over="ignore"):
            scale = np.abs(values).sum(axis=1) + np.abs(targets)
        if epsilon is not None and (epsilon < 2 * HOLD * scale).any():
            row = int(np.argmax(epsilon < 2 * HOLD * scale))
            raise BadInput(
                "epsilon",
                epsilon[row],
                f"at least {2 * HOLD * scale[row]:.3g} in row {row}, what HiGHS can hold",
                "use MeetInTheMiddle",
            )
        mask = np.zeros(problem.shape, np.bool_)
        lower = np.full(len(targets), -np.inf)
        for row, target in enumerate(targets):
            own = values[row if len(values) > 1 else 0]
            usable = np.flatnonzero(own)
            if not usable.size or not np.isfinite(scale[row]):
                continue
            unit, aim = own[usable] / scale[row], target / scale[row]
            if epsilon is None:
                found, _ = self._solve(unit, aim, None)
            else:
                width = epsilon[row] / scale[row]
                found, _ = self._solve(unit, aim, width - HOLD)
                if found is None:
                    found, none = self._solve(unit, aim, width + HOLD)
                    if none:
                        lower[row] = np.nextafter(epsilon[row], np.inf)
            if found is not None:
                mask[row, usable] = found
        return finish(problem, mask, lower)

    def _solve(
        self, values: Floats, target: float, width: float | None
    ) -> tuple[NDArray[np.bool_] | None, bool]:
        """A subset within `width`, or the nearest one without it; and whether none exists."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        n = len(values)
        options: dict[str, Any] = {"node_limit": self.nodes, "mip_rel_gap": 0.0}
        if width is not None:
            result = milp(
                np.zeros(n),
                integrality=np.ones(n),
                bounds=Bounds(0, 1),
                constraints=LinearConstraint(values[None], target - width, target + width),
                options=options,
            )
        else:  # least z with -z <= values @ x - target <= z
            rows = np.array([[*values, -1.0], [*values, 1.0]])
            result = milp(
                np.r_[np.zeros(n), 1.0],
                integrality=np.r_[np.ones(n), 0],
                bounds=Bounds(0, np.r_[np.ones(n), np.inf]),
                constraints=LinearConstraint(rows, [-np.inf, target], [target, np.inf]),
                options=options,
            )
        found = None if result.x is None else result.x[:n] > 0.5
        return found, result.status == 2

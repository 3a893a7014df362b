"""Which of these values add up to that target? The scalar problem under every construction.

One solver a file; `solvers()` lists them by file name and `load(name)` imports one, so nothing is
imported before it is used. A zero value is padding: it is never kept and never counts as usable.
Vectors are near in the max norm: within epsilon in every coordinate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.errors import BadInput

Floats = NDArray[np.float64]


class Status(IntEnum):
    """What is known about a row: two of the three are results that a mask alone cannot give."""

    SOLVED = 0  # the mask meets epsilon; without an epsilon: it is the proved optimum
    NONE_EXISTS = 1  # proved: no admissible subset meets epsilon
    GAVE_UP = 2  # neither; the best mask found is attached


@dataclass(frozen=True, eq=False)
class Problem:
    """N rows of subset sum: keep a subset of the row's values whose sum is near its target.

    values: `[n]` (shared by all rows) or `[N, n]`; targets: `[N]`; epsilon: the tolerance, one
    positive number or `[N]` of them, or None when the optimum is wanted. Vector targets `[N, d]`
    go with values `[n, d]` or `[N, n, d]`. Floats mean the exact rationals they are; other dtypes
    must convert to float64 without loss. Raises BadInput on anything else.
    """

    values: Floats
    targets: Floats
    epsilon: float | Floats | None = None

    def __init__(
        self, values: ArrayLike, targets: ArrayLike, epsilon: ArrayLike | None = None
    ) -> None:
        t = _exactly_float64("targets", targets)
        if t.ndim not in (1, 2):
            raise BadInput(
                "targets", f"shape {t.shape}", "[N], or [N, d] for vectors", "one target a row"
            )
        v = _exactly_float64("values", values)
        allowed = "[n] or [N, n]" if t.ndim == 1 else "[n, d] or [N, n, d]"
        if v.ndim not in (t.ndim, t.ndim + 1):
            raise BadInput("values", f"shape {v.shape}", allowed, "targets.ndim decides")
        if v.ndim == t.ndim + 1 and len(v) != len(t):
            raise BadInput(
                "values", f"{len(v)} rows", f"{len(t)}, as there are targets", "one row a target"
            )
        if t.ndim == 2 and v.shape[-1] != t.shape[1]:
            raise BadInput(
                "values", f"{v.shape[-1]} coordinates", f"{t.shape[1]}, as targets have", allowed
            )
        object.__setattr__(self, "values", v)
        object.__setattr__(self, "targets", t)
        object.__setattr__(self, "epsilon", _tolerance(epsilon, len(t)))

    @property
    def shape(self) -> tuple[int, int]:
        """(N, n): rows and values a row, padding included."""
        return len(self.targets), self.values.shape[self.values.ndim - self.targets.ndim]

    @property
    def shared(self) -> bool:
        """Whether every row has the same values."""
        return self.values.ndim == self.targets.ndim

    def rows(self, needs_epsilon: bool = False) -> tuple[Floats, Floats, Floats | None]:
        """(values `[1 or N, n]`, targets `[N]`, epsilon `[N]` or None) for solvers of scalar rows.

        Raises BadInput on vector targets, and on a missing epsilon where the solver needs one.
        """
        if self.targets.ndim != 1:
            raise BadInput(
                "targets",
                f"shape {self.targets.shape}",
                "[N]: this solver takes scalar targets only",
                "use VectorMeetInTheMiddle, or Exhaustive up to 20 values",
            )
        if needs_epsilon and self.epsilon is None:
            raise BadInput(
                "epsilon",
                "None",
                "a positive number or [N] of them: this solver asks 'within epsilon?'",
                "give epsilon, or use MeetInTheMiddle for the optimum",
            )
        tolerance = None
        if self.epsilon is not None:
            tolerance = np.empty(self.targets.shape)  # one memory layout, so one compiled kernel
            tolerance[:] = self.epsilon
        return np.atleast_2d(self.values), self.targets, tolerance

    def coordinates(self) -> list[tuple[Floats, Floats]]:
        """(values `[1 or N, n]`, targets `[N]`) of each coordinate; scalar rows have one."""
        if self.targets.ndim == 1:
            return [(np.atleast_2d(self.values), self.targets)]
        values = self.values[None] if self.shared else self.values
        return [
            (np.ascontiguousarray(values[:, :, k]), np.ascontiguousarray(self.targets[:, k]))
            for k in range(self.targets.shape[1])
        ]


@dataclass(frozen=True, eq=False)
class Solution:
    """One answer a row, computed from the masks alone in exact arithmetic.

    mask: `[N, n]` bool, True where a value is kept; error: `[N]`, the smallest float64 that is at
    least |sum of kept values - target|, of vectors the largest coordinate's; status: `[N]` int8 of
    Status. used: `[N]` int64 or None: how many leading values of the row (padding counted) the
    solver needed to look at.
    """

    mask: NDArray[np.bool_]
    error: Floats
    status: NDArray[np.int8]
    used: NDArray[np.int64] | None = None


class Solver(ABC):
    """A way to solve subset sum; subclasses are final frozen dataclasses, fields are options."""

    @abstractmethod
    def __call__(self, problem: Problem) -> Solution:
        """Solve every row on its own: the answer to a row depends on nothing else.

        Begin with `problem.rows()`, which refuses what the solver cannot take (vectors have
        `problem.coordinates()` instead), and end with
        `slth.subsetsum._account.finish`, which turns masks into a Solution by exact arithmetic.
        Zeros are padding and never kept; sums may overflow, without a warning; nothing is random
        unless it is a field.
        """


def solvers() -> tuple[str, ...]:
    """The names of all solvers, which are their file names."""
    from slth.plugins import names

    return names(__name__)


def load(name: str) -> type[Solver]:
    """The solver class that the file of that name defines (dashes count as underscores)."""
    from slth.plugins import load as load_plugin

    return load_plugin(__name__, name, Solver)  # type: ignore[type-abstract]


def _exactly_float64(name: str, given: ArrayLike) -> Floats:
    try:
        array = np.asarray(given)
    except ValueError:
        raise BadInput(
            name, "rows of unequal length", "an array", "pad short rows with zeros"
        ) from None
    if array.dtype.kind not in "fiu":
        raise BadInput(name, f"dtype {array.dtype}", "real numbers", "convert to float64")
    if array.size == 0:
        raise BadInput(name, f"shape {array.shape}", "at least one entry", "give some values")
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(array, dtype=np.float64).reshape(array.shape)
    if not np.isfinite(converted).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(converted))[0])
        raise BadInput(
            name, f"{array[at]} at {at}" if at else array, "finite float64 numbers", "remove it"
        )
    if array.dtype.kind != "f" and not _same_integers(array, converted):
        raise BadInput(
            name, f"{array.dtype} beyond 2^53", "exact in float64", "divide by a power of 2"
        )
    if array.dtype.itemsize > 8 and (converted.astype(array.dtype) != array).any():
        raise BadInput(
            name, f"{array.dtype} digits", "exact in float64", "round to float64 yourself"
        )
    view = converted.view()
    view.flags.writeable = False
    return view


def _same_integers(array: NDArray[np.generic], converted: Floats) -> bool:
    """Whether no integer was rounded; only those of at most 53 bits are surely safe to compare."""
    if array.dtype.itemsize < 8 or np.abs(converted).max() < 2.0**53:
        return True
    return all(int(a) == int(c) for a, c in zip(array.ravel(), converted.ravel(), strict=True))


def _tolerance(epsilon: ArrayLike | None, rows: int) -> float | Floats | None:
    if epsilon is None:
        return None
    try:
        array = _exactly_float64("epsilon", epsilon)
    except BadInput as error:
        raise BadInput("epsilon", epsilon, "positive finite numbers", error.remedy) from None
    if array.shape not in ((), (rows,)):
        raise BadInput("epsilon", f"shape {array.shape}", f"a number or [{rows}]", "one a target")
    if not (array > 0).all():
        raise BadInput(
            "epsilon",
            array[array <= 0][0],
            "positive finite numbers",
            "omit epsilon to ask for the optimum",
        )
    return float(array) if array.ndim == 0 else array

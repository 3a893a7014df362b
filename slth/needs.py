"""How many random values a gadget was measured to need, beside what theorems ask for.

The table is made by `python -m sims.slack --needs slth/data/needs.npz`, from exact coverage of all
subset sums: for each law, tolerance η and failure probability δ the least n with which every z of
the law's interval is within η of a subset sum with probability 1 − δ, between the ends of its 95 %
interval. Outside the measured grid there is only an extrapolation, and it is called that:

- in δ, the n of a tolerance goes on at the slope in log2(1/δ) of its last measured octaves, which
  is an exponential tail of the failure probability in n;
- in η, beyond the smallest one, n goes on at the slope of the median n in log2(1/η), a line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput

Floats = NDArray[np.float64]
FILE = "data/needs.npz"
TAIL = 4.0  # octaves of δ that a tail's slope is taken over
STEEP = 3  # fewest points of δ that give a slope


class NeedKind(StrEnum):
    """How a need is known."""

    MEASURED = "measured"
    EXTRAPOLATED = "extrapolated"
    COMPUTED = "computed"  # from a known probability, without sampling


@dataclass(frozen=True)
class Need:
    """The least n; low and high: the ends of its interval, NaN where nothing was measured."""

    n: float
    low: float
    high: float
    kind: NeedKind


@dataclass(frozen=True)
class Table:
    """A law's measured n `[E, D]` over log2(1/η) `[E]` and log2(1/δ) `[D]`, both rising; NaN where
    a point was out of reach. It does not fall in either direction. reach: of the interval."""

    reach: float
    x: Floats
    y: Floats
    value: Floats
    low: Floats
    high: Floats

    def need(self, tolerance: float, delta: float) -> Need:
        """The need at one point; between points of the grid a line, in each direction."""
        if tolerance >= self.reach:
            return Need(0.0, 0.0, 0.0, NeedKind.COMPUTED)  # the empty set serves
        x, y = -np.log2(tolerance), -np.log2(delta)
        (i0, i1), (j0, j1) = _around(self.x, x), _around(self.y, y)
        corners = np.ix_([i0, i1], [j0, j1])
        inside = self.x[0] <= x <= self.x[-1] and self.y[0] <= y <= self.y[-1]
        columns = np.maximum.accumulate([self._column(i, float(y)) for i in range(self.x.size)])
        n = float(np.interp(x, self.x, columns))
        if inside and not np.isnan(self.high[corners]).any():
            return Need(n, self.low[i0, j0], self.high[i1, j1], NeedKind.MEASURED)
        n += max(0.0, x - self.x[-1]) * self.slope
        return Need(n, np.nan, np.nan, NeedKind.EXTRAPOLATED)

    @property
    def slope(self) -> float:
        """Values per bit of tolerance at the largest measured δ, over the finer half of η."""
        known = np.flatnonzero(~np.isnan(self.value[:, 0]))
        fine = known[known.size // 2 :]
        return max(0.0, float(np.polyfit(self.x[fine], self.value[fine, 0], 1)[0]))

    def tail(self, row: int) -> float:
        """Values per bit of δ at the end of a tolerance's measured range; where it is too short,
        that of the nearest larger tolerance."""
        for i in range(row, -1, -1):
            known = np.flatnonzero(~np.isnan(self.value[i]))
            if not known.size:
                continue
            last = known[self.y[known] >= self.y[known[-1]] - TAIL]
            if last.size >= STEEP and self.y[last[-1]] - self.y[last[0]] >= TAIL - 1:
                return max(0.0, float(np.polyfit(self.y[last], self.value[i, last], 1)[0]))
        raise ValueError("a table whose tails are all too short")

    def _column(self, row: int, y: float) -> float:
        known = np.flatnonzero(~np.isnan(self.value[row]))
        if not known.size:
            return 0.0  # the finer ones have the slope to go on with
        beyond = max(0.0, y - self.y[known[-1]])
        measured = float(np.interp(y, self.y[known], self.value[row, known]))
        return measured + (beyond * self.tail(row) if beyond else 0.0)


def _around(grid: Floats, at: float) -> tuple[int, int]:
    """The indices of the grid's neighbours of a point, the same twice on a point of it."""
    near = int(np.argmin(np.abs(grid - at)))
    if abs(grid[near] - at) < 1e-9:
        return near, near
    high = int(np.clip(np.searchsorted(grid, at), 1, grid.size - 1))
    return high - 1, high


@cache
def tables() -> dict[str, Table]:
    """The measured laws by name."""
    with _file() as stream:
        data = np.load(stream, allow_pickle=False)
        names = [key.removesuffix("/value") for key in data.files if key.endswith("/value")]
        return {
            name: Table(
                float(data[f"{name}/reach"]),
                -np.log2(data[f"{name}/etas"]),
                -np.log2(data["deltas"]),
                *(data[f"{name}/{part}"] for part in ("value", "low", "high")),
            )
            for name in names
        }


@cache
def provenance() -> dict[str, Any]:
    """How the table was made: command, versions, trials, seed, what each law is."""
    with _file() as stream:
        found: dict[str, Any] = json.loads(str(np.load(stream, allow_pickle=False)["provenance"]))
        return found


def need(law: str, tolerance: float, delta: float) -> Need:
    """The n that this law needs for every z of its interval, measured or extrapolated.

    law: a key of `tables()`. Raises BadInput for an unknown law, a tolerance that is not a positive
    number, or δ outside (0, 1).
    """
    if law not in tables():
        raise BadInput("law", law, ", ".join(tables()), "choose one of these")
    if not 0 < tolerance < np.inf:
        raise BadInput("tolerance", tolerance, "a finite number > 0", "choose a tolerance")
    if not 0 < delta < 1:
        raise BadInput("delta", delta, "a number in (0, 1)", "choose a failure probability")
    return tables()[law].need(float(tolerance), float(delta))


def _file() -> Any:
    from importlib.resources import files

    return files("slth").joinpath(FILE).open("rb")

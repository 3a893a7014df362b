"""How many random values a gadget was measured to need, beside what theorems ask for.

The table is made by `python -m sims.slack --needs slth/data/needs.npz`, from exact coverage of all
subset sums: for each law, tolerance η and failure probability δ the least n with which every z of
the law's interval is within η of a subset sum with probability 1 − δ, between the ends of its 95 %
interval. Between points of that grid the need lies between the measured neighbours, which is all
that is known. Outside it there is only an extrapolation, and it is called that:

- in δ, the n of a tolerance goes on at its measured slope in log2(1/δ), which is an exponential
  tail of the failure probability in n, but at no smaller one than 1/log2(1/(1 − c/2)): all values
  have one sign with probability about (1 − c/2)^n, c the chance of a value not to be 0;
- in η, beyond the smallest one, n goes on at the slope of the median n in log2(1/η), a line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput

if TYPE_CHECKING:
    from slth.bounds import Bound, TargetClass

Floats = NDArray[np.float64]
FILE = "data/needs.npz"
TAIL = 8.0  # octaves of δ that a tail's slope is taken over, where measured
SHORT = 6.0  # fewer do not give a slope
SAME = math.log2(1 + 1e-9)  # a point within 1e-9 of a grid point, relatively, is that point


class NeedKind(StrEnum):
    """How a need is known."""

    MEASURED = "measured"
    INTERPOLATED = "interpolated"  # between measured neighbours
    EXTRAPOLATED = "extrapolated"
    COMPUTED = "computed"  # from a known probability, without sampling


@dataclass(frozen=True)
class Need:
    """The least n; low and high: the ends of its interval, NaN where nothing was measured.

    least and most: the whole numbers that it lies between, those of the measured neighbours where
    it is interpolated, else n rounded up. own: it is the bound's own formula, so that the bound is
    no looser by construction.
    """

    n: float
    low: float
    high: float
    kind: NeedKind
    between: tuple[float, float] | None = None
    own: bool = False

    @property
    def least(self) -> float:
        return self.between[0] if self.between else whole(self.n)

    @property
    def most(self) -> float:
        return self.between[1] if self.between else whole(self.n)


def whole(n: float) -> float:
    """A number of values rounded up, but for what rounding errors added."""
    return float(np.ceil(n - 1e-9)) + 0.0  # no −0


@dataclass(frozen=True)
class Table:
    """A law's measured n `[E, D]` over log2(1/η) `[E]` and log2(1/δ) `[D]`, both rising; NaN where
    a point was out of reach. It does not fall in either direction.

    reach: of the interval; chance: of a value not to be 0.
    """

    reach: float
    chance: float
    x: Floats
    y: Floats
    value: Floats
    low: Floats
    high: Floats

    def need(self, tolerance: float, delta: float) -> Need:
        """The need at one point; between points of the grid a line, in each direction, and the
        interval from the low end of the one neighbour to the high end of the other."""
        if tolerance >= self.reach:
            return Need(0.0, 0.0, 0.0, NeedKind.COMPUTED)  # the empty set serves
        x, y = _snap(self.x, -math.log2(tolerance)), _snap(self.y, -math.log2(delta))
        (i0, i1), (j0, j1) = _around(self.x, x), _around(self.y, y)
        columns = np.maximum.accumulate([self._column(i, y) for i in range(self.x.size)])
        n = float(np.interp(x, self.x, columns))
        inside = self.x[0] <= x <= self.x[-1] and self.y[0] <= y <= self.y[-1]
        if inside and not np.isnan(self.high[np.ix_([i0, i1], [j0, j1])]).any():
            low, high = float(self.low[i0, j0]), float(self.high[i1, j1])
            if (i0, j0) == (i1, j1):
                return Need(n, low, high, NeedKind.MEASURED)
            between = float(self.value[i0, j0]), float(self.value[i1, j1])
            return Need(n, low, high, NeedKind.INTERPOLATED, between)
        n += max(0.0, x - float(self.x[-1])) * self.slope
        return Need(n, math.nan, math.nan, NeedKind.EXTRAPOLATED)

    @property
    def slope(self) -> float:
        """Values per bit of tolerance at the largest measured δ, over the finer half of η."""
        half = self.x.size // 2
        return max(0.0, float(np.polyfit(self.x[half:], self.value[half:, 0], 1)[0]))

    def tail(self, row: int) -> float:
        """Values per bit of δ at the end of a tolerance's measured range; where that is short, at
        the end of the nearest larger tolerance's."""
        least = -1 / math.log2(1 - self.chance / 2)
        for i in range(row, -1, -1):
            known = np.flatnonzero(~np.isnan(self.value[i]))
            last = known[self.y[known] >= self.y[known[-1]] - TAIL]
            if self.y[last[-1]] - self.y[last[0]] >= SHORT:
                return max(least, float(np.polyfit(self.y[last], self.value[i, last], 1)[0]))
        return least

    def _column(self, row: int, y: float) -> float:
        known = np.flatnonzero(~np.isnan(self.value[row]))
        beyond = max(0.0, y - float(self.y[known[-1]]))
        measured = float(np.interp(y, self.y[known], self.value[row, known]))
        return measured + (beyond * self.tail(row) if beyond else 0.0)


def _snap(grid: Floats, at: float) -> float:
    """The point of the grid that this is, up to rounding; else the point itself."""
    near = float(grid[np.argmin(np.abs(grid - at))])
    return near if abs(near - at) <= SAME else at


def _around(grid: Floats, at: float) -> tuple[int, int]:
    """The indices of the grid's neighbours of a point, the same twice on a point of it."""
    known = np.flatnonzero(grid == at)
    if known.size:
        return int(known[0]), int(known[0])
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
                float(data[f"{name}/chance"]),
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
    """The n that this law needs for every z of its interval, and how that is known.

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


# -- beside a theorem ------------------------------------------------------------------------------


def beside(bound: Bound, target: TargetClass, epsilon: float, delta: float) -> list[Need] | None:
    """What the gadgets that a theorem is about need, a layer; None where none was measured.

    At the theorem's own tolerance and failure probability per gadget, for all weights of the
    gadget's interval at once; one weight in Malach's pools, whose chance is known.
    """
    name = type(bound).__module__.rpartition(".")[2]
    find = _BESIDE.get(name)
    found = None if find is None else find(bound, target, epsilon, delta)
    return None if found is None or None in found else [n for n in found if n is not None]


def _covering(products: bool, reach: float, tolerance: float, delta: float) -> Need | None:
    """The need of the smallest measured interval that holds [−reach, reach]."""
    if reach <= tolerance:
        return Need(0.0, 0.0, 0.0, NeedKind.COMPUTED)
    laws = ("product-quarter", "product") if products else ("uniform", "uniform-one")
    wide = [law for law in laws if tables()[law].reach >= reach]
    return need(wide[0], tolerance, delta) if wide else None


def _rss(bound: Any, target: TargetClass, epsilon: float, delta: float) -> list[Need | None] | None:
    if getattr(bound, "form", "explicit") != "explicit" or getattr(bound, "level", "") == "network":
        return None
    products = getattr(bound, "law", "uniform") == "product"
    return [_covering(products, r, epsilon, delta) for r in target.max_entries]


def _pensia(bound: Any, target: TargetClass, epsilon: float, delta: float) -> Any:
    from slth.bounds.pensia import even_tolerances, link_events

    if bound.form != "explicit" or max(target.max_entries) > 1:
        return None
    each = delta / link_events(target)
    return [need("product", eta, each) for eta in even_tolerances(target, epsilon)]


def _sparse(bound: Any, target: TargetClass, epsilon: float, delta: float) -> Any:
    from slth.bounds.pensia import even_tolerances, link_events

    if bound.form != "diamond" or bound.density != 0.5 or max(target.max_entries) > 1:
        return None
    each = delta / link_events(target)
    return [need("sparse-product", eta, each) for eta in even_tolerances(target, epsilon)]


def _convolution(bound: Any, target: TargetClass, epsilon: float, delta: float) -> Any:
    if bound.form != "derived":
        return None
    shapes = list(zip(target.dims[:-1], target.dims[1:], target.taps, strict=True))
    each = delta / sum(2 * a * b * k for a, b, k in shapes)
    share = min(epsilon, 1.0) / (2 * target.depth)
    return [need("product", share / (k * a), each) for a, _, k in shapes]


def _attention(bound: Any, target: TargetClass, epsilon: float, delta: float) -> Any:
    if bound.form != "product":
        return None
    sizes = [a * b for a, b in target.links]
    return [need("full-product", epsilon / size, delta / size) for size in sizes]


def _depth_plus_one(bound: Any, target: TargetClass, epsilon: float, delta: float) -> Any:
    from slth.bounds.depth_plus_one import copies

    if bound.form != "derived" or max(target.max_entries) > 1:
        return None
    sizes, etas = copies(target, epsilon, delta)
    found = []
    for i, ((a, b), eta) in enumerate(zip(target.links, etas, strict=True)):
        rho = sizes[i + 1] if i + 1 < target.depth else 1
        each = delta / (target.depth * rho * a * b * (2 if i == 0 else 1))
        found.append(need("uniform-one" if i else "product", eta, each))
    return found


def _malach(bound: Any, target: TargetClass, epsilon: float, delta: float) -> Any:
    from slth.bounds.malach import hit_probability
    from slth.bounds.pensia import even_tolerances, link_events

    if bound.form == "asymptotic" or max(target.max_entries) > 1:
        return None
    each, found = delta / link_events(target), []
    for eta, w in zip(even_tolerances(target, epsilon), target.max_entries, strict=True):
        if bound.form == "product":
            chance = hit_probability(eta, w)
        else:  # u within η/2 of the weight, v of its sign
            chance = (min(1.0, w + eta / 2) - max(-1.0, w - eta / 2)) / 2 * min(eta / 4, 1.0)
        if not 0 < chance < 1:  # underflow, or nothing to draw
            return None
        n = float(math.ceil(math.log(each) / math.log1p(-chance)))
        found.append(Need(n, n, n, NeedKind.COMPUTED, own=bound.form == "product"))
    return found


_BESIDE: dict[str, Callable[[Any, TargetClass, float, float], list[Need | None] | None]] = {
    "random_subset_sum": _rss,
    "counting": _rss,
    "first_moment": _rss,
    "pensia": _pensia,
    "random_sparse": _sparse,
    "convolution": _convolution,
    "attention": _attention,
    "depth_plus_one": _depth_plus_one,
    "malach": _malach,
}

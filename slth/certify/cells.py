"""The supremum of ‖f − g‖ by branch and bound over the inputs, for networks of few inputs.

The domain is cut into boxes, on each of which affine bounds of f and g (`relaxed`) bound the norm
of the difference: a convex function of affine ones, so largest at a corner. The box with the
largest bound is halved, until no bound is above the attacked lower bound by more than a tolerance,
or the work allowed is done; whatever stands then is an upper bound.

On a ball around zero, networks without biases are positively homogeneous, so the supremum over
the ball is radius · sup ‖h(y)‖/‖y‖ over the faces of a cube around it, and ‖y‖ ≥ ⟨c, y⟩/‖c‖ for the
centre c of a box makes the quotient one of a convex and an affine function: again largest at a
corner. A ball for networks with biases is covered by boxes, and those outside are left out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slth.certify.joint import Layers
from slth.certify.relaxed import Affine, Boxes, Stack, affine_bounds
from slth.certify.rounding import ULP
from slth.domain import Ball, Box, Domain

Array = NDArray[np.float64]

INPUTS = 6  # beyond, corners and cells are too many
TIGHT = 1.05  # of the upper over the lower bound: good enough
LEAST = 2.0**-20  # of the first bound: what is below is rounding
WORK = 6e9  # multiplications of an effort of 1, some seconds
HELD = 2_000_000  # numbers that the bounds of a batch of cells take, roughly
CELLS = 64_000  # that are kept at once


@dataclass(frozen=True, eq=False)
class _Problem:
    """What is bounded on a box: ‖f − g‖, divided by ‖y‖ where only directions matter."""

    f: Stack
    g: Stack
    directions: bool
    radius: float | None  # of the ball that boxes outside of do not count

    def bound(self, cells: Boxes) -> Array:
        """An upper bound for each cell, `[c]`."""
        below_f, above_f, _ = affine_bounds(self.f, cells)
        below_g, above_g, _ = affine_bounds(self.g, cells)
        corners = _corners(cells)
        low = _at(below_f, corners) - _at(above_g, corners)
        high = _at(above_f, corners) - _at(below_g, corners)
        size = _sizes(above_f, corners) + _sizes(above_g, corners)
        size += _sizes(below_f, corners) + _sizes(below_g, corners)
        lost = 8 * (corners.shape[-1] + 6) * ULP * size
        worst = np.maximum(np.abs(low), np.abs(high)) + lost
        norm = np.sqrt((worst * worst).sum(axis=-1)) * (1 + (worst.shape[-1] + 8) * ULP)
        if self.directions:
            norm = norm / _along_centre(cells, corners)
        value = norm.max(axis=1) * (1 + 4 * ULP)
        if self.radius is not None:
            value = np.where(_outside(cells, self.radius), 0.0, value)
        return np.asarray(value)


def cells_bound(f: Layers, g: Layers, domain: Domain, lower: float, effort: float = 1.0) -> float:
    """An upper bound on sup ‖f − g‖ over the domain; work grows steeply with the inputs.

    lower: a lower bound on it, at which refining ends: a larger one only ends it sooner.
    """
    inputs = f[0][0].shape[1]
    biased = any(bool(bias.any()) for _, bias in (*f, *g))
    directions, scale, radius = isinstance(domain, Ball) and not biased, 1.0, None
    if isinstance(domain, Box):
        cells, reach = Boxes(domain.low[None], domain.high[None]), _farthest(domain)
    elif directions:
        if domain.radius == 0:
            return 0.0
        cells, reach, scale = _faces(inputs), np.ones(inputs), domain.radius
    else:
        ends = np.full((1, inputs), domain.radius)
        cells, reach, radius = Boxes(-ends, ends), ends[0], domain.radius
    problem = _Problem(Stack.of(f, reach), Stack.of(g, reach), directions, radius)
    enough = lower / scale * TIGHT * (1 - 8 * ULP)
    return float(np.nextafter(_refined(problem, cells, enough, effort * WORK) * scale, np.inf))


def _refined(problem: _Problem, cells: Boxes, enough: float, work: float) -> float:
    """The least bound that the work allowed gives, or one just above `enough`."""
    rows = max(len(w) for w, _ in (*problem.f.layers, *problem.g.layers))
    batch = max(8, HELD // (rows * rows + 1))
    price = problem.f.work + problem.g.work + 1
    value = _in_batches(problem, cells, batch)
    work -= price * len(value)
    enough, done = max(enough, float(value.max()) * LEAST), 0.0
    while True:
        open_ = (value > enough) & (cells.high > cells.low).any(axis=1)
        done = max(done, float(value[~open_].max(initial=0.0)))
        cells, value = Boxes(cells.low[open_], cells.high[open_]), value[open_]
        if not value.size or work < 0 or value.size > CELLS:
            return max(done, float(value.max(initial=0.0)))
        order = np.argsort(-value, kind="stable")
        worst, rest = order[:batch], order[batch:]
        halves = _halved(Boxes(cells.low[worst], cells.high[worst]))
        found = np.minimum(_in_batches(problem, halves, batch), np.tile(value[worst], 2))
        work -= price * len(found)
        cells = Boxes(
            np.vstack([cells.low[rest], halves.low]), np.vstack([cells.high[rest], halves.high])
        )
        value = np.concatenate([value[rest], found])


def _in_batches(problem: _Problem, cells: Boxes, batch: int) -> Array:
    parts = range(0, len(cells.low), batch)
    some = [Boxes(cells.low[i : i + batch], cells.high[i : i + batch]) for i in parts]
    return np.concatenate([problem.bound(part) for part in some])


def _faces(d: int) -> Boxes:
    """The 2d faces of the cube [−1, 1]^d, each cut where a coordinate changes sign: boxes."""
    low, high = [], []
    for a in range(d):
        for side in (-1.0, 1.0):
            for signs in itertools.product((-1.0, 0.0), repeat=d - 1):
                low.append(np.insert(np.array(signs), a, side))
                high.append(np.insert(np.array(signs) + 1.0, a, side))
    return Boxes(np.array(low), np.array(high))


def _halved(cells: Boxes) -> Boxes:
    """Both halves of every cell, cut across its longest side: the same float64 ends both."""
    longest = (cells.high - cells.low).argmax(axis=1)
    at = np.arange(len(longest)), longest
    middle = (cells.low[at] + cells.high[at]) / 2
    upper, lower = cells.high.copy(), cells.low.copy()
    upper[at] = lower[at] = middle
    return Boxes(np.vstack([cells.low, lower]), np.vstack([upper, cells.high]))


def _corners(cells: Boxes) -> Array:
    """`[c, 2^d, d]`, without those that a side of length zero repeats in every cell."""
    free = (cells.low != cells.high).any(axis=0)
    choice = [(False, True) if side else (False,) for side in free]
    ends = np.array(list(itertools.product(*choice)), dtype=bool)
    return np.where(ends[None], cells.high[:, None, :], cells.low[:, None, :])


def _at(f: Affine, corners: Array) -> Array:
    """The affine functions at every corner, `[c, corners, rows]`."""
    return np.asarray(np.matmul(corners, f.slope.transpose(0, 2, 1)) + f.offset[:, None, :])


def _sizes(f: Affine, corners: Array) -> Array:
    """What the rounding of `_at` is a few ulps of, `[c, 1, rows]`."""
    most = np.abs(corners).max(axis=1)[:, None, :]
    slope = np.abs(f.slope).transpose(0, 2, 1)
    return np.asarray(np.matmul(most, slope) + np.abs(f.offset)[:, None, :])


def _along_centre(cells: Boxes, corners: Array) -> Array:
    """⟨c, y⟩/‖c‖ at every corner, rounded down: no cancellation, since no side crosses zero."""
    centre = (cells.low + cells.high) / 2
    unit = centre / (np.linalg.norm(centre, axis=1, keepdims=True))
    along = np.matmul(corners, unit[..., None])[..., 0]
    return np.asarray(along * (1 - (4 * centre.shape[1] + 16) * ULP))


def _outside(cells: Boxes, radius: float) -> NDArray[np.bool_]:
    nearest = np.maximum(np.maximum(cells.low, -cells.high), 0.0)
    return np.asarray((nearest * nearest).sum(axis=1) * (1 - 16 * ULP) > radius * radius)


def _farthest(domain: Box) -> Array:
    return np.maximum(np.abs(domain.low), np.abs(domain.high))

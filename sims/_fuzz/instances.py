"""Random rows of integers, and the floats that they stand for: integer times a power of two.

A shape says how a row's integers are drawn. Half of the targets are subset sums or one off; the
rest lie midway, anywhere within reach, beyond it, or far beyond. Tolerances are, as often as not,
exactly the least error or its neighbour among the floats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sims._fuzz.oracle import MOST_WIDE, NONE, SMALL, Whole
from slth.subsetsum import Problem

Shape = tuple[int, ...]
Draw = Callable[..., Whole]  # of a generator and a shape
# from the least subnormal to sums that may overflow; 2^-997 and 2^997 are about 1e-300 and 1e300
SCALES = (-1074, -1022, -997, -900, -53, -30, -10, 0, 3, 900, 940, 985, 997)
WIDE_SCALES = (-1074, -1040, -997, -900, -106, -53, -52, 0, 900, 935)
SURE = 2**45  # integers whose absolute values add up to less are added without rounding anywhere
OVERFLOW = 2.0**999  # rows whose values and target add up to more may be given up


def _most(shape: Shape) -> int:
    """The largest integer of which any row of this length adds up within the oracle's table."""
    return SMALL // (2 * shape[-1])


def _grid(rng: np.random.Generator, shape: Shape) -> Whole:
    most = int(rng.choice([4, 20, 100, 400]))
    return rng.integers(-min(most, _most(shape)), min(most, _most(shape)) + 1, shape)


def _ties(rng: np.random.Generator, shape: Shape) -> Whole:
    most = int(rng.integers(1, 4))
    return rng.integers(-most, most + 1, shape)


def _equal(rng: np.random.Generator, shape: Shape) -> Whole:
    one = rng.integers(1, _most(shape) + 1, (*shape[:-1], 1))
    signs = rng.choice([1, -1], shape) if rng.random() < 0.5 else rng.choice([1, -1])
    return np.broadcast_to(one, shape) * signs


def _duplicates(rng: np.random.Generator, shape: Shape) -> Whole:
    few = rng.integers(-_most(shape), _most(shape) + 1, (*shape[:-1], 3))
    return np.take_along_axis(few, rng.integers(0, 3, shape), axis=-1)


def _padded(rng: np.random.Generator, shape: Shape) -> Whole:
    return _grid(rng, shape) * (rng.random(shape) < rng.random())


def _positive(rng: np.random.Generator, shape: Shape) -> Whole:
    return np.abs(_grid(rng, shape))


def _powers(rng: np.random.Generator, shape: Shape) -> Whole:
    most = int(np.log2(_most(shape)))
    return 2 ** rng.integers(0, most + 1, shape) * rng.choice([1, -1], shape)


def _wide(rng: np.random.Generator, shape: Shape) -> Whole:
    return rng.integers(-(2**53), 2**53 + 1, shape)


def _lengths(rng: np.random.Generator, shape: Shape) -> Whole:
    """Magnitudes from 1 to 2^53, so that small values vanish beside large ones."""
    return _wide(rng, shape) >> rng.integers(0, 53, shape)


SHAPES: dict[str, Draw] = {
    "small integers": _grid,
    "ties": _ties,
    "all equal": _equal,
    "duplicates": _duplicates,
    "zeros between": _padded,
    "positive": _positive,
    "powers of two": _powers,
    "53 bits": _wide,
    "1 to 53 bits": _lengths,
}
WIDE = ("53 bits", "1 to 53 bits")


@dataclass(frozen=True)
class Batch:
    """N rows: values `[N, n]` or, shared, `[1, n]`, and targets `[N]`, in units of 2^scale.

    epsilon: `[N]` floats or None, and the same in units, rounded down (-1 where there is none).
    Vectors have a last axis of d coordinates.
    """

    values: Whole
    targets: Whole
    scale: int
    epsilon: NDArray[np.float64] | None
    within: Whole

    @property
    def problem(self) -> Problem:
        values = np.ldexp(self.values.astype(np.float64), self.scale)
        shared = len(values) == 1 < len(self.targets)
        targets = np.ldexp(self.targets.astype(np.float64), self.scale)
        return Problem(values[0] if shared else values, targets, self.epsilon)

    @property
    def size(self) -> Whole:
        """Of each row (and its worst coordinate) the absolute values' and target's sum."""
        size = np.abs(self.values).sum(axis=1) + np.abs(self.targets)
        return size if size.ndim == 1 else size.max(axis=1)

    def with_tolerances(self, rng: np.random.Generator, optimum: Whole) -> Batch:
        """Epsilons at, just under, just over and around the least errors."""
        n = len(optimum)
        known = np.where(optimum < NONE, optimum, rng.integers(0, 5, n))
        units = np.where(rng.random(n) < 0.7, known, known + rng.integers(-2, 4, n))
        units = np.maximum(units, 0).astype(np.float64)
        side = rng.integers(0, 4, n)
        units = np.where(side == 1, np.nextafter(units, np.inf), units)
        units = np.where(side == 2, np.nextafter(units, 0.0), units)
        units = np.where(side == 3, units + rng.random(n), units)
        epsilon = np.maximum(np.ldexp(units, self.scale), 5e-324)
        return self.at(epsilon)

    def at(self, epsilon: NDArray[np.float64]) -> Batch:
        """The same rows with these epsilons `[N]`."""
        within = np.floor(np.ldexp(epsilon, -self.scale)).astype(np.int64)
        return replace(self, epsilon=epsilon, within=within)


def rows_of(
    rng: np.random.Generator, name: str, rows: int, most: int, shared: bool = False, d: int = 0
) -> Batch:
    """A batch of that shape with at most `most` values a row, all of one length and scale."""
    wide = name in WIDE
    n = int(rng.integers(1, (min(most, MOST_WIDE) if wide else most) + 1))
    tail = (d,) if d else ()
    shape = (1 if shared else rows, n)
    parts = [SHAPES[name](rng, shape) for _ in range(d or 1)]
    values = np.stack(parts, axis=-1) if d else parts[0]
    scale = int(rng.choice(WIDE_SCALES if wide else SCALES))
    full = np.broadcast_to(values, (rows, n, *tail))
    sums = (full * (rng.random((rows, n)) < rng.random())[(..., *[None] * len(tail))]).sum(axis=1)
    reach = np.abs(full).sum(axis=1)
    kind = rng.integers(0, 8, (rows, *[1] * len(tail)))
    targets = np.select(
        [kind <= 2, kind == 3, kind == 4, kind == 5, kind == 6],
        [
            sums,
            sums + rng.integers(-1, 2, sums.shape),
            rng.integers(-1, 2, sums.shape),
            rng.integers(-reach - 2, reach + 3),
            sums // 2 + rng.integers(0, 2, sums.shape),
        ],
        rng.choice([-1, 1], sums.shape) * (reach + rng.integers(0, 3, sums.shape)),
    )
    if scale <= 940 and rng.random() < 0.1:  # so far that float sums lose the values
        targets = rng.choice([-1, 1], sums.shape) * rng.integers(2**40, 2**52, sums.shape)
    targets = targets.astype(np.float64).astype(np.int64)  # what is not a float64 is rounded to one
    return Batch(values, targets, scale, None, np.full(rows, -1))

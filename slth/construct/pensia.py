"""The diamond of Pensia et al. (2020): a weight is a subset of products.

One weight w on input y: hidden neurons with in-weights u and out-weights v, all random. Half 0
keeps neurons with u > 0 whose products uv sum to w within η (they answer to y ≥ 0), half 1 neurons
with u < 0 whose products sum to w within η (they answer to y < 0); so the gadget is within η|y| of
wy for every y. The in-weights of block a are shared by all outputs, the products are not: each
output has out-weights of its own. Width logarithmic in 1/ε (their Theorem 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from slth.bounds import TargetClass
from slth.bounds import pensia as bound
from slth.construct import Progress
from slth.construct._gadgets import GadgetConstruction, Half
from slth.source import Role
from slth.subsetsum import Problem, Solver, Status

Indices = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Pensia(GadgetConstruction):
    """Both halves, prefiltered by the sign of the in-weight, a subset sum for each weight.

    solver: what finds the subsets; by default FirstHit where a tolerance is given (it looks at no
    more neurons than it needs, so n may run into thousands) and MeetInTheMiddle where the best is.
    limit: usable values a gadget that MeetInTheMiddle may look at; the optimum of more is dearer.
    """

    limit: int = field(default=26, metadata={"help": "usable values a gadget for the optimum"})
    solver: Solver | None = field(default=None, metadata={"cli": False})

    def find(self, half: Half, progress: Progress | None) -> list[Indices]:
        n = half.source.n[half.layer]
        width = min(n, _first_look(half.tolerance))
        kept: list[Indices] = []
        unsolved: list[int] = []
        for first, last in half.chunks(width):
            values = products(half, width, first, last)
            masks, status = self._solve(half, values, half.weights[first:last].ravel())
            offset = first * half.weights.shape[1]
            unsolved += (offset + np.flatnonzero(status != Status.SOLVED)).tolist()
            kept += _rows(masks)
            if progress is not None:
                progress(len(kept), half.weights.size)
        while unsolved and width < n:
            width = min(n, 2 * width)
            unsolved = self._widen(half, width, unsolved, kept)
        return kept

    def _widen(self, half: Half, width: int, rows: list[int], kept: list[Indices]) -> list[int]:
        """Try the given gadgets again with more neurons; returns those still unsolved."""
        still = []
        step = max(1, (1 << 21) // width)
        for at in range(0, len(rows), step):
            part = np.array(rows[at : at + step])
            values = _scattered_products(half, width, part)
            masks, status = self._solve(half, values, half.weights.ravel()[part])
            for row, indices in zip(part.tolist(), _rows(masks), strict=True):
                kept[row] = indices
            still += part[status != Status.SOLVED].tolist()
        return still

    def _solve(
        self, half: Half, values: NDArray[np.float64], targets: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int8]]:
        solution = self._solver(half)(Problem(values, targets, half.tolerance))
        return solution.mask, solution.status

    def _solver(self, half: Half) -> Solver:
        from slth.subsetsum.first_hit import FirstHit
        from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle

        if self.solver is not None:
            return self.solver
        return MeetInTheMiddle(limit=self.limit) if half.tolerance is None else FirstHit()

    def theorem(self, facts: TargetClass) -> tuple[str, list[str]]:
        return "Pensia et al. (2020), theorem 1", bound.Pensia().hypotheses(facts)

    def theorem_n(self, facts: TargetClass, etas: tuple[float, ...], delta: float) -> list[float]:
        return [float(n) for n in bound.block_sizes(facts, etas, delta)]


def products(half: Half, width: int, first: int, last: int) -> NDArray[np.float64]:
    """Values of blocks [first, last): `[blocks·outputs, width]`, zero where u's sign is wrong."""
    source, layer = half.source, half.layer
    u = usable(source.in_weights(layer, half.half, 0, width)[first:last], half.half)
    v = source.out_weights(layer, half.half, 0, width, blocks=(first, last))
    return (v * u[:, None, :]).reshape(-1, width)


def usable(u: NDArray[np.float64], half: int) -> NDArray[np.float64]:
    """The in-weights that answer to this half's sign of the input, zeros elsewhere."""
    return np.where(u > 0, u, 0.0) if half == 0 else np.where(u < 0, u, 0.0)


def _scattered_products(half: Half, width: int, gadgets: Indices) -> NDArray[np.float64]:
    source, layer, outputs = half.source, half.layer, half.weights.shape[1]
    block, output = gadgets // outputs, gadgets % outputs
    u = usable(source.in_weights(layer, half.half, 0, width)[block], half.half)
    index = np.arange(width)
    v = source.entries(layer, Role.OUT, half.half, block[:, None], output[:, None], index[None, :])
    return u * v.reshape(u.shape)


def _first_look(tolerance: float | None) -> int:
    """Neurons to draw at first: about half are usable, and a bit of tolerance costs about one."""
    if tolerance is None:
        return 1 << 31
    return 4 * math.ceil((max(0.0, -math.log2(min(tolerance, 1.0))) + 12) / 2)


def _rows(masks: NDArray[np.bool_]) -> list[Indices]:
    row, column = np.nonzero(masks)
    return np.split(column, np.searchsorted(row, np.arange(1, len(masks))))

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
from slth.construct._gadgets import CHUNK, GadgetConstruction, Half
from slth.errors import BadInput
from slth.source import Role
from slth.subsetsum import Problem, Solver, Status

Indices = NDArray[np.int64]
FEW_HUNDRED = 512
WIDEST = 1 << 14  # neurons a half that FirstHit is given: more values only make it slower
DEEPEST = 38  # usable values beyond which one optimum costs more than a network is worth


@final
@dataclass(frozen=True)
class Pensia(GadgetConstruction):
    """Both halves, prefiltered by the sign of the in-weight, a subset sum for each weight.

    solver: what finds the subsets; by default FirstHit where a tolerance is given (it looks at no
    more neurons than it needs, so n may run into thousands) and MeetInTheMiddle where the best is.
    limit: usable values a gadget that MeetInTheMiddle looks at first; the gadgets that come out
    worst, which rule the network's error, are given more, up to DEEPEST, while that helps.
    """

    limit: int = field(default=22, metadata={"help": "usable values a gadget for the optimum"})
    solver: Solver | None = field(default=None, metadata={"cli": False})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.limit <= DEEPEST:
            raise BadInput("limit", self.limit, f"1 … {DEEPEST} usable values", "lower it")

    def find(self, half: Half, progress: Progress | None) -> list[Indices]:
        n = half.source.n[half.layer]
        width = min(n, _first_look(half.tolerance))
        kept: list[Indices] = []
        missed: list[NDArray[np.float64]] = []  # by how much each gadget misses what is wanted
        for first, last in half.chunks(width):
            values = products(half, width, first, last)
            weights = half.weights[first:last].ravel()
            masks, miss = self._solve(half, values, weights, self._solver(half, self.limit))
            kept += _rows(masks)
            missed.append(miss)
            if progress is not None:
                progress(len(kept), half.weights.size)
        miss = np.concatenate(missed)
        if half.tolerance is None:
            self._deepen(half, kept, miss)
        else:
            self._widen(half, width, np.flatnonzero(miss > 0), kept)
        return kept

    def _deepen(self, half: Half, kept: list[Indices], error: NDArray[np.float64]) -> None:
        """Spend more on the worst tenth of the gadgets, four usable values a round."""
        if self.solver is not None:
            return
        good_enough = np.quantile(error, 0.9)
        rows, limit = np.flatnonzero(error > good_enough), self.limit
        n = min(half.source.n[half.layer], FEW_HUNDRED)
        while rows.size and limit < DEEPEST:
            limit = min(limit + 4, DEEPEST)
            solver, values = self._solver(half, limit), _scattered_products(half, n, rows)
            more = np.count_nonzero(values, axis=1) > limit - 4
            rows, values = rows[more], values[more]
            if not rows.size:
                break
            masks, found = self._solve(half, values, half.weights.ravel()[rows], solver)
            for row, indices in zip(rows.tolist(), _rows(masks), strict=True):
                kept[row] = indices
            rows = rows[found > good_enough]

    def _widen(self, half: Half, width: int, rows: Indices, kept: list[Indices]) -> None:
        """Try the gadgets that miss their tolerance again with more and more neurons."""
        n = min(half.source.n[half.layer], WIDEST)
        while rows.size and width < n:
            width = min(n, 2 * width)
            step, still = max(1, CHUNK // width), []
            for at in range(0, rows.size, step):
                part = rows[at : at + step]
                values = _scattered_products(half, width, part)
                weights = half.weights.ravel()[part]
                masks, miss = self._solve(half, values, weights, self._solver(half, self.limit))
                for row, indices in zip(part.tolist(), _rows(masks), strict=True):
                    kept[row] = indices
                still.append(part[miss > 0])
            rows = np.concatenate(still)

    def _solve(
        self,
        half: Half,
        values: NDArray[np.float64],
        targets: NDArray[np.float64],
        solver: Solver,
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Masks, and what is still wrong: the error where the best is wanted, else 0 if solved."""
        solution = solver(Problem(values, targets, half.tolerance))
        if half.tolerance is None:
            return solution.mask, solution.error
        return solution.mask, np.where(solution.status == Status.SOLVED, 0.0, solution.error)

    def _solver(self, half: Half, limit: int) -> Solver:
        from slth.subsetsum.first_hit import FirstHit
        from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle

        if self.solver is not None:
            return self.solver
        return MeetInTheMiddle(limit=limit) if half.tolerance is None else FirstHit()

    def theorem(self, facts: TargetClass) -> tuple[str, list[str]]:
        return "pensia", bound.Pensia().hypotheses(facts)

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
    # only the blocks in play: all of them at this width may not fit in memory
    drawn = {b: source.in_weights(layer, half.half, 0, width, block=b) for b in set(block.tolist())}
    u = usable(np.stack([drawn[b] for b in block.tolist()]), half.half)
    index = np.arange(width)
    v = source.entries(layer, Role.OUT, half.half, block[:, None], output[:, None], index[None, :])
    return u * v.reshape(u.shape)


def _first_look(tolerance: float | None) -> int:
    """Neurons to draw at first: about half are usable, and a bit of tolerance costs about one.

    The optimum of DEEPEST usable values finds no use for more than a few hundred.
    """
    if tolerance is None:
        return FEW_HUNDRED
    return 4 * math.ceil((max(0.0, -math.log2(min(tolerance, 1.0))) + 12) / 2)


def _rows(masks: NDArray[np.bool_]) -> list[Indices]:
    row, column = np.nonzero(masks)
    return np.split(column, np.searchsorted(row, np.arange(1, len(masks))))

"""Structured tickets: whole neurons stay or go (da Cunha, d'Amore and Natale 2023).

The products uv of one neuron for all d outputs are a vector. In each block and half one set of
neurons serves every output at once: their vectors add up to the column w of the target's weights
within η in the max norm. So the mask removes neurons (of a convolution: filters), never single
out-weights, and the pruned network is a smaller dense one. A neuron that is kept is kept for all
outputs, also where a weight is zero.

2^m subsets of m usable neurons meet d tolerances at once where m is about d log2(1/η): what is kept
in regularity is paid in width, linearly in d. The paper's width is polynomial in the dimensions and
log(1/ε); its exponents are not among this package's theorems, so none is cited.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from slth.construct._gadgets import GadgetConstruction, Half
from slth.construct.pensia import products, usable
from slth.errors import BadInput
from slth.kept import Kept
from slth.subsetsum import Problem, Solver, Status

DIMENSIONS = 4  # outputs up to which halves of the neurons are met in the middle
FEW, MANY = 16, 40  # usable neurons: of all subsets, of subsets met in the middle
STEP = 2  # neurons more a round
WIDEST = 1 << 10  # neurons a half that are drawn: as many as hold MANY usable ones and far more


@final
@dataclass(frozen=True)
class Structured(GadgetConstruction):
    """One set of neurons a block and half, the same for every output.

    limit: usable neurons that are looked at, the first ones; with a tolerance the search begins
    with about d log2(1/η) of them and takes more until it is met. Layers of more than 4 outputs try
    all subsets of 16, which hardly any tolerance is met by: they are for the claim to speak of.
    """

    limit: int = field(default=24, metadata={"help": "usable neurons of a half to choose from"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.limit <= MANY:
            raise BadInput("limit", self.limit, f"1 … {MANY} usable neurons", "lower it")

    def find(self, half: Half) -> Kept:
        rows = range(len(half.weights))
        return Kept.joined([self._block(half, row) for row in rows])

    def _block(self, half: Half, row: int) -> Kept:
        """The gadgets of one block, which keep the same neurons."""
        n = min(half.source.n[half.layer], WIDEST)
        target = half.weights[row]
        most = self.limit if target.size <= DIMENSIONS else min(self.limit, FEW)
        right = np.flatnonzero(usable(half.in_weights(n, row, row + 1)[0], half.half))[:most]
        values = products(half, n, row, row + 1)[:, right].T
        kept = right[_nearest(values, target, half.tolerance, half.threads)]
        return Kept.of_counts(np.full(target.size, kept.size), np.tile(kept, target.size))


def _nearest(
    values: NDArray[np.float64],
    target: NDArray[np.float64],
    tolerance: float | None,
    threads: int | None,
) -> NDArray[np.bool_]:
    """Which of the vectors `[m, d]` add up to the target `[d]`: the best set, or the first within
    the tolerance that is found among the first so many."""
    chosen = np.zeros(len(values), dtype=np.bool_)
    if not values.size or not target.any():
        return chosen
    first = len(values)
    if tolerance is not None and target.size <= DIMENSIONS:
        bits = math.log2(1 + np.abs(target).max() / tolerance)
        first = min(first, max(2, math.ceil(target.size * bits)))
    for count in [*range(first, len(values), STEP), len(values)]:
        problem = Problem(values[None, :count], target[None], tolerance)
        solution = _solver(target.size, threads)(problem)
        chosen[:count] = solution.mask[0]
        if solution.status[0] == Status.SOLVED:
            break
    return chosen


def _solver(dimensions: int, threads: int | None) -> Solver:
    from slth.subsetsum.exhaustive import Exhaustive
    from slth.subsetsum.vector_meet_in_the_middle import VectorMeetInTheMiddle

    return VectorMeetInTheMiddle(threads) if dimensions <= DIMENSIONS else Exhaustive()

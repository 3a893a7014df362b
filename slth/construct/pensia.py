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
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from slth.bounds import Bound, TargetClass
from slth.bounds import pensia as bound
from slth.bounds.attention import Attention
from slth.bounds.convolution import Convolution
from slth.construct._gadgets import CHUNK, GadgetConstruction, Half
from slth.errors import BadInput
from slth.kept import Kept
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
    worst of some thousands, which rule the network's error, are given more, up to DEEPEST, while
    that helps.
    device: where subsets are sought: "cpu" by numba, any other that torch can name ("cuda") by
    torch. The masks are the same, so neither the claim nor what a killed search left says where.
    """

    limit: int = field(default=22, metadata={"help": "usable values a gadget for the optimum"})
    solver: Solver | None = field(default=None, metadata={"cli": False})
    device: str = field(
        default="cpu", metadata={"help": "where subsets are sought: cpu, cuda, cuda:1"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.limit <= DEEPEST:
            raise BadInput("limit", self.limit, f"1 … {DEEPEST} usable values", "lower it")
        if self.device == "cpu":
            return
        if self.solver is not None:
            raise BadInput(
                "device", self.device, "cpu with a solver given", "give it to the solver"
            )
        from slth.subsetsum._torch import device_named

        device_named(self.device)

    def find(self, half: Half) -> Kept:
        n = half.source.n[half.layer]
        width = min(n, _first_look(half.tolerance))
        found: list[Kept] = []
        missed: list[NDArray[np.float64]] = []  # by how much each gadget misses what is wanted
        for start, stop in half.chunks(width):
            values = products(half, width, start, stop)
            weights = half.weights[start:stop].ravel()
            masks, miss = self._solve(half, values, weights, self._solver(half, self.limit))
            found.append(Kept.of_mask(masks))
            missed.append(miss)
        kept, miss = Kept.joined(found), np.concatenate(missed)
        if half.tolerance is None:
            return self._deepen(half, kept, miss)
        return self._widen(half, width, np.flatnonzero(miss > 0), kept)

    def _deepen(self, half: Half, kept: Kept, error: NDArray[np.float64]) -> Kept:
        """Spend more on the worst tenth of the gadgets, four usable values a round."""
        if self.solver is not None:
            return kept
        good_enough = np.quantile(error, 0.9)
        rows, limit = np.flatnonzero(error > good_enough), self.limit
        n = min(half.source.n[half.layer], FEW_HUNDRED)
        while rows.size and limit < DEEPEST:
            limit = min(limit + 4, DEEPEST)
            kept, rows = self._again(half, kept, rows, n, limit, float(good_enough))
        return kept

    def _widen(self, half: Half, width: int, rows: Indices, kept: Kept) -> Kept:
        """Try the gadgets that miss their tolerance again with more and more neurons."""
        n = min(half.source.n[half.layer], WIDEST)
        while rows.size and width < n:
            width = min(n, 2 * width)
            kept, rows = self._again(half, kept, rows, width, self.limit, 0.0)
        return kept

    def _again(
        self, half: Half, kept: Kept, rows: Indices, width: int, limit: int, enough: float
    ) -> tuple[Kept, Indices]:
        """Those gadgets anew among `width` neurons: what is kept now, and which still miss more
        than enough. Where the best is wanted, those without more usable values are left alone."""
        step = max(1, CHUNK // width)
        found, tried, still = [], [], []
        for part in (rows[at : at + step] for at in range(0, rows.size, step)):
            values = _scattered_products(half, width, part)
            if half.tolerance is None:
                more = np.count_nonzero(values, axis=1) > limit - 4
                part, values = part[more], values[more]
            if not part.size:
                continue
            weights = half.weights.ravel()[part]
            masks, miss = self._solve(half, values, weights, self._solver(half, limit))
            found.append(Kept.of_mask(masks))
            tried.append(part)
            still.append(part[miss > enough])
        if not tried:
            return kept, np.empty(0, dtype=np.int64)
        return kept.replaced(np.concatenate(tried), Kept.joined(found)), np.concatenate(still)

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

    def _options(self) -> dict[str, Any]:
        return {name: value for name, value in super()._options().items() if name != "device"}

    def _solver(self, half: Half, limit: int) -> Solver:
        from slth.subsetsum.first_hit import FirstHit
        from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle
        from slth.subsetsum.torch_first_hit import TorchFirstHit
        from slth.subsetsum.torch_meet_in_the_middle import TorchMeetInTheMiddle

        if self.solver is not None:
            return self.solver
        if self.device != "cpu":
            if half.tolerance is None:
                return TorchMeetInTheMiddle(limit, self.device, half.threads)
            return TorchFirstHit(device=self.device, threads=half.threads)
        if half.tolerance is None:
            return MeetInTheMiddle(limit=limit, threads=half.threads)
        return FirstHit(threads=half.threads)

    def theorem(self, facts: TargetClass) -> tuple[str, list[str]]:
        return diamond_theorem("pensia", bound.Pensia(), facts)

    def theorem_n(self, facts: TargetClass, etas: tuple[float, ...], delta: float) -> list[float]:
        return [float(n) for n in bound.block_sizes(facts, etas, delta)]


def diamond_theorem(name: str, own: Bound, facts: TargetClass) -> tuple[str, list[str]]:
    """A theorem on fully connected targets, or for images da Cunha et al.'s on convolutions, or for
    attention blocks Otsuka et al.'s."""
    if facts.heads:
        return "attention", Attention().hypotheses(facts)
    if facts.kernels is None:
        return name, own.hypotheses(facts)
    return "convolution", Convolution().hypotheses(facts)


def products(half: Half, width: int, start: int, stop: int) -> NDArray[np.float64]:
    """Values of rows [start, stop): `[blocks·outputs, width]`, zero where u's sign is wrong."""
    u = answering(half.in_weights(width, start, stop), half)
    span = (half.first + start, half.first + stop)
    values = half.source.out_weights(half.layer, half.half, 0, width, blocks=span)
    values *= u[:, None, :]
    return values.reshape(-1, width)


def usable(u: NDArray[np.float64], half: int) -> NDArray[np.float64]:
    """The in-weights that answer to this half's sign of the input, zeros elsewhere."""
    return np.where(u > 0, u, 0.0) if half == 0 else np.where(u < 0, u, 0.0)


def answering(u: NDArray[np.float64], half: Half) -> NDArray[np.float64]:
    """The same; all in-weights where nothing lies between the two layers."""
    return u if half.source.linear[half.layer] else usable(u, half.half)


def _scattered_products(half: Half, width: int, gadgets: Indices) -> NDArray[np.float64]:
    outputs = half.weights.shape[1]
    row, output = gadgets // outputs, gadgets % outputs
    # only the blocks in play: all of them at this width may not fit in memory
    drawn = {r: half.in_weights(width, r, r + 1)[0] for r in set(row.tolist())}
    u = answering(np.stack([drawn[r] for r in row.tolist()]), half)
    at, index = np.nonzero(u)  # the others need no out-weight
    v = half.source.entries(
        half.layer, Role.OUT, half.half, half.first + row[at], output[at], index
    )
    u[at, index] *= v
    return u


def _first_look(tolerance: float | None) -> int:
    """Neurons to draw at first: about half are usable, and a bit of tolerance costs about one.

    The optimum of DEEPEST usable values finds no use for more than a few hundred.
    """
    if tolerance is None:
        return FEW_HUNDRED
    return 4 * math.ceil((max(0.0, -math.log2(min(tolerance, 1.0))) + 12) / 2)

"""The search under one layer more than the target: subset sums for every copy of every neuron.

Constants first, layer by layer upwards: what they are is known from then on, so the biases of the
copies that read them inherit no error. Then the layers from the last to the first. From the second
layer on the values are single random weights, the same whatever the layers below are, so a layer
may be built before them: by then it is known which of its input copies are kept at all, and how
much it and the layers above it amplify an error, which is what a tolerance has to answer for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from slth.chains import FirstOrder, evaluate, first_order
from slth.construct import Progress
from slth.kept import Kept
from slth.layered import LayeredSource
from slth.network import Network
from slth.subsetsum import Problem, Status

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Subsets = Literal["fewest", "first"]
SUBSETS: tuple[Subsets, ...] = ("fewest", "first")
CHUNK = 1 << 21  # values held at a time
FEW = 20  # values among which the smallest subset is sought before all are
WITHIN = 1 - 2.0**-40  # of a tolerance: the rest is for rounding
ROUGH = 2.0**-7  # how near to one a constant's argument is to be; its value is known all the same
BIAS = 2.0**-30  # tolerance of a bias where weights take their best


@dataclass(frozen=True)
class Solvers:
    """Which subsets are taken. limit: values a subset sum looks at where its best is wanted."""

    subsets: Subsets
    limit: int

    def weights(
        self, values: Floats, targets: Floats, eta: float | None, quick: bool = False
    ) -> NDArray[np.bool_]:
        """Masks, of few values unless it is to be quick; without η the best."""
        from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle
        from slth.subsetsum.minimum_cardinality import MinimumCardinality

        if eta is None:
            return MeetInTheMiddle(limit=self.limit)(Problem(values, targets)).mask
        if quick or self.subsets == "first":
            return first_hit(values, targets, eta)
        mask = np.zeros(values.shape, dtype=bool)
        found = MinimumCardinality()(Problem(values[:, :FEW], targets, eta))
        mask[:, :FEW] = found.mask
        rest = np.flatnonzero(found.status != Status.SOLVED)
        if rest.size:
            mask[rest] = first_hit(values[rest], targets[rest], eta)
        return mask


def first_hit(values: Floats, targets: Floats, eta: float) -> NDArray[np.bool_]:
    """Masks within η from as few leading values as possible, however many there are."""
    from slth.subsetsum.first_hit import FirstHit

    return FirstHit()(Problem(values, targets, eta)).mask


class Search:
    """The kept columns of every row; `layer` is called for the last layer first, then downwards."""

    def __init__(
        self,
        source: LayeredSource,
        target: Network,
        block: int,
        solvers: Solvers,
        progress: Progress | None,
    ) -> None:
        self.source, self.target, self.block, self.solve = source, target, block, solvers
        self.activation = source.activated
        self.line: FirstOrder = first_order(self.activation)
        self.inputs = source.dims[0] * block  # neurons of layer 0 that read an input
        depth = target.depth
        self.standing = [
            source.dims[i + 1] * (source.copies[i] if i < depth - 1 else 1) for i in range(depth)
        ]
        self.progress, self.done = progress, 0
        self.total = sum(rows * a for rows, (a, _) in zip(self.standing, target.links, strict=True))
        self.known, self.constants = self._constants()
        self.found: list[Kept] = []

    def sizes(self, i: int) -> Any:
        """|V| of the target's layer i on its input copies, sparse; it has been built."""
        from scipy.sparse import csr_array

        kept = self.found[i - self.target.depth]
        on = kept.indices < self.standing[i - 1]
        rows, columns = kept.gadgets[on], kept.indices[on]
        values = np.abs(self.source.entries(i + 1, rows, columns))
        return csr_array((values, (rows, columns)), shape=(self.standing[i], self.standing[i - 1]))

    # -- constants ---------------------------------------------------------------------------------

    def _constants(self) -> tuple[list[Floats], list[Kept]]:
        """Values of the constants behind source layers 0, 1, …, and what the layers keep for
        them."""
        source = self.source
        ones = np.arange(source.widths[1] - self.inputs)
        arguments = source.bias_entries(0, self.inputs + ones) if ones.size else np.empty(0)
        known, kept = [evaluate(self.activation, arguments)], [Kept.nothing(0)]
        for t in range(1, source.layers - 1):
            rows = self.standing[t - 1] + np.arange(source.widths[t + 1] - self.standing[t - 1])
            first = source.widths[t] - known[-1].size
            if not rows.size:
                known.append(np.empty(0))
                kept.append(Kept.nothing(0))
                continue
            drawn = source.rows(t, int(rows[0]), int(rows[-1]) + 1)[:, first:]
            values = drawn * known[-1]
            mask = first_hit(values, np.ones(rows.size), ROUGH)
            known.append(evaluate(self.activation, (values * mask).sum(axis=1)))
            found = Kept.of_mask(mask)
            kept.append(Kept(found.indptr, found.indices + first))
        return known, kept

    # -- one layer ---------------------------------------------------------------------------------

    def layer(self, i: int, used: Indices, eta: float | None) -> Indices:
        """Seek the kept columns of the used copies of layer i, the others keep nothing; which
        copies of its inputs it uses."""
        eta = None if eta is None else eta * WITHIN
        width, step = self.source.widths[i + 1], max(1, CHUNK // self.source.widths[i + 1])
        copies = self.source.copies[i] if i < self.target.depth - 1 else 1
        parts, outputs = [], self.target.augmented(i)
        for start in range(0, self.standing[i], step):
            stop = min(start + step, self.standing[i])
            rows = used[(used >= start) & (used < stop)]
            mask = np.zeros((stop - start, width), dtype=bool)
            if rows.size:
                drawn = self.source.rows(i + 1, start, stop)[rows - start]
                wanted = outputs[rows // copies]
                make = self._later if i else self._first
                mask[rows - start] = make(i, drawn, wanted, eta)
            parts.append(Kept.of_mask(mask))
            self._report((stop - start) * self.target.links[i][0])
        self.found.insert(0, Kept.joined(parts))
        columns = np.unique(self.found[0].indices)
        return columns[columns < self.standing[i - 1]] if i else columns[:0]

    def _first(self, i: int, drawn: Floats, wanted: Floats, eta: float | None) -> NDArray[np.bool_]:
        """Subset sums of products: over neurons with u > 0 and with u < 0 where φ is bent."""
        rows, inputs, line = len(drawn), self.target.inputs, self.line
        neurons = np.arange(self.inputs)
        u = self.source.entries(0, neurons, neurons // self.block)
        values = (drawn[:, : self.inputs] * u).reshape(-1, self.block)
        targets = wanted[:, :inputs].ravel() / line.gain
        fine = None if eta is None else eta / line.gain
        mask = np.zeros(values.shape, dtype=bool)
        sides = (u > 0, u < 0) if line.bent else (np.ones(u.size, dtype=bool),)
        for side in sides:
            here = np.tile(side.reshape(inputs, self.block), (rows, 1))
            mask |= self.solve.weights(np.where(here, values, 0.0), targets, fine, quick=True)
        weights = mask.reshape(rows, self.inputs)
        shift = line.value * (drawn[:, : self.inputs] * weights).sum(axis=1)
        return np.hstack([weights, self._biases(i, drawn, wanted, shift, eta)])

    def _later(self, i: int, drawn: Floats, wanted: Floats, eta: float | None) -> NDArray[np.bool_]:
        """Subset sums of single weights, one a copy of the input."""
        copies, inputs = self.source.copies[i - 1], self.target.links[i][0]
        values = drawn[:, : inputs * copies].reshape(-1, copies)
        mask = self.solve.weights(values, wanted[:, :inputs].ravel(), eta)
        weights = mask.reshape(len(drawn), -1)
        none = np.zeros(len(drawn))
        return np.hstack([weights, self._biases(i, drawn, wanted, none, eta)])

    def _biases(
        self, i: int, drawn: Floats, wanted: Floats, shift: Floats, eta: float | None
    ) -> NDArray[np.bool_]:
        """Subset sums over constants of b − shift; shift: what the weights' neurons add already."""
        known = self.known[i]
        first = self.source.widths[i + 1] - known.size
        inputs = self.target.links[i][0]
        biased = wanted.shape[1] > inputs
        if not known.size or not (biased or shift.any()):
            return np.zeros((len(drawn), known.size), dtype=bool)
        targets = (wanted[:, inputs] if biased else 0.0) - shift
        return first_hit(drawn[:, first:] * known, targets, BIAS if eta is None else eta)

    def _report(self, sums: int) -> None:
        self.done += sums
        if self.progress is not None:
            self.progress(self.done, self.total)


def assembled(
    source: LayeredSource, search: Search
) -> tuple[tuple[Kept, ...], tuple[Indices, ...]]:
    """The mask of every source layer: what a path leads on from, and nothing else."""
    used = np.ones(source.widths[-1], dtype=bool)
    layers: list[Kept] = []
    for t in range(source.layers - 1, 0, -1):
        parts = [search.found[t - 1]]
        if t < source.layers - 1:
            parts.append(search.constants[t])
        kept = _only(Kept.joined(parts), used)
        layers.insert(0, kept)
        used = np.zeros(source.widths[t], dtype=bool)
        used[kept.indices] = True
    neurons = np.arange(source.widths[1])
    reads = (neurons < search.inputs) & used
    layers.insert(0, Kept.of_counts(reads.astype(np.int64), neurons[reads] // search.block))
    none = np.empty(0, dtype=np.int64)
    constants = np.flatnonzero(used & ~reads)
    return tuple(layers), (constants, *(none for _ in range(source.layers - 1)))


def _only(kept: Kept, rows: NDArray[np.bool_]) -> Kept:
    """The same where rows are used, nothing elsewhere."""
    on = rows[kept.gadgets]
    return Kept.of_counts(np.where(rows, kept.counts, 0), kept.indices[on])

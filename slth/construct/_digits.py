"""The layers of a ±1 stack, found one after another: which values there are, and how they link.

Layouts and counts are those of `slth.bounds._binary_layout`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slth.bounds import _binary_layout as layout
from slth.bounds._binary_layout import Routing, Stage
from slth.construct import Progress
from slth.construct._links import Joined, Links, join, pruned
from slth.kept import Kept
from slth.layered import LayeredSource

Indices = NDArray[np.int64]


class Search:
    """The layers so far: which neurons are live, the edges found, and how many links are missed."""

    def __init__(
        self,
        source: LayeredSource,
        stages: Sequence[Stage],
        copies: int,
        routing: Routing,
        progress: Progress | None,
    ) -> None:
        self.source, self.stages, self.copies, self.routing = source, stages, copies, routing
        self.progress, self.missed = progress, 0
        self.layers: list[tuple[Indices, Indices]] = []
        self.ends: dict[int, Indices] = {}
        first, size = stages[0], layout.pool(copies)
        rows = np.arange(first.inputs * size)
        positive = source.entries(0, rows, rows // size) > 0
        self._done(rows, rows // size)
        neurons, sign = rows.reshape(first.inputs, size), positive.reshape(first.inputs, size)
        self.live = np.concatenate([np.where(sign, neurons, -1), np.where(sign, -1, neurons)])
        if first.bias:
            self.live = np.concatenate([self.live, self._ones(first.inputs * size)])

    def stage(self, number: int, digits: Indices) -> None:
        """One layer of the target, whose weights on its streams are digits `[outputs, streams]`."""
        stage = self.stages[number]
        steps = _powers if self.routing == "powers" else _sums
        *inner, last = steps(digits, stage.digits)
        for links, values in inner:
            self._join(links, values, self.copies)
        outputs = self._join(last[0], stage.outputs, self.copies if stage.copied else 1)
        if stage.copied:
            self.ends[len(self.layers) - 1] = outputs.live
            if self.stages[number + 1].bias:
                ones = self._ones(stage.outputs * self.copies)
                self.live = np.concatenate([_padded(self.live, ones.shape[1]), ones])

    def mask(self) -> tuple[tuple[Kept, ...], tuple[Indices, ...]]:
        """What is kept: rows' columns, and biases, a layer each."""
        layers = pruned(self.layers, self.source.widths, self.ends)
        kept, biases = [], []
        for t, (rows, columns) in enumerate(layers):
            counts = np.bincount(rows, minlength=self.source.widths[t + 1])
            kept.append(Kept.of_counts(counts, columns))
            above = layers[t + 1][1] if t + 1 < len(layers) else np.empty(0, np.int64)
            wanted = np.unique(above) if self.source.bias[t] else above[:0]
            biases.append(wanted[counts[wanted] == 0])  # fed by nothing but its bias
        return tuple(kept), tuple(biases)

    def _join(self, links: Links, values: int, copies: int) -> Joined:
        layer = len(self.layers)
        found = join(
            lambda rows, columns: self.source.entries(layer, rows, columns),
            self.live, links, values, copies,
        )  # fmt: skip
        self.live = found.live
        self.missed += found.missed
        self._done(found.rows, found.columns)
        return found

    def _done(self, rows: Indices, columns: Indices) -> None:
        self.layers.append((rows, columns))
        if self.progress is not None:
            self.progress(len(self.layers), self.source.layers)

    def _ones(self, first: int) -> Indices:
        """The pool of constants that begins at this neuron of the last layer: `[1, N]`."""
        rows = first + np.arange(layout.pool(self.copies))
        there = self.source.bias_entries(len(self.layers) - 1, rows) > 0
        return np.where(there, rows, -1)[None]


def _padded(live: Indices, width: int) -> Indices:
    missing = width - live.shape[1]
    return np.pad(live, ((0, 0), (0, missing)), constant_values=-1)


def _powers(digits: Indices, size: int) -> list[tuple[Links, int]]:
    """Links, and number of values, of the layers of a target's layer in the layout "powers".

    Value u·(t + 1) + k of step t is 2^k times stream u.
    """
    outputs, streams = digits.shape
    u = np.arange(streams)[:, None]
    found = []
    for t in range(1, size):
        k = np.arange(t)
        carried = Links.of((u * (t + 1) + k).ravel(), (u * t + k).ravel(), 1, 1)
        doubled = Links.of((u * (t + 1) + t).ravel(), (u * t + t - 1).ravel(), 2, 1)
        found.append((Links.joined([carried, doubled]), streams * (t + 1)))
    output, stream, k = np.nonzero((np.abs(digits)[:, :, None] >> np.arange(size)) & 1)
    sign = np.sign(digits[output, stream])
    return [*found, (Links.of(output, stream * size + k, 1, sign), outputs)]


def _sums(digits: Indices, size: int) -> list[tuple[Links, int]]:
    """The same in the layout "sums": values are the streams, then P_j, then N_j."""
    outputs, streams = digits.shape
    u = np.arange(streams)
    halves = np.vstack([np.maximum(digits, 0), np.maximum(-digits, 0)])  # of P_j, of N_j
    found = []
    for step in range(1, size):
        parts = [Links.of(u, u, 1, 1)]
        begun = np.flatnonzero((halves >> (size - step + 1)).any(axis=1))
        parts.append(Links.of(streams + begun, streams + begun, 2, 1))
        total, stream = np.nonzero((halves >> (size - step)) & 1)
        parts.append(Links.of(streams + total, stream, 1, 1))
        found.append((Links.joined(parts), streams + 2 * outputs))
    begun = np.flatnonzero((halves >> 1).any(axis=1))
    sign = np.where(begun < outputs, 1, -1)
    output, stream = np.nonzero(np.abs(digits) & 1)
    last = Links.of(output, stream, 1, np.sign(digits[output, stream]))
    ended = Links.of(begun % outputs, streams + begun, 2, sign)
    return [*found, (Links.joined([ended, last]), outputs)]

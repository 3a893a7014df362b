"""Kept neurons of gadgets, as lists of indices: half of one layer pair, or a run of its blocks.

A mask is a sequence of layers, each a pair of halves. `runs` gives a layer of any mask a few blocks
at a time, so that masks which lie on disk (`Layers`) need not fit in memory.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.source import Source

Indices = NDArray[np.int64]
SPAN = 1 << 18  # kept entries, and gadgets, of a run


@dataclass(frozen=True, eq=False)
class Kept:
    """Gadget g = block·outputs + output keeps the neurons `indices[indptr[g] : indptr[g + 1]]`
    (index within its half's block, ascending)."""

    indptr: Indices
    indices: Indices

    @property
    def gadgets(self) -> Indices:
        """The gadget of every kept entry, `[kept]`."""
        return np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr))

    @property
    def counts(self) -> Indices:
        """Kept neurons of every gadget, `[gadgets]`."""
        return np.diff(self.indptr)

    @staticmethod
    def of_counts(counts: NDArray[Any], indices: NDArray[Any]) -> Kept:
        """From how many neurons each gadget keeps, and which."""
        indptr = np.zeros(counts.size + 1, dtype=np.int64)
        np.cumsum(counts, dtype=np.int64, out=indptr[1:])
        return Kept(indptr, indices.astype(np.int64, copy=False))

    @staticmethod
    def of_mask(mask: NDArray[np.bool_]) -> Kept:
        """From masks `[gadgets, neurons]`."""
        flat = np.flatnonzero(mask)
        return Kept.of_counts(np.count_nonzero(mask, axis=1), flat % max(1, mask.shape[1]))

    @staticmethod
    def nothing(gadgets: int) -> Kept:
        """As many gadgets, all empty."""
        return Kept(np.zeros(gadgets + 1, dtype=np.int64), np.empty(0, dtype=np.int64))

    @staticmethod
    def joined(parts: Sequence[Kept]) -> Kept:
        """The gadgets of all parts, one after another."""
        if len(parts) == 1:
            return parts[0]
        counts = [part.counts for part in parts] or [np.empty(0, dtype=np.int64)]
        indices = [part.indices for part in parts] or [np.empty(0, dtype=np.int64)]
        return Kept.of_counts(np.concatenate(counts), np.concatenate(indices))

    def replaced(self, rows: Indices, found: Kept) -> Kept:
        """The same with the gadgets `rows` (ascending) keeping what `found` keeps instead."""
        old = np.ones(self.indptr.size - 1, dtype=bool)
        old[rows] = False
        stays = old[self.gadgets]
        gadgets = np.concatenate([self.gadgets[stays], rows[found.gadgets]])
        indices = np.concatenate([self.indices[stays], found.indices])
        order = np.argsort(gadgets, kind="stable")
        return Kept.of_counts(np.bincount(gadgets, minlength=old.size), indices[order])

    def blocks(self, outputs: int, first: int, last: int) -> Kept:
        """The gadgets of blocks [first, last) alone."""
        indptr = self.indptr[first * outputs : last * outputs + 1]
        return Kept(indptr - indptr[0], self.indices[indptr[0] : indptr[-1]])


@dataclass(frozen=True, eq=False)
class Run:
    """Blocks [first, last) of a layer pair: either half's gadgets, counted from block first."""

    first: int
    last: int
    halves: tuple[Kept, Kept]


class Layers(Sequence[tuple[Kept, Kept]]):
    """A mask that lies elsewhere than in memory; a layer that is asked for is put together."""

    source: Source

    @abstractmethod
    def runs(self, layer: int, most: int = SPAN) -> Iterator[Run]:
        """The layer's blocks in order, at most `most` kept entries at a time, or one block."""

    def __len__(self) -> int:
        return self.source.pairs

    def __getitem__(self, layer: Any) -> Any:
        if isinstance(layer, slice):
            return [self[i] for i in range(*layer.indices(len(self)))]
        if not -len(self) <= layer < len(self):
            raise IndexError(f"layer {layer} of {len(self)}")
        parts = [run.halves for run in self.runs(layer % len(self))]
        return Kept.joined([a for a, _ in parts]), Kept.joined([b for _, b in parts])


def runs(
    mask: Sequence[tuple[Kept, Kept]], source: Source, layer: int, most: int = SPAN
) -> Iterator[Run]:
    """The layer's blocks in order, at most `most` kept entries at a time, or one block."""
    if isinstance(mask, Layers):
        return mask.runs(layer, most)
    return cut(mask[layer], source.outputs(layer), 0, most)


def cut(halves: tuple[Kept, Kept], outputs: int, start: int, most: int) -> Iterator[Run]:
    """Blocks from `start` on in runs of at most `most` kept entries and gadgets, or one block."""
    a, b = halves
    ends = a.indptr[::outputs] + b.indptr[::outputs]
    first, total = 0, ends.size - 1
    while first < total:
        last = int(np.searchsorted(ends, ends[first] + most, side="right")) - 1
        last = min(max(last, first + 1), first + max(1, most // outputs), total)
        yield Run(
            start + first,
            start + last,
            (a.blocks(outputs, first, last), b.blocks(outputs, first, last)),
        )
        first = last


def check(source: Source, layer: int, kept: Kept, blocks: int | None = None) -> None:
    """Every gadget of the layer, or of `blocks` of its blocks, lists neurons of the source,
    ascending, none twice; BadInput otherwise."""
    gadgets = (source.blocks(layer) if blocks is None else blocks) * source.outputs(layer)
    indptr, indices = kept.indptr, kept.indices
    ok = (
        indptr.dtype == indices.dtype == np.int64
        and indptr.shape == (gadgets + 1,)
        and indices.ndim == 1
        and bool((np.diff(indptr) >= 0).all())
        and int(indptr[0]) == 0
        and int(indptr[-1]) == indices.size
    )
    if ok and indices.size:
        ok = int(indices.min()) >= 0 and int(indices.max()) < source.n[layer]
        first = np.zeros(indices.size, dtype=bool)
        first[indptr[:-1][np.diff(indptr) > 0]] = True
        ok = ok and bool((indices[1:] > indices[:-1])[~first[1:]].all())
    if not ok:
        raise misfit(source, layer)


def misfit(source: Source, layer: int) -> BadInput:
    return BadInput(
        f"mask of layer {layer}",
        "kept indices that do not fit the source",
        f"{source.blocks(layer) * source.outputs(layer)} gadgets, each with ascending indices in "
        f"0 … {source.n[layer] - 1}",
        "make the ticket anew",
    )


def narrow(n: int) -> type[np.signedinteger[Any]]:
    """The smallest integers that hold 0 … n: what indices and counts take in a file."""
    return next((t for t in (np.int8, np.int16) if n <= np.iinfo(t).max), np.int32)

"""Links between copies of values: which neurons find, among random signs, what they add up.

A value lives in several neurons of a layer, its copies; a neuron of the next layer that is to be
c·u_1 ± u_2 … takes c copies of u_1 that are joined to it by weights of the right sign, and so on. A
neuron that finds all its links is complete (with none to find it is the value 0), and only complete
copies of a value are used; where there is none, the copy that misses fewest links stands for it
alone, without what it misses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Draw = Callable[[Indices, Indices], NDArray[np.float64]]  # rows, columns → weights, flat
CHUNK = 1 << 20  # weights that are looked at together


@dataclass(frozen=True, eq=False)
class Links:
    """Link i: value[i] of the next layer takes count[i] copies of origin[i] with sign[i]."""

    value: Indices
    origin: Indices
    count: Indices
    sign: Indices

    @staticmethod
    def of(value: Indices, origin: Indices, count: int, sign: Indices | int) -> Links:
        """Links that take the same number of copies each."""
        value = np.asarray(value, dtype=np.int64)
        full = [np.broadcast_to(np.asarray(v, dtype=np.int64), value.shape) for v in (count, sign)]
        return Links(value, np.asarray(origin, dtype=np.int64), *full)

    @staticmethod
    def joined(parts: list[Links]) -> Links:
        columns = ((p.value, p.origin, p.count, p.sign) for p in parts)
        return Links(*(np.concatenate(column) for column in zip(*columns, strict=True)))


@dataclass(frozen=True, eq=False)
class Joined:
    """A layer's edges (row ← column); for each value its live neurons `[values, copies]`, −1 in
    place of one that does not have it; and how many links of all copies were missed."""

    rows: Indices
    columns: Indices
    live: Indices
    missed: int


def join(draw: Draw, live: Indices, links: Links, values: int, copies: int) -> Joined:
    """Seek all links: neuron v·copies + r is copy r of value v; live: of the layer before."""
    short = np.zeros((values, copies), dtype=np.int64)
    asked = np.bincount(links.value, minlength=values)
    found: list[tuple[Indices, Indices]] = []
    step = max(1, CHUNK // (copies * live.shape[1]))
    for first in range(0, links.value.size, step):
        part = slice(first, first + step)
        value, count, sign = links.value[part], links.count[part], links.sign[part]
        columns = live[links.origin[part]][:, None, :]
        rows = value[:, None, None] * copies + np.arange(copies)[:, None]
        drawn = draw(rows, np.maximum(columns, 0)).reshape(value.size, copies, -1)
        right = (columns >= 0) & (drawn * sign[:, None, None] > 0)
        rank = right.cumsum(axis=2)
        enough = rank[:, :, -1] >= count[:, None]
        np.add.at(short, value, ~enough)
        taken = right & (rank <= count[:, None, None]) & enough[:, :, None]
        at = np.nonzero(taken)
        found.append((rows[at[0], at[1], 0], columns[at[0], 0, at[2]]))
    chosen = _complete(short, asked)
    none = np.empty(0, dtype=np.int64)
    edges = zip(*found, (none, none), strict=True)
    rows, columns = (np.concatenate(part) for part in edges)
    on = chosen.ravel()[rows]
    neurons = np.arange(values * copies).reshape(values, copies)
    return Joined(rows[on], columns[on], np.where(chosen, neurons, -1), int(short.sum()))


def _complete(short: Indices, asked: Indices) -> NDArray[np.bool_]:
    """Which copies `[values, copies]` stand for their value, by how many links each misses."""
    complete: NDArray[np.bool_] = short == 0
    partial = ~complete.any(axis=1) & (short.min(axis=1) < asked)
    complete[partial, short[partial].argmin(axis=1)] = True
    return complete


def pruned(
    layers: list[tuple[Indices, Indices]], widths: tuple[int, ...], kept_at: dict[int, Indices]
) -> list[tuple[Indices, Indices]]:
    """The edges from which a path leads on to an output.

    kept_at: after a layer, live neurons `[outputs, copies]` of which one each is to stay even where
    none leads on.
    """
    on = np.ones(widths[-1], dtype=bool)
    result = []
    for t in range(len(layers) - 1, -1, -1):
        rows, columns = layers[t]
        if t in kept_at:
            live = kept_at[t]
            there = live >= 0
            lost = there.any(axis=1) & ~(there & on[np.maximum(live, 0)]).any(axis=1)
            on[live[lost, there[lost].argmax(axis=1)]] = True
        keep = on[rows]
        rows, columns = rows[keep], columns[keep]
        order = np.lexsort((columns, rows))
        result.append((rows[order], columns[order]))
        on = np.zeros(widths[t], dtype=bool)
        on[columns] = True
    return result[::-1]

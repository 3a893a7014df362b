"""A random network whose hidden neurons choose the input that they serve: another view of a source.

In a plain source hidden neuron (block a, half h, index k) serves input a. Here it serves the slot
(input, half) that `slth.assignment` gives it, looking at nothing but in-weights, or none. Block,
half and index of every method are those of the slot: block is the input served, index the rank
among the slot's neurons, in the order of their positions in the hidden layer. The weights are the
plain source's own: an in-weight is the one from the input served, to a neuron that as a rule stands
in another input's block, and all weights may be pruned as before.

Which neuron serves which slot follows from seed, widths, `least`, `n` and `halves`, so a file holds
these alone, and pairs that were `exchanged` afterwards, if any. Whoever does not trust that need
only see that no neuron serves twice: `places`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slth.assignment import assign, good_slots
from slth.errors import BadInput
from slth.source import Coordinate, Role, Source, _integer, _one_each

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
MOST = 1 << 26  # hidden neurons of a layer pair


@dataclass(frozen=True)
class AssignedSource(Source):
    """A source with a choice of inputs; each of these is one for all layer pairs, or one each.

    n: neurons that serve a slot; drawn: the plain source's n; least: the size of their in-weights
    from the input served, at least; halves: 2, or 1 where no neuron is to serve half 1 (that of
    input "one" is never served). Slots may be left short: their last places then hold weights 0.
    exchanged: for each layer pair, positions of two neurons that change their slots, in turn.
    """

    drawn: tuple[int, ...] = ()
    least: tuple[float, ...] = ()
    halves: tuple[int, ...] = ()
    exchanged: tuple[tuple[tuple[int, int], ...], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        drawn = tuple(_integer("drawn", k) for k in _one_each(self.drawn, self.pairs))
        least = tuple(_one_each(self.least, self.pairs))
        halves = tuple(_one_each(self.halves, self.pairs)) or (2,) * self.pairs
        exchanged = tuple(map(tuple, self.exchanged)) or ((),) * self.pairs
        own = {"drawn": drawn, "least": least, "halves": halves, "exchanged": exchanged}
        for name, value in own.items():
            if len(value) != self.pairs:
                raise BadInput(name, value, f"one, or {self.pairs}", "match dims")
            object.__setattr__(self, name, value)
        sizes = [2 * k * self.blocks(layer) for layer, k in enumerate(drawn)]
        if min(drawn) < 1 or max(sizes) > MOST:
            allowed = f"1 or more, and at most {MOST} hidden neurons in a layer pair"
            raise BadInput("drawn", drawn, allowed, "each of them must be looked at")
        if any(n > size for n, size in zip(self.n, sizes, strict=True)):
            raise BadInput("n", self.n, f"at most {sizes} neurons a slot", "lower it")
        if not all(type(c) is float and 0 < c < np.inf for c in least):
            raise BadInput("least", least, "finite numbers > 0", "choose the least in-weight")
        if not all(type(k) is int and k in (1, 2) for k in halves):
            raise BadInput("halves", halves, "1 or 2", "1 serves the half y ≥ 0 alone")
        object.__setattr__(self, "exchanged", tuple(map(_exchanges, exchanged, sizes)))

    @staticmethod
    def of(
        plain: Source,
        n: int | tuple[int, ...],
        least: float | tuple[float, ...],
        halves: int | tuple[int, ...] = 2,
    ) -> AssignedSource:
        """The same random network, its neurons assigned."""
        own = {"n": n, "drawn": plain.n, "least": least, "halves": _one_each(halves, plain.pairs)}
        return AssignedSource(**{f.name: getattr(plain, f.name) for f in fields(Source)} | own)

    @cached_property
    def plain(self) -> Source:
        """The source itself, every neuron in the block where it stands."""
        same = {f.name: getattr(self, f.name) for f in fields(Source)}
        return Source(**{**same, "n": self.drawn})

    @cached_property
    def places(self) -> tuple[Indices, ...]:
        """For each layer pair the position in the hidden layer of every slot's neurons,
        `[2, blocks, n]`; −1 where a slot is short of one. Draws all in-weights."""
        return tuple(self._assigned(layer) for layer in range(self.pairs))

    def part(self, locked: bool) -> Source:
        found = super().part(locked)
        vars(found)["places"] = self.places  # which no out-weight decides
        return found

    def hidden(self, layer: int) -> int:
        """Width of the pair's hidden layer, idle neurons included."""
        return self.plain.hidden(layer)

    def positions(
        self, layer: int, half: Coordinate, block: Coordinate, index: Coordinate
    ) -> Indices:
        place: Indices = self.places[layer][half, block, index]
        if place.size and place.min() < 0:
            got = f"a place of layer {layer} that no neuron serves"
            raise BadInput("coordinates", got, "places of neurons", "make the ticket anew")
        return place

    def entries(
        self,
        layer: int,
        role: Role,
        half: Coordinate,
        block: Coordinate,
        output: Coordinate,
        index: Coordinate,
    ) -> Floats:
        half, block, output, index = self._coordinates(layer, role, half, block, output, index)
        place = self.positions(layer, half, block, index)
        return self._at(layer, role, place, output)

    # -- whole matrices: the plain source's ------------------------------------------------------

    def in_matrix(self, layer: int) -> Floats:
        return self.plain.in_matrix(layer)

    def bias_vector(self, layer: int) -> Floats | None:
        return self.plain.bias_vector(layer)

    def out_matrix(self, layer: int) -> Floats:
        return self.plain.out_matrix(layer)

    def torch_out_weights(
        self, layer: int, half: int, device: str, start: int = 0, stop: int | None = None
    ) -> torch.Tensor:
        """`out_weights` on `device`, drawn on the CPU."""
        import torch

        return torch.from_numpy(self.out_weights(layer, half, start, stop)).to(device)

    # -- identity --------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        exchanged = [[list(pair) for pair in pairs] for pairs in self.exchanged]
        own = {name: list(getattr(self, name)) for name in ("drawn", "least", "halves")}
        return {**super().to_json(), **own, "exchanged": exchanged}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> AssignedSource:
        own = {name: tuple(data[name]) for name in ("drawn", "least", "halves", "exchanged")}
        same = Source.from_json({k: v for k, v in data.items() if k not in own})
        return AssignedSource(**{f.name: getattr(same, f.name) for f in fields(Source)} | own)

    # -- the assignment --------------------------------------------------------------------------

    def _assigned(self, layer: int) -> Indices:
        blocks, n = self.blocks(layer), self.n[layer]
        wanted = np.full((blocks, 2), n)
        wanted[:, 1] *= self.halves[layer] == 2
        wanted[self.inputs(layer) :, 1] = 0  # input "one" is never negative
        good = good_slots(blocks, self._rows(layer), self.least[layer])
        slot = assign(good, wanted.ravel()).slot
        for pair in self.exchanged[layer]:
            slot[list(pair)] = slot[list(pair[::-1])]
        order = np.argsort(slot, kind="stable")[np.count_nonzero(slot < 0) :]
        served = slot[order]
        places = np.full((2 * blocks, n), -1)
        places[served, np.arange(served.size) - np.searchsorted(served, served)] = order
        return np.ascontiguousarray(places.reshape(blocks, 2, n).swapaxes(0, 1))

    def _rows(self, layer: int) -> Iterator[Floats]:
        """In-weights of all hidden neurons, in order, half a block at a time: `[n, blocks]`, that
        from input "one" last."""
        for a in range(self.blocks(layer)):
            for half in (0, 1):
                rows = self.plain._fill(
                    layer, Role.IN, half, (a, a + 1), (0, self.inputs(layer)), 0, None
                )[0].T
                if self.bias[layer]:
                    one = self.plain._fill(layer, Role.BIAS, half, (a, a + 1), (0, 1), 0, None)
                    rows = np.column_stack([rows, one[0].T])
                yield rows

    def all_weights(self, layer: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """All in-weights `[hidden, blocks]` and out-weights `[hidden, outputs]`, exactly."""
        u = np.empty((self.hidden(layer), self.blocks(layer)), dtype=np.float32)
        v = np.empty((self.hidden(layer), self.outputs(layer)), dtype=np.float32)
        n, at = self.drawn[layer], 0
        for rows in self._rows(layer):
            u[at : at + n] = rows
            a, half = divmod(at // n, 2)
            v[at : at + n] = self.plain.out_weights(layer, half, blocks=(a, a + 1))[0].T
            at += n
        return u, v

    def _at(self, layer: int, role: Role, place: Indices, output: Coordinate) -> Floats:
        """The plain source's weights of neurons by their positions."""
        n = self.drawn[layer]
        at = place // n
        return self.plain.entries(layer, role, at % 2, at // 2, output, place % n)

    def _fill(
        self,
        layer: int,
        role: Role,
        half: int,
        blocks: tuple[int, int],
        outputs: tuple[int, int],
        start: int,
        stop: int | None,
    ) -> Floats:
        stop = self._stop(layer, start, stop)
        size = (max(0, blocks[1] - blocks[0]), max(0, outputs[1] - outputs[0]), stop - start)
        out = np.zeros(size)
        if out.size:
            rows, columns = (np.array([a, b - 1]) for a, b in (blocks, outputs))
            self._check(layer, role, np.array([half]), rows, columns, np.empty(0, np.int64))
        output = np.arange(*outputs)[:, None]
        for row, place in zip(
            out, self.places[layer][half, slice(*blocks), start:stop], strict=True
        ):
            there = place >= 0
            row[:, there] = self._at(layer, role, place[there], output).reshape(len(row), -1)
        return out


def _exchanges(pairs: Any, size: int) -> tuple[tuple[int, int], ...]:
    """Pairs of different neurons among so many."""
    found = tuple((_integer("exchanged", p), _integer("exchanged", q)) for p, q in pairs)
    if not all(0 <= p < size and 0 <= q < size and p != q for p, q in found):
        allowed = f"pairs of different positions in 0 … {size - 1}"
        raise BadInput("exchanged", "others", allowed, "make the ticket anew")
    return found

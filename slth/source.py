"""A random network is a seed: every weight is a function of its coordinates.

The source of a target with widths d_0 … d_l has 2l layers. Layer pair i takes d_{i−1} inputs (and,
where `bias` is set, one more that is fixed at one) to a hidden layer of blocks, one block an input,
each of two halves of n_i neurons, and from there to d_i outputs:

    in-weights   `[hidden, d_{i−1}]`, and the hidden bias vector = the in-weights of input "one"
    out-weights  `[d_i, hidden]`, no bias

Hidden neuron (block a, half h, index k) stands at position (2a + h)·n_i + k. All weights are drawn
independently. A mask may keep any of them; the gadgets keep in-weights only on the block pattern
(neuron of block a ← input a), so a source of 10^12 weights costs nothing until asked.

The counter of a weight is its coordinates (Philox4x32-10; key from the seed by SeedSequence):
word 0 = index k div 4 (lane k mod 4), word 1 = output (of an in-weight: the input it comes from),
word 2 = block a, word 3 = 256·layer + role. No coordinate depends on n: the source at n is a
prefix of the source at any larger n.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.laws import Law, Uniform, from_json, tables
from slth.wiring import Wiring

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]
Coordinate = int | NDArray[np.int64]
LIMIT = 1 << 31  # of every coordinate; the counter words hold 32 bits
STATE = 16  # added to a weight's tag: the role plus 8, whose words say whether it is there
CHANCE = (Uniform.code, *Uniform(0.0, 1.0).params)  # the law of those words
PARALLEL_FROM = 1 << 20  # words under which a thread pool costs more than it gives


class Role(IntEnum):
    """What a weight is, apart from its half: the low bits of counter word 3 are 2·role + half."""

    IN = 0
    OUT = 1
    BIAS = 2
    DENSE = 3  # a weight of any network, see `dense`
    DENSE_BIAS = 4


def dense(
    seed: int,
    layer: int,
    shape: tuple[int, ...],
    law: Law,
    *,
    bias: bool = False,
    generation: int = 0,
) -> Floats:
    """The random weight `[out, in]` or `[out, in, rows, columns]` of one layer of any network.

    Or, with `bias`, its bias `[out]`. layer: the layer's number in that network, from 0. Word 0 is
    input div 4, word 1 the output, word 2 = 65536·row + column, word 3 = 256·layer + role: a
    narrower layer or a smaller kernel is a corner of any larger one. generation: of weights that
    are drawn anew; each has a key of its own (SeedSequence's child of that number; the seed's own
    for 0).
    """
    from slth import philox

    fits = len(shape) == 1 if bias else len(shape) in (2, 4)
    if not fits or min(shape) < 1 or max(shape[:2]) >= LIMIT or max(shape[2:], default=1) > 65536:
        allowed = "[out, in] or [out, in, rows, columns]; of a bias, [out]"
        raise BadInput("shape", shape, allowed, "draw linear and two-dimensional layers only")
    spawn = (generation,) if generation else ()
    state = np.random.SeedSequence(_integer("seed", seed), spawn_key=spawn).generate_state(2)
    role = Role.DENSE_BIAS if bias else Role.DENSE
    rows, columns = shape[2:] if len(shape) == 4 else (1, 1)
    drawn = np.empty((rows, columns, *(shape[:2] if not bias else (shape[0], 1))))
    for row in range(rows):
        philox.fill(
            state.astype(np.uint64),
            np.uint64(256 * layer + 2 * role),
            row << 16,
            0,
            0,
            (law.code, *law.params),
            *tables(),
            drawn[row],
        )
    return np.ascontiguousarray(drawn.transpose(2, 3, 0, 1)).reshape(shape)


@dataclass(frozen=True)
class Source:
    """The random network with this architecture, law and seed.

    dims: (d_0, …, d_l) of the target it is to hold; n: neurons a half for each of the l layer
    pairs (one int for all); bias: for each pair, whether the odd layer has a bias vector (one bool
    for all). `law` draws in-weights and biases, `out_law` out-weights (default: the same law).

    Where the target is no stack of fully connected layers, `dims` lists (inputs, outputs · taps)
    for every pair and `wiring` says how they are connected. A convolution's pair is a 1×1 layer to
    2·n channels a block and one with the target's kernel, stride and padding, and output j's tap t
    counts as output j·taps + t.

    linear: for each pair, whether nothing lies between its two layers, not even ReLU, as between
    an attention head's query and key matrices (Otsuka et al. 2025; theirs are U[−n^¼, n^¼] and
    their logits divided by √n, which are the logits of U[−1, 1]). Every neuron then answers to
    inputs of both signs, and half 1 is left to no gadget.

    Properties that any construction accepts: `bias_law` draws the hidden biases from a law of their
    own (Fischer et al. 2021), and a source may have biases where the target has none. `present`:
    the chance that a weight exists at all; one that does not reads as zero and cannot be kept
    (Erdős–Rényi sources, Gadhikar et al. 2022). `locked`: the chance that an out-weight is kept
    whether wanted or not, as soon as its neuron is (partially frozen sources, Otsuka et al. 2024;
    there in-weights are locked, too, which leaves no neuron to a single input). Whether a weight is
    there and locked is drawn by a counter of its own: one uniform number, locked below `locked`,
    absent from `present` on.
    """

    dims: tuple[int, ...] | tuple[tuple[int, int], ...]
    n: tuple[int, ...]
    bias: tuple[bool, ...]
    seed: int
    law: Law = field(default_factory=Uniform)
    out_law: Law | None = None
    wiring: Wiring | None = None
    bias_law: Law | None = None
    present: float = 1.0
    locked: float = 0.0
    linear: tuple[bool, ...] = (False,)
    shown: tuple[float, float] | None = field(default=None, repr=False)  # see `part`

    def __post_init__(self) -> None:
        for name in ("present", "locked"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not 0 < self.present <= 1:
            raise BadInput("present", self.present, "a chance in (0, 1]", "1 for all weights")
        if not 0 <= self.locked <= self.present:
            allowed = f"a chance in [0, {self.present}], that of being present"
            raise BadInput("locked", self.locked, allowed, "0 for none")
        dims = _widths(self.dims)
        object.__setattr__(self, "dims", dims)
        pairs = self.pairs
        if self.wiring is not None and self.wiring.links != dims:
            raise BadInput("dims", dims, f"{self.wiring.links}, as the wiring has", "match them")
        n = tuple(_integer("n", k) for k in _one_each(self.n, pairs))
        bias = tuple(_flag(b) for b in _one_each(self.bias, pairs))
        linear = tuple(self.linear) * (pairs if len(self.linear) == 1 else 1)
        if len(n) != pairs or len(bias) != pairs or len(linear) != pairs:
            got = f"{n}, {bias}, {linear}"
            raise BadInput("n, bias, linear", got, f"one, or {pairs} each", "match dims")
        object.__setattr__(self, "linear", tuple(_flag(flag) for flag in linear))
        if min(n) < 1 or max(n) >= LIMIT:
            raise BadInput(
                "n",
                max(n) if min(n) >= 1 else min(n),
                "1 … 2^31 − 1 neurons a half",
                "loosen epsilon if a theorem asked for more",
            )
        object.__setattr__(self, "seed", _integer("seed", self.seed))
        if self.seed < 0:
            raise BadInput("seed", self.seed, "an integer ≥ 0", "pass a non-negative integer")
        for name, law in (
            ("law", self.law),
            ("out_law", self.out_law or self.law),
            ("bias_law", self.bias_law or self.law),
        ):
            if not isinstance(law, Law):
                raise BadInput(name, law, "a law of slth.laws, such as Uniform()", "pass one")
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "bias", bias)

    def with_n(self, n: int | tuple[int, ...]) -> Source:
        """The same random weights at another width."""
        return replace(self, n=n)  # type: ignore[arg-type]

    def part(self, locked: bool) -> Source:
        """The same source with none but its locked out-weights, or none but its free ones; the
        others read as zero. A view to search in, not a source to save."""
        ends = (0.0, self.locked) if locked else (self.locked, self.present)
        return replace(self, shown=ends)

    @cached_property
    def key(self) -> tuple[int, int]:
        state = np.random.SeedSequence(self.seed).generate_state(2, np.uint32)
        return int(state[0]), int(state[1])

    @property
    def pairs(self) -> int:
        return len(self.dims) - isinstance(self.dims[0], int)

    @cached_property
    def links(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of every layer pair."""
        given: Any = self.dims
        return tuple(pairwise(given)) if isinstance(given[0], int) else given

    def inputs(self, layer: int) -> int:
        """Inputs of layer pair `layer` (0-based), input "one" not counted."""
        return self.links[layer][0]

    def outputs(self, layer: int) -> int:
        """Outputs of layer pair `layer`; of a convolution, output channels times taps."""
        return self.links[layer][1]

    @property
    def drawn(self) -> tuple[int, ...]:
        """Neurons drawn a half of a block, a layer pair: n, unless they choose their inputs."""
        return self.n

    def blocks(self, layer: int) -> int:
        """Inputs of layer pair `layer`, input "one" included."""
        return self.inputs(layer) + self.bias[layer]

    def hidden(self, layer: int) -> int:
        """Width of the pair's hidden layer: 2·n·blocks."""
        return 2 * self.n[layer] * self.blocks(layer)

    @property
    def parameters(self) -> int:
        """Random weights in the whole source, all of them prunable."""
        return sum(self.hidden(i) * (self.blocks(i) + self.outputs(i)) for i in range(self.pairs))

    def positions(
        self, layer: int, half: Coordinate, block: Coordinate, index: Coordinate
    ) -> NDArray[np.int64]:
        """Where hidden neurons stand in the pair's hidden layer."""
        place: Any = (2 * np.asarray(block) + half) * self.n[layer] + index
        return np.asarray(place, dtype=np.int64)

    # -- drawing -------------------------------------------------------------------------------

    def in_weights(
        self,
        layer: int,
        half: int,
        start: int = 0,
        stop: int | None = None,
        block: int | None = None,
    ) -> Floats:
        """In-weights on the block pattern, `[blocks, stop − start]`: row a is neuron ← input a.

        With `block`, that row alone, `[stop − start]`.
        """
        stop = self._stop(layer, start, stop)
        width = self.inputs(layer)
        first, last = (0, self.blocks(layer)) if block is None else (block, block + 1)
        out = np.empty((last - first, stop - start))
        for a in range(first, last):
            role = Role.IN if a < width else Role.BIAS
            output = a if a < width else 0
            out[a - first] = self._fill(
                layer, role, half, (a, a + 1), (output, output + 1), start, stop
            )
        return out if block is None else out[0]

    def out_weights(
        self,
        layer: int,
        half: int,
        start: int = 0,
        stop: int | None = None,
        blocks: tuple[int, int] | None = None,
        outputs: tuple[int, int] | None = None,
    ) -> Floats:
        """Out-weights `[blocks, outputs, stop − start]` of the given ranges (default: all)."""
        stop = self._stop(layer, start, stop)
        blocks = blocks or (0, self.blocks(layer))
        outputs = outputs or (0, self.outputs(layer))
        return self._fill(layer, Role.OUT, half, blocks, outputs, start, stop)

    def entries(
        self,
        layer: int,
        role: Role,
        half: Coordinate,
        block: Coordinate,
        output: Coordinate,
        index: Coordinate,
    ) -> Floats:
        """Scattered weights at broadcastable coordinates; a flat array in C order."""
        from slth import philox

        flat = self._coordinates(layer, role, half, block, output, index)
        tags = flat.pop(0) + self._tag(layer, role, 0)
        out = np.empty(flat[0].size)
        normal, power = tables()
        key = np.array(self.key, np.uint64)
        philox.gather(key, tags, *flat, self._law(role), normal, power, out)
        ends = self._ends(role)
        if ends != (0.0, 1.0):
            state = np.empty(out.size)
            philox.gather(key, tags + STATE, *flat, CHANCE, normal, power, state)
            out[(state < ends[0]) | (state >= ends[1])] = 0.0
        return out

    def is_locked(
        self, layer: int, half: Coordinate, block: Coordinate, output: Coordinate, index: Coordinate
    ) -> NDArray[np.bool_]:
        """Whether out-weights at broadcastable coordinates are locked; flat, in C order."""
        if not self.locked:
            return np.zeros(np.broadcast(half, block, output, index).size, dtype=bool)
        shown = self.part(locked=True)
        found: NDArray[np.bool_] = shown.entries(layer, Role.OUT, half, block, output, index) != 0
        return found

    # -- whole matrices --------------------------------------------------------------------------

    def in_matrix(self, layer: int) -> Floats:
        """All in-weights of the pair, dense `[hidden, d_{i−1}]`."""
        return np.concatenate(
            [
                self._fill(layer, Role.IN, h, (a, a + 1), (0, self.inputs(layer)), 0, None)[0].T
                for a in range(self.blocks(layer))
                for h in (0, 1)
            ]
        )

    def bias_vector(self, layer: int) -> Floats | None:
        """The hidden bias vector `[hidden]`, or None where the pair has none."""
        if not self.bias[layer]:
            return None
        halves = [
            self._fill(layer, Role.BIAS, h, (0, self.blocks(layer)), (0, 1), 0, None)[:, 0]
            for h in (0, 1)
        ]
        return np.stack(halves, axis=1).ravel()

    def out_matrix(self, layer: int) -> Floats:
        """All out-weights of the pair, dense `[d_i, hidden]`."""
        halves = np.stack([self.out_weights(layer, h) for h in (0, 1)], axis=1)
        return np.ascontiguousarray(halves.transpose(2, 0, 1, 3)).reshape(self.outputs(layer), -1)

    def torch_out_weights(
        self, layer: int, half: int, device: str, start: int = 0, stop: int | None = None
    ) -> torch.Tensor:
        """`out_weights` drawn by the torch engine on `device`: the same numbers to the last bit."""
        import torch

        from slth import philox

        stop = self._stop(layer, start, stop)
        index = torch.arange(start, stop, dtype=torch.int64, device=device)
        block = torch.arange(self.blocks(layer), dtype=torch.int64, device=device)[:, None, None]
        output = torch.arange(self.outputs(layer), dtype=torch.int64, device=device)[:, None]

        def drawn(tag: int, law: tuple[int, float, float]) -> torch.Tensor:
            last = torch.tensor(tag, dtype=torch.int64, device=device)
            words = philox.torch_words(
                self.key,
                tuple(torch.broadcast_tensors(index >> 2, output, block, last)),  # type: ignore[no-untyped-call]
            )
            stacked = torch.stack(words, dim=-1)
            lane = torch.broadcast_to((index & 3)[:, None], (*stacked.shape[:-1], 1))
            return philox.torch_weights(
                torch.gather(stacked, -1, lane).squeeze(-1), *law, *tables()
            )

        tag, ends = self._tag(layer, Role.OUT, half), self._ends(Role.OUT)
        weights = drawn(tag, self._law(Role.OUT))
        if ends == (0.0, 1.0):
            return weights
        state = drawn(tag + STATE, CHANCE)
        return torch.where((state >= ends[0]) & (state < ends[1]), weights, 0.0)

    # -- identity --------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        return {
            "dims": [d if isinstance(d, int) else list(d) for d in self.dims],
            "n": list(self.n),
            "bias": list(self.bias),
            "seed": self.seed,
            "law": self.law.to_json(),
            "out_law": None if self.out_law is None else self.out_law.to_json(),
            **({} if self.wiring is None else {"wiring": self.wiring.to_json()}),
            **({} if self.bias_law is None else {"bias_law": self.bias_law.to_json()}),
            **({"linear": list(self.linear)} if any(self.linear) else {}),
            **({} if self.present == 1 else {"present": self.present}),
            **({} if self.locked == 0 else {"locked": self.locked}),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Source:
        if "drawn" in data:
            from slth.assigned_source import AssignedSource

            return AssignedSource.from_json(data)
        out_law, wiring, bias_law = data["out_law"], data.get("wiring"), data.get("bias_law")
        dims: Any = tuple(d if isinstance(d, int) else tuple(d) for d in data["dims"])
        return Source(
            dims,
            tuple(data["n"]),
            tuple(bool(b) for b in data["bias"]),
            data["seed"],
            from_json(data["law"]),
            None if out_law is None else from_json(out_law),
            None if wiring is None else Wiring.from_json(wiring),
            None if bias_law is None else from_json(bias_law),
            data.get("present", 1.0),
            data.get("locked", 0.0),
            tuple(data.get("linear", (False,))),
        )

    # -- the counter -----------------------------------------------------------------------------

    def _tag(self, layer: int, role: Role, half: int) -> int:
        return 256 * layer + 2 * role + half

    def _law(self, role: Role) -> tuple[int, float, float]:
        law = {Role.OUT: self.out_law, Role.BIAS: self.bias_law}.get(role) or self.law
        return (law.code, *law.params)

    def _ends(self, role: Role) -> tuple[float, float]:
        """Between which states a weight is there."""
        return self.shown if self.shown is not None and role == Role.OUT else (0.0, self.present)

    def _stop(self, layer: int, start: int, stop: int | None) -> int:
        if not 0 <= layer < self.pairs:
            raise BadInput("layer", layer, f"0 … {self.pairs - 1}", "stay in the source")
        stop = self.n[layer] if stop is None else stop
        if not 0 <= start <= stop <= self.n[layer]:
            raise BadInput(
                "index range", f"[{start}, {stop})", f"within [0, {self.n[layer]})", "widen n"
            )
        return stop

    def _coordinates(
        self,
        layer: int,
        role: Role,
        half: Coordinate,
        block: Coordinate,
        output: Coordinate,
        index: Coordinate,
    ) -> list[NDArray[np.int64]]:
        """The same, broadcast against each other and flat, if they are whole and in the source."""
        parts = np.broadcast_arrays(half, block, output, index)
        if any(c.dtype.kind not in "iu" for c in parts):
            raise BadInput("coordinates", "other than integers", "integers", "round them yourself")
        flat = [np.array(c).ravel() for c in parts]  # copies: writable
        self._check(layer, role, *flat)
        return flat

    def _check(
        self,
        layer: int,
        role: Role,
        half: NDArray[np.int64],
        block: NDArray[np.int64],
        output: NDArray[np.int64],
        index: NDArray[np.int64],
    ) -> None:
        if not 0 <= layer < self.pairs:
            raise BadInput("layer", layer, f"0 … {self.pairs - 1}", "stay in the source")
        outputs = {Role.IN: self.inputs(layer), Role.OUT: self.outputs(layer), Role.BIAS: 1}[role]
        for name, value, size in (
            ("half", half, 2),
            ("block", block, self.blocks(layer)),
            ("output", output, outputs),
            ("index", index, self.n[layer]),
        ):
            if value.size and not (value.min() >= 0 and value.max() < size):
                bad = value.min() if value.min() < 0 else value.max()
                raise BadInput(f"coordinate {name}", bad, f"0 … {size - 1}", "stay in the source")

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
        from slth import philox

        stop = self._stop(layer, start, stop)
        corners = [np.array([a, b - 1]) for a, b in (blocks, outputs) if a < b]
        if len(corners) == 2:
            self._check(
                layer, role, np.array([half]), corners[0], corners[1], np.empty(0, np.int64)
            )
        out = np.empty(
            (max(0, blocks[1] - blocks[0]), max(0, outputs[1] - outputs[0]), stop - start)
        )
        key = np.array(self.key, np.uint64)
        tag = np.uint64(self._tag(layer, role, half))
        law, (normal, power) = self._law(role), tables()
        ends = self._ends(role)

        def rows(first: int, last: int) -> None:
            philox.fill(
                key, tag, blocks[0] + first, outputs[0], start, law, normal, power, out[first:last]
            )
            if ends != (0.0, 1.0):
                state = np.empty_like(out[first:last])
                philox.fill(
                    key, tag + STATE, blocks[0] + first, outputs[0], start, CHANCE, normal, power,
                    state,
                )  # fmt: skip
                out[first:last][(state < ends[0]) | (state >= ends[1])] = 0.0

        if out.size < PARALLEL_FROM or out.shape[0] < 2:
            rows(0, out.shape[0])
        else:
            from slth.threads import chunks, workers

            with ThreadPoolExecutor(workers()) as pool:
                list(pool.map(lambda c: rows(*c), chunks(out.shape[0], 4 * workers())))
        return out


def _widths(dims: Any) -> Any:
    """Widths as integers: a chain's, or pairs of them."""
    flat = isinstance(dims, tuple | list) and len(dims) > 0
    paired = flat and all(isinstance(d, tuple | list) and len(d) == 2 for d in dims)
    if paired:
        found: Any = tuple((_integer("dims", a), _integer("dims", b)) for a, b in dims)
        sizes = [size for pair in found for size in pair]
    else:
        found = tuple(_integer("dims", d) for d in dims)
        sizes = list(found)
    if len(sizes) < 2 or min(sizes) < 1 or max(sizes) >= LIMIT:
        raise BadInput("dims", dims, "two or more widths, each in 1 … 2^31 − 1", "fix them")
    return found


def _integer(name: str, value: Any) -> int:
    """The value as an int if it is one, whoever's; neither floats nor booleans are."""
    if isinstance(value, (bool, np.bool_)):
        raise BadInput(name, value, "an integer", "pass a number")
    try:
        return operator.index(value)
    except TypeError:
        raise BadInput(name, repr(value), "an integer", "round it yourself") from None


def _flag(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise BadInput("bias", repr(value), "True or False", "one for all layers, or one each")
    return bool(value)


def _one_each(value: Any, pairs: int) -> tuple[Any, ...]:
    """A tuple as it is; a single value for every layer pair."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * pairs

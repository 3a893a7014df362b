"""A random network of dense layers: widths, a law, a seed, and a public factor a layer.

Layer t takes w_t numbers to w_{t+1}: y ↦ s_t·(M_t ⊙ W_t) y + m_t ⊙ b_t, an activation (ReLU unless
another is named) between layers, none after the last. Every weight (and every bias, where a layer
has any) is drawn independently from one law; the factors s_t are powers of two, declared with the
widths and the same for all weights of a layer. Nothing is drawn before it is asked for, so layers
of 10^10 weights cost nothing.

A target of l layers d_0 … d_l lies in such a stack by its *ends*: its layer i ends with source
layer ends[i], of which neurons j·copies[i] … (j + 1)·copies[i] − 1 stand for output j, and those
from d_{i+1}·copies[i] on for nothing; of the last layer every output is one neuron. Without ends
the stack is the target's own architecture. Copies of one output compute the same, or where they are
kept `apart` each its own approximation of it (`slth.layered_copies`).

Counters are those of `slth.source`: weight (row i ← column j) of layer t is the out-weight of
neuron j to output i in half 0 of block 0 of layer pair t, bias i the one of neuron 0 in half 1. So
a narrower layer is a corner of any wider one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.laws import Law, Rademacher, from_json
from slth.source import Coordinate, Role, Source
from slth.wiring import LIPSCHITZ, Activation

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LayeredSource:
    """The stack with these widths (w_0, …, w_T), law and seed.

    bias: for each layer, whether it has a bias vector; scales: s_t (one value for all serves both).
    dims: (d_0, …, d_l) of the target it is to hold, ends: its layers' last source layers, counted
    from 0, copies: neurons for each output, a target layer each; apart: whether these may differ.
    activation, slope: as in `slth.wiring.Activation`.
    """

    widths: tuple[int, ...]
    seed: int
    law: Law = field(default_factory=Rademacher)
    bias: tuple[bool, ...] = (False,)
    scales: tuple[float, ...] = (1.0,)
    dims: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    copies: tuple[int, ...] = ()
    apart: bool = False
    activation: str = "relu"
    slope: float = 0.0

    def __post_init__(self) -> None:
        layers = len(self.widths) - 1
        bias = tuple(self.bias) * (layers if len(self.bias) == 1 else 1)
        scales = tuple(float(s) for s in self.scales) * (layers if len(self.scales) == 1 else 1)
        dims = tuple(self.dims) or tuple(self.widths)
        ends = tuple(self.ends) or tuple(range(layers))
        copies = tuple(self.copies) or (1,) * len(ends)
        for name, value in (
            ("widths", tuple(self.widths)), ("bias", bias), ("scales", scales), ("dims", dims),
            ("ends", ends), ("copies", copies),
        ):  # fmt: skip
            object.__setattr__(self, name, value)
        drawn = self._drawn  # which looks at widths, seed and law
        object.__setattr__(self, "widths", drawn.dims)
        if len(bias) != layers or not all(isinstance(b, (bool, np.bool_)) for b in bias):
            raise BadInput("bias", bias, f"True or False, {layers} or one", "one a layer")
        if len(scales) != layers or not all(_power_of_two(s) for s in scales):
            allowed = f"powers of two in [2^-60, 2^60], {layers} or one"
            raise BadInput("scales", scales, allowed, "one a layer")
        if not self._ends_fit():
            got = f"dims {dims}, ends {ends}, copies {copies}"
            allowed = f"ascending ends up to {layers - 1} with room for every copy"
            raise BadInput("ends", got, allowed, "match them to the widths")
        if not isinstance(self.apart, bool):
            raise BadInput("apart", self.apart, "True or False", "choose one")
        if self.activation not in LIPSCHITZ or not 0 <= self.slope <= 1:
            got, allowed = f"{self.activation}, slope {self.slope}", ", ".join(LIPSCHITZ)
            raise BadInput("activation", got, f"{allowed}, slope in [0, 1]", "choose one of these")
        for name in ("dims", "ends", "copies"):
            object.__setattr__(self, name, tuple(int(v) for v in getattr(self, name)))

    def _ends_fit(self) -> bool:
        dims, ends, copies, widths = self.dims, self.ends, self.copies, self.widths
        whole = all(
            isinstance(v, (int, np.integer)) and not isinstance(v, bool)
            for v in (*dims, *ends, *copies)
        )
        if not whole or not len(dims) - 1 == len(ends) == len(copies):
            return False
        rising = all(a < b for a, b in zip((-1, *ends), ends, strict=False))
        if not rising or ends[-1] != self.layers - 1 or min(*dims, *copies) < 1:
            return False
        hidden = zip(dims[1:-1], copies[:-1], ends[:-1], strict=True)
        return (dims[0], dims[-1]) == (widths[0], widths[-1]) and all(
            d * c <= widths[end + 1] for d, c, end in hidden
        )

    @cached_property
    def _drawn(self) -> Source:
        """The gadget source whose out-weights are these layers."""
        widths = tuple(self.widths)
        if len(widths) < 2:
            raise BadInput("widths", widths, "two or more", "name inputs and outputs")
        return Source(widths, widths[:-1], (False,) * (len(widths) - 1), self.seed, self.law)

    @property
    def layers(self) -> int:
        return len(self.widths) - 1

    @property
    def pairs(self) -> int:
        """Layers of the target, as a gadget source's pairs of layers are."""
        return len(self.ends)

    @property
    def links(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of every layer of the target."""
        return tuple(pairwise(self.dims))

    @property
    def drawn(self) -> tuple[int, ...]:
        return self.n

    @property
    def n(self) -> tuple[int, ...]:
        """Copies of an output, a target layer each."""
        return self.copies

    def hidden(self, layer: int) -> int:
        """The most neurons in a hidden layer of those that hold this layer of the target."""
        first = self.ends[layer - 1] if layer else -1
        return max(self.widths[first + 2 : self.ends[layer] + 1], default=0)

    @property
    def activated(self) -> Activation:
        """What stands between layers."""
        kind: Any = self.activation
        return Activation(0, kind, self.slope)

    @property
    def parameters(self) -> int:
        """Random weights and biases in the whole stack, all of them prunable."""
        ends = zip(self.widths[:-1], self.widths[1:], self.bias, strict=True)
        return sum(b * (a + one) for a, b, one in ends)

    def shape(self, layer: int) -> tuple[int, int]:
        """`[out, in]` of a layer."""
        return self.widths[layer + 1], self.widths[layer]

    # -- drawing -----------------------------------------------------------------------------------

    def entries(self, layer: int, rows: Coordinate, columns: Coordinate) -> Floats:
        """Scattered weights, scaled, at broadcastable coordinates; a flat array in C order."""
        drawn = self._drawn.entries(layer, Role.OUT, 0, 0, rows, columns)
        return drawn * self.scales[layer]

    def bias_entries(self, layer: int, rows: Coordinate) -> Floats:
        """Scattered biases of a layer; biases are not scaled."""
        self._with_bias(layer)
        return self._drawn.entries(layer, Role.OUT, 1, 0, rows, 0)

    def rows(self, layer: int, first: int, last: int) -> Floats:
        """All weights into neurons [first, last) of a layer, scaled, dense `[last − first, in]`."""
        span = (first, last)
        drawn: Floats = self._drawn.out_weights(layer, 0, blocks=(0, 1), outputs=span)[0]
        return drawn * self.scales[layer]

    def matrix(self, layer: int) -> Floats:
        """All weights of a layer, scaled, dense `[out, in]`."""
        return self.rows(layer, 0, self.widths[layer + 1])

    def bias_vector(self, layer: int) -> Floats | None:
        """All biases of a layer `[out]`, or None where it has none."""
        if not self.bias[layer]:
            return None
        return self._drawn.out_weights(layer, 1, 0, 1, blocks=(0, 1))[0, :, 0]

    def _with_bias(self, layer: int) -> None:
        if not self.bias[layer]:
            has = [t for t, one in enumerate(self.bias) if one]
            raise BadInput("layer", layer, f"one with a bias vector: {has}", "ask another layer")

    # -- identity ----------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        names = ("widths", "bias", "scales", "dims", "ends", "n")
        lists = {name: list(getattr(self, name)) for name in names}
        between = {"apart": self.apart, "activation": self.activation, "slope": self.slope}
        return {**lists, **between, "seed": self.seed, "law": self.law.to_json()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> LayeredSource:
        names = ("widths", "bias", "scales", "dims", "ends")
        fields: dict[str, Any] = {name: tuple(data[name]) for name in names}
        fields |= {name: data[name] for name in ("apart", "activation", "slope")}
        law, copies = from_json(data["law"]), tuple(data["n"])
        return LayeredSource(seed=data["seed"], law=law, copies=copies, **fields)


def _power_of_two(value: float) -> bool:
    return 2.0**-60 <= value <= 2.0**60 and math.frexp(value)[0] == 0.5

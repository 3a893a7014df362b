"""A network hidden in a random one, so that whoever looks for tickets can be told what there is.

After the idea of Fischer and Burkholz (2022), Plant 'n' Seek; the matching and the scales are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.target import Target

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@final
@dataclass(frozen=True, eq=False)
class Planted:
    """A random network with a target hidden in it.

    network: the source with the target's weights and biases, scaled, in place of its own. masks:
    one bool `[out, in]` a layer, True where the target has a weight that is not 0. neurons: where
    each layer's neurons went, inputs and outputs included, `[d_i]`. scales: neuron k of layer i
    computes scales[i][k] times what it does in the target, a power of two, so nothing is rounded.
    """

    network: Target
    masks: tuple[NDArray[np.bool_], ...]
    neurons: tuple[Places, ...]
    scales: tuple[Floats, ...]

    @property
    def scale(self) -> float:
        """The kept network computes this times the target."""
        return float(self.scales[-1][0])

    @property
    def density(self) -> float:
        """The fraction of weights that the target has, biases left out."""
        return sum(int(m.sum()) for m in self.masks) / sum(m.size for m in self.masks)

    def kept(self) -> Target:
        """The network that the masks leave, with all its biases."""
        own = zip(self.network.weights, self.masks, strict=True)
        return Target(tuple(w * mask for w, mask in own), self.network.biases)

    def recovered(self) -> Target:
        """The planted neurons of `kept` with the scaling undone: the target itself, bit for bit."""
        left = self.kept()
        weights, biases = [], []
        for i, (w, b) in enumerate(zip(left.weights, left.biases, strict=True)):
            assert b is not None
            rows, columns = self.neurons[i + 1], self.neurons[i]
            own = self.scales[i + 1]
            weights.append(w[np.ix_(rows, columns)] * self.scales[i] / own[:, None])
            biases.append(b[rows] / own)
        return Target(tuple(weights), tuple(biases))


def plant(target: Target, source: Target) -> Planted:
    """Hide `target` in the wider `source` of the same depth, both with biases.

    Layer by layer and neuron by neuron, the target's in-weights and bias replace the entries of the
    free source neuron that points most nearly the same way (largest cosine over those entries).
    max(λz, 0) = λ max(z, 0) for λ > 0, so every hidden neuron may have its own scale: the power of
    two that brings its entries' norm nearest to that of what they replace. The outputs stay where
    they are and share one scale. Raises BadInput where depth or ends differ, a layer is too narrow,
    biases are missing or a hidden neuron has no entries.
    """
    _check(target, source)
    weights = [w.copy() for w in source.weights]
    biases = [b.copy() for b in source.biases if b is not None]
    masks = [np.zeros(w.shape, dtype=bool) for w in weights]
    neurons, scales = [np.arange(target.dims[0])], [np.ones(target.dims[0])]
    for i, (w, b) in enumerate(zip(target.weights, target.biases, strict=True)):
        assert b is not None
        columns = neurons[-1]
        wanted = np.column_stack([w / scales[-1], b])
        used = np.column_stack([w != 0, np.ones(len(w), dtype=bool)])
        own = np.column_stack([weights[i][:, columns], biases[i]])
        if i == target.depth - 1:
            rows = np.arange(len(w))
            factors = np.full(len(w), _power(float(np.linalg.norm(own * used)), wanted))
        else:
            rows, factors = _matched(wanted, used, own)
        block = np.ix_(rows, columns)
        weights[i][block] = np.where(w != 0, wanted[:, :-1] * factors[:, None], weights[i][block])
        biases[i][rows] = b * factors
        masks[i][block] = w != 0
        neurons.append(rows)
        scales.append(factors)
    return Planted(
        Target(tuple(weights), tuple(biases)), tuple(masks), tuple(neurons), tuple(scales)
    )


def _matched(wanted: Floats, used: NDArray[np.bool_], own: Floats) -> tuple[Places, Floats]:
    """For each row of `wanted` the row of `own` that points most nearly its way, and its scale."""
    rows, factors = np.empty(len(wanted), dtype=np.intp), np.empty(len(wanted))
    free = np.ones(len(own), dtype=bool)
    for k, (row, use) in enumerate(zip(wanted, used, strict=True)):
        lengths = np.linalg.norm(own * use, axis=1)
        cosines = np.where(free, own @ row, -np.inf) / np.maximum(lengths, np.finfo(float).tiny)
        rows[k] = cosines.argmax()
        free[rows[k]] = False
        factors[k] = _power(float(lengths[rows[k]]), row)
    return rows, factors


def _power(length: float, wanted: Floats) -> float:
    """The power of two that brings the norm of `wanted` nearest to `length`; 1 where that is 0."""
    return 2.0 ** round(math.log2(length / float(np.linalg.norm(wanted)))) if length else 1.0


def _check(target: Target, source: Target) -> None:
    ends = target.dims[0], target.dims[-1], target.depth
    if ends != (source.dims[0], source.dims[-1], source.depth):
        got = f"widths {source.dims} for a target of {target.dims}"
        raise BadInput("source", got, "the same inputs, outputs and depth", "draw another source")
    for i, (wide, need) in enumerate(zip(source.dims, target.dims, strict=True)):
        if wide < need:
            raise BadInput("source", f"{wide} neurons in layer {i}", f"{need} or more", "widen it")
    for name, network in (("target", target), ("source", source)):
        if any(b is None for b in network.biases):
            raise BadInput(name, "a layer without biases", "biases everywhere", "zeros will do")
    for i in range(target.depth):
        rows = target.augmented(i) if i < target.depth - 1 else target.augmented(i).reshape(1, -1)
        if not rows.any(axis=1).all():
            raise BadInput(
                "target", f"a neuron of layer {i + 1} without weights", "some weight or bias",
                "remove it",
            )  # fmt: skip

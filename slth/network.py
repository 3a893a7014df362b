"""Targets of any supported architecture: convolutions, pooling, residual additions, activations.

`slth.target.Target` is the plain stack of fully connected layers with ReLU, for which certificates
are sharpest; a `Network` is everything else that a wiring can say. To a gadget construction both
are lists of matrices: a convolution `[out, in, rows, columns]` is the matrix `[out · taps, in]`,
and a bias one more column, which for a convolution stands at the tap that reads the pixel itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.errors import BadInput
from slth.target import with_bias
from slth.wiring import Affine, Wiring

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Network:
    """The real function that these float64 numbers define.

    weights: one a layer, `[out, in]` or `[out, in, rows, columns]`; biases: `[out]` or None each.
    Raises BadInput on NaN, infinities and shapes that the wiring does not have.
    """

    wiring: Wiring
    weights: tuple[Floats, ...]
    biases: tuple[Floats | None, ...]

    def __post_init__(self) -> None:
        layers = self.wiring.affine
        if len(self.weights) != len(layers) or len(self.biases) != len(layers):
            got = f"{len(self.weights)} weights, {len(self.biases)} biases"
            raise BadInput("weights", got, f"{len(layers)} each, as the wiring has", "add them")
        weights, biases = [], []
        for step, weight, bias in zip(layers, self.weights, self.biases, strict=True):
            shape = (step.outputs, step.inputs, *(step.kernel or ()))
            weights.append(_array(f"weights[{step.layer}]", weight, shape))
            bias = None if bias is None else _array(f"biases[{step.layer}]", bias, shape[:1])
            biases.append(bias)
        object.__setattr__(self, "weights", tuple(weights))
        object.__setattr__(self, "biases", tuple(biases))

    @property
    def depth(self) -> int:
        """Affine layers."""
        return len(self.weights)

    @property
    def links(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs · taps) of every layer's matrix, without the bias's column."""
        return self.wiring.links

    @property
    def biased(self) -> tuple[bool, ...]:
        return tuple(b is not None for b in self.biases)

    @property
    def signed(self) -> tuple[bool, ...]:
        """Whether each layer may see negative inputs."""
        return tuple(self.wiring.signed(step.of) for step in self.wiring.affine)

    @property
    def inputs(self) -> int:
        """Numbers in one input."""
        return self.wiring.inputs

    @property
    def outputs(self) -> int:
        return self.wiring.outputs

    @property
    def parameters(self) -> int:
        return sum(w.size for w in self.weights) + sum(b.size for b in self.biases if b is not None)

    def augmented(self, layer: int, first: int = 0, last: int | None = None) -> Floats:
        """`[outputs · taps, inputs (+ 1)]`: every tap of every output channel a row, the bias last;
        of columns [first, last) where these are given."""
        return with_bias(*self._matrices[layer], first, last)

    @cached_property
    def _matrices(self) -> tuple[tuple[Floats, Floats | None], ...]:
        found: list[tuple[Floats, Floats | None]] = []
        for step, weight, bias in zip(self.wiring.affine, self.weights, self.biases, strict=True):
            taps = np.moveaxis(weight.reshape(*weight.shape[:2], -1), 2, 1)
            matrix = np.ascontiguousarray(taps).reshape(-1, step.inputs)
            if bias is None:
                found.append((matrix, None))
                continue
            column = np.zeros((step.outputs, step.taps))
            column[:, step.middle] = bias
            found.append((matrix, column.ravel()))
        return tuple(found)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the wiring and the little-endian bytes of every weight and bias."""
        digest = hashlib.sha256(json.dumps(self.wiring.to_json(), sort_keys=True).encode())
        for weight, bias in zip(self.weights, self.biases, strict=True):
            digest.update(weight.astype("<f8").tobytes())
            digest.update(b"" if bias is None else bias.astype("<f8").tobytes())
        return digest.hexdigest()

    def __call__(self, x: ArrayLike) -> Floats:
        """`[batch, inputs]` → `[batch, outputs]`, images and their values flattened."""
        import torch

        flat = np.asarray(x, dtype=np.float64)
        with torch.no_grad():
            out = self.values(torch.from_numpy(flat.reshape(len(flat), *self.wiring.shape)))[-1]
        found: Floats = out.flatten(1).numpy()
        return found

    def values(self, x: Tensor) -> list[Tensor]:
        """Every value in torch, differentiable, of `[batch, *shape]` float64; the output last."""
        return self.wiring.run(x, self._apply)

    def _apply(self, step: Affine, y: Tensor) -> Tensor:
        weight, bias = self._tensors[step.layer]
        return affine(step, y, weight, bias)

    @cached_property
    def _tensors(self) -> tuple[tuple[Tensor, Tensor | None], ...]:
        import torch

        return tuple(
            (torch.tensor(w), None if b is None else torch.tensor(b))
            for w, b in zip(self.weights, self.biases, strict=True)
        )


def affine(step: Affine, y: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a layer with this weight, in the target's shape, makes of `[batch, …]`."""
    from torch.nn import functional

    if step.kernel is None:
        return functional.linear(y, weight, bias)
    return functional.conv2d(y, weight, bias, step.stride, step.padding)


def constant(step: Affine, y: Tensor, column: Tensor) -> Tensor:
    """What input "one" adds to a layer's outputs, its weights being `[outputs · taps]`: of a
    convolution, an image of ones, which padding continues by zeros as it does every other."""
    if step.kernel is None:
        return column[None]
    ones = y.new_ones(1, 1, *y.shape[2:])
    return affine(step, ones, column.reshape(step.outputs, 1, *step.kernel), None)


def folded(step: Affine, matrix: Floats) -> Floats:
    """A matrix `[outputs · taps, inputs]` in the target's shape `[out, in (, rows, columns)]`."""
    if step.kernel is None:
        return matrix
    spread = matrix.reshape(step.outputs, *step.kernel, -1)
    return np.ascontiguousarray(np.moveaxis(spread, 3, 1))


def _array(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Floats:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise BadInput(name, f"dtype {array.dtype}", "float32 or float64", "convert the weights")
    array = np.array(array, dtype=np.float64, order="C")  # a copy: frozen below
    if array.shape != shape:
        raise BadInput(name, f"shape {array.shape}", f"{shape}, as the wiring says", "check it")
    if not np.isfinite(array).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise BadInput(name, f"{array[at]} at {at}", "finite numbers", "retrain or repair it")
    array.flags.writeable = False
    return array

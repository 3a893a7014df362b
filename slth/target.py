"""The network to be approximated: a stack of affine maps with ReLU between, in float64."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.errors import BadInput
from slth.wiring import Wiring, chain

if TYPE_CHECKING:
    from torch import nn

    from slth.network import Network

Floats = NDArray[np.float64]

SUPPORTED = "torch.nn.Sequential of Linear (with or without bias) and ReLU, alternating"


@dataclass(frozen=True, eq=False)
class Target:
    """f(x) = W_l σ(… σ(W_1 x + b_1) …) + b_l with σ = ReLU, none after the last layer.

    weights: l matrices `[d_i, d_{i-1}]`; biases: l vectors `[d_i]` or None each. Values are float64
    and mean exactly the real numbers they are; float32 input is converted exactly.
    Raises BadInput on NaN, infinities, empty layers and shapes that do not chain.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats | None, ...]

    def __post_init__(self) -> None:
        weights = tuple(_array(f"weights[{i}]", w, 2) for i, w in enumerate(self.weights))
        biases = tuple(
            None if b is None else _array(f"biases[{i}]", b, 1) for i, b in enumerate(self.biases)
        )
        if not weights:
            raise BadInput("weights", "no layer", "at least one matrix", "pass the layers")
        if len(biases) != len(weights):
            raise BadInput(
                "biases", f"{len(biases)} entries", f"{len(weights)}, one a layer", "use None"
            )
        for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
            if i and w.shape[1] != weights[i - 1].shape[0]:
                raise BadInput(
                    f"weights[{i}]",
                    f"shape {w.shape}",
                    f"{weights[i - 1].shape[0]} columns, as layer {i - 1} has outputs",
                    "check the order and orientation [out, in] of the layers",
                )
            if b is not None and b.shape != (w.shape[0],):
                raise BadInput(
                    f"biases[{i}]", f"shape {b.shape}", f"({w.shape[0]},)", "one bias an output"
                )
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)

    @property
    def dims(self) -> tuple[int, ...]:
        """(d_0, …, d_l)."""
        return (self.weights[0].shape[1], *(w.shape[0] for w in self.weights))

    @property
    def depth(self) -> int:
        return len(self.weights)

    @property
    def links(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of every layer."""
        return tuple(pairwise(self.dims))

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
        return self.dims[0]

    @property
    def outputs(self) -> int:
        return self.dims[-1]

    @property
    def wiring(self) -> Wiring:
        return chain(self.dims)

    @property
    def parameters(self) -> int:
        return sum(w.size for w in self.weights) + sum(b.size for b in self.biases if b is not None)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of dims and the little-endian bytes of every weight and bias."""
        digest = hashlib.sha256(repr((self.dims, [b is not None for b in self.biases])).encode())
        for w, b in zip(self.weights, self.biases, strict=True):
            digest.update(w.astype("<f8").tobytes())
            if b is not None:
                digest.update(b.astype("<f8").tobytes())
        return digest.hexdigest()

    def augmented(self, layer: int, first: int = 0, last: int | None = None) -> Floats:
        """`[d_i, d_{i-1} + 1]` with the bias as last column, or `[d_i, d_{i-1}]` without one; of
        columns [first, last) where these are given."""
        return with_bias(self.weights[layer], self.biases[layer], first, last)

    def __call__(self, x: ArrayLike) -> Floats:
        """`[batch, d_0]` → `[batch, d_l]`."""
        y = np.asarray(x, dtype=np.float64)
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            y = np.maximum(y, 0.0) if i else y
            y = y @ w.T if b is None else y @ w.T + b
        return y

    def module(self) -> nn.Sequential:
        """The same network as a float64 `torch.nn.Sequential`."""
        import torch
        from torch import nn

        layers: list[nn.Module] = []
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            if i:
                layers.append(nn.ReLU())
            linear = nn.Linear(w.shape[1], w.shape[0], bias=b is not None, dtype=torch.float64)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(w.copy()))
                if b is not None:
                    linear.bias.copy_(torch.from_numpy(b.copy()))
            layers.append(linear)
        return nn.Sequential(*layers)


def wanted(
    target: Target | Network, layer: int, biased: bool, first: int = 0, last: int | None = None
) -> Floats:
    """`augmented`, with a column of zeros for the bias where only the source has one."""
    found = target.augmented(layer, first, last)
    width = target.links[layer][0]
    if not biased or target.biased[layer] or (last is not None and last <= width):
        return found
    return np.column_stack([found, np.zeros(len(found))])


def with_bias(matrix: Floats, bias: Floats | None, first: int, last: int | None) -> Floats:
    """Columns [first, last) of a matrix that a bias, if there is one, is the last column of."""
    width = matrix.shape[1]
    part = matrix[:, first : width if last is None else min(last, width)]
    here = bias is not None and (last is None or last > width)
    return np.column_stack([part, bias]) if here and bias is not None else part


def _array(name: str, value: ArrayLike, ndim: int) -> Floats:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise BadInput(name, f"dtype {array.dtype}", "float32 or float64", "convert the weights")
    array = np.array(array, dtype=np.float64, order="C")  # a copy: frozen below
    if array.ndim != ndim or array.size == 0:
        raise BadInput(
            name, f"shape {array.shape}", f"{ndim} dimensions, none empty", "check the layer"
        )
    if not np.isfinite(array).all():
        at = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise BadInput(
            name, f"{array[at]} at {at}", "finite numbers", "retrain or repair the model"
        )
    array.flags.writeable = False
    return array


def from_module(module: nn.Module) -> Target:
    """Read a torch model: `Sequential` of `Linear` and `ReLU` (nesting, Flatten first and Identity
    are looked through). Raises BadInput naming the first layer that is not supported and its place.
    """
    from torch import nn

    flat: list[tuple[str, nn.Module]] = []

    def walk(prefix: str, part: nn.Module) -> None:
        if type(part) is nn.Sequential:
            # not named_children(), which passes over a module that stands there a second time
            for name, child in part._modules.items():
                assert child is not None
                walk(f"{prefix}.{name}" if prefix else name, child)
        else:
            flat.append((prefix or "the model", part))

    walk("", module)
    weights: list[Floats] = []
    biases: list[Floats | None] = []
    expects_linear = True
    for place, part in flat:
        if type(part) is nn.Identity or (type(part) is nn.Flatten and not weights):
            continue
        if type(part) is nn.Linear and expects_linear:
            _refuse_hidden_weights(place, part)
            weights.append(_numpy(part.weight))
            biases.append(None if part.bias is None else _numpy(part.bias))
            expects_linear = False
        elif type(part) is nn.ReLU and not expects_linear:
            expects_linear = True
        else:
            raise BadInput(
                "model",
                f"{type(part).__name__} at {place}",
                SUPPORTED,
                "rewrite the model with these layers, or give their arrays to slth.target.Target",
            )
    if weights and expects_linear:
        raise BadInput("model", "ReLU after the last Linear", SUPPORTED, "remove the last ReLU")
    return Target(tuple(weights), tuple(biases))


def _refuse_hidden_weights(place: str, layer: nn.Linear) -> None:
    """A layer that computes with other numbers than `weight` and `bias` show is not read."""
    plain = {"weight"} | ({"bias"} if layer.bias is not None else set())
    owned = {name for name, value in layer._parameters.items() if value is not None}
    if owned != plain or layer._forward_hooks or layer._forward_pre_hooks:
        raise BadInput(
            "model",
            f"Linear at {place} with hooks or reparametrised weights",
            "plain weights",
            "make pruning or weight norm permanent (torch.nn.utils.prune.remove and the like)",
        )


def _numpy(parameter: object) -> Floats:
    import torch

    assert isinstance(parameter, torch.Tensor)
    if parameter.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise BadInput(
            "model", f"weights of dtype {parameter.dtype}", "real floats", "convert them"
        )
    array: Floats = parameter.detach().to("cpu", torch.float64).numpy().copy()
    return array

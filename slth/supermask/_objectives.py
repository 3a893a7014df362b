"""What a masked network is wanted for: to classify data, or to compute what a target computes."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

    from slth.domain import Domain


@dataclass(frozen=True, eq=False)
class Objective(ABC):
    """Examples to search with and examples to judge by.

    inputs: `[n, *shape]` float32; wanted: `[n]` labels or `[n, d]` outputs; judged: the same two of
    the examples that the search never sees.
    """

    inputs: Tensor
    wanted: Tensor
    judged: tuple[Tensor, Tensor]

    @abstractmethod
    def loss(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        """What the search makes small, of one batch."""

    @abstractmethod
    def check(self, outputs: Tensor, wanted: Tensor) -> None:
        """Raise BadInput where a model with such outputs cannot give what is wanted."""

    @abstractmethod
    def measure(self, outputs: Tensor, wanted: Tensor) -> dict[str, float]:
        """What a person wants to know of all judged examples; the headline first."""

    @property
    def fingerprint(self) -> str:
        """A hash of the examples."""
        state = hashlib.blake2b(type(self).__name__.encode(), digest_size=16)
        for tensor in (self.inputs, self.wanted, *self.judged):
            state.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
            state.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
        return state.hexdigest()


@final
@dataclass(frozen=True, eq=False)
class Classification(Objective):
    """Cross entropy in the search, accuracy on the judged examples."""

    @classmethod
    def of(
        cls,
        x: ArrayLike,
        labels: ArrayLike,
        held_out: NDArray[np.bool_],
        shape: Sequence[int] | None = None,
    ) -> Classification:
        """From images `[n, d]` and labels `[n]`, split by `held_out`; reshaped to [n, *shape]."""
        import torch

        images = torch.from_numpy(np.array(x, np.float32))
        images = images if shape is None else images.reshape(len(images), *shape)
        classes = torch.from_numpy(np.array(labels, np.int64))
        if len(images) != len(classes) or len(images) != len(held_out):
            got = f"{len(images)} images, {len(classes)} labels, {len(held_out)} flags"
            raise BadInput("data", got, "as many of each", "pass them row by row")
        out = torch.from_numpy(np.array(held_out, bool))
        if bool(out.all()) or not bool(out.any()):
            allowed = "some examples to search with and some to judge by"
            raise BadInput("held_out", "all or none held out", allowed, "split them")
        return cls(images[~out], classes[~out], (images[out], classes[out]))

    def check(self, outputs: Tensor, wanted: Tensor) -> None:
        classes = int(wanted.max()) + 1
        if outputs.ndim != 2 or outputs.shape[1] < classes:
            got = f"outputs of shape {tuple(outputs.shape[1:])}"
            raise BadInput("model", got, f"one output for each of {classes} classes", "widen it")

    def loss(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        from torch.nn.functional import cross_entropy

        return cross_entropy(_wide(outputs), wanted)

    def measure(self, outputs: Tensor, wanted: Tensor) -> dict[str, float]:
        right = outputs.argmax(1) == wanted
        return {"accuracy": float(right.double().mean())}


@final
@dataclass(frozen=True, eq=False)
class Approximation(Objective):
    """Distance to a target network over a domain, as the theorems measure it.

    norm: "mean" makes the mean of ‖f − g‖² small, "largest" the largest ‖f − g‖ of each batch, a
    surrogate of the supremum whose gradient is that of the worst example. Judged by the root of
    the mean square and the largest error over examples that the search never sees; a proved bound
    is `slth.certify`'s business.
    """

    norm: Literal["mean", "largest"] = "mean"

    @classmethod
    def of(
        cls,
        target: Callable[[Any], Any],
        domain: Domain,
        samples: int,
        seed: int,
        norm: Literal["mean", "largest"] = "mean",
        judged: int = 4096,
    ) -> Approximation:
        """From uniform points of the domain: `samples` to search with, `judged` to judge by.

        target: float64 `[n, d]` → `[n, outputs]`, such as a `slth.target.Target`.
        """
        import torch

        if norm not in ("mean", "largest"):
            raise BadInput("norm", norm, "mean, largest", "choose one")
        if samples < 1 or judged < 1:
            raise BadInput("samples", min(samples, judged), "1 or more", "ask for some points")
        points = uniform_points(domain, samples + judged, np.random.default_rng(seed))
        x = points.astype(np.float32)
        y = np.asarray(target(x.astype(np.float64)), np.float32)
        xs, ys = torch.from_numpy(x), torch.from_numpy(y)
        return cls(xs[:samples], ys[:samples], (xs[samples:], ys[samples:]), norm)

    def check(self, outputs: Tensor, wanted: Tensor) -> None:
        if outputs.shape[1:] != wanted.shape[1:]:
            got = f"outputs of shape {tuple(outputs.shape[1:])}"
            raise BadInput("model", got, f"the target's {tuple(wanted.shape[1:])}", "match them")

    def loss(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        squares = (_wide(outputs) - wanted).square().sum(1)
        return squares.mean() if self.norm == "mean" else squares.max().sqrt()

    def measure(self, outputs: Tensor, wanted: Tensor) -> dict[str, float]:
        errors = (outputs.double() - wanted.double()).square().sum(1)
        return {
            "root mean square error": float(errors.mean().sqrt()),
            "largest error": float(errors.max().sqrt()),
        }


def _wide(outputs: Tensor) -> Tensor:
    """Losses are added up in float32 at least: bfloat16 has eight bits."""
    return outputs.float() if outputs.itemsize < 4 else outputs


def uniform_points(domain: Domain, n: int, draw: np.random.Generator) -> NDArray[np.float64]:
    """n independent uniform points of a box or ball, `[n, d]`."""
    from slth.domain import Box

    if isinstance(domain, Box):
        return draw.uniform(domain.low, domain.high, (n, domain.dimension))
    directions = draw.standard_normal((n, domain.dimension))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = domain.radius * draw.random((n, 1)) ** (1 / domain.dimension)
    return domain.project(radii * directions)

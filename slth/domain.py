"""The input sets over which a network error is a supremum: a box and a Euclidean ball."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class Box:
    """All x with low <= x <= high coordinatewise; low and high: `[d]`."""

    low: Array
    high: Array

    def __post_init__(self) -> None:
        low, high = (np.array(side, dtype=np.float64) for side in (self.low, self.high))
        if low.ndim != 1 or low.shape != high.shape or low.size == 0:
            shapes = f"shapes {low.shape} and {high.shape}"
            raise BadInput(
                "box", shapes, "two vectors of one positive length", "pass low, high [d]"
            )
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise BadInput("box", "NaN or infinite ends", "finite ends", "bound every coordinate")
        if not (low <= high).all():
            worst = int(np.argmax(low - high))
            got = f"low {low[worst]} > high {high[worst]} at coordinate {worst}"
            raise BadInput("box", got, "low <= high", "swap the two ends")
        low.setflags(write=False)
        high.setflags(write=False)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @property
    def dimension(self) -> int:
        return int(self.low.size)

    def contains(self, x: Array) -> bool:
        """Whether the point x `[d]` lies in the box (exact: comparisons do not round)."""
        x = _point(x, self.dimension)
        return bool((x >= self.low).all() and (x <= self.high).all())

    def project(self, x: Array) -> Array:
        """The nearest points of the box to x `[..., d]`; always inside."""
        return np.clip(np.asarray(x, dtype=np.float64), self.low, self.high)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "box", "low": self.low.tolist(), "high": self.high.tolist()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.low.tobytes(), self.high.tobytes()))


@final
@dataclass(frozen=True)
class Ball:
    """All x `[dimension]` with Euclidean norm at most `radius`."""

    radius: float
    dimension: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.radius) and self.radius >= 0):
            raise BadInput("radius", self.radius, "a finite number >= 0", "choose another radius")
        if int(self.dimension) != self.dimension or self.dimension < 1:
            raise BadInput("dimension", self.dimension, "an integer >= 1", "pass the input width")
        object.__setattr__(self, "radius", float(self.radius))
        object.__setattr__(self, "dimension", int(self.dimension))

    def contains(self, x: Array) -> bool:
        """Whether the point x `[d]` lies in the ball, decided in exact arithmetic."""
        x = _point(x, self.dimension)
        if not np.isfinite(x).all():
            return False
        total = sum((Fraction(value) ** 2 for value in x.tolist() if value), Fraction(0))
        return total <= Fraction(self.radius) ** 2

    def project(self, x: Array) -> Array:
        """The nearest points of the ball to x `[..., d]`, a few units in the last place inside."""
        x = np.asarray(x, dtype=np.float64)
        peak = np.abs(x).max(axis=-1, keepdims=True)
        peak = np.where(peak > 0, peak, 1.0)
        norm = peak * np.linalg.norm(x / peak, axis=-1, keepdims=True)
        # The relative shrinkage exceeds the rounding of norm and quotient, so the result is inside.
        inside = self.radius * (1 - (self.dimension + 8) * 2.0**-52)
        return np.where(norm <= inside, x, x * (inside / np.where(norm > 0, norm, 1.0)))

    def to_json(self) -> dict[str, Any]:
        return {"kind": "ball", "radius": self.radius, "dimension": self.dimension}


Domain = Box | Ball


def from_json(data: dict[str, Any]) -> Domain:
    """The domain that `to_json` wrote; raises BadInput on anything else."""
    kind = data.get("kind") if isinstance(data, dict) else None
    try:
        if kind == "box":
            return Box(np.array(data["low"], dtype=np.float64), np.array(data["high"], np.float64))
        if kind == "ball":
            return Ball(data["radius"], data["dimension"])
    except (KeyError, TypeError, OverflowError) as error:
        raise BadInput("domain", repr(error), "a box or a ball", "write it by to_json") from error
    raise BadInput("domain", kind, "kind 'box' or 'ball'", "write it by to_json")


def _point(x: Array, dimension: int) -> Array:
    x = np.asarray(x, dtype=np.float64)
    if x.shape != (dimension,):
        raise BadInput("x", f"shape {x.shape}", f"shape ({dimension},)", "pass one point")
    return x

"""Three functions written down as ReLU networks: a circle's rings, ReLU itself and a helix.

The tasks of Fischer and Burkholz (2022), Plant 'n' Seek, who hide such networks in random ones (see
`slth.nets.planted`). The constructions and their errors are ours; nothing is trained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.errors import BadInput
from slth.target import Target

Floats = NDArray[np.float64]

NAMES = ("circle", "relu", "helix")
RADII = (0.2, 0.5, 0.7)  # squared, between the circle's four rings
HALF, REACH = 5, 54 / 64  # knots on each half-axis, and how far x² is interpolated: REACH² > 0.7
KNOTS, TURNS = 30, 3  # of the helix


@final
@dataclass(frozen=True, eq=False)
class Handmade:
    """A function on [−1, 1]^d and the network that computes it.

    target: its weights are float32 numbers. bound: no error is larger (see `error`), proved by the
    interpolation error h²/8 · sup |f''| of pieces of length h; rounding adds at most 1e-6.
    """

    name: str
    target: Target
    bound: float

    def truth(self, x: ArrayLike) -> Floats | NDArray[np.int64]:
        """The function itself of x `[n, d]`: labels `[n]` of the circle, values `[n, outputs]`."""
        at = np.asarray(x, dtype=np.float64)
        if self.name == "circle":
            rings: NDArray[np.int64] = np.searchsorted(RADII, (at**2).sum(axis=1), side="right")
            return rings
        return np.maximum(at, 0) if self.name == "relu" else _cone(at[:, 0])

    def error(self, x: ArrayLike) -> float:
        """The largest error at points x `[n, d]`: in the Euclidean norm of the outputs.

        A class is right or wrong: for the circle, the farthest that |x|² is from a squared radius
        at a point whose ring comes out wrong.
        """
        at = np.asarray(x, dtype=np.float64)
        computed, wanted = self.target(at), self.truth(at)
        if self.name != "circle":
            return float(np.linalg.norm(computed - wanted, axis=1).max())
        wrong = at[computed.argmax(axis=1) != wanted]
        gaps = np.abs((wrong**2).sum(axis=1)[:, None] - RADII).min(axis=1)
        return float(gaps.max(initial=0.0))


def handmade(name: str, depth: int = 5) -> Handmade:
    """The circle, ReLU or helix as a network of `depth` layers, 3 or more (ReLU: 2 or more).

    circle: which of four rings x ∈ ℝ² lies in. Both x_i² are interpolated at knots, layer 2 adds
    them to s ≈ |x|², and logits 0, s − b₁, 2s − b₁ − b₂, 3s − b₁ − b₂ − b₃ cross at the boundaries.
    relu: max(x, 0). helix: r (cos 6πr, sin 6πr, 1), r = (1 + x)/2, a cone's three turns; layer 2
    interpolates, shifted by 1 to stay positive. Layers between pass on what is not negative.
    """
    if name not in NAMES:
        raise BadInput("name", name, ", ".join(NAMES), "choose one")
    least = 2 if name == "relu" else 3
    if depth < least:
        raise BadInput("depth", depth, f"{least} or more for {name}", "add layers")
    if name == "relu":
        return Handmade(name, Target((_ones(1),) * depth, (np.zeros(1),) * depth), 0.0)
    first, last, bound = _circle() if name == "circle" else _helix()
    carried = len(first[1][1])
    between = [(np.eye(carried), np.zeros(carried))] * (depth - 3)
    weights, biases = zip(*first, *between, last, strict=True)
    single = [
        tuple(a.astype(np.float32).astype(np.float64) for a in part) for part in (weights, biases)
    ]
    return Handmade(name, Target(*single), bound)


Affine = tuple[Floats, Floats]


def _circle() -> tuple[list[Affine], Affine, float]:
    knots = np.arange(HALF) * (REACH / HALF)
    knots = np.round(knots * 64) / 64  # then knots and slopes are exact
    ends: Floats = np.append(knots, REACH)
    bends = _bends(ends, ends**2)
    most = float((np.diff(ends) ** 2).max()) / 4  # of x²; the interpolant lies above it
    one = np.repeat([1.0, -1.0], HALF)[:, None]
    nothing = np.zeros_like(one)
    inwards = np.block([[one, nothing], [nothing, one]])
    collect = np.tile(bends, 4)[None]
    limits = np.array(RADII) + most  # s is too large by 0 to 2·most
    logits = np.arange(4.0)[:, None], -np.append(0, np.cumsum(limits))
    return [(inwards, -np.tile(knots, 4)), (collect, np.zeros(1))], logits, most


def _helix() -> tuple[list[Affine], Affine, float]:
    ends: Floats = np.linspace(-1, 1, KNOTS + 1).astype(np.float32).astype(np.float64)
    curve = _cone(ends)
    bends = np.stack([_bends(ends, column) for column in curve.T])
    bends[2, 1:] = 0  # r itself is a line
    turn = math.pi * TURNS  # radians a unit of x, along which the radius grows by 1/2
    second = math.hypot(turn, turn**2)  # |(r e^{iφ})''| = |2 r' i φ' − r φ'²| <= this, as r <= 1
    bound = second * float(np.diff(ends).max()) ** 2 / 8
    shift = np.array([1.0, 1.0, 0.0])
    first = [(_ones(KNOTS), -ends[:-1]), (bends, curve[0] + shift)]
    return first, (np.eye(3), -shift), bound


def _cone(x: Floats) -> Floats:
    radius = (1 + x) / 2
    angle = 2 * math.pi * TURNS * radius
    point: Floats = np.stack([np.cos(angle), np.sin(angle), np.ones(len(x))], axis=1)
    return radius[:, None] * point


def _bends(ends: Floats, values: Floats) -> Floats:
    """The coefficients a of Σ a_k σ(x − t_k), which joins the points (ends, values − values[0])."""
    slopes = np.diff(values) / np.diff(ends)
    return np.append(slopes[0], np.diff(slopes))


def _ones(rows: int) -> Floats:
    return np.ones((rows, 1))

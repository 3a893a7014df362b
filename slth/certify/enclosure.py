"""Certificates for networks of any wiring, coordinate by coordinate.

Every value of the target f is enclosed in a range [low, high], pixel by pixel, and every value of
the ticket g within a distance e of it. Behind a layer with slopes P for y ≥ 0 and Q for y < 0

    |g − f|  ≤  S e + |P − W| max(high, 0) + |Q − W| max(−low, 0) + |b̂ − b|,

where S is the larger of |P| and |Q|, the Lipschitz constant of each gadget, or |P| where neither
network sees negative inputs. Sums of absolute values over taps and channels are what the max-norm
inequality ‖K ∗ X‖_max ≤ ‖K‖₁ ‖X‖_max of da Cunha et al. (2022) says, here with the ranges that each
pixel really has. An activation multiplies e by its Lipschitz constant, averages average it, windows
take the largest, additions add it. Beside it goes the Euclidean distance of the whole value,
E ← ‖(P, Q)‖₂ E + ‖fresh errors‖₂, and each bound sharpens the other: row sums serve few inputs
best, spectral norms many.

Everything is evaluated in float64 and rounded outward: a sum of k products is off by at most
(k + 2)·2^−52 times the sum of their sizes, and so is its bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from slth.certify.rounding import ULP, frobenius_upper, spectral_upper, up
from slth.domain import Ball, Domain
from slth.effective import Effective, _distance
from slth.network import Network, affine, constant, folded
from slth.wiring import (
    LIPSCHITZ,
    Activation,
    Add,
    Affine,
    Attend,
    Flatten,
    Normalise,
    Pool,
    Wiring,
)

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]
FUNCTIONS = 8 * ULP  # relative error allowed to torch's tanh, sigmoid and softplus
TINY = 2.0**-1000  # pays for underflow


@dataclass(frozen=True, eq=False)
class Enclosure:
    """Of one value: its range in f, `[1, *shape]`, and how far g's is from f's at most; length and
    distance: bounds on the Euclidean norms of f's value and of the difference."""

    low: Tensor
    high: Tensor
    error: Tensor
    length: float = float("inf")
    distance: float = float("inf")

    @property
    def size(self) -> Tensor:
        """Bounds on |value| in f."""
        return torch.maximum(self.low.abs(), self.high.abs())

    def joined(self) -> Enclosure:
        """The same, either bound sharpened by the other: |v_k| ≤ ‖v‖ ≤ (Σ v_k²)^½."""
        length = min(self.length, _norm(self.size))
        distance = min(self.distance, _norm(self.error))
        low, high = self.low.clamp(min=-length), self.high.clamp(max=length)
        return Enclosure(low, high, self.error.clamp(max=distance), length, distance)


def enclose(target: Network, effective: Effective | None, domain: Domain) -> list[Enclosure]:
    """Every value of the wiring over the domain; with no ticket, its distance is zero."""
    wiring = target.wiring
    start = _start(wiring, domain)
    radius = domain.radius if isinstance(domain, Ball) else float("inf")
    found = [Enclosure(*start, torch.zeros_like(start[0]), radius, 0.0).joined()]
    with torch.no_grad():
        for step in wiring.steps:
            given = found[step.of]
            if isinstance(step, Affine):
                here = domain.radius if isinstance(domain, Ball) and step.of == 0 else None
                made = _affine(target, effective, step, given, here)
            elif isinstance(step, Activation):
                made = _activation(step, given)
            elif isinstance(step, Add):
                made = _added(given, found[step.other])
            elif isinstance(step, Attend):
                made = _attended(
                    given, *([found[k] for k in ks] for ks in (step.keys, step.values))
                )
            elif isinstance(step, Normalise):
                made = _normalised(step, given)
            elif isinstance(step, Flatten):
                low, high, error = (v.flatten(1) for v in (given.low, given.high, given.error))
                made = Enclosure(low, high, error, given.length, given.distance)
            else:
                made = _pooled(step, given)
            found.append(made.joined())
    return found


def upper_bound(enclosures: list[Enclosure]) -> float:
    """On the Euclidean norm of the output's difference."""
    return enclosures[-1].distance


def operator_norm(step: Affine, matrix: Array) -> float:
    """A bound on ‖y ↦ K ∗ y‖₂ for K as `[outputs · taps, inputs]`; of a matrix its spectral norm.

    A tap is a matrix times a shift, so the norm is at most the sum of the taps' norms. A pixel lies
    in r windows at most, so the patches are √r times as long as the image; and the outputs, each a
    sum over the taps, at most √taps times as long as all the taps' parts. The least of the three.
    """
    if step.kernel is None:
        return spectral_upper(matrix)
    taps = matrix.reshape(step.outputs, step.taps, step.inputs)
    by_tap = [spectral_upper(np.ascontiguousarray(taps[:, t])) for t in range(step.taps)]
    total = up(float(sum(by_tap)), step.taps)
    by_patch = spectral_upper(taps.reshape(step.outputs, -1)) * overlap(step) ** 0.5
    by_part = spectral_upper(matrix) * step.taps**0.5
    return min(total, up(by_patch, 3), up(by_part, 3))


def overlap(step: Affine | Pool) -> int:
    """How many windows a pixel lies in at most."""
    assert step.kernel is not None
    return math.prod(-(-k // s) for k, s in zip(step.kernel, step.stride, strict=True))


def _norm(value: Tensor) -> float:
    flat = value.flatten().numpy()
    return float(frobenius_upper(flat)) if np.isfinite(flat).all() else float("inf")


def _start(wiring: Wiring, domain: Domain) -> tuple[Tensor, Tensor]:
    if isinstance(domain, Ball):
        ends = np.full(domain.dimension, -domain.radius), np.full(domain.dimension, domain.radius)
    else:
        ends = np.array(domain.low), np.array(domain.high)
    low, high = (torch.from_numpy(end).reshape(1, *wiring.shape) for end in ends)
    return low, high


def outward(value: Tensor, terms: int) -> Tensor:
    """At least the real number whose evaluation, by so many roundings of what is ≥ 0, is value."""
    return value * (1 + (terms + 4) * 2 * ULP) + TINY


def _affine(
    target: Network,
    effective: Effective | None,
    step: Affine,
    given: Enclosure,
    radius: float | None,
) -> Enclosure:
    weight = torch.tensor(target.weights[step.layer])
    bias = target.biases[step.layer]
    offset = torch.zeros(step.outputs, dtype=torch.float64) if bias is None else torch.tensor(bias)
    terms = step.inputs * step.taps + 2
    middle, half = (given.low + given.high) / 2, (given.high - given.low) / 2
    centre = affine(step, middle, weight, offset)
    size = affine(step, given.size, weight.abs(), offset.abs())
    if radius is not None and step.kernel is None:
        norms = [radius * frobenius_upper(row) for row in target.weights[step.layer]]
        reach = torch.tensor(norms, dtype=torch.float64)[None] * (1 + 4 * ULP)
    else:
        reach = outward(affine(step, half, weight.abs(), None), terms)
    reach = reach + terms * 4 * ULP * size + TINY
    low, high = centre - reach, centre + reach
    matrix, column = parts_of(target, step)
    norm = operator_norm(step, matrix)
    shift = _norm(constant(step, given.low, torch.from_numpy(column)).abs().expand_as(low))
    length = up(norm * given.length + shift * (1 + step.taps * 4 * ULP), 3)
    if effective is None:
        return Enclosure(low, high, torch.zeros_like(low), length, 0.0)
    error, distance = _layer_error(target, effective, step, given, radius, terms, norm)
    return Enclosure(low, high, error, length, distance)


def _layer_error(
    target: Network,
    effective: Effective,
    step: Affine,
    given: Enclosure,
    radius: float | None,
    terms: int,
    norm: float,
) -> tuple[Tensor, float]:
    """The bounds at the head of this file; norm: of the target's layer."""
    i = step.layer
    matrix, column = parts_of(target, step)
    p, q = effective.positive[i], effective.negative[i]
    slack = effective.slack[i]
    signed = target.wiring.signed(step.of)
    above = _distance(p, matrix, slack[:, :-1])
    below = _distance(q, matrix, slack[:, :-1]) if signed else np.zeros_like(above)
    gain = (np.maximum(np.abs(p), np.abs(q)) if signed else np.abs(p)) + slack[:, :-1]
    shift = _distance(effective.bias[i], column, slack[:, -1])
    if radius is not None and step.kernel is None:
        worst = np.maximum(above, below)
        norms = np.array([radius * frobenius_upper(row) for row in worst]) * (1 + 4 * ULP)
        own = torch.from_numpy(norms)[None]
    else:
        own = affine(step, given.high.clamp(min=0), tensor_of(step, above), None)
        own = own + affine(step, (-given.low).clamp(min=0), tensor_of(step, below), None)
    passed = affine(step, given.error, tensor_of(step, gain), None)
    offset = constant(step, given.low, torch.from_numpy(shift))
    if not (above.any() or below.any() or shift.any() or bool(given.error.any())):
        return own, 0.0
    fresh = outward(own + offset, 2 * terms)
    across = up((1 if step.kernel is None else overlap(step)) ** 0.5, 2)
    one = up(norm + across * frobenius_upper(above), 3)
    other = up(norm + across * frobenius_upper(below), 3) if signed else 0.0
    gained = up(float(np.hypot(one, other)), 3) * given.distance
    distance = up(gained + _norm(fresh), 3)
    return outward(own + passed + offset, 2 * terms), distance


def tensor_of(step: Affine, matrix: Array) -> Tensor:
    """`[outputs · taps, inputs]` as a tensor in the target's shape."""
    return torch.from_numpy(np.array(folded(step, matrix)))


def _activation(step: Activation, given: Enclosure) -> Enclosure:
    low, high = step(given.low), step(given.high)
    if step.kind in ("tanh", "sigmoid", "softplus"):
        low, high = low - FUNCTIONS * low.abs() - TINY, high + FUNCTIONS * high.abs() + TINY
    elif step.kind == "leaky_relu":
        low, high = low - ULP * low.abs(), high + ULP * high.abs()
    rate = LIPSCHITZ[step.kind]
    error = given.error * rate
    if step.kind == "relu":  # dead in f and in g alike
        error = torch.where(given.high + given.error * (1 + 4 * ULP) <= 0, 0.0, error)
    through = step.kind in ("relu", "leaky_relu", "tanh")  # |φ(v)| ≤ |v|
    length = given.length if through else float("inf")
    return Enclosure(low, high, error, length, given.distance * rate)


def _added(one: Enclosure, other: Enclosure) -> Enclosure:
    low, high = one.low + other.low, one.high + other.high
    size = one.size + other.size
    error = one.error + other.error
    error = torch.where(error > 0, error * (1 + 2 * ULP), error)
    length = up(one.length + other.length, 1)
    distance = up(one.distance + other.distance, 1) if error.any() else 0.0
    return Enclosure(low - 2 * ULP * size, high + 2 * ULP * size, error, length, distance)


def per_token(value: Tensor) -> float:
    """The largest Euclidean norm of a pixel's channels, rounded up."""
    norms = torch.linalg.vector_norm(value, dim=1).max()
    return up(float(norms), value.shape[1] + 4) if np.isfinite(float(norms)) else float("inf")


def _attended(given: Enclosure, keys: list[Enclosure], values: list[Enclosure]) -> Enclosure:
    """Softmax averages of values, for logits that are off by at most c.

    Logits off by c in the largest move a softmax by at most 2 tanh(c/2) ≤ c in the sum of absolute
    values (proofs/softmax), hence a channel of the average by at most c times its largest value.
    No bound depends on the number of tokens.
    """
    low = torch.zeros_like(values[0].low)
    high, error = torch.zeros_like(low), torch.zeros_like(low)
    for key, value in zip(keys, values, strict=True):
        one = 1.0 if key.low.shape[1] > given.low.shape[1] else 0.0
        asks = up(float(np.hypot(per_token(given.size), one)), 3)
        off, key_off = per_token(given.error), per_token(key.error)
        reach = up(per_token(key.size) + key_off, 1)
        moved = min(2.0, up(off * reach + asks * key_off, 4))
        most = value.size.amax(dim=2, keepdim=True)
        low = low + value.low.amin(dim=2, keepdim=True)
        high = high + value.high.amax(dim=2, keepdim=True)
        error = error + moved * most + value.error.amax(dim=2, keepdim=True)
    size = sum(v.size.amax(dim=2, keepdim=True) for v in values)
    error = torch.where(error > 0, outward(error, 4 * len(keys)), error)
    slack = 8 * len(keys) * ULP * size
    return Enclosure(low - slack, high + slack, error)


def _normalised(step: Normalise, given: Enclosure) -> Enclosure:
    """With c the centred channels, c ↦ c/(|c|²/d + ε)^½ is 1/√ε-Lipschitz and its channels stay
    below √d."""
    channels = given.low.shape[1]
    reach = up(float(channels) ** 0.5, 2)
    high = torch.full_like(given.low, reach)
    token = torch.linalg.vector_norm(given.error, dim=1, keepdim=True).expand_as(given.error)
    rate = up(step.epsilon**-0.5, 3)
    error = torch.where(token > 0, outward(token * rate, channels + 4), 0.0).clamp(max=2 * reach)
    length = up(reach * float(given.low[0, 0].numel()) ** 0.5, 4)
    return Enclosure(
        -high, high, error, length, up(given.distance * rate, 2) if token.any() else 0.0
    )


def _pooled(step: Pool, given: Enclosure) -> Enclosure:
    low, high = step(given.low), step(given.high)
    error = step(given.error)
    if step.kind == "average":
        terms = step.kernel[0] * step.kernel[1]
        slack = (terms + 4) * 2 * ULP * step(given.size)
        low, high = low - slack, high + slack
        error = torch.where(error > 0, outward(error, terms), error)
    rate = up(pooled_norm(step), 3)
    return Enclosure(low, high, error, given.length * rate, given.distance * rate)


def pooled_norm(step: Pool) -> float:
    """The Lipschitz constant of pooling in Euclidean norms: an average over t pixels is at most
    1/√t times as long as they are, a largest one no longer, and a pixel lies in r windows."""
    taps = step.kernel[0] * step.kernel[1] if step.kind == "average" else 1
    return float((overlap(step) / taps) ** 0.5)


def parts_of(target: Network, step: Affine) -> tuple[Array, Array]:
    """A layer's matrix `[outputs · taps, inputs]` and its bias column, zeros where it has none."""
    wanted = target.augmented(step.layer)
    biased = wanted.shape[1] > step.inputs
    column = wanted[:, step.inputs].copy() if biased else np.zeros(len(wanted))
    return wanted[:, : step.inputs], column

"""Certificates for networks of any wiring, coordinate by coordinate.

Every value of the target f is enclosed in a range [low, high], pixel by pixel, and every value of
the ticket g within a distance e of it. Behind a layer with slopes P for y ≥ 0 and Q for y < 0

    |g − f|  ≤  S e + |P − W| max(high, 0) + |Q − W| max(−low, 0) + |b̂ − b|,

where S is the larger of |P| and |Q|, the Lipschitz constant of each gadget, or |P| where neither
network sees negative inputs. Sums of absolute values over taps and channels are what the max-norm
inequality ‖K ∗ X‖_max ≤ ‖K‖₁ ‖X‖_max of da Cunha et al. (2022) says, here with the ranges that each
pixel really has. An activation multiplies e by its Lipschitz constant, averages average
it, windows take the largest, additions add it.

Everything is evaluated in float64 and rounded outward: a sum of k products is off by at most
(k + 2)·2^−52 times the sum of their sizes, and so is its bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from slth.certify.rounding import ULP, frobenius_upper
from slth.domain import Ball, Domain
from slth.effective import Effective, _distance
from slth.network import Network, affine, constant, folded
from slth.wiring import LIPSCHITZ, Activation, Add, Affine, Flatten, Pool, Wiring

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]
FUNCTIONS = 8 * ULP  # relative error allowed to torch's tanh, sigmoid and softplus
TINY = 2.0**-1000  # pays for underflow


@dataclass(frozen=True, eq=False)
class Enclosure:
    """Of one value: its range in f, `[1, *shape]`, and how far g's is from f's at most."""

    low: Tensor
    high: Tensor
    error: Tensor

    @property
    def size(self) -> Tensor:
        """Bounds on |value| in f."""
        return torch.maximum(self.low.abs(), self.high.abs())


def enclose(target: Network, effective: Effective | None, domain: Domain) -> list[Enclosure]:
    """Every value of the wiring over the domain; with no ticket, its distance is zero."""
    wiring = target.wiring
    start = _start(wiring, domain)
    found = [Enclosure(*start, torch.zeros_like(start[0]))]
    with torch.no_grad():
        for step in wiring.steps:
            given = found[step.of]
            if isinstance(step, Affine):
                radius = domain.radius if isinstance(domain, Ball) and step.of == 0 else None
                found.append(_affine(target, effective, step, given, radius))
            elif isinstance(step, Activation):
                found.append(_activation(step, given))
            elif isinstance(step, Add):
                found.append(_added(given, found[step.other]))
            elif isinstance(step, Flatten):
                parts = (given.low, given.high, given.error)
                found.append(Enclosure(*(part.flatten(1) for part in parts)))
            else:
                found.append(_pooled(step, given))
    return found


def upper_bound(enclosures: list[Enclosure]) -> float:
    """On the Euclidean norm of the output's difference."""
    error = enclosures[-1].error.flatten().numpy()
    return float(frobenius_upper(error)) if np.isfinite(error).all() else float("inf")


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
    if effective is None:
        return Enclosure(low, high, torch.zeros_like(low))
    error = _layer_error(target, effective, step, given, radius, terms)
    return Enclosure(low, high, error)


def _layer_error(
    target: Network,
    effective: Effective,
    step: Affine,
    given: Enclosure,
    radius: float | None,
    terms: int,
) -> Tensor:
    """The bound at the head of this file."""
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
    exact = not (above.any() or below.any() or shift.any() or bool(given.error.any()))
    return own if exact else outward(own + passed + offset, 2 * terms)


def tensor_of(step: Affine, matrix: Array) -> Tensor:
    """`[outputs · taps, inputs]` as a tensor in the target's shape."""
    return torch.from_numpy(np.array(folded(step, matrix)))


def _activation(step: Activation, given: Enclosure) -> Enclosure:
    low, high = step(given.low), step(given.high)
    if step.kind in ("tanh", "sigmoid", "softplus"):
        low, high = low - FUNCTIONS * low.abs() - TINY, high + FUNCTIONS * high.abs() + TINY
    elif step.kind == "leaky_relu":
        low, high = low - ULP * low.abs(), high + ULP * high.abs()
    error = given.error * LIPSCHITZ[step.kind]
    if step.kind == "relu":  # dead in f and in g alike
        error = torch.where(given.high + given.error * (1 + 4 * ULP) <= 0, 0.0, error)
    return Enclosure(low, high, error)


def _added(one: Enclosure, other: Enclosure) -> Enclosure:
    low, high = one.low + other.low, one.high + other.high
    size = one.size + other.size
    error = one.error + other.error
    error = torch.where(error > 0, error * (1 + 2 * ULP), error)
    return Enclosure(low - 2 * ULP * size, high + 2 * ULP * size, error)


def _pooled(step: Pool, given: Enclosure) -> Enclosure:
    low, high = step(given.low), step(given.high)
    error = step(given.error)
    if step.kind == "average":
        terms = step.kernel[0] * step.kernel[1]
        slack = (terms + 4) * 2 * ULP * step(given.size)
        low, high = low - slack, high + slack
        error = torch.where(error > 0, outward(error, terms), error)
    return Enclosure(low, high, error)


def parts_of(target: Network, step: Affine) -> tuple[Array, Array]:
    """A layer's matrix `[outputs · taps, inputs]` and its bias column, zeros where it has none."""
    wanted = target.augmented(step.layer)
    biased = wanted.shape[1] > step.inputs
    column = wanted[:, step.inputs].copy() if biased else np.zeros(len(wanted))
    return wanted[:, : step.inputs], column

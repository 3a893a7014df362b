"""The error ||g(x) - f(x)|| at one point, in exact integer arithmetic (floats are rationals).

Every vector is held as Python integers times a power of two, so matrix products are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth.effective import Effective
from slth.target import Target

Array = NDArray[np.float64]
Integers = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Scaled:
    """The exact array integers * 2^exponent."""

    integers: Integers
    exponent: int

    def __matmul__(self, other: Scaled) -> Scaled:
        return Scaled(self.integers @ other.integers, self.exponent + other.exponent)

    def __add__(self, other: Scaled) -> Scaled:
        exponent = min(self.exponent, other.exponent)
        return Scaled(
            self.integers * (1 << (self.exponent - exponent))
            + other.integers * (1 << (other.exponent - exponent)),
            exponent,
        )

    def clipped(self, sign: int) -> Scaled:
        """The positive (sign 1) or negative (sign -1) part."""
        keep = [value if value * sign > 0 else 0 for value in self.integers]
        return Scaled(np.array(keep, dtype=object), self.exponent)


def scaled(array: Array) -> Scaled:
    """A float64 array, exactly."""
    mantissa, exponent = np.frexp(array)
    digits = (mantissa * 2.0**53).astype(np.int64)
    lowest = int(exponent[digits != 0].min(initial=0))
    flat: list[Any] = [
        int(m) << int(e) if m else 0
        for m, e in zip(digits.ravel(), (exponent - lowest).ravel(), strict=True)
    ]
    integers = np.array(flat, dtype=object).reshape(array.shape)
    return Scaled(integers, lowest - 53)


def target_output(target: Target, x: Array) -> Scaled:
    """f(x) `[d_l]`, exactly."""
    y = scaled(x)
    for i, (weight, bias) in enumerate(zip(target.weights, target.biases, strict=True)):
        y = scaled(weight) @ (y.clipped(1) if i else y)
        y = y if bias is None else y + scaled(bias)
    return y


def effective_output(effective: Effective, x: Array) -> Scaled:
    """g(x) `[d_l]` of the stored entries, exactly."""
    y = scaled(x)
    for i, (positive, bias) in enumerate(zip(effective.positive, effective.bias, strict=True)):
        up, down = y.clipped(1), y.clipped(-1)
        y = scaled(positive) @ up
        if i == 0 and down.integers.any():
            y = y + scaled(effective.negative[i]) @ down
        y = y + scaled(bias)
    return y


def error_at(target: Target, effective: Effective, x: Array) -> float:
    """The largest float64 that is at most ||g(x) - f(x)||, for the stored entries of g."""
    other = target_output(target, x)
    gap = effective_output(effective, x) + Scaled(-other.integers, other.exponent)
    return root_down(sum(int(v) ** 2 for v in gap.integers), 2 * gap.exponent)


def root_down(integer: int, exponent: int) -> float:
    """A float64 at most sqrt(integer * 2^exponent), within an ulp of it; exponent even."""
    if integer == 0:
        return 0.0
    # A root of 128 significant bits, floored; then rounded to float64 and stepped below if above.
    shift = max(0, 256 - integer.bit_length())
    shift += (shift + exponent) % 2
    root, power = math.isqrt(integer << shift), (exponent - shift) // 2
    drop = max(0, root.bit_length() - 53)
    kept, power = root >> drop, power + drop
    if power < -1074:
        kept, power = kept >> (-1074 - power), -1074
    return math.ldexp(kept, power)

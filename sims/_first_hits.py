"""When the subset sums of integers first meet a target: by counting, and what the mean number says.

Values are the usable products of a gadget in whole multiples of the grid's step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sims._claims.quantised import first_solved
from slth.laws import Grid, Rademacher
from slth.source import Source

Floats = NDArray[np.float64]
LIMIT = 40  # usable products that a weight is followed to; more count as LIMIT + 1
DRAWN = 6 * LIMIT  # neurons drawn for so many usable ones: fewer with a chance below 1e-13


@dataclass(frozen=True)
class Kind:
    """Which laws a gadget's weights have: in-weights ±1 or, as out-weights, on a grid."""

    words: str
    signs: bool
    even: bool = False

    def source(self, bits: int, weights: int, seed: int) -> Source:
        """So many blocks of one output, products on the grid of step 2^-bits (even: 2^(1 − bits)),
        out-weights (and in-weights) in [−1, 1]."""
        if self.signs:
            most = 2 ** (bits - self.even)
            laws = (Rademacher(), Grid(1 / most, most))
        else:
            most = 2 ** (bits // 2)
            laws = (Grid(1 / most, most), Grid(1 / most, most))
        return Source((weights, 1), (DRAWN,), (False,), seed, *laws)


KINDS = {
    "signs": Kind("in-weights ±1", True),
    "grid": Kind("in-weights on the grid", False),
    "even": Kind("products twice as coarse, odd targets", True, True),
}


def targets(kind: Kind, bits: int, weights: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Whole multiples of 2^-bits, at most 1/2: any, or odd ones."""
    half = 2 ** (bits - 1)
    drawn = rng.integers(-half, half + 1, weights)
    return np.where(drawn % 2 == 0, drawn + 1, drawn) if kind.even else drawn


def needed(kind: str, bits: int, seed: int, weights: int) -> list[int]:
    """For each weight the number of usable products after which some subset is exactly it."""
    law = KINDS[kind]
    source = law.source(bits, weights, seed)
    u, v = source.in_weights(0, 0), source.out_weights(0, 0)[:, 0]
    whole = np.rint(u * v * 2.0**bits).astype(np.int64)
    goals = targets(law, bits, weights, np.random.default_rng([seed, bits]))
    return [
        first_solved(row[sign > 0][:LIMIT].tolist(), int(goal))
        for row, sign, goal in zip(whole, u, goals, strict=True)
    ]


@cache
def expected(kind: str, bits: int) -> Floats:
    """The mean number of subsets of n usable products that are exactly a weight, n = 0 … LIMIT,
    averaged over the weights: `[LIMIT + 1]`, by convolution (Fourier), exact to rounding.

    Markov: no larger share of weights can be met at n.
    """
    most = 2 ** (bits if KINDS[kind].signs else bits // 2)
    k = np.arange(-most, most + 1)
    size = 1 << math.ceil(math.log2(2 * LIMIT * 2**bits))
    law = np.zeros(size)
    factors = np.array([1]) if KINDS[kind].signs else np.arange(1, most + 1)
    for factor in factors:
        np.add.at(law, k * factor % size, 1 / (k.size * factors.size))
    law[0] += 1.0  # kept or not: the transform counts subsets, not chances
    half = 2 ** (bits - 1)
    window = np.zeros(size)
    window[np.arange(-half, half + 1) % size] = 1 / (2 * half + 1)
    wave, seen = np.fft.rfft(law), np.conj(np.fft.rfft(window))
    weight = np.full(wave.size, 2.0)
    weight[[0, -1]] = 1.0
    found, power = [], np.ones_like(wave)
    for _ in range(LIMIT + 1):
        found.append(float((weight * (power * seen).real).sum() / size))
        power = power * wave
    return np.array(found)

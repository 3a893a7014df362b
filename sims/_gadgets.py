"""What one gadget needs, drawn at random: coverage laws, Malach's pools, Orseau's categories.

A trial is an endless stream of neurons from a seed; `needed` gives, for every tolerance, the number
of neurons drawn after which the gadget succeeds. Streams are nested: more neurons never undo it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MOST = 64  # usable values that a trial is followed to on the grid
POOL = 0.5  # the largest weight of the class that pools serve
DENSITY = 0.5  # of the sparse source


@dataclass(frozen=True)
class Coverage:
    """A law of values, and the interval [−reach, reach] that all its subset sums must cover.

    chance: of a neuron drawn to be usable; the others add the value 0 and are not enumerated: how
    many lie between two usable ones is drawn from the geometric law, which is exact.
    """

    words: str
    reach: float
    factors: int = 1
    chance: float = 1.0

    def values(self, rng: np.random.Generator, trials: int, most: int) -> Floats:
        """Usable values `[trials, most]`."""
        drawn = rng.uniform(-1, 1, (trials, most))
        return drawn if self.factors == 1 else drawn * (1 - rng.random((trials, most)))

    def positions(self, rng: np.random.Generator, trials: int, most: int) -> NDArray[np.int64]:
        """Which neurons drawn, counted from 1, these are: `[trials, most]`."""
        gaps = rng.geometric(self.chance, (trials, most)) if self.chance < 1 else 1
        found: NDArray[np.int64] = np.cumsum(np.broadcast_to(gaps, (trials, most)), axis=1)
        return found


LAWS = {
    "uniform": Coverage("uniform values, |z| ≤ 1/2", 0.5),
    "uniform-one": Coverage("uniform values, |z| ≤ 1", 1.0),
    "product": Coverage("products v·max(0, u), |z| ≤ 1", 1.0, 2, 0.5),
    "product-quarter": Coverage("products v·max(0, u), |z| ≤ 1/4", 0.25, 2, 0.5),
    "full-product": Coverage("products v·u, |z| ≤ 1", 1.0, 2),
    "sparse-product": Coverage(
        "products v·max(0, u) of links of density 1/2, |z| ≤ 1", 1.0, 2, DENSITY**2 / 2
    ),
}


def coverage(
    name: str, tier: str, etas: Floats, rng: np.random.Generator, trials: int
) -> NDArray[np.int64]:
    """Neurons needed `[trials, etas]`, −1 where the stream was not followed far enough."""
    law = LAWS[name]
    most = 23 if tier == "exact" else MOST
    values, at = law.values(rng, trials, most), law.positions(rng, trials, most)
    if tier == "exact":
        from slth.coverage import profiles

        rows = profiles(values, -law.reach, law.reach, threads=1)
        usable = np.where(rows[:, -1:] <= etas, (rows[:, :, None] > etas).sum(axis=1) + 1, -1)
    else:
        from sims._gridded import FINE, needed

        step = 2.0 ** math.floor(math.log2(etas[-1] / FINE))
        usable = needed(values, law.reach, etas, step)
    found: NDArray[np.int64] = np.where(
        usable > 0, np.take_along_axis(at, np.maximum(usable, 1) - 1, axis=1), -1
    )
    return found


def pool(name: str, etas: Floats, rng: np.random.Generator, trials: int) -> NDArray[np.int64]:
    """Malach's pool: the first neuron that has both factors right, or only their product, for one
    weight, drawn uniformly up to the largest of its class: `[trials, etas]`."""
    found = np.zeros((trials, etas.size), dtype=np.int64)
    for column, eta in enumerate(etas.tolist()):
        size = int(32 / eta**2) if name == "pool-factors" else int(12 / eta)
        for trial, w in enumerate(rng.uniform(0, POOL, trials).tolist()):
            start = 0
            while not found[trial, column]:
                u, v = rng.uniform(-1, 1, (2, size))
                if name == "pool-factors":
                    hit = (np.abs(u - w) <= eta / 2) & (np.abs(v - 1) <= eta / 2)
                else:
                    hit = (u > 0) & (np.abs(u * v - w) <= eta)
                if hit.any():
                    found[trial, column] = start + int(hit.argmax()) + 1
                start += size
    return found


def categories(etas: Floats, rng: np.random.Generator, trials: int) -> NDArray[np.int64]:
    """Orseau's block for one input and output, w_max = 1: neurons until every one of the 4k
    categories (two signs, k geometric intervals of |uv|) holds one, `[trials, etas]`.

    ln|u| and ln|v| are uniform, and the intervals are the middle half of the range of ln|uv|.
    """
    columns = []
    for eta in etas.tolist():
        k = octaves(eta)
        length = int(40 * k * (math.log(4 * k) + 1))
        column = np.full(trials, -1)
        for trial in range(trials):
            t = 1.5 * k - k * (rng.random(length) + rng.random(length))
            inside = np.flatnonzero((t >= 0) & (t < k))
            label = 4 * t[inside].astype(np.int64) + rng.integers(0, 4, inside.size)
            kinds, first = np.unique(label, return_index=True)
            if kinds.size == 4 * k:
                column[trial] = inside[first.max()] + 1
        columns.append(column)
    return np.stack(columns, axis=1)


def octaves(eta: float) -> int:
    """k of Orseau's decomposition at w_max = 1: ⌈log_{3/2}(1/η)⌉."""
    return max(1, math.ceil(math.log(1 / eta) / math.log(1.5) * (1 + 1e-12)))

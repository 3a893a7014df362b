"""Half-sums by how many values they add: the ground of all questions about cardinality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slth.subsetsum import Floats


@njit(cache=True, nogil=True)
def _closest(a, b, target):  # type: ignore[no-untyped-def]
    """(|a[i] + b[j] - target|, i, j) at its least; a and b ascending. Rounding is monotone."""
    best, best_i, best_j = np.inf, -1, -1
    i, j = 0, b.size - 1
    while i < a.size and j >= 0:
        r = (a[i] + b[j]) - target
        if abs(r) < best:
            best, best_i, best_j = abs(r), i, j
        if r <= 0.0:
            i += 1
        else:
            j -= 1
    return best, best_i, best_j


@dataclass(frozen=True, eq=False)
class _Half:
    """All subset sums of up to 16 values: class k holds those of k values, ascending."""

    sums: list[Floats]
    bits: list[NDArray[np.int64]]


def _half(values: Floats) -> _Half:
    sums, sizes = np.zeros(1), np.zeros(1, np.int64)
    for v in values:
        sums = np.concatenate([sums, sums + v])
        sizes = np.concatenate([sizes, sizes + 1])
    order = np.lexsort((sums, sizes))
    ends = np.searchsorted(sizes[order], np.arange(1, len(values) + 1))
    bits = np.split(order, ends)
    return _Half([sums[b] for b in bits], bits)


class Sized:
    """Nearest subsets of given cardinality for one row of usable values."""

    def __init__(self, values: Floats) -> None:
        self.count = len(values)
        self.cut = self.count // 2
        self.left, self.right = _half(values[: self.cut]), _half(values[self.cut :])

    def nearest(self, target: float, k: int) -> tuple[float, NDArray[np.bool_]]:
        """(float distance, mask `[count]`) of the k-subset nearest to target, 0 <= k <= count."""
        best: tuple[Any, ...] = (np.inf, 0, 0, 0)
        for i in range(max(0, k - self.count + self.cut), min(k, self.cut) + 1):
            found = _closest(self.left.sums[i], self.right.sums[k - i], target)
            if found[0] < best[0]:
                best = (*found, i)
        distance, at, to, i = best
        bits = int(self.left.bits[i][at]) | int(self.right.bits[k - i][to]) << self.cut
        return float(distance), ((bits >> np.arange(self.count)) & 1).astype(np.bool_)

"""Subsets of exactly k values nearest to a target, among more values than can be enumerated.

Meet in the middle by size: all sums of i values of one half and of k − i of the other, sorted, for
every i. The sums of a half are limited by a `budget`. Where not all values fit, a window of them is
searched, and of the rest as many as the subset still lacks are kept: those that follow one another
in order of size and whose sum leaves most nearly what the window's subsets have in the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Subsets = NDArray[np.int32]
MOST_INSIDE = 64  # values that a window's subsets keep


class Table(NamedTuple):
    """Subsets of h places by size: rows `[sums, most]`, padded by −1; size s has the rows from
    starts[s] to starts[s + 1]."""

    rows: Subsets
    starts: NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """Of `window` values `inside` are to be kept; the tables are of its two halves."""

    window: int
    inside: int

    @property
    def tables(self) -> tuple[Table, Table]:
        left = self.window // 2
        right = self.window - left
        i = self.inside
        return (
            _table(left, max(0, i - right), min(i, left)),
            _table(right, max(0, i - left), min(i, right)),
        )


@cache
def plan(values: int, k: int, budget: int) -> Plan:
    """The window with the most subsets, of those whose halves have no more sums than the budget and
    which leave enough of k ≤ values values to the rest."""
    from scipy.special import gammaln

    window = np.arange(values + 1)[:, None]
    inside = np.arange(min(k, MOST_INSIDE) + 1)[None, :]
    # subsets that leave few out are counted by what they leave out
    fewest = np.minimum(inside, np.maximum(window - inside, 0))
    size = _up_to(window[-1, 0] - window[-1, 0] // 2, inside.size)[window - window // 2, fewest]
    fits = (inside <= window) & (k - inside <= values - window) & (size <= budget)
    bits = np.where(
        fits,
        gammaln(window + 1) - gammaln(inside + 1) - gammaln(np.maximum(window - inside, 0) + 1),
        -1.0,
    )
    # rounded, since of equal ones every machine is to take the same
    at = np.unravel_index(int(bits.round(6).argmax()), bits.shape)
    return Plan(int(at[0]), int(at[1]))


def _up_to(most: int, sizes: int) -> Floats:
    """`[h, s]`, h ≤ most, s < sizes: how many subsets of h places have at most s; inf is many."""
    rows = [np.eye(1, sizes)[0]]
    with np.errstate(over="ignore"):
        for _ in range(most):
            rows.append(rows[-1] + np.concatenate([[0.0], rows[-1][:-1]]))
        total: Floats = np.cumsum(np.array(rows), axis=1)
    return total


@lru_cache(maxsize=128)
def _table(places: int, least: int, most: int) -> Table:
    rows, starts = [], np.zeros(most + 2, dtype=np.int64)
    for size in range(least, most + 1):
        flat = np.fromiter(chain.from_iterable(combinations(range(places), size)), np.int32)
        count = flat.size // size if size else 1
        rows.append(
            np.pad(flat.reshape(count, size), ((0, 0), (0, most - size)), constant_values=-1)
        )
        starts[size + 1] = count
    return Table(np.concatenate(rows), np.cumsum(starts))


def nearest_of_size(
    values: Floats, targets: Floats, k: int, budget: int, enough: float
) -> tuple[NDArray[np.bool_], Floats]:
    """(mask, distance) `[rows, n]`, `[rows]`: of each row exactly k ≤ n of the values, none zero,
    that add up most nearly to the row's target; the first subset found within `enough` will do.

    The best of all where the budget takes all values in, else of what its window reaches.
    """
    chosen = plan(values.shape[1], k, budget)
    mask = np.zeros(values.shape, dtype=np.bool_)
    distance = np.empty(len(values))
    left, right = chosen.tables
    _search(values, targets, k, chosen.window, chosen.inside, *left, *right, enough, mask, distance)
    return mask, distance


@njit(cache=True, nogil=True)
def _search(  # type: ignore[no-untyped-def]
    values, targets, k, window, inside, left, left_starts, right, right_starts, enough, mask,
    distance,
):  # fmt: skip
    half = window // 2
    for row in range(values.shape[0]):
        x = values[row]
        mean = x[:window].sum() * inside / max(window, 1)
        order = np.argsort(x[window:])
        first = _run(x[window:][order], k - inside, targets[row] - mean)
        wanted = targets[row]
        for q in order[first : first + k - inside]:
            wanted -= x[window + q]
            mask[row, window + q] = True
        a, b = _sums(x[:half], left), _sums(x[half:window], right)
        best, best_i, best_j = np.inf, 0, 0
        for size in range(max(0, inside - (window - half)), min(inside, half) + 1):
            i0, i1 = left_starts[size], left_starts[size + 1]
            j0, j1 = right_starts[inside - size], right_starts[inside - size + 1]
            near, i, j = _closest(a[i0:i1], b[j0:j1], wanted)
            if near < best:
                best, best_i, best_j = near, i0 + i, j0 + j
            if best <= enough:
                break
        for place in left[best_i]:
            if place >= 0:
                mask[row, place] = True
        for place in right[best_j]:
            if place >= 0:
                mask[row, half + place] = True
        distance[row] = best


@njit(cache=True, nogil=True)
def _run(x, count, wanted):  # type: ignore[no-untyped-def]
    """Where `count` consecutive numbers begin whose sum is nearest to what is wanted; x ascends."""
    total = x[:count].sum()
    best, first = abs(total - wanted), 0
    for start in range(1, x.size - count + 1):
        total += x[start + count - 1] - x[start - 1]
        if abs(total - wanted) < best:
            best, first = abs(total - wanted), start
    return first


@njit(cache=True, nogil=True)
def _sums(x, subsets):  # type: ignore[no-untyped-def]
    total = np.zeros(subsets.shape[0])
    for r in range(subsets.shape[0]):
        for place in subsets[r]:
            if place < 0:
                break
            total[r] += x[place]
    return total


@njit(cache=True, nogil=True)
def _closest(a, b, target):  # type: ignore[no-untyped-def]
    """(|a[i] + b[j] − target|, i, j) at its least."""
    ups, downs = np.argsort(a), np.argsort(b)
    best, best_i, best_j = np.inf, 0, 0
    i, j = 0, b.size - 1
    while i < a.size and j >= 0:
        gap = (a[ups[i]] + b[downs[j]]) - target
        if abs(gap) < best:
            best, best_i, best_j = abs(gap), ups[i], downs[j]
        if gap <= 0.0:
            i += 1
        else:
            j -= 1
    return best, best_i, best_j

"""All sums p[i] + q[j] of two ascending lists that lie between two numbers, without the others.

Its kernels call none of other files: see the note in `_kernels`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slth.subsetsum import Floats

LEAST = 2**15  # sums a range: they, sorted, fit a second-level cache
RUN = 16  # at least so many a quarter-sum, because a range's ends cost a step a quarter-sum
SAMPLE = 128  # quarter-sums of either list of whose sums a range's ends are quantiles

Found = tuple[float, float, float]  # |x - y|, x, y


@njit(cache=True, nogil=True)
def _stairs(p, q, edge, below):  # type: ignore[no-untyped-def]
    """below[i] = how many j have p[i] + q[j] < edge; in floats, whose rounding is monotone."""
    j = q.size
    for i in range(p.size):
        while j > 0 and p[i] + q[j - 1] >= edge:
            j -= 1
        below[i] = j


@njit(cache=True, nogil=True)
def _between(p, q, low, high, begin, end):  # type: ignore[no-untyped-def]
    """(how many sums are in [low, high), the greatest below low, the least from low on)."""
    _stairs(p, q, low, begin)
    _stairs(p, q, high, end)
    count, before, first = 0, -np.inf, np.inf
    for i in range(p.size):
        count += end[i] - begin[i]
        if begin[i] > 0:
            before = max(before, p[i] + q[begin[i] - 1])
        if begin[i] < q.size:
            first = min(first, p[i] + q[begin[i]])
    return count, before, first


@njit(cache=True, nogil=True)
def _list(p, q, begin, end, out):  # type: ignore[no-untyped-def]
    """out[k] = the sums of all runs, one after the other."""
    k = 0
    for i in range(p.size):
        for j in range(begin[i], end[i]):
            out[k] = p[i] + q[j]
            k += 1


@njit(cache=True, nogil=True)
def _where(p, q, found):  # type: ignore[no-untyped-def]
    """The first (i, j) with p[i] + q[j] == found in floats, or (-1, -1)."""
    j = q.size
    for i in range(p.size):
        while j > 0 and p[i] + q[j - 1] > found:
            j -= 1
        if j > 0 and p[i] + q[j - 1] == found:
            return i, j - 1
    return -1, -1


class Sums(NamedTuple):
    """All p[i] + q[j]: a half's sums, by two ascending lists of quarter-sums."""

    p: Floats
    q: Floats

    @property
    def size(self) -> int:
        return len(self.p) * len(self.q)

    @property
    def span(self) -> tuple[float, float]:
        return float(self.p[0] + self.q[0]), float(self.p[-1] + self.q[-1])

    def where(self, found: float) -> tuple[int, int]:
        """The places (i, j) of a sum that `nearest` found."""
        i, j = _where(self.p, self.q, found)
        return int(i), int(j)


class _Part:
    """The sums of one list within [low, high), counted before any is written down."""

    def __init__(self, sums: Sums, low: float, high: float) -> None:
        self.sums = sums
        self.begin, self.end = np.empty((2, len(sums.p)), np.int64)
        found = _between(sums.p, sums.q, low, high, self.begin, self.end)
        self.count, self.before, self.first = int(found[0]), float(found[1]), float(found[2])

    def ends(self) -> tuple[Floats, int]:
        """The sum before the range and its first, all that matters where the other list is empty.

        Two sums and inf, as `closest` wants its lists.
        """
        return np.array([self.before, self.first if self.count else np.inf, np.inf]), 2

    def ascending(self) -> tuple[Floats, int]:
        """The sum before the range and all within, then inf."""
        out = np.empty(self.count + 2)
        out[0], out[-1] = self.before, np.inf
        inside = out[1:-1]
        _list(self.sums.p, self.sums.q, self.begin, self.end, inside)
        inside.sort()  # numpy's sort of floats uses vector instructions, numba's does not
        return out, self.count + 1

    def middle(self) -> float:
        """A sum with at least a quarter of the part's on either side, ties counted to both."""
        runs = np.flatnonzero(self.end > self.begin)
        middles = self.sums.p[runs] + self.sums.q[(self.begin[runs] + self.end[runs]) // 2]
        order = np.argsort(middles)
        weight = np.cumsum((self.end - self.begin)[runs][order])
        return float(middles[order][np.searchsorted(weight, weight[-1] / 2)])


def most(x: Sums, y: Sums) -> int:
    """How many sums of either list a range may hold."""
    return max(LEAST, RUN * max(len(x.p), len(y.p)))


def nearest(x: Sums, y: Sums, within: tuple[float, float]) -> Found:
    """The closest pair whose greater member is in [low, high), and that distance.

    Whatever precedes the greater member of a closest pair in the merged order is the other one, so
    the range needs its own sums and, of either list, the last one before it.
    """
    from slth.subsetsum._kernels import closest

    low, high = within
    own, other = _Part(x, low, high), _Part(y, low, high)
    if own.count == 0 or other.count == 0 or high <= np.nextafter(low, np.inf):
        (a, na), (b, nb) = own.ends(), other.ends()
    elif max(own.count, other.count) > most(x, y):
        cut = max(own, other, key=lambda part: part.count).middle()
        if cut <= low:  # at least a quarter of the sums are low itself: one of them is enough
            cut = float(np.nextafter(low, np.inf))
        parts = nearest(x, y, (low, cut)), nearest(x, y, (cut, high))
        return min(parts, key=lambda found: found[0])
    else:
        (a, na), (b, nb) = own.ascending(), other.ascending()
    distance, i, j = closest(a, na, b, nb)
    return float(distance), float(a[i]), float(b[j])


def ranges(x: Sums, y: Sums) -> list[tuple[float, float]]:
    """Ranges of which one holds the greater member of a closest pair; those of the middle first.

    They cover the overlap of x and y, and what follows it. Each holds about half of `most` sums.
    """
    low = max(x.span[0], y.span[0])
    high = max(low, float(np.nextafter(min(x.span[1], y.span[1]), np.inf)))
    pieces = 1 + 2 * max(x.size, y.size) // most(x, y)
    edges: NDArray[np.float64] = np.array([low, high])
    if pieces > 1:
        sample = np.concatenate([_sample(x), _sample(y)])
        sample = np.sort(sample[(sample > low) & (sample < high)])
        if sample.size:
            at = np.arange(1, pieces) * sample.size // pieces
            edges = np.unique(np.concatenate([edges, sample[at]]))
    edges = np.unique(np.append(edges, np.inf))
    order = np.argsort(np.abs(np.arange(len(edges) - 1) - len(edges) // 2), kind="stable")
    return [(float(edges[k]), float(edges[k + 1])) for k in order]


def _sample(sums: Sums) -> Floats:
    p, q = (part[:: max(1, len(part) // SAMPLE)] for part in (sums.p, sums.q))
    return (p[:, None] + q).ravel()

"""Ranking what still lives, millions of weights at a time: kernels over bit patterns.

Scores are not negative, so their bits order as they do: the k-th highest is found by a histogram of
the leading bits and a partition of one bin, which reads every score twice and copies few. Ties and
counts are those of `slth.mask.keep_top` on the living weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slth.threads import workers

Bits = NDArray[np.unsignedinteger[Any]]

BINS = 1 << 15  # the sign is never set
INFINITY = {4: 0x7F80_0000, 8: 0x7FF0_0000_0000_0000}
SMALL = 1 << 16  # scores in all; below it threads cost more than they save


@njit(cache=True, nogil=True)
def score(gradient, weight, index, out):  # type: ignore[no-untyped-def]
    """out[i] = |gradient · weight| of the i-th living weight."""
    for i in range(index.size):
        out[i] = abs(gradient[index[i]] * weight[index[i]])


@njit(cache=True, nogil=True)
def score_masked(gradient, weight, alive, out):  # type: ignore[no-untyped-def]
    """The same where the living ones are marked instead of listed."""
    n = 0
    for i in range(alive.size):
        if alive[i]:
            out[n] = abs(gradient[i] * weight[i])
            n += 1


@njit(cache=True, nogil=True)
def histogram(bits, shift):  # type: ignore[no-untyped-def]
    counts = np.zeros(BINS, np.int64)
    for i in range(bits.size):
        counts[bits[i] >> shift] += 1
    return counts


@njit(cache=True, nogil=True)
def members(bits, shift, bin_, count):  # type: ignore[no-untyped-def]
    """The bit patterns of one bin."""
    found = np.empty(count, bits.dtype)
    n = 0
    for i in range(bits.size):
        if bits[i] >> shift == bin_:
            found[n] = bits[i]
            n += 1
    return found


@njit(cache=True, nogil=True)
def around(bits, threshold):  # type: ignore[no-untyped-def]
    """How many equal the threshold, how many are above it, and the largest below, or itself."""
    equal, above, largest = 0, 0, threshold
    for i in range(bits.size):
        if bits[i] == threshold:
            equal += 1
        elif bits[i] > threshold:
            above += 1
        elif largest == threshold or bits[i] > largest:
            largest = bits[i]
    return equal, above, largest


@njit(cache=True, nogil=True)
def between(bits, low, high):  # type: ignore[no-untyped-def]
    n = 0
    for i in range(bits.size):
        n += low <= bits[i] <= high
    return n


@njit(cache=True, nogil=True)
def drop(bits, index, weight, threshold, equal):  # type: ignore[no-untyped-def]
    """Zero the weights below the threshold and all but the first `equal` at it; how many are left.

    The living indices move to the front of `index`.
    """
    n = 0
    for i in range(index.size):
        j = index[i]
        keep = bits[i] > threshold
        if bits[i] == threshold and equal > 0:
            keep = True
            equal -= 1
        if keep:
            index[n] = j
            n += 1
        else:
            weight[j] = 0
    return n


@njit(cache=True, nogil=True)
def drop_masked(bits, alive, weight, threshold, equal):  # type: ignore[no-untyped-def]
    """The same where the living ones are marked instead of listed."""
    n, left = 0, 0
    for i in range(alive.size):
        if alive[i]:
            keep = bits[n] > threshold
            if bits[n] == threshold and equal > 0:
                keep = True
                equal -= 1
            n += 1
            left += keep
            if not keep:
                alive[i] = False
                weight[i] = 0
    return left


@njit(cache=True, nogil=True)
def listed(alive, places):  # type: ignore[no-untyped-def]
    """Write where it is True to `places`."""
    n = 0
    for i in range(alive.size):
        if alive[i]:
            places[n] = i
            n += 1
    return places


def as_bits(scores: NDArray[Any]) -> Bits:
    return scores.view(np.uint32 if scores.itemsize == 4 else np.uint64)


def each(function: Callable[..., Any], *columns: Iterable[Any], size: int) -> list[Any]:
    """The function of every row, on every core where there is enough to do."""
    if size < SMALL:
        return [function(*row) for row in zip(*columns, strict=True)]
    with ThreadPoolExecutor(workers()) as pool:
        return list(pool.map(function, *columns))


def kth_highest(parts: Sequence[Bits], k: int) -> Any:
    """The bit pattern of the k-th highest of all parts together; None if any is not finite."""
    size, kind = sum(part.size for part in parts), parts[0].dtype.type
    shift = kind(8 * parts[0].itemsize - 16)
    counts = each(histogram, parts, [shift] * len(parts), size=size)
    from_top = np.cumsum(np.sum(counts, axis=0)[::-1])
    if from_top[BINS - 1 - (INFINITY[parts[0].itemsize] >> int(shift))]:
        return None
    place = int(np.searchsorted(from_top, k))
    bin_ = BINS - 1 - place
    columns = ([shift] * len(parts), [kind(bin_)] * len(parts), [int(c[bin_]) for c in counts])
    found = np.concatenate(each(members, parts, *columns, size=size))
    rank = found.size - (k - (int(from_top[place - 1]) if place else 0))
    return np.partition(found, rank)[rank]

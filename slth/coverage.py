"""How well all subset sums of given values cover an interval: the exact count behind every theorem
about random subset sums (Lueker 1998; da Cunha et al. 2022), by enumeration.

`least_tolerance` is the smallest η such that every z in [low, high] is within η of a subset sum: a
supremum over a continuum of targets, not over a sample of them. The sorted list of the sums of
n + 1 values is the merge of the list of n with itself shifted, and two things keep it short:

- sums that the values to come can no longer bring near the interval are dropped; of those beyond
  each end the nearest stays, because adding the same values keeps it the nearest (rounded addition
  is monotone), so dropping changes no float of the result;
- the last merge is never stored: its gaps are read off while it runs.

Rounding: every sum is added up left to right in float64, so it errs by at most n·2^-53·Σ|v|, and
the tolerance, which moves no more than the sums do, by at most

    (n + 2)·2^-53·(Σ|v| + max(|low|, |high|)),

0 where the values, low, high and all sums are multiples of one power of two below 2^53 times it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.coverage_sums import advance, all_sums, alone, gather, largest_gap, nearest, tolerances
from slth.errors import BadInput
from slth.threads import chunks, workers

Floats = NDArray[np.float64]
MOST = 34  # values of one row whose list of sums is held in memory
MOST_STREAMED = 46
PIECE = 1 << 22  # sums that the streamed variant sorts at a time


def least_tolerance(values: ArrayLike, low: float = -0.5, high: float = 0.5) -> float:
    """The least η such that every z in [low, high] is within η of a subset sum of values `[n]`.

    The empty set counts. Two lists of up to 2^(n−1) and 2^(n−2) floats in memory, usually a small
    part of that; rounding as the module says. Raises BadInput beyond 34 values (see `streamed`).
    """
    return float(least_tolerances(np.atleast_2d(_numbers(values, 1)), low, high, threads=1)[0])


def least_tolerances(
    values: ArrayLike, low: float = -0.5, high: float = 0.5, threads: int | None = None
) -> Floats:
    """`least_tolerance` of each row of values `[N, n]`: `[N]`, on several threads."""
    rows = _checked(values, low, high, MOST)
    # smallest last: then early lists need not reach far beyond the interval
    order = np.argsort(-np.abs(rows), axis=1, kind="stable")
    rows = np.take_along_axis(rows, order, axis=1)
    out = np.empty((len(rows), 1))
    _spread(
        lambda start, stop: tolerances(rows, low, high, False, out, start, stop), len(rows), threads
    )
    return out[:, 0]


def profile(values: ArrayLike, low: float = -0.5, high: float = 0.5) -> Floats:
    """`least_tolerance` of values[:1], values[:2], ..., values `[n]`: `[n]`, nonincreasing."""
    found: Floats = profiles(np.atleast_2d(_numbers(values, 1)), low, high, threads=1)[0]
    return found


def profiles(
    values: ArrayLike, low: float = -0.5, high: float = 0.5, threads: int | None = None
) -> Floats:
    """`profile` of each row of values `[N, n]`: `[N, n]`, on several threads."""
    rows = _checked(values, low, high, MOST)
    out = np.empty(rows.shape)
    _spread(
        lambda start, stop: tolerances(rows, low, high, True, out, start, stop), len(rows), threads
    )
    return out


def _spread(work: Callable[[int, int], None], total: int, threads: int | None) -> None:
    count = min(workers() if threads is None else threads, total)
    if count <= 1:
        work(0, total)
        return
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work, *piece) for piece in chunks(total, 8 * count)]:
            done.result()


def _numbers(values: ArrayLike, dimensions: int) -> Floats:
    found = np.ascontiguousarray(values, dtype=np.float64)
    if found.ndim != dimensions:
        shape = "[n]" if dimensions == 1 else "[N, n]"
        raise BadInput("values", f"shape {found.shape}", shape, "reshape them")
    return found


def _checked(values: ArrayLike, low: float, high: float, most: int) -> Floats:
    rows = _numbers(values, 2)
    n = rows.shape[1]
    if not 1 <= n <= most:
        remedy = "use streamed" if n <= MOST_STREAMED and most == MOST else "pass fewer values"
        raise BadInput("values", f"{n} a row", f"1 to {most}", remedy)
    with np.errstate(over="ignore", invalid="ignore"):
        size = float(np.abs(rows).sum(axis=1).max(initial=0.0))
    if not size < 2.0**1000:
        raise BadInput("values", "nan, inf or huge", "finite, sum |v| < 2^1000", "rescale them")
    if not -(2.0**1000) < low <= high < 2.0**1000:
        raise BadInput("low, high", (low, high), "finite, low <= high", "order the ends")
    return rows


# -- beyond memory ---------------------------------------------------------------------------------


def streamed(values: ArrayLike, low: float = -0.5, high: float = 0.5, piece: int = PIECE) -> float:
    """`least_tolerance` in bounded memory: a piece of the interval at a time.

    Every sum is one of half the values plus one of the other half, two lists of 2^(n/2). A piece
    holds about `piece` sums (more only where more sums than that are equal), gathered and sorted,
    so time is that of sorting 2^n numbers, or of those that fall inside the interval. Raises
    BadInput beyond 46 values.
    """
    rows = _checked(np.atleast_2d(_numbers(values, 1)), low, high, MOST_STREAMED)
    if piece < 1:
        raise BadInput("piece", piece, "1 or more", "leave it out")
    a, b = all_sums(rows[0, ::2].copy()), all_sums(rows[0, 1::2].copy())
    begin, end = np.zeros(a.size - 1, np.int64), np.zeros(a.size - 1, np.int64)
    advance(a, b, begin, low, begin)
    last, worst, inside = nearest(a, b, begin)[0], 0.0, False
    stop, beyond = low, np.nextafter(high, np.inf)
    width = beyond - low
    while stop < beyond:
        start, stop = stop, min(stop + width, beyond)
        stop = max(stop, np.nextafter(start, np.inf))
        while (count := advance(a, b, begin, stop, end)) > piece:
            middle = start + (stop - start) / 2
            if not start < middle < stop:
                break  # all of them equal
            stop = middle
        width = (stop - start) * (8.0 if not count else 2.0 if 2 * count <= piece else 1.0)
        sums = np.empty(count)
        gather(a, b, begin, end, sums)
        sums.sort()
        if count:
            gap = float(sums[0]) - last
            worst = max(worst, gap / 2 if inside else min(float(sums[0]) - low, gap / 2))
            worst, last, inside = max(worst, largest_gap(sums) / 2), float(sums[-1]), True
        begin, end = end, begin
    after = nearest(a, b, begin)[1]
    if not inside:
        return float(alone(last, after, low, high))
    return float(max(worst, min(high - last, (after - last) / 2)))

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
from numba import njit
from numpy.typing import ArrayLike, NDArray

from slth.errors import BadInput
from slth.threads import chunks, workers

Floats = NDArray[np.float64]
MOST = 34  # values of one row whose list of sums is held in memory
MOST_STREAMED = 46
PIECE = 1 << 22  # sums that the streamed variant sorts at a time

# All loops choose by selects, not jumps (which of two sums is smaller is a coin toss), and four
# pieces of a merge run at once, because each step of one waits for a load. Lists end in inf.


@njit(cache=True, nogil=True)
def _below(sums, size, v, x):  # type: ignore[no-untyped-def]
    """How many of sums[:size] + v are < x."""
    low, high = 0, size
    while low < high:
        middle = (low + high) >> 1
        if sums[middle] + v < x:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _until(sums, size, v, x):  # type: ignore[no-untyped-def]
    """How many of sums[:size] + v are <= x."""
    low, high = 0, size
    while low < high:
        middle = (low + high) >> 1
        if sums[middle] + v <= x:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _cut(sums, size, a, b, v, diagonal):  # type: ignore[no-untyped-def]
    """How many of the first `diagonal` of the merge of sums[a:] and sums[b:] + v are the former."""
    low, high = max(0, diagonal - (size - b)), min(diagonal, size - a)
    while low < high:
        i = (low + high) >> 1
        if sums[a + i] <= sums[b + diagonal - 1 - i] + v:
            low = i + 1
        else:
            high = i
    return low


@njit(cache=True, nogil=True)
def _merge(sums, size, a, b, v, count, out):  # type: ignore[no-untyped-def]
    """out[:count] = the smallest of sums[a:size] and sums[b:size] + v, sorted, then inf."""
    quarter = count >> 2
    i0 = 0
    i1 = _cut(sums, size, a, b, v, quarter)
    i2 = _cut(sums, size, a, b, v, 2 * quarter)
    i3 = _cut(sums, size, a, b, v, 3 * quarter)
    b1, b2, b3 = b + quarter, b + 2 * quarter, b + 3 * quarter
    for k in range(quarter):
        x = sums[a + i0]
        y = sums[b + k - i0] + v
        out[k] = y if y < x else x
        i0 += x <= y
        x = sums[a + i1]
        y = sums[b1 + k - i1] + v
        out[quarter + k] = y if y < x else x
        i1 += x <= y
        x = sums[a + i2]
        y = sums[b2 + k - i2] + v
        out[2 * quarter + k] = y if y < x else x
        i2 += x <= y
        x = sums[a + i3]
        y = sums[b3 + k - i3] + v
        out[3 * quarter + k] = y if y < x else x
        i3 += x <= y
    for k in range(quarter, count - 3 * quarter):
        x = sums[a + i3]
        y = sums[b3 + k - i3] + v
        out[3 * quarter + k] = y if y < x else x
        i3 += x <= y
    out[count] = np.inf


@njit(cache=True, nogil=True)
def _before(sums, a, b, v, i, j):  # type: ignore[no-untyped-def]
    """The last of sums[a:a + i] and sums[b:b + j] + v, one of them not empty."""
    x = sums[a + i - 1] if i > 0 else -np.inf
    y = sums[b + j - 1] + v if j > 0 else -np.inf
    return max(x, y)


@njit(cache=True, nogil=True)
def _merged_gap(sums, size, a, b, v, count):  # type: ignore[no-untyped-def]
    """The largest gap between neighbours among the first `count` >= 1 of `_merge`, unstored."""
    quarter = count >> 2
    i0 = 0
    i1 = _cut(sums, size, a, b, v, quarter)
    i2 = _cut(sums, size, a, b, v, 2 * quarter)
    i3 = _cut(sums, size, a, b, v, 3 * quarter)
    p0 = min(sums[a], sums[b] + v)
    p1 = _before(sums, a, b, v, i1, quarter - i1) if quarter else p0
    p2 = _before(sums, a, b, v, i2, 2 * quarter - i2) if quarter else p0
    p3 = _before(sums, a, b, v, i3, 3 * quarter - i3) if quarter else p0
    b1, b2, b3 = b + quarter, b + 2 * quarter, b + 3 * quarter
    g0 = g1 = g2 = g3 = 0.0
    for k in range(quarter):
        x = sums[a + i0]
        y = sums[b + k - i0] + v
        s = y if y < x else x
        g0 = max(g0, s - p0)
        p0 = s
        i0 += x <= y
        x = sums[a + i1]
        y = sums[b1 + k - i1] + v
        s = y if y < x else x
        g1 = max(g1, s - p1)
        p1 = s
        i1 += x <= y
        x = sums[a + i2]
        y = sums[b2 + k - i2] + v
        s = y if y < x else x
        g2 = max(g2, s - p2)
        p2 = s
        i2 += x <= y
        x = sums[a + i3]
        y = sums[b3 + k - i3] + v
        s = y if y < x else x
        g3 = max(g3, s - p3)
        p3 = s
        i3 += x <= y
    for k in range(quarter, count - 3 * quarter):
        x = sums[a + i3]
        y = sums[b3 + k - i3] + v
        s = y if y < x else x
        g3 = max(g3, s - p3)
        p3 = s
        i3 += x <= y
    return max(max(g0, g1), max(g2, g3))


@njit(cache=True, nogil=True)
def _ends(before, first, last, after, low, high):  # type: ignore[no-untyped-def]
    """The worst z at either end; first and last are the outermost sums inside [low, high]."""
    start = min(first - low, (first - before) / 2)
    stop = min(high - last, (after - last) / 2)
    return max(start, stop)


@njit(cache=True, nogil=True)
def _alone(before, after, low, high):  # type: ignore[no-untyped-def]
    """The worst z where no sum lies inside [low, high]."""
    return min((after - before) / 2, min(after - low, high - before))


@njit(cache=True, nogil=True)
def _merged_tolerance(sums, size, v, low, high):  # type: ignore[no-untyped-def]
    """The tolerance of sums[:size] and sums[:size] + v together."""
    a, b = _below(sums, size, 0.0, low), _below(sums, size, v, low)
    a1, b1 = _until(sums, size, 0.0, high), _until(sums, size, v, high)
    before = _before(sums, 0, 0, v, a, b)
    after = min(sums[a1], sums[b1] + v)
    if a1 - a + b1 - b == 0:
        return _alone(before, after, low, high)
    first = min(sums[a], sums[b] + v)
    last = _before(sums, a, b, v, a1 - a, b1 - b)
    inside = _merged_gap(sums, size, a, b, v, a1 - a + b1 - b) / 2
    return max(inside, _ends(before, first, last, after, low, high))


@njit(cache=True, nogil=True)
def _tolerance(sums, size, low, high):  # type: ignore[no-untyped-def]
    """The tolerance of the sorted sums[:size]; sums[size] = inf."""
    a, a1 = _below(sums, size, 0.0, low), _until(sums, size, 0.0, high)
    before = sums[a - 1] if a > 0 else -np.inf
    if a1 == a:
        return _alone(before, sums[a1], low, high)
    inside = largest_gap(sums[a:a1]) / 2
    return max(inside, _ends(before, sums[a], sums[a1 - 1], sums[a1], low, high))


@njit(cache=True, nogil=True)
def largest_gap(sums):  # type: ignore[no-untyped-def]
    """The largest difference of neighbours in a sorted list; 0 of one element."""
    g0 = g1 = g2 = g3 = 0.0  # independent, so that no comparison waits for the one before
    steps = sums.size - 1
    for k in range(0, steps - 3, 4):
        g0 = max(g0, sums[k + 1] - sums[k])
        g1 = max(g1, sums[k + 2] - sums[k + 1])
        g2 = max(g2, sums[k + 3] - sums[k + 2])
        g3 = max(g3, sums[k + 4] - sums[k + 3])
    for k in range(steps - steps % 4, steps):
        g0 = max(g0, sums[k + 1] - sums[k])
    return max(max(g0, g1), max(g2, g3))


@njit(cache=True, nogil=True)
def _grow(sums, size, v, floor, ceiling):  # type: ignore[no-untyped-def]
    """(the sorted sums with and without v, their number), only those of [floor, ceiling] and the
    nearest beyond either end."""
    a, b = _below(sums, size, 0.0, floor), _below(sums, size, v, floor)
    a, b = max(a - 1, 0), max(b - 1, 0)
    a1 = min(_until(sums, size, 0.0, ceiling) + 1, size)
    b1 = min(_until(sums, size, v, ceiling) + 1, size)
    count = a1 - a + b1 - b
    out = np.empty(count + 1)
    _merge(sums, size, a, b, v, count, out)
    return out, count


@njit(cache=True, nogil=True)
def _remaining(values, start, low, high):  # type: ignore[no-untyped-def]
    """Where a sum must lie so that values[start:] can bring it into [low, high], rounded out."""
    up = down = size = 0.0
    for k in range(values.size):
        size += abs(values[k])
        if k >= start:
            up += max(values[k], 0.0)
            down += max(-values[k], 0.0)
    slack = (values.size + 4) * 2.0**-50 * (size + max(abs(low), abs(high)))
    return low - up - slack, high + down + slack


@njit(cache=True, nogil=True)
def _row(values, low, high, every, out):  # type: ignore[no-untyped-def]
    """out[k] = the tolerance of values[:k + 1]: for each k where `every`, else for the last."""
    sums = np.array([0.0, np.inf])
    size = 1
    for k in range(values.size - 1):
        floor, ceiling = _remaining(values, k + 1, low, high)
        sums, size = _grow(sums, size, values[k], floor, ceiling)
        if every:
            out[k] = _tolerance(sums, size, low, high)
    out[-1] = _merged_tolerance(sums, size, values[-1], low, high)


@njit(cache=True, nogil=True)
def _rows(values, low, high, every, out, start, stop):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        _row(values[row], low, high, every, out[row])


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
    _spread(lambda start, stop: _rows(rows, low, high, False, out, start, stop), len(rows), threads)
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
    _spread(lambda start, stop: _rows(rows, low, high, True, out, start, stop), len(rows), threads)
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


@njit(cache=True, nogil=True)
def _all_sums(values):  # type: ignore[no-untyped-def]
    """Every subset sum, sorted, then inf."""
    sums = np.array([0.0, np.inf])
    size = 1
    for k in range(values.size):
        sums, size = _grow(sums, size, values[k], -np.inf, np.inf)
    return sums


@njit(cache=True, nogil=True)
def _advance(a, b, begin, stop, end):  # type: ignore[no-untyped-def]
    """Set end[i] = how many of b + a[i] are < stop; returns how many more than begin that is."""
    total = 0
    for i in range(a.size - 1):
        end[i] = _below(b, b.size - 1, a[i], stop)
        total += end[i] - begin[i]
    return total


@njit(cache=True, nogil=True)
def _gather(a, b, begin, end, out):  # type: ignore[no-untyped-def]
    """out[0], out[1], ... = b[begin[i]:end[i]] + a[i] for every i."""
    at = 0
    for i in range(a.size - 1):
        for j in range(begin[i], end[i]):
            out[at] = b[j] + a[i]
            at += 1


@njit(cache=True, nogil=True)
def _nearest(a, b, begin):  # type: ignore[no-untyped-def]
    """(the largest sum before begin, the smallest from begin on)."""
    before, after = -np.inf, np.inf
    for i in range(a.size - 1):
        if begin[i] > 0:
            before = max(before, b[begin[i] - 1] + a[i])
        after = min(after, b[begin[i]] + a[i])
    return before, after


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
    a, b = _all_sums(rows[0, ::2].copy()), _all_sums(rows[0, 1::2].copy())
    begin, end = np.zeros(a.size - 1, np.int64), np.zeros(a.size - 1, np.int64)
    _advance(a, b, begin, low, begin)
    last, worst, inside = _nearest(a, b, begin)[0], 0.0, False
    stop, beyond = low, np.nextafter(high, np.inf)
    width = beyond - low
    while stop < beyond:
        start, stop = stop, min(stop + width, beyond)
        stop = max(stop, np.nextafter(start, np.inf))
        while (count := _advance(a, b, begin, stop, end)) > piece:
            middle = start + (stop - start) / 2
            if not start < middle < stop:
                break  # all of them equal
            stop = middle
        width = (stop - start) * (8.0 if not count else 2.0 if 2 * count <= piece else 1.0)
        sums = np.empty(count)
        _gather(a, b, begin, end, sums)
        sums.sort()
        if count:
            gap = float(sums[0]) - last
            worst = max(worst, gap / 2 if inside else min(float(sums[0]) - low, gap / 2))
            worst, last, inside = max(worst, largest_gap(sums) / 2), float(sums[-1]), True
        begin, end = end, begin
    after = _nearest(a, b, begin)[1]
    if not inside:
        return float(_alone(last, after, low, high))
    return float(max(worst, min(high - last, (after - last) / 2)))

"""All compiled code of coverage: sorted lists of subset sums, merged and read for their gaps.

One file, because numba's cache of a kernel notices changes to the kernel's own file only.

All loops choose by selects, not jumps (which of two sums is smaller is a coin toss), and four
pieces of a merge run at once, because each step of one waits for a load. Lists end in inf.
"""

from __future__ import annotations

import numpy as np
from numba import njit


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
def alone(before, after, low, high):  # type: ignore[no-untyped-def]
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
        return alone(before, after, low, high)
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
        return alone(before, sums[a1], low, high)
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
def tolerances(values, low, high, every, out, start, stop):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        _row(values[row], low, high, every, out[row])


# --- Beyond memory: every sum is one of a sorted list a plus one of a sorted list b --------------


@njit(cache=True, nogil=True)
def all_sums(values):  # type: ignore[no-untyped-def]
    """Every subset sum, sorted, then inf."""
    sums = np.array([0.0, np.inf])
    size = 1
    for k in range(values.size):
        sums, size = _grow(sums, size, values[k], -np.inf, np.inf)
    return sums


@njit(cache=True, nogil=True)
def advance(a, b, begin, stop, end):  # type: ignore[no-untyped-def]
    """Set end[i] = how many of b + a[i] are < stop; returns how many more than begin that is."""
    total = 0
    for i in range(a.size - 1):
        end[i] = _below(b, b.size - 1, a[i], stop)
        total += end[i] - begin[i]
    return total


@njit(cache=True, nogil=True)
def gather(a, b, begin, end, out):  # type: ignore[no-untyped-def]
    """out[0], out[1], ... = b[begin[i]:end[i]] + a[i] for every i."""
    at = 0
    for i in range(a.size - 1):
        for j in range(begin[i], end[i]):
            out[at] = b[j] + a[i]
            at += 1


@njit(cache=True, nogil=True)
def nearest(a, b, begin):  # type: ignore[no-untyped-def]
    """(the largest sum before begin, the smallest from begin on)."""
    before, after = -np.inf, np.inf
    for i in range(a.size - 1):
        if begin[i] > 0:
            before = max(before, b[begin[i] - 1] + a[i])
        after = min(after, b[begin[i]] + a[i])
    return before, after

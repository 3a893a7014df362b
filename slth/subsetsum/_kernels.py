"""All compiled code of subset sum: error-free sums, sorted lists of sums, and the two searches.

One file, because numba's cache of a kernel notices changes to the kernel's own file only: split up,
an edit to the exact sums below would leave stale machine code in their callers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# --- Error-free sums (Shewchuk 1997, grow-expansion): what a mask's error really is ---------------
# A sum is kept as non-overlapping floats of increasing magnitude that add up to it exactly, so the
# last one carries its sign. No fused or reassociated arithmetic may touch these kernels.

PARTIALS = 48  # float64 spans 2098 bits, and non-overlapping parts hold 53 each


@njit(cache=True, nogil=True)
def _add(partials, count, x):  # type: ignore[no-untyped-def]
    """Add x to the expansion; returns the new count."""
    kept = 0
    for i in range(count):
        y = partials[i]
        if abs(x) < abs(y):
            x, y = y, x
        high = x + y
        low = y - (high - x)
        if low != 0.0:
            partials[kept] = low
            kept += 1
        x = high
    if x != 0.0:
        partials[kept] = x
        kept += 1
    return kept


@njit(cache=True, nogil=True)
def _residual_quick(values, mask, target):  # type: ignore[no-untyped-def]
    """(high, low, whether high + low is exactly |sum(values[mask]) - target|), high the nearest.

    Two running floats, as nearly always suffices; what neither takes in sends to the expansion.
    """
    high, low = -target, 0.0
    lost = False
    for i in range(values.size):
        if mask[i]:
            x = values[i]
            total = high + x
            part = total - high
            x = (high - (total - part)) + (x - part)
            high = total
            total = low + x
            part = total - low
            x = (low - (total - part)) + (x - part)
            low = total
            lost |= x != 0.0  # NaN after an overflow counts
    total = high + low
    part = total - high
    low = (high - (total - part)) + (low - part)
    if total < 0.0:
        total, low = -total, -low
    return total + 0.0, low, not lost and total < np.inf  # + 0.0: no negative zero


@njit(cache=True, nogil=True)
def residual_up(values, mask, target, partials):  # type: ignore[no-untyped-def]
    """The smallest float64 that is at least |sum(values[mask]) - target|; NaN after overflow.

    It is at most an epsilon exactly when the real residual is, because epsilon is a float64 too.
    """
    high, low, exact = _residual_quick(values, mask, target)
    if exact:
        return np.nextafter(high, np.inf) if low > 0.0 else high
    count = 0
    if target != 0.0:
        partials[0] = -target
        count = 1
    for i in range(values.size):
        if mask[i]:
            count = _add(partials, count, values[i])
            if count and not abs(partials[count - 1]) < np.inf:
                return np.nan
    if count == 0:
        return 0.0
    high = partials[count - 1]
    low = 0.0
    for i in range(count - 2, -1, -1):
        total = high + partials[i]
        low = partials[i] - (total - high)
        high = total
        if low != 0.0:
            break
    if high < 0.0:
        high, low = -high, -low
    # high is the nearest float, so what is left (whose sign is low's) is less than one step.
    return np.nextafter(high, np.inf) if low > 0.0 else high


@njit(cache=True, nogil=True)
def residuals_up(values, mask, targets, out):  # type: ignore[no-untyped-def]
    """`residual_up` for each row; values `[1 or N, n]`, mask `[N, n]`, targets and out `[N]`."""
    partials = np.empty(PARTIALS)
    for row in range(targets.size):
        at = row if len(values) > 1 else 0
        out[row] = residual_up(values[at], mask[row], targets[row], partials)


@njit(cache=True, nogil=True)
def rounding_bound(values, target):  # type: ignore[no-untyped-def]
    """How far any float evaluation of ±values[0] … ±values[n-1] ± total ± target is off, at most.

    0 where all terms are multiples of one power of two and so few bits apart that every partial sum
    is a float64 itself (dyadic grids); NaN where the terms may overflow.
    """
    size = abs(target)
    for i in range(values.size):
        size += abs(values[i])
    size *= 2.0
    if not size < 2.0**1000:
        return np.nan
    # v + anchor - anchor rounds v to a multiple of 2^-51 anchor's lowest power of two
    power = 1.0
    if size > 0.0:
        power = 2.0 ** (np.ceil(np.log2(size)) + 2.0)
    anchor = 3.0 * power
    exact = (target + anchor) - anchor == target
    for i in range(values.size):
        exact = exact and (values[i] + anchor) - anchor == values[i]
    if exact:
        return 0.0
    return (2 * values.size + 8) * size * 2.0**-53


@njit(cache=True, nogil=True)
def rounding_bounds(values, targets, rows, out):  # type: ignore[no-untyped-def]
    """`rounding_bound` for each of the given rows; values `[1 or N, n]`, out as long as rows."""
    for k in range(rows.size):
        out[k] = rounding_bound(values[rows[k] if len(values) > 1 else 0], targets[rows[k]])


# --- Sorted lists of all signed sums, and the closest pair between two of them --------------------
# With coefficients ±1 instead of 0/1 (a subset sum is half of the values' total plus a signed sum)
# the list of all sums is symmetric about zero, in float64 too, because negation is exact: merging
# builds its lower half and mirrors it. Lists carry no masks; a value found is traced back by
# redoing the additions in the same order. All loops choose by selects, not jumps: which of two
# sums is smaller is a coin toss that no branch predictor wins.

SMALL = 96  # below this many steps, setting up interleaved walks costs more than it hides


@njit(cache=True, nogil=True)
def _merge_step(sums, a, i, k, last, out):  # type: ignore[no-untyped-def]
    """Entry k of `merge` and its mirror image; returns i, or i + 1 if it is sums[i] - a."""
    x = sums[i] - a
    y = sums[k - i] + a
    s = y if y < x else x
    out[k] = s
    out[last - k] = -s
    return i + (x <= y)


@njit(cache=True, nogil=True)
def _merge_cut(sums, a, diagonal):  # type: ignore[no-untyped-def]
    """How many of the first `diagonal` merged entries are of the form sums[i] - a."""
    low, high = 0, diagonal
    while low < high:
        i = (low + high) >> 1
        if sums[i] - a <= sums[diagonal - 1 - i] + a:
            low = i + 1
        else:
            high = i
    return low


@njit(cache=True, nogil=True)
def merge(sums, size, value, out):  # type: ignore[no-untyped-def]
    """out[:2 size] = sorted {s - value, s + value}; sums[:size] is sorted and symmetric.

    size is a power of two. Each step waits for a load, so four pieces of the merge run at once.
    """
    a = abs(value)
    last = 2 * size - 1
    if size < SMALL:
        i = 0
        for k in range(size):  # i <= k < size and k - i < size: no list runs out in the lower half
            i = _merge_step(sums, a, i, k, last, out)
        return
    quarter = size >> 2
    half = 2 * quarter
    third = 3 * quarter
    i0 = 0
    i1 = _merge_cut(sums, a, quarter)
    i2 = _merge_cut(sums, a, half)
    i3 = _merge_cut(sums, a, third)
    for k in range(quarter):
        i0 = _merge_step(sums, a, i0, k, last, out)
        i1 = _merge_step(sums, a, i1, quarter + k, last, out)
        i2 = _merge_step(sums, a, i2, half + k, last, out)
        i3 = _merge_step(sums, a, i3, third + k, last, out)


@njit(cache=True, nogil=True)
def _closest_short(a, na, b, nb):  # type: ignore[no-untyped-def]
    best = np.inf
    best_i = 0
    best_k = 0
    i = 0
    for k in range(na + nb):
        x = a[i]
        y = b[k - i]
        r = abs(x - y)
        better = r < best
        best = r if better else best
        best_i = i if better else best_i
        best_k = k if better else best_k
        i += x <= y
    return best, best_i, best_k - best_i


@njit(cache=True, nogil=True)
def _cut(a, na, b, nb, diagonal):  # type: ignore[no-untyped-def]
    """How many of a's entries the merge of a and b takes among its first `diagonal` ones."""
    low = max(0, diagonal - nb)
    high = min(diagonal, na)
    while low < high:
        i = (low + high) >> 1
        if a[i] <= b[diagonal - 1 - i]:
            low = i + 1
        else:
            high = i
    return low


@njit(cache=True, nogil=True)
def closest(a, na, b, nb):  # type: ignore[no-untyped-def]
    """(|a[i] - b[j]|, i, j) for the first closest pair in merge order; a[na] = b[nb] = inf.

    The closest pair is met on the path that merges the lists, and rounding keeps that so because
    it is monotone. The path is walked in four pieces at once: each step waits for a load, and four
    such waits overlap.
    """
    steps = na + nb
    if steps < SMALL:
        return _closest_short(a, na, b, nb)
    quarter = steps >> 2
    i0 = 0
    i1 = _cut(a, na, b, nb, quarter)
    i2 = _cut(a, na, b, nb, 2 * quarter)
    i3 = _cut(a, na, b, nb, 3 * quarter)
    r0 = r1 = r2 = r3 = np.inf
    f0 = f1 = f2 = f3 = 0
    k0 = k1 = k2 = k3 = 0
    for k in range(
        quarter + 3
    ):  # the last piece is up to three steps longer; overlaps are harmless
        x = a[i0]
        y = b[k - i0]
        r = abs(x - y)
        better = r < r0
        r0 = r if better else r0
        f0 = i0 if better else f0
        k0 = k if better else k0
        i0 += x <= y
        x = a[i1]
        y = b[quarter + k - i1]
        r = abs(x - y)
        better = r < r1
        r1 = r if better else r1
        f1 = i1 if better else f1
        k1 = k if better else k1
        i1 += x <= y
        x = a[i2]
        y = b[2 * quarter + k - i2]
        r = abs(x - y)
        better = r < r2
        r2 = r if better else r2
        f2 = i2 if better else f2
        k2 = k if better else k2
        i2 += x <= y
        in_path = 3 * quarter + k < steps
        x = a[i3] if in_path else np.inf
        y = b[3 * quarter + k - i3] if in_path else -np.inf
        r = abs(x - y)
        better = r < r3
        r3 = r if better else r3
        f3 = i3 if better else f3
        k3 = k if better else k3
        i3 += x <= y
    best, best_i, best_j = r0, f0, k0 - f0
    if r1 < best:
        best, best_i, best_j = r1, f1, quarter + k1 - f1
    if r2 < best:
        best, best_i, best_j = r2, f2, 2 * quarter + k2 - f2
    if r3 < best:
        best, best_i, best_j = r3, f3, 3 * quarter + k3 - f3
    return best, best_i, best_j


@njit(cache=True, nogil=True)
def shift(sums, size, target, out):  # type: ignore[no-untyped-def]
    """out[:size] = sums - target, then inf: its entry nearest to b[j] pairs with the sum -b[j]."""
    for i in range(size):
        out[i] = sums[i] - target
    out[size] = np.inf


@njit(cache=True, nogil=True)
def pack(values, begin, limit, packed, place):  # type: ignore[no-untyped-def]
    """The first `limit` non-zero values from place `begin` on: (count, total, next place)."""
    count = 0
    total = 0.0
    at = begin
    while at < values.size and count < limit:
        v = values[at]  # which values are zero is not to be predicted: overwrite instead of jumping
        packed[count] = v
        place[count] = at
        total += v
        count += v != 0.0
        at += 1
    return count, total, at


@njit(cache=True, nogil=True)
def build(values, start, stop, list_, spare):  # type: ignore[no-untyped-def]
    """All signed sums of values[start:stop:2], sorted, then inf; returns (list, spare, size)."""
    list_[0] = 0.0
    size = 1
    for position in range(start, stop, 2):
        merge(list_, size, values[position], spare)
        list_, spare = spare, list_
        size *= 2
    list_[size] = np.inf
    return list_, spare, size


@njit(cache=True, nogil=True)
def merge_pair(first, x_value, second, y_value, size, out_first, out_second):  # type: ignore[no-untyped-def]
    """`merge` of two lists of one size at once, so that eight walks overlap their waits."""
    a, b = abs(x_value), abs(y_value)
    last = 2 * size - 1
    if size < SMALL:
        i = j = 0
        for k in range(size):
            i = _merge_step(first, a, i, k, last, out_first)
            j = _merge_step(second, b, j, k, last, out_second)
        return
    quarter = size >> 2
    half = 2 * quarter
    third = 3 * quarter
    i0 = j0 = 0
    i1, j1 = _merge_cut(first, a, quarter), _merge_cut(second, b, quarter)
    i2, j2 = _merge_cut(first, a, half), _merge_cut(second, b, half)
    i3, j3 = _merge_cut(first, a, third), _merge_cut(second, b, third)
    for k in range(quarter):
        i0 = _merge_step(first, a, i0, k, last, out_first)
        i1 = _merge_step(first, a, i1, quarter + k, last, out_first)
        i2 = _merge_step(first, a, i2, half + k, last, out_first)
        i3 = _merge_step(first, a, i3, third + k, last, out_first)
        j0 = _merge_step(second, b, j0, k, last, out_second)
        j1 = _merge_step(second, b, j1, quarter + k, last, out_second)
        j2 = _merge_step(second, b, j2, half + k, last, out_second)
        j3 = _merge_step(second, b, j3, third + k, last, out_second)


@njit(cache=True, nogil=True)
def build_pair(values, count, a, spare_a, b, spare_b):  # type: ignore[no-untyped-def]
    """`build` of values[0:count:2] into a and of values[1:count:2] into b.

    Returns (a, its spare, its size, b, its spare, its size).
    """
    a[0] = b[0] = 0.0
    na = nb = 1
    for position in range(0, count - 1, 2):
        merge_pair(a, values[position], b, values[position + 1], na, spare_a, spare_b)
        a, spare_a = spare_a, a
        b, spare_b = spare_b, b
        na, nb = 2 * na, 2 * nb
    if count & 1:
        merge(a, na, values[count - 1], spare_a)
        a, spare_a = spare_a, a
        na *= 2
    a[na] = b[nb] = np.inf
    return a, spare_a, na, b, spare_b, nb


@njit(cache=True, nogil=True)
def keep(mask, place, start, stop, bits):  # type: ignore[no-untyped-def]
    """Set mask where place[start:stop:2] has its bit set."""
    for position in range(start, stop, 2):
        if bits & 1:
            mask[place[position]] = True
        bits >>= 1


@njit(cache=True, nogil=True)
def trace(values, start, stop, found, scratch):  # type: ignore[no-untyped-def]
    """The signs that make `found` out of values[start:stop:2], as bits (1 for plus); -1: none.

    Redoes the additions of `merge` in their order, so the very float is met again.
    """
    scratch[0] = 0.0
    size = 1
    for position in range(start, stop, 2):
        v = values[position]
        for i in range(size):
            s = scratch[i]
            scratch[size + i] = s + v
            scratch[i] = s - v
        size *= 2
    for i in range(size):
        if scratch[i] == found:
            return i
    return -1


# --- Meet in the middle over many rows ------------------------------------------------------------


@njit(cache=True, nogil=True)
def optimum_rows(values, targets, limit, capacity, mask, lower, start, stop):  # type: ignore[no-untyped-def]
    """Best masks of rows start to stop, and what no subset of theirs can beat.

    values `[1 or N, n]`; capacity: floats a list. All sums are doubled: see the note on lists.
    """
    n = values.shape[1]
    packed, place = np.empty(n), np.empty(n, np.int64)
    a, spare_a = np.empty(capacity), np.empty(capacity)
    b, spare_b = np.empty(capacity), np.empty(capacity)
    built = -1
    count, total, na, nb = 0, 0.0, 1, 1
    for row in range(start, stop):
        at = row if len(values) > 1 else 0
        bound = rounding_bound(values[at], targets[row])
        if np.isnan(bound):
            continue
        if at != built:
            count, total, _ = pack(values[at], 0, limit, packed, place)
            a, spare_a, na, b, spare_b, nb = build_pair(packed, count, a, spare_a, b, spare_b)
            built = at
        shift(a, na, 2.0 * targets[row] - total, spare_a)
        best, i, j = closest(spare_a, na, b, nb)
        keep(mask[row], place, 0, count, trace(packed, 0, count, a[i], spare_a))
        keep(mask[row], place, 1, count, trace(packed, 1, count, -b[j], spare_b))
        if count < limit or np.count_nonzero(values[at]) == count:
            lower[row] = (best - bound) / 2.0


# --- First hit: two sorted lists that take in one value at a time ---------------------------------


@njit(cache=True, nogil=True)
def _search(values, target, epsilon, mask, packed, place, count, rest, bound, lists, partials):  # type: ignore[no-untyped-def]
    """Grow over one window, packed[:count], for subsets whose sum is near `rest`.

    Returns (position of the last value of a verified hit or -1, doubled distance that no subset of
    the window beats, rest afterwards). Sums are doubled, see the note on lists: with coefficients
    ±1 the subsets that hold values[p] match `wanted` with sums of the values before p.
    """
    a, spare_a, b, spare_b = lists[0], lists[1], lists[2], lists[3]
    a[0] = b[0] = 0.0
    a[1] = b[1] = np.inf
    na = nb = 1
    reach = 0.0
    wanted = 2.0 * rest
    nearest = abs(wanted)
    miss_p, miss_a, miss_b = -1, 0.0, 0.0
    for p in range(count):
        v = packed[p]
        wanted -= v
        distance = abs(wanted - v) - reach
        if distance <= 2.0 * epsilon + bound or distance < nearest:
            shift(a, na, wanted - v, spare_a)
            distance, i, j = closest(spare_a, na, b, nb)
            if distance <= 2.0 * epsilon + bound:
                keep(mask, place, 0, p, trace(packed, 0, p, a[i], spare_a))
                keep(mask, place, 1, p, trace(packed, 1, p, -b[j], spare_b))
                mask[place[p]] = True
                prefix = place[p] + 1
                if residual_up(values[:prefix], mask[:prefix], target, partials) <= epsilon:
                    return p, 0.0, 0.0
                for q in range(p + 1):
                    mask[place[q]] = False
            if distance < nearest:
                miss_p, miss_a, miss_b = p, a[i], -b[j]
        nearest = min(nearest, distance)
        reach += abs(v)
        if p + 1 == count:
            break
        if p & 1:
            merge(b, nb, v, spare_b)
            b, spare_b = spare_b, b
            nb *= 2
            b[nb] = np.inf
        else:
            merge(a, na, v, spare_a)
            a, spare_a = spare_a, a
            na *= 2
            a[na] = np.inf
    if miss_p >= 0:
        keep(mask, place, 0, miss_p, trace(packed, 0, miss_p, miss_a, spare_a))
        keep(mask, place, 1, miss_p, trace(packed, 1, miss_p, miss_b, spare_b))
        mask[place[miss_p]] = True
        for q in range(miss_p + 1):
            if mask[place[q]]:
                rest -= packed[q]
    return -1, nearest, rest


@njit(cache=True, nogil=True)
def _take_all(mask, packed, place, count, rest):  # type: ignore[no-untyped-def]
    """Keep every value of the window that has rest's sign; returns what is left."""
    left = rest
    for q in range(count):
        if (packed[q] > 0.0) == (rest > 0.0):
            mask[place[q]] = True
            left -= packed[q]
    return left


@njit(cache=True, nogil=True)
def _in_reach(packed, count, rest, epsilon, bound):  # type: ignore[no-untyped-def]
    side = 0.0
    for q in range(count):
        if (packed[q] > 0.0) == (rest > 0.0):
            side += abs(packed[q])
    return abs(rest) <= side + epsilon + bound


FEW = 11  # values of which all sums at once, eight a step, are quicker than two sorted lists


ALL = np.ones(FEW, np.bool_)


@njit(cache=True, nogil=True)
def _double(sums, size, value, near):  # type: ignore[no-untyped-def]
    """sums[size : 2 size] = sums[:size] + value; returns whether any of those is within `near`."""
    hit = False
    for i in range(size):
        s = sums[i] + value
        sums[size + i] = s
        hit |= abs(s) <= near
    return hit


@njit(cache=True, nogil=True)
def _few(packed, count, target, epsilon, mask, place, sums, kept, partials):  # type: ignore[no-untyped-def]
    """Position of the last value of a hit within packed[:count], or -1: then it is unknown.

    The first level at which a float sum comes within reach decides: if its nearest subset is not
    within epsilon exactly, the row is left to the search by sorted lists. So what is found depends
    on the values up to that level only.
    """
    sums[0] = -target
    total = abs(target)
    for p in range(count):
        total += abs(packed[p])
        size = 1 << p
        if _double(sums, size, packed[p], epsilon + (2 * p + 8) * total * 2.0**-53):
            best, bits = np.inf, 0
            for i in range(size, 2 * size):
                better = abs(sums[i]) < best
                best = abs(sums[i]) if better else best
                bits = i if better else bits
            taken = 0
            for q in range(p + 1):
                kept[taken] = packed[q]
                taken += bits >> q & 1
            if residual_up(kept[:taken], ALL[:taken], target, partials) <= epsilon:
                for q in range(p + 1):
                    mask[place[q]] = bits >> q & 1
                return p
            return -1
    return -1


@njit(cache=True, nogil=True)
def first_hit_rows(values, targets, epsilon, window, capacity, mask, used, lower, start, stop):  # type: ignore[no-untyped-def]
    """Masks, used prefixes and lower bounds of rows start to stop; values `[1 or N, n]`."""
    n = values.shape[1]
    packed, place = np.empty(window), np.empty(window, np.int64)
    lists = np.empty((4, capacity))
    few = min(window, FEW)
    sums, kept = np.empty(2**FEW), np.empty(FEW)
    partials = np.empty(PARTIALS)
    for row in range(start, stop):
        own = values[row if len(values) > 1 else 0]
        target, tolerance = targets[row], epsilon[row]
        if abs(target) <= tolerance:
            used[row] = 0
            continue
        count, _, _ = pack(own, 0, few, packed, place)
        hit = _few(packed, count, target, tolerance, mask[row], place, sums, kept, partials)
        if hit >= 0:
            used[row] = place[hit] + 1
            continue
        rest = target
        begin = 0
        while begin < n:
            first = begin == 0
            count, _, begin = pack(own, begin, window, packed, place)
            while begin < n and own[begin] == 0.0:  # padding is no further window
                begin += 1
            bound = rounding_bound(packed[:count], rest)
            if np.isnan(bound):
                break
            if not first and bound == 0.0:  # rest itself is rounded by now
                bound = abs(target) * 2.0**-50
            if not _in_reach(packed, count, rest, tolerance, bound):
                rest = _take_all(mask[row], packed, place, count, rest)
                if first and begin == n:
                    lower[row] = abs(rest) - bound
                continue
            hit, nearest, rest = _search(
                own,
                target,
                tolerance,
                mask[row],
                packed,
                place,
                count,
                rest,
                bound,
                lists,
                partials,
            )
            if hit >= 0:
                used[row] = place[hit] + 1
                break
            if first and begin == n:
                lower[row] = (nearest - bound) / 2.0

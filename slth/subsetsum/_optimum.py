"""The kernel of meet-in-the-middle over many rows."""

from __future__ import annotations

import numpy as np
from numba import njit

from slth.subsetsum._exact import rounding_bound
from slth.subsetsum._lists import build, closest, keep, pack, shift, trace


@njit(cache=True, nogil=True)
def optimum_rows(values, targets, limit, capacity, mask, lower, start, stop):  # type: ignore[no-untyped-def]
    """Best masks of rows start to stop, and what no subset of theirs can beat.

    values `[1 or N, n]`; capacity: floats a list. All sums are doubled: see `_lists`.
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
            a, spare_a, na = build(packed, 0, count, a, spare_a)
            b, spare_b, nb = build(packed, 1, count, b, spare_b)
            built = at
        shift(a, na, 2.0 * targets[row] - total, spare_a)
        best, i, j = closest(spare_a, na, b, nb)
        keep(mask[row], place, 0, count, trace(packed, 0, count, a[i], spare_a))
        keep(mask[row], place, 1, count, trace(packed, 1, count, -b[j], spare_b))
        if count < limit or np.count_nonzero(values[at]) == count:
            lower[row] = (best - bound) / 2.0

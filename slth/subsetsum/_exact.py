"""Error-free sums (Shewchuk 1997, grow-expansion): what a mask's error really is.

A float sum is kept as non-overlapping floats of increasing magnitude that add up to it exactly, so
the last one carries its sign. No fused or reassociated arithmetic may touch these kernels.
"""

from __future__ import annotations

import numpy as np
from numba import njit

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
def residual_up(values, mask, target, partials):  # type: ignore[no-untyped-def]
    """The smallest float64 that is at least |sum(values[mask]) - target|; NaN after overflow.

    It is at most an epsilon exactly when the real residual is, because epsilon is a float64 too.
    """
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

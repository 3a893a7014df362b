"""Sums of kept products, gadget by gadget, with the exact size of what rounding lost."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def gadget_sums(indptr, u, v, outputs, positive, negative, positive_lost, negative_lost):  # type: ignore[no-untyped-def]
    """Add each kept product u·v to its gadget's slope for y ≥ 0 (u > 0) or y < 0 (u < 0).

    indptr: `[gadgets + 1]`, gadget g = block·outputs + output; u, v: the kept entries in that
    order, float32-representable, so u·v is exact. positive, negative: `[outputs, blocks]`, added
    to in place; *_lost: the same shape, the summed |rounding error| of those additions (TwoSum).
    """
    for g in range(indptr.size - 1):
        j, a = g % outputs, g // outputs
        for k in range(indptr[g], indptr[g + 1]):
            product = u[k] * v[k]
            if u[k] > 0:
                old = positive[j, a]
                new = old + product
                part = new - old
                positive_lost[j, a] += abs((old - (new - part)) + (product - part))
                positive[j, a] = new
            elif u[k] < 0:
                old = negative[j, a]
                new = old + product
                part = new - old
                negative_lost[j, a] += abs((old - (new - part)) + (product - part))
                negative[j, a] = new


def lost_bound(lost: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Round the sums of |rounding errors| outward: `terms` additions of non-negative floats."""
    return np.where(lost > 0, np.nextafter(lost * (1 + 2.0**-51 * terms), np.inf), 0.0)

"""One pass over memory where torch would make six: a step of the scores on the CPU."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def through_magnitude(gradient, weight, scores):  # type: ignore[no-untyped-def]
    """gradient · weight · sign(scores), in place of the gradient; all flat and of one type."""
    for i in range(gradient.size):
        straight = gradient[i] * weight[i]
        if scores[i] < 0:
            straight = -straight
        elif scores[i] == 0:
            straight = straight - straight
        gradient[i] = straight


@njit(cache=True, nogil=True)
def momentum(scores, velocity, gradient, rate, factor, decay, nesterov):  # type: ignore[no-untyped-def]
    """v ← factor·v + g and s ← s − rate·v, where g counts the decay; Nesterov's form: g + factor·v.

    The numbers are of the arrays' own type, or the arithmetic would be done in another.
    """
    for i in range(scores.size):
        g = gradient[i] + decay * scores[i]
        v = factor * velocity[i] + g
        velocity[i] = v
        if nesterov:
            v = g + factor * v
        scores[i] -= rate * v


@njit(cache=True, nogil=True)
def count_beyond(scores, low, high):  # type: ignore[no-untyped-def]
    """How many |scores| are at least `low`, at least `high`, and no numbers."""
    above_low, above_high, none = 0, 0, 0
    for i in range(scores.size):
        size = abs(scores[i])
        above_low += size >= low
        above_high += size >= high
        none += size != size
    return above_low, above_high, none


@njit(cache=True, nogil=True)
def gather_between(scores, low, high, out):  # type: ignore[no-untyped-def]
    """The |scores| in [low, high), as many as `out` holds; they are few and far between."""
    found = 0
    for start in range(0, scores.size, 64):
        block = scores[start : start + 64]
        hits = np.int32(0)
        for i in range(block.size):  # without a branch: several at a time
            size = abs(block[i])
            hits += np.int32(size >= low) - np.int32(size >= high)
        if hits:
            for i in range(block.size):
                size = abs(block[i])
                if low <= size < high:
                    out[found] = size
                    found += 1


@njit(cache=True, nogil=True)
def keep_from(scores, threshold, base, out):  # type: ignore[no-untyped-def]
    """out = base where |score| ≥ threshold, else 0; returns how many those are."""
    kept = 0
    for i in range(scores.size):
        keep = abs(scores[i]) >= threshold
        out[i] = base[i] if keep else base[i] - base[i]
        kept += keep
    return kept

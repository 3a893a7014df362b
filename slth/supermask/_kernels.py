"""One pass over memory where torch would make six: a step of the scores on the CPU."""

from __future__ import annotations

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

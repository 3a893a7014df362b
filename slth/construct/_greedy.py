"""Greedy sums of one value from each of k geometric intervals: the search of `orseau`."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slth.bounds.orseau import BASE
from slth.construct._gadgets import CHUNK, Half
from slth.kept import Kept

Floats = NDArray[np.float64]
FIRST_LOOK = 256  # neurons of a half and block that are drawn at first
SCALE = -1.0 / np.log(BASE)


def search(half: Half, row: int, edges: Floats) -> Kept:
    """The gadgets of one block, drawing no more neurons than they need.

    edges: of the intervals, `[k + 1]`, falling: interval c is (edges[c + 1], edges[c]].
    """
    weights, block = half.weights[row], half.first + row
    n, eta = half.source.n[half.layer], 0.0 if half.tolerance is None else half.tolerance
    shape = weights.size, edges.size - 1
    first, size = np.full(shape, n, dtype=np.int64), np.zeros(shape)
    kept = np.zeros(shape, dtype=np.bool_)
    start, stop = 0, min(n, FIRST_LOOK)
    while True:
        u = half.source.in_weights(half.layer, half.half, start, stop, block=block)
        v = half.source.out_weights(half.layer, half.half, start, stop, blocks=(block, block + 1))
        _note(u, v[0], 1 - 2 * half.half, np.sign(weights), edges, start, first, size)
        short = _greedy(np.abs(weights), eta, edges, first < n, size, kept)
        if stop == n or not short:
            break
        start, stop = stop, min(n, 2 * stop, stop + max(1, CHUNK // weights.size))
    indices = np.sort(np.where(kept, first, n), axis=1)
    return Kept.of_counts(kept.sum(axis=1), indices[indices < n])


@njit(cache=True, nogil=True)
def _note(u, v, half_sign, signs, edges, start, first, size):  # type: ignore[no-untyped-def]
    """Note the first neuron of every interval that is new, and its |uv|, for every output.

    u `[m]`, v `[outputs, m]`: neurons start … start + m − 1; first, size: `[outputs, k]`.
    """
    k = edges.size - 1
    for j in range(v.shape[0]):
        for q in range(u.size):
            if u[q] * half_sign <= 0.0:
                continue
            z = u[q] * v[j, q] * signs[j]
            if not edges[k] < z <= edges[0]:
                continue
            c = min(k - 1, max(0, int(SCALE * np.log(z / edges[0]))))
            while z <= edges[c + 1]:
                c += 1
            while z > edges[c]:
                c -= 1
            if size[j, c] == 0.0:
                first[j, c], size[j, c] = start + q, z


@njit(cache=True, nogil=True)
def _greedy(weights, eta, edges, known, size, kept):  # type: ignore[no-untyped-def]
    """Keep by the greedy rule until at most eta is missing; whether a neuron was lacking.

    An interval above all that is missing is not asked for: its neuron would not be kept.
    """
    short = False
    for j in range(weights.size):
        missing = weights[j]
        for c in range(edges.size - 1):
            kept[j, c] = False
            if missing <= eta or missing <= edges[c + 1]:
                continue
            if not known[j, c]:
                short = True
            elif size[j, c] <= missing:
                kept[j, c] = True
                missing -= size[j, c]
    return short

"""Partially frozen sources: some out-weights are kept as soon as their neuron is.

Every neuron of the right sign is kept, as in the proofs, where only out-weights are chosen. The
locked ones among its out-weights then count whatever is chosen, for every output: their products
are taken off the weight that a gadget is to reach, and the subset is sought among the free ones
(after Otsuka et al. 2024).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from slth.kept import Kept

if TYPE_CHECKING:
    from slth.construct._gadgets import Half

ROUNDING = 1e-13  # of a weight less its locked products: taken off the tolerance


def around_locks(half: Half, find: Callable[[Half], Kept]) -> Kept:
    """What `find` keeps of the free out-weights, and every locked one of neurons of this sign."""
    source, n = half.source, half.source.n[half.layer]
    found: list[Kept] = []
    from slth.construct.pensia import answering

    for start, stop in half.chunks(n):
        u = half.in_weights(n, start, stop)
        alive = answering(u, half) != 0
        blocks = (half.first + start, half.first + stop)
        locked = source.part(locked=True).out_weights(half.layer, half.half, blocks=blocks)
        locked *= alive[:, None, :]
        wanted = half.weights[start:stop] - (locked * u[:, None, :]).sum(axis=2)
        eta = None if half.tolerance is None else max(half.tolerance - ROUNDING, half.tolerance / 2)
        free = replace(
            half, source=source.part(locked=False), weights=wanted, tolerance=eta,
            first=half.first + start,
        )  # fmt: skip
        found.append(_joined(find(free), Kept.of_mask((locked != 0).reshape(-1, n)), n))
    return Kept.joined(found)


def _joined(one: Kept, other: Kept, n: int) -> Kept:
    """The neurons of both, gadget by gadget."""
    keys = np.concatenate([k.gadgets * n + k.indices for k in (one, other)])
    keys = np.unique(keys)
    counts = np.bincount(keys // n, minlength=one.indptr.size - 1)
    return Kept.of_counts(counts, keys % n)

"""Which input each hidden neuron serves, and in which half: as many good neurons for every one.

A neuron is good for *slot* 2a + s, input a in half s, if its in-weight from a is at least `least`
(s = 0) or at most −least (s = 1); a neuron serves one slot. Neurons go, one after another, to the
slot that lacks most of those that they are good for (ties: the lowest slot), and where slots are
left short, along alternating paths (Berge 1957): neurons change their slots so that one more finds
one, until no path is left. So as many neurons as possible are assigned, and every slot gets its
number whenever Hall's (1935) condition holds.

Only which neurons are good for which slots is looked at, never by how much: given that, the
in-weights of the assigned neurons are as independent and uniform as before, which the theorem in
`slth.bounds.assigned` needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slth.errors import BadInput

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Good:
    """Which slots every neuron is good for: `slots[indptr[k] : indptr[k + 1]]`, ascending, of
    2·inputs slots."""

    inputs: int
    indptr: Indices
    slots: NDArray[np.int32]

    @property
    def neurons(self) -> int:
        return self.indptr.size - 1


@dataclass(frozen=True, eq=False)
class Assignment:
    """The slot of every neuron, `[neurons]`, −1 for those that serve none; and how many neurons
    each slot lacks, `[2·inputs]`."""

    slot: Indices
    missing: Indices

    @property
    def complete(self) -> bool:
        return not self.missing.any()


def good_slots(inputs: int, rows: Iterable[Floats], least: float) -> Good:
    """From in-weights `[some neurons, inputs]` at a time, which need not fit in memory together.

    Raises BadInput for rows of another width, or unless least > 0.
    """
    if not 0 < least < np.inf:
        raise BadInput("least", least, "a finite number > 0", "choose the least in-weight")
    counts, slots = [np.zeros(1, dtype=np.int64)], [np.empty(0, dtype=np.int32)]
    for part in rows:
        if part.ndim != 2 or part.shape[1] != inputs:
            raise BadInput("rows", f"shape {part.shape}", f"[neurons, {inputs}]", "transpose them")
        good = np.abs(part) >= least
        counts.append(np.count_nonzero(good, axis=1))
        found = np.flatnonzero(good)
        negative = part.ravel()[found] < 0
        slots.append((2 * (found % inputs) + negative).astype(np.int32))
    return Good(inputs, np.cumsum(np.concatenate(counts)), np.concatenate(slots))


def assign(good: Good, each: int | Indices) -> Assignment:
    """As many neurons as possible to slots, at most `each` to a slot: one count, or `[2·inputs]`.

    Raises BadInput for counts out of range or not one a slot.
    """
    counts = np.asarray(each, dtype=np.int64)
    if counts.shape not in ((), (2 * good.inputs,)):
        allowed = f"one count, or {2 * good.inputs}"
        raise BadInput("each", f"shape {counts.shape}", allowed, "pass one a slot")
    if counts.size and not 0 <= counts.min() <= counts.max() < 1 << 31:
        raise BadInput("each", each, "0 … 2^31 − 1 neurons a slot", "pass counts")
    slot = np.full(good.neurons, -1, dtype=np.int64)
    missing = np.array(np.broadcast_to(counts, 2 * good.inputs))
    _greedy(good.indptr, good.slots, slot, missing)
    _augment(good.indptr, good.slots, slot, missing)
    return Assignment(slot, missing)


@njit(cache=True, nogil=True)
def _greedy(indptr, slots, slot, missing):  # type: ignore[no-untyped-def]
    """Every neuron, in order, to the slot that lacks most."""
    for k in range(slot.size):
        best, most = -1, 0
        for i in range(indptr[k], indptr[k + 1]):
            if missing[slots[i]] > most:
                best, most = slots[i], missing[slots[i]]
        if best >= 0:
            slot[k] = best
            missing[best] -= 1


@njit(cache=True, nogil=True)
def _augment(indptr, slots, slot, missing):  # type: ignore[no-untyped-def]
    """Alternating paths from idle neurons to slots that lack some, a shortest one at a time."""
    count = missing.size
    first = np.full(count, -1, dtype=np.int64)  # of a slot's neurons, linked in both directions
    after, before = np.full(slot.size, -1, dtype=np.int64), np.full(slot.size, -1, dtype=np.int64)
    for k in range(slot.size - 1, -1, -1):
        if slot[k] >= 0:
            _link(first, after, before, slot[k], k)
    reached_by = np.empty(count, dtype=np.int64)
    queue = np.empty(count, dtype=np.int64)
    while True:
        s = _search(indptr, slots, slot, missing, first, after, reached_by, queue)
        if s < 0:
            return
        missing[s] -= 1
        while s >= 0:
            k = reached_by[s]
            left = slot[k]
            if left >= 0:
                _unlink(first, after, before, left, k)
            slot[k] = s
            _link(first, after, before, s, k)
            s = left


@njit(cache=True, nogil=True)
def _search(indptr, slots, slot, missing, first, after, reached_by, queue):  # type: ignore[no-untyped-def]
    """The slot, short of neurons, at the end of a shortest path; −1 if there is no path.

    Breadth first: a slot is reached once, by the first neuron that is good for it, and the neurons
    that serve it are looked at next.
    """
    reached_by[:] = -1
    head, tail = 0, 0
    idle = 0
    while idle < slot.size or head < tail:
        if idle < slot.size:
            k = idle
            idle += 1
            if slot[k] >= 0:
                continue
        else:
            k = first[queue[head]]
            head += 1
        while k >= 0:
            following = after[k] if slot[k] >= 0 else -1
            for i in range(indptr[k], indptr[k + 1]):
                s = slots[i]
                if reached_by[s] < 0:
                    reached_by[s] = k
                    if missing[s] > 0:
                        return s
                    queue[tail] = s
                    tail += 1
            k = following
    return -1


@njit(cache=True, nogil=True)
def _link(first, after, before, s, k):  # type: ignore[no-untyped-def]
    """Neuron k as the first one of slot s."""
    after[k], before[k] = first[s], -1
    if first[s] >= 0:
        before[first[s]] = k
    first[s] = k


@njit(cache=True, nogil=True)
def _unlink(first, after, before, s, k):  # type: ignore[no-untyped-def]
    """Neuron k out of slot s."""
    if before[k] >= 0:
        after[before[k]] = after[k]
    else:
        first[s] = after[k]
    if after[k] >= 0:
        before[after[k]] = before[k]

"""Exchanges of neurons between slots, where a weight of the target would else be hard to meet.

With m values a gadget, most come within about 2^−m of their weight; but where nearly all of an
output's out-weights have one sign, few subsets lie near it. How many do per unit of length is known
without any search, by a saddle point: values x_1 … x_m have near w about e^L subset sums a unit,

    L = Σ ln(1 + e^{θ x_k}) − θ w − ½ ln(2π Σ x_k² p_k (1 − p_k)),   p_k = 1/(1 + e^{−θ x_k}),

with θ such that Σ x_k p_k = w (for θ = 0 the normal law of all 2^m sums); the error is then about
exponential of mean e^−L/2. So the hardest gadgets are found before they are sought, and exchange a
neuron of their slot for one of another slot, or an idle one, each still of a good in-weight where
it goes, if the least L of the two slots grows by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from slth.assigned_source import AssignedSource

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
BEHIND = 2.0  # of L below its median, from which on a gadget counts as hard
PLENTY = 4.0  # the logarithm of how many subsets within a tolerance are more than enough
TRIED = 24  # exchanges that are looked at for one gadget
NOWHERE = -1e3  # L of a weight that lies beyond all subset sums, and less the farther


def exchanges(
    source: AssignedSource, layer: int, weights: Floats, tolerance: float | None, both: bool
) -> tuple[tuple[int, int], ...]:
    """Pairs of positions whose neurons are to change slots, one after another, for this layer pair.

    weights: `[outputs, blocks]`, what the gadgets are to approximate; tolerance: η, or None where
    the best is wanted; both: whether half 1 counts.
    """
    state = _State.of(source, layer, weights, both)
    counted = state.dense[np.isfinite(state.dense)]
    if not counted.size:
        return ()
    goal = float(np.median(counted)) - BEHIND
    if tolerance is not None:
        goal = min(goal, PLENTY - math.log(2 * tolerance))
    state.leave_out(max(tolerance or 0.0, math.exp(-goal) / 2))
    found = []
    left = state.dense.copy()  # infinite where nothing helps
    while float(left.min()) < goal:
        s, j = divmod(int(left.argmin()), left.shape[1])
        pair = _best(state, s, j, goal)
        if pair is None:
            left[s, j] = np.inf
            continue
        for changed in state.exchange(*pair):
            left[changed] = state.dense[changed]
        found.append(pair)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _State:
    """Slots as they are by now, and all weights of the layer pair, which must fit in memory.

    u: in-weights `[hidden, blocks]`, v: out-weights `[hidden, outputs]`; slot: `[hidden]`, −1 for
    idle neurons; members: the positions of each slot's; wanted: `[slots, outputs]`, in half 1 of
    the other sign, so that in-weights count by their size, and NaN where a weight is so small that
    nothing will do; dense: L, `[slots, outputs]`, infinite there and in slots that do not count.
    """

    u: NDArray[np.float32]
    v: NDArray[np.float32]
    least: float
    slot: Indices
    members: list[Indices]
    wanted: Floats
    dense: Floats

    @staticmethod
    def of(source: AssignedSource, layer: int, weights: Floats, both: bool) -> _State:
        slots = 2 * source.blocks(layer)
        rows = source.places[layer].swapaxes(0, 1).reshape(slots, -1)
        members = [row[row >= 0] for row in rows]
        slot = np.full(source.hidden(layer), -1)
        for s, row in enumerate(members):
            slot[row] = s
        wanted = np.repeat(weights.T, 2, axis=0)
        wanted[1::2] *= -1
        dense = np.full(wanted.shape, np.inf)
        u, v = source.all_weights(layer)
        state = _State(u, v, source.least[layer], slot, members, wanted, dense)
        for s in range(0, slots, 1 if both else 2):
            if members[s].size:
                state.count(s)
        return state

    def count(self, s: int) -> None:
        densities(self.u, self.v, self.members[s], s, self.wanted[s], self.dense[s])

    def leave_out(self, size: float) -> None:
        """Weights of at most this size: an empty gadget misses them by no more."""
        small = np.abs(self.wanted) <= size
        self.wanted[small], self.dense[small] = np.nan, np.inf

    def into(self, place: Any, s: Any) -> Any:
        """In-weights of neurons from the inputs of slots, positive where the sign is right."""
        u = self.u[place, s // 2]
        return np.where(s % 2 == 0, u, -u)

    def counts(self, s: int) -> bool:
        return s >= 0 and bool(np.isfinite(self.dense[s]).any())

    def swapped(self, s: int, old: int, new: int) -> Indices:
        row = self.members[s]
        return np.where(row == old, new, row)

    def exchange(self, p: int, q: int) -> list[int]:
        """Let two neurons change their slots; which slots count anew."""
        a, b = int(self.slot[p]), int(self.slot[q])
        self.slot[p], self.slot[q] = b, a
        for s, old, new in ((a, p, q), (b, q, p)):
            if s >= 0:
                self.members[s] = self.swapped(s, old, new)
        changed = [s for s in (a, b) if self.counts(s)]
        for s in changed:
            self.count(s)
        return changed


def _best(state: _State, s: int, j: int, goal: float) -> tuple[int, int] | None:
    """The exchange for gadget j of slot s after which the least L of both slots is greatest, if it
    is greater than now; one that comes up to the goal will do."""
    mine = state.members[s]
    u = state.into(slice(None), s)
    fits = np.flatnonzero((u >= state.least) & (state.slot != s))
    theirs = state.slot[fits]
    good = state.into(mine[:, None], np.maximum(theirs, 0)) >= state.least
    at, which = np.nonzero(good | (theirs < 0))
    x = u[mine].astype(np.float64) * state.v[mine, j]
    values = u[fits].astype(np.float64) * state.v[fits, j]
    hoped = np.empty(at.size)
    replaced(x, at, values[which], state.wanted[s, j], hoped)
    found, most = None, -math.inf
    for k in np.argsort(-hoped, kind="stable")[:TRIED]:
        p, q = int(mine[at[k]]), int(fits[which[k]])
        other = int(state.slot[q])
        both = [(s, p, q)] + [(other, q, p)] * state.counts(other)
        floor = max(most, min(float(state.dense[t].min()) for t, _, _ in both))
        if hoped[k] <= floor:
            continue
        reached = math.inf
        for t, old, new in both:
            row, first = state.swapped(t, old, new), np.argsort(state.dense[t], kind="stable")
            worst = fewest(state.u, state.v, row, t, state.wanted[t], first, floor)
            reached = min(reached, worst)
            if reached <= floor:
                break
        else:
            found, most = (p, q), reached
        if most >= goal:
            break
    return found


@njit(cache=True, nogil=True)
def density(x, w):  # type: ignore[no-untyped-def]
    """L of the values x at w; infinite for NaN."""
    if math.isnan(w):
        return np.inf
    low, high, square = 0.0, 0.0, 0.0
    for value in x:
        low += min(value, 0.0)
        high += max(value, 0.0)
        square += value * value
    if w <= low or w >= high:
        return NOWHERE * (1 + max(low - w, w - high))
    theta, left, right = 0.0, -1e9, 1e9
    spread = 0.0
    for _ in range(60):
        gap, spread = -w, 0.0
        for value in x:
            p = 1 / (1 + math.exp(-theta * value))
            gap += value * p
            spread += value * value * p * (1 - p)
        if gap > 0:
            right = theta
        else:
            left = theta
        if abs(gap) <= 1e-3 * math.sqrt(spread):
            break
        longest = 20 * (1 / math.sqrt(square) + abs(theta))
        step = -gap / spread if spread > 0 else -math.copysign(longest, gap)
        theta += max(-longest, min(longest, step))
        if not left < theta < right:
            theta = (left + right) / 2
    total = -theta * w
    for value in x:
        z = theta * value
        total += max(z, 0.0) + math.log1p(math.exp(-abs(z)))
    return total - 0.5 * math.log(2 * math.pi * max(spread, 1e-300))


@njit(cache=True, nogil=True)
def values(u, v, row, slot, j, x):  # type: ignore[no-untyped-def]
    """The products of output j that neurons `row` have in a slot, to x."""
    for k in range(row.size):
        x[k] = np.float64(u[row[k], slot // 2]) * np.float64(v[row[k], j])
        if slot % 2:
            x[k] = -x[k]


@njit(cache=True, nogil=True)
def densities(u, v, row, slot, wanted, out):  # type: ignore[no-untyped-def]
    """L of every output of a slot."""
    x = np.empty(row.size)
    for j in range(wanted.size):
        values(u, v, row, slot, j, x)
        out[j] = density(x, wanted[j])


@njit(cache=True, nogil=True)
def fewest(u, v, row, slot, wanted, order, floor):  # type: ignore[no-untyped-def]
    """The least of `densities`, outputs in that order; or, once one is at most `floor`, that."""
    x = np.empty(row.size)
    least = np.inf
    for j in order:
        values(u, v, row, slot, j, x)
        least = min(least, density(x, wanted[j]))
        if least <= floor:
            break
    return least


@njit(cache=True, nogil=True)
def replaced(x, at, value, wanted, out):  # type: ignore[no-untyped-def]
    """L of the values x with x[at[i]] replaced by value[i]."""
    for i in range(at.size):
        kept = x[at[i]]
        x[at[i]] = value[i]
        out[i] = density(x, wanted)
        x[at[i]] = kept

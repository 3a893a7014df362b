"""The gadget of Malach et al. (2020): a weight is one neuron a half, found by luck among many.

One weight w on input y. Half 0 keeps one neuron with in-weight u ≈ |w| and out-weight v ≈ sign(w),
each within η/2, which is σ(uy)v ≈ wy for y ≥ 0; half 1 one with u ≈ −|w| and v ≈ −sign(w). So
|uv − w| ≤ η, and a source of K = ⌈16/η² ln(1/δ')⌉ neurons a half holds it with probability 1 − δ'.
Width polynomial in 1/ε (their Theorem 2.1; the explicit constants are derived in slth.bounds).

`match="product"` asks for the product alone, |uv − w| ≤ η: not what the proof does, and cheaper
(of order 1/η neurons for |w| away from 1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from slth.bounds import TargetClass
from slth.bounds import malach as bound
from slth.bounds.pensia import link_events
from slth.construct._gadgets import CHUNK, SCAN, GadgetConstruction, Half
from slth.errors import BadInput
from slth.kept import Kept
from slth.source import Role

Floats = NDArray[np.float64]
FIRST_REACH = 4  # of the window, in square roots of the pool: the best pair is about so far away
Indices = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Malach(GadgetConstruction):
    """One neuron a weight and half. match: "both" in- and out-weight right, as the proof asks, or
    their "product" alone."""

    match: Literal["both", "product"] = field(
        default="both",
        metadata={
            "choices": ("both", "product"),
            "help": "get in- and out-weight right, as the proof does, or their product alone",
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.match not in ("both", "product"):
            raise BadInput("match", self.match, "both, product", "choose one of these")

    def find(self, half: Half) -> Kept:
        n = half.source.n[half.layer]
        if half.tolerance is None and n > SCAN:
            raise BadInput(
                "n", n, f"at most {SCAN} neurons a half for a scan", "narrow n or loosen epsilon"
            )
        blocks = enumerate(half.weights, start=half.first)
        best = np.concatenate([self._block(half, block, weights) for block, weights in blocks])
        return Kept.of_counts(best >= 0, best[best >= 0])

    def _block(self, half: Half, block: int, weights: Floats) -> Indices:
        """The best neuron for each output of a block, or −1, looking no further than the
        tolerance."""
        n = half.source.n[half.layer]
        width = n if half.tolerance is None else min(n, 1024)
        best = np.full(weights.size, -1)
        open_rows = np.flatnonzero(weights != 0.0)  # a zero weight is approximated by nothing
        while open_rows.size:
            u = half.source.in_weights(half.layer, half.half, 0, width, block=block)
            search = _nearest_pair if self.match == "both" else _nearest_product
            best[open_rows], miss = search(half, block, u, weights[open_rows], open_rows)
            width, last = min(n, SCAN, 4 * width), width
            if half.tolerance is None or width == last:
                break
            right = half.tolerance / 2 if self.match == "both" else half.tolerance
            open_rows = open_rows[miss > right]
        return best

    def theorem(self, facts: TargetClass) -> tuple[str, list[str]]:
        return "malach", bound.Malach().hypotheses(facts)

    def theorem_n(self, facts: TargetClass, etas: tuple[float, ...], delta: float) -> list[float]:
        each = delta / link_events(facts)
        if self.match == "both":
            return [bound.pool_size(eta, each) for eta in etas]
        largest = [min(entry, 1.0) for entry in facts.max_entries]
        return [bound.pool_size_product(eta, each, m) for eta, m in zip(etas, largest, strict=True)]


def _nearest_pair(
    half: Half, block: int, u: Floats, weights: Floats, outputs: Indices
) -> tuple[Indices, Floats]:
    """For each weight the neuron with the least max(|u − |w||, |v − sign w|), and that deviation.

    Only neurons whose in-weight is nearer than the best pair so far can win, so out-weights are
    drawn in a window around |w| that doubles until its edge is farther away than the best found.
    """
    sign = 1.0 if half.half == 0 else -1.0
    size = np.where(sign * u > 0, sign * u, np.inf)
    order = np.argsort(size, kind="stable")
    ranked = size[order]
    right = int(np.isfinite(ranked).sum())
    best, least = np.full(weights.size, -1), np.full(weights.size, np.inf)
    rows = np.arange(weights.size) if right else np.empty(0, dtype=np.int64)
    reach = max(8, int(FIRST_REACH * np.sqrt(right)))
    while rows.size:
        w = weights[rows]
        centre = np.searchsorted(ranked[:right], np.abs(w))
        low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach, right)
        window = low[:, None] + np.arange(min(2 * reach, right))
        inside = window < high[:, None]
        index = order[np.minimum(window, right - 1)]
        v = half.source.entries(
            half.layer, Role.OUT, half.half, block, outputs[rows, None], index
        ).reshape(index.shape)
        miss = np.maximum(
            np.abs(size[index] - np.abs(w)[:, None]), np.abs(v - sign * np.sign(w)[:, None])
        )
        miss = np.where(inside, miss, np.inf)
        at = miss.argmin(axis=1)
        one = np.arange(rows.size)
        best[rows] = index[one, at]
        least[rows] = miss[one, at]
        edge = np.minimum(
            np.where(low > 0, np.abs(ranked[low - 1] - np.abs(w)), np.inf),
            np.where(high < right, np.abs(ranked[np.minimum(high, right - 1)] - np.abs(w)), np.inf),
        )
        rows = rows[edge < miss[one, at]]
        reach *= 2
    return best, least


def _nearest_product(
    half: Half, block: int, u: Floats, weights: Floats, outputs: Indices
) -> tuple[Indices, Floats]:
    """For each weight the neuron of this half with the least |uv − w|, and that distance."""
    from slth.subsetsum import Problem
    from slth.subsetsum.best_single import BestSingle

    sign = 1.0 if half.half == 0 else -1.0
    u = np.where(sign * u > 0, u, 0.0)
    best, error = np.full(weights.size, -1), np.abs(weights)
    step = max(1, CHUNK // u.size)
    for first in range(0, weights.size, step):
        part = slice(first, first + step)
        rows = outputs[part]
        span = (int(rows[0]), int(rows[-1]) + 1)
        v = half.source.out_weights(
            half.layer, half.half, 0, u.size, blocks=(block, block + 1), outputs=span
        )[0]
        v = v if rows.size == len(v) else v[rows - rows[0]]
        solution = BestSingle()(Problem(v * u, weights[part], half.tolerance))
        found = solution.mask.any(axis=1)
        best[part] = np.where(found, solution.mask.argmax(axis=1), -1)
        error[part] = solution.error
    return best, error

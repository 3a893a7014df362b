"""Tickets of one density: subsets of exactly k products for every weight (Natale et al. 2024).

The diamond of Pensia et al. with subsets of one size. Where m of the n neurons of a half and block
answer to its sign of the input (about n/2), every output keeps exactly k = max(1, round(γ m)) of
them, whatever its weight, so an even source layer keeps a fraction γ of its usable weights. What
can be met is limited by the number of subsets C(m, k) instead of 2^m. At k = 1 that is Malach's
gadget with the product matched (m of order 1/η), at k = m/2 Pensia's (m of order log(1/η)); between
them the paper's theorems 2 and 3 trade density for width: m H2(γ) of order log2(k/η), or its
square. (The paper counts γ and n before the neurons of the wrong sign are set aside.)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from slth.bounds import TargetClass
from slth.bounds import fixed_size as bound
from slth.construct._by_size import nearest_of_size
from slth.construct._gadgets import GadgetConstruction, Half
from slth.construct.pensia import products, usable
from slth.errors import BadInput
from slth.kept import Kept

WIDEST = 1 << 16  # neurons a half, all of which are looked at
CHEAPEST, DEAREST = 1 << 5, 1 << 16  # sums of half a window
RATE = (
    "The theorem's width is a rate up to a constant that is not known: at a given n it promises "
    "nothing."
)


@final
@dataclass(frozen=True)
class FixedSize(GadgetConstruction):
    """Exactly k of the usable neurons for every weight and half.

    density: γ, of the usable neurons of a block and half.
    budget: sums of half a window (see `_by_size`) where the best is wanted; where a tolerance is
    given, windows grow until it is met, up to 65536 sums. Of more neurons than a window takes in,
    and of more than 64 kept, what is found is the best of the window only.
    """

    density: float = field(
        default=0.25, metadata={"help": "kept share of a gadget's usable values"}
    )
    budget: int = field(default=1 << 11, metadata={"help": "sums of half a window for the optimum"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.density <= 0.5:
            raise BadInput("density", self.density, "0 < density ≤ 0.5", "choose the share kept")
        if not CHEAPEST <= self.budget <= DEAREST:
            allowed = f"{CHEAPEST} … {DEAREST} sums"
            raise BadInput("budget", self.budget, allowed, "lower or raise it")
        if self.delta is not None:
            remedy = "give n and drop delta: the theorem's width is a rate without a constant"
            raise BadInput("delta", self.delta, "none for this construction", remedy)

    def size(self, usable: int) -> int:
        """k, of so many usable neurons."""
        return min(usable, max(1, int(self.density * usable + 0.5)))

    def find(self, half: Half) -> Kept:
        n = half.source.n[half.layer]
        if n > WIDEST:
            allowed = f"at most {WIDEST} neurons a half, all of which are looked at"
            raise BadInput("n", n, allowed, "narrow n or loosen epsilon")
        rows = range(len(half.weights))
        return Kept.joined([Kept.of_mask(self._block(half, n, row)) for row in rows])

    def _block(self, half: Half, n: int, row: int) -> NDArray[np.bool_]:
        """Masks `[outputs, n]` of one block."""
        right = np.flatnonzero(usable(half.in_weights(n, row, row + 1)[0], half.half))
        weights = half.weights[row]
        mask = np.zeros((weights.size, n), dtype=np.bool_)
        if not right.size:
            return mask
        values = np.ascontiguousarray(products(half, n, row, row + 1)[:, right])
        # no float sum of so few terms is off by as much, so what is found is within the tolerance
        slack = 2.0**-50 * n * float(np.abs(values).max())
        enough = -1.0 if half.tolerance is None else half.tolerance - slack
        budget = self.budget if half.tolerance is None else CHEAPEST
        found = np.zeros(values.shape, dtype=np.bool_)
        todo, k = np.arange(weights.size), self.size(right.size)
        while True:
            part, distance = nearest_of_size(values[todo], weights[todo], k, budget, enough)
            found[todo] = part
            todo = todo[distance > enough]
            if half.tolerance is None or not todo.size or budget >= DEAREST:
                break
            budget *= 8
        mask[:, right] = found
        return mask

    def theorem(self, facts: TargetClass) -> tuple[str, list[str]]:
        return "fixed_size", [*bound.FixedSize().hypotheses(facts), RATE]

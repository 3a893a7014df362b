"""Tickets of sources with few values: a target on their grid is met exactly.

Where every in-weight of the source is a multiple of one power of two and every out-weight of
another, all products uv are whole multiples of `step`, the product of the two, and so is every
subset sum. A target weight that is one, too, is met *exactly* as soon as any subset of the usable
products adds up to it: not nearly, and from so many products on nearly always (the phase transition
of integer subset sums, see `slth.bounds.quantised`). Gadgets are Pensia's (2020): a block an input,
two halves, a subset of products a weight. The subset is sought among few usable products first, and
among more where there is none; each search is exhaustive.

A target off the grid is rounded by nobody. Its weights are approximated as well as any subset does;
what is left is at least their distance from the grid, which the claim names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from slth.bounds import facts
from slth.bounds import quantised as bound
from slth.construct._gadgets import SCAN, GadgetConstruction, Half
from slth.construct.pensia import DEEPEST, FEW_HUNDRED, products
from slth.domain import Domain
from slth.errors import BadInput
from slth.kept import Kept
from slth.laws import Grid, Law, Rademacher, Uniform
from slth.network import Network
from slth.source import Source
from slth.target import Target
from slth.ticket import Ticket

Floats = NDArray[np.float64]
MORE = 4  # usable products that a gadget without a subset is given in addition


@final
@dataclass(frozen=True)
class Quantised(GadgetConstruction):
    """The exact subset, or the best one, of up to 38 usable products a weight and half.

    step: of the grid that the products are to lie on, for sources made here; signs: their
    in-weights are ±1, out-weights uniform on the multiples of step that reach twice as far as the
    class's largest entry, as the explicit theorem has it. Without signs in- and out-weights are
    uniform on the multiples of √step in [−1, 1].
    """

    step: float = field(default=2.0**-6, metadata={"help": "of the grid that products lie on"})
    signs: bool = field(default=True, metadata={"help": "in-weights ±1, else on the grid of √step"})

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epsilon", "tolerance"):
            if getattr(self, name) is not None:
                allowed = "none: weights on the grid are met exactly"
                raise BadInput(name, getattr(self, name), allowed, "leave it out, or choose step")
        mantissa, exponent = math.frexp(self.step)
        even = self.signs or exponent % 2 == 1  # √step a power of two as well
        if mantissa != 0.5 or not 2.0**-40 <= self.step <= 1 or not even:
            allowed = f"2^-k with k from 0 to 40{'' if self.signs else ', even without signs'}"
            raise BadInput("step", self.step, allowed, "pass for example 0.015625")

    # -- the source --------------------------------------------------------------------------------

    def source_for(
        self,
        target: Target | Network,
        seed: int,
        n: int | tuple[int, ...] | None = None,
        **laws: Any,
    ) -> Source:
        """As in the base, by laws of few values; with signs, n may be left to the theorem at delta.

        Laws of your own are used as they are, if their weights are multiples of a power of two;
        U[−1, 1], every source's default, counts as none.
        """
        given = {name: law for name, law in laws.items() if law not in (None, Uniform())}
        if n is None:
            if self.delta is None or not self.signs or given:
                allowed = "a number, or delta with signs and no law of your own"
                raise BadInput("n", "none", allowed, "give n")
            n = self._asked(target)
        made = super().source_for(target, seed, n, **(given or self._laws(target)))
        _step_of(made)
        return made

    def _laws(self, target: Target | Network) -> dict[str, Law]:
        if self.signs:
            return {"law": Rademacher(), "out_law": Grid(self.step, self._most(target))}
        root = math.sqrt(self.step)
        return {"law": Grid(root, round(1 / root))}

    def _most(self, target: Target | Network) -> int:
        """2T: twice as many multiples of the step as the largest entry of the class holds."""
        largest = max(facts(target, self.region(target)).max_entries)
        most = max(1, 2 * bound.multiples(largest, self.step))
        if most > 1 << 24:
            got = f"{most} multiples of {self.step:g} up to twice {largest:g}"
            raise BadInput("step", got, "at most 2^24", "choose a larger step")
        return most

    def _asked(self, target: Target | Network) -> tuple[int, ...]:
        """The explicit theorem's neurons a half, a layer each."""
        assert self.delta is not None
        constants = facts(target, self.region(target))
        asked = bound.grid_sizes(constants, self.step, self.delta, self._most(target))
        if max(asked) > SCAN:
            raise BadInput("n", max(asked), f"at most {SCAN}", "choose a larger step or delta")
        return asked

    # -- the ticket --------------------------------------------------------------------------------

    def tolerances(self, target: Target | Network, domain: Domain) -> tuple[float, ...] | None:
        """None: what is sought depends on the source's grid alone, see `_claim`."""
        return None

    def find(self, half: Half) -> Kept:
        width = min(half.source.n[half.layer], FEW_HUNDRED)
        step = _step_of(half.source)
        found = []
        for start, stop in half.chunks(width):
            values = products(half, width, start, stop)
            weights = half.weights[start:stop].ravel()
            found.append(Kept.of_mask(subsets(values, weights, step, half.threads)))
        return Kept.joined(found)

    def _claim(
        self,
        target: Target | Network,
        source: Source,
        kept: Sequence[tuple[Kept, Kept]],
        domain: Domain,
        etas: tuple[float, ...] | None,
    ) -> Ticket:
        """The base's claim; on the grid, with half a step for tolerance: what misses is unmet."""
        step = _step_of(source)
        away = [_distance(target.augmented(i), step) for i in range(target.depth)]
        if not any(away):
            etas = (step / 2,) * target.depth
        ticket = super()._claim(target, source, kept, domain, etas)
        failed = [
            f"Layer {i} has a weight {distance:.3g} away from the multiples of {step:g}."
            for i, distance in enumerate(away, start=1)
            if distance
        ]
        return replace(ticket, claim=replace(ticket.claim, failed=(*ticket.claim.failed, *failed)))


def _step_of(source: Source) -> float:
    """The power of two that every product is a multiple of."""
    into, out = source.law.step, (source.out_law or source.law).step
    if into is None or out is None:
        law = source.law if into is None else source.out_law
        allowed = "laws of few values: Grid, Rademacher, a signed power of two"
        raise BadInput("law", law, allowed, "leave the law out, or pass Grid(step, most)")
    return into * out


def _distance(weights: Floats, step: float) -> float:
    """How far the farthest of the weights is from the multiples of step."""
    whole = weights / step  # exact: step is a power of two
    return float(np.abs(whole - np.rint(whole)).max()) * step


def subsets(values: Floats, targets: Floats, step: float, threads: int | None) -> NDArray[np.bool_]:
    """Masks of the subsets `[rows, values]` whose sums come nearest to the targets `[rows]`.

    Of each row's usable values as many are looked at as hit a given multiple about once, then MORE
    at a time while rows miss the multiple next to their target.
    """
    from slth.subsetsum import Problem
    from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle

    masks = np.zeros(values.shape, dtype=bool)
    best = np.full(targets.size, np.inf)
    goal = np.abs(targets / step - np.rint(targets / step)) * step
    size = float(np.abs(values).max(initial=step)) / step
    limit = min(DEEPEST, math.ceil(math.log2(2 * size + 1)) + MORE)
    usable = np.count_nonzero(values, axis=1)
    rows = np.arange(targets.size)
    while rows.size:
        found = MeetInTheMiddle(limit, threads)(Problem(values[rows], targets[rows]))
        better = found.error < best[rows]
        masks[rows[better]] = found.mask[better]
        best[rows] = np.minimum(best[rows], found.error)
        rows = rows[(best[rows] > goal[rows]) & (usable[rows] > limit)]
        if limit == DEEPEST:
            break
        limit = min(DEEPEST, limit + MORE)
    return masks

"""Assigned blocks: the diamond of Pensia et al. (2020), its neurons free to choose their input.

In theirs a hidden neuron serves the input of its block, whatever its in-weight is: half of the
neurons have the wrong sign, some slots (input, half) have hardly any of the right one, and the
unluckiest rules the network's error. But the mask is chosen after the draw: here the same random
network is seen as an `AssignedSource`, whose neurons serve the slot that an in-weight of theirs is
good for, as many every slot, and gadgets are found there as before. The assignment looks at the
in-weights alone. How many serve a slot and the least size of their in-weights follow from widths
and class constants: by `slth.bounds.assigned`, from (epsilon, delta) or from a given n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

import numpy as np

from slth.assigned_source import AssignedSource
from slth.bounds import TargetClass, facts
from slth.bounds import assigned as bound
from slth.bounds._matching import match_failure
from slth.construct._exchange import exchanges
from slth.construct._gadgets import GadgetConstruction, Half
from slth.construct.pensia import Pensia
from slth.errors import BadInput
from slth.kept import Kept
from slth.laws import Law, Uniform
from slth.network import Network
from slth.source import Source
from slth.subsetsum import Solver
from slth.target import Target, wanted


@final
@dataclass(frozen=True)
class Assigned(GadgetConstruction):
    """Every slot with its full count of good in-weights, then a subset sum for each weight.

    limit, solver, device: as of `Pensia`. With halves "needed" no neuron serves the negative half
    of inputs that are never negative, and about twice as many the other. looks_at: "source", as the
    theorem does, or "target": before gadgets are sought, those that would come out worst, as the
    target's weights and the out-weights tell, get a neuron exchanged (`_exchange`).
    """

    looks_at: Literal["source", "target"] = field(
        default="source",
        metadata={
            "choices": ("source", "target"),
            "help": "assign by in-weights alone, or exchange neurons where weights are hard",
        },
    )
    limit: int = field(default=22, metadata={"help": "values a gadget for the optimum"})
    solver: Solver | None = field(default=None, metadata={"cli": False})
    device: str = field(
        default="cpu", metadata={"help": "where subsets are sought: cpu, cuda, cuda:1"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.looks_at not in ("source", "target"):
            raise BadInput("looks_at", self.looks_at, "source, target", "choose one of these")
        self._pensia()  # refuses what it cannot search with

    def _pensia(self) -> Pensia:
        return Pensia(limit=self.limit, solver=self.solver, device=self.device)

    def find(self, half: Half) -> Kept:
        return self._pensia().find(half)

    def prepared(self, source: Source, target: Target | Network) -> Source:
        """A plain source is assigned as its widths allow, and neurons are exchanged if the target
        is looked at; a source with exchanged neurons stays as it is."""
        found = source if isinstance(source, AssignedSource) else self._filled(source, target)
        if self.looks_at == "target" and not any(found.exchanged):
            etas = self.tolerances(target, self.region(target))
            pairs = [
                exchanges(
                    found, i, wanted(target, i, found.bias[i]), None if etas is None else etas[i],
                    halves == 2,
                )
                for i, halves in enumerate(self._halves(found, target))
            ]  # fmt: skip
            found = replace(found, exchanged=tuple(pairs))
        found.places  # noqa: B018 made here, before threads ask for it
        return found

    def source_for(
        self,
        target: Target | Network,
        seed: int,
        n: int | tuple[int, ...] | None = None,
        **laws: Any,
    ) -> Source:
        """A source of n neurons an input and half, on average, or of as many as the theorem asks,
        assigned. Raises BadInput as the plain one does."""
        plain = super().source_for(target, seed, n, **laws)
        if n is not None or self.delta is None:
            return self._filled(plain, target)
        constants = facts(target, self.region(target))
        etas = self._class_tolerances(target, constants)
        assert etas is not None
        return self._assigned(plain, target, bound.plans(constants, etas, self.delta))

    def _filled(self, plain: Source, target: Target | Network) -> AssignedSource:
        halves = enumerate(self._halves(plain, target))
        plans = [bound.filled(plain.blocks(i), plain.hidden(i), each) for i, each in halves]
        return self._assigned(plain, target, plans)

    def _assigned(
        self, plain: Source, target: Target | Network, plans: Sequence[bound.Plan]
    ) -> AssignedSource:
        return AssignedSource.of(
            plain,
            tuple(plan.each for plan in plans),
            tuple(least_size(plain.law, 1 - plan.least) for plan in plans),
            self._halves(plain, target),
        )

    def _halves(self, source: Source, target: Target | Network) -> tuple[int, ...]:
        both = [signed or self.halves == "both" for signed in target.signed]
        return tuple(1 + (b and not linear) for b, linear in zip(both, source.linear, strict=True))

    def _options(self) -> dict[str, Any]:
        return {name: value for name, value in super()._options().items() if name != "device"}

    def theorem(self, facts: TargetClass) -> tuple[str, list[str]]:
        return "assigned", bound.Assigned().hypotheses(facts)

    def theorem_n(self, facts: TargetClass, etas: tuple[float, ...], delta: float) -> list[float]:
        """The plain source's n: hidden neurons over slots, rounded up."""
        plans = bound.plans(facts, etas, delta)
        return [
            float(-(-plan.neurons // (2 * inputs)))
            for plan, (inputs, _) in zip(plans, facts.links, strict=True)
        ]

    def too_narrow(
        self, source: Source, facts: TargetClass, etas: tuple[float, ...], delta: float
    ) -> list[str]:
        """What of the theorem's counts fails, at the source's own `n` and `least`."""
        assert isinstance(source, AssignedSource)
        if {source.law, source.out_law or source.law} != {Uniform()}:
            return []  # which is said elsewhere: its counts are about no other law
        match, each_delta = bound.shares(facts, delta)
        failed = []
        for i, (n, least) in enumerate(zip(source.n, source.least, strict=True)):
            asked = bound.n_sharp(
                etas[i], each_delta, min(least, 1.0), max(1.0, facts.max_entries[i])
            )
            if n < asked:
                failed.append(
                    f"Layer {i + 1} of the source gives a slot {n} neurons of size {least:.4g}; "
                    f"the explicit theorem asks for {asked}."
                )
            inputs, hidden, halves = source.blocks(i), source.hidden(i), source.halves[i]
            if least >= 1 or match_failure(inputs, hidden, n, 1 - least, halves) > match:
                failed.append(
                    f"Layer {i + 1} of the source has {hidden} neurons; the explicit theorem asks "
                    f"for more to give each slot {n} of size {least:.4g}."
                )
        return failed


def least_size(law: Law, chance: float) -> float:
    """The c that a weight's size reaches with about that chance, or a little more."""
    if law == Uniform():
        return 1 - chance
    low, high = 0.0, law.bound
    for _ in range(60):
        middle = (low + high) / 2
        ends = law.cdf(np.array([middle, -middle]))
        if 1 - ends[0] + ends[1] >= chance:
            low = middle
        else:
            high = middle
    return max(low, math.ulp(high))

"""The gadget of Orseau et al. (2020): a weight is a greedy sum, one random product of each size.

One weight w on input y, |w| ≤ w_max. A neuron with in-weight u and out-weight v belongs to one of
the intervals J_c = (αγ^{−c−1}, αγ^{−c}], c < k, γ = 3/2, α = w_max/2, by the size of uv. Half 0
looks at neurons with u > 0, half 1 at those with u < 0; of each interval it knows the first neuron
whose uv has the sign of w. From the largest to the smallest, one is kept if its |uv| is no more
than what is still missing of |w|. Since γ is below the golden ratio at most w_max γ^{−k} is missing
in the end (proved in slth.bounds.orseau): k intervals are enough for a tolerance of w_max γ^{−k}.

All weights are hyperbolic, of density 1/(2|w| ln(b/a)) on a ≤ |w| ≤ b with a = √α γ^{−3k/4} and
b = √α γ^{k/4}, so that every sign of u, sign of uv and interval is hit with a chance of 1/(8k) or
more. The law is set before the draw by w_max and k alone: by bounds on weights, norms, ε.
`theorem_n` neurons a half are the M_i of the theorem, which counts them a block: a block here has
twice as many, since each half leaves those of the other sign idle, as in Pensia's diamond.

An interval that no neuron falls into is passed over; where it is missed the gadget falls short,
and the claim counts it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

import numpy as np

from slth.bounds import TargetClass, facts
from slth.bounds import orseau as bound
from slth.bounds.orseau import BASE
from slth.construct._gadgets import GadgetConstruction, Half
from slth.construct._greedy import search
from slth.domain import Domain
from slth.errors import BadInput
from slth.kept import Kept
from slth.laws import Law, SignedHyperbolic, Uniform
from slth.network import Network
from slth.source import Source
from slth.target import Target
from slth.ticket import Ticket

OCTAVES = math.log2(BASE)  # of one interval
MOST = int(100 / OCTAVES)  # intervals that the law's range holds


@final
@dataclass(frozen=True)
class Orseau(GadgetConstruction):
    """One product of each size, kept or not, from the largest to the smallest.

    split: how ε becomes tolerances of weights: by "propagation" of the target's own norms, a
    tolerance a layer, or as in the "lemma" of the paper, corrected (slth.bounds.orseau): one for
    all, ε/(e l m^{3/2} Φ Π max(1, ‖W_i‖)), which is stricter.
    largest: w_max, the bound on weights that the law is made for (default: the class's).
    With neither ε nor a tolerance k is what the theorem grants at n, with failure probability delta
    (default: one half).
    """

    split: Literal["propagation", "lemma"] = field(
        default="propagation",
        metadata={
            "choices": ("propagation", "lemma"),
            "help": "tolerances by the target's own norms, or by the paper's lemma",
        },
    )
    largest: float | None = field(default=None, metadata={"help": "bound on |weights|"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.split not in ("propagation", "lemma"):
            raise BadInput("split", self.split, "propagation, lemma", "choose one of these")
        if self.largest is not None and not 1e-9 <= self.largest <= 1e9:
            allowed = "a number in [1e-9, 1e9]"
            raise BadInput("largest", self.largest, allowed, "pass a bound on the weights")

    # -- the law, before the draw ----------------------------------------------------------------

    def source_for(
        self,
        target: Target | Network,
        seed: int,
        n: int | tuple[int, ...] | None = None,
        **laws: Any,
    ) -> Source:
        """As in the base, weights drawn from the hyperbolic law of (w_max, k).

        A SignedHyperbolic `law` of your own is used as it is; U[−1, 1], every source's default,
        counts as none. Raises BadInput for other laws, and beyond 100 octaves.
        """
        law = laws.pop("law", Uniform())
        if laws or not (law == Uniform() or isinstance(law, SignedHyperbolic)):
            allowed = "none, or one SignedHyperbolic for all weights"
            raise BadInput("law", next(iter(laws.values()), law), allowed, "leave it out")
        if law == Uniform() and not (n is None and self._aim is None):
            law = self._law(target, n)
        return super().source_for(target, seed, n, law=law)

    @property
    def _aim(self) -> float | None:
        return self.epsilon if self.epsilon is not None else self.tolerance

    def _law(self, target: Target | Network, n: int | tuple[int, ...] | None) -> SignedHyperbolic:
        constants = facts(target, self.region(target))
        etas = self._class_tolerances(target, constants)
        if etas is not None:
            return law_of(self._w_max(constants), self._count(constants, etas))
        assert n is not None
        k, delta = 1, 0.5 if self.delta is None else self.delta
        while k < MOST and np.all(np.array(bound.block_sizes(constants, k + 1, delta)) <= n):
            k += 1
        return law_of(self._w_max(constants), k)

    def _w_max(self, constants: TargetClass) -> float:
        return self.largest if self.largest is not None else max(*constants.max_entries, 1e-9)

    def _count(self, constants: TargetClass, etas: tuple[float, ...]) -> int:
        return bound.interval_count(self._w_max(constants), min(etas))

    # -- tolerances and theorem ------------------------------------------------------------------

    def tolerances(self, target: Target | Network, domain: Domain) -> tuple[float, ...] | None:
        if self.split == "lemma":
            return self._class_tolerances(target, facts(target, domain))
        return super().tolerances(target, domain)

    def _class_tolerances(
        self, target: Target | Network, constants: TargetClass
    ) -> tuple[float, ...] | None:
        shared = super()._class_tolerances(target, constants)
        if self.split == "propagation" or self.epsilon is None or shared is None:
            return shared
        one = math.exp(float(bound.log_weight_tolerance(constants, np.array(self.epsilon))))
        # the lemma knows no biases: with them the rule of propagation may be the stricter one
        return tuple(min(one, eta) for eta in shared)

    def theorem(self, facts: TargetClass) -> tuple[str, list[str]]:
        return "orseau", bound.Orseau().hypotheses(facts)

    def theorem_n(self, facts: TargetClass, etas: tuple[float, ...], delta: float) -> list[float]:
        k = self._count(facts, etas)
        return [float(n) for n in bound.block_sizes(facts, k, delta)]

    def _claim(self, target: Target | Network, source: Source, *rest: Any) -> Ticket:
        """As in the base; a source of another law than the theorem's fails a hypothesis."""
        ticket = super()._claim(target, source, *rest)
        constants = facts(target, self.region(target))
        etas = self._class_tolerances(target, constants)
        k = intervals(source)[1] if etas is None else self._count(constants, etas)
        law = law_of(self._w_max(constants), k)
        if source.law == law and max(constants.max_entries) <= self._w_max(constants):
            return ticket
        failed = (
            f"The theorem's law for weights up to {max(constants.max_entries):.6g} at this "
            f"tolerance is {law.to_json()}; the source's is {source.law.to_json()}."
        )
        return replace(ticket, claim=replace(ticket.claim, failed=(*ticket.claim.failed, failed)))

    # -- the search ------------------------------------------------------------------------------

    def find(self, half: Half) -> Kept:
        top, k = intervals(half.source)
        edges = top * BASE ** -np.arange(k + 1.0)
        return Kept.joined([search(half, row, edges) for row in range(len(half.weights))])


def law_of(largest: float, k: int) -> SignedHyperbolic:
    """The hyperbolic law on [a, b] for k intervals below w_max/2; BadInput beyond 100 octaves."""
    if k > MOST:
        allowed = f"down to w_max·(2/3)^{MOST}"
        raise BadInput("tolerance", f"w_max·(2/3)^{k}", allowed, "loosen epsilon")
    # a float32, a hair too large: powers differ between machines in their last bits
    high = np.nextafter(np.float32(math.sqrt(largest / 2) * BASE ** (k / 4)), np.float32(np.inf))
    return SignedHyperbolic(float(high), k * OCTAVES)


def intervals(source: Source) -> tuple[float, int]:
    """(α, k) of the source's law: the intervals are the middle half of what ln |uv| ranges over.

    Raises BadInput unless all its weights are of one SignedHyperbolic law.
    """
    law: Law = source.law
    if not isinstance(law, SignedHyperbolic) or source.out_law not in (None, law):
        got = law.to_json() if source.out_law in (None, law) else "two laws"
        allowed = "one SignedHyperbolic law for all weights"
        raise BadInput("source", got, allowed, "use construction.source_for")
    k = max(1, math.floor(law.octaves / OCTAVES * (1 + 1e-12)))
    return law.high**2 * 2.0 ** (-law.octaves / 2), k

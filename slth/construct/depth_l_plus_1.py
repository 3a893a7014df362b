"""Burkholz (2022): one layer more than the target, since every neuron is there in copies.

Source layer 0 serves every input by univariate neurons, source layer 1 holds the target's first
layer: weight w of copy c is a subset of products v u, over neurons with u > 0 and over those with
u < 0 where the activation is bent at zero (ReLU, leaky ReLU: both sums are w/(m₊ + m₋), m the
slopes), over all of them where it is smooth. From there on a weight is a subset of *single* random
weights, one for each copy of its input. Every copy of a neuron draws anew. Biases are subsets of
weights on constants: φ(b) in the first layer, through its bias vector, then neurons whose argument
is one, carried along in as many copies; no later layer has a bias. Where φ(0) ≠ 0 the univariate
neurons add φ(0) Σ v, which the subset sum of the first biases takes off again.

Smooth activations (tanh, sigmoid, softplus) are used near zero: the public factor `first` keeps the
first in-weights small and the next layer's takes it back, so that φ(u x) is a line up to a proved
remainder (`slth.chains`), which counts in the claim.

The error is not that of the constructions of twice the depth: copies err differently, so a layer
amplifies errors by Σ|v| over what it keeps and not by its weights (`slth.layered_distance`, where
the claim's bound comes from). `fewest` subsets, as in the published search, keep that sum small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from slth.bounds import TargetClass, facts
from slth.bounds import depth_plus_one as bound
from slth.chain_inputs import layer_inputs
from slth.chains import as_chain, first_order, plain
from slth.construct import Construction, Progress
from slth.construct import _copies_layout as layout
from slth.construct._copies import SUBSETS, Search, Solvers, Subsets, assembled
from slth.domain import Ball, Box, Domain
from slth.errors import BadInput
from slth.laws import Uniform
from slth.layered import LayeredSource
from slth.layered_claims import failures, ones_in
from slth.layered_distance import load, passed_down
from slth.layered_ticket import LayeredTicket
from slth.network import Network
from slth.target import Target
from slth.ticket import Claim

SHARE = 1 - 2.0**-40  # of epsilon that is shared out: the rest pays for rounding


@final
@dataclass(frozen=True)
class DepthLPlus1(Construction):
    """Every weight of every copy within a tolerance.

    epsilon: error of the whole network to aim at over the domain; tolerance: of every weight
    instead; with neither, every subset sum takes its best. With epsilon the last layer's tolerance
    comes first, and each layer's is what the kept weights of the layers above it leave.
    delta: failure probability that the theorem's width is computed for.
    subsets: of layers from the second on, "fewest" takes the smallest subset within the tolerance
    (nearest, if there are several), "first" one of the fewest leading values, which is quicker.
    first: public factor of the in-weights of the univariate neurons, a power of two (default: 1
    where the activation is bent, else what keeps its arguments at 2^-4, for softplus 2^-8).
    limit: values a subset sum looks at where its best is wanted.
    domain: the input set of the claim (default: the unit ball, for images pixels in [0, 1]).
    """

    epsilon: float | None = field(default=None, metadata={"help": "error to aim at (network)"})
    tolerance: float | None = field(
        default=None, metadata={"help": "per-weight tolerance to aim at, instead of epsilon"}
    )
    delta: float | None = field(default=None, metadata={"help": "failure probability allowed"})
    subsets: Subsets = field(
        default="fewest",
        metadata={"choices": SUBSETS, "help": "smallest subsets, or the quickest found"},
    )
    first: float | None = field(
        default=None, metadata={"help": "power of two that scales the first in-weights"}
    )
    limit: int = field(default=22, metadata={"help": "values a subset sum's optimum looks at"})
    domain: Domain | None = field(default=None, metadata={"cli": False})

    def __post_init__(self) -> None:
        for name in ("epsilon", "tolerance"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise BadInput(name, value, "a finite number > 0", "choose a tolerance")
        if self.epsilon is not None and self.tolerance is not None:
            raise BadInput("tolerance", "both it and epsilon", "one of the two", "drop one")
        if self.delta is not None and not 0 < self.delta < 1:
            raise BadInput("delta", self.delta, "0 < delta < 1", "choose a failure probability")
        if self.subsets not in SUBSETS:
            raise BadInput("subsets", self.subsets, ", ".join(SUBSETS), "choose one of these")
        if self.first is not None and not _power_of_two(self.first):
            allowed = "a power of two in [2^-30, 2^30]"
            raise BadInput("first", self.first, allowed, "leave it out for the default")
        if not (type(self.limit) is int and 1 <= self.limit <= 38):
            raise BadInput("limit", self.limit, "1 … 38 values", "lower it")
        if self.domain is not None and not isinstance(self.domain, Domain):
            raise BadInput("domain", self.domain, "a Ball or a Box", "import slth.domain")

    # -- the source --------------------------------------------------------------------------------

    def source_for(  # type: ignore[override]
        self,
        target: Target | Network,
        seed: int,
        n: int | tuple[int, ...] | None = None,
        **laws: Any,
    ) -> LayeredSource:
        """A stack of one layer more than the target.

        n: univariate neurons of either sign that each input has (of both, where φ is smooth), then
        copies of every neuron of each hidden layer; one number for all, or as many as the theorem
        asks for at (epsilon, delta). It depends on the target's widths, norms, activation and
        domain only. Raises BadInput without n, epsilon and delta, and beyond 4096 copies.
        """
        law = laws.pop("law", Uniform())
        if laws:
            raise BadInput("law", ", ".join(laws), "one law for all weights", "give `law` alone")
        network, activation = as_chain(target)
        each = layout.counts(self.width(target) if n is None else n, network)
        factors = layout.factors(activation, self.first, self.region(target))
        return layout.stack(network, activation, each, factors, seed, law)

    def width(self, target: Target | Network) -> tuple[int, ...]:
        """The explicit theorem's n at (epsilon, delta); BadInput where that is out of hand."""
        if self.epsilon is None or self.delta is None:
            got = "none, without epsilon and delta"
            raise BadInput("n", got, "n, or epsilon and delta", "give one of them")
        asked = bound.copies(self._facts(target), self.epsilon, self.delta)[0]
        if not max(asked) <= layout.WIDEST:  # NaN where a tolerance is below 1e-150
            worst = "more than can be computed" if math.isnan(max(asked)) else f"{max(asked):.6g}"
            raise BadInput(
                "n from (epsilon, delta)",
                f"{worst} copies, by the explicit form of this theorem",
                f"at most {layout.WIDEST}",
                "give n yourself (15 is the published one), or loosen epsilon",
            )
        return tuple(int(n) for n in asked)

    def theorem_n(self, target: TargetClass, etas: tuple[float, ...], delta: float) -> list[float]:
        """Copies of every layer's outputs that the explicit theorem asks for at these tolerances;
        of the last layer one."""
        return [*(float(n) for n in bound.copies_at(target, etas, delta)[1:]), 1.0]

    def region(self, target: Target | Network) -> Domain:
        """The domain of the claim."""
        if self.domain is not None:
            return self.domain
        if len(target.wiring.shape) == 1:
            return Ball(1.0, target.inputs)
        return Box(np.zeros(target.inputs), np.ones(target.inputs))

    def _facts(self, target: Target | Network) -> TargetClass:
        return facts(plain(as_chain(target)[0]), self.region(target))

    # -- the ticket --------------------------------------------------------------------------------

    def build(  # type: ignore[override]
        self,
        target: Target | Network,
        source: LayeredSource,
        progress: Progress | None = None,
    ) -> LayeredTicket:
        """A ticket of `source`, which `source_for` must have made for a target of this class.

        Weights whose tolerance no subset meets show as `unmet` in the claim, with the nearest
        subset kept; nothing is drawn anew.
        """
        network, activation = as_chain(target)
        n = layout.counted(source, network, activation)
        if n is None or source != self.source_for(target, source.seed, n, law=source.law):
            got = f"widths {getattr(source, 'widths', source)}"
            raise BadInput("source", got, "one made for this target", "use source_for")
        block, solvers = layout.block(activation, n[0]), Solvers(self.subsets, self.limit)
        search = Search(source, network, block, solvers, progress)
        etas = self._run(search, network, self.region(target))
        kept, kept_bias = assembled(source, search)
        claim = self._claim(target, source, n, etas)
        return LayeredTicket(source, kept, kept_bias, claim).measured(target)

    def _run(self, search: Search, network: Network, domain: Domain) -> tuple[float, ...] | None:
        """Every layer from the last to the first; the tolerances, None where the best is taken.

        Of ε each layer's own errors get an equal share, remainders of a smooth activation one more.
        """
        used = np.arange(network.outputs)
        if self.epsilon is None:
            for i in reversed(range(network.depth)):
                used = search.layer(i, used, self.tolerance)
            return None if self.tolerance is None else (self.tolerance,) * network.depth
        etas: list[float] = []
        shares = network.depth + first_order(search.activation).smooth
        inputs, passed = layer_inputs(network, domain), np.eye(network.outputs)
        for i in reversed(range(network.depth)):
            every = inputs[i].total + ones_in(network, search.activation, i)
            etas.insert(0, SHARE * self.epsilon / (shares * load(passed) * every))
            used = search.layer(i, used, etas[0])
            if i:
                passed = passed_down(passed, search.sizes(i), search.activation)
        return tuple(etas)

    def _claim(
        self,
        target: Target | Network,
        source: LayeredSource,
        n: tuple[int, ...],
        etas: tuple[float, ...] | None,
    ) -> Claim:
        constants = self._facts(target)
        failed = failures(constants, source)
        if self.epsilon is not None and self.delta is not None:
            asked = bound.copies(constants, self.epsilon, self.delta)[0]
            failed += [
                f"Layer {i} of the target has n = {k}; the explicit theorem asks for {need:.6g}."
                for i, (k, need) in enumerate(zip(n, asked, strict=True), start=1)
                if not need <= k
            ]
        return Claim(
            construction="depth_l_plus_1",
            parameters={"subsets": self.subsets, "first": self.first, "limit": self.limit},
            target=target.fingerprint,
            domain=self.region(target).to_json(),
            epsilon=self.epsilon,
            delta=self.delta,
            tolerances=etas,
            achieved=(),
            error_bound=float("inf"),
            unmet=0,
            halves="both",
            kept_in=0,
            kept_out=0,
            theorem="depth_plus_one",
            failed=tuple(failed),
        )


def _power_of_two(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 2.0**-30 <= value <= 2.0**30 and math.frexp(value)[0] == 0.5

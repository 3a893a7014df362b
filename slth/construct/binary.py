"""Tickets in ±1 weights, on the idea of Sreenivasan et al. (2022): a weight is its binary digits.

Weight w of layer i is rounded to m·2^-F, and m y is added up from copies of 2^k y (layout "powers")
or built by doubling running sums (layout "sums"), y ≥ 0 in every layer but the first, whose signed
inputs are x = σ(x) − σ(−x). All weights of the source are ±1 at random, so every step finds its
signs among several copies of each value; `slth.bounds._binary_layout` has layouts, counts and the
theorem. The public factor 2^-F ends each layer of the target. What the source computes is exactly
the ReLU network with the rounded weights, unless some link is not found.

The theorem's depth 1 + Σ B_i is Θ(l log(d l/ε)), as the paper has it; "powers" has its width
Θ(d log²(d l/ε)), "sums" one of Θ(d log(d l/ε)).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from slth.bounds import TargetClass, facts
from slth.bounds import _binary_layout as layout
from slth.bounds import binary as bound
from slth.bounds._binary_layout import ROUTINGS, Routing, Stage
from slth.certify.propagate import class_propagation
from slth.construct import Construction, Progress
from slth.construct._digits import Search
from slth.domain import Ball, Domain
from slth.errors import BadInput
from slth.kept import Kept
from slth.laws import Rademacher, Uniform
from slth.layered import LayeredSource
from slth.layered_ticket import LayeredTicket
from slth.target import Target
from slth.ticket import Claim

Indices = NDArray[np.int64]
MOST = 50  # binary digits, and digits behind the point: below, float64 rounds no weight by itself
WIDEST = 1 << 16  # copies of a value


@final
@dataclass(frozen=True)
class Binary(Construction):
    """Every weight rounded to `bits` binary digits behind the point, or to what serves epsilon.

    epsilon: error of the whole network to aim at; bits: digits behind the point instead, an error
    of at most 2^-(bits + 1) a weight; delta: failure probability that the number of copies is
    computed for; routing: the layout; domain: the input set of the claim (default: the unit ball).
    """

    epsilon: float | None = field(default=None, metadata={"help": "error to aim at (network)"})
    bits: int | None = field(
        default=None, metadata={"help": "binary digits behind the point instead of epsilon"}
    )
    delta: float | None = field(default=None, metadata={"help": "failure probability allowed"})
    routing: Routing = field(
        default="powers",
        metadata={
            "choices": ROUTINGS,
            "help": "carry every power of two of every input, or double the outputs' sums",
        },
    )
    domain: Domain | None = field(default=None, metadata={"cli": False})

    def __post_init__(self) -> None:
        if self.epsilon is not None and not (np.isfinite(self.epsilon) and self.epsilon > 0):
            raise BadInput("epsilon", self.epsilon, "a finite number > 0", "choose a tolerance")
        if self.epsilon is not None and self.bits is not None:
            raise BadInput("bits", "both it and epsilon", "one of the two", "drop one")
        if self.bits is not None and not (type(self.bits) is int and 0 <= self.bits <= MOST):
            raise BadInput("bits", self.bits, f"an integer from 0 to {MOST}", "choose another")
        if self.delta is not None and not 0 < self.delta < 1:
            raise BadInput("delta", self.delta, "0 < delta < 1", "choose a failure probability")
        if self.routing not in ROUTINGS:
            raise BadInput("routing", self.routing, ", ".join(ROUTINGS), "choose one of these")
        if self.domain is not None and not isinstance(self.domain, Domain):
            raise BadInput("domain", self.domain, "a Ball or a Box", "import slth.domain")

    # -- the source --------------------------------------------------------------------------------

    def source_for(  # type: ignore[override]
        self, target: Target, seed: int, n: int | None = None, **laws: Any
    ) -> LayeredSource:
        """A stack with n copies of every value, or as many as the theorem asks for at delta.

        It depends on the target's widths, norms, largest entries and domain only. U[−1, 1], every
        source's default, counts as no law given. Raises BadInput without n and delta, without bits
        and epsilon, and for other laws than ±1.
        """
        law = laws.pop("law", Rademacher())
        if laws or law not in (Rademacher(), Uniform()):
            got = next(iter(laws.values()), law)
            raise BadInput("law", got, "Rademacher: weights ±1", "leave the law out")
        stages, bits = self._layers(target)
        if n is None:
            if self.delta is None:
                raise BadInput("n", "none, without delta", "n, or delta", "give one of them")
            n = layout.least_copies(stages, self.delta, self.routing)
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= WIDEST:
            raise BadInput("n", n, f"1 … {WIDEST} copies of a value", "choose another")
        ends = np.cumsum([stage.digits for stage in stages]).tolist()
        widths = layout.widths(stages, n, self.routing)
        scales, ones = [1.0] * (len(widths) - 1), [False] * (len(widths) - 1)
        for stage, end, begin, f in zip(stages, ends, [0, *ends], bits, strict=False):
            scales[end], ones[begin] = 2.0**-f, stage.bias
        architecture = (tuple(ones), tuple(scales), target.dims, tuple(ends), (n,) * len(ends))
        return LayeredSource(widths, seed, Rademacher(), *architecture)

    def theorem_n(self, target: TargetClass, etas: tuple[float, ...], delta: float) -> list[float]:
        """Copies that the explicit theorem asks for, the same for every layer."""
        stages = bound.layers(target, etas)[0]
        return [float(layout.least_copies(stages, delta, self.routing))] * len(stages)

    def region(self, target: Target) -> Domain:
        """The domain of the claim."""
        return self.domain if self.domain is not None else Ball(1.0, target.dims[0])

    def _layers(self, target: Target) -> tuple[list[Stage], tuple[int, ...]]:
        """The target's layers in the layout, and their digits behind the point."""
        given: object = target
        if not isinstance(given, Target):
            got, remedy = type(given).__name__, "slth.from_module(model) reads a torch model"
            raise BadInput("target", got, "a slth.Target: a stack of linear layers", remedy)
        constants = facts(target, self.region(target))
        if self.bits is not None:
            etas = (2.0 ** -(self.bits + 1),) * target.depth
        elif self.epsilon is not None:
            etas = class_propagation(constants, target.biased).tolerances(self.epsilon)
        else:
            raise BadInput("bits", "none, without epsilon", "bits, or epsilon", "give one of them")
        stages, bits = bound.layers(constants, etas, target.biased)
        most = max(*bits, *(stage.digits for stage in stages))
        if most > MOST:
            raise BadInput(
                "epsilon", f"{most} binary digits", f"at most {MOST}", "loosen it, or rescale"
            )
        return stages, bits

    # -- the ticket --------------------------------------------------------------------------------

    def build(  # type: ignore[override]
        self, target: Target, source: LayeredSource, progress: Progress | None = None
    ) -> LayeredTicket:
        """A ticket of `source`, which `source_for` of this construction and target must have made.

        Links that are not found show as `unmet` weights of the claim; nothing is drawn anew.
        """
        kept, kept_bias = self.search(target, source, progress).mask()
        return self._claim(target, source, kept, kept_bias)

    def search(
        self, target: Target, source: LayeredSource, progress: Progress | None = None
    ) -> Search:
        """All layers of the stack, sought; its `missed` links are what the theorem is about."""
        stages, bits = self._layers(target)
        copies = source.copies[-1]
        if source != self.source_for(target, source.seed, copies):
            got = f"widths {source.widths}"
            raise BadInput("source", got, "one made for this target", "use source_for")
        search = Search(source, stages, copies, self.routing, progress)
        for i, stage in enumerate(stages):
            weights = np.rint(np.ldexp(target.augmented(i), bits[i])).astype(np.int64)
            whole = weights[:, : stage.inputs]
            signed = [whole, -whole] if stage.signed else [whole]
            search.stage(i, np.hstack([*signed, weights[:, stage.inputs :]]))
        return search

    def _claim(
        self,
        target: Target,
        source: LayeredSource,
        kept: tuple[Kept, ...],
        kept_bias: tuple[Indices, ...],
    ) -> LayeredTicket:
        domain, (stages, bits) = self.region(target), self._layers(target)
        failed = bound.Binary().hypotheses(facts(target, domain))
        if self.delta is not None:
            asked = layout.least_copies(stages, self.delta, self.routing)
            if source.copies[-1] < asked:
                failed.append(
                    f"The source has {source.copies[-1]} copies of a value; the explicit theorem "
                    f"asks for {asked}."
                )
        blank = Claim(
            construction="binary",
            parameters={"bits": self.bits, "routing": self.routing},
            target=target.fingerprint,
            domain=domain.to_json(),
            epsilon=self.epsilon,
            delta=self.delta,
            tolerances=tuple(2.0 ** -(f + 1) for f in bits),
            achieved=(),
            error_bound=float("inf"),
            unmet=0,
            halves="both",
            kept_in=0,
            kept_out=0,
            theorem="binary",
            failed=tuple(failed),
        )
        return LayeredTicket(source, kept, kept_bias, blank).measured(target)

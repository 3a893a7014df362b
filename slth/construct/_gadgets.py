"""What gadget constructions share: a subset sum for each target weight and half, then the claim.

Layer i of the target, W_i `[d_i, d_{i−1}]` and perhaps a bias, becomes two source layers. Weight
(j, a) is approximated twice in block a: by neurons that answer to y_a ≥ 0 (half 0) and to y_a < 0
(half 1). A bias is the weight of input "one", which is never negative: half 1 of its block is
pruned whole.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth.bounds import TargetClass, facts, law_failures
from slth.certify.propagate import propagation
from slth.construct import Construction, Progress
from slth.domain import Ball, Domain
from slth.effective import weight_errors
from slth.errors import BadInput
from slth.source import Source
from slth.target import Target
from slth.ticket import Claim, Halves, Kept, Ticket

Floats = NDArray[np.float64]
CHUNK = 1 << 21  # values held at a time
SCAN = 1 << 24  # neurons a half that a scan can hold in memory


@dataclass(frozen=True)
class Half:
    """The gadgets of one half of one layer pair.

    weights: `[blocks, outputs]`, what the blocks in play are to approximate; tolerance: per-weight
    η, or None where the best is wanted.
    """

    source: Source
    layer: int
    half: int
    weights: Floats
    tolerance: float | None

    def chunks(self, width: int) -> Iterator[tuple[int, int]]:
        """Ranges of blocks whose values `[blocks, outputs, width]` fit in a chunk."""
        step = max(1, CHUNK // (self.weights.shape[1] * width))
        for first in range(0, len(self.weights), step):
            yield first, min(first + step, len(self.weights))


@dataclass(frozen=True)
class GadgetConstruction(Construction):
    """The common build. Options:

    epsilon: error of the whole network to aim at over the domain.
    tolerance: per-weight tolerance to aim at instead; with neither, every gadget takes its best.
    delta: failure probability that the theorem's width is computed for.
    domain: the input set of the claim (default: the unit ball).
    halves: "both" approximates every weight on both halves, as the proofs do; "needed" leaves out
    the negative half of layers whose inputs are never negative.
    """

    epsilon: float | None = field(default=None, metadata={"help": "error to aim at (network)"})
    tolerance: float | None = field(
        default=None, metadata={"help": "per-weight tolerance to aim at, instead of epsilon"}
    )
    delta: float | None = field(default=None, metadata={"help": "failure probability allowed"})
    domain: Domain | None = field(default=None, metadata={"cli": False})
    halves: Halves = field(
        default="both",
        metadata={"choices": ("both", "needed"), "help": "halves of a gadget to approximate"},
    )

    def __post_init__(self) -> None:
        for name in ("epsilon", "tolerance", "delta"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _number(name, value))
        for name, value in (("epsilon", self.epsilon), ("tolerance", self.tolerance)):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise BadInput(name, value, "a finite number > 0", "choose a tolerance")
        if self.domain is not None and not isinstance(self.domain, Domain):
            raise BadInput("domain", self.domain, "a Ball or a Box", "import slth.domain")
        if self.epsilon is not None and self.tolerance is not None:
            raise BadInput("tolerance", "both it and epsilon", "one of the two", "drop one")
        if self.delta is not None and not 0 < self.delta < 1:
            raise BadInput("delta", self.delta, "0 < delta < 1", "choose a failure probability")
        if self.halves not in ("both", "needed"):
            raise BadInput("halves", self.halves, "both, needed", "choose one of these")

    @abstractmethod
    def find(self, half: Half, progress: Progress | None) -> list[NDArray[np.int64]]:
        """The kept neurons of every gadget of the half, in the order block·outputs + output."""

    def theorem(self, facts: TargetClass) -> tuple[str | None, list[str]]:
        """The theorem that promises this ticket, by its file's name in slth/bounds, and which of
        its hypotheses the target's class fails: that bound's `hypotheses(facts)`, and any of your
        own (laws and width are seen to). Without a theorem, leave this as it is."""
        return None, ["No theorem is cited for this construction."]

    def theorem_n(self, facts: TargetClass, etas: tuple[float, ...], delta: float) -> list[float]:
        """Neurons a half and layer that the explicit theorem asks for at these tolerances."""
        raise BadInput("n", "none", "a number: this construction cites no width", "give n")

    def region(self, target: Target) -> Domain:
        """The domain of the claim."""
        return self.domain if self.domain is not None else Ball(1.0, target.dims[0])

    def source_for(self, target: Target, seed: int, n: int | None = None, **laws: Any) -> Source:
        """A source of the right architecture with n neurons a half, or as many as the theorem asks.

        Architecture and law depend on the target's widths, norms and domain only (class constants
        in the theorem's statement), never on single weights. Raises BadInput when neither n nor
        (epsilon, delta) is given.
        """
        if n is None and ((self.epsilon or self.tolerance) is None or self.delta is None):
            raise BadInput(
                "n",
                "none, without epsilon and delta",
                "n, or epsilon and delta",
                "give one of them",
            )
        if n is not None:
            return super().source_for(target, seed, n, **laws)
        bias = tuple(b is not None for b in target.biases)
        return Source(target.dims, self.width(target), bias, seed, **laws)

    def width(self, target: Target) -> tuple[int, ...]:
        """The explicit theorem's n a layer at (epsilon, delta); BadInput beyond any scan."""
        domain = self.region(target)
        etas = self.tolerances(target, domain)
        assert etas is not None
        assert self.delta is not None
        asked = self.theorem_n(facts(target, domain), etas, self.delta)
        if max(asked) > SCAN:
            raise BadInput(
                "n from (epsilon, delta)",
                f"{max(asked):.4g} neurons a half, by the explicit form of this theorem",
                f"at most {SCAN}, what a scan can hold",
                "give n yourself, loosen epsilon, or use the construction pensia",
            )
        return tuple(int(n) for n in asked)

    def tolerances(self, target: Target, domain: Domain) -> tuple[float, ...] | None:
        """Per-weight tolerances, a layer each; None where the best is wanted."""
        if self.tolerance is not None:
            return (self.tolerance,) * target.depth
        if self.epsilon is None:
            return None
        return propagation(target, domain).tolerances(self.epsilon)

    def build(self, target: Target, source: Source, progress: Progress | None = None) -> Ticket:
        given: object = target
        if not isinstance(given, Target):
            remedy = "slth.from_module(model) reads a torch model"
            raise BadInput("target", type(given).__name__, "a slth.Target", remedy)
        if source.dims != target.dims:
            raise BadInput("source", f"dims {source.dims}", f"{target.dims}", "match the target")
        if source.bias != tuple(b is not None for b in target.biases):
            raise BadInput(
                "source", f"bias {source.bias}", "as in the target", "use construction.source_for"
            )
        domain = self.region(target)
        etas = self.tolerances(target, domain)
        kept = self._mask(target, source, etas, progress)
        return self._claim(target, source, kept, domain, etas)

    def _mask(
        self,
        target: Target,
        source: Source,
        etas: tuple[float, ...] | None,
        progress: Progress | None,
    ) -> tuple[tuple[Kept, Kept], ...]:
        total = sum(2 * w.size for w in target.weights)
        done = 0
        layers = []
        for i in range(target.depth):
            pair = []
            for h in (0, 1):
                weights = np.ascontiguousarray(
                    (target.augmented(i) if h == 0 else target.weights[i]).T
                )
                absent = h == 1 and i > 0 and self.halves == "needed"
                before = done

                def report(part: int, _: int, before: int = before) -> None:
                    if progress is not None:
                        progress(min(before + part, total), total)

                half = Half(source, i, h, weights, None if etas is None else etas[i])
                lists = [] if absent else self.find(half, report)
                pair.append(_csr(lists, source.blocks(i) * source.dims[i + 1]))
                done += target.weights[i].size
                report(target.weights[i].size, total)
            layers.append((pair[0], pair[1]))
        return tuple(layers)

    def _claim(
        self,
        target: Target,
        source: Source,
        kept: tuple[tuple[Kept, Kept], ...],
        domain: Domain,
        etas: tuple[float, ...] | None,
    ) -> Ticket:
        theorem, failed = self.theorem(facts(target, domain))
        failed += law_failures(source) if theorem is not None else []
        if etas is not None and self.delta is not None and theorem is not None:
            asked = self.theorem_n(facts(target, domain), etas, self.delta)
            failed += [
                f"Layer {i} of the source has {n} neurons a half; the explicit theorem asks for "
                f"{asked_n:.6g}."
                for i, (n, asked_n) in enumerate(zip(source.n, asked, strict=True), start=1)
                if n < asked_n
            ]
        common = {field.name for field in fields(GadgetConstruction)}
        options = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in common}
        blank = Claim(
            construction=type(self).__module__.rsplit(".", 1)[-1],
            parameters={
                k: v if v is None or isinstance(v, (int, float, str)) else repr(v)
                for k, v in options.items()
            },
            target=target.fingerprint,
            domain=domain.to_json(),
            epsilon=self.epsilon,
            delta=self.delta,
            tolerances=etas,
            achieved=(),
            error_bound=float("inf"),
            unmet=0,
            halves=self.halves,
            kept_in=0,
            kept_out=0,
            theorem=theorem,
            failed=tuple(failed),
        )
        return with_claim(Ticket(source, kept, blank), target, domain)


def _number(name: str, value: Any) -> float:
    """The value as a float, exactly, if it is a real number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise BadInput(name, repr(value), "a number", "pass a float")
    return float(value)


def with_claim(ticket: Ticket, target: Target, domain: Domain) -> Ticket:
    """The ticket with the numbers of its claim filled in from its own merged slopes."""
    claim = ticket.claim
    errors = weight_errors(ticket.effective, target, claim.halves)
    achieved = tuple(float(e.max()) for e in errors)
    unmet = 0
    if claim.tolerances is not None:
        unmet = sum(int((e > eta).sum()) for e, eta in zip(errors, claim.tolerances, strict=True))
    return Ticket(
        ticket.source,
        ticket.kept,
        replace(
            claim,
            achieved=achieved,
            error_bound=propagation(target, domain).error_bound(achieved),
            unmet=unmet,
            kept_in=ticket.kept_in,
            kept_out=ticket.kept_out,
        ),
    )


def _csr(lists: list[NDArray[np.int64]], gadgets: int) -> Kept:
    """Kept of `gadgets` gadgets, the last ones empty where the list is shorter."""
    counts = np.zeros(gadgets, dtype=np.int64)
    counts[: len(lists)] = [k.size for k in lists]
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices = np.concatenate(lists) if lists else np.empty(0, dtype=np.int64)
    return Kept(indptr, indices.astype(np.int64))

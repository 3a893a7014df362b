"""What gadget constructions share: a subset sum for each target weight and half, then the claim.

Layer i of the target, W_i `[d_i, d_{i−1}]` and perhaps a bias, becomes two source layers. Weight
(j, a) is approximated twice in block a: by neurons that answer to y_a ≥ 0 (half 0) and to y_a < 0
(half 1). A bias is the weight of input "one", which is never negative: half 1 of its block is
pruned whole.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import slth
from slth.assigned_source import AssignedSource
from slth.bounds import TargetClass, facts, law_failures
from slth.bounds.pensia import link_events
from slth.bounds.random_subset_sum import min_trials
from slth.certify import rule_for
from slth.certify.propagate import class_propagation
from slth.construct import Construction, Progress
from slth.construct._locks import around_locks
from slth.construct._pieces import PIECE, Piece, pieces, search
from slth.domain import Ball, Box, Domain
from slth.effective import layer_errors
from slth.errors import BadInput
from slth.kept import Kept, Run, runs
from slth.network import Network
from slth.source import Source
from slth.target import Target, wanted
from slth.threads import in_order
from slth.ticket import Claim, Halves, Ticket, kept_sizes, slopes

Floats = NDArray[np.float64]
CHUNK = 1 << 19  # values that a thread holds at a time
SCAN = 1 << 24  # neurons a half that a scan can hold in memory


@dataclass(frozen=True)
class Half:
    """Gadgets to be found: a run of blocks, from block `first` on, of one half of one layer pair.

    weights: `[blocks, outputs]`, what they are to approximate; tolerance: per-weight η, or None
    where the best is wanted; threads: how many a solver may use (None: all).
    """

    source: Source
    layer: int
    half: int
    weights: Floats
    tolerance: float | None
    first: int = 0
    threads: int | None = None

    def chunks(self, width: int) -> Iterator[tuple[int, int]]:
        """Rows [start, stop) of `weights` whose values fit in a chunk at that many neurons."""
        step = max(1, CHUNK // (self.weights.shape[1] * width))
        for start in range(0, len(self.weights), step):
            yield start, min(start + step, len(self.weights))

    def in_weights(self, width: int, start: int = 0, stop: int | None = None) -> Floats:
        """In-weights of rows [start, stop): `[blocks, width]`."""
        rows = range(len(self.weights))[start:stop]
        return np.stack(
            [
                self.source.in_weights(self.layer, self.half, 0, width, block=self.first + row)
                for row in rows
            ]
        )


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
    def find(self, half: Half) -> Kept:
        """The kept neurons of every gadget asked for, in the order block·outputs + output.

        Several threads call it at once, each with a run of blocks of its own.
        """

    def theorem(self, facts: TargetClass) -> tuple[str | None, list[str]]:
        """The theorem that promises this ticket, by its file's name in slth/bounds, and which of
        its hypotheses the target's class fails: that bound's `hypotheses(facts)`, and any of your
        own (laws and width are seen to). Without a theorem, leave this as it is."""
        return None, ["No theorem is cited for this construction."]

    def theorem_n(self, facts: TargetClass, etas: tuple[float, ...], delta: float) -> list[float]:
        """Neurons a half and layer that the explicit theorem asks for at these tolerances."""
        raise BadInput("n", "none", "a number: this construction cites no width", "give n")

    def too_narrow(
        self, source: Source, facts: TargetClass, etas: tuple[float, ...], delta: float
    ) -> list[str]:
        """Where the source is narrower than the explicit theorem asks, a sentence a layer."""
        asked = self.theorem_n(facts, etas, delta)
        return [
            f"Layer {i} of the source has {n} neurons a half; the explicit theorem asks for "
            f"{asked_n:.6g}."
            for i, (n, asked_n) in enumerate(zip(source.n, asked, strict=True), start=1)
            if n < asked_n
        ]

    def region(self, target: Target | Network) -> Domain:
        """The domain of the claim: by default the unit ball, or for images pixels in [0, 1]."""
        if self.domain is not None:
            return self.domain
        if len(target.wiring.shape) == 1:
            return Ball(1.0, target.inputs)
        return Box(np.zeros(target.inputs), np.ones(target.inputs))

    def source_for(
        self,
        target: Target | Network,
        seed: int,
        n: int | tuple[int, ...] | None = None,
        **laws: Any,
    ) -> Source:
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
        return super().source_for(
            target, seed, self.width(target, float(laws.get("present", 1.0))), **laws
        )

    def width(self, target: Target | Network, present: float = 1.0) -> tuple[int, ...]:
        """The explicit theorem's n a layer at (epsilon, delta); BadInput beyond any scan.

        Where weights are present with a chance only, half of delta goes to the gadgets that then
        have fewer than n neurons with both weights: bounds.random_sparse's widening.
        """
        constants = facts(target, self.region(target))
        etas = self._class_tolerances(target, constants)
        assert etas is not None
        assert self.delta is not None
        if present < 1:
            each = self.delta / (2 * link_events(constants))
            sizes = self.theorem_n(constants, etas, self.delta / 2)
            asked = [float(min_trials(present**2, int(n), each)) for n in sizes]
        else:
            asked = self.theorem_n(constants, etas, self.delta)
        if max(asked) > SCAN:
            raise BadInput(
                "n from (epsilon, delta)",
                f"{max(asked):.4g} neurons a half, by the explicit form of this theorem",
                f"at most {SCAN}, what a scan can hold",
                "give n yourself, loosen epsilon, or use the construction pensia",
            )
        return tuple(int(n) for n in asked)

    def tolerances(self, target: Target | Network, domain: Domain) -> tuple[float, ...] | None:
        """Per-weight tolerances, a layer each; None where the best is wanted."""
        if self.tolerance is not None:
            return (self.tolerance,) * target.depth
        if self.epsilon is None:
            return None
        own = rule_for(target, domain).tolerances(self.epsilon)
        if not isinstance(target, Target):
            return own  # which norms and ranges alone decide
        shared = self._class_tolerances(target, facts(target, domain))
        assert shared is not None
        # never tighter than what `width` was computed for, which may not see single weights
        return own if all(a >= b for a, b in zip(own, shared, strict=True)) else shared

    def _class_tolerances(
        self, target: Target | Network, constants: TargetClass
    ) -> tuple[float, ...] | None:
        """Tolerances that serve every target of the class as well."""
        if self.tolerance is not None:
            return (self.tolerance,) * target.depth
        if self.epsilon is None:
            return None
        if not isinstance(target, Target):
            return rule_for(target, self.region(target)).tolerances(self.epsilon)
        return class_propagation(constants, target.biased).tolerances(self.epsilon)

    def prepared(self, source: Source, target: Target | Network) -> Source:
        """The source as the search and the ticket are to see it; a gadget of fixed blocks has no
        use for neurons that choose their inputs: BadInput."""
        if isinstance(source, AssignedSource):
            remedy = "pass source.plain, or use the construction assigned"
            raise BadInput("source", "an AssignedSource", "a plain Source", remedy)
        return source

    def build(
        self, target: Target | Network, source: Source, progress: Progress | None = None
    ) -> Ticket:
        return self._build(target, source, None, progress)

    def build_resumable(
        self,
        target: Target | Network,
        source: Source,
        folder: Path,
        progress: Progress | None = None,
    ) -> Ticket:
        """As `build`, to the last bit, with every finished piece in `folder`.

        What an interrupted call with the same target, source and options left there is used. Memory
        does not grow with the number of layers: the ticket reads them from there one by one.
        """
        return self._build(target, source, Path(folder), progress)

    def _build(
        self,
        target: Target | Network,
        source: Source,
        folder: Path | None,
        progress: Progress | None,
    ) -> Ticket:
        given: object = target
        if not isinstance(given, Target | Network):
            remedy = "slth.from_module(model) reads a torch model"
            raise BadInput("target", type(given).__name__, "a slth.Target or Network", remedy)
        wiring = None if isinstance(target, Target) else target.wiring
        if source.links != target.links or source.wiring not in (None, wiring):
            raise BadInput("source", f"dims {source.dims}", f"{target.links}", "match the target")
        if source.wiring is None and wiring is not None:
            remedy = "use construction.source_for"
            raise BadInput("source", "a stack of fully connected layers", "the wiring", remedy)
        if any(needs and not has for has, needs in zip(source.bias, target.biased, strict=True)):
            raise BadInput(
                "source", f"bias {source.bias}", "as in the target", "use construction.source_for"
            )
        source = self.prepared(source, target)
        domain = self.region(target)
        etas = self.tolerances(target, domain)

        def find(piece: Piece, threads: int) -> Kept:
            weights = wanted(target, piece.layer, source.bias[piece.layer], piece.first, piece.last)
            eta = None if etas is None else etas[piece.layer]
            half = Half(
                source, piece.layer, piece.half, np.ascontiguousarray(weights.T), eta,
                piece.first, threads,
            )  # fmt: skip
            return self.find(half) if not source.locked else around_locks(half, self.find)

        def absent(layer: int, half: int) -> bool:
            spare = not signed[layer] and self.halves == "needed"
            return half == 1 and (spare or source.linear[layer])

        signed = target.signed

        todo = pieces(source, absent)
        identity = self._identity(target, source, etas)
        kept = search(source, todo, find, folder, identity, progress)
        return self._claim(target, source, kept, domain, etas)

    def _identity(
        self, target: Target | Network, source: Source, etas: tuple[float, ...] | None
    ) -> dict[str, Any]:
        """Everything that the mask depends on."""
        return {
            "slth": slth.__version__,
            "construction": f"{type(self).__module__}.{type(self).__qualname__}",
            "options": {**self._options(), "halves": self.halves},
            "tolerances": etas,
            "target": target.fingerprint,
            "source": source.to_json(),
            "piece": PIECE,
        }

    def _options(self) -> dict[str, Any]:
        """The options that are this construction's own, as JSON."""
        common = {field.name for field in fields(GadgetConstruction)}
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in common}
        return {
            k: v if v is None or isinstance(v, (int, float, str)) else repr(v)
            for k, v in own.items()
        }

    def _claim(
        self,
        target: Target | Network,
        source: Source,
        kept: Sequence[tuple[Kept, Kept]],
        domain: Domain,
        etas: tuple[float, ...] | None,
    ) -> Ticket:
        theorem, failed = self.theorem(facts(target, domain))
        failed += law_failures(source) if theorem is not None else []
        if etas is not None and self.delta is not None and theorem is not None:
            failed += self.too_narrow(source, facts(target, domain), etas, self.delta)
        blank = Claim(
            construction=type(self).__module__.rsplit(".", 1)[-1],
            parameters=self._options(),
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
        return Ticket(source, kept, measured(blank, source, kept, target, domain))


def _number(name: str, value: Any) -> float:
    """The value as a float, exactly, if it is a real number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise BadInput(name, repr(value), "a number", "pass a float")
    return float(value)


def measured(
    claim: Claim,
    source: Source,
    kept: Sequence[tuple[Kept, Kept]],
    target: Target | Network,
    domain: Domain,
) -> Claim:
    """The claim with the numbers that the mask itself gives, some blocks in memory at a time."""

    def of(at: tuple[int, Run]) -> tuple[int, float, int, int, int]:
        i, run = at
        weights = wanted(target, i, source.bias[i], run.first, run.last)
        errors = layer_errors(slopes(source, i, run), weights, signed[i] or claim.halves == "both")
        missed = 0 if claim.tolerances is None else int((errors > claim.tolerances[i]).sum())
        return i, float(errors.max()), missed, *kept_sizes(source, i, run)

    signed = target.signed
    achieved, unmet, into, out = [0.0] * source.pairs, 0, 0, 0
    everything = ((i, run) for i in range(source.pairs) for run in runs(kept, source, i))
    for i, worst, missed, odd, even in in_order(of, everything):
        achieved[i] = max(achieved[i], worst)
        unmet, into, out = unmet + missed, into + odd, out + even
    return replace(
        claim,
        achieved=tuple(achieved),
        error_bound=rule_for(target, domain).error_bound(tuple(achieved)),
        unmet=unmet,
        kept_in=into,
        kept_out=out,
    )

"""What `sims.assigned` measures: a ticket of a kind, the width that is needed, and controls."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from slth.assigned_source import AssignedSource

KINDS = ("fixed", "assigned", "exchanged")
SMALL = (16, 24, 8)
LARGE = (784, 500, 10)
EXACT = 26  # values a gadget of which the optimum is sought, where neurons are assigned
WITHIN = {"fixed": (24, 128), "assigned": (8, 40), "exchanged": (8, 40)}  # where the need lies
DELTA = 0.1  # of the theorem's width


class Dealt(AssignedSource):
    """The control: as many neurons a slot, dealt at random whatever their in-weights."""

    @cached_property
    def places(self) -> tuple[Any, ...]:
        rng = np.random.default_rng(self.seed)
        return tuple(
            np.where(given >= 0, rng.permutation(given.ravel()).reshape(given.shape), -1)
            for given in super().places
        )


class Twice(AssignedSource):
    """The control: in every layer the first neuron of input 0 serves input 1 as well."""

    @cached_property
    def places(self) -> tuple[Any, ...]:
        found = [given.copy() for given in super().places]
        for given in found:
            given[0, 1, 0] = given[0, 0, 0]
        return tuple(found)


def as_kind(kind: type[AssignedSource], source: AssignedSource) -> AssignedSource:
    return kind(**{f.name: getattr(source, f.name) for f in fields(source)})


@cache
def digits() -> Any:
    from slth import models

    return models.read("digits")


def random_target(dims: tuple[int, ...], seed: int) -> Any:
    """Normal weights, every spectral norm a hair below 1."""
    from slth.target import Target

    rng = np.random.default_rng([seed, *dims])
    weights = [rng.normal(size=(b, a)) for a, b in pairwise(dims)]
    scaled = [w / (np.linalg.norm(w, 2) * (1 + 1e-9)) for w in weights]
    return Target(tuple(scaled), (None,) * len(scaled))


def construction(kind: str, **aims: float) -> Any:
    from slth.construct.assigned import Assigned
    from slth.construct.pensia import Pensia

    if kind == "fixed":
        return Pensia(**aims)
    return Assigned(limit=EXACT, looks_at="target" if kind == "exchanged" else "source", **aims)


def built(kind: str, target: Any, n: int, seed: int) -> Any:
    """The ticket with the best gadgets; `dealt` and `twice` are the controls' sources."""
    make = construction(kind if kind in KINDS else "assigned")
    source = make.source_for(target, seed, n)
    if kind not in KINDS:
        source = as_kind(Dealt if kind == "dealt" else Twice, source)
    return make.build(target, source)


def network(part: str, kind: str, n: int, seed: int, epsilon: float) -> dict[str, Any]:
    """A ticket of a whole network, certified and attacked."""
    from slth.certify import certify
    from slth.domain import Ball
    from slth.effective import weight_errors

    f = digits() if part == "digits" else random_target(SMALL, seed)
    ticket = built(kind, f, n, seed)
    found = certify(f, ticket.effective, Ball(1.0, f.dims[0]), effort=0.1)
    return {
        "upper": min(found.upper, ticket.claim.error_bound),
        "lower": found.lower,
        "worst": max(ticket.claim.achieved),
        "typical": float(np.median(weight_errors(ticket.effective, f)[0])),
        "parameters": ticket.source.parameters,
        "exchanged": sum(map(len, getattr(ticket.source, "exchanged", ()))),
    }


def layer(part: str, kind: str, n: int, seed: int, epsilon: float) -> dict[str, Any]:
    """The worst gadget of one 16→8 layer with weights uniform in ± 1/4."""
    from slth.target import Target

    weights = np.random.default_rng([seed, 16, 8]).uniform(-0.25, 0.25, (8, 16))
    ticket = built(kind, Target((weights,), (None,)), n, seed)
    return {"worst": max(ticket.claim.achieved), "hidden": ticket.source.hidden(0)}


def need(part: str, kind: str, n: int, seed: int, epsilon: float) -> dict[str, Any]:
    """The least n at which every gadget is within tolerance, and none at n − 1 is."""
    f = digits() if part == "need" else random_target(LARGE, seed)
    low, high = ends = WITHIN[kind]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if met(f, kind, middle, seed, epsilon) else (middle, high)
    if low == ends[0] or high == ends[1]:
        raise ValueError(f"the need of {kind} blocks may lie outside {ends}")
    return {"need": high}


def met(f: Any, kind: str, n: int, seed: int, epsilon: float) -> bool:
    """Whether all gadgets meet their tolerances; looks no further than the first that does not."""
    from slth.construct._gadgets import Half
    from slth.construct.pensia import products
    from slth.domain import Ball
    from slth.subsetsum import Problem, Status
    from slth.subsetsum.first_hit import FirstHit

    make = construction(kind, epsilon=epsilon)
    source = make.prepared(make.source_for(f, seed, n), f)
    etas = make.tolerances(f, Ball(1.0, f.dims[0]))
    for i, eta in reversed(list(enumerate(etas))):
        for half in (0, 1):
            this = Half(source, i, half, np.ascontiguousarray(f.weights[i].T), eta, 0, 1)
            for start, stop in this.chunks(source.n[i]):
                values = products(this, source.n[i], start, stop)
                problem = Problem(values, this.weights[start:stop].ravel(), eta)
                if (FirstHit(threads=1)(problem).status != Status.SOLVED).any():
                    return False
    return True


def theorem(part: str, kind: str, n: int, seed: int, epsilon: float) -> dict[str, Any]:
    """Whether a source as wide as the theorem asks, for `epsilon` a weight, holds its target."""
    f = random_target(SMALL, seed)
    make = construction(kind, tolerance=epsilon, delta=DELTA)
    claim = make.build(f, make.source_for(f, seed)).claim
    return {"met": claim.met, "speaks": not claim.failed}


def control(part: str, kind: str, n: int, seed: int, epsilon: float) -> dict[str, Any]:
    """`twice`: what verify finds; `moved`: the assigned mask on dealt neurons, attacked."""
    from slth.certify import certify
    from slth.domain import Ball
    from slth.verify import verify

    f = random_target(SMALL, seed)
    if kind == "twice":
        return {"verified": verify(built("twice", f, n, seed), f).ok}
    ticket = built("assigned", f, n, seed)
    moved = replace(ticket, source=as_kind(Dealt, ticket.source))
    found = certify(f, moved.effective, Ball(1.0, f.dims[0]), effort=0)
    return {"lower": found.lower, "claim": ticket.claim.error_bound}


PARTS = {
    "digits": network, "small": network, "layer": layer, "need": need, "large": need,
    "theorem": theorem, "control": control,
}  # fmt: skip

"""Tickets in weights ±1, measured: errors by digits, changed masks, missed links, exactness."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

DIMS, DELTA = (4, 6, 3), 0.01
LINKED, LINK_BITS = (2, 3, 2), 3
EXACT_DELTA = 0.1


def unit_target(seed: int) -> Any:
    """A target of spectral norms 1, drawn at random."""
    from slth.target import Target

    rng = np.random.default_rng([seed, 1])
    drawn = [rng.normal(size=(b, a)) for a, b in pairwise(DIMS)]
    return Target(tuple(w / np.linalg.norm(w, 2) for w in drawn), (None,) * len(drawn))


def rounded(target: Any, bits: int) -> Any:
    """The target's weights as whole multiples of 2^-bits."""
    from slth.target import Target

    parts = tuple(np.ldexp(np.rint(np.ldexp(w, bits)), -bits) for w in target.weights)
    return Target(parts, target.biases)


def digits(kind: str, bits: int, seed: int, size: int) -> dict[str, Any]:
    """A ±1 ticket of a random target, certified, verified, and with one edge changed."""
    from slth.certify import certify
    from slth.construct.binary import Binary
    from slth.domain import Ball
    from slth.layered_verify import verify_layered

    target, ball = unit_target(seed), Ball(1.0, DIMS[0])
    make: Any = Binary(bits=bits, delta=DELTA, routing=kind)  # type: ignore[arg-type]
    source = make.source_for(target, seed)
    ticket = make.build(target, source)
    found = certify(target, ticket.effective, ball, seed=seed, restarts=16, steps=60)
    same = certify(rounded(target, bits), ticket.effective, ball, restarts=1, steps=0, effort=0)
    changed = one_changed(ticket, np.random.default_rng([seed, bits]))
    return {
        "copies": source.copies[0], "depth": source.layers, "width": max(source.widths),
        "parameters": source.parameters, "kept": sum(ticket.sizes),
        "worst": max(ticket.claim.achieved), "unmet": ticket.claim.unmet, "apart": same.upper,
        "lower": found.lower, "upper": found.upper, "claim": ticket.claim.error_bound,
        "true": verify_layered(ticket, target).ok,
        "changed_true": verify_layered(changed, target).ok,
    }  # fmt: skip


def one_changed(ticket: Any, rng: np.random.Generator) -> Any:
    """The ticket with one kept edge moved to a used neuron of the other sign, or dropped."""
    from dataclasses import replace

    from slth.kept import Kept

    source, sizes = ticket.source, np.array([k.indices.size for k in ticket.kept])
    layer = int(rng.choice(sizes.size, p=sizes / sizes.sum()))
    rows, columns = ticket.kept[layer].gadgets, ticket.kept[layer].indices.copy()
    edge = int(rng.integers(rows.size))
    every = np.arange(source.widths[layer])
    signs = source.entries(layer, int(rows[edge]), every)
    used = ticket.used[layer - 1] if layer else np.ones(every.size, dtype=bool)
    free = used & ~np.isin(every, columns[rows == rows[edge]])
    other = every[free & (signs * signs[columns[edge]] < 0)]
    if other.size:
        columns[edge] = rng.choice(other)
    else:
        rows, columns = np.delete(rows, edge), np.delete(columns, edge)
    order = np.lexsort((columns, rows))
    counts = np.bincount(rows, minlength=source.widths[layer + 1])
    kept = list(ticket.kept)
    kept[layer] = Kept.of_counts(counts, columns[order])
    changed = replace(ticket, kept=tuple(kept))
    sizes_now = {"kept_in": changed.kept_in, "kept_out": changed.kept_out}
    return replace(changed, claim=replace(ticket.claim, **sizes_now))


def links(kind: str, bits: int, seed: int, size: int) -> dict[str, Any]:
    """bits: copies. In how many of `size` sources a link is missed, and a weight is."""
    from slth.construct.binary import Binary
    from slth.target import Target

    most = 1 - 2.0**-LINK_BITS
    target = Target(tuple(np.full((b, a), most) for a, b in pairwise(LINKED)), (None, None))
    make: Any = Binary(bits=LINK_BITS, routing=kind)  # type: ignore[arg-type]
    missed = unmet = 0
    for number in range(size):
        search = make.search(target, make.source_for(target, 10_000 * seed + number, bits))
        missed += search.missed > 0
        if search.missed:  # else no weight can be missed
            unmet += make._claim(target, search.source, *search.mask()).claim.unmet > 0
    return {"missed": missed, "unmet": unmet, "bound": bound(kind, bits)}


def bound(routing: str, copies: int) -> float:
    """The theorem's bound on the chance that the target of `links` misses one."""
    from slth.bounds import _binary_layout as layout

    stages = layout.stages(LINKED, (False,) * 2, (LINK_BITS,) * 2)
    return layout.failure(stages, copies, routing)  # type: ignore[arg-type]


def exactly(kind: str, bits: int, seed: int, size: int) -> dict[str, Any]:
    """How many of `size` sources, as wide as the theorem asks, hold a grid target exactly."""
    from slth.construct.binary import Binary
    from slth.construct.quantised import Quantised

    make: Any = (
        Quantised(step=2.0**-bits, delta=EXACT_DELTA)
        if kind == "quantised"
        else Binary(bits=bits, delta=EXACT_DELTA, routing=kind)  # type: ignore[arg-type]
    )
    right, width = 0, 0
    for number in range(size):
        target = rounded(unit_target(10_000 * seed + number), bits)
        source = make.source_for(target, 10_000 * seed + number)
        right += max(make.build(target, source).claim.achieved) == 0
        width = max(width, *source.n)
    return {"right": right, "n": width}

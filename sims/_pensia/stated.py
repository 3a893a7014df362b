"""(b), as the theorem states it: products, both halves, and the ticket is the masked network."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from sims._pensia import (
    DEALT,
    EFFORT,
    FIRST_HIT,
    GRID,
    HALVES,
    HEADLINE,
    TOLERANCE,
    WIDEST,
    Floats,
    N,
    compared,
    target_of,
)  # fmt: skip


def as_stated(
    name: str, n: int, seed: int, part: str, certified: bool, device: str = "cpu"
) -> dict[str, Any]:
    from slth.certify import certify
    from slth.construct.pensia import Pensia
    from slth.domain import Ball
    from slth.effective import weight_errors
    from slth.verify import verify

    f = target_of(name)
    make = Pensia(tolerance=TOLERANCE if part == FIRST_HIT else None, device=device)
    start = time.process_time()
    ticket = make.build(f, make.source_for(f, seed, n))
    seconds = time.process_time() - start
    if part == DEALT:
        return compared(name, dealt(ticket, seed))
    errors = np.concatenate([e.ravel() for e in weight_errors(ticket.effective, f)])
    result = {
        **compared(name, ticket),
        "weights": errors.size,
        "solved": int((errors <= TOLERANCE).sum()),
        "worst_weight": max(ticket.claim.achieved),
        "typical_weight": float(np.median(errors)),
        "kept": ticket.kept_in + ticket.kept_out,
        "kept_of_products": ticket.kept_out / (2 * errors.size * n),
        "parameters": ticket.source.parameters,
        "claim": ticket.claim.error_bound,
        "core_seconds": seconds,
        "failed": list(ticket.claim.failed),
    }
    if not certified:
        return result
    if n == HEADLINE and not verify(ticket, f).ok:
        raise AssertionError(f"n={n} seed={seed}: the ticket's claim is false")
    found = certify(f, ticket.effective, Ball(1.0, f.dims[0]), effort=EFFORT)
    upper = min(found.upper, ticket.claim.error_bound)
    return {**result, "upper": upper, "lower": found.lower}


def dealt(ticket: Any, seed: int) -> Any:
    """The ticket with the lists of kept neurons of each block dealt to other outputs at random."""
    from dataclasses import replace

    from slth.kept import Kept

    rng = np.random.default_rng(seed)
    layers = []
    for layer, pair in enumerate(ticket.kept):
        outputs = ticket.source.outputs(layer)
        halves = []
        for old in pair:
            blocks = old.counts.size // outputs
            new = rng.permuted(np.tile(np.arange(outputs), (blocks, 1)), axis=1)
            owner = (np.arange(blocks)[:, None] * outputs + new).ravel()[old.gadgets]
            order = np.argsort(owner, kind="stable")
            counts = np.bincount(owner, minlength=old.counts.size)
            halves.append(Kept.of_counts(counts, old.indices[order]))
        layers.append(tuple(halves))
    return replace(ticket, kept=tuple(layers))


def smallest_n(name: str, seed: int) -> dict[str, Any]:
    """How many neurons a half the hungriest weight needs, and the halves unsolved along GRID."""
    from slth.construct.pensia import Pensia

    f = target_of(name)
    source = Pensia().source_for(f, seed, WIDEST)
    needed, beyond = [], []
    for layer, w in enumerate(f.weights):
        for half in (0, 1):
            needed.append(used_by(source, layer, half, np.ascontiguousarray(w.T)))
            beyond.append(np.abs(w.T.ravel()) > TOLERANCE)
    n = np.concatenate(needed)
    hungry = n[np.concatenate(beyond)]
    return {
        "needed": int(n.max()) if np.isfinite(n.max()) else None,
        "unsolved": [float((hungry > k).mean()) for k in GRID],
        "unsolved_at_21": float((hungry > N).mean()),
        "unsolved_of_all_at_21": float((n > N).mean()),
    }


def used_by(source: Any, layer: int, half: int, weights: Floats) -> Floats:
    """For each gadget the n from which on it has a subset within the tolerance (inf: none)."""
    from slth.construct._gadgets import Half
    from slth.construct.pensia import products
    from slth.subsetsum import Problem, Status
    from slth.subsetsum.first_hit import FirstHit

    gadgets, width, needed = Half(source, layer, half, weights, TOLERANCE), source.n[layer], []
    for start, stop in gadgets.chunks(width):
        wanted = weights[start:stop].ravel()
        problem = Problem(products(gadgets, width, start, stop), wanted, TOLERANCE)
        found = FirstHit(threads=1)(problem)
        needed.append(np.where(found.status == Status.SOLVED, found.used, np.inf))
    return np.concatenate(needed)


def uniform_targets(seed: int) -> dict[str, Any]:
    """Independent halves, each with a weight uniform in [-1, 1]: how many have no subset."""
    from slth.source import Source

    weights = np.random.default_rng(seed).uniform(-1, 1, (HALVES, 1))
    needed = used_by(Source((HALVES, 1), N, False, seed), 0, 0, weights)
    return {"halves": HALVES, "unsolved": int(np.isinf(needed).sum())}

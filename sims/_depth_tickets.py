"""Tickets one layer deeper than small and larger targets, beside those of twice their depth."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sims._claims.one_layer_more import living

Floats = NDArray[np.float64]
Row = dict[str, Any]
TOLERANCE, COPIES, READERS, HALF = 0.005, 32, 40, 80  # n of the constructions; HALF: Pensia's
WIDTH = 4  # of the small targets
COARSER = 8  # tolerances of a control
SMALL = 0.1  # what the layers of small targets are scaled by
POINTS = 2000
TRIED = (32, 100)  # restarts and steps of the attack
LENET, TARGET_SEED = "mlp:784,300,100,10", 40
PRUNING = (8, 0.7, 0.3)  # rounds, share kept in each, least share of the last layer
PUBLISHED_N, PUBLISHED_TOLERANCE = 15, 0.01


# -- errors against depth --------------------------------------------------------------------------


def target_of(kind: str, depth: int, seed: int) -> Any:
    """Orthogonal layers of width 4 that no ReLU kills; scaled down where small ones are wanted."""
    from slth.target import Target

    layers = living(depth, POINTS, np.random.default_rng([seed, depth]))[0]
    scale = SMALL if kind == "small" else 1.0
    return Target(tuple(scale * w for w in layers), (None,) * depth)


def errors(kind: str, depth: int, seed: int) -> Row:
    """Errors of every construction on one target over the unit ball, as found by attack, and what
    is proved of them."""
    from slth.chains import as_chain
    from slth.construct._copies import SUBSETS
    from slth.construct.depth_l_plus_1 import DepthLPlus1
    from slth.domain import Ball
    from slth.layered_distance import distances, loads

    target = target_of(kind, depth, seed)
    network, domain = as_chain(target)[0], Ball(1.0, WIDTH)
    n = (READERS, *(COPIES,) * (depth - 1))
    found: Row = {"norm": reached(lambda x: target(x) * 0, target, seed)}
    for name in SUBSETS:
        make = DepthLPlus1(tolerance=TOLERANCE, subsets=name)
        ticket = make.build(target, make.source_for(target, seed, n))
        certificate = attacked(ticket, target, domain)
        found[name] = max(certificate.lower, reached(ticket, target, seed))
        found[f"{name}_upper"] = certificate.upper
        found[f"{name}_unmet"] = ticket.claim.unmet
        if name == "fewest":
            behind = distances(ticket.apart, network, domain)
            found["gains"] = [d.amplification for d in behind[1:]]
            found["sums"] = [float(np.abs(w).sum(axis=1).max()) for w in target.weights[1:]]
            found["load"] = loads(ticket.apart)[0] / np.sqrt(WIDTH)
            found["by_norms"] = by_norms(target, float(behind[0].error.max()), found["sums"])
            found["identical"] = plain_error(alike(ticket.apart), target, seed)
    found["doubled"], found["doubled_unmet"] = doubled(target, seed)
    make = DepthLPlus1(tolerance=TOLERANCE * COARSER)
    coarse = make.build(target, make.source_for(target, seed, n))
    found["coarser"] = plain_error(alike(coarse.apart), target, seed)
    return found


def attacked(ticket: Any, target: Any, domain: Any) -> Any:
    from slth.layered_certify import certify_copies

    return certify_copies(target, ticket, domain, restarts=TRIED[0], steps=TRIED[1])


def reached(network: Any, target: Any, seed: int) -> float:
    """The largest error at random points of the unit sphere."""
    x = np.random.default_rng([seed, 1]).normal(size=(POINTS, WIDTH))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return float(np.linalg.norm(network(x) - target(x), axis=1).max())


def plain_error(effective: Any, target: Any, seed: int) -> float:
    """Of a network of the target's shape, by attack."""
    from slth.certify import certify
    from slth.domain import Ball

    found = certify(
        target, effective, Ball(1.0, WIDTH), restarts=TRIED[0], steps=TRIED[1], effort=0
    )
    return max(found.lower, reached(effective, target, seed))


def doubled(target: Any, seed: int) -> tuple[float, int]:
    """The ticket of twice the target's depth: its error, and how many weights it misses."""
    from slth.construct.pensia import Pensia

    make = Pensia(tolerance=TOLERANCE)
    ticket = make.build(target, make.source_for(target, seed, HALF))
    return plain_error(ticket.effective, target, seed), ticket.claim.unmet


def alike(copies: Any) -> Any:
    """The network in which all copies of a neuron are forced to be its first one: copies that carry
    the same make of the kept values their sum, and nothing else of them matters."""
    from slth.effective import Effective

    first = [np.unique(owners, return_index=True)[1] for owners in copies.owners]
    p, q, slack = (part[first[0]] for part in copies.slopes)
    weights = []
    for i, links in enumerate(copies.links[1:], start=1):
        each = np.zeros((copies.owners[i - 1].size, len(first[i - 1])))
        each[np.arange(len(each)), copies.owners[i - 1]] = 1
        weights.append((links @ each)[first[i]])
    offsets = [copies.offsets[i][0][rows] for i, rows in enumerate(first)]
    loose = [np.column_stack([slack, np.zeros(len(slack))])]
    loose += [np.full((w.shape[0], w.shape[1] + 1), 1e-14) for w in weights]
    return Effective((p, *weights), (q, *weights), tuple(offsets), tuple(loose))


def by_norms(target: Any, own: float, sums: list[float]) -> float:
    """A bound on the error as if a layer amplified errors by its weights alone, which copies that
    err alike would allow: e ≤ (‖W‖_∞ + 4η) e + η Σ|y|. It does not hold for copies that differ.

    own: of the first layer; sums: ‖W‖_∞ of the others.
    """
    off, norm = own, 1.0
    for w, before, largest in zip(target.weights[1:], target.weights, sums, strict=False):
        norm *= float(np.linalg.norm(before, 2))
        off = (largest + WIDTH * TOLERANCE) * off + TOLERANCE * np.sqrt(w.shape[1]) * norm
    return float(np.sqrt(WIDTH) * off)


# -- accuracy --------------------------------------------------------------------------------------


@cache
def digits() -> tuple[Any, Any, Any, Any]:
    """Training and held-out digits and labels, pixels in [0, 1]."""
    from slth.data import images

    x, labels = images.mnist5k()
    test = images.held_out(labels)
    return x[~test], labels[~test], x[test], labels[test]


@cache
def lenet(pruned: bool, seed: int) -> Any:
    """A 784-300-100-10 target trained on the digits, or pruned by magnitude in rounds besides."""
    import torch

    from slth.nets.architectures import build
    from slth.nets.fitting import Recipe, train
    from slth.target import from_module

    torch.set_num_threads(1)
    x, labels = (torch.from_numpy(part) for part in digits()[:2])
    model = build(LENET, seed=seed)
    train(model, {}, x.float(), labels, Recipe(10), seed)
    rounds, share, least = PRUNING
    layers = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    for r in range(1, rounds + 1 if pruned else 1):
        masks = {}
        for place, (name, layer) in enumerate(layers.items(), start=1):
            kept = max(share**r, least if place == len(layers) else 0.0)
            size = layer.weight.detach().abs()
            edge = size.flatten().topk(int(size.numel() * kept)).values[-1]
            masks[name] = size >= edge
        train(model, masks, x.float(), labels, Recipe(5), seed)
    return from_module(model)


def accuracy(kind: str, seed: int) -> Row:
    """Of a ticket of the published size, and of its target, on held-out digits."""
    from slth.construct.depth_l_plus_1 import DepthLPlus1
    from slth.domain import Box
    from slth.nets import digits as small

    if kind == "digits":
        target, (x, labels) = small.load_untouched(), small.test_set()
        domain = None
    else:
        target, (x, labels) = lenet(kind == "pruned", TARGET_SEED), digits()[2:]
        domain = Box(np.zeros(784), np.ones(784))
    make = DepthLPlus1(tolerance=PUBLISHED_TOLERANCE, domain=domain)
    ticket = make.build(target, make.source_for(target, seed, PUBLISHED_N))
    wanted, found = target(x), ticket(x)
    return {
        "target": float((wanted.argmax(axis=1) == labels).mean()),
        "ticket": float((found.argmax(axis=1) == labels).mean()),
        "error": float(np.linalg.norm(found - wanted, axis=1).mean()),
        "size": float(np.linalg.norm(wanted, axis=1).mean()),
        "unmet": ticket.claim.unmet,
        "kept": ticket.kept_in + ticket.kept_out,
        "parameters": ticket.source.parameters,
        "nonzero": int(sum((w != 0).sum() for w in target.weights)),
    }


# -- the theorem's copies --------------------------------------------------------------------------


def asked(depth: int, gain: float | None, width: int, epsilon: float, delta: float) -> float:
    """Copies of the first hidden neurons that subset sums need, layers of norm 1 on the unit ball.

    Per-weight tolerances as in `slth.bounds.depth_plus_one`, but a layer amplifies errors by `gain`
    (None: by width times copies, as there, which counts every value as kept and as 1).
    """
    from slth.bounds.random_subset_sum import n_rss_reach

    rest, rho = np.log(epsilon / depth / np.sqrt(width)), 1
    for _ in range(depth, 1, -1):
        eta = float(np.exp(rest - np.log(np.sqrt(width))))
        rho = n_rss_reach(eta, 1.0, delta / (depth * rho * width * width))
        rest -= np.log(width * rho if gain is None else gain)
    return float(rho)

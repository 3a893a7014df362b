"""The claim that a mask tells one target from the others: how many a source can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import Floats
from sims._claims._shared import spread
from sims._protocol import Control, exact
from slth.stats.verdict import Verdict

PACKED_BITS = [1, 2, 3, 4, 5]  # log2(1/2ε)
SOURCES = 200  # for each ε and number of weights
SQUARE_SOURCES = 30  # of two inputs and outputs
REDRAWN = 100_000
DIRECTIONS = 64
WIDEST = 26  # hidden neurons


def line_targets(epsilon: float) -> Floats:
    """As many w in [−1, 1] as can lie more than 2ε apart, in equal steps."""
    count = int(np.ceil(1 / epsilon - 1e-9))  # 2/(count − 1) > 2ε
    return np.linspace(-1, 1, count)


def sums(products: Floats) -> Floats:
    """All subset sums, `[2^n]`."""
    found = np.zeros(1)
    for p in products:
        found = np.concatenate([found, found + p])
    return np.sort(found)


def near(found: Floats, targets: Floats, epsilon: float) -> Any:
    """Which targets have one of the sorted numbers nearer than epsilon."""
    at = np.searchsorted(found, targets)
    above = found[np.minimum(at, len(found) - 1)]
    below = found[np.maximum(at - 1, 0)]
    return np.minimum(np.abs(above - targets), np.abs(below - targets)) < epsilon


def line_matched(u: Floats, v: Floats, targets: Floats, epsilon: float) -> Any:
    """Which x ↦ wx are met within ε on [−1, 1] by some mask of x ↦ v·relu(u·x): either slope is a
    subset sum of the products of its own neurons."""
    halves = [sums((u * v)[sign * u > 0]) for sign in (1, -1)]
    return near(halves[0], targets, epsilon) & near(halves[1], targets, epsilon)


def packed_matrices(epsilon: float, rng: np.random.Generator, tries: int) -> Floats:
    """Random 2 × 2 matrices of norm at most 1, each more than 2ε from those before, `[P, 2, 2]`."""
    drawn = rng.uniform(-1, 1, (tries, 2, 2))
    kept = np.empty((0, 2, 2))
    for w in drawn[np.linalg.norm(drawn, 2, axis=(1, 2)) <= 1]:
        if not len(kept) or np.linalg.norm(kept - w, 2, axis=(1, 2)).min() > 2 * epsilon:
            kept = np.concatenate([kept, w[None]])
    return kept


def square_matched(
    first: Floats, second: Floats, targets: Floats, epsilon: float, x: Floats
) -> Any:
    """Which x ↦ Wx are met within ε at all points x `[X, 2]` by a mask of a 2-h-2 ReLU network.

    More may seem met at some points than are on the whole ball, never fewer."""
    weights = first.size + second.size
    bits = (np.arange(2**weights)[:, None] >> np.arange(weights)) & 1
    low = bits[:, : first.size].reshape(-1, *first.shape) * first
    high = bits[:, first.size :].reshape(-1, *second.shape) * second
    y = np.maximum(x @ low.transpose(0, 2, 1), 0) @ high.transpose(0, 2, 1)  # [masks, X, 2]
    wanted = x @ targets.transpose(0, 2, 1)
    return np.array([(((y - w) ** 2).sum(-1).max(-1) < epsilon**2).any() for w in wanted])


def sample_packing(smoke: bool, rng: np.random.Generator) -> Data:
    sources = 10 if smoke else SOURCES
    laws = {
        "uniform": lambda shape: rng.uniform(-1, 1, shape),
        "normal": lambda shape: rng.normal(size=shape),
        "powers": lambda shape: 2.0 ** -rng.integers(0, 8, shape) * rng.choice([-1, 1], shape),
    }
    cases, bad = 0, 0
    for bits in PACKED_BITS:
        epsilon = 0.5 * 2.0**-bits
        targets = line_targets(epsilon)
        counts = np.empty((sources, WIDEST), dtype=int)
        for k in range(sources):
            u, v = (laws[tuple(laws)[k % 3]](WIDEST) for _ in range(2))
            for h in range(1, WIDEST + 1):
                counts[k, h - 1] = line_matched(u[:h], v[:h], targets, epsilon).sum()
        cases += counts.size
        bad += int((counts > 2.0 ** (2 * np.arange(1, WIDEST + 1))).sum())
    angles = rng.uniform(0, 2 * np.pi, DIRECTIONS)
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for epsilon in (0.3, 0.1):
        matrices = packed_matrices(epsilon, rng, 300 if smoke else 3000)
        for k in range(2 if smoke else SQUARE_SOURCES):
            draw = laws[tuple(laws)[k % 3]]
            h = 1 + k % 2
            found = square_matched(draw((h, 2)), draw((2, h)), matrices, epsilon, x)
            cases += 1
            bad += int(found.sum()) > 2.0 ** (4 * h)
    # a source that is drawn anew until it meets the target: two neurons, four weights, 16 masks
    u, v = rng.uniform(-1, 1, (2, REDRAWN, 2))
    narrow = 0.5 * 2.0 ** -PACKED_BITS[-1]
    targets = line_targets(narrow)
    sign = (u[:, 0] > 0) & (u[:, 1] < 0)
    p, q = (u * v)[sign].T
    met = (np.abs(targets[:, None] - p) < narrow) & (np.abs(targets[:, None] - q) < narrow)
    return {
        "met": counts,  # at the smallest tolerance
        "targets": len(targets),
        "bad": bad,
        "cases": cases,
        "redrawn": int(met.any(axis=1).sum()),
        "masks": 2**4,
    }


def judge_packing(data: Data) -> tuple[Verdict, Control]:
    what = "targets met ≤ 2^N"
    beyond = max(0, data["redrawn"] - data["masks"])
    broken = "a source drawn anew until it meets a target"
    return (
        exact(what, data["bad"], data["cases"]),
        Control(broken, exact(what, beyond, data["redrawn"])),
    )


def draw_packing(ax: Any, data: Data) -> None:
    from slth import plot

    n = 2 * np.arange(1, WIDEST + 1)
    plot.band(ax, n, *spread(np.maximum(data["met"], 0.5)), "met by one source", series=0)
    plot.curve(ax, n, np.minimum(2.0**n, data["targets"]), "bound 2^N", series=1)
    plot.curve(ax, [4], [data["redrawn"]], "redrawn for each", series=2, marked=True)
    plot.log_scale(ax, "y")
    count = f"of {data['targets']} targets [1]"
    ax.set(xlabel="prunable weights N [1]", ylabel=count, ylim=(0.8, 90))
    plot.legend(ax, loc="upper left", bbox_to_anchor=(0.1, 0.95))


CLAIMS = (
    Claim(
        21,
        "counting masks",
        "A source of N prunable weights, whatever they are, is within ε of at most 2^N of any "
        "linear maps that lie more than 2ε apart; so to hold all of d² dimensions it needs "
        "N ≥ d²·log2(1/2ε) − 1: Pensia et al. (2020), theorem 2.",
        f"Any source that meets more: d = 1, ε = 2^-2 … 2^-6, three laws, {SOURCES} sources of "
        f"2 to 52 weights each; d = 2, ε = 0.3 and 0.1, {SQUARE_SOURCES} sources of 4 or 8 "
        "weights, all masks.",
        sample_packing, judge_packing, draw_packing, 5.0,
    ),
)  # fmt: skip

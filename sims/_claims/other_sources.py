"""A claim about other sources: edges that may be missing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import RESAMPLES, Floats, at_most, between, together
from sims._claims._shared import every, half_points, resampled_rates
from sims._claims.subset_sums import slope
from sims._protocol import Control
from slth.stats.verdict import Verdict

SHAPE = (3, 3, 2)
DENSITIES = [0.6, 0.4, 0.2, 0.1]
DELTAS = [0.5, 0.3]
EDGE_TRIALS = 2500
FACTORS = [0.6, 0.75, 0.9, 1.0, 1.15, 1.3]  # of the bound's copies, to find half-points
HALF_TRIALS = 600
PROPORTIONAL = (0.9, 1.3)  # slope of ln m50 against −ln ln(1/(1 − p))


def all_there(m: int, p: float, trials: int, rng: np.random.Generator) -> int:
    """In how many Erdős–Rényi sources, with m copies of each input and hidden neuron, each copy of
    a neuron (and each output) has an edge from some copy of each of its inputs."""
    done = 0
    step = max(1, 4_000_000 // (m * m * SHAPE[0] * SHAPE[1]))
    for first in range(0, trials, step):
        count = min(step, trials - first)
        good = np.ones(count, dtype=bool)
        for i, (a, b) in enumerate(pairwise(SHAPE)):
            ends = b if i == len(SHAPE) - 2 else m * b
            edges = rng.random((count, ends, a, m), dtype=np.float32) < p
            good &= edges.any(axis=-1).all(axis=(1, 2))
        done += int(good.sum())
    return done


def target_copies(p: float, delta: float) -> int:
    """What a union over the target's edges alone would ask for."""
    edges = sum(a * b for a, b in pairwise(SHAPE))
    return int(np.ceil(np.log(edges / delta) / -np.log1p(-p)))


def sample_edges(smoke: bool, rng: np.random.Generator) -> Data:
    from slth.bounds import TargetClass
    from slth.bounds.random_sparse import copies_needed

    facts = TargetClass(SHAPE, False, (1.0, 1.0), (1.0, 1.0), 1.0)
    densities = DENSITIES[:3] if smoke else DENSITIES
    trials, halves = (900, 60) if smoke else (EDGE_TRIALS, HALF_TRIALS)
    points, broken, grid, hits = [], [], [], []
    for p in densities:
        for delta in DELTAS:
            for rows, m in (
                (points, copies_needed(facts, p, delta)),
                (broken, target_copies(p, delta)),
            ):
                rows.append([p, delta, m, trials - all_there(m, p, trials, rng)])
        m = copies_needed(facts, p, 0.5)
        grid.append(sorted({max(1, round(f * m)) for f in FACTORS}))
        hits.append([all_there(k, p, halves, rng) for k in grid[-1]])
    return {
        "densities": densities,
        "points": points,
        "broken": broken,
        "trials": trials,
        "grid": grid,
        "hits": hits,
        "half_trials": halves,
    }


def judge_edges(data: Data) -> tuple[Verdict, Control]:
    def sufficient(key: str) -> dict[str, Verdict]:
        return {
            f"p = {p:g}, δ = {delta:g}": at_most(failed, data["trials"], delta)
            for p, delta, _, failed in data[key]
        }

    one, many = half_copies(data, RESAMPLES)
    x = -np.log(-np.log1p(-np.array(data["densities"])))
    growth = between(
        slope(x, np.log(one))[0], slope(x, np.log(many)), *PROPORTIONAL, "log-log slope of m50"
    )
    verdict = together({**sufficient("points"), "width": growth})
    broken = "the union over the target's edges alone"
    return verdict, Control(broken, every(sufficient("broken")))


def half_copies(data: Data, resamples: int) -> tuple[Floats, Floats]:
    """Copies at which half of the sources have all edges, `[1, K]`, and of resamples `[R, K]`."""
    columns = []
    for grid, hits in zip(data["grid"], data["hits"], strict=True):
        rates = np.array(hits)[None] / data["half_trials"]
        drawn = resampled_rates(hits, data["half_trials"], 25 + len(columns), resamples)
        columns.append((half_points(grid, rates), half_points(grid, drawn)))
    return tuple(np.stack(c, axis=-1) for c in zip(*columns, strict=True))  # type: ignore[return-value]


def draw_edges(ax: Any, data: Data) -> None:
    from slth import plot

    one, many = half_copies(data, 1000)
    x = 1 / -np.log1p(-np.array(data["densities"]))
    low, high = np.quantile(many, [0.025, 0.975], axis=0)
    plot.band(ax, x, low, np.clip(one[0], low, high), high, "needed: half succeed", series=0)
    for series, (key, label) in enumerate(
        (("points", "bound, δ = 1/2"), ("broken", "target's edges alone")), start=1
    ):
        m = [row[2] for row in data[key] if row[1] == DELTAS[0]]
        plot.curve(ax, x, m, label, series=series, marked=True)
    plot.log_scale(ax)
    ax.set(xlabel="1/ln(1/sparsity) [1]", ylabel="copies of a neuron m [1]")
    plot.legend(ax, loc="upper left")


CLAIMS = (
    Claim(
        25,
        "random sparse sources",
        "With m copies of each input and hidden neuron, (1 − p)^m·Σ c·d·d' ≤ δ, c = m for hidden "
        "layers and 1 for the last, leaves room for every target in a network whose edges exist "
        "with probability p; so the width grows as 1/log(1/sparsity), up to a logarithm: Gadhikar "
        "et al. (2022), the union over the source's edges derived here.",
        f"More failures than δ at the least such m for any p of {DENSITIES}, δ of {DELTAS}, "
        f"target {SHAPE}, {EDGE_TRIALS} sources each; log-log slope of the m at which half succeed "
        f"against 1/ln(1/(1 − p)) outside {PROPORTIONAL}, {HALF_TRIALS} sources a point, "
        f"{RESAMPLES} resamples.",
        sample_edges, judge_edges, draw_edges, 1.5,
    ),
)  # fmt: skip

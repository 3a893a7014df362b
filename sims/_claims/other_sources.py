"""Claims about other sources: one layer more than the target, and edges that may be missing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import RESAMPLES, Floats, at_most, between, together, weights
from sims._claims._shared import every, half_points, resampled_rates, spread
from sims._claims.subset_sums import slope
from sims._protocol import Control, exact
from slth.stats.verdict import Verdict

# -- 24: depth L + 1 -------------------------------------------------------------------------------

WIDTH = 4
DEPTHS = [2, 3, 4, 5]
COPIES = 12  # of each hidden neuron, and usable values of each subset sum
TOLERANCE = 0.05
COARSER = 8  # tolerances of the control
COMPARABLE = 2.0
DEPTH_SEEDS = 150
POINTS = 400  # of the unit sphere, a lower estimate of the supremum


def subsets() -> Floats:
    """All subsets of COPIES values, small ones first, `[2^n, n]`."""
    bits = (np.arange(2**COPIES)[:, None] >> np.arange(COPIES)) & 1
    return np.asarray(bits[np.argsort(bits.sum(axis=1), kind="stable")], dtype=np.float64)


def chosen(values: Floats, wanted: Floats, tolerance: float, all_subsets: Floats) -> Floats:
    """The smallest subset within the tolerance, as in the published search, else the nearest:
    kept values `[rows, n]`, others zero, of values `[rows, n]` for wanted `[rows]`."""
    miss = np.abs(values @ all_subsets.T - wanted[:, None])
    met = miss <= tolerance
    at = np.where(met.any(axis=1), met.argmax(axis=1), miss.argmin(axis=1))
    return np.asarray(values * all_subsets[at])


def pair_layer(w: Floats, copies: int, tolerance: float, rng: Any, bits: Floats) -> list[Floats]:
    """Slopes `[copies, out, in]` for x >= 0 and x < 0 of a layer built by diamonds: usable products
    u·v, the in-weights shared by all outputs and copies."""
    found = []
    for _ in range(2):
        u = rng.uniform(0, 1, (w.shape[1], COPIES))
        v = rng.uniform(-1, 1, (copies, *w.shape, COPIES))
        wanted = np.broadcast_to(w, (copies, *w.shape)).ravel()
        kept = chosen((v * u).reshape(-1, COPIES), wanted, tolerance, bits)
        found.append(kept.sum(axis=1).reshape(copies, *w.shape))
    return found


def doubled(target: list[Floats], x: Floats, tolerance: float, rng: Any, bits: Floats) -> Floats:
    """The network of twice the depth on x `[points, in]`: a diamond for each weight."""
    for i, w in enumerate(target):
        up, down = (slopes[0] for slopes in pair_layer(w, 1, tolerance, rng, bits))
        x = np.maximum(x, 0) @ up.T + np.minimum(x, 0) @ down.T
        x = np.maximum(x, 0) if i < len(target) - 1 else x
    return x


def plus_one(
    target: list[Floats], x: Floats, tolerance: float, same: bool, rng: Any, bits: Floats
) -> tuple[Floats, Floats]:
    """(outputs, proved bound on each output's error) of one layer more than the target on x.

    Each hidden neuron is built COPIES times; a weight of a later layer is a subset of plain random
    weights to the copies of its input. same: all copies of a neuron are forced to be equal.
    """
    sums = [np.abs(x).sum(axis=1)]  # of the layers' inputs in the target
    y = x
    for w in target[:-1]:
        y = np.maximum(y @ w.T, 0)
        sums.append(y.sum(axis=1))
    up, down = pair_layer(target[0], 1 if same else COPIES, tolerance, rng, bits)
    if same:
        up, down = (np.repeat(slopes, COPIES, axis=0) for slopes in (up, down))
    y = np.maximum(x, 0) @ up.transpose(0, 2, 1) + np.minimum(x, 0) @ down.transpose(0, 2, 1)
    worst = max(float(np.abs(s - target[0]).max()) for s in (up, down))
    off = worst * sums[0]
    for i, w in enumerate(target[1:], start=1):
        count = 1 if same or i == len(target) - 1 else COPIES
        v = rng.uniform(-1, 1, (count, *w.shape, COPIES))
        wanted = np.broadcast_to(w, (count, *w.shape)).ravel()
        kept = chosen(v.reshape(-1, COPIES), wanted, tolerance, bits).reshape(v.shape)
        eta = float(np.abs(kept.sum(axis=-1) - w).max())
        off = eta * sums[i] + float(np.abs(kept).sum(axis=(2, 3)).max()) * off
        # y: [copies, points, in]
        y = np.einsum("cjak,kpa->cpj", kept, np.maximum(y, 0), optimize=True)
        y = np.repeat(y, COPIES, axis=0) if same and i < len(target) - 1 else y
    return y[0], off


def living(
    depth: int, points: int, rng: np.random.Generator
) -> tuple[list[Floats], Floats, Floats]:
    """A random target of norms 1, points of the unit sphere, and its outputs there: not 0 at more
    than half of them, as they often are in narrow deep networks."""
    while True:
        target = [rng.normal(size=(WIDTH, WIDTH)) for _ in range(depth)]
        target = [w / np.linalg.norm(w, 2) for w in target]
        x = rng.normal(size=(points, WIDTH))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        y = x
        for i, w in enumerate(target):
            y = (np.maximum(y, 0) if i else y) @ w.T
        if 2 * y.any(axis=1).sum() > points:
            return target, x, y


def sample_depth(smoke: bool, rng: np.random.Generator) -> Data:
    bits, points = subsets(), 50 if smoke else POINTS
    seeds, depths = (6, [2, 3]) if smoke else (DEPTH_SEEDS, DEPTHS)
    found: dict[str, list[list[float]]] = {"independent": [], "identical": [], "coarser": []}
    beyond = cases = 0
    for _ in range(seeds):
        rows: dict[str, list[float]] = {name: [] for name in found}
        for depth in depths:
            target, x, wanted = living(depth, points, rng)

            def size(y: Floats, wanted: Floats = wanted) -> float:
                return float(np.linalg.norm(y - wanted, axis=1).max())

            base = size(doubled(target, x, TOLERANCE, rng, bits))
            for name, same, eta in (
                ("independent", False, TOLERANCE),
                ("identical", True, TOLERANCE),
                ("coarser", True, COARSER * TOLERANCE),
            ):
                y, off = plus_one(target, x, eta, same, rng, bits)
                rows[name].append(round(float(np.log2(size(y) / base)), 4))
                beyond += int((np.abs(y - wanted).max(axis=1) > off * (1 + 1e-9)).sum())
                cases += len(x)
        for name, row in rows.items():
            found[name].append(row)
    return {"depths": depths, "log2_ratio": found, "beyond": beyond, "cases": cases}


def medians(table: Floats, resamples: int) -> tuple[Floats, Floats]:
    """Medians over seeds of `[seeds, K]`, and of resampled seeds `[R, K]`."""
    share = weights(len(table), np.random.default_rng(24), resamples)
    order = np.argsort(table, axis=0)
    drawn = []
    for column, rank in zip(table.T, order.T, strict=True):
        mass = np.cumsum(share[:, rank], axis=1)
        drawn.append(column[rank][(mass < 0.5 - 1e-12).sum(axis=1)])
    return np.median(table, axis=0), np.stack(drawn, axis=1)


def judge_depth(data: Data) -> tuple[Verdict, Control]:
    def comparable(name: str) -> Verdict:
        # the ratio at the deepest target, where a factor a layer shows most
        table = np.array(data["log2_ratio"][name])
        one, many = medians(table, RESAMPLES)
        what = f"median error over the 2L construction's at L = {data['depths'][-1]}"
        return between(2.0 ** one[-1], 2.0 ** many[:, -1], 1 / COMPARABLE, COMPARABLE, what)

    verdict = together(
        {
            "independent copies": comparable("independent"),
            "identical copies": comparable("identical"),
            "bound with Σ|v|": exact("error ≤ derived bound", data["beyond"], data["cases"]),
        }
    )
    broken = f"identical copies, tolerances {COARSER} times as large"
    return verdict, Control(broken, comparable("coarser"))


def draw_depth(ax: Any, data: Data) -> None:
    from slth import plot

    names = {"independent": "independent copies", "identical": "identical copies"}
    for series, (name, label) in enumerate(names.items()):
        table = 2.0 ** np.array(data["log2_ratio"][name])
        plot.band(ax, data["depths"], *spread(table), label, series=series)
    plot.curve(ax, data["depths"], [COMPARABLE] * len(data["depths"]), "claimed at most", series=2)
    plot.log_scale(ax, "y")
    ax.set(xlabel="target depth L [1]", ylabel="error, L+1 over 2L [1]", xticks=data["depths"])
    plot.legend(ax, loc="upper left")


# -- 25: edges that may be missing -----------------------------------------------------------------

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
        24,
        "one layer more",
        "A network of depth L + 1 that builds each hidden neuron several times, its weights subset "
        "sums of plain random values, errs about as much as one of depth 2L at the same tolerance "
        "a weight: as it would if layers amplified errors by their norms alone, which is how the "
        "theorem of Burkholz (2022) is remembered.",
        f"Median ratio of the two errors at L = {DEPTHS[-1]} outside 1/{COMPARABLE:g} … "
        f"{COMPARABLE:g}, whether the copies of a neuron are independent or forced to be equal; or "
        "any error beyond the bound derived here, in which a layer amplifies by the largest Σ|v| "
        f"of what is kept. {DEPTH_SEEDS} seeds, width {WIDTH}, {COPIES} copies and values, "
        f"tolerance {TOLERANCE} met by the smallest subset (else the nearest), {RESAMPLES} "
        "resamples.",
        sample_depth, judge_depth, draw_depth, 6.0,
    ),
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

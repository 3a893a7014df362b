"""A claim about another source: one layer more than the target, instead of twice its depth."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import RESAMPLES, Floats, between, together, weights
from sims._claims._shared import spread
from sims._protocol import Control, exact
from slth.stats.verdict import State, Verdict

WIDTH = 4
DEPTHS = [2, 3, 4, 5]
COPIES = 24  # of each hidden neuron, and usable values of each subset sum
FIRST = 16  # of them, tried first
TOLERANCES = [0.02, 0.005]
JUDGED = 1  # of the tolerances, the verdict's; the other shows how much hangs on it
COARSER = 8  # tolerances of the control
COMPARABLE = 2.0
MOST_UNMET = 0.01  # of the weights tried; were it more, the redrawn networks would be special ones
DEPTH_SEEDS = 100
POINTS = 400  # of the unit sphere, a lower estimate of the supremum
LEAST = 0.5  # sup |target| there; at most 1
REDRAWS = 1000
SOURCES = ("doubled", "independent", "identical", "coarser")
Tally = dict[str, int]


class Missed(Exception):
    """No subset meets some weight of a network, so all of it is drawn again."""


def chosen(values: Floats, wanted: Floats, tolerance: float, tally: Tally) -> Floats:
    """The smallest subset within the tolerance, as in the published search: kept values
    `[rows, n]`, others zero, of values `[rows, n]` for wanted `[rows]`. Raises Missed.

    Of all values only where the first FIRST have none: that takes a tenth of the time.
    """
    from slth.subsetsum import Problem, Status
    from slth.subsetsum.minimum_cardinality import MinimumCardinality

    solve = MinimumCardinality(threads=1)
    mask = np.zeros(values.shape, np.bool_)
    found = solve(Problem(values[:, :FIRST], wanted, tolerance))
    mask[:, :FIRST] = found.mask
    hard = np.flatnonzero(found.status != Status.SOLVED)
    tally["weights"] += len(wanted)
    if hard.size:
        found = solve(Problem(values[hard], wanted[hard], tolerance))
        mask[hard] = found.mask
        missed = int((found.status != Status.SOLVED).sum())
        tally["unmet"] += missed
        if missed:
            raise Missed
    return np.asarray(values * mask)


def pair_layer(w: Floats, copies: int, tolerance: float, rng: Any, tally: Tally) -> list[Floats]:
    """Slopes `[copies, out, in]` for x >= 0 and x < 0 of a layer built by diamonds: usable products
    u·v, the in-weights shared by all outputs and copies."""
    found = []
    for _ in range(2):
        u = rng.uniform(0, 1, (w.shape[1], COPIES))
        v = rng.uniform(-1, 1, (copies, *w.shape, COPIES))
        wanted = np.broadcast_to(w, (copies, *w.shape)).ravel()
        kept = chosen((v * u).reshape(-1, COPIES), wanted, tolerance, tally)
        found.append(kept.sum(axis=1).reshape(copies, *w.shape))
    return found


def doubled(target: list[Floats], x: Floats, tolerance: float, rng: Any, tally: Tally) -> Floats:
    """The network of twice the depth on x `[points, in]`: a diamond for each weight."""
    for i, w in enumerate(target):
        up, down = (slopes[0] for slopes in pair_layer(w, 1, tolerance, rng, tally))
        x = np.maximum(x, 0) @ up.T + np.minimum(x, 0) @ down.T
        x = np.maximum(x, 0) if i < len(target) - 1 else x
    return x


def plus_one(
    target: list[Floats], x: Floats, tolerance: float, same: bool, rng: Any, tally: Tally
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
    up, down = pair_layer(target[0], 1 if same else COPIES, tolerance, rng, tally)
    if same:
        up, down = (np.repeat(slopes, COPIES, axis=0) for slopes in (up, down))
    y = np.maximum(x, 0) @ up.transpose(0, 2, 1) + np.minimum(x, 0) @ down.transpose(0, 2, 1)
    worst = max(float(np.abs(s - target[0]).max()) for s in (up, down))
    off = worst * sums[0]
    for i, w in enumerate(target[1:], start=1):
        count = 1 if same or i == len(target) - 1 else COPIES
        v = rng.uniform(-1, 1, (count, *w.shape, COPIES))
        wanted = np.broadcast_to(w, (count, *w.shape)).ravel()
        kept = chosen(v.reshape(-1, COPIES), wanted, tolerance, tally).reshape(v.shape)
        eta = float(np.abs(kept.sum(axis=-1) - w).max())
        off = eta * sums[i] + float(np.abs(kept).sum(axis=(2, 3)).max()) * off
        # y: [copies, points, in]
        y = np.einsum("cjak,kpa->cpj", kept, np.maximum(y, 0), optimize=True)
        y = np.repeat(y, COPIES, axis=0) if same and i < len(target) - 1 else y
    return y[0], off


def network(
    name: str, target: list[Floats], x: Floats, tolerance: float, rng: Any, tally: Tally
) -> tuple[Floats, Floats]:
    """(outputs, bounds on their errors) of the first network drawn that meets every weight."""
    for _ in range(REDRAWS):
        tally["networks"] += 1
        try:
            if name == "doubled":
                return doubled(target, x, tolerance, rng, tally), np.full(len(x), np.inf)
            eta = tolerance * (COARSER if name == "coarser" else 1)
            return plus_one(target, x, eta, name != "independent", rng, tally)
        except Missed:
            tally["redrawn"] += 1
    raise ValueError(f"no {name} network in {REDRAWS} meets its weights within {tolerance:g}")


def orthogonal(rng: np.random.Generator) -> Floats:
    """A random orthogonal matrix, uniform: a layer of norm 1 that shrinks nothing but by ReLU."""
    q, r = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))
    return np.asarray(q * np.sign(np.diag(r)))


def size(y: Floats) -> float:
    """The largest Euclidean norm of outputs `[points, out]`."""
    return float(np.linalg.norm(y, axis=1).max())


def living(
    depth: int, points: int, rng: np.random.Generator
) -> tuple[list[Floats], Floats, Floats]:
    """A random target of orthogonal layers, points of the unit sphere, and its outputs there: not 0
    at more than half of them and of norm LEAST at one, whatever the depth."""
    while True:
        target = [orthogonal(rng) for _ in range(depth)]
        x = rng.normal(size=(points, WIDTH))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        y = x
        for i, w in enumerate(target):
            y = (np.maximum(y, 0) if i else y) @ w.T
        if 2 * y.any(axis=1).sum() > points and size(y) >= LEAST:
            return target, x, y


def sample_depth(smoke: bool, rng: np.random.Generator) -> Data:
    points = 50 if smoke else POINTS
    seeds, depths = (6, [2, 3]) if smoke else (DEPTH_SEEDS, DEPTHS)
    shape = (len(TOLERANCES), seeds, len(depths))
    errors = {name: np.zeros(shape) for name in SOURCES}
    zero = {"weights": 0, "unmet": 0, "networks": 0, "redrawn": 0}
    tallies = [{name: dict(zero) for name in SOURCES} for _ in TOLERANCES]
    beyond = cases = 0
    for at in np.ndindex(shape):
        target, x, wanted = living(depths[at[2]], points, rng)
        for name in SOURCES:
            y, off = network(name, target, x, TOLERANCES[at[0]], rng, tallies[at[0]][name])
            errors[name][at] = round(float(np.log2(size(y - wanted) / size(wanted))), 4)
            if name != "doubled":
                beyond += int((np.abs(y - wanted).max(axis=1) > off * (1 + 1e-9)).sum())
                cases += len(x)
    # of a network that is always 0 the relative error is 1, its log 0
    worse = {name: (table > 0).mean(axis=1) for name, table in errors.items()}
    return {
        "depths": depths,
        "tolerances": TOLERANCES,
        "log2_error": errors,  # relative to sup |target|, [tolerances, seeds, depths]
        "worse_than_zero": worse,  # shares, [tolerances, depths]
        "tallies": tallies,
        "beyond": beyond,
        "cases": cases,
    }


def log2_ratio(data: Data, name: str, tolerance: int = JUDGED) -> Floats:
    """Of an error to the 2L construction's on the same target, `[seeds, depths]`."""
    one, two = (np.array(data["log2_error"][key][tolerance]) for key in (name, "doubled"))
    return np.asarray(one - two)


def medians(table: Floats, resamples: int) -> tuple[Floats, Floats]:
    """Medians over seeds of `[seeds, K]`, and of resampled seeds `[R, K]`."""
    share = weights(len(table), np.random.default_rng(24), resamples)
    order = np.argsort(table, axis=0)
    drawn = []
    for column, rank in zip(table.T, order.T, strict=True):
        mass = np.cumsum(share[:, rank], axis=1)
        drawn.append(column[rank][(mass < 0.5 - 1e-12).sum(axis=1)])
    return np.median(table, axis=0), np.stack(drawn, axis=1)


def unmet(data: Data) -> Verdict:
    """Whether so few weights were missed that networks which met all of them stand for all."""
    share, where = max(
        (tally["unmet"] / tally["weights"], f"{name}, tolerance {tolerance:g}")
        for tolerance, row in zip(data["tolerances"], data["tallies"], strict=True)
        for name, tally in row.items()
    )
    reason = f"at most {share:.3g} of the weights tried were unmet ({where}), allowed {MOST_UNMET}"
    state = State.SUPPORTED if share <= MOST_UNMET else State.UNDECIDED
    return Verdict(state, reason, None, {"share": share, "claimed": MOST_UNMET})


def judge_depth(data: Data) -> tuple[Verdict, Control]:
    def comparable(name: str) -> Verdict:
        # the ratio at the deepest target, where a factor a layer shows most
        one, many = medians(log2_ratio(data, name), RESAMPLES)
        what = f"median error over the 2L construction's at L = {data['depths'][-1]}"
        return between(2.0 ** one[-1], 2.0 ** many[:, -1], 1 / COMPARABLE, COMPARABLE, what)

    few = unmet(data)
    verdict = few
    if few.state == State.SUPPORTED:  # else nothing is said, not even that it is refuted
        verdict = together(
            {
                "independent copies": comparable("independent"),
                "identical copies": comparable("identical"),
                "bound with Σ|v|": exact("error ≤ derived bound", data["beyond"], data["cases"]),
                "unmet weights": few,
            }
        )
    broken = f"identical copies, tolerances {COARSER} times as large"
    return verdict, Control(broken, comparable("coarser"))


def draw_depth(ax: Any, data: Data) -> None:
    from slth import plot

    shown = (("independent", JUDGED), ("identical", JUDGED), ("independent", 1 - JUDGED))
    for series, (name, at) in enumerate(shown):
        low, mid, high = spread(2.0 ** log2_ratio(data, name, at))
        label = f"{name}, tolerance {data['tolerances'][at]:g}"
        plot.band(ax, data["depths"], low, mid, high, label, series=series)
    plot.curve(ax, data["depths"], [COMPARABLE] * len(data["depths"]), "claimed at most", series=3)
    plot.log_scale(ax, "y")
    ax.set(xlabel="target depth L [1]", ylabel="error, L+1 over 2L [1]", xticks=data["depths"])
    ax.set_ylim(top=60)  # room for the legend
    plot.legend(ax, loc="upper left")


CLAIMS = (
    Claim(
        24,
        "one layer more",
        "A network of depth L + 1 that builds each hidden neuron several times, its weights subset "
        "sums of plain random values, errs about as much as one of depth 2L at the same tolerance "
        "a weight: as it would if layers amplified errors by their norms alone, which is how the "
        "theorem of Burkholz (2022) is remembered.",
        f"Median ratio of the two errors at L = {DEPTHS[-1]} and tolerance {TOLERANCES[JUDGED]:g} "
        f"outside 1/{COMPARABLE:g} … {COMPARABLE:g}, whether the copies of a neuron are "
        "independent or forced to be equal; or any error beyond the bound derived here, in which a "
        f"layer amplifies by the largest Σ|v| of what is kept. {DEPTH_SEEDS} seeds, width {WIDTH}, "
        f"orthogonal layers, sup |target| at least {LEAST}, {COPIES} copies and values, smallest "
        f"subset of the first {FIRST} or else of all. A network with an unmet weight is redrawn in "
        f"full; more than {MOST_UNMET:.0%} unmet weights in any construction leave it undecided. "
        f"Tolerance {TOLERANCES[1 - JUDGED]:g} and the share of networks worse than 0 are "
        f"recorded. {RESAMPLES} resamples.",
        sample_depth, judge_depth, draw_depth, 16.0,
    ),
)  # fmt: skip

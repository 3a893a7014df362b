"""Claims about whole networks: how weights' errors add up, how many targets a source holds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import RESAMPLES, Floats, together
from sims._claims._shared import every, mean_within, spread, steepening
from sims._protocol import Control, exact
from slth.stats.verdict import Verdict

# -- 19: errors of weights become the network's ----------------------------------------------------

DIMS = (4, 4, 4, 2)
EPSILONS = [0.3, 0.1, 0.03]
TARGETS = 40  # for each epsilon
EXTREMES = 200
NARROW = 8  # neurons a half; then twice and four times as many
NETWORK_SEEDS = 100
SINGLES = 1000  # of the control, which is cheap
POINTS = 200  # of the unit sphere, a lower estimate of the supremum
SHARES = [1.0, 2.0]  # of the tolerance that the lemma allows: the claim's, and the control's


def random_target(dims: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Gaussian matrices, each divided by its spectral norm."""
    from slth.target import Target

    drawn = [rng.normal(size=(b, a)) for a, b in pairwise(dims)]
    return Target(tuple(w / np.linalg.norm(w, 2) for w in drawn), (None,) * len(drawn))


def tolerances(dims: tuple[int, ...], epsilon: float) -> list[float]:
    """ε/(2l·sqrt(d_{i−1} d_i)) for each layer: what the lemma asks for."""
    return [epsilon / (2 * (len(dims) - 1) * np.sqrt(a * b)) for a, b in pairwise(dims)]


def extreme_error(dims: tuple[int, ...], epsilon: float, share: float) -> float:
    """The error at x = (1, ..., 1)/sqrt(d_0) of matrices of equal entries and norm 1, each entry
    too large by `share` of its tolerance: as far as such errors can take a network."""
    x = np.full(dims[0], dims[0] ** -0.5)
    y = x.copy()
    for (a, b), eta in zip(pairwise(dims), tolerances(dims, epsilon), strict=True):
        entry = (a * b) ** -0.5
        x, y = np.full((b, a), entry) @ x, np.full((b, a), entry + share * eta) @ y
    return float(np.linalg.norm(y - x))


def attacked(target: Any, tolerance: float, seed: int) -> float:
    """The error at the worst point found of the unit ball, of a ticket within the tolerance."""
    from slth.certify import certify
    from slth.construct.pensia import Pensia
    from slth.domain import Ball

    make = Pensia(tolerance=tolerance)
    ticket = make.build(target, make.source_for(target, seed, 256))
    if ticket.claim.unmet:
        raise AssertionError(f"a source of 256 neurons a half misses {tolerance}")
    ball = Ball(1.0, target.dims[0])
    return certify(target, ticket.effective, ball, restarts=16, steps=40, effort=0.0).lower


def best_product(target: Any, n: int, rng: np.random.Generator) -> Any:
    """What one neuron a weight and half, the nearest product of n uniform pairs, computes."""
    from slth.effective import Effective

    def nearest(w: Floats) -> Floats:
        z = rng.uniform(0, 1, (n, *w.shape)) * rng.uniform(-1, 1, (n, *w.shape))
        at = np.abs(z - w).argmin(axis=0)
        return np.asarray(np.take_along_axis(z, at[None], axis=0)[0])

    up, down = (tuple(nearest(w) for w in target.weights) for _ in range(2))
    nothing = tuple(np.zeros(len(w)) for w in target.weights)
    return Effective(up, down, nothing, tuple(np.zeros_like(w) for w in target.weights))


def worst(network: Any, target: Any, x: Floats) -> float:
    """The largest error over the points x, to five digits."""
    return float(f"{np.linalg.norm(network(x) - target(x), axis=1).max():.5g}")


def sphere(points: int, dimension: int, rng: np.random.Generator) -> Floats:
    x = rng.normal(size=(points, dimension))
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def sample_propagation(smoke: bool, rng: np.random.Generator) -> Data:
    from slth.construct.pensia import Pensia

    targets, seeds, singles = (1, 4, 400) if smoke else (TARGETS, NETWORK_SEEDS, SINGLES)
    ratios = []
    for epsilon in EPSILONS * targets:
        tolerance = min(tolerances(DIMS, epsilon))
        error = attacked(random_target(DIMS, rng), tolerance, int(rng.integers(2**31)))
        ratios.append(error / (np.exp(epsilon / 2) - 1))
    extremes = []
    for _ in range(20 if smoke else EXTREMES):
        dims = tuple(rng.integers(1, 9, rng.integers(2, 7)).tolist())
        epsilon = float(rng.uniform(0.01, 1))
        bound = np.exp(epsilon / 2) - 1
        extremes.append([extreme_error(dims, epsilon, share) / bound for share in SHARES])
    n = [NARROW, 2 * NARROW, 4 * NARROW]
    network, weight, single = [], [], []
    for seed in rng.integers(2**31, size=seeds).tolist():
        target, x = random_target(DIMS, rng), sphere(POINTS, DIMS[0], rng)
        make = Pensia()
        tickets = [make.build(target, make.source_for(target, seed, k)) for k in n]
        network.append([worst(ticket.effective, target, x) for ticket in tickets])
        weight.append([float(f"{max(ticket.claim.achieved):.5g}") for ticket in tickets])
    for _ in range(singles):
        target, x = random_target(DIMS, rng), sphere(POINTS, DIMS[0], rng)
        single.append([worst(best_product(target, 8 * k, rng), target, x) for k in n])
    return {
        "ratios": np.round(ratios, 6),
        "extremes": np.round(np.array(extremes).T, 9),
        "n": n,
        "network": network,
        "weight": weight,
        "single": single,
    }


def judge_propagation(data: Data) -> tuple[Verdict, Control]:
    def lemma(*ratios: list[float]) -> Verdict:
        every_one = np.concatenate(ratios)
        return exact("error ≤ e^(ε/2) − 1", int((every_one > 1 + 1e-9).sum()), len(every_one))

    def decay(key: str) -> Verdict:
        return mean_within(steepening(data[key]), 0.0, np.inf, "steepening of ln error")

    verdict = together(
        {"lemma": lemma(data["ratios"], data["extremes"][0]), "decay": decay("network")}
    )
    control = every({"lemma": lemma(data["extremes"][1]), "decay": decay("single")})
    return verdict, Control("tolerances twice as large; one neuron a weight", control)


def draw_propagation(ax: Any, data: Data) -> None:
    from slth import plot

    names = {"network": "network", "weight": "its worst weight", "single": "one of 8n neurons"}
    for series, (key, label) in enumerate(names.items()):
        plot.band(ax, data["n"], *spread(data[key]), label, series=series)
    plot.log_scale(ax, "y")
    ax.set(xlabel="neurons a half n [1]", ylabel="error [1]")
    plot.legend(ax, loc="lower left")


CLAIMS = (
    Claim(
        19,
        "errors of weights add up",
        "For norms at most 1 and weights within ε/(2l·sqrt(d·d')) a network of l layers is within "
        "e^(ε/2) − 1 ≤ ε on the unit ball, the error propagation of Pensia et al. (2020); the "
        "error of their tickets falls exponentially in the width.",
        f"Any attacked error beyond e^(ε/2) − 1: {TARGETS} tickets {DIMS} for each ε of "
        f"{EPSILONS}, and {EXTREMES} networks whose errors all have one sign; mean of "
        f"ln(e2/e3) − 1.5·ln(e1/e2) below 0 for the worst error at {POINTS} points, n = {NARROW}, "
        f"{2 * NARROW}, {4 * NARROW}, {NETWORK_SEEDS} seeds, {RESAMPLES} resamples "
        "(−0.5·ln(e1/e2) for any power law).",
        sample_propagation, judge_propagation, draw_propagation, 15.0,
    ),
)  # fmt: skip

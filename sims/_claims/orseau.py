"""Claims behind logarithmic pruning: greedy by the golden ratio, and a layer built with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sims._claims import Claim, Data
from sims._claims._judging import Floats, at_most, between, together, weights
from sims._protocol import Control, exact
from slth.stats.verdict import Verdict

GOLDEN = (1 + math.sqrt(5)) / 2

# -- 11: the golden ratio --------------------------------------------------------------------------

BELOW = [1.2, 1.3, 1.5, 1.6, GOLDEN]
ABOVE = [1.62, 1.65, 1.7, 1.9]
TERMS = 20
GREEDY_TRIALS = 40_000
ROUNDING = 1e-9  # relative to the bound; sums of at most 20 floats


def ranges(gamma: float) -> list[float]:
    """Reaches R to try: the admissible γ … 1/(γ − 1) where they exist, else both ends swapped."""
    ends = (gamma, 1 / (gamma - 1))
    return [ends[0], sum(ends) / 2, ends[1]]


def leftovers(gamma: float, reach: float, trials: int, rng: np.random.Generator) -> Floats:
    """|what greedy leaves| over its bound R·γ^-k, `[trials]`: weights at and between interval ends.

    Targets lie at the ends of the range, on partial sums of the upper ends, or anywhere.
    """
    i = np.arange(TERMS)
    low, high = gamma ** -(i + 1.0), gamma ** -(1.0 * i)
    mode = rng.integers(0, 4, (trials, 1))  # lower ends, upper ends, a mixture of both, anywhere
    pick = np.where(mode == 3, rng.random((trials, TERMS)), rng.integers(0, 2, (trials, TERMS)))
    pick = np.where(mode < 2, mode, pick)
    w = low + (high - low) * pick
    rest = reach * np.where(rng.random(trials) < 0.3, 1.0, rng.random(trials))
    near = np.cumsum(w * rng.integers(0, 2, (trials, TERMS)), axis=1)[:, -1]
    rest = np.where((rng.random(trials) < 0.3) & (near <= reach), near * (1 - 1e-12), rest)
    for k in range(TERMS):
        rest = rest - np.where(rest >= w[:, k], w[:, k], 0.0)
    return rest / (reach * gamma**-TERMS)


def sample_golden(smoke: bool, rng: np.random.Generator) -> Data:
    trials = 3000 if smoke else GREEDY_TRIALS
    rows = []
    for gamma in BELOW + ABOVE:
        for reach in ranges(gamma):
            left = leftovers(gamma, reach, trials, rng)
            rows.append({"gamma": gamma, "reach": reach, "trials": trials, "worst": left.max(),
                         "violations": int((left > 1 + ROUNDING).sum())})  # fmt: skip
    return {"rows": rows}


def judge_golden(data: Data) -> tuple[Verdict, Control]:
    below = [r for r in data["rows"] if r["gamma"] <= GOLDEN]
    above = [r for r in data["rows"] if r["gamma"] > GOLDEN]
    parts = {
        "bound kept for γ ≤ φ": exact(
            "left ≤ R·γ^-k", sum(r["violations"] for r in below), sum(r["trials"] for r in below)
        ),
        "bound broken for γ > φ": exact(
            "some violation", sum(r["violations"] == 0 for r in above), len(above)
        ),
    }
    wrong = [r for r in above if r["gamma"] == 1.7]
    return together(parts), Control(
        "γ = 1.7 called admissible",
        exact("left ≤ R·γ^-k", sum(r["violations"] for r in wrong),
              sum(r["trials"] for r in wrong)),
    )  # fmt: skip


def draw_golden(ax: Any, data: Data) -> None:
    from slth import plot

    for series, (place, label) in enumerate(((0, "R = γ"), (2, "R = 1/(γ − 1)"))):
        rows = data["rows"][place::3]
        plot.curve(ax, [r["gamma"] for r in rows], [r["worst"] for r in rows], label,
                   series=series, marked=True)  # fmt: skip
    plot.curve(ax, [1.2, 1.9], [1, 1], "bound", series=2)
    plot.curve(ax, [GOLDEN] * 2, [0.5, 10], "φ", series=3)
    plot.log_scale(ax, "y")
    ax.set(xlabel="ratio γ [1]", ylabel="worst left / bound [1]")
    plot.legend(ax)


# -- 15: a layer -----------------------------------------------------------------------------------

GAMMA = 1.5
INPUTS = OUTPUTS = 3
LAYER_DELTA = 0.05
EPSILONS = [0.1, 0.03, 0.01, 0.003, 0.001]
LAYERS = 400
ORDER = (1.0, 1.6)  # of ln M against ln k; k ln(k) itself has about 1.2


def intervals(epsilon: float) -> int:
    return math.ceil(math.log(1 / epsilon) / math.log(GAMMA))  # w_max = 1


def drawn_neurons(k: int) -> int:
    """M of the theorem, one layer."""
    return math.ceil(8 * k * math.log(4 * k * INPUTS * OUTPUTS / LAYER_DELTA))


def first_of_category(u: Floats, v: Floats, k: int) -> NDArray[np.int64]:
    """The first neuron of each category, `[outputs, 2, 2, k]` (sign of u, of uv, interval), and M
    where there is none; u `[M]`, v `[outputs, M]`."""
    z = u * v
    alpha = 0.5  # w_max / R with R = 2
    index = np.floor(np.log(alpha / np.abs(z)) / math.log(GAMMA)).astype(np.int64)
    found = np.full((len(v), 4 * k), u.size)
    inside = (index >= 0) & (index < k)
    kind = (2 * (u > 0) + (z > 0)) * k + index
    rows, columns = np.nonzero(inside)
    np.minimum.at(found, (rows, kind[rows, columns]), columns)
    return found.reshape(len(v), 2, 2, k)


def layer(k: int, neurons: int, uniform: bool, rng: np.random.Generator) -> tuple[int, float]:
    """(neurons needed until no category lacks one, worst error of a weight by greedy) of a layer;
    the error is infinite where a category is missing."""
    from slth.laws import SignedHyperbolic

    high = math.sqrt(0.5) * GAMMA ** (k / 4)
    law = SignedHyperbolic(high, k * math.log2(GAMMA))
    need, worst = 0, 0.0
    for _ in range(INPUTS):
        shape = (OUTPUTS + 1, neurons)
        words = rng.integers(0, 2**32, shape, dtype=np.uint32)
        w = rng.uniform(-high, high, shape) if uniform else law(words)
        first = first_of_category(w[0], w[1:], k)
        need = max(need, int(first.max()) + 1)
        if need > neurons:
            return need, math.inf
        target = rng.uniform(-1, 1, OUTPUTS)
        sign = (target > 0).astype(int)
        value = np.abs(w[0] * w[1:])
        for half in (0, 1):
            chosen = first[np.arange(OUTPUTS), half, sign]
            rest = np.abs(target)
            for c in range(k):
                x = value[np.arange(OUTPUTS), chosen[:, c]]
                rest = rest - np.where(rest >= x, x, 0.0)
            worst = max(worst, float(rest.max()))
    return need, worst


def sample_layer(smoke: bool, rng: np.random.Generator) -> Data:
    layers = 250 if smoke else LAYERS
    rows = []
    for epsilon in EPSILONS[:2] if smoke else EPSILONS:
        k = intervals(epsilon)
        m = drawn_neurons(k)
        # needs beyond m are seen too, so that their law is not cut
        found = [layer(k, 4 * m, False, rng) for _ in range(layers)]
        uniform = [layer(k, m, True, rng) for _ in range(min(layers, 250))]
        rows.append(
            {"epsilon": epsilon, "k": k, "claimed": m, "needed": [n for n, _ in found],
             "wrong": sum(n > m or e > epsilon for n, e in found),
             "worst": max(e for n, e in found if n <= 4 * m) / epsilon,
             "uniform": sum(e > epsilon for _, e in uniform), "uniform_layers": len(uniform)}
        )  # fmt: skip
    return {"rows": rows}


def order(rows: list[Data], share: Floats) -> Floats:
    """Slope of ln(mean need) against ln k, `[R]`, for each ε's layers resampled by share."""
    logs = np.stack([np.log(share @ np.array(r["needed"], float)) for r in rows], axis=-1)
    x = np.log([r["k"] for r in rows])
    x = x - x.mean()
    return logs @ x / (x @ x)


def judge_layer(data: Data) -> tuple[Verdict, Control]:
    rows = data["rows"]
    parts = {
        f"ε = {r['epsilon']:g}, M = {r['claimed']}": at_most(
            r["wrong"], len(r["needed"]), LAYER_DELTA
        )
        for r in rows
    }
    layers = len(rows[0]["needed"])
    found = order(rows, np.full((1, layers), 1 / layers))[0]
    drawn = order(rows, weights(layers, np.random.default_rng(7)))
    parts["order of the need"] = between(found, drawn, *ORDER, "d ln M / d ln k")
    control = {
        f"ε = {r['epsilon']:g}": at_most(r["uniform"], r["uniform_layers"], LAYER_DELTA)
        for r in rows
    }
    return together(parts), Control("uniform weights of the same range", together(control))


def draw_layer(ax: Any, data: Data) -> None:
    from slth import plot

    rows = data["rows"]
    epsilon = [r["epsilon"] for r in rows]
    low, mid, high = np.array([np.quantile(r["needed"], [0.05, 0.5, 0.95]) for r in rows]).T
    plot.band(ax, epsilon, low, mid, high, "needed, 5 … 95 %", series=0)
    plot.curve(ax, epsilon, [r["claimed"] for r in rows], "theorem", series=1, marked=True)
    plot.log_scale(ax, "x")
    ax.set(xlabel="tolerance ε [1]", ylabel="neurons an input M [1]", ylim=(0, None))
    plot.legend(ax)


CLAIMS = (
    Claim(
        11,
        "golden ratio",
        "Greedy subtraction of any weights w_i in [γ^-(i+1), γ^-i], i < k, leaves at most R·γ^-k "
        "of any target in [0, R], for every γ ≤ φ = (1 + √5)/2 and γ ≤ R ≤ 1/(γ − 1); for every "
        "γ > φ and each of these R some weights leave more: derived here, idea of Orseau et al. "
        "(2020).",
        f"A violation among {GREEDY_TRIALS} trials with weights at and between the ends, k = "
        f"{TERMS}, for some γ in 1.2, 1.3, 1.5, 1.6, φ and three R; or none for one of {ABOVE}.",
        sample_golden, judge_golden, draw_golden, 0.7,
    ),
    Claim(
        15,
        "logarithmic layer",
        "⌈8k ln(4k·d_in·d_out/δ)⌉ hyperbolic neurons an input, k = ⌈log(1/ε)/log(3/2)⌉, hold every "
        "weight of a layer within ε with probability at least 1 − δ, and what is needed grows like "
        "k ln k: derived here, construction of Orseau et al. (2020).",
        f"3 → 3, δ = {LAYER_DELTA}, ε in {EPSILONS}: more than δ of {LAYERS} layers lack a "
        f"category or miss ε; or d ln M / d ln k of the measured need outside {list(ORDER)}.",
        sample_layer, judge_layer, draw_layer, 5.0,
    ),
)  # fmt: skip

"""The claim about depth: how small weight errors must be for a small error of the output."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import Floats, mean_between, together
from sims._protocol import Control, exact
from slth.stats.verdict import Verdict

DEPTHS = [2, 4, 8]
WIDTHS = [1, 4]
NORMS = [0.5, 1.0, 2.0]
SLOPES = {"relu": 1.0, "tanh": 1.0, "logistic": 0.25}  # Lipschitz constants
EPSILON = 0.1
TARGETS = 60  # half of them scaled permutations, whose signals do not fade
PERTURBATIONS = 8
INPUTS = 100
EXTRA = 0.25  # ln ℓ itself has slope 0.23 over these depths


def activate(kind: str, x: Floats) -> Floats:
    if kind == "relu":
        return np.maximum(x, 0)
    return np.tanh(x) if kind == "tanh" else 1 / (1 + np.exp(-x))


def forward(kind: str, layers: list[Floats], x: Floats) -> tuple[Floats, Floats]:
    """Output `[targets, n, inputs]` and the largest |input of a layer| of each target."""
    most = np.zeros(len(layers[0]))
    for w in layers:
        most = np.maximum(most, np.abs(x).max(axis=(-2, -1)))
        x = activate(kind, w @ x)
    return x, most


def targets(depth: int, n: int, norm: float, count: int, rng: np.random.Generator) -> list[Floats]:
    """Weight matrices `[targets, n, n]` of spectral norm `norm`, a layer each."""
    layers = []
    for _ in range(depth):
        w = rng.normal(size=(count, n, n))
        w *= norm / np.linalg.norm(w, 2, axis=(1, 2))[:, None, None]
        for t in range(0, count, 2):
            w[t] = norm * np.eye(n)[rng.permutation(n)]
        layers.append(w)
    return layers


def tolerance(
    kind: str, depth: int, n: int, most: Floats, norm: float, corrected: bool = True
) -> Floats:
    """ε_w of the lemma for each target; uncorrected: Lipschitz constants below 1 count as such."""
    factor = SLOPES[kind]
    lipschitz = max(1.0, factor) ** depth if corrected else factor**depth
    bound = EPSILON / (math.e * depth * lipschitz * n**1.5 * most * max(1.0, norm) ** depth)
    return np.minimum(bound, 1 / (depth * n)) if corrected else bound


def worst_error(
    kind: str, layers: list[Floats], x: Floats, size: Floats, tries: int, rng: np.random.Generator
) -> Floats:
    """The largest output error over the inputs and over weight errors ±size, `[targets]`."""
    exact_, _ = forward(kind, layers, x)
    worst = np.zeros(len(size))
    for attempt in range(tries):
        moved = []
        for w in layers:
            sign = np.ones(w.shape) if attempt < 2 else rng.choice([-1.0, 1.0], w.shape)
            moved.append(w + size[:, None, None] * (sign if attempt else -sign))
        off = np.linalg.norm(forward(kind, moved, x)[0] - exact_, axis=1).max(axis=1)
        worst = np.maximum(worst, off)
    return worst


def sample_depth(smoke: bool, rng: np.random.Generator) -> Data:
    count, tries = (10, 3) if smoke else (TARGETS, PERTURBATIONS)
    rows = []
    for kind in SLOPES:
        for n in WIDTHS:
            for norm in NORMS:
                for depth in DEPTHS:
                    layers = targets(depth, n, norm, count, rng)
                    x = rng.uniform(-1, 1, (count, n, INPUTS))
                    x[..., 0] = 1.0
                    most = forward(kind, layers, x)[1]
                    sizes = {c: tolerance(kind, depth, n, most, norm, c) for c in (True, False)}
                    off = {c: worst_error(kind, layers, x, s, tries, rng)
                           for c, s in sizes.items()}  # fmt: skip
                    # the part of the targets whose signals do not fade, per unit of weight error
                    gain = np.log(off[True][::2] / sizes[True][::2])
                    rows.append(
                        {"kind": kind, "n": n, "norm": norm, "depth": depth, "targets": count,
                         "worst": off[True].max() / EPSILON,
                         "violations": (off[True] > EPSILON).sum(),
                         "uncorrected": (off[False] > EPSILON).sum(),
                         "gain": gain.mean(),
                         "error": gain.std(ddof=1) / np.sqrt(gain.size)}
                    )  # fmt: skip
    return {"rows": rows}


def judge_depth(data: Data) -> tuple[Verdict, Control]:
    def bound(key: str) -> Verdict:
        rows = data["rows"]
        cases = sum(r["targets"] for r in rows)
        return exact("sup error ≤ ε", sum(r[key] for r in rows), cases)

    parts = {"bound": bound("violations")}
    x = np.array(DEPTHS) - np.mean(DEPTHS)
    x = x / (x @ x)
    for norm in NORMS:
        rows = [r for r in data["rows"] if (r["kind"], r["n"], r["norm"]) == ("relu", 4, norm)]
        gain, error = (np.array([r[key] for r in rows]) for key in ("gain", "error"))
        parts[f"ReLU, norm {norm:g}"] = mean_between(
            float(x @ gain), float(np.sqrt((x * x) @ (error * error))),
            -math.inf, max(0.0, math.log(norm)) + EXTRA, "ln(error per weight error) a layer",
        )  # fmt: skip
    broken = "the lemma with Π λ_i instead of Π max(1, λ_i)"
    return together(parts), Control(broken, bound("uncorrected"))


def draw_depth(ax: Any, data: Data) -> None:
    from slth import plot

    for series, norm in enumerate(NORMS):
        rows = [r for r in data["rows"] if (r["kind"], r["n"], r["norm"]) == ("relu", 4, norm)]
        gain, error = (np.array([r[key] for r in rows]) for key in ("gain", "error"))
        mid, factor = np.exp(gain), np.exp(1.96 * error)
        plot.band(ax, DEPTHS, mid / factor, mid, mid * factor, f"norm {norm:g}", series=series)
    plot.log_scale(ax, "y")
    ax.set(xlabel="depth [1]", ylabel="error / weight error [1]")
    plot.legend(ax)


CLAIMS = (
    Claim(
        16,
        "depth factor",
        "Weight errors up to ε_w = min(ε/(e·ℓ·Π max(1, λ_i)·n^(3/2)·F_max·Π max(1, ‖W_i‖)), "
        "1/(ℓ·n)) keep the output of every network within ε, so that norms at most 1 cost no "
        "exponential in the depth: Orseau et al. (2020) for the lemma, corrected and derived here.",
        f"Any violation over ReLU, tanh and logistic, width {WIDTHS}, norm {NORMS}, depth "
        f"{DEPTHS}, {TARGETS} targets each, {PERTURBATIONS} weight errors at ±ε_w, a domain of "
        f"{INPUTS} inputs (some errors only, so a violation is conclusive); or ln(error per "
        f"weight error) of ReLU networks rising by over max(0, ln norm) + {EXTRA} a layer.",
        sample_depth, judge_depth, draw_depth, 0.4,
    ),
)  # fmt: skip

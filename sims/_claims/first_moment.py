"""Claims about one fixed target: how many subsets hit it on average, when the first one does."""

from __future__ import annotations

from fractions import Fraction
from math import comb, factorial
from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import RESAMPLES, Floats, between, mean_between, together, weights
from sims._claims.subset_sums import equal, n50
from sims._protocol import Control, exact
from slth.stats.verdict import Verdict

# -- 3: a fixed target -----------------------------------------------------------------------------

TARGET = 0.3
BITS = list(range(3, 13))
MOST = 16
TRIALS = 1000
EXCESS = 3.0  # values beyond those at which the mean number of hits is 1/2


def gauss(n: Any, z: Any, epsilon: Any, variance: float = 1 / 6) -> Floats:
    """The mean number of subsets within ε of z: 2^n·2ε times a normal density, s² = n/6."""
    s = np.sqrt(variance * np.asarray(n, dtype=np.float64))
    density = np.exp(-0.5 * (z / s) ** 2) / (np.sqrt(2 * np.pi) * s)
    return 2.0**n * 2 * np.asarray(epsilon) * density


def half_a_hit(bits: Any) -> Floats:
    """The n, not whole, at which the formula gives 1/2 for each ε = 2^-bit: `[K]`."""
    n = np.linspace(0.5, 40, 40_000)
    epsilon = 2.0 ** -np.asarray(bits, dtype=np.float64)
    return np.array([n[np.argmax(gauss(n, TARGET, e) >= 0.5)] for e in epsilon])


def first_hits(rows: Floats, target: float, bits: list[int]) -> Floats:
    """The least n with a subset sum within 2^-bit of the target: `[trials, bits]`."""
    etas = 2.0 ** -np.array(bits, dtype=np.float64)
    found = np.full((len(rows), len(bits)), rows.shape[1] + 1)
    for trial, row in enumerate(rows):
        sums = np.array([-target])
        best = np.abs(sums).min()
        found[trial, best <= etas] = 0
        for n, x in enumerate(row, start=1):
            new = sums + x
            sums = np.concatenate([sums, new])
            best = min(best, np.abs(new).min())
            found[trial, (best <= etas) & (found[trial] > n)] = n
            if best <= etas[-1]:
                break
    return found


def sample_target(smoke: bool, rng: np.random.Generator) -> Data:
    rows = rng.uniform(-1, 1, (100 if smoke else TRIALS, MOST))
    return {"needed": first_hits(rows, TARGET, BITS)}


def judge_target(data: Data) -> tuple[Verdict, Control]:
    first = np.array(data["needed"])
    mean, drawn = equal(len(first)), weights(len(first), np.random.default_rng(4))

    def found(hits: slice, claimed: slice) -> Verdict:
        bound = half_a_hit(BITS[claimed])
        off, offs = (n50(first[:, hits], share) - bound for share in (mean, drawn))
        parts = {
            "smallest excess over k": (off.min(), offs.min(axis=1), 0.0, np.inf),
            "largest excess over k": (off.max(), offs.max(axis=1), -np.inf, EXCESS),
        }
        return together({k: between(*v, "n50 beyond the bound") for k, v in parts.items()})

    control = found(slice(-3), slice(3, None))
    return found(slice(None), slice(None)), Control("a distance of 8ε counts as a hit", control)


def draw_target(ax: Any, data: Data) -> None:
    from slth import plot

    first = np.array(data["needed"])
    drawn = n50(first, weights(len(first), np.random.default_rng(4), 1000))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    mid = np.clip(n50(first, equal(len(first)))[0], low, high)
    plot.band(ax, BITS, low, mid, high, "measured n50", series=0)
    plot.curve(ax, BITS, half_a_hit(BITS), "half a hit on average", series=1)
    ax.set(xlabel="log2(1/ε) [bit]", ylabel="values needed [1]")
    plot.legend(ax)


# -- 4: the first moment ---------------------------------------------------------------------------

COUNTS = list(range(10, 25, 2))
TARGETS = [0.1, 0.3, 0.5]
EPSILONS = [0.01, 0.02, 0.05]
RATIO = (0.9, 1.1)
MEASURED = [10, 14]
DRAWS = 60_000


def uniform_sum(m: int, x: Fraction) -> Fraction:
    """P(a sum of m uniforms on [−1, 1] is at most x), Irwin (1927) and Hall (1927)."""
    y = (x + m) / 2
    if y <= 0:
        return Fraction(0)
    if y >= m:
        return Fraction(1)
    terms = (Fraction((-1) ** j * comb(m, j)) * (y - j) ** m for j in range(int(y) + 1))
    return sum(terms, Fraction(0)) / factorial(m)


def mean_hits(n: int, z: float, epsilon: float) -> float:
    """The exact mean number of subsets within ε of z, |z| > ε: by the subsets' sizes."""
    low, high = Fraction(z) - Fraction(epsilon), Fraction(z) + Fraction(epsilon)
    terms = (comb(n, m) * (uniform_sum(m, high) - uniform_sum(m, low)) for m in range(1, n + 1))
    return float(sum(terms, Fraction(0)))


def hits(rows: Floats, cases: list[tuple[float, float]]) -> Floats:
    """How many subsets lie within ε of z: `[trials, cases]`."""
    found = np.zeros((len(rows), len(cases)), dtype=np.int64)
    half = rows.shape[1] // 2
    masks = [(np.arange(2**k)[:, None] >> np.arange(k)) & 1 for k in (half, rows.shape[1] - half)]
    for trial, row in enumerate(rows):
        a = masks[0] @ row[:half]
        b = np.sort(masks[1] @ row[half:])
        for k, (z, e) in enumerate(cases):
            upper = np.searchsorted(b, z + e - a, side="right")
            found[trial, k] = (upper - np.searchsorted(b, z - e - a, side="left")).sum()
    return found


def sample_moment(smoke: bool, rng: np.random.Generator) -> Data:
    grid = COUNTS[:3] if smoke else COUNTS
    table = [
        {"n": n, "z": z, "epsilon": e, "mean": mean_hits(n, z, e)}
        for n in grid for z in TARGETS for e in EPSILONS
    ]  # fmt: skip
    draws = {10: 800, 14: 200} if smoke else {10: DRAWS, 14: DRAWS // 6}
    case = [(0.3, 0.05)]
    measured = []
    for n in MEASURED:
        found = hits(rng.uniform(-1, 1, (draws[n], n)), case)[:, 0]
        measured.append(
            {"n": n, "z": 0.3, "epsilon": 0.05, "draws": draws[n], "mean": found.mean(),
             "error": found.std(ddof=1) / np.sqrt(draws[n])}
        )  # fmt: skip
    return {"exact": table, "measured": measured}


def judge_moment(data: Data) -> tuple[Verdict, Control]:
    def found(variance: float) -> Verdict:
        def formula(r: Data) -> float:
            return float(gauss(r["n"], r["z"], r["epsilon"], variance))

        ratios = np.array([r["mean"] / formula(r) for r in data["exact"]])
        bad = int(((ratios < RATIO[0]) | (ratios > RATIO[1])).sum())
        name = f"exact mean over formula in [{ratios.min():.3f}, {ratios.max():.3f}]"
        parts = {name: exact("within [0.9, 1.1]", bad, len(ratios))}
        for r in data["measured"]:
            f = formula(r)
            parts[f"counted at n = {r['n']}"] = mean_between(
                r["mean"] / f, r["error"] / f, *RATIO, "mean over formula"
            )
        return together(parts)

    return found(1 / 6), Control("variance of a value, without its coin toss", found(1 / 3))


def draw_moment(ax: Any, data: Data) -> None:
    from slth import plot

    for series, z in enumerate(TARGETS):
        rows = [r for r in data["exact"] if r["z"] == z and r["epsilon"] == EPSILONS[-1]]
        n = [r["n"] for r in rows]
        ratio = [r["mean"] / float(gauss(r["n"], z, EPSILONS[-1])) for r in rows]
        plot.curve(ax, n, ratio, f"exact, z = {z:g}", series=series, marked=True)
    n = np.array([r["n"] for r in data["measured"]])
    f = gauss(n, 0.3, 0.05)
    mean = np.array([r["mean"] for r in data["measured"]]) / f
    error = 1.96 * np.array([r["error"] for r in data["measured"]]) / f
    plot.band(ax, n, mean - error, mean, mean + error, "counted, z = 0.3", series=3, bars=True)
    ax.set(xlabel="values n [1]", ylabel="mean / formula [1]", ylim=(0.88, 1.18))
    plot.legend(ax, ncols=2)


CLAIMS = (
    Claim(
        3,
        "fixed target",
        "For a fixed z some subset sum of n uniform values lies within ε with probability 1/2 no "
        "earlier than the mean number of such subsets reaches 1/2 (first moment, derived here), "
        f"and at most {EXCESS:g} values later, for every ε: O(1) more, Lueker (1998).",
        f"z = {TARGET}, ε = 2^-3 … 2^-12: n50 minus the n at which the mean is 1/2 leaves "
        f"[0, {EXCESS:g}] for some k; {TRIALS} trials, {RESAMPLES} resamples.",
        sample_target, judge_target, draw_target, 2.0,
    ),
    Claim(
        4,
        "first moment",
        "The mean number of subsets of n uniform values within ε of z, |z| > ε, is "
        "2^n·2ε·exp(−3z²/n)·√(3/(πn)) up to a tenth, for every n ≥ 10, |z| ≤ 1/2, ε ≥ 0.01 "
        "(derived here).",
        "Exact means (sums of uniforms in rational arithmetic) outside 0.9 … 1.1 of the formula "
        f"for an n in {{10, 12, …, 24}}, z in {TARGETS}, ε in {EPSILONS}; or counts in "
        f"{DRAWS} and {DRAWS // 6} draws of n = 10 and 14 values.",
        sample_moment, judge_moment, draw_moment, 2.0,
    ),
)  # fmt: skip

"""Claims about the laws of weights: products of uniforms, hyperbolic weights, filled categories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sims._claims import LEVEL, Claim, Data
from sims._claims._judging import Floats, at_least, at_most, close, mean_between, together
from sims._protocol import Control
from slth.stats.verdict import State, Verdict

GAMMA = 1.5


def least_of(counts: Any, trials: int, claimed: float) -> Verdict:
    """Whether every category has probability at least `claimed`: the rarest one must show it."""
    found = at_least(int(np.min(counts)), trials, claimed)
    tests = int(np.size(counts))
    if found.state == State.REFUTED and (found.p_value or 0.0) * tests > LEVEL:
        return Verdict(State.UNDECIDED, found.reason, None, found.evidence)
    return found


# -- 9: the product of two uniforms ----------------------------------------------------------------

PRODUCTS = 2_000_000
MARGIN = 0.005
COMPONENT = math.log(2) / 2
CELLS = 20  # of [−1/2, 1/2]


def product_cdf(z: Floats) -> Floats:
    """P(uv ≤ z), u uniform on [0, 1], v on [−1, 1]: the integral of ½ ln(1/|z|)."""
    size = np.clip(np.abs(z), 1e-300, 1.0)
    return 0.5 + 0.5 * np.sign(z) * size * (1 - np.log(size))


def distance(sorted_: Floats, cdf: Floats) -> float:
    """sup |F_n − F| of a sorted sample."""
    n = len(sorted_)
    return float(max((np.arange(1, n + 1) / n - cdf).max(), (cdf - np.arange(n) / n).max()))


def sample_product(smoke: bool, rng: np.random.Generator) -> Data:
    from slth.source import Source

    drawn = 200_000 if smoke else 2 * PRODUCTS
    source = Source((1, 1), (drawn,), (False,), int(rng.integers(2**31)))
    u, v = source.in_weights(0, 0)[0], source.out_weights(0, 0)[0, 0]
    z = np.sort((u * v)[u > 0])
    at = np.linspace(-1, 1, 41)
    return {
        "draws": len(z),
        "distance": distance(z, product_cdf(z)),
        "uniform": distance(z, (1 + z) / 2),
        "cells": np.histogram(z, np.linspace(-0.5, 0.5, CELLS + 1))[0],
        "at": at,
        "frequency": np.searchsorted(z, at, side="right") / len(z),
    }


def judge_product(data: Data) -> tuple[Verdict, Control]:
    n = data["draws"]
    parts = {
        "law": close(data["distance"], n, MARGIN, "density ½ ln(1/|z|)"),
        "rarest cell of [−½, ½]": least_of(data["cells"], n, COMPONENT / CELLS),
    }
    wrong = close(data["uniform"], n, MARGIN, "density ½")
    return together(parts), Control("the product called uniform on [−1, 1]", wrong)


def draw_product(ax: Any, data: Data) -> None:
    from slth import plot

    n, cells = data["draws"], np.array(data["cells"])
    z = (np.arange(CELLS) + 0.5) / CELLS - 0.5
    density = cells / n * CELLS
    error = 1.96 * np.sqrt(cells) / n * CELLS
    plot.band(ax, z, density - error, density, density + error, "measured", series=0)
    x = np.linspace(-0.5, 0.5, 201) + 1e-4
    plot.curve(ax, x, 0.5 * np.log(1 / np.abs(x)), "½ ln(1/|z|)", series=1)
    plot.curve(ax, x, np.full(x.size, COMPONENT), "uniform part", series=2)
    ax.set(xlabel="product z [1]", ylabel="density [1]", ylim=(0, 2.4))
    plot.legend(ax)


# -- 12: hyperbolic weights and the coupon collector -----------------------------------------------

COUPONS = [(5, 0.1), (20, 0.1), (20, 0.01)]
COLLECTIONS = 60_000
DEPTHS = [6, 10, 14, 18]
WAITS = 1000  # occurrences expected of the lowest interval
NEAR = 0.5  # the failure is at least this part of δ
SPREAD = 0.1


def hyperbolic(k: int, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Weights |w| of the library's own law on [γ^-k, 1]."""
    from slth.laws import SignedHyperbolic

    law = SignedHyperbolic(1.0, k * math.log2(GAMMA))
    return np.abs(law(rng.integers(0, 2**32, shape, dtype=np.uint32)))


def interval(size: Floats, k: int) -> NDArray[np.int64]:
    """i with size in (γ^-(i+1), γ^-i], k where it lies below all k intervals, −1 above."""
    with np.errstate(divide="ignore"):
        return np.clip(np.floor(-np.log(size) / math.log(GAMMA)), -1, k).astype(np.int64)


def missed(index: NDArray[np.int64], k: int) -> int:
    """How many rows of interval numbers lack one of the k."""
    seen = np.bitwise_or.reduce(np.left_shift(1, np.where(index >= 0, index, 63)), axis=1)
    full = (1 << k) - 1
    return int((seen & full != full).sum())


def sample_coupons(smoke: bool, rng: np.random.Generator) -> Data:
    trials = 1500 if smoke else COLLECTIONS
    coupons = []
    for k, delta in COUPONS:
        draws = math.ceil(k * math.log(k / delta))
        index = interval(hyperbolic(k, rng, (trials, draws)), k)
        uniform = interval(rng.uniform(0, 1, (min(trials, 1500), draws)), k)
        coupons.append(
            {"k": k, "delta": delta, "draws": draws, "trials": trials, "missed": missed(index, k),
             "uniform_trials": len(uniform), "uniform_missed": missed(uniform, k)}
        )  # fmt: skip
    waits = []
    for k in DEPTHS[:2] if smoke else DEPTHS:
        chance = GAMMA ** -(k - 1) - GAMMA**-k
        stream = math.ceil(WAITS / chance)
        low = interval(rng.uniform(0, 1, stream), k) == k - 1
        own = interval(hyperbolic(k, rng, (WAITS * k,)), k) == k - 1
        waits.append({"k": k, "stream": stream, "hits": low.sum(),
                      "own_stream": WAITS * k, "own_hits": own.sum()})  # fmt: skip
    return {"coupons": coupons, "waits": waits}


def judge_coupons(data: Data) -> tuple[Verdict, Control]:
    parts = {}
    wrong = {}
    for c in data["coupons"]:
        name = f"k = {c['k']}, δ = {c['delta']:g}, {c['draws']} draws"
        parts[name] = at_most(c["missed"], c["trials"], c["delta"])
        parts[f"{name}, no less than half of δ (counted as success)"] = at_least(
            c["missed"], c["trials"], NEAR * c["delta"]
        )
        wrong[name] = at_most(c["uniform_missed"], c["uniform_trials"], c["delta"])
    k, hits = (np.array([w[key] for w in data["waits"]], float) for key in ("k", "hits"))
    logs = np.log([w["stream"] for w in data["waits"]]) - np.log(hits)
    x = (k - k.mean()) / ((k - k.mean()) ** 2).sum()
    claimed = math.log(GAMMA)
    parts["wait under uniform weights, ln a step of k"] = mean_between(
        float(x @ logs), float(np.sqrt((x * x / hits).sum())),
        (1 - SPREAD) * claimed, (1 + SPREAD) * claimed, "slope",
    )  # fmt: skip
    return together(parts), Control("uniform weights with as many draws", together(wrong))


def draw_coupons(ax: Any, data: Data) -> None:
    from slth import plot

    k = np.array([w["k"] for w in data["waits"]], float)
    for series, (label, stream, hits) in enumerate(
        (("hyperbolic", "own_stream", "own_hits"), ("uniform", "stream", "hits"))
    ):
        count = np.array([w[hits] for w in data["waits"]], float)
        wait = np.array([w[stream] for w in data["waits"]]) / count
        factor = np.exp(1.96 / np.sqrt(count))
        plot.band(ax, k, wait / factor, wait, wait * factor, label, series=series)
    plot.curve(ax, k, GAMMA**k, "γ^k", series=2)
    plot.log_scale(ax, "y")
    ax.set(xlabel="intervals k [1]", ylabel="draws to the lowest [1]")
    plot.legend(ax)


# -- 13: categories of hyperbolic products ---------------------------------------------------------

CATEGORIES = [6, 12, 20]
PAIRS = 8_000_000
CHUNK = 1_000_000


def sample_categories(smoke: bool, rng: np.random.Generator) -> Data:
    from slth.laws import SignedHyperbolic

    rows = []
    for k in CATEGORIES:
        law = SignedHyperbolic(GAMMA ** (k / 4), k * math.log2(GAMMA))  # α = 1
        signed, top = np.zeros((2, 2, k), np.int64), np.zeros(k, np.int64)
        pairs = 100_000 if smoke else PAIRS
        for start in range(0, pairs, CHUNK):
            size = min(CHUNK, pairs - start)
            u, v = law(rng.integers(0, 2**32, (2, size), dtype=np.uint32))
            z = u * v
            index = interval(np.abs(z), k)
            inside = (index >= 0) & (index < k)
            kind = (2 * (u > 0) + (z > 0)) * k + index
            signed += np.bincount(kind[inside], minlength=4 * k).reshape(2, 2, k)
            # the k intervals below the largest product, instead of the middle of the log range
            index = interval(np.abs(z) / law.high**2, k)
            top += np.bincount(index[(index >= 0) & (index < k)], minlength=k)
        rows.append({"k": k, "pairs": pairs, "signed": signed.reshape(4, k), "top": top})
    return {"rows": rows}


def judge_categories(data: Data) -> tuple[Verdict, Control]:
    parts, wrong = {}, {}
    for r in data["rows"]:
        k, signed = r["k"], np.array(r["signed"])
        parts[f"rarest of {k}"] = least_of(signed.sum(axis=0), r["pairs"], 1 / (2 * k))
        parts[f"rarest of {4 * k} signed"] = least_of(signed, r["pairs"], 1 / (8 * k))
        wrong[f"rarest of {k}"] = least_of(r["top"], r["pairs"], 1 / (2 * k))
    broken = "the k intervals at the top of the products' range"
    return together(parts), Control(broken, together(wrong))


def draw_categories(ax: Any, data: Data) -> None:
    from slth import plot

    for series, r in enumerate(data["rows"]):
        k, n = r["k"], r["pairs"]
        count = np.array(r["signed"]).sum(axis=0)
        share = count / n * 2 * k
        error = 1.96 * np.sqrt(count) / n * 2 * k
        x = (np.arange(k) + 0.5) / k
        plot.band(ax, x, share - error, share, share + error, f"k = {k}", series=series)
    plot.curve(ax, [0, 1], [1, 1], "least, 1/(2k)", series=3)
    ax.set(xlabel="category over k [1]", ylabel="frequency · 2k [1]", ylim=(0.9, 2.6))
    plot.legend(ax, ncols=2)


# -- 14: filling categories ------------------------------------------------------------------------

FILLINGS = [(K, n, d) for K in (4, 20) for n in (1, 10, 40) for d in (0.1, 0.01)]
FILLED_TRIALS = 3000


def sample_filling(smoke: bool, rng: np.random.Generator) -> Data:
    trials = 1000 if smoke else FILLED_TRIALS
    rows = []
    for K, n, delta in FILLINGS:
        draws = {"claimed": math.ceil(2 * K * (n + math.log(K / delta))), "control": K * n}
        failed = {
            key: (rng.multinomial(m, np.full(K, 1 / K), trials).min(axis=1) < n).sum()
            for key, m in draws.items()
        }
        rows.append({"K": K, "n": n, "delta": delta, "trials": trials, "draws": draws,
                     "failed": failed})  # fmt: skip
    return {"rows": rows}


def judge_filling(data: Data) -> tuple[Verdict, Control]:
    def found(key: str) -> Verdict:
        return together(
            {
                f"{r['K']} categories, {r['n']} each, {r['draws'][key]} draws": at_most(
                    r["failed"][key], r["trials"], r["delta"]
                )
                for r in data["rows"]
            }
        )

    return found("claimed"), Control("as many draws as places to fill, K·n", found("control"))


def draw_filling(ax: Any, data: Data) -> None:
    from slth import plot
    from slth.stats import clopper_pearson

    rows = [r for r in data["rows"] if r["delta"] == 0.1 and r["K"] == 20]
    n, trials = [r["n"] for r in rows], rows[0]["trials"]
    for series, (key, label) in enumerate((("claimed", "claimed M"), ("control", "M = K·n"))):
        failed = np.array([r["failed"][key] for r in rows])
        low, high = clopper_pearson(failed, trials)
        mid = np.clip(failed / trials, low, high)
        plot.band(ax, n, low, mid, high, f"{label}, K = 20", series=series)
    plot.curve(ax, [1, 40], [0.1, 0.1], "δ", series=2)
    ax.set(xlabel="samples a category n [1]", ylabel="failures [1]", ylim=(-0.03, 1.05))
    plot.legend(ax, loc="center right")


CLAIMS = (
    Claim(
        9,
        "product of uniforms",
        "The product of u uniform on [0, 1] and v uniform on [−1, 1] has density ½ ln(1/|z|) for "
        "every z in [−1, 1], so at least that of a uniform part on [−1/2, 1/2] of mass ln(2)/2: "
        "Pensia et al. (2020), Corollary 1.",
        f"Distribution function of {PRODUCTS} products of a source's own weights off by more than "
        f"{MARGIN}, or one of {CELLS} cells of [−1/2, 1/2] with less than its share of ln(2)/2.",
        sample_product, judge_product, draw_product, 0.3,
    ),
    Claim(
        12,
        "hyperbolic coupons",
        "⌈k ln(k/δ)⌉ weights of the hyperbolic law on [γ^-k, 1] miss one of its k geometric "
        "intervals with probability at most δ, and close to it, whereas under uniform weights the "
        "lowest takes of the order of γ^k draws, for every k: Orseau et al. (2020) for the law.",
        f"γ = {GAMMA}, (k, δ) in {COUPONS}, {COLLECTIONS} collections: failure above δ or below "
        f"{NEAR}·δ; slope of ln(wait) against k off ln γ by more than {SPREAD:.0%}, k in {DEPTHS}.",
        sample_coupons, judge_coupons, draw_coupons, 0.8,
    ),
    Claim(
        13,
        "product categories",
        "The product of two hyperbolic weights on [a, b], a = bγ^-k, lies in each of the k "
        "geometric intervals of the middle half of its range with probability at least 1/(2k), "
        "and with given signs at least 1/(8k), for every k (derived here, idea of Orseau et al. "
        "(2020)).",
        f"A category of k in {CATEGORIES} below that, among {PAIRS} pairs.",
        sample_categories, judge_categories, draw_categories, 1.5,
    ),
    Claim(
        14,
        "filling lemma",
        "⌈2K(n + ln(K/δ))⌉ draws put at least n into each of K equally likely categories with "
        "probability at least 1 − δ, for every K, n and δ (derived here, for batch sampling as in "
        "Orseau et al. (2020)).",
        f"Failure above δ in one of {len(FILLINGS)} cases, K in (4, 20), n in (1, 10, 40), δ in "
        f"(0.1, 0.01); {FILLED_TRIALS} trials each.",
        sample_filling, judge_filling, draw_filling, 0.1,
    ),
)  # fmt: skip

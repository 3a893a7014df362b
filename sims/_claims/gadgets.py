"""Claims about one gadget: what a weight costs, how well it is met, and how much of it is kept."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import RESAMPLES, Floats, at_most, together
from sims._claims._shared import every, mean_within, spread
from sims._claims.subset_sums import slope
from sims._protocol import Control, exact
from slth.stats.verdict import Verdict


def one_layer(weights: Any) -> Any:
    """The bias-free target of one matrix."""
    from slth.target import Target

    return Target((np.atleast_2d(weights),), (None,))


# -- 17: one neuron a weight -----------------------------------------------------------------------

WEIGHTS = [0.2, -0.4, 0.5, -0.7]
POOLS = [100, 316, 1000, 3162, 10_000, 31_623]
POOL_SEEDS = 200
PRODUCT, FACTORS = (-1.1, -0.9), (-0.55, -0.45)  # log-log slopes
ETA, DELTA = 0.3, 0.1
BOUND_SEEDS = 1000  # of two gadgets each, which share nothing


def gadget_errors(match: str, weights: list[float], n: int, seed: int) -> Floats:
    """|Σuv − w| of every output and half, one neuron each, in a source of n neurons a half."""
    from slth.construct.malach import Malach

    target = one_layer(np.array(weights)[:, None])
    make = Malach(match=match)  # type: ignore[arg-type]
    found = make.build(target, make.source_for(target, seed, n)).effective
    both = np.stack([found.positive[0][:, 0], found.negative[0][:, 0]])
    return np.asarray(np.abs(both - weights)).ravel()


def sample_pools(smoke: bool, rng: np.random.Generator) -> Data:
    from slth.bounds.malach import pool_size

    seeds = rng.integers(2**31, size=6 if smoke else POOL_SEEDS).tolist()
    pools = POOLS[:4] if smoke else POOLS

    def logs(match: str, weights: list[float]) -> Floats:
        rows = [[np.log(gadget_errors(match, weights, n, s)).mean() for n in pools] for s in seeds]
        return np.round(rows, 5)

    n = int(pool_size(ETA, DELTA))
    trials = rng.integers(2**31, size=50 if smoke else BOUND_SEEDS).tolist()
    missed = [int((gadget_errors("both", WEIGHTS[1:2], n, s) > ETA).sum()) for s in trials]
    return {
        "pools": pools,
        "product": logs("product", WEIGHTS),
        "factors": logs("both", WEIGHTS),
        "edge": logs("product", np.sign(WEIGHTS).tolist()),
        "bound": n,
        "missed": sum(missed),
        "gadgets": 2 * len(trials),
    }


def judge_pools(data: Data) -> tuple[Verdict, Control]:
    x = np.log(data["pools"])

    def found(key: str, claimed: tuple[float, float]) -> Verdict:
        return mean_within(slope(x, np.array(data[key])), *claimed, "log-log slope")

    verdict = together(
        {
            "product": found("product", PRODUCT),
            "factors": found("factors", FACTORS),
            "bound": at_most(data["missed"], data["gadgets"], DELTA),
        }
    )
    return verdict, Control("a weight of 1, where products have no density", found("edge", PRODUCT))


def draw_pools(ax: Any, data: Data) -> None:
    from slth import plot

    names = {"product": "product", "factors": "both factors", "edge": "product, |w| = 1"}
    for series, (key, label) in enumerate(names.items()):
        low, mid, high = spread(np.exp(np.array(data[key])))
        plot.band(ax, data["pools"], low, mid, high, label, series=series)
    plot.log_scale(ax)
    ax.set(xlabel="neurons K [1]", ylabel="error of a weight [1]")
    plot.legend(ax)


# -- 18: the diamond -------------------------------------------------------------------------------

TOLERANCES = [0.1, 0.01, 0.001, 0.0001]
GADGETS, INPUTS = 40, 40  # for each tolerance
DRAWN = 256
SHOWN = 3  # gadgets in the panel


def kept_pairs(weights: Floats, eta: float, seed: int) -> list[tuple[Floats, Floats]]:
    """For each weight all kept in- and out-weights of its two halves, from a ticket."""
    from slth.construct.pensia import Pensia

    target = one_layer(weights[:, None])
    make = Pensia(tolerance=eta)
    ticket = make.build(target, make.source_for(target, seed, DRAWN))
    if ticket.claim.unmet:
        raise AssertionError(f"{ticket.claim.unmet} gadgets of {DRAWN} neurons miss {eta}")
    pairs: list[tuple[list[float], list[float]]] = [([], []) for _ in weights]
    for half in (0, 1):
        kept = ticket.kept[0][half]
        u = ticket.source.in_weights(0, half)[0]
        v = ticket.source.out_weights(0, half)[0]
        for j, k in zip(kept.gadgets.tolist(), kept.indices.tolist(), strict=True):
            pairs[j][0].append(u[k])
            pairs[j][1].append(v[j, k])
    return [(np.array(u), np.array(v)) for u, v in pairs]


def unfiltered_pairs(
    weights: Floats, eta: float, rng: np.random.Generator
) -> list[tuple[Floats, Floats]]:
    """The same, but each half takes any neurons whose products add up, whatever their signs."""
    from slth.subsetsum import Problem
    from slth.subsetsum.first_hit import FirstHit

    pairs = []
    for w in weights:
        u, v = rng.uniform(-1, 1, (2, 2, DRAWN // 4))
        keep = FirstHit()(Problem(u * v, [w, w], eta)).mask
        pairs.append((u[keep], v[keep]))
    return pairs


def violations(
    pairs: list[tuple[Floats, Floats]], weights: Floats, eta: float, inputs: Floats
) -> int:
    """How often |Σ v·max(0, u·x) − w·x| > η·|x|, in rational arithmetic, without rounding."""
    bad = 0
    for (u, v), w in zip(pairs, weights.tolist(), strict=True):
        exact_u, exact_v = [Fraction(a) for a in u.tolist()], [Fraction(b) for b in v.tolist()]
        for x in map(Fraction, inputs.tolist()):
            terms = (b * a * x for a, b in zip(exact_u, exact_v, strict=True) if a * x > 0)
            bad += abs(sum(terms, Fraction(0)) - Fraction(w) * x) > Fraction(eta) * abs(x)
    return bad


def sample_diamond(smoke: bool, rng: np.random.Generator) -> Data:
    gadgets, inputs = (6, 8) if smoke else (GADGETS, INPUTS)
    bad, broken, curves = 0, 0, []
    for eta in TOLERANCES:
        weights = rng.uniform(-1, 1, gadgets)
        # of both signs and all sizes: the error must scale with the input
        x = rng.normal(size=inputs) * 10.0 ** rng.uniform(-30, 30, inputs)
        pairs = kept_pairs(weights, eta, int(rng.integers(2**31)))
        bad += violations(pairs, weights, eta, x)
        broken += violations(unfiltered_pairs(weights, eta, rng), weights, eta, x)
        if eta == TOLERANCES[1]:
            for (u, v), w in zip(pairs[:SHOWN], weights, strict=False):
                curves.append([v @ np.maximum(0, u * s) - w * s for s in (-1.0, 0.0, 1.0)])
    cases = len(TOLERANCES) * gadgets * inputs
    return {"violations": bad, "broken": broken, "cases": cases, "curves": curves}


def judge_diamond(data: Data) -> tuple[Verdict, Control]:
    def found(key: str) -> Verdict:
        return exact("|g(x) − wx| ≤ η|x|", data[key], data["cases"])

    return found("violations"), Control("neurons not filtered by their sign", found("broken"))


def draw_diamond(ax: Any, data: Data) -> None:
    from slth import plot

    x, eta = np.array([-1.0, 0.0, 1.0]), TOLERANCES[1]
    scale = 1000 * np.abs(x) * eta
    plot.curve(ax, x, scale, f"±η|x|, η = {eta:g}", series=2)
    ax.plot(x, -scale, **(plot.style(2) | {"marker": "None"}), linewidth=1.0)
    for series, errors in zip((0, 1, 3), data["curves"], strict=False):
        name = f"gadget {('one', 'two', 'three')[(0, 1, 3).index(series)]}"
        plot.curve(ax, x, 1000 * np.array(errors), name, series=series)
    ax.set(xlabel="input x [1]", ylabel="g(x) − wx [1/1000]", ylim=(-1.15 * scale[0], 22))
    plot.legend(ax, loc="upper center", ncols=2, columnspacing=1.0)


# -- 20: width, parameters, density ----------------------------------------------------------------

DIMS = (5, 7, 4)
WIDTHS = [16, 24, 32, 40]
KEPT = (0.4, 0.6)
KEPT_SEEDS = 40
SHAPES = 200


def kept_share(n: int, seed: int, single: bool) -> float:
    """Kept over usable out-weights of a ticket; an out-weight is usable if its neuron's sign is."""
    from slth.construct.malach import Malach
    from slth.construct.pensia import Pensia
    from slth.target import Target

    rng = np.random.default_rng(seed)
    drawn = [rng.normal(size=(b, a)) for a, b in pairwise(DIMS)]
    target = Target(tuple(w / np.linalg.norm(w, 2) for w in drawn), (None,) * len(drawn))
    make: Any = Malach(match="product") if single else Pensia()
    ticket = make.build(target, make.source_for(target, seed, n))
    usable = 0
    for i, outputs in enumerate(DIMS[1:]):
        for half, sign in ((0, 1), (1, -1)):
            usable += outputs * int((sign * ticket.source.in_weights(i, half) > 0).sum())
    return float(ticket.kept_out / usable)


def counted_wrongly(rng: np.random.Generator, halves: int) -> int:
    """1 if a random source's own matrices have another size than `halves`·d·n·(d + d') says."""
    from slth.source import Source

    dims = tuple(rng.integers(1, 7, rng.integers(2, 6)).tolist())
    n = tuple(rng.integers(1, 9, len(dims) - 1).tolist())
    source = Source(dims, n, (False,) * len(n), int(rng.integers(2**31)))
    matrices = [(source.in_matrix(i), source.out_matrix(i)) for i in range(len(n))]
    width = [halves * a * k for a, k in zip(dims, n, strict=False)]
    weights = sum(w * (a + b) for w, a, b in zip(width, dims, dims[1:], strict=False))
    drawn = sum(u.size + v.size for u, v in matrices)
    same = [len(u) == w == v.shape[1] for (u, v), w in zip(matrices, width, strict=True)]
    return int(not (all(same) and drawn == weights == source.parameters))


def sample_density(smoke: bool, rng: np.random.Generator) -> Data:
    seeds = rng.integers(2**31, size=4 if smoke else KEPT_SEEDS).tolist()
    widths = WIDTHS[:2] if smoke else WIDTHS
    shapes = 20 if smoke else SHAPES
    return {
        "n": widths,
        "kept": np.round([[kept_share(n, s, False) for n in widths] for s in seeds], 4),
        "single": np.round([[kept_share(n, s, True) for n in widths] for s in seeds], 4),
        "wrong": sum(counted_wrongly(rng, 2) for _ in range(shapes)),
        "one_half": sum(counted_wrongly(rng, 1) for _ in range(shapes)),
        "shapes": shapes,
    }


def judge_density(data: Data) -> tuple[Verdict, Control]:
    def found(shares: str, wrong: str) -> dict[str, Verdict]:
        table = np.array(data[shares])
        parts = {
            f"n = {n}": mean_within(x, *KEPT, "kept over usable", len(table.T))
            for n, x in zip(data["n"], table.T, strict=True)
        }
        return {"sizes": exact("sizes of all matrices", data[wrong], data["shapes"]), **parts}

    broken = "one neuron a weight; one half counted"
    return together(found("kept", "wrong")), Control(broken, every(found("single", "one_half")))


def draw_density(ax: Any, data: Data) -> None:
    from slth import plot

    for series, (key, label) in enumerate(
        (("kept", "subset sums"), ("single", "one neuron a weight"))
    ):
        plot.band(ax, data["n"], *spread(data[key]), label, series=series)
    ax.set(xlabel="neurons a half n [1]", ylabel="kept over usable [1]", ylim=(0, 0.75))
    plot.legend(ax, loc="upper right")


CLAIMS = (
    Claim(
        17,
        "one neuron a weight",
        "The best of K neurons misses a weight w, |w| away from 0 and 1, by order K^-1 where the "
        "product is matched and K^-1/2 where both factors are, as in Malach et al. (2020); "
        "⌈16/η² ln(1/δ)⌉ neurons hold one within η with probability 1 − δ, and that is "
        "quadratically more than products need.",
        f"Mean log-log slope of the error over K = {POOLS[0]} … {POOLS[-1]} within {PRODUCT} and "
        f"{FACTORS}: {POOL_SEEDS} seeds, weights {WEIGHTS}, {RESAMPLES} resamples; at the bound's "
        f"K for η = {ETA}, δ = {DELTA}, misses at most δ in {2 * BOUND_SEEDS} gadgets.",
        sample_pools, judge_pools, draw_pools, 11.0,
    ),
    Claim(
        18,
        "diamond",
        "The gadget of Pensia et al. (2020) errs by at most η|x| for every input x of either sign "
        "once each half's kept products add up to w within η.",
        f"Any violation in rational arithmetic over {GADGETS} weights and {INPUTS} inputs of 60 "
        f"decades, for each η of {TOLERANCES}.",
        sample_diamond, judge_diamond, draw_diamond, 1.0,
    ),
    Claim(
        20,
        "width and density",
        "The source of Pensia et al. (2020) has hidden widths 2·d·n and Σ 2·d·n·(d + d') weights; "
        "best subsets keep about half of the usable out-weights whatever n, so the density is of "
        "order 1 (Natale et al., 2024).",
        f"Any size that differs from the matrices drawn, {SHAPES} random shapes; mean kept share "
        f"outside {KEPT} at any n of {WIDTHS}, {KEPT_SEEDS} seeds, target {DIMS}, {RESAMPLES} "
        "resamples.",
        sample_density, judge_density, draw_density, 3.0,
    ),
)  # fmt: skip

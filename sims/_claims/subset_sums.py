"""Claims about random subset sums: how many values cover an interval, or hit a target."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import RESAMPLES, Floats, between, weights
from sims._protocol import Control, exact
from slth.stats.verdict import Verdict

# -- 1: the coverage threshold ---------------------------------------------------------------------

BITS = list(range(3, 13))
FITTED = slice(2, None)  # 5 to 12 bits
SLOPE = (1.0, 1.3)
MOST = 21  # values of a trial
TRIALS = 600


def needed(profiles: Floats, bits: list[int]) -> Floats:
    """The least n whose tolerance is at most 2^-k: `[trials, k]`, n + 1 where none is."""
    etas = 2.0 ** -np.asarray(bits, dtype=np.float64)
    return (profiles[:, :, None] > etas).sum(axis=1) + 1.0


def n50(first: Floats, share: Floats) -> Floats:
    """Where the success frequency crosses 1/2, between two whole n by a straight line.

    first: the n from which on a trial succeeds, `[trials, K]` or in batches `[batches, trials, K]`;
    share: weights of the trials or batches `[R, ...]`. Returns `[R, K]`.
    """
    first = np.asarray(first)
    first = first[:, None] if first.ndim == 2 else first
    done = [(first <= n).mean(axis=1) for n in range(int(first.max()) + 1)]
    rates = np.stack([share @ d for d in done], axis=-1)  # [R, K, n]
    at = (rates < 0.5).sum(axis=-1)
    low = np.take_along_axis(rates, at[..., None] - 1, -1)[..., 0]
    high = np.take_along_axis(rates, at[..., None], -1)[..., 0]
    return at - 1 + (0.5 - low) / (high - low)


def slope(bits: Any, n: Floats) -> Floats:
    """Least-squares slope of n `[..., K]` against bits `[K]`."""
    x = np.asarray(bits, dtype=np.float64)
    x = x - x.mean()
    return (n * x).sum(axis=-1) / (x * x).sum()


def equal(trials: int) -> Floats:
    return np.full((1, trials), 1 / trials)


def sample_threshold(smoke: bool, rng: np.random.Generator) -> Data:
    from slth.coverage import profiles

    trials, most = (60, 19) if smoke else (TRIALS, MOST)
    rows = profiles(rng.uniform(-1, 1, (trials, most)), threads=1)
    # a value of zero adds no sum: every second one zero is the same profile, twice as long
    idle = needed(np.repeat(rows, 2, axis=1), BITS)
    return {"bits": BITS, "needed": needed(rows, BITS).astype(int), "idle": idle.astype(int)}


def judge_threshold(data: Data) -> tuple[Verdict, Control]:
    def found(key: str) -> Verdict:
        first = np.array(data[key])[:, FITTED]
        bits = data["bits"][FITTED]
        share = weights(len(first), np.random.default_rng(1))
        estimate = slope(bits, n50(first, equal(len(first))))[0]
        return between(estimate, slope(bits, n50(first, share)), *SLOPE, "samples a bit")

    return found("needed"), Control("every second value is zero", found("idle"))


def draw_threshold(ax: Any, data: Data) -> None:
    from slth import plot

    first = np.array(data["needed"])
    draws = n50(first, weights(len(first), np.random.default_rng(1), 1000))
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    mid = n50(first, equal(len(first)))[0]
    low, high = np.minimum(low, mid), np.maximum(high, mid)
    plot.band(ax, data["bits"], low, mid, high, "measured n50", series=0)
    bits = np.array(data["bits"])
    plot.curve(ax, bits, bits - 1, "counting bound", series=1)
    ax.set(xlabel="log2(1/tolerance) [bit]", ylabel="values needed [1]")
    plot.legend(ax)


# -- 5: the counting bound -------------------------------------------------------------------------

COUNTED = list(range(1, 17))
COUNTING_TRIALS = 200  # for each law and n


def powers(n: int) -> tuple[Floats, float, float]:
    """The best values there are: sums with equal gaps, and the interval that they just cover."""
    half = 2.0 ** -(n + 1)
    return 2.0 ** -np.arange(1.0, n + 1), -half, 1.0 - half


def sample_counting(smoke: bool, rng: np.random.Generator) -> Data:
    from slth.coverage import least_tolerance, profiles

    trials = 10 if smoke else COUNTING_TRIALS
    most = 10 if smoke else COUNTED[-1]
    shape = (trials, most)
    laws = {
        "uniform": rng.uniform(-1, 1, shape),
        "normal": rng.normal(0, 0.5, shape),
        "product": rng.uniform(-1, 1, shape) * rng.uniform(0, 1, shape),
        "doubling": 2.0 ** -np.arange(1.0, most + 1) * rng.uniform(0.9, 1.1, shape)
        * rng.choice([-1, 1], shape),
    }  # fmt: skip
    # bits bought: log2(T / 2η) with T = 1; the bound says at most n
    bits = {name: -1 - np.log2(profiles(v, threads=1)) for name, v in laws.items()}
    best = [least_tolerance(*powers(n)) for n in range(1, most + 1)]
    return {
        "n": list(range(1, most + 1)),
        "most": {name: b.max(axis=0) for name, b in bits.items()},
        "median": {name: np.median(b, axis=0) for name, b in bits.items()},
        "best": -1 - np.log2(best),
        "trials": trials,
    }


def judge_counting(data: Data) -> tuple[Verdict, Control]:
    n = np.array(data["n"])

    def found(spared: int) -> Verdict:
        bought = [*data["most"].values(), data["best"]]
        bad = sum(int((np.array(b) > n - spared).sum()) for b in bought)
        cases = len(n) * (len(data["most"]) * data["trials"] + 1)
        return exact("log2(T/2η) ≤ n", bad, cases)

    return found(0), Control("the same bound with one value fewer", found(1))


def draw_counting(ax: Any, data: Data) -> None:
    from slth import plot

    n = np.array(data["n"])
    plot.curve(ax, n, n, "bound: one bit a value", series=2)
    for series, name in enumerate(("uniform", "doubling")):
        mid, most = np.array(data["median"][name]), np.array(data["most"][name])
        plot.band(ax, n, mid, mid, most, f"{name}, median to best", series=series)
    ax.set(xlabel="values n [1]", ylabel="log2(T/2η) [bit]", ylim=(-0.5, 26))
    plot.legend(ax)


CLAIMS = (
    Claim(
        1,
        "coverage threshold",
        "The number of uniform values at which every z in [−1/2, 1/2] is within 2^-k of a subset "
        "sum with probability 1/2 grows by about one a bit: n = O(log(1/ε)), Lueker (1998), "
        "da Cunha et al. (2022).",
        f"Slope of n50 over k = {BITS[FITTED][0]} … {BITS[FITTED][-1]} within [1, 1.3]; "
        f"{TRIALS} trials of all 2^n sums, {RESAMPLES} resamples of the trials. (Below 1 is "
        "impossible only asymptotically; the offset ½·log2 n lifts it above 1 here.)",
        sample_threshold, judge_threshold, draw_threshold, 5.0,
    ),
    Claim(
        5,
        "counting bound",
        "No n values, whatever they are, cover an interval of length T within η unless "
        "n ≥ log2(T/2η), because 2^n sums cover a measure of at most 2^n·2η (derived here).",
        f"Any violation, over n ≤ {COUNTED[-1]}, four laws with {COUNTING_TRIALS} draws each, and "
        "the powers of two, which attain it.",
        sample_counting, judge_counting, draw_counting, 0.2,
    ),
)  # fmt: skip

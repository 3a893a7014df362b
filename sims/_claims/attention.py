"""The claim about attention: two pruned matrices for one, and no price for long sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import RESAMPLES, Floats, together
from sims._claims._shared import every, mean_within, spread, steepening
from sims._protocol import Control, exact
from slth.stats.verdict import Verdict

D = 4  # width of tokens, and of target matrices
BLOCK = 6  # inner neurons a block; then twice and four times as many
PRODUCT_SEEDS = 100
SINGLES = 1000  # of the control, which is cheap
LENGTHS = [2, 8, 32, 128, 512, 2048]
SEQUENCES = 40
RADIUS = 2.0  # of tokens: α
ATTAINED = 0.99  # of the lemma's bound that the worst sequence of any length reaches


def unit(rng: np.random.Generator) -> Floats:
    """A random target matrix of spectral norm 1."""
    w = rng.normal(size=(D, D))
    return np.asarray(w / np.linalg.norm(w, 2))


def pruned_product(w: Floats, u: Floats, v: Floats, n: int) -> Floats:
    """(W2 ⊙ M2)(W1 ⊙ M1) nearest to w entry by entry: u `[D, n]` are the in-weights of the block of
    each input, v `[D, D, n]` the out-weights; no activation between, so no signs to match."""
    from slth.subsetsum import Problem
    from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle

    values = (v[:, :, :n] * u[None, :, :n]).reshape(D * D, n)
    mask = MeetInTheMiddle(threads=1)(Problem(values, w.ravel())).mask
    return np.asarray((values * mask).sum(axis=1).reshape(D, D))


def best_single(w: Floats, u: Floats, v: Floats, n: int) -> Floats:
    """The same with one inner neuron an entry."""
    values = v[:, :, :n] * u[None, :, :n]
    at = np.abs(values - w[:, :, None]).argmin(axis=-1)
    return np.asarray(np.take_along_axis(values, at[..., None], -1)[..., 0])


def softmax(logits: Floats) -> Floats:
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(p / p.sum(axis=-1, keepdims=True))


def unnormalised(logits: Floats) -> Floats:
    """Attention without its normalisation: divided by a constant instead of the sum."""
    return np.asarray(np.exp(logits) / LENGTHS[0])


def block_error(
    target: Floats, pruned: Floats, tokens: Floats, weigh: Any = softmax
) -> tuple[float, float]:
    """(largest output error of a token, largest change of a logit) for logits x·Wx/sqrt(D)."""
    logits = [tokens @ w @ tokens.T / np.sqrt(D) for w in (target, pruned)]
    moved = (weigh(logits[1]) - weigh(logits[0])) @ tokens
    return float(np.linalg.norm(moved, axis=1).max()), float(np.abs(logits[1] - logits[0]).max())


def worst_sequence(length: int, eta: float, weigh: Any = softmax) -> float:
    """The error of the sequence that the lemma is sharp for: half of the tokens at α with logits
    that rise by η, half at −α with logits that fall by it."""
    sign = np.where(np.arange(length) < length // 2, 1.0, -1.0)
    before = -eta / 2 * sign
    moved = weigh(before + eta * sign) - weigh(before)
    return float(abs(moved @ (RADIUS * sign)))


def bound(eta: float) -> float:
    return float(2 * RADIUS * np.tanh(eta / 2))


def sample_attention(smoke: bool, rng: np.random.Generator) -> Data:
    seeds, singles, sequences = (8, 500, 4) if smoke else (PRODUCT_SEEDS, SINGLES, SEQUENCES)
    n = [BLOCK, 2 * BLOCK, 4 * BLOCK]

    def errors(prune: Any, count: int) -> list[list[float]]:
        rows = []
        for _ in range(count):
            w, u, v = unit(rng), rng.uniform(-1, 1, (D, n[-1])), rng.uniform(-1, 1, (D, D, n[-1]))
            rows.append([float(f"{np.abs(prune(w, u, v, k) - w).max():.5g}") for k in n])
        return rows

    lengths = LENGTHS[:4] if smoke else LENGTHS
    found: dict[str, list[list[float]]] = {"softmax": [], "unnormalised": []}
    ratios: dict[str, list[float]] = {"softmax": [], "unnormalised": []}
    for _ in range(sequences):
        w, u, v = unit(rng), rng.uniform(-1, 1, (D, n[1])), rng.uniform(-1, 1, (D, D, n[1]))
        pruned = pruned_product(w, u, v, n[1])
        tokens = rng.normal(size=(lengths[-1], D))
        tokens *= RADIUS / np.linalg.norm(tokens, axis=1, keepdims=True)
        for name, weigh in (("softmax", softmax), ("unnormalised", unnormalised)):
            row = [block_error(w, pruned, tokens[:t], weigh) for t in lengths]
            found[name].append([float(f"{e:.5g}") for e, _ in row])
            ratios[name] += [e / bound(eta) for e, eta in row]
    etas = [0.01, 0.1, 0.5, 2.0]
    worst = {
        name: [[worst_sequence(t, eta, weigh) / bound(eta) for t in lengths] for eta in etas]
        for name, weigh in (("softmax", softmax), ("unnormalised", unnormalised))
    }
    return {
        "n": n,
        "product": errors(pruned_product, seeds),
        "single": errors(best_single, singles),
        "lengths": lengths,
        "found": found,
        "ratios": {name: np.round(rows, 9) for name, rows in ratios.items()},
        "worst": worst,
    }


def judge_attention(data: Data) -> tuple[Verdict, Control]:
    def decay(key: str) -> Verdict:
        return mean_within(steepening(data[key]), 0.0, np.inf, "steepening of ln error")

    def lemma(name: str) -> Verdict:
        """Never beyond the bound, and as near to it for every length."""
        worst = np.array(data["worst"][name]).ravel()
        ratios = np.concatenate([data["ratios"][name], worst])
        bad = int((ratios > 1 + 1e-9).sum() + (worst < ATTAINED).sum())
        return exact("2α·tanh(η/2) holds and is attained at every length", bad, len(ratios))

    verdict = together({"decay": decay("product"), "length": lemma("softmax")})
    broken = "one inner neuron an entry; attention not normalised"
    control = every({"decay": decay("single"), "length": lemma("unnormalised")})
    return verdict, Control(broken, control)


def draw_attention(ax: Any, data: Data) -> None:
    from slth import plot

    plot.band(ax, data["n"], *spread(data["product"]), "product, against n/d", series=0)
    plot.band(ax, data["lengths"], *spread(data["found"]["softmax"]), "block, T", series=1)
    plot.band(
        ax, data["lengths"], *spread(data["found"]["unnormalised"]), "not normalised, T", series=2
    )
    plot.log_scale(ax)
    ax.set(xlabel="n/d, or length T [1]", ylabel="error [1]")
    plot.legend(ax, loc="lower right")


CLAIMS = (
    Claim(
        32,
        "attention",
        "The best pruned product of two random matrices misses a d × d matrix of norm 1 by an "
        "error that falls exponentially in n/d, and the block that it stands in by at most "
        "2α·tanh(η/2) for logits off by η, however long the sequence: Otsuka et al. (2025), "
        "lemmas 4 and 5, the constant derived here.",
        f"Mean of ln(e2/e3) − 1.5·ln(e1/e2) below 0 for the largest entry's error at n/d = "
        f"{BLOCK}, {2 * BLOCK}, {4 * BLOCK}, {PRODUCT_SEEDS} seeds, {RESAMPLES} resamples "
        "(−0.5·ln(e1/e2) for any power law); any block error beyond the bound, of "
        f"{SEQUENCES} blocks with T = {LENGTHS}, or a T at which the worst sequence comes to less "
        f"than {ATTAINED} of it.",
        sample_attention, judge_attention, draw_attention, 6.0,
    ),
)  # fmt: skip

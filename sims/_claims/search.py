"""Claims about finding masks: a swap of edge-popup lowers the loss, and which masks need no
training."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims._claims import Claim, Data
from sims._claims._judging import Floats, at_least, together
from sims._claims._shared import mean_within, spread
from sims._protocol import Control
from sims._swaps import (
    BATCH,
    CLASSES,
    HIDDEN,
    INPUTS,
    draw,
    first_pair,
    kinked,
    loss_and_slope,
    smooth,
    top_half,
)
from slth.stats import clopper_pearson
from slth.stats.verdict import Verdict

# -- 29: swaps of edge-popup -----------------------------------------------------------------------

SCALES = [1.0, 0.25, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-10]  # of the weights that are masked
SWAPS = 3000
FALLS = 0.99


def swap(problem: tuple[Any, ...], scale: float, act: Any, counted: int = BATCH) -> float:
    """How much the loss changes by the first swap that gradient descent on the scores makes.

    Each edge's score falls by the rate times G = Σ_b ∂L/∂I · x · w, over the examples counted; the
    rate is the least at which an edge outside the top half overtakes one inside.
    """
    x, _, _, (weights, scores) = problem
    w = scale * weights
    keep = top_half(scores.ravel())
    before, slope = loss_and_slope(w * keep.reshape(w.shape), problem, act)
    g = (slope[:counted].T @ x[:counted] * w).ravel()
    leaves, enters, _ = first_pair(scores.ravel(), g, keep)
    keep[leaves], keep[enters] = False, True
    after, _ = loss_and_slope(w * keep.reshape(w.shape), problem, act)
    return after - before


def sample_swaps(smoke: bool, rng: np.random.Generator) -> Data:
    events, scales = (200, [1.0, SCALES[-1]]) if smoke else (SWAPS, SCALES)
    falls = {name: np.zeros(len(scales), dtype=int) for name in ("smooth", "kinked", "half")}
    for _ in range(events):
        problem = draw(rng)
        for i, scale in enumerate(scales):
            falls["smooth"][i] += swap(problem, scale, smooth) < 0
            falls["kinked"][i] += swap(problem, scale, kinked) < 0
            falls["half"][i] += swap(problem, scale, smooth, BATCH // 2) < 0
    return {"scales": scales, "swaps": events, **falls}


def judge_swaps(data: Data) -> tuple[Verdict, Control]:
    def found(name: str) -> Verdict:
        return at_least(data[name][-1], data["swaps"], FALLS)

    return found("smooth"), Control("scores follow half of the batch", found("half"))


def draw_swaps(ax: Any, data: Data) -> None:
    from slth import plot

    names = {"smooth": "tanh", "kinked": "ReLU", "half": "tanh, half a batch"}
    for series, (name, label) in enumerate(names.items()):
        low, high = clopper_pearson(data[name], data["swaps"])
        rates = np.array(data[name]) / data["swaps"]
        plot.band(ax, data["scales"], low, rates, high, label, series=series)
    plot.log_scale(ax, "x")
    ax.invert_xaxis()
    ax.set(
        xlabel="scale of the weights [1]", ylabel="swaps that lower the loss [1]", ylim=(0.72, 1.01)
    )
    plot.legend(ax, loc="lower right")


# -- 30: supermasks --------------------------------------------------------------------------------

DIMS = (64, 128, 64, 10)
EPOCHS, TRAINING_BATCH, RATE = 15, 64, 3e-3
NETWORKS = 120
ROUNDS = [1, 3, 5, 7, 9]
JUDGED = ROUNDS.index(5)
KEEP_HIDDEN, KEEP_LAST = 0.8, 0.9  # a round
CRITERIA = ("large_final_same_sign", "large_final", "magnitude_increase", "movement",
            "large_init", "random", "small_final")  # fmt: skip
ABOVE_CHANCE = 0.2  # of ten classes
AT_CHANCE = (0.05, 0.15)


def score(name: str, first: Floats, last: Floats, rng: np.random.Generator) -> Floats:
    """Zhou et al.'s criteria on weights before and after training: the largest are kept."""
    return np.asarray({
        "large_final_same_sign": np.abs(last) * (first * last > 0),
        "large_final": np.abs(last),
        "magnitude_increase": np.abs(last) - np.abs(first),
        "movement": np.abs(last - first),
        "large_init": np.abs(first),
        "random": rng.random(first.shape),
        "small_final": -np.abs(last),
    }[name])  # fmt: skip


def masked_accuracy(
    weights: tuple[Floats, ...], scores: list[Floats], rounds: int, x: Floats, labels: Any
) -> float:
    """Test accuracy of untrained weights under the mask that keeps the best scores a layer."""
    from slth.mask import count_for, keep_top
    from slth.nets.training import accuracy
    from slth.target import Target

    kept = []
    for i, (w, s) in enumerate(zip(weights, scores, strict=True)):
        share = (KEEP_LAST if i == len(weights) - 1 else KEEP_HIDDEN) ** rounds
        kept.append(w * keep_top(s, count_for(share, w.size)))
    return accuracy(Target(tuple(kept), (None,) * len(kept)), x, labels)


def sample_supermasks(smoke: bool, rng: np.random.Generator) -> Data:
    from slth.data import images
    from slth.nets.training import Recipe, accuracy, train_mlp
    from slth.target import Target

    networks, epochs = (6, 2) if smoke else (NETWORKS, EPOCHS)
    rounds = [ROUNDS[JUDGED]] if smoke else ROUNDS
    x, labels = images.digits()
    test = images.held_out(labels)

    def weights(seed: int, epochs: int) -> tuple[Floats, ...]:
        recipe = Recipe(bias=False, epochs=epochs, batch=TRAINING_BATCH, rate=RATE)
        return train_mlp(x[~test], labels[~test], DIMS, recipe, seed).weights

    seeds = rng.choice(2**31, size=networks, replace=False).tolist()
    first, last = [weights(s, 0) for s in seeds], [weights(s, epochs) for s in seeds]
    nothing = (None,) * len(first[0])
    trained = [accuracy(Target(w, nothing), x[test], labels[test]) for w in last]
    found: dict[str, Any] = {"rounds": rounds, "trained": np.round(trained, 4)}
    # the control lays a mask on the weights of the next seed
    for kind, shift, some in (("own", 0, rounds), ("another's", 1, ROUNDS[JUDGED : JUDGED + 1])):
        found[kind] = {name: [] for name in CRITERIA}
        for k in range(networks):
            wearer = first[(k + shift) % networks]
            for name, rows in found[kind].items():
                pairs = zip(first[k], last[k], strict=True)
                scores = [score(name, before, after, rng) for before, after in pairs]
                row = [masked_accuracy(wearer, scores, r, x[test], labels[test]) for r in some]
                rows.append([round(a, 4) for a in row])
    return found


def judge_supermasks(data: Data) -> tuple[Verdict, Control]:
    parts = len(CRITERIA) + 2

    def found(kind: str) -> Verdict:
        own = data["rounds"].index(ROUNDS[JUDGED])
        at = own if kind == "own" else 0
        table = {name: np.array(rows)[:, at] for name, rows in data[kind].items()}
        best, *others = CRITERIA
        return together(
            {
                "large_final": mean_within(
                    table["large_final"], ABOVE_CHANCE, 1.0, "accuracy", parts
                ),
                **{
                    name: mean_within(table[name], *AT_CHANCE, "accuracy", parts)
                    for name in ("random", "small_final")
                },
                **{
                    f"same sign over {name}": mean_within(
                        table[best] - table[name], 0.0, 1.0, "accuracy gained", parts
                    )
                    for name in others
                },
            }
        )

    return found("own"), Control("masks laid on the weights of another seed", found("another's"))


def draw_supermasks(ax: Any, data: Data) -> None:
    from slth import plot

    names = {
        "large_final_same_sign": "large, same sign",
        "large_final": "large final",
        "magnitude_increase": "increase",
        "movement": "movement",
        "large_init": "large initial",
        "random": "random",
        "small_final": "small final",
    }
    for series, (name, label) in enumerate(names.items()):
        plot.band(ax, data["rounds"], *spread(data["own"][name]), label, series=series)
    ax.set(
        xlabel="rounds r, 0.8^r kept [1]",
        ylabel="untrained accuracy [1]",
        ylim=(0, 1.85),
        yticks=[0, 0.25, 0.5, 0.75, 1],
    )
    plot.legend(ax, loc="upper center", ncols=2, columnspacing=1.0)


CLAIMS = (
    Claim(
        29,
        "swaps lower the loss",
        "When plain gradient descent on the scores of edge-popup lets one edge replace another, "
        "the loss falls to first order: Ramanujan et al. (2020), theorem 1; so the share of swaps "
        "that lower it tends to 1 with the weights' scale, whatever the learning rate.",
        f"At scale 2^-10 fewer than {FALLS} of {SWAPS} swaps, each at the least learning rate that "
        f"makes one, in a random tanh network {INPUTS}-{HIDDEN}-{CLASSES}, cross entropy, batches "
        f"of {BATCH}. (ReLU's kinks scale with the weights, so its network is not smooth at any "
        "scale; it is drawn beside.)",
        sample_swaps, judge_swaps, draw_swaps, 3.5,
    ),
    Claim(
        30,
        "supermasks",
        "Masks that keep the weights which end up large make an untrained network far better than "
        "chance, best those that also keep their sign; random masks and small final weights leave "
        "it at chance: Zhou et al. (2019), empirical.",
        f"Test accuracy on 8 × 8 digits of {NETWORKS} untrained networks {DIMS}, {ROUNDS[JUDGED]} "
        f"rounds of {KEEP_HIDDEN} (last layer {KEEP_LAST}) kept at once: large_final not above "
        f"{ABOVE_CHANCE}, random or small_final outside {AT_CHANCE}, or any other criterion of "
        f"{len(CRITERIA)} at least as good as large_final_same_sign, in the mean.",
        sample_supermasks, judge_supermasks, draw_supermasks, 22.0,
    ),
)  # fmt: skip

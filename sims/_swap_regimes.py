"""What `sims.swap_lemma` measures on one random problem: trials and falls, counted by case."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sims._swaps import (
    CLASSES,
    HIDDEN,
    INPUTS,
    Act,
    Floats,
    Problem,
    draw,
    first_pair,
    kinked,
    loss_and_slope,
    smooth,
    top_half,
)

SCALES = [2.0**-e for e in (0, 2, 4, 6, 8, 10, 12)]
SMALL = SCALES[-1]
RATES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # over the scale, since slopes are proportional to it
STEP_SCALES = (1.0, 2.0**-4, SMALL)
SHARPNESS = 4.0
PAST, MOMENTUM = 10, 0.9  # mini-batches behind the velocity
NEAR = 0.01  # size of the scores outside the mask, so that some cross 0 before any other swap
TANH, SOFTPLUS, RELU, BIASED = "tanh", "softplus", "ReLU", "ReLU, fixed biases"
CROSSING, CLEAR, LIMIT = "ReLU, kink crossed", "ReLU, no kink crossed", "ReLU, sign of the limit"
DEAD = "ReLU, fails: a neuron was dead"
Row = dict[str, Any]


def softplus(z: Floats) -> tuple[Floats, Floats]:
    return np.logaddexp(0, SHARPNESS * z) / SHARPNESS, 1 / (1 + np.exp(-SHARPNESS * z))


def shifted(z: Floats, biases: Floats) -> tuple[Floats, Floats]:
    return kinked(z + biases)


def slopes(w: Floats, keep: Any, problem: Problem, act: Act) -> tuple[float, Floats]:
    """The loss, and G of every edge `[E]`: the loss's slope as it joins the mask."""
    loss, slope = loss_and_slope(w * keep.reshape(w.shape), problem, act)
    return loss, (slope.T @ problem.x * w).ravel()


def swapped(keep: Any, pair: tuple[int, int]) -> Any:
    other = keep.copy()
    other[pair[0]], other[pair[1]] = False, True
    return other


class Tally:
    """Trials and falls by (what, at), `at` a scale or a rate."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, float, float], list[int]] = {}

    def add(self, what: str, scale: float, fell: Any, rate: float = 0.0, swaps: int = 1) -> None:
        counts = self.counts.setdefault((what, scale, rate), [0, 0, 0])
        counts[0] += 1
        counts[1] += bool(fell)
        counts[2] += int(swaps)

    def rows(self) -> list[Row]:
        names = ("what", "scale", "rate", "trials", "falls", "swaps")
        return [dict(zip(names, (*k, *v), strict=True)) for k, v in self.counts.items()]


# -- the regime of the lemma -----------------------------------------------------------------------


def by_scale(problem: Problem, rng: np.random.Generator, scales: list[float], to: Tally) -> None:
    """The first swap at every scale, with four activations."""
    biases = rng.normal(size=HIDDEN)
    for scale in scales:
        for what, act in ((TANH, smooth), (SOFTPLUS, softplus)):
            found = first_swap(problem, scale, act)
            to.add(what, scale, found is not None and found.fell)
        found = first_swap(problem, scale, partial(shifted, biases=biases), biases)
        if found is not None:
            to.add(BIASED, scale, found.fell)
            to.add(f"{BIASED}, crossings", scale, found.crossed)
        under_relu(problem, scale, to)


class Swap(NamedTuple):
    """fell: whether the loss did. sums: I before and after, `[BATCH, HIDDEN]`. pair: the edges."""

    fell: bool
    sums: tuple[Floats, Floats]
    pair: tuple[int, int]

    @property
    def crossed(self) -> bool:
        """Whether the sum of some neuron on some example changes sign."""
        return bool(((self.sums[0] > 0) != (self.sums[1] > 0)).any())


def first_swap(problem: Problem, scale: float, act: Act, biases: Any = 0.0) -> Swap | None:
    """The first swap as the rate grows; None where all neurons are dead and no score moves."""
    w, scores = scale * problem.masked[0], problem.masked[1].ravel()
    keep = top_half(scores)
    before, g = slopes(w, keep, problem, act)
    leaves, enters, time = first_pair(scores, g, keep)
    if not np.isfinite(time):
        return None
    other = swapped(keep, (leaves, enters))
    first, second = (problem.x @ (w * k.reshape(w.shape)).T + biases for k in (keep, other))
    fell = slopes(w, other, problem, act)[0] < before
    return Swap(fell, (first, second), (leaves, enters))


def under_relu(problem: Problem, scale: float, to: Tally) -> None:
    """The first swap under ReLU, its kinks, its limit for small weights, and dead neurons."""
    found = first_swap(problem, scale, kinked)
    if found is None:
        return
    fell, (first, second), pair = found
    to.add(RELU, scale, fell)
    to.add(f"{RELU}, crossings", scale, found.crossed)
    to.add(CROSSING if found.crossed else CLEAR, scale, fell)
    onehot = np.eye(CLASSES)[problem.labels]
    gradient = (1 / CLASSES - onehot) @ problem.last  # of the loss in the outputs, at outputs 0
    limit = (gradient * (np.maximum(second, 0) - np.maximum(first, 0))).sum()
    to.add(LIMIT, scale, (limit < 0) == fell)
    if not fell:
        neurons = [edge // INPUTS for edge in pair]
        to.add(DEAD, scale, any((first[:, n] <= 0).all() for n in neurons))


# -- what may be added, and what may not -----------------------------------------------------------


def additions(problem: Problem, rng: np.random.Generator, to: Tally) -> None:
    """One swap each at the smallest scale, by scores that move in other ways."""
    scores = problem.masked[1].ravel()
    w, keep = SMALL * problem.masked[0], top_half(scores)
    before, g = slopes(w, keep, problem, smooth)

    def tell(what: str, pair: tuple[int, int]) -> None:
        to.add(what, SMALL, slopes(w, swapped(keep, pair), problem, smooth)[0] < before)

    velocity = np.zeros_like(g)
    for _ in range(PAST):
        past = draw(rng)
        batch = Problem(past.x, past.labels, problem.last, problem.masked)
        velocity = MOMENTUM * velocity + slopes(w, keep, batch, smooth)[1]
    plain = first_pair(scores, g, keep)
    tell("plain", plain[:2])
    half = first_pair(scores, g + scores / (2 * plain[2]), keep)
    to.add("decay: the same swap", SMALL, half[:2] == plain[:2])
    tell("decay", half[:2])
    tell("Adam's first step", first_pair(scores, np.sign(g), keep)[:2])
    tell("momentum", first_pair(scores, MOMENTUM * velocity + g, keep)[:2])
    tell("unequal rates", first_pair(scores, g * np.exp(rng.normal(size=g.size)), keep)[:2])
    tell("uphill", first_pair(scores, -g, keep)[:2])
    near = np.where(keep, scores, NEAR * scores)
    leaves, enters, time = first_pair(near, g, keep, absolute=True)
    crossed = near[enters] - time * g[enters] < 0
    tell("|scores|, sign crossed" if crossed else "|scores|, sign kept", (leaves, enters))
    turned = -scores - plain[2] * g  # rate · decay = 2
    now = top_half(turned)
    out, into = np.flatnonzero(keep & ~now), np.flatnonzero(now & ~keep)
    tell("decay of 2 / rate", (int(rng.choice(out)), int(rng.choice(into))))


def steps(problem: Problem, scales: Iterable[float], to: Tally) -> None:
    """One step of each rate from the same scores: all its swaps together, where it makes any."""
    scores = problem.masked[1].ravel()
    keep = top_half(scores)
    for scale in scales:
        w = scale * problem.masked[0]
        before, g = slopes(w, keep, problem, smooth)
        for rate in RATES:
            other = top_half(scores - rate / scale * g)
            swaps = int((other & ~keep).sum())
            if swaps:
                fell = slopes(w, other, problem, smooth)[0] < before
                to.add("steps", scale, fell, rate, swaps)

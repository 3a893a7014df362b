"""Swaps in the mask of one hidden layer, as edge-popup makes them: what claim 29 and `swap_lemma`
share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Act = Callable[[Floats], tuple[Floats, Floats]]  # of sums I: values, and their slopes in I

INPUTS, HIDDEN, CLASSES, BATCH = 10, 8, 3, 16


class Problem(NamedTuple):
    """x `[BATCH, INPUTS]`, labels, last `[CLASSES, HIDDEN]`, (weights, scores) `[HIDDEN, INPUTS]`.

    The weights are masked, half of them kept; the last layer is not.
    """

    x: Floats
    labels: NDArray[np.int64]
    last: Floats
    masked: tuple[Floats, Floats]


def draw(rng: np.random.Generator) -> Problem:
    return Problem(
        rng.normal(size=(BATCH, INPUTS)),
        rng.integers(CLASSES, size=BATCH),
        rng.normal(size=(CLASSES, HIDDEN)) * (2 / HIDDEN) ** 0.5,
        (
            rng.normal(size=(HIDDEN, INPUTS)) * (2 / INPUTS) ** 0.5,
            rng.uniform(size=(HIDDEN, INPUTS)),
        ),
    )


def smooth(z: Floats) -> tuple[Floats, Floats]:
    y = np.tanh(z)
    return y, 1 - y * y


def kinked(z: Floats) -> tuple[Floats, Floats]:
    return np.maximum(z, 0), (z > 0).astype(np.float64)


def loss_and_slope(w: Floats, problem: Any, act: Act) -> tuple[float, Floats]:
    """Mean cross entropy at hidden weights w `[HIDDEN, INPUTS]`, and its slope in each sum I that
    w feeds, `[BATCH, HIDDEN]`."""
    x, labels, last, _ = problem
    y, gain = act(x @ w.T)
    logits = y @ last.T
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(x))
    loss = float(-np.log(p[rows, labels]).mean())
    p[rows, labels] -= 1
    return loss, (p / len(x)) @ last * gain


def top_half(scores: Floats) -> NDArray[np.bool_]:
    """Which of scores `[E]` are kept: the higher half."""
    keep = np.zeros(scores.size, dtype=bool)
    keep[np.argsort(-scores, kind="stable")[: scores.size // 2]] = True
    return keep


def first_pair(
    scores: Floats, falls: Floats, keep: NDArray[np.bool_], absolute: bool = False
) -> tuple[int, int, float]:
    """The first swap as scores `[E]` fall at these speeds: who leaves, who enters, and when.

    The time is infinite where no two edges ever meet; then the edges mean nothing.

    absolute: |scores| rank, scores are given as they rank (positive) and turn where they reach 0.
    |a − t f| of two edges meet where a − t f do, or where one has turned.
    """
    inside, outside = np.flatnonzero(keep), np.flatnonzero(~keep)

    def meeting(apart: Floats, closing: Floats) -> Floats:
        return np.where(closing > 0, apart / np.where(closing > 0, closing, 1), np.inf)

    time = meeting(
        scores[inside][:, None] - scores[outside], falls[inside][:, None] - falls[outside]
    )
    if absolute:
        turned = meeting(
            scores[inside][:, None] + scores[outside], falls[inside][:, None] + falls[outside]
        )
        time = np.minimum(time, turned)
    leaves, enters = np.unravel_index(time.argmin(), time.shape)
    return int(inside[leaves]), int(outside[enters]), float(time[leaves, enters])

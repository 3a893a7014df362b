"""Every claim of a solution against the truth: which were made, and which were wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sims._fuzz.instances import OVERFLOW, SURE, Batch
from sims._fuzz.oracle import NONE, Truth, Whole
from slth.subsetsum import Solution, Status

CLAIMS = {
    "the error is its mask's, rounded up": "error",
    "solved with an epsilon: the mask meets it, and only then": "solved",
    "solved without an epsilon: no subset is nearer": "optimum",
    "none exists: there is none": "none",
    "nothing is given up where sums are exact": "decided",
    "zeros are never kept": "padding",
    "sparsest: no subset within epsilon keeps fewer, or as few and is nearer": "fewest",
    "exactly k: k are kept": "size",
    "first hit: the smallest sufficient prefix": "prefix",
}


@dataclass
class Tally:
    """How often each claim was made and was wrong, and the first wrong one in words."""

    made: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLAIMS.values(), 0))
    wrong: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLAIMS.values(), 0))
    example: str = ""

    def count(
        self, claim: str, made: NDArray[np.bool_], right: NDArray[np.bool_], batch: Batch
    ) -> None:
        wrong = made & ~right
        self.made[claim] += int(made.sum())
        self.wrong[claim] += int(wrong.sum())
        if wrong.any() and not self.example:
            row = int(np.argmax(wrong))
            values = batch.values[row if len(batch.values) > 1 else 0].tolist()
            epsilon = None if batch.epsilon is None else float(batch.epsilon[row]).hex()
            self.example = (
                f"{claim}: values {values}, target {batch.targets[row].tolist()} "
                f"times 2^{batch.scale}, epsilon {epsilon}"
            )


def rounded_up(whole: Whole, scale: int) -> NDArray[np.float64]:
    """The least float64 that is at least whole times 2^scale."""
    near = whole.astype(np.float64)
    near = np.where(near.astype(np.int64) < whole, np.nextafter(near, np.inf), near)
    with np.errstate(over="ignore"):
        return np.ldexp(near, scale)


def judge(batch: Batch, solution: Solution, kind: str, true: Truth, k: int, tally: Tally) -> None:
    """Adds the claims of a solution to the tally; kind: what the solver promises.

    kind: "exact" decides every row, "first hit" also by the smallest prefix, "sparsest", "sized"
    (exactly k), "some" claims little.
    """
    mask, status = solution.mask, solution.status
    axes = batch.targets.ndim
    full = np.broadcast_to(batch.values, (*mask.shape, *batch.targets.shape[1:]))
    kept = mask if axes == 1 else mask[:, :, None]
    sums = np.where(kept, full, 0).sum(axis=1) - batch.targets
    error = np.abs(sums) if axes == 1 else np.abs(sums).max(axis=1)
    padding = full == 0 if axes == 1 else (full == 0).all(axis=2)
    everything = np.ones(len(error), np.bool_)
    best = true.of_size if kind == "sized" else true.optimum
    right_size = mask.sum(axis=1) == k if kind == "sized" else everything
    solved, none = status == Status.SOLVED, status == Status.NONE_EXISTS
    size = batch.size
    sure = size < SURE
    rounding = np.ceil(size * (8.0 * mask.shape[1] + 32.0) * 2.0**-53).astype(np.int64)
    slack = np.where(sure, 0, rounding)
    tally.count("error", everything, solution.error == rounded_up(error, batch.scale), batch)
    tally.count("padding", everything, ~(mask & padding).any(axis=1), batch)
    if batch.epsilon is None:
        tally.count("optimum", solved, right_size & (error - best <= slack), batch)
        tally.count("none", none, best == NONE, batch)
    else:
        meets = (error <= batch.within) & right_size
        tally.count("solved", everything, solved == meets, batch)
        tally.count("none", none, best > batch.within, batch)
    if kind != "some":
        with np.errstate(over="ignore"):
            adds_up = np.ldexp(size.astype(np.float64), batch.scale) < OVERFLOW
        decided = sure & adds_up
        tally.count("decided", decided, solved | none, batch)
        if kind == "sized":
            tally.count("size", solved, right_size, batch)
        if kind == "sparsest":
            as_few = (mask.sum(axis=1) == true.fewest) & (error == true.nearest)
            tally.count("fewest", decided & solved, as_few, batch)
        if kind == "first hit":
            assert solution.used is not None
            tally.count("prefix", decided, solution.used == true.prefix, batch)

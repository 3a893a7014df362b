"""(a), as the published code did it: single uniforms, one set a row, every weight's optimum."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sims._pensia import TOLERANCE, Floats, N, compared, target_of


def values_of_rows(f: Any, seed: int) -> list[Floats]:
    """For each layer `[outputs, N]`: uniform in the range of the target's weights, a set a row."""
    low, high = min(w.min() for w in f.weights), max(w.max() for w in f.weights)
    rng = np.random.default_rng(seed)
    return [rng.uniform(low, high, (len(w), N)) for w in f.weights]


def solve_rows(f: Any, values: list[Floats], threads: int) -> list[list[Any]]:
    """The optimum of every weight, a problem a row, since its weights share their values."""
    from slth.subsetsum import Problem
    from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle

    solver = MeetInTheMiddle(threads=1)
    with ThreadPoolExecutor(threads) as pool:
        return [
            list(pool.map(lambda pair: solver(Problem(*pair)), zip(v, w, strict=True)))
            for v, w in zip(values, f.weights, strict=True)
        ]


def replaced(values: list[Floats], masks: list[list[NDArray[np.bool_]]]) -> Any:
    """The network whose weights are the sums of the kept values."""
    from slth.target import Target

    weights = [
        np.stack([mask @ row for mask, row in zip(rows, v, strict=True)])
        for rows, v in zip(masks, values, strict=True)
    ]
    return Target(tuple(weights), (None,) * len(weights))


def as_published(name: str, seed: int, random: bool) -> dict[str, Any]:
    f = target_of(name)
    values, start = values_of_rows(f, seed), time.process_time()
    found = solve_rows(f, values, 1)
    seconds = time.process_time() - start
    masks = [[row.mask for row in rows] for rows in found]
    if random:
        rng = np.random.default_rng(seed)
        masks = [[rng.permuted(mask, axis=1) for mask in rows] for rows in masks]
    errors = np.concatenate([row.error for rows in found for row in rows])
    missed = sum(bool((row.error > TOLERANCE).any()) for rows in found for row in rows)
    return {
        **compared(name, replaced(values, masks)),
        "weights": errors.size,
        "solved": int((errors <= TOLERANCE).sum()),
        "rows_missed": missed,
        "worst_weight": float(errors.max()),
        "typical_weight": float(np.median(errors)),
        "kept": sum(int(mask.sum()) for rows in masks for mask in rows),
        "parameters": errors.size * N,
        "core_seconds": seconds,
    }

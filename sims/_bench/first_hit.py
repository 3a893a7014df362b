"""A subset within epsilon: products of two uniforms conditioned on u > 0, 40 a weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from sims._bench import SEED, Row, plural, timed
from sims._bench._peers import Answer, flsss, peer_row
from slth.subsetsum import Floats, Problem
from slth.subsetsum.first_hit import FirstHit


def first_hit() -> Iterator[Row]:
    rng = np.random.default_rng(SEED + 1)
    for epsilon, count, goal in ((0.01, 100_000, 0.4e-6), (4e-6, 10_000, 200e-6)):
        group = f"first hit, epsilon = {epsilon:g}"
        values = rng.uniform(-1, 1, (count, 40)) * rng.uniform(0, 1, (count, 40))
        problem = Problem(values, rng.uniform(-0.2, 0.2, count), epsilon)
        for threads in (1, 2):
            solver = FirstHit(threads=threads)
            solved = float((solver(problem).status == 0).mean())
            yield timed(
                group,
                f"FirstHit, {plural(threads)}",
                "weight",
                lambda s=solver, p=problem: s(p),
                units=count,
                goal=goal if threads == 1 else None,
                note=f"{solved:.2%} solved",
            )
        peer = ("flsss", "flsss", partial(flsss, epsilon=epsilon), 200)
        yield peer_row(group, peer, "weight", values, problem.targets, found(epsilon))


def found(epsilon: float) -> Callable[[list[Answer], Floats], str]:
    """Notes how many answers lie within epsilon, and how many subsets given do not."""

    def said(answers: list[Answer], exact: Floats) -> str:
        wrong = sum(a.kept is not None and e > epsilon for a, e in zip(answers, exact, strict=True))
        share = f"{np.mean(exact <= epsilon):.2%} solved of {len(answers)} instances"
        return share + (f", {wrong} subsets not within epsilon" if wrong else "")

    return said

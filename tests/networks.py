"""Small targets and perturbed networks that the tests of certificates share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from slth.domain import Ball, Box, Domain
from slth.effective import Effective
from slth.target import Target


def random_target(rng: np.random.Generator, dims: tuple[int, ...], bias: float) -> Target:
    """Gaussian weights of norm about one; each layer has a bias with probability `bias`."""
    weights = tuple(rng.standard_normal((b, a)) / np.sqrt(a) for a, b in pairwise(dims))
    biases = tuple(rng.standard_normal(b) / 2 if rng.random() < bias else None for b in dims[1:])
    return Target(weights, biases)


def perturbed(
    rng: np.random.Generator,
    target: Target,
    scale: float,
    *,
    bias: float = 0.0,
    unlucky: int = 0,
    one_sided: bool = False,
) -> Effective:
    """Halves that err independently; `unlucky` columns of each err thirty times more."""
    positive, negative, offset, slack = [], [], [], []
    for w, b in zip(target.weights, target.biases, strict=True):
        errors = []
        for _ in range(2):
            error = scale * rng.standard_normal(w.shape)
            error[:, rng.permutation(w.shape[1])[:unlucky]] *= 30
            errors.append(error)
        positive.append(w + errors[0])
        negative.append(positive[-1] if one_sided else w + errors[1])
        stored = np.zeros(len(w)) if b is None else b
        offset.append(stored + bias * scale * rng.standard_normal(len(w)))
        slack.append(np.zeros((w.shape[0], w.shape[1] + 1)))
    return Effective(tuple(positive), tuple(negative), tuple(offset), tuple(slack))


def exactly(target: Target) -> Effective:
    """The effective network of a ticket that meets its target in every weight."""
    return perturbed(np.random.default_rng(0), target, 0.0)


def random_domain(rng: np.random.Generator, dimension: int) -> Domain:
    if rng.random() < 0.5:
        return Ball(float(rng.uniform(0.5, 2)), dimension)
    return Box(*np.sort(rng.uniform(-2, 2, (2, dimension)), axis=0))


def random_points(rng: np.random.Generator, domain: Domain, count: int) -> np.ndarray:
    if isinstance(domain, Box):
        share = rng.random((count, domain.dimension))
        return domain.project(domain.low + share * (domain.high - domain.low))
    x = rng.standard_normal((count, domain.dimension)) * domain.radius
    x[::2] *= 10  # half of them land on the sphere
    return domain.project(x)

"""Random subset sums by simulation, and what the tests of their theorems share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mpmath
import numpy as np
import pytest
from scipy.stats import binomtest

from slth.bounds import _coverage as coverage
from slth.bounds import _end_interval, assigned, random_subset_sum


def too_low(failures: int, trials: int, claimed: float) -> bool:
    """Whether the data refute 'fails with probability <= claimed' at a false-alarm rate of 1e-4."""
    return binomtest(failures, trials, min(claimed, 1.0), alternative="greater").pvalue < 1e-4


def covers(values: np.ndarray, tolerance: float, reach: float = 0.5) -> bool:
    """Whether every z in [−reach, reach] is within tolerance of a subset sum of `values`."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    sums = np.sort(sums[np.abs(sums) <= reach + tolerance])
    if sums.size == 0 or sums[0] > tolerance - reach or sums[-1] < reach - tolerance:
        return False
    return bool(np.diff(sums).max(initial=0.0) <= 2 * tolerance)


def failures(rng, trials: int, n: int, tolerance: float, law="uniform", reach: float = 0.5) -> int:
    """How many draws of n values do not cover, or more: of more than 19 only the first are used."""
    count = 0
    for _ in range(trials):
        values = rng.uniform(-1, 1, n)
        if law != "uniform":
            factors = rng.uniform(-1, 1, n)
            values = values * (np.maximum(0, factors) if law == "product" else factors)
            values = values[values != 0]
        # a subset of the values that covers proves that all do, and keeps the list of sums short
        count += not (
            covers(values[:12], tolerance, reach) or covers(values[:19], tolerance, reach)
        )
    return count


def log_chernoff(kept, needed: float, count: int) -> mpmath.mpf:
    """The least exponent of e^{λ needed} kept(λ)^count on a fine grid of λ."""
    rates = (mpmath.mpf(10) ** (mpmath.mpf(k) / 40) for k in range(-80, 121))
    return min(rate * mpmath.mpf(needed) + count * mpmath.log(kept(rate)) for rate in rates)


@contextmanager
def coarse(points: int = 16, least: float = random_subset_sum.DYNAMIC[0]) -> Iterator[None]:
    """Programs on few grid points, and the formula for tolerances below `least`: counts are larger,
    and as valid, in a tenth of the time or less."""

    def forget() -> None:
        coverage.program.cache_clear()
        random_subset_sum._least_products.cache_clear()
        _end_interval.end_program.cache_clear()
        assigned.n_sharp.cache_clear()
        assigned.plan.cache_clear()

    forget()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(coverage, "FINEST", points)
            patch.setattr(random_subset_sum, "DYNAMIC", (least, random_subset_sum.DYNAMIC[1]))
            yield
    finally:
        forget()

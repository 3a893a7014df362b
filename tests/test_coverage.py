"""Coverage of an interval by all subset sums, against rationals, brute force and bounded memory."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest

from slth import coverage
from slth.errors import BadInput


def exact(values, low: float, high: float) -> Fraction:
    """max over z of the distance to the nearest sum, at every place where it can be attained."""
    terms = [Fraction(float(v)) for v in values]
    ends = Fraction(float(low)), Fraction(float(high))
    sums = sorted(
        {sum((t for t, b in zip(terms, bits, strict=True) if b), Fraction(0))
         for bits in product((0, 1), repeat=len(terms))}
    )  # fmt: skip
    middles = [(a + b) / 2 for a, b in pairwise(sums)]
    places = [*ends, *(z for z in middles if ends[0] <= z <= ends[1])]
    return max(min(abs(s - z) for s in sums) for z in places)


def rounding(values, low: float, high: float) -> float:
    """The module's promise."""
    size = np.abs(values).sum() + max(abs(low), abs(high))
    return (len(values) + 2) * 2.0**-53 * size


def dyadic(rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """Multiples of 1/16 with zeros and duplicates; the interval may lie anywhere or be a point."""
    values = rng.integers(-20, 21, rng.integers(1, 9)) / 16
    if rng.random() < 0.3:
        values = np.abs(values)
    low, high = np.sort(rng.integers(-40, 41, 2)) / 16
    return values, float(low), float(high)


@pytest.mark.parametrize("seed", range(120))
def test_dyadic_values_give_the_rational_answer(seed: int) -> None:
    values, low, high = dyadic(np.random.default_rng(seed))
    truth = exact(values, low, high)
    assert Fraction(coverage.least_tolerance(values, low, high)) == truth
    assert Fraction(coverage.streamed(values, low, high, piece=1 + seed % 7)) == truth
    prefixes = coverage.profile(values, low, high)
    assert [Fraction(p) for p in prefixes.tolist()] == [
        exact(values[: k + 1], low, high) for k in range(len(values))
    ]


ADVERSARIAL = {
    "zeros": [0.0, 0.0, 0.0],
    "one sign": [0.9, 0.31, 0.17, 0.05],
    "the other": [-0.9, -0.31, -0.17, -0.05],
    "duplicates": [0.1] * 7,
    "opposites": [0.3, -0.3, 0.1, -0.1, 0.7, -0.7],
    "huge and tiny": [1e12, -1e12, 1e-12, 0.3, -0.2, 5e-324],
    "huge alone": [1e200, -3e200, 0.25],
    "thirds": [1 / 3, -1 / 3, 2 / 3, 1 / 7, -1 / 7, 1 / 9],
}


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("ends", [(-0.5, 0.5), (0.2, 0.2), (-3.0, -2.0), (-1e-13, 1e-13)])
def test_adversarial_values_stay_within_the_rounding_bound(name, ends) -> None:
    values = np.array(ADVERSARIAL[name])
    for k in range(1, len(values) + 1):
        truth = exact(values[:k], *ends)
        slack = Fraction(rounding(values[:k], *ends)) + Fraction(5e-324)
        for found in (
            coverage.least_tolerance(values[:k], *ends),
            coverage.streamed(values[:k], *ends, piece=5),
            coverage.profile(values, *ends)[k - 1],
        ):
            assert abs(Fraction(float(found)) - truth) <= slack


@pytest.mark.parametrize("seed", range(30))
def test_any_floats_stay_within_the_rounding_bound(seed: int) -> None:
    rng = np.random.default_rng([1, seed])
    values = rng.uniform(-1, 1, 9) * 10.0 ** rng.integers(-9, 2, 9)
    truth = float(exact(values, -0.5, 0.5))
    found = [
        coverage.least_tolerance(values),
        coverage.profile(values)[-1],
        coverage.streamed(values, piece=50),
    ]
    np.testing.assert_allclose(found, truth, rtol=0, atol=rounding(values, -0.5, 0.5))


@pytest.mark.parametrize("scale", [1.0, 0.05, 20.0])
def test_dropping_sums_that_cannot_matter_changes_no_float(scale: float) -> None:
    """The same additions in the same order, every sum kept: equality to the last bit."""
    rng = np.random.default_rng(7)
    for low, high in ((-0.5, 0.5), (0.7, 0.9), (-30.0, 2.0)):
        values = rng.uniform(-scale, scale, 14)
        sums = np.zeros(1)
        for k, found in enumerate(coverage.profile(values, low, high)):
            sums = np.sort(np.concatenate([sums, sums + values[k]]))
            inside = sums[(sums >= low) & (sums <= high)]
            if not inside.size:
                continue
            padded = np.concatenate([[-np.inf], sums, [np.inf]])
            before, after = padded[padded < low].max(), padded[padded > high].min()
            worst = np.diff(inside).max(initial=0.0) / 2
            start = min(inside[0] - low, (inside[0] - before) / 2)
            stop = min(high - inside[-1], (after - inside[-1]) / 2)
            assert found == max(worst, start, stop)


def test_lists_stay_short_but_answers_agree_at_twenty_two_values() -> None:
    values = np.random.default_rng(3).uniform(-1, 1, 22)
    slack = rounding(values, -0.5, 0.5)
    found = coverage.least_tolerance(values)
    assert abs(found - coverage.profile(values)[-1]) <= slack
    assert abs(found - coverage.streamed(values, piece=1 << 14)) <= slack
    assert 1e-7 < found < 1e-3


def test_rows_do_not_depend_on_each_other_or_on_threads() -> None:
    rows = np.random.default_rng(5).uniform(-1, 1, (17, 10))
    for batch, single in (
        (coverage.least_tolerances, coverage.least_tolerance),
        (coverage.profiles, coverage.profile),
    ):
        expected = np.array([single(row) for row in rows])
        for threads in (1, 3):
            np.testing.assert_array_equal(batch(rows, threads=threads), expected)


def test_profiles_never_rise() -> None:
    rows = np.random.default_rng(6).uniform(-1, 1, (50, 12))
    assert (np.diff(coverage.profiles(rows), axis=1) <= 1e-15).all()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: coverage.least_tolerance([[1.0]]), "values"),
        (lambda: coverage.least_tolerance([]), "values"),
        (lambda: coverage.least_tolerance(np.ones(35)), "streamed"),
        (lambda: coverage.streamed(np.ones(47)), "values"),
        (lambda: coverage.least_tolerance([np.nan]), "values"),
        (lambda: coverage.profile([1e308, 1e308]), "values"),
        (lambda: coverage.profile([1.0], 1.0, 0.0), "low"),
        (lambda: coverage.least_tolerance([1.0], -np.inf, 0.0), "low"),
        (lambda: coverage.streamed([1.0], piece=0), "piece"),
    ],
)
def test_bad_input_is_named(call, name) -> None:
    with pytest.raises(BadInput, match=name):
        call()

"""Sources of few values: grids of products, exact tickets, and how many values that takes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest

from slth.bounds import quantised as bound
from slth.bounds import unit_class
from slth.certify import certify
from slth.construct.quantised import Quantised, subsets
from slth.domain import Ball
from slth.errors import BadInput
from slth.laws import Grid, Normal, Rademacher, SignedConstant
from slth.target import Target
from slth.verify import verify
from tests.subset_sums import too_low

STEP = 2.0**-6


def grid_target(
    seed: int, dims: tuple[int, ...] = (3, 5, 2), step: float = STEP, largest: float = 0.3
) -> Target:
    rng = np.random.default_rng(seed)
    most = round(largest / step)
    weights = [rng.integers(-most, most + 1, (b, a)) * step for a, b in pairwise(dims)]
    return Target(tuple(weights), tuple(rng.integers(-most, most + 1, b) * step for b in dims[1:]))


# -- the theorem -----------------------------------------------------------------------------------


def covered(values: tuple[int, ...], reach: int) -> set[int]:
    """C_n: the whole numbers up to reach that the values add up to, partial sums staying there."""
    found = {0}
    for value in values:
        found |= {z + value for z in found if abs(z + value) <= reach}
    return found


def exact_program(reach: int, most: int, steps: int) -> list[float]:
    """V_1(1), V_2(1), …: the best bound that mean and range of |C| give, by hulls over integers."""
    m, curve = 2 * reach + 1, [1.0]
    failure = np.ones(m + 1)
    failure[m] = 0.0
    for _ in range(steps):
        after = failure.copy()
        for c in range(1, m):
            top = min(2 * c, m)
            mean = c + c * (m - c) / (2 * most + 1)
            after[c] = max(
                (failure[a] * (b - mean) + failure[b] * (mean - a)) / (b - a)
                for a in range(c, top + 1)
                for b in range(a + 1, top + 1)
                if a <= mean <= b
            )
        failure = np.maximum.accumulate(after[::-1])[::-1]
        failure[m] = 0.0
        curve.append(float(failure[1]))
    return curve


@pytest.mark.parametrize(("reach", "most"), [(1, 2), (1, 3), (2, 4)])
def test_the_program_bounds_what_enumeration_counts(reach: int, most: int) -> None:
    """All sequences of n values: mean growth is as stated, and no more fail than G_n says."""
    m = 2 * reach + 1
    curve = bound._Program(reach, most)
    steps = 4 if most < 4 else 3
    curve.least(1e-3)
    for n in range(steps + 1):
        failed, growth, sets = 0, Fraction(0), Fraction(0)
        for values in product(range(-most, most + 1), repeat=n):
            here = covered(values, reach)
            failed += len(here) < m
            new = sum(len(covered((*values, x), reach)) - len(here) for x in range(-most, most + 1))
            growth += new
            sets += len(here) * (m - len(here))
        assert growth == sets
        assert Fraction(failed, (2 * most + 1) ** n) <= Fraction(curve.curve[n])


@pytest.mark.parametrize(("reach", "most"), [(1, 2), (3, 6), (4, 16), (8, 16)])
def test_the_program_is_the_integer_program_nearly(reach: int, most: int) -> None:
    curve = bound._Program(reach, most)
    curve.least(1e-3)
    exact = exact_program(reach, most, 60)
    assert all(a >= b * (1 - 1e-9) for a, b in zip(curve.curve, exact, strict=False))
    for delta in (0.5, 0.1, 0.03):
        least = next(n for n, failure in enumerate(exact) if failure <= delta)
        assert least <= curve.least(delta) <= 1.3 * least + 1


def test_the_formula_asks_for_more_and_both_for_more_with_less_tolerance() -> None:
    last = 0
    for bits in (1, 2, 4, 6, 9, 12):
        reach = 2 ** (bits - 1)
        n = bound.least_values(reach, 2 * reach, 0.01)
        assert last < n < bound._phases(reach, 2 * reach, 0.01)
        assert n >= np.log2(2 * reach + 1)  # counting: 2^n sums for so many targets
        last = n
    assert bound.least_values(2**20, 2**21, 0.01) == bound._phases(2**20, 2**21, 0.01) > last
    assert bound.least_values(4, 8, 1e-3) > bound.least_values(4, 8, 0.1)
    assert bound.least_values(4, 16, 0.01) > bound.least_values(4, 8, 0.01)
    assert bound.least_values(0, 1, 0.01) == 0
    for reach, most in ((4, 7), (0, 0), (-1, 3)):
        with pytest.raises(BadInput, match="most"):
            bound.least_values(reach, most, 0.1)


@pytest.mark.parametrize(("reach", "delta"), [(4, 0.3), (32, 0.2)])
def test_so_many_values_are_enough(reach: int, delta: float) -> None:
    """Failures by simulation at n and far below it (false alarm 1e-4)."""
    n, trials = bound.least_values(reach, 2 * reach, delta), 300
    rng = np.random.default_rng(0)
    draws = rng.integers(-2 * reach, 2 * reach + 1, (trials, n))
    failed = sum(len(covered(tuple(row), reach)) < 2 * reach + 1 for row in draws.tolist())
    assert not too_low(failed, trials, delta)
    few = sum(len(covered(tuple(row[: n // 3]), reach)) < 2 * reach + 1 for row in draws.tolist())
    assert too_low(few, trials, delta)


def test_usable_neurons_are_paid_for() -> None:
    """Half of delta for sums, half for blocks with too few neurons of the right sign."""
    from scipy.stats import binom

    sums, blocks, delta = 40.0, 8.0, 0.05
    values = bound.least_values(8, 16, delta / 2 / sums)
    n = bound.neurons(8, 16, sums, blocks, delta)
    assert blocks * binom.cdf(values - 1, n, 0.5) <= delta / 2
    assert blocks * binom.cdf(values - 1, n - 1, 0.5) > delta / 2
    assert bound.multiples(0.3, 0.1) == 2  # of the floats: 0.3 is below three times 0.1
    assert bound.multiples(0.75, 0.25) == 3


# -- tickets ---------------------------------------------------------------------------------------


def test_a_target_on_the_grid_is_met_exactly() -> None:
    target = grid_target(0)
    makes = [
        (Quantised(delta=0.05), None),
        (Quantised(step=2.0**-8), 60),
        (Quantised(step=STEP, signs=False), 60),
    ]
    for make, n in makes:
        ticket = make.build(target, make.source_for(target, 1, n))
        claim = ticket.claim
        assert claim.met
        assert claim.unmet == 0
        assert claim.achieved == (0.0, 0.0)
        assert claim.error_bound < 1e-300  # 0, rounded up
        assert claim.tolerances == (make.step / 2,) * 2
        assert verify(ticket, target).ok
        assert certify(target, ticket.effective, Ball(1.0, 3), effort=0).upper == 0.0
        x = np.random.default_rng(0).integers(-64, 65, (50, 3)) / 64
        assert (ticket(x) == target(x)).all()
    laws = [make.source_for(target, 1, 9) for make, _ in makes]
    assert [(s.law, s.out_law) for s in laws] == [
        (Rademacher(), Grid(STEP, 2 * 19)),
        (Rademacher(), Grid(2.0**-8, 2 * 76)),
        (Grid(2.0**-3, 8), None),
    ]
    constants = replace(unit_class(3, 5, 2), biases=True, max_entries=(19 * STEP,) * 2)
    assert makes[0][0].source_for(target, 1).n == bound.grid_sizes(constants, STEP, 0.05)


def test_too_few_neurons_are_a_result() -> None:
    target = grid_target(1)
    make = Quantised()
    missed = []
    for n in (4, 10, 16, 40):
        ticket = make.build(target, make.source_for(target, 3, n))
        missed.append(ticket.claim.unmet)
        assert ticket.claim.met == (ticket.claim.unmet == 0)
        assert (max(ticket.claim.achieved) == 0) == (ticket.claim.unmet == 0)
        assert verify(ticket, target).ok
        if ticket.claim.unmet:
            fewer = replace(ticket.claim, unmet=ticket.claim.unmet - 1)
            assert not verify(replace(ticket, claim=fewer), target).ok
    assert missed == sorted(missed, reverse=True)
    assert missed[0] > 0 == missed[-1]


def test_off_the_grid_the_distance_is_the_error() -> None:
    on = grid_target(2)
    away = STEP / 8
    target = Target(tuple(w + away for w in on.weights), on.biases)
    make = Quantised()
    claim = make.build(target, make.source_for(target, 1, 80)).claim
    assert claim.tolerances is None
    assert claim.achieved == (away, away)
    named = [f for f in claim.failed if "away from the multiples" in f]
    assert len(named) == 2
    assert f"{away:.3g}" in named[0]


def test_an_odd_target_is_out_of_reach_of_even_products() -> None:
    """A grid twice as coarse: whatever n, every odd multiple misses by a step of the target's."""
    target = grid_target(3)
    make = Quantised()
    source = make.source_for(target, 1, 200, law=Rademacher(), out_law=Grid(2 * STEP, 64))
    claim = make.build(target, source).claim
    assert claim.tolerances is None
    assert claim.achieved == (STEP, STEP)


def test_subsets_are_exact_where_any_exists() -> None:
    """Against all subsets of few values."""
    rng = np.random.default_rng(5)
    values = rng.integers(-20, 21, (40, 7)) * STEP
    targets = rng.integers(-20, 21, 40) * STEP
    masks = subsets(values, targets, STEP, 1)
    bits = (np.arange(2**7)[:, None] >> np.arange(7)) & 1
    least = np.abs(values @ bits.T - targets[:, None]).min(axis=1)
    assert ((values * masks).sum(axis=1) - targets == 0).sum() == (least == 0).sum() > 5
    assert (np.abs((values * masks).sum(axis=1) - targets) == least).all()


def test_more_products_are_looked_at_only_where_needed() -> None:
    """The first values of some rows are zero multiples of nothing: the rest is found later."""
    rng = np.random.default_rng(6)
    even = 2 * rng.integers(1, 16, (30, 12)) * STEP
    odd = rng.integers(-15, 16, (30, 8)) * STEP
    values, targets = np.hstack([even, odd]), np.full(30, 7 * STEP)
    masks = subsets(values, targets, STEP, 1)
    assert ((values * masks).sum(axis=1) == targets).mean() > 0.8
    assert masks[:, 12:].any()


def test_laws_of_few_values_are_told_from_others() -> None:
    target = grid_target(0)
    make = Quantised()
    given = make.source_for(target, 1, 9, law=SignedConstant(0.5), out_law=Grid(0.25, 3))
    assert given.law == SignedConstant(0.5)
    for laws in ({"law": Normal()}, {"out_law": SignedConstant(0.3)}):
        with pytest.raises(BadInput, match="few values"):
            make.source_for(target, 1, 9, **laws)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda t: Quantised(epsilon=0.1), "epsilon"),
        (lambda t: Quantised(tolerance=0.1), "tolerance"),
        (lambda t: Quantised(step=0.3), "step"),
        (lambda t: Quantised(step=2.0**-7, signs=False), "even without signs"),
        (lambda t: Quantised(step=2.0), "step"),
        (lambda t: Quantised().source_for(t, 0), "delta"),
        (lambda t: Quantised(signs=False, delta=0.1).source_for(t, 0), "signs"),
        (lambda t: Quantised(step=2.0**-30).source_for(t, 0, 5), "larger step"),
    ],
)
def test_bad_input_is_one_clear_line(make, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match=match):
        make(grid_target(0))

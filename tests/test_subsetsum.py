"""Subset sum: input, exact accounting, each solver's own promise against independent oracles."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slth import plugins
from slth.errors import BadInput
from slth.subsetsum import Problem, Solver, Status, load, solvers
from slth.subsetsum._account import errors, finish
from slth.subsetsum._kernels import build, closest, pack, rounding_bound, trace
from slth.subsetsum.best_single import BestSingle
from slth.subsetsum.exactly_k import ExactlyK
from slth.subsetsum.exhaustive import Exhaustive
from slth.subsetsum.first_hit import FirstHit
from slth.subsetsum.greedy import Greedy
from slth.subsetsum.highs import Highs
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle
from slth.subsetsum.minimum_cardinality import MinimumCardinality
from tests.subsetsum_contract import check_solution, rationals, rounded_up

QUICK = settings(max_examples=150, derandomize=True, deadline=None)
NAN, INF = float("nan"), float("inf")
V, T = np.ones((3, 4)), np.ones(3)

BAD = {
    "nan value": (lambda: Problem([1.0, NAN], T), "values"),
    "inf value": (lambda: Problem([1.0, INF], T), "values"),
    "nan target": (lambda: Problem(V, [1.0, NAN, 0.0]), "targets"),
    "no values": (lambda: Problem(np.ones((3, 0)), T), "values"),
    "no targets": (lambda: Problem([1.0], []), "targets"),
    "ragged": (lambda: Problem([[1.0], [1.0, 2.0]], [1.0, 2.0]), "values"),
    "scalar target": (lambda: Problem([1.0], 0.5), "targets"),
    "targets of three dimensions": (lambda: Problem([1.0], np.ones((1, 1, 1))), "targets"),
    "other number of rows": (lambda: Problem(np.ones((2, 4)), T), "values"),
    "values of three dimensions": (lambda: Problem(np.ones((3, 4, 1)), T), "values"),
    "vectors of other length": (lambda: Problem(np.ones((4, 3)), np.ones((5, 2))), "values"),
    "complex": (lambda: Problem(V + 0j, T), "values"),
    "bool": (lambda: Problem(V > 0, T), "values"),
    "object": (lambda: Problem(V.astype(object), T), "values"),
    "strings": (lambda: Problem([["a"]], [1.0]), "values"),
    "rounded integer": (lambda: Problem([2**53 + 1], T), "values"),
    "rounded long double": (lambda: Problem(np.array([1], np.longdouble) / 3, T), "values"),
    "overflowing long double": (
        lambda: Problem(np.array([2], np.longdouble) ** 2000, T),
        "values",
    ),
    "epsilon zero": (lambda: Problem(V, T, 0.0), "epsilon"),
    "epsilon negative": (lambda: Problem(V, T, [0.1, -0.1, 0.1]), "epsilon"),
    "epsilon nan": (lambda: Problem(V, T, NAN), "epsilon"),
    "epsilon inf": (lambda: Problem(V, T, INF), "epsilon"),
    "epsilon text": (lambda: Problem(V, T, "small"), "epsilon"),
    "epsilon of other length": (lambda: Problem(V, T, [0.1, 0.1]), "epsilon"),
    "45 usable values": (lambda: MeetInTheMiddle()(Problem(np.ones(45), T)), "values"),
    "limit 45": (lambda: MeetInTheMiddle(limit=45)(Problem(V, T)), "limit"),
    "first hit without epsilon": (lambda: FirstHit()(Problem(V, T)), "epsilon"),
    "window 0": (lambda: FirstHit(window=0)(Problem(V, T, 0.1)), "window"),
    "21 for the oracle": (lambda: Exhaustive()(Problem(np.ones(21), T)), "values"),
    "33 sparsest": (lambda: MinimumCardinality()(Problem(np.ones(33), T, 0.1)), "values"),
    "33 fixed": (lambda: ExactlyK(2)(Problem(np.ones(33), T)), "values"),
    "k negative": (lambda: ExactlyK(-1)(Problem(V, T)), "k"),
    "epsilon too fine for highs": (lambda: Highs()(Problem(V, T, 1e-9)), "epsilon"),
    "25 for highs": (lambda: Highs()(Problem(np.ones(25), T, 0.1)), "values"),
    "unknown solver": (lambda: load("simulated-annealing"), "name"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_that_names_it(case: str) -> None:
    act, name = BAD[case]
    with pytest.raises(BadInput) as caught:
        act()
    text = str(caught.value)
    assert text.startswith(f"{name}: got ")
    assert "; allowed: " in text
    assert "; remedy: " in text
    assert "\n" not in text


def test_the_refusal_of_many_values_names_the_solvers_that_go_on() -> None:
    with pytest.raises(BadInput, match="FirstHit, Greedy or BestSingle"):
        MeetInTheMiddle()(Problem(np.ones(45), T))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.int64, np.uint64])
def test_dtypes_that_convert_exactly_are_taken(dtype: type) -> None:
    problem = Problem(np.array([1, 2, 3], dtype), np.array([2, 5], dtype))
    assert problem.values.dtype == problem.targets.dtype == np.float64
    assert MeetInTheMiddle()(problem).error.tolist() == [0.0, 0.0]


def test_a_problem_cannot_be_changed_through_its_fields() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Problem(np.ones(3), np.ones(2)).values[0] = 2


any_float = st.floats(allow_nan=False, allow_infinity=False, width=64)


@QUICK
@given(st.lists(st.tuples(any_float, st.booleans()), min_size=1, max_size=12), any_float)
def test_error_is_the_least_float_above_the_rational(
    terms: list[tuple[float, bool]], target: float
) -> None:
    row = np.array([v for v, _ in terms])
    kept = np.array([k for _, k in terms])
    got = errors(row[None], kept[None], np.array([target]))[0]
    assert got == rounded_up(rationals(row, kept, target))


@QUICK
@given(
    st.lists(st.integers(-(2**60), 2**60), min_size=2, max_size=30),
    st.integers(-1074, 900),
)
def test_error_under_cancellation(integers: list[int], exponent: int) -> None:
    """Nearly cancelling sums, whose low parts decide the last digit."""
    row = np.array([np.ldexp(float(i), exponent) for i in (*integers, *(-i + 1 for i in integers))])
    kept = np.ones(len(row), np.bool_)
    got = errors(row[None], kept[None], np.zeros(1))[0]
    assert got == rounded_up(rationals(row, kept, 0.0))


@QUICK
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=9), st.floats(-1e9, 1e9))
def test_rounding_bound_covers_every_order_of_signed_sums(row: list[float], target: float) -> None:
    values = np.array(row)
    bound = rounding_bound(values, target)
    for order in (slice(None), slice(None, None, -1)):
        total = np.float64(0.0)
        exact = Fraction(0)
        for v in (*values[order], 2 * target):
            total += v
            exact += Fraction(float(v))
        assert abs(Fraction(float(total)) - exact) <= Fraction(bound)


def test_rounding_bound_is_zero_on_grids_and_only_there() -> None:
    assert rounding_bound(np.array([3.0, -5.0, 7.0]) / 1024, 2.0) == 0
    assert rounding_bound(np.array([0.1, 0.2]), 0.3) > 0
    assert rounding_bound(np.array([2.0**60, 1.0]), 0.0) > 0
    assert np.isnan(rounding_bound(np.array([1e308, 1e308]), 0.0))


@pytest.mark.parametrize("count", [0, 1, 2, 5, 8, 13, 17])
def test_lists_hold_all_signed_sums_and_values_are_traced_back(count: int) -> None:
    values = np.random.default_rng(count).uniform(-1, 1, 2 * count + 1)
    sums, _, size = build(values, 0, 2 * count, np.empty(2**count + 1), np.empty(2**count + 1))
    mine = values[: 2 * count : 2]
    expected = np.zeros(1)
    for v in mine:
        expected = np.concatenate([expected - v, expected + v])
    np.testing.assert_array_equal(sums[:size], np.sort(expected))
    assert size == 2**count
    assert sums[size] == np.inf
    for at in {0, size // 3, size - 1}:
        bits = trace(values, 0, 2 * count, sums[at], np.empty(2**count + 1))
        signs = np.array([1 if bits >> i & 1 else -1 for i in range(count)])
        assert abs((signs * mine).sum() - sums[at]) < 1e-12


@pytest.mark.parametrize(
    "sizes", [(1, 1), (3, 50), (48, 48), (64, 32), (1, 200), (301, 7), (97, 103)]
)
def test_closest_pair_against_all_pairs(sizes: tuple[int, int]) -> None:
    for seed in range(40):
        rng = np.random.default_rng([*sizes, seed])
        a, b = (np.sort(np.round(rng.normal(0, 1, k), 1 + seed % 6)) for k in sizes)
        b += rng.normal() * (seed % 3) * 2
        distance, i, j = closest(np.r_[a, np.inf], len(a), np.r_[b, np.inf], len(b))
        assert distance == np.abs(a[:, None] - b).min() == abs(a[i] - b[j])


def test_pack_goes_on_where_it_stopped() -> None:
    row = np.array([0.0, 1.0, 2.0, 0.0, 3.0, 4.0])
    packed, place = np.empty(3), np.empty(3, np.int64)
    assert pack(row, 0, 3, packed, place) == (3, 6.0, 5)
    assert place.tolist() == [1, 2, 4]
    assert pack(row, 5, 3, packed, place) == (1, 4.0, 6)
    assert place[0] == 5


grid = st.integers(-1024, 1024).map(lambda k: k / 1024)


@st.composite
def dyadic(draw: st.DrawFn, most: int = 14) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, most))
    row = draw(st.lists(grid, min_size=n, max_size=n))
    targets = draw(st.lists(st.integers(-4096, 4096), min_size=1, max_size=3))
    return np.array(row), np.array(targets) / 1024


@QUICK
@given(dyadic())
def test_meet_in_the_middle_is_optimal_on_grids(case: tuple[np.ndarray, np.ndarray]) -> None:
    ours, oracle = (s(Problem(*case)) for s in (MeetInTheMiddle(), Exhaustive()))
    np.testing.assert_array_equal(ours.error, oracle.error)
    assert (ours.status == Status.SOLVED).all()


@QUICK
@given(dyadic(), st.integers(1, 300))
def test_exact_solvers_agree_on_existence_on_grids(
    case: tuple[np.ndarray, np.ndarray], steps: int
) -> None:
    problem = Problem(*case, steps / 1024)
    oracle = Exhaustive()(problem).status
    assert Status.GAVE_UP not in oracle
    for solver in (MeetInTheMiddle(), FirstHit(), MinimumCardinality()):
        np.testing.assert_array_equal(solver(problem).status, oracle)


def _within(row: np.ndarray, target: float, epsilon: float) -> bool:
    sums = np.zeros(1)
    for v in row:
        sums = np.concatenate([sums, sums + v])
    return bool((np.abs(sums - target) <= epsilon).any())


@QUICK
@given(dyadic(12), st.integers(1, 100))
def test_first_hit_uses_the_smallest_prefix(
    case: tuple[np.ndarray, np.ndarray], steps: int
) -> None:
    row, targets = case
    epsilon = steps / 1024
    solution = FirstHit()(Problem(row, targets, epsilon))
    assert solution.used is not None
    for target, used, status in zip(targets, solution.used, solution.status, strict=True):
        smallest = [k for k in range(len(row) + 1) if _within(row[:k], target, epsilon)]
        assert (status == Status.SOLVED) == bool(smallest)
        assert used == (smallest[0] if smallest else len(row))


@QUICK
@given(dyadic(10), st.integers(1, 100))
def test_sparsest_and_fixed_size_against_all_combinations(
    case: tuple[np.ndarray, np.ndarray], steps: int
) -> None:
    row, targets = case
    usable = row[row != 0]
    sparsest = MinimumCardinality()(Problem(row, targets, steps / 1024))
    for r, target in enumerate(targets):
        least = [
            min((abs(sum(c) - target) for c in combinations(usable, k)), default=np.inf)
            for k in range(len(usable) + 1)
        ]
        enough = [k for k, e in enumerate(least) if e <= steps / 1024]
        assert (sparsest.status[r] == Status.SOLVED) == bool(enough)
        if enough:
            assert sparsest.mask[r].sum() == enough[0]
            assert sparsest.error[r] == least[enough[0]]
        for k in {0, 1, len(usable) // 2, len(usable), len(usable) + 1}:
            fixed = ExactlyK(k)(Problem(row, targets[r : r + 1]))
            if k > len(usable):
                assert fixed.status[0] == Status.NONE_EXISTS
            else:
                assert fixed.mask.sum() == k
                assert fixed.error[0] == least[k]
                assert fixed.status[0] == Status.SOLVED


nasty = st.one_of(
    st.floats(-1, 1),
    st.sampled_from([0.1, 0.2, 0.3, 1.0, 1 + 2.0**-52, 1 - 2.0**-53, 5e-324, 2.0**-1022, 0.0]),
    any_float,
    st.floats(1e-17, 1e-15),
)


NEED_EPSILON = {"first_hit", "minimum_cardinality", "torch_first_hit"}


@QUICK
@given(
    st.lists(nasty, min_size=1, max_size=8),
    st.lists(nasty, min_size=1, max_size=2),
    st.one_of(st.none(), st.sampled_from([5e-324, 2.0**-53, 1e-16, 0.1]), st.floats(1e-20, 1e20)),
)
def test_no_false_claim_on_adversarial_floats(
    row: list[float], targets: list[float], epsilon: float | None
) -> None:
    problem = Problem(row, targets, epsilon)
    for name in solvers():
        if name == "exactly_k":
            solver: Solver = ExactlyK(2)
            check_solution(problem, solver(problem), lambda k: k == 2)
            continue
        if name == "highs" or (epsilon is None and name in NEED_EPSILON):
            continue
        check_solution(problem, load(name)()(problem))


@QUICK
@given(st.lists(nasty, min_size=1, max_size=9), nasty)
def test_sums_near_a_nasty_target_are_judged_exactly(row: list[float], change: float) -> None:
    """Targets that are subset sums up to the last digit, and tolerances right at the error."""
    target = float(np.clip(sum(row[::2]), -1e300, 1e300))
    best = Exhaustive()(Problem(row, [target])).error[0]
    for epsilon in {max(best, 5e-324), np.nextafter(best, np.inf), np.nextafter(best, 0)}:
        if not 0 < epsilon < np.inf:
            continue
        problem = Problem(row, [target], epsilon)
        for solver in (Exhaustive(), MeetInTheMiddle(), FirstHit(), MinimumCardinality(), Greedy()):
            check_solution(problem, solver(problem))


def test_planted_subset_of_44_values_is_found() -> None:
    """2^44 subsets of 48-bit integers: the planted sum is hit exactly, the density is 1/16."""
    rng = np.random.default_rng(44)
    row = rng.integers(1, 2**44, 44) / 2.0**44
    target = row[rng.random(44) < 0.5].sum()
    solution = MeetInTheMiddle()(Problem(row, [target], 2.0**-60))
    assert solution.error[0] == 0
    assert solution.status[0] == Status.SOLVED


def test_limit_uses_a_prefix_and_claims_nothing_about_the_rest() -> None:
    rng = np.random.default_rng(3)
    values, targets = rng.uniform(-1, 1, (5, 60)), rng.uniform(-1, 1, 5)
    limited = MeetInTheMiddle(limit=12)(Problem(values, targets))
    whole = MeetInTheMiddle()(Problem(values[:, :12], targets))
    np.testing.assert_array_equal(limited.mask[:, :12], whole.mask)
    assert not limited.mask[:, 12:].any()
    assert (limited.status == Status.GAVE_UP).all()
    assert (whole.status == Status.SOLVED).all()
    strict = MeetInTheMiddle(limit=12)(Problem(values, targets, 1e-12))
    assert (strict.status == Status.GAVE_UP).all()
    assert MeetInTheMiddle(limit=12)(Problem(values, [99.0] * 5, 0.1)).status.tolist() == [1] * 5
    no_more = MeetInTheMiddle(limit=60 - 48)(Problem(values[:, :12], targets))
    assert (no_more.status == Status.SOLVED).all()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(threads: int) -> None:
    rng = np.random.default_rng(4)
    problem = Problem(rng.uniform(-1, 1, (101, 16)), rng.uniform(-1, 1, 101), 1e-3)
    shared = Problem(problem.values[0], problem.targets, 1e-3)
    kinds = (MeetInTheMiddle, FirstHit, MinimumCardinality, ExactlyK)
    for kind, rows in product(kinds, (problem, shared)):
        one, many = kind(threads=1)(rows), kind(threads=threads)(rows)
        np.testing.assert_array_equal(one.mask, many.mask)
        np.testing.assert_array_equal(one.error, many.error)


def test_sparsest_passes_over_sums_that_only_look_exact() -> None:
    """0.1 + 0.2 is 2.8e-17 off 0.3; the three dyadic-looking values add up to it exactly."""
    row = [0.1, 0.2, 0.25, 0.125, 0.3 - 0.375]
    solution = MinimumCardinality()(Problem(row, [0.3, 0.2], 1e-17))
    assert solution.mask.tolist() == [[False, False, True, True, True], [False, True] + [False] * 3]
    assert solution.error.tolist() == [0.0, 0.0]


def _products(rows: int, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (rows, n)) * rng.uniform(0, 1, (rows, n))


@pytest.mark.parametrize("padding", [False, True])
def test_first_hit_uses_the_smallest_prefix_wherever_it_ends(padding: bool) -> None:
    """Prefixes of 1 to 16 values, across the change from all sums to sorted lists."""
    rng = np.random.default_rng(15)
    values, targets = _products(300, 16, 16), rng.uniform(-0.2, 0.2, 300)
    if padding:
        values[rng.random(values.shape) < 0.4] = 0.0
    epsilon = 10 ** rng.uniform(-4.5, -1, 300)
    solution = FirstHit()(Problem(values, targets, epsilon))
    assert solution.used is not None
    ends = set()
    for r in range(300):
        if solution.status[r] == Status.SOLVED:
            used = int(solution.used[r])
            ends.add(used)
            assert used == 0 or values[r, used - 1] != 0
            assert used == 0 or not _within(values[r, : used - 1], targets[r], epsilon[r])
        else:
            assert not _within(values[r], targets[r], epsilon[r])
    assert ends >= {*range(2, 16)}


def test_first_hit_ignores_what_is_appended() -> None:
    values = _products(50, 120, 5)
    targets = np.random.default_rng(6).uniform(-0.5, 0.5, 50)
    long = FirstHit()(Problem(values, targets, 1e-5))
    short = FirstHit()(Problem(values[:, :40], targets, 1e-5))
    assert (short.status == Status.SOLVED).all()
    np.testing.assert_array_equal(long.mask[:, :40], short.mask)
    np.testing.assert_array_equal(long.used, short.used)
    assert not long.mask[:, 40:].any()


@pytest.mark.parametrize("window", [1, 2, 12, 36])
def test_first_hit_goes_on_with_hundreds_of_values(window: int) -> None:
    """Product values have mean size 1/4: targets up to 20 need over a hundred of 600."""
    values = _products(12, 600, 7)
    targets = np.array([0.0, 0.3, -0.3, 1, -1, 3, -3, 6, -6, 12, -20, 20])
    problem = Problem(values, targets, 0.02)
    solution = FirstHit(window=window)(problem)
    check_solution(problem, solution, oracle=0)
    assert (solution.status == Status.SOLVED).all()
    assert solution.used is not None
    assert not (solution.mask & (np.arange(600) >= solution.used[:, None])).any()
    assert solution.used[0] == 0


def test_first_hit_says_none_only_when_it_looked_at_everything() -> None:
    values = _products(8, 60, 8)
    targets = np.full(8, 0.1)
    assert (FirstHit(window=8)(Problem(values, targets, 1e-14)).status == Status.GAVE_UP).all()
    whole = FirstHit(window=8)(Problem(values[:, :8], targets, 1e-14))
    assert (whole.status == Status.NONE_EXISTS).all()
    assert (FirstHit()(Problem(values, [99.0] * 8, 0.1)).status == Status.NONE_EXISTS).all()


@pytest.mark.parametrize("padding", [0, 1, 5])
def test_a_window_of_all_usable_values_is_complete_whatever_padding_follows(padding: int) -> None:
    row = np.array([0.25, 0.0, 0.5, *[0.0] * padding])
    for window in (2, 3, 36):
        solution = FirstHit(window=window)(Problem(row, [0.125, 9.0, 0.75], 2.0**-10))
        assert solution.status.tolist() == [1, 1, 0]


def test_first_hit_decides_targets_a_last_digit_out_of_reach() -> None:
    """Within one window nothing is given up where sums are exact, however near the border."""
    targets = np.array([-2.0, 3.0, -1.0])
    for side, status in ((0.0, Status.NONE_EXISTS), (np.inf, Status.SOLVED)):
        epsilon = np.nextafter(np.array([2.0, 2.0, 1.0]), side)
        solution = FirstHit()(Problem([1.0, 0.0], targets, epsilon))
        assert (solution.status == status).all()
    exact = FirstHit()(Problem([1.0, 0.0], targets, [2.0, 2.0, 1.0]))
    assert (exact.status == Status.SOLVED).all()


def test_first_hit_passes_over_sums_that_only_look_exact() -> None:
    """0.1 + 0.2 is within a rounding of 0.3 but 2.8e-17 off, so the third value must be met."""
    solution = FirstHit()(Problem([0.1, 0.2, 0.3], [0.3], 1e-17))
    assert solution.mask.tolist() == [[False, False, True]]
    assert solution.status.tolist() == [Status.SOLVED]
    assert solution.used is not None
    assert solution.used.tolist() == [3]


@QUICK
@given(dyadic(10))
def test_heuristics_against_plain_loops(case: tuple[np.ndarray, np.ndarray]) -> None:
    row, targets = case
    single, greedy = BestSingle()(Problem(row, targets)), Greedy()(Problem(row, targets))
    for r, target in enumerate(targets):
        assert single.error[r] == min(abs(v - target) for v in (*row, 0.0))
        assert single.mask[r].sum() <= 1
        rest = target
        for v in sorted(row, key=lambda v: -abs(v)):
            rest = min(rest, rest - v, key=abs)
        assert greedy.error[r] == abs(rest)


def test_the_account_believes_no_finder() -> None:
    """One row, mask error 1/4: what follows from which claimed lower bound."""
    mask = np.array([[True, False]])
    for epsilon, lower, status in [
        (0.2, 0.21, Status.NONE_EXISTS),
        (0.2, 0.2, Status.GAVE_UP),
        (0.2, -np.inf, Status.GAVE_UP),
        (0.25, 99.0, Status.SOLVED),
        (None, 0.25, Status.SOLVED),
        (None, 0.2499, Status.GAVE_UP),
        (None, -np.inf, Status.GAVE_UP),
    ]:
        problem = Problem([0.75, -0.5], [0.5], epsilon)
        assert finish(problem, mask, np.array([lower])).status[0] == status
    wrong_kind = finish(problem, mask, np.array([np.inf]), admissible=np.array([False]))
    assert wrong_kind.status[0] == Status.NONE_EXISTS


def test_errors_survive_overflow_on_the_way() -> None:
    row = np.array([1.7e308, 1.6e308, -1.7e308])
    assert errors(row[None], np.ones((1, 3), np.bool_), np.zeros(1))[0] == 1.6e308
    assert errors(row[None], row[None] > 0, np.zeros(1))[0] == np.inf


def test_highs_agrees_at_tolerances_it_can_hold() -> None:
    rng = np.random.default_rng(9)
    values, targets = rng.uniform(-1, 1, (30, 9)), rng.uniform(-2, 2, 30)
    problem = Problem(values, targets, 4e-3)
    ours = MeetInTheMiddle()(problem)
    np.testing.assert_array_equal(Highs()(problem).status, ours.status)
    assert {*ours.status.tolist()} == {0, 1}
    nearest = Highs()(Problem(values, targets)).error
    np.testing.assert_allclose(nearest, ours.error, atol=1e-5)


PLUGIN = """
from dataclasses import dataclass
from typing import final
from slth.subsetsum import Solver
"""
CLASS = """
@final
@dataclass(frozen=True)
class {name}(Solver):
    def __call__(self, problem):
        raise NotImplementedError
"""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (PLUGIN, "defines none"),
        (PLUGIN + CLASS.format(name="A") + CLASS.format(name="B"), "defines A, B"),
        (PLUGIN + CLASS.format(name="A").replace("@final\n", ""), "@final"),
    ],
)
def test_a_file_must_define_one_final_solver(
    text: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / f"plugged{abs(hash(text))}"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "_helper.py").touch()
    (package / "my_solver.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert plugins.names(package.name) == ("my_solver",)
    with pytest.raises(TypeError, match=fault):
        plugins.load(package.name, "my-solver", Solver)  # type: ignore[type-abstract]


def test_every_file_in_the_folder_is_one_solver() -> None:
    assert {*solvers()} >= {"exhaustive", "meet_in_the_middle", "first_hit", "highs", "exactly_k"}
    for name in solvers():
        assert load(name).__name__.lower() == name.replace("_", "")
        assert load(name.replace("_", "-")) is load(name)


def test_importing_the_room_imports_no_engine() -> None:
    code = "import sys, slth.subsetsum as s; s.solvers(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"numba", "scipy", "torch"} & {*loaded.stdout.split()}

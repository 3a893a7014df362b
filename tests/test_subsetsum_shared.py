"""Values that many targets share: tables of sums against half-lists, to the last bit."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slth.errors import BadInput
from slth.subsetsum import Problem, Status
from slth.subsetsum import _costs as costs
from slth.subsetsum._account import bounds
from slth.subsetsum._table import Table, table_rows
from slth.subsetsum.auto import Auto
from slth.subsetsum.exhaustive import Exhaustive
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle, _by_half_lists, _by_table
from tests.subsetsum_contract import EPSILONS, cases, check_solution, same

QUICK = settings(max_examples=150, derandomize=True, deadline=None)


def shared_cases() -> list[tuple[str, np.ndarray, np.ndarray]]:
    """The contract's rows, each with all targets of its case, the row's values and near misses."""
    rng = np.random.default_rng(7)
    found = []
    for name, values, targets in cases():
        row = values[0]
        with np.errstate(over="ignore"):
            sums = np.array([row[rng.random(row.size) < 0.5].sum() for _ in range(30)])
        some = np.concatenate([targets, row, sums[np.isfinite(sums)], rng.uniform(-2, 2, 40)])
        found.append((name, row, np.concatenate([some, np.nextafter(some, np.inf)])))
    found.append(("small integers", rng.integers(-5, 6, 14) * 1.0, np.arange(-40, 40) / 4))
    found.append(("decades", 10.0 ** rng.uniform(-8, 0, 13), 10.0 ** rng.uniform(-8, 1, 60)))
    return found


@pytest.mark.parametrize("case", shared_cases(), ids=lambda case: case[0])
def test_a_table_of_any_size_answers_as_half_lists_do(
    case: tuple[str, np.ndarray, np.ndarray],
) -> None:
    _, row, targets = case
    sizes = {1, 2, 3, row.size // 2 + 1, row.size - 1, row.size} & {*range(1, 23)}
    for epsilon in EPSILONS[:3]:
        problem = Problem(row, targets, epsilon)
        lists = MeetInTheMiddle(tabled=0)(problem)
        check_solution(problem, lists)
        for tabled in sizes:
            for threads in (1, 3):
                same(MeetInTheMiddle(tabled=tabled, threads=threads)(problem), lists)


@pytest.mark.parametrize("n", [1, 2, 9, 16, 21])
def test_many_targets_by_every_table(n: int) -> None:
    rng = np.random.default_rng(n)
    problem = Problem(rng.uniform(-1, 1, n), rng.uniform(-2, 2, 700))
    lists = MeetInTheMiddle(tabled=0)(problem)
    for tabled in {*range(max(1, n - 14), n + 1)}:  # few left, many, more than a block holds
        same(MeetInTheMiddle(tabled=tabled)(problem), lists)


def test_what_no_subset_beats_is_the_same_to_the_last_bit() -> None:
    rng = np.random.default_rng(4)
    problem = Problem(rng.uniform(-1, 1, 15), rng.uniform(-2, 2, 500))
    masks, lower = np.zeros((2, 500, 15), np.bool_), np.full((2, 500), -np.inf)
    _by_half_lists(problem, 44, 15, np.arange(500), masks[0], lower[0], 1)
    assert not _by_table(problem, 15, 11, masks[1], lower[1], 1).size
    np.testing.assert_array_equal(*masks)
    np.testing.assert_array_equal(*lower)


grid = st.integers(-1024, 1024).map(lambda k: k / 1024)


@QUICK
@given(
    st.lists(grid, min_size=1, max_size=12),
    st.lists(st.integers(-4096, 4096).map(lambda k: k / 1024), min_size=1, max_size=5),
    st.integers(1, 12),
)
def test_the_optimum_on_grids(row: list[float], targets: list[float], tabled: int) -> None:
    problem = Problem(row, targets)
    ours = MeetInTheMiddle(tabled=tabled)(problem)
    np.testing.assert_array_equal(ours.error, Exhaustive()(problem).error)
    assert (ours.status == Status.SOLVED).all()


def test_a_limit_uses_a_prefix_and_claims_nothing_of_the_rest() -> None:
    rng = np.random.default_rng(3)
    row, targets = rng.uniform(-1, 1, 30), rng.uniform(-1, 1, 50)
    row[::3] = 0.0
    for limit in (1, 9, 20, 25):
        problem = Problem(row, targets)
        lists = MeetInTheMiddle(limit=limit, tabled=0)(problem)
        same(MeetInTheMiddle(limit=limit, tabled=6)(problem), lists)
        assert (lists.status == (Status.SOLVED if limit >= 20 else Status.GAVE_UP)).all()


@pytest.mark.parametrize("tabled", [1, 4, 9])
def test_the_table_holds_all_signed_sums_with_their_signs(tabled: int) -> None:
    values = np.random.default_rng(tabled).uniform(-1, 1, 9)
    table = Table.of(values, tabled)
    size = 2**tabled
    sums = table.sums[1 : size + 1]
    assert table.sums[0] == -np.inf
    assert (np.diff(sums) >= 0).all()
    for part, bits, own in (
        (sums, table.signs, values[9 - tabled :]),
        (table.few_sums, table.few_signs, values[: 9 - tabled]),
    ):
        assert sorted(bits) == [*range(2**own.size)]
        signs = 2 * (bits[:, None] >> np.arange(own.size) & 1) - 1
        np.testing.assert_allclose(signs @ own, part, atol=1e-14)
    for x in np.r_[sums, sums + 1e-9, -9.0, 9.0]:  # the bucket and the steps reach every place
        bucket = int(np.clip((x - table.low) * table.scale, 0, table.start.size - 2))
        place = np.searchsorted(sums, x)
        assert table.start[bucket] <= place < table.start[bucket] + 2 * table.step


def test_rows_with_two_optima_are_left_to_the_half_lists() -> None:
    """Equal values: any of them will do. Midway between two sums: either will."""
    alone, targets = np.array([0.5, 0.25, 0.0625]), np.array([0.5, 0.0625, 0.28125, 0.78125, 3.0])
    assert undecided(alone, targets) == [2, 3]
    assert undecided(np.full(3, 0.5), targets) == [0, 2, 3]
    assert undecided(np.array([0.1, 0.2, 0.3]), np.array([0.3, 0.5])) == [0]  # up to a rounding


def undecided(values: np.ndarray, targets: np.ndarray) -> list[int]:
    """The rows that a table of all but one value leaves."""
    rows = np.arange(len(targets))
    bound, mask = bounds(values[None], targets, rows), np.zeros((len(rows), len(values)), np.bool_)
    lower, sure = np.zeros(len(rows)), np.zeros(len(rows), np.bool_)
    table, place = Table.of(values, len(values) - 1), np.arange(len(values))
    table_rows(table, values, place, targets, bound, mask, lower, sure, 0, len(rows))
    return np.flatnonzero(~sure).tolist()


def test_sums_that_overflow_are_given_up_as_by_half_lists() -> None:
    problem = Problem([1.7e308, 1.6e308, -1.7e308], [1.6e308, 0.0])
    same(MeetInTheMiddle(tabled=2)(problem), MeetInTheMiddle(tabled=0)(problem))
    mixed = Problem([1e299, 1.0, -3.0], [0.0, 1e308, 1e299])  # one target too far to add
    same(MeetInTheMiddle(tabled=2)(mixed), MeetInTheMiddle(tabled=0)(mixed))


def test_few_targets_go_to_half_lists_and_many_to_a_table() -> None:
    assert costs.tabled_values(20, 1, 1) == 0
    assert costs.tabled_values(1, 10**9, 1) == 1
    for n in range(2, 45):
        found = [costs.tabled_values(n, 10**k, 1) for k in range(7)]
        assert all(a <= b for a, b in pairwise(found))  # 0, then larger ones
        assert max(found) <= min(n, costs.LARGEST)
        for k, tabled in enumerate(found):
            if tabled:
                assert tabled >= n - costs.LARGEST
                best = min(
                    costs.table_seconds(n, other, 10**k, 1)
                    for other in range(max(1, n - costs.LARGEST), min(n, costs.LARGEST) + 1)
                )
                assert costs.table_seconds(n, tabled, 10**k, 1) < 1.2 * best


def test_auto_counts_on_the_table() -> None:
    rng = np.random.default_rng(8)
    row, targets = rng.uniform(-1, 1, 20), rng.uniform(-0.5, 0.5, 10_000)
    choice = Auto(threads=1).choice(Problem(row, targets))
    assert choice.name == "meet_in_the_middle"
    lists = costs.COSTS["meet_in_the_middle, shared"]
    assert choice.seconds < 10_000 * (lists.row + lists.step * 2**10) / 4
    loose = Problem(row, targets, 1e-2)  # a table beats even the first hit of each target
    assert Auto(threads=1).choice(loose).name == "meet_in_the_middle"


def test_a_table_is_quicker_where_the_costs_say_so() -> None:
    """CPU seconds of one thread, least of three; the model expects a factor of 6 here."""
    rng = np.random.default_rng(9)
    problem = Problem(rng.uniform(-1, 1, 20), rng.uniform(-0.5, 0.5, 2000))
    taken = []
    for tabled in (0, None):
        solver = MeetInTheMiddle(threads=1, tabled=tabled)
        solver(problem)
        times = []
        for _ in range(3):
            start = time.process_time()
            solver(problem)
            times.append(time.process_time() - start)
        taken.append(min(times))
    assert taken[1] < taken[0] / 2


@pytest.mark.parametrize("tabled", [-1, 23])
def test_other_sizes_are_refused(tabled: int) -> None:
    with pytest.raises(BadInput, match="0 to 22"):
        MeetInTheMiddle(tabled=tabled)(Problem([1.0], [1.0]))

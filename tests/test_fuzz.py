"""The fuzz: oracle against plain enumeration, judge against planted faults, the stored run."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from sims import fuzz_subset_sums as fuzz
from sims._fuzz import oracle
from sims._fuzz.instances import SHAPES, WIDE, rows_of
from sims._fuzz.judge import CLAIMS, rounded_up
from sims._fuzz.planted import PLANTED
from slth import plot
from slth.stats.verdict import State
from slth.subsetsum import solvers

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


def plainly(own: list[int], target: int, within: int, k: int) -> tuple[int, ...]:
    """The truth about a row by all combinations of its places."""
    places = [i for i, v in enumerate(own) if v]
    kept = [c for size in range(len(places) + 1) for c in combinations(places, size)]
    error = {c: abs(sum(own[i] for i in c) - target) for c in kept}
    none = oracle.NONE
    good = [c for c in kept if error[c] <= within]
    fewest = min(map(len, good), default=none)
    return (
        min(error.values()),
        min((error[c] for c in kept if len(c) == k), default=none),
        fewest,
        min((error[c] for c in good if len(c) == fewest), default=none),
        min((max(c, default=-1) + 1 for c in good), default=len(own)),
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shared", [False, True])
def test_the_oracle_against_all_combinations(shape: str, shared: bool) -> None:
    rng = np.random.default_rng([len(shape), shared])
    for _ in range(6):
        batch = rows_of(rng, shape, 12, 8, shared)
        k = int(rng.integers(0, batch.values.shape[1] + 2))
        first = oracle.truth(batch.values, batch.targets, batch.within, k)
        batch = batch.with_tolerances(rng, first.optimum)
        true = oracle.truth(batch.values, batch.targets, batch.within, k)
        full = np.broadcast_to(batch.values, (12, batch.values.shape[1])).tolist()
        for row, (own, target) in enumerate(zip(full, batch.targets.tolist(), strict=True)):
            expected = plainly(own, target, int(batch.within[row]), k)
            assert tuple(int(part[row]) for part in true) == expected
            assert first.optimum[row] == expected[0]
            assert first.of_size[row] == expected[1]
            assert first.fewest[row] == first.nearest[row] == oracle.NONE


def test_long_rows_are_counted_right() -> None:
    """40 values against a set of reachable sums."""
    rng = np.random.default_rng(1)
    batch = rows_of(rng, "small integers", 20, 40)
    true = oracle.truth(batch.values, batch.targets, batch.within, 0)
    for own, target, best in zip(batch.values, batch.targets, true.optimum, strict=True):
        sums = {0}
        for v in own.tolist():
            sums |= {s + v for s in sums}
        assert best == min(abs(s - target) for s in sums)


def test_vectors_against_all_combinations() -> None:
    rng = np.random.default_rng(2)
    batch = rows_of(rng, "ties", 30, 6, d=3)
    best = np.empty(30, np.int64)
    oracle.vectors(batch.values, batch.targets, best)
    for own, target, found in zip(batch.values, batch.targets, best, strict=True):
        masks = np.arange(2 ** len(own))[:, None] >> np.arange(len(own)) & 1
        assert found == np.abs(masks @ own - target).max(axis=1).min()


@pytest.mark.parametrize("shape", SHAPES)
def test_floats_are_the_integers_exactly(shape: str) -> None:
    """Values, targets and the tolerances' floors, over every scale that comes up in 40 batches."""
    rng = np.random.default_rng([3, len(shape)])
    sides = set()
    for _ in range(40):
        batch = rows_of(rng, shape, 10, 6)
        true = oracle.truth(batch.values, batch.targets, batch.within, 0)
        batch = batch.with_tolerances(rng, true.optimum)
        unit = Fraction(2) ** batch.scale
        problem = batch.problem
        for floats, whole in ((problem.values, batch.values), (problem.targets, batch.targets)):
            for x, i in zip(floats.ravel().tolist(), whole.ravel().tolist(), strict=True):
                assert Fraction(x) == i * unit
        assert batch.epsilon is not None
        for x, i, best in zip(batch.epsilon, batch.within, true.optimum, strict=True):
            assert i * unit <= Fraction(float(x)) < (i + 1) * unit
            sides.add(np.sign(Fraction(float(x)) - int(best) * unit))
        for whole in (true.optimum, np.abs(batch.targets) + 1):
            for x, i in zip(rounded_up(whole, batch.scale).tolist(), whole.tolist(), strict=True):
                assert Fraction(x) >= i * unit > Fraction(np.nextafter(x, -np.inf))
    assert sides == {-1, 0, 1}, "tolerances on both sides of the least error and at it"


def test_every_solver_is_in_the_plan() -> None:
    assert {part.solver for part in fuzz.PLAN} == {*solvers()}
    assert sum(part.rows for part in fuzz.PLAN) * len(SHAPES) >= 10**7


def test_every_cell_has_rows_of_its_own() -> None:
    cells = [json.dumps(cell, sort_keys=True) for cell in fuzz.cells(False)]
    assert len({*cells}) == len(cells)
    total = sum(c["rows"] for c in fuzz.cells(False) if not c["planted"])
    assert total == sum(part.rows for part in fuzz.PLAN) * len(SHAPES)


@pytest.mark.parametrize("planted", PLANTED)
def test_planted_faults_are_found_and_cells_repeat(planted: str) -> None:
    claim, solver, _ = PLANTED[planted]
    wrong = 0
    for shape in SHAPES:
        cell = fuzz.cell(solver, fuzz.OWN, shape, 12, 100, 0, planted)
        wrong += cell["wrong"][claim]
        assert bool(cell["example"]) == any(cell["wrong"].values())
        if shape in WIDE:
            again = fuzz.cell(solver, fuzz.OWN, shape, 12, 100, 0, planted)
            assert {**again, "seconds": 0} == {**cell, "seconds": 0}
    assert wrong > 0


@pytest.mark.parametrize("part", [p for p in fuzz.PLAN if p.solver != "highs"], ids=str)
def test_a_few_rows_of_every_part_have_no_wrong_claim(part: fuzz.Part) -> None:
    made = 0
    for shape in list(SHAPES)[:: 1 if part.rows > 10_000 else 4]:
        cell = fuzz.cell(part.solver, part.form, shape, min(part.most, 14), 100, 99)
        assert not cell["example"]
        made += sum(cell["made"].values())
    assert made > 100


# -- the stored run --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return fuzz.stored(FIGURES / "fuzz_subset_sums.csv")


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads((FIGURES / "fuzz_subset_sums.json").read_text("utf-8"))


def test_the_stored_run_is_whole_and_its_verdicts_follow(rows, stored) -> None:  # type: ignore[no-untyped-def]
    for cell, row in zip(fuzz.cells(False), rows, strict=True):
        assert {key: row[key] for key in cell} == cell
    again = fuzz.analyse(rows).to_json()
    for part in ("verdicts", "controls"):
        assert {k: v["state"] for k, v in again[part].items()} == {
            k: v["state"] for k, v in stored[part].items()
        }
    assert again["by_solver"] == stored["by_solver"]
    assert {*stored["verdicts"]} == {*CLAIMS}
    assert all(c["caught"] for c in stored["controls"].values())


def test_ten_million_rows_and_no_wrong_claim(stored) -> None:  # type: ignore[no-untyped-def]
    assert stored["instances"] >= 10**7
    assert stored["wrong"] == 0
    assert {v["state"] for v in stored["verdicts"].values()} == {str(State.SUPPORTED)}


def test_a_stored_cell_comes_out_again(rows) -> None:  # type: ignore[no-untyped-def]
    for solver in ("meet_in_the_middle", "vector_meet_in_the_middle"):
        row = next(r for r in rows if r["solver"] == solver and r["shape"] == "ties")
        keys = ("solver", "form", "shape", "most", "rows", "number", "planted")
        again = fuzz.cell(**{key: row[key] for key in keys})
        assert again["made"] == row["made"]
        assert again["wrong"] == row["wrong"]


def test_the_figure_has_labels_units_and_no_overlap(rows, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fig = fuzz.figure(rows, tmp_path)
    assert plot.check(fig) == []


def test_the_readmes_table_is_the_stored_one(stored) -> None:  # type: ignore[no-untyped-def]
    text = (FIGURES.parents[1] / "README.md").read_text("utf-8")
    shown = text.split("<!-- fuzz -->")[1].split("<!-- /fuzz -->")[0]
    assert shown.strip() == fuzz.markdown(stored).strip()

"""Needs of values that may move: against enumeration, and the verdicts from the stored table."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sims import _protocol, perturbation
from slth import plot
from slth.stats.verdict import State

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return _protocol.read_table(FIGURES / "perturbation.csv")


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return dict(json.loads((FIGURES / "perturbation.json").read_text("utf-8")))


@pytest.mark.parametrize("p", [0.0, 2.0**-5, 0.5])
def test_a_need_is_the_first_prefix_with_such_a_subset(p: float) -> None:
    values, z = perturbation.streams(0, 25)
    found = perturbation.cell(4, p, 0, 25)["needs"]
    for row, (x, target) in enumerate(zip(values, z, strict=True)):
        n = next(
            n
            for n in range(32)
            for k in range(n + 1)
            for c in combinations(x[:n], k)
            if abs(sum(c) - target) <= 2.0**-4 + k * p
        )
        assert found[row] == n


def test_laws_of_sums_are_those_of_draws() -> None:
    rng = np.random.default_rng(1)
    for k in (1, 2, 3, 5):
        sums = rng.uniform(-1, 1, (200_000, k)).sum(axis=1)
        for t in (-0.7, 0.0, 0.4, 1.2):
            law = float(perturbation.law_of_sum(np.array([t]), k)[0])
            assert (sums <= t).mean() == pytest.approx(law, abs=0.01)


def test_planted_needs_are_judged_right() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(10.5, 2.5, 600)
    drawn = {(10, 0.0): base, (10, 0.5): base / 1.6, (10, 1.0): base / 2.2}
    factors = perturbation.factors(drawn)
    assert {v.state for v in factors.values()} == {State.SUPPORTED}
    assert {v.state for v in perturbation.tenth(drawn).values()} == {State.SUPPORTED}
    slow = {(10, 0.0): base, (10, 0.5): base / 1.4}
    assert {v.state for v in perturbation.factors(slow).values()} == {State.REFUTED}
    fast = {(10, 0.0): base, (10, 0.5): base / 3}
    assert {v.state for v in perturbation.tenth(fast).values()} == {State.REFUTED}


def test_the_stored_verdicts_follow_from_the_stored_table(rows, stored) -> None:  # type: ignore[no-untyped-def]
    again = perturbation.analyse(rows).to_json()
    for part in ("verdicts", "controls"):
        assert {k: v["state"] for k, v in again[part].items()} == {
            k: v["state"] for k, v in stored[part].items()
        }
    assert [v["state"] for v in stored["verdicts"].values()] == ["supported"] * 3 + ["refuted"]
    assert all(c["caught"] for c in stored["controls"].values())
    cells = perturbation.cells(False)
    assert [{k: row[k] for k in cell} for cell, row in zip(cells, rows, strict=True)] == cells


def test_needs_never_rise_with_the_moves_allowed(rows) -> None:  # type: ignore[no-untyped-def]
    drawn = perturbation.needs(rows)
    for b in perturbation.BITS:
        for less, more in zip(perturbation.MOVES, perturbation.MOVES[1:], strict=False):
            assert (drawn[b, more] <= drawn[b, less]).all()


def test_a_cell_of_the_table_is_what_its_seed_gives(rows) -> None:  # type: ignore[no-untyped-def]
    row = next(r for r in rows if r["bits"] == 6 and r["p"] == 2.0**-4)
    again = perturbation.cell(row["bits"], row["p"], row["first"], row["count"])
    assert again["needs"] == row["needs"]


def test_the_figure_has_labels_units_intervals_and_no_overlap(rows, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fig = perturbation.figure(rows, tmp_path)
    assert plot.check(fig, [f"η = $2^{{-{b}}}$" for b in perturbation.BITS]) == []
    assert all((tmp_path / f"perturbation.{kind}").stat().st_size for kind in plot.FORMATS)

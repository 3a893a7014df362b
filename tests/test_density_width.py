"""The trade of density for width: its needs against enumeration, its verdicts from the table."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sims import _protocol, density_width
from slth import plot
from slth.bounds import unit_class
from slth.bounds.fixed_size import FixedSize
from slth.stats.verdict import State

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return _protocol.read_table(FIGURES / "density_width.csv")


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return dict(json.loads((FIGURES / "density_width.json").read_text("utf-8")))


# -- what is measured ------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_a_need_is_the_first_prefix_with_a_subset_of_the_size(k: int) -> None:
    epsilon = 2.0**-4
    for seed in range(12):
        rng = np.random.default_rng([seed, k])
        z, values = rng.uniform(-1, 1) * np.sqrt(k), rng.uniform(-1, 1, 1000)
        n = density_width.needed(k, epsilon, seed)
        assert n is not None
        if k == 1:
            assert np.flatnonzero(np.abs(values - z) <= epsilon)[0] + 1 == n
            continue
        near = [
            min((abs(sum(c) - z) for c in combinations(values[:m], k)), default=np.inf)
            for m in (n - 1, n)
        ]
        assert near[0] > epsilon >= near[1]


def test_a_need_that_is_not_searched_whole_is_none(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(density_width, "BUDGET", 8)
    assert density_width.needed(3, 2.0**-14, 500) is None


def test_tickets_count_what_is_met_and_of_a_wrong_size() -> None:
    found = density_width.tickets("tickets", 0.25, 60, range(3))
    loose = density_width.tickets("pensia", 0.25, 60, range(3))
    assert found["wrong"] == 0 < loose["wrong"] <= 3 * 32
    assert found["met"] == loose["met"] == 3
    assert found["parameters"] == loose["parameters"] == 2 * 60 * 4 * (4 + 4)


# -- what is predicted -----------------------------------------------------------------------------


def test_theorem_fives_least_n_is_the_first_that_meets_it() -> None:
    """In whole numbers: C(n, k)²·16ε² ≥ k, at ε = 2^-b, against the library's bound at d = 1."""
    for k in (1, 2, 5, 12):
        for b in (5, 6, 10):
            n = density_width.least(k, b)
            asked = Fraction(k, 16) * Fraction(4) ** b
            assert comb(n, k) ** 2 >= asked
            assert n == k or comb(n - 1, k) ** 2 < asked
    n = FixedSize("lower", 0.5).evaluate(unit_class(1, 1), 2.0**-10, 0.5)
    assert density_width.least(int(n) // 2, 10) <= n


def test_the_first_moment_is_the_geometric_law_at_one_value() -> None:
    n, chance = density_width.law_of_need(1, 2.0**-6)
    q = 2.0**-6  # of a value to lie within ε of z, |z| ≤ 1 − ε
    exact = q * (1 - q) ** (n - 1)
    assert np.abs(chance - exact).max() < 1e-3
    assert chance.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_densities_of_sums_are_those_of_draws(k: int) -> None:
    sums = np.random.default_rng(k).uniform(-1, 1, (400_000, k)).sum(axis=1)
    for z in (0.0, 0.5, np.sqrt(k) * 0.9):
        hits = int((np.abs(sums - z) <= 0.05).sum())
        mean = 400_000 * 0.1 * float(density_width.density_of_sum(np.array([z]), k)[0])
        # three in a hundred for the normal law, and five standard errors
        assert abs(hits - mean) < 0.03 * mean + 5 * np.sqrt(mean)


# -- what is judged --------------------------------------------------------------------------------


def test_planted_needs_are_judged_right() -> None:
    """Trials whose needs are the first moment's own law, and the same shifted by three bits."""
    n, chance = density_width.law_of_need(2, 2.0**-10)
    own = np.random.default_rng(0).choice(n, 400, p=chance / chance.sum())
    drawn = {(2, 10): own}
    assert density_width.moments(drawn).state == State.SUPPORTED
    assert density_width.moments({(2, 10): own * 2**1.5}).state == State.REFUTED
    assert density_width.moments({(2, 10): own / 2**1.5}).state == State.REFUTED
    assert density_width.forms(drawn).state == State.SUPPORTED
    assert density_width.forms({(2, 10): own * 8}).state == State.REFUTED
    at = "k = 2, ε = 2^-10"
    assert density_width.below(drawn)[at].state == State.SUPPORTED
    assert density_width.below({(2, 10): own / 8})[at].state == State.REFUTED


def test_a_half_point_lies_between_whole_numbers() -> None:
    value, draws = density_width.halves(np.repeat([9.0, 10.0, 11.0, np.inf], [30, 40, 30, 5]))
    assert 9 < value < 10
    assert draws.std() < 0.3


# -- the stored run --------------------------------------------------------------------------------


def test_the_stored_verdicts_follow_from_the_stored_table(rows, stored) -> None:  # type: ignore[no-untyped-def]
    again = density_width.analyse(rows).to_json()
    for part in ("verdicts", "controls"):
        assert {k: v["state"] for k, v in again[part].items()} == {
            k: v["state"] for k, v in stored[part].items()
        }
    assert {v["state"] for v in stored["verdicts"].values()} == {"supported"}
    assert all(c["caught"] for c in stored["controls"].values())
    cells = density_width.cells(False)
    assert [{k: row[k] for k in cell} for cell, row in zip(cells, rows, strict=True)] == cells


def test_a_cell_of_the_table_is_what_its_seed_gives(rows) -> None:  # type: ignore[no-untyped-def]
    keys = ("part", "at", "bits", "n", "first", "count")
    (row,) = [r for r in rows if (r["at"], r["bits"], r["first"]) == (5.0, 10, 500)]
    assert density_width.cell(**{key: row[key] for key in keys}) == {"needs": row["needs"]}
    row = next(r for r in rows if r["part"] == "tickets" and r["at"] == 0.1)
    few = density_width.cell("tickets", 0.1, 0, row["n"], row["first"], 10)
    assert few["met"] <= row["met"]
    assert few["parameters"] == row["parameters"]


def test_the_figure_has_labels_units_intervals_and_no_overlap(rows, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fig = density_width.figure(rows, tmp_path)
    assert plot.check(fig, ["half of the tickets met"]) == []
    assert all((tmp_path / f"density_width.{kind}").stat().st_size for kind in plot.FORMATS)

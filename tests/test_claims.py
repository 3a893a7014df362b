"""The claims: complete, distinct, able to fail, and judged the same from stored data."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from sims import _claims, _protocol
from sims import claims as simulation
from sims._claims import _judging, claims
from sims._protocol import Control
from slth import plot
from slth.stats import FALSE_ALARM, settle
from slth.stats.verdict import State, Verdict

FIGURES = Path(__file__).parents[1] / "sims" / "figures"
NUMBERS = list(claims())
STATES = {str(state) for state in State}


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    """Every claim measured small, as the sweep stores it."""
    made = []
    for number in NUMBERS:
        params = {"number": number, "smoke": True, "seed": simulation.SEED}
        result = simulation.cell(**params)
        made.append({**params, **json.loads(json.dumps(result, allow_nan=False))})
    return made


def test_numbers_are_distinct_and_within_the_list() -> None:
    assert sorted(set(NUMBERS)) == NUMBERS
    assert set(NUMBERS) <= set(range(1, _claims.COUNT + 1))


@pytest.mark.parametrize("number", NUMBERS)
def test_every_claim_has_all_fields(number: int) -> None:
    claim = claims()[number]
    assert dataclasses.is_dataclass(claim)
    assert claim.number == number
    assert 3 <= len(claim.name) <= 32
    assert re.search(r"\((1[89]|20)\d\d\)|derived here", claim.says), "cite author and year"
    assert re.search(r"\d", claim.falsifier), "a falsifier names its numbers"
    assert 0 < claim.seconds < 120


def test_controls_are_caught_already_in_smoke(rows) -> None:
    for row in rows:
        assert row["control"]["broken"]
        assert row["control"]["verdict"]["state"] == "refuted", simulation.title(row["number"])


def test_verdicts_are_complete(rows) -> None:
    for row in rows:
        assert row["verdict"]["state"] in STATES
        assert row["verdict"]["reason"]
        p = row["verdict"]["p_value"]
        assert p is None or 0 <= p <= _claims.LEVEL, "a decided claim passed its own level"


def test_stored_data_are_judged_the_same_again(rows) -> None:
    for row in rows:
        again = simulation.rejudged(row)
        assert again["verdict"] == row["verdict"], row["number"]
        assert again["control"] == row["control"]["verdict"], row["number"]


def test_the_same_seed_gives_the_same_data(rows) -> None:
    first = min(rows, key=lambda row: claims()[row["number"]].seconds)
    again = simulation.cell(first["number"], True, simulation.SEED)
    assert again["data"] == first["data"]


def test_the_page_has_labels_units_and_no_overlap(rows, tmp_path) -> None:
    fig = simulation.figure(rows, simulation.analyse(rows), tmp_path)
    assert plot.check(fig) == []
    assert all((tmp_path / f"claims.{kind}").stat().st_size for kind in plot.FORMATS)


def test_a_missing_claim_is_refused() -> None:
    from slth.errors import BadInput

    assert simulation.chosen("5,1") == [1, 5]
    for only in ("99", "a", ""):
        with pytest.raises(BadInput, match="only"):
            simulation.chosen(only)


def test_the_stored_run_follows_from_its_stored_data() -> None:
    if not (FIGURES / "claims.csv").exists():
        pytest.skip("no stored run yet")
    rows = _protocol.read_table(FIGURES / "claims.csv")
    kept = json.loads((FIGURES / "claims.json").read_text("utf-8"))
    assert [row["number"] for row in rows] == NUMBERS
    assert {(row["smoke"], row["seed"]) for row in rows} == {(False, simulation.SEED)}
    for row in rows:
        again = simulation.rejudged(row)
        assert again["verdict"]["state"] == row["verdict"]["state"], row["number"]
        assert again["control"]["state"] == row["control"]["verdict"]["state"] == "refuted"
    found = simulation.analyse(rows).to_json()
    for part in ("verdicts", "controls"):
        assert {k: v["state"] for k, v in found[part].items()} == {
            k: v["state"] for k, v in kept[part].items()
        }


# -- the judging ----------------------------------------------------------------------------------


def test_whatever_passes_its_own_level_survives_holm() -> None:
    parts = {str(k): Verdict(State.SUPPORTED, "", _claims.LEVEL) for k in range(_claims.COUNT)}
    assert all(v.state == State.SUPPORTED for v in settle(parts, FALSE_ALARM).values())


def test_between_speaks_three_ways() -> None:
    rng = np.random.default_rng(3)
    for centre, state in ((0.5, "supported"), (2.0, "refuted"), (1.0, "undecided")):
        draws = centre + 0.05 * rng.normal(size=_judging.RESAMPLES)
        found = _judging.between(centre, draws, 0.0, 1.0, "x")
        assert found.state == state
        if found.p_value is not None:
            assert found.p_value <= _claims.LEVEL


def test_between_rarely_lies_at_its_level() -> None:
    """The mean of 100 normal draws, truly at the claimed end: 4 of 100 at a level of 0.03 %
    would be less than a one-in-a-million event."""
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(100):
        x = rng.normal(size=100)
        draws = _judging.weights(100, rng, 4000) @ x
        wrong += _judging.between(x.mean(), draws, 0.0, 9.0, "mean").state == State.SUPPORTED
    assert wrong <= 3


def test_frequencies_are_judged_on_the_side_they_claim() -> None:
    assert _judging.at_most(0, 3000, 0.01).state == State.SUPPORTED
    assert _judging.at_most(200, 3000, 0.01).state == State.REFUTED
    assert _judging.at_most(30, 3000, 0.01).state == State.UNDECIDED
    assert _judging.at_least(2990, 3000, 0.99).state == State.SUPPORTED
    assert _judging.at_least(2000, 3000, 0.99).state == State.REFUTED


def test_laws_that_differ_by_more_than_the_margin_are_told_apart() -> None:
    assert _judging.close(0.002, 1_000_000, 0.005, "x").state == State.SUPPORTED
    assert _judging.close(0.02, 1_000_000, 0.005, "x").state == State.REFUTED
    assert _judging.close(0.002, 1_000, 0.005, "x").state == State.UNDECIDED


def test_a_claim_of_parts_needs_every_one() -> None:
    good, bad = Verdict(State.SUPPORTED, "a", 1e-6), Verdict(State.REFUTED, "b", 1e-6)
    unsure, sure = Verdict(State.UNDECIDED, "c"), Verdict(State.SUPPORTED, "d")
    assert _judging.together({"1": good, "2": sure}).state == State.SUPPORTED
    assert _judging.together({"1": good, "2": sure}).p_value == 1e-6
    assert _judging.together({"1": sure, "2": sure}).p_value is None
    assert _judging.together({"1": good, "2": bad}).state == State.REFUTED
    assert _judging.together({"1": good, "2": bad}).p_value == 2e-6
    assert _judging.together({"1": good, "2": unsure}).state == State.UNDECIDED
    weak = Verdict(State.REFUTED, "b", _claims.LEVEL)
    assert _judging.together({"1": good, "2": weak}).state == State.UNDECIDED
    assert _judging.together({"1": good, "2": Verdict(State.REFUTED, "e")}).p_value is None


def test_a_control_that_passes_is_not_caught() -> None:
    assert not Control("nothing", Verdict(State.SUPPORTED, "")).caught

"""The simulation of neurons that choose their input: the stored run, and its parts on oracles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sims import assigned
from sims._assigned import cells
from sims._assigned.figure import figure
from sims._protocol import read_table
from slth import plot
from slth.stats.curves import synthetic
from slth.stats.lawfit import law_fit
from slth.stats.verdict import State

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return read_table(FIGURES / "assigned.csv")


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The stored JSON, its theorems' widths taken for true: tests/test_bounds_assigned checks how
    they come about, which takes a while."""
    kept: dict[str, Any] = json.loads((FIGURES / "assigned.json").read_text("utf-8"))
    monkeypatch.setattr(assigned, "theorems", lambda: kept["theorems"])
    return kept


def test_the_stored_verdicts_follow_from_the_stored_table(rows, stored) -> None:  # type: ignore[no-untyped-def]
    again = json.loads(json.dumps(assigned.analyse(rows).to_json()))
    assert again == {key: value for key, value in stored.items() if key in again}
    assert {"verdicts", "controls", "need", "fits"} < set(again)


def test_the_stored_run_is_whole_and_its_controls_were_refuted(rows, stored) -> None:  # type: ignore[no-untyped-def]
    assert len(stored["controls"]) == 5
    assert all(c["caught"] and c["state"] == "refuted" for c in stored["controls"].values())
    for wanted, row in zip(assigned.cells(False), rows, strict=True):
        assert {k: row[k] for k in wanted} == wanted


def test_the_figure_is_readable(rows, stored, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    promised = ["fixed blocks", "assigned", "exchanged", "network", "gadget's median"]
    assert plot.check(figure(rows, tmp_path), promised) == []


@pytest.mark.parametrize("kind", assigned.KINDS)
def test_a_cell_is_what_its_seed_gives(rows, kind: str) -> None:  # type: ignore[no-untyped-def]
    for part, n in (("small", 12), ("layer", 20)):
        row = assigned.of(rows, part, kind, n=n)[assigned.FIRST_SEED]
        again = assigned.cell(part, kind, n, assigned.FIRST_SEED, 0.0)
        for key, value in again.items():
            assert row[key] == pytest.approx(value, rel=1e-3), key


def test_all_kinds_prune_the_same_random_network() -> None:
    f = cells.random_target(cells.SMALL, 1)
    tickets = {kind: cells.built(kind, f, 10, 1) for kind in (*assigned.KINDS, "dealt", "twice")}
    plain = {kind: getattr(t.source, "plain", t.source) for kind, t in tickets.items()}
    assert len(set(plain.values())) == 1
    assert len({t.source.parameters for t in tickets.values()}) == 1
    given, dealt = (tickets[kind].source.places for kind in ("assigned", "dealt"))
    for a, b in zip(given, dealt, strict=True):
        assert (np.sort(a.ravel()) == np.sort(b.ravel())).all()
        assert (a != b).mean() > 0.8


def test_the_need_is_the_least_width_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a small network: met there and not one below, by whole tickets; bracket ends are told."""
    f, epsilon = cells.random_target(cells.SMALL, 3), 0.1
    monkeypatch.setattr(cells, "LARGE", cells.SMALL)
    for kind in ("fixed", "assigned"):
        found = cells.need("large", kind, 0, 3, epsilon)["need"]
        for n in (found - 1, found):
            make = cells.construction(kind, epsilon=epsilon)
            ticket = make.build(f, make.source_for(f, 3, n))
            assert (ticket.claim.unmet == 0) == (n == found)
    monkeypatch.setitem(cells.WITHIN, "assigned", (2, 8))
    with pytest.raises(ValueError, match="outside"):
        cells.need("large", "assigned", 0, 3, epsilon)


def test_exponentials_are_told_from_other_laws() -> None:
    n = np.arange(10.0, 25, 2)
    says = {
        law: assigned.exponential(law_fit(n, synthetic(law, n, 12, 1, rate, 0.2), rng=3)).state
        for law, rate in (("exponential", 0.7), ("power", 12.0))
    }
    assert says == {"exponential": State.SUPPORTED, "power": State.REFUTED}
    assert assigned.exponential(None).state == State.UNDECIDED


def test_shares_are_counted_seed_by_seed() -> None:
    one = {s: {"x": 1.0} for s in range(12)}
    other = {s: {"x": 10.0} for s in range(12)}
    assert assigned.fewer(one, other, "x", 0.1).state == State.SUPPORTED
    assert assigned.fewer(other, one, "x", 0.1).state == State.REFUTED
    half = {s: {"x": 1.0 if s % 2 else 100.0} for s in range(12)}
    assert assigned.fewer(half, other, "x", 0.1).state == State.UNDECIDED

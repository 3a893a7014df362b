"""What whole neurons cost: needs against enumeration, verdicts from the stored table."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sims import _protocol, structured_width
from slth import plot
from slth.stats.verdict import State

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return _protocol.read_table(FIGURES / "structured_width.csv")


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return dict(json.loads((FIGURES / "structured_width.json").read_text("utf-8")))


@pytest.mark.parametrize("law", structured_width.LAWS)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_need_is_the_first_prefix_with_a_subset_near_in_every_coordinate(law, d) -> None:  # type: ignore[no-untyped-def]
    eta = 2.0**-2
    for seed in range(8):
        values, target = structured_width.stream(law, d, seed)
        m = structured_width.needed(law, d, eta, seed)
        assert m is not None
        if m > 14:
            continue
        near = [
            min(
                float(np.abs(np.array(bits) @ values[:size] - target).max())
                for bits in product((0, 1), repeat=size)
            )
            for size in (max(m - 1, 0), m)
        ]
        assert near[1] <= eta
        assert m == 0 or near[0] > eta


def test_shared_out_weights_are_shared_and_a_stream_may_end() -> None:
    values, _ = structured_width.stream("shared", 2, 1)
    assert (values[:, 0] == values[:, 1]).all()
    needs = [structured_width.needed("shared", 2, 2.0**-6, seed) for seed in range(6)]
    assert needs.count(None) >= 4


def test_the_first_moment_is_near_what_is_drawn() -> None:
    """The median of 60 needs at d = 2, η = 2^-4: the prediction lies within three of it."""
    needs = [structured_width.needed("uniform", 2, 2.0**-4, seed) for seed in range(60)]
    assert abs(np.median(needs) - structured_width.predicted("uniform", 2, 4.0)) <= 3
    assert structured_width.predicted("uniform", 1, 4.0) < np.median(needs) - 3


def test_counting_is_by_boxes() -> None:
    for d in (1, 2, 4):
        for bits in (2.0, 3.5, 7.0):
            m = structured_width.least(d, bits)
            cover = [2.0**k * (2 * 2.0**-bits) ** d for k in (m - 1, m)]
            assert cover[1] >= 0.5 * (1 - 1e-9)
            assert m == 1 or cover[0] < 0.5


def test_tickets_of_one_output_need_the_same_either_way() -> None:
    structured, loose, none, some = structured_width.ticket_needs(1, 3)
    assert structured == loose
    assert none == some == 0
    structured, loose, none, some = structured_width.ticket_needs(2, 3)
    assert structured > loose
    assert none == 0 < some


def test_planted_needs_are_judged_right() -> None:
    middle = structured_width.predicted("uniform", 2, 6.0)
    spread = [middle - 1, middle, middle + 1, middle + 2] * 40
    row = {"law": "uniform", "d": 2, "bits": 6.0, "needs": spread}
    found = structured_width.moments([row], "uniform")
    assert {v.state for v in found.values()} == {State.SUPPORTED}
    for shift in (-6, 6):
        moved = {**row, "needs": [n + shift for n in spread]}
        states = {v.state for v in structured_width.moments([moved], "uniform").values()}
        assert State.REFUTED in states
    few = {**row, "needs": [structured_width.least(2, 6.0) - 2] * 160}
    assert {v.state for v in structured_width.counting([few]).values()} == {State.REFUTED}


# -- the stored run --------------------------------------------------------------------------------


def test_the_stored_verdicts_follow_from_the_stored_table(rows, stored) -> None:  # type: ignore[no-untyped-def]
    again = structured_width.analyse(rows).to_json()
    for part in ("verdicts", "controls"):
        assert {k: v["state"] for k, v in again[part].items()} == {
            k: v["state"] for k, v in stored[part].items()
        }
    assert {v["state"] for v in stored["verdicts"].values()} == {"supported"}
    assert all(c["caught"] for c in stored["controls"].values())
    cells = structured_width.cells(False)
    assert [{k: row[k] for k in cell} for cell, row in zip(cells, rows, strict=True)] == cells


def test_a_cell_of_the_table_is_what_its_seed_gives(rows) -> None:  # type: ignore[no-untyped-def]
    row = next(r for r in rows if (r["law"], r["d"], r["bits"]) == ("normal", 2, 3.0))
    keys = ("law", "d", "bits", "first", "count")
    assert structured_width.cell(**{key: row[key] for key in keys})["needs"] == row["needs"]


def test_the_figure_has_labels_units_intervals_and_no_overlap(rows, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fig = structured_width.figure(rows, tmp_path)
    assert plot.check(fig, ["whole neurons", "single weights", "d = 4"]) == []
    assert all((tmp_path / f"structured_width.{kind}").stat().st_size for kind in plot.FORMATS)

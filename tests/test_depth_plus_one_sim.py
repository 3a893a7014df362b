"""Depth L + 1 against 2L: what is compared is what it says, and the stored run follows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sims import _depth_plus_one as shown
from sims import _depth_tickets as tickets
from sims import _protocol
from sims import depth_plus_one as simulation
from slth import plot
from slth.bounds import unit_class
from slth.bounds.depth_plus_one import copies as theorem
from slth.construct.depth_l_plus_1 import DepthLPlus1
from slth.stats.verdict import State

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return _protocol.read_table(FIGURES / "depth_plus_one.csv")


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads((FIGURES / "depth_plus_one.json").read_text("utf-8"))


class TestWhatIsCompared:
    def test_copies_forced_alike_are_one_copy(self):
        """With the first copy's weights given to all, the stack computes the merged network."""
        target = tickets.target_of("unit", 3, 5)
        make = DepthLPlus1(tolerance=0.01)
        copies = make.build(target, make.source_for(target, 1, 24)).apart
        x = np.random.default_rng(0).normal(size=(50, 4))
        first = [np.unique(o, return_index=True)[1] for o in copies.owners]
        p, q, _ = copies.slopes
        rows = [at[owners] for at, owners in zip(first, copies.owners, strict=True)]
        y = np.maximum(x, 0) @ p[rows[0]].T + np.minimum(x, 0) @ q[rows[0]].T
        for links, at in zip(copies.links[1:], rows[1:], strict=True):
            y = np.maximum(y, 0) @ links.toarray()[at].T
        assert np.allclose(tickets.alike(copies)(x), y, atol=1e-12)

    def test_the_bound_by_norms_by_hand(self):
        """e = 0.3; W2 has rows of |entries| summing to 2: (2 + 4η)·0.3 + η·√4·1, times √4."""
        target = tickets.target_of("unit", 2, 5)
        expected = 2 * ((2 + 4 * 0.005) * 0.3 + 0.005 * 2)
        assert tickets.by_norms(target, 0.3, [2.0]) == pytest.approx(expected, rel=1e-9)

    def test_copies_asked_for_are_the_theorems(self):
        for depth in (2, 3, 4):
            ours = tickets.asked(depth, None, 4, 0.1, 0.1)
            assert ours == theorem(unit_class(*(4,) * (depth + 1)), 0.1, 0.1)[0][1]
        few = [tickets.asked(4, gain, 4, 0.1, 0.1) for gain in (1.0, 2.0, 8.0)]
        assert few == sorted(few)
        assert few[-1] < tickets.asked(4, None, 4, 0.1, 0.1)

    def test_small_targets_are_scaled_ones(self):
        unit, small = (tickets.target_of(kind, 3, 7) for kind in ("unit", "small"))
        for a, b in zip(unit.weights, small.weights, strict=True):
            assert np.allclose(a @ a.T, np.eye(4))
            assert np.allclose(b, 0.1 * a)

    def test_medians_and_their_resamples(self):
        one, many = shown.median(np.array([3.0, 1.0, 2.0, 50.0, 4.0]))
        assert one == 3.0
        assert set(np.unique(many)) <= {1.0, 2.0, 3.0, 4.0, 50.0}
        assert np.median(many) == 3.0


class TestTheStoredRun:
    def test_is_whole(self, rows):
        cells = simulation.cells(False)
        assert len(rows) == len(cells)
        for cell, row in zip(cells, rows, strict=True):
            assert {k: row[k] for k in cell} == cell

    def test_follows_from_its_table(self, rows, stored):
        again = simulation.analyse(rows).to_json()
        for part in ("verdicts", "controls"):
            assert {k: v["state"] for k, v in again[part].items()} == {
                k: v["state"] for k, v in stored[part].items()
            }
        assert again["depth"] == stored["depth"]
        assert again["copies"] == stored["copies"]

    def test_its_controls_were_refuted(self, stored):
        assert len(stored["controls"]) == 3
        assert all(c["caught"] and c["state"] == "refuted" for c in stored["controls"].values())
        assert {v["state"] for v in stored["verdicts"].values()} <= {str(s) for s in State}

    def test_a_cell_is_what_its_seed_gives(self, rows):
        row = rows[0]
        again = simulation.cell(**{k: row[k] for k in ("part", "kind", "depth", "seed")})
        for key in ("fewest", "doubled", "identical", "fewest_upper", "load"):
            assert again[key] == pytest.approx(row[key], rel=1e-6)

    def test_broken_rows_are_refuted(self, rows):
        broken = [dict(row) for row in rows]
        broken[0]["fewest_upper"] = broken[0]["fewest"] / 2
        broken[-1 - 5]["ticket"] = 0.5  # a dense one; the pruned ones come before
        next(r for r in broken if r["kind"] == "pruned")["ticket"] = 0.9
        found = simulation.analyse(broken).verdicts
        assert found["errors stay within the bound with Σ|v|"].state == State.REFUTED
        assert found["a pruned LeNet keeps its accuracy"].state == State.REFUTED

    def test_its_figure(self, rows, tmp_path):
        assert plot.check(shown.figure(rows, tmp_path)) == []
        assert (tmp_path / "depth_plus_one.svg").exists()

"""The published experiment: its parts against plain searches, its stored run against itself."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sims import _pensia, _protocol
from sims import pensia_experiment as experiment
from sims._pensia import FIRST_HIT, SHARED, TICKET, figure, judging, published, stated
from slth import plot
from slth.construct.pensia import Pensia, usable
from slth.errors import BadInput
from slth.source import Source
from slth.stats.verdict import State
from slth.subsetsum import Problem
from slth.subsetsum.exhaustive import Exhaustive
from slth.target import Target
from slth.verify import verify

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


@pytest.fixture(scope="module")
def target() -> Target:
    rng = np.random.default_rng(0)
    return Target(tuple(rng.normal(0, 0.2, (b, a)) for a, b in pairwise((5, 4, 3))), (None, None))


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return _protocol.read_table(FIGURES / "pensia_experiment.csv")


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads((FIGURES / "pensia_experiment.json").read_text("utf-8"))


@pytest.mark.parametrize("part", [TICKET, FIRST_HIT])
def test_a_device_finds_the_same_ticket(part: str, target: Target, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    sought: list[str] = []
    monkeypatch.setattr(stated, "target_of", lambda name: target)
    monkeypatch.setattr(stated, "compared", lambda name, ticket: {"net": ticket})
    real = Pensia.__post_init__
    monkeypatch.setattr(Pensia, "__post_init__", lambda p: sought.append(p.device) or real(p))
    found = [experiment.cell("any", part, 16, 2, device=device) for device in ("cpu", "cpu:0")]
    assert sought == ["cpu", "cpu:0"]
    a, b = (row.pop("net").kept for row in found)
    for x, y in zip(a, b, strict=True):
        assert all((p.indices == q.indices).all() for p, q in zip(x, y, strict=True))
    assert all(row.pop("core_seconds") > 0 for row in found)
    assert found[0] == found[1]


def test_no_such_device_is_one_line_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cuda:63"):
        experiment.main.main(["--device", "cuda:63", "--out", str(tmp_path)], standalone_mode=False)
    assert list(tmp_path.iterdir()) == []


class TestAsPublished:
    def test_values_are_one_set_a_row_in_the_targets_range(self, target: Target) -> None:
        values = published.values_of_rows(target, 3)
        assert [v.shape for v in values] == [(4, 21), (3, 21)]
        low = min(w.min() for w in target.weights)
        high = max(w.max() for w in target.weights)
        pooled = np.concatenate([v.ravel() for v in values])
        assert low <= pooled.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < pooled.max() <= high
        again = published.values_of_rows(target, 3)
        assert all((a == b).all() for a, b in zip(values, again, strict=True))
        assert (published.values_of_rows(target, 4)[0] != values[0]).all()

    def test_every_weight_gets_its_rows_optimum(self, target, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        monkeypatch.setattr(published, "N", 9)
        values = published.values_of_rows(target, 1)
        found = published.solve_rows(target, values, 2)
        for v, w, answers in zip(values, target.weights, found, strict=True):
            for row, weights, answer in zip(v, w, answers, strict=True):
                best = Exhaustive()(Problem(row, weights))
                np.testing.assert_array_equal(answer.error, best.error)
        network = published.replaced(values, [[a.mask for a in answers] for answers in found])
        for layer, answers in enumerate(found):
            for j, answer in enumerate(answers):
                for a, mask in enumerate(answer.mask):
                    kept = sum(map(Fraction, values[layer][j][mask].tolist()), Fraction(0))
                    assert abs(Fraction(network.weights[layer][j, a]) - kept) < Fraction(1, 10**14)

    def test_random_values_are_as_many(self, monkeypatch, target) -> None:  # type: ignore[no-untyped-def]
        monkeypatch.setattr(published, "target_of", lambda name: target)
        x = np.random.default_rng(0).normal(size=(50, 5))
        labels = np.argmax(target(x), axis=1)
        monkeypatch.setattr(_pensia, "target_of", lambda name: target)
        monkeypatch.setattr(_pensia, "held_out", lambda name: (x, labels))
        honest, broken = (published.as_published("", 0, random) for random in (False, True))
        assert honest["kept"] == broken["kept"]
        assert honest["accuracy"] == honest["agreement"] == honest["target_accuracy"] == 1.0
        assert broken["accuracy"] < 1.0
        assert honest["solved"] == honest["weights"] == 32
        assert honest["parameters"] == 32 * 21


class TestAsStated:
    def test_dealt_lists_are_the_same_lists_of_the_same_blocks(self, target: Target) -> None:
        ticket = Pensia().build(target, Pensia().source_for(target, 1, 20))
        loose = stated.dealt(ticket, 0)
        moved = 0
        for layer, pair in enumerate(ticket.kept):
            outputs = target.dims[layer + 1]
            for old, new in zip(pair, loose.kept[layer], strict=True):
                for block in range(target.dims[layer]):
                    lists = []
                    for kept in (old, new):
                        part = kept.blocks(outputs, block, block + 1)
                        ends = part.indptr
                        lists.append(
                            [part.indices[a:b].tolist() for a, b in pairwise(ends.tolist())]
                        )
                    assert sorted(lists[0]) == sorted(lists[1])
                    moved += lists[0] != lists[1]
        assert moved > 10
        assert loose.kept_out == ticket.kept_out
        assert verify(ticket, target).ok
        assert not verify(loose, target).ok

    def test_the_smallest_n_suffices_and_one_less_does_not(self) -> None:
        weights = np.array([[0.31, -0.12], [0.05, 0.4]])
        for seed in range(3):
            source = Source((2, 2), 64, False, seed)
            for half in (0, 1):
                needed = stated.used_by(source, 0, half, weights)
                u = usable(source.in_weights(0, half), half)
                v = source.out_weights(0, half)
                for g, n in enumerate(needed.astype(int).tolist()):
                    block, output = divmod(g, 2)
                    values = u[block] * v[block, output]
                    for width, enough in ((n, True), (n - 1, False)):
                        row = values[:width][values[:width] != 0]
                        best = Exhaustive()(Problem(np.append(row, 0.0), [weights[block, output]]))
                        assert (best.error[0] <= 0.01) == enough

    def test_uniform_weights_fail_about_as_often_as_by_brute_force(self, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        """400 halves on either side: the two frequencies differ by 0.12 in 1 of 10^4 runs."""
        monkeypatch.setattr(stated, "HALVES", 400)
        found = stated.uniform_targets(0)
        rng = np.random.default_rng(1)
        failed = 0
        for _ in range(400):
            u, v, w = rng.uniform(-1, 1, 21), rng.uniform(-1, 1, 21), rng.uniform(-1, 1)
            sums = np.zeros(1)
            for value in (u * v)[u > 0]:
                sums = np.concatenate([sums, sums + value])
            failed += np.abs(sums - w).min() > 0.01
        assert abs(found["unsolved"] - failed) / 400 < 0.12
        assert found["unsolved"] > 20


class TestVerdicts:
    def test_they_follow_from_the_stored_table(self, rows, stored) -> None:  # type: ignore[no-untyped-def]
        again = judging.analyse(rows).to_json()
        for part in ("verdicts", "controls"):
            assert {k: v["state"] for k, v in again[part].items()} == {
                k: v["state"] for k, v in stored[part].items()
            }
        assert again["smallest_n"] == stored["smallest_n"]
        assert again["summary"] == stored["summary"]

    def test_the_stored_run_is_whole_and_its_controls_were_refuted(self, rows, stored) -> None:  # type: ignore[no-untyped-def]
        assert len(stored["controls"]) == 3
        assert all(c["caught"] and c["state"] == "refuted" for c in stored["controls"].values())
        for cell, row in zip(experiment.cells("mnist5k", False), rows, strict=True):
            assert {k: row[k] for k in cell} == cell
        for part in (SHARED, TICKET):
            assert len(stored["times"][part]["seconds"]) == 3

    def test_accuracy_is_held_to_the_margin_on_both_sides(self) -> None:
        def states(accuracy: float) -> State:
            return judging.as_accurate([{"accuracy": accuracy, "target_accuracy": 0.95}]).state

        assert states(0.95) == states(0.9451) == states(0.9549) == State.SUPPORTED
        assert states(0.944) == states(0.956) == State.REFUTED
        assert judging.as_accurate([]).state == State.UNDECIDED

    @pytest.mark.parametrize(
        ("successes", "state"),
        [
            (10, State.REFUTED),
            (50, State.UNDECIDED),
            (100, State.SUPPORTED),
            (199, State.UNDECIDED),
            (400, State.REFUTED),
        ],
    )
    def test_between(self, successes: int, state: State) -> None:
        assert judging.between(successes, 1000, 0.05, 0.20).state == state


def test_the_figure_has_labels_units_intervals_and_no_overlap(rows, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fig = figure.figure(rows, judging.analyse(rows), tmp_path)
    assert plot.check(fig, ["certified", "attacked"]) == []
    assert all((tmp_path / f"pensia_experiment.{kind}").stat().st_size for kind in plot.FORMATS)


def test_the_readmes_table_is_the_stored_one(stored: dict) -> None:
    text = (FIGURES.parents[1] / "README.md").read_text("utf-8")
    shown = text.split("<!-- published experiment -->")[1].split("<!-- /")[0]
    assert shown.strip() == judging.markdown(stored).strip()
    need = stored["smallest_n"]
    span = f"{need['median']:.0f} (95 % interval {need['low']:.0f} to {need['high']:.0f})"
    assert span in text

"""Sources of few values: theory beside the measurement, changed masks, and the stored run."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from sims import _binary_tickets as binary
from sims import _few_values as reading
from sims import _first_hits as hits
from sims import _protocol
from sims import few_values as simulation
from slth import plot
from slth.bounds import _binary_layout as layout
from slth.layered_verify import verify_layered
from slth.stats.verdict import State

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return _protocol.read_table(FIGURES / "few_values.csv")


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads((FIGURES / "few_values.json").read_text("utf-8"))


class TestTheory:
    @pytest.mark.parametrize(("kind", "bits"), [("signs", 2), ("grid", 2), ("grid", 4)])
    def test_mean_numbers_of_subsets_are_those_of_enumeration(self, kind: str, bits: int) -> None:
        """Distributions of sums of one, two and three products, one convolution after another."""
        most = 2 ** (bits if hits.KINDS[kind].signs else bits // 2)
        factors = [1] if hits.KINDS[kind].signs else range(1, most + 1)
        one = Counter()
        for a in factors:
            for b in range(-most, most + 1):
                one[a * b] += 1 / (len(factors) * (2 * most + 1))
        goals = range(-(2 ** (bits - 1)), 2 ** (bits - 1) + 1)
        found = hits.expected(kind, bits)
        sums = {0: 1.0}
        kept = []  # P(sum of j products is a goal), averaged over goals
        for _ in range(4):
            kept.append(sum(sums.get(t, 0.0) for t in goals) / len(goals))
            after: Counter = Counter()
            for value, chance in sums.items():
                for more, weight in one.items():
                    after[value + more] += chance * weight
            sums = dict(after)
        for n in range(4):
            mean = sum(len(list(combinations(range(n), j))) * kept[j] for j in range(n + 1))
            assert found[n] == pytest.approx(mean, rel=1e-9)

    def test_needed_products_are_the_first_that_suffice(self) -> None:
        for kind, bits in (("signs", 4), ("grid", 4)):
            law = hits.KINDS[kind]
            source = law.source(bits, 6, 3)
            u, v = source.in_weights(0, 0), source.out_weights(0, 0)[:, 0]
            goals = hits.targets(law, bits, 6, np.random.default_rng([3, bits]))
            for row, sign, goal, n in zip(
                u * v, u, goals, hits.needed(kind, bits, 3, 6), strict=True
            ):
                usable = row[sign > 0] * 2**bits
                for count, met in ((n, True), (n - 1, False)):
                    masks = (np.arange(2 ** max(count, 0))[:, None] >> np.arange(count)) & 1
                    assert bool((masks @ usable[:count] == goal).any()) == met or count < 0
        assert set(hits.needed("even", 6, 1, 5)) == {hits.LIMIT + 1}

    def test_targets_of_the_run_are_in_the_theorems_hypotheses(self) -> None:
        target = binary.unit_target(1)
        assert [np.linalg.norm(w, 2) for w in target.weights] == pytest.approx([1, 1])
        grid = binary.rounded(target, 3)
        for w, g in zip(target.weights, grid.weights, strict=True):
            assert (g * 8 % 1 == 0).all()
            assert np.abs(w - g).max() <= 1 / 16

    def test_sums_stay_narrow_and_powers_grow_with_the_digits(self) -> None:
        found = reading.growth()
        powers, sums = (np.array(found[kind]["width"]) for kind in ("powers", "sums"))
        stages = layout.stages((64, 128, 10), (False, False), (8, 8))
        assert powers[1] == max(layout.widths(stages, found["powers"]["copies"][1], "powers"))
        assert sums[-1] < 1.2 * sums[0]
        assert 10 < powers[-1] / powers[0] < 16
        assert found["sums"]["depth"] == [1 + 2 * b for b in found["digits"]]


class TestChangedMasks:
    def test_one_edge_is_changed_and_nothing_else(self) -> None:
        from slth.construct.binary import Binary

        target = binary.unit_target(2)
        make = Binary(bits=2, delta=0.1)
        ticket = make.build(target, make.source_for(target, 2))
        for seed in range(5):
            changed = binary.one_changed(ticket, np.random.default_rng(seed))
            differ = 0
            for a, b in zip(ticket.kept, changed.kept, strict=True):
                one, other = (set(zip(k.gadgets, k.indices, strict=True)) for k in (a, b))
                differ += len(one ^ other)
            assert differ in (1, 2)
            assert changed.source == ticket.source
            assert not verify_layered(changed, target).ok


class TestTheStoredRun:
    def test_it_is_whole_and_its_controls_were_refuted(self, rows, stored) -> None:  # type: ignore[no-untyped-def]
        for cell, row in zip(simulation.cells(False), rows, strict=True):
            assert {k: row[k] for k in cell} == cell
        assert len(stored["controls"]) == 3
        assert all(c["state"] == "refuted" for c in stored["controls"].values())

    def test_its_verdicts_follow_from_its_table(self, rows, stored) -> None:  # type: ignore[no-untyped-def]
        again = simulation.analyse(rows).to_json()
        for part in ("verdicts", "controls"):
            assert {k: v["state"] for k, v in again[part].items()} == {
                k: v["state"] for k, v in stored[part].items()
            }
        assert again["links"] == stored["links"]
        assert again["growth"] == stored["growth"]
        assert {v["state"] for v in stored["verdicts"].values()} <= {str(s) for s in State}

    @pytest.mark.parametrize(
        ("part", "kind", "bits"),
        [("digits", "sums", 2), ("links", "powers", 8), ("transition", "grid", 8)],
    )
    def test_a_cell_is_what_its_seed_gives(self, rows, part: str, kind: str, bits: int) -> None:  # type: ignore[no-untyped-def]
        row = next(r for r in rows if (r["part"], r["kind"], r["bits"]) == (part, kind, bits))
        names = ("part", "kind", "bits", "seed", "size")
        again = simulation.cell(**{name: row[name] for name in names})
        for key, value in again.items():
            if key in ("lower", "upper"):
                assert value == pytest.approx(row[key], rel=1e-3)
            elif key == "first":
                assert value == row[key]
            else:
                assert value == pytest.approx(row[key], rel=1e-12), key

    def test_the_figure_has_labels_units_intervals_and_no_overlap(self, rows, tmp_path) -> None:  # type: ignore[no-untyped-def]
        fig = simulation.figure(rows, tmp_path)
        promised = ["network, certified", "a link is missed", "in-weights ±1, 14 bits"]
        assert plot.check(fig, promised) == []

"""Training after pruning: masks hold, variants are what they say, the stored run follows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sims import _masked, _protocol
from sims import after_training as simulation
from slth import plot
from slth.errors import BadInput
from slth.stats.verdict import State

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


def small() -> nn.Module:
    draw = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=draw)
    return model


def images() -> tuple[torch.Tensor, torch.Tensor]:
    """Three clouds far apart, which a small network tells apart at once."""
    draw = torch.Generator().manual_seed(1)
    labels = torch.arange(300) % 3
    return torch.randn((300, 6), generator=draw) + 4 * nn.functional.one_hot(labels, 6), labels


@pytest.fixture(scope="module")
def masks() -> dict[str, dict[str, torch.Tensor]]:
    from slth.nets.architectures import build

    x, labels = simulation.digits()[:2]
    model = build(simulation.ARCHITECTURE, seed=5)
    kinds = ("synflow", simulation.DEALT, simulation.ONCE, "snip")
    return {kind: simulation.chosen(kind, model, 100.0, x, labels, 5) for kind in kinds}


@pytest.fixture(scope="module", params=[simulation.ARCHITECTURE, simulation.LENET])
def arch(request) -> str:  # type: ignore[no-untyped-def]
    return request.param


@pytest.fixture(scope="module")
def rows(arch: str) -> list[dict]:
    return _protocol.read_table(FIGURES / f"{simulation.name_of(arch)}.csv")


@pytest.fixture(scope="module")
def stored(arch: str) -> dict:
    return json.loads((FIGURES / f"{simulation.name_of(arch)}.json").read_text("utf-8"))


class TestMaskedTraining:
    def test_pruned_weights_stay_zero_and_the_others_move(self) -> None:
        model, (x, labels) = small(), images()
        draw = torch.Generator().manual_seed(2)
        masks = {n: torch.rand(model[int(n)].weight.shape, generator=draw) < 0.5 for n in "02"}
        before = {n: model[int(n)].weight.detach().clone() for n in "02"}
        _masked.train(model, masks, x, labels, _masked.Recipe(2, 50, 1e-2), 0)
        for name, mask in masks.items():
            after = model[int(name)].weight.detach()
            assert (after[~mask] == 0).all()
            moved = after[mask] != before[name][mask]  # but for dead neurons'
            assert moved.float().mean() > 0.7

    def test_it_learns_and_an_empty_layer_does_not(self) -> None:
        x, labels = images()
        for kept, low, high in ((True, 0.95, 1.0), (False, 1 / 3, 1 / 3)):
            model = small()
            masks = {"0": torch.full((8, 6), kept), "2": torch.ones(3, 8, dtype=torch.bool)}
            _masked.train(model, masks, x, labels, _masked.Recipe(10, 50, 2e-2), 0)
            assert low <= _masked.accuracy(model, x, labels) <= high

    def test_with_every_weight_kept_it_is_plain_adam(self) -> None:
        x, labels = images()
        ours, plain = small(), small()
        recipe = _masked.Recipe(1, 100, 1e-2)
        masks = {n: torch.ones_like(ours[int(n)].weight, dtype=torch.bool) for n in "02"}
        _masked.train(ours, masks, x, labels, recipe, 3)
        order = torch.randperm(300, generator=torch.Generator().manual_seed(3)).split(100)
        first = [torch.zeros_like(p) for p in plain.parameters()]
        second = [torch.zeros_like(p) for p in plain.parameters()]
        for step, rows in enumerate(order):
            loss = nn.functional.cross_entropy(plain(x[rows]), labels[rows])
            slopes = torch.autograd.grad(loss, list(plain.parameters()))
            rate = 1e-2 * (1 + np.cos(np.pi * step / 3)) / 2
            with torch.no_grad():
                for p, g, m, v in zip(plain.parameters(), slopes, first, second, strict=True):
                    m.mul_(0.9).add_(0.1 * g)
                    v.mul_(0.999).add_(0.001 * g**2)
                    root = (v / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
                    p.sub_(rate * m / (1 - 0.9 ** (step + 1)) / root)
        for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-5)


class TestVariants:
    def test_all_keep_the_same_number(self, masks) -> None:  # type: ignore[no-untyped-def]
        for found in masks.values():
            assert sum(int(m.sum()) for m in found.values()) == 2662
        assert not any(m.all() for m in masks["synflow"].values())

    def test_dealt_anew_each_layer_keeps_as_many_elsewhere(self, masks) -> None:  # type: ignore[no-untyped-def]
        for name, mask in masks["synflow"].items():
            other = masks[simulation.DEALT][name]
            assert other.sum() == mask.sum()
            assert (other != mask).any()

    def test_at_once_it_empties_a_layer_and_in_steps_it_does_not(self, masks) -> None:  # type: ignore[no-untyped-def]
        assert min(int(m.sum()) for m in masks[simulation.ONCE].values()) == 0
        assert min(int(m.sum()) for m in masks["synflow"].values()) > 100

    def test_methods_see_training_digits_only(self) -> None:
        x, _, test, _ = simulation.digits()
        assert len(x) == 4000
        assert len(test) == 1000
        assert abs(float(x.mean())) < 1e-4
        assert abs(float(x.std()) - 1) < 1e-3


def test_no_such_device_is_one_line_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cuda:99"):
        simulation.main.main(
            ["--device", "cuda:99", "--smoke", "--out", str(tmp_path)], standalone_mode=False
        )
    assert list(tmp_path.iterdir()) == []


class TestTheStoredRun:
    def test_it_is_whole_and_its_controls_were_refuted(self, rows, stored, arch) -> None:  # type: ignore[no-untyped-def]
        for cell, row in zip(simulation.cells(False, "cpu", arch), rows, strict=True):
            assert {k: row[k] for k in cell} == cell
        assert len(stored["controls"]) == 2
        assert all(c["state"] == "refuted" for c in stored["controls"].values())

    def test_its_verdicts_follow_from_its_table(self, rows, stored) -> None:  # type: ignore[no-untyped-def]
        again = simulation.analyse(rows).to_json()
        for part in ("verdicts", "controls"):
            assert {k: v["state"] for k, v in again[part].items()} == {
                k: v["state"] for k, v in stored[part].items()
            }
        assert again["summary"] == stored["summary"]
        assert {v["state"] for v in stored["verdicts"].values()} <= {str(s) for s in State}

    def test_a_cell_is_what_its_seed_gives(self, rows, arch) -> None:  # type: ignore[no-untyped-def]
        """Which weights are kept; accuracies may differ in a few digits between machines."""
        cell = {"what": "synflow", "exponent": 3.0, "seed": 700, "smoke": False, "device": "cpu"}
        row = next(r for r in rows if {k: r[k] for k in cell} == cell)
        again = simulation.cell(**cell, arch=arch)
        assert again["kept"] == row["kept"] == {simulation.LENET: 61}.get(arch, 266)
        assert again["path"] == row["path"]
        assert again["accuracy"] == pytest.approx(row["accuracy"], abs=0.05)

    def test_the_figure_has_labels_units_intervals_and_no_overlap(  # type: ignore[no-untyped-def]
        self, rows, arch, tmp_path
    ) -> None:
        fig = simulation.figure(rows, tmp_path)
        variants = [v for v in simulation.VARIANTS[arch] if v != simulation.LABELS]
        assert plot.check(fig, [*simulation.METHODS, *variants]) == []

"""Simulations of layer-collapse: stored verdicts come out again, parts hold on oracles."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sims import _protocol, critical_compression, iterations_needed, layer_collapse
from slth import plot
from slth.collapse import Collapse
from slth.errors import BadInput
from slth.stats.verdict import State

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "sims" / "figures"
SIMS = {
    "critical_compression": critical_compression,
    "iterations_needed": iterations_needed,
    "layer_collapse": layer_collapse,
}
GRIDS: dict[str, Callable[[], list[dict]]] = {
    "critical_compression": lambda: critical_compression.cells(False, "cpu"),
    "iterations_needed": lambda: iterations_needed.cells(False),
}


def stored(name: str) -> dict[str, Any]:
    return json.loads((FIGURES / f"{name}.json").read_text("utf-8"))


def table(name: str) -> list[dict]:
    return _protocol.read_table(FIGURES / f"{name}.csv")


@pytest.mark.parametrize("name", SIMS)
def test_the_stored_verdicts_follow_from_the_stored_table(name: str) -> None:
    again, kept = SIMS[name].analyse(table(name)).to_json(), stored(name)
    again = json.loads(json.dumps(again))
    for part in ("verdicts", "controls"):
        assert again[part] == kept[part]
    assert again == {key: value for key, value in kept.items() if key in again}


@pytest.mark.parametrize("name", SIMS)
def test_the_stored_run_is_whole_and_its_controls_were_refuted(name: str) -> None:
    kept = stored(name)
    assert len(kept["controls"]) >= 3
    assert all(c["caught"] and c["state"] == "refuted" for c in kept["controls"].values())
    if name in GRIDS:
        for cell, row in zip(GRIDS[name](), table(name), strict=True):
            assert {k: row[k] for k in cell} == cell
    else:
        rows = table(name)
        for cell in layer_collapse.grid(False, "cpu"):
            mine = [
                r for r in rows if all(r[k] == cell[k] for k in ("arch", "method", "seed", "steps"))
            ]
            assert {r["compression"] for r in mine} >= set(cell["compressions"])


@pytest.mark.parametrize("name", SIMS)
def test_the_figure_is_readable(name: str, tmp_path: Path) -> None:
    fig = SIMS[name].figure(table(name), tmp_path)
    assert plot.check(fig) == []


def test_grasps_variations_are_its_own_temperature_and_sign() -> None:
    from slth.collapse.critical import Nested, single_shot
    from slth.pruning import load
    from slth.pruning._layers import all_kept, layers

    here = critical_compression.setting("base", "lenet5", "cpu")
    model, found = here.model(3), {}
    for temperature in (1.0, 200.0):
        saliency = load("grasp")(temperature=temperature)
        context = here.context(saliency, model, 3)
        scores = saliency.scores(model, all_kept(layers(model)), context)
        for sign in (1, -1):
            nested = Nested.of({name: sign * score for name, score in scores.items()})
            found[temperature, sign] = single_shot(model, nested, context.shape).kept_layers
    assert len(set(found.values())) == 4
    for variation, key in (
        (critical_compression.BASE, (200.0, 1)),
        (critical_compression.HOT, (1.0, 1)),
        (critical_compression.EARLY, (1.0, -1)),
    ):
        cell = critical_compression.cell("lenet5", "grasp", variation, 3, "cpu")
        assert cell["kept_layers"] == found[key]


@pytest.mark.parametrize("name", SIMS)
def test_every_simulation_takes_a_device_and_names_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cuda:99"):
        SIMS[name].main.main(
            ["--device", "cuda:99", "--smoke", "--out", str(tmp_path)], standalone_mode=False
        )
    assert list(tmp_path.iterdir()) == []
    assert stored(name)["provenance"]["engine"] == "torch on cpu, float32"


def test_a_cell_of_each_table_is_what_its_seed_gives() -> None:
    row = next(r for r in table("critical_compression") if r["method"] == "magnitude")
    keys = ("arch", "method", "variation", "seed", "device")
    again = critical_compression.cell(**{key: row[key] for key in keys})
    assert again["kept_layers"] == row["kept_layers"]
    row = next(
        r for r in table("iterations_needed")
        if r["arch"] == iterations_needed.MLP and r["part"] == "needed" and r["needed"]
    )  # fmt: skip
    keys = ("part", "arch", "schedule", "compression", "steps", "seed")
    again = iterations_needed.cell(**{key: row[key] for key in keys})
    assert again == {"needed": row["needed"], "single": row["single"]}


class TestParts:
    def test_the_published_grid_is_bisected(self) -> None:
        for limit in (1, 10, 999, 5000, 10**6):

            def left(compression: float, limit: float = limit) -> Collapse:
                return Collapse({"a": (int(compression <= limit), 5)}, True)

            found = critical_compression.on_grid(left, 6.02)
            assert found == math.floor(math.log10(limit) / 0.25 + 1e-9) * 0.25

    def test_numbers_beyond_a_grid_step_are_refuted(self) -> None:
        rows = [
            {"method": "snip", "variation": "base", "size": 10**6, "kept_layers": 10 ** (6 - e)}
            for e in (3.5, 3.8)
        ]
        for published, state in ((3.58, State.SUPPORTED), (3.0, State.REFUTED)):
            found = critical_compression.as_published(rows, "snip", "base", published)
            assert found.state == state
            assert found.reason.startswith("3.62 on the grid")  # 3.5 and 3.75
        nothing = critical_compression.as_published(rows, "grasp", "base", 3.58)
        assert nothing.state == State.UNDECIDED

    def test_prune_sizes_add_up_to_what_is_gone(self) -> None:
        """One step to N/2 of a 2-3-2 network against the sums written out."""
        import numpy as np
        import torch

        from slth.nets.architectures import build

        model = build("mlp:2,3,2", seed=4)
        first, second = (
            abs(p.detach().double().numpy()) for n, p in model.named_parameters() if "weight" in n
        )
        through = np.concatenate(
            [(first * second.sum(0)[:, None]).ravel(), (second * first.sum(1)).ravel()]
        )
        flow, gone = second @ first @ np.ones(2), np.sort(through)[:6].sum()
        ((ratio, emptied),) = iterations_needed.ratios("mlp:2,3,2", "exponential", 2.0, 1, 4)
        assert ratio == pytest.approx(gone / flow.sum(), rel=1e-5)
        kept = torch.tensor(through).topk(6).indices
        assert emptied == int((kept >= 6).all() or (kept < 6).all())

    def test_needed_steps_empty_nothing_and_fewer_do(self) -> None:
        from slth.nets.architectures import build
        from slth.pruning import Context, prune
        from slth.pruning.synflow import SynFlow

        arch = "mlp:40,60,30,5"
        found = iterations_needed.needed(arch, "exponential", 400.0, 3, 64)
        steps = found["needed"]

        def empty(n: int) -> tuple[str, ...]:
            model = build(arch, seed=3)
            return prune(model, SynFlow(), 400.0, context=Context((40,)), steps=n).empty

        assert not empty(steps)
        assert steps == 1 or empty(steps // 2)
        assert iterations_needed.needed(arch, "linear", 400.0, 3, 1)["needed"] is None

    def test_a_control_may_slip_through(self) -> None:
        rows = [{"arch": "a", "ratios": [(0.5, 0), (2.0, 1)]}]
        assert iterations_needed.harmless(rows).state == State.SUPPORTED
        rows = [{"arch": "a", "ratios": [(0.5, 1)]}]
        assert iterations_needed.harmless(rows).state == State.REFUTED


def test_the_readmes_table_is_the_stored_one() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    shown = text.split("<!-- critical compression -->")[1].split("<!-- /critical")[0]
    assert shown.strip() == critical_compression.markdown(stored("critical_compression"))


def test_the_readmes_sentences_follow_from_the_stored_runs() -> None:
    states = {n: v["state"] for n, v in stored("critical_compression")["verdicts"].items()}
    agrees = {name.split(":")[0]: state for name, state in states.items() if ":" in name}
    assert [agrees[m] for m in ("magnitude", "snip", "synflow")] == ["supported"] * 3
    assert agrees["grasp"] == "refuted"
    assert agrees["grasp as first published"] == "supported"
    assert states["random pruning follows the law of chance"] == "supported"
    at = {(f["method"], f["variation"]): f for f in stored("critical_compression")["critical"]}
    published = stored("critical_compression")["published"]
    assert at["grasp", "MNIST digits"]["on_grid"] < published["grasp"] - 0.25
    for method in ("snip", "grasp"):
        assert at[method, "20 images, 10 steps"]["on_grid"] > published[method] + 1
    for found in stored("iterations_needed")["needed"]:
        if found["arch"] == "resnet20" and found["schedule"] == "exponential":
            assert (set(found["steps"]) == {"inf"}) == (found["compression"] >= 1000)
    resnet = stored("layer_collapse")["networks"]["resnet20"]
    path = resnet["log10_critical"]["synflow"]["by_path"]
    assert path["least"] == pytest.approx(resnet["log10_maximal"])

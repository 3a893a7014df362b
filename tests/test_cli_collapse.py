"""`slth collapse`: its grid against plain pruning, its files, resuming, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sims._protocol import read_table
from slth import plot
from slth.cli import collapse as command
from slth.cli import main
from slth.collapse import Maximal, collapse, diagram, findings
from slth.collapse.critical import Critical
from slth.collapse.figure import figure
from slth.data.batches import batch
from slth.errors import BadInput
from slth.nets.architectures import build
from slth.pruning import Context, load, prune
from slth.pruning._layers import all_kept, layers
from slth.stats.verdict import State

ARCH = "mlp:12,20,8,3"
MOST = Maximal(424, 3, 3)
METHODS = ("random", "magnitude", "synflow")


@pytest.fixture(scope="module")
def records() -> list[dict]:
    setting = diagram.Setting(ARCH, steps=20)
    grid = diagram.cells(setting, METHODS, range(4), diagram.exponents(424 / 3, 2))
    return [{**cell, **diagram.cell(**json.loads(json.dumps(cell)))} for cell in grid]


def test_the_grid_has_a_cell_a_scoring() -> None:
    grid = diagram.cells(diagram.Setting(ARCH), METHODS, range(2), [1.0, 10.0])
    assert len(grid) == 2 * (1 + 1 + 2)
    assert sum(cell["limit"] for cell in grid) == 2 * 3
    assert diagram.exponents(1500, 1) == [1, 10, 100, 1000, 1500]
    assert diagram.exponents(1000, 2) == pytest.approx([1, 10**0.5, 10, 10**1.5, 100, 10**2.5, 1e3])


def test_points_are_what_pruning_leaves(records) -> None:  # type: ignore[no-untyped-def]
    checked = 0
    for row in diagram.rows(records):
        model, context = build(ARCH, seed=row["seed"]), Context((12,), seed=row["seed"])
        steps = 20 if row["method"] == "synflow" else None
        masks = prune(
            model, load(row["method"])(), row["compression"], context=context, steps=steps
        ).masks
        left = collapse(model, masks, (12,))
        assert (row["kept"], row["fewest"], row["empty"]) == (
            left.kept,
            left.fewest,
            len(left.empty),
        )
        assert (row["path"], row["thinnest"]) == (left.path, left.thinnest)
        assert (row["flow"] is None) == (not left.path)
        if left.path:
            found = np.ones(12)
            for layer in layers(model):
                kept = masks[layer.name] * layer.module.weight.detach()
                found = kept.abs().double().numpy() @ found
            whole = np.ones(12)
            for layer in layers(model):
                whole = layer.module.weight.detach().abs().double().numpy() @ whole
            expected = np.log10(found.sum() / whole.sum())
            assert row["flow"] == pytest.approx(expected, abs=1e-9)
        checked += 1
    assert checked == 3 * 4 * len(diagram.exponents(424 / 3, 2))


def test_the_flow_of_deep_networks_does_not_overflow() -> None:
    """300 layers of four weights 2: R = 4^300 · 2 · 2, beyond any float64."""
    model = build("mlp:" + ",".join(["2"] * 301))
    with torch.no_grad():
        for layer in layers(model):
            layer.module.weight.fill_(2.0)
    flow = diagram.log_flow(model, all_kept(layers(model)), Context((2,)))
    assert flow == pytest.approx(300 * np.log10(4) + np.log10(2), rel=1e-12)


def drawn(rng: np.random.Generator, times: int) -> list[int]:
    """Where random orders of 240, 160 and 24 weights first have a weight of each layer."""
    of = np.repeat([0, 1, 2], (240, 160, 24))
    orders = [rng.permutation(of) for _ in range(times)]
    return [max(int(np.argmax(order == k)) for k in range(3)) + 1 for order in orders]


def test_verdicts_follow_from_the_critical_counts(records) -> None:  # type: ignore[no-untyped-def]
    points = list(diagram.rows(records))
    found = findings.verdicts(records, points, (240, 160, 24), MOST)
    states = {name: verdict.state for name, verdict in found.items()}
    assert states["random: maximal critical compression"] == State.REFUTED
    assert states["random: the law of chance"] == State.UNDECIDED  # four seeds are too few
    assert states["an empty layer leaves no path"] == State.SUPPORTED
    # controls: counts that chance hardly gives, and a path beside an empty layer
    spread = [Critical(424, kept, kept) for kept in (3, 3, 3)]
    for kept in (3, 424):
        early = [Critical(424, kept, kept)] * 10
        assert findings.by_chance(early, (240, 160, 24)).state == State.REFUTED
    rng = np.random.default_rng(3)  # fails a sound check once in 1000
    law = [Critical(424, kept, kept) for kept in drawn(rng, 30)]
    assert findings.by_chance(law, (240, 160, 24)).state == State.SUPPORTED
    assert findings.reaches("x", spread, MOST).state == State.SUPPORTED
    assert findings.reaches("x", [Critical(424, 4, 3)], MOST).state == State.REFUTED
    assert findings.reaches("x", [], MOST).state == State.UNDECIDED
    impossible = [{"empty": 1, "path": True}]
    assert findings.no_way_around(impossible, MOST).state == State.REFUTED
    assert findings.no_way_around(impossible, Maximal(9, 3, 2)).state == State.SILENT
    ends = findings.summary([Critical(1000, 10, 100), Critical(1000, 100, 10)])
    assert (ends["by_layers"]["least"], ends["by_layers"]["greatest"]) == (1, 2)


def test_the_figure_is_readable(records) -> None:  # type: ignore[no-untyped-def]
    fig = figure(records, list(diagram.rows(records)), MOST, "a title of some length")
    assert plot.check(fig, METHODS) == []


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["collapse", *arguments])
    return done.exit_code, done.output


def stored_rows(folder: Path) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(folder / "collapse.sqlite")) as store:
        (table,) = store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchone()
        return sorted(store.execute(f"SELECT * FROM {table}").fetchall())


def test_the_command_writes_everything_and_goes_on_from_its_store(tmp_path: Path) -> None:
    asked = ["--arch", ARCH, "--methods", "magnitude,random", "--seeds", "2", "--workers", "1",
             "--out", str(tmp_path)]  # fmt: skip
    status, text = run(*asked, "--json")
    assert status == 0, text
    stored = json.loads((tmp_path / "collapse.json").read_text("utf-8"))
    assert stored == json.loads(text)
    assert (stored["weights"], stored["layers"], stored["path"]) == (424, 3, 3)
    assert stored["log10_critical"]["random"]["by_layers"]["seeds"] == 2
    table = read_table(tmp_path / "collapse.csv")
    assert [(r["method"], r["seed"]) for r in table] == [
        (m, s) for m in ("magnitude", "random") for s in (0, 1) for _ in range(4)
    ]
    kept = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix != ".sqlite"}
    assert set(kept) == {f"collapse.{end}" for end in ("csv", "json", "png", "svg", "pdf")}
    before = stored_rows(tmp_path)
    status, text = run(*asked)
    assert status == 0
    assert "refuted" in text
    assert "law of" in text
    assert {n: (tmp_path / n).read_bytes() for n in kept} == kept
    assert stored_rows(tmp_path) == before  # with their times: nothing was computed anew


BAD = {
    "an unknown architecture": (["--arch", "x"], "wide_resnet18"),
    "an unknown method": (["--arch", ARCH, "--methods", "synflow,luck"], "magnitude"),
    "a method twice": (["--arch", ARCH, "--methods", "random,random"], "each once"),
    "a compression beyond N/L": (["--arch", ARCH, "--compressions", "1,200"], "N/L"),
    "a compression below 1": (["--arch", ARCH, "--compressions", "0.5"], "1 to 141"),
    "no number": (["--arch", ARCH, "--compressions", "many"], "numbers"),
    "a shape of words": (["--arch", "vgg11", "--shape", "cifar"], "whole numbers"),
    "an unknown device": (["--arch", ARCH, "--device", "abacus"], "cuda"),
    "unknown data": (["--arch", ARCH, "--data", "imagenet"], "gaussian"),
    "data of another shape": (
        ["--arch", ARCH, "--data", "digits", "--methods", "random,snip"], "(64,)",
    ),
    "more images than the data have": (
        ["--arch", "lenet5", "--data", "digits", "--methods", "grasp", "--per-class", "1000"],
        "per_class",
    ),
    "an unknown law": (["--arch", ARCH, "--init", "zeros"], "xavier_normal"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(case: str, tmp_path: Path) -> None:
    arguments, allowed = BAD[case]
    out = tmp_path / "out"
    chosen = [] if "--methods" in arguments else ["--methods", "random,synflow"]
    status, text = run(*arguments, *chosen, "--out", str(out))
    assert status == 2, text
    assert allowed in text
    assert text.count("\n") == 1, text
    assert not out.exists()


def test_titles_say_the_data_of_losses() -> None:
    setting = diagram.Setting(ARCH, data="mnist5k", per_class=3)
    assert "3 MNIST digits a class" in command.title(setting, ("random", "snip"), MOST)
    assert "MNIST" not in command.title(setting, ("random", "synflow"), MOST)


class TestBatches:
    def test_so_many_of_each_class_in_the_shape_asked_for(self) -> None:
        for data, classes in (("gaussian", 12), ("digits", 10), ("mnist5k", 10)):
            x, labels = batch(data, (3, 32, 32), 12, 4, seed=1)
            assert x.shape == (4 * classes, 3, 32, 32)
            assert torch.bincount(labels).tolist() == [4] * classes
            assert abs(float(x.mean())) < 0.01
            assert float(x.std()) == pytest.approx(1, abs=0.01)
            again, other = (batch(data, (3, 32, 32), 12, 4, seed=s)[0] for s in (1, 2))
            assert torch.equal(x, again)
            assert not torch.equal(x, other)

    def test_vectors_keep_every_pixel(self) -> None:
        x, _ = batch("digits", (64,), 10, 2, seed=0)
        image, _ = batch("digits", (1, 8, 8), 10, 2, seed=0)
        assert torch.allclose(x, image.reshape(20, 64), atol=1e-6)

    def test_what_cannot_be_drawn_is_refused(self) -> None:
        for arguments, name in (
            (("cifar", (3, 32, 32), 10, 1), "data"),
            (("digits", (7,), 10, 1), "shape"),
            (("digits", (1, 8, 8), 10, 1000), "per_class"),
            (("gaussian", (3,), 10, 0), "per_class"),
        ):
            with pytest.raises(BadInput, match=name):
                batch(*arguments, seed=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("method", METHODS)
def test_a_gpu_gives_the_same_diagram(method: str) -> None:
    found = []
    for device in ("cpu", "cuda"):
        setting = diagram.Setting("lenet5", steps=10, device=device)
        cells = diagram.cells(setting, [method], [0], [1.0, 30.0, 1000.0])
        found.append([p for c in cells for p in diagram.cell(**c)["points"]])
    for here, there in zip(*found, strict=True):
        assert here["kept"] == there["kept"]
        assert here["flow"] == pytest.approx(there["flow"], abs=0.01)

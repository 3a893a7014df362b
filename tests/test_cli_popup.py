"""`slth popup` as a user meets it: report, mask file, bad input in one line, runs that go on."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

from slth.cli import main
from slth.data import images
from slth.nets.architectures import build
from slth.supermask import Frozen, load_found, searches

FACTORIES = """
from torch import nn
import torch
def small():
    return nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
def convolutional():
    first = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    return nn.Sequential(first, nn.Flatten(), nn.Linear(288, 10))
def nothing():
    return nn.Sequential(nn.ReLU())
def narrow():
    return nn.Sequential(nn.Linear(64, 9))
def misfit():
    return nn.Sequential(nn.Linear(65, 10))
def colour():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(288, 10))
def infinite():
    model = small()
    nn.init.constant_(model[2].weight, float("inf"))
    return model
def huge():
    model = small()
    for p in model.parameters():
        nn.init.constant_(p, 1e30)
    return model
def trained():
    model = small()
    model(torch.ones(1, 64)).sum().backward()
    return model
def broken():
    raise RuntimeError("on\\npurpose")
def number():
    return 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made.py").write_text(FACTORIES)
    return tmp_path


def run(command: str) -> Result:
    result = CliRunner().invoke(main, shlex.split(command))
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def facts(command: str, status: int = 0) -> dict[str, Any]:
    result = run(f"{command} --json")
    assert result.exit_code == status, result.output
    return dict(json.loads(result.stdout))


def test_from_seed_to_accuracy(here: Path) -> None:
    """The report's accuracy is that of the file's masks over weights drawn anew from its seed."""
    found = facts("popup --arch mlp:64,100,10 --density 0.4 --epochs 6 --seed 3 --out m.npz")
    assert found["accuracy"] > 0.85
    assert found["layers"]["1.weight"] == {"kept": 2560, "size": 6400, "density": 0.4}
    assert (found["kept"], found["size"], found["density"]) == (2960, 7400, 0.4)
    held = load_found("m.npz")
    model = build("mlp:64,100,10")
    Frozen(**held.source).draw(model)  # type: ignore[arg-type]
    assert held.source == {"seed": 3, "init": "signed-constant", "density": 0.4, "biases": None}
    values = {n: w.numpy() for n, w in held.values(model).items()}
    assert {float(v) for v in np.unique(np.abs(values["1.weight"]))} == {
        0.0,
        float(np.float32(math.sqrt(2 / (64 * 0.4)))),
    }
    x, labels = images.digits()
    rows = images.held_out(labels)
    out = np.maximum(x[rows] @ values["1.weight"].T.astype(float), 0) @ values["3.weight"].T
    assert found["accuracy"] == np.mean(out.argmax(1) == labels[rows])
    assert not list(here.glob("*.part"))


def test_the_table_says_what_happened(here: Path) -> None:
    result = run("popup made.py:convolutional --density 0.5 --epochs 1 --method gem-miner")
    assert result.exit_code == 0
    for words in ("accuracy", "of held-out digits", "gem-miner", "1476 of 2952", "0.0.weight",
                  "signed-constant, seed 0; untrained", "1 epochs", "mask.npz",
                  "biases of 2 layers are frozen", "BatchNorm"):  # fmt: skip
        assert words in result.stdout, words


@pytest.mark.parametrize("name", [name.replace("_", "-") for name in searches()])
def test_every_method_runs_and_its_options_are_its_fields(here: Path, name: str) -> None:
    found = facts(f"popup made.py:small --density 0.5 --epochs 1 --method {name}")
    assert found["method"] == name
    assert found["kept"] in (888, 888 + 17)  # of 1776 weights, or of 1810 with biases
    help_ = run(f"popup --method {name} --help").stdout
    assert f"With --method {name}" in help_
    assert "--rate" in help_


def test_own_weights_and_other_data(here: Path) -> None:
    a = facts("popup made.py:small --density 0.5 --epochs 1 --init own")
    assert a["source"] is None
    b = facts("popup --arch lenet5 --data mnist5k --density 0.5 --epochs 0 --method random-mask")
    assert b["size"] == 61470
    folder = here / "idx"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for stem, n in (("train", 40), ("t10k", 20)):
        pixels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        head = b"\x00\x00\x08\x03" + n.to_bytes(4, "big") + (28).to_bytes(4, "big") * 2
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        labels = (np.arange(n) % 10).astype(np.uint8)
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(
            b"\x00\x00\x08\x01" + n.to_bytes(4, "big") + labels.tobytes()
        )
    c = facts("popup --arch mlp:784,20,10 --data idx --density 0.5 --epochs 1")
    assert round(c["accuracy"] * 20) == c["accuracy"] * 20


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("made.py:small --density 0", "density: got 0.0; allowed: a number in (0, 1]"),
        ("made.py:small --density 1.5", "density: got 1.5"),
        ("made.py:small --density nan", "density: got nan"),
        ("made.py:small --density 0.001", "none of the 240 weights of 2.weight"),
        ("made.py:nothing --density 0.5", "without prunable weights"),
        ("made.py:trained --density 0.5", "a weight with a gradient, which some training uses"),
        ("made.py:infinite --density 0.5 --init own", "2.weight: got NaN or infinity"),
        ("made.py:narrow --density 0.5", "one output for each of 10 classes"),
        ("made.py:misfit --density 0.5", "(64,)"),
        ("made.py:colour --density 0.5", "forward pass fails"),
        ("made.py:broken --density 0.5", "RuntimeError while running made.py:broken: on purpose"),
        ("made.py:number --density 0.5", "got a int"),
        ("made.py:absent --density 0.5", "a function in that file"),
        ("absent.py:small --density 0.5", "a Python file that exists"),
        ("made.pt --density 0.5", "module.py:factory"),
        ("--density 0.5", "got neither, give one of them"),
        ("made.py:small --arch mlp --density 0.5", "got both"),
        ("--arch abacus --density 0.5", "architecture: got abacus"),
        ("--arch vgg11 --density 0.5", "sides of at least 32"),
        ("--arch mlp --data nowhere --density 0.5", "--data: got nowhere"),
        ("--arch mlp --data . --density 0.5", "a folder with train-images"),
        ("--arch mlp --density 0.5 --device abacus", "device: got abacus"),
        ("--arch mlp --density 0.5 --method abacus", "--method: got abacus"),
        ("--arch mlp --density 0.5 --out /", "--out"),
        ("--arch mlp", "Missing option '--density'"),
        ("--arch mlp --density half", "'half' is not a valid float"),
        ("made.py:small --density 0.5 --method iterand --init own", "own weights"),
        ("made.py:small --density 0.5 --method iterand --share 2", "share in [0, 1]"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_two(here: Path, command: str, said: str) -> None:
    result = run(f"popup {command}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(here.glob("mask.npz*"))


def test_a_loss_that_is_no_number_keeps_the_last_good_mask(here: Path) -> None:
    result = run("popup made.py:huge --init own --density 0.5 --epochs 3")
    assert result.exit_code == 2
    assert "no number at step 1 (epoch 1 of 3)" in result.stderr
    assert result.stderr.count("\n") == 1
    assert load_found("mask.npz").kept == 888
    assert not list(here.glob("*.part"))


def test_ctrl_c_saves_the_mask_so_far_and_says_how_to_go_on(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "popup made.py:small --density 0.5 --epochs 4"
    whole = facts(f"{command} --out whole.npz")
    from slth.supermask import _run

    kept, calls = _run._Run.save, []

    def stop(self: Any, *args: Any) -> None:
        kept(self, *args)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # undo() would leave this folder for good
        patch.setattr(_run._Run, "save", stop)
        result = run(command)
    assert result.exit_code == 130
    assert "interrupted in epoch 2 of 4" in result.stderr
    assert "the same command goes on from mask.npz.part" in result.stderr
    assert load_found("mask.npz").kept == 888
    on = facts(command)
    timeless = ("seconds", "saved")
    assert {k: v for k, v in on.items() if k not in timeless} == {
        k: v for k, v in whole.items() if k not in timeless
    }
    a, b = load_found("whole.npz"), load_found("mask.npz")
    assert all(torch.equal(a.masks[n], b.masks[n]) for n in a.masks)


def test_kill_loses_an_epoch_at_most(here: Path) -> None:
    """kill -9 as soon as a checkpoint is there; the same command ends as an unbroken one."""
    arguments = shlex.split("popup --arch mlp:64,400,10 --density 0.5 --epochs 40")
    command = [sys.executable, "-m", "slth.cli", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part = here / "mask.npz.part"
    try:
        for _ in range(6000):
            if part.exists() or process.poll() is not None:
                break
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert part.exists(), "it was over before it could be killed"
    done = torch.load(part, weights_only=True)["state"]["epoch"]
    assert 0 < done < 40
    broken = facts(shlex.join(arguments))
    unbroken = facts(shlex.join([*arguments, "--out", "whole.npz"]))
    assert broken["epochs"] == unbroken["epochs"] == 40
    a, b = load_found("mask.npz"), load_found("whole.npz")
    assert a.history == b.history
    assert all(torch.equal(a.masks[n], b.masks[n]) for n in a.masks)


def test_the_same_seed_gives_the_same_mask_and_another_another(here: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(f"popup made.py:small --density 0.5 --epochs 1 --seed {seed} --out {name}.npz")
    a, b, c = (load_found(f"{name}.npz") for name in "abc")
    assert all(torch.equal(a.masks[n], b.masks[n]) for n in a.masks)
    assert a.weights == b.weights != c.weights
    assert any(bool((a.masks[n] != c.masks[n]).any()) for n in a.masks)


def test_help_comes_without_torch() -> None:
    code = (
        "import sys\nfrom slth.cli import main\n"
        "try:\n    main(['popup', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'numba', 'rich'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_example_of_the_help_is_well_formed() -> None:
    text = run("popup --help").stdout
    assert "slth popup --arch mlp --data mnist5k --density 0.5 --out mask.npz" in text
    assert isinstance(build("mlp:784,300,300,10"), nn.Module)


def test_its_file_verifies_without_a_target(here: Path) -> None:
    run("popup --arch mlp:64,20,10 --data digits --density 0.5 --epochs 1 --out found.npz")
    good = run("verify found.npz --json")
    assert good.exit_code == 0
    assert json.loads(good.stdout)["ok"]
    held = load_found("found.npz")
    boasted = {"accuracy": held.measures["accuracy"] + 0.05}
    dataclasses.replace(held, measures=boasted).save("boast.npz")
    assert run("verify boast.npz").exit_code == 1

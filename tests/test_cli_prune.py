"""`slth prune`: from a model to masks that go onto it, and every bad input in one line."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn
from torch.nn.utils import prune as torch_prune

from slth.cli import main
from slth.errors import BadInput
from slth.models import read_module
from slth.nets.architectures import initialise
from slth.pruning import load_pruning

FACTORIES = """
from torch import nn
class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(3, 2, 1, bias=False)
        self.head = nn.Linear(2, 4, bias=False)
        for k, p in enumerate(self.parameters()):
            nn.init.constant_(p, (1.0, 0.001, 1.0)[k])
    def forward(self, x):
        return self.head((self.conv(x) + self.shortcut(x)).relu().mean((2, 3)))
def network(): return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
def conv1d(): return nn.Sequential(nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 4))
def biased():
    model = nn.Sequential(*(nn.Linear(*d) for d in ((3, 4), (4, 4), (4, 4), (4, 2))))
    for k, p in enumerate(model.parameters()):
        nn.init.constant_(p, (0.001, 0.0, 1.0, 9.0, 1.0, 9.0, 1.0, 9.0)[k])
    return model
def nothing(): return None
def weightless(): return nn.Sequential(nn.ReLU())
"""


class MakesAFolder:
    """Unpickled by a careless reader, it runs code."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("owned",)


def convolutional() -> nn.Sequential:
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Conv2d(4, 6, 3), nn.LeakyReLU(0.1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(6, 10),
    )  # fmt: skip
    initialise(model, 0)
    return model


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    spoiled = convolutional()
    with torch.no_grad():
        spoiled[1].weight[0, 0, 0, 0] = float("nan")
    for name, model in {
        "model": convolutional(),
        "nan": spoiled,
        "mlp": nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)),
        "code": MakesAFolder(),
        "linear": nn.Linear(3, 4),
        "lstm": nn.Sequential(nn.LSTM(3, 4)),
        "state": convolutional().state_dict(),
    }.items():
        torch.save(model, f"{name}.pt")
    Path("factories.py").write_text(FACTORIES)
    Path("cut.pt").write_bytes(Path("model.pt").read_bytes()[:900])
    return tmp_path


def run(command: str) -> Result:
    return CliRunner().invoke(main, shlex.split(f"prune {command}"))


def facts(command: str, status: int = 0) -> dict:
    result = run(f"{command} --json")
    assert result.exit_code == status, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    "options",
    ["", "--method magnitude", "--method snip --data digits --per-class 2", "--method random",
     "--method grasp --data gaussian --temperature 10", "--masking local",
     "--schedule linear --steps 4", "--method synflow-l2 --no-biases --double"],
)  # fmt: skip
def test_from_a_model_file_to_masks_on_it(options: str, here: Path) -> None:
    found = facts(f"model.pt --shape 3,8,8 --compression 5 {options} --out mask.npz")
    sizes = {"0.0": 108, "1": 216, "6": 60}
    assert {row["name"]: row["size"] for row in found["layers"]} == sizes
    assert found["kept"] == sum(row["kept"] for row in found["layers"])
    assert abs(found["kept"] - 384 / 5) <= 1.5
    assert found["saved"] == "mask.npz"
    model = read_module("model.pt")
    load_pruning("mask.npz").apply(model)
    for row in found["layers"]:
        module = model.get_submodule(row["name"])
        assert int(module.weight_mask.sum()) == row["kept"]
    assert torch_prune.is_pruned(model)


def test_an_architecture_by_name_and_the_same_masks_again(here: Path) -> None:
    for name in ("one", "two"):
        facts(f"mlp:20,30,5 --compression 20 --seed 3 --out {name}.npz")
    one, two = (load_pruning(f"{name}.npz") for name in ("one", "two"))
    assert one.weights == two.weights
    assert all((one.masks[n] == two.masks[n]).all() for n in one.masks)
    assert load_pruning_weights("mlp:20,30,5 --compression 20 --seed 4") != one.weights


def load_pruning_weights(command: str) -> str:
    facts(f"{command} --out other.npz")
    return load_pruning("other.npz").weights


def test_a_factory_and_its_state(here: Path) -> None:
    found = facts("factories.py:network --compression 1 --method magnitude")
    assert found["size"] == 20
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    initialise(network, 1)
    torch.save(network.state_dict(), "net.pt")
    assert facts("factories.py:network --state net.pt --compression 2")["kept"] == 10


def test_a_shortcut_that_goes_whole_is_said(here: Path) -> None:
    found = facts("factories.py:Residual --shape 3,6,6 --compression 5 --shortcuts --steps 1")
    assert found["empty"] == ["shortcut"]
    assert [row["shortcut"] for row in found["layers"]] == [False, True, False]
    shown = run("factories.py:Residual --shape 3,6,6 --compression 5 --shortcuts --steps 1").stdout
    assert re.search(r"shortcut +│ 0 +│ 6 +│ 0 +│ shortcut, EMPTY", shown)
    left = facts("factories.py:Residual --shape 3,6,6 --compression 5")
    assert left["unpruned_shortcuts"] == ["shortcut"]


def test_weights_of_other_modules_are_said_to_stay(here: Path) -> None:
    command = "factories.py:conv1d --shape 1,8 --compression 2 --method magnitude"
    left = [{"name": "0", "kind": "Conv1d", "size": 12}]
    assert facts(command)["left_whole"] == left
    assert "0 (Conv1d, 12)" in run(command).stdout
    assert facts("factories.py:network --compression 2")["left_whole"] == []


def test_a_collapse_by_flowing_biases_hints_at_leaving_them_out(here: Path) -> None:
    command = "factories.py:biased --compression 12 --method synflow"
    found = facts(command, status=3)
    assert found["empty"]
    assert "--no-biases" in found["hint"]
    assert "--no-biases" in run(command).stdout
    cured = facts(f"{command} --no-biases")
    assert (cured["empty"], cured["hint"]) == ([], None)
    assert facts("mlp:64,256,32,256,10 --method magnitude --compression 4000", 3)["hint"] is None


def test_no_path_is_exit_3_and_said(here: Path) -> None:
    command = "mlp:64,256,32,256,10 --method magnitude --compression 4000"
    found = facts(command, status=3)
    assert found["path"] is False
    assert found["empty"]
    assert "NO: the outputs do not depend on the inputs" in run(command).stdout


def test_the_table_says_what_the_json_says(here: Path) -> None:
    found = facts("mlp:20,30,5 --compression 20")
    shown = run("mlp:20,30,5 --compression 20").stdout
    for row in found["layers"]:
        assert re.search(rf"{row['name']} +│ {row['kept']} +│ {row['size']} +│", shown)
    assert f"{found['kept']} of {found['size']} weights" in shown
    assert "a path survives" in shown


BAD = [
    ("model.pt --shape 3,8,8 --compression 129", "compression: got 129.0; allowed: 1 to 128 = N/L"),
    ("model.pt --shape 3,8,8 --compression 0.1", "compression: got 0.1"),
    ("model.pt --shape 3,8,8 --compression nan", "compression: got nan"),
    ("model.pt --shape 3,8,8", "Missing option '--compression'"),
    ("model.pt --compression 2", "--shape: got none for a model that begins with a Conv2d"),
    (
        "model.pt --shape 1,8,8 --compression 2",
        "shape: got (1, 8, 8), on which the model's forward",
    ),
    ("model.pt --shape 3,2,2 --compression 2", "shape: got (3, 2, 2)"),
    ("model.pt --shape x --compression 2", "--shape: got x"),
    ("nan.pt --shape 3,8,8 --compression 2", "1.weight: got NaN or infinity"),
    ("model.pt --shape 3,8,8 --compression 2 --method snip", "--data: got none for Snip"),
    ("model.pt --shape 3,8,8 --compression 2 --data digits", "--data: got digits; allowed: none"),
    ("model.pt --shape 3,8,8 --compression 2 --method snip --data cifar", "data: got cifar"),
    ("model.pt --shape 3,8,8 --compression 2 --method snap", "--method: got snap"),
    ("model.pt --shape 3,8,8 --compression 2 --method random --double", "no option --double"),
    ("model.pt --shape 3,8,8 --compression 2 --masking all", "masking: got all"),
    ("model.pt --shape 3,8,8 --compression 2 --schedule slow", "schedule: got slow"),
    ("model.pt --shape 3,8,8 --compression 2 --steps 0", "steps: got 0"),
    ("model.pt --shape 3,8,8 --compression 2 --device moon", "--device: got moon"),
    ("model.pt --shape 3,8,8 --compression 2 --out .", "--out: got "),
    ("model.pt --shape 3,8,8 --compression 2 --classes 3", "--classes: got 3"),
    ("model.pt --state state.pt --shape 3,8,8 --compression 2", "state: got state.pt"),
    ("mlp:30,4,1 --compression 20 --masking local", "leaves nothing of a layer of 4 weights"),
    ("factories.py:weightless --compression 2", "without prunable weights"),
    ("factories.py:nothing --compression 2", "a NoneType"),
    ("factories.py:gone --compression 2", "factories.py:gone"),
    ("gone.pt --compression 2", "got gone.pt; allowed: a file that exists"),
    ("vgg17 --compression 2", "MODEL: got vgg17; allowed: a file, module.py:factory, or one of"),
    ("mlp:4,x --compression 2", "MODEL: got mlp:4,x"),
    ("cut.pt --compression 2", "cut.pt: got "),
    ("code.pt --compression 2", "code.pt: got "),
    ("lstm.pt --compression 2", "lstm.pt: got "),
    ("linear.pt --compression 2", "linear.pt: got a Linear"),
    ("state.pt --compression 2", "state.pt: got a OrderedDict"),
]


@pytest.mark.parametrize(("command", "said"), BAD, ids=[c[0] for c in BAD])
def test_bad_input_is_one_line_and_exit_2(command: str, said: str, here: Path) -> None:
    before = sorted(p.name for p in here.iterdir())
    result = run(command)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.fullmatch(r"error: [^\n]+\n", result.stderr)
    assert said in result.stderr
    assert sorted(p.name for p in here.iterdir()) == before


def test_one_reader_serves_tickets_too(here: Path) -> None:
    """What pruning reads, a ticket reads, if told the shape of an input."""
    from slth.models import read

    assert isinstance(read_module("model.pt"), nn.Sequential)
    with pytest.raises(BadInput, match="--shape"):
        read("model.pt")

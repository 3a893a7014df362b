"""A table of everything a user can get wrong: one line each, exit status 2, nothing written.

Where there is a command for it, through the command; otherwise through the library. A new kind of
bad input gets a row here, not a test of its own.
"""

from __future__ import annotations

import os
import pickle
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from slth.certify import certify
from slth.cli import main
from slth.construct.pensia import Pensia
from slth.domain import Ball, Box
from slth.errors import BadInput
from slth.laws import Normal, SignedConstant, SignedHyperbolic, Uniform, from_json
from slth.models import read
from slth.source import Source
from slth.subsetsum import Problem
from slth.subsetsum.exactly_k import ExactlyK
from slth.subsetsum.first_hit import FirstHit
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle
from slth.target import Target, from_module
from slth.ticket import load

KINDS = {
    "NaN", "inf", "empty", "shape", "dtype", "epsilon", "delta", "n", "module", "NaN weights",
    "truncated", "no ticket", "code", "output", "missing", "law", "option",
}  # fmt: skip

FACTORIES = """
from torch import nn
number = 3
def network(): return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
def nothing(): return None
def fails(): raise RuntimeError("no\\nweights")
"""


class MakesAFolder:
    """Unpickled by a careless reader, it runs code."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("owned",)


def network(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*(layers or (nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))))


def spoiled(value: float) -> nn.Sequential:
    model = network()
    with torch.no_grad():
        model[2].weight[1, 3] = value
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files and bad ones; no test may change it."""
    at = tmp_path_factory.mktemp("bad")
    for name, model in {
        "model": network(),
        "gelu": network(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)),
        "conv": network(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Linear(4, 2)),
        "relu_last": network(nn.Linear(3, 4), nn.ReLU()),
        "two_linears": network(nn.Linear(3, 4), nn.Linear(4, 2)),
        "unchained": network(nn.Linear(3, 4), nn.ReLU(), nn.Linear(5, 2)),
        "no_layers": nn.Sequential(),
        "linear": nn.Linear(3, 4),
        "state": network().state_dict(),
        "state_nan": spoiled(float("nan")).state_dict(),
        "state_other": nn.Linear(3, 4).state_dict(),
        "nan": spoiled(float("nan")),
        "inf": spoiled(float("inf")),
        "code": MakesAFolder(),
    }.items():
        torch.save(model, at / f"{name}.pt")
    (at / "code.pkl").write_bytes(pickle.dumps(MakesAFolder()))
    (at / "factories.py").write_text(FACTORIES)
    (at / "broken.py").write_text("def network(:\n")
    target = read(str(at / "model.pt"))
    Pensia().build(target, Pensia().source_for(target, 0, 12)).save(at / "ticket.npz")
    raw = (at / "ticket.npz").read_bytes()
    (at / "truncated.npz").write_bytes(raw[: len(raw) // 2])
    (at / "flipped.npz").write_bytes(raw[:60] + bytes(b ^ 255 for b in raw[60:90]) + raw[90:])
    (at / "model_truncated.pt").write_bytes((at / "model.pt").read_bytes()[:700])
    np.savez(at / "foreign.npz", header=np.frombuffer(b'{"format": 99}', np.uint8))
    np.savez(at / "list.npz", header=np.frombuffer(b"[]", np.uint8))
    np.savez(at / "code.npz", header=np.array([MakesAFolder()], dtype=object))
    np.save(at / "code.npy", np.array([MakesAFolder()], dtype=object))
    for name, text in {
        "empty.npz": "", "text.npz": "not a zip", "empty.csv": "\n", "ragged.csv": "1,2\n3\n",
        "word.csv": "1,2\n3,four\n", "empty.pt": "", "values.csv": "1,2\n3,4\n",
    }.items():  # fmt: skip
        (at / name).write_text(text)
    (at / "latin.txt").write_bytes(b"1 \xff\xfe 2")
    for name, array in {
        "text": np.array(["a", "b"]),
        "complex": np.array([1j, 2.0]),
        "bool": np.array([True, False]),
        "cube": np.zeros((2, 2, 2)),
        "none": np.zeros((0,)),
        "nan": np.array([0.5, np.nan]),
        "big": np.array([2**53 + 1]),
    }.items():
        np.save(at / f"{name}.npy", array)
    return at


TICKET = "ticket model.pt --n 12 --steps 1 --restarts 1"
COMMANDS = [
    # kind, command, what the line must say
    ("NaN", "solve nan,0.5 0.2", "values: got nan at (0,)"),
    ("NaN", "solve 0.5 nan", "targets: got nan"),
    ("NaN", "solve nan.npy 0.2", "values: got nan at (1,)"),
    ("NaN", "solve 0.5 0.2 --epsilon nan", "epsilon: got nan; allowed: positive finite"),
    ("NaN", f"{TICKET} --epsilon nan", "epsilon: got nan"),
    ("NaN", f"{TICKET} --ball nan", "radius: got nan"),
    ("NaN", f"{TICKET} --box nan 1", "box: got NaN or infinite ends"),
    ("inf", "solve inf,1 0.2", "values: got inf at (0,)"),
    ("inf", "solve 1e999,1 0.2", "values: got inf at (0,)"),
    ("inf", "solve 1,2 -inf", "targets: got -inf"),
    ("inf", "solve 0.5 0.2 --epsilon inf", "epsilon: got inf"),
    ("inf", f"{TICKET} --ball inf", "radius: got inf"),
    ("inf", "ticket inf.pt --n 12", "weights[1]: got inf at (1, 3)"),
    ("empty", "solve '' 0.2", "VALUES: got ''"),
    ("empty", "solve 1,,2 0.2", "VALUES: got '1,,2'"),
    ("empty", "solve none.npy 0.2", "values: got shape (0,)"),
    ("empty", "solve empty.csv 0.2", "empty.csv: no numbers"),
    ("empty", "ticket no_layers.pt --n 12", "weights: got no layer"),
    ("shape", "solve values.csv 1,2,3", "values: got 2 rows; allowed: 3"),
    ("shape", "solve cube.npy 1,2", "values: got shape (2, 2, 2)"),
    ("shape", "solve ragged.csv 1,2", "rows of [1, 2] numbers; allowed: rows of equal length"),
    ("shape", "solve word.csv 1,2", "VALUES, line 2 of word.csv: got '3,four'"),
    ("shape", "solve 1,2 one,2", "TARGETS: got 'one,2'"),
    ("shape", "ticket unchained.pt --n 12", "weights[1]: got shape (2, 5); allowed: 4 columns"),
    ("shape", f"{TICKET} --box 1 -1", "got low 1.0 > high -1.0"),
    ("dtype", "solve text.npy 1", "values: got dtype <U1; allowed: real numbers"),
    ("dtype", "solve complex.npy 1", "values: got dtype complex128"),
    ("dtype", "solve bool.npy 1", "values: got dtype bool"),
    ("dtype", "solve big.npy 1", "values: got int64 beyond 2^53"),
    ("dtype", "solve latin.txt 1", "VALUES: got latin.txt: 'utf-8' codec"),
    ("epsilon", "solve 1,2 3 --epsilon 0", "epsilon: got 0.0"),
    ("epsilon", "solve 1,2 3 --epsilon -0.1", "epsilon: got -0.1"),
    ("epsilon", "solve 1,2 3 --epsilon few", "--epsilon': 'few' is not a valid float"),
    ("epsilon", "solve 1,2 3 --solver first-hit", "epsilon: got None"),
    ("epsilon", f"{TICKET} --epsilon 0", "epsilon: got 0.0; allowed: a finite number > 0"),
    ("epsilon", f"{TICKET} --epsilon -1", "epsilon: got -1.0"),
    ("delta", f"{TICKET} --delta 0", "delta: got 0.0; allowed: 0 < delta < 1"),
    ("delta", f"{TICKET} --delta 1", "delta: got 1.0"),
    ("delta", f"{TICKET} --delta nan", "delta: got nan"),
    ("n", "ticket model.pt --n 0", "n: got 0; allowed: 1 … 2^31 − 1"),
    ("n", "ticket model.pt --n 2147483648", "n: got 2147483648"),
    ("n", "ticket model.pt --n 1.5", "'1.5' is not a valid integer"),
    ("n", "ticket model.pt", "n: got none"),
    ("n", "ticket model.pt --construction malach --epsilon 1e-5 --delta 0.1", "neurons a half"),
    ("n", f"solve {','.join(['1'] * 45)} 3", "45 usable values in a row; allowed: up to 44"),
    ("n", f"solve {','.join(['1'] * 21)} 3 --solver exhaustive", "21 usable values in a row"),
    ("n", "solve 1,2 3 --solver exactly-k --k -1", "k: got -1"),
    ("n", "solve 1,2 3 --limit 45", "limit: got 45; allowed: 0 to 44"),
    ("module", "ticket gelu.pt --n 12", "GELU at 1"),
    ("module", "ticket conv.pt --n 12", "--shape"),
    ("module", "ticket conv.pt --n 12 --shape 1,x", "--shape: got 1,x"),
    ("module", "ticket conv.pt --n 12 --shape 2,5,5", "shape (2, 5, 5) at 0"),
    ("module", "ticket conv.pt --n 12 --shape 1,5,5", "shape (2, 3, 3) at 2"),
    ("module", "ticket linear.pt --n 12", "linear.pt: got a Linear; allowed: torch.nn.Sequential"),
    ("module", "ticket state.pt --n 12", "state.pt: got a OrderedDict"),
    ("module", "ticket relu_last.pt --n 12", "ReLU after the last Linear"),
    ("module", "ticket two_linears.pt --n 12", "Linear at 1"),
    ("module", "ticket factories.py:number --n 12", "factories.py:number"),
    ("module", "ticket factories.py:nothing --n 12", "a NoneType"),
    ("module", "ticket factories.py:fails --n 12", "RuntimeError while reading factories.py:fails"),
    ("module", "ticket broken.py:network --n 12", "SyntaxError"),
    ("module", "ticket factories.py:network --state state_other.pt --n 12", "state_other.pt"),
    ("module", "ticket factories.py:network --state model.pt --n 12", "model.pt"),
    ("module", "ticket model.pt --state state.pt --n 12", "state: got state.pt"),
    ("module", "verify ticket.npz --target gelu.pt", "GELU"),
    ("NaN weights", "ticket nan.pt --n 12", "weights[1]: got nan at (1, 3)"),
    ("NaN weights", "verify ticket.npz --target nan.pt", "weights[1]: got nan at (1, 3)"),
    ("NaN weights", "ticket factories.py:network --state state_nan.pt --n 12", "got nan at (1, 3)"),
    ("truncated", "verify truncated.npz --target model.pt", "truncated.npz"),
    ("truncated", "verify flipped.npz --target model.pt", "flipped.npz"),
    ("truncated", "verify empty.npz --target model.pt", "empty.npz"),
    ("truncated", "ticket model_truncated.pt --n 12", "model_truncated.pt"),
    ("truncated", "ticket empty.pt --n 12", "empty.pt"),
    ("no ticket", "verify text.npz --target model.pt", "text.npz"),
    ("no ticket", "verify model.pt --target model.pt", "model.pt"),
    ("no ticket", "verify foreign.npz --target model.pt", "format 99; allowed: 1"),
    ("no ticket", "verify list.npz --target model.pt", "list.npz"),
    ("no ticket", "verify nan.npy --target model.pt", "nan.npy"),
    ("no ticket", "verify . --target model.pt", "a ticket file"),
    ("no ticket", "verify ticket.npz --target ticket.npz", "ticket.npz"),
    ("code", "ticket code.pt --n 12", "code.pt"),
    ("code", "ticket code.pkl --n 12", "error: code.pkl: got "),
    ("code", "ticket factories.py:network --state code.pt --n 12", "code.pt"),
    ("code", "verify code.npz --target model.pt", "code.npz"),
    ("code", "verify code.pkl --target model.pt", "code.pkl"),
    ("code", "verify ticket.npz --target code.pt", "code.pt"),
    ("code", "solve code.npy 1", "code.npy"),
    ("output", f"{TICKET} --out model.pt/t.npz", "--out: got model.pt/t.npz"),
    ("output", f"{TICKET} --out model.pt/new/t.npz", "--out: got model.pt/new/t.npz"),
    ("output", f"{TICKET} --out .", "--out: got ."),
    ("output", f"{TICKET} --out {'x' * 300}", "File name too long"),
    ("output", "solve 1,2 3 --out model.pt/s.npz", "--out: got model.pt/s.npz"),
    ("missing", "ticket gone.pt --n 12", "gone.pt; allowed: a file that exists"),
    ("missing", "ticket gone.py:network --n 12", "gone.py"),
    ("missing", "ticket factories.py:network --state gone.pt --n 12", "gone.pt"),
    ("missing", "verify gone.npz --target model.pt", "gone.npz"),
    ("missing", "verify ticket.npz --target gone.pt", "gone.pt"),
    ("missing", "solve gone.npy 1", "gone.npy: No such file"),
    ("missing", "verify ticket.npz", "Missing option '--target'"),
    ("missing", "solve 1,2", "Missing argument 'TARGETS'"),
    ("law", f"{TICKET} --law cauchy", "--law: got cauchy; allowed: uniform, normal"),
    ("law", f"{TICKET} --law-low 1 --law-high -1", "uniform law: got [1.0, -1.0]"),
    ("law", f"{TICKET} --law-low nan", "uniform law: got [nan"),
    ("law", f"{TICKET} --law normal --law-std 0", "std: got 0.0"),
    ("law", f"{TICKET} --law hyperbolic --law-octaves 0", "octaves: got 0"),
    ("law", f"{TICKET} --law signed-constant --law-value -1", "value: got -1"),
    ("law", f"{TICKET} --law rademacher --law-std 1", "no option --law-std"),
    ("option", f"{TICKET} --seed -1", "seed: got -1"),
    ("option", f"{TICKET} --seed one", "'one' is not a valid integer"),
    ("option", f"{TICKET} --restarts 0", "'--restarts'"),
    ("option", f"{TICKET} --ball 1 --box 0 1", "--ball and --box"),
    ("option", f"{TICKET} --construction pensja", "--construction: got pensja; allowed: "),
    ("option", f"{TICKET} --construction malach --limit 3", "no option --limit"),
    ("option", f"{TICKET} --halves one", "'one' is not one of 'both', 'needed'"),
    ("option", f"{TICKET} --limit 0", "limit: got 0"),
    ("option", "solve 1 2 --solver simplex", "--solver: got simplex; allowed: auto, best-single"),
    ("option", "solve 1 2 --window 3", "no option --window"),
    ("option", "solve 1 2 3", "unexpected extra argument"),
    ("option", "sim no_such_thing", "simulation: got no_such_thing; allowed: "),
    ("option", "tickets", "No such command 'tickets'"),
]  # fmt: skip


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
    }


# numpy.load leaves the file open where the archive in it is cut short
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("kind", "command", "said"), COMMANDS, ids=[c[1][:70] for c in COMMANDS])
def test_a_command_says_it_in_one_line_and_writes_nothing(
    kind: str, command: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    before = contents(folder)
    result = CliRunner().invoke(main, shlex.split(command))
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2
    assert result.stdout == ""
    assert re.fullmatch(r"error: [^\n]+\n", result.stderr)
    assert said in result.stderr
    got_allowed_remedy = re.search(r": got .*; allowed: .+; remedy: .+", result.stderr)
    assert got_allowed_remedy or re.search(r"; see `slth( \w+)? --help`$", result.stderr.strip())
    assert contents(folder) == before


def test_the_same_commands_with_good_input_do_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The rows above fail for their own reason, not because the rest of the line is wrong."""
    monkeypatch.chdir(folder)
    for command in (f"{TICKET} --out {tmp_path / 't.npz'}", f"solve 1,2 3 --out {tmp_path / 's'}"):
        assert CliRunner().invoke(main, shlex.split(command)).exit_code == 0
    assert len(list(tmp_path.iterdir())) == 2
    assert (
        CliRunner().invoke(main, shlex.split("verify ticket.npz --target model.pt")).exit_code == 0
    )


def test_the_code_in_those_files_does_run_where_nobody_guards(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads((folder / "code.pkl").read_bytes())
    assert (tmp_path / "owned").is_dir()


W = np.full((2, 3), 0.1)
LIBRARY = {
    "NaN": [
        lambda: Problem([np.nan], [1.0]),
        lambda: Target((np.full((2, 3), np.nan),), (None,)),
        lambda: Target((W,), (np.array([0.0, np.nan]),)),
        lambda: Ball(float("nan"), 3),
        lambda: Box(np.array([np.nan]), np.array([1.0])),
        lambda: Pensia(epsilon=float("nan")),
    ],
    "inf": [
        lambda: Problem([np.inf], [1.0]),
        lambda: Problem([1.0], [1.0], np.inf),
        lambda: Target((np.full((2, 3), np.inf),), (None,)),
        lambda: Ball(float("inf"), 3),
    ],
    "empty": [
        lambda: Problem([], [1.0]),
        lambda: Problem([1.0], []),
        lambda: Target((), ()),
        lambda: Target((np.zeros((0, 3)),), (None,)),
        lambda: Box(np.zeros(0), np.zeros(0)),
        lambda: from_module(nn.Sequential()),
    ],
    "shape": [
        lambda: Problem([[1.0], [2.0]], [1.0]),
        lambda: Problem([[1.0], [2.0, 3.0]], [1.0, 2.0]),
        lambda: Problem([1.0], [1.0], [0.1, 0.2]),
        lambda: Target((W, W), (None, None)),
        lambda: Target((W,), (None, None)),
        lambda: Target((W,), (np.zeros(3),)),
        lambda: Target((np.zeros(3),), (None,)),
        lambda: Ball(1.0, 0),
        lambda: certify_with(Ball(1.0, 4)),
        lambda: ticket_of()(np.zeros(3)),
    ],
    "dtype": [
        lambda: Problem(["a"], [1.0]),
        lambda: Problem([1j], [1.0]),
        lambda: Problem([2**53 + 1], [1.0]),
        lambda: Target((np.ones((2, 3), int),), (None,)),
        lambda: from_module(nn.Sequential(nn.Linear(2, 2, dtype=torch.complex64))),
    ],
    "epsilon": [
        lambda: Problem([1.0], [1.0], 0.0),
        lambda: Problem([1.0], [1.0], -1.0),
        lambda: FirstHit()(Problem([1.0], [1.0])),
        lambda: Pensia(epsilon=0.0),
    ],
    "delta": [lambda: Pensia(delta=0.0), lambda: Pensia(delta=1.0), lambda: Pensia(delta=-0.5)],
    "n": [
        lambda: Source((3, 2), 0, False, 0),
        lambda: Source((3, 2), 1 << 31, False, 0),
        lambda: Source((3, 2), (4, 4), False, 0),
        lambda: MeetInTheMiddle()(Problem(np.ones(45), [3.0])),
        lambda: ExactlyK(k=2)(Problem(np.ones(33), [3.0])),
        lambda: ticket_of().module(limit=100),
    ],
    "module": [
        lambda: from_module(nn.Tanh()),
        lambda: from_module(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2))),
        lambda: from_module(nn.Sequential(nn.Conv2d(1, 1, 1))),
        lambda: from_module(nn.Sequential(nn.Linear(2, 2), nn.ReLU())),
        lambda: from_module(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))),
    ],
    "NaN weights": [lambda: from_module(spoiled(float("nan")))],
    "missing": [lambda: load("gone.npz"), lambda: read("gone.pt")],
    "output": [lambda: ticket_of().save("model.pt/t.npz")],
    "law": [
        lambda: Uniform(1.0, 1.0),
        lambda: Uniform(-1.0, float("inf")),
        lambda: Normal(0.0),
        lambda: Normal(float("nan")),
        lambda: SignedConstant(-1.0),
        lambda: SignedHyperbolic(1.0, 0.0),
        lambda: SignedHyperbolic.between(2.0, 1.0),
        lambda: from_json({"law": "cauchy"}),
        lambda: from_json({"law": "normal", "scale": 1.0}),
    ],
    "option": [
        lambda: Source((3, 2), 5, False, -1),
        lambda: certify_with(Ball(1.0, 3), restarts=0),
        lambda: certify_with(Ball(1.0, 3), steps=-1),
        lambda: certify_with(Ball(1.0, 3), seed=-1),
        lambda: Pensia(halves="one"),  # type: ignore[arg-type]
    ],
}


def ticket_of():  # type: ignore[no-untyped-def]
    target = Target((W,), (None,))
    return Pensia().build(target, Pensia().source_for(target, 0, 8))


def certify_with(domain: Ball, **options: int) -> None:
    certify(Target((W,), (None,)), ticket_of().effective, domain, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "call"), [(kind, call) for kind, calls in LIBRARY.items() for call in calls]
)
def test_the_library_names_value_allowed_and_remedy(kind, call, folder, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(folder)
    before = contents(folder)
    with pytest.raises(BadInput) as caught:
        call()
    assert re.fullmatch(r"[^\n]+: got [^\n]*; allowed: [^\n]+; remedy: [^\n]+", str(caught.value))
    assert contents(folder) == before


def test_the_table_has_every_kind() -> None:
    assert {kind for kind, _, _ in COMMANDS} == KINDS
    assert set(LIBRARY) <= KINDS

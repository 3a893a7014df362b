"""The command line as a user meets it: the whole journey of a ticket, and options nobody listed."""

from __future__ import annotations

import ast
import importlib
import io
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

import slth
from slth.cli import CONSTRUCTION, LAW, SOLVER, main, plugins, show
from slth.construct.pensia import Pensia
from slth.models import read
from slth.ticket import Ticket, load

SHORT = "--restarts 4 --steps 20"


def run(command: str) -> Result:
    result = CliRunner().invoke(main, shlex.split(command))
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def facts(command: str, status: int = 0) -> dict[str, Any]:
    result = run(f"{command} --json")
    assert result.exit_code == status, result.output

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return dict(json.loads(result.stdout, parse_constant=refuse))


def small(seed: int, bias: bool = True) -> nn.Sequential:
    """A network whose weights are set, not drawn by torch's shared generator."""
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(3, 5, bias=bias), nn.ReLU(), nn.Linear(5, 2, bias=bias))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(rng.uniform(-0.3, 0.3, tuple(parameter.shape))))
    return model


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    torch.save(small(0), "model.pt")
    return tmp_path


# -- the journey -----------------------------------------------------------------------------------


def test_from_model_to_verified_ticket(here: Path) -> None:
    found = facts(f"ticket model.pt --n 40 --seed 3 {SHORT}")
    ticket, target = load("ticket.npz"), read("model.pt")
    assert ticket.source.seed == 3
    assert (found["density"], found["compression"]) == (ticket.density, ticket.compression)
    assert (found["kept_in"], found["kept_out"]) == (ticket.kept_in, ticket.kept_out)
    assert found["achieved"] == list(ticket.claim.achieved)
    assert found["parts"]["claim"] == found["claimed_error"] == ticket.claim.error_bound
    assert found["theorem"]["verdict"] == "silent"
    assert "biases" in found["theorem"]["why"]
    # what the certificate says, against points that it has not seen
    x = np.random.default_rng(0).normal(size=(4000, 3))
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1)
    error = np.linalg.norm(ticket(x) - target(x), axis=1).max()
    assert error <= found["certified_error"]
    assert error <= found["attacked_error"] * 1.5  # a short attack
    assert found["attacked_error"] <= found["certified_error"] <= found["claimed_error"]

    report = facts("verify ticket.npz --target model.pt")
    assert report["ok"]
    assert all(check["true"] for check in report["checks"])
    assert {"upper", "lower", "domain", "witness", "seed", "restarts", "steps"} <= set(
        ticket.certificate or {}
    )


def test_tables_say_what_the_json_says(here: Path) -> None:
    told = run(f"ticket model.pt --n 40 {SHORT}")
    assert told.exit_code == 0
    assert told.stderr == ""  # no bar where there is no terminal
    found = facts(f"ticket model.pt --n 40 {SHORT}")
    for value in (found["certified_error"], found["attacked_error"], found["claimed_error"]):
        assert f"{value:.6g}" in told.stdout
    for word in ("silent", "biases", "in-weights", "density", "compression", "seed 0, uniform"):
        assert word in told.stdout
    checked = run("verify ticket.npz --target model.pt")
    assert "every claim is true" in checked.stdout
    assert "NO" not in checked.stdout


def test_the_same_command_gives_the_same_bytes(here: Path) -> None:
    files = []
    for seed in (1, 1, 2):
        assert run(f"ticket model.pt --n 20 --seed {seed} {SHORT} --out new/t.npz").exit_code == 0
        files.append((here / "new" / "t.npz").read_bytes())
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_a_factory_with_a_state_dict_is_the_same_target(here: Path) -> None:
    torch.save(small(0).state_dict(), "state.pt")
    (here / "nets.py").write_text(
        "from torch import nn\n"
        "def make(): return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))\n"
    )
    given = "nets.py:make --state state.pt"
    assert run(f"ticket {given} --n 20 {SHORT} --out a.npz").exit_code == 0
    assert run(f"ticket model.pt --n 20 {SHORT} --out b.npz").exit_code == 0
    assert (here / "a.npz").read_bytes() == (here / "b.npz").read_bytes()
    assert run("verify a.npz --target nets.py:make --state state.pt").exit_code == 0
    torch.save(small(1), "other.pt")
    assert run("verify a.npz --target other.pt").exit_code == 1


def test_too_narrow_a_source_is_saved_says_so_and_is_true(here: Path) -> None:
    result = run(f"ticket model.pt --n 8 --epsilon 0.001 {SHORT} --json")
    assert result.exit_code == 3
    assert result.stderr.startswith("not met: ")
    found = json.loads(result.stdout)
    assert not found["met"]
    assert 0 < found["unmet_gadgets"] <= found["gadgets"] == 2 * (3 * 5 + 5 * 2) + 5 + 2
    assert run("verify ticket.npz --target model.pt").exit_code == 0
    table = run(f"ticket model.pt --n 8 --epsilon 0.001 {SHORT}")
    assert "MISSED by" in table.stdout
    assert "NOT met" in run("verify ticket.npz --target model.pt").stdout
    wide = run(f"ticket model.pt --n 80 --epsilon 0.1 {SHORT}")
    assert wide.exit_code == 0
    assert wide.stderr == ""


def test_the_theorems_own_width(here: Path) -> None:
    torch.save(small(0, bias=False), "free.pt")
    found = facts(f"ticket free.pt --epsilon 0.3 --delta 0.1 {SHORT}")
    theorem, source = found["theorem"], found["source"]
    assert source["n"] == theorem["n_asked"]
    assert found["met"]
    assert (theorem["verdict"], theorem["failed"]) == ("undecided", [])
    assert "0.9" in theorem["why"]
    narrow = facts(f"ticket free.pt --epsilon 0.3 --delta 0.1 --n 60 {SHORT}")
    assert narrow["theorem"]["n_asked"] == theorem["n_asked"]
    assert narrow["theorem"]["verdict"] == "silent"
    assert "60 neurons a half" in narrow["theorem"]["why"]
    assert "--epsilon" in facts(f"ticket free.pt --n 60 {SHORT}")["theorem"]["why"]


def test_laws_and_domains(here: Path) -> None:
    found = facts(f"ticket model.pt --n 30 --law normal --law-std 0.5 --box -1 2 {SHORT}")
    assert found["source"]["law"] == {"law": "normal", "std": 0.5}
    assert found["domain"] == {"kind": "box", "low": [-1.0] * 3, "high": [2.0] * 3}
    assert facts("verify ticket.npz --target model.pt")["ok"]
    ball = facts(f"ticket model.pt --n 30 --ball 2.5 {SHORT}")["domain"]
    assert ball == {"kind": "ball", "radius": 2.5, "dimension": 3}
    product = facts(f"ticket model.pt --n 50 --construction malach --match product {SHORT}")
    assert product["construction"] == "malach"
    assert load("ticket.npz").claim.parameters == {"match": "product"}


# -- tampering -------------------------------------------------------------------------------------


def rewrite(change: Callable[[dict[str, Any], dict[str, Any]], None], path: str) -> None:
    """ticket.npz with its header and arrays changed, at `path`."""
    with np.load("ticket.npz") as data:
        arrays = {name: data[name] for name in data.files}
    header = json.loads(bytes(arrays.pop("header")).decode())
    change(header, arrays)
    encoded = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with open(path, "wb") as stream:
        np.savez(stream, header=encoded, **arrays)


def outside(header: dict[str, Any], _: Any) -> None:
    """A witness that really has a larger error, but lies out of the ball."""
    certificate = header["certificate"]
    certificate["witness"] = [10 * v for v in certificate["witness"]]
    certificate["lower"] *= 2


def elsewhere(header: dict[str, Any], _: Any) -> None:
    """The same numbers for a larger ball: the claim's own bound must not vouch for them."""
    header["certificate"]["domain"]["radius"] *= 100


def shrink(part: str, name: str, factor: float) -> Callable[[dict[str, Any], Any], None]:
    def change(header: dict[str, Any], _: Any) -> None:
        header[part][name] *= factor

    return change


def drop_one(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    counts = arrays["count_0_0"]
    first = int(np.flatnonzero(counts)[0])
    counts[first] -= 1
    arrays["index_0_0"] = arrays["index_0_0"][1:]


TAMPERED = {
    "the certified bound shrunk": (shrink("certificate", "upper", 0.99), "by certificate"),
    "the attack raised": (shrink("certificate", "lower", 1 + 1e-9), "an input with error"),
    "a witness outside": (outside, "an input with error"),
    "the certificate's ball enlarged": (elsewhere, "by certificate"),
    "the certificate emptied": (lambda h, _: h["certificate"].clear(), "can be read"),
    "the certificate a list": (lambda h, _: h.update(certificate=[1, 2]), "can be read"),
    "the claimed bound shrunk": (shrink("claim", "error_bound", 0.99), "by propagation"),
    "another seed": (lambda h, _: h["source"].update(seed=9), "no weight is missed"),
    "another law": (lambda h, _: h["source"]["law"].update(high=2.0), "no weight is missed"),
    "a mask bit dropped": (drop_one, "out-weights are kept"),
    "achieved a word": (lambda h, _: h["claim"].update(achieved=["x", 1.0]), "can be read"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_ticket_exits_1_and_names_the_claim(how: str, here: Path) -> None:
    change, statement = TAMPERED[how]
    assert run(f"ticket model.pt --n 30 {SHORT}").exit_code == 0
    rewrite(lambda header, arrays: None, "same.npz")
    assert run("verify same.npz --target model.pt").exit_code == 0
    rewrite(change, "tampered.npz")
    report = facts("verify tampered.npz --target model.pt", status=1)
    assert not report["ok"]
    assert any(statement in c["statement"] for c in report["checks"] if not c["true"])
    table = run("verify tampered.npz --target model.pt")
    assert table.exit_code == 1
    assert "FALSE" in table.stdout


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    if isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def test_no_header_makes_a_traceback(here: Path) -> None:
    """Every entry of the header in turn replaced by things of other kinds."""
    assert run("ticket model.pt --n 12 --epsilon 0.5 --restarts 1 --steps 1").exit_code in (0, 3)
    with np.load("ticket.npz") as data:
        header = json.loads(bytes(data["header"]).decode())
    junk = [None, -1, "x", [], {}, math.nan, math.inf, 10**400]
    tried = set()
    for index, path in enumerate(p for p in places(header) if p):
        for value in (junk[index % len(junk)], junk[(index + 3) % len(junk)]):

            def change(changed: dict[str, Any], _: Any, path=path, value=value) -> None:  # type: ignore[no-untyped-def]
                for key in path[:-1]:
                    changed = changed[key]
                changed[path[-1]] = value

            rewrite(change, "junk.npz")
            result = run("verify junk.npz --target model.pt")
            tried.add(result.exit_code)
            assert result.stderr.count("\n") == (result.exit_code == 2), (path, value)
    assert tried == {0, 1, 2}


# -- interruption ----------------------------------------------------------------------------------


def test_an_interrupt_is_130_and_leaves_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pensia, "build_resumable", interrupted)
    assert run("ticket model.pt --n 9").exit_code == 130
    assert [p.name for p in here.iterdir()] == ["model.pt"]


def test_a_full_disk_is_one_line_and_keeps_the_old_file(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "ticket.npz").write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("slth.mask_file.write", full)
    result = run(f"ticket model.pt --n 9 {SHORT}")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --out: got ticket.npz: No space left")
    assert (here / "ticket.npz").read_bytes() == b"old"
    # what was found is not lost: the same command saves it once there is room
    assert {p.name for p in here.iterdir()} == {"model.pt", "ticket.npz", "ticket.npz.part"}


def test_the_bar_is_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with show.bar("building", counted=True) as none:
        assert none is None
    drawn = Terminal()
    monkeypatch.setattr(sys, "stderr", drawn)
    with show.bar("building", counted=True) as progress:
        assert progress is not None
        progress(3, 8)
    assert "building" in drawn.getvalue()
    assert "3/8" in drawn.getvalue()


# -- subset sums -----------------------------------------------------------------------------------


def test_solve_against_every_subset(here: Path) -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(-512, 512, (6, 7)) / 1024  # dyadic: float64 sums are exact
    targets = rng.integers(-512, 512, 6) / 1024
    np.save("values.npy", values)
    np.savetxt("values.csv", values, delimiter=",", fmt="%.17g")
    np.savetxt("targets.txt", targets, fmt="%.17g")
    epsilon = Fraction(1, 128)
    found = facts("solve values.npy targets.txt --epsilon 0.0078125 --out s.npz", status=3)
    for row in range(6):
        best = min(
            abs(sum(map(Fraction, values[row][list(kept)]), Fraction(0)) - Fraction(targets[row]))
            for kept in (np.flatnonzero(bits).tolist() for bits in product((0, 1), repeat=7))
        )
        assert found["error"][row] == best
        assert found["status"][row] == ("solved" if best <= epsilon else "none exists")
        assert values[row] @ found["mask"][row] - targets[row] in (best, -best)
    assert 0 < found["solved"] < 6
    with np.load("s.npz") as saved:
        assert saved["mask"].tolist() == np.array(found["mask"], bool).tolist()
        assert saved["error"].tolist() == found["error"]
        assert saved["status"].tolist() == [0 if s == "solved" else 1 for s in found["status"]]
    same = facts("solve values.csv targets.txt --epsilon 0.0078125", status=3)
    assert {**same, "saved": "s.npz"} == found


@pytest.mark.parametrize(
    ("command", "mask", "status"),
    [
        ("0.5,-0.25,0.125 -0.125", [[0, 1, 1]], 0),
        ("-0.5,0.25 -0.25,0.25 --epsilon 0.01", [[1, 1], [0, 1]], 0),
        ("0.5,0.25 0.3 --epsilon 0.01", [[0, 1]], 3),
        ("0.5,0.25 0.3 --solver best-single --epsilon 0.06", [[0, 1]], 0),
        ("0.5,0.25 0.7 --solver=ExactlyK --k 1", [[1, 0]], 0),
        ("0.5,0.25 0.7 --solver exactly_k --k 2", [[1, 1]], 0),
        ("0.5,0.25,0.125 0.75 --solver meet-in-the-middle --limit 2", [[1, 1, 0]], 3),
    ],
)
def test_solve_with_numbers_on_the_line(command: str, mask: list[list[int]], status: int) -> None:
    assert facts(f"solve {command}", status)["mask"] == mask


def test_json_has_no_infinities() -> None:
    assert show.plain({"a": (1.5, [math.inf, -math.inf])}) == {"a": [1.5, ["inf", "-inf"]]}


def test_many_rows_are_summed_up(here: Path) -> None:
    np.save("targets.npy", np.arange(50) / 8)
    result = run("solve 0.125,0.25,0.5,1,2 targets.npy --epsilon 0.01")
    assert result.exit_code == 3
    assert "and 30 more rows" in result.stdout
    assert "32 solved, 18 none exists; error: median 0, largest 2.25" in result.stdout


# -- options of plug-ins ---------------------------------------------------------------------------

PLANTED = '''
from __future__ import annotations
from dataclasses import dataclass, field
from typing import Literal, final
import numpy as np
from slth.subsetsum import Problem, Solution, Solver

@final
@dataclass(frozen=True)
class Planted(Solver):
    """Keeps the first values."""

    count: int = field(default=1, metadata={"help": "how many to keep"})
    fast: bool = True
    side: Literal["left", "right"] = "left"
    share: float | None = None
    secret: dict[str, int] = field(default_factory=dict, metadata={"cli": False})

    def __call__(self, problem: Problem) -> Solution:
        mask = np.zeros(problem.shape, bool)
        columns = np.arange(self.count)
        mask[:, columns if self.side == "left" else -1 - columns] = self.fast
        error = np.full(len(mask), self.share or 0.0)
        return Solution(mask, error, np.zeros(len(mask), np.int8))
'''


def test_a_new_file_needs_no_edit_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = importlib.import_module("slth.subsetsum")
    (tmp_path / "planted.py").write_text(PLANTED)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    try:
        help_ = run("solve --solver planted --help").stdout
        for word in ("planted", "--count", "how many to keep", "--no-fast", "[left|right]"):
            assert word in help_
        assert "secret" not in help_
        assert facts("solve 1,2,3 1 --solver planted")["mask"] == [[1, 0, 0]]
        assert facts("solve 1,2,3 1 --solver planted --no-fast")["mask"] == [[0, 0, 0]]
        found = facts("solve 1,2,3 1 --count 2 --side right --share 0.5 --solver planted")
        assert (found["mask"], found["error"]) == ([[0, 1, 1]], [0.5])
        wrong = run("solve 1,2,3 1 --solver planted --limit 2")
        assert "the solver planted has --count, --fast, --side, --share" in wrong.stderr
    finally:
        sys.modules.pop("slth.subsetsum.planted", None)


@pytest.mark.parametrize("chooser", [SOLVER, CONSTRUCTION, LAW], ids=lambda c: c.option)
def test_every_field_of_every_plugin_is_an_option_or_hidden(chooser: plugins.Chooser) -> None:
    seen = 0
    for name in chooser.names():
        plugin = chooser.load(name)
        for field in plugins.visible(plugin):
            assert chooser.parameter(plugin, field).opts[0].startswith("--")
            seen += 1
    assert seen >= 4


def test_a_field_that_no_text_can_spell_is_its_authors_fault() -> None:
    from dataclasses import dataclass, fields

    @dataclass(frozen=True)
    class Odd:
        table: dict[str, int] | None = None

    with pytest.raises(TypeError, match=r"Odd\.table.*metadata"):
        plugins.kind(Odd, fields(Odd)[0])


@pytest.mark.parametrize("command", ["solve", "ticket", "verify", "sim"])
def test_help_has_an_example_that_works_here(command: str) -> None:
    told = run(f"{command} --help")
    assert told.exit_code == 0
    assert f"Example:  slth {command} " in told.stdout
    assert "Exit status" in told.stdout or "exit status" in told.stdout
    assert f"  {command} " in run("").stdout == run("--help").stdout


def test_help_names_the_options_of_what_was_chosen() -> None:
    pensia, malach = run("ticket --help").stdout, run("ticket --construction malach --help").stdout
    assert "--limit" in pensia
    assert "--match" not in pensia
    assert "--match" in malach
    assert "--law-low" in malach
    assert "--law-std" in run("ticket --help --law normal").stdout


def test_the_version() -> None:
    assert run("--version").stdout == f"slth, version {slth.__version__}\n"


# -- simulations -----------------------------------------------------------------------------------


def test_simulations_are_listed_by_their_first_line() -> None:
    known = facts("sim")
    folder = Path(slth.__file__).parent.parent / "sims"
    assert set(known) == {p.stem for p in folder.glob("[!_]*.py")}
    for name, line in known.items():
        document = ast.get_docstring(ast.parse((folder / f"{name}.py").read_text("utf-8")))
        assert document is not None
        assert document.startswith(line)
    assert "width_vs_error" in run("sim").stdout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("slth", "sims"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    monkeypatch.setattr(slth, "__file__", str(tmp_path / "slth" / "__init__.py"))
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "sims" / "say.py").write_text(
        '"""Says it."""\nimport pathlib, sys\n'
        "pathlib.Path('said').write_text(' '.join(sys.argv[1:]))\nsys.exit(7)\n"
    )
    return tmp_path


def test_arguments_and_exit_status_pass_through(checkout: Path) -> None:
    assert facts("sim") == {"say": "Says it."}
    assert run("sim say --smoke --out here --help").exit_code == 7
    assert (checkout / "said").read_text() == "--smoke --out here --help"
    assert run("sim --json say x").exit_code == 7
    assert (checkout / "said").read_text() == "--json x"


def test_a_bare_wheel_names_the_repository(checkout: Path) -> None:
    (checkout / "pyproject.toml").unlink()
    result = run("sim say")
    assert result.exit_code == 2
    assert "the slth repository" in result.stderr
    assert result.stderr.count("\n") == 1


# -- the installed command -------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom slth.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'torch', 'numba', 'rich', 'scipy', 'slth.ticket'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: " in done.stdout


def test_the_installed_command(here: Path) -> None:
    def slth_(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "slth.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    solved = slth_("solve", "0.5,0.25", "-0.3,0.75", "--epsilon", "0.01")
    assert (solved.returncode, solved.stderr) == (3, "")
    assert "none exists" in solved.stdout
    wrong = slth_("ticket", "model.pt", "--n", "0")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: n: got 0")


def test_a_ticket_saved_by_the_library_is_verified_too(here: Path) -> None:
    """Without a certificate there is less to check, and everything there is is true."""
    target = read("model.pt")
    ticket: Ticket = Pensia(epsilon=0.2).build(target, Pensia().source_for(target, 4, 60))
    ticket.save("plain.npz")
    report = facts("verify plain.npz --target model.pt")
    assert report["ok"]
    assert not any("certificate" in check["statement"] for check in report["checks"])

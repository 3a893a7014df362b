"""The rules of the house that no single module can keep: who imports whom, who draws, who reads.

Each rule is a function of source text, tried on a planted offence before it is trusted.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from slth import plugins

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("slth", "proofs", "sims", "tests")  # each may import those before it

# Folders of slth/ with one plug-in a file, and their base; the others hold ordinary modules.
ROOMS = {
    "subsetsum": "Solver",
    "construct": "Construction",
    "bounds": "Bound",
    "pruning": "Saliency",
    "supermask": "MaskSearch",
}
PLAIN = {"certify", "cli", "collapse", "data", "nets", "stats", "sweep"}

# Who may make random numbers, and why. Everything else that is random takes a Generator.
MAY_DRAW = {
    "slth/source.py": "weights: the one place they come from",
    "slth/certify/attack.py": "starting points of the attack's restarts",
    "slth/certify/ascent.py": "kinks that the attack goes to",
    "slth/stats/resample.py": "resampling of measured seeds",
    "slth/stats/curves.py": "synthetic curves and resampling for the law fits",
    "slth/pruning/random.py": "random scores, from the seed of the context",
    "slth/nets/training.py": "initial weights and batches of trained targets",
    "slth/nets/fitting.py": "the order of the batches, from the seed",
    "slth/testing.py": "targets and points that a construction is held to",
    "slth/supermask/__init__.py": "uniform scores and draws, from the search's generators",
    "slth/supermask/_run.py": "the search's generators: scores, batches and noise, by epoch",
    "slth/supermask/_objectives.py": "points of a domain to approximate a target on",
    "slth/verify_found.py": "the same points once more, without the search's own code",
    "slth/nets/architectures.py": "initial weights of untrained networks",
    "slth/data/batches.py": "images and choices of images for losses",
}
# Who may turn counters into words: the engine of weights.
MAY_USE_THE_ENGINE = {"slth/source.py", "slth/laws.py"}

HEAVY = ("torch", "numba", "sympy", "matplotlib", "scipy.stats", "sklearn", "distributed", "rich")


def files(layer: str) -> list[Path]:
    return sorted(p for p in (ROOT / layer).rglob("*.py") if "__pycache__" not in p.parts)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_typing_block(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(source: str, types: bool = False) -> set[str]:
    """Every module a source imports, anywhere; `from a import b` gives a and a.b."""
    found: set[str] = set()
    stack: list[ast.AST] = [ast.parse(source)]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif types or not is_typing_block(node):
            stack.extend(ast.iter_child_nodes(node))
    return found


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute chain on a name, else the empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def graph() -> dict[str, set[str]]:
    """Which module of slth imports which, the packages that a module lies in counted too."""
    known = {module_of(path): path for path in files("slth")}
    edges = {}
    for module, path in known.items():
        wanted = imports(path.read_text("utf-8"))
        found = {w for w in wanted if w in known} - {module}
        parents = {
            m.rsplit(".", k)[0] for m in {module, *found} for k in range(1, m.count(".") + 1)
        }
        edges[module] = (found | parents) - {module}
    return edges


def reached(module: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    stack = [module]
    while stack:
        if (here := stack.pop()) not in seen:
            seen.add(here)
            stack.extend(edges[here])
    return seen


class TestImports:
    def test_a_planted_import_is_seen(self):
        assert "sims.x" in imports("def f():\n    from sims import x")
        assert "sims" not in imports(
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sims"
        )

    @pytest.mark.parametrize("layer", LAYERS[:-1])
    def test_they_point_one_way(self, layer):
        later = set(LAYERS[LAYERS.index(layer) + 1 :])
        paths = files(layer)
        assert paths, f"{layer}/ has no files"
        for path in paths:
            wanted = imports(path.read_text("utf-8"), types=True)
            assert not {w.split(".")[0] for w in wanted} & later, name_of(path)

    def test_the_verifier_imports_nothing_that_finds(self):
        edges = graph()
        found = reached("slth.verify", edges)
        assert {"slth.ticket", "slth.source"} <= found
        finders = ("slth.construct", "slth.subsetsum", "slth.supermask", "slth.pruning")
        assert not [m for m in found if m.startswith(finders)]
        # the search would have seen it: a construction does reach a solver
        assert any(m.startswith("slth.subsetsum.") for m in reached("slth.construct.pensia", edges))

    def test_nor_does_it_at_run_time(self):
        loaded = modules_after("import slth.verify, slth.certify.propagate, slth.ticket")
        assert "slth.verify" in loaded
        assert not [m for m in loaded if m.startswith(("slth.construct", "slth.subsetsum"))]


def modules_after(statement: str) -> list[str]:
    """The modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys, json\nsys.stdout.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return list(json.loads(done.stdout))


class TestTheDoor:
    def test_importing_slth_loads_nothing_heavy(self):
        loaded = modules_after("import slth")
        assert not [heavy for heavy in HEAVY if heavy in loaded]
        assert "torch" in modules_after("import slth, torch")

    def test_nor_does_any_package_of_it(self):
        packages = [module_of(p) for p in files("slth") if p.name == "__init__.py"]
        assert len(packages) > len(ROOMS)
        loaded = modules_after("import " + ", ".join(packages))
        assert not [heavy for heavy in HEAVY if heavy in loaded]

    @pytest.mark.parametrize("layer", LAYERS[:-1])
    def test_no_import_reads_the_world(self, layer):
        for path in files(layer):
            assert not list(reads_at_import(path.read_text("utf-8"))), name_of(path)

    @pytest.mark.parametrize(
        "offence",
        [
            "import os\nN = os.environ.get('N')",
            "import os\nN = os.getenv('N')",
            "import sys\nARGS = sys.argv[1:]",
            "import time\nSTART = time.time()",
            "import datetime\ndef f(now=datetime.datetime.now()): ...",
            "import numpy as np\nclass A:\n    rng = np.random.default_rng(0)",
            "import numpy as np\n@np.random.seed(0)\ndef f(): ...",
            "import torch\ntorch.manual_seed(0)",
            "from time import perf_counter",
            "from os import environ",
            "import argparse\nP = argparse.ArgumentParser().parse_args()",
        ],
    )
    def test_a_planted_reading_is_seen(self, offence):
        assert list(reads_at_import(offence))

    def test_an_innocent_module_is_left_alone(self):
        innocent = """
import os, sys, time
import numpy as np
x: np.random.Generator | None = None
def f(rng: np.random.Generator) -> float:
    return time.time() + float(os.environ["A"])
if __name__ == "__main__":
    sys.exit(f(sys.argv))
"""
        assert not list(reads_at_import(innocent))


WORLD = re.compile(
    r"^(os\.(environ|getenv|urandom|getpid)|sys\.argv|time\.\w+|random\.\w+|secrets\.\w+|uuid\.\w+"
    r"|(datetime\.)?(datetime|date)\.(now|today|utcnow)|(np|numpy)\.random\.\w+"
    r"|torch\.(manual_seed|rand\w*|Generator|seed)|socket\.\w+|platform\.node)\b"
)
WORLD_NAMES = {"environ", "getenv", "urandom", "argv", "perf_counter", "monotonic", "time"}


def reads_at_import(source: str) -> Iterator[str]:
    """What a module's import reads of argv, environment, clock or randomness.

    Function bodies run later and annotations never; defaults, decorators and class bodies run now.
    """
    stack: list[ast.AST] = [ast.parse(source)]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            stack += [*node.decorator_list, *node.args.defaults]
            stack += [d for d in node.args.kw_defaults if d is not None]
        elif isinstance(node, ast.Lambda):
            stack += node.args.defaults
        elif isinstance(node, ast.AnnAssign):
            stack += [node.value] if node.value else []
        elif isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            continue
        elif isinstance(node, ast.ImportFrom) and node.module in {"os", "sys", "time", "random"}:
            yield from (a.name for a in node.names if a.name in WORLD_NAMES)
        elif isinstance(node, ast.Attribute) and WORLD.match(dotted(node)):
            yield dotted(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("parse_args"):
            yield "parse_args"
        else:
            stack.extend(ast.iter_child_nodes(node))


GLOBAL_STATE = re.compile(
    r"^((np|numpy)\.random\.(?!Generator$|SeedSequence$|default_rng$|PCG64$|Philox$)\w+"
    r"|torch\.(manual_seed|seed)|random\.(?!Random$)\w+|torch\.random\.\w+)$"
)
DRAWS = re.compile(
    r"^((np|numpy)\.random\.(?!Generator$)\w+|torch\.(rand\w*|normal|bernoulli|Generator)"
    r"|torch\.nn\.init\.\w+)$"
)


def draws(source: str) -> set[str]:
    """Names by which a source makes random numbers rather than being handed a generator."""
    names = {
        dotted(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)
    }
    modules = imports(source) & {"random", "secrets", "numpy.random", "torch.random"}
    return {name for name in names if DRAWS.match(name)} | modules


def global_state(source: str) -> set[str]:
    """Uses of generators that everybody shares, and of generators seeded by nobody."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and GLOBAL_STATE.match(dotted(node)):
            found.add(dotted(node))
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            name = dotted(node.func)
            found |= (
                {name} if name.endswith((".default_rng", ".SeedSequence", ".Random")) else set()
            )
    return found


class TestRandomness:
    def test_planted_draws_are_seen(self):
        assert draws("import numpy as np\nnp.random.default_rng(0)")
        assert draws("import torch\ndef f():\n    return torch.randn(3)")
        assert draws("import random")
        assert not draws("import numpy as np\ndef f(rng: np.random.Generator): return rng.random()")
        assert global_state("import numpy as np\nnp.random.seed(0)")
        assert global_state("import numpy as np\nx = np.random.default_rng()")
        assert global_state("import torch\ntorch.manual_seed(1)")
        assert not global_state("import torch\ng = torch.Generator().manual_seed(1)")

    def test_only_the_listed_files_draw(self):
        found = {name_of(p): draws(p.read_text("utf-8")) for p in files("slth")}
        drawing = {name for name, used in found.items() if used}
        assert drawing <= set(MAY_DRAW), "take a Generator, or state a reason in MAY_DRAW"
        assert set(MAY_DRAW) <= drawing, "MAY_DRAW lists a file that draws nothing"

    def test_only_the_source_draws_weights(self):
        users = {name_of(p) for p in files("slth") if uses_the_engine(p.read_text("utf-8"))}
        assert "slth/source.py" in users
        assert users <= MAY_USE_THE_ENGINE

    @pytest.mark.parametrize("layer", LAYERS)
    def test_nobody_uses_shared_or_unseeded_generators(self, layer):
        for path in files(layer):
            assert not global_state(path.read_text("utf-8")), name_of(path)


def uses_the_engine(source: str) -> bool:
    return any(module.startswith("slth.philox") for module in imports(source))


class TestPlugins:
    def test_every_folder_is_a_room_or_plain(self):
        folders = {p.parent.name for p in (ROOT / "slth").glob("*/__init__.py")}
        assert folders == set(ROOMS) | PLAIN, "say whether a new folder holds plug-ins"

    @pytest.mark.parametrize("room", ROOMS)
    def test_each_file_holds_exactly_one(self, room):
        base = getattr(import_module(f"slth.{room}"), ROOMS[room])
        names = plugins.names(f"slth.{room}")
        public = {p.stem for p in (ROOT / "slth" / room).glob("*.py") if p.stem[0] != "_"}
        assert set(names) == public
        assert len(names) >= 2, f"slth/{room}/ is nearly empty"
        for name in names:
            found = plugins.load(f"slth.{room}", name, base)
            assert dataclasses.is_dataclass(found), name
            assert found.__dataclass_params__.frozen, name
            assert found.__doc__, name
            found()  # options have defaults, so a command can offer each of them

    @pytest.mark.parametrize("count", [0, 2])
    def test_none_or_two_in_a_file_is_an_error(self, count, tmp_path, monkeypatch):
        room = tmp_path / f"planted_room_{count}"
        room.mkdir()
        (room / "__init__.py").write_text("class Base: ...\n")
        body = f"from {room.name} import Base\nfrom typing import final\n"
        body += "".join(f"@final\nclass Plug{k}(Base): ...\n" for k in range(count))
        (room / "thing.py").write_text(body)
        monkeypatch.syspath_prepend(str(tmp_path))
        base = import_module(room.name).Base
        with pytest.raises(TypeError, match="must define one"):
            plugins.load(room.name, "thing", base)

    def test_dataclasses_are_frozen(self):
        loose = [name_of(p) for p in files("slth") if has_loose_dataclass(p.read_text("utf-8"))]
        assert has_loose_dataclass("@dataclass\nclass A: ...")
        assert not loose


def has_loose_dataclass(source: str) -> bool:
    """Whether a public dataclass can be changed; private ones may be somebody's bookkeeping."""
    marks = [
        ast.unparse(mark)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        for mark in node.decorator_list
    ]
    return any("dataclass" in mark and "frozen=True" not in mark for mark in marks)


# Absolute paths of somebody's machine, and private addresses.
PLACES = re.compile(
    r"(?<![\w.~])/(home|root|work|tmp|Users|mnt|opt|srv|scratch|var)/\w"
    r"|\b(10\.\d+|192\.168)\.\d+\.\d+\b"
)


class TestNoPlaces:
    def test_a_planted_path_is_seen(self):
        assert PLACES.search("open('/" + "home/somebody/x')")
        assert PLACES.search("tcp://192." + "168.0.1:80")
        assert not PLACES.search("a relative/home/x, version 10.2, https://arxiv.org/abs/1")

    def test_no_file_names_a_machine(self):
        checked = 0
        for path in project_texts():
            match = PLACES.search(path.read_text("utf-8"))
            assert match is None, f"{name_of(path)}: {match.group()}"
            checked += 1
        assert checked > 20


def project_texts() -> Iterator[Path]:
    kinds = {".py", ".md", ".toml", ".txt", ".cff", ".json", ".csv", ".svg", ""}
    yield from (p for p in ROOT.iterdir() if p.is_file() and p.suffix in kinds)
    for folder in (*LAYERS, ".ci"):
        yield from (
            p
            for p in (ROOT / folder).rglob("*")
            if p.is_file() and p.suffix in kinds and "__pycache__" not in p.parts
        )

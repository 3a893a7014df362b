"""What installing relies on: pins for all that the extras pull in, and every data file packaged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert len({canonical(r.name) for r in found}) == len(found), "pinned twice"
    return {canonical(r.name): r for r in found}


def pulled_in():
    """Every distribution that slth[test] needs here, found by walking the installed metadata."""
    seen, queue = set(), [("slth", "test")]
    while queue:
        name, extra = queue.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for line in metadata.requires(name) or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                queue += [(canonical(need.name), e) for e in (*need.extras, "")]
    return {name for name, _ in seen} - {"slth"}


def test_every_package_that_the_tests_pull_in_is_pinned_once():
    own = re.compile(r"nvidia-|cuda-|triton$")  # belong to torch's CUDA build alone
    missing = {name for name in pulled_in() - set(pins()) if not own.match(name)}
    assert not missing


def test_pins_are_exact_and_free_of_builds_and_markers():
    for name, pin in pins().items():
        (only,) = pin.specifier
        assert only.operator == "==", name
        assert Version(only.version).local is None, name
        assert pin.marker is None, name
    assert str(pins()["torch"].specifier) == "==2.13.0"


def test_pins_lie_within_the_project_s_own_ranges():
    project = PROJECT["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    for need in map(Requirement, lines):
        if canonical(need.name) != "slth":
            (only,) = pins()[canonical(need.name)].specifier
            assert need.specifier.contains(only.version), need


def test_every_data_file_of_the_library_is_in_the_wheel():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["slth"]
    library = ROOT / "slth"
    for path in library.rglob("*"):
        inside = path.relative_to(library)
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in inside.parts:
            assert any(fnmatch(str(inside), pattern) for pattern in patterns), inside


def test_every_folder_of_the_library_is_a_package():
    for path in (ROOT / "slth").rglob("*.py"):
        assert (path.parent / "__init__.py").is_file(), path


def test_version_is_the_same_everywhere():
    version = PROJECT["project"]["version"]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert version in (ROOT / "CHANGELOG.md").read_text()


def test_ci_is_a_script_that_ends_with_the_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert script.read_text().splitlines()[-1].endswith("make --no-print-directory test")


@pytest.mark.parametrize("target", ["demo", "test", "bench", "lint", "types", "smoke", "prove"])
def test_make_knows_every_command_the_readme_names(target):
    command = ["make", "--dry-run", f"PYTHON={sys.executable}", target]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert ".venv/bin/" in shown

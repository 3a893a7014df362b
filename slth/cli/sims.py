"""Finding and running the simulations of the checkout that holds this slth."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import slth
from slth.errors import BadInput


def checkout() -> Path:
    """The folder above `slth/` that has the simulations; BadInput where slth is a bare install."""
    root = Path(slth.__file__).resolve().parent.parent
    if not ((root / "sims").is_dir() and (root / "pyproject.toml").is_file()):
        raise BadInput(
            "slth sim",
            "an slth installed without its repository",
            "a checkout of the slth repository, which has the folder sims/ beside slth/",
            "clone the slth repository and run pip install -e . in it",
        )
    return root


def simulations(root: Path) -> dict[str, str]:
    """Name → first line of the docstring; nothing is imported."""
    return {
        path.stem: (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
        for path in sorted((root / "sims").glob("*.py"))
        if not path.name.startswith("_")
    }


def run(name: str, arguments: list[str]) -> int:
    """Run `python -m sims.NAME` in the checkout and return its exit status."""
    root = checkout()
    module = name.replace("-", "_").removesuffix(".py")
    known = simulations(root)
    if module not in known:
        raise BadInput("simulation", name, ", ".join(known), "choose one of these")
    with subprocess.Popen([sys.executable, "-m", f"sims.{module}", *arguments], cwd=root) as child:
        while True:
            try:
                status = child.wait()
            except KeyboardInterrupt:
                continue  # the child got it too, and ends in its own way
            return status if status >= 0 else 128 - status

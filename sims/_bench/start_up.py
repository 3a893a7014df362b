"""What a user waits for before anything happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

from sims._bench import Row, timed


def start_up() -> Iterator[Row]:
    group = "start-up, a fresh process each"
    for name, arguments, goal in (
        ("python -c pass", ["-c", "pass"], None),
        ("import slth", ["-c", "import slth"], 0.3),
        ("slth --help", ["-m", "slth.cli", "--help"], 0.5),
    ):
        command = [sys.executable, *arguments]
        row = timed(
            group, name, "start",
            lambda c=command: subprocess.run(c, check=True, capture_output=True), goal=goal,
        )  # fmt: skip
        yield replace(row, core_seconds=None)  # the children's time is not this process's

"""Tiny cells that spawned workers can import: deterministic arithmetic, and ways to go wrong."""

from __future__ import annotations

import hashlib
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from slth.sweep import CellsFailed, Sweep, run


def cell(seed: int, width: int, pause: float = 0.02, log: str | None = None) -> dict[str, Any]:
    """Numbers of every kind from (seed, width); ``log`` collects one line per call."""
    if log is not None:
        with Path(log).open("a") as file:
            file.write(f"{seed}\n")
    time.sleep(pause)
    word = int(hashlib.sha256(f"{seed},{width}".encode()).hexdigest()[:12], 16)
    return {
        "error": math.exp(-word / 2**44),
        "tiny": 5e-324 * (word % 3),
        "odd": [math.inf, -math.inf, math.nan][seed % 3],
        "parts": [word % 7, 0.1 * (word % 7)],
        "fine": word % 2 == 0,
        "nothing": None,
    }


def fails(seed: int, cure: str) -> dict[str, Any]:
    """Raises for odd seeds until the file ``cure`` exists."""
    if seed % 2 and not Path(cure).exists():
        raise ValueError(f"seed {seed}\nis odd")
    return {"half": seed / 2}


def kills(seed: int) -> dict[str, Any]:
    """Kills its own worker for seed 1."""
    if seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"twice": 2 * seed}


def threads(seed: int) -> dict[str, Any]:
    """What the worker's environment says, and which worker it is."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "WARMED")
    time.sleep(0.05)
    return {"pid": os.getpid()} | {name: os.environ.get(name) for name in names}


def warm() -> None:
    """Marks the worker that was warmed."""
    os.environ["WARMED"] = "yes"


def returns_a_list(seed: int) -> Any:
    """Not a dict."""
    return [seed]


def returns_an_object(seed: int) -> dict[str, Any]:
    """Not JSON-able."""
    return {"what": object()}


def repeats_a_parameter(seed: int) -> dict[str, Any]:
    """Its result would hide a parameter."""
    return {"seed": seed + 1}


def grid(count: int, pause: float = 0.02, log: Path | None = None) -> list[dict[str, Any]]:
    """``count`` cells."""
    extra = {} if log is None else {"log": str(log)}
    return [{"seed": s, "width": 3 + s % 4, "pause": pause, **extra} for s in range(count)]


def main(store: str, table: str, log: str, count: int, pause: float, workers: int) -> None:
    """The script that tests kill and start again."""
    sweep = Sweep("tiny", "tests.sweep_cells:cell", grid(count, pause, Path(log)), Path(store))
    try:
        run(sweep, workers=workers, progress=True).table(Path(table))
    except CellsFailed as failed:
        sys.exit(str(failed))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6]))

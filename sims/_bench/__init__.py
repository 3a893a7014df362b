"""What `python -m sims.bench` measures: a file a subject, each with a generator of its own name.

A file NAME.py defines `NAME() -> Iterator[Row]`; nothing else is edited by hand. Files that start
with an underscore are helpers.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

SEED = 20
BENCH_EXTRA = "not installed: pip install 'slth[bench]'"
# What is measured first stands first; whatever else is found follows by name.
ORDER = ("start_up", "optimum", "shared_values", "first_hit", "scaling", "other_solvers", "tickets")


@dataclass(frozen=True)
class Row:
    """seconds: median a unit, None if not run; spread: (least, most) of the repeats.

    core_seconds: median CPU time a unit, of all threads; n: values a weight, where that is what the
    group varies; peak, peak_goal: bytes that a fresh process held at most, and may.
    """

    group: str
    name: str
    unit: str
    seconds: float | None
    spread: tuple[float, float] | None = None
    repeats: int = 0
    goal: float | None = None
    note: str = ""
    core_seconds: float | None = None
    n: int | None = None
    peak: float | None = None
    peak_goal: float | None = None


def timed(
    group: str,
    name: str,
    unit: str,
    work: Callable[[], object],
    *,
    units: int = 1,
    repeats: int = 7,
    goal: float | None = None,
    note: str = "",
    warm: bool = True,
    n: int | None = None,
) -> Row:
    """The row of `work`, which does `units` units a call."""
    if warm:
        work()
    seconds, cores = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        work()
        seconds.append((time.perf_counter() - start) / units)
        cores.append((time.process_time() - used) / units)
    return Row(
        group, name, unit, statistics.median(seconds), (min(seconds), max(seconds)), repeats,
        goal, note, statistics.median(cores), n,
    )  # fmt: skip


def plural(threads: int) -> str:
    return f"{threads} thread" + "s" * (threads > 1)


def installed(module: str) -> bool:
    return find_spec(module) is not None


# A child's maximum by getrusage starts from its parent's on Linux, whose own count does not.
PEAK = """
def peak():
    try:
        lines = open("/proc/self/status").read().splitlines()
        return 1024 * int(next(x for x in lines if x.startswith("VmHWM")).split()[1])
    except OSError:
        import resource, sys
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""


def in_fresh_process(code: str) -> tuple[float, float, str]:
    """(seconds, peak bytes, note) that the code prints, which may call `peak()`."""
    command = [sys.executable, "-c", PEAK + code]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak, note = shown.stdout.strip().split("|")
    return float(seconds), float(peak), note


def groups() -> dict[str, Callable[[], Iterator[Row]]]:
    """Every subject by name, in the order in which they are measured."""
    folder = Path(__file__).parent
    names = sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))
    names.sort(key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return {name: getattr(import_module(f"{__name__}.{name}"), name) for name in names}


def caches() -> dict[str, int]:
    """Bytes of the first core's data caches by level, as the system tells; empty where it does not.

    Linux's sysfs says what this core sees; a virtual machine's own answer may differ by level.
    """
    found: dict[str, int] = {}
    for entry in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind, level, size = ((entry / part).read_text().strip() for part in PARTS)
        except OSError:
            continue
        if kind != "Instruction" and size.endswith("K"):
            found[f"L{level}"] = 1024 * int(size[:-1])
    return found


PARTS = ("type", "level", "size")


def machine() -> dict[str, object]:
    """What the figures depend on, without anything that names the machine."""
    import numba
    import numpy as np
    import scipy

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "scipy": scipy.__version__,
        "architecture": platform.machine(),
        "cores": cores,
        "caches": caches(),
    }

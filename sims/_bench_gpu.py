"""What a GPU makes of a million optima: `python -m sims._bench_gpu` on a machine with one.

Three goals of the search by torch and Triton, each a median of repeats after a call that compiles:
the whole call (host to host: copies, search, masks, exact errors), the search alone (values on the
device already), and `MeetInTheMiddle` on every core beside it. All masks must be those of the CPU.
Where torch sees no CUDA device, the rows say so and nothing is timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np

from slth.subsetsum import Problem, Solution, Solver
from slth.subsetsum.first_hit import FirstHit
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle
from slth.subsetsum.torch_first_hit import TorchFirstHit
from slth.subsetsum.torch_meet_in_the_middle import TorchMeetInTheMiddle

SEED, ROWS, N, REPEATS, GOAL = 23, 1_000_000, 20, 7, 0.5


@dataclass(frozen=True)
class Timing:
    """seconds: of every repeat, ascending, or None if not run; goal: what the median is to beat."""

    name: str
    seconds: tuple[float, ...] | None = None
    goal: float | None = None
    note: str = ""

    def shown(self) -> str:
        if self.seconds is None:
            return f"{self.name}: not run: {self.note}"
        median = statistics.median(self.seconds)
        met = "" if self.goal is None else f", goal {self.goal:g} s: {_yes(median < self.goal)}"
        span = f"{self.seconds[0]:.4g} to {self.seconds[-1]:.4g}"
        return f"{self.name}: {median:.4g} s ({span}){met}; {self.note}"


def _yes(met: bool) -> str:
    return "yes" if met else "NO"


def timed(name: str, work: Callable[[], object], repeats: int, note: str = "") -> Timing:
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return Timing(name, tuple(sorted(seconds)), note=note)


def named(device: str) -> tuple[str, str | None]:
    """(the device's name, why it cannot be used or None)."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        return device, f"torch {torch.__version__} sees no CUDA device here"
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device), None
    return device, None


def timings(device: str = "cuda", rows: int = ROWS, repeats: int = REPEATS) -> Iterator[Timing]:
    """A million optima of 20 values each, and first hits among 40 products."""
    label = f"{rows:,} exact optima, n = {N}"
    name, missing = named(device)
    if missing is not None:
        yield Timing(label, goal=GOAL, note=missing)
        return
    rng = np.random.default_rng(SEED)
    problem = Problem(rng.uniform(-1, 1, (rows, N)), rng.uniform(-0.5, 0.5, rows))
    solver = TorchMeetInTheMiddle(device=device)
    kernel = "Triton" if uses_triton(device) else "sort and search"
    whole = compared(label, solver, MeetInTheMiddle(), problem, repeats)
    yield replace(whole, goal=GOAL, note=f"{name}, {kernel}, host to host, {whole.note}")
    yield timed(f"{label}, search alone", searches(problem, device), repeats, f"{name}, {kernel}")
    if kernel == "Triton":
        with mock.patch("slth.subsetsum._torch.TRITON_MOST", 0):
            found = compared(label, solver, MeetInTheMiddle(), problem, repeats)
        yield replace(found, note=f"{name}, sort and search, host to host, {found.note}")
    yield timed(f"{label}, numba, all cores", lambda: MeetInTheMiddle()(problem), min(3, repeats))
    values = rng.uniform(-1, 1, (rows, 40)) * rng.uniform(0, 1, (rows, 40))
    for epsilon in (0.01, 4e-6):
        label = f"{rows:,} first hits within {epsilon:g} among 40 products"
        products = Problem(values, rng.uniform(-0.2, 0.2, rows), epsilon)
        found = compared(label, TorchFirstHit(device=device), FirstHit(), products, min(3, repeats))
        yield replace(found, note=f"{name}, host to host, {found.note}")
        yield timed(f"{label}, numba, all cores", lambda p=products: FirstHit()(p), 1)  # type: ignore[misc]


def uses_triton(device: str) -> bool:
    from importlib.util import find_spec

    return device.startswith("cuda") and find_spec("triton") is not None


def compared(label: str, ours: Solver, numba: Solver, problem: Problem, repeats: int) -> Timing:
    """The time of ours; the note says how many masks are not numba's."""
    a, b = ours(problem), numba(problem)
    found = timed(label, lambda: ours(problem), repeats)
    return replace(found, note=f"{differing(a, b)} masks or errors differ from numba's")


def differing(a: Solution, b: Solution) -> int:
    return int(((a.mask != b.mask).any(axis=1) | (a.error != b.error)).sum())


def searches(problem: Problem, device: str) -> Callable[[], None]:
    """The search of every row, all on the device and waited for."""
    import torch

    from slth.subsetsum._torch import ENTRY, fitting, nearest

    values = torch.tensor(problem.values, device=device)
    wanted = 2.0 * torch.tensor(problem.targets, device=device) - values.sum(1)
    step = fitting(ENTRY * 2 ** (N // 2), values.device)

    def work() -> None:
        for v, w in zip(torch.split(values, step), torch.split(wanted, step), strict=True):
            nearest(v, w)
        if values.is_cuda:
            torch.cuda.synchronize(values.device)

    return work


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", help="torch's name of it [cuda]")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"subset sums [{ROWS}]")
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"of each [{REPEATS}]")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="output folder")
    options = parser.parse_args(arguments)
    found = []
    for timing in timings(options.device, options.rows, options.repeats):
        found.append(timing)
        print(timing.shown(), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(timing) for timing in found], indent=1)
    (options.out / "bench_gpu.json").write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How long things take: `python -m sims.bench` writes out/bench/bench.json and bench.txt.

Each row is the median of repeats on this machine after a first call that compiles; a ratio compares
with the first row of its group in the same run, so a busy machine slows both sides. Peers that are
not installed get a row that says so. To add a row: write a function that yields `Row`s and put it
in GROUPS.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from slth.subsetsum import Floats, Problem
from slth.subsetsum.first_hit import FirstHit
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle

SEED = 20
BENCH_EXTRA = "not installed: pip install 'slth[bench]'"


@dataclass(frozen=True)
class Row:
    """seconds: median a unit, None if not run; spread: (least, most) of the repeats."""

    group: str
    name: str
    unit: str
    seconds: float | None
    spread: tuple[float, float] | None = None
    repeats: int = 0
    goal: float | None = None
    note: str = ""


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
) -> Row:
    """The row of `work`, which does `units` units a call."""
    if warm:
        work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append((time.perf_counter() - start) / units)
    span = (min(seconds), max(seconds))
    return Row(group, name, unit, statistics.median(seconds), span, repeats, goal, note)


def numpy_optimum(values: Floats, target: float) -> float:
    """The textbook meet in the middle: what twenty lines of NumPy do."""
    halves = []
    for half in (values[: len(values) // 2], values[len(values) // 2 :]):
        sums = np.zeros(1)
        for v in half:
            sums = np.concatenate([sums, sums + v])
        halves.append(sums)
    left, right = halves[0], np.sort(halves[1])
    at = np.searchsorted(right, target - left)
    below, above = right[np.maximum(at - 1, 0)], right[np.minimum(at, len(right) - 1)]
    near = np.minimum(np.abs(left + below - target), np.abs(left + above - target))
    return float(near.min())


def gurobi_optimum(values: Floats, target: float) -> float:
    import gurobipy

    with gurobipy.Env(params={"OutputFlag": 0}) as env, gurobipy.Model(env=env) as model:
        model.Params.MIPGap = 0.0
        model.Params.FeasibilityTol = model.Params.IntFeasTol = 1e-9
        model.Params.TimeLimit = 60
        x = model.addMVar(len(values), vtype="B")
        z = model.addVar()
        model.addConstr(values @ x - target <= z)
        model.addConstr(target - values @ x <= z)
        model.setObjective(z)
        model.optimize()
        return abs(float(values @ (x.X > 0.5)) - target)


def cpsat_optimum(values: Floats, target: float) -> float:
    from ortools.sat.python import cp_model

    whole = np.round(values * 2.0**30).astype(int)
    aim = round(target * 2.0**30)
    model = cp_model.CpModel()
    x = [model.new_bool_var(f"x{i}") for i in range(len(values))]
    z = model.new_int_var(0, 2**40, "z")
    total = sum(int(w) * b for w, b in zip(whole, x, strict=True)) - aim
    model.add(total <= z)
    model.add(-total <= z)
    model.minimize(z)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = 60
    solver.solve(model)
    return abs(float(values @ np.array([solver.value(b) for b in x])) - target)


def highs_optimum(values: Floats, target: float) -> float:
    from slth.subsetsum.highs import Highs

    return float(Highs()(Problem(values, [target])).error[0])


def optimum() -> Iterator[Row]:
    """Exact optimum, 21 usable values a weight, every weight its own."""
    group, unit = "exact optimum, n = 21, own values", "weight"
    rng = np.random.default_rng(SEED)
    count = 4000
    values, targets = rng.uniform(-1, 1, (count, 21)), rng.uniform(-0.5, 0.5, count)
    problem = Problem(values, targets)
    for threads, goal in ((2, None), (1, 12e-6)):
        solver = MeetInTheMiddle(threads=threads)
        name = f"MeetInTheMiddle, {threads} thread" + "s" * (threads > 1)
        yield timed(group, name, unit, lambda s=solver: s(problem), units=count, goal=goal)
    shared = Problem(values[0], targets)
    one = MeetInTheMiddle(threads=2)
    yield timed(
        group, "MeetInTheMiddle, values shared, 2 threads", unit, lambda: one(shared), units=count
    )
    ours = MeetInTheMiddle()(problem).error
    peers: tuple[tuple[str, str | None, Callable[[Floats, float], float], int], ...] = (
        ("plain NumPy", None, numpy_optimum, 200),
        ("gurobipy", "gurobipy", gurobi_optimum, 3),
        ("OR-tools CP-SAT", "ortools", cpsat_optimum, 3),
        ("HiGHS (scipy milp)", None, highs_optimum, 3),
    )
    for name, module, solve, cases in peers:
        if module is not None and not _installed(module):
            yield Row(group, name, unit, None, note=BENCH_EXTRA)
            continue
        yield _peer(group, name, unit, solve, values[:cases], targets[:cases], ours[:cases])


def _peer(
    group: str,
    name: str,
    unit: str,
    solve: Callable[[Floats, float], float],
    values: Floats,
    targets: Floats,
    ours: Floats,
) -> Row:
    """One run an instance, because a peer's seconds differ between instances more than runs."""
    solve(values[0][:6], targets[0])  # imports and licence checks
    seconds, errors = [], []
    for row, target in zip(values, targets, strict=True):
        start = time.perf_counter()
        errors.append(solve(row, target))
        seconds.append(time.perf_counter() - start)
    span = (min(seconds), max(seconds))
    # one last digit: peers add in floats, ours is rounded up from the exact sum
    worse = int(np.sum(np.array(errors) > ours + 1e-15))
    note = f"{len(ours)} instances, {worse} of them not the optimum to 1e-15"
    return Row(group, name, unit, statistics.median(seconds), span, len(ours), note=note)


def first_hit() -> Iterator[Row]:
    """A subset within epsilon: products of two uniforms conditioned on u > 0, 40 a weight."""
    rng = np.random.default_rng(SEED + 1)
    for epsilon, count, goal in ((0.01, 100_000, 0.4e-6), (4e-6, 10_000, 200e-6)):
        group = f"first hit, epsilon = {epsilon:g}"
        values = rng.uniform(-1, 1, (count, 40)) * rng.uniform(0, 1, (count, 40))
        problem = Problem(values, rng.uniform(-0.2, 0.2, count), epsilon)
        for threads in (1, 2):
            solver = FirstHit(threads=threads)
            solved = float((solver(problem).status == 0).mean())
            yield timed(
                group,
                f"FirstHit, {threads} thread" + "s" * (threads > 1),
                "weight",
                lambda s=solver, p=problem: s(p),
                units=count,
                goal=goal if threads == 1 else None,
                note=f"{solved:.2%} solved",
            )


def tickets() -> Iterator[Row]:
    """Whole networks: the digits target at n = 40, and 784-500-10 by first hit."""
    from slth.certify import certify
    from slth.construct.pensia import Pensia
    from slth.domain import Ball
    from slth.nets import digits

    group, target = "a ticket and its certificate, digits network 64-128-10, n = 40", digits.load()
    best = Pensia()
    source, ball = best.source_for(target, SEED, 40), Ball(1.0, 64)
    ticket = best.build(target, source)

    def whole() -> None:
        certify(target, best.build(target, source).effective, ball)

    yield timed(group, "both", "ticket", whole, repeats=5, goal=5.0)
    yield timed(group, "the ticket", "ticket", lambda: best.build(target, source), repeats=5)
    found = certify(target, ticket.effective, ball)
    yield timed(
        group, "the certificate", "ticket", lambda: certify(target, ticket.effective, ball),
        repeats=5, note=f"upper/lower = {found.upper / found.lower:.2f}",
    )  # fmt: skip
    seconds, peak, note = _in_fresh_process(MNIST)
    name = f"784-500-10 at tolerance 4e-6, first hit, peak {peak / 2**30:.2f} GiB"
    group = "a ticket of 397,000 weights, both halves"
    yield Row(group, name, "ticket", seconds, (seconds, seconds), 1, 90.0, note)


MNIST = """
import resource, time
from slth.construct.pensia import Pensia
from slth.nets import mnist
target = mnist.train_m5k(0)
make = Pensia(tolerance=4e-6)
small = Pensia(tolerance=1e-2)
small.build(target, small.source_for(target, 1, 8))
start = time.perf_counter()
ticket = make.build(target, make.source_for(target, 20, 128))
seconds = time.perf_counter() - start
peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seconds, peak, f"{ticket.claim.unmet} gadgets unmet, density {ticket.density:.4f}", sep="|")
"""


def _in_fresh_process(code: str) -> tuple[float, float, str]:
    """(seconds, peak bytes, note) that the code prints: memory is a process's own."""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, peak, note = shown.stdout.strip().split("|")
    return float(seconds), float(peak), note


def start_up() -> Iterator[Row]:
    """What a user waits for before anything happens."""
    group = "start-up, a fresh process each"
    for name, arguments, goal in (
        ("python -c pass", ["-c", "pass"], None),
        ("import slth", ["-c", "import slth"], 0.3),
        ("slth --help", ["-m", "slth.cli", "--help"], 0.5),
    ):
        command = [sys.executable, *arguments]
        yield timed(
            group, name, "start",
            lambda c=command: subprocess.run(c, check=True, capture_output=True), goal=goal,
        )  # fmt: skip


# Add a function here to add its rows.
GROUPS: dict[str, Callable[[], Iterator[Row]]] = {
    "optimum": optimum,
    "first-hit": first_hit,
    "tickets": tickets,
    "start-up": start_up,
}


def _installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def duration(seconds: float | None) -> str:
    """With a unit that keeps three digits readable."""
    if seconds is None:
        return "-"
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table(rows: list[Row]) -> str:
    """Plain text, one line a row."""
    first: dict[str, float] = {}
    lines = [("what", "median", "of", "range", "ratio", "goal", "")]
    for row in rows:
        if row.group not in first:
            lines.append((row.group, *[""] * 6))
        if row.seconds is not None:
            first.setdefault(row.group, row.seconds)
        span = "" if row.spread is None else " – ".join(map(duration, row.spread))
        ratio = "" if row.seconds is None else f"{row.seconds / first[row.group]:.3g}"
        met = row.goal is not None and row.seconds is not None and row.seconds < row.goal
        goal = "" if row.goal is None else f"< {duration(row.goal)}: {'yes' if met else 'NO'}"
        a_unit = f"{duration(row.seconds)} a {row.unit}"
        lines.append((f"  {row.name}", a_unit, str(row.repeats), span, ratio, goal, row.note))
    widths = [
        max(len(line[i]) for line in lines[:1] + [x for x in lines if x[1]]) for i in range(7)
    ]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def machine() -> dict[str, object]:
    """What the figures depend on, without anything that names the machine."""
    import numba
    import scipy

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "scipy": scipy.__version__,
        "architecture": platform.machine(),
        "cores": cores,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=[*GROUPS], nargs="*", help="measure these groups only")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="output folder")
    parser.add_argument("--smoke", action="store_true", help="start-up times only")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    for name in ["start-up"] if options.smoke else options.only or GROUPS:
        for row in GROUPS[name]():
            rows.append(row)
            print(f"{row.group}: {row.name}: {duration(row.seconds)}", file=sys.stderr)
    text = table(rows)
    options.out.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    (options.out / "bench.json").write_text(json.dumps(record, indent=1) + "\n")
    (options.out / "bench.txt").write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Solvers that PyPI carries, each asked for the subset sum nearest to a target, and what it claims.

Tolerances are as tight as each allows, except in the row that says otherwise: Gurobi as it comes.
Each runs in a process of its own, because two of them bring different builds of one library.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sims._bench import BENCH_EXTRA, Row, installed
from slth.subsetsum import Floats, Problem
from slth.subsetsum._account import errors

LIMIT = 60  # seconds an instance


class Answer(NamedTuple):
    """kept: which values; optimal: whether it says that nothing is better; error: what it says.

    error is None where the peer states none, kept where it found no subset at all.
    """

    kept: NDArray[np.bool_] | None
    optimal: bool
    error: float | None = None


Peer = Callable[[Floats, float], Answer]


def numpy_lists(values: Floats, target: float) -> Answer:
    """The textbook meet in the middle: what twenty lines of NumPy do."""
    halves = []
    for half in (values[: len(values) // 2], values[len(values) // 2 :]):
        sums = np.zeros(1)
        for v in half:
            sums = np.concatenate([sums, sums + v])
        halves.append(sums)
    left, order = halves[0], np.argsort(halves[1])
    right = halves[1][order]
    at = np.searchsorted(right, target - left)
    near = np.stack([np.maximum(at - 1, 0), np.minimum(at, len(right) - 1)])
    distance = np.abs(left + right[near] - target)
    side, i = np.unravel_index(distance.argmin(), distance.shape)
    bits = int(i) | int(order[near[side, i]]) << (len(values) // 2)
    kept = (bits >> np.arange(len(values)) & 1).astype(np.bool_)
    return Answer(kept, True, float(distance.min()))


def gurobi(values: Floats, target: float, tight: bool = True) -> Answer:
    import gurobipy

    with gurobipy.Env(params={"OutputFlag": 0}) as env, gurobipy.Model(env=env) as model:
        model.Params.TimeLimit = LIMIT
        if tight:
            model.Params.MIPGap = model.Params.MIPGapAbs = 0.0
            model.Params.FeasibilityTol = model.Params.IntFeasTol = 1e-9
        x, z = model.addMVar(len(values), vtype="B"), model.addVar()
        model.addConstr(values @ x - target <= z)
        model.addConstr(target - values @ x <= z)
        model.setObjective(z)
        model.optimize()
        optimal = bool(model.Status == gurobipy.GRB.OPTIMAL)
        return Answer(x.X > 0.5, optimal, float(model.ObjVal))


def gurobi_as_it_comes(values: Floats, target: float) -> Answer:
    return gurobi(values, target, tight=False)


def cp_sat(values: Floats, target: float) -> Answer:
    """Values rounded to multiples of 2^-30, because CP-SAT takes integers only."""
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
    solver.parameters.max_time_in_seconds = LIMIT
    optimal = solver.solve(model) == cp_model.OPTIMAL
    kept = np.array([solver.value(b) for b in x]) > 0
    return Answer(kept, optimal, solver.objective_value * 2.0**-30)


def scipy_milp(values: Floats, target: float) -> Answer:
    from scipy.optimize import Bounds, LinearConstraint, milp

    n = len(values)
    rows = np.array([[*values, -1.0], [*values, 1.0]])
    found = milp(
        np.r_[np.zeros(n), 1.0],
        integrality=np.r_[np.ones(n), 0],
        bounds=Bounds(0, np.r_[np.ones(n), np.inf]),
        constraints=LinearConstraint(rows, [-np.inf, target], [target, np.inf]),
        options={"mip_rel_gap": 0.0, "time_limit": LIMIT},
    )
    return Answer(found.x[:n] > 0.5, found.status == 0, float(found.fun))


def highs(values: Floats, target: float) -> Answer:
    import highspy

    model = highspy.Highs()
    model.silent()
    for option, value in (
        ("mip_rel_gap", 0.0), ("mip_abs_gap", 0.0), ("mip_feasibility_tolerance", 1e-10),
        ("primal_feasibility_tolerance", 1e-10), ("time_limit", float(LIMIT)),
    ):  # fmt: skip
        model.setOptionValue(option, value)
    x, z = model.addBinaries(len(values)), model.addVariable(lb=0.0)
    total = sum(float(v) * b for v, b in zip(values, x, strict=True))
    model.addConstr(total - z <= target)
    model.addConstr(total + z >= target)
    model.minimize(z)
    optimal = model.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return Answer(np.array(model.vals(x)) > 0.5, optimal, float(model.getObjectiveValue()))


def karmarkar_karp(values: Floats, target: float) -> Answer:
    """prtpy halves |values| and what the target lacks: a heuristic, which claims nothing."""
    import prtpy

    missing = 2.0 * target - float(values.sum())
    items = {k: abs(float(v)) for k, v in enumerate([*values, missing])}
    bins = prtpy.partition(
        algorithm=prtpy.partitioning.kk, numbins=2, items=items, outputtype=prtpy.out.Partition
    )
    # signed values balance what is missing: a value counts as plus on the other side of it
    other = np.isin(np.arange(len(values)), bins[0 if len(values) in bins[1] else 1])
    plus = other if missing > 0 else ~other
    return Answer(plus ^ (values < 0), False)


def flsss(values: Floats, target: float, epsilon: float) -> Answer:
    """One subset within epsilon, of values rounded to multiples of 2^-40."""
    from flsss import gen

    whole = np.round(values * 2.0**40).astype(np.int64)
    low, high = (np.array([round((target + e) * 2.0**40)]) for e in (-epsilon, epsilon))
    found = gen(whole.reshape(-1, 1), low, high, n_threads=1, time_limit=LIMIT)
    if not found:
        return Answer(None, False)
    return Answer(np.isin(np.arange(len(values)), found[0]), False)


# name, module that must be there, function, instances
OPTIMA: tuple[tuple[str, str, Peer, int], ...] = (
    ("plain NumPy", "numpy", numpy_lists, 200),
    ("gurobipy", "gurobipy", gurobi, 5),
    ("gurobipy, its own tolerances", "gurobipy", gurobi_as_it_comes, 5),
    ("OR-tools CP-SAT", "ortools", cp_sat, 5),
    ("HiGHS (highspy)", "highspy", highs, 5),
    ("HiGHS (scipy milp)", "scipy", scipy_milp, 5),
    ("prtpy, Karmarkar–Karp", "prtpy", karmarkar_karp, 200),
)


def asked(
    solve: Peer, values: Floats, targets: Floats
) -> tuple[list[float], list[float], list[Answer]]:
    """(seconds, CPU seconds, answer) of each instance, after a small one: imports and licences."""
    solve(values[0][:6], float(targets[0]))
    seconds, cores, answers = [], [], []
    for row, target in zip(values, targets, strict=True):
        start, used = time.perf_counter(), time.process_time()
        answers.append(solve(row, float(target)))
        seconds.append(time.perf_counter() - start)
        cores.append(time.process_time() - used)
    return seconds, cores, answers


def peer_row(
    group: str,
    peer: tuple[str, str, Peer, int],
    unit: str,
    values: Floats,
    targets: Floats,
    said: Callable[[list[Answer], Floats], str],
    n: int | None = None,
) -> Row:
    """One run an instance, because a peer's seconds differ between instances more than runs.

    said: what to note of the answers and their exact errors `[N]` (inf where there is none).
    """
    name, module, solve, cases = peer
    if not installed(module):
        return Row(group, name, unit, None, note=BENCH_EXTRA, n=n)
    values, targets = values[:cases], targets[:cases]
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            seconds, cores, answers = alone.submit(asked, solve, values, targets).result()
    except (ImportError, BrokenExecutor) as error:
        return Row(group, name, unit, None, note=f"does not run here: {error!r}"[:120], n=n)
    kept = np.array([np.zeros(len(v)) if a.kept is None else a.kept
                     for a, v in zip(answers, values, strict=True)], np.bool_)  # fmt: skip
    exact = errors(values, kept, targets, 1)
    exact[[a.kept is None for a in answers]] = np.inf
    return Row(
        group, name, unit, median(seconds), (min(seconds), max(seconds)), len(answers),
        note=said(answers, exact), core_seconds=median(cores), n=n,
    )  # fmt: skip


def optima(values: Floats, targets: Floats) -> Callable[[list[Answer], Floats], str]:
    """Notes which answers are optimal, which only say so, and how wrong the errors are they say."""
    from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle

    def said(answers: list[Answer], exact: Floats) -> str:
        some = len(answers)
        best = MeetInTheMiddle(threads=1)(Problem(values[:some], targets[:some])).error
        missed = exact > best
        claimed = np.array([a.optimal for a in answers])
        text = f"{some} instances, {int(missed.sum())} not optimal"
        text += f", {int((missed & claimed).sum())} of them called optimal" if missed.any() else ""
        told = [(a.error, e) for a, e in zip(answers, exact, strict=True) if a.error is not None]
        off = max((abs(says - is_) for says, is_ in told), default=0.0)
        return text + (f"; its error is {off:.1g} off" if off > 1e-12 else "")

    return said

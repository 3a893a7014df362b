"""Ten million random subset sums of integers in disguise: does any solver ever claim a wrong thing?

A row's values and target are integers times a power of two, from the least subnormal to sums that
may overflow, so what is true of a row is known by counting (`sims/_fuzz/oracle.py`): for small
integers which sums there are and by how many values, for integers of up to 53 bits every subset's
sum. The oracle uses no float and shares no code and no idea with the solvers.

Protocol, fixed before measuring:
- Shapes: small integers, ties, all values equal, duplicates, zeros between, all positive, powers of
  two, integers of 53 bits, integers of 1 to 53 bits. Scales: 2^-1074 to 2^997. Targets: three in
  eight are subset sums, the others one off, midway, near zero, anywhere, just out of reach; in one
  batch of ten, so far off that float sums lose the values. Tolerances: around or at the least
  error, or the float on either side of it.
- Solvers: all, each in the forms it takes (own values a row; values that rows share, by tables of
  every size; vectors); PLAN says how many of each. A batch has one length and one scale.
- Claims, of which none may be wrong once: what a row's error is, which rows are solved, optimal, or
  without a solution, that complete solvers give up nothing where sums are exact (absolute values
  and target below 2^45 units and 2^999), the fewest values, exactly k, the smallest prefix, no zero
  kept. Where sums are rounded, an optimum is one up to the rounding that the solvers state.
- Controls, which must be refuted: ten solvers with a fault each (`sims/_fuzz/planted.py`).
- If none of N claims is wrong, fewer than 3/N of such claims are, with confidence 0.95.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from sims._fuzz.instances import SHAPES
from sims._protocol import Control, Findings, Options, exact, finish, options, run

NAME = "fuzz_subset_sums"
SEED = 2026
BATCH, CELL = 500, 10_000  # rows at most
OWN, SHARED, VECTORS = "own values", "shared values", "vectors"


class Part(NamedTuple):
    """How a solver is tried: on up to `most` values a row, `rows` rows of each shape."""

    solver: str
    form: str
    most: int
    rows: int


PLAN = (
    Part("meet_in_the_middle", OWN, 24, 250_000),
    Part("meet_in_the_middle", OWN, 36, 1_000),
    Part("meet_in_the_middle", SHARED, 24, 220_000),
    Part("first_hit", OWN, 24, 200_000),
    Part("first_hit", SHARED, 24, 20_000),
    Part("minimum_cardinality", OWN, 18, 100_000),
    Part("exactly_k", OWN, 18, 100_000),
    Part("schroeppel_shamir", OWN, 28, 8_000),
    Part("schroeppel_shamir", OWN, 44, 200),
    Part("vector_meet_in_the_middle", VECTORS, 10, 6_000),
    Part("exhaustive", OWN, 12, 15_000),
    Part("exhaustive", VECTORS, 9, 5_000),
    Part("auto", OWN, 20, 50_000),
    Part("auto", SHARED, 24, 30_000),
    Part("auto", VECTORS, 9, 5_000),
    Part("greedy", OWN, 24, 30_000),
    Part("best_single", OWN, 24, 30_000),
    Part("torch_meet_in_the_middle", OWN, 16, 30_000),
    Part("torch_first_hit", OWN, 16, 30_000),
    Part("highs", OWN, 10, 100),
)
KINDS = {
    "first_hit": "first hit",
    "torch_first_hit": "first hit",
    "minimum_cardinality": "sparsest",
    "exactly_k": "sized",
    "greedy": "some",
    "best_single": "some",
    "highs": "some",
}  # all others are "exact"
NEED_EPSILON = {"first_hit", "torch_first_hit", "minimum_cardinality"}


# -- a cell ----------------------------------------------------------------------------------------


@cache
def loaded(name: str) -> Any:
    from slth.subsetsum import load

    return load(name)


def solver_for(name: str, form: str, k: int, rng: np.random.Generator) -> Any:
    """The solver with options that the batch asks for, on one thread."""
    given: dict[str, Any] = {}
    if name not in ("exhaustive", "greedy", "best_single", "highs"):
        given["threads"] = 1
    if name == "exactly_k":
        given["k"] = k
    if name == "meet_in_the_middle" and form == SHARED:
        given["tabled"] = [None, 0, int(rng.integers(1, 17))][rng.integers(0, 3)]
    return loaded(name)(**given)


def cell(
    solver: str, form: str, shape: str, most: int, rows: int, number: int, planted: str = ""
) -> dict[str, Any]:
    """So many random rows: how many claims of each kind were made, how many were wrong."""
    from sims._fuzz.judge import Tally

    keys = [*f"{solver}/{form}/{shape}/{most}/{planted}".encode()]
    rng = np.random.default_rng([SEED, number, *keys])
    tally, start = Tally(), time.process_time()
    done = 0
    while done < rows:
        size = min(BATCH, max(20, rows // 20), rows - done)
        _try(solver, form, shape, most, size, planted, rng, tally)
        done += size
    return {
        "made": tally.made,
        "wrong": tally.wrong,
        "example": tally.example,
        "seconds": time.process_time() - start,
    }


def _try(
    name: str,
    form: str,
    shape: str,
    most: int,
    rows: int,
    planted: str,
    rng: np.random.Generator,
    tally: Any,
) -> None:
    """One batch: instances, truth, solution, judgement."""
    from sims._fuzz import oracle
    from sims._fuzz.instances import rows_of
    from sims._fuzz.judge import judge
    from sims._fuzz.planted import PLANTED

    d = int(rng.integers(2, 5)) if form == VECTORS else 0
    batch = rows_of(rng, shape, rows, most, form == SHARED, d)
    k = int(rng.integers(0, batch.values.shape[1] + 2))
    kind = KINDS.get(name, "exact")
    if d:
        least = np.empty(rows, np.int64)
        oracle.vectors(batch.values, batch.targets, least)
        true = oracle.Truth(*[least] * 5)
    else:
        true = oracle.truth(batch.values, batch.targets, batch.within, k)
    if name in NEED_EPSILON or rng.random() < 0.5:
        best = true.of_size if kind == "sized" else true.optimum
        batch = batch.with_tolerances(rng, best)
        if name == "highs":  # the least that it takes
            floor = np.ldexp(batch.size * 1e-5, batch.scale)
            batch = batch.at(np.maximum(batch.epsilon, floor))
        if kind in ("first hit", "sparsest"):
            true = oracle.truth(batch.values, batch.targets, batch.within, k)
    solve = solver_for(name, form, k, rng)
    solution = PLANTED[planted][2](solve, batch.problem) if planted else solve(batch.problem)
    judge(batch, solution, kind, true, k, tally)


def cells(smoke: bool) -> list[dict[str, Any]]:
    """All cells: PLAN's, or a few rows of each part, and those of the planted faults."""
    from sims._fuzz.planted import PLANTED

    plan = []
    for part in PLAN:
        rows = min(part.rows, 20) if smoke else part.rows
        for shape in SHAPES if not smoke else list(SHAPES)[:: 4 if part.form == OWN else 8]:
            for number, at in enumerate(range(0, rows, CELL)):
                plan.append(_cell(part, shape, min(CELL, rows - at), number))
    own = {part.solver: part for part in PLAN[::-1] if part.form == OWN}
    for planted, (_, solver, _) in PLANTED.items():
        for shape in SHAPES:
            plan.append(_cell(own[solver], shape, 100 if smoke else 1000, 0) | {"planted": planted})
    return plan


def _cell(part: Part, shape: str, rows: int, number: int) -> dict[str, Any]:
    return {
        "solver": part.solver, "form": part.form, "shape": shape, "most": part.most,
        "rows": rows, "number": number, "planted": "",
    }  # fmt: skip


def warm() -> None:
    """Compile every kernel once, so that workers find them in the cache."""
    for part in PLAN:
        for shape in ("small integers", "53 bits"):
            cell(part.solver, part.form, shape, 6, 20, 0)


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@options(NAME)
def main(**rest: Any) -> None:
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    sweep = Sweep(
        NAME, f"sims.{NAME}:cell", cells(opts.smoke), opts.out / f"{NAME}.sqlite",
        warm=f"sims.{NAME}:warm",
    )  # fmt: skip
    records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    found = analyse(rows)
    figure(rows, opts.out)
    finish(NAME, opts, found)


# -- what the data say -----------------------------------------------------------------------------


def tallies(rows: list[dict[str, Any]], planted: str) -> tuple[Counter[str], Counter[str]]:
    """(claims made, claims that were wrong) over the rows of the planted fault, or of none."""
    made: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for row in rows:
        if (row["planted"] or "") == planted:
            made.update(row["made"])
            wrong.update(row["wrong"])
    return made, wrong


def analyse(rows: list[dict[str, Any]]) -> Findings:
    """A verdict a claim, a control a planted fault, and who was tried on what how often."""
    from sims._fuzz.judge import CLAIMS
    from sims._fuzz.planted import PLANTED

    made, wrong = tallies(rows, "")
    verdicts = {claim: exact(claim, wrong[key], made[key]) for claim, key in CLAIMS.items()}
    names = {key: claim for claim, key in CLAIMS.items()}
    controls = {}
    for planted, (claim, solver, _) in PLANTED.items():
        these = tallies(rows, planted)
        controls[planted] = Control(
            f"{solver} with a planted fault", exact(names[claim], these[1][claim], these[0][claim])
        )
    honest = [row for row in rows if not row["planted"]]
    facts = {
        "instances": sum(row["rows"] for row in honest),
        "claims": sum(made.values()),
        "wrong": sum(wrong.values()),
        "examples": [row["example"] for row in honest if row["example"]][:20],
        "by_solver": split(honest, lambda row: f"{row['solver']}, {row['form']}"),
        "by_shape": split(honest, lambda row: row["shape"]),
    }
    return Findings(verdicts, controls, facts)


def split(rows: list[dict[str, Any]], key: Any) -> dict[str, dict[str, float]]:
    """Instances, wrong claims and CPU seconds by a property of the rows."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        here = found.setdefault(key(row), {"instances": 0, "wrong": 0, "seconds": 0.0})
        here["instances"] += row["rows"]
        here["wrong"] += sum(row["wrong"].values())
        here["seconds"] = round(here["seconds"] + row["seconds"], 3)
    return found


def markdown(result: dict[str, Any]) -> str:
    """The table that the README shows: instances by solver and form, and how many were wrong."""
    lines = ["| solver | form | instances | wrong claims |", "|---|---|---|---|"]
    for name, part in result["by_solver"].items():
        solver, form = name.split(", ")
        lines.append(f"| {solver} | {form} | {part['instances']:,} | {part['wrong']} |")
    total = f"| all | | {result['instances']:,} | {result['wrong']} |"
    return "\n".join([*lines, total])


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[dict[str, Any]], out: Path) -> Any:
    """Who was tried how often, and how often each planted fault shows."""
    from sims._fuzz.planted import PLANTED
    from slth import plot
    from slth.stats import clopper_pearson

    fig, (tried, faults) = plot.figure(1, 2, wide=True, height=3.6)
    honest = [row for row in rows if not row["planted"]]
    names = list(dict.fromkeys(row["solver"] for row in honest))[::-1]
    for series, form in enumerate((OWN, SHARED, VECTORS)):
        counts = Counter[str]()
        for row in honest:
            if row["form"] == form:
                counts[row["solver"]] += row["rows"]
        at = [names.index(name) for name in counts]
        plot.curve(tried, list(counts.values()), at, form, series=series, marked=True)
        tried.lines[-1].set_linestyle("none")
    tried.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    wrong = sum(sum(row["wrong"].values()) for row in honest)
    tried.set_xlabel(f"rows tried, {wrong} claims wrong [1]")
    low, mid, high = [], [], []
    for planted, (claim, _, _) in PLANTED.items():
        made, wrong = (tally[claim] for tally in tallies(rows, planted))
        interval = clopper_pearson(wrong, max(made, 1))
        low.append(max(interval[0], 1e-6))
        mid.append(max(wrong / max(made, 1), 1e-6))
        high.append(max(interval[1], 1e-6))
    at = np.arange(len(PLANTED))[::-1]
    place = np.array([mid, at])
    faults.errorbar(
        *place, xerr=[np.subtract(mid, low), np.subtract(high, mid)], fmt="o", markersize=3.5,
        color=plot.COLOURS[1], capsize=2, linewidth=1.0,
    )  # fmt: skip
    faults.set_yticks(at, list(PLANTED))
    faults.set_xlabel("share found wrong [1]")
    for ax in (tried, faults):
        ax.tick_params(labelsize=plot.SMALL)
        plot.log_scale(ax, "x")
    tried.set_ylabel("solver [name]")
    faults.set_ylabel("planted fault [name]")
    tried.set_xlim(3, 1e7)  # room for the legend
    plot.legend(tried, loc="upper left")
    faults.set_xlim(0.003, 2)
    plot.save(fig, out / NAME)
    return fig


def stored(path: Path) -> list[dict[str, Any]]:
    """The rows of a stored table as `analyse` takes them."""
    from sims._protocol import read_table

    return [{**row, "planted": row["planted"] or "", "example": row["example"] or ""}
            for row in read_table(path)]  # fmt: skip


if __name__ == "__main__":
    run(main)

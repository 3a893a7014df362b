"""Layer-collapse of a VGG, a residual network and a perceptron under five pruning methods.

Tanaka et al. (2020): pruning an untrained network harder and harder, every method but synaptic flow
empties a whole layer long before the compression N/L, at which each of L layers must keep one of N
weights.

Protocol, fixed before measuring:
- Untrained networks, Kaiming normal weights: VGG-16 for CIFAR-100 (2 seeds), ResNet-20 (4) and a
  perceptron 784-300-100-10 (10); seeds from 500 on, none looked at before. Projections on shortcuts
  are not pruned, as published. On a GPU: ResNet-18 for ResNet-20, 10 seeds each, each half decade.
- Random, magnitude, SNIP and GraSP score once, synaptic flow before each of 100 exponential steps.
  SNIP and GraSP look at Gaussian images, one a class on the CPU (VGG-16), else 10.
- Compressions of each decade up to N/L and N/L itself; the critical one by rank (scores of one
  shot give nested masks) or by bisection to a twentieth of a decade.
- An empty layer (Tanaka's criterion) and a surviving path, by reachability, are both measured.
- Claims: random pruning empties its first layer where the hypergeometric law says (Kolmogorov and
  Smirnov's test over all networks, p ≥ 0.001); the other single shots collapse below a tenth of N/L
  in every network; synaptic flow empties no layer of a chain up to half of N/L; an empty layer
  leaves no path in chains and need not in the residual network, where synaptic flow keeps a path
  up to N/L.
- Controls, which must be refuted: synaptic flow in a single step held to its claim, and in
  100 steps to the law of chance; "no layer is empty" taken for "a path survives".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import click

from sims._protocol import Control, Findings, Options, exact, finish, options, provenance, run
from slth.collapse import Maximal, findings
from slth.collapse.critical import Critical
from slth.collapse.diagram import CELL, STEPS, Row, Setting, cells, cost, exponents, rows
from slth.stats.verdict import State, Verdict

NAME = "layer_collapse"
FIRST_SEED = 500
METHODS = ("random", "magnitude", "snip", "grasp", "synflow")
VGG = Setting("vgg16", classes=100, per_class=1)
RESNET = Setting("resnet20")
MLP = Setting("mlp:784,300,100,10")
CPU = {VGG: 2, RESNET: 4, MLP: 10}
GPU = {replace(VGG, per_class=10): 10, Setting("resnet18", classes=100): 10, MLP: 20}
SMOKE = {Setting("mlp:100,40,20,10", steps=30): 5, Setting("resnet20", steps=10, per_class=1): 1}


def plan(smoke: bool, device: str) -> dict[Setting, int]:
    """Networks and how many seeds of each."""
    whole = GPU if device.startswith("cuda") else CPU
    return {replace(s, device=device): n for s, n in (SMOKE if smoke else whole).items()}


@cache
def most_of(arch: str, classes: int | None) -> tuple[Maximal, tuple[int, ...]]:
    """The maximal compressions of an architecture and its layers' sizes."""
    from slth.pruning._layers import layers

    setting = Setting(arch, classes=classes)
    sizes = tuple(layer.module.weight.numel() for layer in layers(setting.model(0)))
    return setting.check(), sizes


def chain(arch: str, classes: int | None) -> bool:
    """Whether every path passes every layer."""
    most, _ = most_of(arch, classes)
    return most.path == most.layers


def grid(smoke: bool, device: str) -> list[Row]:
    found = []
    for setting, seeds in plan(smoke, device).items():
        most, _ = most_of(setting.arch, setting.classes)
        at = exponents(most.by_layers, 2 if device.startswith("cuda") else 1)
        numbers = range(FIRST_SEED, FIRST_SEED + seeds)
        found += cells(setting, METHODS, numbers, at[::2] if smoke and seeds == 1 else at)
        if chain(setting.arch, setting.classes):  # the control
            found += cells(replace(setting, steps=1), ("synflow",), numbers, at[1:-1])
    return found


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@options(NAME)
@click.option("--device", default="cpu", show_default=True, help="Torch's name: cpu, cuda.")
def main(device: str, **rest: Any) -> None:
    from slth.sweep import Sweep, write_table
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    for setting in plan(opts.smoke, device):
        setting.check()
    sweep = Sweep(NAME, CELL, grid(opts.smoke, device), opts.out / f"{NAME}.sqlite", cost=cost)
    workers = 1 if device.startswith("cuda") and opts.workers is None else opts.workers
    records = list(run_sweep(sweep, workers, opts.scheduler, opts.progress))
    table = flat(records)
    write_table(table, opts.out / f"{NAME}.csv")
    figure(table, opts.out)
    found = analyse(table)
    note = {"provenance": {**provenance(), "engine": f"torch on {device}, float32"}}
    finish(NAME, opts, replace(found, facts={**note, **found.facts}))


# -- the table: a row a point, the critical counts repeated beside the points of their cell --------


def flat(records: Iterable[Row]) -> list[Row]:
    """The rows of the table, from which records can be made again."""
    found = []
    for record in records:
        ends = record["critical"] or {"size": None, "kept_layers": None, "kept_path": None}
        shared = {key: record[key] for key in ("classes", "per_class", "device")}
        found += [{**row, **shared, **ends} for row in rows([record])]
    return found


def records_of(table: list[Row], arch: str, steps: int | None = None) -> list[Row]:
    """What `slth.collapse.findings` and its figure want: a record a seed and method with an end."""
    mine = {}
    for row in table:
        if row["arch"] == arch and row["kept_layers"] and steps in (None, row["steps"]):
            ends = {key: row[key] for key in ("size", "kept_layers", "kept_path")}
            mine[row["method"], row["seed"], row["steps"]] = {
                "method": row["method"], "critical": ends
            }  # fmt: skip
    return list(mine.values())


def archs_of(table: list[Row]) -> dict[str, int | None]:
    """Architectures and their numbers of classes."""
    return {row["arch"]: row["classes"] for row in table}


def as_planned(table: list[Row], arch: str) -> list[Row]:
    """An architecture's rows without those of the control."""
    most = max(row["steps"] for row in table if row["arch"] == arch)
    return [row for row in table if row["arch"] == arch and row["steps"] == most]


# -- what the data say -----------------------------------------------------------------------------


def together(verdicts: list[Verdict]) -> Verdict:
    """Supported if all are, refuted if any is; their reasons one after another."""
    states = {verdict.state for verdict in verdicts}
    worst = next(s for s in (State.REFUTED, State.UNDECIDED, State.SUPPORTED) if s in states)
    return Verdict(worst, "; ".join(verdict.reason for verdict in verdicts))


def chance(table: list[Row], method: str) -> Verdict:
    """Whether a method's critical counts are those of random masks, all networks together."""
    at = [
        place
        for arch, classes in archs_of(table).items()
        for place in findings.places(
            ends_of(as_planned(table, arch), arch, method), most_of(arch, classes)[1]
        )
    ]
    return findings.uniform(at)


def ends_of(table: list[Row], arch: str, method: str) -> list[Critical]:
    from slth.collapse.diagram import limits

    return limits(records_of(table, arch), method)


def single_shots(table: list[Row]) -> Verdict:
    """Whether magnitude, SNIP and GraSP all collapse below a tenth of N/L."""
    found = []
    for arch, classes in archs_of(table).items():
        limit = most_of(arch, classes)[0].by_layers / 10
        ends = {m: ends_of(table, arch, m) for m in ("magnitude", "snip", "grasp")}
        beyond = sum(one.by_layers >= limit for mine in ends.values() for one in mine)
        cases = sum(len(mine) for mine in ends.values())
        found.append(exact(f"{arch}: critical < N/(10 L)", beyond, cases))
    return together(found)


def flow_holds(table: list[Row], steps: int | None = None) -> Verdict:
    """Whether synaptic flow empties no layer of a chain up to half of N/L."""
    bad = cases = 0
    for arch, classes in archs_of(table).items():
        if not chain(arch, classes):
            continue
        mine = as_planned(table, arch) if steps is None else [
            r for r in table if r["arch"] == arch and r["steps"] == steps
        ]  # fmt: skip
        limit = most_of(arch, classes)[0].by_layers / 2
        at = [r for r in mine if r["method"] == "synflow" and r["compression"] <= limit]
        bad, cases = bad + sum(r["empty"] > 0 for r in at), cases + len(at)
    return exact("no layer empty up to N/(2 L)", bad, cases)


def residual_path(table: list[Row]) -> Verdict:
    """Whether the residual network lives on with layers empty, by synaptic flow up to N/L."""
    mine = [r for r in table if not chain(r["arch"], r["classes"])]
    around = sum(r["path"] for r in mine if r["empty"])
    dead = [r for r in mine if r["method"] == "synflow" and not r["path"]]
    if not mine:
        return Verdict(State.UNDECIDED, "not measured")
    state = State.REFUTED if dead or not around else State.SUPPORTED
    emptied = sum(bool(r["empty"]) for r in mine)
    return Verdict(
        state,
        f"a path in {around} of {emptied} cases with an empty layer; synaptic flow without a path "
        f"in {len(dead)} of {sum(r['method'] == 'synflow' for r in mine)}",
    )


def analyse(table: list[Row]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    chains = [row for row in table if chain(row["arch"], row["classes"])]
    dead = [row for row in chains if row["empty"]]
    whole = [row for row in table if not row["empty"]]
    verdicts = {
        "random pruning empties its first layer where chance says": chance(table, "random"),
        "magnitude, SNIP and GraSP collapse below a tenth of N/L": single_shots(table),
        "synaptic flow empties no layer of a chain up to half of N/L": flow_holds(table),
        "in chains an empty layer leaves no path": exact(
            "empty layer, no path", sum(row["path"] for row in dead), len(dead)
        ),
        "the residual network keeps a path around empty layers": residual_path(table),
    }
    controls = {
        "synaptic flow at once": Control("one step instead of 100", flow_holds(table, steps=1)),
        "synaptic flow for chance": Control(
            "the law of random masks asked of synaptic flow", chance(table, "synflow")
        ),
        "layers for paths": Control(
            "a path supposed wherever no layer is empty",
            exact("no empty layer, a path", sum(not row["path"] for row in whole), len(whole)),
        ),
    }
    facts = {
        arch: {
            "seeds": len({row["seed"] for row in as_planned(table, arch)}),
            "device": next(r["device"] for r in table if r["arch"] == arch),
            **findings.facts(
                records_of(as_planned(table, arch), arch), *reversed(most_of(arch, classes))
            ),
        }
        for arch, classes in archs_of(table).items()
    }
    return Findings(verdicts, controls, {"steps": STEPS, "networks": facts})


# -- the figure ------------------------------------------------------------------------------------


def figure(table: list[Row], out: Path) -> Any:
    """A row of panels a network, as `slth collapse` draws them."""
    from slth import plot
    from slth.collapse.figure import draw, legend

    archs = archs_of(table)
    fig, axes = plot.figure(len(archs), 3, wide=True, height=2.4 * len(archs) + 0.4)
    for i, (arch, classes) in enumerate(archs.items()):
        mine, most = as_planned(table, arch), most_of(arch, classes)[0]
        panels = axes[3 * i : 3 * i + 3]
        draw(panels, records_of(mine, arch), mine, most)
        seeds = len({row["seed"] for row in mine})
        plot.title(panels[0], f"{arch}: {most.layers} layers, {seeds} seed{'s'[: seeds > 1]}")
    legend(fig, axes[0])
    plot.save(fig, out / NAME)
    return fig


if __name__ == "__main__":
    run(main)

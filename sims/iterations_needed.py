"""How many steps synaptic flow needs until no layer is emptied, against compression and schedule.

Tanaka et al. (2020) prune in 100 steps whose kept fractions fall exponentially. Their reason is the
prune size, the sum of the scores that a step removes, over the cut size, which is the whole flow R
of a chain of layers: every layer's scores add up to R, so a step that removes less than R empties
none. They report its largest value over the steps to compression 1000: 14.4 for 100 linear steps,
0.67 for 100 exponential ones and 5.55 for 10, on VGG-19 for ImageNet.

Protocol, fixed before measuring:
- Untrained networks, Kaiming normal weights, 10 outputs: a perceptron 784-300-100-10 (10 seeds),
  ResNet-20 (3), VGG-16 for 32 by 32 images (1); seeds from 400 on, none looked at before.
- The fewest steps with no layer empty: doubled from 1 until none is, at most 64, then the one
  between (1, 2, 3, 4, 6, 8, 12, …, 48, 64), for compressions of each decade and N/L, by linear and
  exponential schedules.
- The ratio of prune size to cut size at every step to compression 1000, for 10 and 100 steps.
- Claims: a step that removes less than the flow empties no layer of a chain; 64 exponential steps
  suffice for chains up to half of N/L; linear schedules never need fewer steps; the published
  ratios hold within a factor of 2 on VGG-16.
- Controls, which must be refuted: single-shot pruning held to the claim about 64 steps; the bound
  by the whole flow for the layers of ResNet-20, beside which shortcuts carry most of it; linear
  steps held to the published ratios of exponential ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from sims._protocol import Control, Findings, Options, exact, finish, options, provenance, run
from slth.stats.verdict import State, Verdict

NAME = "iterations_needed"
FIRST_SEED = 400
MLP, RESNET, VGG = "mlp:784,300,100,10", "resnet20", "vgg16"
SEEDS = {MLP: 10, RESNET: 3, VGG: 1}
CHAINS = (MLP, VGG)
SCHEDULES = ("exponential", "linear")
CAP, AT, FACTOR = 64, 1000.0, 2.0
PUBLISHED = {("linear", 100): 14.4, ("exponential", 100): 0.67, ("exponential", 10): 5.55}
Row = dict[str, Any]


# -- cells -----------------------------------------------------------------------------------------


def cell(
    part: str, arch: str, schedule: str, compression: float, steps: int, seed: int,
    device: str = "cpu",
) -> Row:  # fmt: skip
    if part == "ratio":
        return {"ratios": list(ratios(arch, schedule, compression, steps, seed, device))}
    return needed(arch, schedule, compression, seed, steps, device)


def needed(
    arch: str, schedule: str, compression: float, seed: int, most: int, device: str = "cpu"
) -> Row:
    """The fewest of 1, 2, 3, 4, 6, 8, … steps that empty no layer, and whether one step has."""
    from slth.nets.architectures import build, input_shape
    from slth.pruning import Context, prune
    from slth.pruning.synflow import SynFlow

    model, context = build(arch, seed=seed).to(device), Context(input_shape(arch))

    def holds(steps: int) -> bool:
        found = prune(
            model, SynFlow(), compression, context=context, schedule=schedule, steps=steps
        )
        return not found.empty

    steps = 1
    while not (fine := holds(steps)) and 2 * steps <= most:
        steps *= 2
    single = fine and steps == 1
    if fine and steps >= 4 and holds(between := 3 * steps // 4):
        steps = between
    return {"needed": steps if fine else None, "single": single}


def ratios(
    arch: str, schedule: str, compression: float, steps: int, seed: int, device: str = "cpu"
) -> Iterator[tuple[float, int]]:
    """For each step: what it removes of the flow, and how many layers it empties."""
    import torch

    from slth.mask import keep_top
    from slth.nets.architectures import build, input_shape
    from slth.pruning import Context
    from slth.pruning._layers import all_kept, layers
    from slth.pruning._schedule import plan
    from slth.pruning.synflow import SynFlow

    model, context = build(arch, seed=seed).to(device), Context(input_shape(arch))
    masks = all_kept(layers(model))
    sizes = [mask.numel() for mask in masks.values()]
    for (count,) in plan(sizes, compression, steps, schedule, "global"):
        scores = SynFlow().scores(model, masks, context)
        line = torch.cat([score.reshape(-1) for score in scores.values()])
        alive = torch.cat([mask.reshape(-1) for mask in masks.values()])
        kept = keep_top(line, count, alive=alive)
        flow = float(scores[next(reversed(scores))].double().sum())  # all flow passes the head
        gone = float(line[alive & ~kept].double().sum())
        before = [bool(mask.any()) for mask in masks.values()]
        parts = kept.split(sizes)
        masks = {n: p.reshape(masks[n].shape) for n, p in zip(masks, parts, strict=True)}
        emptied = sum(b and not bool(m.any()) for b, m in zip(before, masks.values(), strict=True))
        yield (gone / flow if flow else math.inf, emptied)


def cells(smoke: bool, device: str = "cpu") -> list[Row]:
    from slth.collapse import maximal
    from slth.collapse.diagram import exponents
    from slth.nets.architectures import build

    found: list[tuple[Any, ...]] = []
    for arch, seeds in ({MLP: 1} if smoke else SEEDS).items():
        grid = exponents(maximal(build(arch)).by_layers, 1)[1:]
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            for schedule in SCHEDULES:
                most, walks = (8, (10,)) if smoke else (CAP, (10, 100))
                found += [
                    ("needed", arch, schedule, c, most, seed)
                    for c in (grid[::2] if smoke else grid)
                ]
                if arch != VGG or seed == FIRST_SEED:
                    found += [("ratio", arch, schedule, AT, n, seed) for n in walks]
    if smoke:
        found += [("ratio", RESNET, "exponential", AT, 100, FIRST_SEED)]
    keys = ("part", "arch", "schedule", "compression", "steps", "seed")
    # tables stored from the CPU name no device: a cell there stays what it was
    place = {} if device == "cpu" else {"device": device}
    return [{**dict(zip(keys, values, strict=True)), **place} for values in found]


def cost(row: Row) -> float:
    each = {MLP: 1.0, RESNET: 7.0, VGG: 40.0}[row["arch"]]
    return each * row["steps"] * (3 if row["part"] == "ratio" else 1)


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@click.option("--device", default="cpu", show_default=True, help="Torch's name: cpu, cuda.")
@options(NAME)
def main(device: str, **rest: Any) -> None:
    from slth.collapse.diagram import Setting
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    if device != "cpu":
        Setting(MLP, device=device).check()
    grid = cells(opts.smoke, device)
    sweep = Sweep(NAME, f"sims.{NAME}:cell", grid, opts.out / f"{NAME}.sqlite", cost=cost)
    workers = 1 if device.startswith("cuda") and opts.workers is None else opts.workers
    records = run_sweep(sweep, workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    figure(rows, opts.out)
    found = analyse(rows)
    note = {"provenance": {**provenance(), "engine": f"torch on {device}, float32"}}
    finish(NAME, opts, replace(found, facts={**note, **found.facts}))


# -- what the data say -----------------------------------------------------------------------------


def of(rows: list[Row], part: str, *archs: str) -> list[Row]:
    return [r for r in rows if r["part"] == part and (not archs or r["arch"] in archs)]


def steps_of(row: Row) -> float:
    return math.inf if row["needed"] is None else row["needed"]


def harmless(rows: list[Row]) -> Verdict:
    """Whether no step that removes less than the flow empties a layer."""
    small = [emptied for row in rows for ratio, emptied in row["ratios"] if ratio < 1]
    return exact("removed < R empties no layer", sum(e > 0 for e in small), len(small))


def suffices(rows: list[Row], single: bool) -> Verdict:
    """Whether the exponential schedule (or a single shot) holds up to half of N/L."""
    most = {a: max(r["compression"] for r in of(rows, "needed", a)) for a in archs_of(rows)}
    mine = [
        row for row in of(rows, "needed", *CHAINS)
        if row["schedule"] == "exponential" and row["compression"] <= most[row["arch"]] / 2
    ]  # fmt: skip
    bad = sum(not row["single"] if single else row["needed"] is None for row in mine)
    return exact("no layer empty", bad, len(mine))


def no_fewer(rows: list[Row]) -> Verdict:
    """Whether the linear schedule needs at least as many steps, network by network."""
    both: dict[tuple[Any, ...], dict[str, float]] = {}
    for row in of(rows, "needed"):
        key = (row["arch"], row["compression"], row["seed"])
        both.setdefault(key, {})[row["schedule"]] = steps_of(row)
    bad = sum(pair["linear"] < pair["exponential"] for pair in both.values())
    more = sum(pair["linear"] > pair["exponential"] for pair in both.values())
    found = exact("linear ≥ exponential", bad, len(both))
    return Verdict(found.state, f"{found.reason}; more in {more}")


def worst(rows: list[Row], schedule: str, steps: int) -> list[float]:
    return [
        max(ratio for ratio, _ in row["ratios"])
        for row in rows
        if (row["schedule"], row["steps"]) == (schedule, steps)
    ]


def as_published(rows: list[Row], taken: str | None = None) -> Verdict:
    """Whether VGG-16's ratios are the published ones within a factor of 2."""
    shown, bad, cases = [], 0, 0
    for (schedule, steps), published in PUBLISHED.items():
        for ratio in worst(rows, taken or schedule, steps):
            cases += 1
            bad += not published / FACTOR <= ratio <= published * FACTOR
            shown.append(f"{steps} {schedule}: {ratio:.3g}, published {published:g}")
    if not cases:
        return Verdict(State.UNDECIDED, "not measured")
    return Verdict(State.REFUTED if bad else State.SUPPORTED, "; ".join(shown))


def archs_of(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(row["arch"] for row in of(rows, "needed")))


def analyse(rows: list[Row]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    vgg = of(rows, "ratio", VGG)
    verdicts = {
        "a step that removes less than the flow empties no layer of a chain": harmless(
            of(rows, "ratio", *CHAINS)
        ),
        "64 exponential steps suffice for chains up to half of N/L": suffices(rows, single=False),
        "a linear schedule needs no fewer steps": no_fewer(rows),
        "the published ratios, within a factor of 2": as_published(vgg),
    }
    controls = {
        "single shot": Control("all weights removed in one step", suffices(rows, single=True)),
        "beside shortcuts": Control(
            "the flow of the whole network taken for that of ResNet-20's branches",
            harmless(of(rows, "ratio", RESNET)),
        ),
    }
    if vgg:
        controls["linear taken for exponential"] = Control(
            "linear steps held to the ratios of exponential ones", as_published(vgg, "linear")
        )
    facts = {
        "published": [{"schedule": s, "steps": n, "ratio": r} for (s, n), r in PUBLISHED.items()],
        "ratio": [
            {"arch": arch, "schedule": s, "steps": n, "worst": found}
            for arch in dict.fromkeys(r["arch"] for r in of(rows, "ratio"))
            for s in SCHEDULES
            for n in (10, 100)
            if (found := worst(of(rows, "ratio", arch), s, n))
        ],
        "needed": [
            {"arch": arch, "schedule": s, "compression": c, "steps": sorted(found)}
            for arch in archs_of(rows)
            for s in SCHEDULES
            for c, found in by_compression(rows, arch, s).items()
        ],
    }
    return Findings(verdicts, controls, facts)


def by_compression(rows: list[Row], arch: str, schedule: str) -> dict[float, list[float]]:
    found: dict[float, list[float]] = {}
    for row in of(rows, "needed", arch):
        if row["schedule"] == schedule:
            found.setdefault(row["compression"], []).append(steps_of(row))
    return found


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[Row], out: Path) -> Any:
    """Steps needed against compression, a panel a network; the ratio along the way on the last."""
    from slth import plot

    archs = archs_of(rows)
    fig, axes = plot.figure(2, 2, wide=True, height=5.4)
    for ax, arch in zip(axes, archs, strict=False):
        for series, schedule in enumerate(SCHEDULES):
            found = by_compression(rows, arch, schedule)
            table = [np.quantile(np.minimum(v, 2 * CAP), [0, 0.5, 1]) for v in found.values()]
            plot.band(ax, list(found), *np.transpose(table), schedule, series=series)
        plot.curve(ax, [min(found), max(found)], [CAP, CAP], f"{CAP}; above: more", series=2)
        seeds = len({row["seed"] for row in of(rows, "needed", arch)})
        plot.title(ax, f"{arch} ({seeds} seed{'s'[: seeds > 1]})")
        plot.log_scale(ax)
        ax.set(xlabel="compression [1]", ylabel="steps until no layer is empty [1]")
        ax.set_ylim(0.8, 2.5 * CAP)
        plot.legend(ax, loc="lower right")
    last = axes[3]
    for ax in axes[len(archs) : 3]:
        ax.set_visible(False)
    series = 0
    for arch in dict.fromkeys(r["arch"] for r in of(rows, "ratio")):
        for schedule in SCHEDULES:
            mine = of(rows, "ratio", arch)
            at = [n for n in (10, 100) if worst(mine, schedule, n)]
            if not at:
                continue
            table = [np.quantile(worst(mine, schedule, n), [0, 0.5, 1]) for n in at]
            plot.band(last, at, *np.transpose(table), f"{arch.split(':')[0]}, {schedule}",
                      series=series, bars=True)  # fmt: skip
            series += 1
    for (_, n), ratio in PUBLISHED.items():
        last.plot([n], [ratio], marker="*", color="0.3", markersize=8, linestyle="None", zorder=4)
    last.axhline(1, color="0.4", linestyle=":", linewidth=1.0)
    plot.log_scale(last)
    plot.title(last, "largest share of the flow removed by a step to 1000\n(stars: published)")
    last.set(
        xlabel="steps [1]", ylabel="prune size / cut size [1]", xlim=(7, 150), ylim=(0.006, 40)
    )
    plot.legend(last, loc="lower left")
    plot.save(fig, out / NAME)
    return fig


if __name__ == "__main__":
    run(main)

"""Critical compressions of VGG-16 beside the published ones, and what they depend on.

Tanaka et al. (2020) report for VGG-16 on CIFAR-100, as log10 and mean over 3 runs: random 3.33,
magnitude 2.75, SNIP 3.58, GraSP 3.58, synaptic flow 5.92, of at most 6.02. Their number is the last
point of a grid of 0.25 at which no layer is empty, from runs of May 2020: 10 images a class in
batches of 256, weights Kaiming normal. Their settings say 100 pruning steps, of which the code as
first published (ganguli-lab/Synaptic-Flow, commit 432dd64) gives 100 to synaptic flow and one to
every other method. Its GraSP does not divide the logits by the temperature 200, as the later code
and Wang et al. (2020) do, and keeps the largest −θ ⊙ Hg, which are what they remove.

Protocol, fixed before measuring:
- VGG-16 with BatchNorm, 100 outputs, 32 by 32 images, one network a seed, seeds from 600 on, none
  looked at before: 10 for random, 4 for magnitude, 3 for SNIP and GraSP, 2 for synaptic flow and
  for every variation.
- The critical compression by Tanaka's criterion: exact for single shots; for synaptic flow in 100
  exponential steps by bisection to a twentieth of a decade. On their grid: its last point below.
- Base: single shots, Kaiming normal weights, Gaussian images, one a class (on a GPU 10).
- Variations, one at a time: weights Xavier normal, or Kaiming normal by fan-out (magnitude); MNIST
  digits resized, 10 of each of their 10 classes (SNIP, GraSP); 20 images, in one step and in 10
  exponential steps, the latter searched on their grid (SNIP, GraSP).
- Added later, when the base had refuted GraSP's number and one network (seed 600) had shown what
  the temperature does: GraSP at temperature 1, and there with the sign of the code as first
  published, 4 networks each, seeds from 650 on, none looked at before.
- Claims: on their grid, the mean over seeds of the base lies within one grid step (0.25) of the
  published number, method by method, and so does GraSP's as first published. Random pruning follows
  the hypergeometric law.
- Controls, which must be refuted: the published numbers of the next method in the list; synaptic
  flow in a single step held to its number; magnitude's counts held to the law of chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np

from sims._protocol import Control, Findings, Options, finish, options, provenance, run
from slth.collapse import Collapse, findings
from slth.collapse.critical import Critical
from slth.collapse.diagram import Row, Setting
from slth.stats.verdict import State, Verdict

NAME = "critical_compression"
FIRST_SEED, LATER = 600, 650
PUBLISHED = {"random": 3.33, "magnitude": 2.75, "snip": 3.58, "grasp": 3.58, "synflow": 5.92}
GRID = 0.25
BASE = "base"
XAVIER, FAN_OUT = "Xavier normal", "Kaiming by fan-out"
DIGITS, FEW, STEPS, ONE_STEP = "MNIST digits", "20 images", "20 images, 10 steps", "one step"
HOT, EARLY = "temperature 1", "temperature 1, −θ ⊙ Hg kept"
ALIKE = "grasp as first published"
IMAGES, TEN = 20, 10
PLAN = {  # (method, variation): seeds
    ("random", BASE): 10, ("magnitude", BASE): 4, ("snip", BASE): 3, ("grasp", BASE): 3,
    ("synflow", BASE): 2, ("magnitude", XAVIER): 2, ("magnitude", FAN_OUT): 2,
    ("snip", DIGITS): 2, ("grasp", DIGITS): 2, ("snip", FEW): 2, ("grasp", FEW): 2,
    ("snip", STEPS): 2, ("grasp", STEPS): 2, ("synflow", ONE_STEP): 2,
    ("grasp", HOT): 4, ("grasp", EARLY): 4,
}  # fmt: skip


# -- cells -----------------------------------------------------------------------------------------


def setting(variation: str, arch: str, device: str) -> Setting:
    """The base, or what one variation makes of it."""
    whole = device.startswith("cuda") or variation == DIGITS
    laws = {XAVIER: "xavier_normal", FAN_OUT: "kaiming_normal_out"}
    return Setting(
        arch, classes=100 if arch == "vgg16" else None, per_class=10 if whole else 1,
        device=device, data="mnist5k" if variation == DIGITS else "gaussian",
        init=laws.get(variation, "kaiming_normal"),
    )  # fmt: skip


def cell(arch: str, method: str, variation: str, seed: int, device: str) -> Row:
    """The fewest kept weights with no layer empty, and with a path (None: searched on a grid)."""
    from slth.collapse import collapse
    from slth.collapse.critical import Nested, rescored, single_shot
    from slth.pruning import load, prune
    from slth.pruning._layers import all_kept, layers

    here = setting(variation, arch, device)
    fields = {"temperature": 1.0} if variation in (HOT, EARLY) else {}
    model, saliency = here.model(seed), load(method)(**fields)
    context, masks = here.context(saliency, model, seed), all_kept(layers(model))
    if variation in (FEW, STEPS) and context.batch is not None:
        x, labels = context.batch
        context = replace(context, batch=(x[:IMAGES], labels[:IMAGES]))
    size = sum(mask.numel() for mask in masks.values())
    steps = {STEPS: TEN, ONE_STEP: 1}.get(variation, 100)

    def left(compression: float) -> Collapse:
        pruned = prune(model, saliency, compression, context=context, steps=steps)
        return collapse(model, pruned.masks, context.shape)

    if variation in (STEPS, ONE_STEP):
        last = on_grid(left, math.log10(size / len(masks)))
        return {"size": size, "kept_layers": size / 10**last, "kept_path": None}
    if saliency.one_shot:
        scores = saliency.scores(model, masks, context)
        if variation == EARLY:
            scores = {name: -score for name, score in scores.items()}
        found = single_shot(model, Nested.of(scores), context.shape)
    else:
        found = rescored(lambda kept: left(size / kept), size, len(masks))
    return {"size": size, "kept_layers": found.kept_layers, "kept_path": found.kept_path}


def on_grid(left: Callable[[float], Collapse], most: float) -> float:
    """The last point of the published grid with no layer empty, by bisection of the grid."""
    low, high = 0, math.floor(most / GRID) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if left(10 ** (middle * GRID)).empty:
            high = middle
        else:
            low = middle
    return low * GRID


def cells(smoke: bool, device: str) -> list[Row]:
    arch = "lenet5" if smoke else "vgg16"
    return [
        {"arch": arch, "method": method, "variation": variation, "seed": seed, "device": device}
        for (method, variation), seeds in PLAN.items()
        for seed in seeds_of(variation, min(seeds, 2) if smoke else seeds)
    ]


def seeds_of(variation: str, count: int) -> range:
    first = LATER if variation in (HOT, EARLY) else FIRST_SEED
    return range(first, first + count)


def cost(row: Row) -> float:
    data = row["method"] in ("snip", "grasp")
    return {STEPS: 60.0, ONE_STEP: 2.0}.get(row["variation"], 20.0 if data else 5.0) + (
        60.0 if (row["method"], row["variation"]) == ("synflow", BASE) else 0.0
    )


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@options(NAME)
@click.option("--device", default="cpu", show_default=True, help="Torch's name: cpu, cuda.")
def main(device: str, **rest: Any) -> None:
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    setting(BASE, "lenet5", device).check()
    setting(DIGITS, "lenet5", device).check()
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


@cache
def network(arch: str) -> tuple[float, tuple[int, ...]]:
    """log10 of N/L, and the layers' sizes."""
    from slth.pruning._layers import layers

    here = setting(BASE, arch, "cpu")
    sizes = tuple(layer.module.weight.numel() for layer in layers(here.model(0)))
    return math.log10(sum(sizes) / len(sizes)), sizes


def exponents(rows: Sequence[Row], method: str, variation: str) -> list[float]:
    """log10 critical compression, a seed each."""
    return [
        math.log10(row["size"] / row["kept_layers"])
        for row in rows
        if (row["method"], row["variation"]) == (method, variation)
    ]


def gridded(values: Sequence[float]) -> list[float]:
    """The last points of their grid below."""
    return [math.floor(value / GRID + 1e-9) * GRID for value in values]


def as_published(rows: Sequence[Row], method: str, variation: str, published: float) -> Verdict:
    values = exponents(rows, method, variation)
    if not values:
        return Verdict(State.UNDECIDED, "not measured")
    mean = float(np.mean(gridded(values)))
    near = abs(mean - published) <= GRID
    reason = (
        f"{mean:.2f} on the grid (exactly {min(values):.2f} to {max(values):.2f}, {len(values)} "
        f"seeds); published {published:.2f}"
    )
    return Verdict(State.SUPPORTED if near else State.REFUTED, reason)


def by_chance(rows: Sequence[Row], method: str) -> Verdict:
    mine = [r for r in rows if (r["method"], r["variation"]) == (method, BASE)]
    ends = [Critical(r["size"], r["kept_layers"], r["kept_path"]) for r in mine]
    return findings.by_chance(ends, network(rows[0]["arch"])[1])


def analyse(rows: list[Row]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    arch = rows[0]["arch"]
    held = {method: (method, BASE) for method in PUBLISHED} | {ALIKE: ("grasp", EARLY)}
    verdicts = {
        f"{name}: within a grid step of the published number": as_published(
            rows, method, variation, PUBLISHED[method]
        )
        if arch == "vgg16"
        else Verdict(State.SILENT, "the published numbers are of VGG-16")
        for name, (method, variation) in held.items()
    }
    verdicts["random pruning follows the law of chance"] = by_chance(rows, "random")
    names = list(PUBLISHED)
    taken = {
        f"{method} for {other}": as_published(rows, method, BASE, PUBLISHED[other])
        for method, other in zip(names, names[1:] + names[:1], strict=True)
        if abs(PUBLISHED[method] - PUBLISHED[other]) > 2 * GRID
    }
    controls = {
        **{
            name: Control("the published number of another method", verdict)
            for name, verdict in taken.items()
        },
        "synaptic flow at once": Control(
            "one step instead of 100, held to the published number",
            as_published(rows, "synflow", ONE_STEP, PUBLISHED["synflow"]),
        ),
    }
    if arch == "vgg16":
        controls["magnitude for chance"] = Control(
            "the law of random masks asked of magnitude pruning", by_chance(rows, "magnitude")
        )
    facts = {
        "arch": arch,
        "device": rows[0]["device"],
        "log10_maximal": network(arch)[0],
        "published": PUBLISHED,
        "law": {str(q): law(arch, q) for q in (0.05, 0.5, 0.95)},
        "critical": [
            {
                "method": method, "variation": variation, "log10": sorted(values),
                "on_grid": float(np.mean(gridded(values))),
            }
            for method, variation in PLAN
            if (values := exponents(rows, method, variation))
        ],
    }  # fmt: skip
    return Findings(verdicts, controls, facts)


def law(arch: str, share: float) -> float:
    """log10 of the compression below which this share of random masks has emptied a layer."""
    from slth.collapse.chance import critical_kept

    sizes = network(arch)[1]
    return math.log10(sum(sizes) / critical_kept(sizes, 1 - share))


def markdown(result: dict[str, Any]) -> str:
    """The table that the README shows: published, ours on their grid, and exactly."""
    lines = [
        "| method | published | ours, on their grid | exactly, over seeds |",
        "|---|---|---|---|",
    ]
    for found in result["critical"]:
        if found["variation"] == ONE_STEP:
            continue
        base = found["variation"] == BASE
        name = found["method"] if base else f"{found['method']}, {found['variation']}"
        known = base or found["variation"] == EARLY
        published = f"{result['published'][found['method']]:.2f}" if known else ""
        low, high = found["log10"][0], found["log10"][-1]
        exact = "" if found["variation"] == STEPS else f"{low:.2f} to {high:.2f}"
        lines.append(f"| {name} | {published} | {found['on_grid']:.2f} | {exact} |")
    low, middle, high = result["law"].values()
    span = f"{middle:.2f}, 90 % within {low:.2f} to {high:.2f}"
    lines.append(f"| random masks by the law of chance | | | {span} |")
    lines.append(f"| N/L | 6.02 | | {result['log10_maximal']:.2f} |")
    return "\n".join(lines)


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[Row], out: Path) -> Any:
    """Critical compressions, a line a method and variation, and random pruning's law beside it."""
    from slth import plot

    fig, (ours, law) = plot.figure(1, 2, wide=True, height=3.8)
    arch, labels = rows[0]["arch"], []
    methods = list(PUBLISHED)
    for place, (method, variation) in enumerate(PLAN):
        values = exponents(rows, method, variation)
        looks = plot.style(methods.index(method)) | {"linestyle": "None"}
        ours.plot(values, [-place] * len(values), markersize=4, **looks)
        if variation in (BASE, EARLY) and arch == "vgg16":
            ours.plot(PUBLISHED[method], -place, marker="*", color="0.3", markersize=8,
                      markerfacecolor="none", zorder=4)  # fmt: skip
        labels.append(method if variation == BASE else f"{method}, {variation}")
    ours.axvline(network(arch)[0], color="0.4", linestyle=":", linewidth=1.0)
    ours.set_yticks([-place for place in range(len(labels))], labels)
    ours.set(xlabel="log10 of critical compression [1]", ylabel="method, variation [name]")
    plot.title(ours, f"{arch}; stars: published; dotted: N/L")
    _law(law, rows, network(arch)[1])
    plot.save(fig, out / NAME)
    return fig


def _law(ax: Any, rows: list[Row], sizes: tuple[int, ...]) -> None:
    """The chance that no layer is empty: exactly k kept, independent weights, and as found."""
    from slth import plot
    from slth.collapse.chance import no_layer_empty, no_layer_empty_exactly

    total = sum(sizes)
    values = sorted(exponents(rows, "random", BASE))
    at = np.linspace(max(0.3, values[0] - 1), min(values[-1] + 1, math.log10(total)), 40)
    exact = [no_layer_empty_exactly(sizes, round(total / 10**e)) for e in at]
    plot.curve(ax, at, exact, "exactly k kept, closed form", series=0)
    product = [no_layer_empty(sizes, 10**e) for e in at]
    plot.curve(ax, at, product, "independent weights, closed form", series=1)
    reached = [1 - i / len(values) for i in range(len(values))]
    (line,) = ax.step([at[0], *values, at[-1]], [1.0, *reached, 0.0], where="pre", color="0.3",
                      linewidth=1.0, label=f"{len(values)} seeds")  # fmt: skip
    line.set_gid("curve:seeds")
    ax.set(xlabel="log10 of compression [1]", ylabel="random pruning: chance of no empty layer [1]")
    plot.legend(ax, outside=True)


if __name__ == "__main__":
    run(main)

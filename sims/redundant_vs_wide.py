"""Edge-popup on a redundant structure against a wide network of as many parameters.

The second experiment of Pensia et al. (2020). The structure of their proof replaces a weight by r
units: every input is multiplied by r random numbers (with a ReLU behind them, or linear), and a
dense matrix follows. Edge-popup prunes it, and a wide network of as many parameters. Their figure
for two layers on MNIST shows the wide network above the linear structure above the one with ReLU
where few weights are kept, and a collapse of all where nearly all are, the linear one first.

Protocol, fixed before measuring:
- As published: r = 5; units normal of variance 2, dense matrices of variance 2 / inputs, no
  biases, unscaled; the wide network has round(P / (inputs + 10)) hidden neurons for P parameters;
  every layer keeps its own share; learning rate 0.1, momentum 0.9, weight decay 5e-4, cosine,
  batches of 64, pixels of mean 0 and variance 1.
- Otherwise: 4,000 of the M5k digits instead of 60,000, 10 epochs instead of 30 to 150, 100 hidden
  neurons instead of 500 (401,420 parameters instead of 1,991,420), the scores of every layer start
  uniform in ±1/√fan_in (published: units' in ±√2, dense matrices' in ±√(2 / inputs)). So levels
  differ; what is compared is the order.
- Accuracy on 1,000 digits held out. 10 seeds where something is claimed, 3 elsewhere; weights,
  scores and batches of a seed its own; no seed of them looked at while this protocol was drawn up.
- Claims, by seed, each in more than half of all: where 90, 95, 97.5 and 99 % are pruned the wide
  network is more accurate than the linear structure; at 90, 95 and 97.5 % that is more accurate
  than the one with ReLU; at 5 % the wide is more accurate than the one with ReLU, which is more so
  than the linear one. In every case: accuracy at most 0.4 with nothing pruned, and with 99 % pruned
  from both structures; above 0.8 with half pruned.
- Controls, which must be refuted: found masks shuffled within their layers as good as found, within
  0.1; more than half of the digits right after training labels were dealt anew; at 95 % the ReLU
  more accurate than the linear.
- Measured beside, nothing claimed: how many inputs and hidden neurons are still joined. At density
  p a random mask joins 1 − (1 − p²)^5 of all pairs in the structure, p in the wide network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from sims._protocol import Control, Findings, Options, exact, finish, options, provenance, run
from slth.stats.verdict import Verdict

NAME = "redundant_vs_wide"
FIRST_SEED, SEEDS, FEW = 900, 10, 3
WIDE, LINEAR, RELU = "wide", "redundant, linear", "redundant, ReLU"
NETWORKS = (WIDE, LINEAR, RELU)
SPARSITIES = (0.0, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
HIGH, HIGHEST, LOW, HALF = (0.9, 0.95, 0.975), 0.99, 0.05, 0.5
CLAIMED = (0.0, LOW, *HIGH, HIGHEST)
HIDDEN, R, EPOCHS, BATCH = 100, 5, 10, 64
COLLAPSED, LEARNT, FAR = 0.4, 0.8, 0.1
SEARCH, LABELS = "search", "labels dealt anew"
PUBLISHED: dict[str, Any] = {
    "what": "Pensia et al. (2020), two layers on MNIST, 1.99 million parameters; off their figure",
    "sparsity": [0.05, 0.1, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99],
    WIDE: [0.82, 0.975, 0.98, 0.98, 0.97, 0.955, 0.915, 0.875],
    LINEAR: [0.37, 0.96, 0.98, 0.975, 0.96, 0.89, 0.745, 0.39],
    RELU: [0.66, 0.96, 0.965, 0.93, 0.79, 0.575, 0.29, 0.18],
}

Row = dict[str, Any]


def cell(
    data: str, network: str, what: str, sparsity: float, seed: int, hidden: int, epochs: int
) -> Row:
    """Search one mask; its accuracy, that of the mask shuffled, and what it leaves joined."""
    import torch

    from sims._redundant import connected, draw, redundant, wide, wide_hidden
    from sims._searched import accuracy, examples, shuffled
    from slth.supermask import search
    from slth.supermask.edge_popup import EdgePopup

    torch.set_num_threads(1)
    objective = examples(data, standard=True, dealt=seed if what == LABELS else None)
    inputs = objective.inputs.shape[1]
    if network == WIDE:
        model = wide(inputs, wide_hidden(inputs, hidden, R))
    else:
        model = redundant(inputs, hidden, R, network == RELU)
    draw(model, seed, R)
    found = search(
        model,
        EdgePopup(decay=5e-4),
        objective,
        density=1 - sparsity,
        epochs=epochs if sparsity else 0,  # there is one mask that prunes nothing
        batch=BATCH,
        seed=seed,
    )
    return {
        "accuracy": found.measures["accuracy"],
        "shuffled": accuracy(shuffled(found, seed), model, objective),
        "kept": found.kept,
        "size": found.size,
        "connected": connected(model, found.masks),
    }


def cells(smoke: bool) -> list[Row]:
    data, hidden, epochs = ("digits", 50, 3) if smoke else ("mnist5k", HIDDEN, EPOCHS)
    sparsities = (0.0, HALF, HIGH[1]) if smoke else SPARSITIES
    many, few = (6 if smoke else SEEDS), (1 if smoke else FEW)
    claimed = (HIGH[1],) if smoke else CLAIMED
    plan = [
        (network, SEARCH, sparsity, many if sparsity in claimed else few)
        for sparsity in sparsities
        for network in NETWORKS
    ]
    plan += [(network, LABELS, HALF, few) for network in NETWORKS]
    return [
        {
            "data": data, "network": network, "what": what, "sparsity": sparsity,
            "seed": FIRST_SEED + k, "hidden": hidden, "epochs": epochs,
        }
        for network, what, sparsity, seeds in plan
        for k in range(seeds)
    ]  # fmt: skip


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@options(NAME)
def main(**rest: Any) -> None:
    from sims._searched import examples
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    plan = cells(opts.smoke)
    examples(plan[0]["data"])  # where the data are missing, say so before any work
    sweep = Sweep(NAME, f"sims.{NAME}:cell", plan, opts.out / f"{NAME}.sqlite")
    records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    found = analyse(rows)
    figure(rows, opts.out)
    finish(NAME, opts, found)


# -- what the data say -----------------------------------------------------------------------------


def of(rows: list[Row], network: str, sparsity: float, what: str = SEARCH) -> dict[int, Row]:
    """The rows of a network at a sparsity, by seed."""
    wanted = (network, sparsity, what)
    return {r["seed"]: r for r in rows if (r["network"], r["sparsity"], r["what"]) == wanted}


def better(rows: list[Row], one: str, other: str, sparsity: float) -> Verdict:
    """Whether one network is more accurate than another in more than half of all seeds."""
    from slth.stats import frequency_verdict

    ours, theirs = of(rows, one, sparsity), of(rows, other, sparsity)
    wins = sum(ours[s]["accuracy"] > theirs[s]["accuracy"] for s in ours)
    found = frequency_verdict(wins, len(ours), 0.5)
    means = [np.mean([r["accuracy"] for r in side.values()]) for side in (ours, theirs)]
    reason = f"{found.reason}; mean {means[0]:.3f} against {means[1]:.3f}"
    return Verdict(found.state, reason, found.p_value, found.evidence)


def bounded(rows: list[Row], low: float, high: float) -> Verdict:
    """Whether every accuracy lies in [low, high]."""
    got = [r["accuracy"] for r in rows]
    claim = f"accuracy ≤ {high}" if low == 0 else f"accuracy ≥ {low}"
    found = exact(claim, sum(not low <= a <= high for a in got), len(got))
    return Verdict(found.state, f"{found.reason}; {min(got):.3f} to {max(got):.3f}")


def shuffled_as_good(rows: list[Row]) -> Verdict:
    bad = sum(r["accuracy"] - r["shuffled"] > FAR for r in rows)
    found = exact(f"within {FAR} of the found mask", bad, len(rows))
    mean = np.mean([r["shuffled"] for r in rows])
    return Verdict(found.state, f"{found.reason}; mean accuracy {mean:.3f}, one in ten by guessing")


def analyse(rows: list[Row]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    orders = [(WIDE, LINEAR, s) for s in (*HIGH, HIGHEST)]
    orders += [(LINEAR, RELU, s) for s in HIGH]
    orders += [(WIDE, RELU, LOW), (RELU, LINEAR, LOW)]
    verdicts = {
        f"{100 * s:g} % pruned: {one} above {other}": better(rows, one, other, s)
        for one, other, s in orders
        if of(rows, one, s)
    }

    def at(sparsity: float, networks: tuple[str, ...] = NETWORKS, what: str = SEARCH) -> list[Row]:
        return [r for network in networks for r in of(rows, network, sparsity, what).values()]

    verdicts["nothing pruned: all collapse"] = bounded(at(0.0), 0, COLLAPSED)
    if at(HIGHEST):
        end = bounded(at(HIGHEST, (LINEAR, RELU)), 0, COLLAPSED)
        verdicts["99 % pruned: both structures collapse"] = end
    verdicts["half pruned: all have learnt"] = bounded(at(HALF), LEARNT, 1)
    controls = {
        "shuffled": Control("masks shuffled within each layer", shuffled_as_good(at(HALF))),
        "labels": Control(
            "training labels dealt to other digits", bounded(at(HALF, what=LABELS), 0.5, 1)
        ),
        "the other order": Control(
            f"at {100 * HIGH[1]:g} % ReLU held above linear", better(rows, RELU, LINEAR, HIGH[1])
        ),
    }
    facts = {
        "provenance": {**provenance(), "engine": "torch on the CPU, float32"},
        "published": PUBLISHED, "summary": summary(rows),
    }  # fmt: skip
    return Findings(verdicts, controls, facts)


def summary(rows: list[Row]) -> list[Row]:
    """Of each network and sparsity: accuracy, found and shuffled, and pairs still joined."""
    from sims.after_training import interval

    found = []
    for network, what, s in dict.fromkeys((r["network"], r["what"], r["sparsity"]) for r in rows):
        mine = list(of(rows, network, s, what).values())
        low, mean, high = interval([r["accuracy"] for r in mine])
        shuffled, joined = (interval([r[k] for r in mine]) for k in ("shuffled", "connected"))
        found.append(
            {"network": network, "what": what, "sparsity": s, "seeds": len(mine),
             "kept": mine[0]["kept"], "size": mine[0]["size"], "low": low, "mean": mean,
             "high": high, "shuffled": list(shuffled), "connected": list(joined)}
        )  # fmt: skip
    return found


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[Row], out: Path) -> Any:
    """Accuracy against density, here and as published; against pairs joined; pairs joined."""
    from slth import plot

    fig, (ours, published, against, joined) = plot.figure(2, 2, wide=True, height=5.8)
    table = [s for s in summary(rows) if s["what"] == SEARCH]
    grid = sorted({s["sparsity"] for s in table} | set(PUBLISHED["sparsity"]), reverse=True)
    for series, network in enumerate(NETWORKS):
        mine = sorted((s for s in table if s["network"] == network), key=lambda s: -s["sparsity"])
        at = [grid.index(s["sparsity"]) for s in mine]
        band = [[s[end] for s in mine] for end in ("low", "mean", "high")]
        plot.band(ours, at, *band, network, series=series, bars=True)
        pairs = [[s["connected"][end] for s in mine] for end in range(3)]
        plot.band(against, pairs[1], *band, network, series=series, bars=True)
        density = [1 - s["sparsity"] for s in mine]
        plot.band(joined, density, *pairs, network, series=series, bars=True)
        at = [grid.index(s) for s in PUBLISHED["sparsity"]]
        plot.curve(published, at, PUBLISHED[network], network, series=series, marked=True)
    p = np.geomspace(0.01, 1, 100)
    plot.curve(joined, p, 1 - (1 - p**2) ** R, "at random, 1 − (1 − p²)⁵", series=4)
    for ax in (ours, published):
        ax.set_xticks(range(len(grid)), [f"{1 - s:g}" for s in grid], rotation=60)
        ax.set(xlabel="density, fraction kept [1]", xlim=(-0.5, len(grid) - 0.5))
    for ax in (ours, published, against):
        ax.axhline(0.1, color="0.5", linewidth=0.8)
        ax.set(ylim=(0, 1.02), ylabel="accuracy, untrained [1]")
    plot.log_scale(against, "x")
    plot.log_scale(joined)
    against.set_xlabel("inputs and hidden neurons joined, fraction of pairs [1]")
    joined.set(xlabel="density p, fraction kept [1]", ylabel="fraction of pairs joined [1]")
    plot.title(ours, f"here: {table[-1]['size']:,} parameters or as many")
    plot.title(published, "as published: 1.99 million, 60,000 digits")
    plot.title(against, "the same accuracies against what is joined")
    plot.title(joined, "what is joined")
    plot.legend(ours, loc="lower center", bbox_to_anchor=(0.55, 0.08))
    plot.legend(joined)
    plot.save(fig, out / NAME)
    return fig


if __name__ == "__main__":
    run(main)

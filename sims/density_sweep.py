"""Accuracy of an untrained masked network against density: an inverted U.

Ramanujan et al. (2020) find, for convolutional networks on CIFAR-10, that edge-popup's accuracy is
best where 30 to 70 % of the weights are kept: at density 0 nothing is computed, at density 1 the
random network itself, and one half leaves the most masks to choose from. They report that weights
of one size with random signs (signed Kaiming constant) do better than Kaiming normal ones, and
wider networks better than narrow ones.

Protocol, fixed before measuring:
- Perceptrons with two hidden layers of 16, 50, 100 or 300 neurons, no biases, on scikit-learn's
  digits (10 epochs) and on 4,000 of the M5k digits (5 epochs); accuracy on the digits held out.
  Weights are never trained; both initialisations have variance 2 / (fan_in · density). Edge-popup
  in batches of 128, momentum 0.9, weight decay 1e-4, cosine. The learning rate is 1, on
  average the best of 0.1, 0.3, 1, 3 and 10 on other seeds; the published 0.1 was for a hundred
  times as many steps.
- 12 seeds, each with weights, scores and batches of its own; none of them looked at while this
  protocol was drawn up. A seed's accuracy at a width is the mean over both initialisations, in the
  middle that over densities 0.3, 0.5 and 0.7; initialisations and widths are compared seed by seed.
- Claims: the place of the maximum, where the mean over seeds is largest, lies in [0.3, 0.7], by
  10,000 resamples of the seeds, for each data set and width; at density 0.01 and at density 1
  accuracy is 0.1 or more below the best, in every case; signed constants are more accurate in the
  middle than normal weights in more than half of all seeds (mean over widths), for each data set;
  so is every width than the next smaller one.
- Controls, which must be refuted: the ends far below the best for masks shuffled in their layers,
  which are random masks of that density; a shuffled mask within 0.1 of the found one at one half;
  more than half of the digits right after training labels were dealt anew; the maximum at width 16
  in [0.8, 1].
- Measured beside, nothing claimed: the place of the maximum at the published rate of 0.1.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sims._protocol import Control, Findings, Options, exact, finish, options, provenance, run
from slth.stats.verdict import Verdict

NAME = "density_sweep"
FIRST_SEED, SEEDS = 800, 12
DATA = {"digits": 10, "mnist5k": 5}  # epochs
TITLES = {"digits": "digits, 8 × 8", "mnist5k": "MNIST, 28 × 28"}
WIDTHS = (16, 50, 100, 300)
INITS = {"signed-constant": "signed constant", "normal": "Kaiming normal"}
DENSITIES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)
LOW_END, HIGH_END, HALF = 0.01, 1.0, 0.5
MIDDLE, FAR = (0.3, 0.7), 0.1
RATE, PUBLISHED_RATE = 1.0, 0.1
SEARCH, SLOW, LABELS = "search", "published rate", "labels dealt anew"
PUBLISHED = {
    "what": "Ramanujan et al. (2020): CIFAR-10, best densities; ResNet-50 on ImageNet, 30 % kept",
    "best density": list(MIDDLE), "signed constant": 0.686, "Kaiming normal": 0.617,
}  # fmt: skip

Row = dict[str, Any]


def cell(
    data: str, width: int, init: str, what: str, density: float, seed: int, epochs: int
) -> Row:
    """Search one mask; its accuracy, and that of the same mask shuffled within each layer."""
    import torch

    from sims._searched import accuracy, examples, shuffled
    from slth.nets.architectures import build
    from slth.supermask import Frozen, search
    from slth.supermask.edge_popup import EdgePopup

    torch.set_num_threads(1)
    objective = examples(data, dealt=seed if what == LABELS else None)
    model = build(f"mlp:{objective.inputs.shape[1]},{width},{width},10")
    found = search(
        model,
        EdgePopup(rate=PUBLISHED_RATE if what == SLOW else RATE),
        objective,
        density=density,
        epochs=0 if density == 1 else epochs,  # there is one mask that keeps everything
        seed=seed,
        source=Frozen(seed, init, density),  # type: ignore[arg-type]
    )
    return {
        "accuracy": found.measures["accuracy"],
        "shuffled": accuracy(shuffled(found, seed), model, objective),
        "loss": found.history[-1].loss if found.history else None,
        "kept": found.kept,
    }


def cells(smoke: bool) -> list[Row]:
    seeds = range(FIRST_SEED, FIRST_SEED + (4 if smoke else SEEDS))
    densities = (LOW_END, HALF, HIGH_END) if smoke else DENSITIES
    plan = [
        (data, width, init, SEARCH, density)
        for data in (("digits",) if smoke else DATA)
        for width in (WIDTHS[0:3:2] if smoke else WIDTHS)
        for init in INITS
        for density in densities
    ]
    widest = WIDTHS[2] if smoke else WIDTHS[-1]
    signed = next(iter(INITS))
    plan += [("digits", widest, signed, SLOW, density) for density in densities]
    plan += [(d, widest, signed, LABELS, HALF) for d in (("digits",) if smoke else DATA)]
    return [
        {
            "data": data, "width": width, "init": init, "what": what, "density": density,
            "seed": seed, "epochs": 4 if smoke else DATA[data],
        }
        for data, width, init, what, density in plan
        for seed in seeds
    ]  # fmt: skip


def cost(row: Row) -> float:
    return (1 + row["width"] / 100) * (3 if row["data"] == "mnist5k" else 1)


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@options(NAME)
def main(**rest: Any) -> None:
    from sims._searched import examples
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    for data in DATA:  # where the data are missing, say so before any work
        examples(data)
    store = opts.out / f"{NAME}.sqlite"
    sweep = Sweep(NAME, f"sims.{NAME}:cell", cells(opts.smoke), store, cost=cost)
    records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    found = analyse(rows)
    figure(rows, opts.out)
    finish(NAME, opts, found)


# -- what the data say -----------------------------------------------------------------------------


def table(
    rows: list[Row], key: str = "accuracy", what: str = SEARCH, **where: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The densities `[D]` and, by seed, the mean over all other settings `[seeds, D]`."""
    mine = [r for r in rows if r["what"] == what and all(r[k] == v for k, v in where.items())]
    densities = sorted({r["density"] for r in mine})
    seeds = sorted({r["seed"] for r in mine})
    total, count = np.zeros((2, len(seeds), len(densities)))
    for r in mine:
        at = seeds.index(r["seed"]), densities.index(r["density"])
        total[at] += r[key]
        count[at] += 1
    return np.array(densities), total / count


def places(densities: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, Any]:
    """The density of the largest mean over seeds, and the same in resamples of the seeds `[R]`."""
    from slth.stats.resample import resampled_means

    draws = resampled_means(values, 10_000, 0).argmax(axis=1)
    return float(densities[values.mean(axis=0).argmax()]), densities[draws]


def place_in(low: float, high: float, rows: list[Row], **where: Any) -> Verdict:
    from sims._claims._judging import between

    return between(*places(*table(rows, **where)), low, high, "best density")


def middle(rows: list[Row], **where: Any) -> NDArray[np.float64]:
    """By seed, the mean accuracy over densities in the middle and all settings left open."""
    densities, values = table(rows, **where)
    inside = (densities >= MIDDLE[0]) & (densities <= MIDDLE[1])
    return values[:, inside].mean(axis=1)


def better(rows: list[Row], ours: Row, theirs: Row) -> Verdict:
    """Whether one setting beats another in the middle in more than half of all seeds."""
    from slth.stats import frequency_verdict

    gains = middle(rows, **ours) - middle(rows, **theirs)
    found = frequency_verdict(int((gains > 0).sum()), len(gains), 0.5)
    return Verdict(
        found.state, f"{found.reason}; mean gain {gains.mean():.3f}", found.p_value, found.evidence
    )


def far_below(rows: list[Row], key: str = "accuracy") -> Verdict:
    """Whether both ends lie far below the best density, in every case."""
    gaps = []
    for data, width, init in dict.fromkeys((r["data"], r["width"], r["init"]) for r in rows):
        densities, values = table(rows, key, data=data, width=width, init=init)
        ends = values[:, np.isin(densities, (LOW_END, HIGH_END))]
        gaps += list(values.max(axis=1) - ends.max(axis=1))
    found = exact(f"best − ends ≥ {FAR}", sum(g < FAR for g in gaps), len(gaps))
    return Verdict(found.state, f"{found.reason}; {min(gaps):.3f} to {max(gaps):.3f}")


def shuffled_as_good(rows: list[Row]) -> Verdict:
    mine = [r for r in rows if r["what"] == SEARCH and r["density"] == HALF]
    bad = sum(r["accuracy"] - r["shuffled"] > FAR for r in mine)
    found = exact(f"within {FAR} of the found mask", bad, len(mine))
    mean = np.mean([r["shuffled"] for r in mine])
    return Verdict(found.state, f"{found.reason}; mean accuracy {mean:.3f}, one in ten by guessing")


def learns(rows: list[Row], what: str) -> Verdict:
    right = [r["accuracy"] for r in rows if r["what"] == what and r["density"] == HALF]
    found = exact("accuracy > 0.5", sum(a <= 0.5 for a in right), len(right))
    return Verdict(found.state, f"{found.reason}; {min(right):.3f} to {max(right):.3f}")


def analyse(rows: list[Row]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    settings = list(dict.fromkeys((r["data"], r["width"]) for r in rows if r["what"] == SEARCH))
    data = list(dict.fromkeys(d for d, _ in settings))
    widths = sorted({w for _, w in settings})
    verdicts = {
        f"{TITLES[d]}, width {w}: best density in [{MIDDLE[0]}, {MIDDLE[1]}]": place_in(
            *MIDDLE, rows, data=d, width=w
        )
        for d, w in settings
    }
    verdicts["both ends lie far below the best"] = far_below(rows)
    signed, normal = ({"init": init} for init in INITS)
    for d in data:
        verdicts[f"{TITLES[d]}: signed constant beats Kaiming normal"] = better(
            rows, {"data": d, **signed}, {"data": d, **normal}
        )
        for small, wide in pairwise(widths):
            verdicts[f"{TITLES[d]}: width {wide} beats {small}"] = better(
                rows, {"data": d, "width": wide}, {"data": d, "width": small}
            )
    shuffled = "masks shuffled within each layer"
    controls = {
        "random masks": Control(shuffled, far_below(rows, "shuffled")),
        "shuffled at one half": Control(shuffled, shuffled_as_good(rows)),
        "labels": Control("training labels dealt to other digits", learns(rows, LABELS)),
        "elsewhere": Control(
            "the maximum held to lie in [0.8, 1]",
            place_in(0.8, 1.0, rows, data=data[0], width=widths[0]),
        ),
    }
    facts = {
        "provenance": {**provenance(), "engine": "torch on the CPU, float32"},
        "published": PUBLISHED, "places": where_best(rows), "gains": gains(rows),
        "summary": summary(rows),
    }  # fmt: skip
    return Findings(verdicts, controls, facts)


def where_best(rows: list[Row]) -> list[Row]:
    """The place of the maximum with its 95 % interval: both initialisations, each, and slowly."""
    from slth.stats.resample import interval

    found = []
    for d, w, what in dict.fromkeys((r["data"], r["width"], r["what"]) for r in rows):
        inits = {r["init"] for r in rows if (r["data"], r["width"], r["what"]) == (d, w, what)}
        for init in [None] * (len(inits) > 1) + [i for i in INITS if i in inits]:
            if what == LABELS:
                continue
            where = {"data": d, "width": w, **({"init": init} if init else {})}
            grid, values = table(rows, what=what, **where)
            place, draws = places(grid, values)
            low, high = interval(draws[:, None], len(values), 0.95)
            found.append(
                {"data": d, "width": w, "what": what, "init": init or "both", "place": place,
                 "low": min(float(low[0]), place), "high": max(float(high[0]), place),
                 "best": float(values.mean(axis=0).max())}
            )  # fmt: skip
    return found


def gains(rows: list[Row]) -> list[Row]:
    """Signed constant's accuracy minus Kaiming normal's in the middle, by width, with intervals."""
    from sims.after_training import interval

    found = []
    signed, normal = INITS
    for d, w in dict.fromkeys((r["data"], r["width"]) for r in rows if r["what"] == SEARCH):
        here = {"data": d, "width": w}
        gain = middle(rows, init=signed, **here) - middle(rows, init=normal, **here)
        low, mean, high = interval(list(gain))
        found.append({**here, "low": low, "mean": mean, "high": high})
    return found


def summary(rows: list[Row]) -> list[Row]:
    """Of each setting and density: mean accuracy, found and shuffled, with intervals over seeds."""
    from sims.after_training import interval

    keys = ("data", "width", "init", "what", "density")
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for r in rows:
        groups.setdefault(tuple(r[k] for k in keys), []).append(r)
    found = []
    for group, mine in groups.items():
        low, mean, high = interval([r["accuracy"] for r in mine])
        losses = [r["loss"] for r in mine if r["loss"] is not None]
        shuffled = interval([r["shuffled"] for r in mine])
        found.append(
            {**dict(zip(keys, group, strict=True)), "seeds": len(mine), "low": low, "mean": mean,
             "high": high, "shuffled": list(shuffled), "loss": np.mean(losses) if losses else None}
        )  # fmt: skip
    return found


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[Row], out: Path) -> Any:
    """Accuracy against density by data and initialisation; best density and gain against width."""
    from slth import plot

    fig, axes = plot.figure(3, 2, wide=True, height=8.2)
    everything = summary(rows)
    data = list(dict.fromkeys(s["data"] for s in everything))
    for i, (d, init) in enumerate((d, init) for d in DATA for init in INITS):
        ax = axes[i]
        mine = [s for s in everything if (s["data"], s["init"], s["what"]) == (d, init, SEARCH)]
        ax.set_visible(bool(mine))
        if not mine:
            continue
        ax.axvspan(*MIDDLE, color="0.93", linewidth=0, zorder=0)
        widths = sorted({s["width"] for s in mine})
        for series, w in enumerate(reversed(widths)):
            line = [s for s in mine if s["width"] == w]
            band = ([s[end] for s in line] for end in ("low", "mean", "high"))
            at = [s["density"] for s in line]
            plot.band(ax, at, *band, f"width {w}", series=series, bars=True)
        line = [s for s in mine if s["width"] == widths[-1]]
        band = ([s["shuffled"][end] for s in line] for end in range(3))
        at = [s["density"] for s in line]
        plot.band(ax, at, *band, f"width {widths[-1]}, shuffled", series=5, bars=True)
        ax.set(ylim=(0, 1.02), xlim=(-0.02, 1.02))
        ax.set(xlabel="density, fraction kept [1]", ylabel="accuracy, untrained [1]")
        plot.title(ax, f"{TITLES[d]}: {INITS[init]}")
        if i == 0:
            plot.legend(ax, loc="lower center", bbox_to_anchor=(0.5, 0.12))
    best, gain = axes[4:]
    best.axhspan(*MIDDLE, color="0.93", linewidth=0, zorder=0)
    found = where_best(rows)
    for what, d, init, label, series in (
        (SEARCH, "digits", "both", TITLES["digits"], 0),
        (SEARCH, "mnist5k", "both", TITLES["mnist5k"], 1),
        (SLOW, "digits", next(iter(INITS)), "digits, rate 0.1 instead of 1", 3),
    ):
        line = [f for f in found if (f["what"], f["data"], f["init"]) == (what, d, init)]
        if line:
            at = [f["width"] * (1.06 if series == 1 else 1.0) for f in line]  # side by side
            band = ([f[end] for f in line] for end in ("low", "place", "high"))
            plot.band(best, at, *band, label, series=series, bars=True)
    for series, d in enumerate(data):
        line = [g for g in gains(rows) if g["data"] == d]
        band = ([g[end] for g in line] for end in ("low", "mean", "high"))
        plot.band(gain, [g["width"] for g in line], *band, TITLES[d], series=series, bars=True)
    gain.axhline(0, color="0.5", linewidth=0.8)
    for ax in (best, gain):
        plot.log_scale(ax, "x")
        ax.set_xlabel("width of the hidden layers [neurons]")
        plot.legend(ax)
    best.set(ylim=(0, 1), ylabel="density [1]")
    gain.set_ylabel("gain, mean of densities 0.3 to 0.7 [1]")
    plot.title(best, "best density")
    plot.title(gain, "signed constant minus Kaiming normal")
    plot.save(fig, out / NAME)
    return fig


if __name__ == "__main__":
    run(main)

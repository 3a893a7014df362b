"""What a run of `sims.depth_plus_one` measured, in medians and in four panels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sims import _depth_tickets as tickets
from sims._claims._judging import weights

Floats = NDArray[np.float64]
Row = dict[str, Any]
NAME = "depth_plus_one"
KINDS, LARGER = ("unit", "small"), ("pruned", "dense", "digits")
WITHIN = 0.005  # of accuracy, published
MADE = ("fewest", "first", "doubled")
RESAMPLES = 10_000
ASKED: dict[str, Any] = {"width": tickets.WIDTH, "epsilon": 0.1, "delta": 0.1}


def of(rows: list[Row], kind: str, depth: int | None = None) -> list[Row]:
    """The rows of a kind of target, by seed."""
    mine = [r for r in rows if r["kind"] == kind and depth in (None, r["depth"])]
    return sorted(mine, key=lambda r: int(r["seed"]))


def bits(rows: list[Row], kind: str, depth: int, one: str, other: str) -> Floats:
    """log2 of one error over another on the same target, `[seeds]`."""
    return np.array([np.log2(r[one] / r[other]) for r in of(rows, kind, depth)])


def median(values: Floats) -> tuple[float, Floats]:
    """The median over seeds, and that of resampled seeds `[R]`."""
    share = weights(len(values), np.random.default_rng(31), RESAMPLES)
    order = np.argsort(values)
    below = np.cumsum(share[:, order], axis=1) < 0.5 - 1e-12
    return float(np.median(values)), values[order][below.sum(axis=1)]


def summary(rows: list[Row]) -> dict[str, Any]:
    """Medians by depth, accuracies, and the copies that subset sums ask for."""
    depth = []
    for kind in KINDS:
        for at in sorted({r["depth"] for r in of(rows, kind)}):
            mine = of(rows, kind, at)
            ratios = {
                k: round(2 ** float(np.median(bits(rows, kind, at, k, "doubled"))), 3)
                for k in ("fewest", "first", "identical")
            }
            depth.append(
                {"kind": kind, "depth": at, "seeds": len(mine), **ratios,
                 "gain": float(np.median([g for r in mine for g in r["gains"]])),
                 "weights": float(np.median([s for r in mine for s in r["sums"]])),
                 "load": float(np.median([r["load"] for r in mine])),
                 "unmet": sum(r[f"{k}_unmet"] for r in mine for k in MADE)}
            )  # fmt: skip
    accuracies = [
        {k: r[k] for k in ("kind", "seed", "target", "ticket", "error", "size", "unmet", "nonzero")}
        for kind in LARGER
        for r in of(rows, kind)
    ]
    return {"depth": depth, "accuracy": accuracies, "copies": copies(rows)}


def copies(rows: list[Row]) -> dict[str, list[float]]:
    """Copies of the first hidden neurons by depth 2 … 5: with a layer's gain as in the explicit
    theorem (width times copies), as measured (the median over "unit" layers), and by norms (2)."""
    gain = float(np.median([g for r in of(rows, "unit") for g in r["gains"]]))
    kinds = {"width times copies": None, "measured": gain, "norms": float(np.sqrt(ASKED["width"]))}
    return {
        name: [tickets.asked(depth, value, **ASKED) for depth in range(2, 6)]
        for name, value in kinds.items()
    }


def figure(rows: list[Row], out: Path) -> Any:
    """Ratios and amplification against depth, accuracy, and the copies asked for."""
    from slth import plot

    fig, axes = plot.figure(2, 2, wide=True, height=5.6)
    ratios, gains, points, asked = axes
    table = summary(rows)
    _ratios(ratios, rows)
    _gains(gains, rows)
    _accuracy(points, table["accuracy"])
    for series, (name, counts) in enumerate(table["copies"].items()):
        plot.curve(asked, list(range(2, 2 + len(counts))), counts, name, series=series)
    asked.set(xlabel="target depth L [1]", ylabel="copies asked for [1]", xticks=range(2, 6))
    asked.set_ylim(0, max(map(max, table["copies"].values())) * 1.5)
    plot.legend(asked, loc="upper left")
    plot.title(asked, "copies, by what a layer is taken to amplify")
    plot.save(fig, out / NAME)
    return fig


def _ratios(ax: Any, rows: list[Row]) -> None:
    from slth import plot

    depths = sorted({r["depth"] for r in of(rows, "unit")})
    shown = (
        ("small", "fewest", "small weights"), ("unit", "first", "first subset found"),
        ("unit", "fewest", "smallest subsets"), ("unit", "identical", "copies forced alike"),
    )  # fmt: skip
    for series, (kind, name, label) in enumerate(shown):
        found = [median(bits(rows, kind, d, name, "doubled")) for d in depths]
        low, high = (np.array([np.quantile(many, q) for _, many in found]) for q in (0.025, 0.975))
        middle = np.array([one for one, _ in found])
        ends = (np.minimum(low, middle), middle, np.maximum(high, middle))
        plot.band(ax, depths, *(2.0**end for end in ends), label, series=series, bars=True)
    plot.log_scale(ax, "y")
    ax.set(xlabel="target depth L [1]", ylabel="error, depth L+1 over 2L [1]", xticks=depths)
    ax.set_ylim(0.3, 3e5)
    plot.legend(ax, loc="upper left")
    plot.title(ax, "every weight within 0.005")


def _gains(ax: Any, rows: list[Row]) -> None:
    from slth import plot

    depths = sorted({r["depth"] for r in of(rows, "unit")})
    curves: dict[str, list[float]] = {
        "width times copies": [],
        "measured": [],
        "norms": [],
    }
    for depth in depths:
        mine = of(rows, "unit", depth)
        curves["width times copies"].append((tickets.WIDTH * tickets.COPIES) ** (depth - 1.0))
        curves["measured"].append(float(np.median([r["load"] for r in mine])))
        curves["norms"].append(float(np.median([np.prod(r["sums"]) for r in mine])))
    for series, (name, values) in enumerate(curves.items()):
        plot.curve(ax, depths, values, name, series=series)
    plot.log_scale(ax, "y")
    ax.set(xlabel="target depth L [1]", ylabel="amplification [1]", xticks=depths, ylim=(1, 1e9))
    plot.legend(ax, loc="upper left")
    plot.title(ax, "from the first layer's errors to an output")


def _accuracy(ax: Any, table: list[Row]) -> None:
    from slth import plot

    kinds = [k for k in LARGER if any(r["kind"] == k for r in table)]
    names = {"pruned": "LeNet, pruned", "dense": "LeNet", "digits": "64-128-10"}
    for place, kind in enumerate(kinds):
        off = [100 * (r["ticket"] - r["target"]) for r in table if r["kind"] == kind]
        style = plot.style(place) | {"linestyle": "none"}
        ax.plot(place + (np.arange(len(off)) - (len(off) - 1) / 2) * 0.08, off, **style)
    ax.axhspan(-100 * WITHIN, 100 * WITHIN, color="0.9", zorder=0)
    ax.set(
        xlabel="target [name]",
        ylabel="accuracy off its target's [points]",
        xticks=range(len(kinds)),
        xlim=(-0.5, len(kinds) - 0.5),
    )
    ax.set_xticklabels([names[k] for k in kinds])
    plot.title(ax, "n = 15, tolerance 0.01; grey: published")

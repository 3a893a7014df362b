"""The figure of `sims.assigned`: network error and worst gadget against width, γ, and need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

WORDS = {
    "fixed": "fixed blocks",
    "assigned": "assigned",
    "exchanged": "exchanged",
    "dealt": "dealt by lot",
}


def figure(rows: list[dict[str, Any]], out: Path) -> Any:
    """Above: certified error of digits, worst gadget of a layer. Below: γ of fits, width needed."""
    from sims.assigned import KINDS, NAME, START
    from slth import plot

    fig, (errors, gadgets, laws, need) = plot.figure(2, 2, wide=True, height=5.6)
    part = "digits" if any(r["part"] == "digits" for r in rows) else "small"
    for series, kind in enumerate(KINDS):
        _spread(errors, rows, part, kind, "upper", series)
    errors.set_ylabel("certified error over the unit ball [1]")
    errors.set_xlabel("neurons an input and half in the source [1]")
    plot.log_scale(errors, "y")
    plot.title(errors, "64-128-10 digits" if part == "digits" else "random 16-24-8 networks")
    plot.legend(errors)
    for series, kind in enumerate((*KINDS, "dealt")):
        _spread(gadgets, rows, "layer", kind, "worst", series, scale=32)
    gadgets.set(ylabel="worst gadget [1]", xlabel="hidden neurons [1]")
    plot.log_scale(gadgets, "y")
    plot.title(gadgets, "one 16→8 layer")
    plot.legend(gadgets)
    _laws(laws, rows, [p for p in START if any(r["part"] == p for r in rows)])
    _need(need, rows)
    plot.save(fig, out / NAME)
    return fig


def _spread(
    ax: Any, rows: list[dict[str, Any]], part: str, kind: str, key: str, series: int, scale: int = 1
) -> None:
    """Median over seeds and the range of 90 % of them."""
    from sims.assigned import table
    from slth import plot

    n, values = table(rows, part, kind, key)
    band = np.quantile(values, [0.05, 0.5, 0.95], axis=0)
    plot.band(ax, scale * n, *band, WORDS[kind], series=series)


def _laws(ax: Any, rows: list[dict[str, Any]], parts: list[str]) -> None:
    """γ with its interval, of the network and of its gadgets' median."""
    from sims.assigned import KINDS, fitted
    from slth import plot

    names = []
    for series, (key, label) in enumerate((("upper", "network"), ("typical", "gadget's median"))):
        at, low, mid, high = [], [], [], []
        names = [f"{WORDS[kind]}\n{part}" for part in parts for kind in KINDS]
        for place, (part, kind) in enumerate((p, k) for p in parts for k in KINDS):
            fit = fitted(rows, part, kind, key)
            if fit is not None:
                at.append(place + 0.1 * (2 * series - 1))
                low.append(max(fit.low, 0.4))
                mid.append(fit.gamma)
                high.append(min(fit.high, 3.9))
        if at:
            plot.band(ax, at, low, mid, high, label, series=series, bars=True)
    for line in ax.lines:
        line.set_linestyle("none")
    ax.axhspan(0.7, 1.3, color="0.9", zorder=0)
    ax.set_xticks(range(len(names)), names, fontsize=plot.SMALL - 2)
    ax.set(xlabel="source and network [1]", ylabel="γ (1: exponential, 0: power) [1]")
    ax.set_ylim(0.4, 3.9)
    plot.title(ax, "law of the fall")
    if ax.lines:
        plot.legend(ax, loc="upper right", ncols=2)


def _need(ax: Any, rows: list[dict[str, Any]]) -> None:
    """The n needed over seeds, and what theorems ask for."""
    from sims.assigned import EPSILONS, KINDS, of, theorems
    from slth import plot

    if not of(rows, "need", "fixed"):
        ax.set_visible(False)
        return
    asked = theorems()["need"]
    for series, kind in enumerate(KINDS):
        n = np.array([[r["need"] for r in of(rows, "need", kind, epsilon=e).values()]
                      for e in EPSILONS])  # fmt: skip
        band = n.min(axis=1), np.median(n, axis=1), n.max(axis=1)
        plot.band(ax, EPSILONS, *band, f"{WORDS[kind]}, needed", series=series, bars=True)
    for series, kind in enumerate(KINDS[:2]):
        widths = [asked[kind][f"{e:g}"] for e in EPSILONS]
        plot.curve(ax, EPSILONS, widths, f"{WORDS[kind]}, theorem", series=series + 3)
    plot.log_scale(ax)
    ax.set(xlabel="error of the network, ε [1]", ylabel="neurons an input and half [1]")
    ax.set_ylim(10, 5000)
    plot.title(ax, "64-128-10 digits: width needed")
    plot.legend(ax, loc="upper center", ncols=2, columnspacing=1.0)

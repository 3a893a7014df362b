"""The figure: halves without a subset, accuracy, error over the unit ball, time; all against n."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sims._pensia import (
    DEALT,
    FIRST_HIT,
    GRID,
    NAME,
    NEEDED,
    RANDOM,
    SHARED,
    TICKET,
    WIDTHS,
    N,
)  # fmt: skip
from sims._pensia.judging import of, spread_of
from sims._protocol import Findings


def figure(rows: list[dict[str, Any]], found: Findings, out: Path) -> Any:
    """Halves without a subset, accuracy, error over the unit ball, and time, all against n."""
    from slth import plot

    fig, (unsolved, accuracy, error, seconds) = plot.figure(2, 2, wide=True, height=5.6)
    missing = np.array([r["unsolved"] for r in of(rows, NEEDED)])
    low, mid, high = np.quantile(missing, [0, 0.5, 1], axis=0)
    mid, low, high = (np.where(mid > 0, part, np.nan) for part in (mid, low, high))
    low = np.where(low > 0, low, mid)
    label = f"weights beyond 0.01 ({len(missing)} sources)"
    plot.band(unsolved, GRID, low, mid, high, label, series=0)
    need = found.facts["smallest_n"]
    if np.isfinite(need["high"]):
        unsolved.axvspan(need["low"], need["high"], color="0.5", alpha=0.3, linewidth=0)
        span = f"{need['median']:.0f} ({need['low']:.0f} to {need['high']:.0f})"
        label = f"smallest sufficient n: {span}"
        plot.curve(unsolved, [need["median"]] * 2, [np.nanmin(mid), 1.0], label, series=2)
    plot.title(unsolved, "(b) halves without a subset within 0.01")
    unsolved.set_ylabel("fraction of halves [1]")
    for part, series in ((TICKET, 0), (DEALT, 2), (SHARED, 1), (RANDOM, 3)):
        against(accuracy, rows, part, "accuracy", series)
    target = of(rows, SHARED)[0]["target_accuracy"]
    plot.curve(accuracy, [WIDTHS[0] - 6, WIDTHS[-1] + 6], [target, target], "target", series=4)
    plot.title(accuracy, "accuracy on held-out digits")
    accuracy.set_ylabel("accuracy [1]")
    accuracy.set_ylim(0, 1.05)
    against(error, rows, TICKET, "upper", 0, "certified")
    against(error, rows, TICKET, "lower", 3, "attacked")
    plot.title(error, "(b) error over the unit ball")
    error.set_ylabel("sup error [output units]")
    against(seconds, rows, TICKET, "core_seconds", 0)
    against(seconds, rows, SHARED, "core_seconds", 1)
    against(seconds, rows, FIRST_HIT, "core_seconds", 5)
    whole = found.facts["published"]["core_seconds"]
    plot.curve(seconds, [N], [whole], "published run of (a), Gurobi", series=4, marked=True)
    plot.title(seconds, "time of the whole network")
    seconds.set_ylabel("core-seconds [s]")
    for ax in (unsolved, error, seconds):
        plot.log_scale(ax, "y")
    unsolved.set_ylim(np.nanmin(low) / 100, 2)  # room for the legend
    for ax in (unsolved, accuracy, error, seconds):
        ax.set_xlabel("neurons drawn per input and half [neurons]")
        plot.legend(ax)
    plot.save(fig, out / NAME)
    return fig


def against(
    ax: Any, rows: list[dict[str, Any]], part: str, key: str, series: int, label: str = ""
) -> None:
    """Median over seeds against n, with the whole range as bars."""
    from slth import plot

    n = sorted({r["n"] for r in of(rows, part) if r.get(key) is not None})
    ranges = [spread_of(of(rows, part, k), key) for k in n]
    low, mid, high = ([r[end] for r in ranges] for end in ("min", "median", "max"))
    name = {SHARED: "(a) ", RANDOM: "(a) ", DEALT: "(b) ", TICKET: "(b) ", FIRST_HIT: "(b) "}[part]
    plot.band(ax, n, low, mid, high, label or name + part, series=series, bars=True)

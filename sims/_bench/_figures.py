"""The bench as figures, on logarithmic axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims._bench import Row
from sims._bench._peers import OPTIMA
from sims._bench.scaling import GROUP, LISTS

PEERS = {peer[0] for peer in OPTIMA} | {"flsss"}
KINDS = ("slth", "other packages", "limit")
LINE = 0.155  # inches a row


def kind_of(row: Row) -> str:
    if row.name in PEERS:
        return KINDS[1]
    return KINDS[2] if row.name.startswith(("its two half-lists", "python -c pass")) else KINDS[0]


def every_row(rows: list[Row]) -> Any:
    """Medians with their whole range, a line a row, under the name of their group: groups that
    have something to be compared with, another package, a limit or a goal."""
    from slth import plot

    rows = [row for row in rows if row.seconds is not None]
    compared = {row.group for row in rows if row.goal is not None or kind_of(row) != KINDS[0]}
    rows = [row for row in rows if row.group in compared]
    lines: list[tuple[str, Row | None]] = []
    for row in rows:
        if row.group not in {name for name, _ in lines}:
            lines.append((row.group, None))
        lines.append((row.name, row))
    fig, (ax,) = plot.figure(wide=True, height=1.0 + LINE * len(lines))
    height = {id(row): -k for k, (_, row) in enumerate(lines)}
    for series, kind in enumerate(KINDS):
        here = [row for row in rows if kind_of(row) == kind]
        if not here:
            continue
        at = [height[id(row)] for row in here]
        mid = np.array([row.seconds for row in here], np.float64)
        low, high = np.array([row.spread for row in here], np.float64).T
        looks = plot.style(series) | {"linestyle": "none"}
        (line,) = ax.plot(mid, at, label=kind, markersize=3.5, zorder=3, **looks)
        line.set_gid(f"series:{kind}")
        bars = ax.errorbar(
            mid, at, xerr=[mid - low, high - mid], fmt="none", ecolor=looks["color"], capsize=2,
            elinewidth=1.0,
        )  # fmt: skip
        bars[2][0].set_gid(f"interval:{kind}")
    goals = [(row.goal, height[id(row)]) for row in rows if row.goal is not None]
    if goals:
        plot.curve(ax, *zip(*goals, strict=True), "goal", series=3, marked=True)
        ax.lines[-1].set(linestyle="none", marker="|", markersize=8)
    plot.log_scale(ax, "x")
    ax.set_yticks([-k for k in range(len(lines))], [name for name, _ in lines])
    for label, (_, row) in zip(ax.get_yticklabels(), lines, strict=True):
        label.set_fontweight("normal" if row else "bold")
        label.set_fontsize(plot.SMALL - 1)
    ax.set_ylim(-len(lines), 1)
    ax.set_xlabel("median and range, a weight (or what the row counts) [s]")
    ax.set_ylabel("what was timed [name]")
    plot.legend(ax, outside=True, ncols=4)
    return fig


def against_n(rows: list[Row], record: dict[str, Any]) -> Any:
    """Cost a weight and the local exponent against n, and where four half-lists leave a cache."""
    from slth import plot

    rows = [row for row in rows if row.group == GROUP]
    if not rows:
        return None
    fig, (cost, growth) = plot.figure(1, 2, wide=True, height=3.2)
    for series, name in enumerate(dict.fromkeys(row.name for row in rows)):
        here = [row for row in rows if row.name == name]
        spread = np.array([row.spread for row in here], np.float64)
        n = [row.n for row in here]
        plot.band(
            cost, n, spread[:, 0], [row.seconds for row in here], spread[:, 1], name, series=series
        )
    plot.log_scale(cost, "y")
    cost.set_ylabel("time a weight on one core [s]")
    plot.title(cost, "exact optimum, own values")
    n, doublings = np.array(record["exponents"]).T if record["exponents"] else ([12], [0.5])
    plot.curve(growth, n, doublings, "MeetInTheMiddle", series=0, marked=True)
    plot.curve(growth, [min(n), max(n)], [0.5, 0.5], "one half: 2^(n/2)", series=2)
    growth.set_ylabel("d log2(time) / dn [1]")
    growth.set_ylim(0, 1.2)
    last = max(row.n or 0 for row in rows)
    for level, n_out in record["leaves"].items():
        if n_out <= last:
            for ax in (cost, growth):
                ax.axvline(n_out - 0.5, color="0.5", linewidth=0.8, linestyle=":")
            growth.text(
                n_out - 0.3, 1.12, f"out of {level}", fontsize=plot.SMALL, va="center", ha="left"
            )
    for ax in (cost, growth):
        ax.set_xlabel("values a weight n [1]")
        plot.legend(ax, loc="upper left" if ax is cost else "lower right")
        ax.set_xlim(min(row.n or 0 for row in rows) - 1, last + 1)
    low, high = cost.get_ylim()
    cost.set_ylim(low, high * 30)  # room for the legend
    plot.title(growth, f"local exponent; dotted: its {LISTS} lists leave a cache")
    return fig

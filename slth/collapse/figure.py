"""The collapse diagram as a figure: fewest weights, surviving flow, critical compressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from slth import plot
from slth.collapse import Maximal
from slth.collapse.diagram import Row, limits
from slth.collapse.findings import summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure(records: Sequence[Row], points: Sequence[Row], most: Maximal, title: str) -> Figure:
    """Medians over seeds in their whole range against compression; N/L is the dotted line."""
    fig, axes = plot.figure(1, 3, wide=True, height=2.9)
    draw(axes, records, points, most)
    legend(fig, axes[0])
    fig.suptitle(title, fontsize=plot.FONT)
    return fig


def draw(
    axes: Sequence[Axes], records: Sequence[Row], points: Sequence[Row], most: Maximal
) -> None:
    """The three panels of one architecture."""
    fewest, flow, critical = axes
    methods = list(dict.fromkeys(record["method"] for record in records))
    for series, method in enumerate(methods):
        mine = [row for row in points if row["method"] == method]
        against(fewest, mine, "fewest", method, series)
        against(flow, mine, "flow", method, series)
    fewest.set_yscale("symlog", linthresh=1, linscale=0.5)
    fewest.set(ylim=(-0.3, None), ylabel="fewest weights in a layer [1]")
    flow.set_ylabel("log10 of surviving flow [1]")
    marks(critical, records, methods)
    ends = [limits(records, method) for method in methods]
    last = max([most.by_layers, *(end.by_path for found in ends for end in found)])
    for ax in axes:
        plot.log_scale(ax, "x")
        right = last if ax is critical else most.by_layers
        ax.set(xlabel="compression [1]", xlim=(0.7, 2 * right))
        ax.axvline(most.by_layers, color="0.4", linestyle=":", linewidth=1.0)
    fewest.annotate(
        "N/L", (most.by_layers, 1.0), xycoords=("data", "axes fraction"), xytext=(-2, -1),
        textcoords="offset points", ha="right", va="top", fontsize=plot.SMALL,
    )  # fmt: skip


def legend(fig: Figure, ax: Axes) -> None:
    """One legend for all panels, below them."""
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False,
               fontsize=plot.SMALL, handlelength=2.6)  # fmt: skip


def against(ax: Axes, mine: Sequence[Row], key: str, label: str, series: int) -> None:
    """Median and range over seeds; where a seed has no value (no path is left), nothing."""
    at = sorted({row["compression"] for row in mine})
    table = []
    for compression in at:
        values = [row[key] for row in mine if row["compression"] == compression]
        known = [value for value in values if value is not None]
        whole = len(known) == len(values)
        table.append(np.quantile(known, [0, 0.5, 1]) if whole else np.full(3, np.nan))
    low, mid, high = np.transpose(table)
    if not np.isnan(mid).all():
        plot.band(ax, at, low, mid, high, label, series=series)


def marks(ax: Axes, records: Sequence[Row], methods: Sequence[str]) -> None:
    """Critical compression of each method: no empty layer (filled), a path survives (open)."""
    shown = []
    for series, method in enumerate(methods):
        found = limits(records, method)
        if not found:
            continue
        shown.append((series, method))
        looks = plot.style(series) | {"linestyle": "None"}
        for name, up, face in (("by_layers", 0.14, looks["color"]), ("by_path", -0.14, "white")):
            ends = summary(found)[name]
            x = [10 ** ends[end] for end in ("least", "median", "greatest")]
            ax.plot([x[0], x[2]], [-series + up] * 2, color=looks["color"], linewidth=1.0)
            ax.plot(x[1], -series + up, markersize=5, markerfacecolor=face, **looks)
    ax.set_yticks([-series for series, _ in shown], [method for _, method in shown])
    ax.set(ylim=(-len(methods) + 0.4, 0.6), ylabel="method [name]")
    ax.set_title("critical: layers (filled), path (open)", fontsize=plot.SMALL)

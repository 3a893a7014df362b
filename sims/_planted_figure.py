"""The figure of `sims.planted`: errors and planted weights kept, against density."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

TITLES = {"circle": "circle: 4 rings", "relu": "ReLU: regression", "helix": "helix: 3 outputs"}
WRONG = "wrong classes or\nunexplained squares [1]"
PANELS = (  # what is drawn, axis, {method: series}
    ("strong", f"untrained:\n{WRONG}", {
        "random": 0, "synflow": 4, "synflow, in rounds": 2, "edge-popup": 5,
        "edge-popup, annealed": 3, "edge-popup, all layers": 1,
    }),
    ("weak", f"pruned at once, trained:\n{WRONG}", {
        "random": 0, "magnitude": 1, "snip": 2, "grasp": 3, "synflow": 4,
    }),
    ("weak", f"other masks, trained:\n{WRONG}", {
        "magnitude, in rounds": 1, "snip, in rounds": 2, "grasp, in rounds": 3,
        "synflow, in rounds": 4, "edge-popup": 5, "edge-popup, all layers": 6,
    }),
    ("recall", "planted weights\nkept [1]", {
        "random": 0, "magnitude": 1, "snip": 2, "synflow": 4, "edge-popup, all layers": 6,
    }),
)  # fmt: skip


def draw(
    summary: Sequence[Mapping[str, Any]],
    planted: Mapping[str, float],
    enough: Mapping[str, float],
) -> Any:
    """A column a task, a row a question; planted: the planted density of every task."""
    from slth import plot

    tasks = list(planted)
    fig, axes = plot.figure(len(PANELS), len(TITLES), wide=True, height=8.4, sharex=True)
    for row, (kind, label, methods) in enumerate(PANELS):
        for column, task in enumerate(TITLES):
            ax = axes[row * len(TITLES) + column]
            if task not in tasks:
                ax.set_visible(False)
                continue
            _panel(ax, summary, task, planted[task], kind, methods)
            if kind == "recall":
                plot.curve(ax, *2 * (np.geomspace(1e-4, 1, 50),), "by chance", series=5)
            else:
                ax.axhline(enough[task], color="0.5", linewidth=0.8, linestyle=":")
            ax.set(ylim=(-0.05, 1.05), xlim=(1e-4, 1.4))
            if column == 0:
                ax.set_ylabel(label)
            if row == 0:
                plot.title(ax, TITLES[task])
            if row == len(PANELS) - 1:
                ax.set_xlabel("density [1]")
        shown = next(axes[row * len(TITLES) + list(TITLES).index(t)] for t in reversed(tasks))
        plot.legend(shown, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return fig


def _panel(
    ax: Any,
    summary: Sequence[Mapping[str, Any]],
    task: str,
    planted: float,
    kind: str,
    methods: Mapping[str, int],
) -> None:
    from slth import plot

    mine = [s for s in summary if s["task"] == task and kind in s]
    for method, series in methods.items():
        points = sorted(
            (planted if s["density"] is None else s["density"], *s[kind])
            for s in mine
            if s["method"] == method
        )
        if points:
            at, low, mid, high = zip(*points, strict=True)
            plot.band(ax, at, low, mid, high, method, series=series, bars=True)
    plot.log_scale(ax, "x")
    if kind == "recall":
        return
    for method, name, at, marker in (
        ("planted", "the planted ticket", planted, "*"),
        ("unpruned", "unpruned", 1.0, "X"),
    ):
        (point,) = (s[kind][1] for s in mine if s["method"] == method)
        (line,) = ax.plot(at, point, marker=marker, color="0.3", markersize=6, linestyle="None",
                          markerfacecolor="none", zorder=4, label=name)  # fmt: skip
        line.set_gid(f"curve:{name}")

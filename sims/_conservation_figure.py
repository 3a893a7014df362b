"""The figure of the conservation simulation: six panels, one a question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sims import _descent, _flow, _theorem3

NAME = "conservation"


def figure(rows: list[dict[str, Any]], out: Path) -> Any:
    from slth import plot

    fig, axes = plot.figure(3, 2, wide=True, height=8.4)
    for draw, ax in zip((gaps, collapse, law, drift, added, carried), axes, strict=True):
        draw(ax, rows)
    plot.save(fig, out / NAME)
    return fig


def names(ax: Any, axis: str, labels: Sequence[str]) -> None:
    """Words for ticks."""
    ax.set(**{f"{axis}ticks": range(len(labels)), f"{axis}ticklabels": labels,
              f"{axis}lim": (-0.6, len(labels) - 0.4)})  # fmt: skip


def points(ax: Any, at: Any, band: tuple[Any, Any, Any], label: str, series: int) -> None:
    """Medians with bars over kinds, which no line joins."""
    from slth import plot

    plot.band(ax, at, *band, label, series=series, bars=True)
    next(line for line in ax.lines if line.get_gid() == f"series:{label}").set_linestyle("None")


def gaps(ax: Any, rows: list[dict[str, Any]]) -> None:
    from slth import plot

    present = [a for a in _flow.ARCHITECTURES if _flow.of(rows, "conserved", a)]
    for series, how in enumerate((None, *_flow.BROKEN)):
        table = []
        for name in present:
            gap = [r["gap"] for r in _flow.of(rows, "conserved", name) if r["how"] == how]
            table.append(np.quantile(gap, [0, 0.5, 1]) if gap else [np.nan] * 3)
        low, mid, high = np.array(table).T
        at = np.arange(len(present)) + 0.12 * (series - 1.5)
        if np.isfinite(mid).any():
            label = {None: "as stated", "batch": "batch statistics"}.get(how, how)
            points(ax, at, (low, mid, high), label, series)
    bound = [
        max(r["bound"] for r in _flow.of(rows, "conserved", n) if not r["how"]) for n in present
    ]
    plot.curve(ax, range(len(present)), bound, "bound on rounding", series=4)
    plot.log_scale(ax, "y")
    names(ax, "x", [name.split(":")[0].upper() for name in present])
    ax.set(xlabel="architecture [name]", ylabel="worst gap over Σ|score| [1]", ylim=(1e-19, 1e5))
    plot.title(ax, "sums of saliency: neurons and cuts")
    plot.legend(ax, loc="upper left", ncols=2)


def collapse(ax: Any, rows: list[dict[str, Any]]) -> None:
    from slth import plot

    rules = [r for r in reversed(_theorem3.RULES) if _flow.of(rows, "theorem 3", r)]
    rng = np.random.default_rng(0)
    for at, rule in enumerate(rules):
        values = np.array([r["reached"] for r in _flow.of(rows, "theorem 3", rule)])
        place = at + rng.uniform(-0.25, 0.25, len(values))
        (line,) = ax.plot(values, place, "o", color=plot.COLOURS[int((values < 1).any())],
                          markersize=2, alpha=0.6, linewidth=0)  # fmt: skip
        line.set_gid(f"curve:{rule}")
        early = int((values < 1).sum())
        ax.text(7e-4, at, f"{rule}: {early}", va="center", fontsize=plot.SMALL)
    plot.log_scale(ax, "x")
    count = len(_flow.of(rows, "theorem 3", rules[0]))
    ax.set(xlabel="compression reached over N/L [1]", xlim=(6e-4, 1.3), yticks=[])
    ax.set_xticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
    ax.set_xticks([], minor=True)
    plot.title(ax, f"theorem 3, a hypothesis less: how many of {count} early")


def law(ax: Any, rows: list[dict[str, Any]]) -> None:
    from slth import plot

    name = _flow.LAW[-1] if _flow.of(rows, "inverse law", _flow.LAW[-1]) else _flow.LAW[0]
    for series, method in enumerate(reversed(_flow.METHODS)):
        mine = _flow.method_rows(rows, name, method)
        sizes = np.array(mine[0]["sizes"])
        groups = np.unique(sizes)
        means = [np.concatenate([[r["means"][i] for r in mine] for i in np.flatnonzero(sizes == g)])
                 for g in groups]  # fmt: skip
        low, mid, high = np.array([np.quantile(m, [0, 0.5, 1]) for m in means]).T
        slope = np.mean([r["slope"] for r in mine])
        label = f"{method}: {slope:.3f} ({_flow.PUBLISHED['slope'][method]:.3f})"  # type: ignore[index]
        plot.band(ax, groups, low, mid, high, label, series=series, bars=True)
    plot.log_scale(ax)
    ax.set(xlabel="weights in the layer [1]", ylabel="|mean score| over Σ|score| [1]")
    ax.set_ylim(ax.get_ylim()[0] / 30)
    plot.title(ax, f"{name.upper()}: score against layer size, slope (published)")
    plot.legend(ax, loc="lower left")


def drift(ax: Any, rows: list[dict[str, Any]]) -> None:
    from slth import plot

    for series, rule in enumerate(("descent", "momentum", "tanh", "adam")):
        mine = _flow.of(rows, "drift", rule)
        rates = mine[0]["rates"]
        table = np.array([[f["drift"] for f in r["found"]] for r in mine])
        low, mid, high = np.quantile(table, [0, 0.5, 1], axis=0)
        label = {"descent": "gradient descent", "adam": "Adam"}.get(rule, rule)
        plot.band(ax, rates, low, mid, high, label, series=series)
    guide = np.array(rates)
    plot.curve(ax, guide, mid.min() * 0.05 * guide / guide.max(), "∝ rate", series=4)
    plot.log_scale(ax)
    ax.set(xlabel="rate [1]", ylabel="range of the layers' added Σ w² [1]")
    ax.set_ylim(ax.get_ylim()[0] / 30)
    plot.title(ax, "drift of squared norms in a fixed time")
    plot.legend(ax, loc="lower right", ncols=2)


def added(ax: Any, rows: list[dict[str, Any]]) -> None:
    from slth import plot

    for series, (init, kind) in enumerate((i, k) for i in _descent.INITS for k in ("ReLU", "tanh")):
        mine = _flow.of(rows, "training", init)
        ends = [r["squares"][1] if kind == "ReLU" else r["squares_tanh"] for r in mine]
        more = np.array(ends) - np.array([r["squares"][0] for r in mine])
        low, mid, high = np.quantile(more, [0, 0.5, 1], axis=0)
        label = f"{init.split('_')[0].title()}, {kind}"
        if kind == "ReLU":
            before, after = np.mean([_descent.mean_squares(r) for r in mine], axis=0)
            label += f": slope {before:.2f} to {after:.2f}"
        at = np.arange(len(mid)) + 0.1 * (series - 1.5)
        points(ax, at, (low, mid, high), label, series)
    names(ax, "x", [f"{size:,}" for size in mine[0]["sizes"]])
    ax.set(xlabel="layers by their weights [1]", ylabel="added Σ w² [1]")
    ax.set_ylim(0, 1.7 * ax.get_ylim()[1])
    plot.title(ax, "training adds the same Σ w² to every layer")
    plot.legend(ax, loc="upper left")


def carried(ax: Any, rows: list[dict[str, Any]]) -> None:
    from slth import plot

    keys = {"once": "start,\nat once", "untrained": "start,\nin rounds",
            "once_after": "trained,\nat once", "iterated": "trained,\nin rounds"}  # fmt: skip
    for series, init in enumerate(_descent.INITS):
        mine = _flow.of(rows, "training", init)
        low, mid, high = np.array(
            [np.quantile([r[key] for r in mine], [0, 0.5, 1]) for key in keys]
        ).T
        at = np.arange(len(keys)) + 0.1 * (2 * series - 1)
        points(ax, at, (low, mid, high), init.split("_")[0].title(), series)
    names(ax, "x", list(keys.values()))
    plot.log_scale(ax, "y")
    ax.set(xlabel="pruning by magnitude [kind]", ylabel="critical compression over N/L [1]")
    plot.title(ax, "what magnitudes carry before a layer is empty")
    plot.legend(ax)

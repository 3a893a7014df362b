"""What the rows of `few_values` say, and its figure."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sims import _first_hits as hits
from sims._binary_tickets import DELTA, bound

NAME = "few_values"
ROUTINGS = {"powers": "powers carried (the paper's idea)", "sums": "sums doubled (ours)"}


def of(rows: list[dict[str, Any]], part: str, kind: str | None = None) -> list[dict[str, Any]]:
    return [r for r in rows if r["part"] == part and kind in (None, r["kind"])]


def grouped(rows: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """Counts of links and sources added up over seeds."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for r in rows:
        group = found.setdefault(
            (r["kind"], r["bits"]), {"missed": 0, "unmet": 0, "sources": 0, "bound": r["bound"]}
        )
        for key, value in (("missed", r["missed"]), ("unmet", r["unmet"]), ("sources", r["size"])):
            group[key] += value
    return found


def first(rows: list[dict[str, Any]], kind: str) -> dict[int, np.ndarray]:
    """For each number of bits, usable products needed, a weight each."""
    found: dict[int, list[int]] = {}
    for r in of(rows, "transition", kind):
        text = str(r["first"])
        found.setdefault(r["bits"], []).extend(int(n) for n in text.split(","))
    return {bits: np.array(found[bits]) for bits in sorted(found)}


@cache
def growth() -> dict[str, Any]:
    """Widest layer and depth of the digits network's ±1 source at 4 … 48 digits, δ = 0.01."""
    from slth.bounds import _binary_layout as layout

    found: dict[str, Any] = {"digits": list(range(4, 49, 4))}
    for kind in ROUTINGS:
        widths, copies = [], []
        for bits in found["digits"]:
            stages = layout.stages((64, 128, 10), (False, False), (bits, bits))
            copies.append(layout.least_copies(stages, DELTA, kind))  # type: ignore[arg-type]
            widths.append(layout.widths(stages, copies[-1], kind))  # type: ignore[arg-type]
        widest, depth = [max(w) for w in widths], [len(w) - 1 for w in widths]
        found[kind] = {"copies": copies, "width": widest, "depth": depth}
    return found


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[dict[str, Any]], out: Path) -> Any:
    """Errors and sizes of ±1 tickets, missed links, and the transition of exact subset sums."""
    from slth import plot

    fig, (errors, sizes, missed, step) = plot.figure(2, 2, wide=True, height=5.6)
    _errors(errors, rows)
    _sizes(sizes)
    _links(missed, rows)
    _transition(step, rows)
    plot.save(fig, out / NAME)
    return fig


def _errors(ax: Any, rows: list[dict[str, Any]]) -> None:
    from slth import plot

    mine = of(rows, "digits", "sums")
    bits = np.array(sorted({r["bits"] for r in mine}))
    for series, (key, label) in enumerate(
        (("upper", "network, certified"), ("lower", "network, attacked"), ("worst", "worst weight"))
    ):
        table = np.array([[r[key] for r in mine if r["bits"] == b] for b in bits])
        low, middle, high = np.quantile(table, (0.05, 0.5, 0.95), axis=1)
        plot.band(ax, bits, low, middle, high, label, series=series)
    plot.curve(ax, bits, 2.0 ** -(bits + 1.0), "2^-(F+1), theorem", series=3)
    plot.log_scale(ax, "y")
    ax.set(xlabel="digits behind the point F [1]", ylabel="error [1]")
    plot.title(ax, "±1 tickets: a digit halves the error")
    plot.legend(ax, loc="lower left")


def _sizes(ax: Any) -> None:
    from slth import plot

    found = growth()
    for series, (kind, label) in enumerate(ROUTINGS.items()):
        plot.curve(ax, found["digits"], found[kind]["width"], label, series=series, marked=True)
    ax.set(xlabel="digits of a weight B, depth 1 + 2B [1]", ylabel="widest layer [neurons]",
           ylim=(0, None))  # fmt: skip
    plot.title(ax, f"±1 source that 64-128-10 asks for, δ = {DELTA}")
    plot.legend(ax, loc="upper left")


def _links(ax: Any, rows: list[dict[str, Any]]) -> None:
    from slth import plot
    from slth.stats import clopper_pearson

    found = grouped(of(rows, "links"))
    copies = np.array(sorted({c for k, c in found if k == "powers"}))
    mine = [found["powers", c] for c in copies]
    sources = np.array([g["sources"] for g in mine])
    for series, (key, label) in enumerate(
        (("missed", "a link is missed"), ("unmet", "a weight is"))
    ):
        count = np.array([g[key] for g in mine])
        low, high = clopper_pearson(count, sources)
        plot.band(ax, copies, low, count / sources, high, label, series=series, bars=True)
    every = np.arange(copies.min(), 23)
    plot.curve(ax, every, [min(1.0, bound("powers", int(r))) for r in every], "theorem", series=2)
    ax.set(xlabel="copies of a value R [1]", ylabel="share of sources [1]", ylim=(-0.03, 1.05))
    ax.set_xticks(every[::3])
    plot.title(ax, "2-3-2, all digits one, powers carried")
    plot.legend(ax, loc="upper right")


def _transition(ax: Any, rows: list[dict[str, Any]]) -> None:
    from slth import plot
    from slth.stats import clopper_pearson

    series = 0
    for kind in ("signs", "grid"):
        counts = first(rows, kind)
        for bits in (min(counts), max(counts)):
            n = np.arange(1, hits.LIMIT + 1)
            met = (counts[bits][:, None] <= n).sum(axis=0)
            low, high = clopper_pearson(met, counts[bits].size)
            label = f"{hits.KINDS[kind].words}, {bits} bits"
            plot.band(ax, n / bits, low, met / counts[bits].size, high, label, series=series)
            mean = np.minimum(1.0, hits.expected(kind, bits)[1:])
            ax.plot(n / bits, mean, color=plot.COLOURS[series], linewidth=0.8, linestyle=":")
            series += 1
    ax.axvline(1.0, color="0.5", linewidth=0.8)
    ax.set(xlabel="usable products over bits, 1/κ [1]", ylabel="share of weights met exactly [1]",
           xlim=(0, 3.4))  # fmt: skip
    plot.title(ax, "exact subset sums; dotted: mean number of them")
    plot.legend(ax, loc="lower right")

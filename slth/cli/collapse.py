"""`slth collapse`: the collapse diagram of an architecture, run as a resumable grid."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slth.collapse import Maximal, findings
from slth.collapse.diagram import CELL, Setting, cells, cost, exponents, rows
from slth.errors import BadInput

METHODS = ("random", "magnitude", "snip", "grasp", "synflow")
NAME = "collapse"
# (seeds, compressions a decade), by kind of device
WHOLE, SMALL = (10, 2), (3, 1)


def methods(text: str) -> tuple[str, ...]:
    """Saliencies by name, each once; the panel has no room for more than seven."""
    from slth.pruning import saliencies

    known, found = saliencies(), [part.strip().replace("-", "_") for part in text.split(",")]
    unknown = [name for name in found if name not in known]
    if unknown or len(set(found)) < len(found) or len(found) > 7:
        allowed = f"up to 7 of {', '.join(known)}, each once"
        raise BadInput("--methods", text, allowed, "separate names by commas")
    return tuple(found)


def compressions(text: str | None, largest: float, per_decade: int) -> list[float]:
    """Those asked for, increasing and at most N/L; by default equal ratios up to N/L."""
    if text is None:
        return exponents(largest, per_decade)
    try:
        found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        raise BadInput("--compressions", text, "numbers", "write 1,10,100") from None
    if not all(1 <= c <= largest for c in found):
        allowed = f"1 to {largest:.10g} = N/L"
        raise BadInput("--compressions", text, allowed, "beyond it some layer must be empty")
    return found


def run(
    setting: Setting,
    names: str,
    seeds: int | None,
    text: str | None,
    workers: int | None,
    out: Path,
    progress: bool,
) -> dict[str, Any]:
    """Run what the store in `out` lacks, write figure, table and verdicts; the facts."""
    from slth import plot
    from slth.cli.show import plain
    from slth.collapse.figure import figure
    from slth.files import write_atomically
    from slth.stats import settle
    from slth.sweep import Sweep, write_table
    from slth.sweep import run as run_sweep

    most, chosen = setting.check(), methods(names)
    setting.check_data(chosen)
    cuda = setting.device.startswith("cuda")
    count, per_decade = WHOLE if cuda else SMALL
    grid = cells(
        setting, chosen, range(seeds or count), compressions(text, most.by_layers, per_decade)
    )
    sweep = Sweep(NAME, CELL, grid, out / f"{NAME}.sqlite", cost=cost)
    # one process feeds a GPU; more would only share its memory
    records = list(run_sweep(sweep, 1 if cuda and workers is None else workers, None, progress))
    points, sizes = list(rows(records)), layer_sizes(setting)
    write_table(points, out / f"{NAME}.csv")
    plot.save(figure(records, points, most, title(setting, chosen, most)), out / NAME)
    verdicts = settle(findings.verdicts(records, points, sizes, most))
    found = {
        "setting": asdict(setting),
        **findings.facts(records, sizes, most),
        "verdicts": {name: verdict.to_json() for name, verdict in verdicts.items()},
        "files": str(out),
    }
    with write_atomically(out / f"{NAME}.json") as stream:
        text = json.dumps(plain(found), indent=1, ensure_ascii=False, allow_nan=False)
        stream.write(text.encode() + b"\n")
    return found


def layer_sizes(setting: Setting) -> list[int]:
    from slth.pruning._layers import layers

    return [layer.module.weight.numel() for layer in layers(setting.model(0))]


def title(setting: Setting, chosen: Sequence[str], most: Maximal) -> str:
    """What was measured, and on what data if any method looked at some."""
    from slth.pruning import load

    text = f"{setting.arch}: N = {most.weights:,} weights in L = {most.layers} layers"
    if not any(load(method).data for method in chosen):
        return text
    data = {"gaussian": "Gaussian images", "digits": "digits", "mnist5k": "MNIST digits"}
    return f"{text}; losses on {setting.per_class} {data[setting.data]} a class"


def show(found: dict[str, Any]) -> None:
    """Critical compressions and verdicts as tables."""
    from slth.cli.show import _print, _table

    table = _table("method", "no empty layer up to", "range", "a path up to", "range", "seeds")
    for method, both in found["log10_critical"].items():
        cells = []
        for name in ("by_layers", "by_path"):
            ends = both[name]
            cells += [power(ends["median"]), f"{ends['least']:.2f} … {ends['greatest']:.2f}"]
        table.add_row(method, *cells, str(both["by_layers"]["seeds"]))
    limits = [found["log10_maximal"], found["log10_maximal_by_path"]]
    table.add_row("any: N/L, N/path", power(limits[0]), "", power(limits[1]), "", "")
    claims = _table("claim", "verdict", "why")
    for name, verdict in found["verdicts"].items():
        claims.add_row(name, str(verdict["state"]), verdict["reason"])
    _print(table, claims, f"all files: {found['files']}")


def power(exponent: float) -> str:
    return f"10^{exponent:.2f}" if math.isfinite(exponent) else "any"

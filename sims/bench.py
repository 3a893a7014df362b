"""How long things take: `python -m sims.bench` writes table, record and figures to out/bench.

Each row is the median of repeats on this machine after a first call that compiles; a ratio compares
with the first row of its group in the same run, so a busy machine slows both sides. Peers that are
not installed get a row that says so. `--publish` stores the run in sims/figures and puts its table
into the README. To add rows: a file in `sims/_bench/`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sims import _bench
from sims._bench import Row, groups, timed
from sims._bench.scaling import GROUP as SCALING
from sims._bench.scaling import exponents, leaves

__all__ = ["Row", "timed"]

NAME = "bench"
ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "sims" / "figures"
SHOWN = (12, 16, 20, 24, 28, 32, 36, 40, 44)  # of the series against n, in the README's table
OPEN, CLOSE = "<!-- bench -->", "<!-- /bench -->"


# -- shown as text ---------------------------------------------------------------------------------


def duration(seconds: float | None) -> str:
    """With a unit that keeps three digits readable."""
    if seconds is None:
        return "–"
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def goal_of(row: Row) -> str:
    """Whether the row meets its goals, or nothing."""
    goals = []
    if row.goal is not None and row.seconds is not None:
        goals.append(f"< {duration(row.goal)}: {'yes' if row.seconds < row.goal else 'NO'}")
    if row.peak_goal is not None and row.peak is not None:
        met = "yes" if row.peak < row.peak_goal else "NO"
        goals.append(f"< {row.peak_goal / 1e9:g} GB: {met}")
    return ", ".join(goals)


def note_of(row: Row) -> str:
    peak = [] if row.peak is None else [f"peak {row.peak / 1e9:.3g} GB"]
    return "; ".join([*peak, *([row.note] if row.note else [])])


def cells(row: Row, first: float | None) -> tuple[str, ...]:
    """What a table shows of a row; first: the seconds of its group's first row."""
    span = "" if row.spread is None else " – ".join(map(duration, row.spread))
    ratio = "" if row.seconds is None or not first else f"{row.seconds / first:.3g}"
    return (
        row.name, f"{duration(row.seconds)} a {row.unit}", span, duration(row.core_seconds),
        str(row.repeats or "–"), ratio, goal_of(row), note_of(row),
    )  # fmt: skip


HEAD = ("what", "median", "range", "core time", "of", "ratio", "goal", "")


def grouped(rows: Iterable[Row]) -> dict[str, list[tuple[Row, float | None]]]:
    """Rows by group, each with the seconds of its group's first row that ran."""
    found: dict[str, list[tuple[Row, float | None]]] = {}
    first: dict[str, float] = {}
    for row in rows:
        if row.seconds is not None:
            first.setdefault(row.group, row.seconds)
        found.setdefault(row.group, []).append((row, first.get(row.group)))
    return found


def table(rows: list[Row]) -> str:
    """Plain text, one line a row."""
    lines = [HEAD]
    for group, members in grouped(rows).items():
        lines.append((group, *[""] * 7))
        for row, first in members:
            name, *rest = cells(row, None if row.n else first)
            shown = f"  {name}" if row.n is None else f"  {name}, n = {row.n}"
            lines.append((shown, *rest))
    widths = [max(len(line[i]) for line in lines if i or line[1]) for i in range(8)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(record: dict[str, Any]) -> str:
    """The tables that the README shows: every row, and the series against n."""
    rows = [Row(**row) for row in record["rows"]]
    lines = []
    for group, members in grouped(row for row in rows if row.group != SCALING).items():
        lines.append(f"| **{group}** | | | | | |")
        for row, first in members:
            name, median, span, cores, _, ratio, goal, note = cells(row, first)
            shown = f"{median} ({span})" if span and row.repeats > 1 else median
            lines.append(f"| {name} | {shown} | {cores} | {ratio} | {goal} | {note} |")
    head = "| what | median (range) | core time | ratio | goal | |\n|---|---|---|---|---|---|"
    return "\n".join([head, *lines]) + against_n(rows, record)


def against_n(rows: list[Row], record: dict[str, Any]) -> str:
    """Cost a weight and its local exponent against n, a column a length; empty if not measured."""
    lengths = [n for n in SHOWN if any(row.n == n for row in rows)]
    if not lengths:
        return ""
    names = list(dict.fromkeys(row.name for row in rows if row.group == SCALING))
    lines = ["\n\n| one core, n = | " + " | ".join(map(str, lengths)) + " |"]
    lines.append("|---" * (1 + len(lengths)) + "|")
    for name in names:
        cost = {row.n: row.seconds for row in rows if row.group == SCALING and row.name == name}
        lines.append(f"| {name} | " + " | ".join(duration(cost.get(n)) for n in lengths) + " |")
    growth = dict(record["exponents"])
    shown = (f"{growth[n]:.2f}" if n in growth else "–" for n in lengths)
    lines.append("| doublings a value of the first | " + " | ".join(shown) + " |")
    left = ", ".join(f"{level} from n = {n}" for level, n in record["leaves"].items())
    caches = record["machine"].get("caches", {})
    sizes = ", ".join(f"{level} {size // 1024:,} KiB" for level, size in caches.items())
    tail = f"\n\nIts four lists leave {left} (caches here: {sizes})." if left else ""
    return "\n".join(lines) + tail


# -- shown as figures ------------------------------------------------------------------------------


def figures(rows: list[Row], record: dict[str, Any], out: Path) -> list[Any]:
    """Every row with its range, and cost and local exponent against n."""
    from sims._bench._figures import against_n as drawn_against_n
    from sims._bench._figures import every_row
    from slth import plot

    found = []
    for name, fig in (
        (NAME, every_row([row for row in rows if row.group != SCALING])),
        (f"{NAME}_scaling", drawn_against_n(rows, record)),
    ):
        if fig is not None:
            plot.save(fig, out / name)
            found.append(fig)
    return found


# -- a run -----------------------------------------------------------------------------------------


def measured(names: Iterable[str], smoke: bool) -> Iterable[Row]:
    from sims._bench.scaling import scaling

    if smoke:
        yield from groups()["start_up"]()
        yield from scaling((12, 14, 16, 18), 0.002)
        return
    for name in names:
        yield from groups()[name]()


def record_of(rows: list[Row]) -> dict[str, Any]:
    """Everything that tables and figures need, as JSON."""
    machine = _bench.machine()
    caches: Any = machine["caches"]
    first = next((row.name for row in rows if row.group == SCALING), "")
    return {
        "machine": machine,
        "rows": [asdict(row) for row in rows],
        "exponents": exponents(rows, first),
        "leaves": leaves(caches),
    }


def publish(record: dict[str, Any], readme: Path = ROOT / "README.md") -> None:
    """Store the record and its figures, and write its tables into the README."""
    rows = [Row(**row) for row in record["rows"]]
    (FIGURES / f"{NAME}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    figures(rows, record, FIGURES)
    before, rest = readme.read_text("utf-8").split(OPEN)
    after = rest.split(CLOSE)[1]
    readme.write_text(f"{before}{OPEN}\n{markdown(record)}\n{CLOSE}{after}", "utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=[*groups()], nargs="*", help="measure these groups only")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="output folder")
    parser.add_argument("--smoke", action="store_true", help="start-up and a few lengths only")
    parser.add_argument("--publish", action="store_true", help="into sims/figures and the README")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    for row in measured(options.only or groups(), options.smoke):
        rows.append(row)
        at = "" if row.n is None else f", n = {row.n}"
        print(f"{row.group}: {row.name}{at}: {duration(row.seconds)}", file=sys.stderr)
    record = json.loads(json.dumps(record_of(rows)))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{NAME}.json").write_text(
        json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    )
    text = table(rows)
    (options.out / f"{NAME}.txt").write_text(text + "\n")
    figures(rows, record, options.out)
    if options.publish:
        publish(record)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

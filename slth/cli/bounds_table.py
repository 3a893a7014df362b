"""What `slth bounds` prints: a table a group of theorems, one theorem in full, or JSON."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from slth.bounds import TargetClass
from slth.cli.bounds import GROUPS
from slth.cli.show import plain

if TYPE_CHECKING:
    from rich.table import Table

TITLES = (
    "Explicit: so much suffices",
    "Rates: C times this, with a constant C that nobody has computed",
    "Lower bounds: with less it cannot be done",
    "Others",
    "From memory, unverified: for display only, never used as a bound",
)
WIDE = 96  # columns of a terminal that need no folding
HEADERS = {
    "n a weight": "n a\nweight",
    "hidden width": "hidden\nwidth",
    "random weights": "random\nweights",
}


def number(value: float | None) -> str:
    """Whole below 10^5, else like 3.1e12; a dash for nothing."""
    if value is None:
        return "–"
    if value < 1e5:
        return f"{math.ceil(value - 1e-9)}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}e{int(power)}"


def short(value: float | None) -> str:
    """Three digits of something that need not be whole."""
    return "–" if value is None else f"{value:.3g}" if value < 1e4 else number(value)


def need_text(entry: dict[str, Any]) -> str:
    if entry["need"] is None:
        return "–"
    if entry["need_kind"] == "extrapolated":
        return f"≈{number(entry['need'])} extrap."
    if entry["need_kind"] == "computed":
        return f"{number(entry['need'])} computed"
    return f"{number(entry['need'])} [{number(entry['need_low'])}, {number(entry['need_high'])}]"


def describe(target: TargetClass, epsilon: float, delta: float) -> str:
    """The class and the point in a sentence."""
    widths = "-".join(map(str, target.dims)) if target.depth <= 12 else f"{target.depth} layers"
    kind = "convolutions" if target.kernels else "attention" if target.heads else "ReLU networks"
    return (
        f"Targets: {kind} {widths}{', biases' if target.biases else ''}, norms at most "
        f"{max(target.spectral_norms):.4g}, entries at most {max(target.max_entries):.4g}, inputs "
        f"of norm at most {target.input_radius:.4g}; ε = {epsilon:g}, δ = {delta:g}. Numbers are "
        "of the largest layer."
    )


def show_rows(found: list[dict[str, Any]], head: str) -> None:
    """A table a group, then the sentences that the marks in them stand for."""
    from rich.console import Console

    width = Console().width
    reasons: dict[str, int] = {}
    for entry in found:
        for sentence in entry["silent"]:
            reasons.setdefault(sentence, len(reasons) + 1)
    parts: list[Any] = [head]
    for group, title in zip(GROUPS, TITLES, strict=True):
        mine = [entry for entry in found if entry["group"] == group]
        if mine:
            parts += ["", title, table(group, mine, reasons, width)]
    parts += [
        "✓: its hypotheses hold; ✗: it is silent here, for the reasons below; numbers beside that "
        "are what its formula gives all the same. need: random values a weight measured to suffice "
        "at the theorem's own tolerance and δ a gadget, between the ends of a 95 % interval; ≈ is "
        "an extrapolation, no measurement. slack: the theorem's n over the need, or the need over "
        "a lower bound.",
        *(f"✗{n}: {sentence}" for sentence, n in reasons.items()),
    ]
    echo(parts)


def table(group: str, found: list[dict[str, Any]], reasons: dict[str, int], width: int) -> Table:
    from rich import box
    from rich.table import Table

    columns = {
        "explicit": ("n a weight", "hidden width", "random weights", "need", "slack"),
        "rate": ("rate", "of what"),
        "lower": ("n a weight", "random weights", "need", "slack"),
        "other": ("number", "of what"),
        "display": ("number", "of what"),
    }[group]
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    shown.add_column("theorem", overflow="fold")
    for column in (*columns, "where from", "holds"):
        folds = column in ("of what", "where from", "need")
        shown.add_column(
            HEADERS.get(column, column),
            overflow="fold",
            justify="left" if folds or column == "holds" else "right",
            no_wrap=not folds,
            max_width={"need": 9, "where from": 10}.get(column) if width < WIDE else None,
        )
    for entry in found:
        name = entry["name"].replace("_", "-")
        if entry["variant"]:
            name += f":{entry['variant']}"
        largest = short(max(entry["value"], default=None))
        cells = {
            "n a weight": number(entry["samples"]),
            "hidden width": number(entry["width"]),
            "random weights": number(entry["weights"]),
            "need": need_text(entry),
            "slack": short(entry["slack"]),
            "rate": f"C · {largest}",
            "number": f"C · {largest}" if entry["rate"] is not None else largest,
            "of what": entry["quantity"].removesuffix(", up to a universal factor"),
        }
        marks = ",".join(str(reasons[s]) for s in entry["silent"])
        mark = f"✗{marks}" if marks else "✓"
        shown.add_row(
            f"{entry['theorem']}\n{name}", *(cells[c] for c in columns), entry["provenance"], mark
        )
    return shown


def show_single(found: list[dict[str, Any]], head: str) -> None:
    """Each variant in full, a line a fact."""
    from rich.table import Table

    parts: list[Any] = [head]
    for entry in found:
        name = entry["name"].replace("_", "-")
        shown = Table(show_lines=True)
        title = f"{name}:{entry['variant']}" if entry["variant"] else name
        shown.add_column(title, overflow="fold", max_width=26)
        shown.add_column(entry["theorem"], overflow="fold")
        value = ", ".join(short(v) for v in entry["value"][:8])
        facts = {
            "citation": entry["citation"],
            "where from": f"{entry['provenance']} ({entry['kind']})",
            "statement": entry["statement"],
            "ε is": entry["epsilon_is"],
            "formula": entry["formula"],
            "algorithm": entry["algorithm"],
            "hypotheses": " ".join(entry["hypotheses"]) or "hold",
            "silent": "" if entry["silent"] == entry["hypotheses"] else " ".join(entry["silent"]),
            entry["quantity"]: f"C · ({value})" if entry["rate"] is not None else value,
            "n a weight": number(entry["samples"]),
            "hidden width": number(entry["width"]),
            "random weights": number(entry["weights"]),
            "need": need_text(entry),
            "slack": short(entry["slack"]),
        }
        for what, text in facts.items():
            if text not in ("", "–"):
                shown.add_row(what, text)
        parts += ["", shown]
    echo(parts)


def echo(parts: list[Any]) -> None:
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    for part in parts:
        console.print(part)


def show_json(found: list[dict[str, Any]]) -> None:
    click.echo(json.dumps(plain(found), allow_nan=False))

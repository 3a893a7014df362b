"""What `slth bounds` prints: a table a group of theorems, one theorem in full, or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from slth.bounds import TargetClass
from slth.cli.bounds import GROUPS
from slth.cli.show import plain
from slth.needs import whole

if TYPE_CHECKING:
    from rich.table import Table

TITLES = (
    "Explicit: so much suffices",
    "Rates: C times this, with a constant C that nobody has computed",
    "Lower bounds: with less it cannot be done",
    "Others",
    "From memory, unverified: for display only, never used as a bound",
)
WIDE = 110  # columns of a terminal that need no folding
LEAST = 80  # columns that the tables need
KEY = 20  # columns of a theorem's cell in a narrower one, enough for the longest part of a name
EPSILON = {  # what a theorem's ε is, where it is not the error of a network
    "tolerance per weight": "ε per weight",
    "d_1 d_2 times the largest error of an entry": "ε/(d₁d₂) per entry",
    "not used": "ε not used",
}
LEGEND = (
    "✓: its hypotheses hold; ✗: it is silent here, for the reasons below; numbers beside that are "
    "what its formula gives all the same. ε is the error of the network, but for what is marked "
    "under a theorem's name.",
    "need: random values a weight measured to suffice at the theorem's own tolerance and δ a "
    "gadget, between the ends of a 95 % interval. interp.: not measured there, but at the "
    "neighbouring tolerances and δ, whose needs are the range; its interval holds both of theirs. "
    "≈ extrap.: outside what was measured. computed: no measurement, but the number of draws that "
    "the exact chance that a draw serves, as the proof uses it, asks for.",
    "slack: the theorem's n over the need, or the need over a lower bound, of whole numbers; of a "
    "range, the end that makes it least, so that the slack is no smaller. – where the theorem's n "
    "is itself computed from that chance.",
)
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
        return f"{whole(value):.0f}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}e{int(power)}"


def decimal(value: float | None) -> str:
    """Two places of something that need not be whole; from 10^5 on as `number`."""
    return "–" if value is None else f"{value:.2f}" if value < 1e5 else number(value)


def need_text(entry: dict[str, Any], gap: str = " ") -> str:
    """The need, how it is known unless measured there, and its interval."""
    if entry["need"] is None:
        return "–"
    most, least = number(entry["need"]), number(entry["need_least"])
    if entry["need_kind"] == "extrapolated":
        return f"≈{most}{gap}extrap."
    if entry["need_kind"] == "computed":
        return f"{most}{gap}computed"
    interval = f"[{number(entry['need_low'])}, {number(entry['need_high'])}]"
    if entry["need_kind"] == "interpolated":
        return f"{most if least == most else f'{least}–{most}'}{gap}interp.{gap}{interval}"
    return f"{most}{gap}{interval}"


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
        *LEGEND,
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
    shown.add_column("theorem", no_wrap=True)
    for column in (*columns, "where from", "holds"):
        folds = column in ("of what", "where from")
        shown.add_column(
            HEADERS.get(column, column),
            overflow="fold",
            justify="left" if folds or column in ("need", "holds") else "right",
            no_wrap=not folds,
            max_width=10 if column == "where from" and width < WIDE else None,
        )
    cited = ""
    for entry in found:
        value = max(entry["value"], default=None)
        whole_number = group == "display" and entry["rate"] is None
        largest = number(value) if whole_number else decimal(value)
        cells = {
            "n a weight": number(entry["samples"]),
            "hidden width": number(entry["width"]),
            "random weights": number(entry["weights"]),
            "need": need_text(entry, " " if width >= WIDE else "\n"),
            "slack": decimal(entry["slack"]),
            "rate": "–" if value is None else f"C · {largest}",
            "number": f"C · {largest}" if entry["rate"] is not None else largest,
            "of what": entry["quantity"].removesuffix(", up to a universal factor"),
        }
        marks = ",".join(str(reasons[s]) for s in entry["silent"])
        mark = f"✗{marks}" if marks else "✓"
        theorem = key(entry, "" if entry["theorem"] == cited else entry["theorem"], width)
        cited = entry["theorem"]
        shown.add_row(theorem, *(cells[c] for c in columns), entry["provenance"], mark)
    return shown


def full_name(entry: dict[str, Any]) -> str:
    name = str(entry["name"]).replace("_", "-")
    return f"{name}:{entry['variant']}" if entry["variant"] else name


def key(entry: dict[str, Any], cited: str, width: int) -> str:
    """A theorem's cell: whose it is, once for all its variants, its name, and what ε is in it;
    broken between words and before a variant only."""
    import textwrap

    name, most = full_name(entry), KEY if width < WIDE else 2 * KEY
    lines = textwrap.wrap(cited, most)
    lines += [name] if len(name) <= most else name.replace(":", ":\n  ").splitlines()
    if entry["epsilon_is"] in EPSILON:
        lines.append(f"  {EPSILON[entry['epsilon_is']]}")
    return "\n".join(lines)


def show_single(found: list[dict[str, Any]], head: str) -> None:
    """Each variant in full, a line a fact."""
    from rich.table import Table

    parts: list[Any] = [head]
    for entry in found:
        shown = Table(title=full_name(entry), show_header=False, show_lines=True)
        shown.title_justify = "left"
        shown.add_column(overflow="fold", max_width=16)
        shown.add_column(overflow="fold")
        form = number if all(v == whole(v) for v in entry["value"]) else decimal
        value = ", ".join(form(v) for v in entry["value"][:8])
        held = "silent" if entry["silent"] else "hypotheses"
        facts = {
            "citation": entry["citation"],
            "where from": f"{entry['provenance']} ({entry['kind']})",
            "statement": entry["statement"],
            "ε is": entry["epsilon_is"],
            "formula": entry["formula"],
            "algorithm": entry["algorithm"],
            held: " ".join(entry["silent"]) or "hold",
            entry["quantity"]: f"C · ({value})" if value and entry["rate"] is not None else value,
            "n a weight": number(entry["samples"]),
            "hidden width": number(entry["width"]),
            "random weights": number(entry["weights"]),
            "need": need_text(entry),
            "slack": decimal(entry["slack"]),
        }
        for what, text in facts.items():
            if text not in ("", "–"):
                shown.add_row(what, text)
        parts += ["", shown]
    if any(entry["need"] is not None for entry in found):
        parts += LEGEND[1:]
    echo(parts)


def echo(parts: list[Any]) -> None:
    from rich.console import Console

    width = max(LEAST, Console().width)  # in fewer columns digits would be cut off
    console = Console(markup=False, highlight=False, emoji=False, width=width)
    for part in parts:
        console.print(part)


def show_json(found: list[dict[str, Any]]) -> None:
    click.echo(json.dumps(plain(found), allow_nan=False))

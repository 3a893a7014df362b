"""What the commands print: plain facts first (they are the JSON), then rich tables of them."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from slth import bounds
from slth.errors import BadInput

if TYPE_CHECKING:
    from rich.table import Table

    from slth.construct import Construction, Progress
    from slth.network import Network
    from slth.subsetsum import Solution
    from slth.target import Target
    from slth.ticket import Ticket

ROWS = 20  # rows of a table before it says how many more there are


def show_json(facts: Mapping[str, Any]) -> None:
    click.echo(json.dumps(plain(facts), allow_nan=False))


def plain(value: Any) -> Any:
    """JSON has no infinities and no NaN: they become strings, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


@contextlib.contextmanager
def bar(text: str, counted: bool = False) -> Iterator[Progress | None]:
    """A bar with the time left on a terminal's standard error; elsewhere nothing at all.

    Gives the function that a `counted` one is moved by: (done, total).
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    numbers = (MofNCompleteColumn(), TimeRemainingColumn()) if counted else ()
    columns = (TextColumn("{task.description}"), BarColumn(), *numbers)
    with Bar(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(text, total=None)
        yield lambda done, total: drawn.update(task, completed=done, total=total)


# -- subset sums -----------------------------------------------------------------------------------


def solution(found: Solution, epsilon: float | None, path: str | None) -> dict[str, Any]:
    from slth.subsetsum import Status

    words = [Status(int(s)).name.lower().replace("_", " ") for s in found.status]
    if epsilon is None:
        words = ["optimal" if word == "solved" else word for word in words]
    return {
        "rows": len(words),
        "epsilon": epsilon,
        "solved": words.count("solved") + words.count("optimal"),
        "none_exists": words.count("none exists"),
        "gave_up": words.count("gave up"),
        "status": words,
        "error": found.error.tolist(),
        "mask": found.mask.astype(int).tolist(),
        "saved": path,
    }


def show_solution(facts: Mapping[str, Any]) -> None:
    table = _table("row", "mask (1 = kept)", "error", "status")
    for row in range(min(ROWS, facts["rows"])):
        mask = "".join(map(str, facts["mask"][row]))
        table.add_row(str(row), mask, f"{facts['error'][row]:.6g}", facts["status"][row])
    lines = [f"… and {facts['rows'] - ROWS} more rows"] if facts["rows"] > ROWS else []
    if facts["rows"] > 1:
        counts = Counter(facts["status"])
        errors = sorted(facts["error"])
        lines.append(
            ", ".join(f"{counts[word]} {word}" for word in counts)
            + f"; error: median {errors[len(errors) // 2]:.3g}, largest {errors[-1]:.3g}"
        )
    if facts["saved"]:
        lines.append(f"saved in {facts['saved']}")
    _print(table, *lines)


# -- tickets ---------------------------------------------------------------------------------------


def ticket(
    found: Ticket, target: Target | Network, make: Construction, path: str
) -> dict[str, Any]:
    claim, source = found.claim, found.source
    assert found.certificate is not None
    asked = _asked(make, found, target)
    return {
        "ticket": path,
        "construction": claim.construction,
        "theorem": {
            "name": bounds.load(claim.theorem).citation.short if claim.theorem else "none cited",
            "failed": list(claim.failed),
            "n_asked": asked,
            "verdict": "silent" if claim.failed else "undecided",
            "why": _why(found, asked),
        },
        "epsilon": claim.epsilon,
        "delta": claim.delta,
        "met": claim.met,
        "unmet_gadgets": claim.unmet,
        "gadgets": sum(2 * a * b for a, b in target.links)
        + sum(b for (_, b), one in zip(target.links, target.biased, strict=True) if one),
        "domain": dict(claim.domain),
        "source": {
            **source.to_json(),
            "links": [list(link) for link in source.links],
            "drawn": list(source.drawn),
            "parameters": source.parameters,
            "hidden": [source.hidden(i) for i in range(source.pairs)],
        },
        "tolerances": None if claim.tolerances is None else list(claim.tolerances),
        "achieved": list(claim.achieved),
        "claimed_error": claim.error_bound,
        "certified_error": found.certificate["upper"],
        "attacked_error": found.certificate["lower"],
        "parts": found.certificate["parts"],
        "kept_in": found.kept_in,
        "kept_out": found.kept_out,
        "density": found.density,
        "compression": found.compression,
    }


def _asked(make: Any, found: Ticket, target: Target | Network) -> list[float] | None:
    """Neurons a half and layer that the theorem asks for at the ticket's (epsilon, delta)."""
    from slth.bounds import facts
    from slth.domain import from_json

    claim = found.claim
    if claim.tolerances is None or claim.delta is None or not hasattr(make, "theorem_n"):
        return None
    constants = facts(target, from_json(dict(claim.domain)))
    try:
        return [float(n) for n in make.theorem_n(constants, claim.tolerances, claim.delta)]
    except BadInput:  # beyond what the formula can be evaluated at
        return None


def _why(found: Ticket, asked: list[float] | None) -> str:
    """What the theorem has to do with this ticket; one source never settles a probability."""
    if found.claim.failed:
        return " ".join(found.claim.failed)
    if asked is None:
        missing = "--delta" if found.claim.tolerances is not None else "--epsilon and --delta"
        return f"its hypotheses hold; give {missing} to see the width it asks for"
    if any(n < a for n, a in zip(found.source.drawn, asked, strict=True)):
        return "its hypotheses hold; the source is narrower than it asks for"
    return (
        "its hypotheses hold and the source is as wide as it asks for: success with probability "
        f"{1 - (found.claim.delta or 0.0):g} at least, which one source cannot settle"
    )


def show_ticket(facts: Mapping[str, Any]) -> None:
    source, theorem = facts["source"], facts["theorem"]
    layers = _table("layer", "n a half", "theorem's n", "tolerance", "worst weight", "hidden")
    for i, achieved in enumerate(facts["achieved"]):
        layers.add_row(
            "{} → {}".format(*source["links"][i]),
            str(source["drawn"][i]),
            "–" if theorem["n_asked"] is None else f"{theorem['n_asked'][i]:.6g}",
            "–" if facts["tolerances"] is None else f"{facts['tolerances'][i]:.3g}",
            f"{achieved:.3g}",
            str(source["hidden"][i]),
        )
    table = _table("what", "value")
    law = {k: v for k, v in source["law"].items() if k != "law"}
    for what, value in (
        ("theorem", theorem["name"]),
        ("its verdict", f"{theorem['verdict']}: {theorem['why']}"),
        ("asked for", _wanted(facts)),
        *([("error ≤ epsilon", _epsilon_met(facts))] if facts["epsilon"] is not None else []),
        ("inputs", _inputs(facts["domain"])),
        ("error, claimed", f"≤ {facts['claimed_error']:.6g}"),
        ("error, certified", f"≤ {facts['certified_error']:.6g}"),
        ("error, attacked", f"≥ {facts['attacked_error']:.6g}"),
        ("source", f"seed {source['seed']}, {source['law']['law']} {law or ''}".strip()),
        ("random weights", f"{source['parameters']}"),
        ("kept", f"{facts['kept_in']} in-weights, {facts['kept_out']} out-weights"),
        ("density", f"{facts['density']:.4g} kept"),
        ("compression", f"{facts['compression']:.4g} times, of the source"),
        ("saved in", facts["ticket"]),
    ):
        table.add_row(what, value)
    _print(layers, table)


def _wanted(facts: Mapping[str, Any]) -> str:
    if facts["epsilon"] is None and facts["tolerances"] is None:
        return "the best that the search finds"
    if facts["epsilon"] is None:
        asked = f"every weight within {max(facts['tolerances']):g}"
    else:
        asked = f"gadget tolerances for epsilon = {facts['epsilon']:g}"
    if facts["met"]:
        return f"{asked}: met"
    return f"{asked}: MISSED by {facts['unmet_gadgets']} of {facts['gadgets']} gadgets"


def _epsilon_met(facts: Mapping[str, Any]) -> str:
    if facts["claimed_error"] <= facts["epsilon"]:
        return "yes, by its own claim"
    if facts["certified_error"] <= facts["epsilon"]:
        return "yes, by certificate"
    no = facts["attacked_error"] > facts["epsilon"]
    return "no, an input proves it" if no else "not proved"


def _inputs(domain: Mapping[str, Any]) -> str:
    if domain["kind"] == "ball":
        return f"norm ≤ {domain['radius']:g} in {domain['dimension']} dimensions"
    low, high = min(domain["low"]), max(domain["high"])
    return f"between {low:g} and {high:g} in {len(domain['low'])} dimensions"


def show_checks(facts: Mapping[str, Any]) -> None:
    table = _table("true", "claim", "found")
    for check in facts["checks"]:
        table.add_row("yes" if check["true"] else "NO", check["statement"], check["found"])
    wrong = sum(not check["true"] for check in facts["checks"])
    ends = ["every claim is true" if facts["ok"] else f"claims that are FALSE: {wrong}"]
    if not facts["met"]:
        ends.append("what was asked for is NOT met, nor does the ticket claim so")
    _print(table, *ends)


def show_simulations(known: Mapping[str, str]) -> None:
    table = _table("simulation", "what it does")
    for name, line in known.items():
        table.add_row(name, line)
    _print(table, "run one: slth sim NAME; its options: slth sim NAME --help")


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(*parts: Any) -> None:
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    for part in parts:
        console.print(part)

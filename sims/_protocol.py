"""What every simulation shares: its options, its output files, its verdict table and its exit code.

A simulation writes NAME.csv (every cell), NAME.json (provenance, fits, verdicts, controls) and
NAME.svg/png/pdf. Every claim is settled together with the others of its run, so that false alarms
stay at most 1 % over all of them, and every control must come out refuted or the run fails.

    # docstring: what is asked, and the protocol: seeds, ranges, thresholds, claims, controls

    def cell(n: int, seed: int) -> dict:           # one measurement, JSON in, JSON out
        ...

    def analyse(rows: list[dict]) -> Findings:     # rows are parameters and results together
        return Findings({"a claim": verdict}, {"name": Control("what was broken", verdict)}, {})

    @click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
    @options("mine")
    def main(**rest):
        opts = Options(**rest)
        grid = [{"n": n, "seed": s} for n in (8, 16) for s in range(2 if opts.smoke else 20)]
        sweep = Sweep("mine", "sims.mine:cell", grid, opts.out / "mine.sqlite")
        records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
        records.table(opts.out / "mine.csv")
        figure(list(records), opts.out)            # by slth.plot; ends in plot.save
        finish("mine", opts, analyse(list(records)))

    if __name__ == "__main__":                     # workers import this file again
        run(main)

with `from slth.sweep import Sweep, run as run_sweep`.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from slth.cli.show import plain
from slth.files import write_atomically
from slth.stats import settle
from slth.stats.verdict import State, Verdict


@dataclass(frozen=True)
class Options:
    """How to run: where to write, how many workers, a cluster's address, small or whole."""

    out: Path
    workers: int | None
    scheduler: str | None
    smoke: bool
    as_json: bool

    @property
    def progress(self) -> bool:
        return not self.as_json


def options(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that every simulation takes."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            click.option(
                "--out",
                type=click.Path(path_type=Path, file_okay=False),
                default=Path("out") / name,
                show_default=True,
                help="Folder for figure, table, verdicts and the store that a rerun resumes from.",
            ),
            click.option(
                "--workers", type=click.IntRange(1), help="Processes. [default: every core]"
            ),
            click.option("--scheduler", help="Address of a dask scheduler to run the cells on."),
            click.option("--smoke", is_flag=True, help="A tiny grid, to see that everything runs."),
            click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        ):
            command = option(command)
        return command

    return decorate


def run(command: click.Command) -> None:
    """Run a simulation's command: bad input is one line and status 2, failed cells status 1."""
    import sys

    from slth.errors import BadInput
    from slth.sweep import CellsFailed

    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BadInput as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except CellsFailed as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


@dataclass(frozen=True)
class Control:
    """Something broken on purpose: what was broken, and the verdict on the claim about it."""

    broken: str
    verdict: Verdict

    @property
    def caught(self) -> bool:
        return self.verdict.state == State.REFUTED


def exact(claim: str, violations: int, cases: int) -> Verdict:
    """The verdict on a statement that must hold in every case."""
    state = State.REFUTED if violations else State.SUPPORTED
    return Verdict(state, f"{claim}: {violations} violations in {cases} cases")


@dataclass(frozen=True)
class Findings:
    """What a run says: a verdict a claim, the controls, and the numbers behind them."""

    verdicts: Mapping[str, Verdict]
    controls: Mapping[str, Control]
    facts: Mapping[str, Any]

    @property
    def settled(self) -> dict[str, Verdict]:
        """The verdicts after Holm's correction over all claims of the run."""
        return settle(dict(self.verdicts))

    def to_json(self) -> dict[str, Any]:
        return plain(
            {
                **self.facts,
                "verdicts": {key: verdict.to_json() for key, verdict in self.settled.items()},
                "controls": {
                    key: {"broken": c.broken, "caught": c.caught, **c.verdict.to_json()}
                    for key, c in self.controls.items()
                },
            }
        )


def finish(name: str, run_options: Options, found: Findings) -> None:
    """Write NAME.json, print the table; status 1 if a control slips through."""
    result = {"simulation": name, "provenance": provenance(), **found.to_json()}
    with write_atomically(run_options.out / f"{name}.json") as stream:
        stream.write(json.dumps(result, indent=1, ensure_ascii=False).encode() + b"\n")
    if run_options.as_json:
        click.echo(json.dumps(result))
    else:
        _print(name, run_options.out, found.settled, found.controls)
    slipped = [key for key, control in found.controls.items() if not control.caught]
    if slipped:
        raise SystemExit(f"controls that were not refuted: {', '.join(slipped)}")


def provenance() -> dict[str, Any]:
    """What a reader needs to make the same numbers: versions and engines, and no dates."""
    from importlib.metadata import version

    import slth

    return {
        "slth": slth.__version__,
        "python": platform.python_version(),
        **{p: version(p) for p in ("numpy", "scipy", "numba", "torch", "matplotlib")},
        "engine": "numba on the CPU, float64",
    }


def _print(
    name: str, out: Path, verdicts: Mapping[str, Verdict], controls: Mapping[str, Control]
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=name, show_lines=False)
    for column in ("claim", "verdict", "why"):
        table.add_column(column, overflow="fold")
    for key, verdict in verdicts.items():
        table.add_row(key, str(verdict.state), verdict.reason)
    table.add_section()
    for key, control in controls.items():
        state = str(control.verdict.state) if control.caught else "NOT CAUGHT"
        table.add_row(f"control: {key}", state, f"{control.broken}; {control.verdict.reason}")
    console = Console()
    console.print(table)
    console.print(f"all files: {out}")


def read_table(path: Path) -> list[dict[str, Any]]:
    """The rows of a NAME.csv as the cells returned them."""
    import csv

    def value(text: str) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text or None

    with path.open(newline="") as stream:
        return [{k: value(v) for k, v in row.items()} for row in csv.DictReader(stream)]


def markdown(result: Mapping[str, Any]) -> str:
    """The verdicts of a NAME.json as the table that the README shows."""
    rows = [(name, f"**{v['state']}**", v["reason"]) for name, v in result["verdicts"].items()]
    rows += [
        (f"control: {name}", c["state"], f"{c['broken']}; {c['reason']}")
        for name, c in result["controls"].items()
    ]
    lines = ["| claim | verdict | why |", "|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)

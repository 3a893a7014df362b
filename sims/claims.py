"""The 32 checkable claims of the theory, each with its measurement, verdict and control.

Protocol, fixed before measuring:
- A claim is an object of sims/_claims: the quantified sentence and its source, what would falsify
  it (quantity, threshold, sample size), a measurement from a seed of its own, a judgement of the
  stored data, and something broken on purpose that the same judgement must refute.
- One cell a claim, so a rerun resumes; the slow ones start first.
- False alarms: each claim is tested at level 0.01/32, one-sided, so that its word survives Holm's
  correction over all claims of the run and any wrong word among them has a chance of at most 1 %.
  A claim of several parts is supported where each part is at that level, and refuted where one part
  is at that level over the number of parts. Statements that must hold in every case are counted,
  not tested. Frequencies by Clopper and Pearson (1934) and laws by Dvoretzky, Kiefer and Wolfowitz
  (1956) keep their level exactly; slopes by resampling the seeds and means by the normal law keep
  it approximately.
- Thresholds come from the theory, before any measurement. Sample sizes and times were tried on
  another seed; the stored run is of a seed not looked at while the claims were written.
- A claim that comes out refuted stays refuted, with its data in claims.csv.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sims._claims import claims
from sims._protocol import Control, Findings, Options, finish, options, run
from slth.errors import BadInput
from slth.stats.verdict import State, Verdict

NAME = "claims"
SEED = 1998
COLUMNS = 4
PAGE = (11.7, 16.5)  # inches: a sheet of A3


def cell(number: int, smoke: bool, seed: int) -> dict[str, Any]:
    return claims()[number].measure(smoke, seed)


def warm() -> None:
    """Compile what the slowest claims share once, so that workers find it in the cache."""
    from slth.coverage import least_tolerance, profile

    least_tolerance([0.5, 0.25])
    profile([0.5, 0.25])


def cost(params: dict[str, Any]) -> float:
    """Seconds on one core, roughly."""
    return claims()[params["number"]].seconds


def chosen(only: str | None) -> list[int]:
    """The claims asked for, "1,5,7", or all."""
    if only is None:
        return list(claims())
    try:
        numbers = sorted({int(part) for part in only.split(",")})
    except ValueError:
        numbers = [-1]
    if not set(numbers) <= set(claims()):
        allowed = f"numbers of claims, {', '.join(map(str, claims()))}"
        raise BadInput("only", only, allowed, "for example --only 1,5,7")
    return numbers


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@click.option("--only", help="Some claims alone, for example 1,5,7.")
@click.option(
    "--seed", type=click.IntRange(0), default=SEED, show_default=True, help="Of every claim."
)
@options(NAME)
def main(only: str | None, seed: int, **rest: Any) -> None:
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    grid = [{"number": n, "smoke": opts.smoke, "seed": seed} for n in chosen(only)]
    sweep = Sweep(
        NAME, f"sims.{NAME}:cell", grid, opts.out / f"{NAME}.sqlite", warm=f"sims.{NAME}:warm",
        cost=cost,
    )  # fmt: skip
    records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    found = analyse(rows)
    figure(rows, found, opts.out)
    finish(NAME, opts, found)


def verdict_of(kept: dict[str, Any]) -> Verdict:
    """A verdict out of its JSON."""
    return Verdict(State(kept["state"]), kept["reason"], kept["p_value"], kept["evidence"])


def title(number: int) -> str:
    return f"{number}. {claims()[number].name}"


def analyse(rows: list[dict[str, Any]]) -> Findings:
    """The measured verdicts and controls, and the sentences that they are about."""
    controls = {
        title(r["number"]): Control(r["control"]["broken"], verdict_of(r["control"]["verdict"]))
        for r in rows
    }
    sentences = [
        {"number": c.number, "name": c.name, "says": c.says, "falsifier": c.falsifier}
        for c in (claims()[r["number"]] for r in rows)
    ]
    verdicts = {title(r["number"]): verdict_of(r["verdict"]) for r in rows}
    return Findings(verdicts, controls, {"claims": sentences})


def rejudged(row: dict[str, Any]) -> dict[str, Any]:
    """What the code as it stands says about stored data."""
    verdict, control = claims()[row["number"]].judge(row["data"])
    stored = {"verdict": verdict.to_json(), "control": control.verdict.to_json()}
    return json.loads(json.dumps(stored, default=lambda value: value.tolist()))


def figure(rows: list[dict[str, Any]], found: Findings, out: Path) -> Any:
    """One page: a small panel a claim, its verdict in the title."""
    from slth import plot

    columns = min(COLUMNS, len(rows))
    lines = -(-len(rows) // columns)
    fig, axes = plot.figure(lines, columns, wide=True)
    fig.set_size_inches(PAGE[0] * columns / COLUMNS, PAGE[1] * lines / 8)
    for ax, row in zip(axes, rows, strict=False):
        name = title(row["number"])
        claims()[row["number"]].draw(ax, row["data"])
        plot.title(ax, f"{name}\n{found.settled[name].state}")
        for text in ax.texts + (ax.get_legend().get_texts() if ax.get_legend() else []):
            text.set_fontsize(6)
    for ax in axes[len(rows) :]:
        ax.set_visible(False)
    fig.draw_without_rendering()
    fig.set_layout_engine("none")  # laid out once for all formats: 32 panels take seconds
    plot.save(fig, out / NAME)
    return fig


if __name__ == "__main__":
    run(main)

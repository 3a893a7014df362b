"""Edge-popup's swaps lower the loss, to first order: how fast, and what breaks it.

Ramanujan et al. (2020), theorem 1: if after an update of the scores one edge replaces another and
all else stays, the loss of the mini-batch falls, to first order. `proofs/swap.py` proves it for a
plain gradient step; claim 29 of `sims.claims` checks one regime (tanh, small weights, and half a
batch as its control). Here: how it comes to hold, what may be added and what may not.

Protocol, fixed before measuring:
- Random networks 10-8-3, half of the hidden weights kept, cross entropy on 16 examples, scores
  uniform: problem, swap and loss are those of claim 29 (`sims._swaps`). Unless said otherwise the
  swap is the first one as the rate grows. Every problem is new, seeds from 3000 on; share of swaps
  that lower the loss, with Clopper and Pearson's 95 % interval.
- The size of the change: weights times 2^0 to 2^-12. A small rate does not shrink it.
- tanh, softplus (ln(1 + e^{4z})/4), ReLU, ReLU with biases of normal law that keep their size.
- Where all neurons are dead no score moves and there is no swap: not counted.
- ReLU alone keeps failing: it is homogeneous, so its kinks come nearer as the swap gets smaller.
  Then the loss changes by Σ_b g_b (σ(I_b + Δ_b) − σ(I_b)), g the loss's slope in the outputs at 0,
  whose sign is not that of Σ_b g_b σ'(I_b) Δ_b where I_b and I_b + Δ_b differ in sign.
- Additions at 2^-12, tanh. Proved harmless: weight decay (rate · decay < 1), |scores| where the
  edge that enters keeps its sign, and several swaps at once. Also Adam's first step, ±rate (an
  edge that enters rises, one that leaves falls). Proved not to be: momentum, |scores| where the
  entering edge crosses 0, rates of their own (e^N(0,1)), decay of 2 / rate.
- Steps of given rates: all swaps at once, at three scales.
- Claims, by 10,000 problems each (kinks: 50,000): at 2^-12 at least 0.99 of swaps lower the loss,
  case by case; of ReLU's swaps at least 0.01 do not, at least 0.99 of those that cross no kink do,
  and the sign is that of the sum above for at least 0.99; at scale 1 and the smallest rate at least
  0.01 of steps do not.
- Controls, claimed to be at least 0.99: the four that are proved not to be harmless, and scores
  that move up the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from sims._protocol import Control, Findings, Options, finish, options, run
from sims._swap_regimes import (
    BIASED,
    CLEAR,
    LIMIT,
    RATES,
    RELU,
    SCALES,
    SMALL,
    SOFTPLUS,
    STEP_SCALES,
    TANH,
    Row,
    Tally,
    additions,
    by_scale,
    steps,
    under_relu,
)
from sims._swaps import draw
from slth.stats.verdict import Verdict

NAME = "swap_lemma"
FIRST_SEED, BLOCKS, PROBLEMS = 3000, 40, 250  # a block is a seed
MORE = 4  # further problems each for ReLU's kinks, which few swaps miss
SHARE = 0.99
LIMITS = (0.87, 1.008)  # of the figure's shares
FINE = ("plain", "decay", "|scores|, sign kept", "Adam's first step")
BROKEN = {
    "momentum": "a velocity of ten mini-batches before",
    "|scores|, sign crossed": "the entering edge's score crosses 0",
    "unequal rates": "every edge has a rate of its own",
    "decay of 2 / rate": "the decay turns the scores round",
    "uphill": "scores move up the gradient",
}


def cell(seed: int, problems: int, scales: list[float]) -> Row:
    """Trials and falls of one block of problems."""
    rng, to = np.random.default_rng(seed), Tally()
    for _ in range(problems):
        problem = draw(rng)
        by_scale(problem, rng, scales, to)
        additions(problem, rng, to)
        steps(problem, STEP_SCALES, to)
        for _ in range(MORE):
            under_relu(draw(rng), SMALL, to)
    return {"rows": to.rows()}


def cells(smoke: bool) -> list[Row]:
    blocks, problems, scales = (2, 300, [1.0, SMALL]) if smoke else (BLOCKS, PROBLEMS, SCALES)
    return [{"seed": FIRST_SEED + k, "problems": problems, "scales": scales} for k in range(blocks)]


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@options(NAME)
def main(**rest: Any) -> None:
    from slth.sweep import Sweep, write_table
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    sweep = Sweep(NAME, f"sims.{NAME}:cell", cells(opts.smoke), opts.out / f"{NAME}.sqlite")
    records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
    table = [{"seed": record["seed"], **row} for record in records for row in record["rows"]]
    write_table(table, opts.out / f"{NAME}.csv")
    figure(table, opts.out)
    finish(NAME, opts, analyse(table))


# -- what the data say -----------------------------------------------------------------------------


def total(rows: list[Row], what: str, scale: float = SMALL, rate: float = 0.0) -> Row:
    """Trials, falls and swaps of all blocks."""
    mine = [r for r in rows if (r["what"], r["scale"], r["rate"]) == (what, scale, rate)]
    return {key: sum(r[key] for r in mine) for key in ("trials", "falls", "swaps")}


def holds(counts: Row) -> Verdict:
    """Whether at least SHARE of swaps lower the loss."""
    from slth.stats import frequency_verdict

    return frequency_verdict(counts["falls"], counts["trials"], SHARE)


def fails(counts: Row) -> Verdict:
    """Whether at least 1 − SHARE of swaps do not."""
    from slth.stats import frequency_verdict

    return frequency_verdict(counts["trials"] - counts["falls"], counts["trials"], 1 - SHARE)


def analyse(rows: list[Row]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    many = max(RATES)
    verdicts = {f"{what}: swaps lower the loss": holds(total(rows, what))
                for what in (TANH, SOFTPLUS, BIASED, CLEAR, *FINE[1:])}  # fmt: skip
    verdicts |= {
        "many at once: steps lower the loss": holds(total(rows, "steps", SMALL, many)),
        "ReLU: some swaps do not": fails(total(rows, RELU)),
        "ReLU: the sign is the limit's": holds(total(rows, LIMIT)),
        "a small rate is not enough: some swaps do not": fails(
            total(rows, "steps", STEP_SCALES[0], RATES[0])
        ),
    }
    controls = {what: Control(broken, holds(total(rows, what)))
                for what, broken in BROKEN.items()}  # fmt: skip
    return Findings(verdicts, controls, {"summary": summary(rows)})


def summary(rows: list[Row]) -> list[Row]:
    """Every share with its interval, and the mean number of swaps."""
    from slth.stats import clopper_pearson

    found = []
    for what, scale, rate in dict.fromkeys((r["what"], r["scale"], r["rate"]) for r in rows):
        counts = total(rows, what, scale, rate)
        low, high = clopper_pearson(counts["falls"], counts["trials"])
        found.append(
            {"what": what, "scale": scale, "rate": rate, "trials": counts["trials"],
             "low": float(low), "share": counts["falls"] / counts["trials"], "high": float(high),
             "swaps": counts["swaps"] / counts["trials"]}
        )  # fmt: skip
    return found


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[Row], out: Path) -> Any:
    """Shares against the weights' scale, kinks crossed, additions, and whole steps."""
    from slth import plot

    fig, (regime, kinks, added, steps_ax) = plot.figure(2, 2, wide=True, height=5.4)
    table = summary(rows)

    def line(ax: Any, what: str, label: str, series: int, x: Callable[[Row], float]) -> None:
        mine = sorted((s for s in table if s["what"] == what), key=x)
        band = ([s[end] for s in mine] for end in ("low", "share", "high"))
        plot.band(ax, [x(s) for s in mine], *band, label, series=series)

    for series, what in enumerate((TANH, SOFTPLUS, BIASED, CLEAR, RELU)):
        line(regime, what, what, series, lambda s: s["scale"])
    for series, what in ((4, RELU), (2, BIASED)):
        line(kinks, f"{what}, crossings", what, series, lambda s: s["scale"])
    for ax in (regime, kinks):
        plot.log_scale(ax, "x")
        ax.invert_xaxis()
        ax.set_xlabel("scale of the weights [1]")
    regime.set(ylabel="swaps that lower the loss [1]", ylim=LIMITS)
    kinks.set(ylabel="swaps that cross a kink [1]", ylim=(-0.03, 1.03))
    _listed(added, table)
    for series, scale in enumerate(STEP_SCALES):
        mine = [s for s in table if s["what"] == "steps" and s["scale"] == scale]
        mine.sort(key=lambda s: s["rate"])
        band = ([s[end] for s in mine] for end in ("low", "share", "high"))
        label = f"scale $2^{{{round(np.log2(scale))}}}$"
        plot.band(steps_ax, [s["swaps"] for s in mine], *band, label, series=series)
    plot.log_scale(steps_ax, "x")
    steps_ax.set(
        xlabel="swaps in a step, mean [1]", ylabel="steps that lower the loss [1]", ylim=LIMITS
    )
    plot.legend(regime, loc="lower right", bbox_to_anchor=(1.0, 0.02))
    plot.legend(kinks, loc="center right")
    plot.legend(steps_ax, loc="lower right")
    plot.title(regime, "one swap, plain step")
    plot.title(kinks, "why ReLU alone stays below 1")
    plot.title(added, f"one swap, tanh, scale $2^{{{round(np.log2(SMALL))}}}$")
    plot.title(steps_ax, "tanh: steps, from small rates to large")
    plot.save(fig, out / NAME)
    return fig


def _listed(ax: Any, table: list[Row]) -> None:
    """What may be added and what may not, a line each."""
    from slth import plot

    names = (*FINE, *BROKEN)
    for place, what in enumerate(names):
        (s,) = (s for s in table if s["what"] == what)
        ends = [[s["share"] - s["low"]], [s["high"] - s["share"]]]
        looks = plot.style(0 if what in FINE else 1) | {"linestyle": "None"}
        ax.errorbar([s["share"]], [-place], xerr=ends, capsize=2, markersize=3.5, **looks)
    ax.set_yticks([-place for place in range(len(names))], names)
    ax.axvline(1.0, color="0.5", linewidth=0.8, linestyle=":")
    ax.set(
        xlabel="swaps that lower the loss [1]", ylabel="how scores move [name]", xlim=(-0.03, 1.03)
    )


if __name__ == "__main__":
    run(main)

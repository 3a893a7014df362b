"""How many values does a subset sum need if each may first move by up to p?

Xiong, Liao and Kyrillidis (2023): a perturbation of the initial weights of scale ε lowers the
over-parameterisation that a strong ticket needs by a factor of O(1/(1+ε)); their abstract states no
constant. Here at the level of one subset sum.

Protocol, fixed before measuring:
- Values uniform on [−1, 1], z uniform on [−1/2, 1/2], tolerances η = 2^-6 and 2^-10, moves p = 0
  and 2^-8 … 1. A trial is a stream of values (the same for every p), its need the least n with a
  subset S of the first n with |Σ_S − z| ≤ η + |S| p; 600 trials from seed 3000 on.
- First moment: the expected number of such subsets, sums of k values by their law (normal from
  k = 3 on), taken for the mean of a Poisson law.
- Claims: the mean need is what the first moment says within 1 value, at every η and p; it is at
  most 1/(1+p) of that at p = 0 (the stated factor, with constant 1); beyond η it falls by 0.6 to
  1.1 values a bit of p (η = 2^-10, p = 2^-8 … 2^-4), so that what is saved is a logarithm; and η no
  longer matters at p = 1/8: its two needs differ by less than half a value. That 1/(1+p) is also
  what is saved, within a tenth, is put to the test as well.
- Controls, which must be refuted: values that do not move, held to the factor; the first moment
  without moves.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sims._claims._judging import mean_between, together
from sims._claims._shared import every
from sims._protocol import Control, Findings, Options, finish, options, run
from slth.stats.verdict import Verdict

Floats = NDArray[np.float64]
Row = dict[str, Any]
NAME = "perturbation"
BITS = (6, 10)  # log2(1/η)
MOVES = (0.0, *(2.0**-b for b in range(8, -1, -1)))
TRIALS, FIRST_SEED, BLOCK = 600, 3000, 100
MOST = 32  # values of a stream; more than any trial needs
ROUNDING = 1e-12
WITHIN, SLOPE, SAME = 1.0, (-1.1, -0.6), 0.5  # values
SLOPE_MOVES, SAME_MOVE = (2.0**-8, 2.0**-4), 2.0**-3


# -- cells -----------------------------------------------------------------------------------------


def cell(bits: int, p: float, first: int, count: int) -> Row:
    """The needs of a block of trials; MOST + 1 where none of the values suffice."""
    from slth.perturbed_sums import nearest_moved

    eta = 2.0**-bits + ROUNDING
    values, z = streams(first, count)
    needs = np.where(np.abs(z) <= eta, 0, MOST + 1)
    todo = np.flatnonzero(needs)
    for n in range(1, MOST + 1):
        if not todo.size:
            break
        met = nearest_moved(values[todo, :n], z[todo], p, eta).error <= eta
        needs[todo[met]] = n
        todo = todo[~met]
    return {"needs": needs.tolist()}


def streams(first: int, count: int) -> tuple[Floats, Floats]:
    """Values `[count, MOST]` and targets `[count]` of the trials' seeds."""
    drawn = [np.random.default_rng(s).uniform(-1, 1, MOST + 1) for s in range(first, first + count)]
    table = np.array(drawn)
    return np.ascontiguousarray(table[:, 1:]), table[:, 0] / 2


def cells(smoke: bool) -> list[Row]:
    moves = (0.0, 2.0**-8, 2.0**-4, 2.0**-3, 0.5) if smoke else MOVES
    trials = 200 if smoke else TRIALS
    return [
        {"bits": b, "p": p, "first": first, "count": BLOCK}
        for b in BITS
        for p in moves
        for first in range(FIRST_SEED, FIRST_SEED + trials, BLOCK)
    ]


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@options(NAME)
def main(**rest: Any) -> None:
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    sweep = Sweep(
        NAME, f"sims.{NAME}:cell", cells(opts.smoke), opts.out / f"{NAME}.sqlite",
        warm=f"sims.{NAME}:warm",
    )  # fmt: skip
    records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    figure(rows, opts.out)
    finish(NAME, opts, analyse(rows))


def warm() -> None:
    """Compile every kernel once."""
    cell(2, 0.0, 0, 2)


# -- the first moment ------------------------------------------------------------------------------


def law_of_sum(t: Floats, k: int) -> Floats:
    """P(a sum of k values uniform on [−1, 1] is at most t); normal from k = 3 on."""
    from scipy.special import ndtr

    if k == 1:
        return np.clip((t + 1) / 2, 0.0, 1.0)
    if k == 2:
        t = np.clip(t, -2, 2)
        return np.where(t < 0, (t + 2) ** 2 / 8, 1 - (2 - t) ** 2 / 8)
    return np.asarray(ndtr(t / np.sqrt(k / 3)))


@cache
def predicted(bits: int, p: float) -> float:
    """The mean need: Σ_n P(none of the subsets of n values hits), n from 0."""
    from math import comb

    eta = 2.0**-bits
    z = (np.arange(256) + 0.5) / 512
    total = 0.0
    for n in range(64):
        hits = np.zeros(z.size)
        for k in range(1, n + 1):
            reach = eta + k * p
            hits += comb(n, k) * (law_of_sum(z + reach, k) - law_of_sum(z - reach, k))
        total += float(np.where(z <= eta, 0.0, np.exp(-hits)).mean())
    return total


# -- what the data say -----------------------------------------------------------------------------


def needs(rows: list[Row]) -> dict[tuple[int, float], Floats]:
    """Needs of all trials by (bits, p), trials in the same order."""
    found: dict[tuple[int, float], list[int]] = {}
    for row in sorted(rows, key=lambda r: r["first"]):
        found.setdefault((row["bits"], row["p"]), []).extend(row["needs"])
    return {key: np.array(column, dtype=np.float64) for key, column in found.items()}


def mean_of(x: Floats, low: float, high: float, what: str) -> Verdict:
    return mean_between(float(x.mean()), float(x.std(ddof=1) / np.sqrt(x.size)), low, high, what)


def moments(drawn: dict[tuple[int, float], Floats], moving: bool = True) -> dict[str, Verdict]:
    return {
        f"η = 2^-{b}, p = {p:g}": mean_of(
            n - predicted(b, p if moving else 0.0), -WITHIN, WITHIN, "values beyond it"
        )
        for (b, p), n in drawn.items()
        if moving or p >= 2.0**-4
    }


def factors(drawn: dict[tuple[int, float], Floats], moving: bool = True) -> dict[str, Verdict]:
    """need(p)·(1 + p) − need(0) is at most 0 in the mean, trial by trial."""
    return {
        f"η = 2^-{b}, p = {p:g}": mean_of(
            (n if moving else drawn[b, 0.0]) * (1 + p) - drawn[b, 0.0],
            -np.inf, 0.0, "(1 + p)·need(p) − need(0)",
        )
        for (b, p), n in drawn.items()
        if p
    }  # fmt: skip


def tenth(drawn: dict[tuple[int, float], Floats]) -> dict[str, Verdict]:
    """need(p)·(1 + p) is need(0) within a tenth."""
    parts = {}
    for (b, p), n in drawn.items():
        if p:
            base = drawn[b, 0.0]
            gap = (n * (1 + p) - base) / base.mean()
            parts[f"η = 2^-{b}, p = {p:g}"] = mean_of(gap, -0.1, 0.1, "relative gap")
    return parts


def logarithm(drawn: dict[tuple[int, float], Floats]) -> dict[str, Verdict]:
    bits, (low, high) = max(b for b, _ in drawn), SLOPE_MOVES
    moves = sorted(p for b, p in drawn if b == bits and low <= p <= high)
    x = np.log2(moves) - np.log2(moves).mean()
    slopes = np.array([drawn[bits, p] for p in moves]).T @ (x / (x @ x))
    gap = drawn[bits, SAME_MOVE] - drawn[min(b for b, _ in drawn), SAME_MOVE]
    return {
        "beyond η": mean_of(slopes, *SLOPE, "values a bit of p"),
        f"η at p = {SAME_MOVE:g}": mean_of(gap, -SAME, SAME, "values more at the smaller η"),
    }


def analyse(rows: list[Row]) -> Findings:
    drawn = needs(rows)
    verdicts = {
        "the first moment says how many values are needed": together(moments(drawn)),
        "the factor is at most 1/(1+p)": together(factors(drawn)),
        "what is saved is logarithmic": together(logarithm(drawn)),
        "1/(1+p) is what is saved, within a tenth": together(tenth(drawn)),
    }
    controls = {
        "values at rest": Control(
            "values that do not move, held to the factor", every(factors(drawn, moving=False))
        ),
        "moves forgotten": Control(
            "the first moment without moves, p ≥ 1/16", every(moments(drawn, moving=False))
        ),
    }
    facts = {
        "needs": [
            {"bits": b, "p": p, "mean": float(n.mean()), "trials": n.size,
             "error": float(n.std(ddof=1) / np.sqrt(n.size)), "predicted": predicted(b, p),
             "ratio": float(n.mean() / drawn[b, 0.0].mean()), "stated": 1 / (1 + p)}
            for (b, p), n in drawn.items()
        ]
    }  # fmt: skip
    return Findings(verdicts, controls, facts)


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[Row], out: Path) -> Any:
    from slth import plot

    fig, (left, right) = plot.figure(1, 2, wide=True, height=2.9)
    drawn = needs(rows)
    for series, b in enumerate(BITS):
        moves = np.array(sorted(p for c, p in drawn if c == b and p))
        base = drawn[b, 0.0]
        table = np.array([drawn[b, p] for p in moves])
        mean, error = table.mean(axis=1), table.std(axis=1, ddof=1) / np.sqrt(base.size)
        name = f"η = $2^{{-{b}}}$"
        told = [predicted(b, p) for p in moves]
        reach = 1.96 * error
        plot.band(left, moves, mean - reach, mean, mean + reach, name, series=series, bars=True)
        line(left, moves, told, "first moment", series, {"linewidth": 4.0, "alpha": 0.25})
        line(
            left, moves, np.full(moves.size, base.mean()), "none moves", series, {"linestyle": ":"}
        )
        draws = resampled(base, table)
        plot.band(right, moves, *ordered(draws, mean / base.mean()), name, series=series, bars=True)
    moves = np.geomspace(2.0**-8, 1, 60)
    plot.curve(right, moves, 1 / (1 + moves), "1/(1 + p)", series=2)
    for ax in (left, right):
        plot.log_scale(ax, "x")
        ax.set(xlabel="a value may move by p [1]", ylim=(0, None))
    left.set_ylabel("mean need [values]")
    right.set_ylabel("need over that at p = 0 [1]")
    plot.title(left, "values needed")
    plot.title(right, "what moving saves, and the stated factor")
    plot.legend(left, loc="upper right", bbox_to_anchor=(1.0, 0.92))
    plot.legend(right, loc="lower left")
    plot.save(fig, out / NAME)
    return fig


def line(ax: Any, x: Floats, y: Any, name: str, series: int, look: dict[str, Any]) -> None:
    """A formula's or a reference line in the colour of its series, named once."""
    from slth import plot

    label = name if series == 0 else f"_{name}"
    (drawn,) = ax.plot(x, y, label=label, color=plot.COLOURS[series], **({"linewidth": 1.0} | look))
    drawn.set_gid(f"curve:{label}")


def resampled(base: Floats, table: Floats) -> Floats:
    """Ratios of means in 2000 resamples of the trials: `[R, moves]`."""
    from sims._claims._judging import weights

    share = weights(base.size, np.random.default_rng(4), 2000)
    return np.asarray((share @ table.T) / (share @ base)[:, None])


def ordered(draws: Floats, mid: Floats) -> tuple[Floats, Floats, Floats]:
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return np.minimum(low, mid), mid, np.maximum(high, mid)


if __name__ == "__main__":
    run(main)

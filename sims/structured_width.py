"""What does removing whole neurons cost? Vector subset sums over one to four outputs.

Da Cunha, d'Amore and Natale (2023): a random convolutional network that is polynomially wider holds
*structured* strong tickets, from which whole filters are removed, by a random subset sum in d
dimensions that tolerates values which share a factor. They report no measurement. Here one block:
neurons with in-weight u and out-weights v to d outputs, a subset of whose products uv is within η
of d target weights at once, in the max norm.

Protocol, fixed before measuring:
- Neurons of the right sign: u uniform on [0, 1] and v on [−1, 1]^d ("uniform"), or |u| and v
  standard normal ("normal": normally scaled normals). Targets uniform on [−1/2, 1/2]^d. A trial is
  a stream of neurons, its need the least m whose first m hold such a subset; d = 1 … 4, three η
  each, 600 trials from seed 6000 on. Needs beyond 40 count as larger than all others.
- First moment: 2^m times the chance that a normal sum of half of m values lies within η in every
  coordinate, taken for the mean of a Poisson law.
- Tickets: a layer 4 → d, weights uniform on [−1/2, 1/2], every gadget within 0.05 on both halves,
  by `structured` and by `pensia`; least neurons a half, 100 seeds from 5000 on.
- Claims: where d log2(1/η) ≥ 10 half of the trials hit within 3 values of the first moment's
  median; the need grows by 0.9 to 1.5 values a unit of d log2(1/η) over all d and η (uniform); with
  fewer than d log2(1/(2η)) − 1 values, which counting asks for, at most half hit; structured
  tickets need 0.6 d to 1.1 d times what one output needs, d = 2, 3; every block keeps one set of
  neurons.
- Controls, which must be refuted: the first moment of one output; counting with 8 bits more; the
  same out-weight for all outputs; Pensia's tickets called structured.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sims._claims._judging import at_least, at_most, mean_between, together
from sims._protocol import Control, Findings, Options, exact, finish, options, run
from slth.stats.verdict import Verdict

Floats = NDArray[np.float64]
Row = dict[str, Any]
NAME = "structured_width"
LAWS = {"uniform": 1 / 9, "normal": 1.0}  # variance of a value
BITS = {1: (4.0, 7.0, 10.0), 2: (3.0, 5.0, 7.0), 3: (2.0, 3.5, 5.0), 4: (2.0, 3.0, 4.0)}
TRIALS, FIRST_TRIAL, BLOCK = 600, 6000, 50
SEEDS, FIRST_SEED, TOLERANCE, INPUTS = 100, 5000, 0.05, 4
MOST = 40  # vectors of a stream
HALF_RANGE = 0.5  # of a target
WITHIN, FROM, RAISED = 3, 10.0, 8.0
SLOPE, GROWTH = (0.9, 1.5), (0.6, 1.1)


# -- cells -----------------------------------------------------------------------------------------


def cell(law: str, d: int, bits: float, first: int, count: int) -> Row:
    """Needs of streams of vectors; of the law "tickets", of structured and of Pensia's tickets."""
    if law == "tickets":
        found = [ticket_needs(d, seed) for seed in range(first, first + count)]
        structured, loose, several, others = (list(column) for column in zip(*found, strict=True))
        return {"needs": structured, "loose": loose, "wrong": sum(several), "others": sum(others)}
    return {"needs": [needed(law, d, 2.0**-bits, s) for s in range(first, first + count)]}


def stream(law: str, d: int, seed: int) -> tuple[Floats, Floats]:
    """Vectors `[MOST, d]` and the target `[d]` of a trial; "shared": one out-weight for all."""
    rng = np.random.default_rng([seed, d])
    target = rng.uniform(-HALF_RANGE, HALF_RANGE, d)
    if law == "normal":
        return np.abs(rng.normal(size=(MOST, 1))) * rng.normal(size=(MOST, d)), target
    u, v = rng.uniform(0, 1, (MOST, 1)), rng.uniform(-1, 1, (MOST, d))
    return u * (v[:, :1].repeat(d, axis=1) if law == "shared" else v), target


def needed(law: str, d: int, eta: float, seed: int) -> int | None:
    """The least m whose first m vectors hold a subset within η; None beyond `MOST`."""
    from slth.subsetsum import Problem
    from slth.subsetsum.vector_meet_in_the_middle import VectorMeetInTheMiddle

    values, target = stream(law, d, seed)
    most = 20 if law == "shared" else MOST  # vectors on a line cost the most, and hit nothing

    def hit(m: int) -> bool:
        solution = VectorMeetInTheMiddle(1)(Problem(values[None, :m], target[None], eta))
        return bool(solution.error[0] <= eta)

    if (np.abs(target) <= eta).all():
        return 0
    low, high = 0, 2
    while not hit(high):
        if high == most:
            return None
        low, high = high, min(most, high + 2)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if hit(middle) else (middle, high)
    return high


def ticket_needs(d: int, seed: int) -> tuple[int, int, int, int]:
    """Neurons a half that a structured ticket and Pensia's need, and how many of either's blocks
    and halves keep several sets of neurons."""
    from slth.construct.pensia import Pensia
    from slth.construct.structured import Structured
    from slth.target import Target

    rng = np.random.default_rng([seed, d])
    target = Target((rng.uniform(-HALF_RANGE, HALF_RANGE, (d, INPUTS)),), (None,))
    found = []
    for make in (Structured(tolerance=TOLERANCE, limit=MOST), Pensia(tolerance=TOLERANCE)):
        source = make.source_for(target, seed, 400)

        def met(n: int, make: Any = make, source: Any = source) -> bool:
            return bool(make.build(target, source.with_n(n)).claim.met)

        low, high = 0, 8
        while not met(high):
            low, high = high, high + 8
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if met(middle) else (middle, high)
        found.append((high, several(make.build(target, source.with_n(high)))))
    (structured, none), (loose, some) = found
    return structured, loose, none, some


def several(ticket: Any) -> int:
    """Blocks and halves whose outputs do not all keep the same neurons."""
    count = 0
    for kept in ticket.kept[0]:
        for block in range(INPUTS):
            d = kept.counts.size // INPUTS
            ends = kept.indptr[block * d : block * d + d + 1]
            sets = {tuple(kept.indices[a:b]) for a, b in pairwise(ends)}
            count += len(sets) > 1
    return count


def cells(smoke: bool) -> list[Row]:
    trials, seeds = (50, 4) if smoke else (TRIALS, SEEDS)
    rows: list[Row] = [
        {"law": law, "d": d, "bits": b, "first": first, "count": BLOCK}
        for law in LAWS
        for d, several_bits in BITS.items()
        for b in (several_bits[:2] if smoke else several_bits)
        for first in range(FIRST_TRIAL, FIRST_TRIAL + trials, BLOCK)
    ]
    rows += [{"law": "shared", "d": 2, "bits": 5.0, "first": FIRST_TRIAL, "count": BLOCK}]
    step = seeds // 4
    return rows + [
        {"law": "tickets", "d": d, "bits": 0.0, "first": first, "count": step}
        for d in ((1, 2) if smoke else (1, 2, 3))
        for first in range(FIRST_SEED, FIRST_SEED + seeds, step)
    ]


def cost(row: Row) -> float:
    return float(row["d"] ** 2 * (8 if row["law"] == "tickets" else row["bits"]))


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@options(NAME)
def main(**rest: Any) -> None:
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    sweep = Sweep(
        NAME, f"sims.{NAME}:cell", cells(opts.smoke), opts.out / f"{NAME}.sqlite",
        warm=f"sims.{NAME}:warm", cost=cost,
    )  # fmt: skip
    records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    figure(rows, opts.out)
    finish(NAME, opts, analyse(rows))


def warm() -> None:
    """Compile every kernel once."""
    cell("tickets", 2, 0.0, 0, 1)


# -- theory ----------------------------------------------------------------------------------------


@cache
def predicted(law: str, d: int, bits: float) -> int:
    """The first moment's median: the least m with a chance of 1/2 or more to hit, over targets."""
    from scipy.special import ndtr

    eta = 2.0**-bits
    z = np.random.default_rng(0).uniform(-HALF_RANGE, HALF_RANGE, (2000, d))
    for m in range(1, 200):
        scale = np.sqrt(m * LAWS[law] / 2)
        chance = np.prod(ndtr((z + eta) / scale) - ndtr((z - eta) / scale), axis=1)
        if 1 - np.exp(-(2.0**m) * chance).mean() >= 0.5:
            return m
    raise AssertionError("the first moment never hits")


def least(d: int, bits: float, more: float = 0.0) -> int:
    """By counting: 2^m boxes of side 2η cover half of [−1/2, 1/2]^d at most if m is any smaller."""
    return max(1, int(np.ceil(d * (bits - 1) - 1 + more - 1e-9)))


# -- what the data say -----------------------------------------------------------------------------


def needs(rows: list[Row], law: str) -> dict[tuple[int, float], Floats]:
    """Needs of all trials by (d, bits); inf where a stream ended first."""
    found: dict[tuple[int, float], list[float]] = {}
    for row in rows:
        if row["law"] == law:
            finite = [np.inf if n is None else float(n) for n in row["needs"]]
            found.setdefault((row["d"], row["bits"]), []).extend(finite)
    return {key: np.array(column) for key, column in found.items()}


def moments(rows: list[Row], law: str, one: bool = False) -> dict[str, Verdict]:
    """Whether half of the trials hit within so many values of the first moment's median."""
    parts = {}
    for (d, b), n in needs(rows, law).items():
        if d * b < FROM or (one and d == 1):
            continue
        middle = predicted("uniform" if law == "shared" else law, 1 if one else d, b)
        at = f"{law}, d = {d}, η = 2^-{b:g}"
        late, early = (int((n <= middle + gap).sum()) for gap in (WITHIN, -WITHIN - 1))
        parts[f"{at}, m = {middle + WITHIN}"] = at_least(late, n.size, 0.5)
        parts[f"{at}, m = {middle - WITHIN - 1}"] = at_most(early, n.size, 0.5)
    return parts


def counting(rows: list[Row], more: float = 0.0) -> dict[str, Verdict]:
    """With one value fewer than counting asks for, at most half of the trials hit."""
    return {
        f"{law}, d = {d}, η = 2^-{b:g}": at_most(
            int((n <= least(d, b, more) - 1).sum()), n.size, 0.5
        )
        for law in LAWS
        for (d, b), n in needs(rows, law).items()
        if least(d, b) > 1
    }


def slope(rows: list[Row]) -> Verdict:
    """Of the mean need in d log2(1/η), over all d and η of the uniform law."""
    drawn = needs(rows, "uniform")
    x = np.array([d * b for d, b in drawn])
    share = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    columns = [np.minimum(n, MOST + 1) for n in drawn.values()]
    found = sum(s * n.mean() for s, n in zip(share, columns, strict=True))
    error = sum(s**2 * n.var(ddof=1) / n.size for s, n in zip(share, columns, strict=True))
    return mean_between(float(found), float(np.sqrt(error)), *SLOPE, "values a unit of d log2(1/η)")


def tickets(rows: list[Row], key: str) -> dict[int, Floats]:
    """Needs of tickets by d; key: "needs" of structured ones, "loose" of Pensia's."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if row["law"] == "tickets":
            found.setdefault(row["d"], []).extend(row[key])
    return {d: np.array(column) for d, column in sorted(found.items())}


def growth(rows: list[Row]) -> dict[str, Verdict]:
    """Mean need of structured tickets over d times that of one output."""
    drawn = tickets(rows, "needs")
    one = drawn[1].mean()
    parts = {}
    for d, n in drawn.items():
        if d > 1:
            ratio = n.mean() / (d * one)
            spread = [c.std(ddof=1) / np.sqrt(c.size) / c.mean() for c in (n, drawn[1])]
            error = float(ratio * np.hypot(*spread))
            parts[f"d = {d}"] = mean_between(float(ratio), error, *GROWTH, "need over d·need(1)")
    return parts


def sets(rows: list[Row], key: str) -> Verdict:
    mine = [row for row in rows if row["law"] == "tickets" and row["d"] > 1]
    blocks = sum(2 * INPUTS * row["count"] for row in mine)
    return exact("one set of neurons a block and half", sum(r[key] for r in mine), blocks)


def analyse(rows: list[Row]) -> Findings:
    verdicts = {
        "the first moment says how many neurons are needed": together(
            {at: v for law in LAWS for at, v in moments(rows, law).items()}
        ),
        "the need grows with d log2(1/η)": slope(rows),
        "counting is kept": together(counting(rows)),
        "a structured ticket pays for every output": together(growth(rows)),
        "every block keeps one set of neurons": sets(rows, "wrong"),
    }
    controls = {
        "one output": Control(
            "the first moment of d = 1 for d ≥ 2", together(moments(rows, "uniform", one=True))
        ),
        "a larger lower bound": Control(
            f"counting with {RAISED:g} bits more", together(counting(rows, RAISED))
        ),
        "shared out-weights": Control(
            "one out-weight for both outputs", together(moments(rows, "shared"))
        ),
        "single weights removed": Control("Pensia's tickets", sets(rows, "others")),
    }
    facts = {
        "needs": [
            {"law": law, "d": d, "bits": b, "median": float(np.median(n)), "trials": n.size,
             "predicted": predicted(law, d, b), "least": least(d, b)}
            for law in LAWS
            for (d, b), n in needs(rows, law).items()
        ],
        "tickets": [
            {"d": d, "structured": float(n.mean()), "pensia": float(m.mean()), "seeds": n.size}
            for (d, n), m in zip(
                tickets(rows, "needs").items(), tickets(rows, "loose").values(), strict=True
            )
        ],
    }  # fmt: skip
    return Findings(verdicts, controls, facts)


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[Row], out: Path) -> Any:
    from slth import plot
    from slth.stats import quantile_with_interval

    fig, (left, right) = plot.figure(1, 2, wide=True, height=3.0)
    drawn = needs(rows, "uniform")
    for series, d in enumerate(BITS):
        bits = np.array(sorted(b for c, b in drawn if c == d))
        told = [predicted("uniform", d, b) for b in bits]
        look = {"linewidth": 4.0, "alpha": 0.25, "color": plot.COLOURS[series]}
        label = "first moment" if series == 0 else "_first moment"
        (line,) = left.plot(d * bits, told, label=label, **look)
        line.set_gid(f"curve:{label}")
        found = [quantile_with_interval(drawn[d, b], 0.5) for b in bits]
        plot.band(
            left, d * bits, [q.low for q in found], [q.value for q in found],
            [q.high for q in found], f"d = {d}", series=series, bars=True,
        )  # fmt: skip
    ends = np.array([0.0, 17.0])
    plot.curve(left, ends, ends, "d log2(1/η)", series=4)
    for series, (key, name) in enumerate((("needs", "whole neurons"), ("loose", "single weights"))):
        table = tickets(rows, key)
        mean = np.array([n.mean() for n in table.values()])
        reach = 1.96 * np.array([n.std(ddof=1) / np.sqrt(n.size) for n in table.values()])
        at = list(table)
        plot.band(right, at, mean - reach, mean, mean + reach, name, series=series, bars=True)
    left.set(xlabel="d log2(1/η) [bits]", ylabel="usable neurons needed, median [neurons]")
    right.set(xlabel="outputs d [1]", ylabel="neurons a half needed, mean [neurons]", xticks=at)
    right.set_ylim(0, None)
    for axis in (left.xaxis, left.yaxis):
        axis.get_major_locator().set_params(integer=True)
    plot.title(left, "one block: d weights within η at once")
    plot.title(right, f"tickets of a layer {INPUTS} → d, η = {TOLERANCE:g}")
    plot.legend(left, loc="upper left")
    plot.legend(right, loc="upper left")
    plot.save(fig, out / NAME)
    return fig


if __name__ == "__main__":
    run(main)

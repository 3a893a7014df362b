"""One layer more than the target in place of twice its depth: what copies that differ cost.

Burkholz (2022): a target of depth L lies in a random network of depth L + 1, every neuron in ρ
copies, weights from the second layer on being subset sums of single random weights. The published
search (ρ = 15, tolerance 0.01) keeps the accuracy of a pruned LeNet 784-300-100-10 within half a
point, in 5 random networks. The paper's bound, as it is remembered, lets a layer amplify errors by
its weights; but copies err each in its own way, so it amplifies by Σ|v| over what is kept
(`slth.layered_distance`), however small the weights.

Protocol, fixed before measuring:
- Depth: orthogonal targets of width 4 ("unit"), sup |f| at least 1/2, L = 2, 3, 4, 60 seeds; and
  the same with layers times 0.1 ("small"), 20 seeds. Tickets of depth L + 1 (n = 40, 32 copies) and
  of depth 2L (Pensia et al. 2020, n = 80), every weight within 0.005; errors over the unit ball by
  attack (32 restarts, 100 steps) and 2,000 points of the sphere, bounds proved. Copies forced to be
  alike: the first copy of every neuron for all.
- Claims at L = 4: the median ratio of the L + 1 error to the 2L error lies in 1/2 … 2, for copies
  as drawn and for copies forced alike; it grows with depth, by half a bit from L = 2 to 4 at least;
  smallest subsets err half a bit less than those of the fewest leading values. Always: no error is
  beyond its proved bound; Σ|v| of a layer is above ‖W‖_∞.
- Accuracy: a 784-300-100-10 perceptron on 4,000 of the M5k digits, pruned by magnitude to 6 % in 8
  rounds (the last layer to 30 %), n = 15, tolerance 0.01, 5 seeds; claim: each within half a point
  of its target on the 1,000 held out. The digits target 64-128-10 is measured beside it.
- Controls, which must be refuted: alike copies at 8 times the tolerance; a bound in which layers
  amplify by ‖W‖_∞; the unpruned perceptron, 2 seeds, within half a point.
"""

from __future__ import annotations

from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sims import _depth_tickets as tickets
from sims._claims._judging import between
from sims._depth_plus_one import NAME, WITHIN, bits, figure, median, of, summary
from sims._protocol import Control, Findings, Options, exact, finish, options, provenance, run
from slth.stats.verdict import Verdict

FIRST_SEED, DEPTHS = 1100, (2, 3, 4)
SEEDS = {"unit": 60, "small": 20}
SOURCES = {"pruned": 5, "dense": 2, "digits": 5}
COMPARABLE, GROWTH, FEWER = 2.0, 0.5, 0.5
PUBLISHED = {
    "what": "Burkholz (2022): LeNet 784-300-100-10 pruned in rounds, on MNIST, 5 random networks",
    "n": 15, "tolerance": 0.01, "accuracy": "within 0.5 points of the target",
}  # fmt: skip


def cell(part: str, kind: str, depth: int, seed: int) -> dict[str, Any]:
    """One target with its tickets of every construction; or one ticket's accuracy."""
    if part == "accuracy":
        return tickets.accuracy(kind, seed)
    return tickets.errors(kind, depth, seed)


def cells(smoke: bool) -> list[dict[str, Any]]:
    seeds, depths = ({"unit": 6, "small": 1}, (2, 3)) if smoke else (SEEDS, DEPTHS)
    first = FIRST_SEED + 500 * smoke
    grid = [
        {"part": "depth", "kind": kind, "depth": depth, "seed": first + s}
        for kind, count in seeds.items()
        for depth in depths
        for s in range(count)
    ]
    kinds = {"digits": 1} if smoke else SOURCES
    return grid + [
        {"part": "accuracy", "kind": kind, "depth": 3 - (kind == "digits"), "seed": first + s}
        for kind, count in kinds.items()
        for s in range(count)
    ]


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@options(NAME)
def main(**rest: Any) -> None:
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    if not opts.smoke:
        tickets.digits()  # where the data are missing, say so before any work
    sweep = Sweep(NAME, f"sims.{NAME}:cell", cells(opts.smoke), opts.out / f"{NAME}.sqlite")
    records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    figure(rows, opts.out)
    finish(NAME, opts, analyse(rows))


# -- what the data say -----------------------------------------------------------------------------


def within(values: NDArray[np.float64], low: float, high: float, what: str) -> Verdict:
    one, many = median(values)
    return between(one, many, low, high, what)


def comparable(rows: list[dict[str, Any]], name: str) -> Verdict:
    deepest = max(r["depth"] for r in of(rows, "unit"))
    found = 2.0 ** bits(rows, "unit", deepest, name, "doubled")
    what = f"median error over that of depth 2L at L = {deepest}"
    return within(found, 1 / COMPARABLE, COMPARABLE, what)


def accurate(rows: list[dict[str, Any]], kind: str) -> Verdict:
    """Whether every ticket is within half a point of its target."""
    off = [r["ticket"] - r["target"] for r in of(rows, kind)]
    beyond = sum(abs(o) > WITHIN + 1e-9 for o in off)
    found = exact("accuracy within 0.5 points", beyond, len(off))
    shown = ", ".join(f"{100 * o:+.1f}" for o in off)
    return Verdict(found.state, f"{found.reason}; points off: {shown}")


def analyse(rows: list[dict[str, Any]]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    measured = [r for r in rows if r["part"] == "depth"]
    depths = sorted({r["depth"] for r in measured})
    first, last = depths[0], depths[-1]
    growth = bits(rows, "unit", last, "fewest", "doubled")
    growth = growth - bits(rows, "unit", first, "fewest", "doubled")
    fewer = bits(rows, "unit", last, "first", "fewest")
    beyond = sum(r[k] > r[f"{k}_upper"] for r in measured for k in ("fewest", "first"))
    gains = [(a, w) for r in measured for a, w in zip(r["gains"], r["sums"], strict=True)]
    verdicts = {
        "copies as drawn err like depth 2L": comparable(rows, "fewest"),
        "copies forced alike err like depth 2L": comparable(rows, "identical"),
        "the ratio grows with depth": within(
            growth, GROWTH, np.inf, f"bits of the median ratio from L = {first} to {last}"
        ),
        "smallest subsets err less": within(fewer, FEWER, np.inf, "median bits less"),
        "errors stay within the bound with Σ|v|": exact(
            "attacked ≤ proved", beyond, 2 * len(measured)
        ),
        "a layer amplifies by more than its weights": exact(
            "Σ|v| > ‖W‖_∞", sum(a <= w for a, w in gains), len(gains)
        ),
    }
    norms = exact(
        "attacked ≤ bound with ‖W‖_∞", sum(r["fewest"] > r["by_norms"] for r in measured),
        len(measured),
    )  # fmt: skip
    controls = {
        "coarser": Control(
            f"alike copies, {tickets.COARSER} times the tolerance", comparable(rows, "coarser")
        ),
        "norms for Σ|v|": Control("layers taken to amplify by their weights", norms),
    }
    if of(rows, "pruned"):
        verdicts["a pruned LeNet keeps its accuracy"] = accurate(rows, "pruned")
        controls["unpruned LeNet"] = Control(
            "no weight of the target is zero", accurate(rows, "dense")
        )
    facts = {"provenance": provenance(), "published": PUBLISHED, **summary(rows)}
    return Findings(verdicts, controls, facts)


if __name__ == "__main__":
    run(main)

"""How much wider must a source be for a sparser ticket? From one kept value to half of them.

Natale et al. (2024): subsets of exactly k of n values meet a target within ε where n H2(k/n) is of
order log2(k/ε) (theorem 2), so density is bought with width, from Malach's end (k = 1, n of order
1/ε) to Pensia's (k = n/2, n of order log(1/ε)); and no network of n parameters pruned to k does
without C(n, k) ≥ (√k/(2ε))^{d²}/2 (theorem 5). They report no measurement.

Protocol, fixed before measuring:
- Values: n uniform on [−1, 1], z uniform on [−√k, √k], the theorem's range; a trial is a stream of
  values, and its need the least n with a subset of size k within ε (nested, so by bisection; a need
  beyond what the search by size takes in whole counts as larger than all others). k = 1 … 12,
  ε = 2^-6, 2^-10, 2^-14, 400 trials each from seed 500 on; judged is every (k, ε) whose median need
  is 2k or more.
- Tickets: one layer 4 → 4 of spectral norm 1 (a random matrix a seed), ε = 0.05 on the unit ball,
  by the construction `fixed_size`, all 32 gadgets within tolerance; densities γ of the usable
  neurons from 1/2 down to one neuron; 120 seeds a width from seed 2000 on, widths four an octave
  from 0.6 to 3 times the prediction; n50 by a line in ln n.
- First moment: the expected number of subsets that hit, C(n, k)·2ε·f(z) with f the density of a sum
  of k values (normal from k = 3 on), is taken for the mean of a Poisson law. Of tickets: m = n/2
  usable products of variance 1/9, every gadget apart.
- Claims: half of the trials hit where log2 C(n, k) is what the first moment says within 1.5 bits,
  and where n H2(k/n) is log2(k/ε) within 2 bits; with fewer values than theorem 5 asks for (d = 1)
  at most half of them hit; the slope of log2 n50 in bits at k = 1 is in [0.9, 1.1], that of n50 at
  the largest k judged in [0.9, 1.3]; whole tickets of γ ≤ 0.35 need 0.7 to 2 times the prediction;
  every gadget keeps exactly the size asked for.
- Controls, which must be refuted: 2^n subsets counted for those of size k; theorem 5 with 4 bits
  more; the two ends exchanged; Pensia's tickets held to one size.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import comb
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sims._claims._judging import at_least, at_most, mean_between, together, weights
from sims._claims._shared import every, half_points, resampled_rates
from sims._protocol import Control, Findings, Options, exact, finish, options, run
from slth.bounds.fixed_size import least_parameters, masks
from slth.stats.verdict import Verdict

Floats = NDArray[np.float64]
Row = dict[str, Any]
NAME = "density_width"
SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12)
BITS = (6, 10, 14)
TRIALS, FIRST_TRIAL, BLOCK = 400, 500, 100
DENSITIES = (0.5, 0.35, 0.25, 0.15, 0.1, 0.06, 0.04, 0.02, 0.01, 0.001)
SIDE, EPSILON = 4, 0.05
SEEDS, FIRST_SEED = 120, 2000
BUDGET = 1 << 18  # sums of half of the values
WITHIN, WITHIN_FORM, RAISED = 1.5, 2.0, 4.0  # bits
SPARSEST, DENSEST = (0.9, 1.1), (0.9, 1.3)
TICKETS, JUDGED = (0.7, 2.0), 0.35


# -- cells -----------------------------------------------------------------------------------------


def cell(part: str, at: float, bits: int, n: int, first: int, count: int) -> Row:
    """Needs of streams of values; or how many tickets were met, and what they keep."""
    if part == "values":
        needs = [needed(int(at), 2.0**-bits, seed) for seed in range(first, first + count)]
        return {"needs": needs}
    return tickets(part, at, n, range(first, first + count))


class Unsearched(Exception):
    """Not all subsets of the size fit in the budget."""


def needed(k: int, epsilon: float, seed: int) -> int | None:
    """The least n of a stream of values with k of the first n within ε of the stream's target.

    None where it is beyond what is searched whole: more than all but a few trials need.
    """
    from slth.construct._by_size import nearest_of_size, plan

    rng = np.random.default_rng([seed, k])
    z = np.array([rng.uniform(-1, 1) * np.sqrt(k)])
    if k == 1:
        near, drawn = np.empty(0, np.int64), 0
        while not near.size:
            near = drawn + np.flatnonzero(np.abs(rng.uniform(-1, 1, 4096) - z) <= epsilon)
            drawn += 4096
        return int(near[0]) + 1
    values = rng.uniform(-1, 1, (1, 1000))

    def hit(n: int) -> bool:
        searched = plan(n, k, BUDGET)
        if comb(searched.window, searched.inside) < comb(n, k):
            raise Unsearched
        return bool(nearest_of_size(values[:, :n], z, k, BUDGET, epsilon)[1][0] <= epsilon)

    low, high = k - 1, k
    try:
        while not hit(high):
            low, high = high, high + 1 + high // 4
    except Unsearched:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if hit(middle) else (middle, high)
    return high


def layer(seed: int) -> Any:
    """The target of a seed: a random square matrix of spectral norm 1, rounded down."""
    from slth.target import Target

    w = np.random.default_rng([seed, SIDE]).normal(size=(SIDE, SIDE))
    return Target((w / np.linalg.norm(w, 2) * (1 - 1e-9),), (None,))


def tickets(part: str, density: float, n: int, seeds: range) -> Row:
    """Tickets of one density and width: met, means of kept and parameters, gadgets of a wrong size.

    part: "tickets" of fixed size, or "pensia", of any.
    """
    from slth.construct.fixed_size import FixedSize
    from slth.construct.pensia import Pensia

    fixed = FixedSize(epsilon=EPSILON, density=density)
    make = fixed if part == "tickets" else Pensia(epsilon=EPSILON)
    met, wrong, kept = 0, 0, 0.0
    for seed in seeds:
        target = layer(seed)
        ticket = make.build(target, make.source_for(target, seed, n))
        met += ticket.claim.met
        kept += (ticket.kept_in + ticket.kept_out) / len(seeds)
        for half, found in enumerate(ticket.kept[0]):
            u = ticket.source.in_weights(0, half)
            usable = ((u > 0) if half == 0 else (u < 0)).sum(axis=1)
            sizes = np.array([fixed.size(int(m)) for m in usable])
            wrong += int((found.counts != np.repeat(sizes, SIDE)).sum())
    return {"met": met, "kept": kept, "parameters": ticket.source.parameters, "wrong": wrong}


def widths(density: float) -> list[int]:
    """Four widths an octave around the prediction."""
    middle = predicted_ticket(density)
    return sorted({round(middle * 2 ** (i / 4)) for i in range(-3, 7)})


def cells(smoke: bool) -> list[Row]:
    sizes, bits = ((1, 2, 3, 4), (6, 9)) if smoke else (SIZES, BITS)
    trials, seeds = (100, 6) if smoke else (TRIALS, SEEDS)
    rows: list[Row] = [
        {"part": "values", "at": float(k), "bits": b, "n": 0, "first": first, "count": BLOCK}
        for k in sizes
        for b in bits
        for first in range(FIRST_TRIAL, FIRST_TRIAL + trials, BLOCK)
    ]
    shared = {"bits": 0, "first": FIRST_SEED, "count": seeds}
    rows += [
        {"part": "tickets", "at": density, "n": n, **shared}
        for density in (DENSITIES[::4] if smoke else DENSITIES)
        for n in widths(density)
    ]
    return [*rows, {"part": "pensia", "at": 0.25, "n": 60, **shared}]


def cost(row: Row) -> float:
    return {1.0: 0.1 * row["bits"], 2.0: 6.0}.get(row["at"], 2.0) if row["part"] == "values" else 1


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
    cell("values", 3.0, 4, 0, 0, 1)
    cell("tickets", 0.25, 0, 8, 0, 1)


# -- the first moment ------------------------------------------------------------------------------


def density_of_sum(z: Floats, k: int) -> Floats:
    """Of k values uniform on [−1, 1], at z; normal from k = 3 on."""
    if k <= 2:
        return np.full(z.shape, 0.5) if k == 1 else np.maximum(0.0, (2 - np.abs(z)) / 4)
    return np.asarray(np.exp(-1.5 * z**2 / k) * np.sqrt(1.5 / (np.pi * k)))


@cache
def law_of_need(k: int, epsilon: float, wrong: bool = False) -> tuple[Floats, Floats]:
    """(n, chance that n values are needed) by the first moment, over z in [−√k, √k]."""
    from scipy.special import gammaln

    n = np.arange(k, int(32 / epsilon) if k == 1 else 2000, dtype=np.float64)
    z = np.sqrt(k) * (np.arange(16) + 0.5) / 16
    count = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    if wrong:
        count = np.minimum(n, 1000) * np.log(2)
    hit = np.zeros(n.size)
    for f in density_of_sum(z, k):
        hit -= np.expm1(-np.exp(np.minimum(count + np.log(2 * epsilon * f), 700))) / z.size
    return n, np.diff(hit, prepend=0.0)


def bits_of(n: Any, k: int) -> Floats:
    """log2 C(n, k)."""
    from scipy.special import gammaln

    n = np.asarray(n, dtype=np.float64)
    return np.asarray((gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)) / np.log(2))


def predicted_median(k: int, epsilon: float, wrong: bool = False) -> float:
    n, chance = law_of_need(k, epsilon, wrong)
    return float(n[np.searchsorted(chance.cumsum(), 0.5)])


@cache
def predicted_ticket(density: float) -> float:
    """The n at which half of the tickets are met, were all gadgets independent."""
    from scipy.special import gammaln

    weights = np.abs(np.concatenate([layer(s).weights[0].ravel() for s in range(20)]))
    eta = EPSILON / SIDE
    for n in np.geomspace(4, 1e5, 2000):
        m = n / 2
        k = max(1, int(density * m + 0.5))
        if k > m:
            continue
        if k == 1:
            f = 0.5 * np.log(1 / np.maximum(weights, 1e-12))
        else:
            f = np.exp(-4.5 * weights**2 / k) * np.sqrt(4.5 / (np.pi * k))
        subsets = gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1)
        missed = np.exp(-np.exp(np.minimum(subsets + np.log(2 * eta * f), 700)))
        if 2 * SIDE**2 * np.log1p(-np.minimum(missed, 1 - 1e-12)).mean() >= np.log(0.5):
            return float(n)
    raise AssertionError("no width suffices")


# -- what the data say -----------------------------------------------------------------------------


def needs(rows: list[Row]) -> dict[tuple[int, int], Floats]:
    """Needs of all trials by (k, bits), of those whose median is 2k or more."""
    found: dict[tuple[int, int], list[float]] = {}
    for row in rows:
        if row["part"] == "values":
            finite = [np.inf if n is None else n for n in row["needs"]]
            found.setdefault((int(row["at"]), row["bits"]), []).extend(finite)
    return {key: np.array(drawn) for key, drawn in found.items() if np.median(drawn) >= 2 * key[0]}


def between(needs: Floats, n: Floats, score: Floats, within: float) -> dict[str, Verdict]:
    """Whether half of the trials hit between a score of −within and of within; both rise with n."""
    above = float(n[np.searchsorted(score, within - 1e-9)])
    below = float(n[np.searchsorted(score, -within + 1e-9) - 1]) if score[0] < -within else 0.0
    return {
        f"at {within:g} bits, n = {above:g}": at_least(
            int((needs <= above).sum()), needs.size, 0.5
        ),
        f"at −{within:g} bits, n = {below:g}": at_most(
            int((needs <= below).sum()), needs.size, 0.5
        ),
    }


def grid_of(k: int) -> Floats:
    """Numbers of values to look among, whole up to some thousands."""
    return np.unique(np.geomspace(k, 1e6, 60_000).astype(np.int64)).astype(np.float64)


def moments(drawn: dict[tuple[int, int], Floats], wrong: bool = False) -> Verdict:
    """Bits of C(n, k) beyond those at the first moment's median."""
    parts = {}
    for (k, b), found in drawn.items():
        n = grid_of(k)
        score = bits_of(n, k) - float(bits_of(predicted_median(k, 2.0**-b, wrong), k))
        for at, verdict in between(found, n, score, WITHIN).items():
            parts[f"k = {k}, ε = 2^-{b}, {at}"] = verdict
    return together(parts)


def forms(drawn: dict[tuple[int, int], Floats]) -> Verdict:
    """n·H2(k/n) − log2(k/ε)."""
    parts = {}
    for (k, b), found in drawn.items():
        n = grid_of(k)
        p = np.minimum(k / n, 1 - 1e-15)
        score = n * (-p * np.log2(p) - (1 - p) * np.log1p(-p) / np.log(2)) - np.log2(k) - b
        for at, verdict in between(found, n, score, WITHIN_FORM).items():
            parts[f"k = {k}, ε = 2^-{b}, {at}"] = verdict
    return together(parts)


def least(k: int, b: float) -> int:
    """The least n with C(n, k) ≥ √k/(2ε)/2: theorem 5 at d = 1."""
    n = k
    while masks(n, k) < 0.5 * np.log2(k) - 1 + b - 1 - 1e-9:
        n += 1
    return n


def below(drawn: dict[tuple[int, int], Floats], more: float = 0.0) -> dict[str, Verdict]:
    """Of trials with one value less than theorem 5 asks for, at most half hit."""
    found = {
        f"k = {k}, ε = 2^-{b}": at_most(int((n <= least(k, b + more) - 1).sum()), n.size, 0.5)
        for (k, b), n in drawn.items()
    }
    return {name: replace(v, reason=v.reason.replace("failed", "hit")) for name, v in found.items()}


def halves(needs: Floats) -> tuple[float, Floats]:
    """n50 between whole numbers, and of 1000 resamples of the trials."""
    n = np.unique(needs[np.isfinite(needs)])
    share = weights(needs.size, np.random.default_rng(12), 1000)
    hits = needs[:, None] <= n
    return float(half_points(n, hits.mean(axis=0))), half_points(n, share @ hits)


def ends(drawn: dict[tuple[int, int], Floats], exchanged: bool = False) -> dict[str, Verdict]:
    """Slopes in bits of log2 n50 at k = 1, and of n50 at the largest k judged."""
    bits = sorted({b for _, b in drawn})
    largest = {b: max(k for k, c in drawn if c == b) for b in bits}
    found = [[halves(drawn[k, b]) for b in bits for k in (1, largest[b])][i::2] for i in (0, 1)]
    sparse, dense = found[::-1] if exchanged else found

    def slope(columns: list[tuple[float, Floats]], span: tuple[float, float], what: str) -> Verdict:
        x = np.array(bits) - np.mean(bits)
        at = x / (x @ x)
        estimate = float(at @ [value for value, _ in columns])
        draws = at @ np.array([resamples for _, resamples in columns])
        return mean_between(estimate, float(draws.std()), *span, what)

    logs = [(float(np.log2(value)), np.log2(draws)) for value, draws in sparse]
    return {
        "k = 1": slope(logs, SPARSEST, "log2 n a bit"),
        "k up to n/2": slope(dense, DENSEST, "n a bit"),
    }


def half_widths(rows: list[Row]) -> dict[float, dict[str, Any]]:
    """By density: n50 of tickets and its resamples, and what a ticket has there."""
    found = {}
    for density in sorted({r["at"] for r in rows if r["part"] == "tickets"}, reverse=True):
        mine = [r for r in rows if r["part"] == "tickets" and r["at"] == density]
        n = [r["n"] for r in mine]
        met, total = np.array([r["met"] for r in mine]), mine[0]["count"]
        n50 = float(half_points(n, met / total))
        kept = np.interp(n50, n, [r["kept"] for r in mine])
        found[density] = {
            "n50": n50, "draws": half_points(n, resampled_rates(met, total, 31, 2000)),
            "density": float(kept / (n50 * mine[0]["parameters"] / n[0])),
            "parameters": n50 * mine[0]["parameters"] / n[0],
            "predicted": predicted_ticket(density),
        }  # fmt: skip
    return found


def analyse(rows: list[Row]) -> Findings:
    drawn, whole = needs(rows), half_widths(rows)
    ratios = {
        f"γ = {density:g}": mean_between(
            found["n50"] / found["predicted"],
            float(found["draws"].std()) / found["predicted"],
            *TICKETS,
            "n50 over the prediction",
        )
        for density, found in whole.items()
        if density <= JUDGED
    }
    sizes = {
        part: (
            sum(r["wrong"] for r in rows if r["part"] == part),
            sum(2 * SIDE**2 * r["count"] for r in rows if r["part"] == part),
        )
        for part in ("tickets", "pensia")
    }
    verdicts = {
        "the first moment says how many values are needed": moments(drawn),
        "n·H2(k/n) is log2(k/ε)": forms(drawn),
        "theorem 5 is kept": together(below(drawn)),
        "from 1/ε at k = 1 to log(1/ε) at k = n/2": together(ends(drawn)),
        "whole tickets need what the first moment says": together(ratios),
        "every gadget keeps exactly k": exact("size = k", *sizes["tickets"]),
    }
    controls = {
        "all subsets": Control(
            "2^n subsets counted for those of size k", moments(drawn, wrong=True)
        ),
        "a larger lower bound": Control(
            f"theorem 5 with {RAISED:g} bits more", together(below(drawn, RAISED))
        ),
        "the ends exchanged": Control(
            "the needs at k = 1 and at n/2 exchanged", every(ends(drawn, exchanged=True))
        ),
        "subsets of any size": Control(
            "Pensia's tickets held to one size", exact("size = k", *sizes["pensia"])
        ),
    }
    facts = {
        "values": [
            {"k": k, "bits": b, "median": float(np.median(n)), "trials": n.size,
             "predicted": predicted_median(k, 2.0**-b), "least": least(k, b)}
            for (k, b), n in drawn.items()
        ],
        "tickets": [
            {"gamma": density, **{key: v for key, v in found.items() if key != "draws"},
             "interval": np.quantile(found["draws"], [0.025, 0.975]).tolist()}
            for density, found in whole.items()
        ],
    }  # fmt: skip
    return Findings(verdicts, controls, facts)


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[Row], out: Path) -> Any:
    from slth import plot

    fig, (left, right) = plot.figure(1, 2, wide=True, height=3.1)
    drawn = needs(rows)
    for series, b in enumerate(sorted({b for _, b in drawn})):
        values(left, {k: n for (k, c), n in drawn.items() if c == b}, b, series)
    whole(right, half_widths(rows))
    plot.log_scale(left)
    plot.log_scale(right)
    left.set(xlabel="share kept k/n [1]", ylabel="values needed n [values]")
    right.set(xlabel="density of the ticket [1]", ylabel="weights of the source [weights]")
    plot.title(left, "k of n values within ε")
    plot.title(right, f"tickets of a layer {SIDE} → {SIDE}, ε = {EPSILON:g}")
    plot.legend(left, loc="lower left")
    plot.legend(right, loc="upper right")
    plot.save(fig, out / NAME)
    return fig


def values(ax: Any, drawn: dict[int, Floats], b: int, series: int) -> None:
    """Median needs with their intervals, the first moment's (wide), and theorem 5's least."""
    from slth import plot
    from slth.stats import quantile_with_interval

    found = {k: quantile_with_interval(n, 0.5) for k, n in sorted(drawn.items())}
    n = np.array([q.value for q in found.values()])
    sizes = np.array(list(found))
    parts: tuple[tuple[str, list[float], dict[str, Any]], ...] = (
        ("first moment", [predicted_median(k, 2.0**-b) for k in found],
         {"linestyle": "-", "linewidth": 4.0, "alpha": 0.25}),
        ("theorem 5: at least", [float(least(k, b)) for k in found],
         {"linestyle": ":", "linewidth": 1.0}),
    )  # fmt: skip
    for name, of, look in parts:
        label = name if series == 0 else f"_{name}"
        (curve,) = ax.plot(
            sizes / np.array(of), of, color=plot.COLOURS[series], label=label, **look
        )
        curve.set_gid(f"curve:{label}")
    plot.band(
        ax, sizes / n, [q.low for q in found.values()], n, [q.high for q in found.values()],
        f"ε = $2^{{-{b}}}$, median", series=series, bars=True,
    )  # fmt: skip


def whole(ax: Any, found: dict[float, dict[str, Any]]) -> None:
    from slth import plot
    from slth.bounds import unit_class
    from slth.bounds.counting import packing

    density = np.array([f["density"] for f in found.values()])
    weights = np.array([f["parameters"] for f in found.values()])
    each = weights / np.array([f["n50"] for f in found.values()])
    ends = np.array([np.quantile(f["draws"], [0.025, 0.975]) for f in found.values()]).T * each
    low, high = np.minimum(ends[0], weights), np.maximum(ends[1], weights)
    plot.band(ax, density, low, weights, high, "half of the tickets met", bars=True)
    asked = np.array([f["predicted"] for f in found.values()]) * each
    plot.curve(ax, density, asked, "first moment", series=1)
    bits = float(packing(unit_class(SIDE, SIDE), np.array(EPSILON))) - 1
    grid = np.geomspace(density.min(), density.max(), 40)
    least_weights = [least_parameters(float(g), bits) for g in grid]
    plot.curve(ax, grid, least_weights, "counting: at least", series=2)


if __name__ == "__main__":
    run(main)

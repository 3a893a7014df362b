"""How far is each explicit theorem's n from what is needed? Theory over measurement.

Measured is the least n such that, with probability 1 − δ, every z of an interval is within η of a
subset sum (that is what the explicit theorems on random subset sums speak of), over η and δ; beside
it Malach's pools and Orseau's categories for one weight, and sparse sources. For each law: the
slack (theorem's n over the need) and the need over the best lower bound.

Protocol, fixed before measuring:
- Streams of values, nested in n. Neurons that add nothing (u <= 0, or a missing link) are not
  enumerated; how many of them lie between two usable ones is drawn from the geometric law.
- η in half octaves: to 2^-8 from 40000 streams and to 2^-12 from 4000 (subset sums as bits on a
  grid, followed to 64 usable values, rounding counted against success); to 2^-17 from 400 (all sums
  of at most 23 values enumerated), for medians above all and only where no neuron is idle, so that
  what is cut off needs more than 23. Pools and categories: 2000 streams. Sparse sources: 4000.
- The need at (η, δ) is the (1 − δ)-quantile with its distribution-free 95 % interval, and counts as
  measured where the interval's upper end is finite.
- A theorem holds where at its n, for δ = 0.1 and 0.01 (0.001 for η >= 2^-8) and every η >= 2^-12,
  the frequency of success is at least 1 − δ. A lower bound holds where with one value fewer the
  frequency of failure is at least δ, at the same points.
- Controls, which must be refuted: a theorem's n cut to half of the measured need, of each kind of
  gadget; each lower bound multiplied by three.
- Not measured: bounds on whole networks (counting by packing, fixed size), rates without constants.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
from numpy.typing import NDArray

from sims._gadgets import DENSITY, LAWS, POOL, categories, coverage, pool
from sims._protocol import Control, Findings, Options, finish, options, provenance, run
from slth.stats.verdict import State, Verdict

Floats = NDArray[np.float64]
NAME = "slack"
SEED = 8100
BLOCKS = 4
TRIALS = {"coarse": 40_000, "fine": 4000, "exact": 400, "sampled": 2000}
OCTAVES = {"coarse": (1.5, 8.0), "fine": (8.5, 12.0), "exact": (12.5, 17.0)}
SMOKE = {"coarse": (1.5, 2.5), "fine": (3.0, 3.0), "exact": (3.5, 4.0)}
SMOKE_TRIALS = {"coarse": 4000, "fine": 4000, "exact": 20, "sampled": 1200}
SAMPLED = {
    "pool-factors": [2.0, 3.0, 4.0, 5.0],
    "pool-product": [float(k) for k in range(2, 11)],
    "categories": [2.0, 5.0, 8.0, 11.0, 14.0],
}
SPARSE = 4000
DELTAS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4)
WORDS = {
    **{name: law.words for name, law in LAWS.items()},
    "pool-factors": "Malach's pool, both factors matched, |w| ≤ 1/2",
    "pool-product": "Malach's pool, the product matched, |w| ≤ 1/2",
    "categories": "Orseau's categories, |w| ≤ 1",
}
JUDGED = (0.1, 0.01, 0.001)  # δ of the verdicts
AT_DELTA, AT_ETA = 0.01, 2.0**-6  # of the figure
SHOWN = {"uniform": "X uniform on [−1, 1], |z| ≤ 1/2", "product": "X = v·max(0, u), |z| ≤ 1"}
BROKEN = ("uniform", "product", "pool-factors", "pool-product", "categories")


# -- one cell --------------------------------------------------------------------------------------


def cell(law: str, tier: str, octaves: list[float], block: int, trials: int) -> dict[str, Any]:
    """For every tolerance how often which n was needed: [values, counts, streams cut off]; or, of
    the tier "theorem", what the theorems ask for."""
    if tier == "theorem":
        return {"asked": asked(2.0 ** -octaves[0])}
    rng = np.random.default_rng([SEED, list(WORDS).index(law), list(TRIALS).index(tier), block])
    etas = 2.0 ** -np.array(octaves)
    if law == "categories":
        needed = categories(etas, rng, trials)
    elif law in SAMPLED:
        needed = pool(law, etas, rng, trials)
    else:
        needed = coverage(law, tier, etas, rng, trials)
    found = []
    for column in needed.T:
        values, counts = np.unique(column[column > 0], return_counts=True)
        found.append([values.tolist(), counts.tolist(), int((column <= 0).sum())])
    return {"needed": found}


def asked(tolerance: float) -> list[list[Any]]:
    """[law, η, δ, our theorem's n, the former's] at the tolerance η or, for products, half of it:
    what runs of the dynamic program for one tolerance answer."""
    found: list[list[Any]] = []
    for law, coverage_law in LAWS.items():
        eta = tolerance / coverage_law.factors
        if eta < coverage_law.reach:
            deltas = DELTAS if law in SHOWN and eta == AT_ETA else JUDGED
            found += [
                [law, eta, d, theorem(law, eta, d), theorem(law, eta, d, former=True)]
                for d in deltas
            ]
    return found


def cells(smoke: bool) -> list[dict[str, Any]]:
    octaves = SMOKE if smoke else OCTAVES
    rows: list[dict[str, Any]] = []
    for law in WORDS:
        tiers = ["sampled"] if law in SAMPLED else list(octaves)
        if law == "sparse-product":
            tiers = ["coarse"]
        elif law in LAWS and LAWS[law].chance < 1:
            tiers.remove("exact")
        for tier in tiers:
            trials = SPARSE if law == "sparse-product" else TRIALS[tier]
            if smoke:
                trials = SMOKE_TRIALS[tier]
            if law in SAMPLED:
                grid = SAMPLED[law][: 2 if smoke else None]
            else:
                start = max(octaves[tier][0], 0.5 - math.log2(LAWS[law].reach))
                grid = np.arange(start, octaves[tier][1] + 0.25, 0.5).tolist()
            rows += [
                {"law": law, "tier": tier, "octaves": grid, "block": b, "trials": trials // BLOCKS}
                for b in range(BLOCKS)
            ]
    first, last = octaves["coarse"][0] - 1, octaves["fine"][1] + 1
    # a better theorem is asked anew, not resumed: its numbers are part of the cell's name
    now = sum(int(theorem("uniform", eta, 0.01)) for eta in (0.25, 2.0**-6, 0.01))
    now = 1000 * now + int(theorem("product", 0.125, 0.01))
    rows += [
        {"law": "all", "tier": "theorem", "octaves": [x], "block": now, "trials": 0}
        for x in np.arange(first, last + 0.25, 0.5).tolist()
    ]
    return rows


def warm() -> None:
    """Compile every kernel once."""
    for tier in OCTAVES:
        cell("uniform", tier, [1.5], 0, 1)
    asked(0.25)


def cost(params: dict[str, Any]) -> float:
    """Seconds on one core, roughly."""
    if params["tier"] == "theorem":
        return float(params["octaves"][0])
    each = {"coarse": 6e-4, "fine": 1.2e-2, "exact": 4e-2, "sampled": 5e-4}[params["tier"]]
    return each * float(params["trials"])


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@click.option(
    "--needs",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the table of measured needs here.",
)
@options(NAME)
def main(needs: Path | None, **rest: Any) -> None:
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
    if needs is not None:
        write_needs(rows, needs)
    figure(rows, opts.out)
    finish(NAME, opts, analyse(rows))


# -- what the data say -----------------------------------------------------------------------------


def samples(rows: list[dict[str, Any]], law: str) -> dict[float, Floats]:
    """The n that every stream needed, by tolerance, falling; inf where it was cut off."""
    found: dict[float, list[Floats]] = {}
    for row in rows:
        if row["law"] != law:
            continue
        for x, (values, counts, unreached) in zip(row["octaves"], row["needed"], strict=True):
            part = np.repeat([*values, math.inf], [*counts, unreached])
            found.setdefault(2.0**-x, []).append(part)
    return {eta: np.sort(np.concatenate(found[eta])) for eta in sorted(found, reverse=True)}


def table(rows: list[dict[str, Any]], law: str) -> dict[str, Floats]:
    """{"etas" `[E]`, "value", "low", "high" `[E, D]`} over `DELTAS`, NaN where not measured.

    Needs of nested streams fall in neither direction; samples of different tiers may, by chance, so
    each is lifted to the largest before it.
    """
    from slth.stats import quantile_with_interval

    drawn = samples(rows, law)
    parts = {key: np.full((len(drawn), len(DELTAS)), np.nan) for key in ("value", "low", "high")}
    for i, needed in enumerate(drawn.values()):
        for j, delta in enumerate(DELTAS):
            found = quantile_with_interval(needed, 1 - delta)
            if found.decided:
                for key, part in parts.items():
                    part[i, j] = max(0.0, getattr(found, key))
    seen = ~np.isnan(parts["value"])
    for key, part in parts.items():
        lifted = np.fmax.accumulate(np.fmax.accumulate(part, axis=0), axis=1)
        parts[key] = np.where(seen, lifted, np.nan)
    return {"etas": np.array(list(drawn)), **parts}


def theorem(law: str, eta: float, delta: float, former: bool = False) -> float:
    """n that the explicit theorem asks for; `former`: by the two phases, where both exist."""
    from slth.bounds import load, unit_class
    from slth.bounds import random_subset_sum as rss
    from slth.bounds.attention import n_rss_full_product
    from slth.bounds.malach import pool_size, pool_size_product

    methods: dict[str, Callable[[Any], int]] = {
        "uniform": lambda m: rss.n_rss(eta, delta, m),
        "uniform-one": lambda m: rss.n_rss_reach(eta, 1.0, delta, m),
        "product": lambda m: rss.n_rss_product(eta, delta, m),
        "product-quarter": lambda m: rss.n_rss_product(eta, delta, m, reach=0.25),
    }
    if law in methods:
        ways = ("phases",) if former else get_args(rss.Method)
        return float(min(methods[law](way) for way in ways))
    if law == "full-product":
        return float(n_rss_full_product(eta, delta))
    if law == "pool-factors":
        return pool_size(eta, delta)
    if law == "pool-product":
        return pool_size_product(eta, delta, POOL)
    one = unit_class(1, 1)  # a single link
    if law == "categories":
        return float(load("orseau")().evaluate(one, math.e * eta, delta)[0])
    # its ε is twice η, and its two halves share δ
    sparse = load("random_sparse")("diamond", DENSITY)  # type: ignore[call-arg]
    return float(sparse.evaluate(one, 2 * eta, 2 * delta)[0])


def theory(rows: list[dict[str, Any]]) -> dict[tuple[str, float, float], tuple[float, float]]:
    """(ours, the former) by (law, η, δ), at every point that was evaluated."""
    found = {
        (law, eta, delta): (ours, former)
        for row in rows
        if row["tier"] == "theorem"
        for law, eta, delta, ours, former in row["asked"]
    }
    for law, octaves in SAMPLED.items():
        for x in octaves:
            for delta in JUDGED:
                found[law, 2.0**-x, delta] = (theorem(law, 2.0**-x, delta),) * 2
    return found


@cache
def lower_bounds(law: str, eta: float, delta: float) -> dict[str, float]:
    """n that coverage cannot do without, whole numbers, by the argument's name.

    Fewer than log2(R/η) usable values never cover [−R, R] (counting). Values that are usable with
    probability c and symmetric leave out the positive or the negative z with probability at least
    2 (1 − c/2)^n − (1 − c)^n (sign). Both derived here; for c = 1 they are `counting`'s.
    """
    from slth.bounds.first_moment import least_values
    from slth.bounds.random_subset_sum import min_trials

    reach, chance = LAWS[law].reach, LAWS[law].chance
    usable = math.ceil(math.log2(reach / eta) * (1 - 1e-9))
    found = {"counting": float(usable if chance == 1 else min_trials(chance, usable, delta))}
    n = 1
    while 2 * (1 - chance / 2) ** n - (1 - chance) ** n > delta:
        n += 1
    found["sign"] = float(n)
    if LAWS[law].factors == 1:
        found["first moment"] = float(least_values(eta, delta))
    return found


def points(rows: list[dict[str, Any]], law: str) -> list[tuple[float, float, Floats]]:
    """(η, δ, the needs of all streams) where verdicts are taken."""
    found = []
    for tier in ("coarse", "fine", "sampled"):
        many = tier == "coarse" and law != "sparse-product"
        deltas = JUDGED if many else JUDGED[:2]
        mine = samples([row for row in rows if row["tier"] == tier], law)
        found += [(eta, delta, needed) for eta, needed in mine.items() for delta in deltas]
    return found


def holds(rows: list[dict[str, Any]], law: str, n: Callable[[float, float], float]) -> Verdict:
    """Whether n(η, δ) values succeed with probability 1 − δ at every point."""
    from slth.stats import frequency_verdict

    parts = {
        f"η = 2^{math.log2(eta):g}, δ = {delta:g}, n = {n(eta, delta):g}": frequency_verdict(
            int((needed <= n(eta, delta)).sum()), needed.size, 1 - delta
        )
        for eta, delta, needed in points(rows, law)
    }
    return everywhere(parts)


def fails(rows: list[dict[str, Any]], law: str, n: Callable[[float, float], float]) -> Verdict:
    """Whether one value fewer than n(η, δ) fails with probability δ at every point."""
    from slth.stats import frequency_verdict

    parts = {}
    for eta, delta, needed in points(rows, law):
        at = f"η = 2^{math.log2(eta):g}, δ = {delta:g}, n = {n(eta, delta):g} − 1"
        found = frequency_verdict(int((needed >= n(eta, delta)).sum()), needed.size, delta)
        parts[at] = replace(found, reason=found.reason.replace("succeeded", "failed"))
    return everywhere(parts)


def everywhere(parts: dict[str, Verdict]) -> Verdict:
    """A claim about several points: supported where all are, refuted by one (Bonferroni)."""
    bad = {k: v for k, v in parts.items() if v.state == State.REFUTED}
    if bad:
        where = min(bad, key=lambda k: bad[k].p_value or 0.0)
        p = min(1.0, len(parts) * (bad[where].p_value or 0.0))
        return Verdict(State.REFUTED, f"{len(bad)} of {len(parts)} points; {where}: "
                       f"{bad[where].reason}", p)  # fmt: skip
    unsure = [k for k, v in parts.items() if v.state != State.SUPPORTED]
    if unsure:
        return Verdict(State.UNDECIDED, f"{unsure[0]}: {parts[unsure[0]].reason}")
    where = max(parts, key=lambda k: parts[k].p_value or 0.0)
    return Verdict(State.SUPPORTED, f"at {len(parts)} points, closest at {where}: "
                   f"{parts[where].reason}", parts[where].p_value)  # fmt: skip


def analyse(rows: list[dict[str, Any]]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    from slth.stats import quantile_with_interval

    verdicts, controls = {}, {}
    theorems, entries = theory(rows), []
    for law, words in WORDS.items():
        drawn = samples(rows, law)

        def ours(e: float, d: float, law: str = law) -> float:
            return theorems[law, e, d][0]

        def half(e: float, d: float, drawn: dict[float, Floats] = drawn) -> float:
            return float(quantile_with_interval(drawn[e], 1 - d).value // 2)

        def triple(e: float, d: float, law: str = law) -> float:
            return 3 * max(lower_bounds(law, e, d).values())

        verdicts[f"the theorem holds: {words}"] = holds(rows, law, ours)
        for name in lower_bounds(law, 0.125, 0.1) if law in LAWS else ():

            def least(e: float, d: float, law: str = law, name: str = name) -> float:
                return lower_bounds(law, e, d)[name]

            verdicts[f"{name} holds: {words}"] = fails(rows, law, least)
        if law in BROKEN:
            controls[f"half of the need suffices: {words}"] = Control(
                "the theorem's n cut to half of the measured need", holds(rows, law, half)
            )
        if law in BROKEN and law in LAWS:
            controls[f"three times the lower bound holds: {words}"] = Control(
                "the largest lower bound times three", fails(rows, law, triple)
            )
        entries += summary(law, table(rows, law), theorems)
    facts = {"trials": TRIALS, "deltas": list(DELTAS), "summary": entries}
    return Findings(verdicts, controls, facts)


def summary(
    law: str, found: dict[str, Floats], theorems: dict[tuple[str, float, float], Any]
) -> list[dict[str, Any]]:
    """One entry a point that was measured and has its theorem's n: need, bounds, ratios."""
    entries = []
    for i, eta in enumerate(found["etas"].tolist()):
        for j, delta in enumerate(DELTAS):
            need, low, high = (float(found[key][i, j]) for key in ("value", "low", "high"))
            if math.isnan(need) or (law, eta, delta) not in theorems:
                continue
            entry = {"law": law, "eta": eta, "delta": delta, "need": need, "low": low, "high": high}
            if law in LAWS:
                least = max(lower_bounds(law, eta, delta).values())
                entry |= {"lower": least, "need_over_lower": need / least}
            ours, former = theorems[law, eta, delta]
            entry |= {"theorem": ours, "former": former, "slack": ours / need}
            entry |= {"slack_low": ours / high, "slack_high": ours / low if low else math.inf}
            entries.append(entry)
    return entries


def write_needs(rows: list[dict[str, Any]], path: Path) -> None:
    """The table that `slth.needs` reads."""
    from slth.files import write_atomically

    data: dict[str, Any] = {"deltas": np.array(DELTAS)}
    trials = {}
    for law in LAWS:
        found = table(rows, law)
        known = ~np.isnan(found["value"][:, 0])
        data |= {f"{law}/{key}": part[known] for key, part in found.items()}
        data[f"{law}/reach"] = np.array(LAWS[law].reach)
        data[f"{law}/chance"] = np.array(LAWS[law].chance)
        trials[law] = np.array([n.size for n in samples(rows, law).values()])[known].tolist()
    note = {
        "command": "python -m sims.slack --needs slth/data/needs.npz",
        "laws": {law: LAWS[law].words for law in LAWS},
        "trials": trials,
        "seed": SEED,
        "interval": "distribution-free, 95 %",
        **provenance(),
    }
    data["provenance"] = np.array(json.dumps(note, ensure_ascii=False))
    with write_atomically(path) as stream:
        np.savez_compressed(stream, **data)


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[dict[str, Any]], out: Path) -> Any:
    """A row a law: n against bits of tolerance, n against bits of confidence, the ratios."""
    from matplotlib.ticker import MultipleLocator

    from slth import plot

    found = analyse_points(rows)
    fig, axes = plot.figure(2, 3, wide=True, height=4.8)
    for line, (law, words) in enumerate(SHOWN.items()):
        left, middle, right = axes[3 * line : 3 * line + 3]
        mine = [e for e in found if e["law"] == law]
        eta = min({e["eta"] for e in mine}, key=lambda e: abs(math.log2(e / AT_ETA)))
        by_eta = sorted((e for e in mine if e["delta"] == AT_DELTA), key=lambda e: -e["eta"])
        by_delta = sorted((e for e in mine if e["eta"] == eta), key=lambda e: -e["delta"])
        for ax, entries, key in ((left, by_eta, "eta"), (middle, by_delta, "delta")):
            x = [-math.log2(e[key]) for e in entries]
            get = {k: [e[k] for e in entries] for k in ("former", "theorem", "lower")}
            plot.curve(ax, x, get["former"], "former theorem (two phases)", series=6)
            plot.curve(ax, x, get["theorem"], "our theorem (dynamic program)", series=1)
            plot.band(
                ax, x, *([e[k] for e in entries] for k in ("low", "need", "high")),
                "measured need, 95 % interval", series=0, bars=True,
            )  # fmt: skip
            plot.curve(ax, x, get["lower"], "best lower bound", series=2)
            ax.set_ylabel("values per weight n [1]")
        x = [-math.log2(e["eta"]) for e in by_eta]
        for name, top, bottom, series in (
            ("former theorem / need", "former", ("high", "need", "low"), 6),
            ("our theorem / need", "theorem", ("high", "need", "low"), 1),
            ("need / lower bound", None, ("low", "need", "high"), 0),
        ):
            ends = [[e[top] / e[k] if top else e[k] / e["lower"] for e in by_eta] for k in bottom]
            plot.band(right, x, *ends, name, series=series, bars=True)
        power = f"$2^{{{math.log2(eta):g}}}$"
        plot.title(left, f"{words}, δ = {AT_DELTA:g}")
        plot.title(middle, f"the same, η = {power}")
        plot.title(right, f"ratios, δ = {AT_DELTA:g}")
        left.set_xlabel("bits of tolerance log2(1/η) [1]")
        middle.set_xlabel("bits of confidence log2(1/δ) [1]")
        right.set(xlabel="bits of tolerance log2(1/η) [1]", ylabel="ratio [1]")
        plot.log_scale(right, "y")
        right.set_ylim(bottom=1)
        for ax in (left, middle):
            if law == "product":
                plot.log_scale(ax, "y")
            else:
                ax.set_ylim(bottom=0)
        for ax in (left, middle, right):
            ax.xaxis.set_major_locator(MultipleLocator(2))
    for ax, where in ((axes[0], "outside upper left"), (axes[2], "outside upper right")):
        handles, labels = ax.get_legend_handles_labels()
        fig.legend(handles, labels, loc=where, ncols=2 if ax is axes[0] else 1, fontsize=7,
                   frameon=False)  # fmt: skip
    plot.save(fig, out / NAME)
    return fig


def analyse_points(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The summary of the laws that the figure shows."""
    theorems = theory(rows)
    return [e for law in SHOWN for e in summary(law, table(rows, law), theorems)]


if __name__ == "__main__":
    run(main)

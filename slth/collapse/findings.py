"""What a collapse diagram says: critical compressions with intervals, and a verdict a claim."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from slth.collapse import Maximal, chance
from slth.collapse.diagram import Row, limits
from slth.stats.verdict import State, Verdict

if TYPE_CHECKING:
    from slth.collapse.critical import Critical

TAIL = 1e-3  # false alarms of the check of random pruning
ENOUGH = 10  # seeds that it wants before it says yes


def exact(claim: str, violations: int, cases: int) -> Verdict:
    """The verdict on a statement that must hold in every case; undecided without cases."""
    if not cases:
        return Verdict(State.UNDECIDED, f"{claim}: no case")
    state = State.REFUTED if violations else State.SUPPORTED
    return Verdict(state, f"{claim}: {violations} violations in {cases} cases")


def summary(found: Sequence[Critical]) -> dict[str, dict[str, float]]:
    """Median, least and greatest log10 critical compression over seeds, by both criteria, and a
    95 % interval of the median, whose ends are infinite where the seeds are too few for one."""
    from slth.stats import quantile_with_interval

    result = {}
    for name in ("by_layers", "by_path"):
        values = [math.log10(getattr(one, name)) for one in found]
        median = quantile_with_interval(values, 0.5)
        result[name] = {
            "median": float(np.median(values)), "least": min(values), "greatest": max(values),
            "low": median.low, "high": median.high, "seeds": len(values),
        }  # fmt: skip
    return result


def reaches(method: str, found: Sequence[Critical], most: Maximal) -> Verdict:
    """Maximal critical compression (the axiom of Tanaka et al. 2020): no collapse short of N/L."""
    short = sum(one.kept_layers > most.layers for one in found)
    base = exact(f"{method} empties no layer before N/L", short, len(found))
    if not found:
        return base
    middle = summary(found)["by_layers"]["median"]
    reason = f"{base.reason}; critical 10^{middle:.2f} of 10^{math.log10(most.by_layers):.2f}"
    return Verdict(base.state, reason)


def places(found: Sequence[Critical], sizes: Sequence[int]) -> list[float]:
    """Where in the law of chance each critical count lies: uniform in [0, 1] for random masks."""
    return [
        sum(chance.no_layer_empty_exactly(sizes, one.kept_layers - i) for i in (0, 1)) / 2
        for one in found
    ]


def uniform(at: Sequence[float]) -> Verdict:
    """Whether places in a law look uniform, by Kolmogorov and Smirnov's exact test.

    Refuted where p < `TAIL`; from fewer than `ENOUGH` places nothing is said in favour.
    """
    from scipy.stats import kstest

    if not at:
        return Verdict(State.UNDECIDED, "not measured")
    p = float(kstest(at, "uniform", method="exact").pvalue)
    alright = State.SUPPORTED if len(at) >= ENOUGH else State.UNDECIDED
    state = State.REFUTED if p < TAIL else alright
    return Verdict(state, f"{len(at)} critical counts against the law: p = {p:.2g}")


def by_chance(found: Sequence[Critical], sizes: Sequence[int]) -> Verdict:
    """Whether first layers are emptied where the hypergeometric law of random masks says."""
    base, total = uniform(places(found, sizes)), sum(sizes)
    if not found:
        return base
    kept = float(np.median([one.kept_layers for one in found]))
    law = math.log10(total / chance.critical_kept(sizes, 0.5))
    reason = f"{base.reason}; median 10^{math.log10(total / kept):.2f}, by the law 10^{law:.2f}"
    return Verdict(base.state, reason)


def no_way_around(points: Sequence[Row], most: Maximal) -> Verdict:
    """Where a path needs every layer, an empty layer leaves none."""
    emptied = [row for row in points if row["empty"]]
    alive = sum(row["path"] for row in emptied)
    if most.path < most.layers:
        reason = (
            f"a path needs {most.path} of {most.layers} layers here; with some layer empty one "
            f"survives in {alive} of {len(emptied)} cases"
        )
        return Verdict(State.SILENT, reason)
    return exact("an empty layer leaves no path", alive, len(emptied))


def verdicts(
    records: Sequence[Row], points: Sequence[Row], sizes: Sequence[int], most: Maximal
) -> dict[str, Verdict]:
    """A verdict a claim, of everything that was measured."""
    methods = list(dict.fromkeys(record["method"] for record in records))
    found = {
        f"{method}: maximal critical compression": reaches(method, limits(records, method), most)
        for method in methods
    }
    if "random" in methods:
        found["random: the law of chance"] = by_chance(limits(records, "random"), sizes)
    found["an empty layer leaves no path"] = no_way_around(points, most)
    return found


def facts(records: Sequence[Row], sizes: Sequence[int], most: Maximal) -> Mapping[str, Any]:
    """The numbers behind the verdicts, JSON-able; compressions as their log10."""
    methods = dict.fromkeys(record["method"] for record in records)
    total = sum(sizes)
    law = {str(q): total / chance.critical_kept(sizes, q) for q in (0.05, 0.5, 0.95)}
    return {
        "weights": most.weights,
        "layers": most.layers,
        "path": most.path,
        "log10_maximal": math.log10(most.by_layers),
        "log10_maximal_by_path": math.log10(most.by_path) if most.path else math.inf,
        "log10_random_by_law": {q: math.log10(value) for q, value in law.items()},
        "log10_critical": {m: summary(found) for m in methods if (found := limits(records, m))},
    }

"""What the rows of the experiment say: verdicts, controls, and the numbers behind them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims._pensia import (
    DEALT,
    FIRST_HIT,
    HEADLINE,
    MARGIN,
    NEEDED,
    PUBLISHED,
    RANDOM,
    SHARED,
    TICKET,
    TOLERANCE,
    UNIFORM,
    N,
)  # fmt: skip
from sims._protocol import Control, Findings, exact
from slth.stats.verdict import State, Verdict


def of(rows: list[dict[str, Any]], part: str, n: int | None = None) -> list[dict[str, Any]]:
    return [r for r in rows if r["part"] == part and (n is None or r["n"] == n)]


def as_accurate(rows: list[dict[str, Any]]) -> Verdict:
    """Whether every network is as accurate as its target, within the margin."""
    drops = [r["target_accuracy"] - r["accuracy"] for r in rows]
    if not rows:
        return Verdict(State.UNDECIDED, "not measured")
    found = exact(f"|accuracy − target's| ≤ {MARGIN}", sum(abs(d) > MARGIN for d in drops),
                  len(rows))  # fmt: skip
    spread = (
        f"accuracy {min(r['accuracy'] for r in rows):.3f} to "
        f"{max(r['accuracy'] for r in rows):.3f}, target {rows[0]['target_accuracy']:.3f}"
    )
    return Verdict(found.state, f"{found.reason}; {spread}")


def within(rows: list[dict[str, Any]]) -> Verdict:
    """Whether every weight of every network is met, and how many rows lost those that are not."""
    missed, weights = (sum(r[key] for r in rows) for key in ("rows_missed", "weights"))
    found = exact("error ≤ 0.01", weights - sum(r["solved"] for r in rows), weights)
    where = f", all in {missed} rows, whose weights share their values" if missed else ""
    return Verdict(found.state, found.reason + where)


def between(successes: int, trials: int, low: float, high: float) -> Verdict:
    """Whether a frequency lies between two numbers: the weaker of two one-sided verdicts."""
    from slth.stats import frequency_verdict

    sides = (
        frequency_verdict(successes, trials, low),
        frequency_verdict(trials - successes, trials, 1 - high),
    )
    order = (State.REFUTED, State.UNDECIDED, State.SUPPORTED)
    worst = min(sides, key=lambda v: (order.index(v.state), -(v.p_value or 0.0)))
    reason = f"{successes / trials:.4f} of {trials} against {low:g} … {high:g}"
    return Verdict(worst.state, reason, worst.p_value, worst.evidence)


def analyse(rows: list[dict[str, Any]], measured: dict[str, Any] | None = None) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    from slth.stats import frequency_verdict, quantile_with_interval

    shared, ticket = of(rows, SHARED), of(rows, TICKET)
    wide = [r for r in ticket if r["n"] >= HEADLINE]
    needed = [np.inf if r["needed"] is None else r["needed"] for r in of(rows, NEEDED)]
    uniform, certified = of(rows, UNIFORM), [r for r in ticket if r["certified"]]
    published = PUBLISHED["kept"] / PUBLISHED["parameters"]
    ratio = [r["kept"] / r["parameters"] for r in shared]

    def sources(good: list[bool]) -> Verdict:
        return frequency_verdict(sum(good), len(good), 0.5)

    verdicts = {
        "(a) every weight within 0.01": within(shared),
        "(a) the replaced network is as accurate as its target": as_accurate(shared),
        "(a) keeps what the published run kept": Verdict(
            State.REFUTED if max(abs(k - published) for k in ratio) > 0.05 else State.SUPPORTED,
            f"kept ratio {min(ratio):.3f} to {max(ratio):.3f}; published {published:.3f}",
        ),
        "(a) Pensia (2020), theorem 1": Verdict(
            State.SILENT,
            "values drawn from the target's range after it was seen, shared by a row's weights, "
            "single uniforms; no wide network and no mask",
        ),
        "(b) 21 products are too few: most sources leave some weight without": sources(
            [k > N for k in needed]
        ),
        "(b) 5 to 20 % of halves have no subset at n = 21, weights uniform": between(
            sum(r["unsolved"] for r in uniform), sum(r["halves"] for r in uniform), 0.05, 0.20
        ),
        "(b) 64 products suffice: most sources have a subset for every weight": sources(
            [k <= 64 for k in needed]
        ),
        "(b) the ticket is as accurate as its target from n = 44 on": as_accurate(wide),
        "(b) so it is by first hits within 0.01, n = 64": as_accurate(of(rows, FIRST_HIT)),
        "(b) the attack never beats the certificate": exact(
            "lower ≤ upper", sum(r["lower"] > r["upper"] for r in certified), len(certified)
        ),
        "(b) Pensia (2020), theorem 1": Verdict(State.SILENT, " ".join(ticket[0]["failed"]))
        if ticket[0]["failed"]
        else Verdict(State.UNDECIDED, "its hypotheses hold; five sources settle no probability"),
    }
    controls = {
        "random values": Control(
            "(a) keeps as many values, chosen at random", as_accurate(of(rows, RANDOM))
        ),
        "lists dealt to other outputs": Control(
            "(b) with the lists of kept neurons of every block dealt to other outputs",
            as_accurate(of(rows, DEALT)),
        ),
        "21 products held to suffice": Control(
            "the n of (a), which is for single uniforms, taken for products",
            sources([k <= N for k in needed]),
        ),
    }
    median = quantile_with_interval(needed, 0.5)
    facts = {
        "published": {**PUBLISHED, "core_seconds": PUBLISHED["seconds"] * PUBLISHED["cores"]},
        "times": measured or {},
        "smallest_n": {
            "tolerance": TOLERANCE, "median": median.value, "low": median.low,
            "high": median.high, "sources": median.samples, "all": sorted(needed),
        },
        "unsolved_at_21": spread_of(of(rows, NEEDED), "unsolved_at_21"),
        "unsolved_of_all_at_21": spread_of(of(rows, NEEDED), "unsolved_of_all_at_21"),
        "summary": summary(rows),
    }  # fmt: skip
    return Findings(verdicts, controls, facts)


def spread_of(rows: list[dict[str, Any]], key: str) -> dict[str, float]:
    """Least, median and greatest over the rows that measured it."""
    values = [r[key] for r in rows if r.get(key) is not None]
    if not values:
        return {}
    return {"min": min(values), "median": float(np.median(values)), "max": max(values)}


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a part and width: least, median and greatest over seeds of everything measured."""
    keys = (
        "accuracy", "agreement", "solved", "worst_weight", "typical_weight", "kept",
        "kept_of_products", "parameters", "upper", "lower", "core_seconds",
    )  # fmt: skip
    result = []
    for part in (SHARED, RANDOM, TICKET, FIRST_HIT, DEALT):
        for n in sorted({r["n"] for r in of(rows, part)}):
            here = of(rows, part, n)
            result.append(
                {"part": part, "n": n, "seeds": len(here), **{k: spread_of(here, k) for k in keys}}
            )
    return result


def markdown(result: dict[str, Any]) -> str:
    """The table that the README shows: the published run, (a) and (b), medians over the sources."""
    published = result["published"]
    columns = {
        "published": None, "(a)": (SHARED, N), "(b) n = 21": (TICKET, N),
        "(b) n = 44": (TICKET, HEADLINE), "(b) n = 64": (TICKET, 64),
        "(b) n = 64, first hits": (FIRST_HIT, 64),
    }  # fmt: skip
    given = {"parameters": published["parameters"], "kept": published["kept"],
             "solved": published["weights"],
             "core_seconds": published["core_seconds"]}  # fmt: skip
    lines = {
        "random weights": ("parameters", "{:,.0f}"), "kept": ("kept", "{:,.0f}"),
        "weights within 0.01": ("solved", "{:,.0f}"), "accuracy": ("accuracy", "{:.1%}"),
        "decisions as the target's": ("agreement", "{:.1%}"),
        "error over the unit ball, certified": ("upper", "{:.2g}"),
        "core-seconds": ("core_seconds", "{:,.3g}"),
    }  # fmt: skip
    found = {(r["part"], r["n"]): r for r in result["summary"]}

    def shown(column: Any, key: str, form: str) -> str:
        value = given.get(key) if column is None else found[column].get(key, {}).get("median")
        if value is None:
            return "–"
        return f"{value:,.0f}" if value >= 1000 else form.format(value)

    rows = [["", *columns], ["---"] * (1 + len(columns))]
    rows += [[name, *(shown(c, *line) for c in columns.values())] for name, line in lines.items()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)

"""Synaptic flow is conserved, and what follows: the theorems of Tanaka et al. (2020) measured.

Protocol, fixed before measuring:
- Conservation (their Theorems 1 and 2): the untrained architectures in float64, Gaussian inputs,
  random labels, R the cross entropy and a random linear function. At every hidden neuron of a chain
  and over every exact cut (a block's layer with the shortcut beside it), within the bound on
  rounding that slth.conservation derives. Controls: tanh, biases, batch statistics.
- Theorem 3: small random perceptrons pruned one weight at a time by the least synaptic flow, scored
  anew, keep a weight in every layer down to one a layer; also with weights that are 0, as long as
  some flow is left (derived in the proofs). Controls: one hypothesis taken away at a time. Two that
  may go unpunished (two weights at a time; scores of either sign) are counted, not claimed: the
  hypotheses suffice, they are not necessary.
- The inverse law: slope of ln(mean score) against ln(1/size) over layers, within 1e-6 of 1 for
  synaptic flow, on a perceptron (M5k digits, 10 a class) and VGG-19 (20 Gaussian images). Controls:
  random scores, magnitude, SNIP. GraSP is measured beside them: its scores are no function of the
  outputs' slopes, and off by the difference of squared gradients at each neuron (derived in tests).
- Magnitudes under training (proofs/balanced_layers): in each step the difference D of two layers'
  Σ w² becomes (1 − ηλ)² D + η² G to rounding (1e-12 of the largest Σ w²), so that over a fixed
  time the drift falls in proportion to the rate: slope of ln(drift) over the four smallest rates in
  [0.8, 1.2], by resampling seeds; with momentum too. With weight decay, D falls by e^(−2λT) within
  2 %. Controls: tanh, Adam.
- Training adds as much to every layer's Σ w²: the additions' range below half of their mean, where
  tanh (control) exceeds it; slopes of mean w² rise in more than half of all seeds.
- Iterative magnitude pruning, rewinding to the start, reaches a larger compression without an empty
  layer than magnitudes at the start do, in more than half of all seeds. Control: the same rounds
  without training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import numpy as np

from sims import _conservation_figure, _descent, _flow, _theorem3
from sims._claims._judging import between, weights
from sims._flow import method_rows, of
from sims._protocol import Control, Findings, Options, exact, finish, options, provenance, run
from slth.stats.verdict import Verdict

NAME = "conservation"
FIRST_SEED = 600
SMALL = ("mlp:784,300,100,10", "lenet5")
WIDEST = 8  # of the perceptrons of Theorem 3
EXACT, ROUNDING = 1e-6, 1e-12
RATES = tuple(2.0**-k for k in range(3, 9))


# -- cells -----------------------------------------------------------------------------------------


def cell(
    part: str, what: str, how: str | None, seed: int, smoke: bool, device: str = "cpu"
) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    if part == "conserved":
        return _flow.conserved(what, how, seed, device)
    if part == "theorem 3":
        return _theorem3.reached(what, seed, 4 if smoke else WIDEST, device)
    if part == "inverse law":
        return _flow.layers_of(what, str(how), seed, device)
    if part == "drift":
        rates = RATES[:2] if smoke else RATES
        found = [_descent.drift(what, rate, seed, device) for rate in rates]
        return {"rates": rates, "found": found}
    return _descent.trained(what, seed, smoke, device)


def cells(smoke: bool, device: str = "cpu") -> list[dict[str, Any]]:
    def seeds(count: int, few: int = 1) -> range:
        return range(FIRST_SEED, FIRST_SEED + (few if smoke else count))

    plan: list[tuple[str, str, str | None, int]] = []
    for name in SMALL if smoke else _flow.ARCHITECTURES:
        ways = [None, "tanh", "biases"] + (["batch"] if name[0] in "vr" else [])
        plan += [("conserved", name, how, s) for how in ways for s in seeds(5)]
    for architecture in _flow.LAW[: 1 if smoke else 2]:
        plan += [("inverse law", architecture, m, s) for m in _flow.METHODS for s in seeds(5)]
    plan += [("drift", rule, None, s) for rule in _descent.RULES for s in seeds(10)]
    plan += [("training", init, None, s) for init in _descent.INITS for s in seeds(12, 4)]
    rules = (_theorem3.WHOLE, _theorem3.LOCAL) if smoke else _theorem3.RULES
    plan += [("theorem 3", rule, None, s) for rule in rules for s in seeds(40, 8)]
    # tables stored from the CPU name no device: a cell there stays what it was
    place = {} if device == "cpu" else {"device": device}
    return [
        {"part": part, "what": what, "how": how, "seed": seed, "smoke": smoke, **place}
        for part, what, how, seed in plan
    ]


def cost(params: dict[str, Any]) -> float:
    return {"training": 20.0, "drift": 5.0, "inverse law": 3.0, "conserved": 2.0}.get(
        params["part"], 0.2
    )


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@click.option("--device", default="cpu", show_default=True, help="Torch's name: cpu, cuda.")
@options(NAME)
def main(device: str, **rest: Any) -> None:
    from slth.collapse.diagram import Setting
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    if device != "cpu":  # asking takes torch, seconds that a run on the CPU need not wait
        Setting(SMALL[0], device=device).check()
    grid = cells(opts.smoke, device)
    sweep = Sweep(NAME, f"sims.{NAME}:cell", grid, opts.out / f"{NAME}.sqlite", cost=cost)
    workers = 1 if device.startswith("cuda") and opts.workers is None else opts.workers
    records = run_sweep(sweep, workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    found = analyse(rows)
    _conservation_figure.figure(rows, opts.out)
    finish(NAME, opts, found)


# -- what the data say -----------------------------------------------------------------------------


def within(rows: list[dict[str, Any]]) -> Verdict:
    """Whether every gap is a rounding error."""
    found = exact("gap ≤ its rounding", sum(r["gap"] > r["bound"] for r in rows), len(rows))
    worst = max(r["gap"] for r in rows)
    return Verdict(found.state, f"{found.reason}; worst gap {worst:.1e} of Σ|score|")


def last(rows: list[dict[str, Any]]) -> Verdict:
    """Whether every network got to one weight a layer with no layer empty before."""
    early = [r["reached"] for r in rows if r["reached"] < 1]
    found = exact("a weight in every layer down to N/L", len(early), len(rows))
    least = f"; least {min(early):.3f} N/L" if early else ""
    return Verdict(found.state, found.reason + least)


def inverse(rows: list[dict[str, Any]]) -> Verdict:
    slopes = [r["slope"] for r in rows]
    found = exact(f"|slope − 1| ≤ {EXACT:g}", sum(abs(s - 1) > EXACT for s in slopes), len(slopes))
    return Verdict(found.state, f"{found.reason}; {min(slopes):.6g} to {max(slopes):.6g}")


def one_step(rows: list[dict[str, Any]]) -> Verdict:
    """Whether each step moved D as derived, at every rate."""
    off = [f["off"] for r in rows for f in r["found"]]
    found = exact(f"off by at most {ROUNDING:g}", sum(o > ROUNDING for o in off), len(off))
    return Verdict(found.state, f"{found.reason}; worst {max(off):.1e} of Σ w²")


def drift_slopes(rows: list[dict[str, Any]]) -> list[float]:
    """Of ln(drift) against ln(rate) over the four smallest rates, a seed each."""
    return [-_descent.slope(r["rates"][-4:], [f["drift"] for f in r["found"][-4:]]) for r in rows]


def proportional(rows: list[dict[str, Any]]) -> Verdict:
    slopes = np.array(drift_slopes(rows))
    draws = weights(len(slopes), np.random.default_rng(0)) @ slopes
    return between(slopes.mean(), draws, 0.8, 1.2, "slope of ln(drift)")


def decayed(rows: list[dict[str, Any]], decay: float) -> Verdict:
    """Whether the layers came together as fast as derived, at the smallest rate."""
    wanted = np.exp(-2 * decay * _descent.TIME)
    ratios = [r["found"][-1]["ratio"] for r in rows]
    bad = sum(abs(ratio / wanted - 1) > 0.02 for ratio in ratios)
    found = exact(f"within 2 % of e^(−2λT) = {wanted:.3f}", bad, len(ratios))
    return Verdict(found.state, f"{found.reason}; {min(ratios):.3f} to {max(ratios):.3f}")


def alike(rows: list[dict[str, Any]], after: str) -> Verdict:
    """Whether training added as much to every layer's Σ w², within half of the mean."""
    spread = []
    for row in rows:
        end = row["squares"][1] if after == "relu" else row["squares_tanh"]
        added = np.array(end) - row["squares"][0]
        spread.append(np.ptp(added) / added.mean())
    found = exact("range below half of the mean", sum(s >= 0.5 for s in spread), len(spread))
    return Verdict(found.state, f"{found.reason}; {min(spread):.2f} to {max(spread):.2f}")


def more_than_half(good: Sequence[bool]) -> Verdict:
    from slth.stats import frequency_verdict

    return frequency_verdict(sum(map(bool, good)), len(good), 0.5)


def analyse(rows: list[dict[str, Any]]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    flows = of(rows, "conserved")
    trained = of(rows, "training")
    rules = [r for r in _theorem3.RULES if of(rows, "theorem 3", r)]
    drifts = {rule: of(rows, "drift", rule) for rule in _descent.RULES}
    verdicts = {
        f"conserved: {name}": within([r for r in of(flows, "conserved", name) if not r["how"]])
        for name in _flow.ARCHITECTURES
        if of(flows, "conserved", name)
    }
    verdicts |= {
        f"theorem 3, {rule}": last(of(rows, "theorem 3", rule))
        for rule in (_theorem3.WHOLE, _theorem3.ZEROS)
        if rule in rules
    }
    verdicts |= {
        f"inverse law: {name}": inverse(method_rows(rows, name, "synflow"))
        for name in _flow.LAW
        if method_rows(rows, name, "synflow")
    }
    verdicts |= {
        "each step moves D by η² G": one_step(drifts["descent"]),
        "with weight decay, to (1 − ηλ)² D + η² G": one_step(drifts["weight decay"]),
        "the drift falls with the rate": proportional(drifts["descent"]),
        "so it does with momentum": proportional(drifts["momentum"]),
        "weight decay brings layers together": decayed(drifts["weight decay"], _descent.DECAY),
        "training adds as much to every layer's Σ w²": alike(trained, "relu"),
        "training steepens mean w² against 1/size": more_than_half(
            [np.diff(_descent.mean_squares(r))[0] > 0 for r in trained]
        ),
        "iterated, magnitude prunes further than at once": more_than_half(
            [r["iterated"] > r["once"] for r in trained]
        ),
    }
    return Findings(verdicts, controls(rows, flows, rules, drifts, trained), facts(rows, rules))


def controls(
    rows: list[dict[str, Any]],
    flows: list[dict[str, Any]],
    rules: list[str],
    drifts: dict[str, list[dict[str, Any]]],
    trained: list[dict[str, Any]],
) -> dict[str, Control]:
    found = {
        f"conserved, {how}": Control(says, within([r for r in flows if r["how"] == how]))
        for how, says in _flow.BROKEN.items()
        if any(r["how"] == how for r in flows)
    }
    found |= {
        f"theorem 3, {rule}": Control(
            _theorem3.RULES[rule].broken, last(of(rows, "theorem 3", rule))
        )
        for rule in rules
        if rule not in (_theorem3.WHOLE, _theorem3.ZEROS, *_theorem3.UNPUNISHED)
    }
    for method in ("random", "magnitude", "snip"):
        scored = [r for name in _flow.LAW for r in method_rows(rows, name, method)]
        found[f"inverse law, {method}"] = Control(f"scores of {method}", inverse(scored))
    return found | {
        "steps, tanh": Control("tanh for ReLU", one_step(drifts["tanh"])),
        "drift, tanh": Control("tanh for ReLU", proportional(drifts["tanh"])),
        "drift, Adam": Control("steps scaled weight by weight", proportional(drifts["adam"])),
        "weight decay, none": Control("no decay", decayed(drifts["descent"], _descent.DECAY)),
        "Σ w², tanh": Control("tanh for ReLU", alike(trained, "tanh")),
        "iterated, untrained": Control(
            "rounds without training", more_than_half([r["untrained"] > r["once"] for r in trained])
        ),
    }


def facts(rows: list[dict[str, Any]], rules: list[str]) -> dict[str, Any]:
    from slth.stats import clopper_pearson

    collapsed = {}
    for rule in rules:
        values = [r["reached"] for r in of(rows, "theorem 3", rule)]
        early = sum(v < 1 for v in values)
        ends = [float(end) for end in clopper_pearson(early, len(values))]
        collapsed[rule] = {"early": early, "networks": len(values), "share": ends,
                           "median": float(np.median(values)), "least": min(values)}  # fmt: skip
    law = {
        name: {m: ranges(method_rows(rows, name, m), "slope", "correlation") for m in _flow.METHODS}
        for name in _flow.LAW
        if of(rows, "inverse law", name)
    }
    trained = {}
    for init in _descent.INITS:
        mine = of(rows, "training", init)
        slopes = np.mean([_descent.mean_squares(r) for r in mine], axis=0).tolist()
        kinds = ("once", "once_after", "iterated", "untrained", "accuracy")
        trained[init] = {**ranges(mine, *kinds), "slopes": slopes}
    drift = {}
    for rule in _descent.RULES:
        found = drift_slopes(of(rows, "drift", rule))
        drift[rule] = [min(found), float(np.mean(found)), max(found)]
    place = rows[0].get("device", "the CPU")
    engine = {**provenance(), "engine": f"torch on {place}, float64"}
    return {
        "provenance": engine,
        "published": _flow.PUBLISHED,
        "theorem_3": collapsed,
        "inverse_law": law,
        "drift_slopes": drift,
        "training": trained,
    }


def ranges(rows: list[dict[str, Any]], *keys: str) -> dict[str, list[float]]:
    """Least, median and greatest over seeds."""
    return {key: np.quantile([r[key] for r in rows], [0, 0.5, 1]).tolist() for key in keys}


if __name__ == "__main__":
    run(main)

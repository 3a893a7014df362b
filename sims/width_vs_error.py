"""Error against width: tickets of Malach et al. (2020) and Pensia et al. (2020) for real digits.

The target is a network trained on handwritten digits inside every theorem's hypotheses. For each
width n (neurons drawn a half and input) and seed, a ticket is built in a random source, and the
sup over the unit ball of its Euclidean error is certified from above and attacked from below.
Sources are nested in n, so a seed is one paired curve and the unit of every interval.

Protocol, fixed before measuring:
- 20 seeds, none of them looked at while this protocol was drawn up; errors relative
  to sup ||f||, estimated by attack (a lower bound, so never flattering).
- Pensia's fit starts at the first n where three pilot seeds (not among the 20) have a median
  certified error under sup||f||/10 and ends where they get under 1e-12 or the grid ends. Malach's,
  which hardly gets there, takes its whole grid. Gadgets are fitted over the widths up to 40:
  beyond, the optimum is sought among 22 usable values only.
- ln e = a − b (n^γ − 1)/γ; "logarithmic" needs γ's interval above 0.3, "polynomial" within ±0.3,
  and both a last third predicted from the first two; where the family does not fit: "neither".
- The fit of network errors includes widths at which most gadgets look at 22 usable values only;
  the worst tenth, which rules these errors, looks at up to 38.
- Three outcomes: certified and attacked error of the network, and the median error of the first
  layer's gadgets, which is free of the unluckiest block that rules a network's error.
- Claims: Pensia's error falls faster than any power of the width, Malach's like a power; attack
  never beats certificate or claim.
- Controls, which must be refuted: a known power law called logarithmic, a known exponential called
  polynomial, a shuffled mask of the same density held to the ticket's bound, half of each
  certificate held to be one.
- The counting curve is a statement about sources that hold *every* matrix of norm at most 1 in
  their first layer pair within ε; it bounds no single ticket, and is drawn for comparison.
- A target outside the hypotheses gets tickets and certificates too; the theorem's verdict on it is
  silent and says why.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sims._protocol import Control, Findings, Options, exact, finish, options, run
from slth.stats.verdict import State, Verdict

Floats = NDArray[np.float64]
NAME = "width_vs_error"
SEEDS = 20
FIRST_SEED = 100
PILOT = (1000, 1001, 1002)
# of a certificate: on digits 0.3 s each, a few percent above what 0.7 s would give
EFFORT = {"mnist5k": 0.1}
USUAL_EFFORT = 0.35
DELTA = 0.1  # failure probability at which theory's curves are drawn
GRIDS = {
    "digits": {
        "pensia": [16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64],
        "malach": [316, 562, 1000, 1778, 3162, 5623],
        "malach-product": [56, 100, 178, 316, 562, 1000],
    },
    "mnist5k": {
        "pensia": [24, 28, 32, 36, 40, 44, 48],
        "malach": [100, 178, 316, 562, 1000, 1778],
        "malach-product": [56, 100, 178, 316, 562, 1000],
    },
}
SMOKE = {"pensia": [16, 40], "malach": [100], "malach-product": [100]}
OUTSIDE = [40, 56]  # widths of the second row, the target outside the hypotheses
TITLES = {
    "pensia": "subset sum (Pensia 2020)",
    "malach": "one neuron (Malach 2020)",
    "malach-product": "one neuron, product matched",
}


COUNTING = "counting bound: every first layer within ε"
OUTCOMES = {"gadget's median": "typical_weight", "certified": "upper", "attacked": "lower"}


# -- one cell --------------------------------------------------------------------------------------


@cache
def target_of(name: str) -> Any:
    from slth import models
    from slth.nets import mnist, training

    if name == "mnist5k":  # ReLU is homogeneous: rescaled into the theorems' class, f stays itself
        return training.rescaled(mnist.train_m5k(0))
    return models.read(name)


def construction(kind: str) -> Any:
    from slth.construct.malach import Malach
    from slth.construct.pensia import Pensia

    return {
        "pensia": Pensia(),
        "malach": Malach(),
        "malach-product": Malach(match="product"),
    }[kind]


def cell(target: str, kind: str, n: int, seed: int, shuffled: bool = False) -> dict[str, Any]:
    """Build a ticket, certify and attack it; `shuffled`: attack a random mask of its density."""
    from slth.certify import certify
    from slth.domain import Ball
    from slth.effective import weight_errors
    from slth.verify import verify

    f = target_of(target)
    make = construction(kind)
    ticket = make.build(f, make.source_for(f, seed, n))
    domain = Ball(1.0, f.dims[0])
    if shuffled:
        loose = shuffle(ticket, seed)
        found = certify(f, loose.effective, domain, effort=0)
        return {"lower": found.lower, "claim": ticket.claim.error_bound}
    found = certify(f, ticket.effective, domain, effort=EFFORT.get(target, USUAL_EFFORT))
    if seed in (*PILOT, FIRST_SEED) and not verify(ticket, f).ok:
        raise AssertionError(f"{kind} n={n} seed={seed}: the ticket's claim is false")
    return {
        "lower": found.lower,
        "upper": min(found.upper, ticket.claim.error_bound),
        "claim": ticket.claim.error_bound,
        "worst_weight": max(ticket.claim.achieved),
        "typical_weight": float(np.median(weight_errors(ticket.effective, f)[0])),
        "kept": ticket.kept_in + ticket.kept_out,
        "parameters": ticket.source.parameters,
        "hidden": [ticket.source.hidden(i) for i in range(ticket.source.pairs)],
        "failed": list(ticket.claim.failed),
    }


def shuffle(ticket: Any, seed: int) -> Any:
    """The ticket with every gadget's kept neurons replaced by as many random ones of its half."""
    from dataclasses import replace

    from slth.ticket import Kept

    rng = np.random.default_rng(seed)
    kept = []
    for layer, pair in enumerate(ticket.kept):
        halves = []
        for half, old in enumerate(pair):
            u = ticket.source.in_weights(layer, half)
            counts = np.diff(old.indptr)
            lists = []
            for g, count in enumerate(counts.tolist()):
                usable = np.flatnonzero((u[g // ticket.source.outputs(layer)] > 0) == (half == 0))
                lists.append(np.sort(rng.choice(usable, count, replace=False)))
            halves.append(Kept(old.indptr, np.concatenate(lists)))
        kept.append(tuple(halves))
    return replace(ticket, kept=tuple(kept))


def warm() -> None:
    """Compile every kernel once, so that workers find them in the cache."""
    for kind in TITLES:
        cell("digits", kind, 24, 0)


def cost(cell: dict[str, Any]) -> float:
    """Seconds on one core, roughly: for the time left and for running long cells first."""
    per_draw = {"pensia": 1.2e-2, "malach": 4e-5, "malach-product": 5e-4}[cell["kind"]]
    return (0.15 + per_draw * cell["n"]) * (20 if cell["target"] == "mnist5k" else 1)


# -- the sweep ------------------------------------------------------------------------------------


def cells(target: str, seeds: int, smoke: bool) -> list[dict[str, Any]]:
    grid = SMOKE if smoke else GRIDS[target]
    pilot = PILOT[:1] if smoke else PILOT
    span = range(FIRST_SEED, FIRST_SEED + seeds)
    rows = [
        {"target": target, "kind": kind, "n": n, "seed": seed, "shuffled": False}
        for kind, widths in grid.items()
        for n in widths
        for seed in (*(pilot if kind == "pensia" else ()), *span)
    ]
    rows += [
        {
            "target": target,
            "kind": "pensia",
            "n": grid["pensia"][-1],
            "seed": seed,
            "shuffled": True,
        }
        for seed in span[:5]
    ]
    if target == "digits":
        rows += [
            {"target": "digits-untouched", "kind": "pensia", "n": n, "seed": s, "shuffled": False}
            for n in (OUTSIDE[:1] if smoke else OUTSIDE)
            for s in span[:5]
        ]
    return rows


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@click.option(
    "--target",
    type=click.Choice(list(GRIDS)),
    default="digits",
    show_default=True,
    help="The network to approximate; mnist5k (784-500-10) takes an hour on two cores.",
)
@click.option(
    "--seeds", type=click.IntRange(1), default=SEEDS, show_default=True, help="Sources a width."
)
@options(NAME)
def main(target: str, seeds: int, **rest: Any) -> None:
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    seeds = 2 if opts.smoke else seeds
    sweep = Sweep(
        NAME, f"sims.{NAME}:cell", cells(target, seeds, opts.smoke), opts.out / f"{NAME}.sqlite",
        warm=f"sims.{NAME}:warm", cost=cost,
    )  # fmt: skip
    records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    found = analyse(rows, target, seeds)
    figure(rows, target, found, opts.out)
    finish(NAME, opts, found)


# -- what the data say ----------------------------------------------------------------------------


def table(
    rows: list[dict[str, Any]], target: str, kind: str, key: str
) -> tuple[Floats, Floats, Floats]:
    """(n `[K]`, pilot `[3, K]`, errors `[seeds, K]`) of one series."""
    mine = [r for r in rows if r["target"] == target and r["kind"] == kind and not r["shuffled"]]
    n = sorted({r["n"] for r in mine})
    value = {(r["seed"], r["n"]): r[key] for r in mine}
    seeds = sorted({r["seed"] for r in mine if r["seed"] not in PILOT})
    pilot = sorted({r["seed"] for r in mine if r["seed"] in PILOT})
    return (
        np.array(n, dtype=np.float64),
        np.array([[value[s, k] for k in n] for s in pilot]),
        np.array([[value[s, k] for k in n] for s in seeds]),
    )


def stretch(n: Floats, pilot: Floats, norm: float) -> slice:
    """The fitting range of network errors: by the pilot seeds where there are any."""
    from slth.stats.curves import fitting_range

    return fitting_range(n, pilot, norm) if len(pilot) else slice(0, n.size)


def gadget_stretch(n: Floats, kind: str) -> slice:
    """The fitting range of single gadgets, for which the optimum is exact."""
    return slice(0, int((n <= 40).sum())) if kind == "pensia" else slice(0, n.size)


def analyse(rows: list[dict[str, Any]], target: str, seeds: int) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    from slth.stats.lawfit import law_fit, law_verdict

    f = target_of(target)
    norm, norm_upper = size(f)
    verdicts: dict[str, Verdict] = {}
    fits: dict[str, Any] = {}
    wants = {"pensia": "logarithmic", "malach": "polynomial", "malach-product": "polynomial"}
    for kind, law in wants.items():
        n, pilot, _ = table(rows, target, kind, "upper")
        whole = stretch(n, pilot, norm)
        for outcome, key in OUTCOMES.items():
            name = f"{TITLES[kind]}: {outcome} error, {law} width"
            part = gadget_stretch(n, kind) if key == "typical_weight" else whole
            if part.stop - part.start < 4 or seeds < 2:
                verdicts[name] = Verdict(State.UNDECIDED, "too few widths or seeds to fit a law")
                continue
            errors = table(rows, target, kind, key)[2][:, part]
            fit = law_fit(n[part], errors, rng=7)
            says = law_verdict(fit)
            verdicts[name] = says.logarithmic if law == "logarithmic" else says.polynomial
            fits[f"{kind}/{outcome}"] = {
                "law": says.law, "gamma": fit.gamma, "interval": [fit.low, fit.high],
                "from": n[part][0], "to": n[part][-1], "intercept": fit.intercept,
                "slope": fit.slope, "scale": fit.scale, "reason": says.reason,
            }  # fmt: skip
    measured = [r for r in rows if not r["shuffled"]]
    verdicts["the attack never beats the certificate"] = exact(
        "lower ≤ upper", sum(r["lower"] > r["upper"] for r in measured), len(measured)
    )
    verdicts["the attack never beats the ticket's own claim"] = exact(
        "lower ≤ claim", sum(r["lower"] > r["claim"] for r in measured), len(measured)
    )
    outside = [r for r in rows if r["target"] == "digits-untouched"]
    if outside:
        verdicts["Pensia (2020) on the target outside its hypotheses"] = Verdict(
            State.SILENT,
            f"{len(outside)} tickets built and certified, but: {' '.join(outside[0]['failed'])}",
        )
    facts = {
        "target": {"name": target, "fingerprint": f.fingerprint, "dims": list(f.dims)},
        "sup_norm": {"attacked": norm, "certified": norm_upper},
        "seeds": seeds, "pilot": list(PILOT), "delta": DELTA, "fits": fits,
        "tightness": tightness(measured), "summary": summary(rows, target, norm),
    }  # fmt: skip
    return Findings(verdicts, controls(rows, target, measured), facts)


def controls(
    rows: list[dict[str, Any]], target: str, measured: list[dict[str, Any]]
) -> dict[str, Control]:
    from slth.stats.curves import synthetic
    from slth.stats.lawfit import law_fit, law_verdict

    n, fall, scatter = shape(rows, target)
    rates = {"power": fall / np.log(n[-1] / n[0]), "exponential": fall / (n[-1] - n[0])}
    known = {
        law: law_verdict(law_fit(n, synthetic(law, n, SEEDS, 1, rate, scatter), rng=2))
        for law, rate in rates.items()
    }
    shuffled = [r for r in rows if r["shuffled"]]
    half = [r for r in measured if r["target"] == target]
    return {
        "a power law called logarithmic": Control(
            "a power law with the measured fall and scatter", known["power"].logarithmic
        ),
        "an exponential called polynomial": Control(
            "an exponential with the measured fall and scatter", known["exponential"].polynomial
        ),
        "a shuffled mask held to the ticket's bound": Control(
            "kept neurons replaced by random ones, same density",
            exact("attack ≤ claim", sum(r["lower"] > r["claim"] for r in shuffled), len(shuffled)),
        ),
        "half a certificate": Control(
            "every certified bound divided by two",
            exact("attack ≤ bound/2", sum(r["lower"] > r["upper"] / 2 for r in half), len(half)),
        ),
    }


def shape(rows: list[dict[str, Any]], target: str) -> tuple[Floats, float, float]:
    """What the synthetic controls imitate of Pensia's gadgets: (n `[K]`, fall of ln e over them,
    scatter of ln e between seeds in units of ln Exp(1)'s standard deviation)."""
    n, _, errors = table(rows, target, "pensia", "typical_weight")
    part = gadget_stretch(n, "pensia")
    if part.stop - part.start < 6 or len(errors) < 2:
        return np.array(GRIDS["digits"]["pensia"][1:7], dtype=np.float64), 8.0, 0.05
    logs = np.log(errors[:, part])
    fall = logs.mean(axis=0)[0] - logs.mean(axis=0)[-1]
    return n[part], float(fall), float(logs.std(axis=0, ddof=1).mean() / (np.pi / np.sqrt(6)))


@cache
def size(f: Any) -> tuple[float, float]:
    """sup ||f|| over the unit ball, attacked and certified: the distance to an empty ticket."""
    from slth.certify import certify
    from slth.domain import Ball
    from slth.effective import Effective

    zero = tuple(np.zeros_like(w) for w in f.weights)
    bias = tuple(np.zeros(len(w)) for w in f.weights)
    slack = tuple(np.zeros((w.shape[0], w.shape[1] + 1)) for w in f.weights)
    found = certify(f, Effective(zero, zero, bias, slack), Ball(1.0, f.dims[0]))
    return found.lower, found.upper


def tightness(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Quartiles of upper/lower over all cells of a construction."""
    result = {}
    for kind in TITLES:
        ratio = [r["upper"] / r["lower"] for r in rows if r["kind"] == kind and r["lower"] > 0]
        result[kind] = [float(q) for q in np.quantile(ratio, [0.25, 0.5, 0.75])]
    return result


def summary(rows: list[dict[str, Any]], target: str, norm: float) -> list[dict[str, Any]]:
    """Medians over seeds with their 95 % intervals, relative to sup ||f||: a row a width."""
    from slth.stats import quantile_with_interval

    result = []
    for kind in TITLES:
        for key in ("upper", "lower"):
            n, _, errors = table(rows, target, kind, key)
            for k, width in enumerate(n.tolist()):
                q = quantile_with_interval(errors[:, k] / norm, 0.5)
                result.append(
                    {"kind": kind, "n": int(width), "outcome": key, "median": q.value,
                     "low": q.low, "high": q.high}
                )  # fmt: skip
    return result


# -- theory's curves and the figure ---------------------------------------------------------------


def theory(target: str) -> dict[str, tuple[Floats, Floats]]:
    """(n, relative error) of each explicit theorem and of the counting lower bound."""
    from slth.bounds import TargetClass, facts
    from slth.bounds.counting import Counting
    from slth.bounds.malach import Malach
    from slth.bounds.pensia import Pensia
    from slth.domain import Ball

    f = target_of(target)
    norm = size(f)[0]
    constants = facts(f, Ball(1.0, f.dims[0]))
    relative = np.geomspace(1e-6, 1.0, 25)
    epsilon = relative * norm
    # Theorem 2 of Pensia et al. for the first layer pair alone: it holds every W of norm at most 1
    first = TargetClass(f.dims[:2], constants.biases, (1.0,), (1.0,), 1.0, 1.0)
    weights = Counting().evaluate(first, epsilon, DELTA)
    per_n = 2 * f.dims[0] * (f.dims[0] + f.dims[1])
    return {
        "pensia": (Pensia().evaluate(constants, epsilon, DELTA).max(axis=-1), relative),
        "malach": (Malach().evaluate(constants, epsilon, DELTA).max(axis=-1), relative),
        "malach-product": (
            Malach(form="product").evaluate(constants, epsilon, DELTA).max(axis=-1),
            relative,
        ),
        "counting": (weights / per_n, relative),
    }


def figure(rows: list[dict[str, Any]], target: str, found: Findings, out: Path) -> Any:
    """Above: every construction and theorem, log–log, and Pensia's fall on a linear axis. Below:
    the local slope, which judges where no law fits, and how tight the certificates are."""
    from slth import plot

    norm, fits = found.facts["sup_norm"]["attacked"], found.facts["fits"]
    fig, (left, right, slopes, ratios) = plot.figure(2, 2, wide=True, height=6.6)
    for series, kind in enumerate(TITLES):
        for ax in (left, right) if kind == "pensia" else (left,):
            measured_series(ax, rows, target, kind, norm, series)
        local_and_tight(slopes, ratios, rows, target, kind, series)
    for series, (name, (n, error)) in enumerate(theory(target).items()):
        label = (
            "counting bound: every first layer within ε"
            if name == "counting"
            else f"theorem: {TITLES[name]}"
        )
        for ax in (left, right) if name == "counting" else (left,):
            plot.curve(ax, n, error, label, series=series + (name == "counting"))
    fit = fits.get("pensia/certified")
    if fit:
        n = np.linspace(fit["from"], fit["to"], 60)
        plot.curve(right, n, fitted(fit, n) / norm, f"fit, γ = {fit['gamma']:.2f}", series=5)
    left.set(xlim=(1, 1e12), ylim=(1e-6, 10))
    right.set(xlim=(0, 75), ylim=(1e-6, 10))
    plot.log_scale(left)
    plot.log_scale(right, "y")
    plot.title(left, "all constructions and theorems")
    plot.title(right, "subset sum alone, linear width")
    plot.log_scale(slopes)
    plot.log_scale(ratios, "x")
    ratios.set_ylim(1, None)
    plot.title(slopes, "local slope: flat for a power law, rising for an exponential")
    plot.title(ratios, "certified over attacked error")
    slopes.set_ylabel("−d ln(certified error) / d ln(width) [1]")
    ratios.set_ylabel("upper / lower bound [1]")
    for ax in (left, right):
        ax.set_ylabel("sup error / sup norm of target [1]")
    for ax in (left, right, slopes, ratios):
        ax.set_xlabel("width: neurons drawn per input and half [neurons]")
    shared: dict[str, Any] = {}
    for ax in (left, right):
        handles, labels = ax.get_legend_handles_labels()
        shared |= {
            label: h for h, label in zip(handles, labels, strict=True) if label not in shared
        }
    fig.legend(
        shared.values(), shared.keys(), loc="outside lower center", ncols=2, fontsize=7,
        frameon=False, handlelength=2.6,
    )  # fmt: skip
    plot.save(fig, out / NAME)
    return fig


def local_and_tight(
    slopes: Any, ratios: Any, rows: list[dict[str, Any]], target: str, kind: str, series: int
) -> None:
    """Local power of the certified error with its simultaneous band; quartiles of upper/lower."""
    from slth import plot
    from slth.stats.curves import local_slope

    label = f"{TITLES[kind]}, certified"
    n, _, upper = table(rows, target, kind, "upper")
    if n.size > 1 and len(upper) > 1:
        found = local_slope(n, upper, rng=9)
        low = np.maximum(found.low, 0.05)  # a log axis ends above zero
        plot.band(slopes, found.n, np.minimum(low, found.slope), found.slope, found.high, label,
                  series=series)  # fmt: skip
    ratio = upper / table(rows, target, kind, "lower")[2]
    plot.band(ratios, n, *np.quantile(ratio, [0.25, 0.5, 0.75], axis=0), label, series=series)


def measured_series(
    ax: Any, rows: list[dict[str, Any]], target: str, kind: str, norm: float, series: int
) -> None:
    """Median over seeds with the range of 90 % of them: certified filled, attacked as bars."""
    from slth import plot

    for key, word, bars, at in (
        ("upper", "certified", False, series),
        ("lower", "attacked", True, series + 3),
    ):
        n, _, errors = table(rows, target, kind, key)
        low, mid, high = np.quantile(errors / norm, [0.05, 0.5, 0.95], axis=0)
        plot.band(ax, n, low, mid, high, f"{TITLES[kind]}, {word}", series=at, bars=bars)


def fitted(fit: dict[str, Any], n: Floats) -> Floats:
    """The fitted family's error at n."""
    t = np.log(n / fit["scale"])
    g = fit["gamma"]
    power = np.expm1(g * t) / g if abs(g) > 1e-9 else t
    return np.exp(fit["intercept"] + fit["slope"] * power)


if __name__ == "__main__":
    run(main)

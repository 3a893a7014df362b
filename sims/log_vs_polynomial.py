"""The width each construction needs, against the tolerance: logarithmic or polynomial?

For tolerances from 0.3 to 1e-3 the smallest sufficient n (neurons drawn a half and input) is read
off nested sources: of one gadget, of a whole layer (128 to 10, the digits network's last), and of
the whole network with a certificate, for 0.3 to 0.03 of sup ||f||. Beside it stands each theorem's
own n, and the counting bound: log2 of the largest weight over the tolerance per weight.

Protocol, fixed before measuring:
- Gadget: 200 seeds, each with a weight of its own from U[-1/2, 1/2]. Layer: 72 seeds, tolerance
  η = ε/√1280 per weight, so that the layer is within ε|y|. Network: 20 seeds, the least n of a
  fixed ladder whose certified error is at most ε sup||f||, by bisection. Subset sums go on to 1e-5.
- The n needed at success 1 − δ, δ = 0.1, is the 0.9-quantile over seeds with its distribution-free
  interval at gadget and layer level (20 networks could show no more than 0.83: their median).
- Fits at gadget level take ε ≤ 0.05: above, the empty subset serves many a weight.
- One family, ln(1/ε) = a + b (n^γ − 1)/γ: "logarithmic" needs γ's interval above 0.3, "polynomial"
  within ±0.3, both a last third predicted from the first two.
- At the smallest tolerance measured, the theorem's n at δ must suffice in at least 1 − δ of the
  seeds (networks: one half, which is what 20 can show); gadgets obey counting.
- What no scan reaches (Malach's pair for small tolerances) is left out and counted.
- Controls, which must be refuted: out-weights shared across a row, as published code has it, need
  the same n as independent ones; a tenth of Malach's width suffices; counting asks for six values
  more than it does; known laws called by the other's name.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sims._protocol import Control, Findings, Options, finish, options, run
from slth.stats.verdict import State, Verdict

Floats = NDArray[np.float64]
NAME = "log_vs_polynomial"
DELTA = 0.1
EPSILONS = [float(e) for e in np.geomspace(0.3, 1e-3, 8)]
FINE = EPSILONS + [float(e) for e in np.geomspace(1e-3, 1e-5, 7)[1:]]  # for what is logarithmic
NETWORK_EPSILONS = [float(e) for e in np.geomspace(0.3, 0.03, 6)]
SEEDS = {"gadget": 200, "layer": 72, "network": 20}
SMOKE = {"gadget": 12, "layer": 2, "network": 2}  # the fewest that catch every control
FIRST_SEED = 6000  # none of these seeds was looked at while this protocol was drawn up
SUCCESS = {"gadget": 0.9, "layer": 0.9, "network": 0.5}  # what so many seeds can show
KINDS = {
    "gadget": ("pensia", "malach", "malach-product"),
    "layer": ("pensia", "shared", "malach-product", "malach"),
    "network": ("pensia", "malach-product"),
}
SMALLEST = {("layer", "malach"): 0.2, ("layer", "malach-product"): 4e-3}  # below: beyond a scan
LADDER = {
    "pensia": list(range(16, 101)),
    "malach-product": [round(50 * 1.06**k) for k in range(92)],
}
TITLES = {
    "pensia": "subset sum (Pensia 2020)",
    "malach": "one neuron (Malach 2020)",
    "malach-product": "one neuron, product matched",
    "shared": "subset sum, values shared in a row (control)",
}
WANT = {"pensia": "logarithmic", "malach": "polynomial", "malach-product": "polynomial"}
SCAN = 1 << 26
REACH = 0.5  # gadget weights are drawn from U[-REACH, REACH], the interval of random subset sum


# -- one cell --------------------------------------------------------------------------------------


@cache
def digits() -> Any:
    from slth.nets import digits

    return digits.load()


def cell(level: str, kind: str, seed: int, epsilons: list[float]) -> dict[str, Any]:
    """The n needed at every tolerance, None where a scan of 2^26 neurons finds nothing."""
    if level == "network":
        return {"needed": network(kind, seed, epsilons)}
    from slth.source import Source

    if level == "gadget":
        weights = np.random.default_rng(seed).uniform(-REACH, REACH, (1, 1))
        etas = epsilons
    else:
        weights = digits().weights[1]
        etas = [e / np.sqrt(weights.size) for e in epsilons]
    source = Source((weights.shape[1], weights.shape[0]), SCAN, False, seed)
    search = {"pensia": subset, "shared": subset, "malach": pair, "malach-product": product}[kind]
    args = {"shared": True} if kind == "shared" else {}
    halves = [search(source, h, weights.T, np.array(etas), **args) for h in (0, 1)]
    worst = np.maximum(*halves)
    result: dict[str, Any] = {"needed": [int(n) if np.isfinite(n) else None for n in worst]}
    if (level, kind) == ("gadget", "pensia"):
        result["usable"] = usable_values(source, halves)
    return result


def usable_values(source: Any, halves: list[Floats]) -> list[int]:
    """How many values the half that needs more of them has among the neurons it needs."""
    counts = []
    for half, needed in enumerate(halves):
        u = source.in_weights(0, half, 0, int(needed.max()))[0]
        right = np.cumsum(u > 0 if half == 0 else u < 0)
        counts.append([int(right[int(n) - 1]) if n else 0 for n in needed])
    return [max(pair) for pair in zip(*counts, strict=True)]


def subset(source: Any, half: int, weights: Floats, etas: Floats, shared: bool = False) -> Floats:
    """For each tolerance the n at which every weight `[blocks, outputs]` has its subset."""
    from slth.construct.pensia import usable
    from slth.subsetsum import Problem, Status
    from slth.subsetsum.first_hit import FirstHit

    needed, width = [], 128
    for eta in etas:
        while True:
            u = usable(source.in_weights(0, half, 0, width), half)
            v = source.out_weights(0, half, 0, width)
            v = np.broadcast_to(v[:, :1], v.shape) if shared else v
            values = (v * u[:, None, :]).reshape(-1, width)
            found = FirstHit()(Problem(values, weights.ravel(), float(eta)))
            if (found.status == Status.SOLVED).all():
                break
            width *= 2
        needed.append(int(found.used.max()))
    return np.array(needed, dtype=np.float64)


def first_within(miss: Floats, start: int, etas: Floats, needed: Floats) -> None:
    """Lower `needed` `[weights, etas]` to the first index (counted from 1) with miss ≤ η."""
    for e in np.flatnonzero(~np.isfinite(needed).all(axis=0)):
        hit = miss <= etas[e]
        found = hit.any(axis=1) & ~np.isfinite(needed[:, e])
        needed[found, e] = start + 1 + hit[found].argmax(axis=1)


def product(source: Any, half: int, weights: Floats, etas: Floats) -> Floats:
    """As `subset`, for one neuron whose product is within η."""
    worst = np.zeros(etas.size)
    for block, row in enumerate(weights):
        needed = np.full((row.size, etas.size), np.inf)
        start, width = 0, 1024
        while not np.isfinite(needed).all() and start < SCAN:
            open_rows = np.flatnonzero(~np.isfinite(needed).all(axis=1))
            stop = min(start + width, SCAN)
            u = source.in_weights(0, half, start, stop, block=block)
            right = np.flatnonzero(u > 0 if half == 0 else u < 0)
            span = (int(open_rows[0]), int(open_rows[-1]) + 1)
            v = source.out_weights(0, half, start, stop, (block, block + 1), span)[0]
            miss = np.full((row.size, stop - start), np.inf)
            for r in open_rows.tolist():
                miss[r, right] = np.abs(u[right] * v[r - span[0], right] - row[r])
            first_within(miss, start, etas, needed)
            start, width = stop, min(4 * width, 1 << 20)
        worst = np.maximum(worst, needed.max(axis=0))
    return worst


def pair(source: Any, half: int, weights: Floats, etas: Floats) -> Floats:
    """As `subset`, for one neuron with u ≈ ±|w| and v ≈ ±sign w, each within η/2.

    Only neurons whose in-weight is right have their out-weight drawn.
    """
    from slth.source import Role

    sign, worst = 1 - 2 * half, np.zeros(etas.size)
    for block, row in enumerate(weights):
        needed = np.full((row.size, etas.size), np.inf)
        start, width = 0, 4096
        while not np.isfinite(needed).all() and start < SCAN:
            stop = min(start + width, SCAN)
            u = source.in_weights(0, half, start, stop, block=block)
            for r in np.flatnonzero(~np.isfinite(needed).all(axis=1)).tolist():
                widest = etas[~np.isfinite(needed[r])].max() / 2
                near = sign * abs(row[r])
                at = np.flatnonzero(np.abs(u - near) <= widest)
                if not at.size:
                    continue
                v = source.entries(0, Role.OUT, half, block, r, start + at)
                miss = 2 * np.maximum(np.abs(u[at] - near), np.abs(v - sign * np.sign(row[r])))
                for e in np.flatnonzero(~np.isfinite(needed[r])):
                    hits = np.flatnonzero(miss <= etas[e])
                    if hits.size:
                        needed[r, e] = start + 1 + at[hits[0]]
            start, width = stop, min(4 * width, 1 << 20)
        worst = np.maximum(worst, needed.max(axis=0))
    return worst


def network(kind: str, seed: int, epsilons: list[float]) -> list[int | None]:
    """A rung of the ladder whose certified error is within ε sup||f|| and whose neighbour's below
    is not: the first such one, as far as certificates fall with n like the gadgets' errors do."""
    from sims.width_vs_error import construction, size
    from slth.certify import certify
    from slth.domain import Ball

    f, make, rungs = digits(), construction(kind), LADDER[kind]
    norm, domain = size(f)[0], Ball(1.0, digits().dims[0])

    @cache
    def error(rung: int) -> float:
        ticket = make.build(f, make.source_for(f, seed, rungs[rung]))
        return certify(f, ticket.effective, domain, restarts=1, steps=0, effort=0.5).upper

    needed: list[int | None] = []
    low = 0
    for epsilon in epsilons:
        bad, good, leap = low - 1, low, 1
        while good < len(rungs) and error(good) > epsilon * norm:
            bad, good, leap = good, good + leap, 2 * leap
        good = min(good, len(rungs))
        while good - bad > 1:
            middle = (bad + good) // 2
            bad, good = (bad, middle) if error(middle) <= epsilon * norm else (middle, good)
        needed.append(rungs[good] if good < len(rungs) else None)
        low = max(0, good - 1)  # gadget errors fall with n, certificates nearly so
    return needed


def warm() -> None:
    """Compile every kernel once."""
    for level in KINDS:
        cell(level, "pensia", 0, [0.3])


def cost(cell: dict[str, Any]) -> float:
    """Seconds on one core, roughly."""
    return {
        ("gadget", "pensia"): 0.01, ("gadget", "malach"): 1.5, ("gadget", "malach-product"): 0.05,
        ("layer", "pensia"): 0.6, ("layer", "shared"): 0.4, ("layer", "malach"): 4.0,
        ("layer", "malach-product"): 0.7,
        ("network", "pensia"): 10.0, ("network", "malach-product"): 10.0,
    }[cell["level"], cell["kind"]]  # fmt: skip


# -- the sweep -------------------------------------------------------------------------------------


def grid(level: str, kind: str) -> list[float]:
    epsilons = FINE if kind in ("pensia", "shared") else EPSILONS
    epsilons = NETWORK_EPSILONS if level == "network" else epsilons
    return [e for e in epsilons if e >= SMALLEST.get((level, kind), 0.0)]


def cells(smoke: bool) -> list[dict[str, Any]]:
    rows = []
    for level, kinds in KINDS.items():
        for kind in kinds:
            epsilons = grid(level, kind)[: 1 if smoke else None]
            if smoke and (level, kind) in SMALLEST:
                continue
            seeds = range(FIRST_SEED, FIRST_SEED + (SMOKE[level] if smoke else SEEDS[level]))
            rows += [{"level": level, "kind": kind, "seed": s, "epsilons": epsilons} for s in seeds]
    return rows


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
    found = analyse(rows)
    figure(rows, opts.out)
    finish(NAME, opts, found)


# -- what the data say -----------------------------------------------------------------------------


def table(rows: list[dict[str, Any]], level: str, kind: str) -> tuple[Floats, Floats]:
    """(ε `[K]` falling, n needed `[seeds, K]`, inf where no scan reached it)."""
    mine = [r for r in rows if r["level"] == level and r["kind"] == kind]
    if not mine:
        return np.empty(0), np.empty((0, 0))
    needed = [[np.inf if n is None else float(n) for n in r["needed"]] for r in mine]
    return np.array(mine[0]["epsilons"]), np.array(needed)


def theory(level: str, kind: str, epsilons: Floats) -> Floats:
    """n that the explicit theorem asks for, `[K]`: both halves of every gadget at success 1 − δ."""
    from slth.bounds.malach import pool_size, pool_size_product
    from slth.bounds.random_subset_sum import n_rss_product

    if level == "network":
        from sims.width_vs_error import size
        from slth.bounds import facts, load
        from slth.domain import Ball

        constants = facts(digits(), Ball(1.0, digits().dims[0]))
        form = {"form": "product"} if kind == "malach-product" else {}
        bound = load(kind.split("-")[0])(**form)
        asked: Floats = bound.evaluate(constants, epsilons * size(digits())[0], DELTA)
        return asked.max(axis=-1)
    fan = 1 if level == "gadget" else digits().weights[1].size
    reach = REACH if level == "gadget" else float(np.abs(digits().weights[1]).max())
    each = DELTA / (2 * fan)
    etas = epsilons / np.sqrt(fan)
    one = {
        "pensia": lambda eta: n_rss_product(eta, each),
        "shared": lambda eta: n_rss_product(eta, each),
        "malach": lambda eta: pool_size(eta, each),
        "malach-product": lambda eta: pool_size_product(eta, each, reach),
    }[kind]
    return np.array([float(one(float(eta))) for eta in etas])


def analyse(rows: list[dict[str, Any]]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    from slth.stats import frequency_verdict

    verdicts: dict[str, Verdict] = {}
    fits: dict[str, Any] = {}
    for level, kinds in KINDS.items():
        for kind in kinds:
            epsilons, needed = table(rows, level, kind)
            if kind == "shared" or not epsilons.size:
                continue
            name = f"{level}, {TITLES[kind]}"
            verdicts[f"{name}: {WANT[kind]} width"] = law(epsilons, needed, level, kind, fits)
            enough = int((needed[:, -1] <= theory(level, kind, epsilons)[-1]).sum())
            verdicts[f"{name}: the theorem's width suffices"] = frequency_verdict(
                enough, len(needed), SUCCESS[level]
            )
    epsilons, needed = table(rows, "gadget", "pensia")
    verdicts["gadget: no faster than counting allows"] = counting(rows)
    facts = {"delta": DELTA, "seeds": SEEDS, "fits": fits, "summary": summary(rows)}
    return Findings(verdicts, controls(rows), facts)


def counting(rows: list[dict[str, Any]], extra: int = 0) -> Verdict:
    """k values have 2^k sums, which reach at most 2^k·2ε of the interval of length 2R that weights
    are drawn from: more than k usable values are needed with probability 1 − 2^k ε/R at least.

    Tested at the smallest ε, with k one below log2(R/ε); `extra` moves k, which must then fail.
    """
    from slth.stats import frequency_verdict

    mine = [r for r in rows if r["level"] == "gadget" and r["kind"] == "pensia"]
    epsilon = mine[0]["epsilons"][-1]
    k = int(np.floor(np.log2(REACH / epsilon))) - 1
    more = sum(r["usable"][-1] > k + extra for r in mine)
    return frequency_verdict(more, len(mine), 1 - 2.0**k * epsilon / REACH)


def law(epsilons: Floats, needed: Floats, level: str, kind: str, fits: dict[str, Any]) -> Verdict:
    from slth.errors import BadInput
    from slth.stats.curves import line_fit
    from slth.stats.lawfit import law_verdict, need_fit

    reached = np.isfinite(needed).all(axis=0)
    if level == "gadget":  # where hardly any weight is met by nothing at all
        reached &= epsilons <= REACH / 10
    if reached.sum() < 4 or len(needed) < 8:
        return Verdict(
            State.UNDECIDED,
            f"{int(reached.sum())} tolerances within a scan and {len(needed)} seeds fit no law",
        )
    try:
        fit = need_fit(epsilons[reached], needed[:, reached], rng=11)
    except BadInput as error:
        return Verdict(State.UNDECIDED, str(error))
    says = law_verdict(fit)
    line = line_fit(np.log2(1 / epsilons[reached]), needed[:, reached], rng=12)
    fits[f"{level}/{kind}"] = {
        "law": says.law, "gamma": fit.gamma, "interval": [fit.low, fit.high],
        "neurons_per_bit": line.slope, "per_bit_interval": [line.low, line.high],
        "reason": says.reason,
    }  # fmt: skip
    return says.logarithmic if WANT[kind] == "logarithmic" else says.polynomial


def controls(rows: list[dict[str, Any]]) -> dict[str, Control]:
    from slth.stats import frequency_verdict
    from slth.stats.curves import line_fit
    from slth.stats.lawfit import law_verdict, need_fit

    result = {}
    epsilons, apart = table(rows, "layer", "pensia")
    _, shared = table(rows, "layer", "shared")
    difference = apart.mean(axis=1) - shared.mean(axis=1)
    fit = line_fit([0.0, 1.0], np.stack([0 * difference, difference], axis=1), rng=5)
    state = State.REFUTED if fit.low > 0 or fit.high < 0 else State.UNDECIDED
    shown = f"a layer then needs {fit.slope:.1f} neurons fewer, [{fit.low:.1f}, {fit.high:.1f}]"
    result["sharing values in a row changes nothing"] = Control(
        "one set of out-weights for all outputs", Verdict(state, shown)
    )
    epsilons, needed = table(rows, "gadget", "malach")
    tenth = int((needed[:, -1] <= theory("gadget", "malach", epsilons)[-1] / 10).sum())
    result["a tenth of Malach's width suffices"] = Control(
        "the theorem's n divided by ten", frequency_verdict(tenth, len(needed), 1 - DELTA)
    )
    result["counting asks for six values more"] = Control(
        "the counting bound moved up by six values", counting(rows, extra=6)
    )
    known = {name: law_verdict(need_fit(EPSILONS, n, rng=2)) for name, n in synthetic().items()}
    result["a power law called logarithmic"] = Control(
        "widths that are a power of 1/ε", known["power"].logarithmic
    )
    result["a logarithmic width called polynomial"] = Control(
        "widths logarithmic in 1/ε", known["logarithmic"].polynomial
    )
    return result


def synthetic() -> dict[str, Floats]:
    """n needed `[100, K]` of known laws: first hits of chance 4ε/5, and 8 + 2.1 log2(1/ε) ± 2."""
    rng = np.random.default_rng(3)
    scale = np.array(EPSILONS)
    luck = rng.exponential(size=(100, 1)) * rng.lognormal(sigma=0.3, size=(100, scale.size))
    late = np.sort(8 - 2.1 * np.log2(scale) + rng.normal(scale=2, size=(100, scale.size)), axis=1)
    return {"power": np.ceil(luck / (0.8 * scale)), "logarithmic": np.ceil(np.maximum(late, 1))}


def quantiles(needed: Floats, level: str) -> tuple[Floats, Floats, Floats]:
    """(low, value, high), each `[K]`, of the n at success 1 − δ; of the median for networks."""
    from slth.stats import quantile_with_interval

    wanted = 0.5 if level == "network" else 1 - DELTA
    found = [quantile_with_interval(column, wanted) for column in needed.T]
    return tuple(np.array([getattr(q, k) for q in found]) for k in ("low", "value", "high"))  # type: ignore[return-value]


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    result = []
    for level, kinds in KINDS.items():
        for kind in kinds:
            epsilons, needed = table(rows, level, kind)
            if not epsilons.size:
                continue
            low, value, high = quantiles(needed, level)
            asked = theory(level, kind, epsilons)
            for k, epsilon in enumerate(epsilons.tolist()):
                result.append(
                    {"level": level, "kind": kind, "epsilon": epsilon, "n": value[k],
                     "low": low[k], "high": high[k], "theorem": asked[k],
                     "not_reached": int((~np.isfinite(needed[:, k])).sum())}
                )  # fmt: skip
    return result


def figure(rows: list[dict[str, Any]], out: Path) -> Any:
    """A panel a level: the measured n with its interval, theory's n, the counting bound."""
    from slth import plot

    fig, axes = plot.figure(1, 3, wide=True, height=3.9)
    for ax, (level, kinds) in zip(axes, KINDS.items(), strict=True):
        order = ["pensia", "malach", "malach-product", "shared"]
        for kind in kinds:
            epsilons, needed = table(rows, level, kind)
            if not epsilons.size:
                continue
            low, value, high = quantiles(needed, level)
            seen = np.isfinite(low) & np.isfinite(value) & np.isfinite(high)
            series = order.index(kind)
            if seen.any():
                plot.band(
                    ax, epsilons[seen], low[seen], value[seen], high[seen], TITLES[kind],
                    series=series, bars=True,
                )  # fmt: skip
            if kind != "shared":
                span = np.geomspace(*((0.3, 0.03) if level == "network" else (0.3, 1e-5)), 9)
                plot.curve(
                    ax, span, theory(level, kind, span), f"theorem: {TITLES[kind]}", series=series
                )
        if level != "network":
            span = np.geomspace(0.3, 1e-5, 9)
            fan, reach = 1, REACH
            if level == "layer":
                fan, reach = digits().weights[1].size, float(np.abs(digits().weights[1]).max())
            bits = np.log2(np.maximum(reach * np.sqrt(fan) / span, 1.0))
            plot.curve(ax, span[bits >= 1], bits[bits >= 1], "counting lower bound", series=4)
        ax.invert_xaxis()
        plot.log_scale(ax)
        plot.title(ax, level)
        what = {"gadget": "per weight", "layer": "of the layer", "network": "/ sup norm of f"}
        ax.set_xlabel(f"tolerance {what[level]} [1]")
        ax.set_ylabel("width needed per input and half [neurons]")
    handles, labels = [], []
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    fig.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=7, frameon=False)
    plot.save(fig, out / NAME)
    return fig


if __name__ == "__main__":
    run(main)

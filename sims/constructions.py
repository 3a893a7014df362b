"""Every construction on the same axes: certified error against parameters, width and kept weights.

Targets: the digits network 64-128-10, inside every theorem's class, over the unit ball (12 sources
a point); LeNet-5 and a residual network of 8 layers, trained here on 4,000 digits of MNIST, over
all images with pixels in [0, 1] (3 sources a point; every theorem is silent there). The size of a
source is its number of random weights, absent ones not counted out; for one construction the
sources of one seed are nested wherever only n changes. Not here: `structured` (at most 4 outputs a
layer), `quantised` (needs a target on its grid).

What is asked: which construction needs the fewest random weights, and the fewest kept, for a
certified error of a tenth of sup ‖f‖; and is the measured ordering the theorems' ordering? A
construction's need is where the line through its points (logarithms of both) crosses that error, by
seed; a point that no size on the ladder reaches is infinite. The theorems' numbers at ε = a tenth
of sup ‖f‖ and δ = 0.01 stand beside. Two constructions are ordered if the sign test over seeds says
so (all claims of the run together at 1 %); an ordering that the theorems state the other way round
is a finding.

Claims: (1) certificates hold: attack ≤ certificate ≤ claim in every cell; (2) `pensia` needs fewer
weights than each of malach's pair, malach's product, orseau, fixed_size, depth L + 1, binary; (3)
`assigned` needs fewer than `pensia`; (4) malach keeps fewest. Controls: a ticket whose mask is
dealt to other outputs held to its claim; orderings of a construction against itself with seeds
permuted (must not be supported).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np

from sims._protocol import Control, Findings, Options, exact, finish, options, run
from slth.stats.verdict import State, Verdict

NAME = "constructions"
SEEDS, IMAGE_SEEDS = 12, 3
SHARE = 0.1  # of sup ‖f‖: the error that needs are read off at
DELTA = 0.01
# construction: (options, n) of each point, coarse first
LADDERS: dict[str, list[tuple[dict[str, Any], int | None]]] = {
    "malach": [({}, n) for n in (128, 512, 2048)],
    "malach_product": [({"match": "product"}, n) for n in (32, 128, 512, 2048)],
    "pensia": [({}, n) for n in (12, 18, 24, 32, 44)],
    "assigned": [({}, n) for n in (8, 12, 16, 20, 26)],
    "orseau": [
        ({"tolerance": t}, n) for t, n in ((0.1, 120), (0.03, 200), (0.01, 300), (0.003, 450))
    ],
    "fixed_size": [({}, n) for n in (16, 24, 32)],
    "depth_l_plus_1": [({"tolerance": t}, n) for t, n in ((0.01, 20), (0.003, 26), (0.001, 32))],
    "binary": [({"epsilon": e, "delta": 0.1}, None) for e in (4.0, 1.0, 0.25)],
}
IMAGES: dict[str, list[tuple[dict[str, Any], int]]] = {
    "pensia": [({"tolerance": t}, n) for t, n in ((1e-2, 40), (1e-4, 64), (1e-6, 96))],
    "orseau": [({"tolerance": t}, n) for t, n in ((1e-2, 400), (1e-3, 700))],
}
TARGETS = {"digits": LADDERS, "lenet5": IMAGES, "resnet8": {"pensia": IMAGES["pensia"]}}
ATTACKS = {"digits": (8, 30), "lenet5": (3, 8), "resnet8": (3, 8)}
DEALT = "pensia, dealt to other outputs"


@cache
def target(name: str) -> Any:
    """The target and its domain; images are trained once a process."""
    from slth.domain import Ball, Box
    from slth.nets import digits, mnist
    from slth.tracing import target as read

    if name == "digits":
        return digits.load(), Ball(1.0, 64)
    f = read(mnist.train_module(name, 0), mnist.SHAPE)
    return f, Box(np.zeros(f.inputs), np.ones(f.inputs))


def cell(on: str, construction: str, options: dict[str, Any], n: int | None, seed: int) -> dict:
    """One ticket, certified."""
    import time

    import torch

    from slth.construct import load

    torch.set_num_threads(1)
    f, domain = target(on)
    dealt = construction == DEALT
    name = "pensia" if dealt else construction.removesuffix("_product")
    given = dict(options)
    if on != "digits" or name == "malach":
        given["halves"] = "needed"
    make = load(name)(domain=domain, **given)
    source = make.source_for(f, seed, n)
    start = time.perf_counter()
    ticket = make.build(f, source)
    seconds = time.perf_counter() - start
    claim = ticket.claim
    if dealt:
        ticket = _dealt(ticket, seed)
    restarts, steps = ATTACKS[on]
    found = ticket.certified(f, domain, seed=0, restarts=restarts, steps=steps)
    wide = max(source.hidden(i) for i in range(source.pairs))
    return {
        "upper": found.upper,
        "lower": found.lower,
        "claimed": claim.error_bound,
        "parameters": source.parameters,
        "width": wide,
        "kept": ticket.kept_in + ticket.kept_out,
        "depth": getattr(source, "layers", 2 * source.pairs),
        "unmet": claim.unmet,
        "seconds": seconds,
    }


def _dealt(ticket: Any, seed: int) -> Any:
    """The same kept sets, dealt to other outputs of their block."""
    from slth.kept import Kept
    from slth.ticket import Ticket

    rng = np.random.default_rng(seed)
    layers = []
    for layer, halves in enumerate(ticket.kept):
        outputs, moved = ticket.source.outputs(layer), []
        for kept in halves:
            blocks = kept.counts.size // outputs
            order = np.concatenate([b * outputs + rng.permutation(outputs) for b in range(blocks)])
            parts = [kept.indices[kept.indptr[g] : kept.indptr[g + 1]] for g in order]
            moved.append(Kept.of_counts(kept.counts[order], np.concatenate(parts)))
        layers.append((moved[0], moved[1]))
    return Ticket(ticket.source, layers, ticket.claim)


def cells(smoke: bool) -> list[dict[str, Any]]:
    found = []
    for on, ladders in TARGETS.items():
        if smoke and on != "digits":
            continue
        seeds = 1 if smoke else SEEDS if on == "digits" else IMAGE_SEEDS
        for name, ladder in ladders.items():
            points = ladder[:1] if smoke else ladder
            if smoke and name not in ("pensia", "assigned", "malach_product"):
                continue
            found += [
                {"on": on, "construction": name, "options": opts, "n": n, "seed": seed}
                for opts, n in points
                for seed in range(seeds)
            ]
        if on == "digits":
            opts, n = ladders["pensia"][-1]
            found += [
                {"on": on, "construction": DEALT, "options": opts, "n": n, "seed": seed}
                for seed in range(seeds)
            ]
    return found


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@options(NAME)
def main(**rest: Any) -> None:
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts = Options(**rest)
    sweep = Sweep(NAME, f"sims.{NAME}:cell", cells(opts.smoke), opts.out / f"{NAME}.sqlite")
    records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    figure(rows, opts.out)
    finish(NAME, opts, analyse(rows))


# -- what the data say -----------------------------------------------------------------------------


@cache
def size_of_f() -> float:
    """A lower bound on sup ‖f‖ of the digits network: an attack on the zero network."""
    from slth.certify import certify
    from slth.effective import Effective

    f, domain = target("digits")
    zero = tuple(np.zeros_like(w) for w in f.weights)
    bias = tuple(np.zeros(len(w)) for w in f.weights)
    slack = tuple(np.zeros((len(w), w.shape[1] + 1)) for w in f.weights)
    found = certify(f, Effective(zero, zero, bias, slack), domain, restarts=16, steps=60, effort=0)
    return found.lower


def need(rows: list[dict[str, Any]], name: str, what: str, error: float) -> dict[int, float]:
    """For each seed, the `what` at which the certified error falls to `error` (infinite: never)."""
    mine = [r for r in rows if r["on"] == "digits" and r["construction"] == name]
    found = {}
    for seed in sorted({r["seed"] for r in mine}):
        points = sorted((r[what], r["upper"]) for r in mine if r["seed"] == seed)
        x, y = np.log([p[0] for p in points]), np.log([max(p[1], 1e-300) for p in points])
        found[seed] = float("inf")
        for k in range(len(points)):
            if y[k] <= np.log(error):
                share = 0.0 if k == 0 else (y[k - 1] - np.log(error)) / (y[k - 1] - y[k])
                found[seed] = float(
                    np.exp(x[k] if k == 0 else x[k - 1] + share * (x[k] - x[k - 1]))
                )
                break
    return found


def ordered(one: dict[int, float], other: dict[int, float]) -> Verdict:
    """Whether the first is smaller, by seeds that both have."""
    from slth.stats import frequency_verdict

    both = sorted(set(one) & set(other))
    wins = sum(one[s] < other[s] for s in both)
    found = frequency_verdict(wins, len(both), 0.5)
    a, b = (float(np.median([side[s] for s in both])) for side in (one, other))
    reason = f"smaller for {wins} of {len(both)} seeds; median {a:.3g} against {b:.3g}"
    return Verdict(found.state, reason, found.p_value, found.evidence)


def analyse(rows: list[dict[str, Any]]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    honest = [r for r in rows if r["construction"] != DEALT]
    error = SHARE * size_of_f()
    names = [n for n in LADDERS if any(r["construction"] == n for r in rows)]
    weights = {n: need(rows, n, "parameters", error) for n in names}
    kept = {n: need(rows, n, "kept", error) for n in names}
    wrong = sum(not r["lower"] <= r["upper"] <= r["claimed"] * (1 + 1e-9) for r in honest)
    verdicts = {"attack ≤ certificate ≤ claim": exact("in every cell", wrong, len(honest))}
    verdicts |= {
        f"pensia needs fewer weights than {n}": ordered(weights["pensia"], weights[n])
        for n in names
        if n not in ("pensia", "assigned")
    }
    if "assigned" in names:
        verdicts["assigned needs fewer weights than pensia"] = ordered(
            weights["assigned"], weights["pensia"]
        )
    few = "malach_product"
    verdicts |= {
        f"one neuron a weight keeps fewer than {n}": ordered(kept[few], kept[n])
        for n in names
        if few in names and n not in (few, "malach")
    }
    dealt = [r for r in rows if r["construction"] == DEALT]
    broken = sum(r["lower"] > r["claimed"] for r in dealt)
    own = weights["pensia"]
    turned = dict(zip(own, list(own.values())[1:] + list(own.values())[:1], strict=True))
    same = ordered(own, turned)
    refused = State.REFUTED if same.state != State.SUPPORTED else State.SUPPORTED
    controls = {
        "dealt": Control(
            "kept sets dealt to other outputs", exact("attack ≤ claim", broken, len(dealt))
        ),
        "itself": Control("pensia against itself, seeds turned", Verdict(refused, same.reason)),
    }
    facts = {
        "size_of_f": size_of_f(),
        "error": error,
        "needs": {
            n: {"weights": list(weights[n].values()), "kept": list(kept[n].values())} for n in names
        },
        "theorems": theorems(error),
        "summary": summary(rows),
    }
    return Findings(verdicts, controls, facts)


def theorems(epsilon: float) -> dict[str, float | None]:
    """Random weights that the explicit theorems ask for at this ε and δ."""
    from slth.bounds import facts, load

    f, domain = target("digits")
    constants, found = facts(f, domain), {}
    for name in ("malach", "pensia", "assigned", "orseau", "depth_plus_one", "binary"):
        try:
            size = load(name)().size(constants, epsilon, DELTA)
        except Exception:  # a formula without a number at this point
            size = None
        found[name] = None if size is None or size.weights is None else float(size.weights)
    return found


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over seeds and the quartiles of the certified error, a point each."""
    points: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for r in rows:
        key = (r["on"], r["construction"], str(r["options"]), r["n"])
        points.setdefault(key, []).append(r)
    found = []
    for (on, name, options_, n), mine in points.items():
        low, mid, high = np.quantile([r["upper"] for r in mine], [0.1, 0.5, 0.9])
        found.append(
            {
                "on": on, "construction": name, "options": options_, "n": n, "seeds": len(mine),
                "low": float(low), "mid": float(mid), "high": float(high),
                **{
                    k: float(np.median([r[k] for r in mine]))
                    for k in ("lower", "parameters", "width", "kept", "depth", "unmet", "seconds")
                },
            }
        )  # fmt: skip
    return found


# -- the figure ------------------------------------------------------------------------------------

LABELS = {
    "pensia": "Pensia", "assigned": "assigned", "malach_product": "one product", "orseau": "Orseau",
    "fixed_size": "fixed size", "depth_l_plus_1": "depth L + 1", "binary": "binary",
}  # fmt: skip


def figure(rows: list[dict[str, Any]], out: Path) -> Any:
    """Certified error against four costs on digits, and against random weights on images."""
    from slth import plot

    fig, axes = plot.figure(2, 2, wide=True, height=5.4)
    table = [s for s in summary(rows) if s["construction"] in LABELS]
    panels = (
        ("digits", "parameters", "random weights [1]"),
        ("digits", "width", "widest layer [neurons]"),
        ("digits", "kept", "kept weights [1]"),
        ("images", "parameters", "random weights [1]"),
    )
    for ax, (on, what, label) in zip(axes, panels, strict=True):
        series = _series(table, on)
        for number, (name, points) in enumerate(series.items()):
            points = sorted(points, key=lambda p: p[what])
            x, low, mid, high = ([p[k] for p in points] for k in (what, "low", "mid", "high"))
            plot.band(ax, x, low, mid, high, name, series=number, bars=True)
        plot.log_scale(ax)
        ax.set_xlabel(label)
        ax.set_ylabel("certified error [1]")
        plot.title(ax, "64-128-10, unit ball" if on == "digits" else "MNIST networks, all images")
    plot.legend(axes[1], outside=True)
    if _series(table, "images"):
        plot.legend(axes[3], outside=True)
    return plot.save(fig, out / NAME)


def _series(table: list[dict[str, Any]], on: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for point in table:
        if (point["on"] == "digits") != (on == "digits"):
            continue
        net = {"lenet5": "LeNet-5", "resnet8": "ResNet-8"}.get(point["on"])
        label = LABELS[point["construction"]]
        if net is None:
            label = f"{label}, {point['depth']:.0f} layers" if label == "depth L + 1" else label
        else:
            label = f"{label}, {net}"
        found.setdefault(label, []).append(point)
    return found


if __name__ == "__main__":
    run(main)

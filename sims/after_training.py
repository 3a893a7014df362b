"""Accuracy after training what five saliencies leave of an untrained network, against compression.

Protocol, fixed before measuring:
- A 784-300-100-10 perceptron (266,200 weights, ReLU, Kaiming normal, biases of 0 that are trained
  and never pruned) on 4,000 of the M5k digits; accuracy on the 1,000 held out. Training: Adam with
  a cosine schedule from 5e-3, 10 epochs, batches of 100, the same for every mask; pruned weights
  stay 0. The recipe was chosen on another seed, for unpruned and for pruned networks.
- Pruning before training: random, magnitude, SNIP and GraSP at once, synaptic flow in 100 steps;
  SNIP and GraSP see 10 training digits a class. Ten seeds, each with its weights, batches and data,
  the same for all methods; no seed of them looked at while this protocol was drawn up.
- Claims: at compression 10² and 10³, synaptic flow's network is more accurate than each other's in
  more than half of all seeds, pairwise; at every compression it keeps a path from inputs to
  outputs; wherever no path is left, the trained network guesses one class; at compression 10,
  synaptic flow's network is right in more than half of the digits, every seed.
- Controls: the same on shuffled training labels; synaptic flow at once, claimed to beat random at
  10².
- Masks whose kept weights are dealt anew within each layer are measured beside them and claimed
  nothing about: Frankle et al. (2021) found that such masks train as well.
- With --arch lenet5 the same claims and controls of LeNet-5 (61,470 weights in 5 layers, the digits
  as images of 28 by 28), at 10, 100 and 1000, trained for 5 epochs; no masks dealt anew. Its
  training was tried on seed 1 alone.
- Published, other networks and data: VGG-16 on CIFAR-10, Tanaka et al. (2020); see the JSON.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np

from sims._protocol import Control, Findings, Options, exact, finish, options, provenance, run
from slth.stats.verdict import Verdict

NAME = "after_training"
ARCHITECTURE, LENET = "mlp:784,300,100,10", "lenet5"
FIRST_SEED, SEEDS = 700, 10
METHODS = ("random", "magnitude", "snip", "grasp", "synflow")
EXPONENTS = {ARCHITECTURE: (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0), LENET: (1.0, 2.0, 3.0)}
HEADLINES = (2.0, 3.0)
EPOCHS, RATE = {ARCHITECTURE: 10, LENET: 5}, 5e-3
DENSE, ONCE, DEALT, LABELS = "unpruned", "synflow, at once", "synflow, dealt anew", "no labels"
VARIANTS = {
    ARCHITECTURE: {ONCE: (1.0, 2.0, 3.0), DEALT: (1.0, 2.0, 3.0), LABELS: (1.0,)},
    LENET: {ONCE: (1.0, 2.0), LABELS: (1.0,)},
}
PUBLISHED = {
    "what": "Tanaka et al. (2020), recomputed: VGG-16 on CIFAR-10, accuracy at 10² and 10³",
    "random": [0.791, 0.100], "magnitude": [0.898, 0.100], "snip": [0.891, 0.763],
    "grasp": [0.875, 0.709], "synflow": [0.901, 0.804],
}  # fmt: skip


@cache
def digits() -> tuple[Any, Any, Any, Any]:
    """Training and held-out digits and labels, of mean 0 and variance 1 over the training set."""
    import torch

    from slth.data import images

    x, labels = images.mnist5k()
    test = images.held_out(labels)
    x = (x - x[~test].mean()) / x[~test].std()
    return (
        torch.from_numpy(x[~test]).float(), torch.from_numpy(labels[~test]),
        torch.from_numpy(x[test]).float(), torch.from_numpy(labels[test]),
    )  # fmt: skip


def cell(
    what: str, exponent: float, seed: int, smoke: bool, device: str, arch: str = ARCHITECTURE
) -> dict[str, Any]:
    """Prune, train and test one network."""
    import torch

    from sims._masked import Recipe, accuracy, train
    from slth.collapse import collapse
    from slth.nets.architectures import build, input_shape

    torch.set_num_threads(1)
    x, labels, test, wanted = (part.to(device) for part in digits())
    shape = input_shape(arch)
    x, test = x.reshape(-1, *shape), test.reshape(-1, *shape)
    model = build(arch, seed=seed).to(device)
    masks = chosen(what, model, 10**exponent, x, labels, seed)
    rng = np.random.default_rng([seed, 2])
    if what == LABELS:
        labels = labels[torch.from_numpy(rng.permutation(len(labels))).to(device)]
    if smoke:
        x, labels = x[::2], labels[::2]
    left = collapse(model, masks, shape)
    train(model, masks, x, labels, Recipe(2 if smoke else EPOCHS[arch], rate=RATE), seed)
    return {
        "accuracy": accuracy(model, test, wanted),
        "kept": left.kept,
        "fewest": left.fewest,
        "path": left.path,
    }


def chosen(
    what: str, model: Any, compression: float, x: Any, labels: Any, seed: int
) -> dict[str, Any]:
    """The masks of a method, or of a variant of synaptic flow."""
    import torch

    from slth.pruning import Context, load, prune

    rng = np.random.default_rng([seed, 1])
    known = labels.cpu().numpy()
    rows = [rng.choice(np.flatnonzero(known == k), 10, replace=False) for k in range(10)]
    some = torch.from_numpy(np.concatenate(rows)).to(x.device)
    context = Context(tuple(x.shape[1:]), (x[some], labels[some]), seed)
    method = "random" if what == DENSE else what if what in METHODS else "synflow"
    steps = 1 if what == ONCE else None
    found = prune(model, load(method)(), compression, context=context, steps=steps).masks
    if what != DEALT:
        return dict(found)
    dealt = {}
    for name, mask in found.items():
        order = torch.from_numpy(rng.permutation(mask.numel())).to(mask.device)
        dealt[name] = mask.reshape(-1)[order].reshape(mask.shape)
    return dealt


def cells(smoke: bool, device: str, arch: str = ARCHITECTURE) -> list[dict[str, Any]]:
    plan = [(DENSE, 0.0)]
    if smoke:
        plan += [("synflow", 1.0), (LABELS, 1.0), ("random", 2.0), (ONCE, 2.0)]
    else:
        plan += [(method, e) for method in METHODS for e in EXPONENTS[arch]]
        plan += [(variant, e) for variant, wanted in VARIANTS[arch].items() for e in wanted]
    # the table stored of the perceptron names no architecture: a cell there stays what it was
    which = {} if arch == ARCHITECTURE else {"arch": arch}
    return [
        {"what": what, "exponent": e, "seed": FIRST_SEED + k, "smoke": smoke, "device": device,
         **which}
        for what, e in plan
        for k in range(SEEDS if not smoke else 8 if e == 2 else 1)
    ]  # fmt: skip


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@click.option("--device", default="cpu", show_default=True, help="Torch's name: cpu, cuda.")
@click.option("--arch", type=click.Choice([ARCHITECTURE, LENET]), default=ARCHITECTURE,
              show_default=True, help="What is pruned and trained.")  # fmt: skip
@options(NAME)
def main(device: str, arch: str, **rest: Any) -> None:
    from slth.collapse.diagram import Setting
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    opts, name = Options(**rest), name_of(arch)
    Setting(arch, device=device).check()
    digits()  # where the data are missing, say so before any work
    grid = cells(opts.smoke, device, arch)
    sweep = Sweep(name, f"sims.{NAME}:cell", grid, opts.out / f"{name}.sqlite")
    workers = 1 if device.startswith("cuda") and opts.workers is None else opts.workers
    records = run_sweep(sweep, workers, opts.scheduler, opts.progress)
    records.table(opts.out / f"{name}.csv")
    rows = list(records)
    found = analyse(rows)
    figure(rows, opts.out)
    finish(name, opts, found)


def name_of(arch: str) -> str:
    """What the files are called."""
    return NAME if arch == ARCHITECTURE else f"{NAME}_{arch}"


# -- what the data say -----------------------------------------------------------------------------


def of(rows: list[dict[str, Any]], what: str, exponent: float | None = None) -> dict[int, Any]:
    """The rows of a method at a compression, by seed."""
    return {r["seed"]: r for r in rows if r["what"] == what and exponent in (None, r["exponent"])}


def better(rows: list[dict[str, Any]], one: str, other: str, exponent: float) -> Verdict:
    """Whether one method's network is more accurate than another's in more than half of seeds."""
    from slth.stats import frequency_verdict

    ours, theirs = of(rows, one, exponent), of(rows, other, exponent)
    wins = sum(ours[s]["accuracy"] > theirs[s]["accuracy"] for s in ours)
    found = frequency_verdict(wins, len(ours), 0.5)
    means = [np.mean([r["accuracy"] for r in side.values()]) for side in (ours, theirs)]
    reason = f"{found.reason}; mean {means[0]:.3f} against {means[1]:.3f}"
    return Verdict(found.state, reason, found.p_value, found.evidence)


def learns(rows: list[dict[str, Any]], what: str) -> Verdict:
    right = [r["accuracy"] for r in of(rows, what, 1.0).values()]
    found = exact("accuracy > 0.5", sum(a <= 0.5 for a in right), len(right))
    return Verdict(found.state, f"{found.reason}; {min(right):.3f} to {max(right):.3f}")


def analyse(rows: list[dict[str, Any]]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    verdicts = {
        f"synflow is more accurate than {other}, 10^{e:.0f}": better(rows, "synflow", other, e)
        for e in HEADLINES
        for other in METHODS[:-1]
        if of(rows, other, e) and of(rows, "synflow", e)
    }
    flow = [r for r in rows if r["what"] == "synflow"]
    dead = [r for r in rows if not r["path"]]
    verdicts |= {
        "synflow keeps a path": exact("a path", sum(not r["path"] for r in flow), len(flow)),
        "without a path, one class is guessed": exact(
            "accuracy 0.1, a class's share", sum(r["accuracy"] != 0.1 for r in dead), len(dead)
        ),
        "synflow's network learns, 10^1": learns(rows, "synflow"),
    }
    controls = {
        "shuffled labels": Control("labels of other digits", learns(rows, LABELS)),
        "at once, 10^2": Control(
            "synaptic flow scored once, against random", better(rows, ONCE, "random", HEADLINES[0])
        ),
    }
    engine = f"torch on {rows[0]['device']}, float32"
    facts = {"provenance": {**provenance(), "engine": engine},
             "published": PUBLISHED, "summary": summary(rows)}  # fmt: skip
    return Findings(verdicts, controls, facts)


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each method and compression: mean accuracy with its interval over seeds, and paths."""
    result = []
    for what, exponent in dict.fromkeys((r["what"], r["exponent"]) for r in rows):
        mine = list(of(rows, what, exponent).values())
        low, mean, high = interval([r["accuracy"] for r in mine])
        result.append(
            {"what": what, "exponent": exponent, "seeds": len(mine), "low": low, "mean": mean,
             "high": high, "paths": sum(r["path"] for r in mine),
             "layer_empty": sum(r["fewest"] == 0 for r in mine)}
        )  # fmt: skip
    return result


def interval(values: list[float]) -> tuple[float, float, float]:
    """A mean with its 95 % interval by resampling seeds."""
    from slth.stats.resample import RESAMPLES, interval, resampled_means

    table = np.array(values)[:, None]
    low, high = interval(resampled_means(table, RESAMPLES, 0), len(values), 0.95)
    mean = float(table.mean())
    return min(float(low[0]), mean), mean, max(float(high[0]), mean)


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[dict[str, Any]], out: Path) -> Any:
    """Accuracy against compression, of the methods and of variants of synaptic flow."""
    from slth import plot

    fig, (methods, variants) = plot.figure(1, 2, wide=True, height=3.1, sharey=True)
    table, arch = summary(rows), rows[0].get("arch", ARCHITECTURE)
    last = 10 ** max(s["exponent"] for s in table)
    dense = next(s["mean"] for s in table if s["what"] == DENSE)
    for ax, shown in ((methods, METHODS[::-1]), (variants, ("synflow", DEALT, ONCE))):
        for series, what in enumerate(shown):
            mine = [s for s in table if s["what"] == what]
            if mine:
                at = [10 ** s["exponent"] for s in mine]
                band = ([s[end] for s in mine] for end in ("low", "mean", "high"))
                look = series if ax is methods else (0, 5, 6)[series]
                plot.band(ax, at, *band, what, series=look, bars=True)
        plot.log_scale(ax, "x")
        for level, at, words in ((dense, last, "unpruned"), (0.1, 30, "guessing")):
            ax.axhline(level, color="0.5", linewidth=0.8)
            if ax is methods:
                ax.text(at, level + 0.01, words, ha="right", fontsize=plot.SMALL)
        ax.set(xlabel="compression [1]", ylim=(0, 1.05))
        plot.legend(ax, loc="upper right", bbox_to_anchor=(1.0, 0.9))
    methods.set_ylabel("accuracy after training [1]")
    shown = "" if arch == ARCHITECTURE else f"{arch}, "
    plot.title(methods, f"{shown}pruned before training, by five scores")
    anew = ", and dealt anew in its layers" if DEALT in VARIANTS[arch] else ""
    plot.title(variants, f"synaptic flow at once{anew}")
    plot.save(fig, out / name_of(arch))
    return fig


if __name__ == "__main__":
    run(main)

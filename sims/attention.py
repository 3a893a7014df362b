"""Attention hidden in random attention: error against width, and against the number of tokens.

Otsuka et al. (2025) prove that an attention block lies in a random one whose inner dimensions are
larger by a logarithmic factor, and report errors falling as 0.8 exp(−0.06 n_K) and flat in the
sequence length (single head, another task; their numbers are for orientation). Here: two targets
with random weights, drawn once: one attention block (8 channels, 2 heads), and an encoder layer
around such a block (feed-forward part of 16, layer normalisation with epsilon 0.1, residual
additions through identity diamonds). Inputs: every channel of every token in [−1, 1]. A ticket is
the optimum of every subset sum, n random inner neurons an input of each matrix pair (n_K = 8 n);
where ReLU lies between, n a half, about half of them usable, and identities of weight 1 to reach:
the encoder needs four times the width. 12 sources a point, nested in n; the error is the certified
one a token, so over √T. The ladders begin where the error is below a tenth of the output, by a
pilot on other seeds.

Claims, thresholds set beforehand: (1) the block's certified error falls as a logarithmic width
asks, by the family of laws of `slth.stats` over n = 10 to 22 (γ's interval above 0 by 0.3, last
third predicted); (2) so does the encoder's over 40 to 88; (3) no error depends on T: certified for
T = 2, 8, 32, 128 in one ticket, largest over least below 1.001; (4) attacked ≤ certified ≤ claimed
in every cell. Controls: kept sets dealt to other outputs, held to the claim; unnormalised attention
(no softmax) called independent of T.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np

from sims._protocol import Control, Findings, Options, exact, finish, options, run
from slth.stats.verdict import Verdict

NAME = "attention"
SEEDS, TOKENS = 12, 4
LADDERS = {"block": (10, 12, 14, 16, 18, 20, 22), "encoder": (40, 48, 56, 64, 72, 80, 88)}
FIRST_SEED = 100  # those below served to choose the ladders
LENGTHS = (2, 8, 32, 128)
FLAT = 1.001
DEALT_AT = 18


@cache
def target(what: str, tokens: int = TOKENS) -> Any:
    """The block or the encoder with that many tokens."""
    import torch
    from torch import nn

    from slth.attention import attention, encoder

    draw = torch.Generator().manual_seed(1)
    with torch.device("meta"):  # where torch's own initialisation draws nothing
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, layer_norm_eps=0.1)
    layer = layer.to_empty(device="cpu").double().eval()
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            size = weight.shape[-1] ** -0.5 if weight.ndim == 2 else 0.2
            weight.uniform_(-size, size, generator=draw)
            if name.startswith("norm") and name.endswith("weight"):
                weight.add_(1)
    return attention(layer.self_attn, tokens) if what == "block" else encoder(layer, tokens)


def cell(what: str, n: int, seed: int, dealt: bool = False) -> dict[str, Any]:
    """One ticket, certified, and certified again for other numbers of tokens."""
    import torch

    from slth.construct.pensia import Pensia
    from slth.domain import Box

    torch.set_num_threads(1)
    f = target(what)
    domain = Box(np.full(f.inputs, -1.0), np.ones(f.inputs))
    make = Pensia(domain=domain)
    ticket = make.build(f, make.source_for(f, seed, n))
    claim = ticket.claim
    if dealt:
        from sims.constructions import _dealt

        ticket = _dealt(ticket, seed)
    found = ticket.certified(f, domain, seed=0, restarts=8, steps=30)
    root = TOKENS**0.5
    return {
        "upper": found.upper / root,
        "lower": found.lower / root,
        "claimed": claim.error_bound / root,
        "gadget": max(claim.achieved),
        "kept": ticket.kept_in + ticket.kept_out,
        "lengths": [at_length(what, ticket, t) for t in LENGTHS],
        "summed": [summed(ticket, t, seed) for t in LENGTHS],
    }


def at_length(what: str, ticket: Any, tokens: int) -> float:
    """The same mask's certified error a token, for that many tokens."""
    from slth.certify.enclosure import enclose, upper_bound
    from slth.domain import Box
    from slth.effective import Effective

    f, e = target(what, tokens), ticket.effective
    held = Effective(e.positive, e.negative, e.bias, e.slack, f.wiring)
    domain = Box(np.full(f.inputs, -1.0), np.ones(f.inputs))
    return upper_bound(enclose(f, held, domain)) / tokens**0.5


def summed(ticket: Any, tokens: int, seed: int) -> float:
    """The first head's error without softmax, x V summed over all tokens, at random inputs."""
    f, e = target("block"), ticket.effective
    values = len(f.weights) // 2
    x = np.random.default_rng(seed).uniform(-1, 1, (tokens, 8))
    matrix = f.weights[values].reshape(8, 8)
    off = x @ (e.positive[values] - matrix).T
    return float(np.linalg.norm(np.abs(off).sum(axis=0)))


def cells(smoke: bool) -> list[dict[str, Any]]:
    seeds = range(FIRST_SEED, FIRST_SEED + (2 if smoke else SEEDS))
    found: list[dict[str, Any]] = [
        {"what": what, "n": n, "seed": seed}
        for what, ladder in LADDERS.items()
        for n in (ladder[4:5] if smoke else ladder)
        for seed in seeds
    ]
    found += [{"what": "block", "n": DEALT_AT, "seed": s, "dealt": True} for s in seeds]
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


def curves(rows: list[dict[str, Any]], what: str, key: str) -> tuple[list[int], np.ndarray]:
    """n and errors `[seeds, n]` of one target's honest tickets."""
    mine = {(r["seed"], r["n"]): r[key] for r in rows if r["what"] == what and not r.get("dealt")}
    ns, seeds = sorted({n for _, n in mine}), sorted({s for s, _ in mine})
    return ns, np.array([[mine[s, n] for n in ns] for s in seeds])


def falls(rows: list[dict[str, Any]], what: str) -> Verdict:
    """The claim of a logarithmic width, by the family of laws."""
    from slth.stats.lawfit import law_fit, law_verdict

    ns, errors = curves(rows, what, "upper")
    found = law_verdict(law_fit(ns, errors, 0))
    return found.logarithmic


def flat(rows: list[dict[str, Any]], key: str) -> Verdict:
    ratios = [max(r[key]) / min(r[key]) for r in rows if not r.get("dealt")]
    found = exact(f"largest over least < {FLAT}", sum(x >= FLAT for x in ratios), len(ratios))
    reason = f"{found.reason}; at most {max(ratios):.6g} over T = {', '.join(map(str, LENGTHS))}"
    return Verdict(found.state, reason, found.p_value, found.evidence)


def analyse(rows: list[dict[str, Any]]) -> Findings:
    """Every claim with its verdict, every control, and the numbers behind them."""
    honest = [r for r in rows if not r.get("dealt")]
    wrong = sum(not r["lower"] <= r["upper"] <= r["claimed"] * (1 + 1e-9) for r in honest)
    verdicts = {
        "attack ≤ certificate ≤ claim": exact("in every cell", wrong, len(honest)),
        "no error depends on the number of tokens": flat(rows, "lengths"),
    }
    if len({r["n"] for r in rows}) > 4:
        verdicts |= {
            f"{what}: logarithmic width": falls(rows, what) for what in ("block", "encoder")
        }
    dealt = [r for r in rows if r.get("dealt")]
    broken = sum(r["lower"] > r["claimed"] for r in dealt)
    controls = {
        "dealt": Control(
            "kept sets dealt to other outputs", exact("attack ≤ claim", broken, len(dealt))
        ),
        "summed": Control("values summed over tokens, no softmax", flat(rows, "summed")),
    }
    table = {}
    for what in ("block", "encoder"):
        for key in ("upper", "lower", "gadget"):
            ns, errors = curves(rows, what, key)
            table[f"{what} {key}"] = dict(zip(map(str, ns), np.median(errors, axis=0), strict=True))
    slope = {}
    for what in LADDERS:
        ns, errors = curves(rows, what, "upper")
        if len(ns) > 1:
            slope[what] = float(np.polyfit(ns, np.log(np.median(errors, axis=0)), 1)[0])
    return Findings(verdicts, controls, {"medians": table, "ln error a neuron": slope})


def figure(rows: list[dict[str, Any]], out: Path) -> Any:
    """Error against inner neurons an input, and against tokens."""
    from slth import plot

    fig, axes = plot.figure(1, 3, wide=True, height=2.6)
    for ax, what in zip(axes, LADDERS, strict=False):
        for series, (key, word) in enumerate((("upper", "certified"), ("lower", "attacked"))):
            ns, errors = curves(rows, what, key)
            low, mid, high = np.quantile(errors, [0.1, 0.5, 0.9], axis=0)
            plot.band(ax, ns, low, mid, high, word, series=series)
        ax.set_yscale("log")
        ax.set_xlabel("random inner neurons, n [1]")
        ax.set_ylabel("error a token [1]")
        plot.title(ax, {"block": "attention block", "encoder": "encoder layer"}[what])
        plot.legend(ax)
    length = axes[2]
    for number, what in enumerate(LADDERS):
        mine = [r for r in rows if r["what"] == what and not r.get("dealt")]
        last = max(r["n"] for r in mine)
        lengths = [r["lengths"] for r in mine if r["n"] == last]
        low, mid, high = np.quantile(lengths, [0.1, 0.5, 0.9], axis=0)
        plot.band(length, LENGTHS, low, mid, high, f"{what}, n = {last}", series=2 * number)
    plot.log_scale(length)
    length.set_xlabel("tokens, T [1]")
    length.set_ylabel("certified error a token [1]")
    plot.title(length, "longer sequences")
    plot.legend(length)
    return plot.save(fig, out / NAME)


if __name__ == "__main__":
    run(main)

"""`slth bounds`: what every theorem asks for at one point, beside what was measured."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from slth import bounds
from slth.bounds import Bound, Kind, Provenance, TargetClass, unit_class
from slth.errors import BadInput
from slth.threads import workers

MOST_WIDTH, MOST_LAYERS = 10**9, 1000
GROUPS = ("explicit", "rate", "lower", "other", "display")
EXPLICIT, RATE, LOWER, OTHER, DISPLAY = range(5)
NEED = ("need", "need_least", "need_low", "need_high", "need_kind", "slack")


# -- the class -------------------------------------------------------------------------------------


def target_class(
    dims: str | None,
    entries: str,
    kernels: str | None,
    heads: int,
    model: str | None,
    state: str | None,
    ball: float | None,
    box: tuple[float, float] | None,
) -> TargetClass:
    """The class that the options describe: networks of some widths, or that of one network."""
    if (dims is None) == (model is None):
        raise click.UsageError("give --dims or --model, one of them", click.get_current_context())
    if model is None:
        if ball is not None or box is not None or state is not None:
            raise click.UsageError("--ball, --box and --state go with --model")
        assert dims is not None
        widths = whole("--dims", dims, MOST_LAYERS + 1, MOST_WIDTH)
        if len(widths) < 2:
            allowed = f"2 to {MOST_LAYERS + 1} whole numbers with commas between"
            raise BadInput("--dims", dims, allowed, "give inputs and outputs too: 784,500,10")
        sides = None if kernels is None else whole("--kernels", kernels, MOST_LAYERS, 1000)
        return unit_class(*widths, entries=entries, kernels=sides, heads=heads)  # type: ignore[arg-type]
    from slth.cli import inputs
    from slth.domain import Ball
    from slth.target import Target

    if kernels is not None or heads:
        raise click.UsageError("--kernels and --heads go with --dims")
    target = inputs.target(model, state)
    if not isinstance(target, Target):
        allowed = "a stack of Linear and ReLU"
        raise BadInput(
            "--model", model, allowed, "give --dims and --kernels of a convolutional one"
        )
    over = inputs.domain(target, ball, box) or Ball(1.0, target.dims[0])
    return bounds.facts(target, over)


def whole(name: str, text: str, most: int, largest: int) -> tuple[int, ...]:
    """Whole numbers >= 1 with commas between."""
    allowed = f"at most {most} whole numbers from 1 to {largest:g} with commas between"
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not 1 <= len(found) <= most or not all(1 <= n <= largest for n in found):
        raise BadInput(name, text, allowed, "for example 784,500,10")
    return found


def check_point(target: TargetClass, epsilon: float, delta: float) -> None:
    """Raise BadInput where no theorem could say anything: the zero network would do, or δ is no
    probability of failure."""
    for name, value, example in (("--epsilon", epsilon, 0.01), ("--delta", delta, 0.01)):
        if not math.isfinite(value):
            remedy = f"give a number such as {example}"
            raise BadInput(name, f"{value}, which is not a finite number", "finite numbers", remedy)
    size = target.input_radius * math.prod(target.spectral_norms)
    most = math.inf if target.biases or target.heads or target.kernels else size
    if not bounds.LEAST_EPSILON <= epsilon < most:
        allowed = f"a number from {bounds.LEAST_EPSILON:g}" + (
            f" to below {most:.6g}, the largest value in the class"
            if math.isfinite(most)
            else " on"
        )
        remedy = "a larger one" if epsilon < most else "a smaller one: here the zero network serves"
        raise BadInput("--epsilon", epsilon, allowed, f"choose {remedy}")
    if not 1e-200 <= delta < 1:
        remedy = "choose a failure probability such as 0.01"
        raise BadInput("--delta", delta, "a number from 1e-200 to below 1", remedy)


# -- the facts -------------------------------------------------------------------------------------


def variants(name: str | None = None) -> Iterator[tuple[str, str, Bound]]:
    """(theorem, variant, bound) of all theorems, or of NAME or NAME:VARIANT."""
    asked, _, form = (name or "").replace("-", "_").partition(":")
    if name is not None and asked not in bounds.bounds():
        known = ", ".join(n.replace("_", "-") for n in bounds.bounds())
        raise BadInput("NAME", name, known, "choose one of these")
    for theorem in (asked,) if name is not None else bounds.bounds():
        found = bounds.load(theorem).variants()
        labels = [label(bound, found) for bound in found]
        if form and form not in [one.replace("-", "_") for one in labels]:
            known = ", ".join(f"{theorem}:{one}".replace("_", "-") for one in labels if one)
            raise BadInput("NAME", name, known or theorem, "choose one of these")
        for one, bound in zip(labels, found, strict=True):
            if not form or one.replace("-", "_") == form:
                yield theorem, one, bound


def label(bound: Bound, among: Sequence[Bound]) -> str:
    """The values of the fields in which a theorem's variants differ; empty for a single one."""
    fields = [field.name for field in dataclasses.fields(bound)]  # type: ignore[arg-type]
    differ = [f for f in fields if len({getattr(other, f) for other in among}) > 1]
    return "-".join(str(getattr(bound, f)) for f in differ)


def row(
    name: str, variant: str, bound: Bound, target: TargetClass, epsilon: float, delta: float
) -> dict[str, Any]:
    """One theorem's numbers: what its formula gives, also where norms or biases break a hypothesis;
    null outside its limits, and where it is about other kinds of networks altogether."""
    low, high = bound.limits(target)
    tame = unit_class(*target.dims, entries="malach", kernels=target.kernels, heads=target.heads)
    speaks = low < epsilon < high and not bound.hypotheses(tame)
    size, value, silent = None, [], bound.silence(target, epsilon, delta)
    try:
        if speaks:
            value = [float(v) for v in bound.ask(target, epsilon, delta).flat]
            if not all(map(math.isfinite, value)):
                raise BadInput(
                    "epsilon", epsilon, "what the formula can be evaluated at", "ask less"
                )
            size = bound.size(target, epsilon, delta)
    except BadInput as error:
        value, silent = [], [*silent, str(error)]
    group = group_of(bound)
    samples = size.samples if size is not None else None
    return {
        "name": name,
        "variant": variant,
        "theorem": bound.citation.short,
        "group": GROUPS[group],
        "kind": str(bound.kind),
        "provenance": str(bound.provenance),
        "quantity": bound.statement.quantity,
        "epsilon_is": bound.statement.epsilon,
        "value": value,
        "rate": max(value) if value and bound.kind == Kind.ASYMPTOTIC else None,
        "samples": max(samples) if samples else None,
        "width": max(size.widths) if size is not None and size.widths else None,
        "weights": size.weights if size is not None else None,
        "hypotheses": bound.hypotheses(target),
        "silent": silent,
        **needed(bound, target, epsilon, delta, samples, group, not silent),
    }


def group_of(bound: Bound) -> int:
    """Which table a bound belongs to, whether or not it speaks at a point."""
    if bound.provenance == Provenance.REMEMBERED:
        return DISPLAY
    if bound.kind == Kind.ASYMPTOTIC:
        return RATE
    if type(bound).size is Bound.size:
        return OTHER
    return LOWER if "at least" in bound.statement.quantity else EXPLICIT


def needed(
    bound: Bound, target: TargetClass, epsilon: float, delta: float,
    samples: tuple[float, ...] | None, group: int, speaks: bool,
) -> dict[str, Any]:  # fmt: skip
    """The need in the layer whose n is shown, and the slack: the theorem's n over it, or it over a
    lower bound, in the whole numbers that are shown; of a range that end which makes it least."""
    from slth.needs import beside, whole

    found = beside(bound, target, epsilon, delta) if samples and speaks else None
    if not found or not samples or group not in (EXPLICIT, LOWER):
        return dict.fromkeys(NEED)
    layer = samples.index(max(samples))
    need, asked = found[layer], samples[layer]
    above, below = (need.least, whole(asked)) if group == LOWER else (whole(asked), need.most)
    known = not math.isnan(need.low)
    return {
        "need": need.most,
        "need_least": need.least,
        "need_low": need.low if known else None,
        "need_high": need.high if known else None,
        "need_kind": str(need.kind),
        "slack": above / below if below > 0 and not need.own else None,
    }


def rows(target: TargetClass, epsilon: float, delta: float) -> list[dict[str, Any]]:
    """Every variant of every theorem: those that suffice, rates, lower bounds, others, remembered
    ones; by year in each group."""
    chosen = list(variants())
    with ThreadPoolExecutor(workers()) as pool:
        made = pool.map(lambda one: row(one[0], one[1], one[2], target, epsilon, delta), chosen)
        found = [(b.citation.year, one) for (_, _, b), one in zip(chosen, made, strict=True)]
    found.sort(key=lambda item: (GROUPS.index(item[1]["group"]), item[0]))
    return [entry for _, entry in found]


def single(name: str, target: TargetClass, epsilon: float, delta: float) -> list[dict[str, Any]]:
    """The variants of one theorem, with their statements; BadInput outside the limits of any."""
    found, chosen = [], list(variants(name))
    for theorem, variant, bound in chosen:
        try:
            bound.ask(target, epsilon, delta)
        except BadInput as error:
            full = f"{theorem}:{variant}".replace("_", "-").rstrip(":")
            others = [v for _, v, _ in chosen if v != variant]
            hint = f", or ask for one variant: {theorem}:{others[0]}" if others else ""
            remedy = error.remedy + hint.replace("_", "-")
            raise BadInput(f"--epsilon for {full}", epsilon, error.allowed, remedy) from None
        statement = bound.statement
        found.append(
            {
                **row(theorem, variant, bound, target, epsilon, delta),
                "citation": str(bound.citation),
                "statement": statement.text,
                "formula": bound.latex,
                "algorithm": statement.algorithm,
            }
        )
    return found

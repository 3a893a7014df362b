"""The collapse diagram: what each pruning method leaves of an architecture at every compression.

A grid of cells for `slth.sweep`. A method of a single shot is one cell a seed, since one scoring
gives every mask; a method that scores anew on the way is a cell for each seed and compression, the
last of which looks for its critical compression too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from slth.collapse import Collapse, Maximal, collapse, critical, maximal
from slth.errors import BadInput
from slth.mask import count_for

if TYPE_CHECKING:
    from torch import nn

    from slth.pruning import Context, Masks, Saliency

Row = dict[str, Any]
CELL = "slth.collapse.diagram:cell"
STEPS = 100  # of methods that score anew, as published


@dataclass(frozen=True)
class Setting:
    """Everything that a cell shares with the others of its diagram; JSON-able.

    shape: of one input, by default the architecture's own. data, per_class: what methods that need
    a loss look at (slth.data.batches). steps: of methods that score anew. device: torch's name.
    """

    arch: str
    shape: tuple[int, ...] | None = None
    classes: int | None = None
    init: str = "kaiming_normal"
    data: str = "gaussian"
    per_class: int = 10
    steps: int = STEPS
    device: str = "cpu"

    def model(self, seed: int) -> nn.Module:
        from slth.nets.architectures import build

        return build(self.arch, self.shape, self.classes, seed, self.init).to(self.device)

    def context(self, saliency: Saliency, model: nn.Module, seed: int) -> Context:
        """What the saliency may look at; data come from a seed of their own."""
        from slth.nets.architectures import input_shape
        from slth.pruning import Context

        shape = tuple(self.shape or input_shape(self.arch))
        if not saliency.data:
            return Context(shape, seed=seed)
        from slth.data.batches import batch

        x, y = batch(self.data, shape, self._outputs(model), self.per_class, seed)
        return Context(shape, (x.to(self.device), y.to(self.device)), seed)

    def _outputs(self, model: nn.Module) -> int:
        from slth.pruning._layers import layers

        return int(layers(model)[-1].module.weight.shape[0])

    def check(self) -> Maximal:
        """Refuse what no cell could run with, before any does; the maximal compressions."""
        import torch

        from slth.data.batches import DATA

        if self.data not in DATA:
            raise BadInput("data", self.data, ", ".join(DATA), "choose one")
        try:
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            why = str(error).splitlines()[0]
            raise BadInput("device", f"{self.device}: {why}", "cpu or cuda", "use cpu") from None
        return maximal(self.model(0))

    def check_data(self, methods: Sequence[str]) -> None:
        """Refuse data of another kind than the architecture's input, if a method looks at them."""
        from slth.pruning import load

        seeing = [method for method in methods if load(method).data]
        if seeing and self.data != "gaussian":  # noise has any shape, and may be large
            self.context(load(seeing[0])(), self.model(0), 0)


def exponents(largest: float, per_decade: int) -> list[float]:
    """Compressions 1, …, by equal ratios, as far as `largest`, which ends the list."""
    count = math.floor(math.log10(largest) * per_decade + 1e-9)
    found = [10 ** (i / per_decade) for i in range(count + 1)]
    return [*(c for c in found if c < largest * (1 - 1e-9)), largest]


def cells(
    setting: Setting, methods: Sequence[str], seeds: Sequence[int], compressions: Sequence[float]
) -> list[Row]:
    """The grid: parameters of `cell` for every method and seed; at least one compression."""
    from slth.pruning import load

    shared, found = asdict(setting), []
    for method in methods:
        for seed in seeds:
            if load(method).one_shot:
                parts = [(list(compressions), True)]
            else:
                *others, last = compressions
                parts = [([c], False) for c in others] + [([last], True)]
            for points, limit in parts:
                found.append({**shared, "method": method, "seed": seed, "compressions": points,
                              "limit": limit})  # fmt: skip
    return found


def cost(row: Mapping[str, Any]) -> float:
    """Guessed time of a cell, in scorings."""
    from slth.pruning import load

    if load(row["method"]).one_shot:
        return 10.0
    runs = len(row["compressions"]) + (6 if row["limit"] else 0)
    return float(row["steps"]) * runs


def cell(
    method: str, seed: int, compressions: list[float], limit: bool, **shared: Any
) -> dict[str, Any]:
    """What a method leaves at each compression, and (limit) its critical compression.

    points: a dict a compression (`point`); critical: kept counts by both criteria, or None.
    """
    from slth.pruning import load, prune
    from slth.pruning._layers import all_kept, layers

    setting = Setting(**{**shared, "shape": shared["shape"] and tuple(shared["shape"])})
    model, saliency = setting.model(seed), load(method)()
    context, masks = setting.context(saliency, model, seed), all_kept(layers(model))
    size = sum(mask.numel() for mask in masks.values())
    whole = log_flow(model, masks, context)
    if saliency.one_shot:
        nested = critical.Nested.of(saliency.scores(model, masks, context))

        def left(compression: float) -> Masks:
            return nested.at(count_for(1 / compression, size))
    else:

        def left(compression: float) -> Masks:
            return prune(model, saliency, compression, context=context, steps=setting.steps).masks

    points, known = [], {}
    for compression in compressions:
        kept = left(compression)
        state = collapse(model, kept, context.shape)
        known[state.kept] = state
        flow = log_flow(model, kept, context) - whole if state.path else -math.inf
        points.append(point(state, compression, flow))
    found = None
    if limit and saliency.one_shot:
        found = critical.single_shot(model, nested, context.shape)
    elif limit:
        found = critical.rescored(
            lambda kept: known.get(kept) or collapse(model, left(size / kept), context.shape),
            size,
            len(masks),
        )
    return {"points": points, "critical": None if found is None else asdict(found)}


def point(state: Collapse, compression: float, flow: float) -> Row:
    """What is left as the table has it; flow: log10 of R over the unpruned network's."""
    return {
        "compression": compression,
        "kept": state.kept,
        "fewest": state.fewest,
        "thinnest": state.thinnest,
        "empty": len(state.empty),
        "path": state.path,
        "flow": flow if math.isfinite(flow) else None,
    }


def log_flow(model: nn.Module, masks: Masks, context: Context) -> float:
    """log10 of R = 1ᵀ(Π|θ|)1 at the masked weights, without biases; −inf without a path."""
    import torch

    from slth.pruning import _flow
    from slth.pruning._layers import layers
    from slth.pruning._pass import mode, run
    from slth.pruning._scaled import Scaled, _Tally

    tensors = _flow.surroundings(model, (), _flow.Options(biases=False), torch.float64)
    for layer in layers(model, shortcuts=True):
        if layer.name in masks:
            tensors[layer.parameter] *= masks[layer.name]
    device = next(iter(tensors.values())).device
    x = torch.ones((1, *context.shape), dtype=torch.float64, device=device)
    with mode(model, training=False), torch.no_grad():
        out = run(model, tensors, Scaled.of(x, 0, _Tally()))
    value, exponent = (out.value, out.exponent) if isinstance(out, Scaled) else (out, 0)
    total = float(value.sum())
    return math.log10(total) + exponent * math.log10(2) if total > 0 else -math.inf


def rows(records: Sequence[Row]) -> Iterator[Row]:
    """A row for each architecture, method, seed and compression, as the table has them."""
    for record in records:
        shared = {key: record[key] for key in ("arch", "method", "steps", "seed")}
        yield from ({**shared, **found} for found in record["points"])


def limits(records: Sequence[Row], method: str) -> list[critical.Critical]:
    """The critical compressions of a method, a seed each."""
    return [
        critical.Critical(**record["critical"])
        for record in records
        if record["method"] == method and record["critical"] is not None
    ]

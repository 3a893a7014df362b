"""One search under way: its layers, where it stands, and that as a file to go on from."""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slth.errors import BadInput
from slth.supermask import _frozen
from slth.supermask._found import Epoch, Found, hash_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from slth.supermask import Frozen, Layer, MaskSearch, Moment, Objective

ORDER, NOISE, SCORES = 0, 1, 2  # what the children of a search's seed are for
JUDGED = 1024  # examples judged at a time


@dataclass(frozen=True, eq=False)
class Plan:
    """What a search is: nothing here changes while it runs."""

    model: nn.Module
    method: MaskSearch
    objective: Objective
    density: float
    epochs: int
    batch: int
    seed: int
    source: Frozen | None
    precision: str


@dataclass(eq=False)
class _Run:
    """Where a search stands: the layers' tensors and what was measured."""

    plan: Plan
    layers: list[Layer]
    before: str
    epoch: int = 0
    history: list[Epoch] = field(default_factory=list)

    @classmethod
    def of(cls, plan: Plan) -> _Run:
        """The beginning of a search; draws the weights where the plan says so."""
        import torch

        if plan.source is not None:
            _frozen.layers_of(plan.model, plan.method, plan.density)  # refuse before drawing
            plan.source.draw(plan.model)
        layers = _frozen.layers_of(plan.model, plan.method, plan.density)
        with torch.no_grad():
            plan.method.begin(layers, _generator(plan.seed, SCORES, 0, "cpu"))
        return cls(plan, layers, hash_of({la.name: la.weight for la in layers}))

    # -- the data ------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        return self.layers[0].weight.device

    @cached_property
    def examples(self) -> tuple[Tensor, Tensor]:
        return self._moved(self.plan.objective.inputs, self.plan.objective.wanted)

    @cached_property
    def judged(self) -> tuple[Tensor, Tensor]:
        return self._moved(*self.plan.objective.judged)

    def _moved(self, inputs: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        weight = self.layers[0].weight
        return inputs.to(weight), wanted.to(weight.device)

    @property
    def steps(self) -> int:
        """In an epoch; the last batch may be smaller."""
        return math.ceil(len(self.plan.objective.inputs) / self.plan.batch)

    def order(self) -> Tensor:
        """This epoch's order of the examples."""
        import torch

        draw = _generator(self.plan.seed, ORDER, self.epoch, "cpu")
        return torch.randperm(len(self.plan.objective.inputs), generator=draw).to(self.device)

    # -- the moment ----------------------------------------------------------------------------

    def moment(self) -> Moment:
        """The beginning of the present epoch."""
        from slth.supermask import Moment

        noise = _generator(self.plan.seed, NOISE, self.epoch, self.device)
        step = self.epoch * self.steps
        return Moment(self.epoch, self.plan.epochs, step, noise, self.plan.source)

    def rate(self) -> float:
        """The learning rate of the present epoch."""
        method = self.plan.method
        if method.schedule == "constant":
            return method.rate
        return method.rate * (1 + math.cos(math.pi * self.epoch / self.plan.epochs)) / 2

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        import torch

        if self.plan.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    @contextlib.contextmanager
    def prepared(self, threads: int) -> Iterator[None]:
        """The model computing with the effective weights; afterwards it is as it was."""
        import torch

        from slth.pruning._pass import mode

        model, held = self.plan.model, _frozen.statistics(self.plan.model)
        before = torch.get_num_threads()
        torch.set_num_threads(threads)  # sums depend on it, and a run goes on as it began
        try:
            effective = {layer.name: layer.effective for layer in self.layers}
            with mode(model, training=False), _frozen.replaced(model, effective):
                yield
        finally:
            torch.set_num_threads(before)
            _frozen.restore_statistics(model, held)

    def check(self) -> None:
        """Raise BadInput where the model and the examples do not fit together."""
        import torch

        from slth.pruning._pass import run

        inputs, wanted = self.examples
        self.plan.model.eval()
        with torch.no_grad():
            outputs = run(self.plan.model, {}, inputs[:2])
        self.plan.objective.check(outputs, wanted)

    def numbers(self) -> bool:
        """Whether all scores are finite numbers."""
        return all(bool(layer.scores.isfinite().all()) for layer in self.layers)

    # -- what was found ------------------------------------------------------------------------

    def measure(self, masks: list[Tensor]) -> dict[str, float]:
        """The judged examples' measures of the network with these masks."""
        import torch

        from slth.supermask._select import compute_with

        method, model = self.plan.method, self.plan.model
        inputs, wanted = self.judged
        model.eval()
        with torch.no_grad(), self.autocast():
            for layer, mask in zip(self.layers, masks, strict=True):
                compute_with(layer, mask, method.scale(layer, mask))
            parts = range(0, len(inputs), JUDGED)
            outputs = torch.cat([model(inputs[i : i + JUDGED]) for i in parts])
        return self.plan.objective.measure(outputs, wanted)

    def found(self, seconds: float, stopped: str | None) -> Found:
        """The masks of the end, measured."""
        import torch

        plan = self.plan
        with torch.no_grad():
            masks = plan.method.masks(self.layers)
            measures = self.measure(masks)
            pairs = list(zip(self.layers, masks, strict=True))
            scales = {la.name: float(plan.method.scale(la, mask)) for la, mask in pairs}
            weights = hash_of({layer.name: layer.weight for layer in self.layers})
        assert plan.method.redraws or weights == self.before, "the weights were touched"
        generations = {
            layer.name: layer.extra["generation"].cpu()
            for layer in self.layers
            if "generation" in layer.extra
        }
        return Found(
            masks={layer.name: mask.cpu() for layer, mask in pairs},
            method=type(plan.method).__module__.rsplit(".", 1)[-1].replace("_", "-"),
            settings=asdict(plan.method),
            density=plan.density,
            seed=plan.seed,
            source=None if plan.source is None else plan.source.to_json(),
            weights=weights,
            scales=scales,
            signs=plan.method.signs,
            statistics={n: t.cpu() for n, t in _frozen.statistics(plan.model).items()},
            generations=generations,
            history=tuple(self.history),
            measures=measures,
            seconds=seconds,
            notes=_frozen.plainly(plan.model, [layer.name for layer in self.layers]),
            stopped=stopped,
        )

    # -- going on ------------------------------------------------------------------------------

    @cached_property
    def identity(self) -> str:
        """What must be the same for one run to go on from another's file."""
        plan = self.plan
        return json.dumps(
            {
                "method": type(plan.method).__name__,
                "settings": asdict(plan.method),
                "density": plan.density,
                "epochs": plan.epochs,
                "batch": plan.batch,
                "seed": plan.seed,
                "precision": plan.precision,
                "device": self.device.type,
                "weights": self.before,
                "data": plan.objective.fingerprint,
            },
            sort_keys=True,
        )

    def state(self) -> dict[str, Any]:
        """A copy of everything that moves."""
        return {
            "epoch": self.epoch,
            "history": [asdict(epoch) for epoch in self.history],
            "scores": [layer.scores.clone() for layer in self.layers],
            "extra": [{k: t.clone() for k, t in layer.extra.items()} for layer in self.layers],
            "weights": [la.weight.clone() for la in self.layers]
            if self.plan.method.redraws
            else [],
            "statistics": _frozen.statistics(self.plan.model),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Stand where `state` was taken."""
        import torch

        with torch.no_grad():
            for layer, scores, extra in zip(
                self.layers, state["scores"], state["extra"], strict=True
            ):
                layer.scores.copy_(scores)
                layer.extra.clear()
                layer.extra.update({k: t.to(layer.scores.device) for k, t in extra.items()})
            for layer, weight in zip(self.layers, state["weights"], strict=False):
                layer.weight.copy_(weight)
        _frozen.restore_statistics(self.plan.model, state["statistics"])
        self.epoch = state["epoch"]
        self.history = [Epoch(**epoch) for epoch in state["history"]]

    def save(self, path: str | Path, seconds: float) -> None:
        import torch

        from slth.files import write_atomically

        content = {
            "identity": self.identity,
            "threads": torch.get_num_threads(),
            "seconds": seconds,
            "state": self.state(),
        }
        held = io.BytesIO()
        torch.save(content, held)
        with write_atomically(path) as stream:
            stream.write(held.getbuffer())

    def saved(self, path: str | Path | None) -> dict[str, Any] | None:
        """What `save` wrote there, None where there is nothing; BadInput where it is another's."""
        import torch

        if path is None or not Path(path).exists():
            return None
        try:
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            same = content["identity"] == self.identity
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
            remedy = "remove it to begin anew"
            raise BadInput(str(path), got, "a checkpoint of a mask search", remedy) from error
        if not same:
            allowed = "a checkpoint of this very search: model, data, method and settings"
            raise BadInput(
                str(path), _difference(content["identity"], self.identity), allowed,
                "repeat the settings it was made with, or remove it to begin anew",
            )  # fmt: skip
        return content


def _difference(theirs: str, ours: str) -> str:
    a, b = json.loads(theirs), json.loads(ours)
    return "another " + ", ".join(key for key in b if a.get(key) != b[key])


def _generator(seed: int, purpose: int, number: int, device: Any) -> torch.Generator:
    import torch

    words = np.random.SeedSequence((seed, purpose, number)).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(words[0] >> np.uint64(1)))

"""The loop that every mask search shares: steps, epochs, checkpoints, and stopping in order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from slth.errors import BadInput

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from slth.supermask import Found, Frozen, MaskSearch, Moment, Objective
    from slth.supermask._run import _Run


@dataclass(frozen=True)
class Progress:
    """Sent before every step and at the end; counts from 0, loss and measures of the last epoch."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    measures: dict[str, float]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a search; `found` holds the masks at the end of the last whole epoch."""

    def __init__(self, found: Found) -> None:
        super().__init__()
        self.found = found


def search(
    model: nn.Module,
    method: MaskSearch,
    objective: Objective,
    *,
    density: float,
    epochs: int = 20,
    batch: int = 128,
    seed: int = 0,
    source: Frozen | None = None,
    device: str | None = None,
    precision: Literal["float32", "mixed"] = "float32",
    progress: Callable[[Progress], None] | None = None,
    checkpoint: str | Path | None = None,
) -> Found:
    """Search a mask of `density` (the fraction kept) over the frozen weights of `model`.

    Every layer keeps its own share, or all layers together theirs where the method ranks the whole;
    always exactly so many. source: what to draw the weights from first, None for the model's own.
    device: where to; None stays where the model is. precision: "mixed" computes forward and
    backward passes in bfloat16 where torch's autocast does; scores stay as they are. seed: of
    scores, batches and noise, not of the weights. checkpoint: a file written after every epoch;
    where it exists already, the search goes on from there and ends as it would have without a
    break, bit for bit on the same machine.

    The model comes back with the parameters it came with, untouched (a method that `redraws` leaves
    the weights that its masks are for), and with its buffers. A loss or gradient that is no number
    ends the search: the masks are those of the last whole epoch and `stopped` names the step.
    Ctrl-C raises `Interrupted`, which carries the masks so far.

    Raises BadInput on a density outside (0, 1], a layer whose share rounds to nothing, a model
    without layers or with weights that somebody trains, and a checkpoint of another search.
    """
    import torch

    from slth.supermask._run import Plan, _Run

    if epochs < 0 or batch < 1:
        got = f"{epochs} epochs of batches of {batch}"
        raise BadInput("epochs, batch", got, "epochs ≥ 0, batch ≥ 1", "ask for more")
    if precision not in ("float32", "mixed"):
        raise BadInput("precision", precision, "float32, mixed", "choose one")
    if device is not None:
        model.to(_device(device))
    epochs = epochs if method.moves else 0
    plan = Plan(model, method, objective, density, epochs, batch, seed, source, precision)
    run = _Run.of(plan)
    saved = run.saved(checkpoint)
    threads = torch.get_num_threads() if saved is None else saved["threads"]
    started = time.perf_counter() - (0.0 if saved is None else saved["seconds"])
    with run.prepared(threads):
        run.check()
        if saved is not None:
            run.load(saved["state"])
        held, stopped = run.state(), None
        try:
            while run.epoch < epochs and stopped is None:
                held = run.state()
                stopped = _epoch(run, progress)
                if stopped is not None:
                    run.load(held)
                elif checkpoint is not None:
                    run.save(checkpoint, time.perf_counter() - started)
        except KeyboardInterrupt:
            run.load(held)
            said = f"interrupted in epoch {run.epoch + 1} of {epochs}"
            raise Interrupted(run.found(time.perf_counter() - started, said)) from None
        if progress is not None:
            progress(_standing(run, 0))
        return run.found(time.perf_counter() - started, stopped)


def _epoch(run: _Run, progress: Callable[[Progress], None] | None) -> str | None:
    """One epoch of steps; what stopped it, or None."""
    import torch

    from slth.supermask._found import Epoch

    moment = run.moment()
    inputs, wanted = run.examples
    order, total = run.order(), 0.0
    _train(run.plan.model)
    for i in range(run.steps):
        rows = order[i * run.plan.batch : (i + 1) * run.plan.batch]
        if progress is not None:
            progress(_standing(run, i))
        value = step(run, moment, inputs[rows], wanted[rows])
        if not math.isfinite(value):
            where = f"step {moment.step + 1} (epoch {run.epoch + 1} of {moment.epochs})"
            return f"the loss, a gradient or a score is no number at {where}"
        total += value * len(rows)
        moment = replace(moment, step=moment.step + 1)
    if not run.numbers():
        return f"scores are no finite numbers after step {moment.step} (epoch {run.epoch + 1})"
    with torch.no_grad():
        run.plan.method.close(run.layers, moment)
        masks = run.plan.method.current(run.layers, moment)
    run.history.append(Epoch(total / len(order), run.measure(masks)))
    run.epoch += 1
    return None


def step(run: _Run, moment: Moment, inputs: Tensor, wanted: Tensor) -> float:
    """One step of the search; the loss, or NaN where it or a gradient is no number."""
    import torch

    from slth.supermask._descent import descend

    method, layers, rate = run.plan.method, run.layers, run.rate()
    try:
        with torch.no_grad():
            method.relax(layers, moment)
    except BadInput:
        if run.numbers():
            raise
        return math.nan
    with torch.enable_grad(), run.autocast():
        loss = run.plan.objective.loss(run.plan.model(inputs), wanted)
    gradients = torch.autograd.grad(loss, [layer.effective for layer in layers])
    with torch.no_grad():
        # one number travels to the host: no number as soon as anything is none
        value = float(loss.detach() + 0 * torch.stack([g.sum() for g in gradients]).sum())
        if not math.isfinite(value):
            return math.nan
        for layer, gradient in zip(layers, gradients, strict=True):
            moved = method.gradient(layer, gradient, moment)
            descend(method, layer, moved, rate, moment.step)
        method.after(layers, moment)
    return value


def _train(model: nn.Module) -> None:
    """Training mode, except for dropout: its noise would come from a generator that all share."""
    from torch.nn.modules.dropout import _DropoutNd

    model.train()
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            module.eval()


def _standing(run: _Run, i: int) -> Progress:
    last = run.history[-1] if run.history else None
    loss = math.nan if last is None else last.loss
    measures = {} if last is None else dict(last.measures)
    return Progress(run.epoch, run.plan.epochs, i, run.steps, loss, measures)


def _device(name: str) -> torch.device:
    import torch

    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        got = f"{name}: {str(error).splitlines()[0]}"
        raise BadInput("device", got, "cpu, or cuda where there is one", "pass cpu") from None
    return device

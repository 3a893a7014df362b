"""What `prune` repeats: score, rank, remove. One way for every saliency, a faster one for flow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from slth.pruning import _flow, _masking
from slth.pruning._flow import Options
from slth.pruning._layers import layers
from slth.pruning._ranking import OnCpu, OnDevice, Ranking, living_scores, whole

if TYPE_CHECKING:
    from slth.pruning import Context, Masks, Saliency
    from slth.pruning._schedule import Counts

SINKING = 2.0**-60  # of float32 thresholds, beside a flow near one: see `_flow`


class Rounds(Protocol):
    """unresolved: decisions that rounding could have turned so far, None if no bound is known."""

    unresolved: int | None

    def keep(self, counts: Counts) -> None:
        """Score what lives and keep so many: one number for all layers together or one each."""

    def masks(self) -> dict[str, Tensor]:
        """What lives."""


@dataclass
class _Plain:
    """Every round asks the saliency for all scores."""

    saliency: Saliency
    model: nn.Module
    alive: Masks
    context: Context
    unresolved: int | None

    def keep(self, counts: Counts) -> None:
        scores = self.saliency.scores(self.model, self.alive, self.context)
        self.alive = _masking.select(scores, self.alive, counts)

    def masks(self) -> dict[str, Tensor]:
        return dict(self.alive)


def plain(saliency: Saliency, model: nn.Module, masks: Masks, context: Context) -> Rounds:
    return _Plain(saliency, model, masks, context, 0 if saliency.exact else None)


def flow(model: nn.Module, masks: Masks, context: Context, options: Options) -> Rounds:
    """Rounds of synaptic flow, which hold only living weights and their indices."""
    return _Flow(model, masks, context, options)


class _Flow:
    """Absolute weights, pruned ones zero, and which ones live.

    Weights and scores of four bytes in float32 and a byte of mask are all that lasts.
    """

    def __init__(self, model: nn.Module, masks: Masks, context: Context, options: Options) -> None:
        found = [layer for layer in layers(model, shortcuts=True) if layer.name in masks]
        self.model, self.context, self.options = model, context, options
        self.names = {layer.name: layer.parameter for layer in found}
        self.dtype = _flow.dtype_for(found, options)
        self.leaves, self.living = {}, []
        for layer in found:
            mask = masks[layer.name]
            held = _flow.strengths(layer.module.weight, options.power, self.dtype).mul_(mask)
            self.leaves[layer.parameter] = held
            self.living.append(whole(mask))
        self.left = [int(line.count_nonzero()) for line in masks.values()]
        self.room = torch.empty(sum(self.left), dtype=self.dtype, device=held.device)
        self.around = _flow.surroundings(model, list(self.leaves), options, self.dtype)
        self.unresolved: int | None = 0

    def keep(self, counts: Counts) -> None:
        if self._keep(counts, self.leaves, self.around):
            return
        if self.dtype == torch.float64:
            raise _flow.not_finite()
        wide = _flow.surroundings(self.model, list(self.leaves), self.options, torch.float64)
        leaves = {name: leaf.detach().double() for name, leaf in self.leaves.items()}
        if not self._keep(counts, leaves, wide):
            raise _flow.not_finite()

    def masks(self) -> dict[str, Tensor]:
        found = {}
        for (name, parameter), living in zip(self.names.items(), self.living, strict=True):
            leaf = self.leaves[parameter]
            mask = torch.zeros(leaf.numel(), dtype=torch.bool, device=leaf.device)
            mask[living] = True
            found[name] = mask.reshape(leaf.shape)
        return found

    def _keep(self, counts: Counts, leaves: dict[str, Tensor], around: dict[str, Tensor]) -> bool:
        """Whether it could be done in the leaves' type: scores finite, thresholds not too small."""
        scores, rounding = self._scores(leaves, around)
        narrow = scores[0].dtype == torch.float32
        if narrow and not rounding.fits:
            return False
        each = range(len(scores))
        groups = [slice(None)] if len(counts) == 1 else [slice(i, i + 1) for i in each]
        kind: type[Ranking] = OnCpu if scores[0].device.type == "cpu" else OnDevice
        ranked = [kind(scores[g]) for g in groups]
        thresholds = [r.threshold(k) for r, k in zip(ranked, counts, strict=True)]
        limit = SINKING if narrow else 0.0
        if not all(limit <= t < math.inf for t in thresholds):
            return False
        weights = _flat(self.leaves)
        for group, r in zip(groups, ranked, strict=True):
            if rounding.bound == math.inf:
                self.unresolved = None
            elif self.unresolved is not None:
                self.unresolved += r.unresolved(rounding.bound)
            self.living[group] = r.keep(self.living[group], weights[group])
        self.left = [
            int(line.count_nonzero()) if line.dtype == torch.bool else line.numel()
            for line in self.living
        ]
        return True

    def _scores(
        self, leaves: dict[str, Tensor], around: dict[str, Tensor]
    ) -> tuple[list[Tensor], _flow.Rounding]:
        weights = _flat(leaves)
        # zeros stand for layers that the output does not depend on
        room = self.room[: sum(self.left)].zero_().to(weights[0].dtype)
        found = list(torch.split(room, self.left))

        def take(i: int, gradient: Tensor) -> None:
            found[i] = living_scores(gradient, weights[i], self.living[i], found[i])

        return found, _flow.gradients(self.model, around, leaves, self.context, take)


def _flat(leaves: dict[str, Tensor]) -> list[Tensor]:
    return [leaf.detach().reshape(-1) for leaf in leaves.values()]

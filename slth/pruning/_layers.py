"""Which parts of a model are pruned: the weights of torch's Linear and Conv2d, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slth.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor, nn

SHORTCUTS = ("shortcut", "downsample")


@dataclass(frozen=True)
class Layer:
    """A prunable module of a model, by the name `model.named_modules()` gives it.

    shortcut: whether it is a projection on a residual shortcut, which lies under an attribute named
    `shortcut` or `downsample`.
    """

    name: str
    module: nn.Linear | nn.Conv2d
    shortcut: bool

    @property
    def parameter(self) -> str:
        """The weight's name in `model.named_parameters()`."""
        return f"{self.name}.weight" if self.name else "weight"


def layers(model: nn.Module, shortcuts: bool = False) -> list[Layer]:
    """The prunable layers in the model's own order; projections on shortcuts only if asked for.

    Raises BadInput where there are none, on weights that are not finite numbers, and on a weight
    that two modules share: a mask of the one would not hold for the other.
    """
    from torch import nn

    found, owners = [], _owners(model)
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear | nn.Conv2d):
            continue
        shortcut = any(part in SHORTCUTS for part in name.split("."))
        plain_weight(name, module)
        if len(sharing := owners[id(module.weight)]) > 1:
            raise BadInput(
                "model",
                f"weights shared between {' and '.join(sharing)}",
                "a weight of its own for each layer",
                "give each layer its own",
            )
        if shortcuts or not shortcut:
            found.append(Layer(name, module, shortcut))
    if not found:
        raise BadInput(
            "model",
            f"a {type(model).__name__} without prunable weights",
            "at least one torch.nn.Linear or torch.nn.Conv2d",
            "prune a model that has weights",
        )
    for layer in found:
        if not bool(layer.module.weight.isfinite().all()):
            raise BadInput(
                layer.parameter, "NaN or infinity", "finite weights", "initialise or train it anew"
            )
    return found


def left_whole(model: nn.Module) -> list[tuple[str, str, int]]:
    """(name, kind, weights) of the modules that have weights and are never pruned.

    Conv1d, Embedding, LSTM and the like: everything with parameters of two or more dimensions that
    is no Linear, Conv2d or LayerNorm.
    """
    from torch import nn

    found = []
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear | nn.Conv2d | nn.LayerNorm):
            size = sum(
                p.numel() for p in module._parameters.values() if p is not None and p.ndim > 1
            )
            if size:
                found.append((name or "the model", type(module).__name__, size))
    return found


def plain_weight(name: str, module: nn.Module) -> None:
    """BadInput where the module's weight is not a parameter but computed, as a pruned one is."""
    if "weight" not in module._parameters:
        raise BadInput(
            f"{name}.weight" if name else "weight",
            "a weight that is computed from other parameters",
            "a plain parameter",
            "make pruning or weight norm permanent (torch.nn.utils.prune.remove and the like)",
        )


def _owners(model: nn.Module) -> dict[int, list[str]]:
    """id of a parameter → the modules that have it."""
    found: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for parameter in {id(p) for p in module._parameters.values() if p is not None}:
            found.setdefault(parameter, []).append(name or "the model")
    return found


def all_kept(found: Sequence[Layer]) -> dict[str, Tensor]:
    """The masks that prune nothing."""
    import torch

    return {layer.name: torch.ones_like(layer.module.weight, dtype=torch.bool) for layer in found}

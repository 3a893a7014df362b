"""Layer-collapse of a pruned network: which layers are empty, and does any path survive?

Tanaka et al. (2020) call a network collapsed once a layer is empty. That is neither necessary nor
sufficient for the signal to be lost: a residual sum carries it past an empty branch, and a network
whose every layer keeps a weight is dead where no two of them meet. So both are always said here,
and whether a path survives is decided by reachability, without any float that could overflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.pruning import Masks


@dataclass(frozen=True)
class Collapse:
    """What is left of a pruned network.

    layers: name → (kept, size). path: whether any input reaches any output.
    """

    layers: Mapping[str, tuple[int, int]]
    path: bool

    @property
    def empty(self) -> tuple[str, ...]:
        """Layers of which nothing is kept: Tanaka's criterion asks for none."""
        return tuple(name for name, (kept, _) in self.layers.items() if not kept)

    @property
    def kept(self) -> int:
        return sum(kept for kept, _ in self.layers.values())

    @property
    def size(self) -> int:
        return sum(size for _, size in self.layers.values())

    @property
    def fewest(self) -> int:
        """Weights in the layer that keeps the fewest."""
        return min(kept for kept, _ in self.layers.values())

    @property
    def thinnest(self) -> float:
        """Fraction kept of the layer that keeps the smallest one."""
        return min(kept / size for kept, size in self.layers.values())


def collapse(model: nn.Module, masks: Masks, shape: Sequence[int]) -> Collapse:
    """What the masks leave of `model` on inputs of `shape` (without the batch)."""
    counts = {name: (int(mask.sum()), mask.numel()) for name, mask in masks.items()}
    return Collapse(counts, path_survives(model, masks, shape))


def path_survives(model: nn.Module, masks: Masks, shape: Sequence[int]) -> bool:
    """Whether some output depends on some input through weights that are kept and not 0.

    Weights become 0 and 1, normalisations and activations pass everything on, and after each layer
    a unit is 1 if anything positive arrives: sums of whole numbers below 2^24, exact in float32. It
    is the sign of Tanaka's R, per unit and position. A constant carries nothing, and a difference
    what either part carries. Raises BadInput where that is not known: on a forward that does more
    than add, join, pool, reshape, activate and scale by constants (such as softmax, or a product of
    two signals), on parameters in modules of other kinds, and where the forward pass fails.
    """
    return bool(reached(model, masks, shape).any())


def reached(model: nn.Module, masks: Masks, shape: Sequence[int]) -> Tensor:
    """Which outputs depend on some input through weights that are kept, bool `[outputs]`."""
    from slth.collapse._reach import reached as compute

    return compute(model, masks, tuple(shape))


@dataclass(frozen=True)
class Maximal:
    """How far a network can be compressed at all, weights original over kept.

    weights: N, all that may be pruned. layers: L, the layers they lie in; unpruned projections on
    shortcuts are none. path: the fewest weights a path from input to output needs, one in each
    pruned layer that it passes; fewer than L where a residual sum leads around layers.
    """

    weights: int
    layers: int
    path: int

    @property
    def by_layers(self) -> float:
        """N/L, beyond which some layer must be empty (Tanaka et al. 2020)."""
        return self.weights / self.layers

    @property
    def by_path(self) -> float:
        """N/path, beyond which no path survives; infinite where a path needs no pruned weight."""
        return self.weights / self.path if self.path else float("inf")


def maximal(model: nn.Module, shortcuts: bool = False) -> Maximal:
    """Both maximal compressions; shortcuts: whether projections on shortcuts are pruned too.

    Raises BadInput where the model's forward cannot be traced by torch.fx.
    """
    from slth.collapse._reach import fewest_on_a_path
    from slth.pruning._layers import layers

    found = layers(model, shortcuts)
    return Maximal(
        sum(layer.module.weight.numel() for layer in found),
        len(found),
        fewest_on_a_path(model, {layer.name for layer in found}),
    )

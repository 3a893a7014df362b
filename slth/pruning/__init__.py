"""Which weights of an untrained network to keep? One saliency a file, everything else shared.

`saliencies()` lists them by file name, `load(name)` imports one, and `prune` removes the weights
that it scores lowest: at once or step by step, over the whole network or layer by layer, exactly as
many as asked. Pruned are the weights of torch's Linear and Conv2d; biases, normalisations and all
other modules (Conv1d, Conv3d, ConvTranspose2d, Embedding, ...) stay whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from slth.errors import BadInput
from slth.pruning._result import Pruning as Pruning
from slth.pruning._result import load_pruning as load_pruning

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.pruning._rounds import Rounds

    Masks = Mapping[str, Tensor]  # layer name → bool of the weight's shape, True = kept
    Progress = Callable[[int, int], None]  # (steps done, steps in all)

Masking = Literal["global", "local"]
Schedule = Literal["exponential", "linear", "each"]


@dataclass(frozen=True, eq=False)
class Context:
    """What a saliency may look at besides the model.

    shape: of one input, without the batch. batch: (inputs `[B, *shape]`, labels `[B]`) for those
    that need data. seed: for those that draw.
    """

    shape: tuple[int, ...]
    batch: tuple[Tensor, Tensor] | None = None
    seed: int = 0


class Saliency(ABC):
    """A score for every prunable weight; subclasses are final frozen dataclasses.

    data: whether it needs `Context.batch`. one_shot: whether it was published with one step;
    otherwise with 100. exact: whether scores are free of rounding.
    """

    data: ClassVar[bool] = False
    one_shot: ClassVar[bool] = True
    exact: ClassVar[bool] = False

    @abstractmethod
    def scores(self, model: nn.Module, masks: Masks, context: Context) -> dict[str, Tensor]:
        """Scores of the layers in `masks`, of their weights' shapes: the highest are kept.

        Scored at the model with the masks applied; the model is left as it was. Pruned weights may
        get any score: they rank below every living one.
        """

    def rounds(self, model: nn.Module, masks: Masks, context: Context) -> Rounds:
        """What `prune` repeats; one that can rank faster than by `scores` has its own."""
        from slth.pruning._rounds import plain

        return plain(self, model, masks, context)


def saliencies() -> tuple[str, ...]:
    """The names of all saliencies, which are their file names."""
    from slth.plugins import names

    return names(__name__)


def load(name: str) -> type[Saliency]:
    """The saliency class that the file of that name defines (dashes count as underscores)."""
    from slth.plugins import load as load_plugin

    return load_plugin(__name__, name, Saliency)  # type: ignore[type-abstract]


def prune(
    model: nn.Module,
    saliency: Saliency,
    compression: float,
    *,
    context: Context,
    masking: Masking = "global",
    schedule: Schedule = "exponential",
    steps: int | None = None,
    shortcuts: bool = False,
    progress: Progress | None = None,
) -> Pruning:
    """Keep size / compression of the prunable weights (to nearest), those that score highest.

    The saliency scores anew before every step. masking: rank all weights together, or within each
    layer. schedule: fractions kept fall exponentially (ρ^(−t/n) at step t of n) or linearly, or one
    weight goes at a time ("each"). steps: n; by default as the saliency was published, 1 or 100.
    shortcuts: whether projections on shortcuts are pruned too. The model is left as it was.

    Raises BadInput on a model without prunable weights or with NaN among them, on a compression
    below 1 or above N/L (N weights in L layers: beyond it some layer must be empty), on a layer
    whose own share rounds to no weight, and where the saliency's forward pass or data are missing.
    """
    from slth.pruning import _layers, _schedule

    found = _layers.layers(model, shortcuts)
    sizes = [layer.module.weight.numel() for layer in found]
    if saliency.data and context.batch is None:
        raise BadInput(
            "batch",
            "None",
            f"(inputs, labels): {type(saliency).__name__} scores by a loss on data",
            "pass Context(shape, batch=(x, labels)), or use a saliency that needs no data",
        )
    n = steps if steps is not None else 1 if saliency.one_shot else 100
    plan = _schedule.plan(sizes, compression, n, schedule, masking)
    rounds = saliency.rounds(model, _layers.all_kept(found), context)
    for step, counts in enumerate(plan):
        rounds.keep(counts)
        if progress is not None:
            progress(step + 1, len(plan))
    name = type(saliency).__name__
    return Pruning.of(model, rounds.masks(), name, compression, rounds.unresolved)

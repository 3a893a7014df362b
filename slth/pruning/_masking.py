"""From scores to masks: exactly so many weights, over the whole network or in every layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slth.mask import keep_top

if TYPE_CHECKING:
    from torch import Tensor

    from slth.pruning import Masks
    from slth.pruning._schedule import Counts


def select(scores: dict[str, Tensor], masks: Masks, counts: Counts) -> dict[str, Tensor]:
    """The masks that keep the highest scores of what still lives.

    counts: one number for the whole network (global masking) or one a layer (local).
    """
    import torch

    names = list(masks)
    if len(counts) == len(names) and len(names) > 1:
        return {
            name: keep_top(scores[name], count, alive=masks[name])
            for name, count in zip(names, counts, strict=True)
        }
    line = torch.cat([scores[name].reshape(-1) for name in names])
    alive = torch.cat([masks[name].reshape(-1) for name in names])
    kept = keep_top(line, counts[0], alive=alive)
    parts = torch.split(kept, [masks[n].numel() for n in names])
    return {n: part.reshape(masks[n].shape) for n, part in zip(names, parts, strict=True)}

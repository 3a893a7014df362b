"""The largest compression that a pruning method reaches without collapse, by both criteria.

Scores computed once give nested masks, so there a single order of all weights decides, exactly. A
method that scores anew on the way may collapse at one compression and live at a higher one; for it
the end of a bisection is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slth.collapse import Collapse, path_survives

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.pruning import Masks

RESOLUTION = 10**0.05  # of a bisection over runs: a twentieth of a decade


@dataclass(frozen=True)
class Critical:
    """size: N. by_layers, by_path: the fewest kept weights with no layer empty, with a path."""

    size: int
    kept_layers: int
    kept_path: int

    @property
    def by_layers(self) -> float:
        """Critical compression by Tanaka's criterion."""
        return self.size / self.kept_layers

    @property
    def by_path(self) -> float:
        """Critical compression by the survival of a path."""
        return self.size / self.kept_path


@dataclass(frozen=True, eq=False)
class Nested:
    """The masks that global masking by one set of scores gives, for every count kept.

    places: layer → rank of each weight among all the layers' weights, 0 the last to go.
    """

    places: Mapping[str, Tensor]

    @classmethod
    def of(cls, scores: Mapping[str, Tensor]) -> Nested:
        import torch

        from slth.mask import ranks

        line = ranks(torch.cat([score.reshape(-1) for score in scores.values()]))
        parts = torch.split(line, [score.numel() for score in scores.values()])
        shaped = zip(scores.items(), parts, strict=True)
        return cls({name: part.reshape(score.shape) for (name, score), part in shaped})

    @property
    def size(self) -> int:
        return sum(place.numel() for place in self.places.values())

    def at(self, kept: int) -> Masks:
        """Exactly `kept` weights, ties broken as slth.mask breaks them."""
        return {name: place < kept for name, place in self.places.items()}


def single_shot(model: nn.Module, nested: Nested, shape: Sequence[int]) -> Critical:
    """The critical compression of scores computed once, to the last weight."""
    last = max(int(place.min()) for place in nested.places.values())
    dead, alive = 0, nested.size  # larger masks keep every path of smaller ones
    while alive - dead > 1:
        kept = (dead + alive) // 2
        if path_survives(model, nested.at(kept), shape):
            alive = kept
        else:
            dead = kept
    return Critical(nested.size, last + 1, alive)


def rescored(
    run: Callable[[int], Collapse], size: int, layers: int, resolution: float = RESOLUTION
) -> Critical:
    """The critical compression of a method that is run anew for every count kept.

    run: count kept → what is left. Starts at one weight a layer, doubles until nothing collapses,
    and bisects back until the counts are within `resolution` of one another or adjacent.
    """
    seen: dict[int, Collapse] = {}

    def holds(kept: int, judge: Callable[[Collapse], bool]) -> bool:
        if kept not in seen:
            seen[kept] = run(kept)
        return judge(seen[kept])

    def search(judge: Callable[[Collapse], bool]) -> int:
        bad, good = 0, layers
        while good < size and not holds(good, judge):
            bad, good = good, min(2 * good, size)
        while bad and good - bad > 1 and good / bad > resolution:
            kept = min(max(round((good * bad) ** 0.5), bad + 1), good - 1)
            if holds(kept, judge):
                good = kept
            else:
                bad = kept
        return good

    return Critical(size, search(lambda c: not c.empty), search(lambda c: c.path))

"""A wiring as a torch module: a pair of random layers for every affine one, with ReLU between."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from slth.wiring import Affine, Wiring


class Wired(nn.Module):
    """`[batch, *shape]` → the last value. pairs: `[odd, even]` of every affine layer, by number."""

    def __init__(self, wiring: Wiring, pairs: Sequence[tuple[nn.Module, nn.Module]]) -> None:
        super().__init__()
        self.wiring = wiring
        self.pairs = nn.ModuleList(
            nn.Sequential(odd, even) if linear else nn.Sequential(odd, nn.ReLU(), even)
            for (odd, even), linear in zip(pairs, wiring.linear, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.wiring.run(x, self._pair)[-1]

    def _pair(self, step: Affine, y: Tensor) -> Tensor:
        found: Tensor = self.pairs[step.layer](y)
        return found

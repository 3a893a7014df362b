"""One round's ranking of some layers together: threshold, who lives on, who might not have.

On the CPU by the kernels of `_select`, on any other device by torch; both take and give back the
places of the living weights, and zero the others in the weights that they are handed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slth.pruning import _select


class Ranking(ABC):
    """Ranks the living weights of some layers; scores and index `[living]`, places ascending."""

    @abstractmethod
    def __init__(self, scores: Sequence[Tensor], index: Sequence[Tensor]) -> None: ...

    @abstractmethod
    def threshold(self, k: int) -> float:
        """The k-th highest score; NaN where some score is not finite."""

    @abstractmethod
    def unresolved(self, bound: float) -> int:
        """Decisions that scores within a factor 1 ± bound of the computed ones could turn.

        Those kept that some score dropped may reach, and those dropped that may reach one kept.
        """

    @abstractmethod
    def keep(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Zero what is dropped in `weights`; the places of what lives on."""


def living_scores(gradient: Tensor, weight: Tensor, index: Tensor, out: Tensor) -> Tensor:
    """|gradient · weight| at the places in `index`; on the CPU written to the front of `out`."""
    if gradient.device.type != "cpu":
        return gradient[index].mul_(weight[index]).abs_()
    found = out[: index.numel()]
    _select.score(gradient.numpy(), weight.numpy(), index.numpy(), found.numpy())
    return found


def interval(kept: float, dropped: float, bound: float) -> tuple[float, float] | None:
    """Scores from .. to of the decisions that may turn, or None where none may.

    kept: the smallest score kept; dropped: the largest one dropped. A score is zero, computed or
    exact, where no path leads: that no rounding turns.
    """
    if kept == 0:
        return None
    ratio = (1 + bound) / (1 - bound)
    return None if dropped * ratio < kept else (kept / ratio, dropped * ratio)


class OnCpu(Ranking):
    """By numba kernels."""

    def __init__(self, scores: Sequence[Tensor], index: Sequence[Tensor]) -> None:
        self.index = [places.numpy() for places in index]
        self.size = sum(places.size for places in self.index)
        self.scores = [score.numpy() for score in scores]
        self.bits = [_select.as_bits(score) for score in self.scores]
        self.tau: Any = None
        self.largest: Any = None  # of those dropped; None where all are kept
        self.ties: list[int] = []

    def threshold(self, k: int) -> float:
        tau = _select.kth_highest(self.bits, k)
        if tau is None:
            return math.nan
        self.tau = tau
        rows = _select.each(_select.around, self.bits, [tau] * len(self.bits), size=self.size)
        left = k - sum(int(above) for _, above, _ in rows)
        self.ties = []
        for equal, _, _ in rows:
            self.ties.append(min(left, int(equal)))
            left -= self.ties[-1]
        whole = sum(self.ties) == sum(int(equal) for equal, _, _ in rows)
        below = [largest for _, _, largest in rows if largest != tau]
        self.largest = max(below, default=None) if whole else tau
        return self._float(tau)

    def unresolved(self, bound: float) -> int:
        if self.largest is None:
            return 0
        span = interval(self._float(self.tau), self._float(self.largest), bound)
        if span is None:
            return 0
        kind = self.scores[0].dtype
        low, high = (_select.as_bits(np.array([end], kind))[0] for end in span)
        columns = self.bits, [low] * len(self.bits), [high] * len(self.bits)
        return sum(_select.each(_select.between, *columns, size=self.size))

    def keep(self, weights: Sequence[Tensor]) -> list[Tensor]:
        columns = self.bits, self.index, [w.numpy() for w in weights], [self.tau] * len(self.bits)
        left = _select.each(_select.drop, *columns, self.ties, size=self.size)
        return [torch.from_numpy(i[:n]) for i, n in zip(self.index, left, strict=True)]

    def _float(self, bits: Any) -> float:
        return float(np.array([bits]).view(self.scores[0].dtype)[0])


class OnDevice(Ranking):
    """By torch operations, which leave the scores where they are."""

    def __init__(self, scores: Sequence[Tensor], index: Sequence[Tensor]) -> None:
        self.index = list(index)
        self.scores = torch.cat(list(scores))
        self.kept = torch.ones_like(self.scores, dtype=torch.bool)

    def threshold(self, k: int) -> float:
        if not bool(self.scores.isfinite().all()):
            return math.nan
        tau = self.scores.kthvalue(self.scores.numel() - k + 1).values
        above, tied = self.scores > tau, self.scores == tau
        self.kept = above | (tied & (tied.cumsum(0) <= k - above.sum()))
        return float(tau)

    def unresolved(self, bound: float) -> int:
        if bool(self.kept.all()):
            return 0
        kept, dropped = self.scores[self.kept].min(), self.scores[~self.kept].max()
        span = interval(float(kept), float(dropped), bound)
        if span is None:
            return 0
        return int(((self.scores >= span[0]) & (self.scores <= span[1])).sum())

    def keep(self, weights: Sequence[Tensor]) -> list[Tensor]:
        parts = torch.split(self.kept, [places.numel() for places in self.index])
        for weight, places, kept in zip(weights, self.index, parts, strict=True):
            weight[places[~kept]] = 0
        return [places[kept] for places, kept in zip(self.index, parts, strict=True)]

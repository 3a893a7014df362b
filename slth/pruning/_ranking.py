"""One round's ranking of some layers together: threshold, who lives on, who might not have.

On the CPU by the kernels of `_select`, on any other device by torch. What lives is given as places,
ascending, or (on the CPU, while it is more than an eighth of the layer, which takes less memory) as
a mask.
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
    """Ranks the living weights of some layers, by scores `[living]`."""

    @abstractmethod
    def __init__(self, scores: Sequence[Tensor]) -> None: ...

    @abstractmethod
    def threshold(self, k: int) -> float:
        """The k-th highest score; NaN where some score is not finite."""

    @abstractmethod
    def unresolved(self, bound: float) -> int:
        """Decisions that scores within a factor 1 ± bound of the computed ones could turn.

        Those kept that some score dropped may reach, and those dropped that may reach one kept.
        """

    @abstractmethod
    def keep(self, living: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
        """Zero what is dropped in `weights`; what lives on. The memory of `living` may be used."""


def whole(mask: Tensor) -> Tensor:
    """What lives, flat, as the device's ranking takes it."""
    line = mask.reshape(-1)
    return line.clone() if line.device.type == "cpu" else line.nonzero().reshape(-1)


def living_scores(gradient: Tensor, weight: Tensor, living: Tensor, out: Tensor) -> Tensor:
    """|gradient · weight| of what lives; on the CPU written to `out`."""
    if gradient.device.type != "cpu":
        return gradient[living].mul_(weight[living]).abs_()
    kernel = _select.score_masked if living.dtype == torch.bool else _select.score
    kernel(gradient.numpy(), weight.numpy(), living.numpy(), out.numpy())
    return out


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

    def __init__(self, scores: Sequence[Tensor]) -> None:
        self.scores = [score.numpy() for score in scores]
        self.size = sum(score.size for score in self.scores)
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

    def keep(self, living: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
        columns = self.bits, living, weights, self.ties
        return _select.each(self._kept, *columns, size=self.size)

    def _kept(self, bits: Any, living: Tensor, weight: Tensor, ties: int) -> Tensor:
        line = living.numpy()
        if line.dtype != bool:
            left = _select.drop(bits, line, weight.numpy(), self.tau, ties)
            return torch.from_numpy(line[:left])
        left = _select.drop_masked(bits, line, weight.numpy(), self.tau, ties)
        if 8 * left > line.size:
            return living
        places = np.empty(left, np.int32 if line.size < 1 << 31 else np.int64)
        return torch.from_numpy(_select.listed(line, places))

    def _float(self, bits: Any) -> float:
        return float(np.array([bits]).view(self.scores[0].dtype)[0])


class OnDevice(Ranking):
    """By torch operations, which leave the scores where they are."""

    def __init__(self, scores: Sequence[Tensor]) -> None:
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

    def keep(self, living: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
        parts = torch.split(self.kept, [places.numel() for places in living])
        for weight, places, kept in zip(weights, living, parts, strict=True):
            weight[places[~kept]] = 0
        return [places[kept] for places, kept in zip(living, parts, strict=True)]

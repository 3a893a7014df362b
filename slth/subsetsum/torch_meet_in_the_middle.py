"""Horowitz and Sahni (1974) in torch, many rows at once: the optimum on a GPU."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.subsetsum import Floats, Problem, Solution, Solver
from slth.subsetsum._account import bounds, finish

if TYPE_CHECKING:
    import torch

MOST = 44


@final
@dataclass(frozen=True)
class TorchMeetInTheMiddle(Solver):
    """`MeetInTheMiddle` on a torch device: the same masks, errors and statuses to the last bit.

    The sums of one half are sorted, those of the other look up their neighbours, and of equal
    distances the one counts that the walk on the CPU meets first. On CUDA, rows of up to 24 values
    go to a Triton kernel of a block a row where triton can be imported. Errors and statuses come
    from exact arithmetic on the CPU, whatever the device. Not yet run on a GPU.

    Up to 44 usable values; a row takes 128 bytes for each of its 2^ceil(n/2) half-sums while it is
    looked at, a batch a quarter of the GPU's free memory. For the CPU there is `MeetInTheMiddle`:
    sorting takes longer there than walking. limit, threads: as there; threads are the CPU's.
    Raises BadInput above 44 usable values and for devices that are not there.
    """

    limit: int | None = field(
        default=None, metadata={"help": "use only so many usable values a row, at most 44"}
    )
    device: str = field(default="cpu", metadata={"help": "torch's name of it: cpu, cuda, cuda:1"})
    threads: int | None = field(default=None, metadata={"help": "at most so many; all cores"})

    def __call__(self, problem: Problem) -> Solution:
        from slth.subsetsum._torch import ONE_AT_A_TIME, device_named

        values, targets, _ = problem.rows()
        if self.limit is not None and not 0 <= self.limit <= MOST:
            raise BadInput("limit", self.limit, f"0 to {MOST}, or None", "choose a smaller prefix")
        device = device_named(self.device)
        usable = _usable(values)
        if self.limit is None and usable.max() > MOST:
            raise BadInput(
                "values",
                f"{usable.max()} usable values in a row",
                f"up to {MOST}",
                "use SchroeppelShamir up to 60, FirstHit, Greedy or BestSingle, or set limit",
            )
        mask = np.zeros(problem.shape, np.bool_)
        lower = np.full(len(targets), -np.inf)
        bound = bounds(values, targets, np.arange(len(targets)))
        limit = MOST if self.limit is None else self.limit
        count = np.minimum(np.broadcast_to(usable, targets.shape), limit)
        with ONE_AT_A_TIME:
            rows = np.flatnonzero(~np.isnan(bound))
            _solve(values, targets, rows, count, device, mask, lower)
        lower -= bound
        lower /= 2.0
        lower[~((usable <= limit) & ~np.isnan(bound))] = -np.inf
        return finish(problem, mask, lower, threads=self.threads)


def _usable(values: Floats) -> NDArray[np.intp]:
    """How many values of each row are not zero; counting row by row is slow and rarely needed."""
    if np.count_nonzero(values) == values.size:
        return np.full(len(values), values.shape[1])
    return np.asarray(np.count_nonzero(values, axis=1))


def _solve(
    values: Floats,
    targets: Floats,
    rows: NDArray[np.intp],
    count: NDArray[np.intp],
    device: torch.device,
    mask: NDArray[np.bool_],
    distance: Floats,
) -> None:
    """Masks and doubled distances of the rows; count `[N]`: usable values that are looked at."""
    import torch

    from slth.subsetsum._torch import ENTRY, first_usable, fitting

    width, most, every = values.shape[1], int(count.max()), len(rows) == len(targets)
    step = fitting(ENTRY * 2 ** ((most + 1) // 2) + 64 * width, device)
    found = []
    for at in range(0, len(rows), step):
        some = slice(at, at + step) if every else rows[at : at + step]
        packed = torch.tensor(values if len(values) == 1 else values[some], device=device)
        wanted = 2.0 * torch.tensor(targets[some], device=device)
        place = None
        if count.min() < width:
            packed, place = first_usable(packed, most)
        total = packed.new_zeros(len(packed))
        for column in packed.unbind(1):  # from left to right, as on the CPU
            total = total + column
        near, kept = _by_size(packed, wanted - total, count[some])
        if place is not None:
            plus, kept = kept, kept.new_zeros((len(kept), width + 1))
            kept = kept.scatter_(1, place.expand(len(kept), -1), plus)[:, :width]
        found.append((some, kept, near))
    for some, kept, near in found:  # only now, for fetching a result waits until it is there
        mask[some], distance[some] = kept.cpu().numpy(), near.cpu().numpy()


def _by_size(
    values: torch.Tensor, wanted: torch.Tensor, count: NDArray[np.intp]
) -> tuple[torch.Tensor, torch.Tensor]:
    """`nearest` of rows with about equally many values at a time: two more take twice as long."""
    import torch

    from slth.subsetsum._torch import nearest

    size = np.minimum(count + count % 2, values.shape[1])
    sizes = np.unique(size)
    if sizes.tolist() == [values.shape[1]]:
        return nearest(values, wanted)
    near = torch.empty_like(wanted)
    plus = torch.zeros_like(values, dtype=torch.bool)
    for k in sizes:
        rows = torch.tensor(np.flatnonzero(size == k), device=values.device)
        near[rows], plus[rows, :k] = nearest(values[rows, :k], wanted[rows])
    return near, plus

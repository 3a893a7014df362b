"""First hit in torch, many rows at once: within epsilon from as few leading values as possible."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.subsetsum import Floats, Problem, Solution, Solver
from slth.subsetsum._account import bounds, errors, finish
from slth.subsetsum.first_hit import MOST, FirstHit

if TYPE_CHECKING:
    import torch

    Tensor = torch.Tensor


@final
@dataclass(frozen=True)
class TorchFirstHit(Solver):
    """`FirstHit` on a torch device: the same masks, errors, statuses and prefixes to the last bit.

    All rows take in a value at a time together, and a row leaves with its first hit. Up to 11
    values all sums are listed, beyond that the nearest pair of half-sums is sought anew for each
    value. A hit counts when exact arithmetic on the CPU says so. Rows that one window does not
    solve, or whose sums pass 2^999, go to `FirstHit` on the CPU, so a GPU is of little use where
    most rows have no solution. Not yet run on a GPU.

    window, threads: as there; threads are the CPU's. Raises BadInput without an epsilon and for
    devices that are not there.
    """

    window: int = field(default=36, metadata={"help": "usable values searched at a time, 1 to 44"})
    device: str = field(default="cpu", metadata={"help": "torch's name of it: cpu, cuda, cuda:1"})
    threads: int | None = field(default=None, metadata={"help": "at most so many; all cores"})

    def __call__(self, problem: Problem) -> Solution:
        from slth.subsetsum._torch import ONE_AT_A_TIME, device_named, fitting

        values, targets, epsilon = problem.rows(needs_epsilon=True)
        assert epsilon is not None
        if not 1 <= self.window <= MOST:
            raise BadInput("window", self.window, f"1 to {MOST}", "36 is a good choice")
        device = device_named(self.device)
        mask = np.zeros(problem.shape, np.bool_)
        used = np.zeros(len(targets), np.int64)
        bound = bounds(values, targets, np.arange(len(targets)))
        solved = np.abs(targets) <= epsilon
        with ONE_AT_A_TIME:
            todo, step = np.flatnonzero(~solved & ~np.isnan(bound)), fitting(BYTES, device)
            for rows in (todo[at : at + step] for at in range(0, len(todo), step)):
                own = values[rows] if len(values) > 1 else np.repeat(values, len(rows), axis=0)
                search = _Window.of(own, targets[rows], epsilon[rows], self.window, device)
                hits = [search.list_all(), *search.grow(bound[rows])]
                for hit, kept, last in hits:
                    at, position = np.nonzero(kept)
                    mask[rows[hit[at]], search.place[hit[at], position]] = True
                    used[rows[hit]] = search.place[hit, last] + 1
                    solved[rows[hit]] = True
        solution = finish(problem, mask, used=used, threads=self.threads)
        left = np.flatnonzero(~solved)
        return _with_rest(problem, solution, left, FirstHit(self.window, self.threads))


BYTES = 1 << 17  # that a row holds at most while all its sums are listed

# Rows of a window by number, what they keep `[k, window]`, and the last value that each looked at.
Hits = tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.intp]]


class _Window(NamedTuple):
    """R rows on the device: their first usable values, zeros behind, and where these stand."""

    values: Tensor
    targets: Tensor
    epsilon: Tensor
    open: Tensor  # [R] bool: no hit yet; those that left without one are closed as well
    place: NDArray[np.intp]

    @classmethod
    def of(
        cls, values: Floats, targets: Floats, epsilon: Floats, window: int, device: torch.device
    ) -> _Window:
        """Of values `[R, n]`, targets `[R]` and epsilon `[R]`."""
        import torch

        from slth.subsetsum._torch import first_usable

        packed, place = first_usable(torch.tensor(values, device=device), window)
        return cls(
            packed,
            torch.tensor(targets, device=device),
            torch.tensor(epsilon, device=device),
            torch.ones(len(packed), dtype=torch.bool, device=device),
            place.cpu().numpy(),
        )

    def list_all(self) -> Hits:
        """The rows that some subset of their first values solves; the others of them stay open.

        As in `_kernels`, the first value that brings a sum within reach decides: where its nearest
        subset is not within epsilon exactly, the row is closed.
        """
        import torch

        from slth.subsetsum._kernels import FEW
        from slth.subsetsum._torch import first_match

        rows = torch.arange(len(self.values), device=self.values.device)
        sums, size = -self.targets[:, None], self.targets.abs()
        found = []
        for p in range(min(FEW, self.values.shape[1])):
            value = self.values[rows, p]
            size = size + value.abs()
            new = sums + value[:, None]
            near = new.abs()
            best = near.amin(1, keepdim=True)
            hit = best[:, 0] <= self.epsilon[rows] + (2 * p + 8) * size * 2.0**-53
            hit &= value != 0
            subset = (1 << p) + first_match(near == best)
            found.append((rows[hit], subset[hit], torch.full_like(rows[hit], p)))
            on = ~hit & (value != 0)
            self.open[rows[hit]] = False
            rows, size, sums = rows[on], size[on], torch.cat([sums, new], dim=1)[on]
        rows, subset, last = (torch.cat(part) for part in zip(*found, strict=True))
        bit = torch.arange(self.values.shape[1], device=rows.device)
        return self._exact(rows, (subset[:, None] >> bit & 1).bool(), last)

    def grow(self, bound: Floats) -> list[Hits]:
        """The hits with each value from there on, by half-sums; bound: rounding bounds `[R]`."""
        import torch

        from slth.subsetsum._kernels import FEW
        from slth.subsetsum._torch import ENTRY, fitting, nearest

        enough = 2.0 * self.epsilon + torch.tensor(bound, device=self.epsilon.device)
        wanted = 2.0 * self.targets
        found: list[Hits] = []
        for p, value in enumerate(self.values.unbind(1)):
            wanted = wanted - value
            if p < FEW:
                continue
            self.open.logical_and_(value != 0)
            rows = self.open.nonzero()[:, 0]
            if not len(rows):
                break
            for some in torch.split(rows, fitting(ENTRY * 2 ** ((p + 1) // 2), rows.device)):
                distance, plus = nearest(self.values[some, :p], wanted[some] - value[some])
                hit = distance <= enough[some]
                kept = torch.zeros_like(self.values[some][hit], dtype=torch.bool)
                kept[:, :p], kept[:, p] = plus[hit], True
                found.append(self._exact(some[hit], kept, torch.full_like(some[hit], p)))
                self.open[torch.from_numpy(found[-1][0]).to(rows.device)] = False
        return found

    def _exact(self, rows: Tensor, kept: Tensor, last: Tensor) -> Hits:
        """Those of the rows whose mask is within epsilon exactly."""
        values, targets, epsilon = (
            part[rows].cpu().numpy() for part in (self.values, self.targets, self.epsilon)
        )
        at, mask, position = rows.cpu().numpy(), kept.cpu().numpy(), last.cpu().numpy()
        meets = errors(values, mask, targets) <= epsilon
        return at[meets], mask[meets], position[meets]


def _with_rest(
    problem: Problem, solution: Solution, rows: NDArray[np.intp], rest: Solver
) -> Solution:
    """The solution with those rows answered by `rest`."""
    if not rows.size:
        return solution
    values = problem.values if problem.shared else problem.values[rows]
    epsilon = np.broadcast_to(np.asarray(problem.epsilon), problem.targets.shape)[rows]
    again = rest(Problem(values, problem.targets[rows], epsilon))
    assert solution.used is not None
    assert again.used is not None
    solution.mask[rows], solution.used[rows] = again.mask, again.used
    solution.error[rows], solution.status[rows] = again.error, again.status
    return solution

"""How many weights are left after each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING

from slth.errors import BadInput
from slth.mask import count_for

if TYPE_CHECKING:
    from slth.pruning import Masking, Schedule

Counts = tuple[int, ...]  # left in every layer, or one number for all of them together


def plan(
    sizes: Sequence[int], compression: float, steps: int, schedule: Schedule, masking: Masking
) -> list[Counts]:
    """The counts after each step, steps that would remove nothing left out.

    Global masking counts the network as one, local masking each layer on its own.
    """
    largest = sum(sizes) / len(sizes)
    if not _is(Real, compression) or not 1 <= compression <= largest:
        raise BadInput(
            "compression",
            compression,
            f"1 to {largest:.10g} = N/L, N = {sum(sizes)} weights in L = {len(sizes)} layers",
            "beyond N/L some layer is left without a weight",
        )
    for name, got, known in (
        ("schedule", schedule, ("exponential", "linear", "each")),
        ("masking", masking, ("global", "local")),
    ):
        if got not in known:
            raise BadInput(name, got, ", ".join(known), "choose one of these")
    if not _is(Integral, steps) or steps < 1:
        raise BadInput("steps", steps, "a whole number of at least 1", "1 prunes at once")
    parts = (sum(sizes),) if masking == "global" else tuple(sizes)
    ends = tuple(count_for(1 / compression, size) for size in parts)
    if min(ends) == 0:
        smallest = min(parts)
        raise BadInput(
            "compression",
            f"{compression:g}, which leaves nothing of a layer of {smallest} weights",
            f"below {2 * smallest} where every layer is compressed alike",
            "use global masking, or a smaller compression",
        )
    if schedule == "each":
        columns = [range(size - 1, end - 1, -1) for size, end in zip(parts, ends, strict=True)]
        longest = max(map(len, columns))
        found = [
            tuple(max(size - 1 - t, end) for size, end in zip(parts, ends, strict=True))
            for t in range(longest)
        ]
    else:
        found = [_left(parts, compression, t / steps, schedule) for t in range(1, steps)] + [ends]
    counts, last = [], parts
    for row in found:
        if row != last:
            counts.append(row)
        last = row
    return counts


def _left(parts: Counts, compression: float, time: float, schedule: Schedule) -> Counts:
    if schedule == "exponential":
        kept = math.exp(-time * math.log(compression))
    else:
        kept = 1 - (1 - 1 / compression) * time
    return tuple(count_for(kept, size) for size in parts)


def _is(kind: type, given: object) -> bool:
    return isinstance(given, kind)

"""How many threads to use, and fair chunks for them. Results never depend on either."""

from __future__ import annotations

import os


def workers() -> int:
    """Threads for one call: the cores of this process, or fewer where NUMBA_NUM_THREADS says so."""
    asked = os.environ.get("NUMBA_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(asked))) if asked.isdigit() else cores


def chunks(total: int, parts: int) -> list[tuple[int, int]]:
    """`[0, total)` as at most `parts` ranges of nearly equal length, none empty."""
    parts = max(1, min(parts, total))
    ends = [total * i // parts for i in range(parts + 1)]
    return [(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True) if b > a]

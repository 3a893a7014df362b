"""How many threads to use, and fair chunks for them. Results never depend on either."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def workers() -> int:
    """Threads for one call: this process's cores, or fewer where NUMBA_NUM_THREADS says so."""
    asked = os.environ.get("NUMBA_NUM_THREADS", "")
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores, int(asked))) if asked.isdigit() else cores


def chunks(total: int, parts: int) -> list[tuple[int, int]]:
    """`[0, total)` as at most `parts` ranges of nearly equal length, none empty."""
    parts = max(1, min(parts, total))
    ends = [total * i // parts for i in range(parts + 1)]
    return [(a, b) for a, b in pairwise(ends) if b > a]


def in_order(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The function of every item, on every core, in order; items are taken as they are needed.

    So a stream of items that do not fit in memory together may be worked on.
    """
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers()) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

"""A million optima and first hits on a GPU, where there is one: `sims/_bench_gpu.py`."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from sims._bench import Row


def gpu() -> Iterator[Row]:
    from sims._bench_gpu import timings

    for found in timings():
        seconds = found.seconds
        span = None if seconds is None else (seconds[0], seconds[-1])
        yield Row(
            "on a GPU, a million rows", found.name, "call",
            None if seconds is None else median(seconds), span, len(seconds or ()),
            found.goal, found.note,
        )  # fmt: skip

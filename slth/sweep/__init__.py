"""A grid of seeded cells, run by worker processes or a cluster, stored as it goes, resumable.

A cell is a function found by name, ``"module:function"``, of JSON-able keywords (its seed among
them), that returns a JSON-able dict.  ``run`` computes the cells that its store lacks and returns
all of them in the order of the grid, whatever order they ended in.  Called from a script, it must
stand under ``if __name__ == "__main__"``, because spawned workers import the script again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slth.errors import BadInput
from slth.files import write_atomically
from slth.sweep.cluster import Cluster
from slth.sweep.pool import Job, Pool
from slth.sweep.progress import Clock, Progress
from slth.sweep.store import Store
from slth.sweep.worker import Cell, plain


@dataclass(frozen=True)
class Sweep:
    """What to run and where its results live.

    A cell's identity is the hash of ``name``, ``cell``, ``version`` and its parameters: raise
    ``version`` when the function's results change meaning, and everything is computed anew.
    ``warm`` names a function that compiles the kernels, called once in one worker before the
    others start.  ``cost`` estimates a cell's time in any unit: long cells run first and the time
    left is honest.  Several sweeps may share a store.
    """

    name: str
    cell: str
    cells: Sequence[Mapping[str, Any]]
    store: Path
    version: str = "1"
    warm: str | None = None
    cost: Callable[[Cell], float] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        try:
            # Through JSON and back: workers and clusters must see the same plain values.
            cells = tuple(json.loads(json.dumps(dict(cell), default=plain)) for cell in self.cells)
        except (TypeError, ValueError) as error:
            raise BadInput(
                "cells", error, "dicts of JSON-able values", "pass numbers, strings and lists"
            ) from error
        object.__setattr__(self, "cells", cells)
        object.__setattr__(self, "store", Path(self.store))
        if not self.cells:
            raise BadInput("cells", "none", "one or more", "check the grid")
        if len(set(self.keys)) < len(self.keys):
            raise BadInput(
                "cells", "two equal ones", "distinct parameters", "give every cell its own seed"
            )

    @property
    def keys(self) -> tuple[str, ...]:
        """The identity of every cell, in order: sha256 of canonical JSON."""
        parts = [[self.name, self.cell, self.version, cell] for cell in self.cells]
        return tuple(hashlib.sha256(_canonical(part).encode()).hexdigest() for part in parts)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class Failure:
    """A cell that raised, or whose workers died; it is tried again by the next run."""

    params: Cell
    error: str

    def __str__(self) -> str:
        return f"{_canonical(self.params)}: {self.error}"


@dataclass(frozen=True)
class Records:
    """The results of a sweep in the order of its cells; None where a cell has no result (yet)."""

    sweep: Sweep
    results: tuple[Cell | None, ...]
    failures: tuple[Failure, ...]

    @property
    def complete(self) -> bool:
        """Whether every cell has its result."""
        return all(result is not None for result in self.results)

    def __iter__(self) -> Iterator[Cell]:
        """Parameters and result of each cell that has one, merged, in order."""
        for params, result in zip(self.sweep.cells, self.results, strict=True):
            if result is not None:
                yield {**params, **result}

    def column(self, name: str) -> list[Any]:
        """The values of one parameter or result over the cells that have a result."""
        return [row[name] for row in self]

    def table(self, path: Path) -> None:
        """Write the rows as CSV: the same bytes for any number of workers, kills and resumes.

        Raises ``BadInput`` if unwritable.
        """
        write_table(list(self), path)


def write_table(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows as CSV, columns in order of first appearance.

    Floats are written by their shortest exact repr, lists and dicts as JSON, None as nothing.
    Raises ``BadInput`` if unwritable.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_written(row.get(name)) for name in columns] for row in rows)
    with write_atomically(path) as stream:
        stream.write(text.getvalue().encode())


def _written(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


class CellsFailed(RuntimeError):
    """Some cells have no result; the others are stored.  One line per failure."""

    def __init__(self, records: Records) -> None:
        failures, total = records.failures, len(records.sweep.cells)
        lines = [f"{len(failures)} of {total} cells failed (run again to retry):", *failures]
        super().__init__("\n  ".join(map(str, lines)))
        self.records = records


def stored(sweep: Sweep) -> Records:
    """What the store holds of ``sweep``, without running anything."""
    with Store(sweep.store) as store:
        return _records(sweep, store)


def run(
    sweep: Sweep,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> Records:
    """Compute the cells that the store lacks, by ``workers`` processes or a dask ``scheduler``.

    Every result is committed as it comes; a kill loses the cells in flight, and the same call goes
    on from there.  ``workers`` defaults to the cores this process may use.  Raises ``BadInput``
    for a store, cell or scheduler that cannot be used, ``CellsFailed`` at the end if any cell
    failed, ``ConnectionError`` for a scheduler that was lost, and exits with status 130 on Ctrl-C.
    """
    if workers is not None and workers < 1:
        raise BadInput("workers", workers, "1 or more", "leave it out to use every core")
    with Store(sweep.store) as store:
        _complete(sweep, store, workers or _cores(), scheduler, progress)
        records = _records(sweep, store)
    if not records.complete:
        raise CellsFailed(records)
    return records


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _complete(
    sweep: Sweep, store: Store, workers: int, scheduler: str | None, progress: bool
) -> None:
    cost = sweep.cost or (lambda cell: 1.0)
    jobs = {
        key: Job(key, cell, float(cost(dict(cell))))
        for key, cell in zip(sweep.keys, map(dict, sweep.cells), strict=True)
    }
    clock, old = Clock(), store.get(jobs)
    have = {key for key, row in old.items() if row.result is not None}
    for key in have:
        clock.learn(jobs[key].cost, old[key].seconds)
    todo = sorted((job for key, job in jobs.items() if key not in have), key=lambda job: -job.cost)
    if not todo:
        return
    done, crew = len(have), _crew(sweep, todo, workers, scheduler)

    def keep(ended: list[tuple[str, Any]]) -> None:
        nonlocal done
        for key, outcome in ended:
            store.put(key, sweep.name, _canonical(jobs[key].params), outcome)
            done += 1
            if outcome.error is None:
                clock.learn(jobs[key].cost, outcome.seconds)

    with Progress(sweep.name, len(jobs), progress) as shown:
        try:
            while crew.busy:
                keep(crew.poll())
                if shown.due() or not crew.busy:
                    rest = [job.cost for job in crew.waiting]
                    shown.update(done, clock.left(rest, crew.running, crew.workers))
        except KeyboardInterrupt:
            keep(crew.collect())
            # Asked of the store: the interrupt may have come between a commit and its count.
            safe = sum(row.result is not None for row in store.get(jobs).values())
            shown.say(
                f"{sweep.name}: stopped with {safe} of {len(jobs)} cells done; they are stored in "
                f"{store.path}, the same command goes on from there"
            )
            raise SystemExit(130) from None
        finally:
            crew.close()


def _crew(sweep: Sweep, todo: list[Job], workers: int, scheduler: str | None) -> Pool | Cluster:
    if scheduler is not None:
        return Cluster(scheduler, sweep.cell, todo)
    return Pool(sweep.cell, todo, workers, sweep.warm)


def _records(sweep: Sweep, store: Store) -> Records:
    rows = store.get(sweep.keys)
    results: list[Cell | None] = []
    failures = []
    for key, params in zip(sweep.keys, sweep.cells, strict=True):
        row = rows.get(key)
        text = row.result if row else None
        results.append(None if text is None else json.loads(text))
        if row is not None and row.error is not None:
            failures.append(Failure(dict(params), row.error))
    return Records(sweep, tuple(results), tuple(failures))

"""Spawned workers on this machine, a cell each at a time; the cell of a dead one is run again."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, NamedTuple

from slth.errors import BadInput
from slth.sweep.worker import Cell, Outcome, single_threaded, work

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

MAX_DEATHS = 3
"""A cell that loses this many workers is a failure; anything might have killed one or two."""

MAX_FALSE_STARTS = 5
"""Workers in a row that end before they are ready; the next would too."""

TICK = 0.5
"""Longest wait in seconds, so that the time left stays current."""


class Job(NamedTuple):
    """A cell to run: its identity and its parameters."""

    key: str
    params: Cell
    cost: float


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    job: Job | None = None
    since: float = 0.0


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Children started inside inherit a blocked SIGINT: Ctrl-C is the parent's to answer."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started here because its own start unblocks SIGINT.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Pool:
    """``poll`` until ``busy`` is False, then ``close``; results come in any order."""

    def __init__(self, function: str, jobs: Sequence[Job], workers: int, warm: str | None) -> None:
        self.function, self.warm, self.workers = function, warm, workers
        self.waiting = deque(jobs)
        self.crew: list[_Worker] = []
        self.deaths: Counter[str] = Counter()
        self.false_starts = 0
        self.warmed = warm is None

    @property
    def busy(self) -> bool:
        """Whether any cell has not ended."""
        return bool(self.waiting) or any(worker.job for worker in self.crew)

    @property
    def running(self) -> list[tuple[float, float]]:
        """Cost, and seconds so far, of each cell in flight."""
        now = time.monotonic()
        return [(worker.job.cost, now - worker.since) for worker in self.crew if worker.job]

    def poll(self) -> list[tuple[str, Outcome]]:
        """Start, feed and bury workers as needed; the cells that ended, after at most ``TICK``."""
        unfed = len(self.waiting) - sum(worker.job is None for worker in self.crew)
        # Until one worker has warmed the kernels' cache, it is the only one.
        room = (self.workers if self.warmed else 1) - len(self.crew)
        for _ in range(min(room, unfed)):
            self._start()
        for worker in self.crew:
            if worker.ready and worker.job is None and self.waiting:
                self._hand_out(worker)
        pipes = [worker.pipe for worker in self.crew]
        connection.wait([*pipes, *(worker.process.sentinel for worker in self.crew)], TICK)
        return self.collect()

    def collect(self) -> list[tuple[str, Outcome]]:
        """The cells whose results lie in the pipes, without waiting for more."""
        ended: list[tuple[str, Outcome]] = []
        for worker in list(self.crew):
            alive = worker.process.is_alive()  # asked before the pipe: its last words are in there
            try:
                while worker.pipe.poll():
                    self._hear(worker, ended)
            except (EOFError, OSError):
                alive = False
            if not alive:
                self._bury(worker, ended)
        return ended

    def close(self) -> None:
        """End all workers, at once those in the middle of a cell."""
        for worker in self.crew:
            if worker.job is not None or not worker.ready:
                worker.process.kill()
            worker.pipe.close()
        for worker in self.crew:
            worker.process.join(5.0)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()
        self.crew.clear()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (theirs, self.function, None if self.warmed else self.warm)
        process = context.Process(target=work, args=arguments, daemon=True)
        with single_threaded(), _interrupts_held():
            process.start()
        theirs.close()  # or the end of the worker would not be the end of the pipe
        self.crew.append(_Worker(process, ours))

    def _hand_out(self, worker: _Worker) -> None:
        job = self.waiting.popleft()
        worker.job, worker.since = job, time.monotonic()
        try:
            worker.pipe.send((job.key, job.params))
        except OSError:
            # It died idle, which says nothing about this cell; collect() will bury it.
            worker.job = None
            self.waiting.appendleft(job)

    def _hear(self, worker: _Worker, ended: list[tuple[str, Outcome]]) -> None:
        said, what = worker.pipe.recv()
        if said == "ready":
            worker.ready, self.warmed, self.false_starts = True, True, 0
        elif said == "missing":
            remedy = "check the name and the folder you start from"
            got = f"{self.function} ({what})"
            raise BadInput("cell", got, "an importable module:function", remedy)
        elif said == "cold":
            raise RuntimeError(f"{self.warm} failed\n{what}")
        else:
            worker.job = None
            ended.append((said, what))

    def _bury(self, worker: _Worker, ended: list[tuple[str, Outcome]]) -> None:
        worker.process.kill()
        worker.process.join()
        code = worker.process.exitcode or 0
        worker.process.close()
        worker.pipe.close()
        self.crew.remove(worker)
        cause = f"signal {-code}" if code < 0 else f"exit status {code}"
        if not worker.ready:
            self.false_starts += 1
            if self.false_starts >= MAX_FALSE_STARTS:
                raise BadInput(
                    "workers",
                    f"{self.false_starts} in a row that ended before they were ready ({cause})",
                    "a script that can be imported without starting a sweep",
                    'call run() under if __name__ == "__main__"',
                )
        job = worker.job
        if job is None:
            return
        self.deaths[job.key] += 1
        if self.deaths[job.key] < MAX_DEATHS:
            self.waiting.appendleft(job)
        else:
            reason = f"its worker died {MAX_DEATHS} times, the last by {cause}"
            ended.append((job.key, Outcome(None, reason, None, time.monotonic() - worker.since)))

"""The same cells on a cluster: a dask.distributed scheduler hands them out, this process stores."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from typing import Any

from slth.errors import BadInput
from slth.sweep.pool import TICK, Job
from slth.sweep.worker import Outcome, execute

CONNECT_SECONDS = 5.0
"""How long a scheduler may take to answer."""

LOST_SECONDS = 30.0
"""How long a scheduler that answered before may stay away."""


class Cluster:
    """The interface of ``Pool`` over a scheduler.

    A worker that is lost has its cells run elsewhere by the scheduler; one that is lost too often
    (the scheduler's ``allowed-failures``) makes its cell a failure.  Start the cluster's workers
    with one thread each, where ``slth`` and the cell's module can be imported.
    """

    def __init__(self, address: str, function: str, jobs: Sequence[Job]) -> None:
        try:
            import distributed
        except ImportError as error:
            remedy = "pip install 'slth[cluster]'"
            raise BadInput("scheduler", address, "dask.distributed installed", remedy) from error
        connect: Any = distributed.Client
        try:
            self.client: Any = connect(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:  # TimeoutError is an OSError
            raise BadInput(
                "scheduler",
                f"{address} ({type(error).__name__})",
                "the address of a running scheduler, like tcp://127.0.0.1:8786",
                "start one with: dask scheduler",
            ) from error
        self.address = address
        self.seen = time.monotonic()
        self.workers = max(1, sum(self.client.nthreads().values()))
        self.cost = {job.key: job.cost for job in jobs}
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.futures: dict[str, tuple[str, Any]] = {}
        stamp = time.time_ns()
        for place, job in enumerate(jobs):
            # The scheduler's key is unique to this run: a failure it remembers would stay one.
            future: Any = self.client.submit(
                execute, function, job.params, key=f"cell-{job.key}-{stamp}", priority=-place
            )
            self.futures[future.key] = (job.key, future)
            future.add_done_callback(self.ended.put)

    @property
    def busy(self) -> bool:
        """Whether any cell has not ended."""
        return bool(self.futures)

    @property
    def running(self) -> list[tuple[float, float]]:
        """Cost of each cell that has not ended; which of them run only the scheduler knows."""
        return [(self.cost[key], 0.0) for key, _ in self.futures.values()]

    @property
    def waiting(self) -> list[Job]:
        """Nothing: all cells are with the scheduler."""
        return []

    def poll(self) -> list[tuple[str, Outcome]]:
        """The cells that ended, after at most ``TICK`` seconds; raises ``ConnectionError``."""
        try:
            first = self.ended.get(timeout=TICK)
        except queue.Empty:
            self._check()
            return []
        return [self._outcome(first), *self.collect()]

    def collect(self) -> list[tuple[str, Outcome]]:
        """The cells that ended, without waiting for more."""
        found = []
        while not self.ended.empty():
            found.append(self._outcome(self.ended.get()))
        return found

    def close(self) -> None:
        """Take back what has not ended and hang up."""
        if self.futures and self.client.status == "running":
            self.client.cancel([future for _, future in self.futures.values()], force=True)
        self.futures.clear()
        self.client.close(timeout=CONNECT_SECONDS)

    def _check(self) -> None:
        if self.client.status == "running":
            self.seen = time.monotonic()
        elif time.monotonic() - self.seen > LOST_SECONDS or self.client.status == "closed":
            raise self._lost()

    def _lost(self) -> ConnectionError:
        return ConnectionError(
            f"the scheduler at {self.address} is lost; results so far are stored, "
            "the same command goes on from there"
        )

    def _outcome(self, future: Any) -> tuple[str, Outcome]:
        key, _ = self.futures[future.key]
        if future.status in ("cancelled", "lost"):
            raise self._lost()
        if future.status == "error":
            error = future.exception()
            line = " ".join(f"{type(error).__name__}: {error}".split())
            outcome = Outcome(None, line, None, 0.0)
        else:
            outcome = future.result(timeout=LOST_SECONDS)
        del self.futures[future.key]
        return key, outcome

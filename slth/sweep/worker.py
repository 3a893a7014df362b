"""What runs inside a worker process: import the cell's function, run cells, send back JSON.

Workers exit when their parent does: idle ones by the end of the pipe, busy ones by a thread that
waits on the parent.
"""

from __future__ import annotations

import importlib
import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Cell = dict[str, Any]

THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
"""One thread per worker (torch reads OMP_NUM_THREADS too): the grid is the parallelism."""


@dataclass(frozen=True)
class Outcome:
    """One cell's end: the JSON of its result, or the error's one line and its traceback."""

    result: str | None
    error: str | None
    traceback: str | None
    seconds: float


def resolve(name: str) -> Callable[..., Any]:
    """The function that ``"module:function"`` names; raises ``ImportError`` when there is none."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ImportError("a name like sims.width_vs_error:cell is wanted")
    function = getattr(importlib.import_module(module), attribute, None)
    if not callable(function):
        raise ImportError(f"no function {attribute} in {module}")
    return function  # type: ignore[no-any-return]


def plain(value: Any) -> Any:
    """NumPy scalars and arrays as JSON's own numbers and lists; raises ``TypeError`` otherwise."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON-able")


def execute(function: str, params: Cell) -> Outcome:
    """Run one cell; whatever it raises is its outcome.  Floats survive: JSON writes their repr."""
    start = time.perf_counter()
    try:
        result = resolve(function)(**params)
        if not isinstance(result, dict):
            raise TypeError(f"a cell returns a dict, not {type(result).__name__}")
        clash = sorted(set(result) & set(params))
        if clash:
            raise ValueError(f"the result repeats the parameters {', '.join(clash)}")
        text = json.dumps(result, default=plain)
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        return Outcome(None, line, traceback.format_exc(), time.perf_counter() - start)
    return Outcome(text, None, None, time.perf_counter() - start)


@contextmanager
def single_threaded() -> Iterator[None]:
    """The environment that workers start with: BLAS and numba read it when they are imported."""
    before = {name: os.environ.get(name) for name in THREAD_LIMITS}
    os.environ.update(dict.fromkeys(THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _die_with_parent() -> None:
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def work(pipe: Connection, function: str, warm: str | None) -> None:
    """A worker's life: say ready, then answer each ``(key, params)`` with ``(key, Outcome)``.

    ``warm`` runs before "ready", so that kernels are compiled once, into the cache on disk, before
    the other workers start.  A function that cannot be imported is answered once, with its reason.
    """
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        resolve(function)
    except Exception as error:
        pipe.send(("missing", f"{type(error).__name__}: {error}"))
        return
    try:
        if warm is not None:
            resolve(warm)()
    except Exception:
        pipe.send(("cold", traceback.format_exc()))
        return
    pipe.send(("ready", None))
    while True:
        try:
            key, params = pipe.recv()
        except EOFError:
            return
        pipe.send((key, execute(function, params)))

"""Kills, resumes, failures and clusters: the table never knows."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from slth.errors import BadInput
from slth.sweep import CellsFailed, Records, Sweep, run, stored
from slth.sweep.progress import Clock, spoken
from tests import sweep_cells

ROOT = Path(__file__).parent.parent
MOMENTS = 20


def _sweep(folder: Path, function: str, cells: list[dict[str, object]], **more: object) -> Sweep:
    return Sweep("tiny", f"tests.sweep_cells:{function}", cells, folder / "store.db", **more)  # type: ignore[arg-type]


def _run(sweep: Sweep, workers: int = 2, scheduler: str | None = None) -> Records:
    return run(sweep, workers=workers, scheduler=scheduler, progress=False)


def _table(records: Records, path: Path) -> bytes:
    records.table(path)
    return path.read_bytes()


def _script(folder: Path, count: int, pause: float, workers: int = 2) -> subprocess.Popen[str]:
    paths = [str(folder / name) for name in ("store.db", "table.csv", "log")]
    arguments = [*paths, str(count), str(pause), str(workers)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sweep_cells", *arguments],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The run's worker processes, without multiprocessing's own helper."""
    found = []
    for child in psutil.Process(process.pid).children():
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def _gone(crew: list[psutil.Process]) -> bool:
    """Whether all have ended; one that waits for init to collect it has."""

    def ended(process: psutil.Process) -> bool:
        try:
            return process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return all(map(ended, crew))


def _wait(condition: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# --- one table ---------------------------------------------------------------------------------


def test_one_worker_three_and_a_resumed_run_write_the_same_bytes(tmp_path: Path) -> None:
    cells = sweep_cells.grid(24)
    tables = set()
    for workers in (1, 3):
        sweep = _sweep(tmp_path / str(workers), "cell", cells)
        tables.add(_table(_run(sweep, workers), tmp_path / "table.csv"))
    _run(_sweep(tmp_path / "resumed", "cell", cells[5:17]))
    half = stored(_sweep(tmp_path / "resumed", "cell", cells))
    assert not half.complete
    assert half.column("seed") == list(range(5, 17))
    tables.add(_table(_run(_sweep(tmp_path / "resumed", "cell", cells)), tmp_path / "table.csv"))
    # and the cells really say what the function says
    (table,) = tables
    expected = [sweep_cells.cell(**(cell | {"pause": 0.0})) for cell in cells]  # type: ignore[arg-type]
    rows = [line.split(",") for line in table.decode().splitlines()]
    assert rows[0][:4] == ["seed", "width", "pause", "error"]
    assert [float(row[3]) for row in rows[1:]] == [row["error"] for row in expected]
    assert [float(row[5]) for row in rows[1:4]] == pytest.approx(
        [math.inf, -math.inf, math.nan], nan_ok=True
    )


def test_a_finished_sweep_runs_nothing_and_returns_everything(tmp_path: Path) -> None:
    sweep = _sweep(tmp_path, "cell", sweep_cells.grid(5, 0.0, tmp_path / "log"))
    first, second = _run(sweep), _run(sweep)
    assert json.dumps(first.results) == json.dumps(second.results)
    assert len((tmp_path / "log").read_text().splitlines()) == 5
    newer = _sweep(tmp_path, "cell", sweep_cells.grid(5, 0.0, tmp_path / "log"), version="2")
    _run(newer)
    assert len((tmp_path / "log").read_text().splitlines()) == 10


def test_long_cells_run_first(tmp_path: Path) -> None:
    cells = sweep_cells.grid(6, 0.0, tmp_path / "log")
    _run(_sweep(tmp_path, "cell", cells, cost=lambda cell: cell["seed"]), workers=1)
    assert (tmp_path / "log").read_text().split() == ["5", "4", "3", "2", "1", "0"]


def test_workers_are_single_threaded_and_the_first_is_warmed(tmp_path: Path) -> None:
    before = dict(os.environ)
    cells = [{"seed": seed} for seed in range(12)]
    records = _run(_sweep(tmp_path, "threads", cells, warm="tests.sweep_cells:warm"))
    assert dict(os.environ) == before
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    assert {value for name in names for value in records.column(name)} == {"1"}
    assert len(set(records.column("pid"))) == 2
    assert len({row["pid"] for row in records if row["WARMED"]}) == 1


# --- failures ----------------------------------------------------------------------------------


def test_a_failing_cell_is_one_line_and_is_tried_again(tmp_path: Path) -> None:
    cells: list[dict[str, object]] = [
        {"seed": seed, "cure": str(tmp_path / "cure")} for seed in range(6)
    ]
    sweep = _sweep(tmp_path, "fails", cells)
    with pytest.raises(CellsFailed) as caught:
        _run(sweep)
    assert [f.params["seed"] for f in caught.value.records.failures] == [1, 3, 5]
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert lines[1].endswith("ValueError: seed 1 is odd")
    assert caught.value.records.column("half") == [0.0, 1.0, 2.0]
    with sqlite3.connect(sweep.store) as database:
        traces = database.execute("SELECT traceback FROM cells WHERE error IS NOT NULL").fetchall()
    database.close()
    assert len(traces) == 3
    assert all("in fails" in trace for (trace,) in traces)
    (tmp_path / "cure").touch()
    assert _run(sweep).column("half") == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]


def test_a_cell_that_kills_its_worker_three_times_fails_alone(tmp_path: Path) -> None:
    with pytest.raises(CellsFailed, match="died 3 times, the last by signal 9") as caught:
        _run(_sweep(tmp_path, "kills", [{"seed": seed} for seed in range(5)]))
    assert caught.value.records.column("twice") == [0, 4, 6, 8]


@pytest.mark.parametrize(("function", "reason"), [
    ("returns_a_list", "TypeError: a cell returns a dict, not list"),
    ("returns_an_object", "TypeError: object is not JSON-able"),
    ("repeats_a_parameter", "ValueError: the result repeats the parameters seed"),
])  # fmt: skip
def test_a_result_that_cannot_be_stored_is_a_failure(
    function: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(CellsFailed, match=reason):
        _run(_sweep(tmp_path, function, [{"seed": 1}]), workers=1)


# --- kills -------------------------------------------------------------------------------------


def test_kill_at_20_random_moments_loses_only_the_cells_in_flight(tmp_path: Path) -> None:
    count, pause, workers = 800, 0.02, 2
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    calm.mkdir()
    wild.mkdir()
    chance = random.Random(2024)
    process, may_be_lost, victims = _script(wild, count, pause, workers), 0, []
    for _ in range(MOMENTS):
        time.sleep(chance.uniform(0.1, 0.7))
        assert process.poll() is None, "the run ended before the last kill"
        crew = _workers(process)
        if chance.random() < 0.5 and crew:
            chance.choice(crew).kill()
            victims.append("worker")
            may_be_lost += 1
        else:
            process.kill()
            process.communicate()
            victims.append("run")
            may_be_lost += workers
            _wait(lambda crew=crew: _gone(crew))
            process = _script(wild, count, pause, workers)
    assert {"worker", "run"} == set(victims)
    assert process.wait(60) == 0
    process.communicate()
    # the same cells, log path included, or the tables could not be equal
    cells = sweep_cells.grid(count, pause, wild / "log")
    runs = len((wild / "log").read_text().splitlines())
    assert count <= runs <= count + may_be_lost
    undisturbed = _table(_run(_sweep(calm, "cell", cells), workers=8), calm / "table.csv")
    assert (wild / "table.csv").read_bytes() == undisturbed


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path: Path) -> None:
    process = _script(tmp_path, 400, 0.05)
    _wait(lambda: (tmp_path / "log").exists() and len((tmp_path / "log").read_text()) > 20)
    crew = _workers(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
    assert _gone(crew)
    done = int(said.split("stopped with ")[1].split()[0])
    cells = sweep_cells.grid(400, 0.05, tmp_path / "log")
    assert len(list(stored(_sweep(tmp_path, "cell", cells)))) == done > 0


def test_busy_workers_end_with_their_parent(tmp_path: Path) -> None:
    process = _script(tmp_path, 2, 60.0)
    _wait(lambda: (tmp_path / "log").exists() and len((tmp_path / "log").read_text()) == 4)
    crew = _workers(process)
    assert len(crew) == 2
    process.kill()
    process.wait()
    _wait(lambda: _gone(crew), 5.0)
    process.communicate()


# --- clusters ----------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a dask scheduler on this machine, and its two workers."""
    pytest.importorskip("distributed")
    where = tmp_path / "scheduler.json"
    quiet = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    common = ["--scheduler-file", str(where), "--no-dashboard"]

    def start(role: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{role}", *common, *arguments]
        return subprocess.Popen(command, **quiet)  # type: ignore[call-overload,no-any-return]

    scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0")
    one_thread = ["--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path)]
    workers = [start("worker", *one_thread) for _ in range(2)]
    try:
        _wait(lambda: where.exists() and where.stat().st_size > 0, 30.0)
        yield json.loads(where.read_text())["address"], workers
    finally:
        for process in [*workers, scheduler]:
            process.kill()
            process.wait()


def test_a_cluster_that_loses_a_worker_writes_the_same_table(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    import threading

    address, workers = cluster
    cells = sweep_cells.grid(60, 0.05, tmp_path / "log")
    log = tmp_path / "log"

    def kill_one() -> None:
        _wait(lambda: log.exists() and len(log.read_text().splitlines()) > 12, 40.0)
        workers[0].kill()

    killer = threading.Thread(target=kill_one)
    killer.start()
    records = _run(_sweep(tmp_path / "cluster", "cell", cells), scheduler=address)
    killer.join()
    assert workers[0].wait() == -signal.SIGKILL
    here = _table(_run(_sweep(tmp_path / "here", "cell", cells)), tmp_path / "here.csv")
    assert _table(records, tmp_path / "cluster.csv") == here


def test_an_address_without_a_scheduler_is_bad_input(tmp_path: Path) -> None:
    start = time.monotonic()
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        with pytest.raises(BadInput, match="dask scheduler"):
            _run(_sweep(tmp_path, "cell", sweep_cells.grid(1)), scheduler=address)
    assert time.monotonic() - start < 20


# --- bad input ---------------------------------------------------------------------------------


def _text(path: Path) -> None:
    path.write_text("not a database, " * 100)


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE other (x)")
    database.close()


def _damaged(path: Path) -> None:
    _run(Sweep("tiny", "tests.sweep_cells:cell", sweep_cells.grid(200, 0.0)[:40], path))
    half = path.stat().st_size // 2
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(8192))
        file.truncate(half)


@pytest.mark.parametrize("spoil", [_text, _foreign, _damaged, Path.mkdir])
def test_a_store_that_is_none_is_refused_and_left_alone(spoil: object, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    spoil(path)  # type: ignore[operator]
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(BadInput) as caught:
        _run(_sweep(tmp_path, "cell", sweep_cells.grid(3)))
    assert caught.value.name == "store"
    assert (path.read_bytes() if path.is_file() else None) == before


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="store"):
        _run(_sweep(tmp_path / "file", "cell", sweep_cells.grid(1)))
    records = _run(_sweep(tmp_path, "cell", sweep_cells.grid(1)))
    with pytest.raises(BadInput, match="path"):
        records.table(tmp_path / "file" / "table.csv")


@pytest.mark.parametrize(("function", "cells", "name"), [
    ("cell", [], "cells"),
    ("cell", [{"seed": 1}, {"seed": 1}], "cells"),
    ("cell", [{"seed": object()}], "cells"),
    ("missing", [{"seed": 1}], "cell"),
])  # fmt: skip
def test_a_sweep_that_cannot_run_is_bad_input(
    function: str, cells: list[dict[str, object]], name: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as caught:
        _run(_sweep(tmp_path, function, cells))
    assert caught.value.name == name


def test_no_workers_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="workers"):
        _run(_sweep(tmp_path, "cell", sweep_cells.grid(1)), workers=0)


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from slth.sweep import Sweep, run\n"
        "cells = [{'seed': 1, 'width': 2}]\n"
        f"run(Sweep('s', 'tests.sweep_cells:cell', cells, '{tmp_path}/s.db'))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert '__name__ == "__main__"' in ended.stderr.splitlines()[-1]


# --- time left ---------------------------------------------------------------------------------


def test_time_left_counts_workers_costs_and_the_longest_cell() -> None:
    clock = Clock()
    assert spoken(clock.left([1.0], [], 2)) == "time left unknown"
    clock.learn(2.0, 20.0)
    assert clock.left([1.0] * 8, [], 4) == 20.0
    assert clock.left([1.0, 1.0, 6.0], [], 4) == 60.0
    assert clock.left([1.0], [(2.0, 15.0)], 1) == 15.0
    assert [spoken(s) for s in (0.2, 40, 600, 9000)] == [
        "about 1 s left",
        "about 40 s left",
        "about 10 min left",
        "about 2.5 h left",
    ]

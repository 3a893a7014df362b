"""Tickets sought on a device: the file is the CPU's, and a search may change over in its midst.

torch names its CPU "cpu:0" as well; the construction takes that for its torch engine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sims import _bench_gpu
from slth.cli import main
from slth.construct import _pieces
from slth.construct.pensia import Pensia
from slth.errors import BadInput
from slth.subsetsum import Problem
from slth.subsetsum.greedy import Greedy
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle
from slth.target import Target
from slth.ticket import Ticket, load
from slth.verify import verify
from tests.networks import random_target

NO_GPU = not torch.cuda.is_available()
DEVICES = [
    "cpu:0",
    pytest.param("cuda", marks=pytest.mark.skipif(NO_GPU, reason="torch sees no CUDA device here")),
]


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setattr(_pieces, "PIECE", 80)
    return random_target(np.random.default_rng(40), (6, 30, 5), 1.0)


def saved(ticket: Ticket, path: Path) -> bytes:
    ticket.save(path)
    return path.read_bytes()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("tolerance", [None, 1e-3])
def test_the_file_is_the_cpus(  # type: ignore[no-untyped-def]
    target, tmp_path, monkeypatch, tolerance, device
) -> None:
    source = Pensia().source_for(target, 3, 40)
    wanted = saved(Pensia(tolerance=tolerance, limit=12).build(target, source), tmp_path / "a.npz")

    def refused(self, problem):  # type: ignore[no-untyped-def]
        raise AssertionError("the CPU's optimum was asked")

    monkeypatch.setattr(MeetInTheMiddle, "__call__", refused)
    make = Pensia(tolerance=tolerance, limit=12, device=device)  # 12: some gadgets get more
    assert saved(make.build(target, source), tmp_path / "b.npz") == wanted
    assert verify(load(tmp_path / "b.npz"), target).ok
    assert "device" not in load(tmp_path / "b.npz").claim.parameters


@pytest.mark.parametrize("device", DEVICES)
def test_a_search_goes_on_elsewhere(target, tmp_path, monkeypatch, device) -> None:  # type: ignore[no-untyped-def]
    source = Pensia().source_for(target, 3, 26)
    wanted = saved(Pensia().build_resumable(target, source, tmp_path / "p"), tmp_path / "a.npz")
    files = sorted((tmp_path / "p").glob("*"))
    assert len(files) > 4
    for gone in files[::2]:
        gone.unlink()
    sought, find = [], Pensia.find
    monkeypatch.setattr(Pensia, "find", lambda self, half: sought.append(half) or find(self, half))
    again = Pensia(device=device).build_resumable(target, source, tmp_path / "p")
    assert len(sought) == len(files[::2])
    assert saved(again, tmp_path / "b.npz") == wanted


def test_what_a_device_cannot_do_is_one_line() -> None:
    with pytest.raises(BadInput, match=r"device: got cuda:63; allowed: cpu.*; remedy: "):
        Pensia(device="cuda:63")
    with pytest.raises(BadInput, match="device: got cpu:0; allowed: cpu with a solver given"):
        Pensia(device="cpu:0", solver=Greedy())
    for command in ("ticket digits --n 4", "solve 1,2 3 --solver torch-first-hit --epsilon 0.1"):
        done = CliRunner().invoke(main, [*command.split(), "--device", "cuda:63"])
        assert done.exit_code == 2
        assert done.stderr.startswith("error: device: got cuda:63; allowed: cpu")
        assert done.stderr.count("\n") == 1
    done = CliRunner().invoke(
        main, ["ticket", "digits", "--n", "4", "--construction", "malach", "--device", "cuda"]
    )
    assert done.exit_code == 2
    assert "no option --device; the construction malach has" in done.stderr


def test_the_bench_says_why_it_did_not_run_and_compares_masks_where_it_does() -> None:
    if NO_GPU:
        only = list(_bench_gpu.timings("cuda"))
        assert [row.seconds for row in only] == [None]
        assert only[0].shown().endswith("sees no CUDA device here")
    first, *_ = _bench_gpu.timings("cpu", rows=20, repeats=1)
    assert first.seconds is not None
    assert first.note.endswith(", 0 masks or errors differ from numba's")
    problem = Problem([0.5, 0.25], [0.5, 0.25])
    a, b = (MeetInTheMiddle(limit=limit)(problem) for limit in (1, 2))
    assert _bench_gpu.differing(a, b) == 1

"""The torch engine against the one in numba: the same masks, errors and statuses, ties included."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slth.errors import BadInput
from slth.subsetsum import Problem
from slth.subsetsum.first_hit import FirstHit
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle
from slth.subsetsum.torch_first_hit import TorchFirstHit
from slth.subsetsum.torch_meet_in_the_middle import TorchMeetInTheMiddle
from tests.subsetsum_contract import same

NO_GPU = not torch.cuda.is_available()
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(NO_GPU, reason="torch sees no CUDA device here")),
]


def rows_of(kind: str, rows: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Values `[rows, n]` and targets `[rows]` of which many sums tie, exactly or after rounding."""
    values = rng.uniform(-1, 1, (rows, n))
    targets = rng.uniform(-n / 4, n / 4, rows)
    if kind == "few integers":
        values, targets = rng.integers(-3, 4, (rows, n)) * 1.0, rng.integers(-9, 9, rows) / 2
    elif kind == "dyadic":
        values, targets = np.round(values * 64) / 64, np.round(targets * 128) / 128
    elif kind == "half of them zero":
        values[rng.random((rows, n)) < 0.5] = 0.0
    elif kind == "one size, either sign":
        values = np.sign(values) * 0.1
    elif kind == "sums that a far target rounds together":
        targets *= 1e14
    elif kind == "many sizes":
        values *= 10.0 ** rng.integers(-20, 20, (rows, n))
    return values, targets


KINDS = (
    "uniform",
    "few integers",
    "dyadic",
    "half of them zero",
    "one size, either sign",
    "sums that a far target rounds together",
    "many sizes",
)  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_optima_are_the_masks_that_numba_finds(kind: str, device: str) -> None:
    rng = np.random.default_rng(30)
    for n in (1, 2, 3, 8, 13):
        values, targets = rows_of(kind, 60, n, rng)
        for problem in (Problem(values, targets), Problem(values[0], targets, 0.05)):
            same(TorchMeetInTheMiddle(device=device)(problem), MeetInTheMiddle()(problem))


@pytest.mark.parametrize("device", DEVICES)
def test_they_agree_on_long_rows_and_with_a_limit(device: str) -> None:
    values, targets = rows_of("half of them zero", 20, 40, np.random.default_rng(31))
    problem = Problem(values, targets)
    for limit in (0, 1, 20, 24):
        same(TorchMeetInTheMiddle(limit, device)(problem), MeetInTheMiddle(limit)(problem))
    long = Problem(np.random.default_rng(32).uniform(-1, 1, (3, 30)), targets[:3])
    same(TorchMeetInTheMiddle(device=device)(long), MeetInTheMiddle()(long))


@pytest.mark.skipif(NO_GPU, reason="torch sees no CUDA device here")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_without_triton_finds_them_too(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slth.subsetsum._torch.TRITON_MOST", 0)
    values, targets = rows_of(kind, 300, 20, np.random.default_rng(36))
    problem = Problem(values, targets)
    same(TorchMeetInTheMiddle(device="cuda")(problem), MeetInTheMiddle()(problem))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_first_hits_are_those_that_numba_finds(kind: str, device: str) -> None:
    rng = np.random.default_rng(34)
    for n in (1, 3, 11, 12, 17, 26):
        values, targets = rows_of(kind, 60, n, rng)
        for epsilon in (0.3, 0.01, 1e-4, 1e-16):
            for window in (1, 11, 12, 36):
                problem = Problem(values, targets / n, epsilon * np.abs(values).max())
                numba = FirstHit(window)(problem)
                same(TorchFirstHit(window, device)(problem), numba)
            shared = Problem(values[0], targets / n, epsilon)
            same(TorchFirstHit(device=device)(shared), FirstHit()(shared))


def test_the_device_finds_nearly_all_first_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above would pass with a search that leaves every row to the CPU."""
    values, targets = rows_of("half of them zero", 500, 60, np.random.default_rng(35))
    problem, left = Problem(values, targets / 60, 1e-3), []
    rest = FirstHit.__call__
    monkeypatch.setattr(FirstHit, "__call__", lambda s, p: left.append(p.shape[0]) or rest(s, p))
    found = TorchFirstHit()(problem)
    assert found.used.max() > 30  # beyond the values of which all sums are listed
    assert sum(left) < 5


def test_a_batch_that_does_not_fit_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    values, targets = rows_of("half of them zero", 40, 12, np.random.default_rng(33))
    whole = TorchMeetInTheMiddle()(Problem(values, targets))
    monkeypatch.setattr("slth.subsetsum._torch.ON_CPU", 10_000)
    same(TorchMeetInTheMiddle()(Problem(values, targets)), whole)
    shared = Problem(values[0], targets)
    same(TorchMeetInTheMiddle()(shared), MeetInTheMiddle()(shared))
    hits = Problem(values, targets, 0.01)
    same(TorchFirstHit()(hits), FirstHit()(hits))


@pytest.mark.parametrize("device", ["cuda:63", "gpu", "mps", "meta", ""])
def test_a_device_that_is_not_there_is_one_line(device: str) -> None:
    with pytest.raises(BadInput, match=r"device: got .*; allowed: cpu.*; remedy: ") as caught:
        TorchMeetInTheMiddle(device=device)(Problem([1.0], [1.0]))
    assert "\n" not in str(caught.value)

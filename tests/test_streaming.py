"""Tickets found in pieces: on any number of cores, killed and resumed, always the same file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from slth.cli import main
from slth.construct import Construction, _pieces, discard
from slth.construct.assigned import Assigned
from slth.construct.malach import Malach
from slth.construct.pensia import Pensia
from slth.kept import Kept, runs
from slth.source import Source
from slth.target import Target
from slth.ticket import Ticket, load
from slth.verify import verify


def random_target(seed: int, dims: tuple[int, ...] = (6, 40, 5)) -> Target:
    rng = np.random.default_rng(seed)
    pairs = list(zip(dims[1:], dims[:-1], strict=True))
    weights = tuple(rng.uniform(-1, 1, pair) / np.sqrt(pair[1]) for pair in pairs)
    return Target(weights, tuple(rng.uniform(-0.5, 0.5, d) for d in dims[1:]))


@pytest.fixture(scope="module")
def target() -> Target:
    return random_target(0)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pieces, "PIECE", 80)


MAKES = [Pensia(), Pensia(tolerance=1e-4), Pensia(halves="needed"), Malach(), Malach(tolerance=0.1)]
MAKES += [Assigned(looks_at="target")]


def saved(ticket: Ticket, path: Path) -> bytes:
    ticket.save(path)
    return path.read_bytes()


def parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*"))


@pytest.mark.parametrize("make", MAKES, ids=str)
def test_folder_and_cores_leave_no_trace(make, target, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    source = make.source_for(target, 3, 30)
    wanted = saved(make.build(target, source), tmp_path / "a.npz")
    folder = tmp_path / "a.part"
    from_folder = make.build_resumable(target, source, folder)
    assert len(parts(folder)) >= 6
    assert saved(from_folder, tmp_path / "b.npz") == wanted
    discard(from_folder)
    assert not folder.exists()
    for cores in ("1", "5"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", cores)
        monkeypatch.setattr(_pieces, "workers", lambda cores=cores: int(cores))
        assert saved(make.build(target, source), tmp_path / "c.npz") == wanted
    assert verify(load(tmp_path / "c.npz"), target).ok


def test_a_piece_stands_for_its_blocks_alone(target: Target) -> None:
    """Where nothing is shared between gadgets, pieces are the whole, cut."""
    make = Pensia(tolerance=1e-4)
    source = make.source_for(target, 3, 30)
    fine = make.build(target, source)
    _pieces.PIECE = 1 << 14  # undone by the fixture
    whole = make.build(target, source)
    for a, b in zip(fine.kept, whole.kept, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x.indptr, y.indptr)
            np.testing.assert_array_equal(x.indices, y.indices)


def test_every_gadget_is_sought_once(target: Target) -> None:
    source = Pensia().source_for(target, 0, 8)
    for absent in (lambda i, h: False, lambda i, h: h == 1 and i > 0):
        todo = _pieces.pieces(source, absent)
        for layer in range(2):
            for half in (0, 1):
                mine = [p for p in todo if (p.layer, p.half) == (layer, half)]
                blocks = [b for p in mine for b in range(p.first, p.last)]
                there = not absent(layer, half)
                assert blocks == list(range((target.dims[layer] + (half == 0)) * there))


def test_what_is_there_is_not_sought_again(target, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    make = Pensia()
    source = make.source_for(target, 3, 30)
    wanted = saved(make.build_resumable(target, source, tmp_path / "p"), tmp_path / "a.npz")
    files = parts(tmp_path / "p")
    for gone in files[::2]:
        gone.unlink()
    sought = []
    find = Pensia.find
    monkeypatch.setattr(Pensia, "find", lambda self, half: sought.append(half) or find(self, half))
    seen: list[tuple[int, int]] = []
    again = make.build_resumable(target, source, tmp_path / "p", lambda *at: seen.append(at))
    assert len(sought) == len(files[::2])
    assert saved(again, tmp_path / "b.npz") == wanted
    gadgets = 2 * sum(w.size for w in target.weights) + sum(target.dims[1:])
    assert 0 < seen[0][0] < gadgets  # starts where the other one ended
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (gadgets, gadgets)


def test_damaged_pieces_are_made_anew_and_named(target, tmp_path, caplog) -> None:  # type: ignore[no-untyped-def]
    make = Pensia()
    source = make.source_for(target, 3, 30)
    folder = tmp_path / "p"
    wanted = saved(make.build_resumable(target, source, folder), tmp_path / "a.npz")
    files = parts(folder)
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[: len(whole) // 2])
    flipped = bytearray(files[1].read_bytes())
    at = flipped.index(b"indices.npy") + 150  # among the numbers: zip's checksum sees it
    flipped[at] ^= 1
    files[1].write_bytes(flipped)
    files[2].write_bytes(b"")
    files[3].write_bytes(files[4].read_bytes())  # a sound file in a wrong place
    assert saved(make.build_resumable(target, source, folder), tmp_path / "b.npz") == wanted
    for k in range(4):
        assert f"{files[k].name} is damaged" in caplog.text


@pytest.mark.parametrize(
    "other",
    [
        lambda t: (Pensia(), t, 4, 30),
        lambda t: (Pensia(), t, 3, 31),
        lambda t: (Pensia(limit=12), t, 3, 30),
        lambda t: (Pensia(tolerance=1e-3), t, 3, 30),
        lambda t: (Malach(), t, 3, 30),
        lambda t: (Pensia(), random_target(1), 3, 30),
    ],
    ids=["seed", "n", "option", "tolerance", "construction", "target"],
)
def test_pieces_of_another_ticket_are_ignored(other, target, tmp_path, caplog) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "p"
    make, its_target, seed, n = other(target)
    theirs = make.build_resumable(its_target, make.source_for(its_target, seed, n), folder)
    count = len(parts(folder))
    assert not caplog.text
    mine, source = Pensia(), Pensia().source_for(target, 3, 30)
    found = mine.build_resumable(target, source, folder)
    assert f"holds {count} pieces of another ticket" in caplog.text
    wanted = saved(mine.build(target, source), tmp_path / "a.npz")
    assert saved(found, tmp_path / "b.npz") == wanted
    discard(found)
    assert len(parts(folder)) == count  # they may be somebody's
    discard(theirs)
    assert not folder.exists()


def test_what_does_not_change_the_mask_does_not_lose_the_pieces(target, tmp_path, caplog) -> None:  # type: ignore[no-untyped-def]
    make = Pensia(tolerance=1e-3)
    source = make.source_for(target, 3, 30)
    make.build_resumable(target, source, tmp_path)
    before = parts(tmp_path)
    again = Pensia(tolerance=1e-3, delta=0.1).build_resumable(target, source, tmp_path)
    assert again.claim.delta == 0.1
    assert parts(tmp_path) == before
    assert not caplog.text


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from slth.construct import _pieces
from slth.construct.pensia import Pensia
from tests.test_streaming import random_target
_pieces.PIECE = 80
slow = Pensia.find
def find(self, half):
    time.sleep(0.1)
    return slow(self, half)
Pensia.find = find
target = random_target(0)
Pensia().build_resumable(target, Pensia().source_for(target, 3, 30), Path(sys.argv[1]))
"""


def test_kill_minus_nine_in_the_middle(target: Target, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    root = Path(__file__).parents[1]
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], cwd=root)
    end = time.monotonic() + 60
    while len(list(folder.glob("*.npz"))) < 2:
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    make = Pensia()
    source = make.source_for(target, 3, 30)
    left = len(list(folder.glob("*.npz")))
    done: list[int] = []
    found = make.build_resumable(target, source, folder, lambda at, _: done.append(at))
    assert 2 <= left < len(list(folder.glob("*.npz")))
    assert done[0] > 0
    assert saved(found, tmp_path / "a.npz") == saved(make.build(target, source), tmp_path / "b.npz")
    discard(found)
    assert not folder.exists()  # what the kill left half written went too


def test_an_error_in_a_piece_ends_the_search_and_keeps_the_others(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Pensia()
    source = make.source_for(target, 3, 30)
    find = Pensia.find

    def breaks(self: Pensia, half: object) -> Kept:
        if (half.layer, half.first) == (1, 16):  # type: ignore[attr-defined]
            raise MemoryError("planted")
        return find(self, half)  # type: ignore[arg-type]

    monkeypatch.setattr(Pensia, "find", breaks)
    with pytest.raises(MemoryError, match="planted"):
        make.build_resumable(target, source, tmp_path)
    assert parts(tmp_path)


def test_a_construction_without_resuming_still_builds(target: Target, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Outsider(Construction):
        def build(self, target, source, progress=None):  # type: ignore[no-untyped-def]
            return Pensia().build(target, source, progress)

    source = Outsider().source_for(target, 0, 20)
    ticket = Outsider().build_resumable(target, source, tmp_path / "p")
    discard(ticket)
    assert not (tmp_path / "p").exists()
    assert verify(ticket, target).ok


def test_the_command_goes_on_and_cleans_up(target, tmp_path, monkeypatch, caplog) -> None:  # type: ignore[no-untyped-def]
    import torch

    model, out = tmp_path / "m.pt", tmp_path / "t.npz"
    torch.save(target.module(), model)
    command = ["ticket", str(model), "--n", "16", "--steps", "0", "--restarts", "1"]
    command += ["--out", str(out)]
    with monkeypatch.context() as patched:
        patched.setattr(Ticket, "save", _interrupt)
        assert CliRunner().invoke(main, command).exit_code == 130
    assert len(parts(tmp_path / "t.npz.part")) >= 6
    with monkeypatch.context() as patched:
        patched.setattr(Pensia, "find", None)  # nothing is left to be sought
        assert CliRunner().invoke(main, command).exit_code == 0
    resumed = out.read_bytes()
    assert not (tmp_path / "t.npz.part").exists()
    out.unlink()
    assert CliRunner().invoke(main, command).exit_code == 0
    assert out.read_bytes() == resumed
    assert caplog.get_records("call") == []


def _interrupt(self: Ticket, path: Path) -> None:
    raise KeyboardInterrupt


def test_a_folder_gives_the_blocks_in_order_a_few_at_a_time(target, tmp_path) -> None:  # type: ignore[no-untyped-def]
    for make in (Pensia(), Pensia(halves="needed")):
        source = make.source_for(target, 3, 30)
        whole = make.build(target, source)
        ticket = make.build_resumable(target, source, tmp_path / make.halves)
        ticket.save(tmp_path / "t.npz")
        for mask in (whole.kept, ticket.kept, load(tmp_path / "t.npz").kept):
            for layer, most in ((0, 1), (0, 300), (1, 77), (1, 1 << 18)):
                found = list(runs(mask, source, layer, most))
                ends = [0, *(run.last for run in found)]
                assert [run.first for run in found] == ends[:-1]
                assert ends[-1] == source.blocks(layer)
                for half in (0, 1):
                    joined = Kept.joined([run.halves[half] for run in found])
                    np.testing.assert_array_equal(joined.indptr, whole.kept[layer][half].indptr)
                    np.testing.assert_array_equal(joined.indices, whole.kept[layer][half].indices)
                sizes = [sum(kept.indices.size for kept in run.halves) for run in found]
                assert all(
                    size <= most or run.last == run.first + 1
                    for size, run in zip(sizes, found, strict=True)
                )
            assert mask[-1][0].indices.tolist() == whole.kept[1][0].indices.tolist()
            assert len(mask[0:2]) == len(mask) == 2
            with pytest.raises(IndexError):
                mask[2]


def test_kept_of_masks_counts_and_replacements() -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((30, 9)) < 0.3
    kept = Kept.of_mask(mask)
    lists = [np.flatnonzero(row).tolist() for row in mask]

    def as_lists(k: Kept) -> list[list[int]]:
        return [k.indices[a:b].tolist() for a, b in zip(k.indptr, k.indptr[1:], strict=False)]

    assert as_lists(kept) == lists
    rows = np.array([0, 7, 8, 29])
    other = rng.random((4, 9)) < 0.5
    expected = list(lists)
    for row, new in zip(rows.tolist(), other, strict=True):
        expected[row] = np.flatnonzero(new).tolist()
    assert as_lists(kept.replaced(rows, Kept.of_mask(other))) == expected
    assert as_lists(Kept.joined([kept, Kept.nothing(2), Kept.of_mask(other)])) == [
        *lists, [], [], *as_lists(Kept.of_mask(other)),
    ]  # fmt: skip
    assert as_lists(kept.blocks(3, 2, 5)) == lists[6:15]


def test_a_missing_piece_is_an_error_not_an_empty_gadget(target: Target, tmp_path: Path) -> None:
    make = Pensia()
    ticket = make.build_resumable(target, make.source_for(target, 0, 12), tmp_path)
    parts(tmp_path)[0].unlink()
    with pytest.raises(FileNotFoundError):
        ticket.save(tmp_path / "t.npz")
    assert isinstance(ticket.source, Source)

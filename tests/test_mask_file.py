"""Masks on disk: what is damaged is found, what is there is exact, and depth costs no memory; other
processes may read along."""

from __future__ import annotations

import copy
import gc
import json
import math
import os
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from slth import mask_file
from slth.construct.pensia import Pensia
from slth.errors import BadInput
from slth.kept import runs
from slth.laws import Normal, Rademacher, SignedHyperbolic, Uniform
from slth.source import Role
from slth.target import Target
from slth.ticket import Ticket, load
from slth.verify import _between, _gadgets, verify


def random_target(seed: int, dims: tuple[int, ...] = (4, 9, 7, 3), bias: bool = True) -> Target:
    rng = np.random.default_rng(seed)
    weights = tuple(rng.uniform(-1, 1, (b, a)) / np.sqrt(a) for a, b in pairwise(dims))
    return Target(weights, tuple(rng.uniform(-0.5, 0.5, d) if bias else None for d in dims[1:]))


@pytest.fixture(scope="module")
def target() -> Target:
    return random_target(0)


@pytest.fixture(scope="module")
def ticket(target: Target) -> Ticket:
    return Pensia().build(target, Pensia().source_for(target, 1, 12))


@pytest.fixture
def path(ticket: Ticket, tmp_path: Path) -> Path:
    ticket.save(tmp_path / "t.npz")
    return tmp_path / "t.npz"


# -- damage ----------------------------------------------------------------------------------------


def test_a_flipped_byte_is_bad_input_or_changes_nothing(ticket, target, path) -> None:  # type: ignore[no-untyped-def]
    """Bytes that zip itself does not read (dates, attributes, unused flags) may be flipped."""
    raw = path.read_bytes()
    refused = 0
    for at in range(0, len(raw), 7):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :])
        try:
            found = load(path)
        except BadInput as error:
            refused += "\n" not in str(error)
            continue
        assert found.claim == ticket.claim
        assert found.source == ticket.source
        for a, b in zip(found.kept, ticket.kept, strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x.indptr, y.indptr)
                np.testing.assert_array_equal(x.indices, y.indices)
    assert refused > len(raw) / 7 / 2
    gc.collect()  # a file left open would warn here


WRONG = {
    "too few counts": ("count_2_1", lambda a: a[:-1]),
    "too many counts": ("count_2_1", lambda a: np.append(a, 0)),
    "a count too high": ("count_2_1", lambda a: a + np.eye(1, a.size, dtype=a.dtype)[0]),
    "a negative count": ("count_2_1", lambda a: a - 100 * np.eye(1, a.size, dtype=a.dtype)[0]),
    "too few indices": ("index_2_1", lambda a: a[:-1]),
    "too many indices": ("index_2_1", lambda a: np.append(a, a[-1])),
    "an index beyond n": ("index_2_1", lambda a: np.where(a == a.max(), 12, a)),
    "a negative index": ("index_2_1", lambda a: np.where(a == a.min(), -1, a)),
    "descending indices": ("index_2_1", lambda a: a[::-1]),
    "floats": ("index_2_1", lambda a: a.astype(float)),
    "unsigned": ("count_2_1", lambda a: a.astype(np.uint8)),
    "a matrix": ("index_2_1", lambda a: a[None]),
    "objects": ("index_2_1", lambda a: a.astype(object)),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_last_layer_that_is_no_mask_is_refused_by_load(how: str, path: Path) -> None:
    with np.load(path) as data:
        arrays = dict(data)
    name, change = WRONG[how]
    np.savez(path, **{**arrays, name: change(arrays[name])})  # type: ignore[arg-type]
    with pytest.raises(BadInput) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    del arrays[name]
    np.savez(path, **arrays)
    with pytest.raises(BadInput, match=name):
        load(path)


def test_a_file_spoiled_after_it_was_loaded_is_found_by_verify(path, target) -> None:  # type: ignore[no-untyped-def]
    found = load(path)
    raw = path.read_bytes()
    at = raw.index(b"index_2_0.npy") + 30
    with open(path, "r+b") as stream:  # in place, unlike a file that takes its name
        stream.seek(at)
        stream.write(bytes(b ^ 255 for b in raw[at : at + 40]))
    with pytest.raises(BadInput, match="a ticket file"):
        verify(found, target)


def test_another_file_of_that_name_is_not_read(path, target, ticket) -> None:  # type: ignore[no-untyped-def]
    found = load(path)
    other = Pensia().build(target, Pensia().source_for(target, 2, 12))
    other.save(path)
    assert verify(found, target).ok
    os.unlink(path)
    found.with_certificate({"upper": 1.0}).save(path)  # where it came from
    assert verify(replace(load(path), certificate=None), target).ok
    assert found.kept_out == ticket.kept_out != other.kept_out


# -- the exact part of verify ----------------------------------------------------------------------


def errors(ticket: Ticket, target: Target, layer: int) -> list[list[Fraction]]:
    """|Σ products − w| of every gadget and sign, as fractions, from the whole lists."""
    source, outputs = ticket.source, target.dims[layer + 1]
    weights, width = target.augmented(layer), target.dims[layer]
    sums = [[-Fraction(w) for w in weights.T.ravel()] for _ in range(2)]
    for half, kept in enumerate(ticket.kept[layer]):
        for g, k in zip(kept.gadgets.tolist(), kept.indices.tolist(), strict=True):
            a, j = divmod(g, outputs)
            role, frm = (Role.IN, a) if a < width else (Role.BIAS, 0)
            u = source.entries(layer, role, half, a, frm, k)[0]
            v = source.entries(layer, Role.OUT, half, a, j, k)[0]
            sums[0 if u > 0 else 1][g] += Fraction(u) * Fraction(v)
    sums[1] = sums[1][: width * outputs]  # input "one" is never negative
    return [[abs(s) for s in part] for part in sums]


LAWS = [Uniform(), Normal(0.5), Rademacher(), SignedHyperbolic(1.0, 20.0)]


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_the_worst_error_is_the_exact_one_rounded_up(law, bias) -> None:  # type: ignore[no-untyped-def]
    for seed, n in ((5, 24), (6, 8), (7, 8), (8, 8)):
        target = random_target(seed, bias=bias)
        ticket = Pensia().build(target, Pensia().source_for(target, seed, n, law=law))
        worst, unmet = _gadgets(ticket, target)
        assert unmet == [0, 0, 0]
        for layer, found in enumerate(worst):
            exact = max(max(part) for part in errors(ticket, target, layer))
            assert Fraction(found) >= exact > Fraction(math.nextafter(found, 0))


def test_sums_lie_between_their_bounds_whatever_cancels() -> None:
    rng = np.random.default_rng(0)
    gadget = np.sort(rng.integers(0, 300, 4000))
    factors = rng.normal(size=(2, 4000)).astype(np.float32) * 2.0 ** rng.integers(-60, 60, 4000)
    products = factors.astype(np.float32).astype(float).prod(axis=0)
    products[1::2] = -products[::2] * rng.choice([1.0, 1 - 2.0**-20], 2000)
    wanted = rng.normal(size=300) * 2.0 ** rng.integers(-90, 90, 300)
    low, high = _between(gadget, products, wanted)
    off = 0
    for g in range(300):
        terms = products[gadget == g].tolist()
        exact = abs(sum(map(Fraction, terms), Fraction(0)) - Fraction(wanted[g]))
        assert Fraction(low[g]) <= exact <= Fraction(high[g])
        off += exact != Fraction((low[g] + high[g]) / 2)
    assert off > 100  # rounding did happen


def test_a_tolerance_is_missed_by_the_last_bit(ticket: Ticket, target: Target) -> None:
    """At a gadget's own error, rounded down and up, the count changes by that gadget."""
    positive, negative = errors(ticket, target, 1)
    pairs = zip(positive, [*negative, *[Fraction(0)] * 7], strict=True)
    worse = sorted(max(p, n) for p, n in pairs)
    for k in (0, 20, len(worse) - 1):
        near = float(worse[k])
        low, high = math.nextafter(near, 0), math.nextafter(near, 1)
        for eta in (low, high):
            claim = replace(ticket.claim, tolerances=(eta,) * 3)
            missed = _gadgets(replace(ticket, claim=claim), target)[1][1]
            assert missed == sum(error > Fraction(eta) for error in worse)
        assert sum(e > Fraction(low) for e in worse) > sum(e > Fraction(high) for e in worse)


# -- memory ----------------------------------------------------------------------------------------

MEASURE = """
import json, sys
from dataclasses import replace
from pathlib import Path
from slth.construct import discard
from slth.construct.pensia import Pensia
from slth.ticket import load
from slth.verify import verify
from tests.test_mask_file import random_target
path, make, peaks = Path(sys.argv[1]), Pensia(tolerance=0.02), []

def once(dims, hold=False):
    target = random_target(0, dims, False)
    source = make.source_for(target, 0, 40)
    ticket = make.build_resumable(target, source, path.with_suffix(".part"))
    ticket.save(path)
    discard(ticket)
    found = load(path)
    found = replace(found, kept=tuple(found.kept)) if hold else found
    assert verify(found, target).ok
    size = sum(w.nbytes for w in target.weights)
    status = Path("/proc/self/status").read_text().splitlines()
    high = next(line for line in status if line.startswith("VmHWM"))
    peaks.append(1024 * int(high.split()[1]) - size)

dims = (128, 1024, 128, 1024, 128, 1024, 128)
once(dims[:3])
if sys.argv[2] == "measure":
    once(dims)
    once(dims, hold=True)
print(json.dumps(peaks))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells peaks on Linux alone")
def test_depth_costs_no_memory(tmp_path: Path) -> None:
    """Bytes beyond the target itself at the worst moment of building, saving and verifying: three
    times as many layers need no more, while a mask that is held whole does. (VmHWM, since
    ru_maxrss begins at the peak of the process that started this one.)"""
    alone = {**os.environ, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[1]
    for what in ("compile", "measure"):  # a compiler takes more memory than all of this
        code = [sys.executable, "-c", MEASURE, str(tmp_path / "t.npz"), what]
        done = subprocess.run(code, cwd=root, env=alone, capture_output=True, text=True, check=True)
    shallow, deep, held = json.loads(done.stdout)
    assert deep - shallow < 10e6
    assert held - deep > 20e6


def test_a_header_that_says_it_is_huge_makes_no_room_for_itself(tmp_path: Path) -> None:
    """10^14 bytes announced, two there: one line, and no attempt to allocate them."""
    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("header.npy", "w") as part:
        announced = {"descr": "|u1", "fortran_order": False, "shape": (10**14,)}
        np.lib.format.write_array_header_1_0(part, announced)
        part.write(b"{}")
    with pytest.raises(BadInput, match=r"huge\.npz"):
        load(path)


def rewritten(path: Path, dims: list[int], count: int) -> None:
    """The ticket as one of a single layer of these widths: `count` kept in each of its gadgets,
    none of their indices there."""
    with zipfile.ZipFile(path) as archive, archive.open("header.npy") as part:
        header = json.loads(mask_file.text(part))
    header["source"] |= {"dims": dims, "n": [100], "bias": [False]}
    content = json.dumps(header).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with mask_file.writing(archive, "header", np.uint8, len(content)) as part:
            part.write(content)
        for half in (0, 1):
            with mask_file.writing(archive, f"count_0_{half}", np.int8, math.prod(dims)) as part:
                part.write(bytes([count]) * min(math.prod(dims), 10**6))
            with mask_file.writing(archive, f"index_0_{half}", np.int8, 10**12):
                pass


@pytest.mark.parametrize(
    ("dims", "count", "said"),
    [([1, 10**9], 0, "1000000000 entries in one of its 1 blocks"),
     ([2, 200_000], 90, "36000000 entries in one of its 2 blocks")],
)  # fmt: skip
def test_a_block_that_says_it_is_huge_is_refused_before_room_is_made(
    path: Path, dims: list[int], count: int, said: str
) -> None:
    rewritten(path, dims, count)
    assert path.stat().st_size < 10_000
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match=said):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_what_could_not_be_loaded_is_not_saved(ticket: Ticket, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    largest = max(
        sum(half.indices.size for half in run.halves)
        for i in range(3)
        for run in mask_file.runs(ticket.kept, ticket.source, i, 1)
    )
    monkeypatch.setattr(mask_file, "SPAN", 1)
    monkeypatch.setattr(mask_file, "runs", lambda mask, source, i: runs(mask, source, i, 1))
    monkeypatch.setattr(mask_file, "BLOCK", largest)
    ticket.save(tmp_path / "fits.npz")
    assert load(tmp_path / "fits.npz").kept_out == ticket.kept_out
    monkeypatch.setattr(mask_file, "BLOCK", largest - 1)
    with pytest.raises(BadInput, match=f"{largest} entries in one of its"):
        ticket.save(tmp_path / "too_large.npz")
    assert not (tmp_path / "too_large.npz").exists()
    with pytest.raises(BadInput, match=f"{largest} entries in one of its"):
        load(tmp_path / "fits.npz")


# -- other processes -------------------------------------------------------------------------------


def test_a_pickled_ticket_is_read_from_the_same_file_or_refused(  # type: ignore[no-untyped-def]
    path, target, ticket, monkeypatch
) -> None:
    monkeypatch.chdir(path.parent)
    found = load(path.name)
    packed = pickle.dumps(found)
    assert len(packed) < path.stat().st_size + 2000
    monkeypatch.chdir("/")
    again = pickle.loads(packed)
    assert verify(again, target).ok
    assert again.kept_out == ticket.kept_out
    assert verify(pickle.loads(pickle.dumps(again)), target).ok
    assert copy.deepcopy(again).kept_in == ticket.kept_in
    other = Pensia().build(target, Pensia().source_for(target, 2, 12))
    other.save(path)
    with pytest.raises(BadInput, match="another file than was pickled"):
        pickle.loads(packed)
    path.write_bytes(b"PK")
    with pytest.raises(BadInput, match="BadZipFile"):
        pickle.loads(packed)
    os.unlink(path)
    with pytest.raises(BadInput, match="FileNotFoundError"):
        pickle.loads(packed)
    assert verify(found, target).ok  # which holds the file open
    gc.collect()  # a file left open would warn here


FORKED = """
import os, sys
from slth.ticket import load
found = load(sys.argv[1])
half = found.kept.runs(0, 1)
next(half)
child = os.fork()
for _ in range(40):
    assert sum(kept.indices.size for layer in found.kept for kept in layer) == int(sys.argv[2])
assert sum(1 for _ in half) == int(sys.argv[3])
if child == 0:
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_reads_at_the_same_time(ticket: Ticket, path: Path) -> None:
    kept = sum(half.indices.size for layer in ticket.kept for half in layer)
    code = [sys.executable, "-c", FORKED, str(path), str(kept), str(ticket.source.blocks(0) - 1)]
    done = subprocess.run(code, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

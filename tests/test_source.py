"""A source is a seed: any part equals the same part of the whole, in any order, at any width."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slth import philox
from slth.errors import BadInput
from slth.laws import LAWS, Normal, Rademacher, SignedHyperbolic, Uniform
from slth.source import Role, Source


@pytest.fixture
def devices() -> list[str]:
    import torch

    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


SMALL = Source((3, 4, 2), 9, (True, False), 11)


def test_philox_known_answers() -> None:
    """The vectors published with Random123 (Salmon et al. 2011)."""
    cases = [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ]
    for counter, key, expected in cases:
        got = philox.words4(np.array(counter, np.uint64), np.array(key, np.uint64))
        assert [int(w) for w in got] == expected


def test_key_is_numpys_seed_sequence() -> None:
    assert SMALL.key == tuple(np.random.SeedSequence(11).generate_state(2, np.uint32))


def coordinates(source: Source, layer: int, rng: np.random.Generator, count: int):  # type: ignore[no-untyped-def]
    return (
        rng.integers(0, 2, count),
        rng.integers(0, source.blocks(layer), count),
        rng.integers(0, source.dims[layer + 1], count),
        rng.integers(0, source.n[layer], count),
    )


@given(st.integers(0, 2**40), st.integers(0, 30), st.integers(0, 30), st.integers(0, 1))
def test_any_block_equals_the_same_block_of_the_whole(
    seed: int, start: int, count: int, half: int
) -> None:
    source = Source((3, 4, 2), 61, True, seed)
    whole = source.out_weights(0, half)
    part = source.out_weights(0, half, start, start + count, blocks=(1, 3), outputs=(2, 4))
    assert (part == whole[1:3, 2:4, start : start + count]).all()
    rows = source.in_weights(0, half, start, start + count)
    assert (rows == source.in_weights(0, half)[:, start : start + count]).all()
    assert (source.in_weights(0, half, block=2) == source.in_weights(0, half)[2]).all()


@pytest.mark.parametrize("law", [Uniform(), Normal(), SignedHyperbolic(), Rademacher()])
def test_the_source_at_n_is_a_prefix_of_a_wider_one(law) -> None:  # type: ignore[no-untyped-def]
    narrow = Source((5, 6, 2), 10, True, 3, law)
    wide = narrow.with_n(1003)
    for layer in range(2):
        for half in (0, 1):
            assert (
                narrow.out_weights(layer, half) == wide.out_weights(layer, half)[..., :10]
            ).all()
            assert (narrow.in_weights(layer, half) == wide.in_weights(layer, half)[:, :10]).all()


def test_order_of_calls_changes_nothing() -> None:
    a = [SMALL.out_weights(i, h) for i in (0, 1) for h in (0, 1)]
    b = [SMALL.out_weights(i, h) for i in (1, 0) for h in (1, 0)][::-1]
    for x, y in zip(a, b, strict=True):
        assert (x == y).all()


def test_scattered_entries_equal_the_blocks_they_come_from() -> None:
    rng = np.random.default_rng(0)
    half, block, output, index = coordinates(SMALL, 0, rng, 200)
    got = SMALL.entries(0, Role.OUT, half, block, output, index)
    both = np.stack([SMALL.out_weights(0, h) for h in (0, 1)])
    assert (got == both[half, block, output, index]).all()


def test_scattered_entries_of_a_source_that_fits_in_no_memory() -> None:
    huge = Source((784, 500, 10), 1 << 30, True, 5)
    assert huge.parameters > 10**14
    rng = np.random.default_rng(1)
    half, block, output, index = coordinates(huge, 0, rng, 1000)
    got = huge.entries(0, Role.OUT, half, block, output, index)
    again = huge.entries(0, Role.OUT, half[::-1], block[::-1], output[::-1], index[::-1])
    assert (got == again[::-1]).all()
    assert abs(got.mean()) < 5 / np.sqrt(3 * got.size)  # 5 sigma
    at = huge.out_weights(
        0, int(half[0]), int(index[0]), int(index[0]) + 1, (int(block[0]), int(block[0]) + 1)
    )
    assert at[0, output[0], 0] == got[0]


def test_dense_matrices_hold_the_same_weights() -> None:
    """Hidden neuron (block a, half h, index k) stands at (2a + h)·n + k."""
    n = SMALL.n[0]
    into, out, bias = SMALL.in_matrix(0), SMALL.out_matrix(0), SMALL.bias_vector(0)
    assert bias is not None
    assert into.shape == (SMALL.hidden(0), 3)
    assert out.shape == (4, SMALL.hidden(0))
    for half in (0, 1):
        u, v = SMALL.in_weights(0, half), SMALL.out_weights(0, half)
        for a in range(4):
            rows = slice((2 * a + half) * n, (2 * a + half + 1) * n)
            assert (out[:, rows] == v[a]).all()
            assert (u[a] == (into[rows, a] if a < 3 else bias[rows])).all()
    assert SMALL.bias_vector(1) is None
    total = sum(SMALL.in_matrix(i).size + SMALL.out_matrix(i).size for i in (0, 1)) + bias.size
    assert SMALL.parameters == total


def test_all_weights_are_distinct_draws() -> None:
    """No two coordinates share a counter: 24-bit weights collide by chance only (birthday count
    within 5 sigma of N²/2^25)."""
    big = Source((20, 30, 10), 40, True, 1)
    w = np.concatenate(
        [m.ravel() for i in (0, 1) for m in (big.in_matrix(i), big.out_matrix(i))]
        + [b for i in (0, 1) if (b := big.bias_vector(i)) is not None]
    )
    expected = w.size**2 / 2**25
    assert abs(w.size - np.unique(w).size - expected) < 5 * np.sqrt(expected)
    counts = np.bincount(((w + 1) * 32).astype(int), minlength=64)
    chi2 = ((counts - w.size / 64) ** 2 / (w.size / 64)).sum()
    assert chi2 < 63 + 5 * np.sqrt(2 * 63)  # 5 sigma


def test_halves_roles_and_layers_differ() -> None:
    source = Source((4, 4, 4), 8, True, 2)
    draws = [source.out_weights(i, h)[0, 0] for i in (0, 1) for h in (0, 1)]
    draws += [source.in_weights(i, h)[0] for i in (0, 1) for h in (0, 1)]
    assert len({tuple(d) for d in draws}) == 8
    assert (
        source.out_weights(0, 0)
        != source.with_n(8).__class__((4, 4, 4), 8, True, 3).out_weights(0, 0)
    ).all()


@pytest.mark.parametrize("law", [cls() for cls in LAWS.values()], ids=str)
def test_the_torch_engine_draws_the_same_bits(law, devices) -> None:  # type: ignore[no-untyped-def]
    source = Source((17, 23, 5), 203, True, 9, law)
    for device in devices:
        for start, stop in ((0, None), (6, 50)):
            got = source.torch_out_weights(0, 1, device, start, stop).cpu().numpy()
            assert (got == source.out_weights(0, 1, start, stop)).all()


def test_out_law_draws_out_weights_only() -> None:
    source = Source((3, 2), 5, True, 0, Uniform(), Rademacher())
    assert set(np.abs(source.out_weights(0, 0)).ravel()) == {1.0}
    assert (np.abs(source.in_weights(0, 0)) < 1).all()


def test_json_round_trip() -> None:
    source = Source((3, 4, 2), (9, 8), (True, False), 11, Normal(0.5), SignedHyperbolic())
    assert Source.from_json(json.loads(json.dumps(source.to_json()))) == source


@pytest.mark.parametrize(
    "change",
    [
        {"dims": (3,)},
        {"dims": (3, 0)},
        {"n": 0},
        {"n": (1, 2, 3)},
        {"n": 1 << 31},
        {"seed": -1},
        {"seed": 0.5},
        {"bias": (True,)},
        {"bias": "no"},
        {"n": 40.9},
        {"n": True},
        {"n": None},
        {"dims": (3.0, 2)},
        {"seed": True},
        {"law": "uniform"},
    ],
    ids=str,
)
def test_bad_sources_are_refused(change: dict) -> None:
    fields = {"dims": (3, 4, 2), "n": 5, "bias": (False, False), "seed": 0} | change
    with pytest.raises(BadInput, match="remedy: "):
        Source(**fields)


def test_coordinates_outside_the_source_are_refused() -> None:
    zero = np.zeros(1, dtype=np.int64)
    for name in range(4):
        bad = [zero, zero, zero, zero]
        bad[name] = np.array([10_000])
        with pytest.raises(BadInput, match="coordinate"):
            SMALL.entries(0, Role.OUT, *bad)
    with pytest.raises(BadInput, match="index range"):
        SMALL.out_weights(0, 0, 0, 10)


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.in_weights(0, 2),
        lambda s: s.in_weights(0, 0, block=-1),
        lambda s: s.in_weights(0, 0, block=4),
        lambda s: s.out_weights(0, 0, blocks=(-2, 0)),
        lambda s: s.out_weights(0, 0, outputs=(0, 99)),
        lambda s: s.out_weights(2, 0),
        lambda s: s.entries(-1, Role.OUT, 0, 0, 0, np.array([0])),
        lambda s: s.entries(0, Role.OUT, 0, 0, 0, np.array([0.5])),
    ],
)
def test_blocks_outside_the_source_are_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match="allowed: "):
        call(SMALL)

"""Tickets in stacks of dense layers: what they compute, that files prove it, and ±1 weights."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slth.bounds import _binary_layout as layout
from slth.bounds import unit_class
from slth.bounds.binary import Binary as Bound
from slth.certify import certify
from slth.construct._links import Links, join
from slth.construct.binary import Binary
from slth.construct.pensia import Pensia
from slth.domain import Ball, Box
from slth.errors import BadInput
from slth.kept import Kept
from slth.laws import Grid, Normal, Rademacher, Uniform
from slth.layered import LayeredSource
from slth.layered_effective import _unit
from slth.layered_file import layered
from slth.layered_ticket import LayeredTicket, load
from slth.layered_verify import verify_layered
from slth.target import Target
from slth.ticket import Claim
from tests.subset_sums import too_low

BITS = 4


def random_target(seed: int, dims: tuple[int, ...] = (3, 5, 2), bias: bool = True) -> Target:
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-1, 1, (b, a)) for a, b in pairwise(dims)]
    biases = [rng.uniform(-1, 1, b) if bias else None for b in dims[1:]]
    return Target(tuple(weights), tuple(biases))


def on_grid(target: Target, bits: int = BITS) -> Target:
    """Every weight rounded to so many binary digits behind the point."""
    step = 2.0**-bits
    return Target(
        tuple(np.rint(w / step) * step for w in target.weights),
        tuple(None if b is None else np.rint(b / step) * step for b in target.biases),
    )


def built(target: Target, routing: str = "powers", seed: int = 1, **options) -> LayeredTicket:  # type: ignore[no-untyped-def]
    make = Binary(routing=routing, **({"bits": BITS, "delta": 0.01} | options))  # type: ignore[arg-type]
    return make.build(target, make.source_for(target, seed))


def physical(ticket: LayeredTicket, x: list[Fraction]) -> list[Fraction]:
    """The stack from whole dense matrices and masks, ReLU and all, in fractions."""
    source, y = ticket.source, x
    for t in range(source.layers):
        y = [max(v, Fraction(0)) for v in y] if t else y
        matrix, bias = source.matrix(t), source.bias_vector(t)
        out = [Fraction(0)] * source.widths[t + 1]
        for row, column in zip(ticket.kept[t].gadgets, ticket.kept[t].indices, strict=True):
            out[row] += Fraction(matrix[row, column]) * y[column]
        for row in ticket.kept_bias[t]:
            assert bias is not None
            out[row] += Fraction(bias[row])
        y = out
    return y


def exactly(target: Target, x: list[Fraction]) -> list[Fraction]:
    y = x
    for i, (w, b) in enumerate(zip(target.weights, target.biases, strict=True)):
        y = [max(v, Fraction(0)) for v in y] if i else y
        y = [
            sum((Fraction(e) * v for e, v in zip(row, y, strict=True)), Fraction(0))
            + (Fraction(0) if b is None else Fraction(b[j]))
            for j, row in enumerate(w)
        ]
    return y


# -- the source ------------------------------------------------------------------------------------


def test_entries_are_those_of_the_whole_matrices_and_of_any_wider_stack() -> None:
    small = LayeredSource((3, 7, 5, 2), 1, Uniform(), (True, False, True), (1.0, 0.5, 0.25))
    large = LayeredSource((6, 19, 50, 8), 1, Uniform(), (True, False, True), (1.0, 0.5, 0.25))
    for t in range(3):
        rows, columns = np.indices(small.shape(t))
        matrix = small.matrix(t)
        assert (small.entries(t, rows, columns).reshape(matrix.shape) == matrix).all()
        assert (large.matrix(t)[: matrix.shape[0], : matrix.shape[1]] == matrix).all()
        bias = small.bias_vector(t)
        assert (bias is None) == (t == 1)
        if bias is not None:
            assert (small.bias_entries(t, np.arange(bias.size)) == bias).all()
            assert not np.isin(bias, matrix * small.scales[t]).any()
    drawn = np.concatenate([small.matrix(t).ravel() / small.scales[t] for t in range(3)])
    assert np.unique(drawn).size == drawn.size
    assert small.parameters == 3 * 7 + 7 + 7 * 5 + 5 * 2 + 2
    assert [small.hidden(i) for i in range(small.pairs)] == [0, 0, 0]  # every layer is an end
    assert LayeredSource.from_json(json.loads(json.dumps(small.to_json()))) == small


def test_scales_are_factors_of_weights_and_not_of_biases() -> None:
    plain = LayeredSource((3, 7, 2), 1, bias=(True,))
    scaled = replace(plain, scales=(1.0, 0.125))
    assert (scaled.matrix(1) == plain.matrix(1) / 8).all()
    assert (scaled.bias_vector(1) == plain.bias_vector(1)).all()


@pytest.mark.parametrize(
    "change",
    [
        {"widths": (3,)},
        {"widths": (3, 0, 2)},
        {"widths": (3, 2.5, 2)},
        {"seed": -1},
        {"law": "rademacher"},
        {"bias": (True, False, True)},
        {"bias": (1,)},
        {"scales": (0.3,)},
        {"scales": (2.0**61,)},
        {"dims": (3, 2), "ends": (0,)},
        {"dims": (3, 2), "ends": (1,), "copies": (1, 1)},
        {"dims": (4, 2), "ends": (1,)},
        {"dims": (3, 4, 2), "copies": (2, 1)},
        {"dims": (3, 4, 2), "ends": (1, 0)},
        {"dims": (3, 4, 2), "copies": (0, 1)},
    ],
    ids=str,
)
def test_bad_stacks_are_refused(change: dict) -> None:
    fields = {"widths": (3, 7, 2), "seed": 0} | change
    with pytest.raises(BadInput, match="remedy: "):
        LayeredSource(**fields)


# -- ±1: exactness, with nothing but the definition as the oracle ----------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("routing", layout.ROUTINGS)
def test_the_stack_computes_the_rounded_network_exactly(routing: str, bias: bool) -> None:
    target = random_target(0, bias=bias)
    ticket, grid = built(target, routing), on_grid(target)
    assert ticket.claim.met
    assert ticket.claim.achieved == tuple(
        max(float(np.abs(a - b).max()) for a, b in zip(*parts, strict=True) if a is not None)
        for parts in (
            ((grid.weights[i], grid.biases[i]), (target.weights[i], target.biases[i]))
            for i in range(2)
        )
    )
    rng = np.random.default_rng(0)
    for _ in range(6):
        x = [Fraction(int(k), 64) for k in rng.integers(-64, 65, 3)]
        assert physical(ticket, x) == exactly(grid, x)
    for made, wanted in zip(ticket.effective.positive, grid.weights, strict=True):
        assert (made == wanted).all()
    assert (ticket.effective.negative[0] == grid.weights[0]).all()
    assert not any(slack.any() for slack in ticket.effective.slack)


@settings(max_examples=9, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**6),
    st.sampled_from([(1, 1), (2, 1, 1), (2, 3), (1, 2, 2, 1)]),
    st.sampled_from([0, 1, 2, 5]),
    st.sampled_from(layout.ROUTINGS),
    st.booleans(),
)
def test_any_shape_any_digits(seed: int, dims: tuple, bits: int, routing: str, bias: bool) -> None:
    """Targets on the grid, with zeros, ones and weights beyond one, are met with error 0."""
    rng = np.random.default_rng(seed)
    step = 2.0**-bits
    most = 2 ** (bits + 1)
    whole = [rng.integers(-most, most + 1, (b, a)) for a, b in pairwise(dims)]
    target = Target(
        tuple(w * step * (rng.random(w.shape) < 0.7) for w in whole),
        tuple(step * rng.integers(-3, 4, b) if bias else None for b in dims[1:]),
    )
    ticket = built(target, routing, seed, bits=bits, delta=1e-4)
    if ticket.claim.unmet == 0:  # else a failure of probability 1e-4, which is data
        assert ticket.claim.achieved == (0.0,) * target.depth
        assert certify(target, ticket.effective, Ball(1.0, dims[0]), effort=0).upper == 0
    assert verify_layered(ticket, target).ok
    assert ticket.claim.unmet == 0


def test_error_is_at_most_half_a_unit_of_the_last_digit() -> None:
    target = random_target(3)
    errors = []
    for bits in range(1, 12):
        claim = built(target, bits=bits).claim
        assert claim.tolerances == (2.0 ** -(bits + 1),) * 2
        assert max(claim.achieved) <= 2.0 ** -(bits + 1)
        errors.append(max(claim.achieved))
    assert min(errors) > 0
    ratios = np.log2(errors) + np.arange(2, 13)  # error over its bound
    assert ratios.min() > -2.5  # 17 weights: the largest is not far below


def test_epsilon_is_served() -> None:
    target = random_target(4)
    for epsilon in (3.0, 0.1):
        make = Binary(epsilon=epsilon, delta=0.05)
        ticket = make.build(target, make.source_for(target, 2))
        assert ticket.claim.met
        assert ticket.claim.error_bound <= epsilon
        assert verify_layered(ticket, target).ok


def test_the_source_does_not_depend_on_single_weights() -> None:
    a = random_target(1)
    b = Target(tuple(-w for w in a.weights), tuple(-c for c in a.biases if c is not None))
    make = Binary(epsilon=0.5, delta=0.1)
    assert make.source_for(a, 5) == make.source_for(b, 5)
    for target in (a, b):
        assert make.build(target, make.source_for(a, 5)).claim.met


# -- counts and the theorem ------------------------------------------------------------------------


def doubles(size: int) -> float:
    """P(Bin(N, 1/4) < c) and P(Bin(R, 1/2) < c) are what the proof says, for both c."""
    n = layout.pool(size)
    pools = [(3 / 4) ** n, (3 / 4) ** n * (1 + n / 3)]
    return max(pools[0] * 2**size, pools[1] * 2**size / (size + 1))


def test_pools_are_as_sure_as_copies() -> None:
    assert max(doubles(size) for size in range(1, 200)) <= 1
    shorter = [layout.pool(size) - 1 for size in range(1, 200)]
    assert any((3 / 4) ** n > 2.0**-size for size, n in enumerate(shorter, start=1))


@pytest.mark.parametrize("routing", layout.ROUTINGS)
def test_links_counted_are_at_least_those_that_any_target_asks_for(routing: str) -> None:
    """All digits one: a target asks for every link but those of the other sign."""
    for dims, bias, bits in (((3, 4, 2), True, 4), ((2, 2), False, 1), ((2, 3, 1, 2), True, 3)):
        most = 1 - 2.0**-bits
        target = Target(
            tuple(np.full((b, a), most) for a, b in pairwise(dims)),
            tuple(np.full(b, most) if bias else None for b in dims[1:]),
        )
        make = Binary(bits=bits, routing=routing)  # type: ignore[arg-type]
        stages, _ = make._layers(target)
        copies = 3
        source = make.source_for(target, 0, copies)
        assert source.widths == layout.widths(stages, copies, routing)  # type: ignore[arg-type]
        inner = [1, *(end + 2 for end in source.ends)]  # after the inputs, and after each end
        assert [source.hidden(i) for i in range(source.pairs)] == [
            max(source.widths[a : b - 1], default=0) for a, b in pairwise(inner)
        ]
        assert source.layers == 1 + sum(s.digits for s in stages) == 1 + bits * len(stages)
        asked = _asked(make, target, source)
        counted = layout.links(stages, copies, routing)  # type: ignore[arg-type]
        assert asked[0] <= counted[0]
        assert asked[1] <= counted[1]
        # the other sign of each digit of the last source layers is all that is not asked for
        ends = [s.outputs * (copies if s.copied else 1) * s.streams for s in stages]
        each = [s.digits if routing == "powers" else 1 for s in stages]
        if routing == "powers":
            assert counted[0] - asked[0] == sum(e * k for e, k in zip(ends, each, strict=True))
            assert counted[1] == asked[1]


def _asked(make: Binary, target: Target, source: LayeredSource) -> tuple[int, int]:
    """Links of one and two copies that building a ticket seeks."""
    import slth.construct._digits as search

    found = [0, 0]

    def counting(draw, live, links, values, copies):  # type: ignore[no-untyped-def]
        for count in (1, 2):
            found[count - 1] += int((links.count == count).sum()) * copies
        return join(draw, live, links, values, copies)

    original, search.join = search.join, counting
    try:
        make.build(target, source)
    finally:
        search.join = original
    return found[0], found[1]


def test_fractions_and_digits() -> None:
    for eta in (0.5, 0.3, 0.25, 0.2, 1e-3, 2.0**-20, 7.0):
        bits = layout.fraction_bits(eta)
        assert 2.0 ** -(bits + 1) <= eta
        assert bits == 0 or 2.0**-bits > eta
    for largest, bits in product((1.0, 0.999, 0.5, 0.26, 0.9375, 3.0, 0.0, 0.03), (0, 1, 3, 10)):
        whole = round(largest * 2**bits)  # to even, as NumPy rounds
        assert layout.digits(largest, bits) == max(1, whole.bit_length()), (largest, bits)


def test_fewest_copies_meet_delta_and_one_less_does_not() -> None:
    stages = layout.stages((4, 5, 2), (True, False), (6, 7))
    for routing, delta in product(layout.ROUTINGS, (0.5, 0.01, 1e-9)):
        copies = layout.least_copies(stages, delta, routing)
        assert layout.failure(stages, copies, routing) <= delta
        assert layout.failure(stages, copies - 1, routing) > delta


def test_the_bound_of_the_shelf_asks_for_what_the_construction_draws() -> None:
    """In the unit class, at the tolerances that the bound uses."""
    target = unit_class(4, 4, 4)
    asked = Bound("copies").ask(target, 0.1, 0.05)
    size = Bound("copies").size(target, 0.1, 0.05)
    f = random_target(0, (4, 4, 4), bias=False)
    f = Target(tuple(w / np.abs(w).max() for w in f.weights), f.biases)
    make = Binary(bits=layout.fraction_bits(0.1 / 4 / 4), delta=0.05)
    source = make.source_for(f, 0)
    assert source.copies == (asked,) * 2
    assert size is not None
    assert size.widths == source.widths[1:-1]
    assert size.weights == source.parameters


@pytest.mark.parametrize("routing", layout.ROUTINGS)
def test_links_are_missed_no_more_often_than_the_theorem_says(routing: str) -> None:
    """Too few copies on purpose; false alarms 1e-4. A tenth of the bound would be refuted."""
    target = Target((np.full((2, 1), 0.875), np.full((1, 2), 0.875)), (None, None))
    make = Binary(bits=3, routing=routing)  # type: ignore[arg-type]
    stages, _ = make._layers(target)
    copies = next(r for r in range(1, 40) if layout.failure(stages, r, routing) < 0.8)  # type: ignore[arg-type]
    claimed, trials = layout.failure(stages, copies, routing), 60  # type: ignore[arg-type]
    missed = unmet = 0
    for seed in range(trials):
        search = make.search(target, make.source_for(target, seed, copies))
        missed += search.missed > 0
        unmet += make._claim(target, search.source, *search.mask()).claim.unmet > 0
    assert not too_low(missed, trials, claimed)
    assert too_low(missed, trials, claimed / 10)
    assert unmet <= missed


# -- when links are missing ------------------------------------------------------------------------


def test_too_few_copies_are_a_result() -> None:
    target = random_target(5)
    make = Binary(bits=BITS)
    states = set()
    for seed, copies in product(range(4), (1, 3, 6, 12)):
        ticket = make.build(target, make.source_for(target, seed, copies))
        states.add(ticket.claim.met)
        assert verify_layered(ticket, target).ok  # what it does claim is true
        x = np.random.default_rng(seed).normal(size=(20, 3))
        assert np.abs(ticket(x) - ticket.effective(x)).max() < 1e-12
    assert states == {True, False}


def test_links_by_hand() -> None:
    """Two values, three copies each, signs given; neuron 1 of the layer before is dead."""
    signs = np.array([[1, 1, -1, 1, -1, -1], [1, -1, 1, -1, -1, 1], [-1, 1, -1, -1, -1, -1]])
    live = np.array([[0, -1, 2], [3, 4, 5]])

    def draw(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return signs[np.broadcast_arrays(rows, columns)[0] % 3, columns].astype(float).ravel()

    links = Links(np.array([0, 0]), np.array([0, 1]), np.array([1, 1]), np.array([1, -1]))
    found = join(draw, live, links, 1, 3)
    assert found.live.tolist() == [[0, 1, -1]]  # copy 2 finds no + from value 0
    edges = list(zip(found.rows.tolist(), found.columns.tolist(), strict=True))
    assert sorted(edges) == [(0, 0), (0, 4), (1, 0), (1, 3)]
    twice = Links(np.array([0]), np.array([1]), np.array([2]), np.array([-1]))
    assert join(draw, live, twice, 1, 3).live.tolist() == [[0, 1, 2]]
    never = Links(np.array([0]), np.array([0]), np.array([2]), np.array([-1]))
    lost = join(draw, live, never, 1, 3)
    assert lost.live.tolist() == [[-1, -1, 2]]
    assert lost.columns.tolist() == [0, 2]


# -- three evaluations and the file ----------------------------------------------------------------


@pytest.fixture(scope="module")
def target() -> Target:
    return random_target(9, (3, 4, 2))


@pytest.fixture(scope="module")
def ticket(target: Target) -> LayeredTicket:
    return built(target, bits=2, delta=0.5)


def test_module_compact_and_call_agree(ticket: LayeredTicket) -> None:
    x = np.random.default_rng(0).integers(-64, 65, (30, 3)) / 64
    whole, small = ticket.module(), ticket.compact()
    for net in (whole, small):
        assert (net(torch.from_numpy(x)).detach().numpy() == ticket(x)).all()
    single = ticket.module(torch.float32)
    assert torch.equal(single[-1].weight_orig.double(), whole[-1].weight_orig)
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in whole.parameters())
    layers = [m for m in whole if hasattr(m, "weight_mask")]
    kept = sum(int(m.weight_mask.sum()) for m in layers)
    kept += sum(int(m.bias_mask.sum()) for m in layers if hasattr(m, "bias_mask"))
    random = sum(m.weight_orig.numel() for m in layers)
    random += sum(m.bias_orig.numel() for m in layers if hasattr(m, "bias_orig"))
    assert kept == ticket.kept_in + ticket.kept_out == sum(ticket.sizes)
    assert random == ticket.source.parameters
    assert ticket.density == kept / random
    for t, m in enumerate(layers):
        assert torch.equal(m.weight_orig, torch.from_numpy(ticket.source.matrix(t)))
        assert torch.equal(m.weight, m.weight_orig * m.weight_mask)
        values = {-ticket.source.scales[t], ticket.source.scales[t]}
        assert set(m.weight_orig.unique().tolist()) <= values
    with pytest.raises(BadInput, match=r"bytes with masks.*compact\(\)"):
        ticket.module(limit=1000)


def test_a_file_proves_itself(ticket: LayeredTicket, target: Target, tmp_path) -> None:  # type: ignore[no-untyped-def]
    found = certify(target, ticket.effective, Ball(1.0, 3))
    path = tmp_path / "ticket.npz"
    ticket.with_certificate(found).save(path)
    again = load(path)
    assert layered(path)
    assert again.source == ticket.source
    assert again.claim == ticket.claim
    for a, b in zip(again.kept, ticket.kept, strict=True):
        assert (a.indices == b.indices).all()
        assert (a.indptr == b.indptr).all()
    report = verify_layered(again, target)
    assert report.ok
    assert report.met
    assert len(report.checks) == 15
    assert path.stat().st_size < 64 * sum(ticket.sizes) + 8000


def test_damaged_and_foreign_files_are_bad_input(ticket, target, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "ticket.npz"
    ticket.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 60).tolist():
        flipped = bytearray(whole)
        flipped[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(flipped))
        try:
            read = load(path)
        except BadInput:
            continue
        assert read.source == ticket.source
        assert read.claim == ticket.claim
        assert [k.indices.tolist() for k in read.kept] == [k.indices.tolist() for k in ticket.kept]
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput):
        load(path)
    assert not layered(path)
    gadgets = Pensia().build(target, Pensia().source_for(target, 0, 8))
    gadgets.save(path)
    with pytest.raises(BadInput, match=r"gadgets format.*slth\.ticket\.load"):
        load(path)
    assert not layered(path)
    with pytest.raises(BadInput):
        load(tmp_path / "nothing.npz")


# -- what verification catches ---------------------------------------------------------------------


def edges(ticket: LayeredTicket, layer: int) -> tuple[np.ndarray, np.ndarray]:
    return ticket.kept[layer].gadgets.copy(), ticket.kept[layer].indices.copy()


def with_edges(
    ticket: LayeredTicket, layer: int, rows: np.ndarray, columns: np.ndarray
) -> LayeredTicket:
    order = np.lexsort((columns, rows))
    counts = np.bincount(rows, minlength=ticket.source.widths[layer + 1])
    kept = list(ticket.kept)
    kept[layer] = Kept.of_counts(counts, columns[order])
    changed = replace(ticket, kept=tuple(kept))
    claim = replace(ticket.claim, kept_in=changed.kept_in, kept_out=changed.kept_out)
    return replace(changed, claim=claim)


@pytest.mark.parametrize("routing", layout.ROUTINGS)
def test_every_lost_edge_and_every_flipped_sign_is_caught(routing: str, target: Target) -> None:
    """All kept edges of a small ticket, one after another: dropped (a wrong digit), and moved to a
    neuron of the same layer joined by the other sign."""
    ticket = built(on_grid(target, 1), routing, bits=1, delta=0.5)
    goal = on_grid(target, 1)
    assert verify_layered(ticket, goal).ok
    rng = np.random.default_rng(0)
    caught = tried = 0
    for layer in range(ticket.source.layers):
        rows, columns = edges(ticket, layer)
        for e in rng.permutation(rows.size)[:6].tolist():
            gone = with_edges(ticket, layer, np.delete(rows, e), np.delete(columns, e))
            assert not verify_layered(gone, goal).ok
            every = np.arange(ticket.source.widths[layer])
            signs = ticket.source.entries(layer, int(rows[e]), every)
            here = ticket.source.entries(layer, int(rows[e]), int(columns[e]))
            taken = columns[rows == rows[e]]
            used = ticket.used[layer - 1] if layer else np.ones(every.size, dtype=bool)
            other = every[(signs * here < 0) & ~np.isin(every, taken) & used]
            if other.size:
                columns[e], old = rng.choice(other), columns[e]
                caught += not verify_layered(with_edges(ticket, layer, rows, columns), goal).ok
                columns[e] = old
                tried += 1
    assert caught == tried > 5


def test_false_claims_are_named(ticket: LayeredTicket, target: Target) -> None:
    claim = ticket.claim
    for change, word in (
        ({"achieved": (0.0, 0.0)}, "missed by more than"),
        ({"error_bound": claim.error_bound / 2}, "by propagation"),
        ({"kept_in": claim.kept_in + 1}, "even layers are kept"),
        ({"kept_out": claim.kept_out - 1}, "odd layers are kept"),
        ({"tolerances": (1e-9, 1e-9)}, "miss their tolerance"),
        ({"failed": ()}, "hypotheses"),
        ({"epsilon": 1e-3}, "serve epsilon"),
        ({"target": "0" * 64}, "about this target"),
        ({"achieved": None}, "can be read"),
        ({"theorem": "nobody"}, "hypotheses"),
    ):
        report = verify_layered(replace(ticket, claim=replace(claim, **change)), target)
        assert [check for check in report.false if word in check.statement], change
    seed = replace(ticket, source=replace(ticket.source, seed=2))
    assert not verify_layered(seed, target).ok
    found = certify(target, ticket.effective, Ball(1.0, 3)).to_json()
    for key, factor in (("upper", 0.5), ("lower", 1.5)):
        wrong = ticket.with_certificate({**found, key: found[key] * factor})
        assert not verify_layered(wrong, target).ok


def test_a_derivation_that_the_stack_contradicts_is_found_out(
    ticket: LayeredTicket, target: Target
) -> None:
    """The derived network replaced by one of other weights: running the stack tells."""
    again = replace(ticket)
    right = again.effective
    for at in ((0, 1, 0), (1, 0, 1)):  # of a neuron that is on at most points of the domain
        part = [w.copy() for w in right.positive]
        part[at[0]][at[1:]] += 0.25
        again.__dict__["effective"] = replace(right, positive=tuple(part))
        (check,) = [c for c in verify_layered(again, target).checks if "by neuron" in c.statement]
        assert not check.true


def test_masks_that_do_not_fit_are_refused(ticket: LayeredTicket) -> None:
    kept, bias = ticket.kept, ticket.kept_bias
    short = Kept(kept[0].indptr[:-1], kept[0].indices)
    outside = Kept(kept[0].indptr, kept[0].indices + 3)
    twice = Kept.of_counts(np.r_[2, np.zeros(ticket.source.widths[1] - 1, int)], np.array([1, 1]))
    for wrong in (short, outside, twice):
        with pytest.raises(BadInput, match="mask of layer 0"):
            replace(ticket, kept=(wrong, *kept[1:]))
    with pytest.raises(BadInput, match="mask of layer 1"):
        replace(ticket, kept_bias=(bias[0], np.array([0]), *bias[2:]))
    with pytest.raises(BadInput, match="kept"):
        replace(ticket, kept=kept[:-1])
    with pytest.raises(BadInput, match="x: "):
        ticket(np.zeros((2, 4)))


# -- any stack -------------------------------------------------------------------------------------


def plain(source: LayeredSource, share: float, seed: int) -> LayeredTicket:
    """A random mask on a stack that is the target's own architecture."""
    rng = np.random.default_rng(seed)
    kept, biases = [], []
    for t in range(source.layers):
        rows, columns = np.nonzero(rng.random(source.shape(t)) < share)
        kept.append(Kept.of_counts(np.bincount(rows, minlength=source.widths[t + 1]), columns))
        size = source.widths[t + 1] if source.bias[t] else 0
        biases.append(np.flatnonzero(rng.random(size) < share))
    claim = Claim(
        "none", {}, "", Ball(1.0, source.widths[0]).to_json(), None, None, None, (), math.inf, 0,
        "both", 0, 0, None, ("No theorem is cited.",),
    )  # fmt: skip
    return LayeredTicket(source, tuple(kept), tuple(biases), claim)


@pytest.mark.parametrize("law", [Uniform(), Rademacher(), Grid(0.25, 3)], ids=str)
def test_a_stack_without_ends_is_its_own_network(law) -> None:  # type: ignore[no-untyped-def]
    source = LayeredSource((4, 9, 7, 3), 3, law, (True, False, True), (1.0, 0.5, 1.0))
    ticket = plain(source, 0.5, 0)
    masked = [np.zeros(source.shape(t)) for t in range(3)]
    biases: list[np.ndarray | None] = []
    for t, (weights, kept) in enumerate(zip(masked, ticket.kept, strict=True)):
        weights[kept.gadgets, kept.indices] = source.matrix(t)[kept.gadgets, kept.indices]
        vector = source.bias_vector(t)
        if vector is not None:
            vector = np.where(np.isin(np.arange(vector.size), ticket.kept_bias[t]), vector, 0.0)
        biases.append(vector)
    target = Target(tuple(masked), tuple(biases))
    claim = replace(ticket.claim, target=target.fingerprint)
    ticket = replace(ticket, claim=claim).measured(target)
    assert ticket.claim.achieved == (0.0,) * 3
    assert verify_layered(ticket, target).ok
    x = np.random.default_rng(1).normal(size=(20, 4))
    assert np.abs(ticket(x) - target(x)).max() < 1e-12
    assert np.abs(ticket.compact()(torch.from_numpy(x)).detach().numpy() - target(x)).max() < 1e-12


def test_gadgets_of_real_weights_are_a_stack_too_up_to_their_rounding() -> None:
    """One input, one output, hidden neurons fed by it alone: the slopes are the kept products'."""
    source = LayeredSource((1, 40, 1), 5, Normal(), dims=(1, 1), ends=(1,), copies=(1,))
    kept = (Kept.of_counts(np.ones(40, int), np.zeros(40, int)),
            Kept.of_counts(np.array([40]), np.arange(40)))  # fmt: skip
    blank = plain(source, 0.0, 0)
    ticket = replace(blank, kept=kept, kept_bias=(np.empty(0, int),) * 2)
    u, v = source.matrix(0)[:, 0], source.matrix(1)[0]
    effective = ticket.effective
    for made, sign in ((effective.positive[0], 1), (effective.negative[0], -1)):
        real = sum(Fraction(a) * Fraction(b) for a, b in zip(u, v, strict=True) if a * sign > 0)
        doubt = Fraction(effective.slack[0][0, 0])
        assert 0 < doubt < Fraction(1, 10**10)
        assert abs(Fraction(made[0, 0]) - real) <= doubt
    goal = Target((np.array([[0.5]]),), (None,))
    claim = replace(ticket.claim, target=goal.fingerprint)
    assert verify_layered(replace(ticket, claim=claim).measured(goal), goal).ok


def test_mixed_signs_and_unlike_copies_have_no_effective_network() -> None:
    source = LayeredSource((2, 4, 4, 1), 0, dims=(2, 2, 1), ends=(1, 2), copies=(2, 1))
    first, second = source.matrix(0), source.matrix(1)
    none = (np.empty(0, dtype=np.int64),) * 3

    def stack(*masks: np.ndarray) -> LayeredTicket:
        kept = tuple(
            Kept.of_counts(m.sum(axis=1), np.nonzero(m)[1].astype(np.int64)) for m in masks
        )
        return LayeredTicket(source, kept, none, plain(source, 0.0, 0).claim)

    both = np.ones((4, 2), dtype=bool)
    one = np.zeros((4, 2), dtype=bool)
    one[:, 0] = True
    last = np.ones((1, 4), dtype=bool)
    mixed = stack(both, np.eye(4, dtype=bool), last)
    with pytest.raises(BadInput, match="mixes signs"):
        _ = mixed.effective
    assert (first[:, 0] > 0).any()
    assert (first[:, 0] < 0).any()
    assert (second.diagonal() > 0).any()
    unlike = stack(one, np.eye(4, dtype=bool), last)
    with pytest.raises(BadInput, match="unlike another copy"):
        _ = unlike.effective
    goal = Target((np.ones((2, 2)), np.ones((1, 2))), (None, None))
    claim = replace(mixed.claim, target=goal.fingerprint, achieved=(0.0, 0.0))
    report = verify_layered(replace(mixed, claim=claim), goal)
    assert "computes a network" in report.false[0].statement


def test_units_divide() -> None:
    assert _unit(np.array([3.0, -0.25, 0.0, 6.5])) == 0.25
    assert _unit(np.array([2.0**-60])) == 2.0**-60
    assert _unit(np.array([0.1])) == 2.0**-55
    assert _unit(np.zeros(2)) == math.inf


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda t: Binary(bits=3, epsilon=0.1), "bits"),
        (lambda t: Binary(bits=-1), "bits"),
        (lambda t: Binary(bits=51), "bits"),
        (lambda t: Binary(epsilon=0.0), "epsilon"),
        (lambda t: Binary(delta=1.0), "delta"),
        (lambda t: Binary(routing="sideways"), "routing"),  # type: ignore[arg-type]
        (lambda t: Binary(domain="ball"), "domain"),  # type: ignore[arg-type]
        (lambda t: Binary().source_for(t, 0, 5), "bits"),
        (lambda t: Binary(bits=3).source_for(t, 0), "delta"),
        (lambda t: Binary(bits=3).source_for(t, 0, 0), "copies"),
        (lambda t: Binary(bits=3).source_for(t, 0, 2.0), "copies"),  # type: ignore[arg-type]
        (lambda t: Binary(bits=3).source_for(t, 0, 5, law=Normal()), "Rademacher"),
        (lambda t: Binary(epsilon=1e-30).source_for(t, 0, 5), "binary digits"),
        (lambda t: Binary(bits=3).build(t, LayeredSource((3, 5, 2), 0)), "source_for"),
        (lambda t: Binary(bits=3).build("net", LayeredSource((3, 5, 2), 0)), "target"),  # type: ignore[arg-type]
        (lambda t: Binary(bits=3, domain=Box(np.zeros(2), np.ones(2))).source_for(t, 0, 4), "dim"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(make, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match=match):
        make(random_target(0))

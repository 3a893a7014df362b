"""Tickets: gadgets within tolerance, three evaluations that agree, a file that proves itself."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slth.bounds import facts
from slth.certify import certify
from slth.certify.propagate import class_propagation, propagation
from slth.construct import constructions, malach
from slth.construct import load as load_construction
from slth.construct._gadgets import GadgetConstruction, Half
from slth.construct.assigned import Assigned
from slth.construct.malach import Malach
from slth.construct.pensia import WIDEST, Pensia
from slth.domain import Ball, Box
from slth.effective import Effective, weight_errors
from slth.errors import BadInput
from slth.laws import Normal, Rademacher, SignedHyperbolic, Uniform
from slth.source import Role, Source
from slth.subsetsum import Problem, Solution, Solver, Status
from slth.subsetsum.greedy import Greedy
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle
from slth.target import Target
from slth.ticket import Kept, Ticket, load
from slth.verify import verify


def random_target(seed: int, dims: tuple[int, ...] = (3, 5, 2), bias: bool = True) -> Target:
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-1, 1, (b, a)) / np.sqrt(a) for a, b in pairwise(dims)]
    biases = [rng.uniform(-0.5, 0.5, b) if bias else None for b in dims[1:]]
    return Target(tuple(weights), tuple(biases))


@pytest.fixture(scope="module")
def target() -> Target:
    return random_target(0)


@pytest.fixture(scope="module")
def ticket(target: Target) -> Ticket:
    construction = Pensia(epsilon=0.05)
    return construction.build(target, construction.source_for(target, seed=1, n=64))


VARIANTS = [
    (Pensia(epsilon=0.05), 64),
    (Pensia(epsilon=0.05, halves="needed"), 64),
    (Pensia(), 20),
    (Malach(epsilon=2.0), 4000),
    (Malach(), 500),
    (Malach(match="product", epsilon=0.5), 4000),
    (Malach(match="product"), 500),
    (Assigned(epsilon=0.05), 40),
    (Assigned(epsilon=0.05, halves="needed", looks_at="target"), 24),
    (Assigned(), 16),
]


LISTED = {type(c).__module__.rsplit(".", 1)[-1] for c, _ in VARIANTS}
UNLISTED = [load_construction(n) for n in constructions() if n not in LISTED]
# layered stacks (tests/test_layered.py) are another kind of source, and of ticket
VARIANTS += [(make(), 200) for make in UNLISTED if issubclass(make, GadgetConstruction)]


def exact_slopes(ticket: Ticket, layer: int) -> tuple[list, list]:  # type: ignore[type-arg]
    """Sums of kept products as fractions, from the whole dense matrices and masks."""
    source = ticket.source
    into, out, bias = source.in_matrix(layer), source.out_matrix(layer), source.bias_vector(layer)
    in_mask, bias_mask, out_mask = ticket._masks(layer)
    rows = []
    for sign in (1, -1):
        row = [[Fraction(0)] * source.blocks(layer) for _ in range(source.dims[layer + 1])]
        for j, k in np.argwhere(out_mask):
            for a in range(source.blocks(layer)):
                inner = into[k, a] * in_mask[k, a] if a < source.dims[layer] else 0.0
                if a == source.dims[layer] and bias is not None:
                    inner = bias[k] * bias_mask[k]
                if inner * sign > 0:
                    row[j][a] += Fraction(inner) * Fraction(out[j, k])
        rows.append(row)
    return rows[0], rows[1]


@pytest.mark.parametrize(("construction", "n"), VARIANTS, ids=str)
def test_every_gadget_is_within_its_claim_on_both_halves(construction, n, target) -> None:  # type: ignore[no-untyped-def]
    ticket = construction.build(target, construction.source_for(target, seed=3, n=n))
    claim = ticket.claim
    for layer in range(target.depth):
        positive, negative = exact_slopes(ticket, layer)
        for j, a in np.ndindex(target.augmented(layer).shape):
            w = Fraction(target.augmented(layer)[j, a])
            assert abs(positive[j][a] - w) <= Fraction(claim.achieved[layer])
            if a < target.dims[layer] and (layer == 0 or claim.halves == "both"):
                assert abs(negative[j][a] - w) <= Fraction(claim.achieved[layer])
            assert abs(positive[j][a] - Fraction(_entry(ticket, layer, j, a))) <= Fraction(
                ticket.effective.slack[layer][j, a if a < target.dims[layer] else -1]
            )
    assert verify(ticket, target).ok
    if claim.tolerances is not None:
        assert claim.met
        assert claim.error_bound <= construction.epsilon
        assert all(a <= t for a, t in zip(claim.achieved, claim.tolerances, strict=True))


def _entry(ticket: Ticket, layer: int, j: int, a: int) -> float:
    effective = ticket.effective
    width = ticket.source.dims[layer]
    return float(effective.positive[layer][j, a] if a < width else effective.bias[layer][j])


@pytest.mark.parametrize(("construction", "n"), VARIANTS, ids=str)
def test_claim_holds_at_random_and_negative_inputs(construction, n, target) -> None:  # type: ignore[no-untyped-def]
    ticket = construction.build(target, construction.source_for(target, seed=4, n=n))
    x = np.random.default_rng(0).normal(size=(4000, 3))
    x /= np.maximum(1, np.linalg.norm(x, axis=1, keepdims=True))
    gap = np.linalg.norm(ticket(x) - target(x), axis=1)
    assert gap.max() <= ticket.claim.error_bound + 1e-12
    assert gap.max() > 1e-9  # the comparison is not of a thing with itself


def test_source_does_not_depend_on_the_target() -> None:
    """Same class constants, other weights: the same random network (rule 2)."""
    construction = Pensia(epsilon=0.1, delta=0.1)
    a = random_target(1)
    b = Target(tuple(-w for w in a.weights), tuple(-c for c in a.biases if c is not None))
    sources = [construction.source_for(t, seed=5) for t in (a, b)]
    assert sources[0] == sources[1]
    asked = construction.theorem_n(facts(a, Ball(1.0, 3)), (0.01, 0.01), 0.1)
    assert min(sources[0].n) > min(asked) / 2  # the theorem's own width
    for t in (a, b):
        claim = construction.build(t, sources[0]).claim
        assert not [f for f in claim.failed if "neurons a half" in f]
        assert claim.met


@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([1e-3, 0.1, 3.0]))
@settings(deadline=None, max_examples=60, derandomize=True)
def test_what_serves_the_class_serves_the_target(seed: int, bias: bool, epsilon: float) -> None:
    target = random_target(seed, (3, 5, 4, 2), bias)
    own, constants = propagation(target, Ball(1.0, 3)), facts(target, Ball(1.0, 3))
    shared = class_propagation(constants, [bias] * 3)
    assert shared.norms == own.norms
    assert shared.fan == own.fan
    assert all(a >= b for a, b in zip(shared.input_bounds, own.input_bounds, strict=True))
    assert own.error_bound(shared.tolerances(epsilon)) <= epsilon
    found = Pensia(epsilon=epsilon).tolerances(target, Ball(1.0, 3))
    assert all(a >= b for a, b in zip(found, shared.tolerances(epsilon), strict=True))
    assert own.error_bound(found) <= epsilon


def test_the_same_seed_gives_the_same_ticket_and_another_seed_another(target: Target) -> None:
    def mask(seed: int) -> list[list[int]]:
        p = Pensia(epsilon=0.05)
        ticket = p.build(target, p.source_for(target, seed, 64))
        return [k.indices.tolist() for pair in ticket.kept for k in pair]

    assert mask(1) == mask(1)
    assert mask(1) != mask(2)


def test_a_wider_source_keeps_a_first_hit(target: Target) -> None:
    """Sources are nested, and first hits look at a prefix: what was solved stays as it is."""
    p = Pensia(epsilon=0.05)
    a = p.build(target, p.source_for(target, 1, 80))
    b = p.build(target, p.source_for(target, 1, 3000))
    assert a.claim.unmet == 0
    for x, y in zip(a.kept, b.kept, strict=True):
        for i, j in zip(x, y, strict=True):
            assert (i.indices == j.indices).all()
            assert (i.indptr == j.indptr).all()


def test_too_narrow_a_source_is_a_result(target: Target) -> None:
    p = Pensia(epsilon=0.001)
    ticket = p.build(target, p.source_for(target, 1, 6))
    assert ticket.claim.unmet > 0
    assert not ticket.claim.met
    assert verify(ticket, target).ok  # what it does claim is true


# -- the three evaluations ---------------------------------------------------------------------


def test_module_compact_and_call_agree_within_rounding(ticket: Ticket) -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    whole, small = ticket.module(), ticket.compact()
    expected = ticket(x)
    for net in (whole, small):
        assert np.abs(net(torch.from_numpy(x)).detach().numpy() - expected).max() < 1e-13
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in whole.parameters())


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.booleans())
def test_all_three_agree_exactly_on_dyadic_data(seed: int, bias: bool) -> None:
    """Rademacher weights, integer targets and dyadic inputs: every sum is exact in float64."""
    rng = np.random.default_rng(seed)
    dims = (3, 4, 2)
    target = Target(
        tuple(rng.integers(-2, 3, (b, a)).astype(float) for a, b in pairwise(dims)),
        tuple(rng.integers(-2, 3, b).astype(float) if bias else None for b in dims[1:]),
    )
    p = Pensia(epsilon=0.25)
    source = p.source_for(target, seed, 40, law=Rademacher())
    ticket = p.build(target, source)
    assert ticket.claim.achieved == (0.0, 0.0)
    x = rng.integers(-64, 64, (20, 3)) / 16
    expected = target(x)
    assert (ticket(x) == expected).all()
    for net in (ticket.module(), ticket.compact(), ticket.module(torch.float32)):
        got = net(torch.from_numpy(x).to(net[0].weight.dtype)).detach().numpy()
        assert (got == expected).all()


def test_module_follows_the_conventions_of_torch_pruning(ticket: Ticket) -> None:
    net = ticket.module()
    odd, even = net[0], net[2]
    assert torch.equal(odd.weight_orig, torch.from_numpy(ticket.source.in_matrix(0)))
    assert torch.equal(even.weight_orig, torch.from_numpy(ticket.source.out_matrix(0)))
    for layer in (odd, even):
        assert set(layer.weight_mask.unique().tolist()) <= {0.0, 1.0}
        assert torch.equal(layer.weight, layer.weight_orig * layer.weight_mask)
    kept = sum(int(m.weight_mask.sum()) for m in net if hasattr(m, "weight_mask"))
    kept += sum(int(m.bias_mask.sum()) for m in net if hasattr(m, "bias_mask"))
    assert kept == ticket.kept_in + ticket.kept_out
    random_weights = sum(m.weight_orig.numel() for m in net if hasattr(m, "weight_orig"))
    random_weights += sum(m.bias_orig.numel() for m in net if hasattr(m, "bias_orig"))
    assert random_weights == ticket.source.parameters
    assert ticket.density == kept / random_weights
    assert ticket.compression == pytest.approx(random_weights / kept)


def test_float32_module_holds_every_weight_exactly(ticket: Ticket) -> None:
    assert torch.equal(
        ticket.module(torch.float32)[2].weight_orig.double(), ticket.module()[2].weight_orig
    )


def test_module_refuses_beyond_its_limit_and_names_the_way_out(ticket: Ticket) -> None:
    with pytest.raises(BadInput, match=r"bytes with masks.*compact\(\)"):
        ticket.module(limit=1000)


# -- files ---------------------------------------------------------------------------------------


def test_save_and_load(ticket: Ticket, target: Target, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "t.npz"
    ticket.save(path)
    again = load(path)
    assert again.claim == ticket.claim
    assert again.source == ticket.source
    x = np.random.default_rng(0).normal(size=(10, 3))
    assert (again(x) == ticket(x)).all()
    assert verify(again, target).ok
    first = path.read_bytes()
    ticket.save(path)
    assert path.read_bytes() == first


def flip(ticket: Ticket) -> Ticket:
    """Drop one kept out-weight of the first gadget that has any."""
    kept = ticket.kept[0][0]
    g = int(np.flatnonzero(np.diff(kept.indptr))[0])
    indptr = kept.indptr.copy()
    indptr[g + 1 :] -= 1
    changed = Kept(indptr, np.delete(kept.indices, kept.indptr[g]))
    return replace(ticket, kept=((changed, ticket.kept[0][1]), *ticket.kept[1:]))


def shrink(ticket: Ticket, **change: object) -> Ticket:
    return replace(ticket, claim=replace(ticket.claim, **change))  # type: ignore[arg-type]


TAMPERED = {
    "a flipped mask bit": flip,
    "another seed": lambda t: replace(t, source=replace(t.source, seed=t.source.seed + 1)),
    "a shrunk bound": lambda t: shrink(t, error_bound=t.claim.error_bound * 0.99),
    "a shrunk gadget error": lambda t: shrink(
        t, achieved=(t.claim.achieved[0] * 0.99, *t.claim.achieved[1:])
    ),
    "no tolerance at all": lambda t: shrink(t, tolerances=(-math.inf,) * 2),
    "an infinite tolerance": lambda t: shrink(t, tolerances=(math.inf,) * 2, epsilon=None),
    "a hidden hypothesis": lambda t: shrink(t, failed=t.claim.failed[1:]),
    "no hypotheses": lambda t: shrink(t, failed=None),
    "another theorem": lambda t: shrink(t, theorem="fermat"),
    "an impossible delta": lambda t: shrink(t, delta=-5.0),
    "looser tolerances": lambda t: shrink(t, tolerances=tuple(2 * e for e in t.claim.tolerances)),
    "too few kept": lambda t: shrink(t, kept_out=t.claim.kept_out - 1),
    "a smaller epsilon": lambda t: shrink(t, epsilon=t.claim.epsilon / 2),
    "a wider domain": lambda t: shrink(t, domain=Ball(2.0, 3).to_json()),
    "another law": lambda t: replace(t, source=replace(t.source, law=Normal())),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_verify_sees_through_a_tampered_ticket(how, ticket, target, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "t.npz"
    TAMPERED[how](ticket).save(path)
    report = verify(load(path), target)
    assert not report.ok
    assert report.false


def test_verify_sees_a_failure_that_is_hidden(target: Target) -> None:
    p = Pensia(epsilon=0.01)
    honest = p.build(target, p.source_for(target, 1, 8))
    assert honest.claim.unmet > 1
    assert verify(honest, target).ok
    assert not verify(shrink(honest, unmet=honest.claim.unmet - 1), target).ok


def test_a_width_below_the_theorems_is_a_failed_hypothesis() -> None:
    clean = Target((np.array([[0.5, 0.1]]),), (None,))
    p = Pensia(epsilon=0.1, delta=0.1)
    narrow = p.build(clean, p.source_for(clean, 1, 64)).claim.failed
    assert len(narrow) == 1
    assert "64 neurons a half" in narrow[0]
    assert p.build(clean, p.source_for(clean, 1)).claim.failed == ()


@pytest.mark.parametrize("law", [Normal(0.5), SignedHyperbolic(1.0, 20.0)], ids=str)
def test_sums_that_round_are_charged_and_still_verify(law, target: Target) -> None:  # type: ignore[no-untyped-def]
    p = Pensia()
    best = p.build(target, p.source_for(target, 1, 30, law=law))
    assert max(s.max() for s in best.effective.slack) > 0
    again = Pensia(tolerance=max(best.claim.achieved))
    ticket = again.build(target, again.source_for(target, 1, 30, law=law))
    assert verify(best, target).ok
    assert verify(ticket, target).ok


@pytest.mark.parametrize("value", [1, np.float32(0.25), np.int64(2)])
def test_any_real_number_is_a_tolerance(value, target: Target) -> None:  # type: ignore[no-untyped-def]
    p = Pensia(tolerance=value)
    ticket = p.build(target, p.source_for(target, 1, 40))
    assert ticket.claim.tolerances == (float(value),) * 2
    assert verify(ticket, target).ok


def test_masks_that_are_none_are_refused_in_memory_too(ticket: Ticket) -> None:
    kept = ticket.kept[0][0]
    g = int(np.flatnonzero(np.diff(kept.indptr) > 1)[0])
    twice = kept.indices.copy()
    twice[kept.indptr[g] + 1] = twice[kept.indptr[g]]
    for bad in (
        Kept(kept.indptr, twice),
        Kept(kept.indptr, kept.indices + ticket.source.n[0]),
        Kept(kept.indptr[:-1], kept.indices),
        Kept(np.full_like(kept.indptr, 2**62), kept.indices),
    ):
        with pytest.raises(BadInput, match="mask of layer 0"):
            replace(ticket, kept=((bad, ticket.kept[0][1]), *ticket.kept[1:]))
    with pytest.raises(BadInput, match="two halves"):
        replace(ticket, kept=())


def test_counts_that_wrap_around_are_no_mask(ticket: Ticket, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "t.npz"
    ticket.save(path)
    with np.load(path) as data:
        arrays = dict(data)
    arrays["count_0_0"] = np.full(arrays["count_0_0"].size, 2**62, dtype=np.int64)
    np.savez(path, **arrays)
    with pytest.raises(BadInput, match="mask of layer 0"):
        load(path)


def test_far_neurons_cost_no_memory() -> None:
    """One kept neuron at index 2^30 of 64 blocks: nothing dense is made of the prefix."""
    source = Source((64, 1), 1 << 30, False, 0)
    indptr = np.concatenate([[0], np.ones(64, dtype=np.int64)])
    empty = Kept(np.zeros(65, dtype=np.int64), np.empty(0, dtype=np.int64))
    kept = Kept(indptr, np.array([(1 << 30) - 1], dtype=np.int64))
    claim = Pensia().build(Target((np.zeros((1, 64)),), (None,)), source.with_n(4)).claim
    ticket = Ticket(source, ((kept, empty),), claim)
    assert ticket.kept_in == 1
    u = source.entries(0, Role.IN, 0, 0, 0, np.array([(1 << 30) - 1]))
    v = source.entries(0, Role.OUT, 0, 0, 0, np.array([(1 << 30) - 1]))
    slope = ticket.effective.positive[0][0, 0] + ticket.effective.negative[0][0, 0]
    assert slope == u[0] * v[0]


def test_verify_sees_an_edited_target_weight(ticket: Ticket, target: Target) -> None:
    weights = [w.copy() for w in target.weights]
    weights[1][0, 0] = np.nextafter(weights[1][0, 0], 2)
    edited = Target(tuple(weights), target.biases)
    assert not verify(ticket, edited).ok
    # even where the fingerprint is forged along with it
    weights[1][0, 0] += 0.3
    edited = Target(tuple(weights), target.biases)
    forged = shrink(ticket, target=edited.fingerprint)
    assert [c.statement for c in verify(forged, edited).false]


def test_header_is_plain_json_and_holds_no_weight(ticket: Ticket, tmp_path) -> None:  # type: ignore[no-untyped-def]
    ticket.save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz", allow_pickle=False) as data:
        header = json.loads(bytes(data["header"]).decode())
        assert all(data[k].dtype.kind in "iu" for k in data.files)
    assert header["source"]["seed"] == 1
    assert header["claim"]["construction"] == "pensia"


# -- constructions ---------------------------------------------------------------------------------


def test_malach_keeps_one_neuron_a_half_with_both_weights_right(target: Target) -> None:
    """The proof's own condition, against a scan of all neurons."""
    m = Malach()
    source = m.source_for(target, 2, 300)
    ticket = m.build(target, source)
    for layer in range(2):
        weights = target.augmented(layer)
        for half, kept in enumerate(ticket.kept[layer]):
            u, v = source.in_weights(layer, half), source.out_weights(layer, half)
            sign = 1 - 2 * half
            for j, a in np.ndindex(weights.shape):
                if half and a == target.dims[layer]:
                    continue
                g = a * weights.shape[0] + j
                chosen = kept.indices[kept.indptr[g] : kept.indptr[g + 1]]
                assert chosen.size == 1
                miss = np.maximum(
                    np.abs(u[a] - sign * abs(weights[j, a])),
                    np.abs(v[a, j] - sign * np.sign(weights[j, a])),
                )
                assert miss[chosen[0]] == miss[sign * u[a] > 0].min()


def test_malach_widens_its_window_until_nothing_outside_can_win(target, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    m = Malach()
    source = m.source_for(target, 2, 3000)
    usual = m.build(target, source)
    monkeypatch.setattr(malach, "FIRST_REACH", 0)
    narrow = m.build(target, source)
    for a, b in zip(usual.kept, narrow.kept, strict=True):
        for x, y in zip(a, b, strict=True):
            assert (x.indices == y.indices).all()


def test_the_worst_gadgets_get_more_values(target: Target) -> None:
    source = Pensia().source_for(target, 3, 60)
    plain = Pensia(solver=MeetInTheMiddle(limit=8)).build(target, source).claim.achieved
    deeper = Pensia(limit=8).build(target, source).claim.achieved
    assert all(d < p / 2 for d, p in zip(deeper, plain, strict=True))


def test_weight_errors_are_the_smallest_floats_above_the_exact_ones() -> None:
    rng = np.random.default_rng(0)
    w, p, q = (rng.normal(size=(40, 30)) * 2.0 ** rng.integers(-60, 3, (40, 30)) for _ in range(3))
    target = Target((w,), (None,))
    effective = Effective((p,), (q,), (np.zeros(40),), (np.zeros((40, 31)),))
    found = weight_errors(effective, target)[0]
    up = 0
    for at in np.ndindex(w.shape):
        exact = max(abs(Fraction(p[at]) - Fraction(w[at])), abs(Fraction(q[at]) - Fraction(w[at])))
        assert Fraction(found[at]) >= exact
        assert Fraction(np.nextafter(found[at], 0)) < exact
        up += Fraction(found[at]) > exact
    assert up > 100  # rounding did happen


def test_verify_sees_a_bound_below_the_attack(ticket: Ticket, target: Target) -> None:
    found = certify(target, ticket, Ball(1.0, 3)).to_json()
    honest = ticket.with_certificate(found)
    assert verify(honest, target).ok
    false_part = {**found, "parts": {**found["parts"], "norm": found["lower"] / 2}}
    assert not verify(ticket.with_certificate(false_part), target).ok
    assert not verify(ticket.with_certificate({**found, "upper": 2 * found["upper"]}), target).ok
    # closer to the truth than the slack that optimisers on other machines are given
    single = Target((np.array([[0.5]]),), (None,))
    one = Pensia().build(single, Pensia().source_for(single, 0, 6))
    tight = certify(single, one, Ball(1.0, 1)).to_json()
    shaved = tight["upper"] * (1 - 9e-7)
    forged = {**tight, "upper": shaved, "parts": dict.fromkeys(tight["parts"], shaved)}
    assert verify(one.with_certificate(tight), single).ok
    assert not verify(one.with_certificate(forged), single).ok


def test_malach_goes_on_until_both_weights_are_right(target: Target) -> None:
    """|uv − w| ≤ η alone is not what the proof asks for: u and v are each within η/2."""
    m = Malach(tolerance=0.05)
    source = m.source_for(target, 2, 60000)
    ticket = m.build(target, source)
    for layer in range(2):
        weights = target.augmented(layer)
        for half, kept in enumerate(ticket.kept[layer]):
            u, v = source.in_weights(layer, half), source.out_weights(layer, half)
            sign, gadget = 1 - 2 * half, kept.gadgets
            a, j = gadget // weights.shape[0], gadget % weights.shape[0]
            w = weights[j, a]
            assert (np.abs(u[a, kept.indices] - sign * np.abs(w)) <= 0.025).all()
            assert (np.abs(v[a, j, kept.indices] - sign * np.sign(w)) <= 0.025).all()


def test_malach_product_is_the_best_single_product(target: Target) -> None:
    m = Malach(match="product")
    source = m.source_for(target, 2, 300)
    ticket = m.build(target, source)
    u, v = source.in_weights(0, 0), source.out_weights(0, 0)
    kept = ticket.kept[0][0]
    for j, a in np.ndindex(target.augmented(0).shape):
        w = target.augmented(0)[j, a]
        error = np.where(u[a] > 0, np.abs(u[a] * v[a, j] - w), np.inf)
        g = a * 5 + j
        assert error[kept.indices[kept.indptr[g]]] == error.min()


def test_zero_weights_are_approximated_by_nothing() -> None:
    target = Target((np.array([[0.0, 0.3]]),), (None,))
    ticket = Malach().build(target, Source((2, 1), 50, False, 0))
    assert [np.diff(k.indptr).tolist() for k in ticket.kept[0]] == [[0, 1], [0, 1]]


def test_hypotheses_that_fail_are_named_and_the_ticket_still_stands(target: Target) -> None:
    p = Pensia(epsilon=0.05)
    ticket = p.build(target, p.source_for(target, 1, 64, law=Uniform(-2.0, 2.0)))
    text = " ".join(ticket.claim.failed)
    assert "biases" in text
    assert "uniform" in text
    assert ticket.claim.met
    clean = Target((np.array([[0.5, 0.1]]),), (None,))
    assert p.build(clean, p.source_for(clean, 1, 64)).claim.failed == ()


def test_claims_on_a_box(target: Target) -> None:
    p = Pensia(epsilon=0.05, domain=Box(np.zeros(3), np.full(3, 2.0)))
    ticket = p.build(target, p.source_for(target, 1, 64))
    assert verify(ticket, target).ok
    x = np.random.default_rng(1).uniform(0, 2, (2000, 3))
    assert np.linalg.norm(ticket(x) - target(x), axis=1).max() <= ticket.claim.error_bound


def test_malach_beyond_any_scan_says_so_with_the_number(target: Target) -> None:
    with pytest.raises(BadInput, match=r"e\+\d+ neurons a half.*pensia"):
        Malach(epsilon=1e-3, delta=0.1).source_for(target, 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: Pensia(epsilon=0.0),
        lambda t: Pensia(epsilon=float("nan")),
        lambda t: Pensia(delta=1.0),
        lambda t: Pensia(delta=0.0),
        lambda t: Pensia(halves="one"),  # type: ignore[arg-type]
        lambda t: Malach(match="none"),  # type: ignore[arg-type]
        lambda t: Pensia().source_for(t, 0),
        lambda t: Pensia().build(t, Source((3, 5, 3), 9, True, 0)),
        lambda t: Pensia().build(t, Source((3, 5, 2), 9, False, 0)),
        lambda t: Pensia(domain=Ball(1.0, 7)).build(t, Source((3, 5, 2), 9, True, 0)),
        lambda t: load_construction("pensja"),
    ],
)
def test_bad_requests_are_refused(make, target: Target) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match="remedy: "):
        make(target)


def test_a_construction_may_cite_no_theorem(target: Target) -> None:
    @dataclass(frozen=True)
    class Own(GadgetConstruction):
        def find(self, half: Half) -> Kept:
            return Pensia().find(half)

    ticket = Own().build(target, Own().source_for(target, 0, 20))
    assert ticket.claim.theorem is None
    assert ticket.claim.failed
    assert verify(ticket, target).ok
    assert not verify(shrink(ticket, failed=()), target).ok
    with pytest.raises(BadInput, match="give n"):
        Own(epsilon=0.1, delta=0.1).source_for(target, 0)


def test_a_claim_names_the_solver_that_found_it(target: Target) -> None:
    p = Pensia(solver=Greedy())
    assert p.build(target, p.source_for(target, 0, 20)).claim.parameters["solver"] == "Greedy()"


def test_a_hopeless_tolerance_in_a_huge_source_ends_in_bounded_memory() -> None:
    """Only so many neurons are tried, and only the blocks in play are drawn."""
    target = Target((np.full((1, 64), 0.125),), (None,))
    p = Pensia(tolerance=1e-300, halves="needed")
    source = p.source_for(target, 0, 1 << 30)
    half = Half(source, 0, 0, target.weights[0].T[:1], 1e-300)
    seen = []
    found = Pensia(tolerance=1e-300, solver=_Refuses(seen)).find(half)
    assert found.counts.tolist() == [0]
    assert max(seen) == WIDEST


@dataclass(frozen=True)
class _Refuses(Solver):
    """Gives up on everything and notes how many values it was shown."""

    seen: list

    def __call__(self, problem: Problem) -> Solution:
        rows, n = problem.shape
        self.seen.append(n)
        return Solution(
            np.zeros((rows, n), bool), np.ones(rows), np.full(rows, Status.GAVE_UP, np.int8)
        )

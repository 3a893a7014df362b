"""Neurons that choose their input: the source in gadget coordinates, its tickets, exchanges."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from torch import nn

from proofs.assigned import no_assignment
from slth.assigned_source import AssignedSource
from slth.assignment import assign, good_slots
from slth.attention import attention
from slth.bounds import assigned as bound
from slth.bounds import facts
from slth.bounds._matching import match_failure
from slth.construct._exchange import BEHIND, _State, density, exchanges
from slth.construct.assigned import Assigned, least_size
from slth.construct.malach import Malach
from slth.construct.pensia import Pensia
from slth.domain import Ball
from slth.errors import BadInput
from slth.laws import Normal, Rademacher, SignedConstant, Uniform
from slth.source import Role, Source
from slth.target import Target
from slth.ticket import Ticket, load
from slth.tracing import target as traced
from slth.verify import verify
from tests.subset_sums import coarse, too_low


def random_target(dims: tuple[int, ...], bias: bool = False, seed: int = 0) -> Target:
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(-1, 1, (b, a)) / np.sqrt(a) for a, b in pairwise(dims)]
    biases = [rng.uniform(-0.5, 0.5, b) if bias else None for b in dims[1:]]
    return Target(tuple(weights), tuple(biases))


PLAIN = Source((6, 5, 3), (7, 6), (True, False), 11)
VIEW = AssignedSource.of(PLAIN, (5, 4), (0.5, 0.6))
SHORT = AssignedSource.of(PLAIN, (7, 6), (0.7, 0.9), (2, 1))  # not enough good neurons for that


# -- the source ----------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [VIEW, SHORT], ids=["full", "short"])
def test_weights_are_the_plain_sources_at_the_places(view: AssignedSource) -> None:
    for layer in range(2):
        places = view.places[layer]
        into, out, bias = view.in_matrix(layer), view.out_matrix(layer), view.bias_vector(layer)
        np.testing.assert_array_equal(into, PLAIN.in_matrix(layer))
        np.testing.assert_array_equal(out, PLAIN.out_matrix(layer))
        for half in (0, 1):
            u, v = view.in_weights(layer, half), view.out_weights(layer, half)
            assert u.shape == (view.blocks(layer), view.n[layer])
            for a, k in np.ndindex(u.shape):
                at = places[half, a, k]
                if at < 0:
                    assert u[a, k] == 0
                    assert not v[a, :, k].any()
                    continue
                one = a == view.inputs(layer)
                assert u[a, k] == (bias[at] if one else into[at, a])
                assert (1 - 2 * half) * u[a, k] >= view.least[layer]
                np.testing.assert_array_equal(v[a, :, k], out[:, at])
                role, output = (Role.BIAS, 0) if one else (Role.IN, a)
                assert view.entries(layer, role, half, a, output, k) == u[a, k]
                assert view.positions(layer, half, a, k) == at
    assert view.parameters == PLAIN.parameters
    assert [view.hidden(i) for i in (0, 1)] == [PLAIN.hidden(i) for i in (0, 1)]


@pytest.mark.parametrize("view", [VIEW, SHORT], ids=["full", "short"])
def test_no_neuron_serves_twice_and_a_slot_lists_its_own_in_order(view: AssignedSource) -> None:
    for layer, places in enumerate(view.places):
        served = places[places >= 0]
        assert np.unique(served).size == served.size
        assert served.max() < view.hidden(layer)
        for row in places.reshape(-1, view.n[layer]):
            there = row[row >= 0]
            assert (np.diff(there) > 0).all()
            assert (row[there.size :] == -1).all()
        wanted = np.full((2, view.blocks(layer)), view.n[layer])
        wanted[1, view.inputs(layer) :] = 0
        wanted[1] *= view.halves[layer] == 2
        assert ((places >= 0).sum(axis=2) <= wanted).all()
        complete = ((places >= 0).sum(axis=2) == wanted).all()
        assert complete == (view is VIEW or layer == 0)


def test_parts_and_scattered_entries_are_the_whole() -> None:
    whole = VIEW.out_weights(0, 1)
    np.testing.assert_array_equal(
        VIEW.out_weights(0, 1, 1, 4, blocks=(2, 4), outputs=(1, 3)), whole[2:4, 1:3, 1:4]
    )
    np.testing.assert_array_equal(
        VIEW.in_weights(0, 1, 2, 5, block=3), VIEW.in_weights(0, 1)[3, 2:]
    )
    at = VIEW.entries(0, Role.OUT, 1, np.arange(6)[:, None, None], np.arange(5)[:, None], [0, 3])
    np.testing.assert_array_equal(at, whole[:6][:, :, [0, 3]].ravel())
    device = VIEW.torch_out_weights(0, 1, "cpu", 1, 3)
    assert torch.equal(device, torch.from_numpy(whole[:, :, 1:3]))


def test_it_depends_on_nothing_else(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """The same after JSON; another width is another assignment; other out-weights are not."""
    for view in (VIEW, replace(VIEW, exchanged=(((3, 8), (8, 20)), ()))):
        again = Source.from_json(view.to_json())
        assert again == view
        for a, b in zip(again.places, view.places, strict=True):
            np.testing.assert_array_equal(a, b)
    assert {"dims", "seed"} < set(VIEW.to_json())
    assert "places" not in VIEW.to_json()
    other = replace(VIEW, out_law=Normal(0.5))
    np.testing.assert_array_equal(other.places[0], VIEW.places[0])
    assert (replace(VIEW, seed=12).places[0] != VIEW.places[0]).any()


def test_exchanged_neurons_change_their_slots() -> None:
    before = VIEW.places[0]
    idle = np.setdiff1d(np.arange(VIEW.hidden(0)), before)[0]
    p, q = int(before[0, 0, 0]), int(before[1, 3, 2])
    after = replace(VIEW, exchanged=(((p, q), (q, int(idle))), ())).places
    # q took p's place and gave it to the idle one; p stands where q was
    moved = {p: int(idle), q: p}
    for half, a in np.ndindex(2, VIEW.blocks(0)):
        wanted = sorted(moved.get(at, at) for at in before[half, a].tolist() if at >= 0)
        assert [at for at in after[0][half, a].tolist() if at >= 0] == wanted
    np.testing.assert_array_equal(after[1], VIEW.places[1])


def test_places_without_a_neuron_are_refused_where_weights_are_asked_for() -> None:
    half, a, k = np.argwhere(SHORT.places[0] < 0)[0]
    with pytest.raises(BadInput, match="no neuron serves"):
        SHORT.entries(0, Role.OUT, half, a, 0, k)
    with pytest.raises(BadInput, match="integers"):
        VIEW.entries(0, Role.OUT, 0, 0, 0, 0.5)
    for call in (
        lambda: VIEW.entries(0, Role.OUT, 0, 0, 0, 5),
        lambda: VIEW.out_weights(0, 0, blocks=(0, 8)),
        lambda: VIEW.in_weights(0, 0, 0, 6),
    ):
        with pytest.raises(BadInput, match=r"stay in the source|widen n"):
            call()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"drawn": (7,)}, "drawn"),
        ({"drawn": (0, 6)}, "drawn"),
        ({"drawn": (1 << 28, 6)}, "drawn"),
        ({"n": (99, 4)}, "n: "),
        ({"least": (0.0, 0.6)}, "least"),
        ({"least": (math.nan, 0.6)}, "least"),
        ({"halves": (2, 3)}, "halves"),
        ({"exchanged": (((0, 0),), ())}, "exchanged"),
        ({"exchanged": (((0, 98),), ())}, "exchanged"),
        ({"exchanged": ((),)}, "exchanged"),
        ({"exchanged": (((0, 0.5),), ())}, "exchanged"),
    ],
)
def test_bad_views_are_refused(change: dict, named: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(BadInput, match=named):
        replace(VIEW, **change)
    assert replace(VIEW, **{k: getattr(VIEW, k) for k in change}) == VIEW


# -- tickets -------------------------------------------------------------------------------------

TARGET = random_target((6, 8, 3), bias=True)
MAKES = {
    "best": (Assigned(), 12),
    "tolerance": (Assigned(epsilon=0.1), 24),
    "needed": (Assigned(epsilon=0.1, halves="needed"), 24),
    "target": (Assigned(looks_at="target"), 12),
    "a normal law": (Assigned(), 12),
}


def built(name: str) -> tuple[Assigned, Ticket]:
    make, n = MAKES[name]
    laws = {"law": Normal(0.5)} if "normal" in name else {}
    return make, make.build(TARGET, make.source_for(TARGET, 3, n, **laws))


@pytest.mark.parametrize("name", MAKES)
def test_the_masked_source_computes_what_is_claimed(name: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Each hidden neuron keeps one in-weight at most, and the dense network is the gadgets'."""
    make, ticket = built(name)
    assert isinstance(ticket.source, AssignedSource)
    assert verify(ticket, TARGET).ok
    for layer in range(2):
        in_mask, bias_mask, out_mask = ticket._masks(layer)
        inputs = in_mask.sum(axis=1) + bias_mask
        assert inputs.max() == 1
        assert (out_mask.any(axis=0) == (inputs == 1)).all()
    x = np.random.default_rng(0).normal(size=(200, 6))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    for net in (ticket.module(), ticket.compact()):
        found = net(torch.from_numpy(x)).detach().numpy()
        assert np.abs(found - ticket(x)).max() < 1e-13
    error = np.linalg.norm(ticket(x) - TARGET(x), axis=1).max()
    assert 0 < error <= ticket.claim.error_bound
    assert (ticket.claim.epsilon is None) or ticket.claim.met
    ticket.save(tmp_path / "t.npz")
    again = load(tmp_path / "t.npz")
    assert again.source == ticket.source
    assert again.claim == ticket.claim
    assert verify(again, TARGET).ok
    assert make.build(TARGET, again.source).claim == ticket.claim


def test_a_plain_source_is_assigned_on_the_way() -> None:
    make, n = MAKES["best"]
    view = make.source_for(TARGET, 3, n)
    assert isinstance(view, AssignedSource)
    ticket = make.build(TARGET, view.plain)
    assert ticket.source == view
    assert view.plain == Pensia().source_for(TARGET, 3, n)
    for other in (Pensia(), Malach()):
        with pytest.raises(BadInput, match="AssignedSource"):
            other.build(TARGET, view)


def test_only_half_0_is_served_where_no_input_is_negative() -> None:
    make, n = MAKES["needed"]
    view = make.source_for(TARGET, 3, n)
    assert isinstance(view, AssignedSource)
    assert view.halves == (2, 1)
    assert (view.places[1][1] == -1).all()
    assert view.n[1] > 1.7 * n
    assert view.n[0] <= n


def test_convolutions_choose_their_channels_too() -> None:
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Conv2d(4, 5, 3, padding=1), nn.ReLU(), nn.Conv2d(5, 2, 2)).double()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.from_numpy(rng.uniform(-0.3, 0.3, p.shape)))
    target = traced(net, (4, 5, 5))
    make = Assigned(epsilon=0.5, halves="needed", looks_at="target")
    ticket = make.build(target, make.source_for(target, 1, 40))
    assert isinstance(ticket.source, AssignedSource)
    assert ticket.source.halves == (2, 1)
    assert ticket.claim.met
    assert verify(ticket, target).ok
    x = torch.from_numpy(rng.uniform(0, 1, (20, 4, 5, 5)))
    wanted = ticket(x.numpy().reshape(20, -1))
    with torch.no_grad():
        for module in (ticket.module(), ticket.compact()):
            assert np.abs(module(x).flatten(1).numpy() - wanted).max() < 1e-12
        assert np.linalg.norm(net(x).flatten(1).numpy() - wanted, axis=1).max() <= 0.5


@pytest.mark.parametrize(
    "case",
    [{"bias_law": Normal(0.3)}, {"present": 0.7}, {"locked": 0.1}, {"present": 0.8, "locked": 0.1}],
    ids=str,
)
def test_missing_and_locked_weights(case: dict[str, Any]) -> None:
    """A weight that does not exist is good for no slot."""
    make = Assigned(tolerance=0.02)
    source = make.source_for(TARGET, 2, 60, **case)
    assert isinstance(source, AssignedSource)
    assert source.plain == Pensia().source_for(TARGET, 2, 60, **case)
    ticket = make.build(TARGET, source)
    assert ticket.claim.unmet == 0
    assert verify(ticket, TARGET).ok
    for layer in range(2):
        u = source.in_weights(layer, 0)
        assert ((np.abs(u) >= source.least[layer]) | (source.places[layer][0] < 0)).all()


def test_pairs_with_nothing_between_need_one_half_of_slots() -> None:
    """The two matrices for one of an attention block, whose neurons answer to either sign."""
    rng = np.random.default_rng(8)
    module = nn.MultiheadAttention(4, 2, batch_first=True).double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.from_numpy(rng.uniform(-0.3, 0.3, p.shape)))
    target = attention(module, 3)
    make = Assigned(tolerance=0.02, looks_at="target")
    ticket = make.build(target, make.source_for(target, 1, 20))
    assert isinstance(ticket.source, AssignedSource)
    assert ticket.source.linear == (True,) * 4
    assert ticket.source.halves == (1,) * 4
    assert ticket.claim.unmet == 0
    assert verify(ticket, target).ok


class Twice(AssignedSource):
    """A finder's fault on purpose: the first neuron of half 0 of input 0 serves input 1 as well."""

    @property
    def places(self):  # type: ignore[no-untyped-def,override]
        found = [each.copy() for each in super().places]
        found[0][0, 1, 0] = found[0][0, 0, 0]
        return tuple(found)


class Beyond(AssignedSource):
    """A neuron that the layer does not have."""

    @property
    def places(self):  # type: ignore[no-untyped-def,override]
        found = [each.copy() for each in super().places]
        found[0][0, 1, 0] = self.hidden(0)
        return tuple(found)


@pytest.mark.parametrize(("kind", "said"), [(Twice, "1 twice"), (Beyond, "1 outside")])
def test_verify_sees_a_neuron_that_serves_twice_or_does_not_exist(kind, said) -> None:  # type: ignore[no-untyped-def]
    make, ticket = built("best")
    source = kind(**{f.name: getattr(ticket.source, f.name) for f in fields(ticket.source)})
    if kind is Twice:  # the gadgets themselves are as good as any
        ticket = make.build(TARGET, source)
    report = verify(replace(ticket, source=source), TARGET)
    assert not report.ok
    (false,) = report.false
    assert "serves two" in false.statement
    assert said in false.found


def test_verify_does_not_trust_the_choice() -> None:
    """Another choice under the same mask is another network: its gadgets miss."""
    _, ticket = built("tolerance")
    least = tuple(c * 0.9 for c in ticket.source.least)
    report = verify(replace(ticket, source=replace(ticket.source, least=least)), TARGET)
    assert any("missed" in check.statement for check in report.false)


# -- theorem and width ---------------------------------------------------------------------------


@pytest.fixture
def coarse_programs() -> Iterator[None]:
    with coarse(24):
        yield


@pytest.mark.usefixtures("coarse_programs")
def test_the_theorems_own_width_and_what_it_says_of_others() -> None:
    target = random_target((4, 3), seed=2)
    target = Target((target.weights[0] / np.linalg.norm(target.weights[0], 2) * 0.999,), (None,))
    make = Assigned(epsilon=0.2, delta=0.1)
    source = make.source_for(target, 1)
    assert isinstance(source, AssignedSource)
    ticket = make.build(target, source)
    assert ticket.claim.theorem == "assigned"
    assert ticket.claim.failed == ()
    assert ticket.claim.met
    assert verify(ticket, target).ok
    region = Ball(1.0, 4)
    constants, etas = facts(target, region), make.tolerances(target, region)
    assert etas is not None
    (plan,) = bound.plans(constants, etas, 0.1)
    assert (source.n, source.least) == ((plan.each,), (plan.least,))
    assert 0 <= source.hidden(0) - plan.neurons < 2 * 4
    assert make.theorem_n(constants, etas, 0.1) == [source.drawn[0]]
    few = make.build(target, make.source_for(target, 1, 10)).claim
    assert any("the explicit theorem asks for" in f for f in few.failed)
    crowded = replace(source, n=(source.hidden(0) // 8,))
    assert any("to give each slot" in f for f in make.build(target, crowded).claim.failed)
    looked = Assigned(looks_at="target", delta=0.1).build(target, make.source_for(target, 1, 10))
    assert any("exchanged after" in f for f in looked.claim.failed)
    hidden = replace(looked, claim=replace(looked.claim, failed=()))
    assert [c for c in verify(hidden, target).false if "hypotheses" in c.statement]
    normal = make.build(target, make.source_for(target, 1, 30, law=Normal(0.5))).claim
    assert [f for f in normal.failed if "U[-1, 1]" in f] == list(normal.failed)


@pytest.mark.parametrize("halves", [1, 2])
@pytest.mark.parametrize(("inputs", "neurons"), [(1, 12), (2, 40), (5, 61), (16, 640), (64, 2048)])
def test_a_given_width_is_filled_as_far_as_it_goes(inputs: int, neurons: int, halves: int) -> None:
    found = bound.filled(inputs, neurons, halves)

    def fails(each: int, least: float) -> bool:
        return match_failure(inputs, neurons, each, 1 - least, halves) > bound.MISSED

    step = 1 / bound.LATTICE
    assert not fails(found.each, found.least)
    assert fails(found.each, found.least + step)
    assert fails(found.each + 1, step)
    assert found.each <= neurons / (halves * inputs)
    assert bound.filled(2, 4).each == 1  # not sure at all, and better than none


@pytest.mark.parametrize(("inputs", "each", "chance"), [(3, 4, 0.6), (9, 4, 0.4)])
def test_one_half_an_input_fails_as_rarely_as_claimed(
    inputs: int, each: int, chance: float
) -> None:
    """300 draws, at the width where 0.3 is claimed; false alarm 1e-4. Neurons just enough to go
    round fail more often, and two halves need more."""
    rng = np.random.default_rng(5)

    def failed(neurons: int) -> int:
        draws = (rng.uniform(-1, 1, (neurons, inputs)) for _ in range(300))
        good = (good_slots(inputs, [u], 1 - chance) for u in draws)
        return sum(not assign(g, np.tile([each, 0], inputs)).complete for g in good)

    h = inputs * each
    while match_failure(inputs, h, each, chance, halves=1) > 0.3:
        h += 1
    assert not too_low(failed(h), 300, 0.3)
    assert too_low(failed(inputs * each), 300, 0.3)
    assert match_failure(inputs, h, each, chance) == 1.0


def test_one_half_an_input_is_bounded_by_the_sum_of_its_own_sets() -> None:
    """Against the sum in fifty digits, and the exact chance of few neurons, in rationals."""
    for inputs, neurons, each, chance in ((1, 30, 4, 0.5), (4, 90, 6, 0.6), (7, 80, 4, 0.4)):
        with mpmath.workdps(50):
            total = mpmath.mpf(0)
            for r in range(1, inputs + 1):
                q, k = (1 - mpmath.mpf(chance) / 2) ** r, each * r - 1
                x = mpmath.mpf(k) / neurons
                assert x < 1 - q
                rate = x * mpmath.log(x / (1 - q)) + (1 - x) * mpmath.log((1 - x) / q)
                total += mpmath.binomial(inputs, r) * mpmath.exp(-neurons * rate)
        found = match_failure(inputs, neurons, each, chance, halves=1)
        assert total <= found <= total * (1 + 1e-7)
    for inputs, neurons in ((1, 9), (2, 6)):
        exact = no_assignment(inputs, neurons, 1, Fraction(3, 4), halves=1)
        assert float(exact) <= match_failure(inputs, neurons, 1, 0.75, halves=1) < 1


@pytest.mark.parametrize(
    ("law", "chance", "size"),
    [
        (Uniform(), 0.25, 0.75),
        (Uniform(-2.0, 2.0), 0.25, 1.5),
        (Normal(2.0), 0.3173105, 2.0),
        (Rademacher(), 0.5, 1.0),
        (SignedConstant(0.25), 0.5, 0.25),
    ],
)
def test_a_chance_is_a_size_of_any_law(law, chance: float, size: float) -> None:  # type: ignore[no-untyped-def]
    found = least_size(law, chance)
    assert found == pytest.approx(size, rel=1e-5)
    words = np.random.default_rng(6).integers(0, 1 << 32, 20000, dtype=np.uint32)
    assert (np.abs(law(words)) >= found).mean() >= chance - 0.02


# -- exchanges -----------------------------------------------------------------------------------


def test_the_saddle_point_counts_subsets() -> None:
    """Against all 2^16 sums, where many and where few of them lie; beyond them nothing does."""
    rng = np.random.default_rng(7)
    for shift in (0.0, 0.3, 0.45):
        x = rng.uniform(-1, 1, 16) * 0.9 + shift
        sums = np.zeros(1)
        for value in x:
            sums = np.concatenate([sums, sums + value])
        for w in (0.0, 0.4, float(np.quantile(sums, 0.002))):
            width = 0.1
            count = (np.abs(sums - w) < width).sum() / (2 * width)
            assert count > 100
            assert density(x, w) == pytest.approx(math.log(count), abs=0.15)
        assert density(x, sums.max() + 1e-9) < -1000 > density(x, sums.max() + 1.0)
    assert density(np.zeros(3), 0.1) < -1000
    assert density(x, math.nan) == math.inf


def dense(view: AssignedSource, target: Target) -> np.ndarray:
    """L of every gadget, `[2, blocks, outputs]`, from the products themselves."""
    w = target.weights[0].T
    values = [view.in_weights(0, h)[:, None] * view.out_weights(0, h) for h in (0, 1)]
    found = np.empty((2, *w.shape))
    for half, a, j in np.ndindex(found.shape):
        found[half, a, j] = density(values[half][a, j], w[a, j])
    return found


@pytest.mark.parametrize(("inputs", "outputs", "n"), [(12, 24, 10), (4, 40, 6)])
def test_every_exchange_helps_its_two_slots_and_keeps_in_weights_good(
    inputs: int, outputs: int, n: int
) -> None:
    """Also where for many gadgets none helps."""
    target = random_target((inputs, outputs), seed=3)
    source = Assigned().source_for(target, 4, n)
    assert isinstance(source, AssignedSource)
    state = _State.of(source, 0, target.augmented(0), True)
    found = dense(source, target)
    np.testing.assert_allclose(
        state.dense.reshape(inputs, 2, outputs).swapaxes(0, 1), found, rtol=1e-5
    )
    pairs = exchanges(source, 0, target.augmented(0), None, True)
    assert len(pairs) >= 5
    for k, pair in enumerate(pairs):
        slots = [np.argwhere((source.places[0] == p).any(axis=2))[:1] for p in pair]
        touched = {tuple(at.tolist()) for one in slots for at in one}
        source = replace(source, exchanged=(pairs[: k + 1],))
        before, found = found, dense(source, target)
        assert min(found[at].min() for at in touched) > min(before[at].min() for at in touched)
        same = np.ones(found.shape[:2], dtype=bool)
        for at in touched:
            same[at] = False
        np.testing.assert_array_equal(found[same], before[same])
    for half, a, k in np.ndindex(source.places[0].shape):
        assert (1 - 2 * half) * source.in_weights(0, half)[a, k] >= source.least[0]


def test_exchanges_help_the_hardest() -> None:
    target = random_target((16, 24), seed=3)
    source = Assigned().source_for(target, 4, 12)
    assert isinstance(source, AssignedSource)
    old = dense(source, target)
    pairs = exchanges(source, 0, target.augmented(0), None, True)
    new = dense(replace(source, exchanged=(pairs,)), target)
    goal = np.median(old) - BEHIND
    assert new.min() > old.min() + 1
    assert (new < goal).sum() < 0.2 * (old < goal).sum()
    worst = [
        [max(make.build(target, make.source_for(target, s, 12)).claim.achieved) for s in range(5)]
        for make in (Assigned(), Assigned(looks_at="target"))
    ]
    assert np.median(worst[1]) < np.median(worst[0]) / 2


def test_nothing_is_exchanged_where_nothing_is_hard() -> None:
    target = random_target((8, 6), seed=1)
    source = Assigned().source_for(target, 4, 30)
    assert isinstance(source, AssignedSource)
    assert exchanges(source, 0, target.augmented(0), 1e-2, True) == ()
    assert exchanges(source, 0, np.zeros((6, 8)), None, True) == ()
    assert exchanges(source, 0, target.augmented(0), None, True) != ()


def test_bad_requests_are_refused() -> None:
    with pytest.raises(BadInput, match="looks_at"):
        Assigned(looks_at="both")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="limit"):
        Assigned(limit=0)
    with pytest.raises(BadInput, match="n"):
        Assigned(epsilon=0.1).source_for(TARGET, 0)

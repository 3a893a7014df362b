"""Orseau's gadgets: the law before the draw, the greedy rule, the theorem's width and promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slth.bounds import facts
from slth.bounds import orseau as bound
from slth.certify.propagate import propagation
from slth.construct.orseau import MOST, Orseau, intervals, law_of
from slth.construct.pensia import Pensia
from slth.domain import Ball
from slth.errors import BadInput
from slth.laws import Normal, SignedHyperbolic, Uniform
from slth.nets import digits
from slth.source import Source
from slth.target import Target
from slth.ticket import Ticket
from slth.verify import verify
from tests import gadget_contract as contract
from tests.gadget_contract import random_target

GAMMA = 1.5


def oracle(ticket: Ticket, target: Target, layer: int, half: int) -> list[list[int]]:
    """The greedy rule, weight by weight, from the words of the definition alone."""
    source, eta = ticket.source, ticket.claim.tolerances[layer]  # type: ignore[index]
    k = round(source.law.octaves / math.log2(GAMMA))  # type: ignore[attr-defined]
    alpha = source.law.high**2 / GAMMA ** (k / 2)  # type: ignore[attr-defined]
    u, v = source.in_weights(layer, half), source.out_weights(layer, half)
    kept = []
    for a, w_of_input in enumerate(target.augmented(layer).T):
        for j, w in enumerate(w_of_input):
            z = u[a] * v[a, j] * np.sign(w)
            z[(u[a] > 0) != (half == 0)] = -1.0
            rest, chosen = abs(w), []
            for c in range(k):
                inside = np.flatnonzero((z > alpha * GAMMA ** (-c - 1)) & (z <= alpha * GAMMA**-c))
                if rest > eta and inside.size and z[inside[0]] <= rest:
                    rest -= z[inside[0]]
                    chosen.append(int(inside[0]))
            kept.append(sorted(chosen))
    return kept


@pytest.mark.parametrize("split", ["propagation", "lemma"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_theorems_width_holds_the_ticket(split, bias) -> None:  # type: ignore[no-untyped-def]
    target = random_target(0, bias=bias)
    make = Orseau(epsilon=0.1, delta=0.01, split=split)
    contract.check_blind(make, target)
    ticket = contract.check_met(make, target, make.source_for(target, 3))
    x = np.random.default_rng(0).normal(size=(2000, 3))
    contract.check_on_inputs(ticket, target, x / np.linalg.norm(x, axis=1, keepdims=True))
    claim = ticket.claim
    assert claim.theorem == "orseau"
    silent = [f for f in claim.failed if "U[-1, 1]" not in f]  # of other theorems' laws
    assert silent == (["The theorem's targets have no biases; this one has."] if bias else [])


def test_every_gadget_is_the_greedy_sum() -> None:
    target = random_target(1)
    make = Orseau(epsilon=0.05)
    for n in (40, 600):  # the narrow one lacks neurons of some intervals
        ticket = make.build(target, make.source_for(target, 2, n))
        assert (ticket.claim.unmet > 0) == (n == 40)
        for layer, pair in enumerate(ticket.kept):
            for half, kept in enumerate(pair):
                wanted = oracle(ticket, target, layer, half)
                blocks = target.dims[layer] + (half == 0)
                for g in range(blocks * target.dims[layer + 1]):
                    found = kept.indices[kept.indptr[g] : kept.indptr[g + 1]].tolist()
                    assert found == wanted[g]


def test_it_is_reproducible_and_a_wider_source_keeps_what_was_found() -> None:
    target = random_target(2)
    make = Orseau(epsilon=0.1)
    contract.check_reproducible(make, target, 500)
    contract.check_narrow(make, target, 30)
    source = make.source_for(target, 1, 900)
    a, b = (make.build(target, source.with_n(n)) for n in (900, 5000))
    assert a.claim.met
    for x, y in zip(a.kept, b.kept, strict=True):
        assert [(k.indices.tolist(), k.counts.tolist()) for k in x] == [
            (k.indices.tolist(), k.counts.tolist()) for k in y
        ]


@pytest.mark.parametrize("load", [digits.load, digits.load_untouched])
def test_trained_targets(load) -> None:  # type: ignore[no-untyped-def]
    target = load()
    bound_on_f = propagation(target, Ball(1.0, 64)).norms
    epsilon = 0.05 * float(np.prod(bound_on_f))
    make = Orseau(epsilon=epsilon, delta=0.1)
    ticket = make.build(target, make.source_for(target, 1))
    assert ticket.claim.met
    assert verify(ticket, target).ok
    assert contract.check_on_inputs(ticket, target, digits.inputs()[0]) <= epsilon
    assert len(ticket.claim.failed) == 1 + target.biased[0]


def test_the_law_is_the_theorems() -> None:
    """a and b of the derivation, whose k intervals below w_max/2 each have a chance ≥ 1/(8k)."""
    for largest, k in ((1.0, 6), (0.125, 16), (3.0, 30)):
        law, alpha = law_of(largest, k), largest / 2
        assert law.high == pytest.approx(math.sqrt(alpha) * GAMMA ** (k / 4), rel=3e-7)
        assert law.low == pytest.approx(math.sqrt(alpha) * GAMMA ** (-3 * k / 4), rel=3e-7)
        source = Source((1, 1), 1 << 17, False, 7, law=law)
        top, count = intervals(source)
        assert count == k
        assert top == pytest.approx(alpha, rel=3e-7)
        u, v = source.in_weights(0, 0)[0], source.out_weights(0, 0)[0, 0]
        inside = np.floor(np.log(top / np.abs(u * v)) / math.log(GAMMA))
        for sign in (u > 0, u < 0):
            for same in (u * v > 0, u * v < 0):
                for c in (0, k // 2, k - 1):
                    hits = int((sign & same & (inside == c)).sum())
                    # five standard deviations below 1/(8k): false alarms below 1e-6 each
                    mean = u.size / (8 * k)
                    assert hits > mean - 5 * math.sqrt(mean)


def test_the_lemmas_tolerance_is_one_for_all_and_the_stricter() -> None:
    for seed in range(5):
        for bias in (False, True):
            target = random_target(seed, (3, 5, 4, 2), bias)
            constants = facts(target, Ball(1.0, 3))
            lemma = Orseau(epsilon=0.1, split="lemma").tolerances(target, Ball(1.0, 3))
            own = Orseau(epsilon=0.1).tolerances(target, Ball(1.0, 3))
            one = math.exp(float(bound.log_weight_tolerance(constants, np.array(0.1))))
            assert lemma is not None
            assert own is not None
            assert all(a <= b for a, b in zip(lemma, own, strict=True))
            assert bias or set(lemma) == {one}
            assert propagation(target, Ball(1.0, 3)).error_bound(lemma) <= 0.1
            # near zero inputs a bias is what errs, of which the lemma knows nothing
            near = Orseau(epsilon=0.1, split="lemma").tolerances(target, Ball(0.01, 3))
            assert propagation(target, Ball(0.01, 3)).error_bound(near) <= 0.1


def test_a_source_of_another_law_is_a_failed_hypothesis() -> None:
    target = random_target(3, bias=False)
    make = Orseau(epsilon=0.1)
    right = make.build(target, make.source_for(target, 1, 1000))
    law = right.source.law
    assert not [f for f in right.claim.failed if "law for weights" in f]
    for other in (SignedHyperbolic(law.high, law.octaves / 2), SignedHyperbolic(2.0, 12.0)):  # type: ignore[attr-defined]
        ticket = make.build(target, make.source_for(target, 1, 1000, law=other))
        assert [f for f in ticket.claim.failed if "law for weights" in f]
        assert verify(ticket, target).ok
    small = Orseau(epsilon=0.1, largest=0.1)
    ticket = small.build(target, small.source_for(target, 1, 1000))
    assert ticket.claim.unmet > 0  # greedy from 0.05 down adds up to 0.1 at most
    assert [f for f in ticket.claim.failed if "law for weights" in f]


def test_weights_beyond_w_max_are_out_of_reach_and_declared_ones_are_not() -> None:
    small = Target((np.array([[0.3, -0.2]]),), (None,))
    make = Orseau(tolerance=0.01, largest=1.0)
    source = make.source_for(small, 1, 800)
    assert source == make.source_for(Target((np.array([[0.9, 1.0]]),), (None,)), 1, 800)
    for target in (small, Target((np.array([[0.9, 1.0]]),), (None,))):
        assert make.build(target, source).claim.met
    assert not make.build(Target((np.array([[0.9, 1.3]]),), (None,)), source).claim.met


def test_with_no_tolerance_the_intervals_are_what_n_can_fill() -> None:
    target = random_target(4)
    errors, counts = [], []
    for n in (200, 800, 3200):
        make = Orseau()
        source = make.source_for(target, 1, n)
        counts.append(intervals(source)[1])
        errors.append(max(make.build(target, source).claim.achieved))
        asked = bound.block_sizes(facts(target, Ball(1.0, 3)), counts[-1], 0.5)
        more = bound.block_sizes(facts(target, Ball(1.0, 3)), counts[-1] + 1, 0.5)
        assert max(asked) <= n < max(more)
    assert counts == sorted(set(counts))
    assert errors[2] < errors[1] / 20 < errors[0] / 20
    assert Orseau().source_for(target, 1, (200, 3200)) != Orseau().source_for(target, 1, 3200)


def test_what_is_needed_grows_as_the_theorem_says() -> None:
    """The least n that holds a layer of 12 × 8 weights, median of five seeds, over 8k ln(4k·96/δ)
    at δ = 1/2: the constant measured at ε_w = 0.1 predicts the others within a factor of two."""
    rng = np.random.default_rng(9)
    target = Target((rng.uniform(-1, 1, (8, 12)),), (None,))
    constants = facts(target, Ball(1.0, 12))
    ratio = []
    for tolerance in (0.1, 0.01, 1e-3):
        make = Orseau(tolerance=tolerance)
        (asked,) = make.theorem_n(constants, (tolerance,), 0.5)
        found = []
        for seed in range(5):
            source = make.source_for(target, seed, 2 * int(asked))
            found.append(
                contract.needed(
                    lambda n, s=source, m=make: m.build(target, s.with_n(n)).claim.met,
                    source.n[0],  # type: ignore[misc]
                )
            )
        ratio.append(np.median(found) / asked)
    assert all(ratio[0] / 2 < r < 2 * ratio[0] for r in ratio)
    assert max(ratio) < 1  # the theorem's n, at δ = 1/2, holds more than half of the seeds


@pytest.mark.parametrize(
    "make",
    [
        lambda t: Orseau(split="none"),  # type: ignore[arg-type]
        lambda t: Orseau(largest=0.0),
        lambda t: Orseau(largest=float("nan")),
        lambda t: Orseau().source_for(t, 0),
        lambda t: Orseau(epsilon=0.1).source_for(t, 0),
        lambda t: Orseau().source_for(t, 0, 9, law=Normal()),
        lambda t: Orseau().source_for(t, 0, 9, out_law=Uniform()),
        lambda t: Orseau(tolerance=1e-40).source_for(t, 0, 9),
        lambda t: Orseau(tolerance=0.1).build(t, Pensia().source_for(t, 0, 9)),
    ],
)
def test_bad_requests_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match="remedy: "):
        make(random_target(0))
    assert law_of(1.0, MOST).octaves <= 100

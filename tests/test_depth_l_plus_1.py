"""Tickets one layer deeper than the target: copies that err differently, and what that does."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch import nn

from slth.bounds import facts
from slth.bounds.depth_plus_one import copies as theorem
from slth.chain_inputs import layer_inputs
from slth.chains import as_chain, evaluate, first_order
from slth.construct import load as load_construction
from slth.construct.depth_l_plus_1 import DepthLPlus1
from slth.domain import Ball, Box, from_json
from slth.errors import BadInput
from slth.kept import Kept
from slth.laws import Normal
from slth.layered_certify import certify_copies, proved, run
from slth.layered_copies import Copies
from slth.layered_distance import distances, loads, upper_bound, weight_errors
from slth.layered_ticket import LayeredTicket, load
from slth.layered_verify import verify_layered
from slth.network import Network
from slth.target import Target
from slth.tracing import target as read_model
from slth.wiring import LIPSCHITZ, Activation, Affine, Flatten, Wiring

KINDS = (("relu", 0.0), ("leaky_relu", 0.25), ("tanh", 0.0), ("sigmoid", 0.0), ("softplus", 0.0))
DIMS = (3, 4, 4, 2)
ETA = 0.01


def target_of(
    kind: str = "relu",
    slope: float = 0.0,
    dims: tuple[int, ...] = DIMS,
    bias: bool = True,
    seed: int = 0,
) -> Target | Network:
    rng = np.random.default_rng(seed)
    weights = tuple(rng.uniform(-1, 1, (b, a)) / np.sqrt(a) for a, b in pairwise(dims))
    biases = tuple(rng.uniform(-0.5, 0.5, b) if bias else None for b in dims[1:])
    if kind == "relu":
        return Target(weights, biases)
    steps: list[Any] = []
    for i, (a, b) in enumerate(pairwise(dims)):
        steps += [Activation(len(steps), kind, slope)] if i else []  # type: ignore[arg-type]
        steps.append(Affine(len(steps), i, a, b))
    return Network(Wiring(dims[:1], tuple(steps)), weights, biases)


def built(target: Target | Network, n: int = 40, seed: int = 1, **options: Any) -> LayeredTicket:
    make = DepthLPlus1(**({"tolerance": ETA} | options))
    return make.build(target, make.source_for(target, seed, n))


def points(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    """Of the unit ball: random ones, and the axes from both sides."""
    x = np.random.default_rng(seed).normal(size=(count, dimension))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x[::2] *= np.linspace(0.01, 1, len(x[::2]))[:, None]
    return np.vstack([x, np.eye(dimension), -np.eye(dimension), np.zeros((1, dimension))])


def physical(ticket: LayeredTicket, x: np.ndarray) -> np.ndarray:
    """The stack from whole dense matrices, vectors and masks."""
    source, y = ticket.source, x
    for t in range(source.layers):
        mask = np.zeros(source.shape(t))
        mask[ticket.kept[t].gadgets, ticket.kept[t].indices] = 1
        bias = source.bias_vector(t)
        y = evaluate(source.activated, y) if t else y
        y = y @ (source.matrix(t) * mask).T
        if bias is not None:
            keep = np.zeros(bias.size)
            keep[ticket.kept_bias[t]] = 1
            y = y + bias * keep
    return y


def worst(target: Target | Network, ticket: LayeredTicket) -> float:
    x = points(2000, target.inputs)
    return float(np.linalg.norm(physical(ticket, x) - target(x), axis=1).max())


@pytest.fixture(scope="module")
def case() -> tuple[Target | Network, LayeredTicket]:
    target = target_of()
    return target, built(target)


class TestByHand:
    """One input, a hidden neuron in two copies, one output: the smallest network that shows it."""

    def copies(self, off: float, kept: tuple[float, float]) -> Copies:
        """The hidden weight is 1 + off in one copy and 1 − off in the other, on both sides of 0."""
        first = csr_array(np.array([[1 + off, 0, -1 - off, 0], [0, 1 - off, 0, off - 1]]))
        none = np.zeros(2), np.zeros(2)
        return Copies(
            Activation(0, "relu"), 1, (np.array([0, 0]), np.array([0])),
            np.array([1.0, 1.0, -1.0, -1.0]), np.zeros(4, dtype=np.int64),
            (first, csr_array(np.array([kept]))), (none, (np.zeros(1), np.zeros(1))),
        )  # fmt: skip

    def test_values_that_cancel_amplify(self):
        """v = 1 and −63/64 add up to 1/64, the target's weight, exactly. Copies that err by +η and
        −η make an error of (1 + 63/64)·η, 127 times what the weight 1/64 would make of η."""
        eta, weight = 2.0**-7, 2.0**-6
        copies = self.copies(eta, (1.0, -63 / 64))
        target = as_chain(Target((np.array([[1.0]]), np.array([[weight]])), (None, None)))[0]
        assert max(e.max() for e in weight_errors(copies, target)) <= eta * (1 + 1e-9)
        assert weight_errors(copies, target)[1].max() <= 1e-14
        found = distances(copies, target, Ball(1.0, 1))
        exact = (1 + 63 / 64) * eta  # at x = 1: (1 + η) − 63/64 (1 − η) − 1/64
        assert found[1].amplification == pytest.approx(127 / 64, rel=1e-12)
        assert exact <= upper_bound(found) <= exact * (1 + 1e-12)
        assert upper_bound(found) > 100 * weight * eta

    def test_copies_that_err_alike_do_not(self):
        """Equal copies: (1 − 63/64)·η, but nothing that looks at each copy's size alone sees it."""
        eta, weight = 2.0**-7, 2.0**-6
        x = np.linspace(-1, 1, 101)
        for both, real in ((False, 127 / 64 * eta), (True, weight * eta)):
            hidden = [(1 + eta) * x, ((1 + eta) if both else (1 - eta)) * x]
            out = np.maximum(hidden[0], 0) - 63 / 64 * np.maximum(hidden[1], 0)
            assert np.abs(out - weight * np.maximum(x, 0)).max() == pytest.approx(real)

    def test_loads_are_row_sums_of_products(self):
        copies = self.copies(0.1, (0.5, -0.25))
        assert loads(copies) == pytest.approx([0.75, 1.0], rel=1e-12)


class TestNearZero:
    @pytest.mark.parametrize(("kind", "slope"), KINDS)
    def test_the_line_and_its_remainder(self, kind, slope):
        """|φ(z) − line| ≤ c|z|^p on both sides, for small and for large z."""
        activation = Activation(0, kind, slope)
        line = first_order(activation)
        sizes = np.concatenate([2.0 ** np.arange(-12, 7), np.linspace(0.01, 20, 500)])
        z = np.concatenate([-sizes, sizes])
        exact = evaluate(activation, z)
        off = np.abs(exact - line.value - z * np.where(z > 0, line.up, line.down))
        room = line.coefficient * np.abs(z) ** line.power + 1e-15 * (1 + np.abs(z))
        assert (off <= room).all()
        if line.smooth:  # half the coefficient is too little somewhere
            near = np.abs(z) < 0.1
            halved = line.coefficient / 2 * np.abs(z) ** line.power + 1e-15
            assert (off > halved)[near].any()

    def test_gains(self):
        assert [first_order(Activation(0, kind, slope)).gain for kind, slope in KINDS] == [
            1.0, 1.25, 1.0, 0.25, 0.5,
        ]  # fmt: skip

    def test_a_smaller_factor_shrinks_the_remainder_by_its_power(self):
        target = target_of("tanh", bias=False)
        sizes = [built(target, first=2.0**-k).apart.remainder.max() for k in (3, 4, 5)]
        assert sizes[0] / sizes[1] == pytest.approx(4, rel=1e-9)
        assert sizes[1] / sizes[2] == pytest.approx(4, rel=1e-9)

    def test_a_large_factor_is_paid_for_in_the_claim(self):
        target = target_of("tanh", bias=False)
        small, large = built(target), built(target, first=1.0)
        assert max(large.claim.achieved) <= ETA
        assert worst(target, large) > 3 * worst(target, small)
        assert worst(target, large) <= large.claim.error_bound
        assert verify_layered(large, target).ok


class TestTheError:
    @pytest.mark.parametrize("bias", [False, True])
    @pytest.mark.parametrize(("kind", "slope"), KINDS)
    def test_it_stays_within_the_claim(self, kind, slope, bias):
        target = target_of(kind, slope, bias=bias)
        ticket = built(target)
        assert ticket.claim.unmet == 0
        assert max(ticket.claim.achieved) <= ETA
        far = worst(target, ticket)
        assert far <= ticket.claim.error_bound
        assert far > ticket.claim.error_bound / 50  # the bound is about this ticket
        report = verify_layered(ticket, target)
        assert report.ok, report.false

    def test_both_sides_of_zero(self):
        """An input that is only negative, or only positive, is served as well."""
        target = target_of(bias=True)
        ticket = built(target)
        x = np.abs(points(500, 3))
        for side in (x, -x):
            far = np.linalg.norm(physical(ticket, side) - target(side), axis=1)
            assert far.max() <= ticket.claim.error_bound
            assert far.max() < 0.3 * np.abs(target(side)).max()

    def test_attack_and_bound_agree_with_the_stack(self):
        target = target_of(bias=True)
        ticket = built(target)
        found = certify_copies(target, ticket, Ball(1.0, 3), restarts=16, steps=40)
        assert 0.9 * worst(target, ticket) <= found.lower <= found.upper
        assert found.upper == ticket.claim.error_bound
        x = np.array(found.witness)
        there = float(np.linalg.norm(physical(ticket, x[None]) - target(x[None])))
        assert found.lower <= there <= found.lower * (1 + 1e-6)
        report = verify_layered(ticket.with_certificate(found), target)
        assert report.ok, report.false

    def test_on_a_box_and_on_images(self):
        weights = (np.full((3, 4), 0.2), np.array([[0.5, -0.25, 0.25]]))
        steps = (Flatten(0), Affine(1, 0, 4, 3), Activation(2, "relu"), Affine(3, 1, 3, 1))
        target = Network(Wiring((1, 2, 2), steps), weights, (None, np.array([0.1])))
        ticket = built(target)
        assert from_json(dict(ticket.claim.domain)) == Box(np.zeros(4), np.ones(4))
        x = np.random.default_rng(0).random((500, 4))
        far = np.abs(physical(ticket, x) - target(x)).max()
        assert far <= ticket.claim.error_bound
        found = certify_copies(target, ticket, Box(np.zeros(4), np.ones(4)), restarts=8, steps=20)
        assert 0 < found.lower <= found.upper

    @pytest.mark.parametrize(("kind", "slope"), [("relu", 0.0), ("sigmoid", 0.0)])
    def test_every_copy_is_within_its_own_bound(self, kind, slope):
        target = target_of(kind, slope)
        network, activation = as_chain(target)
        copies, x = built(target).apart, points(500, 3)
        found = distances(copies, network, Ball(1.0, 3))
        values = dict(enumerate(network.values(torch.from_numpy(x))))
        wanted = [values[k].numpy() for k in (1, 3, 5)]
        y = evaluate(activation, x[:, copies.reads] * copies.u) - first_order(activation).value
        for i, links in enumerate(copies.links):
            z = (links @ y.T).T + copies.offsets[i][0]
            far = np.abs(z - wanted[i][:, copies.owners[i]])
            assert (far.max(axis=0) <= found[i].error).all()
            assert np.linalg.norm(far, axis=1).max() <= found[i].norm
            y = evaluate(activation, z)
        # and the amplification is what is kept, in dense matrices
        dense = [np.abs(links.toarray()).sum(axis=1).max() for links in copies.links[1:]]
        assert [d.amplification for d in found[1:]] == pytest.approx(dense, rel=1e-12)

    def test_every_subset_sum_in_fractions(self):
        """All weights of all copies of a small ticket, from the mask and drawn values alone."""
        target = target_of(dims=(2, 3, 2), bias=True)
        ticket = built(target, n=20)
        source = ticket.source
        ones = source.widths[1] - 2 * 40
        known = [Fraction(max(v, 0.0)) for v in source.bias_vector(0)[-ones:]]
        far = [Fraction(0), Fraction(0)]
        u = source.matrix(0)
        for row in np.flatnonzero(ticket.used[1][:60]):
            kept = ticket.kept[1].indices[slice(*ticket.kept[1].indptr[row : row + 2])]
            v = source.matrix(1)[row]
            j = row // 20
            for a in range(2):
                for sign in (1, -1):
                    on = [k for k in kept if k // 40 == a and k < 80 and sign * u[k, a] > 0]
                    total = sum(Fraction(v[k]) * Fraction(u[k, a]) for k in on)
                    far[0] = max(far[0], abs(total - Fraction(target.weights[0][j, a])))
            total = sum(Fraction(v[k]) * known[k - 80] for k in kept if k >= 80)
            far[0] = max(far[0], abs(total - Fraction(target.biases[0][j])))
        v = source.matrix(2)
        carried = [
            max(Fraction(0), sum(
                (Fraction(source.matrix(1)[r, k]) * known[k - 80]
                 for k in ticket.kept[1].indices[slice(*ticket.kept[1].indptr[r : r + 2])]),
                Fraction(0),
            ))
            for r in range(60, 80)
        ]  # fmt: skip
        for row in range(2):
            kept = ticket.kept[2].indices[slice(*ticket.kept[2].indptr[row : row + 2])]
            for a in range(3):
                total = sum(Fraction(v[row, k]) for k in kept if k // 20 == a)
                far[1] = max(far[1], abs(total - Fraction(target.weights[1][row, a])))
            total = sum(Fraction(v[row, k]) * carried[k - 60] for k in kept if k >= 60)
            far[1] = max(far[1], abs(total - Fraction(target.biases[1][row])))
        for exact, claimed in zip(far, ticket.claim.achieved, strict=True):
            assert exact <= Fraction(claimed) <= exact + Fraction(1, 10**12)
            assert exact < 1


class TestThePublishedBug:
    """The published code overwrote the bias vector that the constants write next."""

    def without_biases(self, ticket: LayeredTicket) -> LayeredTicket:
        """The copies of the first layer lose their biases, the constants keep theirs."""
        kept, source = ticket.kept[1], ticket.source
        standing = source.dims[1] * source.copies[0]
        first = source.widths[1] - np.diff([source.dims[0] * 80, source.widths[1]])[0]
        on = (kept.indices < first) | (kept.gadgets >= standing)
        counts = np.bincount(kept.gadgets[on], minlength=kept.counts.size)
        layers = list(ticket.kept)
        layers[1] = Kept.of_counts(counts, kept.indices[on])
        return replace(ticket, kept=tuple(layers))

    def test_it_is_caught(self):
        target = target_of(dims=(3, 4, 2), bias=True)
        honest = built(target)
        broken = self.without_biases(honest)
        assert worst(target, honest) <= honest.claim.error_bound
        assert worst(target, broken) > honest.claim.error_bound
        assert worst(target, broken) > 8 * worst(target, honest)
        false = [check.statement for check in verify_layered(broken, target).false]
        assert any(s.startswith("layer 0: no weight") for s in false)
        assert any(s.startswith("error at most") for s in false)
        found = certify_copies(target, broken, Ball(1.0, 3), restarts=8, steps=20)
        assert found.lower > honest.claim.error_bound

    def test_without_biases_there_are_no_constants(self):
        source = DepthLPlus1().source_for(target_of(bias=False), 1, 5)
        assert source.widths == (3, 30, 20, 20, 2)
        assert not any(source.bias)

    def test_constants_end_where_no_bias_follows(self):
        rng = np.random.default_rng(0)
        weights = tuple(rng.uniform(-0.5, 0.5, (b, a)) for a, b in pairwise(DIMS))
        target = Target(weights, (None, np.full(4, 0.25), None))
        ticket = built(target)
        assert ticket.source.widths == (3, 3 * 80 + 80, 4 * 40 + 40, 4 * 40, 2)
        assert ticket.claim.unmet == 0
        assert worst(target, ticket) <= ticket.claim.error_bound


class TestTheSource:
    def test_it_does_not_depend_on_the_target(self):
        make = DepthLPlus1(tolerance=ETA)
        one, other = target_of(seed=1), target_of(seed=2)
        assert make.source_for(one, 5, 7) == make.source_for(other, 5, 7)
        assert make.build(one, make.source_for(other, 5, 40)).claim.unmet == 0

    def test_the_same_seed_gives_the_same_ticket(self):
        target = target_of()
        one, two, other = built(target), built(target), built(target, seed=2)
        for a, b in zip(one.kept, two.kept, strict=True):
            assert np.array_equal(a.indptr, b.indptr)
            assert np.array_equal(a.indices, b.indices)
        assert one.claim == two.claim
        assert any(
            not np.array_equal(a.indices, b.indices)
            for a, b in zip(one.kept, other.kept, strict=True)
        )

    def test_copies_of_a_neuron_draw_anew(self):
        ticket = built(target_of(dims=(3, 2, 2)))
        p = ticket.apart.slopes[0]
        assert len(np.unique(p[:, 0])) == len(p) > 4

    def test_counts_a_layer(self):
        source = DepthLPlus1().source_for(target_of(bias=False), 1, (4, 5, 6))
        assert source.widths == (3, 24, 20, 24, 2)
        assert source.n == (5, 6, 1)

    def test_factors_of_smooth_activations_cancel(self):
        for kind, slope in KINDS:
            target = target_of(kind, slope)
            for domain in (Ball(1.0, 3), Ball(3.0, 3), Box(-5 * np.ones(3), np.ones(3))):
                source = DepthLPlus1(domain=domain).source_for(target, 1, 3)
                low, back = source.scales[:2]
                line = first_order(source.activated)
                assert low * back * (line.gain if line.smooth else 1) == 1
                reach = 5 if isinstance(domain, Box) else domain.radius
                assert not line.smooth or low * reach <= 2.0**-4

    def test_it_travels(self):
        source = DepthLPlus1().source_for(target_of("leaky_relu", 0.25), 1, 3)
        assert type(source).from_json(json.loads(json.dumps(source.to_json()))) == source


class TestTheTheorem:
    def test_its_width_serves(self):
        target = target_of(dims=(2, 2, 2), bias=False)
        make = DepthLPlus1(epsilon=0.3, delta=0.1)
        source = make.source_for(target, 3)
        asked = theorem(facts(target, Ball(1.0, 2)), 0.3, 0.1)[0]
        assert source.widths == (2, 2 * 2 * asked[0], 2 * asked[1], 2)
        ticket = make.build(target, source)
        assert ticket.claim.met
        assert ticket.claim.failed == ()
        assert worst(target, ticket) <= 0.3
        assert verify_layered(ticket, target).ok

    def test_what_it_is_silent_on_is_said(self):
        failed = built(target_of("tanh")).claim.failed
        assert any("biases" in f for f in failed)
        assert any("tanh" in f for f in failed)
        assert any("times" in f for f in failed)
        narrow = built(target_of(bias=False), epsilon=0.3, tolerance=None, delta=0.1)
        assert any("asks for" in f for f in narrow.claim.failed)
        make = DepthLPlus1(tolerance=ETA)
        source = make.source_for(target_of(bias=False), 1, 10, law=Normal(0.5))
        assert any("normal" in f for f in make.build(target_of(bias=False), source).claim.failed)

    def test_an_astronomical_width_is_refused_by_name(self):
        target = target_of(dims=(784, 300, 100, 10), bias=False)
        with pytest.raises(BadInput, match=r"n from \(epsilon, delta\).*\d+ copies"):
            DepthLPlus1(epsilon=1e-6, delta=0.01).source_for(target, 1)

    def test_epsilon_is_shared_out_by_what_is_kept(self):
        """The tolerances answer for the layers above, and ε is met where all of them are."""
        target = target_of()
        ticket = built(target, n=60, epsilon=0.5, tolerance=None)
        etas = ticket.claim.tolerances
        assert ticket.claim.met
        inputs = layer_inputs(as_chain(target)[0], Ball(1.0, 3))
        total = sum(
            load * eta * (entering.total + 1)
            for load, eta, entering in zip(loads(ticket.apart), etas, inputs, strict=True)
        )
        assert total == pytest.approx(0.5, rel=1e-6)
        assert etas[0] < etas[-1]

    def test_amplification_grows_with_depth(self):
        """The claim of one layer more that 5.2 makes: Σ|v|, not the norm of the weights."""
        found = distances(built(target_of()).apart, as_chain(target_of())[0], Ball(1.0, 3))
        norms = [np.abs(w).sum(axis=1).max() for w in target_of().weights]
        for distance, norm in zip(found[1:], norms[1:], strict=True):
            assert distance.amplification > 1.2 * norm


class TestFailures:
    def test_are_data(self):
        target = target_of()
        ticket = built(target, n=3)
        assert ticket.claim.unmet > 0
        assert not ticket.claim.met
        report = verify_layered(ticket, target)
        assert report.ok
        assert not report.met
        assert worst(target, ticket) <= ticket.claim.error_bound

    def test_the_best_without_a_tolerance(self):
        target = target_of(dims=(2, 3, 2))
        best, near = built(target, tolerance=None, n=30), built(target, n=30)
        assert best.claim.tolerances is None
        assert best.claim.achieved[1] < near.claim.achieved[1]
        assert verify_layered(best, target).ok

    def test_smaller_subsets_keep_less_and_amplify_less(self):
        target = target_of()
        few, quick = built(target), built(target, subsets="first")
        assert few.claim.unmet == quick.claim.unmet == 0
        assert few.sizes[2] < quick.sizes[2]
        network = as_chain(target)[0]
        gains = [distances(t.apart, network, Ball(1.0, 3))[1].amplification for t in (few, quick)]
        assert gains[0] < gains[1]


class TestTheTicket:
    def test_modules_compute_it(self, case):
        _, ticket = case
        x = points(50, 3)
        assert np.allclose(ticket(x), physical(ticket, x), atol=1e-12)
        for module in (ticket.compact(), ticket.module()):
            with torch.no_grad():
                assert np.allclose(module(torch.from_numpy(x)).numpy(), ticket(x), atol=1e-12)
        tanh = built(target_of("tanh"))
        with torch.no_grad():
            assert np.allclose(tanh.compact()(torch.from_numpy(x)).numpy(), tanh(x), atol=1e-12)

    def test_files(self, case, tmp_path):
        target, ticket = case
        ticket.save(tmp_path / "a.ticket")
        again = load(tmp_path / "a.ticket")
        assert again.source == ticket.source
        assert again.claim == ticket.claim
        assert verify_layered(again, target).ok

    def test_running_it_bounds_its_own_rounding(self, case):
        target, ticket = case
        x = np.array([0.5, -0.25, 0.125])
        found, doubt = run(ticket, x)
        assert np.abs(found - physical(ticket, x[None])[0]).max() <= doubt.max() < 1e-12
        network = as_chain(target)[0]
        there = float(np.linalg.norm(physical(ticket, x[None]) - target(x[None])))
        assert proved(network, ticket, x) <= there <= proved(network, ticket, x) + 1e-11

    @pytest.mark.parametrize(
        ("change", "statement"),
        [
            ({"achieved": (1e-3, 1e-2, 1e-2)}, "layer 0"),
            ({"error_bound": 1e-3}, "error at most"),
            ({"kept_in": 3}, "3 weights of even"),
            ({"tolerances": (1e-4, 1e-2, 1e-2)}, "at most 0 weights"),
            ({"epsilon": 1e-3}, "the tolerances serve"),
            ({"failed": ()}, "of its theorem's hypotheses"),
            ({"theorem": None, "failed": ()}, "of its theorem's hypotheses"),
        ],
    )
    def test_false_claims(self, case, change, statement):
        target, ticket = case
        report = verify_layered(replace(ticket, claim=replace(ticket.claim, **change)), target)
        assert [c for c in report.false if c.statement.startswith(statement)]

    @pytest.mark.parametrize(
        ("change", "statement"),
        [
            ({"upper": 1e-3, "parts": {"copies": 1e-3}}, "error at most 0.001 by certificate"),
            ({"lower": 10.0}, "no bound lies below"),
            ({"witness": [0.0, 0.0, 0.0]}, "an input with error"),
            ({"witness": [9.0, 0.0, 0.0]}, "an input with error"),
            ({"witness": [0.0]}, "the certificate can be read"),
        ],
    )
    def test_false_certificates(self, case, change, statement):
        target, ticket = case
        honest = certify_copies(target, ticket, Ball(1.0, 3), restarts=8, steps=20).to_json()
        report = verify_layered(ticket.with_certificate(honest | change), target)
        assert [c for c in report.false if c.statement.startswith(statement)]

    @pytest.mark.parametrize("kind", ["relu", "tanh"])
    @pytest.mark.parametrize("part", ["slopes", "offsets", "links"])
    def test_a_false_derivation(self, kind, part, monkeypatch):
        target = target_of(kind)
        ticket = built(target)
        copies = ticket.apart
        if part == "slopes":
            p, q, slack = copies.slopes
            wrong: Any = (q, p, slack) if kind == "relu" else (p, q * (1 + 2.0**-6), slack)
        elif part == "offsets":
            (value, doubt), *rest = copies.offsets
            wrong = ((value * (1 - 2.0**-6), doubt), *rest)
        else:
            wrong = (*copies.links[:-1], copies.links[-1] * (1 - 2.0**-6))
        other = replace(copies)
        if part == "slopes":
            vars(other)["slopes"] = wrong
        else:
            object.__setattr__(other, part, wrong)
        assert not verify_layered(ticket, target).false
        monkeypatch.setitem(vars(ticket), "apart", other)
        false = [c.statement for c in verify_layered(ticket, target).false]
        assert any("the stack computes them" in s for s in false)

    def test_a_neuron_that_reads_two_inputs_is_no_copy(self, case):
        target, ticket = case
        first = ticket.kept[0]
        row = int(np.flatnonzero(first.counts)[0])
        two = np.insert(first.indices, first.indptr[row] + 1, 2)
        counts = first.counts.copy()
        counts[row] = 2
        kept = (Kept.of_counts(counts, two), *ticket.kept[1:])
        false = verify_layered(replace(ticket, kept=kept), target).false
        assert "reads more than one input" in false[0].found

    def test_a_constant_that_sees_inputs_is_refused(self, case):
        target, ticket = case
        kept, row = ticket.kept[1], int(np.flatnonzero(ticket.kept[1].counts)[-1])
        assert row >= 4 * 40
        counts = kept.counts.copy()
        counts[row] += 1
        wrong = np.insert(kept.indices, kept.indptr[row], 0)
        layers = (ticket.kept[0], Kept.of_counts(counts, wrong), *ticket.kept[2:])
        false = verify_layered(replace(ticket, kept=layers), target).false
        assert any("stands for no output" in c.found for c in false)

    def test_another_activation_is_another_target(self, case):
        _, ticket = case
        other = target_of("leaky_relu", 0.25)
        claim = replace(ticket.claim, target=other.fingerprint)
        false = verify_layered(replace(ticket, claim=claim), other).false
        assert [c for c in false if c.statement == "the source has the target's activation"]

    def test_another_target(self, case):
        _, ticket = case
        assert not verify_layered(ticket, target_of(seed=5)).ok


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({"epsilon": 0.0}, "epsilon"),
            ({"tolerance": float("nan")}, "tolerance"),
            ({"epsilon": 0.1, "tolerance": 0.1}, "tolerance"),
            ({"delta": 1.0}, "delta"),
            ({"subsets": "most"}, "subsets"),
            ({"first": 3.0}, "first"),
            ({"first": True}, "first"),
            ({"limit": 60}, "limit"),
            ({"domain": 1.0}, "domain"),
        ],
    )
    def test_options(self, options, name):
        with pytest.raises(BadInput, match=f"^{name}"):
            DepthLPlus1(**options)

    @pytest.mark.parametrize(
        ("n", "match"),
        [
            (None, "^n.*n, or epsilon and delta"),
            (0, "^n.*whole numbers"),
            (True, "^n.*whole numbers"),
            (5000, "^n.*whole numbers"),
            ((1, 2), "^n.*one number, or 3"),
        ],
    )
    def test_counts(self, n, match):
        with pytest.raises(BadInput, match=match):
            DepthLPlus1(tolerance=ETA).source_for(target_of(), 1, n)

    def test_sources(self):
        target, make = target_of(), DepthLPlus1(tolerance=ETA)
        other = make.source_for(target_of(dims=(3, 5, 4, 2)), 1, 5)
        for source in (other, replace(make.source_for(target, 1, 5), scales=(2.0,)), None):
            with pytest.raises(BadInput, match="use source_for"):
                make.build(target, source)  # type: ignore[arg-type]
        with pytest.raises(BadInput, match="one law for all"):
            make.source_for(target, 1, 5, out_law=Normal(1.0))

    @pytest.mark.parametrize(
        ("model", "got"),
        [
            (nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)),
             "several activations"),
            (nn.Sequential(nn.Linear(2, 2), nn.Tanh()), "an activation after the last layer"),
            (nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Tanh(), nn.Linear(2, 2)), "Activation"),
        ],
    )  # fmt: skip
    def test_targets_that_are_no_chain(self, model, got):
        with pytest.raises(BadInput, match=got):
            DepthLPlus1().source_for(read_model(model.double(), (2,)), 1, 5)

    def test_no_target(self):
        with pytest.raises(BadInput, match="from_module"):
            DepthLPlus1().source_for(nn.Linear(1, 1), 1, 5)  # type: ignore[arg-type]

    def test_the_domain(self):
        target = target_of()
        with pytest.raises(BadInput, match="input width"):
            certify_copies(target, built(target, n=5), Ball(1.0, 2))

    def test_it_goes_by_its_name(self):
        assert load_construction("depth-l-plus-1") is DepthLPlus1
        assert set(LIPSCHITZ) == {kind for kind, _ in KINDS}

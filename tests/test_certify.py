"""Certificates: sound on networks whose supremum is known, and tight enough to be useful."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from slth.certify import Certificate, Claim, certify
from slth.certify.attack import attack, difference_at
from slth.certify.difference import difference
from slth.certify.exact import exact_sup
from slth.certify.interval import layer_ranges
from slth.certify.norm import norm_propagation
from slth.certify.rational import error_at
from slth.domain import Ball, Box, from_json
from slth.effective import Effective
from slth.errors import BadInput
from slth.target import Target
from tests.networks import exactly, perturbed, random_domain, random_points, random_target


def tiny(seed):
    """A random network of one or two inputs and up to three layers, its ticket, and a domain."""
    rng = np.random.default_rng([20, seed])
    depth = int(rng.integers(1, 4))
    hidden = (int(k) for k in rng.integers(1, 5, size=depth - 1))
    target = random_target(
        rng, (int(rng.integers(1, 3)), *hidden, int(rng.integers(1, 4))), bias=0.7
    )
    scale = 10.0 ** rng.uniform(-12, -0.3)
    effective = perturbed(rng, target, scale, bias=float(rng.random() < 0.7))
    return target, effective, random_domain(rng, target.dims[0])


def test_attack_and_bounds_on_two_hundred_tiny_networks():
    reached = []
    for seed in range(200):
        target, effective, domain = tiny(seed)
        sup, witness = exact_sup(target, effective, domain)
        assert domain.contains(witness)
        found = certify(target, effective, domain)
        # A kink is known to an ulp of its position, across which the error may move by as much.
        assert found.lower <= sup * (1 + 1e-9) + 1e-15
        assert sup <= found.upper
        assert not found.refuted
        if sup > 0:
            reached.append(found.lower / sup)
    assert len(reached) > 150  # the others' difference never reaches the output
    assert np.median(reached) >= 0.99
    assert min(reached) >= 0.9


@pytest.mark.parametrize("seed", range(12))
def test_exact_supremum_beats_a_dense_grid(seed):
    target, effective, domain = tiny(1000 + seed)
    sup, _ = exact_sup(target, effective, domain)
    x = random_points(np.random.default_rng(seed), domain, 20_000)
    grid = np.linalg.norm(difference_at(difference(target, effective), x), axis=1).max()
    assert grid <= sup * (1 + 1e-9)
    assert grid >= 0.9 * sup  # so the grid would have noticed a supremum that is too low


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [1e-1, 1e-12])
def test_one_layer_one_output_on_a_box_is_exact(seed, scale):
    rng = np.random.default_rng([1, seed])
    target = random_target(rng, (9, 1), bias=1.0)
    effective = perturbed(rng, target, scale, bias=1.0)
    low, high = np.sort(rng.uniform(-2, 2, (2, 9)), axis=0)
    d, n = (m[0][0] - target.weights[0][0] for m in (effective.positive, effective.negative))
    offset = effective.bias[0][0] - target.biases[0][0]
    # Every coordinate by itself: a piecewise linear function is extreme at an end or at zero.
    corners = np.stack([low, high, np.clip(0.0, low, high)])
    values = np.where(corners > 0, d, n) * corners
    exact = max(values.max(axis=0).sum() + offset, -(values.min(axis=0).sum() + offset))
    assert certify(target, effective, Box(low, high)).upper == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_one_layer_one_output_on_a_ball_is_exact(seed):
    rng = np.random.default_rng([2, seed])
    target = random_target(rng, (9, 1), bias=1.0)
    effective = perturbed(rng, target, 1e-2, bias=1.0)
    d, n = (m[0][0] - target.weights[0][0] for m in (effective.positive, effective.negative))
    offset = effective.bias[0][0] - target.biases[0][0]
    radius = 1.7
    rise = radius * np.linalg.norm(np.maximum(np.maximum(d, -n), 0)) + offset
    fall = radius * np.linalg.norm(np.maximum(np.maximum(-d, n), 0)) - offset
    found = certify(target, effective, Ball(radius, 9))
    assert found.upper == pytest.approx(max(rise, fall), rel=1e-12)
    assert found.lower == pytest.approx(max(rise, fall), rel=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_one_layer_many_outputs_on_a_ball_is_the_spectral_norm(seed):
    rng = np.random.default_rng([3, seed])
    target = random_target(rng, (9, 6), bias=0.0)
    effective = perturbed(rng, target, 1e-3, one_sided=True)
    exact = 0.7 * np.linalg.svd(effective.positive[0] - target.weights[0])[1][0]
    assert certify(target, effective, Ball(0.7, 9)).upper == pytest.approx(exact, rel=1e-12)


BOXES = {
    "ball": Ball(1.0, 64),
    "pixels": Box(np.zeros(64), np.full(64, 0.125)),
    "signed": Box(np.full(64, -0.125), np.full(64, 0.125)),
}


@pytest.mark.parametrize("unlucky", [0, 3])
@pytest.mark.parametrize("domain", BOXES)
def test_upper_is_under_twice_lower_on_digits(domain, unlucky):
    from slth.nets import digits

    rng = np.random.default_rng(unlucky)
    target = digits.load()
    scale = 1e-12 if domain == "signed" else 1e-3
    found = certify(target, perturbed(rng, target, scale, unlucky=unlucky), BOXES[domain])
    assert 0 < found.lower <= found.upper < 2 * found.lower
    assert (
        found.upper == found.parts["quadratic"] < min(found.parts["interval"], found.parts["norm"])
    )


@pytest.mark.parametrize("seed", range(4))
def test_no_point_of_deep_networks_beats_any_part(seed):
    rng = np.random.default_rng([4, seed])
    target = random_target(rng, (5, 7, 6, 5, 3), bias=0.5)
    effective = perturbed(rng, target, 10.0 ** -(2 + 3 * seed), bias=1.0)
    domain = random_domain(rng, 5)
    found = certify(target, effective, domain, restarts=8, steps=40)
    assert found.ratio < 30
    for x in random_points(rng, domain, 30):
        assert error_at(target, effective, x) <= min(found.parts.values())


@pytest.mark.parametrize("forgotten", [0, 1])
def test_a_bound_that_forgets_a_layer_is_refuted(forgotten):
    """The control: norm propagation with one layer's error dropped, where that one dominates."""
    rng = np.random.default_rng(5)
    target = random_target(rng, (8, 16, 4), bias=0.0)
    large, small = perturbed(rng, target, 1e-2), perturbed(rng, target, 1e-4)

    def mixed(first, second):
        parts = (first, second) if forgotten == 0 else (second, first)
        return replace(
            large, **{k: tuple(getattr(p, k)[i] for i, p in enumerate(parts)) for k in HALVES}
        )

    domain = Ball(1.0, 8)
    diff = difference(target, mixed(exactly(target), small))
    wrong = norm_propagation(diff, domain, layer_ranges(diff, domain)).error[-1]
    found = certify(target, mixed(large, small), domain, claim=Claim(wrong, domain))
    assert found.refuted == ("claim",)
    assert found.upper >= found.lower > found.parts["claim"]


HALVES = ("positive", "negative")


def test_a_claim_counts_only_for_its_own_domain():
    rng = np.random.default_rng(7)
    target = random_target(rng, (4, 6, 2), bias=0.0)
    effective = perturbed(rng, target, 1e-3)
    domain = Ball(1.0, 4)
    plain = certify(target, effective, domain)
    true = Claim((plain.lower + plain.upper) / 2, domain)
    assert certify(target, effective, domain, claim=true).upper == true.bound
    other = certify(target, effective, domain, claim=Claim(true.bound, Ball(0.5, 4)))
    assert other == plain


def test_a_ticket_that_meets_every_weight_has_no_error():
    target = random_target(np.random.default_rng(8), (5, 7, 3), bias=1.0)
    found = certify(target, exactly(target), Ball(2.0, 5))
    assert (found.lower, found.upper, found.ratio) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("seed", range(6))
def test_slack_covers_every_network_within_it(seed):
    rng = np.random.default_rng([9, seed])
    target = random_target(rng, (3, 4, 2), bias=0.5)
    stored = perturbed(rng, target, 1e-3, bias=1.0)
    # All of it in one layer: each has to count.
    slack = tuple(1e-4 * rng.random(s.shape) * (i == seed % 2) for i, s in enumerate(stored.slack))
    domain = random_domain(rng, 3)
    found = certify(target, replace(stored, slack=slack), domain)
    exact = certify(target, stored, domain)
    assert found.lower < exact.lower
    assert exact.upper < found.upper
    for _ in range(10):
        signs = [rng.choice([-1.0, 1.0], s.shape) for s in slack]
        moved = [(sign * s)[:, :-1] for sign, s in zip(signs, slack, strict=True)]
        real = Effective(
            tuple(p + m for p, m in zip(stored.positive, moved, strict=True)),
            tuple(p + m for p, m in zip(stored.negative, moved, strict=True)),
            tuple(b + (s * t)[:, -1] for b, s, t in zip(stored.bias, signs, slack, strict=True)),
            stored.slack,
        )
        assert error_at(target, real, np.array(found.witness)) >= found.lower
        worst = attack(difference(target, real), domain, restarts=8, steps=30)[0]
        assert error_at(target, real, worst) <= found.upper


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e-80, 1e20, 1e50])
def test_extreme_weights_get_a_sound_certificate(size):
    rng = np.random.default_rng(12)
    tame = random_target(rng, (3, 5, 2), bias=0.0)
    target = Target(tuple(size * w for w in tame.weights), (None, None))
    effective = perturbed(rng, target, 1e-3 * size)
    found = certify(target, effective, Ball(1.0, 3), restarts=8, steps=20)
    assert 0 <= found.lower <= found.upper
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["upper"] == found.upper


def test_weights_whose_bounds_overflow_are_refused():
    target = Target((np.full((2, 3), 1e200), np.full((1, 2), 1e200)), (None, None))
    with pytest.raises(BadInput, match="rescale"):
        certify(target, exactly(target), BALL)


def test_same_seed_same_certificate_and_it_survives_json():
    target, effective, domain = tiny(3)
    found = certify(target, effective, domain, seed=5)
    assert found == certify(target, effective, domain, seed=5)
    assert Certificate.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert domain.contains(np.array(found.witness))
    assert error_at(target, effective, np.array(found.witness)) == found.lower


def _with(array, value):
    array = array.copy()
    array.flat[0] = value
    return array


GOOD = Target((np.ones((2, 3)), np.ones((1, 2))), (None, None))
SAME = exactly(GOOD)
BALL = Ball(1.0, 3)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"positive": (_with(SAME.positive[0], np.nan), SAME.positive[1])}, "positive[0]"),
        ({"negative": (_with(SAME.negative[0], np.inf), SAME.negative[1])}, "negative[0]"),
        ({"bias": (SAME.bias[0], np.zeros(2))}, "bias[1]"),
        ({"slack": (-SAME.slack[0] - 1, SAME.slack[1])}, "slack[0]"),
        ({"positive": (SAME.positive[0].T, SAME.positive[1])}, "positive[0]"),
        ({"positive": SAME.positive[:1]}, "effective"),
    ],
)
def test_bad_networks_are_named(change, name):
    with pytest.raises(BadInput, match=r".*") as raised:
        certify(GOOD, replace(SAME, **change), BALL)
    assert name in raised.value.name


@pytest.mark.parametrize(
    "options",
    [
        {"restarts": 0},
        {"restarts": 2.5},
        {"restarts": True},
        {"steps": -1},
        {"seed": -1},
        {"domain": Ball(1.0, 4)},
        {"domain": "ball"},
    ],
)
def test_bad_options_are_refused(options):
    options = {"domain": BALL, **options}
    with pytest.raises(BadInput):
        certify(GOOD, SAME, options.pop("domain"), **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ball(-1.0, 3),
        lambda: Ball(np.nan, 3),
        lambda: Ball(1.0, 0),
        lambda: Box(np.zeros(2), np.zeros(3)),
        lambda: Box(np.zeros(0), np.zeros(0)),
        lambda: Box(np.array([1.0]), np.array([0.0])),
        lambda: Box(np.array([0.0]), np.array([np.inf])),
        lambda: Box(np.array([np.nan]), np.array([1.0])),
        lambda: Claim(np.nan, BALL),
        lambda: from_json({"kind": "cube"}),
        lambda: from_json({"kind": "ball", "radius": 1.0}),
        lambda: Certificate.from_json({"domain": BALL.to_json()}),
        lambda: exact_sup(GOOD, SAME, BALL),
        lambda: BALL.contains(np.zeros(2)),
    ],
)
def test_bad_domains_and_claims_are_refused(make):
    with pytest.raises(BadInput):
        make()


@pytest.mark.parametrize("seed", range(20))
def test_projections_land_inside_and_domains_survive_json(seed):
    rng = np.random.default_rng([10, seed])
    domain = random_domain(rng, 6)
    x = domain.project(rng.standard_normal((50, 6)) * 10.0 ** rng.uniform(-3, 3))
    assert all(domain.contains(point) for point in x)
    assert from_json(json.loads(json.dumps(domain.to_json()))) == domain


@pytest.mark.parametrize("effort", [0.001, 0.35, 1.0])
@pytest.mark.parametrize("restarts", [1, 3, 64])
def test_a_box_far_from_the_origin_keeps_its_witness_inside(effort, restarts):
    """Where the relaxation names no direction to attack in, no point outside may count."""
    target = Target((np.array([[-1.0], [0.0]]), np.eye(2)), (np.ones(2), np.zeros(2)))
    bias = (np.array([1.5, 1.125]), np.zeros(2))
    slack = (np.zeros((2, 2)), np.zeros((2, 3)))
    found = certify(
        target,
        Effective(target.weights, target.weights, bias, slack),
        Box(np.array([1e10]), np.array([2e10])),
        effort=effort,
        restarts=restarts,
    )
    assert found.domain.contains(np.array(found.witness))
    assert found.lower <= 0.125 <= found.upper  # the first neuron is off, the second errs by 1/8


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (0.5, 0.5), (-1.0, 1e-12)])
def test_a_pinned_input_does_not_spoil_the_quadratic_bound(low, high):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s) for s in ((6, 4), (3, 6))]
    off = [[w + 0.01 * rng.normal(size=w.shape) for w in weights] for _ in range(2)]
    target = Target(tuple(weights), (None, None))
    effective = Effective(
        tuple(off[0]),
        tuple(off[1]),
        tuple(np.zeros(len(w)) for w in weights),
        tuple(np.zeros((w.shape[0], w.shape[1] + 1)) for w in weights),
    )
    ends = np.full(4, -1.0), np.full(4, 1.0)
    ends[0][0], ends[1][0] = low, high
    found = certify(target, effective, Box(*ends))
    assert found.parts["quadratic"] < 1.5 * found.lower


def test_a_layer_without_error_does_not_spoil_it_either():
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=s) / 2 for s in ((6, 4), (3, 6))]
    last = weights[1] + 0.01 * rng.normal(size=(3, 6))
    target = Target(tuple(weights), (None, None))
    slack = (np.zeros((6, 5)), np.zeros((3, 7)))
    effective = Effective((weights[0], last), (weights[0], last), (np.zeros(6), np.zeros(3)), slack)
    found = certify(target, effective, Ball(1.0, 4))
    assert found.parts["quadratic"] < 1.5 * found.lower

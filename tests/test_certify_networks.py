"""Certificates of any two networks: sound where the supremum is known, tight, refuted if halved."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from slth.certify import certify
from slth.certify.cells import _faces, _halved, cells_bound
from slth.certify.exact import exact_sup
from slth.certify.joint import joint, layers_of, trimmed
from slth.certify.networks import Pair, certify_networks, refined_bound
from slth.certify.rational import effective_output, error_at, target_output
from slth.certify.relaxed import Boxes, Stack, affine_bounds
from slth.construct.pensia import Pensia
from slth.domain import Ball, Box
from slth.errors import BadInput
from slth.target import Target, from_module
from tests.networks import random_domain, random_points, random_target


def two(seed: int, inputs: int | None = None, bias: float = 0.6) -> tuple[Target, Target]:
    """Two random networks of the same inputs and outputs, of up to four layers each."""
    rng = np.random.default_rng([30, seed])
    d, out = inputs or int(rng.integers(1, 3)), int(rng.integers(1, 4))
    made = []
    for _ in range(2):
        hidden = (int(k) for k in rng.integers(1, 6, size=int(rng.integers(0, 4))))
        made.append(random_target(rng, (d, *hidden, out), bias if rng.random() < 0.7 else 0.0))
    return made[0], made[1]


def sparse(rng: np.random.Generator, dims: tuple[int, ...], kept: float) -> Target:
    """What a mask of that density leaves of weights uniform in ±1."""
    shapes = list(zip(dims[1:], dims[:-1], strict=True))
    weights = [rng.uniform(-1, 1, s) * (rng.random(s) < kept) for s in shapes]
    return Target(tuple(weights), (None,) * len(weights))


def difference(f: Target, g: Target, x: np.ndarray) -> Fraction:
    """‖f(x) − g(x)‖² in fractions."""
    sides = [target_output(network, x) for network in (f, g)]
    parts = [
        [Fraction(int(v)) * Fraction(2) ** side.exponent for v in side.integers] for side in sides
    ]
    return sum(((a - b) ** 2 for a, b in zip(*parts, strict=True)), Fraction(0))


# -- soundness and calibration ---------------------------------------------------------------------


def test_both_bounds_on_tiny_networks_whose_supremum_is_enumerated() -> None:
    reached, over = [], []
    for seed in range(60):
        f, g = two(seed)
        domain = random_domain(np.random.default_rng(seed), f.dims[0])
        zero, whole = joint(f, g)
        sup, _ = exact_sup(zero, whole, domain)
        found = certify_networks(f, g, domain, effort=0.2)
        assert domain.contains(np.array(found.witness))
        assert found.lower <= sup * (1 + 1e-9) + 1e-15
        assert all(sup * (1 - 1e-12) <= bound for bound in found.parts.values())
        assert not found.refuted
        if sup > 0:
            reached.append(found.lower / sup)
            over.append(found.parts["cells"] / sup)
    assert len(reached) > 50  # the others' difference is zero all over the domain
    assert np.median(reached) >= 0.99
    assert min(reached) >= 0.9
    assert max(over) <= 1.06


@pytest.mark.parametrize("dims", [(5, 40, 6, 50, 3), (6, 30, 5, 20, 4)])
def test_masked_networks_of_several_inputs_are_known_within_six_per_cent(dims) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(dims[0])
    f = random_target(rng, (dims[0], 6, dims[-1]), bias=0.0)
    g = sparse(rng, dims, 0.15)
    domain = Ball(1.3, dims[0])
    found = certify_networks(f, g, domain, effort=0.5)
    assert found.upper <= 1.06 * found.lower
    half = replace(found, parts={name: bound / 2 for name, bound in found.parts.items()})
    assert "cells" in half.refuted  # the control: half a certificate is false, and said to be
    x = random_points(rng, domain, 4000)
    largest = np.linalg.norm(f(x) - g(x), axis=1).max()
    assert 0.5 * found.lower < largest <= found.upper


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("biases", [0.0, 1.0])
def test_no_point_of_many_inputs_beats_any_part(seed, biases) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng([31, seed])
    f = random_target(rng, (9, 7, 3), biases)
    g = random_target(rng, (9, 12, 5, 8, 3), biases)
    domain = random_domain(rng, 9)
    found = certify_networks(f, g, domain, restarts=8, steps=40)
    assert set(found.parts) == {"interval", "norm", "linear", "quadratic"}
    assert found.parts["linear"] < found.parts["interval"]
    worst = max(difference(f, g, x) for x in random_points(rng, domain, 30))
    assert worst <= Fraction(min(found.parts.values())) ** 2
    assert Fraction(found.lower) ** 2 <= difference(f, g, np.array(found.witness))


def test_the_quadratic_bound_is_the_least_of_many_inputs() -> None:
    rng = np.random.default_rng(4)
    f = random_target(rng, (16, 8, 4), 0.0)
    found = certify_networks(f, sparse(rng, (16, 64, 8, 32, 4), 0.05), Ball(1.0, 16))
    assert found.upper == found.parts["quadratic"] < 2 * found.lower


# -- consistency with the certificate of gadgets ---------------------------------------------------


@pytest.mark.parametrize("n", [6, 14])
def test_a_gadget_tickets_two_certificates_agree(n: int) -> None:
    f = random_target(np.random.default_rng(1), (3, 4, 2), 0.0)
    make = Pensia()
    ticket = make.build(f, make.source_for(f, 5, n))
    domain = Ball(1.0, 3)
    gadgets = certify(f, ticket, domain)
    plain = certify_networks(f, from_module(ticket.compact()), domain, effort=0.3)
    assert plain.lower <= gadgets.upper
    assert gadgets.lower <= plain.upper
    assert plain.lower == pytest.approx(gadgets.lower, rel=1e-3)
    assert plain.upper < (2 if n == 6 else 10) * plain.lower


# -- one network for the difference ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_the_joint_network_is_the_difference_exactly(seed: int) -> None:
    f, g = two(seed, inputs=3)
    f, g = (
        Target(n.weights, tuple(None if b is None else np.round(b * 64) / 64 for b in n.biases))
        for n in (f, g)
    )
    if max(f.depth, g.depth) == 1:  # whose weights are subtracted: an ulp may be lost
        f, g = (Target((np.round(n.weights[0] * 64) / 64,), n.biases) for n in (f, g))
    zero, whole = joint(f, g)
    assert not any(w.any() for w in zero.weights)
    assert not any(s.any() for s in whole.slack)
    for x in np.random.default_rng(seed).standard_normal((5, 3)):
        out = effective_output(whole, x)
        own = sum((Fraction(int(v)) * Fraction(2) ** out.exponent) ** 2 for v in out.integers)
        assert own == difference(f, g, x)
        assert Fraction(error_at(zero, whole, x)) ** 2 <= own


def test_what_a_subtraction_loses_is_allowed_for() -> None:
    f = Target((np.array([[1.0]]),), (np.array([2.0**-60]),))
    g = Target((np.array([[2.0**-60]]),), (np.array([1.0]),))
    slack = joint(f, g)[1].slack[0]
    assert (slack >= 2.0**-60).all()
    found = certify_networks(f, g, Box(np.array([0.0]), np.array([0.25])))
    assert found.lower < 1.0 < found.upper * (1 + 1e-15)


@pytest.mark.parametrize("seed", range(10))
def test_trimming_changes_no_value_and_leaves_no_idle_neuron(seed: int) -> None:
    rng = np.random.default_rng([32, seed])
    g = sparse(rng, (4, 30, 6, 20, 2), 0.1)
    small = trimmed(g)
    assert sum(small.dims) < sum(g.dims)
    for x in rng.standard_normal((5, 4)):
        a, b = target_output(g, x), target_output(small, x)
        values = (
            [Fraction(int(v)) * Fraction(2) ** s.exponent for v in s.integers] for s in (a, b)
        )
        assert next(values) == next(values)
    for i, w in enumerate(small.weights[:-1]):
        if len(w) > 1:
            assert ((w > 0) if i else (w != 0)).any(axis=1).all()
            assert (small.weights[i + 1] != 0).any(axis=0).all()


def test_nothing_kept_is_the_zero_network() -> None:
    f = random_target(np.random.default_rng(2), (3, 5, 2), 0.0)
    nothing = Target(tuple(np.zeros(s) for s in ((8, 3), (4, 8), (8, 4), (2, 8))), (None,) * 4)
    assert trimmed(nothing).dims == (3, 1, 1, 1, 2)
    found = certify_networks(f, nothing, Ball(1.0, 3))
    empty = Target((np.zeros((2, 3)),), (None,))
    assert found.lower == pytest.approx(certify_networks(f, empty, Ball(1.0, 3)).lower, rel=1e-6)
    assert found.upper <= 1.06 * found.lower
    assert certify_networks(nothing, nothing, Ball(1.0, 3)).upper == 0.0


# -- affine bounds and cells -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_affine_bounds_enclose_every_layer_in_fractions(seed: int) -> None:
    """Weights of very different sizes, so that sums of them do round."""
    rng = np.random.default_rng([33, seed])
    f = random_target(rng, (2, 5, 4, 2), 0.5)
    f = Target(tuple(w * 10.0 ** rng.integers(-3, 8, w.shape) for w in f.weights), f.biases)
    low = rng.uniform(-1, 1, (6, 2))
    cells = Boxes(low, low + 10.0 ** rng.uniform(-9, 0, (6, 1)))
    below, above, _ = affine_bounds(Stack.of(layers_of(f), np.full(2, 3.0)), cells)
    for cell in range(6):
        share = rng.random((4, 2)).round()
        points = cells.low[cell] + share * (cells.high - cells.low)[cell]
        points = np.clip(points, cells.low[cell], cells.high[cell])
        for x in points:
            out = target_output(f, x)
            for row, value in enumerate(out.integers):
                exact = Fraction(int(value)) * Fraction(2) ** out.exponent
                ends = [
                    sum(
                        (Fraction(s) * Fraction(v) for s, v in zip(
                            side.slope[cell if len(side.slope) > 1 else 0, row], x, strict=True)),
                        Fraction(float(side.offset[cell if len(side.offset) > 1 else 0, row])),
                    )
                    for side in (below, above)
                ]  # fmt: skip
                assert ends[0] <= exact <= ends[1]


def test_cells_tighten_with_work_and_stop_at_what_is_enough() -> None:
    rng = np.random.default_rng(6)
    f, g = random_target(rng, (5, 8, 3), 0.0), sparse(rng, (5, 40, 6, 30, 3), 0.2)
    pair = Pair.of(f, g, Ball(1.0, 5))
    lower = certify_networks(f, g, Ball(1.0, 5), effort=0).lower
    bounds = [refined_bound(pair, lower, effort) for effort in (1e-9, 3e-4, 1.0)]
    assert bounds[0] > 1.1 * bounds[1] > 1.2 * bounds[2] >= 1.2 * lower
    assert refined_bound(pair, lower * 1.5) == pytest.approx(lower * 1.5 * 1.05, rel=0.1)
    assert refined_bound(pair, 1e9) == pytest.approx(bounds[0])  # a false claim ends it, no more


def test_halves_and_faces_leave_no_gap() -> None:
    rng = np.random.default_rng(8)
    low = rng.uniform(-1, 0, (40, 3))
    cells = Boxes(low, low + rng.uniform(0, 1, (40, 3)))
    halves = _halved(cells)
    points = cells.low + rng.random((200, 40, 3)) * (cells.high - cells.low)
    inside = [
        ((points >= part.low) & (points <= part.high)).all(axis=-1)
        for part in (
            Boxes(halves.low[:40], halves.high[:40]),
            Boxes(halves.low[40:], halves.high[40:]),
        )
    ]
    assert (inside[0] | inside[1]).all()
    faces = _faces(3)
    y = rng.standard_normal((500, 1, 3))
    y /= np.abs(y).max(axis=-1, keepdims=True)
    assert ((y >= faces.low) & (y <= faces.high)).all(axis=-1).any(axis=1).all()


@pytest.mark.parametrize("seed", range(4))
def test_cells_never_fall_below_the_supremum_however_long_they_work(seed: int) -> None:
    rng = np.random.default_rng([35, seed])
    f, g = random_target(rng, (2, 5, 2), 0.0), random_target(rng, (2, 6, 4, 2), 0.0)
    for domain in (Ball(0.8, 2), Box(np.array([-0.3, 0.1]), np.array([0.9, 1.7]))):
        sup, _ = exact_sup(*joint(f, g), domain)
        bound = cells_bound(layers_of(f), layers_of(g), domain, 0.0, 0.003)
        assert sup * (1 - 1e-9) <= bound <= 1.002 * sup


@pytest.mark.parametrize("seed", range(6))
def test_a_ball_of_networks_with_biases_is_covered(seed: int) -> None:
    rng = np.random.default_rng([34, seed])
    f, g = random_target(rng, (2, 5, 2), 1.0), random_target(rng, (2, 6, 4, 2), 1.0)
    domain = Ball(0.8, 2)
    sup, _ = exact_sup(*joint(f, g), domain)
    bound = cells_bound(layers_of(f), layers_of(g), domain, sup)
    assert sup <= bound <= 1.1 * sup
    around = exact_sup(*joint(f, g), Box(np.full(2, -0.8), np.full(2, 0.8)))[0]
    assert bound < around or around == pytest.approx(sup, rel=0.1)


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"g": Target((np.ones((2, 3)),), (None,))}, "network"),
        ({"g": Target((np.ones((1, 4)),), (None,))}, "network"),
        ({"domain": Ball(1.0, 4)}, "domain"),
        ({"domain": "ball"}, "domain"),
        ({"restarts": 0}, "restarts"),
        ({"steps": -1}, "steps"),
        ({"effort": -1.0}, "effort"),
        ({"seed": 1.5}, "seed"),
    ],
)
def test_bad_input_is_named(change, name) -> None:  # type: ignore[no-untyped-def]
    good = {"f": Target((np.ones((1, 3)),), (None,)), "g": Target((np.eye(1, 3),), (None,))}
    given = {**good, "domain": Ball(1.0, 3), **change}
    with pytest.raises(BadInput) as raised:
        certify_networks(given.pop("f"), given.pop("g"), given.pop("domain"), **given)
    assert raised.value.name == name


def test_a_seed_is_a_certificate() -> None:
    f, g = two(3)
    domain = Ball(1.0, f.dims[0])
    assert certify_networks(f, g, domain, seed=4) == certify_networks(f, g, domain, seed=4)

"""The parts of a certificate: tolerances, verified norms, ranges, exact errors, multipliers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from slth.certify.attack import difference_at
from slth.certify.difference import difference
from slth.certify.interval import layer_ranges
from slth.certify.lift import lift
from slth.certify.multipliers import evaluate, lagrangian, weights
from slth.certify.norm import norm_propagation
from slth.certify.propagate import Propagation, propagation
from slth.certify.quadratic import _start, quadratic_bound
from slth.certify.rational import error_at
from slth.certify.rounding import frobenius_upper, lambda_max_upper, spectral_upper
from slth.domain import Ball, Box
from slth.errors import BadInput
from tests.networks import perturbed, random_domain, random_points, random_target


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("epsilon", [1e-12, 1e-3, 10.0])
def test_tolerances_meet_epsilon_and_leave_little_unused(seed, epsilon):
    rng = np.random.default_rng([1, seed])
    depth = int(rng.integers(1, 5))
    chain = Propagation(
        tuple(rng.uniform(0, 3, depth)),
        tuple(rng.uniform(0.1, 5, depth)),
        tuple(int(k) for k in rng.integers(1, 1000, depth)),
    )
    etas = chain.tolerances(epsilon)
    bound = chain.error_bound(etas)
    assert bound <= epsilon
    assert bound >= epsilon * (1 - 1e-9)
    for i in range(depth):  # the bound sees every layer's tolerance
        more = [eta * (1 + 1e-6 * (i == j)) for j, eta in enumerate(etas)]
        assert chain.error_bound(more) > bound


@pytest.mark.parametrize("seed", range(20))
def test_error_bound_is_the_formula_rounded_up(seed):
    rng = np.random.default_rng([2, seed])
    norms, inputs, taus = rng.uniform(0, 2, (3, 4))
    chain = Propagation(tuple(norms), tuple(inputs), (1,) * 4)
    exact = Fraction(0)
    for i in range(4):
        term = Fraction(taus[i]) * Fraction(inputs[i])
        for k in range(i + 1, 4):
            term *= Fraction(norms[k]) + Fraction(taus[k])
        exact += term
    bound = Fraction(chain.error_bound(taus=taus))
    assert exact <= bound <= exact * (1 + Fraction(1, 10**13))


@pytest.mark.parametrize("seed", range(10))
def test_every_network_within_the_tolerances_is_within_epsilon(seed):
    rng = np.random.default_rng([3, seed])
    target = random_target(rng, (4, 6, 5, 3), bias=0.5)
    domain = random_domain(rng, 4)
    epsilon = 10.0 ** -rng.integers(0, 6)
    etas = propagation(target, domain).tolerances(epsilon)
    noise = perturbed(rng, target, 0.0)
    extremes = {
        part: tuple(
            np.asarray(m) + eta * (1 - 1e-9) * rng.choice([-1.0, 1.0], m.shape)
            for m, eta in zip(getattr(noise, part), etas, strict=True)
        )
        for part in ("positive", "negative")
    }
    from dataclasses import replace

    diff = difference(target, replace(noise, **extremes))
    x = random_points(rng, domain, 2000)
    assert np.linalg.norm(difference_at(diff, x), axis=1).max() <= epsilon


@pytest.mark.parametrize("epsilon", [0.0, -1.0, np.nan, np.inf])
def test_bad_epsilon(epsilon):
    with pytest.raises(BadInput):
        Propagation((1.0,), (1.0,), (4,)).tolerances(epsilon)


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (40, 11), (64, 128)])
@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e150])
def test_verified_norms_lie_just_above_known_ones(shape, scale):
    ones = np.full(shape, scale)
    exact = np.sqrt(float(shape[0] * shape[1])) * scale  # rank one: spectral norm is Frobenius'
    for bound in (spectral_upper(ones), frobenius_upper(ones)):
        assert exact * (1 - 1e-15) <= bound <= exact * (1 + 1e-10)
    orthogonal = np.linalg.qr(np.random.default_rng(0).standard_normal((shape[1],) * 2))[0]
    assert 1 - 1e-14 <= spectral_upper(orthogonal) <= 1 + 1e-10
    assert spectral_upper(np.zeros(shape)) == 0.0


def test_verified_eigenvalue_of_an_integer_matrix():
    # Path graph on n vertices: largest adjacency eigenvalue 2 cos(π / (n + 1)).
    n = 50
    path = np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1)
    exact = 2 * np.cos(np.pi / (n + 1))
    assert exact <= lambda_max_upper(path) <= exact * (1 + 1e-10)
    assert lambda_max_upper(-np.eye(3)) >= -1
    assert lambda_max_upper(path, 0.5) >= exact + 0.5


def fractions_of(network, x):
    """f(x) in fractions, neuron by neuron."""
    y = [Fraction(v) for v in x]
    for i, (positive, negative, bias) in enumerate(network):
        y = [max(v, Fraction(0)) for v in y] if i else y
        y = [
            sum(
                (Fraction(p if v > 0 else q) * v for p, q, v in zip(ps, qs, y, strict=True)),
                Fraction(b),
            )
            for ps, qs, b in zip(positive.tolist(), negative.tolist(), bias.tolist(), strict=True)
        ]
    return y


@pytest.mark.parametrize("seed", range(10))
def test_error_at_a_point_is_the_exact_one_rounded_down(seed):
    rng = np.random.default_rng([4, seed])
    target = random_target(rng, (3, 4, 5, 2), bias=0.5)
    effective = perturbed(rng, target, 10.0 ** -(1.5 * seed), bias=1.0)
    x = rng.standard_normal(3) * 10.0 ** rng.integers(-30, 5)
    biases = [
        np.zeros(len(w)) if b is None else b
        for w, b in zip(target.weights, target.biases, strict=True)
    ]
    f = fractions_of(list(zip(target.weights, target.weights, biases, strict=True)), x)
    g = fractions_of(
        list(zip(effective.positive, effective.negative, effective.bias, strict=True)), x
    )
    squared = sum((a - b) ** 2 for a, b in zip(f, g, strict=True))
    found = error_at(target, effective, x)
    assert Fraction(found) ** 2 <= squared < Fraction(float(np.nextafter(found, np.inf))) ** 2


@pytest.mark.parametrize("seed", range(10))
def test_ranges_enclose_what_neurons_do(seed):
    rng = np.random.default_rng([5, seed])
    target = random_target(rng, (4, 6, 5, 3), bias=0.5)
    effective = perturbed(rng, target, 0.05, bias=1.0)
    domain = random_domain(rng, 4)
    diff = difference(target, effective)
    ranges = layer_ranges(diff, domain)
    norms = norm_propagation(diff, domain, ranges)
    x = random_points(rng, domain, 500)
    f, g = neurons(target, effective, x)
    for i, known in enumerate(ranges):
        for value, (low, high) in ((f[i], known.z), (g[i], known.z_hat), (g[i] - f[i], known.q)):
            assert (value >= low - 1e-12).all()
            assert (value <= high + 1e-12).all()
        if i < len(ranges) - 1:
            delta = np.maximum(g[i], 0) - np.maximum(f[i], 0)
            assert (delta >= known.delta[0] - 1e-12).all()
            assert (delta <= known.delta[1] + 1e-12).all()
            assert np.linalg.norm(delta, axis=1).max() <= norms.error[i + 1] + 1e-12
            size = np.linalg.norm(np.maximum(g[i], 0), axis=1).max()
            assert size <= norms.size_hat[i + 1] + 1e-12
    assert np.linalg.norm(g[-1] - f[-1], axis=1).max() <= norms.error[-1]


def neurons(target, effective, x):
    """Pre-activations of f and g, layer by layer, `[batch, d_i]`."""
    f, g = [], []
    y, w = x, x
    for i, (weight, bias) in enumerate(zip(target.weights, target.biases, strict=True)):
        f.append(y @ weight.T + (0 if bias is None else bias))
        p, q = effective.positive[i], effective.negative[i]
        g.append(np.maximum(w, 0) @ p.T + np.minimum(w, 0) @ q.T + effective.bias[i])
        y, w = np.maximum(f[-1], 0), np.maximum(g[-1], 0)
    return f, g


CASES = [
    (dims, kind) for dims in ((3, 2), (4, 6, 3), (3, 5, 4, 2)) for kind in ("ball", "box", "signed")
]


def lifted(dims, kind, scale=0.3):
    rng = np.random.default_rng(len(dims))
    target = random_target(rng, dims, bias=0.5)
    effective = perturbed(rng, target, scale, bias=0.5)
    d = dims[0]
    domain = {
        "ball": Ball(1.3, d),
        "box": Box(np.linspace(-1, 0.2, d), np.linspace(0.3, 1, d)),
        "signed": Box(np.full(d, -0.7), np.full(d, 0.5)),
    }[kind]
    diff = difference(target, effective)
    norms = norm_propagation(diff, domain, layer_ranges(diff, domain))
    known = lift(diff, domain, norms, float(2.0 ** np.round(np.log2(norms.error[-1]))))
    at = _start(known)
    count = len(known.signs)
    sign = rng.random((count, count)) * (rng.random((count, count)) < 0.3)
    at["sign"] = sign + sign.T
    np.fill_diagonal(at["sign"], 0.0)
    for key in at:
        if key in ("t12", "t21", "pair"):
            at[key] = rng.standard_normal(at[key].shape)
        if key.startswith("link"):
            at[key] = rng.standard_normal(at[key].shape)
            at[key][0] = np.abs(at[key][0])
    return rng, target, effective, domain, known, at


@pytest.mark.parametrize(("dims", "kind"), CASES)
def test_the_lagrangian_is_above_the_error_at_every_point(dims, kind):
    """Soundness itself: whatever the multipliers, on true neurons of both networks."""
    rng, target, effective, domain, known, at = lifted(dims, kind)
    form = lagrangian(known, at, known.signs)
    weight, cost = weights(known, at)
    violated = 0
    for x in random_points(rng, domain, 200):
        u = rng.standard_normal(dims[-1])
        u /= np.linalg.norm(u)
        f, g = neurons(target, effective, x[None])
        v, y = lift_point(known, x, u, f, g)
        sought = u @ (g[-1] - f[-1])[0] / known.unit
        s = (
            np.block([[np.diag(form.s11), np.diag(form.s12)], [np.diag(form.s12), form.s22]])
            if known.neurons
            else np.zeros((0, 0))
        )
        value = v @ form.k @ v / 2 + y @ form.linear @ v - y @ s @ y / 2
        tolerance = 1e-9 * (1 + abs(value))
        assert sought <= value + tolerance
        assert (known.rows @ v >= -1e-12).all()
        assert (np.bincount(known.group, v * v) <= known.radii2 * (1 + 1e-9)).all()
        assert (v * v <= known.caps * (1 + 1e-9)).all()
        assert weight @ (v * v) <= cost * (1 + 1e-9)
        assert y @ y <= known.y_radius2 + 1e-9
        violated += sought > value - 10 * tolerance
    assert violated < 200  # multipliers at random are slack somewhere


@pytest.mark.parametrize("family", ["link_0", "sign", "pair"])
@pytest.mark.parametrize("kind", ["ball", "signed"])
def test_every_multiplier_alone_only_raises_the_lagrangian(kind, family):
    """One constraint at a time, where errors are so large that many neurons change sign."""
    rng, target, effective, domain, known, at = lifted((3, 5, 4, 2), kind, scale=1.0)
    zero = {**at, family: np.zeros_like(at[family])}
    base = lagrangian(known, zero, known.signs)
    weight = np.linalg.norm(base.k)
    moved = 0
    for x in random_points(rng, domain, 400):
        u = np.array([0.6, 0.8])
        v, y = lift_point(known, x, u, *neurons(target, effective, x[None]))
        alone = np.zeros_like(at[family])
        if family == "sign":
            i, j = rng.integers(len(alone), size=2)
            alone[i, j] = alone[j, i] = 1.0 * (i != j)
        elif family == "pair":
            alone[rng.integers(len(alone))] = rng.choice([-1.0, 1.0])
        else:
            neuron, which = rng.integers(alone.shape[1]), rng.integers(4)
            alone[which, neuron] = 1.0 if which == 0 else rng.choice([-1.0, 1.0])
        form = lagrangian(known, {**zero, family: alone}, known.signs)
        gain = v @ (form.k - base.k) @ v / 2 + y @ (form.linear - base.linear) @ v
        gain -= y[known.neurons :] @ (form.s22 - base.s22) @ y[known.neurons :] / 2
        assert gain >= -1e-12 * weight
        moved += gain > 1e-9
    assert moved > 20 or family == "pair"


def lift_point(known, x, u, f, g):
    """v and y at the input x, from the networks' own neurons."""
    split = len(known.pairs) > 0
    o = len(u)
    v = np.zeros(known.size)
    v[:o] = u
    v[o : o + len(x)] = x
    if split:
        main, other = known.pairs.T
        half = x[main - o]
        v[main], v[other] = np.maximum(half, 0), -np.minimum(half, 0)
    if known.rows.size and (known.rows[:, :-1] == 0).all(axis=1).any():
        v[-1] = 1.0
    hats = [np.maximum(z[0], 0) for z in g]
    deltas = [
        (np.maximum(b[0], 0) - np.maximum(a[0], 0)) / known.unit for a, b in zip(f, g, strict=True)
    ]
    for i, link in enumerate(known.links):
        v[link.delta], v[link.h_hat] = deltas[i], hats[i]
    y = np.concatenate([deltas[-2], hats[-2]]) if known.neurons else np.zeros(0)
    return v, y


@pytest.mark.parametrize(("dims", "kind"), CASES)
def test_gradient_of_the_quadratic_bound(dims, kind):
    rng, *_, known, at = lifted(dims, kind)
    found = evaluate(known, at, known.signs, 1e-9)
    for key, slope in found.gradient.items():
        if not slope.size:
            continue
        way = rng.standard_normal(slope.shape)
        if key == "sign":
            way = way + way.T
            np.fill_diagonal(way, 0.0)
        step = 1e-6
        ends = [
            evaluate(known, {**at, key: at[key] + s * way}, known.signs, 1e-9).bound
            for s in (step, -step)
        ]
        expected = (ends[0] - ends[1]) / (2 * step)
        size = np.linalg.norm(slope) * np.linalg.norm(way)
        assert abs(expected - (slope * way).sum()) <= 1e-4 * size + 1e-8 * (1 + found.bound)


def test_quadratic_bound_is_blind_to_the_scale_of_the_error():
    ratios = []
    for scale in (1e-3, 1e-9, 1e-13):
        rng = np.random.default_rng(11)
        target = random_target(rng, (6, 12, 3), bias=0.5)
        diff = difference(target, perturbed(rng, target, scale, bias=1.0))
        domain = Ball(1.0, 6)
        norms = norm_propagation(diff, domain, layer_ranges(diff, domain))
        ratios.append(quadratic_bound(diff, domain, norms).bound / scale)
    assert ratios == pytest.approx([ratios[0]] * 3, rel=0.02)

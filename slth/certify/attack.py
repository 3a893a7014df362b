"""Projected gradient ascent on ||g(x) - f(x)|| with restarts: lower bounds on the supremum.

The error is piecewise affine. Where the activation pattern is fixed it is convex, so the best point
of the linearised problem (a power-iteration step on a ball, a vertex on a box) climbs fastest;
every restart therefore keeps its own step length, long steps being such jumps, and when it has
converged it hops to a neighbourhood of the best points so far. All of it runs on differences, so
that an error of 1e-12 is attacked as well as one of 1e-2. What it finds is only a point: its value
is evaluated elsewhere, in exact arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slth.certify.difference import Difference
from slth.certify.rounding import scale_of
from slth.domain import Ball, Domain

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

# A restart whose step has shrunk to this share of the domain has converged and hops elsewhere.
STALLED = 0.03
# Largest share of a box's coordinates that a hop redraws; on a ball, half its relative length.
KICK = 0.15
# One step in so many, at the end, climbs on from the best points without hopping.
POLISH = 8
# Share of the hops that go to a kink instead.
KINKS = 0.15


@dataclass(frozen=True, eq=False)
class _Tape:
    """What the backward pass needs: the difference at the output and both activation patterns."""

    output: Array
    active: list[tuple[Array, Array]]


def difference_at(diff: Difference, x: Array) -> Array:
    """g(x) - f(x) in float64 without cancellation; `[batch, d_0]` to `[batch, d_l]`."""
    return _forward(diff, x).output


def _forward(diff: Difference, x: Array) -> _Tape:
    first = diff.layers[0]
    z = x @ first.weight.T + first.bias
    if first.one_sided:
        q = x @ first.positive.T + first.bias_error
    else:
        up, down = np.maximum(x, 0.0), np.minimum(x, 0.0)
        q = up @ first.positive.T + down @ first.negative.T + first.bias_error
    active = []
    for layer in diff.layers[1:]:
        z_hat = z + q
        on, on_hat = z > 0, z_hat > 0
        # δ = ĥ - h by cases: no difference of nearly equal numbers is ever formed.
        delta = np.where(on_hat, np.where(on, q, z_hat), np.where(on, -z, 0.0))
        active.append((on.astype(np.float64), on_hat.astype(np.float64)))
        h, h_hat = np.maximum(z, 0.0), np.maximum(z_hat, 0.0)
        z = h @ layer.weight.T + layer.bias
        q = delta @ layer.weight.T + h_hat @ layer.positive.T + layer.bias_error
    return _Tape(q, active)


def _gradient(diff: Difference, x: Array, tape: _Tape) -> Array:
    """Gradient of ||g - f|| `[batch, d_0]`, taken within the current activation pattern."""
    norm = np.linalg.norm(tape.output, axis=1, keepdims=True)
    to_q = tape.output / np.where(norm > 0, norm, 1.0)
    to_z = np.zeros_like(to_q)
    for layer, (on, on_hat) in zip(diff.layers[:0:-1], tape.active[::-1], strict=True):
        # δ = on_hat q + (on_hat - on) z and ĥ = on_hat (z + q), h = on z.
        to_delta = to_q @ layer.weight
        to_h_hat = to_q @ layer.positive
        to_q, to_z = (
            on_hat * (to_delta + to_h_hat),
            (on_hat - on) * to_delta + on_hat * to_h_hat + on * (to_z @ layer.weight),
        )
    first = diff.layers[0]
    gradient = to_z @ first.weight
    if first.one_sided:
        return np.asarray(gradient + to_q @ first.positive)
    return np.asarray(gradient + np.where(x >= 0, to_q @ first.positive, to_q @ first.negative))


def attack(
    diff: Difference,
    domain: Domain,
    *,
    seed: int = 0,
    restarts: int = 64,
    steps: int = 150,
    starts: Array | None = None,
) -> Array:
    """Points of the domain, best first, `[restarts, d_0]`; `starts` replace the first of them."""
    rng = np.random.default_rng(seed)
    x = random_starts(domain, rng, restarts)
    if starts is not None and len(starts):
        count = min(len(starts), restarts)
        x[:count] = domain.project(starts[:count])
        x = np.where(np.isfinite(x).all(axis=1, keepdims=True), x, domain.project(np.zeros_like(x)))
    tape = _forward(diff, x)
    unit = scale_of(tape.output)  # Squares of errors near 1e-200 would vanish.
    value, slope = _size(tape.output, unit), _gradient(diff, x, tape)
    length = np.ones((restarts, 1))
    best, best_value = x.copy(), value.copy()
    polish = steps - steps // POLISH
    for step in range(steps):
        if step == polish:
            x, value, length = best.copy(), best_value.copy(), np.full((restarts, 1), STALLED)
            slope = _gradient(diff, x, _forward(diff, x))
        trial = move(domain, x, slope, length)
        stalled = np.flatnonzero(length[:, 0] < STALLED) if step < polish else np.zeros(0, int)
        if len(stalled):
            base = bases(rng, best, best_value, stalled)
            kinks = rng.random(len(stalled)) < KINKS
            trial[stalled] = kick(domain, rng, base)
            trial[stalled[kinks]] = domain.project(_to_kink(diff, rng, base[kinks]))
        tape = _forward(diff, trial)
        reached = _size(tape.output, unit)
        accepted = reached > value
        accepted[stalled] = True
        x = np.where(accepted[:, None], trial, x)
        value = np.where(accepted, reached, value)
        slope = np.where(accepted[:, None], _gradient(diff, trial, tape), slope)
        length = np.clip(np.where(accepted[:, None], length * 2.0, length * 0.4), 1e-6, 1e4)
        length[stalled] = 1.0
        rise = value > best_value
        best[rise], best_value[rise] = x[rise], value[rise]
    return best[np.argsort(-best_value, kind="stable")]


def _size(output: Array, unit: float) -> Array:
    return np.asarray(np.linalg.norm(output / unit, axis=1))


def bases(rng: np.random.Generator, best: Array, value: Array, stalled: Indices) -> Array:
    """Where stalled restarts hop from: their own best points, or the best points of all."""
    leaders = np.argsort(-value, kind="stable")[: max(1, len(value) // 8)]
    follow = rng.random(len(stalled)) < 0.5
    return np.asarray(best[np.where(follow, rng.choice(leaders, len(stalled)), stalled)])


def kick(domain: Domain, rng: np.random.Generator, base: Array) -> Array:
    """Random neighbours: some coordinates at ends of the box, or a small step inside the ball."""
    kick = KICK * rng.random((len(base), 1))
    if isinstance(domain, Ball):
        noise = rng.standard_normal(base.shape) / np.sqrt(domain.dimension)
        return domain.project(base + 2 * kick * domain.radius * noise)
    ends = np.where(rng.random(base.shape) < 0.5, domain.low, domain.high)
    moved = rng.random(base.shape) < kick
    moved[np.arange(len(base)), rng.integers(domain.dimension, size=len(base))] = True
    return np.where(moved, ends, base)


def _to_kink(diff: Difference, rng: np.random.Generator, base: Array) -> Array:
    """Newton steps to where a random neuron of f or g, or an input, changes sign: in few dimensions
    the error peaks at such kinks, which ascents only zigzag towards."""
    depth, other = int(rng.integers(len(diff.layers))), float(rng.integers(2))
    if depth == 0:
        return np.where(rng.random(base.shape) < 1 / base.shape[1], 0.0, base)
    inputs, y, value = [], base, base
    for layer in diff.layers[:depth]:
        inputs.append(y)
        up, down = np.maximum(y, 0.0), np.minimum(y, 0.0)
        value = y @ layer.weight.T + layer.bias
        if other:
            value = value + up @ layer.positive.T + down @ layer.negative.T + layer.bias_error
        y = np.maximum(value, 0.0)
    chosen = rng.integers(value.shape[1], size=len(base))
    slope = np.eye(value.shape[1])[chosen]
    for i, layer in reversed(list(enumerate(diff.layers[:depth]))):
        back = slope @ layer.weight
        if other:
            error = np.where(inputs[i] >= 0, slope @ layer.positive, slope @ layer.negative)
            back = back + error
        slope = back * (inputs[i] > 0) if i else back
    # Some coordinates stay, so that steps along an edge of the box end where the kink cuts it.
    slope = slope * (rng.random(slope.shape) < 0.5)
    size = (slope * slope).sum(axis=1)
    gap = value[np.arange(len(base)), chosen] / np.where(size > 0, size, 1.0)
    return np.asarray(base - slope * gap[:, None])


def move(domain: Domain, x: Array, gradient: Array, length: Array) -> Array:
    if isinstance(domain, Ball):
        size = np.linalg.norm(gradient, axis=1, keepdims=True)
        return domain.project(x + gradient * (length * domain.radius / np.where(size > 0, size, 1)))
    size = np.abs(gradient).max(axis=1, keepdims=True)
    width = domain.high - domain.low
    return domain.project(x + gradient * width * (length / np.where(size > 0, size, 1.0)))


def random_starts(domain: Domain, rng: np.random.Generator, restarts: int) -> Array:
    """Random points: on the sphere, or half vertices of the box and half points inside it."""
    if isinstance(domain, Ball):
        x = rng.standard_normal((restarts, domain.dimension))
        return domain.project(x * (2 * domain.radius))
    share = rng.random((restarts, domain.dimension))
    share[::2] = np.round(share[::2])
    return domain.project(domain.low + share * (domain.high - domain.low))

"""The exact supremum of ||g(x) - f(x)|| for networks of one or two inputs, by enumeration.

Every activation pattern of both networks has a convex cell of the domain, on which the difference
is affine and its norm convex; so the supremum is attained at a vertex of a cell, or on a ball's
rim, where it is a stationary point of a trigonometric polynomial or an end of an arc. All of these
points are collected and the true error is evaluated there in exact arithmetic; the only
approximation is the position of the points, to float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slth.certify.attack import difference_at
from slth.certify.difference import Difference, difference
from slth.certify.rational import error_at
from slth.domain import Ball, Domain
from slth.effective import Effective
from slth.errors import BadInput
from slth.target import Target

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Cell:
    """A convex polygon (or segment) by its vertices `[k, d]`, and y of f and g as affine maps there
    (`[n, d + 1]`, the constant last)."""

    vertices: Array
    f: Array
    g: Array


def exact_sup(target: Target, effective: Effective, domain: Domain) -> tuple[float, Array]:
    """The supremum over the domain and a point that attains it, both to float64.

    Raises BadInput for more than two inputs: the number of cells grows with their power.
    """
    diff = difference(target, effective)
    d = target.dims[0]
    if d > 2 or domain.dimension != d:
        got = f"{d} inputs, a domain of dimension {domain.dimension}"
        raise BadInput("target", got, "one or two inputs, as the domain", "use certify instead")
    points = [np.zeros((1, d))] if isinstance(domain, Ball) else []
    for cell in _cells(diff, domain):
        points.append(cell.vertices)
        if isinstance(domain, Ball) and d == 2:
            points.append(_rim(cell, domain.radius))
    x = domain.project(np.vstack(points))
    order = np.argsort(-np.linalg.norm(difference_at(diff, x), axis=1), kind="stable")
    best = max(order[:3], key=lambda i: error_at(target, effective, x[i]))
    return error_at(target, effective, x[best]), x[best]


def _cells(diff: Difference, domain: Domain) -> Iterator[_Cell]:
    """The cells of all activation patterns, with the networks' outputs on them."""
    d = domain.dimension
    identity = np.eye(d, d + 1)
    cells = [_Cell(_corners(domain), identity, identity)]
    for i, layer in enumerate(diff.layers):
        if i == 0:  # The halves of g's gadgets meet where an input is zero.
            split = [part for cell in cells for part in _split(cell, identity)]
        else:
            split = [
                _relu(part) for cell in cells for part in _split(cell, np.vstack([cell.f, cell.g]))
            ]
        cells = []
        for cell in split:
            slope = layer.weight + layer.positive
            if i == 0:
                negative = cell.vertices.mean(axis=0) < 0
                slope = np.where(negative, layer.weight + layer.negative, slope)
            f, g = layer.weight @ cell.f, slope @ cell.g
            f[:, -1] += layer.bias
            g[:, -1] += layer.bias + layer.bias_error
            cells.append(_Cell(cell.vertices, f, g))
    yield from cells


def _corners(domain: Domain) -> Array:
    """The box's vertices in cyclic order, or those of a box around the ball."""
    if isinstance(domain, Ball):
        # Slightly larger, so that no rim point is lost; points outside are projected back.
        low = np.full(domain.dimension, -domain.radius * (1 + 1e-9))
        high = -low
    else:
        low, high = domain.low, domain.high
    if domain.dimension == 1:
        return np.array([[low[0]], [high[0]]])
    return np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])


def _split(cell: _Cell, maps: Array) -> list[_Cell]:
    """The parts of a cell on which none of the affine functions changes sign."""
    parts = [cell.vertices]
    for row in maps:
        pieces = []
        for vertices in parts:
            values = vertices @ row[:-1] + row[-1]
            if values.min() < 0 < values.max():
                pieces += [_clip(vertices, values), _clip(vertices, -values)]
            else:
                pieces.append(vertices)
        parts = pieces
    return [_Cell(vertices, cell.f, cell.g) for vertices in parts]


def _clip(vertices: Array, values: Array) -> Array:
    """The part of a convex polygon (vertices in cyclic order) where the affine values are >= 0."""
    kept = []
    for i, (here, value) in enumerate(zip(vertices, values, strict=True)):
        before, last = vertices[i - 1], values[i - 1]
        if (last < 0 < value) or (value < 0 < last):
            kept.append(before + (here - before) * (last / (last - value)))
        if value >= 0:
            kept.append(here)
    return np.array(kept)


def _relu(cell: _Cell) -> _Cell:
    """The cell behind a ReLU, whose pattern its centre tells."""
    centre = np.append(cell.vertices.mean(axis=0), 1.0)
    f, g = (np.where((part @ centre > 0)[:, None], part, 0.0) for part in (cell.f, cell.g))
    return _Cell(cell.vertices, f, g)


def _rim(cell: _Cell, radius: float) -> Array:
    """Where the circle crosses the cell's edges, and where the error is stationary along it."""
    points = []
    for i, here in enumerate(cell.vertices):
        before = cell.vertices[i - 1]
        step = here - before
        a, b, c = step @ step, 2 * before @ step, before @ before - radius**2
        root = b * b - 4 * a * c
        if a > 0 and root >= 0:
            for sign in (-1.0, 1.0):
                share = (-b + sign * np.sqrt(root)) / (2 * a)
                if 0 <= share <= 1:
                    points.append(before + share * step)
    # |J R(cos, sin) + k|² = Re of c2 e^{2it} + c1 e^{it} + const; its derivative times e^{2it} has
    # the coefficients below. Stationary points of other cells' pieces do no harm: they are points.
    jacobian, offset = (cell.g - cell.f)[:, :-1] * radius, (cell.g - cell.f)[:, -1]
    gram, linear = jacobian.T @ jacobian, 2 * offset @ jacobian
    second = ((gram[0, 0] - gram[1, 1]) / 2 - 1j * gram[0, 1]) / 2
    first = (linear[0] - 1j * linear[1]) / 2
    coefficients = np.array([2 * second, first, 0, -np.conj(first), -2 * np.conj(second)])
    if np.abs(coefficients).max() > 0:
        angles = np.angle(np.roots(coefficients / np.abs(coefficients).max()))
        points += list(radius * np.column_stack([np.cos(angles), np.sin(angles)]))
    return np.array(points).reshape(-1, 2)

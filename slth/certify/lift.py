"""A network difference over a domain, as linear maps of one lifted vector and what it satisfies.

The lifted vector is v = (u, ξ, δ_1, ĥ_1, …, 1): a unit vector u in output space, the input (for a
two-sided first layer its two halves x⁺ and -x⁻), differences and activations of the hidden layers
but the last one, and a one where anything is affine. The last hidden layer is kept apart as
y = (δ, ĥ). Differences are in units of `unit`, a power of two, so every entry below is exact but
for ẑ = z + unit * q (one rounding), and the sought supremum is that of unit * (u·d + y·(G v)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slth.certify.difference import Difference
from slth.certify.norm import Norms
from slth.domain import Ball, Box, Domain

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Link:
    """A hidden layer inside v: its ẑ and q as maps of v `[n, m]`, where δ and ĥ stand in v."""

    z_hat: Array
    q: Array
    delta: slice
    h_hat: slice


@dataclass(frozen=True, eq=False)
class Lift:
    """What is known of v `[m]` and y `[2 n]`.

    group `[m]`, radii2 `[groups]`: ||v restricted to group g||² <= radii2[g]; caps `[m]`: v_k² <=
    caps[k]; rows `[r, m]`: rows @ v >= 0; pairs `[c, 2]`: v_i v_j = 0; constant `[m, m]`: twice the
    form u·d of v; gain `[2 n, m]`: G; z_hat, q `[n, m]`: of the layer whose activations y are;
    y_radius2: a bound on ||y||². A network of one layer has no y (n = 0).
    """

    unit: float
    group: Indices
    radii2: Array
    caps: Array
    rows: Array
    pairs: Indices
    constant: Array
    gain: Array
    z_hat: Array
    q: Array
    links: tuple[Link, ...]
    y_radius2: float

    @property
    def size(self) -> int:
        return len(self.group)

    @property
    def neurons(self) -> int:
        return len(self.q)

    @property
    def signs(self) -> Array:
        """Rows N_v `[r + 2 n, m]`: all of rows v, ĥ, ĥ - ẑ are non-negative; y's share is apart."""
        none = np.zeros((self.neurons, self.size))
        return np.vstack([self.rows, none, -self.z_hat])


class _Builder:
    """Collects groups, caps and sign rows while the coordinates of v are laid out."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.group: Indices = np.zeros(size, dtype=np.intp)
        self.radii2: list[float] = []
        self.caps: Array = np.full(size, np.inf)
        self.rows: list[Array] = []

    def add_group(self, where: slice, radius: float, least: float = 2.0**-150) -> None:
        self.group[where] = len(self.radii2)
        # Rounded up, and kept above zero: a weight is divided by it, and one weight far above the
        # others drowns the rest in the rounding of the proof.
        radius = max(radius, least)
        self.radii2.append(radius * radius * (1 + 2.0**-50))

    def row(self, *entries: tuple[int, float]) -> None:
        row = np.zeros(self.size)
        for index, value in entries:
            row[index] += value
        self.rows.append(row)


def lift(diff: Difference, domain: Domain, norms: Norms, unit: float) -> Lift:
    """Lay out v and y for the whole network over the domain, with the norms as what is known."""
    layers, outputs = diff.layers, diff.dims[-1]
    affine = isinstance(domain, Box) or any(
        bool(part.bias.any() or part.bias_error.any()) for part in layers
    )
    split = _split(diff, domain)
    inputs = diff.dims[0] + int(split.sum())
    early = diff.dims[1:-2]
    size = outputs + inputs + 2 * sum(early) + int(affine)
    build = _Builder(size)
    build.add_group(slice(0, outputs), 1.0)
    pairs = _inputs(build, domain, split, outputs, norms.size[0])
    if affine:
        build.add_group(slice(size - 1, size), 1.0)
        build.row((size - 1, 1.0))
    z, q = _first_maps(diff, domain, split, unit, size)
    links, position = [], outputs + inputs
    for i, width in enumerate(early):
        at = slice(position, position + width), slice(position + width, position + 2 * width)
        position += 2 * width
        link = Link(z + unit * q, q, *at)
        _link(build, link, norms.error[i + 1] / unit * (1 + 2.0**-50), norms.size_hat[i + 1])
        links.append(link)
        z, q = _next_maps(diff, i + 1, at, unit, size)
    last, constant = layers[-1], np.zeros((size, size))
    gain, n = np.zeros((0, size)), 0
    radius2 = 0.0
    if len(layers) == 1:
        constant[:outputs] = q
        z, q = z[:0], q[:0]
    else:
        n = len(q)
        gain = np.zeros((2 * n, size))
        gain[:n, :outputs] = last.weight.T
        gain[n:, :outputs] = last.positive.T / unit
        if affine:
            constant[:outputs, -1] = last.bias_error / unit
        radius2 = ((norms.error[-2] / unit) ** 2 + norms.size_hat[-2] ** 2) * (1 + 2.0**-50)
    return Lift(
        unit,
        build.group,
        np.array(build.radii2),
        build.caps,
        np.array(build.rows).reshape(-1, size),
        pairs,
        constant + constant.T,
        gain,
        z + unit * q,
        q,
        tuple(links),
        radius2,
    )


def _split(diff: Difference, domain: Domain) -> NDArray[np.bool_]:
    """Which inputs need both halves: those of both signs, where the halves err differently."""
    if diff.layers[0].one_sided:
        return np.zeros(diff.dims[0], dtype=bool)
    if isinstance(domain, Ball):
        return np.ones(diff.dims[0], dtype=bool)
    return (domain.low < 0) & (domain.high > 0)


def _inputs(
    build: _Builder, domain: Domain, split: NDArray[np.bool_], start: int, radius: float
) -> Indices:
    """Lay out the input; x_a itself where one half is enough, else (x_a⁺, -x_a⁻)."""
    d = len(split)
    halves = np.flatnonzero(split)
    other = {int(a): start + d + i for i, a in enumerate(halves)}
    build.add_group(slice(start, start + d + len(halves)), radius)
    for a in range(d):
        k = start + a
        if a in other:
            build.row((k, 1.0))
            build.row((other[a], 1.0))
        if isinstance(domain, Ball):
            continue
        low, high = float(domain.low[a]), float(domain.high[a])
        if a in other:
            # x⁺/high + x⁻/low <= 1, the quotient rounded so that the row stays non-negative.
            build.row((-1, high), (k, -1.0), (other[a], -float(np.nextafter(high / -low, 0.0))))
            build.caps[k] = _square_up(high, radius)
            build.caps[other[a]] = _square_up(low, radius)
        else:
            build.row((k, 1.0), (-1, -low))
            build.row((k, -1.0), (-1, high))
            build.caps[k] = _square_up(max(abs(low), abs(high)), radius)
    return np.array([(start + a, other[int(a)]) for a in halves], dtype=np.intp).reshape(-1, 2)


def _square_up(value: float, radius: float) -> float:
    """value², rounded up; not below a millionth of the domain's radius, see `add_group`."""
    value = max(abs(value), radius * 2.0**-20, 2.0**-150)
    return value * value * (1 + 2.0**-50)


def _first_maps(
    diff: Difference, domain: Domain, split: NDArray[np.bool_], unit: float, size: int
) -> tuple[Array, Array]:
    """z and q (in units) of the first layer as maps of v."""
    first, outputs, d = diff.layers[0], diff.dims[-1], diff.dims[0]
    error = first.positive
    if isinstance(domain, Box):
        error = np.where(split | (domain.low >= 0), first.positive, first.negative)
    z, q = np.zeros((2, len(first.weight), size))
    z[:, outputs : outputs + d] = first.weight
    q[:, outputs : outputs + d] = error / unit
    halves = slice(outputs + d, outputs + d + int(split.sum()))
    z[:, halves] = -first.weight[:, split]
    q[:, halves] = -first.negative[:, split] / unit
    if first.bias.any():
        z[:, -1] = first.bias
    if first.bias_error.any():
        q[:, -1] = first.bias_error / unit
    return z, q


def _next_maps(
    diff: Difference, i: int, at: tuple[slice, slice], unit: float, size: int
) -> tuple[Array, Array]:
    """z = W (ĥ - unit δ) + b and q = W δ + D ĥ + d of layer i as maps of v."""
    layer = diff.layers[i]
    z, q = np.zeros((2, len(layer.weight), size))
    delta, h_hat = at
    z[:, h_hat], z[:, delta] = layer.weight, -unit * layer.weight
    q[:, delta], q[:, h_hat] = layer.weight, layer.positive / unit
    if layer.bias.any():
        z[:, -1] = layer.bias
    if layer.bias_error.any():
        q[:, -1] = layer.bias_error / unit
    return z, q


def _link(build: _Builder, link: Link, error: float, size: float) -> None:
    """What is known of an early hidden layer: norms, ĥ >= 0, ĥ >= ẑ."""
    build.add_group(link.delta, error, 2.0**-20)  # in units of the network's whole error
    build.add_group(link.h_hat, size)
    n = len(link.q)
    above = -link.z_hat
    above[np.arange(n), np.arange(link.h_hat.start, link.h_hat.stop)] += 1.0
    for j in range(n):
        build.row((link.h_hat.start + j, 1.0))
    build.rows.extend(above)

"""Norm propagation with the actual errors of the layers, not with the tolerances claimed for them.

E_i <= min(||W_i|| E_{i-1} + R(D_i, ĥ_{i-1}), ||P_i|| E_{i-1} + R(D_i, h_{i-1})), where R bounds the
residual D y + d by spectral norms; every layer's E, ||h||, ||ĥ|| may be lowered by interval ranges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slth.certify.difference import Difference, Layer
from slth.certify.interval import Ranges, hidden_norms
from slth.certify.propagate import radius_of
from slth.certify.rounding import frobenius_upper, spectral_upper, up
from slth.domain import Domain

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Norms:
    """Bounds behind every layer: `error` on ||δ_i|| (the last on ||g - f||), `size` on ||h_i||,
    `size_hat` on ||ĥ_i||; index 0 is the input."""

    error: tuple[float, ...]
    size: tuple[float, ...]
    size_hat: tuple[float, ...]


def norm_propagation(diff: Difference, domain: Domain, ranges: list[Ranges]) -> Norms:
    """Propagate sizes and errors through both networks, taking the better of norms and ranges."""
    radius = radius_of(domain)
    error, size, size_hat = [0.0], [radius], [radius]
    caps = [*hidden_norms(ranges), (np.inf, np.inf, np.inf)]
    for i, layer in enumerate(diff.layers):
        weight, bias = spectral_upper(layer.weight), frobenius_upper(layer.bias)
        by_target = up(weight * error[-1] + residual(layer, size_hat[-1], i == 0), 2)
        if i:
            # |fl(W + D) - (W + D)| is far below a relative 1e-15 of either's Frobenius norm.
            spread = 2.0**-52 * (frobenius_upper(layer.weight) + frobenius_upper(layer.positive))
            lipschitz = up(spectral_upper(layer.weight + layer.positive) + spread, 4)
            by_other = up(lipschitz * error[-1] + residual(layer, size[-1], False), 2)
            by_target = min(by_target, by_other)
        now = up(weight * size[-1] + bias, 2)
        error.append(min(by_target, caps[i][2]))
        size.append(min(now, caps[i][0]))
        size_hat.append(min(up(now + by_target, 1), caps[i][1]))
    return Norms(tuple(error), tuple(size), tuple(size_hat))


def residual(layer: Layer, size: float, first: bool) -> float:
    """Upper bound on ||D y⁺ + N y⁻ + d|| over ||y|| <= size (y >= 0 unless first)."""
    if first and not layer.one_sided:
        # ||(y⁺, y⁻)|| = ||y||; and the residual's Jacobian is entrywise at most max(|D|, |N|).
        both = spectral_upper(np.column_stack([layer.positive, layer.negative]))
        worst = spectral_upper(np.maximum(np.abs(layer.positive), np.abs(layer.negative)))
        linear = min(both, worst)
    else:
        linear = spectral_upper(layer.positive)
    offset = frobenius_upper(layer.bias_error)
    if not offset:
        return up(linear * size, 1) if linear else 0.0
    parts = [layer.positive] if layer.one_sided or not first else [layer.positive, layer.negative]
    joint = spectral_upper(np.column_stack([*parts, layer.bias_error]))
    return min(up(linear * size + offset, 2), up(joint * float(np.hypot(size, 1.0)), 4))


def doubt_bound(diff: Difference, norms: Norms) -> float:
    """Upper bound on sup ||g - g'||, where g' is f plus the *stored* differences; 0 if exact.

    All other bounds and the attack treat g'; this one is added to, or taken from, theirs.
    """
    error = 0.0
    for i, layer in enumerate(diff.layers):
        doubt = frobenius_upper(layer.doubt)
        worst = np.maximum(np.abs(layer.positive), np.abs(layer.negative))
        slope = spectral_upper(layer.weight) + frobenius_upper(worst) + doubt
        error = up(slope * error, 3) if error else 0.0
        if doubt:
            error = up(error + doubt * float(np.hypot(norms.size_hat[i], 1.0)), 5)
    return error

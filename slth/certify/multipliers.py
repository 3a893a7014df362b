"""Lagrange multipliers that turn what is known of (v, y) into an upper bound, and their gradient.

For every hidden neuron with pre-activations z, ẑ = z + q and δ = relu(ẑ) - relu(z), ĥ = relu(ẑ):
δ (q - δ) >= 0, ĥ (ẑ - ĥ) = 0, 0 <= ĥ (q - δ) <= q²/4 and 0 <= δ (ẑ - ĥ) <= q²/4 (in each of the
last two only neurons whose sign changes count, and never in both). Products of non-negative things
are non-negative, and x⁺ x⁻ = 0. With multipliers on all of these the Lagrangian is a quadratic form
½ v'K v + y'L v - ½ y'S y; if S is positive definite and K + L'S⁻¹L <= diag(w), the sought supremum
is at most ½ Σ w_k v_k² <= ½ (Σ_groups α_g radius_g² + Σ a_k caps_k) for w_k = α_group(k) + a_k.
Any multipliers of the right signs are sound; which ones are best is a convex problem.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, solve_triangular

from slth.certify.lift import Lift, Link

Array = NDArray[np.float64]
Multipliers = dict[str, Array]
"""log_group, log_cap: log α, log a; pair: x⁺x⁻; log_t1, log_t2: of δ(q-δ) and (what keeps S
definite) ĥ(ẑ-ĥ); t12: δ(ẑ-ĥ); t21: ĥ(q-δ); sign `[r + 2n, r + 2n]` >= 0, symmetric, zero diagonal;
link_i `[4, n_i]`: t11 >= 0, t12, t21, t22 of an early layer."""

SPARSE_FROM = 200_000


@dataclass(frozen=True, eq=False)
class Form:
    """The Lagrangian's K `[m, m]`, L `[2n, m]`, S = [[s11, s12], [s12, s22]] (s11, s12 diagonal),
    the weights w `[m]` and what diag(w) costs, Σ α radius² + Σ a caps."""

    k: Array
    linear: Array
    s11: Array
    s12: Array
    s22: Array
    weight: Array
    cost: float


def capped(known: Lift) -> NDArray[np.bool_]:
    """The coordinates of v with a cap of their own."""
    return np.isfinite(known.caps)


def weights(known: Lift, at: Multipliers) -> tuple[Array, float]:
    """w `[m]` and its cost."""
    alpha, own, caps = np.exp(at["log_group"]), np.exp(at["log_cap"]), capped(known)
    weight = alpha[known.group]
    weight[caps] += own
    return weight, float(alpha @ known.radii2 + own @ known.caps[caps])


def lagrangian(known: Lift, at: Multipliers, signs: Array, magnitude: bool = False) -> Form:
    """The form for these multipliers; with `magnitude`, the same sums of absolute values, which
    bound the rounding of every entry."""
    absolute = np.abs if magnitude else np.asarray
    n = known.neurons
    k = absolute(known.constant).copy()
    if len(known.pairs):
        i, j = known.pairs.T
        k[i, j] += absolute(at["pair"])
        k[j, i] += absolute(at["pair"])
    for index, link in enumerate(known.links):
        k += _link_form(link, at[f"link_{index}"], known.unit, magnitude)
    weight, cost = weights(known, at)
    product, n_v = None, absolute(signs)
    if "sign" in at:
        product = _sign_product(known, at["sign"], n_v)
        k += 2 * _sign_product(known, product.T, n_v).T
    if not n:
        none = np.zeros(0)
        return Form(k, np.zeros((0, len(k))), none, none, np.zeros((0, 0)), weight, cost)
    t1, t2, t12, t21, coupling = _neuron_multipliers(known, at)
    q, z_hat = absolute(known.q), absolute(known.z_hat)
    t12, t21, mixed = absolute(t12), absolute(t21), absolute(t12 + t21)
    penalty = _penalty(at, known.unit)
    paid = penalty > 0
    k += 2 * (q[paid].T @ (penalty[paid, None] * q[paid]))
    linear = absolute(known.gain).copy()
    linear[:n] += t1[:, None] * q + t12[:, None] * z_hat
    linear[n:] += t21[:, None] * q + t2[:, None] * z_hat
    s22 = np.diag(2 * t2)
    if product is not None:
        linear[n:] += 2 * (product[-2 * n : -n] + product[-n:])
        s22 = s22 + 2 * coupling if magnitude else s22 - 2 * coupling
    return Form(k, linear, 2 * t1, mixed, s22, weight, cost)


def _sign_product(known: Lift, left: Array, signs: Array) -> Array:
    """left @ signs; its first rows are sparse and the next n zero, which pays for large inputs."""
    r, n = len(known.rows), known.neurons
    if r * known.size < SPARSE_FROM:
        return left @ signs
    from scipy.sparse import csr_array

    top = np.asarray((csr_array(signs[:r].T) @ left[:, :r].T).T)
    return top + left[:, r + n :] @ signs[r + n :] if n else top


def _neuron_multipliers(known: Lift, at: Multipliers) -> tuple[Array, Array, Array, Array, Array]:
    """t1, t2, t12, t21 and the coupling of neurons; t2 holds S positive definite by construction:
    it dominates the coupling's rows and the two by two block of its own neuron."""
    n = known.neurons
    t1, t12, t21 = np.exp(at["log_t1"]), at["t12"], at["t21"]
    coupling = np.zeros((n, n))
    if "sign" in at:
        sign = at["sign"]
        low, high = slice(-2 * n, -n), slice(-n, None)
        cross = sign[low, high]
        coupling = sign[low, low] + sign[high, high] + cross + cross.T
    t2 = np.exp(at["log_t2"]) + coupling.sum(axis=1) + (t12 + t21) ** 2 / (4 * t1)
    return t1, t2, t12, t21, coupling


def _penalty(at: Multipliers, unit: float) -> Array:
    """What negative multipliers of the two products in [0, q²/4] cost, as a multiplier of q²."""
    return np.maximum(np.maximum(-at["t12"], -at["t21"]), 0.0) * (unit / 4)


def _link_form(link: Link, at: Array, unit: float, magnitude: bool) -> Array:
    """Twice the form of an early layer's neuron constraints, whose δ and ĥ stand in v."""
    absolute = np.abs if magnitude else np.asarray
    t11, t12, t21, t22 = (absolute(row)[:, None] for row in at)
    q, z_hat = absolute(link.q), absolute(link.z_hat)
    size, sign = q.shape[1], 1.0 if magnitude else -1.0
    form = np.zeros((size, size))
    form[link.delta] = t11 * q + t12 * z_hat
    form[link.h_hat] = t21 * q + t22 * z_hat
    for row, (to_delta, to_h_hat) in ((link.delta, (t11, t12)), (link.h_hat, (t21, t22))):
        here = np.arange(row.start, row.stop)
        form[here, np.arange(link.delta.start, link.delta.stop)] += sign * to_delta[:, 0]
        form[here, np.arange(link.h_hat.start, link.h_hat.stop)] += sign * to_h_hat[:, 0]
    penalty = np.maximum(np.maximum(-at[1], -at[2]), 0.0) * (unit / 4)
    return np.asarray(form + form.T + 2 * (q.T @ (penalty[:, None] * q)))


@dataclass(frozen=True, eq=False)
class Value:
    """The bound (in units, not yet proved), its largest eigenvalue, and the gradient."""

    bound: float
    eigenvalue: float
    gradient: Multipliers
    top: Array


def evaluate(known: Lift, at: Multipliers, signs: Array, smoothing: float, rank: int = 24) -> Value:
    """½ cost λ_max(w^-½ (K + L'S⁻¹L) w^-½), and the gradient of its soft maximum over eigenvalues.

    The gradient with respect to a multiplier is the moment of its constraint under the mixture of
    the top eigenvectors v and their maximisers y = S⁻¹ L v. Raises LinAlgError if S is singular.
    """
    form = lagrangian(known, at, signs)
    n, s11, s12 = known.neurons, form.s11[:, None], form.s12[:, None]
    k = form.k
    root: Array = np.zeros((0, 0))
    if n:
        schur = form.s22.copy()
        schur[np.diag_indices(n)] -= form.s12**2 / form.s11
        root = np.asarray(np.linalg.cholesky(schur))
        rest = form.linear[n:] - s12 / s11 * form.linear[:n]
        half = solve_triangular(root, rest, lower=True, check_finite=False)
        k = k + half.T @ half + form.linear[:n].T @ (form.linear[:n] / s11)
    scale = 1 / np.sqrt(form.weight)
    values, vectors = _top(k * scale[:, None] * scale, rank)
    bound = 0.5 * float(values[-1]) * form.cost
    share = np.exp((values - values[-1]) / max(smoothing * abs(values[-1]), 1e-300))
    share /= share.sum()
    mixed = vectors * np.sqrt(share)
    v = mixed * (scale * np.sqrt(form.cost))[:, None]
    y = np.zeros((0, v.shape[1]))
    if n:
        to_y = form.linear @ v
        ahead = solve_triangular(root, to_y[n:] - s12 / s11 * to_y[:n], lower=True)
        second = solve_triangular(root, ahead, lower=True, trans=1)
        y = np.vstack([(to_y[:n] - s12 * second) / s11, second])
    gradient = _moments(known, at, signs, v, y)
    _weight_gradient(known, at, form, mixed, values, share, gradient)
    return Value(bound, float(values[-1]), gradient, v[:, -1])


def _top(matrix: Array, rank: int) -> tuple[Array, Array]:
    """The largest eigenvalues, ascending, and their vectors."""
    size = len(matrix)
    first = max(0, size - rank)
    if size <= 300:
        values, vectors = np.linalg.eigh(matrix)
        return values[first:], vectors[:, first:]
    values, vectors = eigh(matrix, subset_by_index=(first, size - 1), check_finite=False)
    return values, vectors


def _weight_gradient(
    known: Lift,
    at: Multipliers,
    form: Form,
    mixed: Array,
    values: Array,
    share: Array,
    gradient: Multipliers,
) -> None:
    """d/dw of ½ cost λ: the cost's growth less the eigenvalue's fall."""
    caps = capped(known)
    fall = -0.5 * form.cost * (mixed**2 @ values) / form.weight
    mean = 0.5 * float(values @ share)
    alpha, own = np.exp(at["log_group"]), np.exp(at["log_cap"])
    per_group = np.bincount(known.group, fall, len(alpha))
    gradient["log_group"] = alpha * (per_group + mean * known.radii2)
    gradient["log_cap"] = own * (fall[caps] + mean * known.caps[caps])


def _moments(known: Lift, at: Multipliers, signs: Array, v: Array, y: Array) -> Multipliers:
    """The moments of all constraints over the columns of v `[m, r]` and y `[2n, r]`."""
    n, found = known.neurons, {}
    if len(known.pairs):
        found["pair"] = (v[known.pairs[:, 0]] * v[known.pairs[:, 1]]).sum(axis=1)
    for index, link in enumerate(known.links):
        found[f"link_{index}"] = _neuron_moments(
            v[link.delta],
            v[link.h_hat],
            link.q @ v,
            link.z_hat @ v,
            at[f"link_{index}"][1:3],
            known.unit,
        )
    if n:
        # t2 = exp(log_t2) + coupling + (t12 + t21)²/(4 t1), hence the terms in m22 of the others.
        t1, mixed = np.exp(at["log_t1"]), at["t12"] + at["t21"]
        m11, m12, m21, m22 = _neuron_moments(
            y[:n], y[n:], known.q @ v, known.z_hat @ v, np.stack([at["t12"], at["t21"]]), known.unit
        )
        found["log_t1"] = t1 * m11 - m22 * mixed**2 / (4 * t1)
        found["log_t2"] = np.exp(at["log_t2"]) * m22
        found["t12"] = m12 + m22 * mixed / (2 * t1)
        found["t21"] = m21 + m22 * mixed / (2 * t1)
    if "sign" in at:
        values = signs @ v
        if n:
            values[-2 * n : -n] += y[n:]
            values[-n:] += y[n:]
        moment = values @ values.T
        if n:
            shared = 0.5 * (m22[:, None] + m22[None, :])
            for rows in (slice(-2 * n, -n), slice(-n, None)):
                moment[rows, -2 * n : -n] += shared
                moment[rows, -n:] += shared
        found["sign"] = moment
    return found


def _neuron_moments(
    delta: Array, h_hat: Array, q: Array, z_hat: Array, t: Array, unit: float
) -> Array:
    """Moments of δ(q-δ), δ(ẑ-ĥ), ĥ(q-δ), ĥ(ẑ-ĥ), the middle two with their penalties `[4, n]`."""
    penalty = (q * q).sum(axis=1) * (unit / 4)
    first = (t[0] < 0) & (t[0] <= t[1])
    second = (t[1] < 0) & (t[1] < t[0])
    return np.stack(
        [
            (delta * (q - delta)).sum(axis=1),
            (delta * (z_hat - h_hat)).sum(axis=1) - first * penalty,
            (h_hat * (q - delta)).sum(axis=1) - second * penalty,
            (h_hat * (z_hat - h_hat)).sum(axis=1),
        ]
    )

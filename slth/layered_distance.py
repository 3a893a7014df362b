"""How far a stack whose copies differ can be from its target: a bound for every copy.

The copies of a neuron err differently, and a subset of random weights that adds up to w is not w.
With e_k a bound on |z_k − target's argument| for copy k of any neuron, λ the activation's Lipschitz
constant and y the target's layer input,

    e_r ≤ Σ_k |V_rk| λ e_k + Σ_a |Σ_{k copies of a} V_rk − w_ja| |y_a| + |o_r − b_j|        (copies)

since copy k of neuron a carries y_a + d_k with |d_k| ≤ λ e_k, and Σ_k V_rk (y_a + d_k) − w_ja y_a
splits so. A layer therefore amplifies errors by A = max_r Σ_k |V_rk|, however small its weights
are: kept values of both signs nearly cancel in their sum, not in their errors. All copies at once
satisfy, in Euclidean norms, ‖e_i‖ ≤ ‖V_i‖ λ ‖e_{i−1}‖ + ‖own_i‖, and e_r ≤ ‖V_r‖ λ ‖e_{i−1}‖ +
own_r, which is sharper for wide layers, where errors of many copies cannot all line up. Of the two,
layer by layer, the smaller counts.

|y_a| is bounded neuron by neuron over the domain, and its norm through the target's
(`slth.chain_inputs`); everything is evaluated in float64 and rounded outward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slth.certify.rounding import ULP, frobenius_upper, spectral_upper, up, up_array
from slth.chain_inputs import Inputs, layer_inputs
from slth.chains import first_order
from slth.domain import Ball, Domain
from slth.effective import _distance
from slth.layered_copies import Copies, Sparse
from slth.network import Network
from slth.wiring import LIPSCHITZ, Activation

Floats = NDArray[np.float64]
DENSE = 2048  # the smaller side of the largest matrix whose spectral norm is computed


@dataclass(frozen=True, eq=False)
class Distance:
    """Behind one layer: e_r and own_r of every used copy, ‖e‖, and A, which is 0 in the first."""

    error: Floats
    own: Floats
    norm: float
    amplification: float


def weight_errors(copies: Copies, target: Network) -> list[Floats]:
    """For each layer, `[copies_i, d_{i−1} (+ 1 with a bias)]`: how far a copy's weight is from the
    target's, rounded up; in the first layer the worse of both sides of zero."""
    found = []
    for i, owners in enumerate(copies.owners):
        wanted = target.augmented(i)[owners]
        width = target.links[i][0]
        if i == 0:
            p, q, slack = copies.slopes
            weights = wanted[:, :width]
            errors = np.maximum(_distance(p, weights, slack), _distance(q, weights, slack))
        else:
            sums, slack = _sums(copies, i, width)
            errors = _distance(sums, wanted[:, :width], slack)
        value, doubt = copies.offsets[i]
        if wanted.shape[1] > width or value.any():
            bias = wanted[:, -1] if wanted.shape[1] > width else np.zeros(len(wanted))
            errors = np.column_stack([errors, _distance(value, bias, doubt)])
        found.append(errors)
    return found


def distances(copies: Copies, target: Network, domain: Domain) -> list[Distance]:
    """The bounds behind every layer over the domain."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(
        1, user_api="blas"
    ):  # on busy cores threads cost far more than they give
        return _distances(copies, target, domain)


def _distances(copies: Copies, target: Network, domain: Domain) -> list[Distance]:
    lip, found = LIPSCHITZ[copies.activation.kind], list[Distance]()
    for i, entering in enumerate(layer_inputs(target, domain)):
        own, norm = _own(copies, target, i, entering, domain)
        if i == 0:
            found.append(Distance(own, own, min(norm, frobenius_upper(own)), 0.0))
            continue
        links, last = copies.links[i], found[-1]
        terms = int(np.diff(links.indptr).max(initial=0)) + 6
        by_copies = abs(links) @ (lip * _living(copies, i, last.error, entering))
        by_norm = _row_norms(links) * lip * last.norm
        error = up_array(np.minimum(by_copies, by_norm) + own, terms)
        whole = up(norm_upper(links) * lip * last.norm + norm, 6)
        gain = up(float(abs(links).sum(axis=1).max()), terms)
        found.append(Distance(error, own, min(whole, frobenius_upper(error)), gain))
    return found


def _living(copies: Copies, i: int, error: Floats, entering: Inputs) -> Floats:
    """The errors that get through: of a neuron that ReLU silences in target and copy alike, 0."""
    if copies.activation.kind != "relu" or entering.arguments is None:
        return error
    reach = entering.arguments[copies.owners[i - 1]] + up_array(error, 2)
    return np.where(reach <= 0, 0.0, error)


def upper_bound(found: Sequence[Distance]) -> float:
    """On the Euclidean norm of the output's difference."""
    return min(found[-1].norm, frobenius_upper(found[-1].error))


def loads(copies: Copies) -> list[float]:
    """For each layer, how much an error of one at every copy's argument makes of the output at
    most, in Euclidean norm: that of the row sums of λ|V_l| ⋯ λ|V_{i+1}|."""
    passed = np.eye(copies.owners[-1].size)
    found = [load(passed)]
    for links in reversed(copies.links[1:]):
        passed = passed_down(passed, abs(links), copies.activation)
        found.append(load(passed))
    return found[::-1]


def load(passed: Floats) -> float:
    """The norm of the row sums of a matrix `[outputs, copies]`, rounded up."""
    return up(float(np.linalg.norm(passed.sum(axis=1))), sum(passed.shape) + 4)


def passed_down(passed: Floats, size: Sparse, activation: Activation) -> Floats:
    """`passed` times λ|V|, for |V| = `size`, rounded up."""
    found: Floats = (size.T @ passed.T).T * LIPSCHITZ[activation.kind]
    return up_array(found, size.shape[0] + 2)


def _own(
    copies: Copies, target: Network, i: int, entering: Inputs, domain: Domain
) -> tuple[Floats, float]:
    """What a layer adds by itself: bounds for every copy, and on the norm over all copies."""
    wanted = target.augmented(i)[copies.owners[i]]
    width = target.links[i][0]
    weights, (value, doubt) = wanted[:, :width], copies.offsets[i]
    bias = wanted[:, -1] if wanted.shape[1] > width else np.zeros(len(wanted))
    shift, more = _distance(value, bias, doubt), np.zeros(len(wanted))
    if i == 0:  # x⁺ and x⁻, of which one is zero in every coordinate
        p, q, slack = copies.slopes
        above, below = _distance(p, weights, slack), _distance(q, weights, slack)
        sides = np.maximum(entering.high, 0), np.maximum(-entering.low, 0)
        terms, worst = np.maximum(above * sides[0], below * sides[1]), np.maximum(above, below)
        matrix, slack = np.hstack([p - weights, q - weights]), np.hstack([slack, slack])
        more = _remainder(copies, entering, domain)
    else:
        sums, slack = _sums(copies, i, width)
        worst, matrix = _distance(sums, weights, slack), sums - weights
        terms = worst * entering.size
    rows = up_array(terms.sum(axis=1), width + 2)
    rows = np.minimum(rows, up_array(_norms(worst) * entering.norm, 2))
    loose = frobenius_upper(slack) + frobenius_upper(matrix) * 2 * ULP
    norm = (dense_norm_upper(matrix) + loose) * entering.norm
    own = up_array(rows + more + shift, 4)
    return own, up(norm + frobenius_upper(more) + frobenius_upper(shift), 8)


def _remainder(copies: Copies, entering: Inputs, domain: Domain) -> Floats:
    """Σ_a C_ra |x_a|^p over the domain, copy by copy."""
    if copies.remainder is None:
        return np.zeros(copies.owners[0].size)
    power = first_order(copies.activation).power
    found = up_array(copies.remainder @ entering.size**power, copies.inputs + power)
    if isinstance(domain, Ball):  # Σ|x_a|^p ≤ R^p for p ≥ 2
        found = np.minimum(found, up_array(copies.remainder.max(axis=1) * domain.radius**power, 4))
    return found


def _sums(copies: Copies, i: int, width: int) -> tuple[Floats, Floats]:
    """Σ over the copies of each input of V, `[copies_i, width]`, and a bound on its rounding."""
    from scipy.sparse import csr_array

    owners = copies.owners[i - 1]
    each = csr_array(
        (np.ones(owners.size), (np.arange(owners.size), owners)), shape=(owners.size, width)
    )
    size = (abs(copies.links[i]) @ each).toarray()
    terms = int(np.bincount(owners, minlength=1).max(initial=0)) + 2
    return (copies.links[i] @ each).toarray(), up_array(terms * ULP * size, terms)


def norm_upper(links: Sparse) -> float:
    """At least the spectral norm of a sparse matrix."""
    if min(links.shape) <= DENSE:
        return dense_norm_upper(links.toarray())
    size = abs(links)
    rows, columns = float(size.sum(axis=1).max()), float(size.sum(axis=0).max())
    return up(float(np.sqrt(rows * columns)), sum(links.shape))


def dense_norm_upper(matrix: Floats) -> float:
    """At least the spectral norm; the Frobenius norm where that would take too long."""
    return spectral_upper(matrix) if min(matrix.shape) <= DENSE else frobenius_upper(matrix)


def _row_norms(links: Sparse) -> Floats:
    squares = np.asarray((links * links).sum(axis=1)).ravel()
    return up_array(np.sqrt(squares), int(np.diff(links.indptr).max(initial=0)) + 4)


def _norms(matrix: Floats) -> Floats:
    return up_array(np.linalg.norm(matrix, axis=1), matrix.shape[1] + 4)

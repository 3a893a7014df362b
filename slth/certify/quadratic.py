"""The quadratic bound: the best multipliers that a short descent finds, then a proof by Cholesky.

A semidefinite relaxation in the spirit of Raghunathan, Steinhardt and Liang (2018) and of Fazlyab,
Morari and Pappas (2022), but of the *difference* of two networks: neurons of both are coupled, and
products of sign constraints are used. It is solved in the dual only, where stopping early costs
tightness and never soundness.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from slth.certify.difference import Difference
from slth.certify.lift import Lift, lift
from slth.certify.multipliers import Form, Multipliers, capped, evaluate, lagrangian, weights
from slth.certify.norm import Norms
from slth.certify.rounding import SMALLEST, ULP, up
from slth.domain import Domain

Array = NDArray[np.float64]

# Beyond these sizes an eigenvalue problem, or the matrix of sign products, costs seconds a step.
LARGEST_FORM = 2500
LARGEST_SIGNS = 4000


@dataclass(frozen=True)
class Descent:
    """Steps without and with sign products, step lengths, and the soft maximum's temperatures."""

    plain_steps: int = 50
    sign_steps: int = 90
    step: float = 0.1
    sign_step: float = 0.02
    warmest: float = 0.1
    coldest: float = 0.002


@dataclass(frozen=True, eq=False)
class Quadratic:
    """A proved bound on sup ||g - f||, and inputs `[k, d_0]` worth attacking from."""

    bound: float
    starts: Array = field(default_factory=lambda: np.zeros((0, 0)))


def quadratic_bound(
    diff: Difference,
    domain: Domain,
    norms: Norms,
    descent: Descent | None = None,
    effort: float = 1.0,
) -> Quadratic | None:
    """The bound, or None where the network is too large for it or the error is out of range."""
    error = norms.error[-1]
    if not 2.0**-400 < error < 2.0**400:
        return None
    if sum(diff.dims[:1] * 2 + diff.dims[-1:]) + 2 * sum(diff.dims[1:-2]) > LARGEST_FORM:
        return None
    known = lift(diff, domain, norms, float(2.0 ** np.round(np.log2(error))))
    signs = known.signs
    descent = descent or _affordable(known, len(signs), effort)
    plain = _descend(known, signs, _start(known), descent.plain_steps, descent, False)
    with_signs = 0 < len(signs) <= LARGEST_SIGNS and descent.sign_steps > 0
    best = plain
    if with_signs:
        best = _descend(known, signs, dict(plain.at), descent.sign_steps, descent, True)
    proofs = [_prove(known, found, signs) for found in ([plain, best] if with_signs else [plain])]
    if not min(proofs) < np.inf:
        return None
    d, o = diff.dims[0], diff.dims[-1]
    x = best.top[o : o + d].copy()
    if len(known.pairs):
        i, j = known.pairs.T
        x[i - o] = best.top[i] - best.top[j]
    bound, size = min(proofs) * known.unit, float(np.linalg.norm(x))
    if not 1e-300 < size < np.inf:  # no direction to attack in
        return Quadratic(bound, np.zeros((0, d)))
    return Quadratic(bound, np.stack([x, -x]) * (norms.size[0] / size))


def _affordable(known: Lift, signs: int, effort: float) -> Descent:
    """Fewer steps for larger forms: a digits network takes 140 of 4 ms, 784-500-10 some 55."""
    m, n = known.size, known.neurons
    work = 2 * signs * n * m + 4 * n * m * m + 10 * m**3 + 40 * signs * signs
    share = min(1.0, (6e7 / work) ** 0.25)
    plain, with_signs = max(25, round(50 * share)), max(30, round(90 * share))
    return Descent(round(plain * effort), round(with_signs * effort))


@dataclass(frozen=True, eq=False)
class _Found:
    at: Multipliers
    bound: float
    eigenvalue: float
    top: Array


def _start(known: Lift) -> Multipliers:
    """Equal shares of the cost to every group, and multipliers that balance each neuron."""
    n, caps = known.neurons, capped(known)
    at: Multipliers = {"log_group": -np.log(known.radii2), "log_cap": np.zeros(0)}
    if caps.any():
        at["log_cap"] = -np.log(known.caps[caps] * 2 * caps.sum())
        at["log_group"][known.group[np.argmax(caps)]] -= np.log(2)
    if len(known.pairs):
        at["pair"] = np.zeros(len(known.pairs))
    for index, link in enumerate(known.links):
        at[f"link_{index}"] = np.zeros((4, len(link.q)))
    if n:
        weight, _ = weights(known, at)

        def balance(numerator: Array, denominator: Array) -> Array:
            top, bottom = (np.sqrt((m**2 / weight).sum(axis=1)) for m in (numerator, denominator))
            # floors, so that a neuron without error starts near the others, not at infinity
            least = bottom.max() or top.max() or 1.0
            top, bottom = top + 1e-12 * top.max() + 1e-30, bottom + 1e-6 * least + 1e-30
            return np.asarray(np.log(top / bottom))

        # Each neuron by itself: a few unlucky input columns can err a thousand times the rest, and
        # a common start is then so far from the optimum that no affordable descent gets there.
        at["log_t1"] = balance(known.gain[:n], known.q)
        at["log_t2"] = balance(known.gain[n:], known.z_hat)
        at["t12"], at["t21"] = np.zeros(n), np.zeros(n)
    return at


def _scales(known: Lift, at: Multipliers, signs: Array, eigenvalue: float) -> Multipliers:
    """Natural units of the multipliers that are not logarithms: the eigenvalue's share of each."""
    weight, _ = weights(known, at)
    scale: Multipliers = {}
    if len(known.pairs):
        i, j = known.pairs.T
        scale["pair"] = eigenvalue * np.sqrt(weight[i] * weight[j])
    for index, link in enumerate(known.links):
        d, h = weight[link.delta], weight[link.h_hat]
        scale[f"link_{index}"] = eigenvalue * np.stack([d, np.sqrt(d * h), np.sqrt(d * h), h])
    n = known.neurons
    if n:
        mean = np.exp((at["log_t1"].mean() + at["log_t2"].mean()) / 2)
        scale["t12"] = scale["t21"] = np.full(n, mean)
    size = np.sqrt((signs**2 / weight).sum(axis=1))
    if n:
        size[-2 * n : -n] = size[-n:]
    size = np.maximum(size, 1e-30 * size.max(initial=1.0))
    scale["sign"] = eigenvalue / np.outer(size, size) / np.sqrt(max(len(size), 1))
    np.fill_diagonal(scale["sign"], 0.0)
    return scale


def _descend(
    known: Lift, signs: Array, at: Multipliers, steps: int, descent: Descent, with_signs: bool
) -> _Found:
    """Adam on the smoothed bound, cooling it; sign products take bold-driver momentum steps."""
    at = {key: value.copy() for key, value in at.items()}
    if with_signs:
        at["sign"] = np.zeros((len(signs), len(signs)))
    warm = evaluate(known, at, signs, descent.warmest)
    scale = _scales(known, at, signs, max(warm.eigenvalue, 1e-300))
    mean = {key: np.zeros_like(value) for key, value in at.items()}
    square = {key: np.zeros_like(value) for key, value in at.items() if key != "sign"}
    best, last, sign_step, sign_square = (
        _Found(at, np.inf, np.inf, warm.top),
        np.inf,
        descent.sign_step,
        0.0,
    )
    for step in range(steps + 1):
        done = step / max(steps, 1)
        smoothing = descent.warmest * (descent.coldest / descent.warmest) ** done
        try:
            now = evaluate(known, at, signs, smoothing)
        except np.linalg.LinAlgError:
            break  # The best so far stands.
        if now.bound < best.bound:
            kept = {key: value.copy() for key, value in at.items()}
            best = _Found(kept, now.bound, now.eigenvalue, now.top)
        if step > 2:
            sign_step = float(np.clip(sign_step * (1.1 if now.bound < last else 0.7), 1e-3, 2.0))
        last = now.bound
        pace = descent.step * (1 - 0.9 * done)
        for key, slope in now.gradient.items():
            if key in scale:
                slope = slope * scale[key]
            mean[key] += 0.1 * (slope - mean[key])
            move = mean[key] / (1 - 0.9 ** (step + 1))
            correct = 1 - 0.98 ** (step + 1)
            if key == "sign":
                sign_square += 0.02 * (float(np.mean(slope * slope)) - sign_square)
                move *= pace * sign_step / descent.step / np.sqrt(sign_square / correct + 1e-300)
            else:
                square[key] += 0.02 * (slope * slope - square[key])
                move = pace * move / (np.sqrt(square[key] / correct) + 1e-12)
            at[key] -= move * scale[key] if key in scale else move
            if key == "sign":
                np.maximum(at[key], 0.0, out=at[key])
            elif key.startswith("link"):
                np.maximum(at[key][0], 0.0, out=at[key][0])
    return best


def _prove(known: Lift, found: _Found, signs: Array) -> float:
    """A bound (in units) that the multipliers prove, every rounding counted; inf if they do not.

    With c = what the stored matrix [[λ diag(w) - K, -L'], [-L, S]] lacks to being proved positive
    semidefinite plus its rounding, the supremum is at most ½ (λ cost + c (||v||² + ||y||²)).
    """
    at = dict(found.at)
    if "sign" in at:
        at["sign"] = (at["sign"] + at["sign"].T) / 2
    if not (np.isfinite(found.bound) and all(np.isfinite(value).all() for value in at.values())):
        return float("inf")
    form = lagrangian(known, at, signs)
    gamma = (2 * len(signs) + 2 * known.neurons + 2 * known.size + 64) * ULP
    sizes = lagrangian(known, at, signs, magnitude=True)
    radius2 = up(float(known.radii2.sum()) + known.y_radius2, len(known.radii2) + 2)
    slack = 2.0**-36
    for _ in range(30):
        eigenvalue = found.eigenvalue + abs(found.eigenvalue) * slack
        matrix = _assemble(form, eigenvalue, -1.0)
        trace = up(float(np.abs(np.diagonal(matrix)).sum()), len(matrix))
        shift = up(2 * (len(matrix) + 4) * ULP * trace, 4) + SMALLEST
        try:
            # No shift is added to the matrix itself: what Cholesky may have missed is paid below.
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            slack *= 4
            continue
        # The spectral norm of the rounding is at most its largest row sum.
        rows = _assemble(sizes, abs(eigenvalue), 1.0).sum(axis=1)
        rounding = up(gamma * float(rows.max()), len(rows) + 4) + SMALLEST
        cost = up(form.cost, len(known.radii2) + 2 * known.size + 8)
        return up(0.5 * (max(eigenvalue, 0.0) * cost + (shift + rounding) * radius2), 8)
    return float("inf")


def _assemble(form: Form, eigenvalue: float, sign: float) -> Array:
    """[[λ diag(w) + sign K, sign L'], [sign L, S]], S of both signs as it comes."""
    m, n = len(form.k), len(form.s11)
    matrix = np.zeros((m + 2 * n, m + 2 * n))
    matrix[:m, :m] = sign * (form.k + form.k.T) / 2
    matrix[np.diag_indices(m)] += eigenvalue * form.weight
    matrix[m:, :m] = sign * form.linear
    matrix[:m, m:] = matrix[m:, :m].T
    if n:
        matrix[m : m + n, m : m + n] = np.diag(form.s11)
        matrix[m + n :, m + n :] = (form.s22 + form.s22.T) / 2
        matrix[m : m + n, m + n :] = matrix[m + n :, m : m + n] = np.diag(form.s12)
    return matrix

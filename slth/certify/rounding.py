"""Outward rounding: upper bounds on what float64 evaluations of norms and sums really are.

Every quantity bounded here is a sum of products of non-negative numbers, whose float evaluation in
any order loses at most a factor (1 - 2^-53) a rounding. Underflow is paid by one smallest normal
number, which covers it while the factors that follow are below 2^50 over the number of roundings.
Eigenvalues and norms are *verified*: a Cholesky factorisation that runs to completion proves that
a matrix near the given one is positive semidefinite (Higham 2002, theorem 10.3; Rump 2006), so no
constant of an eigenvalue routine is trusted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ULP = 2.0**-52
SMALLEST = 2.0**-1022


def up(value: float, roundings: int) -> float:
    """At least the non-negative real whose float evaluation, with that many roundings, is value."""
    return float(np.nextafter(value * (1 + (roundings + 3) * ULP) + SMALLEST, np.inf))


def up_array(value: Array, roundings: int) -> Array:
    """`up`, entry by entry."""
    return np.nextafter(value * (1 + (roundings + 3) * ULP) + SMALLEST, np.inf)


def scale_of(matrix: Array) -> float:
    """A power of two near the largest entry, to divide by without rounding (1 for zero)."""
    peak = float(np.abs(matrix).max(initial=0.0))
    return float(2.0 ** min(max(np.frexp(peak)[1], -1000), 1000)) if peak > 0 else 1.0


def frobenius_upper(matrix: Array) -> float:
    """An upper bound on the Frobenius norm (the Euclidean one of a vector); exactly 0 for zero."""
    if not matrix.any():
        return 0.0
    scale = scale_of(matrix)
    return up(scale * float(np.linalg.norm(matrix / scale)), matrix.size + 4)


def lambda_max_upper(matrix: Array, entry_error: float = 0.0) -> float:
    """An upper bound, proved by Cholesky, on the largest eigenvalue of a symmetric matrix `[n, n]`.

    `entry_error` bounds the spectral norm of (true matrix - matrix). With S = mu I - matrix and
    Cholesky of S - c I completed, lambda_min(S - c I) >= -gamma_{n+1}/(1-gamma_{n+1}) trace(S), so
    c above that (and above the rounding of the diagonal) proves matrix <= mu I.
    """
    n = len(matrix)
    estimate = float(np.linalg.eigvalsh(matrix)[-1])
    size = float(np.abs(matrix).sum(axis=1).max()) + abs(estimate)
    if size == 0:
        return entry_error
    gamma = (n + 4) * ULP
    slack = 4 * gamma * size
    for _ in range(200):
        bound = estimate + slack
        shifted = -matrix
        diagonal = bound - np.diagonal(matrix)
        trace = float(np.abs(diagonal).sum())
        shift = 2 * gamma * trace + 8 * ULP * (abs(bound) + size) + SMALLEST
        shifted[np.diag_indices(n)] = diagonal - shift
        try:
            np.linalg.cholesky(shifted)
        except np.linalg.LinAlgError:
            slack *= 2
            continue
        return float(np.nextafter(bound + entry_error * (1 + 4 * ULP) + SMALLEST, np.inf))
    return up(size, n + 2) + entry_error  # Gershgorin always holds.


def spectral_upper(matrix: Array) -> float:
    """An upper bound on the spectral norm, to about size^2 ulps; exactly 0 for a zero matrix."""
    if not matrix.any():
        return 0.0
    scale = scale_of(matrix)
    scaled = matrix / scale
    if scaled.shape[0] > scaled.shape[1]:
        scaled = scaled.T
    gram = scaled @ scaled.T
    gram = (gram + gram.T) / 2
    frobenius = float((scaled * scaled).sum())
    # |fl(A A^T) - A A^T| <= gamma_k |A||A|^T, whose norm is at most gamma_k ||A||_F^2.
    error = up((scaled.shape[1] + 2) * ULP * frobenius, scaled.size)
    squared = lambda_max_upper(gram, error)
    return min(up(scale * float(np.sqrt(squared)), 3), frobenius_upper(matrix))


def product_range(matrix: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """An enclosure of matrix @ y over low <= y <= high: two arrays `[out]`."""
    positive, negative = np.maximum(matrix, 0.0), np.minimum(matrix, 0.0)
    size = np.abs(matrix) @ np.maximum(np.abs(low), np.abs(high))
    error = up_array((2 * matrix.shape[1] + 4) * ULP * size, matrix.shape[1])
    return (
        np.nextafter(positive @ low + negative @ high - error, -np.inf),
        np.nextafter(positive @ high + negative @ low + error, np.inf),
    )


def sum_range(*ranges: tuple[Array, Array]) -> tuple[Array, Array]:
    """An enclosure of the sum of enclosed quantities."""
    low, high = ranges[0]
    for other_low, other_high in ranges[1:]:
        low = np.nextafter(low + other_low, -np.inf)
        high = np.nextafter(high + other_high, np.inf)
    return low, high

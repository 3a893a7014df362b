"""Universal tickets: one mask for a basis of functions, many targets through the last layer.

A basis φ_1, …, φ_K on [0, 1] is hidden once, as a ReLU network of one input and K outputs that
interpolates every φ_k at equidistant knots; a target Σ c_k φ_k then needs no mask of its own, only
its coefficients as a linear layer behind the ticket (Burkholz et al. 2022). What that costs is
known for all targets at once: with e the ticket's certified error, in Euclidean norm over [0, 1],
and h the distance of the knots,

    |Σ c_k (g_k(x) − φ_k(x))|  ≤  ‖c‖ e + Σ |c_k| h²/8 max|φ_k''|,

by Cauchy-Schwarz and the error of linear interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.domain import Box
from slth.errors import BadInput
from slth.target import Target

if TYPE_CHECKING:
    from slth.certify import Certificate
    from slth.ticket import Ticket

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Basis:
    """The first `size` functions of a family on [0, 1], and the knots that they are met at.

    monomials: x, x², …; fourier: sin 2πx, cos 2πx, sin 4πx, …. A constant needs no network: it is
    the last layer's bias.
    """

    kind: Literal["monomials", "fourier"]
    size: int
    knots: int = 33

    def __post_init__(self) -> None:
        if self.kind not in ("monomials", "fourier"):
            raise BadInput("kind", self.kind, "monomials, fourier", "choose one")
        if self.size < 1:
            raise BadInput("size", self.size, "1 or more functions", "ask for one at least")
        if self.knots < 2:
            raise BadInput("knots", self.knots, "2 or more", "both ends are knots")

    def __call__(self, x: ArrayLike) -> Floats:
        """The functions themselves: `[n]` → `[n, size]`."""
        at = np.asarray(x, dtype=np.float64)[:, None]
        order = np.arange(1, self.size + 1)
        if self.kind == "monomials":
            return at**order
        frequency = 2 * np.pi * ((order + 1) // 2)
        return np.where(order % 2 == 1, np.sin(frequency * at), np.cos(frequency * at))

    @property
    def domain(self) -> Box:
        return Box(np.zeros(1), np.ones(1))

    @property
    def distance(self) -> Floats:
        """Bounds on |φ_k − its interpolation| over [0, 1], `[size]`, a few ulps included."""
        order = np.arange(1, self.size + 1, dtype=np.float64)
        if self.kind == "monomials":
            bend = order * (order - 1)
        else:
            bend = (2 * np.pi * ((order + 1) // 2)) ** 2
        found: Floats = bend / (self.knots - 1) ** 2 / 8 + 1e-12 * (1 + bend)
        return found

    def network(self) -> Target:
        """The interpolation as a network 1 – knots − 1 – size: f(0) + Σ bends · max(0, x − knot).

        In- and out-weights are balanced, so that no subset sum has to reach farther than needed.
        """
        at = np.linspace(0.0, 1.0, self.knots)
        slopes = np.diff(self(at), axis=0) / np.diff(at)[:, None]
        bends = np.diff(slopes, axis=0, prepend=np.zeros((1, self.size)))
        scale = float(np.sqrt(max(1.0, np.abs(bends).max())))
        into = np.full((self.knots - 1, 1), scale)
        return Target((into, bends.T / scale), (-scale * at[:-1], self(at[:1])[0]))


@dataclass(frozen=True, eq=False)
class Universal:
    """A ticket of a basis, with its certificate over [0, 1]."""

    basis: Basis
    ticket: Ticket
    certificate: Certificate

    @staticmethod
    def of(basis: Basis, ticket: Ticket) -> Universal:
        """Certify a ticket that some construction found for `basis.network()`."""
        return Universal(basis, ticket, ticket.certified(basis.network(), basis.domain))

    def features(self, x: ArrayLike) -> Floats:
        """What the ticket computes: `[n]` → `[n, size]`."""
        return self.ticket(np.asarray(x, dtype=np.float64)[:, None])

    def evaluate(self, coefficients: ArrayLike, x: ArrayLike, constant: float = 0.0) -> Floats:
        """Σ c_k g_k(x) + constant, `[n]`: the ticket with its last linear layer."""
        found: Floats = self.features(x) @ self._checked(coefficients) + constant
        return found

    def bound(self, coefficients: ArrayLike) -> float:
        """How far that is from Σ c_k φ_k + constant anywhere in [0, 1], at most."""
        c = self._checked(coefficients)
        by_ticket = float(np.linalg.norm(c)) * self.certificate.upper
        return (by_ticket + float(np.abs(c) @ self.basis.distance)) * (1 + 1e-12)

    def fit(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, float]:
        """Coefficients and constant that bring the ticket nearest to values y at points x, both
        `[n]`, in least squares: training nothing but the last layer."""
        features = np.column_stack([self.features(x), np.ones(len(np.asarray(x)))])
        found = np.linalg.lstsq(features, np.asarray(y, dtype=np.float64), rcond=None)[0]
        return found[:-1], float(found[-1])

    def _checked(self, coefficients: ArrayLike) -> Floats:
        c = np.asarray(coefficients, dtype=np.float64)
        if c.shape != (self.basis.size,) or not np.isfinite(c).all():
            allowed = f"{self.basis.size} finite numbers, one a function"
            raise BadInput("coefficients", f"shape {c.shape}", allowed, "pass one each")
        return c

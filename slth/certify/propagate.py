"""How per-weight tolerances of the layers add up to a tolerance of the whole network.

Theorem. Let g's layer i map y to P_i y⁺ + Q_i y⁻ + c_i with |P_i - W_i|, |Q_i - W_i|, |c_i - b_i|
at most η_i entrywise, and let τ_i = η_i sqrt(n_i (n_{i-1} + 1)), or η_i sqrt(n_i n_{i-1}) for a
layer without bias. Then sup ||g - f|| <= Σ_i (Π_{k>i} (||W_k|| + τ_k)) τ_i B_{i-1}, where B_{i-1}
bounds ||(f_{i-1}, 1)|| over the domain (||f_{i-1}|| without bias).
Proof sketch. The residual r(y) of a layer has coordinates Σ_a ρ_ja(y_a) + const with
ρ_ja(s) = (ŵ_ja^{sgn s} - w_ja) s, which is η-Lipschitz and at most η |s|; so r is τ-Lipschitz and
||r(y)|| <= τ ||(y, 1)||. Hence layer i of g is (||W_i|| + τ_i)-Lipschitz, ReLU is 1-Lipschitz, and
E_i <= (||W_i|| + τ_i) E_{i-1} + τ_i B_{i-1}, from which the sum follows. ∎
Restates Orseau et al. (2020), lemma on error propagation, and Pensia et al. (2020), section 3, with
the target's own norms and layer inputs in place of worst-case ones and for two-sided gadgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from slth.certify.interval import target_ranges
from slth.certify.rounding import frobenius_upper, spectral_upper, up
from slth.domain import Ball, Domain
from slth.errors import BadInput
from slth.target import Target

if TYPE_CHECKING:
    from slth.bounds import TargetClass


@dataclass(frozen=True)
class Propagation:
    """Upper bounds on ||W_i|| and on the layer inputs B_{i-1}, and fan_i = n_i (n_{i-1} [+ 1])."""

    norms: tuple[float, ...]
    input_bounds: tuple[float, ...]
    fan: tuple[int, ...]

    def taus(self, etas: Sequence[float]) -> tuple[float, ...]:
        """τ_i = η_i sqrt(fan_i), rounded up."""
        self._check(etas, "etas")
        return tuple(up(e * float(np.sqrt(n)), 2) for e, n in zip(etas, self.fan, strict=True))

    def error_bound(
        self, etas: Sequence[float] | None = None, *, taus: Sequence[float] | None = None
    ) -> float:
        """The theorem's bound for per-weight tolerances `etas` (or layer tolerances `taus`),
        rounded outward; raises BadInput unless exactly one is given, non-negative, one a layer."""
        if (etas is None) == (taus is None):
            raise BadInput("etas", "both or neither of etas, taus", "exactly one", "drop one")
        tau = self.taus(etas) if etas is not None else tuple(taus if taus is not None else ())
        self._check(tau, "taus")
        error = 0.0
        for norm, bound, t in zip(self.norms, self.input_bounds, tau, strict=True):
            error = up((norm + t) * error + t * bound, 5) if error or t * bound else 0.0
        return error

    def tolerances(self, epsilon: float) -> tuple[float, ...]:
        """Per-weight tolerances η_i that split ε equally over the layers, solved from the last
        layer back; `error_bound(tolerances(ε)) <= ε` holds with every rounding counted."""
        if not (np.isfinite(epsilon) and epsilon > 0):
            raise BadInput("epsilon", epsilon, "a finite number > 0", "choose a tolerance")
        # A hundred ulps a layer pay for the outward rounding of error_bound.
        share = epsilon / len(self.norms) * (1 - 128 * len(self.norms) * 2.0**-52)
        gain, etas = 1.0, []
        for norm, bound, fan in reversed(list(zip(*self._columns(), strict=True))):
            # A layer whose inputs are all zero adds no error; its tolerance is then just finite.
            tau = share / (gain * bound) if gain * bound > 0 else share
            etas.append(tau / float(np.sqrt(fan)))
            gain *= norm + tau
        result = tuple(reversed(etas))
        if not (all(0 < eta < np.inf for eta in result) and self.error_bound(result) <= epsilon):
            got = f"{epsilon} for norms {self.norms}"
            raise BadInput("epsilon", got, "a tolerance float64 can split", "rescale the target")
        return result

    def _columns(self) -> tuple[tuple[float, ...], tuple[float, ...], tuple[int, ...]]:
        return self.norms, self.input_bounds, self.fan

    def _check(self, values: Sequence[float], name: str) -> None:
        if len(values) != len(self.norms) or not all(v >= 0 and np.isfinite(v) for v in values):
            allowed = f"{len(self.norms)} finite numbers >= 0, one a layer"
            raise BadInput(name, list(values), allowed, "pass one tolerance a layer")


def radius_of(domain: Domain) -> float:
    """An upper bound on ||x|| over the domain."""
    if isinstance(domain, Ball):
        return domain.radius
    return frobenius_upper(np.maximum(np.abs(domain.low), np.abs(domain.high)))


def class_propagation(target: TargetClass, biased: Sequence[bool]) -> Propagation:
    """The same for every target of a class: norms, and what norms and entries say of the inputs.

    biased: which layers have a bias vector. No bound is below `propagation`'s for any member.
    """
    size, bounds, fan = target.input_radius, [], []
    layers = zip(
        pairwise(target.dims), target.spectral_norms, target.max_entries, biased, strict=True
    )
    for (inputs, outputs), norm, entry, one in layers:
        bounds.append(up(float(np.hypot(size, 1.0)), 3) if one else size)
        fan.append(outputs * (inputs + one))
        offset = up(entry * float(np.sqrt(outputs)), 64) if one else 0.0
        size = up(norm * size + offset, 3)
    return Propagation(target.spectral_norms, tuple(bounds), tuple(fan))


def propagation(target: Target, domain: Domain) -> Propagation:
    """The target's norms and layer inputs over the domain; raises BadInput on other dimensions."""
    if domain.dimension != target.dims[0]:
        allowed = f"{target.dims[0]}, the target's input width"
        raise BadInput("domain", f"dimension {domain.dimension}", allowed, "match the dimensions")
    ranges = target_ranges(target, domain)
    size, norms, bounds, fan = radius_of(domain), [], [], []
    for i, (weight, bias) in enumerate(zip(target.weights, target.biases, strict=True)):
        norms.append(spectral_upper(weight))
        one = 0 if bias is None else 1
        bounds.append(up(float(np.hypot(size, 1.0)), 3) if one else size)
        fan.append(weight.shape[0] * (weight.shape[1] + one))
        offset = 0.0 if bias is None else frobenius_upper(bias)
        by_interval = frobenius_upper(np.maximum(ranges[i][1], 0.0))
        size = min(up(norms[-1] * size + offset, 3), by_interval)
    return Propagation(tuple(norms), tuple(bounds), tuple(fan))

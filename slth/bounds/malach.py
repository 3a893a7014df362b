"""Malach et al. (2020), theorem 2.1: one random neuron a weight, so a polynomial number of them.

A weight w is met by one neuron of a pool of K for positive inputs and one of another pool for
negative ones; the theorem's width is a polynomial that its statement does not name.

`factors`, explicit, derived here. The proof asks both factors to be right: |u − |w|| <= η/2 and
|v − sign w| <= η/2 give |uv − w| <= |u − |w|| + |u| |1 − |v|| <= η. Each is an interval of length
>= η/2 inside [0, 1] (or its mirror image), where a uniform value on [−1, 1] falls with probability
>= η/4, so a pool fails with probability <= (1 − η²/16)^K <= δ' for K = ⌈(16/η²) ln(1/δ')⌉.

`product`, explicit, derived here. Only the product matters. Given u > 0, of probability 1/2, the
product uv has density ln(1/|z|)/2 on (−1, 1), so one neuron is right with probability

    p(w) = (G(|w| + η) − G(|w| − η))/2,  G(t) = t (1 − ln t)/2 on [0, 1], 1/2 beyond, odd,

which falls in |w| because the density is even and falls. For weights up to M, K = ⌈ln(1/δ') /
−ln(1 − p(M))⌉. Since p(M) >= (η/4) ln(1/M), on the half window below M, this is at most
1 + (4/η) ln(1/δ') / ln(1/M): of order 1/η while M stays away from 1, as under the theorem's
hypothesis M = 1/sqrt(n_in), n_in >= 2. At M = 1 the density vanishes and K is of order 1/η² again.

Both use δ' = δ/Σ 2 d_{i-1} d_i and the per-weight error η_i = ε/(2 l sqrt(d_{i-1} d_i)) (see
`pensia`). The pools of different outputs share in-weights but no out-weights, so a hidden layer has
2 d_{i-1} K neurons and the union bound still holds. K is for one fixed target: masks for all
targets at once need an ln(1/η) more, which is not evaluated here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np

from slth.bounds import (
    Bound,
    Citation,
    ClosedForm,
    Floats,
    Kind,
    Provenance,
    Size,
    Statement,
    TargetClass,
    check_delta,
    check_epsilon,
    entry_failures,
    unit_class_failures,
)
from slth.bounds.pensia import diamond_size, even_tolerances, link_events
from slth.bounds.random_subset_sum import MARGIN
from slth.errors import BadInput

Form = Literal["factors", "product", "asymptotic"]


def pool_size(eta: float, delta: float) -> float:
    """K when both weights must be right: ⌈(16/η²) ln(1/δ)⌉, for any |w| <= 1.

    A float, exact below 2^53: pools of the theorem's own ε outgrow machine integers.
    """
    eta = min(float(check_epsilon(eta)), 2.0)
    return _ceiling(-16 / eta / eta * math.log(check_delta(delta)))


def pool_size_product(eta: float, delta: float, largest: float) -> float:
    """K when only the product must be right, for weights up to `largest` in [0, 1]."""
    if not 0 <= largest <= 1:
        raise BadInput("largest", largest, "a weight in [0, 1]", "rescale the target")
    chance = hit_probability(float(check_epsilon(eta)), largest)
    return _ceiling(math.log(check_delta(delta)) / math.log1p(-chance))


def hit_probability(eta: float, weight: float) -> float:
    """p: a neuron with u, v uniform on [−1, 1] has u > 0 and |uv − w| <= η; rounded down."""
    low, high = abs(weight) - eta, abs(weight) + eta
    if low <= 0:  # the window holds 0
        mass = _half_mass(high) + _half_mass(-low)
    elif high >= 1:
        gap = (1 - abs(weight)) + eta  # not 1 − low, which has lost η's last digits
        # ∫ over (low, 1): Σ gap^k/(2k(k−1)), positive terms, where the closed form cancels
        series = sum(gap**k / (2 * k * (k - 1)) for k in range(2, 9))
        mass = series if gap < 1e-2 else (gap + (1 - gap) * math.log1p(-gap)) / 2
    elif abs(weight) > 1 - 1e-6:
        mass = -eta * math.log(abs(weight)) / 2  # the half window below |w|; the rest may cancel
    else:
        t = eta / abs(weight)
        mass = (
            2 * eta * (1 - math.log(abs(weight))) - high * math.log1p(t) + low * math.log1p(-t)
        ) / 2
    return mass / 2 * (1 - MARGIN)


def _half_mass(t: float) -> float:
    """G(t) for t >= 0."""
    return 0.5 if t >= 1 else t * (1 - math.log(t)) / 2 if t > 0 else 0.0


def _ceiling(value: float) -> float:
    return float(max(1, math.ceil(value * (1 + MARGIN))))


@final
@dataclass(frozen=True)
class Malach(Bound):
    """Neurons per pool and layer; `asymptotic` is the restated polynomial rate."""

    form: Form = "factors"

    citation: ClassVar[Citation] = Citation(
        "E. Malach, G. Yehudai, S. Shalev-Shwartz, O. Shamir",
        2020,
        "Proving the Lottery Ticket Hypothesis: Pruning is All You Need",
        "2002.00585",
    )

    @property
    def statement(self) -> Statement:
        formula = {
            "factors": r"\lceil 16\eta_i^{-2}\ln(1/\delta')\rceil",
            "product": r"\lceil\ln(1/\delta')/(-\ln(1-p(M_i)))\rceil",
            "asymptotic": r"d^4\ell^2\epsilon^{-2}\log_2(d^2\ell/\epsilon)",
        }[self.form]
        asymptotic = self.form == "asymptotic"
        width = r"\mathrm{poly}(d,\ell,1/\epsilon,\log(1/\delta))" if asymptotic else r"2d_{i-1}K_i"
        return Statement(
            Kind.ASYMPTOTIC if asymptotic else Kind.EXPLICIT,
            Provenance.RESTATED if asymptotic else Provenance.DERIVED,
            r"Let $\|W_i\|\le 1$ and $|W_i|_{\max}\le d_{i-1}^{-1/2}$ for all $i\le\ell$. If $g$ "
            rf"has depth $2\ell$, i.i.d. weights $U[-1,1]$ and hidden widths ${width}$, then with "
            r"probability at least $1-\delta$ some mask $S$ of $g$ has "
            r"$\sup_{\|x\|\le 1}\|f(x)-g_S(x)\|\le\epsilon$.",
            formula,
            "source weights per target weight, up to a universal factor"
            if asymptotic
            else "neurons per pool, a layer",
            "error of the network over the unit ball",
        )

    @classmethod
    def variants(cls) -> tuple[Malach, ...]:
        return cls(), cls("product"), cls("asymptotic")

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, 1.0 if self.form == "asymptotic" else math.inf  # ours serve ε > 1 as 1

    def hypotheses(self, target: TargetClass) -> list[str]:
        largest = tuple(float(d) ** -0.5 for d in target.dims[:-1])
        return [*unit_class_failures(target), *entry_failures(target, largest)]

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        if self.form == "asymptotic":
            size = float(max(target.dims)) ** 2 * target.depth
            rate: Floats = (size / errors) ** 2 * np.log2(np.maximum(size / errors, 2.0))
            return rate
        each = delta / link_events(target)
        pools = [
            [
                self._pool(eta, each, entry)
                for eta, entry in zip(even_tolerances(target, e), target.max_entries, strict=True)
            ]
            for e in errors.flat
        ]
        return np.array(pools, dtype=np.float64).reshape(*errors.shape, target.depth)

    def _pool(self, eta: float, delta: float, entry: float) -> float:
        if self.form == "factors":
            return pool_size(eta, delta)
        return pool_size_product(eta, delta, min(entry, 1.0))

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        if self.form == "asymptotic":
            return None
        return diamond_size(target, self.ask(target, epsilon, delta).tolist())

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        depth, epsilon = target.depth, float(epsilon)
        if self.form == "asymptotic":
            whole = {"d": max(target.dims), "l": depth, "epsilon": epsilon}
            return ClosedForm("(d**2*l/epsilon)**2*log(Max(2, d**2*l/epsilon), 2)", (whole,))
        # eta is ε/(2l sqrt(ab)); N the number of pools
        shared = {"delta": delta, "N": link_events(target), "mu": MARGIN}
        each = tuple(
            {"eta": eta, "M": min(entry, 1.0), **shared}
            for eta, entry in zip(even_tolerances(target, epsilon), target.max_entries, strict=True)
        )
        if self.form == "factors":
            return ClosedForm("Max(1, ceiling((1 + mu)*16*log(N/delta)/eta**2))", each)
        mass = "{s}*Min({t}, 1)*(1 - log(Min({t}, 1)))/2"
        above = mass.format(s=1, t="(M + eta)")
        below = mass.format(s="sign(M - eta)", t="Abs(M - eta)")
        chance = f"(1 - mu)*({above} - {below})/2"
        return ClosedForm(f"Max(1, ceiling((1 + mu)*log(delta/N)/log(1 - {chance})))", each)

"""Natale et al. (2024): how sparse a strong ticket can be, by subset sums of a fixed size.

C(n, k) subsets have k of n elements, 2^{n H2(k/n)} up to a polynomial, H2 the binary entropy; so a
ticket of density γ needs about 1/H2(γ) times what a ticket of any density needs.

`asymptotic` (theorem 3): n_i = C log2²(2 l d_{i-1} d_i γ n_i/ε)/H2(γ) values per weight allow
subsets of exactly γ n_i values for every weight of every target of the unit class at once, with
probability >= 1 − ε. C is an existence constant. The rate leaves out γ n_i within the logarithm,
which adds only log log(1/ε).

`lower` (theorem 5): if every x ↦ Wx, W of shape [d, d], ||W|| <= sqrt(k), is within ε < 1/16, with
probability >= 1/2, of a network pruned from n to k parameters, then

    C(n, k) >= (sqrt(k)/(2ε))^{d²}/2,

from which the paper has n >= d² log2(k/ε)/(2 H2(k/n)). Evaluated is the inequality itself.

`packing`, derived here by the paper's steps: for a class with |P| targets more than 2ε apart (see
`counting`) and any δ, C(n, k) >= (1 − δ)|P|: each of the C(n, k) masks is within ε of at most one
of them.

Both ask for the least n at k = max(1, ⌊γn⌋), γ <= 1/2 (the paper allows k <= (1 − 1/(2π)) n). There
C(n, ⌊γn⌋) does not decrease in n: C(n + 1, k) >= C(n, k), and C(n + 1, k + 1) >= C(n + 1, k) while
k + 1 <= (n + 1)/2. The right side grows with k, so from a number m that n cannot be below, the
least n with C(n, ⌊γn⌋) >= (right side at m) is another; iterated from m = 1, this stops at an n
that satisfies the inequality while no smaller one does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
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
    architecture_failures,
    check_density,
    unit_class_failures,
)
from slth.bounds.counting import packing

MARGIN = 1e-9  # rounding must not lift a lower bound


def entropy(density: float) -> float:
    """H2(γ), in bits."""
    p, q = density, 1 - density
    return -(p * math.log2(p) + q * math.log1p(-p) / math.log(2)) if q > 0 else 0.0


def masks(n: int, k: int) -> float:
    """log2 C(n, k)."""
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)


def kept(n: int, density: float) -> int:
    """k = max(1, ⌊γn⌋), γ the simplest fraction that the double stands for."""
    return max(1, math.floor(n * Fraction(density).limit_denominator(10**9)))


def least_parameters(density: float, bits: float, growth: float = 0.0) -> int:
    """The least n with log2 C(n, k) >= bits + growth log2(k), k = kept(n), growth >= 0."""
    if bits <= 0:
        return 0
    least = 1
    while True:
        wanted = (bits + growth * math.log2(kept(least, density))) * (1 - MARGIN) - MARGIN
        found = _first(least, density, wanted)
        if found == least:
            return found
        least = found


def _first(least: int, density: float, wanted: float) -> int:
    """The first n >= least with that many bits of masks, which do not decrease in n."""

    def enough(n: int) -> bool:
        return masks(n, kept(n, density)) >= wanted

    low, high = least - 1, least
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@final
@dataclass(frozen=True)
class FixedSize(Bound):
    """What a ticket of that density costs: a rate per weight, or parameters of the source."""

    form: Literal["asymptotic", "lower", "packing"] = "asymptotic"
    density: float = 0.5

    citation: ClassVar[Citation] = Citation(
        "E. Natale, D. Ferre, G. Giambartolomei, F. Giroire, F. Mallmann-Trenn",
        2024,
        "On the Sparsity of the Strong Lottery Ticket Hypothesis",
    )

    def __post_init__(self) -> None:
        check_density(self.density, 0.5)

    @property
    def statement(self) -> Statement:
        if self.form == "asymptotic":
            return Statement(
                Kind.ASYMPTOTIC,
                Provenance.STATED,
                r"Let $\|W_i\|\le1$. If $g$ has depth $2\ell$, weights $U[-1,1]$ and hidden widths "
                r"$2d_{i-1}n_i$, $n_i=C\log_2^2(2\ell d_{i-1}d_i\gamma n_i/\epsilon)/H_2(\gamma)$, "
                r"then with probability at least $1-\epsilon$ every such $f$ is "
                r"$\epsilon$-approximated by subset sums of exactly $\gamma n_i$ values.",
                r"\log_2^2(2\ell d_{i-1}d_i/\epsilon)/H_2(\gamma)",
                "values per weight and layer, up to a universal factor",
                "error of the network over the unit ball",
            )
        stated = self.form == "lower"
        right = r"\frac{1}{2}(\sqrt{k}/(2\epsilon))^{d^2}" if stated else r"(1-\delta)|P|"
        chance = "1/2" if stated else r"1-\delta"
        members = (
            r"map $x\mapsto Wx$, $W\in\mathbb{R}^{d\times d}$, $\|W\|\le\sqrt{k}$,"
            if stated
            else r"target of a class with $|P|$ members more than $2\epsilon$ apart"
        )
        return Statement(
            Kind.EXPLICIT,
            Provenance.STATED if stated else Provenance.DERIVED,
            rf"If every {members} is within $\epsilon$ of a network pruned from $n$ to $k$ "
            rf"parameters, with probability at least ${chance}$, then "
            rf"$\binom{{n}}{{k}}\ge {right}$.",
            rf"\min\{{n:\ \binom{{n}}{{\gamma n}}\geq {right}\}}",
            "prunable weights of the source, at least, for a ticket of that density",
            "error of the network over the domain",
            "The least n is found by bisection, and again with the k that it implies until both "
            "agree.",
        )

    @classmethod
    def variants(cls) -> tuple[FixedSize, ...]:
        return cls(), cls("lower"), cls("packing")

    def hypotheses(self, target: TargetClass) -> list[str]:
        if self.form == "asymptotic":
            return unit_class_failures(target)
        failed = architecture_failures(target)
        if self.form == "packing":
            if target.inner_radius == 0:
                failed.append("The domain is not known to hold a ball around 0.")
            return failed
        if target.depth > 1 or target.dims[0] != target.dims[1]:
            failed.append(f"The theorem is about one square matrix; the widths are {target.dims}.")
        if target.inner_radius < 1:
            failed.append("The domain is not known to hold the unit ball.")
        return failed

    def silence(self, target: TargetClass, epsilon: float, delta: float) -> list[str]:
        failed = super().silence(target, epsilon, delta)
        if self.form != "lower":
            return failed
        if delta > 0.5:
            failed.append(f"The theorem asks for success with probability 1/2, not {1 - delta:g}.")
        n = float(self.evaluate(target, epsilon, delta))
        norm = math.sqrt(kept(int(n), self.density)) if n == n else 0.0
        if target.spectral_norms[0] < norm:
            failed.append(
                f"The theorem is about norms up to sqrt(k) = {norm:.6g}; "
                f"the class allows {target.spectral_norms[0]:.6g}."
            )
        return failed

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, {"asymptotic": 1.0, "lower": 1 / 16, "packing": math.inf}[self.form]

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        if self.form == "asymptotic":
            size = np.array([2.0 * target.depth * a * b for a, b in target.links])
            rate: Floats = (np.log2(size) - np.log2(errors)[..., None]) ** 2 / entropy(self.density)
            return rate
        if self.form == "packing":
            needed = packing(target, errors) + math.log2(1 - delta)
            growth = 0.0
        else:
            square = target.dims[0] ** 2
            needed, growth = -square * np.log2(2 * errors) - 1, square / 2
        counts = [least_parameters(self.density, float(bits), growth) for bits in needed.flat]
        return np.array(counts, dtype=np.float64).reshape(errors.shape)

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        if self.form == "asymptotic":
            return None
        return Size(weights=float(self.ask(target, epsilon, delta)), least=True)

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        if self.form != "asymptotic":
            return None
        shared = {"epsilon": float(epsilon), "l": target.depth, "gamma": self.density}
        bits = "(-gamma*log(gamma, 2) - (1 - gamma)*log(1 - gamma, 2))"
        return ClosedForm(
            f"log(2*l*a*b/epsilon, 2)**2/{bits}",
            tuple({"a": a, "b": b, **shared} for a, b in target.links),
        )

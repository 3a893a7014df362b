"""How many random values make every number of an interval a subset sum, up to a tolerance.

Setting: X_1, ..., X_n i.i.d. uniform on [-1, 1], I = [-1/2, 1/2], tolerance 2ε. Let f_0 indicate
|z| <= ε on I, f_{t+1}(z) = max(f_t(z), f_t(z − X_{t+1})) on I, and v_t the measure of {f_t = 1}:
numbers within ε of a subset sum. Because [z−1, z+1] contains I for z in I,

    E[v_{t+1} | past] = v_t (1 + (1 − v_t)/2),   v_t <= v_{t+1} <= min(2 v_t, 1),   v_0 = 2ε.

If 1 − v_n < ε, no interval of length ε in I is uncovered, so every z in I lies within 2ε of a
subset sum. Two ways on from there, both ours; the device is that of da Cunha et al. (2022), who
like Lueker (1998) leave the constant open:

`phases`. While v <= 1/2 the growth g = v_{t+1}/v_t has mean >= 5/4, and convexity of g^−θ on
[1, 2] gives E g^−θ <= q = 3/4 + 2^−θ/4; so v_t^−θ q^−t is a supermartingale until v > 1/2 and
n_1 steps suffice with probability 1 − δ_1. Then w = 1 − v has E w' = w(1 + w)/2 <= (3/4) w, and
Markov's inequality at w >= ε finishes with n_2 more steps.

`dynamic`. The failure probability is at most F_n(2ε), the value of the dynamic program that the
mean and the range of v_{t+1} allow (see `_coverage`): half the number of values, or fewer.

Other reaches and laws. Targets in [−R, R]: h = ⌈2R − 1⌉ extra values in [1/2, 1] and h in
[−1, −1/2], subtracted one by one, bring any target into I. The product v·max(0, u) of two uniforms
is uniform on [−1/2, 1/2] with probability p = ln 2 / 4 (its density ln(1/|z|)/4 is at least
ln(2)/4 there), and otherwise something else that need not be used: among N values Bin(N, p) are
uniform ones, which doubled reach the doubled target, R = 2.

All counts are rounded up with a margin (1e-9, relative) above the rounding of the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
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
)
from slth.errors import BadInput

Method = Literal["phases", "dynamic"]
MARGIN = 1e-9
MIXTURE = math.log(2) / 4


def n_rss(tolerance: float, delta: float, method: Method = "phases") -> int:
    """n: with probability >= 1 − δ, every z in [−1/2, 1/2] is within tolerance of a subset sum of
    n values uniform on [−1, 1]."""
    tolerance, delta = float(check_epsilon(tolerance)), check_delta(delta)
    if tolerance >= 0.5:
        return 0  # the empty set
    if method == "phases":
        return _phases(tolerance, delta)
    if method == "dynamic":
        from slth.bounds._coverage import least_steps

        return least_steps(tolerance, delta)
    raise BadInput("method", method, "'phases' or 'dynamic'", "pick one of these")


def n_rss_reach(tolerance: float, reach: float, delta: float, method: Method = "phases") -> int:
    """n: as `n_rss`, for every z in [−reach, reach]."""
    if not 0 <= reach < 1e6:
        raise BadInput("reach", reach, "a number in [0, 1e6)", "rescale the targets")
    extra = max(0, math.ceil(2 * reach - 1))
    if extra == 0 or reach <= tolerance:
        return n_rss(min(tolerance, 1.0), delta, method)
    return n_rss(tolerance, delta / 2, method) + min_trials(0.25, extra, delta / 4)


def n_rss_product(
    tolerance: float, delta: float, method: Method = "phases", reach: float = 1.0
) -> int:
    """n: with probability >= 1 − δ, every z in [−reach, reach] is within tolerance of a subset sum
    of n products v·max(0, u), with u and v uniform on [−1, 1]."""
    if reach <= tolerance:
        return 0
    usable = n_rss_reach(2 * tolerance, 2 * reach, delta / 2, method)
    return min_trials(MIXTURE, usable, delta / 2) if usable else 0


@cache
def min_trials(probability: float, successes: int, delta: float) -> int:
    """The least N with Pr[Bin(N, probability) < successes] <= δ (up to the margin, on top)."""
    from scipy.special import bdtr

    if successes <= 0:
        return 0

    def enough(n: int) -> bool:
        return bool(bdtr(successes - 1, n, probability) <= delta * (1 - MARGIN))

    low, high = successes - 1, 2 * successes
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:  # the tail decreases in N
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def ceil_up(value: float) -> int:
    """The ceiling, with the margin that the rounding of `value` may have eaten."""
    return math.ceil(value * (1 + MARGIN))


@cache
def _phases(tolerance: float, delta: float) -> int:
    epsilon = tolerance / 2
    splits = (i / 50 for i in range(1, 50))
    return min(
        _phase_one(epsilon, share * delta) + _phase_two(epsilon, (1 - share) * delta)
        for share in splits
    )


def _phase_one(epsilon: float, delta: float) -> int:
    """Steps until v > 1/2 with probability 1 − δ."""
    if 4 * epsilon >= 1:
        return 0
    gain, risk = -math.log(4 * epsilon), -math.log(delta)

    def steps(theta: float) -> float:
        return (theta * gain + risk) / -math.log1p((2.0**-theta - 1) / 4)

    return ceil_up(steps(_minimise(steps, 1e-3, 60.0)))


def _phase_two(epsilon: float, delta: float) -> int:
    """Steps from v > 1/2 until v > 1 − ε with probability 1 − δ."""
    return max(0, ceil_up(-(math.log(2 * epsilon) + math.log(delta)) / math.log(4 / 3)))


def _minimise(function: Callable[[float], float], low: float, high: float) -> float:
    """A near-minimiser by golden section; any argument is valid, so its accuracy is not trusted."""
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(60):
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, b) if function(a) < function(b) else (a, high)
    return (low + high) / 2


@final
@dataclass(frozen=True)
class RandomSubsetSum(Bound):
    """Values per weight such that one draw serves every weight up to the class's largest entry.

    law: `uniform` values on [−1, 1], or the `product` of two of them with the first cut at 0, as in
    a gadget's half. method: see the module. form: `asymptotic` is the paper's rate.
    """

    law: Literal["uniform", "product"] = "product"
    method: Method = "phases"
    form: Literal["explicit", "asymptotic"] = "explicit"

    citation: ClassVar[Citation] = Citation(
        "A. da Cunha, F. d'Amore, F. Giroire, H. Lesfari, E. Natale, L. Viennot",
        2022,
        "Revisiting the Random Subset Sum Problem",
        "2204.13929",
    )

    @property
    def statement(self) -> Statement:
        values = (
            r"X_k=v_k\max(0,u_k),\ u_k,v_k\sim U[-1,1]"
            if self.law == "product"
            else r"X_k\sim U[-1,1]"
        )
        if self.form == "asymptotic":
            return Statement(
                Kind.ASYMPTOTIC,
                Provenance.ASYMPTOTIC_ONLY,
                r"If $X_k\sim U[-1,1]$ are i.i.d. and $n=O(\log(1/\epsilon))$, then with high "
                r"probability every $z\in[-1/2,1/2]$ is within $\epsilon$ of a subset sum.",
                r"\log_2(1/\epsilon)",
                "values per weight, up to a universal factor",
                "tolerance per weight",
            )
        return Statement(
            Kind.EXPLICIT,
            Provenance.DERIVED,
            rf"If $n\ge n(\eta,\delta)$ and ${values}$ are i.i.d., then with probability at least "
            r"$1-\delta$ every $z$ with $|z|\le R$ has a subset $S$ with "
            r"$|z-\sum_{k\in S}X_k|\le\eta$.",
            rf"n_{{\mathrm{{{self.law}}}}}(\eta,\delta)",
            "values drawn per weight, for every layer's largest entry",
            "tolerance per weight",
            "A bound on the covered measure is minimised or iterated, and binomial tails are "
            "searched for the least number of values.",
        )

    @classmethod
    def variants(cls) -> tuple[RandomSubsetSum, ...]:
        return cls(), cls("uniform"), cls("uniform", form="asymptotic")

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, 1.0 if self.form == "asymptotic" else math.inf

    def hypotheses(self, target: TargetClass) -> list[str]:
        return []  # about numbers alone: any reach has its n

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        if self.form == "asymptotic":
            rate: Floats = -np.log2(errors)
            return rate
        counts = [[self._count(eta, r, delta) for r in target.max_entries] for eta in errors.flat]
        return np.array(counts, dtype=np.float64).reshape(*errors.shape, target.depth)

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        if self.form == "asymptotic":
            return None
        return Size(samples=tuple(self.ask(target, epsilon, delta).tolist()))

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        if self.form == "explicit":
            return None
        return ClosedForm("log(1/epsilon, 2)", ({"epsilon": float(epsilon)},))

    def _count(self, eta: float, reach: float, delta: float) -> int:
        if self.law == "product":
            return n_rss_product(eta, delta, self.method, reach)
        return n_rss_reach(eta, reach, delta, self.method)

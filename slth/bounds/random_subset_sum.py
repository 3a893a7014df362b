"""How many random values make every number of an interval a subset sum, up to a tolerance.

Setting: X_1, ..., X_n i.i.d. uniform on [-1, 1], I = [-1/2, 1/2], tolerance 2ε. Let f_0 indicate
|z| <= ε on I, f_{t+1}(z) = max(f_t(z), f_t(z − X_{t+1})) on I, and v_t the measure of {f_t = 1}:
numbers within ε of a subset sum. Because [z−1, z+1] contains I for z in I,

    E[v_{t+1} | past] = v_t (1 + (1 − v_t)/2),   v_t <= v_{t+1} <= min(2 v_t, 1),   v_0 = 2ε.

If 1 − v_n < ε, no interval of length ε in I is uncovered, so every z in I lies within 2ε of a
subset sum. Two ways on from there, both ours; the device is that of da Cunha et al. (2022), who
like Lueker (1998) leave the constant open:

`dynamic`. The failure probability is at most G_n(tolerance), the value of a dynamic program in
which Riesz's rearrangement inequality bounds how unevenly a new value may add (see `_coverage`).

`phases`. While v <= 1/2 the growth g = v_{t+1}/v_t has mean >= 5/4, and convexity of g^−θ on
[1, 2] gives E g^−θ <= q = 3/4 + 2^−θ/4; so v_t^−θ q^−t is a supermartingale until v > 1/2 and
n_1 steps suffice with probability 1 − δ_1. Then w = 1 − v has E w' = w(1 + w)/2 <= (3/4) w, and
Markov's inequality at w >= ε finishes with n_2 more steps. About three times as many values, by a
formula.

Other reaches. Uniform values serve [−R, R] by the program for a longer interval, or m extra values
bring a target z in (1/2, R] into I: while z > 1/2, subtract any of
the positive ones, each at most 1, so z stays above −1/2; they suffice if together they reach
R − 1/2. By Chernoff's bound they fail with probability at most e^{λ(R − 1/2)} (E e^{−λ X⁺})^m for
every λ > 0; the same extra values serve negative targets. (`phases` keeps an older, simpler count:
h = ⌈2R − 1⌉ values in [1/2, 1] and h in [−1, −1/2].)

Products. u·v has density ln(1/|z|)/2 on [−1, 1], which falls with |z|: of what a value adds to a
covered set of measure v the mean is least for a set at one end of the interval (see `_coverage`),
and a program with this mean and the range serves [−R, R], R <= 1, at once. Of N products
v·max(0, u) Bin(N, 1/2) have u > 0 and this law: failure Σ_k Pr[Bin(N, 1/2) = k] G_k. (`phases` sees
only that a product v·max(0, u) is uniform on [−1/2, 1/2] with probability ln(2)/4.)

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

Method = Literal["dynamic", "phases"]
MARGIN = 1e-9
CUT = 1 / 4  # c of a product whose first factor is cut at 0
FULL = 1 / 2  # c of a product of two uniform values
MIXTURE = CUT * math.log(2)
# below these, a tolerance and δ, "dynamic" would take long; "phases" steps in
DYNAMIC = (1e-12, 1e-30)
WIDEST = 2.0  # reach up to which a longer interval may pay
SHARES = (0.5, 0.2, 0.1, 0.05, 0.02)  # of δ, left to the extra values


def n_rss(tolerance: float, delta: float, method: Method = "dynamic") -> int:
    """n: with probability >= 1 − δ, every z in [−1/2, 1/2] is within tolerance of a subset sum of
    n values uniform on [−1, 1]."""
    tolerance, delta = float(check_epsilon(tolerance)), check_delta(delta)
    if tolerance >= 0.5:
        return 0  # the empty set
    if not by_program(tolerance, delta, method):
        return _phases(tolerance, delta)
    from slth.bounds._coverage import program

    return program(tolerance).least_steps(delta * (1 - MARGIN))


def n_rss_reach(tolerance: float, reach: float, delta: float, method: Method = "dynamic") -> int:
    """n: as `n_rss`, for every z in [−reach, reach]."""
    _check_reach(reach)
    tolerance, delta = float(check_epsilon(tolerance)), check_delta(delta)
    if reach <= 0.5 or reach <= tolerance:
        return n_rss(min(tolerance, 1.0), delta, method)
    if not by_program(tolerance, delta, method):
        extra = math.ceil(2 * reach - 1)
        return n_rss(tolerance, delta / 2, "phases") + min_trials(0.25, extra, delta / 4)
    found = [
        n_rss(tolerance, (1 - share) * delta) + extra_values(reach, share * delta)
        for share in SHARES
    ]
    if reach <= WIDEST and tolerance < reach:
        from slth.bounds._coverage import program, uniform

        found.append(program(tolerance, uniform, reach).least_steps(delta * (1 - MARGIN)))
    return min(found)


def n_rss_product(
    tolerance: float,
    delta: float,
    method: Method = "dynamic",
    reach: float = 1.0,
    scale: float = CUT,
) -> int:
    """n: with probability >= 1 − δ, every z in [−reach, reach] is within tolerance of a subset sum
    of n products v·max(0, u), with u and v uniform on [−1, 1]; scale=FULL for products u·v."""
    _check_reach(reach)
    tolerance, delta = float(check_epsilon(tolerance)), check_delta(delta)
    if scale not in (CUT, FULL):
        raise BadInput("scale", scale, f"{CUT} or {FULL}", "pick the law of the products")
    if reach <= tolerance:
        return 0
    probability = scale * math.log(2)
    if not by_program(tolerance, delta, method):
        usable = n_rss_reach(2 * tolerance, 2 * reach, delta / 2, "phases")
        return min_trials(probability, usable, delta / 2) if usable else 0
    if reach <= 1:
        return _least_products(tolerance, delta, max(0.5, reach), scale)
    return min(
        _least_products(tolerance, (1 - share) * delta, 1.0, scale)
        + _extra_products(reach, share * delta, scale)
        for share in SHARES
    )


@cache
def min_trials(probability: float, successes: int, delta: float) -> int:
    """The least N with Pr[Bin(N, probability) < successes] <= δ (up to the margin, on top)."""
    from scipy.special import betaincc

    if successes <= 0:
        return 0

    def enough(n: int) -> bool:
        tail = betaincc(successes, n - successes + 1, probability)
        return bool(tail <= delta * (1 - MARGIN))

    return _least(enough, successes - 1)


def ceil_up(value: float) -> int:
    """The ceiling, with the margin that the rounding of `value` may have eaten."""
    return math.ceil(value * (1 + MARGIN))


def by_program(tolerance: float, delta: float, method: Method) -> bool:
    """Whether the program is asked, not the formula."""
    if method not in ("dynamic", "phases"):
        raise BadInput("method", method, "'dynamic' or 'phases'", "pick one of these")
    return method == "dynamic" and tolerance >= DYNAMIC[0] and delta >= DYNAMIC[1]


def _check_reach(reach: float) -> None:
    if not 0 <= reach < 1e6:
        raise BadInput("reach", reach, "a number in [0, 1e6)", "rescale the targets")


def _least(enough: Callable[[int], bool], low: int) -> int:
    """The least integer above `low` that is enough, for a property that stays true."""
    high = 2 * low + 2
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@cache
def _least_products(tolerance: float, delta: float, reach: float, scale: float) -> int:
    """`n_rss_product` for [−reach, reach] by the program for products."""
    from scipy.special import gammaln

    from slth.bounds._coverage import product, program

    if tolerance >= reach:
        return 0
    run = program(tolerance, product, reach)
    if scale == FULL:
        return run.least_steps(delta * (1 - MARGIN))
    most = run.least_steps(delta / 50)
    curve = run.curve(most)  # beyond, its last value is an upper bound

    def enough(n: int) -> bool:
        k = np.arange(min(n, most) + 1)
        log_weights = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) - n * math.log(2)
        weights = np.exp(log_weights)
        failure = float(weights @ curve[: k.size]) + max(0.0, 1 - weights.sum()) * curve[k.size - 1]
        return bool(failure <= delta * (1 - MARGIN))

    return _least(enough, 0)


def extra_values(reach: float, delta: float) -> int:
    """m: with probability >= 1 − δ, m uniform values bring [−reach, reach] into [−1/2, 1/2]: the
    positive ones add up to reach − 1/2 at least, the negative ones likewise."""

    def enough(m: int) -> bool:
        return _too_small(_kept_uniform, reach - 0.5, m) <= delta * (1 - MARGIN)

    return _least(enough, 0)


@cache
def _extra_products(reach: float, delta: float, scale: float) -> int:
    """m: with probability >= 1 − δ, m products bring [−reach, reach] into [−1, 1]."""

    def enough(m: int) -> bool:
        return _too_small(lambda rate: _kept_product(rate, scale), reach - 1, m) <= delta * (
            1 - MARGIN
        )

    return _least(enough, 0)


def _kept_uniform(rate: float) -> float:
    """E e^{−λ X⁺} of a uniform value."""
    return 0.5 - 0.5 * math.expm1(-rate) / rate


def _kept_product(rate: float, scale: float) -> float:
    """E e^{−λ Y⁺} = 1 − c (1 − Ein(λ)/λ) of a product, with Ein(x) = γ + ln x + E_1(x)."""
    from scipy.special import exp1

    entire = np.euler_gamma + math.log(rate) + float(exp1(rate))
    return 1 - scale * (1 - entire / rate)


def _too_small(kept: Callable[[float], float], needed: float, count: int) -> float:
    """2 min_λ e^{λ needed} kept(λ)^count: Chernoff's bound, for either sign.

    1e-12 a value is above the rounding of kept, which cancels for the smallest λ.
    """

    def exponent(log_rate: float) -> float:
        rate = math.exp(log_rate)
        return rate * needed + count * (math.log(kept(rate)) + 1e-12)

    return 2 * math.exp(min(0.0, exponent(_minimise(exponent, math.log(1e-2), math.log(1e3)))))


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
    method: Method = "dynamic"
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
            "A bound on the covered measure is iterated (or minimised), and the least number of "
            "values is searched for.",
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

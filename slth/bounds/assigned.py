"""Assigned blocks: the theorem of Pensia et al. (2020) with neurons that choose their input.

In their construction a hidden neuron serves a fixed input in a fixed half, whatever its in-weights
are. But the mask is chosen after the draw, and every neuron has an in-weight from every input: it
may serve any of them, in the half that the sign allows. Derived here: a source of h_i hidden
neurons a layer pair is enough where theirs (in our explicit version) needs 2 d_{i-1} n_i.

Call a neuron *good* for (input a, half ±) if ±u_a >= c, for one c in (0, 1) of the layer, and
assign to each of the 2 d_{i-1} slots m good neurons, none to two. Whether that is possible depends
on which neurons are good alone, and fails with probability at most `_matching.match_failure` (Hall
1935): from h about 2 d_{i-1} m on hardly ever, once d_{i-1} (1 − c) is above about ten. If the
choice too depends on nothing else (`slth.assignment` keeps to that), then, given all of
it, the in-weights of the assigned neurons are independent and uniform on ±[c, 1], and the
out-weights are as they were drawn: every output has in every slot m independent products of the
law `_end_interval.Sharp(c)`, none wasted on a wrong sign and, for c near 1, nearly uniform values.
The rest is as for Pensia et al.: by the certified program for such products all weights in [−1, 1]
are met at once, each of 2 d_{i-1} d_i subset sums failing with probability δ_i, and the errors add
up as theirs.

One event serves every target: assignment and subset sums are about the source alone. MATCH of δ is
left to the assignments, the rest to the subset sums. For each layer a c is looked for with which h
is small; any would do. Proof: `proofs/assigned`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, final

import numpy as np

from slth.bounds import (
    Bound,
    Citation,
    Floats,
    Kind,
    Provenance,
    Size,
    Statement,
    TargetClass,
    check_delta,
    check_epsilon,
    unit_class_failures,
)
from slth.bounds._matching import least_neurons, match_failure
from slth.bounds.pensia import even_tolerances, link_events
from slth.bounds.random_subset_sum import (
    MARGIN,
    SHARES,
    Method,
    by_program,
    extra_values,
    min_trials,
    n_rss_reach,
)
from slth.errors import BadInput

MATCH = 0.1  # of δ, for the assignments
MISSED = 0.01  # chance of a slot short of a neuron, of `filled`
LATTICE = 1024  # least in-weights that `filled` tries are fractions of it
CHANCES = tuple(0.98 * 2 ** (-k / 2) for k in range(48))  # 1 − c that are tried
STRIDE = 4  # of them, at first
SLOPE = 1.6  # of the guess that c is chosen by


@dataclass(frozen=True)
class Plan:
    """What a layer pair needs: `each` neurons a slot, their in-weights of size `least` or more, and
    `neurons` in all to choose from."""

    each: int
    least: float
    neurons: int


@cache
def n_sharp(
    tolerance: float, delta: float, least: float, reach: float = 1.0, method: Method = "dynamic"
) -> int:
    """m: with probability >= 1 − δ, every z in [−reach, reach] is within tolerance of a subset sum
    of m products u·v, u uniform on [least, 1] and v on [−1, 1]."""
    if not 0 < least <= 1:
        raise BadInput("least", least, "a number in (0, 1]", "0 is n_rss_product(scale=FULL)")
    tolerance, delta = float(check_epsilon(tolerance)), check_delta(delta)
    if tolerance >= reach:
        return 0
    if not by_program(tolerance, delta, method):
        return _by_mixture(tolerance, delta, least, reach)
    from slth.bounds._end_interval import end_program

    if reach <= 1:
        run = end_program(tolerance, least, max(0.5, reach))
        return run.least_steps(delta * (1 - MARGIN))
    return min(
        n_sharp(tolerance, (1 - share) * delta, least)
        + extra_values((reach - 1) / least + 0.5, share * delta)  # u v⁺ is at least least·v⁺
        for share in SHARES
    )


def _by_mixture(tolerance: float, delta: float, least: float, reach: float) -> int:
    """`n_sharp` by a formula: with side s = max(c, ½), the law has density at least f(s) on
    [−s, s], so it is uniform there with probability 2 s f(s)."""
    side = max(least, 0.5)
    height = 0.5 if least == 1 else -math.log(side) / (2 * (1 - least))
    usable = n_rss_reach(tolerance / side, reach / side, delta / 2, "phases")
    return min_trials(min(1.0, 2 * side * height * (1 - MARGIN)), usable, delta / 2)


@cache
def plan(
    inputs: int,
    tolerance: float,
    delta: float,
    match_delta: float,
    reach: float = 1.0,
    method: Method = "dynamic",
) -> Plan:
    """A small plan for that many inputs.

    With probability >= 1 − match_delta every slot gets its neurons, and, given that, each subset
    sum serves [−reach, reach] with probability >= 1 − δ.
    """

    sharpest = n_sharp(tolerance, delta, 1.0, reach, method)

    def neurons(index: int) -> int:
        chance = CHANCES[index]
        each = sharpest + math.ceil(_more_values(delta, 1 - chance))
        return least_neurons(inputs, each, chance, match_delta)

    chance = CHANCES[_lowest(neurons, len(CHANCES))]
    each = n_sharp(tolerance, delta, 1 - chance, reach, method)
    return Plan(each, 1 - chance, least_neurons(inputs, each, chance, match_delta))


def _lowest(values: Callable[[int], int], count: int) -> int:
    """About where on 0 … count − 1 the values, which fall and then rise, are least."""
    seen = {0: values(0)}
    for index in range(STRIDE, count, STRIDE):
        seen[index] = values(index)
        if seen[index] > seen[index - STRIDE]:
            break
    step = STRIDE
    while step > 1:
        step //= 2
        best = min(seen, key=lambda k: (seen[k], k))
        for index in (best - step, best + step):
            if 0 <= index < count:
                seen[index] = values(index)
    return min(seen, key=lambda k: (seen[k], k))


def _more_values(delta: float, least: float) -> float:
    """About by how much n_sharp at c exceeds that at 1: enough to choose c by.

    Sets of measure 1, half of J, grow most rarely: a value doubles them with probability p at
    least, so that ln(1/δ)/ln(1/(1 − p)) values may fail to. The factor fits what n_sharp then says.
    """

    from slth.bounds._end_interval import Sharp

    def rate(c: float) -> float:
        half, whole = Sharp(c).twice(np.array([1.0, 2.0])).tolist()
        return -math.log1p(2 * half - whole)

    return SLOPE * -math.log(delta) * (1 / rate(least) - 1 / rate(1.0))


def plans(
    target: TargetClass, etas: Sequence[float], delta: float, method: Method = "dynamic"
) -> tuple[Plan, ...]:
    """A plan a layer: with probability >= 1 − δ every slot gets its neurons and every weight of
    every target of the class is met within η_i. Raises BadInput unless there is an η a layer."""
    if len(etas) != target.depth:
        raise BadInput("etas", len(etas), f"{target.depth}, one a layer", "pass one a layer")
    match, each = shares(target, delta)
    reach = (max(1.0, entry) for entry in target.max_entries)
    return tuple(
        plan(inputs, eta, each, match, r, method)
        for (inputs, _), eta, r in zip(target.links, etas, reach, strict=True)
    )


def shares(target: TargetClass, delta: float) -> tuple[float, float]:
    """Of δ: what each layer's assignment may fail with, and each subset sum."""
    match = MATCH * check_delta(delta) / target.depth
    return match, (1 - MATCH) * delta * (1 - MARGIN) / link_events(target)


def filled(inputs: int, neurons: int, halves: int = 2) -> Plan:
    """For a width that is given, not asked for: as many neurons a slot as the assignment can give
    every slot, but for a chance of MISSED, and the largest least in-weight with which it can.

    halves: slots an input. Where not even one a slot is that sure, one is asked for all the same.
    """

    def fails(each: int, least: int) -> bool:
        return match_failure(inputs, neurons, each, 1 - least / LATTICE, halves) > MISSED

    most = neurons // (halves * inputs)
    each = bisect_left(range(1, most + 1), True, key=lambda m: fails(m, 1))
    least = bisect_left(range(1, LATTICE), True, key=lambda k: fails(max(1, each), k))
    return Plan(max(1, each), max(1, least) / LATTICE, neurons)


@final
@dataclass(frozen=True)
class Assigned(Bound):
    """Hidden neurons a layer pair, each free to serve any input in either half.

    method: how the values of a slot are counted, see `random_subset_sum`.
    """

    method: Method = "dynamic"

    citation: ClassVar[Citation] = Citation(
        "A. Pensia, S. Rajput, A. Nagle, H. Vishwakarma, D. Papailiopoulos",
        2020,
        "Optimal Lottery Tickets via SubsetSum: Logarithmic Over-Parameterization is Sufficient",
        "2006.07990",
    )

    @property
    def statement(self) -> Statement:
        return Statement(
            Kind.EXPLICIT,
            Provenance.DERIVED,
            r"Let $\|W_i\|\le 1$ for all $i\le\ell$. If $g$ has depth $2\ell$, i.i.d. weights "
            r"$U[-1,1]$ and hidden widths $d_1,\dots,d_{\ell-1}$ with $h_i$ neurons before each "
            r"$W_i$, then with probability at least $1-\delta$ every such $f$ has a mask $S$ with "
            r"$\sup_{\|x\|\le 1}\|f(x)-g_S(x)\|\le\epsilon$, in which every neuron serves one "
            r"input of its own choice.",
            r"h(2d_{i-1},\ m(\eta_i,\delta/\sum_k 2d_{k-1}d_k))",
            "hidden neurons of a layer pair",
            "error of the network over the unit ball",
            "For each of many least in-weights, the coverage program counts the values of a slot "
            "and Hall's condition the neurons; the smallest number of neurons is taken.",
        )

    def hypotheses(self, target: TargetClass) -> list[str]:
        return unit_class_failures(target)

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        widths = [[p.neurons for p in self.plans(target, e, delta)] for e in errors.flat]
        return np.array(widths, dtype=np.float64).reshape(*errors.shape, target.depth)

    def plans(self, target: TargetClass, epsilon: float, delta: float) -> tuple[Plan, ...]:
        """What each layer pair needs for a network within ε."""
        return plans(target, even_tolerances(target, epsilon), delta, self.method)

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        self.ask(target, epsilon, delta)
        needs = self.plans(target, epsilon, delta)
        links = tuple(zip(needs, target.links, strict=True))
        widths = [float(w) for p, (_, b) in links for w in (p.neurons, b)]
        weights = sum(float(p.neurons) * (a + b) for p, (a, b) in links)
        return Size(tuple(float(p.each) for p in needs), tuple(widths[:-1]), weights)

"""Neurons that choose their input: how many give every (input, half) its share of good ones.

Theorem. Let d inputs and h neurons have independent in-weights uniform on [−1, 1], 0 < c < 1,
τ = 1 − c, m >= 1. With q_r = (1 − τ)^max(0, r−d) (1 − τ/2)^min(r, 2d−r) and k_r = m r − 1 the
neurons can be assigned, each to one of the 2d slots (input, half), so that every slot has m neurons
whose in-weight from its input has the half's sign and size at least c, but for an event of
probability at most

    Σ_{r=1}^{2d} C(2d, r) B_r,   B_r = (p h/k)^k ((1 − p) h/(h − k))^(h−k) at p = 1 − q_r, k = k_r,

where B_r = 1 unless k <= p h. If the choice looks only at which in-weights have size at least c,
and at their signs, then, given all that, the sizes of the assigned in-weights are independent and
uniform on [c, 1]; their products with out-weights uniform on [−1, 1] have on (−1, 1) the density
f(z) = ln(1/max(c, |z|))/(2 (1 − c)), which falls in |z|.

Proof. (1) A neuron is good for half + of an input with probability τ/2, for − with τ/2, for both
never, independently over inputs and neurons. A set S of r slots with both halves of f inputs and
one half of g others has r = 2f + g, f + g <= d, hence f >= r − d; the neuron is good for none of S
with probability (1 − τ)^f (1 − τ/2)^g. (2) As 1 − τ <= (1 − τ/2)², that is largest where f is
least: q_r. (3) By Hall's (1935) theorem, each slot taken m times, an assignment exists unless some
S has fewer than m r good neurons. (4) Their number is binomial with a chance p >= 1 − q_r. For
0 < z <= 1 Markov's inequality gives Pr(Bin <= k) <= z^−k (1 − p + p z)^h, which at
z = k (1 − p)/(p (h − k)) is B_r, and z <= 1 as k <= p h. A smaller p only makes Pr larger, so
p = 1 − q_r is allowed. (5) There are C(2d, r) sets of r slots: add up (where an input has one half
only, f = 0 and the sets are C(d, r) for r <= d). (6) Given that |u| >= c and
u's sign, |u| is uniform on [c, 1], and in-weights are independent, so they are so given all their
signs and which are that large; the choice is a function of those. (7) Given u the product has
density 1/(2u) on [−u, u]; its mean over u in [c, 1] is f. ∎

f falls: by `proofs.end_convex` and `proofs.coverage_program` the coverage program applies with it,
or with any falling f_0 <= f. With a share μ of δ for
the l layers' assignments and the rest for their Σ 2 d_{i−1} d_i subset sums, all succeed with
probability 1 − δ, and `proofs.pensia_propagation` adds up the errors.

What is checked. (1) and (2) for all sets of up to four inputs, and (2)'s inequality for all reals;
Hall's condition against the library's assignment for all graphs of one and two inputs and few
neurons; (4) for all reals, and exact binomials; the whole bound against exact probabilities;
(6) for the library's assignment on a lattice, draw by draw; (7) and the library's Φ for all reals;
widths that the library asks for, in balls.

What is not. The theorems named as assumed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations, combinations_with_replacement, product
from math import comb, factorial, prod
from typing import Any

from proofs import Step
from proofs.checkers import Implication, ball

Pattern = tuple[int, ...]  # of a neuron and input: good for half + (1), half − (−1) or neither (0)
EIGHTHS = [Fraction(i, 8) for i in range(1, 8)]


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ d <= 4, sets S of slots, τ in {1/8, …, 7/8}: a neuron is good for none of S with "
            "probability (1 − τ)^f (1 − τ/2)^g <= q_|S|",
            "exact",
            lambda: missed(),
            {"halves are good independently": lambda: missed(exclusive=False)},
            {"q_r = (1 − τ)^r": lambda: missed(power=2)},
        ),
        Step("∀ 0 < τ < 1: 0 < 1 − τ <= (1 − τ/2)²", "smt", both_halves),
        Step(
            "∀ finite bipartite graphs, demands m: all can be met unless some set S of slots has "
            "fewer than m |S| neighbours (Hall 1935)",
            "assumed",
        ),
        Step(
            "∀ patterns of up to 5 neurons for one input (m <= 2), of 4 for two (m = 1): the "
            "library's assignment is complete if and only if Hall's condition holds, and valid",
            "exact",
            lambda: halls(),
            {
                "a neuron may serve both slots that it is good for": lambda: halls(shared=True),
                "no path is looked for": lambda: halls(paths=False),
            },
        ),
        Step(
            "∀ h <= 6: Σ_b C(h, b) p^b (1 − p)^(h−b) z^b = (1 − p + p z)^h",
            "symbolic",
            lambda: generating(),
            altered={"it is (1 + p z)^h": lambda: generating(rest=0)},
        ),
        Step("∀ b <= k: 1 <= z^(b−k) for 0 < z <= 1; ∀ Z >= 0: Pr(Z >= 1) <= E Z", "assumed"),
        Step(
            "∀ 0 < k < h, 0 < p < 1, z = k (1 − p)/(p (h − k)): 1 − p + p z = (1 − p) h/(h − k), "
            "so z^−k (1 − p + p z)^h = (p h/k)^k ((1 − p) h/(h − k))^(h−k)",
            "symbolic",
            lambda: at_best(),
            altered={"z = k/(p (h − k))": lambda: at_best(rest=0)},
        ),
        Step("∀ 0 < k <= p h, k < h, p < 1: 0 < k (1 − p)/(p (h − k)) <= 1", "smt", z_at_most_1),
        Step(
            "∀ p <= p': Bin(h, p') is stochastically larger (the same uniform numbers decide)",
            "assumed",
        ),
        Step(
            "∀ h <= 12, p in {1/8, …, 7/8}, k <= p h: Pr(Bin(h, p) <= k) <= B",
            "exact",
            lambda: binomials(),
            {"k may exceed p h": lambda: binomials(all_k=True)},
            {"B²": lambda: binomials(power=2)},
        ),
        Step("∀ events: Pr(a union) <= the sum of their Pr", "assumed"),
        Step(
            "∀ d <= 2, few neurons, m <= 2, τ in {1/4, 1/2, 3/4}: the exact chance of no "
            "assignment is at most Σ_r C(2d, r) B_r, with one half an input Σ_r C(d, r) B_r",
            "exact",
            lambda: whole(),
            {"a neuron is good half as often": lambda: whole(rarer=2)},
            {"C(2d, r) is left out": lambda: whole(count=False)},
        ),
        Step(
            "∀ independent in-weights, sets A of values: given which lie in A, those that do are "
            "independent and have their law given A; a function of the former changes nothing",
            "assumed",
        ),
        Step(
            "∀ draws of 2 in-weights each for 2 neurons from {±1, ±2, ±3}, for 3 without −1, good "
            "from 2 on: "
            "the library assigns to each slot as often a neuron of size 2 as of 3, whatever the "
            "sizes of the others",
            "exact",
            lambda: sizes(),
            {"the largest good in-weight is chosen": lambda: sizes(greedy=True)},
        ),
        Step(
            "∀ 0 < r < c and c < r < 1: ∫_max(c, r)^1 du/(2u (1 − c)) = ln(1/max(c, r))/(2(1 − c))",
            "symbolic",
            lambda: density(),
            altered={"it is ln(1/max(c, r))/2": lambda: density(cut=0)},
        ),
        Step("∀ 0 < c < 1, z > 0: −1/(2 z (1 − c)), the slope of f beyond c, is < 0", "smt", falls),
        Step(
            "∀ 0 < c < 1: the library's Φ has Φ'' = f up to c, up to 1 and beyond, Φ(0) = Φ'(0) = "
            "0, and no jump or kink at c and 1; at c → 1 it is the uniform law's",
            "symbolic",
            lambda: potential(),
            altered={"f is ln(1/z) beyond c": lambda: potential(factor=2)},
        ),
        Step(
            "∀ l, N, δ, μ: l (μ δ/l) + N ((1 − μ) δ/N) = δ",
            "symbolic",
            lambda: shares(),
            altered={"each subset sum may fail with δ/N": lambda: shares(left=0)},
        ),
        Step(
            "∀ (d, m, τ, δ) in a list, h the library's width: Σ_r C(2d, r) B_r <= δ",
            "interval",
            lambda: widths(),
            {"2 % of the neurons are missing": lambda: widths(Fraction(98, 100))},
        ),
    )


def missed(exclusive: bool = True, power: int = 1) -> Iterator[tuple[Fraction, Fraction]]:
    """A neuron's patterns are added up; False: each half is good with τ/2, whatever the other."""
    for inputs, tau in product(range(1, 5), EIGHTHS[:: 3 if exclusive else 1]):
        half = tau / 2
        if exclusive:
            states = {(0, 0): 1 - tau, (1, 0): half, (0, 1): half}
        else:
            one = {0: 1 - half, 1: half}
            states = {(a, b): one[a] * one[b] for a in one for b in one}
        slots = list(product(range(inputs), range(2)))
        for size in range(1, 2 * inputs + 1):
            for chosen in combinations(slots, size):
                f = sum((a, 0) in chosen and (a, 1) in chosen for a in range(inputs))
                chance = prod(
                    sum(
                        weight
                        for state, weight in states.items()
                        if not any(state[s] for b, s in chosen if b == a)
                    )
                    for a in range(inputs)
                )
                claimed = (1 - tau) ** f * (1 - half) ** (size - 2 * f)
                yield chance, claimed
                yield claimed, chance
                yield chance, none_of(inputs, size, tau) ** power


def none_of(inputs: int, size: int, tau: Fraction) -> Fraction:
    """q_r."""
    singles = min(size, 2 * inputs - size)
    return (1 - tau) ** max(0, size - inputs) * (1 - tau / 2) ** singles


def both_halves() -> Implication:
    import z3

    tau = z3.Real("tau")
    return Implication(
        {"τ > 0": tau > 0, "τ < 1": tau < 1},
        z3.And(1 - tau > 0, 1 - tau <= (1 - tau / 2) * (1 - tau / 2), 1 - tau / 2 < 1),
    )


def fulfilled(patterns: tuple[Pattern, ...], each: int, halves: int = 2) -> bool:
    """Hall's condition for neurons with these patterns, and for half + alone if `halves` is 1."""
    slots = [(a, s) for a in range(len(patterns[0])) for s in (1, -1)[:halves]]
    return all(
        sum(any(pattern[a] == s for a, s in chosen) for pattern in patterns) >= each * size
        for size in range(1, len(slots) + 1)
        for chosen in combinations(slots, size)
    )


def halls(shared: bool = False, paths: bool = True) -> Iterator[tuple[int, int]]:
    for inputs, counts_of, demands in ((1, range(1, 6), (1, 2)), (2, (4,), (1,))):
        for neurons, each in product(counts_of, demands):
            for patterns in product(product((0, 1, -1), repeat=inputs), repeat=neurons):
                served = slots_of(patterns, each, paths)
                counts = Counter(served)
                if shared:  # what a slot could have for itself
                    counts = Counter(
                        2 * a + (s < 0) for pattern in patterns for a, s in enumerate(pattern) if s
                    )
                complete = all(counts[slot] >= each for slot in range(2 * inputs))
                holds = fulfilled(patterns, each)
                yield int(complete), int(holds)
                yield int(holds), int(complete)
                for pattern, slot in zip(patterns, served, strict=True):
                    yield int(slot >= 0 and pattern[slot // 2] != 1 - 2 * (slot % 2)), 0


def slots_of(patterns: tuple[Pattern, ...], each: int, paths: bool = True) -> tuple[int, ...]:
    """The library's assignment; paths=False: what a neuron gets at first is what it keeps."""
    import numpy as np

    from slth.assignment import assign, good_slots

    rows = np.array(patterns, dtype=np.float64)
    if paths:
        return tuple(assign(good_slots(rows.shape[1], [rows], 1.0), each).slot.tolist())
    left, served = Counter(dict.fromkeys(range(2 * rows.shape[1]), each)), []
    for pattern in patterns:
        wanted = [2 * a + (s < 0) for a, s in enumerate(pattern) if s]
        slot = max(wanted, key=lambda s: left[s], default=-1)
        slot = slot if slot >= 0 and left[slot] > 0 else -1
        left[slot] -= 1
        served.append(slot)
    return tuple(served)


def generating(rest: int = 1) -> list[Any]:
    import sympy

    p, z = sympy.symbols("p z", positive=True)
    return [
        sympy.expand(
            sum(comb(h, b) * p**b * (1 - p) ** (h - b) * z**b for b in range(h + 1))
            - (1 - rest * p + p * z) ** h
        )
        for h in range(1, 7)
    ]


def at_best(rest: int = 1) -> list[Any]:
    import sympy

    p, k, h = sympy.symbols("p k h", positive=True)
    z = k * (1 - rest * p) / (p * (h - k))
    mean = (1 - p) * h / (h - k)
    # in logarithms, −k ln z + h ln(mean) with each factor's logarithm a symbol of its own
    logs = {x: sympy.Symbol(f"ln_{x}") for x in ("p", "k", "h", "1-p", "h-k")}
    ln_z = logs["k"] + logs["1-p"] - logs["p"] - logs["h-k"]
    ln_mean = logs["1-p"] + logs["h"] - logs["h-k"]
    bound = k * (logs["p"] + logs["h"] - logs["k"]) + (h - k) * ln_mean
    return [
        sympy.simplify(1 - p + p * z - mean),
        sympy.expand(-k * ln_z + h * ln_mean - bound),
    ]


def z_at_most_1() -> Implication:
    import z3

    p, k, h, z = z3.Reals("p k h z")
    return Implication(
        {"k > 0": k > 0, "k <= p h": k <= p * h, "p < 1": p < 1},
        z3.And(z > 0, z <= 1),
        definitions=(z * p * (h - k) == k * (1 - p), h > k),
    )


def chernoff(neurons: int, most: int, p: Fraction) -> Fraction:
    """B; 1 where it is not claimed."""
    if not most <= p * neurons or most >= neurons:
        return Fraction(1)
    behind = ((1 - p) * neurons / (neurons - most)) ** (neurons - most)
    return behind * (p * neurons / most) ** most if most else behind


def binomials(all_k: bool = False, power: int = 1) -> Iterator[tuple[Fraction, Fraction]]:
    for h, p in product(range(1, 13), EIGHTHS):
        at_most = Fraction(0)
        for k in range(h):
            at_most += comb(h, k) * p**k * (1 - p) ** (h - k)
            if all_k and k > p * h:
                yield at_most, (p * h / k) ** k * ((1 - p) * h / (h - k)) ** (h - k)
            elif k <= p * h:
                yield at_most, chernoff(h, k, p) ** power


def whole(rarer: int = 1, count: bool = True) -> Iterator[tuple[Fraction, Fraction]]:
    cases = [(1, h, m) for h in range(1, 13) for m in (1, 2)]
    cases += [(2, h, 1) for h in range(1, 8)]
    for (inputs, neurons, each), quarter, halves in product(cases, (1, 2, 3), (1, 2)):
        tau = Fraction(quarter, 4)
        bound = sum(
            (comb(halves * inputs, r) if count else 1)
            * chernoff(neurons, each * r - 1, 1 - none_of(inputs, r, tau))
            for r in range(1, halves * inputs + 1)
        )
        yield no_assignment(inputs, neurons, each, tau / rarer, halves), Fraction(bound)


def no_assignment(inputs: int, neurons: int, each: int, tau: Fraction, halves: int = 2) -> Fraction:
    """The exact probability, over all multisets of patterns."""
    chance = {0: 1 - tau, 1: tau / 2, -1: tau / 2}
    patterns = list(product((0, 1, -1), repeat=inputs))
    total = Fraction(0)
    for drawn in combinations_with_replacement(patterns, neurons):
        if not fulfilled(drawn, each, halves):
            orders = factorial(neurons)
            for times in Counter(drawn).values():
                orders //= factorial(times)
            total += orders * prod(chance[state] for pattern in drawn for state in pattern)
    return total


def sizes(greedy: bool = False) -> Iterator[tuple[int, int]]:
    """Draws by the assignment and all sizes of the assigned: equally many of each."""
    for neurons, values in ((2, (-3, -2, -1, 1, 2, 3)), (3, (-3, -2, 1, 2, 3))):
        seen: Counter[tuple[Pattern, Pattern]] = Counter()
        known: dict[tuple[Pattern, ...], tuple[int, ...]] = {}
        for draw in product(product(values, repeat=2), repeat=neurons):
            patterns = tuple(
                tuple((abs(u) >= 2) * (1 if u > 0 else -1) for u in row) for row in draw
            )
            if patterns not in known:
                known[patterns] = slots_of(patterns, 1)
            served = known[patterns]
            if greedy:
                served = tuple(largest(row) for row in draw)
            chosen = tuple(
                abs(row[slot // 2]) for row, slot in zip(draw, served, strict=True) if slot >= 0
            )
            seen[served, chosen] += 1
        for served in {served for served, _ in seen}:
            count = sum(slot >= 0 for slot in served)
            numbers = [seen[served, chosen] for chosen in product((2, 3), repeat=count)]
            yield from ((max(numbers), number) for number in numbers)


def largest(row: Pattern) -> int:
    """The slot of the largest in-weight, if that is good."""
    a = max(range(len(row)), key=lambda a: abs(row[a]))
    return 2 * a + (row[a] < 0) if abs(row[a]) >= 2 else -1


def density(cut: int = 1) -> list[Any]:
    import sympy

    c, r, u = sympy.symbols("c r u", positive=True)
    rest = []
    for low in (c, r):
        claimed = sympy.log(1 / low) / (2 * (1 - cut * c))
        found = sympy.integrate(1 / (2 * u * (1 - c)), (u, low, 1))
        rest.append(sympy.simplify(sympy.expand_log(found - claimed, force=True)))
    return rest


def falls() -> Implication:
    import z3

    c, z, slope = z3.Reals("c z slope")
    return Implication(
        {"c < 1": c < 1, "z > 0": z > 0}, slope < 0, definitions=(slope * 2 * z * (1 - c) == -1,)
    )


def potential(factor: int = 1) -> list[Any]:
    """Φ as `slth.bounds._end_interval.Sharp` adds it up."""
    import sympy

    c, x = sympy.symbols("c x", positive=True)
    height = -sympy.log(c) / (2 * (1 - c))
    beyond = sympy.Rational(factor, 2) / (1 - c)

    def twice(s: Any) -> Any:
        return s**2 * (sympy.Rational(3, 4) - sympy.log(s) / 2)

    def tail(top: Any) -> Any:
        return twice(top) - twice(c) - (c - c * sympy.log(c)) * (top - c)

    near = height * x * (x / 2)
    line = height * c * (c / 2 + x - c)
    middle = line + beyond * tail(x)
    far = line + beyond * (tail(sympy.Integer(1)) + (1 - c + c * sympy.log(c)) * (x - 1))
    density = sympy.log(1 / x) / (2 * (1 - c))
    rest = [
        sympy.diff(near, x, 2) - height,
        sympy.expand_log(sympy.diff(middle, x, 2) - density, force=True),
        sympy.diff(far, x, 2),
        near.subs(x, 0),
        sympy.diff(near, x).subs(x, 0),
    ]
    for before, after, at in ((near, middle, c), (middle, far, sympy.Integer(1))):
        rest.append((before - after).subs(x, at))
        rest.append((sympy.diff(before, x) - sympy.diff(after, x)).subs(x, at))
    rest.append(sympy.limit(height, c, 1) - sympy.Rational(1, 2))
    return [sympy.simplify(each) for each in rest]


def shares(left: int = 1) -> list[Any]:
    import sympy

    layers, sums, delta, mu = sympy.symbols("l N delta mu", positive=True)
    each = (1 - left * mu) * delta / sums
    return [sympy.simplify(layers * (mu * delta / layers) + sums * each - delta)]


def widths(share: Fraction = Fraction(1)) -> Iterator[tuple[Any, Fraction]]:
    from slth.bounds._matching import least_neurons

    for inputs, each, chance, delta in (
        (1, 60, 0.875, 2**-10),
        (16, 73, 0.1875, 2**-10),
        (100, 90, 0.0625, 2**-14),
        (784, 143, 1 / 64, 2**-10),
    ):
        neurons = int(share * least_neurons(inputs, each, chance, delta))
        yield hall_sum(inputs, neurons, each, Fraction(chance)), Fraction(delta)


def hall_sum(inputs: int, neurons: int, each: int, tau: Fraction) -> Any:
    """Σ_r C(2d, r) B_r, as a ball."""
    h, log_miss = ball(neurons), (ball(1 - tau).log(), ball(1 - tau / 2).log())
    total = ball(0)
    for r in range(1, 2 * inputs + 1):
        k = each * r - 1
        q = (max(0, r - inputs) * log_miss[0] + min(r, 2 * inputs - r) * log_miss[1]).exp()
        if k >= neurons or not k <= (1 - q) * neurons:
            total += comb(2 * inputs, r)
            continue
        exponent = (neurons - k) * (q * h / (neurons - k)).log()
        if k:
            exponent += k * ((1 - q) * h / k).log()
        total += comb(2 * inputs, r) * exponent.exp()
    return total

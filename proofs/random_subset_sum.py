"""How many uniform values make every number of an interval a subset sum: two phases.

Theorem. Let 0 < ε <= ¼, θ > 0, q = ¾ + 2^−θ/4, δ_1, δ_2 > 0 and X_1, ..., X_n independent, uniform
on [−1, 1]. If n >= n_1 + n_2 with

    n_1 >= (θ ln(1/(4ε)) + ln(1/δ_1)) / ln(1/q),   n_2 >= ln(1/(2εδ_2)) / ln(4/3),

then with probability at least 1 − δ_1 − δ_2 every z in I = [−½, ½] is within 2ε of a subset sum.

Proof. With v_t and w_t = 1 − v_t of `proofs.growth`, g = v_{t+1}/v_t lies in [1, 2]. (1) While
v <= ½, E g >= 5/4. (2) g^−θ is convex, hence at most its chord (2 − g) + (g − 1) 2^−θ on [1, 2], so
E g^−θ <= q. (3) So v_t^−θ q^−t, stopped when v > ½, has a nonincreasing mean, at most (2ε)^−θ.
(4) If v_{n_1} <= ½ it was not stopped and is at least 2^θ q^−n_1: by Markov's inequality that has
probability at most (4ε)^−θ q^n_1 <= δ_1. (5) Else w <= ½ from n_1 on, E w_{t+1} = E w_t (1 + w_t)/2
<= ¾ E w_t, so E w <= ½ (¾)^n_2 at the end; by Markov's inequality w >= ε has probability at most
(¾)^n_2/(2ε) <= δ_2. (6) If w < ε, no interval of length ε in I is uncovered: z in I lies in such an
interval, so within ε of a y with f_n(y) = 1, which is within ε of a subset sum. ∎

What is checked. Each step for all reals, the chord by the slopes that the mean value theorem gives;
that no hypothesis can be spared; the two-phase bound as a whole on a lattice of 9 points, with
exact probabilities for up to 40 values.

What is not. The theorems named as assumed. Logarithms and powers of a program: the tests hold the
library's counts against the hypotheses of this theorem with balls.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size

POINTS = 9
VALUES = 40


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ 0 < v <= ½, m = v (1 + (1 − v)/2): m/v >= 5/4",
            "smt",
            mean_growth,
        ),
        Step(
            "∀ θ, g > 0: the second derivative of g^−θ is θ (θ + 1) g^(−θ−2)",
            "symbolic",
            lambda: second_derivative(),
            altered={"it is θ² g^(−θ−2)": lambda: second_derivative(shift=0)},
        ),
        Step("∀ θ, p = g^(−θ−2) > 0: θ (θ + 1) p > 0", "smt", convex),
        Step(
            "∀ h with h'' >= 0, 1 < g < 2: h(g) − h(1) = a (g − 1) and h(2) − h(g) = b (2 − g) "
            "with a <= b (mean value theorem, thrice)",
            "assumed",
        ),
        Step(
            "∀ slopes a <= b: h(g) − h(1) = a (g − 1) ∧ h(2) − h(g) = b (2 − g) ∧ 1 <= g <= 2 "
            "⟹ h(g) <= (2 − g) h(1) + (g − 1) h(2)",
            "smt",
            chord,
        ),
        Step(
            "∀ m = E g >= 5/4, r = 2^−θ <= 1: (2 − m) + (m − 1) r <= ¾ + r/4 = q",
            "smt",
            mean_of_chord,
        ),
        Step(
            "∀ V = v^−θ q^−t >= 0, q > 0: the next mean is V (E g^−θ)/q <= V if E g^−θ <= q",
            "smt",
            supermartingale,
        ),
        Step(
            "∀ Z_t with E[Z_{t+1} | past] <= Z_t, stopped at a stopping time: E Z_n <= Z_0",
            "assumed",
        ),
        Step("∀ Z >= 0, c > 0: Pr(Z >= c) <= E Z / c (Markov)", "assumed"),
        Step(
            "∀ θ > 0, 0 < v: v^−θ falls in v, so it is at least 2^θ for v <= ½; "
            "(2ε)^−θ / 2^θ = (4ε)^−θ",
            "symbolic",
            lambda: powers(),
            altered={"(2ε)^−θ / 2^θ = (2ε)^−θ": lambda: powers(base=2)},
        ),
        Step("∀ r = 2^−θ in (0, 1): 0 < q = ¾ + r/4 < 1", "smt", rate),
        Step(
            "∀ n_1 >= (A + B)/L, L > 0: A − n_1 L <= −B, in logarithms (4ε)^−θ q^n_1 <= δ_1",
            "smt",
            enough,
        ),
        Step("∀ 0 <= w <= ½: w (1 + w)/2 <= ¾ w and w (1 + w)/2 <= ½", "smt", second_phase),
        Step(
            "∀ E <= c/2, E' <= ¾ E, c' = ¾ c: E' <= c'/2, so E w <= ½ (¾)^n_2 by induction",
            "smt",
            one_more_step,
        ),
        Step(
            "∀ c = (¾)^n_2 <= 2 ε δ_2, ε > 0, P <= E w/ε, E w <= c/2: P <= δ_2",
            "smt",
            second_markov,
        ),
        Step(
            "∀ z in I, 0 <= ε <= 1: an interval [a, a + ε] in I holds z",
            "smt",
            room,
        ),
        Step(
            "∀ z, y, s, ε: |z − y| <= ε ∧ |y − s| <= ε ⟹ |z − s| <= 2ε",
            "smt",
            twice,
        ),
        Step(
            "∀ A ⊂ B, C: |A| <= |B|, Pr(B ∪ C) <= Pr(B) + Pr(C) (measures)",
            "assumed",
        ),
        Step(
            "∀ n_1, n_2, n_1 + n_2 <= 40, θ = 1, 2 on the lattice: the chance of a gap is at most "
            "(4ε)^−θ q^n_1 + (¾)^n_2/(2ε)",
            "exact",
            lambda: lattice(),
            {
                "X is not negative": lambda: lattice(first=0),
                "X reaches eight times as far": lambda: lattice(reach=8 * POINTS),
            },
        ),
    )


def mean_growth() -> Implication:
    import z3

    v, g = z3.Reals("v g")
    return Implication(
        {"v > 0": v > 0, "v <= ½": v <= z3.RealVal("1/2")},
        g >= z3.RealVal("5/4"),
        definitions=(g * v == v * (1 + (1 - v) / 2),),
    )


def second_derivative(shift: int = 1) -> list[Any]:
    import sympy

    g, theta = sympy.symbols("g theta", positive=True)
    claimed = theta * (theta + shift) * g ** (-theta - 2)
    return [sympy.diff(g**-theta, g, 2) - claimed]


def convex() -> Implication:
    import z3

    theta, p = z3.Reals("theta p")
    return Implication({"θ > 0": theta > 0, "p > 0": p > 0}, theta * (theta + 1) * p > 0)


def chord() -> Implication:
    import z3

    g, a, b, at_1, at_g, at_2 = z3.Reals("g a b h(1) h(g) h(2)")
    return Implication(
        {
            "slope up to g": at_g - at_1 == a * (g - 1),
            "slope from g": at_2 - at_g == b * (2 - g),
            "a <= b": a <= b,
            "1 <= g": g >= 1,
            "g <= 2": g <= 2,
        },
        at_g <= (2 - g) * at_1 + (g - 1) * at_2,
    )


def mean_of_chord() -> Implication:
    import z3

    m, r = z3.Reals("m r")
    quarter = z3.RealVal("1/4")
    return Implication(
        {"m >= 5/4": m >= 5 * quarter, "r <= 1": r <= 1},
        (2 - m) + (m - 1) * r <= 3 * quarter + r * quarter,
    )


def supermartingale() -> Implication:
    import z3

    value, mean, q = z3.Reals("V E q")
    return Implication(
        {"V >= 0": value >= 0, "E g^−θ <= q": mean <= q, "q > 0": q > 0},
        value * mean / q <= value,
    )


def powers(base: int = 4) -> list[Any]:
    import sympy

    v, theta, eps = sympy.symbols("v theta epsilon", positive=True)
    slope = sympy.diff(v**-theta, v) + theta * v ** (-theta - 1)  # so negative
    start = (2 * eps) ** -theta / 2**theta - (base * eps) ** -theta
    return [slope, sympy.powdenest(sympy.expand_power_base(start), force=True)]


def rate() -> Implication:
    import z3

    r, q = z3.Reals("r q")
    return Implication(
        {"r > 0": r > 0, "r < 1": r < 1},
        z3.And(q > 0, q < 1),
        definitions=(q == z3.RealVal("3/4") + r / 4,),
    )


def enough() -> Implication:
    """A = θ ln(1/(4ε)), B = ln(1/δ_1), L = ln(1/q); phase two is the same with A = ln(1/(2ε))."""
    import z3

    n, a, b, rate = z3.Reals("n A B L")
    return Implication({"n is large": n >= (a + b) / rate, "L > 0": rate > 0}, a - n * rate <= -b)


def second_phase() -> Implication:
    import z3

    w, half = z3.Real("w"), z3.RealVal("1/2")
    after = w * (1 + w) / 2
    return Implication(
        {"w >= 0": w >= 0, "w <= ½": w <= half},
        z3.And(after <= z3.RealVal("3/4") * w, after <= half),
    )


def one_more_step() -> Implication:
    import z3

    mean, after, c = z3.Reals("E E' c")
    rate = z3.RealVal("3/4")
    return Implication(
        {"E <= c/2": mean <= c / 2, "E' <= ¾ E": after <= rate * mean}, after <= rate * c / 2
    )


def second_markov() -> Implication:
    import z3

    chance, mean, c, eps, delta = z3.Reals("P E c eps delta")
    return Implication(
        {
            "Markov": chance <= mean / eps,
            "E w <= c/2": mean <= c / 2,
            "c <= 2 ε δ_2": c <= 2 * eps * delta,
            "ε > 0": eps > 0,
        },
        chance <= delta,
    )


def room() -> Implication:
    import z3

    z, eps, a = z3.Reals("z eps a")
    half = z3.RealVal("1/2")
    return Implication(
        {"z >= −½": z >= -half, "z <= ½": z <= half, "ε >= 0": eps >= 0, "ε <= 1": eps <= 1},
        z3.And(-half <= a, a + eps <= half, a <= z, z <= a + eps),
        definitions=(a == z3.If(z + eps <= half, z, half - eps),),
    )


def twice() -> Implication:
    import z3

    z, y, s, eps = z3.Reals("z y s eps")
    return Implication(
        {"z is near y": size(z - y) <= eps, "y is near s": size(y - s) <= eps},
        size(z - s) <= 2 * eps,
    )


def lattice(first: int = -POINTS, reach: int = POINTS) -> Iterator[tuple[Fraction, Fraction]]:
    """I is 9 points, f_0 the middle one, X uniform on 2 · reach shifts from `first` on; 2ε = 1/9.

    A gap is a point that is not covered: w >= 1/9 = 2ε on the lattice, which Markov's inequality at
    ε holds all the more. Every difference of two points is exactly one shift.
    """
    first = -reach if reach > POINTS else first
    chance = gap_chances(first, 2 * reach)
    small = Fraction(1, POINTS)  # 2ε
    for n_1 in range(0, VALUES + 1, 4):
        for n_2 in range(0, VALUES + 1 - n_1, 4):
            for theta in (1, 2):
                q = Fraction(3, 4) + Fraction(1, 2**theta) / 4
                one = (2 * small) ** -theta * q**n_1
                yield chance[n_1 + n_2], one + Fraction(3, 4) ** n_2 / small


def gap_chances(first: int, count: int) -> list[Fraction]:
    """The chance that t values leave a point uncovered, t = 0, ..., VALUES, exactly."""
    everything = 2**POINTS - 1
    ways = {1 << (POINTS // 2): 1}
    chances = []
    for t in range(VALUES + 1):
        chances.append(1 - Fraction(ways.get(everything, 0), count**t))
        following: dict[int, int] = {}
        for points, number in ways.items():
            for x in range(first, first + count):
                moved = points << x if x >= 0 else points >> -x
                after = points | (moved & everything)
                following[after] = following.get(after, 0) + number
        ways = following
    return chances

"""The greedy decomposition behind logarithmic pruning, and why its base stops at the golden ratio.

Orseau, Hutter and Rivasplata (2020) decompose a weight into one number out of each of k geometric
intervals. Statement, proof and converse are derived here.

Theorem. Let γ > 1, α > 0, s_i = α γ^{−i}, w_i ∈ [s_{i+1}, s_i] for i < k, r_0 = w*, b_i = 1 if
r_i >= w_i and 0 otherwise, r_{i+1} = r_i − b_i w_i.
(a) If γ <= R <= 1/(γ − 1), then every w* ∈ [0, R α] has 0 <= w* − Σ_{i<k} b_i w_i <= R α γ^{−k}.
(b) Such an R exists iff γ <= φ = (1 + √5)/2, and γ is then one.
(c) If R > 0 is not in [γ, 1/(γ − 1)], so for every R > 0 if γ > φ, there are w* ∈ [0, R α] and an
endpoint w_0 of its interval with r_1 > R α γ^{−1}.
(d) If γ > φ, no bound C γ^{−k} holds whatever C and the range of targets: for every m there are
w* ∈ [0, s_m), endpoints w_i and D > 0 with r_k >= D for every k.

Proof. (a) 0 <= r_i <= R s_i passes from i to i + 1: if b_i = 1, then r_{i+1} <= R s_i − s_{i+1}
<= R s_{i+1} since R (γ − 1) <= 1; if b_i = 0, then r_{i+1} < w_i <= s_i <= R s_{i+1} since R >= γ.
(b) γ <= 1/(γ − 1) iff γ² <= γ + 1 iff γ <= φ. (c) If R < γ, take w_0 = s_0 and r_0 between R s_1
and min(1, R) s_0; if R (γ − 1) > 1, take w_0 = s_1 and r_0 = R s_0. (d) Take w_i = s_i for i <= m
and s_{m+1} < (γ − 1) w* < (γ − 1) s_m, which γ > φ allows: these weights are above the residual,
so r_{m+1} = w*. From there on take w_i = s_{i+1}: r_i >= D + s_i / (γ − 1) keeps true, with the
same D. ∎

What is checked. Every step for all reals, the induction for all i; that no hypothesis can be
spared; (a), (c) and (d) as a whole in exact rationals, on both sides of φ. `make prove-coq` has
(a), (b) and the steps of (d) checked by Coq's kernel where that is installed.

What is not. Rounding; that a random layer holds a weight in every interval (`hyperbolic`,
`filling`).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

from proofs import Step
from proofs.checkers import Implication

BELOW, ABOVE = Fraction(8, 5), Fraction(13, 8)  # Fibonacci ratios: 1.6 < φ = 1.618... < 1.625


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ γ <= R with R (γ − 1) <= 1, s > 0, s <= w <= γ s, 0 <= r <= R γ s: the greedy step "
            "r' has 0 <= r' <= R s",
            "smt",
            step,
        ),
        Step(
            "∀ i: if r_i = w* − Σ_{j<i} b_j w_j then r_{i+1} = w* − Σ_{j<=i} b_j w_j", "smt", taken
        ),
        Step("∀ γ > 1, R: γ <= R ∧ R (γ − 1) <= 1 ⟹ γ² <= γ + 1", "smt", window),
        Step("∀ γ: γ² <= γ + 1 ⟹ γ (γ − 1) <= 1, so R = γ serves", "smt", smallest),
        Step("∀ γ > 0: γ² <= γ + 1 ⟺ γ <= φ = (1 + √5)/2", "smt", threshold),
        Step(
            "∀ W, ε, γ^k > 0: R α = W ∧ W <= ε γ^k ⟹ R α γ^{−k} <= ε, so k = ⌈log_γ(W/ε)⌉ serves",
            "smt",
            intervals_needed,
        ),
        Step(
            "∀ γ > 1, s > 0, R > 0 outside [γ, 1/(γ − 1)]: some endpoint w ∈ {s/γ, s} and "
            "r ∈ [0, R s] have a greedy step r' > R s/γ",
            "smt",
            broken,
        ),
        Step(
            "∀ γ > φ, s > 0: w* = (s/(γ − 1) + γ s)/2 is below the weight γ s, and "
            "r' = w* >= D + s/(γ − 1) with D = w* − s/(γ − 1) > 0",
            "smt",
            escape,
        ),
        Step("∀ r < s_m <= s_i: the weight s_i is not taken, so r stays", "smt", skipped),
        Step(
            "∀ γ > 1, s > 0, D, r >= D + s/(γ − 1): with w = s/γ the greedy step has "
            "r' >= D + (s/γ)/(γ − 1) >= D",
            "smt",
            stuck,
        ),
        Step(
            "∀ k <= 5, weights at the endpoints, w* on a grid of [0, R]: 0 <= r_k <= R γ^{−k}, for "
            "γ = 3/2 with R = 2 and γ = 8/5 with R = 8/5",
            "exact",
            lambda: decompositions(((Fraction(3, 2), Fraction(2)), (BELOW, BELOW))),
            {
                "γ = 13/8 is just above φ": lambda: decompositions(((ABOVE, ABOVE),)),
                "γ = 13/8 and R = 1/(γ − 1)": lambda: decompositions(((ABOVE, 1 / (ABOVE - 1)),)),
                "R < γ": lambda: decompositions(((BELOW, Fraction(3, 2)),)),
                "R > 1/(γ − 1)": lambda: decompositions(((BELOW, Fraction(7, 4)),)),
                "w* may be 1/8 above R": lambda: decompositions(((BELOW, BELOW),), Fraction(1, 8)),
            },
            altered={"k counts one interval more": lambda: decompositions(((BELOW, BELOW),), k=6)},
        ),
        Step(
            "∀ k <= 40, m <= 3: at γ = 13/8 the weights and the target of (d) leave r_k >= D > 0",
            "exact",
            lambda: lost(ABOVE),
            {"γ = 8/5 is just below φ": lambda: lost(BELOW)},
        ),
    )


def greedy(r: Any, w: Any) -> Any:
    import z3

    return z3.If(r >= w, r - w, r)


def step() -> Implication:
    import z3

    gamma, big, s, w, r = z3.Reals("gamma R s w r")
    after = greedy(r, w)
    return Implication(
        {
            "γ <= R": gamma <= big,
            "R (γ − 1) <= 1": big * (gamma - 1) <= 1,
            "s > 0": s > 0,
            "s <= w": s <= w,
            "w <= γ s": w <= gamma * s,
            "r >= 0": r >= 0,
            "r <= R γ s": r <= big * gamma * s,
        },
        z3.And(after >= 0, after <= big * s),
    )


def taken() -> Implication:
    import z3

    target, r, w, total, after, total_after = z3.Reals("w* r w S r' S'")
    b = z3.If(r >= w, 1, 0)
    return Implication(
        {
            "r = w* − S": r == target - total,
            "the rule": after == r - b * w,
            "S' = S + b w": total_after == total + b * w,
        },
        after == target - total_after,
    )


def window() -> Implication:
    import z3

    gamma, big = z3.Reals("gamma R")
    return Implication(
        {"γ > 1": gamma > 1, "γ <= R": gamma <= big, "R (γ − 1) <= 1": big * (gamma - 1) <= 1},
        gamma * gamma <= gamma + 1,
    )


def smallest() -> Implication:
    import z3

    gamma = z3.Real("gamma")
    return Implication({"γ² <= γ + 1": gamma * gamma <= gamma + 1}, gamma * (gamma - 1) <= 1)


def golden(root: Any) -> dict[str, Any]:
    return {"√5 >= 0": root >= 0, "(√5)² = 5": root * root == 5}


def threshold() -> Implication:
    import z3

    gamma, root = z3.Reals("gamma root5")
    return Implication(
        {**golden(root), "γ > 0": gamma > 0},
        (gamma * gamma <= gamma + 1) == (gamma <= (1 + root) / 2),
    )


def intervals_needed() -> Implication:
    import z3

    range_, eps, power, big, alpha = z3.Reals("W eps gamma^k R alpha")
    return Implication(
        {
            "R α = W": big * alpha == range_,
            "W <= ε γ^k": range_ <= eps * power,
            "γ^k > 0": power > 0,
        },
        big * alpha / power <= eps,
    )


def broken() -> Implication:
    """The witnesses of (c); what they must obey is written out, so that none is a cheat."""
    import z3

    gamma, big, s = z3.Reals("gamma R s")

    def fails(w: Any, r: Any) -> Any:
        return z3.And(r >= 0, r <= big * s, greedy(r, w) > big * s / gamma)

    low = big * s / gamma
    high = z3.If(big < 1, big * s, s)
    return Implication(
        {
            "γ > 1": gamma > 1,
            "s > 0": s > 0,
            "R > 0": big > 0,
            "R is outside": z3.Or(big < gamma, big * (gamma - 1) > 1),
        },
        z3.Or(fails(s, (low + high) / 2), fails(s / gamma, big * s)),
    )


def escape() -> Implication:
    import z3

    gamma, root, s = z3.Reals("gamma root5 s")
    target = (s / (gamma - 1) + gamma * s) / 2
    gap = target - s / (gamma - 1)
    return Implication(
        {**golden(root), "γ > φ": gamma > (1 + root) / 2, "s > 0": s > 0},
        z3.And(gap > 0, target > 0, target < gamma * s, greedy(target, gamma * s) == target),
    )


def skipped() -> Implication:
    import z3

    r, low, w = z3.Reals("r s_m s_i")
    return Implication({"r < s_m": r < low, "s_m <= s_i": low <= w}, greedy(r, w) == r)


def stuck() -> Implication:
    import z3

    gamma, s, r, gap = z3.Reals("gamma s r D")
    after = greedy(r, s / gamma)
    return Implication(
        {"γ > 1": gamma > 1, "s > 0": s > 0, "the invariant": r >= gap + s / (gamma - 1)},
        z3.And(after >= gap + s / gamma / (gamma - 1), after >= gap),
    )


def residuals(target: Fraction, weights: Any) -> Iterator[Fraction]:
    for w in weights:
        target -= w if target >= w else 0
        yield target


def decompositions(
    pairs: tuple[tuple[Fraction, Fraction], ...], extra: Fraction = Fraction(0), k: int = 5
) -> Iterator[tuple[Fraction, Fraction]]:
    """Both ends of 0 <= r_k <= R γ^{−k} with α = 1; `extra` enlarges the range of targets."""
    for gamma, big in pairs:
        targets = [(big + extra) * n / 48 for n in range(49)]
        for ends in product((0, 1), repeat=5):
            weights = [gamma ** -(i + end) for i, end in enumerate(ends)]
            for target in targets:
                *_, r = residuals(target, weights)
                yield Fraction(0), r
                yield r, big * gamma**-k


def lost(gamma: Fraction) -> Iterator[tuple[Fraction, Fraction]]:
    """D against every residual of (d), and that the target is below s_m and D positive."""
    for m in range(4):
        s = [gamma**-i for i in range(42)]
        target = (s[m + 1] / (gamma - 1) + s[m]) / 2
        gap = target - s[m + 1] / (gamma - 1)
        yield Fraction(1), Fraction(int(gap > 0))
        yield Fraction(1), Fraction(int(target < s[m]))
        for r in residuals(target, [*s[: m + 1], *s[m + 2 :]]):
            yield gap, r

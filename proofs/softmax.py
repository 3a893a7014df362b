"""A softmax average moves by at most 2α tanh(η/2) when the logits move by η, whatever their number.

Otsuka et al. (2025, Lemma 5) bound it for η <= 1/2, with a factor that grows with the dimension.
Re-derived here without that factor and the restriction, with the best constant. The logits are what
the exponential sees: in attention, after they are scaled.

Theorem. Let p and q be the softmax of logits a and a + ε in R^T, |ε_t| <= η, and ||x_t|| <= α. Then
||Σ_t (p_t − q_t) x_t|| <= 2α tanh(η/2) <= α η. The constant is attained, for T = 2.

Proof. If p = q there is nothing to show. Let r = e^η >= 1 and A the t with q_t > p_t; neither A nor
its complement is empty. Let P, Q be the probabilities of A under p, q. Before they are normalised
the weights of q are p_t c_t, c_t = e^{ε_t} ∈ [1/r, r]. (1) By induction over the terms, these add
up to N <= r P over A and to N' >= (1 − P)/r over the rest. (2) So Q (1 − P) <= r² P (1 − Q).
(3) Hence Q − P <= (r − 1)/(r + 1), (4) which is tanh(η/2). (5) Σ |p_t − q_t| = 2 (Q − P), for the
differences add up to 0; so the norm is at most 2α (Q − P). (6) y − tanh y has the derivative
tanh² y >= 0 and is 0 at 0, so tanh y <= y for y >= 0. Attained: a = (η/2, −η/2), ε = (−η, η),
x = (α, −α). ∎

What is checked. Every step for all reals, T by induction; that no hypothesis can be spared; the
inequality on total variation in exact rationals for T <= 4; that it is attained.

What is not. The triangle inequality; that e^ε is positive and increases; the mean value theorem.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ d, x: ||Σ d_t x_t|| <= Σ |d_t| ||x_t||; ∀ |ε| <= η: e^{−η} <= e^ε <= e^η", "assumed"
        ),
        Step(
            "∀ p >= 0, c <= r: N <= r P ⟹ N + p c <= r (P + p); from 0 <= r · 0",
            "smt",
            above,
        ),
        Step(
            "∀ p >= 0, r c >= 1: r N >= P ⟹ r (N + p c) >= P + p; from r · 0 >= 0",
            "smt",
            below,
        ),
        Step(
            "∀ N, N' > 0: N <= r P ∧ r N' >= 1 − P ∧ Q = N/(N + N') ⟹ Q (1 − P) <= r² P (1 − Q)",
            "smt",
            odds,
        ),
        Step(
            "∀ P >= 0, Q, r >= 1: Q (1 − P) <= r² P (1 − Q) ⟹ Q − P <= (r − 1)/(r + 1)",
            "smt",
            variation,
        ),
        Step(
            "∀ η: (e^η − 1)/(e^η + 1) = tanh(η/2)",
            "symbolic",
            lambda: half_angle(),
            altered={"tanh(η)": lambda: half_angle(part=1)},
        ),
        Step(
            "∀ U, V, S, d: S = U − V, D = U + V ⟹ the same after d >= 0 joins U or d < 0 joins V, "
            "with |d| added to S: so Σ |d_t| = U − V = 2U once Σ d_t = U + V = 0",
            "smt",
            absolute_sum,
        ),
        Step("∀ S <= 2 v, v <= h, α >= 0, norm <= α S: norm <= 2 α h", "smt", norm),
        Step(
            "∀ y: (y − tanh y)' = tanh² y, and y − tanh y = 0 at 0",
            "symbolic",
            lambda: tangent(),
            altered={"y/2 − tanh y": lambda: tangent(Fraction(1, 2))},
        ),
        Step(
            "∀ y >= 0: y − tanh y = y tanh² z for a z between 0 and y (mean value) ⟹ tanh y <= y",
            "smt",
            mean_value,
        ),
        Step(
            "∀ η: logits (η/2, −η/2) moved by (−η, η) and x = (α, −α) give exactly 2α tanh(η/2)",
            "symbolic",
            lambda: attained(),
            altered={"moved by half of it": lambda: attained(part=2)},
        ),
        Step(
            "∀ T <= 4, unnormalised p in {1, 2, 5}, factors in {1/r, 1, r}, r ∈ {25/16, 4}: "
            "½ Σ |p_t − q_t| <= (r − 1)/(r + 1)",
            "exact",
            lambda: total_variation(),
            {"factors may be r²": lambda: total_variation(power=2)},
            {"(√r − 1)/(√r + 1), as for half of η": lambda: total_variation(half=True)},
        ),
    )


def above() -> Implication:
    import z3

    total, mass, c, p, r = z3.Reals("N P c p r")
    return Implication(
        {"N <= r P": total <= r * mass, "c <= r": c <= r, "p >= 0": p >= 0},
        total + p * c <= r * (mass + p),
    )


def below() -> Implication:
    import z3

    total, mass, c, p, r = z3.Reals("N P c p r")
    return Implication(
        {"r N >= P": r * total >= mass, "r c >= 1": r * c >= 1, "p >= 0": p >= 0},
        r * (total + p * c) >= mass + p,
    )


def odds() -> Implication:
    import z3

    inside, outside, mass, q, r = z3.Reals("N N' P Q r")
    return Implication(
        {
            "N <= r P": inside <= r * mass,
            "r N' >= 1 − P": r * outside >= 1 - mass,
            "Q = N/(N + N')": q * (inside + outside) == inside,
            "N > 0": inside > 0,
            "N' > 0": outside > 0,
        },
        q * (1 - mass) <= r * r * mass * (1 - q),
    )


def variation() -> Implication:
    import z3

    mass, q, r = z3.Reals("P Q r")
    return Implication(
        {
            "P >= 0": mass >= 0,
            "r >= 1": r >= 1,
            "the odds": q * (1 - mass) <= r * r * mass * (1 - q),
        },
        (q - mass) * (r + 1) <= r - 1,
    )


def half_angle(part: int = 2) -> list[Any]:
    import sympy

    eta = sympy.symbols("eta", real=True)
    tanh = sympy.tanh(eta / part).rewrite(sympy.exp)
    return [(sympy.exp(eta) - 1) / (sympy.exp(eta) + 1) - tanh]


def absolute_sum() -> Implication:
    import z3

    up, down, absolute, total, d, absolute_after = z3.Reals("U V S D d S'")
    up_after = z3.If(d >= 0, up + d, up)
    down_after = z3.If(d >= 0, down, down + d)
    return Implication(
        {
            "S = U − V": absolute == up - down,
            "D = U + V": total == up + down,
            "S' = S + |d|": absolute_after == absolute + size(d),
        },
        z3.And(
            absolute_after == up_after - down_after,
            total + d == up_after + down_after,
            z3.Implies(total + d == 0, absolute_after == 2 * up_after),
        ),
    )


def norm() -> Implication:
    import z3

    length, alpha, absolute, v, h = z3.Reals("norm alpha S v h")
    return Implication(
        {
            "norm <= α S": length <= alpha * absolute,
            "S <= 2v": absolute <= 2 * v,
            "v <= h": v <= h,
            "α >= 0": alpha >= 0,
        },
        length <= 2 * alpha * h,
    )


def tangent(slope: Fraction = Fraction(1)) -> list[Any]:
    import sympy

    y = sympy.symbols("y", real=True)
    rest = sympy.Rational(slope) * y - sympy.tanh(y)
    return [sympy.diff(rest, y) - sympy.tanh(y) ** 2, rest.subs(y, 0)]


def mean_value() -> Implication:
    import z3

    y, tanh, slope = z3.Reals("y tanh(y) tanh(z)")
    return Implication(
        {"y >= 0": y >= 0, "the mean value theorem": y - tanh == y * slope * slope}, tanh <= y
    )


def attained(part: int = 1) -> list[Any]:
    import sympy

    eta, alpha = sympy.symbols("eta alpha", positive=True)

    def average(first: Any, second: Any) -> Any:
        e, f = sympy.exp(first), sympy.exp(second)
        return (alpha * e - alpha * f) / (e + f)

    before = average(eta / 2, -eta / 2)
    after = average(eta / 2 - eta / part, -eta / 2 + eta / part)
    tanh = (sympy.exp(eta / 2) - sympy.exp(-eta / 2)) / (sympy.exp(eta / 2) + sympy.exp(-eta / 2))
    return [before - after - 2 * alpha * tanh]


def total_variation(power: int = 1, half: bool = False) -> Iterator[tuple[Fraction, Fraction]]:
    """Masses before normalisation; the constant's r is squared back out where η is halved."""
    masses = (Fraction(1), Fraction(2), Fraction(5))
    for root, count in product((Fraction(5, 4), Fraction(2)), range(1, 5)):
        r = root**2
        allowed = (root - 1) / (root + 1) if half else (r - 1) / (r + 1)
        for p in product(masses, repeat=count):
            for c in product((r**-power, Fraction(1), r**power), repeat=count):
                q = [a * b for a, b in zip(p, c, strict=True)]
                before, after = sum(p), sum(q)
                moved = sum(abs(a / before - b / after) for a, b in zip(p, q, strict=True))
                yield moved / 2, allowed

"""Orseau, Hutter and Rivasplata (2020): from one tolerance for all weights to the whole network.

Their setting: any activations with Lipschitz constants, no bound on inputs or norms. The tolerance
and the number of neurons are derived here, with constants of our own.

Theorem. Let layer i of the target be f_i = σ_i(W_i f_{i−1}), σ_i with Lipschitz constant λ_i,
widths at most n, |f_{i−1}| <= F entrywise on the domain, and let g replace each W_i y by
P_i max(y, 0) + Q_i min(y, 0) with |P_i − W_i|, |Q_i − W_i| <= ε_w entrywise. If
ε_w <= min(ε / (e l Λ⁺ n^{3/2} F Π_i max{1, ||W_i||}), 1/(l n)) with Λ⁺ = Π_i max{1, λ_i}, then
||f − g|| <= ε on the domain: for every ε, F > 0 and depth l.
With Λ = Π_i λ_i instead of Λ⁺, or without 1/(l n), this is false.
(b) Let block a of hidden layer i hold M_i >= 8k ln(4k l n_{i−1} n_i / δ) neurons with independent
signed hyperbolic weights as in `hyperbolic`, γ = 3/2, α = w_max/2, k = max(1, ⌈log_γ(w_max/ε_w)⌉).
Then with probability at least 1 − δ, all targets with |w| <= w_max are matched within ε_w.

Proof. (1) Layer i adds R_i(y) = (P_i − W_i) y⁺ + (Q_i − W_i) y⁻; by `propagation`, ||R_i(y)|| <=
τ ||y|| and ||R_i(y) − R_i(y')|| <= τ ||y − y'|| with τ = ε_w sqrt(n_i n_{i−1}). (2) τ <= n ε_w,
(3) ||f_{i−1}|| <= sqrt(n) F. So with c = n^{3/2} ε_w F the errors obey
E_i <= λ_i ((||W_i|| + n ε_w) E_{i−1} + c). (4) With n ε_w <= 1/l, a = max{1, ||W_i||} and
m = max{1, λ_i} that is at most m (a (1 + 1/l) E_{i−1} + c). (5) By induction E_i <= i c P_i, with
P_i >= 1 the product of the m a (1 + 1/l). (6) (1 + 1/l)^l <= e by `exponential`. (b) A fixed
category is missed with probability at most (1 − 1/(8k))^{M_i} <= e^{−M_i/(8k)}; add over the 4k
categories, inputs, outputs and layers. `golden_ratio` turns full categories into the weights. ∎

What is checked. Every step for all reals, depth by induction; no hypothesis can be spared; in exact
rationals, networks of width one to depth 4, with (1 + 1/l)^l for e; that the uncorrected forms fail
for logistic networks of depth 3 and 4 and for an affine 1/4-Lipschitz one of depth 2.

What is not. Union bound, triangle inequality, ||Wy|| <= ||W|| ||y||; rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

from proofs import Step
from proofs.checkers import Below, Implication, ball
from proofs.diamond import size


def steps() -> tuple[Step, ...]:
    return (
        Step("∀ W, y: ||W y|| <= ||W|| ||y||; triangle inequality; union bound", "assumed"),
        Step(
            "∀ m <= n, 0 <= N <= n, ε_w >= 0: τ² = ε_w² m N ⟹ τ <= n ε_w",
            "smt",
            widths,
        ),
        Step("∀ m: Σ_{j<=m} f_j² <= m F² ∧ |f| <= F ⟹ Σ + f² <= (m + 1) F²", "smt", one_more_entry),
        Step(
            "∀ E, c >= 0, λ >= 0 with s, 1 <= a, λ <= m, θ <= h, h >= 0: "
            "λ((s + θ) E + c) <= m (a (1 + h) E + c)",
            "smt",
            enlarged,
        ),
        Step(
            "∀ i: E <= i c P, c >= 0, P >= 1, g >= m, g >= 0 ⟹ g E + m c <= (i + 1) c (g P)",
            "smt",
            one_more_layer,
        ),
        Step("∀ P, m, a >= 1, h >= 0: g = m a (1 + h) >= m and g P >= 1", "smt", stays_above_one),
        Step(
            "∀ l: E <= l c q Λ⁺ Π ∧ q <= e ∧ l c e Λ⁺ Π <= ε ∧ l c Λ⁺ Π >= 0 ⟹ E <= ε",
            "smt",
            in_the_end,
        ),
        Step(
            "∀ k, l, n_{i−1}, n_i, δ, s: M = 8k ln(4k l n_{i−1} n_i/δ) + s has "
            "4k n_{i−1} n_i e^{−M/(8k)} = (δ/l) e^{−s/(8k)}, and l layers of δ/l make δ",
            "symbolic",
            lambda: categories(),
            altered={"the union leaves out the layers": lambda: categories(layers=False)},
        ),
        Step(
            "∀ w_max: γ = 3/2 and R = 2 have γ <= R <= 1/(γ − 1), and R α = w_max",
            "exact",
            lambda: base(Fraction(3, 2)),
            {"γ = 13/8": lambda: base(Fraction(13, 8))},
        ),
        Step(
            "∀ networks of width 1, depth <= 4, weights −2, 0, 1, five activations, four "
            "domains, halves that err alike or not, ε ∈ {1/1000, 1, 50}: |f − g| <= ε",
            "exact",
            lambda: networks(),
            {
                "Λ is the product of the λ_i": lambda: networks(q=3, floor=False),
                "1/(l n) is left out": lambda: networks(q=3, capped=False),
                "the negative half errs by 4 ε_w": lambda: networks(negative=4),
            },
            {"(1 + 1/l)^l is left out of ε_w": lambda: networks(q=1)},
        ),
        Step(
            "¬∀ networks: with Λ = Π λ_i, a logistic one (x = 1/2, W_i = 0) of depth 3 or 4, and "
            "one with σ(t) = (t + 3)/4 (x = W_i = 1) of depth 2, err by more than ε",
            "interval",
            lambda: uncorrected(),
            {"Λ is Λ⁺": lambda: uncorrected(floor=True)},
        ),
    )


def widths() -> Implication:
    import z3

    m, other, n, eps, tau = z3.Reals("m N n eps_w tau")
    return Implication(
        {
            "m <= n": m <= n,
            "N <= n": other <= n,
            "N >= 0": other >= 0,
            "τ² = ε_w² m N": tau * tau == eps * eps * m * other,
            "ε_w >= 0": eps >= 0,
        },
        tau <= n * eps,
    )


def one_more_entry() -> Implication:
    import z3

    count, total, entry, bound = z3.Reals("m S f F")
    return Implication(
        {"S <= m F²": total <= count * bound * bound, "|f| <= F": size(entry) <= bound},
        total + entry * entry <= (count + 1) * bound * bound,
    )


def enlarged() -> Implication:
    import z3

    error, c, s, a, lip, top, theta, h = z3.Reals("E c s a lambda m theta h")
    return Implication(
        {
            "E >= 0": error >= 0,
            "c >= 0": c >= 0,
            "λ >= 0": lip >= 0,
            "s <= a": s <= a,
            "1 <= a": a >= 1,
            "λ <= m": lip <= top,
            "θ <= h": theta <= h,
            "h >= 0": h >= 0,
        },
        lip * ((s + theta) * error + c) <= top * (a * (1 + h) * error + c),
    )


def one_more_layer() -> Implication:
    import z3

    i, error, c, power, g, top = z3.Reals("i E c P g m")
    return Implication(
        {
            "E <= i c P": error <= i * c * power,
            "c >= 0": c >= 0,
            "P >= 1": power >= 1,
            "g >= m": g >= top,
            "g >= 0": g >= 0,
        },
        g * error + top * c <= (i + 1) * c * (g * power),
    )


def stays_above_one() -> Implication:
    import z3

    power, top, a, h = z3.Reals("P m a h")
    g = top * a * (1 + h)
    return Implication(
        {"P >= 1": power >= 1, "m >= 1": top >= 1, "a >= 1": a >= 1, "h >= 0": h >= 0},
        z3.And(g >= top, g * power >= 1),
    )


def in_the_end() -> Implication:
    """x stands for l c Λ⁺ Π_i max{1, ||W_i||}, the bound without (1 + 1/l)^l."""
    import z3

    error, x, q, e, eps = z3.Reals("E x q e epsilon")
    return Implication(
        {"E <= x q": error <= x * q, "q <= e": q <= e, "x e <= ε": x * e <= eps, "x >= 0": x >= 0},
        error <= eps,
    )


def categories(layers: bool = True) -> list[Any]:
    import sympy

    k, depth, before, after, delta = sympy.symbols("k l n0 n1 delta", positive=True)
    s = sympy.symbols("s", real=True)
    events = 4 * k * before * after
    draws = 8 * k * sympy.log(events * (depth if layers else 1) / delta) + s
    missed = events * sympy.exp(sympy.expand(-draws / (8 * k)))
    return [missed - delta / depth * sympy.exp(-s / (8 * k)), depth * (delta / depth) - delta]


def base(gamma: Fraction) -> Iterator[tuple[Fraction, Fraction]]:
    big = Fraction(2)
    yield gamma, big
    yield big, 1 / (gamma - 1)
    yield big * Fraction(1, 2), Fraction(1)
    yield Fraction(1), big * Fraction(1, 2)


ACTIVATIONS = {
    "relu": (Fraction(1), lambda t: max(t, Fraction(0))),
    "identity": (Fraction(1), lambda t: t),
    "double": (Fraction(2), lambda t: 2 * t),
    "quarter": (Fraction(1, 4), lambda t: t / 4),
    "logistic-like": (Fraction(1, 4), lambda t: t / 4 + Fraction(1, 2)),
}
DOMAINS = ((Fraction(1, 2),), (Fraction(1, 100),), (Fraction(-1), Fraction(1, 2)), (Fraction(7),))


def networks(
    q: int | None = None, floor: bool = True, capped: bool = True, negative: int = 1
) -> Iterator[tuple[Fraction, Fraction]]:
    """Error and ε; q stands for e: the theorem with less, what breaks it with more (3 > e)."""
    signs = ((1, 1), (1, -1), (-1, 1))
    for depth, (lip, sigma) in product(range(1, 5), ACTIVATIONS.values()):
        lips = max(1, lip) if floor else lip
        for weights in product((Fraction(-2), Fraction(0), Fraction(1)), repeat=depth):
            for domain, eps in product(DOMAINS, (Fraction(1, 1000), Fraction(1), Fraction(50))):
                largest = max(abs(y) for x in domain for y in run(sigma, weights, x)[:-1])
                power = Fraction(depth + 1, depth) ** depth if q is None else q
                norms = prod(max(1, abs(w)) for w in weights)
                tolerance = eps / (power * depth * lips**depth * largest * norms)
                if capped:
                    tolerance = min(tolerance, Fraction(1, depth))
                for x, (up, down) in product(domain, signs):
                    pairs = [(w + up * tolerance, w + down * negative * tolerance) for w in weights]
                    yield abs(run(sigma, weights, x)[-1] - run(sigma, pairs, x)[-1]), eps


def run(sigma: Any, weights: Any, x: Fraction) -> list[Fraction]:
    """The layers' inputs and the output; a pair of weights serves positive and negative inputs."""
    values = [x]
    for w in weights:
        positive, negative = w if isinstance(w, tuple) else (w, w)
        values.append(sigma((positive if values[-1] > 0 else negative) * values[-1]))
    return values


def uncorrected(floor: bool = False) -> Iterator[Below]:
    """ε and the error; by choice of ε the uncorrected ε_w is 1/8, 1/8 and 1/2, at most 1/l."""
    e = ball(1).exp()

    def logistic(t: Any) -> Any:
        return 1 / (1 + (-t).exp())

    def affine(t: Any) -> Any:
        return (t + 3) / 4

    half, eighth, one = (ball(Fraction(1, k)) for k in (2, 8, 1))
    zero = ball(0)
    cases = (
        (3, zero, half, eighth, logistic),
        (4, zero, half, eighth, logistic),
        (2, one, one, half, affine),
    )
    for depth, w, x, tolerance, sigma in cases:
        scale = e * depth * x  # F = x, since every layer's input is x
        eps = tolerance * scale / 4**depth
        used = eps / scale if floor else tolerance
        f = g = x
        for _ in range(depth):
            f, g = sigma(w * f), sigma((w + used) * g)
        yield Below(eps, g - f, strict=True)

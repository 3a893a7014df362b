"""How per-weight tolerances add up through a network of gadgets.

Theorem. Let layer i of the target map y to W_i y + b_i and layer i of g map y to
P_i max(y, 0) + Q_i min(y, 0) + c_i, ReLU between layers, with |P_i − W_i|, |Q_i − W_i|, |c_i − b_i|
at most η_i entrywise: the two halves of a gadget may err differently. Let n_i be the widths,
τ_i = η_i sqrt(n_i (n_{i−1} + 1)), and let B_{i−1} bound ||(f_{i−1}(x), 1)|| over the domain, with
f_{i−1} the input of layer i. Then on the domain

    ||f − g|| <= E_l = Σ_i (Π_{k>i} (||W_k|| + τ_k)) τ_i B_{i−1}.

Without biases, τ_i = η_i sqrt(n_i n_{i−1}) and B_{i−1} bounds ||f_{i−1}(x)||, by the same proof.

Proof. (1, 2) One weight's residual r(t) = (p − w) max(t, 0) + (q − w) min(t, 0) has |r(t)| <= η |t|
and is η-Lipschitz, also across 0. (3) A sum of n absolute values is at most sqrt(n) times the
Euclidean norm; so an output's residual at y is at most
η (||y||_1 + 1) <= η sqrt(n_{i−1} + 1) ||(y, 1)||, and changes by at most
η ||y − y'||_1 <= η sqrt(n_{i−1}) ||y − y'||. (4) Over n_i outputs that makes ||R(y)|| <= τ B and
||R(y) − R(y')|| <= τ ||y − y'||. (5) With e the distance of the layers' inputs y = f_{i−1} and
y' = g_{i−1}, the outputs differ by ||W(y' − y) + R(y')|| <= ||W|| e + τ e + τ B. (6) ReLU does not
enlarge a distance. (7) Unrolling E_i = (||W_i|| + τ_i) E_{i−1} + τ_i B_{i−1} from E_0 = 0 gives the
formula. ∎

What is checked. Every step for all reals; (3) and (4) for all n, (7) for all depths, by induction;
(7) also written out for depths 1 to 4; that no hypothesis can be spared; the theorem as a whole in
exact rationals on networks of width one and depth two.

What is not. The triangle inequality and ||Wy|| <= ||W|| ||y|| (definitions), and that a program's
floats obey the theorem: certificates count their rounding by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import low, size, top


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ α, β, t, η: |α|, |β| <= η ⟹ |α t⁺ + β t⁻| <= η |t|",
            "smt",
            residual_size,
        ),
        Step(
            "∀ α, β, s, t, η: |α|, |β| <= η ⟹ |(α s⁺ + β s⁻) − (α t⁺ + β t⁻)| <= η |s − t|",
            "smt",
            residual_lipschitz,
        ),
        Step(
            "∀ n, y: with D_n = n Σ_{k<=n} y_k² − (Σ_{k<=n} y_k)², D_1 = 0 and "
            "D_{n+1} = D_n + Σ_{k<=n} (y_k − y_{n+1})², so D_n >= 0",
            "symbolic",
            lambda: cauchy_schwarz(),
            altered={"the factor is n instead of n + 1": lambda: cauchy_schwarz(extra=0)},
        ),
        Step(
            "∀ n, S, ρ, r: S² <= n ρ² ∧ |r| <= ρ ⟹ S² + r² <= (n + 1) ρ²",
            "smt",
            one_more_output,
        ),
        Step(
            "∀ m >= 0, n, η: η² m n <= η² m (n + 1), so what has no bias obeys the same τ",
            "smt",
            bias_enlarges,
        ),
        Step(
            "∀ W, y: ||W y|| <= ||W|| ||y||, and the triangle inequality (by definition)",
            "assumed",
        ),
        Step(
            "∀ parts: d <= a + b + c ∧ a <= ||W|| e ∧ b <= τ' e ∧ τ' <= τ ∧ c <= τ B ∧ e >= 0 "
            "⟹ d <= (||W|| + τ) e + τ B",
            "smt",
            layer,
        ),
        Step(
            "∀ s, t, −1 <= a <= 1: φ(x) = x⁺ + a x⁻ has |φ(s) − φ(t)| <= |s − t|; ReLU is a = 0",
            "smt",
            activation,
        ),
        Step(
            "∀ e <= E, c >= 0: c e + t <= c E + t, so bounds may be put for errors",
            "smt",
            monotone,
        ),
        Step(
            "∀ depths 1..4: the recursion unrolls to Σ_i (Π_{k>i} (s_k + τ_k)) τ_i B_{i−1}",
            "symbolic",
            lambda: unrolled(closed),
            altered={
                "the products leave out τ_k": lambda: unrolled(without_tau),
                "the products start at i": lambda: unrolled(one_factor_more),
            },
        ),
        Step(
            "∀ j <= l: with S(j, l) = Σ_{i<=j} P(i, l) t_i and P(i, l) = Π_{i<k<=l} c_k, "
            "S(j, l+1) = c_{l+1} S(j, l) passes from j to j + 1",
            "smt",
            partial_sums,
        ),
        Step(
            "∀ l: if E_l = S(l, l) and E_{l+1} = c_{l+1} E_l + t_{l+1} then E_{l+1} = S(l+1, l+1)",
            "smt",
            one_more_layer,
        ),
        Step(
            "∀ w, errors, x on a grid, width 1, depth 2: |f − g| <= E_2",
            "exact",
            lambda: tiny_networks(),
            {
                "the negative half errs by 2η": lambda: tiny_networks(negative=2),
                "the products leave out τ_k": lambda: tiny_networks(second_order=0),
                "B bounds half of the input": lambda: tiny_networks(bound=Fraction(1, 2)),
            },
        ),
    )


def residual_size() -> Implication:
    import z3

    a, b, t, eta = z3.Reals("alpha beta t eta")
    return Implication(
        {"|p − w| <= η": size(a) <= eta, "|q − w| <= η": size(b) <= eta},
        size(a * top(t) + b * low(t)) <= eta * size(t),
    )


def residual_lipschitz() -> Implication:
    import z3

    a, b, s, t, eta = z3.Reals("alpha beta s t eta")
    at_s, at_t = a * top(s) + b * low(s), a * top(t) + b * low(t)
    return Implication(
        {"|p − w| <= η": size(a) <= eta, "|q − w| <= η": size(b) <= eta},
        size(at_s - at_t) <= eta * size(s - t),
    )


def cauchy_schwarz(extra: int = 1) -> list[Any]:
    """S1 = Σ y_k, S2 = Σ y_k² of the first n, z the next: Σ (y_k − z)² = S2 − 2 z S1 + n z² >= 0.

    So n Σ y² − (Σ y)² >= 0 passes from n to n + 1; it is 0 for n = 1.
    """
    import sympy

    n, s1, s2, z = sympy.symbols("n S1 S2 z")
    after = (n + extra) * (s2 + z**2) - (s1 + z) ** 2
    before = n * s2 - s1**2
    squares = s2 - 2 * z * s1 + n * z**2
    written_out = []
    for count in (1, 2, 5):
        y = sympy.symbols(f"y:{count}")
        values = {n: count, s1: sum(y), s2: sum(v**2 for v in y)}
        written_out.append(sum((v - z) ** 2 for v in y) - squares.subs(values))
    return [after - before - squares, *written_out, before.subs({n: 1, s2: s1**2})]


def one_more_output() -> Implication:
    import z3

    n, total, rho, r = z3.Reals("n S rho r")
    return Implication(
        {"S² <= n ρ²": total * total <= n * rho * rho, "|r| <= ρ": size(r) <= rho},
        total * total + r * r <= (n + 1) * rho * rho,
    )


def bias_enlarges() -> Implication:
    import z3

    eta, m, n = z3.Reals("eta m n")
    return Implication({"m >= 0": m >= 0}, eta * eta * m * n <= eta * eta * m * (n + 1))


def layer() -> Implication:
    import z3

    d, a, b, c, e, norm, tau, smaller, bound = z3.Reals("d a b c e norm tau tau1 B")
    return Implication(
        {
            "d <= a + b + c": d <= a + b + c,
            "a <= ||W|| e": a <= norm * e,
            "b <= τ' e": b <= smaller * e,
            "τ' <= τ": smaller <= tau,
            "c <= τ B": c <= tau * bound,
            "e >= 0": e >= 0,
        },
        d <= (norm + tau) * e + tau * bound,
    )


def activation() -> Implication:
    import z3

    s, t, a = z3.Reals("s t a")
    return Implication(
        {"a <= 1": a <= 1, "a >= −1": a >= -1},
        size(top(s) + a * low(s) - top(t) - a * low(t)) <= size(s - t),
    )


def monotone() -> Implication:
    import z3

    e, bound, c, t = z3.Reals("e E c t")
    return Implication({"e <= E": e <= bound, "c >= 0": c >= 0}, c * e + t <= c * bound + t)


def partial_sums() -> Implication:
    """Induction over the terms of the formula; both sums gain their term j + 1."""
    import z3

    c, t, here, there, p_here, p_there = z3.Reals("c t S(j,l) S(j,l+1) P(j+1,l) P(j+1,l+1)")
    return Implication(
        {
            "S(j, l+1) = c S(j, l)": there == c * here,
            "P(j+1, l+1) = c P(j+1, l)": p_there == c * p_here,
        },
        there + p_there * t == c * (here + p_here * t),
    )


def one_more_layer() -> Implication:
    import z3

    c, t, error, after, here, there, last = z3.Reals("c t E_l E_l+1 S(l,l) S(l,l+1) P(l+1,l+1)")
    return Implication(
        {
            "E_l = S(l, l)": error == here,
            "the recursion": after == c * error + t,
            "S(l, l+1) = c S(l, l)": there == c * here,
            "the empty product is 1": last == 1,
        },
        after == there + last * t,
    )


Formula = Callable[[Any, Any, Any], Any]


def closed(s: Any, tau: Any, bounds: Any) -> Any:
    """Σ_i (Π_{k>i} (s_k + τ_k)) τ_i B_{i−1}."""
    import sympy

    return sum(
        sympy.prod([s[k] + tau[k] for k in range(i + 1, len(s))]) * tau[i] * bounds[i]
        for i in range(len(s))
    )


def without_tau(s: Any, tau: Any, bounds: Any) -> Any:
    import sympy

    return sum(sympy.prod(s[i + 1 :]) * tau[i] * bounds[i] for i in range(len(s)))


def one_factor_more(s: Any, tau: Any, bounds: Any) -> Any:
    import sympy

    return sum(
        sympy.prod([s[k] + tau[k] for k in range(i, len(s))]) * tau[i] * bounds[i]
        for i in range(len(s))
    )


def unrolled(formula: Formula) -> Iterator[Any]:
    """What the recursion from E_0 = 0 gives, less the formula, at depths 1 to 4."""
    import sympy

    for depth in range(1, 5):
        s, tau, bounds = (sympy.symbols(f"{name}:{depth}") for name in ("s", "tau", "B"))
        error = sympy.Integer(0)
        for i in range(depth):
            error = (s[i] + tau[i]) * error + tau[i] * bounds[i]
        yield error - formula(s, tau, bounds)


def tiny_networks(
    negative: int = 1, second_order: int = 1, bound: Fraction = Fraction(1)
) -> Iterator[tuple[Fraction, Fraction]]:
    """Error and formula on f(x) = w2 σ(w1 x), η_1 = 1/4, η_2 = 1/8, |x| <= 1, all without biases.

    Width one makes every norm rational: ||W|| = |w|, τ = η. The tests cover wider networks.
    """
    zero, first, second = Fraction(0), Fraction(1, 4), Fraction(1, 8)
    signs = (-1, 0, 1)
    weights = [Fraction(k, 2) for k in (-2, -1, 1, 2)]
    for w1, w2, a, b, c in product(weights, weights, signs, signs, signs):
        for x in (Fraction(k, 4) for k in range(-4, 5)):
            hidden = (w1 + a * first) * max(x, zero) + (w1 + b * negative * first) * min(x, zero)
            g = (w2 + c * second) * max(hidden, zero)
            f = w2 * max(w1 * x, zero)
            inputs = (bound, bound * abs(w1))
            formula = (abs(w2) + second_order * second) * first * inputs[0] + second * inputs[1]
            yield abs(f - g), formula

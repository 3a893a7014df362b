"""Gradient descent keeps the layers' squared norms apart as they were, but for the step's square.

The flow's case is a remark of Tanaka et al. (2020); the steps, weight decay and momentum are
derived here. It is why iterative magnitude pruning empties no layer: what training adds to Σ w² is
the same for every layer, so where it outweighs the start, mean squares fall as one over the size.

Theorem. Let D be the difference of two layers' Σ w², G that of their |g|², g the gradient of a loss
whose saliency is conserved: <W, g> is the same S for both. (a) Under gradient flow dD/dt = 0; with
weight decay λ, dD/dt = −2λ D. (b) A step W' = (1 − ηλ) W − η g gives D' = (1 − ηλ)² D + η² G. (c)
With momentum, v' = μ v + g and W' = W − η v', let V be the difference of the |v'|² and C that of
the <W, v'>. Then D' = D − 2η C + η² V, and the next C is μ C − μ η V: so C is of order η, and D
moves by order η² a step. (d) If both layers of sizes m and n have the same Σ w², their mean squares
are as n to m.

Proof. (a) d(Σ w²)/dt = −2 <W, g> − 2λ Σ w², and the first is the same. (b), (c) By expanding
squares; S cancels in each difference. (d) By division. ∎

What is checked. Every step for all reals; (b) and (c) on a small network with a slope a neuron, by
its derivatives. That unequal saliencies break them, tanh for one.

What is not. How large the gradients are, and that training makes Σ w² grow.
"""

from __future__ import annotations

from typing import Any

from proofs import Step
from proofs.checkers import Implication


def steps() -> tuple[Step, ...]:
    return (
        Step("∀ networks: <W, ∂L/∂W> is the same for all layers, saliency_conservation", "assumed"),
        Step("∀ layers: dW/dt = −g − λ W ⟹ dD/dt = −2λ D", "smt", continuous),
        Step("∀ layers: a step of gradient descent: D' = (1 − ηλ)² D + η² G", "smt", one),
        Step("∀ layers: a step of momentum: D' = D − 2η C + η² V, C' = μ C − μ η V", "smt", heavy),
        Step(
            "∀ weights, x, slopes, R: in networks 2-2-2 of φ(z) = c z, D' = D + η² G",
            "symbolic",
            lambda: descended(2),
            {"tanh for one neuron": lambda: descended(1, tanh=True)},
        ),
        Step("∀ m, n, mean squares: equal Σ w² ⟹ the means are as n to m", "smt", inverse),
    )


def continuous() -> Implication:
    import z3

    first, second, s, other, decay, moved = z3.Reals("A B S S2 lambda dD")
    return Implication(
        {
            "S the same": s == other,
            "dD/dt by the product rule": moved
            == (-2 * s - 2 * decay * first) - (-2 * other - 2 * decay * second),
        },
        moved == -2 * decay * (first - second),
    )


def one() -> Implication:
    """Of Σ w² and |g|² as numbers: |(1 − ηλ) W − η g|² is their combination with S."""
    import z3

    a, b, s, other, g, h, rate, decay = z3.Reals("A B S S2 g h eta lambda")
    keep = 1 - rate * decay

    def after(norm: Any, flow: Any, slope: Any) -> Any:
        return keep * keep * norm - 2 * rate * keep * flow + rate * rate * slope

    return Implication(
        {"S the same": s == other},
        after(a, s, g) - after(b, other, h) == keep * keep * (a - b) + rate * rate * (g - h),
    )


def heavy() -> Implication:
    """c, d: <W, v'>; v, w: |v'|²; the next step's <W', g'> is s, the same for both."""
    import z3

    a, b, c, d, v, w, s, other, rate, keep = z3.Reals("A B c d v w S S2 eta mu")

    def after(norm: Any, inner: Any, size: Any) -> Any:
        return norm - 2 * rate * inner + rate * rate * size

    def onward(inner: Any, size: Any, flow: Any) -> Any:
        return keep * (inner - rate * size) + flow  # <W − η v', μ v' + g'>

    return Implication(
        {"S the same": s == other},
        z3.And(
            after(a, c, v) - after(b, d, w) == (a - b) - 2 * rate * (c - d) + rate * rate * (v - w),
            onward(c, v, s) - onward(d, w, other) == keep * (c - d) - keep * rate * (v - w),
        ),
    )


def descended(width: int, tanh: bool = False) -> list[Any]:
    import sympy

    eta = sympy.Symbol("eta")
    first, second = (
        sympy.Matrix(width, width, sympy.symbols(f"{n}1:{width**2 + 1}")) for n in "wv"
    )
    x, c, slopes = (sympy.Matrix(sympy.symbols(f"{n}1:{width + 1}")) for n in "xcR")
    hidden = c.multiply_elementwise(first * x)
    if tanh:
        hidden[0] = sympy.tanh((first * x)[0])
    loss = sympy.expand(slopes.dot(second * hidden))
    moved, gradients = [], []
    for layer in (first, second):
        g = layer.applyfunc(lambda w: sympy.diff(loss, w))
        moved.append(sum(w**2 for w in layer - eta * g) - sum(w**2 for w in layer))
        gradients.append(sum(entry**2 for entry in g))
    return [moved[0] - moved[1] - eta**2 * (gradients[0] - gradients[1])]


def inverse() -> Implication:
    import z3

    m, n, first, second = z3.Reals("m n a b")
    return Implication(
        {"n > 0": n > 0, "equal Σ w²": m * first == n * second},
        second == first * m / n,
    )

"""Pensia et al. (2020): per-weight tolerances that make a network of norm-bounded layers ε-close.

A corollary of `propagation` without biases; the constant is derived here.

Theorem. Let ||W_i|| <= 1 for i = 1..l, ReLU between layers, ||x|| <= 1, 0 < ε <= 1, and let every
weight be matched within η_i = ε / (2 l sqrt(d_{i−1} d_i)), both halves alike or not. Then
||f − g|| <= (1 + ε/(2l))^l − 1 <= e^{ε/2} − 1 <= ε.

Proof. By `propagation` layer i adds at most τ_i = η_i sqrt(d_{i−1} d_i) = t = ε/(2l) times its
input's norm, and E_i <= (||W_i|| + t) E_{i−1} + t ||f_{i−1}||. (1, 2) ||f_{i−1}|| <= 1 for all i.
(3) By induction E_i <= (1 + t)^i − 1. (4) (1 + t)^l <= e^{lt} = e^{ε/2} by `exponential`. (5) By
the same, (1 − ε/2) e^{ε/2} <= 1, and 1 <= (1 + ε)(1 − ε/2) for ε <= 1. ∎

What is checked. Every step for all reals, depth by induction; that no hypothesis can be spared; how
far the last inequality reaches (beyond 5/2, not to 51/20); networks of width one in exact
rationals.

What is not. ||Wy|| <= ||W|| ||y|| (by definition), and what `propagation` does not check.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

from proofs import Step
from proofs.checkers import Below, Implication, ball
from proofs.orseau import run


def steps() -> tuple[Step, ...]:
    return (
        Step("∀ W, y: ||W y|| <= ||W|| ||y|| (by definition)", "assumed"),
        Step(
            "∀ l, d, d', ε > 0: η sqrt(d d') = ε/(2l)",
            "symbolic",
            lambda: layer_error(),
            altered={"η has no square root": lambda: layer_error(root=1)},
        ),
        Step(
            "∀ s <= 1, y ∈ [0, 1]: f <= s y ⟹ f <= 1, so by induction every layer's input "
            "stays in the unit ball",
            "smt",
            unit_ball,
        ),
        Step(
            "∀ i: E <= p − 1 with p = (1 + t)^i, s <= 1, b <= 1, E, t >= 0 ⟹ "
            "(s + t) E + t b <= (1 + t) p − 1",
            "smt",
            one_more_layer,
        ),
        Step(
            "∀ 0 <= ε <= 1, G: (1 − ε/2) G <= 1 ⟹ G − 1 <= ε, with G = e^{ε/2}", "smt", in_the_end
        ),
        Step(
            "∀ l <= 40, ε ∈ {1/100, 1/2, 1, 5/2}: (1 + ε/(2l))^l <= e^{ε/2} <= 1 + ε",
            "interval",
            lambda: chain((Fraction(1, 100), Fraction(1, 2), Fraction(1), Fraction(5, 2))),
            {"ε = 51/20": lambda: chain((Fraction(51, 20),))},
            {"e^{ε/2} is e^{ε/4}": lambda: chain((Fraction(1),), Fraction(1, 4))},
        ),
        Step(
            "∀ depths <= 4, width 1, weights −1, 0, 1/2, 1, |x| <= 1, halves alike or not, "
            "ReLU after all: |f − g| <= (1 + ε/(2l))^l − 1 for ε ∈ {1/10, 1}",
            "exact",
            lambda: networks(),
            {
                "the weights may be −2": lambda: networks(largest=2),
                "|x| may be 2": lambda: networks(x=2),
                "the tolerance is ε/l": lambda: networks(tolerance=2),
            },
        ),
    )


def layer_error(root: int = 2) -> list[Any]:
    import sympy

    depth, before, after, eps = sympy.symbols("l d0 d1 epsilon", positive=True)
    eta = eps / (2 * depth * (before * after) ** sympy.Rational(1, root))
    return [eta * sympy.sqrt(before * after) - eps / (2 * depth)]


def unit_ball() -> Implication:
    import z3

    y, f, s = z3.Reals("y f s")
    return Implication(
        {"f <= s y": f <= s * y, "s <= 1": s <= 1, "y >= 0": y >= 0, "y <= 1": y <= 1}, f <= 1
    )


def one_more_layer() -> Implication:
    import z3

    error, power, s, b, t = z3.Reals("E p s b t")
    return Implication(
        {
            "E <= p − 1": error <= power - 1,
            "s <= 1": s <= 1,
            "b <= 1": b <= 1,
            "E >= 0": error >= 0,
            "t >= 0": t >= 0,
        },
        (s + t) * error + t * b <= (1 + t) * power - 1,
    )


def in_the_end() -> Implication:
    import z3

    eps, g = z3.Reals("epsilon G")
    return Implication(
        {
            "ε >= 0": eps >= 0,
            "ε <= 1": eps <= 1,
            "(1 − ε/2) G <= 1": (1 - eps / 2) * g <= 1,
        },
        g - 1 <= eps,
    )


def chain(values: tuple[Fraction, ...], half: Fraction = Fraction(1, 2)) -> Iterator[Below]:
    for eps in values:
        bound = ball(eps * half).exp()
        for depth in range(1, 41):
            yield Below((1 + eps / (2 * depth)) ** depth, bound)
        yield Below(bound, 1 + eps)


def networks(
    largest: int = 1, x: int = 1, tolerance: int = 1
) -> Iterator[tuple[Fraction, Fraction]]:
    def relu(t: Fraction) -> Fraction:
        return max(t, Fraction(0))

    choices = (Fraction(-largest), Fraction(0), Fraction(1, 2), Fraction(1))
    for depth, eps in product(range(1, 5), (Fraction(1, 10), Fraction(1))):
        eta = tolerance * eps / (2 * depth)
        for weights, (up, down) in product(
            product(choices, repeat=depth), ((1, 1), (1, -1), (-1, 1), (-1, -1))
        ):
            pairs = [(w + up * eta, w + down * eta) for w in weights]
            for start in (Fraction(x), Fraction(-x), Fraction(x, 3)):
                error = run(relu, weights, start)[-1] - run(relu, pairs, start)[-1]
                yield abs(error), (1 + eps / (2 * depth)) ** depth - 1

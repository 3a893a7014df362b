"""The gadget of Pensia et al. (2020): two hidden neurons a half, one weight.

Theorem. Let hidden neurons k with in-weights u_k ≠ 0 and out-weights v_k be kept, K those with
u_k > 0 and K' those with u_k < 0. If |Σ_K u_k v_k − w| <= η and |Σ_K' u_k v_k − w| <= η, then
|Σ_k v_k σ(u_k x) − w x| <= η |x| for every real x, with σ = ReLU.

Proof. (1) A neuron of K contributes u v max(x, 0), one of K' contributes u v min(x, 0). (2) By
induction over the neurons the gadget is A max(x, 0) + B min(x, 0) with A, B the two sums. (3) So it
errs by |A − w| |x| for x >= 0 and by |B − w| |x| for x < 0. ∎

What is checked. Each step, for all reals; that no hypothesis can be spared; and the whole on a grid
of rationals with two neurons a half before the filter.

What is not. That such subsets exist: that is the random subset sum theorem. Rounding: the network
is the one of real-number arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

from proofs import Step
from proofs.checkers import Implication


def steps() -> tuple[Step, ...]:
    return (
        Step("∀ u > 0, v, x: v σ(u x) = (u v) x⁺", "smt", lambda: neuron(positive=True)),
        Step("∀ u < 0, v, x: v σ(u x) = (u v) x⁻", "smt", lambda: neuron(positive=False)),
        Step(
            "∀ A, B, v, x, u > 0: A x⁺ + B x⁻ + v σ(u x) = (A + u v) x⁺ + B x⁻",
            "smt",
            lambda: one_more(positive=True),
        ),
        Step(
            "∀ A, B, v, x, u < 0: A x⁺ + B x⁻ + v σ(u x) = A x⁺ + (B + u v) x⁻",
            "smt",
            lambda: one_more(positive=False),
        ),
        Step(
            "∀ A, B, w, x, η: |A − w| <= η ∧ |B − w| <= η ⟹ |A x⁺ + B x⁻ − w x| <= η |x|",
            "smt",
            halves,
        ),
        Step(
            "∀ u, v, w, x on a grid, two neurons a half: the gadget errs by at most η |x|",
            "exact",
            lambda: grid(),
            {
                "η is taken from the positive half alone": lambda: grid(negative=False),
                "the sign filter is left out": lambda: grid(filtered=False),
            },
        ),
    )


def neuron(positive: bool) -> Implication:
    import z3

    u, v, x = z3.Reals("u v x")
    half = top(x) if positive else low(x)
    return Implication({"sign of u": u > 0 if positive else u < 0}, v * top(u * x) == u * v * half)


def one_more(positive: bool) -> Implication:
    import z3

    a, b, u, v, x = z3.Reals("A B u v x")
    before = a * top(x) + b * low(x)
    after = before + u * v * (top(x) if positive else low(x))
    return Implication(
        {"sign of u": u > 0 if positive else u < 0}, before + v * top(u * x) == after
    )


def halves() -> Implication:
    import z3

    a, b, w, x, eta = z3.Reals("A B w x eta")
    return Implication(
        {"the positive half": size(a - w) <= eta, "the negative half": size(b - w) <= eta},
        size(a * top(x) + b * low(x) - w * x) <= eta * size(x),
    )


def grid(filtered: bool = True, negative: bool = True) -> Iterator[tuple[Fraction, Fraction]]:
    """Error and allowance over gadgets of two blocks of two neurons, whatever their signs."""
    ins = (Fraction(-1, 2), Fraction(1))
    outs = (Fraction(-1), Fraction(1, 2), Fraction(1))
    for us, vs in product(product(ins, repeat=4), product(outs, repeat=4)):
        neurons = list(zip(us, vs, strict=True))
        first = [(u, v) for u, v in neurons[:2] if u > 0 or not filtered]
        second = [(u, v) for u, v in neurons[2:] if u < 0 or not filtered]
        sums = [sum((u * v for u, v in block), Fraction(0)) for block in (first, second)]
        for w in (Fraction(-1), Fraction(1, 2)):
            eta = max(abs(s - w) for s in (sums if negative else sums[:1]))
            for x in (Fraction(-4, 3), Fraction(0), Fraction(2, 3)):
                output = sum((v * max(u * x, Fraction(0)) for u, v in first + second), Fraction(0))
                yield abs(output - w * x), eta * abs(x)


def top(x: Any) -> Any:
    """max(x, 0)."""
    import z3

    return z3.If(x > 0, x, 0)


def low(x: Any) -> Any:
    """min(x, 0)."""
    import z3

    return z3.If(x < 0, x, 0)


def size(x: Any) -> Any:
    """|x|."""
    import z3

    return z3.If(x >= 0, x, -x)

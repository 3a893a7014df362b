"""Edge-popup: a swap in the mask lowers the loss to first order.

Ramanujan et al. (2020), Theorem 1; hypotheses, several swaps and the exact remainder derived here.

Theorem. Let edge e have the score s_e and G_e = Σ_b ∂L/∂I_b · Z_{e,b} w_e, summed over the batch b:
the loss's slope as e joins the mask, at the current mask. Let the scores be updated by plain
gradient descent, s'_e = s_e − r G_e, r > 0. If i replaces j in a layer's top scores, so
s_i <= s_j and s'_i >= s'_j, not both equalities, then D = G_i − G_j < 0: the slope of the loss
along the swap. For several swaps at once the slopes add up: also negative. If the loss has
curvature at most β along the segment and the input changes by c Δ, L drops once
c < 2 |D| / (β ||Δ||²), D and Δ those of the weights at scale c = 1.
The same holds for |s| in place of s if the score of the edge that enters keeps its sign, and with
weight decay ω if r ω < 1. It fails with momentum, where the entering edge's score crosses 0 under
|s|, with unequal learning rates, and if only one of two examples is counted.

Proof. (1) s'_i − s'_j >= 0 >= s_i − s_j, so −r (G_i − G_j) >= 0, with > 0 unless both are
equalities. (2) Under |s|, |s'_e| >= |s_e| − r G_e, with equality where the sign is kept: for i.
(3) With decay, s'_i − s'_j = (1 − r ω)(s_i − s_j) − r (G_i − G_j), and the first term is <= 0.
(4) Sums of negatives are negative. (5) L(c) <= L(0) + c D + c² β ||Δ||² / 2. ∎

What is checked. (1) to (5) for all reals; that no hypothesis can be spared; the slope as the
derivative of any loss, within a neuron and between two; a linear neuron with squared loss, whose
top scores are really selected.

What is not. Taylor's formula; that the loss falls at the size of real steps, which is measured.
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
            "∀ I, Z, w, L, two examples: d/dt L(I + t (w_i Z_i − w_j Z_j)) = G_i − G_j at t = 0; "
            "also where i enters one neuron and j leaves another",
            "symbolic",
            lambda: slope(),
            {"one example is left out": lambda: slope(counted=1)},
        ),
        Step(
            "∀ s, G, r > 0: s_i <= s_j ∧ s'_i >= s'_j, one strictly, s' = s − r G ⟹ G_i < G_j",
            "smt",
            swap,
        ),
        Step(
            "∀ s, G, v, μ, r > 0: with momentum, s' = s − r (μ v + G), the same if v = 0",
            "smt",
            momentum,
        ),
        Step(
            "∀ s, G, r > 0: with one learning rate an edge, the same if they are equal",
            "smt",
            rates,
        ),
        Step(
            "∀ s, G, r > 0, ω: with weight decay, s' = s − r (G + ω s), the same if r ω < 1",
            "smt",
            decay,
        ),
        Step(
            "∀ s, G, r > 0: masks by |s|, s' = s − r G sign(s): the same if s_i keeps its sign",
            "smt",
            absolute,
        ),
        Step("∀ D < 0: one more swap with D' < 0 keeps D + D' < 0", "smt", several),
        Step("∀ c, L: L(c) <= L(0) + c D + c² β ||Δ||²/2 (Taylor)", "assumed"),
        Step(
            "∀ c > 0, Q = β ||Δ||², D: c Q < −2 D ⟹ c D + c² Q/2 < 0",
            "smt",
            small_enough,
        ),
        Step(
            "∀ scores and examples on a grid, three edges of which one or two are kept, squared "
            "loss: an edge that replaces another has G_i < G_j",
            "exact",
            lambda: neuron(),
            {
                "momentum": lambda: neuron(velocity=2),
                "one of two examples is counted": lambda: neuron(counted=1),
                "masks by |s| where scores cross 0": lambda: neuron(by_size=True),
            },
            {"the loss itself falls at this scale": lambda: neuron(first_order=False)},
        ),
        Step(
            "∀ of these, weights at 1/64 of that scale, targets as they are: every swap lowers the "
            "loss itself",
            "exact",
            lambda: neuron(scale=Fraction(1, 64), first_order=False),
            {"the weights keep their size": lambda: neuron(first_order=False)},
        ),
    )


def slope(counted: int = 2) -> list[Any]:
    import sympy

    t, first, second, wi, wj = sympy.symbols("t I_1 I_2 w_i w_j")
    zi, zj = sympy.symbols("Zi_1:3"), sympy.symbols("Zj_1:3")
    loss = sympy.Function("L")
    examples = list(zip((first, second), zi, zj, strict=True))
    along = sympy.diff(loss(*(value + t * (wi * a - wj * b) for value, a, b in examples)), t)
    gradient = [sympy.diff(loss(first, second), value) for value in (first, second)]
    parts = list(zip(gradient, zi, zj, strict=True))[:counted]
    # one example, two neurons: i enters the first, j leaves the second
    across = sympy.diff(loss(first + t * wi * zi[0], second - t * wj * zj[0]), t)
    return [
        along.subs(t, 0).doit() - sum(g * (wi * a - wj * b) for g, a, b in parts),
        across.subs(t, 0).doit() - gradient[0] * wi * zi[0] + gradient[1] * wj * zj[0],
    ]


def scores() -> Any:
    import z3

    return z3.Reals("s_i s_j G_i G_j r")


def swapped(before: Any, after: Any) -> dict[str, Any]:
    """Edge j was kept rather than i, and now i rather than j; ties may go either way, once."""
    import z3

    return {
        "j before i": before[0] <= before[1],
        "i after that": after[0] >= after[1],
        "not both ties": z3.Or(before[0] < before[1], after[0] > after[1]),
    }


def swap() -> Implication:
    si, sj, gi, gj, rate = scores()
    hypotheses = swapped((si, sj), (si - rate * gi, sj - rate * gj))
    return Implication({**hypotheses, "r > 0": rate > 0}, gi < gj)


def momentum() -> Implication:
    import z3

    si, sj, gi, gj, rate = scores()
    vi, vj, mu = z3.Reals("v_i v_j mu")
    after = (si - rate * (mu * vi + gi), sj - rate * (mu * vj + gj))
    return Implication(
        {**swapped((si, sj), after), "r > 0": rate > 0, "v_i = 0": vi == 0, "v_j = 0": vj == 0},
        gi < gj,
    )


def rates() -> Implication:
    import z3

    si, sj, gi, gj, rate = scores()
    other = z3.Real("r_j")
    hypotheses = swapped((si, sj), (si - rate * gi, sj - other * gj))
    return Implication({**hypotheses, "r > 0": rate > 0, "equal rates": other == rate}, gi < gj)


def decay() -> Implication:
    import z3

    si, sj, gi, gj, rate = scores()
    omega = z3.Real("omega")
    after = (si - rate * (gi + omega * si), sj - rate * (gj + omega * sj))
    return Implication(
        {**swapped((si, sj), after), "r > 0": rate > 0, "r ω < 1": rate * omega < 1}, gi < gj
    )


def absolute() -> Implication:
    import z3

    si, sj, gi, gj, rate = scores()

    def updated(s: Any, g: Any) -> Any:
        return s - rate * g * z3.If(s > 0, 1, -1)

    ni, nj = updated(si, gi), updated(sj, gj)
    return Implication(
        {
            **swapped((size(si), size(sj)), (size(ni), size(nj))),
            "r > 0": rate > 0,
            "s_i keeps its sign": si * ni > 0,
        },
        gi < gj,
    )


def several() -> Implication:
    import z3

    total, more = z3.Reals("D D'")
    return Implication({"D < 0": total < 0, "D' < 0": more < 0}, total + more < 0)


def small_enough() -> Implication:
    import z3

    c, curvature, slope_ = z3.Reals("c Q D")
    return Implication(
        {"c > 0": c > 0, "c Q < −2D": c * curvature < -2 * slope_},
        c * slope_ + c * c * curvature / 2 < 0,
    )


def neuron(
    velocity: int = 0,
    counted: int = 2,
    by_size: bool = False,
    scale: Fraction = Fraction(1),
    first_order: bool = True,
) -> Iterator[tuple[Fraction, Fraction]]:
    """G_i − G_j, or the change of the loss, against 0 for every swap that one update makes.

    L = Σ_b (I_b − y_b)²/2, I = Σ_kept w Z. Pairs are (value, 0), strict by 1/10^6; r is 1/2 at
    scale 1 and grows as the scale falls.
    """
    rate = 1 / (2 * scale)
    ws = [scale * w for w in (Fraction(1), Fraction(-2), Fraction(1, 2))]
    tiny = Fraction(1, 10**6)
    values = (Fraction(-1, 2), Fraction(1, 4), Fraction(1, 3), Fraction(1))
    patterns = (((1, 2), (1, -1), (-2, 1)), ((0, 1), (2, 1), (1, 1)), ((1, 0), (-1, 3), (1, 2)))
    for start, zs, keep in product(product(values, repeat=3), patterns, (1, 2)):
        for targets in ((1, -1), (2, 3), (0, -2)):
            mask = kept(start, keep, by_size)

            def loss(mask: set[int], zs: Any = zs, targets: Any = targets) -> Fraction:
                return sum((off**2 for off in offs(ws, zs, targets, mask)), Fraction(0)) / 2

            off = offs(ws, zs, targets, mask)
            slopes = [sum(off[b] * w * z[b] for b in range(2)) for w, z in zip(ws, zs, strict=True)]
            used = [
                sum(off[b] * w * z[b] for b in range(counted)) + velocity * (k - 1)
                for k, (w, z) in enumerate(zip(ws, zs, strict=True))
            ]
            signs = [(-1 if s < 0 else 1) if by_size else 1 for s in start]
            moved = [s - rate * g * sign for s, g, sign in zip(start, used, signs, strict=True)]
            after = kept(moved, keep, by_size)
            for i, j in product(after - mask, mask - after):
                change = loss(mask - {j} | {i}) - loss(mask)
                yield (slopes[i] - slopes[j] if first_order else change) + tiny, Fraction(0)


def kept(scores_: Any, keep: int, by_size: bool) -> set[int]:
    order = sorted(range(3), key=lambda e: abs(scores_[e]) if by_size else scores_[e])
    return set(order[3 - keep :])


def offs(ws: Any, zs: Any, targets: Any, mask: set[int]) -> list[Fraction]:
    return [sum((ws[e] * zs[e][b] for e in mask), Fraction(0)) - targets[b] for b in range(2)]

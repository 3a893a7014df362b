"""SynFlow: with the same sum in every layer, one-at-a-time pruning empties no layer too early.

Tanaka et al. (2020), Theorem 3. Derived here: SynFlow needs no positive scores, only a positive
sum, and keeps at least half of it at every removal.

Theorem. One parameter is removed at a time, the one of globally least score, and the scores are
taken anew. (a) If each layer's scores add up to the same T > 0 and those of living parameters are
positive, every time, then no layer is emptied until each is down to one parameter: at the maximal
compression, all parameters over the number of layers. (b) SynFlow's own scores, R = 1ᵀ Π|W_l| 1 of
a network without biases and |w| ∂R/∂|w|, do that whenever R > 0 at the start, although scores may
be 0 and in whatever order ties are removed; each removal leaves at least half of R.

Proof. (a) A layer's last parameter scores T; of two or more in a layer each scores less than T: so
while there is such a layer the least of all is not a last one. (b) R is linear in every layer, so
each layer's scores add up to T = R (`saliency_conservation`), and affine in every parameter, so
removing a score s leaves T − s. While a layer has two or more, the least s is at most T/2 < T: not
a layer's last, and T − s >= T/2 > 0. ∎

What is checked. Every step for all reals, layers of any size; R's linearity by its derivatives;
whole prunings of small networks in exact rationals. That biases, T = 0, unequal sums, several
removals at a time and scores that stay as they were break it: the hypotheses matter, which is not
to say that their loss always empties a layer.

What is not. Rounding, which may make a small score 0 or overflow R in deep networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

from proofs import Step
from proofs.checkers import Implication

Matrix = tuple[tuple[Fraction, ...], ...]
Position = tuple[int, int, int]  # layer, row, column


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ T, s, s' > 0, rest >= 0: s + s' + rest = T ⟹ s < T, so the least of all is below T",
            "smt",
            not_the_last,
        ),
        Step(
            "∀ T > 0, s <= s': s + s' <= T ⟹ s < T and T − s >= T/2 > 0, whatever the signs",
            "smt",
            halved,
        ),
        Step(
            "∀ A, B, w: R = A + B w has the score w B, and without w it is R − w B", "smt", affine
        ),
        Step(
            "∀ |W| in networks 2-3-2 and 2-2-2-1: each layer's scores add up to R, and R without a "
            "parameter is R less its score",
            "symbolic",
            lambda: multilinear(),
            {"a bias": lambda: multilinear(bias=True)},
        ),
        Step(
            "∀ networks 2-2-1, 1-2-2 and 1-2-1-1 with |w| in {0, 1, 2} and T > 0, pruned one at a "
            "time down to one a layer, ties in two orders: no layer is emptied",
            "exact",
            lambda: survivors(),
            {
                "T = 0": lambda: survivors(positive=False),
                "scores are magnitudes": lambda: survivors(score=magnitude),
                "two are removed at a time": lambda: survivors(at_a_time=2),
                "scores stay as at the start": lambda: survivors(again=False),
                "there are biases": lambda: survivors(score=biased),
            },
            {"one more is removed": lambda: survivors(further=1)},
        ),
        Step(
            "∀ of these: T' >= T/2 at every removal",
            "exact",
            lambda: halves(),
            {"the largest score is removed": lambda: halves(score=reverse)},
            {"T' >= 2T/3": lambda: halves(share=Fraction(2, 3))},
        ),
    )


def not_the_last() -> Implication:
    import z3

    total, s, other, rest = z3.Reals("T s s' rest")
    return Implication(
        {
            "s' > 0": other > 0,
            "rest >= 0": rest >= 0,
            "they add up to T": s + other + rest == total,
        },
        s < total,
    )


def halved() -> Implication:
    import z3

    total, s, other = z3.Reals("T s s'")
    return Implication(
        {"T > 0": total > 0, "s <= s'": s <= other, "s + s' <= T": s + other <= total},
        z3.And(s < total, total - s >= total / 2),
    )


def affine() -> Implication:
    import z3

    a, b, w, whole = z3.Reals("A B w R")
    return Implication({"R = A + B w": whole == a + b * w}, a + b * 0 == whole - w * b)


def multilinear(bias: bool = False) -> list[Any]:
    """By derivatives of R itself, absolute values as positive symbols."""
    import sympy

    rest = []
    for widths in ((2, 3, 2), (2, 2, 2, 1)):
        layers = []
        flow = sympy.ones(widths[0], 1)
        for index, (before, after) in enumerate(pairwise(widths)):
            names = sympy.symbols(f"w{index}_0:{before * after}", positive=True)
            layers.append(names)
            flow = sympy.Matrix(after, before, names) * flow
            if bias and index == 0:
                flow[0] += sympy.Symbol("b", positive=True)
        whole = sympy.expand(sum(flow))
        scores = [{w: w * sympy.diff(whole, w) for w in names} for names in layers]
        rest += [sum(layer.values()) - whole for layer in scores]
        rest += [whole.subs(w, 0) - whole + s for layer in scores for w, s in layer.items()]
    return rest


def flow(layers: list[Matrix], dead: set[Position], bias: int = 0) -> Any:
    """R and the scores of the living, by products from both ends; bias: of every neuron."""
    live = [
        [[Fraction(0) if (k, i, j) in dead else w for j, w in enumerate(row)] for i, row in rows]
        for k, rows in enumerate(map(enumerate, layers))
    ]
    forward = [[Fraction(1)] * len(live[0][0])]
    for matrix in live:
        forward.append([bias + dot(row, forward[-1]) for row in matrix])
    backward = [[Fraction(1)] * len(live[-1])]
    for matrix in reversed(live):
        backward.insert(0, [dot(column, backward[0]) for column in zip(*matrix, strict=True)])
    scores = {
        (k, i, j): backward[k + 1][i] * w * forward[k][j]
        for k, matrix in enumerate(live)
        for i, row in enumerate(matrix)
        for j, w in enumerate(row)
        if (k, i, j) not in dead
    }
    return sum(forward[-1], Fraction(0)), scores


def dot(first: Any, second: Any) -> Fraction:
    return sum((a * b for a, b in zip(first, second, strict=True)), Fraction(0))


def biased(layers: list[Matrix], dead: set[Position]) -> Any:
    return flow(layers, dead, bias=1)


def magnitude(layers: list[Matrix], dead: set[Position]) -> Any:
    total, scores = flow(layers, dead)
    return total, {(k, i, j): layers[k][i][j] for k, i, j in scores}


def reverse(layers: list[Matrix], dead: set[Position]) -> Any:
    total, scores = flow(layers, dead)
    return total, {position: -score for position, score in scores.items()}


def networks() -> Iterator[list[Matrix]]:
    for widths in ((2, 2, 1), (1, 2, 2), (1, 2, 1, 1)):
        shapes = [(after, before) for before, after in pairwise(widths)]
        for draw in product((0, 1, 2), repeat=sum(a * b for a, b in shapes)):
            entries = map(Fraction, draw)
            yield [
                tuple(tuple(next(entries) for _ in range(b)) for _ in range(a)) for a, b in shapes
            ]


def survivors(**broken: Any) -> Iterator[tuple[int, int]]:
    for _, _, counts in prunings(**broken):
        for count in counts:
            yield 1, count


def halves(share: Fraction = Fraction(1, 2), **broken: Any) -> Iterator[tuple[Fraction, Fraction]]:
    for before, after, _ in prunings(**broken):
        yield share * before, after


def prunings(
    positive: bool = True,
    score: Callable[..., Any] = flow,
    at_a_time: int = 1,
    again: bool = True,
    further: int = 0,
) -> Iterator[tuple[Fraction, Fraction, list[int]]]:
    """T before and after every removal, and how many each layer has left."""
    for layers, order in product(networks(), (1, -1)):
        total, scores = score(layers, set())
        if (total > 0) is not positive:
            continue
        size = len(scores)
        dead: set[Position] = set()
        while size - len(dead) - at_a_time >= len(layers) - further:
            alive = [p for p in list(scores)[::order] if p not in dead]
            dead |= set(sorted(alive, key=scores.__getitem__)[:at_a_time])
            after, fresh = score(layers, dead)
            scores = fresh if again else scores
            yield total, after, [sum(p[0] == k for p in fresh) for k in range(len(layers))]
            total = after

"""Synaptic saliency is conserved: at every neuron, over every cut, for every objective.

Tanaka et al. (2020), Theorems 1 and 2; what a cut must be is made precise here.

Theorem. The score of a parameter is its value times ∂R/∂value, R any function of the outputs.
(1) At a hidden neuron with φ(z) = φ'(z) z and no bias, the scores that come in add up to those that
go out. (2) In a feedforward network of such neurons, edges may skip layers, let A hold the inputs,
not the outputs, and with every neuron the sources of its edges. Then the scores of the edges that
leave A add up to <∂R/∂x, x>, whatever A: to <∂R/∂y, y> before linear outputs y, and to the same for
each layer. (3) Those are the sets of edges that each path from an input to an output has one of: of
weights alone, where no path goes by a sum's bare edges. (4) The same holds of a convolution's
channels, weights shared by its positions, and of pooling: of all that is homogeneous of degree one.

Proof. (1) With z = Σ θ x over the edges in, D = Σ v δ over the edges out, δ the slopes of R where
they end: ∂R/∂z = φ' D, so the sums are S_in = φ' D z and S_out = D φ. (2) True by definition for
the inputs alone. Move the other neurons of A into it one by one, in topological order: each swaps
the edges into it, all from A, for those out of it, and by (1) nothing changes. (3) Leaving A is for
good. Conversely, all paths to a neuron have as many of the edges, 0 or 1, or they would differ with
one way on; those with 0 are A. (4) A weight's score is its sum over positions, each an edge; where
f(z) = Σ ∂f/∂z_i z_i (Euler), δ f is what comes in and goes out, as in (1). ∎

What is checked. Every step for all reals; fans and cuts of any size by induction; any R on a small
network by its derivatives, convolutions with their pooling too; all such A of a network with
skipping edges in exact rationals, and all its sets of edges. That tanh, biases, padding other than
by zeros, other degrees and edges back into A break it.

What is not. The chain rule. At the kink φ(0) = 0 serves, whatever slope a program takes there.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, combinations, pairwise, product
from typing import Any

from proofs import Step
from proofs.checkers import Implication


def steps() -> tuple[Step, ...]:
    return (
        Step("∀ networks: ∂R/∂θ = ∂R/∂z x, ∂R/∂z = φ'(z) Σ v δ (the chain rule)", "assumed"),
        Step(
            "∀ fans: S_in = φ' D z and S_out = D φ keep true as an edge joins: θ x to z and φ' D θ "
            "x to S_in, or v δ to D and v δ φ to S_out",
            "smt",
            fans,
        ),
        Step("∀ z, D, φ', φ: φ = φ' z ⟹ φ' D z = D φ", "smt", neuron),
        Step(
            "∀ weights, x, slopes, R: in networks 1-1-1 and 2-2-2-2 of φ(z) = c z, a slope c each, "
            "scores in and out are equal at every hidden neuron, and each layer's add up to "
            "<∂R/∂x, x>",
            "symbolic",
            lambda: chain(derivatives(1, 1), derivatives(2, 2)),
            {
                "tanh for one neuron": lambda: derivatives(1, 1, tanh=True),
                "a bias, not counted": lambda: derivatives(1, 1, bias=True),
            },
        ),
        Step(
            "∀ T, S_in, S_out: moving a neuron to A, the edges into it off the cut and those out "
            "of it on it, keeps T",
            "smt",
            one_more_neuron,
        ),
        Step(
            "∀ A that hold their neurons' sources, in a ReLU network with skipping edges on a grid "
            "of weights: the edges that leave A add up to <∂R/∂x, x> = <∂R/∂y, y>",
            "exact",
            lambda: cuts(),
            {
                "biases": lambda: cuts(bias=Fraction(1, 2)),
                "edges back into A": lambda: cuts(closed=False),
                "φ(z) = z + 1/2": lambda: cuts(offset=Fraction(1, 2)),
            },
        ),
        Step(
            "∀ sets of that network's edges: each path has one edge of it ⟺ it is what leaves an A "
            "that holds its neurons' sources",
            "exact",
            lambda: separating(),
            {
                "A need not hold its sources": lambda: separating(closed=False),
                "a path may have several": lambda: separating(once=False),
            },
        ),
        Step(
            "∀ taps, x, slopes, R: through a convolution over 4 padded positions, φ(z) = c z, a "
            "maximum or a mean over 2, and the next weights, scores in and out of a channel are "
            "equal, and so is <∂R/∂x, x>",
            "symbolic",
            lambda: chain(shared("maximum"), shared("mean")),
            {
                "padding with ones": lambda: shared("mean", padding=1),
                "squares for the mean": lambda: shared("squares"),
                "shares of the sum for the mean": lambda: shared("shares"),
            },
        ),
    )


def fans() -> Implication:
    import z3

    z, sums_in, inner, sums_out = z3.Reals("z S_in D S_out")
    theta, x, delta, v, slope, phi = z3.Reals("theta x delta v phi' phi")
    whole = z3.Real("D_all")
    return Implication(
        {
            "S_in = φ' D z so far": sums_in == slope * whole * z,
            "S_out = D φ so far": sums_out == inner * phi,
        },
        z3.And(
            sums_in + slope * whole * theta * x == slope * whole * (z + theta * x),
            sums_out + delta * v * phi == (inner + delta * v) * phi,
        ),
    )


def neuron() -> Implication:
    import z3

    z, inner, slope, phi = z3.Reals("z D phi' phi")
    return Implication({"φ = φ' z": phi == slope * z}, slope * inner * z == inner * phi)


def derivatives(width: int, hidden: int, tanh: bool = False, bias: bool = False) -> list[Any]:
    """R by its slopes R_k at the outputs; one slope a neuron, as ReLU has off its kink."""
    import sympy

    x = sympy.symbols(f"x1:{width + 1}")
    layers = [
        sympy.Matrix(width, width, sympy.symbols(f"w{k}_1:{width**2 + 1}"))
        for k in range(hidden + 1)
    ]
    values = list(x)
    for index, weights in enumerate(layers):
        values = list(weights * sympy.Matrix(values))
        if index == hidden:
            break
        if bias and index == 0:
            values[0] += sympy.Symbol("b")
        first = sympy.tanh(values[0])
        slopes = sympy.symbols(f"c{index}_1:{width + 1}")
        values = [c * z for c, z in zip(slopes, values, strict=True)]
        if tanh and index == 0:
            values[0] = first
    objective = sympy.expand(sympy.Matrix(values).dot(sympy.symbols(f"R1:{width + 1}")))

    def score(parameters: Any) -> Any:
        return sum(parameter * sympy.diff(objective, parameter) for parameter in parameters)

    rest = [score(weights) - score(x) for weights in layers]
    for before, after in pairwise(layers):
        rest += [score(before.row(j)) - score(after.col(j)) for j in range(width)]
    return rest


def one_more_neuron() -> Implication:
    import z3

    total, into, out = z3.Reals("T S_in S_out")
    return Implication({"S_in = S_out": into == out}, total - into + out == total)


EDGES = ((0, 2), (1, 2), (0, 3), (2, 3), (1, 4), (2, 4), (3, 4), (3, 5), (2, 5), (4, 5), (0, 5))


def cuts(
    bias: Fraction = Fraction(0), offset: Fraction = Fraction(0), closed: bool = True
) -> Iterator[tuple[Fraction, Fraction]]:
    """Inputs 0 and 1, hidden 2 to 4, output 5, R = y²; both directions of the equality."""
    choices = (Fraction(-1, 2), Fraction(1), Fraction(2))
    for draw in product(choices, repeat=4):
        weights = {edge: draw[k % 4] + Fraction(k % 3, 3) for k, edge in enumerate(EDGES)}
        values = {0: Fraction(1), 1: Fraction(-2)}
        active = {}
        for node in range(2, 6):
            z = sum((w * values[a] for (a, b), w in weights.items() if b == node), bias)
            active[node] = 1 if node == 5 or z > 0 else 0
            values[node] = z if node == 5 else active[node] * (z + offset)
        slope = {5: 2 * values[5]}  # ∂R by a node's input
        for node in (4, 3, 2):
            onward = sum(w * slope[b] for (a, b), w in weights.items() if a == node)
            slope[node] = active[node] * onward
        score = {(a, b): w * values[a] * slope[b] for (a, b), w in weights.items()}
        total = sum(s for (a, _), s in score.items() if a < 2)
        yield total, slope[5] * values[5]
        for hidden in chain.from_iterable(combinations((2, 3, 4), k) for k in range(4)):
            inside = {0, 1, *hidden}
            if closed and any(b in inside and a not in inside for a, b in EDGES):
                continue
            leaving = sum(s for (a, b), s in score.items() if a in inside and b not in inside)
            yield leaving, total
            yield total, leaving


def separating(closed: bool = True, once: bool = True) -> Iterator[tuple[int, int]]:
    """For every set of EDGES, whether its crossings are right and whether it leaves some A."""
    paths = [path for start in (0, 1) for path in onward(start)]
    leaving = set()
    for hidden in chain.from_iterable(combinations((2, 3, 4), k) for k in range(4)):
        inside = {0, 1, *hidden}
        if not closed or all(a in inside for a, b in EDGES if b in inside):
            leaving.add(frozenset((a, b) for a, b in EDGES if a in inside and b not in inside))
    for count in range(len(EDGES) + 1):
        for edges in map(frozenset, combinations(EDGES, count)):
            crossings = [sum(edge in edges for edge in path) for path in paths]
            right = all(c == 1 if once else c >= 1 for c in crossings)
            yield int(right), int(edges in leaving)
            yield int(edges in leaving), int(right)


def onward(node: int) -> Iterator[tuple[tuple[int, int], ...]]:
    if node == 5:
        yield ()
    for a, b in EDGES:
        if a == node:
            yield from (((a, b), *rest) for rest in onward(b))


def shared(pool: str, padding: int = 0) -> list[Any]:
    """Two taps over four positions of one channel, two pools of two, one weight a pool."""
    import sympy

    taps, x, out = sympy.symbols("t1:3"), sympy.symbols("x1:5"), sympy.symbols("v1:3")
    padded = [*x, sympy.Integer(padding)]
    values = [
        c * (taps[0] * padded[i] + taps[1] * padded[i + 1])
        for i, c in enumerate(sympy.symbols("c1:5"))
    ]
    pooled = []
    for a, b in (values[:2], values[2:]):
        kinds = {"maximum": a, "mean": (a + b) / 2, "squares": a**2 + b**2, "shares": a / (a + b)}
        pooled.append(kinds[pool])  # the first is the larger, as it is on one side of the kink
    slope = sympy.Symbol("R1")
    objective = slope * sum(v * y for v, y in zip(out, pooled, strict=True))

    def score(parameters: Any) -> Any:
        return sum(parameter * sympy.diff(objective, parameter) for parameter in parameters)

    return [sympy.simplify(score(taps) - score(out)), sympy.simplify(score(x) - score(out))]

"""How wide and how deep a stack of ±1 layers must be to hold every target of so many binary digits.

Values. A target's layer i with inputs y_1 … y_d ≥ 0 and weights m_ja 2^-F, m_ja whole numbers of at
most B binary digits, takes B source layers. In the first layer of all, the inputs x_a are signed:
neurons fed by one input each give σ(x_a) and σ(−x_a), the sign of the weight deciding which; from
there on these are 2·d_0 inputs that are ≥ 0. A bias is the weight of an input that is one: neurons
fed by nothing but their bias +1. Call the inputs of a layer, constants included, its *streams*.

Layout "powers" (the idea of Sreenivasan et al. 2022): B − 1 source layers carry every power of two
of every stream that is there already (2^k y, one weight +1) and double the largest
(2^t y = σ(2^(t−1) y + 2^(t−1) y), two weights +1); the last source layer adds up those powers that
are digits of m_ja, each by a weight of the sign of m_ja, times the public factor 2^-F.
Layout "sums" (ours): the streams are carried alone, and for every output two sums P_j and N_j ≥ 0
are doubled instead, P_j ← 2 P_j + Σ y_a over the a with m_ja > 0 whose next digit is one, N_j alike
for m_ja < 0; the last source layer is 2 P_j − 2 N_j plus the streams whose last digit is one. It is
narrower by a factor of the order of B.

Copies. Signs are random, so each of these values, also of the next target layer's inputs, is had R
times, by neurons side by side: a *link* from a value to a neuron takes one or two of its copies
that are joined to the neuron by a weight of the sign wanted. A pool of N = ⌈R/log2(4/3)⌉ neurons
stands for each network input (those with weight + give σ(x), those with − give σ(−x)) and for the
constant one of each layer with biases.

Theorem. Let L_1 and L_2 be the numbers of links, of all targets at once, that take one and two
copies (`links`). With probability at least 1 − 2^-R (L_1 + (R + 1) L_2) every neuron finds all its
links: every target of the class whose weights have at most B_i digits is computed *exactly*, hence
every target of the class up to 2^-(F_i + 1) a weight.
Proof. Order the links by layer. Where all links of earlier layers are found, all R copies of a
value have it, and the weights from them to a neuron are R fresh signs: fewer than one of the right
sign has probability 2^-R, fewer than two (R + 1) 2^-R. Of a pool's N neurons each serves a link iff
its own weight and the one from it to the neuron are right, independently with probability 1/4:
fewer than one, (3/4)^N <= 2^-R; fewer than two, (3/4)^N (1 + N/3) <= 2^-R (1 + R), as
(1 + N/3)(3/4)^N falls with N >= 1 and 1 + R/(3 log2(4/3)) <= 1 + R. Add up. Whatever the target,
its links are among those counted: both signs of each digit count, where the sign depends on it. ∎

So R = log2((L_1 + (R + 1) L_2)/δ), of order log(d l B/δ): depth 1 + Σ B_i, and width of order
d·B·R ("powers") or d·R ("sums"), for digits B = O(log(d l/ε)) of each weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from slth.errors import BadInput

Routing = Literal["powers", "sums"]
ROUTINGS: tuple[Routing, ...] = ("powers", "sums")


@dataclass(frozen=True)
class Stage:
    """One layer of the target: inputs, outputs, whether it has a bias, binary digits B of a weight,
    whether its inputs are signed, and whether outputs are had in copies (all but the last)."""

    inputs: int
    outputs: int
    bias: bool
    digits: int
    signed: bool
    copied: bool

    @property
    def streams(self) -> int:
        return self.inputs * (1 + self.signed) + self.bias


def stages(dims: Sequence[int], biases: Sequence[bool], digits: Sequence[int]) -> list[Stage]:
    """The target's layers; raises BadInput unless there are biases and digits for each."""
    depth = len(dims) - 1
    if not depth == len(biases) == len(digits) or min(digits, default=0) < 1:
        raise BadInput("digits", tuple(digits), f"{depth} numbers >= 1", "one a layer")
    rows = zip(dims[:-1], dims[1:], biases, digits, strict=True)
    return [Stage(a, b, o, d, i == 0, i < depth - 1) for i, (a, b, o, d) in enumerate(rows)]


def pool(copies: int) -> int:
    """N, neurons of a pool: ⌈R/log2(4/3)⌉."""
    return math.ceil(copies / math.log2(4 / 3) * (1 + 1e-12))


def widths(layers: Sequence[Stage], copies: int, routing: Routing) -> tuple[int, ...]:
    """(w_0, …, w_T): the source's inputs, hidden layers and outputs."""
    found = [layers[0].inputs, pool(copies) * (layers[0].inputs + layers[0].bias)]
    for i, stage in enumerate(layers):
        for step in range(1, stage.digits):
            if routing == "powers":
                found.append(stage.streams * (step + 1) * copies)
            else:
                found.append((stage.streams + 2 * stage.outputs) * copies)
        ones = pool(copies) if stage.copied and layers[i + 1].bias else 0
        found.append(stage.outputs * copies + ones if stage.copied else stage.outputs)
    return tuple(found)


def links(layers: Sequence[Stage], copies: int, routing: Routing) -> tuple[int, int]:
    """(L_1, L_2): links of all targets of the class that take one and two copies of a value."""
    one = two = 0
    for stage in layers:
        streams, outputs, more = stage.streams, stage.outputs, stage.digits - 1
        ends = outputs * (copies if stage.copied else 1)
        if routing == "powers":
            one += copies * streams * more * (more + 1) // 2 + 2 * ends * streams * stage.digits
            two += copies * streams * more
        else:
            one += copies * (streams + 2 * outputs * streams) * more + 2 * ends * streams
            two += copies * 2 * outputs * max(0, more - 1) + 2 * ends * (more > 0)
    return one, two


def failure(layers: Sequence[Stage], copies: int, routing: Routing) -> float:
    """The theorem's bound on the probability that some link is not found."""
    one, two = links(layers, copies, routing)
    whole = one + (copies + 1) * two
    return whole / 2**copies if copies < 1000 else math.ldexp(float(whole), -copies)


def least_copies(layers: Sequence[Stage], delta: float, routing: Routing) -> int:
    """The least R whose bound is at most delta."""
    # a copy more at least halves 2^-R, and the number of links grows slower from R = 4 on
    copies = next(r for r in range(1, 100_000) if failure(layers, r, routing) <= delta)
    return copies


def fraction_bits(eta: float) -> int:
    """The least F >= 0 with 2^-(F + 1) <= eta."""
    return max(0, -math.frexp(eta)[1])


def digits(largest: float, bits: int) -> int:
    """Binary digits, at least one, of the whole number nearest to w·2^bits, for |w| <= largest."""
    if largest == 0:
        return 1
    mantissa, exponent = math.frexp(largest)
    scale = min(exponent + bits + 1, 1000)
    carried = math.ldexp(1 - mantissa, scale) <= 1  # it rounds up to a power of two
    return max(1, exponent + bits + carried)

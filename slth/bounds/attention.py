"""Otsuka et al. (2025): strong tickets in multi-head attention.

A block of H heads, tokens of norm at most α (α² at least both d_1 and d_2), target projections of
spectral norm at most 1. With probability >= 1 − ε masks exist whose output is within ε for every
token and any number of tokens, if the random projections have inner dimensions

    keys:    n_K >= d_1 C log(8 H α³ d_1^{3/2}/ε),   queries and keys U[−n_K^{1/4}, n_K^{1/4}],
    values:  n_V >= d_1 C log(2 H α d_1 sqrt(d_2)/ε),   values and outputs U[−1, 1].

C is universal and not given, so these are rates. Here α is the class's input radius, or
max(sqrt(d_1), sqrt(d_2)) where that is larger.

`product`, explicit, derived here, for lemma 4 of the paper, the step behind both: a matrix W of
shape [d_2, d_1] by the masked product of two random ones, of shapes [d_2, n] and [n, d_1], without
activation. Of the n inner rows a block of n' = n/d_1 serves each input; entry w_{ja} is a subset
sum of the n' products v_k u_k of two values uniform on [−1, 1]. Their density ln(1/|z|)/2 is at
least ln(2)/2 on [−1/2, 1/2], so that a product is uniform there with probability ln(2)/2 (no half
is lost to a ReLU: twice as often as in `pensia`). Of n' products Bin(n', ln(2)/2) are uniform ones,
which doubled reach 2w within 2η: with δ' = δ/(2 d_1 d_2)

    n' = n_rss_product(η, 2δ', scale=1/2),  η = ε/(d_1 d_2),

serves all ||W|| <= 1 at once, with probability >= 1 − δ and error at most η in every entry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np

from slth.bounds import (
    Bound,
    Citation,
    ClosedForm,
    Floats,
    Kind,
    Provenance,
    Size,
    Statement,
    TargetClass,
    architecture_failures,
    norm_failures,
)
from slth.bounds.random_subset_sum import FULL, n_rss_product


def n_rss_full_product(tolerance: float, delta: float) -> int:
    """n': with probability >= 1 − δ, every z in [−1, 1] is within tolerance of a subset sum of n'
    products of two values uniform on [−1, 1]."""
    return n_rss_product(tolerance, delta, scale=FULL)


@final
@dataclass(frozen=True)
class Attention(Bound):
    """Inner dimensions of a random attention block; `product` is one matrix as two."""

    form: Literal["keys", "values", "product"] = "keys"

    citation: ClassVar[Citation] = Citation(
        "H. Otsuka, D. Chijiwa, Y. Okoshi, D. Fujiki, S. Takeuchi, M. Motomura",
        2025,
        "The Strong Lottery Ticket Hypothesis for Multi-Head Attention Mechanisms",
        "2511.04217",
    )

    @property
    def statement(self) -> Statement:
        if self.form == "product":
            return Statement(
                Kind.EXPLICIT,
                Provenance.DERIVED,
                r"Let $M_1\in\mathbb{R}^{n\times d_1}$, $M_2\in\mathbb{R}^{d_2\times n}$ have "
                r"i.i.d. entries $U[-1,1]$ and $n\ge d_1n'$. Then with probability at least "
                r"$1-\delta$ every $W$ with $\|W\|\le1$ has masks with "
                r"$|W-(M_2\odot S_2)(M_1\odot S_1)|_{\max}\le\epsilon/(d_1d_2)$.",
                r"n'(\epsilon/(d_1d_2),\ \delta/(d_1d_2))",
                "inner rows drawn per input, a layer",
                "d_1 d_2 times the largest error of an entry",
                "A random subset sum, then a binomial tail, is searched for the least number.",
            )
        keys = self.form == "keys"
        rate = (
            r"d_1\log(8H\alpha^3d_1^{3/2}/\epsilon)"
            if keys
            else r"d_1\log(2H\alpha d_1\sqrt{d_2}/\epsilon)"
        )
        return Statement(
            Kind.ASYMPTOTIC,
            Provenance.STATED,
            r"If $n_K\ge Cd_1\log(8H\alpha^3d_1^{3/2}/\epsilon)$ and "
            r"$n_V\ge Cd_1\log(2H\alpha d_1\sqrt{d_2}/\epsilon)$, then with probability at least "
            r"$1-\epsilon$ the random block of $H$ heads has masks with "
            r"$\max_i\|A_S(x_i)-A(x_i)\|\le\epsilon$ for all tokens $\|x_i\|\le\alpha$.",
            rate,
            f"inner dimension of the {self.form}, up to a universal factor",
            "error of a token's output",
        )

    @classmethod
    def variants(cls) -> tuple[Attention, ...]:
        return cls(), cls("values"), cls("product")

    def hypotheses(self, target: TargetClass) -> list[str]:
        if self.form == "product":
            failed = [*architecture_failures(target), *norm_failures(target)]
            if target.depth > 1:
                failed.append(f"The lemma is about one matrix; this class has {target.depth}.")
            return failed
        failed = norm_failures(target)
        if target.heads == 0:
            failed.append("The theorem is about attention; this class has no heads.")
        return failed

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, math.inf if self.form == "product" else 1.0

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        if self.form == "product":
            shapes = [a * b for a, b in target.links]
            counts = [
                [n_rss_full_product(float(e) / size, delta / size) for size in shapes]
                for e in errors.flat
            ]
            return np.array(counts, dtype=np.float64).reshape(*errors.shape, target.depth)
        first, last, alpha = self._constants(target)
        if self.form == "keys":
            constant = math.log(8) + 3 * math.log(alpha) + 1.5 * math.log(first)
        else:
            constant = math.log(2) + math.log(alpha) + math.log(first) + 0.5 * math.log(last)
        rate: Floats = first * (constant + math.log(max(target.heads, 1)) - np.log(errors))
        return rate

    def _constants(self, target: TargetClass) -> tuple[int, int, float]:
        """d_1, d_2 and α."""
        first, last = target.dims[0], target.dims[-1]
        return first, last, max(target.input_radius, math.sqrt(max(first, last)))

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        if self.form != "product":
            return None
        counts = self.ask(target, epsilon, delta).tolist()
        inner = [n * a for n, (a, _) in zip(counts, target.links, strict=True)]
        widths = [w for n, (_, b) in zip(inner, target.links, strict=True) for w in (n, float(b))]
        weights = sum(n * (a + b) for n, (a, b) in zip(inner, target.links, strict=True))
        return Size(tuple(counts), tuple(widths[:-1]), weights)

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        if self.form == "product":
            return None
        first, last, alpha = self._constants(target)
        whole = {"a": first, "b": last, "alpha": alpha, "H": max(target.heads, 1)}
        inside = "8*H*alpha**3*a**Rational(3, 2)" if self.form == "keys" else "2*H*alpha*a*sqrt(b)"
        return ClosedForm(f"a*log({inside}/epsilon)", ({"epsilon": float(epsilon), **whole},))

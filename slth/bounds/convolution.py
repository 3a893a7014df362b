"""da Cunha et al. (2022): random convolutional networks hold strong tickets for all smaller ones.

The paper's abstract: a convolutional network is approximated, with high probability, by pruning a
random one that is larger by a logarithmic factor. Its source alternates 1×1 layers of 2 n_i c_{i-1}
channels, a block for every input channel, and layers with the target's kernels.

`derived`, ours. Let the entries of K_i have absolute sum at most 1 (a bound for every output
channel alone suffices), and measure by the largest absolute pixel: |K * X|_max <= |K|_1 |X|_max.
Each tap of k_i² c_{i-1} c_i is a gadget of its own, two subset sums of products, and taps share
their in-weights, which does no harm to a union bound: with n_i = n_rss_product(η_i, δ/Σ 2 k_j²
c_{j-1} c_j) all taps of all targets are within η_i = ε/(2 l k_i² c_{i-1}) at once, with probability
>= 1 − δ. A gadget's residual r(t) satisfies |r(t)| <= η|t| and is η-Lipschitz, so an output pixel,
a sum over k_i² c_{i-1} of them, is off by at most ε/(2l) times its input, and the network by
(1 + ε/(2l))^l − 1 <= e^(ε/2) − 1 <= ε for ε <= 1; a larger ε is served as 1 is. Padding is by
zeros and any stride, or pooling that does not enlarge differences, is allowed.

`asymptotic`: the theorem's rate as remembered, for display only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np

from slth.bounds import (
    NORM_SLACK,
    Bound,
    Citation,
    ClosedForm,
    Floats,
    Kind,
    Provenance,
    Size,
    Statement,
    TargetClass,
)
from slth.bounds.random_subset_sum import n_rss_product


@final
@dataclass(frozen=True)
class Convolution(Bound):
    """Channels drawn per half block and layer."""

    form: Literal["derived", "asymptotic"] = "derived"

    citation: ClassVar[Citation] = Citation(
        "A. da Cunha, E. Natale, L. Viennot",
        2022,
        "Proving the Lottery Ticket Hypothesis for Convolutional Neural Networks",
    )

    @property
    def statement(self) -> Statement:
        ours = self.form == "derived"
        size = (
            r"n_{\mathrm{product}}(\eta_i,\ \delta/\sum_j 2k_j^2c_{j-1}c_j)"
            if ours
            else r"\log(c_{i-1}c_ik_i^2\ell/\min\{\epsilon,\delta\})"
        )
        width = rf"n_i={size}" if ours else rf"n_i\ge C{size}"
        return Statement(
            Kind.EXPLICIT if ours else Kind.ASYMPTOTIC,
            Provenance.DERIVED if ours else Provenance.REMEMBERED,
            r"Let $\|K_i\|_1\le 1$ for all $i\le\ell$. If $g$ alternates $1\times1$ layers with "
            r"$2n_ic_{i-1}$ channels and $k_i\times k_i$ layers with $c_i$ channels, weights "
            rf"$U[-1,1]$, ${width}$, then with probability at least $1-\delta$ every such $f$ has "
            r"a mask $S$ with $\sup_{|X|_{\max}\le1}\|f(X)-g_S(X)\|_{\max}\le\epsilon$.",
            size,
            "channels drawn per half block, a layer"
            if ours
            else "channels per input channel and layer, up to a universal factor",
            "largest pixel error over images with pixels in [-1, 1]",
            "n_rss_product, a layer: see random_subset_sum; binomial tails are searched for the "
            "least number of channels."
            if ours
            else "",
        )

    @classmethod
    def variants(cls) -> tuple[Convolution, ...]:
        return cls(), cls("asymptotic")

    def hypotheses(self, target: TargetClass) -> list[str]:
        failed = list(target.beyond)
        if target.kernels is None:
            failed.append("The theorem's layers are convolutions; the class gives no kernels.")
        if target.biases:
            failed.append("The theorem's targets have no biases; this one has.")
        for i, norm in enumerate(target.spectral_norms, start=1):
            if norm > 1 + NORM_SLACK:
                failed.append(
                    f"Layer {i}'s kernel has absolute sum {norm:.6g}; the theorem asks for 1."
                )
        if target.input_radius > 1 + NORM_SLACK:
            failed.append(f"Pixels reach {target.input_radius:.6g}; the theorem asks for 1.")
        return failed

    def limits(self, target: TargetClass) -> tuple[float, float]:
        return 0.0, np.inf if self.form == "derived" else 1.0

    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        shapes = list(zip(target.dims[:-1], target.dims[1:], target.taps, strict=True))
        if self.form == "asymptotic":
            size = np.array([float(a * b * k) * target.depth for a, b, k in shapes])
            rate: Floats = np.log(size) - np.log(np.minimum(errors, delta))[..., None]
            return rate
        each = delta / sum(2 * a * b * k for a, b, k in shapes)
        shares = np.minimum(errors, 1.0) / (2 * target.depth)
        counts = [[n_rss_product(s / (k * a), each) for a, _, k in shapes] for s in shares.flat]
        return np.array(counts, dtype=np.float64).reshape(*errors.shape, target.depth)

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        if self.form == "asymptotic":
            return None
        counts = self.ask(target, epsilon, delta).tolist()
        shapes = zip(counts, target.dims[:-1], target.dims[1:], target.taps, strict=True)
        blocks = [(2 * n * a, a, b, k) for n, a, b, k in shapes]
        widths = [w for hidden, _, b, _ in blocks for w in (hidden, float(b))]
        weights = sum(hidden * (a + b * k) for hidden, a, b, k in blocks)
        return Size(tuple(counts), tuple(widths[:-1]), weights)

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        if self.form == "derived":
            return None
        point = {"epsilon": float(epsilon), "delta": delta, "l": target.depth}
        shapes = zip(target.dims[:-1], target.dims[1:], target.taps, strict=True)
        return ClosedForm(
            "log(a*b*t*l/Min(epsilon, delta))",
            tuple({"a": a, "b": b, "t": k, **point} for a, b, k in shapes),
        )

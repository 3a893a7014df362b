"""Classes of targets: what a theorem may know of its target, and what several theorems ask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from slth.errors import BadInput

if TYPE_CHECKING:
    from slth.domain import Domain
    from slth.network import Network
    from slth.source import Source
    from slth.target import Target
    from slth.wiring import Wiring

# A norm of exactly one, computed with rounding outward, comes out this much larger at most. The
# explicit theorems pay for it: they bound the error by e^(ε/2) − 1 <= 0.65 ε, not by ε.
NORM_SLACK = 1e-9


@dataclass(frozen=True)
class TargetClass:
    """The class constants of targets f: layers d_{i-1} → d_i with ReLU between, and of the domain.

    spectral_norms: bounds on ||W_i||; max_entries: bounds on the entries of W_i and b_i;
    input_radius: a bound on ||x|| over the domain; inner_radius: the radius of a ball around 0
    inside the domain (0 when there is none, or it is unknown).

    kernels: layer i is a convolution with k_i × k_i taps (None: fully connected). Then dims are
    channels, spectral_norms bound the sum of |K_i| over its taps, input channels and output
    channels, and both radii are in the largest absolute pixel.

    pairs: (inputs, outputs · taps) a layer, biases counted as an input, where the layers are no
    plain stack; then dims only says inputs and, layer by layer, outputs. beyond: sentences on what
    the architecture has that a stack of layers with ReLU between has not.

    heads: >= 1 for a block of that many attention heads with keys of size d_1 = dims[0] and values
    of size d_2 = dims[-1], ||x|| <= input_radius a token; 0 for a ReLU network.
    """

    dims: tuple[int, ...]
    biases: bool
    spectral_norms: tuple[float, ...]
    max_entries: tuple[float, ...]
    input_radius: float
    inner_radius: float = 0.0
    kernels: tuple[int, ...] | None = None
    heads: int = 0
    pairs: tuple[tuple[int, int], ...] | None = None
    beyond: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.dims) < 2 or not all(_natural(d) for d in self.dims):
            raise BadInput("dims", self.dims, "two or more integers >= 1", "pass (d_0, ..., d_l)")
        for name in ("spectral_norms", "max_entries"):
            values = getattr(self, name)
            if len(values) != self.depth or not all(0 <= v < np.inf for v in values):
                allowed = f"{self.depth} finite numbers >= 0, one a layer"
                raise BadInput(name, values, allowed, "pass one bound a layer")
        if not (0 <= self.inner_radius <= self.input_radius < np.inf):
            got = f"inner {self.inner_radius}, outer {self.input_radius}"
            raise BadInput("radius", got, "0 <= inner <= outer < inf", "check the domain")
        if self.kernels is not None and (
            len(self.kernels) != self.depth or not all(_natural(k) for k in self.kernels)
        ):
            allowed = f"{self.depth} integers >= 1, one a layer, or None"
            raise BadInput("kernels", self.kernels, allowed, "pass one kernel side a layer")
        if self.heads != 0 and not _natural(self.heads):
            raise BadInput("heads", self.heads, "an integer >= 0", "0 for a ReLU network")
        if self.heads and self.kernels is not None:
            raise BadInput("heads", self.heads, "0 where kernels are given", "choose one of both")

    @property
    def depth(self) -> int:
        return len(self.dims) - 1

    @property
    def links(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) a layer, the constant input of a bias counted as one."""
        if self.pairs is not None:
            return self.pairs
        one = int(self.biases)
        return tuple((a + one, b) for a, b in zip(self.dims[:-1], self.dims[1:], strict=True))

    @property
    def taps(self) -> tuple[int, ...]:
        """k_i² a layer: the weights between an input and an output channel."""
        return tuple(k * k for k in self.kernels or (1,) * self.depth)


def _natural(value: float) -> bool:
    return bool(value == int(value) and value >= 1)


def unit_class(
    *dims: int,
    entries: Literal["one", "malach"] = "one",
    kernels: tuple[int, ...] | None = None,
    heads: int = 0,
) -> TargetClass:
    """The class of Pensia et al. (2020): no biases, spectral norms at most 1, the unit ball.

    entries: bounded by what the norms imply, 1, or as Malach et al. (2020) ask, by 1/sqrt(d_{i-1}).
    The latter lies in as many theorems' hypotheses as one class can.
    """
    depth = len(dims) - 1
    if entries not in ("one", "malach"):
        raise BadInput("entries", entries, "'one' or 'malach'", "pick one of these")
    malach = entries == "malach" and all(d >= 1 for d in dims)
    largest = tuple(float(d) ** -0.5 for d in dims[:-1]) if malach else (1.0,) * depth
    return TargetClass(dims, False, (1.0,) * depth, largest, 1.0, 1.0, kernels, heads)


def facts(target: Target | Network, domain: Domain) -> TargetClass:
    """The constants of the smallest class that holds the target, every norm rounded up.

    Raises BadInput when the domain's dimension is not the target's input width.
    """
    from slth.certify.propagate import radius_of
    from slth.certify.rounding import spectral_upper
    from slth.domain import Ball
    from slth.target import Target

    if domain.dimension != target.inputs:
        allowed = f"{target.inputs}, the target's input width"
        raise BadInput("domain", f"dimension {domain.dimension}", allowed, "match the dimensions")
    if not isinstance(target, Target):
        return _wired_facts(target, domain)
    if isinstance(domain, Ball):
        inner = domain.radius
    else:
        inner = max(0.0, min(float((-domain.low).min()), float(domain.high.min())))
    return TargetClass(
        dims=target.dims,
        biases=any(b is not None for b in target.biases),
        spectral_norms=tuple(spectral_upper(w) for w in target.weights),
        max_entries=tuple(
            float(np.abs(target.augmented(i)).max()) for i in range(len(target.weights))
        ),
        input_radius=radius_of(domain),
        inner_radius=inner,
    )


def _wired_facts(target: Network, domain: Domain) -> TargetClass:
    """Of a network of any wiring: norms are largest row sums over taps, radii in largest pixels.

    Of an attention block alone, norms are those of its heads' products, M and V of
    `slth.attention`, and the radius is a token's.
    """
    from slth.certify.rounding import spectral_upper, up
    from slth.domain import Ball

    layers = list(zip(target.wiring.affine, target.weights, target.biases, strict=True))
    sums = [float(np.abs(w).reshape(len(w), -1).sum(axis=1).max()) for _, w, _ in layers]
    radius = (
        domain.radius
        if isinstance(domain, Ball)
        else max(float(np.abs(domain.low).max()), float(np.abs(domain.high).max()))
    )
    found = TargetClass(
        dims=(target.wiring.shape[0], *(step.outputs for step, _, _ in layers)),
        biases=any(target.biased),
        spectral_norms=tuple(up(s, w[0].size) for s, (_, w, _) in zip(sums, layers, strict=True)),
        max_entries=tuple(float(np.abs(target.augmented(i)).max()) for i in range(target.depth)),
        input_radius=radius,
        kernels=tuple(max(step.kernel or (1, 1)) for step, _, _ in layers),
        pairs=tuple((a + one, b) for (a, b), one in zip(target.links, target.biased, strict=True)),
        beyond=_beyond(target.wiring),
    )
    heads = _heads(target.wiring)
    if not heads:
        return found
    return replace(
        found,
        spectral_norms=tuple(spectral_upper(w.reshape(len(w), -1)) for _, w, _ in layers),
        input_radius=up(radius * float(np.sqrt(target.wiring.shape[0])), 3),
        kernels=None,
        heads=heads,
    )


def _heads(wiring: Wiring) -> int:
    """The heads of what is one attention block and nothing else; 0 for all other networks."""
    from slth.wiring import Affine, Attend

    blocks = [step for step in wiring.steps if isinstance(step, Attend)]
    others = [step for step in wiring.steps if not isinstance(step, Attend | Affine)]
    return len(blocks[0].keys) if len(blocks) == 1 and not others else 0


def _beyond(wiring: Wiring) -> tuple[str, ...]:
    """What a wiring has besides convolutions, ReLU and pooling."""
    from slth.wiring import Activation, Add, Attend, Flatten

    found = []
    if any(isinstance(step, Attend) for step in wiring.steps) and not _heads(wiring):
        found.append("The theorem's layers form a chain; this target has attention.")
    if any(isinstance(step, Add) for step in wiring.steps):
        found.append("The theorem's layers form a chain; this target has additions.")
    if any(isinstance(step, Flatten) for step in wiring.steps) or len(wiring.shape) == 1:
        found.append("The theorem's layers are convolutions; this target has fully connected ones.")
    kinds = {step.kind for step in wiring.steps if isinstance(step, Activation)} - {"relu"}
    found += [f"The theorem's activation is ReLU; this target has {k}." for k in sorted(kinds)]
    return tuple(found)


def architecture_failures(target: TargetClass) -> list[str]:
    """What keeps a class from being fully connected ReLU networks without biases."""
    failed = []
    if target.heads:
        failed.append("The theorem's targets are ReLU networks; this is an attention block.")
    if target.kernels is not None:
        failed.append("The theorem's layers are fully connected; these are convolutions.")
    if target.biases:
        failed.append("The theorem's targets have no biases; this one has.")
    return failed


def norm_failures(target: TargetClass) -> list[str]:
    """The layers whose norm exceeds 1."""
    return [
        f"Layer {i} has spectral norm {norm:.6g}; the theorem asks for at most 1."
        for i, norm in enumerate(target.spectral_norms, start=1)
        if norm > 1 + NORM_SLACK
    ]


def entry_failures(target: TargetClass, largest: tuple[float, ...]) -> list[str]:
    """The layers with an entry beyond the largest that the theorem allows there."""
    return [
        f"Layer {i} has an entry of size {entry:.6g}; the theorem asks for at most {most:.6g}."
        for i, (entry, most) in enumerate(zip(target.max_entries, largest, strict=True), start=1)
        if entry > most * (1 + NORM_SLACK)
    ]


def radius_failures(target: TargetClass) -> list[str]:
    """Whether the domain leaves the unit ball."""
    if target.input_radius <= 1 + NORM_SLACK:
        return []
    return [f"The domain reaches norm {target.input_radius:.6g}; the theorem's is the unit ball."]


def unit_class_failures(target: TargetClass) -> list[str]:
    """What keeps a class out of `unit_class`: the hypotheses that Malach and Pensia share."""
    return [*architecture_failures(target), *norm_failures(target), *radius_failures(target)]


def law_failures(source: Source) -> list[str]:
    """What keeps a source out of the theorems: all of them draw every weight from U[-1, 1], before
    the target is seen."""
    from slth.laws import Uniform

    own = source.bias_law if any(source.bias) else None
    failed = []
    if source.present < 1:
        failed.append(
            f"The theorem's source has all its weights; here one exists with chance "
            f"{source.present:g} (Gadhikar et al. 2022 say how much wider it must be)."
        )
    if source.locked:
        failed.append(
            f"The theorem's masks are free; here an out-weight is locked with chance "
            f"{source.locked:g} (Otsuka et al. 2024)."
        )
    failed += [
        f"The theorem's weights are U[-1, 1]; the source's are {law.to_json()}."
        for law in dict.fromkeys((source.law, source.out_law or source.law, own or source.law))
        if law != Uniform()
    ]
    exchanged = sum(len(pairs) for pairs in getattr(source, "exchanged", ()))
    if exchanged:
        failed.append(
            "The theorem's neurons serve what they do before the target is seen; here "
            f"{exchanged} pairs were exchanged after that."
        )
    return failed

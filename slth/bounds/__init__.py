"""Theorems as code: hypotheses, formula, citation, provenance. One bound a file.

`bounds()` lists them by file name and `load(name)` imports one.

    bound = load("pensia")()
    bound.hypotheses(facts(target, domain))     # sentences; empty when the theorem applies
    bound.evaluate(facts(target, domain), 0.1, 0.05)

A theorem speaks about a *class* of targets, so it sees `TargetClass` and never single weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.errors import BadInput

if TYPE_CHECKING:
    from slth.domain import Domain
    from slth.source import Source
    from slth.target import Target

Floats = NDArray[np.float64]

# A norm of exactly one, computed with rounding outward, comes out this much larger at most. The
# explicit theorems pay for it: they bound the error by e^(ε/2) − 1 <= 0.65 ε, not by ε.
NORM_SLACK = 1e-9


class Kind(StrEnum):
    """What a statement's number is, hence how a measurement may test it."""

    EXPLICIT = "explicit"  # a number that holds as it stands: tested at points
    ASYMPTOTIC = "asymptotic"  # a rate up to an unknown constant: tested by slope
    PROBABILITY = "probability"  # a chance: tested by frequency


class Provenance(StrEnum):
    """Where a statement comes from."""

    STATED = "stated in the paper"
    RESTATED = "restated elsewhere"
    DERIVED = "derived here"
    ASYMPTOTIC_ONLY = "asymptotic only"


@dataclass(frozen=True)
class Citation:
    """A published source; `arxiv` is its identifier there, None where there is none."""

    authors: str
    year: int
    title: str
    arxiv: str | None = None

    @property
    def short(self) -> str:
        """As a text cites it: Pensia et al. (2020)."""
        first, _, others = self.authors.partition(",")
        surname = " ".join(word for word in first.split() if not word.endswith("."))
        return f"{surname}{' et al.' if others else ''} ({self.year})"

    def __str__(self) -> str:
        where = f", arXiv {self.arxiv}" if self.arxiv else ""
        return f"{self.authors} ({self.year}), {self.title}{where}"


@dataclass(frozen=True)
class Statement:
    """One theorem, in words and as a formula.

    text: the sentence, in LaTeX; formula: the evaluated quantity, in LaTeX math without dollars,
    fit for a figure's legend; quantity: what `evaluate` returns; epsilon: what its ε measures.
    """

    kind: Kind
    provenance: Provenance
    text: str
    formula: str
    quantity: str
    epsilon: str


@dataclass(frozen=True)
class TargetClass:
    """The class constants of targets f: layers d_{i-1} → d_i with ReLU between, and of the domain.

    spectral_norms: bounds on ||W_i||; max_entries: bounds on the entries of W_i and b_i;
    input_radius: a bound on ||x|| over the domain; inner_radius: the radius of a ball around 0
    inside the domain (0 when there is none, or it is unknown).
    """

    dims: tuple[int, ...]
    biases: bool
    spectral_norms: tuple[float, ...]
    max_entries: tuple[float, ...]
    input_radius: float
    inner_radius: float = 0.0

    def __post_init__(self) -> None:
        if len(self.dims) < 2 or not all(d == int(d) and d >= 1 for d in self.dims):
            raise BadInput("dims", self.dims, "two or more integers >= 1", "pass (d_0, ..., d_l)")
        for name in ("spectral_norms", "max_entries"):
            values = getattr(self, name)
            if len(values) != self.depth or not all(0 <= v < np.inf for v in values):
                allowed = f"{self.depth} finite numbers >= 0, one a layer"
                raise BadInput(name, values, allowed, "pass one bound a layer")
        if not (0 <= self.inner_radius <= self.input_radius < np.inf):
            got = f"inner {self.inner_radius}, outer {self.input_radius}"
            raise BadInput("radius", got, "0 <= inner <= outer < inf", "check the domain")

    @property
    def depth(self) -> int:
        return len(self.dims) - 1

    @property
    def links(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) a layer, the constant input of a bias counted as one."""
        one = int(self.biases)
        return tuple((a + one, b) for a, b in zip(self.dims[:-1], self.dims[1:], strict=True))


def unit_class(*dims: int) -> TargetClass:
    """The class of Pensia et al. (2020): no biases, spectral norms at most 1, the unit ball."""
    ones = (1.0,) * (len(dims) - 1)
    return TargetClass(dims, False, ones, ones, 1.0, 1.0)


def facts(target: Target, domain: Domain) -> TargetClass:
    """The constants of the smallest class that holds the target, every norm rounded up.

    Raises BadInput when the domain's dimension is not the target's input width.
    """
    from slth.certify.propagate import radius_of
    from slth.certify.rounding import spectral_upper
    from slth.domain import Ball

    if domain.dimension != target.dims[0]:
        allowed = f"{target.dims[0]}, the target's input width"
        raise BadInput("domain", f"dimension {domain.dimension}", allowed, "match the dimensions")
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


class Bound(ABC):
    """A theorem. A field, where there is one, chooses among its variants."""

    citation: ClassVar[Citation]

    @property
    @abstractmethod
    def statement(self) -> Statement:
        """The chosen variant, in words."""

    @abstractmethod
    def hypotheses(self, target: TargetClass) -> list[str]:
        """The hypotheses that fail for this class, as sentences; empty when all hold."""

    @abstractmethod
    def evaluate(self, target: TargetClass, epsilon: ArrayLike, delta: float) -> Floats:
        """The statement's quantity: `[*epsilon.shape]`, or `[*epsilon.shape, l]` a layer.

        The formula is evaluated whether or not its hypotheses hold. An asymptotic statement gives
        its rate, with no constant. Raises BadInput for ε <= 0 or δ outside (0, 1).
        """

    @property
    def kind(self) -> Kind:
        return self.statement.kind

    @property
    def provenance(self) -> Provenance:
        return self.statement.provenance

    @property
    def latex(self) -> str:
        return self.statement.formula


def check_epsilon(epsilon: ArrayLike) -> Floats:
    """ε as an array; raises BadInput unless every entry lies in [1e-100, inf)."""
    array = np.asarray(epsilon, dtype=np.float64)
    if array.size == 0 or not (np.isfinite(array) & (array >= 1e-100)).all():
        raise BadInput("epsilon", epsilon, "finite numbers >= 1e-100", "choose a tolerance")
    return array


def check_delta(delta: float) -> float:
    """δ; raises BadInput unless it lies in [1e-200, 1)."""
    if not 1e-200 <= delta < 1:
        raise BadInput("delta", delta, "a number in [1e-200, 1)", "choose a failure probability")
    return float(delta)


def unit_class_failures(target: TargetClass) -> list[str]:
    """What keeps a class out of `unit_class`: the hypotheses that Malach and Pensia share."""
    failed = []
    if target.biases:
        failed.append("The theorem's targets have no biases; this one has.")
    for i, norm in enumerate(target.spectral_norms, start=1):
        if norm > 1 + NORM_SLACK:
            failed.append(
                f"Layer {i} has spectral norm {norm:.6g}; the theorem asks for at most 1."
            )
    if target.input_radius > 1 + NORM_SLACK:
        failed.append(
            f"The domain reaches norm {target.input_radius:.6g}; the theorem's is the unit ball."
        )
    return failed


def law_failures(source: Source) -> list[str]:
    """What keeps a source's laws out of the theorems: all of them draw from U[-1, 1]."""
    from slth.laws import Uniform

    return [
        f"The theorem's weights are U[-1, 1]; the source's are {law.to_json()}."
        for law in dict.fromkeys((source.law, source.out_law or source.law))
        if law != Uniform()
    ]


def bounds() -> tuple[str, ...]:
    """The names of all bounds, which are their file names."""
    from slth.plugins import names

    return names(__name__)


def load(name: str) -> type[Bound]:
    """The bound class that the file of that name defines (dashes count as underscores)."""
    from slth.plugins import load as load_plugin

    return load_plugin(__name__, name, Bound)  # type: ignore[type-abstract]

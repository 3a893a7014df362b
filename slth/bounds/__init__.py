"""Theorems as code: hypotheses, formula, citation, provenance. One bound a file.

`bounds()` lists them by file name and `load(name)` imports one.

    bound = load("pensia")()
    bound.hypotheses(facts(target, domain))     # sentences; empty when the theorem applies
    bound.evaluate(facts(target, domain), 0.1, 0.05)

A theorem speaks about a *class* of targets, so it sees `TargetClass` and never single weights.
Every theorem answers the same questions: where it applies (`hypotheses`, `limits`, `silence`), its
number (`evaluate` in bulk, `ask` at a point), the source it asks for (`size`), and its formula
(`closed_form`, or a sentence on the algorithm in its `statement`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.bounds._classes import (
    NORM_SLACK,
    TargetClass,
    architecture_failures,
    entry_failures,
    facts,
    law_failures,
    norm_failures,
    radius_failures,
    unit_class,
    unit_class_failures,
)
from slth.errors import BadInput

__all__ = [
    "NORM_SLACK",
    "Bound",
    "Citation",
    "ClosedForm",
    "Floats",
    "Kind",
    "Provenance",
    "Size",
    "Statement",
    "TargetClass",
    "architecture_failures",
    "bounds",
    "check_delta",
    "check_density",
    "check_epsilon",
    "entry_failures",
    "facts",
    "law_failures",
    "load",
    "norm_failures",
    "radius_failures",
    "unit_class",
    "unit_class_failures",
]

Floats = NDArray[np.float64]
LEAST_EPSILON, LEAST_DELTA = 1e-100, 1e-200


class Kind(StrEnum):
    """What a statement's number is, hence how a measurement may test it."""

    EXPLICIT = "explicit"  # a number that holds as it stands: tested at points
    ASYMPTOTIC = "asymptotic"  # a rate up to an unknown constant: tested by slope
    PROBABILITY = "probability"  # a chance: tested by frequency


class Provenance(StrEnum):
    """Where a statement comes from. What is remembered is for display, never used as a bound."""

    STATED = "stated in the paper"
    RESTATED = "restated elsewhere"
    DERIVED = "derived here"
    ASYMPTOTIC_ONLY = "asymptotic only"  # an abstract's O(·), the theorem itself unread
    REMEMBERED = "from memory, unverified"


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
    fit for a figure's legend; quantity: what `evaluate` returns; epsilon: what its ε measures;
    algorithm: how the number is computed, a sentence, where no closed form is given.
    """

    kind: Kind
    provenance: Provenance
    text: str
    formula: str
    quantity: str
    epsilon: str
    algorithm: str = ""


@dataclass(frozen=True)
class Size:
    """The source that a statement asks for; None for what it leaves open.

    samples: `[l]` a layer, random values of which a target weight is made (in a gadget with two
    halves, a half's); widths: of the source's hidden layers; weights: its prunable weights. least:
    the numbers are necessary, not sufficient. display: they come from memory and serve for display
    only. Floats, since some are astronomic.
    """

    samples: tuple[float, ...] | None = None
    widths: tuple[float, ...] | None = None
    weights: float | None = None
    least: bool = False
    display: bool = False


@dataclass(frozen=True)
class ClosedForm:
    """A formula in sympy's syntax, and what its symbols stand for: a mapping a layer, or one for
    the whole network. Symbols are positive; mu is the relative margin against rounding."""

    formula: str
    values: tuple[Mapping[str, float], ...]

    @property
    def expression(self) -> Any:
        """The sympy expression in the symbols that `values` name."""
        import sympy

        names = {name: sympy.Symbol(name, positive=True) for name in self.values[0]}
        return sympy.sympify(self.formula, locals=names)

    def numbers(self, digits: int = 60) -> Floats:
        """The expression's values, computed with that many digits: `[len(values)]`."""
        import mpmath
        import sympy

        expression = self.expression
        names = sorted(expression.free_symbols, key=str)
        function = sympy.lambdify(names, expression, "mpmath")
        with mpmath.workdps(digits):
            points = [[mpmath.mpf(each[str(name)]) for name in names] for each in self.values]
            return np.array([float(function(*point)) for point in points])


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
    def _values(self, target: TargetClass, errors: Floats, delta: float) -> Floats:
        """`evaluate` at legal ε inside the limits; finite for ε >= 1e-100."""

    @classmethod
    def variants(cls) -> tuple[Bound, ...]:
        """The forms that a table of theorems lists."""
        return (cls(),)

    def limits(self, target: TargetClass) -> tuple[float, float]:
        """The open interval of ε on which the statement speaks."""
        return 0.0, math.inf

    def evaluate(self, target: TargetClass, epsilon: ArrayLike, delta: float) -> Floats:
        """The statement's quantity: `[*epsilon.shape]`, or `[*epsilon.shape, l]` a layer.

        The formula is evaluated whether or not its hypotheses hold, and is NaN where ε lies outside
        `limits`. An asymptotic statement gives its rate, with no constant. Raises BadInput for ε
        outside [1e-100, inf) or δ outside [1e-200, 1).
        """
        errors, delta = check_epsilon(epsilon, LEAST_EPSILON), check_delta(delta, LEAST_DELTA)
        low, high = self.limits(target)
        inside = (low < errors) & (errors < high)
        if inside.all():
            return self._values(target, errors, delta)
        stand_in = low + min(high - low, 1.0) / 2 if low < high else 1.0
        values = self._values(target, np.where(inside, errors, stand_in), delta)
        layers = (1,) * (values.ndim - errors.ndim)
        result: Floats = np.where(inside.reshape(errors.shape + layers), values, np.nan)
        return result

    def ask(self, target: TargetClass, epsilon: float, delta: float) -> Floats:
        """`evaluate` at one point; raises BadInput where ε lies outside `limits`."""
        value, (low, high) = float(check_epsilon(epsilon, LEAST_EPSILON)), self.limits(target)
        if not low < value < high:
            allowed = f"a number in ({low:.6g}, {high:.6g}), where the statement speaks"
            remedy = "choose a smaller tolerance" if value >= high else "choose a larger tolerance"
            raise BadInput("epsilon", epsilon, allowed, remedy)
        return self.evaluate(target, value, delta)

    def silence(self, target: TargetClass, epsilon: float, delta: float) -> list[str]:
        """Why the theorem says nothing at this point, as sentences; empty when it speaks."""
        value, (low, high) = float(check_epsilon(epsilon, LEAST_EPSILON)), self.limits(target)
        check_delta(delta, LEAST_DELTA)
        failed = list(self.hypotheses(target))
        if not low < value < high:
            failed.append(
                f"The theorem speaks about epsilon in ({low:.6g}, {high:.6g}); this is {value:.6g}."
            )
        return failed

    def size(self, target: TargetClass, epsilon: float, delta: float) -> Size | None:
        """The source asked for at one point inside `limits`; None where the statement names none,
        as a rate does not. Raises as `ask` does."""
        return None

    def closed_form(self, target: TargetClass, epsilon: float, delta: float) -> ClosedForm | None:
        """The formula behind `evaluate` at this point; None where that is an algorithm."""
        return None

    @property
    def kind(self) -> Kind:
        return self.statement.kind

    @property
    def provenance(self) -> Provenance:
        return self.statement.provenance

    @property
    def latex(self) -> str:
        return self.statement.formula


def check_epsilon(epsilon: ArrayLike, least: float = 1e-150) -> Floats:
    """ε as an array; raises BadInput unless every entry lies in [least, inf).

    A network's ε is at least 1e-100, so that a weight's share of it is still above 1e-150.
    """
    array = np.asarray(epsilon, dtype=np.float64)
    if array.size == 0 or not (np.isfinite(array) & (array >= least)).all():
        raise BadInput("epsilon", epsilon, f"finite numbers >= {least:g}", "choose a tolerance")
    return array


def check_delta(delta: float, least: float = 1e-250) -> float:
    """δ; raises BadInput unless it lies in [least, 1).

    A theorem's δ is at least 1e-200, so that an event's share of it is still above 1e-250.
    """
    if not least <= delta < 1:
        allowed = f"a number in [{least:g}, 1)"
        raise BadInput("delta", delta, allowed, "choose a failure probability")
    return float(delta)


def check_density(density: float, largest: float = 1.0) -> float:
    """A density; raises BadInput unless it lies in [0.01, largest]."""
    if not 0.01 <= density <= largest:
        allowed = f"a number in [0.01, {largest:g}]"
        raise BadInput("density", density, allowed, "choose the fraction kept")
    return float(density)


def bounds() -> tuple[str, ...]:
    """The names of all bounds, which are their file names."""
    from slth.plugins import names

    return names(__name__)


def load(name: str) -> type[Bound]:
    """The bound class that the file of that name defines (dashes count as underscores)."""
    from slth.plugins import load as load_plugin

    return load_plugin(__name__, name, Bound)  # type: ignore[type-abstract]

"""The laws that random weights are drawn from, as exact functions of a 32-bit word.

A saved ticket names a seed, so a law is a file format: the same word must give the same weight on
every machine and engine. Each law therefore uses only operations that IEEE 754 rounds exactly
(shifts, +, −, ×, floor, comparisons, casts) and fixed tables. Every weight is rounded to float32
at the end. That costs 6e-8 of relative resolution and buys two things: a source exports to a
float32 model without loss, and the product of two weights is exact in float64.

Each law states how far it is from the ideal one: `distance` bounds the Kolmogorov distance. The
theorems are about the ideal laws. What they promise carries over by coupling: a grid weight of
U[−1, 1] is within 2^-24 of a continuous one, so a sum of k products moves by at most k·2^-23, which
a tolerance near 1e-5 does not feel at the k ≤ 40 or so that subset sums keep.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput

Floats = NDArray[np.float64]
Words = NDArray[np.uint32]

QUANTILE_CELLS = 128  # cells an octave of tail probability in the normal law's table
POWER_CELLS = 1024  # cells of 2**-g, g in [0, 1], in the hyperbolic law's table


@cache
def tables() -> tuple[Floats, Floats]:
    """The fixed tables: normal quantiles `[32, QUANTILE_CELLS + 1]`, powers `[POWER_CELLS + 1]`."""
    from importlib.resources import files

    with files("slth").joinpath("data/law_tables.npz").open("rb") as stream:
        data = np.load(stream, allow_pickle=False)
        return data["normal"], data["power"]


def make_tables() -> tuple[Floats, Floats]:
    """Compute the tables anew, each entry correctly rounded from 50 digits (takes seconds).

    Row e, column j of the first: |z| whose two-sided tail probability is 2^(e−32)(1 + j/cells).
    """
    import mpmath

    normal = np.zeros((32, QUANTILE_CELLS + 1))
    with mpmath.workdps(50):
        for e in range(32):
            for j in range(QUANTILE_CELLS + 1):
                tail = mpmath.mpf(2) ** (e - 32) * (1 + mpmath.mpf(j) / QUANTILE_CELLS)
                normal[e, j] = float(_normal_quantile(tail))
        power = np.array(
            [float(mpmath.mpf(2) ** (-mpmath.mpf(j) / POWER_CELLS)) for j in range(POWER_CELLS + 1)]
        )
    return normal, power


def _normal_quantile(tail: Any) -> Any:
    """|z| with P(|Z| > |z|) = tail, by Newton's method on erfc in mpmath's working precision."""
    import mpmath

    if tail >= 1:
        return mpmath.mpf(0)
    # erfinv loses digits for tiny tails in double precision; Newton on erfc in log form does not
    z = mpmath.sqrt(2) * mpmath.erfinv(1 - tail)
    for _ in range(4):
        value = mpmath.erfc(z / mpmath.sqrt(2))
        z += (value - tail) / (mpmath.sqrt(2 / mpmath.pi) * mpmath.exp(-z * z / 2))
    return z


class Law(ABC):
    """A weight distribution. `code` and `params` are what the engines switch on."""

    name: ClassVar[str]
    code: ClassVar[int]

    @property
    @abstractmethod
    def params(self) -> tuple[float, float]:
        """The two numbers that the engines need."""

    @abstractmethod
    def cdf(self, x: Floats) -> Floats:
        """P(weight ≤ x) under the ideal law."""

    @property
    @abstractmethod
    def distance(self) -> float:
        """A bound on sup |F − F_ideal| over the real line."""

    @property
    @abstractmethod
    def bound(self) -> float:
        """No weight of this law exceeds it in absolute value."""

    @property
    def step(self) -> float | None:
        """A power of two of which every weight is a whole multiple; None where the law is none of
        few values."""
        return None

    def uniform_component(self) -> tuple[float, float] | None:
        """(c, p): the law is a mixture with U[−c, c] of weight p > 0, or None where no such c is.

        Lueker (1998) Corollary 3.3 and what builds on it ask for such a component.
        """
        return None

    def __call__(self, words: Words) -> Floats:
        """Weights of the given 32-bit words, same shape."""
        from slth import philox

        flat = np.ascontiguousarray(words, dtype=np.uint32).ravel()
        out = np.empty(flat.size)
        normal, power = tables()
        philox.transform(flat, self.code, *self.params, normal, power, out)
        return out.reshape(np.shape(words))

    def to_json(self) -> dict[str, Any]:
        return {"law": self.name, **asdict(self)}  # type: ignore[call-overload]


LARGEST = 2.0**100  # of a law's parameters: weights and their products stay far inside their types


def _positive(name: str, value: float) -> float:
    if not 1 / LARGEST <= value <= LARGEST:
        raise BadInput(name, value, "a number in [2^-100, 2^100]", "pass the scale of the weights")
    return float(np.float32(value))


@final
@dataclass(frozen=True)
class Uniform(Law):
    """U[low, high]: low + (high − low)·(2m + 1)/2^25, m a 24-bit integer."""

    low: float = -1.0
    high: float = 1.0
    name: ClassVar[str] = "uniform"
    code: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not -LARGEST <= self.low < self.high <= LARGEST or self.high - self.low < 1 / LARGEST:
            got = f"[{self.low}, {self.high}]"
            raise BadInput("uniform law", got, "-2^100 ≤ low < high ≤ 2^100", "move the ends")

    @property
    def params(self) -> tuple[float, float]:
        return (self.low + self.high) / 2, (self.high - self.low) / 2

    def cdf(self, x: Floats) -> Floats:
        return np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)

    @property
    def distance(self) -> float:
        # half a grid step, and the float32 rounding of values up to max(|low|, |high|)
        return 2.0**-25 + 2.0**-24 * self.bound / (self.high - self.low)

    @property
    def bound(self) -> float:
        return max(abs(self.low), abs(self.high))

    def uniform_component(self) -> tuple[float, float] | None:
        reach = min(-self.low, self.high)
        return (reach, 2 * reach / (self.high - self.low)) if reach > 0 else None


@final
@dataclass(frozen=True)
class Normal(Law):
    """N(0, std²), *defined* as a tabulated inverse: sign bit, then linear interpolation of the
    quantile in 128 cells for each halving of the tail probability. |weight| ≤ 6.4·std."""

    std: float = 1.0
    name: ClassVar[str] = "normal"
    code: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _positive("std", self.std)

    @property
    def params(self) -> tuple[float, float]:
        return self.std, 0.0

    def cdf(self, x: Floats) -> Floats:
        from scipy.special import ndtr

        result: Floats = ndtr(np.asarray(x) / self.std)
        return result

    @property
    def distance(self) -> float:
        return 2e-6

    @property
    def bound(self) -> float:
        return 6.5 * self.std

    def uniform_component(self) -> tuple[float, float] | None:
        # mass 2c·density(c) is largest at c = std
        return self.std, 2 * math.exp(-0.5) / math.sqrt(2 * math.pi)


@final
@dataclass(frozen=True)
class SignedHyperbolic(Law):
    """Density 1/(2|w| ln(high/low)) on low ≤ |w| ≤ high = low·2^octaves (Orseau et al. 2020).

    The ratio is stored in octaves because a logarithm of `low` would not be the same on every
    machine; `between` takes the two ends.
    """

    high: float = 1.0
    octaves: float = 10.0
    name: ClassVar[str] = "hyperbolic"
    code: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _positive("high", self.high)
        if not (0 < self.octaves <= 100 and self.low * LARGEST >= 1):
            got = f"{self.octaves} below {self.high}"
            raise BadInput("octaves", got, "0 < octaves ≤ 100, down to 2^-100", "narrow the range")

    @classmethod
    def between(cls, low: float, high: float) -> SignedHyperbolic:
        if not (0 < low < high <= LARGEST):
            raise BadInput("hyperbolic law", f"[{low}, {high}]", "0 < low < high", "swap the ends")
        return cls(high, math.log2(high / low))

    @property
    def low(self) -> float:
        return float(self.high * 2.0**-self.octaves)

    @property
    def params(self) -> tuple[float, float]:
        return self.high, self.octaves

    def cdf(self, x: Floats) -> Floats:
        size = np.clip(np.abs(x), self.low, self.high)
        upper = np.log2(self.high / size) / self.octaves  # P(|w| > |x|)
        return np.where(np.asarray(x) >= 0, 1 - upper / 2, upper / 2)

    @property
    def distance(self) -> float:
        # relative error of interpolation and rounding as a share of the log range; half a step
        return 2.0**-32 + 2.5e-7 / self.octaves

    @property
    def bound(self) -> float:
        return float(np.nextafter(np.float32(self.high), np.float32(np.inf)))


@final
@dataclass(frozen=True)
class Rademacher(Law):
    """+1 or −1 with probability one half each."""

    name: ClassVar[str] = "rademacher"
    code: ClassVar[int] = 3

    @property
    def params(self) -> tuple[float, float]:
        return 1.0, 0.0

    def cdf(self, x: Floats) -> Floats:
        return 0.5 * (np.asarray(x) >= -1) + 0.5 * (np.asarray(x) >= 1)

    @property
    def distance(self) -> float:
        return 0.0

    @property
    def bound(self) -> float:
        return 1.0

    @property
    def step(self) -> float:
        return 1.0


@final
@dataclass(frozen=True)
class SignedConstant(Law):
    """+value or −value with probability one half each (Ramanujan et al. 2020); value in float32."""

    value: float = 1.0
    name: ClassVar[str] = "signed-constant"
    code: ClassVar[int] = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _positive("value", self.value))

    @property
    def params(self) -> tuple[float, float]:
        return self.value, 0.0

    def cdf(self, x: Floats) -> Floats:
        return 0.5 * (np.asarray(x) >= -self.value) + 0.5 * (np.asarray(x) >= self.value)

    @property
    def distance(self) -> float:
        return 0.0

    @property
    def bound(self) -> float:
        return self.value

    @property
    def step(self) -> float | None:
        return self.value if math.frexp(self.value)[0] == 0.5 else None


@final
@dataclass(frozen=True)
class Grid(Law):
    """step·k with k uniform on −most … most; step is a power of two, most at most 2^24.

    k = ⌊m(2·most + 1)/2^32⌋ − most for the 32-bit word m, so no probability is off by more than
    2^-32 and every weight is a float32. most = 1 is the ternary law.
    """

    step: float = 2.0**-6
    most: int = 64
    name: ClassVar[str] = "grid"
    code: ClassVar[int] = 4

    def __post_init__(self) -> None:
        if isinstance(self.most, bool) or not isinstance(self.most, int | np.integer):
            raise BadInput("most", repr(self.most), "an integer", "pass the largest multiple")
        if not 1 <= self.most <= 1 << 24:
            raise BadInput("most", self.most, "1 … 2^24", "float32 must hold every multiple")
        step = _positive("step", self.step)
        if math.frexp(step)[0] != 0.5 or step != self.step or step * self.most > LARGEST:
            allowed = "a power of two, multiples up to 2^100"
            raise BadInput("step", self.step, allowed, "pass for example 2^-6 = 0.015625")
        object.__setattr__(self, "step", step)
        object.__setattr__(self, "most", int(self.most))

    @property
    def params(self) -> tuple[float, float]:
        return self.step, float(self.most)

    def cdf(self, x: Floats) -> Floats:
        below = np.floor(np.asarray(x) / self.step) + self.most + 1
        return np.clip(below / (2 * self.most + 1), 0.0, 1.0)

    @property
    def distance(self) -> float:
        return 2.0**-32

    @property
    def bound(self) -> float:
        return self.step * self.most


LAWS: dict[str, type[Law]] = {
    law.name: law for law in (Uniform, Normal, SignedHyperbolic, Rademacher, SignedConstant, Grid)
}


def from_json(data: Mapping[str, Any]) -> Law:
    """The law that `to_json` described; BadInput for a name or field that no law has."""
    fields = dict(data)
    name = fields.pop("law", None)
    if name not in LAWS:
        raise BadInput("law", name, ", ".join(LAWS), "choose one of these")
    try:
        return LAWS[name](**fields)
    except TypeError:
        raise BadInput("law", dict(data), f"the fields of {name}", "check the file") from None

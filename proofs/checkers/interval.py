"""Claims about real numbers, certified with Arb's balls: all points of a ball obey what it does.

A function that is handed to a claim gets `Guarded` balls: they compute with ints, Fractions and
balls, and refuse floats, which would be near the number that was meant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from proofs.checkers.engines import engine

PRECISION = 128  # bits

# Without singularities, so an integrand may use them as they are; others must look at `analytic`.
ENTIRE = {"exp", "expm1", "sin", "cos", "sinh", "cosh", "sinc", "erf"}


@dataclass(frozen=True)
class Below:
    """left <= right (strict: left < right); each an int, a Fraction or a ball."""

    left: Any
    right: Any
    strict: bool = False


@dataclass(frozen=True)
class Positive:
    """function(x_1, ..., x_k) > 0 (strict=False: >= 0) for all x_i in [low_i, high_i].

    box: (low, high) a variable, ints or Fractions. Boxes are bisected, the widest side first, until
    each is certified; after `budget` of them the claim is undecided.
    """

    function: Callable[..., Any]
    box: Sequence[tuple[int | Fraction, int | Fraction]]
    strict: bool = True
    budget: int = 20_000


@dataclass(frozen=True)
class Integral:
    """low <= ∫ integrand(z, analytic) dz from start to end <= high; a bound of None is not claimed.

    integrand: as `acb.integral` asks: a function with a branch cut hands `analytic` on,
    as in `z.log(analytic=analytic)`.
    """

    integrand: Callable[[Any, bool], Any]
    start: int | Fraction
    end: int | Fraction
    low: Any = None
    high: Any = None


def ball(value: Any) -> Any:
    """An Arb ball that holds an int, a Fraction or a decimal string; raises TypeError on a float.

    A ball stays as it is.
    """
    flint = engine("flint")
    if isinstance(value, flint.arb | flint.acb):
        return value
    if isinstance(value, Guarded):
        return value.inner
    if type(value) is int or isinstance(value, str):
        return flint.arb(value)
    if isinstance(value, Fraction):
        return flint.arb(flint.fmpq(value.numerator, value.denominator))
    raise TypeError(f"{value!r} is not an int, a Fraction, a string or a ball")


class Guarded:
    """A ball, real or complex, among ints, Fractions and balls only; Arb's methods are its own.

    A complex one is an integrand's argument: integration trusts it to be analytic where it does not
    say otherwise, so a function with a branch cut is refused without its `analytic` option.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = ball(inner)
        self.complex = not isinstance(self.inner, engine("flint").arb)

    def __add__(self, other: Any) -> Guarded:
        return Guarded(self.inner + ball(other))

    def __sub__(self, other: Any) -> Guarded:
        return Guarded(self.inner - ball(other))

    def __rsub__(self, other: Any) -> Guarded:
        return Guarded(ball(other) - self.inner)

    def __mul__(self, other: Any) -> Guarded:
        return Guarded(self.inner * ball(other))

    def __truediv__(self, other: Any) -> Guarded:
        return Guarded(self.inner / ball(other))

    def __rtruediv__(self, other: Any) -> Guarded:
        return Guarded(ball(other) / self.inner)

    def __pow__(self, other: Any) -> Guarded:
        if self.complex and type(other) is not int:
            raise TypeError("a complex power has a branch cut; use exp and log(analytic=analytic)")
        return Guarded(self.inner**other if type(other) is int else self.inner ** ball(other))

    def __rpow__(self, other: Any) -> Guarded:
        return Guarded(ball(other) ** self.inner)

    def __neg__(self) -> Guarded:
        return Guarded(-self.inner)

    def __abs__(self) -> Guarded:
        if self.complex:
            raise TypeError("abs is not analytic")
        return Guarded(abs(self.inner))

    __radd__, __rmul__ = __add__, __mul__

    def __getattr__(self, name: str) -> Callable[..., Guarded]:
        method = getattr(self.inner, name)

        def call(*arguments: Any, **options: bool) -> Guarded:
            if self.complex and name not in ENTIRE and "analytic" not in options:
                raise TypeError(f"{name} may have a branch cut; pass analytic=analytic")
            given = [a if type(a) is int else ball(a) for a in arguments]
            return Guarded(method(*given, **options))

        return call


Claim = Below | Positive | Integral | tuple[Any, Any]


def check(claims: Iterable[Claim]) -> str | None:
    """None if every claim is certified and there is one."""
    flint = engine("flint")
    count = 0
    with flint.ctx.workprec(PRECISION):
        for count, claim in enumerate(claims, start=1):
            try:
                reason = _judge(claim)
            except TypeError as error:
                return f"nothing is certified: claim {count}: {error}"
            if reason:
                return f"{reason} (claim {count})"
    return None if count else "nothing to check"


def _judge(claim: Claim) -> str | None:
    if isinstance(claim, Positive):
        return _positive(claim)
    if isinstance(claim, Integral):
        return _integral(claim)
    return _below(claim if isinstance(claim, Below) else Below(*claim))


def _below(claim: Below) -> str | None:
    left, right = ball(claim.left), ball(claim.right)
    if not (left.is_finite() and right.is_finite()):
        return f"undecided: {left} or {right} is not finite"
    if left < right or (not claim.strict and left <= right):
        return None
    if left > right or (claim.strict and left >= right):
        return f"{left} is not below {right}"
    return f"undecided: {left} against {right}"


def _positive(claim: Positive) -> str | None:
    sides = [(Fraction(low), Fraction(high)) for low, high in _rational(claim.box)]
    if not sides or any(low > high for low, high in sides):
        return f"nothing in the box {claim.box}"
    queue = deque([sides])
    # breadth first: a region where the claim fails is met while the boxes are still large
    for _ in range(claim.budget):
        if not queue:
            return None
        box = queue.popleft()
        value = ball(claim.function(*(Guarded(ball(a).union(ball(b))) for a, b in box)))
        if value.is_finite():
            if value > 0 or (not claim.strict and value >= 0):
                continue
            if value < 0 or (claim.strict and value <= 0):
                return f"{value} on {_text(box)}"
        widths = [high - low for low, high in box]
        axis = widths.index(max(widths))
        low, high = box[axis]
        if low == high:
            return f"undecided: {value} at {_text(box)}"
        middle = (low + high) / 2
        for half in ((low, middle), (middle, high)):
            queue.append([*box[:axis], half, *box[axis + 1 :]])
    if not queue:
        return None
    return f"undecided: after {claim.budget} boxes, first on {_text(queue[0])}"


def _rational(box: Any) -> Any:
    for end in (end for side in box for end in side):
        if type(end) not in {int, Fraction}:
            raise TypeError(f"{end!r} is not an int or a Fraction")
    return box


def _text(box: Sequence[tuple[Fraction, Fraction]]) -> str:
    return " x ".join(f"[{low}, {high}]" for low, high in box)


def _integral(claim: Integral) -> str | None:
    acb = engine("flint").acb
    _rational([(claim.start, claim.end)])

    def integrand(z: Any, analytic: bool) -> Any:
        return acb(ball(claim.integrand(Guarded(z), analytic)))

    value = acb.integral(integrand, acb(ball(claim.start)), acb(ball(claim.end))).real
    if claim.low is None and claim.high is None:
        return "nothing is claimed of the integral"
    low = _below(Below(claim.low, value)) if claim.low is not None else None
    high = _below(Below(value, claim.high)) if claim.high is not None else None
    return low or high

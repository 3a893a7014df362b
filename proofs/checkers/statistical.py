"""Claims about chances, tested by measured frequencies: consistent with the claim, or not.

A test never proves: it would refuse a true claim with the stated false-alarm rate, and only the
mutants show how far from the truth a claim must be before it is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

LARGEST_ALARM = 0.01


@dataclass(frozen=True)
class Frequency:
    """An event seen `count` times in `trials` independent ones, its chance claimed to be at most,
    at least or exactly `claimed`; tested by exact binomial tails."""

    trials: int
    count: int
    claimed: float | Fraction
    alarm: float
    side: Literal["at most", "at least", "exactly"] = "at most"

    def valid(self) -> bool:
        return 0 <= self.count <= self.trials and self.trials > 0 and 0 <= self.claimed <= 1

    def p_value(self) -> float:
        from scipy.stats import binom

        n, p = self.trials, float(self.claimed)
        many, few = float(binom.sf(self.count - 1, n, p)), float(binom.cdf(self.count, n, p))
        if self.side == "exactly":
            return min(1.0, 2 * min(many, few))
        return many if self.side == "at most" else few

    def __str__(self) -> str:
        return f"{self.count} of {self.trials}, claimed {self.side} {float(self.claimed):.6g}"


@dataclass(frozen=True)
class Deviation:
    """A mean of `trials` independent values, `z` standard errors from the claimed one; tested on
    both sides as normal, so `trials` has to be large."""

    trials: int
    z: float
    alarm: float

    def valid(self) -> bool:
        return self.trials >= 100 and math.isfinite(self.z)

    def p_value(self) -> float:
        return math.erfc(abs(self.z) / math.sqrt(2))

    def __str__(self) -> str:
        return f"{self.z:+.2f} standard errors in {self.trials}"


def check(claim: Frequency | Deviation) -> str | None:
    """None if the measurement is consistent with the claim."""
    if not claim.valid():
        return f"nothing is measured by {claim!r}"
    if not 0 < claim.alarm <= LARGEST_ALARM:
        return (
            f"nothing is tested at a false-alarm rate outside (0, {LARGEST_ALARM}]: {claim.alarm}"
        )
    if (p := claim.p_value()) < claim.alarm:
        return f"{claim}: p = {p:.2g} < {claim.alarm:g}"
    return None


def summary(claim: Frequency | Deviation) -> str:
    """What the ledger prints beside a step that is consistent."""
    return f"consistent: {claim}, false alarms {claim.alarm:g}"

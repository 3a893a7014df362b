"""The checkers. Each takes what a step's `check()` returns and gives None, or why it is rejected.

symbolic     expressions (sympy) that must vanish identically
exact        pairs (lhs, rhs) of ints and Fractions with lhs <= rhs, all of them, and at least one
smt          an `Implication` over the reals (z3)
interval     claims about real numbers, certified with balls (python-flint's Arb): `Below` or a pair
             (lhs, rhs) for lhs <= rhs, `Positive` on a box, `Integral` between two bounds
statistical  a `Frequency` or a `Deviation` with its false-alarm rate: consistent with the claim, or
             not; such a step is tested, never proved

A reason starts with `undecided` or `nothing` where the claim was not seen to be false: a mutant has
to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from proofs.checkers import exact, interval, smt, statistical, symbolic
from proofs.checkers.engines import NotInstalled
from proofs.checkers.interval import Below, Integral, Positive, ball
from proofs.checkers.smt import Implication
from proofs.checkers.statistical import Deviation, Frequency

__all__ = [
    "CHECKERS",
    "Below",
    "Deviation",
    "Frequency",
    "Implication",
    "Integral",
    "NotInstalled",
    "Positive",
    "ball",
]

CHECKERS: Mapping[str, Callable[[Any], str | None]] = {
    "symbolic": symbolic.check,
    "exact": exact.check,
    "smt": smt.check,
    "interval": interval.check,
    "statistical": statistical.check,
}

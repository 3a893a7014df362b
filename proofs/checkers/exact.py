"""Inequalities between rationals, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any


def check(pairs: Iterable[tuple[Any, Any]]) -> str | None:
    """None if lhs <= rhs in every pair and there is one."""
    count = 0
    for count, (left, right) in enumerate(pairs, start=1):
        if not all(type(side) in {int, Fraction} for side in (left, right)):
            return f"nothing is shown: case {count} is not rational: {left!r}, {right!r}"
        if not left <= right:
            return f"case {count}: {left} > {right}"
    return None if count else "nothing to check"

"""Identities, by sympy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def check(expressions: Iterable[Any]) -> str | None:
    """None if every expression vanishes identically."""
    import sympy

    count = 0
    for count, expression in enumerate(expressions, start=1):
        rest = sympy.simplify(sympy.expand(expression))
        if rest != 0:
            return f"expression {count} leaves {rest}"
    return None if count else "nothing to check"

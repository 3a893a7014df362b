"""The checkers. Each takes what a step's `check()` returns and gives None, or why it is rejected.

symbolic  expressions (sympy) that must vanish identically
exact     pairs (lhs, rhs) of ints and Fractions with lhs <= rhs, all of them, and at least one
smt       an `Implication` over the reals (z3)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

TIMEOUT_MS = 60_000


class NotInstalled(RuntimeError):
    """The checker's engine is missing; the step is then not proved."""


@dataclass(frozen=True)
class Implication:
    """Hypotheses by name, definitions of auxiliary terms, and a conclusion, all of z3.

    The checker asks more than validity: the hypotheses must be satisfiable together, and without
    any single one of them the conclusion must have a counterexample, so none is idle.
    """

    hypotheses: Mapping[str, Any]
    conclusion: Any
    definitions: Sequence[Any] = field(default_factory=tuple)


def symbolic(expressions: Iterable[Any]) -> str | None:
    import sympy

    count = 0
    for count, expression in enumerate(expressions, start=1):
        rest = sympy.simplify(sympy.expand(expression))
        if rest != 0:
            return f"expression {count} leaves {rest}"
    return None if count else "nothing to check"


def exact(pairs: Iterable[tuple[Any, Any]]) -> str | None:
    count = 0
    for count, (left, right) in enumerate(pairs, start=1):
        if not all(type(side) in {int, Fraction} for side in (left, right)):
            return f"case {count} is not rational: {left!r}, {right!r}"
        if not left <= right:
            return f"case {count}: {left} > {right}"
    return None if count else "nothing to check"


def smt(claim: Implication) -> str | None:
    try:
        import z3
    except ImportError as error:
        raise NotInstalled("z3 is not installed; install the extra `proofs`") from error

    def ask(*terms: Any) -> tuple[Any, Any]:
        solver = z3.Solver()
        solver.set("timeout", TIMEOUT_MS)
        solver.add(*claim.definitions, *terms)
        answer = solver.check()
        return answer, solver.model() if answer == z3.sat else None

    everything = list(claim.hypotheses.values())
    if ask(*everything)[0] != z3.sat:
        return "the hypotheses are not seen to be satisfiable"
    answer, model = ask(*everything, z3.Not(claim.conclusion))
    if answer != z3.unsat:
        return f"counterexample {model}" if answer == z3.sat else f"undecided: {answer}"
    for name in claim.hypotheses:
        rest = [term for other, term in claim.hypotheses.items() if other != name]
        if ask(*rest, z3.Not(claim.conclusion))[0] != z3.sat:
            return f"holds without the hypothesis {name!r}, or its loss is undecided"
    return None


CHECKERS: Mapping[str, Callable[[Any], str | None]] = {
    "symbolic": symbolic,
    "exact": exact,
    "smt": smt,
}

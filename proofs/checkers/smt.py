"""Implications over the reals, by z3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proofs.checkers.engines import engine

TIMEOUT_MS = 60_000


@dataclass(frozen=True)
class Implication:
    """Hypotheses by name, definitions of auxiliary terms, and a conclusion, all of z3.

    The checker asks more than validity: the hypotheses must be satisfiable together, and without
    any single one of them the conclusion must have a counterexample, so none is idle.
    """

    hypotheses: Mapping[str, Any]
    conclusion: Any
    definitions: Sequence[Any] = field(default_factory=tuple)


def check(claim: Implication) -> str | None:
    """None if the implication is valid and needs every hypothesis."""
    z3 = engine("z3")

    def ask(*terms: Any) -> tuple[Any, Any]:
        solver = z3.Solver()
        solver.set("timeout", TIMEOUT_MS)
        solver.add(*claim.definitions, *terms)
        answer = solver.check()
        return answer, solver.model() if answer == z3.sat else None

    everything = list(claim.hypotheses.values())
    if ask(*everything)[0] != z3.sat:
        return "nothing is said: the hypotheses are not seen to be satisfiable"
    answer, model = ask(*everything, z3.Not(claim.conclusion))
    if answer != z3.unsat:
        return f"counterexample {model}" if answer == z3.sat else f"undecided: {answer}"
    for name in claim.hypotheses:
        rest = [term for other, term in claim.hypotheses.items() if other != name]
        if ask(*rest, z3.Not(claim.conclusion))[0] != z3.sat:
            return f"nothing is lost without the hypothesis {name!r}, or that is undecided"
    return None

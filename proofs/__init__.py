"""Theorems proved step by step, each step discharged by a machine or shown as assumed.

A file `proofs/NAME.py` holds one theorem: its docstring reads Theorem / Proof / What is checked /
What is not, and `steps()` returns the steps in order. `python -m proofs [NAME ...]` runs them and
prints the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any

from proofs.checkers import CHECKERS
from proofs.checkers.statistical import summary


class Outcome(StrEnum):
    PROVED = "proved"
    TESTED = "tested"
    ASSUMED = "ASSUMED"
    REJECTED = "REJECTED"
    NOT_RUN = "NOT RUN"


@dataclass(frozen=True)
class Step:
    """A quantified sentence, the checker that discharges it, and what it is to check.

    checker: one of `proofs.checkers`, which says what `check()` returns, or `assumed`. A step must
    be able to fail. mutants: checks with one hypothesis dropped or broken; altered: checks of a
    changed conclusion, for what has no hypothesis to drop. The checker must see each of them to be
    false, and there must be one. Of an implication the smt checker drops the hypotheses itself.
    """

    sentence: str
    checker: str
    check: Callable[[], Any] | None = None
    mutants: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    altered: Mapping[str, Callable[[], Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One line of the ledger; `reason` says what was found where the step was not proved."""

    theorem: str
    step: Step
    outcome: Outcome
    seconds: float
    reason: str = ""

    @property
    def failed(self) -> bool:
        return self.outcome in {Outcome.REJECTED, Outcome.NOT_RUN}


def theorems() -> list[str]:
    """The proof files there are, sorted."""
    helpers = {"__init__", "__main__"}
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in helpers)


def run(theorem: str) -> Iterator[Entry]:
    """Check a theorem's steps in order."""
    module = import_module(f"proofs.{theorem}")
    for step in module.steps():
        yield examine(theorem, step)


def examine(theorem: str, step: Step) -> Entry:
    """Check one step, and that none of its mutants passes."""
    start = time.perf_counter()
    outcome, reason = _judge(step)
    return Entry(theorem, step, outcome, time.perf_counter() - start, reason)


def _judge(step: Step) -> tuple[Outcome, str]:
    if step.checker == "assumed":
        return Outcome.ASSUMED, "cited, not checked"
    if step.checker not in CHECKERS or step.check is None:
        return Outcome.REJECTED, f"no checker {step.checker!r}, or nothing to check"
    check = CHECKERS[step.checker]
    try:
        claim = step.check()
        if reason := check(claim):
            return Outcome.REJECTED, reason
        mutants = {**step.mutants, **step.altered}
        if not mutants and not (step.checker == "smt" and claim.hypotheses):
            return Outcome.REJECTED, "no mutant shows that this check can fail"
        for name, mutant in mutants.items():
            if not (reason := check(mutant())):
                return Outcome.REJECTED, f"passes although {name}"
            if reason.startswith(("nothing", "undecided")):
                return Outcome.REJECTED, f"not seen to be false although {name}: {reason}"
    except ImportError as error:  # by the checker, or by what the step builds
        return Outcome.NOT_RUN, f"{error}"
    if step.checker == "statistical":
        return Outcome.TESTED, summary(claim)
    return Outcome.PROVED, ""

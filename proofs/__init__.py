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

from proofs.checkers import CHECKERS, NotInstalled


class Outcome(StrEnum):
    PROVED = "proved"
    ASSUMED = "ASSUMED"
    REJECTED = "REJECTED"
    NOT_RUN = "NOT RUN"


@dataclass(frozen=True)
class Step:
    """A quantified sentence, the checker that discharges it, and what it is to check.

    checker: `symbolic`, `exact`, `smt` or `assumed`; see `proofs.checkers` for what `check()`
    returns. A step must be able to fail: `mutants` are checks with one hypothesis dropped or
    broken, each of which its checker must reject. The smt checker drops its hypotheses itself.
    """

    sentence: str
    checker: str
    check: Callable[[], Any] | None = None
    mutants: Mapping[str, Callable[[], Any]] = field(default_factory=dict)


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
    helpers = {"__init__", "__main__", "checkers"}
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
        if reason := check(step.check()):
            return Outcome.REJECTED, reason
        for name, mutant in step.mutants.items():
            if not check(mutant()):
                return Outcome.REJECTED, f"passes although {name}"
    except NotInstalled as error:
        return Outcome.NOT_RUN, str(error)
    return Outcome.PROVED, ""

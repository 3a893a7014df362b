"""The checkable claims of the theory, each one small object; files by theme, found by their name.

A file holds `CLAIMS`, a tuple of `Claim`; files whose name starts with an underscore hold helpers.
Nothing is drawn or computed on import, and heavy libraries are imported inside functions.
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from sims._protocol import Control
from slth.stats import FALSE_ALARM
from slth.stats.verdict import Verdict

COUNT = 32
LEVEL = FALSE_ALARM / COUNT
"""Each claim's own level. Whatever passes it passes Holm's correction over all claims too, and the
chance of any false word among them is at most FALSE_ALARM."""
CONFIDENCE = 1 - 2 * LEVEL
"""Of two-sided intervals: each end alone errs with probability at most LEVEL."""

LARGEST = 100_000  # characters of a claim's data; Python's csv reader ends at 131072 a field

Data = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """One claim, how it could be false, and how it is measured, judged and drawn.

    says: the quantified sentence with author and year. falsifier: what is measured, the threshold
    and the sample size, written before measuring; the numbers in it are constants of the code.
    sample(smoke, rng): the measurement, control included, as JSON-able data; smoke: a tiny one.
    judge(data): the verdict, and the verdict on the control, from the data alone.
    draw(axes, data): one small panel. seconds: on one core, to start the slow ones first.
    """

    number: int
    name: str
    says: str
    falsifier: str
    sample: Callable[[bool, np.random.Generator], Data]
    judge: Callable[[Data], tuple[Verdict, Control]]
    draw: Callable[[Any, Data], None]
    seconds: float

    def measure(self, smoke: bool, seed: int) -> dict[str, Any]:
        """{"verdict", "control", "data"}, JSON-able; the same seed gives the same numbers."""
        rng = np.random.default_rng([seed, self.number])
        # judged as a reader of the stored file would: after the way through JSON
        text = json.dumps(self.sample(smoke, rng), default=plain, allow_nan=False)
        if len(text) > LARGEST:
            raise ValueError(f"claim {self.number}: {len(text)} characters of data, store counts")
        data = json.loads(text)
        verdict, control = self.judge(data)
        return {
            "verdict": verdict.to_json(),
            "control": {"broken": control.broken, "verdict": control.verdict.to_json()},
            "data": data,
        }


def plain(value: Any) -> Any:
    """NumPy's scalars and arrays as JSON's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON-able")


@cache
def claims() -> dict[int, Claim]:
    """Every claim by its number, in order."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name[0] != "_")
    found = [c for name in names for c in import_module(f"{__name__}.{name}").CLAIMS]
    numbers = [c.number for c in found]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"two claims have one number: {sorted(numbers)}")
    return {c.number: c for c in sorted(found, key=lambda c: c.number)}

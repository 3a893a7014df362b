"""What a measurement says about a claim: supported, refuted, undecided, or silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """The four things a measurement may say.

    ``SILENT`` means that the claim's hypotheses do not hold here, so nothing was tested;
    ``UNDECIDED`` that they hold but the data do not speak.
    """

    SUPPORTED = "supported"
    REFUTED = "refuted"
    UNDECIDED = "undecided"
    SILENT = "silent"


@dataclass(frozen=True)
class Verdict:
    """A state and the sentence that justifies it.

    ``p_value`` is the chance of data at least this much in the state's favour were the opposite
    true; None where no test stands behind the state (an exact check, a silent verdict).
    ``evidence`` holds the numbers that the reason quotes, JSON-able.
    """

    state: State
    reason: str
    p_value: float | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The verdict as plain values, ready for ``json.dumps``."""
        return {
            "state": str(self.state),
            "reason": self.reason,
            "p_value": self.p_value,
            "evidence": dict(self.evidence),
        }

"""The one exception for bad input: a missing ticket or an unmet tolerance is a result."""

from __future__ import annotations


class BadInput(ValueError):
    """An argument that no answer exists for: one line with the value, what is allowed, the remedy.

    Raised before anything is computed or written; the command line turns it into exit status 2.
    """

    def __init__(self, name: str, got: object, allowed: str, remedy: str) -> None:
        text = " ".join(str(got).split())
        shown = text if len(text) <= 120 else text[:117] + "..."
        super().__init__(f"{name}: got {shown}; allowed: {allowed}; remedy: {remedy}")
        self.name, self.got, self.allowed, self.remedy = name, shown, allowed, remedy

    def __reduce__(self) -> tuple[type[BadInput], tuple[str, str, str, str]]:
        return type(self), (self.name, self.got, self.allowed, self.remedy)

"""Build strong lottery tickets, certify them, and put the theorems about them to the test.

Everything is imported where it is used: `import slth` loads nothing but this file. The rooms are
slth.source, slth.laws (random networks), slth.subsetsum (solvers), slth.construct (constructions),
slth.ticket and slth.verify, slth.certify (bounds on a ticket's error), slth.bounds (theorems),
slth.stats and slth.sweep (measurements).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slth.source import Source
    from slth.target import Target, from_module
    from slth.ticket import Ticket, load

__version__ = "0.1.0"
__all__ = ["Source", "Target", "Ticket", "from_module", "load"]

_HOME = {
    "Source": "slth.source",
    "Target": "slth.target",
    "Ticket": "slth.ticket",
    "from_module": "slth.target",
    "load": "slth.ticket",
}


def __dir__() -> list[str]:
    return [*globals(), *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'slth' has no attribute {name!r}")

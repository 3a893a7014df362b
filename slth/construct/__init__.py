"""Constructions: a target and a source in, a ticket out. One file per paper's gadget.

`constructions()` lists them by file name and `load(name)` imports one. `Construction.build` is the
contract; those that approximate every target weight by a gadget of its own share `_gadgets.py`,
which seeks them in pieces (`_pieces.py`) on every core and can go on after an interruption.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slth.errors import BadInput

if TYPE_CHECKING:
    from slth.network import Network
    from slth.source import Source
    from slth.target import Target
    from slth.ticket import Ticket

Progress = Callable[[int, int], None]  # (gadgets done, gadgets in all)


class Construction(ABC):
    """A way to find a ticket; subclasses are final frozen dataclasses, fields are options."""

    @abstractmethod
    def build(
        self, target: Target | Network, source: Source, progress: Progress | None = None
    ) -> Ticket:
        """A ticket of `source` for `target`, with its claim; the source is never redrawn.

        A source too narrow for the tolerance still gives a ticket: its claim says what it misses.
        """

    def build_resumable(
        self,
        target: Target | Network,
        source: Source,
        folder: Path,
        progress: Progress | None = None,
    ) -> Ticket:
        """The same ticket, with what is found on the way kept in `folder` against interruptions.

        A construction that can go on from there overrides this; as it stands it starts anew. The
        ticket may read its mask from the folder: save it, then `discard(ticket)`.
        """
        return self.build(target, source, progress)

    def source_for(
        self,
        target: Target | Network,
        seed: int,
        n: int | tuple[int, ...] | None = None,
        **laws: Any,
    ) -> Source:
        """A source of the right architecture with n neurons a half in every layer pair (or one n
        for each).

        It sees the target's class constants, never its weights. A construction whose theorem says
        how wide the source must be overrides this and may be called without n.
        """
        from slth.source import Source
        from slth.target import Target

        if n is None:
            raise BadInput("n", "none", "neurons a half", "give n")
        each = n if isinstance(n, tuple) else (n,) * target.depth
        if isinstance(target, Target):
            return Source(target.dims, each, target.biased, seed, **laws)
        return Source(
            target.links,
            each,
            target.biased,
            seed,
            wiring=target.wiring,
            linear=target.wiring.linear,
            **laws,
        )


def discard(ticket: Ticket) -> None:
    """Remove the folder of `build_resumable` that a ticket, saved by now, is read from."""
    from slth.construct._pieces import discard as discard_files

    discard_files(ticket.kept)


def constructions() -> tuple[str, ...]:
    """The names of all constructions, which are their file names."""
    from slth.plugins import names

    return names(__name__)


def load(name: str) -> type[Construction]:
    """The construction class that the file of that name defines (dashes count as underscores)."""
    from slth.plugins import load as load_plugin

    return load_plugin(__name__, name, Construction)  # type: ignore[type-abstract]

"""A layer's search in pieces: runs of blocks that are sought on every core and kept one by one.

A piece's result depends on nothing else, so neither the number of cores nor an interruption shows
in the ticket. With a folder, every finished piece is a file there; what a killed search left behind
is used again by a search with the same key, and by no other.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from slth.construct import Progress
from slth.files import write_atomically
from slth.kept import SPAN, Kept, Layers, Run, check, cut, narrow
from slth.source import Source
from slth.threads import workers

PIECE = 1 << 14  # gadgets in a piece: part of what a ticket is, so no option
LOG = logging.getLogger("slth")


@dataclass(frozen=True)
class Piece:
    """Blocks [first, last) of one half of one layer pair."""

    layer: int
    half: int
    first: int
    last: int


def pieces(source: Source, absent: Callable[[int, int], bool]) -> list[Piece]:
    """Every block of every half, in order; a half 1 has no block "one", `absent` ones none."""
    found = []
    for layer in range(source.pairs):
        for half in (0, 1):
            blocks = source.blocks(layer) if half == 0 else source.inputs(layer)
            if not absent(layer, half):
                found += [Piece(layer, half, *span) for span in spans(source, layer, blocks)]
    return found


def spans(source: Source, layer: int, blocks: int) -> list[tuple[int, int]]:
    """The first so many blocks of a layer in runs of PIECE gadgets."""
    step = max(1, PIECE // source.outputs(layer))
    return [(first, min(first + step, blocks)) for first in range(0, blocks, step)]


class Shelf(Protocol):
    """Where finished pieces lie."""

    def put(self, piece: Piece, kept: Kept) -> None: ...
    def has(self, piece: Piece) -> bool: ...
    def get(self, piece: Piece) -> Kept: ...


class InMemory:
    """Pieces that end with the process."""

    def __init__(self) -> None:
        self._found: dict[Piece, Kept] = {}

    def put(self, piece: Piece, kept: Kept) -> None:
        self._found[piece] = kept

    def has(self, piece: Piece) -> bool:
        return piece in self._found

    def get(self, piece: Piece) -> Kept:
        return self._found[piece]


@dataclass(frozen=True)
class InFolder:
    """A file a piece, named by key and piece; damaged files and other keys' files do not count."""

    folder: Path
    key: str
    source: Source

    def put(self, piece: Piece, kept: Kept) -> None:
        small = narrow(self.source.n[piece.layer])
        content = io.BytesIO()
        label = np.frombuffer(self._label(piece).encode(), dtype=np.uint8)
        counts, indices = kept.counts.astype(small), kept.indices.astype(small)
        np.savez(content, allow_pickle=False, label=label, counts=counts, indices=indices)
        with write_atomically(self._path(piece)) as stream:
            stream.write(content.getbuffer())

    def has(self, piece: Piece) -> bool:
        if not self._path(piece).exists():
            return False
        try:
            self.get(piece)
        except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error):
            LOG.warning("%s is damaged: that piece is sought again", self._path(piece))
            return False
        return True

    def get(self, piece: Piece) -> Kept:
        with (
            open(self._path(piece), "rb") as stream,
            np.load(stream, allow_pickle=False) as data,  # which checks zip's CRC
        ):
            if bytes(data["label"]).decode() != self._label(piece):
                raise ValueError("another piece")
            return Kept.of_counts(data["counts"], data["indices"])

    def own(self) -> list[Path]:
        """This key's files, those that a kill left half written included."""
        name = self.key[:12]
        return [*self.folder.glob(f"{name}-*"), *self.folder.glob(f".{name}-*")]

    def others(self) -> int:
        """How many files of other keys lie here."""
        return len(list(self.folder.glob("*"))) - len(self.own())

    def _label(self, piece: Piece, key: int = 64) -> str:
        return f"{self.key[:key]}-{piece.layer}-{piece.half}-{piece.first}-{piece.last}"

    def _path(self, piece: Piece) -> Path:
        return self.folder / f"{self._label(piece, 12)}.npz"


class Assembled(Layers):
    """Every layer, put together from the pieces whenever some of its blocks are asked for."""

    def __init__(self, source: Source, todo: list[Piece], shelf: Shelf) -> None:
        self.source, self.shelf = source, shelf
        self._todo = {(p.layer, p.half, p.first): p for p in todo}

    def runs(self, layer: int, most: int = SPAN) -> Iterator[Run]:
        outputs, blocks = self.source.outputs(layer), self.source.blocks(layer)
        for first, last in spans(self.source, layer, blocks):
            a, b = (self._half(layer, half, first, last) for half in (0, 1))
            yield from cut((a, b), outputs, first, most)

    def _half(self, layer: int, half: int, first: int, last: int) -> Kept:
        """Blocks [first, last), those that are not sought left empty."""
        piece = self._todo.get((layer, half, first))
        found = [self.shelf.get(piece)] if piece is not None else []
        missing = last - (first if piece is None else piece.last)
        kept = Kept.joined([*found, Kept.nothing(missing * self.source.outputs(layer))])
        check(self.source, layer, kept, last - first)
        return kept


def search(
    source: Source,
    todo: list[Piece],
    find: Callable[[Piece, int], Kept],
    folder: Path | None,
    identity: dict[str, Any],
    progress: Progress | None,
) -> Sequence[tuple[Kept, Kept]]:
    """Find every piece that is not there yet, on every core, and give all layers.

    find: a piece and the threads it may use. identity: what the result depends on, as JSON.
    """
    shelf: Shelf = InMemory() if folder is None else _opened(folder, identity, source)
    size = {p: (p.last - p.first) * source.outputs(p.layer) for p in todo}
    total = sum(size.values())
    left = [p for p in todo if not shelf.has(p)]
    done = total - sum(size[p] for p in left)
    if progress is not None:
        progress(done, total)
    threads = max(1, workers() // max(1, len(left)))

    def one(piece: Piece) -> Piece:
        shelf.put(piece, find(piece, threads))
        return piece

    with _pool() as pool:
        for finished in as_completed([pool.submit(one, piece) for piece in left]):
            done += size[finished.result()]
            if progress is not None:
                progress(done, total)
    found = Assembled(source, todo, shelf)
    return found if folder is not None else tuple(found)


@contextlib.contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """A pool that an error or Ctrl-C ends after the pieces in hand, not after all of them."""
    pool = ThreadPoolExecutor(workers())
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _opened(folder: Path, identity: dict[str, Any], source: Source) -> InFolder:
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    shelf = InFolder(folder, key, source)
    others = shelf.others()
    if others:
        LOG.warning(
            "%s holds %d pieces of another ticket (another network, seed, width, construction or "
            "option): they are ignored; delete them if nobody needs them",
            folder,
            others,
        )
    return shelf


def discard(kept: Sequence[tuple[Kept, Kept]]) -> None:
    """Remove the files that a mask is read from, and their folder if nothing else is in it."""
    if isinstance(kept, Assembled) and isinstance(kept.shelf, InFolder):
        for path in kept.shelf.own():
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            kept.shelf.folder.rmdir()

"""A mask in a ticket's zip: written and read a run of blocks at a time.

Layer i, half h: `count_i_h.npy`, how many neurons each gadget keeps, and `index_i_h.npy`, which,
both as the smallest integers that hold n. A block is read whole, so one that says it keeps more
than BLOCK is refused: zip packs zeros a thousand to one.
"""

from __future__ import annotations

import contextlib
import os
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.kept import SPAN, Kept, Layers, Run, check, cut, misfit, narrow, runs
from slth.positional import Positional
from slth.source import Source

GADGETS = 1 << 16  # whose counts are read at a time
BLOCK = 1 << 24  # gadgets, and kept entries of both halves, of one block
TEXT = 1 << 26  # bytes of a header, a thousand times what a certificate of many layers needs
DAMAGE = (  # what flipped bytes raise in zipfile, numpy, json and the constructors
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    OverflowError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def write(archive: zipfile.ZipFile, mask: Sequence[tuple[Kept, Kept]], source: Source) -> None:
    """Add every layer; no more than a run of blocks is in memory at a time."""
    for i in range(source.pairs):
        small = narrow(source.n[i])
        gadgets = source.blocks(i) * source.outputs(i)
        for half in (0, 1):
            kept = 0
            with writing(archive, f"count_{i}_{half}", small, gadgets) as stream:
                for run in runs(mask, source, i):
                    part = run.halves[half]
                    _fits(source, i, sum(kept.indices.size for kept in run.halves))
                    kept += part.indices.size
                    stream.write(part.counts.astype(small).tobytes())
            with writing(archive, f"index_{i}_{half}", small, kept) as stream:
                for run in runs(mask, source, i):
                    stream.write(run.halves[half].indices.astype(small).tobytes())


@contextlib.contextmanager
def writing(archive: zipfile.ZipFile, name: str, kind: Any, size: int) -> Iterator[IO[bytes]]:
    """One more vector, as np.savez_compressed begins it; the caller writes its bytes."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        descr = npy.dtype_to_descr(np.dtype(kind))
        header = {"descr": descr, "fortran_order": False, "shape": (size,)}
        npy.write_array_header_1_0(stream, header)
        yield stream


def _head(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    shape, _, dtype = read[npy.read_magic(stream)](stream)
    return shape, dtype


def text(stream: IO[bytes]) -> str:
    """A text stored as a vector of bytes, however long it says it is: no room is made for that."""
    _head(stream)
    return stream.read(TEXT).decode()


class Vector:
    """A vector of whole numbers in a zip, from its beginning to its end."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        shape, self.dtype = _head(stream)
        if len(shape) != 1 or self.dtype.kind != "i":
            raise ValueError(f"{self.dtype} of shape {shape} in place of a vector of integers")
        self.left = int(shape[0])

    def take(self, size: int) -> NDArray[np.int64]:
        raw = self._stream.read(size * self.dtype.itemsize)
        self.left -= size
        if self.left < 0 or len(raw) != size * self.dtype.itemsize:
            raise EOFError("a vector that ends too early")
        return np.frombuffer(raw, dtype=self.dtype).astype(np.int64)

    def end(self) -> None:
        """Nothing may be left; reading on to the end is also what checks zip's checksum."""
        if self.left or self._stream.read(1):
            raise ValueError("a vector that is longer than it should be")


class Stored(Layers):
    """The mask of a file that stays open while this lives; what is read is checked every time.

    Forked processes read on by themselves. A pickle holds no mask but the file's path and what is
    in it: it opens where the same file still lies there.
    """

    def __init__(self, path: str | Path, source: Source, stream: IO[bytes]) -> None:
        """stream: the file, which this closes from now on."""
        self.source, self._path = source, str(path)
        self._at = os.path.abspath(path)
        self._stream = Positional(stream)
        self._archive, self._process = zipfile.ZipFile(self._stream), os.getpid()
        weakref.finalize(self, self._stream.close)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened_again, (self._at, self.source, self._content)

    @property
    def _content(self) -> list[tuple[str, int, int]]:
        """Name, size and checksum of every part."""
        return [(part.filename, part.file_size, part.CRC) for part in self._archive.infolist()]

    def _open(self, name: str) -> IO[bytes]:
        if self._process != os.getpid():  # a lock may have been held when this one was forked
            self._archive, self._process = zipfile.ZipFile(self._stream), os.getpid()
        return self._archive.open(name)

    def runs(self, layer: int, most: int = SPAN) -> Iterator[Run]:
        """Raises BadInput where the file is damaged or holds no mask of this source."""
        try:
            yield from self._runs(layer, most)
        except BadInput:
            raise
        except DAMAGE as error:
            raise damaged(self._path, error) from None

    def _runs(self, layer: int, most: int) -> Iterator[Run]:
        source, outputs = self.source, self.source.outputs(layer)
        names = [f"{kind}_{layer}_{half}.npy" for half in (0, 1) for kind in ("count", "index")]
        with contextlib.ExitStack() as open_:
            streams = [Vector(open_.enter_context(self._open(name))) for name in names]
            for counts in streams[::2]:
                if counts.left != source.blocks(layer) * outputs:
                    raise misfit(source, layer)
            _fits(source, layer, outputs)
            step = max(1, GADGETS // outputs)
            for start in range(0, source.blocks(layer), step):
                last = min(start + step, source.blocks(layer))
                counted = [_counts(source, layer, s, last - start) for s in streams[::2]]
                for first, stop in _portions(source, layer, counted):
                    found = [
                        _listed(source, layer, counts[first:stop].reshape(-1), indices)
                        for counts, indices in zip(counted, streams[1::2], strict=True)
                    ]
                    for kept in found:
                        check(source, layer, kept, stop - first)
                    yield from cut((found[0], found[1]), outputs, start + first, most)
            for stream in streams:
                stream.end()


def _opened_again(path: str, source: Source, content: list[tuple[str, int, int]]) -> Stored:
    """What a pickle stands for. Raises BadInput where another file lies there by now, or none."""
    try:
        stream = open(path, "rb", buffering=0)  # noqa: SIM115 the mask reads from it later on
    except OSError as error:
        raise damaged(path, error) from None
    try:
        found = Stored(path, source, stream)
    except BaseException as error:
        stream.close()
        if isinstance(error, DAMAGE):
            raise damaged(path, error) from None
        raise
    if found._content != content:
        raise BadInput(
            path, "another file than was pickled", "the same one", "load the ticket anew instead"
        )
    return found


def _counts(source: Source, layer: int, counts: Vector, blocks: int) -> NDArray[np.int64]:
    """How many neurons the next gadgets keep, `[blocks, outputs]`."""
    outputs = source.outputs(layer)
    found = counts.take(blocks * outputs)
    if not ((found >= 0) & (found <= source.n[layer])).all():
        raise misfit(source, layer)
    return found.reshape(blocks, outputs)


def _portions(
    source: Source, layer: int, counted: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[int, int]]:
    """Blocks from .. to, as many at once as keep SPAN entries, or one."""
    ends = np.cumsum(sum(counts.sum(axis=1) for counts in counted))
    first, before = 0, 0
    while first < ends.size:
        stop = max(first + 1, int(np.searchsorted(ends, before + SPAN, side="right")))
        _fits(source, layer, int(ends[stop - 1]) - before)
        yield first, stop
        first, before = stop, int(ends[stop - 1])


def _listed(source: Source, layer: int, counts: NDArray[np.int64], indices: Vector) -> Kept:
    """The next gadgets, if so many indices are there."""
    total = int(counts.sum())
    if total > indices.left:
        raise misfit(source, layer)
    return Kept.of_counts(counts, indices.take(total))


def _fits(source: Source, layer: int, size: int) -> None:
    """BadInput for more entries of one block than a file may have."""
    if size > BLOCK:
        raise BadInput(
            f"mask of layer {layer}",
            f"{size} entries in one of its {source.blocks(layer)} blocks",
            f"up to {BLOCK}",
            "split the layer's outputs over several tickets",
        )


def damaged(path: str | Path, error: Exception) -> BadInput:
    """What to say of a file that raised `error`."""
    got = " ".join(f"{type(error).__name__}: {error}".split())
    return BadInput(str(path), got, "a ticket file", "pass a file written by Ticket.save")

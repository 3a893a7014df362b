"""A mask in a ticket's zip: written and read a run of blocks at a time.

Layer i, half h: `count_i_h.npy`, how many neurons each gadget keeps, and `index_i_h.npy`, which,
both as the smallest integers that hold n.
"""

from __future__ import annotations

import contextlib
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
from slth.source import Source

GADGETS = 1 << 16  # whose counts are read at a time
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
        gadgets = source.blocks(i) * source.dims[i + 1]
        for half in (0, 1):
            kept = 0
            with writing(archive, f"count_{i}_{half}", small, gadgets) as stream:
                for run in runs(mask, source, i):
                    part = run.halves[half]
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
    """The mask of a file that stays open while this lives; what is read is checked every time."""

    def __init__(self, path: str | Path, source: Source, stream: IO[bytes]) -> None:
        """stream: the file, which this closes from now on."""
        self.source, self._path = source, str(path)
        self._archive = zipfile.ZipFile(stream)
        weakref.finalize(self, stream.close)

    def runs(self, layer: int, most: int = SPAN) -> Iterator[Run]:
        """Raises BadInput where the file is damaged or holds no mask of this source."""
        try:
            yield from self._runs(layer, most)
        except BadInput:
            raise
        except DAMAGE as error:
            raise damaged(self._path, error) from None

    def _runs(self, layer: int, most: int) -> Iterator[Run]:
        source, outputs = self.source, self.source.dims[layer + 1]
        names = [f"{kind}_{layer}_{half}.npy" for half in (0, 1) for kind in ("count", "index")]
        with contextlib.ExitStack() as open_:
            streams = [Vector(open_.enter_context(self._archive.open(name))) for name in names]
            for counts in streams[::2]:
                if counts.left != source.blocks(layer) * outputs:
                    raise misfit(source, layer)
            step = max(1, GADGETS // outputs)
            for first in range(0, source.blocks(layer), step):
                last = min(first + step, source.blocks(layer))
                found = [
                    _counted(source, layer, counts.take((last - first) * outputs), indices)
                    for counts, indices in zip(streams[::2], streams[1::2], strict=True)
                ]
                for kept in found:
                    check(source, layer, kept, last - first)
                yield from cut((found[0], found[1]), outputs, first, most)
            for stream in streams:
                stream.end()


def _counted(source: Source, layer: int, counts: NDArray[np.int64], indices: Vector) -> Kept:
    """The next gadgets, if so many neurons can be kept and are there."""
    if not ((counts >= 0) & (counts <= source.n[layer])).all():
        raise misfit(source, layer)
    total = int(counts.sum())
    if total > indices.left:
        raise misfit(source, layer)
    return Kept.of_counts(counts, indices.take(total))


def damaged(path: str | Path, error: Exception) -> BadInput:
    """What to say of a file that raised `error`."""
    got = " ".join(f"{type(error).__name__}: {error}".split())
    return BadInput(str(path), got, "a ticket file", "pass a file written by Ticket.save")

"""A file that forked processes may read at the same time, each from a position of its own."""

from __future__ import annotations

import io
import os
from typing import IO, Any


class Positional(io.RawIOBase):
    """What `stream` holds, read without moving the position that it shares with other processes."""

    def __init__(self, stream: IO[bytes]) -> None:
        """stream: a file opened for reading, unbuffered; this closes it from now on."""
        super().__init__()
        self._stream, self._at = stream, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = os.fstat(self._stream.fileno()).st_size
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        if hasattr(os, "pread"):
            found = os.pread(self._stream.fileno(), len(buffer), self._at)
        else:  # where there is no fork either
            self._stream.seek(self._at)
            found = self._stream.read(len(buffer))
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def close(self) -> None:
        self._stream.close()
        super().close()

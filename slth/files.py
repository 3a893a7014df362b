"""Writing files so that a crash leaves the old one or the new one, never half of either."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from slth.errors import BadInput


@contextlib.contextmanager
def write_atomically(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary stream whose content takes the place of `path` when the block ends without error.

    Makes the folder. Raises BadInput where it cannot be made or written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise BadInput(
            "output path", path, "a file in a folder that can be written", f"{error.strerror}"
        ) from None
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if path.is_dir():
            raise BadInput("output path", path, "a file, not a folder", "name a file in it")
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise

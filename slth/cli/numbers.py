"""Numbers from the command line: a .npy, .csv or .txt file, or written out with commas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput

ALLOWED = "a .npy, .csv or .txt file, or numbers with commas between"
SUFFIXES = (".npy", ".csv", ".txt")


def read(name: str, text: str) -> NDArray[np.generic]:
    """The array that `text` names or spells: `[n]`, or `[N, n]` from a file of N rows.

    In .csv and .txt files a line is a row and its numbers are separated by commas or blanks; a
    single row or column is read as `[n]`. Raises BadInput on missing, damaged and ragged files.
    """
    text = text.strip()
    path = Path(text)
    if path.suffix.lower() not in SUFFIXES and not path.is_file():
        return _row(name, text, text.split(","))
    try:
        return _npy(name, path) if path.suffix.lower() == ".npy" else _rows(name, path)
    except BadInput:
        raise
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadInput(name, f"{path}: {reason}", ALLOWED, "check the path and the file") from None


def _npy(name: str, path: Path) -> NDArray[np.generic]:
    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise BadInput(name, f"{path}: an archive", ALLOWED, "save one array by numpy.save")
    return array


def _rows(name: str, path: Path) -> NDArray[np.float64]:
    rows = []
    with path.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                parts = line.split(",") if "," in line else line.split()
                rows.append(_row(f"{name}, line {number} of {path}", line, parts))
    if not rows:
        raise BadInput(name, f"{path}: no numbers", ALLOWED, "write one row a line")
    if len({row.size for row in rows}) > 1:
        sizes = sorted({row.size for row in rows})
        raise BadInput(
            name, f"{path}: rows of {sizes} numbers", "rows of equal length", "pad them with zeros"
        )
    array = np.stack(rows)
    return array.ravel() if 1 in array.shape else array


def _row(name: str, text: str, parts: list[str]) -> NDArray[np.float64]:
    try:
        return np.array([float(part) for part in parts], dtype=np.float64)
    except ValueError:
        raise BadInput(
            name, repr(text.strip()), ALLOWED, "check the spelling or the path"
        ) from None

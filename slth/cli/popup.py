"""What `slth popup` works with and prints: model, data, progress, report."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slth.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from slth.supermask import Classification, Found, Frozen, MaskSearch, Progress

BIASES = 0.05  # of random biases, as in the published code of Fischer et al. (2021)
WIDTHS = "300,300"  # of the perceptron that `mlp` alone means


def examples(data: str) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Images `[n, d]`, labels and which are held out: `digits`, `mnist5k`, or an IDX folder."""
    import numpy as np

    from slth.data import images

    if data in ("digits", "mnist5k"):
        x, labels = images.digits() if data == "digits" else images.mnist5k()
        return x, labels, images.held_out(labels)
    folder = Path(data)
    if not folder.is_dir():
        remedy = "name a built-in set, or the folder that holds MNIST's four IDX files"
        raise BadInput("--data", data, "digits, mnist5k, or a folder that is there", remedy)
    x, labels = images.mnist_idx(folder)
    test_x, test_labels = images.mnist_idx(folder, "test")
    held = np.arange(len(x) + len(test_x)) >= len(x)
    return np.concatenate([x, test_x]), np.concatenate([labels, test_labels]), held


def network(
    factory: str | None, arch: str | None, pixels: int, classes: int
) -> tuple[nn.Module, tuple[int, ...]]:
    """The untrained network, a factory's or an architecture's, and the shape of its inputs."""
    from torch import nn

    from slth.pruning._layers import layers

    if (factory is None) == (arch is None):
        got = "neither" if factory is None else "both"
        context = click.get_current_context()
        raise click.UsageError(f"a MODEL or --arch: got {got}, give one of them", context)
    if factory is not None:
        made = _from_factory(factory)
        first = layers(made, shortcuts=True)[0].module
        return made, (pixels,) if isinstance(first, nn.Linear) else _image(pixels, 0)
    from slth.nets.architectures import build

    spec = f"mlp:{pixels},{WIDTHS},{classes}" if arch == "mlp" else str(arch)
    if spec.startswith("mlp"):
        return build(spec, (pixels,), classes), (pixels,)
    # the convolutional networks halve their images five times, LeNet-5 pads by itself
    shape = _image(pixels, 0 if spec.startswith("lenet") else 32)
    return build(spec, shape, classes), shape


def objective(
    x: NDArray[np.float64],
    labels: NDArray[np.int64],
    held: NDArray[np.bool_],
    shape: tuple[int, ...],
) -> Classification:
    """Classification of the images, with a black border where the shape is larger."""
    import numpy as np

    from slth.supermask import Classification

    if len(shape) == 3:
        side = math.isqrt(x.shape[1])
        border = (shape[1] - side) // 2
        around = ((0, 0), (border, shape[1] - side - border), (border, shape[2] - side - border))
        x = np.pad(x.reshape(-1, side, side), around).reshape(len(x), -1)
    return Classification.of(x, labels, held, shape)


def source(method: MaskSearch, init: str, density: float, seed: int) -> Frozen:
    """What the weights are drawn from: scaled and with biases where the method is so published."""
    from slth.supermask import Frozen

    scaled = method.scaled and 0 < density <= 1  # any other density the search refuses itself
    return Frozen(seed, init, density if scaled else 1.0, BIASES if method.biases else None)  # type: ignore[arg-type]


def _from_factory(spec: str) -> nn.Module:
    from slth.models import from_factory

    path, colon, name = spec.partition(".py:")
    if not colon:
        raise BadInput("MODEL", spec, "module.py:factory", "or name an architecture by --arch")
    try:
        return from_factory(Path(path + ".py"), name)
    except (BadInput, OSError, MemoryError):
        raise
    except Exception as error:
        got = f"{type(error).__name__} while running {spec}: {error}"
        allowed = "a factory that returns a torch.nn.Module"
        raise BadInput("MODEL", got, allowed, "run it by itself to see where it fails") from error


def _image(pixels: int, least: int) -> tuple[int, int, int]:
    side = math.isqrt(pixels)
    if side * side != pixels:
        remedy = "choose a perceptron for them"
        raise BadInput("--data", f"{pixels} pixels an image", "square images", remedy)
    side = max(side, least) if side >= 28 else side
    return (1, side, side)


@contextlib.contextmanager
def bar() -> Iterator[Callable[[Progress], None] | None]:
    """A bar with the accuracy so far on a terminal's standard error; elsewhere nothing at all."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("searching", total=None)

        def move(at: Progress) -> None:
            so_far = "".join(f", {name} {value:.4g}" for name, value in at.measures.items())
            text = f"epoch {min(at.epoch + 1, at.epochs)} of {at.epochs}{so_far}"
            done, total = at.epoch * at.steps + at.step, at.epochs * at.steps
            drawn.update(task, description=text, completed=done, total=total)

        yield move


def claiming(found: Found, data: str) -> Found:
    """With what `slth verify` is to measure again, where a package ships the data."""
    shipped = data in ("digits", "mnist5k")
    return found.claiming(examples={"kind": data}) if shipped else found


def report(found: Found, name: str, data: str, path: Path) -> dict[str, Any]:
    """Plain facts; what `--json` prints."""
    return {
        "model": name,
        "data": data,
        "method": found.method,
        **found.measures,
        "density": found.kept / found.size,
        "compression": found.size / found.kept,
        "kept": found.kept,
        "size": found.size,
        "layers": {
            name: {"kept": kept, "size": size, "density": kept / size}
            for name, (kept, size) in found.layers.items()
        },
        "empty": list(found.empty),
        "source": found.source,
        "epochs": len(found.history),
        "loss": found.history[-1].loss if found.history else None,
        "seconds": found.seconds,
        "notes": list(found.notes),
        "stopped": found.stopped,
        "saved": str(path),
    }


def show(facts: Mapping[str, Any], headline: str) -> None:
    from slth.cli.show import _print, _table

    layers = _table("layer", "kept", "of", "density")
    for name, layer in facts["layers"].items():
        layers.add_row(name, str(layer["kept"]), str(layer["size"]), f"{layer['density']:.4f}")
    drawn = facts["source"]
    weights = "the model's own"
    if drawn is not None:
        scale = "" if drawn["density"] == 1 else f", scaled for density {drawn['density']:g}"
        weights = f"{drawn['init']}, seed {drawn['seed']}{scale}"
    rows = [
        (headline, f"{facts[headline]:.4f} of held-out {facts['data']}"),
        ("method", facts["method"]),
        ("density", f"{facts['density']:.6g} ({facts['kept']} of {facts['size']} weights kept)"),
        ("weights", f"{weights}; untrained"),
        ("time", f"{facts['seconds']:.1f} s, {facts['epochs']} epochs"),
        ("saved", facts["saved"]),
    ]
    table = _table("what", "value")
    for row in rows:
        table.add_row(*row)
    empty = [f"{name} keeps nothing" for name in facts["empty"]]
    _print(layers, table, *facts["notes"], *empty)

"""`slth prune`: masks for a model of one's own, by any saliency."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slth.errors import BadInput

if TYPE_CHECKING:
    from torch import nn

    from slth.pruning import Context, Pruning, Saliency

SHAPE_REMEDY = "give --shape, such as 3,32,32 or 784"


def model(
    spec: str, state: str | None, shape: tuple[int, ...] | None, classes: int | None, seed: int
) -> tuple[nn.Module, tuple[int, ...]]:
    """The module and the shape of one input; BadInput for whatever a damaged file raises."""
    from slth import models
    from slth.nets import architectures

    if ".py:" not in spec and not Path(spec).exists() and not spec.endswith((".pt", ".pth")):
        try:
            size = shape or architectures.input_shape(spec)
        except BadInput:
            allowed = f"a file, module.py:factory, or one of {', '.join(architectures.NAMES)}"
            raise BadInput("MODEL", spec, allowed, "check the name") from None
        return architectures.build(spec, size, classes, seed), size
    if classes is not None:
        raise BadInput("--classes", classes, "none with a model of your own", "leave it out")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickles that it then refuses
            found = models.read_module(spec, state)
    except (BadInput, OSError, MemoryError):
        raise
    except Exception as error:
        got = f"{type(error).__name__} while reading {spec}: {error}"
        remedy = "save the model anew, or run the factory by itself to see where it fails"
        raise BadInput("MODEL", got, models.GENERAL, remedy) from error
    return found, shape or _shape_of(found)


def _shape_of(module: nn.Module) -> tuple[int, ...]:
    """Known from a model that begins with a linear layer; of images no layer says the size."""
    from torch import nn

    from slth.pruning._layers import layers

    first = layers(module, shortcuts=True)[0].module
    if not isinstance(first, nn.Linear):
        got = f"none for a model that begins with a {type(first).__name__}"
        raise BadInput("--shape", got, "the shape of one input", SHAPE_REMEDY)
    return (first.in_features,)


def place(module: nn.Module, device: str) -> nn.Module:
    """On the device, as long as there is one of that name."""
    try:
        return module.to(device)
    except (RuntimeError, AssertionError) as error:
        why = str(error).splitlines()[0]
        raise BadInput("--device", f"{device}: {why}", "cpu or cuda", "use cpu") from None


def context(
    module: nn.Module,
    saliency: Saliency,
    shape: tuple[int, ...],
    data: str | None,
    per_class: int,
    seed: int,
) -> Context:
    """With a batch for the saliencies that need one; to the others data would say nothing."""
    from slth.data.batches import DATA, batch
    from slth.pruning import Context
    from slth.pruning._layers import layers

    name = type(saliency).__name__
    if data is None or not saliency.data:
        if saliency.data:
            known = ", ".join(DATA)
            raise BadInput("--data", f"none for {name}, a loss on data", known, "choose one")
        if data is not None:
            raise BadInput("--data", data, f"none with {name}, which needs no data", "leave it out")
        return Context(shape, None, seed)
    classes = layers(module)[-1].module.weight.shape[0]
    return Context(shape, batch(data, shape, classes, per_class, seed), seed)


def facts(
    found: Pruning,
    module: nn.Module,
    saliency: Saliency,
    shape: tuple[int, ...],
    path: str | None,
) -> dict[str, Any]:
    """What came out, layer by layer, as JSON has it."""
    from slth.collapse import path_survives
    from slth.pruning._layers import layers, left_whole

    masks = found.masks
    shortcuts = {layer.name: layer.shortcut for layer in layers(module, shortcuts=True)}
    try:
        survives: bool | None = path_survives(module, masks, shape)
        why = None
    except BadInput as error:
        survives, why = None, str(error)
    return {
        "method": found.method,
        "requested": found.requested,
        "compression": found.compression,
        "density": found.density,
        "kept": found.kept,
        "size": found.size,
        "layers": [
            {
                "name": name,
                "kept": kept,
                "size": size,
                "density": kept / size,
                "shortcut": shortcuts[name],
            }
            for name, (kept, size) in found.layers.items()
        ],
        "empty": list(found.empty),
        "unpruned_shortcuts": [
            n for n, is_one in shortcuts.items() if is_one and n not in found.masks
        ],
        "left_whole": [
            {"name": name, "kind": kind, "size": size} for name, kind, size in left_whole(module)
        ],
        "path": survives,
        "path_unknown": why,
        "unresolved": found.unresolved,
        "hint": _hint(saliency, module) if found.empty or survives is False else None,
        "saved": path,
    }


def _hint(saliency: Saliency, module: nn.Module) -> str | None:
    """What may avoid a collapse: biases that flow let layers die before N/L."""
    if not getattr(saliency, "biases", False):
        return None
    shifts = (
        tensor
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
        if name.rsplit(".", 1)[-1] in ("bias", "running_mean")
    )
    if not any(bool(tensor.any()) for tensor in shifts):
        return None
    return "biases flow here, as published; try --no-biases, with which all layers carry one flow"


def show(found: Mapping[str, Any]) -> None:
    from slth.cli.show import _print, _table

    layers = _table("layer", "kept", "size", "density", "")
    for row in found["layers"]:
        notes = ["shortcut"] * row["shortcut"] + ["EMPTY"] * (row["kept"] == 0)
        density = f"{row['density']:.3g}"
        layers.add_row(row["name"], str(row["kept"]), str(row["size"]), density, ", ".join(notes))
    table = _table("what", "value")
    rows = [
        ("method", found["method"]),
        ("kept", f"{found['kept']} of {found['size']} weights"),
        ("compression", f"{found['compression']:.6g} ({found['requested']:g} asked for)"),
        ("empty layers", ", ".join(found["empty"]) or "none"),
        ("a path survives", _path(found)),
        ("undecided by rounding", _unresolved(found["unresolved"])),
    ]
    if found["unpruned_shortcuts"]:
        rows.append(("projections left whole", ", ".join(found["unpruned_shortcuts"])))
    if found["left_whole"]:
        named = [f"{row['name']} ({row['kind']}, {row['size']})" for row in found["left_whole"]]
        rows.append(("neither Linear nor Conv2d: left whole", ", ".join(named)))
    if found["hint"]:
        rows.append(("hint", found["hint"]))
    if found["saved"]:
        rows.append(("saved in", found["saved"]))
    for what, value in rows:
        table.add_row(what, value)
    _print(layers, table)


def _path(found: Mapping[str, Any]) -> str:
    if found["path"] is None:
        return f"not known: {found['path_unknown']}"
    return "yes" if found["path"] else "NO: the outputs do not depend on the inputs"


def _unresolved(count: int | None) -> str:
    if count is None:
        return "no bound is known for these scores"
    if not count:
        return "nothing"
    return f"at most {count} decisions, over all steps; one may turn later ones (try --double)"

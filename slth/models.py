"""Reading a model from disk without running anything that the file brings along.

A model file holds a `torch.nn.Sequential` of supported layers and is unpickled by torch's
weights-only reader with an allow-list. Any other model is given as `module.py:factory` (code that
the user names and trusts) plus a state dict, which again is read weights-only.
"""

from __future__ import annotations

import pickle
import runpy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slth.errors import BadInput

if TYPE_CHECKING:
    from torch import nn

    from slth.network import Network
    from slth.target import Target


def read(
    spec: str, state: str | None = None, shape: tuple[int, ...] | None = None
) -> Target | Network:
    """The target that `spec` names: `model.pt`, `module.py:factory` with a state-dict file, or one
    of the built-in targets `digits`, `digits-untouched`.

    shape: of one input, which a model that begins with a convolution does not say. Raises BadInput
    on files that are missing, damaged, or hold anything but tensors and supported layers.
    """
    from slth.tracing import target

    if spec in ("digits", "digits-untouched"):
        from slth.nets import digits

        return digits.load() if spec == "digits" else digits.load_untouched()
    return target(read_module(spec, state).eval(), shape)


MODULES = (
    "Sequential", "ModuleList", "ModuleDict", "Linear", "Conv1d", "Conv2d", "Conv3d",
    "ConvTranspose2d", "BatchNorm1d", "BatchNorm2d", "LayerNorm", "GroupNorm", "Flatten",
    "Unflatten", "Identity", "Dropout", "Dropout2d", "ReLU", "LeakyReLU", "ELU", "GELU", "SiLU",
    "Sigmoid", "Tanh", "Softplus", "Softmax", "LogSoftmax", "MaxPool1d", "MaxPool2d", "AvgPool1d",
    "AvgPool2d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "ZeroPad2d",
    "Upsample",
)  # fmt: skip
GENERAL = "torch.nn.Sequential of torch.nn layers such as Conv2d, BatchNorm2d, ReLU and Linear"


def read_module(spec: str, state: str | None = None) -> nn.Module:
    """The module that `spec` names: `model.pt`, a Sequential of layers in MODULES, nested ones too,
    or `module.py:factory` with or without a state-dict file.

    Raises BadInput on files that are missing, damaged, or hold anything but tensors and these.
    """
    from torch import nn

    path, _, factory = spec.partition(".py:")
    if factory:
        return from_factory(Path(path + ".py"), factory, state)
    if state is not None:
        raise BadInput("state", state, "none with a model file", "give module.py:factory with it")
    model = _unpickle(Path(spec), tuple(getattr(nn, name) for name in MODULES), GENERAL)
    if not isinstance(model, nn.Sequential):
        raise BadInput(
            spec,
            f"a {type(model).__name__}",
            GENERAL,
            "torch.save the Sequential itself, or give module.py:factory and the state dict",
        )
    return model


def from_factory(path: Path, factory: str, state: str | None = None) -> nn.Module:
    """The module that a function of a Python file returns, with the weights of a state dict."""
    from torch import nn

    if not path.is_file():
        raise BadInput("model", path, "a Python file that exists", "check the path")
    make = runpy.run_path(str(path)).get(factory)
    if not callable(make):
        raise BadInput("model", f"{path}:{factory}", "a function in that file", "check its name")
    module = make()
    if not isinstance(module, nn.Module):
        raise BadInput("model", f"a {type(module).__name__}", "a torch.nn.Module", "return a model")
    if state is not None:
        tensors = _unpickle(Path(state), ())
        try:
            module.load_state_dict(tensors)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise BadInput("state", state, "a state dict of that model", str(error)) from None
    return module


_DAMAGE = (  # what a foreign or damaged file raises in torch's reader
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
)


def _unpickle(path: Path, allowed: tuple[type, ...], layers: str = GENERAL) -> Any:
    import torch

    if not path.is_file():
        raise BadInput("model", path, "a file that exists", "check the path")
    try:
        with torch.serialization.safe_globals([*allowed]), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on pickle protocols it goes on to refuse
            return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        reason = next((line for line in str(error).splitlines() if "GLOBAL" in line), str(error))
        raise BadInput(
            str(path),
            reason.strip()[:90] or type(error).__name__,
            "tensors and " + layers,
            "save the model anew with torch.save, or give module.py:factory and a state dict",
        ) from None

"""Running a model at other weights than its own, which stay as they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from slth.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor, nn


def run(model: nn.Module, tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The output of `model` on x `[B, *shape]` with parameters and buffers replaced by name.

    Raises BadInput where the forward pass fails or gives anything but a tensor.
    """
    import torch
    from torch.func import functional_call

    try:
        out: Any = functional_call(model, dict(tensors), (x,))
    except (BadInput, MemoryError):
        raise
    except Exception as error:  # a forward of one's own may raise anything
        raise BadInput(
            "shape",
            f"{tuple(x.shape[1:])}, on which the model's forward pass fails: {_said(error)}",
            "the shape of one input, without the batch",
            "give the shape the model was made for",
        ) from error
    if not isinstance(out, torch.Tensor):
        raise BadInput(
            "model", f"a forward that returns a {type(out).__name__}", "one tensor", "wrap it"
        )
    return out


def _said(error: Exception) -> str:
    """The model's own words, with the kind of error where they would be no sentence."""
    kind = type(error).__name__
    return str(error) if isinstance(error, RuntimeError) and str(error) else f"{kind}: {error}"


@contextlib.contextmanager
def mode(model: nn.Module, training: bool) -> Iterator[None]:
    """The model in one mode, every module's own mode restored afterwards."""
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, was in before:
            module.training = was

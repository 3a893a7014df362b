"""Derivatives of the loss on a batch, at the weights that still live."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from slth.errors import BadInput
from slth.pruning._layers import layers
from slth.pruning._pass import mode, run

if TYPE_CHECKING:
    from slth.pruning import Context, Masks


def batch_of(context: Context, like: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs in the weights' type and place, labels as class numbers; BadInput where they do not
    fit together."""
    assert context.batch is not None, "prune() asks for it"
    x, labels = context.batch
    if x.shape[1:] != torch.Size(context.shape) or labels.shape != x.shape[:1] or not len(x):
        raise BadInput(
            "batch",
            f"inputs {tuple(x.shape)} with labels {tuple(labels.shape)}",
            f"inputs [B, {', '.join(map(str, context.shape))}] with labels [B], B at least 1",
            "reshape the inputs to the context's shape",
        )
    return x.to(like), labels.to(device=like.device, dtype=torch.int64)


def loss_at(
    model: nn.Module, masks: Masks, context: Context, temperature: float, training: bool
) -> tuple[dict[str, Tensor], Callable[[], Tensor]]:
    """(layer name → living weights, cross entropy of logits / temperature as a function of them).

    Every call of the function is a pass anew. training: whether BatchNorm normalises by the batch;
    the model's running statistics are left as they were either way.
    """
    found = [layer for layer in layers(model, shortcuts=True) if layer.name in masks]
    weights = {
        layer.name: (layer.module.weight.detach() * masks[layer.name]).requires_grad_()
        for layer in found
    }
    x, labels = batch_of(context, found[0].module.weight)
    names = {layer.name: layer.parameter for layer in found}

    def loss() -> Tensor:
        tensors = {name: t.detach() for name, t in model.named_parameters()}
        tensors |= {name: t.clone() for name, t in model.named_buffers()}
        tensors |= {names[name]: weight for name, weight in weights.items()}
        with mode(model, training):
            logits = run(model, tensors, x)
        if logits.ndim != 2 or not 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]:
            raise BadInput(
                "batch",
                f"labels {int(labels.min())} to {int(labels.max())} for outputs "
                f"{tuple(logits.shape)}",
                "labels from 0 to classes − 1, outputs [B, classes]",
                "give labels of the model's own classes",
            )
        return functional.cross_entropy(logits / temperature, labels)

    return weights, loss

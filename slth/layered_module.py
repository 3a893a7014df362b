"""Layered tickets as torch modules: the whole source with its mask, and the pruned network."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput

if TYPE_CHECKING:
    from torch import nn

    from slth.layered import LayeredSource
    from slth.layered_ticket import LayeredTicket

Floats = NDArray[np.float64]


def whole(ticket: LayeredTicket, dtype: Any, limit: int) -> nn.Sequential:
    """Every weight of the source, pruned as `torch.nn.utils.prune` prunes; BadInput beyond limit
    bytes of weights, masks and masked weights."""
    import torch
    from torch import nn
    from torch.nn.utils import prune

    source, dtype = ticket.source, dtype or torch.float64
    need = 3 * source.parameters * torch.empty((), dtype=dtype).element_size()
    if need > limit:
        raise BadInput(
            "module()",
            f"{source.parameters} source weights, {need} bytes with masks",
            f"at most limit = {limit} bytes",
            "raise `limit`, or use compact() for the pruned network",
        )
    layers: list[nn.Module] = []
    for t in range(source.layers):
        bias = source.bias_vector(t)
        layer = _linear(source.matrix(t), bias, dtype)
        mask = torch.zeros(source.shape(t), dtype=dtype)
        mask[ticket.kept[t].gadgets, ticket.kept[t].indices] = 1.0
        prune.custom_from_mask(layer, "weight", mask)  # type: ignore[no-untyped-call]
        if bias is not None:
            vector = torch.zeros(bias.size, dtype=dtype)
            vector[ticket.kept_bias[t]] = 1.0
            prune.custom_from_mask(layer, "bias", vector)  # type: ignore[no-untyped-call]
        layers += [*([activation(source)] if t else []), layer]
    return nn.Sequential(*layers)


def compact(ticket: LayeredTicket, dtype: Any) -> nn.Sequential:
    """The neurons that are used, and the kept weights between them."""
    import torch
    from torch import nn

    source, dtype = ticket.source, dtype or torch.float64
    layers: list[nn.Module] = []
    below = np.ones(source.widths[0], dtype=bool)
    for t, (weights, bias, used) in enumerate(ticket.matrices):
        vector = bias[used] if source.bias[t] else None
        layer = _linear(weights[used][:, below].toarray(), vector, dtype)
        layers += [*([activation(source)] if t else []), layer]
        below = used
    return nn.Sequential(*layers)


def activation(source: LayeredSource) -> nn.Module:
    """What stands between the stack's layers."""
    from torch import nn

    kinds: dict[str, nn.Module] = {
        "relu": nn.ReLU(),
        "leaky_relu": nn.LeakyReLU(source.slope),
        "tanh": nn.Tanh(),
        "sigmoid": nn.Sigmoid(),
        "softplus": nn.Softplus(),
    }
    return kinds[source.activation]


def _linear(weight: Floats, bias: Floats | None, dtype: Any) -> nn.Linear:
    import torch
    from torch import nn

    with torch.device("meta"), warnings.catch_warnings():
        # no random numbers for weights that are set right below, and no word on empty layers
        warnings.simplefilter("ignore", UserWarning)
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=dtype)
    layer = layer.to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        if bias is not None:
            layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
    layer.requires_grad_(False)
    return layer

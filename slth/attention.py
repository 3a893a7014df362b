"""Attention blocks and transformer encoders of torch as targets, token by token.

Tokens are the pixels of an image `(channels, tokens, 1)`, so every projection is a 1×1 convolution.
A head's query and key matrices act only through M = W_Qᵀ W_K/√d_k, its value and output matrices
only through V = W_O W_V; a source approximates M and V by two random matrices each with nothing
between (Otsuka et al. 2025, lemma 4). Biases of queries and keys are the column and the row of a
constant 1 in M; those of values and the output's add to V, since shares sum to one. What a logit
has in common for all keys, softmax does not see: the key's bias against the query's, and the query
against the key's bias, are left out.

The weights do not depend on the number of tokens, and no bound on the error does, except that an
output of T tokens is √T times as long as one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.network import Network
from slth.target import _numpy
from slth.wiring import Activation, Add, Affine, Attend, Normalise, Step, Wiring

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float64]


def attention(block: nn.MultiheadAttention, tokens: int) -> Network:
    """The self-attention of so many tokens; inputs and outputs `[tokens · embed_dim]`, channel by
    channel (`to_tokens` and `from_tokens` of this file change the order)."""
    builder = _Builder(_checked(block).embed_dim, tokens)
    builder.attend(block)
    return builder.network()


def encoder(model: nn.TransformerEncoderLayer | nn.TransformerEncoder, tokens: int) -> Network:
    """A layer, or a stack of layers, in evaluation mode, with ReLU in their feed-forward part."""
    from torch import nn

    layers = list(model.layers) if isinstance(model, nn.TransformerEncoder) else [model]
    first = layers[0]
    given: list[object] = list(layers)
    if not all(isinstance(layer, nn.TransformerEncoderLayer) for layer in given):
        got = type(first).__name__
        raise BadInput("model", got, "nn.TransformerEncoderLayer or a stack of them", "split it")
    builder = _Builder(first.self_attn.embed_dim, tokens)
    for layer in layers:
        builder.layer(layer)
    norm = getattr(model, "norm", None)
    if norm is not None:
        builder.normalise(norm)
    return builder.network()


def to_tokens(flat: Floats, channels: int) -> Floats:
    """`[batch, channels · tokens]`, as networks here take it, to `[batch, tokens, channels]`."""
    return np.ascontiguousarray(flat.reshape(len(flat), channels, -1).transpose(0, 2, 1))


def from_tokens(x: Floats) -> Floats:
    """`[batch, tokens, channels]` to `[batch, channels · tokens]`."""
    return np.ascontiguousarray(x.transpose(0, 2, 1)).reshape(len(x), -1)


def with_tokens(network: Network, tokens: int) -> Network:
    """The same weights for another number of tokens."""
    shape = (network.wiring.shape[0], tokens, 1)
    return Network(replace(network.wiring, shape=shape), network.weights, network.biases)


def _checked(block: nn.MultiheadAttention) -> nn.MultiheadAttention:
    from torch import nn

    given: object = block
    if not isinstance(given, nn.MultiheadAttention):
        got = type(given).__name__
        raise BadInput("block", got, "nn.MultiheadAttention", "pass the attention itself")
    plain = block.in_proj_weight is not None and block.bias_k is None and not block.add_zero_attn
    if not plain:
        got = "an attention of other key or value sizes, or with added keys"
        raise BadInput("block", got, "plain self-attention", "build it with embed_dim alone")
    return block


class _Builder:
    """Steps and weights, one after another; `at` is the value that the next step takes."""

    def __init__(self, channels: int, tokens: int) -> None:
        self.shape = (channels, tokens, 1)
        self.steps: list[Step] = []
        self.weights: list[Floats] = []
        self.biases: list[Floats | None] = []
        self.at = 0

    def network(self) -> Network:
        wiring = Wiring(self.shape, tuple(self.steps))
        return Network(wiring, tuple(self.weights), tuple(self.biases))

    def step(self, step: Step) -> int:
        self.steps.append(step)
        self.at = len(self.steps)
        return self.at

    def affine(self, of: int, weight: Floats, bias: Floats | None) -> int:
        made = Affine(of, len(self.weights), weight.shape[1], weight.shape[0], (1, 1))
        self.weights.append(weight[:, :, None, None])
        self.biases.append(bias)
        return self.step(made)

    def attend(self, block: nn.MultiheadAttention) -> int:
        """The block's self-attention of the current value."""
        of, heads = self.at, _checked(block).num_heads
        pairs = [_head(block, h) for h in range(heads)]
        keys = tuple(self.affine(of, *key) for key, _ in pairs)
        values = tuple(self.affine(of, *value) for _, value in pairs)
        return self.step(Attend(of, keys, values))

    def layer(self, layer: nn.TransformerEncoderLayer) -> None:
        from torch.nn import functional

        relu = (
            layer.activation is functional.relu or getattr(layer, "activation_relu_or_gelu", 0) == 1
        )
        if not relu:
            raise BadInput("activation", layer.activation, "relu", "train it with ReLU")
        if layer.norm_first:
            start = self.at
            self.normalise(layer.norm1)
            self.add(start, self.attend(layer.self_attn))
            start = self.at
            self.normalise(layer.norm2)
            self.add(start, self.feed(layer))
        else:
            start = self.at
            self.add(start, self.attend(layer.self_attn))
            self.normalise(layer.norm1)
            start = self.at
            self.add(start, self.feed(layer))
            self.normalise(layer.norm2)

    def feed(self, layer: nn.TransformerEncoderLayer) -> int:
        one, two = layer.linear1, layer.linear2
        self.affine(self.at, _numpy(one.weight), None if one.bias is None else _numpy(one.bias))
        self.step(Activation(self.at, "relu"))
        bias = None if two.bias is None else _numpy(two.bias)
        return self.affine(self.at, _numpy(two.weight), bias)

    def add(self, start: int, other: int) -> int:
        """The block's output plus its input, which an identity layer of its own carries."""
        carried = self.affine(start, np.eye(self.shape[0]), None)
        return self.step(Add(carried, other))

    def normalise(self, norm: nn.LayerNorm) -> int:
        """Layer normalisation; its scale and shift are a layer of their own, diagonal."""
        made = self.step(Normalise(self.at, float(norm.eps)))
        if not norm.elementwise_affine:
            return made
        bias = None if norm.bias is None else _numpy(norm.bias)
        return self.affine(made, np.diag(_numpy(norm.weight)), bias)


def _head(
    block: nn.MultiheadAttention, head: int
) -> tuple[tuple[Floats, Floats | None], tuple[Floats, Floats | None]]:
    """(M, its bias) and (V, its bias) of a head; M `[d (+ 1 with biases), d]`."""
    width = block.embed_dim // block.num_heads
    rows = slice(head * width, (head + 1) * width)
    query, key, value = np.split(_numpy(block.in_proj_weight), 3)
    out = _numpy(block.out_proj.weight)[:, rows]
    scale = 1 / math.sqrt(width)
    logits = query[rows].T @ key[rows] * scale
    merged = out @ value[rows]
    shared = getattr(block, "in_proj_bias", None)
    if shared is None:
        return (logits, None), (merged, None)
    of_query, _, of_value = np.split(_numpy(shared), 3)
    logits = np.vstack([logits, of_query[rows] @ key[rows] * scale])
    shift = out @ of_value[rows]
    if head == 0 and block.out_proj.bias is not None:
        shift = shift + _numpy(block.out_proj.bias)
    return (logits, None), (merged, shift)

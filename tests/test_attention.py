"""Attention blocks and encoders: as torch computes them, two matrices for one, certified."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from slth.attention import attention, encoder, from_tokens, to_tokens, with_tokens
from slth.certify import certify
from slth.certify.enclosure import enclose
from slth.construct.malach import Malach
from slth.construct.pensia import Pensia
from slth.domain import Box
from slth.effective import Effective, weight_errors
from slth.errors import BadInput
from slth.network import Network
from slth.testing import check_construction
from slth.ticket import Ticket
from slth.tracing import target
from slth.verify import verify
from slth.wiring import Wiring


def drawn(make: Any, seed: int) -> Any:
    """The module in float64 and evaluation mode, every parameter drawn anew, scales around one."""
    draw = torch.Generator().manual_seed(seed)
    with torch.device("meta"):  # where torch's own initialisation draws nothing
        made = make()
    made = made.to_empty(device="cpu").double().eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            size = weight.shape[-1] ** -0.5 if weight.ndim == 2 else 0.3
            weight.uniform_(-size, size, generator=draw)
            if "norm" in name and name.endswith("weight"):
                weight.add_(1)
    return made


def block(bias: bool = True) -> nn.MultiheadAttention:
    return drawn(lambda: nn.MultiheadAttention(4, 2, bias=bias, batch_first=True), 3)


def layer(norm_first: bool = False) -> nn.TransformerEncoderLayer:
    return drawn(
        lambda: nn.TransformerEncoderLayer(
            4, 2, 6, batch_first=True, norm_first=norm_first, layer_norm_eps=0.1
        ),
        5,
    )


def region(f: Network) -> Box:
    return Box(np.full(f.inputs, -1.0), np.ones(f.inputs))


def points(f: Network, count: int = 50) -> Any:
    return np.random.default_rng(1).uniform(-1, 1, (count, f.inputs))


@pytest.mark.parametrize("bias", [True, False])
def test_a_block_is_what_torch_computes(bias: bool) -> None:
    made = block(bias)
    f = attention(made, 5)
    x = np.random.default_rng(0).normal(size=(6, 5, 4))
    given = torch.from_numpy(x)
    with torch.no_grad():
        wanted = made(given, given, given, need_weights=False)[0].numpy()
    assert np.abs(to_tokens(f(from_tokens(x)), 4) - wanted).max() < 1e-14
    assert Wiring.from_json(f.wiring.to_json()) == f.wiring
    assert f.wiring.linear == (True,) * 4


@pytest.mark.parametrize("first", [True, False])
def test_encoders_are_what_torch_computes(first: bool) -> None:
    stack = drawn(
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, norm_first=first),
            2, norm=nn.LayerNorm(4), enable_nested_tensor=False,
        ),
        0,
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(3, 5, 4))
    for model in (layer(first), stack):
        f = encoder(model, 5)
        with torch.no_grad():
            wanted = model(torch.from_numpy(x)).numpy()
        assert np.abs(to_tokens(f(from_tokens(x)), 4) - wanted).max() < 1e-13


@pytest.mark.parametrize("make", [lambda: attention(block(), 3), lambda: encoder(layer(), 3)])
def test_its_ticket_holds(make: Any) -> None:
    f = make()
    how = Pensia(tolerance=1e-3, domain=region(f))
    ticket = how.build(f, how.source_for(f, seed=0, n=90))
    assert ticket.claim.unmet == 0
    assert verify(ticket, f).ok
    found = certify(f, ticket.effective, region(f), restarts=6, steps=20)
    assert 0 < found.lower <= found.upper <= ticket.claim.error_bound
    x = points(f)
    assert np.linalg.norm(ticket(x) - f(x), axis=1).max() <= found.upper
    images = torch.from_numpy(x).reshape(len(x), *f.wiring.shape)
    with torch.no_grad():
        for module in (ticket.module(), ticket.compact()):
            assert np.abs(module(images).flatten(1).numpy() - ticket(x)).max() < 1e-12


def test_two_matrices_for_one_use_either_sign_and_one_half() -> None:
    """Nothing lies between them, so half the neurons do what a diamond needs twice as many for."""
    f = attention(block(), 3)
    how = Pensia(tolerance=1e-3, domain=region(f))
    ticket = how.build(f, how.source_for(f, seed=0, n=90))
    signs = set()
    for layer_, (a, b) in enumerate(ticket.kept):
        assert b.indices.size == 0
        u = ticket.source.in_weights(layer_, 0)
        gadget = a.gadgets // ticket.source.outputs(layer_)
        signs |= set(np.sign(u[gadget, a.indices]).tolist())
    assert signs == {-1.0, 1.0}
    for errors in weight_errors(ticket.effective, f):
        assert errors.max() <= 1e-3


@pytest.mark.parametrize("make", [lambda t: attention(block(), t), lambda t: encoder(layer(), t)])
def test_a_tokens_error_does_not_depend_on_their_number(make: Any) -> None:
    """The certified error of T tokens is √T times that of one, and the rule's as well."""
    f = make(2)
    how = Pensia(tolerance=1e-3, domain=region(f))
    ticket = how.build(f, how.source_for(f, seed=0, n=90))
    per_token = []
    for tokens in (2, 8, 32):
        g, e = with_tokens(f, tokens), ticket.effective
        held = Effective(e.positive, e.negative, e.bias, e.slack, g.wiring)
        upper = enclose(g, held, region(g))[-1].distance
        per_token.append(upper / tokens**0.5)
    assert max(per_token) <= min(per_token) * (1 + 1e-9)


def test_an_enclosure_holds_every_value() -> None:
    for f in (attention(block(), 3), encoder(layer(), 3), encoder(layer(True), 3)):
        how = Pensia(tolerance=0.02, domain=region(f))
        g = how.build(f, how.source_for(f, seed=1, n=60)).effective
        images = torch.from_numpy(points(f, 300)).reshape(300, *f.wiring.shape)
        with torch.no_grad():
            ours, theirs = f.values(images), g.values(images)
        for value, other, held in zip(ours, theirs, enclose(f, g, region(f)), strict=True):
            assert bool(((value >= held.low) & (value <= held.high)).all())
            assert bool(((value - other).abs() <= held.error + 1e-12).all())
            norms = (value - other).flatten(1).norm(dim=1)
            assert float(norms.max()) <= held.distance + 1e-12


def test_the_contract() -> None:
    check_construction(Pensia(tolerance=0.05), 60, on=[attention(block(), 3)])


def test_a_pair_of_malachs_serves_too_and_a_flipped_sign_is_found() -> None:
    f = attention(block(), 2)
    how = Malach(tolerance=0.3)
    ticket = how.build(f, how.source_for(f, seed=0, n=3000))
    assert ticket.claim.unmet == 0
    assert verify(ticket, f).ok
    (a, b), *rest = ticket.kept
    moved = type(a)(
        a.indptr, np.where(a.indices == a.indices[0], (a.indices + 1) % 3000, a.indices)
    )
    assert not verify(Ticket(ticket.source, [(moved, b), *rest], ticket.claim), f).ok


def test_the_reader_takes_them_with_tokens_and_channels() -> None:
    assert target(block(), (3, 4)).fingerprint == attention(block(), 3).fingerprint
    assert target(layer(), (3, 4)).fingerprint == encoder(layer(), 3).fingerprint
    for shape in (None, (3, 5), (3,)):
        with pytest.raises(BadInput, match="tokens"):
            target(block(), shape)


def test_its_theorem_is_cited_and_what_fails_is_named() -> None:
    f = attention(block(), 3)
    how = Pensia(tolerance=0.05)
    claim = how.build(f, how.source_for(f, seed=0, n=60)).claim
    assert claim.theorem == "attention"
    g = encoder(layer(), 3)
    claim = how.build(g, how.source_for(g, seed=0, n=60)).claim
    assert claim.theorem == "convolution"
    assert any("attention" in sentence for sentence in claim.failed)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: attention(nn.Linear(2, 2), 3), "nn.MultiheadAttention"),  # type: ignore[arg-type]
        (lambda: attention(nn.MultiheadAttention(4, 2, kdim=3, vdim=3), 3), "other key"),
        (lambda: attention(nn.MultiheadAttention(4, 2, add_bias_kv=True), 3), "added keys"),
        (lambda: encoder(nn.Linear(2, 2), 3), "TransformerEncoderLayer"),  # type: ignore[arg-type]
        (
            lambda: encoder(nn.TransformerEncoderLayer(4, 2, 6, activation="gelu"), 3),
            "activation: got",
        ),
        (lambda: attention(block(), 0), "shape"),
    ],
)
def test_what_is_not_supported_is_named(make: Any, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        make()
    assert said in str(caught.value)

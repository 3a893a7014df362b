"""Targets of any wiring: read from torch as torch computes them, hidden, certified, verified."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from slth.certify import certify
from slth.certify.coordinates import coordinates
from slth.certify.enclosure import enclose, upper_bound
from slth.certify.exact import exact_sup
from slth.construct.malach import Malach
from slth.construct.pensia import Pensia
from slth.domain import Ball, Box
from slth.effective import Effective, weight_errors
from slth.errors import BadInput
from slth.network import Network
from slth.target import Target
from slth.ticket import Ticket, load
from slth.tracing import network, target
from slth.verify import verify
from slth.wiring import Wiring, chain


class Block(nn.Module):
    """ReLU of two convolutions with BatchNorm plus the input, as residual networks have it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.two = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.two(torch.relu(self.norm(self.one(x)))) + x)


class Functional(nn.Module):
    """What people write with functions in place of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.nn.functional.leaky_relu(self.conv(x), 0.2)
        y = torch.nn.functional.avg_pool2d(y, 2)
        return torch.tanh(self.fc(y.view(y.size(0), -1)))


def seeded(make: Any, seed: int = 0) -> nn.Module:
    """The module in float64 and evaluation mode, with BatchNorms that do something."""
    generator = torch.Generator().manual_seed(seed)
    module = make().double().eval()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                    tensor.uniform_(0.5, 1.5, generator=generator)
            elif isinstance(part, nn.Linear | nn.Conv2d):
                size = part.weight[0].numel() ** -0.5
                part.weight.uniform_(-size, size, generator=generator)
                if part.bias is not None:
                    part.bias.uniform_(-0.3, 0.3, generator=generator)
    return module


def residual() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.BatchNorm2d(2), nn.ReLU(), Block(2),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3), nn.Sigmoid(), nn.Linear(3, 2),
    )  # fmt: skip


def functional() -> nn.Module:
    return Functional()


def softened() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Softplus(), nn.Linear(4, 3, bias=False), nn.Tanh())


MODELS = {
    "residual": (residual, (1, 8, 8)),
    "functional": (functional, (2, 8, 8)),
    "softened": (softened, None),
}
CASES = pytest.mark.parametrize("name", list(MODELS))


def model(name: str) -> tuple[nn.Module, Network]:
    make, shape = MODELS[name]
    module = seeded(make)
    found = target(module, shape)
    assert isinstance(found, Network)
    return module, found


def region(f: Network) -> Box:
    return Box(np.full(f.inputs, -0.25), np.ones(f.inputs))


@CASES
def test_a_network_is_what_torch_computes(name: str) -> None:
    module, f = model(name)
    x = np.random.default_rng(0).uniform(-1, 1, (7, f.inputs))
    with torch.no_grad():
        wanted = module(torch.from_numpy(x).reshape(7, *f.wiring.shape)).flatten(1).numpy()
    assert np.abs(f(x) - wanted).max() < 1e-14
    assert Wiring.from_json(f.wiring.to_json()) == f.wiring
    assert f.fingerprint == model(name)[1].fingerprint


@CASES
def test_its_ticket_is_the_masked_source_certified_and_verified(name: str, tmp_path: Path) -> None:
    _, f = model(name)
    make = Pensia(epsilon=0.5, domain=region(f))
    ticket = make.build(f, make.source_for(f, seed=3, n=56))
    assert ticket.claim.met
    certificate = certify(f, ticket.effective, region(f), restarts=6, steps=20)
    assert 0 < certificate.lower <= certificate.upper <= ticket.claim.error_bound <= 0.5
    x = torch.from_numpy(region(f).project(np.random.default_rng(1).normal(0, 1, (9, f.inputs))))
    images = x.reshape(9, *f.wiring.shape)
    with torch.no_grad():
        for module in (ticket.module(), ticket.compact()):
            assert np.abs(module(images).flatten(1).numpy() - ticket(x)).max() < 1e-12
    assert np.linalg.norm(ticket(x) - f(x), axis=1).max() <= certificate.upper
    attack = {"seed": 0, "restarts": 6, "steps": 20}
    ticket.with_certificate({**certificate.to_json(), **attack}).save(tmp_path / "ticket.npz")
    held = load(tmp_path / "ticket.npz")
    assert verify(held, f).ok
    for change in ({"upper": certificate.lower / 2}, {"lower": certificate.upper}):
        false = held.with_certificate({**certificate.to_json(), **attack, **change})
        assert not verify(false, f).ok
    small = replace(held.claim, error_bound=held.claim.error_bound / 2)
    assert not verify(replace(held, claim=small), f).ok


@CASES
def test_every_gadget_is_within_its_tolerance_on_both_halves(name: str) -> None:
    _, f = model(name)
    make = Pensia(tolerance=0.02)
    ticket = make.build(f, make.source_for(f, seed=0, n=64))
    assert ticket.claim.unmet == 0
    for layer, errors in enumerate(weight_errors(ticket.effective, f)):
        assert errors.max() <= 0.02
        assert errors.max() == ticket.claim.achieved[layer]


def test_malachs_pair_serves_convolutions_too() -> None:
    _, f = model("functional")
    make = Malach(tolerance=0.4)
    ticket = make.build(f, make.source_for(f, seed=0, n=2000))
    assert ticket.claim.unmet == 0
    assert verify(ticket, f).ok


@pytest.mark.parametrize("seed", range(10))
def test_enclosures_hold_the_exact_supremum(seed: int) -> None:
    """Of plain stacks, whose supremum is found by enumeration; halved, they must not all hold."""
    rng = np.random.default_rng(seed)
    dims = (2, 3, 2)
    weights = tuple(rng.uniform(-1, 1, (b, a)) for a, b in pairwise(dims))
    plain = Target(weights, (rng.uniform(-1, 1, 3), None))
    wired = Network(chain(dims), plain.weights, plain.biases)
    shape = [(b, a) for a, b in pairwise(dims)]
    p, q = (
        tuple(w + rng.uniform(-0.1, 0.1, s) for w, s in zip(weights, shape, strict=True))
        for _ in range(2)
    )
    bias = (plain.biases[0] + rng.uniform(-0.1, 0.1, 3), np.zeros(2))
    slack = tuple(np.zeros((b, a + 1)) for b, a in shape)
    effective = Effective(p, q, bias, slack)
    held = Effective(p, q, bias, slack, chain(dims))
    for domain in (Box(np.full(2, -1.0), np.ones(2)), Ball(1.0, 2)):
        found = certify(wired, held, domain, restarts=64, steps=150)
        if isinstance(domain, Box):
            exact, _ = exact_sup(plain, effective, domain)
            assert 0.9 * exact <= found.lower <= exact <= found.upper
        assert found.lower <= certify(plain, effective, domain).upper
        errors = tuple(float(e.max()) for e in weight_errors(held, wired))
        rule = coordinates(wired, domain)
        assert found.upper <= rule.error_bound(errors)
        assert rule.error_bound(rule.tolerances(0.3)) <= 0.3


def test_an_enclosure_holds_every_value_of_target_and_ticket() -> None:
    for name in MODELS:
        _, f = model(name)
        make = Pensia(tolerance=0.1, domain=region(f))
        g = make.build(f, make.source_for(f, seed=1, n=48)).effective
        x = np.random.default_rng(2).uniform(-0.25, 1, (200, f.inputs))
        images = torch.from_numpy(x).reshape(200, *f.wiring.shape)
        found = enclose(f, g, region(f))
        with torch.no_grad():
            ours, theirs = f.values(images), g.values(images)
        for value, other, bounds in zip(ours, theirs, found, strict=True):
            assert bool((value >= bounds.low).all() & (value <= bounds.high).all())
            assert bool(((value - other).abs() <= bounds.error + 1e-13).all())
        assert upper_bound(found) > 0


def test_the_mask_of_one_tap_matters() -> None:
    """Plant a bug: a tap that loses its subset is found by the verifier."""
    _, f = model("functional")
    make = Pensia(tolerance=0.05)
    ticket = make.build(f, make.source_for(f, seed=0, n=48))
    halves = list(ticket.kept[0])
    counts, worst = halves[0].counts.copy(), int(np.argmax(halves[0].counts))
    first = int(halves[0].indptr[worst])
    counts[worst] -= 1
    indices = np.delete(halves[0].indices, first)
    halves[0] = type(halves[0]).of_counts(counts, indices)
    broken = Ticket(ticket.source, [tuple(halves), *list(ticket.kept)[1:]], ticket.claim)
    report = verify(broken, f)
    assert not report.ok


def test_stacks_of_linear_and_relu_stay_plain_targets() -> None:
    module = seeded(lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    plain, wired = target(module), network(module)
    assert isinstance(plain, Target)
    assert wired.wiring == plain.wiring
    x = np.random.default_rng(0).normal(size=(5, 3))
    assert np.abs(plain(x) - wired(x)).max() < 1e-14


def test_kept_shortcuts_need_no_layer() -> None:
    module = seeded(residual)
    a, b = network(module, (1, 8, 8)), network(module, (1, 8, 8), shortcuts="kept")
    assert a.depth == b.depth + 1
    x = np.random.default_rng(0).uniform(size=(3, 64))
    assert np.abs(a(x) - b(x)).max() < 1e-14


@pytest.mark.parametrize(
    ("make", "shape", "named"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 3), nn.GELU()), None, "GELU at 1"),
        (lambda: nn.Sequential(nn.Conv2d(2, 2, 3, groups=2)), (2, 5, 5), "groups 2"),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3)), None, "--shape"),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3)), (2, 9, 9), "shape (2, 9, 9)"),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3, padding=2)), (1, 9, 9), "half a kernel"),
        (lambda: nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3)), (1, 9, 9), "at 0"),
        (lambda: nn.Sequential(nn.MaxPool2d(2, padding=1), nn.Flatten()), (1, 9, 9), "padding"),
        (lambda: nn.Sequential(nn.ReLU()), (3,), "no layer with weights"),
    ],
)
def test_what_is_not_supported_names_itself(make: Any, shape: Any, named: str) -> None:
    with pytest.raises(BadInput) as caught:
        network(make().eval(), shape)
    assert named in str(caught.value)


def test_weights_that_do_not_fit_the_wiring_are_refused() -> None:
    wiring = chain((2, 3))
    with pytest.raises(BadInput):
        Network(wiring, (np.zeros((2, 3)),), (None,))
    with pytest.raises(BadInput):
        Network(wiring, (np.full((3, 2), np.nan),), (None,))
    with pytest.raises(BadInput):
        Network(wiring, (), ())
    make = Pensia(tolerance=0.1)
    _, f = model("functional")
    with pytest.raises(BadInput):
        make.build(f, replace(make.source_for(f, seed=0, n=8), wiring=None))

"""Tensors with a power of two beside them do what plain ones do, whatever a forward pass calls."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from slth.pruning import Context, _flow
from slth.pruning._layers import layers
from slth.pruning._scaled import Scaled, _Tally


class Pass(nn.Module):
    """Two linear layers with a piece of a forward pass between them."""

    def __init__(self, middle, wide: int = 6, out: int = 6) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, wide), nn.Linear(out, 3)
        self.scale = nn.Parameter(torch.linspace(0.5, 2.0, wide))
        self.middle = middle

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.middle(self, self.first(x)))


class Image(nn.Module):
    """Two convolutions and a linear layer with a piece of a forward pass in the middle."""

    def __init__(self, middle) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 3, 1)
        self.extra = nn.ModuleDict(
            {
                "norm": nn.BatchNorm2d(4),
                "deep": nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=2),
                "up": nn.ConvTranspose2d(4, 4, 2, stride=2),
            }
        )
        self.middle = middle

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.middle(self, self.first(x))).flatten(1)


def add_in_place(m, x):
    h = torch.relu(x) * m.scale
    h.add_(x)  # not bound to a name: the tensor itself must have changed
    return h


def add_assign(m, x):
    h = x * 3
    h += x
    h *= 2
    h /= 5
    return h


def set_part(m, x):
    h = x * 1
    h[:, 2:4] = x[:, :2] * 3
    return h


def pad_shortcut(m, x):
    h = x.new_zeros(x.shape[0], 6)
    h[:, :3] = x[:, 3:]
    return h + x


FLAT = {
    "relu": lambda m, x: torch.relu(x),
    "relu in place": lambda m, x: functional.relu(x, inplace=True),
    "leaky": lambda m, x: functional.leaky_relu(x, 0.2),
    "residual": lambda m, x: torch.relu(x) + x,
    "unequal sizes": lambda m, x: x * 1e30 + x * 1e-30 + x,
    "add in place": add_in_place,
    "add and assign": add_assign,
    "number": lambda m, x: 1.5 + x * 2 - 0.25,
    "reversed difference": lambda m, x: 100.0 - x,
    "parameter": lambda m, x: x * m.scale + m.scale,
    "quotient": lambda m, x: x / 3.0 / m.scale,
    "square": lambda m, x: x * x,
    "cat": lambda m, x: torch.cat([x[:, :2], 1e25 * x[:, 2:]], 1),
    "stack": lambda m, x: torch.stack([x, 2 * x]).sum(0),
    "chunk": lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "view": lambda m, x: x.view(-1, 2, 3).permute(0, 2, 1).reshape(-1, 6),
    "transposed": lambda m, x: x.T.T,
    "mean": lambda m, x: x - x.mean(1, keepdim=True) + x,
    "expand": lambda m, x: x.sum(1, keepdim=True).expand(-1, 6) + x,
    "maximum": lambda m, x: torch.maximum(x, x.flip(1) * 2),
    "matmul": lambda m, x: x @ torch.outer(m.scale, m.scale),
    "product": lambda m, x: (x.unsqueeze(2) @ x.unsqueeze(1)).mean(2),
    "size": lambda m, x: x * x.size(1) + x.shape[0] * len(x),
    "part set": set_part,
    "padded shortcut": pad_shortcut,
    "dropout": lambda m, x: functional.dropout(x, 0.5, m.training),
    "tanh": lambda m, x: torch.tanh(x),
    "softplus": lambda m, x: functional.softplus(x) * x,
    "layer norm": lambda m, x: functional.layer_norm(x, (6,)) + x,
    "clamped in place": lambda m, x: (x * 1).clamp_(max=1.5),
    "mask by value": lambda m, x: torch.where(x > 1, x, 2 * x),
}
MAPS = {
    "max pool": lambda m, x: functional.max_pool2d(x, 2),
    "average pool": lambda m, x: functional.avg_pool2d(x, 3, 2, 1),
    "adaptive": lambda m, x: functional.adaptive_avg_pool2d(x, (2, 1)),
    "norm": lambda m, x: m.extra["norm"](x),
    "deep": lambda m, x: m.extra["deep"](torch.relu(x)),
    "up": lambda m, x: m.extra["up"](x),
    "pad": lambda m, x: functional.pad(x, (1, 0, 2, 1)),
    "pad by one": lambda m, x: functional.pad(x, (1, 1), value=1.0),
    "bottleneck": lambda m, x: m.extra["up"](m.extra["norm"](m.extra["deep"](x))) + x,
    "spatial mean": lambda m, x: x.mean((2, 3), keepdim=True),
}
BOUNDED = {  # sums of terms of one sign: all others give the bound up
    "relu", "relu in place", "leaky", "residual", "unequal sizes", "add in place", "add and assign",
    "parameter", "quotient", "square", "cat", "stack", "chunk", "view", "transposed", "expand",
    "maximum", "matmul", "product", "size", "dropout", "max pool", "average pool", "adaptive",
    "norm", "deep", "up", "pad", "bottleneck", "spatial mean",
}  # fmt: skip


def drawn(model: nn.Module, seed: int) -> nn.Module:
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if tensor.is_floating_point() and name != "scale" and "running_mean" not in name:
                tensor.copy_(torch.rand(tensor.shape, generator=draw) + 0.1)
    return model.double().eval()


def plainly(model: nn.Module, x: Tensor) -> list[Tensor]:
    model = copy.deepcopy(model)
    weights = [layer.module.weight for layer in layers(model)]
    grads = torch.autograd.grad(model(x).sum(), weights, allow_unused=True, materialize_grads=True)
    return list(grads)


def scaled(model: nn.Module, shape: tuple[int, ...]) -> tuple[list[Tensor], float]:
    """Gradients by Scaled up to one power of two, and the bound."""
    names = [layer.parameter for layer in layers(model)]
    leaves = {name: model.get_parameter(name).detach().clone() for name in names}
    around = {
        n: t for n, t in [*model.named_parameters(), *model.named_buffers()] if n not in names
    }
    found = [torch.zeros_like(leaf) for leaf in leaves.values()]

    def take(i: int, gradient: Tensor) -> None:
        found[i] = gradient.reshape(found[i].shape).clone()

    return found, _flow.gradients(model, around, leaves, Context(shape), take).bound


@pytest.mark.parametrize("name", [*FLAT, *MAPS])
def test_every_operation_gives_the_plain_gradient(name):
    if name in FLAT:
        model, shape = drawn(Pass(FLAT[name]), 1), (4,)
    else:
        model, shape = drawn(Image(MAPS[name]), 2), (2, 6, 6)
    wanted = plainly(model, torch.ones(1, *shape, dtype=torch.float64))
    found, bound = scaled(model, shape)
    top = max(range(len(wanted)), key=lambda i: float(wanted[i].abs().max()))
    ratio = float(found[top].abs().max() / wanted[top].abs().max())
    assert ratio == pytest.approx(2.0 ** round(math.log2(ratio)), rel=1e-12)
    scale = 2.0 ** round(math.log2(ratio))
    for f, w in zip(found, wanted, strict=True):
        torch.testing.assert_close(
            f, w * scale, rtol=1e-11, atol=1e-13 * float(w.abs().max()) * scale
        )
    assert (bound < math.inf) == (name in BOUNDED)


def test_the_control_a_lost_exponent_is_seen(monkeypatch):
    """If sums were not aligned, the residual test above would fail."""
    from slth.pruning import _scaled

    def two_streams(m: Pass, x: Tensor) -> Tensor:
        return torch.cat([1e25 * x[:, 2:], (x * m.scale)[:, :2]], 1)

    model = drawn(Pass(two_streams), 1)
    wanted = plainly(model, torch.ones(1, 4, dtype=torch.float64))

    def unaligned(parts):
        values, exponent, tally = _scaled._operands(parts), 0, parts[0].tally
        return [p.value for p in values], exponent, tally

    spread = []
    for aligned in (_scaled._aligned, unaligned):
        monkeypatch.setattr(_scaled, "_aligned", aligned)
        found, _ = scaled(model, (4,))
        ratios = torch.cat([(f / w).reshape(-1) for f, w in zip(found, wanted, strict=True)])
        spread.append(float(ratios.max() / ratios.min()))
    assert spread[0] < 1 + 1e-9
    assert spread[1] > 1.01


class Grown(nn.Module):
    """A random graph: each step a layer of some earlier sum, or a sum of two."""

    def __init__(self, steps: list[tuple[int, int]], width: int) -> None:
        super().__init__()
        self.steps = steps
        self.linear = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in steps)

    def forward(self, x: Tensor) -> Tensor:
        known = [x]
        for linear, (a, b) in zip(self.linear, self.steps, strict=True):
            h = torch.relu(linear(known[a % len(known)]))
            known.append(h + known[b % len(known)] if b % 3 else h)
        return known[-1] + known[len(known) // 2]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(0, 10**6),
    st.lists(st.sampled_from([1e-20, 1e-5, 1.0, 1e6]), min_size=12, max_size=12),
)
def test_random_graphs_agree_with_plain_float64_within_the_bound(steps, width, seed, sizes):
    """float32 scores of random directed graphs, weights far from one included."""
    model = Grown(steps, width)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p, size in zip(model.parameters(), sizes, strict=False):
            p.copy_(torch.rand(p.shape, generator=draw) * size)
    names = [layer.parameter for layer in layers(model)]
    leaves = {name: model.get_parameter(name).detach().clone() for name in names}
    found = [torch.zeros_like(leaf) for leaf in leaves.values()]

    def take(i: int, gradient: Tensor) -> None:
        found[i] = gradient.reshape(found[i].shape) * leaves[names[i]].detach()

    rounding = _flow.gradients(model, {}, leaves, Context((width,)), take)
    model.double()
    grads = plainly(model, torch.ones(1, width, dtype=torch.float64))
    wanted = [g * p.detach() for g, p in zip(grads, model.parameters(), strict=True)]
    flat, exact = (torch.cat([t.reshape(-1).double() for t in part]) for part in (found, wanted))
    usable = flat > 2.0**-60
    if not usable.any() or not rounding.fits or not exact.isfinite().all():
        return
    ratio = float((flat[usable] / exact[usable]).median())
    off = flat[usable] / exact[usable] / 2.0 ** round(math.log2(ratio)) - 1
    assert float(off.abs().max()) <= rounding.bound
    assert rounding.bound < 1e-3


def test_a_stream_that_died_does_not_drown_a_living_one():
    """Zeros have no size: what they are joined with keeps its own."""

    class Streams(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dead, self.live = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            grown = x
            for _ in range(40):
                grown = grown * 1e10
            return torch.cat([self.dead(grown), self.live(x)], 1)

    model = Streams()
    with torch.no_grad():
        model.dead.weight.zero_()
    found, _ = scaled(model, (3,))
    assert float(found[1].min()) > 0


def test_values_are_kept_near_one():
    tally = _Tally()
    x = Scaled.of(torch.ones(4), 0, tally)
    for _ in range(100):
        x = x * 1e30
    assert 2.0**-21 < float(x.value.max()) < 2.0**21
    assert x.exponent > 9000
    assert isinstance(x, Tensor)
    assert x.shape == (4,)
    for _ in range(100):
        x = x * 1e-30
    assert abs(float(x.value[0]) * 2.0**x.exponent - 1) < 1e-4

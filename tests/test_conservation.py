"""Synaptic flow is conserved: over neurons, layers and cuts, for any R, to float64's own precision.

The networks are drawn by Hypothesis: their shapes, activations, pooling, strides, padding, groups,
shortcuts and R. The bound is the module's own, derived there; each network that breaks a hypothesis
must exceed it, and by far.
"""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from slth.conservation import Flow, cut, imbalance, layer_sums, neuron_sums, saliency
from slth.errors import BadInput
from slth.nets.architectures import build

seeds = st.integers(0, 2**31)
OBJECTIVES = ("sum", "linear", "squares", "cross entropy", "sine", "largest")


def objective(kind: str, seed: int):
    """A scalar of the outputs `[batch, ...]`; its constants depend on the seed alone."""

    def value(y: torch.Tensor) -> torch.Tensor:
        draw = torch.Generator().manual_seed(seed)
        wanted = torch.randn(y.shape, generator=draw, dtype=torch.float64)
        rows = y.flatten(1)
        labels = torch.randint(rows.shape[1], (len(rows),), generator=draw)
        return {
            "sum": lambda: y.sum(),
            "linear": lambda: (y * wanted).sum(),
            "squares": lambda: ((y - wanted) ** 2).sum(),
            "cross entropy": lambda: functional.cross_entropy(rows, labels),
            "sine": lambda: torch.sin(y).sum(),
            "largest": lambda: rows.amax(1).exp().sum(),
        }[kind]()

    return value


def drawn(model: nn.Module, seed: int) -> nn.Module:
    """The model in float64 with normal weights, and normal biases where it has them."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.double().parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.copy_(torch.randn(parameter.shape, generator=draw) / fan_in**0.5)
    return model


def inputs(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + 1)).double()


class Magnitude(nn.Module):
    """|z|, homogeneous though it is not monotone."""

    def forward(self, z):
        return z.abs()


activations = st.sampled_from(
    [nn.ReLU, lambda: nn.LeakyReLU(0.2), lambda: nn.LeakyReLU(-0.5), Magnitude]
)


@st.composite
def perceptrons(draw) -> tuple[nn.Module, tuple[int, ...]]:
    dims = draw(st.lists(st.integers(1, 12), min_size=3, max_size=6))
    parts: list[nn.Module] = []
    for before, after in pairwise(dims):
        parts += [nn.Linear(before, after, bias=False), draw(activations)()]
    return nn.Sequential(*parts[:-1]), (draw(st.integers(1, 5)), dims[0])


@st.composite
def convolutional(draw) -> tuple[nn.Module, tuple[int, ...]]:
    """Convolutions with stride, padding and groups; pooling; linear layers at the end."""
    groups = draw(st.integers(1, 2))
    channels = [groups * c for c in draw(st.lists(st.integers(1, 3), min_size=2, max_size=4))]
    side, shape = 9, (draw(st.integers(1, 3)), channels[0], 9, 9)
    parts: list[nn.Module] = []
    for before, after in pairwise(channels):
        kernel, stride = draw(st.sampled_from([1, 3])), draw(st.integers(1, 2))
        mode = draw(st.sampled_from(["zeros", "reflect", "circular"] if side > 1 else ["zeros"]))
        parts += [
            nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=draw(
                st.sampled_from([1, groups])), bias=False, padding_mode=mode),
            draw(activations)(),
        ]  # fmt: skip
        side = (side - 1) // stride + 1
        if side >= 4:
            pool = draw(st.sampled_from([nn.MaxPool2d(3, 2), nn.AvgPool2d(2), nn.Identity()]))
            parts += [] if isinstance(pool, nn.Identity) else [pool]
            side = {nn.MaxPool2d: (side - 3) // 2 + 1, nn.AvgPool2d: side // 2}.get(
                type(pool), side
            )
    parts += [nn.AdaptiveAvgPool2d(1)] if draw(st.booleans()) else []
    width = channels[-1] * (1 if isinstance(parts[-1], nn.AdaptiveAvgPool2d) else side**2)
    parts += [nn.Flatten(), nn.Linear(width, 4, bias=False), draw(activations)()]
    return nn.Sequential(*parts, nn.Linear(4, 3, bias=False)), shape


class Graph(nn.Module):
    """Layers added up along a directed acyclic graph: edges (a, b, has a weight) with a < b.

    Node 0 is the input, the last the output, without an activation. Without a weight an edge is a
    shortcut. With `side`, the edges are 3 × 3 convolutions and pool between two middle nodes.
    """

    def __init__(self, size: int, edges, width: int, conv: bool) -> None:
        super().__init__()
        self.size, self.edges = size, edges
        make = (
            (lambda: nn.Conv2d(width, width, 3, padding=1, bias=False))
            if conv
            else (lambda: nn.Linear(width, width, bias=False))
        )
        self.by = nn.ModuleDict(
            {f"{a}-{b}": make() if weight else nn.Identity() for a, b, weight in edges}
        )

    def forward(self, x):
        values = [x]
        for b in range(1, self.size):
            z = sum(self.by[f"{a}-{b}"](values[a]) for a, end, _ in self.edges if end == b)
            values.append(z if b == self.size - 1 else functional.relu(z))
        return values[-1]


@st.composite
def graphs(draw) -> tuple[Graph, tuple[int, ...]]:
    size, conv, width = draw(st.integers(3, 6)), draw(st.booleans()), draw(st.integers(1, 4))
    edges = []
    for a in range(size):
        for b in range(a + 1, size):
            kind = draw(st.sampled_from(["weight", "shortcut", "none"]))
            if kind != "none" or b == a + 1:  # nothing is left unconnected
                edges.append((a, b, kind != "shortcut"))
    if not any(weight for *_, weight in edges):
        edges[0] = (*edges[0][:2], True)
    shape = (draw(st.integers(1, 4)), width, 5, 5) if conv else (draw(st.integers(1, 4)), width)
    return Graph(size, edges, width, conv), shape


@settings(max_examples=400)
@given(st.one_of(perceptrons(), convolutional()), st.sampled_from(OBJECTIVES), seeds)
def test_chains_conserve_over_neurons_and_layers(case, kind, seed):
    model, shape = case
    found = saliency(drawn(model, seed), objective(kind, seed), inputs(shape, seed))
    assert imbalance(found) <= found.rounding
    for total in (*layer_sums(found).values(), found.outputs):
        assert abs(total - found.inputs) <= found.rounding
    # the bound means something: it is a rounding error beside the scores, unless they cancel
    size = max(float(s.abs().sum()) for s in found.weights.values())
    assert found.rounding < 1e-8 * max(size, 1.0)


@settings(max_examples=300)
@given(graphs(), st.sampled_from(OBJECTIVES), seeds)
def test_residual_sums_conserve_over_every_exact_cut(case, kind, seed):
    """Sets that hold every node's sources: the edges that leave them are crossed once a path."""
    model, shape = case
    found = saliency(drawn(model, seed), objective(kind, seed), inputs(shape, seed))
    for hidden in product((False, True), repeat=model.size - 2):
        inside = {0, *(k + 1 for k, taken in enumerate(hidden) if taken)}
        if any(b in inside and a not in inside for a, b, _ in model.edges):
            continue
        leaving = [f"by.{a}-{b}" for a, b, _ in model.edges if a in inside and b not in inside]
        assert abs(cut(found, leaving) - found.inputs) <= found.rounding


@settings(max_examples=300)
@given(graphs())
def test_exact_cuts_are_what_leaves_a_set_that_holds_its_sources(case):
    """Derived in the proofs; here against a count of crossings along every path."""
    model, _ = case
    ends = [(a, b) for a, b, _ in model.edges]
    last = model.size - 1

    def paths(node: int):
        if node == last:
            yield ()
        for a, b in ends:
            if a == node:
                yield from (((a, b), *rest) for rest in paths(b))

    def closed(inside: set[int]) -> bool:
        return all(a in inside for a, b in ends if b in inside)

    leaving = set()
    for hidden in product((False, True), repeat=last - 1):
        inside = {0, *(k + 1 for k, taken in enumerate(hidden) if taken)}
        if closed(inside):
            leaving.add(frozenset((a, b) for a, b in ends if a in inside and b not in inside))
    for crossed in leaving:
        assert all(sum(edge in crossed for edge in path) == 1 for path in paths(0))
    if len(ends) <= 8:
        every = (
            frozenset(e for e, taken in zip(ends, choice, strict=True) if taken)
            for choice in product((False, True), repeat=len(ends))
        )
        exact = {
            edges
            for edges in every
            if all(sum(edge in edges for edge in path) == 1 for path in paths(0))
        }
        assert exact == leaving


class Block(nn.Module):
    """Two layers beside an identity."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 9, bias=False)
        self.second = nn.Linear(9, 6, bias=False)
        self.shortcut = nn.Identity()

    def forward(self, x):
        return functional.relu(self.second(functional.relu(self.first(x))) + self.shortcut(x))


def test_a_shortcut_carries_what_its_block_lacks():
    model = drawn(
        nn.Sequential(nn.Linear(4, 6, bias=False), Block(), nn.Linear(6, 3, bias=False)), 3
    )
    found = saliency(model, objective("sine", 3), inputs((5, 4), 3))
    sums, carried = layer_sums(found), found.shortcuts["1.shortcut"]
    assert abs(carried) > 1e6 * found.rounding
    assert abs(sums["1.first"] - sums["1.second"]) <= found.rounding
    assert abs(sums["1.first"] + carried - sums["0"]) <= found.rounding
    assert abs(sums["0"] - sums["2"]) <= found.rounding
    # no set of weights cuts the block exactly: the shortcut's path has none in it
    assert abs(cut(found, ["1.first", "1.shortcut"]) - found.inputs) <= found.rounding


REAL = {
    "mlp:30,20,5,10": (6, 30),
    "lenet5": (2, 1, 28, 28),
    "vgg11": (2, 3, 32, 32),
    "resnet20": (2, 3, 32, 32),
}


@pytest.mark.parametrize("name", REAL)
def test_untrained_architectures_conserve(name):
    """Their biases are 0 and their BatchNorm is the identity: they are of degree one."""
    model = build(name, seed=1).double()
    value, x = objective("cross entropy", 1), inputs(REAL[name], 1)
    found = saliency(model, value, x)
    if not found.shortcuts:
        assert imbalance(found) <= found.rounding
        assert len(layer_sums(found)) > 2
    for edges in exact_cuts(found):
        assert abs(cut(found, edges) - found.inputs) <= found.rounding
    assert found.rounding < 1e-6 * max(float(s.abs().sum()) for s in found.weights.values())


def exact_cuts(found: Flow) -> list[list[str]]:
    """Each layer outside blocks; of a block, each layer of the branch beside the shortcut."""
    cuts = []
    for name in found.weights:
        block = name.split(".")[0]
        if ".branch." not in name:
            cuts += [] if ".shortcut" in name else [[name]]
            continue
        beside = [f"{block}.shortcut", f"{block}.shortcut.0"]
        cuts.append([name, *(e for e in beside if e in found.shortcuts or e in found.weights)])
    return cuts


def lone(*parts: nn.Module) -> nn.Module:
    """Two linear layers with something between them."""
    return nn.Sequential(nn.Linear(8, 8, bias=False), *parts, nn.Linear(8, 4, bias=False))


class Power(nn.Module):
    def __init__(self, degree: int) -> None:
        super().__init__()
        self.degree = degree

    def forward(self, z):
        return functional.relu(z) ** self.degree


BROKEN = {
    "tanh": lambda: lone(nn.Tanh()),
    "sigmoid": lambda: lone(nn.Sigmoid()),
    "gelu": lambda: lone(nn.GELU()),
    "batch norm, training": lambda: lone(nn.BatchNorm1d(8, affine=False), nn.ReLU()),
    "a bias": lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4, bias=False)),
    "squared ReLU": lambda: lone(Power(2)),
    "constant padding": lambda: lone(
        nn.ConstantPad1d((1, 0), 1.0), nn.Linear(9, 8, bias=False), nn.ReLU()
    ),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", BROKEN)
def test_without_its_hypotheses_it_fails(name, seed):
    found = saliency(drawn(BROKEN[name](), seed), objective("sine", seed), inputs((6, 8), seed))
    sums = list(layer_sums(found).values())
    size = max(float(s.abs().sum()) for s in found.weights.values())
    assert max(sums) - min([*sums, found.inputs]) > 1e-3 * size > 1e6 * found.rounding


@pytest.mark.parametrize("seed", range(3))
def test_a_bias_counts_as_incoming_at_its_neuron_and_breaks_the_layers(seed):
    model = drawn(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)), seed)
    found = saliency(model, objective("squares", seed), inputs((6, 8), seed))
    assert imbalance(found) <= found.rounding
    sums = layer_sums(found)
    own = float(found.biases["0"].sum())
    assert abs(own) > 1e6 * found.rounding
    assert abs(sums["0"] + own - sums["2"]) <= found.rounding
    assert abs(sums["2"] + float(found.biases["2"].sum()) - found.outputs) <= found.rounding


@pytest.mark.parametrize("degree", [2, 3])
def test_degree_k_multiplies_what_comes_in_by_k(degree):
    """Derived here, by Euler: φ' z = k φ, so S_in = k S_out."""

    found = saliency(drawn(lone(Power(degree)), 1), objective("linear", 1), inputs((6, 8), 1))
    into, out = neuron_sums(found.weights)["0"]
    assert torch.allclose(into, degree * out, rtol=1e-12, atol=1e-13)
    assert float((into - out).abs().max()) > 1e-3


def test_normalised_by_its_batch_a_layer_scores_nothing():
    """Derived here: batch normalisation is of degree 0 in what it normalises, so S_in = 0."""
    norm = nn.BatchNorm1d(8, eps=1e-14, affine=False)
    model = drawn(lone(norm, nn.ReLU()), 2)
    found = saliency(model, objective("sine", 2), inputs((6, 8), 2))
    into, _ = neuron_sums(found.weights)["0"]
    assert float(into.abs().max()) < 1e-12 < float(found.weights["0"].abs().max())
    trained = saliency(model.eval(), objective("sine", 2), inputs((6, 8), 2))
    with torch.no_grad():
        norm.running_mean.zero_()
    still = saliency(model, objective("sine", 2), inputs((6, 8), 2))
    assert imbalance(trained) > 1e6 * trained.rounding  # a running mean acts as a bias
    assert imbalance(still) <= still.rounding


@pytest.mark.parametrize("seed", range(3))
def test_the_hessian_scores_of_grasp_are_off_by_the_gradients_norms(seed):
    """Derived here: Σ_in θ H g − Σ_out θ H g = |g_out|² − |g_in|² at every hidden neuron.

    Scaling a neuron's weights in by α and out by 1/α keeps the function, so g_in and g_out scale by
    1/α and α, and the derivative of |g|²/2 by ln α is both sides.
    """
    model = drawn(lone(nn.ReLU()), seed)
    x, value = inputs((6, 8), seed), objective("squares", seed)
    first, last = model[0].weight, model[-1].weight
    slopes = torch.autograd.grad(value(model(x)), [first, last], create_graph=True)
    half = sum((g**2).sum() for g in slopes) / 2
    curved = torch.autograd.grad(half, [first, last])
    with torch.no_grad():
        off = (curved[0] * first).sum(1) - (curved[1] * last).sum(0)
        norms = (slopes[1] ** 2).sum(0) - (slopes[0] ** 2).sum(1)
        scale = float(half)
        assert float((off - norms).abs().max()) < 1e-12 * scale
        assert float(off.abs().max()) > 1e-4 * scale


def test_rounding_is_of_the_models_own_precision():
    model = drawn(lone(nn.ReLU()), 0)
    fine = saliency(model, objective("sum", 0), inputs((6, 8), 0))
    coarse = saliency(model.float(), lambda y: y.sum(), inputs((6, 8), 0).float())
    assert coarse.rounding == pytest.approx(fine.rounding * 2**29, rel=1e-3)
    assert imbalance(coarse) <= coarse.rounding


def test_the_model_is_left_as_it_was():
    model = drawn(lone(nn.ReLU()), 0)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    saliency(model, objective("sum", 0), inputs((6, 8), 0))
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks for m in model.modules())


def bad_cases():
    model, x = drawn(lone(nn.ReLU()), 0), inputs((6, 8), 0)
    twice = nn.Linear(8, 8, bias=False).double()
    total = objective("sum", 0)
    odd = nn.Sequential(nn.Linear(8, 6, bias=False), nn.Unflatten(1, (3, 2)), nn.Linear(2, 4))
    return {
        "objective": lambda: saliency(model, lambda y: y, x),
        "model": lambda: saliency(nn.ReLU(), total, x),
        "edges": lambda: cut(saliency(model, total, x), ["nothing"]),
        "scores": lambda: imbalance(saliency(odd.double(), total, x)),
        "found": lambda: imbalance(saliency(nn.Sequential(twice, twice), total, x)),
        "found, a shortcut": lambda: imbalance(
            saliency(nn.Sequential(model, nn.Identity()), total, x)
        ),
    }


@pytest.mark.parametrize("name", bad_cases())
def test_bad_input_is_refused(name):
    with pytest.raises(BadInput) as refused:
        bad_cases()[name]()
    assert refused.value.name == name.split(",")[0]

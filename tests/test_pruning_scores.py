"""Every saliency against its definition, written without it: products, differences, counts."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from slth.errors import BadInput
from slth.pruning import Context, _flow, load
from slth.pruning._layers import all_kept, layers

DIMS = [((5, 4, 3), 1), ((7, 2, 6, 3), 2), ((3, 8, 8, 8, 2), 3)]


def mlp(dims: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    rng, parts = np.random.default_rng(seed), []
    for i, (a, b) in enumerate(pairwise(dims)):
        linear = nn.Linear(a, b, bias=False, dtype=dtype)
        linear.weight.data = torch.from_numpy(rng.normal(size=(b, a))).to(dtype)
        parts += [nn.ReLU(), linear] if i else [linear]
    return nn.Sequential(*parts)


def weights(model: nn.Module) -> list[np.ndarray]:
    return [layer.module.weight.detach().double().numpy() for layer in layers(model)]


def random_masks(model: nn.Module, seed: int, keep: float = 0.7) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return {
        name: torch.from_numpy(rng.random(tuple(mask.shape)) < keep)
        for name, mask in all_kept(layers(model)).items()
    }


def flow_by_products(matrices: list[np.ndarray]) -> list[np.ndarray]:
    """1ᵀ W_L … W_1 1 split into what passes through each entry."""
    down, up = [np.ones(matrices[0].shape[1])], [np.ones(len(matrices[-1]))]
    for w in matrices[:-1]:
        down.append(w @ down[-1])
    for w in matrices[:0:-1]:
        up.insert(0, w.T @ up[0])
    return [u[:, None] * w * d for u, w, d in zip(up, matrices, down, strict=True)]


def same_up_to_a_power_of_two(found: list[np.ndarray], wanted: list[np.ndarray], off: float) -> int:
    """Asserts it and gives the power."""
    top = max(float(w.max()) for w in wanted)
    at = next(i for i, w in enumerate(wanted) if float(w.max()) == top)
    power = round(np.log2(float(found[at].max()) / top))
    for f, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(f, w * 2.0**power, rtol=off, atol=0)
    return power


@pytest.mark.parametrize(("dims", "seed"), DIMS)
@pytest.mark.parametrize(("name", "power"), [("synflow", 1), ("synflow-l2", 2), ("paths", 0)])
def test_flow_is_the_matrix_product(dims, seed, name, power):
    model = mlp(dims, seed)
    masks = random_masks(model, seed)
    matrices = [
        (np.abs(w) ** power if power else np.ones_like(w)) * masks[n].numpy()
        for w, n in zip(weights(model), masks, strict=True)
    ]
    found = load(name)().scores(model, masks, Context((dims[0],)))
    assert list(found) == list(masks)
    wanted = flow_by_products(matrices)
    same_up_to_a_power_of_two([s.numpy() for s in found.values()], wanted, 1e-12)


def test_paths_are_counted_exactly():
    model = mlp((4, 5, 6, 3), 5)
    masks = random_masks(model, 8, 0.5)
    ones = [m.numpy().astype(int) for m in masks.values()]
    # every choice of one neuron a layer is a path; it lives if all its weights do
    counts = [np.zeros_like(m) for m in ones]
    for path in np.ndindex(4, 5, 6, 3):
        if all(m[path[i + 1], path[i]] for i, m in enumerate(ones)):
            for i, c in enumerate(counts):
                c[path[i + 1], path[i]] += 1
    found = load("paths")().scores(model, masks, Context((4,)))
    for score, count in zip(found.values(), counts, strict=True):
        assert (score.numpy() == count).all()


def test_convolutional_flow_is_plain_autograd():
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 6, 3, stride=2, groups=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 3),
    ).double()  # fmt: skip
    masks = random_masks(model, 2)
    with torch.no_grad():
        model[1].weight.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
        model[1].running_var.fill_(3.0)
    found = load("synflow")().scores(model, masks, Context((2, 7, 7)))
    model.eval()
    parts = []
    for parameter in model.parameters():
        parameter.data.abs_()
    for layer in layers(model):
        layer.module.weight.data *= masks[layer.name]
        parts.append(layer.module.weight)
    total = model(torch.ones(1, 2, 7, 7, dtype=torch.float64)).sum()
    wanted = [
        (g * w).detach() for g, w in zip(torch.autograd.grad(total, parts), parts, strict=True)
    ]
    same_up_to_a_power_of_two(
        [s.numpy() for s in found.values()], [w.numpy() for w in wanted], 1e-12
    )


def test_without_biases_all_layers_carry_the_same_flow():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    masks = all_kept(layers(model.double()))
    sums = {
        biases: [
            float(s.sum())
            for s in load("synflow")(biases=biases).scores(model, masks, Context((4,))).values()
        ]
        for biases in (True, False)
    }
    assert max(sums[False]) / min(sums[False]) < 1 + 1e-12
    assert max(sums[True]) / min(sums[True]) > 1.001  # the control: a bias adds flow on the way


def batch(model: nn.Module, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    wide, classes = layers(model)[0].module.in_features, layers(model)[-1].module.out_features
    return torch.from_numpy(rng.normal(size=(9, wide))), torch.arange(9) % classes


def loss_by_hand(matrices: list[np.ndarray], x: np.ndarray, labels: np.ndarray, t: float) -> float:
    for w in matrices[:-1]:
        x = np.maximum(x @ w.T, 0)
    z = x @ matrices[-1].T / t
    z = z - z.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), labels]))


def gradient_by_hand(matrices, x, labels, t):
    """Backpropagation of the cross entropy, written out."""
    inputs = [x]
    for w in matrices[:-1]:
        inputs.append(np.maximum(inputs[-1] @ w.T, 0))
    z = inputs[-1] @ matrices[-1].T / t
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(p)), labels] -= 1
    error, found = p / (t * len(p)), []
    for i in range(len(matrices) - 1, -1, -1):
        found.insert(0, error.T @ inputs[i])
        error = (error @ matrices[i]) * (inputs[i] > 0)
    return found


@pytest.mark.parametrize(("dims", "seed"), DIMS)
def test_snip_is_the_slope_of_the_loss_in_the_mask(dims, seed):
    model = mlp(dims, seed)
    x, labels = batch(model, seed)
    masks = random_masks(model, seed)
    found = load("snip")().scores(model, masks, Context((dims[0],), (x, labels)))
    matrices = [w * m.numpy() for w, m in zip(weights(model), masks.values(), strict=True)]
    h = 1e-6
    for i, score in enumerate(found.values()):
        for at in np.ndindex(*score.shape):
            loss = []
            for c in (1 + h, 1 - h):
                moved = [w.copy() for w in matrices]
                moved[i][at] *= c
                loss.append(loss_by_hand(moved, x.numpy(), labels.numpy(), 1.0))
            assert float(score[at]) == pytest.approx(abs(loss[0] - loss[1]) / (2 * h), abs=1e-8)


@pytest.mark.parametrize(("dims", "seed"), DIMS)
@pytest.mark.parametrize("temperature", [1.0, 200.0])
def test_grasp_is_the_weight_times_a_hessian_product(dims, seed, temperature):
    model = mlp(dims, seed)
    x, labels = batch(model, seed)
    masks = random_masks(model, seed)
    grasp = load("grasp")(temperature=temperature)
    found = grasp.scores(model, masks, Context((dims[0],), (x, labels)))
    matrices = [w * m.numpy() for w, m in zip(weights(model), masks.values(), strict=True)]
    data = (x.numpy(), labels.numpy(), temperature)
    g = gradient_by_hand(matrices, *data)
    h = 1e-6 / max(float(np.abs(part).max()) for part in g)
    ahead = gradient_by_hand([w + h * d for w, d in zip(matrices, g, strict=True)], *data)
    behind = gradient_by_hand([w - h * d for w, d in zip(matrices, g, strict=True)], *data)
    product = [(a - b) / (2 * h) for a, b in zip(ahead, behind, strict=True)]
    size = max(float(np.abs(p).max()) for p in product)
    assert size > 0
    for score, w, p in zip(found.values(), matrices, product, strict=True):
        np.testing.assert_allclose(score.numpy(), w * p, atol=1e-6 * size)


def test_grasp_keeps_what_the_gradient_flow_needs():
    """The sign: without the best-scored weights gᵀg falls, without the worst it rises."""
    model = mlp((6, 8, 3), 11)
    x, labels = batch(model, 4)
    context = Context((6,), (x, labels))
    matrices, data = weights(model), (x.numpy(), labels.numpy(), 200.0)
    found = load("grasp")().scores(model, all_kept(layers(model)), context)
    before = sum(float((g**2).sum()) for g in gradient_by_hand(matrices, *data))
    off = 1e-3  # how much of a weight goes: the score is a first-order statement
    for i, score in enumerate(found.values()):
        for at, sign in ((score.argmax(), -1), (score.argmin(), 1)):
            moved = [w.copy() for w in matrices]
            moved[i].reshape(-1)[int(at)] *= 1 - off
            after = sum(float((g**2).sum()) for g in gradient_by_hand(moved, *data))
            assert np.sign(after - before) == sign


def test_magnitude_and_random():
    model = mlp((5, 4, 3), 1)
    masks = all_kept(layers(model))
    found = load("magnitude")().scores(model, masks, Context((5,)))
    assert all(
        (s.numpy() == np.abs(w)).all() for s, w in zip(found.values(), weights(model), strict=True)
    )
    first, again, other = (
        torch.cat(
            [
                s.reshape(-1)
                for s in load("random")().scores(model, masks, Context((5,), None, k)).values()
            ]
        )
        for k in (3, 3, 4)
    )
    assert (first == again).all()
    assert (first != other).all()
    assert len(first.unique()) == 32


# -- rounding and overflow -------------------------------------------------------------------------


def exact_flow(matrices: list[list[list[int]]], skip: int) -> list[np.ndarray]:
    """Flow through x ↦ skip·x + W x layers of whole numbers, in Python's integers."""
    arrays = [np.array(m, dtype=object) for m in matrices]
    down, up = [np.ones(arrays[0].shape[1], dtype=object)], [np.ones(len(arrays[-1]), dtype=object)]
    for w in arrays[:-1]:
        down.append(w @ down[-1] + skip * down[-1])
    for w in arrays[:0:-1]:
        up.insert(0, w.T @ up[0] + skip * up[0])
    return [u[:, None] * w * d for u, w, d in zip(up, arrays, down, strict=True)]


class Residual(nn.Module):
    """depth layers of one width, each beside a shortcut that passes its input on."""

    def __init__(self, matrices: np.ndarray, skip: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.skip = skip
        self.layers = nn.ModuleList()
        for w in matrices:
            linear = nn.Linear(*w.shape[::-1], bias=False, dtype=dtype)
            linear.weight.data = torch.from_numpy(w).to(dtype)
            self.layers.append(linear)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.relu(layer(x)) + x if self.skip else torch.relu(layer(x))
        return x


@pytest.mark.parametrize("skip", [False, True], ids=["chain", "residual"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("depth", "width"), [(12, 6), (500, 4)])
def test_deep_flow_is_exact_to_its_bound(skip, dtype, depth, width):
    """Against whole-number arithmetic, at flows of up to 10^2000."""
    rng = np.random.default_rng(depth)
    whole = rng.integers(1, 1 << 14, size=(depth, width, width))
    model = Residual(whole / 1024.0, skip, dtype)
    wanted = exact_flow(whole.tolist(), 1024 if skip else 0)
    masks = all_kept(layers(model))
    found = load("synflow")().scores(model, masks, Context((width,)))
    kept: list[torch.Tensor] = []
    held = {
        f"{n}.weight": m.weight.detach().clone() for n, m in model.named_modules() if n in masks
    }
    bound = _flow.gradients(model, {}, held, Context((width,)), lambda i, g: kept.append(g)).bound
    assert len(kept) == depth
    assert 0 < bound < 0.02 * (1 if dtype == torch.float32 else 1e-8)
    factor = None
    for score, exact in zip(found.values(), wanted, strict=True):
        for at in np.ndindex(*exact.shape):
            ratio = Fraction(float(score[at])) / int(exact[at])
            if factor is None:  # the common power of two
                power = ratio.numerator.bit_length() - ratio.denominator.bit_length()
                factor = min(
                    (Fraction(2) ** k for k in (power - 1, power, power + 1)),
                    key=lambda f: abs(ratio / f - 1),
                )
            assert abs(ratio / factor - 1) <= Fraction(bound)


def test_the_bound_counts_every_rounding_on_a_way():
    """Sums before a layer, products in it, and in the derivative those after it: for the worst."""
    dims = (5, 7, 3, 4)
    model = mlp(dims, 0, torch.float32)
    held = {layer.parameter: layer.module.weight.detach().clone() for layer in layers(model)}
    found = _flow.gradients(model, {}, held, Context((5,)), lambda i, g: None)
    ways = [sum(n + 2 for n in dims[:i]) + 1 + sum(n + 2 for n in dims[i + 2 :]) for i in range(3)]
    roundings = max(ways) + dims[-1] + 3 + 4  # the output's sum, one a layer, and four to spare
    u = roundings * 2.0**-24
    assert found.bound == u / (1 - u)


def test_activations_too_far_apart_for_float32_are_scored_in_float64():
    """A path through 2^-70 and 2^-68, and then large weights: activations would keep eleven bits,
    in scores that are finite and of a size that float32 holds well."""
    steps = [2.0**-70, 2.0**-68] + [2.0**20] * 6 + [2.0**6]
    matrices = [np.array([[1.0, 1.0], [steps[0], 1.0002 * steps[0]]])]
    matrices += [np.diag([1.0, step]) for step in steps[1:]]
    model = mlp((2,) * 10, 0, torch.float32)
    for layer, w in zip(layers(model), matrices, strict=True):
        layer.module.weight.data = torch.from_numpy(w).float()
    found = load("synflow")().scores(model, all_kept(layers(model)), Context((2,)))
    wanted = flow_by_products([w.astype(np.float32).astype(float) for w in matrices])
    same_up_to_a_power_of_two([s.numpy() for s in found.values()], wanted, 1e-6)


def test_plain_float32_would_overflow_there():
    """The control of the test above: what the published loop gives at that depth."""
    rng = np.random.default_rng(500)
    model = Residual(rng.integers(1, 1 << 14, size=(500, 4, 4)) / 1024.0, True, torch.float64)
    ws = [m.weight for m in model.layers]
    grads = torch.autograd.grad(model(torch.ones(1, 4, dtype=torch.float64)).sum(), ws)
    assert not all(g.isfinite().all() for g in grads)


def test_depth_500_wide_ranks_all_layers_alike():
    """A chain of width 100: every layer's sum is the same flow."""
    rng = np.random.default_rng(0)
    model = Residual(rng.normal(size=(500, 100, 100)), False, torch.float32)
    found = load("synflow")().scores(model, all_kept(layers(model)), Context((100,)))
    sums = np.array([float(s.double().sum()) for s in found.values()])
    assert np.isfinite(sums).all()
    assert sums.max() / sums.min() < 1 + 1e-3


def test_flow_in_half_precision_is_scored_in_float32():
    model = mlp((5, 4, 3), 1, torch.bfloat16)
    found = load("synflow")().scores(model, all_kept(layers(model)), Context((5,)))
    assert {s.dtype for s in found.values()} == {torch.float32}
    same_up_to_a_power_of_two(
        [s.numpy() for s in found.values()],
        flow_by_products([np.abs(w) for w in weights(model)]),
        1e-5,
    )
    assert model[0].weight.dtype == torch.bfloat16


def test_scores_that_no_float_holds_are_refused():
    class Divides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(self.layer(x) * 0)

    model = Divides()
    with pytest.raises(BadInput, match="not finite"):
        load("synflow")().scores(model, all_kept(layers(model)), Context((3,)))

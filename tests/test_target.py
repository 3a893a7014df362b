"""A torch model is read as the function that torch computes, or refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import slth
from slth.errors import BadInput
from slth.target import Target, from_module


def linear(a: int, b: int, seed: int, bias: bool = True) -> nn.Linear:
    layer, rng = nn.Linear(a, b, bias=bias, dtype=torch.float64), np.random.default_rng(seed)
    for parameter in layer.parameters():
        parameter.data = torch.from_numpy(rng.normal(size=tuple(parameter.shape)))
    return layer


RELU, TWICE = nn.ReLU(), linear(4, 4, 3)
MODELS = {
    "plain": nn.Sequential(linear(4, 5, 0), nn.ReLU(), linear(5, 2, 1, bias=False)),
    "nested": nn.Sequential(
        nn.Flatten(), nn.Sequential(linear(4, 5, 0), nn.ReLU()), nn.Identity(), linear(5, 2, 1)
    ),
    "one linear thrice": nn.Sequential(TWICE, nn.ReLU(), TWICE, nn.ReLU(), TWICE),
    "one relu twice": nn.Sequential(linear(4, 4, 0), RELU, linear(4, 4, 1), RELU, linear(4, 2, 2)),
    "one layer": nn.Sequential(linear(4, 3, 0)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_target_computes_what_the_model_computes(name: str) -> None:
    model = MODELS[name]
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 4)))
    target = from_module(model)
    expected = model(x).detach().numpy()
    assert np.abs(target(x.numpy()) - expected).max() < 1e-12
    assert np.abs(target.module()(x).detach().numpy() - expected).max() < 1e-12
    assert slth.from_module(target.module()).fingerprint == target.fingerprint


def test_float32_weights_are_read_exactly() -> None:
    layer = nn.Linear(3, 2)
    target = from_module(nn.Sequential(layer))
    assert (target.weights[0].astype(np.float32) == layer.weight.detach().numpy()).all()


def test_layers_that_compute_with_other_weights_are_refused() -> None:
    pruned = linear(4, 3, 0)
    prune.l1_unstructured(pruned, "weight", amount=0.5)
    normed = parametrizations.weight_norm(linear(4, 3, 1))
    hooked = linear(4, 3, 2)
    hooked.register_forward_hook(lambda module, given, out: 2 * out)
    for layer in (pruned, normed, hooked):
        with pytest.raises(BadInput, match="remedy: "):
            from_module(nn.Sequential(layer))


def test_the_callers_arrays_stay_theirs() -> None:
    weight = np.ones((2, 2))
    target = Target((weight,), (None,))
    weight[0, 0] = 7.0
    assert target.weights[0][0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        target.weights[0][0, 0] = 7.0


def test_a_fingerprint_tells_every_change() -> None:
    base = Target((np.ones((2, 3)),), (np.zeros(2),))
    bumped = np.ones((2, 3))
    bumped[1, 2] = np.nextafter(1.0, 2)
    others = [
        Target((bumped,), (np.zeros(2),)),
        Target((np.ones((2, 3)),), (None,)),
        Target((np.ones((2, 3)),), (np.array([0.0, 1e-300]),)),
        Target((np.ones((3, 2)),), (np.zeros(3),)),
    ]
    assert len({t.fingerprint for t in (base, *others)}) == 5

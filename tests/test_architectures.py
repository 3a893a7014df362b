"""Untrained architectures: counts, shapes, laws of the weights, seeds, refusals."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from slth.errors import BadInput
from slth.nets import architectures, residual
from slth.nets.architectures import CIFAR, TINY_IMAGENET, build


def weights(network: nn.Module, shortcuts: bool = True) -> list[tuple[str, nn.Module]]:
    """Every linear and convolutional layer by name, with or without projections of shortcuts."""
    return [
        (name, m)
        for name, m in network.named_modules()
        if isinstance(m, nn.Linear | nn.Conv2d) and (shortcuts or "shortcut" not in name)
    ]


def prunable(network: nn.Module) -> int:
    return sum(m.weight.numel() for _, m in weights(network, shortcuts=False))


# Parameters of all kinds as the literature and its reference implementations count them, for 10
# classes: LeCun et al. (1998) with a fully connected third stage; He et al. (2016), option B, whose
# 0.27 million are for option A; the others as widely reproduced for CIFAR-10.
PUBLISHED = {
    "lenet5": 61_706,
    "resnet18": 11_173_962,
    "resnet20": 272_474,
    "resnet50": 23_520_842,
    "vgg11": 9_231_114,
    "vgg16": 14_728_266,
    "vgg19": 20_040_522,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_published(name: str) -> None:
    network = build(name, shape=(1, 32, 32) if name == "lenet5" else None)
    biases = 0
    if name.startswith("vgg"):  # published with a bias before each BatchNorm, which takes it out
        biases = sum(m.out_channels for _, m in weights(network) if isinstance(m, nn.Conv2d))
    assert sum(p.numel() for p in network.parameters()) + biases == PUBLISHED[name]


def test_vgg16_has_the_weights_and_layers_of_tanaka() -> None:
    network = build("vgg16", CIFAR, 100)
    assert prunable(network) == 14_761_664
    assert len(weights(network)) == 14
    assert math.log10(prunable(network) / 14) == pytest.approx(6.02, abs=0.005)


def test_weights_by_arithmetic() -> None:
    """Basic blocks hold 9·(in·out + out²) weights, and the counts do not depend on the size."""
    for name, width, stages in (
        ("resnet18", 64, 4),
        ("resnet20", 16, 3),
        ("wide_resnet18", 128, 4),
    ):
        plan, total, inputs = residual.PLANS[name], 9 * 3 * width, width
        for stage in range(stages):
            for _ in range(plan.blocks[stage]):
                out = width << stage
                total += 9 * (inputs * out + out * out)
                inputs = out
        network = build(name, TINY_IMAGENET, 200)
        assert prunable(network) == total + 200 * inputs
        projections = [m for n, m in weights(network) if "shortcut" in n]
        assert [m.weight.numel() for m in projections] == [
            a * b for a, b in pairwise(width << s for s in range(stages))
        ]


def test_depths_are_those_of_the_names() -> None:
    for name, depth in (("resnet18", 18), ("resnet20", 20), ("resnet50", 50),
                        ("wide_resnet18", 18), ("lenet5", 5)):  # fmt: skip
        assert len(weights(build(name), shortcuts=False)) == depth
    # VGG's three linear layers are one here
    for depth in (11, 16, 19):
        assert len(weights(build(f"vgg{depth}"))) == depth - 2


@pytest.mark.parametrize("shape", [CIFAR, TINY_IMAGENET])
@pytest.mark.parametrize("name", ["lenet5", "vgg11", "resnet20", "resnet50"])
def test_forward_gives_a_logit_a_class(name: str, shape: tuple[int, ...]) -> None:
    out = build(name, shape, 7)(torch.ones(2, *shape))
    assert out.shape == (2, 7)
    assert bool(out.isfinite().all())


def test_perceptrons_take_images_and_vectors() -> None:
    network = build("mlp:784,300,100,10")
    assert [tuple(m.weight.shape) for _, m in weights(network)] == [
        (300, 784), (100, 300), (10, 100),
    ]  # fmt: skip
    images = build("mlp:784,300,100,10", (1, 28, 28))
    x = torch.ones(3, 784)
    assert torch.equal(network(x), images(x.reshape(3, 1, 28, 28)))
    assert architectures.input_shape("mlp:784,300,100,10") == (784,)
    assert architectures.input_shape("wide-resnet") == CIFAR


def test_the_seed_fixes_every_weight_and_no_shared_generator_moves() -> None:
    before = torch.get_rng_state()
    one, again, other = (build("resnet20", seed=s).state_dict() for s in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[key], again[key]) for key in one)
    changed = [key for key in one if not torch.equal(one[key], other[key])]
    assert changed == [f"{name}.weight" for name, _ in weights(build("resnet20"))]


@pytest.mark.parametrize("init", architectures.INITS)
def test_weights_have_their_laws_variance(init: str) -> None:
    network = build("mlp:400,900,200", seed=1, init=init)
    for _, layer in weights(network):
        w = layer.weight.detach().double()
        out, fan_in = w.shape
        expected = {
            "kaiming_normal": 2 / fan_in, "kaiming_uniform": 2 / fan_in,
            "kaiming_normal_out": 2 / out, "torch": 1 / (3 * fan_in),
            "xavier_normal": 2 / (fan_in + out), "xavier_uniform": 2 / (fan_in + out),
        }[init]  # fmt: skip
        # 180,000 weights or more: the relative error of the variance has deviation < 0.0034 (fixed
        # seed; a fresh one would fail with probability under 1e-8)
        assert float(w.square().mean()) == pytest.approx(expected, rel=0.02)
        largest = float(w.abs().max()) / math.sqrt(expected)
        assert largest > 4 if "normal" in init else largest <= math.sqrt(3) * (1 + 1e-6)


def test_convolutions_count_their_taps_and_the_rest_is_neutral() -> None:
    network = build("vgg11")
    conv = dict(weights(network))["8"].weight.detach()
    assert float(conv.square().mean()) == pytest.approx(2 / (128 * 9), rel=0.02)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert bool((module.weight == 1).all() and (module.running_var == 1).all())
            assert not module.bias.any()
            assert not module.running_mean.any()
    assert not network.training
    assert not any(layer.bias.any() for _, layer in weights(network) if layer.bias is not None)


BAD = {
    "an unknown name": ({"spec": "alexnet"}, "vgg16"),
    "no widths": ({"spec": "mlp"}, "at least two"),
    "one width": ({"spec": "mlp:10"}, "at least two"),
    "a width of zero": ({"spec": "mlp:10,0,3"}, "positive"),
    "a word for a width": ({"spec": "mlp:10,wide"}, "positive"),
    "widths of another kind": ({"spec": "vgg16:3,4"}, "mlp:"),
    "an unknown law": ({"spec": "lenet5", "init": "xavier"}, "xavier_normal"),
    "a small image": ({"spec": "vgg16", "shape": (3, 16, 16)}, "at least 32"),
    "a vector for an image": ({"spec": "resnet18", "shape": (784,)}, "height"),
    "a shape of nothing": ({"spec": "resnet18", "shape": (0, 32, 32)}, "positive"),
    "no classes": ({"spec": "vgg11", "classes": 0}, "1 or more"),
    "two counts of classes": ({"spec": "mlp:9,5,3", "classes": 10}, "3, as in"),
    "inputs that do not fit": ({"spec": "mlp:9,5,3", "shape": (10,)}, "9 numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_says_what_there_is(case: str) -> None:
    arguments, allowed = BAD[case]
    with pytest.raises(BadInput) as error:
        build(**arguments)  # type: ignore[arg-type]
    assert allowed in error.value.allowed
    assert "\n" not in str(error.value)


def test_modules_of_other_kinds_are_not_left_undrawn() -> None:
    with pytest.raises(BadInput, match="LayerNorm"):
        architectures.initialise(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), 0)

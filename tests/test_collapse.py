"""Layer-collapse: reachability against real flows, critical compressions against scans, chance."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from slth.collapse import Collapse, chance, collapse, maximal, path_survives, reached
from slth.collapse.critical import Critical, Nested, rescored, single_shot
from slth.errors import BadInput
from slth.mask import keep_top
from slth.nets.architectures import build
from slth.nets.residual import Residual
from slth.pruning import Context, prune
from slth.pruning._layers import all_kept, layers
from slth.pruning.magnitude import Magnitude
from slth.pruning.random import Random


def everything(model: nn.Module, shortcuts: bool = False) -> dict[str, Tensor]:
    return all_kept(layers(model, shortcuts))


def flow(model: nn.Module, masks: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
    """The outputs for ones in float64 where every kept weight is 1 and no bias: 0 iff no path."""
    tensors, model = {}, copy.deepcopy(model).double()
    for name, p in model.named_parameters():
        layer, _, kind = name.rpartition(".")
        value = torch.zeros_like(p) if kind == "bias" else (p != 0).double()
        tensors[name] = value * masks[layer] if kind == "weight" and layer in masks else value
    x = torch.ones(1, *shape, dtype=torch.float64)
    with torch.no_grad():
        return torch.func.functional_call(model, tensors, (x,))[0]


def thinned(model: nn.Module, kept: float, rng: np.random.Generator) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(rng.random(tuple(mask.shape)) < kept)
        for name, mask in everything(model, shortcuts=True).items()
    }


def small_conv(rng: np.random.Generator) -> nn.Sequential:
    """Padding, strides, both poolings and BatchNorm on 6 by 6 images, few channels."""
    widths = rng.integers(1, 4, 3).tolist()
    pool = (nn.MaxPool2d(2), nn.AvgPool2d(2))[int(rng.integers(2))]
    return nn.Sequential(
        nn.Conv2d(2, widths[0], 3, padding=1), nn.BatchNorm2d(widths[0]), nn.ReLU(),
        nn.Conv2d(widths[0], widths[1], 3, stride=int(rng.integers(1, 3)), padding=1), nn.ReLU(),
        pool, nn.Conv2d(widths[1], widths[2], 3, padding=1), nn.LeakyReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[2], 3),
    ).eval()  # fmt: skip


def small_residual(rng: np.random.Generator) -> nn.Sequential:
    width = int(rng.integers(1, 4))

    def branch() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
        )

    return nn.Sequential(
        nn.Conv2d(2, width, 3, padding=1), Residual(branch(), nn.Identity()),
        Residual(branch(), nn.Conv2d(width, width, 1)), nn.Flatten(), nn.Linear(36 * width, 2),
    ).eval()  # fmt: skip


class Free(nn.Module):
    """Two layers, and any function as the forward."""

    def __init__(self, function) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        draw = torch.Generator().manual_seed(1)
        self.a, self.c = nn.Linear(4, 4), nn.Linear(4, 2)
        for p in self.parameters():
            nn.init.normal_(p, generator=draw)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)  # type: ignore[no-any-return]


class TestReachability:
    @pytest.mark.parametrize("make", [small_conv, small_residual])
    def test_outputs_reached_are_those_with_flow(self, make) -> None:  # type: ignore[no-untyped-def]
        rng, seen = np.random.default_rng(1), set()
        for trial in range(150):
            model = make(rng)
            masks = thinned(model, float(rng.choice([0.03, 0.1, 0.3])), rng)
            got, expected = reached(model, masks, (2, 6, 6)), flow(model, masks, (2, 6, 6)) > 0
            assert torch.equal(got, expected), trial
            assert path_survives(model, masks, (2, 6, 6)) == bool(expected.any())
            seen.add((bool(expected.any()), bool(expected.all())))
        assert seen == {(False, False), (True, False), (True, True)}

    def test_layers_that_do_not_meet_carry_nothing(self) -> None:
        model = build("mlp:3,4,2")
        masks = {name: torch.zeros_like(m) for name, m in everything(model).items()}
        masks["1"][0, 0] = masks["3"][1, 0] = True
        assert collapse(model, masks, (3,)) == Collapse({"1": (1, 12), "3": (1, 8)}, True)
        masks["3"][1, 0], masks["3"][1, 1] = False, True
        met = collapse(model, masks, (3,))
        assert (met.path, met.empty, met.kept, met.fewest) == (False, (), 2, 1)
        assert met.thinnest == 1 / 12
        assert met.size == 20

    def test_a_residual_sum_leads_around_an_empty_branch_and_nothing_around_a_plain_layer(
        self,
    ) -> None:
        for name, layer, path in (("resnet20", "5.branch.0", True), ("vgg11", "8", False)):
            model = build(name)
            masks = everything(model)
            masks[layer] = torch.zeros_like(masks[layer])
            found = collapse(model, masks, (3, 32, 32))
            assert (found.empty, found.path, found.fewest) == ((layer,), path, 0)

    def test_an_empty_projection_leaves_the_branch(self) -> None:
        model = build("resnet20")
        masks = everything(model, shortcuts=True)
        for name in masks:
            if "shortcut" in name:
                masks[name] = torch.zeros_like(masks[name])
        assert path_survives(model, masks, (3, 32, 32))
        masks["6.branch.0"] = torch.zeros_like(masks["6.branch.0"])  # beside an empty projection
        assert not path_survives(model, masks, (3, 32, 32))

    def test_no_float_decides(self) -> None:
        """300 layers of weights 1e-30: their product is 0 in every float format."""
        model = build("mlp:" + ",".join(["2"] * 301))
        with torch.no_grad():
            for layer in layers(model):
                layer.module.weight.fill_(1e-30)
        assert path_survives(model, {}, (2,))
        with torch.no_grad():
            layers(model)[150].module.weight.zero_()
        assert not path_survives(model, {}, (2,))

    def test_the_model_is_left_as_it_was(self) -> None:
        model = build("resnet20", seed=3).train()
        before = {k: v.clone() for k, v in model.state_dict().items()}
        path_survives(model, everything(model), (3, 32, 32))
        assert model.training
        assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())

    def test_a_norm_that_multiplies_by_zero_lets_nothing_through(self) -> None:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).eval()
        assert path_survives(model, {}, (3,))
        with torch.no_grad():
            model[1].weight.zero_()
        assert not path_survives(model, {}, (3,))

    @pytest.mark.parametrize(
        "forward",
        [
            lambda s, x: s.c(x - s.a(x)),
            lambda s, x: s.c(torch.sigmoid(s.a(x)) + 1),
            lambda s, x: s.c(torch.ones(4) + s.a(x).relu_()),
            lambda s, x: s.c(2 * nn.functional.gelu(s.a(x)) / 3 - 0.5),
            lambda s, x: s.c(torch.cat([torch.ones(1, 2), s.a(x)[:, :2]], 1)),
            lambda s, x: s.c(nn.functional.layer_norm(s.a(x), (4,), torch.ones(4), torch.ones(4))),
        ],
    )
    def test_constants_carry_nothing_and_differences_what_a_part_carries(self, forward) -> None:  # type: ignore[no-untyped-def]
        model = Free(forward)
        none = {name: torch.zeros_like(m) for name, m in everything(model).items()}
        x = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
        for kept in ((), ("a",), ("c",), ("a", "c")):
            masks = none | {name: everything(model)[name] for name in kept}
            thin = copy.deepcopy(model)
            with torch.no_grad():
                for name, mask in masks.items():
                    thin.get_submodule(name).weight.mul_(mask)
                depends = not torch.equal(thin(x[:1]), thin(x[1:]))
            assert path_survives(model, masks, (4,)) == depends, kept

    def test_what_is_added_in_place_stays_out_of_what_it_was_made_from(self) -> None:
        def forward(s: Free, x: Tensor) -> Tensor:
            h = s.a(x)
            y = h.relu()
            y += x
            return s.c(h + 0 * y)

        nothing = {"a": torch.zeros(4, 4, dtype=torch.bool)}
        assert path_survives(Free(forward), {}, (4,))
        assert not path_survives(Free(forward), nothing, (4,))

    @pytest.mark.parametrize(
        ("forward", "said"),
        [
            (lambda s, x: s.c(x * torch.sigmoid(s.a(x))), "uses mul"),
            (lambda s, x: s.c(s.a(x).softmax(-1)), "uses softmax"),
            (lambda s, x: s.c(x @ torch.eye(4)), "uses matmul"),
            (lambda s, x: s.c(x) if x.sum() > 0 else x, "uses gt"),
            (lambda s, x: s.c(torch.zeros(1, 4).add_(x)), "uses add"),
        ],
    )
    def test_what_is_not_known_is_said_not_guessed(self, forward, said) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(BadInput, match=said):
            path_survives(Free(forward), {}, (4,))

    def test_other_parameters_and_other_shapes_are_refused(self) -> None:
        with pytest.raises(BadInput, match="MultiheadAttention"):
            path_survives(nn.Sequential(nn.MultiheadAttention(4, 2)), {}, (4,))
        model = build("mlp:3,4,2")
        with pytest.raises(BadInput, match=r"\(4, 3\)"):
            path_survives(model, {"1": torch.ones(3, 4, dtype=torch.bool)}, (3,))
        with pytest.raises(BadInput, match="shape"):
            path_survives(model, {}, (5,))


class TestMaximal:
    def test_layers_and_paths_of_known_networks(self) -> None:
        vgg, found = build("vgg16", classes=100), maximal(build("vgg16", classes=100))
        assert (found.weights, found.layers, found.path) == (14_761_664, 14, 14)
        assert found.by_layers == found.by_path == 14_761_664 / 14
        assert maximal(vgg, shortcuts=True) == found
        # stem and head; with pruned projections one more a stage that changes width
        for shortcuts, path, projections in ((False, 2, 0), (True, 5, 3)):
            deep = maximal(build("resnet18"), shortcuts)
            assert (deep.layers, deep.path) == (18 + projections, path)
            assert deep.by_path > deep.by_layers

    def test_so_many_weights_do_carry_a_path_and_none_of_them_can_go(self) -> None:
        model = build("resnet20")
        masks = {n: torch.zeros_like(m) for n, m in everything(model, True).items()}
        taken = ["0", "6.shortcut.0", "9.shortcut.0", "14"]
        assert maximal(model, shortcuts=True).path == len(taken)
        for name in taken:
            weight = masks[name]
            weight[(0, 0, *(side // 2 for side in weight.shape[2:]))] = True
        assert path_survives(model, masks, (3, 32, 32))
        for name in taken:
            assert not path_survives(
                model, masks | {name: torch.zeros_like(masks[name])}, (3, 32, 32)
            )

    def test_a_path_around_everything_needs_no_weight(self) -> None:
        model = nn.Sequential(Residual(nn.Linear(3, 3), nn.Identity()))
        assert maximal(model).path == 0
        assert maximal(model).by_path == math.inf

    def test_a_forward_that_looks_at_its_data_is_refused(self) -> None:
        class Looks(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(3, 3)

            def forward(self, x: Tensor) -> Tensor:
                return self.layer(x) if x.sum() > 0 else x

        with pytest.raises(BadInput, match="traced"):
            maximal(Looks())


class TestCritical:
    def scores(self, seed: int) -> tuple[nn.Module, dict[str, Tensor]]:
        rng = np.random.default_rng(seed)
        model = small_residual(rng) if seed % 2 else small_conv(rng)
        # few distinct values, so that ties matter
        return model, {
            name: torch.from_numpy(rng.integers(0, 12, tuple(m.shape)))
            for name, m in everything(model).items()
        }

    def test_nested_masks_are_the_ones_that_top_k_selection_gives(self) -> None:
        for seed in range(4):
            _, scores = self.scores(seed)
            line = torch.cat([s.reshape(-1) for s in scores.values()])
            nested = Nested.of(scores)
            for kept in range(0, nested.size + 1, 7):
                masks = nested.at(kept)
                flat = torch.cat([m.reshape(-1) for m in masks.values()])
                assert torch.equal(flat, keep_top(line, kept))

    @pytest.mark.parametrize("saliency", [Magnitude(), Random()])
    def test_they_are_what_pruning_at_once_keeps(self, saliency) -> None:  # type: ignore[no-untyped-def]
        model, context = build("lenet5"), Context((1, 28, 28), seed=5)
        nested = Nested.of(saliency.scores(model, everything(model), context))
        for compression in (1, 3.7, 1000):
            pruned = prune(model, saliency, compression, context=context)
            for name, mask in nested.at(pruned.kept).items():
                assert torch.equal(mask, pruned.masks[name])

    def test_the_critical_count_is_the_first_without_collapse(self) -> None:
        for seed in range(8):
            model, scores = self.scores(seed)
            nested = Nested.of(scores)
            found = single_shot(model, nested, (2, 6, 6))
            states = [collapse(model, nested.at(k), (2, 6, 6)) for k in range(nested.size + 1)]
            assert found.kept_layers == next(k for k, s in enumerate(states) if not s.empty)
            assert found.kept_path == next(k for k, s in enumerate(states) if s.path)
            assert found.by_layers == nested.size / found.kept_layers
            assert found.by_path == nested.size / found.kept_path

    def test_rescored_methods_are_bisected(self) -> None:
        runs: list[int] = []

        def run(kept: int) -> Collapse:
            runs.append(kept)
            return Collapse({"a": (max(0, kept - limits[0]), 10**6)}, kept > limits[1])

        for limits in ((4, 4), (5, 4), (937, 20), (12, 4040), (10**6 - 1, 10**6 - 1)):
            runs.clear()
            found = rescored(run, 10**6, 5)
            assert found.size == 10**6
            for limit, kept in zip(limits, (found.kept_layers, found.kept_path), strict=True):
                assert limit < kept <= max(10**0.05 * (limit + 1), limit + 1)
            assert len(set(runs)) == len(runs)
        assert rescored(lambda kept: Collapse({"a": (kept, 9)}, True), 9, 3) == Critical(9, 3, 3)


def layers_of_random_sets(sizes: tuple[int, ...], kept: int) -> float:
    """By enumeration of every set of `kept` weights."""
    of = [layer for layer, size in enumerate(sizes) for _ in range(size)]
    sets = list(itertools.combinations(of, kept))
    return sum(len(set(chosen)) == len(sizes) for chosen in sets) / len(sets)


class TestChance:
    @pytest.mark.parametrize("sizes", [(1, 2, 3), (2, 2, 2, 3), (5, 1, 4), (3, 3, 3, 3)])
    def test_exactly_k_against_enumeration(self, sizes, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        for direct in (chance.DIRECT, 0):
            monkeypatch.setattr(chance, "DIRECT", direct)
            for kept in range(sum(sizes) + 1):
                found = chance.no_layer_empty_exactly(sizes, kept)
                assert found == pytest.approx(layers_of_random_sets(sizes, kept), abs=1e-12)

    def test_independent_weights_against_enumeration(self) -> None:
        sizes, rho = (1, 2, 3, 2), 2.5
        total = sum(sizes)
        mixed = sum(
            math.comb(total, k) * (1 / rho) ** k * (1 - 1 / rho) ** (total - k)
            * layers_of_random_sets(sizes, k)
            for k in range(total + 1)
        )  # fmt: skip
        assert chance.no_layer_empty(sizes, rho) == pytest.approx(mixed, rel=1e-12)
        assert chance.no_layer_empty(sizes, 1) == 1
        with pytest.raises(BadInput, match="compression"):
            chance.no_layer_empty(sizes, 0.5)

    def test_both_ways_of_counting_agree_on_vgg16(self, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        model = build("vgg16", classes=100)
        sizes = [m.numel() for m in everything(model).values()]
        convolved = [chance.no_layer_empty_exactly(sizes, k) for k in (3000, 4000)]
        monkeypatch.setattr(chance, "DIRECT", 0)
        excluded = [chance.no_layer_empty_exactly(sizes, k) for k in (3000, 4000)]
        assert convolved == pytest.approx(excluded, abs=1e-5)
        independent = [chance.no_layer_empty(sizes, sum(sizes) / k) for k in (3000, 4000)]
        assert convolved == pytest.approx(independent, rel=2e-3)

    def test_terms_that_cancel_are_not_trusted(self) -> None:
        sizes = [10**9] + [9] * 60
        assert chance.no_layer_empty_exactly(sizes, 5000) < 1e-100

    def test_the_critical_count_of_random_pruning_has_the_quantiles_that_chance_gives(self) -> None:
        """60 seeds: 30 ± 4 below the median; fails a sound implementation once in 1e4 (1e-4)."""
        model = build("mlp:20,30,10")
        sizes = [m.numel() for m in everything(model).values()]
        median = chance.critical_kept(sizes, 0.5)
        assert chance.no_layer_empty_exactly(sizes, median) >= 0.5
        assert chance.no_layer_empty_exactly(sizes, median - 1) < 0.5
        below = 0
        for seed in range(60):
            scores = Random().scores(model, everything(model), Context((20,), seed=seed))
            first = max(int(place.min()) for place in Nested.of(scores).places.values()) + 1
            below += first <= median
        expected = 60 * chance.no_layer_empty_exactly(sizes, median)
        assert abs(below - expected) <= 4 * math.sqrt(60 / 4)

    def test_a_count_beyond_the_weights_is_refused(self) -> None:
        with pytest.raises(BadInput, match="kept"):
            chance.no_layer_empty_exactly((2, 3), 6)

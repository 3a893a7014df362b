"""Mask searches: exact counts, untouched weights, straight-through gradients, runs that go on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from slth.certify import certify
from slth.domain import Ball, Box
from slth.effective import Effective
from slth.errors import BadInput
from slth.laws import Normal
from slth.mask import count_for, keep_top
from slth.philox import words4
from slth.source import dense
from slth.supermask import (
    Approximation,
    Classification,
    Found,
    Frozen,
    Interrupted,
    Layer,
    Progress,
    load_found,
    search,
    searches,
)
from slth.supermask._found import hash_of
from slth.supermask._objectives import uniform_points
from slth.supermask._run import Plan, _Run
from slth.supermask._search import step
from slth.supermask._select import compute_with, compute_with_largest, select
from slth.target import Target
from tests.supermasks import EVERY, Convolutional, data, drive, make, mlp, top

NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (mlp, (6,)),
    "convolutional": (Convolutional, (1, 6, 6)),
    "channels last": (lambda: Convolutional().to(memory_format=torch.channels_last), (1, 6, 6)),
    "float64": (lambda: mlp(dtype=torch.float64), (6,)),
}


def found_by(name: str, network: str = "perceptron", **changes: Any) -> tuple[Found, nn.Module]:
    build, shape = NETWORKS[network]
    model = changes.pop("model", None) or build()
    wanted = {"density": 0.5, "epochs": 3, "batch": 16, "source": Frozen(4, "normal")} | changes
    settings = wanted.pop("settings", {"every": 5} if name == "iterand" else {})
    objective = wanted.pop("objective", None) or data(shape)
    return search(model, make(name, **settings), objective, **wanted), model


# -- one convention --------------------------------------------------------------------------------


def test_the_list_is_what_is_tested() -> None:
    assert tuple(name.replace("_", "-") for name in searches()) == EVERY


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("network", NETWORKS)
def test_exactly_k_are_kept_and_no_weight_is_touched(name: str, network: str) -> None:
    build, _ = NETWORKS[network]
    model = build()
    Frozen(4, "normal").draw(model)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    bits = hash_of(before)
    source = Frozen(4, "normal") if name == "iterand" else None
    found, _ = found_by(name, network, model=model, density=0.3, source=source)
    method = make(name)
    sizes = {n: m.numel() for n, m in found.masks.items()}
    for mask in found.masks.values():
        assert mask.dtype == torch.bool
    if method.whole:
        assert found.kept == count_for(0.3, sum(sizes.values()))
    elif method.biases:
        weights = [n for n in sizes if n.endswith("weight")]
        for n in weights:
            b = n[:-6] + "bias"
            size = sizes[n] + sizes.get(b, 0)
            kept = found.layers[n][0] + found.layers.get(b, (0, 0))[0]
            assert kept == count_for(0.3, size)
    else:
        for n, (kept, size) in found.layers.items():
            assert kept == count_for(0.3, size), n
    if name == "iterand":  # the one that draws anew, and only outside the masks
        for n, p in model.named_parameters():
            if n in found.masks:
                assert (p == before[n])[found.generations[n] == 0].all()
    else:
        assert hash_of(dict(model.named_parameters())) == bits


@pytest.mark.parametrize("layout", ["plain", "transposed", "channels last", "expanded", "reversed"])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("whole", [False, True])
def test_the_selection_does_not_depend_on_layout_or_type(
    layout: str, kind: torch.dtype, whole: bool
) -> None:
    """Many ties: quarters from −1 to 1. The reference sorts, the selection partitions."""
    rng = np.random.default_rng(0)
    shape = (4, 6, 3, 3)
    values = rng.integers(-4, 5, (2, *shape)) / 4
    if layout == "expanded":
        values = np.broadcast_to(values[:, :, :1], values.shape)
    layers, worths = [], []
    for i in range(2):
        scores = torch.from_numpy(np.array(values[i])).to(kind)
        if layout == "transposed":
            scores = scores.permute(1, 0, 3, 2).contiguous().permute(1, 0, 3, 2)
        elif layout == "channels last":
            scores = scores.contiguous(memory_format=torch.channels_last)
        elif layout == "expanded":
            scores = scores[:, :1].expand(shape)
        elif layout == "reversed":
            scores = scores.flip(0).flip(0)
        weight = torch.ones(shape, dtype=kind)
        layers.append(Layer(f"{i}.weight", i, weight, weight, scores, weight.clone(), 100 + i))
        worths.append(scores)
    masks = [mask.numpy() for mask in select(worths, layers, whole)]
    if whole:
        expected = top(values.ravel(), 201).reshape(values.shape)
    else:
        expected = np.stack([top(values[0], 100), top(values[1], 101)])
    np.testing.assert_array_equal(np.stack(masks), expected)


def test_what_is_pruned_stays_pruned_whatever_its_score() -> None:
    scores, weight = torch.tensor([9.0, 1.0, 8.0, 2.0]), torch.ones(4)
    alive = {"alive": torch.tensor([False, True, False, True])}
    layer = Layer("0.weight", 0, weight, weight, scores, weight.clone(), 3, alive)
    assert select([scores], [layer], False)[0].tolist() == [True, True, False, True]


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_network_computes_with_scale_times_base_on_the_mask_and_zero_off_it(
    kind: torch.dtype,
) -> None:
    base = torch.tensor([[1.5, -2.0], [0.25, 8.0]], dtype=kind)
    layer = Layer("0.weight", 0, base, base, base, torch.full_like(base, 7), 2)
    compute_with(layer, torch.tensor([[True, False], [False, True]]), 0.5)
    assert layer.effective.tolist() == [[0.75, 0], [0, 4.0]]


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_seeking_the_threshold_where_it_was_finds_keep_tops_mask(kind: torch.dtype) -> None:
    """Scores that creep, jump, tie at the threshold, become one value, and then no number."""
    rng = np.random.default_rng(2)
    size, k = 20_000, 7_001
    base = torch.ones(size, dtype=kind)
    layer = Layer("0.weight", 0, base, base, torch.zeros_like(base), torch.zeros_like(base), k)
    scores, in_band = rng.normal(size=size), 0
    for t in range(60):
        creep = rng.normal(size=size) * (1.0 if t % 20 == 10 else 1e-5)
        scores = scores + creep
        if t in (25, 26, 27):
            scores = np.round(scores, 2)  # many ties
        if t == 40:
            scores = np.full(size, 0.25)
        if t == 41:
            scores = rng.normal(size=size) * 1e-30
        layer.scores.copy_(torch.from_numpy(scores))
        before = layer.extra["band"].clone() if "band" in layer.extra else None
        compute_with_largest(layer)
        expected = keep_top(layer.scores.abs(), k)
        assert torch.equal(layer.effective == 1, expected), t
        assert int((layer.effective == 0).sum()) == size - k
        in_band += before is not None and not torch.equal(before, layer.extra["band"])
    assert in_band > 20
    layer.scores[5] = math.nan
    with pytest.raises(BadInput, match="NaN"):
        compute_with_largest(layer)


# -- the source ------------------------------------------------------------------------------------


def test_a_weight_is_its_coordinates() -> None:
    """Against the generator called for one coordinate at a time; layer 3, generation 2."""
    law, seed = Normal(0.7), 12
    for bias, shape in ((False, (5, 7)), (False, (3, 6, 2, 3)), (True, (9,))):
        got = dense(seed, 3, shape, law, bias=bias, generation=2)
        state = np.random.SeedSequence(seed, spawn_key=(2,)).generate_state(2)
        for at in np.ndindex(*shape):
            row, column = (at[2], at[3]) if len(at) == 4 else (0, 0)
            index = 0 if bias else at[1]
            counter = [index >> 2, at[0], (row << 16) + column, 256 * 3 + 2 * (4 if bias else 3)]
            words = words4(np.array(counter, np.uint64), state.astype(np.uint64))
            assert got[at] == law(np.array([words[index & 3]], np.uint32))[0]


def test_a_smaller_layer_is_a_corner_of_a_larger_one() -> None:
    law = Normal(1.0)
    large, small = dense(1, 0, (6, 9, 5, 5), law), dense(1, 0, (4, 5, 3, 3), law)
    assert (large[:4, :5, :3, :3] == small).all()
    others = [
        dense(2, 0, (6, 9), law),
        dense(1, 1, (6, 9), law),
        dense(1, 0, (6, 9), law, generation=1),
    ]
    for other in others:
        assert not (other == dense(1, 0, (6, 9), law)).any()


@pytest.mark.parametrize("init", ["signed-constant", "normal", "uniform"])
@pytest.mark.parametrize("density", [1.0, 0.25])
def test_sources_have_the_variance_they_say(init: Any, density: float) -> None:
    """2 / (fan_in · density), fan_in of a convolution with its taps; 5 standard errors."""
    drawn = Frozen(9, init, density).weight(0, (40, 10, 3, 3)).double()
    variance, n = 2 / (90 * density), drawn.numel()
    fourth = {"signed-constant": 1.0, "normal": 3.0, "uniform": 9 / 5}[init]
    assert abs(float(drawn.mean())) < 5 * math.sqrt(variance / n)
    spread = math.sqrt((fourth - 1) / n) if fourth > 1 else 1e-6
    assert abs(float(drawn.square().mean()) / variance - 1) < 5 * spread
    if init == "signed-constant":
        assert len(drawn.abs().unique()) == 1


def test_random_biases_have_the_product_of_the_layers_deviations() -> None:
    model = mlp((400, 400, 400))
    Frozen(1, "normal", 0.5, biases=0.3).draw(model)
    std = math.sqrt(2 / (400 * 0.5))
    for number, layer in enumerate((model[0], model[2])):
        want = 0.3 * std ** (number + 1)
        assert float(layer.bias.detach().std()) == pytest.approx(want, rel=5 / math.sqrt(800))
    Frozen(1).draw(model)
    assert not model[0].bias.any()


# -- gradients -------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["perceptron", "convolutional"])
@pytest.mark.parametrize("absolute", [False, True])
def test_straight_through_is_the_derivative_of_the_relaxed_loss(
    network: str, absolute: bool
) -> None:
    """∂/∂h L(w ⊙ h) at h = mask, by central differences in float64; times sign(s) for |s|."""
    build, shape = NETWORKS[network]
    model = build().double()
    examples = data(shape)
    method = make("edge-popup", absolute=absolute)
    # with biases, so that no neuron stands exactly at the kink when its inputs are all pruned
    source = Frozen(2, "normal", biases=0.5)
    run = _Run.of(Plan(model, method, examples, 0.5, 1, 60, 0, source, "float32"))
    inputs, wanted = (t.double() if t.is_floating_point() else t for t in run.examples)
    with run.prepared(1):
        model.train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        with torch.no_grad():
            method.relax(run.layers, run.moment())
        loss = examples.loss(model(inputs), wanted)
        pulled = torch.autograd.grad(loss, [layer.effective for layer in run.layers])
        draw = np.random.default_rng(0)
        for layer, gradient in zip(run.layers, pulled, strict=True):
            got = method.gradient(layer, gradient.clone(), run.moment()).reshape(-1)
            for i in draw.choice(layer.size, 6, replace=False):
                sides = []
                for h in (1e-5, -1e-5):
                    with torch.no_grad():
                        held = layer.effective.view(-1)[i].clone()
                        layer.effective.view(-1)[i] += h * layer.weight.reshape(-1)[i]
                        sides.append(float(examples.loss(model(inputs), wanted)))
                        layer.effective.view(-1)[i] = held
                slope = (sides[0] - sides[1]) / 2e-5
                sign = float(layer.scores.reshape(-1)[i].sign()) if absolute else 1.0
                assert float(got[i]) == pytest.approx(sign * slope, rel=1e-4, abs=1e-9)


# -- the loop --------------------------------------------------------------------------------------


def test_the_rate_falls_as_a_cosine_and_scores_stand_still_without_it() -> None:
    run, _, _ = drive(make("edge-popup"), 0, epochs=4)
    rates = []
    for run.epoch in range(4):
        rates.append(run.rate())
    assert rates == pytest.approx([0.05 * (1 + math.cos(math.pi * e / 4)) for e in range(4)])
    run, _, _ = drive(make("bernoulli"), 0, epochs=4)
    assert run.rate() == 100


def test_every_example_comes_once_an_epoch_in_another_order() -> None:
    run, _, _ = drive(make("edge-popup"), 0, epochs=2)
    first = run.order()
    run.epoch = 1
    second = run.order()
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(45))
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("edge-popup", {}),
        ("bernoulli", {}),
        ("biprop", {}),
        ("gem-miner", {"rate": 3.0}),
        ("continuous-sparsification", {"rate": 3.0}),
        ("zhou-criteria", {"rate": 0.01}),
    ],
)
def test_searches_learn_and_random_masks_do_not(name: str, settings: dict[str, Any]) -> None:
    """Three clouds in six dimensions; random masks of the same network are at chance, near 1/3."""
    dims, objective = (6, 64, 64, 3), data(n=240)
    wanted = {"epochs": 25, "objective": objective}
    found, _ = found_by(name, model=mlp(dims), settings=settings, **wanted)
    chance = [
        found_by("random-mask", model=mlp(dims), seed=seed, **wanted)[0].measures["accuracy"]
        for seed in range(5)
    ]
    assert found.measures["accuracy"] >= 0.9
    assert sum(chance) / 5 < 0.7


def test_noise_is_another_in_every_epoch() -> None:
    run, _, _ = drive(make("bernoulli"), 0, epochs=3)
    drawn = []
    for run.epoch in range(3):
        drawn.append(tuple(torch.rand(4, generator=run.moment().noise).tolist()))
    assert len(set(drawn)) == 3


def test_a_shuffled_mask_has_the_layers_counts_of_the_found_one() -> None:
    found, _ = found_by("global-edge-popup")
    shuffled, _ = found_by("shuffled-mask")
    assert shuffled.layers == found.layers
    assert any(
        bool((a != b).any())
        for a, b in zip(found.masks.values(), shuffled.masks.values(), strict=True)
    )
    again, _ = found_by("shuffled-mask")
    assert same(shuffled, again)


def same(a: Found, b: Found) -> bool:
    return (
        list(a.masks) == list(b.masks)
        and all(torch.equal(a.masks[n], b.masks[n]) for n in a.masks)
        and a.history == b.history
        and a.measures == b.measures
        and a.scales == b.scales
        and all(torch.equal(a.statistics[n], b.statistics[n]) for n in a.statistics)
        and all(torch.equal(a.generations[n], b.generations[n]) for n in a.generations)
        and a.weights == b.weights
    )


@pytest.mark.parametrize("name", [n for n in EVERY if n != "random-mask"])
@pytest.mark.parametrize("network", ["perceptron", "convolutional"])
def test_a_broken_run_goes_on_to_the_same_bits(name: str, network: str, tmp_path: Path) -> None:
    """Ctrl-C in the middle of the third epoch; an unbroken run beside it."""
    settings = {"gem-miner": {"period": 2}, "iterand": {"every": 4}}.get(name, {})
    if name == "scaled-edge-popup":
        source = Frozen(4, "normal", biases=0.5)
    else:
        source = Frozen(4, "normal")
    wanted = {"epochs": 5, "settings": settings, "source": source}
    whole, model = found_by(name, network, **wanted)
    path = tmp_path / "run.part"

    def break_off(at: Progress) -> None:
        if (at.epoch, at.step) == (2, 1):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as broken:
        found_by(name, network, **wanted, checkpoint=path, progress=break_off)
    so_far = broken.value.found
    assert so_far.stopped == "interrupted in epoch 3 of 5"
    assert so_far.history == whole.history[:2]
    seen: list[int] = []
    on, on_model = found_by(
        name, network, **wanted, checkpoint=path, progress=lambda at: seen.append(at.epoch)
    )
    assert seen[0] == 2, "it began anew"
    assert same(on, whole)
    assert hash_of(dict(on_model.named_parameters())) == hash_of(dict(model.named_parameters()))
    # and once more, from the end
    last, _ = found_by(name, network, **wanted, checkpoint=path)
    assert same(last, whole)


def test_another_search_does_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.part"
    found_by("edge-popup", checkpoint=path)
    other = {"source": Frozen(5, "normal"), "objective": data(n=56), "settings": {"rate": 0.2}}
    for change in [{k: v} for k, v in {"seed": 1, "density": 0.4, "epochs": 4, **other}.items()]:
        with pytest.raises(BadInput, match="this very search"):
            found_by("edge-popup", checkpoint=path, **change)
    with pytest.raises(BadInput, match="another method"):
        found_by("biprop", checkpoint=path)
    path.write_bytes(b"nonsense")
    with pytest.raises(BadInput, match="a checkpoint of a mask search"):
        found_by("edge-popup", checkpoint=path)


class Breaking:
    """An objective whose loss is no number at one step, or whose gradient is none."""

    def __init__(self, at: int, what: str) -> None:
        self.at, self.what, self.calls = at, what, 0

    def __call__(self, outputs: Tensor, wanted: Tensor) -> Tensor:
        self.calls += 1
        loss = nn.functional.cross_entropy(outputs, wanted)
        if self.calls != self.at:
            return loss
        if self.what == "loss":
            return loss * math.nan
        return loss + (0 * outputs.sum()).sqrt()  # 0, with an infinite slope


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_no_number_stops_with_the_last_good_mask_and_the_step(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, _ = found_by("edge-popup", epochs=3)
    steps = math.ceil(45 / 16)
    broken = Breaking(2 * steps + 2, what)
    monkeypatch.setattr(Classification, "loss", lambda self, a, b: broken(a, b))
    found, model = found_by("edge-popup", epochs=3)
    assert found.stopped is not None
    assert f"step {2 * steps + 2} (epoch 3 of 3)" in found.stopped
    assert found.history == good.history[:2]
    assert all(p.isfinite().all() for p in model.parameters())
    # the masks are those that stood at the end of the second epoch
    monkeypatch.undo()

    def stop(at: Progress) -> None:
        if at.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as broken_off:
        found_by("edge-popup", epochs=3, progress=stop)
    assert all(torch.equal(found.masks[n], m) for n, m in broken_off.value.found.masks.items())


@pytest.mark.parametrize("name", ["edge-popup", "global-edge-popup"])
def test_scores_that_overflow_stop_too(name: str) -> None:
    found, _ = found_by(name, settings={"rate": 1e38})
    assert found.stopped is not None
    assert "epoch 1" in found.stopped


# -- the model -------------------------------------------------------------------------------------


def test_the_model_comes_back_as_it_was() -> None:
    model = Convolutional().eval()
    Frozen(1, "normal").draw(model)
    model.norm.train()
    model.last.weight.requires_grad_(False)
    parameters = {n: (p, p.requires_grad) for n, p in model.named_parameters()}
    buffers = {n: b.clone() for n, b in model.named_buffers()}
    modes = {n: m.training for n, m in model.named_modules()}
    kinds = {n: type(m) for n, m in model.named_modules()}
    found, _ = found_by("edge-popup", "convolutional", model=model, source=None)
    assert list(parameters) == [n for n, _ in model.named_parameters()]
    for n, p in model.named_parameters():
        assert (p, p.requires_grad) == parameters[n] or p is parameters[n][0]
        assert p.requires_grad == parameters[n][1]
        assert p.grad is None
    for n, b in model.named_buffers():
        assert torch.equal(b, buffers[n])
    assert modes == {n: m.training for n, m in model.named_modules()}
    assert kinds == {n: type(m) for n, m in model.named_modules()}
    # what was done with everything else, said plainly
    text = " | ".join(found.notes)
    assert "biases of 2 layers are frozen and never masked (zero)" in text
    assert "scale and shift of 1 BatchNorm layers are frozen" in text
    assert "running statistics" in text
    assert not torch.equal(found.statistics["norm.running_mean"], buffers["norm.running_mean"])


def test_dropout_is_off_and_nobody_touches_the_shared_generator() -> None:
    before = torch.get_rng_state()
    a, _ = found_by("edge-popup", "convolutional")
    torch.rand(5)
    b, _ = found_by("edge-popup", "convolutional")
    assert same(a, b)
    torch.set_rng_state(before)
    found_by("bernoulli", "convolutional")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("network", ["perceptron", "convolutional"])
def test_a_saved_ticket_computes_what_was_measured(name: str, network: str, tmp_path: Path) -> None:
    source = Frozen(4, "normal", biases=0.5 if name == "scaled-edge-popup" else None)
    found, model = found_by(name, network, source=source)
    found.save(tmp_path / "mask.npz")
    held = load_found(tmp_path / "mask.npz")
    assert same(found, held)
    assert (held.notes, held.settings, held.source) == (found.notes, found.settings, found.source)
    if name != "iterand":  # whose weights only the searched model has
        model = NETWORKS[network][0]()
        Frozen(**held.source).draw(model)  # type: ignore[arg-type]
    values = held.values(model)
    held.apply(model)
    examples = data(NETWORKS[network][1])
    inputs, wanted = examples.judged
    with torch.no_grad():
        measured = examples.measure(model.eval()(inputs), wanted)
    assert measured == found.measures
    for n, mask in held.masks.items():
        module = model.get_submodule(n.rpartition(".")[0])
        weight = getattr(module, n.rpartition(".")[2])
        assert not weight[~mask].any(), "a pruned weight is not zero"
        torch.testing.assert_close(weight.detach(), values[n], rtol=1e-6, atol=0)


def test_a_ticket_refuses_another_model() -> None:
    found, _ = found_by("edge-popup")
    other = mlp()
    Frozen(5, "normal").draw(other)
    with pytest.raises(BadInput, match="other weights"):
        found.apply(other)
    with pytest.raises(BadInput, match="shape"):
        found.apply(mlp((6, 8, 5, 3)))


def test_a_damaged_file_is_bad_input(tmp_path: Path) -> None:
    found, _ = found_by("edge-popup", epochs=0)
    found.save(tmp_path / "mask.npz")
    raw = (tmp_path / "mask.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(raw[: len(raw) // 2])
    for name in ("cut.npz", "none.npz"):
        with pytest.raises(BadInput):
            load_found(tmp_path / name)


# -- objectives ------------------------------------------------------------------------------------


def target() -> Target:
    rng = np.random.default_rng(5)
    shapes = ((4, 6), (2, 4))
    return Target(tuple(rng.uniform(-0.4, 0.4, s) for s in shapes), (None, None))


@pytest.mark.parametrize("norm", ["mean", "largest"])
def test_approximation_measures_distance_and_its_certificate_holds(norm: Any) -> None:
    wanted, ball = target(), Ball(1.0, 6)
    goal = Approximation.of(wanted, ball, 512, 0, norm, judged=2000)
    model = mlp((6, 200, 2), bias=False)
    found, _ = found_by(
        "edge-popup",
        model=model,
        objective=goal,
        epochs=25,
        batch=64,
        source=Frozen(1, "normal", 0.5),
    )
    control, _ = found_by(
        "random-mask",
        model=mlp((6, 200, 2), bias=False),
        objective=goal,
        source=Frozen(1, "normal", 0.5),
    )
    assert found.measures["largest error"] < 0.5 * control.measures["largest error"]
    values = [w.double().numpy() for w in found.values(model).values()]
    ticket = Target(tuple(values), (None, None))
    # the certificate compares networks of the same widths: neurons of weight zero change nothing
    wider = Target((np.pad(wanted.weights[0], ((0, 196), (0, 0))),
                    np.pad(wanted.weights[1], ((0, 0), (0, 196)))), (None, None))  # fmt: skip
    x = goal.judged[0].double().numpy()
    errors = np.linalg.norm(ticket(x) - wanted(x), axis=1)
    assert found.measures["largest error"] == pytest.approx(errors.max(), rel=1e-4)
    assert found.measures["root mean square error"] == pytest.approx(
        np.sqrt(np.square(errors).mean()), rel=1e-4
    )
    g = Effective(
        tuple(values), tuple(values), tuple(np.zeros(len(w)) for w in values),
        tuple(np.zeros((len(w), w.shape[1] + 1)) for w in values),
    )  # fmt: skip
    certificate = certify(wider, g, ball, seed=0, restarts=4, steps=20, effort=0)
    assert errors.max() <= certificate.lower * 1.05 <= certificate.upper * 1.05
    assert errors.max() <= certificate.upper


def test_approximations_losses_by_hand() -> None:
    a, b = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    halves = (a, b)
    assert float(Approximation(a, b, halves, "mean").loss(a, b)) == (4 + 25) / 2
    assert float(Approximation(a, b, halves, "largest").loss(a, b)) == 5


def test_points_are_uniform_in_the_domain() -> None:
    """In a ball of dimension d, (‖x‖/r)^d is uniform: 5 standard errors of its mean."""
    draw, n = np.random.default_rng(0), 4000
    ball, box = Ball(2.0, 3), Box(np.array([-1.0, 0.0]), np.array([1.0, 5.0]))
    inside = uniform_points(ball, n, draw)
    shells = (np.linalg.norm(inside, axis=1) / 2) ** 3
    assert shells.max() <= 1
    assert abs(shells.mean() - 0.5) < 5 * math.sqrt(1 / 12 / n)
    assert np.abs(inside.mean(0)).max() < 5 * 2 / math.sqrt(n)
    points = uniform_points(box, n, draw)
    assert all(box.contains(p) for p in points[:50])
    assert np.abs(points.mean(0) - [0, 2.5]).max() < 5 * 5 / math.sqrt(12 * n)


# -- precision and devices -------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["perceptron", "convolutional"])
def test_mixed_precision_agrees_with_float32_to_its_rounding(network: str) -> None:
    """One step: bfloat16 has eight bits, so losses and gradients agree to a few parts in 256."""
    steps = {}
    for precision in ("float32", "mixed"):
        build, shape = NETWORKS[network]
        plan = Plan(
            build(), make("edge-popup"), data(shape), 0.5, 1, 45, 0, Frozen(2, "normal"), precision
        )
        run = _Run.of(plan)
        start = [layer.scores.clone() for layer in run.layers]
        with run.prepared(1):
            loss = step(run, run.moment(), *run.examples)
        moved = torch.cat(
            [(la.scores - s).reshape(-1) for la, s in zip(run.layers, start, strict=True)]
        )
        steps[precision] = loss, moved
        assert all(layer.scores.dtype == torch.float32 for layer in run.layers)
    (loss, moved), (loss_mixed, moved_mixed) = steps["float32"], steps["mixed"]
    assert loss_mixed == pytest.approx(loss, rel=0.03)
    assert loss_mixed != loss, "nothing was computed in bfloat16"
    assert float((moved - moved_mixed).norm() / moved.norm()) < 0.1


def test_a_search_in_mixed_precision_comes_as_far() -> None:
    model = mlp((6, 64, 64, 3))
    found, _ = found_by("edge-popup", model=model, epochs=25, precision="mixed")
    assert found.measures["accuracy"] >= 0.9


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("name", EVERY)
def test_cuda_searches_as_the_cpu_does(name: str) -> None:
    """Sums round otherwise, so masks may differ where scores are close: one weight in fifty."""
    a, _ = found_by(name, "perceptron", epochs=2)
    b, _ = found_by(name, "perceptron", epochs=2, device="cuda")
    assert {n: m.sum() for n, m in b.masks.items()}.keys() == a.masks.keys()
    assert b.kept == a.kept
    if name not in ("bernoulli", "gumbel", "iterand"):  # whose noise is the device's own
        wrong = sum(int((a.masks[n] != b.masks[n]).sum()) for n in a.masks)
        assert wrong <= a.size // 50


# -- bad input -------------------------------------------------------------------------------------


def trained() -> nn.Module:
    model = mlp()
    Frozen(1).draw(model)
    model(torch.ones(1, 6)).sum().backward()
    return model


def reparametrised() -> nn.Module:
    model = mlp()
    torch.nn.utils.parametrizations.weight_norm(model[0])
    return model


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"density": 0.0}, "density: got 0.0; allowed: a number in (0, 1]"),
        ({"density": 1.2}, "density: got 1.2"),
        ({"density": math.nan}, "density: got nan"),
        ({"density": 0.03}, "none of the 15 weights of 4.weight"),
        ({"epochs": -1}, "epochs, batch"),
        ({"batch": 0}, "epochs, batch"),
        ({"precision": "half"}, "precision: got half; allowed: float32, mixed"),
        ({"device": "abacus"}, "device: got abacus"),
        ({"model": nn.Sequential(nn.ReLU()), "source": None}, "without prunable weights"),
        ({"model": mlp((7, 5, 3))}, "shape: got (6,)"),
        ({"model": mlp((6, 2))}, "one output for each of 3 classes"),
    ],
)
def test_bad_input_is_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as error:
        found_by("edge-popup", **changes)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_density_that_is_asked_for_suffices() -> None:
    with pytest.raises(BadInput) as error:
        found_by("edge-popup", density=0.03)
    needed = float(str(error.value).split("pass at least ")[1].split(",")[0])
    assert 0.5 / 15 < needed < 0.51 / 15
    found, _ = found_by("edge-popup", density=needed, epochs=1)
    assert min(kept for kept, _ in found.layers.values()) == 1


def test_a_model_in_training_is_refused_and_left_alone() -> None:
    model = trained()
    before = hash_of(dict(model.named_parameters()))
    with pytest.raises(BadInput, match="a gradient, which some training uses"):
        found_by("edge-popup", model=model)
    assert hash_of(dict(model.named_parameters())) == before
    with pytest.raises(BadInput, match="computed from other parameters"):
        found_by("edge-popup", model=reparametrised())
    model.zero_grad(set_to_none=True)
    found_by("edge-popup", model=model, epochs=1)


def test_a_layer_that_a_whole_search_emptied_is_named() -> None:
    found, _ = found_by("global-edge-popup", density=0.02, epochs=1)
    emptied = [n for n, (kept, _) in found.layers.items() if kept == 0]
    assert list(found.empty) == emptied
    assert emptied, "the example should empty a layer"


def test_frozen_refuses_what_it_cannot_draw() -> None:
    for wrong in ({"init": "xavier"}, {"density": 0.0}, {"density": 2.0}):
        with pytest.raises(BadInput):
            Frozen(1, **wrong)  # type: ignore[arg-type]
    with pytest.raises(BadInput):
        dense(1, 0, (3, 4, 5), Normal(1.0))
    assert replace(Frozen(1), seed=2) != Frozen(1)

"""Pruning: exactly so many weights, ties by order, the theorem that no layer dies early, masks that
go back on the model; and the quick rounds against a plain loop."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune as torch_prune

from slth.errors import BadInput
from slth.mask import count_for, keep_top
from slth.pruning import Context, _rounds, _select, load, load_pruning, prune, saliencies
from slth.pruning._layers import layers
from slth.pruning._ranking import OnCpu, OnDevice, Ranking, interval, whole
from slth.pruning._schedule import plan


def mlp(dims, seed=0, dtype=torch.float32, law="normal"):
    rng, parts = np.random.default_rng(seed), []
    for i, (a, b) in enumerate(pairwise(dims)):
        linear = nn.Linear(a, b, bias=False, dtype=dtype)
        drawn = rng.normal(size=(b, a)) if law == "normal" else rng.choice([-0.1, 0.1], (b, a))
        linear.weight.data = torch.from_numpy(drawn).to(dtype)
        parts += [nn.ReLU(), linear] if i else [linear]
    return nn.Sequential(*parts)


def lenet(seed=0, dtype=torch.float32):
    torch_draw = torch.Generator().manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(6, 5, bias=False),
    )  # fmt: skip
    with torch.no_grad():
        for layer in layers(model):
            layer.module.weight.normal_(generator=torch_draw)
    return model.to(dtype)


def context(model, shape, seed=0):
    rng = np.random.default_rng(seed)
    classes = layers(model)[-1].module.weight.shape[0]
    return Context(
        shape, (torch.from_numpy(rng.normal(size=(8, *shape))), torch.arange(8) % classes)
    )


def alive_in(pruning):
    return torch.cat([m.reshape(-1) for m in pruning.masks.values()])


# -- counts, ties, schedules -----------------------------------------------------------------------


@pytest.mark.parametrize("name", saliencies())
@pytest.mark.parametrize("masking", ["global", "local"])
@pytest.mark.parametrize(
    ("schedule", "steps"),
    [("exponential", None), ("exponential", 7), ("linear", 5), ("each", None)],
)
def test_exactly_so_many_are_kept(name, masking, schedule, steps):
    model = mlp((6, 5, 4, 3), 3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.train()
    model[1].eval()
    for compression in (1, 1.7, 5.0):
        found = prune(
            model, load(name)(), compression, context=context(model, (6,)), masking=masking,
            schedule=schedule, steps=steps,
        )  # fmt: skip
        sizes = [30, 20, 12]
        if masking == "global":
            assert found.kept == count_for(1 / compression, 62)
        else:
            assert [k for k, _ in found.layers.values()] == [
                count_for(1 / compression, size) for size in sizes
            ]
        assert [size for _, size in found.layers.values()] == sizes
        assert found.compression == 62 / found.kept
        assert found.density == found.kept / 62
    assert all((before[k] == v).all() for k, v in model.state_dict().items())
    assert not any(p.grad is not None for p in model.parameters())
    assert model.training
    assert not model[1].training


@pytest.mark.parametrize("name", ["magnitude", "synflow", "paths"])
@pytest.mark.parametrize("kept", [1, 5, 17, 24, 25])
def test_equal_weights_are_pruned_in_order_not_all_at_once(name, kept):
    model = mlp((5, 5), law="signs")
    found = prune(model, load(name)(), 25 / kept, context=Context((5,)), steps=1)
    assert alive_in(found).tolist() == [True] * kept + [False] * (25 - kept)


def test_schedules_are_the_published_fractions():
    size, rho = 10_000, 100.0
    exponential = plan([size], rho, 10, "exponential", "global")
    assert exponential == [(round(size * rho ** (-t / 10)),) for t in range(1, 11)]
    linear = plan([size], rho, 10, "linear", "global")
    assert linear == [(round(size * (1 - (1 - 1 / rho) * t / 10)),) for t in range(1, 11)]
    assert plan([7], 3.5, 1, "each", "global") == [(6,), (5,), (4,), (3,), (2,)]
    assert plan([4, 2], 2, 1, "each", "local") == [(3, 1), (2, 1)]
    assert plan([size], 1, 100, "exponential", "global") == []
    # steps that would remove nothing are left out, the count asked for is always reached
    assert plan([3], 3, 100, "exponential", "global") == [(2,), (1,)]


def test_published_steps():
    ticks: list[tuple[int, int]] = []
    model = mlp((90, 60, 30))
    for name in saliencies():
        ticks.clear()
        prune(
            model, load(name)(), 100, context=context(model, (90,)),
            progress=lambda done, total: ticks.append((done, total)),
        )  # fmt: skip
        many = name in ("synflow", "synflow_l2", "paths")
        assert ticks == [(k + 1, len(ticks)) for k in range(len(ticks))]
        assert len(ticks) == (100 if many else 1)


def test_masks_only_shrink():
    model = mlp((12, 9, 7), 5)
    masks = [
        alive_in(prune(model, load("synflow")(), 63 / k, context=Context((12,)), schedule="each"))
        for k in (40, 12, 2)
    ]
    assert all(not (later & ~earlier).any() for earlier, later in pairwise(masks))


def test_what_lies_on_no_path_goes_first():
    model = mlp((6, 5, 4))
    with torch.no_grad():
        model[2].weight[:, 2] = 0  # the third hidden neuron leads nowhere
    for schedule in ("exponential", "each"):
        found = prune(model, load("synflow")(), 50 / 40, context=Context((6,)), schedule=schedule)
        assert not found.masks["0"][2].any()
        assert not found.masks["2"][:, 2].any()
        assert found.kept == 40


# -- the theorem -----------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.integers(1, 4), min_size=3, max_size=6), st.integers(0, 10**6))
def test_one_at_a_time_reaches_one_weight_a_layer(dims, seed):
    """Theorem 3 of Tanaka et al. (2020): no layer is empty before N/L."""
    model = mlp(dims, seed)
    sizes = [a * b for a, b in pairwise(dims)]
    most = sum(sizes) / len(sizes)
    found = prune(model, load("synflow")(), most, context=Context((dims[0],)), schedule="each")
    assert [kept for kept, _ in found.layers.values()] == [1] * len(sizes)
    assert found.empty == ()


def test_and_at_once_it_does_not():
    """The control: the same scores, used once, empty layers far earlier."""
    model = mlp((64, 256, 32, 256, 10))
    found = prune(model, load("synflow")(), 100, context=Context((64,)), steps=1)
    assert found.empty
    found = prune(model, load("synflow")(), 100, context=Context((64,)))
    assert found.empty == ()


# -- the quick rounds against a plain loop ---------------------------------------------------------


def plain_synflow(model, shape, compression, steps):
    """Dense float64 scores by autograd and a full sort, as one would write it down."""
    import copy

    model = copy.deepcopy(model).double().eval()
    for parameter in model.parameters():
        parameter.data.abs_()
    weights = [layer.module.weight for layer in layers(model)]
    size = sum(w.numel() for w in weights)
    alive = torch.ones(size, dtype=torch.bool)
    for t in range(1, steps + 1):
        total = model(torch.ones(1, *shape, dtype=torch.float64)).sum()
        grads = torch.autograd.grad(total, weights)
        scores = torch.cat(
            [(g * w).detach().reshape(-1) for g, w in zip(grads, weights, strict=True)]
        )
        order = sorted(range(size), key=lambda i: (not alive[i], -float(scores[i]), i))
        alive = torch.zeros(size, dtype=torch.bool)
        alive[order[: round(size * compression ** (-t / steps))]] = True
        for w, part in zip(weights, alive.split([w.numel() for w in weights]), strict=True):
            w.data *= part.reshape(w.shape)
    return alive


@pytest.mark.parametrize(
    ("make", "shape"),
    [(lambda k: mlp((9, 8, 7, 3), k), (9,)), (lambda k: mlp((20, 6, 2), k), (20,)),
     (lenet, (1, 10, 10))],
    ids=["mlp", "thin", "lenet"],
)  # fmt: skip
def test_float32_masks_are_those_of_float64_to_the_last_weight(make, shape):
    """And where rounding could have turned a decision, the count of unresolved ones says so.

    At higher compression more and more do: the only weight into a neuron and the only one out of it
    carry the same flow, exactly.
    """
    certain = 0
    for seed in range(8):
        model = make(seed)
        found = prune(model, load("synflow")(), 3, context=Context(shape), steps=12)
        wanted = plain_synflow(model, shape, 3, 12)
        differing = int((alive_in(found) != wanted).sum())
        assert found.unresolved is not None
        if found.unresolved == 0:
            certain += 1
            assert differing == 0
        else:
            assert differing <= found.unresolved
    assert certain >= 5


def test_twins_are_unresolved():
    """Two weights whose scores are equal, but for rounding, cannot be told apart."""
    model = mlp((4, 2), 0)
    with torch.no_grad():
        model[0].weight[0] = torch.tensor([1.0, 2.0, 3.0, 0.5])
        model[0].weight[1] = torch.tensor([5.0, 6.0, 3.0 * (1 + 2**-22), 7.0])
    # kept 5, 6, 7 and one of 3, 3(1 + ε)
    found = prune(model, load("synflow")(), 2, context=Context((4,)), steps=1)
    assert found.unresolved == 2
    found = prune(model.double(), load("synflow")(), 2, context=Context((4,)), steps=1)
    assert found.unresolved == 0
    assert found.masks["0"].tolist() == [[False] * 3 + [False], [True] * 4]


def test_no_bound_is_claimed_where_none_is_known():
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    assert prune(model, load("synflow")(), 2, context=Context((4,))).unresolved is None
    assert prune(model, load("snip")(), 2, context=context(model, (4,))).unresolved is None
    assert prune(model, load("magnitude")(), 2, context=Context((4,))).unresolved == 0


@pytest.mark.parametrize("masking", ["global", "local"])
def test_what_float32_cannot_hold_is_ranked_in_float64(masking):
    """Weights of 10^-20 beside those of one: float32 underflows to ties at zero."""
    model = mlp((6, 5, 4, 3), 2)
    with torch.no_grad():
        for k in (0, 2, 4):
            model[k].weight[1:] *= 1e-20
    low = prune(model, load("synflow")(), 1.3, context=Context((6,)), masking=masking, steps=4)
    high = prune(
        model.double(), load("synflow")(), 1.3, context=Context((6,)), masking=masking, steps=4
    )
    assert low.unresolved == 0
    assert (alive_in(low) == alive_in(high)).all()


def test_scores_below_the_smallest_float_are_ranked_in_float64():
    """Two flows of 2^-140: float32 rounds both to one number and would drop the later one."""
    model, tiny = mlp((3, 2, 1)), 2.0**-70
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1, 1, 1], [1, tiny * 1.0001, tiny * 1.0002]]))
        model[2].weight.copy_(torch.tensor([[1, tiny]]))
    assert tiny * 1.0001 * tiny < 2.0**-126
    found = prune(model, load("synflow")(), 8 / 7, context=Context((3,)), steps=1)
    assert found.masks["0"].tolist() == [[True] * 3, [True, False, True]]
    assert found.masks["2"].all()


@pytest.mark.parametrize("masking", ["global", "local"])
def test_other_devices_rank_as_the_cpu_does(masking, monkeypatch):
    """The torch operations that a GPU uses, run on the CPU."""
    for seed in range(3):
        model = lenet(seed)
        found = []
        for kind in (OnCpu, OnDevice):
            monkeypatch.setattr(_rounds, "OnCpu", kind)
            places = whole if kind is OnCpu else lambda mask: mask.reshape(-1).nonzero().reshape(-1)
            monkeypatch.setattr(_rounds, "whole", places)
            found.append(
                prune(model, load("synflow")(), 9, context=Context((1, 10, 10)), masking=masking)
            )
        assert (alive_in(found[0]) == alive_in(found[1])).all()
        assert found[0].unresolved == found[1].unresolved


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device at hand")
@pytest.mark.parametrize("name", saliencies())
def test_cuda_scores_and_masks_are_those_of_the_cpu(name):
    model, shape = lenet(0), (1, 10, 10)
    given = context(model, shape)
    cpu = prune(model, load(name)(), 8, context=given)
    gpu = prune(model.cuda(), load(name)(), 8, context=given)
    differing = int((alive_in(cpu) != alive_in(gpu).cpu()).sum())
    assert all(mask.is_cuda for mask in gpu.masks.values())
    assert differing <= (2 if cpu.unresolved is None else cpu.unresolved)


# -- ranking ---------------------------------------------------------------------------------------

ODD = st.sampled_from([0.0, 5e-324, 1e-310, 1e-38, 1e-45, 1.0, 1.0 + 2**-23, 2.0, 3e38])


@settings(max_examples=150)
@given(st.lists(st.lists(ODD | st.floats(0, 1e30), max_size=9), min_size=1, max_size=3), st.data())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [OnCpu, OnDevice])
def test_ranking_is_keep_top_of_the_living(kind: type[Ranking], dtype, parts, data):
    arrays = [np.array(part, dtype=dtype) for part in parts]
    line = np.concatenate(arrays)
    if not line.size:
        return
    k = data.draw(st.integers(1, line.size))
    index = [torch.arange(0, 2 * a.size, 2, dtype=torch.int32) for a in arrays]
    weights = [torch.ones(2 * a.size) for a in arrays]
    ranked = kind([torch.from_numpy(a) for a in arrays])
    assert ranked.threshold(k) == np.sort(line)[::-1][k - 1]
    kept = keep_top(line, k)
    wanted = np.split(kept, np.cumsum([a.size for a in arrays])[:-1])
    bound = 1e-3
    low, high = line[kept].min(), line[~kept].max(initial=0)
    if k == line.size or low == 0:
        unsure = 0
    else:
        span = interval(float(low), float(high), bound)
        unsure = (
            0 if span is None else int(sum((dtype(span[0]) <= line) & (line <= dtype(span[1]))))
        )
    assert ranked.unresolved(bound) == unsure
    given = [i.clone() for i in index]
    if kind is OnCpu and data.draw(st.booleans()):  # marked instead of listed
        given = [torch.zeros(2 * a.size, dtype=torch.bool) for a in arrays]
        for mask in given:
            mask[::2] = True
    places = ranked.keep(given, weights)
    for line, keep, weight, i in zip(places, wanted, weights, index, strict=True):
        line = line.nonzero().reshape(-1) if line.dtype == torch.bool else line
        assert line.tolist() == (2 * np.flatnonzero(keep)).tolist()
        assert (weight[i] == torch.from_numpy(keep)).all()
        assert (weight[1::2] == 1).all()


def test_many_scores_on_every_core():
    rng = np.random.default_rng(0)
    parts = [rng.random(n).astype(np.float32) for n in (70_000, 3, 150_000)]
    line = np.concatenate(parts)
    for k in (1, 1000, line.size - 1, line.size):
        found = _select.kth_highest([_select.as_bits(p) for p in parts], k)
        assert np.array([found]).view(np.float32)[0] == np.sort(line)[::-1][k - 1]


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("kind", [OnCpu, OnDevice])
def test_scores_that_are_not_finite_have_no_threshold(kind, bad):
    scores = [torch.tensor([1.0, bad, 2.0])]
    assert np.isnan(kind(scores).threshold(1))


# -- shortcuts -------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.shortcut = nn.Sequential(nn.Conv2d(2, 4, 1, bias=False))
        self.head = nn.Linear(4, 3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head((torch.relu(self.conv(x)) + self.shortcut(x)).mean((2, 3)))


def test_projections_on_shortcuts_are_pruned_only_if_asked():
    model = Block()
    plain = prune(model, load("synflow")(), 4, context=Context((2, 5, 5)))
    assert list(plain.masks) == ["conv", "head"]
    assert plain.size == 72 + 12
    whole = prune(model, load("synflow")(), 4, context=Context((2, 5, 5)), shortcuts=True)
    assert list(whole.masks) == ["conv", "shortcut.0", "head"]


# -- the result ------------------------------------------------------------------------------------


def test_saved_masks_come_back_and_go_onto_the_model(tmp_path):
    model = lenet(3)
    found = prune(model, load("synflow")(), 10, context=Context((1, 10, 10)))
    found.save(tmp_path / "mask.npz")
    back = load_pruning(tmp_path / "mask.npz")
    assert list(back.masks) == list(found.masks)
    assert all((back.masks[n] == found.masks[n]).all() for n in back.masks)
    for field in ("method", "requested", "weights", "unresolved", "kept", "size"):
        assert getattr(back, field) == getattr(found, field)
    before = {layer.name: layer.module.weight.detach().clone() for layer in layers(model)}
    back.apply(model)
    assert torch_prune.is_pruned(model)
    for name, mask in back.masks.items():
        module = model.get_submodule(name)
        assert (module.weight_orig == before[name]).all()
        assert (module.weight_mask == mask).all()
        assert (module.weight == before[name] * mask).all()
        torch_prune.remove(module, "weight")
        assert int(module.weight.count_nonzero()) == found.layers[name][0]


def test_other_weights_are_refused_unless_meant():
    model, other = lenet(3), lenet(4)
    found = prune(model, load("magnitude")(), 10, context=Context((1, 10, 10)))
    with pytest.raises(BadInput, match="other weights"):
        found.apply(other)
    assert not torch_prune.is_pruned(other)
    found.apply(other, other_weights=True)
    assert torch_prune.is_pruned(other)
    with pytest.raises(BadInput, match="layer 0"):
        found.apply(mlp((3, 2)))


@pytest.mark.parametrize("spoil", ["pruned", "normed"])
def test_masks_go_on_all_layers_or_none(spoil):
    model = small()
    found = prune(model, load("magnitude")(), 2, context=FOUR)
    if spoil == "pruned":
        torch_prune.identity(model[2], "weight")
    else:
        nn.utils.parametrizations.weight_norm(model[2])
    with pytest.raises(BadInput, match=r"2\.weight: got a weight that is computed"):
        found.apply(model, other_weights=True)
    assert not torch_prune.is_pruned(model[0])


@pytest.mark.parametrize("by", [-1, 1])
def test_mask_bits_of_another_length_are_refused(by, tmp_path):
    path = tmp_path / "mask.npz"
    prune(mlp((6, 3, 2)), load("magnitude")(), 2, context=Context((6,))).save(path)
    with np.load(path) as held:
        arrays = dict(held)
    arrays["mask_0"] = np.resize(arrays["mask_0"], len(arrays["mask_0"]) + by)
    np.savez(path, **arrays)
    with pytest.raises(BadInput, match=r"mask\.npz: got ValueError: \d bytes for the 18 bits"):
        load_pruning(path)


# numpy.load leaves the file open where the archive in it is cut short
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", ["gone", "cut", "text", "ticket"])
def test_damaged_files_are_refused(damage, tmp_path):
    path = tmp_path / "mask.npz"
    prune(mlp((3, 2)), load("magnitude")(), 2, context=Context((3,))).save(path)
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "text":
        path.write_text("no zip")
    else:
        np.savez(path, header=np.frombuffer(b'{"kind": "ticket", "format": 1}', np.uint8))
    with pytest.raises(BadInput, match=r"mask\.npz: got "):
        load_pruning(path)


# -- bad input -------------------------------------------------------------------------------------


def nan_in(model):
    with torch.no_grad():
        model[2].weight[0, 0] = float("nan")
    return model


def already_pruned():
    model = mlp((4, 3, 2))
    torch_prune.l1_unstructured(model[0], "weight", amount=2)
    return model


def small():
    return mlp((4, 3, 2))


def tied(first, second):
    model = nn.Sequential(first, nn.ReLU(), second)
    model[2].weight = model[0].weight
    return model


class Raises(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.layer, self.error = nn.Linear(4, 2), error

    def forward(self, x):
        raise self.error


FOUR = Context((4,))
LABELS = Context((4,), (torch.ones(3, 4), torch.arange(3)))
BATCH = Context((4,), (torch.ones(3, 5), torch.zeros(3)))
BAD = [
    # model, compression, method and options, what the line must say
    (small, 9.001, {}, r"compression: got 9\.001; allowed: 1 to 9 = N/L, N = 18 weights in L = 2"),
    (small, 0.5, {}, "compression: got 0.5; allowed: 1 to 9"),
    (small, float("nan"), {}, "compression: got nan"),
    (lambda: nan_in(small()), 2, {}, r"2\.weight: got NaN or infinity"),
    (lambda: nn.Sequential(nn.ReLU(), nn.Flatten()), 2, {}, "without prunable weights"),
    (lambda: mlp((5, 3, 2)), 2, {}, r"shape: got \(4,\), on which the model's forward pass fails"),
    (small, 2, {"name": "snip"}, "batch: got None; .*Snip"),
    (small, 2, {"name": "snip", "context": LABELS}, "batch: got labels 0 to 2 for outputs"),
    (small, 2, {"name": "grasp", "context": BATCH}, r"batch: got inputs \(3, 5\)"),
    (lambda: mlp((4, 3, 1)), 7.0, {"masking": "local"}, "leaves nothing of a layer of 3 weights"),
    (small, "2", {}, "compression: got 2; allowed: 1 to 9"),
    (small, 2, {"steps": 0}, "steps: got 0"),
    (small, 2, {"steps": 1.5}, "steps: got 1.5; allowed: a whole number of at least 1"),
    (lambda: Raises(KeyError("foo")), 2, {}, r"shape: got \(4,\), on .* KeyError: 'foo'; allowed"),
    (lambda: Raises(OSError(7, "a\nb")), 2, {}, r"fails: OSError: \[Errno 7\] a b; allowed"),
    (lambda: Raises(AttributeError("x" * 500)), 2, {}, r"AttributeError: x+\.\.\.; allowed"),
    (lambda: tied(nn.Linear(4, 4), nn.Linear(4, 4)), 2, {}, "weights shared between 0 and 2;"),
    (lambda: tied(nn.Embedding(4, 4), nn.Linear(4, 4)), 2, {}, "shared between 0 and 2"),
    (already_pruned, 2, {}, r"0\.weight: got a weight that is computed"),
    (small, 2, {"schedule": "cosine"}, "schedule: got cosine"),
    (small, 2, {"masking": "blockwise"}, "masking: got blockwise"),
]


@pytest.mark.parametrize(("make", "compression", "options", "said"), BAD)
def test_bad_input_is_said_in_one_line(make, compression, options, said):
    options = dict(options)
    name = options.pop("name", "synflow")
    given_context = options.pop("context", FOUR)
    with pytest.raises(BadInput, match=said) as caught:
        prune(make(), load(name)(), compression, context=given_context, **options)
    assert "\n" not in str(caught.value)


def test_modules_without_parameters_are_no_obstacle():
    model = nn.Sequential(
        nn.Identity(), nn.Flatten(), mlp((4, 3, 2)), nn.Dropout(), nn.Sequential()
    )
    assert prune(model, load("synflow")(), 9, context=FOUR).kept == 2


def test_grasp_has_a_temperature_above_zero():
    with pytest.raises(BadInput, match="temperature: got 0"):
        load("grasp")(temperature=0.0)

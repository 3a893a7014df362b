"""The conservation simulation: its parts against plain oracles, its stored run against itself."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sims import _conservation_figure, _descent, _flow, _protocol, _theorem3
from sims import conservation as simulation
from slth import plot
from slth.errors import BadInput
from slth.mask import count_for
from slth.pruning import Context, load, prune
from slth.stats.verdict import State

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return _protocol.read_table(FIGURES / "conservation.csv")


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads((FIGURES / "conservation.json").read_text("utf-8"))


def weights_of(model: nn.Module) -> list[torch.Tensor]:
    return [m.weight.detach() for m in model if hasattr(m, "weight")]


class TestTheorem3:
    @pytest.mark.parametrize("seed", range(4))
    def test_as_stated_it_is_what_the_library_does(self, seed) -> None:  # type: ignore[no-untyped-def]
        model, dims = _theorem3.network(seed, 5)
        sizes = [a * b for a, b in pairwise(dims)]
        found = prune(
            model, load("synflow")(), sum(sizes) / len(sizes), context=Context((dims[0],)),
            schedule="each",
        )  # fmt: skip
        assert [kept for kept, _ in found.layers.values()] == [1] * len(sizes)
        assert _theorem3.reached(_theorem3.WHOLE, seed, 5)["reached"] == 1

    @pytest.mark.parametrize("rule", ["single shot", "magnitude"])
    @pytest.mark.parametrize("seed", range(4))
    def test_one_order_of_all_weights_says_when_a_layer_dies(self, rule, seed) -> None:  # type: ignore[no-untyped-def]
        """Scores that stay as they are: the layer whose best weight is least dies first."""
        model, dims = _theorem3.network(seed, 5)
        layers = [w.abs() for w in weights_of(model)]
        if rule == "single shot":
            down, up = [torch.ones(dims[0]).double()], [torch.ones(dims[-1]).double()]
            for w in layers[:-1]:
                down.append(w @ down[-1])
            for w in layers[:0:-1]:
                up.insert(0, up[0] @ w)
            layers = [u[:, None] * w * d for u, w, d in zip(up, layers, down, strict=True)]
        best = min(float(s.max()) for s in layers)
        left = sum(int((s >= best).sum()) for s in layers)
        found = _theorem3.reached(rule, seed, 5)
        assert found["reached"] == pytest.approx(len(layers) / left)

    def test_local_masking_dies_where_its_smallest_share_rounds_to_nothing(self) -> None:
        for seed in range(6):
            _, dims = _theorem3.network(seed, 5)
            sizes = [a * b for a, b in pairwise(dims)]
            alive = [
                k for k in range(1, sum(sizes))
                if all(count_for(k / sum(sizes), size) > 0 for size in sizes)
            ]  # fmt: skip
            expected = min(1.0, len(sizes) / min(alive))
            assert _theorem3.reached(_theorem3.LOCAL, seed, 5)["reached"] == expected

    def test_scores_of_outputs_are_autograds(self) -> None:
        model, dims = _theorem3.network(1, 6)
        masks = {
            name: torch.rand(m.weight.shape, generator=torch.Generator().manual_seed(2)) < 0.8
            for name, m in model.named_modules()
            if hasattr(m, "weight")
        }
        found = _theorem3.of_outputs(dims, True, np.random.default_rng(3))(model, masks, None)
        rng = np.random.default_rng(3)
        x, c = (
            torch.from_numpy(rng.normal(size=(_theorem3.BATCH, d))) for d in (dims[0], dims[-1])
        )
        leaves = {n: (model.get_submodule(n).weight.detach() * m).requires_grad_()
                  for n, m in masks.items()}  # fmt: skip
        y = x
        for i, w in enumerate(leaves.values()):
            y = (y.relu() if i else y) @ w.T
        slopes = torch.autograd.grad((c * y).sum(), list(leaves.values()))
        for (name, w), slope in zip(leaves.items(), slopes, strict=True):
            assert torch.allclose(found[name], (w * slope).detach())

    def test_cut_in_two_nothing_flows_and_with_zeros_something_does(self) -> None:
        for how, flows in (("cut", False), ("zeros", True)):
            model, dims = _theorem3.network(4, 6)
            _theorem3.prepare(model, how, np.random.default_rng(0))
            flow = torch.ones(dims[0]).double()
            for w in weights_of(model):
                flow = w.abs() @ flow
            assert (float(flow.sum()) > 0) is flows
            assert any((w == 0).any() for w in weights_of(model))


class TestDescent:
    def test_gradients_are_autograds_own_of_the_same_network(self) -> None:
        x, labels = (part[:20] for part in _descent.digits()[:2])
        held = _descent.initial("xavier_normal", 1)
        model = nn.Sequential(*(
            part for w in held
            for part in (nn.Linear(*w.shape[::-1], bias=False, dtype=torch.float64), nn.ReLU())
        ))[:-1]  # fmt: skip
        for layer, w in zip(model[::2], held, strict=True):
            layer.weight = nn.Parameter(w)
        loss = nn.functional.cross_entropy(model(x), labels)
        slopes = torch.autograd.grad(loss, list(model.parameters()))
        for a, b in zip(_descent.gradients(x, labels, held), slopes, strict=True):
            assert torch.allclose(a, b)

    def test_momentum_and_adam_are_torchs_up_to_scale(self) -> None:
        rng = np.random.default_rng(0)
        slopes = [[torch.from_numpy(rng.normal(size=(2, 3))) for _ in range(4)] for _ in range(5)]
        held = [torch.zeros(2, 3, dtype=torch.float64) for _ in range(4)]
        for rule, rate in (("momentum", 0.1 * (1 - _descent.MOMENTUM)), ("adam", 0.1)):
            moves, first, second = _descent.stepped(rule, 0.1), held, held
            for count, given in enumerate(slopes, 1):
                found = moves(held, given)
                if rule == "momentum":
                    first = [_descent.MOMENTUM * v + g for v, g in zip(first, given, strict=True)]
                    expected = [rate * v for v in first]
                else:
                    first = [0.9 * m + 0.1 * g for m, g in zip(first, given, strict=True)]
                    second = [0.999 * v + 0.001 * g**2 for v, g in zip(second, given, strict=True)]
                    expected = [
                        _descent.ADAM * rate * (m / (1 - 0.9**count))
                        / ((v / (1 - 0.999**count)).sqrt() + 1e-12)
                        for m, v in zip(first, second, strict=True)
                    ]  # fmt: skip
                for a, b in zip(found, expected, strict=True):
                    assert torch.allclose(a, b, rtol=1e-6)

    def test_magnitudes_at_once_and_round_by_round(self, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        held = [
            torch.tensor([[9.0, 1.0]]),
            torch.tensor([[2.0], [8.0]]),
            torch.tensor([[0.5, 3.0]]),
        ]
        # of 9, 8, 3, 2, 1, 0.5 the third layer's 3 must stay, so 3 are left: all of N/L
        assert _descent.at_once(held) == 1.0
        held[2] = torch.tensor([[0.5, 1.5]])
        assert _descent.at_once(held) == pytest.approx(3 / 4)  # 9, 8, 2 and 1.5
        # without training, rounds end at the last count that they meet from 4 up
        assert _descent.iterated(held, 0, 0, 0.999) == pytest.approx(3 / 4)
        # one whose training makes each layer's largest stand out goes all the way

        def trained(weights, masks, *_):  # type: ignore[no-untyped-def]
            return [w * m * (1 + 99 * (w == w.max())) for w, m in zip(weights, masks, strict=True)]

        monkeypatch.setattr(_descent, "train", trained)
        assert _descent.iterated(held, 0, 1, 0.999) == 1.0

    def test_slopes_are_of_logarithms(self) -> None:
        sizes = np.array([10.0, 100.0, 1000.0])
        assert _descent.slope(sizes, 3 / sizes) == pytest.approx(1)
        assert _descent.slope(sizes, 3 / sizes**0.5) == pytest.approx(0.5)

    def test_a_step_moves_norms_as_derived_and_tanh_does_not(self, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        monkeypatch.setattr(_descent, "TIME", 0.5)
        for rule, low, high in (
            ("descent", 0, 1e-13),
            ("weight decay", 0, 1e-13),
            ("tanh", 1e-6, 1),
        ):
            assert low <= _descent.drift(rule, 0.25, 3)["off"] <= high


class TestDevice:
    @pytest.mark.parametrize(
        ("part", "what", "how"),
        [
            ("conserved", "lenet5", "biases"),
            ("theorem 3", "as stated", None),
            ("theorem 3", "either sign", None),
            ("inverse law", "mlp:784,300,100,10", "random"),
            ("drift", "descent", None),
            ("training", "xavier_normal", None),
        ],
    )
    def test_every_part_runs_where_it_is_told(self, part, what, how) -> None:  # type: ignore[no-untyped-def]
        """Tensors on meta hold no numbers: who computes there has nothing to return."""
        with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
            simulation.cell(part, what, how, 601, True, "meta")
        again = simulation.cell(part, what, how, 601, True, "cpu:0")
        assert again == simulation.cell(part, what, how, 601, True)

    def test_one_that_is_not_there_is_refused_before_any_work(self, tmp_path) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(BadInput, match="cuda:99"):
            simulation.main(
                ["--device", "cuda:99", "--smoke", "--out", str(tmp_path / "out")],
                standalone_mode=False,
            )
        assert not (tmp_path / "out").exists()


class TestTheStoredRun:
    def test_it_is_whole_and_its_controls_were_refuted(self, rows, stored) -> None:  # type: ignore[no-untyped-def]
        for cell, row in zip(simulation.cells(False), rows, strict=True):
            assert {k: row[k] for k in cell} == cell
        assert len(stored["controls"]) >= 15
        assert all(c["state"] == "refuted" for c in stored["controls"].values())

    def test_its_verdicts_follow_from_its_table(self, rows, stored) -> None:  # type: ignore[no-untyped-def]
        again = simulation.analyse(rows).to_json()
        for part in ("verdicts", "controls"):
            assert {k: v["state"] for k, v in again[part].items()} == {
                k: v["state"] for k, v in stored[part].items()
            }
        assert {v["state"] for v in stored["verdicts"].values()} <= {str(s) for s in State}
        assert again["theorem_3"] == stored["theorem_3"]

    @pytest.mark.parametrize(
        ("part", "what", "how", "key"),
        [
            ("conserved", "lenet5", "tanh", "gap"),
            ("theorem 3", "absolute values", None, "reached"),
            ("inverse law", "mlp:784,300,100,10", "snip", "slope"),
        ],
    )
    def test_a_cell_is_what_its_seed_gives(self, rows, part, what, how, key) -> None:  # type: ignore[no-untyped-def]
        cell = {"part": part, "what": what, "how": how, "seed": 601, "smoke": False}
        row = next(r for r in rows if {k: r[k] for k in cell} == cell)
        assert simulation.cell(**cell)[key] == pytest.approx(row[key], rel=1e-4)

    def test_the_figure_has_labels_units_and_no_overlap(self, rows, tmp_path) -> None:  # type: ignore[no-untyped-def]
        fig = _conservation_figure.figure(rows, tmp_path)
        assert plot.check(fig, ["as stated", "momentum", "Xavier", "Kaiming"]) == []

    def test_exact_cuts_of_a_block_hold_its_shortcut(self) -> None:
        from slth.conservation import saliency
        from slth.nets.architectures import build

        x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()
        found = saliency(build("resnet20").double(), lambda y: y.sum(), x)
        cuts = list(_flow.exact_cuts(found))
        blocks = [cut for cut in cuts if len(cut) > 1]
        assert len(blocks) == 18  # two layers in each of nine blocks
        assert [len(cut) for cut in cuts if cut not in blocks] == [1, 1]  # the stem and the head

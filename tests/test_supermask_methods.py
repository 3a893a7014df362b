"""Every method's step against its formula, written out in NumPy in float64.

The reference shares nothing with the searches but the random draws, which it is told.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from slth.errors import BadInput
from slth.supermask import Frozen, Layer
from slth.supermask._descent import descend
from slth.supermask.zhou_criteria import rank_by
from tests.supermasks import DIMS, Floats, data, drive, gradients, make, mlp, top

TOLERANCE = {"rtol": 1e-9, "atol": 1e-12}


def arrays(layers: list[Layer], what: str) -> list[Floats]:
    return [getattr(layer, what).detach().numpy().copy() for layer in layers]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


class Seen:
    """What a search computed with, step by step: the reference is compared with it."""

    def __init__(self) -> None:
        self.scores: list[list[Floats]] = []
        self.effective: list[list[Floats]] = []
        self.extra: list[list[dict[str, Floats]]] = []

    def __call__(self, i: int, layers: list[Layer]) -> None:
        self.scores.append(arrays(layers, "scores"))
        self.effective.append(arrays(layers, "effective"))
        self.extra.append([{k: t.numpy().copy() for k, t in la.extra.items()} for la in layers])


def zeros(run: Any) -> list[Floats]:
    return [np.zeros(d) for d in DIMS[1:]]


def popup_reference(
    weights: list[Floats],
    scores: list[Floats],
    x: Floats,
    y: Any,
    steps: int,
    masks: Any,
    effective: Any,
    absolute: bool,
    rate: float = 0.1,
) -> tuple[list[Floats], list[Floats]]:
    """Edge-popup's family: SGD with momentum 0.9 and decay 1e-4 through the mask."""
    velocity = [np.zeros_like(s) for s in scores]
    used: list[Floats] = []
    for _ in range(steps):
        used = effective(weights, masks(scores))
        _, pulls, _ = gradients(used, [np.zeros(len(w)) for w in weights], x, y)
        for s, v, w, g in zip(scores, velocity, weights, pulls, strict=True):
            straight = g * w * (np.sign(s) if absolute else 1)
            v[:] = 0.9 * v + straight + 1e-4 * s
            s -= rate * v
    return scores, used


def local(scores: list[Floats], absolute: bool = True) -> list[Any]:
    return [top(np.abs(s) if absolute else s, round(s.size / 2)) for s in scores]


def whole(scores: list[Floats]) -> list[Any]:
    line = np.concatenate([np.abs(s).ravel() for s in scores])
    kept = top(line, round(line.size / 2))
    ends = np.cumsum([s.size for s in scores])[:-1]
    return [p.reshape(s.shape) for p, s in zip(np.split(kept, ends), scores, strict=True)]


def masked(weights: list[Floats], masks: list[Any]) -> list[Floats]:
    return [w * m for w, m in zip(weights, masks, strict=True)]


def binary(weights: list[Floats], masks: list[Any]) -> list[Floats]:
    return [
        np.sign(w) * m * (np.abs(w[m]).sum() / m.sum()) for w, m in zip(weights, masks, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "settings", "masks", "effective", "absolute"),
    [
        ("edge-popup", {}, local, masked, True),
        ("edge-popup", {"absolute": False}, lambda s: local(s, False), masked, False),
        ("global-edge-popup", {}, whole, masked, True),
        ("biprop", {}, local, binary, True),
    ],
)
def test_popups_family(
    name: str, settings: dict[str, Any], masks: Any, effective: Any, absolute: bool
) -> None:
    seen = Seen()
    run, x, y = drive(make(name, **settings), 3, see=seen)
    weights = arrays(run.layers, "weight")
    start = [s.copy() for s in seen.scores[0]]
    scores, used = popup_reference(weights, start, x, y, 3, masks, effective, absolute)
    for layer, s, e, w in zip(run.layers, scores, used, seen.effective[2], strict=True):
        np.testing.assert_allclose(layer.scores.numpy(), s, **TOLERANCE)
        np.testing.assert_allclose(w, e, **TOLERANCE)
        assert not np.allclose(seen.scores[0][layer.number], s), "nothing moved"


def test_biprops_factor_is_the_mean_magnitude_of_what_is_kept() -> None:
    run, _, _ = drive(make("biprop"), 1)
    for layer, mask in zip(run.layers, run.plan.method.masks(run.layers), strict=True):
        w, m = layer.weight.numpy(), mask.numpy()
        alpha = np.abs(w * m).sum() / m.sum()
        assert run.plan.method.scale(layer, mask) == pytest.approx(alpha, rel=1e-12)
        # it is the least-squares choice: no other factor is nearer to the kept weights
        near = [
            np.square(w * m - a * np.sign(w) * m).sum() for a in (alpha, 0.99 * alpha, 1.01 * alpha)
        ]
        assert near[0] < min(near[1:])


@pytest.mark.parametrize("rescale", [True, False])
def test_bernoulli_with_and_without_rescaling(rescale: bool) -> None:
    seen = Seen()
    run, x, y = drive(make("bernoulli", rescale=rescale, rate=2.0), 2, see=seen)
    weights = arrays(run.layers, "weight")
    scores, velocity = [s.copy() for s in seen.scores[0]], [np.zeros_like(w) for w in weights]
    for s in scores:
        np.testing.assert_allclose(sigmoid(s), round(0.5 * s.size) / s.size)  # begins at k of N
    for t in range(2):
        drawn = [extra["drawn"] for extra in seen.extra[t]]
        factors = [b.size / b.sum() if rescale else 1.0 for b in drawn]
        used = [f * w * b for f, w, b in zip(factors, weights, drawn, strict=True)]
        for a, b in zip(used, seen.effective[t], strict=True):
            np.testing.assert_allclose(a, b, **TOLERANCE)
        _, pulls, _ = gradients(used, zeros(run), x, y)
        for s, v, w, b, g in zip(scores, velocity, weights, drawn, pulls, strict=True):
            p = sigmoid(s)
            # by every b_i of Σ_j g_j w_j b_j N / Σ_l b_l, by the quotient rule, entry by entry
            total, size = b.sum(), b.size
            by_draw = g * w * size / total - (g * w * b).sum() * size / total**2
            straight = (by_draw if rescale else g * w) * p * (1 - p)
            v[:] = 0.9 * v + straight
            s -= 2.0 * v
    for layer, s in zip(run.layers, scores, strict=True):
        np.testing.assert_allclose(layer.scores.numpy(), s, **TOLERANCE)


def test_bernoulli_draws_with_the_sigmoid_of_the_score() -> None:
    """20,000 draws of one probability: outside 5 standard errors once in 1.7 million runs."""
    method = make("bernoulli", probability=0.3)
    counts = []
    run, _, _ = drive(method, 1, see=lambda i, layers: counts.append(1))
    layer, moment = run.layers[0], run.moment()
    for _ in range(20_000 // layer.size):
        layer.scores.fill_(np.log(0.3 / 0.7))
        with torch.no_grad():
            method.relax([layer], moment)
        counts.append(int(layer.extra["drawn"].sum()))
    n = (len(counts) - 1) * layer.size
    share = sum(counts[1:]) / n
    assert abs(share - 0.3) < 5 * np.sqrt(0.21 / n)


def test_gumbel_keeps_with_the_sigmoid_and_differentiates_the_relaxation() -> None:
    seen = Seen()
    run, x, y = drive(make("gumbel", optimizer="sgd", momentum=0.0, rate=0.5), 2, see=seen)
    weights = arrays(run.layers, "weight")
    scores = [s.copy() for s in seen.scores[0]]
    for t in range(2):
        noisy = [extra["noisy"] for extra in seen.extra[t]]
        used = masked(weights, [n > 0 for n in noisy])
        _, pulls, _ = gradients(used, zeros(run), x, y)
        for s, w, n, g in zip(scores, weights, noisy, pulls, strict=True):
            soft = sigmoid(n / (2 / 3))
            s -= 0.5 * g * w * soft * (1 - soft) / (2 / 3)
    for layer, s in zip(run.layers, scores, strict=True):
        np.testing.assert_allclose(layer.scores.numpy(), s, **TOLERANCE)
    # the noise is logistic: its sigmoid is uniform (5 standard errors of the mean and variance)
    noise = np.concatenate(
        [
            sigmoid(e["noisy"] - s).ravel()
            for t in range(2)
            for e, s in zip(seen.extra[t], seen.scores[t], strict=True)
        ]
    )
    assert abs(noise.mean() - 0.5) < 5 * np.sqrt(1 / 12 / noise.size)
    assert abs(noise.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / noise.size)


def test_gem_miner_rounds_penalises_and_clips() -> None:
    seen = Seen()
    run, x, y = drive(make("gem-miner", penalty=0.03, rate=0.7), 3, see=seen)
    weights = arrays(run.layers, "weight")
    scores = [s.copy() for s in seen.scores[0]]
    assert all(s.min() >= 0 and s.max() < 1 for s in scores)
    velocity = [np.zeros_like(s) for s in scores]
    for t in range(3):
        scores = [np.clip(s, 0, 1) for s in scores]
        used = masked(weights, [s > 0.5 for s in scores])
        for a, b in zip(used, seen.effective[t], strict=True):
            np.testing.assert_allclose(a, b, **TOLERANCE)
        _, pulls, _ = gradients(used, zeros(run), x, y)
        for s, v, w, g in zip(scores, velocity, weights, pulls, strict=True):
            v[:] = 0.9 * v + g * w + 2 * 0.03 * s  # the derivative of 0.03 · s²
            s -= 0.7 * v
    for layer, s in zip(run.layers, scores, strict=True):
        np.testing.assert_allclose(layer.scores.numpy(), s, **TOLERANCE)


def test_gem_miner_freezes_the_lowest_scores_of_the_whole_network_and_they_stay() -> None:
    from dataclasses import replace

    method = make("gem-miner", period=2)
    run, _, _ = drive(method, 1, density=0.1, epochs=9)
    size = sum(layer.size for layer in run.layers)
    k = round(0.1 * size)
    gone_before = 0
    for epoch in range(9):
        moment = replace(run.moment(), epoch=epoch)
        rng = np.random.default_rng(epoch)
        for layer in run.layers:
            layer.scores.copy_(torch.from_numpy(rng.random(layer.weight.shape)))
        before = [layer.extra["alive"].clone() for layer in run.layers]
        method.close(run.layers, moment)
        alive = [layer.extra["alive"] for layer in run.layers]
        count = sum(int(a.sum()) for a in alive)
        done = epoch // 2 if epoch % 2 == 0 else gone_before
        assert count == round(size * (k / size) ** (done / 4)), epoch
        gone_before = done
        assert all(bool((a <= b).all()) for a, b in zip(alive, before, strict=True)), (
            "one came back"
        )
        if epoch % 2 == 0 and epoch:
            scores = [layer.scores for layer in run.layers]
            low = max(
                float(s[b & ~a].max())
                for s, a, b in zip(scores, alive, before, strict=True)
                if bool((b & ~a).any())
            )
            high = min(
                float(s[a].min()) for s, a in zip(scores, alive, strict=True) if bool(a.any())
            )
            assert low <= high, "a lower score of another layer outlived a higher one"
    assert sum(int(m.sum()) for m in method.masks(run.layers)) == k


@pytest.mark.parametrize("rescale", [True, False])
def test_continuous_sparsification(rescale: bool) -> None:
    """Its gradient is exact: finite differences of the very loss, penalty included."""
    from dataclasses import replace

    settings = {"start": 0.2, "penalty": 0.01, "temperature": 50.0, "rescale": rescale}
    method = make("continuous-sparsification", rate=0.4, **settings)
    run, x, y = drive(method, 1, epochs=5)
    weights, rng = arrays(run.layers, "weight"), np.random.default_rng(0)
    scores = [0.1 * rng.normal(size=w.shape) for w in weights]
    moment = replace(run.moment(), epoch=3)
    beta = 50.0 ** (3 / 4)
    scale = 1 / sigmoid(0.2) if rescale else 1.0

    def loss(trial: list[Floats]) -> float:
        soft = [scale * sigmoid(beta * s) for s in trial]
        value, _, _ = gradients(masked(weights, soft), zeros(run), x, y)
        return value + 0.01 * sum(float(m.sum()) for m in soft)

    for layer, s in zip(run.layers, scores, strict=True):
        layer.scores.copy_(torch.from_numpy(s))
    with torch.no_grad():
        method.relax(run.layers, moment)
    used = arrays(run.layers, "effective")
    for a, w, s in zip(used, weights, scores, strict=True):
        np.testing.assert_allclose(a, w * scale * sigmoid(beta * s), **TOLERANCE)
    _, pulls, _ = gradients(used, zeros(run), x, y)
    for number, layer in enumerate(run.layers):
        got = method.gradient(layer, torch.from_numpy(pulls[number].copy()), moment).numpy()
        for at in [(0, 0), (1, 2), (2, 4)]:
            h = 1e-5
            plus, minus = ([s.copy() for s in scores] for _ in range(2))
            plus[number][at] += h
            minus[number][at] -= h
            assert got[at] == pytest.approx(
                (loss(plus) - loss(minus)) / (2 * h), rel=1e-5, abs=1e-8
            )
    assert method.beta(replace(moment, epoch=0)) == 1  # type: ignore[attr-defined]
    assert method.beta(replace(moment, epoch=4)) == pytest.approx(50)  # type: ignore[attr-defined]


def test_scaled_edge_popup_follows_the_scale_and_masks_biases() -> None:
    seen = Seen()
    run, x, y = drive(make("scaled-edge-popup", scale_rate=0.3), 2, see=seen, biases=0.5)
    weights, biases = arrays(run.layers, "weight")[0::2], arrays(run.layers, "weight")[1::2]
    ws, bs = [s.copy() for s in seen.scores[0][0::2]], [s.copy() for s in seen.scores[0][1::2]]
    velocity = [np.zeros_like(s) for s in [*ws, *bs]]
    depth, log_scale = len(weights), 0.0
    for t in range(2):
        w_masks, b_masks = [], []
        for s, b in zip(ws, bs, strict=True):
            line = np.abs(np.concatenate([s.ravel(), b]))
            kept = top(line, round(line.size / 2))
            w_masks.append(kept[: s.size].reshape(s.shape))
            b_masks.append(kept[s.size :])
        factors = [np.exp(log_scale / depth)] * depth
        used = [f * w for f, w in zip(factors, masked(weights, w_masks), strict=True)]
        shifts = [
            np.exp(log_scale * (i + 1) / depth) * b for i, b in enumerate(masked(biases, b_masks))
        ]
        for a, b in zip(used, seen.effective[t][0::2], strict=True):
            np.testing.assert_allclose(a, b, **TOLERANCE)
        for a, b in zip(shifts, seen.effective[t][1::2], strict=True):
            np.testing.assert_allclose(a, b, **TOLERANCE)
        _, by_weight, by_bias = gradients(used, shifts, x, y)
        # by ln λ, numerically: the whole network's output is multiplied by λ

        def loss(extra: float, used: Any = used, shifts: Any = shifts) -> float:
            w = [np.exp(extra / depth) * a for a in used]
            b = [np.exp(extra * (i + 1) / depth) * a for i, a in enumerate(shifts)]
            return gradients(w, b, x, y)[0]

        slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
        pairs = zip([*ws, *bs], velocity, [*weights, *biases], [*by_weight, *by_bias], strict=True)
        for s, v, w, g in pairs:
            v[:] = 0.9 * v + g * w * np.sign(s) + 1e-4 * s
            s -= 0.1 * v
        log_scale -= 0.3 * slope
    assert abs(log_scale) > 1e-4
    for layer, s in zip(run.layers[0::2], ws, strict=True):
        np.testing.assert_allclose(layer.scores.numpy(), s, rtol=1e-7, atol=1e-9)
    for layer, s in zip(run.layers[1::2], bs, strict=True):
        np.testing.assert_allclose(layer.scores.numpy(), s, rtol=1e-7, atol=1e-9)


def test_iterand_draws_a_share_of_the_pruned_weights_anew() -> None:
    """Only pruned weights, a share within 5 standard errors, the law's own values, noted."""
    from slth.supermask._run import Plan, _Run

    source = Frozen(11, "uniform")
    method = make("iterand", every=4, share=0.25)
    plan = Plan(mlp((90, 80, 3)), method, data((90,)), 0.4, 1, 64, 3, source, "float32")
    run = _Run.of(plan)
    before = [layer.weight.clone() for layer in run.layers]
    masks = [mask.numpy() for mask in method.masks(run.layers)]
    moment = run.moment()
    for at in range(8):
        now = type(moment)(0, 1, at, moment.noise, source)
        with torch.no_grad():
            method.after(run.layers, now)
        if at < 3:
            assert all(
                bool((a == la.weight).all()) for a, la in zip(before, run.layers, strict=True)
            )
        if at == 3:
            first = [layer.weight.clone() for layer in run.layers]
    pruned = sum(int((~mask).sum()) for mask in masks)
    for after, generations in ((first, (1,)), ([la.weight for la in run.layers], (1, 2))):
        changed = 0
        for i, (layer, old, new, mask) in enumerate(
            zip(run.layers, before, after, masks, strict=True)
        ):
            moved = (old != new).numpy()
            assert not (moved & mask).any(), "a kept weight was drawn anew"
            changed += moved.sum()
            drawn = [source.weight(i, tuple(new.shape), g).numpy() for g in generations]
            assert np.isin(new.numpy()[moved], np.concatenate([d[moved] for d in drawn])).all()
            noted = layer.extra["generation"].numpy()
            final = layer.weight.numpy()
            for g in (0, 1, 2):
                want = source.weight(i, tuple(new.shape), g).numpy()
                assert (final[noted == g] == want[noted == g]).all()
        p = 1 - 0.75 ** len(generations)
        assert abs(changed / pruned - p) < 5 * np.sqrt(p * (1 - p) / pruned)


def test_iterand_needs_to_know_the_law() -> None:
    from slth.supermask import search

    with pytest.raises(BadInput, match="own weights"):
        search(mlp(), make("iterand"), data(), density=0.5, epochs=1)


@pytest.mark.parametrize(
    "criterion", ["large_final", "movement_same_sign", "large_init_large_final"]
)
def test_zhou_trains_a_copy_of_the_weights_and_ranks_it(criterion: str) -> None:
    method = make("zhou-criteria", criterion=criterion, optimizer="sgd", momentum=0.0, rate=0.5)
    run, x, y = drive(method, 2)
    weights = arrays(run.layers, "weight")
    trained = [w.copy() for w in weights]
    for _ in range(2):
        _, pulls, _ = gradients(trained, zeros(run), x, y)
        trained = [w - 0.5 * g for w, g in zip(trained, pulls, strict=True)]
    for layer, v in zip(run.layers, trained, strict=True):
        np.testing.assert_allclose(layer.scores.numpy(), v, **TOLERANCE)


class TestCriteria:
    before = torch.tensor([0.5, -0.4, 0.3, -0.2, 0.1])
    after = torch.tensor([0.1, 0.6, 0.35, -0.9, -0.05])

    @pytest.mark.parametrize(
        ("criterion", "order"),
        [
            ("large_final", [3, 1, 2, 0, 4]),
            ("small_final", [4, 0, 2, 1, 3]),
            ("large_init", [0, 1, 2, 3, 4]),
            ("small_init", [4, 3, 2, 1, 0]),
            ("magnitude_increase", [3, 1, 2, 4, 0]),
            ("movement", [1, 3, 0, 4, 2]),
            ("large_final_same_sign", [3, 2, 0, 1, 4]),
            ("large_final_diff_sign", [1, 4, 0, 2, 3]),
            ("movement_same_sign", [3, 0, 2, 1, 4]),
        ],
    )
    def test_the_order_by_hand(self, criterion: str, order: list[int]) -> None:
        worth = rank_by(criterion, self.before, self.after).numpy()
        assert list(np.argsort(-worth, kind="stable")) == order

    @pytest.mark.parametrize("sign", [1, -1])
    def test_both_is_what_two_thresholds_at_one_percentile_keep(self, sign: int) -> None:
        """The published code lowers a common percentile until enough weights pass both."""
        rng = np.random.default_rng(3)
        a, b = rng.normal(size=50), rng.normal(size=50)
        name = "large_init_large_final" if sign > 0 else "small_init_small_final"
        worth = rank_by(name, torch.from_numpy(a), torch.from_numpy(b)).numpy()
        sizes = [np.sort(sign * np.abs(v)) for v in (a, b)]
        for place in range(50):
            both = (sign * np.abs(a) >= sizes[0][place]) & (sign * np.abs(b) >= sizes[1][place])
            assert (top(worth, int(both.sum())) == both).all()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_momentum_by_its_formula(
    fused: bool, nesterov: bool, kind: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fused:  # what a GPU runs
        monkeypatch.setattr("slth.supermask._descent.fused", lambda layer: False)
    method = make(
        "continuous-sparsification" if nesterov else "edge-popup", decay=0.02, momentum=0.7
    )
    rng = np.random.default_rng(1)
    s = rng.normal(size=(4, 5))
    layer = lone(torch.from_numpy(s).to(kind))
    v = np.zeros_like(s)
    for t in range(4):
        g = rng.normal(size=s.shape)
        descend(method, layer, torch.from_numpy(g.copy()).to(kind), 0.3, t)
        g = g + 0.02 * s
        v = 0.7 * v + g
        s = s - 0.3 * (g + 0.7 * v if nesterov else v)
    np.testing.assert_allclose(
        layer.scores.numpy(), s, rtol=1e-12, atol=1e-6 if kind == torch.float32 else 0
    )


@pytest.mark.parametrize("fused", [True, False])
def test_the_magnitudes_slope_is_the_sign_and_zero_at_zero(
    fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the gradient lies transposed in memory."""
    if not fused:
        monkeypatch.setattr("slth.supermask._descent.fused", lambda layer: False)
    scores = torch.tensor([[0.5, 0.0], [-0.25, -0.0]])
    weight = torch.tensor([[3.0, 3.0], [-2.0, 5.0]])
    gradient = torch.tensor([[1.0, 1.0], [1.0, 1.0]]).T * torch.tensor([[1.0, 2.0], [4.0, 8.0]])
    layer = Layer("0.weight", 0, weight, weight, scores, scores.clone(), 1)
    got = make("edge-popup").gradient(layer, gradient.T.contiguous().T, None)  # type: ignore[arg-type]
    assert got.tolist() == [[3.0, 0.0], [8.0, 0.0]]


def test_adam_by_its_formula() -> None:
    rng = np.random.default_rng(1)
    s, m, v = rng.normal(size=7), np.zeros(7), np.zeros(7)
    layer = lone(torch.from_numpy(s.copy()))
    for t in range(1, 6):
        g = rng.normal(size=7)
        descend(
            make("edge-popup", optimizer="adam", decay=0.1),
            layer,
            torch.from_numpy(g.copy()),
            0.2,
            t - 1,
        )
        g = g + 0.1 * s
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        s = s - 0.2 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(layer.scores.numpy(), s, rtol=1e-10)


def lone(scores: torch.Tensor) -> Layer:
    return Layer("0.weight", 0, scores, scores, scores.clone(), scores.clone(), 1)

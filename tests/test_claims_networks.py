"""What claims 17 to 32 are measured with, against independent oracles: brute force over masks,
automatic differentiation, networks written out as matrices. Everything here is deterministic."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from sims._claims import (
    _shared,
    attention,
    counting,
    fixed_size,
    gadgets,
    networks,
    pruning,
    quantised,
    search,
)
from sims._claims import one_layer_more as more
from sims._claims import other_sources as others
from slth.stats.verdict import State, Verdict


def all_masks(n: int) -> np.ndarray:
    return np.array(list(product([0, 1], repeat=n)))


def test_half_points_of_a_known_curve() -> None:
    grid = np.array([1, 2, 4, 8, 16, 32])
    rates = np.clip(np.log(grid) / np.log(36), 0, 1)  # 1/2 at 6
    assert _shared.half_points(grid, rates) == pytest.approx(6)
    assert _shared.half_points(grid, np.zeros(6)) == pytest.approx(32)
    assert _shared.half_points(grid, np.ones(6)) == pytest.approx(1)


def test_steepening_tells_the_two_laws_apart() -> None:
    n = np.array([8.0, 16.0, 32.0])
    power, exponential = n[None] ** -1.7, np.exp(-0.3 * n)[None]
    assert _shared.steepening(power)[0] == pytest.approx(-0.5 * 1.7 * np.log(2))
    assert _shared.steepening(exponential)[0] == pytest.approx(0.5 * 0.3 * 8)


def test_a_control_must_be_caught_in_every_part() -> None:
    bad, good = Verdict(State.REFUTED, "b", 1e-6), Verdict(State.SUPPORTED, "a", 1e-6)
    assert _shared.every({"1": bad, "2": bad}).state == State.REFUTED
    assert _shared.every({"1": bad, "2": good}).state == State.SUPPORTED


def test_kept_pairs_are_the_tickets_network() -> None:
    """The diamond's output from its kept pairs equals the dense masked network's."""
    from slth.construct.pensia import Pensia

    weights = np.array([0.3, -0.8])
    target = gadgets.one_layer(weights[:, None])
    make = Pensia(tolerance=0.01)
    ticket = make.build(target, make.source_for(target, 5, gadgets.DRAWN))
    u, v = ticket.source.in_matrix(0)[:, 0], ticket.source.out_matrix(0)
    mask = np.zeros(v.shape)
    for half in (0, 1):
        kept = ticket.kept[0][half]
        mask[kept.gadgets, half * gadgets.DRAWN + kept.indices] = 1
    for x in (0.7, -1.3):
        dense = (v * mask) @ np.maximum(u * x, 0)
        pairs = gadgets.kept_pairs(weights, 0.01, 5)
        assert dense == pytest.approx([b @ np.maximum(a * x, 0) for a, b in pairs])
    assert gadgets.violations(pairs, weights, 0.01, np.array([0.7, -1.3])) == 0
    assert gadgets.violations(pairs, weights, 1e-7, np.array([0.7, -1.3])) > 0


def test_extreme_errors_meet_the_lemma_exactly() -> None:
    """Entries all too large by their tolerance: the error is (1 + ε/2l)^l − 1."""
    for dims, epsilon in (((3, 5, 2), 0.4), ((1, 1), 0.9), ((4, 2, 6, 3), 0.1)):
        layers = len(dims) - 1
        expected = (1 + epsilon / (2 * layers)) ** layers - 1
        assert networks.extreme_error(dims, epsilon, 1.0) == pytest.approx(expected)


def test_masks_of_a_line_are_enumerated() -> None:
    rng = np.random.default_rng(1)
    u, v = rng.uniform(-1, 1, (2, 6))
    targets, epsilon = counting.line_targets(0.1), 0.1
    x = np.array([1.0, -1.0])
    slopes = np.array([(v * m) @ np.maximum(np.outer(u, x), 0) / x for m in all_masks(6)])
    brute = (np.abs(slopes[:, None] - targets[:, None]) < epsilon).all(-1).any(0)
    assert (counting.line_matched(u, v, targets, epsilon) == brute).all()
    assert np.diff(targets).min() > 2 * epsilon
    assert np.ptp(targets) == 2


def test_distances_are_those_of_all_subsets_of_that_size() -> None:
    got = fixed_size.distances(7, 3, 5, np.random.default_rng(2))
    values = np.random.default_rng(2).uniform(-1, 1, (5, 7))
    brute = [min(abs(sum(c) - 0.3) for c in combinations(row, 3)) for row in values.tolist()]
    assert got == pytest.approx(brute)
    for key in fixed_size.SIZES:
        n = fixed_size.predicted(key, 7.0)
        k = fixed_size.size_of(key, n)
        assert n * fixed_size.entropy(k / n) - np.log2(k) == pytest.approx(7.0)


def test_one_layer_more_is_near_its_target() -> None:
    """Outputs within the proved bound; every weight of a network within its tolerance."""
    rng = np.random.default_rng(3)
    target, x, wanted = more.living(3, 40, rng)
    for w in target:
        assert w @ w.T == pytest.approx(np.eye(more.WIDTH), abs=1e-12)
    y = np.maximum(np.maximum(x @ target[0].T, 0) @ target[1].T, 0) @ target[2].T
    assert wanted == pytest.approx(y)
    assert more.LEAST <= more.size(wanted) <= 1 + 1e-12
    tally = {"weights": 0, "unmet": 0, "networks": 0, "redrawn": 0}
    for name in ("independent", "identical", "coarser"):
        y, off = more.network(name, target, x, 0.02, rng, tally)
        assert y.shape == wanted.shape
        assert (np.abs(y - wanted).max(axis=1) <= off).all()
    plain = [0.3 * np.eye(4), 0.3 * np.eye(4)]
    for name in ("doubled", "independent", "identical"):
        y, _ = more.network(name, plain, x, 2e-4, rng, tally)
        assert 0 < np.abs(y - 0.09 * np.maximum(x, 0)).max() < 0.02
    assert tally["networks"] == 6 + tally["redrawn"]
    assert (tally["unmet"] > 0) == (tally["redrawn"] > 0)


def test_unmet_weights_are_counted_and_never_used() -> None:
    values = np.random.default_rng(4).uniform(-1, 1, (3, more.COPIES))
    tally = {"weights": 0, "unmet": 0}
    kept = more.chosen(values, np.array([0.1, 0.2, 0.0]), 0.05, tally)
    assert np.abs(kept.sum(axis=1) - [0.1, 0.2, 0.0]).max() <= 0.05
    assert not kept[2].any()  # the empty set is the smallest
    assert tally == {"weights": 3, "unmet": 0}
    with pytest.raises(more.Missed):
        more.chosen(values, np.array([0.1, 20.0, -20.0]), 0.05, tally)
    assert tally == {"weights": 6, "unmet": 2}
    tallies = {"weights": 100, "unmet": 1}, {"weights": 100, "unmet": 2}
    few, many = ({"tolerances": [0.1], "tallies": [{"doubled": t}]} for t in tallies)
    assert more.unmet(few).state == State.SUPPORTED
    assert more.unmet(many).state == State.UNDECIDED


def test_edges_of_a_sure_and_of_a_tiny_source() -> None:
    rng = np.random.default_rng(4)
    assert others.all_there(2, 1.0, 50, rng) == 50
    # one copy: 3·3 + 3·2 edges, each there with chance 0.9
    hits = others.all_there(1, 0.9, 20_000, rng)
    assert hits / 20_000 == pytest.approx(0.9**15, abs=5 * (0.25 / 20_000) ** 0.5)


def test_scores_are_what_autograd_says() -> None:
    import torch

    rng = np.random.default_rng(5)
    weights = [rng.normal(size=s) for s in ((5, 4), (3, 5), (2, 3))]
    params = [torch.from_numpy(np.abs(w)).requires_grad_() for w in weights]
    flow = torch.ones(4, dtype=torch.float64)
    for p in params:
        flow = p @ flow
    flow.sum().backward()
    for p, score in zip(params, pruning.synflow(weights), strict=True):
        assert score == pytest.approx((p.grad * p).detach().numpy())
    draws = np.random.default_rng(6)
    x, wanted = draws.normal(size=(32, 4)), draws.normal(size=(32, 2))
    params = [torch.from_numpy(w).requires_grad_() for w in weights]
    y = torch.from_numpy(x)
    for i, p in enumerate(params):
        y = (y.relu() if i else y) @ p.T
    (((y - torch.from_numpy(wanted)) ** 2).sum() / 2).backward()
    for p, score in zip(params, pruning.snip(weights, np.random.default_rng(6)), strict=True):
        assert score == pytest.approx((p.grad * p).abs().detach().numpy())


def test_layers_are_counted_as_they_die() -> None:
    scores = [np.array([[9.0, 1.0]]), np.array([[2.0], [8.0]])]
    assert pruning.at_once(scores) == 1  # 1, then 2: with 9 and 8 left both live; then 8 goes
    assert pruning.at_once([np.array([[9.0, 7.0]]), np.array([[2.0], [1.0]])]) == 2
    weights = [np.ones((2, 3)), np.ones((1, 2))]
    assert pruning.one_at_a_time(weights) == 1  # ties and all: the last weight but one a layer


def test_a_swap_is_the_first_of_gradient_descent() -> None:
    rng = np.random.default_rng(7)
    shape = (search.HIDDEN, search.INPUTS)
    w, scores = rng.normal(size=shape), rng.uniform(size=shape)
    problem = (
        rng.normal(size=(search.BATCH, search.INPUTS)),
        rng.integers(search.CLASSES, size=search.BATCH),
        rng.normal(size=(search.CLASSES, search.HIDDEN)),
        (w, scores),
    )

    def kept(s: np.ndarray) -> np.ndarray:
        return s > np.sort(s, axis=None)[s.size // 2 - 1]

    def loss(mask: np.ndarray) -> float:
        return search.loss_and_slope(w * mask, problem, search.smooth)[0]

    before = kept(scores)
    step = 1e-6
    g = np.zeros(shape)  # by differences: the slope in a mask entry that may be any number
    for at in np.ndindex(shape):
        up, down = before.astype(float), before.astype(float)
        up[at] += step
        down[at] -= step
        g[at] = (loss(up) - loss(down)) / (2 * step)
    rate = 1e-4
    while (kept(scores - rate * g) == before).all():
        rate *= 1.01
    after = kept(scores - rate * g)
    assert (after != before).sum() == 2
    assert search.swap(problem, 1.0, search.smooth) == pytest.approx(loss(after) - loss(before))


def test_exact_subset_sums_of_integers() -> None:
    rng = np.random.default_rng(8)
    for _ in range(30):
        values, target = rng.integers(-20, 21, 7).tolist(), int(rng.integers(-30, 31))
        sums = [{int(np.dot(m, values[:n])) for m in all_masks(n)} for n in range(8)]
        brute = next((n for n in range(1, 8) if target in sums[n]), 8)
        assert quantised.first_solved(values, target) == brute


def test_attention_is_softmax_and_the_worst_sequence_is_sharp() -> None:
    rng = np.random.default_rng(9)
    assert attention.worst_sequence(6, 0.7) == pytest.approx(attention.bound(0.7))
    w, u, v = attention.unit(rng), rng.uniform(-1, 1, (4, 8)), rng.uniform(-1, 1, (4, 4, 8))
    products = v * u
    best = np.abs((products @ all_masks(8).T) - w[..., None]).min(axis=-1)
    assert np.abs(attention.pruned_product(w, u, v, 8) - w) == pytest.approx(best)
    single = np.abs(attention.best_single(w, u, v, 8) - w)
    assert single == pytest.approx(np.abs(products - w[..., None]).min(axis=-1))

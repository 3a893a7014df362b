"""Swaps of edge-popup: the first one by brute force, ReLU's limit by hand, the stored run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sims import _protocol, _swaps
from sims import _swap_regimes as regimes
from sims import swap_lemma as simulation
from slth import plot

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return _protocol.read_table(FIGURES / "swap_lemma.csv")


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads((FIGURES / "swap_lemma.json").read_text("utf-8"))


class TestTheFirstSwap:
    @pytest.mark.parametrize("absolute", [False, True])
    def test_it_is_the_first_by_small_steps(self, absolute) -> None:  # type: ignore[no-untyped-def]
        """Times at which the kept half changes at all, by moving on in small steps."""
        rng = np.random.default_rng(1)
        turned = 0
        for _ in range(40):
            scores, falls = rng.uniform(size=8), rng.normal(size=8)
            keep = _swaps.top_half(scores)
            if absolute:
                scores = np.where(keep, scores, scores / 20)
                keep = _swaps.top_half(scores)
            leaves, enters, time = _swaps.first_pair(scores, falls, keep, absolute)
            if time == np.inf:  # all inside gain on all outside
                assert falls[keep].max() < falls[~keep].min()
                continue

            def kept(t: float, scores=scores, falls=falls) -> np.ndarray:  # type: ignore[no-untyped-def]
                moved = scores - t * falls
                return _swaps.top_half(np.abs(moved) if absolute else moved)

            for part in np.linspace(0, 0.999, 200):
                assert (kept(part * time) == keep).all()
            after = kept(time * 1.0001)
            assert np.flatnonzero(keep & ~after).tolist() == [leaves]
            assert np.flatnonzero(after & ~keep).tolist() == [enters]
            turned += scores[enters] - time * falls[enters] < 0
        assert (turned > 5) == absolute

    def test_scores_that_keep_their_distance_never_swap(self) -> None:
        keep = np.array([True, False])
        assert _swaps.first_pair(np.array([0.75, 0.25]), np.array([1.0, 1.0]), keep)[2] == np.inf
        assert _swaps.first_pair(np.array([0.75, 0.25]), np.array([3.0, 1.0]), keep)[2] == 0.25

    def test_dead_neurons_make_no_swap(self) -> None:
        problem = _swaps.draw(np.random.default_rng(0))
        biases = np.full(_swaps.HIDDEN, -100.0)
        found = regimes.first_swap(problem, 1.0, lambda z: regimes.shifted(z, biases), biases)
        assert found is None
        assert regimes.first_swap(problem, 1.0, _swaps.kinked) is not None


class TestReluStaysBelowOne:
    def test_its_limit_is_the_loss_over_the_scale(self) -> None:
        """(L after − L before) / c at c = 2^-20 against Σ g (σ(I + Δ) − σ(I)) at c = 1, / BATCH."""
        rng = np.random.default_rng(2)
        scale = 2.0**-20
        for _ in range(20):
            problem = _swaps.draw(rng)
            found = regimes.first_swap(problem, scale, _swaps.kinked)
            assert found is not None
            masks = [_swaps.top_half(problem.masked[1].ravel())]
            masks.append(regimes.swapped(masks[0], found.pair))
            losses = [
                regimes.slopes(scale * problem.masked[0], k, problem, _swaps.kinked)[0]
                for k in masks
            ]
            onehot = np.eye(_swaps.CLASSES)[problem.labels]
            gradient = (1 / _swaps.CLASSES - onehot) @ problem.last / _swaps.BATCH
            outputs = [np.maximum(sums, 0) / scale for sums in found.sums]
            limit = (gradient * (outputs[1] - outputs[0])).sum()
            assert (losses[1] - losses[0]) / scale == pytest.approx(limit, rel=1e-3, abs=1e-6)

    def test_kinks_scale_with_the_weights_and_fixed_biases_do_not(self) -> None:
        problem = _swaps.draw(np.random.default_rng(3))
        large, small = (regimes.first_swap(problem, s, _swaps.kinked) for s in (2.0**-9, 2.0**-12))
        assert large is not None
        assert small is not None
        for one, other in zip(large.sums, small.sums, strict=True):
            assert (one == 8 * other).all()
        sums = np.array([[1.0, -1.0]]), np.array([[1.0, 1.0]])
        assert regimes.Swap(True, sums, (0, 1)).crossed
        assert not regimes.Swap(True, (sums[0], sums[0] / 2), (0, 1)).crossed

    @pytest.mark.parametrize("act", [regimes.softplus, _swaps.smooth, _swaps.kinked])
    def test_slopes_are_the_activations_own(self, act) -> None:  # type: ignore[no-untyped-def]
        z = np.linspace(-2, 2, 40)  # without 0
        step = 1e-6
        difference = (act(z + step)[0] - act(z - step)[0]) / (2 * step)
        assert act(z)[1] == pytest.approx(difference, abs=1e-8)


class TestTheStoredRun:
    def test_it_is_whole_and_its_controls_were_refuted(self, rows, stored) -> None:  # type: ignore[no-untyped-def]
        seeds = [cell["seed"] for cell in simulation.cells(False)]
        assert list(dict.fromkeys(r["seed"] for r in rows)) == seeds
        for what in (simulation.TANH, simulation.SOFTPLUS):
            for scale in simulation.SCALES:
                trials = simulation.total(rows, what, scale)["trials"]
                assert trials == simulation.BLOCKS * simulation.PROBLEMS
        assert set(stored["controls"]) == set(simulation.BROKEN)
        assert all(c["state"] == "refuted" for c in stored["controls"].values())

    def test_its_verdicts_follow_from_its_table(self, rows, stored) -> None:  # type: ignore[no-untyped-def]
        again = json.loads(json.dumps(simulation.analyse(rows).to_json()))
        for part in ("verdicts", "controls", "summary"):
            assert again[part] == stored[part]
        assert {v["state"] for v in stored["verdicts"].values()} == {"supported"}

    def test_decay_makes_the_plain_swap(self, rows) -> None:  # type: ignore[no-untyped-def]
        same = simulation.total(rows, "decay: the same swap")
        assert same["falls"] == same["trials"] > 0

    def test_a_block_is_what_its_seed_gives(self, rows) -> None:  # type: ignore[no-untyped-def]
        """But for a change near 0 here and there, which another machine may round over it."""
        cell = simulation.cells(False)[3]
        mine = {(r["what"], r["scale"], r["rate"]): r for r in rows if r["seed"] == cell["seed"]}
        for row in simulation.cell(**cell)["rows"]:
            kept = mine[row["what"], row["scale"], row["rate"]]
            assert abs(row["trials"] - kept["trials"]) <= 1
            assert abs(row["falls"] - kept["falls"]) <= 2

    def test_the_figure_is_readable(self, rows, tmp_path) -> None:  # type: ignore[no-untyped-def]
        fig = simulation.figure(rows, tmp_path)
        promised = [simulation.TANH, simulation.RELU, simulation.CLEAR, simulation.BIASED]
        assert plot.check(fig, promised) == []

"""Assigned blocks: the width by Hall's condition, the law of the values, and the theorem."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad

from proofs.assigned import no_assignment, none_of
from slth.assignment import assign, good_slots
from slth.bounds import _matching, load, unit_class
from slth.bounds._coverage import product, uniform
from slth.bounds._end_interval import Sharp
from slth.bounds._matching import least_neurons, match_failure
from slth.bounds.assigned import CHANCES, Plan, n_sharp, plan, plans
from slth.bounds.random_subset_sum import FULL, n_rss, n_rss_product, n_rss_reach
from slth.errors import BadInput
from tests.subset_sums import coarse, covers, too_low


@pytest.fixture(autouse=True, scope="module")
def coarse_programs():
    with coarse(24):
        yield


def exact_term(inputs: int, neurons: int, each: int, chance: float, r: int) -> mpmath.mpf:
    """C(2d, r) exp(−h D) in fifty digits."""
    with mpmath.workdps(50):
        tau = mpmath.mpf(chance)
        q = (1 - tau) ** max(0, r - inputs) * (1 - tau / 2) ** min(r, 2 * inputs - r)
        x = mpmath.mpf(each * r - 1) / neurons
        bound = mpmath.mpf(1)
        if x < 1 - q:
            divergence = (1 - x) * mpmath.log((1 - x) / q)
            divergence += x * mpmath.log(x / (1 - q)) if x else 0
            bound = mpmath.exp(-neurons * divergence)
        return mpmath.binomial(2 * inputs, r) * bound


def exact_sum(inputs: int, neurons: int, each: int, chance: float) -> mpmath.mpf:
    return mpmath.fsum(
        exact_term(inputs, neurons, each, chance, r) for r in range(1, 2 * inputs + 1)
    )


class TestMatching:
    @pytest.mark.parametrize(
        ("inputs", "each", "chance"),
        [(1, 1, 0.5), (1, 60, 0.9), (2, 3, 0.3), (16, 73, 0.2), (120, 20, 0.05)],
    )
    def test_it_is_the_sum_in_fifty_digits(self, inputs, each, chance):
        for delta in (0.3, 1e-3, 1e-12):
            h = least_neurons(inputs, each, chance, delta)
            found, exact = (
                match_failure(inputs, h, each, chance),
                exact_sum(inputs, h, each, chance),
            )
            assert exact <= found <= exact * (1 + 1e-7)
            assert found <= delta
            assert match_failure(inputs, h - 1, each, chance) > delta

    def test_runs_of_sizes_are_above_the_sum(self, monkeypatch):
        """Of a few hundred sizes, in short runs and in runs that double."""
        for exact_up_to, growth, factor in ((20, 1.03, 1.5), (1, 2.0, math.inf)):
            monkeypatch.setattr(_matching, "EXACT", exact_up_to)
            monkeypatch.setattr(_matching, "GROWTH", growth)
            for inputs, each, chance, delta in ((200, 10, 0.05, 0.1), (60, 1, 0.02, 1e-3)):
                _matching._runs.cache_clear()
                first, last, log_sets = _matching._runs(2 * inputs)
                assert first.size <= 2 * inputs - (100 if inputs == 200 else 0)
                assert (first[1:] == last[:-1] + 1).all()
                assert (first[0], last[-1]) == (1, 2 * inputs)
                for a, b, log_number in zip(first, last, log_sets, strict=True):
                    sets = sum(math.comb(2 * inputs, r) for r in range(int(a), int(b) + 1))
                    assert math.log(sets) <= log_number
                h = least_neurons(inputs, each, chance, delta)
                exact = exact_sum(inputs, h, each, chance)
                assert exact <= match_failure(inputs, h, each, chance) < factor * exact
        _matching._runs.cache_clear()

    def test_each_long_run_is_above_its_own_sizes(self, monkeypatch):
        rng, spoke = np.random.default_rng(10), 0
        monkeypatch.setattr(_matching, "EXACT", 1)
        monkeypatch.setattr(_matching, "GROWTH", 2.0)
        for _ in range(60):
            inputs, each = int(rng.integers(4, 30)), int(rng.integers(1, 4))
            chance = float(rng.uniform(0.05, 0.9))
            h = int(2 * inputs * each * (1 + rng.exponential(1)))
            _matching._runs.cache_clear()
            first, last, _ = _matching._runs(2 * inputs)
            for a, b, bound in zip(
                first, last, _matching._exponents(inputs, h, each, chance), strict=True
            ):
                sizes = range(int(a), int(b) + 1)
                exact = mpmath.fsum(exact_term(inputs, h, each, chance, r) for r in sizes)
                assert float(mpmath.log(exact)) <= bound
                spoke += len(sizes) > 1 and bound < 0
        assert spoke > 100
        _matching._runs.cache_clear()

    @pytest.mark.parametrize(
        ("inputs", "each", "quarter", "most"),
        [(1, 1, 2, 12), (1, 3, 3, 14), (2, 1, 1, 8), (2, 1, 3, 8)],
    )
    def test_it_is_above_the_exact_chance(self, inputs, each, quarter, most):
        """Over all patterns, in rationals; and it tells something at the end."""
        tau = Fraction(quarter, 4)
        for h in range(1, most):
            chance = no_assignment(inputs, h, each, tau)
            assert float(chance) <= match_failure(inputs, h, each, float(tau))
            assert chance == 1 or h >= 2 * inputs * each
        assert quarter == 1 or match_failure(inputs, 4 * most, each, float(tau)) < 0.1

    @pytest.mark.parametrize(
        ("inputs", "each", "chance", "draws"),
        [(1, 3, 0.9, 2000), (4, 5, 0.5, 2000), (16, 10, 0.2, 400), (64, 5, 0.1, 100)],
    )
    def test_assignments_fail_no_more_often(self, inputs, each, chance, draws):
        """False alarm 1e-4 each; a tenth of the neurons fewer fail more often than claimed."""
        rng = np.random.default_rng(11)

        def failed(neurons: int, draws: int) -> int:
            return sum(
                not assign(
                    good_slots(inputs, [rng.uniform(-1, 1, (neurons, inputs))], 1 - chance), each
                ).complete
                for _ in range(draws)
            )

        h = least_neurons(inputs, each, chance, 0.05)
        assert not too_low(failed(h, draws), draws, match_failure(inputs, h, each, chance))
        assert too_low(failed(2 * inputs * each, 100), 100, 0.05)

    def test_many_inputs_waste_next_to_no_neuron(self):
        assert least_neurons(784, 143, 1 / 32, 1e-4) == 2 * 784 * 143
        assert 0 < least_neurons(784, 143, 1 / 64, 1e-4) - 2 * 784 * 143 < 20
        assert least_neurons(10**6, 100, 1e-4, 1e-9) == 2 * 10**8
        assert least_neurons(5, 0, 0.5, 0.1) == 0
        assert match_failure(3, 0, 0, 0.5) == 0
        assert match_failure(3, 5, 1, 0.5) == 1.0
        assert none_of(3, 6, Fraction(1, 2)) == Fraction(1, 8)

    @pytest.mark.parametrize(
        "wrong", [(0, 1, 1, 0.5), (1, -1, 1, 0.5), (1, 1, -1, 0.5), (1, 1, 1, 0.0), (1, 1, 1, 1.0)]
    )
    def test_nonsense_is_refused(self, wrong):
        with pytest.raises(BadInput, match="remedy"):
            match_failure(*wrong)


class TestTheLaw:
    @pytest.mark.parametrize("least", [0.02, 0.3, 0.75, 0.979])
    def test_its_potential_is_the_second_integral_of_the_density(self, least):
        def density(r: float) -> float:
            return math.log(1 / max(least, r)) / (2 * (1 - least)) if r < 1 else 0.0

        for x in (0.01, least / 2, least, (1 + least) / 2, 1.0, 1.7, 2.5):
            integral = quad(lambda t, x=x: (x - t) * density(t), 0, x, points=[least, min(x, 1)])[0]
            assert Sharp(least).twice(np.array([x]))[0] == pytest.approx(
                integral, rel=1e-9, abs=1e-13
            )

    def test_products_have_it(self):
        """By the share of products below x: 200,000 draws, 5 standard errors."""
        rng = np.random.default_rng(12)
        u, v = rng.uniform(0.3, 1, 200_000), rng.uniform(-1, 1, 200_000)
        step = 1e-5
        for x in (0.1, 0.3, 0.5, 0.9):
            phi = Sharp(0.3).twice(np.array([x - step, x + step]))
            below = 2 * (phi[1] - phi[0]) / (2 * step)
            error = 5 * math.sqrt(below * (1 - below) / u.size)
            assert abs((np.abs(u * v) <= x).mean() - below) < error + 1e-6

    def test_its_ends_are_the_uniform_law_and_the_product(self):
        x = np.linspace(0, 3, 50)
        np.testing.assert_allclose(Sharp(1.0).twice(x), uniform(x), atol=1e-15)
        np.testing.assert_allclose(Sharp(1 - 1e-9).twice(x), uniform(x), atol=1e-8)
        np.testing.assert_allclose(Sharp(1e-12).twice(x), product(x), atol=1e-10)

    def test_near_one_it_is_below(self):
        """Where the formula would cancel, part of the density is left out: Φ'' may only be less."""
        x = np.linspace(0, 3, 400)
        for chance in (0.0199, 1e-3, 1e-6):
            c = mpmath.mpf(1 - chance)
            with mpmath.workdps(40):
                gains = []
                for each in x:
                    top = min(max(mpmath.mpf(each), c), 1)
                    tail = sum(
                        s * s * (mpmath.mpf(3) / 4 - mpmath.log(s) / 2) * k
                        for s, k in ((top, 1), (c, -1))
                    ) - (c - c * mpmath.log(c)) * (top - c)
                    gains.append(tail + (1 - c + c * mpmath.log(c)) * max(0, each - 1))
                left_out = np.array([float(g / (2 * (1 - c))) for g in gains])
            assert (np.diff(left_out, 2) > -1e-15).all()  # it is convex, of a density
            assert left_out[-1] < chance
        wide = Sharp(1 - 1.0001 / 50).twice(x) - Sharp(1 - 0.9999 / 50).twice(x)
        assert (np.abs(wide) < 0.02).all()


class TestCounts:
    def test_between_uniform_values_and_products(self):
        for tolerance, delta in ((0.1, 0.05), (0.01, 1e-3)):
            counts = [n_sharp(tolerance, delta, c) for c in (1.0, 0.99, 0.9, 0.5, 0.02)]
            assert counts == sorted(counts)
            assert n_rss_reach(tolerance, 1.0, delta) >= counts[0]
            assert counts[-1] <= n_rss_product(tolerance, delta, scale=FULL)

    @pytest.mark.parametrize(("least", "reach"), [(1.0, 1.0), (0.5, 1.0), (0.9, 2.5)])
    @pytest.mark.parametrize("method", ["dynamic", "phases"])
    def test_so_many_values_are_enough(self, least, reach, method):
        """200 draws; false alarm 1e-4. Of more values than 20 the first are tried alone."""
        rng, delta = np.random.default_rng(13), 0.1
        n = n_sharp(0.05, delta, least, reach, method)
        missed = 0
        for _ in range(200):
            values = rng.uniform(least, 1, n) * rng.uniform(-1, 1, n)
            missed += not any(covers(values[:k], 0.05, reach) for k in (12, 16, 20) if k <= n)
        assert not too_low(missed, 200, delta)

    def test_corners(self):
        assert n_sharp(1.0, 0.1, 0.5) == 0
        assert n_sharp(1e-20, 0.1, 0.5) == n_sharp(1e-20, 0.1, 0.5, method="phases")
        assert n_sharp(0.01, 0.1, 1.0, 0.4) >= n_rss(0.01, 0.1)
        for least in (0.0, 1.5):
            with pytest.raises(BadInput, match="least"):
                n_sharp(0.1, 0.1, least)


class TestTheTheorem:
    def test_a_plan_keeps_its_promises(self):
        target, delta = unit_class(16, 8, 3), 0.02
        bound = load("assigned")()
        needs = bound.plans(target, 0.1, delta)
        size = bound.size(target, 0.1, delta)
        spent = 0.0
        for p, (a, b) in zip(needs, target.links, strict=True):
            spent += match_failure(a, p.neurons, p.each, 1 - p.least)
            eta, each = 0.1 / 4 / (a * b) ** 0.5, 0.9 * delta / (2 * (16 * 8 + 8 * 3))
            assert p.each == n_sharp(eta, each * (1 - 1e-9), p.least)
        assert spent <= 0.1 * delta
        assert size.samples == tuple(p.each for p in needs)
        assert size.widths == (needs[0].neurons, 8, needs[1].neurons)
        assert size.weights == needs[0].neurons * 24 + needs[1].neurons * 11
        assert bound.ask(target, 0.1, delta).tolist() == [p.neurons for p in needs]

    @pytest.mark.parametrize("dims", [(1, 1), (4, 4, 2), (64, 16)])
    def test_no_chance_that_is_tried_is_much_better(self, dims):
        """c is chosen by a guess; the best of all CHANCES asks for at most 4 % fewer neurons."""
        target = unit_class(*dims)
        (found, *_) = plans(target, (0.02,) * (len(dims) - 1), 0.05)
        total = sum(2 * a * b for a, b in target.links)
        best = math.inf
        for chance in CHANCES[:16]:
            each = n_sharp(0.02, 0.9 * 0.05 / total * (1 - 1e-9), 1 - chance)
            h = least_neurons(dims[0], each, chance, 0.1 * 0.05 / target.depth)
            best = min(best, h)
        assert best <= found.neurons <= 1.04 * best

    def test_it_asks_for_less_than_fixed_blocks(self):
        """Three quarters of the source for one input at most, half of it from a few inputs on."""
        for dims, share in (((1, 1), 0.75), ((4, 4, 4, 2), 0.5), ((64, 32, 10), 0.45)):
            target = unit_class(*dims)
            ours, theirs = (load(n)().size(target, 0.1, 0.01) for n in ("assigned", "pensia"))
            assert ours.weights < share * theirs.weights
            least = load("counting")("network").size(target, 0.1, 0.01)
            assert ours.weights > least.weights

    def test_one_draw_serves_targets_at_once(self):
        """The whole event, on a layer of 2 inputs and 2 outputs at its own width: assignment and
        all eight pools cover [−1, 1]. 30 draws, δ = 0.1; false alarm 1e-4."""
        rng, eta, delta = np.random.default_rng(14), 0.2, 0.1
        p = plan(2, eta, 0.9 * delta / 8, 0.1 * delta)
        missed = 0
        for _ in range(30):
            u = rng.uniform(-1, 1, (p.neurons, 2))
            v = rng.uniform(-1, 1, (2, p.neurons))
            found = assign(good_slots(2, [u], p.least), p.each)
            fine = found.complete
            for slot in range(4):
                served = np.flatnonzero(found.slot == slot)
                products = u[served, slot // 2] * v[:, served]
                fine &= (np.abs(u[served, slot // 2]) >= p.least).all()
                fine &= all(covers(row[:16], eta, 1.0) for row in products)
            missed += not fine
        assert not too_low(missed, 30, delta)

    def test_biases_are_one_more_input_and_large_entries_cost(self):
        target = unit_class(3, 2)
        biased = dataclasses.replace(target, biases=True)
        large = dataclasses.replace(target, max_entries=(3.0,))
        (plain,), (more,), (far,) = (plans(t, (0.05,), 0.1) for t in (target, biased, large))
        assert plain.neurons < more.neurons < 1.6 * plain.neurons
        assert far.each > plain.each
        assert isinstance(far, Plan)
        with pytest.raises(BadInput, match="etas"):
            plans(target, (0.1, 0.1), 0.1)

"""Intervals against exact binomial sums, the law fit against data whose law is known."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict
from fractions import Fraction

import numpy as np
import pytest

from slth import stats
from slth.errors import BadInput
from slth.stats import State, Verdict, lawfit

EXPONENTIAL_N = np.arange(10, 41, 3)
POWER_N = np.unique(np.geomspace(8, 2048, 12).round())
REPEATS = 200


def _tail(successes: int, trials: int, p: float) -> float:
    """P(Bin(trials, p) >= successes), exactly."""
    q = Fraction(p)
    terms = (
        math.comb(trials, k) * q**k * (1 - q) ** (trials - k) for k in range(successes, trials + 1)
    )
    return float(sum(terms))


# --- intervals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "n"), [(0, 7), (1, 7), (6, 7), (7, 7), (13, 20), (20, 20)])
def test_clopper_pearson_solves_its_defining_equations(k: int, n: int) -> None:
    low, high = (float(end) for end in stats.clopper_pearson(k, n))
    assert (low == 0.0) if k == 0 else _tail(k, n, low) == pytest.approx(0.025, rel=1e-9)
    assert (high == 1.0) if k == n else 1 - _tail(k + 1, n, high) == pytest.approx(0.025, rel=1e-9)


def test_clopper_pearson_is_vectorised_and_says_nothing_of_no_trials() -> None:
    low, high = stats.clopper_pearson([0, 3, 5], [0, 5, 5])
    assert low.shape == high.shape == (3,)
    assert (low[0], high[0]) == (0.0, 1.0)


def test_what_a_sample_can_show() -> None:
    assert stats.highest_level(20) == pytest.approx(0.83, abs=0.005)
    assert stats.trials_needed(0.95) == 72
    assert stats.trials_needed(0.99) == 368
    assert stats.highest_level(72) >= 0.95 > stats.highest_level(71)


@pytest.mark.parametrize(("seeds", "level", "decided"), [
    (20, 0.83, True), (20, 0.84, False),
    (72, 0.95, True), (71, 0.95, False),
    (368, 0.99, True), (367, 0.99, False),
])  # fmt: skip
def test_a_quantile_refuses_to_speak_when_its_sample_is_too_small(
    seeds: int, level: float, decided: bool
) -> None:
    quantile = stats.quantile_with_interval(np.arange(1, seeds + 1), level)
    assert quantile.decided is decided
    assert (quantile.high == seeds) if decided else math.isinf(quantile.high)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_a_quantile_interval_covers(level: float) -> None:
    """Each side may miss with probability 0.025; 2000 repeats exceed 0.035 with chance 0.004."""
    rng = np.random.default_rng(11)
    truth = -math.log(1 - level)
    found = [stats.quantile_with_interval(x, level) for x in rng.exponential(size=(2000, 60))]
    assert np.mean([q.low > truth for q in found]) <= 0.035
    assert np.mean([q.high < truth for q in found]) <= 0.035
    # and no longer than need be: one order statistic tighter on either side errs more than 0.025
    x = np.arange(1, 61)
    q = stats.quantile_with_interval(x, level)
    assert _tail(int(q.high), 60, level) <= 0.025 < _tail(int(q.high) - 1, 60, level)
    assert 1 - _tail(int(q.low), 60, level) <= 0.025 < 1 - _tail(int(q.low) + 1, 60, level)


def test_a_seed_that_never_succeeds_counts_as_infinite() -> None:
    samples = [3.0, math.inf] * 20
    quantile = stats.quantile_with_interval(samples, 0.9)
    assert math.isinf(quantile.value)
    assert not quantile.decided


def test_threshold_covers_with_nested_sources() -> None:
    """Each end may miss with probability 0.025; 1000 repeats exceed 0.04 with chance 0.003."""
    rng = np.random.default_rng(5)
    grid, level, seeds = np.arange(1, 31), 0.8, 100
    truth = 17  # per-seed thresholds uniform on 1 .. 21: P(needed <= 17) = 17/21 >= 0.8 > 16/21
    needed = rng.integers(1, 22, size=(1000, seeds))
    found = [stats.threshold(grid, (x[:, None] <= grid).sum(0), seeds, level) for x in needed]
    assert all(t.monotone and t.low <= t.n <= t.high for t in found)
    assert np.mean([t.low > truth for t in found]) <= 0.04
    assert np.mean([t.high < truth for t in found]) <= 0.04
    assert np.median([t.n for t in found]) == truth


def test_threshold_agrees_with_the_quantile_of_per_seed_thresholds() -> None:
    rng = np.random.default_rng(6)
    needed = rng.integers(1, 30, size=100)
    grid = np.arange(1, 31)
    by_counts = stats.threshold(grid, (needed[:, None] <= grid).sum(0), 100, 0.9)
    by_seeds = stats.quantile_with_interval(needed, 0.9)
    assert (by_counts.n, by_counts.low, by_counts.high) == (
        by_seeds.value,
        by_seeds.low,
        by_seeds.high,
    )


def test_threshold_beyond_the_grid_and_falling_counts() -> None:
    never = stats.threshold([1, 2, 3], [0, 1, 2], 20, 0.9)
    assert (never.n, never.low, never.high) == (math.inf,) * 3
    twenty = stats.threshold([1, 2, 3], [0, 20, 20], 20, 0.9)
    assert twenty.n == 2
    assert not twenty.decided
    falling = stats.threshold([1, 2, 3, 4], [90, 100, 50, 100], 100, 0.9)
    assert not falling.monotone
    assert (falling.n, falling.low, falling.high) == (4, 1, 4)


# --- claims of a run ---------------------------------------------------------------------------


def test_holm_by_hand() -> None:
    # sorted .001 <= .05/4, .012 <= .05/3, .03 > .05/2: the rest stays, .04 too
    assert stats.holm([0.03, 0.001, 0.04, 0.012], 0.05).tolist() == [False, True, False, True]
    assert stats.holm([], 0.05).tolist() == []


def test_holm_keeps_the_family_level() -> None:
    """P(any rejection) <= 0.05 for true nulls; 4000 runs exceed 0.06 with chance 0.003."""
    p = np.random.default_rng(3).random((4000, 8))
    alarms = np.mean([stats.holm(row, 0.05).any() for row in p])
    assert 0.035 <= alarms <= 0.06


def test_settling_makes_a_weak_claim_undecided_and_leaves_the_others() -> None:
    verdicts = {
        "strong": Verdict(State.SUPPORTED, "s", 1e-6),
        "weak": Verdict(State.REFUTED, "w", 0.008),
        "exact": Verdict(State.REFUTED, "checked"),
        "silent": Verdict(State.SILENT, "hypothesis fails", 1e-9),
    }
    assert stats.settle({"weak": verdicts["weak"]})["weak"].state is State.REFUTED
    more = {f"m{i}": Verdict(State.SUPPORTED, "m", 0.009) for i in range(3)}
    settled = stats.settle(verdicts | more)
    assert [settled[k].state for k in verdicts] == ["supported", "undecided", "refuted", "silent"]
    assert "Holm" in settled["weak"].reason
    assert json.loads(json.dumps(settled["weak"].to_json()))["state"] == "undecided"


@pytest.mark.parametrize(
    ("successes", "state"), [(100, "supported"), (92, "undecided"), (60, "refuted")]
)
def test_frequency_verdict(successes: int, state: str) -> None:
    verdict = stats.frequency_verdict(successes, 100, 0.9)
    assert verdict.state == state
    if state == "supported":
        assert verdict.p_value == pytest.approx(_tail(successes, 100, 0.9), rel=1e-9)
    if state == "refuted":
        assert verdict.p_value == pytest.approx(1 - _tail(successes + 1, 100, 0.9), rel=1e-6)
    assert "no more than 0.83" in stats.frequency_verdict(20, 20, 0.9).reason


# --- the family --------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 1.9])
def test_the_fit_recovers_its_own_curve(gamma: float) -> None:
    n = np.array([10.0, 13, 17, 22, 28, 35, 44])
    x = np.log(n) if gamma == 0 else (n**gamma - 1) / gamma
    fit = stats.law_fit(n, np.exp(1.5 - 0.01 * x)[None].repeat(9, 0), 0)
    assert fit.gamma == pytest.approx(gamma, abs=2e-3)
    assert np.max(np.abs(fit.curve(n) - (1.5 - 0.01 * x))) < 1e-6
    assert fit.lack_of_fit is None  # seeds that do not differ test nothing
    assert stats.law_verdict(fit).law == "undecided"


def test_the_profile_agrees_with_nonlinear_least_squares() -> None:
    from scipy.optimize import least_squares

    n = EXPONENTIAL_N.astype(float)
    errors = stats.synthetic("exponential", n, 30, 8)
    y = np.log(errors).mean(0)
    found = least_squares(
        lambda p: p[0] - p[1] * ((n / 20) ** p[2] - 1) / p[2] - y, [0.0, 1.0, 0.7], xtol=1e-14
    )
    assert stats.law_fit(n, errors, 0).gamma == pytest.approx(found.x[2], abs=2e-3)


def test_rescaling_n_or_the_error_changes_neither_gamma_nor_its_test() -> None:
    errors = stats.synthetic("exponential", EXPONENTIAL_N, 20, 4)
    fit = stats.law_fit(EXPONENTIAL_N, errors, 0)
    other = stats.law_fit(EXPONENTIAL_N * 1e6, errors * 1e-3, 0)
    assert (other.gamma, other.low, other.high) == pytest.approx((fit.gamma, fit.low, fit.high))
    assert fit.lack_of_fit is not None
    assert other.lack_of_fit is not None
    assert other.lack_of_fit.p_value == pytest.approx(fit.lack_of_fit.p_value, rel=1e-6)


def test_few_seeds_or_points_do_not_speak() -> None:
    few = stats.law_fit(EXPONENTIAL_N, stats.synthetic("exponential", EXPONENTIAL_N, 7, 1), 0)
    assert (few.low, few.high) == (-math.inf, math.inf)
    assert few.lack_of_fit is None
    assert few.prediction is None
    short = stats.law_fit(
        [10, 20, 30, 40, 50], stats.synthetic("exponential", [10, 20, 30, 40, 50], 20, 1), 0
    )
    assert short.prediction is None
    assert {stats.law_verdict(f).law for f in (few, short)} == {"undecided"}


def test_an_error_that_grows_supports_nothing() -> None:
    fit = stats.law_fit(POWER_N, stats.synthetic("power", POWER_N, 20, 2, rate=-2.0), 0)
    assert stats.law_verdict(fit).law == "undecided"


@pytest.mark.parametrize("law", ["power", "exponential", "mixed"])
def test_control_laws_get_the_right_answer_in_95_percent_of_repeats(law: str) -> None:
    """Skewed, correlated noise through the whole pipeline, 20 seeds.

    Measured right in 98 to 100 % of 600 repeats; at 98 % fewer than 190 of 200 come with chance
    0.003.  Lack of fit may reject 1 % of the two true laws (more than 7 of 200 with chance 0.001),
    and γ's interval covers 95 % (fewer than 178 of 200 with chance 4e-4).
    """
    n = POWER_N if law == "power" else EXPONENTIAL_N
    right = {"power": "polynomial", "exponential": "logarithmic", "mixed": "neither"}[law]
    truth = {"power": 0.0, "exponential": 1.0, "mixed": math.nan}[law]
    answers: Counter[str] = Counter()
    covered = rejected = 0
    for repeat in range(REPEATS):
        fit = stats.law_fit(n, stats.synthetic(law, n, 20, [repeat, 1]), repeat, 1000)  # type: ignore[arg-type]
        answers[stats.law_verdict(fit).law] += 1
        assert fit.lack_of_fit is not None
        rejected += fit.lack_of_fit.p_value < lawfit.LACK_OF_FIT_ALPHA
        covered += fit.low <= truth <= fit.high
    assert answers[right] >= 0.95 * REPEATS, answers
    if law != "mixed":
        assert rejected <= 0.035 * REPEATS
        assert covered >= 0.89 * REPEATS
        wrong = {"polynomial", "logarithmic"} - {right}
        assert sum(answers[w] for w in wrong) == 0


def test_lack_of_fit_has_the_law_of_f_under_correlated_normal_noise() -> None:
    """p-values of true fits are uniform: 400 of them differ by 0.082 with chance 0.01."""
    n = EXPONENTIAL_N
    rng = np.random.default_rng(17)
    chain = np.linalg.cholesky(0.9 ** np.abs(np.subtract.outer(range(n.size), range(n.size))))
    p = []
    for _ in range(400):
        errors = np.exp(-0.66 * n + rng.standard_normal((24, n.size)) @ chain.T)
        found = stats.law_fit(n, errors, 0, 2).lack_of_fit
        assert found is not None
        p.append(found.p_value)
    gap = np.abs(np.sort(p) - (np.arange(400) + 0.5) / 400).max()
    assert gap < 0.082


def test_the_last_third_of_a_broken_law_is_not_predicted() -> None:
    n = np.arange(10, 41, 2)
    errors = stats.synthetic("exponential", n, 40, 9)
    errors[:, 11:] *= np.exp(0.4 * (n[11:] - n[11]))
    fit = stats.law_fit(n, errors, 0)
    assert fit.prediction is not None
    assert fit.prediction.n == tuple(n[11:].astype(float))
    assert not fit.prediction.predicted


def test_local_slope_is_constant_for_a_power_and_linear_for_an_exponential() -> None:
    quiet = {"seeds": 5, "rng": 0, "noise": 0.0}
    power = stats.local_slope(POWER_N, stats.synthetic("power", POWER_N, **quiet), 0)  # type: ignore[arg-type]
    assert np.allclose(power.slope, 2.0)
    fine = np.arange(100, 120)
    straight = stats.local_slope(fine, stats.synthetic("exponential", fine, **quiet, rate=0.5), 0)  # type: ignore[arg-type]
    assert np.allclose(straight.slope, 0.5 * np.array(straight.n), rtol=1e-4)


def test_local_slope_band_holds_the_whole_curve() -> None:
    """Simultaneous 95 %: of 200 repeats fewer than 90 % hold with chance 0.002."""
    inside = 0
    for repeat in range(200):
        band = stats.local_slope(
            POWER_N, stats.synthetic("power", POWER_N, 30, repeat), repeat, 1000
        )
        inside += all(lo <= 2.0 <= hi for lo, hi in zip(band.low, band.high, strict=True))
    assert 180 <= inside <= 199


def test_line_fit_is_least_squares_and_its_interval_covers() -> None:
    """95 % of 400 repeats: fewer than 91.5 % with chance 0.002."""
    x = np.log2([3, 10, 30, 100, 300])
    rng = np.random.default_rng(2)
    held = 0
    for repeat in range(400):
        y = 4 + 1.05 * x + rng.normal(size=(12, 1)) * x * 0.1 + rng.normal(size=(12, 5))
        fit = stats.line_fit(x, y, repeat, 1000)
        held += fit.low <= 1.05 <= fit.high
        assert (fit.slope, fit.intercept) == pytest.approx(tuple(np.polyfit(x, y.mean(0), 1)))
    assert held >= 366
    assert stats.line_fit(x, y[:1], 0).high == math.inf


# --- the n needed ------------------------------------------------------------------------------

EPSILONS = 10.0 ** -np.linspace(0.5, 3, 8)


def _needed(law: str, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """Integer n per seed, with a luck of the seed and a luck of each ε."""
    luck = rng.normal(size=(seeds, 1)) + 0.7 * rng.normal(size=(seeds, EPSILONS.size))
    if law == "logarithmic":
        return np.ceil(8 + 1.05 * np.log2(1 / EPSILONS) + 0.8 * luck)
    return np.ceil(5 / EPSILONS * np.exp(0.4 * luck))


@pytest.mark.parametrize("law", ["logarithmic", "polynomial"])
def test_the_n_needed_tells_the_law(law: str) -> None:
    """100 seeds; right in 98 % of 200 repeats, at which 4 or more of 60 fail with chance 0.03."""
    rng = np.random.default_rng(23)
    answers: Counter[str] = Counter()
    for repeat in range(60):
        fit = stats.need_fit(EPSILONS, _needed(law, 100, rng), repeat, 1000)
        answers[stats.law_verdict(fit).law] += 1
    assert answers[law] >= 57, answers
    line = stats.line_fit(np.log2(1 / EPSILONS), _needed("logarithmic", 100, rng), 0)
    assert line.low <= 1.05 <= line.high


def test_fitting_range() -> None:
    n = np.arange(1, 9)
    errors = np.array([[1, 0.3, 0.2, 1e-3, 1e-6, 1e-11, 1e-13, 1e-15]]).repeat(3, 0)
    chosen = stats.fitting_range(n, errors, norm=2.5)
    assert n[chosen].tolist() == [3, 4, 5, 6, 7]
    assert n[stats.fitting_range(n, errors, norm=1e-20)].size == 0


def test_a_fit_is_json_able() -> None:
    fit = stats.law_fit(POWER_N, stats.synthetic("power", POWER_N, 20, 2), 0, 100)
    verdict = stats.law_verdict(fit)
    assert json.loads(json.dumps(asdict(fit)))["outcome"] == "error"
    assert json.loads(json.dumps(verdict.polynomial.to_json()))["state"] == "supported"


BAD = [
    (lambda: stats.clopper_pearson(3, 2), "successes"),
    (lambda: stats.clopper_pearson(-1, 2), "successes"),
    (lambda: stats.clopper_pearson(1, 2, 1.0), "confidence"),
    (lambda: stats.threshold([2, 1], [1, 1], 2, 0.5), "n_grid"),
    (lambda: stats.threshold([1, 2], [1, 1, 1], 2, 0.5), "n_grid"),
    (lambda: stats.threshold([1, 2], [1, 1], 2, 0.0), "level"),
    (lambda: stats.quantile_with_interval([], 0.5), "samples"),
    (lambda: stats.quantile_with_interval([math.nan], 0.5), "samples"),
    (lambda: stats.holm([0.5, 1.5]), "p_values"),
    (lambda: stats.law_fit(EXPONENTIAL_N, np.zeros((9, EXPONENTIAL_N.size)), 0), "errors"),
    (lambda: stats.law_fit(EXPONENTIAL_N, np.ones(EXPONENTIAL_N.size), 0), "errors"),
    (lambda: stats.law_fit([1, 2, 3], np.ones((9, 3)), 0), "n"),
    (lambda: stats.law_fit([0, 1, 2, 3], np.ones((9, 4)), 0), "n"),
    (lambda: stats.need_fit([0.1, 0.2, 0.3, 0.4], np.ones((9, 4)), 0), "1/epsilons"),
    (lambda: stats.need_fit([0.4, 0.3, 0.2, 0.1], np.full((9, 4), math.inf), 0), "n_needed"),
    (lambda: stats.line_fit([1, 1], np.ones((3, 2)), 0), "x"),
    (lambda: stats.synthetic("linear", [1, 2], 3, 0), "law"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("case", range(len(BAD)))
def test_bad_input_names_the_value(case: int) -> None:
    act, name = BAD[case]
    with pytest.raises(BadInput) as caught:
        act()
    assert caught.value.name == name


def test_claims_that_came_out_undecided_count_in_the_family():
    """Ten tested claims, nine of them undecided: p = 0.004 alone is no evidence at 1 % together."""
    strong = Verdict(State.SUPPORTED, "why", 0.004)
    alone = stats.settle({"claim": strong})
    assert alone["claim"].state == State.SUPPORTED
    others = {f"other {i}": Verdict(State.UNDECIDED, "why") for i in range(9)}
    assert stats.settle({"claim": strong, **others})["claim"].state == State.UNDECIDED
    exact = {f"exact {i}": Verdict(State.SUPPORTED, "why") for i in range(9)}
    silent = {"silent": Verdict(State.SILENT, "why")}
    assert stats.settle({"claim": strong, **exact, **silent})["claim"].state == State.SUPPORTED

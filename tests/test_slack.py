"""The slack of theorems: its engine against enumeration, its judgements against planted lies."""

from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sims import _protocol, slack
from sims._gadgets import LAWS, POOL, categories, octaves, pool
from sims._gridded import FINE, needed
from slth import plot
from slth.bounds import counting
from slth.coverage import profiles
from slth.errors import BadInput
from slth.needs import tables
from slth.stats.verdict import State, Verdict

FIGURES = Path(__file__).parents[1] / "sims" / "figures"


# -- subset sums on a grid -------------------------------------------------------------------------


@pytest.mark.parametrize("reach", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("factors", [1, 2])
def test_the_grid_agrees_with_enumeration_up_to_its_rounding(reach: float, factors: int) -> None:
    rng = np.random.default_rng([3, factors, int(4 * reach)])
    values = rng.uniform(-1, 1, (400, 14)) * rng.uniform(0, 1, (400, 14)) ** (factors - 1)
    etas = reach * 2.0 ** -np.arange(0.5, 6.1, 0.5)
    step = etas[-1] / FINE / 1.01
    found = needed(values, reach, etas, 2.0 ** math.floor(math.log2(step)))
    rows = profiles(values, -reach, reach, threads=1)
    slip = values.shape[1] * step  # rounding, counted twice: in the sums and against success
    for most, least in ((etas, etas - slip),):
        early = (rows[:, :, None] > most).sum(axis=1) + 1
        late = (rows[:, :, None] > least).sum(axis=1) + 1
        number = np.where(found < 0, 15, found)
        assert (early <= number).all()
        assert (number <= late).all()
    assert (found == np.where(early > 14, -1, early)).mean() > 0.98
    assert 0 < (found < 0).mean() < 0.7  # some streams end too early to tell


def test_on_the_grid_itself_the_sums_are_the_subsets() -> None:
    """Values that are multiples of the step, by brute force over subsets."""
    rng = np.random.default_rng(8)
    step = 2.0**-12
    units = rng.integers(-3000, 3001, (60, 7))
    etas = np.array([0.9, 0.6, 0.45, 0.3, 0.25, 0.2, 0.15, 0.125])
    found = needed(units * step, 1.0, etas, step)
    z = np.arange(-4096, 4097)
    for row, numbers in zip(units.tolist(), found, strict=True):
        for k in range(1, 8):
            sums = {sum(c) for m in range(k + 1) for c in combinations(row[:k], m)}
            near = np.abs(z[:, None] - np.array(sorted(sums))).min(axis=1).max()
            covered = near + k / 2 <= etas / step
            assert ((numbers > 0) & (numbers <= k) == covered).all()


def test_a_step_too_coarse_is_refused() -> None:
    for etas, step in (([0.1], 0.01), ([0.1, 0.2], 1e-6), ([0.5], 1e-6)):
        with pytest.raises(BadInput, match="etas"):
            needed(np.ones((1, 2)), 0.5, np.array(etas), step)


# -- what is drawn ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAWS)
def test_a_usable_value_comes_as_often_as_it_should(name: str) -> None:
    """Means of 20000 draws within five standard errors: false alarms below 1e-5."""
    law, rng = LAWS[name], np.random.default_rng(4)
    at = law.positions(rng, 2000, 10)
    assert (np.diff(at, axis=1) >= 1).all()
    spread = math.sqrt(1 - law.chance) / law.chance
    assert abs(at[:, -1].mean() / 10 - 1 / law.chance) <= 5 * spread / math.sqrt(20_000)
    values = law.values(rng, 2000, 10).ravel()
    half = {1: 0.5, 2: 0.5 * (1 + math.log(2))}[law.factors]  # Pr |X| <= 1/2
    assert abs((np.abs(values) <= 0.5).mean() - half) < 5 * math.sqrt(0.25 / values.size)
    assert abs((values > 0).mean() - 0.5) < 5 * math.sqrt(0.25 / values.size)


def test_pools_and_categories_are_hit_as_often_as_they_should() -> None:
    """Waiting times of 1500 streams within five standard errors of their means."""
    rng = np.random.default_rng(6)
    (factors,) = pool("pool-factors", np.array([0.25]), rng, 1500).T
    assert factors.mean() == pytest.approx(8 / 0.25**2, rel=5 / math.sqrt(1500))
    (product,) = pool("pool-product", np.array([0.05]), rng, 1500).T
    w, u, v = rng.uniform(0, POOL, 400), *rng.uniform(-1, 1, (2, 20_000))
    rates = np.array([((u > 0) & (np.abs(u * v - x) <= 0.05)).mean() for x in w])
    assert product.mean() == pytest.approx((1 / rates).mean(), rel=0.2)
    # four categories of chance 1/8 or more each, and half of all neurons in none: k = 1
    (found,) = categories(np.array([0.7]), rng, 1500).T
    assert octaves(0.7) == 1
    p = 3 / 4 / 4  # Pr[1/2 <= U1 + U2 <= 3/2] over four sign patterns
    assert found.mean() == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / p, rel=0.12)


# -- what is judged --------------------------------------------------------------------------------


@pytest.mark.parametrize("law", LAWS)
def test_lower_bounds_are_the_librarys_or_follow_from_binomials(law: str) -> None:
    reach, c = LAWS[law].reach, LAWS[law].chance
    for eta in (reach / 2.5, reach / 30, reach / 1000):
        for delta in (0.3, 0.01, 1e-4):
            found = slack.lower_bounds(law, eta, delta)
            if c == 1:
                assert found["counting"] == math.ceil(float(counting.gadget(eta, 2 * reach)))
                assert found["sign"] == math.ceil(counting.sign(delta) - 1e-9)
                continue
            least = math.ceil(math.log2(reach / eta))

            def few(n: int, least: int = least) -> float:
                return sum(math.comb(n, k) * c**k * (1 - c) ** (n - k) for k in range(least))

            def one_sign(n: int) -> float:
                """Of n values, each positive, negative or 0: none positive, or none negative."""
                return sum(
                    math.comb(n, k) * c**k * (1 - c) ** (n - k) * (2 * 0.5**k if k else 1)
                    for k in range(n + 1)
                )

            for name, miss in (("counting", few), ("sign", one_sign)):
                n = int(found[name])
                assert miss(n) <= delta * (1 + 1e-9)
                assert n == 1 or miss(n - 1) > delta * (1 - 1e-9)


def rows_of(needs: list[int], trials: int = 4000) -> list[dict[str, Any]]:
    """A measured law `uniform` at η = 1/4 whose needs are equally frequent."""
    counts = [trials // len(needs)] * len(needs)
    return [{"law": "uniform", "tier": "coarse", "octaves": [2.0], "needed": [[needs, counts, 0]]}]


def test_planted_theorems_are_judged_right() -> None:
    rows = rows_of(list(range(5, 15)))  # success at n = 13 with probability 0.9
    truths = {14: State.SUPPORTED, 13: State.REFUTED, 9: State.REFUTED}  # 13 is short of 0.99
    for n, state in truths.items():
        assert slack.holds(rows, "uniform", lambda e, d, n=n: n).state == state  # type: ignore[misc]
    # a lower bound claims that n − 1 fail with probability δ at every δ of the verdicts
    for n, state in {5: State.SUPPORTED, 13: State.SUPPORTED, 16: State.REFUTED}.items():
        assert slack.fails(rows, "uniform", lambda e, d, n=n: n).state == state  # type: ignore[misc]


def test_a_claim_about_several_points_needs_all_of_them() -> None:
    yes, no = Verdict(State.SUPPORTED, "yes", 1e-6), Verdict(State.REFUTED, "no", 1e-4)
    open_ = Verdict(State.UNDECIDED, "open")
    assert slack.everywhere({"a": yes, "b": yes}).state == State.SUPPORTED
    assert slack.everywhere({"a": yes, "b": no, "c": open_}).state == State.REFUTED
    assert slack.everywhere({"a": yes, "b": no}).p_value == pytest.approx(2e-4)
    assert slack.everywhere({"a": yes, "b": open_}).state == State.UNDECIDED


def test_a_table_rises_and_leaves_out_what_was_not_reached() -> None:
    (row,) = rows_of([4, 5, 6, 7])
    row["octaves"] = [2.0, 3.0]
    row["needed"] = [row["needed"][0], [[4, 5], [1500, 1500], 1000]]
    found = slack.table([row], "uniform")
    assert found["etas"].tolist() == [0.25, 0.125]
    seen = ~np.isnan(found["value"])
    assert seen[0].sum() > seen[1].sum() > 0
    for part in ("low", "value", "high"):
        both = seen[0] & seen[1]
        assert (found[part][1, both] >= found[part][0, both]).all()
        assert (np.diff(found[part][0, seen[0]]) >= 0).all()


# -- the stored run --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return _protocol.read_table(FIGURES / "slack.csv")


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return dict(json.loads((FIGURES / "slack.json").read_text("utf-8")))


def test_the_stored_verdicts_follow_from_the_stored_table(
    rows: list[dict[str, Any]], stored: dict[str, Any]
) -> None:
    again = slack.analyse(rows).to_json()
    for part in ("verdicts", "controls"):
        assert {k: v["state"] for k, v in again[part].items()} == {
            k: v["state"] for k, v in stored[part].items()
        }
    assert set(stored["verdicts"]) >= {f"the theorem holds: {w}" for w in slack.WORDS.values()}
    assert {v["state"] for v in stored["verdicts"].values()} == {"supported"}
    assert len(stored["controls"]) >= 7
    assert all(c["caught"] for c in stored["controls"].values())


def test_no_need_exceeds_its_theorem_nor_falls_below_its_lower_bound(
    stored: dict[str, Any],
) -> None:
    for entry in stored["summary"]:
        assert entry["low"] <= entry["need"] <= entry["high"]
        assert entry["low"] <= entry["theorem"] <= entry["former"]
        assert entry["slack"] == pytest.approx(entry["theorem"] / entry["need"])
        if "lower" in entry:
            assert entry["high"] >= entry["lower"]
    assert {entry["law"] for entry in stored["summary"]} == set(slack.WORDS)


def test_the_stored_theorems_are_those_of_the_library(rows: list[dict[str, Any]]) -> None:
    """A better theorem makes the figure stale; then run the simulation again."""
    theorems = slack.theory(rows)
    for law, eta in (("uniform", 0.25), ("product", 0.125), ("full-product", 0.125)):
        ours, former = theorems[law, eta, 0.01]
        assert slack.theorem(law, eta, 0.01) == ours
        assert slack.theorem(law, eta, 0.01, former=True) == former


def test_a_cell_of_the_table_is_what_its_seed_gives(rows: list[dict[str, Any]]) -> None:
    (row,) = [r for r in rows if r["law"] == "sparse-product" and r["block"] == 0]
    keys = ("law", "tier", "octaves", "block", "trials")
    again = slack.cell(**{key: row[key] for key in keys})
    assert json.loads(json.dumps(again))["needed"] == row["needed"]


def test_the_packages_table_is_that_of_the_stored_run(rows: list[dict[str, Any]]) -> None:
    for law, kept in tables().items():
        found = slack.table(rows, law)
        known = ~np.isnan(found["value"][:, 0])
        assert (-np.log2(found["etas"][known]) == kept.x).all()
        for part in ("value", "low", "high"):
            np.testing.assert_array_equal(found[part][known], getattr(kept, part))


def test_the_figure_has_labels_units_intervals_and_no_overlap(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    fig = slack.figure(rows, tmp_path)
    promised = ["measured need, 95 % interval", "our theorem / need", "need / lower bound"]
    assert plot.check(fig, promised) == []
    assert all((tmp_path / f"slack.{kind}").stat().st_size for kind in plot.FORMATS)

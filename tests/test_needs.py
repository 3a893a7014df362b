"""The table of measured needs: what is measured is measured, the rest says that it is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slth import bounds, needs
from slth.bounds import unit_class
from slth.errors import BadInput
from slth.needs import NeedKind, Table, beside, need, tables

LAWS = ("uniform", "uniform-one", "product", "product-quarter", "full-product", "sparse-product")


def small(value: list[list[float]], chance: float = 1.0) -> Table:
    """A table over η = 1/2, 1/4, 1/8 of a unit reach and δ = 2^-1, 2^-8, 2^-9."""
    grid = np.array(value)
    return Table(
        1.0, chance, np.array([1.0, 2.0, 3.0]), np.array([1.0, 8.0, 9.0]), grid, grid - 1, grid + 1
    )


def test_the_table_says_how_it_was_made() -> None:
    note = needs.provenance()
    assert note["command"].startswith("python -m sims.slack")
    assert set(note["laws"]) == set(tables()) == set(LAWS)
    assert all(len(note["trials"][law]) == tables()[law].x.size for law in LAWS)


@pytest.mark.parametrize("law", LAWS)
def test_points_of_the_grid_are_the_measurements(law: str) -> None:
    table = tables()[law]
    seen = 0
    for i, x in enumerate(table.x):
        for j, y in enumerate(table.y):
            found = need(law, 2.0**-x, 2.0**-y)
            if np.isnan(table.value[i, j]):
                assert found.kind == NeedKind.EXTRAPOLATED
                assert math.isnan(found.low)
                continue
            seen += 1
            assert found.kind == NeedKind.MEASURED
            assert (found.n, found.low, found.high) == pytest.approx(
                (table.value[i, j], table.low[i, j], table.high[i, j])
            )
            assert found.low <= found.n <= found.high
    assert seen > 100


@pytest.mark.parametrize("law", LAWS)
def test_needs_rise_with_what_is_asked(law: str) -> None:
    """Everywhere, across the border between measured and extrapolated too."""
    etas = np.geomspace(0.9 * tables()[law].reach, 1e-12, 60)
    deltas = np.geomspace(0.9, 1e-15, 40)
    grid = np.array([[need(law, e, d).n for d in deltas] for e in etas])
    assert (np.diff(grid, axis=0) >= -1e-9).all()
    assert (np.diff(grid, axis=1) >= -1e-9).all()
    assert grid[-1, -1] > grid[0, 0] + 40


@pytest.mark.parametrize("law", LAWS)
def test_no_need_lies_below_what_signs_alone_ask_for(law: str) -> None:
    """All values have one sign with probability 2 (1 − c/2)^n − (1 − c)^n, and then they fail."""
    c = tables()[law].chance
    for delta in (0.1, 1e-3, 1e-6, 1e-12, 1e-30):
        n = need(law, tables()[law].reach / 4, delta).n
        assert 2 * (1 - c / 2) ** n - (1 - c) ** n <= delta


@pytest.mark.parametrize("law", LAWS)
def test_a_point_is_on_the_grid_to_the_last_digits_only(law: str) -> None:
    table = tables()[law]
    for i, j in ((0, 0), (3, 1), (table.x.size - 1, 0)):
        eta, delta = 2.0 ** -table.x[i], 2.0 ** -table.y[j]
        for scale in (1 - 9e-10, 1 + 9e-10):
            assert need(law, eta * scale, delta) == need(law, eta, delta)
            assert need(law, eta, delta * scale) == need(law, eta, delta)
            assert need(law, eta, delta).kind == NeedKind.MEASURED
        if 0 < i < table.x.size - 1:  # a little more than rounding is another point
            for moved in (need(law, eta * (1 + 3e-9), delta), need(law, eta, delta * (1 + 3e-9))):
                assert moved.kind == NeedKind.INTERPOLATED


def test_between_points_it_is_between_the_neighbours() -> None:
    """η = 0.01 lies between 2^-6.5 and 2^-7, and δ = 0.01 on the grid."""
    coarse, fine = need("uniform", 2**-6.5, 0.01), need("uniform", 2**-7, 0.01)
    found = need("uniform", 0.01, 0.01)
    assert found.kind == NeedKind.INTERPOLATED
    assert (found.least, found.most) == found.between == (coarse.n, fine.n) == (16, 17)
    assert (found.low, found.high) == (coarse.low, fine.high)
    assert coarse.n < found.n < fine.n
    assert need("uniform", 2**-7, 0.015).kind == NeedKind.INTERPOLATED
    measured = needs.Need(7.64, 7, 9, NeedKind.EXTRAPOLATED)
    assert measured.least == measured.most == 8


def test_between_points_it_is_a_line_inside_the_corners_intervals() -> None:
    table = small([[4, 11, 12], [6, 13, 14], [8, 15, math.nan]])
    found = table.need(2**-1.5, 2.0**-4.5)
    assert found.kind == NeedKind.INTERPOLATED
    assert found.between == (4, 13)
    assert found.n == pytest.approx((4 + 6 + 11 + 13) / 4)
    assert (found.low, found.high) == (3, 14)
    assert table.need(0.25, 2.0**-8.5).n == pytest.approx(13.5)


def test_beyond_it_the_slopes_go_on() -> None:
    table = small([[4, 18, 20], [6, 20, 22], [8, 22, math.nan]])
    missing = table.need(2.0**-3, 2.0**-9)
    assert missing.kind == NeedKind.EXTRAPOLATED
    assert missing.n == pytest.approx(22 + 2)  # two values a bit of δ
    assert table.need(2.0**-3, 2.0**-19).n == pytest.approx(22 + 22)
    assert table.need(2.0**-13, 0.5).n == pytest.approx(8 + 20)  # and two a bit of η
    assert table.need(0.45, 2.0**-19).kind == NeedKind.EXTRAPOLATED
    # a flat tail cannot be: signs alone ask for a value a bit, and for more where some are 0
    assert small([[4, 4, 4]] * 3).need(0.5, 2.0**-19).n == pytest.approx(14)
    flat = small([[4, 4, 4]] * 3, chance=0.5).need(0.5, 2.0**-19)
    assert flat.n == pytest.approx(4 + 10 / math.log2(4 / 3))


def test_the_empty_set_needs_nothing() -> None:
    assert need("uniform", 0.5, 1e-9) == needs.Need(0.0, 0.0, 0.0, NeedKind.COMPUTED)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense", 0.1, 0.1), "uniform-one"),
        (("uniform", 0.0, 0.1), "tolerance"),
        (("uniform", math.nan, 0.1), "tolerance"),
        (("uniform", 0.1, 0.0), "delta"),
        (("uniform", 0.1, 1.0), "delta"),
    ],
)
def test_nonsense_is_refused(arguments: tuple[str, float, float], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        need(*arguments)


def test_beside_a_theorem_stands_the_need_of_its_own_gadgets() -> None:
    target = unit_class(4, 3, 2)
    pensia = beside(bounds.load("pensia")(), target, 0.5, 0.1)
    events = 2 * (4 * 3 + 3 * 2)
    wanted = [need("product", 0.5 / (4 * s**0.5), 0.1 / events) for s in (12, 6)]
    assert [n.n for n in pensia or ()] == pytest.approx([n.n for n in wanted])
    uniform = bounds.load("random_subset_sum")("uniform")  # type: ignore[call-arg]
    assert beside(uniform, target, 0.05, 0.1) == [need("uniform-one", 0.05, 0.1)] * 2
    tight = unit_class(16, 16, 2, entries="malach")
    assert beside(uniform, tight, 0.05, 0.1) == [need("uniform", 0.05, 0.1)] * 2
    assert beside(uniform, tight, 0.25, 0.1) == [needs.Need(0.0, 0.0, 0.0, NeedKind.COMPUTED)] * 2
    for name, form in (("lueker", ()), ("pensia", ("asymptotic",)), ("counting", ("network",))):
        assert beside(bounds.load(name)(*form), target, 0.05, 0.1) is None


def test_a_pools_need_is_that_of_its_chance() -> None:
    """The least K with (1 − p)^K at most the share of δ, by counting neurons that hit."""
    target = unit_class(4, 1, entries="malach")
    rng = np.random.default_rng(5)
    u, v = rng.uniform(-1, 1, (2, 4_000_000))
    for form in ("factors", "product"):
        bound = bounds.load("malach")(form)  # type: ignore[call-arg]
        (found,) = beside(bound, target, 0.8, 0.1) or ()
        eta, share = 0.8 / (2 * 2), 0.1 / 8
        hit = (
            (np.abs(u - 0.5) <= eta / 2) & (np.abs(v - 1) <= eta / 2)
            if form == "factors"
            else (u > 0) & (np.abs(u * v - 0.5) <= eta)
        )
        assert found.n == pytest.approx(math.log(share) / math.log1p(-hit.mean()), rel=0.02)
        assert found.kind == NeedKind.COMPUTED
        assert found.own == (form == "product")
        assert float(bound.ask(target, 0.8, 0.1)[0]) >= found.n


def test_every_theorem_that_speaks_asks_for_no_less_than_the_need() -> None:
    target, checked = unit_class(4, 3, entries="malach"), set()
    for name in bounds.bounds():
        for bound in bounds.load(name).variants():
            if bound.silence(target, 0.05, 0.05):
                continue
            found, size = beside(bound, target, 0.05, 0.05), bound.size(target, 0.05, 0.05)
            if found is None or size is None or size.samples is None:
                continue
            for n, asked in zip(found, size.samples, strict=True):
                assert n.n >= asked if size.least else 0 < n.n <= asked, name
                checked.add(name)
    assert checked == set(needs._BESIDE) - {"convolution"}

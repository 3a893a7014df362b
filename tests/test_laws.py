"""Laws are file formats: words in, weights out, the same everywhere, near the ideal law."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from slth import laws
from slth.errors import BadInput
from slth.laws import Grid, Normal, Rademacher, SignedConstant, SignedHyperbolic, Uniform

GOLDEN = json.loads((Path(__file__).parent / "golden" / "words.json").read_text())
EXAMPLES = [
    Uniform(),
    Uniform(-0.25, 1.5),
    Normal(),
    Normal(0.125),
    SignedHyperbolic(1.0, 10.0),
    SignedHyperbolic.between(0.003, 2.0),
    Rademacher(),
    SignedConstant(0.1),
    Grid(),
    Grid(0.25, 3),
]


def words(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << 32, count, dtype=np.uint32)


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda e: json.dumps(e["law"]))
def test_golden_words(entry: dict) -> None:
    law = laws.from_json(entry["law"])
    got = law(np.array(entry["words"], dtype=np.uint32))
    assert [float(w).hex() for w in got] == entry["weights"]


@pytest.mark.parametrize("law", EXAMPLES, ids=str)
def test_every_weight_is_a_float32_and_within_the_bound(law: laws.Law) -> None:
    w = law(np.concatenate([words(200_000, 1), np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 1])]))
    assert (np.float32(w) == w).all()
    assert (w != 0).all() or isinstance(law, Uniform | Grid)
    assert np.abs(w).max() <= law.bound
    assert laws.from_json(json.loads(json.dumps(law.to_json()))) == law


def test_product_of_two_weights_is_exact_in_float64() -> None:
    u, v = Normal()(words(500, 2)), SignedHyperbolic(1.0, 40.0)(words(500, 3))
    for a, b in zip(u.tolist(), v.tolist(), strict=True):
        assert Fraction(a) * Fraction(b) == Fraction(a * b)


@pytest.mark.parametrize(
    "law", [e for e in EXAMPLES if e.distance > 0 and not isinstance(e, Grid)], ids=str
)
def test_distance_to_the_ideal_law_over_a_lattice_of_words(law: laws.Law) -> None:
    """On 2^18 equally spaced words the empirical law is within one lattice step of the law itself,
    so the distance to the ideal one is measured without sampling noise."""
    step = 1 << 14
    lattice = (np.arange(1 << 18, dtype=np.uint64) * step + step // 2).astype(np.uint32)
    x = np.sort(law(lattice))
    n = x.size
    ideal = law.cdf(x)
    ks = max(np.abs(ideal - np.arange(n) / n).max(), np.abs(ideal - np.arange(1, n + 1) / n).max())
    assert ks <= law.distance + 1.5 / n
    wrong = law.cdf(x * 1.001) if not isinstance(law, Uniform) else law.cdf(x * 1.001 + 1e-4)
    assert np.abs(wrong - np.arange(n) / n).max() > law.distance + 1.5 / n


@pytest.mark.parametrize("law", [e for e in EXAMPLES if e.distance == 0], ids=str)
def test_two_point_laws_are_exact(law: laws.Law) -> None:
    w = law(np.array([0, 2**31 - 1, 2**31, 2**32 - 1], dtype=np.uint32))
    size = np.float64(np.float32(law.params[0]))
    assert w.tolist() == [size, size, -size, -size]


@pytest.mark.parametrize("law", [Grid(), Grid(1.0, 1), Grid(2.0**-24, 1 << 24)], ids=str)
def test_grid_multiples_are_as_likely_as_each_other(law: Grid) -> None:
    """Multiple k begins at the word ⌈(k + most)·2^32/(2·most + 1)⌉: its probability is exact to
    2^-32, and so is the law's distance from the ideal one."""
    values = 2 * law.most + 1
    ranks = sorted({0, 1, 2, law.most - 1, law.most, law.most + 1, values - 1} & set(range(values)))
    first = [-(-rank * 2**32 // values) for rank in [*ranks, *(rank + 1 for rank in ranks)]]
    begins, ends = np.array(first[: len(ranks)]), np.array(first[len(ranks) :])
    expected = law.step * (np.array(ranks) - law.most)
    assert (law(begins.astype(np.uint32)) == expected).all()
    assert (law((ends - 1).astype(np.uint32)) == expected).all()
    below = ends / 2.0**32
    assert (np.abs(law.cdf(expected) - below) <= law.distance).all()
    assert (np.abs(law.cdf(expected - law.step / 2) - below) > law.distance).all()


def test_steps_divide_every_weight() -> None:
    for law in EXAMPLES:
        if law.step is not None:
            assert ((law(words(1000, 7)) / law.step) % 1 == 0).all()
    steps = {str(law): law.step for law in EXAMPLES if law.step is not None}
    assert steps == {"Rademacher()": 1.0, str(Grid()): 2.0**-6, str(Grid(0.25, 3)): 0.25}
    assert SignedConstant(0.125).step == 0.125


def test_tables_are_what_mpmath_says() -> None:
    for stored, computed in zip(laws.tables(), laws.make_tables(), strict=True):
        assert (stored == computed).all()


def test_uniform_component_is_below_the_density() -> None:
    """p/(2c) on [−c, c] must not exceed the density, and does with p one percent larger."""
    for law in (Uniform(), Uniform(-0.25, 1.5), Normal(), Normal(0.3)):
        component = law.uniform_component()
        assert component is not None
        c, p = component
        x = np.linspace(-c, c, 4001)
        density = np.diff(law.cdf(x)) / np.diff(x)
        assert (p / (2 * c) <= density * (1 + 1e-5)).all()
        assert (1.01 * p / (2 * c) > density * (1 + 1e-5)).any()
    assert SignedHyperbolic().uniform_component() is None
    assert Rademacher().uniform_component() is None
    assert Uniform(0.5, 1.0).uniform_component() is None


def test_hyperbolic_is_scale_invariant() -> None:
    """Each of k geometric intervals has probability 1/k (Orseau et al. 2020): within 5 sigma."""
    k, gamma = 12, 1.5
    law = SignedHyperbolic.between(gamma**-k, 1.0)
    w = np.abs(law(words(400_000, 5)))
    counts = np.bincount(
        np.clip(np.floor(-np.log(w) / math.log(gamma)).astype(int), 0, k - 1), minlength=k
    )
    sigma = math.sqrt(w.size / k * (1 - 1 / k))
    assert np.abs(counts - w.size / k).max() < 5 * sigma


@pytest.mark.parametrize(
    "make",
    [
        lambda: Uniform(1.0, 1.0),
        lambda: Uniform(float("nan"), 1.0),
        lambda: Normal(0.0),
        lambda: Normal(float("inf")),
        lambda: Normal(1e300),
        lambda: Uniform(0.0, 1e300),
        lambda: SignedHyperbolic(1.0, 0.0),
        lambda: SignedHyperbolic(1.0, 1000.0),
        lambda: SignedHyperbolic(2.0**-60, 80.0),
        lambda: Uniform(-1e-60, 1e-60),
        lambda: SignedHyperbolic.between(2.0, 1.0),
        lambda: SignedConstant(-1.0),
        lambda: Grid(0.3, 5),
        lambda: Grid(0.25, 0),
        lambda: Grid(0.25, (1 << 24) + 1),
        lambda: Grid(0.25, 2.0),
        lambda: Grid(2.0**100, 2),
        lambda: laws.from_json({"law": "cauchy"}),
        lambda: laws.from_json({"law": "normal", "scale": 2.0}),
    ],
)
def test_bad_laws_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match="allowed: "):
        make()

"""Every theorem answers the same questions, at every legal point, and says where it is silent."""

from __future__ import annotations

import dataclasses
import inspect
import math
import subprocess
import sys

import numpy as np
import pytest

from slth.bounds import Bound, Kind, Provenance, TargetClass, bounds, facts, load, unit_class
from slth.bounds.counting import Counting
from slth.domain import Ball, Box
from slth.errors import BadInput
from slth.target import Target
from tests.subset_sums import coarse

EXAMPLE = unit_class(4, 4, 4, 2)


@pytest.fixture(autouse=True, scope="module")
def coarse_programs():
    with coarse(least=1e-3):
        yield


def variants() -> list[Bound]:
    """Every form that a table of theorems lists."""
    return [bound for name in bounds() for bound in load(name).variants()]


def points(bound: Bound, target: TargetClass) -> np.ndarray:
    """Tolerances inside the bound's limits, up to almost the upper one."""
    low, high = bound.limits(target)
    return low + min(high - low, 1.0) * np.array([0.99, 0.4, 0.02])


def random_class(rng: np.random.Generator) -> TargetClass:
    """Widths 1 to 9, up to four layers, Malach's entries or 1."""
    dims = [int(d) for d in rng.integers(1, 10, rng.integers(2, 6))]
    kernels = tuple(int(k) for k in rng.integers(1, 4, len(dims) - 1))
    entries = "malach" if rng.random() < 0.5 else "one"
    return unit_class(*dims, entries=entries, kernels=kernels if rng.random() < 0.3 else None)


class TestTheShelf:
    def test_each_bound_is_a_frozen_final_dataclass_with_a_citation(self):
        assert len(bounds()) >= 5
        for name in bounds():
            bound = load(name)
            assert bound.__dataclass_params__.frozen
            assert getattr(bound, "__final__", False)
            assert str(bound.citation.year) in str(bound.citation)
            assert inspect.getmodule(bound).__doc__

    @pytest.mark.parametrize("bound", variants(), ids=repr)
    def test_statements_evaluate_and_render(self, bound):
        from matplotlib.mathtext import MathTextParser

        with coarse(48):  # coarser ones ask for more where a larger error widens the cells
            value = bound.evaluate(EXAMPLE, points(bound, EXAMPLE), 0.1)
        assert value.shape in {(3,), (3, EXAMPLE.depth)}
        assert np.isfinite(value).all()
        assert (np.diff(value, axis=0) >= 0).all()  # a smaller error never costs less
        assert isinstance(bound.hypotheses(EXAMPLE), list)
        MathTextParser("path").parse(f"${bound.latex}$")
        assert bound.statement.text.endswith(".")
        assert bound.statement.text.count("$") % 2 == 0

    @pytest.mark.parametrize("bound", variants(), ids=repr)
    def test_provenance_is_honest(self, bound):
        """Rates have no size, what we derived is a number, and memory is for display only."""
        size = bound.size(EXAMPLE, points(bound, EXAMPLE)[1], 0.1)
        if bound.kind is Kind.ASYMPTOTIC:
            assert bound.provenance is not Provenance.DERIVED
            assert size is None
        else:
            assert bound.provenance is not Provenance.ASYMPTOTIC_ONLY
        assert size is None or size.display == (bound.provenance is Provenance.REMEMBERED)

    @pytest.mark.parametrize("bound", variants(), ids=repr)
    def test_the_closed_form_is_what_is_evaluated(self, bound):
        """In forty digits at random classes and points; where there is none, it says why."""
        rng = np.random.default_rng(20)
        epsilon = points(bound, EXAMPLE)[1]
        closed = bound.closed_form(EXAMPLE, epsilon, 0.1) is not None
        assert closed != bool(bound.statement.algorithm)
        for _ in range(8 if closed else 0):
            target = random_class(rng)
            low, high = bound.limits(target)
            epsilon = low + min(high - low, 1.0) * rng.uniform(0.01, 0.99)
            delta = 10.0 ** rng.uniform(-6, -0.1)
            exact = bound.closed_form(target, epsilon, delta).numbers()
            found = np.ravel(bound.evaluate(target, epsilon, delta))
            np.testing.assert_allclose(found, exact, rtol=1e-12, atol=0)

    @pytest.mark.parametrize("bound", variants(), ids=repr)
    @pytest.mark.parametrize("dims", [(4, 4, 4, 2), (784, 500, 10)])
    def test_no_point_overflows(self, bound, dims):
        target = unit_class(*dims, entries="malach")
        low, high = bound.limits(target)
        top = min(high, 10.0)
        inside = low + np.array([1e-100, 1e-30, 1e-8, 0.5 * top, top * (1 - 1e-9)])
        for delta in (0.99, 1e-6, 1e-150):
            assert np.isfinite(bound.evaluate(target, inside, delta)).all()

    @pytest.mark.parametrize("bound", variants(), ids=repr)
    @pytest.mark.parametrize(
        "target",
        [
            TargetClass((3, 2, 2), False, (0.0, 0.0), (0.0, 0.0), 0.0),
            TargetClass((3,) * 9, True, (1e60,) * 8, (1e3,) * 8, 1e60, 1e60),
            TargetClass((10**6, 10**6), False, (1.0,), (1.0,), 1.0, 1.0),
        ],
        ids=["zero", "astronomic", "wide"],
    )
    def test_no_class_breaks_it(self, bound, target):
        """Numbers or NaN, in bulk and without exceptions or warnings; reasons at every point."""
        for delta in (0.9, 1e-200):
            assert not np.isinf(bound.evaluate(target, [1e-100, 1e-3, 0.05, 1.0, 1e9], delta)).any()
            assert isinstance(bound.silence(target, 1e-100, delta), list)
        if bound.closed_form(target, 0.05, 0.1) is not None and max(target.spectral_norms) < 2:
            exact = bound.closed_form(target, 0.05, 0.1).numbers()
            found = np.ravel(bound.evaluate(target, 0.05, 0.1))
            np.testing.assert_allclose(found, exact, rtol=1e-12)

    @pytest.mark.parametrize("bound", variants(), ids=repr)
    def test_outside_its_limits_it_is_silent(self, bound):
        low, high = bound.limits(EXAMPLE)
        inside = points(bound, EXAMPLE)[1]
        failed = bound.hypotheses(EXAMPLE)
        assert bound.silence(EXAMPLE, inside, 0.1)[: len(failed)] == failed
        assert not any("speaks" in reason for reason in bound.silence(EXAMPLE, inside, 0.1))
        np.testing.assert_array_equal(
            bound.ask(EXAMPLE, inside, 0.1), bound.evaluate(EXAMPLE, inside, 0.1)
        )
        outside = [e for e in (low, high, 2 * high) if 0 < e < math.inf]
        for epsilon in outside:
            mixed = bound.evaluate(EXAMPLE, [inside, epsilon], 0.1)
            assert np.isfinite(mixed[0]).all()
            assert np.isnan(mixed[1]).all()
            assert np.isnan(bound.evaluate(EXAMPLE, epsilon, 0.1)).all()
            assert "speaks" in bound.silence(EXAMPLE, epsilon, 0.1)[-1]
            for question in (bound.ask, bound.size):
                if question == bound.ask or bound.size(EXAMPLE, inside, 0.1) is not None:
                    with pytest.raises(BadInput, match="speaks"):
                        question(EXAMPLE, epsilon, 0.1)

    @pytest.mark.parametrize("bound", variants(), ids=repr)
    @pytest.mark.parametrize(
        ("epsilon", "delta"), [(0.0, 0.1), (-1, 0.1), (math.nan, 0.1), (0.1, 0.0), (0.1, 1.0)]
    )
    def test_bad_tolerances_are_refused(self, bound, epsilon, delta):
        for question in (bound.evaluate, bound.ask, bound.silence):
            with pytest.raises(BadInput, match="remedy"):
                question(EXAMPLE, epsilon, delta)

    def test_an_unknown_bound_names_the_known_ones(self):
        with pytest.raises(BadInput, match="pensia"):
            load("nobody")

    def test_class_facts_of_a_target(self):
        w, v = np.array([[3.0, 0], [0, 0.5]]), np.array([[1.0, -2.0]])
        class_ = facts(
            Target((w, v), (None, np.array([4.0]))), Box(np.full(2, -1.0), np.full(2, 2.0))
        )
        assert class_.dims == (2, 2, 1)
        assert class_.biases
        assert class_.links == ((3, 2), (3, 1))
        assert class_.spectral_norms == pytest.approx((3, math.sqrt(5)), rel=1e-9)
        assert class_.max_entries == (3.0, 4.0)
        assert class_.input_radius == pytest.approx(math.sqrt(8))
        assert class_.inner_radius == 1.0
        away = facts(Target((v,), (None,)), Box(np.full(2, 1.0), np.full(2, 2.0)))
        assert away.inner_radius == 0.0
        assert Counting().hypotheses(away)
        with pytest.raises(BadInput, match="dimension"):
            facts(Target((v,), (None,)), Ball(1.0, 3))
        for wrong in (
            {"dims": (3,)}, {"spectral_norms": (math.nan,)}, {"inner_radius": 2.0},
            {"kernels": (3, 3)}, {"kernels": (0,)}, {"heads": -1}, {"heads": 2, "kernels": (3,)},
        ):  # fmt: skip
            good = {
                "dims": (2, 1), "biases": False, "spectral_norms": (1.0,), "max_entries": (1.0,),
                "input_radius": 1.0,
            }  # fmt: skip
            with pytest.raises(BadInput):
                TargetClass(**{**good, **wrong})


def test_citations_are_short_as_a_text_has_them():
    assert load("pensia").citation.short == "Pensia et al. (2020)"
    assert load("random_subset_sum").citation.short == "da Cunha et al. (2022)"
    assert load("first_moment").citation.short == "Lueker (1998)"


def test_a_formula_is_never_asked_outside_its_limits():
    """Not even in bulk, beside points inside; per layer and for the whole network."""

    class Narrow(type(load("lueker")())):  # type: ignore[misc]
        layers = 0

        def limits(self, target):
            return 0.1, 0.2

        def _values(self, target, errors, delta):
            assert ((errors > 0.1) & (errors < 0.2)).all()
            return np.stack([errors] * 2, axis=-1) if self.layers else errors

    for layers in (0, 1):
        Narrow.layers = layers
        values = Narrow().evaluate(EXAMPLE, [[0.05, 0.1], [0.15, 0.2]], 0.1)
        assert np.isnan(values).sum() == 0.75 * values.size
        assert (values[1, 0] == 0.15).all()
        assert np.isnan(Narrow().evaluate(EXAMPLE, 7.0, 0.1)).all()


def test_an_equivariant_basis_counts():
    bound, one = (load("equivariant")(basis) for basis in (9.0, 1.0))
    exact = bound.closed_form(EXAMPLE, 0.1, 0.2).numbers()
    np.testing.assert_allclose(bound.ask(EXAMPLE, 0.1, 0.2), exact, rtol=1e-12)
    assert bound.ask(EXAMPLE, 0.1, 0.2) - one.ask(EXAMPLE, 0.1, 0.2) == pytest.approx(math.log(9))


def test_asking_a_theorem_imports_no_algebra():
    """Only closed forms need sympy; every theorem is loaded and asked without it."""
    code = (
        "import sys; from slth.bounds import *; from slth.bounds import _coverage\n"
        "_coverage.FINEST = 6\n"
        "t = unit_class(3, 2)\n"
        "[b.evaluate(t, 0.05, 0.1) for n in bounds() for b in load(n).variants()]\n"
        "assert not {'sympy', 'torch', 'matplotlib', 'scipy.stats'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_construction_is_smaller_than_counting_allows():
    """Every source that a theorem calls enough has as many weights as are necessary, and every
    gadget as many values."""
    counting, moment = load("counting"), load("first_moment")()
    compared = set()
    for epsilon, dims in ((0.5, (1, 1)), (0.1, (4, 4, 4, 2)), (1e-6, (3, 9)), (1e-40, (9, 2, 5))):
        target = unit_class(*dims, entries="malach")
        for bound in variants():
            size = bound.size(target, epsilon, 0.5) if bound.limits(target)[1] > epsilon else None
            if bound.hypotheses(target) or size is None or size.least or size.display:
                continue
            if bound.statement.epsilon == "tolerance per weight":
                for least in (counting("gadget"), moment):
                    assert size.samples >= least.size(target, epsilon, 0.5).samples
            elif size.weights is not None:
                assert size.weights >= counting().size(target, epsilon, 0.5).weights
            compared.add(type(bound).__name__)
    assert compared >= {"Malach", "Orseau", "Pensia", "DepthPlusOne", "RandomSubsetSum"}


SQUARE = unit_class(4, 4, entries="malach")
# What keeps a class out of a theorem: the change to SQUARE, and a word of the sentence.
CHANGES = {
    "biases": ({"biases": True}, "biases"),
    "heads": ({"heads": 2}, "attention"),
    "kernels": ({"kernels": (3,)}, "convolutions"),
    "norm": ({"spectral_norms": (1.1,)}, "1.1"),
    "entry": ({"max_entries": (0.6,)}, "0.6"),
    "radius": ({"input_radius": 1.2}, "1.2"),
    "away": ({"inner_radius": 0.0}, "domain"),
}
UNIT = {"biases", "heads", "kernels", "norm", "radius"}
ASKED: dict[str, set[str] | None] = {  # None: about targets of another kind
    "Assigned": UNIT,
    "Attention(form='keys')": None,
    "Attention(form='values')": None,
    "Attention(form='product')": {"biases", "heads", "kernels", "norm"},
    "Binary": UNIT,
    "Convolution": None,
    "Counting(level='network')": {"heads", "kernels", "away"},
    "Counting(level='gadget')": set(),
    "DepthPlusOne": {"biases", "heads", "kernels"},
    "Equivariant": UNIT,
    "FirstMoment": set(),
    "FixedSize(form='asymptotic'": UNIT,
    "FixedSize(form='lower'": {"biases", "heads", "kernels", "away"},
    "FixedSize(form='packing'": {"biases", "heads", "kernels", "away"},
    "Lueker": set(),
    "Malach": UNIT | {"entry"},
    "MaximalCompression": {"heads"},
    "MultiPrize": UNIT,
    "Orseau": {"biases", "heads", "kernels"},
    "Pensia": UNIT,
    "Quantised": {"heads", "kernels"},
    "RandomSparse(form='diamond'": UNIT,
    "RandomSparse(form='copies'": {"heads", "kernels"},
    "RandomSparse(form='asymptotic'": {"heads", "kernels"},
    "RandomSubsetSum": set(),
}


def asked(bound: Bound) -> set[str] | None:
    """A new theorem must be entered in ASKED."""
    (found,) = [value for key, value in ASKED.items() if repr(bound).startswith(key)]
    return found


class TestHypotheses:
    @pytest.mark.parametrize("bound", variants(), ids=repr)
    def test_each_switches_on_and_off(self, bound):
        """On one square matrix of Malach's class each holds; each change fails where it should."""
        changes = asked(bound)
        if changes is None:
            assert set(" ".join(bound.hypotheses(SQUARE)).split()) & {"heads.", "kernels."}
            return
        assert not bound.hypotheses(SQUARE)
        for name, (change, word) in CHANGES.items():
            failed = bound.hypotheses(dataclasses.replace(SQUARE, **change))
            assert len(failed) == (name in changes), name
            assert all(word in sentence for sentence in failed)

    def test_the_class_that_most_theorems_allow(self):
        """`slth bounds` declares Malach's class: only what is about other targets is silent."""
        target = unit_class(784, 500, 10, entries="malach")
        assert target.max_entries == (784**-0.5, 500**-0.5)
        silent = {repr(b).split("(")[0] for b in variants() if b.hypotheses(target)}
        assert silent == {"Attention", "Convolution", "FixedSize"}
        assert [type(b).__name__ for b in variants() if b.hypotheses(target)].count(
            "FixedSize"
        ) == 1

    def test_attention_is_left_to_attention(self):
        block = unit_class(16, 16, heads=4)
        for bound in variants():
            changes = asked(bound)
            attends = type(bound).__name__ == "Attention" and changes is None
            numbers = changes is not None and "heads" not in changes
            assert (not bound.hypotheses(block)) == (attends or numbers), bound

    def test_convolutions_are_left_to_convolutions(self):
        class_ = unit_class(3, 6, 16, kernels=(5, 5))
        assert class_.taps == (25, 25)
        assert all(not b.hypotheses(class_) for b in load("convolution").variants())
        for change, word in (({"biases": True}, "biases"), ({"input_radius": 2.0}, "2")):
            (failed,) = load("convolution")().hypotheses(dataclasses.replace(class_, **change))
            assert word in failed
        large = dataclasses.replace(class_, spectral_norms=(1.0, 1.5))
        assert "Layer 2" in load("convolution")().hypotheses(large)[0]

    def test_natale_asks_for_more_than_a_class_can_say(self):
        bound, wide = (
            load("fixed_size")("lower"),
            dataclasses.replace(SQUARE, spectral_norms=(1e3,)),
        )
        assert not bound.silence(wide, 0.01, 0.5)
        assert "sqrt(k)" in bound.silence(SQUARE, 0.01, 0.5)[0]
        assert "1/2" in bound.silence(wide, 0.01, 0.6)[0]
        with pytest.raises(BadInput, match=r"0\.0625.*smaller"):
            bound.ask(wide, 0.5, 0.5)
        assert "square" in bound.hypotheses(unit_class(3, 4))[0]

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("fixed_size", {"density": 0.6}), ("fixed_size", {"density": 0.0}),
            ("random_sparse", {"density": 1.5}), ("equivariant", {"basis": 0.5}),
            ("random_sparse", {"form": "asymptotic", "density": 1.0}),
        ],
    )  # fmt: skip
    def test_nonsense_options_are_refused(self, name, options):
        with pytest.raises(BadInput, match="remedy"):
            load(name)(**options)

    def test_classes_of_one_width_are_refused(self):
        for dims in ((), (3,), (3, 0)):
            with pytest.raises(BadInput, match="dims"):
                unit_class(*dims, entries="malach")

"""The ledger's steps pass, checkers reject what is false, and the theorems hold on networks."""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from proofs import Outcome, Step, examine, theorems
from proofs.checkers import (
    CHECKERS,
    Below,
    Deviation,
    Frequency,
    Implication,
    Integral,
    Positive,
    ball,
)
from slth.certify.propagate import Propagation, propagation
from slth.domain import Ball
from slth.effective import Effective
from slth.target import Target


def every_step() -> list[tuple[str, Step]]:
    from importlib import import_module

    return [(name, step) for name in theorems() for step in import_module(f"proofs.{name}").steps()]


@pytest.mark.parametrize(("theorem", "step"), every_step(), ids=lambda value: str(value)[:60])
def test_step(theorem, step):
    entry = examine(theorem, step)
    if entry.outcome is Outcome.NOT_RUN:
        pytest.skip(entry.reason)
    assert not entry.failed, entry.reason
    assert "∀" in step.sentence  # a step says over what it quantifies


@pytest.mark.parametrize("theorem", theorems())
def test_a_proof_file_says_what_it_proves(theorem):
    from importlib import import_module

    doc = import_module(f"proofs.{theorem}").__doc__
    for heading in ("Theorem.", "Proof.", "What is checked.", "What is not."):
        assert heading in doc


def rejected(step: Step) -> str:
    entry = examine("planted", step)
    assert entry.outcome is Outcome.REJECTED
    assert entry.failed
    return entry.reason


class TestPlantedFalsehoods:
    def test_there_is_a_plant_for_every_checker(self):
        planted = {name.removeprefix("test_") for name in vars(type(self))}
        assert set(CHECKERS) <= planted

    def test_symbolic(self):
        import sympy

        a, b = sympy.symbols("a b")
        false = Step("(a+b)² = a² + b²", "symbolic", lambda: [(a + b) ** 2 - a**2 - b**2])
        assert "2*a*b" in rejected(false)
        rejected(Step("nothing", "symbolic", list))

    def test_exact(self):
        assert "case 2" in rejected(Step("1 <= 0", "exact", lambda: [(0, 1), (1, Fraction(1, 2))]))
        assert "rational" in rejected(Step("floats", "exact", lambda: [(0.0, 1.0)]))
        rejected(Step("nothing", "exact", list))

    def test_smt(self):
        z3 = pytest.importorskip("z3")
        x, y = z3.Reals("x y")

        def smt(hypotheses, conclusion):
            return Step("planted", "smt", lambda: Implication(hypotheses, conclusion))

        assert "counterexample" in rejected(smt({"x > 0": x > 0}, x > 1))
        assert "satisfiable" in rejected(smt({"x > 0": x > 0, "x < 0": x < 0}, y > y))
        assert "'y > 0'" in rejected(smt({"x > 0": x > 0, "y > 0": y > 0}, 2 * x > x))

    def test_interval(self):
        flint = pytest.importorskip("flint")

        def interval(*claims):
            return Step("planted", "interval", lambda: claims)

        assert "not below" in rejected(interval((0, 1), (1, Fraction(1, 2))))
        assert "not below" in rejected(interval(Below(1, 1, strict=True)))
        assert "undecided" in rejected(interval((flint.arb(1, 0.1), 1)))  # 1 ± 0.1
        assert "not finite" in rejected(interval((0, flint.arb("+inf"))))
        assert "not finite" in rejected(interval((flint.arb("nan"), 1)))
        assert "0.5 is not" in rejected(interval((0.5, 1)))
        assert "on [3/4, 1]" in rejected(interval(Positive(lambda x: 2 - 3 * x, [(0, 1)])))
        assert "undecided" in rejected(interval(Positive(lambda x: x * x, [(-1, 1)])))
        assert "undecided" in rejected(interval(Positive(lambda x: 1 / x, [(0, 1)], budget=50)))
        assert "[0, 0]" in rejected(interval(Positive(lambda x: x, [(0, 0)], strict=True)))
        assert "0.1 is not" in rejected(interval(Positive(lambda x: x + 0.1, [(0, 1)])))
        assert "0.5 is not" in rejected(interval(Positive(lambda x: x + 1, [(0.5, 1)])))
        rejected(interval(Positive(lambda x: x + 1, [(1, 0)])))
        rejected(interval(Positive(lambda: 1, [])))
        third = Integral(lambda z, _: z * z, 0, 1, Fraction(1, 3), Fraction(1, 2))
        assert "undecided" in rejected(interval(third))  # a ball around 1/3 cannot tell
        log = Integral(lambda z, analytic: z.log(analytic=analytic), 1, 2, high=Fraction(386, 1000))
        assert "not below" in rejected(interval(log))  # ∫ = 2 ln 2 − 1 = 0.38629...
        assert "0.5 is not" in rejected(interval(Integral(lambda z, _: z * 0.5, 0, 1, 0)))
        for cut in (lambda z, _: z.log(), lambda z, _: abs(z), lambda z, _: z ** Fraction(1, 2)):
            assert "analytic" in rejected(interval(Integral(cut, 1, 2, -9, 9)))
        rejected(interval(Integral(lambda z, _: z, 0, 1)))
        rejected(interval())

    def test_interval_says_yes_where_it_should(self):
        pytest.importorskip("flint")
        check = CHECKERS["interval"]
        tight = [(0, 1), (1, 1), (ball("0.1"), Fraction(1, 8)), Below(0, 1, strict=True)]
        assert check(tight) is None
        # x ln x >= −1/e > −0.368, tight to 3e-4; subtraction of a variable from itself too
        assert (
            check([Positive(lambda x: x * x.log() + Fraction(368, 1000), [(Fraction(1, 9), 1)])])
            is None
        )
        assert check([Positive(lambda x, y: x - y + 2, [(0, 1), (0, 1)])]) is None
        third = Integral(lambda z, _: z * z, 0, 1, Fraction(333, 1000), Fraction(334, 1000))
        assert check([third]) is None

    def test_statistical(self):
        def tested(claim):
            return Step("planted", "statistical", lambda: claim)

        # 40 of 200 against 0.1: the binomial tail is 1.1e-5
        assert "40 of 200" in rejected(tested(Frequency(200, 40, 0.1, 1e-4)))
        assert "at least" in rejected(tested(Frequency(200, 5, 0.1, 1e-3, "at least")))
        for count in (5, 40):
            rejected(tested(Frequency(200, count, 0.1, 1e-3, "exactly")))
        assert "+5.00" in rejected(tested(Deviation(1000, 5.0, 1e-3)))
        for empty in (Frequency(0, 0, 0.1, 0.01), Deviation(3, 0.0, 0.01)):
            assert "nothing" in rejected(tested(empty))
        assert "false-alarm" in rejected(tested(Frequency(200, 20, 0.1, 0.2)))

    def test_what_is_tested_is_not_proved(self):
        step = Step(
            "∀ trials: fails with probability <= 0.1",
            "statistical",
            lambda: Frequency(200, 22, 0.1, 1e-3),
            altered={"0.02 is claimed": lambda: Frequency(200, 22, 0.02, 1e-3)},
        )
        entry = examine("planted", step)
        assert entry.outcome is Outcome.TESTED
        assert not entry.failed
        assert "0.001" in entry.reason
        assert "22 of 200" in entry.reason

    @pytest.mark.parametrize("kind", ["mutants", "altered"])
    def test_a_mutant_that_passes_is_found(self, kind):
        def with_mutant(mutant):
            return Step("0 <= 1", "exact", lambda: [(0, 1)], **{kind: {"nothing breaks": mutant}})

        assert "nothing breaks" in rejected(with_mutant(lambda: [(0, 1)]))
        # nor is one that is refused for another reason than being false
        assert "not seen to be false" in rejected(with_mutant(list))
        assert "not seen to be false" in rejected(with_mutant(lambda: [(1.5, 1)]))
        assert not examine("planted", with_mutant(lambda: [(1, 0)])).failed

    def test_an_undecided_mutant_is_found(self):
        flint = pytest.importorskip("flint")
        blurred = {"the ball is wide": lambda: [(0, flint.arb(0, 1))]}
        step = Step("0 <= 1", "interval", lambda: [(0, 1)], blurred)
        assert "not seen to be false" in rejected(step)

    def test_a_step_without_mutants_is_found(self):
        assert "no mutant" in rejected(Step("0 <= 1", "exact", lambda: [(0, 1)]))
        z3 = pytest.importorskip("z3")
        x = z3.Real("x")
        bare = Step("∀ x: x² >= 0", "smt", lambda: Implication({}, x * x >= 0))
        assert "no mutant" in rejected(bare)

    def test_an_unknown_checker_and_a_missing_engine(self, monkeypatch):
        rejected(Step("by authority", "trust"))
        assert not examine("cited", Step("a theorem of another paper", "assumed")).failed
        for engine, checker in (("z3", "smt"), ("flint", "interval")):
            monkeypatch.setitem(sys.modules, engine, None)
            entry = examine("x", Step("x", checker, lambda: Implication({}, None)))
            assert entry.outcome is Outcome.NOT_RUN
            assert entry.failed
        for theorem, step in every_step():
            if step.checker in {"smt", "interval"}:
                assert examine(theorem, step).outcome is Outcome.NOT_RUN


def test_the_command(monkeypatch, capsys):
    done = subprocess.run(
        [sys.executable, "-m", "proofs", "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "diamond" in done.stderr
    from importlib.util import find_spec

    from proofs import __main__

    assert __main__.main([]) == (0 if find_spec("z3") and find_spec("flint") else 1)
    printed = capsys.readouterr().out
    assert all(name in printed for name in theorems())
    assert re.search(r"\d+ proved, \d+ tested, \d+ ASSUMED", printed)
    false = examine("diamond", Step("1 <= 0", "exact", lambda: [(1, 0)]))
    monkeypatch.setattr(__main__, "run", lambda name: [false])
    assert __main__.main(["diamond"]) == 1
    assert "REJECTED" in capsys.readouterr().out


class TestPropagationOnNetworks:
    def test_the_library_evaluates_the_proved_formula(self):
        """`Propagation.error_bound` against `closed` in rationals: above it, by less than 1e-12."""
        from proofs.propagation import closed

        rng = np.random.default_rng(0)
        for depth in (1, 2, 4):
            norms, inputs, etas = rng.uniform(0.1, 3, (3, depth))
            fan = tuple(int(k) ** 2 for k in rng.integers(1, 9, depth))  # rational square roots
            taus = [Fraction(e) * int(f**0.5) for e, f in zip(etas, fan, strict=True)]
            exact = closed([Fraction(s) for s in norms], taus, [Fraction(b) for b in inputs])
            bound = Propagation(tuple(norms), tuple(inputs), fan).error_bound(tuple(etas))
            assert float(exact) <= bound <= float(exact) * (1 + 1e-12)

    @pytest.mark.parametrize("bias", [True, False])
    def test_networks_of_gadgets_obey_it(self, bias):
        """Errors at the corners of the tolerances, the halves erring differently; never above the
        bound, and above half of it on the worst: so half the bound would be refuted."""
        rng = np.random.default_rng(1)
        worst = 0.0
        for depth in (1, 1, 2, 3) * 15:
            dims = (1, 1) if depth == 1 else tuple(rng.integers(1, 5, depth + 1))
            shapes = list(zip(dims[1:], dims[:-1], strict=True))
            weights = tuple(rng.normal(size=s) for s in shapes)
            biases = tuple(rng.normal(size=s[0]) if bias else None for s in shapes)
            target = Target(weights, biases)
            layers = list(zip(weights, biases, strict=True))
            eta = rng.choice([0.01, 0.3])
            bound = propagation(target, Ball(1.0, int(dims[0]))).error_bound([eta] * depth)

            def off(w, eta=eta):
                return w + eta * rng.choice([-1, 1], np.shape(w))

            x = rng.normal(size=(200, dims[0]))
            x /= np.linalg.norm(x, axis=1, keepdims=True)
            for _ in range(8):
                g = Effective(
                    tuple(off(w) for w in weights),
                    tuple(off(w) for w in weights),
                    tuple(np.zeros(len(w)) if b is None else off(b) for w, b in layers),
                    tuple(np.zeros((s[0], s[1] + 1)) for s in shapes),
                )  # fmt: skip
                error = np.linalg.norm(g(x) - target(x), axis=1).max()
                assert error <= bound * (1 + 1e-12)
                worst = max(worst, error / bound)
        assert worst > 0.5

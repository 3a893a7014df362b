"""The ledger's steps pass, checkers reject what is false, and the theorems hold on networks."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from proofs import Outcome, Step, examine, theorems
from proofs.checkers import CHECKERS, Implication
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
    if step.checker in {"symbolic", "exact"}:
        assert step.mutants  # the smt checker breaks its hypotheses itself


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
        assert set(CHECKERS) == {"symbolic", "exact", "smt"}

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

    def test_a_mutant_that_passes_is_found(self):
        step = Step("0 <= 1", "exact", lambda: [(0, 1)], {"nothing is broken": lambda: [(0, 1)]})
        assert "nothing is broken" in rejected(step)

    def test_an_unknown_checker_and_a_missing_engine(self, monkeypatch):
        rejected(Step("by authority", "trust"))
        assert not examine("cited", Step("a theorem of another paper", "assumed")).failed
        monkeypatch.setitem(sys.modules, "z3", None)
        entry = examine("x", Step("x", "smt", lambda: Implication({}, None)))
        assert entry.outcome is Outcome.NOT_RUN
        assert entry.failed


def test_the_command(monkeypatch, capsys):
    done = subprocess.run(
        [sys.executable, "-m", "proofs", "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "diamond" in done.stderr
    from importlib.util import find_spec

    from proofs import __main__

    assert __main__.main([]) == (0 if find_spec("z3") else 1)
    printed = capsys.readouterr().out
    assert all(name in printed for name in theorems())
    assert "ASSUMED" in printed
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

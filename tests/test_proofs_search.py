"""Where the library must agree with a proof: the hyperbolic law's intervals; and Coq's verdicts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from proofs.hyperbolic import chance
from slth.laws import SignedHyperbolic

ROOT = Path(__file__).parents[1]


class TestHyperbolicLaw:
    def law_and_ends(self, k: int, gamma: float = 1.5, alpha: float = 0.5):
        """The law of the proof's (c), and the k + 1 ends of the J_i, falling."""
        high = alpha**0.5 * gamma ** (k / 4)
        law = SignedHyperbolic.between(high * gamma**-k, high)
        return law, alpha * gamma ** -np.arange(k + 1.0)

    def test_an_interval_of_its_own_range_has_one_kth(self):
        k, gamma = 12, 1.5
        law = SignedHyperbolic.between(gamma**-k, 1.0)
        above = 1 - law.cdf(gamma ** -np.arange(k + 1.0))
        assert np.diff(above) == pytest.approx(1 / (2 * k), abs=1e-12)  # one sign of two

    @pytest.mark.parametrize("k", [1, 6, 7])
    def test_products_fall_into_categories_as_proved(self, k):
        """Frequencies of all 4k categories; each exact test at 1e-6, so false alarms < 6e-5."""
        law, ends = self.law_and_ends(k)
        n = 400_000
        words = np.random.default_rng(k).integers(0, 2**32, (2, n), dtype=np.uint32)
        u, v = law(words)
        counts = {}
        for positive in (True, False):
            for same in (True, False):
                size = np.abs(u * v)[((u > 0) == positive) & ((u * v > 0) == same)]
                counts[positive, same] = np.histogram(size, ends[::-1])[0][::-1]
        for found in counts.values():
            for i, count in enumerate(found):
                p = float(chance(k, i)) / 4
                assert 8 * k * p >= 1
                assert binomtest(int(count), n, p).pvalue > 1e-6
        # the range without the theorem's factor γ^{k/4} leaves intervals too thin
        if k > 1:
            narrow = SignedHyperbolic.between(0.5**0.5 * 1.5**-k, 0.5**0.5)
            u, v = narrow(words)
            thin = np.histogram(np.abs(u * v), ends[::-1])[0].min()
            assert binomtest(int(thin), n, 1 / (2 * k), alternative="less").pvalue < 1e-6


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
class TestCoq:
    def prove(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "--no-print-directory", "prove-coq", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    def test_it_is_skipped_with_a_reason(self, tmp_path, monkeypatch):
        (tmp_path / "make").symlink_to(shutil.which("make"))
        monkeypatch.setenv("PATH", str(tmp_path))
        done = self.prove()
        assert done.returncode == 0
        assert done.stdout.strip() == "prove-coq: skipped: coqc is not installed"

    @pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc is not installed")
    def test_the_kernel_accepts(self):
        done = self.prove()
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Diamond.v: accepted by the kernel: diamond" in done.stdout
        assert "GoldenRatio.v: accepted by the kernel: decomposition" in done.stdout

    @pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc is not installed")
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("Theorem t : 1 = 2. Proof. reflexivity. Qed.", "rejected"),
            ("Theorem t : 1 = 2. Admitted.", "declared"),
            (
                "Require Import Classical. Theorem t : forall P, P \\/ ~ P. exact classic. Qed.\n"
                "Print Assumptions t.",
                "assumes more",
            ),
        ],
    )
    def test_planted_falsehoods(self, tmp_path, text, reason):
        (tmp_path / "Planted.v").write_text(text + "\n")
        done = self.prove(f"COQ_PROOFS={tmp_path}")
        assert done.returncode != 0
        assert reason in done.stdout

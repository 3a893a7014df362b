"""The trained targets: their hypotheses in exact arithmetic, their accuracy, their file's hash."""

from __future__ import annotations

import io
import math
from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner

from slth.data import images
from slth.errors import BadInput
from slth.nets import digits, mnist, training
from slth.target import Target


def exact(matrix):
    """Rows of integers and the power of two that they all are multiples of 1 over."""
    fractions = [[Fraction(float(value)) for value in row] for row in matrix]
    common = math.lcm(*(value.denominator for row in fractions for value in row))
    return [[int(value * common) for value in row] for row in fractions], common


def norm_below_one(matrix):
    """Sylvester's criterion on I - W Wᵀ (or Wᵀ W) in integers, by Bareiss' exact elimination."""
    small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    rows, common = exact(small)
    size = len(rows)
    gram = [
        [
            (common**2 if i == j else 0) - sum(a * b for a, b in zip(rows[i], rows[j], strict=True))
            for j in range(size)
        ]
        for i in range(size)
    ]
    previous = 1
    for k in range(size):
        if gram[k][k] <= 0:  # the (k + 1)-th leading minor
            return False
        for i in range(k + 1, size):
            for j in range(k + 1, size):
                cross = gram[i][j] * gram[k][k] - gram[i][k] * gram[k][j]
                gram[i][j] = cross // previous
        previous = gram[k][k]
    return True


def entries_within(matrix):
    """|w| <= 1/sqrt(n_in), asked without a root: w² n_in <= 1."""
    return all(Fraction(float(w)) ** 2 * matrix.shape[1] <= 1 for w in matrix.reshape(-1))


def test_the_exact_norm_check_can_tell():
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    assert norm_below_one(turn * (1 - 1e-12))
    assert not norm_below_one(turn * (1 + 1e-12))
    assert norm_below_one(np.eye(3, 5) * (1 - 2**-53))
    assert not norm_below_one(np.eye(3, 5))


def test_headline_target_is_inside_every_hypothesis_exactly():
    target = digits.load()
    assert target.dims == digits.DIMS == (64, 128, 10)
    assert target.biases == (None, None)
    for weight in target.weights:
        assert norm_below_one(weight)
        assert entries_within(weight)
        assert not norm_below_one(weight * 1.01), "a slack of 1 % means that nothing was projected"
    assert not entries_within(target.weights[0] * 1.01)


def test_inputs_lie_in_the_unit_ball_exactly():
    x, labels = digits.inputs()
    assert (x.shape, labels.shape, x.min()) == ((1797, 64), (1797,), 0.0)
    norms = [sum(Fraction(v) ** 2 for v in row) for row in x[:: len(x) // 50].tolist()]
    assert max(norms) <= 1
    largest = int(np.argmax((x**2).sum(axis=1)))
    norm = sum(Fraction(v) ** 2 for v in x[largest].tolist())
    assert Fraction(99, 100) < norm <= 1


def test_both_targets_read_unseen_digits():
    projected, untouched = digits.accuracy(digits.load()), digits.accuracy(digits.load_untouched())
    assert projected >= 0.97
    assert untouched >= 0.97
    assert abs(projected - untouched) <= 0.02, "projecting is said to cost no accuracy"
    assert digits.accuracy(lambda x: np.ones((len(x), 10))) < 0.12


def test_untouched_target_is_outside_the_hypotheses():
    target = digits.load_untouched()
    assert all(bias is not None for bias in target.biases)
    assert not any(norm_below_one(weight) for weight in target.weights)


def test_the_split_is_stratified_and_leaves_the_test_set_out():
    _, labels = digits.inputs()
    held_out = images.held_out(labels)
    assert held_out.sum() == len(digits.test_set()[1]) == 355
    for label in range(10):
        count = (labels == label).sum()
        assert held_out[labels == label].sum() == count // 5


def test_a_file_that_was_touched_is_refused(monkeypatch):
    monkeypatch.setattr(digits, "SHA256", "0" * 64)
    with pytest.raises(BadInput, match="install slth anew"):
        digits.load()


def test_stored_values_are_the_trained_ones_bit_for_bit():
    packed = digits._packed(digits.load(), digits.load_untouched())
    with np.load(io.BytesIO(packed), allow_pickle=False) as held:
        for i, weight in enumerate(digits.load().weights):
            np.testing.assert_array_equal(held[f"projected_{i}"].astype(np.float64), weight)


@pytest.fixture
def quick(monkeypatch):
    """The committed recipe with four epochs instead of sixty."""
    given = training.Recipe
    monkeypatch.setattr(training, "Recipe", lambda **fields: given(**fields, epochs=4))


@pytest.mark.usefixtures("quick")
def test_training_repeats_under_its_seed_and_stays_inside_the_class():
    first, again, other = digits.train(5), digits.train(5), digits.train(6)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert all(norm_below_one(w) and entries_within(w) for w in first.weights[1:])
    assert np.linalg.norm(first.weights[0], 2) < 1 - training.SLACK / 2
    assert digits.accuracy(first) > 0.8


@pytest.mark.usefixtures("quick")
def test_the_script_reports_and_writes(tmp_path):
    path = tmp_path / "again.npz"
    result = CliRunner().invoke(digits.main, ["--out", str(path)])
    assert result.exit_code == 0, result.output
    assert "projected: test accuracy" in result.output
    assert digits.SHA256 in result.output
    assert path.stat().st_size < 80_000


def test_rescaling_changes_no_decision_and_rounds_nothing():
    rng = np.random.default_rng(1)
    wide = Target((rng.normal(size=(20, 8)), 0.01 * rng.normal(size=(3, 20))), (None, None))
    inside = training.rescaled(wide)
    assert all(norm_below_one(w) and entries_within(w) for w in inside.weights)
    x = rng.normal(size=(50, 8))
    ratio = wide(x) / inside(x)
    assert len(np.unique(ratio)) == 1
    assert math.frexp(ratio[0, 0])[0] == 0.5
    with pytest.raises(BadInput, match="no biases"):
        training.rescaled(digits.load_untouched())


@pytest.mark.slow
def test_mnist_network_learns():
    target = mnist.train_m5k(0)
    x, labels = images.mnist5k()
    held_out = images.held_out(labels)
    assert target.dims == (784, 500, 10)
    assert training.accuracy(target, x[held_out], labels[held_out]) >= 0.93

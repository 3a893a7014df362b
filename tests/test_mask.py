"""keep_top against a ranking written as a plain sort, on every layout, dtype and kind of array."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from slth.errors import BadInput
from slth.mask import _keep_on_device, compression, count_for, density, keep_top, ranks

FLOATS = [np.float16, np.float32, np.float64, np.longdouble]
INTS = [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64, np.bool_]
TORCH = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
TORCH += [torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool]


def oracle(scores, k, alive=None):
    """The definition: rank by (alive, score, lower index first), take the first k."""
    flat = [scores[index] for index in np.ndindex(*scores.shape)]
    lives = [True] * len(flat) if alive is None else [alive[i] for i in np.ndindex(*alive.shape)]
    order = sorted(range(len(flat)), key=lambda i: (not lives[i], -float(flat[i]), i))
    kept = np.zeros(len(flat), dtype=bool)
    kept[order[:k]] = True
    return kept.reshape(scores.shape)


def layouts(array):
    """The same numbers in every memory layout NumPy has."""
    yield "C", np.ascontiguousarray(array)
    yield "Fortran", np.asfortranarray(array)
    yield "transposed", np.ascontiguousarray(array.T).T
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), dtype=array.dtype)
    wide[..., ::2] = array
    yield "strided", wide[..., ::2]
    yield "reversed", array[..., ::-1].copy()[..., ::-1]


def tied(rng, shape, dtype):
    """Scores with many ties, exact in every dtype tested."""
    return rng.integers(0, 2 if dtype == np.bool_ else 9, size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS + INTS)
def test_numpy_every_layout_and_dtype_agrees_with_a_sort(dtype):
    rng = np.random.default_rng(1)
    array = tied(rng, (5, 4, 3), dtype)
    alive = rng.random((5, 4, 3)) < 0.6
    for name, scores in layouts(array):
        for k in (0, 1, 17, 30, 59, 60):
            mask = keep_top(scores, k)
            assert isinstance(mask, np.ndarray), name
            assert mask.dtype == np.bool_
            np.testing.assert_array_equal(mask, oracle(array, k), err_msg=f"{name}, k={k}")
            living = keep_top(scores, k, alive=np.asfortranarray(alive))
            np.testing.assert_array_equal(living, oracle(array, k, alive))


@pytest.mark.parametrize("dtype", TORCH)
def test_torch_every_layout_and_dtype_agrees_with_a_sort(dtype):
    rng = np.random.default_rng(2)
    array = tied(rng, (3, 4, 2, 5), np.bool_ if dtype is torch.bool else np.float64)
    base = torch.from_numpy(array).to(dtype)
    views = {
        "contiguous": base,
        "channels-last": base.to(memory_format=torch.channels_last),
        "transposed": base.transpose(0, 1).contiguous().transpose(0, 1),
        "parameter": torch.nn.Parameter(base, requires_grad=dtype.is_floating_point),
    }
    alive = torch.from_numpy(rng.random(array.shape) < 0.5)
    for name, scores in views.items():
        for k in (0, 1, 60, 119, 120):
            mask = keep_top(scores, k)
            assert type(mask) is torch.Tensor, name
            assert (mask.dtype, mask.shape, mask.device) == (
                torch.bool,
                scores.shape,
                scores.device,
            )
            np.testing.assert_array_equal(mask.numpy(), oracle(array, k), err_msg=name)
            living = keep_top(scores, k, alive=alive)
            np.testing.assert_array_equal(living.numpy(), oracle(array, k, alive.numpy()))


@pytest.mark.parametrize("k", [0, 1, 5, 11, 12])
def test_expanded_scores_tie_along_the_broadcast_axis(k):
    row = np.array([2.0, 3.0, 1.0, 3.0])
    expected = oracle(np.ascontiguousarray(np.broadcast_to(row, (3, 4))), k)
    np.testing.assert_array_equal(keep_top(np.broadcast_to(row, (3, 4)), k), expected)
    expanded = torch.from_numpy(row).expand(3, 4)
    np.testing.assert_array_equal(keep_top(expanded, k).numpy(), expected)


adversarial = st.sampled_from(
    [0.0, -0.0, 5e-324, -5e-324, 1.0, np.nextafter(1.0, 2.0), -1.0, 1e308, math.inf, -math.inf]
)


@given(
    scores=hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=5), elements=adversarial),
    data=st.data(),
)
def test_adversarial_floats_agree_with_a_sort_on_both_engines(scores, data):
    k = data.draw(st.integers(0, scores.size))
    alive = data.draw(hnp.arrays(bool, scores.shape))
    for living in (None, alive):
        expected = oracle(scores, k, living)
        np.testing.assert_array_equal(keep_top(scores, k, alive=living), expected)
        assert keep_top(scores, k, alive=living).sum() == k
        line = torch.from_numpy(scores.reshape(-1))
        flat = None if living is None else living.reshape(-1)
        device = _keep_on_device(torch, line, k, flat)
        np.testing.assert_array_equal(device.numpy().reshape(scores.shape), expected)


def test_bfloat16_ties_that_float32_would_part_stay_ties():
    scores = torch.tensor([1.0, 1.0 + 2**-12, 1.0 + 2**-11]).to(torch.bfloat16)
    assert keep_top(scores, 1).tolist() == [True, False, False]


def test_seventy_percent_of_a_hundred_pruned_keeps_thirty():
    scores = np.random.default_rng(3).normal(size=100)
    assert keep_top(scores, count_for(0.3, 100)).sum() == 30


def test_nine_hundred_tied_weights_are_halved_and_not_erased():
    mask = keep_top(np.full((30, 30), 0.5), count_for(0.5, 900))
    assert mask.sum() == 450
    assert mask.reshape(-1)[:450].all()


def test_channels_last_scores_come_back_as_a_mask_and_not_as_scores():
    scores = torch.rand(8, 3, 3, 3).to(memory_format=torch.channels_last)
    mask = keep_top(scores, 40)
    assert mask.dtype is torch.bool
    assert int(mask.sum()) == 40
    assert scores[mask].min() >= scores[~mask].max()


def test_pruned_weights_rank_below_living_ones_whatever_their_score():
    scores = np.array([9.0, 1.0, math.inf, -math.inf, 2.0])
    alive = np.array([False, True, False, True, True])
    assert keep_top(scores, 3, alive=alive).tolist() == [False, True, False, True, True]
    assert keep_top(scores, 4, alive=alive).tolist() == [False, True, True, True, True]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.bool_])
def test_ranks_hold_every_mask_at_once(dtype):
    array = tied(np.random.default_rng(4), (5, 4, 3), dtype)
    if array.dtype.kind == "f":
        array[0, 0] = [-0.0, np.inf, -np.inf]
    for _, scores in layouts(array):
        for k in range(61):
            assert np.array_equal(ranks(scores) < k, keep_top(scores, k))
    tensor = torch.from_numpy(array.copy()).transpose(0, 2)
    if tensor.dtype is not torch.bool:
        for k in range(61):
            assert torch.equal(ranks(tensor) < k, keep_top(tensor, k))
    for nothing in (np.array([1.0, np.nan]), torch.tensor([1.0, math.nan])):
        with pytest.raises(BadInput, match="NaN"):
            ranks(nothing)


def test_the_scores_are_left_as_they_were():
    scores = np.random.default_rng(4).normal(size=50)
    before = scores.copy()
    keep_top(scores, 7)[:] = True
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("size", [1, 3, 7, 100, 900, 12_345])
def test_count_for_inverts_the_density_of_every_mask(size):
    for k in {*range(min(size, 200) + 1), size - 1, size}:
        assert count_for(k / size, size) == k
        mask = np.arange(size) < k
        assert density(mask) == k / size
        assert compression(mask) == (size / k if k else math.inf)


def test_density_reads_numbers_and_tensors_alike():
    for mask in ([1, 0, 0, 1], np.array([1.0, 0.0, 0.0, 1.0]), torch.tensor([1, 0, 0, 1])):
        assert density(mask) == 0.5
    assert density(torch.tensor([1.0, 0.0]).to(torch.bfloat16)) == 0.5
    assert compression(np.array([[True, False, False, False]])) == 4.0


ONE = np.arange(4.0)
BAD = {
    "NaN": (lambda: keep_top(np.array([1.0, np.nan]), 1), "NaN"),
    "NaN tensor": (lambda: keep_top(torch.tensor([1.0, math.nan]), 1), "NaN"),
    "NaN in half": (lambda: keep_top(torch.tensor([math.nan], dtype=torch.bfloat16), 1), "NaN"),
    "NaN pruned": (lambda: keep_top(np.array([1.0, np.nan]), 1, alive=[1, 0]), "NaN"),
    "k negative": (lambda: keep_top(ONE, -1), "from 0 to 4"),
    "k too large": (lambda: keep_top(ONE, 5), "from 0 to 4"),
    "k a density": (lambda: keep_top(ONE, 0.5), "count_for"),
    "k a truth": (lambda: keep_top(ONE, True), "from 0 to 4"),
    "complex": (lambda: keep_top(np.array([1j]), 1), "real dtype"),
    "complex tensor": (lambda: keep_top(torch.tensor([1j]), 1), "real tensor"),
    "sparse tensor": (lambda: keep_top(torch.eye(2).to_sparse(), 1), "dense"),
    "words": (lambda: keep_top(np.array(["a"]), 1), "real dtype"),
    "alive shape": (lambda: keep_top(ONE, 1, alive=[True]), "shape"),
    "alive not binary": (lambda: keep_top(ONE, 1, alive=[2, 0, 0, 0]), "binary"),
    "density above one": (lambda: count_for(1.5, 4), "[0, 1]"),
    "density NaN": (lambda: count_for(math.nan, 4), "[0, 1]"),
    "size negative": (lambda: count_for(0.5, -1), "at least 0"),
    "mask of scores": (lambda: density(ONE), "binary"),
    "mask with NaN": (lambda: density(np.array([np.nan, 1.0])), "binary"),
    "empty mask": (lambda: compression(np.zeros(0, bool)), "at least one weight"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_what_is_allowed(name):
    call, allowed = BAD[name]
    with pytest.raises(BadInput) as caught:
        call()
    assert allowed in str(caught.value)


def test_arrays_never_import_torch():
    code = "import numpy as np, sys, slth.mask as m; m.keep_top(np.arange(9.), 3); "
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

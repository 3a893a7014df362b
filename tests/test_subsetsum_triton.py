"""The Triton kernel, interpreted on the CPU, and compiled for a GPU that need not be there.

Triton decides at its import whether it interprets, so each test is a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("triton"), reason="triton is not installed"),
]


def run(function: str, **environment: str) -> None:
    code = f"from tests.test_subsetsum_triton import {function}; {function}()"
    settings = {"TRITON_DEFAULT_FP_FUSION": "0", **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **settings}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def interpreted() -> None:
    """Rows that tie, overflow or hold padding: the kernel against the search in torch."""
    from slth.subsetsum import Problem, _torch, _triton
    from slth.subsetsum.torch_meet_in_the_middle import TorchMeetInTheMiddle
    from tests.subsetsum_contract import cases, same
    from tests.test_subsetsum_torch import KINDS, rows_of

    problems = [
        Problem(*rows_of(kind, 3, n, np.random.default_rng(n))) for kind in KINDS for n in (1, 9)
    ]
    problems += [Problem(values, targets) for _, values, targets in cases()]
    expected = [TorchMeetInTheMiddle()(problem) for problem in problems]
    _torch.nearest_signs_by_search = _triton.nearest_signs
    for problem, solution in zip(problems, expected, strict=True):
        same(TorchMeetInTheMiddle()(problem), solution)


def test_the_interpreted_kernel_answers_as_torch_does() -> None:
    run("interpreted", TRITON_INTERPRET="1")


def compiled() -> None:
    """Nothing fused, and the shared memory of any block suffices, up to the most values."""
    from triton import compile as build
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from slth.subsetsum._torch import TRITON_MOST
    from slth.subsetsum._triton import _nearest_row, warps

    names = ("values", "wanted", "distance", "even", "odd")
    types = dict(zip(names, ("*fp64",) * 3 + ("*i64",) * 2, strict=True))
    for half in (4, 10, TRITON_MOST // 2):
        source = ASTSource(
            fn=_nearest_row, signature={**types, "HALF": "constexpr"}, constexprs={"HALF": half}
        )
        options = {"num_warps": warps(half), "enable_fp_fusion": False}
        found = build(source, GPUTarget("cuda", 90, 32), options)
        assert "fma" not in found.asm["ptx"]
        assert found.metadata.shared < 48 * 1024


def test_the_kernel_compiles_for_an_h100() -> None:
    run("compiled", TRITON_INTERPRET="0")

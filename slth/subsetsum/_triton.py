"""The nearest signed sum by one Triton program a row; GPU: not yet run.

Compiled for sm_90 by Triton 3.6 and 3.9 and run by Triton's interpreter on a CPU, where its answers
are those of `_torch.nearest_signs_by_search`; no GPU was at hand. A row's sums never leave its
block: those at odd places are sorted in registers, each of those at even places bisects them, and
the ties are settled by minima over registers, so device memory sees n + 4 numbers a row.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import triton
import triton.language as tl

if TYPE_CHECKING:
    import torch

    Tensor = torch.Tensor

LEAST = 4  # bits of a half: shorter rows are padded with zeros, whose signs never show


def nearest_signs(values: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(distance, signs at even places, signs at odd ones), all `[R]`; bit 1 stands for plus."""
    import torch

    rows, n = len(wanted), values.shape[1]
    half = max(LEAST, (n + 1) // 2)
    padded = values.new_zeros((rows, 2 * half))
    padded[:, :n] = values
    distance = torch.empty_like(wanted)
    even = torch.empty(rows, dtype=torch.int64, device=values.device)
    odd = torch.empty_like(
        even
    )  # not a row of one array: Triton compiles anew where alignment is odd
    with torch.cuda.device(values.device) if values.is_cuda else nullcontext():
        _nearest_row[(rows,)](
            padded, wanted, distance, even, odd, half,
            num_warps=warps(half), enable_fp_fusion=False,
        )  # fmt: skip
    return distance, even, odd


def warps(half: int) -> int:
    """Warps of a program; at 2^half sums in so many threads, no register spills."""
    return 4 if half <= 10 else 8


@triton.jit  # type: ignore[untyped-decorator]
def _nearest_row(values, wanted, distance, even, odd, HALF: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    own = values + row * (2 * HALF)
    signs = tl.arange(0, 1 << HALF)
    a = tl.zeros((1 << HALF,), tl.float64)
    b = tl.zeros((1 << HALF,), tl.float64)
    for p in tl.static_range(HALF):
        v = tl.load(own + 2 * p)
        a += tl.where((signs >> p) & 1 != 0, v, -v)
        v = tl.load(own + 2 * p + 1)
        b += tl.where((signs >> p) & 1 != 0, v, -v)
    x = a - tl.load(wanted + row)
    y = tl.sort(b)
    above = tl.zeros((1 << HALF,), tl.int32)  # the first y that is at least x, or the last
    for p in tl.static_range(HALF):
        smaller = tl.gather(y, above + ((1 << (HALF - 1 - p)) - 1), 0) < x
        above += tl.where(smaller, 1 << (HALF - 1 - p), 0)
    near = tl.abs(x - tl.gather(y, above, 0))
    near = tl.minimum(near, tl.abs(x - tl.gather(y, tl.maximum(above - 1, 0), 0)))
    inf = float("inf")
    best = tl.min(near, 0)
    best_x = tl.min(tl.where(near == best, x, inf), 0)
    best_y = tl.min(tl.where(tl.abs(best_x - b) == best, b, inf), 0)
    best_a = tl.min(tl.where(x == best_x, a, inf), 0)
    tl.store(distance + row, best)
    tl.store(even + row, tl.min(tl.where(a == best_a, signs, 1 << HALF), 0))
    tl.store(odd + row, tl.min(tl.where(b == -best_y, signs, 1 << HALF), 0))

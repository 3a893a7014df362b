"""Philox4x32-10 (Salmon et al. 2011) as a function of coordinates, on the CPU and in torch.

Four 32-bit words come out of one counter of four 32-bit words and a key of two. Nothing is stored
and no order of calls matters, so any entry of a huge random matrix is computable alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

M0, M1 = 0xD2511F53, 0xCD9E8D57
W0, W1 = 0x9E3779B9, 0xBB67AE85
MASK = 0xFFFFFFFF


@njit(cache=True, nogil=True, inline="always")
def _rounds(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    low = np.uint64(MASK)
    half = np.uint64(32)
    for _ in range(10):
        p0 = np.uint64(M0) * c0
        p1 = np.uint64(M1) * c2
        c0 = (p1 >> half) ^ c1 ^ k0
        c1 = p1 & low
        c2 = (p0 >> half) ^ c3 ^ k1
        c3 = p0 & low
        k0 = (k0 + np.uint64(W0)) & low
        k1 = (k1 + np.uint64(W1)) & low
    return c0, c1, c2, c3


@njit(cache=True, nogil=True)
def words4(counter, key):  # type: ignore[no-untyped-def]
    """The four words of one counter `[4]` and key `[2]`, all uint64 below 2^32."""
    return _rounds(counter[0], counter[1], counter[2], counter[3], key[0], key[1])


@njit(cache=True, nogil=True, inline="always")
def _weight(word, code, a, b, normal, power):  # type: ignore[no-untyped-def]
    """The weight of one word; see the laws for what a and b are."""
    if code == 0:
        odd = np.int64(2) * np.int64(word >> np.uint64(8)) + np.int64(1 - (1 << 24))
        return np.float64(np.float32(a + b * (np.float64(odd) * 2.0**-24)))
    sign = 1.0 - 2.0 * np.float64(word >> np.uint64(31))
    if code == 3:
        return np.float64(np.float32(sign * a))
    if code == 4:
        count = np.uint64(2) * np.uint64(b) + np.uint64(1)
        multiple = np.int64((word * count) >> np.uint64(32)) - np.int64(b)
        return np.float64(np.float32(a * np.float64(multiple)))
    odd = np.int64(2) * np.int64(word & np.uint64(0x7FFFFFFF)) + np.int64(1)
    if code == 1:
        mantissa, exponent = math.frexp(np.float64(odd))
        at = (2.0 * mantissa - 1.0) * (normal.shape[1] - 1)
        cell = np.int64(at)
        row = exponent - 1
        size = normal[row, cell] + (at - cell) * (normal[row, cell + 1] - normal[row, cell])
        return np.float64(np.float32(sign * (a * size)))
    depth = np.float64(odd) * 2.0**-32 * b
    octave = np.int64(depth)
    at = (depth - octave) * (power.size - 1)
    cell = np.int64(at)
    size = power[cell] + (at - cell) * (power[cell + 1] - power[cell])
    return np.float64(np.float32(sign * (a * math.ldexp(size, -octave))))  # type: ignore[arg-type]


@njit(cache=True, nogil=True)
def transform(words, code, a, b, normal, power, out):  # type: ignore[no-untyped-def]
    """out[i] = the weight of words[i]."""
    for i in range(words.size):
        out[i] = _weight(np.uint64(words[i]), code, a, b, normal, power)


@njit(cache=True, nogil=True)
def fill(key, tag, first_block, first_output, start, law, normal, power, out):  # type: ignore[no-untyped-def]
    """out[p, q, r] = weight at (tag, first_block + p, first_output + q, start + r).

    law: (code, a, b). Index runs fastest: four consecutive ones share a counter.
    """
    code, a, b = law
    blocks, outputs, count = out.shape
    for p in range(blocks):
        c2 = np.uint64(first_block + p)
        for q in range(outputs):
            c1 = np.uint64(first_output + q)
            index = start
            while index < start + count:
                x0, x1, x2, x3 = _rounds(np.uint64(index >> 2), c1, c2, tag, key[0], key[1])
                lane = index & 3
                base = index - lane - start
                stop = min(4, start + count - (index - lane))
                if lane <= 0 < stop:
                    out[p, q, base] = _weight(x0, code, a, b, normal, power)
                if lane <= 1 < stop:
                    out[p, q, base + 1] = _weight(x1, code, a, b, normal, power)
                if lane <= 2 < stop:
                    out[p, q, base + 2] = _weight(x2, code, a, b, normal, power)
                if lane <= 3 < stop:
                    out[p, q, base + 3] = _weight(x3, code, a, b, normal, power)
                index += 4 - lane


@njit(cache=True, nogil=True)
def gather(key, tags, blocks, outputs, indices, law, normal, power, out):  # type: ignore[no-untyped-def]
    """out[i] = weight at (tags[i], blocks[i], outputs[i], indices[i]): scattered entries."""
    code, a, b = law
    for i in range(out.size):
        index = indices[i]
        x = _rounds(
            np.uint64(index >> 2),
            np.uint64(outputs[i]),
            np.uint64(blocks[i]),
            np.uint64(tags[i]),
            key[0],
            key[1],
        )
        lane = index & 3
        word = x[0] if lane == 0 else (x[1] if lane == 1 else (x[2] if lane == 2 else x[3]))
        out[i] = _weight(word, code, a, b, normal, power)


def torch_words(
    key: tuple[int, int], counter: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same four words from four broadcastable int64 tensors, on their device.

    int64 products wrap modulo 2^64 like uint64's; only the right shift needs its sign bits masked.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * M0, c2 * M1
        c0, c1 = ((p1 >> 32) & MASK) ^ c1 ^ k0, p1 & MASK
        c2, c3 = ((p0 >> 32) & MASK) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + W0) & MASK, (k1 + W1) & MASK
    return c0, c1, c2, c3


def torch_weights(
    words: torch.Tensor,
    code: int,
    a: float,
    b: float,
    normal: NDArray[np.float64],
    power: NDArray[np.float64],
) -> torch.Tensor:
    """Weights (float64) of int64 words below 2^32, on their device; the CPU's, bit by bit."""
    import torch

    def rounded(x: torch.Tensor) -> torch.Tensor:
        return x.to(torch.float32).to(torch.float64)

    def table(x: Any) -> torch.Tensor:
        return torch.from_numpy(x).to(words.device)

    if code == 0:
        odd = 2 * (words >> 8) + (1 - (1 << 24))
        return rounded(odd.to(torch.float64) * 2.0**-24 * b + a)
    sign = 1.0 - 2.0 * (words >> 31).to(torch.float64)
    if code == 3:
        return rounded(sign * a)
    if code == 4:
        multiple = (words * (2 * int(b) + 1) >> 32) - int(b)
        return rounded(multiple.to(torch.float64) * a)
    odd = (2 * (words & 0x7FFFFFFF) + 1).to(torch.float64)
    if code == 1:
        mantissa, exponent = torch.frexp(odd)
        at = (2.0 * mantissa - 1.0) * (normal.shape[1] - 1)
        cell = at.to(torch.int64)
        flat = (exponent.to(torch.int64) - 1) * normal.shape[1] + cell
        nodes = table(normal).ravel()
        size = nodes[flat] + (at - cell) * (nodes[flat + 1] - nodes[flat])
        return rounded(sign * (size * a))
    depth = odd * 2.0**-32 * b
    octave = depth.to(torch.int64)
    at = (depth - octave) * (power.size - 1)
    cell = at.to(torch.int64)
    nodes = table(power)
    size = nodes[cell] + (at - cell) * (nodes[cell + 1] - nodes[cell])
    # a power of two is exact, and so is the product with it (no weight is subnormal)
    return rounded(sign * (torch.ldexp(size, -octave) * a))

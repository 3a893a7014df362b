"""The error at one point, with a proved bound on the rounding of both networks' evaluation.

Step by step the evaluation carries a bound on its own error (Higham 2002, section 3.3), so what is
proved at a point is nearly what is computed there, however large the Lipschitz constants are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from slth.certify.enclosure import FUNCTIONS, TINY, outward, parts_of, tensor_of
from slth.certify.rounding import ULP
from slth.effective import Effective
from slth.network import Network, affine, constant
from slth.wiring import (
    LIPSCHITZ,
    Activation,
    Add,
    Affine,
    Attend,
    Flatten,
    Normalise,
    Pool,
    Wiring,
)

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]
Slopes = tuple["Tensor", "Tensor", "Tensor", "Tensor", "Tensor"]  # P, Q, their slack, bias, its


def proved(target: Network, effective: Effective, x: Array) -> float:
    """‖g(x) − f(x)‖ at one point `[d]`, every rounding of its evaluation taken off."""
    point = torch.from_numpy(np.array(x, dtype=np.float64)).reshape(1, *target.wiring.shape)
    pairs = []
    with torch.no_grad():
        for given in (_target_layers(target), _ticket_layers(target, effective)):
            pairs.append(_evaluated(target.wiring, given, point))
    (a, doubt_a), (b, doubt_b) = pairs
    distance = np.abs(a - b) * (1 - 2 * ULP) - (doubt_a + doubt_b) * (1 + 4 * ULP)
    norm = float(np.linalg.norm(np.maximum(distance, 0.0)))
    return max(0.0, norm * (1 - (a.size + 8) * ULP))


def _target_layers(target: Network) -> list[Slopes]:
    found = []
    for step in target.wiring.affine:
        matrix, column = parts_of(target, step)
        w, b = tensor_of(step, matrix), torch.from_numpy(column)
        found.append((w, w, torch.zeros_like(w), b, torch.zeros_like(b)))
    return found


def _ticket_layers(target: Network, effective: Effective) -> list[Slopes]:
    found = []
    for step in target.wiring.affine:
        i, slack = step.layer, effective.slack[step.layer]
        p, q, doubt = (
            tensor_of(step, m)
            for m in (effective.positive[i], effective.negative[i], slack[:, :-1])
        )
        bias, loose = torch.tensor(effective.bias[i]), torch.tensor(slack[:, -1])
        found.append((p, q, doubt, bias, loose))
    return found


def _evaluated(wiring: Wiring, layers: list[Slopes], x: Tensor) -> tuple[Array, Array]:
    """The output and a bound on its rounding error, step by step (running error analysis)."""
    found = [(x, torch.zeros_like(x))]
    for step in wiring.steps:
        y, doubt = found[step.of]
        if isinstance(step, Affine):
            p, q, loose, bias, bias_loose = layers[step.layer]
            up_part, down = y.clamp(min=0), y.clamp(max=0)
            value = affine(step, up_part, p, None) + affine(step, down, q, None)
            value = value + constant(step, y, bias)
            most = torch.maximum(p.abs(), q.abs())
            size = affine(step, y.abs(), most, None) + constant(step, y, bias.abs())
            terms = (2 * step.inputs + 1) * step.taps + 4
            error = affine(step, doubt, most + loose, None) + affine(step, y.abs(), loose, None)
            error = error + constant(step, y, bias_loose)
            found.append((value, outward(error + terms * ULP * size, terms)))
        elif isinstance(step, Activation):
            value = step(y)
            rounding = FUNCTIONS * value.abs() + TINY if step.kind != "relu" else 0.0
            found.append((value, outward(doubt * LIPSCHITZ[step.kind] + rounding, 4)))
        elif isinstance(step, Add):
            z, other = found[step.other]
            found.append((y + z, outward(doubt + other + ULP * (y + z).abs(), 4)))
        elif isinstance(step, Flatten):
            found.append((y.flatten(1), doubt.flatten(1)))
        elif isinstance(step, Attend):
            found.append(_attended(step, found))
        elif isinstance(step, Normalise):
            channels = y.shape[1]
            value = step(y)
            centred = y - y.mean(dim=1, keepdim=True)
            rounding = (channels + 4) * 4 * ULP * y.abs().amax(dim=1, keepdim=True)
            token = torch.linalg.vector_norm(doubt + rounding, dim=1, keepdim=True)
            spread = centred.square().mean(dim=1, keepdim=True).sqrt()
            # the Lipschitz constant on the segment, where the spread is at least this much less
            least = (spread - 4 * (token + rounding)).clamp(min=0).square() + step.epsilon
            off = token / least.sqrt() + (channels + 8) * 4 * ULP * value.abs()
            found.append((value, outward(off.expand_as(value), channels + 8)))
        else:
            assert isinstance(step, Pool)
            terms = step.kernel[0] * step.kernel[1]
            rounding = terms * 2 * ULP * step(y.abs()) if step.kind == "average" else 0.0
            found.append((step(y), outward(step(doubt) + rounding, terms)))
    value, doubt = found[-1]
    return value.flatten().numpy(), doubt.flatten().numpy()


def _attended(step: Attend, found: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Attention at one point: its value and a bound on the rounding so far."""
    x, off = found[step.of]
    keys, values = ([found[at] for at in ats] for ats in (step.keys, step.values))
    total = step(x, [key for key, _ in keys], [value for value, _ in values])
    doubt = torch.zeros_like(total)
    for (key, key_off), (value, value_off) in zip(keys, values, strict=True):
        terms = key.shape[1] + 2
        size, loose = x.abs(), off
        if key.shape[1] > x.shape[1]:
            ones = torch.ones_like(x[:, :1])
            size, loose = torch.cat([size, ones], 1), torch.cat([off, 0 * ones], 1)
        moved = _product(loose, key.abs() + key_off) + _product(size, key_off)
        moved = moved + terms * ULP * _product(size, key.abs())
        # logits off by c move the shares by c, and softmax rounds its own by a few ulps a token
        most = float(moved.max()) * (1 + 16 * ULP)
        shares = min(2.0, most) + (value.shape[2] + 16) * 8 * ULP
        peak = value.abs().amax(dim=2, keepdim=True)
        doubt = doubt + shares * peak + value_off.amax(dim=2, keepdim=True)
    return total, outward(doubt, 8 * len(keys) + 8)


def _product(one: Tensor, other: Tensor) -> Tensor:
    """Σ over channels for every pair of tokens."""
    return one.flatten(2).transpose(1, 2) @ other.flatten(2)

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
from slth.wiring import LIPSCHITZ, Activation, Add, Affine, Flatten, Wiring

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
        else:
            terms = step.kernel[0] * step.kernel[1]
            rounding = terms * 2 * ULP * step(y.abs()) if step.kind == "average" else 0.0
            found.append((step(y), outward(step(doubt) + rounding, terms)))
    value, doubt = found[-1]
    return value.flatten().numpy(), doubt.flatten().numpy()

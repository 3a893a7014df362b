"""What the kept part of a layered source computes, as the layers of the target it stands for.

Theorem. Let every used neuron between two ends have, as a function of the last end's outputs (which
are ≥ 0 after their ReLU) and of the constant one, a linear form with no negative coefficient, or,
while the network's inputs are still signed, a form in one single input, α x⁺ + β x⁻ with
x⁺ = max(x, 0), x⁻ = max(−x, 0). Then ReLU turns that form into the one with its negative
coefficients set to zero, and the stack computes exactly the network whose layer i is the linear map
before the i-th end.
Proof. A form without negative coefficients is ≥ 0 on its domain, where ReLU is the identity. Of x⁺
and x⁻ one is zero, so σ(α x⁺ + β x⁻) = max(α, 0) x⁺ + max(β, 0) x⁻. By induction over the layers
between two ends every used neuron computes its form; at an end the forms are what enters the ReLU
of the target's layer. ∎ (In the first layer the form Σ α_a x_a⁺ + β_a x_a⁻ has the slopes α_a for
x_a ≥ 0 and −β_a for x_a < 0.)

Sums are kept in float64 and are exact wherever all of them are whole multiples, below 2^53, of one
power of two, as with weights of few values; elsewhere a bound on their rounding comes with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth.effective import Effective
from slth.errors import BadInput
from slth.layered import LayeredSource

Floats = NDArray[np.float64]
Sparse = Any  # scipy.sparse.csr_array
Layer = tuple[Sparse, Floats, NDArray[np.bool_]]  # kept weights, biases, which neurons are used
WHOLE = 2.0**53  # below it every whole number is a float64


@dataclass(frozen=True, eq=False)
class _Forms:
    """Linear forms of a layer's neurons in the inputs of the target's layer, the constant last.

    form, size: `[neurons, inputs + 1]`, the coefficients and the sums of the absolute values of
    what they were added from; unit: they are whole multiples of it; doubt: |form − real| is at most
    doubt·size. Exact as long as size/unit stays below 2^53.
    """

    form: Sparse
    size: Sparse
    unit: float
    doubt: float = 0.0

    def through(self, weights: Sparse, bias: Floats) -> _Forms:
        """The forms before the next layer's ReLU."""
        from scipy.sparse import csr_array

        at = np.flatnonzero(bias)
        shape = (weights.shape[0], self.form.shape[1])
        constant = csr_array((bias[at], (at, np.full(at.size, shape[1] - 1))), shape=shape)
        form = (weights @ self.form + constant).tocsr()
        size = (abs(weights) @ self.size + abs(constant)).tocsr()
        unit = min(self.unit * _unit(weights.data), _unit(bias[at]))
        doubt = self.doubt
        if doubt or size.max() >= WHOLE * unit:
            terms = int(np.diff(weights.indptr).max(initial=0)) + 2
            doubt += (terms + 2) * 2.0**-52
        return _Forms(form, size, unit, doubt)

    def clipped(self, layer: int, used: NDArray[np.bool_], halves: int) -> _Forms:
        """The forms after it; BadInput unless the theorem's condition holds.

        halves: 2·inputs where the inputs come as x⁺ and x⁻, inputs in that order, 0 elsewhere.
        """
        from scipy.sparse import csr_array

        form = self.form
        row = np.repeat(np.arange(form.shape[0]), np.diff(form.indptr))
        live = form.data != 0
        column = form.indices % (halves // 2) if halves else form.indices
        mixed = np.zeros(form.shape[0], dtype=bool)
        mixed[row[form.data < 0]] = True
        if self.doubt:  # rounding hides the sign
            vague = (self.size * self.doubt - abs(form)).tocoo()
            mixed[vague.row[vague.data >= 0]] = True
        if halves:  # those with a single input, and no constant, may keep their sign
            low = np.full(form.shape[0], halves)
            high = np.full(form.shape[0], -1)
            column = np.where(form.indices < halves, column, -1 - halves)
            np.minimum.at(low, row[live], column[live])
            np.maximum.at(high, row[live], column[live])
            mixed &= (low != high) | (low < 0)
        if (mixed & used).any():
            neuron = int(np.flatnonzero(mixed & used)[0])
            raise BadInput(
                "mask",
                f"neuron {neuron} of layer {layer}, which mixes signs",
                "kept weights of one sign before a target's layer ends",
                "prune it, or declare an end there",
            )
        keep = live & (form.data > 0) & used[row]
        clipped = csr_array((form.data[keep], (row[keep], form.indices[keep])), shape=form.shape)
        return replace(self, form=clipped)


def collapse(source: LayeredSource, layers: Sequence[Layer]) -> Effective:
    """The target-shaped network that the stack computes, exactly; BadInput where it computes none,
    or where copies of one output differ."""
    if source.activation != "relu":
        raise BadInput("activation", source.activation, "relu", "keep the copies apart")
    from scipy.sparse import csr_array, eye_array, hstack

    d = source.dims[0]
    identity, nothing = eye_array(d, format="csr"), csr_array((d, 1))
    forms = _Forms(
        hstack([identity, -identity, nothing], format="csr"),
        hstack([identity, identity, nothing], format="csr"),
        1.0,
    )
    parts: list[tuple[Floats, Floats, Floats, Floats]] = []
    for t, (weights, bias, used) in enumerate(layers):
        forms = forms.through(weights, bias)
        stage = len(parts)
        if t != source.ends[stage]:
            forms = forms.clipped(t, used, 2 * d if stage == 0 else 0)
            continue
        last = t == source.layers - 1
        rows = _rows(source, stage, forms.form, used, last)
        parts.append(_part(forms, rows, d if stage == 0 else 0))
        if not last:
            forms = _restarted(source, stage, forms, used)
    positive, negative, offset, slack = zip(*parts, strict=True)
    return Effective(positive, negative, offset, slack)


def _rows(
    source: LayeredSource, stage: int, form: Sparse, used: NDArray[np.bool_], last: bool
) -> NDArray[np.int64]:
    """For each output of a target's layer a used neuron that stands for it (the first, where none
    is used); BadInput where two of them differ."""
    outputs, copies = source.dims[stage + 1], 1 if last else source.copies[stage]
    block = used[: outputs * copies].reshape(outputs, copies)
    first = np.arange(outputs) * copies + block.argmax(axis=1)
    every = np.flatnonzero(block)
    differ = abs(form[every] - form[first[every // copies]])
    if differ.nnz and differ.max() > 0:
        wrong = every[int(differ.max(axis=1).toarray().ravel().argmax())]
        raise BadInput(
            "mask",
            f"copy {wrong % copies} of output {wrong // copies} of the target's layer {stage}, "
            "unlike another copy",
            "kept copies that compute the same",
            "prune it",
        )
    return np.asarray(first, dtype=np.int64)


def _part(
    forms: _Forms, rows: NDArray[np.int64], signed: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Slopes for y ≥ 0 and y < 0, bias and slack; signed: inputs, where they come as x⁺ and x⁻."""
    dense = forms.form[rows].toarray()
    slack = forms.size[rows].toarray() * forms.doubt
    if not signed:
        return dense[:, :-1], dense[:, :-1], dense[:, -1], slack
    up, down = slack[:, :signed], slack[:, signed : 2 * signed]
    both = np.column_stack([np.maximum(up, down), slack[:, -1]])
    return dense[:, :signed], -dense[:, signed : 2 * signed] + 0.0, dense[:, -1], both


def _restarted(source: LayeredSource, stage: int, forms: _Forms, used: NDArray[np.bool_]) -> _Forms:
    """After an end: its outputs are the inputs now; other used neurons must be constants."""
    from scipy.sparse import csr_array

    outputs, copies = source.dims[stage + 1], source.copies[stage]
    standing = outputs * copies
    clipped = replace(forms, form=forms.form[standing:]).clipped(
        source.ends[stage], used[standing:], 0
    )
    free = clipped.form.tocoo()
    if free.nnz and int(free.col.min()) < forms.form.shape[1] - 1:
        raise BadInput(
            "mask",
            f"a neuron of layer {source.ends[stage]} that stands for no output",
            "constants among them only",
            "prune it",
        )
    shape = (forms.form.shape[0], outputs + 1)
    here = np.flatnonzero(used[:standing])
    row = np.concatenate([here, standing + free.row])
    column = np.concatenate([here // copies, np.full(free.nnz, outputs)])
    value = np.concatenate([np.ones(here.size), free.data])
    form = csr_array((value, (row, column)), shape=shape)
    return _Forms(form, form, min(1.0, _unit(free.data)), forms.doubt if free.nnz else 0.0)


def _unit(values: Floats) -> float:
    """The largest power of two that divides them all; infinite for none or zeros only."""
    mantissa, exponent = np.frexp(values[values != 0])
    digits = (mantissa * 2.0**53).astype(np.int64)
    return float(np.ldexp((digits & -digits).astype(np.float64), exponent - 53).min(initial=np.inf))

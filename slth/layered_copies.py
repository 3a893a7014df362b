"""What the kept part of a layered source computes where the copies of a neuron differ.

One source layer more than the target has (`ends` 1, 2, …, l). Source layer 0 serves every input by
*univariate* neurons φ(u x_a), each with a single kept in-weight, and by constants φ(b), with none;
later layers are plain. Neurons that stand for output j of the target's layer i are its copies, and
each copy has kept weights of its own, hence a value of its own. Other neurons are constants:
numbers known from seed and mask, which reach copies as biases. With z_r the argument of copy r,

    first layer   z_r = P_r x⁺ + Q_r x⁻ + o_r + Σ_a r_ra,   x⁻ = min(x, 0),  |r_ra| ≤ C_ra |x_a|^p
    later         z_r = Σ_k V_rk φ(z_k) + o_r

exactly: by `slth.chains` φ(u x) is a line on either side of zero and a remainder, so P, Q and C are
sums over kept v of v·u·slope and |v|·coefficient·|u|^p, and o takes in v·φ(0) and constants.

Sums are float64; a bound on their rounding comes with each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from slth.certify.enclosure import FUNCTIONS, TINY
from slth.certify.rounding import ULP, up_array
from slth.chains import evaluate, first_order
from slth.errors import BadInput
from slth.wiring import LIPSCHITZ, Activation

if TYPE_CHECKING:
    from slth.layered_ticket import LayeredTicket

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Known = tuple[Floats, Floats]  # numbers, and bounds on how far they are off
Sparse = Any  # scipy.sparse.csr_array


@dataclass(frozen=True, eq=False)
class Copies:
    """owners: of layer i, the target's neuron that each used copy stands for, `[copies_i]`.

    u, reads: in-weights of the univariate neurons and the inputs they read, `[neurons]`; links: V
    of every layer, sparse, the first's `[copies_1, neurons]`, then `[copies_i, copies_{i−1}]`;
    offsets: o and its doubt, `[copies_i]` each.
    """

    activation: Activation
    inputs: int
    owners: tuple[Indices, ...]
    u: Floats
    reads: Indices
    links: tuple[Sparse, ...]
    offsets: tuple[Known, ...]

    @cached_property
    def slopes(self) -> tuple[Floats, Floats, Floats]:
        """P, Q and a bound on the rounding of both, `[copies_1, inputs]` each."""
        line, u = first_order(self.activation), self.u
        up = u * np.where(u > 0, line.up, line.down)
        down = u * np.where(u > 0, line.down, line.up)
        positive, negative = self._merged(up), self._merged(down)
        size = self._merged(np.abs(u) * max(line.up, line.down), absolute=True)
        return positive, negative, up_array((self._most + 3) * ULP * size, self._most)

    @cached_property
    def remainder(self) -> Floats | None:
        """C, rounded up, `[copies_1, inputs]`; None where the activation has no remainder."""
        line = first_order(self.activation)
        if not line.smooth:
            return None
        terms = line.coefficient * np.abs(self.u) ** line.power
        return up_array(self._merged(terms, absolute=True), self._most + line.power + 2)

    @property
    def _most(self) -> int:
        """Neurons on one input, at most."""
        return int(np.bincount(self.reads, minlength=1).max())

    def _merged(self, terms: Floats, absolute: bool = False) -> Floats:
        """Σ over neurons k on input a of V_rk (or |V_rk|) times `terms`, `[copies_1, inputs]`."""
        from scipy.sparse import csr_array

        shape = (self.u.size, self.inputs)
        each = csr_array((terms, (np.arange(self.u.size), self.reads)), shape=shape)
        found: Floats = ((abs(self.links[0]) if absolute else self.links[0]) @ each).toarray()
        return found


def derive(ticket: LayeredTicket) -> Copies:
    """The copies that a ticket's kept weights make; BadInput where they make none."""
    source = ticket.source
    if source.ends != tuple(range(1, source.layers)):
        allowed = f"1 … {source.layers - 1}: one layer more than the target"
        raise BadInput("ends", source.ends, allowed, "use the construction's source_for")
    u, reads, alive, known = _first(source.activated, *ticket.matrices[0])
    owners, links, offsets = [], [], []
    for i, (weights, bias, used) in enumerate(ticket.matrices[1:]):
        last = i == len(source.ends) - 1
        standing = source.dims[i + 1] * (1 if last else source.copies[i])
        rows = np.flatnonzero(used[:standing])
        links.append(weights[rows][:, alive])
        offset = _offset(weights, bias, known)
        offsets.append((offset[0][rows], offset[1][rows]))
        owners.append(rows if last else rows // source.copies[i])
        others = standing + np.flatnonzero(used[standing:])
        seeing = others[np.diff(weights[others][:, alive].indptr) > 0]
        if seeing.size:
            got, allowed = "sees inputs and stands for no output", "constants among those only"
            raise _refused(i + 1, int(seeing[0]), got, allowed)
        known = _constants(source.activated, offset, others)
        alive = rows
    line = first_order(source.activated)
    if line.value:  # every univariate neuron adds it
        total = np.asarray(links[0].sum(axis=1)) * line.value
        size = np.asarray(abs(links[0]).sum(axis=1)) * abs(line.value)
        value, doubt = offsets[0]
        terms = int(np.diff(links[0].indptr).max(initial=0)) + 4
        offsets[0] = value + total, up_array(doubt + terms * ULP * (size + np.abs(value)), 4)
    return Copies(
        source.activated, source.dims[0], tuple(owners), u, reads, tuple(links), tuple(offsets)
    )


def _first(
    activation: Activation, weights: Sparse, bias: Floats, used: NDArray[np.bool_]
) -> tuple[Floats, Indices, Indices, tuple[Indices, Floats, Floats]]:
    """In-weights, inputs and places of the univariate neurons, and the constants of layer 0."""
    count = np.diff(weights.indptr)
    wrong = used & ((count > 1) | ((count == 1) & (bias != 0)))
    if wrong.any():
        neuron = int(np.flatnonzero(wrong)[0])
        raise _refused(0, neuron, "reads more than one input", "one kept in-weight, or a bias")
    alive = np.flatnonzero(used & (count == 1))
    single = weights[alive]
    constants = np.flatnonzero(used & (count == 0))
    known = _constants(activation, (bias, np.zeros_like(bias)), constants)
    return single.data, single.indices.astype(np.int64), alive, known


def _constants(
    activation: Activation, offset: Known, neurons: Indices
) -> tuple[Indices, Floats, Floats]:
    """φ of neurons that see no input: places, values and bounds on how far these are off."""
    value, doubt = (part[neurons] for part in offset)
    found = evaluate(activation, value)
    rounding = 0.0 if activation.kind == "relu" else FUNCTIONS * np.abs(found) + TINY
    return neurons, found, up_array(LIPSCHITZ[activation.kind] * doubt + rounding, 3)


def _offset(weights: Sparse, bias: Floats, known: tuple[Indices, Floats, Floats]) -> Known:
    """What constants and biases add to every neuron's argument."""
    places, values, doubts = known
    part = weights[:, places]
    size = abs(part) @ np.abs(values) + np.abs(bias)
    terms = int(np.diff(part.indptr).max(initial=0)) + 4
    doubt = up_array(abs(part) @ doubts + terms * ULP * size, terms)
    return part @ values + bias, np.where(size > 0, doubt, 0.0)


def _refused(layer: int, neuron: int, what: str, allowed: str) -> BadInput:
    return BadInput("mask", f"neuron {neuron} of layer {layer}, which {what}", allowed, "prune it")

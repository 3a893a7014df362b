"""A ticket in a stack of dense layers: the layered source, a sparse mask, and the claim.

The mask lists, for every layer, the kept columns of each row (`Kept`, where the gadgets are the
layer's outputs) and the outputs whose bias is kept. Everything else of the source is pruned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.chains import evaluate
from slth.effective import Effective, weight_errors
from slth.errors import BadInput
from slth.kept import Kept
from slth.layered import LayeredSource
from slth.network import Network
from slth.ticket import MODULE_LIMIT, Claim

if TYPE_CHECKING:
    from torch import nn

    from slth.certify import Certificate
    from slth.domain import Domain
    from slth.layered_copies import Copies
    from slth.layered_effective import Layer
    from slth.target import Target

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayeredTicket:
    """Source + mask + claim. kept: `Kept` a layer, row by row; kept_bias: sorted outputs a layer.

    Of the claim, kept_in counts weights and biases of layers 0, 2, 4, …, kept_out those of layers
    1, 3, 5, …; `slth.layered_verify` believes none of it. Raises BadInput where the mask does not
    fit the source.
    """

    source: LayeredSource
    kept: tuple[Kept, ...]
    kept_bias: tuple[Indices, ...]
    claim: Claim
    certificate: Mapping[str, Any] | None = field(default=None)

    def __post_init__(self) -> None:
        layers = self.source.layers
        if len(self.kept) != layers or len(self.kept_bias) != layers:
            got = f"{len(self.kept)} layers, {len(self.kept_bias)} with biases"
            raise BadInput("kept", got, f"{layers} each", "list every layer")
        for t, (kept, bias) in enumerate(zip(self.kept, self.kept_bias, strict=True)):
            if not _fits(self.source, t, kept, bias):
                rows, columns = self.source.shape(t)
                allowed = f"{rows} rows, each with ascending columns in 0 … {columns - 1}"
                got = "kept indices that do not fit the source"
                raise BadInput(f"mask of layer {t}", got, allowed, "make the ticket anew")

    def __call__(self, x: ArrayLike) -> Floats:
        """Evaluate the pruned stack, layer by layer, on `[batch, d_0]` → `[batch, d_l]`."""
        y = np.asarray(x, dtype=np.float64)
        if y.ndim != 2 or y.shape[1] != self.source.widths[0]:
            raise BadInput("x", f"shape {y.shape}", f"[batch, {self.source.widths[0]}]", "reshape")
        for t, (weights, bias, _) in enumerate(self.matrices):
            y = evaluate(self.source.activated, y) if t else y
            y = (weights @ y.T).T + bias
        return y

    @cached_property
    def used(self) -> tuple[NDArray[np.bool_], ...]:
        """For every layer `[out]`, the neurons from which a kept path leads on to an output, and at
        ends of the target's layers all with a kept in-weight or bias."""
        found = [np.ones(self.source.widths[-1], dtype=bool)]
        for t in range(self.source.layers - 1, 0, -1):
            kept, above = self.kept[t], found[-1]
            used = np.zeros(self.source.widths[t], dtype=bool)
            used[kept.indices[above[kept.gadgets]]] = True
            if t - 1 in self.source.ends:
                used |= self.kept[t - 1].counts > 0
                used[self.kept_bias[t - 1]] = True
            found.append(used)
        return tuple(reversed(found))

    @cached_property
    def matrices(self) -> tuple[Layer, ...]:
        """Each layer's kept weights into used neurons, drawn anew: sparse `[out, in]`, biases
        `[out]`, and which neurons are used."""
        from scipy.sparse import csr_array

        layers = []
        for t, (kept, bias, used) in enumerate(
            zip(self.kept, self.kept_bias, self.used, strict=True)
        ):
            rows = kept.gadgets
            on = used[rows]
            rows, columns = rows[on], kept.indices[on]
            values = self.source.entries(t, rows, columns)
            vector = np.zeros(self.source.widths[t + 1])
            at = bias[used[bias]]
            if at.size:
                vector[at] = self.source.bias_entries(t, at)
            weights = csr_array((values, (rows, columns)), shape=self.source.shape(t))
            layers.append((weights, vector, used))
        return tuple(layers)

    @cached_property
    def effective(self) -> Effective:
        """The target-shaped network that the stack computes, derived from seed and mask alone;
        BadInput where it computes none (see `slth.layered_effective`)."""
        from slth.layered_effective import collapse

        return collapse(self.source, self.matrices)

    @cached_property
    def apart(self) -> Copies:
        """The copies of the target's neurons, each with what it computes, where the source keeps
        them apart; BadInput where the mask makes none (see `slth.layered_copies`)."""
        from slth.layered_copies import derive

        return derive(self)

    def measured(self, target: Target | Network) -> LayeredTicket:
        """The same ticket, its claim's numbers as the mask itself gives them: the largest error of
        a weight in each layer, the network's by propagation, how many miss the tolerance, and how
        many weights are kept."""
        if self.source.apart:
            from slth.layered_claims import measured

            return replace(self, claim=measured(self, target))
        assert not isinstance(target, Network)  # copies that compute the same take a plain target
        from slth.certify.propagate import propagation
        from slth.domain import from_json

        claim = self.claim
        errors = weight_errors(self.effective, target, claim.halves)
        achieved = tuple(float(e.max()) for e in errors)
        etas = claim.tolerances or (np.inf,) * len(errors)
        total = propagation(target, from_json(dict(claim.domain))).error_bound(achieved)
        found = replace(
            claim,
            achieved=achieved,
            error_bound=total,
            unmet=sum(int((e > eta).sum()) for e, eta in zip(errors, etas, strict=True)),
            kept_in=self.kept_in,
            kept_out=self.kept_out,
        )
        return replace(self, claim=found)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Kept weights and biases of every layer."""
        layers = zip(self.kept, self.kept_bias, strict=True)
        return tuple(kept.indices.size + bias.size for kept, bias in layers)

    @property
    def kept_in(self) -> int:
        """Kept weights and biases of layers 0, 2, 4, …"""
        return sum(self.sizes[::2])

    @property
    def kept_out(self) -> int:
        """Kept weights and biases of layers 1, 3, 5, …"""
        return sum(self.sizes[1::2])

    @property
    def density(self) -> float:
        """Kept weights over all random weights of the source."""
        return (self.kept_in + self.kept_out) / self.source.parameters

    @property
    def compression(self) -> float:
        return 1 / self.density if self.density else float("inf")

    # -- torch -------------------------------------------------------------------------------------

    def module(self, dtype: Any = None, limit: int = MODULE_LIMIT) -> nn.Sequential:
        """The *whole* source as a torch module with `weight_orig` and `weight_mask` in every layer,
        as `torch.nn.utils.prune` has them; `weight_orig` holds the scaled weights.

        dtype float64 unless given. Raises BadInput where it would need more than `limit` bytes.
        """
        from slth.layered_module import whole

        return whole(self, dtype, limit)

    def compact(self, dtype: Any = None) -> nn.Sequential:
        """The pruned network as people would deploy it: only the neurons that are used."""
        from slth.layered_module import compact

        return compact(self, dtype)

    # -- files -------------------------------------------------------------------------------------

    def certified(self, target: Target | Network, domain: Domain, **attack: Any) -> Certificate:
        """Both bounds on the distance to the target over a domain: of the network that the stack
        computes exactly, or of its copies where these are kept apart."""
        from slth.certify import Claim as Own
        from slth.certify import certify
        from slth.domain import from_json
        from slth.layered_certify import certify_copies

        bound, over = self.claim.error_bound, from_json(dict(self.claim.domain))
        if not self.source.apart:
            claim = Own(bound, over) if np.isfinite(bound) else None
            return certify(target, self.effective, domain, claim=claim, **attack)
        found = certify_copies(target, self, domain, **attack)
        if over != domain or not found.lower <= bound < np.inf:
            return found
        parts = {**found.parts, "claim": bound}
        return replace(found, upper=min(found.upper, bound), parts=parts)

    def with_certificate(self, certificate: Certificate | Mapping[str, Any]) -> LayeredTicket:
        """The same ticket with a certificate, or its JSON, to carry along."""
        found = certificate if isinstance(certificate, Mapping) else certificate.to_json()
        return replace(self, certificate=found)

    def save(self, path: str | Path) -> None:
        """Write a file that holds seed, mask, claim and certificate: no weight at all.

        Raises BadInput where the folder cannot be written; the file appears whole or not at all.
        """
        from slth.layered_file import write

        write(self, path)


def load(path: str | Path) -> LayeredTicket:
    """Read a layered ticket; nothing in the file is executed and nothing is believed yet.

    Raises BadInput on a missing, damaged or foreign file.
    """
    from slth.layered_file import read

    return read(path)


def _fits(source: LayeredSource, layer: int, kept: Kept, bias: Indices) -> bool:
    """Whether rows and columns are the layer's, ascending and none twice."""
    rows, columns = source.shape(layer)
    indptr, indices = kept.indptr, kept.indices
    if not (
        indptr.dtype == indices.dtype == bias.dtype == np.int64
        and indptr.shape == (rows + 1,)
        and indices.ndim == bias.ndim == 1
        and int(indptr[0]) == 0
        and int(indptr[-1]) == indices.size
        and bool((np.diff(indptr) >= 0).all())
        and (source.bias[layer] or not bias.size)
    ):
        return False
    keys = kept.gadgets * np.int64(columns) + indices
    inside = bool(((indices >= 0) & (indices < columns)).all())
    return inside and _ascending(keys) and _ascending(bias, rows)


def _ascending(values: Indices, below: int | None = None) -> bool:
    inside = below is None or bool(((values >= 0) & (values < below)).all())
    return inside and bool((np.diff(values) > 0).all())

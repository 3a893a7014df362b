"""A ticket: a source, the mask that keeps some of its weights, and the claim made for the two.

The mask is stored as kept indices per gadget on the block pattern: in half h of block a, output j
keeps the out-weights of the listed hidden neurons; an in-weight (neuron of block a ← input a) is
kept exactly when some output keeps that neuron. Everything else of the source is pruned.
"""

from __future__ import annotations

import json
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.effective import Effective
from slth.errors import BadInput
from slth.kept import Kept, check, misfit, narrow
from slth.source import Role, Source

if TYPE_CHECKING:
    from torch import nn

    from slth.certify import Certificate

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Layer = tuple[Floats, Floats, Floats, Floats]  # slopes for y ≥ 0 and y < 0, bias, slack
Halves = Literal["both", "needed"]
FORMAT = 1
SPAN = 1 << 18  # kept entries that a thread draws anew at a time
MODULE_LIMIT = 2 << 30  # bytes of dense weights, masks and masked weights that module() may make


@dataclass(frozen=True)
class Claim:
    """What a ticket says of itself; `slth.verify` believes none of it.

    epsilon, delta: what was asked for (None: the best that the search finds, at no given ε).
    domain: JSON of the input set; error_bound: sup over it of the Euclidean norm of the output
    difference is at most this, by propagating `achieved`.
    tolerances: the per-weight tolerance of each layer that ε asks for, or None.
    achieved: for each layer, no weight is approximated worse than this, on either half.
    unmet: gadgets whose tolerance was not met. halves: "both" as the proofs say, or "needed": no
    claim on the negative half of layers whose inputs cannot be negative.
    kept_in, kept_out: kept weights of odd and even source layers.
    theorem: its file in slth.bounds (None: no theorem is cited), and `failed`, the hypotheses that
    do not hold here, the width that it asks for at (tolerances, delta) among them (empty: it
    speaks).
    """

    construction: str
    parameters: Mapping[str, Any]
    target: str
    domain: Mapping[str, Any]
    epsilon: float | None
    delta: float | None
    tolerances: tuple[float, ...] | None
    achieved: tuple[float, ...]
    error_bound: float
    unmet: int
    halves: Halves
    kept_in: int
    kept_out: int
    theorem: str | None
    failed: tuple[str, ...]

    @property
    def met(self) -> bool:
        """Whether the ticket is what was asked for: every gadget within its tolerance, hence the
        propagated bound within ε. A certificate may show an error below ε all the same."""
        return self.unmet == 0 and (self.epsilon is None or self.error_bound <= self.epsilon)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Claim:
        fields = dict(data)
        for name in ("tolerances", "achieved", "failed"):
            if fields[name] is not None:
                fields[name] = tuple(fields[name])
        return Claim(**fields)


@dataclass(frozen=True, eq=False)
class Ticket:
    """Source + mask + claim. `kept[layer][half]` lists the kept neurons of every gadget; it may be
    any sequence, such as one that reads a layer from disk when it is asked for."""

    source: Source
    kept: Sequence[tuple[Kept, Kept]]
    claim: Claim
    certificate: Mapping[str, Any] | None = field(default=None)

    def __post_init__(self) -> None:
        allowed = f"two halves for {self.source.pairs} layers"
        if len(self.kept) != self.source.pairs:
            raise BadInput("kept", f"{len(self.kept)} layers", allowed, "add them")
        for layer, pair in enumerate(self.kept):
            if len(pair) != 2:
                raise BadInput("kept", f"{len(pair)} halves in layer {layer}", allowed, "add them")
            for kept in pair:
                check(self.source, layer, kept)

    def __call__(self, x: ArrayLike) -> Floats:
        """Evaluate the pruned source on `[batch, d_0]` → `[batch, d_l]`, gadgets merged."""
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.source.dims[0]:
            raise BadInput("x", f"shape {x.shape}", f"[batch, {self.source.dims[0]}]", "reshape")
        return self.effective(x)

    @cached_property
    def effective(self) -> Effective:
        """The merged slopes, derived from seed and mask alone."""
        layers = [merge(self.source, i, halves) for i, halves in enumerate(self.kept)]
        positive, negative, bias, slack = zip(*layers, strict=True)
        return Effective(positive, negative, bias, slack)

    @cached_property
    def used(self) -> tuple[tuple[tuple[Indices, Indices], tuple[Indices, Indices]], ...]:
        """Hidden neurons that some output keeps: for each layer and half (block, index), sorted."""
        return tuple(
            (_used(self.source, i, pair[0]), _used(self.source, i, pair[1]))
            for i, pair in enumerate(self.kept)
        )

    @cached_property
    def _sizes(self) -> tuple[int, int]:
        """Kept weights of odd and even source layers; one layer is looked at after another."""
        sizes = [kept_sizes(self.source, i, pair) for i, pair in enumerate(self.kept)]
        return sum(size for size, _ in sizes), sum(size for _, size in sizes)

    @property
    def kept_in(self) -> int:
        """Kept weights of the odd source layers, biases included."""
        return self._sizes[0]

    @property
    def kept_out(self) -> int:
        """Kept weights of the even source layers."""
        return self._sizes[1]

    @property
    def density(self) -> float:
        """Kept weights over all random weights of the source."""
        return (self.kept_in + self.kept_out) / self.source.parameters

    @property
    def compression(self) -> float:
        return 1 / self.density if self.density else float("inf")

    # -- torch -----------------------------------------------------------------------------------

    def module(self, dtype: Any = None, limit: int = MODULE_LIMIT) -> nn.Sequential:
        """The *whole* source as a torch module with `weight_orig` and `weight_mask` in every layer.

        Conventions of `torch.nn.utils.prune`; dtype float64 unless given (float32 holds every
        source weight exactly). Raises BadInput where the dense layers need more than `limit` bytes.
        """
        import torch
        from torch import nn

        dtype = dtype or torch.float64
        need = 3 * self.source.parameters * torch.empty((), dtype=dtype).element_size()
        if need > limit:
            raise BadInput(
                "module()",
                f"{self.source.parameters} source weights, {need} bytes with masks",
                f"at most limit = {limit} bytes",
                "raise `limit`, or use compact() for the pruned network",
            )
        layers: list[nn.Module] = []
        for i in range(self.source.pairs):
            layers += [nn.ReLU()] if i else []
            bias = self.source.bias_vector(i)
            odd = _linear(self.source.in_matrix(i), bias, dtype)
            even = _linear(self.source.out_matrix(i), None, dtype)
            in_mask, bias_mask, out_mask = self._masks(i)
            _prune(odd, "weight", in_mask)
            if bias is not None:
                _prune(odd, "bias", bias_mask)
            _prune(even, "weight", out_mask)
            layers += [odd, nn.ReLU(), even]
        return nn.Sequential(*layers)

    def compact(self, dtype: Any = None) -> nn.Sequential:
        """The pruned network as people would deploy it: only the neurons that are used."""
        import torch
        from torch import nn

        dtype = dtype or torch.float64
        layers: list[nn.Module] = []
        for i in range(self.source.pairs):
            layers += [nn.ReLU()] if i else []
            odd, bias, even = self._compact(i)
            layers += [_linear(odd, bias, dtype), nn.ReLU(), _linear(even, None, dtype)]
        return nn.Sequential(*layers)

    def _masks(self, layer: int) -> tuple[Floats, Floats, Floats]:
        """Dense masks: in-matrix `[hidden, d]`, bias `[hidden]`, out-matrix `[outputs, hidden]`."""
        source, n = self.source, self.source.n[layer]
        width, outputs, hidden = source.dims[layer], source.dims[layer + 1], source.hidden(layer)
        in_mask, bias_mask = np.zeros((hidden, width)), np.zeros(hidden)
        out_mask = np.zeros((outputs, hidden))
        for half, kept in enumerate(self.kept[layer]):
            block, index = self.used[layer][half]
            position = (2 * block + half) * n + index
            one = block == width
            in_mask[position[~one], block[~one]] = 1.0
            bias_mask[position[one]] = 1.0
            gadget = kept.gadgets
            at = (2 * (gadget // outputs) + half) * n + kept.indices
            out_mask[gadget % outputs, at] = 1.0
        return in_mask, bias_mask, out_mask

    def _compact(self, layer: int) -> tuple[Floats, Floats | None, Floats]:
        source = self.source
        width, outputs = source.dims[layer], source.dims[layer + 1]
        odd, bias, even = [], [], []
        for half, kept in enumerate(self.kept[layer]):
            block, index = self.used[layer][half]
            rows = np.zeros((block.size, width + 1))
            rows[np.arange(block.size), block] = _in_weights(source, layer, half, block, index)
            gadget = kept.gadgets
            row = np.searchsorted(
                _key(source, layer, block, index),
                _key(source, layer, gadget // outputs, kept.indices),
            )
            columns = np.zeros((outputs, block.size))
            columns[gadget % outputs, row] = source.entries(
                layer, Role.OUT, half, gadget // outputs, gadget % outputs, kept.indices
            )
            odd.append(rows[:, :width])
            bias.append(rows[:, width])
            even.append(columns)
        vector = np.concatenate(bias) if source.bias[layer] else None
        return np.concatenate(odd), vector, np.concatenate(even, axis=1)

    # -- files -----------------------------------------------------------------------------------

    def with_certificate(self, certificate: Certificate | Mapping[str, Any]) -> Ticket:
        """The same ticket with a certificate, or its JSON, to carry along."""
        found = certificate if isinstance(certificate, Mapping) else certificate.to_json()
        return replace(self, certificate=found)

    def save(self, path: str | Path) -> None:
        """Write a file that holds seed, mask, claim and certificate: no weight at all.

        Raises BadInput where the folder cannot be written; the file appears whole or not at all.
        """
        from slth.files import write_atomically

        header = {
            "format": FORMAT,
            "source": self.source.to_json(),
            "claim": self.claim.to_json(),
            "certificate": self.certificate,
        }
        with (
            write_atomically(path) as stream,
            zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            # np.savez would hold every layer at once
            _add(archive, "header", np.frombuffer(json.dumps(header).encode(), dtype=np.uint8))
            for i, halves in enumerate(self.kept):
                small = narrow(self.source.n[i])
                for half, kept in enumerate(halves):
                    _add(archive, f"count_{i}_{half}", kept.counts.astype(small))
                    _add(archive, f"index_{i}_{half}", kept.indices.astype(small))


def _add(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    """One more array, as np.savez_compressed writes it."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, array, allow_pickle=False)


_DAMAGE = (  # what flipped bytes raise in zipfile, numpy, json and the constructors
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    OverflowError,
    NotImplementedError,
    RecursionError,
    zipfile.BadZipFile,
    zlib.error,
)


def load(path: str | Path) -> Ticket:
    """Read a ticket; nothing in the file is executed and nothing is believed yet.

    Raises BadInput on a missing, truncated or foreign file.
    """
    remedy = "pass a file written by Ticket.save"
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as data:
            header = json.loads(bytes(data["header"]).decode())
            if header["format"] != FORMAT:
                raise BadInput(str(path), f"format {header['format']}", f"{FORMAT}", "upgrade slth")
            source = Source.from_json(header["source"])
            claim = Claim.from_json(header["claim"])
            kept = tuple(
                (
                    _kept(source, i, data[f"count_{i}_0"], data[f"index_{i}_0"]),
                    _kept(source, i, data[f"count_{i}_1"], data[f"index_{i}_1"]),
                )
                for i in range(source.pairs)
            )
            return Ticket(source, kept, claim, header["certificate"])
    except BadInput:
        raise
    except _DAMAGE as error:
        raise BadInput(
            str(path), f"{type(error).__name__}: {error}", "a ticket file", remedy
        ) from None


def _kept(source: Source, layer: int, counts: NDArray[Any], indices: NDArray[Any]) -> Kept:
    """The arrays of a file as Kept, if they describe a mask of this source at all."""
    gadgets = source.blocks(layer) * source.dims[layer + 1]
    fits = (
        counts.dtype.kind == indices.dtype.kind == "i"
        and counts.shape == (gadgets,)
        and indices.ndim == 1
        and bool(((counts >= 0) & (counts <= indices.size)).all())
    )
    if not fits:
        raise misfit(source, layer)
    return Kept.of_counts(counts, indices)


def _key(source: Source, layer: int, block: Indices, index: Indices) -> Indices:
    """One number a hidden neuron of a half, in the order of (block, index)."""
    return block * np.int64(source.n[layer]) + index


def _used(source: Source, layer: int, kept: Kept) -> tuple[Indices, Indices]:
    n, outputs = np.int64(source.n[layer]), source.dims[layer + 1]
    found = [np.empty(0, dtype=np.int64)]
    for first, last in kept.spans(outputs, SPAN):
        part = kept.blocks(outputs, first, last)
        found.append(np.unique(_key(source, layer, first + part.gadgets // outputs, part.indices)))
    keys = np.concatenate(found)
    return keys // n, keys % n


def kept_sizes(source: Source, layer: int, pair: tuple[Kept, Kept]) -> tuple[int, int]:
    """Kept weights of the odd and of the even source layer of a pair."""
    hidden = sum(_used(source, layer, kept)[0].size for kept in pair)
    return hidden, sum(kept.indices.size for kept in pair)


def _in_weights(source: Source, layer: int, half: int, block: Indices, index: Indices) -> Floats:
    """In-weights of scattered neurons, those of block "one" from the hidden bias vector."""
    one = block == source.dims[layer]
    u = np.empty(block.size)
    u[~one] = source.entries(layer, Role.IN, half, block[~one], block[~one], index[~one])
    u[one] = source.entries(layer, Role.BIAS, half, block[one], 0, index[one])
    return u


def merge(source: Source, layer: int, halves: tuple[Kept, Kept]) -> Layer:
    """Slopes for y ≥ 0 and y < 0, bias, and slack of one layer pair, drawn anew on every core."""
    from slth.gadget_sums import gadget_sums, lost_bound
    from slth.threads import workers

    outputs, blocks = source.dims[layer + 1], source.blocks(layer)
    positive, negative = np.zeros((outputs, blocks)), np.zeros((outputs, blocks))
    lost = np.zeros((2, outputs, blocks))

    def some(span: tuple[int, int]) -> None:
        first, last = span
        here = np.zeros((4, outputs, last - first))
        for half, whole in enumerate(halves):
            kept = whole.blocks(outputs, first, last)
            gadget = kept.gadgets
            block = first + gadget // outputs
            u = _in_weights(source, layer, half, block, kept.indices)
            v = source.entries(layer, Role.OUT, half, block, gadget % outputs, kept.indices)
            gadget_sums(kept.indptr, u, v, outputs, *here)
        positive[:, first:last], negative[:, first:last] = here[:2]
        lost[:, :, first:last] = here[2:]

    longer = max(halves, key=lambda kept: kept.indices.size)
    with ThreadPoolExecutor(workers()) as pool:
        list(pool.map(some, longer.spans(outputs, SPAN)))
    terms = max(int(kept.counts.max(initial=0)) for kept in halves)
    slack = lost_bound(lost.max(axis=0), 2 * terms)
    if source.bias[layer]:
        return positive[:, :-1], negative[:, :-1], positive[:, -1], slack
    slack = np.column_stack([slack, np.zeros(outputs)])
    return positive, negative, np.zeros(outputs), slack


def _linear(weight: Floats, bias: Floats | None, dtype: Any) -> nn.Linear:
    import torch
    from torch import nn

    with torch.device("meta"), warnings.catch_warnings():
        # no random numbers for weights that are set right below, and no word on empty layers
        warnings.simplefilter("ignore", UserWarning)
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=dtype)
    layer = layer.to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        if bias is not None:
            layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
    layer.requires_grad_(False)
    return layer


def _prune(layer: nn.Linear, name: str, mask: Floats) -> None:
    """Give `layer` the parameters and buffers that torch.nn.utils.prune would."""
    import torch
    from torch.nn.utils import prune

    keep = torch.from_numpy(mask).to(getattr(layer, name).dtype)
    prune.custom_from_mask(layer, name, keep)  # type: ignore[no-untyped-call]

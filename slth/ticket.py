"""A ticket: a source, the mask that keeps some of its weights, and the claim made for the two.

The mask is stored as kept indices per gadget on the block pattern: in half h of block a, output j
keeps the out-weights of the listed hidden neurons; an in-weight (neuron of block a ← input a) is
kept exactly when some output keeps that neuron. Everything else of the source is pruned.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slth.effective import Effective
from slth.errors import BadInput
from slth.kept import Kept, Layers, Run, check, runs
from slth.network import folded
from slth.source import Role, Source
from slth.wiring import Affine

if TYPE_CHECKING:
    from torch import nn

    from slth.certify import Certificate
    from slth.domain import Domain
    from slth.layered_ticket import LayeredTicket
    from slth.network import Network
    from slth.target import Target

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Layer = tuple[Floats, Floats, Floats, Floats]  # slopes for y ≥ 0 and y < 0, bias, slack
Halves = Literal["both", "needed"]
FORMAT = 1
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
    any sequence, such as `slth.kept.Layers`, which reads a few blocks at a time from disk."""

    source: Source
    kept: Sequence[tuple[Kept, Kept]]
    claim: Claim
    certificate: Mapping[str, Any] | None = field(default=None)

    def __post_init__(self) -> None:
        allowed = f"two halves for {self.source.pairs} layers"
        if len(self.kept) != self.source.pairs:
            raise BadInput("kept", f"{len(self.kept)} layers", allowed, "add them")
        for layer in range(self.source.pairs):
            if isinstance(self.kept, Layers):
                for _ in self.kept.runs(layer):  # each is checked as it is read
                    pass
                continue
            pair = self.kept[layer]
            if len(pair) != 2:
                raise BadInput("kept", f"{len(pair)} halves in layer {layer}", allowed, "add them")
            for kept in pair:
                check(self.source, layer, kept)

    def __call__(self, x: ArrayLike) -> Floats:
        """Evaluate the pruned source on `[batch, inputs]` → `[batch, outputs]`, gadgets merged."""
        x = np.asarray(x, dtype=np.float64)
        wiring = self.source.wiring
        inputs = self.source.inputs(0) if wiring is None else wiring.inputs
        if x.ndim != 2 or x.shape[1] != inputs:
            raise BadInput("x", f"shape {x.shape}", f"[batch, {inputs}]", "reshape")
        return self.effective(x)

    def runs(self, layer: int) -> Iterable[Run]:
        """The mask of one layer, some blocks at a time."""
        return runs(self.kept, self.source, layer)

    @cached_property
    def effective(self) -> Effective:
        """The merged slopes, derived from seed and mask alone."""
        layers = [merge(self.source, i, self.runs(i)) for i in range(self.source.pairs)]
        positive, negative, bias, slack = zip(*layers, strict=True)
        return Effective(positive, negative, bias, slack, self.source.wiring)

    @cached_property
    def used(self) -> tuple[tuple[tuple[Indices, Indices], tuple[Indices, Indices]], ...]:
        """Hidden neurons that some output keeps: for each layer and half (block, index), sorted."""
        return tuple(_used(self.source, i, self.runs(i)) for i in range(self.source.pairs))

    @cached_property
    def _sizes(self) -> tuple[int, int]:
        """Kept weights of odd and even source layers."""
        layers = range(self.source.pairs)
        sizes = [kept_sizes(self.source, i, run) for i in layers for run in self.runs(i)]
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

    def module(self, dtype: Any = None, limit: int = MODULE_LIMIT) -> nn.Module:
        """The *whole* source as a torch module with `weight_orig` and `weight_mask` in every layer.

        Conventions of `torch.nn.utils.prune`; dtype float64 unless given (float32 holds every
        source weight exactly). A Sequential, or with a wiring a `slth.wired_module.Wired`. Raises
        BadInput where the dense layers need more than `limit` bytes.
        """
        import torch

        dtype = dtype or torch.float64
        need = 3 * self.source.parameters * torch.empty((), dtype=dtype).element_size()
        if need > limit:
            raise BadInput(
                "module()",
                f"{self.source.parameters} source weights, {need} bytes with masks",
                f"at most limit = {limit} bytes",
                "raise `limit`, or use compact() for the pruned network",
            )
        return self._module(self._whole, dtype)

    def compact(self, dtype: Any = None) -> nn.Module:
        """The pruned network as people would deploy it: only the neurons that are used."""
        import torch

        return self._module(self._pruned, dtype or torch.float64)

    def _module(
        self, pair: Callable[[int, Affine | None, Any], tuple[nn.Module, nn.Module]], dtype: Any
    ) -> nn.Module:
        """Layer pairs put together with what the wiring has between them."""
        from torch import nn

        if self.source.wiring is not None:
            from slth.wired_module import Wired

            steps = self.source.wiring.affine
            return Wired(self.source.wiring, [pair(step.layer, step, dtype) for step in steps])
        layers: list[nn.Module] = []
        for i in range(self.source.pairs):
            odd, even = pair(i, None, dtype)
            layers += [*([nn.ReLU()] if i else []), odd, nn.ReLU(), even]
        return nn.Sequential(*layers)

    def _whole(self, i: int, step: Affine | None, dtype: Any) -> tuple[nn.Module, nn.Module]:
        """Both layers of a pair with all their weights, and the mask."""
        bias = self.source.bias_vector(i)
        odd = _layer(self.source.in_matrix(i), bias, _wide(step), dtype)
        even = _layer(self.source.out_matrix(i), None, step, dtype)
        in_mask, bias_mask, out_mask = self._masks(i)
        _prune(odd, "weight", _shaped(in_mask, _wide(step)))
        if bias is not None:
            _prune(odd, "bias", bias_mask)
        _prune(even, "weight", _shaped(out_mask, step))
        return odd, even

    def _pruned(self, i: int, step: Affine | None, dtype: Any) -> tuple[nn.Module, nn.Module]:
        """Both layers of a pair with the neurons that are used."""
        odd, bias, even = self._compact(i)
        return _layer(odd, bias, _wide(step), dtype), _layer(even, None, step, dtype)

    def _masks(self, layer: int) -> tuple[Floats, Floats, Floats]:
        """Dense masks: in-matrix `[hidden, d]`, bias `[hidden]`, out-matrix `[outputs, hidden]`."""
        source = self.source
        width, outputs, hidden = source.inputs(layer), source.outputs(layer), source.hidden(layer)
        in_mask, bias_mask = np.zeros((hidden, width)), np.zeros(hidden)
        out_mask = np.zeros((outputs, hidden))
        for half, kept in enumerate(self.kept[layer]):
            block, index = self.used[layer][half]
            position = source.positions(layer, half, block, index)
            one = block == width
            in_mask[position[~one], block[~one]] = 1.0
            bias_mask[position[one]] = 1.0
            gadget = kept.gadgets
            at = source.positions(layer, half, gadget // outputs, kept.indices)
            out_mask[gadget % outputs, at] = 1.0
        return in_mask, bias_mask, out_mask

    def _compact(self, layer: int) -> tuple[Floats, Floats | None, Floats]:
        source = self.source
        width, outputs = source.inputs(layer), source.outputs(layer)
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

    def certified(self, target: Target | Network, domain: Domain, **attack: Any) -> Certificate:
        """Both bounds on the distance to the target over a domain, by `slth.certify.certify`."""
        from slth.certify import Claim as Own
        from slth.certify import certify
        from slth.domain import from_json

        bound, over = self.claim.error_bound, from_json(dict(self.claim.domain))
        claim = Own(bound, over) if np.isfinite(bound) else None
        return certify(target, self.effective, domain, claim=claim, **attack)

    def with_certificate(self, certificate: Certificate | Mapping[str, Any]) -> Ticket:
        """The same ticket with a certificate, or its JSON, to carry along."""
        found = certificate if isinstance(certificate, Mapping) else certificate.to_json()
        return replace(self, certificate=found)

    def save(self, path: str | Path) -> None:
        """Write a file that holds seed, mask, claim and certificate: no weight at all.

        Raises BadInput where the folder cannot be written; the file appears whole or not at all.
        """
        from slth import mask_file
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
            text = json.dumps(header).encode()
            with mask_file.writing(archive, "header", np.uint8, len(text)) as part:
                part.write(text)
            mask_file.write(archive, self.kept, self.source)


def load(path: str | Path) -> Ticket | LayeredTicket:
    """Read a ticket; nothing in the file is executed and nothing is believed yet.

    Every layer is looked through, and read again, a few blocks at a time, when it is needed: the
    file stays open for that. Raises BadInput on a missing, damaged or foreign file.
    """
    from slth.layered_file import layered

    if layered(path):
        from slth.layered_ticket import load as load_layered

        return load_layered(path)
    from slth import mask_file

    try:
        stream = open(path, "rb", buffering=0)  # noqa: SIM115 the mask reads from it later on
    except OSError as error:
        raise mask_file.damaged(path, error) from None
    try:
        with zipfile.ZipFile(stream) as archive, archive.open("header.npy") as part:
            header = json.loads(mask_file.text(part))
        if header["format"] != FORMAT:
            raise BadInput(str(path), f"format {header['format']}", f"{FORMAT}", "upgrade slth")
        source, claim = Source.from_json(header["source"]), Claim.from_json(header["claim"])
        kept = mask_file.Stored(path, source, stream)
        return Ticket(source, kept, claim, header["certificate"])
    except BaseException as error:
        stream.close()
        if isinstance(error, BadInput) or not isinstance(error, mask_file.DAMAGE):
            raise
        raise mask_file.damaged(path, error) from None


def _key(source: Source, layer: int, block: Indices, index: Indices) -> Indices:
    """One number a hidden neuron of a half, in the order of (block, index)."""
    return block * np.int64(source.n[layer]) + index


def _hidden(source: Source, layer: int, run: Run, half: int) -> Indices:
    """The hidden neurons of a run that some output keeps, as sorted keys."""
    kept = run.halves[half]
    block = run.first + kept.gadgets // source.outputs(layer)
    return np.unique(_key(source, layer, block, kept.indices))


def _used(
    source: Source, layer: int, runs: Iterable[Run]
) -> tuple[tuple[Indices, Indices], tuple[Indices, Indices]]:
    n = np.int64(source.n[layer])
    found = [tuple(_hidden(source, layer, run, half) for half in (0, 1)) for run in runs]
    a, b = (np.concatenate([keys[half] for keys in found]) for half in (0, 1))
    return (a // n, a % n), (b // n, b % n)


def kept_sizes(source: Source, layer: int, run: Run) -> tuple[int, int]:
    """Kept weights of the odd and of the even source layer of a pair, in a run of its blocks."""
    hidden = sum(_hidden(source, layer, run, half).size for half in (0, 1))
    return hidden, sum(kept.indices.size for kept in run.halves)


def _in_weights(source: Source, layer: int, half: int, block: Indices, index: Indices) -> Floats:
    """In-weights of scattered neurons, those of block "one" from the hidden bias vector."""
    one = block == source.inputs(layer)
    u = np.empty(block.size)
    u[~one] = source.entries(layer, Role.IN, half, block[~one], block[~one], index[~one])
    u[one] = source.entries(layer, Role.BIAS, half, block[one], 0, index[one])
    return u


def slopes(source: Source, layer: int, run: Run) -> Layer:
    """What the gadgets of a run compute, drawn anew: `[outputs, inputs]` of the run's inputs, one
    column more of the slack. The bias is zero unless the run ends in input "one"."""
    from slth.gadget_sums import gadget_sums, lost_bound

    outputs, size = source.outputs(layer), run.last - run.first
    here = np.zeros((4, outputs, size))
    terms = np.zeros(size * outputs, dtype=np.int64)
    for half, kept in enumerate(run.halves):
        gadget = kept.gadgets
        block = run.first + gadget // outputs
        u = _in_weights(source, layer, half, block, kept.indices)
        v = source.entries(layer, Role.OUT, half, block, gadget % outputs, kept.indices)
        if source.linear[layer]:  # either sign of u answers to every y
            u, v = np.abs(u), np.sign(u) * v
        gadget_sums(kept.indptr, u, v, outputs, *here)
        terms += kept.counts
    if source.linear[layer]:
        here[1], here[3] = here[0], here[2]
    positive, negative = here[:2]
    slack = lost_bound(here[2:].max(axis=0), terms.reshape(size, outputs).T)
    if run.last > source.inputs(layer):
        return positive[:, :-1], negative[:, :-1], positive[:, -1], slack
    return positive, negative, np.zeros(outputs), np.column_stack([slack, np.zeros(outputs)])


def merge(source: Source, layer: int, runs: Iterable[Run]) -> Layer:
    """Slopes for y ≥ 0 and y < 0, bias, and slack of one layer pair, drawn anew on every core."""
    from slth.threads import in_order

    outputs, width = source.outputs(layer), source.inputs(layer)
    positive, negative = np.zeros((outputs, width)), np.zeros((outputs, width))
    bias, slack = np.zeros(outputs), np.zeros((outputs, width + 1))
    first = 0
    for p, q, b, s in in_order(lambda run: slopes(source, layer, run), runs):
        last = first + p.shape[1]
        positive[:, first:last], negative[:, first:last] = p, q
        slack[:, first : last + 1] = s  # the last column is the next run's first, or the bias's
        bias += b
        first = last
    return positive, negative, bias, slack


def _wide(step: Affine | None) -> Affine | None:
    """The 1×1 layer before a convolution."""
    if step is None or step.kernel is None:
        return None
    return replace(step, kernel=(1, 1), stride=(1, 1), padding=(0, 0))


def _shaped(matrix: Floats, step: Affine | None) -> Floats:
    """`[outputs · taps, inputs]` as a layer's weight."""
    if step is None or step.kernel is None:
        return np.ascontiguousarray(matrix)
    return folded(replace(step, outputs=len(matrix) // step.taps), matrix)


def _layer(matrix: Floats, bias: Floats | None, step: Affine | None, dtype: Any) -> nn.Module:
    import torch
    from torch import nn

    weight, biased = _shaped(matrix, step), bias is not None
    with torch.device("meta"), warnings.catch_warnings():
        # no random numbers for weights that are set right below, and no word on empty layers
        warnings.simplefilter("ignore", UserWarning)
        layer: nn.Linear | nn.Conv2d
        if step is None or step.kernel is None:
            layer = nn.Linear(weight.shape[1], weight.shape[0], bias=biased, dtype=dtype)
        else:
            layer = nn.Conv2d(
                weight.shape[1], weight.shape[0], step.kernel, step.stride, step.padding,
                bias=biased, dtype=dtype,
            )  # fmt: skip
    layer = layer.to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        if bias is not None:
            assert layer.bias is not None
            layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
    layer.requires_grad_(False)
    return layer


def _linear(matrix: Floats, bias: Floats | None, dtype: Any) -> nn.Module:
    return _layer(matrix, bias, None, dtype)


def _prune(layer: nn.Module, name: str, mask: Floats) -> None:
    """Give `layer` the parameters and buffers that torch.nn.utils.prune would."""
    import torch
    from torch.nn.utils import prune

    keep = torch.from_numpy(mask).to(getattr(layer, name).dtype)
    prune.custom_from_mask(layer, name, keep)  # type: ignore[no-untyped-call]

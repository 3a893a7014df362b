"""What a mask search gives back: masks, what they are masks of, and how the search went."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slth.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slth.certify import Certificate
    from slth.domain import Domain
    from slth.source import Source
    from slth.target import Target

FORMAT = 1


@dataclass(frozen=True)
class Epoch:
    """loss: mean over the epoch's batches; measures: of the judged examples after it."""

    loss: float
    measures: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Found:
    """Masks over the frozen weights of one model, measured.

    masks: parameter name (`0.weight`) → bool tensor of its shape, True = kept. The network is
    scale · weight ⊙ mask (the weight's sign where `signs`), one factor of `scales` a parameter.
    density: the fraction asked for. source: what the weights were drawn from, None for a model's
    own. weights: a hash of them. statistics: the model's buffers. generations: for weights that
    were drawn anew, which drawing each is of. history: one entry an epoch. measures: of the judged
    examples with these masks, the headline first. notes: what was done with biases and
    normalisation. stopped: why before the end, or None. examples: what judged it, as JSON.
    certificate: of how far it is off the target of those examples, as JSON. With source and
    examples a file can be verified from itself alone, see `slth.verify_found`.
    """

    masks: Mapping[str, Tensor]
    method: str
    settings: Mapping[str, Any]
    density: float
    seed: int
    source: Mapping[str, Any] | None
    weights: str
    scales: Mapping[str, float]
    signs: bool
    statistics: Mapping[str, Tensor]
    generations: Mapping[str, Tensor]
    history: tuple[Epoch, ...]
    measures: Mapping[str, float]
    seconds: float
    notes: tuple[str, ...] = ()
    stopped: str | None = None
    examples: Mapping[str, Any] | None = None
    certificate: Mapping[str, Any] | None = None

    def claiming(
        self,
        *,
        source: Source | None = None,
        examples: Mapping[str, Any] | None = None,
        certificate: Certificate | None = None,
        effort: float = 1.0,
    ) -> Found:
        """The same masks, and what to verify them by; what is not given stays as it was.

        source: of which `Ticket.module()` was searched over, whose weights a search takes for the
        model's own. examples: see `uniform_examples`. effort: that the certificate was made with.
        """
        given: dict[str, Any] = {
            "source": None if source is None else source.to_json(),
            "examples": examples,
            "certificate": None
            if certificate is None
            else {**certificate.to_json(), "effort": effort},
        }
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    @property
    def layers(self) -> dict[str, tuple[int, int]]:
        """(kept, size) of every masked parameter."""
        return {name: (int(mask.sum()), mask.numel()) for name, mask in self.masks.items()}

    @property
    def kept(self) -> int:
        return sum(kept for kept, _ in self.layers.values())

    @property
    def size(self) -> int:
        return sum(mask.numel() for mask in self.masks.values())

    @property
    def empty(self) -> tuple[str, ...]:
        """Weights of which nothing is kept; a bias may well be."""
        gone = (name for name, (kept, _) in self.layers.items() if kept == 0)
        return tuple(name for name in gone if name.endswith("weight"))

    def values(self, model: nn.Module) -> dict[str, Tensor]:
        """The ticket's weights: scale · base ⊙ mask, by parameter name."""
        own = dict(model.named_parameters())
        return {
            name: (own[name].detach().sign() if self.signs else own[name].detach())
            * mask.to(own[name])
            * self.scales[name]
            for name, mask in self.masks.items()
        }

    def network(self, model: nn.Module) -> Target:
        """The ticket as exact numbers, of a model that is a stack of linear layers and ReLU.

        The model is left alone. Raises BadInput where it is another's or of another kind.
        """
        import copy

        import torch

        from slth.target import from_module

        self._check(model)
        found = copy.deepcopy(model)
        own = dict(found.named_parameters())
        with torch.no_grad():
            for name, value in self.values(model).items():
                own[name].copy_(value)
        return from_module(found)

    def _check(self, model: nn.Module) -> None:
        """Raise BadInput on a model of other layers or other weights."""
        own = dict(model.named_parameters())
        for name, mask in self.masks.items():
            if name not in own or own[name].shape != mask.shape:
                got = "no such parameter" if name not in own else f"shape {tuple(own[name].shape)}"
                allowed = f"a parameter of shape {tuple(mask.shape)}"
                raise BadInput(name, got, allowed, "apply it to the model that was searched")
        if hash_of({name: own[name] for name in self.masks}) != self.weights:
            allowed = f"weights of hash {self.weights[:12]}…"
            remedy = "draw them from the seed that was searched"
            raise BadInput("model", "other weights than those searched over", allowed, remedy)

    def apply(self, model: nn.Module) -> None:
        """Make `model` the ticket, in place, by the conventions of `torch.nn.utils.prune`.

        Weights that a method scales or takes the sign of are changed so first; the buffers become
        the search's. Raises BadInput on a model of other layers or other weights.
        """
        import torch
        from torch.nn.utils import prune

        from slth.supermask._frozen import place, restore_statistics

        self._check(model)
        own = dict(model.named_parameters())
        with torch.no_grad():
            for name in self.masks:
                if self.signs:
                    own[name].sign_()
                if self.scales[name] != 1.0:
                    own[name].mul_(self.scales[name])
        for name, mask in self.masks.items():
            module, attribute = place(model, name)
            prune.custom_from_mask(module, attribute, mask.to(own[name]))  # type: ignore[no-untyped-call]
        restore_statistics(model, self.statistics)

    def save(self, path: str | Path) -> None:
        """Write everything to an .npz file, a bit a weight."""
        from slth.files import write_atomically

        header = {
            "format": FORMAT,
            "kind": "supermask",
            **{name: getattr(self, name) for name in (*_PLAIN, *_OPTIONAL)},
            "history": [asdict(epoch) for epoch in self.history],
            "layers": [[name, list(mask.shape)] for name, mask in self.masks.items()],
            "statistics": list(self.statistics),
            "generations": list(self.generations),
        }
        arrays: dict[str, Any] = {
            f"mask_{i}": np.packbits(mask.cpu().numpy().reshape(-1))
            for i, mask in enumerate(self.masks.values())
        }
        for kind in ("statistics", "generations"):
            for i, tensor in enumerate(getattr(self, kind).values()):
                arrays[f"{kind}_{i}"] = tensor.cpu().numpy()
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        with write_atomically(path) as stream:
            np.savez_compressed(stream, **arrays)


_PLAIN = (
    "method", "settings", "density", "seed", "source", "weights", "scales", "signs", "seconds",
    "measures",
    "notes", "stopped",
)  # fmt: skip
_OPTIONAL = ("examples", "certificate")  # which files of before do not have


def uniform_examples(
    target: Target, domain: Domain, samples: int, seed: int, judged: int = 4096
) -> dict[str, Any]:
    """What `Approximation.of` makes of these arguments, as JSON: which points judged a search."""
    return {
        "kind": "uniform",
        "target": target.fingerprint,
        "domain": domain.to_json(),
        "samples": samples,
        "seed": seed,
        "judged": judged,
    }


def load_found(path: str | Path) -> Found:
    """Read what `Found.save` wrote; raises BadInput on anything else."""
    import torch

    try:
        # opened here, since np.load leaves a damaged file open
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as held:
            header = json.loads(held["header"].tobytes())
            if header["kind"] != "supermask" or header["format"] != FORMAT:
                raise ValueError(f"{header['kind']}, format {header['format']}")
            masks = {}
            for i, (name, shape) in enumerate(header["layers"]):
                bits = np.unpackbits(held[f"mask_{i}"], count=math.prod(shape))
                masks[str(name)] = torch.from_numpy(bits.astype(bool).reshape(shape))
            fields: dict[str, Any] = {name: header[name] for name in _PLAIN}
            fields |= {name: header.get(name) for name in _OPTIONAL}
            fields["notes"] = tuple(fields["notes"])
            fields["history"] = tuple(Epoch(**epoch) for epoch in header["history"])
            for kind in ("statistics", "generations"):
                fields[kind] = {
                    name: torch.from_numpy(held[f"{kind}_{i}"])
                    for i, name in enumerate(header[kind])
                }
            return Found(masks=masks, **fields)
    except OSError as error:
        raise BadInput(str(path), error, "a file of masks", "check the path") from None
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        raise BadInput(str(path), got, "a file that a mask search saved", "search anew") from error


def hash_of(tensors: Mapping[str, Tensor]) -> str:
    """A hash of tensors: names, shapes, types and bits, wherever and however they lie."""
    import hashlib

    import torch

    state = hashlib.blake2b(digest_size=16)
    for name, tensor in tensors.items():
        state.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        state.update(flat.view(torch.uint8).numpy().data)
    return state.hexdigest()

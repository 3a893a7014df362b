"""What pruning gives back: masks, counts, and the model that they belong to."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slth.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Pruning:
    """Which weights of one model are kept.

    masks: layer name → bool tensor of the weight's shape, True = kept. method: who scored.
    requested: the compression asked for; kept over size is what came out. weights: a hash of the
    prunable weights that were scored. unresolved: how many decisions rounding could have turned,
    by a worst-case bound and over all steps; None where no bound is known. Zero proves the mask to
    be that of exact arithmetic. Otherwise one decision turned early may turn many later ones, since
    every step scores what the last one left: scoring in float64 then leaves fewer open.
    """

    masks: Mapping[str, Tensor]
    method: str
    requested: float
    weights: str
    unresolved: int | None = None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        masks: Mapping[str, Tensor],
        method: str,
        requested: float,
        unresolved: int | None = None,
    ) -> Pruning:
        return cls(dict(masks), method, requested, weights_hash(model, masks), unresolved)

    @property
    def layers(self) -> dict[str, tuple[int, int]]:
        """(kept, size) of every layer."""
        return {name: (int(mask.sum()), mask.numel()) for name, mask in self.masks.items()}

    @property
    def kept(self) -> int:
        return sum(kept for kept, _ in self.layers.values())

    @property
    def size(self) -> int:
        return sum(mask.numel() for mask in self.masks.values())

    @property
    def density(self) -> float:
        return self.kept / self.size

    @property
    def compression(self) -> float:
        return self.size / self.kept if self.kept else math.inf

    @property
    def empty(self) -> tuple[str, ...]:
        """Layers of which nothing is kept."""
        return tuple(name for name, (kept, _) in self.layers.items() if kept == 0)

    def apply(self, model: nn.Module, other_weights: bool = False) -> None:
        """Prune `model` in place as `torch.nn.utils.prune` does, all its layers or none.

        Raises BadInput on a model of other layers, on a weight that is computed (pruned already,
        weight norm), and on other weights than those scored unless `other_weights` allows them.
        """
        from torch.nn.utils import prune

        from slth.pruning._layers import plain_weight

        modules = dict(model.named_modules())
        for name, mask in self.masks.items():
            weight = getattr(modules.get(name), "weight", None)
            if weight is None or weight.shape != mask.shape:
                got = "no such layer" if weight is None else f"weight {tuple(weight.shape)}"
                raise BadInput(
                    f"layer {name}",
                    got,
                    f"a weight of shape {tuple(mask.shape)}",
                    "apply the masks to the model that was pruned",
                )
            plain_weight(name, modules[name])
        if not other_weights and weights_hash(model, self.masks) != self.weights:
            raise BadInput(
                "model",
                "other weights than those that were scored",
                f"weights of hash {self.weights[:12]}…",
                "give the model as it was, or say that other weights are meant",
            )
        for name, mask in self.masks.items():
            module = modules[name]
            weight = module.weight
            prune.custom_from_mask(  # type: ignore[no-untyped-call]
                module, "weight", mask.to(device=weight.device, dtype=weight.dtype)
            )

    def save(self, path: str | Path) -> None:
        """Write masks (a bit a weight), counts and hash to an .npz file."""
        from slth.files import write_atomically

        header = {
            "format": FORMAT,
            "kind": "pruning",
            "method": self.method,
            "requested": self.requested,
            "weights": self.weights,
            "unresolved": self.unresolved,
            "layers": [[name, list(mask.shape)] for name, mask in self.masks.items()],
        }
        arrays: dict[str, Any] = {
            f"mask_{i}": np.packbits(mask.cpu().numpy().reshape(-1))
            for i, mask in enumerate(self.masks.values())
        }
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        with write_atomically(path) as stream:
            np.savez_compressed(stream, **arrays)


def load_pruning(path: str | Path) -> Pruning:
    """Read what `Pruning.save` wrote; raises BadInput on anything else."""
    import torch

    try:
        with np.load(path, allow_pickle=False) as held:
            header = json.loads(held["header"].tobytes())
            if header["kind"] != "pruning" or header["format"] != FORMAT:
                raise ValueError(f"format {header['format']}")
            masks = {}
            for i, (name, shape) in enumerate(header["layers"]):
                packed, size = held[f"mask_{i}"], math.prod(shape)
                if packed.shape != (-(-size // 8),):
                    raise ValueError(f"{packed.size} bytes for the {size} bits of layer {name}")
                bits = np.unpackbits(packed, count=size)
                masks[str(name)] = torch.from_numpy(bits.astype(bool).reshape(shape))
            unresolved = header["unresolved"]
            return Pruning(
                masks,
                str(header["method"]),
                float(header["requested"]),
                str(header["weights"]),
                None if unresolved is None else int(unresolved),
            )
    except OSError as error:
        raise BadInput(str(path), error, "a file of masks", "check the path") from None
    except Exception as error:
        raise BadInput(
            str(path), f"{type(error).__name__}: {error}", "a file of masks", "prune anew"
        ) from error


def weights_hash(model: nn.Module, masks: Mapping[str, Tensor]) -> str:
    """A hash of the named layers' weights: names, shapes, types and bits, wherever they lie."""
    import torch

    state = hashlib.blake2b(digest_size=16)
    modules = dict(model.named_modules())
    for name in masks:
        weight = modules[name].weight
        assert isinstance(weight, torch.Tensor)
        state.update(f"{name}{tuple(weight.shape)}{weight.dtype}".encode())
        flat = weight.detach().cpu().contiguous().reshape(-1)
        state.update(flat.view(torch.uint8).numpy().data)
    return state.hexdigest()

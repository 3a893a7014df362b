"""A searched mask's file, read without the search: masks, and the weights they are masks of, drawn
anew from the seed in it.

Nothing here is shared with what searches (`slth.supermask`), so that whoever verifies a file by it
believes neither the search nor its notes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth.errors import BadInput
from slth.laws import Law, Normal, SignedConstant, Uniform
from slth.source import Source, dense
from slth.target import Target

FORMAT = 1
KEYS = ("source", "weights", "scales", "signs", "statistics", "density", "measures", "stopped")
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class FoundFile:
    """header: everything that the file says of itself. masks and generations: by parameter."""

    header: Mapping[str, Any]
    masks: dict[str, NDArray[np.bool_]]
    generations: dict[str, NDArray[np.int64]]

    @property
    def weights(self) -> list[str]:
        """Names of the masked weights, in the network's order."""
        return [name for name in self.masks if not name.endswith("bias")]

    def drawn(self) -> Arrays:
        """Every masked layer's weight and bias, drawn anew in float64 (float32 numbers all).

        Raises BadInput where the file does not say what they are drawn from.
        """
        source = self.header["source"]
        if not isinstance(source, dict):
            allowed = "a seed that its weights are drawn from"
            raise BadInput(
                "source", source, allowed, "give it by Found.claiming(source=…), and save anew"
            )
        try:
            return self._of_source(source) if "dims" in source else self._of_frozen(source)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, BadInput):
                raise
            got = f"{type(error).__name__}: {error}"
            raise BadInput("source", got, "a seed, a law and shapes", "search anew") from error

    def _of_source(self, data: Mapping[str, Any]) -> Arrays:
        """The layers of a ticket's source: in, out, in, out, …"""
        source, found = Source.from_json(data), Arrays()
        if len(self.weights) != 2 * source.pairs:
            got = f"{len(self.weights)} layers"
            raise BadInput("masks", got, f"{2 * source.pairs}, as the source", "search it anew")
        for i, name in enumerate(self.weights):
            layer, out = divmod(i, 2)
            found[name] = source.out_matrix(layer) if out else source.in_matrix(layer)
            bias = None if out else source.bias_vector(layer)
            if bias is not None:
                found[_bias(name)] = bias
        return found

    def _of_frozen(self, data: Mapping[str, Any]) -> Arrays:
        found, product = Arrays(), 1.0
        for i, name in enumerate(self.weights):
            shape = self.masks[name].shape
            law = _law(str(data["init"]), math.prod(shape[1:]), float(data["density"]))
            which = self.generations.get(name, np.zeros(shape, np.int64))
            found[name] = np.zeros(shape)
            for generation in np.unique(which).tolist():
                anew = dense(data["seed"], i, shape, law, generation=generation)
                found[name] = np.where(which == generation, anew, found[name])
            product *= math.sqrt(2 / (math.prod(shape[1:]) * float(data["density"])))
            if data["biases"] is not None:
                spread = Normal(float(data["biases"]) * product)
                found[_bias(name)] = dense(data["seed"], i, shape[:1], spread, bias=True)
        return found

    def network(self, drawn: Arrays, kind: type[np.floating[Any]]) -> Target:
        """The masked network, computed in the precision that it was searched in.

        Raises BadInput unless it is a stack of fully connected layers.
        """
        shapes = [self.masks[name].shape for name in self.weights]
        if any(len(shape) != 2 for shape in shapes) or self.header["statistics"]:
            allowed = "fully connected layers and nothing else"
            remedy = "Found.apply puts the masks on their model, which can be measured as before"
            raise BadInput("masks", f"of shapes {shapes}", allowed, remedy)
        weights, biases = [], []
        for name in self.weights:
            weights.append(self._masked(name, drawn, kind))
            bias = _bias(name)
            plain = drawn[bias].astype(kind) if bias in drawn else None
            biases.append(self._masked(bias, drawn, kind) if bias in self.masks else plain)
        return Target(tuple(weights), tuple(biases))

    def _masked(self, name: str, drawn: Arrays, kind: type[np.floating[Any]]) -> NDArray[Any]:
        own = drawn[name].astype(kind)
        base = np.sign(own) if self.header["signs"] else own
        return np.asarray(base * self.masks[name] * kind(self.header["scales"][name]))


def read_found(path: str | Path) -> FoundFile:
    """Nothing in the file is executed and nothing is believed yet.

    Raises BadInput on anything but what a mask search saved.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as held:
            header = json.loads(held["header"].tobytes())
            if header["kind"] != "supermask" or header["format"] != FORMAT:
                raise ValueError(f"{header['kind']}, format {header['format']}")
            if missing := [key for key in KEYS if key not in header]:
                raise ValueError(f"nothing of {missing[0]}")
            masks, generations = {}, {}
            for i, (name, shape) in enumerate(header["layers"]):
                bits = np.unpackbits(held[f"mask_{i}"], count=math.prod(shape))
                masks[str(name)] = bits.astype(bool).reshape(shape)
            for i, name in enumerate(header["generations"]):
                generations[str(name)] = held[f"generations_{i}"].astype(np.int64)
            if set(header["scales"]) != set(masks):
                raise ValueError("scales of other parameters than are masked")
            return FoundFile(header, masks, generations)
    except OSError as error:
        raise BadInput(str(path), error, "a file of masks", "check the path") from None
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        raise BadInput(str(path), got, "a file that a mask search saved", "search anew") from error


def fingerprint(drawn: Arrays, names: list[str], kind: type[np.floating[Any]]) -> str:
    """The hash of the searched parameters: names, shapes, type and bits."""
    state = hashlib.blake2b(digest_size=16)
    for name in names:
        array = np.ascontiguousarray(drawn[name].astype(kind))
        state.update(f"{name}{array.shape}torch.{np.dtype(kind).name}".encode())
        state.update(array.tobytes())
    return state.hexdigest()


def _bias(name: str) -> str:
    return name.removesuffix("weight") + "bias"


def _law(init: str, fan_in: int, density: float) -> Law:
    std = math.sqrt(2 / (fan_in * density))
    if init == "signed-constant":
        return SignedConstant(std)
    if init == "normal":
        return Normal(std)
    if init == "uniform":
        return Uniform(-math.sqrt(3) * std, math.sqrt(3) * std)
    raise BadInput("init", init, "signed-constant, normal, uniform", "search anew")

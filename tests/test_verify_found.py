"""Searched masks verified from their files alone, and every kind of lie found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from slth.certify.networks import certify_networks
from slth.construct.pensia import Pensia
from slth.domain import Ball
from slth.errors import BadInput
from slth.found_file import read_found
from slth.laws import Normal
from slth.source import Source
from slth.supermask import (
    Approximation,
    Classification,
    Found,
    Frozen,
    load_found,
    search,
    uniform_examples,
)
from slth.target import Target
from slth.verify_found import verify_found
from tests.networks import random_target
from tests.supermasks import Convolutional, data, make, mlp

ROOT = Path(__file__).parents[1]
SAMPLES, SEED, JUDGED = 256, 9, 500


def target() -> Target:
    return random_target(np.random.default_rng(3), (3, 5, 2), 0.0)


def whole(source: Source, dtype: Any = torch.float32) -> nn.Sequential:
    """The source itself, of which nothing is pruned."""
    layers: list[nn.Module] = []
    for i in range(source.pairs):
        for matrix in (source.in_matrix(i), source.out_matrix(i)):
            with torch.device("meta"):
                linear = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False, dtype=dtype)
            linear = linear.to_empty(device="cpu")
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(matrix))
            layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.fixture(scope="module")
def found() -> tuple[Found, Target]:
    """A mask over a construction's own source, with everything claimed."""
    f = target()
    source = Pensia().source_for(f, 4, 6)
    domain = Ball(1.0, 3)
    model = whole(source)
    wanted = Approximation.of(f, domain, SAMPLES, SEED, judged=JUDGED)
    method = make("edge-popup", rate=1e-2, optimizer="adam", decay=0.0)
    got = search(model, method, wanted, density=0.3, epochs=6, batch=32, seed=1)
    certificate = certify_networks(f, got.network(model), domain, effort=0.02)
    assert certificate.upper < 3  # so that a shuffled mask is another
    return got.claiming(
        source=source,
        examples=uniform_examples(f, domain, SAMPLES, SEED, JUDGED),
        certificate=certificate,
        effort=0.02,
    ), f


def checked(found: Found, f: Target | None, folder: Path) -> list[str]:
    """The false statements of the file that this is saved to."""
    found.save(folder / "mask.npz")
    return [check.statement for check in verify_found(folder / "mask.npz", f).false]


def test_a_true_file_is_called_true(found, tmp_path) -> None:  # type: ignore[no-untyped-def]
    got, f = found
    assert checked(got, f, tmp_path) == []
    report = verify_found(tmp_path / "mask.npz", f)
    assert report.ok
    assert report.met
    assert len(report.checks) == 10
    held = load_found(tmp_path / "mask.npz")
    assert (held.examples, held.certificate) == (got.examples, got.certificate)


def test_what_is_drawn_anew_is_the_searched_network_to_the_last_bit(found, tmp_path) -> None:  # type: ignore[no-untyped-def]
    got, f = found
    got.save(tmp_path / "mask.npz")
    held = read_found(tmp_path / "mask.npz")
    ours = held.network(held.drawn(), np.float32)
    theirs = got.network(whole(Pensia().source_for(f, 4, 6)))
    assert all((a == b).all() for a, b in zip(ours.weights, theirs.weights, strict=True))


def shuffled(got: Found) -> Found:
    rng = np.random.default_rng(0)
    masks = {}
    for name, mask in got.masks.items():
        order = torch.from_numpy(rng.permutation(mask.numel()))
        masks[name] = mask.reshape(-1)[order].reshape(mask.shape)
    return replace(got, masks=masks)


def one_more(got: Found) -> Found:
    masks = {name: mask.clone() for name, mask in got.masks.items()}
    first = next(iter(masks.values())).reshape(-1)
    first[int((~first).nonzero()[0])] = True
    return replace(got, masks=masks)


def certificate(**change: Callable[[Any], Any]) -> Callable[[Found], Found]:
    def lie(got: Found) -> Found:
        stored = dict(got.certificate or {})
        return replace(got, certificate={**stored, **{k: v(stored[k]) for k, v in change.items()}})

    return lie


def nested(part: str, **change: Any) -> Callable[[Found], Found]:
    return lambda got: replace(got, **{part: {**getattr(got, part), **change}})


def everything_halved(got: Found) -> Found:
    stored = dict(got.certificate or {})
    parts = {name: bound / 1.2 for name, bound in stored["parts"].items()}
    return replace(got, certificate={**stored, "upper": min(parts.values()), "parts": parts})


LIES: dict[str, tuple[Callable[[Found], Found], str]] = {
    "a shuffled mask": (shuffled, "root mean square error"),
    "one weight more": (one_more, "0.3 of the weights is kept"),
    "a better measure": (
        lambda got: replace(got, measures={k: 0.99 * v for k, v in got.measures.items()}),
        "largest error",
    ),
    "no measure": (lambda got: replace(got, measures={}), "what is measured"),
    "another seed": (nested("source", seed=5), "the weights drawn anew"),
    "another law": (
        nested("source", law=Normal(1.0).to_json()),
        "the weights drawn anew",
    ),
    "another density": (lambda got: replace(got, density=0.25), "0.25 of the weights"),
    "other examples": (nested("examples", seed=8), "largest error"),
    "another target": (nested("examples", target="00"), "the claim is about this target"),
    "a domain of other inputs": (
        nested("examples", domain=Ball(1.0, 4).to_json()),
        "the examples can be read",
    ),
    "an upper bound alone": (certificate(upper=lambda v: 0.9 * v), "no bound lies below"),
    "a smaller certificate": (everything_halved, "error at most"),
    "a larger lower bound": (certificate(lower=lambda v: 1.04 * v), "an input with error"),
    "a witness elsewhere": (
        certificate(witness=lambda v: [-x for x in v]),
        "an input with error",
    ),
    "a witness outside": (
        certificate(witness=lambda v: [1.01 * x for x in v]),
        "an input with error",
    ),
    "a certificate of letters": (
        certificate(upper=lambda v: "small"),
        "the certificate can be read",
    ),
    "a factor": (
        lambda got: replace(got, scales=dict.fromkeys(got.scales, 0.5)),
        "root mean square error",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_called_false(lie, found, tmp_path) -> None:  # type: ignore[no-untyped-def]
    got, f = found
    change, statement = LIES[lie]
    assert any(said.startswith(statement) for said in checked(change(got), f, tmp_path))


def test_a_lie_of_this_size_is_no_accident(found) -> None:  # type: ignore[no-untyped-def]
    """What the witness' negative shows: the network is not symmetric, so the lie above is one."""
    got, f = found
    network = got.network(whole(Pensia().source_for(f, 4, 6)))
    x = np.array(got.certificate["witness"])
    here, there = (float(np.linalg.norm(f(p[None]) - network(p[None]))) for p in (x, -x))
    assert there < 0.9 * here


def test_another_target_is_not_the_one_claimed(found, tmp_path) -> None:  # type: ignore[no-untyped-def]
    got, _ = found
    other = random_target(np.random.default_rng(4), (3, 5, 2), 0.0)
    assert "the claim is about this target" in checked(got, other, tmp_path)


# -- masks over networks of any kind of weights ----------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("name", "biases"),
    [
        ("edge-popup", None),
        ("scaled-edge-popup", 0.3),
        ("biprop", None),
        ("bernoulli", 0.2),
        ("iterand", None),
    ],
)
def test_every_kind_of_mask_is_drawn_anew_bit_for_bit(name, biases, dtype, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = mlp(dtype=dtype)
    settings = {"every": 5} if name == "iterand" else {}
    source = Frozen(4, "normal", biases=biases)
    wanted = data()
    got = search(
        model, make(name, **settings), wanted, density=0.4, epochs=3, batch=16, source=source
    )
    got.save(tmp_path / "mask.npz")
    held = read_found(tmp_path / "mask.npz")
    kind = np.float32 if dtype == torch.float32 else np.float64
    ours, theirs = held.network(held.drawn(), kind), got.network(model)
    assert all((a == b).all() for a, b in zip(ours.weights, theirs.weights, strict=True))
    for a, b in zip(ours.biases, theirs.biases, strict=True):
        assert ((np.zeros(1) if a is None else a) == b).all()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    got.network(model)
    assert all(torch.equal(before[n], p) for n, p in model.named_parameters())


def test_a_mask_searched_to_classify_is_verified_on_the_packages_images(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from slth.data import images
    from slth.nets.architectures import build

    x, labels = images.digits()
    wanted = Classification.of(x, labels, images.held_out(labels))
    got = search(
        build("mlp:64,100,10"), make("edge-popup"), wanted, density=0.4, epochs=4,
        source=Frozen(0, density=0.4),
    ).claiming(examples={"kind": "digits"})  # fmt: skip
    assert got.measures["accuracy"] > 0.7
    assert checked(got, None, tmp_path) == []
    worse = replace(got, measures={"accuracy": got.measures["accuracy"] + 0.02})
    assert len(checked(worse, None, tmp_path)) == 1
    assert len(checked(shuffled(got), None, tmp_path)) == 1
    assert checked(got.claiming(examples={"kind": "letters"}), None, tmp_path) == [
        "the examples can be read"
    ]


# -- what cannot be verified -----------------------------------------------------------------------


def test_what_says_too_little_is_bad_input(found, tmp_path) -> None:  # type: ignore[no-untyped-def]
    got, f = found
    for change, name in (
        ({"source": None}, "source"),
        ({"source": {"dims": [3, 5, 2]}}, "source"),
        ({"examples": None}, "examples"),
    ):
        with pytest.raises(BadInput) as raised:
            checked(replace(got, **change), f, tmp_path)
        assert raised.value.name == name
    with pytest.raises(BadInput, match="target"):
        checked(got, None, tmp_path)


def test_convolutions_and_other_files_are_bad_input(tmp_path) -> None:  # type: ignore[no-untyped-def]
    got = search(
        Convolutional(), make("edge-popup"), data((1, 6, 6)), density=0.5, epochs=1,
        source=Frozen(1, "normal"),
    )  # fmt: skip
    with pytest.raises(BadInput, match="fully connected"):
        checked(got.claiming(examples={"kind": "digits"}), None, tmp_path)
    for content in (b"", b"PK\x03\x04 nothing", b"{}"):
        (tmp_path / "other.npz").write_bytes(content)
        with pytest.raises(BadInput):
            verify_found(tmp_path / "other.npz")
    header = np.frombuffer(json.dumps({"kind": "supermask", "format": 1}).encode(), np.uint8)
    np.savez(tmp_path / "part.npz", header=header)
    with pytest.raises(BadInput, match="source"):
        verify_found(tmp_path / "part.npz")
    with pytest.raises(BadInput, match="check the path"):
        verify_found(tmp_path / "none.npz")


def test_a_model_of_other_weights_is_no_network_of_this_mask(found) -> None:  # type: ignore[no-untyped-def]
    got, f = found
    with pytest.raises(BadInput, match="other weights"):
        got.network(whole(Pensia().source_for(f, 5, 6)))


def test_nothing_that_searches_is_loaded(found, tmp_path) -> None:  # type: ignore[no-untyped-def]
    got, f = found
    got.save(tmp_path / "mask.npz")
    np.savez(tmp_path / "target.npz", *f.weights)
    code = """
import sys, json, numpy as np
from slth.target import Target
from slth.verify_found import verify_found
with np.load("target.npz") as held:
    f = Target(tuple(held[k] for k in held), (None, None))
assert verify_found("mask.npz", f).ok
sys.stdout.write(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout)
    assert "slth.verify_found" in loaded
    finders = ("slth.construct", "slth.subsetsum", "slth.supermask", "slth.pruning", "torch")
    assert not [name for name in loaded if name.startswith(finders)]

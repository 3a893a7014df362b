"""Re-check a searched mask from its file alone: seed, masks and claim, and the target if there is
one. Nothing that searches is imported.

The weights are drawn anew and must have the hash that the search saw; as many must be kept as the
density says; what was measured is measured again on the same examples, drawn anew as well (float64
here, float32 there: a claim may be off by a thousandth); a certificate's upper bound is derived
again, and its witness evaluated exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth.domain import Box, Domain, from_json
from slth.errors import BadInput
from slth.found_file import FoundFile, fingerprint, read_found
from slth.target import Target
from slth.verify import Check, Report

Floats = NDArray[np.float64]
ROUNDED = 1e-3  # relative: float32 against float64, far below any difference that matters
NOISE = 1e-5  # of the largest output: float32's rounding, where an error is smaller than that


def verify_found(path: str | Path, target: Target | None = None) -> Report:
    """Check everything that a file of masks claims; `.ok` says whether all is true.

    target: what the network was searched to compute; not needed where it was searched to classify
    images that a package ships. Raises BadInput on a file that is none of masks, that does not say
    what its weights are drawn from, or whose network is not fully connected.
    """
    held = read_found(path)
    drawn = held.drawn()
    names = list(held.masks)
    fits = all(n in drawn and drawn[n].shape == mask.shape for n, mask in held.masks.items())
    checks = [Check("the masks have the shapes of the source's layers", fits, f"{len(names)}")]
    if not fits:
        return Report(tuple(checks), False)
    claimed = str(held.header["weights"])
    hashes = {kind: fingerprint(drawn, names, kind) for kind in (np.float32, np.float64)}
    kind = next((k for k, found in hashes.items() if found == claimed), np.float32)
    checks.append(
        Check(
            "the weights drawn anew are those that were searched over",
            hashes[kind] == claimed,
            f"hash {hashes[kind][:12]}… against {claimed[:12]}…",
        )
    )
    checks.append(_count(held))
    network = held.network(drawn, kind)
    checks += _measures(held, network, target)
    if held.header.get("certificate") is not None:
        checks += _certificate(held, network, _given(target))
    return Report(tuple(checks), held.header["stopped"] is None)


def _count(held: FoundFile) -> Check:
    """Either of every layer, weight and bias together, or of the whole, as methods rank."""
    density = held.header["density"]
    if not isinstance(density, float | int) or not 0 < density <= 1:
        return Check("the density is one", False, f"{density!r}")
    sizes: dict[str, list[int]] = {}
    for name, mask in held.masks.items():
        layer = sizes.setdefault(name.rsplit(".", 1)[0], [0, 0])
        layer[0] += int(mask.sum())
        layer[1] += mask.size
    kept, size = (sum(layer[i] for layer in sizes.values()) for i in (0, 1))
    right = kept == round(density * size) or all(k == round(density * n) for k, n in sizes.values())
    return Check(f"{density:.6g} of the weights is kept", right, f"{kept} of {size}")


def _measures(held: FoundFile, network: Target, target: Target | None) -> Iterator[Check]:
    examples = held.header.get("examples")
    if examples is None:
        raise BadInput(
            "examples", "none in the file", "the examples that judged the search",
            "give them by Found.claiming(examples=…), and save anew",
        )  # fmt: skip
    try:
        if examples["kind"] == "uniform":
            target = _given(target)
            yield _same_target(target, str(examples["target"]))
            found, allowance = _distance(examples, network, target)
        else:
            found, allowance = _accuracy(str(examples["kind"]), network)
        claimed = dict(held.header["measures"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BadInput) and error.name in ("target", "data"):
            raise  # something that whoever verifies has to see to
        yield Check("the examples can be read", False, f"{type(error).__name__}: {error}")
        return
    yield Check("what is measured is what these examples say", set(claimed) == set(found), "")
    for name, value in found.items():
        said = claimed.get(name, math.nan)
        close = isinstance(said, float) and abs(said - value) <= ROUNDED * abs(value) + allowance
        yield Check(f"{name} {said!r}", close, f"{value!r}")


def _given(target: Target | None) -> Target:
    if target is None:
        raise BadInput("target", "none", "the target of the search", "name its file")
    return target


def _same_target(target: Target, claimed: str) -> Check:
    found = target.fingerprint
    text = f"sha256 {found[:16]}… against {claimed[:16]}…"
    return Check("the claim is about this target", found == claimed, text)


def _distance(
    examples: Mapping[str, Any], network: Target, target: Target
) -> tuple[dict[str, float], float]:
    """Root mean square and largest error on the points that the search never saw."""
    domain, samples = from_json(examples["domain"]), int(examples["samples"])
    count = samples + int(examples["judged"])
    if domain.dimension != network.dims[0] or not 0 < samples < count <= 1 << 24:
        raise ValueError(f"{count} points of dimension {domain.dimension}")
    if (target.dims[0], target.dims[-1]) != (network.dims[0], network.dims[-1]):
        raise ValueError(f"a target of {target.dims[0]} inputs and {target.dims[-1]} outputs")
    points = _points(domain, count, int(examples["seed"]))[samples:].astype(np.float32)
    x = points.astype(np.float64)
    wanted = target(x).astype(np.float32).astype(np.float64)
    errors = np.linalg.norm(network(x) - wanted, axis=1)
    found = {
        "root mean square error": float(np.sqrt((errors * errors).mean())),
        "largest error": float(errors.max()),
    }
    return found, NOISE * float(np.linalg.norm(wanted, axis=1).max())


def _points(domain: Domain, count: int, seed: int) -> Floats:
    """Uniform points of a box or a ball, `[count, d]`, as a search draws them."""
    draw = np.random.default_rng(seed)
    if isinstance(domain, Box):
        return draw.uniform(domain.low, domain.high, (count, domain.dimension))
    directions = draw.standard_normal((count, domain.dimension))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reach = domain.radius * draw.random((count, 1)) ** (1 / domain.dimension)
    return domain.project(reach * directions)


def _accuracy(data: str, network: Target) -> tuple[dict[str, float], float]:
    """On the held-out images of a set that a package ships; one image may fall to rounding."""
    from slth.data import images

    if data not in ("digits", "mnist5k"):
        raise ValueError(f"{data} for a set of images")
    x, labels = images.digits() if data == "digits" else images.mnist5k()
    rows = images.held_out(labels)
    out = network(x[rows].astype(np.float32))
    return {"accuracy": float((out.argmax(axis=1) == labels[rows]).mean())}, 1.5 / rows.sum()


def _certificate(held: FoundFile, network: Target, target: Target) -> Iterator[Check]:
    """The stored certificate: its upper bound derived again, its witness evaluated exactly."""
    from slth.certify.cells import TIGHT
    from slth.certify.networks import Pair, refined_bound, upper_bounds

    try:
        stored = dict(held.header["certificate"])
        upper, lower = float(stored["upper"]), float(stored["lower"])
        domain = from_json(stored["domain"])
        witness = np.array(stored["witness"], dtype=np.float64)
        parts = {str(k): float(v) for k, v in dict(stored["parts"]).items()}
        effort = float(stored.get("effort", 1.0))
        if witness.shape != target.dims[:1] or not 0 <= effort <= 100:
            raise ValueError(f"effort {effort!r}, a witness of shape {witness.shape}")
        pair = Pair.of(target, network, domain)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        yield Check("the certificate can be read", False, f"{type(error).__name__}: {error}")
        return
    inside = domain.contains(witness)
    reached = pair.error_at(witness) if inside else 0.0
    found = dict(upper_bounds(pair, effort).parts)
    # refining may end where it agrees with the claim
    refined = refined_bound(pair, max(reached, upper / TIGHT), 2 * effort)
    found |= {} if refined is None else {"cells": refined}
    name = min(found, key=lambda key: found[key])
    yield Check(
        f"error at most {upper!r} by certificate",
        found[name] <= upper * (1 + 1e-6),
        f"{found[name]!r} ({name})",
    )
    low = min(parts.values(), default=upper)
    yield Check(
        "no bound lies below the attack, and the least of the certificate is its upper",
        lower <= low == upper,
        f"attack {lower!r}, least bound {low!r}",
    )
    yield Check(
        f"an input with error {lower!r} exists",
        lower <= reached,
        f"{reached!r} at the witness" if inside else "the witness lies outside the domain",
    )

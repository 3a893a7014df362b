"""Every construction against the public contract, and the contract against broken ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from slth.construct import Construction, constructions, load
from slth.construct._gadgets import GadgetConstruction, Half
from slth.construct.pensia import Pensia
from slth.kept import Kept
from slth.target import Target
from slth.testing import (
    check_construction,
    check_ticket,
    networks,
    random_network,
    random_target,
    targets,
)

# For each construction options and a width that should do; wide sources where one value must do.
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "assigned": ({"tolerance": 0.05}, 40),
    "binary": ({"epsilon": 1.5}, 16),
    "depth_l_plus_1": ({"tolerance": 0.1}, 30),
    "fixed_size": ({"tolerance": 0.05}, 64),
    "malach": ({"tolerance": 0.3}, 4000),
    "orseau": ({"tolerance": 0.1}, 700),
    "pensia": ({"tolerance": 0.05}, 64),
    "quantised": ({}, 48),
    "structured": ({"tolerance": 0.3}, 60),
}


def test_every_construction_has_a_case() -> None:
    assert set(constructions()) <= set(CASES)


@pytest.mark.parametrize("name", constructions())
def test_it_keeps_the_contract(name: str) -> None:
    options, n = CASES[name]
    check_construction(load(name)(**options), n)


@given(targets())
@settings(max_examples=15)
def test_any_target(target: Target) -> None:
    check_ticket(Pensia(tolerance=0.1), target, n=48)


@given(networks())
@settings(max_examples=8)
def test_any_network(network: Any) -> None:
    check_ticket(Pensia(tolerance=0.1), network, n=48)


@pytest.mark.parametrize("kind", ["convolution", "residual", "tanh"])
def test_networks_that_are_no_stacks(kind: str) -> None:
    check_construction(Pensia(tolerance=0.1), 60, on=[random_network(kind, 0)])


# -- constructions that break a promise ------------------------------------------------------------


@dataclass(frozen=True)
class Mine(GadgetConstruction):
    """An outsider's construction: the nearest single product."""

    def find(self, half: Half) -> Kept:
        n = half.source.n[half.layer]
        u = half.in_weights(n)
        u = np.where(u > 0 if half.half == 0 else u < 0, u, 0.0)
        blocks = (half.first, half.first + len(u))
        products = half.source.out_weights(half.layer, half.half, blocks=blocks) * u[:, None, :]
        miss = np.abs(products - half.weights[:, :, None]).reshape(-1, n)
        return Kept.of_mask(np.arange(n)[None, :] == miss.argmin(axis=1)[:, None])


@dataclass(frozen=True)
class LooksFirst(Mine):
    """Draws the source after a look at the target."""

    def source_for(self, target: Any, seed: int, n: Any = None, **laws: Any) -> Any:
        peek = int(np.abs(target.weights[0][0, 0] * 1000)) + int(target.weights[0][0, 0] > 0)
        return super().source_for(target, seed + peek, n, **laws)


@dataclass(frozen=True)
class Redraws(Mine):
    """Takes another seed where the first one fails."""

    def build(self, target: Any, source: Any, progress: Any = None) -> Any:
        return super().build(target, replace(source, seed=source.seed + 1), progress)


@dataclass(frozen=True)
class Boasts(Mine):
    """Claims half the error that it has."""

    def build(self, target: Any, source: Any, progress: Any = None) -> Any:
        ticket = super().build(target, source, progress)
        return replace(
            ticket, claim=replace(ticket.claim, error_bound=ticket.claim.error_bound / 2)
        )


@dataclass(frozen=True)
class Fickle(Mine):
    """Finds something else every time."""

    def find(self, half: Half) -> Kept:
        found = super().find(half)
        _CALLS.append(1)
        return found if len(_CALLS) % 5 else Kept.nothing(found.counts.size)


_CALLS: list[int] = []


@dataclass(frozen=True)
class Raises(Mine):
    """Takes failure for an error."""

    def build(self, target: Any, source: Any, progress: Any = None) -> Any:
        ticket = super().build(target, source, progress)
        if not ticket.claim.met:
            raise RuntimeError("not found")
        return ticket


def test_an_honest_outsider_passes() -> None:
    check_construction(Mine(tolerance=0.2), n=1500)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (LooksFirst, "depends on the target"),
        (Redraws, "drawn anew"),
        (Boasts, "not true: error at most"),
        (Fickle, "another ticket"),
    ],
)
def test_broken_promises_are_named(make: type[Construction], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_construction(make(tolerance=0.2), n=1500)  # type: ignore[call-arg]


def test_failure_must_be_data() -> None:
    with pytest.raises(RuntimeError):
        check_construction(Raises(tolerance=0.2), n=1500)


def test_a_tolerance_that_is_missed_is_named() -> None:
    with pytest.raises(AssertionError, match="the tolerance is missed by"):
        check_construction(Mine(tolerance=1e-4), n=50)


def test_random_targets_lie_in_the_class() -> None:
    for seed in range(20):
        target = random_target((4, 6, 3), seed)
        for weight in target.weights:
            assert np.linalg.norm(weight, 2) <= 1 + 1e-12
            assert np.abs(weight).max() <= weight.shape[1] ** -0.5

"""Universal tickets: interpolation within its bound, one mask for many targets, what breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from slth.construct.pensia import Pensia
from slth.errors import BadInput
from slth.universal import Basis, Universal
from slth.verify import verify

X = np.linspace(0, 1, 5001)
BASES = pytest.mark.parametrize("kind", ["monomials", "fourier"])


@pytest.fixture(scope="module", params=["monomials", "fourier"])
def universal(request: pytest.FixtureRequest) -> Universal:
    basis = Basis(request.param, 4, knots=17)
    make = Pensia(tolerance=3e-3, domain=basis.domain)
    f = basis.network()
    ticket = make.build(f, make.source_for(f, seed=0, n=160))
    assert ticket.claim.unmet == 0
    assert verify(ticket, f).ok
    return Universal.of(basis, ticket)


@BASES
@pytest.mark.parametrize("knots", [2, 9, 33])
def test_the_network_interpolates_within_the_bound(kind: Any, knots: int) -> None:
    basis = Basis(kind, 5, knots)
    at = np.linspace(0, 1, knots)
    assert np.abs(basis.network()(at[:, None]) - basis(at)).max() < 1e-11
    off = np.abs(basis.network()(X[:, None]) - basis(X)).max(axis=0)
    assert (off <= basis.distance).all()
    assert (off[1:] >= 0.2 * basis.distance[1:]).all() or knots == 2  # of the right size, too


def test_one_mask_serves_every_combination(universal: Universal) -> None:
    rng = np.random.default_rng(0)
    for c in rng.normal(size=(40, 4)):
        off = np.abs(universal.evaluate(c, X, 0.5) - universal.basis(X) @ c - 0.5).max()
        assert off <= universal.bound(c)
    ticket_only = np.linalg.norm(
        universal.features(X) - universal.basis.network()(X[:, None]), axis=1
    )
    assert ticket_only.max() <= universal.certificate.upper
    assert ticket_only.max() >= 0.5 * universal.certificate.lower


def test_the_last_layer_alone_reaches_other_targets(universal: Universal) -> None:
    """A function outside the basis: no worse than the basis itself can do, plus the bound."""
    y = np.exp(-X) * (1 + X)
    c, constant = universal.fit(X, y)
    off = np.abs(universal.evaluate(c, X, constant) - y)
    features = np.column_stack([universal.basis(X), np.ones(X.size)])
    best = features @ np.linalg.lstsq(features, y, rcond=None)[0]
    assert np.sqrt(np.mean(off**2)) <= np.sqrt(np.mean((best - y) ** 2)) + universal.bound(c)


def test_half_the_bound_does_not_hold_for_all(universal: Universal) -> None:
    """Tightened until it fails: the worst coefficients for the witness reach the bound."""
    at = np.linalg.norm(universal.features(X) - universal.basis(X), axis=1).argmax()
    c = (universal.features(X) - universal.basis(X))[at]
    c = c / np.linalg.norm(c)
    off = np.abs(universal.evaluate(c, X) - universal.basis(X) @ c).max()
    assert 0.25 * universal.bound(c) < off <= universal.bound(c)


def test_a_mask_of_other_seeds_is_no_ticket(universal: Universal) -> None:
    moved = replace(universal.ticket, source=replace(universal.ticket.source, seed=1))
    broken = replace(universal, ticket=moved)
    c = np.ones(4)
    assert np.abs(broken.evaluate(c, X) - broken.basis(X) @ c).max() > broken.bound(c)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Basis("wavelets", 3),  # type: ignore[arg-type]
        lambda: Basis("fourier", 0),
        lambda: Basis("fourier", 3, 1),
    ],
)
def test_bases_that_are_none(make: Any) -> None:
    with pytest.raises(BadInput):
        make()


def test_coefficients_of_another_number(universal: Universal) -> None:
    for c in (np.ones(3), np.full(4, np.nan)):
        with pytest.raises(BadInput, match="coefficients"):
            universal.bound(c)

"""Sources with biases of their own, with missing weights and with locked ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from slth.cli import main
from slth.construct.malach import Malach
from slth.construct.pensia import Pensia
from slth.errors import BadInput
from slth.kept import Kept
from slth.laws import Normal
from slth.source import Role, Source
from slth.target import Target
from slth.ticket import Ticket, load
from slth.verify import verify

CASES: list[dict[str, Any]] = [
    {"bias_law": Normal(0.3)},
    {"present": 0.7},
    {"locked": 0.1},
    {"present": 0.8, "locked": 0.1},
]
FROZEN = pytest.mark.parametrize("case", CASES, ids=str)


def target(biased: bool = True) -> Target:
    rng = np.random.default_rng(5)
    bias = rng.uniform(-0.3, 0.3, 4) if biased else None
    return Target((rng.uniform(-0.4, 0.4, (4, 3)), rng.uniform(-0.4, 0.4, (2, 4))), (bias, None))


@FROZEN
def test_a_ticket_of_such_a_source_holds_and_is_verified(
    case: dict[str, Any], tmp_path: Path
) -> None:
    f, make = target(), Pensia(tolerance=0.02)
    source = make.source_for(f, seed=2, n=200, **case)
    ticket = make.build(f, source)
    assert ticket.claim.unmet == 0
    assert ticket.claim.failed or "bias_law" in case
    ticket.save(tmp_path / "t.npz")
    held = load(tmp_path / "t.npz")
    assert held.source == source
    assert verify(held, f).ok
    x = np.random.default_rng(0).normal(size=(6, 3))
    whole = ticket.module()(torch.from_numpy(x)).numpy()
    assert np.abs(whole - ticket(x)).max() < 1e-13
    assert np.linalg.norm(ticket(x) - f(x), axis=1).max() < 0.3


@FROZEN
def test_every_way_of_drawing_sees_the_same_weights(case: dict[str, Any]) -> None:
    source = Source((3, 4, 2), 9, (True, False), 7, **case)
    whole = source.out_weights(0, 1)
    b, j, k = np.meshgrid(*(np.arange(s) for s in whole.shape), indexing="ij")
    assert (source.entries(0, Role.OUT, 1, b, j, k) == whole.ravel()).all()
    assert (source.torch_out_weights(0, 1, "cpu").numpy() == whole).all()
    assert (source.with_n(30).out_weights(0, 1)[:, :, :9] == whole).all()
    plain = replace(source, present=1.0, locked=0.0).out_weights(0, 1)
    assert ((whole == plain) | (whole == 0)).all()


def test_as_many_weights_are_there_and_locked_as_asked() -> None:
    """Binomial counts of 60,000 weights: five standard deviations, false alarms below 1e-5."""
    source = Source((10, 20), 300, False, 1, present=0.7, locked=0.2)
    whole = np.concatenate([source.out_weights(0, h).ravel() for h in (0, 1)])
    locked = np.concatenate([source.part(True).out_weights(0, h).ravel() for h in (0, 1)])
    free = np.concatenate([source.part(False).out_weights(0, h).ravel() for h in (0, 1)])
    for found, chance in ((whole, 0.7), (locked, 0.2), (free, 0.5)):
        spread = 5 * (chance * (1 - chance) * found.size) ** 0.5
        assert abs(np.count_nonzero(found) - chance * found.size) < spread
    assert (locked + free == whole).all()


def test_the_verifier_finds_absent_and_dropped_weights() -> None:
    f, make = target(), Pensia(tolerance=0.02)
    ticket = make.build(f, make.source_for(f, seed=2, n=200, present=0.8, locked=0.1))
    source, (a, b) = ticket.source, ticket.kept[0]
    gadget, outputs = a.gadgets, source.outputs(0)
    locked = source.is_locked(0, 0, gadget // outputs, gadget % outputs, a.indices)
    assert 0 < locked.sum() < locked.size
    at = int(np.flatnonzero(locked)[0])
    counts = a.counts.copy()
    counts[gadget[at]] -= 1
    dropped = Kept.of_counts(counts, np.delete(a.indices, at))
    report = verify(Ticket(source, [(dropped, b), ticket.kept[1]], ticket.claim), f)
    assert any("locked" in check.statement for check in report.false)
    first = set(a.indices[: a.counts[0]].tolist())
    missing = np.flatnonzero(source.out_weights(0, 0, blocks=(0, 1), outputs=(0, 1))[0, 0] == 0)
    more = np.sort(np.array([*first, int(missing[0])]))
    counts = a.counts.copy()
    counts[0] += 1
    extended = Kept.of_counts(counts, np.concatenate([more, a.indices[a.counts[0] :]]))
    report = verify(Ticket(source, [(extended, b), ticket.kept[1]], ticket.claim), f)
    assert any("does not exist" in check.statement for check in report.false)


def test_a_source_may_have_biases_where_the_target_has_none() -> None:
    f, make = target(biased=False), Pensia(tolerance=0.05)
    source = replace(make.source_for(f, seed=0, n=60), bias=(True, True), bias_law=Normal(0.1))
    ticket = make.build(f, source)
    assert ticket.claim.unmet == 0
    assert verify(ticket, f).ok
    needs = replace(make.source_for(target(), seed=0, n=60), bias=(False, False))
    with pytest.raises(BadInput):
        make.build(target(), needs)


def test_malach_finds_its_pairs_among_the_weights_that_exist() -> None:
    f, make = target(), Malach(tolerance=0.3)
    ticket = make.build(f, make.source_for(f, seed=0, n=4000, present=0.6))
    assert ticket.claim.unmet == 0
    assert verify(ticket, f).ok


def test_missing_weights_ask_for_more_of_them() -> None:
    """The corrected width: Bin(N, p²) falls below the dense need with chance δ' at most."""
    from scipy.stats import binom

    from slth.bounds import facts
    from slth.bounds.pensia import link_events

    f, make = target(), Pensia(epsilon=0.3, delta=0.1)
    dense = make.theorem_n(
        facts(f, make.region(f)), make._class_tolerances(f, facts(f, make.region(f))), 0.05
    )
    wide = make.source_for(f, seed=0, present=0.5).n
    each = 0.05 / link_events(facts(f, make.region(f)))
    for n, need in zip(wide, dense, strict=True):
        assert binom.cdf(need - 1, n, 0.25) <= each < binom.cdf(need - 1, n - 1, 0.25)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--present 0", "present: got 0"),
        ("--present 1.5", "present: got 1.5"),
        ("--present 0.3 --locked 0.4", "locked: got 0.4"),
        ("--locked -0.1", "locked: got -0.1"),
    ],
)
def test_the_command_refuses_chances_that_are_none(option: str, said: str) -> None:
    result = CliRunner().invoke(main, ["ticket", "digits", "--n", "8", *option.split()])
    assert result.exit_code == 2
    assert said in result.stderr

"""The contract that every construction here is held to, for constructions of your own.

    from hypothesis import given
    from slth.testing import check_construction, check_ticket, targets

    def test_mine():
        check_construction(Mine(tolerance=0.05), n=64)

    @given(targets())
    def test_any_target(target):
        check_ticket(Mine(tolerance=0.05), target, n=64)

Either raises AssertionError with one sentence that says which promise is broken. `targets` and
`networks` are Hypothesis strategies (extra `testing`); everything else needs no more than slth.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slth.domain import Ball, Domain, from_json
from slth.network import Network
from slth.target import Target
from slth.wiring import Activation, Add, Affine, Flatten, Pool, Step, Wiring

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from slth.construct import Construction
    from slth.ticket import Ticket

DIMS = ((3, 4, 2), (2, 3, 3, 1), (5, 2))
POINTS = 200
ATTACK = {"seed": 0, "restarts": 8, "steps": 30}


# -- targets ---------------------------------------------------------------------------------------


def random_target(
    dims: Sequence[int], seed: int, bias: bool = True, largest: float = 1.0
) -> Target:
    """Weights uniform within largest/√inputs, inside the classes that the theorems speak of."""
    rng = np.random.default_rng(seed)
    size = [largest * a**-0.5 for a in dims[:-1]]
    shapes = [(b, a) for a, b in pairwise(dims)]
    weights = [rng.uniform(-s, s, shape) for s, shape in zip(size, shapes, strict=True)]
    norms = [max(1.0, float(np.linalg.norm(w, 2))) for w in weights]
    weights = [w / norm for w, norm in zip(weights, norms, strict=True)]
    biases = [rng.uniform(-0.3, 0.3, b) if bias else None for b in dims[1:]]
    return Target(tuple(weights), tuple(biases))


def random_network(kind: str, seed: int, bias: bool = True) -> Network:
    """A small network that is no plain stack: "convolution", "residual", or "tanh"."""
    rng = np.random.default_rng(seed)
    steps: tuple[Step, ...]
    if kind == "tanh":
        shape: tuple[int, ...] = (3,)
        steps = (Affine(0, 0, 3, 4), Activation(1, "tanh"), Affine(2, 1, 4, 2))
    elif kind == "convolution":
        shape = (2, 6, 6)
        steps = (
            Affine(0, 0, 2, 3, (3, 3), (1, 1), (1, 1)), Activation(1, "relu"),
            Pool(2, "largest", (2, 2), (2, 2)), Flatten(3), Affine(4, 1, 27, 2),
        )  # fmt: skip
    else:
        shape = (2, 4, 4)
        steps = (
            Affine(0, 0, 2, 2, (3, 3), (1, 1), (1, 1)), Activation(1, "relu"),
            Affine(2, 1, 2, 2, (3, 3), (1, 1), (1, 1)), Affine(0, 2, 2, 2, (1, 1)),
            Add(3, 4), Activation(5, "relu"), Pool(6, "average", (4, 4), (4, 4)), Flatten(7),
            Affine(8, 3, 2, 2),
        )  # fmt: skip
    wiring = Wiring(shape, steps)
    weights, biases = [], []
    for step in wiring.affine:
        full = (step.outputs, step.inputs, *(step.kernel or ()))
        size = (step.inputs * step.taps) ** -0.5
        weights.append(rng.uniform(-size, size, full))
        biases.append(rng.uniform(-0.3, 0.3, step.outputs) if bias else None)
    return Network(wiring, tuple(weights), tuple(biases))


def targets(dims: Sequence[int] | None = None, bias: bool | None = None) -> SearchStrategy[Target]:
    """Plain targets of one to three small layers, with and without biases, zero weights among them:
    every weight at most 1/√inputs, every spectral norm at most 1."""
    from hypothesis import strategies as st

    @st.composite
    def draw(take: Any) -> Target:
        widths = (
            tuple(dims)
            if dims is not None
            else take(st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple))
        )
        biased = bias if bias is not None else take(st.booleans())
        target = random_target(widths, take(st.integers(0, 2**32 - 1)), biased)
        if not take(st.booleans()):
            return target
        weights = tuple(np.where(np.abs(w) < 0.2, 0.0, w) for w in target.weights)
        return Target(weights, target.biases)

    return draw()


def networks() -> SearchStrategy[Network]:
    """Convolutions with pooling, residual additions, and tanh."""
    from hypothesis import strategies as st

    kinds = st.sampled_from(["convolution", "residual", "tanh"])
    return st.builds(random_network, kinds, st.integers(0, 2**32 - 1), st.booleans())


def mirrored(target: Target | Network) -> Target | Network:
    """Another target of the very same class: every weight and bias with the other sign."""
    weights = tuple(-w for w in target.weights)
    biases = tuple(None if b is None else -b for b in target.biases)
    if isinstance(target, Target):
        return Target(weights, biases)
    return Network(target.wiring, weights, biases)


# -- the contract ----------------------------------------------------------------------------------


def check_construction(
    construction: Construction,
    n: int | None = None,
    *,
    on: Sequence[Target | Network] | None = None,
    narrow: int = 1,
    **laws: Any,
) -> None:
    """Hold a construction to the whole contract, on targets of your own or some small ones.

    n: neurons a half (None where the construction knows its width); narrow: a width at which it
    must fail, and say so as data. Further arguments go to `source_for`. A construction with a
    tolerance or an epsilon is expected to meet it at n.
    """
    chosen = on or [random_target(dims, seed, seed % 2 == 0) for seed, dims in enumerate(DIMS)]
    for target in chosen:
        found = check_ticket(construction, target, n, **laws)
        _check_source(construction, target, n, laws)
        if found.claim.epsilon is not None or found.claim.tolerances is not None:
            assert found.claim.met, f"the tolerance is missed by {found.claim.unmet} at n = {n}"
    if narrow and n is not None:
        _check_narrow(construction, chosen[0], narrow, laws)


def check_ticket(
    construction: Construction,
    target: Target | Network,
    n: int | None = None,
    seed: int = 0,
    **laws: Any,
) -> Ticket:
    """Build one ticket and check all that it says of itself; the ticket."""
    source = construction.source_for(target, seed, n, **laws)
    before = source.to_json()
    ticket = construction.build(target, source)
    assert ticket.source.to_json() == before, "the source was changed, or drawn anew"
    assert ticket.claim.target == target.fingerprint, "the claim is about another target"
    _check_verified(ticket, target)
    _check_mask(ticket)
    _check_claim(ticket, target)
    again = construction.build(target, construction.source_for(target, seed, n, **laws))
    assert _bytes(again) == _bytes(ticket), "the same seed gave another ticket"
    return ticket


def _check_verified(ticket: Ticket, target: Target | Network) -> None:
    """The finder is not trusted: everything is derived again, from the file."""
    from slth.ticket import load
    from slth.verify import verify

    report = verify(ticket, target)
    assert report.ok, f"not true: {report.false[0].statement} ({report.false[0].found})"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ticket.npz"
        ticket.save(path)
        held = load(path)
        assert held.claim == ticket.claim, "saving changes the claim"
        assert verify(held, target).ok, "what was saved does not verify"


def _check_mask(ticket: Ticket) -> None:
    """Masks are binary, kept weights as drawn, and the masked source computes what is claimed."""
    import torch

    module = ticket.module()
    kept = 0
    for name, mask in module.named_buffers():
        assert bool(((mask == 0) | (mask == 1)).all()), f"{name} is not binary"
        kept += int(mask.sum())
    assert kept >= ticket.kept_in + ticket.kept_out, (
        "more is kept than the mask of the source shows"
    )
    x = _points(ticket)
    wiring = getattr(ticket.source, "wiring", None)
    shape = x.shape[1:] if wiring is None else wiring.shape
    with torch.no_grad():
        inputs = torch.from_numpy(x).reshape(len(x), *shape)
        whole, pruned = (m(inputs).flatten(1).numpy() for m in (module, ticket.compact()))
    size = 1 + float(np.abs(whole).max())
    for name, found in (("pruned", pruned), ("evaluated", ticket(x))):
        off = float(np.abs(found - whole).max())
        assert off <= 1e-9 * size, f"the {name} ticket is {off:.3g} off the masked source"


def _check_claim(ticket: Ticket, target: Target | Network) -> None:
    """claim ≥ error at any input, and certificate ≥ attack, on the claim's own domain and norm."""
    domain = from_json(dict(ticket.claim.domain))
    x = _points(ticket)
    reached = float(np.linalg.norm(ticket(x) - target(x), axis=1).max())
    bound = ticket.claim.error_bound
    assert reached <= bound * (1 + 1e-9) + 1e-12, (
        f"error {reached:.6g} above the claimed {bound:.6g}"
    )
    found = ticket.certified(target, domain, **ATTACK)
    assert found.lower <= found.upper, f"attack {found.lower:.6g} above {found.upper:.6g}"
    assert found.lower <= bound, f"attack {found.lower:.6g} above the claimed {bound:.6g}"


def _check_source(
    construction: Construction, target: Target | Network, n: int | None, laws: dict[str, Any]
) -> None:
    """Another target of the same class gets the same source; another seed another one."""
    source = construction.source_for(target, 0, n, **laws)
    other = construction.source_for(mirrored(target), 0, n, **laws)
    assert source.to_json() == other.to_json(), "the source depends on the target's weights"
    second = construction.source_for(target, 1, n, **laws)
    assert second.to_json() != source.to_json(), "the seed does not change the source"


def _check_narrow(
    construction: Construction, target: Target | Network, n: int, laws: dict[str, Any]
) -> None:
    """Too narrow a source is a result: a ticket that verifies and says what it misses."""
    from slth.verify import verify

    ticket = construction.build(target, construction.source_for(target, 0, n, **laws))
    assert verify(ticket, target).ok, "a ticket that misses its tolerance does not verify"
    if ticket.claim.tolerances is not None:
        assert ticket.claim.unmet > 0, f"n = {n} is said to suffice; give a narrower one"
        assert not ticket.claim.met, "a ticket that misses its tolerance says that it is met"


def _points(ticket: Ticket) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Random inputs of the claim's domain, corners and far points among them."""
    domain: Domain = from_json(dict(ticket.claim.domain))
    rng = np.random.default_rng(0)
    if isinstance(domain, Ball):
        far = rng.standard_normal((POINTS, domain.dimension)) * domain.radius
        return domain.project(np.concatenate([2 * far, far / (1 + domain.dimension)]))
    share = rng.random((2 * POINTS, domain.dimension))
    share[::2] = np.round(share[::2])
    return domain.project(domain.low + share * (domain.high - domain.low))


def _bytes(ticket: Ticket) -> bytes:
    """The ticket's file, without zip's time stamps."""
    import zipfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ticket.npz"
        ticket.save(path)
        with zipfile.ZipFile(path) as archive:
            return b"".join(archive.read(name) for name in sorted(archive.namelist()))

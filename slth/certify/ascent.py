"""Gradient ascent on ||g(x) - f(x)|| for networks of any wiring; nothing it says is trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from slth.certify.attack import KINKS, STALLED, bases, kick, move, random_starts
from slth.domain import Domain
from slth.wiring import Activation, Wiring

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float64]
Function = Callable[["Tensor"], list["Tensor"]]  # every value of the wiring, the output last


def attack(
    f: Function,
    g: Function,
    wiring: Wiring,
    domain: Domain,
    *,
    seed: int,
    restarts: int,
    steps: int,
) -> Array:
    """Points of the domain where ||g - f|| is large, best first, `[restarts, d]`.

    Steps double after a rise and shrink after a fall; whoever has converged hops to a neighbourhood
    of the best points so far, or to a kink near one, as in `slth.certify.attack`.
    """
    shape = wiring.shape
    rng = np.random.default_rng(seed)
    x = random_starts(domain, rng, restarts)
    value, slope = _climb(f, g, shape, x)
    length = np.ones((restarts, 1))
    best, most = x.copy(), value.copy()
    for _ in range(steps):
        stalled = np.flatnonzero(length[:, 0] < STALLED)
        trial = move(domain, x, slope, length)
        if len(stalled):
            base = bases(rng, best, most, stalled)
            kinks = rng.random(len(stalled)) < KINKS
            trial[stalled] = kick(domain, rng, base)
            trial[stalled[kinks]] = domain.project(_to_kink((f, g), wiring, rng, base[kinks]))
        reached, steeper = _climb(f, g, shape, trial)
        taken = reached > value
        taken[stalled] = True
        x, value = np.where(taken[:, None], trial, x), np.where(taken, reached, value)
        slope = np.where(taken[:, None], steeper, slope)
        length = np.clip(np.where(taken[:, None], length * 2.0, length * 0.4), 1e-6, 1e4)
        length[stalled] = 1.0
        rise = value > most
        best[rise], most[rise] = x[rise], value[rise]
    return best[np.argsort(-most, kind="stable")]


def _climb(f: Function, g: Function, shape: tuple[int, ...], x: Array) -> tuple[Array, Array]:
    """‖g − f‖ and its gradient at points `[batch, d]`."""
    given = torch.from_numpy(x.copy()).requires_grad_(True)
    images = given.reshape(len(x), *shape)
    difference = (g(images)[-1] - f(images)[-1]).flatten(1)
    scale = float(difference.detach().abs().max()) or 1.0
    norms = torch.linalg.vector_norm(difference / scale, dim=1)
    (slope,) = torch.autograd.grad(norms.sum(), given)
    return scale * norms.detach().numpy(), np.nan_to_num(slope.numpy())


def _to_kink(
    networks: tuple[Function, Function], wiring: Wiring, rng: np.random.Generator, base: Array
) -> Array:
    """Newton steps to where a random neuron of f or g, or an input, changes sign, `[batch, d]`."""
    bent = [step.of for step in wiring.steps if isinstance(step, Activation)]
    chosen = int(rng.integers(len(bent) + 1)) - 1
    if chosen < 0 or not len(base):
        return np.where(rng.random(base.shape) < 1 / base.shape[1], 0.0, base)
    given = torch.from_numpy(base.copy()).requires_grad_(True)
    network = networks[int(rng.integers(2))]
    values = network(given.reshape(len(base), *wiring.shape))[bent[chosen]].flatten(1)
    neurons = torch.from_numpy(rng.integers(values.shape[1], size=len(base)))
    value = values.gather(1, neurons[:, None])
    (slope,) = torch.autograd.grad(value.sum(), given)
    # some coordinates stay, so that steps along an edge of the box end where the kink cuts it
    moved = slope.numpy() * (rng.random(base.shape) < 0.5)
    size = (moved * moved).sum(axis=1, keepdims=True)
    found: Array = base - moved * value.detach().numpy() / np.where(size > 0, size, 1.0)
    return found

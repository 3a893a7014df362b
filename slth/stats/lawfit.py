"""Which law an error, or a needed n, follows: one family with the power law and the exponential.

ln e = a - b·(n^γ - 1)/γ.  γ = 0 is the power law e ~ n^-b (the n needed is polynomial in 1/ε),
γ = 1 the exponential (the n needed is logarithmic in 1/ε).  Replacing n by n/n0 changes a and b
and nothing else: (n^γ-1)/γ = n0^γ·((n/n0)^γ-1)/γ + (n0^γ-1)/γ.  So n is scaled by its geometric
mean, and n^γ neither overflows nor swamps the intercept.

For the n needed the axes change places: ln(1/ε) = a + b·(n^γ - 1)/γ, where again γ = 1 reads
"n linear in ln(1/ε)" and γ = 0 "n a power of 1/ε".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from slth.errors import BadInput
from slth.stats.resample import (
    RESAMPLES,
    Floats,
    band,
    increasing,
    interval,
    paired,
    resampled_means,
)
from slth.stats.verdict import State, Verdict

MARGIN = 0.3
"""γ's interval must clear 0 by this much before a width is called logarithmic."""

CONFIDENCE = 0.95
"""Confidence of γ's interval and of the band on the last third."""

LACK_OF_FIT_ALPHA = 0.01
"""Level at which the family is said not to fit."""

MIN_SEEDS = 8
"""Below this many seeds γ's interval is the whole line."""

MIN_POINTS = 6
"""Below this many n there is no first two thirds to predict from."""

SEEDS_PER_CONTRAST = 3
"""Seeds wanted per contrast of the lack-of-fit test; fewer contrasts, the smoothest, if scarce."""

GAMMAS = np.linspace(-1.0, 4.0, 101)
"""The grid on which γ is profiled; an interval that touches an end of it is open there."""


@dataclass(frozen=True)
class LackOfFit:
    """Hotelling's T² of the mean residual against the scatter between seeds.

    ``statistic`` is F with ``(contrasts, seeds - contrasts)`` degrees of freedom.
    """

    statistic: float
    contrasts: int
    seeds: int
    p_value: float


@dataclass(frozen=True)
class Prediction:
    """The last third of the n as the first two thirds predict it; logarithms of errors, ``[L]``.

    ``low``/``high`` is the simultaneous band of the prediction, ``observed_low``/``observed_high``
    the interval of each measured mean.  ``predicted`` says that the two meet at every n.
    """

    n: tuple[float, ...]
    centre: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    observed: tuple[float, ...]
    observed_low: tuple[float, ...]
    observed_high: tuple[float, ...]

    @property
    def predicted(self) -> bool:
        """Whether the measured interval meets the predicted band at every n of the last third."""
        ends = zip(self.low, self.high, self.observed_low, self.observed_high, strict=True)
        return all(low <= seen_high and seen_low <= high for low, high, seen_low, seen_high in ends)


@dataclass(frozen=True)
class LawFit:
    """The family fitted to the mean over seeds: y = intercept + slope·((n/scale)^γ - 1)/γ.

    ``outcome`` "error": y = ln e, falling; "need": y = ln(1/ε) at the mean n needed, rising.
    ``low``/``high`` is γ's interval, infinite where the grid or the sample ends.
    ``p_logarithmic`` tests γ <= MARGIN, ``p_polynomial`` |γ| >= MARGIN (both one-sided Student t on
    the resampled standard error).  ``lack_of_fit`` or ``prediction`` is None where too few points
    or seeds allow none.
    """

    outcome: Literal["error", "need"]
    gamma: float
    low: float
    high: float
    intercept: float
    slope: float
    scale: float
    seeds: int
    points: int
    p_logarithmic: float
    p_polynomial: float
    lack_of_fit: LackOfFit | None
    prediction: Prediction | None

    def curve(self, n: ArrayLike) -> Floats:
        """The fitted y at ``n``: ln e, or ln(1/ε)."""
        t = np.log(np.asarray(n, dtype=np.float64) / self.scale)
        return self.intercept + self.slope * _power(t, self.gamma)


@dataclass(frozen=True)
class LawVerdict:
    """The law that the data support and the two claims it settles."""

    law: Literal["logarithmic", "polynomial", "neither", "undecided"]
    reason: str
    logarithmic: Verdict
    polynomial: Verdict


class _Fitted(NamedTuple):
    gamma: Floats
    intercept: Floats
    slope: Floats

    def at(self, t: Floats) -> Floats:
        gamma, intercept, slope = (np.asarray(part)[..., None] for part in self)
        out: Floats = intercept + slope * _power(t, gamma)
        return out


def _power(t: Floats, gamma: float | Floats) -> Floats:
    """(e^(γt) - 1)/γ, and its limit t at γ = 0."""
    flat = np.abs(gamma) < 1e-9
    safe = np.where(flat, 1.0, gamma)
    return np.where(flat, t, np.expm1(safe * t) / safe)


def _correlation(t: Floats, y: Floats, gamma: float | Floats) -> Floats:
    """Squared correlation ``[...]`` of centred y with the family's x, both ``[..., K]``."""
    x = _power(t, gamma)
    xc = x - x.mean(axis=-1, keepdims=True)
    xx, yy = (np.einsum("...k,...k->...", part, part) for part in (xc, y))
    xy = y @ xc if xc.ndim == 1 else np.einsum("...k,...k->...", xc, y)
    r2: Floats = xy**2 / (xx * np.where(yy > 0, yy, np.inf))
    return r2


def _vertex(left: Floats, mid: Floats, right: Floats) -> Floats:
    """Where the parabola through three equidistant values peaks, in steps from the middle."""
    bend = left - 2.0 * mid + right
    peak = 0.5 * (left - right) / np.where(bend < 0, bend, np.inf)
    return np.clip(peak, -1.0, 1.0)


def _profile(t: Floats, y: Floats) -> _Fitted:
    """Least squares over γ for t and y ``[..., K]``, one of them or both a stack of curves.

    At fixed γ the fit is a straight line, so the best γ has the largest squared correlation; the
    grid's best is refined by two parabolas, the second a twentieth as wide.
    """
    yc = y - y.mean(axis=-1, keepdims=True)
    r2 = np.stack([_correlation(t, yc, float(gamma)) for gamma in GAMMAS])
    best = np.argmax(r2, axis=0)
    inner = np.clip(best, 1, GAMMAS.size - 2)
    around = (np.take_along_axis(r2, (inner + d)[None], axis=0)[0] for d in (-1, 0, 1))
    wide = GAMMAS[1] - GAMMAS[0]
    gamma = GAMMAS[best] + np.where(inner == best, wide * _vertex(*around), 0.0)
    narrow = wide / 20.0
    near = (_correlation(t, yc, (gamma + d)[..., None]) for d in (-narrow, 0.0, narrow))
    gamma = np.where(inner == best, gamma + narrow * _vertex(*near), gamma)
    x = _power(t, gamma[..., None])
    xc = x - x.mean(axis=-1, keepdims=True)
    slope = np.einsum("...k,...k->...", xc, np.broadcast_to(yc, xc.shape)) / np.einsum(
        "...k,...k->...", xc, xc
    )
    return _Fitted(gamma, y.mean(axis=-1) - slope * x.mean(axis=-1), slope)


def _lack_of_fit(t: Floats, fitted: _Fitted, residual: Floats, scatter: Floats) -> LackOfFit | None:
    """T² of the residual ``[K]`` of the mean, off the model's tangent space, against ``[S, K]``.

    Sources are nested in n, so a seed's errors are correlated along n and point-by-point pure
    error would reject far too often; T² uses the whole covariance.  On the orthogonal complement
    of the tangent space the fitted parameters drop out to first order.  With few seeds only the
    smoothest contrasts are kept, which is where a wrong law shows.
    """
    from scipy.special import fdtrc

    seeds, points = scatter.shape
    contrasts = min(points - 3, seeds // SEEDS_PER_CONTRAST)
    if contrasts < 1 or seeds < MIN_SEEDS:
        return None
    gamma, step = float(fitted.gamma), 1e-4
    bend = (_power(t, gamma + step) - _power(t, gamma - step)) / (2.0 * step)
    tangent = np.stack([np.ones(points), _power(t, gamma), bend], axis=1)
    complement = np.linalg.qr(tangent, mode="complete")[0][:, 3:]
    rough = np.diff(complement, n=2, axis=0)
    order = np.linalg.eigh(rough.T @ rough)[1]  # ascending: smoothest contrast first
    basis = complement @ order[:, :contrasts]
    mean, spread = residual @ basis, scatter @ basis
    covariance = spread.T @ spread / (seeds - 1)
    scale = np.sqrt(np.diag(covariance))
    # Seeds that do not differ leave no pure error to test against.
    if np.any(scale <= 1e-12 * (1.0 + np.abs(mean))):
        return None
    correlation = covariance / np.outer(scale, scale)
    if np.linalg.cond(correlation) > 1e12:
        return None
    z = mean / scale
    t2 = seeds * float(z @ np.linalg.solve(correlation, z))
    f = t2 * (seeds - contrasts) / (contrasts * (seeds - 1))
    return LackOfFit(f, contrasts, seeds, float(fdtrc(contrasts, seeds - contrasts, f)))


def _predict(
    n: Floats, t: Floats, y: Floats, stack_t: Floats, stack_y: Floats, spread: Floats, seeds: int
) -> Prediction | None:
    """The last third from the first two; ``spread`` ``[K]`` is the standard error of y."""
    from scipy.special import stdtrit

    points = n.size
    if points < MIN_POINTS or seeds < MIN_SEEDS:
        return None
    first = math.ceil(2 * points / 3)
    centre = _profile(t[:first], y[:first]).at(t[first:])
    curves = _profile(stack_t[..., :first], stack_y[..., :first]).at(t[first:])
    low, high = band(curves, centre, seeds, CONFIDENCE)
    half = -float(stdtrit(seeds - 1, (1.0 - CONFIDENCE) / 2.0)) * spread[first:]
    seen = y[first:]
    parts = (n[first:], centre, low, high, seen, seen - half, seen + half)
    return Prediction(*(tuple(map(float, part)) for part in parts))


def _fit(
    outcome: Literal["error", "need"],
    n: Floats,
    scale: float,
    curves: tuple[Floats, Floats],
    stacks: tuple[Floats, Floats],
    scatter: Floats,
) -> LawFit:
    from scipy.special import stdtr

    (t, y), (stack_t, stack_y) = curves, stacks
    seeds = scatter.shape[0]
    fitted = _profile(t, y)
    if outcome == "need":  # a seed's deviation in n, read along the curve as one in ln(1/ε)
        scatter = -float(fitted.slope) * np.exp(float(fitted.gamma) * t) * scatter
    gamma, samples = float(fitted.gamma), _profile(stack_t, stack_y).gamma
    low, high = -math.inf, math.inf
    if seeds >= MIN_SEEDS:
        low, high = (float(end) for end in interval(samples, seeds, CONFIDENCE))
        low = low if low > GAMMAS[0] else -math.inf
        high = high if high < GAMMAS[-1] else math.inf
    error = max(float(np.std(samples, ddof=1)), 1e-12) * math.sqrt(seeds / max(seeds - 1, 1))
    freedom = max(seeds - 1, 1)
    above = float(stdtr(freedom, (MARGIN - gamma) / error))
    below = max(
        float(stdtr(freedom, (gamma - MARGIN) / error)),
        float(stdtr(freedom, (-MARGIN - gamma) / error)),
    )
    spread = np.sqrt(np.sum(scatter**2, axis=0) / max(seeds - 1, 1) / seeds)
    return LawFit(
        outcome, gamma, low, high, float(fitted.intercept), float(fitted.slope), scale,
        seeds, n.size, above, below,
        _lack_of_fit(t, fitted, y - fitted.at(t), scatter),
        _predict(n, t, y, stack_t, stack_y, spread, seeds),
    )  # fmt: skip


def law_fit(
    n: ArrayLike,
    errors: ArrayLike,
    rng: np.random.Generator | int,
    resamples: int = RESAMPLES,
) -> LawFit:
    """Fit the family to errors ``[seeds, K]`` > 0 at widths ``n`` ``[K]``, K >= 4.

    The fit is least squares on the mean over seeds of ln e; ``rng`` drives the resampling of the
    seeds.  Raises ``BadInput`` for errors that are not positive and finite at every n.
    """
    grid = increasing("n", n, 4)
    table = paired("errors", errors, grid.size)
    if np.any(table <= 0):
        raise BadInput(
            "errors", float(table.min()), "positive numbers", "end the range above rounding"
        )
    logs = np.log(table)
    scale = float(np.exp(np.mean(np.log(grid))))
    t, y = np.log(grid / scale), logs.mean(axis=0)
    stack = resampled_means(logs, resamples, rng)
    return _fit("error", grid, scale, (t, y), (t, stack), logs - y)


def need_fit(
    epsilons: ArrayLike,
    n_needed: ArrayLike,
    rng: np.random.Generator | int,
    resamples: int = RESAMPLES,
) -> LawFit:
    """Fit the family to the n needed ``[seeds, K]`` for tolerances ``epsilons`` ``[K]``, falling.

    γ = 1 reads n = α + β·ln(1/ε), γ = 0 reads n = C·ε^(-p).  The fit is least squares in ln(1/ε)
    at the mean over seeds of n, so that integer n of single seeds average out.  The mean must
    grow from each ε to the next.  Raises ``BadInput`` otherwise, or where a seed has no finite n.
    """
    eps = np.asarray(epsilons, dtype=np.float64)
    increasing("1/epsilons", 1.0 / eps if eps.size and np.all(eps > 0) else eps, 4)
    table = paired("n_needed", n_needed, eps.size)
    mean = increasing("mean of n_needed", table.mean(axis=0), 4)
    scale = float(np.exp(np.mean(np.log(mean))))
    y = -np.log(eps)
    stack = resampled_means(table, resamples, rng)
    curves, stacks = (np.log(mean / scale), y), (np.log(stack / scale), y)
    return _fit("need", mean, scale, curves, stacks, (table - mean) / mean)


def law_verdict(fit: LawFit, alpha: float = LACK_OF_FIT_ALPHA) -> LawVerdict:
    """What a fit says about the two claims "logarithmic width" and "polynomial width".

    Neither, if the family does not fit at level ``alpha``.  Otherwise logarithmic if γ's interval
    lies above ``MARGIN``, polynomial if it lies within ``MARGIN`` of 0, and in both cases only if
    the last third is predicted from the first two; an interval wholly below -``MARGIN`` (slower
    than any power) is neither.  Anything else is undecided.
    """
    evidence = {
        "gamma": fit.gamma,
        "interval": [fit.low, fit.high],
        "seeds": fit.seeds,
        "lack_of_fit_p": fit.lack_of_fit.p_value if fit.lack_of_fit else None,
        "predicted": fit.prediction.predicted if fit.prediction else None,
    }
    shown = f"γ = {fit.gamma:.2f} in [{fit.low:.2f}, {fit.high:.2f}]"

    def both(law: Literal["neither", "undecided"], reason: str) -> LawVerdict:
        verdict = Verdict(State.UNDECIDED, reason, None, evidence)
        return LawVerdict(law, reason, verdict, verdict)

    if fit.slope * (1.0 if fit.outcome == "need" else -1.0) <= 0:
        return both("undecided", f"{shown}, but the error does not fall with n")
    if fit.lack_of_fit is None:
        return both("undecided", f"{shown}, but {fit.seeds} seeds at {fit.points} n test no fit")
    if fit.lack_of_fit.p_value < alpha:
        return both(
            "neither", f"neither: the family does not fit (p = {fit.lack_of_fit.p_value:.2g})"
        )
    if fit.high < -MARGIN:
        return both("neither", f"neither: {shown} is slower than any power of n")
    logarithmic = fit.low > MARGIN
    if not logarithmic and not (fit.low > -MARGIN and fit.high < MARGIN):
        return both("undecided", f"{shown} decides between no laws (margin {MARGIN:g})")
    if fit.prediction is None or not fit.prediction.predicted:
        return both("undecided", f"{shown}, but the last third is not as the first two predict")
    reason = f"{shown}, last third predicted, fit not rejected (p = {fit.lack_of_fit.p_value:.2g})"
    p = fit.p_logarithmic if logarithmic else fit.p_polynomial
    yes = Verdict(State.SUPPORTED, reason, p, evidence)
    no = Verdict(State.REFUTED, reason, p, evidence)
    if logarithmic:
        return LawVerdict("logarithmic", reason, yes, no)
    return LawVerdict("polynomial", reason, no, yes)

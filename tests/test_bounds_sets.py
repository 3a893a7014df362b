"""What random values add to sets: rearrangement on a lattice, and sets that move by simulation.

Simulations use fixed seeds; each assertion's false-alarm rate stands beside it.
"""

from __future__ import annotations

import numpy as np
import pytest

from slth.bounds import _coverage as coverage
from tests.subset_sums import too_low
from tests.test_bounds_coverage import runs


def hinges(sizes: np.ndarray, most: int) -> np.ndarray:
    """Σ (N − k)^+ over the shifts, `[most]`."""
    return np.maximum(sizes[:, None] - np.arange(most), 0).sum(axis=0)


def centred(v: int, w: int) -> np.ndarray:
    """|(C* + x) ∩ W*| for intervals of v and w points, at all shifts."""
    return np.convolve(np.ones(v, int), np.ones(w, int))


class TestRearrangement:
    """On a lattice: J = {0, ..., m − 1}, C any subset, N(x) = |(C + x) ∩ (J \\ C)|."""

    def gains(self, m: int):
        for code in range(1, 2**m - 1):
            inside = np.array([code >> i & 1 for i in range(m)])
            yield int(inside.sum()), np.convolve(inside[::-1], 1 - inside)

    def test_hinge_sums_over_all_shifts(self):
        """Σ_x (N(x) − k)^+ <= Σ_x (N*(x) − k)^+ for every k, with equality at k = 0; for N* whose
        plateau is one shift longer and its ends one lower it fails."""
        broken = 0
        for m in range(2, 10):
            for v, gain in self.gains(m):
                star = centred(v, m - v)
                assert gain.sum() == star.sum() == v * (m - v)
                assert (hinges(gain, m) <= hinges(star, m)).all()
                flatter = np.minimum(star, max(1, star.max() - 1))
                broken += (hinges(gain, m) > hinges(flatter, m)).any()
        assert broken > 100

    @pytest.mark.parametrize(("unit", "extra"), [(1, 1), (3, 1), (5, 1), (3, 2), (6, 2), (4, 3)])
    def test_shifts_beyond_one_cost_the_margin_squared(self, unit, extra):
        """m = unit + 2 extra: Σ_{|x| <= unit} (k − N(x))^+ exceeds that of N* by at most the pairs
        farther apart than a unit, one triangle of extra (2 extra − 1); one less is refuted."""
        m, most = unit + 2 * extra, 0
        for v, gain in self.gains(m):
            star = centred(v, m - v)
            kept = gain[m - 1 - unit : m + unit]  # shifts −unit ... unit
            idle = np.zeros(max(0, 2 * unit + 1 - star.size), int)
            padded = np.append(star, idle)
            for k in range(1, m + 1):
                excess = np.maximum(k - kept, 0).sum() - np.maximum(k - padded, 0).sum()
                most = max(most, int(excess) - k * (kept.size - padded.size))
        assert most == extra * (2 * extra - 1)

    def test_an_interval_at_an_end_has_the_fewest_pairs(self):
        """Of all C with v points, within every distance r; a centred interval has more."""
        beaten = 0
        for m in range(2, 11):
            least: dict[int, np.ndarray] = {}
            for v, gain in self.gains(m):
                near = np.cumsum((gain + gain[::-1])[m:])  # pairs within distance 1, 2, ...
                least[v] = np.minimum(least.get(v, near), near)
            for v, fewest in least.items():
                end = np.cumsum([min(r, v, m - v, m - r) for r in range(1, m)])
                assert (fewest == end).all()
                middle = np.zeros(m, int)
                middle[(m - v) // 2 : (m - v) // 2 + v] = 1
                pairs = np.convolve(middle[::-1], 1 - middle)
                beaten += (np.cumsum((pairs + pairs[::-1])[m:]) > end).any()
        assert beaten > 20

    def test_the_law_of_two_intervals(self):
        """N* at a fine grid of shifts: both atoms, and uniform between."""
        length = 1.3
        x = (np.arange(200_000) + 0.5) / 100_000 - 1
        for v in (0.2, 0.65, 1.0):
            w = length - v
            overlap = np.minimum(v / 2, w / 2 - x) - np.maximum(-v / 2, -w / 2 - x)
            overlap = np.maximum(overlap, 0)
            small = min(v, w)
            assert (overlap == 0).mean() == pytest.approx(1 - length / 2, abs=1e-4)
            assert (overlap > small - 1e-9).mean() == pytest.approx(abs(v - w) / 2, abs=1e-4)
            for y in (0.1, 0.5, 0.9):
                below = ((overlap > 0) & (overlap <= y * small)).mean()
                assert below == pytest.approx(y * small, abs=1e-4)


def grow(pieces: np.ndarray, x: float, half: float) -> np.ndarray:
    """C ∪ ((C + x) ∩ J) as disjoint intervals `[count, 2]`."""
    moved = np.clip(pieces + x, -half, half)
    both = np.concatenate([pieces, moved[moved[:, 0] < moved[:, 1]]])
    both = both[np.argsort(both[:, 0])]
    ends = np.maximum.accumulate(both[:, 1])
    first = np.append(True, both[1:, 0] > ends[:-1])
    return np.column_stack([both[first, 0], ends[np.append(first[1:], True)]])


def starts(v: float, half: float, rng) -> dict[str, np.ndarray]:
    """Sets of measure v that grow badly, or well."""
    teeth = np.linspace(-half, half, 31)[:-1]
    dust = np.sort(rng.choice(400, 120, replace=False)) / 400 * 2 * half - half
    return {
        "end": np.array([[-half, v - half]]),
        "centre": np.array([[-v / 2, v / 2]]),
        "ends": np.array([[-half, v / 2 - half], [half - v / 2, half]]),
        "comb": np.column_stack([teeth, teeth + v / 30]),
        "dust": np.column_stack([dust, dust + v / 120]),
    }


class TestSetsThatMove:
    def test_growing_intervals_against_a_lattice(self):
        rng = np.random.default_rng(40)
        for _ in range(20):
            inside = rng.random(64) < 0.4
            cells = np.flatnonzero(inside)
            pieces = np.column_stack([cells, cells + 1]) / 64 - 0.5
            for shift in rng.integers(-64, 65, 4):
                moved = np.zeros_like(inside)
                to = cells + shift
                moved[to[(to >= 0) & (to < 64)]] = True
                inside |= moved
                pieces = grow(pieces, shift / 64, 0.5)
                cells = np.flatnonzero(inside)
                assert np.diff(pieces).sum() == inside.mean()

    @pytest.mark.parametrize(
        ("law", "half", "steps", "later"),
        [
            (None, 0.5, (3, 5, 8), 5),
            (coverage.uniform, 1.0, (6, 8, 12), 14),
            (coverage.product, 0.5, (5, 8, 14), 22),
        ],
    )
    def test_no_set_fails_more_often_than_the_program_says(self, law, half, steps, later):
        """Five sets, three numbers of values, 300 trials, 1e-4 each: false alarms below 2e-3 a
        law. Of the values of G some steps later, at least five are refuted."""
        rng = np.random.default_rng(41)
        *_, (program, _, _, _) = runs(0.2, 32, 1, law, half)
        side = 2 * half
        end, v = program.length * half, 0.4 * side
        i = int(np.searchsorted(program.grid, 0.4, "right")) - 1
        curve = [float(g[i]) for _, g, _, _ in runs(0.2, 32, 1 + max(steps) + later, law, half)]
        refuted = 0
        for name, start in starts(v, end, rng).items():
            assert np.diff(start).sum() == pytest.approx(v)
            left = dict.fromkeys(steps, 0)
            for _ in range(300):
                pieces = start
                for t in range(1, 1 + max(steps)):
                    x = rng.uniform(-1, 1)
                    if law is coverage.product:
                        x *= rng.uniform(-1, 1)
                    pieces = grow(pieces, x, end)
                    if np.diff(pieces).sum() > side:
                        break
                    if t in left:
                        left[t] += 1
            for t, count in left.items():
                assert not too_low(count, 300, curve[t]), name
                refuted += too_low(count, 300, curve[t + later])
        assert refuted >= 5

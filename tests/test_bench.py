"""The bench: peers against the optimum, arithmetic on made-up rows, its table in the README."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sims import bench
from sims._bench import Row, _peers, caches, groups, in_fresh_process
from sims._bench._figures import against_n, every_row
from sims._bench.optimum import _write, half_lists
from sims._bench.scaling import GROUP, exponents, leaves
from slth import plot
from slth.subsetsum import Problem
from slth.subsetsum.meet_in_the_middle import MeetInTheMiddle

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads((ROOT / "sims" / "figures" / "bench.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.uniform(-1, 1, (6, 11)), rng.uniform(-0.5, 0.5, 6)


def made_up(name: str = "MeetInTheMiddle", rate: float = 0.5) -> list[Row]:
    lengths = (12, *range(14, 45))
    row = Row(GROUP, name, "weight", None, (1e-7, 1e3), 3)
    return [replace(row, seconds=1e-6 * 2 ** (rate * n), n=n) for n in lengths]


def test_every_subject_is_a_file_that_defines_it() -> None:
    folder = ROOT / "sims" / "_bench"
    found = groups()
    assert {*found} == {p.stem for p in folder.glob("*.py") if p.stem[0] != "_"}
    assert list(found)[:2] == ["start_up", "optimum"]
    assert all(callable(rows) and rows.__name__ == name for name, rows in found.items())


PRESENT = [p for p in _peers.OPTIMA if _peers.installed(p[1])]


@pytest.mark.parametrize("peer", PRESENT, ids=[p[0] for p in PRESENT])
def test_peers_are_asked_the_right_question(peer, drawn) -> None:  # type: ignore[no-untyped-def]
    """Exact ones find optima of 11 values, within what their tolerances let through."""
    values, targets = drawn
    name, _, _, _ = peer
    _, _, answers = apart(peer[2], values, targets)
    best = MeetInTheMiddle()(Problem(values, targets)).error
    for row, target, error, answer in zip(values, targets, best, answers, strict=True):
        own = abs(row[answer.kept].sum() - target)
        if name.startswith("prtpy"):
            assert not answer.optimal
            assert own < 0.5  # a heuristic, but on the right target
        else:
            assert answer.optimal
            assert own <= error + 3e-6
            assert abs(answer.error - own) < 3e-6


def apart(solve, values, targets):  # type: ignore[no-untyped-def]
    """As `peer_row` asks: in a process of its own."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(_peers.asked, solve, values, targets).result()


def test_karmarkar_and_karp_halve_the_right_numbers() -> None:
    pytest.importorskip("prtpy")
    rng = np.random.default_rng(4)
    for _ in range(30):
        values, target = rng.uniform(-1, 1, 9), rng.uniform(-1, 1)
        kept = _peers.karmarkar_karp(values, target).kept
        assert abs(values[kept].sum() - target) < 0.7
        assert (kept != _peers.karmarkar_karp(values, target + 3).kept).any()


def test_flsss_answers_within_epsilon(drawn) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("flsss")
    values, targets = drawn
    for epsilon in (0.01, 1e-9):
        answers = [_peers.flsss(v, t, epsilon) for v, t in zip(values, targets, strict=True)]
        best = MeetInTheMiddle()(Problem(values, targets)).error
        assert [a.kept is not None for a in answers] == (best <= epsilon).tolist()
        for row, target, answer in zip(values, targets, answers, strict=True):
            assert answer.kept is None or abs(row[answer.kept].sum() - target) <= epsilon + 1e-11


def test_a_peer_that_is_missing_or_broken_gets_a_row_that_says_so(drawn) -> None:  # type: ignore[no-untyped-def]
    said = _peers.optima(*drawn)
    missing = _peers.peer_row(
        "g", ("none", "no_such_module", _peers.scipy_milp, 2), "weight", *drawn, said
    )
    assert missing.seconds is None
    assert "not installed" in missing.note
    broken = _peers.peer_row("g", ("broken", "numpy", cannot_import, 2), "weight", *drawn, said)
    assert broken.seconds is None
    assert "does not run here" in broken.note


def cannot_import(values: np.ndarray, target: float) -> _peers.Answer:
    raise ImportError("undefined symbol")


def test_wrong_claims_are_counted(drawn) -> None:  # type: ignore[no-untyped-def]
    values, targets = drawn
    best = MeetInTheMiddle()(Problem(values, targets))
    wrong = [_peers.Answer(np.zeros(11, np.bool_), True, 0.0)] * 2
    right = [_peers.Answer(mask, True, float(e)) for mask, e in
             zip(best.mask[2:], best.error[2:], strict=True)]  # fmt: skip
    exact = np.r_[np.abs(targets[:2]), best.error[2:]]
    text = _peers.optima(values, targets)([*wrong, *right], exact)
    assert text.startswith("6 instances, 2 not optimal, 2 of them called optimal; its error is 0.")


def test_the_limit_writes_both_half_lists() -> None:
    values, room = np.array([0.5, -1.0, 2.0, 0.25]), np.empty((2, 4))
    _write(values, room, 1)
    assert sorted(room[0]) == [0.0, 0.5, 2.0, 2.5]
    assert sorted(room[1]) == [-1.0, -0.75, 0.0, 0.25]
    assert np.isfinite(half_lists(values)())


def test_local_exponents_and_caches_of_made_up_rows() -> None:
    rows = made_up()
    found = exponents(rows, "MeetInTheMiddle")
    assert [n for n, _ in found] == [14, *range(16, 43)]
    assert all(abs(value - 0.5) < 1e-12 for _, value in found)
    assert abs(exponents(made_up(rate=0.75), "MeetInTheMiddle")[0][1] - 0.75) < 1e-12
    assert exponents(rows, "another") == []
    # four lists of 2^⌈n/2⌉ float64: 32 KiB at n = 20, 64 KiB from n = 21 on
    assert leaves({"L1": 48 * 1024, "L2": 2**20, "L3": 2**40}) == {"L1": 21, "L2": 31, "L3": 45}
    assert all(size >= 2**14 for size in caches().values())


def test_memory_is_the_fresh_processes_own() -> None:
    """Whatever this process held: 100 MB written there show, none of what was written here."""
    held = np.ones(40_000_000)
    code = "before = peak(); data = b'x' * 10**8; print(0.5, peak() - before, 'ok', sep='|')"
    seconds, grown, note = in_fresh_process(code)
    assert (seconds, note) == (0.5, "ok")
    assert 0.9e8 < grown < 1.3e8
    assert held.nbytes > grown


def test_goals_ratios_and_units_in_the_tables() -> None:
    quick = Row("g", "quick", "weight", 2e-6, (1e-6, 3e-6), 7, 3e-6, core_seconds=1e-6)
    slow = replace(quick, name="slow", seconds=4e-6, peak=2e9, peak_goal=1e9)
    record = {"machine": {}, "exponents": [], "leaves": {}, "rows": [vars(quick), vars(slow)]}
    shown = bench.markdown(record).splitlines()
    assert shown[2:] == [
        "| **g** | | | | | |",
        "| quick | 2 µs a weight (1 µs – 3 µs) | 1 µs | 1 | < 3 µs: yes |  |",
        "| slow | 4 µs a weight (1 µs – 3 µs) | 1 µs | 2 | < 3 µs: NO, < 1 GB: NO | peak 2 GB |",
    ]
    text = bench.table([quick, slow, *made_up()])
    assert len({line.index("a weight") for line in text.splitlines() if "a weight" in line}) > 0
    assert [bench.duration(s) for s in (None, 2.5, 2e-3, 3e-7)] == ["–", "2.5 s", "2 ms", "300 ns"]


def test_the_series_against_n_is_a_table_and_a_figure_without_overlap() -> None:
    rows = [*made_up(), *(replace(r, name="SchroeppelShamir") for r in made_up(rate=0.52))]
    record = {
        "machine": {"caches": {"L1": 49152}}, "rows": [vars(row) for row in rows],
        "exponents": exponents(rows, "MeetInTheMiddle"), "leaves": {"L1": 21, "L2": 31},
    }  # fmt: skip
    lines = bench.markdown(record).splitlines()
    assert lines[3].startswith("| one core, n = | 12 | 16 | 20 |")
    assert "| 0.50 |" in lines[-3]
    assert (
        lines[-1] == "Its four lists leave L1 from n = 21, L2 from n = 31 (caches here: L1 48 KiB)."
    )
    assert plot.check(against_n(rows, record)) == []


def test_publishing_replaces_what_stands_between_the_marks(stored, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(bench, "FIGURES", tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n", "utf-8")
    bench.publish(stored, readme)
    text = readme.read_text("utf-8")
    assert text.startswith("before\n<!-- bench -->\n| what |")
    assert text.endswith("\n<!-- /bench -->\nafter\n")
    assert "old" not in text
    assert json.loads((tmp_path / "bench.json").read_text("utf-8")) == stored


# -- the stored run --------------------------------------------------------------------------------


def test_the_readmes_table_is_the_stored_one(stored) -> None:  # type: ignore[no-untyped-def]
    text = (ROOT / "README.md").read_text("utf-8")
    shown = text.split(bench.OPEN)[1].split(bench.CLOSE)[0]
    assert shown.strip() == bench.markdown(stored).strip()


def test_figures_have_labels_units_intervals_and_no_overlap(stored, tmp_path) -> None:  # type: ignore[no-untyped-def]
    rows = [Row(**row) for row in stored["rows"]]
    for fig in bench.figures(rows, stored, tmp_path):
        assert plot.check(fig) == []
    assert plot.check(every_row(rows), ["slth", "other packages"]) == []


def test_a_partial_peer_is_one_that_a_process_can_be_sent() -> None:
    import pickle

    assert pickle.loads(pickle.dumps(partial(_peers.flsss, epsilon=0.5))).keywords == {
        "epsilon": 0.5
    }

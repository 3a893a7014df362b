"""The published figures: their stored verdicts come out again, and nothing on them overlaps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from sims import _protocol, log_vs_polynomial, width_vs_error
from slth import plot
from slth.stats.verdict import State, Verdict

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "sims" / "figures"


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict]]:
    names = ("width_vs_error", "log_vs_polynomial")
    return {name: _protocol.read_table(FIGURES / f"{name}.csv") for name in names}


@pytest.fixture(scope="module")
def found(rows) -> dict[str, _protocol.Findings]:  # type: ignore[no-untyped-def]
    return {
        "width_vs_error": width_vs_error.analyse(
            rows["width_vs_error"], "digits", width_vs_error.SEEDS
        ),
        "log_vs_polynomial": log_vs_polynomial.analyse(rows["log_vs_polynomial"]),
    }


def stored(name: str) -> dict:
    return json.loads((FIGURES / f"{name}.json").read_text("utf-8"))


@pytest.mark.parametrize("name", ["width_vs_error", "log_vs_polynomial"])
def test_the_stored_verdicts_follow_from_the_stored_table(name, found) -> None:  # type: ignore[no-untyped-def]
    again, kept = found[name].to_json(), stored(name)
    for part in ("verdicts", "controls"):
        assert {k: v["state"] for k, v in again[part].items()} == {
            k: v["state"] for k, v in kept[part].items()
        }
    for key, fit in kept["fits"].items():
        assert again["fits"][key]["gamma"] == pytest.approx(fit["gamma"], abs=1e-6)


@pytest.mark.parametrize("name", ["width_vs_error", "log_vs_polynomial"])
def test_the_stored_run_is_whole_and_its_controls_were_refuted(name, rows) -> None:  # type: ignore[no-untyped-def]
    kept = stored(name)
    assert len(kept["controls"]) >= 4
    assert all(c["caught"] and c["state"] == "refuted" for c in kept["controls"].values())
    assert {v["state"] for v in kept["verdicts"].values()} <= {str(s) for s in State}
    assert kept["provenance"]["slth"]
    cells = {
        "width_vs_error": lambda: width_vs_error.cells("digits", width_vs_error.SEEDS, False),
        "log_vs_polynomial": lambda: log_vs_polynomial.cells(False),
    }[name]()
    for cell, row in zip(cells, rows[name], strict=True):
        assert {k: row[k] for k in cell} == cell


def test_lower_never_exceeds_upper_and_certificates_are_tight(rows) -> None:  # type: ignore[no-untyped-def]
    measured = [r for r in rows["width_vs_error"] if not r["shuffled"]]
    assert all(r["lower"] <= r["upper"] <= r["claim"] for r in measured)
    assert np.median([r["upper"] / r["lower"] for r in measured if r["lower"] > 0]) < 2


def test_a_cell_of_the_table_is_what_its_seed_gives(rows) -> None:  # type: ignore[no-untyped-def]
    """One cheap cell of each construction, computed anew on this machine."""
    for kind, n in (("pensia", 16), ("malach", 316), ("malach-product", 100)):
        row = next(
            r
            for r in rows["width_vs_error"]
            if (r["target"], r["kind"], r["n"], r["seed"])
            == ("digits", kind, n, width_vs_error.FIRST_SEED)
        )
        again = width_vs_error.cell("digits", kind, n, width_vs_error.FIRST_SEED)
        for key in ("claim", "worst_weight", "typical_weight", "kept", "parameters", "hidden"):
            assert again[key] == row[key], key
        assert again["lower"] <= row["upper"]
        assert row["lower"] <= again["upper"]
        assert again["upper"] == pytest.approx(row["upper"], rel=1e-3)


def test_figures_have_labels_units_intervals_and_no_overlap(rows, found, tmp_path) -> None:  # type: ignore[no-untyped-def]
    titles = width_vs_error.TITLES.values()
    promised = [f"{title}, {word}" for title in titles for word in ("certified", "attacked")]
    fig = width_vs_error.figure(rows["width_vs_error"], "digits", found["width_vs_error"], tmp_path)
    assert plot.check(fig, promised) == []
    fig = log_vs_polynomial.figure(rows["log_vs_polynomial"], tmp_path)
    assert plot.check(fig, list(log_vs_polynomial.TITLES.values())) == []
    for name in ("width_vs_error", "log_vs_polynomial"):
        assert all((tmp_path / f"{name}.{kind}").stat().st_size for kind in plot.FORMATS)


def test_a_control_that_slips_through_fails_the_run(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    options = _protocol.Options(tmp_path, None, None, False, True)
    for state, fails in ((State.REFUTED, False), (State.SUPPORTED, True), (State.UNDECIDED, True)):
        control = _protocol.Control("something", Verdict(state, "why"))
        found = _protocol.Findings({}, {"planted": control}, {"x": float("inf")})
        if fails:
            with pytest.raises(SystemExit, match="planted"):
                _protocol.finish("demo", options, found)
        else:
            _protocol.finish("demo", options, found)
        assert json.loads((tmp_path / "demo.json").read_text())["x"] == "inf"


def test_exact_verdicts_can_refute() -> None:
    assert _protocol.exact("a ≤ b", 0, 5).state == State.SUPPORTED
    assert _protocol.exact("a ≤ b", 1, 5).state == State.REFUTED


def test_shuffled_masks_keep_the_density_and_the_sign_pattern() -> None:
    f = width_vs_error.target_of("digits")
    make = width_vs_error.construction("pensia")
    ticket = make.build(f, make.source_for(f, 3, 16))
    loose = width_vs_error.shuffle(ticket, 3)
    assert loose.kept_out == ticket.kept_out
    for layer, pair in enumerate(loose.kept):
        for half, kept in enumerate(pair):
            u = ticket.source.in_weights(layer, half)
            blocks = kept.gadgets // f.dims[layer + 1]
            assert ((u[blocks, kept.indices] > 0) == (half == 0)).all()


# -- what the width searches find, against plain scans -------------------------------------------


def test_needed_widths_are_the_first_that_suffice() -> None:
    from slth.source import Source

    weights, etas = np.array([[0.3, -0.2], [0.11, 0.05]]), np.array([0.2, 0.05, 0.02])
    endless = Source((2, 2), log_vs_polynomial.SCAN, False, 5)
    source = endless.with_n(1 << 18)
    for half in (0, 1):
        sign = 1 - 2 * half
        u, v = source.in_weights(0, half), source.out_weights(0, half)
        right = (sign * u > 0)[:, None, :]
        product = np.where(right, np.abs(v * u[:, None] - weights[:, :, None]), np.inf)
        pair = np.where(
            right,
            2
            * np.maximum(
                np.abs(u[:, None] - sign * np.abs(weights)[:, :, None]),
                np.abs(v - sign * np.sign(weights)[:, :, None]),
            ),
            np.inf,
        )
        for search, miss in ((log_vs_polynomial.product, product), (log_vs_polynomial.pair, pair)):
            expected = [1 + (miss <= eta).argmax(axis=2).max() for eta in etas]
            assert search(endless, half, weights, etas).tolist() == expected


def test_needed_subsets_exist_at_n_and_not_before() -> None:
    from slth.construct.pensia import usable
    from slth.source import Source
    from slth.subsetsum import Problem, Status
    from slth.subsetsum.exhaustive import Exhaustive

    weights, etas = np.array([[0.31]]), np.array([0.1, 0.01])
    for seed in range(5):
        source = Source((1, 1), 1 << 10, False, seed)
        for eta, n in zip(etas, log_vs_polynomial.subset(source, 0, weights, etas), strict=True):
            values = usable(source.in_weights(0, 0, 0, 64), 0)[0] * source.out_weights(0, 0, 0, 64)

            def solved(width: int, values=values, eta=eta) -> bool:  # type: ignore[no-untyped-def]
                row = values.ravel()[:width]
                found = Exhaustive()(Problem(np.append(row[row != 0][:20], 0.0), [0.31], eta))
                return bool(found.status[0] == Status.SOLVED)

            assert solved(int(n))
            assert not solved(int(n) - 1)


# -- the README ------------------------------------------------------------------------------------


def test_the_readmes_verdicts_are_the_stored_ones() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    shown = text.split("<!-- verdicts -->")[1].split("<!-- /verdicts -->")[0]
    assert shown.strip() == _protocol.markdown(stored("width_vs_error")).strip()


def test_the_readmes_python_runs_and_ends_in_its_own_postcondition() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        assert "assert" in block.strip().splitlines()[-1]
        exec(compile(block, "README.md", "exec"), {})

"""`slth bounds` as a user meets it: the table, its JSON, one theorem in full, and bad input."""

from __future__ import annotations

import json
import math
import shlex
from typing import Any

import pytest
from click.testing import CliRunner, Result

from slth import bounds
from slth.bounds import Kind, unit_class
from slth.cli import bounds as rows
from slth.cli import bounds_table as table
from slth.cli import main
from slth.needs import need

POINT = "--dims 4,3,2 --epsilon 0.3 --delta 0.1"
UNIFORM = ("random_subset_sum", "uniform-explicit")
TIGHT = "--dims 4,3,2 --epsilon 0.3 --delta 1e-9"


def run(command: str) -> Result:
    result = CliRunner().invoke(main, shlex.split(command))
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def facts(command: str) -> list[dict[str, Any]]:
    result = run(f"bounds {command} --json")
    assert result.exit_code == 0, result.output
    return list(json.loads(result.stdout, parse_constant=refuse))


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    return facts(POINT)


def pick(found: list[dict[str, Any]], name: str, variant: str = "") -> dict[str, Any]:
    (one,) = [e for e in found if (e["name"], e["variant"]) == (name, variant)]
    return one


# -- the list --------------------------------------------------------------------------------------


def test_every_variant_of_every_theorem_is_a_row(found: list[dict[str, Any]]) -> None:
    variants = {name: len(bounds.load(name).variants()) for name in bounds.bounds()}
    assert {name: sum(e["name"] == name for e in found) for name in variants} == variants
    assert len({(e["name"], e["variant"]) for e in found}) == len(found)
    wanted = {"name", "variant", "samples", "width", "weights", "provenance", "kind", "hypotheses"}
    wanted |= {"silent", "need", "need_kind", "slack"}
    assert all(wanted <= set(entry) for entry in found)


def test_rows_stand_in_order(found: list[dict[str, Any]]) -> None:
    groups = [rows.GROUPS.index(entry["group"]) for entry in found]
    assert groups == sorted(groups)
    assert set(groups) == set(range(5))
    for entry in found:
        if "memory" in entry["provenance"]:
            assert entry["group"] == "display"
        elif entry["kind"] == Kind.ASYMPTOTIC:
            assert entry["group"] == "rate"
    lower = {(e["name"], e["variant"]) for e in found if e["group"] == "lower"}
    assert lower == {
        ("counting", "network"), ("counting", "gadget"), ("first_moment", ""),
        ("fixed_size", "lower"), ("fixed_size", "packing"),
    }  # fmt: skip


def test_lower_bounds_are_those_that_say_so() -> None:
    target, said = unit_class(4, 4), 0
    for name in bounds.bounds():
        for bound in bounds.load(name).variants():
            size = bound.size(target, 0.05, 0.1)
            if size is not None and not size.display:
                group = rows.group_of(bound)
                assert group == (rows.LOWER if size.least else rows.EXPLICIT), name
                said += 1
    assert said > 12


def test_a_rate_is_never_a_number_of_samples(found: list[dict[str, Any]]) -> None:
    rates = [entry for entry in found if entry["kind"] == Kind.ASYMPTOTIC]
    assert len(rates) > 8
    for entry in rates:
        assert entry["samples"] is entry["width"] is entry["weights"] is entry["slack"] is None
    assert pick(found, "lueker")["rate"] == pytest.approx(math.log2(2 / 0.1))
    assert "C · 4.32" in run(f"bounds {POINT}").output


def test_the_numbers_are_the_theorems(found: list[dict[str, Any]]) -> None:
    target = unit_class(4, 3, 2, entries="malach")
    for name in ("pensia", "malach", "orseau", "depth_plus_one"):
        for theorem, variant, bound in rows.variants(name):
            size, entry = bound.size(target, 0.3, 0.1), pick(found, theorem, variant)
            if size is None or size.samples is None or size.widths is None:
                assert entry["samples"] is None
                continue
            assert entry["samples"] == max(size.samples)
            assert (entry["width"], entry["weights"]) == (max(size.widths), size.weights)


def test_slack_is_the_ratio_to_the_need(found: list[dict[str, Any]]) -> None:
    uniform = pick(found, *UNIFORM)
    between = need("uniform-one", 0.3, 0.1)
    assert (uniform["need_least"], uniform["need"]) == between.between
    assert uniform["need_least"] < uniform["need"] == math.ceil(between.n)
    assert (uniform["need_low"], uniform["need_high"]) == (between.low, between.high)
    assert uniform["need_kind"] == "interpolated"
    assert uniform["slack"] == uniform["samples"] / uniform["need"]  # no larger than it is
    counting = pick(found, "counting", "gadget")
    least = need("uniform", 0.3, 0.1).least
    assert (counting["need_least"], counting["need_low"]) == (least, need("uniform", 0.3, 0.1).low)
    assert counting["slack"] == least / math.ceil(counting["samples"])
    assert pick(found, "pensia", "explicit")["need_kind"] == "interpolated"
    grid = pick(facts("--dims 4,3,2 --epsilon 0.25 --delta 0.1"), *UNIFORM)
    assert (grid["need_kind"], grid["need"]) == ("measured", need("uniform-one", 0.25, 0.1).n)
    assert grid["need_least"] == grid["need"]
    assert grid["slack"] == grid["samples"] / grid["need"]
    assert pick(facts(f"pensia {TIGHT}"), "pensia", "explicit")["need_kind"] == "extrapolated"
    own = pick(found, "malach", "product")  # its need is the bound itself
    assert (own["need_kind"], own["slack"]) == ("computed", None)
    assert own["need"] == pytest.approx(own["samples"], rel=1e-6)
    factors = pick(found, "malach", "factors")
    assert factors["slack"] == math.ceil(factors["samples"]) / factors["need"]
    slacks = [e["slack"] for e in found if e["slack"] is not None]
    assert len(slacks) >= 8
    assert min(slacks) >= 1


def test_a_theorem_outside_its_domain_is_silent_with_its_reason(
    found: list[dict[str, Any]],
) -> None:
    attention = pick(found, "attention", "keys")
    assert attention["hypotheses"] == attention["silent"] != []
    assert attention["value"] == []  # it is about other networks: no number
    lower = pick(found, "fixed_size", "lower")
    assert any("(0, 0.0625)" in sentence for sentence in lower["silent"])
    assert lower["weights"] is None
    assert pick(found, "pensia", "explicit")["silent"] == []
    heads = facts("attention --dims 4,4 --heads 2 --epsilon 0.01 --delta 0.1")
    assert pick(heads, "attention", "keys")["silent"] == []
    taps = facts("convolution --dims 3,4 --kernels 3 --epsilon 0.3 --delta 0.1")
    assert pick(taps, "convolution", "derived")["samples"] > 0


def test_a_network_gives_its_class() -> None:
    found = facts("malach --model digits-untouched --epsilon 0.9 --delta 0.9")
    explicit = pick(found, "malach", "factors")
    assert any("biases" in sentence for sentence in explicit["hypotheses"])
    assert explicit["samples"] > 0  # what the formula gives all the same
    assert explicit["need"] is explicit["slack"] is None
    tame = facts("malach --model digits --epsilon 0.4 --delta 0.9 --ball 0.5")
    assert pick(tame, "malach", "factors")["silent"] == []


# -- what is printed -------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [60, 80, 100, 120])
def test_the_table_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = run(f"bounds {POINT}").output.splitlines()
    assert max(map(len, lines)) <= max(columns, table.LEAST)
    text = "\n".join(lines)
    assert "✓" in text
    assert "✗" in text
    assert "…" not in text  # nothing is cut off
    for title in table.TITLES:
        assert title[:40] in text
    for word in ("slack", "need", "holds", "theorem"):
        assert any(word in line.split() for line in lines)
    for name in bounds.bounds():
        assert any(line.startswith(name.replace("_", "-")) for line in lines)
    for entry in facts(POINT):  # no name breaks inside a word
        assert (
            not entry["variant"]
            or f":{entry['variant']} " in text
            or any(line.startswith(f"  {entry['variant']} ") for line in lines)
        )
    for note in table.LEGEND:
        assert " ".join(note.split()) in " ".join(text.split())


def test_what_epsilon_is_stands_beside_a_theorem() -> None:
    """Every statement's ε is a network's error, or its row is marked."""
    for entry in facts(POINT):
        (bound,) = [b for n, v, b in rows.variants() if (n, v) == (entry["name"], entry["variant"])]
        assert entry["epsilon_is"] == bound.statement.epsilon
        whole = entry["epsilon_is"].startswith(("error of", "largest pixel error"))
        assert whole != (entry["epsilon_is"] in table.EPSILON)
        assert (entry["epsilon_is"] == "tolerance per weight") == (
            "ε per weight" in table.key(entry, "", 80)
        )
    assert pick(facts(POINT), *UNIFORM)["epsilon_is"] == "tolerance per weight"


def test_needs_are_shown_as_what_they_are() -> None:
    def text(kind: str, least: float, most: float, low: float | None = 15.0) -> str:
        high = None if low is None else 18.0
        entry = {"need": most, "need_least": least, "need_low": low, "need_high": high}
        return table.need_text({**entry, "need_kind": kind})

    assert text("measured", 17, 17) == "17 [15, 18]"
    assert text("interpolated", 16, 17) == "16–17 interp. [15, 18]"
    assert text("interpolated", 17, 17) == "17 interp. [15, 18]"
    assert text("extrapolated", 17, 17, None) == "≈17 extrap."
    assert text("computed", 1e6, 1e6) == "1.0e6 computed"


def test_a_silent_theorem_by_name_is_answered_as_silent() -> None:
    """Only ε outside the limits is refused; hypotheses do not hold beside reasons of silence."""
    result = run("bounds pensia:explicit --dims 4,4 --entries one --epsilon 0.3 --delta 0.1")
    assert result.exit_code == 0
    assert "hypotheses" in result.output
    result = run("bounds fixed-size:lower --dims 5,4 --epsilon 0.03 --delta 0.1")
    assert result.exit_code == 0
    assert "silent" in result.output
    assert "hypotheses" not in result.output
    assert "hold" not in result.output
    shown = " ".join(run("bounds --help").output.split())
    assert "only an ε outside its formula's limits is refused" in shown


def test_no_digit_is_cut_off_at_extremes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    point = "--dims 1000000000,1000000000 --epsilon 1e-90 --delta 1e-190"
    text = run(f"bounds {point}").output
    assert "…" not in text
    for entry in facts(point):
        if entry["group"] in ("explicit", "lower"):
            for part in ("samples", "width", "weights", "need"):
                assert entry[part] is None or f"{table.number(entry[part])} " in text


def test_numbers_are_short() -> None:
    assert table.number(None) == "–"
    assert table.number(98.0) == "98"
    assert table.number(7.64) == "8"  # a number of values is rounded up
    assert table.number(3.14e12) == "3.1e12"
    assert table.number(1.0e203) == "1.0e203"
    assert table.number(0.0) == "0"
    assert [table.decimal(n) for n in (2.0, 3.386, 741.2, 2.9e5)] == [
        "2.00", "3.39", "741.20", "2.9e5",
    ]  # fmt: skip


def test_a_theorem_by_name_is_shown_in_full() -> None:
    output = run("bounds fixed-size:packing --dims 8,8 --epsilon 0.03 --delta 0.1").output
    flat = " ".join(output.replace("│", " ").split())
    for words in ("Natale", "derived here", "statement", "formula", "binom", "hypotheses", "hold"):
        assert words in flat
    (entry,) = facts("fixed-size:packing --dims 8,8 --epsilon 0.03 --delta 0.1")
    assert entry["citation"].startswith("E. Natale")
    assert entry["formula"]
    assert entry["statement"]


def test_the_example_of_its_help_is_one() -> None:
    shown = run("bounds --help").output
    assert "slth bounds --dims 784,500,10 --epsilon 0.01 --delta 0.01" in " ".join(shown.split())


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--dims 4 --epsilon 0.1 --delta 0.1", ("--dims", "784,500,10")),
        ("--dims 4,x --epsilon 0.1 --delta 0.1", ("4,x", "whole numbers")),
        ("--dims 4,2.5 --epsilon 0.1 --delta 0.1", ("4,2.5", "whole numbers")),
        ("--dims 4,0 --epsilon 0.1 --delta 0.1", ("4,0", "from 1")),
        ("--dims 4,-3 --epsilon 0.1 --delta 0.1", ("4,-3", "from 1")),
        ("--dims 4,9999999999999 --epsilon 0.1 --delta 0.1", ("1e+09",)),
        (f"--dims {'5,' * 1001}5 --epsilon 0.1 --delta 0.1", ("at most 1001",)),
        ("--dims 4,4 --epsilon 0 --delta 0.1", ("--epsilon", "larger")),
        ("--dims 4,4 --epsilon -1 --delta 0.1", ("--epsilon", "larger")),
        ("--dims 4,4 --epsilon 1 --delta 0.1", ("--epsilon", "zero network", "smaller")),
        ("--dims 4,4 --epsilon inf --delta 0.1", ("--epsilon", "inf", "not a finite number")),
        ("--dims 4,4 --epsilon nan --delta 0.1", ("--epsilon", "nan", "not a finite number")),
        ("--dims 4,4 --epsilon x --delta 0.1", ("--epsilon",)),
        ("--dims 4,4 --epsilon 0.1 --delta 0", ("--delta", "0.01")),
        ("--dims 4,4 --epsilon 0.1 --delta 1", ("--delta", "0.01")),
        ("--dims 4,4 --epsilon 0.1 --delta nan", ("--delta",)),
        ("--dims 4,4 --epsilon 0.1", ("--delta",)),
        ("--epsilon 0.1 --delta 0.1", ("--dims or --model",)),
        ("--dims 4,4 --model digits --epsilon 0.1 --delta 0.1", ("--dims or --model",)),
        ("--dims 4,4 --ball 2 --epsilon 0.1 --delta 0.1", ("--ball", "--model")),
        ("--model digits --heads 2 --epsilon 0.1 --delta 0.1", ("--heads", "--dims")),
        ("--model no-such-file --epsilon 0.1 --delta 0.1", ("no-such-file",)),
        ("--dims 4,4 --kernels 3,3 --epsilon 0.1 --delta 0.1", ("kernels", "one a layer")),
        ("--dims 4,4 --kernels 3 --heads 2 --epsilon 0.1 --delta 0.1", ("heads",)),
        ("nonsense --dims 4,4 --epsilon 0.1 --delta 0.1", ("nonsense", "fixed-size")),
        ("malach:x --dims 4,4 --epsilon 0.1 --delta 0.1", ("malach:x", "malach:factors")),
        # Natale's lower bound needs ε < 1/16
        ("fixed-size --dims 4,4 --epsilon 0.5 --delta 0.1", ("fixed-size:lower", "0.0625")),
        ("fixed-size:lower --dims 4,4 --epsilon 0.0625 --delta 0.1", ("0.0625", "smaller")),
    ],
)
def test_nonsense_is_one_line_and_status_2(arguments: str, words: tuple[str, ...]) -> None:
    result = run(f"bounds {arguments}")
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    "point",
    [
        "--dims 1000000000,1000000000 --epsilon 1e-90 --delta 1e-190",
        f"--dims {'5,' * 6}5 --epsilon 1e-100 --delta 1e-50",
    ],
)
def test_extremes_are_answered(point: str) -> None:
    """The widest, deepest and tightest input: numbers or reasons, never an exception."""
    for entry in facts(point):
        numbers = [entry["samples"], entry["weights"], entry["rate"], *entry["value"]]
        assert any(n is not None for n in numbers) or entry["silent"]
        assert all(n not in ("nan", "inf") for n in numbers)

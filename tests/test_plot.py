"""check() against planted faults and a good figure; saved files byte by byte."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from slth import plot
from slth.errors import BadInput

X = np.array([10.0, 20.0, 30.0, 40.0])
MID = np.array([1e-1, 1e-2, 1e-3, 1e-4])


def good(wide=True):
    fig, axes = plot.figure(1, 2, wide=wide)
    for ax in axes:
        plot.band(ax, X, MID / 2, MID, MID * 2, "logarithmic")
        plot.band(ax, X, MID, MID * 3, MID * 9, "polynomial", series=1, bars=True)
        plot.curve(ax, X, MID / 10, "counting bound", series=2)
        plot.log_scale(ax, "y")
        ax.set_xlabel("neurons per half n [1]")
        ax.set_ylabel("certified error / sup‖f‖ [1]")
        plot.title(ax, "64-128-10")
    plot.legend(axes[0], loc="upper right")
    return fig, axes


def test_a_good_figure_passes():
    fig, _ = good()
    assert plot.check(fig, promised=("logarithmic", "polynomial")) == []


def no_label(fig, axes):
    axes[0].set_xlabel("")


def no_unit(fig, axes):
    axes[1].set_ylabel("certified error")


def bracket_that_is_no_unit(fig, axes):
    axes[1].set_ylabel("error on [0, 1] of f")


def unit_without_a_name(fig, axes):
    axes[1].set_ylabel("[neurons]")


def bare_series(fig, axes):
    axes[0].plot(X, MID * 5, label="measured", color="red")


def bare_points(fig, axes):
    axes[0].plot(X, MID * 5, "o", label="measured", color="red")


def hidden_interval(fig, axes):
    next(c for c in axes[0].collections if c.get_gid() == "interval:logarithmic").set_visible(False)


def look_alike(fig, axes):
    plot.curve(axes[0], X, MID * 3, "another bound", series=2)


def overlap(fig, axes):
    axes[0].text(20, 1e-2, "first words")
    axes[0].text(21, 1e-2, "second words")


def overlap_of_annotations(fig, axes):
    for word in ("here", "there"):
        axes[1].annotate(word, (20, 1e-2), xytext=(30, 1e-2), arrowprops={"arrowstyle": "->"})


def overlap_with_the_legend(fig, axes):
    box = axes[0].get_legend().get_texts()[1].get_window_extent()
    axes[0].text(*axes[0].transData.inverted().transform(box.p0), "on top")


def crowded_ticks(fig, axes):
    axes[0].set_xticks(np.linspace(10, 40, 40), [f"{v:.3f}" for v in np.linspace(10, 40, 40)])


def crowded_log_ticks(fig, axes):
    axes[0].set_xscale("log")
    axes[0].set_xlim(0.3, 0.03)


def title_off_canvas(fig, axes):
    axes[0].set_title("a title much longer than the panel that it stands on, " * 3)


def text_off_canvas(fig, axes):
    fig.text(0.99, 0.5, "leaves on the right")


def empty_panel(fig, axes):
    axes[1].clear()
    axes[1].set_xlabel("n [1]")
    axes[1].set_ylabel("error [1]")


FAULTS = {
    no_label: "the x axis has no label",
    no_unit: "is not a name and a [unit]",
    bracket_that_is_no_unit: "is not a name and a [unit]",
    unit_without_a_name: "is not a name and a [unit]",
    bare_series: "'measured' has no interval",
    bare_points: "'measured' has no interval",
    hidden_interval: "'logarithmic' has no interval",
    look_alike: "look alike",
    overlap: "'first words' and 'second words' overlap",
    overlap_of_annotations: "overlap",
    overlap_with_the_legend: "'on top'",
    crowded_ticks: "overlap",
    crowded_log_ticks: "overlap",
    title_off_canvas: "leaves the canvas",
    text_off_canvas: "leaves the canvas",
    empty_panel: "panel 2 is empty",
}


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_every_planted_fault_is_named(plant):
    fig, axes = good()
    fig.draw_without_rendering()
    plant(fig, axes)
    problems = plot.check(fig)
    assert any(FAULTS[plant] in problem for problem in problems), problems


def test_a_promise_without_its_interval_is_named():
    fig, _ = good()
    assert plot.check(fig, promised=("Pensia",)) == [
        "'Pensia' is promised an interval and has none"
    ]


def test_what_is_not_drawn_is_not_held_against_the_figure():
    fig, axes = good()
    axes[0].annotate("outside", (1e6, 1e-2))
    axes[0].text(20, 1e-2, "hidden").set_visible(False)
    axes[0].text(20, 1e-2, "shown")
    axes[1].plot(X, MID, label="_unlabelled guide", color="0.5")
    assert plot.check(fig) == []
    axes[1].set_visible(False)
    axes[1].set_xlabel("")
    assert plot.check(fig) == []


def test_arrows_may_cross_texts():
    fig, axes = good()
    axes[0].text(30, 2e-1, "between")
    axes[0].annotate("far", (38, 2e-1), xytext=(15, 2e-5), arrowprops={"arrowstyle": "->"})
    assert not [problem for problem in plot.check(fig) if "far" in problem]


def test_shared_axes_need_one_label():
    fig, axes = plot.figure(2, 1, sharex=True)
    for ax in axes:
        plot.band(ax, X, MID, MID, MID, "s")
        ax.set_ylabel("error [1]")
    axes[1].set_xlabel("n [1]")
    assert plot.check(fig) == []


@pytest.mark.parametrize("limits", [(0.3, 0.03), (1540, 2050), (3e-3, 0.4), (1, 1e8), (1e-9, 4e-9)])
def test_log_scale_writes_numbers_without_overlap_at_every_span(limits):
    fig, axes = plot.figure(1, 3, wide=True)
    for ax in axes:
        plot.curve(ax, limits, limits, "diagonal")
        plot.log_scale(ax)
        ax.set(xlim=limits, ylim=limits, xlabel="n [1]", ylabel="error [1]")
    assert plot.check(fig) == []
    for axis in (axes[0].xaxis, axes[0].yaxis):
        written = [label.get_text() for label in plot._tick_labels(axis) if label.get_text()]
        assert len(written) >= 2, written


@pytest.mark.parametrize("bars", [False, True])
def test_band_draws_the_interval_it_was_given(bars):
    _, (ax,) = plot.figure()
    low, high = MID / 3, MID * 2
    low[2] = np.nan
    plot.band(ax, X, low, MID, high, "measured", series=3, bars=bars)
    (artist,) = [a for a in ax.collections if a.get_gid() == "interval:measured"]
    if bars:
        ends = [np.reshape(segment, (-1, 2))[:, 1] for segment in artist.get_segments()]
        np.testing.assert_allclose(ends[0], [low[0], high[0]])
    else:
        corners = np.concatenate([path.vertices for path in artist.get_paths()])
        for value in (low[0], low[3], high[1]):
            assert np.isclose(corners[:, 1], value, rtol=1e-12).any()
    (line,) = [a for a in ax.lines if a.get_gid() == "series:measured"]
    np.testing.assert_array_equal(line.get_ydata(), MID)


BAD = {
    "crossed below": lambda ax: plot.band(ax, X, MID * 2, MID, MID * 3, "s"),
    "crossed above": lambda ax: plot.band(ax, X, MID, MID, MID / 2, "s"),
    "lengths": lambda ax: plot.band(ax, X[:2], MID, MID, MID, "s"),
    "no label": lambda ax: plot.band(ax, X, MID, MID, MID, ""),
    "nothing measured": lambda ax: plot.band(ax, X, MID * np.nan, MID, MID, "s"),
    "too many series": lambda ax: plot.curve(ax, X, MID, "s", series=7),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_bands_are_refused(name):
    _, (ax,) = plot.figure()
    with pytest.raises(BadInput):
        BAD[name](ax)
    assert not ax.has_data()


def contrast(first, second):
    """Largest difference of two colours' channels as a person without red or green cones sees."""
    # Machado et al. (2009), severity 1.0, in linear RGB
    matrices = {
        "protan": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0519]],
        "deutan": [[0.3673, 0.8607, -0.2279], [0.2801, 0.6727, 0.0472], [-0.0118, 0.0429, 0.9689]],
    }
    linear = [np.array(mpl.colors.to_rgb(c)) ** 2.2 for c in (first, second)]
    return min(
        np.abs(
            np.clip(m @ linear[0], 0, 1) ** 0.4545 - np.clip(m @ linear[1], 0, 1) ** 0.4545
        ).max()
        for m in map(np.array, matrices.values())
    )


def test_colours_stay_apart_for_the_colour_blind_and_looks_are_distinct():
    assert contrast("#FF0000", "#7F7F00") < 0.15 < contrast("#FF0000", "#0000FF")
    colours = plot.COLOURS
    for i, first in enumerate(colours):
        for second in colours[:i]:
            assert contrast(first, second) > 0.15, (first, second)
    for looks in (plot.COLOURS, plot.MARKERS, plot.LINES):
        assert len(set(looks)) == len(looks) == 7


def test_saving_twice_gives_the_same_bytes_and_leaves_nothing_else(tmp_path):
    first = plot.save(good()[0], tmp_path / "new" / "width.v1")
    second = plot.save(good()[0], tmp_path / "again" / "width.v1")
    assert [path.name for path in first] == ["width.v1.svg", "width.v1.png", "width.v1.pdf"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.suffix
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(p.name for p in first)
    assert first[1].read_bytes()[:4] == b"\x89PNG"
    assert first[2].read_bytes()[:4] == b"%PDF"


@pytest.mark.slow
def test_saved_bytes_do_not_depend_on_the_process(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_plot; from slth import plot; "
        "plot.save(test_plot.good()[0], sys.argv[2])"
    )
    digests = []
    for seed in ("1", "2"):
        stem = tmp_path / seed / "figure"
        environment = os.environ | {"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": "0"}
        command = [sys.executable, "-c", code, os.path.dirname(__file__), str(stem)]
        subprocess.run(command, check=True, env=environment)
        files = sorted(stem.parent.iterdir())
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert digests[0] == digests[1]


def test_a_failed_save_leaves_the_old_figure_whole(tmp_path, monkeypatch):
    fig, _ = good()
    paths = plot.save(fig, tmp_path / "figure")
    before = [path.read_bytes() for path in paths]
    given = fig.savefig

    def full_disk(path, **options):
        if options["format"] == "pdf":
            raise OSError(28, "No space left on device")
        given(path, **options)

    monkeypatch.setattr(fig, "savefig", full_disk)
    with pytest.raises(BadInput, match="No space left"):
        plot.save(fig, tmp_path / "figure")
    assert [path.read_bytes() for path in paths] == before
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="choose another folder"):
        plot.save(good()[0], tmp_path / "file" / "figure")


def test_nothing_global_changes():
    before = dict(mpl.rcParams)
    fig, _ = good()
    plot.check(fig)
    assert dict(mpl.rcParams) == before
    code = "import sys, slth.plot; assert 'matplotlib' not in sys.modules; slth.plot.figure(); "
    code += "assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

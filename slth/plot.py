"""The figure style: what prints, what the colour-blind can read, and a check that a test can run.

Axis labels end in their unit in square brackets, `[1]` for a pure number. A measured series is
drawn by `band`, with its interval; a formula or an exact count by `curve`, without one.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from slth.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

# Okabe and Ito's colours without the yellow, which vanishes on paper; the order puts those first
# that differ in lightness too, so that three series survive a grey printer.
COLOURS = ("#0072B2", "#D55E00", "#000000", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
ONE_COLUMN, TWO_COLUMNS = 3.4, 7.0  # inches
FONT, SMALL = 8.0, 7.0  # points
FORMATS = ("svg", "png", "pdf")

_NAME_AND_UNIT = re.compile(r"[^\s\[].*\[[^\[\]]+\]\s*$")
_METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def figure(
    rows: int = 1,
    columns: int = 1,
    *,
    wide: bool = False,
    height: float | None = None,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """An empty figure one column wide (or two, if wide) and its axes row by row.

    height: inches, else 0.72 of a panel's width a row. Nothing global changes: no pyplot, no
    rcParams.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = TWO_COLUMNS if wide else ONE_COLUMN
    tall = height if height is not None else 0.72 * rows * width / columns
    fig = Figure(figsize=(width, tall), dpi=200, layout="constrained")
    FigureCanvasAgg(fig)
    panels = fig.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey)
    axes: list[Axes] = list(panels.flat)
    for ax in axes:
        ax.tick_params(which="both", labelsize=SMALL)
        for text in (ax.xaxis.label, ax.yaxis.label):
            text.set_fontsize(FONT)
        ax.grid(True, color="0.9", linewidth=0.5)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    return fig, axes


def style(series: int) -> dict[str, Any]:
    """Colour, marker and line of the series-th series: each alone tells it from the others."""
    if not 0 <= series < len(COLOURS):
        allowed = f"0 to {len(COLOURS) - 1}"
        raise BadInput("series", series, allowed, "split the figure into panels")
    return {"color": COLOURS[series], "marker": MARKERS[series], "linestyle": LINES[series]}


def band(
    ax: Axes,
    x: ArrayLike,
    low: ArrayLike,
    mid: ArrayLike,
    high: ArrayLike,
    label: str,
    *,
    series: int = 0,
    bars: bool = False,
) -> None:
    """Draw a measured series with its interval, as a filled band or as error bars.

    x, low, mid, high: `[n]`, NaN where nothing was measured; raises BadInput unless
    low <= mid <= high elsewhere. The interval's gid is `interval:LABEL`, the line's `series:LABEL`.
    """
    columns = [np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (x, low, mid, high)]
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1 or not label:
        got = f"{label!r}: {[column.shape for column in columns]}"
        raise BadInput("band", got, "a label and four vectors of one length", "pass [n] each")
    at, lower, middle, upper = columns
    measured = ~np.isnan(np.stack(columns)).any(axis=0)
    if not measured.any() or not (lower <= middle)[measured].all():
        raise BadInput("low", lower[:3], "measured, at most mid", "pass (low, mid, high) in order")
    if not (middle <= upper)[measured].all():
        raise BadInput("high", upper[:3], "at least mid", "pass (low, mid, high) in order")
    looks = style(series)
    (line,) = ax.plot(at, middle, label=label, markersize=3.5, linewidth=1.2, zorder=3, **looks)
    line.set_gid(f"series:{label}")
    if bars:
        spread = np.stack([middle - lower, upper - middle])
        drawn = ax.errorbar(
            at, middle, spread, fmt="none", ecolor=looks["color"], capsize=2, elinewidth=1.0
        )
        drawn[2][0].set_gid(f"interval:{label}")
    else:
        filled = ax.fill_between(at, lower, upper, color=looks["color"], alpha=0.2, linewidth=0)
        filled.set_gid(f"interval:{label}")


def curve(
    ax: Axes, x: ArrayLike, y: ArrayLike, label: str, *, series: int = 0, marked: bool = False
) -> None:
    """Draw what has no sampling error: a formula, a bound, an exact count; gid `curve:LABEL`."""
    looks = style(series) | ({} if marked else {"marker": "None"})
    (line,) = ax.plot(x, y, label=label, markersize=3.5, linewidth=1.0, **looks)
    line.set_gid(f"curve:{label}")


def title(ax: Axes, text: str) -> None:
    """A panel's title in the style's size, which `set_title` alone would take from rcParams."""
    ax.set_title(text, fontsize=FONT)


def log_scale(ax: Axes, which: str = "both") -> None:
    """A logarithmic x, y or both, with numbers at the marks that have room for them.

    Matplotlib alone writes 2 × 10⁻¹, 3 × 10⁻¹, … over one another on an axis of about a decade.
    """
    from matplotlib.ticker import FuncFormatter, LogFormatterMathtext

    if which not in ("x", "y", "both"):
        raise BadInput("which", which, "x, y or both", "name the axis")
    for axis in (ax.xaxis, ax.yaxis):
        if which in (axis.axis_name, "both"):
            axis.axes.set(**{f"{axis.axis_name}scale": "log"})
            powers = LogFormatterMathtext()
            powers.set_axis(axis)
            write = FuncFormatter(partial(_log_label, axis, powers))
            axis.set_major_formatter(write)
            axis.set_minor_formatter(write)


def _log_label(axis: Axis, powers: Any, value: float, position: int | None) -> str:
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low) if low > 0 else math.inf
    leading = float(f"{value:.3e}".split("e")[0])
    if decades > 2.5:
        return str(powers(value)) if leading == 1 else ""
    allowed = (1, 3) if decades > 1.2 else (1, 2, 5)
    return f"{value:g}" if decades < 0.5 or leading in allowed else ""


def legend(ax: Axes, *, outside: bool = False, **where: Any) -> Legend:
    """The legend in the style's size; outside puts it above the axes, clear of the data."""
    if outside:
        where = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.02), "borderaxespad": 0.0} | where
    return ax.legend(fontsize=SMALL, frameon=False, handlelength=2.6, **where)


def save(fig: Figure, stem: str | Path) -> list[Path]:
    """Write STEM.svg, .png and .pdf, the same bytes for the same figure, all or none.

    The panels are laid out once: each format alone would take as long again over its own layout.
    Raises BadInput when the folder cannot be made or written.
    """
    from matplotlib import rc_context

    stem = Path(stem)
    targets = [stem.with_name(f"{stem.name}.{kind}") for kind in FORMATS]
    fixed = {"svg.hashsalt": "slth", "svg.fonttype": "path", "pdf.fonttype": 42}
    layout = fig.get_layout_engine()
    fig.draw_without_rendering()
    fig.set_layout_engine("none")
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=stem.parent, prefix=".figure-") as folder,
            (
                rc_context(fixed)  # type: ignore[arg-type]
            ),
        ):
            drafts = [Path(folder) / target.name for target in targets]
            for kind, draft in zip(FORMATS, drafts, strict=True):
                fig.savefig(draft, format=kind, metadata=_METADATA[kind])
            for draft, target in zip(drafts, targets, strict=True):
                os.replace(draft, target)
    except OSError as error:
        got = f"{stem.parent}: {error.strerror or error}"
        raise BadInput(
            "out", got, "a folder that can be written", "choose another folder"
        ) from None
    finally:
        fig.set_layout_engine(layout)
    return targets


def check(fig: Figure, promised: Sequence[str] = ()) -> list[str]:
    """What is wrong with a figure, one sentence each; empty when nothing is.

    Every axis that shows numbers has a label with a unit; every labelled line that `curve` did not
    draw, and every label in promised, has an interval; no two labelled lines of a panel look alike;
    no two texts overlap (by the rectangles around them as rendered) and none leaves the canvas.
    """
    fig.draw_without_rendering()
    problems = [problem for ax in fig.axes if ax.get_visible() for problem in _axes_problems(ax)]
    shown = {gid for ax in fig.axes for gid in _gids(ax)}
    problems += [
        f"{label!r} is promised an interval and has none"
        for label in promised
        if f"interval:{label}" not in shown
    ]
    return problems + list(_text_problems(fig))


def _axes_problems(ax: Axes) -> Iterator[str]:
    where = f"panel {ax.figure.axes.index(ax) + 1}"
    if ax.axison:
        if not ax.has_data():
            yield f"{where} is empty"
        for axis in (ax.xaxis, ax.yaxis):
            text = axis.get_label_text().strip()
            if not any(label.get_text() for label in _tick_labels(axis)):
                continue
            if not text or not axis.label.get_visible():
                yield f"{where}: the {axis.axis_name} axis has no label"
            elif not _NAME_AND_UNIT.match(text):
                yield f"{where}: the {axis.axis_name} label {text!r} is not a name and a [unit]"
    gids = _gids(ax)
    looks: dict[tuple[object, ...], str] = {}
    for line in ax.lines:
        label = str(line.get_label())
        if label.startswith("_") or not line.get_visible():
            continue
        if not str(line.get_gid()).startswith("curve:") and f"interval:{label}" not in gids:
            yield f"{where}: the series {label!r} has no interval"
        look = (line.get_color(), line.get_marker(), line.get_linestyle())
        if look in looks:
            yield f"{where}: {looks[look]!r} and {label!r} look alike"
        looks[look] = label


def _text_problems(fig: Figure) -> Iterator[str]:
    """Overlaps and overflows of every text as drawn; half a pixel of touch is forgiven."""
    canvas = fig.bbox.padded(1.0)
    boxes = list(_drawn_texts(fig))
    for name, box in boxes:
        if box.x0 < canvas.x0 or box.y0 < canvas.y0 or box.x1 > canvas.x1 or box.y1 > canvas.y1:
            yield f"the text {name!r} leaves the canvas"
    for (first, a), (second, b) in itertools.combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        along = min(a.y1, b.y1) - max(a.y0, b.y0)
        if across > 0.5 and along > 0.5:
            yield f"the texts {first!r} and {second!r} overlap"


def _drawn_texts(fig: Figure) -> Iterator[tuple[str, Bbox]]:
    from matplotlib.text import Annotation, Text

    renderer = fig.canvas.get_renderer()  # type: ignore[attr-defined]
    apart: set[int] = set()
    texts: list[Text] = []
    for ax in fig.axes:
        framed = ax.get_visible() and ax.axison
        if not ax.get_visible():
            apart.update(id(text) for text in ax.findobj(Text))
        for axis in (ax.xaxis, ax.yaxis):
            # findobj also hands out the labels of ticks beyond the limits, which are never drawn
            apart.update(id(text) for text in axis.findobj(Text))
            if framed and axis.get_visible():
                texts += [*_tick_labels(axis), axis.label, axis.get_offset_text()]
    texts += [text for text in fig.findobj(Text) if id(text) not in apart]
    for text in texts:
        name = " ".join(text.get_text().split())
        if not name or not text.get_visible():
            continue
        if isinstance(text, Annotation) and text.get_window_extent(renderer).bounds == (0, 0, 1, 1):
            continue  # its point lies outside the axes, so it is not drawn
        yield name, Text.get_window_extent(text, renderer)  # an annotation's own includes its arrow


def _tick_labels(axis: Axis) -> list[Text]:
    place = axis.get_transform().transform  # on a log axis, distances are of logarithms
    low, high = place(np.array(sorted(axis.get_view_interval())))
    edge = 1e-9 * (high - low)
    labels = []
    for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
        at = place(np.array([tick.get_loc()]))[0]
        if tick.get_visible() and low - edge <= at <= high + edge:
            labels += [text for text in (tick.label1, tick.label2) if text.get_visible()]
    return labels


def _gids(ax: Axes) -> set[str]:
    return {str(artist.get_gid()) for artist in ax.findobj() if artist.get_visible()}

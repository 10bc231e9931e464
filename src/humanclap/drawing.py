"""Figures for a paper as SVG and PDF, by matplotlib; the same input gives the same bytes.

Text in SVG is drawn as outlines and in PDF embedded as TrueType, so that both look alike
everywhere. Colours are Okabe and Ito's, which colour-blind readers tell apart.
"""

from __future__ import annotations

import io
import logging
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from humanclap.errors import InputError
from humanclap.extras import require
from humanclap.files import atomic_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

FORMATS = ("svg", "pdf")
BLUE, ORANGE, GREEN, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#767676", "#000000"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")
_SHAPES = "os^Dv<"
"""Of points; with the colours they tell 36 groups apart."""
_LEGEND = 4
"""Groups in one line of a legend."""
WIDTH = 6.4
"""Inches; text is 9 points high there, and 5 where a figure fills one column of two."""
_LABEL = 28
"""Characters of a label in one line."""
_TITLE = 50
"""Characters of an axis' title in one line."""
_STYLE: dict[str, Any] = {
    "svg.hashsalt": "humanclap",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "text.parse_math": False,
    "font.family": [
        "DejaVu Sans",
        "Noto Sans CJK JP",
        "Hiragino Sans",
        "Microsoft YaHei",
        "Malgun Gothic",
        "Arial Unicode MS",
        "sans-serif",
    ],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
}
Draw = Callable[["Figure"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A row of a forest plot. low, high: NaN without an interval; limit: a dashed mark, NaN for
    none; colour: of point and interval; said: the figures in words, where they are not value and
    interval (pages only).
    """

    label: str
    value: float
    low: float = nan
    high: float = nan
    limit: float = nan
    colour: str = BLUE
    said: str = ""


def check_folder(folder: Path) -> None:
    """Raise InputError where figures cannot be put there, MissingExtraError without matplotlib."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; --figures takes a folder")
    require("matplotlib", extra="figures")


def save(folder: Path, name: str, draw: Draw, *, height: float, width: float = WIDTH) -> list[Path]:
    """Write `name`.svg and `name`.pdf, each whole or not at all; width and height in inches.

    draw: gets an empty matplotlib figure. Signs that no font here has are named in a warning.
    """
    check_folder(folder)
    matplotlib = require("matplotlib", extra="figures")
    figures = require("matplotlib.figure", extra="figures")
    paths = [folder / f"{file_name(name)}.{form}" for form in FORMATS]
    with matplotlib.rc_context(_STYLE), _glyphs_told(paths[0]):
        figure = figures.Figure(figsize=(width, height))
        draw(figure)
        for path, form in zip(paths, FORMATS, strict=True):
            dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]
            drawn = io.BytesIO()
            figure.savefig(drawn, format=form, metadata=dates)
            with atomic_bytes(path) as file:
                file.write(drawn.getvalue())
    return paths


def file_name(name: str) -> str:
    """A name that every file system takes: letters, digits, `-`, `_` and `.`.

    >>> file_name("Tango 2: pairs/ranks")
    'Tango-2-pairs-ranks'
    """
    return re.sub(r"[^\w.]+", "-", unicodedata.normalize("NFC", name)).strip("-.") or "figure"


@contextmanager
def _glyphs_told(path: Path) -> Iterator[None]:
    """Missing fonts are no news; missing signs are told once."""
    fonts = logging.getLogger("matplotlib.font_manager")
    before = fonts.level
    fonts.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        fonts.setLevel(before)
    missing = {
        found[1] for item in caught if (found := re.search(r"Glyph (\d+)", str(item.message)))
    }
    if missing:
        signs = " ".join(chr(int(code)) for code in sorted(missing, key=int))
        log.warning("%s: no font here has %s; an empty box stands for it", path, signs)


# -- kinds of figure ------------------------------------------------------------------------


def forest(marks: Sequence[Mark], *, title: str, limit: str = "", zero: bool = False) -> Draw:
    """A value with its interval, a row each, the first on top; limit: what dashed marks are."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, mark in enumerate(marks):
            if isfinite(mark.low):
                axes.plot([mark.low, mark.high], [place, place], color=mark.colour, linewidth=1.8)
            axes.plot([mark.value], [place], "o", color=mark.colour, markersize=5)
            if isfinite(mark.limit):
                ends = [place - 0.35, place + 0.35]
                axes.plot([mark.limit] * 2, ends, "--", color=BLACK, linewidth=1.2)
        if zero:
            axes.axvline(0, color=GREY, linewidth=1)
        axes.set_yticks(range(len(marks)), [wrapped(mark.label) for mark in marks])
        axes.set_ylim(len(marks) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(textwrap.fill(title, _TITLE))
        if limit and any(isfinite(mark.limit) for mark in marks):
            axes.plot([], [], "--", color=BLACK, linewidth=1.2, label=limit)
            figure.legend(loc="outside upper right", frameon=False)

    return draw


def forest_height(marks: Sequence[Mark]) -> float:
    """Inches that a forest plot of so many rows needs."""
    lines = sum(wrapped(mark.label).count("\n") + 1 for mark in marks)
    return 1.0 + 0.18 * lines + 0.14 * len(marks)


def distributions(values: Sequence[tuple[str, Sequence[float]]], *, title: str) -> Draw:
    """Box plots, a row each, the first on top: median, quartiles, whiskers of 1.5 IQR, outliers."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        labels = [f"{wrapped(label)}\nn = {len(of)}" for label, of in values]
        axes.boxplot(
            [list(of) for _, of in values],
            orientation="horizontal",
            positions=range(len(values)),
            widths=0.55,
            medianprops={"color": ORANGE, "linewidth": 1.6},
            flierprops={"marker": ".", "markersize": 3, "markeredgecolor": GREY},
        )
        axes.set_yticks(range(len(values)), labels)
        axes.set_ylim(len(values) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(textwrap.fill(title, _TITLE))

    return draw


def points(
    groups: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    *,
    labels: tuple[str, str],
    diagonal: bool = False,
    y_range: tuple[float, float] | None = None,
) -> Draw:
    """Points of several named groups; diagonal: the line where both axes agree, and one range."""

    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        if diagonal:
            axes.axline((0, 0), slope=1, color=GREY, linewidth=1)
            axes.set_aspect("equal")
        for place, (name, x, y) in enumerate(groups):
            colour = COLOURS[place % len(COLOURS)]
            shape = _SHAPES[(place + place // len(COLOURS)) % len(_SHAPES)]
            axes.scatter(
                x, y, s=12, c=colour, marker=shape, alpha=0.6, linewidths=0,
                label=f"{name} ({len(x):,})", rasterized=len(x) > 2000,
            )  # fmt: skip
        axes.set(xlabel=labels[0], ylabel=labels[1])
        if y_range is not None:
            margin = 0.03 * (y_range[1] - y_range[0])
            axes.set_ylim(y_range[0] - margin, y_range[1] + margin)
        if len(groups) > 1:
            ncols = min(len(groups), _LEGEND)
            figure.legend(loc="outside upper center", ncols=ncols, frameon=False)

    return draw


def reliability(
    bins: Sequence[tuple[float, float, float]],
    both: tuple[float, float],
    *,
    labels: tuple[str, str],
) -> Draw:
    """Points (x, y) with their half intervals of y, NaN for none, against the diagonal.

    both: the range of both axes.
    """

    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        axes.axline((both[0], both[0]), slope=1, color=GREY, linewidth=1)
        for x, y, half in bins:
            if isfinite(half):
                ends = [max(y - half, both[0]), min(y + half, both[1])]
                axes.plot([x, x], ends, color=BLUE, linewidth=1.8)
            axes.plot([x], [y], "o", color=BLUE, markersize=5)
        margin = 0.03 * (both[1] - both[0])
        limits = (both[0] - margin, both[1] + margin)
        axes.set(xlabel=labels[0], ylabel=labels[1], xlim=limits, ylim=limits, aspect="equal")

    return draw


def wrapped(label: str) -> str:
    """A label in lines that leave room for the drawing."""
    return "\n".join(textwrap.wrap(label, _LABEL, break_long_words=True)) or "–"

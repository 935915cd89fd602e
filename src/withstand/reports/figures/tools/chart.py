"""Parts that the charts share: looks of series, axes, labels at the ends of lines, and marks of what is missing."""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from textwrap import wrap
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from withstand.reports.figures.tools.marks import Mark
from withstand.study.measures.measure import Measure

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1, 1.5)))
MOST_SERIES = len(MARKERS)  # in one panel
SIZE, SMALL = 4.0, 6.0  # of a marker and of the smallest text, in points
WIDE, CLOSE = 20, 0.04  # an axis is logarithmic if its values span this factor, and some are so close otherwise
LOG = 4  # largest over smallest value from which one is that shows no shares
WIDEST = 38  # characters in a line of an axis's label
LINE = 9.0  # points between crosses
ROUND = [1, 2, 2.5, 5, 10]


class Look(NamedTuple):
    """How a series differs from others, with colours and without."""

    color: str
    marker: str
    dashes: Any


def look(number: int) -> Look:
    """Return the look of a series by its number; the style of the house must be on."""
    colors = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    return Look(colors[number % len(colors)], MARKERS[number % len(MARKERS)], DASHES[number // len(colors) % 4])


def faint() -> str:
    """Return the colour of what stands back."""
    return mpl.rcParams["xtick.color"]


def paper() -> str:
    """Return the colour of the background."""
    return mpl.rcParams["figure.facecolor"]


def point(axes: Axes, x: float, y: float, mark: Mark, own: Look, *, told: bool = True, size: float = SIZE) -> None:
    """Draw a mark: hollow if some seeds are missing, and optionally with their number next to it."""
    inside = own.color if mark.is_whole else paper()
    above = 4 if mark.is_whole else 5
    (drawn,) = axes.plot([x], [y], own.marker, color=own.color, markerfacecolor=inside, markersize=size, zorder=above)
    drawn.set_gid(mark.gid)
    if told and not mark.is_whole:
        place = {"xytext": (0, 4.5), "textcoords": "offset points", "ha": "center", "va": "bottom"}
        halo = [withStroke(linewidth=2, foreground=paper())]
        axes.annotate(mark.share, (x, y), size=SMALL, color=own.color, zorder=6, path_effects=halo, **place)


def lost(axes: Axes, x: float, mark: Mark, own: Look, *, level: int, height: float, told: bool = True) -> None:
    """Draw a cross above the axis where a mark would be that has no result.

    Args:
        axes: Where.
        x: The mark's place.
        mark: Without a result.
        own: Look of its series.
        level: How many crosses are there already.
        height: Height of the axes, in inches.
        told: Whether the number of its seeds is written next to it.
    """
    across, y = axes.get_xaxis_transform(), cross_at(level, height)
    (drawn,) = axes.plot([x], [y], "x", color=own.color, markersize=SIZE, transform=across, clip_on=False, zorder=4)
    drawn.set_gid(mark.gid)
    if not told:
        return
    place = {"xytext": (4, 0), "textcoords": "offset points", "ha": "left", "va": "center"}
    axes.annotate(mark.share, (x, y), xycoords=across, size=SMALL, color=own.color, **place)


def cross_at(level: int, height: float) -> float:
    """Return where a cross is drawn, as a share of the axes' height."""
    return (6 + level * LINE) / height / 72


def numeric_axis(axes: Axes, values: Sequence[float], label: str, *, width: float) -> None:
    """Show numbers along the first axis: those that were measured, if there is room for them.

    Args:
        axes: Empty or drawn.
        values: What was measured.
        label: Label of the axis.
        width: Width of the axes, in inches.
    """
    found = sorted(set(values))
    first, last = found[0], found[-1]
    nearest = min((after - before for before, after in pairwise(found)), default=0.0)
    is_log = first > 0 and last / first > WIDE and nearest < CLOSE * (last - first)
    if is_log:
        axes.set_xscale("log")
    room = [axes.transScale.transform((each, 0))[0] if is_log else each for each in found]
    extent = room[-1] - room[0] or 1.0
    gaps = [(after - before) / extent * width for before, after in pairwise(room)]
    if is_log:
        axes.xaxis.set_minor_locator(NullLocator())
    if min(gaps, default=1.0) > 0.07 * max(len(f"{each:g}") for each in found):
        axes.xaxis.set_major_locator(FixedLocator(found))
    elif not is_log:
        axes.xaxis.set_major_locator(MaxNLocator(max(3, round(1.5 * width)), steps=ROUND))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(label)


def value_axis(axes: Axes, measure: Measure, values: Sequence[float]) -> None:
    """Show a measure along the second axis: within its range, in percent or by factors.

    Args:
        axes: Empty or drawn.
        measure: What is shown.
        values: Values on the axis; those to be shown.
    """
    there = [each for each in values if isfinite(each)] or [0.0, 1.0]
    low, high = min(there), max(there)
    if not measure.percent and low > 0 and high > LOG * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.25, high * 1.25)
        subs = (1, 1.5, 2, 3, 5, 7) if high / low < 10 else (1, 2, 5) if high / low < 100 else (1,)
        axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=12))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        return
    margin = 0.07 * (high - low) or (0.5 if measure.percent else 0.05 * abs(high) or 0.5)
    bottom, top = low - margin, high + margin
    if measure.percent:
        bottom, top = max(bottom, -1.5), min(top, 101.0)
    elif low >= 0:
        bottom = max(bottom, 0)
    axes.set_ylim(bottom, top)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=ROUND))


def wrapped(label: str) -> str:
    """Return the label of an axis, in lines that fit next to it."""
    return "\n".join(wrap(label, WIDEST))

"""Bands between certified and worst-case accuracy against the radius, together or in a panel per model."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from withstand.reports.figures.tools.chart import ROUND, SIZE, look, numeric_axis, point, value_axis
from withstand.reports.figures.tools.labels import End, label_ends, room_for
from withstand.reports.figures.tools.marks import Mark
from withstand.reports.figures.tools.style import NARROW, WIDTH, new_figure
from withstand.reports.series import Axis
from withstand.study.measures.measure import Measure

ACCURACY = Measure(name="accuracy", column="correct", words="accuracy", percent=True, better="higher")
MOST_TOGETHER, MOST_PANELS = 3, 12
ALPHA, OVERLAID, DASHED = 0.22, 0.12, (0, (4, 2))  # opacity of bands, and of several in one panel
# Inches.
LEFT, RIGHT, FOOT, LEGEND, HEAD, PLOT, SMALL_PLOT, GAP = 0.62, 0.15, 0.46, 0.24, 0.24, 2.35, 1.25, 0.16
COLUMNS, FEW_COLUMNS, MARKER = 4, 2, 3.2
LEAST_ACROSS = 1.6  # width of the axes that names must leave


class Between(NamedTuple):
    """The accuracies of a model at one radius.

    Attributes:
        certified: Lower end of the band.
        attacked: Upper end; at radius 0, both are the clean accuracy.
    """

    certified: Mark
    attacked: Mark


def sandwich_bands(models: Mapping[str, Sequence[Between]], *, axis: Axis, width: float = WIDTH) -> Figure:
    """Return the figure of bands.

    Args:
        models: Accuracies of each model, by name; in the order of the radii.
        axis: The radii.
        width: Width of the figure, in inches.
    """
    together = len(models) <= MOST_TOGETHER
    figure = _together(models, axis, width) if together else _apart(models, axis, width)
    ink = mpl.rcParams["text.color"]
    handles = [
        Line2D([], [], color=ink, label="no attack found"),
        Patch(facecolor=ink, alpha=ALPHA, label="unknown"),
        Line2D([], [], color=ink, linestyle=DASHED, label="certified"),
    ]
    place = {"bbox_to_anchor": (LEFT / width, 1), "borderaxespad": 0.2, "handlelength": 2.0, "columnspacing": 1.4}
    figure.legend(handles=handles, loc="upper left", ncols=len(handles), **place)
    return figure


def fits_narrow(names: Sequence[str]) -> bool:
    """Return whether a narrow figure has room for the names of models."""
    return len(names) > MOST_TOGETHER or _right(names) < NARROW - LEFT - LEAST_ACROSS


def _right(names: Sequence[str]) -> float:
    return room_for(names) if len(names) > 1 else RIGHT


def _together(models: Mapping[str, Sequence[Between]], axis: Axis, width: float) -> Figure:
    height = LEGEND + PLOT + FOOT
    figure = new_figure(height, width=width)
    across = width - LEFT - _right(list(models))
    axes = figure.add_axes((LEFT / width, FOOT / height, across / width, PLOT / height))
    value_axis(axes, ACCURACY, _heights(models))
    numeric_axis(axes, axis.values, axis.label, width=across)
    axes.set_ylabel(ACCURACY.label)
    ends = []
    for number, (name, pairs) in enumerate(models.items()):
        x, _, high = _draw(axes, pairs, number, alpha=OVERLAID if len(models) > 1 else ALPHA)[-1]
        ends.append(End(x, high, name, look(number).color))
    if len(models) > 1:
        label_ends(axes, ends, width=across, height=PLOT)
    return figure


def _apart(models: Mapping[str, Sequence[Between]], axis: Axis, width: float) -> Figure:
    columns = COLUMNS if width > NARROW else FEW_COLUMNS
    columns = ceil(len(models) / ceil(len(models) / columns))
    num_lines = ceil(len(models) / columns)
    height = LEGEND + num_lines * (HEAD + SMALL_PLOT) + FOOT
    figure = new_figure(height, width=width)
    across = (width - LEFT - RIGHT - (columns - 1) * GAP) / columns
    for number, (name, pairs) in enumerate(models.items()):
        line, column = divmod(number, columns)
        bottom = height - LEGEND - (line + 1) * (HEAD + SMALL_PLOT)
        place = ((LEFT + column * (across + GAP)) / width, bottom / height, across / width, SMALL_PLOT / height)
        axes = figure.add_axes(place)
        value_axis(axes, ACCURACY, _heights(models))
        numeric_axis(axes, axis.values, "", width=across)
        axes.set_title(name, size=7, pad=3)
        axes.tick_params(labelbottom=number + columns >= len(models), labelleft=column == 0)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=ROUND))
        axes.grid(axis="y", alpha=0.18, linewidth=0.5)
        _draw(axes, pairs, number, size=MARKER)
    figure.text((LEFT + width - RIGHT) / 2 / width, 0.06 / height, axis.label, ha="center", va="bottom")
    upwards = (FOOT + (height - LEGEND - FOOT) / 2) / height
    figure.text(0.05 / width, upwards, ACCURACY.label, rotation=90, va="center")
    return figure


def _draw(
    axes: Axes, pairs: Sequence[Between], number: int, *, size: float = SIZE, alpha: float = ALPHA
) -> list[tuple[float, float, float]]:
    """Draw the band of a model, and return its corners: radius, lower and upper end."""
    own = look(number)
    corners = [
        (each.attacked.x, ACCURACY.scaled(each.certified.middle), ACCURACY.scaled(each.attacked.middle))
        for each in pairs
        if each.certified.middle is not None and each.attacked.middle is not None
    ]
    x, low, high = zip(*corners, strict=True)
    axes.fill_between(x, low, high, color=own.color, alpha=alpha, linewidth=0)
    axes.plot(x, high, color=own.color)
    axes.plot(x, low, color=own.color, linestyle=DASHED)
    for (place, lower, upper), each in zip(corners, pairs, strict=True):
        point(axes, place, upper, each.attacked, own, told=False, size=size)
        if each.certified is not each.attacked:
            point(axes, place, lower, each.certified, own, told=False, size=size)
    return corners


def _heights(models: Mapping[str, Sequence[Between]]) -> list[float]:
    """Return all accuracies, and 0, so that bands of equal height are equal gaps in all reports."""
    marks = [mark for pairs in models.values() for pair in pairs for mark in pair]
    return [0.0, *(ACCURACY.scaled(each.middle) for each in marks if each.middle is not None)]

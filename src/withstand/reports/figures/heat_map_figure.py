"""Drawings of a measure per corruption: models down and corruptions across, or the other way round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from withstand.reports.figures.tools.chart import SMALL, faint, paper
from withstand.reports.figures.tools.colours import BLUE, ON_DARK
from withstand.reports.figures.tools.marks import Mark
from withstand.reports.figures.tools.style import NARROW, WIDTH, new_figure
from withstand.reports.numbers import number
from withstand.study.measures.measure import Measure

LONGEST_NAME = 24
LIGHTEST, STRONGEST = 0.03, 0.62  # share of the colour in a cell without errors, and in the one with the most
# Inches.
CELL, HEAD, SLOPE, LEAN, MARGIN, LETTER, APART = 0.235, 0.2, 0.045, 0.027, 0.1, 0.059, 0.07


@dataclass(frozen=True, kw_only=True)
class HeatColumn:
    """A column of the figure.

    Attributes:
        head: Its head.
        measure: Measure of its values.
        place: Clean inputs and the mean stand apart from the corruptions; so does an overall number of another measure,
            which is not shaded and has a dash for models that lack it.
        marks: By model.
    """

    head: str
    measure: Measure
    place: Literal["clean", "corruption", "mean", "overall"]
    marks: Mapping[str, Mark]

    @property
    def weight(self) -> str:
        """Weight of its head."""
        return "normal" if self.place == "corruption" else "bold"


def heat_map_figure(columns: Sequence[HeatColumn]) -> Figure:
    """Return the figure with models down.

    Args:
        columns: From the left to the right; those of corruptions share a measure.
    """
    names = _names(columns)
    left = MARGIN + LETTER * max(len(each) for each in names.values())
    head = HEAD + SLOPE * max(len(each.head) for each in columns)
    height = head + CELL * len(names) + MARGIN
    figure = new_figure(height)
    # Heads lean to the right: the last one needs room next to it.
    right = MARGIN + max(0.0, LEAN * len(columns[-1].head) - CELL)
    across = WIDTH - left - right
    axes = figure.add_axes((left / WIDTH, MARGIN / height, across / WIDTH, 1 - (head + MARGIN) / height))
    steps = _steps(columns)
    gap = APART / ((across - APART * sum(steps)) / len(columns))
    places = [k + gap * sum(steps[:k]) for k in range(len(columns))]
    axes.set(xlim=(0, places[-1] + 1), ylim=(len(names), 0))
    for x, column in zip(places, columns, strict=True):
        axes.text(x + 0.5, -0.2, column.head, rotation=60, rotation_mode="anchor", size=6.5, weight=column.weight)
    for k, name in enumerate(names.values()):
        axes.text(-0.12, k + 0.5, name, ha="right", va="center", size=7)
    _draw(axes, columns, [[(x, k) for k in range(len(names))] for x in places])
    return figure


def tall_heat_map_figure(columns: Sequence[HeatColumn], *, width: float = NARROW) -> Figure:
    """Return the figure with models across, for a phone.

    Args:
        columns: From above.
        width: In inches.
    """
    names = _names(columns)
    left = MARGIN + LETTER * max(len(each.head) for each in columns)
    head = HEAD + SLOPE * max(len(each) for each in names.values())
    steps = _steps(columns)
    places = [k + APART / CELL * sum(steps[:k]) for k in range(len(columns))]
    height = head + CELL * (places[-1] + 1) + MARGIN
    figure = new_figure(height, width=width)
    right = MARGIN + LEAN * len(list(names.values())[-1])
    across = width - left - right
    axes = figure.add_axes((left / width, MARGIN / height, across / width, 1 - (head + MARGIN) / height))
    axes.set(xlim=(0, len(names)), ylim=(places[-1] + 1, 0))
    for y, column in zip(places, columns, strict=True):
        place = (-0.06 / across * len(names), y + 0.5)
        axes.text(*place, column.head, ha="right", va="center", size=6.5, weight=column.weight)
    for k, name in enumerate(names.values()):
        axes.text(k + 0.5, -0.2, name, rotation=60, rotation_mode="anchor", size=7)
    _draw(axes, columns, [[(k, y) for k in range(len(names))] for y in places])
    return figure


def is_there(column: HeatColumn, model: str) -> bool:
    """Return whether a model has a cell: it may lack an overall number, such as the mCE, without a hole."""
    return column.place != "overall" or column.marks[model].done > 0


def _names(columns: Sequence[HeatColumn]) -> dict[str, str]:
    """Return the models with what is written next to their cells."""
    marks = {name: [each.marks[name] for each in columns if is_there(each, name)] for name in columns[0].marks}
    return {name: _short(name) + _share(own) for name, own in marks.items()}


def _steps(columns: Sequence[HeatColumn]) -> list[int]:
    """Return the gaps between columns; groups are apart, and overall numbers farther."""
    groups = [each.place for each in columns]
    return [0 if before == after else 2 if after == "overall" else 1 for before, after in pairwise(groups)]


def _draw(axes: Axes, columns: Sequence[HeatColumn], corners: Sequence[Sequence[tuple[float, float]]]) -> None:
    """Draw all cells at their corners: by column, then by model."""
    axes.set_axis_off()
    there = [mark for each in columns if each.place != "overall" for mark in each.marks.values()]
    largest = max((mark.middle for mark in there if mark.middle is not None), default=1.0)
    # Seeds that are missing under all conditions are named next to the model's name.
    own = {name: [each.marks[name] for each in columns if is_there(each, name)] for name in columns[0].marks}
    starred = {name: len({mark.share for mark in marks}) > 1 for name, marks in own.items()}
    for column, places in zip(columns, corners, strict=True):
        values = [mark.middle for mark in column.marks.values() if mark.middle is not None]
        best = (max if column.measure.better == "higher" else min)(values, default=None)
        best = best if len(values) > 1 and column.measure.better else None
        scale = None if column.place == "overall" else largest or 1.0
        for (x, y), (model, mark) in zip(places, column.marks.items(), strict=True):
            if not is_there(column, model):
                axes.text(x + 0.5, y + 0.53, "\N{EN DASH}", ha="center", va="center", size=SMALL, color=faint())
                continue
            text = "" if mark.middle is None else number(column.measure, mark.middle)
            text += "*" if starred[model] and not mark.is_whole and text else ""
            _cell(axes, x, y, mark, text, scale, is_best=mark.middle is not None and mark.middle == best)


def _cell(axes: Axes, x: float, y: float, mark: Mark, text: str, largest: float | None, *, is_best: bool) -> None:
    """Draw a cell, shaded as a share of the largest value; without shade if there is no such."""
    if mark.middle is None:
        box = Rectangle((x, y), 1, 1, facecolor="none", edgecolor=faint(), linewidth=0.4, hatch="////", alpha=0.5)
        box.set_gid(mark.gid)
        axes.add_patch(box)
        return
    edge = {"edgecolor": paper(), "linewidth": 0.8} if largest else {"edgecolor": faint(), "linewidth": 0.4}
    strongest = ON_DARK[BLUE] if paper() in ON_DARK.values() else BLUE
    colors = LinearSegmentedColormap.from_list("errors", [paper(), strongest])
    shade = colors(LIGHTEST + (STRONGEST - LIGHTEST) * mark.middle / largest) if largest else to_rgb(paper())
    box = Rectangle((x, y), 1, 1, facecolor=shade, clip_on=bool(largest), **edge)
    box.set_gid(mark.gid)
    axes.add_patch(box)
    ink = max((mpl.rcParams["text.color"], paper()), key=lambda each: _contrast(each, shade))
    weight = "bold" if is_best else "normal"
    axes.text(x + 0.5, y + 0.53, text, ha="center", va="center", size=SMALL, color=ink, weight=weight)


def _share(marks: Sequence[Mark]) -> str:
    least = min(marks, key=lambda mark: mark.done)
    return "" if least.is_whole else f" ({least.share})"


def _short(name: str) -> str:
    half = LONGEST_NAME // 2 - 1
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}...{name[-half:]}"


def _contrast(one: Any, other: Any) -> float:
    """Return the ratio of the luminances, as the Web Content Accessibility Guidelines define it."""
    dark, bright = sorted((_luminance(one), _luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color: Any) -> float:
    red, green, blue = to_rgb(color)
    return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2

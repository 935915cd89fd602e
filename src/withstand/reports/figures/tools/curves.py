"""A measure against a numeric axis: the median over the seeds as a line per series, with a band of quantiles."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from withstand.conditions import CLEAN, JPEG, MEAN
from withstand.reports.figures.tools.band import curve
from withstand.reports.figures.tools.chart import (
    MOST_SERIES,
    cross_at,
    look,
    lost,
    numeric_axis,
    point,
    value_axis,
    wrapped,
)
from withstand.reports.figures.tools.labels import End, label_ends, room_for
from withstand.reports.figures.tools.marks import (
    Mark,
    cautions,
    combinations,
    counted,
    longest,
    mark_of,
    signs,
)
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.figures.tools.style import WIDTH, new_figure
from withstand.reports.numbers import sentence, slug, under, with_unit
from withstand.reports.series import Axis, axis_of, families
from withstand.study.measures.measure import Measure
from withstand.study.study import Study, name_of

# Inches.
LEFT, RIGHT, TOP, FOOT, PLOT, BETWEEN = 0.7, 0.12, 0.12, 0.46, 2.35, 0.62
MEANS = (MEAN, MEAN + JPEG)


def bands_pictures(study: Study) -> list[Picture]:
    """Return a picture per measure and family of conditions that was measured at several values of a numeric axis."""
    axis = axis_of(study)
    if axis is None:
        return []
    found: list[Picture] = []
    for measure in study.measures.values():
        own = families(study, measure.name, axis) if measure.primary else {}
        for number, (condition, lines) in enumerate(own.items(), start=1):
            where = "" if len(own) == 1 or condition in (CLEAN, *MEANS) else condition.partition(", ")[0]
            again = any(where == each.partition(", ")[0] for each in list(own)[: number - 1])
            where += f" {number}" if where and again else ""
            found.append(_picture(study, measure, condition, axis, lines, where))
    return found


def bands_figure(series: Mapping[str, Sequence[Mark]], *, measure: Measure, axis: Axis) -> Figure:
    """Return the figure of series of marks.

    Args:
        series: By name, each in the order of the axis; marks without a place are drawn as crosses on the axis.
        measure: What is shown.
        axis: What it is shown against.
    """
    names, size = list(series), _per_panel(len(series))
    panels = [{each: series[each] for each in names[k : k + size]} for k in range(0, len(names), size)]
    height = TOP + len(panels) * (PLOT + BETWEEN) - BETWEEN + FOOT
    figure = new_figure(height)
    right = room_for(list(series)) if len(series) > 1 else RIGHT
    width = WIDTH - LEFT - right
    heights = [measure.scaled(y) for own in series.values() for mark in own for y in mark.span]
    drawn: Axes | None = None
    for number, own in enumerate(panels):
        bottom = height - TOP - PLOT - number * (PLOT + BETWEEN)
        place = (LEFT / WIDTH, bottom / height, width / WIDTH, PLOT / height)
        drawn = figure.add_axes(place, sharex=drawn)
        value_axis(drawn, measure, heights)
        numeric_axis(drawn, axis.values, axis.label, width=width)
        drawn.set_ylabel(wrapped(measure.label))
        _draw(drawn, own, measure, width=width)
    return figure


def _draw(axes: Axes, series: Mapping[str, Sequence[Mark]], measure: Measure, *, width: float) -> None:
    ends: list[End] = []
    crosses: dict[float, int] = {}
    for number, (name, marks) in enumerate(series.items()):
        own = look(number)
        # Seeds that are missing everywhere are named once, next to the name.
        told = len(series) == 1 or len({mark.share for mark in marks}) > 1
        title = name if told or marks[0].is_whole else f"{name} ({marks[0].share})"
        there = [each for each in marks if each.middle is not None]
        curve(axes, marks, measure, own)
        for mark in marks:
            if mark.middle is None:
                lost(axes, mark.x, mark, own, level=crosses.get(mark.x, 0), height=PLOT, told=told)
                crosses[mark.x] = crosses.get(mark.x, 0) + 1
            else:
                point(axes, mark.x, measure.scaled(mark.middle), mark, own, told=told)
        if there and there[-1].middle is not None:
            ends.append(End(there[-1].x, measure.scaled(there[-1].middle), title, own.color))
        elif marks:
            y = axes.transAxes.transform((0, cross_at(crosses[marks[-1].x] - 1, PLOT)))
            ends.append(End(marks[-1].x, axes.transData.inverted().transform(y)[1], title, own.color))
    if len(series) > 1:
        label_ends(axes, ends, width=width, height=PLOT)


def _picture(
    study: Study, measure: Measure, condition: str, axis: Axis, lines: list[dict[str, Any]], where: str
) -> Picture:
    mean = f" {condition}" if condition in MEANS else ""
    name, measure = slug(f"{measure.name}{mean} against {axis.words} {where}"), under(measure, condition)
    everyone = combinations(study)
    order = dict.fromkeys(axis.series(line) for line in everyone.values())
    everyone |= {tuple(line[each] for each in study.axes): line for line in lines}
    series: dict[str, list[Mark]] = {each: [] for each in order}
    for k, line in enumerate(sorted(everyone.values(), key=lambda line: line[axis.name])):
        label = name_of({each: line[each] for each in study.axes})
        mark = mark_of(line, measure, gid=f"{name}-{k}", label=label, x=float(line[axis.name]))
        series[axis.series(line)].append(mark)
    note = "" if condition in (CLEAN, *MEANS) else f" Condition: {condition}."
    title = f"{sentence(measure.words)} against {axis.words}" + (f", {condition}" if where else "")
    lines = list(everyone.values())
    return bands_picture(study, series, lines, name=name, measure=measure, axis=axis, title=title, note=note)


def bands_picture(
    study: Study,
    series: Mapping[str, Sequence[Mark]],
    lines: Sequence[Mapping[str, Any]],
    *,
    name: str,
    measure: Measure,
    axis: Axis,
    title: str,
    note: str = "",
    detail: str = "",
) -> Picture:
    """Return the picture of series of marks.

    Args:
        study: What they are from.
        series: As `bands_figure` takes them.
        lines: Lines of the summary, from which the marks are.
        name: Name of the picture.
        measure: What is shown.
        axis: What it is shown against.
        title: Title of the picture.
        note: Sentences for the caption, each after a space.
        detail: See `Picture.detail`.
    """
    marks = [mark for own in series.values() for mark in own]
    several = any(mark.planned > 1 for mark in marks)
    spread = "; bands reach from the 10 % to the 90 % quantile" if several else ""
    what = f"{'median over the seeds of the ' if several else ''}{measure.words} against the {axis.words}"
    count = counted(lines)
    return Picture(
        name=name,
        title=title,
        caption=f"{sentence(what)}{spread}; {count}.{note}{signs(marks)}{cautions(study, lines)}",
        alt=_alt(series, measure, axis),
        draw=partial(bands_figure, series, measure=measure, axis=axis),
        values={each.gid: each.text for each in marks},
        size=longest(series.values()),
        detail=detail,
    )


def _alt(series: Mapping[str, Sequence[Mark]], measure: Measure, axis: Axis) -> str:
    parts = []
    for name, marks in series.items():
        there = [each for each in marks if each.middle is not None]
        ends = [
            f"{with_unit(measure, each.middle or 0)} at {axis.words} {each.x:g}"
            for each in there[:: len(there) - 1 or 1]
        ]
        parts.append((f"{name}: " if len(series) > 1 else "") + (" and ".join(ends) or "no result"))
    return f"Line chart of the {measure.words} against the {axis.words}. {'; '.join(parts)}."


def _per_panel(count: int) -> int:
    """Return how many series share a panel, so that the panels are equally full."""
    return ceil(count / ceil(count / MOST_SERIES))

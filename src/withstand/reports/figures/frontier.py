"""Frontier: accuracy on clean inputs against accuracy under attacks or corruptions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from textwrap import fill, wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from withstand.conditions import CLEAN, JPEG, MEAN, is_of_suite
from withstand.rendering.cell import DOUBT
from withstand.reports.figures.tools.chart import SIZE, SMALL, faint, look, point, value_axis
from withstand.reports.figures.tools.labels import LONGEST, Label, place_labels, room_for
from withstand.reports.figures.tools.marks import (
    Mark,
    cautions,
    combinations,
    counted,
    lines_of,
    mark_of,
    summed_up,
)
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.figures.tools.style import NARROW, WIDTH, new_figure
from withstand.reports.numbers import says_all, sentence, slug, under
from withstand.reports.series import Axis, axis_of, families
from withstand.study.measures.cells import averaged, cells_of
from withstand.study.measures.measure import Measure
from withstand.study.study import Study, name_of

# Inches.
LEFT, TOP, FOOT, PLOT, RIGHT, NOTE = 0.62, 0.12, 0.46, 3.0, 0.12, 0.14
MOST_KINDS = 3
ROBUST = ("attacked", "certified")  # kinds of measures, the first that there is


@dataclass(frozen=True, kw_only=True)
class Both:
    """A combination: its accuracy on clean inputs and under attacks or corruptions.

    Attributes:
        clean: With the name of the mark and its text.
        robust: The other.
        short: Text next to it.
        text: Its description.
    """

    clean: Mark
    robust: Mark
    short: str
    text: str = ""

    @property
    def is_there(self) -> bool:
        """Whether it has a point."""
        return None not in (self.clean.middle, self.robust.middle)

    @property
    def lacking(self) -> Mark:
        """The mark with fewer seeds."""
        return min(self.clean, self.robust, key=lambda mark: mark.done)


def frontier_pictures(study: Study) -> list[Picture]:
    """Return a picture per attack, else of the mean over corruptions, where two or more combinations have both."""
    accuracy, axis = study.accuracy, axis_of(study)
    if accuracy is None:
        return []
    clean = _lines(study, accuracy, CLEAN)
    kinds: list[tuple[Measure, str, dict[tuple[Any, ...], dict[str, Any]]]] = []
    known = [each for each in study.measures.values() if each.primary]
    for attacked in (each for kind in ROBUST for each in known if each.kind == kind):
        own = list(families(study, attacked.name, axis).items()) if not kinds else []
        # Of many radii the first, the last and those between, evenly; all are in the figure of curves.
        some = {round(k * (len(own) - 1) / (MOST_KINDS - 1)) for k in range(MOST_KINDS)}
        for condition, lines in [each for k, each in enumerate(own) if k in some]:
            everyone = combinations(study) | {tuple(line[each] for each in study.axes): line for line in lines}
            kinds.append((attacked, condition, everyone))
    suites = sorted(each for each in set(study.summary["condition"].drop_nulls()) if is_of_suite(each))
    for condition in () if kinds else (MEAN, MEAN + JPEG, *suites):
        kinds.append((accuracy, condition, _lines(study, accuracy, condition)))
    found: list[Picture] = []
    for robust, condition, lines in kinds:
        both = [labels for labels in lines if None not in (clean[labels]["q50"], lines[labels]["q50"])]
        if len(both) > 1:
            name = slug(f"frontier {robust.name}") + (f"-{len(found) + 1}" if found else "")
            found.append(_picture(study, axis, clean, (robust, condition), lines, name=name))
    return found


def frontier_figure(
    series: Mapping[str, Sequence[Both]],
    *,
    clean: Measure,
    robust: Measure,
    is_joined: bool,
    absent: str = "",
    width: float = WIDTH,
) -> Figure:
    """Return the figure.

    Args:
        series: By name; each in the order in which its points are joined.
        clean: What is shown across.
        robust: What is shown upwards.
        is_joined: Whether a series is a line, or single points.
        absent: Names of what has no point.
        width: In inches.
    """
    note = wrap(f"No result, not shown: {absent}", int(120 * width / WIDTH)) if absent else []
    height = TOP + PLOT + FOOT + NOTE * len(note)
    figure = new_figure(height, width=width)
    right = room_for(list(series)) + 0.2 if is_joined and len(series) > 1 else RIGHT
    across = width - LEFT - right
    axes = figure.add_axes((LEFT / width, 1 - (TOP + PLOT) / height, across / width, PLOT / height))
    every = [both for own in series.values() for both in own if both.clean.span and both.robust.span]
    value_axis(axes, robust, [robust.scaled(y) for both in every for y in both.robust.span])
    limits = axes.get_ylim()
    value_axis(axes, clean, [clean.scaled(x) for both in every for x in both.clean.span])
    axes.set(xlim=axes.get_ylim(), ylim=limits, xlabel=clean.label, ylabel=robust.label)
    labels: list[Label] = []
    for number, own in enumerate(series.values()):
        labels += _draw(axes, own, number, clean, robust, is_joined=is_joined)
    place_labels(axes, sorted(labels, key=lambda each: not each.needed), width=across, height=PLOT)
    if is_joined and len(series) > 1:
        looks = [look(number) for number in range(len(series))]
        styles = [{"color": each.color, "linestyle": each.dashes, "marker": each.marker} for each in looks]
        handles = [
            Line2D([], [], label=fill(name, LONGEST), markersize=SIZE, **style)
            for name, style in zip(series, styles, strict=True)
        ]
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    for k, line in enumerate(reversed(note)):
        figure.text(LEFT / width, (0.06 + k * NOTE) / height, line, size=SMALL, color=faint())
    return figure


def _draw(
    axes: Axes, own: Sequence[Both], number: int, clean: Measure, robust: Measure, *, is_joined: bool
) -> list[Label]:
    """Draw a series, and return its labels."""
    style = look(number)
    labels: list[Label] = []
    there = [both for both in own if both.clean.span and both.robust.span]
    for before, after in pairwise(own) if is_joined else ():
        if before in there and after in there:
            x = [clean.scaled(each.clean.span[1]) for each in (before, after)]
            y = [robust.scaled(each.robust.span[1]) for each in (before, after)]
            axes.plot(x, y, color=style.color, linestyle=style.dashes, linewidth=0.9, alpha=0.7)
    for both in there:
        (left, x, right) = (clean.scaled(each) for each in both.clean.span)
        (low, y, high) = (robust.scaled(each) for each in both.robust.span)
        axes.plot([left, right], [y, y], color=style.color, linewidth=0.6, alpha=0.5)
        axes.plot([x, x], [low, high], color=style.color, linewidth=0.6, alpha=0.5)
        lacking = both.lacking
        point(axes, x, y, lacking, style, told=False)
        share = "" if lacking.is_whole else f" ({lacking.share})"
        needed = not is_joined or both in (there[0], there[-1]) or bool(share)
        bars = ((left, y, right, y), (x, low, x, high))
        labels.append(Label(x, y, f"{both.short}{share}", style.color, needed, bars))
    return labels


def _picture(
    study: Study,
    axis: Axis | None,
    clean_lines: Mapping[tuple[Any, ...], Mapping[str, Any]],
    shown: tuple[Measure, str],
    robust_lines: Mapping[tuple[Any, ...], Mapping[str, Any]],
    *,
    name: str,
) -> Picture:
    accuracy, condition = study.accuracy, shown[1]
    assert accuracy is not None
    clean, robust = under(accuracy, CLEAN), under(*shown)
    names = list(dict.fromkeys(axis.series(line) for line in robust_lines.values())) if axis else []
    series: dict[str, list[Both]] = {each: [] for each in names}
    lines: list[Mapping[str, Any]] = []
    order = sorted(robust_lines, key=lambda labels: robust_lines[labels][axis.name] if axis else 0)
    for k, labels in enumerate(order):
        own = (clean_lines[labels], robust_lines[labels])
        label = name_of(dict(zip(study.axes, labels, strict=True)))
        marks = [
            mark_of(line, what, gid=f"{name}-{k}", label=label) for line, what in zip(own, (clean, robust), strict=True)
        ]
        short = (f"{float(own[1][axis.name]):g}" if axis else label) + DOUBT * bool(own[1].get("doubt"))
        text = f"{label}: {clean.words} {summed_up(own[0], clean)}; {robust.words} {summed_up(own[1], robust)}"
        both = Both(clean=marks[0], robust=marks[1], short=short, text=text)
        series.setdefault(axis.series(own[1]) if axis else label, []).append(both)
        lines += own
    every = [each for own in series.values() for each in own]
    absent = ", ".join(f"{e.clean.label} ({e.lacking.share})" for e in every if not e.is_there)
    values = {each.clean.gid: each.text for each in every if each.is_there}
    options = {"clean": clean, "robust": robust, "is_joined": axis is not None, "absent": absent}
    which = f", {condition.partition(', ')[0]}" if axis is None and not says_all(condition) else ""
    return Picture(
        name=name,
        title=f"{sentence(clean.words)} and {robust.words}{which}",
        caption=f"{sentence(robust.words)} against {clean.words}{_about(study, axis, shown, lines)}"
        f"{cautions(study, lines)}",
        alt=f"Points of {clean.words} and {robust.words}. {'; '.join(values.values())}.",
        draw=partial(frontier_figure, series, **options),
        narrow=partial(frontier_figure, series, **options, width=NARROW) if axis is None else None,
        values=values,
        form="scatter",
        size=len(values),
        detail=condition,
    )


def _about(study: Study, axis: Axis | None, shown: tuple[Measure, str], lines: Sequence[Mapping[str, Any]]) -> str:
    """Return what the points represent: spread, number of runs, and condition."""
    robust, condition = shown
    several = any(line["planned"] > 1 for line in lines)
    spread = ": medians over the seeds, lines from the 10 % to the 90 % quantile" if several else ""
    note = f" Condition: {condition}."
    if condition in (MEAN, MEAN + JPEG):
        cells = cells_of(study.frame, measure=robust.name, saved=JPEG if condition.endswith(JPEG) else "")
        kinds = {each.corruption for each in averaged([cell for own in cells.values() for cell in own])}
        note = f" The mean is over {len(kinds)} corruptions and their severities."
    if axis:
        note += f" Points of a series are joined in the order of the {axis.words}, which is written next to them."
    hollow = " Hollow: seeds missing." if any(0 < line["done"] < line["planned"] for line in lines) else ""
    return f"{spread}; {counted(lines)}.{note}{hollow}"


def _lines(study: Study, measure: Measure, condition: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    summary = study.summary
    return lines_of(study, summary.filter((summary["measure"] == measure.name) & (summary["condition"] == condition)))

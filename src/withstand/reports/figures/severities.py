"""Accuracy against the severity, one small panel per corruption and a line per model."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from withstand.conditions import JPEG, SEVERITIES, Cell, Saved, in_words
from withstand.reports.figures.tools.band import curve
from withstand.reports.figures.tools.chart import MOST_SERIES, ROUND, SIZE, look, lost, paper, point
from withstand.reports.figures.tools.marks import (
    Mark,
    cautions,
    combinations,
    counted,
    lines_of,
    longest,
    mark_of,
    signs,
)
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.figures.tools.style import NARROW, WIDTH, new_figure
from withstand.reports.numbers import sentence, slug, with_unit
from withstand.study.measures.cells import cells_of
from withstand.study.measures.measure import Measure
from withstand.study.study import Study, name_of

Labels = tuple[Any, ...]
Cells = Mapping[str, Sequence[Cell]]
Panels = Mapping[str, Mapping[str, Sequence[Mark]]]
# Inches.
LEFT, RIGHT, FOOT, GAP, HEAD, PLOT, LEGEND = 0.5, 0.1, 0.42, 0.13, 0.24, 0.86, 0.17
COLUMNS, FEW_COLUMNS, MARKER = 5, 3, 3.0


def severities_pictures(study: Study) -> list[Picture]:
    """Return pictures of every primary measure, per way of saving the corrupted images and per eight combinations."""
    found: list[Picture] = []
    for saved in ("", JPEG):
        there = {name: own for name in study.measures if (own := cells_of(study.frame, measure=name, saved=saved))}
        primary = {name: own for name, own in there.items() if study.measures[name].primary}
        for number, (name, cells) in enumerate((primary or dict(list(there.items())[:1])).items()):
            labels = list(combinations(study))
            size = ceil(len(labels) / ceil(len(labels) / MOST_SERIES))
            stem = slug(f"severities{saved}") + (f"-{slug(name)}" if number else "")
            for k in range(0, len(labels), size):
                part = (k // size + 1, ceil(len(labels) / size))
                own = labels[k : k + size]
                found.append(_picture(study, study.measures[name], cells, own, saved, part, stem=stem))
    return found


def severities_figure(panels: Panels, *, measure: Measure, width: float = WIDTH) -> Figure:
    """Return the figure.

    Args:
        panels: By corruption, then by model; the marks of the severities in order.
        measure: What is shown.
        width: In inches.
    """
    columns = COLUMNS if width >= WIDTH else FEW_COLUMNS
    models = list(next(iter(panels.values())))
    longest = max(len(each) for each in models) + 6
    per_line = max(1, min(len(models), int((width - LEFT) / (0.4 + 0.06 * longest))))
    legend = LEGEND * ceil(len(models) / per_line) + 0.1
    lines = ceil(len(panels) / columns)
    height = legend + lines * (HEAD + PLOT) + FOOT
    figure = new_figure(height, width=width)
    across = (width - LEFT - RIGHT - (columns - 1) * GAP) / columns
    marks = [mark for own in panels.values() for every in own.values() for mark in every]
    spans = [each for mark in marks for each in mark.span]
    low, high = min(spans, default=0.0), max(spans, default=1.0)
    margin = 0.05 * (high - low) or 0.01
    top = min(high + margin, 1.02) if measure.percent else high + margin
    for number, (corruption, own) in enumerate(panels.items()):
        line, column = divmod(number, columns)
        bottom = height - legend - (line + 1) * (HEAD + PLOT)
        place = ((LEFT + column * (across + GAP)) / width, bottom / height, across / width, PLOT / height)
        axes = figure.add_axes(place)
        axes.set_title(in_words(corruption), size=7, pad=3)
        axes.set(xlim=(0.6, 5.4), ylim=(measure.scaled(low - margin), measure.scaled(top)))
        is_lowest = number + columns >= len(panels)
        axes.set_xticks(SEVERITIES)
        axes.tick_params(labelbottom=is_lowest, labelleft=column == 0)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=ROUND))
        axes.grid(axis="y", alpha=0.18, linewidth=0.5)
        for model, marks in enumerate(own.values()):
            _draw(axes, marks, measure, model)
    middle = (LEFT + width - RIGHT) / 2 / width
    figure.text(middle, 0.06 / height, "severity", ha="center", va="bottom")
    upwards = (FOOT + (height - legend - FOOT) / 2) / height
    figure.text(0.05 / width, upwards, measure.label, rotation=90, va="center")
    handles = [
        _handle(k, name, [mark for own in panels.values() for mark in own[name]]) for k, name in enumerate(models)
    ]
    figure.legend(handles=handles, loc="upper center", ncols=per_line, bbox_to_anchor=(middle, 1), borderaxespad=0.2)
    return figure


def _draw(axes: Axes, marks: Sequence[Mark], measure: Measure, number: int) -> None:
    own = look(number)
    curve(axes, marks, measure, own, width=1.0)
    for mark in marks:
        if mark.middle is not None:
            point(axes, mark.x, measure.scaled(mark.middle), mark, own, told=False, size=MARKER)
        elif any(each.done for each in marks):
            lost(axes, mark.x, mark, own, level=0, height=PLOT, told=False)


def _handle(number: int, title: str, marks: Sequence[Mark]) -> Line2D:
    """Return a model's line in the legend, with the number of its seeds where some are missing."""
    own, least = look(number), min(marks, key=lambda mark: mark.done)
    name = title if least.is_whole else f"{title} ({least.share})"
    handle = Line2D([], [], color=own.color, linestyle=own.dashes, marker=own.marker, markersize=SIZE, label=name)
    handle.set_markerfacecolor(own.color if least.is_whole else paper())
    if not any(mark.done for mark in marks):
        handle.set(linestyle="none", marker="x")
    return handle


def _picture(
    study: Study,
    measure: Measure,
    cells: Cells,
    combos: Sequence[Labels],
    saved: Saved,
    part: tuple[int, int],
    *,
    stem: str,
) -> Picture:
    name = stem + (f"-{part[0]}" if part[1] > 1 else "")
    which = f", part {part[0]} of {part[1]}" if part[1] > 1 else ""
    panels: dict[str, dict[str, list[Mark]]] = {}
    lines: list[dict[str, Any]] = []
    there = study.summary.filter(study.summary["measure"] == measure.name)
    for k, (corruption, own) in enumerate(cells.items()):
        panel = panels.setdefault(corruption, {})
        for cell in own:
            found = lines_of(study, there.filter(there["condition"] == cell.condition))
            for j, labels in enumerate(combos):
                title = name_of(dict(zip(study.axes, labels, strict=True)))
                gid, where = (
                    f"{name}-{k}-{j}-{cell.severity}",
                    f"{title}, {corruption.replace('_', ' ')} {cell.severity}",
                )
                mark = mark_of(found[labels], measure, gid=gid, label=where, x=float(cell.severity))
                panel.setdefault(title, []).append(mark)
                lines.append(found[labels])
    # The legend names models without any result; a cross marks a hole in a line.
    shown = [own for panel in panels.values() for own in panel.values() if any(mark.done for mark in own)]
    marks = [mark for own in shown for mark in own]
    several = any(mark.planned > 1 for mark in marks)
    spread = ": median over the seeds, bands from the 10 % to the 90 % quantile" if several else ""
    saving = ", saved as JPEG in between" if saved else ""
    words = measure.words
    return Picture(
        name=name,
        title=f"{sentence(words)} by severity of the corruption{saving}{which}",
        caption=f"{sentence(words)} under {len(panels)} corruptions{saving} against their severity{spread}; "
        f"{counted(lines)}.{signs(marks)}{cautions(study, lines)}",
        alt=_alt(panels, measure),
        draw=partial(severities_figure, panels, measure=measure),
        narrow=partial(severities_figure, panels, measure=measure, width=NARROW),
        values={mark.gid: mark.text for mark in marks},
        size=longest(each for panel in panels.values() for each in panel.values()),
    )


def _alt(panels: Panels, measure: Measure) -> str:
    parts = []
    for model in next(iter(panels.values())):
        last = {name: own[model][-1].middle for name, own in panels.items()}
        there = {name: value for name, value in last.items() if value is not None}
        if there:
            worst = (max if measure.better == "lower" else min)(there, key=lambda name: there[name])
            parts.append(f"{model} is worst under {in_words(worst)}: {with_unit(measure, there[worst])}")
    return f"Small line charts, one per corruption. At the highest severity: {'; '.join(parts) or 'no result'}."

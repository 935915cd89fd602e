"""Errors under every corruption, models down and corruptions across, with the numbers."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from withstand.reports.chart import SMALL, faint, paper
from withstand.reports.figure import BLUE, ON_DARK, WIDTH, new_figure
from withstand.reports.marks import Mark, combinations, counted, lines_of, mark_of, missing_sentence
from withstand.reports.measures import Measure, slug
from withstand.reports.picture import Picture
from withstand.results.aggregate import aggregate
from withstand.results.condition import CLEAN, JPEG, NOISE, Saved
from withstand.results.corruption_means import MEAN, accuracy_of, averaged, corruption_cells, corruption_means
from withstand.results.study import Study, name_of

Table = Mapping[str, Mapping[str, Mark]]
MOST_MODELS, LONGEST_NAME = 20, 24
LIGHTEST, STRONGEST = 0.03, 0.62  # share of the colour in a cell without errors, and in the one with the most
# Inches.
CELL, HEAD, MARGIN, LETTER, APART = 0.235, 0.92, 0.1, 0.059, 0.07


def heat_map_pictures(study: Study) -> list[Picture]:
    """Return a picture per way of saving the corrupted images, and per twenty combinations."""
    found: list[Picture] = []
    measure = accuracy_of(study.frame)
    for saved in ("", JPEG):
        kinds = list(corruption_cells(study.frame, measure=measure, saved=saved))
        labels = list(combinations(study))
        size = ceil(len(labels) / ceil(len(labels) / MOST_MODELS))
        for k in range(0, len(labels) if kinds else 0, size):
            part = (k // size + 1, ceil(len(labels) / size))
            found.append(_picture(study, measure, kinds, labels[k : k + size], saved, part))
    return found


def heat_map_figure(table: Table) -> Figure:
    """Return the figure.

    Args:
        table: By column, then by model; the values are errors. The columns `clean` and `mean` stand apart.
    """
    columns, models = list(table), list(next(iter(table.values())))
    names = {name: _short(name) + _share([table[each][name] for each in columns]) for name in models}
    left = MARGIN + LETTER * max(len(each) for each in names.values())
    height = HEAD + CELL * len(models) + MARGIN
    figure = new_figure(height)
    axes = figure.add_axes(
        (left / WIDTH, MARGIN / height, (WIDTH - left - MARGIN) / WIDTH, 1 - (HEAD + MARGIN) / height)
    )
    # Seeds that are missing all along a line are told beside its name.
    starred = [len({table[each][name].share for each in columns}) > 1 for name in models]
    apart = {name for name in columns if name in (CLEAN, "mean")}
    gap = APART / ((WIDTH - left - MARGIN - APART * len(apart)) / len(columns))
    places: dict[str, float] = {}
    x = 0.0
    for name in columns:
        x += gap if name == "mean" and places else 0
        places[name] = x
        x += 1 + (gap if name == CLEAN else 0)
    axes.set(xlim=(0, x), ylim=(len(models), 0))
    axes.set_axis_off()
    largest = max(
        (mark.middle for own in table.values() for mark in own.values() if mark.middle is not None), default=1.0
    )
    for name, column in table.items():
        text = name.replace("_", " ")
        weight = "bold" if name in apart else "normal"
        axes.text(places[name] + 0.5, -0.2, text, rotation=60, rotation_mode="anchor", size=6.5, weight=weight)
        least = min((mark.middle for mark in column.values() if mark.middle is not None), default=None)
        for k, mark in enumerate(column.values()):
            best = len(column) > 1 and mark.middle is not None and mark.middle == least
            _cell(axes, places[name], k, mark, largest or 1.0, best=best, starred=starred[k])
    for k, name in enumerate(names.values()):
        axes.text(-0.12, k + 0.5, name, ha="right", va="center", size=7)
    return figure


def _cell(axes: Axes, x: float, y: float, mark: Mark, largest: float, *, best: bool, starred: bool) -> None:
    if mark.middle is None:
        box = Rectangle((x, y), 1, 1, facecolor="none", edgecolor=faint(), linewidth=0.4, hatch="////", alpha=0.5)
        box.set_gid(mark.gid)
        axes.add_patch(box)
        return
    strongest = ON_DARK[BLUE] if paper() in ON_DARK.values() else BLUE
    colors = LinearSegmentedColormap.from_list("errors", [paper(), strongest])
    shade = colors(LIGHTEST + (STRONGEST - LIGHTEST) * mark.middle / largest)
    box = Rectangle((x, y), 1, 1, facecolor=shade, edgecolor=paper(), linewidth=0.8)
    box.set_gid(mark.gid)
    axes.add_patch(box)
    ink = max((mpl.rcParams["text.color"], paper()), key=lambda each: _contrast(each, shade))
    star = "*" if starred and not mark.is_whole else ""
    text = f"{100 * mark.middle:.1f}{star}"
    axes.text(
        x + 0.5, y + 0.53, text, ha="center", va="center", size=SMALL, color=ink, weight="bold" if best else "normal"
    )


def _picture(
    study: Study,
    measure: str,
    kinds: Sequence[str],
    combos: Sequence[tuple[Any, ...]],
    saved: Saved,
    part: tuple[int, int],
) -> Picture:
    name = slug(f"heat map{saved}") + (f"-{part[0]}" if part[1] > 1 else "")
    which = f", part {part[0]} of {part[1]}" if part[1] > 1 else ""
    summary = aggregate(corruption_means(study.frame, measure=measure, saved=saved))
    clean = study.summary.filter((study.summary["measure"] == measure) & (study.summary["condition"] == CLEAN + saved))
    if saved and clean.is_empty():
        clean = study.summary.filter((study.summary["measure"] == measure) & (study.summary["condition"] == CLEAN))
    columns = {} if clean.is_empty() else {CLEAN: lines_of(study, clean)}
    columns |= {kind: lines_of(study, summary.filter(summary["condition"] == kind)) for kind in kinds}
    columns["mean"] = lines_of(study, summary.filter(summary["condition"] == MEAN))
    table: dict[str, dict[str, Mark]] = {}
    for k, (column, lines) in enumerate(columns.items()):
        for j, labels in enumerate(combos):
            title = name_of(dict(zip(study.axes, labels, strict=True)))
            where = f"{title}, {'mean over the corruptions' if column == 'mean' else column.replace('_', ' ')}, error"
            mark = mark_of(_error(lines[labels]), Measure(measure), gid=f"{name}-{k}-{j}", label=where)
            table.setdefault(column, {})[title] = mark
    lines = [own[labels] for column, own in columns.items() for labels in combos]
    marks = [mark for own in table.values() for mark in own.values()]
    members = averaged(list(kinds))
    without = [each for each in kinds if each not in members]
    rest = f" (not {', '.join(each.replace('_', ' ') for each in without)})" if without else ""
    noise = f", {len([each for each in members if each in NOISE])} of them noise" if set(members) & set(NOISE) else ""
    several = "Median over the seeds of the error" if any(each.planned > 1 for each in marks) else "Error"
    stars = (
        " Beside names, or as a star: seeds are missing." if any(0 < each.done < each.planned for each in marks) else ""
    )
    hatched = " Hatched: no result." if any(not each.done for each in marks) else ""
    best = " Bold: the lowest of a column." if len(combos) > 1 else ""
    saving = ", saved as JPEG in between" if saved else ""
    return Picture(
        name=name,
        title=f"Errors by corruption{saving}{which}",
        caption=f"{several} in percent, mean over the severities, under {len(kinds)} corruptions{saving}; mean: over "
        f"{len(members)} corruptions{noise}{rest}; {counted(lines)}.{best}{stars}{hatched}"
        f"{missing_sentence(study, lines)}",
        alt=_alt(table),
        draw=partial(heat_map_figure, table),
        values={mark.gid: mark.text for mark in marks},
    )


def _error(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of accuracies as one of errors."""
    if line["q50"] is None:
        return dict(line)
    return dict(line) | {"q10": 1 - line["q90"], "q50": 1 - line["q50"], "q90": 1 - line["q10"]}


def _alt(table: Table) -> str:
    told = [mark.text for mark in table["mean"].values()]
    return f"Table of errors, models down and {len(table)} conditions across. {'; '.join(told)}."


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

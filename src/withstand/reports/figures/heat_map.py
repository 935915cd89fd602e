"""A measure per corruption, such as the mean error over its severities: models down and corruptions across."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import ceil
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from withstand.conditions import CLEAN, CORRUPTIONS, JPEG, MEAN, Saved, in_words, parse_corruption
from withstand.reports.figures.chart import SMALL, faint, paper
from withstand.reports.figures.marks import Mark, combinations, counted, lines_of, mark_of, missing_sentence
from withstand.reports.figures.picture import Picture
from withstand.reports.figures.style import BLUE, ON_DARK, WIDTH, new_figure
from withstand.reports.numbers import number, sentence, slug
from withstand.study.measures.cells import averaged, cells_of
from withstand.study.measures.measure import Measure
from withstand.study.study import Study, name_of

Labels = tuple[Any, ...]
Summary = dict[Labels, dict[str, Any]]
MOST_MODELS, LONGEST_NAME = 20, 24
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


def heat_map_pictures(study: Study) -> list[Picture]:
    """Return a picture per way of saving the corrupted images, and per twenty combinations."""
    found: list[Picture] = []
    pairs = list(study.summary.select("measure", "condition").drop_nulls().unique(maintain_order=True).iter_rows())
    for saved in ("", JPEG):
        own = [(name, kind[0]) for name, each in pairs if (kind := parse_corruption(each)) and kind[1] == saved]
        name = next((each for each in study.measures if each in dict(own)), None)
        kinds = sorted((kind for each, kind in own if each == name), key=CORRUPTIONS.index)
        labels = list(combinations(study))
        size = ceil(len(labels) / ceil(len(labels) / MOST_MODELS))
        columns = [] if name is None else _columns(study, study.measures[name], kinds, pairs, saved)
        for k in range(0, len(labels) if columns else 0, size):
            part = (k // size + 1, ceil(len(labels) / size))
            found.append(_picture(study, columns, labels[k : k + size], saved, part))
    return found


def heat_map_figure(columns: Sequence[HeatColumn]) -> Figure:
    """Return the figure.

    Args:
        columns: From the left to the right; those of corruptions share a measure.
    """
    models = list(columns[0].marks)
    there = [each for each in columns if each.place != "overall"]
    marks = {name: [each.marks[name] for each in columns if _is_there(each, name)] for name in models}
    names = {name: _short(name) + _share(own) for name, own in marks.items()}
    left = MARGIN + LETTER * max(len(each) for each in names.values())
    head = HEAD + SLOPE * max(len(each.head) for each in columns)
    height = head + CELL * len(models) + MARGIN
    figure = new_figure(height)
    # Heads lean to the right: the last one needs room next to it.
    right = MARGIN + max(0.0, LEAN * len(columns[-1].head) - CELL)
    across = WIDTH - left - right
    axes = figure.add_axes((left / WIDTH, MARGIN / height, across / WIDTH, 1 - (head + MARGIN) / height))
    # Seeds that are missing all along a line are named next to its name.
    starred = {name: len({mark.share for mark in own}) > 1 for name, own in marks.items()}
    # Places are in widths of a cell; the gaps between groups, in inches, become wider before overall numbers.
    groups = [each.place for each in columns]
    steps = [0 if before == after else 2 if after == "overall" else 1 for before, after in pairwise(groups)]
    gap = APART / ((across - APART * sum(steps)) / len(columns))
    places = [k + gap * sum(steps[:k]) for k in range(len(columns))]
    axes.set(xlim=(0, places[-1] + 1), ylim=(len(models), 0))
    axes.set_axis_off()
    largest = max(
        (mark.middle for each in there for mark in each.marks.values() if mark.middle is not None), default=1.0
    )
    for x, column in zip(places, columns, strict=True):
        weight = "normal" if column.place == "corruption" else "bold"
        axes.text(x + 0.5, -0.2, column.head, rotation=60, rotation_mode="anchor", size=6.5, weight=weight)
        values = [mark.middle for mark in column.marks.values() if mark.middle is not None]
        best = (max if column.measure.better == "higher" else min)(values, default=None)
        best = best if len(values) > 1 and column.measure.better else None
        scale = None if column.place == "overall" else largest or 1.0
        for k, model in enumerate(models):
            if not _is_there(column, model):
                axes.text(x + 0.5, k + 0.53, "\N{EN DASH}", ha="center", va="center", size=SMALL, color=faint())
                continue
            mark = column.marks[model]
            text = "" if mark.middle is None else number(column.measure, mark.middle)
            text += "*" if starred[model] and not mark.is_whole and text else ""
            _cell(axes, x, k, mark, text, scale, is_best=mark.middle is not None and mark.middle == best)
    for k, name in enumerate(names.values()):
        axes.text(-0.12, k + 0.5, name, ha="right", va="center", size=7)
    return figure


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


def _is_there(column: HeatColumn, model: str) -> bool:
    """Return whether a model has a cell: it may lack an overall number, such as the mCE, without a hole."""
    return column.place != "overall" or column.marks[model].done > 0


def _columns(
    study: Study, measure: Measure, kinds: Sequence[str], pairs: Sequence[tuple[str, str]], saved: Saved
) -> list[tuple[HeatColumn, Summary]]:
    """Return the columns without their marks, each with its lines of the summary."""
    accuracy, summary = study.accuracy, study.summary

    def lines(name: str, condition: str) -> Summary:
        return lines_of(study, summary.filter((summary["measure"] == name) & (summary["condition"] == condition)))

    def opposite(*conditions: str) -> Summary:
        """Return what is missing to the whole of an accuracy, under the first condition that there is."""
        if (
            accuracy is None
            or not (accuracy.percent and measure.percent)
            or measure.direction * accuracy.direction >= 0
        ):
            return {}
        own = next((each for each in conditions if (accuracy.name, each) in known), None)
        return {} if own is None else {labels: _error(line) for labels, line in lines(accuracy.name, own).items()}

    known = set(pairs)
    found: list[tuple[HeatColumn, Summary]] = []
    if clean := opposite(CLEAN + saved, CLEAN):
        found.append((HeatColumn(head="clean", measure=measure, place="clean", marks={}), clean))
    for kind in kinds:
        head = HeatColumn(head=in_words(kind), measure=measure, place="corruption", marks={})
        found.append((head, lines(measure.name, kind + saved)))
    topics = {study.measures[name].topic for name, condition in pairs if parse_corruption(condition)}
    overall: dict[str, str] = {}
    for name, condition in pairs:
        other = study.measures[name]
        if condition.endswith(MEAN + saved) and other.topic in topics and other.better == measure.better:
            overall.setdefault(name, condition)
    if not overall and (mean := opposite(MEAN + saved)):
        found.append((HeatColumn(head="mean", measure=measure, place="mean", marks={}), mean))
    for name, condition in overall.items():
        other = study.measures[name]
        found.append((HeatColumn(head=other.words, measure=other, place="overall", marks={}), lines(name, condition)))
    return found


def _picture(
    study: Study,
    columns: Sequence[tuple[HeatColumn, Summary]],
    combos: Sequence[Labels],
    saved: Saved,
    part: tuple[int, int],
) -> Picture:
    name = slug(f"heat map{saved}") + (f"-{part[0]}" if part[1] > 1 else "")
    which = f", part {part[0]} of {part[1]}" if part[1] > 1 else ""
    titles = {labels: name_of(dict(zip(study.axes, labels, strict=True))) for labels in combos}
    drawn: list[HeatColumn] = []
    for k, (column, lines) in enumerate(columns):
        what = column.head if column.place == "overall" else f"{column.head} error"
        what = f"{column.head}, {column.measure.words}" if column.place == "corruption" else what
        marks = {
            title: mark_of(lines[labels], column.measure, gid=f"{name}-{k}-{j}", label=f"{title}, {what}")
            for j, (labels, title) in enumerate(titles.items())
        }
        drawn.append(replace(column, marks=marks))
    shown = [(each, title) for each in drawn for title in each.marks if _is_there(each, title)]
    lines = [
        own[labels]
        for each, (_, own) in zip(drawn, columns, strict=True)
        for labels, title in titles.items()
        if _is_there(each, title)
    ]
    measure = next(each.measure for each in drawn if each.place == "corruption")
    number_of = sum(each.place == "corruption" for each in drawn)
    saving = ", saved as JPEG in between" if saved else ""
    over = " over the seeds" if any(line["planned"] > 1 for line in lines) else ""
    several = f"Median{over} of the {measure.words}" if over else sentence(measure.words)
    plural = "s" if number_of > 1 else ""
    return Picture(
        name=name,
        title=f"{sentence(measure.words)} by corruption{saving}{which}",
        caption=f"{several}{', in percent' if measure.percent else ''}, mean over the severities, under {number_of} "
        f"corruption{plural}{saving}; {counted(lines)}.{_about(study, drawn, shown, saved)}"
        f"{missing_sentence(study, lines)}",
        alt=_alt(drawn, shown, measure),
        draw=partial(heat_map_figure, drawn),
        values={each.marks[title].gid: each.marks[title].text for each, title in shown},
        form="heat map",
        size=number_of * (len(combos) - 1),
    )


def _about(study: Study, drawn: Sequence[HeatColumn], shown: Sequence[tuple[HeatColumn, str]], saved: Saved) -> str:
    """Return sentences about the columns and signs of the figure, each after a space."""
    marks = [each.marks[title] for each, title in shown]
    overall = [each.measure.words for each in drawn if each.place == "overall"]
    mean = _without(study, saved) if any(each.place == "mean" for each in drawn) else ""
    rest = f" Not shaded: {', '.join(overall)}." if overall else ""
    rest += " A dash: not known of this model." if len(shown) < sum(len(each.marks) for each in drawn) else ""
    best = " Bold: the best of a column." if len(drawn[0].marks) > 1 else ""
    stars = " Beside names, or as a star: seeds are missing." if any(0 < m.done < m.planned for m in marks) else ""
    hatched = " Hatched: no result." if any(not each.done for each in marks) else ""
    return f"{mean}{rest}{best}{stars}{hatched}"


def _without(study: Study, saved: Saved) -> str:
    """Return which of the corruptions the mean over all leaves out, in a sentence."""
    cells = cells_of(study.frame, measure=study.accuracy.name if study.accuracy else "", saved=saved)
    kept = {each.corruption for each in averaged([cell for own in cells.values() for cell in own])}
    left = [in_words(each) for each in cells if each not in kept]
    return f" The mean is over {len(kept)} (not {', '.join(left)})." if left else ""


def _error(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of accuracies as one of errors."""
    if line["q50"] is None:
        return dict(line)
    return dict(line) | {"q10": 1 - line["q90"], "q50": 1 - line["q50"], "q90": 1 - line["q10"]}


def _alt(drawn: Sequence[HeatColumn], shown: Sequence[tuple[HeatColumn, str]], measure: Measure) -> str:
    texts = [each.marks[title].text for each, title in shown if each.place in ("mean", "overall")]
    return f"Table of the {measure.words}, models down and {len(drawn)} conditions across. {'; '.join(texts)}."


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

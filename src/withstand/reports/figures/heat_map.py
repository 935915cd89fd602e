"""A measure per corruption, such as the mean error over its severities: models down and corruptions across."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import ceil
from typing import Any

from withstand.conditions import CLEAN, CORRUPTIONS, JPEG, MEAN, Saved, in_words, is_of_suite, parse_corruption
from withstand.reports.figures.heat_map_figure import HeatColumn, heat_map_figure, is_there, tall_heat_map_figure
from withstand.reports.figures.tools.marks import cautions, combinations, counted, lines_of, mark_of
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.numbers import sentence, slug
from withstand.study.measures.cells import averaged, cells_of
from withstand.study.measures.measure import Measure
from withstand.study.study import Study, name_of

Labels = tuple[Any, ...]
Summary = dict[Labels, dict[str, Any]]
MOST_MODELS, MOST_ACROSS = 20, 6


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
    suites = [each for _, each in pairs if is_of_suite(each) and each.endswith(JPEG) == (saved == JPEG)]
    if not overall and (mean := opposite(MEAN + saved, *suites)):
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
    shown = [(each, title) for each in drawn for title in each.marks if is_there(each, title)]
    lines = [
        own[labels]
        for each, (_, own) in zip(drawn, columns, strict=True)
        for labels, title in titles.items()
        if is_there(each, title)
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
        f"{cautions(study, lines)}",
        alt=_alt(drawn, shown, measure),
        draw=partial(heat_map_figure, drawn),
        narrow=partial(tall_heat_map_figure, drawn) if len(combos) <= MOST_ACROSS else None,
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
    best = " Bold: the best model of a condition." if len(drawn[0].marks) > 1 else ""
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

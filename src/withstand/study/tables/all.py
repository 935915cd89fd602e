"""All the tables that rows of results make."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from withstand.conditions import is_mean
from withstand.rendering.grid import Grid
from withstand.study.measures.measure import ACCURACY, FURTHER, Measure
from withstand.study.measures.outcomes import OutcomeTable
from withstand.study.measures.row import Row
from withstand.study.measures.suites import ERRORS
from withstand.study.tables.accuracy import AccuracyTable, called, kinds_of, saved_ways
from withstand.study.tables.measures import class_table, is_by_class, measure_table

ByModel = Mapping[str, Sequence[Row]]


def tables(
    results: ByModel,
    measures: Mapping[str, Measure],
    *,
    outcomes: Mapping[str, OutcomeTable] | None = None,
    measure: str | None = None,
    each_severity: bool = False,
    notes: tuple[str, ...] = (),
    everywhere: tuple[str, ...] = (),
) -> list[Grid]:
    """Return tables that show every measure, one or more per topic.

    Args:
        results: Rows by model.
        measures: Measures of these rows, by name; one that is missing counts as a number of which nothing is known.
        outcomes: What the rows come from, by model, as far as it is known: gives means over corruptions their
            intervals.
        measure: The accuracy that is shown in full; None takes the first primary one.
        each_severity: Whether every severity has a line where models stand side by side.
        notes: Sentences about how inputs were changed: below the tables of accuracies, or, without any, below all.
        everywhere: Sentences below every table.

    Example:
        >>> top1 = Measure(name="top1", column="correct", words="top-1 accuracy", topic=ACCURACY, percent=True)
        >>> row = Row(measure="top1", condition="clean", value=0.9, count=100)
        >>> [each.title for each in tables({"model": [row]}, {"top1": top1})]
        ['Top-1 accuracy in percent, n = 100']
    """
    used = dict.fromkeys(row.measure for rows in results.values() for row in rows)
    measures = {name: measures.get(name) or Measure(name=name, column=name) for name in used}
    found: list[tuple[str, Grid]] = []
    claimed: set[str] = set()
    topics = list(dict.fromkeys(each.topic for each in measures.values()))
    for topic in sorted(topics, key=lambda each: (each == FURTHER, topics.index(each))):
        if topic == ACCURACY:
            own = [each for each in measures.values() if each.topic == ACCURACY]
            shown = measures.get(measure or "") or next((each for each in own if each.primary), own[0])
            main = AccuracyTable(results, measures, shown, outcomes=outcomes or {}, each_severity=each_severity)
            claimed |= main.claimed
            found.append((topic, main.table()))
        chosen = {each.name for each in measures.values() if each.topic == topic} - claimed
        rows = _of(results, lambda row, chosen=chosen: row.measure in chosen)
        if topic == ACCURACY:
            rows = _summarised(rows)
        claimed |= chosen
        found += [(topic, each) for each in _topic(rows, measures, topic, each_severity=each_severity)]
    changed = {ACCURACY, ERRORS} & set(topics) or set(topics)
    return [
        replace(each, notes=(*each.notes, *(notes if topic in changed else ()), *everywhere)) for topic, each in found
    ]


def _topic(results: ByModel, measures: Mapping[str, Measure], topic: str, *, each_severity: bool) -> list[Grid]:
    """Return the tables of a topic: by class for each condition that has classes, and one of all other rows."""
    found = []
    by_class = dict.fromkeys(
        row.condition for rows in results.values() for row in rows if is_by_class(measures[row.measure])
    )
    for condition in by_class:
        own = _of(results, lambda row, condition=condition: row.condition == condition)
        name = (
            topic
            if condition in ("clean", "clean by class")
            else f"{topic} under {condition.removesuffix(' by class')}"
        )
        found.append(class_table(own, _known(own, measures), name=name))
    rest = _of(results, lambda row: row.condition not in by_class)
    if rest:
        known = _known(rest, measures)
        name = f"Other {topic.lower()}" if topic == ACCURACY and len(known) > 1 else topic
        if topic == ACCURACY and len(known) == 1:
            name = next(iter(known.values())).words
        found.append(measure_table(rest, known, name=name, each_severity=each_severity))
    return found


def _of(results: ByModel, chosen) -> ByModel:  # type: ignore[no-untyped-def]
    """Return the chosen rows, with all models; nothing if there are none."""
    found = {model: [row for row in rows if chosen(row)] for model, rows in results.items()}
    return found if any(found.values()) else {}


def _known(results: ByModel, measures: Mapping[str, Measure]) -> dict[str, Measure]:
    used = {row.measure for rows in results.values() for row in rows}
    return {name: each for name, each in measures.items() if name in used}


def _summarised(results: ByModel) -> ByModel:
    """Return rows without the cells of corruptions of which there is a mean; labelled as in the main table."""
    found = {}
    ways = saved_ways(row.condition for rows in results.values() for row in rows)
    for model, rows in results.items():
        averaged = {row.measure for row in rows if is_mean(row.condition)}
        cells = {name for own in kinds_of([row.condition for row in rows]).values() for name in own}
        found[model] = [
            replace(row, condition=called(row.condition, ways)) if is_mean(row.condition) else row
            for row in rows
            if row.measure not in averaged or row.condition not in cells
        ]
    return found if any(found.values()) else {}

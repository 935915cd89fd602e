"""Tables of any measures: conditions and measures down, models across; classes down for measures by class."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from withstand.conditions import in_order
from withstand.rendering.grid import Grid
from withstand.study.measures.measure import BY_CLASS, Measure
from withstand.study.measures.row import Row
from withstand.study.tables.accuracy import kinds_of
from withstand.study.tables.cell_text import Line, Number, mean_of, number_table, title_of

KINDS = {"attacked": "upper bounds", "certified": "certified lower bounds", "estimated": "estimates"}
LITTLE = 0.02  # share of the samples
LOOSE = (
    "Certified accuracy near 0 is usual for networks that were not trained for it: the bounds are loose, which does "
    "not mean that attacks succeed."
)


class Place(NamedTuple):
    """Where a row is shown: what it is about, what was spent on it, and its measure.

    Attributes:
        condition: Without the budget.
        budget: Budget of the row, or else behind the first comma of the condition.
        measure: Its name.
        apart: The rest of the condition, where rows of one model would be at the same place without it.
    """

    condition: str
    budget: str
    measure: str
    apart: str = ""


def measure_table(
    results: Mapping[str, Sequence[Row]],
    measures: Mapping[str, Measure],
    *,
    name: str,
    each_severity: bool = False,
) -> Grid:
    """Return the rows of some measures, models across.

    Where a measure says how it was obtained, the budget of a row (or the part of its condition behind the first comma)
    is in a note; and in the lines of conditions that have several. Severities of a corruption are averaged.

    Args:
        results: Rows by model, at least one.
        measures: Measures of these rows, by name.
        name: First words of the title.
        each_severity: Whether each severity has a line of its own.

    Example:
        >>> mean = Measure(name="mean", column="correct", words="mean over the ball", kind="estimated", percent=True)
        >>> row = Row(measure="mean", condition="linf 0.1, mean of 256", value=0.9, count=100)
        >>> table = measure_table({"model": [row]}, {"mean": mean}, name="Balls")
        >>> table.lines, table.notes
        ((('linf 0.1', '90.0'),), ('Estimates: mean over the ball.', 'Budget: mean of 256.'))
    """
    values = _by_place(results, measures, each_severity=each_severity)
    places = list(dict.fromkeys(place for rows in values.values() for place in rows))
    conditions, names = in_order(place.condition for place in places), list(measures)
    places.sort(key=lambda place: (conditions.index(place.condition), names.index(place.measure)))
    used = [each for each in measures.values() if any(place.measure == each.name for place in places)]
    percent = all(each.percent for each in used)
    words = {each.name: each.words if percent else each.label for each in used}
    times = Counter((place.condition, place.measure) for place in places)
    every = [row for rows in results.values() for row in rows]
    if len(used) == 1 and name.lower() != used[0].words.lower():
        name = f"{name}: {words[used[0].name]}"
    labels = [
        _label(place, words) if times[place.condition, place.measure] > 1 else words[place.measure] for place in places
    ]
    lines = _lines(places, labels, measures, values)
    columns, num_labels = ("condition", "measure", *results), 2
    if len(used) == 1 and max(times.values(), default=0) < 2:
        columns, num_labels = ("condition", *results), 1
        lines = [line and (line[0], *line[2:]) for line in lines]
    notes = _notes(places, used, every)
    if not each_severity and kinds_of([row.condition for row in every]):
        notes.append("Corruptions: means over the severities.")
    return number_table(title_of(name, used, every), columns, lines, num_labels=num_labels, notes=notes)


def _label(place: Place, words: Mapping[str, str]) -> str:
    """Return the words of a measure and what was spent on it."""
    return ", ".join(filter(None, (words[place.measure], place.budget, place.apart)))


def _lines(
    places: Sequence[Place],
    labels: Sequence[str],
    measures: Mapping[str, Measure],
    values: Mapping[str, Mapping[Place, Row | None]],
) -> list[Line]:
    """Return a line per place, with rules between conditions that have several."""
    has_rules = len({place.condition for place in places}) < len(places)
    several = len({place.measure for place in places}) > 1
    lines: list[Line] = []
    for before, place, label in zip((None, *places), places, labels, strict=False):
        lines += [None] if has_rules and before and before.condition != place.condition else []
        measure = measures[place.measure]
        numbers = (Number(measure, rows.get(place), measure.words if several else "") for rows in values.values())
        lines.append((place.condition, label, *numbers))
    return lines


def class_table(results: Mapping[str, Sequence[Row]], measures: Mapping[str, Measure], *, name: str) -> Grid:
    """Return a measure by class under one condition, and below it what else there is of it, models across.

    Example:
        >>> recall = Measure(name="recall A", column="correct", reduction="by_class", parameters={"class": "A"})
        >>> row = Row(measure="recall A", condition="clean", value=0.9, count=10)
        >>> class_table({"model": [row]}, {"recall A": recall}, name="Recall").lines
        (('A', '10', '0.90'),)
    """
    values = {model: {row.measure: row for row in rows} for model, rows in results.items()}
    used = [measures[each] for each in dict.fromkeys(row.measure for rows in results.values() for row in rows)]
    classes = [each for each in used if is_by_class(each)]
    others = [each for each in used if not is_by_class(each)]
    lines: list[Line] = []
    for measure in (*classes, *others):
        of_class = measure in classes
        own = [rows.get(measure.name) for rows in values.values()]
        count = " or ".join(f"{size:,}" for size in dict.fromkeys(row.count for row in own if row))
        label = str(measure.parameters["class"]) if of_class else measure.words
        group = measure.words if not of_class else "classes" if others else ""
        lines.append((label, count, *(Number(measure, row, group) for row in own)))
    if classes and others:
        lines.insert(len(classes), None)
    return number_table(title_of(name, used, []), ("class", "samples", *results), lines, num_labels=2)


def is_by_class(measure: Measure) -> bool:
    """Return whether a measure is about one class."""
    return measure.reduction == BY_CLASS and "class" in measure.parameters


def _by_place(
    results: Mapping[str, Sequence[Row]], measures: Mapping[str, Measure], *, each_severity: bool
) -> dict[str, dict[Place, Row | None]]:
    """Return the rows of every model by their place; those of the severities of a corruption as their mean."""
    rows_of = {model: _graded(rows, each_severity=each_severity) for model, rows in results.items()}
    crowded: set[Place] = set()
    for rows in rows_of.values():
        times = Counter(_place(condition, row, measures[row.measure])._replace(apart="") for condition, row in rows)
        crowded |= {place for place, number in times.items() if number > 1}
    found: dict[str, dict[Place, Row | None]] = {}
    for model, rows in rows_of.items():
        found[model] = {}
        for condition, row in rows:
            place = _place(condition, row, measures[row.measure])
            bare = place._replace(apart="")
            found[model].setdefault(place if bare in crowded else bare, row)
    return found


def _graded(rows: Sequence[Row], *, each_severity: bool) -> list[tuple[str, Row]]:
    """Return rows with their conditions; those of the severities of a corruption as one, their mean."""
    graded = {} if each_severity else kinds_of(dict.fromkeys(row.condition for row in rows))
    kinds = {name: kind for kind, own in graded.items() for name in own}
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((kinds.get(row.condition, row.condition), row.measure), []).append(row)
    means = {key: mean_of(own) if key[0] in graded and len(own) > 1 else own[0] for key, own in found.items()}
    return [(condition, row) for (condition, _), row in means.items() if row is not None]


def _place(condition: str, row: Row, measure: Measure) -> Place:
    if measure.kind not in KINDS and not measure.budget:
        return Place(condition, row.budget, row.measure)
    ball, spent = _apart(condition)
    return Place(ball, row.budget or spent, row.measure, spent if row.budget and row.budget != spent else "")


def _apart(condition: str) -> tuple[str, str]:
    """Return the set of points, and what was spent on it.

    Example:
        >>> _apart("linf 0.1, PGD-40 x 3")
        ('linf 0.1', 'PGD-40 x 3')
    """
    ball, _, budget = condition.partition(", ")
    return ball, budget


def _notes(places: Sequence[Place], measures: Sequence[Measure], rows: Sequence[Row]) -> list[str]:
    """Return how the numbers were obtained: bounds and estimates with their budgets."""
    words = {each.name: each.words for each in measures if each.kind in KINDS}
    budgets: dict[tuple[str, ...], list[str]] = {}
    for name in words:
        own: dict[str, dict[str, None]] = {}
        for place in places:
            if place.measure == name and place.budget:
                own.setdefault(place.budget, {})[place.condition] = None
        different = len({tuple(each) for each in own.values()}) > 1
        texts = [f"{budget} ({', '.join(each)})" if different else budget for budget, each in own.items()]
        budgets.setdefault(tuple(texts), []).append(words[name])
    notes = []
    for kind, meaning in KINDS.items():
        if shown := [each.words for each in measures if each.kind == kind]:
            notes.append(f"{meaning[:1].upper()}{meaning[1:]}: {', '.join(shown)}.")
    for texts, names in budgets.items():
        of = f" of {' and '.join(names)}" if len(budgets) > 1 else ""
        notes += [f"Budget{'s' * (len(texts) > 1)}{of}: {'; '.join(texts)}."] if texts else []
    certified = [each.name for each in measures if each.kind == "certified" and each.percent]
    if any(row.measure in certified and row.value < LITTLE for row in rows):
        notes.append(LOOSE)
    return notes

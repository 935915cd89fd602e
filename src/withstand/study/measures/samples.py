"""Predictions per sample, and the first failing severity or radius."""

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from withstand.conditions import CLEAN, along, parse_cell, severities_tried
from withstand.study.measures.outcomes import ConditionOutcomes, OutcomeTable
from withstand.study.measures.reductions import class_words

if TYPE_CHECKING:
    import numpy as np
    import polars

BREAKS = "breaks"  # the column of a threshold
SHOWN = ("prediction", "confidence", "correct", "certified", "radius", "distance")


class Step(NamedTuple):
    """A condition that is one of a growing series: a severity of a corruption, or a radius of a ball.

    Attributes:
        family: Name of the series.
        size: Size of the step.
    """

    family: str
    size: float


class Break(NamedTuple):
    """Where a sample breaks within a series of conditions.

    Attributes:
        family: Name of the series, e.g. `fog`.
        size: The first severity, radius or other number at which the sample is wrong; None for a single condition.
        prediction: Name of the predicted class there; empty if it is unknown.
    """

    family: str
    size: float | None
    prediction: str


class BrokenSample(NamedTuple):
    """A sample that is right on clean inputs and breaks.

    Attributes:
        number: In its split.
        identifier: File or row; None if there is none.
        label: Name of its class.
        breaks: One per series under which it is wrong anywhere.
    """

    number: int
    identifier: str | None
    label: str
    breaks: tuple[Break, ...]


def first_to_break(table: OutcomeTable, number: int) -> list[BrokenSample]:
    """Return the samples that break first: at the first step of a series, and of these under the most conditions.

    Where clean inputs were measured, only samples that are right on these count.

    Args:
        table: Outcomes of a model.
        number: How many, at most.
    """
    import numpy as np

    series: dict[str, list[tuple[float | None, ConditionOutcomes, np.ndarray]]] = {}
    size = len(table.empty())
    counts, there = np.zeros(size, dtype=np.int64), np.ones(size, dtype=bool)
    first = np.full(size, np.iinfo(np.int64).max)
    for own in map(table.of, dict.fromkeys(each.condition for each in table.conditions)):
        right = _right(own)
        if right is None:
            continue
        wrong = np.zeros(size, dtype=bool)
        wrong[table.places(own)] = own.frame[right].cast(float).fill_null(0.0).to_numpy() < 0.5
        if own.condition == CLEAN:
            there = np.zeros(size, dtype=bool)
            there[table.places(own)] = ~wrong[table.places(own)]
            continue
        step = _step(own.condition)
        series.setdefault(step.family if step else own.condition, []).append((step and step.size, own, wrong))
        counts += wrong
    series = dict(_named_alone(name, steps) for name, steps in series.items())
    for steps in series.values():
        steps.sort(key=lambda each: each[0] or 0.0)
        for place, (_, own, wrong) in enumerate(steps):
            cell = parse_cell(own.condition)
            first[wrong] = np.minimum(first[wrong], cell.severity - 1 if cell else place)
    classes = class_words(table.classes)
    places = np.flatnonzero(there & (counts > 0))
    chosen = places[np.lexsort((places, -counts[places], first[places]))][:number]
    samples = {line["place"]: line for line in _samples(table).iter_rows(named=True)}
    return [
        BrokenSample(
            number=samples[place]["number"],
            identifier=samples[place]["identifier"],
            label=classes[samples[place]["label"]],
            breaks=tuple(
                found for name, steps in series.items() if (found := _break(table, classes, name, steps, place))
            ),
        )
        for place in chosen.tolist()
    ]


def sample_table(table: OutcomeTable, *, model: str) -> "polars.DataFrame":
    """Return a line per sample, what is wrong under most conditions first.

    Args:
        table: Outcomes of the model.
        model: Its name.
    """
    import polars

    frame = _samples(table)
    names = polars.Series(table.classes, dtype=polars.String)
    series: dict[str, list[tuple[float, polars.Expr]]] = {}
    wrong: list[polars.Expr] = []
    for own in map(table.of, dict.fromkeys(each.condition for each in table.conditions)):
        columns = [each for each in own.frame.columns if each != "number"]
        right = _right(own)
        chosen = [polars.Series(each, own.frame[each]) for each in dict.fromkeys((*SHOWN, right)) if each in columns]
        if breaks := _first_wrong(own):
            chosen += breaks
            wrong.append(polars.col(f"{own.condition}: {BREAKS}").is_not_null())
        if not chosen:  # nothing that tables of samples show
            continue
        found = polars.DataFrame([each.alias(f"{own.condition}: {each.name}") for each in chosen])
        place = polars.Series("place", table.places(own))
        frame = frame.join(found.with_columns(place), on="place", how="left", maintain_order="left")
        taken = f"{own.condition}: prediction"
        if taken in frame.columns:
            frame = frame.with_columns(names.gather(frame[taken]).alias(taken))
        if right is None:
            continue
        value = polars.col(f"{own.condition}: {right}")
        is_wrong = ~value if own.frame[right].dtype == polars.Boolean else value < 0.5
        wrong.append(is_wrong)
        if step := _step(own.condition):
            series.setdefault(step.family, []).append((step.size, is_wrong))
    breaks = {
        f"breaks: {family}": polars.coalesce(
            polars.when(each).then(size) for size, each in sorted(own, key=lambda one: one[0])
        )
        for family, own in series.items()
    }
    first = ("model", "number", "identifier", "label", *breaks)
    frame = _wrong_first(frame.with_columns(**breaks), wrong)
    return frame.with_columns(model=polars.lit(model), label=names.gather(frame["label"])).select(
        *first, polars.all().exclude("place", *first)
    )


def _wrong_first(frame: "polars.DataFrame", wrong: "Sequence[polars.Expr]") -> "polars.DataFrame":
    """Return the samples sorted: wrong on clean inputs, then wrong under most conditions, then the nearest first."""
    import polars

    clean = f"{CLEAN}: correct"
    order = [polars.col(clean).cast(polars.Float64)] if clean in frame.columns else []
    order += [-polars.sum_horizontal(each.cast(polars.Int32) for each in wrong)] if wrong else []
    near = [each for each in frame.columns if each.endswith((": distance", f": {BREAKS}"))]
    order += [polars.col(each).fill_null(inf) for each in near[:1]]
    return frame.sort(*order, "number") if order else frame


def _first_wrong(own: ConditionOutcomes) -> "list[polars.Series]":
    """Return the lowest severity tried at which each sample is wrong; nothing for other conditions than thresholds."""
    import polars

    tried = severities_tried(own.frame.columns)
    if not tried:
        return []
    first = polars.coalesce(polars.when(~polars.col(name)).then(size) for size, name in tried.items())
    return [own.frame.select(first.cast(polars.Float64).alias(BREAKS)).to_series()]


def _named_alone(
    name: str, steps: "list[tuple[float | None, ConditionOutcomes, np.ndarray]]"
) -> "tuple[str, list[tuple[float | None, ConditionOutcomes, np.ndarray]]]":
    """Return a series and its name; of a single condition that is no corruption, the condition without a size."""
    (_, own, wrong), *others = steps
    return (name, steps) if others or parse_cell(own.condition) else (own.condition, [(None, own, wrong)])


def _break(
    table: OutcomeTable,
    classes: Sequence[str],
    family: str,
    steps: "Sequence[tuple[float | None, ConditionOutcomes, np.ndarray]]",
    place: int,
) -> Break | None:
    """Return where a sample breaks in a series; None if it does not."""
    for size, own, wrong in steps:
        if wrong[place]:
            line = own.frame.row(int((table.places(own) == place).argmax()), named=True)
            taken: int | None = line.get("prediction")
            text = "" if "prediction" not in line else "output not finite" if taken is None else classes[taken]
            return Break(family, size, text)
    return None


def _samples(table: OutcomeTable) -> "polars.DataFrame":
    """Return a line per sample that any condition has: its place, number, identifier and label."""
    import polars

    parts = []
    for source in dict.fromkeys(own.source for own in table.conditions):
        own = next(each for each in table.conditions if each.source == source)
        frame = table.frame(own).select("number", "identifier", "label")
        parts.append(frame.with_columns(polars.Series("place", table.places(own))))
    return polars.concat(parts).unique("place", keep="first", maintain_order=True)


def _right(own: ConditionOutcomes) -> str | None:
    """Return the column that says whether a sample is right: of a share that a measure takes the mean of.

    Under a certificate alone, a sample is right in a ball if it is certified there.
    """
    columns = own.frame.columns
    kinds = {each.kind for each in own.measures}
    if "certified" in kinds and "attacked" not in kinds and along(own.condition) and "certified" in columns:
        return "certified"
    attacked = [each.column for each in own.measures if each.kind == "attacked" and each.column in columns]
    means = [
        each.column for each in own.measures if each.percent and each.reduction == "mean" and each.column in columns
    ]
    return "correct" if "correct" in columns else next(iter([*attacked, *means]), None)


def _step(condition: str) -> Step | None:
    """Return the series that a condition belongs to, and where in it.

    Example:
        >>> _step("fog/3")
        Step(family='fog', size=3)
        >>> _step("linf 0.1, PGD-40 x 3").family
        'linf, PGD-40 x 3'
    """
    if cell := parse_cell(condition):
        return Step(cell.corruption + cell.saved, cell.severity)
    if place := along(condition):
        return Step(place.family, place.value)
    return None

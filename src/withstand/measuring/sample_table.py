"""The samples of one model: what each is taken for under every condition, and what breaks it first."""

import re
from typing import TYPE_CHECKING, NamedTuple

from withstand.study.condition import CLEAN, parse_cell
from withstand.study.outcomes import ConditionOutcomes, OutcomeTable

if TYPE_CHECKING:
    import polars

BALL = re.compile(r"(l1|l2|linf) ([\d.e+-]+)((?: \w+)?(?:, .*)?)")
SHOWN = ("prediction", "confidence", "correct", "distance")


class Step(NamedTuple):
    """A condition that is one of a growing series: a severity of a corruption, or a radius of a ball."""

    family: str
    size: float
    column: str


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
    for own in {each.condition: each for each in reversed(table.conditions)}.values():
        columns = [each for each in own.frame.columns if each != "number"]
        right = _right(own)
        chosen = [polars.Series(each, own.frame[each]) for each in dict.fromkeys((*SHOWN, right)) if each in columns]
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
        if step := _step(own.condition, right):
            series.setdefault(step.family, []).append((step.size, is_wrong))
    breaks = [
        polars.coalesce(polars.when(each).then(size) for size, each in sorted(own, key=lambda one: one[0])).alias(
            f"breaks: {family}"
        )
        for family, own in series.items()
    ]
    order = [polars.col(f"{CLEAN}: correct").cast(polars.Float64)] if f"{CLEAN}: correct" in frame.columns else []
    order += [-polars.sum_horizontal(each.cast(polars.Int32) for each in wrong)] if wrong else []
    order += [polars.col(each) for each in frame.columns if each.endswith(": distance")][:1]
    frame = frame.with_columns(breaks).sort(*order, "number") if order else frame
    about = {"model": polars.lit(model), "label": names.gather(frame["label"])}
    frame = frame.with_columns(**about).drop("place")
    return frame.select("model", "number", "identifier", "label", *(each.meta.output_name() for each in breaks), polars.all().exclude("model", "number", "identifier", "label", "^breaks: .*$"))


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
    """Return the column that says whether a sample is right: of a share that a measure takes the mean of."""
    columns = own.frame.columns
    attacked = [each.column for each in own.measures if each.kind == "attacked" and each.column in columns]
    means = [each.column for each in own.measures if each.percent and each.reduction == "mean" and each.column in columns]
    if attacked:
        return attacked[-1]
    return "correct" if "correct" in columns else next(iter(means), None)


def _step(condition: str, column: str) -> Step | None:
    """Return the series that a condition belongs to, and where in it.

    Example:
        >>> _step("fog/3", "correct")
        Step(family='fog', size=3, column='correct')
        >>> _step("linf 0.1, PGD-40 x 3", "worst_case").family
        'linf, PGD-40 x 3'
    """
    if cell := parse_cell(condition):
        return Step(cell.corruption + cell.saved, cell.severity, column)
    if ball := BALL.fullmatch(condition):
        norm, radius, rest = ball.groups()
        return Step(norm + rest, float(radius), column)
    return None

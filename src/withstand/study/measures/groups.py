"""Measures by subgroup: by class, or by any column that is known of the samples."""

from typing import TYPE_CHECKING

from withstand.errors import InputError, brief, nearest
from withstand.study.measures.measure import Measure
from withstand.study.measures.reductions import REDUCTIONS, apply

if TYPE_CHECKING:
    import polars


def by_group(
    outcomes: "polars.DataFrame", measure: Measure, column: str, *, about: "polars.DataFrame | None" = None
) -> "polars.DataFrame":
    """Return a measure of the samples of every group, with intervals.

    Args:
        outcomes: A line per sample under one condition, as `OutcomeTable.frame` returns it.
        measure: What to compute of every group.
        column: Whose values make the groups: `label`, `prediction`, or a column of `about`.
        about: Further columns of the samples, in addition to `identifier` or `number`; samples that are not in it
            are left out.

    Returns:
        A line per group, in their order: the column, value, count, low and high.

    Raises:
        InputError: If there is no such column, or samples have several lines in `about`.

    Example:
        >>> import polars
        >>> found = polars.DataFrame({"number": [0, 1, 2], "correct": [True, False, True]})
        >>> sex = polars.DataFrame({"number": [0, 1, 2], "sex": ["f", "m", "f"]})
        >>> top1 = Measure(name="top1", column="correct")
        >>> by_group(found, top1, "sex", about=sex).select("sex", "value", "count").rows()
        [('f', 1.0, 2), ('m', 0.0, 1)]
    """
    import polars

    if about is not None:
        outcomes = _joined(outcomes, about, column)
    for name in (column, measure.column):
        if name not in outcomes.columns:
            raise InputError(
                f"Results.by: column {brief(name)} is not one of the samples; {nearest(name, outcomes.columns)}"
            )
    if measure.reduction not in REDUCTIONS:
        raise InputError(
            f"Results.by: measure must be one of groups of samples, got {measure.name} ({measure.reduction})."
        )
    lines = []
    for (group,), own in outcomes.sort(column, maintain_order=True).group_by(column, maintain_order=True):
        found = apply(measure, own, condition=f"{column} {group}")
        if found is not None:
            lines.append((group, *found))
    schema = {column: outcomes.schema[column], "value": polars.Float64, "count": polars.Int64}
    return polars.DataFrame(lines, schema=schema | {"low": polars.Float64, "high": polars.Float64}, orient="row")


def _joined(outcomes: "polars.DataFrame", about: "polars.DataFrame", column: str) -> "polars.DataFrame":
    """Return the outcomes with a column of a frame that has identifiers or numbers."""
    key = next((each for each in ("identifier", "number") if each in about.columns and each in outcomes.columns), None)
    if key is None or column not in about.columns:
        missing = column if key else "identifier or number"
        raise InputError(f"Results.by: frame must have the column {missing}, got {', '.join(about.columns)}.")
    if about[key].is_duplicated().any():
        raise InputError(f"Results.by: frame must have one line per {key}, got several.")
    keys = about.select(about[key].cast(outcomes.schema[key], strict=False), column)
    found = outcomes.drop(column, strict=False).join(keys, on=key, how="inner", maintain_order="left")
    if found.is_empty():
        raise InputError(f"Results.by: frame must have the {key} of at least one sample, got none of them.")
    return found

"""Means over the severities of each corruption, and over the corruptions: run by run, ready to be aggregated."""

from typing import TYPE_CHECKING

from withstand.study.condition import CORRUPTIONS, EXTRAS, VARIANTS, Cell, Saved, parse_cell
from withstand.study.runs import axes_of

if TYPE_CHECKING:
    import polars

MEAN = "corruptions"


def accuracy_of(frame: "polars.DataFrame") -> str:
    """Return the measure that stands for accuracy: top-1 where any run has it, else another."""
    there = [each for each in frame["measure"].drop_nulls().unique().sort() if each.startswith("top")]
    return "top1" if "top1" in there or not there else there[0]


def corruption_cells(frame: "polars.DataFrame", *, measure: str, saved: Saved = "") -> dict[str, list[Cell]]:
    """Return the cells of each corruption that any run has, in the published order.

    Args:
        frame: As `read` returns it.
        measure: Which rows count.
        saved: Which cells count: `+jpeg` for images that were saved as JPEG files.
    """
    conditions = frame.filter(frame["measure"] == measure)["condition"].unique()
    cells = sorted(cell for each in conditions if (cell := parse_cell(each)) is not None and cell.saved == saved)
    found: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda each: CORRUPTIONS.index(each.corruption)):
        found.setdefault(cell.corruption, []).append(cell)
    return found


def averaged(kinds: list[str]) -> list[str]:
    """Return those corruptions that the mean over all is made of: no extras, and no variant beside its original.

    Example:
        >>> averaged(["fog", "frost", "spatter", "frost-procedural"]), averaged(["fog", "frost-procedural"])
        (['fog', 'frost'], ['fog', 'frost-procedural'])
    """
    members = [each for each in kinds if each not in EXTRAS] or kinds
    return [each for each in members if each not in VARIANTS or each.partition("-")[0] not in kinds]


def corruption_means(frame: "polars.DataFrame", *, measure: str, saved: Saved = "") -> "polars.DataFrame":
    """Return a frame of means in the place of a frame of cells.

    Args:
        frame: As `read` returns it.
        measure: Which rows count.
        saved: Which cells count.

    Returns:
        A line per run and corruption, whose condition is the corruption's name and whose value is the mean over the
        severities, and one with the condition `corruptions`, the mean over these. A run without all cells that there
        are of a corruption has no line of it, and a run that lacks one corruption has no mean. Runs with nothing have
        a line without measure.
    """
    import polars

    kinds = corruption_cells(frame, measure=measure, saved=saved)
    keys = [*axes_of(frame), "seed", "run"]
    runs = frame.select(*keys, "status", "problem").unique(maintain_order=True)
    parts = []
    members = averaged(list(kinds))
    every = [(name, [name]) for name in kinds] + [(MEAN, members)] * bool(members)
    own = frame.filter(polars.col("measure") == measure)
    for name, corruptions in every:
        cells = [cell.condition for each in corruptions for cell in kinds[each]]
        found = own.filter(polars.col("condition").is_in(cells)).group_by(keys, maintain_order=True)
        means = found.agg(value=polars.col("value").mean(), count=polars.col("count").min(), cells=polars.len())
        whole = means.filter(polars.col("cells") == len(cells)).drop("cells")
        parts.append(whole.with_columns(measure=polars.lit(measure), condition=polars.lit(name)))
    means = polars.concat([frame.head(0).select(*keys, "value", "count", "measure", "condition"), *parts])
    joined = runs.join(means, on=keys, how="left", nulls_equal=True, maintain_order="left_right")
    return joined.with_columns(total=polars.col("value") * polars.col("count")).select(frame.columns)

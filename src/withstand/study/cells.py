"""Cells of corruptions that runs were measured under, and which means over them may be compared."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from withstand.study.condition import CORRUPTIONS, EXTRAS, MEAN, VARIANTS, Cell, Saved, parse_cell

if TYPE_CHECKING:
    import polars


def with_comparable_means(frame: "polars.DataFrame") -> "polars.DataFrame":
    """Return a frame without the means over corruptions of runs that lack a cell which other runs have.

    Args:
        frame: As `read` returns it.
    """
    import polars

    conditions = frame["condition"].drop_nulls().unique()
    for saved in get_args(Saved):
        if f"{MEAN}{saved}" not in conditions:
            continue
        cells = [cell for each in conditions if (cell := parse_cell(each)) is not None and cell.saved == saved]
        wanted = [cell.condition for cell in averaged(cells)]
        there = polars.col("condition").is_in(wanted).sum().over("run", "measure")
        lacks = polars.col("condition").eq_missing(f"{MEAN}{saved}") & (there < there.max().over("measure"))
        frame = frame.filter(~lacks)
    return frame


def cells_of(frame: "polars.DataFrame", *, measure: str, saved: Saved = "") -> dict[str, list[Cell]]:
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


def averaged(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that a mean over corruptions is made of: no extras, and no variant beside its original.

    Example:
        >>> [each.corruption for each in averaged([Cell("fog", 1), Cell("spatter", 1), Cell("frost-procedural", 1)])]
        ['fog', 'frost-procedural']
    """
    kinds = {each.corruption for each in cells}
    members = [each for each in cells if each.corruption not in EXTRAS] or list(cells)
    return [
        each for each in members if each.corruption not in VARIANTS or each.corruption.partition("-")[0] not in kinds
    ]

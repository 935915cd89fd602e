"""Cells of corruptions that runs were measured under, and which of them a mean is made of."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, get_args

from withstand.conditions import CORRUPTIONS, EXTRAS, MEAN, OUTSIDE, VARIANTS, Cell, Saved, parse_cell

if TYPE_CHECKING:
    import polars

WHOLE = 0.99  # of the samples of the largest cell; a few files that cannot be read spoil no mean


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


def whole_cells(counts: Mapping[str, int], *, saved: Saved = "") -> dict[str, list[str]]:
    """Return the cells that count in means, by corruption: those with nearly all samples of the largest in the mean.

    Args:
        counts: Number of samples of every condition; only cells of published corruptions count.
        saved: Which cells count.

    Example:
        >>> whole_cells({"clean": 100, "fog/1": 100, "fog/2": 80, "rain/1": 100})
        {'fog': ['fog/1']}
    """
    cells = {name: cell for name in counts if (cell := parse_cell(name)) is not None and cell.saved == saved}
    members = members_of(dict.fromkeys(cell.corruption for cell in cells.values()))
    largest = max((counts[name] for name, cell in cells.items() if cell.corruption in members), default=0)
    found: dict[str, list[str]] = {}
    for name, cell in cells.items():
        if counts[name] >= WHOLE * largest:
            found.setdefault(cell.corruption, []).append(name)
    return found


def members_of(kinds: Iterable[str]) -> list[str]:
    """Return the corruptions that a mean over all is made of: no extras, no other suites, no variants of an original.

    Where there are only such, the mean is over these.

    Example:
        >>> members_of(["fog", "spatter", "frost-procedural"]), members_of(["frost", "frost-procedural"])
        (['fog', 'frost-procedural'], ['frost'])
    """
    known = list(kinds)
    members = [each for each in known if each not in (*EXTRAS, *OUTSIDE)] or known
    return [each for each in members if each not in VARIANTS or each.partition("-")[0] not in known]


def averaged(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells of the corruptions that a mean over all is made of.

    Example:
        >>> [each.corruption for each in averaged([Cell("fog", 1), Cell("spatter", 1), Cell("frost-procedural", 1)])]
        ['fog', 'frost-procedural']
    """
    known = list(cells)
    members = members_of(dict.fromkeys(each.corruption for each in known))
    return [each for each in known if each.corruption in members]

"""Empty cells of a table: the rows that are used, the values that fill cells, and notes about both."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from withstand.data.tables.formats import TableFile
from withstand.errors import InputError

if TYPE_CHECKING:
    import polars

Missing = Literal["refuse", "drop", "impute", "own"]
EMPTY = "(empty)"  # level of empty cells
MOST_NAMED = 5  # columns in a line of the log
TREATMENT: dict[Missing, str] = {
    "impute": "filled with the median or the most frequent level of the training part",
    "own": "a level of their own in categories, filled with the median and marked by an input in numbers",
}

log = logging.getLogger("withstand")


class Holes:
    """Counts the empty cells among some rows of a file, column by column."""

    def __init__(self, file: TableFile, rows: Int[Tensor, " row"], *, left_out: int) -> None:
        """Start without counts.

        Args:
            file: The file.
            rows: The rows.
            left_out: Number of rows of the file that are not used.
        """
        self.file, self.rows, self.left_out = file, rows, left_out
        self.counts: dict[str, int] = {}
        self.affected = torch.zeros(len(rows), dtype=torch.bool)

    def add(self, name: str) -> None:
        """Count those of a column."""
        found = empty_cells(self.file, name)[self.rows]
        self.counts[name] = int(found.sum())
        self.affected |= found

    def report(self, missing: Missing, *, to_log: bool) -> tuple[str, ...]:
        """Return notes for the report; with `to_log`, also log them, and the columns with empty cells."""
        notes: list[str] = []
        if self.left_out:
            what = "an empty cell" if missing == "drop" else "an empty class"
            notes.append(f"Rows with {what} are left out: {self.left_out:,} of {len(self.file):,}.")
        found = sorted(((count, name) for name, count in self.counts.items() if count), reverse=True)
        if found:
            cells = f"{sum(self.counts.values()):,} in {int(self.affected.sum()):,} of {len(self.rows):,} rows"
            notes.append(f"Empty cells: {cells}, {TREATMENT[missing]}.")
        named = ", ".join(f"{name!r} {count:,}" for count, name in found[:MOST_NAMED])
        others = f" and {len(found) - MOST_NAMED:,} others" if len(found) > MOST_NAMED else ""
        columns = [f"Columns with empty cells: {named}{others}."] if found else []
        for line in (*notes, *columns) if to_log else ():
            log.warning("%s: %s: %s", self.file.who, self.file.path, line)
        return tuple(notes)


def usable_rows(file: TableFile, target: str, features: Sequence[str], *, missing: Missing) -> Int[Tensor, " row"]:
    """Return the usable rows: all for `refuse`, else those with a class, and for `drop` without an empty cell.

    Raises:
        InputError: If there are none.
    """
    empty = torch.zeros(len(file), dtype=torch.bool)
    for name in () if missing == "refuse" else (target, *(features if missing == "drop" else ())):
        empty |= empty_cells(file, name)
    rows = (~empty).nonzero()[:, 0]
    if not len(rows):
        raise InputError(
            f"{file.who}: {file.path} has no row without an empty cell; name columns that are mostly empty in "
            "--data.drop, or use --data.missing impute."
        )
    return rows


def empty_cells(file: TableFile, name: str) -> Bool[Tensor, " row"]:
    """Return whether the cells of a column are empty."""
    return torch.from_numpy(file.is_empty(name).to_numpy(writable=True))


def typical_number(file: TableFile, name: str, rows: Int[Tensor, " row"]) -> tuple[float, bool, bool]:
    """Return the lower median of the filled cells, whether they differ, and whether other cells are empty.

    Raises:
        InputError: If all are empty.
    """
    empty = empty_cells(file, name)[rows]
    values = file.numbers([name], fill=0.0)[rows, 0][~empty]
    if not len(values):
        raise _no_cell(file, name)
    return float(values.median()), bool((values != values[0]).any()), bool(empty.any())


def typical_level(file: TableFile, name: str, cells: "polars.Series", levels: Sequence[str]) -> str:
    """Return the most frequent level of the cells, the first of several.

    Raises:
        InputError: If all are empty.
    """
    if not levels:
        raise _no_cell(file, name)
    counts = cells.value_counts()
    by_level = dict(zip(counts[:, 0], counts[:, 1], strict=True))
    return max(levels, key=lambda level: by_level[level])


def _no_cell(file: TableFile, name: str) -> InputError:
    return InputError(
        f"{file.who}: {file.path}, column {name!r}: expected some filled cells in the training part, got none; "
        "name it in --data.drop."
    )

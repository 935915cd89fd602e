"""Changes of rows, in the words of the table."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from withstand.tables.columns import Columns


def changes_of(columns: Columns, before: np.ndarray, after: np.ndarray) -> list[dict[str, str]]:
    """Return which columns of each row changed, and from what to what: `age: 39 -> 41`.

    Args:
        columns: The columns.
        before: The rows as numbers (row, input).
        after: The changed rows.
    """
    found: list[dict[str, str]] = [{} for _ in before]
    old, new = columns.table(before), columns.table(after)
    for number, each in enumerate(columns.columns):
        inputs = list(each.inputs)
        rows = (before[:, inputs] != after[:, inputs]).any(1).nonzero()[0]
        own = (cells_of(old, each.name, number), cells_of(new, each.name, number))
        for row in rows.tolist():
            found[row][str(each.name)] = f"{each.name}: {cell_text(own[0][row])} -> {cell_text(own[1][row])}"
    return found


def cells_of(table: Any, name: Any, number: int) -> Mapping[int, Any] | Any:
    """Return the cells of a column by row."""
    if isinstance(table, np.ndarray):
        return table[:, number]
    return table[name].array if hasattr(table, "iloc") else table[name]


def cell_text(value: Any) -> str:
    """Return a cell as text, numbers with four digits."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)

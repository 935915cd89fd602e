"""Changes of rows as text."""

from typing import Any

import numpy as np

from withstand.tables.columns import Columns


def describe_changes(columns: Columns, before: np.ndarray, after: np.ndarray) -> list[dict[str, str]]:
    """Return the changed columns of each row, each with its old and new value: `age: 39 -> 41`.

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
        was, is_now = (_cells(table, each.name, number) for table in (old, new))
        for row in rows.tolist():
            found[row][str(each.name)] = f"{each.name}: {_text(was[row])} -> {_text(is_now[row])}"
    return found


def _cells(table: Any, name: Any, number: int) -> Any:
    """Return the cells of a column by the row's number."""
    if isinstance(table, np.ndarray):
        return table[:, number]
    return table[name].array if hasattr(table, "iloc") else table[name]


def _text(value: Any) -> str:
    """Return a cell as text, numbers with four significant digits, or whole from 10,000."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)

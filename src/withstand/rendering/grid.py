"""Grid: text columns, ready to be shown."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Text columns, ready to be shown.

    Attributes:
        title: One line.
        columns: Heads of the columns; the first `num_labels` are labels.
        lines: One tuple of texts per line; None draws a rule.
        num_labels: Number of label columns.
        notes: Sentences below the table.
    """

    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...] | None, ...]
    num_labels: int = 1
    notes: tuple[str, ...] = ()

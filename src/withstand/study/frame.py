"""Results: rows of several models, and the forms people want them in."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from withstand.study.row import Row
from withstand.study.table import Table, accuracy_table


class Results:
    """Rows per model.

    Example:
        >>> rows = [Row(measure="top1", condition="clean", total=90.0, count=100)]
        >>> print(Results({"model": rows}).to_markdown())
        | condition | model |
        |:---|---:|
        | clean | 90.0 |
    """

    def __init__(self, rows: Mapping[str, Sequence[Row]], *, notes: tuple[str, ...] = ()) -> None:
        """Keep the rows."""
        self.rows, self.notes = {name: list(each) for name, each in rows.items()}, notes

    def records(self) -> list[dict[str, Any]]:
        """Return one dictionary per row, with the model's name and the value (a fraction for accuracies)."""
        return [
            {"model": model, **asdict(row), "value": row.value} for model, rows in self.rows.items() for row in rows
        ]

    def table(self, measure: str | None = None) -> Table:
        """Return accuracies in percent, side by side."""
        return accuracy_table(self.rows, measure=measure, notes=self.notes)

    def to_polars(self) -> Any:
        """Return a polars frame."""
        import polars

        return polars.DataFrame(self.records())

    def to_pandas(self) -> Any:
        """Return a pandas frame; pandas must be installed."""
        import pandas  # pyright: ignore[reportMissingImports]

        return pandas.DataFrame(self.records())

    def to_csv(self, path: str | Path) -> None:
        """Write a CSV file with one line per row."""
        self.to_polars().write_csv(path)

    def to_markdown(self, measure: str | None = None) -> str:
        """Return the table in Markdown."""
        table = self.table(measure)
        rule = [":---"] * table.num_labels + ["---:"] * (len(table.columns) - table.num_labels)
        lines = [table.columns, None, *(line for line in table.lines if line)]
        return "\n".join(
            "|" + "|".join(rule) + "|" if line is None else "| " + " | ".join(line) + " |" for line in lines
        )

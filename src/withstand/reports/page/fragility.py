"""HTML page of fragile rows."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from withstand.reports.page.html import environment

MOST_ROWS = 500  # on the page


def fragility_page(
    *,
    headline: str,
    columns: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    may_change: Mapping[str, str],
    notes: Sequence[str],
) -> str:
    """Return the page in HTML.

    Args:
        headline: The result in a sentence.
        columns: What each column flips; see `Fragility.columns`.
        rows: The fragile rows; see `Fragility.rows`.
        may_change: Description of what may change, by column.
        notes: Remarks below it.
    """
    return (
        environment()
        .get_template("fragility.html")
        .render(
            headline=headline,
            columns=columns,
            rows=rows[:MOST_ROWS],
            num_rows=len(rows),
            may_change=may_change,
            notes=notes,
            most=max((each["flips"] for each in columns), default=0) or 1,
            version=version("withstand"),
        )
    )

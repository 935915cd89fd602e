"""Texts of the cells of printed tables: numbers with their intervals, as far as there is room."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite
from typing import Literal

from withstand.rendering.grid import Grid
from withstand.study.measures.measure import Measure
from withstand.study.measures.row import Row
from withstand.study.tables.folding import room

WIDTH = 80  # columns that a table with intervals may take
Style = Literal["brackets", "spread", "plain"]
IN_BRACKETS = "In brackets: 95 % confidence intervals."
SPREAD = "±: the farther end of the 95 % confidence interval."
NOTHING = "-"


def cell(measure: Measure, row: Row | None, style: Style = "plain") -> str:
    """Return a value, with its interval in brackets, or with the farthest that an end of it is from the value.

    Example:
        >>> top1 = Measure(name="top1", column="correct", percent=True)
        >>> cell(top1, Row(measure="top1", condition="clean", value=0.9, count=9, low=0.8, high=0.95), "brackets")
        '90.0 (80.0-95.0)'
    """
    if row is None:
        return NOTHING
    value = measure.written(row.value)
    if style == "plain" or row.low is None or row.high is None:
        return value
    if style == "spread":
        most = max(row.value - row.low, row.high - row.value)
        return f"{value} ± {replace(measure, kind='').written(most)}"
    between = " to " if row.low < 0 else "-"
    return f"{value} ({measure.written(row.low)}{between}{measure.written(row.high)})"


def fitting(
    make: Callable[[Style], Grid],
    shown: Mapping[str, Iterable[Row]],
    measures: Mapping[str, Measure],
    *,
    spread: bool = False,
) -> Grid:
    """Return a table with intervals, or without them and with a note on their width where they do not fit.

    Args:
        make: Makes the table in a style.
        shown: The rows that it shows, by what the note calls them.
        measures: Of these rows.
        spread: Whether intervals may be shown by their farthest end alone, where both do not fit.
    """
    if not any(row.low is not None for rows in shown.values() for row in rows):
        return make("plain")
    styles: list[tuple[Style, str]] = [("brackets", IN_BRACKETS), ("spread", SPREAD)]
    for style, note in styles[: 1 + spread]:
        table = make(style)
        if room(table) <= WIDTH:
            return replace(table, notes=(note, *table.notes))
    table = make("plain")
    return replace(table, notes=(*widths(shown, measures), *table.notes))


def widths(shown: Mapping[str, Iterable[Row]], measures: Mapping[str, Measure]) -> list[str]:
    """Return a note on how far the ends of the intervals are from their values at most, by name of the rows."""
    found = {}
    for name, rows in shown.items():
        ends = [
            (abs(end - row.value), measures[row.measure])
            for row in rows
            for end in (row.low, row.high)
            if end is not None and isfinite(end) and isfinite(row.value)
        ]
        if ends:
            most, measure = max(ends, key=lambda each: each[0])
            found[name] = f"{name} at most ± {replace(measure, kind='').written(most)}".strip()
    return [f"95 % intervals: {', '.join(found.values())}."] if found else []


def counted(rows: Iterable[Row]) -> str:
    """Return the numbers of samples of some rows.

    Example:
        >>> counted([Row(measure="top1", condition=str(n), value=0.5, count=n) for n in (1000, 20)])
        'n = 20 or 1,000'
    """
    counts = sorted({row.count for row in rows})
    if len(counts) > 3:
        return f"n = {counts[0]:,} to {counts[-1]:,}"
    return f"n = {' or '.join(f'{each:,}' for each in counts)}"


def title_of(name: str, measures: Iterable[Measure], rows: Sequence[Row]) -> str:
    """Return the title of a table: its name, the unit where all measures are shares, and the numbers of samples."""
    percent = " in percent" if all(each.percent for each in measures) else ""
    size = "" if max((row.count for row in rows), default=1) == 1 else f", {counted(rows)}"
    return f"{name[:1].upper()}{name[1:]}{percent}{size}"


def mean_of(rows: Sequence[Row | None]) -> Row | None:
    """Return a row of the mean of several, without interval; None where one is missing."""
    known = [row for row in rows if row is not None]
    if not rows or len(known) < len(rows):
        return None
    values = [row.value for row in known]
    value = sum(values) / len(values) if all(map(isfinite, values)) else inf
    return replace(known[0], value=value, low=None, high=None, count=min(row.count for row in known))

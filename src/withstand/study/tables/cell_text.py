"""Texts of printed tables of rows: numbers with their intervals, as far as there is room."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import inf, isfinite, isinf
from typing import Literal, NamedTuple

from withstand.rendering.cell import DOUBT, DOUBT_NOTE, Cell
from withstand.rendering.grid import Grid
from withstand.study.measures.measure import Measure
from withstand.study.measures.row import Row

WIDTH = 80  # characters that a table with intervals may take
Style = Literal["brackets", "spread", "plain"]
NOTES: dict[Style, str] = {
    "brackets": "In brackets: 95 % confidence intervals.",
    "spread": "±: the farther end of the 95 % confidence interval.",
}
NOTHING = "-"


class Number(NamedTuple):
    """A number of a table.

    Attributes:
        measure: Measure of the row.
        row: None if nothing is known.
        group: Its name in the note on the widths of intervals; None leaves it out of the note.
        is_bare: Whether its interval is never shown.
    """

    measure: Measure
    row: Row | None
    group: str | None = ""
    is_bare: bool = False

    def written(self, style: Style) -> str:
        """Return the value, with its interval in brackets or with the distance to the farther end.

        Example:
            >>> top1 = Measure(name="top1", column="correct", percent=True)
            >>> row = Row(measure="top1", condition="clean", value=0.9, count=9, low=0.8, high=0.95)
            >>> [Number(top1, row).written(style) for style in ("brackets", "spread", "plain")]
            ['90.0 (80.0-95.0)', '90.0 ± 10.0', '90.0']
        """
        if self.row is None:
            return NOTHING
        value, low, high = self.row.value, self.row.low, self.row.high
        text = self.measure.written(value) + DOUBT * bool(self.row.doubt)
        if style == "plain" or self.is_bare or low is None or high is None:
            return text
        if low == high == value and isinf(value):
            return text
        if style == "spread" and all(map(isfinite, (value, low, high))):
            return f"{text} ± {_distance(self.measure, max(value - low, high - value))}"
        return Cell(text=text, low=self.measure.written(low), high=self.measure.written(high)).plain


Line = tuple[str | Number, ...] | None


def number_table(
    title: str,
    columns: Sequence[str],
    lines: Sequence[Line],
    *,
    num_labels: int = 1,
    notes: Iterable[str] = (),
    spread: bool = False,
) -> Grid:
    """Return a table of numbers: with intervals, or with a note on their widths if they do not fit.

    Args:
        title: Title of the table.
        columns: Heads.
        lines: Labels and numbers; None draws a rule.
        num_labels: Number of label columns.
        notes: Further notes.
        spread: Whether the farther end may represent both, if both do not fit.
    """
    numbers = [cell for line in lines if line for cell in line if isinstance(cell, Number)]
    shown = [each for each in numbers if not each.is_bare and each.group is not None]
    bare = [each for each in numbers if each.is_bare and each.group is not None]
    doubts = [DOUBT_NOTE] if any(each.row is not None and each.row.doubt for each in numbers) else []

    def table(style: Style, own: Sequence[str]) -> Grid:
        texts = (
            None if line is None else tuple(cell if isinstance(cell, str) else cell.written(style) for cell in line)
            for line in lines
        )
        every = (*own, *doubts, *notes, *_widths(bare))
        return Grid(title=title, columns=tuple(columns), lines=tuple(texts), num_labels=num_labels, notes=every)

    if any(each.row is not None and each.row.low is not None for each in shown):
        styles: tuple[Style, ...] = ("brackets", "spread") if spread else ("brackets",)
        for found in (table(style, [NOTES[style]]) for style in styles):
            if found.width <= WIDTH:
                return found
        return table("plain", _widths(shown))
    return table("plain", [])


def _widths(numbers: Sequence[Number]) -> list[str]:
    """Return a note on the largest distance of an end of an interval from its value, by group."""
    found: dict[str, tuple[float, Measure]] = {}
    for measure, row, group, _ in numbers:
        if row is not None and group is not None and isfinite(row.value):
            ends = [abs(end - row.value) for end in (row.low, row.high) if end is not None and isfinite(end)]
            if ends and max(ends) > found.get(group, (-1.0, measure))[0]:
                found[group] = max(ends), measure
    texts = [f"{group} at most ± {_distance(measure, most)}".strip() for group, (most, measure) in found.items()]
    return [f"95 % intervals: {', '.join(texts)}."] if texts else []


def _distance(measure: Measure, value: float) -> str:
    """Return a distance between two values, which is no bound."""
    return replace(measure, kind="").written(value)


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
    """Return a row of the mean of several, without interval; None if one is missing."""
    known = [row for row in rows if row is not None]
    if not rows or len(known) < len(rows):
        return None
    values = [row.value for row in known]
    value = sum(values) / len(values) if all(map(isfinite, values)) else inf
    return replace(known[0], value=value, low=None, high=None, count=min(row.count for row in known))

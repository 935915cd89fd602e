"""Sheet: a table whose cells refer to their rows; shown as a page, as Markdown, as LaTeX and on a terminal."""

from dataclasses import dataclass
from typing import Literal

from withstand.rendering.grid import Grid

PADDING = 3  # of a column on a terminal


@dataclass(frozen=True, kw_only=True)
class Head:
    """Head of a column.

    Attributes:
        text: What stands there.
        more: A second, quieter line: the condition.
        is_number: Whether cells are numbers, and stand on the right.
        is_axis: Whether it repeats a part of the combination's name, for sorting; left out where there is no sorting.
    """

    text: str
    more: str = ""
    is_number: bool = True
    is_axis: bool = False

    @property
    def plain(self) -> str:
        """Both lines as one."""
        return f"{self.text}, {self.more}" if self.more else self.text


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell.

    Attributes:
        text: What stands there; a number stands without its range.
        low: Lower end of a range, or nothing.
        high: Upper end of a range, or nothing.
        value: What the column is sorted by; None sorts by the text.
        flag: What is missing behind it, shortly, or nothing.
        aside: The same in words, where there is room for them.
        tone: Whether it is surely better or worse than the baseline.
        measure: Of the rows behind it, or nothing.
        condition: Of these rows.
    """

    text: str
    low: str = ""
    high: str = ""
    value: float | None = None
    flag: str = ""
    aside: str = ""
    tone: Literal["", "better", "worse"] = ""
    measure: str = ""
    condition: str = ""

    @property
    def range(self) -> str:
        """The range, or nothing.

        Example:
            >>> Cell(text="1", low="-0.5", high="2.5").range, Cell(text="1", low="0.5", high="1.5").range
            ('-0.5 to 2.5', '0.5-1.5')
            >>> Cell(text="+0.8", low="0.0", high="+1.5").range
            '0.0 to +1.5'
        """
        if not self.low:
            return ""
        signed = self.low[0] in "-+" or self.high[0] in "-+"
        return f"{self.low} to {self.high}" if signed else f"{self.low}-{self.high}"

    @property
    def plain(self) -> str:
        """Number, range and flag in one line; a star where the page has bold letters."""
        parts = [
            self.text + "*" * bool(self.tone),
            f"({self.range})" if self.low else "",
            f"[{self.flag}]" if self.flag else "",
        ]
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a sheet.

    Attributes:
        index: Of the combination that it is about.
        cells: One per head.
        tag: A word beside the first cell, e.g. `baseline`.
        against: Index of the combination that it is compared with, if it is.
        measure: Of all rows behind it, where it is about one measure.
        condition: Of these rows.
    """

    index: int
    cells: tuple[Cell, ...]
    tag: str = ""
    against: int | None = None
    measure: str = ""
    condition: str = ""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table whose cells refer to their rows.

    Attributes:
        name: File name without ending.
        title: A few words.
        caption: What the numbers are.
        heads: Of the columns; the first one names the line.
        lines: One after the other.
        notes: Sentences below: what is missing.
    """

    name: str
    title: str
    caption: str
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    def table(self) -> Grid:
        """Return it as texts."""
        kept = [place for place, head in enumerate(self.heads) if not head.is_axis]
        heads = [self.heads[place] for place in kept]
        lines = [tuple(line.cells[place].plain for place in kept) for line in self.lines]
        labels = next((place for place, head in enumerate(heads) if head.is_number), len(heads))
        return Grid(
            title=self.title,
            columns=tuple(head.plain for head in heads),
            lines=tuple(lines),
            num_labels=labels,
            notes=(self.caption, *self.notes),
        )


def fitted(table: Grid, *, width: int = 80) -> Grid:
    """Return as many columns of a table as fit a terminal; a note names those that are left out.

    Example:
        >>> table = Grid(title="", columns=("a", "b", "c"), lines=(("x", "1" * 20, "2" * 20),))
        >>> fitted(table, width=40).columns, fitted(table, width=40).notes
        (('a', 'b'), ('Not shown for want of room: c.',))
    """
    lines = [line for line in table.lines if line]
    names = _shortened([line[0] for line in lines], max(24, width // 3))
    used, kept = max(len(each) for each in (*names, table.columns[0])) + PADDING, [0]
    for place in range(1, len(table.columns)):
        head = table.columns[place]
        words = [head] if place < table.num_labels else head.split()
        needed = max(len(each) for each in (*words, *(line[place] for line in lines))) + PADDING
        if used + needed > width:
            break
        used += needed
        kept.append(place)
    left_out = [table.columns[place] for place in range(len(table.columns)) if place not in kept]
    shown = [(name, *(line[place] for place in kept[1:])) for name, line in zip(names, lines, strict=True)]
    note = (f"Not shown for want of room: {'; '.join(left_out)}.",) if left_out else ()
    return Grid(
        title=table.title,
        columns=tuple(table.columns[place] for place in kept),
        lines=tuple(shown),
        num_labels=min(table.num_labels, len(kept)),
        notes=(*table.notes, *note),
    )


def _shortened(texts: list[str], most: int) -> list[str]:
    """Return texts without their middle where they are too long."""
    half = (most - 2) // 2
    return [text if len(text) <= most else f"{text[:half]}..{text[-half:]}" for text in texts]

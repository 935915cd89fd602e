"""Grid: a printed table."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from withstand.rendering.cell import Cell
from withstand.rendering.visible import visible

GAP = 3  # characters between two columns


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A printed table.

    Attributes:
        title: Title, in one line.
        columns: Column heads. The first `num_labels` columns are labels; the others are right-aligned.
        lines: One tuple of cells per line; None draws a rule.
        num_labels: Number of label columns.
        num_axes: Number of label columns after the first that a page shows for sorting and that are not printed.
        name: File name without suffix, and label in LaTeX.
        caption: One sentence that says what the numbers are.
        notes: Sentences below the table.
    """

    title: str
    columns: tuple[str | Cell, ...]
    lines: tuple[tuple[str | Cell, ...] | None, ...]
    num_labels: int = 1
    num_axes: int = 0
    name: str = ""
    caption: str = ""
    notes: tuple[str, ...] = ()

    @property
    def heads(self) -> tuple[Cell, ...]:
        """The heads as cells."""
        return as_cells(self.columns)

    @property
    def cells(self) -> list[tuple[Cell, ...]]:
        """The cells of every line, without rules."""
        return [as_cells(line) for line in self.lines if line]

    @property
    def texts(self) -> "Grid":
        """The same table without axes, each cell as a string without control characters.

        Example:
            >>> Grid(title="", columns=("a", "b"), lines=(("x", Cell(text="1", low="0", high="2")),)).texts.lines
            (('x', '1 (0-2)'),)
        """
        kept = [place for place in range(len(self.columns)) if not 0 < place <= self.num_axes]
        heads = [visible(f"{head.text}, {head.aside}" if head.aside else head.text) for head in self.heads]
        return replace(
            self,
            columns=tuple(heads[place] for place in kept),
            lines=tuple(line and tuple(visible(plain(line[place])) for place in kept) for line in self.lines),
            num_labels=self.num_labels - self.num_axes,
            num_axes=0,
        )

    @property
    def alignment(self) -> list[str]:
        """`left` or `right`, for every column."""
        return ["left"] * self.num_labels + ["right"] * (len(self.columns) - self.num_labels)

    @property
    def width(self) -> int:
        """Number of characters that a line takes on a terminal.

        Example:
            >>> Grid(title="", columns=("condition", "a"), lines=(("clean", "97.0"),)).width
            18
        """
        texts = self.texts
        columns = zip(texts.columns, *(line for line in texts.lines if line), strict=True)
        return sum(max(map(len, map(plain, own))) + GAP for own in columns) - 1


def plain(cell: str | Cell) -> str:
    """Return a cell as a string."""
    return cell if isinstance(cell, str) else cell.plain


def as_cells(line: Iterable[str | Cell]) -> tuple[Cell, ...]:
    """Return a line of cells."""
    return tuple(Cell(text=each) if isinstance(each, str) else each for each in line)

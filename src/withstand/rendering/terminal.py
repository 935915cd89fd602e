"""Tables on a terminal."""

import io
import re
import shutil
from collections.abc import Iterable, Sequence

from withstand.rendering.grid import GAP, Grid, plain
from withstand.rendering.visible import visible

LEAST = 40  # columns of the narrowest terminal
MOST_LINES, WORD = 4, 12  # of a head or label; letters of a word that is not broken
NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?")
# A blank of no width: rich breaks lines at it.
JOINT, JOINED = "\x1f", re.compile(r"(?<=[-_/,=])(?=\w)|(?<=[a-zA-Z]\.)(?=\w)")


def as_text(tables: Iterable[Grid]) -> str:
    """Return tables that fit the terminal; 80 columns without one."""
    width = max(LEAST, shutil.get_terminal_size((80, 24)).columns)
    return "\n".join(render(table, width=width) for table in tables)


def render(table: Grid, *, width: int = 80) -> str:
    """Return a table as plain text.

    Long heads and labels are wrapped, numbers never are. Columns that do not fit follow in a table below, with the
    labels repeated.

    Args:
        table: What to show.
        width: Columns of the terminal; only labels that do not fit at all make a wider table.

    Example:
        >>> print(render(Grid(title="Top-1", columns=("condition", "a"), lines=(("clean", "97.0"),))))
        Top-1
         condition      a
        ------------------
         clean       97.0
        <BLANKLINE>
    """
    from rich.console import Console

    texts, file = table.texts, io.StringIO()
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
    if table.title:
        console.print(visible(table.title))
    for number, widths in enumerate(_parts(texts, width)):
        if number:
            console.print()
        console.print(_part(texts, widths), width=max(width, _total(widths.values()) + 1), crop=False)
    for note in filter(None, (table.caption, *table.notes)):
        console.print(visible(note))
    return "\n".join(line.rstrip() for line in file.getvalue().replace(JOINT, "").splitlines()) + "\n"


def _part(texts: Grid, widths: dict[int, int]):  # type: ignore[no-untyped-def]
    """Return some columns, by place and width, as a table of rich."""
    from rich.box import Box
    from rich.table import Table

    found = Table(box=Box("    \n    \n -- \n    \n -- \n -- \n    \n    \n", ascii=True), show_edge=False)
    for place, width in widths.items():
        justify = "left" if place < texts.num_labels else "right"
        found.add_column(_wrappable(texts.columns[place]), justify=justify, width=width, overflow="fold")
    for line, following in zip(texts.lines, (*texts.lines[1:], ()), strict=True):
        if line is not None:
            found.add_row(*(_wrappable(line[place]) for place in widths), end_section=following is None)
    return found


def _parts(texts: Grid, width: int) -> list[dict[int, int]]:
    """Return the widths of the columns of every part, by place."""
    columns = [[head, *(line[place] for line in texts.lines if line)] for place, head in enumerate(texts.columns)]
    columns = [list(map(plain, own)) for own in columns]
    widest = [max(map(len, own)) for own in columns]
    share = (width // 2 + 1) // max(1, texts.num_labels) - GAP  # of a label, where all take half of the width
    least = [_least(own, share if place < texts.num_labels else None) for place, own in enumerate(columns)]
    labels = range(texts.num_labels)
    groups: list[list[int]] = [[]]
    for place in range(texts.num_labels, len(columns)):
        if groups[-1] and _total([least[each] for each in (*labels, *groups[-1], place)]) > width:
            groups.append([])
        groups[-1].append(place)
    found = []
    for group in groups:
        widths = {place: widest[place] for place in (*labels, *group)}
        while _total(widths.values()) > width:
            place = max(widths, key=lambda each: (widths[each] > least[each], widths[each]))
            if widths[place] == least[place]:
                break
            widths[place] -= 1
        found.append(widths)
    return found


def _least(texts: Sequence[str], share: int | None) -> int:
    """Return how narrow a column may get: numbers stay whole, as do words with room; other texts take few lines.

    Args:
        texts: Head and cells.
        share: Letters of a word that has room among labels; None for a column of numbers, of which the head is wrapped.
    """
    head, *cells = texts
    wrapped, whole = ([head], cells) if share is None else (texts, list(filter(NUMBER.fullmatch, cells)))
    words = [len(word) for text in wrapped for word in _wrappable(text).split()]
    lines = [-(-len(text) // MOST_LINES) for text in wrapped]
    return max(min(max(words, default=0), WORD if share is None else share), *lines, *map(len, whole), 1)


def _total(widths: Iterable[int]) -> int:
    widths = list(widths)
    return sum(widths) + GAP * len(widths) - 1


def _wrappable(text: object) -> str:
    """Return a text that may be broken behind hyphens and the like."""
    return JOINED.sub(JOINT, str(text))

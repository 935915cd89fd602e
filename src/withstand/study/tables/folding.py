"""Tables that fit a terminal: long texts go on in the next line, and columns without room in a table below."""

import re
import shutil
from collections.abc import Sequence

from withstand.rendering.grid import Grid

GAP = 3  # blanks between two columns; one of them, and another one, stand around the outermost
LEAST = 40  # columns of a terminal that tables are made for
LINES = 4  # of a head or label, at most, before columns move into a table below
PIECE = re.compile(r"(?:[^\s\-_./,=]|(?<=\d)\.(?=\d))*[\s\-_./,=]+|[^\s\-_./,=]+")
NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?")


def terminal_width() -> int:
    """Return how many columns the terminal has: COLUMNS if that is set, 80 where there is no terminal."""
    return max(LEAST, shutil.get_terminal_size((80, 24)).columns)


def room(table: Grid) -> int:
    """Return how many columns of a terminal a table takes.

    Example:
        >>> room(Grid(title="", columns=("condition", "a"), lines=(("clean", "97.0"),)))
        18
    """
    return _total([max(map(_longest, texts)) for texts in _columns(table)])


def fitted(table: Grid, width: int) -> list[Grid]:
    r"""Return a table as one that fits a terminal, or as several with the same labels; no number is left out.

    Labels and heads are broken into lines, where possible at a hyphen, dot or the like, and keep all their letters.

    Args:
        table: What to show.
        width: Columns of the terminal; labels that do not fit at all make a wider table.

    Example:
        >>> table = Grid(title="", columns=("a", "model-one", "model-two"), lines=(("x", "1", "2"),))
        >>> fitted(table, 21)[0].columns
        ('a', 'model-\none', 'model-\ntwo')
    """
    if room(table) <= width:
        return [table]
    columns = _columns(table)
    widest = [max(map(_longest, texts)) for texts in columns]
    least = [_least(texts, is_label=place < table.num_labels) for place, texts in enumerate(columns)]
    words = [max(low, _longest_word(texts, own)) for texts, low, own in zip(columns, least, widest, strict=True)]
    labels, found, group = list(range(table.num_labels)), [], []
    whole = words[: table.num_labels] + least[table.num_labels :]  # labels keep their words, where there is room
    enough = whole if _total(words[: table.num_labels]) <= width / 2 else least
    for place in range(table.num_labels, len(columns)):
        if group and _total([enough[each] for each in (*labels, *group, place)]) > width:
            found.append(group)
            group = []
        group.append(place)
    found.append(group)
    tables = []
    for number, group in enumerate(found):
        chosen = [*labels, *group]
        widths = [widest[each] for each in chosen]
        for limits in (words, whole, least):
            widths = _narrowed(widths, [limits[each] for each in chosen], width)
        is_last = number + 1 == len(found)
        tables.append(_part(table, chosen, widths, title=table.title if not number else "", with_notes=is_last))
    return tables


def short_names(names: Sequence[str]) -> list[str]:
    """Return names with dots by as many of their last parts as tell them apart.

    Example:
        >>> short_names(["training.optimizer.lr", "a.ball.radius", "b.ball.radius", "a.radius"])
        ['lr', 'a.ball.radius', 'b.ball.radius', 'a.radius']
    """
    found = []
    for name in names:
        parts = name.split(".")
        ends = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        others = [other for other in names if other != name]
        found.append(next((end for end in ends if not any(f".{o}".endswith(f".{end}") for o in others)), name))
    return found


def broken(text: str, width: int) -> str:
    r"""Return a text in lines of so many letters at most.

    Example:
        >>> broken("avila-noise-0a1b", 8)
        'avila-\nnoise-\n0a1b'
    """
    lines = [""]
    for piece in PIECE.findall(text):
        rest = piece
        if len(lines[-1]) + len(rest.rstrip()) > width and lines[-1]:
            lines.append("")
        while len(rest.rstrip()) > width:
            lines[-1], rest = rest[:width], rest[width:]
            lines.append("")
        lines[-1] += rest
    return "\n".join(line.rstrip() for line in lines)


def _part(table: Grid, places: Sequence[int], widths: Sequence[int], *, title: str, with_notes: bool) -> Grid:
    """Return some columns of a table, in so many letters each."""
    return Grid(
        title=title,
        columns=tuple(broken(table.columns[place], width) for place, width in zip(places, widths, strict=True)),
        lines=tuple(
            line
            and tuple(
                broken(line[place], width) if place < table.num_labels else line[place]
                for place, width in zip(places, widths, strict=True)
            )
            for line in table.lines
        ),
        num_labels=table.num_labels,
        notes=table.notes if with_notes else (),
    )


def _columns(table: Grid) -> list[list[str]]:
    """Return the texts of every column, its head first."""
    return [[head, *(line[place] for line in table.lines if line)] for place, head in enumerate(table.columns)]


def _longest(text: str) -> int:
    return max(map(len, text.split("\n")))


def _least(texts: Sequence[str], *, is_label: bool) -> int:
    """Return how narrow a column may get: no number is broken, and nothing takes too many lines."""
    lines = max(-(-len(each) // LINES) for each in (texts if is_label else texts[:1]))
    numbers = [len(each) for each in texts[1:] if not is_label or NUMBER.fullmatch(each)]
    return max(lines, *numbers, 1)


def _longest_word(texts: Sequence[str], most: int) -> int:
    """Return how narrow a column may get without a break within a word."""
    return min(most, max(len(piece.rstrip()) for text in texts for piece in PIECE.findall(text) or [""]))


def _narrowed(widths: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """Return widths of which the largest are taken back, one by one, until they fit or none can give."""
    widths = list(widths)
    while _total(widths) > width:
        giving = [place for place, own in enumerate(widths) if own > least[place]]
        if not giving:
            break
        widths[max(giving, key=widths.__getitem__)] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * len(widths) - 1

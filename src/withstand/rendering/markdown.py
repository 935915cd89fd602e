"""Tables as Markdown."""

import re

from withstand.rendering.grid import Grid

SPECIAL = re.compile(r"([\\`*_\[\]<>|])")


def escaped(text: str) -> str:
    r"""Return a text in which nothing is markup.

    Example:
        >>> escaped("a|b_c <i>")
        'a\\|b\\_c \\<i\\>'
    """
    return SPECIAL.sub(r"\\\1", text).replace("\n", " ")


def markdown(table: Grid, *, title: bool = True) -> str:
    """Return a table as Markdown, with its title and notes.

    Example:
        >>> print(markdown(Grid(title="t", columns=("a", "b"), lines=(("x", "1"), None)), title=False))
        | a | b |
        | :--- | ---: |
        | x | 1 |
        <BLANKLINE>
    """
    rule = [":---"] * table.num_labels + ["---:"] * (len(table.columns) - table.num_labels)
    lines = [_line(map(escaped, table.columns)), _line(rule)]
    lines += [_line(map(escaped, line)) for line in table.lines if line]
    start = [f"**{escaped(table.title)}**", ""] if title and table.title else []
    notes = ["", *(f"- {escaped(note)}" for note in table.notes)] if table.notes else []
    return "\n".join([*start, *lines, *notes]) + "\n"


def _line(cells: object) -> str:
    return "| " + " | ".join(cells) + " |"  # type: ignore[arg-type]

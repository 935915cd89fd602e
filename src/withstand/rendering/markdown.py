"""Tables as Markdown."""

import html
import re

from tabulate import tabulate

from withstand.rendering.grid import Grid, plain

SPECIAL = re.compile(r"([\\`*_\[\]>|])")
# Tags and entities; a `<` elsewhere is no markup, and some renderers would show a backslash before it.
HTML = re.compile(r"<(?=[a-zA-Z/!?])|&(?=#?\w+;)")


def escaped(text: str) -> str:
    r"""Return a text in which nothing is markup.

    Example:
        >>> escaped("a|b_c <i>")
        'a\\|b\\_c &lt;i\\>'
    """
    return SPECIAL.sub(r"\\\1", HTML.sub(lambda found: html.escape(found.group()), text)).replace("\n", " ")


def markdown(table: Grid, *, title: bool = True) -> str:
    """Return a table as Markdown, with its title and notes.

    Example:
        >>> print(markdown(Grid(title="t", columns=("a", "b"), lines=(("x", "1"), None)), title=False))
        | a   |   b |
        |:----|----:|
        | x   |   1 |
        <BLANKLINE>
    """
    texts = table.texts
    lines = [[escaped(plain(cell)) for cell in line] for line in (texts.columns, *texts.lines) if line]
    body = tabulate(lines, headers="firstrow", tablefmt="pipe", disable_numparse=True, colalign=texts.alignment)
    notes = [f"- {escaped(note)}" for note in (table.caption, *table.notes) if note]
    start = [f"**{escaped(table.title)}**", ""] if title and table.title else []
    return "\n".join([*start, body, *([""] if notes else []), *notes]) + "\n"

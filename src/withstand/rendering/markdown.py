"""Tables as Markdown."""

import html
import re
from collections.abc import Iterable

from tabulate import tabulate

from withstand.rendering.grid import Grid, plain
from withstand.rendering.visible import visible

SPECIAL = re.compile(r"([\\`*_\[\]>|])")
# Tags and entities; a `<` elsewhere is no markup, and some renderers would show a backslash before it.
HTML = re.compile(r"<(?=[a-zA-Z/!?])|&(?=#?\w+;)")


def escaped(text: str) -> str:
    r"""Return a text in which nothing is markup.

    Example:
        >>> escaped("a|b_c <i>")
        'a\\|b\\_c &lt;i\\>'
    """
    return SPECIAL.sub(r"\\\1", HTML.sub(lambda found: html.escape(found.group()), visible(text)))


def fenced(lines: Iterable[str]) -> list[str]:
    """Return lines as a code block whose fence is longer than any in them.

    Example:
        >>> fenced(["a", "```"])
        ['````', 'a', '```', '````']
    """
    shown = [visible(each, lines=True) for each in lines]
    longest = max((len(found) for each in shown for found in re.findall("`+", each)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *shown, fence]


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

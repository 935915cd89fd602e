"""Tables on a terminal."""

import io

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from withstand.rendering.grid import Grid


def render(table: Grid, *, width: int = 100) -> str:
    """Return a table as plain text that fits a terminal.

    Args:
        table: What to show.
        width: Columns of the terminal; longer heads are folded.

    Example:
        >>> print(render(Grid(title="Top-1", columns=("condition", "a"), lines=(("clean", "97.0"),))))
        Top-1
         condition      a
        ------------------
         clean       97.0
        <BLANKLINE>
    """
    shown = RichTable(box=box.ASCII2, show_edge=False, pad_edge=True)
    shown.box = box.Box("    \n    \n -- \n    \n -- \n -- \n    \n    \n", ascii=True)
    for place, head in enumerate(table.columns):
        left = place < table.num_labels
        shown.add_column(head, justify="left" if left else "right", overflow="fold", no_wrap=left)
    for place, line in enumerate(table.lines):
        if line is not None:
            rule = place + 1 < len(table.lines) and table.lines[place + 1] is None
            shown.add_row(*line, end_section=rule)
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, highlight=False, markup=False, emoji=False)
    console.print(table.title)
    console.print(shown)
    for note in table.notes:
        console.print(note)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"

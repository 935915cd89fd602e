"""Tables on the terminal that the command runs in."""

from collections.abc import Iterable

from withstand.rendering.grid import Grid
from withstand.rendering.terminal import render
from withstand.study.tables.folding import fitted, room, terminal_width


def shown(tables: Iterable[Grid]) -> str:
    """Return tables as text that fits the terminal, or 80 columns where there is none."""
    width = terminal_width()
    parts = [part for table in tables for part in fitted(table, width)]
    return "\n".join(render(part, width=max(width, room(part))).lstrip("\n") for part in parts)

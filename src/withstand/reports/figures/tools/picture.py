"""Picture: a figure with title, caption and alternative text."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.figure import Figure

Form = Literal["line", "scatter", "heat map", "bars"]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure, drawn when it is needed.

    Attributes:
        name: File name without ending: small letters, digits and dashes.
        title: One line.
        detail: What tells it apart from pictures with the same title, such as a budget.
        caption: A sentence or two: the content, the number of runs, and the missing ones.
        alt: Text for readers who do not see the figure.
        draw: Returns the figure; called within `figure_style`.
        narrow: Returns the figure as pages show it on a phone; None if it is the same.
        values: Text to show at a mark of the figure, by the mark's `gid`.
        form: What it looks like.
        size: How much it shows: values along the axis of the longest line, points of a scatter, cells of a heat map
            below its first row, or groups of bars.
    """

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[], Figure]
    narrow: Callable[[], Figure] | None = None
    values: dict[str, str] = field(default_factory=dict)
    form: Form = "line"
    size: int = 0
    detail: str = ""

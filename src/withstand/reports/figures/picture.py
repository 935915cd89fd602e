"""Picture: a figure with everything that a page needs to show it to people who see, hover, or listen."""

from collections.abc import Callable
from dataclasses import dataclass, field

from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure, drawn when it is needed.

    Attributes:
        name: File name without ending: small letters, digits and dashes.
        title: One line.
        caption: A sentence or two: the content, the number of runs, and the missing ones.
        alt: Text for readers who do not see the figure.
        draw: Returns the figure; called within `house_style`.
        values: Text to show at a mark of the figure, by the mark's `gid`.
    """

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[], Figure]
    values: dict[str, str] = field(default_factory=dict)

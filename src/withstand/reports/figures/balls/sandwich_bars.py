"""Bars of the shares of samples that are certified, unknown, and broken by an attack, at one radius."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from withstand.reports.figures.tools.chart import ROUND, faint
from withstand.reports.figures.tools.style import WIDTH, new_figure

LONGEST = 22  # characters of the labels next to bars
UNKNOWN, BROKEN = 0.35, 0.25  # opacity
# Inches.
LEFT, RIGHT, FOOT, LEGEND, BAR, GAP = 1.3, 0.95, 0.4, 0.29, 0.17, 0.1


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The bar of a model in a ball; shares are fractions.

    Attributes:
        gid: Its name in the figure.
        name: Label next to it.
        certified: Share of the samples that are proved right in the whole ball.
        attacked: Share of the samples that no attack broke.
        clean: Share of the samples that are right unchanged; None if it was not measured.
        shown: The first two as text.
        text: Description.
    """

    gid: str
    name: str
    certified: float
    attacked: float
    clean: float | None
    shown: str
    text: str


def sandwich_bars(stacks: Sequence[Stack], *, width: float = WIDTH) -> Figure:
    """Return the figure of bars, from top to bottom."""
    color, ink = mpl.rcParams["axes.prop_cycle"].by_key()["color"][0], faint()
    kinds = [("certified", color, 1.0), ("unknown", color, UNKNOWN)]
    kinds += [("broken by an attack", ink, BROKEN)] if any(each.clean is not None for each in stacks) else []
    step = BAR + GAP
    height = LEGEND + step * len(stacks) + FOOT
    figure = new_figure(height, width=width)
    inside = (width - LEFT - RIGHT, step * len(stacks))
    axes = figure.add_axes((LEFT / width, FOOT / height, inside[0] / width, inside[1] / height))
    axes.set(xlim=(0, 100), ylim=(step * len(stacks), 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND))
    axes.set_xlabel("samples, %")
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)
    for number, each in enumerate(stacks):
        _draw(axes, each, step * number + GAP / 2, kinds)
    handles = [Patch(facecolor=shade, alpha=alpha, label=name) for name, shade, alpha in kinds]
    place = {"bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "handlelength": 1.0, "columnspacing": 1.2}
    figure.legend(handles=handles, loc="upper left", ncols=len(kinds), **place)
    return figure


def _draw(axes: Axes, stack: Stack, top: float, kinds: Sequence[tuple[str, str, float]]) -> None:
    """Draw a bar with its name and its two accuracies; the second axis is in inches from above."""
    ends = [0.0, stack.certified, stack.attacked, max(stack.attacked, stack.clean or 0.0)]
    for (_, color, alpha), left, right in zip(kinds, ends, ends[1:], strict=False):
        options = {"facecolor": color, "alpha": alpha, "linewidth": 0}
        axes.add_patch(Rectangle((100 * left, top), 100 * (right - left), BAR, gid=stack.gid, **options))
    middle = top + BAR / 2
    across = {"transform": axes.get_yaxis_transform(), "va": "center", "size": 7}
    axes.text(-0.03, middle, shorten(stack.name, LONGEST, placeholder="..."), ha="right", **across)
    axes.text(1.03, middle, stack.shown, ha="left", **across)

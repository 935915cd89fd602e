"""Bands: the range of quantiles around a line of medians."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from withstand.reports.figures.tools.chart import Look
from withstand.reports.figures.tools.marks import Mark
from withstand.study.measures.measure import Measure

ALPHA = 0.16  # opacity, in the colour of the line


def band(
    axes: Axes,
    x: Sequence[float],
    low: Sequence[float],
    middle: Sequence[float],
    high: Sequence[float],
    own: Look,
    *,
    width: float | None = None,
) -> None:
    """Draw a line with a band around it."""
    axes.plot(x, middle, color=own.color, linestyle=own.dashes, linewidth=width)
    axes.fill_between(x, low, high, color=own.color, alpha=ALPHA, linewidth=0)


def curve(axes: Axes, marks: Sequence[Mark], measure: Measure, own: Look, *, width: float = 1.2) -> None:
    """Draw the medians as a line and the quantiles as a band; both are broken at marks without a result."""
    stretches: list[list[tuple[float, ...]]] = [[]]
    for mark in marks:
        if mark.span:
            stretches[-1].append((mark.x, *(measure.scaled(each) for each in mark.span)))
        else:
            stretches.append([])
    for each in stretches:
        if len(each) > 1:
            x, low, middle, high = zip(*each, strict=True)
            band(axes, x, low, middle, high, own, width=width)

"""Non-overlapping labels for lines and points."""

from collections.abc import Sequence
from itertools import pairwise
from math import hypot
from textwrap import wrap
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from withstand.reports.figures.tools.chart import SMALL, paper

LINE, LONGEST = 9.0, 26  # points between lines of labels; characters in a line
TO_LABEL = 0.14  # inches from the axes to the names of lines
GAP, AROUND = 3.0, 3.5  # points between the rule to a name and the name, and around the mark
BROAD, HIGH = 0.6, 1.1  # of a character, as shares of its size
AWAY, MARKER, THIN = 4.5, 3.0, 0.4  # points between a mark and its label; half of a mark; half of a bar
# Where a label may stand: right of its mark, above, below, left, then the corners.
SIDES = ((1, 0), (0, 1), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))


class End(NamedTuple):
    """The end of a line, and what to write there."""

    x: float
    y: float
    text: str
    color: str


class Label(NamedTuple):
    """A point, what to write next to it, and its bars: left, bottom, right, top."""

    x: float
    y: float
    text: str
    color: str
    needed: bool = True
    bars: tuple[tuple[float, float, float, float], ...] = ()


def label_ends(axes: Axes, ends: Sequence[End], *, width: float, height: float) -> None:
    """Write names next to the ends of lines, apart from each other; the limits of the axes must stand.

    A line that ends early has its name where it ends, since a rule from there would look like a line.

    Args:
        axes: Drawn.
        ends: Ends of the lines.
        width: Width of the axes, in inches.
        height: Height of the axes, in inches.
    """
    farthest = max((each.x for each in ends), default=0.0)
    halo = [withStroke(linewidth=2, foreground=paper())]
    for end in [each for each in ends if each.x < farthest]:
        place = {"xytext": (6, 6), "textcoords": "offset points", "path_effects": halo, "zorder": 6}
        axes.annotate(end.text, (end.x, end.y), color=end.color, size=7, **place)
    ends = [each for each in ends if each.x == farthest]
    texts = ["\n".join(wrap(each.text, LONGEST)) for each in ends]
    to_axes = axes.transData + axes.transAxes.inverted()
    corners = [to_axes.transform((each.x, each.y)) * (72 * width, 72 * height) for each in ends]
    sizes = [LINE * (text.count("\n") + 1) for text in texts]
    left = 72 * (width + TO_LABEL)
    spots = spread([float(each[1]) for each in corners], sizes, height * 72)
    for end, text, (x, y), spot in zip(ends, texts, corners, spots, strict=True):
        rise, run = spot - y, left - GAP - x
        share = AROUND / hypot(rise, run)
        across = [(x + share * run) / (72 * width), (left - GAP) / (72 * width)]
        upwards = [(y + share * rise) / (72 * height), spot / (72 * height)]
        look = {"color": end.color, "linewidth": 0.5, "alpha": 0.7, "clip_on": False, "zorder": 3}
        axes.add_line(Line2D(across, upwards, transform=axes.transAxes, **look))
        axes.text(
            left / (72 * width),
            spot / (72 * height),
            text,
            transform=axes.transAxes,
            color=end.color,
            size=7,
            va="center",
            linespacing=1.0,
            zorder=3,
        )


def room_for(names: Sequence[str]) -> float:
    """Return how wide labels at the ends of lines are, in inches."""
    longest = max((len(line) for name in names for line in wrap(name, LONGEST)), default=0)
    return 0.24 + 0.062 * longest


def spread(places: Sequence[float], sizes: Sequence[float], length: float) -> list[float]:
    """Return places that are near the given ones and so far apart that things of these sizes do not overlap.

    Args:
        places: Between 0 and the length.
        sizes: As many.
        length: Available length; if it is too short, places begin below 0.

    Example:
        >>> spread([25.0, 25.0, 40.0], [4.0, 4.0, 4.0], 50.0)
        [23.0, 27.0, 40.0]
        >>> spread([0.0, 0.0, 50.0], [4.0, 4.0, 4.0], 50.0)
        [2.0, 6.0, 48.0]
    """
    order = sorted(range(len(places)), key=lambda each: places[each])
    gaps = [(sizes[one] + sizes[other]) / 2 for one, other in pairwise(order)]
    up = [places[each] for each in order]
    down = list(up)
    for k, gap in enumerate(gaps, start=1):
        up[k] = max(up[k], up[k - 1] + gap)
    for k, gap in reversed(list(enumerate(gaps))):
        down[k] = min(down[k], down[k + 1] - gap)
    found = [(one + other) / 2 for one, other in zip(up, down, strict=True)]
    if found:
        found[0] = max(found[0], sizes[order[0]] / 2)
        for k, gap in enumerate(gaps, start=1):
            found[k] = max(found[k], found[k - 1] + gap)
        found[-1] = min(found[-1], length - sizes[order[-1]] / 2)
        for k, gap in reversed(list(enumerate(gaps))):
            found[k] = min(found[k], found[k + 1] - gap)
    placed = dict(zip(order, found, strict=True))
    return [placed[each] for each in range(len(places))]


def place_labels(axes: Axes, labels: Sequence[Label], *, width: float, height: float) -> None:
    """Write next to points if there is room; else only what is needed, at the emptiest side.

    Args:
        axes: Drawn; its limits must stand.
        labels: The points, in the order of their importance.
        width: Width of the axes, in inches.
        height: Height of the axes, in inches.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    places = [to_axes.transform((each.x, each.y)) * (72 * width, 72 * height) for each in labels]
    taken = [(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for x, y in places]
    for each in labels:
        for bar in each.bars:
            (left, bottom), (right, top) = (
                to_axes.transform(end) * (72 * width, 72 * height) for end in (bar[:2], bar[2:])
            )
            taken.append((left, bottom - THIN, right, top + THIN))
    halo = [withStroke(linewidth=1.5, foreground=paper())]
    for label, (x, y) in zip(labels, places, strict=True):
        wide, high = BROAD * SMALL * len(label.text), HIGH * SMALL
        boxes = []
        for right, up in SIDES:
            away = AWAY * (0.8 if right and up else 1)
            middle = (x + right * (away + wide / 2), y + up * (away + high / 2))
            boxes.append((middle[0] - wide / 2, middle[1] - high / 2, middle[0] + wide / 2, middle[1] + high / 2))
        costs = [sum(_common(box, other) for other in taken) + _outside(box, 72 * width, 72 * height) for box in boxes]
        best = min(range(len(boxes)), key=lambda each: costs[each])
        if costs[best] > 0 and not label.needed:
            continue
        left, bottom, _, top = boxes[best]
        taken.append(boxes[best])
        place = (left / (72 * width), (bottom + top) / 2 / (72 * height))
        options = {"size": SMALL, "color": label.color, "path_effects": halo, "zorder": 6}
        axes.text(*place, label.text, transform=axes.transAxes, ha="left", va="center_baseline", **options)


Box = tuple[float, float, float, float]


def _common(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    up = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, up)


def _outside(box: Box, width: float, height: float) -> float:
    over = [-box[0], -box[1], box[2] - width, box[3] - height]
    return 100 * sum(max(0.0, each) for each in over)

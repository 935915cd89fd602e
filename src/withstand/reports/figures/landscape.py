"""Decisions over the plane of two features: class, confidence, boundary, test points, and the ball around some."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from withstand.reports.figures.tools.colours import BLUE, FAINT, GREEN, INK, ORANGE, PINK
from withstand.reports.figures.tools.style import WIDTH, figure_style, new_figure
from withstand.study.landscape import DrawnBall, Landscape

# The house's four colours, then others that stay apart from them without seeing colours; markers tell classes, too.
# Source: Okabe, Ito 2008, "Color universal design"; Tol 2021, "Colour schemes", muted.
COLORS = (BLUE, ORANGE, GREEN, PINK, "#56b4e9", "#e69f00", "#882255", "#999933")
MARKERS = ("o", "s", "^", "D", "v", "p", "P", "h")
PALEST, STRONGEST = 0.06, 0.44  # share of the class's colour where the model does not know, and where it is sure
NUM_BALLS, APART = 6, 0.16  # balls that are drawn, and their least distance as a share of the plane's diagonal
FLATTEST, TALLEST = 0.4, 1.5  # height of a panel as a share of its width
MOST_CLASSES = 16  # in the key
MOST_POINTS = 1000  # in a panel of full width
# Inches.
MARGIN, HEAD, KEY, LEFT, FOOT, GAP = 0.15, 0.55, 1.72, 0.72, 0.47, 0.16
NAME, NUMBERS, BARE, LINE, BAR = 0.17, 0.2, 0.06, 0.19, 0.5
DIGIT = 0.055  # of the numbers at ticks
EDGE = 0.11  # of a panel, where no tick is, whose number would overlap that of the next panel


class _Panel(NamedTuple):
    """Where the axes of a model are, in inches from the top left corner of the figure."""

    left: float
    top: float
    width: float
    height: float


def landscape_figure(
    landscapes: Mapping[str, Landscape], *, accuracies: Mapping[str, Mapping[str, float]] | None = None
) -> Figure:
    """Return a figure: one panel per model, and a key.

    A unit of the model's inputs is equally long along both axes, unless one range is far longer than the other.

    Args:
        landscapes: By name of the model, at least one; of the same points, classes, plane and ball.
        accuracies: By name of the model, then by what was measured, as fractions; given above its panel.
    """
    is_alone = len(landscapes) == 1
    has_numbers = any((accuracies or {}).values())
    numbers_high = NUMBERS if has_numbers else BARE
    head = numbers_high if is_alone else NAME + numbers_high
    columns, panels = _layout(len(landscapes), _ratio(next(iter(landscapes.values()))), head)
    thinned = {name: each.thinned(MOST_POINTS // columns) for name, each in landscapes.items()}
    one = next(iter(thinned.values()))
    height = max(panels[-1].top + panels[-1].height + FOOT, HEAD + _key_height(one) + MARGIN)
    with figure_style():
        figure = new_figure(height)
        title = f"Decisions of {next(iter(landscapes))}" if is_alone else "Decisions side by side"
        _write(figure, title, MARGIN, 0.13, WIDTH - 2 * MARGIN, size=10, weight="bold")
        shown, there = len(one.points), one.num_points
        about = f"all {there:,} test points" if shown == there else f"{shown:,} of {there:,} test points"
        if has_numbers:
            about += f"; accuracy on all {there:,}, in percent" if shown < there else "; accuracy in percent"
        _write(figure, about, MARGIN, 0.33, WIDTH - 2 * MARGIN, color=FAINT)
        for number, ((name, landscape), panel) in enumerate(zip(thinned.items(), panels, strict=True)):
            place = (panel.left / WIDTH, 1 - (panel.top + panel.height) / height)
            axes = figure.add_axes((*place, panel.width / WIDTH, panel.height / height))
            _draw(axes, landscape, panel)
            is_lowest, is_leftmost = number + columns >= len(panels), number % columns == 0
            axes.tick_params(labelbottom=is_lowest, labelleft=is_leftmost)
            numbers = ", ".join(f"{what} {100 * each:.1f}" for what, each in (accuracies or {}).get(name, {}).items())
            _write(figure, numbers, panel.left, panel.top - NUMBERS + 0.03, panel.width, size=6.5, color=FAINT)
            if not is_alone:
                _write(figure, name, panel.left, panel.top - numbers_high - NAME + 0.03, panel.width, weight="bold")
            if is_lowest:
                label = axes.set_xlabel(one.plane.names[0], labelpad=2)
                _fit(label, figure, panel.width)
            if is_leftmost:
                label = axes.set_ylabel(one.plane.names[1], labelpad=2)
                _fit(label, figure, panel.height, upright=True)
        _draw_key(figure, one, panels[0].top, height)
    return figure


def chosen_for_balls(landscape: Landscape) -> list[int]:
    """Return the numbers of the points that get a ball: near to another class and far from each other.

    They do not depend on the model, so that models can be compared.
    """
    scaled = landscape.points / landscape.plane.scale
    nearest = np.full(len(scaled), np.inf)
    for label in np.unique(landscape.labels):
        own = landscape.labels == label
        others = scaled[~own]
        if len(others):
            away = np.linalg.norm(scaled[own][:, None] - others[None], axis=2)
            nearest[own] = away.min(1)
    least = APART * float(np.linalg.norm(np.ptp(scaled, axis=0)))
    found: list[int] = []
    for number in np.argsort(nearest, kind="stable"):
        if all(np.linalg.norm(scaled[number] - scaled[each]) >= least for each in found):
            found.append(int(number))
        if len(found) == NUM_BALLS:
            break
    return found


def shades(predicted: np.ndarray, confidence: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the colours of classes, the paler the less sure.

    Args:
        predicted: Classes, of any shape.
        confidence: Their probabilities, from 1 / num_classes to 1: the same shape.
        num_classes: How many there are.

    Returns:
        Red, green and blue in [0, 1], along a new last axis.
    """
    chance = 1 / num_classes
    sure = np.clip((confidence - chance) / (1 - chance), 0, 1)[..., None]
    share = PALEST + (STRONGEST - PALEST) * sure
    colors = np.array([_color(each) for each in range(num_classes)])
    return 1 - share * (1 - colors[predicted])


def _layout(num: int, ratio: float, head: float) -> tuple[int, list[_Panel]]:
    """Return the number of columns, and the panels."""
    columns = num if num < 3 else 2 if num == 4 else 3
    room = WIDTH - LEFT - GAP - KEY - MARGIN
    width = (room - (columns - 1) * GAP) / columns
    if num == 1:  # no higher than it may be wide
        width = min(width, width / ratio)
    height = width * ratio
    return columns, [
        _Panel(
            LEFT + (each % columns) * (width + GAP),
            HEAD + head + (each // columns) * (height + head + GAP / 2),
            width,
            height,
        )
        for each in range(num)
    ]


def _ratio(landscape: Landscape) -> float:
    """Return the height of the panels as a share of their width."""
    plane = landscape.plane
    width = (plane.first[-1] - plane.first[0]) / plane.scale[0]
    height = (plane.second[-1] - plane.second[0]) / plane.scale[1]
    return float(np.clip(height / width, FLATTEST, TALLEST))


def _draw(axes: Axes, landscape: Landscape, panel: _Panel) -> None:
    """Draw everything about one model into empty axes."""
    first, second = landscape.plane.first, landscape.plane.second
    half = [(ticks[1] - ticks[0]) / 2 for ticks in (first, second)]
    extent = (first[0] - half[0], first[-1] + half[0], second[0] - half[1], second[-1] + half[1])
    colors = shades(landscape.predicted, landscape.confidence, len(landscape.classes))
    axes.imshow(colors, extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    for label in np.unique(landscape.predicted)[1:] if len(landscape.classes) == 2 else np.unique(landscape.predicted):
        inside = np.where(landscape.predicted == label, landscape.margin, -landscape.margin)
        if inside.min() < 0 < inside.max():
            axes.contour(first, second, inside, levels=[0], colors=INK, linewidths=0.9, zorder=2)
    size = (1.2 + 0.42 * panel.width) * (1.6 if len(landscape.points) < 150 else 1)  # of a point, in points
    for label in np.unique(landscape.labels):
        _points(axes, landscape.points[landscape.labels == label], int(label), size)
    ball = landscape.ball
    if ball is not None:
        _rings(axes, landscape.points[landscape.right & ~ball.right], size)
        for number in chosen_for_balls(landscape):
            _outline(axes, landscape.points[number], ball.radii, ball)
            _points(axes, landscape.points[[number]], int(landscape.labels[number]), 1.3 * size, above=True)
    _crosses(axes, landscape.points[~landscape.right], size)
    axes.set(xlim=(first[0], first[-1]), ylim=(second[0], second[-1]))
    for axis, ticks, length in ((axes.xaxis, first, panel.width), (axes.yaxis, second, panel.height)):
        numbers = _round_numbers(ticks[0], ticks[-1], length, upright=axis is axes.yaxis)
        axis.set_ticks(numbers, [f"{each:.6g}".replace("-", "\N{MINUS SIGN}") for each in numbers])


def _round_numbers(low: float, high: float, length: float, *, upright: bool) -> list[float]:
    """Return where ticks are: at least two, if possible, and none if its number would overlap another."""
    free = (EDGE / 3 if upright else EDGE) / length * (high - low)
    least, found = max(4, round(1.4 * length)), []
    for most in range(least, least + 4):
        numbers = MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high)
        found = [float(each) for each in numbers if low + free <= each <= high - free]
        if len(found) > 1:
            break
    needed = 0.05 + DIGIT * (2 if upright else max((len(f"{each:.6g}") for each in found), default=0))
    if len(found) > 2 and (found[1] - found[0]) / (high - low) * length < needed:
        return [found[0], found[-1]]
    return found


def _points(axes: Axes, points: np.ndarray, label: int, size: float, *, above: bool = False) -> None:
    # A second round through the colours takes other markers.
    marker = MARKERS[(label + label // len(COLORS)) % len(MARKERS)]
    line, zorder = (0.6, 5) if above else (0.25, 3)
    look = {"marker": marker, "color": [_color(label)], "edgecolors": "white", "linewidths": line, "zorder": zorder}
    axes.scatter(*points.T, s=size**2, **look)


def _rings(axes: Axes, points: np.ndarray, size: float) -> None:
    axes.scatter(
        *points.T, s=(1.9 * size) ** 2, marker="o", facecolors="none", edgecolors=INK, linewidths=0.6, zorder=6
    )


def _crosses(axes: Axes, points: np.ndarray, size: float) -> None:
    for color, line in (("white", 1.8), (INK, 0.8)):
        axes.scatter(*points.T, s=(1.5 * size) ** 2, marker="x", color=color, linewidths=line, zorder=7)


def _outline(axes: Axes, centre: np.ndarray, radii: tuple[float, float], ball: DrawnBall) -> None:
    angles = 2 * np.pi * np.arange(64) / 64
    corners = {
        "linf": np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]),
        "l1": np.array([(1, 0), (0, 1), (-1, 0), (0, -1)]),
        "l2": np.stack([np.cos(angles), np.sin(angles)], axis=1),
    }[ball.norm]
    halo = [withStroke(linewidth=2.2, foreground="white")]
    line = {"facecolor": "none", "edgecolor": INK, "linewidth": 0.9, "path_effects": halo, "zorder": 5}
    axes.add_patch(Polygon(centre + corners * np.array(radii), closed=True, **line))


def _key_height(landscape: Landscape) -> float:
    lines = min(len(landscape.classes), MOST_CLASSES + 1) + 3 + (3 if landscape.ball else 0)
    return NUMBERS + lines * LINE + 0.5


def _draw_key(figure: Figure, landscape: Landscape, top: float, height: float) -> None:
    """Draw what everything means, in axes whose units are inches."""
    depth = height - top
    axes = figure.add_axes(((WIDTH - KEY) / WIDTH, 0, KEY / WIDTH, depth / height))
    axes.set(xlim=(0, KEY), ylim=(depth, 0))
    axes.set_axis_off()
    name_at, classes = 0.2 + BAR + 0.08, landscape.classes
    chance = 1 / len(classes)
    y = 0.06
    axes.text(0, y, "Class and its probability", weight="bold", va="center", size=7)
    for label, name in enumerate(classes[:MOST_CLASSES]):
        y += LINE
        _points(axes, np.array([[0.07, y]]), label, 4.0)
        bar = shades(np.full((1, 64), label), np.linspace(chance, 1, 64)[None], len(classes))
        axes.imshow(bar, extent=(0.2, 0.2 + BAR, y + 0.06, y - 0.06), aspect="auto")
        text = axes.text(name_at, y, name, va="center", size=7)
        _fit(text, figure, KEY - name_at - MARGIN)
    axes.set(xlim=(0, KEY), ylim=(depth, 0))
    if len(classes) > MOST_CLASSES:
        y += LINE
        axes.text(name_at, y, f"and {len(classes) - MOST_CLASSES} more", va="center", size=7)
    y += 0.14
    for place, share in ((0.2, chance), (0.2 + BAR, 1.0)):
        axes.text(place, y, f"{100 * share:.0f} %", ha="center", va="center", size=6, color=FAINT)
    y += 1.4 * LINE
    axes.plot([0, 0.28], [y, y], color=INK, linewidth=0.9)
    axes.text(0.38, y, "decision boundary", va="center", size=7)
    y += LINE
    _crosses(axes, np.array([[0.14, y]]), 3.2)
    axes.text(0.38, y, "wrong", va="center", size=7)
    if landscape.ball is None:
        return
    y += LINE
    _rings(axes, np.array([[0.14, y]]), 3.2)
    axes.text(0.38, y - 0.055, "right, but wrong\nsomewhere in its ball", va="top", size=7)
    y += 1.65 * LINE
    _outline(axes, np.array([0.14, y]), (0.07, 0.07), landscape.ball)
    axes.text(0.38, y - 0.055, f"ball ({landscape.ball.where}) around\na few points, to scale", va="top", size=7)


def _write(figure: Figure, text: str, left: float, top: float, width: float, **options: Any) -> None:
    """Write a line, its top left corner in inches from that of the figure."""
    height = figure.get_figheight()
    line = figure.text(left / WIDTH, 1 - top / height, text, va="top", **options)
    _fit(line, figure, width)


def _fit(text: Text, figure: Figure, width: float, *, upright: bool = False) -> None:
    """Leave out the middle of a text that is wider than `width` inches."""
    whole, renderer = text.get_text(), figure.canvas.get_renderer()  # type: ignore[attr-defined]
    kept, room = len(whole), width * figure.dpi
    while kept > 1:
        box = text.get_window_extent(renderer)
        length = box.height if upright else box.width
        if length <= room:
            return
        kept = min(kept - 1, int(1.1 * kept * room / length))
        text.set_text(f"{whole[: (kept + 1) // 2]}...{whole[len(whole) - kept // 2 :]}")


def _color(label: int) -> tuple[float, ...]:
    # Further rounds through the colours are darker.
    return tuple(each * 0.6 ** (label // len(COLORS)) for each in to_rgb(COLORS[label % len(COLORS)]))

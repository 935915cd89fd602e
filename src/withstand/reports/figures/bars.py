"""Bars: the accuracy of every model on clean inputs and under each kind of condition, with 95 % intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from textwrap import shorten

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from withstand.rendering.cell import DOUBT
from withstand.reports.figures.tools.chart import ROUND, SMALL, faint
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.figures.tools.style import NARROW, WIDTH, new_figure
from withstand.reports.groups import Group
from withstand.reports.headline import ranked, ranking_group
from withstand.reports.numbers import number, sentence
from withstand.reports.scores import Score, Scores
from withstand.reports.series import norm_notes

MOST_MODELS, MOST_GROUPS = 6, 24
HATCH = "/" * 9  # of bars that are not trustworthy
LONGEST = 24  # characters of the labels next to bars
# Inches.
LEFT, RIGHT, FOOT, LEGEND, BAR, THIN, GAP, BETWEEN = 1.3, 0.42, 0.36, 0.17, 0.105, 0.015, 0.085, 0.2


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar: a model under a group of conditions.

    Attributes:
        gid: Its name in the figure.
        score: None if there is no result.
        text: Its description.
        is_doubtful: Whether the accuracy is not trustworthy.
    """

    gid: str
    score: Score | None
    text: str
    is_doubtful: bool = False


@dataclass(frozen=True, kw_only=True)
class BarGroup:
    """The bars of a group of conditions.

    Attributes:
        group: Group of conditions.
        bars: One per model.
    """

    group: Group
    bars: tuple[Bar, ...]


def bars_picture(scores: Scores) -> Picture | None:
    """Return the picture that a report opens with; None if there is nothing but clean inputs, or no accuracy.

    Of many models it shows the best ones and the baseline; of many conditions those that cost most.
    """
    groups = [each for each in scores.groups if each.kind != "mean"]
    ranking = ranking_group(scores)
    if ranking is None or len(groups) < 2:
        return None
    everyone = [each.index for each in scores.digest.combinations]
    models, order = everyone, ranked(scores, ranking)
    if len(models) > MOST_MODELS:
        base = [each for each in scores.digest.baseline_indices if each in order][:1]
        best = [each for each in order if each not in base][: MOST_MODELS - len(base)]
        models = sorted({*base, *best})
    shown = _sorted(scores, groups, models)
    if len(shown) < 2:
        return None
    names = [scores.digest.combinations[each].name for each in models]
    bars = [
        BarGroup(
            group=group,
            bars=tuple(_bar(scores, index, group, f"bars-{k}-{j}", names[j]) for j, index in enumerate(models)),
        )
        for k, group in enumerate(shown[:MOST_GROUPS])
    ]
    return _picture(bars, names, left=(len(everyone) - len(models), len(shown) - len(bars)))


def bars_figure(groups: Sequence[BarGroup], names: Sequence[str], *, width: float = WIDTH) -> Figure:
    """Return the figure: bars from the left to the right, clean inputs on top, then what costs most.

    Args:
        groups: From above.
        names: Names of the models.
        width: In inches; the bars are in two columns if there is room.
    """
    columns = 2 if width > NARROW and len(groups) > 4 else 1
    per_column = ceil(len(groups) / columns)
    step = BAR * len(names) + GAP
    longest = max(len(each) for each in names)
    per_line = max(1, min(len(names), int(width / (0.3 + 0.062 * longest))))
    legend = LEGEND * ceil(len(names) / per_line) + 0.08 if len(names) > 1 else 0.02
    height = legend + per_column * step + FOOT
    figure = new_figure(height, width=width)
    each_width = (width - BETWEEN * (columns - 1)) / columns
    colors = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    for column in range(columns):
        own = groups[column * per_column : (column + 1) * per_column]
        left = column * (each_width + BETWEEN) + LEFT
        size = (each_width - LEFT - RIGHT, step * len(own))
        bottom = height - legend - size[1]
        axes = figure.add_axes((left / width, bottom / height, size[0] / width, size[1] / height))
        _draw(axes, own, colors, step=step)
    if len(names) > 1:
        handles = [Patch(color=colors[k % len(colors)], label=name) for k, name in enumerate(names)]
        place = {"bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "handlelength": 1.0, "columnspacing": 1.2}
        figure.legend(handles=handles, loc="upper left", ncols=per_line, **place)
    return figure


def _draw(axes: Axes, groups: Sequence[BarGroup], colors: Sequence[str], *, step: float) -> None:
    """Draw the bars of a column, in percent; the second axis is in inches from above."""
    axes.set(xlim=(0, 100), ylim=(step * len(groups), 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=ROUND))
    axes.set_xlabel(groups[0].group.measure.label, size=7)
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)
    left = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center", "size": 7}
    lines: list[list[tuple[float, float]]] = []
    for k, each in enumerate(groups):
        top = k * step + GAP / 2
        weight = "bold" if each.group.kind == "clean" else "normal"
        label = shorten(_label(each.group), LONGEST, placeholder="...")
        axes.text(-0.04, top + BAR * len(each.bars) / 2, label, weight=weight, **left)
        for j, bar in enumerate(each.bars):
            lines += _bar_at(axes, bar, each.group, top + BAR * j, colors[j % len(colors)])
    ink = mpl.rcParams["text.color"]
    axes.add_collection(LineCollection(lines, colors=ink, linewidths=0.8, clip_on=False, zorder=3), autolim=False)


def _bar_at(axes: Axes, bar: Bar, group: Group, top: float, color: str) -> list[list[tuple[float, float]]]:
    """Draw a bar and its value, and return the line of its interval, if it has one."""
    middle, score = top + BAR / 2, bar.score
    if score is None:
        text = axes.text(1, middle, "no result", size=SMALL - 1, color=faint(), va="center_baseline")
        text.set_gid(bar.gid)
        return []
    value = 100 * score.value
    patch = Rectangle((0, top + THIN / 2), value, BAR - THIN, color=color, linewidth=0, gid=bar.gid)
    if bar.is_doubtful:
        patch.set(fill=False, hatch=HATCH)
    axes.add_patch(patch)
    low, high = (value if each is None else 100 * each for each in (score.low, score.high))
    shown = number(group.measure, score.value) + DOUBT * bar.is_doubtful
    axes.text(max(high, value) + 1.5, middle, shown, size=SMALL, va="center_baseline")
    return [[(low, middle), (high, middle)]] if high > low else []


def _label(group: Group) -> str:
    if group.kind == "clean":
        return "clean"
    words = group.words.replace(", saved as JPEG", ", JPEG")
    # With a budget there is no room for both.
    return words.removeprefix("attack (").removesuffix(")") if group.kind == "attack" and ", " in words else words


def _sorted(scores: Scores, groups: Sequence[Group], models: Sequence[int]) -> list[Group]:
    """Return the groups that a model has, clean inputs first, then by the mean accuracy of the models, lowest first."""
    means: dict[str, float] = {}
    for each in groups:
        values = [found.value for index in models if (found := scores.of(index, each)) is not None]
        if values:
            means[each.name] = sum(values) / len(values)
    there = [each for each in groups if each.name in means]
    return sorted(there, key=lambda each: (each.kind != "clean", means[each.name]))


def _bar(scores: Scores, index: int, group: Group, gid: str, name: str) -> Bar:
    score, measure = scores.of(index, group), group.measure
    where = _label(group) + (f" ({group.severities})" if group.severities else "")
    if score is None:
        return Bar(gid=gid, score=None, text=f"{name}, {where}: no result")
    value = f"{number(measure, score.value, score.samples or None)}{' %' if measure.percent else ''}"
    spread = ""
    if score.low is not None and score.high is not None:
        low, high = (number(measure, each, score.samples or None) for each in (score.low, score.high))
        spread = f" (95 % interval {low}-{high})"
    doubt = scores.doubt(index, group)
    text = f"{name}, {where}: {value}{spread}" + (". Not trustworthy" if doubt else "")
    return Bar(gid=gid, score=score, text=text, is_doubtful=bool(doubt))


def _picture(groups: Sequence[BarGroup], names: Sequence[str], *, left: tuple[int, int]) -> Picture:
    measure = groups[0].group.measure
    found = [bar.score for each in groups for bar in each.bars if bar.score is not None]
    seeds = max(each.seeds for each in found)
    over = f"mean over {seeds} seeds; lines are 95 % intervals of it" if seeds > 1 else "lines are 95 % intervals"
    severities = {each.group.severities for each in groups} - {""}
    means = f" Corruptions: {severities.pop()}." if len(severities) == 1 else ""
    attacked = [condition for each in groups if each.group.kind == "attack" for condition in each.group.conditions]
    attacks = " ".join(["", "Accuracy under attack is an upper bound.", *norm_notes(attacked)]) if attacked else ""
    doubts = any(bar.is_doubtful for each in groups for bar in each.bars)
    attacks += f" Hatched, {DOUBT}: not trustworthy; see the warning." if doubts else ""
    lost = [f"{count} more {what}" for count, what in zip(left, ("models", "conditions"), strict=True) if count]
    more = f" Not shown: {' and '.join(lost)}." if lost else ""
    title = f"{sentence(measure.words)} on clean inputs and under each kind of condition"
    clean = groups[0].group.kind == "clean"
    return Picture(
        name="bars",
        title=title if clean else f"{sentence(measure.words)} under each kind of condition",
        caption=f"{sentence(measure.words)}, {'clean inputs first, then ' if clean else ''}the lowest first; "
        f"{over}.{means}{attacks}{more}",
        alt=f"Bars of the {measure.words}. {'; '.join(bar.text for each in groups for bar in each.bars)}.",
        draw=partial(bars_figure, groups, names),
        narrow=partial(bars_figure, groups, names, width=NARROW),
        values={bar.gid: bar.text for each in groups for bar in each.bars},
        form="bars",
        size=len(groups),
    )

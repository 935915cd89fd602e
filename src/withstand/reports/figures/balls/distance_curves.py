"""Robust accuracy at every radius, from the distances of minimum-norm attacks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from withstand.conditions import along
from withstand.reports.figures.tools.chart import MOST_SERIES, SIZE, look, numeric_axis, value_axis
from withstand.reports.figures.tools.curves import FOOT, LEFT, PLOT, RIGHT, TOP
from withstand.reports.figures.tools.labels import End, label_ends, room_for
from withstand.reports.figures.tools.marks import combinations
from withstand.reports.figures.tools.picture import Picture
from withstand.reports.figures.tools.style import WIDTH, new_figure
from withstand.reports.numbers import slug
from withstand.reports.series import RADIUS_UNITS
from withstand.study.measures.measure import Measure
from withstand.study.study import Study, name_of

DISTANCE = re.compile(r"(?P<norm>l0|l1|l2|linf) distance(?: in (?P<unit>\S+))?[^,]*, (?P<attacks>.*)")
SHARE = Measure(name="robust", column="distance", words="robust accuracy", percent=True, better="higher")
MOST_OF = 0.98  # share of the finite distances that the axis shows


class Point(NamedTuple):
    """A worst-case accuracy in a ball."""

    radius: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The distances of one model, ascending, and its worst-case accuracies in balls of the same norm.

    Attributes:
        distances: One per sample; infinity where no wrong point was found.
        points: One per ball.
    """

    distances: np.ndarray
    points: tuple[Point, ...] = ()

    def share(self, radius: float) -> float:
        """Return the share of samples farther than a radius from all wrong points that were found."""
        return float(1 - np.searchsorted(self.distances, radius, side="right") / len(self.distances))


def distance_curves_pictures(study: Study) -> list[Picture]:
    """Return a picture per condition with distances; a combination shows its first run with outcomes."""
    found: dict[str, dict[str, Curve]] = {}
    for labels in combinations(study):
        chosen = dict(zip(study.axes, labels, strict=True))
        for condition, distances in _distances(study, chosen).items():
            points = _points(study, chosen, condition)
            found.setdefault(condition, {})[name_of(chosen)] = Curve(distances=distances, points=points)
    return [_picture(condition, curves) for condition, curves in found.items() if _reach(curves) > 0]


def _distances(study: Study, chosen: Mapping[str, Any]) -> dict[str, np.ndarray]:
    frame = study.frame
    for name, value in chosen.items():
        frame = frame.filter(frame[name].eq_missing(value))
    for run in frame["run"].unique(maintain_order=True):
        table = study.table_of(run)
        own = [each for each in table.conditions if DISTANCE.fullmatch(each.condition)] if table else []
        if own:
            return {each.condition: np.sort(each.frame["distance"].drop_nulls().to_numpy()) for each in own}
    return {}


def _points(study: Study, chosen: Mapping[str, Any], condition: str) -> tuple[Point, ...]:
    """Return the worst-case accuracies in balls of the same norm and unit."""
    parts = DISTANCE.fullmatch(condition)
    assert parts is not None
    ball = f"{parts['norm']} []" + (f" {parts['unit']}" if parts["unit"] else "")
    attacked = [each.name for each in study.measures.values() if each.kind == "attacked" and each.primary]
    lines = study.summary
    for name, value in chosen.items():
        lines = lines.filter(lines[name].eq_missing(value))
    found: dict[float, float] = {}
    for line in lines.filter(lines["measure"].is_in(attacked[:1])).iter_rows(named=True):
        place = along(line["condition"])
        if place is not None and place.text.partition(", ")[0] == ball and line["q50"] is not None:
            found[place.value] = min(line["q50"], found.get(place.value, 1.0))
    return tuple(Point(*each) for each in sorted(found.items()))


def _reach(curves: Mapping[str, Curve]) -> float:
    """Return the largest radius to show."""
    radii = [point.radius for each in curves.values() for point in each.points]
    for each in curves.values():
        finite = each.distances[np.isfinite(each.distances)]
        radii += [float(np.quantile(finite, MOST_OF))] if len(finite) else []
    return max(radii, default=0.0)


def _picture(condition: str, curves: dict[str, Curve]) -> Picture:
    parts = DISTANCE.fullmatch(condition)
    assert parts is not None
    norm, unit = parts["norm"], RADIUS_UNITS.get(parts["unit"] or "", parts["unit"])
    axis = "changed fields" if norm == "l0" else f"radius, {norm} in {unit}"
    shown = dict(list(curves.items())[:MOST_SERIES])
    marks = " Marks: worst-case accuracy in balls." if any(each.points for each in shown.values()) else ""
    rest = f" {len(curves) - len(shown)} more are not drawn." if len(curves) > len(shown) else ""
    middle = {name: float(each.distances[(len(each.distances) - 1) // 2]) for name, each in shown.items()}
    medians = "; ".join(f"{name}: median distance {value:.3g}" for name, value in middle.items())
    count = max(len(each.distances) for each in shown.values())
    return Picture(
        name=slug(f"{condition.partition(', ')[0]} curves"),
        title=f"Robust accuracy over all radii, {norm}",
        caption=f"Share of samples farther than the radius from all wrong points found by {parts['attacks']}: an upper "
        f"bound on the robust accuracy; n = {count:,} samples, one run each.{marks}{rest}",
        alt=f"Line chart of the robust accuracy against the {axis}. {medians}.",
        draw=partial(distance_curves_figure, shown, axis=axis),
        size=count,
        detail=condition.partition(" distance ")[2],
    )


def distance_curves_figure(curves: Mapping[str, Curve], *, axis: str) -> Figure:
    """Return the figure of curves by name, against an axis with this label."""
    height = TOP + PLOT + FOOT
    figure, reach = new_figure(height), _reach(curves)
    width = WIDTH - LEFT - (room_for(list(curves)) if len(curves) > 1 else RIGHT)
    axes = figure.add_axes((LEFT / WIDTH, FOOT / height, width / WIDTH, PLOT / height))
    shares = [each.share(0.0) for each in curves.values()] + [0.0]
    value_axis(axes, SHARE, [SHARE.scaled(each) for each in shares])
    numeric_axis(axes, np.linspace(0, reach, 64).tolist(), axis, width=width)
    axes.set_xlim(0, reach)
    axes.set_ylabel(SHARE.label)
    ends = []
    for number, (name, own) in enumerate(curves.items()):
        style = look(number)
        radii = np.unique(np.concatenate([[0.0], own.distances[own.distances < reach], [reach]]))
        drawn = [SHARE.scaled(own.share(each)) for each in radii]
        axes.step(radii, drawn, where="post", color=style.color, linestyle=style.dashes, linewidth=1.2)
        at = [each.radius for each in own.points], [SHARE.scaled(each.share) for each in own.points]
        axes.plot(*at, style.marker, color=style.color, markersize=SIZE, clip_on=False, zorder=5)
        ends.append(End(reach, drawn[-1], name, style.color))
    if len(curves) > 1:
        label_ends(axes, ends, width=width, height=PLOT)
    return figure

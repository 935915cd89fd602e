"""Families: conditions that differ only by the value of a numeric axis, and the axes that figures run along."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from withstand.study.axes import words_of
from withstand.study.condition import parse_cell
from withstand.study.study import Study, name_of

NUMBER = re.compile(r"(?<![\w.\-])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])")
BALL = re.compile(r"(l1|l2|linf) (\d\S*?)( raw| iqr)?, (.+)")
BALL_UNITS = {"": "units of the inputs", " raw": "units of the file", " iqr": "interquartile ranges"}
UNITS = {"temperature": "nats"}
MOST_FIXED = 3  # conditions that all values of the axis share, beside those that hold it


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A numeric axis of a study, along which figures run.

    Attributes:
        name: Of the column.
        values: What there is, ascending.
        others: The other axes; their values make a series.
        unit: Of the values, perhaps with the norm.
    """

    name: str
    values: tuple[float, ...]
    others: tuple[str, ...] = ()
    unit: str = ""

    @property
    def words(self) -> str:
        """What it is called."""
        return words_of(self.name)

    @property
    def label(self) -> str:
        """What it is called, with its unit."""
        return f"{self.words}, {self.unit}" if self.unit else self.words

    def series(self, line: Mapping[str, Any]) -> str:
        """Return the name of the series that a line belongs to."""
        return name_of({name: line[name] for name in self.others})


def axis_of(study: Study) -> Axis | None:
    """Return the axis that figures run along: a radius, else the numeric one with the most values, or None."""
    numeric = study.numeric_axes
    if not numeric:
        return None
    counts = {name: study.frame[name].n_unique() for name in numeric}
    name = max(numeric, key=lambda each: (each.rsplit(".", 1)[-1] == "radius", counts[each]))
    values = tuple(float(each) for each in study.frame[name].unique().sort())
    short = name.rsplit(".", 1)[-1]
    balls = {
        (found.group(1), found.group(3) or "")
        for each in study.summary["condition"].drop_nulls().unique()
        if short == "radius" and (found := BALL.fullmatch(each)) and float(found.group(2)) in values
    }
    unit = "{} in {}".format(*next((norm, BALL_UNITS[unit]) for norm, unit in balls)) if len(balls) == 1 else ""
    others = tuple(each for each in study.axes if each != name)
    return Axis(name=name, values=values, others=others, unit=unit or UNITS.get(short, ""))


def template(condition: str, value: float, words: str) -> str:
    """Return a condition with the name of the axis in the place of its value; the condition where it has none.

    Example:
        >>> template("linf 0.1, PGD-40 x 3", 0.1, "radius"), template("clean", 0.1, "radius")
        ('linf [radius], PGD-40 x 3', 'clean')
        >>> template("linf 3, PGD-40 x 3", 3, "radius")
        'linf [radius], PGD-40 x 3'
    """
    for found in NUMBER.finditer(condition):
        if float(found.group()) == value:
            return f"{condition[: found.start()]}[{words}]{condition[found.end() :]}"
    return condition


def ball_radius(condition: str) -> tuple[str, float] | None:
    """Return what a condition is apart from the radius of its ball, and this radius; None if it has no ball.

    Example:
        >>> ball_radius("linf 0.1, PGD-40 x 3"), ball_radius("clean")
        (('linf in units of the inputs, PGD-40 x 3', 0.1), None)
    """
    found = BALL.fullmatch(condition)
    if found is None or not NUMBER.fullmatch(found.group(2)):
        return None
    norm, radius, unit, attack = found.groups(default="")
    return f"{norm} in {BALL_UNITS[unit]}, {attack}", float(radius)


def families(study: Study, measure: str, axis: Axis | None) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of a measure by family of conditions, each with two or more values of the axis.

    Without an axis a family is a condition that two or more combinations share. Cells of corruptions are left out.
    Where more than a few conditions are shared by the values of the axis, beside a family that holds the value itself,
    these are left to the figure of curves.
    """
    lines = [
        line
        for line in study.summary.iter_rows(named=True)
        if line["measure"] == measure and parse_cell(line["condition"]) is None and line["q50"] is not None
    ]
    moving: dict[str, list[dict[str, Any]]] = {}
    fixed: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        fixed.setdefault(line["condition"], []).append(line)
        if axis is None:
            continue
        found = template(line["condition"], float(line[axis.name]), axis.words)
        if found != line["condition"]:
            moving.setdefault(found, []).append(line)
    # A condition that all values of the axis share may hold one of them by chance: then others lack.
    every = _num_values(lines, axis)
    moving = {
        name: own
        for name, own in moving.items()
        if _num_values(own, axis) == every > 1
        or (_num_values(own, axis) > 1 and all(_num_values(fixed[each["condition"]], axis) == 1 for each in own))
    }
    fixed = {name: own for name, own in fixed.items() if _num_values(own, axis) > 1}
    return moving | (fixed if not moving or len(fixed) <= MOST_FIXED else {})


def _num_values(lines: Sequence[dict[str, Any]], axis: Axis | None) -> int:
    return len({line[axis.name] for line in lines}) if axis else len(lines)

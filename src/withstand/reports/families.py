"""Families: conditions that differ only by the value of a numeric axis, and the axes that figures run along."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from withstand.results.condition import parse_cell
from withstand.results.study import Study, name_of

NUMBER = re.compile(r"(?<![\w.\-])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])")
MOST_FIXED = 3  # conditions that all values of the axis share, beside those that hold it


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A numeric axis of a study, along which figures run.

    Attributes:
        name: Of the column.
        values: What there is, ascending.
        others: The other axes; their values make a series.
    """

    name: str
    values: tuple[float, ...]
    others: tuple[str, ...]

    @property
    def words(self) -> str:
        """What it is called."""
        return self.name.rsplit(".", 1)[-1].replace("_", " ")

    def series(self, line: dict[str, Any]) -> str:
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
    return Axis(name=name, values=values, others=tuple(each for each in study.axes if each != name))


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


def families(study: Study, measure: str, axis: Axis) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of a measure by family of conditions, each with two or more values of the axis.

    Cells of corruptions are left out; where more than a few conditions are shared by all values of the axis, beside a
    family that holds the value itself, these are left to the figure of curves.
    """
    lines = [
        line
        for line in study.summary.iter_rows(named=True)
        if line["measure"] == measure and parse_cell(line["condition"]) is None and line["q50"] is not None
    ]
    moving: dict[str, list[dict[str, Any]]] = {}
    fixed: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        found = template(line["condition"], float(line[axis.name]), axis.words)
        if found != line["condition"]:
            moving.setdefault(found, []).append(line)
        fixed.setdefault(line["condition"], []).append(line)
    moving = {name: own for name, own in moving.items() if _num_values(own, axis) > 1}
    fixed = {name: own for name, own in fixed.items() if _num_values(own, axis) > 1}
    return moving | (fixed if not moving or len(fixed) <= MOST_FIXED else {})


def _num_values(lines: Iterable[dict[str, Any]], axis: Axis) -> int:
    return len({line[axis.name] for line in lines})

"""Families: conditions that differ only by the value of a numeric axis, and the axes that figures run along."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from withstand.conditions import HOLE, NORMS, NUMBER, along, in_words, parse_cell, parse_corruption
from withstand.study.axes import words_of
from withstand.study.study import Study, name_of

MEANINGS: dict[str, str] = {
    "l1": "the sum of the absolute changes of the input values",
    "l2": "the Euclidean length of the change of an input",
    "linf": "the largest change of an input value",
}
RADIUS_UNITS = {"": "units of the inputs", "raw": "units of the file", "iqr": "interquartile ranges"}
UNITS = {"temperature": "nats"}
MOST_FIXED = 3  # conditions that all values of the axis share, in addition to those that hold it


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A numeric axis of a study, along which figures run.

    Attributes:
        name: Name of the column.
        values: What there is, ascending.
        others: The other axes; their values make a series.
        unit: Unit of the values, perhaps with the norm.
    """

    name: str
    values: tuple[float, ...]
    others: tuple[str, ...] = ()
    unit: str = ""

    @property
    def words(self) -> str:
        """Its name."""
        return words_of(self.name)

    @property
    def label(self) -> str:
        """Its name with the unit."""
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
    conditions = study.summary["condition"].drop_nulls().unique() if short == "radius" else ()
    units = {unit_of(found.text) for each in conditions if (found := along(each)) and found.value in values} - {""}
    unit = units.pop() if len(units) == 1 else ""
    others = tuple(each for each in study.axes if each != name)
    return Axis(name=name, values=values, others=others, unit=unit or UNITS.get(short, ""))


def template(condition: str, value: float, words: str) -> str:
    """Return a condition with the name of the axis in the place of its value; the condition if it has none.

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


def axis_along(text: str) -> tuple[str, str]:
    """Return the label of an axis along which conditions differ, and its unit.

    Args:
        text: What `along` returns of the conditions.

    Example:
        >>> axis_along("linf [] iqr, PGD-40 x 3"), axis_along("Gaussian std=[]")
        (('radius of the ball', 'linf in interquartile ranges'), ('Gaussian std', ''))
        >>> axis_along("fog/[] calibration")
        ('severity of fog', '')
    """
    if unit := unit_of(text):
        return "radius of the ball", unit
    what, _, after = text.partition(", ")[0].partition(HOLE)
    if what.endswith("/"):
        return f"severity of {in_words(what[:-1])}", ""
    return f"{what.strip(' =')} {after.strip()}".strip() or "number", ""


def unit_of(text: str) -> str:
    """Return the norm and the unit of a radius, from a condition without it; empty if it is no radius.

    Example:
        >>> unit_of("l2 [], PGD-40 x 3"), unit_of("Gaussian std=[]")
        ('l2 in units of the inputs', '')
    """
    norm, _, after = text.partition(", ")[0].partition(HOLE)
    known = norm.strip() in NORMS and after.strip() in RADIUS_UNITS
    return f"{norm.strip()} in {RADIUS_UNITS[after.strip()]}" if known else ""


def norm_notes(texts: Iterable[str]) -> list[str]:
    """Return what the norms are that conditions or units begin with, in a sentence each.

    Example:
        >>> norm_notes(["linf 0.1, PGD-40 x 3", "clean", "linf 0.2"])
        ['linf is the largest change of an input value.']
    """
    found = {text.partition(" ")[0] for text in texts}
    return [f"{name} is {meaning}." for name, meaning in MEANINGS.items() if name in found]


def families(study: Study, measure: str, axis: Axis | None) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of a measure by family of conditions, each with two or more values of the axis.

    Without an axis a family is a condition that two or more combinations share. Corruptions are left out.
    Where more than a few conditions are shared by the values of the axis, next to a family that holds the value itself,
    these are left to the figure of curves.
    """
    lines = [
        line
        for line in study.summary.filter(study.summary["measure"] == measure).iter_rows(named=True)
        if line["q50"] is not None and parse_cell(line["condition"]) is None
    ]
    lines = [line for line in lines if parse_corruption(line["condition"]) is None]
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

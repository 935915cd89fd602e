"""Conversion of the allowed changes of a table's columns to changes of the inputs."""

from collections.abc import Mapping, Sequence

from withstand.data.tables.categories import MAX_LEVELS, Column
from withstand.data.tables.features import Features
from withstand.data.tables.formats import TableFile
from withstand.data.tables.holes import EMPTY
from withstand.errors import InputError, nearest
from withstand.functional.changes import Change

Values = Sequence[str | bool | int | float]


def find_changes(
    file: TableFile, columns: Sequence[Column], known: Features, allowed: Mapping[str, Values]
) -> tuple[Change, ...]:
    """Return the allowed changes of the inputs, in their units.

    Args:
        file: The file.
        columns: The columns of the inputs, in order.
        known: The features of the table.
        allowed: Interchangeable levels per category, and allowed additions per column of numbers.

    Raises:
        InputError: If a level is unseen in training, or an addition is not finite, or not whole in a whole column.
    """
    found, first = [], 0
    for column in columns:
        values = allowed.get(column.name)
        if values is not None and column.levels != (EMPTY,):
            who = f"{file.who}: {file.path}, column {column.name!r}"
            if column.levels is None:
                is_whole = known.kinds[first] == "integer"
                found.append(steps_of(who, first, values, scale=known.scale[first], is_whole=is_whole))
            else:
                found.append(exchange(who, first, values, column.levels))
        first += len(column.inputs)
    return tuple(found)


def exchange(who: str, first: int, values: Values, levels: Sequence[str]) -> Change:
    """Return the change of a category, from its first input, the levels that may replace each other, and all levels.

    Raises:
        InputError: If a level is unknown, or there are not at least two.
    """
    if any(isinstance(each, bool) for each in values):
        raise InputError(f"{who}: quote words for yes or no, else YAML reads them as booleans.")
    names = list(dict.fromkeys(map(str, values)))
    for name in names:
        if name not in levels:
            raise InputError(f"{who}: changes name the level {name!r}, unseen in training; {nearest(name, levels)}")
    if len(names) < 2:
        raise InputError(f"{who}: expected at least two interchangeable levels, got {names}.")
    inputs = tuple(first + levels.index(name) for name in names)
    return Change(inputs, tuple(tuple(float(own == other) for own in names) for other in names))


def steps_of(who: str, first: int, values: Values, *, scale: float, is_whole: bool) -> Change:
    """Return the change of a column of numbers, from its input and the numbers that may be added, in its own units.

    Raises:
        InputError: If a number is not finite, or not whole in a whole column, or none differs from 0.
    """
    steps = [0.0]
    for value in values:
        if isinstance(value, str | bool) or not abs(value) < float("inf"):
            raise InputError(f"{who}: expected numbers that may be added, got {value!r}.")
        if is_whole and value != round(value):
            raise InputError(f"{who}: expected whole numbers that may be added to whole numbers, got {value!r}.")
        steps.append(float(value))
    steps = list(dict.fromkeys(steps))
    if not 2 <= len(steps) <= MAX_LEVELS:
        raise InputError(
            f"{who}: expected from 1 to {MAX_LEVELS - 1} numbers other than 0 that may be added, got {len(steps) - 1}."
        )
    return Change((first,), tuple((step / scale,) for step in steps), added=True)
